"""A toy car: learned eyes and a planned path, or one network from picture to steering wheel.

    python examples/decisions/driving.py

A winding road seen from the car, with other cars on it. The pipeline detects (where is the road, is there a car, on
which side: learned from pictures) and plans (keep to the middle, pass on the free side: written by hand). The direct
network learns the wheel from the same pictures, with what the planner would do as its label.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from fit import fit, mlp

ROWS, COLUMNS, HALF_ROAD, REACH = 10, 24, 5.0, 4  # a picture shows the next ten rows of road; a car is met at row 0


@dataclass
class Road:
    """Middle of the road and place of other cars (NaN: none) for every row."""

    middle: np.ndarray
    cars: np.ndarray


def road(length: int, rng: np.random.Generator) -> Road:
    bend = np.convolve(rng.normal(0, 0.6, length + 20), np.ones(20) / 4, mode="valid")[:length]
    middle = COLUMNS / 2 + 5 * np.sin(np.cumsum(bend) / 12)
    cars = np.full(length, np.nan)
    for row in range(15, length, 12):
        cars[row] = middle[row] + rng.choice([-2.5, 2.5])
    return Road(middle, cars)


def look(way: Road, row: int, at: float, rng: np.random.Generator) -> np.ndarray:
    """What the camera sees from `at`: rows of road ahead, the car in the middle of the picture."""
    picture = np.full((ROWS, COLUMNS), 0.2)
    columns = np.arange(COLUMNS) - COLUMNS / 2 + at
    for k in range(ROWS):
        ahead = row + k
        if ahead >= len(way.middle):
            break
        picture[k, np.abs(columns - way.middle[ahead]) < HALF_ROAD] = 0.6
        if not np.isnan(way.cars[ahead]):
            picture[k, np.abs(columns - way.cars[ahead]) < 1.5] = 1.0
    return picture + rng.normal(0, 0.05, picture.shape)


def truth(way: Road, row: int, at: float) -> np.ndarray:
    """What there is to detect: (middle of the road two rows ahead, car ahead 0/1, its side), seen from the car."""
    ahead = min(row + 2, len(way.middle) - 1)
    near = way.cars[row : row + REACH + 2]
    there = np.flatnonzero(~np.isnan(near))
    side = np.sign(near[there[0]] - way.middle[row + there[0]]) if len(there) else 0.0
    return np.array([way.middle[ahead] - at, float(len(there) > 0), side])


def plan(seen: np.ndarray) -> float:
    """How far to move sideways in this row: to the middle, or to the free half where a car is ahead."""
    target = seen[0] - 2.5 * np.sign(seen[2]) * (seen[1] > 0.5)
    return float(np.clip(0.6 * target, -1.5, 1.5))


def drive(steer, seed: int, length: int = 300) -> tuple[float, int]:
    """(share of rows on the road, cars hit) of a drive; steer: picture, truth -> move."""
    rng = np.random.default_rng(seed)
    way = road(length, rng)
    at, on, hits = float(way.middle[0]), 0, 0
    for row in range(length - ROWS):
        at += steer(look(way, row, at, rng), truth(way, row, at))
        on += abs(at - way.middle[row + 1]) < HALF_ROAD
        hits += abs(at - way.cars[row + 1]) < 2.0  # NaN: no car, no hit
    return on / (length - ROWS), int(hits)


def pictures(num: int, seed: int) -> tuple[torch.Tensor, np.ndarray]:
    """Pictures (num, 240) from places that a driver comes to, and what there is in them (num, 3)."""
    rng = np.random.default_rng((seed, 5))
    way = road(4 * num, rng)
    rows = rng.integers(0, 4 * num - ROWS, num)
    at = way.middle[rows] + rng.normal(0, 2.0, num)
    seen = np.stack([look(way, int(r), float(a), rng).ravel() for r, a in zip(rows, at, strict=True)])
    return torch.tensor(seen, dtype=torch.float32), np.stack(
        [truth(way, int(r), float(a)) for r, a in zip(rows, at, strict=True)]
    )


def experiment(seed: int, num_train: int = 600, steps: int = 500) -> dict[str, tuple[float, int]]:
    """Driver -> (share of rows on the road, cars hit of 24)."""
    x, there = pictures(num_train, seed)
    torch.manual_seed(seed)
    eyes = fit(mlp(ROWS * COLUMNS, 64, 3), x, torch.tensor(there, dtype=torch.float32), steps=steps, seed=seed)
    wheel = torch.tensor([[plan(each)] for each in there], dtype=torch.float32)
    direct = fit(mlp(ROWS * COLUMNS, 64, 1), x, wheel, steps=steps, seed=seed)

    @torch.no_grad()
    def saw(net: torch.nn.Module, picture: np.ndarray) -> np.ndarray:
        return net(torch.tensor(picture.ravel(), dtype=torch.float32)).numpy()

    return {
        "perfect eyes, planner": drive(lambda picture, seen: plan(seen), seed),
        "learned eyes, planner": drive(lambda picture, seen: plan(saw(eyes, picture)), seed),
        "picture to wheel": drive(lambda picture, seen: float(np.clip(saw(direct, picture)[0], -1.5, 1.5)), seed),
        "straight on": drive(lambda picture, seen: 0.0, seed),
    }


def main() -> None:
    for num in (100, 600, 2400):
        runs = [experiment(seed, num) for seed in range(3)]
        print(f"{num} pictures")
        for name in runs[0]:
            on, hits = (np.mean([run[name][k] for run in runs]) for k in (0, 1))
            print(f"  {name:22} on the road {on:6.1%}, hit {hits:4.1f} of 24 cars")


if __name__ == "__main__":
    main()
