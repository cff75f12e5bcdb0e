"""Files that survive kills, full disks and damage."""

import errno
import json
import resource
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn

from orthogon.errors import RunError
from orthogon.training import checkpoint


def tensors(value: float = 1.0) -> dict[str, Tensor]:
    return {"a": torch.full((3, 2), value), "b": torch.arange(4), "empty": torch.zeros(0, 5)}


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in (folder / "checkpoint").iterdir())


def test_round_trip_keeps_the_newest_two(tmp_path: Path) -> None:
    for step in (0, 7, 30):
        checkpoint.save(tmp_path, step, tensors(step), {"step": step, "rate": 0.1 + 0.2, "none": None})
    assert names(tmp_path) == ["step-00000007", "step-00000030"]
    found = checkpoint.load(tmp_path)
    assert found is not None
    held, state = found
    assert state == {"step": 30, "rate": 0.1 + 0.2, "none": None, "skipped": []}
    assert all(torch.equal(held[name], tensor) for name, tensor in tensors(30).items())
    files = [path.suffix for path in tmp_path.rglob("*") if path.is_file()]
    assert set(files) == {".safetensors", ".json"}  # no pickle


def test_nothing_saved_is_none(tmp_path: Path) -> None:
    assert checkpoint.load(tmp_path) is None


def test_tied_weights_views_and_strides_are_kept(tmp_path: Path) -> None:
    base = torch.arange(12.0).reshape(3, 4)
    given_tensors = {"whole": base, "tied": base, "view": base[1:], "turned": base.t(), "number": base[0, 1]}
    checkpoint.save(tmp_path, 1, given_tensors, {})
    found = checkpoint.load(tmp_path)
    assert found is not None
    assert all(torch.equal(found[0][name], tensor) for name, tensor in given_tensors.items())


leaves = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**40), 2**40),
    st.floats(allow_nan=False),
    st.text(max_size=3),
    st.lists(st.floats(-1, 1, width=32), max_size=3).map(torch.tensor),
)
nested = st.recursive(
    leaves,
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.lists(inner, max_size=3).map(tuple),
        st.dictionaries(st.one_of(st.integers(0, 9), st.text("ab", max_size=2)), inner, max_size=3),
    ),
    max_leaves=8,
)


def equal(a: Any, b: Any) -> bool:
    if isinstance(a, Tensor):
        return isinstance(b, Tensor) and torch.equal(a, b)
    if isinstance(a, dict):
        return isinstance(b, dict) and list(a) == list(b) and all(equal(a[key], b[key]) for key in a)
    if isinstance(a, (list, tuple)):
        return type(a) is type(b) and len(a) == len(b) and all(map(equal, a, b))
    return type(a) is type(b) and a == b


@given(nested)
def test_nested_state_survives_json(value: Any) -> None:
    held: dict[str, Tensor] = {}
    text = json.dumps(checkpoint.pack(value, "state", held))
    assert equal(checkpoint.unpack(json.loads(text), held), value)


@pytest.mark.parametrize("cls", [torch.optim.AdamW, torch.optim.LBFGS, torch.optim.SGD, torch.optim.Rprop])
def test_every_optimisers_state_continues_bit_for_bit(cls: type[torch.optim.Optimizer], tmp_path: Path) -> None:
    def one(w: nn.Parameter, optimiser: torch.optim.Optimizer) -> None:
        def closure() -> Tensor:
            optimiser.zero_grad()
            loss = ((w - torch.tensor([1.0, 2.0, 3.0])) ** 4).sum()
            loss.backward()
            return loss

        optimiser.step(closure)

    w = nn.Parameter(torch.zeros(3))
    optimiser = cls([w], lr=0.01)  # type: ignore[call-arg]
    for _ in range(3):
        one(w, optimiser)
    held: dict[str, Tensor] = {"w": w}
    state = checkpoint.pack(optimiser.state_dict(), "optimiser", held)
    checkpoint.save(tmp_path, 3, held, {"optimiser": state})
    found = checkpoint.load(tmp_path)
    assert found is not None
    again = nn.Parameter(found[0]["w"].clone())
    resumed = cls([again], lr=0.5)  # type: ignore[call-arg]
    resumed.load_state_dict(checkpoint.unpack(found[1]["optimiser"], found[0]))
    for _ in range(3):
        one(w, optimiser)
        one(again, resumed)
    assert torch.equal(w, again)


