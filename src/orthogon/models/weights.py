"""The one door for pretrained weights: what there is, where it lies, how it comes here, and how a network takes it.

A preset names one published file and records its source, licence and checksum. `find` looks in the cache folder, `get`
also downloads, `load` puts a file's tensors into a network. No file is trusted by its name alone.
"""

from __future__ import annotations

import hashlib
import json
import os
import pickle
import re
import sys
import urllib.error
import urllib.request
import warnings
import zipfile
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from functools import lru_cache
from http.client import HTTPException
from pathlib import Path
from typing import TYPE_CHECKING, Any

from orthogon.errors import DataError, OrthogonError, ShapeError, UsageError, did_you_mean, did_you_mean_path

if TYPE_CHECKING:
    from torch import Tensor, nn

PUBLISHER = "https://download.pytorch.org/models/"
IMAGENET_TERMS = "trained on ImageNet-1k (non-commercial research terms)"
IMAGENET_MEAN, IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
FEATURES_AN_IMAGE = 10  # a preset's minimum: one training image for every ten features that its head reads

TRIES = 4  # connections of one download; each goes on where the one before was cut
TIMEOUT = 30.0  # seconds without a byte
CHUNK = 1 << 18  # bytes

# Torchvision's GoogLeNet file holds its side heads, which a network built without them does not take.
SIDE_HEADS = ("aux1.", "aux2.")
ZIP, PICKLE = b"PK", b"\x80"  # how files of torch.save begin, of today and of old
# what DataParallel, torch.compile, and networks that hold another, as Lightning's modules do, put before every name
WRAPPED = ("module.", "_orig_mod.", "model.", "net.", "backbone.")
CHECKPOINT_KEYS = ("state_dict", "model_state_dict", "model")  # where checkpoints of other programs hold the weights


@dataclass(frozen=True)
class Preset:
    """One published file of weights.

    Args:
        name: what people type.
        network: its name in `orthogon.models.NETWORKS`.
        file: its name in the cache folder.
        url: where it is published; None where there is no public address and a person must place it.
        sha256: in hexadecimal, whole or its beginning.
        bytes: size of the file, as exact as its publisher gives it (torchvision: to a thousandth of a MiB).
        source: where the weights come from.
        licence: of the code they come with and of the data they were trained on.
        commercial: whether both allow commercial use.
        size: height and width in pixels of the pictures they were measured on.
        min_images: training from these weights with fewer images warns.
        top1: per cent of ImageNet's validation pictures named right, as published; for files decoded from another
            format, as measured on 120 of them.
        arguments: of the network's builder, where the weights want other than its defaults.
        classes: outputs of the head. With 1001 the first is "background".
        mean, std: of each channel; the network expects (pixels / 255 - mean) / std of pixels 0..255.
    """

    name: str
    network: str
    file: str
    url: str | None
    sha256: str
    bytes: int
    source: str
    licence: str
    commercial: bool
    size: int
    min_images: int
    top1: float
    arguments: Mapping[str, Any] = field(default_factory=dict)
    classes: int = 1000
    mean: tuple[float, float, float] = IMAGENET_MEAN
    std: tuple[float, float, float] = IMAGENET_STD

    @property
    def notice(self) -> str:
        """What a person should know when these weights are used: licence, and a no to commercial use."""
        use = "" if self.commercial else " Not for commercial use."
        return f"Weights {self.name}: {self.licence}.{use}"


