"""One screen of a terminal: how good, what limits it, mistakes, what next. Reads well at 80 columns and in a pipe."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import PurePath
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from rich.console import Console, ConsoleOptions, Group, RenderableType, RenderResult
from rich.measure import Measurement
from rich.padding import Padding
from rich.segment import Segment
from rich.style import Style
from rich.table import Table
from rich.text import Text

from orthogon.report import words
from orthogon.report.data import Case, ReportData
from orthogon.report.pictures import picture_of
from orthogon.report.render import TAKE, clip

if TYPE_CHECKING:
    from orthogon.strategy.advice import Step
    from orthogon.strategy.label_study import Suspect
    from orthogon.tasks.task import Card, TargetShown

MISTAKES = 5
TARGETS = 3  # of several, that differ in one mistake
COLUMNS_SHOWN = ((3, 18), (3, 12), (2, 12), (1, 12), (0, 12))  # of a row, and characters of each: what fits is taken
STEPS = 3
BRIEF = 220  # characters of a step's reason
LARGE = 48  # pixels of a picture that stands alone
FIELDS_ALONE = 16  # columns of a row that stands alone
DRAWN = 14  # pixels of a drawing's longest side: five abreast in 80 columns
TINY = 16  # pixels: pictures up to here are drawn without colour too; larger ones would only be specks


def screen(data: ReportData) -> RenderableType:
    """Everything worth a first look, at most about 45 lines."""
    blocks: list[RenderableType] = []
    for part in (_network_line(data), _ladder(data), _growth(data), _mistakes(data), _steps(data), _where(data)):
        if part is not None:
            blocks += [Text(), part] if blocks else [part]
    return Group(*blocks)


def _network_line(data: ReportData) -> RenderableType | None:
    """The network beside its baselines on one line."""
    unit = data.measure.unit
    rung = data.rung("dev")
    if rung is None:
        return None
    line = Text(f"{data.error_title[:1].upper()}{data.error_title[1:]} on dev: ")
    line.append(f"network {words.error(rung.value, unit)}", style="bold")
    for baseline in sorted(data.baselines, key=lambda b: b.error.value):
        line.append(f" · {baseline.name} {words.error(baseline.error.value, unit)}", style="dim")
    best = min(data.baselines, key=lambda b: b.error.value, default=None)
    if best is not None and best.error.value < rung.value:
        line.append(f"\nThe network does not earn its keep yet: {best.name} does better.", style="yellow")
    return line


def _growth(data: ReportData) -> RenderableType | None:
    """What twice the data would bring, where a curve was drawn and carries that far."""
    told = [curve.sentences()[0] for curve in data.growth if curve.horizons]
    return Text(" ".join(told)) if told else None


def _ladder(data: ReportData) -> RenderableType | None:
    return data.diagnosis


def _mistakes(data: ReportData) -> RenderableType | None:
    cases = [case for case in data.cases if case.card.truth != case.card.answer][:MISTAKES]
    if not cases or not data.examples:
        return None
    return Group(Text("Worst mistakes", style="bold"), cards(cases, TARGETS))


def cards(cases: Sequence[Case], targets: int | None = None) -> RenderableType:
    """Examples with their answers: drawings for pictures, the first columns of rows, source and answer of strings.

    Args:
        targets: of several targets that differ, at most so many of each row; None: all of them.
    """
    if not cases:
        return Text("No mistakes to show.")
    kind = cases[0].card.kind
    if kind == "image":
        return Drawings(cases)
    return _strings(cases) if kind == "strings" else Rows(cases, targets)


def suspects(named: Sequence[tuple[Suspect, Case]]) -> RenderableType:
    """Suspect labels: each example, its label, and what networks take it for that did not learn it."""
    cases = [
        Case(
            replace(case.card, answer=each.suggestion, truth=each.label, confidence=each.confidence, targets=()),
            case.id,
            case.split,
        )
        for each, case in named
    ]
    kind = cases[0].card.kind if cases else ""
    return Rows(cases, headings=("looks like", "label")) if kind == "row" else cards(cases)


def alone(case: Case) -> RenderableType:
    """One example as large as a terminal allows: for looking at it, not for a list."""
    card = case.card
    lines: list[RenderableType] = []
    if card.kind == "image":
        lines += [Drawings([case], LARGE)]
    said = Table.grid(padding=(0, 2))
    said.add_column(style="dim", no_wrap=True)
    said.add_column(overflow="fold")
    if card.kind == "strings":
        said.add_row("source", Text(clip(card.text)))
    for target in card.targets:
        if target.wrong:
            said.add_row(Text(clip(target.name, 30)), Text(f"{target.answer}, not {target.truth}", "bold"))
    if not card.targets:
        said.add_row("answer", Text(clip(card.answer), "bold"))
        said.add_row("truth", Text(clip(card.truth), "bold"))
    if card.kind == "image":  # its drawing tells the rest
        return Group(*lines, Text(f"loss {words.number(card.loss)}" if card.loss is not None else "", "dim"))
    figures = [f"{_sure(card)} sure"] if card.confidence is not None else []
    figures += [f"loss {words.number(card.loss)}"] if card.loss is not None else []
    said.add_row("", Text(", ".join(figures), "dim"))
    for name, value in list(card.fields.items())[:FIELDS_ALONE]:
        said.add_row(Text(clip(name, 30)), Text(clip(str(value), 120)))
    if len(card.fields) > FIELDS_ALONE:
        said.add_row("", Text(f"and {len(card.fields) - FIELDS_ALONE} more columns", "dim"))
    said.add_row("where", Text(clip(card.title), "dim"))
    return Group(*lines, said)


class Rows:
    """Answer, truth and the columns that tell most: as many and as much of them as fit beside the rest.

    Of several targets, those that differ stand below one another.
    """

    def __init__(
        self, cases: Sequence[Case], targets: int | None = None, headings: tuple[str, str] = ("answer", "truth")
    ) -> None:
        self.cases = cases
        self.targets = targets
        self.headings = headings

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        for columns, width in COLUMNS_SHOWN:
            table = self._table(columns, width)
            if Measurement.get(console, options.update(max_width=1000), table).maximum <= options.max_width:
                break
        yield table

    def _table(self, columns: int, width: int) -> Table:
        several = bool(self.cases[0].card.targets)
        sure = any(_sure(case.card) or any(map(_sure, case.card.targets)) for case in self.cases)
        shown = list(self.cases[0].card.fields)[:columns]
        table = Table(box=None, pad_edge=False, header_style="dim")
        for name in (*(["target"] if several else []), *self.headings, *(["sure"] if sure else []), *shown, "where"):
            table.add_column(Text(clip(name, width)), overflow="ellipsis", no_wrap=True)
        for case in self.cases:
            card = case.card
            fields = [clip(str(card.fields.get(name, "")), width) for name in shown]
            row = (*fields, _tail(PurePath(clip(card.title)).name, 26))
            if not several:
                said = (clip(card.answer, 16), clip(card.truth, 16), *([_sure(card)] if sure else []))
                table.add_row(*map(Text, (*said, *row)))
                continue
            wrong = [target for target in card.targets if target.wrong] or card.targets[:1]
            most = self.targets or len(wrong)
            for k, target in enumerate(wrong[:most]):
                answered = (clip(target.answer, 16), clip(target.truth, 16), *([_sure(target)] if sure else []))
                table.add_row(*map(Text, (clip(target.name, 18), *answered, *(row if k == 0 else ()))))
            if len(wrong) > most:
                table.add_row(Text(f"and {len(wrong) - most} more", style="dim"))
        return table


def _strings(cases: Sequence[Case]) -> Table:
    table = Table(box=None, pad_edge=False, header_style="dim")
    for name in ("source", "→ answer", "(truth)"):
        table.add_column(name, overflow="ellipsis", no_wrap=True)
    for case in cases:
        card = case.card
        table.add_row(
            Text(clip(card.text, 34)),
            Text(f"→ {clip(card.answer, 20)}"),
            Text(f"({clip(card.truth, 20)})", style="dim"),
        )
    return table


def _sure(said: Card | TargetShown) -> str:
    return "" if said.confidence is None else f"{100 * said.confidence:.0f} %"


def _steps(data: ReportData) -> RenderableType | None:
    if not (data.steps or data.healthy):
        return None
    aimed = any(step.gap for step in data.steps)
    return next_steps(data.steps[:STEPS], "" if aimed else data.healthy, data.measure.unit, brief=True)


def next_steps(steps: Sequence[Step], note: str = "", unit: str = "%", brief: bool = False) -> RenderableType:
    """The ranked steps, each with what it may bring, its command and its reason; the note where there are none.

    brief: without intervals, costs and what would prove a step wrong.
    """
    lines: list[RenderableType] = [Text("Next", style="bold")]
    for step in steps:
        gain, expected = step.gain_at_most, step.expected
        head = Text(f"{step.number}  ")
        head.append(step.idea or step.knob, style="bold")
        most = words.at_most(gain.value, unit) if gain.value else ""
        if expected is not None and brief:
            head.append(f"  expected {words.gain(expected.value, unit).split()[0]} of {words.gain(gain.value, unit)}")
        elif expected is not None:
            span = words.span(expected.low, expected.high, unit)
            head.append(f"  expected {words.gain(expected.value, unit)} {span}")
            head.append(f"  {most}", style="dim")
        elif most:
            head.append(f"  {most}")
        take = TAKE.format(step.number) if step.who == "orthogon" else "yours to do"
        if brief:
            head.append(f"  {take}", style="dim")
            lines += [head, Padding(Text(whole_sentences(step.reason, BRIEF)), (0, 0, 0, 3))]
            continue
        turns = f" It turns: {step.knob}." if step.idea else ""
        badge = f" Not orthogonal: when last taken it also moved {step.also}." if step.also else ""
        badge = badge or ("" if step.orthogonal else " Not orthogonal: it turns more than this gap.")
        lines += [head, Padding(Text(f"{take}, {cost(step)}", style="dim"), (0, 0, 0, 3))]
        lines.append(Padding(Text(step.reason + turns + badge), (0, 0, 0, 3)))
        learned = f" The expected gain is {step.learned}." if step.learned else ""
        lines.append(Padding(Text(f"Wrong if {step.wrong_if}.{learned}", style="dim"), (0, 0, 0, 3)))
    if note:
        lines.append(Text(note, style="dim" if steps else ""))
    return Group(*lines)


def whole_sentences(text: str, most: int) -> str:
    """As many of its first sentences as fit into so many characters, the first in any case."""
    sentences = re.split(r"(?<=[.?!]) (?=[A-Z])", text)
    ends = np.cumsum([len(sentence) + 1 for sentence in sentences])
    return clip(" ".join(sentences[: max(1, int(np.sum(ends <= most + 1)))]))


def cost(step: Step) -> str:
    """Such as "about 1.5 runs" or "about 8 hours of work"."""
    if step.hours:
        return f"about {step.hours:g} hour{'' if step.hours == 1 else 's'} of work"
    return f"about {step.cost_runs:.2g} run{'' if f'{step.cost_runs:.2g}' == '1' else 's'}"


def _where(data: ReportData) -> RenderableType | None:
    lines = Table.grid(padding=(0, 2))
    lines.add_column(style="dim", no_wrap=True)
    lines.add_column(overflow="fold")
    if data.ending:
        lines.add_row("training", Text(data.ending))
    for text, kept in data.limits:
        lines.add_row("limit", Text(text, style="" if kept else "red"))
    if data.moved_threshold:
        lines.add_row("decides", Text(data.moved_threshold))
    if data.report_path:
        lines.add_row("report", Text(data.report_path))
    if data.predict_line:
        lines.add_row("predict", Text(data.predict_line))
    if data.test_looks:
        times = words.count(data.test_looks, "time")
        lines.add_row("test", Text(f"seen {times} in this project; it is a witness, choose by dev"))
    return lines if lines.row_count else None


class Drawings:
    """Pictures side by side, two pixels to a character cell, with what was said of them beneath; wraps."""

    def __init__(self, cases: Sequence[Case], side: int = DRAWN) -> None:
        self.cases = cases
        self.side = side

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        coloured = console.color_system is not None and not console.no_color
        images = [case.card.image for case in self.cases]
        tiny = all(image is not None and max(image.shape[:2]) <= TINY for image in images)
        width = self.side
        room = max(1, (options.max_width + 2) // (width + 2))
        for first in range(0, len(self.cases), room):
            if first:
                yield Segment.line()
            yield from self._row(self.cases[first : first + room], width, coloured, coloured or tiny)

    def _row(self, cases: Sequence[Case], width: int, coloured: bool, draw: bool) -> Iterator[Segment]:
        if draw:
            drawings = [list(_draw(case.card.image, coloured, width)) for case in cases if case.card.image is not None]
            for i in range(max(map(len, drawings), default=0)):
                for drawing in drawings:
                    cells = drawing[i] if i < len(drawing) else []
                    yield from cells
                    yield Segment(" " * (width + 2 - sum(len(cell.text) for cell in cells)))
                yield Segment.line()
        broken = any(len(" ".join(_said(case.card))) > width for case in cases)
        captions = [_said(case.card) if broken else (" ".join(_said(case.card)),) for case in cases]
        lines = [[clip(text, width) for text in line] for line in zip(*captions, strict=True)]
        lines.append([f"{_sure(case.card)} sure" if _sure(case.card) else "" for case in cases])
        lines.append([_tail(case.card.title, width) for case in cases])
        for line in filter(any, lines):
            yield Segment("".join(f"{text:<{width + 2}}" for text in line).rstrip())
            yield Segment.line()


def _said(card: Card) -> tuple[str, str]:
    """What was answered and what is true: one line where it fits, else two."""
    return f"{card.answer},", f"not {card.truth}"


def _tail(text: str, width: int) -> str:
    """The end of a long name says more than its beginning: it holds the file and the row."""
    return text if len(text) <= width else "…" + text[1 - width :]


def _draw(image: NDArray[np.uint8], coloured: bool, side: int = DRAWN) -> Iterator[list[Segment]]:
    """Lines of half blocks: the upper pixel in the foreground, the lower in the background; without colour, ink where
    the picture is brighter than the middle of its range."""
    pixels = _small(image, side)
    if pixels.shape[0] % 2:
        pixels = np.concatenate([pixels, np.zeros_like(pixels[:1])])
    if coloured:
        for upper, lower in zip(pixels[::2], pixels[1::2], strict=True):
            yield [
                Segment("▀", Style(color=f"rgb({','.join(map(str, a))})", bgcolor=f"rgb({','.join(map(str, b))})"))
                for a, b in zip(upper.tolist(), lower.tolist(), strict=True)
            ]
        return
    grey = pixels.mean(axis=2)
    ink = grey > (grey.min() + grey.max()) / 2
    for upper, lower in zip(ink[::2], ink[1::2], strict=True):
        yield [Segment("".join(" ▄▀█"[2 * a + b] for a, b in zip(upper.tolist(), lower.tolist(), strict=True)))]


def _small(image: NDArray[Any], side: int = DRAWN) -> NDArray[np.uint8]:
    """(H, W, 3), no side longer than `side`."""
    picture = picture_of(image).convert("RGB")
    picture.thumbnail((side, side), Image.Resampling.BOX)
    return np.asarray(picture)
