"""One knob, one effect: fit train, then dev, then test, then do well in the real world; each link has its own knobs.

A link that is broken is mended before the next is looked at, with its knobs alone. A knob that pulls at two links at
once, as early stopping does, is marked: what it did is harder to tell.
"""

from __future__ import annotations

from dataclasses import dataclass

from orthogon.strategy.diagnosis import (
    BIAS,
    DRIFT,
    HARDER_TEST,
    MISMATCH,
    OVERFIT,
    UNCLEAR,
    UNDETERMINED,
    UNKNOWN,
    UNSPLIT,
    VARIANCE,
    Diagnosis,
)
from orthogon.strategy.knobs import REAL_WORLD, Knob, knobs_for


@dataclass(frozen=True)
class Link:
    """A link of the chain: what is to be done, and the gaps that break it."""

    name: str
    gaps: tuple[str, ...]

    @property
    def knobs(self) -> tuple[Knob, ...]:
        """Its knobs, those that turn nothing else first."""
        found = [knob for gap in self.gaps for knob in knobs_for(gap)]
        return tuple(sorted(found, key=lambda knob: not knob.orthogonal))


CHAIN = (
    Link("fit train", (BIAS,)),
    Link("fit dev", (VARIANCE, UNSPLIT, MISMATCH)),
    Link("fit test", (OVERFIT, HARDER_TEST, DRIFT)),
    Link("do well in the real world", (REAL_WORLD,)),
)


def first_broken(train: bool, dev: bool, test: bool, real_world: bool) -> Link | None:
    """The first link that does not hold, whatever the later ones do; None where all hold."""
    return next((link for link, holds in zip(CHAIN, (train, dev, test, real_world), strict=True) if not holds), None)


def holds(diagnosis: Diagnosis, link: Link) -> bool:
    """Whether none of its gaps is shown to be worth acting on; the real world no diagnosis can see."""
    return not set(diagnosis.causes).intersection(link.gaps)


def doubtful(diagnosis: Diagnosis, link: Link) -> bool:
    """Whether it cannot be told if the link holds."""
    return any(gap.name in link.gaps and gap.verdict in (UNCLEAR, UNDETERMINED, UNKNOWN) for gap in diagnosis.gaps)


def broken_in(diagnosis: Diagnosis, real_world: bool = True) -> Link | None:
    """The first broken link of a diagnosed run; `real_world`: whether those who use it are content."""
    train, dev, test = (holds(diagnosis, link) for link in CHAIN[:3])
    return first_broken(train, dev, test, real_world)


def in_words(diagnosis: Diagnosis, real_world: bool = True) -> str:
    """Such as "fit train ✓ → fit dev ✗": up to the first broken link, later ones wait; "?" where none can tell."""
    said = []
    for link, ok in zip(CHAIN, [*(holds(diagnosis, link) for link in CHAIN[:3]), real_world], strict=True):
        untold = (link is CHAIN[3] and real_world) or (ok and doubtful(diagnosis, link))
        said.append(f"{link.name} {'?' if untold else '✓' if ok else '✗'}")
        if not ok:
            break
    return " → ".join(said)
