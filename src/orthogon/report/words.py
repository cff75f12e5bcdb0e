"""The words a report uses: one sentence each, and how numbers are written."""

from __future__ import annotations

import math

EXPLAINED = {
    "error": "How far the answers are from right, measured so that 0 is perfect.",
    "interval": "The range in which the true value lies with 95 % confidence, as it was measured on a sample.",
    "points": "Percentage points: from 2 % to 5 % is 3 points.",
    "floor": "The lowest error anyone could reach: the best people's, or 0 where that is not known.",
    "train": "The examples the network learns from.",
    "train-dev": "Examples from the training distribution that the network does not learn from.",
    "dev": "Examples kept apart from training, on which ideas are compared.",
    "test": "Examples kept for the end, to witness how good the system really is.",
    "avoidable bias": "The part of the error that is there even on train: the network has not learned enough yet.",
    "variance": "The error added on examples not seen in training: the network learned details that do not carry over.",
    "data mismatch": "The error added because the data you care about differs from the data it learned from.",
    "overfitting to dev": "The error added on test because choices were made by looking at dev.",
    "dev-test difference": "The error added on test where nothing was chosen by looking at dev: the two sets differ.",
    "drift over time": "The error added on test because test comes after dev and the data changes with time.",
    "memorised noise": "Error below the floor on train: wrong labels learned by heart.",
    "material": "Surely larger than the smallest gap worth acting on.",
    "real, size unclear": "Surely there, but it cannot be told yet whether it is worth acting on.",
    "real but small": "Surely there, and too small to be worth acting on.",
    "negligible": "Surely smaller than what is worth acting on.",
    "reversed": "The later set is easier than the earlier one.",
    "undetermined": "There are too few examples to tell whether it is there.",
    "unknown": "It cannot be told: the network already does better than the people it is compared with.",
    "variance or data mismatch": "Error added on new examples; a train-dev set would tell the two causes apart.",
    "dev set too small": "With so few dev examples a good system cannot be told from a bad one.",
    "healthy": "No part of the error is shown to be worth acting on.",
    "baseline": "A simple system trained on the same examples; the network has to beat it to earn its keep.",
    "loss": "What training lowers: small when right answers get high probability.",
    "step": "One update of the network's weights.",
    "epoch": "One pass over all of train.",
    "confusion": "Which true class was taken for which other one, and how often.",
    "confidence": "The probability that the network gives its own answer.",
    "calibration": "Whether confidence can be taken at its word: of answers 80 % sure, are 80 % right?",
    "coverage": "The share of cases the system answers itself when it passes on those it is unsure about.",
    "importance": "How much the error grows when this column's values are shuffled, so that it says nothing any more.",
    "saliency": "The warmer a place in the picture, the more the answer depends on it.",
    "attention": "The stronger the colour of a cell, the more the output on its left looked at the input above it.",
    "ceiling": "What the error falls to at best when every mistake of one kind is mended and nothing else changes.",
    "fingerprint": "A number computed from the data; it differs as soon as one value differs.",
    "knob": "One change to the configuration that aims at exactly one gap.",
    "expected gain": "What this step may bring: its gap times the share of it that such steps closed before.",
    "at most": "The whole gap that a step aims at: no step can bring more.",
    "orthogonal": "A knob that moves the gap it aims at, and no other.",
    "label noise": "Wrong labels in the data: no training gets below the error that they make.",
    "human level": "The error of the best people on the same examples.",
    "annotator": "A person who labelled examples; a panel's majority counts as one.",
    "suspect": "A label that networks doubt which did not learn it; a person decides.",
    "margin": "How far the label stayed ahead of every other class while it was learned; below 0 it stayed behind.",
    "out of fold": "Answered by a network that was trained without this example.",
    "error rate": "The share of answers that are wrong.",
    "accuracy": "The share of answers that are right.",
    "cost-weighted error": "The share of wrong answers, each counted by the cost that its class was given.",
    "log-loss": "How surprised the system is by the truth; to be sure and wrong costs much.",
    "Brier score": "The squared distance of the probabilities from the truth; 0 is perfect.",
    "calibration error": "How far confidence lies from the share that is right, on average.",
    "area under ROC": "The chance that an example of the class is ranked above one of another; 50 % is chance.",
    "average precision": "Precision, averaged while the threshold is lowered until all of the class is found.",
    "mean average precision": "Average precision of each label, averaged over labels.",
    "precision": "Of those that it calls so, the share that is so.",
    "recall": "Of those that are so, the share that it finds.",
    "F1": "Precision and recall joined; it is high only where both are.",
    "share of wrong labels": "Of all yes/no labels of all examples, the share that is wrong.",
    "units with all labels right": "The share of examples of which every label is right.",
    "root mean squared error": "How far answers lie from the truth, large misses counted more than in proportion.",
    "mean absolute error": "How far answers lie from the truth, on average.",
    "R²": "The share of the variation that is explained; 0 is no better than the mean, 1 is perfect.",
    "strings not exactly right": "The share of answers with any symbol wrong.",
    "exact match": "The share of answers that are right in every symbol.",
    "character error rate": "Edits that turn the answers into the truth, for each symbol of the truth.",
    "normalised edit distance": "Edits that turn the answer into the truth, by the longer of both, averaged.",
}

