"""Image classification: what it learns from train, what it refuses, how it trains, answers, scores and shows."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from PIL import Image

from orthogon.data.augment import AugmentConfig
from orthogon.data.config import DataConfig
from orthogon.data.images import ArrayImages, read_image_folder
from orthogon.data.loader import order
from orthogon.errors import DataError, TrainingError
from orthogon.project.config import put
from orthogon.tasks.image_classification import ImageClassification, ImageClassificationConfig, class_weights
from orthogon.training.config import TrainingConfig
from orthogon.training.loop import fit

TRAINING = TrainingConfig(lr=0.003, epochs=6, batch_size=32, weight_decay=0.01, preflight=False)


def corners(n: int = 120, side: int = 8, seed: int = 0, channels: int = 1) -> ArrayImages:
    """Noise with a bright square in the corner that the class names: what a network must look at is known."""
    rng = np.random.default_rng(seed)
    images = rng.integers(0, 90, (n, side, side, channels), dtype=np.uint8)
    labels = np.array(["north", "south"])[np.arange(n) % 2]
    third = side // 3
    images[0::2, :third, :third] += 150
    images[1::2, -third:, :third] += 150
    return ArrayImages(images, labels, "corners")


def section(chosen: dict[str, Any], name: str) -> dict[str, Any]:
    """One section of what is suggested by dotted keys, as nested values."""
    nested: dict[str, Any] = {}
    for key, value in chosen.items():
        put(nested, key, value)
    return dict(nested[name])


def made(examples: ArrayImages, **settings: Any) -> ImageClassification:
    """A fitted task with the suggested config, but as small as a test wants it."""
    small = {"width": 8, "stages": 2, "stem_stride": 1, "dropout": 0.0, "augment": {"strength": 0.0, "flip": 0.0}}
    chosen = section(ImageClassification(ImageClassificationConfig()).suggest(examples), "task")
    task = ImageClassification(ImageClassificationConfig(**{**chosen, **small, **settings}))
    task.fit(examples)
    return task


def trained(task: ImageClassification, train: ArrayImages, dev: ArrayImages | None = None) -> torch.nn.Module:
    torch.manual_seed(0)
    network = task.network()
    fit(task.objective(network, train, dev, TRAINING), TRAINING)
    return network


@pytest.mark.parametrize("memory", [2048, 1])
def test_a_single_picture_that_is_left_breaks_no_batch_norm(memory: int) -> None:
    """17 pictures in batches of 8; the last stage's map is one pixel, so that one picture has no variance."""
    side = 8 if memory > 1 else 160  # 17 · 3 · 160² bytes are more than 1 MiB
    train = corners(17, side, channels=3)
    task = made(train, size=side, stages=4, stem_stride=1 if side == 8 else 4, memory_mib=memory)
    network = task.network()
    seen: list[int] = []
    network.blocks[-1].register_forward_pre_hook(lambda _, inputs: seen.append(len(inputs[0])))  # type: ignore[index,operator,union-attr]
    settings = TRAINING.model_copy(update={"batch_size": 8, "epochs": 2, "preflight": False})
    assert fit(task.objective(network, train, None, settings), settings).steps == 4
    assert seen == [8, 9] * 2


@pytest.mark.parametrize(("changes", "holds"), [
    ({"batch_size": 1}, "the batch holds one example"),
    ({"batch_size": 2, "accumulate": 2}, "each of the 2 parts of a batch holds one example"),
])  # fmt: skip
def test_batches_of_one_before_a_batch_norm_of_one_pixel_are_told(changes: dict[str, int], holds: str) -> None:
    train = corners(6)
    task = made(train, stages=4)
    settings = TRAINING.model_copy(update=changes)
    with pytest.raises(TrainingError) as told:
        fit(task.objective(task.network(), train, None, settings), settings)
    assert told.value.what == f"batch norm needs two values a channel or more, and {holds}"
    assert told.value.where == "training.batch_size"
    assert "Raise training.batch_size" in told.value.remedy


# -- suggestions --------------------------------------------------------------------------------------------------


