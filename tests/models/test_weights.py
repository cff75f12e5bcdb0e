"""Weights come through one door: nothing enters under a wrong checksum, or into a network it was not made for."""

from __future__ import annotations

import hashlib
import json
import os
import pickle
import re
import shlex
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from orthogon import models
from orthogon.errors import DataError, OrthogonError, ShapeError, UsageError
from orthogon.models import NETWORKS, image_networks, weights
from orthogon.models.efficientnet import efficientnet_b0, efficientnet_b1
from orthogon.models.googlenet import googlenet_bn
from orthogon.models.mobilenet_v2 import mobilenet_v2
from orthogon.models.resnet import resnet18, resnet20, resnet32
from orthogon.models.squeezenet import squeezenet1_0, squeezenet1_1
from orthogon.models.weights import PRESETS, PUBLISHER, WRAPPED, Preset, find, get, load, named

CONTENT = bytes(range(256)) * 4096  # 1 MiB: four chunks of a download


# -- the table --------------------------------------------------------------------------------------------------


def builder(preset: Preset) -> Callable[..., nn.Module]:
    from importlib import import_module

    module, _, name = NETWORKS[preset.network][0].partition(":")
    return getattr(import_module(module), name)


@pytest.mark.system("arch.opensource")
@pytest.mark.parametrize("preset", PRESETS.values(), ids=list(PRESETS))
def test_every_preset_records_source_licence_and_hash(preset: Preset) -> None:
    assert PRESETS[preset.name] is preset
    assert preset.network in NETWORKS
    assert len(preset.source) > 20
    assert re.match(r"(Apache-2.0|BSD)", preset.licence)
    assert re.fullmatch(r"[0-9a-f]{8}|[0-9a-f]{64}", preset.sha256)
    assert not preset.commercial
    assert "non-commercial" in preset.licence
    assert preset.notice.endswith("Not for commercial use.")
    assert "commercial use" not in replace(preset, licence="MIT", commercial=True).notice


@pytest.mark.parametrize("preset", [p for p in PRESETS.values() if p.url], ids=lambda preset: preset.name)
def test_the_table_is_torchvisions_own(preset: Preset) -> None:
    from torchvision.models import get_model, get_model_weights

    theirs = get_model_weights(preset.name.removesuffix("_torchvision")).DEFAULT
    if preset.network == "vit_b_16":
        assert theirs.name == "IMAGENET1K_V1"
    meta, transforms = theirs.meta, theirs.transforms()
    assert preset.url == theirs.url == PUBLISHER + preset.file
    assert preset.file.endswith(f"-{preset.sha256}.pth")
    assert preset.bytes / 2**20 == pytest.approx(meta["_file_size"], abs=1e-3)
    assert preset.top1 == meta["_metrics"]["ImageNet-1K"]["acc@1"]
    assert preset.size == transforms.crop_size[0]
    assert preset.classes == len(meta["categories"])
    if preset.network != "googlenet_bn":
        assert [*preset.mean, *preset.std] == [*transforms.mean, *transforms.std]
    quick = {"init_weights": False} if preset.network == "googlenet_bn" else {}  # its own draws are slow
    with torch.device("meta"):
        ours = builder(preset)(num_classes=preset.classes, **preset.arguments)
        same = get_model(preset.name.removesuffix("_torchvision"), weights=None, **quick)
    there = {name: tensor.shape for name, tensor in same.state_dict().items() if not name.startswith("aux")}
    assert {name: tensor.shape for name, tensor in ours.state_dict().items()} == there
    assert sum(p.numel() for p in ours.parameters()) == meta["num_params"]


