"""Plots need no display, keep text as text, and draw what they are given."""

from __future__ import annotations

import re
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from PIL import Image

from orthogon.report import plots

HISTORY = [
    {"step": 10, "epoch": 1, "loss": 2.0, "dev_loss": 2.1, "dev_error": 0.5},
    {"step": 20, "epoch": 2, "loss": 1.0, "dev_loss": 1.4, "dev_error": 0.3},
    {"step": 30, "epoch": 3, "loss": 0.5, "dev_loss": 1.5, "dev_error": 0.35},
]
HEAT = np.eye(3, 5, dtype=np.float32)


def rgb(colour: str) -> tuple[int, ...]:
    return tuple(int(colour[i : i + 2], 16) for i in (1, 3, 5))


def heat_colour(weight: float) -> tuple[int, ...]:
    return tuple(round(255 * value) for value in plots.HEAT(weight)[:3])


# what the data itself is drawn in
CONTENT: dict[str, list[tuple[int, ...]]] = {
    "learning_curves": [rgb(plots.BLUE), rgb(plots.ORANGE)],
    "compare_curves": [rgb(plots.BLUE), rgb(plots.ORANGE)],
    "calibration": [rgb(plots.BLUE)],
    "coverage": [rgb(plots.BLUE)],
    "agreement": [],  # half transparent points: see test_an_agreement_plot_draws_its_points
    "ladder": [rgb(plots.BLUE), rgb(plots.INK)],
    "importances": [rgb(plots.BLUE)],
    "image_pair": [(0, 0, 0)],
    "attention_map": [heat_colour(1.0), heat_colour(0.0)],
}


def every_figure() -> dict[str, Figure]:
    share = np.linspace(0.1, 1, 10)
    return {
        "learning_curves": plots.learning_curves(HISTORY),
        "compare_curves": plots.compare_curves({"a": HISTORY, "b": HISTORY[:1], "none": []}, "dev_loss", "Loss"),
        "calibration": plots.calibration(share, share, share - 0.1, share, np.arange(10)),
        "coverage": plots.coverage(share, share**2 / 10, share * 0, share / 5),
        "agreement": plots.agreement(share, share + 0.1, "m"),
        "ladder": plots.ladder([("floor", 0, np.nan, np.nan), ("train", 0.1, 0.05, 0.2), ("dev", 0.3, 0.2, 0.4)]),
        "importances": plots.importances([("age", 0.1, 0.05, 0.15), ("$x_1$", -0.01, -0.02, 0.0)]),
        "image_pair": plots.image_pair(np.zeros((8, 8), np.uint8), np.zeros((8, 8, 3), np.uint8), ("left", "right")),
        "attention_map": plots.attention_map(HEAT, "abc", "vwxyz"),
    }


