"""What a person would say of an input: how bright a picture is, how long a string, what stands in a column.

Two sets of examples are compared by these, so that a difference has a name that its owner understands.
Legend: x grey picture (H, W) in 0..255.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import PurePath
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from orthogon.data.examples import Examples

if TYPE_CHECKING:
    from orthogon.data.tables import TableExamples

LOOKED_AT = 512  # side in pixels of the middle of a picture that sharpness and noise are measured in
COMMON = 0.995  # share of all symbols that the common ones make up; the others are rare


@dataclass(frozen=True)
class Trait:
    """One thing that can be said of every example.

    values: (n,) float, NaN where it does not apply; or texts, None where unknown.
    meaning: one sentence. unit: of the values; "%" for shares in 0..1.
    """

    name: str
    values: NDArray[Any]
    meaning: str = ""
    unit: str = ""


def traits(examples: Examples, reference: Examples | None = None) -> list[Trait]:
    """Everything that can be said of these examples in their owner's words, targets left out.

    Args:
        reference: what is usual, for traits that are relative ("rare symbols"); the examples themselves if None.
    """
    if examples.modality == "table":
        return _of_rows(examples)
    if examples.modality == "strings":
        return _of_strings(examples, examples if reference is None else reference)
    return _of_pictures(examples)


# -- pictures -----------------------------------------------------------------------------------------------------


def brightness(x: NDArray[np.float64]) -> float:
    return float(x.mean() / 255)


def contrast(x: NDArray[np.float64]) -> float:
    return float(x.std() / 255)


def sharpness(x: NDArray[np.float64]) -> float:
    """Standard deviation of the Laplacian, in grey levels (Pech-Pacheco et al. 2000 take its variance)."""
    if min(x.shape) < 3:
        return math.nan
    inner = x[1:-1, 1:-1]
    return float((x[:-2, 1:-1] + x[2:, 1:-1] + x[1:-1, :-2] + x[1:-1, 2:] - 4 * inner).std())


def noise(x: NDArray[np.float64]) -> float:
    """Standard deviation of the noise, in grey levels, from what a mask blind to edges leaves (Immerkaer 1996)."""
    if min(x.shape) < 3:
        return math.nan
    down = x[:-2] - 2 * x[1:-1] + x[2:]
    left = down[:, :-2] - 2 * down[:, 1:-1] + down[:, 2:]
    return float(math.sqrt(math.pi / 2) * np.abs(left).mean() / 6)


def colourfulness(rgb: NDArray[np.float64]) -> float:
    """How colourful a picture (H, W, 3) looks to people, 0 for grey (Hasler and Suesstrunk 2003)."""
    r, g, b = (rgb[..., channel] for channel in range(3))
    rg, yb = r - g, (r + g) / 2 - b
    return float(math.hypot(rg.std(), yb.std()) + 0.3 * math.hypot(rg.mean(), yb.mean()))


def _of_pictures(examples: Examples) -> list[Trait]:
    names = ("brightness", "contrast", "sharpness", "noise", "darkest tone", "lightest tone")
    measured = np.full((len(examples), len(names)), np.nan)
    sizes = np.zeros((len(examples), 2))
    colour = np.zeros(len(examples))
    kinds = []
    for i, example in enumerate(examples):
        pixels = np.asarray(example.input)
        pixels = pixels[..., None] if pixels.ndim == 2 else pixels
        sizes[i] = pixels.shape[1], pixels.shape[0]
        whole = pixels.astype(np.float64)
        if pixels.shape[-1] == 3:
            colour[i] = colourfulness(whole)
            x = whole @ [0.299, 0.587, 0.114]
        else:
            x = whole[..., 0]
        top, left = (max(0, (side - LOOKED_AT) // 2) for side in x.shape)
        middle = x[top : top + LOOKED_AT, left : left + LOOKED_AT]
        low, high = np.percentile(middle, [2, 98])
        measured[i] = brightness(x), contrast(x), sharpness(middle), noise(middle), low / 255, high / 255
        kinds.append(PurePath(example.origin.file).suffix.lower().lstrip(".") or None)
    meanings = (
        "mean grey, 0 black, 1 white",
        "spread of the greys, as a share of the whole range",
        "how much neighbouring pixels differ, in grey levels",
        "graininess that is neither edge nor texture, in grey levels",
        "the grey that 2 % of the pixels are darker than",
        "the grey that 2 % of the pixels are lighter than",
    )
    found = [Trait(name, measured[:, k], meanings[k]) for k, name in enumerate(names)]
    if colour.any():
        found.append(Trait("colourfulness", colour, "0 grey, about 50 a usual photo, above 100 garish"))
    if len(np.unique(sizes, axis=0)) > 1:
        found += [
            Trait("width", sizes[:, 0], "", "pixels"),
            Trait("height", sizes[:, 1], "", "pixels"),
            Trait("width to height", sizes[:, 0] / np.maximum(sizes[:, 1], 1), "above 1 lying, below 1 standing"),
        ]
    if any(kinds):
        found.append(Trait("kind of file", np.array(kinds, dtype=object)))
    return found


# -- rows ---------------------------------------------------------------------------------------------------------


def _of_rows(examples: Examples) -> list[Trait]:
    table: TableExamples = examples  # type: ignore[assignment]
    names = [name for name in table.input_columns if table.column_types[name].kind not in ("id", "text")]
    frame = table.frame(names)
    found = []
    for name in names:
        column = frame[name]
        missing = column.isna().to_numpy()
        kind = table.column_types[name].kind
        if column.dtype.kind == "M":
            days = column.to_numpy().astype("datetime64[ms]").astype(np.float64) / 86_400_000
            values: NDArray[Any] = np.where(missing, np.nan, days)
            found.append(Trait(name, values, "date", "days since 1970"))
        elif kind == "number":
            found.append(Trait(name, column.to_numpy(dtype=np.float64, na_value=np.nan)))
        else:
            found.append(Trait(name, np.where(missing, None, column.astype(object).to_numpy())))  # type: ignore[call-overload]
        if missing.any():
            found.append(Trait(f"{name} missing", np.where(missing, "missing", "there").astype(object)))
    return found


# -- strings ------------------------------------------------------------------------------------------------------


def _of_strings(examples: Examples, reference: Examples) -> list[Trait]:
    texts = [str(example.input) for example in examples]
    usual = texts if reference is examples else [str(example.input) for example in reference]
    rare = rare_symbols(usual)
    surprise = unusual_order(usual)

    def share(of: Callable[[str], bool]) -> NDArray[np.float64]:
        return np.array([sum(map(of, text)) / max(1, len(text)) for text in texts])

    return [
        Trait("length", np.array([len(text) for text in texts], float), "", "symbols"),
        Trait("words", np.array([len(text.split()) for text in texts], float)),
        Trait("digits", share(str.isdigit), "share of the symbols", "%"),
        Trait("capitals", share(str.isupper), "share of the symbols", "%"),
        Trait("signs", share(lambda c: not c.isalnum() and not c.isspace()), "neither letter, digit nor space", "%"),
        Trait("rare symbols", share(rare), "those that make up the rarest 0.5 % of train", "%"),
        Trait(
            "unusual order of symbols",
            np.array([surprise(text) for text in texts]),
            "how little one symbol lets expect the next, by the pairs in train",
            "nats a symbol",
        ),
    ]


def rare_symbols(texts: Sequence[str]) -> Callable[[str], bool]:
    """Whether a symbol is none of those that make up `COMMON` of these texts."""
    counts = Counter(symbol for text in texts for symbol in text)
    common, seen, whole = set(), 0, sum(counts.values())
    for symbol, count in counts.most_common():
        if seen >= COMMON * whole:
            break
        common.add(symbol)
        seen += count
    return lambda symbol: symbol not in common


def unusual_order(texts: Sequence[str]) -> Callable[[str], float]:
    """Mean nats of each symbol given the one before it, by these texts' pairs; each possible pair is counted once more.

    A text among these is judged without itself, so that known and new ones compare.
    """
    pairs: Counter[str] = Counter()
    for text in texts:
        pairs.update(_pairs(text))
    firsts: Counter[str] = Counter()
    for pair, count in pairs.items():
        firsts[pair[0]] += count
    known, symbols = set(texts), len(firsts) + 1

    def surprise(text: str) -> float:
        found = _pairs(text)
        own = Counter(found) if text in known else Counter()
        own_firsts = Counter(pair[0] for pair in own.elements())
        return float(
            np.mean(
                [
                    -math.log((pairs[pair] - own[pair] + 1) / (firsts[pair[0]] - own_firsts[pair[0]] + symbols))
                    for pair in found
                ]
            )
        )

    return surprise


def _pairs(text: str) -> list[str]:
    whole = f"\n{text}\n"
    return [whole[i : i + 2] for i in range(len(whole) - 1)]
