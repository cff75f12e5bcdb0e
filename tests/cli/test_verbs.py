"""Every verb on a real project: what it prints where, its exit code, and that nothing of the user's is touched."""

import csv
import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

QUICK = ("--set", "training.epochs=2", "--set", "training.preflight=false")


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a table, and a project in which it has been started once."""
    import contextlib
    import io
    import os

    from orthogon.cli import main

    home = tmp_path_factory.mktemp("home")
    rng = np.random.default_rng(0)
    x = rng.normal(size=(300, 2))
    colour = rng.choice(["red", "green"], size=300)
    label = np.where(x[:, 0] + 0.5 * (colour == "red") + 0.1 * rng.normal(size=300) > 0, "yes", "no")
    with open(home / "people.csv", "w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["height", "weight", "colour", "buys"])
        writer.writerows([f"{a:.4f}", f"{b:.4f}", c, y] for (a, b), c, y in zip(x, colour, label, strict=True))
    here = os.getcwd()
    os.chdir(home)
    try:
        out = io.StringIO()
        with contextlib.redirect_stdout(out), pytest.raises(SystemExit) as stop:
            main(["start", "people.csv", "--target", "buys", *QUICK])
        assert stop.value.code == 0
        (home / "screen.txt").write_text(out.getvalue())
    finally:
        os.chdir(here)
    return home


@pytest.fixture(autouse=True)
def stand_at_home(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(home)


@pytest.mark.system("strat.first")
def test_start_gives_splits_metric_baselines_and_a_report_from_one_command(home: Path) -> None:
    screen = (home / "screen.txt").read_text()
    for part in ("Data", "300 examples", "Splits", "train 180", "Checks", "Network", "predict"):
        assert part in screen, part
    assert re.search(r"majority", screen)
    run = home / "people-orthogon/runs/0001"
    assert (run / "derived/report.html").stat().st_size < 3 * 2**20
    assert (run / "MODEL_CARD.md").read_text().startswith("#")
    info = json.loads((run / "run.json").read_text())
    assert info["status"] == "finished"
    assert info["split_sizes"] == {"train": 180, "dev": 60, "test": 60}
    assert {"python", "torch", "orthogon"} <= set(info["versions"])
    assert info["fingerprint"]


def test_every_hyper_parameter_stands_in_the_run(home: Path) -> None:
    import yaml

    config = yaml.safe_load((home / "people-orthogon/runs/0001/config.yaml").read_text())
    assert config["training"]["epochs"] == 2
    for key in ("lr", "batch_size"):
        assert config["training"][key] is not None, key


def test_no_file_of_a_run_is_a_pickle(home: Path) -> None:
    for path in (home / "people-orthogon").rglob("*"):
        if path.is_file():
            assert path.suffix not in {".pkl", ".pickle", ".pt", ".pth", ".joblib"}
            if path.suffix == ".npz":
                with np.load(path, allow_pickle=False) as arrays:
                    for name in arrays.files:
                        assert arrays[name].dtype != object


def strict(text: str) -> Any:
    """One JSON object and nothing else, without NaN and infinities."""
    value = json.loads(text, parse_constant=pytest.fail)
    assert isinstance(value, dict)
    return value


def test_every_json_file_of_a_run_is_strict(cli, home: Path) -> None:
    assert cli("diagnose")[0] == 0
    files = list((home / "people-orthogon/runs/0001").rglob("*.json"))
    assert {"run.json", "task.json", "findings.json", "baselines.json", "diagnosis.json"} <= {p.name for p in files}
    for path in files:
        json.loads(path.read_text(), parse_constant=pytest.fail)
    for path in (home / "people-orthogon").rglob("*.jsonl"):
        for line in path.read_text().splitlines():
            json.loads(line, parse_constant=pytest.fail)


def test_infinite_limits_of_one_example_are_null_in_the_file(cli, home: Path) -> None:
    (home / "few.csv").write_text("a,y\n" + "".join(f"{i / 7:.3f},{i * i / 3:.2f}\n" for i in range(30)))
    sets = ("--set", "data.dev=1", "--set", "data.test=1")
    code, out, err = cli("start", "few.csv", "--target", "y", "--project", "few", *QUICK, *sets, "--json")
    assert code == 0, err
    told = strict(out)
    kept = json.loads((Path(told["folder"]) / "derived/diagnosis.json").read_text(), parse_constant=pytest.fail)
    assert kept["rungs"][2]["name"] == "dev"
    assert kept["rungs"][2]["high"] is None


@pytest.fixture
def told(cli, home: Path) -> dict[str, Any]:
    """What `start` says in JSON of the first run of the project told/, which has two."""
    kept = home / "told.json"
    if not kept.exists():
        code, out, err = cli("start", "people.csv", "--target", "buys", "--project", "told", *QUICK, "--json")
        assert code == 0, err
        kept.write_text(out)
        code, out, err = cli("train", "--project", "told", *QUICK, "--json")
        assert (code, strict(out)["run"]) == (0, "0002"), err
    return strict(kept.read_text())


def test_start_and_train_tell_json_alone(told: dict[str, Any]) -> None:
    assert (told["run"], told["status"], told["splits"]["train"], told["unit"]) == ("0001", "finished", 180, "%")
    assert told["diagnosis"]["rungs"]
    assert Path(told["report"]).is_file()


@pytest.mark.filterwarnings("ignore")  # the exporter's own deprecations
@pytest.mark.parametrize(
    ("words", "key"),
    [
        (["data", "list"], "data"),
        (["data", "get", "iris", "-o", "iris-files"], "examples"),
        (["data", "synthesise", "dates", "-n", "20", "-o", "more-dates"], "examples"),
        (["data", "check", "people.csv", "--target", "buys"], "findings"),
        (["data", "split", "people.csv", "--target", "buys", "-o", "told-splits.csv"], "file"),
        (["data", "preview", "digits", "-o", "told.png"], "changes"),
        (["predict", "told.csv", "-o", "told-answers.csv"], "answered"),
        (["evaluate", "people.csv"], "figures"),
        (["compare", "1", "2", "--project", "told"], "selection"),
        (["export", "-o", "told.onnx"], "largest_difference"),
    ],
)
def test_json_of_every_other_verb(cli, home: Path, told: dict[str, Any], words: list[str], key: str) -> None:
    (home / "told.csv").write_text("height,weight,colour\n2.0,0,red\n")
    code, out, err = cli(*words, "--json")
    assert code == 0, err
    assert key in strict(out)


def test_answers_and_json_do_not_share_stdout(cli, home: Path) -> None:
    code, out, err = cli("predict", "people.csv", "--json")
    assert (code, out) == (2, "")
    assert "-o answers.csv" in err


def test_runs_and_compare_speak_one_unit_in_columns(cli, told: dict[str, Any]) -> None:
    code, out, _ = cli("runs", "--project", "told")
    assert code == 0
    rows = [line for line in out.splitlines() if line.startswith("000")]
    assert all(re.search(r" \d+\.\d %  ", row) for row in rows), rows
    assert len({row.index("%") for row in rows}) == 1
    code, out, _ = cli("compare", "1", "2", "--project", "told")
    assert code == 0
    first, second = (line for line in out.splitlines() if line.startswith("000") and "has the best" not in line)
    assert first.index("%") == second.index("%")
    assert re.search(r"points \[.*\] no real difference", " ".join(out.split()))
    assert re.search(r"has the best \w+ \(\d+\.\d %\)", out)
    code, out, _ = cli("start", "people.csv", "--target", "height", "--project", "tall", *QUICK)
    code, out, _ = cli("runs", "--project", "tall", "--json")
    assert strict(out)["runs"][0]["unit"] != "%"
    assert "%" not in cli("runs", "--project", "tall")[1]


def test_the_config_points_to_what_a_wheel_holds(cli, home: Path) -> None:
    head = [line for line in (home / "people-orthogon/orthogon.yaml").read_text().splitlines() if line[0] == "#"]
    named = re.search(r"runs/0001/config\.yaml", head[0])
    assert named
    assert (home / "people-orthogon" / named[0]).is_file()
    assert "orthogon train --help" in head[1]


@pytest.mark.parametrize("verb", ["diagnose", "errors", "next", "runs"])
def test_json_is_json_and_nothing_else_is_on_stdout(cli, verb: str) -> None:
    code, out, err = cli(verb, "--json")
    assert code == 0, err
    assert json.loads(out)
    assert err == ""


@pytest.mark.parametrize("verb", ["diagnose", "errors", "next", "runs", "describe"])
def test_verbs_print_something_to_read(cli, verb: str) -> None:
    code, out, err = cli(verb)
    assert code == 0, err
    assert len(out.splitlines()) >= 2
    assert err == ""


def test_describe_lists_every_parameter(cli) -> None:
    code, out, _ = cli("describe", "--json")
    assert code == 0
    layers = json.loads(out)
    assert sum(layer["parameters"] for layer in layers["layers"]) == layers["parameters"]


def test_predict_answers_and_keeps_going_past_a_bad_row(cli, home: Path) -> None:
    (home / "new.csv").write_text("height,weight,colour\n2.0,0,red\nx\n-2.0,0,green\n1e9,0,red\n")
    code, out, err = cli("predict", "new.csv", "-o", "answers.csv")
    assert code == 0, err
    rows = list(csv.DictReader((home / "answers.csv").read_text().splitlines()))
    assert len(rows) == 4
    good = [row for row in rows if not row["problem"]]
    assert len(good) == 3
    assert abs(float(good[0]["p_yes"]) + float(good[0]["p_no"]) - 1) < 1e-4
    assert float(good[2]["unlike_train"]) > 1
    assert "unlike the training data" in out
    code, _, err = cli("predict", "new.csv", "-o", "answers.csv")
    assert code == 2
    assert "exists already" in err


def test_predict_names_the_values_it_could_not_use(cli, home: Path) -> None:
    (home / "odd.csv").write_text("height,weight,colour\n2.0,abc,red\n-2.0,0,mauve\n1.0,0,green\n")
    code, out, err = cli("predict", "odd.csv")
    assert code == 0, err
    rows = list(csv.DictReader(out.splitlines()))
    assert [row["problem"] for row in rows] == [
        'weight "abc" is not a number: taken as missing',
        'colour "mauve" is not a known level',
        "",
    ]
    assert all(row["answer"] for row in rows)


def test_predict_never_shifts_columns(cli, home: Path) -> None:
    (home / "wide.csv").write_text("height,weight,colour\n" + "7,2.0,0,red\n" * 3)
    code, _, err = cli("predict", "wide.csv")
    assert code == 1
    assert "row 2 has 4 fields, the header has 3" in err


def test_a_project_may_bear_the_name_of_its_built_in_data(cli, home: Path) -> None:
    for _ in range(2):
        code, _, err = cli("start", "iris", "--project", "iris", *QUICK)
        assert code == 0, err
    code, _, err = cli("train", "--project", "iris", *QUICK)
    assert code == 0, err


def test_next_speaks_the_unit_of_a_regression(cli, home: Path) -> None:
    code, _, err = cli("start", "people.csv", "--target", "height", "--project", "heights", *QUICK)
    assert code == 0, err
    code, out, err = cli("next", "--project", "heights")
    assert code == 0, err
    assert "at most" in out
    assert "points" not in out


@pytest.mark.parametrize("wrong", ["training.optimiser=addam", "training.optimiser_args={bettas: 1}"])
def test_an_optimiser_that_cannot_be_leaves_no_project_behind(cli, home: Path, wrong: str) -> None:
    code, _, err = cli("start", "people.csv", "--target", "buys", "--project", "typo", "--set", wrong)
    assert code == 2
    assert "training.optimiser" in err
    assert "Did you mean" in err
    assert not (home / "typo").exists()


def test_predict_names_its_columns_where_nothing_could_be_read(cli, home: Path) -> None:
    (home / "ragged.csv").write_text("height,weight,colour\n1,2,red,4,5\n1,2\n")
    code, out, err = cli("predict", "ragged.csv")
    assert code == 1, err
    rows = list(csv.DictReader(out.splitlines()))
    assert len(rows) == 2
    assert all(row["problem"] and not row["answer"] for row in rows)


def test_evaluate_gives_figures_with_intervals(cli, home: Path) -> None:
    code, out, err = cli("evaluate", "people.csv", "--json")
    assert code == 0, err
    for figure in json.loads(out)["figures"]:
        assert figure["low"] is None or figure["low"] <= figure["value"] <= figure["high"]


def test_evaluate_on_one_class_says_what_is_not_defined(cli, home: Path) -> None:
    (home / "yes.csv").write_text("height,weight,colour,buys\n2.0,0,red,yes\n1.0,1,green,yes\n")
    code, out, err = cli("evaluate", "yes.csv")
    assert code == 0, err
    (area,) = (line for line in out.splitlines() if line.startswith("area under ROC"))
    assert area.rstrip().endswith("not defined on these examples")
    assert " %" in next(line for line in out.splitlines() if line.startswith("error rate"))
    code, out, _ = cli("evaluate", "yes.csv", "--json")
    titles = [figure["title"] for figure in json.loads(out)["figures"]]
    assert len(titles) == len(set(titles))


@pytest.mark.filterwarnings("ignore")  # the exporter's own deprecations
def test_export_is_checked_and_carries_the_labels(cli, home: Path) -> None:
    import onnx

    code, out, err = cli("export", "-o", "model.onnx")
    assert code == 0, err
    assert "checked under onnxruntime" in " ".join(out.split())
    model = onnx.load(home / "model.onnx")
    values = [*model.graph.input, *model.graph.output]
    assert [value.type.tensor_type.shape.dim[0].dim_param for value in values] == ["batch"] * len(values)
    facts = {entry.key: json.loads(entry.value) for entry in model.metadata_props}
    assert facts["orthogon.classes"] == ["no", "yes"]


def test_a_second_start_adds_a_run_and_shows_what_changed(cli, home: Path) -> None:
    before = (home / "people.csv").read_bytes()
    code, out, err = cli("start", "people.csv", "--target", "buys", *QUICK, "--seed", "3")
    assert code == 0, err
    assert "Against run 0001: seed 0 → 3" in out
    code, out, _ = cli("runs", "--json")
    rows = json.loads(out)["runs"]
    assert [row["run"] for row in rows][:2] == ["0001", "0002"]
    assert [row["what"] for row in rows][:2] == ["first system", "seed 0 → 3 (against run 0001)"]
    assert (home / "people.csv").read_bytes() == before
    code, out, err = cli("compare", "1", "2")
    assert code == 0, err
    assert "seed 0 → 3" in out


def test_predict_says_when_another_run_is_better(cli, home: Path) -> None:
    code, out, err = cli("train", *QUICK, "--set", "training.lr=1e-9")
    assert code == 0, err
    (home / "more.csv").write_text("height,weight,colour\n2.0,0,red\n")
    code, out, err = cli("predict", "more.csv", "-o", "more-answers.csv")
    assert code == 0, err
    assert "has the lower dev error (--run" in " ".join(out.split())


def test_the_same_seed_gives_the_same_weights(cli, home: Path) -> None:
    runs = home / "people-orthogon/runs"
    code, _, err = cli("train", *QUICK)
    assert code == 0, err
    newest = max(runs.iterdir())
    first = json.loads((runs / "0001/run.json").read_text())["files"]["weights.safetensors"]
    assert json.loads((newest / "run.json").read_text())["files"]["weights.safetensors"] == first


def test_test_is_a_witness(cli) -> None:
    code, _, err = cli("errors", "--split", "test")
    assert code == 2
    assert "witness" in err
    code, out, _ = cli("runs")
    assert "test seen" in out


# -- what goes wrong ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("words", "exit_code", "parts"),
    [
        (["start", "digts"], 2, ["digts", 'Did you mean "digits"']),
        (["start", "people.csv", "--target", "buy", "--project", "p2"], 2, ["buy", 'Did you mean "buys"']),
        (["start", "people.csv", "--project", "p2"], 2, ["--target"]),
        (["start", "people.csv", "--target", "buys", "--set", "training.epoch=1"], 2, ['Did you mean "epochs"']),
        (
            ["train", "--set", "training.epochs=1", "--set", "training.minutes=1"],
            2,
            ["training.epochs and training.min"],
        ),
        (["train", "--resume"], 1, ["every run is finished"]),
        (["diagnose", "77"], 1, ['there is no run "77"']),
        (["compare", "1"], 2, ["one run cannot be compared"]),
        (["compare", "1", "0001"], 2, ["a run cannot be compared with itself"]),
        (["predict", "nowhere.csv"], 2, ["nowhere.csv"]),
        (["runs", "--project", "nowhere"], 2, ["no project here"]),
        (["next", "--take", "99"], 2, ["there is no step 99"]),
        (["nosuchverb"], 2, ["No such command"]),
        (["start"], 2, ["DATA"]),
        (["data", "get", "mnits"], 2, ["mnits"]),
    ],
)
def test_a_mistake_gets_a_message_and_no_traceback(
    cli, home: Path, words: list[str], exit_code: int, parts: list[str]
) -> None:
    code, out, err = cli(*words)
    assert code == exit_code, err
    for part in parts:
        assert part in err
    assert "Traceback" not in out + err
    assert not (home / "p2").exists(), "a start that failed leaves nothing behind"


def test_a_typo_in_the_config_is_told_with_its_line(cli, home: Path) -> None:
    path = home / "people-orthogon/orthogon.yaml"
    text = path.read_text()
    path.write_text(text + "trainig:\n  lr: 1\n")
    try:
        code, _, err = cli("train")
        assert code == 2
        assert f"line {text.count(chr(10)) + 1}" in err
        assert 'Did you mean "training"' in err
    finally:
        path.write_text(text)


def test_other_data_does_not_enter_this_project(cli, home: Path) -> None:
    (home / "other").mkdir(exist_ok=True)
    (home / "other/people.csv").write_text("a,buys\n1,yes\n2,no\n")
    code, _, err = cli("start", "other/people.csv", "--target", "buys")
    assert code == 2
    assert "holds other data" in err


def test_a_fault_of_ours_is_owned(cli, monkeypatch: pytest.MonkeyPatch) -> None:
    from orthogon import api

    def broken(*arguments: object, **named: object) -> None:
        raise ZeroDivisionError("oh")

    monkeypatch.setattr(api, "load", broken)
    code, _, err = cli("diagnose")
    assert code == 1
    assert "fault of Orthogon" in err
    assert "Traceback" not in err
    with pytest.raises(ZeroDivisionError):
        cli("diagnose", "--debug")


def test_ctrl_c_is_130(cli, monkeypatch: pytest.MonkeyPatch) -> None:
    from orthogon import api

    def interrupted(*arguments: object, **named: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(api, "load", interrupted)
    assert cli("diagnose")[0] == 130


def test_data_verbs(cli, home: Path) -> None:
    code, out, _ = cli("data", "list")
    assert code == 0
    assert "digits" in out
    code, out, err = cli("data", "check", "people.csv", "--target", "buys")
    assert code == 0, err
    assert "300 examples" in out
    code, out, err = cli("data", "split", "people.csv", "--target", "buys", "-o", "splits.csv")
    assert code == 0, err
    assert len((home / "splits.csv").read_text().splitlines()) == 301
    code, out, err = cli("data", "synthesise", "dates", "-n", "20", "-o", "dates")
    assert code == 0, err
    assert "20 examples" in out
    code, _, err = cli("data", "synthesise", "dates", "-n", "20", "-o", "dates")
    assert code == 2
    assert "not empty" in err
