"""The `data:` section of orthogon.yaml."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

Fraction = Annotated[float, Field(gt=0, le=1)]


class DataConfig(BaseModel):
    """Where the data is, what is to be predicted, and how it is split."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    source: str = Field(description="Folder, file, or the name of built-in data (`orthogon data list`).")
    test_source: str | None = Field(None, description="A separate file or folder that is the test set.")
    dev_source: str | None = Field(None, description="A separate file or folder that is the dev set.")
    format: Literal["auto", "images", "table", "strings"] = Field("auto", description="What the source is; auto looks.")

    target: str | tuple[str, ...] | None = Field(
        None, description="Column or columns to predict; by name, or by position counted from 0 (-1 is the last)."
    )
    columns: tuple[str, ...] | None = Field(None, description="Column names for a table without a header.")
    ignore: tuple[str, ...] = Field((), description="Columns that the network must not see.")
    types: dict[str, Literal["number", "category", "boolean", "date", "id", "text"]] = Field(
        default_factory=dict, description="Column types to use instead of the inferred ones."
    )
    missing: tuple[str, ...] = Field(
        ("", "?", "NA", "N/A", "NaN", "nan", "null", "NULL", "None"), description="Texts that mean: no value."
    )
    encoding: str = Field("auto", description="Text encoding of the files.")
    delimiter: str = Field("auto", description="Column separator of text tables.")

    num_examples: int | None = Field(None, gt=0, description="How many examples a generator makes.")
    domain: str | None = Field(None, description="Column that names the distribution a row comes from.")
    target_domain: str | None = Field(
        None, description="The distribution you care about: only it is in dev and test; train-dev comes from train."
    )
    group: str | None = Field(None, description="Column that must not cross a split: person, document, session.")
    time: str | None = Field(None, description="Column that orders examples in time: dev and test come last.")

    dev: Fraction | int | None = Field(
        None, description="Dev set: share or number of examples; chosen by size if unset."
    )
    test: Fraction | int | None = Field(None, description="Test set: share or number; chosen by size if unset.")
    train_dev: Fraction | int | Literal["auto"] | None = Field(
        "auto", description="Part of train held out to tell variance from mismatch; auto: only with target_domain."
    )
    split_seed: int = Field(
        0, ge=0, lt=2**63, description="Seed of the split; apart from `seed`, so that retraining keeps it."
    )
    train_fraction: Fraction = Field(1.0, description="Use only this share of train; dev and test stay as they are.")
    max_bad: Fraction = Field(0.05, description="Share of unreadable examples above which nothing is trained.")