# Torchvision's network, its name here, file, MiB, top-1, pixels a side, features that the head reads. The best weights
# it has for each network; those under other licences or for another size than the network's table are left out.
TORCHVISION = (
    ("alexnet", "alexnet_owt", "alexnet-owt-7be5be79.pth", 233.087, 56.522, 224, 4096),
    ("vgg11", "vgg11", "vgg11-8a719046.pth", 506.84, 69.02, 224, 4096),
    ("vgg13", "vgg13", "vgg13-19584684.pth", 507.545, 69.928, 224, 4096),
    ("vgg16", "vgg16", "vgg16-397923af.pth", 527.796, 71.592, 224, 4096),
    ("vgg19", "vgg19", "vgg19-dcbb9e9d.pth", 548.051, 72.376, 224, 4096),
    ("vgg11_bn", "vgg11_bn", "vgg11_bn-6002323d.pth", 506.881, 70.37, 224, 4096),
    ("vgg13_bn", "vgg13_bn", "vgg13_bn-abd245e5.pth", 507.59, 71.586, 224, 4096),
    ("vgg16_bn", "vgg16_bn", "vgg16_bn-6c64b313.pth", 527.866, 73.36, 224, 4096),
    ("vgg19_bn", "vgg19_bn", "vgg19_bn-c79401a0.pth", 548.143, 74.218, 224, 4096),
    ("googlenet", "googlenet_bn", "googlenet-1378be20.pth", 49.731, 69.778, 224, 1024),
    ("squeezenet1_0", "squeezenet1_0", "squeezenet1_0-b66bff10.pth", 4.778, 58.092, 224, 512),
    ("squeezenet1_1", "squeezenet1_1", "squeezenet1_1-b8a52dc0.pth", 4.729, 58.178, 224, 512),
    ("resnet18", "resnet18", "resnet18-f37072fd.pth", 44.661, 69.758, 224, 512),
    ("resnet34", "resnet34", "resnet34-b627a593.pth", 83.275, 73.314, 224, 512),
    ("resnet50", "resnet50", "resnet50-11ad3fa6.pth", 97.79, 80.858, 224, 2048),
    ("resnet101", "resnet101", "resnet101-cd907fc2.pth", 170.53, 81.886, 224, 2048),
    ("resnet152", "resnet152", "resnet152-f82ba261.pth", 230.474, 82.284, 224, 2048),
    ("mobilenet_v2", "mobilenet_v2", "mobilenet_v2-7ebf99e0.pth", 13.598, 72.154, 224, 1280),
    ("mobilenet_v3_large", "mobilenet_v3_large", "mobilenet_v3_large-5c1a4163.pth", 21.107, 75.274, 224, 1280),
    ("mobilenet_v3_small", "mobilenet_v3_small", "mobilenet_v3_small-047dcff4.pth", 9.829, 67.668, 224, 1024),
    ("efficientnet_b0", "efficientnet_b0", "efficientnet_b0_rwightman-7f5810bc.pth", 20.451, 77.692, 224, 1280),
    ("efficientnet_b1", "efficientnet_b1", "efficientnet_b1-c27df63c.pth", 30.136, 79.838, 240, 1280),
    ("efficientnet_b2", "efficientnet_b2", "efficientnet_b2_rwightman-c35c1473.pth", 35.174, 80.608, 288, 1408),
    ("convnext_tiny", "convnext_tiny", "convnext_tiny-983f1562.pth", 109.119, 82.52, 224, 768),
    ("vit_b_16", "vit_b_16", "vit_b_16-c867db91.pth", 330.285, 81.072, 224, 768),
)