@pytest.mark.system("tool.plots")
def test_learning_curves_pairs_and_attention_maps_are_written_without_a_display(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("DISPLAY", raising=False)
    monkeypatch.delenv("WAYLAND_DISPLAY", raising=False)
    monkeypatch.delenv("MPLBACKEND", raising=False)
    for name, figure in every_figure().items():
        path = plots.to_png(figure, tmp_path / f"{name}.png")
        with Image.open(path) as image:
            assert image.format == "PNG"
            colours = image.convert("RGB").getcolors(maxcolors=1 << 20)
        assert colours is not None
        drawn = {colour: count for count, colour in colours}
        for wanted in CONTENT[name]:  # axes, grid and text alone have none of these
            assert drawn.get(wanted, 0) > 100, f"{name} lacks {wanted}"


def test_curves_without_points_lack_what_the_test_above_looks_for(tmp_path: Path) -> None:
    for figure in (plots.learning_curves([]), plots.compare_curves({}, "loss", "Loss")):
        with Image.open(plots.to_png(figure, tmp_path / "empty.png")) as image:
            colours = {colour for _, colour in image.convert("RGB").getcolors(maxcolors=1 << 20) or []}
        assert not colours & {rgb(plots.BLUE), rgb(plots.ORANGE)}


def test_an_agreement_plot_draws_its_points() -> None:
    share = np.linspace(0.1, 1, 10)
    points, _ = plots.agreement(share, share + 0.1).axes[0].lines
    np.testing.assert_allclose(points.get_xydata(), np.stack([share, share + 0.1], axis=1))


def test_a_pair_shows_both_pictures_side_by_side(tmp_path: Path) -> None:
    red, green = np.zeros((8, 8, 3), np.uint8), np.zeros((8, 8, 3), np.uint8)
    red[..., 0], green[..., 1] = 255, 255
    with Image.open(plots.to_png(plots.image_pair(red, green), tmp_path / "pair.png")) as image:
        pixels = np.asarray(image.convert("RGB")).astype(int)
    where = {name: np.nonzero((pixels == colour).all(axis=2))[1] for name, colour in
             (("red", (255, 0, 0)), ("green", (0, 255, 0)))}  # fmt: skip
    assert min(len(where["red"]), len(where["green"])) > 10_000
    assert where["red"].max() < where["green"].min()


def test_an_attention_map_is_dark_where_the_weight_is(tmp_path: Path) -> None:
    figure = plots.attention_map(HEAT, "abc", "vwxyz")
    (ax,) = figure.axes
    assert [label.get_text() for label in ax.get_xticklabels()] == list("vwxyz")
    assert [label.get_text() for label in ax.get_yticklabels()] == list("abc")
    np.testing.assert_array_equal(ax.images[0].get_array(), HEAT)
    light, dark = plots.HEAT(0.0), plots.HEAT(1.0)
    assert sum(light[:3]) > sum(dark[:3])


@pytest.mark.parametrize("name", list(every_figure()))
def test_svg_is_text_in_the_pages_colours_with_its_own_ids(name: str) -> None:
    figure = every_figure()[name]
    svg = plots.to_svg(figure, "key", "what <is> seen")
    assert svg.startswith("<svg")
    assert "<title>what &lt;is&gt; seen</title>" in svg
    assert not re.search(r"https?://|<metadata|<style|DejaVu", svg)
    assert all(value.startswith("key-") for value in re.findall(r'\bid="([^"]+)"', svg))
    ids = set(re.findall(r'\bid="([^"]+)"', svg))
    assert set(re.findall(r"url\(#([^)]+)\)", svg)) <= ids
    assert set(re.findall(r'href="#([^"]+)"', svg)) <= ids
    if name != "image_pair":  # it has titles alone where there are any
        assert "<text" in svg
        assert "var(--" in svg
    assert len(svg) < 120_000


def test_learning_curves_hold_the_figures_and_mark_the_lowest_error() -> None:
    loss, error = plots.learning_curves(HISTORY).axes
    np.testing.assert_array_equal(loss.lines[0].get_xydata(), [[10, 2.0], [20, 1.0], [30, 0.5]])
    np.testing.assert_array_equal(loss.lines[1].get_xydata(), [[10, 2.1], [20, 1.4], [30, 1.5]])
    np.testing.assert_array_equal(error.lines[1].get_xydata(), [[20, 0.3]])
    assert error.get_title(loc="left") == "Error on dev, lowest 30 %"
    assert {text.get_text() for text in loss.texts} == {"train", "dev"}


def test_a_real_valued_error_has_no_percent() -> None:
    _, error = plots.learning_curves(HISTORY, "RMSE", percent=False).axes
    assert error.get_title(loc="left") == "RMSE on dev, lowest 0.3"


def test_curves_leave_gaps_out_and_stay_light() -> None:
    history = [{"step": i, "loss": float("nan") if i % 2 else 1.0, "dev_loss": None} for i in range(10_000)]
    (ax,) = plots.learning_curves(history).axes
    (line,) = ax.lines
    assert len(line.get_xdata()) == plots.MAX_POINTS
    assert line.get_xdata()[0] == 0
    assert line.get_xdata()[-1] == 9998


def test_names_with_dollars_stay_names() -> None:
    svg = plots.to_svg(plots.importances([("$x_1$", 0.1, 0.0, 0.2)]), "k", "x")
    assert "$x_1$" in svg


def test_an_empty_history_draws_an_empty_plot() -> None:
    assert plots.to_svg(plots.learning_curves([]), "k", "nothing").startswith("<svg")


def test_notes_of_varied_pictures_stay_under_their_own() -> None:
    note = "own 43%\nlong sleeves of winter 57%"
    figure = plots.varied_pictures(
        np.zeros((2, 8, 8, 3), np.uint8), np.zeros((7, 2, 8, 8, 3), np.uint8), ["a", "b"], [[note] * 2] * 7, "mixup"
    )
    renderer = FigureCanvasAgg(figure).get_renderer()
    boxes = [text.get_window_extent(renderer) for text in figure.texts if text.get_text().startswith("own")]
    assert len(boxes) == 14
    for row in (boxes[:7], boxes[7:]):
        assert all(left.x1 < right.x0 for left, right in pairwise(row))
        assert row[-1].x1 < figure.bbox.width
    below = max(box.y0 for box in boxes[:7])
    assert all(picture.get_window_extent(renderer).y1 < below for picture in figure.axes[8:])


def test_names_that_the_font_lacks_raise_no_warning(tmp_path: Path) -> None:
    figure = plots.Figure()
    figure.suptitle("shoes\N{HIKING BOOT}")
    assert plots.to_png(figure, tmp_path / "boot.png").is_file()
    assert "\N{HIKING BOOT}" in plots.to_svg(figure, "boot", "a boot")