def test_every_open_field_is_suggested_and_every_suggestion_is_a_field() -> None:
    chosen = ImageClassification(ImageClassificationConfig()).suggest(corners())
    config = ImageClassificationConfig(**section(chosen, "task"))
    TrainingConfig(**section(chosen, "training"))
    values = {**config.model_dump(), **config.augment.model_dump()}
    assert [name for name, value in values.items() if value is None] == []
    fields = {**ImageClassificationConfig.model_fields, **AugmentConfig.model_fields}
    assert [name for name, field in fields.items() if not field.description] == ["kind"]


@pytest.mark.parametrize(("side", "channels", "names", "flips"), [
    (8, 1, ("cat", "dog"), False),  # tiny and grey: digits, letters
    (64, 1, ("cat", "dog"), False),
    (64, 3, ("cat", "dog"), True),
    (64, 3, ("0", "1"), False),
    (64, 3, ("b", "d"), False),
    (64, 3, ("turn left", "turn right"), False),
])  # fmt: skip
def test_pictures_are_mirrored_only_where_that_is_safe(
    side: int, channels: int, names: tuple[str, str], flips: bool
) -> None:
    images = np.random.default_rng(0).integers(0, 255, (8, side, side, channels), dtype=np.uint8)
    examples = ArrayImages(images, np.array(names)[np.arange(8) % 2])
    assert ImageClassification(ImageClassificationConfig()).suggest(examples)["task.augment.flip"] == (
        0.5 if flips else 0
    )


def test_small_pictures_keep_their_size_and_large_ones_become_64() -> None:
    task = ImageClassification(ImageClassificationConfig())
    assert task.suggest(corners(side=8))["task.size"] == 8
    assert task.suggest(corners(side=28))["task.size"] == 28
    assert task.suggest(corners(n=6, side=100))["task.size"] == 64


# -- fit ----------------------------------------------------------------------------------------------------------


def test_mean_and_deviation_are_trains_own_per_channel() -> None:
    train = corners(channels=3)
    task = made(train)
    pixels = train.images.reshape(-1, 3)
    assert task.mean == pytest.approx(pixels.mean(axis=0).tolist(), abs=1e-3)
    assert task.std == pytest.approx(pixels.std(axis=0, ddof=1).tolist(), abs=1e-3)


def test_one_class_is_refused_with_place_and_remedy() -> None:
    train = ArrayImages(np.zeros((3, 8, 8), np.uint8), ["cat"] * 3, "photos/")
    with pytest.raises(DataError) as caught:
        ImageClassification(ImageClassificationConfig()).fit(train)
    assert caught.value.what == 'train has only one class, "cat" (3 pictures)'
    assert caught.value.where == "photos/"
    assert "one folder a class" in caught.value.remedy


def test_no_label_at_all_is_refused() -> None:
    with pytest.raises(DataError, match="no picture has a class"):
        ImageClassification(ImageClassificationConfig()).fit(ArrayImages(np.zeros((3, 8, 8), np.uint8)))


def test_a_class_with_one_example_is_no_obstacle() -> None:
    train = corners(9)
    train.labels = np.array(["north", "south"] * 4 + ["alone"], dtype=object)
    task = made(train)
    assert task.class_names() == ["alone", "north", "south"]
    assert trained(task, train)(task.example_inputs(3)[0]).shape == (3, 3)


def test_state_travels_through_json_and_arrays() -> None:
    train = corners()
    task, network = made(train), None
    network = trained(task, train)
    state = task.state()
    arrays = {name: value for name, value in state.items() if isinstance(value, np.ndarray)}
    values = json.loads(json.dumps({name: value for name, value in state.items() if name not in arrays}))
    other = ImageClassification(task.config)
    other.load_state({**values, **arrays})
    again = other.network()
    again.load_state_dict(network.state_dict())
    new = corners(seed=5)
    assert np.array_equal(task.answers(network, new).values["probs"], other.answers(again, new).values["probs"])
    assert np.array_equal(task.unlike_train(new), other.unlike_train(new))


# -- training -----------------------------------------------------------------------------------------------------


def test_the_loss_is_the_summed_cross_entropy_over_counted_pictures() -> None:
    train = corners(10)
    task = made(train)
    network = task.network().eval()
    objective = task.objective(network, train, None, TRAINING.model_copy(update={"batch_size": 10}))
    (batch,) = objective.batches(0)
    total, count, _ = objective.loss(batch)
    assert count == 10
    assert total.item() == pytest.approx(F.cross_entropy(network(batch[0]), batch[1], reduction="sum").item())


