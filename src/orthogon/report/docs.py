"""Where each word of a page is told at length: its page in the documentation, and the address of that page.

The documentation lies where ORTHOGON_DOCS says: the address of a built site (https://HOST/PATH), or one with "{page}"
in it (https://HOST/PATH/{page}.md). Unset, the pages beside a checkout of the source are taken, as a site where it was
built (build/site), else as they are (docs/). An installed package carries no documentation: then words have no links.
"""

from __future__ import annotations

import os
from pathlib import Path

SETTING = "ORTHOGON_DOCS"
ROOT = Path(__file__).resolve().parents[3]  # of a checkout

_PLACES = {  # page#anchor -> words
    "report#errors-and-intervals": ("error", "interval", "points"),
    "report#the-sets": ("train", "train-dev", "dev", "test", "fingerprint"),
    "strategy#the-ladder": (
        "avoidable bias", "variance", "variance or data mismatch", "material", "real, size unclear", "real but small",
        "negligible", "reversed", "undetermined", "dev set too small", "healthy", "dev-test difference",
        "drift over time",
    ),
    "strategy#what-the-floor-is": ("floor", "unknown"),
    "strategy#steps": ("knob", "expected gain", "at most", "orthogonal"),
    "mismatch#when-dev-differs-from-train": ("data mismatch", "overfitting to dev"),
    "report#baselines": ("baseline",),
    "report#how-it-learned": ("loss", "step", "epoch"),
    "report#where-it-goes-wrong": ("confusion",),
    "report#how-sure-it-is": ("confidence", "calibration", "coverage"),
    "report#what-it-looks-at": ("importance", "saliency", "attention"),
    "error-analysis#tag-them": ("ceiling",),
    "labels#label-noise": ("label noise", "memorised noise", "out of fold"),
    "labels#suspects": ("suspect", "margin"),
    "labels#human-level": ("human level", "annotator"),
}  # fmt: skip
PAGE_OF = {word: place for place, words in _PLACES.items() for word in words}
METRICS = "report#metrics"


def page_of(word: str) -> str:
    """ "page#anchor" of a word that pages explain; metrics share one place."""
    return PAGE_OF.get(word, METRICS)


def base(local: bool = True) -> str:
    """An address with "{page}" in it; empty where there is no documentation to link to.

    Args:
        local: also pages on this machine, whose addresses say where they lie.
    """
    said = os.environ.get(SETTING, "").strip()
    if said:
        address = said if "{page}" in said else said.rstrip("/") + "/{page}.html"
        return address if local or address.startswith(("http://", "https://")) else ""
    if not local:
        return ""
    if (ROOT / "build/site/report.html").is_file():
        return (ROOT / "build/site").as_uri() + "/{page}.html"
    return (ROOT / "docs").as_uri() + "/{page}.md" if (ROOT / "docs/report.md").is_file() else ""


def address(word: str, local: bool = True) -> str:
    """Where a word is told at length; empty where there is nothing to link to."""
    place = base(local)
    page, _, anchor = page_of(word).partition("#")
    return place.replace("{page}", page) + f"#{anchor}" if place else ""