def _min_images(features: int) -> int:
    return -(-features // FEATURES_AN_IMAGE)


def _presets() -> dict[str, Preset]:
    half = (0.5, 0.5, 0.5)
    presets = [
        Preset(
            name="mobilenet_v2_imagenet",
            network="mobilenet_v2",
            file="mobilenet_v2_imagenet.safetensors",
            url=None,
            sha256="9d049a7f87bd151215a7477641df250f7ea3381f3b94df69151a8ae6922f7bba",
            bytes=7_147_282,
            source="github.com/google-coral/test_data @ 104342d2d348, tf2_mobilenet_v2_1.0_224_ptq.tflite, dequantised",
            licence=f"Apache-2.0; {IMAGENET_TERMS}",
            commercial=False,
            size=224,
            min_images=_min_images(1280),
            top1=77.5,
            arguments={"padding": "tensorflow"},
            classes=1001,
            mean=half,
            std=half,
        ),
        Preset(
            name="squeezenet1_0_imagenet",
            network="squeezenet1_0",
            file="squeezenet1_0_imagenet.safetensors",
            url=None,
            sha256="b1d1efae7821e73b38c830574413d938932fc7fb1cc78ab77793cae249ad1dac",
            bytes=2_502_200,
            source="github.com/songhan/SqueezeNet-Deep-Compression @ fb13faa2cf12, compressed_SqueezeNet.net, decoded",
            licence=f"BSD; {IMAGENET_TERMS}",
            commercial=False,
            size=224,
            min_images=_min_images(512),
            top1=54.2,
        ),
    ]
    for theirs, ours, file, mebibytes, top1, size, features in TORCHVISION:
        # GoogLeNet was trained on (x - 0.5) / 0.5, which torchvision makes from its usual form inside the network
        mean, std = (half, half) if theirs == "googlenet" else (IMAGENET_MEAN, IMAGENET_STD)
        presets.append(
            Preset(
                name=f"{theirs}_torchvision",
                network=ours,
                file=file,
                url=PUBLISHER + file,
                sha256=file.removesuffix(".pth").rpartition("-")[2],
                bytes=round(mebibytes * 2**20),
                source=f"torchvision.models.{theirs}, {PUBLISHER}{file}",
                licence=f"BSD-3-Clause; {IMAGENET_TERMS}",
                commercial=False,
                size=size,
                min_images=_min_images(features),
                top1=top1,
                arguments={"side_heads": False} if theirs == "googlenet" else {},
                mean=mean,
                std=std,
            )
        )
    return {preset.name: preset for preset in presets}


PRESETS = _presets()


def named(name: str) -> Preset:
    """The preset of this name.

    Raises:
        UsageError: there is none.
    """
    if name not in PRESETS:
        raise UsageError(f'there are no weights "{name}"', "", meant(name))
    return PRESETS[name]


def meant(name: str) -> str:
    """'Did you mean "resnet18_torchvision"?' for the nearest preset, or one of the network of this name."""
    of_network = [preset.name for preset in PRESETS.values() if preset.network == name]
    return f'Did you mean "{of_network[0]}"?' if of_network else did_you_mean(name, PRESETS)


def with_content(path: Path) -> Preset | None:
    """The preset that this file is, by its checksum alone: under whatever name, and wherever it lies."""
    stat = path.stat()
    digest = _digest(path, stat.st_size, stat.st_mtime_ns)
    return next((preset for preset in PRESETS.values() if digest.startswith(preset.sha256)), None)


@lru_cache(maxsize=16)
def _digest(path: Path, size: int, changed: int) -> str:
    """As `sha256`, but remembered in this process alone: nothing is written beside a file of the user's own."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


# -- where files lie --------------------------------------------------------------------------------------------


def cache_folder() -> Path:
    """$ORTHOGON_CACHE/weights; where that is unset, `orthogon/weights` in the system's folder for a user's caches."""
    said = os.environ.get("ORTHOGON_CACHE")
    if said:
        return Path(said).expanduser() / "weights"
    if sys.platform == "win32":
        base = Path(os.environ.get("LOCALAPPDATA") or Path.home() / "AppData" / "Local")
    elif sys.platform == "darwin":
        base = Path.home() / "Library" / "Caches"
    else:
        base = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return base / "orthogon" / "weights"


def sha256(path: Path) -> str:
    """Checksum of a file, in hexadecimal.

    It is computed once and remembered beside the file, for as long as the file's size and time of change stay the same.
    """
    stat = path.stat()
    beside = path.with_name(f"{path.name}.sha256.json")
    key = {"bytes": stat.st_size, "changed": stat.st_mtime_ns}
    with suppress(OSError, ValueError, AttributeError):
        known = json.loads(beside.read_text())
        if {name: known.get(name) for name in key} == key and isinstance(known.get("sha256"), str):
            return known["sha256"]
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    with suppress(OSError):  # a folder that only another user may write to
        beside.write_text(json.dumps(key | {"sha256": digest}))
    return digest


def find(preset: Preset) -> Path | None:
    """The preset's file in the cache folder; None where it is not there.

    Raises:
        DataError: a file of this name is there, but not of this content.
    """
    path = cache_folder() / preset.file
    if not path.is_file():
        return None
    _check(path, preset)
    return path


def _check(path: Path, preset: Preset, again: str = "") -> None:
    digest = sha256(path)
    if digest.startswith(preset.sha256):
        return
    size = path.stat().st_size
    short = f"; it has {size:,} of about {preset.bytes:,} bytes" if size < preset.bytes * 0.999 else ""
    raise DataError(
        f"this is not the published {preset.file}: its SHA-256 is {_like(digest, preset.sha256)}, "
        f"not {preset.sha256}{short}",
        str(path),
        again
        or (
            f"Delete it, then: orthogon weights get {preset.name}"
            if preset.url is not None
            else f"Delete it, or place a good copy there. It comes from {preset.source}."
        ),
    )


# -- how they come here -----------------------------------------------------------------------------------------


def get(preset: Preset, progress: Callable[[int, int | None], None] | None = None) -> Path:
    """The preset's file in the cache folder, downloaded where it is not there yet.

    A download that was cut goes on where it stopped, in this call and in the next one. The file gets its name only once
    its checksum is right.

    Args:
        progress: called with (bytes that are here, bytes of the whole file or None).
    Raises:
        OrthogonError: it has no public address, or the network fails; the message says what to place where.
        DataError: a file of this name is there, or came, with another content.
    """
    path = find(preset)
    if path is not None:
        return path
    path = cache_folder() / preset.file
    if preset.url is None:
        raise OrthogonError(
            f"{preset.file} has no public address",
            str(path),
            f"Place the file there. It comes from {preset.source}; its SHA-256 is {preset.sha256}.",
        )
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f"{path.name}.part")
    _download(preset, preset.url, part, progress or (lambda here, whole: None))
    try:
        _check(part, preset, f"It was removed. Try again, or tell who runs {preset.url} that the file is wrong.")
    except DataError:
        part.unlink(missing_ok=True)
        raise
    finally:
        part.with_name(f"{part.name}.sha256.json").unlink(missing_ok=True)
    part.replace(path)
    sha256(path)
    return path


def _download(preset: Preset, url: str, part: Path, progress: Callable[[int, int | None], None]) -> None:
    """Append to `part` until it is whole. A cut is forgiven as long as each connection brings something."""
    for tries_left in reversed(range(TRIES)):
        before = part.stat().st_size if part.is_file() else 0
        try:
            _receive(url, part, before, progress)
            return
        except _Cut as cut:
            here = part.stat().st_size if part.is_file() else 0
            if tries_left and here > before:
                continue
            kept = f" {here:,} bytes are kept." if here else ""
            raise OrthogonError(
                f"{preset.file} could not be downloaded: {cut}.{kept}",
                url,
                f"Try again: orthogon weights get {preset.name}\nWithout a network, fetch the file elsewhere and place "
                f"it as {part.with_suffix('')}",
            ) from cut


class _Cut(Exception):
    """The network or the server failed; the text says how."""


def _receive(url: str, part: Path, start: int, progress: Callable[[int, int | None], None]) -> None:
    """One connection: bytes from `start` on, or all of them where the server gives only those."""
    request = urllib.request.Request(url, headers={"User-Agent": "orthogon"})
    if start:
        request.add_header("Range", f"bytes={start}-")
    try:
        answer = urllib.request.urlopen(request, timeout=TIMEOUT)
    except urllib.error.HTTPError as error:
        error.close()
        if error.code == 416 and start:  # nothing lies beyond what is here: the checksum will tell
            return
        raise _Cut(f"the server answers {error.code} {error.reason}") from error
    except (OSError, HTTPException) as error:
        raise _Cut(str(getattr(error, "reason", error)) or type(error).__name__) from error
    with answer:
        resumed = answer.status == 206 and str(answer.headers.get("Content-Range")).startswith(f"bytes {start}-")
        here = start if resumed else 0
        length = answer.headers.get("Content-Length")
        whole = here + int(length) if length else None
        with part.open("ab" if resumed else "wb") as file:
            while True:
                try:
                    chunk = answer.read(CHUNK)
                except (OSError, HTTPException) as error:
                    raise _Cut(str(error) or type(error).__name__) from error
                if not chunk:
                    break
                file.write(chunk)
                here += len(chunk)
                progress(here, whole)
            file.flush()
            os.fsync(file.fileno())  # the bytes before the name
    if whole is not None and here < whole:
        raise _Cut(f"the connection ended after {here:,} of {whole:,} bytes")


# -- how a network takes them -----------------------------------------------------------------------------------


def load(network: nn.Module, path: str | Path) -> list[str]:
    """Put a file's tensors into a network of the same kind, in place and in the network's own precision.

    Where the network has another number of classes, or the file no last layer, its own (and those of side heads) stay
    as they are. Where it takes another number of channels C, each filter of the first convolution gets
    w_c = Σ_RGB w / C: it then sees a grey picture as it saw one whose three channels are equal.

    Args:
        path: safetensors, or a file that `torch.save` wrote: tensors by name, alone or beside plain values under one
            of CHECKPOINT_KEYS.
    Returns:
        What did not come from the file as it is, in sentences; empty where all did.
    Raises:
        DataError: no such file, not readable, or it holds other things than tensors, or tensors of what is no number.
        ShapeError: the weights are another network's; the first tensor that does not fit is named. The network is then
            left as it was.
    """
    import torch
    from torch import nn

    path = Path(path)
    given = _read(path)
    layers = [name for name, layer in network.named_modules() if isinstance(layer, nn.Linear | nn.Conv2d)]
    convolutions = [name for name, layer in network.named_modules() if isinstance(layer, nn.Conv2d)]
    heads = {f"{layer}.{part}" for layer in layers[-1:] for part in ("weight", "bias")}
    first = f"{convolutions[0]}.weight" if convolutions else ""
    own = network.state_dict()
    taken: dict[str, Tensor] = {}
    notes: list[str] = []
    for name, tensor in own.items():
        if name not in given:
            if name.endswith("num_batches_tracked"):  # files from before PyTorch 0.4.1 lack it
                continue
            if name.startswith(SIDE_HEADS) and not any(other.startswith(SIDE_HEADS) for other in given):
                if name.endswith("fc2.weight"):
                    notes.append(f"{name.partition('.')[0]} starts afresh: the file has no side heads")
                continue
            if name in heads and not heads & given.keys():  # of a backbone, as self-supervised training leaves it
                if name.endswith("weight"):
                    notes.append(f"{name.removesuffix('.weight')} starts afresh: the file has none")
                continue
            raise _misfit(network, path, f'tensor "{name}" ({_shape(tensor)}) is missing')
        new = given[name]
        if new.numel() == tensor.numel() == 1:  # a single number, which old files keep as a vector of one
            new = new.reshape(tensor.shape)
        last_of_side_head = name.startswith(SIDE_HEADS) and name.rpartition(".")[0].endswith("fc2")
        if new.shape != tensor.shape and new.shape[1:] == tensor.shape[1:] and (name in heads or last_of_side_head):
            if name.endswith("weight"):
                layer = name.removesuffix(".weight")
                notes.append(f"{layer} starts afresh: {len(new)} classes in the file, {len(tensor)} here")
            continue
        if (
            name == first
            and new.shape != tensor.shape
            and new.shape[:1] + new.shape[2:] == tensor.shape[:1] + tensor.shape[2:]
        ):
            channels = tensor.shape[1]
            notes.append(f"{convolutions[0]} is folded from {new.shape[1]} channels to {channels}")
            new = (new.double().sum(1, keepdim=True) / channels).expand_as(tensor)
        if new.shape != tensor.shape:
            raise _misfit(network, path, f'tensor "{name}" is {_shape(new)}, in the network {_shape(tensor)}')
        if new.is_floating_point() and not bool(torch.isfinite(new).all()):
            raise DataError(f'tensor "{name}" holds values that are no numbers', str(path), "Fetch or make it anew.")
        taken[name] = new
    surplus = sorted(name for name in given if name not in own and not name.startswith(SIDE_HEADS))
    if surplus:
        shape = _shape(given[surplus[0]])
        raise _misfit(network, path, f'tensor "{surplus[0]}" ({shape}) has no place in the network')
    with torch.no_grad():
        for name, new in taken.items():
            own[name].copy_(new)
    return notes


def names(path: Path) -> list[str]:
    """Names of the tensors in a safetensors file, read from its head alone; none where it is no such file."""
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, "pt") as tensors:
            return list(tensors.keys())
    except (SafetensorError, OSError):
        return []


def _read(path: Path) -> dict[str, Tensor]:
    if path.is_dir():
        raise DataError("this is a folder, not a file of weights", str(path), files_in(path))
    if not path.is_file():
        raise DataError("there is no such file of weights", str(path), did_you_mean_path(path))
    with path.open("rb") as file:
        head = file.read(16)
    if not head:
        raise DataError("this file is empty", str(path), "Fetch or copy it again.")
    if len(head) < 9:
        raise _cut_short(path, "it is too small to hold one")
    # by content: names are changed on the way
    if head[8:9] == b"{":
        return _of_safetensors(path)
    if not head.startswith((ZIP, PICKLE)):
        raise DataError(
            f"this is no file of weights: it begins with {head!r}",
            str(path),
            "Give safetensors, or what torch.save(network.state_dict(), FILE) wrote.",
        )
    return _of_torch(path)


def files_in(folder: Path) -> str:
    """What to do where a folder stands for a file of weights: name the file in it that was probably meant."""
    found = sorted(each for kind in ("safetensors", "pth", "pt", "bin") for each in folder.glob(f"*.{kind}"))
    return f'Did you mean "{found[0]}"?' if found else "Name the file itself."


def _of_safetensors(path: Path) -> dict[str, Tensor]:
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        return load_file(path)
    except (SafetensorError, ValueError, KeyError) as error:
        raise _cut_short(path, error) from error


def _cut_short(path: Path, why: Exception | str) -> DataError:
    first = re.split(r"\. |\n", str(why), maxsplit=1)[0].removesuffix(".") or type(why).__name__
    return DataError(
        f"this is no file of weights, or it is cut short or damaged: {first}",
        str(path),
        f"Fetch or copy it again, and compare the sizes: here {path.stat().st_size:,} bytes.",
    )


def _of_torch(path: Path) -> dict[str, Tensor]:
    """What `torch.save` wrote, nothing of it ever run."""
    import torch

    try:
        if zipfile.is_zipfile(path):
            with zipfile.ZipFile(path) as archive:
                changed = archive.testzip()  # PyTorch does not look at the checksums
            if changed is not None:
                raise _cut_short(path, f"{changed} in it is not what was written")
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of strange pickles; what is refused is told below
            found: Any = torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        # PyTorch's own words advise to load it without protection
        asked = re.search(r"GLOBAL ([\w.]+)", str(error))
        if asked is None:
            raise _cut_short(path, "it is not what torch.save writes of tensors") from error
        raise DataError(
            f"this file holds Python objects ({asked[1]}), not tensors alone: loading them could run code",
            str(path),
            "If it is yours, save its tensors alone: torch.save(network.state_dict(), FILE). If not, do not load it.",
        ) from error
    except (RuntimeError, EOFError, ValueError, KeyError, zipfile.BadZipFile) as error:
        raise _cut_short(path, error) from error
    found = _under_its_key(found)
    if not isinstance(found, dict) or not _all_tensors(found):
        raise _other_things(path, found)
    while prefix := next((each for each in WRAPPED if all(name.startswith(each) for name in found)), ""):
        found = {name.removeprefix(prefix): tensor for name, tensor in found.items()}
    return found


def _under_its_key(found: Any) -> Any:
    """A checkpoint's tensors, where one well-known key alone has any: which of several is meant, its owner knows."""
    if not isinstance(found, dict):
        return found
    inside = [key for key, value in found.items() if _all_tensors(value)]
    return found[inside[0]] if len(inside) == 1 and inside[0] in CHECKPOINT_KEYS else found


def _all_tensors(found: Any) -> bool:
    import torch

    return isinstance(found, dict) and bool(found) and all(isinstance(value, torch.Tensor) for value in found.values())


def _other_things(path: Path, found: Any) -> DataError:
    inside = [key for key, value in found.items() if _all_tensors(value)] if isinstance(found, dict) else []
    if not inside:
        return DataError(
            "this file holds other things than tensors by name",
            str(path),
            "Save the network's tensors alone: torch.save(network.state_dict(), FILE)",
        )
    key = next((each for each in CHECKPOINT_KEYS if each in inside), inside[0])
    others = [str(other) for other in found if other != key]
    beside = f", beside {', '.join(others[:3])}{' and others' if len(others) > 3 else ''}" if others else ""
    alone = path.with_name(f"{path.stem}-weights.pth")
    return DataError(
        f'this is a checkpoint: its tensors lie under "{key}"{beside}',
        str(path),
        f"""Save them alone: python -c "import torch; torch.save(torch.load('{path}')['{key}'], '{alone}')\"""",
    )


def _like(digest: str, short: str) -> str:
    """As much of a digest as is compared, at least 16 digits; marked where there is more of it."""
    kept = digest[: max(16, len(short))]
    return kept if kept == digest else f"{kept}…"


def _shape(tensor: Tensor) -> str:
    return " × ".join(map(str, tensor.shape)) or "a single number"


def _misfit(network: nn.Module, path: Path, what: str) -> ShapeError:
    name = network_in(path)
    remedy = "Take the weights of this very network." if name is None else f"They are the weights of {name}."
    kind = type(getattr(network, "network", network)).__name__  # the one inside, where pixels are normalised first
    return ShapeError(f"these are not the weights of this {kind}: {what}", str(path), remedy)


def network_in(path: Path) -> str | None:
    """The image network of the zoo that this file's tensors are of, by its checksum, or by their names and shapes.

    Its last layer and side heads may be for other classes. Of networks with the same tensors the first of the table.
    """
    import torch

    from orthogon.models import NETWORKS, builder, image_networks

    preset = with_content(path)
    if preset is not None:
        return preset.network
    given = {name.removeprefix("network."): tensor.shape for name, tensor in _read(path).items()}
    given = {name: shape for name, shape in given.items() if not name.startswith(SIDE_HEADS)}
    for name in image_networks():
        with torch.device("meta"):
            network = builder(name)(*NETWORKS[name][1], **NETWORKS[name][2])
        own = {key: tensor.shape for key, tensor in network.state_dict().items()}
        if given.keys() ^ own.keys() <= {"mean", "std"}:  # a run's own weights have them before the network
            other = [key for key, shape in own.items() if given.get(key, shape) != shape]
            if len(other) <= 2:  # weight and bias of the last layer
                return name
    return None