def test_class_weights_weigh_the_loss_and_the_count() -> None:
    """Weights 3 and 1 over 5 + 5 pictures: count 20, sum as torch's weighted mean times 20."""
    train = corners(10)
    task = made(train)
    network = task.network().eval()
    training = TRAINING.model_copy(update={"batch_size": 10, "class_weights": {"north": 3.0}})
    objective = task.objective(network, train, None, training)
    (batch,) = objective.batches(0)
    total, count, _ = objective.loss(batch)
    theirs = F.cross_entropy(network(batch[0]), batch[1], weight=torch.tensor([3.0, 1.0]))
    assert count == 20
    assert total.item() / count == pytest.approx(theirs.item(), rel=1e-5)


def test_balanced_weights_worked_by_hand() -> None:
    """6 and 2 of 8: 8 / (2 · 6) and 8 / (2 · 2)."""
    weights = class_weights(TrainingConfig(class_weights="balanced"), ["a", "b"], np.array([0] * 6 + [1] * 2))
    assert weights is not None
    assert weights.tolist() == pytest.approx([8 / 12, 2.0])
    assert class_weights(TrainingConfig(), ["a", "b"], np.array([0, 1])) is None


def test_a_weight_for_no_class_is_refused() -> None:
    with pytest.raises(DataError) as caught:
        class_weights(TrainingConfig(class_weights={"nort": 2.0}), ["north", "south"], np.array([0, 1]))
    assert caught.value.what == '"nort" is not a class'
    assert caught.value.where == "training.class_weights"
    assert 'Did you mean "north"' in caught.value.remedy


def batches_of(task: ImageClassification, train: ArrayImages, start: int = 0) -> list[tuple[torch.Tensor, ...]]:
    objective = task.objective(task.network(), train, None, TRAINING.model_copy(update={"batch_size": 64}))
    return list(objective.batches(3, start))


def test_augmented_batches_come_again_in_the_middle_of_an_epoch() -> None:
    train = corners(200)
    task = made(train, augment={"strength": 1.0, "flip": 0.5, "erase": 0.3})
    whole, rest = batches_of(task, train), batches_of(task, train, start=2)
    assert len(whole) == 4
    assert len(rest) == 2
    for ours, theirs in zip(whole[2:], rest, strict=True):
        assert all(torch.equal(a, b) for a, b in zip(ours, theirs, strict=True))
    plain = batches_of(made(train), train)
    assert torch.equal(plain[0][1], whole[0][1])
    assert not torch.equal(plain[0][0], whole[0][0])


def test_pictures_too_many_for_memory_are_read_again_and_give_the_same_batches() -> None:
    train = corners(80, side=128)
    held = batches_of(made(train, size=128, memory_mib=2), train)
    read = batches_of(made(train, size=128, memory_mib=1), train)  # 80 · 128² bytes = 1.25 MiB
    for ours, theirs in zip(held, read, strict=True):
        assert all(torch.equal(a, b) for a, b in zip(ours, theirs, strict=True))


VARIED = {"strength": 1.0, "flip": 0.5, "rotation": 20, "shear": 10, "warp": 0.05, "color": 20, "pca": 0.5, "crop": 0.2}


def all_of(objective: Any, epoch: int, start: int = 0) -> list[tuple[torch.Tensor, ...]]:
    return [tuple(batch) for batch in objective.batches(epoch, start)]


def same(ours: list[tuple[torch.Tensor, ...]], theirs: list[tuple[torch.Tensor, ...]]) -> bool:
    return all(torch.equal(a, b) for x, y in zip(ours, theirs, strict=True) for a, b in zip(x, y, strict=True))


