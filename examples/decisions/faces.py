"""Whose face is it? One network on the whole scene, or first find the face, then say whose it is.

    python examples/decisions/faces.py

FACES: drawn faces, whose person is a set of proportions, at random places and sizes among clutter. Both systems get the
same scenes; the two steps also use where the face is. Each step is the simpler task.
"""

from __future__ import annotations

import numpy as np
import torch
from fit import fit
from torch import Tensor, nn

SIDE, CROP, PEOPLE = 40, 18, 8


def draw(person: np.ndarray, at: np.ndarray, size: float, rng: np.random.Generator) -> np.ndarray:
    """A scene (40, 40) in 0..1: clutter, and one face of this person's proportions around `at`."""
    y, x = np.mgrid[:SIDE, :SIDE].astype(float)
    scene = rng.uniform(0.2, 0.5) + 0.05 * rng.normal(size=(SIDE, SIDE))

    def blob(cy: float, cx: float, ry: float, rx: float, grey: float) -> None:
        inside = ((y - cy) / ry) ** 2 + ((x - cx) / rx) ** 2 < 1
        scene[inside] = grey

    for _ in range(7):
        blob(*rng.uniform(0, SIDE, 2), *rng.uniform(1, 5, 2), rng.uniform(0, 1))
    width, eyes, eye_size, mouth, skin = person
    jitter = rng.normal(0, 0.2, 4)
    blob(at[0], at[1], 8 * size, 8 * size * width, skin)
    for side in (-1, 1):
        blob(
            at[0] - 2.2 * size + jitter[0],
            at[1] + side * eyes * size + jitter[1],
            eye_size * size,
            eye_size * size,
            0.05,
        )
    blob(at[0] + 3.6 * size + jitter[2], at[1] + jitter[3], 0.9 * size, mouth * size, 0.1)
    return np.clip(scene + rng.normal(0, 0.04, scene.shape) + rng.uniform(-0.08, 0.08), 0, 1)


def people(seed: int) -> np.ndarray:
    """(8, 5) proportions: width, distance and size of the eyes, mouth, skin."""
    rng = np.random.default_rng((seed, 1))
    low, high = np.array([0.65, 1.8, 0.9, 1.2, 0.6]), np.array([1.0, 3.6, 1.8, 3.6, 0.95])
    return low + (high - low) * rng.random((PEOPLE, 5))


def scenes(num: int, seed: int, persons: np.ndarray) -> tuple[Tensor, Tensor, Tensor]:
    """Scenes (num, 1, 40, 40), the middle of each face (num, 2), whose it is (num,)."""
    rng = np.random.default_rng((seed, 2))
    who = np.arange(num) % PEOPLE
    at = rng.uniform(9, SIDE - 9, (num, 2))
    drawn = [draw(persons[w], place, rng.uniform(0.85, 1.1), rng) for w, place in zip(who, at, strict=True)]
    return torch.tensor(np.stack(drawn), dtype=torch.float32)[:, None] - 0.45, torch.tensor(at), torch.tensor(who)


def recogniser(side: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(1, 12, 3, padding=1),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Conv2d(12, 24, 3, padding=1),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Flatten(),
        nn.Linear(24 * (side // 4) ** 2, 64),
        nn.ReLU(),
        nn.Linear(64, PEOPLE),
    )


def detector() -> nn.Sequential:
    """Logits of the face's middle in each cell of a 20x20 grid, (B, 400)."""
    return nn.Sequential(
        nn.Conv2d(1, 12, 5, padding=2, stride=2),
        nn.ReLU(),
        nn.Conv2d(12, 16, 5, padding=2),
        nn.ReLU(),
        nn.Conv2d(16, 1, 7, padding=3),
        nn.Flatten(),
    )


def crops(x: Tensor, at: Tensor) -> Tensor:
    """(B, 1, 18, 18) around these places."""
    first = (at.round().long() - CROP // 2).clamp(0, SIDE - CROP)
    return torch.stack([pic[:, r : r + CROP, c : c + CROP] for pic, (r, c) in zip(x, first.tolist(), strict=True)])


def experiment(seed: int, num_train: int = 320, num_test: int = 400, steps: int = 300) -> dict[str, float]:
    """Share of faces named right by one network and by two steps; and how often the face is found within 3 pixels."""
    persons = people(seed)
    x, at, who = scenes(num_train, 10 * seed, persons)
    x_new, at_new, who_new = scenes(num_test, 10 * seed + 1, persons)
    torch.manual_seed(seed)
    direct = fit(recogniser(SIDE), x, who, steps=steps, lr=2e-3, batch_size=48, seed=seed)
    cell = (at / 2).floor().long().clamp(0, 19)
    finder = fit(detector(), x, cell[:, 0] * 20 + cell[:, 1], steps=steps, lr=2e-3, batch_size=48, seed=seed)
    jitter = torch.randn(at.shape, generator=torch.Generator().manual_seed(seed), dtype=at.dtype)
    namer = fit(recogniser(CROP), crops(x, at + jitter), who, steps=steps, lr=2e-3, batch_size=48, seed=seed)
    with torch.no_grad():
        best = finder(x_new).argmax(1)
        place = torch.stack([best // 20, best % 20], 1).double() * 2 + 1
        two = namer(crops(x_new, place)).argmax(1)
        one = direct(x_new).argmax(1)
    return {
        "one network": float((one == who_new).float().mean()),
        "find, then name": float((two == who_new).float().mean()),
        "found": float(((place - at_new).abs().max(1).values <= 3).float().mean()),
    }


def main() -> None:
    runs = [experiment(seed) for seed in range(3)]
    for name in runs[0]:
        values = [run[name] for run in runs]
        print(f"{name:16} {np.mean(values):.1%}  ({', '.join(f'{v:.0%}' for v in values)})")


if __name__ == "__main__":
    main()