@pytest.mark.parametrize(
    ("file", "damage"),
    [
        *((checkpoint.TENSORS, damage) for damage in ("cut", "emptied", "removed", "flipped")),
        *((checkpoint.STATE, damage) for damage in ("cut", "emptied", "removed")),
    ],
)
def test_damage_falls_back_to_the_one_before_and_then_stops(tmp_path: Path, file: str, damage: str) -> None:
    for step in (1, 2):
        checkpoint.save(tmp_path, step, tensors(step), {"step": step})

    def hurt(step: int) -> None:
        path = tmp_path / f"checkpoint/step-{step:08d}/{file}"
        content = path.read_bytes()
        if damage == "removed":
            path.unlink()
        elif damage == "flipped":
            path.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
        else:
            path.write_bytes(content[: len(content) // 2] if damage == "cut" else b"")

    hurt(2)
    found = checkpoint.load(tmp_path)
    assert found is not None
    assert found[1]["step"] == 1
    assert len(found[1]["skipped"]) == 1
    assert "step-00000002" in found[1]["skipped"][0]
    hurt(1)
    with pytest.raises(RunError, match=r"no checkpoint is whole \(step-00000002: .*; step-00000001: ") as caught:
        checkpoint.load(tmp_path)
    assert caught.value.where == str(tmp_path / "checkpoint")
    assert "orthogon train" in caught.value.remedy


def test_a_newer_format_is_refused(tmp_path: Path) -> None:
    checkpoint.save(tmp_path, 1, tensors(), {})
    path = tmp_path / "checkpoint/step-00000001" / checkpoint.STATE
    path.write_text(path.read_text().replace('"format": 1', '"format": 99'))
    with pytest.raises(RunError, match="format 99 is newer than this version reads"):
        checkpoint.load(tmp_path)


def test_an_injected_full_disk_leaves_the_old_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    checkpoint.save(tmp_path, 1, tensors(1), {"step": 1})

    def full(path: Path) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(checkpoint, "_flush", full)
    with pytest.raises(OSError, match="No space left"):
        checkpoint.save(tmp_path, 2, tensors(2), {"step": 2})
    assert names(tmp_path) == ["step-00000001"]
    found = checkpoint.load(tmp_path)
    assert found is not None
    assert found[1]["step"] == 1


def test_a_file_too_large_for_the_system_is_an_oserror(tmp_path: Path) -> None:
    """The system itself refuses the bytes, inside safetensors' own writer."""
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    checkpoint.save(tmp_path, 1, tensors(1), {"step": 1})
    resource.setrlimit(resource.RLIMIT_FSIZE, (4096, limits[1]))
    try:
        with pytest.raises(OSError, match=r"[Ff]ile too large|os error 27"):
            checkpoint.save(tmp_path, 2, {"large": torch.zeros(10_000)}, {"step": 2})
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert names(tmp_path) == ["step-00000001"]


def test_leftovers_of_a_killed_save_are_swept_up(tmp_path: Path) -> None:
    (tmp_path / "checkpoint/.saving-00000005").mkdir(parents=True)
    (tmp_path / "checkpoint/.saving-00000005" / checkpoint.TENSORS).write_bytes(b"half")
    assert checkpoint.load(tmp_path) is None
    checkpoint.save(tmp_path, 6, tensors(), {})
    assert names(tmp_path) == ["step-00000006"]


def test_digest_tells_every_difference() -> None:
    one = {"a": torch.zeros(2, 3), "b": torch.ones(1)}
    others = [
        {"a": torch.zeros(3, 2), "b": torch.ones(1)},
        {"a": torch.zeros(2, 3), "c": torch.ones(1)},
        {"a": torch.zeros(2, 3), "b": torch.ones(1, dtype=torch.float64)},
        {"a": torch.zeros(2, 3), "b": torch.nextafter(torch.ones(1), torch.zeros(1))},
    ]
    assert checkpoint.digest(one) == checkpoint.digest(dict(reversed(one.items())))
    assert len({checkpoint.digest(one), *map(checkpoint.digest, others)}) == 5
