"""Pictures: arrays in memory, or files on disk that are decoded when they are needed.

Reading a folder decodes every file once, because a truncated JPEG has a perfect header: what cannot be decoded is set
aside before ids are given out. Whatever the file holds (palette, CMYK, transparency, 16 bits, an EXIF turn), a picture
is an upright uint8 array with one channel (grey) or three (RGB). The user's folder is only ever read.
"""

from __future__ import annotations

import copy
import csv
import difflib
import hashlib
import io
import os
import re
import warnings
from abc import abstractmethod
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, TypeVar

import numpy as np
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError

from orthogon.data.atomic import atomic_file
from orthogon.data.config import DataConfig
from orthogon.data.examples import Example, Examples, Finding, Modality, Origin
from orthogon.errors import ConfigError, DataError, UsageError, did_you_mean, did_you_mean_path

Resize = Literal["crop", "squash"]
Pixels = NDArray[np.uint8]
Key = tuple[int, int, str]  # size, channels, resize
T = TypeVar("T")
R = TypeVar("R")

PICTURE_SUFFIXES = frozenset(
    f".{ending}"
    for ending in (
        *("jpg", "jpeg", "jpe", "jfif", "png", "gif", "bmp", "dib", "tif", "tiff", "webp"),
        *("ppm", "pgm", "pbm", "pnm", "avif", "jp2"),
    )
)
# pictures as well, which Pillow alone does not open: phones, vector graphics, raw files of cameras
UNREAD_SUFFIXES = frozenset(
    f".{ending}"
    for ending in (
        *("heic", "heif", "jxl", "svg", "psd"),
        *("dng", "cr2", "cr3", "nef", "arw", "orf", "rw2", "raf"),
    )
)
SPLIT_FOLDERS = {
    "train": "train",
    "training": "train",
    "dev": "dev",
    "development": "dev",
    "val": "dev",
    "valid": "dev",
    "validation": "dev",
    "test": "test",
    "testing": "test",
}
MANIFEST_COLUMNS = {
    "path": ("path", "file", "filename", "file_name", "image", "image_path", "filepath"),
    "label": ("label", "class", "target", "category"),
    "split": ("split", "set", "subset", "part"),
    "group": ("group",),
    "domain": ("domain",),
}
MANIFEST_NAMES = ("manifest.csv", "labels.csv", "manifest.tsv", "labels.tsv")
MOST_FOLDERS = 8  # beside a manifest, in which a file that it names without a folder is looked for
MAX_PIXELS = 89_478_485  # Pillow's own guard: a quarter of a gigabyte once decoded
THUMBNAIL = 16  # side of the grey thumbnails that near-duplicates are found by, pixels
CACHE_BYTES = 8 * 2**30  # a decoded cache larger than this is not built
NEW_PER_CHUNK = 256
ITEMS_PER_TASK = 32  # handing a thread one tiny picture at a time costs more than decoding it
EXIF_ORIENTATION = 0x0112
# How to set upright what a camera stored turned: EXIF 2.32, tag 0x0112.
TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}


class Pictures(Examples):
    """What the two kinds of pictures share.

    Attributes:
        labels: (n,) class names, None where unknown.
        reason: one sentence on what the data was taken for.
        set_aside: (origin, why) of what could not be read.
        notes: findings of the reader.
    """

    modality: Modality = "image"
    labels: NDArray[Any]
    reason: str
    set_aside: list[tuple[Origin, str]]
    notes: list[Finding]

    @property
    @abstractmethod
    def channels(self) -> int:
        """1 when every picture is grey, else 3."""

    @property
    def cache(self) -> Path | None:
        """Folder for what is computed from the pictures once; None where nothing is kept on disk."""
        return None

    def load(self, i: int, size: int, channels: int | None = None, resize: Resize = "crop") -> Pixels:
        """Picture i as (size, size, channels): its middle square ("crop"), or both sides squeezed ("squash")."""
        with _remarks_ignored():
            return self._load(i, size, channels or self.channels, resize)

    @abstractmethod
    def _load(self, i: int, size: int, channels: int, resize: Resize) -> Pixels:
        """`load` for threads, which must not touch the filters of warnings."""

    @abstractmethod
    def thumbnails(self) -> Pixels:
        """(n, 16, 16) grey, squashed."""

    def pixels(
        self,
        size: int,
        ids: NDArray[np.int64] | None = None,
        channels: int | None = None,
        resize: Resize = "crop",
    ) -> Pixels:
        """(m, size, size, channels) of these pictures, all by default, decoded on every core."""
        channels = channels or self.channels
        rows = range(len(self)) if ids is None else [int(i) for i in ids]
        out = np.empty((len(rows), size, size, channels), dtype=np.uint8)

        def fill(k: int) -> None:
            out[k] = self._load(rows[k], size, channels, resize)

        with _remarks_ignored():
            _on_every_core(fill, range(len(rows)))
        return out

    def targets(self) -> NDArray[Any]:
        return self.labels

    def with_targets(self, ids: NDArray[np.int64], values: Sequence[Any] | NDArray[Any]) -> Pictures:
        changed = copy.copy(self)
        changed.labels = self.labels.astype(object)
        changed.labels[ids] = values
        changed.original = self.original or self
        return changed

    def _copy_columns(self, source: Examples, rows: NDArray[np.int64]) -> None:
        for name in ("domains", "groups", "times", "given_split"):
            values = getattr(source, name)
            setattr(self, name, None if values is None else values[rows])


