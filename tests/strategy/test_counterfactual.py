"""What one named difference costs: worked figures, what is not claimed, and runs with a planted difference."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import orthogon as og
from orthogon.metrics.classification import classification_metrics
from orthogon.metrics.score import Scores
from orthogon.strategy.counterfactual import OPPOSED, UNMATCHED, Answered, Asked, costs
from orthogon.strategy.diagnosis import MATERIAL, MISMATCH, NEGLIGIBLE, REVERSED, UNDETERMINED
from orthogon.strategy.shift import Shift

ERROR = classification_metrics(["no", "yes"])["error"]


def set_of(n: int, plain: int, recast: int, both: int = 0) -> Answered:
    """n examples, of which so many are wrong only as they are, only recast, and both times."""
    at = np.arange(n)
    first = (at < plain + both).astype(int)
    second = ((at >= plain) & (at < plain + both + recast)).astype(int)
    return Answered(Scores({"wrong": first}, at), Scores({"wrong": second}, at))


def cost_of(target: Answered, reference: Answered | None = None, matched: bool = True):
    (found,) = costs([Asked("tones", (), "", target, reference, matched=matched)], ERROR, 0.01)
    return found


@pytest.mark.system("strat.address-mismatch")
def test_what_changes_no_answer_does_no_harm_by_600_examples_that_leave_the_ladder_undecided() -> None:
    found = cost_of(set_of(350, 0, 0, 12), set_of(250, 0, 0, 6))
    # Bonett and Price, half a unit each way on each side: 1 / (n + 1) is the standard error without a change
    half = 1.959964 / 2 * np.sqrt(1 / 351**2 + 1 / 251**2)
    assert (found.value, found.low, found.high) == (0, pytest.approx(-half), pytest.approx(half))
    assert half == pytest.approx(0.0048, abs=1e-4)
    assert found.verdict == NEGLIGIBLE
    assert (found.error, found.error_without, found.n, found.n_reference) == (12 / 350, 12 / 350, 350, 250)
    assert cost_of(set_of(100, 0, 0, 3)).verdict == UNDETERMINED  # too few to be sure even so


def test_cost_and_rest_add_up_to_the_gap_and_mending_is_the_first_half() -> None:
    """Error by (set, tones): train-dev .04 plain, .14 with dev's; dev .34, .20 with train's. Gap .30, tones .12."""
    target, reference = set_of(500, 80, 10, 90), set_of(500, 5, 55, 15)
    found = cost_of(target, reference)
    assert found.value == pytest.approx((0.34 - 0.20 + 0.14 - 0.04) / 2)
    assert (found.target.value, found.reference.value) == (pytest.approx(0.14), pytest.approx(0.10))
    assert (found.error, found.error_without) == (pytest.approx(0.34), pytest.approx(0.20))
    assert found.verdict == MATERIAL
    assert found.low < 0.12 < found.high < 0.17


def test_what_is_better_on_one_side_and_worse_on_the_other_is_not_averaged_away() -> None:
    """Older people buy: given younger ages dev is answered wrong, given older ages so is train-dev."""
    opposed = cost_of(set_of(300, 5, 60), set_of(300, 5, 60))
    assert abs(opposed.value) < 1e-9
    assert (opposed.verdict, opposed.doubt) == (UNDETERMINED, OPPOSED)
    assert cost_of(set_of(300, 5, 60)).verdict == REVERSED


def test_what_could_not_be_taken_away_is_not_cleared() -> None:
    half_way = cost_of(set_of(900, 0, 0), set_of(900, 0, 0), matched=False)
    assert (half_way.verdict, half_way.doubt) == (UNDETERMINED, UNMATCHED)
    assert cost_of(set_of(900, 300, 0), matched=False).verdict == MATERIAL  # what was taken away did cost this


def test_of_many_differences_without_a_cost_hardly_any_is_called_material() -> None:
    rng = np.random.default_rng(0)
    false = 0
    for _ in range(100):
        asked = []
        for name in range(8):
            change = rng.choice([0, 1, -1], 300, p=[0.8, 0.11, 0.09])  # true cost 2 points, the limit
            plain = np.where(change > 0, 1, 0)
            ids = np.arange(300)
            pair = Answered(Scores({"wrong": plain}, ids), Scores({"wrong": np.where(change < 0, 1, 0)}, ids))
            asked.append(Asked(str(name), (), "", pair, None))
        false += any(each.verdict == MATERIAL for each in costs(asked, ERROR, 0.02))
    assert false <= 10  # 5 expected


# -- of a run -----------------------------------------------------------------------------------------------------


def photos(folder: Path, fade: bool) -> Path:
    """Squares in one of two corners; train is a studio's, dev and test the field's: faded, or a little lighter."""
    rng = np.random.default_rng(0)
    rows = ["path,label,split"]
    folder.mkdir()
    for i in range(1000):
        part, south = ("train", "train", "train", "dev", "test" if i % 10 == 4 else "dev")[i % 5], bool(rng.integers(2))
        x = rng.integers(0, 90, (8, 8)).astype(float)
        x[(slice(-3, None) if south else slice(0, 3),) * 2] += 110
        if part != "train":
            x = 0.12 * x + 200 if fade else x + 6
        Image.fromarray(np.rint(x).astype(np.uint8)).save(folder / f"{i}.png")
        rows.append(f"{i}.png,{'south' if south else 'north'},{part}")
    (folder / "manifest.csv").write_text("\n".join(rows) + "\n")
    return folder


@pytest.mark.system("strat.address-mismatch")
@pytest.mark.parametrize("fade", [True, False])
def test_tones_that_harm_are_told_from_tones_that_do_not(fade: bool, tmp_path: Path) -> None:
    source, project = photos(tmp_path / "photos", fade), tmp_path / "p"
    sets = ["data.train_dev=250", "training.epochs=4", "task.width=8", "task.stages=2", "task.augment.strength=0"]
    run = og.start(source, project=project, sets=sets)
    found = run.shift()
    (tones,) = found.costs
    assert run.kept(Shift) == found
    assert tones.name == "tones"
    assert min(tones.n, tones.n_reference) >= 240
    mismatch = run.diagnose().gap(MISMATCH)
    assert "one difference alone" in str(found)
    if fade:
        assert mismatch.verdict == tones.verdict == MATERIAL
        assert tones.value == pytest.approx(mismatch.value, abs=0.1)
        assert tones.error_without < tones.error / 4
        page = run.write_report().read_text()
        assert "What one difference costs by itself" in page
        assert tones.how in page
    else:
        assert tones.verdict == NEGLIGIBLE
        assert "The difference in tones by itself does no harm worth acting on" in found.note
        assert found.note in run.diagnose().summary()