@pytest.mark.parametrize("preset", PRESETS.values(), ids=list(PRESETS))
def test_the_least_number_of_images_follows_from_the_features_of_the_head(preset: Preset) -> None:
    with torch.device("meta"):
        network = builder(preset)(num_classes=preset.classes, **preset.arguments)
    head = [layer for layer in network.modules() if isinstance(layer, nn.Linear | nn.Conv2d)][-1]
    assert head.weight.shape[0] == preset.classes
    assert preset.min_images == -(-head.weight.shape[1] // 10)


def test_googlenet_is_given_what_it_was_trained_on() -> None:
    """Torchvision normalises with ImageNet's figures and undoes it inside; the preset's figures do both at once."""
    torch.manual_seed(0)
    images = torch.rand(4, 3, 64, 64)
    # in training mode batch norm keeps the signal up through untrained layers
    inside, plain = (
        googlenet_bn(5, side_heads=False, dropout=0.0, transform_input=flag).double() for flag in (True, False)
    )
    plain.load_state_dict(inside.state_dict())
    usual, preset = named("resnet18_torchvision"), named("googlenet_torchvision")

    def normalised(by: Preset) -> Tensor:
        mean, std = (torch.tensor(part, dtype=torch.float64).reshape(3, 1, 1) for part in (by.mean, by.std))
        return (images - mean) / std

    with torch.no_grad():
        expected = inside(normalised(usual))
        torch.testing.assert_close(plain(normalised(preset)), expected, rtol=1e-9, atol=1e-9)
        assert not torch.allclose(plain(normalised(usual)), expected, rtol=1e-2)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["mobilenet_v2_imagenet", "squeezenet1_0_imagenet"])
def test_a_preset_holds_all_that_its_accuracy_needs(
    name: str, real_data: Path, photos: tuple[Tensor, Tensor], top1: Callable[..., float]
) -> None:
    preset = named(name)
    network = builder(preset)(num_classes=preset.classes, **preset.arguments)
    assert load(network, real_data / "pretrained" / preset.file) == []
    pixels, truth = photos
    mean, std = (torch.tensor(part).reshape(3, 1, 1) for part in (preset.mean, preset.std))
    reached = 100 * top1(network, (pixels / 255 - mean) / std, truth + preset.classes - 1000)
    assert reached == pytest.approx(preset.top1, abs=1.5)


