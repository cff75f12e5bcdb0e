"""The run folder: what a finished training leaves, readable by any later process and without a pickle.

run.json config.yaml schema.json task.json task.npz weights.safetensors log.jsonl
answers/SPLIT.npz scores/SPLIT.npz baselines.json baselines/NAME.npz findings.json
members/RUN/      of an ensemble only: what the network of each member is built from
derived/          what can be made again
checkpoint/ lock  only while unfinished
"""

from __future__ import annotations

import hashlib
import json
import math
import os
import platform
import shutil
import sys
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import asdict
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import yaml
from numpy.typing import NDArray

from orthogon.data.atomic import atomic_file
from orthogon.data.examples import Finding
from orthogon.errors import RunError, UsageError
from orthogon.metrics.score import Scores
from orthogon.run.lock import FILE as LOCK
from orthogon.run.lock import at_work, is_at_work
from orthogon.shown import json_text
from orthogon.tasks import task_class

if TYPE_CHECKING:  # listing runs must not wait for torch
    from torch import nn

    from orthogon.tasks.task import Answers, Task

FORMAT = 1
SEALED = (
    "config.yaml",
    "schema.json",
    "task.json",
    "task.npz",
    "weights.safetensors",
    "log.jsonl",
    "findings.json",
    "baselines.json",
)


