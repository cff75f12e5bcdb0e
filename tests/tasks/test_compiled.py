"""training.compile in a run: the same network, learned by generated code."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")  # the compiler's own
def test_a_compiled_run_learns_answers_and_exports_as_a_plain_one(  # type: ignore[no-untyped-def]
    tmp_path: Path, cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By the default backend; answers differ by no more than rounding that a few updates grew."""
    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(0)
    for i in range(40):
        pixels = rng.integers(0, 90, (32, 32, 3), dtype=np.uint8)
        pixels[slice(16) if i % 2 else slice(16, 32)] += 120
        folder = tmp_path / "photos" / "ab"[i % 2]
        folder.mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels).save(folder / f"{i:02}.png")
    sets = ["training.epochs=2", "training.batch_size=8", "task.width=4", "task.stages=2", "training.lr=0.001"]
    for compiled in ("true", "false"):
        words = [word for each in [*sets, f"training.compile={compiled}"] for word in ("--set", each)]
        code, _, err = cli("start", "photos", *words)
        assert code == 0, err
    runs = [tmp_path / "photos-orthogon" / "runs" / name for name in ("0001", "0002")]
    ours, theirs = (np.load(run / "answers" / "dev.npz", allow_pickle=False)["probs"] for run in runs)
    np.testing.assert_allclose(ours, theirs, atol=2e-3)
    losses = [
        [json.loads(line)["loss"] for line in (run / "log.jsonl").read_text().splitlines() if '"evaluation"' in line]
        for run in runs
    ]
    assert len(losses[0]) == 2
    np.testing.assert_allclose(*losses, rtol=0.02)
    code, _, err = cli("export", "1", "-o", "network.onnx")
    assert code == 0, err