class ArrayImages(Pictures):
    """Pictures that lie in memory.

    Args:
        images: (n, H, W, C) or (n, H, W) uint8, C of 1 or 3.
        labels: (n,) class names, None where unknown; None when no picture has one.
        name: what the user typed, for messages.
        places: (n,) where each picture comes from, for messages; "picture 17" (from 1) by default.
        reason: one sentence on what the data was taken for.
    Raises:
        DataError: the array has another shape, or labels and pictures differ in number.
    """

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
        if images.ndim != 4 or images.shape[3] not in (1, 3) or images.dtype != np.uint8:
            raise DataError(
                f"The pictures are {images.dtype} of shape {images.shape}.",
                name,
                "Give uint8 of shape (n, H, W), (n, H, W, 1) or (n, H, W, 3).",
            )
        self.images: Pixels = images
        self.labels = np.full(len(images), None, object) if labels is None else np.asarray(labels)
        if len(self.labels) != len(images):
            raise DataError(f"{len(images)} pictures have {len(self.labels)} labels.", name, "Give one label each.")
        self.name = name
        self.places = places
        self.reason = reason
        self.set_aside = []
        self.notes = []

    @property
    def channels(self) -> int:
        return self.images.shape[3]

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, i: int) -> Example:
        target = self.labels[i]
        return Example(self.images[i], None if target is None else str(target), Origin(self.name, self._place(i)))

    def _place(self, i: int) -> str:
        return self.places[i] if self.places is not None else f"picture {i % len(self) + 1}"

    def take(self, ids: NDArray[np.int64] | Sequence[int]) -> ArrayImages:
        rows = np.asarray(ids, dtype=np.int64)
        places = [self._place(i) for i in rows.tolist()]
        taken = ArrayImages(self.images[rows], self.labels[rows], self.name, places, self.reason)
        taken._copy_columns(self, rows)
        taken.notes, taken.set_aside = self.notes, self.set_aside
        return taken

    def _load(self, i: int, size: int, channels: int, resize: Resize) -> Pixels:
        image = self.images[i]
        if image.shape == (size, size, channels):
            return image
        return _fitted(_picture(image), size, channels, resize)

    def pixels(
        self, size: int, ids: NDArray[np.int64] | None = None, channels: int | None = None, resize: Resize = "crop"
    ) -> Pixels:
        if self.images.shape[1:] == (size, size, channels or self.channels):
            return self.images if ids is None else self.images[ids]
        return super().pixels(size, ids, channels, resize)

    def thumbnails(self) -> Pixels:
        return self.pixels(THUMBNAIL, channels=1, resize="squash")[..., 0]

    def fingerprint(self) -> str:
        if self.original is not None:
            return self.original.fingerprint()
        digest = hashlib.sha256(repr(self.images.shape).encode())
        digest.update(np.ascontiguousarray(self.images).data)
        _digest_columns(digest, self)
        return digest.hexdigest()

    def content_keys(self) -> NDArray[np.uint64]:
        keys = [hashlib.blake2b(image.tobytes(), digest_size=8).digest() for image in self.images]
        return np.frombuffer(b"".join(keys), dtype=np.uint64)


@dataclass(frozen=True)
class Look:
    """What one decoding of a file tells. digest: sha256 of its bytes. thumbnail: (16, 16) grey."""

    digest: bytes
    grey: bool
    thumbnail: Pixels


@dataclass
class _Files:
    """Files that several views (`FolderImages.take`) share."""

    paths: list[Path]
    looks: list[Look]
    channels: int
    cache: Path | None
    decoded: dict[Key, Pixels] = field(default_factory=dict)  # (n, size, size, channels), memory-mapped


