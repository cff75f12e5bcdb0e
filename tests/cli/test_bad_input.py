"""Bad input at the command line: message, place and remedy; no traceback; nothing of the user's changed, no litter."""

import builtins
import errno
import hashlib
import io
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import orthogon as og
from orthogon.cli.screen import console, print_findings
from orthogon.data.examples import Finding
from orthogon.data.split import load_splits

QUICK = ("--set", "training.epochs=1", "--set", "training.preflight=false")


def snapshot(folder: Path) -> dict[str, str]:
    """Every file and folder below, with the digest of what is in it."""
    found = {}
    for path in folder.rglob("*"):
        name = str(path.relative_to(folder))
        whole = path.is_file() and not path.is_symlink()
        found[name] = hashlib.sha256(path.read_bytes()).hexdigest() if whole else ""
    return found


class Desk:
    """A user at a folder: runs commands, and watches over what was there before."""

    def __init__(self, folder: Path, cli: Callable[..., tuple[int, str, str]]) -> None:
        self.folder, self.cli = folder, cli

    def run(self, *words: str | Path) -> tuple[int, str, str]:
        """(exit code, stdout, stderr), both with single spaces; what was there but for projects is still the same."""
        before = snapshot(self.folder)
        code, out, err = self.cli(*words)
        after = snapshot(self.folder)
        kept = {name for name in before if "-orthogon" not in name}
        assert {name: after.get(name) for name in kept} == {name: before[name] for name in kept}
        assert "Traceback" not in out + err
        assert "should not have happened" not in err
        return code, " ".join(out.split()), " ".join(err.split())

    def refused(self, *words: str | Path, code: int, says: Sequence[str]) -> str:
        """The command fails with this code, says these on stderr, and leaves nothing behind."""
        before = snapshot(self.folder)
        found, _, err = self.run(*words)
        assert found == code, err
        for part in says:
            assert part in err, (part, err)
        assert snapshot(self.folder) == before, "litter"
        return err

    def goes_on(self, *words: str | Path, says: Sequence[str]) -> str:
        """The command succeeds and says these on stdout."""
        code, out, err = self.run(*words)
        assert code == 0, err
        for part in says:
            assert part in out, (part, out)
        return out

    def table(
        self, names: str = "a,b,y", change: Callable[[int, list[str]], list[str]] | None = None, rows: int = 60
    ) -> str:
        """t.csv of two numbers and a yes or no that follows from the first; `change` may alter a row by its number."""
        x = np.random.default_rng(0).normal(size=(rows, 2))
        lines = [[f"{a:.3f}", f"{b:.3f}", "yes" if a > 0 else "no"] for a, b in x]
        lines = [change(i, line) if change else line for i, line in enumerate(lines)]
        (self.folder / "t.csv").write_text("\n".join([names, *map(",".join, lines)]) + "\n")
        return "t.csv"

    def pictures(self, classes: Sequence[str] = ("cat", "dog"), each: int = 12, extra: Sequence[str] = ()) -> Path:
        """photos/ of dark and light noise, 16 by 16; each of `extra` is a class with one picture."""
        rng = np.random.default_rng(0)
        photos = self.folder / "photos"
        for k, name in enumerate([*classes, *extra]):
            (photos / name).mkdir(parents=True)
            for i in range(each if name in classes else 1):
                pixels = (rng.integers(0, 80, (16, 16, 3)) + 80 * k).astype(np.uint8)
                Image.fromarray(pixels).save(photos / name / f"{i}.png")
        return photos


@pytest.fixture
def desk(tmp_path: Path, cli: Callable[..., tuple[int, str, str]], monkeypatch: pytest.MonkeyPatch) -> Desk:
    monkeypatch.chdir(tmp_path)
    return Desk(tmp_path, cli)


def full_disk(*args: Any, **kwargs: Any) -> None:
    raise OSError(errno.ENOSPC, "No space left on device")


# -- pictures -----------------------------------------------------------------------------------------------------


def test_empty_folder(desk: Desk) -> None:
    (desk.folder / "photos").mkdir()
    desk.refused("start", "photos", code=1, says=["photos: There is no picture here", ".png", "one folder per class"])


def test_one_class(desk: Desk) -> None:
    desk.pictures(classes=["cat"])
    says = ["photos/cat", 'The target is always "cat"', "Add examples with another target."]
    desk.refused("start", "photos", *QUICK, code=1, says=says)


