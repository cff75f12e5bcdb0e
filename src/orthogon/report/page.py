"""The report of one run: a single HTML file that needs no network."""

from __future__ import annotations

import difflib
import math
from collections.abc import Mapping, Sequence
from itertools import islice, pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from markupsafe import Markup, escape

from orthogon.report import growth, labels, pictures, plots, shift, words
from orthogon.report.bars import Bar, Value, bars, ladder
from orthogon.report.data import Case, Figure, ReportData
from orthogon.report.error_parts import ceilings_shown, leaks_shown, slices_shown
from orthogon.report.render import TAKE, clip, flatten, render
from orthogon.report.timeline import timeline
from orthogon.report.unstudied import unstudied
from orthogon.run.folder import write_text

if TYPE_CHECKING:
    from orthogon.strategy.advice import Step
    from orthogon.strategy.diagnosis import Rung
    from orthogon.strategy.mistakes import Mistakes, Slice
    from orthogon.tasks.task import Card

PICTURE_BYTES = 1_900_000  # of the page's 3 MiB; text, tables and plots share the rest
MAX_CASES = 60
MAX_LOOKS = 12
MAX_CLASSES = 24  # in the confusion matrix; a wider one cannot be read
NARROW_NAMES = 44  # characters of all class names that fit beside another table
MAX_ROWS = 30  # of bars in one list
MAX_TARGETS = 20  # of several, that differ on one card
MAX_FIELDS = (8, 60)  # columns of a row shown at once, and behind a click
MAX_ATTENTION = 60  # rows or columns of an attention map


def page(data: ReportData) -> str:
    """The whole report as HTML, at most 3 MiB. Parts that `data` lacks leave their sections out."""
    mistakes = data.mistakes
    unit = data.measure.unit
    bracket = labels.bracket(data.diagnosis, data.labels)
    shown = {
        "short": _short(data),
        "ladder": ladder(data.diagnosis, unit, (bracket.low, bracket.high) if bracket else None)
        if data.diagnosis
        else [],
        "floor": labels.floor_shown(data.labels, data.people),
        "why": _why(data),
        "unstudied": unstudied(data),
        "suspects": labels.section(data.labels, data.suspects, data.examples),
        "steps": _steps(data),
        "baselines": _baselines(data),
        "figures": _figures(data),
        "curves": _curves(data),
        "curves_note": _curves_note(data),
        "confusion": _confusion(mistakes),
        "pairs": _pairs(mistakes),
        "agreement": _agreement(data),
        **_per_class(mistakes),
        "per_group": _per_group(mistakes, unit),
        "calibration": _calibration(mistakes),
        "calibration_note": _calibration_note(mistakes),
        "coverage": _coverage(mistakes),
        "coverage_note": _coverage_note(mistakes),
        "importances": _importances(data),
        "sizes": _sizes(data),
        "growth": growth.section(data.growth),
        "ceilings": ceilings_shown(data.ceilings),
        "slices": slices_shown(data.slices, data.strips if data.examples else ()),
        "leaks": leaks_shown(data.leaks, data.pairs if data.examples else ()),
        "shift": shift.section(data.shift, unit, data.examples),
        "findings": _findings(data),
        "timeline": timeline(data.logbook, unit, data.run),
        "config": flatten(data.config),
        "environment": flatten({key: value for key, value in data.info.items() if key not in ("files", "config")}),
    }
    cases, looks = _cards(data)
    shown |= {
        "cases": cases,
        "cases_note": _cases_note(cases),
        "wide_cards": any(card["kind"] == "strings" for card in cases),
        "looks": looks,
        "looks_note": _looks_note(looks),
        "wide_looks": any(card["kind"] == "strings" for card in looks),
        "class_names": list(data.class_names)[:1000],
    }
    shown |= {
        "data": data,
        "task": data.task.replace("_", " "),
        "measure_title": data.error_title,
        "error_phrase": data.error_title if "error" in data.error_title else f"error ({data.error_title})",
        "problem": data.problem[:1].upper() + data.problem[1:],
        "date": str(data.info.get("created", ""))[:10],
        "fingerprint": str(data.info.get("fingerprint", ""))[:16],
        "version": data.info.get("versions", {}).get("orthogon", "") if data.info else "",
        "sections": [(id, name) for id, name, there in _contents(shown, data) if there],
    }
    return render("page.html", shown, local=data.examples)