class FolderImages(Pictures):
    """Picture files, decoded when they are asked for; made by `read_image_folder`."""

    def __init__(self, files: _Files, labels: NDArray[Any], name: str, rows: NDArray[np.int64] | None = None) -> None:
        self._files = files
        self._rows = np.arange(len(files.paths)) if rows is None else rows
        self.labels = labels
        self.name = name
        self.reason = ""
        self.set_aside = []
        self.notes = []

    @property
    def channels(self) -> int:
        return self._files.channels

    @property
    def cache(self) -> Path | None:
        return self._files.cache

    @property
    def paths(self) -> list[Path]:
        return [self._files.paths[row] for row in self._rows.tolist()]

    def __len__(self) -> int:
        return len(self._rows)

    def __getitem__(self, i: int) -> Example:
        path = self._files.paths[self._rows[i]]
        target = self.labels[i]
        with _remarks_ignored():
            pixels = _read(path, self.channels)
        return Example(pixels, None if target is None else str(target), Origin(_shown(path)))

    def take(self, ids: NDArray[np.int64] | Sequence[int]) -> FolderImages:
        ids = np.asarray(ids, dtype=np.int64)
        taken = FolderImages(self._files, self.labels[ids], self.name, self._rows[ids])
        taken._copy_columns(self, ids)
        taken.reason, taken.notes, taken.set_aside = self.reason, self.notes, self.set_aside
        return taken

    def _load(self, i: int, size: int, channels: int, resize: Resize) -> Pixels:
        row = int(self._rows[i])
        decoded = self._files.decoded.get((size, channels, resize))
        if decoded is not None:
            return np.array(decoded[row])
        return _read(self._files.paths[row], channels, size, resize)

    def pixels(
        self, size: int, ids: NDArray[np.int64] | None = None, channels: int | None = None, resize: Resize = "crop"
    ) -> Pixels:
        channels = channels or self.channels
        decoded = self._files.decoded.get((size, channels, resize))
        if decoded is None and self._files.cache is not None:
            decoded = self.build_cache(size, channels, resize)
        if decoded is None:
            return super().pixels(size, ids, channels, resize)
        return decoded[self._rows if ids is None else self._rows[ids]]

    def build_cache(self, size: int, channels: int | None = None, resize: Resize = "crop") -> Pixels | None:
        """Decode the whole folder once at this size into the cache folder; later epochs and runs read from there.

        Returns:
            all files' pixels (n, size, size, channels), memory-mapped; None without a cache folder, when there would
            be more than CACHE_BYTES, or when the disk is full.
        """
        files, channels = self._files, channels or self.channels
        shape = (len(files.paths), size, size, channels)
        if files.cache is None or not len(files.paths) or int(np.prod(shape)) > CACHE_BYTES:
            return None
        key = hashlib.sha256(b"".join(look.digest for look in files.looks)).hexdigest()[:16]
        path = files.cache / f"pictures-{key}-{size}x{size}x{channels}-{resize}.npy"
        if not path.exists():
            try:
                with atomic_file(path) as temporary:
                    out = np.lib.format.open_memmap(temporary, mode="w+", dtype=np.uint8, shape=shape)

                    def fill(row: int) -> None:
                        out[row] = _read(files.paths[row], channels, size, resize, files.looks[row].digest)

                    with _remarks_ignored():
                        _on_every_core(fill, range(shape[0]))
                    out.flush()
            except OSError:
                return None  # no room for a cache: the pictures are decoded each time instead
        files.decoded[size, channels, resize] = np.load(path, mmap_mode="r", allow_pickle=False)
        return files.decoded[size, channels, resize]

    def thumbnails(self) -> Pixels:
        if not len(self):
            return np.zeros((0, THUMBNAIL, THUMBNAIL), np.uint8)
        return np.stack([self._files.looks[row].thumbnail for row in self._rows.tolist()])

    def fingerprint(self) -> str:
        if self.original is not None:
            return self.original.fingerprint()
        digest = hashlib.sha256()
        for row in self._rows.tolist():
            digest.update(self._files.looks[row].digest)
        _digest_columns(digest, self)
        return digest.hexdigest()

    def content_keys(self) -> NDArray[np.uint64]:
        keys = b"".join(self._files.looks[row].digest[:8] for row in self._rows.tolist())
        return np.frombuffer(keys, dtype=np.uint64)


# -- decoding -----------------------------------------------------------------------------------------------------


def _read(
    path: Path, channels: int, size: int | None = None, resize: Resize = "crop", digest: bytes | None = None
) -> Pixels:
    """Decode a file that reading found sound; with a digest, only if its bytes are still the same.

    Raises:
        DataError: it has changed or gone since.
    """
    try:
        if digest is None:
            with Image.open(path) as picture:
                return _decoded(picture, channels, size, resize)
        data = path.read_bytes()
        if hashlib.sha256(data).digest() != digest:
            raise ValueError("it has changed")
        with Image.open(io.BytesIO(data)) as picture:
            return _decoded(picture, channels, size, resize)
    except Exception as error:  # see `_look`
        raise DataError(
            f"The picture can no longer be read: {error}.",
            _shown(path),
            "It could when the folder was read. Bring it back, or start again without it.",
        ) from error


