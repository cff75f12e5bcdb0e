"""The same examples with one thing about them made like another set's: the tones of pictures, a column of a table.

By such a pair, as it is and recast, a network is asked what that one thing costs, all else kept. Nothing here knows of
networks. A picture's tones are its histogram of greys; the map that gives a set another set's tones is the simplest
that leaves no difference: one brightness and contrast for all pictures, one tone curve for all, or a brightness and
contrast for each picture by its rank among its own.
Legend: h (n, 256) share of each picture's pixels at each grey, curve (256,) new grey of each grey, m mean, s spread.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from orthogon.data.examples import Example, Examples
from orthogon.data.images import Pictures, Pixels, Resize

Floats = NDArray[np.float64]

GREYS = np.arange(256.0)
LUMA = (0.299, 0.587, 0.114)
SLACK = 2  # grey levels by which two values may differ and count as one: nobody sees them
SMALLEST_LEFT = 0.05  # distance between distributions that may stay, however many pictures there are
SURE = 0.05  # chance that equal sets are taken for different ones


def by_rank(values: Floats, own: Floats, other: Floats) -> Floats:
    """Each value's counterpart: what stands at its rank among `own` in `other`; NaN stays.

    Equal values have equal counterparts, by the middle of their ranks, and each is a value that `other` holds.
    """
    mine, theirs = np.sort(own[np.isfinite(own)]), np.sort(other[np.isfinite(other)])
    if len(mine) == 0 or len(theirs) == 0:
        return values.copy()
    rank = (np.searchsorted(mine, values, "left") + np.searchsorted(mine, values, "right")) / (2 * len(mine))
    at = np.clip(np.ceil(rank * len(theirs) - 1e-9).astype(np.int64) - 1, 0, len(theirs) - 1)
    return np.where(np.isnan(values), values, theirs[at])


# -- the tones of pictures ----------------------------------------------------------------------------------------


def histograms(pictures: Examples) -> Floats:
    """(n, 256) of each picture, as large as it is; of colours their grey."""
    found = np.zeros((len(pictures), 256))
    for i, example in enumerate(pictures):
        pixels = np.asarray(example.input)
        grey = pixels if pixels.ndim == 2 else pixels[..., 0] if pixels.shape[-1] == 1 else np.rint(pixels @ LUMA)
        counts = np.bincount(grey.astype(np.int64).ravel(), minlength=256)
        found[i] = counts / counts.sum()
    return found


def middle_and_spread(h: Floats) -> tuple[Floats, Floats]:
    """Mean grey and standard deviation of each histogram (..., 256), in grey levels."""
    m = h @ GREYS
    return m, np.sqrt(np.maximum(h @ GREYS**2 - m**2, 0.0))


def _straight(m: Floats, s: Floats, new_m: Floats, new_s: Floats) -> Floats:
    """(n, 256) lines that bring middle and spread (n,) to new ones; a picture of one grey keeps its spread."""
    slope = np.where(s > 0, new_s / np.maximum(s, 1e-9), 1.0)
    return np.clip(slope[:, None] * (GREYS - m[:, None]) + new_m[:, None], 0.0, 255.0)


def one_line(own: Floats, other: Floats) -> Floats:
    """(1, 256) one brightness and contrast for all pictures."""
    (m, s), (new_m, new_s) = (middle_and_spread(h.mean(axis=0)) for h in (own, other))
    return _straight(*(np.atleast_1d(each) for each in (m, s, new_m, new_s)))


def one_curve(own: Floats, other: Floats) -> Floats:
    """(1, 256) one curve for all: each grey becomes what stands at its rank among the others' pixels.

    Greys that no picture has lie on straight lines between those that some have.
    """
    p, q = own.mean(axis=0), other.mean(axis=0)
    middle = np.cumsum(p) - p / 2  # mid-rank of each grey
    seen = np.flatnonzero(p > 0)
    new = np.searchsorted(np.cumsum(q), middle[seen] - 1e-12)
    return np.interp(GREYS, GREYS[seen], np.minimum(new, 255).astype(float))[None]


def line_for_each(own: Floats, other: Floats) -> Floats:
    """(n, 256) a brightness and contrast for each picture: those at its ranks among the others' pictures.

    The rank of a contrast is that among pictures of about the same brightness, so that the two also go together as they
    do among the others (Knothe's rearrangement, by the nearest tenth of each set).
    """
    (m, s), (their_m, their_s) = middle_and_spread(own), middle_and_spread(other)
    new_m = by_rank(m, m, their_m)
    new_s = np.empty_like(s)
    for i in range(len(s)):
        alike, theirs = _nearest(m, m[i]), _nearest(their_m, new_m[i])
        new_s[i] = by_rank(s[i : i + 1], s[alike], their_s[theirs])[0]
    return _straight(m, s, new_m, new_s)


def _nearest(values: Floats, value: float) -> NDArray[np.int64]:
    """Rows of the tenth of the values that lies nearest, 20 at least."""
    count = min(len(values), max(20, len(values) // 10))
    return np.argpartition(np.abs(values - value), count - 1)[:count]


WAYS = {
    "one brightness and contrast for all": one_line,
    "one tone curve for all": one_curve,
    "a brightness and contrast for each": line_for_each,
}


@dataclass(frozen=True)
class ToneMap:
    """How pictures are given other tones.

    curves: (1, 256), the same for all, or (n, 256). way: of `WAYS`.
    left: largest distance (Kolmogorov-Smirnov, 0..1) that stays in brightness, contrast, darkest and lightest tone.
    matched: no more stays than two equal sets have.
    """

    curves: Floats
    way: str
    left: float
    matched: bool

    def __call__(self, values: Floats) -> Floats:
        """New greys of pictures (n, ...), values in 0..255."""
        curves = np.broadcast_to(self.curves, (len(values), 256))
        below = np.clip(values, 0, 255).astype(np.int64)
        above, rest = np.minimum(below + 1, 255), np.clip(values, 0, 255) - below
        row = np.arange(len(values)).reshape(-1, *[1] * (values.ndim - 1))
        return np.asarray((1 - rest) * curves[row, below] + rest * curves[row, above])

    def in_words(self, h: Floats) -> str:
        """What it does to pictures of these histograms: "brightness 0.31 to 0.29, contrast 0.37 to 0.37"."""
        pairs = zip(middle_and_spread(h), middle_and_spread(mapped(h, self.curves)), strict=True)
        ends = [[float(np.median(side)) / 255 for side in pair] for pair in pairs]
        changes = [f"{name} {a:.2f} to {b:.2f}" for name, (a, b) in zip(("brightness", "contrast"), ends, strict=True)]
        return f"{self.way}: {', '.join(changes)}"


def tone_map(own: Floats, other: Floats, ways: Sequence[str] = tuple(WAYS)) -> ToneMap:
    """The simplest way to give pictures the others' tones that leaves no difference; else what leaves the least.

    Args:
        own, other: (n, 256) and (k, 256) histograms. ways: of `WAYS`, the simplest first.
    """
    bearable = max(SMALLEST_LEFT, math.sqrt(-math.log(SURE / 4 / 2) / 2 * (1 / len(own) + 1 / len(other))))
    found = []
    for way in ways:
        curves = WAYS[way](own, other)
        left = _distance(own, other, curves)
        found.append(ToneMap(curves, way, left, left <= bearable))
        if found[-1].matched:
            return found[-1]
    return min(found, key=lambda each: each.left)


def mapped(h: Floats, curves: Floats) -> Floats:
    """(n, 256) histograms after each grey became the one that its picture's curve says."""
    new = np.broadcast_to(np.rint(curves).astype(np.int64), h.shape)
    out = np.zeros_like(h)
    np.add.at(out, (np.arange(len(h))[:, None], new), h)
    return out


def _distance(own: Floats, other: Floats, curves: Floats) -> float:
    """The largest distance between two sets' brightness, contrast, darkest and lightest tone."""

    def told(h: Floats) -> list[Floats]:
        up_to = np.cumsum(h, axis=1)
        ends = [(up_to < share).sum(axis=1).astype(float) for share in (0.02, 0.98)]
        return [*middle_and_spread(h), *ends]

    return max(_apart(a, b) for a, b in zip(told(mapped(own, curves)), told(other), strict=True))


def _apart(a: Floats, b: Floats) -> float:
    """Kolmogorov-Smirnov distance that no change of all values by less than SLACK takes away."""
    a, b = np.sort(a), np.sort(b)

    def excess(x: Floats, y: Floats) -> float:
        """How much more of x than of y, and what lies within SLACK above, is at most any value."""
        below = np.searchsorted(y, x + SLACK, "right") / len(y)
        return float((np.arange(1, len(x) + 1) / len(x) - below).max())

    return max(excess(a, b), excess(b, a), 0.0)


class Toned(Pictures):
    """Pictures with other tones, changed when they are read; the curve of grey is every channel's.

    Args:
        pictures: as they are. tone: with as many curves as there are pictures, or one.
    """

    def __init__(self, pictures: Pictures, tone: ToneMap) -> None:
        self.pictures, self.tone = pictures, tone
        self.labels, self.name, self.reason = pictures.labels, pictures.name, pictures.reason
        self.set_aside, self.notes = pictures.set_aside, pictures.notes
        self._table = np.clip(np.rint(tone.curves), 0, 255).astype(np.uint8)
        self._copy_columns(pictures, np.arange(len(pictures)))

    @property
    def channels(self) -> int:
        return self.pictures.channels

    def __len__(self) -> int:
        return len(self.pictures)

    def __getitem__(self, i: int) -> Example:
        example = self.pictures[i]
        return Example(self._curve(i)[np.asarray(example.input)], example.target, example.origin)

    def __iter__(self) -> Iterator[Example]:
        return (self[i] for i in range(len(self)))

    def _curve(self, i: int) -> Pixels:
        return self._table[i if len(self._table) > 1 else 0]

    def take(self, ids: NDArray[np.int64] | list[int]) -> Toned:  # type: ignore[override]
        rows = np.asarray(ids, dtype=np.int64)
        curves = self.tone.curves
        tone = replace(self.tone, curves=curves[rows] if len(curves) > 1 else curves)
        return Toned(self.pictures.take(rows), tone)  # type: ignore[arg-type]

    def _load(self, i: int, size: int, channels: int, resize: Resize) -> Pixels:
        return self._curve(i)[self.pictures._load(i, size, channels, resize)]

    def pixels(
        self, size: int, ids: NDArray[np.int64] | None = None, channels: int | None = None, resize: Resize = "crop"
    ) -> Pixels:
        rows = np.arange(len(self)) if ids is None else np.asarray(ids)
        plain = self.pictures.pixels(size, ids, channels, resize)
        return (
            np.stack([self._curve(int(i))[each] for i, each in zip(rows, plain, strict=True)]) if len(rows) else plain
        )

    def thumbnails(self) -> Pixels:
        plain = self.pictures.thumbnails()
        return np.stack([self._curve(i)[each] for i, each in enumerate(plain)]) if len(plain) else plain

    def fingerprint(self) -> str:
        raise NotImplementedError("recast pictures are answered, never trained on")

    def content_keys(self) -> NDArray[np.uint64]:
        return self.pictures.content_keys()
