"""Transfer: exactly what is chosen changes, features are computed once, and weights are found or missed aloud."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file, save_file
from torch import nn

import orthogon as og
from orthogon.data.config import DataConfig
from orthogon.data.images import ArrayImages, Pictures, read_image_folder
from orthogon.errors import ConfigError, OrthogonError, ShapeError, UsageError
from orthogon.models import builder, weights
from orthogon.models.image_network import stages
from orthogon.project.config import parse
from orthogon.tasks import transfer
from orthogon.tasks.image_classification import ImageClassification, ImageClassificationConfig
from orthogon.training.config import TrainingConfig
from orthogon.training.loop import fit

N, SIDE = 24, 32
NETWORKS = ("squeezenet1_1", "resnet20", "mobilenet_v2")


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache folder for weights."""
    monkeypatch.setenv("ORTHOGON_CACHE", str(tmp_path / "cache"))
    (tmp_path / "cache" / "weights").mkdir(parents=True)
    return tmp_path / "cache" / "weights"


def pictures(n: int = N, side: int = SIDE, channels: int = 3, seed: int = 0) -> ArrayImages:
    rng = np.random.default_rng(seed)
    images = rng.integers(0, 90, (n, side, side, channels), dtype=np.uint8)
    images[::2, : side // 2] += 120
    return ArrayImages(images, np.array(["north", "south"])[np.arange(n) % 2], "pictures")


def file_of(name: str, folder: Path, num_classes: int = 7, seed: int = 11) -> Path:
    """Weights of that network as another data set left them: batch norm statistics among them."""
    torch.manual_seed(seed)
    network = builder(name)(num_classes=num_classes, in_channels=3)
    for layer in network.modules():
        if isinstance(layer, nn.BatchNorm2d):
            layer.running_mean.normal_(std=0.1)
            layer.running_var.uniform_(0.5, 1.5)
    save_file(network.state_dict(), folder / f"{name}.safetensors")
    return folder / f"{name}.safetensors"


def task_for(train: Pictures, **settings: Any) -> ImageClassification:
    plain = {"size": SIDE, "channels": 3, "dropout": 0.0, "augment": {"strength": 0.0, "flip": 0.0}}
    task = ImageClassification(ImageClassificationConfig(**{**plain, **settings}))
    task.fit(train)
    return task


def config(**more: Any) -> TrainingConfig:
    settings = {"lr": 0.01, "epochs": 2, "batch_size": 8, "preflight": False, "keep_best": False, "weight_decay": 0.1}
    return TrainingConfig.model_validate({**settings, **more})


def trained(task: ImageClassification, train: Pictures, dev: Pictures | None = None, **more: Any) -> nn.Module:
    torch.manual_seed(0)
    network = task.network()
    fit(task.objective(network, train, dev, config(**more)), config(**more))
    return network


# -- three regimes ------------------------------------------------------------------------------------------------


@pytest.mark.system("arch.transfer3")
@pytest.mark.parametrize("mode", ["head", "last-2", "all"])
@pytest.mark.parametrize("name", NETWORKS)
def test_exactly_what_is_chosen_changes(name: str, mode: str, tmp_path: Path) -> None:
    """Every tensor of the state is compared with the file's, batch norm statistics too; dev is measured meanwhile."""
    train, file = pictures(), file_of(name, tmp_path)
    vary = {"strength": 1.0, "flip": 0.5}  # no features are kept: the frozen part runs in each update
    task = task_for(train, network=name, weights=str(file), transfer=mode, augment=vary)
    torch.manual_seed(0)
    network = task.network()
    objective = task.objective(network, train, pictures(seed=1), config())
    before = {key: value.clone() for key, value in network.state_dict().items()}
    chain = stages(network)
    head = set(chain[-1].names)
    for key, value in load_file(file).items():
        if f"network.{key}" not in head:
            assert torch.equal(before[f"network.{key}"], value), key
    trained_stages = chain[-{"head": 1, "last-2": 3, "all": len(chain)}[mode] :]
    chosen = {key for stage in trained_stages for key in stage.names}
    assert {
        key for key, p in network.named_parameters() if p.requires_grad
    } == chosen  # no gradient is computed in vain
    fit(objective, config(evaluate_every=2))
    norms = {id(layer) for stage in trained_stages for part in stage.modules for layer in part.modules()}
    for prefix, layer in network.named_modules():
        if isinstance(layer, nn.BatchNorm2d) and id(layer) in norms:
            chosen |= {f"{prefix}.{part}" for part in ("running_mean", "running_var", "num_batches_tracked")}
    after = network.state_dict()
    assert {key for key in before if not torch.equal(before[key], after[key])} == chosen


def test_frozen_layers_drop_nothing(tmp_path: Path) -> None:
    """With its last stage trained, VGG's dropout between frozen dense layers is off, the head's own is on."""
    with torch.device("meta"):
        network = builder("vgg11")(num_classes=2)
    modes = transfer.Transfer(network, "last-1")
    network.train()
    modes.hold_frozen()
    assert [layer.training for layer in network.classifier] == [False, False, False, True, False, True, True]
    assert not any(layer.training for layer in network.features)
    assert network.training
    network.eval()
    modes.hold_frozen()
    assert not any(layer.training for layer in network.modules())


def test_folded_norms_get_true_statistics_and_the_network_stays_what_it_was() -> None:
    torch.manual_seed(5)
    network = builder("mobilenet_v2")(num_classes=3, in_channels=3)
    norms = [layer for layer in network.modules() if isinstance(layer, nn.BatchNorm2d)]
    for norm in norms:  # all is in weight and bias, as folding leaves it
        norm.running_var.fill_(1 - 1e-5)
        nn.init.uniform_(norm.weight, 0.5, 3.0)
        nn.init.normal_(norm.bias)
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    images, others = torch.rand(16, 3, 64, 64), torch.rand(4, 3, 64, 64)
    answers = network.eval()(others)

    def batch_statistics_change() -> float:
        with torch.no_grad():
            network.eval()
            features = network.features(images)
            network.train()
            for norm in norms:
                norm.momentum = 0.0  # statistics stay
            return ((network.features(images) - features).norm() / features.norm()).item()

    assert batch_statistics_change() > 0.5  # what training would have begun with
    part = transfer.Transfer(network, "last-3")
    transfer.unfold_norms(part, images)
    trained = tuple(f"features.{k}." for k in (16, 17, 18))
    kept = [name for name in before if not name.startswith(trained) and not name.endswith("num_batches_tracked")]
    assert len(kept) > 200
    assert all(torch.equal(network.state_dict()[name], before[name]) for name in kept)
    transfer.unfold_norms(transfer.Transfer(network, "all"), images)
    assert batch_statistics_change() < 1e-3
    torch.testing.assert_close(network.eval()(others), answers, rtol=1e-3, atol=1e-4)


def test_rates_fall_from_the_head_down_and_stages_thaw_one_by_one(tmp_path: Path) -> None:
    train = pictures()
    task = task_for(
        train, network="resnet20", weights=str(file_of("resnet20", tmp_path)), transfer="last-2", layer_lr_decay=0.5,
        unfreeze_epochs=2,
    )  # fmt: skip
    network = task.network()
    objective = task.objective(network, train, None, config())
    low, middle, head = (stage.names for stage in stages(network)[-3:])
    scales = objective.lr_scales()
    assert {scales[key] for key in head} == {1.0}
    assert {scales[key] for key in middle} == {0.5}
    assert {scales[key] for key in low} == {0.25}
    assert set(scales) == {*low, *middle, *head}
    thawing = [set(objective.frozen(epoch)) for epoch in (1, 2, 3, 4, 5, 6)]
    assert thawing == [{*low, *middle}] * 2 + [set(low)] * 2 + [set()] * 2
    before = {key: value.clone() for key, value in network.state_dict().items()}
    fit(objective, config(epochs=4))
    changed = {key for key, value in network.state_dict().items() if not torch.equal(value, before[key])}
    assert {key for key in changed if key in scales} == {*middle, *head}
    norms = {key.removesuffix(".running_mean") for key in changed if key.endswith(".running_mean")}
    assert norms == {"network.stages.2.2.bn1", "network.stages.2.2.bn2"}  # of the last block alone


def test_the_decay_of_rates_changes_what_an_update_does(tmp_path: Path) -> None:
    """Adam's first step is as long as the rate whatever the gradient: a quarter of the rate, a quarter of the step."""
    train, file, steps = pictures(), file_of("resnet20", tmp_path), []
    for decay in (1.0, 0.25):
        task = task_for(train, network="resnet20", weights=str(file), transfer="last-1", layer_lr_decay=decay)
        torch.manual_seed(0)
        network = task.network()
        settings = config(epochs=1, batch_size=N, weight_decay=0.0)
        objective = task.objective(network, train, None, settings)
        before = {name: parameter.detach().clone() for name, parameter in objective.parameters().items()}
        fit(objective, settings)
        steps.append({name: parameter.detach() - before[name] for name, parameter in objective.parameters().items()})
    stage, head = (chosen.names for chosen in stages(network)[-2:])
    assert set(steps[0]) == {*stage, *head}
    for name, step in steps[0].items():
        assert step.abs().max() > 1e-4
        torch.testing.assert_close(steps[1][name], step * (0.25 if name in stage else 1.0), rtol=0.01, atol=1e-6)


# -- features are computed once -----------------------------------------------------------------------------------


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = pictures()
    for i, (image, label) in enumerate(zip(made.images, made.labels, strict=True)):
        place = tmp_path / "photos" / str(label)
        place.mkdir(parents=True, exist_ok=True)
        Image.fromarray(image).save(place / f"{i}.png")
    return tmp_path / "photos"


@pytest.fixture
def forwards(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Pictures in each forward of the first fire module of a SqueezeNet."""
    from orthogon.models.squeezenet import Fire

    counted: list[int] = []
    plain = Fire.forward

    def counting(self: Fire, x: torch.Tensor) -> torch.Tensor:
        if self.squeeze.in_channels == 64:
            counted.append(len(x))
        return plain(self, x)

    monkeypatch.setattr(Fire, "forward", counting)
    return counted


@pytest.mark.system("arch.feature-cache")
def test_kept_features_give_the_weights_of_an_uncached_run(
    folder: Path, tmp_path: Path, forwards: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Dropout before the head is on. 10 epochs forward each of 24 pictures once instead of 10 times, then never."""
    examples = read_image_folder(DataConfig(source=str(folder)), tmp_path / "kept")
    train, dev = examples.take(np.arange(16)), examples.take(np.arange(16, N))
    file = file_of("squeezenet1_1", tmp_path)
    task = task_for(train, network="squeezenet1_1", weights=str(file), transfer="head", dropout=0.5)
    counts, ends = [], []
    for largest in (transfer.FEATURE_BYTES, transfer.FEATURE_BYTES, 0):
        monkeypatch.setattr(transfer, "FEATURE_BYTES", largest)
        forwards.clear()
        network = trained(task, train, dev, epochs=10)
        counts.append(sum(forwards) - 1)  # one picture is looked at to tell how large features are
        ends.append(network.state_dict())
    assert counts == [N, 0, 10 * N]
    assert len(list((tmp_path / "kept").glob("features-*.npy"))) == 2  # of train and of dev
    for cached in ends[:2]:
        for key, value in ends[2].items():
            torch.testing.assert_close(cached[key], value, rtol=1e-5, atol=1e-5)
    start = task.network()
    transfer.load_body(start, file)
    assert not torch.equal(ends[0]["network.classifier.1.weight"], start.state_dict()["network.classifier.1.weight"])


def test_kept_features_are_those_of_eval_mode(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """ResNet-20's batch norms would make other features of a batch's own statistics."""
    train = read_image_folder(DataConfig(source=str(folder)), tmp_path / "kept")
    task = task_for(train, network="resnet20", weights=str(file_of("resnet20", tmp_path)), transfer="head")
    ends = []
    for largest in (transfer.FEATURE_BYTES, 0):
        monkeypatch.setattr(transfer, "FEATURE_BYTES", largest)
        ends.append(trained(task, train).state_dict())
    for key, value in ends[1].items():
        torch.testing.assert_close(ends[0][key], value, rtol=1e-5, atol=1e-5)


def test_features_of_other_weights_sizes_or_pictures_are_others(folder: Path, tmp_path: Path) -> None:
    examples = read_image_folder(DataConfig(source=str(folder)), tmp_path / "kept")
    cases = [("squeezenet1_1", 32, 16, 1), ("squeezenet1_1", 40, 16, 1), ("resnet20", 32, 16, 1)]
    cases += [("squeezenet1_1", 32, 20, 1), ("squeezenet1_1", 32, 16, 2)]
    for name, size, rows, seed in cases:
        train = examples.take(np.arange(rows))
        file = file_of(name, tmp_path, seed=seed)
        trained(task_for(train, network=name, weights=str(file), transfer="head", size=size), train)
    assert len(list((tmp_path / "kept").glob("features-*.npy"))) == len(cases)


def test_varied_pictures_keep_no_features(folder: Path, tmp_path: Path) -> None:
    train = read_image_folder(DataConfig(source=str(folder)), tmp_path / "kept")
    vary = {"strength": 0.0, "flip": 0.5}
    file = file_of("squeezenet1_1", tmp_path)
    trained(task_for(train, network="squeezenet1_1", weights=str(file), transfer="head", augment=vary), train)
    assert not list((tmp_path / "kept").glob("features-*"))


def test_a_full_disk_costs_no_training(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    train = read_image_folder(DataConfig(source=str(folder)), tmp_path / "kept")

    def full(*words: Any, **more: Any) -> Any:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(np.lib.format, "open_memmap", full)
    file = file_of("squeezenet1_1", tmp_path)
    trained(task_for(train, network="squeezenet1_1", weights=str(file), transfer="head"), train)
    assert not list((tmp_path / "kept").glob("features-*"))


# -- which weights ------------------------------------------------------------------------------------------------


@pytest.fixture
def preset(cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> weights.Preset:
    """A preset of SqueezeNet 1.1 that wants 30 pictures, and whose file lies in the cache folder."""
    file = file_of("squeezenet1_1", tmp_path)
    made = replace(
        weights.PRESETS["squeezenet1_1_torchvision"],
        file="small.safetensors", sha256=hashlib.sha256(file.read_bytes()).hexdigest(), min_images=30,
    )  # fmt: skip
    monkeypatch.setitem(weights.PRESETS, made.name, made)
    file.rename(cache / made.file)
    return made


def suggested(examples: Pictures, **settings: Any) -> dict[str, Any]:
    return ImageClassification(ImageClassificationConfig(**settings)).suggest(examples)


def test_weights_that_lie_here_are_used_for_photos_alone(preset: weights.Preset) -> None:
    for examples, settings, network, chosen in (
        (pictures(side=80), {}, "squeezenet1_1", preset.name),
        (pictures(side=28), {}, "convnet", "none"),
        (pictures(side=80), {"network": "convnet"}, "convnet", "none"),
        (pictures(side=80), {"network": "resnet18"}, "resnet18", "none"),
        (pictures(side=80), {"weights": "none"}, "convnet", "none"),
        (pictures(side=28), {"weights": preset.name}, "squeezenet1_1", preset.name),
    ):
        said = suggested(examples, **settings)
        assert (said["task.network"], said["task.weights"]) == (network, chosen)
        assert said["task.transfer"] == ("head" if chosen != "none" else "all")
        assert ("task.width" in said) == (network == "convnet")


@pytest.mark.parametrize(("n", "mode"), [(999, "head"), (1_000, "last-4"), (49_999, "last-4"), (50_000, "all")])
def test_more_data_trains_more_stages(n: int, mode: str) -> None:
    said = transfer.suggest(n, 300, "mobilenet_v2", "mobilenet_v2_imagenet", None)
    assert said["task.transfer"] == mode
    assert 128 <= said["task.size"] <= 224
    assert said["training.epochs"] >= 3


def test_a_change_that_is_asked_for_is_made_where_only_the_head_is_trained(preset: weights.Preset) -> None:
    for asked in ({"rotation": 30}, {"mixup": 0.2}, {"erase": 0.3, "flip": 0.0}):
        said = suggested(pictures(side=80), augment=asked)
        assert (said["task.transfer"], said["task.augment.strength"], said["task.augment.flip"]) == ("head", 1.0, 0.5)
    for quiet in ({}, {"flip": 0.0}, {"rotation": 0}):
        said = suggested(pictures(side=80), augment=quiet)
        assert (said["task.transfer"], said["task.augment.strength"], said["task.augment.flip"]) == ("head", 0.0, 0.0)


def test_a_preview_with_weights_in_the_cache_folder(
    cli: Any, preset: weights.Preset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for i, image in enumerate(pictures(28, side=80).images):
        place = tmp_path / "photos" / "ab"[i % 2]
        place.mkdir(parents=True, exist_ok=True)
        Image.fromarray(image).save(place / f"{i}.png")
    code, out, _ = cli("data", "preview", "photos", "--set", "task.augment.rotation=30")
    assert code == 0
    assert "turn ±30°" in out
    code, _, err = cli("data", "preview", "photos", "-o", "other.png")
    assert code == 2
    assert "only the head of pretrained weights is trained" in " ".join(err.split())
    none = ("--set", "task.augment.strength=0", "--set", "task.augment.flip=0")
    code, _, err = cli("data", "preview", "photos", "-o", "other.png", *none)
    assert code == 2
    assert "pictures are not varied" in err
    assert "the head" not in err  # it was the user


def test_dropout_is_suggested_only_where_the_network_has_it() -> None:
    for name, has in (("resnet18", False), ("lenet5", False), ("mobilenet_v2", True), ("vit_small", True)):
        assert ("task.dropout" in suggested(pictures(side=80), network=name, weights="none")) == has, name
        settings = {"network": name, "size": 64 if name != "lenet5" else 32}
        for share in (0.0, 0.3):
            task = task_for(pictures(), **settings, dropout=share)
            found = [finding.message for finding in task.findings(pictures()) if finding.code == "dropout-idle"]
            told = [f"task.dropout is 0.3, but {name} has no dropout: nothing is dropped."]
            assert found == (told if share and not has else [])


def test_grey_pictures_go_into_a_colour_network(preset: weights.Preset, monkeypatch: pytest.MonkeyPatch) -> None:
    """As three equal channels, or folded into one; where all channels are normalised alike, both are the same."""
    monkeypatch.setitem(weights.PRESETS, preset.name, replace(preset, mean=(0.4,) * 3, std=(0.2,) * 3))
    grey = pictures(side=80, channels=1)
    assert suggested(grey)["task.channels"] == 3
    logits = []
    for channels in (1, 3):
        task = task_for(grey, network="squeezenet1_1", weights=preset.name, transfer="head", channels=channels)
        torch.manual_seed(0)
        network = task.network().eval()
        task.objective(network, grey, None, config())
        with torch.no_grad():
            network.network.classifier[1].weight.copy_(torch.eye(2, 512)[:, :, None, None])  # drawn with other numbers
            logits.append(network(task._pixels(grey, np.arange(6)).float()))
    torch.testing.assert_close(logits[0], logits[1], rtol=1e-4, atol=1e-5)
    assert logits[0].std() > 1e-4


@pytest.mark.parametrize("by_path", [False, True])
def test_the_arguments_a_preset_wants_reach_the_network(
    cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, by_path: bool
) -> None:
    """Also in a run that is loaded when the file is gone; weights given as a path are known by their content."""
    file = file_of("mobilenet_v2", tmp_path)
    made = replace(
        weights.PRESETS["mobilenet_v2_imagenet"],
        file="here.safetensors", sha256=hashlib.sha256(file.read_bytes()).hexdigest(),
    )  # fmt: skip
    assert made.arguments == {"padding": "tensorflow"}
    monkeypatch.setitem(weights.PRESETS, made.name, made)
    place = file if by_path else file.rename(cache / made.file)
    task = task_for(pictures(), network="mobilenet_v2", weights=str(place) if by_path else made.name, transfer="head")
    place.unlink()
    loaded = ImageClassification(task.config)
    loaded.load_state(task.state())
    images = torch.rand(2, 3, SIDE, SIDE)
    for each in (task, loaded):
        assert each.mean == [127.5] * 3
        network = each.network().network.eval()
        for padding, same in (("tensorflow", True), ("symmetric", False)):
            other = builder("mobilenet_v2")(num_classes=2, in_channels=3, padding=padding).eval()
            other.load_state_dict(network.state_dict())
            torch.manual_seed(0)
            with torch.no_grad():
                assert torch.equal(other.features(images), network.features(images)) == same


def test_a_damaged_file_in_the_cache_stops_nothing(
    preset: weights.Preset, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A more suitable preset is damaged: it is passed over, and said so, whatever the weights are."""
    bad = weights.PRESETS["mobilenet_v2_imagenet"]
    (cache / bad.file).write_bytes(b"\0" * 100)
    train = pictures(30, side=80)
    assert suggested(train)["task.weights"] == preset.name
    for settings in ({"network": preset.network, "weights": preset.name, "transfer": "head"}, {"weights": "none"}):
        task = task_for(train, size=64, **settings)
        assert task.about_network()
        (found,) = task.findings(train)
        assert (found.code, found.severity, found.places) == ("damaged-weights", "warning", (str(cache / bad.file),))
        assert "passed over" in found.message
        assert found.remedy.startswith("Delete it, or place a good copy there.")
    (cache / preset.file).unlink()
    assert suggested(train)["task.weights"] == "none"
    assert suggested(train, network="mobilenet_v2")["task.weights"] == "none"
    assert task_for(pictures(side=80), size=64, weights="none").about_network().startswith("No pretrained weights")
    assert not task_for(pictures(), weights="none").findings(pictures())  # too small for any


def test_a_presets_file_is_known_by_its_content_alone(preset: weights.Preset, cache: Path, tmp_path: Path) -> None:
    settings = {"network": preset.network, "transfer": "head"}
    train = pictures(30)
    renamed = tmp_path / "mine.safetensors"
    renamed.write_bytes((cache / preset.file).read_bytes())
    task = task_for(train, weights=str(renamed), **settings)
    assert task.about_network().startswith(preset.notice)
    assert not task.findings(train)
    assert not list(tmp_path.glob("*.json"))  # nothing is left beside the user's file
    other = file_of("squeezenet1_1", tmp_path, seed=12).rename(tmp_path / preset.file)
    task = task_for(train, weights=str(other), **settings)
    assert task.about_network().startswith(f"Weights {other}.")
    (found,) = task.findings(train)
    assert (found.code, found.severity) == ("other-weights", "warning")
    assert f"{other} has the name of {preset.name}, but these are other weights" in found.message
    assert task.mean != [255 * value for value in preset.mean]


@pytest.mark.system("arch.data-spectrum")
@pytest.mark.parametrize(("n", "warned"), [(28, True), (30, False)])
def test_below_a_presets_minimum_there_is_a_warning(preset: weights.Preset, n: int, warned: bool) -> None:
    examples = pictures(n, side=80)
    task = task_for(examples, network="squeezenet1_1", weights=preset.name, transfer="head")
    found = [finding for finding in task.findings(examples) if finding.code == "few-pictures"]
    assert len(found) == warned
    if warned:
        assert found[0].severity == "warning"
        assert found[0].remedy
        assert found[0].message == f"train has 28 pictures; training from {preset.name} wants at least 30"


@pytest.mark.system("arch.data-spectrum")
def test_every_preset_declares_a_minimum() -> None:
    assert all(preset.min_images > 0 for preset in weights.PRESETS.values())


def test_it_is_said_which_weights_are_used_or_that_there_are_none(preset: weights.Preset, cache: Path) -> None:
    def said(**settings: Any) -> str:
        return task_for(pictures(side=80), size=64, **settings).about_network()

    notice = f"Weights {preset.name}: BSD-3-Clause; trained on ImageNet-1k (non-commercial research terms). "
    notice += "Not for commercial use. "
    with_weights = {"network": preset.network, "weights": preset.name}
    assert said(**with_weights, transfer="head") == notice + "Only its head is trained."
    assert said(**with_weights, transfer="last-3") == notice + "Its head and 3 stages before it are trained."
    assert said(**with_weights, transfer="all") == notice + "All of it is trained."
    varied = " Pictures are varied (task.augment), so each epoch passes them through the frozen part anew."
    vary = {"strength": 1.0, "flip": 0.0}
    assert said(**with_weights, transfer="head", augment=vary) == notice + "Only its head is trained." + varied
    assert said(**with_weights, transfer="all", augment=vary) == notice + "All of it is trained."
    unused = f"From scratch: the weights {preset.name} in {cache} are not used."
    assert said(weights="none") == said(weights="none", network=preset.network) == unused
    other = f"No weights of resnet18 in {cache}: from scratch. To fetch some: orthogon weights get resnet18_torchvision"
    assert said(weights="none", network="resnet18") == other
    assert said(weights="none", network="lenet5") == f"No weights of lenet5 in {cache}: from scratch."
    below = len(stages(task_for(pictures(side=80), size=64, **with_weights).network())) - 1
    whole = f"All of it is trained: its head and the {below} stages before it."
    for count in (below, 99):
        assert said(**with_weights, transfer=f"last-{count}") == notice + whole
    assert said(**with_weights, transfer="last-1") == notice + "Its head and 1 stage before it are trained."
    (cache / preset.file).rename(cache / "elsewhere")
    assert said(weights="none").startswith(f"No pretrained weights in {cache}: from scratch.")
    assert "orthogon weights get mobilenet_v2_torchvision" in said(weights="none")
    assert task_for(pictures(), weights="none").about_network() == ""  # pictures too small for any


@pytest.mark.slow
def test_a_start_uses_weights_and_its_run_answers_without_them(
    cli: Any, preset: weights.Preset, tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for i, image in enumerate(pictures(28, side=80).images):
        place = tmp_path / "photos" / "ab"[i % 2]
        place.mkdir(parents=True, exist_ok=True)
        Image.fromarray(image).save(place / f"{i}.png")
    sets = ("--set", "training.epochs=1", "--set", "task.size=64", "--set", "training.preflight=false")
    code, out, _ = cli("start", "photos", *sets)
    assert code == 0
    said = " ".join(out.split())
    assert "SqueezeNet" in said
    assert f"Weights {preset.name}" in said
    run = og.load("photos-orthogon")
    assert "few-pictures" in [finding.code for finding in run.findings()]
    assert run.config["task"]["transfer"] == "head"
    (cache / preset.file).unlink()
    run.predict("photos", "answers.csv")
    assert len(Path("answers.csv").read_text().splitlines()) == 29
    assert run.export("network.onnx")["largest_difference"] < 1e-4


# -- bad input ----------------------------------------------------------------------------------------------------


def test_pictures_too_small_for_the_network() -> None:
    with pytest.raises(ConfigError) as caught:
        task_for(pictures(), network="alexnet")
    assert caught.value.what == "alexnet takes pictures from 67 pixels a side on; task.size is 32"
    assert "task.size" in caught.value.where
    assert "Set task.size to 67 or more" in caught.value.remedy


def test_weights_of_another_network_name_the_first_tensor(tmp_path: Path) -> None:
    file = file_of("resnet20", tmp_path)
    with pytest.raises(ShapeError, match=r'tensor "features\.0\.0\.weight"') as caught:  # before a run is made
        task_for(pictures(), network="mobilenet_v2", weights=str(file), transfer="head")
    told = "They are the weights of resnet20: set task.network=resnet20, or take weights of this one."
    assert caught.value.remedy == told
    assert caught.value.what.startswith("these are not the weights of this MobileNetV2: ")
    run = {f"network.{key}": tensor for key, tensor in load_file(file).items()}  # of an earlier run: pixels in front
    save_file(run | {key: torch.ones(1, 3, 1, 1) for key in ("mean", "std")}, file)
    with pytest.raises(ShapeError, match=r"of this MobileNetV2: tensor \"network\.features") as caught:
        task_for(pictures(), network="mobilenet_v2", weights=str(file), transfer="head")
    assert caught.value.remedy == told
    save_file({"weight": torch.ones(2)}, file)
    with pytest.raises(ShapeError, match=r"Set task\.network to the network they are of, or take weights of this one"):
        task_for(pictures(), network="mobilenet_v2", weights=str(file), transfer="head")


@pytest.mark.parametrize("network", ["resnet18", "lenet5", "convnet"])
def test_a_preset_of_another_network_is_named(network: str) -> None:
    for act in (
        lambda: suggested(pictures(side=80), network=network, weights="mobilenet_v2_imagenet"),
        lambda: task_for(pictures(), network=network, weights="mobilenet_v2_imagenet"),
    ):
        with pytest.raises(ConfigError) as caught:
            act()
        assert caught.value.what == f"weights mobilenet_v2_imagenet are of mobilenet_v2, task.network is {network}"
        assert caught.value.remedy.startswith("Set task.network to mobilenet_v2, or task.weights to none")
        assert ("resnet18_torchvision" in caught.value.remedy) == (network == "resnet18")


def test_weights_without_a_network_are_those_of_convnet_or_mistyped(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="neither a preset nor a file") as caught:
        suggested(pictures(side=80), weights="resnet18")
    assert caught.value.remedy.startswith('Did you mean "resnet18_torchvision"?')
    with pytest.raises(UsageError) as caught:
        suggested(pictures(side=80), weights="mobilenet_v2_imagnet")
    assert caught.value.remedy.startswith('Did you mean "mobilenet_v2_imagenet"?')
    file = file_of("resnet20", tmp_path)
    said = suggested(pictures(side=80), weights=str(file))
    assert (said["task.network"], said["task.size"], said["task.stages"]) == ("convnet", 64, 4)
    with pytest.raises(ShapeError, match="not the weights of this ConvNet") as shape:
        task_for(pictures(), weights=str(file))
    assert "set task.network=resnet20" in shape.value.remedy


@pytest.mark.parametrize(("settings", "what", "remedy"), [
    ({"network": "vit_b_16", "size": 100}, "a multiple of 16 pixels; task.size is 100", "task.size to 96 or 112."),
    ({"network": "vit_small", "size": 5}, "a multiple of 8 pixels; task.size is 5", "task.size to 8."),
    ({"network": "vit_b_16", "size": 96, "weights": "vit_b_16_torchvision"}, "of 224 pixels a side", "size to 224,"),
])  # fmt: skip
def test_sides_that_do_not_divide_into_patches(settings: dict[str, Any], what: str, remedy: str) -> None:
    with pytest.raises(ConfigError) as caught:
        task_for(pictures(), **settings)
    assert what in caught.value.what
    assert remedy in caught.value.remedy
    assert "task.size" in caught.value.where


def test_weights_that_are_not_there() -> None:
    with pytest.raises(UsageError, match="neither a preset nor a file") as caught:
        task_for(pictures(), network="resnet20", weights="resnet20_imagenet", transfer="head")
    assert caught.value.where == "task.weights"
    assert "orthogon weights list" in caught.value.remedy


def test_a_folder_or_a_mistyped_path_for_weights(tmp_path: Path) -> None:
    file = file_of("resnet20", tmp_path)
    for typed, what in ((tmp_path, "is a folder, not a file of weights"), (f"{file}x", "neither a preset nor a file")):
        with pytest.raises(UsageError, match=what) as caught:
            task_for(pictures(), network="resnet20", weights=str(typed), transfer="head")
        assert caught.value.where == "task.weights"
        assert caught.value.remedy == f'Did you mean "{file}"?'


def test_a_tampered_preset_is_refused_before_a_run_is_made(preset: weights.Preset, cache: Path) -> None:
    (cache / preset.file).write_bytes(b"\0" * 100)
    with pytest.raises(OrthogonError, match="is not the published small"):
        task_for(pictures(), network="squeezenet1_1", weights=preset.name, transfer="head")


@pytest.mark.parametrize(("settings", "what"), [
    ({"network": "resnet17"}, '"resnet17" is not an image network'),
    ({"network": "mlp"}, '"mlp" is not an image network'),
    ({"network": "resnet20", "width": 8}, r"task\.width is convnet's, .*resnet20\nLeave task\.width out"),
    ({"weights": "none", "transfer": "head"}, r"what is frozen would stay random\nSet task\.transfer=all, or fetch"),
    ({"transfer": "last-0"}, "transfer"),
])  # fmt: skip
def test_settings_that_cannot_hold(settings: dict[str, Any], what: str) -> None:
    with pytest.raises(ConfigError, match=what) as caught:
        parse({"data": {"source": "x"}, "task": {"kind": "image_classification", **settings}})
    assert caught.value.where.startswith("--set task.")
    assert "got {" not in str(caught.value)


def test_weights_of_an_earlier_run_are_taken_whole_but_for_the_head(tmp_path: Path) -> None:
    """Those of the built-in ConvNet, whose own normalisation comes with them, and of a network with pixels in front."""
    for name in ("convnet", "resnet20"):
        first = task_for(pictures(), network=name)
        network = trained(first, pictures(), epochs=1)
        save_file(network.state_dict(), tmp_path / f"{name}.safetensors")
        second = task_for(
            pictures(seed=3), network=name, weights=str(tmp_path / f"{name}.safetensors"), transfer="head"
        )
        other = second.network()
        drawn = {key: other.state_dict()[key].clone() for key in stages(other)[-1].names}
        second.objective(other, pictures(seed=3), None, config())
        for key, value in other.state_dict().items():
            assert torch.equal(value, drawn.get(key, network.state_dict()[key])), key