@contextmanager
def _remarks_ignored() -> Iterator[None]:
    """Pillow remarks on odd metadata, which a person cannot act on."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def _decoded(picture: Image.Image, channels: int, size: int | None = None, resize: Resize = "crop") -> Pixels:
    turn = _turn(picture)
    if size is not None:
        picture.draft(None, (size, size))  # JPEG only: decode at 1/2, 1/4 or 1/8, never below size
    upright = _eight_bit(picture)
    if turn is not None:
        upright = upright.transpose(turn)
    return _array(upright, channels) if size is None else _fitted(upright, size, channels, resize)


def _turn(picture: Image.Image) -> Image.Transpose | None:
    try:
        return TURNS.get(picture.getexif().get(EXIF_ORIENTATION, 1))
    except Exception:  # damaged EXIF raises nearly anything, and the picture itself can be sound
        return None


def _eight_bit(picture: Image.Image) -> Image.Image:
    """Mode L or RGB, whatever the mode was; transparent parts become white, as on paper."""
    mode = picture.mode
    if mode in ("L", "RGB") and "transparency" not in picture.info:
        return picture
    if picture.has_transparency_data:
        layers = picture.convert("RGBA")
        paper = Image.new("RGBA", layers.size, "white")
        return Image.alpha_composite(paper, layers).convert("L" if mode in ("L", "LA", "La") else "RGB")
    if mode == "1":
        return picture.convert("L")
    if mode.startswith("I"):
        values = np.asarray(picture).astype(np.int64)
        high = values.max(initial=0) > 255  # 16 bits; but some writers keep 8-bit values in 32
        return Image.fromarray(np.clip(values >> 8 if high else values, 0, 255).astype(np.uint8))
    if mode == "F":
        numbers = np.nan_to_num(np.asarray(picture))
        scale = 255 if numbers.max(initial=0) <= 1 else 1
        return Image.fromarray(np.clip(numbers * scale, 0, 255).astype(np.uint8))
    if mode == "P":
        palette = np.array(picture.getpalette("RGB") or [0, 0, 0]).reshape(-1, 3)
        return picture.convert("L" if (palette == palette[:, :1]).all() else "RGB")
    return picture.convert("RGB")


def _fitted(picture: Image.Image, size: int, channels: int, resize: Resize) -> Pixels:
    width, height = picture.size
    if picture.size != (size, size):
        side = min(width, height)
        left, top = (width - side) / 2, (height - side) / 2
        box = (left, top, left + side, top + side) if resize == "crop" else (0, 0, width, height)
        picture = picture.resize((size, size), Image.Resampling.BILINEAR, box=box)
    return _array(picture, channels)


def _array(picture: Image.Image, channels: int) -> Pixels:
    mode = "L" if channels == 1 else "RGB"
    pixels = np.array(picture if picture.mode == mode else picture.convert(mode))
    return pixels.reshape(*pixels.shape[:2], channels)


def _picture(pixels: Pixels) -> Image.Image:
    return Image.fromarray(pixels[..., 0] if pixels.shape[2] == 1 else pixels)


def _look(path: Path) -> Look | str:
    """Decode a file once; a string says why that is impossible."""
    try:
        data = path.read_bytes()
    except OSError as error:
        return f"cannot be opened: {error.strerror or error}"
    if not data:
        return "is empty (0 bytes)"
    try:
        with Image.open(io.BytesIO(data)) as picture:
            width, height = picture.size
            if width * height > MAX_PIXELS:
                return _bomb(f"{width:,} x {height:,} pixels")
            picture.draft(None, (THUMBNAIL, THUMBNAIL))  # reads all of the file, but computes 1/64 of it
            upright = _eight_bit(picture)
            grey = upright.mode == "L"
            thumbnail = _fitted(upright, THUMBNAIL, 1, "squash")[..., 0]
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        return _bomb(re.sub(r"\D*(\d+) pixels.*", lambda found: f"{int(found[1]):,} pixels", str(error)))
    except UnidentifiedImageError:
        return "is text, not a picture" if _is_text(data) else "is not a picture in a known format"
    except Exception as error:  # Pillow's readers raise nearly anything on garbage, and none of it is our bug
        if "truncated" in str(error):
            return f"is cut off: {error}"
        return f"is damaged: {error or type(error).__name__}"
    return Look(hashlib.sha256(data).digest(), grey, thumbnail)


def _bomb(size: str) -> str:
    return f"is too large to decode safely: {size}, and the limit is {MAX_PIXELS:,}"


def _is_text(data: bytes) -> bool:
    try:
        return data[:512].decode("utf-8", "strict").isprintable() or b"\n" in data[:512]
    except UnicodeDecodeError:
        return False


def _on_every_core(function: Callable[[T], R], items: Sequence[T]) -> list[R]:
    """Results in order; Pillow and hashlib let go of the interpreter's lock while they work."""
    blocks = [items[start : start + ITEMS_PER_TASK] for start in range(0, len(items), ITEMS_PER_TASK)]

    def work(block: Sequence[T]) -> list[R]:
        return [function(item) for item in block]

    if len(blocks) < 2:
        return [result for block in blocks for result in work(block)]
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        return [result for results in pool.map(work, blocks) for result in results]


# -- reading folders ----------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Entry:
    """A picture as the user's folders or manifest describe it."""

    path: Path
    label: str | None
    split: str = ""
    group: str | None = None
    domain: str | None = None


@dataclass
class _Found:
    entries: list[_Entry] = field(default_factory=list)
    set_aside: list[tuple[Origin, str]] = field(default_factory=list)
    notes: list[Finding] = field(default_factory=list)
    reason: str = ""