def write(data: ReportData, path: Path) -> Path:
    """Write the report; a reader sees the old page or the new one, never half of one."""
    write_text(path, page(data))
    return path


# -- the first screen ---------------------------------------------------------------------------------------------


def _contents(shown: Mapping[str, Any], data: ReportData) -> list[tuple[str, str, Any]]:
    s = shown
    return [
        ("ladder", "Ladder", s["ladder"]),
        ("next", "Next steps", s["steps"] or data.healthy),
        ("figures", "How good", s["baselines"] or s["figures"]),
        ("curves", "Learning", s["curves"] or data.ending),
        ("growth", "More data", s["growth"]),
        ("mistakes", "Mistakes", s["confusion"] or s["pairs"] or s["agreement"] or s["per_class"] or s["per_group"]),
        ("sureness", "Sureness", s["calibration"] or s["coverage"]),
        ("worst", "Worst cases", s["cases"]),
        ("tags", "Tags", s["ceilings"]),
        ("groups", "Groups", s["slices"]),
        ("leaks", "Leaks", s["leaks"]),
        ("suspects", "Labels", s["suspects"]),
        ("looks", "What it looks at", s["importances"] or s["looks"]),
        ("shift", "Train and dev", s["shift"]),
        ("data", "Data", s["sizes"] or s["findings"]),
        ("logbook", "Logbook", s["timeline"]),
        ("setup", "Set-up", s["config"] or s["environment"] or data.predict_line),
        ("words", "Words", True),
    ]


def _short(data: ReportData) -> list[dict[str, Any]]:
    """The three tiles: how good is it, what limits it, what next."""
    tiles: list[dict[str, Any]] = []
    unit = data.measure.unit
    diagnosis = data.diagnosis
    dev, test = data.rung("dev"), data.rung("test")
    name, share = data.error_title, unit == "%"
    if dev is not None:
        lines: list[str] = [
            _figure_line(f"On {words.count(dev.n, 'dev example')};" if share else f"{name} on {dev.n:,};", dev, unit)
        ]
        if share and 0 < dev.value < 0.5:
            lines.append(f"About 1 answer in {1 / dev.value:.0f} is wrong.")
        best = min(data.baselines, key=lambda b: b.error.value, default=None)
        if best is not None:
            better = ", is better" if best.error.value < dev.value else ""
            lines.append(escape(f"Best baseline, {best.name}{better}: {words.error(best.error.value, unit)}"))
        if test is not None:
            lines.append(_figure_line(f"Test: {words.error(test.value, unit)}", test, unit))
        big = f"{words.error(dev.value, unit)} {name}" if share else words.error(dev.value, unit)
        tiles.append(
            {"title": "How good is it?", "big": big, "word": "", "words": False, "lines": lines, "command": ""}
        )
    if diagnosis:
        cause = diagnosis.primary
        tiles.append(
            {
                "title": "What limits it?",
                "big": "Nothing found" if cause == "healthy" else cause[:1].upper() + cause[1:],
                "word": cause if cause in words.EXPLAINED else "",
                "words": True,
                "lines": list(diagnosis.sentences[1:2]),
                "command": "",
            }
        )
    if data.steps:
        step = data.steps[0]
        own = step.who == "orthogon"
        tiles.append(
            {
                "title": "What next?",
                "big": step.knob[:1].upper() + step.knob[1:],
                "word": "",
                "words": True,
                "lines": [line for line in (step.reason, _gain(step, unit)) if line],
                "command": TAKE.format(step.number) if own else "",
            }
        )
    elif data.healthy:
        tiles.append(
            {
                "title": "What next?",
                "big": "Nothing urgent",
                "word": "",
                "words": True,
                "lines": [data.healthy],
                "command": "",
            }
        )
    for tile in tiles:  # a figure and its sign stay on one line
        tile["lines"] = [line.replace(" %", "\N{NO-BREAK SPACE}%") for line in tile["lines"]]
    return tiles


