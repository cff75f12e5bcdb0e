"""The tasks of the benchmark: each writes its data for a seed and names the default that all arms begin with.

Development tasks are for tuning the autopilot, held-out ones for measuring it; half of these carry one plant.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from orthogon.project.project import Project
from orthogon.project.trial import Trials

Writer = Callable[[Path, int], Path]
Images = tuple[NDArray[Any], NDArray[Any]]  # (n, H, W) uint8, (n,) labels


@dataclass(frozen=True)
class Task:
    """write: (empty folder, seed) -> the source. sets: the default. plant: the fault it carries, empty for none."""

    name: str
    kind: str
    write: Writer
    sets: tuple[str, ...]
    plant: str = ""


def trials_of(task: Task, seed: int, work: Path) -> Trials:
    """The task's data under this seed, split, with the default config; made once."""
    place = work / "projects" / f"{task.name}-{seed}"
    if not (place / "project" / "orthogon.yaml").exists():
        (place / "data").mkdir(parents=True, exist_ok=True)
        source = task.write(place / "data", seed)
        Project.create({"data": {"source": str(source)}}, place / "project")
    project = Project(place / "project")
    return Trials(project, project.config([*task.sets, f"data.split_seed={seed}", f"seed={seed}"]))


# -- how data is written --------------------------------------------------------------------------------------------


def table(make: Callable[[int], tuple[Any, Any]], classes: bool = True) -> Writer:
    def write(folder: Path, seed: int) -> Path:
        import pandas as pd

        x, y = make(seed)
        frame = pd.DataFrame({f"x{j}": np.asarray(x)[:, j] for j in range(np.asarray(x).shape[1])})
        frame["y"] = [f"c{int(k)}" for k in y] if classes else y
        frame.to_csv(folder / "table.csv", index=False)
        return folder / "table.csv"

    return write


def pictures(make: Callable[[int], Images]) -> Writer:
    """One folder a class, PNG."""

    def write(folder: Path, seed: int) -> Path:
        from PIL import Image

        images, labels = make(seed)
        for i, (image, label) in enumerate(zip(images, labels, strict=True)):
            path = folder / str(label) / f"{i:05}.png"
            path.parent.mkdir(exist_ok=True)
            Image.fromarray(image).save(path)
        return folder

    return write


def strings(make: Callable[[int], list[tuple[str, str]]]) -> Writer:
    def write(folder: Path, seed: int) -> Path:
        text = "".join(f"{source}\t{target}\n" for source, target in make(seed))
        (folder / "pairs.tsv").write_text("source\ttarget\n" + text, encoding="utf-8")
        return folder / "pairs.tsv"

    return write


def digits() -> tuple[NDArray[Any], NDArray[Any]]:
    from sklearn.datasets import load_digits

    data = load_digits()
    return np.rint(data.images * (255 / 16)).astype(np.uint8), data.target


def turned(image: NDArray[Any], degrees: float) -> NDArray[Any]:
    from scipy.ndimage import rotate

    return np.clip(rotate(image.astype(float), degrees, reshape=False, order=1), 0, 255).astype(np.uint8)


# -- development ----------------------------------------------------------------------------------------------------

TABLE = ("data.target=y", "data.dev=0.3", "data.test=0.4", "training.epochs=12", "task.members=4", "task.width=32")
TABLE = (*TABLE, "task.bins=8", "training.batch_size=64")
PICTURES = ("task.width=4", "training.epochs=6", "data.dev=0.3", "data.test=0.4", "task.depth=1")
STRINGS = ("data.dev=0.3", "data.test=0.4", "task.encoder_size=16", "task.decoder_size=32", "training.epochs=8")


def _clusters(n: int, classes: int, flip: float) -> Callable[[int], tuple[Any, Any]]:
    from sklearn.datasets import make_classification

    return lambda seed: make_classification(
        n, 20, n_informative=10, n_redundant=5, n_classes=classes, flip_y=flip, random_state=seed
    )


def _friedman(seed: int) -> tuple[Any, Any]:
    from sklearn.datasets import make_friedman1

    return make_friedman1(2500, noise=1.0, random_state=seed)


