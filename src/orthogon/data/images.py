"""Pictures: arrays in memory, or files on disk that are decoded when they are needed."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from orthogon.data.examples import Example, Examples, Modality, Origin


class ArrayImages(Examples):
    """Pictures that lie in memory.

    Args:
        images: (n, H, W, C) or (n, H, W) uint8, C of 1 or 3.
        labels: (n,) class names, None where unknown; None when no picture has one.
        name: what the user typed, for messages.
        places: (n,) where each picture comes from, for messages; "picture 17" (from 1) by default.
        reason: one sentence on what the data was taken for.
    """

    modality: Modality = "image"

    def __init__(
        self,
        images: NDArray[np.uint8],
        labels: Sequence[Any] | NDArray[Any] | None = None,
        name: str = "images",
        places: Sequence[str] | None = None,
        reason: str = "",
    ) -> None:
        images = np.asarray(images)
        if images.ndim == 3:
            images = images[..., None]
        self.images: NDArray[np.uint8] = images
        self.labels = np.full(len(images), None, object) if labels is None else np.asarray(labels)
        self.name = name
        self.places = places
        self.reason = reason
        self.set_aside: list[tuple[Origin, str]] = []

    @property
    def channels(self) -> int:
        return self.images.shape[3]

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, i: int) -> Example:
        place = self.places[i] if self.places is not None else f"picture {i + 1}"
        target = self.labels[i]
        return Example(self.images[i], None if target is None else str(target), Origin(self.name, place))

    def take(self, ids: NDArray[np.int64] | Sequence[int]) -> ArrayImages:
        rows = np.asarray(ids, dtype=np.int64)
        places = [self.places[i] if self.places is not None else f"picture {i + 1}" for i in rows.tolist()]
        taken = ArrayImages(self.images[rows], self.labels[rows], self.name, places, self.reason)
        for field in ("domains", "groups", "times", "given_split"):
            values = getattr(self, field)
            setattr(taken, field, None if values is None else values[rows])
        return taken

    def targets(self) -> NDArray[Any]:
        return self.labels

    def fingerprint(self) -> str:
        digest = hashlib.sha256(repr((self.images.shape, self.images.dtype.str)).encode())
        digest.update(np.ascontiguousarray(self.images).data)
        digest.update("\0".join(map(str, self.labels.tolist())).encode())
        return digest.hexdigest()

    def content_keys(self) -> NDArray[np.uint64]:
        keys = [hashlib.blake2b(image.tobytes(), digest_size=8).digest() for image in self.images]
        return np.frombuffer(b"".join(keys), dtype=np.uint64)