def test_files_at_hand_are_the_presets(real_data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ORTHOGON_CACHE", str(tmp_path))
    (tmp_path / "weights").mkdir()
    for preset in (named("mobilenet_v2_imagenet"), named("squeezenet1_0_imagenet")):
        path = tmp_path / "weights" / preset.file
        path.symlink_to(real_data / "pretrained" / preset.file)
        assert find(preset) == get(preset) == path
        assert path.stat().st_size == preset.bytes


def test_a_wrong_name_is_answered_with_the_right_one() -> None:
    with pytest.raises(UsageError, match='Did you mean "resnet18_torchvision"'):
        named("resnet18")
    with pytest.raises(UsageError, match='"mobilnet_v2_imagenet"\nDid you mean "mobilenet_v2_imagenet"'):
        named("mobilnet_v2_imagenet")


# -- the cache --------------------------------------------------------------------------------------------------


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("ORTHOGON_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache" / "weights"


def preset_of(content: bytes, url: str | None = None) -> Preset:
    digest = hashlib.sha256(content).hexdigest()
    return replace(
        named("resnet18_torchvision"), name="net", file="net.pth", url=url, sha256=digest[:8], bytes=len(content)
    )


def put(cache: Path, content: bytes) -> Path:
    cache.mkdir(parents=True, exist_ok=True)
    path = cache / "net.pth"
    path.write_bytes(content)
    return path


def test_the_cache_is_where_it_is_said_to_be(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("ORTHOGON_CACHE", str(tmp_path))
    assert weights.cache_folder() == tmp_path / "weights"
    monkeypatch.delenv("ORTHOGON_CACHE")
    monkeypatch.setattr("sys.platform", "linux")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    assert weights.cache_folder() == tmp_path / "xdg" / "orthogon" / "weights"
    monkeypatch.delenv("XDG_CACHE_HOME")
    assert weights.cache_folder() == Path.home() / ".cache" / "orthogon" / "weights"


def test_a_checksum_is_computed_once_for_a_file_that_stays_the_same(
    cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    computed = []
    digest = hashlib.file_digest
    monkeypatch.setattr(hashlib, "file_digest", lambda file, kind: (computed.append(1), digest(file, kind))[1])
    preset = preset_of(CONTENT)
    assert find(preset) is None
    path = put(cache, CONTENT)
    assert find(preset) == find(preset) == path
    assert len(computed) == 1
    (cache / "net.pth.sha256.json").write_text("[]")
    assert find(preset) == path
    assert len(computed) == 2


def test_a_tampered_file_is_refused_also_after_it_was_right_once(cache: Path) -> None:
    preset = preset_of(CONTENT, "http://127.0.0.1:1/net.pth")
    path = put(cache, CONTENT)
    assert find(preset) == path
    before = path.stat()
    path.write_bytes(b"x" + CONTENT[1:])
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns + 1))
    for look in (find, get):
        with pytest.raises(DataError, match=r"not the published net\.pth") as told:
            look(preset)
        assert told.value.where == str(path)
        assert told.value.remedy == "Delete it, then: orthogon weights get net"
    with pytest.raises(DataError) as told:  # nothing could fetch it again
        find(preset_of(CONTENT))
    assert told.value.remedy.startswith("Delete it, or place a good copy there. It comes from torchvision")
    assert path.exists(), "it may be the user's own"


def test_a_truncated_file_is_refused_with_its_size(cache: Path) -> None:
    put(cache, CONTENT[:1000])
    with pytest.raises(DataError, match=r"it has 1,000 of about 1,048,576 bytes"):
        find(preset_of(CONTENT))


def test_a_checksum_is_marked_as_cut_only_where_it_is(cache: Path) -> None:
    put(cache, CONTENT[:1000])
    digest = hashlib.sha256(CONTENT[:1000]).hexdigest()
    with pytest.raises(DataError, match=f"SHA-256 is {digest}, not"):
        find(replace(preset_of(CONTENT), sha256=hashlib.sha256(CONTENT).hexdigest()))
    with pytest.raises(DataError, match=f"SHA-256 is {digest[:16]}…, not"):
        find(preset_of(CONTENT))


def test_what_has_no_public_address_is_asked_for(cache: Path) -> None:
    preset = named("mobilenet_v2_imagenet")
    with pytest.raises(OrthogonError, match="no public address") as told:
        get(preset)
    assert told.value.where == str(cache / preset.file)
    assert preset.sha256 in told.value.remedy
    assert preset.source in told.value.remedy


# -- the download -----------------------------------------------------------------------------------------------


@dataclass
class Server:
    """A server on this machine that fails as it is told to."""

    url: str = ""
    content: bytes = CONTENT
    cuts: list[int] = field(default_factory=list)  # bytes after which each coming answer breaks off
    status: int = 200
    ranges: bool = True
    asked: list[str | None] = field(default_factory=list)  # the Range of each request


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    state = Server()

    class Handler(BaseHTTPRequestHandler):
        def log_message(self, *_: Any) -> None:
            pass

        def do_GET(self) -> None:
            asked = self.headers.get("Range")
            state.asked.append(asked)
            if state.status != 200:
                self.send_error(state.status)
                return
            start = int(asked.removeprefix("bytes=").removesuffix("-")) if asked and state.ranges else 0
            if start and start >= len(state.content):
                self.send_error(416)
                return
            body = state.content[start:]
            self.send_response(206 if start else 200)
            if start:
                self.send_header("Content-Range", f"bytes {start}-{len(state.content) - 1}/{len(state.content)}")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body[: state.cuts.pop(0)] if state.cuts else body)

    http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    state.url = f"http://127.0.0.1:{http.server_port}/net.pth"
    thread = threading.Thread(target=http.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield state
    http.shutdown()
    thread.join()
    http.server_close()


def files(cache: Path) -> list[str]:
    return sorted(path.name for path in cache.iterdir())


def test_a_download_arrives_whole_and_only_once(server: Server, cache: Path) -> None:
    seen: list[tuple[int, int | None]] = []
    preset = preset_of(CONTENT, server.url)
    path = get(preset, lambda here, whole: seen.append((here, whole)))
    assert path == cache / "net.pth"
    assert path.read_bytes() == CONTENT
    assert seen[-1] == (len(CONTENT), len(CONTENT))
    assert [here for here, _ in seen] == sorted(here for here, _ in seen)
    assert get(preset) == path
    assert server.asked == [None]
    assert files(cache) == ["net.pth", "net.pth.sha256.json"]


def test_a_cut_download_goes_on_where_it_stopped(server: Server, cache: Path) -> None:
    server.cuts = [300_000, 100_000]
    seen: list[tuple[int, int | None]] = []
    path = get(preset_of(CONTENT, server.url), lambda here, whole: seen.append((here, whole)))
    assert path.read_bytes() == CONTENT
    assert server.asked == [None, "bytes=300000-", "bytes=400000-"]
    assert {whole for _, whole in seen} == {len(CONTENT)}


def test_a_download_that_stays_cut_is_kept_for_the_next_call(server: Server, cache: Path) -> None:
    server.cuts = [1000, 0]
    preset = preset_of(CONTENT, server.url)
    with pytest.raises(OrthogonError, match=r"ended after 1,000 of 1,048,576 bytes\. 1,000 bytes are kept") as told:
        get(preset)
    assert told.value.where == server.url
    assert f"place it as {cache / 'net.pth'}" in told.value.remedy
    assert find(preset) is None
    assert get(preset).read_bytes() == CONTENT
    assert server.asked == [None, "bytes=1000-", "bytes=1000-"]


def test_a_server_without_ranges_starts_again(server: Server, cache: Path) -> None:
    server.cuts, server.ranges = [300_000], False
    assert get(preset_of(CONTENT, server.url)).read_bytes() == CONTENT
    assert server.asked == [None, "bytes=300000-"]


def test_a_part_that_is_already_whole_is_taken(server: Server, cache: Path) -> None:
    put(cache, CONTENT).rename(cache / "net.pth.part")
    assert get(preset_of(CONTENT, server.url)).read_bytes() == CONTENT
    assert server.asked == [f"bytes={len(CONTENT)}-"]


@pytest.mark.parametrize("rest", [b"", CONTENT[:1000], CONTENT * 2], ids=["none", "of another file", "longer"])
def test_a_wrong_hash_is_refused_and_nothing_is_left(rest: bytes, server: Server, cache: Path) -> None:
    preset = preset_of(b"what was published", server.url)
    if rest:
        put(cache, rest).rename(cache / "net.pth.part")
    with pytest.raises(DataError, match=r"not the published net\.pth") as told:
        get(preset)
    assert "It was removed." in told.value.remedy
    assert server.url in told.value.remedy
    assert files(cache) == []


def test_after_a_part_of_another_file_the_next_call_begins_anew(server: Server, cache: Path) -> None:
    put(cache, b"old" * 1000).rename(cache / "net.pth.part")
    preset = preset_of(CONTENT, server.url)
    with pytest.raises(DataError):
        get(preset)
    assert get(preset).read_bytes() == CONTENT
    assert server.asked[-1] is None


def test_a_refusal_of_the_server_is_told(server: Server, cache: Path) -> None:
    server.status = 404
    with pytest.raises(OrthogonError, match=r"net\.pth could not be downloaded: the server answers 404 Not Found"):
        get(preset_of(CONTENT, server.url))


def test_without_a_network_file_place_and_address_are_named(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import socket

    def nowhere(*_: Any, **__: Any) -> None:
        raise socket.gaierror(-2, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", nowhere)
    for proxy in ("http_proxy", "https_proxy", "all_proxy", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
        monkeypatch.delenv(proxy, raising=False)
    preset = named("resnet18_torchvision")
    with pytest.raises(OrthogonError) as told:
        get(preset)
    assert "resnet18-f37072fd.pth could not be downloaded" in told.value.what
    assert "Name or service not known" in told.value.what
    assert told.value.where == "https://download.pytorch.org/models/resnet18-f37072fd.pth"
    assert f"place it as {cache / 'resnet18-f37072fd.pth'}" in told.value.remedy
    assert files(cache) == []


def test_a_file_address_is_read(cache: Path, tmp_path: Path) -> None:
    (tmp_path / "mirror.pth").write_bytes(CONTENT)
    assert get(preset_of(CONTENT, (tmp_path / "mirror.pth").as_uri())).read_bytes() == CONTENT


# -- into a network ---------------------------------------------------------------------------------------------


def stored(network: nn.Module, folder: Path, kind: str = "safetensors") -> Path:
    path = folder / f"net.{kind}"
    if kind == "safetensors":
        save_file(network.state_dict(), path)
    else:
        torch.save(network.state_dict(), path)
    return path


def random_(network: nn.Module) -> nn.Module:
    torch.manual_seed(1)
    with torch.no_grad():
        for tensor in network.state_dict().values():
            if tensor.is_floating_point():
                tensor.uniform_(0.5, 1.0)
    return network


@pytest.mark.parametrize("kind", ["safetensors", "pth"])
def test_tensors_arrive_as_they_are(kind: str, tmp_path: Path) -> None:
    theirs, ours = random_(resnet20()), resnet20()
    assert load(ours, stored(theirs, tmp_path, kind)) == []
    for name, tensor in theirs.state_dict().items():
        assert torch.equal(ours.state_dict()[name], tensor), name


def test_half_precision_becomes_the_networks_own(tmp_path: Path) -> None:
    theirs, ours = random_(resnet20()).half(), resnet20()
    load(ours, stored(theirs, tmp_path))
    assert {p.dtype for p in ours.parameters()} == {torch.float32}
    assert torch.equal(ours.fc.weight, theirs.fc.weight.float())


def test_files_from_before_batches_were_counted_are_taken(tmp_path: Path) -> None:
    state = random_(resnet20()).state_dict()
    old = {name: tensor for name, tensor in state.items() if not name.endswith("num_batches_tracked")}
    save_file(old, tmp_path / "net.safetensors")
    assert load(resnet20(), tmp_path / "net.safetensors") == []
    save_file(
        {name: tensor.reshape(tensor.shape or (1,)) for name, tensor in state.items()}, tmp_path / "one.safetensors"
    )
    assert load(resnet20(), tmp_path / "one.safetensors") == []


@pytest.mark.parametrize(
    ("build", "head", "of_file"),
    [(resnet20, "fc", 10), (squeezenet1_1, "classifier.1", 1000), (efficientnet_b0, "classifier.1", 1000)],
)
def test_another_number_of_classes_leaves_the_head_alone(
    build: Callable[..., nn.Module], head: str, of_file: int, tmp_path: Path
) -> None:
    theirs, ours = random_(build()), build(num_classes=7)
    before = {name: tensor.clone() for name, tensor in ours.state_dict().items()}
    notes = load(ours, stored(theirs, tmp_path))
    assert notes == [f"{head} starts afresh: {of_file} classes in the file, 7 here"]
    for name, tensor in ours.state_dict().items():
        source = before if name.startswith(f"{head}.") else theirs.state_dict()
        assert torch.equal(tensor, source[name]), name


def test_a_backbone_without_its_head_is_taken_and_half_a_head_is_not(tmp_path: Path) -> None:
    theirs, ours = random_(resnet20()), resnet20(num_classes=7)
    head = {name: tensor.clone() for name, tensor in ours.state_dict().items() if name.startswith("fc.")}
    state = {name: tensor for name, tensor in theirs.state_dict().items() if not name.startswith("fc.")}
    save_file(state, tmp_path / "backbone.safetensors")
    assert load(ours, tmp_path / "backbone.safetensors") == ["fc starts afresh: the file has none"]
    for name, tensor in ours.state_dict().items():
        assert torch.equal(tensor, (head | state)[name]), name
    save_file(state | {"fc.bias": theirs.state_dict()["fc.bias"]}, tmp_path / "half.safetensors")
    with pytest.raises(ShapeError, match=r'"fc\.weight" .* is missing'):
        load(resnet20(), tmp_path / "half.safetensors")


@pytest.mark.parametrize("channels", [1, 2, 5])
def test_other_channels_see_a_picture_of_equal_channels_as_colour_did(channels: int, tmp_path: Path) -> None:
    torch.manual_seed(0)
    theirs, ours = squeezenet1_1(7).eval(), squeezenet1_1(7, in_channels=channels).eval()
    notes = load(ours, stored(theirs, tmp_path))
    assert notes == [f"features.0 is folded from 3 channels to {channels}"]
    grey = torch.rand(2, 1, 48, 48)
    with torch.no_grad():
        expected = theirs(grey.expand(-1, 3, -1, -1))
        assert expected.std() > 1e-4
        torch.testing.assert_close(ours(grey.expand(-1, channels, -1, -1)), expected, rtol=1e-4, atol=1e-6)


def test_a_pickle_that_asks_for_code_is_refused_in_our_words(tmp_path: Path) -> None:
    """PyTorch's own message advises to load it without protection."""
    (tmp_path / "net.pth").write_bytes(pickle.dumps({"weight": print}, 2))
    with pytest.raises(DataError) as refused:
        load(resnet20(), tmp_path / "net.pth")
    assert refused.value.what == (
        "this file holds Python objects (print), not tensors alone: loading them could run code"
    )
    assert str(tmp_path / "net.pth") == refused.value.where
    assert "do not load it" in refused.value.remedy
    (tmp_path / "net.pth").write_bytes(pickle.dumps({"weight": print}, 4))  # not what torch.save writes at all
    with pytest.raises(DataError, match=r"damaged: it is not what torch\.save writes of tensors") as damaged:
        load(resnet20(), tmp_path / "net.pth")
    for told in (refused, damaged):
        assert "weights_only" not in str(told.value)


def test_a_changed_byte_or_number_is_found(tmp_path: Path) -> None:
    """A file of torch.save is an archive with checksums, at which PyTorch itself does not look."""
    path = stored(random_(resnet20()), tmp_path, "pth")
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    with pytest.raises(DataError, match=r"damaged: net/data/\d+ in it is not what was written"):
        load(resnet20(), path)
    broken = random_(resnet20())
    with torch.no_grad():
        broken.stages[1][0].conv1.weight[0, 0, 0, 0] = float("nan")
    with pytest.raises(DataError, match=r'tensor "stages\.1\.0\.conv1\.weight" holds values that are no numbers'):
        load(resnet20(), stored(broken, tmp_path))


def test_a_whole_pickled_network_is_told_how_to_save_its_tensors(tmp_path: Path) -> None:
    torch.save(resnet20(), tmp_path / "net.pth")
    with pytest.raises(DataError, match=r"holds Python objects \(orthogon\.models\.resnet\.SmallResNet\)") as refused:
        load(resnet20(), tmp_path / "net.pth")
    assert "save its tensors alone: torch.save(network.state_dict(), FILE)" in refused.value.remedy


@pytest.mark.parametrize("kind", ["safetensors", "pth"])
def test_a_file_is_read_by_its_content_whatever_its_name(kind: str, tmp_path: Path) -> None:
    theirs, ours = random_(resnet20()), resnet20()
    load(ours, stored(theirs, tmp_path, kind).rename(tmp_path / "net.bin"))
    assert torch.equal(ours.fc.weight, theirs.fc.weight)


@pytest.mark.parametrize("prefix", ["module.", "_orig_mod.", "model.", "net.", "backbone.", "model._orig_mod."])
def test_names_of_a_wrapped_network_are_unwrapped(prefix: str, tmp_path: Path) -> None:
    theirs, ours = random_(resnet20()), resnet20()
    torch.save({f"{prefix}{name}": tensor for name, tensor in theirs.state_dict().items()}, tmp_path / "net.pth")
    assert load(ours, tmp_path / "net.pth") == []
    assert torch.equal(ours.fc.weight, theirs.fc.weight)


def test_what_is_no_file_of_weights_at_all(tmp_path: Path) -> None:
    (tmp_path / "net.pth").write_text("<!DOCTYPE html> not found")
    with pytest.raises(DataError, match=r"this is no file of weights: it begins with b'<!DOCTYPE html> '") as told:
        load(resnet20(), tmp_path / "net.pth")
    assert told.value.where == str(tmp_path / "net.pth")
    assert "safetensors" in told.value.remedy
    (tmp_path / "net.pth").write_bytes(b"")
    with pytest.raises(DataError, match=r"this file is empty\nFetch or copy it again"):
        load(resnet20(), tmp_path / "net.pth")
    with pytest.raises(DataError, match=r"this is a folder, not a file of weights\nDid you mean .*net\.pth") as told:
        load(resnet20(), tmp_path)
    assert told.value.where == str(tmp_path)


def test_side_heads_of_a_file_are_left_out_or_taken(tmp_path: Path) -> None:
    path = stored(googlenet_bn(side_heads=True), tmp_path)
    assert load(googlenet_bn(side_heads=False), path) == []
    assert len(load(googlenet_bn(num_classes=5, side_heads=True), path)) == 3


@pytest.mark.parametrize(
    ("theirs", "ours", "first"),
    [
        (resnet20, resnet32, r'tensor "stages\.0\.3\.conv1\.weight" \(16 × 16 × 3 × 3\) is missing'),
        (resnet32, resnet20, r'tensor "stages\.0\.3\.bn1\.bias" \(16\) has no place in the network'),
        (squeezenet1_1, squeezenet1_0, r'"features\.0\.weight" is 64 × 3 × 3 × 3, in the network 96 × 3 × 7 × 7'),
        (efficientnet_b1, efficientnet_b0, r"has no place in the network"),
        (mobilenet_v2, squeezenet1_0, r'tensor "features\.0\.weight" \(96 × 3 × 7 × 7\) is missing'),
        (resnet18, resnet20, r'"conv1\.weight" is 64 × 3 × 7 × 7, in the network 16 × 3 × 3 × 3'),
    ],
)
def test_weights_of_another_network_are_refused_by_the_first_tensor_that_differs(
    theirs: Callable[..., nn.Module], ours: Callable[..., nn.Module], first: str, tmp_path: Path
) -> None:
    path, network = stored(theirs(num_classes=4), tmp_path), ours(num_classes=5)
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    with pytest.raises(ShapeError, match=first) as told:
        load(network, path)
    assert told.value.where == str(path)
    assert told.value.remedy == f"They are the weights of {theirs.__name__}."
    assert all(torch.equal(tensor, before[name]) for name, tensor in network.state_dict().items())


def test_a_published_file_in_the_wrong_network_is_told_by_its_content(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    preset, path = named("squeezenet1_1_torchvision"), tmp_path / "mine.pth"
    torch.save(squeezenet1_1().state_dict(), path)
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    monkeypatch.setitem(PRESETS, preset.name, replace(preset, sha256=digest[:8]))
    with pytest.raises(ShapeError, match=r"They are the weights of squeezenet1_1\."):
        load(squeezenet1_0(), path)
    other = tmp_path / preset.file  # the name tells nothing
    torch.save({"weight": torch.ones(3)}, other)
    with pytest.raises(ShapeError, match=r"Take the weights of this very network\."):
        load(squeezenet1_0(), other)


@pytest.mark.parametrize("kind", ["safetensors", "pth"])
@pytest.mark.parametrize("kept", [5, 3000])
def test_a_cut_file_is_no_file_of_weights(kind: str, kept: int, tmp_path: Path) -> None:
    path = stored(resnet20(), tmp_path, kind)
    path.write_bytes(path.read_bytes()[:kept])
    with pytest.raises(DataError, match=r"no file of weights, or it is cut short or damaged: [^.]+\n") as told:
        load(resnet20(), path)
    assert told.value.where == str(path)
    assert f"Fetch or copy it again, and compare the sizes: here {kept:,} bytes." == told.value.remedy


class Bomb:
    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, (os.environ["ORTHOGON_BOMB"],)


def test_code_in_a_file_is_never_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ORTHOGON_BOMB", str(tmp_path / "crater"))
    torch.save({"fc.weight": Bomb()}, tmp_path / "net.pth")
    with pytest.raises(DataError, match="loading them could run code"):
        load(resnet20(), tmp_path / "net.pth")
    assert not (tmp_path / "crater").exists()


@pytest.mark.parametrize("key", ["state_dict", "model_state_dict", "model"])
@pytest.mark.parametrize("prefix", ["", "model.", "model.module."])
def test_a_checkpoint_that_holds_one_network_is_taken(key: str, prefix: str, tmp_path: Path) -> None:
    theirs, ours = random_(resnet20()), resnet20()
    optimiser = {"state": {0: {"exp_avg": torch.ones(1)}}, "param_groups": [{"lr": 0.1}]}
    named_so = {f"{prefix}{name}": tensor for name, tensor in theirs.state_dict().items()}
    torch.save({"epoch": 3, key: named_so, "optimizer": optimiser}, tmp_path / "c.pt")
    assert load(ours, str(tmp_path / "c.pt")) == []
    assert torch.equal(ours.fc.weight, theirs.fc.weight)


def test_no_network_of_ours_has_the_names_that_are_taken_for_a_wrapping() -> None:
    for name in image_networks():
        with torch.device("meta"):
            network = models.builder(name)(*NETWORKS[name][1], **NETWORKS[name][2])
        for prefix in WRAPPED:
            assert not all(key.startswith(prefix) for key in network.state_dict()), (name, prefix)


@pytest.mark.parametrize("key", ["state_dict", "model", "net"])
def test_a_checkpoint_is_told_where_its_tensors_lie_and_the_advice_works(key: str, tmp_path: Path) -> None:
    theirs, ours = random_(resnet20()), resnet20()
    optimiser = {"state": {0: {"exp_avg": torch.ones(1)}}, "param_groups": [{"lr": 0.1}]}
    torch.save(
        {"epoch": 3, "ema": {"x": torch.ones(1)}, key: theirs.state_dict(), "optimizer": optimiser}, tmp_path / "c.pt"
    )
    with pytest.raises(DataError) as told:
        load(ours, tmp_path / "c.pt")
    if key == "net":  # no name that is known: the first of those that could be meant
        assert told.value.what.startswith('this is a checkpoint: its tensors lie under "ema"')
        return
    assert told.value.what == f'this is a checkpoint: its tensors lie under "{key}", beside epoch, ema, optimizer'
    assert told.value.where == str(tmp_path / "c.pt")
    command = shlex.split(told.value.remedy.removeprefix("Save them alone: "))
    assert command[:2] == ["python", "-c"]
    exec(command[2])
    assert load(ours, tmp_path / "c-weights.pth") == []
    assert torch.equal(ours.fc.weight, theirs.fc.weight)


@pytest.mark.parametrize("content", [[torch.ones(1)], {}, {"epoch": 3}, {"a": torch.ones(1), "epoch": 3}])
def test_a_file_of_other_things_is_refused(content: Any, tmp_path: Path) -> None:
    torch.save(content, tmp_path / "net.pth")
    with pytest.raises(DataError, match="other things than tensors by name") as told:
        load(resnet20(), tmp_path / "net.pth")
    assert "state_dict()" in told.value.remedy


def test_a_path_that_is_not_there_is_answered_with_the_nearest(tmp_path: Path) -> None:
    path = stored(resnet20(), tmp_path)
    with pytest.raises(DataError, match=re.escape(f'Did you mean "{path}"?')):
        load(resnet20(), tmp_path / "nett.safetensors")


# -- the verbs --------------------------------------------------------------------------------------------------


def test_the_list_says_what_is_here_and_what_is_damaged(cli, cache: Path) -> None:  # type: ignore[no-untyped-def]
    cache.mkdir(parents=True)
    (cache / named("resnet18_torchvision").file).write_bytes(b"x")
    code, out, _ = cli("weights", "list", "--json")
    told = json.loads(out)
    assert code == 0
    assert told["folder"] == str(cache)
    assert {row["name"]: row["here"] for row in told["weights"]} == {
        name: "damaged" if name == "resnet18_torchvision" else "no" for name in PRESETS
    }
    code, out, _ = cli("weights", "list")
    assert code == 0
    assert re.search(r"resnet18_torchvision +resnet18 +47 +69.8 +damaged +BSD-3-Clause", out)
    assert "non-commercial" in out


def test_get_says_where_whence_and_under_which_licence(  # type: ignore[no-untyped-def]
    cli, server: Server, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(PRESETS, "net", preset_of(CONTENT, server.url))
    code, out, err = cli("weights", "get", "net")
    assert (code, err) == (0, "")
    assert str(cache / "net.pth") in out
    assert hashlib.sha256(CONTENT).hexdigest() in out
    assert "BSD-3-Clause" in out
    assert "Not for commercial use." in out
    code, out, _ = cli("weights", "get", "net", "--json")
    told = json.loads(out)
    assert told["sha256"] == hashlib.sha256(CONTENT).hexdigest()
    assert told["path"] == str(cache / "net.pth")
    assert told["bytes"] == len(CONTENT)


def test_get_of_a_wrong_name_exits_with_2(cli, cache: Path) -> None:  # type: ignore[no-untyped-def]
    code, _, err = cli("weights", "get", "resnet18")
    assert code == 2
    assert 'Did you mean "resnet18_torchvision"?' in err


def test_describe_names_the_weights_of_a_network(cli) -> None:  # type: ignore[no-untyped-def]
    code, out, _ = cli("describe", "squeezenet1_0")
    assert code == 0
    for preset in (named("squeezenet1_0_imagenet"), named("squeezenet1_0_torchvision")):
        assert f"Pretrained weights {preset.name}: {preset.source}. {preset.licence}." in " ".join(out.split())
    _, out, _ = cli("describe", "squeezenet1_0", "--json")
    told = json.loads(out)["pretrained"]
    assert [row["name"] for row in told] == ["squeezenet1_0_imagenet", "squeezenet1_0_torchvision"]