@pytest.mark.system("aug.pipeline")
@pytest.mark.parametrize("mixing", [{}, {"mixup": 0.4, "cutmix": 1.0}])
def test_what_training_sees_follows_from_seed_epoch_and_example(mixing: dict[str, float]) -> None:
    """In memory, from files by no worker and by four, in the middle of an epoch: the same bits."""
    train = corners(60, side=160, channels=3)
    settings = {"size": 96, "augment": {**VARIED, **mixing}}
    held = made(train, **settings)
    read = made(train, **settings, memory_mib=1)  # 60 · 3 · 96² bytes = 1.6 MiB

    def objective(task: ImageClassification, workers: int = 0) -> Any:
        training = TRAINING.model_copy(update={"batch_size": 16, "workers": workers})
        return task.objective(task.network(), train, None, training)

    memory, files, four = objective(held), objective(read), objective(read, workers=4)
    assert memory._pixels is not None
    assert files._pixels is None
    epochs = [all_of(memory, epoch) for epoch in (1, 2)]
    assert not torch.equal(epochs[0][0][0], epochs[1][0][0])
    for epoch, whole in enumerate(epochs, 1):
        assert len(whole[0]) == (4 if mixing else 2)
        assert same(whole, all_of(files, epoch))
        assert same(whole, all_of(four, epoch))
    assert same(epochs[1][2:], all_of(four, 2, start=2))


@pytest.mark.system("aug.pipeline")
def test_workers_vary_the_pictures_so_that_the_training_process_need_not(monkeypatch: pytest.MonkeyPatch) -> None:
    train = corners(40, side=128, channels=3)
    task = made(train, size=128, memory_mib=1, augment=VARIED)
    here = []
    plain = ImageClassification.augmented
    monkeypatch.setattr(ImageClassification, "augmented", lambda *args: here.append(1) or plain(*args))
    for workers, calls in ((0, 40), (2, 0)):
        here.clear()
        training = TRAINING.model_copy(update={"batch_size": 16, "workers": workers})
        assert len(all_of(task.objective(task.network(), train, None, training), 1)) == 3
        assert len(here) == calls


@pytest.mark.system("aug.pca")
def test_the_main_colours_are_those_of_train_in_the_unit_of_the_paper() -> None:
    """Purple pictures; the covariance is that of pixels in 0..1, so that AlexNet's 0.1 moves them by a few levels."""
    rng = np.random.default_rng(0)
    level, green = rng.integers(40, 220, (60, 8, 8)), rng.integers(36, 44, (60, 8, 8))
    images = np.stack([level, green, 0.9 * level], axis=-1).astype(np.uint8)
    train = ArrayImages(images, np.array(["a", "b"])[np.arange(60) % 2], "purple")
    still = dict.fromkeys(("flip", "rotation", "scale", "shift", "contrast", "brightness"), 0.0)
    task = made(train, channels=3, augment={"strength": 1.0, **still, "pca": 0.1})
    assert np.allclose(task.colors, np.cov(images.reshape(-1, 3).T / 255), atol=1e-5)
    ((seen, _),) = batches_of(task, train)  # of the third epoch
    moved = (seen - task._pixels(train, order(60, task.seed, 3)).float()).abs().mean(dim=(0, 2, 3))
    assert moved[0] > 3 * moved[1]
    assert moved[2] > 3 * moved[1]
    assert 0.2 < moved[0] < 8


@pytest.mark.system("aug.color")
def test_a_picture_keeps_its_form_in_any_batch_and_its_label() -> None:
    train = corners(40, channels=3)
    task = made(train, augment={"strength": 1.0, "flip": 0.5, "color": 30})
    seen = {}
    for size in (7, 40):
        objective = task.objective(task.network(), train, None, TRAINING.model_copy(update={"batch_size": size}))
        order_of = np.concatenate([batch[1].numpy() for batch in objective.batches(1)])
        images = torch.cat([batch[0] for batch in objective.batches(1)])
        seen[size] = (images, order_of)
    assert torch.equal(seen[7][0], seen[40][0])
    plain = made(train).objective(task.network(), train, None, TRAINING.model_copy(update={"batch_size": 40}))
    assert np.array_equal(seen[40][1], next(iter(plain.batches(1)))[1].numpy())