def read_image_folder(config: DataConfig, cache: Path | None = None) -> FolderImages:
    """Labelled pictures: a folder with a folder per class, the same inside train/dev/test folders, or a CSV manifest.

    A manifest has the columns path and label, and if need be split, group and domain; paths are relative to it. It is
    the source itself, or a manifest.csv or labels.csv inside the source.

    Args:
        config: `source`, `dev_source`, `test_source`, `max_bad`; of a manifest also `target`, `group`, `domain`.
        cache: folder for what decoding finds and for resized pictures; None: nothing is kept on disk.
    Raises:
        UsageError: no such source, or a setting that names a column where there is none.
        DataError: no pictures, no classes, or more than `max_bad` of the files cannot be read.
    """
    found = _find(config.source, "data.source", config)
    for source, split in ((config.dev_source, "dev"), (config.test_source, "test")):
        if source is not None:
            more = _find(source, f"data.{split}_source", config)
            found.entries += [_Entry(e.path, e.label, split, e.group, e.domain) for e in more.entries]
            found.set_aside += more.set_aside
            found.notes += more.notes
    examples = _examples(found, config, cache)
    num_classes = len(set(examples.labels.tolist()))
    classes = "class" if num_classes == 1 else "classes"
    examples.reason = f"{len(examples):,} pictures in {num_classes} {classes}: {found.reason}"
    return examples


def read_new_images(source: str, config: DataConfig) -> Iterator[FolderImages]:
    """New pictures to predict, in chunks: one file, or every picture in a folder and its folders.

    What cannot be read is in the chunk's `set_aside`, however much it is.

    Raises:
        DataError: there is no picture.
    """
    path = Path(source).expanduser()
    found = _Found()
    paths = [path] if path.is_file() else [path.joinpath(*parts) for parts in _walk(path, found)]
    if not paths:
        raise _no_pictures(path)
    for start in range(0, len(paths), NEW_PER_CHUNK):
        chunk = _Found([_Entry(p, None) for p in paths[start : start + NEW_PER_CHUNK]])
        if start == 0:
            chunk.set_aside = found.set_aside
        yield _examples(chunk, config.model_copy(update={"source": source}), None, new=True)


def _find(given: str, place: str, config: DataConfig) -> _Found:
    source = Path(given).expanduser()
    if not source.exists():
        raise UsageError(f'There is no file or folder called "{given}".', place, did_you_mean_path(given))
    manifests = [source] if source.is_file() else [source / name for name in MANIFEST_NAMES]
    manifest = next((path for path in manifests if path.is_file()), None)
    _check_columns(source, manifest, config)
    return _from_folders(source) if manifest is None else _from_manifest(manifest, config)


def _check_columns(source: Path, manifest: Path | None, config: DataConfig) -> None:
    """Refuse what names columns of a table: passed over in silence, a group would cross the splits."""
    for key in ("target", "group", "domain", "time", "ignore", "types", "columns"):
        given = getattr(config, key)
        if not given or (manifest is not None and key in ("target", "group", "domain")):
            continue
        names = [given] if isinstance(given, str) else list(given)
        said = f'data.{key} names "{", ".join(names)}"'
        if manifest is not None:
            raise ConfigError(
                f"{said}, and of a manifest only data.target, data.group and data.domain are read.",
                str(manifest),
                f"Leave data.{key} out.",
            )
        remedy = "Leave it out."
        if key == "ignore":
            remedy = "To leave a class out, move its folder elsewhere."
        elif key in ("group", "domain"):
            remedy = f'List the pictures in "{source / MANIFEST_NAMES[0]}" with the columns path, label and {names[0]}.'
        elif key == "target":
            remedy = "Leave it out: the class that a folder names is what is predicted."
        raise ConfigError(f"{said}, and a folder of class folders has no columns.", str(source), remedy)


def _examples(found: _Found, config: DataConfig, cache: Path | None, new: bool = False) -> FolderImages:
    looks = _looks([entry.path for entry in found.entries], cache)
    good: list[tuple[_Entry, Look]] = []
    set_aside = list(found.set_aside)
    before = [0] * len(set_aside)
    for entry, look in zip(found.entries, looks, strict=True):
        if isinstance(look, str):
            set_aside.append((Origin(_shown(entry.path)), look))
            before.append(len(good))
        else:
            good.append((entry, look))
    total = len(good) + len(set_aside)
    if not new and (not good or len(set_aside) > config.max_bad * total):
        places = "; ".join(f"{origin} {why}" for origin, why in set_aside[:5])
        more = f"; and {len(set_aside) - 5:,} more" if len(set_aside) > 5 else ""
        raise DataError(
            f"{len(set_aside):,} of {total:,} pictures cannot be used (limit {config.max_bad:.0%}): {places}{more}.",
            config.source,
            "Replace or remove them, or raise data.max_bad.",
        )
    entries = [entry for entry, _ in good]
    files = _Files(
        [entry.path for entry in entries],
        [look for _, look in good],
        1 if good and all(look.grey for _, look in good) else 3,
        cache,
    )
    labels = np.array([entry.label for entry in entries], dtype=object)
    if all(label is not None for label in labels):
        labels = labels.astype(str)
    examples = FolderImages(files, labels, config.source)
    examples.set_aside, examples.notes = set_aside, found.notes
    examples.set_aside_before = before
    if any(entry.split for entry in entries):
        examples.given_split = np.array([entry.split for entry in entries])
    if any(entry.group for entry in entries):
        examples.groups = np.array([entry.group for entry in entries], dtype=object)
    if any(entry.domain for entry in entries):
        examples.domains = np.array([entry.domain or "" for entry in entries])
    return examples