def test_one_example_in_a_class(desk: Desk) -> None:
    desk.pictures(extra=["emu"])
    desk.goes_on("start", "photos", *QUICK, says=['"emu" (1)', "dev has no example of"])
    desk.goes_on("data", "check", "photos", says=["photos/emu/0.png", "Collect more of them, or merge them"])


def test_zero_byte_and_truncated_images(desk: Desk) -> None:
    photos = desk.pictures()
    whole = (photos / "cat/0.png").read_bytes()
    (photos / "cat/half.png").write_bytes(whole[: len(whole) // 2])
    (photos / "dog/none.png").write_bytes(b"")
    says = ["2 of 26 pictures cannot be used", "photos/cat/half.png is cut off", "photos/dog/none.png is empty"]
    desk.refused("start", "photos", *QUICK, code=1, says=[*says, "Replace or remove them, or raise data.max_bad"])
    says = ["2 of 26 examples could not be read and are set aside, the first:", "Network"]
    desk.goes_on("start", "photos", "--set", "data.max_bad=0.5", *QUICK, says=says)
    says = ["photos/cat/half.png: is cut off", "photos/dog/none.png: is empty (0 bytes)", "Repair or remove them."]
    desk.goes_on("data", "check", "photos", "--set", "data.max_bad=0.5", says=says)


def test_text_renamed_jpg(desk: Desk) -> None:
    photos = desk.pictures()
    (photos / "cat/note.jpg").write_text("Remember the milk.\n")
    says = ["photos/cat/note.jpg: is text, not a picture", "Repair or remove them."]
    desk.goes_on("data", "check", "photos", says=says)


def test_decompression_bomb(desk: Desk) -> None:
    photos = desk.pictures()
    Image.new("1", (20_000, 20_000)).save(photos / "cat/bomb.png")
    says = ["photos/cat/bomb.png: is too large to decode safely: 400,000,000 pixels, and the limit is 89,478,485"]
    desk.goes_on("data", "check", "photos", says=[*says, "Repair or remove them."])


def test_unreadable_picture(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """The tests may run as root, whom no chmod stops."""
    secret, real = desk.pictures() / "dog/3.png", Path.read_bytes

    def denied(path: Path) -> bytes:
        if path.name == secret.name and path.parent.name == "dog":
            raise PermissionError(errno.EACCES, "Permission denied", str(path))
        return real(path)

    monkeypatch.setattr(Path, "read_bytes", denied)
    code, out, err = desk.cli("data", "check", "photos")
    assert code == 0, err
    assert "photos/dog/3.png: cannot be opened: Permission denied" in " ".join(out.split())


def test_symlink_loop(desk: Desk) -> None:
    photos = desk.pictures()
    (photos / "cat/around").symlink_to(photos)  # a folder inside itself
    (photos / "dog/self.png").symlink_to(photos / "dog/self.png")  # a file that is only a link to itself
    says = ["24 pictures in 2 classes", "photos/dog/self.png: cannot be opened: Too many levels of symbolic links"]
    desk.goes_on("data", "check", "photos", says=[*says, "Repair or remove them."])


# -- tables -------------------------------------------------------------------------------------------------------


def test_unreadable_file(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """The tests may run as root, whom no chmod stops."""
    real = builtins.open

    def denied(file: Any, *args: Any, **kwargs: Any) -> Any:
        if str(file).endswith("secret.csv"):
            raise PermissionError(errno.EACCES, "Permission denied", str(file))
        return real(file, *args, **kwargs)

    shutil.move(desk.table(), "secret.csv")
    with monkeypatch.context() as patch:
        patch.setattr(builtins, "open", denied)
        patch.setattr(io, "open", denied)
        code, _, err = desk.cli("start", "secret.csv", "--target", "y")
    assert code == 1
    assert "secret.csv: you may not read this file" in err
    assert "chmod u+r" in err
    assert [path.name for path in desk.folder.iterdir()] == ["secret.csv"]


def test_ragged_rows(desk: Desk) -> None:
    table = desk.table(change=lambda i, row: {9: row[:1], 19: [*row, "more"]}.get(i, row))
    says = ["2 of 60 examples could not be read and are set aside, the first: t.csv, row 11", "Network"]
    desk.goes_on("start", table, "--target", "y", *QUICK, says=["2 of 60 examples could not be read", "Network"])
    says = ["t.csv, row 11:", "t.csv, row 21:", "Repair or remove them."]
    desk.goes_on("data", "check", table, "--target", "y", says=says)


def test_duplicate_column_names(desk: Desk) -> None:
    says = ['t.csv, row 1: a name is used for more than one column: "a" (columns 1, 2)', "Rename the columns"]
    desk.refused("start", desk.table("a,a,y"), "--target", "y", *QUICK, code=1, says=says)


def test_bom(desk: Desk) -> None:
    text = Path(desk.table("y,a,b", change=lambda i, row: [row[2], row[0], row[1]])).read_text()
    Path("t.csv").write_text(text, encoding="utf-8-sig")
    out = desk.goes_on("start", "t.csv", "--target", "y", *QUICK, says=["60 rows of 3 columns", "Target y"])
    assert "\ufeff" not in out


def test_latin_1(desk: Desk) -> None:
    text = Path(desk.table("größe,b,y", change=lambda i, row: [*row[:2], {"yes": "für", "no": "näh"}[row[2]]]))
    text.write_bytes(text.read_text().encode("latin-1"))
    desk.goes_on("start", "t.csv", "--target", "y", *QUICK, says=["cp1252"])
    desk.goes_on("data", "check", "t.csv", "--target", "y", says=["größe"])
    desk.goes_on("errors", says=["für", "näh"])


def test_all_missing_column(desk: Desk) -> None:
    table = desk.table("a,b,m,y", change=lambda i, row: [*row[:2], "", row[2]])
    desk.goes_on("start", table, "--target", "y", *QUICK, says=['Column "m" has no value in any row', "Network"])


@pytest.mark.parametrize("value", ["yes", "3.5"])
def test_one_valued_target(desk: Desk, value: str) -> None:
    table = desk.table(change=lambda i, row: [*row[:2], value])
    says = ['t.csv, column "y"', f'one value in train, "{value}"', "Pick another target, or add rows"]
    desk.refused("start", table, "--target", "y", *QUICK, code=1, says=says)


def test_missing_targets(desk: Desk) -> None:
    table = desk.table(change=lambda i, row: [*row[:2], row[2] if i % 5 else ""])
    says = ["12 of 60 examples have no target", "12 without a target left out", "Network"]
    desk.goes_on("start", table, "--target", "y", *QUICK, says=says)
    says = ["t.csv, row 2", "Fill in the target, or name the right column with --target."]
    desk.goes_on("data", "check", table, "--target", "y", says=says)
    table = desk.table(change=lambda i, row: [*row[:2], ""])
    says = ['t.csv, column "y"', "every value of the target is missing", "Fill the column, or pick another target."]
    shutil.rmtree("t-orthogon")
    desk.refused("start", table, "--target", "y", *QUICK, code=1, says=says)


def test_inf(desk: Desk) -> None:
    table = desk.table(change=lambda i, row: [{7: "inf", 9: "-Infinity"}.get(i, row[0]), *row[1:]])
    says = ['2 values of "a" cannot be used as numbers and are taken as missing: inf, -Infinity']
    desk.goes_on("start", table, "--target", "y", *QUICK, says=[*says, "Network"])
    desk.goes_on("data", "check", table, "--target", "y", says=["t.csv, row 9", "t.csv, row 11"])


def test_thousands_separators(desk: Desk) -> None:
    table = desk.table(change=lambda i, row: [f'"{1000 + 137 * i:,}"', *row[1:]])
    desk.goes_on("start", table, "--target", "y", *QUICK, says=["from 2 numbers", "Network"])


def test_mixed_types(desk: Desk) -> None:
    table = desk.table(change=lambda i, row: ["unknown" if i in (3, 8) else row[0], *row[1:]])
    says = ['2 values of "a" cannot be used as numbers and are taken as missing: unknown']
    desk.goes_on("start", table, "--target", "y", *QUICK, says=[*says, "Network"])
    desk.goes_on("data", "check", table, "--target", "y", says=["t.csv, row 5"])


def test_10_000_levels(desk: Desk) -> None:
    table = desk.table("city,b,y", change=lambda i, row: [f"city {i % 10_000}", *row[1:]], rows=12_000)
    says = ["city id, left out 10,000 different texts in 12,000 rows"]
    desk.goes_on("data", "check", table, "--target", "y", says=says)
    says = ["1 category", "Network"]
    desk.goes_on("start", table, "--target", "y", "--set", "data.types={city: category}", *QUICK, says=says)


def test_10_000_classes(desk: Desk) -> None:
    table = desk.table(change=lambda i, row: [*row[:2], f"city {i}"], rows=10_000)
    says = ['t.csv, column "y"', "10,000 classes in 10,000 rows", "Pick another target"]
    desk.refused("start", table, "--target", "y", *QUICK, code=1, says=says)


def test_target_that_does_not_exist(desk: Desk) -> None:
    table = desk.table("age,b,income")
    says = ['t.csv: data.target: there is no column "incone"', 'Did you mean "income"?']
    desk.refused("start", table, "--target", "incone", code=2, says=says)
    says = ['no column "-9"', "Positions go from 0 to 2, and from -1 backwards"]
    desk.refused("start", table, "--target", "-9", code=2, says=says)
    says = ["which column is to be predicted?", "age, b, income", "--target income"]
    desk.refused("start", table, code=2, says=says)


def test_table_without_rows(desk: Desk) -> None:
    Path("t.csv").write_text("a,b,y\n")
    says = ["t.csv: the table has names (a, b, y) but no rows", "at least a few rows"]
    desk.refused("start", "t.csv", "--target", "y", code=1, says=says)


def test_dates_that_are_none(desk: Desk) -> None:
    says = ["60 values of", "cannot be used as dates and are taken as missing", "Network"]
    dates = ("--set", "data.types={a: date}")
    desk.goes_on("start", desk.table(), "--target", "y", *dates, *QUICK, says=says)


# -- names and config ---------------------------------------------------------------------------------------------


def test_unknown_built_in(desk: Desk) -> None:
    desk.refused("start", "digit", code=2, says=['no built-in data called "digit"', 'Did you mean "digits"?'])
    desk.table()
    desk.refused("start", "tt.csv", code=2, says=['called "tt.csv"', 'Did you mean "t.csv"?'])
    desk.refused("start", "", code=2, says=["no data is named", "orthogon start digits"])


def test_built_in_data_has_no_test_file(desk: Desk) -> None:
    desk.refused(
        "start", "iris", "--test", "x.csv", code=2, says=["data.test_source", "x.csv is named", "Leave it out"]
    )


def test_a_task_that_the_data_does_not_fit(desk: Desk) -> None:
    says = ["--task", "seq2seq needs pairs of strings, and the data is a table", "use tabular"]
    desk.refused("start", "iris", "--task", "seq2seq", code=2, says=says)
    desk.refused(
        "start", "iris", "--task", "tabula", code=2, says=['"tabula" is not a task', 'Did you mean "tabular"?']
    )


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """t.csv and its project with one finished run; copied before it is harmed."""
    import contextlib
    import os

    from orthogon.cli import main

    folder, here = tmp_path_factory.mktemp("finished"), os.getcwd()
    os.chdir(folder)
    try:
        desk = Desk(folder, lambda *words: (0, "", ""))
        with contextlib.redirect_stdout(io.StringIO()), pytest.raises(SystemExit) as stop:
            main(["start", desk.table(), "--target", "y", *QUICK])
        assert stop.value.code == 0
    finally:
        os.chdir(here)
    return folder


@pytest.fixture
def project(desk: Desk, finished: Path) -> Path:
    """t-orthogon, with one finished run, at the desk."""
    shutil.copytree(finished, desk.folder, dirs_exist_ok=True)
    edited(desk.folder / "t-orthogon", str(finished), str(desk.folder))  # the data is here now
    return desk.folder / "t-orthogon"


def edited(project: Path, old: str, new: str) -> None:
    text = (project / "orthogon.yaml").read_text()
    assert old in text
    (project / "orthogon.yaml").write_text(text.replace(old, new))


def test_invalid_yaml(desk: Desk, project: Path) -> None:
    edited(project, "training:\n", "training: [1\n")
    says = ["t-orthogon/orthogon.yaml, line 8, column 9", "not valid YAML", "Check indentation, colons and quotes."]
    desk.refused("train", code=2, says=says)


@pytest.mark.parametrize(("content", "says"), [(b"", "holds no keys"), (b"seed: 0\n# gr\xf6sse\n", "not UTF-8")])
def test_a_config_that_is_no_config(desk: Desk, project: Path, content: bytes, says: str) -> None:
    (project / "orthogon.yaml").write_bytes(content)
    desk.refused("train", code=2, says=["t-orthogon/orthogon.yaml", says])


def test_unknown_key(desk: Desk, project: Path) -> None:
    edited(project, "training:\n", "training:\n  batchsize: 4\n")
    says = ["t-orthogon/orthogon.yaml, line 8", "training.batchsize: unknown key", 'Did you mean "batch_size"?']
    desk.refused("train", code=2, says=says)
    says = ["--set training.lrr", "unknown key", 'Did you mean "lr"?']
    desk.refused("start", "iris", "--set", "training.lrr=1", code=2, says=says)
    desk.refused("start", "iris", "--set", "", code=2, says=["--set", "is not KEY=VALUE", "--set training.lr=0.01"])


def test_contradictory_keys(desk: Desk, project: Path) -> None:
    edited(project, "training:\n", "training:\n  steps: 4\n")
    says = ["t-orthogon/orthogon.yaml, line", "training.epochs and training.steps are both set", "keep one of them"]
    desk.refused("train", code=2, says=says)
    says = ["training.steps and training.minutes are both set"]
    desk.refused("start", "iris", "--set", "training.steps=5", "--minutes", "1", code=2, says=says)


def test_values_out_of_range(desk: Desk) -> None:
    desk.refused("start", "iris", "--set", "training.lr=-1", code=2, says=["greater than 0, got -1", "Learning rate"])
    desk.refused("start", "iris", "--seed", "9" * 30, code=2, says=["seed", "less than", "9" * 30])


# -- the places where results go ----------------------------------------------------------------------------------


def test_project_folders_that_cannot_be(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    table, photos = desk.table(), desk.pictures()
    words = ("start", table, "--target", "y", "--project")
    desk.refused(*words, "t.csv", code=2, says=["t.csv: the project needs a folder", "--project NAME-orthogon"])
    desk.refused(*words, "t.csv/below", code=2, says=["needs a folder, and this is a file"])
    says = ["never made inside the data", "--project NAME-orthogon"]
    desk.refused("start", "photos", "--project", photos / "p", code=2, says=says)

    def denied(self: Path, *args: Any, **kwargs: Any) -> None:
        raise PermissionError(errno.EACCES, "Permission denied", str(self))

    monkeypatch.setattr(Path, "mkdir", denied)
    says = ["p: permission denied", "a folder that you may write to: --project DIR"]
    desk.refused(*words, "p", *QUICK, code=1, says=says)


def test_odd_paths(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """Spaces and other alphabets; from inside the data; the project is beside it."""
    photos = desk.pictures()
    inside = desk.folder / "my phötos 日本"
    photos.rename(inside)
    monkeypatch.chdir(inside)
    desk.goes_on("start", ".", *QUICK, says=["24 pictures in 2 classes"])
    assert (desk.folder / "my phötos 日本-orthogon/runs/0001/weights.safetensors").is_file()
    monkeypatch.chdir(desk.folder)
    desk.goes_on("predict", "my phötos 日本", "-o", "the answers.csv", says=["24 answered"])


def test_results_never_overwrite_and_need_their_folder(desk: Desk, project: Path) -> None:
    for verb in (["export"], ["predict", "t.csv"]):
        says = ["exists already", "Choose another name with -o"]
        desk.refused(*verb, "-o", "t.csv", code=2, says=["t.csv", *says])
        desk.refused(*verb, "-o", "none/x", code=2, says=["none/x: there is no folder none", 'mkdir -p "none"'])


def test_predict_with_other_data(desk: Desk, project: Path) -> None:
    desk.pictures()
    desk.refused("predict", "photos", code=2, says=['"photos" is a folder', "trained on a table"])
    desk.refused("predict", "photos/cat/0.png", code=1, says=["0.png: the file is not text", "CSV"])
    desk.refused("predict", "none.csv", code=2, says=['called "none.csv"', "Check the path."])
    Path("other.csv").write_text("a,c\n1,2\n")
    says = ["other.csv: 1 of the 2 columns that the network reads is missing: b", "Add the column"]
    desk.refused("predict", "other.csv", code=1, says=says)


# -- runs ---------------------------------------------------------------------------------------------------------


def test_run_folder_half_deleted(desk: Desk, project: Path) -> None:
    run = project / "runs/0001"
    shutil.rmtree(run / "scores")
    (run / "weights.safetensors").unlink()
    for verb in (["diagnose"], ["predict", "t.csv"], ["diagnose", "1"], ["export"]):
        says = ["t-orthogon/runs/0001", "weights.safetensors, scores/dev.npz", "are missing", "orthogon train"]
        desk.refused(*verb, code=1, says=says)
    desk.goes_on("runs", says=["0001 damaged"])
    (run / "run.json").unlink()
    desk.refused("diagnose", "1", code=1, says=["t-orthogon/runs/0001", "run.json is missing", "orthogon runs"])
    desk.refused("diagnose", "", code=2, says=['no run ""', "orthogon runs"])
    desk.refused("diagnose", "7", code=1, says=['no run "7"', "0001"])


def test_a_split_that_the_run_has_not(desk: Desk, project: Path) -> None:
    desk.refused("errors", "--split", "tran", code=2, says=['no split "tran"', 'Did you mean "train"?'])
    desk.refused("errors", "--split", "test", code=2, says=["mistakes on test are not shown", "--split dev"])


def test_data_that_is_gone(desk: Desk, project: Path) -> None:
    (desk.folder / "t.csv").rename(desk.folder / "tt.csv")
    for words in (["train"], ["start", "t.csv", "--target", "y"]):
        says = ["data.source: There is no file or folder", 'called "t.csv"', 'Did you mean "tt.csv"?']
        desk.refused(*words, code=2, says=says)
    says = ["this project holds other data: t.csv", "orthogon start", "--project NAME-orthogon"]
    desk.refused("start", "tt.csv", "--target", "y", "--project", project, code=2, says=says)
    desk.goes_on("diagnose", says=["error rate"])


def test_a_folder_of_tables(desk: Desk) -> None:
    (desk.folder / "tables").mkdir()
    Path(desk.table()).rename("tables/t.csv")
    says = ["tables: There is no picture here, only 1 .csv", 'orthogon start "tables/t.csv" --target COLUMN']
    desk.refused("start", "tables", code=1, says=says)


def test_weights_truncated(desk: Desk, project: Path) -> None:
    weights = project / "runs/0001/weights.safetensors"
    weights.write_bytes(weights.read_bytes()[:90])
    says = ["runs/0001/weights.safetensors: the weights of run 0001 are damaged", "from a backup, or train again"]
    desk.refused("predict", "t.csv", "-o", "answers.csv", code=1, says=says)


def stop_at(step: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the process die after this update, as by a kill: nothing is tidied up."""
    from orthogon.training.update import Update

    real = Update.__call__

    def dying(self: Any, batch: Any, number: int) -> None:
        if number > step:
            raise KeyboardInterrupt
        real(self, batch, number)

    monkeypatch.setattr(Update, "__call__", dying)


SLOWLY = ("--set", "training.batch_size=6", "--set", "training.checkpoint_minutes=0", *QUICK)  # 6 updates, all saved


def test_checkpoint_truncated(desk: Desk) -> None:
    with pytest.MonkeyPatch.context() as patch:
        stop_at(3, patch)
        assert desk.run("start", desk.table(), "--target", "y", *SLOWLY)[0] == 130
    folder = desk.folder / "t-orthogon/runs/0001/checkpoint"
    older, newest = sorted(folder.glob("step-*"))
    for path in (older, newest):
        file = path / "tensors.safetensors"
        (path / "kept").write_bytes(file.read_bytes())
        file.write_bytes(file.read_bytes()[:100])
    says = ["t-orthogon/runs/0001/checkpoint: no checkpoint is whole", newest.name, "or start the run anew"]
    code, _, err = desk.run("train", "--resume")
    assert code == 1
    assert all(part in err for part in says), err
    (older / "kept").rename(older / "tensors.safetensors")
    code, out, err = desk.run("train", "--resume")  # the older one is taken, and the newest named
    assert code == 0, err
    assert f"passed over a damaged checkpoint: {newest.name}" in err
    assert "Error rate on dev" in out


def test_disk_full_while_saving_a_checkpoint(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    from safetensors import SafetensorError

    from orthogon.training import checkpoint

    real, saves = checkpoint.save_file, []

    def full_at_third(*args: Any) -> None:
        saves.append(args)
        if len(saves) >= 3:
            raise SafetensorError("I/O error: No space left on device (os error 28)")
        real(*args)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(checkpoint, "save_file", full_at_third)
        stop_at(4, patch)
        code, _, err = desk.run("start", desk.table(), "--target", "y", *SLOWLY)
    assert code == 130
    assert "step 2: the checkpoint could not be written" in err
    assert "No space left on device" in err
    assert "the one of step 1 is kept" in err
    assert "Make room on the disk" in err
    kept = sorted(path.name for path in (desk.folder / "t-orthogon/runs/0001/checkpoint").iterdir())
    assert kept == ["step-00000000", "step-00000001"]
    desk.goes_on("train", "--resume", says=["Error rate on dev"])


def test_disk_full_while_saving_the_run(desk: Desk) -> None:
    from orthogon.run.folder import Run

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Run, "save_network", full_disk)
        code, _, err = desk.run("start", desk.table(), "--target", "y", *QUICK)
    assert code == 1
    assert "no space left on device" in err
    assert "orthogon train --resume" in err
    desk.goes_on("train", "--resume", says=["Error rate on dev"])


def test_out_of_memory(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also before training, where a batch is timed and the preflight looks at one."""
    import torch

    from orthogon.tasks.tabular import TabularObjective
    from orthogon.training.objective import examples_in

    real, room = TabularObjective.loss, 9

    def loss(self: Any, batch: Any) -> Any:
        size = examples_in(batch)
        if size is None or size > room:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB")
        return real(self, batch)

    monkeypatch.setattr(TabularObjective, "loss", loss)
    large = ("--set", "training.batch_size=32", "--set", "training.epochs=1")
    code, out, err = desk.run("start", desk.table(), "--target", "y", *large)
    assert code == 0, err
    assert "one whole batch does not fit into memory" in err
    assert "each batch is now computed in 4 parts of 8 examples" in err
    assert "Set training.accumulate to 4" in err
    assert "Error rate on dev" in out
    room = 0
    code, _, err = desk.run("train")
    assert code == 1
    assert "step 1, cpu: out of memory with a single example at a time" in err
    assert "Make the network or the example smaller" in err


@pytest.mark.parametrize(("failure", "code"), [(full_disk, 1), (KeyboardInterrupt, 130)])
def test_killed_while_splitting(desk: Desk, failure: Any, code: int) -> None:
    from orthogon.data import split

    table = desk.table()
    with pytest.MonkeyPatch.context() as patch:
        if failure is KeyboardInterrupt:
            patch.setattr(split, "save_splits", lambda *args: (_ for _ in ()).throw(KeyboardInterrupt()))
        else:
            patch.setattr(split, "save_splits", failure)
        says = ["Stopped."] if code == 130 else ["no space left on device", "Make room on the disk"]
        desk.refused("start", table, "--target", "y", *QUICK, code=code, says=says)
    desk.goes_on("start", table, "--target", "y", *QUICK, says=["train 36, dev 12, test 12"])


def test_a_half_written_split_is_made_again(desk: Desk, project: Path) -> None:
    (stored,) = (project / "splits").glob("*.npz")
    before = load_splits(stored.parent, stored.stem)
    stored.write_bytes(stored.read_bytes()[:40])
    code, _, err = desk.run("train", *QUICK)
    assert code == 0, err
    assert f"t-orthogon/splits/{stored.name}: the stored split cannot be read, and is made again" in err
    after = load_splits(stored.parent, stored.stem)
    assert before is not None
    assert after is not None
    assert all((after[name] == before[name]).all() for name in ("train", "dev", "test"))


KILLED = """
import os, signal, sys
import numpy as np

def half(file, **arrays):
    file.write(b"PK" + bytes(38))
    file.flush()
    os.kill(os.getpid(), signal.SIGKILL)

np.savez = half
from orthogon.cli import main
main(sys.argv[1:])
"""


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="no SIGKILL on this system")
def test_killed_while_the_split_is_written(desk: Desk) -> None:
    """Without a chance to tidy up: the next start finds no split, and makes the one that would have been."""
    words = ["start", desk.table(), "--target", "y", *QUICK]
    child = subprocess.run([sys.executable, "-c", KILLED, *words], cwd=desk.folder, capture_output=True)
    assert child.returncode == -signal.SIGKILL
    splits = desk.folder / "t-orthogon/splits"
    assert not list(splits.glob("*.npz"))
    desk.goes_on(*words, says=["train 36, dev 12, test 12"])
    (stored,) = splits.glob("*.npz")
    after = load_splits(splits, stored.stem)
    desk.goes_on(*words, "--project", "unbroken", says=["train 36, dev 12, test 12"])
    before = load_splits(desk.folder / "unbroken/splits", stored.stem)
    assert before is not None
    assert after is not None
    assert all((after[name] == before[name]).all() for name in ("train", "dev", "test"))


def test_dev_set_of_five(desk: Desk) -> None:
    out = desk.goes_on("start", desk.table(), "--target", "y", "--set", "data.dev=5", *QUICK, says=["dev 5"])
    assert "n = 5" in out
    assert "undetermined" in out or "too small" in out


def test_splits_that_leave_no_train(desk: Desk) -> None:
    says = ["t.csv", "data.dev asks for 100", "leaves none for train", "Lower data.dev or data.test"]
    desk.refused("start", desk.table(), "--target", "y", "--set", "data.dev=100", code=2, says=says)


def test_nan_loss(desk: Desk) -> None:
    wild = (
        "--set",
        "training.lr=1e30",
        "--set",
        "training.optimiser=sgd",
        "--set",
        "training.batch_size=4",
        "--set",
        "training.schedule=constant",
    )
    code, _, err = desk.run("start", desk.table(), "--target", "y", *wild, *QUICK)
    assert code == 1
    assert "step 2: the loss is nan: numbers." in err
    assert "Lower training.lr (now 1e+30)" in err
    for _ in range(2):
        desk.goes_on("runs", says=["0001 failed"])
        says = ["t-orthogon/runs/0001: run 0001 failed: step 2: the loss is nan", "Lower training.lr", "orthogon train"]
        desk.refused("diagnose", "1", code=1, says=says)
        assert desk.run("train", "--resume")[0] == 1


# -- augmentation -------------------------------------------------------------------------------------------------


def test_the_checks_count_what_the_task_warns_of(desk: Desk) -> None:
    desk.pictures(classes=("b", "d"))
    short = ("training.steps=1", "training.preflight=false", "training.lr_race=false", "task.augment.flip=0.5")
    code, out, err = desk.run("start", "photos", *(word for each in short for word in ("--set", each)))
    assert code == 0
    found = [finding.code for finding in og.load("photos-orthogon").findings() if finding.severity == "warning"]
    assert found[-1] == "augment-flip"
    assert f"Checks {len(found)} warnings" in out
    assert f"{out}{err}".count("Pictures are mirrored") == 1


def test_what_is_told_apart_is_counted_and_not_listed(capsys: pytest.CaptureFixture[str]) -> None:
    found = Finding("few", "warning", "There are few.", 1, (), "Bring more.")
    print_findings(console(), [], [found], most=4)
    assert capsys.readouterr().out.split() == ["Checks", "1", "warning."]
    print_findings(console(), [found], [found], most=4)
    assert capsys.readouterr().out.split() == ["Checks", "2", "warnings.", "warning", "There", "are", "few."]


def test_a_preview_shows_what_training_sees_and_overwrites_nothing(desk: Desk) -> None:
    desk.pictures()
    words = ("data", "preview", "photos", "--set", "task.augment.rotation=30", "--set", "task.augment.cutmix=1")
    code, out, _ = desk.run(*words)
    assert code == 0
    assert "turn ±30°" in out
    assert "CutMix 1" in out
    assert "Written to preview.png" in out
    with Image.open(desk.folder / "preview.png") as picture:
        assert picture.width > 1000
        assert picture.height > 5 * 84 * 2
    desk.refused(*words, code=2, says=["preview.png exists already", "Choose another name with -o"])


def test_a_preview_of_what_is_not_varied_is_refused(desk: Desk) -> None:
    desk.pictures()
    sets = ("--set", "task.augment.strength=0", "--set", "task.augment.flip=0")
    says = ["pictures are not varied", "task.augment.strength", "--set task.augment.strength=1"]
    desk.refused("data", "preview", "photos", *sets, code=2, says=says)
    desk.refused("data", "preview", "iris", code=2, says=["tabular data is not varied", "Name a folder of pictures."])


def test_a_contradicting_augmentation_is_said_by_the_check(desk: Desk) -> None:
    desk.pictures(classes=("b", "d"))
    says = ["Pictures are mirrored", '"b", "d"', "Set task.augment.flip=0."]
    desk.goes_on("data", "check", "photos", "--set", "task.augment.flip=0.5", says=says)
    says = ["task.augment.rotatoin", "unknown key", "rotation"]
    desk.refused("data", "check", "photos", "--set", "task.augment.rotatoin=3", code=2, says=says)