def test_mixed_pictures_have_the_loss_of_both_labels() -> None:
    train = corners(12)
    task = made(train, augment={"strength": 1.0, "flip": 0.0, "mixup": 1.0})
    network = task.network().eval()
    training = TRAINING.model_copy(update={"batch_size": 12, "class_weights": {"north": 3.0}})
    objective = task.objective(network, train, None, training)
    images, truth, partner, share = next(iter(objective.batches(1)))
    assert 0 < float(share[0]) < 1
    assert bool((share == share[0]).all())
    total, count, _ = objective.loss((images, truth, partner, share))
    own, other = (F.cross_entropy(network(images), t, reduction="none") for t in (truth, partner))
    weight = torch.tensor([3.0, 1.0])
    lam = float(share[0])
    by_hand = (lam * own * weight[truth] + (1 - lam) * other * weight[partner]).sum()
    assert total.item() == pytest.approx(by_hand.item(), rel=1e-5)
    assert count == pytest.approx(float((lam * weight[truth] + (1 - lam) * weight[partner]).sum()))
    pieces = objective.split((images, truth, partner, share), 3)  # accumulation: the same sums
    sums = [objective.loss(piece)[:2] for piece in pieces]
    assert sum(loss.item() for loss, _ in sums) == pytest.approx(by_hand.item(), rel=1e-5)


def test_training_on_mixed_pictures_learns_and_is_measured_on_whole_ones() -> None:
    train, dev = corners(200), corners(60, seed=9)
    task = made(train, augment={"strength": 1.0, "flip": 0.0, "rotation": 0, "mixup": 0.2, "cutmix": 1.0})
    network = trained(task, train, dev)
    assert task.objective(network, train, dev, TRAINING).evaluate()["error"] == 0.0


def test_the_first_runs_configs_say_the_same_as_ever() -> None:
    """What a run kept before `augment` was a section: its keys beside it, its strength alone."""
    kept = {"kind": "image_classification", "augment": 0.5, "flip": True, "rotation": 20.0, "scale": 0.1, "shift": 0.08}
    config = ImageClassificationConfig(**kept, contrast=0.2, brightness=0.05, erase=0.3)
    assert config.augment == AugmentConfig(strength=0.5, flip=0.5, rotation=20.0, erase=0.3)
    assert ImageClassificationConfig(augment=None, flip=False).augment == AugmentConfig(flip=0.0)
    assert ImageClassificationConfig(**config.model_dump()) == config
    with pytest.raises(ValueError, match=r"task\.flip and task\.augment\.flip are both set\nKeep task\.augment\.flip"):
        ImageClassificationConfig(flip=True, augment={"flip": 0.5})


def test_a_task_kept_before_colours_were_measured_loads() -> None:
    task = made(corners())
    state = {name: value for name, value in task.state().items() if name != "colors"}
    other = ImageClassification(task.config)
    other.load_state(state)
    assert other.colors == []


def test_unlabelled_pictures_are_not_trained_on() -> None:
    train = corners(20)
    train.labels = np.array([*(["north", "south"] * 8), None, None, None, None], dtype=object)
    batches = batches_of(made(train), train)
    assert sum(len(batch[1]) for batch in batches) == 16


def test_training_learns_and_dev_figures_agree_with_the_scores() -> None:
    train, dev = corners(200), corners(60, seed=9)
    task = made(train)
    network = trained(task, train, dev)
    objective = task.objective(network, train, dev, TRAINING)
    figures = objective.evaluate()
    scores = task.score(task.answers(network, dev), dev)
    assert figures["error"] == pytest.approx(scores.records["wrong"].mean()) == 0.0
    assert figures["loss"] == pytest.approx(scores.records["loss"].mean(), rel=1e-4)


# -- answers ------------------------------------------------------------------------------------------------------


def test_answers_and_scores_hold_together() -> None:
    train = corners()
    task = made(train)
    torch.manual_seed(0)
    network = task.network()
    dev = corners(30, seed=3)
    dev.labels = np.array([None, *dev.labels[1:]], dtype=object)
    ids = np.arange(100, 130)
    answers = task.answers(network, dev, ids)
    probs = answers.values["probs"]
    assert np.allclose(probs.sum(axis=1), 1, atol=1e-6)
    assert np.array_equal(answers.values["answer"], np.array(task.classes)[probs.argmax(axis=1)])
    assert np.array_equal(answers.values["confidence"], probs.max(axis=1))
    scores = task.score(answers, dev)
    assert scores.ids.tolist() == list(range(101, 130))  # the picture without a label has no score
    truth = np.array([task.classes.index(label) for label in dev.labels[1:]])
    assert np.array_equal(scores.records["truth"], truth)
    assert np.allclose(scores.records["loss"], -np.log(probs[1:][np.arange(29), truth]))
    turned = task.answers(network, dev.take(np.arange(30)[::-1]))
    assert np.allclose(turned.values["probs"][::-1], probs, atol=1e-6)