def _looks(paths: list[Path], cache: Path | None) -> list[Look | str]:
    """What decoding each file tells; files that the cache knows by path, size and time are not decoded again."""
    with _remarks_ignored():
        warnings.simplefilter("error", Image.DecompressionBombWarning)
        if cache is None:
            return _on_every_core(_look, paths)
        stamps = [_stamp(path) for path in paths]
        store = cache / "pictures.npz"
        known = _load_looks(store)
        missing = [path for path, stamp in zip(paths, stamps, strict=True) if stamp not in known]
        seen = dict(zip(map(_stamp, missing), _on_every_core(_look, missing), strict=True))
    fresh = {stamp: look for stamp, look in seen.items() if isinstance(look, Look)}
    if fresh:
        _save_looks(store, {**known, **fresh})
    return [known[stamp] if stamp in known else seen[stamp] for stamp in stamps]


def _stamp(path: Path) -> str:
    try:
        facts = path.stat()
    except OSError:
        return f"{path}|gone"
    return f"{path.absolute()}|{facts.st_size}|{facts.st_mtime_ns}"


def _load_looks(path: Path) -> dict[str, Look]:
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as stored:
            digests, thumbnails = stored["digests"], stored["thumbnails"]
            rows = zip(stored["stamps"].tolist(), digests, stored["grey"].tolist(), thumbnails, strict=True)
            return {stamp: Look(digest.tobytes(), grey, thumbnail) for stamp, digest, grey, thumbnail in rows}
    except Exception:  # absent or damaged: what it held can be found again
        return {}


def _save_looks(path: Path, looks: Mapping[str, Look]) -> None:
    try:
        with atomic_file(path) as temporary, temporary.open("wb") as file:
            np.savez(
                file,
                stamps=np.array(list(looks)),
                digests=np.stack([np.frombuffer(look.digest, np.uint8) for look in looks.values()]),
                grey=np.array([look.grey for look in looks.values()]),
                thumbnails=np.stack([look.thumbnail for look in looks.values()]),
            )
    except (OSError, UnicodeEncodeError):
        return  # a cache that cannot be written costs time, nothing else


def _walk(root: Path, found: _Found, others: Counter[str] | None = None) -> list[tuple[str, ...]]:
    """Picture files below a folder as relative parts, sorted; hidden files are ignored, links followed once."""
    seen = {os.path.realpath(root)}
    pictures: list[tuple[str, ...]] = []

    def unreadable(error: OSError) -> None:
        found.set_aside.append((Origin(_shown(Path(error.filename))), f"cannot be opened: {error.strerror}"))

    for folder, subfolders, files in os.walk(root, followlinks=True, onerror=unreadable):
        inside = []
        for name in sorted(subfolders):
            real = os.path.realpath(os.path.join(folder, name))
            if name.startswith(".") or name == "__MACOSX" or real in seen:  # seen: a link that leads back
                continue
            seen.add(real)
            inside.append(name)
        subfolders[:] = inside
        parts = Path(folder).relative_to(root).parts
        for name in files:
            suffix = os.path.splitext(name)[1].lower()
            if name.startswith("."):
                continue
            if suffix in PICTURE_SUFFIXES:
                pictures.append((*parts, name))
            elif others is not None:
                others[suffix or "no suffix"] += 1
    return sorted(pictures)


def _from_folders(root: Path) -> _Found:
    found = _Found()
    others: Counter[str] = Counter()
    files = _walk(root, found, others)
    if not files:
        raise _no_pictures(root, others)
    base, files = _descend(root, files)
    tops = {parts[0] for parts in files if len(parts) > 1}
    splits = {top: SPLIT_FOLDERS[top.lower()] for top in tops if top.lower() in SPLIT_FOLDERS}
    if len(set(splits.values())) == 1:
        _refuse_misspelt_split(base, splits, files)
    parents: list[Path] = []
    if len(set(splits.values())) < 2:
        parents.append(base)
        _add_class_folders(found, base, files, "")
        found.reason = "each folder is a class"
    else:
        for top, split in sorted(splits.items()):
            inner, below = _descend(base / top, [parts[1:] for parts in files if parts[0] == top and len(parts) > 1])
            if any(len(parts) > 1 for parts in below):
                parents.append(inner)
                _add_class_folders(found, inner, below, split)
            else:
                found.notes.append(
                    Finding(
                        "unlabelled-part",
                        "warning",
                        f'The {len(below):,} pictures in "{top}" lie in no class folder and are not used.',
                        len(below),
                        (_shown(base / top),),
                        f'Sort them into class folders, or predict them: orthogon predict "{_shown(base / top)}".',
                    )
                )
        strays = [parts for parts in files if parts[0] not in splits]
        found.set_aside += [(Origin(_shown(base.joinpath(*parts))), _outside(parts, splits)) for parts in strays]
        found.reason = f"each folder inside {', '.join(sorted(splits))} is a class"
    if not found.entries:
        raise DataError(
            f"{len(files):,} pictures lie in no class folder, so nothing says what they show.",
            str(root),
            f'Put the pictures of each class into a folder of its own, for instance "{root / "cat"}", or list them in '
            f'"{root / "manifest.csv"}" with the columns path and label.',
        )
    found.notes += _left_out(root, parents, found, others)
    return found