def _figure_line(text: str, rung: Rung, unit: str) -> Markup:
    span = words.span(rung.low, rung.high, unit)
    between = f"95 % between {span[1:-1].replace(', ', ' and ')}" if span else ""
    return Markup('{} <span class="span">{}</span>').format(text, between)


def _why(data: ReportData) -> str:
    """What the tiles have not said yet."""
    return " ".join(data.diagnosis.sentences[2:]) if data.diagnosis else ""


def _steps(data: ReportData) -> list[dict[str, Any]]:
    shown = []
    for step in data.steps:
        own = step.who == "orthogon"
        runs = step.cost_runs
        shown.append(
            {
                "number": step.number,
                "title": (step.idea or step.knob)[:1].upper() + (step.idea or step.knob)[1:],
                "changes": ", ".join(f"{key} = {value}" for key, value in step.overrides.items()),
                "reason": step.reason,
                "sign": step.sign,
                "orthogonal": step.orthogonal,
                "also": step.also,
                "learned": step.learned,
                "gain": _gain(step, data.measure.unit).removeprefix("Could bring ").removesuffix("."),
                "gap": step.gap,
                "cost": f"Costs {words.number(runs)} run{'' if runs == 1 else 's'} like this one{_time_of(runs, data)}."
                if own
                else f"This one is yours to do: {_hours(step.hours)} of work."
                if step.hours
                else "This one is yours to do.",
                "wrong_if": step.wrong_if,
                "command": TAKE.format(step.number) if own else "",
            }
        )
    return shown


def _hours(hours: float) -> str:
    return f"about {hours:g} hour{'' if hours == 1 else 's'}"


def _time_of(runs: float, data: ReportData) -> str:
    """What so many trainings like this one take, after a comma; empty where that is not known."""
    seconds = data.info.get("seconds")
    return f", about {words.seconds(runs * seconds)}" if seconds else ""


def _gain(step: Step, unit: str) -> str:
    gain, expected = step.gain_at_most, step.expected
    if not gain.value:
        return ""
    if expected is not None:
        span = words.span(expected.low, expected.high, unit)
        return f"Could bring {words.gain(expected.value, unit)} {span}, {words.at_most(gain.value, unit)}."
    return f"Could bring {words.at_most(gain.value, unit)} {words.span(gain.low, gain.high, unit)}."


def _baselines(data: ReportData) -> list[Bar]:
    """The network among its baselines, best first."""
    if not data.baselines:
        return []
    values = [
        Value(b.name, b.error.value, b.error.low, b.error.high, note=_trained_in(b.seconds), tone="quiet")
        for b in data.baselines
    ]
    rung = data.rung("dev")
    if rung is not None:
        took = _trained_in(float(data.info.get("seconds", math.nan)))
        values.append(Value("this network", rung.value, rung.low, rung.high, note=took))
    cap = 4 * max((v.value for v in values if v.name == "this network"), default=math.inf)
    return bars(sorted(values, key=lambda v: v.value), data.measure.unit, cap=cap or math.inf)


def _trained_in(seconds: float) -> str:
    return words.seconds(seconds) if math.isfinite(seconds) else ""


def _figures(data: ReportData) -> dict[str, Any] | None:
    if not data.figures:
        return None
    present = {split for row in data.figures.values() for split in row}
    splits = [split for split in ("train", "train_dev", "dev", "test") if split in present]
    rows = []
    for name, row in data.figures.items():
        unit = data.units.get(name, "")
        cells = [row.get(split, Figure(math.nan)) for split in splits]
        rows.append(
            (name, words.metric(name), [(words.error(c.value, unit), words.span(c.low, c.high, unit)) for c in cells])
        )
    return {"splits": [split.replace("_", "-") for split in splits], "rows": rows}


# -- training -----------------------------------------------------------------------------------------------------


def _curves(data: ReportData) -> list[Markup]:
    labels = {"loss": "Loss on train and dev while training went on", "error": "Error on dev while training went on"}
    curves = []
    for panel, keys in (("loss", ("loss", "dev_loss")), ("error", ("dev_error",))):
        if any(row.get(key) is not None for row in data.history for key in keys):
            changes = data.info.get("changes", ())
            figure = plots.learning_curves(data.history, data.error_title, data.measure.unit == "%", (panel,), changes)
            curves.append(Markup(plots.to_svg(figure, f"curve-{panel}", labels[panel])))
    return curves