def test_a_class_unknown_to_train_is_named_with_its_place() -> None:
    train = corners()
    task = made(train)
    new = corners(4)
    new.labels = np.array(["north", "south", "nrth", "south"], dtype=object)
    with pytest.raises(DataError) as caught:
        task.score(task.answers(task.network(), new), new)
    assert 'class "nrth" is not one of the 2 classes' in caught.value.what
    assert "picture 3" in caught.value.where
    assert 'Did you mean "north"' in caught.value.remedy


def test_no_pictures_give_no_answers() -> None:
    train = corners()
    task = made(train)
    none = train.take([])
    assert len(task.answers(task.network(), none)) == 0
    assert len(task.unlike_train(none)) == 0


def test_noise_is_unlike_any_photo() -> None:
    rng = np.random.default_rng(0)
    smooth = F.interpolate(torch.from_numpy(rng.uniform(0, 255, (80, 3, 5, 5))), size=48, mode="bicubic").clamp(0, 255)
    photos = (smooth + torch.from_numpy(rng.normal(0, 4, smooth.shape))).clamp(0, 255).byte()
    photos = photos.permute(0, 2, 3, 1).numpy()
    photos[7] = photos[7] // 128 * 255  # one odd picture in train must not stretch the edge
    labels = ["a", "b"] * 30
    task = ImageClassification(ImageClassificationConfig(), 0)
    task.fit(ArrayImages(photos[:60], labels))
    noise = rng.integers(0, 256, (20, 48, 48, 3), dtype=np.uint8)  # its mean light is that of the photos
    assert float(task.unlike_train(ArrayImages(noise)).min()) > 1.0
    assert float(np.median(task.unlike_train(ArrayImages(photos[60:])))) < 1.0


def test_pictures_unlike_train_stand_out() -> None:
    train = corners(300)
    task = made(train)
    same, other = task.unlike_train(corners(200, seed=4)), task.unlike_train(ArrayImages(255 - corners(20).images))
    assert float((task.unlike_train(train) > 1).mean()) <= 0.01
    assert float(np.median(same)) < 0.3
    assert float((same > 1).mean()) < 0.05
    assert bool((other > 1).all())


def test_baselines_see_train_alone_and_majority_comes_first() -> None:
    train, dev = corners(100), corners(30, seed=2)
    train.labels = np.array(["north", "south"] * 25 + ["south"] * 50)  # half of the norths are mislabelled
    found = made(train).baselines(train, dev, np.arange(30) + 7)
    assert [baseline.name for baseline in found] == [
        "majority class",
        "linear model on pixels",
        "nearest neighbours",
    ]
    assert found[0].scores.records["wrong"].mean() == 0.5  # "south" for all, of which half are
    assert found[0].scores.records["loss"][0] == pytest.approx(-np.log(0.25))
    assert all(baseline.scores.ids.tolist() == list(range(7, 37)) for baseline in found)


def test_the_linear_baseline_is_a_fair_opponent() -> None:
    """On pixels that tell the class linearly it is right, and its penalty is chosen inside train."""
    train, dev = corners(100), corners(40, seed=2)
    _, linear, nearest = made(train).baselines(train, dev, np.arange(40))
    assert linear.scores.records["wrong"].mean() == 0
    assert linear.scores.records["loss"].mean() < 0.1
    assert bool((nearest.scores.records["probs"] > 0).all())  # a loss of infinity would tell nobody anything


# -- what people see ----------------------------------------------------------------------------------------------


def heat_of(train: ArrayImages, row: int, **settings: Any) -> NDArray[np.float32]:
    task = made(train, **settings)
    network = trained(task, train)
    card = task.show(train[row], task.answers(network, train), row, network)
    assert card.heat is not None
    return card.heat