class Run:
    """A run folder, opened.

    Args:
        folder: an existing run folder.
    Raises:
        RunError: not a run folder, of a later format, or finished with files missing.
    """

    def __init__(self, folder: str | Path) -> None:
        self.folder = Path(folder)
        self.info = self._read_info()
        self._network: nn.Module | None = None
        self._task: Task | None = None
        if self.finished:
            missing = [name for name in self.info.get("files", {}) if not (self.folder / name).exists()]
            if missing:
                verb = "is" if len(missing) == 1 else "are"
                raise RunError(
                    f"run {self.id} is damaged: {', '.join(missing[:4])} {verb} missing",
                    str(self.folder),
                    "Restore the files from a backup, or train again: orthogon train",
                )

    # -- what it is ---------------------------------------------------------------------------------------------

    @property
    def id(self) -> str:
        return str(self.info["id"])

    @property
    def status(self) -> str:
        """running, killed, interrupted, finished or failed."""
        written = str(self.info["status"])
        return "killed" if written == "running" and not is_at_work(self.folder) else written

    @property
    def finished(self) -> bool:
        return self.status == "finished"

    @property
    def members(self) -> list[str]:
        """Of an ensemble, the runs it was made of; they may be gone, for it holds their weights. Else empty."""
        return list(self.info.get("members", ()))

    @property
    def resumable(self) -> bool:
        """Whether it was killed or interrupted once all that training needs had been written."""
        return not self.members and self.status in ("killed", "interrupted") and (self.folder / "task.json").exists()

    @property
    def config(self) -> dict[str, Any]:
        """The resolved config, as plain nested values."""
        return yaml.safe_load(self._existing("config.yaml").read_text(encoding="utf-8"))

    @property
    def derived(self) -> Path:
        """Folder of what can be made again from the sealed part."""
        folder = self.folder / "derived"
        folder.mkdir(exist_ok=True)
        return folder

    def log(self) -> list[dict[str, Any]]:
        """Events of the training, oldest first; a last line cut short by a kill is left out."""
        path = self.folder / "log.jsonl"
        events = []
        for line in path.read_text(encoding="utf-8").splitlines() if path.exists() else []:
            try:
                events.append(json.loads(line))
            except json.JSONDecodeError:
                continue
        return events

    def history(self) -> list[dict[str, Any]]:
        """The dev evaluations, in order; one entry a step even where a resumed run logged it twice."""
        by_step = {event["step"]: event for event in self.log() if event.get("event") == "evaluation"}
        return [by_step[step] for step in sorted(by_step)]

    def findings(self) -> list[Finding]:
        path = self.folder / "findings.json"
        entries = json.loads(path.read_text(encoding="utf-8")) if path.exists() else []
        return [Finding(**{**entry, "places": tuple(entry["places"])}) for entry in entries]

    def schema(self) -> dict[str, Any] | None:
        """Columns and types of the table the run was trained on; None for other data."""
        path = self.folder / "schema.json"
        return json.loads(path.read_text(encoding="utf-8")) if path.exists() else None

    def splits(self) -> list[str]:
        """Names of the splits that were scored."""
        return [name for name in ("train", "train_dev", "dev", "test") if (self.folder / f"scores/{name}.npz").exists()]

    def scores(self, split: str) -> Scores:
        """The sealed scores of a split ("train" is the measured sample)."""
        arrays = load_arrays(self._existing(f"scores/{split}.npz"))
        return scores_from_arrays(arrays)

    def answers(self, split: str) -> Answers:
        """The sealed answers of a split."""
        from orthogon.tasks.task import Answers

        arrays = load_arrays(self._existing(f"answers/{split}.npz"))
        ids = arrays.pop("ids")
        return Answers(arrays, ids)

    def baselines(self) -> list[dict[str, Any]]:
        """[{"name", "seconds", "scores": Scores}], the trivial one first."""
        path = self.folder / "baselines.json"
        entries = json.loads(path.read_text(encoding="utf-8")) if path.exists() else []
        return [
            {**entry, "scores": scores_from_arrays(load_arrays(self._existing(f"baselines/{entry['file']}")))}
            for entry in entries
        ]

    def task(self) -> Task:
        """The task as it was fitted on this run's train split."""
        if self._task is None:
            self._task = self.task_as(self.config)
        return self._task

    def task_as(self, config: Mapping[str, Any]) -> Task:
        """The task as fitted for this run, under another config of the same kind: another width, for instance."""
        kind = task_class(config["task"]["kind"])
        task = kind(kind.Config(**config["task"]), seed=self.info["seed"])
        task.positive = config["metrics"].get("positive")
        state = json.loads(self._existing("task.json").read_text(encoding="utf-8"))
        task.load_state(_join_state(state, load_arrays(self._existing("task.npz"))))
        return task

    def network(self) -> nn.Module:
        """The trained network, on the CPU, in eval mode."""
        if self._network is None:
            from safetensors import SafetensorError
            from safetensors.torch import load_file

            network, path = self.untrained(), self._existing("weights.safetensors")
            try:
                network.load_state_dict(load_file(path))
            except (SafetensorError, RuntimeError) as cause:
                raise RunError(
                    f"the weights of run {self.id} are damaged ({str(cause).splitlines()[0]})",
                    str(path),
                    "Restore the file from a backup, or train again: orthogon train",
                ) from cause
            self._network = self._deployed(network)
        return self._network

    def untrained(self) -> nn.Module:
        """A network of this run's form, its weights still as they were drawn."""
        if not self.members:
            return self.task().network()
        from orthogon.nn.ensemble import Ensemble

        tasks = [Run(self._existing(f"members/{name}")).task() for name in self.members]
        return Ensemble([task.deployed(task.network()) for task in tasks], self.task().average)

    def _deployed(self, network: nn.Module) -> nn.Module:
        """The network as it answers, on the CPU; an ensemble's members are so already."""
        network = network.cpu() if self.members else self.task().deployed(network.cpu())
        return network.eval()

    def damaged_files(self) -> list[str]:
        """Sealed files whose content changed since the run was finished."""
        return [name for name, digest in self.info.get("files", {}).items() if _sha256(self.folder / name) != digest]

    # -- making one ---------------------------------------------------------------------------------------------

    @classmethod
    def create(cls, runs: Path, info: Mapping[str, Any]) -> Run:
        """A new run folder with the next free number."""
        runs.mkdir(parents=True, exist_ok=True)
        number = max((int(p.name) for p in runs.iterdir() if p.name.isdigit()), default=0) + 1
        while True:  # two processes may ask at once: mkdir decides
            folder = runs / f"{number:04d}"
            try:
                folder.mkdir()
                break
            except FileExistsError:
                number += 1
        for name in ("answers", "scores", "baselines", "derived"):
            (folder / name).mkdir()
        write_json(
            folder / "run.json",
            {
                "format": FORMAT,
                "id": folder.name,
                "status": "running",
                "created": now(),
                "versions": versions(),
                "hardware": hardware(),
                **info,
            },
        )
        return cls(folder)

    @contextmanager
    def at_work(self) -> Iterator[None]:
        """Be known as running; whoever looks after a kill sees that it is not.

        Raises:
            RunError: another process is at work on it.
        """
        with ExitStack() as held:
            try:
                held.enter_context(at_work(self.folder))
            except BlockingIOError as cause:
                raise RunError(
                    f"run {self.id} is running", str(self.folder), "Another process trains it; see: orthogon runs"
                ) from cause
            yield

    def note(self, **facts: Any) -> None:
        """Add facts to run.json."""
        self.info.update(facts)
        write_json(self.folder / "run.json", self.info)

    def save_config(self, config: Mapping[str, Any]) -> None:
        text = yaml.safe_dump(dict(config), sort_keys=False, allow_unicode=True, width=100)
        write_text(self.folder / "config.yaml", text)

    def save_task(self, task: Task) -> None:
        values, arrays = _part_state(task.state())
        save_arrays(self.folder / "task.npz", arrays)
        write_json(self.folder / "task.json", values)
        self._task = task

    def save_findings(self, findings: list[Finding]) -> None:
        write_json(self.folder / "findings.json", [asdict(finding) for finding in findings])

    def save_network(self, network: nn.Module) -> None:
        from safetensors.torch import save_file

        tensors = {name: tensor.detach().cpu().contiguous() for name, tensor in network.state_dict().items()}
        with atomic_file(self.folder / "weights.safetensors") as temporary:
            save_file(tensors, temporary)
        self._network = self._deployed(network)

    def save_member(self, member: Run) -> None:
        """Of a run that this one is made of, what its network and transforms are built from."""
        folder = self.folder / "members" / member.id
        folder.mkdir(parents=True)
        names = ("config.yaml", "task.json", "task.npz")
        for name in names:
            shutil.copyfile(member._existing(name), folder / name)
        files = {name: digest for name, digest in member.info["files"].items() if name in names}
        write_json(folder / "run.json", {**member.info, "files": files})

    def save_split(self, split: str, answers: Answers, scores: Scores) -> None:
        save_arrays(self.folder / f"answers/{split}.npz", {**answers.values, "ids": answers.ids})
        save_arrays(self.folder / f"scores/{split}.npz", scores_to_arrays(scores))

    def save_baselines(self, baselines: list[Any]) -> None:
        entries = []
        for number, baseline in enumerate(baselines):
            file = f"{number}.npz"
            save_arrays(self.folder / "baselines" / file, scores_to_arrays(baseline.scores))
            entries.append({"name": baseline.name, "seconds": baseline.seconds, "file": file})
        write_json(self.folder / "baselines.json", entries)

    def seal(self, **facts: Any) -> None:
        """Finish: record every sealed file's sha256 and drop the checkpoint."""
        names = [name for name in SEALED if (self.folder / name).exists()]
        for folder in ("answers", "scores", "baselines"):
            names += [f"{folder}/{path.name}" for path in sorted((self.folder / folder).glob("*.npz"))]
        names += [path.relative_to(self.folder).as_posix() for path in sorted(self.folder.glob("members/*/*"))]
        files = {name: _sha256(self.folder / name) for name in names}
        self.note(status="finished", ended=now(), files=files, **facts)
        shutil.rmtree(self.folder / "checkpoint", ignore_errors=True)
        with suppress(OSError):  # Windows does not remove what is open
            (self.folder / LOCK).unlink(missing_ok=True)

    def _existing(self, name: str) -> Path:
        path = self.folder / name
        if not path.exists():
            if self.finished:
                remedy = "Restore the file from a backup, or train again: orthogon train"
                raise RunError(f"{name} of run {self.id} is missing", str(self.folder), remedy)
            status = self.status
            remedy = f"Continue it: orthogon train --resume {int(self.id)}"
            if status in ("failed", "running"):
                remedy = "Train another: orthogon train" if status == "failed" else "Wait until it has finished."
            raise RunError(f"{name} of run {self.id} does not exist: the run is {status}", str(self.folder), remedy)
        return path

    def _read_info(self) -> dict[str, Any]:
        path = self.folder / "run.json"
        if not path.exists():
            raise RunError("no run here: run.json is missing", str(self.folder), "List the runs: orthogon runs")
        try:
            info = json.loads(path.read_text(encoding="utf-8"))
            found = int(info["format"])
            info["id"], info["status"]
        except (ValueError, KeyError, TypeError) as cause:
            raise RunError(
                f"run.json cannot be read ({cause})", str(path), "Restore it from a backup, or train again."
            ) from cause
        if found > FORMAT:
            raise RunError(
                f"the run has format {found}; this Orthogon reads up to {FORMAT}",
                str(self.folder),
                "pip install --upgrade orthogon",
            )
        return info