def _curves_note(data: ReportData) -> str:
    info = data.info
    parts = []
    if info.get("steps"):
        parts.append(f"{info['steps']:,} steps")
    if info.get("epochs"):
        parts.append(f"{words.number(info['epochs'])} epochs")
    if info.get("seconds"):
        parts.append(f"{words.seconds(info['seconds'])} in all")
    if info.get("best_step"):
        parts.append(f"best weights from step {info['best_step']:,}")
    told = ", ".join(parts) + "." if parts else ""
    return f"{told} {data.ending}".strip()


# -- mistakes -----------------------------------------------------------------------------------------------------


def _confusion(mistakes: Mistakes | None) -> dict[str, Any] | None:
    if mistakes is None or mistakes.confusion is None:
        return None
    matrix, names = np.asarray(mistakes.confusion), list(mistakes.class_names)
    note = ""
    if len(names) > MAX_CLASSES:
        off = matrix - np.diag(np.diag(matrix))
        worst = np.sort(np.argsort(-(off.sum(0) + off.sum(1)), kind="stable")[:MAX_CLASSES])
        note = f"The {MAX_CLASSES} of {len(names)} classes with the most mistakes."
        matrix, names = matrix[np.ix_(worst, worst)], [names[i] for i in worst]
    wrong = matrix - np.diag(np.diag(matrix))
    top = max(1, int(wrong.max(initial=0)))
    rows = [
        {
            "name": clip(name, 40),
            "cells": [
                {"n": int(n), "right": i == j, "weight": round(0.25 + 0.75 * n / top, 2)}
                for j, n in enumerate(matrix[i])
            ],
        }
        for i, name in enumerate(names)
    ]
    shown = [clip(name, 40) for name in names]
    wide = sum(max(3, len(name)) for name in shown) > NARROW_NAMES
    return {"names": shown, "rows": rows, "note": note, "wide": wide}


def _pairs(mistakes: Mistakes | None) -> list[dict[str, Any]]:
    pairs = mistakes.confused[:8] if mistakes is not None else ()
    return [
        {"truth": p.truth, "answer": p.answer, "count": p.count, "share": f"{words.share(p.share)} %"} for p in pairs
    ]


def _agreement(data: ReportData) -> Markup | None:
    if data.agreement is None or not len(data.agreement):
        return None
    figure = plots.agreement(data.agreement[:, 0], data.agreement[:, 1], data.measure.unit)
    return Markup(plots.to_svg(figure, "agreement", "Answers against true values on dev"))


def _per_class(mistakes: Mistakes | None) -> dict[str, Any]:
    rows, note = _slices(mistakes.per_class, "%") if mistakes is not None else ([], "")
    return {"per_class": rows, "per_class_note": note}


def _per_group(mistakes: Mistakes | None, unit: str) -> list[dict[str, Any]]:
    if mistakes is None:
        return []
    shown = []
    for name, slices in mistakes.per_group.items():
        rows, note = _slices(slices, unit)
        if rows:
            shown.append({"name": name, "rows": rows, "note": note})
    return shown


def _slices(slices: Sequence[Slice], unit: str) -> tuple[list[Bar], str]:
    """The slices with the highest error first."""
    ranked = sorted(slices, key=lambda s: -s.error if math.isfinite(s.error) else math.inf)
    values = [Value(clip(str(s.name), 60), s.error, s.low, s.high, note=f"{s.n:,}") for s in ranked[:MAX_ROWS]]
    note = f"The worst {MAX_ROWS} of {len(ranked):,}." if len(ranked) > MAX_ROWS else ""
    return bars(values, unit), note


def _calibration(mistakes: Mistakes | None) -> Markup | None:
    bins = mistakes.calibration if mistakes is not None else ()
    if not bins:
        return None
    figure = plots.calibration(
        [b.confidence for b in bins],
        [b.accuracy for b in bins],
        [b.low for b in bins],
        [b.high for b in bins],
        [b.n for b in bins],
    )
    return Markup(plots.to_svg(figure, "calibration", "How often answers are right against how sure they are"))


