"""A sealed run and what derives from it."""

from __future__ import annotations

from orthogon.run.folder import FORMAT, Run

__all__ = ["FORMAT", "Run"]