def _left_out(root: Path, parents: Iterable[Path], found: _Found, others: Counter[str]) -> list[Finding]:
    """What a folder holds and no class has: pictures of a kind that is not read, class folders without a picture."""
    notes = []
    unread = Counter({suffix: n for suffix, n in others.items() if suffix in UNREAD_SUFFIXES})
    if unread:
        kinds = ", ".join(f"{n:,} {suffix}" for suffix, n in unread.most_common(3))
        notes.append(
            Finding(
                "pictures-not-read",
                "warning",
                f"Pictures of a kind that is not read are left out: {kinds}.",
                unread.total(),
                (_shown(root),),
                "Save them as JPEG or PNG.",
            )
        )
    used = {entry.path for entry in found.entries}
    filled = {folder for path in used for folder in path.parents}
    empty = [
        folder
        for parent in parents
        for folder in sorted(parent.iterdir())
        if folder.is_dir() and not folder.name.startswith(".") and folder.name != "__MACOSX" and folder not in filled
    ]
    if empty:
        named = ", ".join(f'"{folder.name}"' for folder in empty[:5])
        more = f" and {len(empty) - 5:,} more" if len(empty) > 5 else ""
        notes.append(
            Finding(
                "class-without-pictures",
                "warning",
                f"Folders without a picture that is read are no class: {named}{more}.",
                len(empty),
                tuple(_shown(folder) for folder in empty[:5]),
                "Put pictures into them, or remove them.",
            )
        )
    return notes


def _outside(parts: tuple[str, ...], splits: Mapping[str, str]) -> str:
    why = f"lies outside the folders {', '.join(sorted(splits))}"
    meant = _split_meant(parts[0]) if len(parts) > 1 else ""
    return f'{why} (is "{parts[0]}" meant to be "{meant}"?)' if meant else why


def _split_meant(name: str) -> str:
    """The name of a split that a folder's name nearly is; empty where there is none."""
    near = difflib.get_close_matches(name.lower(), SPLIT_FOLDERS, n=1, cutoff=0.75)
    return near[0] if near else ""


def _refuse_misspelt_split(base: Path, splits: Mapping[str, str], files: list[tuple[str, ...]]) -> None:
    """A folder "trian" beside "test", both with class folders inside, is no class."""
    if any(len(parts) < 3 for parts in files):
        return
    (known,) = set(splits.values())
    for top in sorted({parts[0] for parts in files} - set(splits)):
        meant = _split_meant(top)
        if meant and SPLIT_FOLDERS[meant] != known:
            raise DataError(
                f'The folder "{top}" lies beside "{min(splits)}" and is no part of a split by its name: both would be '
                "classes.",
                _shown(base / top),
                f'Did you mean "{meant}"? Rename the folder. Parts are called train, dev (or val) and test.',
            )


def _descend(base: Path, files: list[tuple[str, ...]]) -> tuple[Path, list[tuple[str, ...]]]:
    """Step into folders that only wrap others: archive/dataset/cat/1.jpg has its classes below dataset."""
    while files and len({parts[0] for parts in files}) == 1 and all(len(parts) > 2 for parts in files):
        base, files = base / files[0][0], [parts[1:] for parts in files]
    return base, files


def _add_class_folders(found: _Found, base: Path, files: list[tuple[str, ...]], split: str) -> None:
    labelled = [parts for parts in files if len(parts) > 1]
    found.entries += [_Entry(base.joinpath(*parts), parts[0], split) for parts in labelled]
    if labelled:
        strays = [parts for parts in files if len(parts) == 1]
        found.set_aside += [(Origin(_shown(base.joinpath(*parts))), "lies in no class folder") for parts in strays]


def _no_pictures(root: Path, others: Counter[str] | None = None) -> DataError:
    what = "There is no picture here."
    remedy = f"Pictures are {', '.join(sorted(PICTURE_SUFFIXES))}; one folder per class."
    if others:
        tables = [path for path in sorted(root.iterdir()) if path.suffix in (".csv", ".tsv", ".parquet", ".gz")]
        if tables:
            remedy = f'For a table, give the file: orthogon start "{tables[0]}" --target COLUMN'
        what = f"There is no picture here, only {', '.join(f'{n:,} {suffix}' for suffix, n in others.most_common(3))}."
    return DataError(what, str(root), remedy)