def _calibration_note(mistakes: Mistakes | None) -> str:
    bins = mistakes.calibration if mistakes is not None else ()
    n = sum(b.n for b in bins)
    if not n:
        return ""
    apart = sum(b.n * abs(b.accuracy - b.confidence) for b in bins) / n
    return (
        f"below the line the network is too sure, above it too modest. On average they lie "
        f"{100 * apart:.1f} points apart."
    )


def _coverage(mistakes: Mistakes | None) -> Markup | None:
    points = mistakes.coverage if mistakes is not None else ()
    if not points:
        return None
    figure = plots.coverage(
        [p.share for p in points], [p.error for p in points], [p.low for p in points], [p.high for p in points]
    )
    return Markup(plots.to_svg(figure, "coverage", "Error among the surest share of cases"))


def _coverage_note(mistakes: Mistakes | None) -> str:
    return f"{mistakes.sure()}." if mistakes is not None and mistakes.coverage else ""


# -- cards --------------------------------------------------------------------------------------------------------


def _cards(data: ReportData) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    if not data.examples:
        return [], []
    cases, looks = list(data.cases[:MAX_CASES]), list(data.looks[:MAX_LOOKS])
    encoded = pictures.encode([case.card for case in (*looks, *cases)], PICTURE_BYTES)
    shown_looks = [
        card_shown(case, pair, f"look-{i}", True) for i, (case, pair) in enumerate(zip(looks, encoded, strict=False))
    ]
    seen = set()
    shown_cases: list[dict[str, Any]] = []
    for case, pair in zip(cases, encoded[len(looks) :], strict=True):
        key = f"case-{case.split}-{case.id}"
        if key not in seen:  # an id names one element of the page
            seen.add(key)
            shown_cases.append(card_shown(case, pair, key, len(shown_cases) < MAX_LOOKS))
    return shown_cases, shown_looks


def card_shown(
    case: Case,
    pair: tuple[pictures.Picture | None, pictures.Picture | None],
    key: str,
    attention: bool,
) -> dict[str, Any]:
    card = case.card
    wrong = card.truth != card.answer
    fields = [(clip(name, 80), clip(str(value), 160)) for name, value in islice(card.fields.items(), MAX_FIELDS[1])]
    marked = _differences(clip(card.answer), clip(card.truth)) if wrong else (escape(clip(card.answer)), "")
    figures = []
    if card.confidence is not None and math.isfinite(card.confidence):
        figures.append(f"{words.share(card.confidence)} % sure")
    if card.loss is not None and math.isfinite(card.loss):
        figures.append(f"loss {words.number(card.loss)}")
    answer, truth = clip(card.answer, 120), clip(card.truth, 120)
    return {
        "key": key,
        "kind": card.kind,
        "id": case.id,
        "split": case.split.replace("_", "-"),
        "origin": card.title,
        "place": words.place(card.title),
        "truth": clip(card.truth),
        "answer": clip(card.answer),
        "answer_short": clip(card.answer, 24),
        "said": f"{answer}, not {truth}" if wrong else answer,
        "alt": f"answered {answer}, true {truth}",
        "wrong": wrong,
        "figures": " · ".join(figures),
        "picture": pair[0],
        "heated": pair[1],
        "text": clip(card.text),
        "answer_marked": marked[0],
        "truth_marked": marked[1],
        "targets": _wrong_targets(card),
        "right": _right_targets(card),
        "fields": fields[: MAX_FIELDS[0]],
        "more": fields[MAX_FIELDS[0] :],
        "attention": _attention(card) if attention and card.kind == "strings" else None,
    }


def _wrong_targets(card: Card) -> list[dict[str, str]]:
    """What was answered and what is true of each target of several that differs."""
    return [
        {
            "said": f"{clip(target.name, 80)}: {clip(target.answer, 120)}, not {clip(target.truth, 120)}",
            "sure": "" if target.confidence is None else f"{words.share(target.confidence)} % sure",
        }
        for target in card.targets[:MAX_TARGETS]
        if target.wrong
    ]