# -- files ------------------------------------------------------------------------------------------------------


def refuse_to_write(out: Path) -> None:
    """Before any work: a result never overwrites a file, and its folder must be there.

    Raises:
        UsageError: either.
    """
    if out.exists():
        raise UsageError(f"{out} exists already", str(out), "Choose another name with -o, or move the file away.")
    if not out.absolute().parent.is_dir():
        raise UsageError(f"there is no folder {out.parent}", str(out), f'mkdir -p "{out.parent}"')


def write_text(path: Path, text: str) -> None:
    """Write all or nothing: a reader, or a kill, sees the old file or the new one."""
    with atomic_file(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def write_json(path: Path, value: Any) -> None:
    write_text(path, json_text(value) + "\n")


def save_arrays(path: Path, arrays: Mapping[str, NDArray[Any]]) -> None:
    """An npz without objects, written all or nothing."""
    for name, array in arrays.items():
        if np.asarray(array).dtype == object:
            raise TypeError(f"{name} holds objects, which only a pickle could store")
    named: dict[str, Any] = {name: np.asarray(array) for name, array in arrays.items()}
    with atomic_file(path) as temporary, open(temporary, "wb") as file:
        np.savez_compressed(file, **named)


def load_arrays(path: Path) -> dict[str, NDArray[Any]]:
    try:
        with np.load(path, allow_pickle=False) as arrays:
            return {name: arrays[name] for name in arrays.files}
    except (ValueError, OSError, EOFError, KeyError) as cause:
        raise RunError(f"{path.name} cannot be read ({cause})", str(path), "Restore it, or train again.") from cause
    except Exception as cause:  # zipfile and zlib raise their own kinds on damaged archives
        if type(cause).__module__ in ("zipfile", "zlib"):
            raise RunError(f"{path.name} is damaged ({cause})", str(path), "Restore it, or train again.") from cause
        raise


def scores_to_arrays(scores: Scores) -> dict[str, NDArray[Any]]:
    arrays = {f"record:{name}": np.asarray(values) for name, values in scores.records.items()}
    arrays["ids"] = scores.ids
    if scores.groups is not None:
        arrays["groups"] = np.asarray(scores.groups).astype(str)
    return arrays


def scores_from_arrays(arrays: Mapping[str, NDArray[Any]]) -> Scores:
    records = {name.partition(":")[2]: values for name, values in arrays.items() if name.startswith("record:")}
    return Scores(records, arrays["ids"], arrays.get("groups"))


def _part_state(state: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, NDArray[Any]]]:
    """A task's state as JSON values and arrays; nested arrays get their dotted path as name."""
    values: dict[str, Any] = {}
    arrays: dict[str, NDArray[Any]] = {}

    def walk(node: Any, path: str) -> Any:
        if isinstance(node, np.ndarray):
            arrays[path] = node
            return {"__array__": path}
        if isinstance(node, Mapping):
            return {str(key): walk(value, f"{path}/{key}") for key, value in node.items()}
        if isinstance(node, list | tuple):
            return [walk(value, f"{path}/{i}") for i, value in enumerate(node)]
        if isinstance(node, float) and not math.isfinite(node):
            return {"__float__": str(float(node))}  # JSON has no number for it
        return node

    for key, value in state.items():
        values[key] = walk(value, key)
    return values, arrays