@pytest.mark.parametrize("row", [0, 1])
def test_saliency_points_at_what_decides(row: int) -> None:
    """Planted cause: only the left corners tell the classes apart."""
    heat = heat_of(corners(200, side=12), row)
    assert heat.shape == (12, 12)
    assert float(heat.min()) == 0.0
    assert float(heat.max()) == 1.0
    left = np.concatenate([heat[:4, :4], heat[-4:, :4]])
    assert float(left.mean()) > 2 * float(heat[:, 6:].mean())


def test_a_card_holds_the_picture_and_the_heat_lies_over_what_was_seen() -> None:
    rng = np.random.default_rng(0)
    wide = ArrayImages(rng.integers(0, 255, (6, 8, 16, 3), dtype=np.uint8), ["a", "b"] * 3, "wide")
    task = made(wide)
    network = task.network()
    card = task.show(wide[1], task.answers(network, wide), 1, network)
    assert card.kind == "image"
    assert (card.title, card.truth) == ("wide, picture 2", "b")
    assert card.image is not None
    assert card.heat is not None
    assert card.image.shape == (8, 16, 3)
    assert card.heat.shape == (8, 16)
    assert bool((card.heat[:, :4] == 0).all())  # cut off, so never looked at
    assert task.show(wide[1], task.answers(network, wide), 1).heat is None


def test_grey_pictures_are_shown_flat() -> None:
    train = corners(10)
    task = made(train)
    card = task.show(train[0], task.answers(task.network(), train), 0)
    assert card.image is not None
    assert card.image.shape == (8, 8)
    assert card.loss == pytest.approx(-np.log(card.confidence if card.answer == "north" else 1 - card.confidence))


# -- export -------------------------------------------------------------------------------------------------------


def test_the_exported_network_equals_pytorch_at_any_batch_size(tmp_path: Path) -> None:
    from orthogon.run.export import _export, largest_difference

    train = corners()
    task = made(train)
    network = task.network().eval()
    _export(network, task.example_inputs(3), task.input_names(), tmp_path / "network.onnx")
    sizes = [task.example_inputs(size) for size in (1, 5)]
    assert largest_difference(network, tmp_path / "network.onnx", task.input_names(), sizes) < 1e-4


def test_facts_for_other_runtimes_are_plain_values() -> None:
    facts = json.loads(json.dumps(made(corners()).preprocessing()))
    assert facts["size"] == 8
    assert facts["normalisation"] == "inside the network"


# -- real pictures ------------------------------------------------------------------------------------------------


def test_a_folder_of_photos_trains_and_answers(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    for name, level in (("dark", 40), ("light", 200)):
        (tmp_path / name).mkdir()
        for i in range(12):
            pixels = rng.integers(level - 30, level + 30, (40 + i, 50, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(tmp_path / name / f"{i}.png")
    examples = read_image_folder(DataConfig(source=str(tmp_path)))
    task = made(examples, size=16)  # type: ignore[arg-type]
    network = trained(task, examples)  # type: ignore[arg-type]
    scores = task.score(task.answers(network, examples), examples)
    assert scores.records["wrong"].mean() == 0
    assert task.mean[0] == pytest.approx(120, abs=15)


@pytest.mark.slow
def test_digits_reach_the_promised_error_with_defaults() -> None:
    """At most 1.7 % test error; one seed here, three in benchmarks/image_quality.py."""
    from orthogon.data.read import read
    from orthogon.data.split import make_splits

    examples = read(DataConfig(source="digits"))
    task = ImageClassification(ImageClassificationConfig())
    splits = make_splits(examples, DataConfig(source="digits"), task.strata(examples), 0)
    train, dev, test = (examples.take(splits[name]) for name in ("train", "dev", "test"))
    chosen = task.suggest(train)
    config = ImageClassificationConfig(**section(chosen, "task"))
    training = TrainingConfig(**section(chosen, "training"))
    task = ImageClassification(config)
    task.fit(train)
    torch.manual_seed(0)
    network = task.network()
    fit(task.objective(network, train, dev, training), training)
    assert task.score(task.answers(network, test), test).records["wrong"].mean() <= 0.017