def _right_targets(card: Card) -> str:
    """The answers of the other targets on one line."""
    wrong = min(MAX_TARGETS, sum(target.wrong for target in card.targets))
    rest = card.targets[wrong:]
    shown = ", ".join(f"{target.name}: {target.answer}" for target in rest)
    said = "right" if not any(target.wrong for target in rest) else "the others"
    return clip(f"{said}: {shown}", 240) if rest else ""


def _differences(answer: str, truth: str) -> tuple[Markup, Markup]:
    """Both strings with the characters marked in which they differ."""
    left, right = Markup(), Markup()
    for same, a0, a1, b0, b1 in _aligned(answer, truth):
        if same:
            left += escape(answer[a0:a1])
            right += escape(truth[b0:b1])
        else:
            left += Markup("<mark>{}</mark>").format(answer[a0:a1]) if a1 > a0 else Markup()
            right += Markup("<mark>{}</mark>").format(truth[b0:b1]) if b1 > b0 else Markup()
    return left, right


def _aligned(a: str, b: str) -> list[tuple[bool, int, int, int, int]]:
    """Runs (same, start and end in a, start and end in b), as equal as can be."""
    same = [x == y for x, y in zip(a, b, strict=False)]
    if len(a) == len(b) and 2 * sum(same) >= len(a):  # a date with wrong digits: place by place reads best
        cuts = [0, *(i for i in range(1, len(a)) if same[i] != same[i - 1]), len(a)]
        return [(same[i], i, j, i, j) for i, j in pairwise(cuts) if j > i]
    codes = difflib.SequenceMatcher(None, a, b, autojunk=False).get_opcodes()
    return [(kind == "equal", a0, a1, b0, b1) for kind, a0, a1, b0, b1 in codes]


def _attention(card: Card) -> dict[str, Any] | None:
    """Rows of the attention map as weights with two digits; zero is left to the style sheet."""
    if card.heat is None:
        return None
    heat = np.nan_to_num(np.asarray(card.heat, float))[:MAX_ATTENTION, :MAX_ATTENTION]
    top = float(heat.max(initial=0.0)) or 1.0
    rows = [
        {"name": name, "cells": [round(float(w) / top, 2) for w in row]}
        for name, row in zip(card.row_labels, heat, strict=False)
    ]
    return {"columns": list(card.column_labels)[:MAX_ATTENTION], "rows": rows}


def _cases_note(cases: Sequence[Mapping[str, Any]]) -> str:
    if not cases:
        return ""
    return (
        f"{words.count(len(cases), 'example')}, the most costly first. Is a label wrong, or do several have something "
        "in common? Mark it, and download the marks as relabel.csv; they stay in this browser. Tags are read back by "
        "orthogon errors --read relabel.csv; labels of dev and test are corrected together, from a list of their own."
    )


def _looks_note(looks: Sequence[Mapping[str, Any]]) -> str:
    if any(card["attention"] for card in looks):
        return f"Attention. {words.EXPLAINED['attention']}"
    if any(card["heated"] for card in looks):
        return f"Saliency. {words.EXPLAINED['saliency']}"
    return "Some examples with their answers."


def _importances(data: ReportData) -> list[Bar]:
    values = [Value(clip(row.name, 60), row.drop, row.low, row.high) for row in data.importances[:MAX_ROWS]]
    return bars(values, data.measure.unit, signed=True)


# -- data and set-up ----------------------------------------------------------------------------------------------


def _sizes(data: ReportData) -> list[dict[str, Any]]:
    whole = sum(data.sizes.values())
    return [
        {"name": name.replace("_", "-"), "n": n, "text": f"{n:,} ({100 * n / whole:.0f} %)"}
        for name, n in data.sizes.items()
        if n
    ]


def _findings(data: ReportData) -> list[dict[str, str]]:
    rank = {"error": 0, "warning": 1, "note": 2}
    shown = []
    for finding in sorted(data.findings, key=lambda f: rank[f.severity])[:100]:
        places = clip(", ".join(finding.places[:5])) if data.examples else ""
        shown.append(
            {"severity": finding.severity, "message": clip(finding.message), "places": places, "remedy": finding.remedy}
        )
    return shown