def _from_manifest(path: Path, config: DataConfig) -> _Found:
    """Entries of a CSV or TSV with the columns path and label."""
    try:
        text = path.read_text("utf-8-sig" if config.encoding == "auto" else config.encoding)
    except (UnicodeDecodeError, LookupError) as error:
        raise DataError(
            f"The manifest is not readable as text: {error}.", str(path), "Save it as UTF-8, or set data.encoding."
        ) from error
    delimiter = "\t" if path.suffix.lower() == ".tsv" else ","
    if config.delimiter != "auto":
        delimiter = config.delimiter
    rows = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter)
    try:
        header = [name.strip() for name in next(rows, [])]
        columns, folders = _manifest_columns(header, path, config), _folders_in(path.parent)
        found = _Found(reason=f'the manifest "{path.name}" names each picture\'s class')
        for row in rows:
            if any(cell.strip() for cell in row):
                _add_row(found, path, folders, f"row {rows.line_num}", row, columns)
    except csv.Error as error:
        raise DataError(f"The manifest is no CSV: {error}.", f"{path}, row {rows.line_num}", "Correct it.") from error
    if not found.entries and not found.set_aside:
        raise DataError("The manifest lists no picture.", str(path), "Add a row for each: path,label.")
    return found


def _manifest_columns(header: Sequence[str], path: Path, config: DataConfig) -> dict[str, int]:
    folded = [name.casefold() for name in header]
    asked = {"label": config.target, "group": config.group, "domain": config.domain}
    columns: dict[str, int] = {}
    for role, names in MANIFEST_COLUMNS.items():
        name = asked.get(role)
        if isinstance(name, str):
            if name.casefold() not in folded:
                raise DataError(f'There is no column "{name}".', f"{path}, row 1", did_you_mean(name, header))
            columns[role] = folded.index(name.casefold())
            continue
        position = next((folded.index(each) for each in names if each in folded), None)
        if position is not None:
            columns[role] = position
    missing = [role for role in ("path", "label") if role not in columns]
    if missing:
        raise DataError(
            f"The manifest has no column {' and no column '.join(missing)}; it has {', '.join(header) or 'nothing'}.",
            f"{path}, row 1",
            _columns_remedy(missing, header),
        )
    return columns


def _columns_remedy(missing: Sequence[str], header: Sequence[str]) -> str:
    rename = 'ame the columns in its first row, for instance "path,label".'
    if missing == ["label"] and len(header) > 1:
        return f"Say which one is the label: --target {header[-1]}, for instance. Or n{rename}"
    return f"N{rename}"


def _picture_file(manifest: Path, folders: Sequence[Path], name: str) -> Path | None:
    """The file beside its manifest, or in the one folder there that has it; None if there is no such."""
    if not name or "\0" in name:
        return None
    if (manifest.parent / name).is_file():
        return manifest.parent / name
    found = [folder / name for folder in folders if (folder / name).is_file()]
    return found[0] if len(found) == 1 else None


def _folders_in(folder: Path) -> tuple[Path, ...]:
    """Those that a manifest's pictures may lie in; none where there are more than a person would leave unsaid."""
    found = tuple(inner for inner in sorted(folder.iterdir()) if inner.is_dir())
    return found if len(found) <= MOST_FOLDERS else ()


def _add_row(
    found: _Found,
    manifest: Path,
    folders: Sequence[Path],
    place: str,
    row: Sequence[str],
    columns: Mapping[str, int],
) -> None:
    cells = {role: row[at].strip() if at < len(row) else "" for role, at in columns.items()}
    origin = Origin(_shown(manifest), place)
    split = cells.get("split", "").lower()
    file = _picture_file(manifest, folders, cells["path"])
    if not cells["path"] or not cells["label"]:
        found.set_aside.append((origin, "has no " + ("label" if cells["path"] else "path")))
    elif split and split not in SPLIT_FOLDERS:
        found.set_aside.append((origin, f'has the split "{cells["split"]}"; known are train, dev and test'))
    elif file is None:
        found.set_aside.append((origin, f'names the file "{cells["path"]}", which does not exist'))
    else:
        found.entries.append(
            _Entry(
                file,
                cells["label"],
                SPLIT_FOLDERS.get(split, ""),
                cells.get("group") or None,
                cells.get("domain") or None,
            )
        )


def _shown(path: Path) -> str:
    """The path as it can be printed, whatever bytes its name has."""
    return os.fsencode(path).decode("utf-8", "replace")


def _digest_columns(digest: Any, pictures: Pictures) -> None:
    """Labels and whatever else decides what a picture is used for."""
    for values in (pictures.labels, pictures.domains, pictures.groups, pictures.times, pictures.given_split):
        text = "" if values is None else "\x1f".join(map(str, values.tolist()))
        digest.update(f"{len(text)}\x1e{text}".encode("utf-8", "surrogateescape"))