def _plain_digits(seed: int) -> Images:
    return digits()


def _dates(seed: int) -> list[tuple[str, str]]:
    from orthogon.data.generate import make_dates

    return list(zip(*make_dates(1500, seed=seed), strict=True))


DEVELOPMENT: tuple[Task, ...] = (
    Task("clusters", "table", table(_clusters(2500, 4, 0.02)), TABLE),
    Task("few-clusters", "table", table(_clusters(1800, 3, 0.02)), (*TABLE, "data.train_fraction=0.3"), "few data"),
    Task("friedman", "table", table(_friedman, classes=False), TABLE),
    Task("digits", "pictures", pictures(_plain_digits), PICTURES),
    Task("few-digits", "pictures", pictures(_plain_digits), (*PICTURES, "data.train_fraction=0.4"), "few data"),
    Task("dates", "strings", strings(_dates), STRINGS),
)

# -- held out: never used for tuning --------------------------------------------------------------------------------


def _teacher(seed: int) -> tuple[Any, Any]:
    """Labels of a random network of two hidden layers, five classes of equal size."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(3000, 16))
    hidden = np.tanh(np.tanh(x @ rng.normal(size=(16, 24)) / 2) @ rng.normal(size=(24, 24)) / 2)
    score = hidden @ rng.normal(size=24)
    return x, np.digitize(score, np.quantile(score, [0.2, 0.4, 0.6, 0.8]))


def _boxes(seed: int) -> tuple[Any, Any]:
    """A sum of random boxes over pairs of columns, as trees like it; to be predicted as a number."""
    rng = np.random.default_rng(seed)
    x, y = rng.uniform(size=(3000, 12)), np.zeros(3000)
    for _ in range(24):
        columns, corner, size = rng.choice(12, 2, replace=False), rng.uniform(0, 0.6, 2), rng.uniform(0.2, 0.5, 2)
        inside = ((x[:, columns] > corner) & (x[:, columns] < corner + size)).all(axis=1)
        y += rng.normal() * inside
    return x, y + rng.normal(0, 0.2, 3000)


def _of_sklearn(loader: str) -> Callable[[int], tuple[Any, Any]]:
    def make(seed: int) -> tuple[Any, Any]:
        import sklearn.datasets

        return getattr(sklearn.datasets, loader)(return_X_y=True)

    return make


def _digit_pairs(seed: int) -> Images:
    """Two digits side by side, (a + b) mod 10."""
    rng = np.random.default_rng(seed)
    images, labels = digits()
    left, right = rng.integers(0, len(images), (2, 3000))
    return np.concatenate([images[left], images[right]], axis=2), (labels[left] + labels[right]) % 10


def _textured_shapes(seed: int) -> Images:
    """Grey shapes of 16 x 16; the texture behind them differs from picture to picture."""
    from orthogon.data.generate import make_shapes

    rng = np.random.default_rng(seed)
    shapes = make_shapes(3000, size=16, noise=0.1, seed=seed)
    grey = shapes.images.mean(axis=3)
    angle, wave = rng.uniform(0, np.pi, (3000, 1, 1)), rng.uniform(0.5, 2.5, (3000, 1, 1))
    rows, columns = np.mgrid[:16, :16]
    texture = 40 * np.sin(wave * (np.cos(angle) * columns + np.sin(angle) * rows))
    return np.clip(grey + texture, 0, 255).astype(np.uint8), shapes.labels


def _rotated_digits(seed: int) -> Images:
    rng = np.random.default_rng(seed)
    images, labels = digits()
    angles = rng.uniform(-60, 60, len(images))
    turned_images = np.stack([turned(image, angle) for image, angle in zip(images, angles, strict=True)])
    noisy = rng.random(len(labels)) < 0.1
    return turned_images, np.where(noisy, rng.integers(0, 10, len(labels)), labels)


SYLLABLES = {
    "tal": ("ka", "ri", "mo", "to", "shi", "na", "ku"),
    "ven": ("ell", "ion", "ard", "eau", "ine", "ois", "on"),
    "gor": ("sky", "ov", "dmi", "gri", "ka", "ri", "na"),
    "nor": ("sen", "gun", "hild", "ard", "rik", "ell", "on"),
}


def _names(seed: int) -> list[tuple[str, str]]:
    """Made-up names and the language whose syllables they are of; languages share some."""
    rng = np.random.default_rng(seed)
    names: dict[str, str] = {}
    while len(names) < 2500:
        language = str(rng.choice(list(SYLLABLES)))
        names.setdefault("".join(rng.choice(SYLLABLES[language], rng.integers(2, 5))), language)
    return list(names.items())


def _grammar(seed: int) -> list[tuple[str, str]]:
    """Strings of brackets and whether they are balanced."""
    rng = np.random.default_rng(seed)
    pairs: dict[str, str] = {}
    while len(pairs) < 2500:
        depth, text = 0, ""
        for _ in range(rng.integers(8, 16)):
            text += "(" if depth == 0 or rng.random() < 0.55 else ")"
            depth += 1 if text[-1] == "(" else -1
        text += ")" * depth
        good = rng.random() < 0.5
        if not good:
            i = rng.integers(len(text))
            text = text[:i] + ("(" if text[i] == ")" else ")") + text[i + 1 :]
        pairs.setdefault(text, "yes" if good else "no")
    return list(pairs.items())


def _clips(by_speaker: bool) -> Callable[[int], Images]:
    """Log spectrograms, 16 x 16, of the free spoken digits; of three of the six speakers, or of all."""

    def make(seed: int) -> Images:
        from scipy.io import wavfile
        from scipy.signal import stft

        folder = Path(os.environ["ORTHOGON_DATA"]) / "fsdd"
        images, labels = [], []
        paths = sorted(folder.rglob("*.wav"))
        speakers = sorted({path.stem.split("_")[1] for path in paths})
        for path in paths:
            digit, speaker, _ = path.stem.split("_")
            if by_speaker and speaker not in speakers[:3]:
                continue
            rate, wave = wavfile.read(path)
            _, _, spectrum = stft(wave.astype(float), rate, nperseg=256, noverlap=128)
            power = np.log1p(np.abs(spectrum[1:97]))
            rows = power.reshape(16, 6, -1).mean(axis=1)
            at = np.linspace(0, rows.shape[1] - 1, 16).round().astype(int)
            image = rows[::-1, at]
            images.append(np.uint8(255 * (image - image.min()) / max(np.ptp(image), 1e-9)))
            labels.append(digit)
        return np.stack(images), np.array(labels)

    return make


def _sums(seed: int) -> list[tuple[str, str]]:
    """ "37+58" -> "95"."""
    rng = np.random.default_rng(seed)
    pairs = {f"{a}+{b}": str(a + b) for a, b in rng.integers(0, 60, (6000, 2))}
    return list(pairs.items())[:2000]


HELD_OUT: tuple[Task, ...] = (
    Task("teacher", "table", table(_teacher), (*TABLE, "data.train_fraction=0.4"), "few data"),
    Task("boxes", "table", table(_boxes, classes=False), TABLE),
    Task("wine", "table", table(_of_sklearn("load_wine")), (*TABLE, "data.dev=0.15"), "tiny dev"),
    Task("cancer", "table", table(_of_sklearn("load_breast_cancer")), TABLE),
    Task("digit-pairs", "pictures", pictures(_digit_pairs), (*PICTURES, "task.resize=squash", "task.size=8")),
    Task("textured-shapes", "pictures", pictures(_textured_shapes), (*PICTURES, "data.train_fraction=0.5"), "few data"),
    Task("rotated-digits", "pictures", pictures(_rotated_digits), PICTURES, "label noise"),
    Task("names", "strings", strings(_names), STRINGS),
    Task("grammar", "strings", strings(_grammar), STRINGS),
    Task("spoken-digits", "pictures", pictures(_clips(False)), (*PICTURES, "data.train_fraction=0.7")),
    Task("three-speakers", "pictures", pictures(_clips(True)), (*PICTURES, "data.dev=0.1"), "small dev"),
    Task("sums", "strings", strings(_sums), (*STRINGS, "data.train_fraction=0.6"), "few data"),
)
TASKS = {"development": DEVELOPMENT, "held-out": HELD_OUT}
