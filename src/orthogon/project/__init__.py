"""What a user holds: a folder, its config, its logbook."""

from __future__ import annotations

from orthogon.project.project import Project

__all__ = ["Project"]