_ORDER = list(EXPLAINED)
METRICS = tuple(_ORDER[_ORDER.index("error rate") :])  # explained by the beginning of their titles


def metric(title: str) -> str:
    """The word that explains a metric of this title ("F1 of \"yes\"", "error rate, income"); empty without one."""
    return max((word for word in METRICS if title.startswith(word)), key=len, default="")


def number(value: float, digits: int = 3) -> str:
    """Three significant digits, without an exponent between 0.0001 and ten million."""
    if not math.isfinite(value):
        return "–"
    if value == round(value) and abs(value) < 1e7:
        return f"{value:,.0f}".replace("-", "−")
    size = math.floor(math.log10(abs(value)))
    if not -5 < size < 7:
        return f"{value:.{digits - 1}e}".replace("-", "−")
    places = max(0, digits - 1 - size)
    text = f"{value:,.{places}f}"
    return (text.rstrip("0").rstrip(".") if "." in text else text).replace("-", "−")


def share(value: float) -> str:
    """A share in 0..1 as percent, with one decimal below ten and where it matters."""
    if not math.isfinite(value):
        return "–"
    percent = 100 * value
    if abs(percent) >= 99.95 or percent == 0:
        return f"{percent:.0f}".replace("-", "−")
    if abs(percent) < 0.005:
        return "0"
    return (f"{percent:.2f}" if abs(percent) < 0.095 else f"{percent:.1f}").replace("-", "−")


def error(value: float, unit: str) -> str:
    """An error in its unit: "1.7 %", "0.482 nats"."""
    text = share(value) if unit == "%" else number(value)
    return f"{text} {unit}".rstrip()


def span(low: float, high: float, unit: str) -> str:
    """An interval, "[0.9, 3.0]"; empty where there is none."""
    if not (math.isfinite(low) and math.isfinite(high)):
        return ""
    write = share if unit == "%" else number
    return f"[{write(low)}, {write(high)}]"


def gap(value: float, unit: str) -> str:
    """A signed difference: "+1.6 points" for shares, "+0.03 nats" otherwise."""
    if not math.isfinite(value):
        return "–"
    text = share(abs(value)) if unit == "%" else number(abs(value))
    sign = "±" if not text.strip("0.") else ("−" if value < 0 else "+")
    named = "points" if unit == "%" else unit
    return f"{sign}{text} {named}".rstrip().replace("±0", "0")


def gain(value: float, unit: str) -> str:
    """What a step may bring, without a sign: "1.6 points"."""
    return gap(value, unit).lstrip("+")


def at_most(value: float, unit: str) -> str:
    """An upper limit: "at most 1.6 points"."""
    return f"at most {gain(value, unit)}"


def seconds(value: float) -> str:
    """A duration as people say it."""
    if not math.isfinite(value):
        return "–"
    if value < 10:
        return f"{value:.1f} s"
    if value < 120:
        return f"{value:.0f} s"
    return f"{value / 60:.0f} min" if value < 7200 else f"{value / 3600:.1f} h"


def place(title: str) -> str:
    """Where an example lies, as short as tells: the file in its folder, the row of its file."""
    path, comma, row = title.partition(", ")
    parts = path.replace("\\", "/").split("/")
    return "/".join(parts[-1 if comma else -2 :]) + comma + row


def about(n: int) -> str:
    """A count rounded up to two figures: 1,234 -> "1,300"."""
    unit = 10 ** max(0, len(str(n)) - 2)
    return f"{-(-n // unit) * unit:,}"


def count(n: int, noun: str) -> str:
    """ "1 example", "1,234 examples"."""
    return f"{n:,} {noun}" if n == 1 else f"{n:,} {noun}s"
