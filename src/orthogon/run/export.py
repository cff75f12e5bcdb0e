"""Export of a run to ONNX, checked against PyTorch under onnxruntime before anyone relies on it."""

from __future__ import annotations

import json
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from orthogon.data.atomic import atomic_file
from orthogon.errors import RunError
from orthogon.nn.ensemble import Ensemble
from orthogon.run.folder import Run, refuse_to_write

TOLERANCE = 1e-4
CHECKED_BATCHES = (1, 5)


def export(run: Run, out: str | Path) -> dict[str, Any]:
    """Write the network as one ONNX file with a dynamic batch axis, its labels and its preprocessing facts inside.

    Args:
        run: a finished run.
        out: the file to write; it must not exist.
    Returns:
        {"file", "bytes", "largest_difference", "inputs"}: the difference from PyTorch over two batch sizes.
    Raises:
        UsageError: `out` exists, or its folder does not.
        RunError: onnxruntime's outputs differ from PyTorch's by more than 1e-4.
    """
    out = Path(out)
    refuse_to_write(out)
    import onnx

    task, network = run.task(), run.network()
    names, threshold = task.input_names(), run.info.get("threshold")
    facts = {
        "run": run.id,
        "task": task.kind,
        "classes": task.class_names(),
        "preprocessing": task.preprocessing(),
        "threshold": threshold and {key: threshold[key] for key in ("positive", "value")},
        "fingerprint": run.info["fingerprint"],
    }
    with atomic_file(out) as part:
        _export(network, task.example_inputs(batch_size=3), names, part)
        model = onnx.load(part)
        for key, value in facts.items():
            entry = model.metadata_props.add()
            entry.key, entry.value = f"orthogon.{key}", json.dumps(value, ensure_ascii=False)
        for value in (*model.graph.input, *model.graph.output):
            if value.type.tensor_type.shape.dim and value.type.tensor_type.shape.dim[0].dim_param:
                value.type.tensor_type.shape.dim[0].dim_param = "batch"
        del model.graph.value_info[:]  # shapes traced for one batch size would make onnxruntime warn at others
        onnx.save(model, part)
        difference = largest_difference(network, part, names, [task.example_inputs(size) for size in CHECKED_BATCHES])
        if not difference <= TOLERANCE:
            raise RunError(
                f"the exported network differs from PyTorch by {difference:.2g}, more than {TOLERANCE:g}",
                str(run.folder),
                "Nothing was written. Please report this with `orthogon describe` of the run.",
            )
    return {"file": str(out), "bytes": out.stat().st_size, "largest_difference": difference, "inputs": names}


def largest_difference(network: nn.Module, file: Path, names: list[str], inputs: list[tuple[Tensor, ...]]) -> float:
    """Largest absolute difference between eager PyTorch and onnxruntime over these inputs."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(str(file), options, providers=["CPUExecutionProvider"])
    known = {node.name for node in session.get_inputs()}  # an input that the network ignores is dropped
    largest = 0.0
    for example in inputs:
        with torch.no_grad():
            eager = network(*example)
        eager = eager if isinstance(eager, tuple | list) else (eager,)
        feed = {name: tensor.numpy() for name, tensor in zip(names, example, strict=True) if name in known}
        for ours, theirs in zip(eager, session.run(None, feed), strict=True):
            if ours.numel():
                largest = max(largest, float(np.abs(ours.numpy() - theirs).max()))
    return largest


def _export(network: nn.Module, inputs: tuple[Tensor, ...], names: list[str], file: Path) -> None:
    batch = torch.export.Dim.AUTO  # a named Dim may silently fix a length
    dynamic: tuple[Any, ...] = tuple({0: batch} for _ in inputs)
    if isinstance(network, Ensemble):  # whose inputs are one variadic argument
        dynamic = (dynamic,)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the exporter's own deprecations are not the user's concern
        torch.onnx.export(
            network.eval(), inputs, str(file), input_names=names, output_names=["output"], dynamic_shapes=dynamic,
            dynamo=True, verbose=False, external_data=False,
        )  # fmt: skip
