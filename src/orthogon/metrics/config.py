"""The `metrics:` section of orthogon.yaml: what counts."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict, Field, field_validator

from orthogon.metrics.select import parse_limit


class MetricsConfig(BaseModel):
    """One optimising metric, any number of satisficing ones, and the floor to compare with."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    optimise: str | None = Field(
        None, description="The one metric that ranks runs; unset: the task's first, which the run then names here."
    )
    positive: str | None = Field(
        None,
        description="The class that precision, recall, F1 and the areas are about; unset: of two classes the last in "
        "the alphabet, of more the mean over all. In quotes where YAML reads another thing: '\"yes\"'.",
    )
    satisfice: dict[str, str] = Field(
        default_factory=dict,
        description='Limits a run must keep, for instance {"latency_ms": "<= 100", "recall": ">= 0.9"}.',
    )
    human_level: float | None = Field(None, ge=0, description="Error of the best people, 0-best, in the metric's unit.")
    human_level_n: int | None = Field(None, gt=0, description="On how many examples that figure was measured.")
    annotators: str | None = Field(
        None,
        description="CSV of people's answers, in place of human_level: a row an example, a column an annotator, and a "
        "column id, file, row or line that says which example; from the project folder.",
    )
    human_level_general: float | None = Field(
        None, ge=0, description="The same on general data, where data.target_domain names what human_level is about."
    )
    smallest_gap: float | None = Field(
        None, ge=0, description="Smallest gap worth acting on; max(0.01, a tenth of the dev error) if unset."
    )
    class_costs: dict[str, float] = Field(
        default_factory=dict, description="How much worse a mistake on this true class is than on others (1)."
    )

    @field_validator("positive", mode="before")
    @classmethod
    def _class_as_text(cls, name: Any) -> Any:
        """Classes are texts, also those that look like numbers."""
        return str(name) if isinstance(name, int | float) and not isinstance(name, bool) else name

    @field_validator("class_costs", mode="before")
    @classmethod
    def _classes_as_text(cls, costs: Any) -> Any:
        return {cls._class_as_text(name): cost for name, cost in costs.items()} if isinstance(costs, dict) else costs

    @field_validator("satisfice")
    @classmethod
    def _limits_can_be_read(cls, limits: dict[str, str]) -> dict[str, str]:
        for name, text in limits.items():
            parse_limit(name, text)
        return limits