def _join_state(values: Any, arrays: Mapping[str, NDArray[Any]]) -> Any:
    if isinstance(values, dict):
        if set(values) == {"__array__"}:
            return arrays[values["__array__"]]
        if set(values) == {"__float__"}:
            return float(values["__float__"])
        return {key: _join_state(value, arrays) for key, value in values.items()}
    if isinstance(values, list):
        return [_join_state(value, arrays) for value in values]
    return values


def _sha256(path: Path) -> str:
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        while chunk := file.read(1 << 20):
            digest.update(chunk)
    return digest.hexdigest()


def now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")


def versions() -> dict[str, str]:
    """Versions of what a run's figures depend on."""
    found = {"python": platform.python_version()}
    for package in ("orthogon", "torch", "numpy", "scikit-learn", "pandas", "pyarrow", "pillow"):
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            found[package] = "not installed as a package"
    return found


def hardware() -> dict[str, Any]:
    """The machine, as far as it explains speed and bit-for-bit results."""
    facts: dict[str, Any] = {"system": platform.platform(), "processor": platform.machine(), "cores": os.cpu_count()}
    if "torch" in sys.modules:
        import torch

        facts["threads"] = torch.get_num_threads()
        if torch.cuda.is_available():
            facts["gpu"] = torch.cuda.get_device_name()
    return facts
