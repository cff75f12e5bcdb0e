"""What nobody asked of a run yet, each with the command that tells it: absent sections, in one line each."""

from __future__ import annotations

from orthogon.report.data import ReportData
from orthogon.strategy.diagnosis import BIAS


def unstudied(data: ReportData) -> list[tuple[str, str]]:
    """(what it would tell, command) of each study that was not run."""
    diagnosis = data.diagnosis
    if diagnosis is None:
        return []
    metrics = data.config.get("metrics", {})
    people = data.people is not None or metrics.get("human_level") is not None
    asked = [
        (data.labels is None, "how low the error can get, and which labels look wrong", "orthogon diagnose --labels"),
        (not people, "what people reach on the same examples", "orthogon train --set metrics.annotators=people.csv"),
        (
            BIAS in diagnosis.causes and diagnosis.sub_cause is None,
            "whether the optimiser or the size of the network causes the bias",
            "orthogon diagnose --probe",
        ),
        (not data.growth, "what more data would bring", "orthogon diagnose --curve"),
        (data.shift is None, "how dev differs from train, and what that costs", "orthogon diagnose --shift"),
        (data.ceilings is None, "what mending each kind of mistake could bring", "orthogon errors --tag"),
        (data.slices is None, "which examples fail together", "orthogon errors --slices"),
        (data.leaks is None, "what dev shares with train", "orthogon errors --leaks"),
    ]
    return [(what, command) for absent, what, command in asked if absent]
