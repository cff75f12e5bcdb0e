"""MODEL_CARD.md: what a run is, how good it is and on what, and what is not known about it.

Source: Mitchell et al. 2019, "Model Cards for Model Reporting", arXiv:1810.03993; its sections, filled as far as a run
knows them, with a prompt where only a person can answer.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from orthogon.report import words
from orthogon.report.data import ReportData
from orthogon.report.render import flatten


def model_card(data: ReportData) -> str:
    """The model card of a run as Markdown text."""
    parts = [
        f"# {_plain(data.project)}, run {_plain(data.run)}",
        _model(data),
        _use(data),
        _data(data),
        _figures(data),
        _limits(data),
        _again(data),
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def _model(data: ReportData) -> str:
    info = data.info
    facts = [
        ("task", data.task.replace("_", " ")),
        ("what it answers", data.problem),
        ("network", info.get("network")),
        ("parameters", f"{info['parameters']:,}" if info.get("parameters") else None),
        ("trained", info.get("ended") or info.get("created")),
        ("training time", words.seconds(info["seconds"]) if info.get("seconds") else None),
        ("status", info.get("status")),
        ("mean of runs", ", ".join(info.get("members", ()))),
        ("made from run", info.get("parent")),
        ("change against that run", info.get("knob")),
    ]
    return _list(facts)


def _use(data: ReportData) -> str:
    lines = ["## Intended use", "*For a person to fill in; the run cannot know it.*", ""]
    lines += [
        "- What decisions will these answers serve, and who is affected by a wrong one?",
        "- On what inputs must it not be used?",
        "- Who looks at the answers it is unsure about?",
    ]
    return "\n".join(lines)


def _data(data: ReportData) -> str:
    source = _at(data.config, "data", "source")
    facts = [
        ("source", source),
        ("fingerprint (sha256)", data.info.get("fingerprint")),
        ("licence", "unknown: Orthogon cannot tell it from the data; fill it in before sharing the model"),
        ("how it was split", data.split_reason),
        ("classes", _classes(data.class_names)),
    ]
    parts = ["## Data", _list(facts)]
    if data.sizes:
        rows = [(name.replace("_", "-"), f"{n:,}") for name, n in data.sizes.items()]
        parts.append(_table(("split", "examples"), rows))
    if data.findings:
        lines = [f"- {f.severity}: {_plain(f.message)}" for f in list(data.findings)[:20]]
        parts.append("What the checks found:\n\n" + "\n".join(lines))
    return "\n\n".join(part for part in parts if part)


def _figures(data: ReportData) -> str:
    parts = []
    if data.figures:
        splits = [s for s in ("train", "train_dev", "dev", "test") if any(s in row for row in data.figures.values())]
        rows = []
        for name, row in data.figures.items():
            unit = data.units.get(name, "")
            cells = []
            for split in splits:
                figure = row.get(split)
                text = (
                    f"{words.error(figure.value, unit)} {words.span(figure.low, figure.high, unit)}" if figure else "–"
                )
                cells.append(text.strip())
            rows.append((name, *cells))
        parts.append(_table(("metric", *(s.replace("_", "-") for s in splits)), rows))
    if data.diagnosis:
        parts.append(_plain(data.diagnosis.summary()))
    if data.baselines:
        unit = data.measure.unit
        rows = [
            (b.name, f"{words.error(b.error.value, unit)} {words.span(b.error.low, b.error.high, unit)}".strip())
            for b in data.baselines
        ]
        rung = data.rung("dev")
        if rung:
            own = f"{words.error(rung.value, unit)} {words.span(rung.low, rung.high, unit)}".strip()
            rows.insert(0, ("**this network**", own))
        parts.append(f"Beside simple systems on the same split, {data.error_title} on dev:")
        parts.append(_table(("system", data.error_title), rows))
    if data.test_looks:
        parts.append(
            f"The test set was scored {data.test_looks} time{'' if data.test_looks == 1 else 's'} in this project."
        )
    head = "## How good it is\n\nIn brackets, 95 % intervals over the examples of the split."
    return "\n\n".join([head, *parts]) if parts else ""


def _limits(data: ReportData) -> str:
    lines = [
        "- The figures hold for data like dev and test. On other data they say nothing; `orthogon predict` flags "
        "inputs unlike the training data.",
    ]
    if data.moved_threshold:
        lines.append(f"- {_plain(data.moved_threshold)}")
    mistakes = data.mistakes
    if mistakes is not None:
        worst = [s for s in mistakes.per_class if math.isfinite(s.error) and s.error > 0]
        for s in sorted(worst, key=lambda s: -s.low)[:3]:
            lines.append(
                f"- Class {_plain(str(s.name))}: {words.error(s.error, '%')} error {words.span(s.low, s.high, '%')} "
                f"on {words.count(s.n, 'example')}."
            )
    if data.diagnosis and data.diagnosis.num_seeds < 3:
        lines.append("- One training run: how much the figures would change with another seed was not measured.")
    return "\n".join(["## Limits", "", *lines])


def _again(data: ReportData) -> str:
    versions = data.info.get("versions") or {}
    parts = ["## How to make it again"]
    facts = [("seed", data.info.get("seed")), *versions.items()]
    facts += [(f"hardware, {key}", value) for key, value in (data.info.get("hardware") or {}).items()]
    parts.append(_list(facts))
    members = data.info.get("members", ())
    if members:
        numbers = " ".join(str(int(name)) for name in members)
        parts.append(f"Its members' weights are its own; `orthogon ensemble {numbers}` puts them together again.")
        parts[-1] += " Each member's configuration lies beside this file in `members/`."
    else:
        parts.append("The resolved configuration lies beside this file in `config.yaml`; with the same data and")
        parts[-1] += " versions on the same machine `orthogon train` gives the same weights, bit for bit."
    if data.predict_line:
        parts.append(f"To use it:\n\n```\n{data.predict_line}\n```")
    if data.config:
        rows = [(f"`{key}`", value) for key, value in flatten(data.config)]
        parts.append(_table(("setting", "value"), rows))
    return "\n\n".join(part for part in parts if part)


def _list(facts: Sequence[tuple[str, Any]]) -> str:
    return "\n".join(f"- {name}: {_plain(str(value))}" for name, value in facts if value not in (None, ""))


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(_plain(str(cell)).replace("|", "\\|") for cell in row) + " |" for row in lines)


def _classes(names: Sequence[str]) -> str:
    shown = ", ".join(map(str, names[:20]))
    return shown + (f" and {len(names) - 20} more" if len(names) > 20 else "")


def _at(values: Mapping[str, Any], *keys: str) -> Any:
    for key in keys:
        values = values.get(key, {}) if isinstance(values, Mapping) else {}
    return values or None


def _plain(text: str) -> str:
    """One line in which nothing reads as HTML."""
    return " ".join(text.split()).replace("<", "&lt;")
