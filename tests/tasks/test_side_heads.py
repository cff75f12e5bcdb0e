"""Side heads in the product: their losses teach the network, and no answer ever hears of them."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import torch
import torch.nn.functional as F
from PIL import Image
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from orthogon.data.images import ArrayImages
from orthogon.errors import ConfigError
from orthogon.models import build, has_side_heads, image_networks
from orthogon.models.describe import describe
from orthogon.models.googlenet import googlenet_bn, side_head_loss
from orthogon.models.image_network import stages
from orthogon.models.weights import load
from orthogon.project.config import parse
from orthogon.tasks.image_classification import ImageClassification, ImageClassificationConfig
from orthogon.training.config import TrainingConfig
from orthogon.training.loop import fit

SIDE = 32
WITH = ("googlenet", "googlenet_bn")
AUGMENT = {"strength": 0.0, "flip": 0.0}


def pictures(n: int = 24, seed: int = 0) -> ArrayImages:
    rng = np.random.default_rng(seed)
    images = rng.integers(0, 90, (n, SIDE, SIDE, 3), dtype=np.uint8)
    images[::2, : SIDE // 2] += 120
    return ArrayImages(images, np.array(["north", "south"])[np.arange(n) % 2], "pictures")


def task_for(name: str, weight: float | None = 0.3, **settings: Any) -> ImageClassification:
    plain = {"size": SIDE, "channels": 3, "dropout": 0.0, "augment": AUGMENT, "weights": "none"}
    task = ImageClassification(
        ImageClassificationConfig(**{**plain, "network": name, "side_weight": weight, **settings})
    )
    task.fit(pictures())
    return task


def still(network: nn.Module) -> nn.Module:
    """Without dropout, so that two passes give the same."""
    for layer in network.modules():
        if isinstance(layer, nn.Dropout):
            layer.p = 0.0
    return network


def training(**more: Any) -> TrainingConfig:
    settings = {"lr": 0.001, "epochs": 1, "batch_size": 8, "preflight": False, "weight_decay": 0.0, "keep_best": False}
    return TrainingConfig.model_validate({**settings, **more})


@pytest.mark.system("arch.side-heads")
@pytest.mark.parametrize("weight", [0.3, 0.7])
@pytest.mark.parametrize("name", WITH)
def test_the_loss_is_the_main_heads_and_a_share_of_each_side_heads(name: str, weight: float) -> None:
    """In full: main + w (side 1 + side 2), summed over the batch, whose count is that of the pictures."""
    torch.manual_seed(0)
    task = task_for(name, weight)
    network = still(task.network()).train()
    objective = task.objective(network, pictures(), None, training())
    images, truth, *_ = batch = next(iter(objective.batches(1)))
    outputs = network(images)
    assert len(outputs) == 3
    main, *sides = (F.cross_entropy(logits, truth, reduction="sum") for logits in outputs)
    loss, count, _ = objective.loss(batch)
    torch.testing.assert_close(loss, main + weight * sum(sides))
    assert count == len(truth) == 8
    torch.testing.assert_close(loss / count, side_head_loss(outputs, truth, weight))

    loss.backward()
    inner = network.network
    for head in (inner.aux1, inner.aux2):
        assert all(p.grad.abs().sum() > 0 for p in head.parameters())
    assert inner.conv1.conv.weight.grad.abs().sum() > 0
    assert set(objective.parameters()) == set(dict(network.named_parameters()))


def test_what_changes_the_main_loss_changes_the_side_losses_alike() -> None:
    """Mixed pictures, smoothed labels and weighted classes, all three at once."""
    torch.manual_seed(0)
    augment = {"strength": 1.0, "flip": 0.0, "shift": 0.0, "mixup": 0.4}
    task = task_for("googlenet_bn", augment=augment)
    network = still(task.network()).train()
    settings = training(label_smoothing=0.1, class_weights={"north": 3.0})
    objective = task.objective(network, pictures(), None, settings)
    images, truth, partners, share = batch = next(iter(objective.batches(1)))
    weights = torch.tensor([3.0, 1.0])

    def mixed(logits: Tensor) -> Tensor:
        def of(classes: Tensor) -> Tensor:
            return (weights[classes] * F.cross_entropy(logits, classes, reduction="none", label_smoothing=0.1)).sum()

        return share[0] * of(truth) + (1 - share[0]) * of(partners)

    main, *sides = (mixed(logits) for logits in network(images))
    loss, count, _ = objective.loss(batch)
    torch.testing.assert_close(loss, main + 0.3 * sum(sides))
    expected = share[0] * weights[truth].sum() + (1 - share[0]) * weights[partners].sum()
    assert count == pytest.approx(expected.item(), rel=1e-6)


def test_dev_and_answers_are_the_main_heads_alone() -> None:
    torch.manual_seed(0)
    task, dev = task_for("googlenet_bn"), pictures(12, seed=1)
    network = task.network()
    objective = task.objective(network, pictures(), dev, training())
    network.eval()
    figures, probs = objective.evaluate(), task.answers(network, dev).values["probs"]
    pixels = torch.from_numpy(dev.pixels(SIDE, np.arange(12), 3, "crop").transpose(0, 3, 1, 2)).float()
    truth = torch.arange(12) % 2
    with torch.no_grad():
        logits = network(pixels)
        assert isinstance(logits, Tensor)
        assert figures["loss"] == pytest.approx(F.cross_entropy(logits, truth).item(), rel=1e-5)
        for head in (network.network.aux1, network.network.aux2):
            for parameter in head.parameters():
                parameter.normal_()
    assert objective.evaluate() == figures
    assert np.array_equal(task.answers(network, dev).values["probs"], probs)


def test_a_network_that_knows_nothing_is_expected_to_lose_in_each_head() -> None:
    assert task_for("googlenet_bn").expected_loss() == pytest.approx(1.6 * math.log(2))
    assert task_for("googlenet_bn", 0.0).expected_loss() == pytest.approx(math.log(2))
    assert task_for("resnet20", None).expected_loss() == pytest.approx(math.log(2))


def test_training_teaches_them_and_without_a_weight_there_are_none() -> None:
    torch.manual_seed(0)
    task = task_for("googlenet_bn")
    network = task.network()
    before = {key: value.clone() for key, value in network.named_parameters() if ".aux" in key}
    fit(task.objective(network, pictures(), pictures(8, seed=1), training()), training())
    after = dict(network.named_parameters())
    assert len(before) == 2 * 7  # a convolution, its norm and two dense layers each
    assert all(not torch.equal(after[key], value) for key, value in before.items())
    for absent in (0.0, None):  # None: a run from before there was this key
        assert not any(".aux" in key for key, _ in task_for("googlenet_bn", absent).network().named_parameters())


@pytest.mark.parametrize("name", ["googlenet", "googlenet_bn", "resnet18"])
def test_from_random_weights_they_are_used_from_given_ones_not(name: str) -> None:
    def suggested(**settings: Any) -> float:
        said = ImageClassification(ImageClassificationConfig(network=name, **settings)).suggest(pictures())
        return said["task.side_weight"]

    if name == "resnet18":
        assert suggested(weights="none") == 0.0
        return
    assert suggested(weights="none") == 0.3
    assert suggested(weights="none", unfreeze_epochs=1) == 0.0
    if name == "googlenet_bn":
        assert suggested(weights="googlenet_torchvision") == 0.0
    assert [each for each in image_networks() if has_side_heads(each)] == list(WITH)


def test_they_belong_to_the_head_wherever_stages_are_counted() -> None:
    with_sides, without = googlenet_bn(3, side_heads=True), googlenet_bn(3, side_heads=False)
    chain, bare = stages(with_sides), stages(without)
    assert [stage.names for stage in chain[:-1]] == [stage.names for stage in bare[:-1]]
    assert bare[-1].names == ["fc.weight", "fc.bias"]
    assert chain[-1].names[:2] == bare[-1].names
    assert {name.partition(".")[0] for name in chain[-1].names} == {"fc", "aux1", "aux2"}


def test_a_file_without_them_lets_them_start_afresh(tmp_path: Path) -> None:
    torch.manual_seed(0)
    save_file(googlenet_bn(3, side_heads=False).state_dict(), tmp_path / "bare.safetensors")
    network = googlenet_bn(3, side_heads=True)
    drawn = network.aux1.fc2.weight.clone()
    notes = load(network, tmp_path / "bare.safetensors")
    assert notes == ["aux1 starts afresh: the file has no side heads", "aux2 starts afresh: the file has no side heads"]
    assert torch.equal(network.aux1.fc2.weight, drawn)


def test_describe_sets_them_apart() -> None:
    network = googlenet_bn(3, side_heads=True)
    found, bare = (describe(each, torch.zeros(1, 3, 64, 64)) for each in (network, googlenet_bn(3, side_heads=False)))
    assert (found.num_layers, found.multiply_adds) == (bare.num_layers, bare.multiply_adds)
    assert {layer.name.partition(".")[0] for layer in found.layers if not layer.used} == {"aux1", "aux2"}
    assert all(layer.used for layer in bare.layers)
    assert describe(*build("googlenet")).parameters == 6_998_552  # the paper's count is that without them


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"transfer": "head", "weights": "googlenet_torchvision"}, "transfer is head"),
        ({"transfer": "last-2", "weights": "googlenet_torchvision"}, "transfer is last-2"),
        ({"unfreeze_epochs": 2}, "unfreeze_epochs is 2"),
    ],
)
def test_where_part_of_the_network_is_frozen_they_are_refused(settings: dict[str, Any], said: str) -> None:
    values = {"kind": "image_classification", "network": "googlenet_bn", "side_weight": 0.3, **settings}
    with pytest.raises(ConfigError, match=rf"(?s)side_weight is 0\.3, but .*{said}.*Set task.side_weight=0"):
        parse({"data": {"source": "photos"}, "task": values})


def test_a_weight_for_what_is_not_there_is_told() -> None:
    task = task_for("resnet20")
    (finding,) = [found for found in task.findings(pictures()) if found.code == "side-weight-idle"]
    assert "task.side_weight is 0.3, but resnet20 has no side heads" in finding.message
    assert "Leave task.side_weight out" in finding.remedy
    assert not [found for found in task_for("googlenet_bn").findings(pictures()) if found.code == "side-weight-idle"]


@pytest.mark.slow
@pytest.mark.system("arch.side-heads")
@pytest.mark.parametrize("name", WITH)
def test_a_run_uses_them_and_leaves_them_out_of_what_it_ships(  # type: ignore[no-untyped-def]
    name: str, tmp_path: Path, cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    """From a folder of pictures to ONNX at the command line."""
    monkeypatch.chdir(tmp_path)
    train = pictures(40)
    for i in range(len(train)):
        example = train[i]
        folder = tmp_path / "photos" / str(example.target)
        folder.mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.asarray(example.input)).save(folder / f"{i:02}.png")
    sets = [f"task.network={name}", "training.epochs=1", "training.batch_size=8"]
    code, _, err = cli("start", "photos", *(word for each in sets for word in ("--set", each)))
    assert code == 0, err
    run = tmp_path / "photos-orthogon" / "runs" / "0001"
    assert "side_weight: 0.3" in (run / "config.yaml").read_text()
    events = [json.loads(line) for line in (run / "log.jsonl").read_text().splitlines()]
    (first,) = [event for event in events if event["event"] == "gradients" and event["step"] == 1]
    for head in ("aux1", "aux2"):
        assert first["gradient_norms"][f"network.{head}.fc2.weight"] > 0
    assert any(key.startswith("network.aux1.") for key in load_file(run / "weights.safetensors"))
    code, _, err = cli("export", "-o", "network.onnx")
    assert code == 0, err
    tensors = [tensor.name for tensor in onnx.load("network.onnx").graph.initializer]
    assert tensors
    assert not any("aux" in tensor for tensor in tensors)
