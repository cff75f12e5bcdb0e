"""Reading pictures: every format as one upright uint8 array, and bad files named, set aside, never fatal alone."""

from __future__ import annotations

import os
import struct
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from orthogon.data import images as module
from orthogon.data.config import DataConfig
from orthogon.data.images import ArrayImages, FolderImages, read_image_folder, read_new_images
from orthogon.data.split import make_splits
from orthogon.errors import ConfigError, DataError, OrthogonError, UsageError

# Left half red, right half blue, in 8 x 8 blocks, so that JPEG keeps the colours apart.
TWO_COLOURS = np.zeros((32, 64, 3), np.uint8)
TWO_COLOURS[:, :32] = (220, 30, 30)
TWO_COLOURS[:, 32:] = (30, 30, 220)
GREY = np.tile(np.arange(0, 256, 4, dtype=np.uint8), (32, 1))  # 32 x 64, dark on the left


def noise(seed: int, height: int = 24, width: int = 24) -> Image.Image:
    pixels = np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)
    return Image.fromarray(pixels)


def folder(root: Path, layout: dict[str, int]) -> Path:
    """Make layout[folder] different pictures in each folder."""
    seed = sum(map(ord, "".join(layout)))
    for name, count in layout.items():
        (root / name).mkdir(parents=True, exist_ok=True)
        for k in range(count):
            seed += 1
            noise(seed).save(root / name / f"{k:03d}.png")
    return root


def read(source: Path, **settings: Any) -> FolderImages:
    return read_image_folder(DataConfig(source=str(source), **settings))


def one(tmp_path: Path, name: str, picture: Image.Image, **options: Any) -> np.ndarray:
    """The array that a single file becomes, as RGB."""
    (tmp_path / "c").mkdir()
    picture.save(tmp_path / "c" / name, **options)
    return np.asarray(read(tmp_path)[0].input)


# -- formats ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "options", "tolerance"),
    [
        ("a.png", {}, 0),
        ("a.bmp", {}, 0),
        ("a.tiff", {}, 0),
        ("a.TIF", {"compression": "tiff_lzw"}, 0),
        ("a.webp", {"lossless": True}, 0),
        ("a.jpg", {"quality": 95, "subsampling": 0}, 6),
        ("a.JPEG", {"quality": 95, "progressive": True, "subsampling": 0}, 6),
        ("a.gif", {}, 3),
        ("a.ppm", {}, 0),
    ],
)
def test_every_format_gives_the_same_picture(tmp_path: Path, name: str, options: Any, tolerance: int) -> None:
    got = one(tmp_path, name, Image.fromarray(TWO_COLOURS), **options)
    assert got.shape == (32, 64, 3)
    assert got.dtype == np.uint8
    assert np.abs(got.astype(int) - TWO_COLOURS).max() <= tolerance


def test_modes_become_rgb_or_grey(tmp_path: Path) -> None:
    colour, grey = Image.fromarray(TWO_COLOURS), Image.fromarray(GREY)
    cases = {
        "palette": (colour.quantize(4), "a.png", TWO_COLOURS),
        "cmyk": (colour.convert("CMYK"), "a.tiff", TWO_COLOURS),
        "cmyk jpeg": (colour.convert("CMYK"), "a.jpg", TWO_COLOURS),
        "rgba": (colour.convert("RGBA"), "a.png", TWO_COLOURS),
        "grey": (grey, "a.png", GREY),
        "grey with alpha": (grey.convert("LA"), "a.png", GREY),
        "16 bits": (Image.fromarray(GREY.astype(np.uint16) * 257), "a.png", GREY),
        "16 bits tiff": (Image.fromarray(GREY.astype(np.uint16) * 257), "a.tiff", GREY),
        "32 bits": (Image.fromarray(GREY.astype(np.int32)), "a.tiff", GREY),
        "float 0..1": (Image.fromarray(GREY.astype(np.float32) / 255), "a.tiff", GREY),
        "one bit": (Image.fromarray(np.where(GREY > 127, 255, 0).astype(np.uint8)).convert("1"), "a.png", None),
    }
    for case, (picture, name, expected) in cases.items():
        (tmp_path / case).mkdir()
        got = one(tmp_path / case, name, picture)
        assert got.shape[2] == (3 if expected is TWO_COLOURS else 1), case
        if expected is None:
            assert set(np.unique(got)) == {0, 255}
        else:
            difference = np.abs(got.astype(int) - expected.reshape(got.shape))
            assert difference.max() <= (80 if case == "cmyk jpeg" else 3), case


def test_transparent_parts_become_white(tmp_path: Path) -> None:
    layers = np.dstack([TWO_COLOURS, np.full((32, 64), 255, np.uint8)])
    layers[:, :32, 3] = 0
    got = one(tmp_path, "a.png", Image.fromarray(layers))
    assert (got[:, :32] == 255).all()
    assert (got[:, 32:] == TWO_COLOURS[:, 32:]).all()


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("suffix", ["png", "jpg"])
def test_exif_turns_are_undone(tmp_path: Path, orientation: int, suffix: str) -> None:
    """Store the picture as a camera held that way would; `TURNS` of the stored one must be the original."""
    stored = Image.fromarray(TWO_COLOURS)
    if orientation > 1:
        back = {6: Image.Transpose.ROTATE_90, 8: Image.Transpose.ROTATE_270}
        stored = stored.transpose(back.get(orientation, module.TURNS[orientation]))
    exif = Image.Exif()
    exif[0x0112] = orientation
    got = one(tmp_path, f"a.{suffix}", stored, exif=exif, **({"quality": 95} if suffix == "jpg" else {}))
    assert got.shape == (32, 64, 3)
    assert got[:, :24, 0].min() > 180
    assert got[:, 40:, 2].min() > 180
    small = read(tmp_path).load(0, 16, resize="squash")
    assert small[:, :6, 0].min() > 180


def test_an_animation_is_its_first_frame(tmp_path: Path) -> None:
    frames = [Image.new("RGB", (8, 8), colour) for colour in ("red", "green", "blue")]
    got = one(tmp_path, "a.gif", frames[0], save_all=True, append_images=frames[1:])
    assert (got == (255, 0, 0)).all()


def test_a_folder_is_grey_only_when_every_picture_is(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    Image.fromarray(GREY).save(tmp_path / "a" / "1.png")
    Image.fromarray(GREY).save(tmp_path / "b" / "1.jpg")
    grey = read(tmp_path)
    assert (grey.channels, grey.pixels(8).shape) == (1, (2, 8, 8, 1))
    Image.fromarray(TWO_COLOURS).save(tmp_path / "b" / "2.png")
    mixed = read(tmp_path)
    assert (mixed.channels, mixed[0].input.shape) == (3, (32, 64, 3))


def test_a_picture_of_one_pixel_and_mixed_sizes_work(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    for k, size in enumerate([(1, 1), (1, 300), (300, 2), (40, 40)]):
        noise(k, *size).save(tmp_path / "a" / f"{k}.png")
    for resize in ("crop", "squash"):
        assert read(tmp_path).pixels(16, resize=resize).shape == (4, 16, 16, 3)


def test_crop_keeps_the_middle_and_squash_keeps_everything(tmp_path: Path) -> None:
    wide = np.zeros((32, 96, 3), np.uint8)
    wide[:, 32:64] = 255
    (tmp_path / "a").mkdir()
    Image.fromarray(wide).save(tmp_path / "a" / "1.png")
    examples = read(tmp_path)
    assert (examples.load(0, 8)[:, 1:-1] == 255).all()
    squashed = examples.load(0, 9, resize="squash")
    assert (squashed[:, :2].max(), squashed[:, 4].min()) == (0, 255)
    inside = ArrayImages(wide[None], ["x"])
    assert (inside.load(0, 8) == examples.load(0, 8)).all()
    assert inside.pixels(8, channels=1).shape == (1, 8, 8, 1)


# -- layouts ------------------------------------------------------------------------------------------------------


def test_class_folders(tmp_path: Path) -> None:
    examples = read(folder(tmp_path, {"dog": 2, "cat": 3}))
    assert examples.targets().tolist() == ["cat"] * 3 + ["dog"] * 2
    assert examples.reason == "5 pictures in 2 classes: each folder is a class"
    assert str(examples[0].origin) == str(tmp_path / "cat" / "000.png")
    assert examples.given_split is None


def test_folders_inside_class_folders_and_wrappers_around_them(tmp_path: Path) -> None:
    folder(tmp_path, {"archive/photos/cat/2020": 1, "archive/photos/cat/2021": 2, "archive/photos/dog": 1})
    assert read(tmp_path).targets().tolist() == ["cat", "cat", "cat", "dog"]


@pytest.mark.parametrize("dev", ["dev", "val", "Validation"])
def test_train_dev_and_test_folders_are_the_users_split(tmp_path: Path, dev: str) -> None:
    folder(tmp_path, {"train/a": 4, "train/b": 4, f"{dev}/a": 1, f"{dev}/b": 1, "test/a": 2, "test/b": 2})
    examples = read(tmp_path)
    assert examples.given_split is not None
    splits = make_splits(examples, DataConfig(source=str(tmp_path)), examples.labels)
    assert splits.sizes() == {"train": 8, "dev": 2, "test": 4}
    assert {examples[int(i)].origin.file.split(os.sep)[-3] for i in splits["dev"]} == {dev}


def test_a_test_folder_without_classes_is_left_out_with_a_note(tmp_path: Path) -> None:
    folder(tmp_path, {"train/a": 4, "train/b": 4, "test": 3})
    examples = read(tmp_path)
    assert len(examples) == 8
    (note,) = examples.notes
    assert (note.code, note.count) == ("unlabelled-part", 3)
    assert "orthogon predict" in note.remedy


def test_separate_dev_and_test_sources(tmp_path: Path) -> None:
    a, b = folder(tmp_path / "one", {"a": 3, "b": 3}), folder(tmp_path / "two", {"a": 1, "b": 1})
    examples = read(a, test_source=str(b))
    assert examples.given_split is not None
    assert examples.given_split.tolist() == [""] * 6 + ["test"] * 2


@pytest.mark.parametrize("given", ["folder", "file"])
def test_a_manifest_names_label_split_group_and_domain(tmp_path: Path, given: str) -> None:
    folder(tmp_path, {"files": 4})
    (tmp_path / "labels.csv").write_text(
        "\ufeffFile,Label,split,group,domain\n"
        "files/000.png,cat,train,ann,web\nfiles/001.png,dog,val,bob,web\n"
        "\nfiles/002.png,cat,test,,app\nfiles/003.png,dog,,ann,app\nfiles/009.png,dog,,,\n",
        "utf-8",
    )
    examples = read(tmp_path if given == "folder" else tmp_path / "labels.csv", max_bad=0.5)
    assert examples.targets().tolist() == ["cat", "dog", "cat", "dog"]
    assert examples.given_split.tolist() == ["train", "dev", "test", ""]  # type: ignore[union-attr]
    assert examples.groups.tolist() == ["ann", "bob", None, "ann"]  # type: ignore[union-attr]
    assert examples.domains.tolist() == ["web", "web", "app", "app"]  # type: ignore[union-attr]
    ((origin, why),) = examples.set_aside
    assert str(origin).endswith("labels.csv, row 7")
    assert why == 'names the file "files/009.png", which does not exist'


def test_a_manifest_may_leave_out_the_one_folder_its_pictures_lie_in(tmp_path: Path) -> None:
    folder(tmp_path, {"images": 2, "other": 1})
    manifest = tmp_path / "labels.csv"
    manifest.write_text("file,label\n001.png,dog\n000.png,cat\n")  # 000.png lies in both
    examples = read(tmp_path, max_bad=0.5)
    assert examples.targets().tolist() == ["dog"]
    assert [why for _, why in examples.set_aside] == ['names the file "000.png", which does not exist']
    (tmp_path / "other").rename(tmp_path / "images" / "other")
    assert read(tmp_path).targets().tolist() == ["dog", "cat"]


def test_manifest_errors_name_value_place_and_remedy(tmp_path: Path) -> None:
    manifest = tmp_path / "labels.csv"
    manifest.write_text("path,colour\nx.png,red\n")
    with pytest.raises(DataError, match="no column label; it has path, colour") as caught:
        read(tmp_path)
    assert caught.value.where == f"{manifest}, row 1"
    assert "path,label" in caught.value.remedy
    assert "--target colour" in caught.value.remedy
    with pytest.raises(DataError, match='no column "color"') as asked:
        read(manifest, format="images", target="color")
    assert 'Did you mean "colour"?' in asked.value.remedy
    manifest.write_text("path,label\n")
    with pytest.raises(DataError, match="lists no picture"):
        read(tmp_path)
    manifest.write_bytes(b"path,label\n\xff\xfe,x\n")
    with pytest.raises(DataError, match="not readable as text") as binary:
        read(tmp_path)
    assert "data.encoding" in binary.value.remedy


@pytest.mark.parametrize("key", ["dev_source", "test_source"])
def test_a_typo_in_the_path_of_another_part_names_what_lies_beside_it(tmp_path: Path, key: str) -> None:
    root = folder(tmp_path / "photos", {"a": 3, "b": 3})
    folder(tmp_path / "extra", {"a": 1, "b": 1})
    with pytest.raises(UsageError, match=r'no file or folder called ".*extr"') as caught:
        read(root, **{key: str(tmp_path / "extr")})
    assert caught.value.where == f"data.{key}"
    assert caught.value.remedy == f'Did you mean "{tmp_path / "extra"}"?'


@pytest.mark.parametrize(
    ("settings", "remedy"),
    [
        ({"target": "a"}, "the class that a folder names"),
        ({"group": "person"}, "with the columns path, label and person"),
        ({"domain": "camera"}, "with the columns path, label and camera"),
        ({"ignore": ("a",)}, "move its folder elsewhere"),
        ({"types": {"a": "id"}}, "Leave it out"),
        ({"columns": ("a",)}, "Leave it out"),
        ({"time": "a"}, "Leave it out"),
    ],
)
def test_what_names_a_column_is_refused_where_there_is_none(
    tmp_path: Path, settings: dict[str, Any], remedy: str
) -> None:
    (key,) = settings
    root = folder(tmp_path, {"a": 3, "b": 3})
    with pytest.raises(ConfigError, match=f"data.{key} names .* has no columns") as caught:
        read(root, **settings)
    assert caught.value.where == str(root)
    assert remedy in caught.value.remedy


def test_a_manifest_refuses_the_columns_it_does_not_read(tmp_path: Path) -> None:
    folder(tmp_path, {"files": 1})
    (tmp_path / "labels.csv").write_text("path,label,day\nfiles/000.png,cat,1\n")
    with pytest.raises(ConfigError, match=r'data\.time names "day"') as caught:
        read(tmp_path, time="day")
    assert caught.value.where == str(tmp_path / "labels.csv")
    assert caught.value.remedy == "Leave data.time out."


def test_a_misspelt_split_folder_is_no_class(tmp_path: Path) -> None:
    root = folder(tmp_path / "typo", {"trian/a": 3, "trian/b": 3, "test/a": 1, "test/b": 1})
    with pytest.raises(DataError, match='"trian" lies beside "test"') as caught:
        read(root)
    assert caught.value.where == str(root / "trian")
    assert 'Did you mean "train"?' in caught.value.remedy
    third = folder(tmp_path / "third", {"train/a": 30, "test/a": 30, "train/b": 30, "test/b": 30, "vaild/a": 1})
    ((_, why),) = read(third).set_aside
    assert why == 'lies outside the folders test, train (is "vaild" meant to be "valid"?)'
    classes = folder(tmp_path / "classes", {"brain": 2, "test": 2})  # two classes, whose names are what they are
    assert set(read(classes).targets()) == {"brain", "test"}


# -- bad input ----------------------------------------------------------------------------------------------------


def bomb() -> bytes:
    """A PNG of 70 bytes that says it is 30,000 x 30,000."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    head = struct.pack(">IIBBBBB", 30_000, 30_000, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(b"\0")) + chunk(b"IEND", b"")


def truncated(suffix: str, tmp_path: Path) -> bytes:
    path = tmp_path / f"whole{suffix}"
    noise(0, 64, 64).save(path)
    data = path.read_bytes()
    path.unlink()
    return data[: len(data) // 2]


def test_bad_files_are_set_aside_with_the_reason_and_nothing_of_the_users_changes(tmp_path: Path) -> None:
    root = folder(tmp_path / "photos", {"a": 60, "b": 60})
    bad = {
        "empty.jpg": (b"", "is empty (0 bytes)"),
        "cut.jpg": (truncated(".jpg", tmp_path), "is cut off"),
        "cut.png": (truncated(".png", tmp_path), "is "),
        "text.jpg": (b"Dear diary,\nthis is no picture.\n", "is text, not a picture"),
        "bomb.png": (bomb(), "is too large to decode safely"),
        "junk.gif": (bytes(range(200, 256)) * 3, "is not a picture in a known format"),
    }
    for name, (data, _) in bad.items():
        (root / "a" / name).write_bytes(data)
    (root / "b" / "gone.jpg").symlink_to(tmp_path / "nowhere.jpg")
    before = {path: path.read_bytes() for path in root.rglob("*") if path.is_file()}
    examples = read(root, max_bad=0.06)
    assert len(examples) == 120
    reasons = {Path(origin.file).name: why for origin, why in examples.set_aside}
    assert set(reasons) == {*bad, "gone.jpg"}
    for name, (_, why) in bad.items():
        assert reasons[name].startswith(why), reasons[name]
    assert reasons["gone.jpg"] == "cannot be opened: No such file or directory"
    assert {path: path.read_bytes() for path in root.rglob("*") if path.is_file()} == before

    with pytest.raises(DataError, match=r"7 of 127 pictures cannot be used \(limit 5%\)") as caught:
        read(root)
    assert "bomb.png is too large" in caught.value.what
    assert "; and 2 more" in caught.value.what
    assert caught.value.where == str(root)
    assert "data.max_bad" in caught.value.remedy


def test_an_unreadable_file_is_set_aside(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root = folder(tmp_path, {"a": 30, "b": 1})

    def refuse(path: Path) -> bytes:
        if path.name == "000.png" and path.parent.name == "a":
            raise PermissionError(13, "Permission denied")
        return plain(path)

    plain = Path.read_bytes
    monkeypatch.setattr(Path, "read_bytes", refuse)  # root may read everything, so chmod would prove nothing
    ((origin, why),) = read(root).set_aside
    assert (Path(origin.file).name, why) == ("000.png", "cannot be opened: Permission denied")


def test_a_link_that_leads_back_is_followed_once(tmp_path: Path) -> None:
    root = folder(tmp_path, {"a": 2, "b": 2})
    (root / "a" / "loop").symlink_to(root)
    (root / "b" / "self").symlink_to(root / "b")
    assert len(read(root)) == 4
    real = folder(tmp_path.parent / f"{tmp_path.name}-elsewhere", {"c": 2})
    (root / "c").symlink_to(real / "c")  # a class that lies elsewhere is read
    assert set(read(root).targets()) == {"a", "b", "c"}


def test_what_no_class_has_is_told(tmp_path: Path) -> None:
    root = folder(tmp_path, {"cat": 3, "dog": 3})
    assert read(root).notes == []
    (root / "empty").mkdir()
    (root / ".git").mkdir()
    (root / "bird").mkdir()
    for name in ("bird/1.HEIC", "bird/2.heic", "cat/3.svg", "cat/notes.txt"):
        (root / name).write_bytes(b"x")
    (root / "cat" / "deeper").mkdir()  # an empty folder inside a class takes nothing away
    unread, empty = read(root).notes
    assert (unread.code, unread.count) == ("pictures-not-read", 3)
    assert "2 .heic, 1 .svg" in unread.message
    assert "JPEG" in unread.remedy
    assert (empty.code, empty.count) == ("class-without-pictures", 2)
    assert '"bird", "empty"' in empty.message
    assert [Path(place).name for place in empty.places] == ["bird", "empty"]


def test_a_class_that_a_part_lacks_is_told(tmp_path: Path) -> None:
    root = folder(tmp_path, {"train/a": 3, "train/b": 3, "val/a": 2})
    (root / "val" / "b").mkdir()
    (note,) = read(root).notes
    assert (note.code, [Path(place).parts[-2:] for place in note.places]) == ("class-without-pictures", [("val", "b")])


def test_hidden_files_and_what_systems_leave_are_ignored(tmp_path: Path) -> None:
    root = folder(tmp_path, {"a": 2, "b": 2, ".cache/x": 1, "__MACOSX/a": 1})
    for name in ("Thumbs.db", ".DS_Store", "desktop.ini", "._000.png", "notes.txt"):
        (root / "a" / name).write_bytes(b"x")
    examples = read(root)
    assert (len(examples), examples.set_aside) == (4, [])


def test_a_picture_outside_the_class_folders_is_set_aside(tmp_path: Path) -> None:
    root = folder(tmp_path, {"a": 20, "b": 20, ".": 1})
    ((origin, why),) = read(root).set_aside
    assert (Path(origin.file).name, why) == ("000.png", "lies in no class folder")


def test_folders_without_pictures_or_classes_say_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="There is no picture here") as empty:
        read(tmp_path)
    assert empty.value.where == str(tmp_path)
    assert "one folder per class" in empty.value.remedy
    (tmp_path / "a.heic").write_bytes(b"x")
    with pytest.raises(DataError, match=r"only 1 \.heic"):
        read(tmp_path)
    folder(tmp_path, {".": 3})
    with pytest.raises(DataError, match="3 pictures lie in no class folder") as flat:
        read(tmp_path)
    assert "manifest.csv" in flat.value.remedy


def test_a_file_that_goes_bad_later_is_named(tmp_path: Path) -> None:
    examples = read(folder(tmp_path, {"a": 2, "b": 2}))
    (tmp_path / "a" / "000.png").write_bytes(b"x")
    with pytest.raises(DataError, match="can no longer be read") as caught:
        examples.load(0, 8)
    assert caught.value.where.endswith("000.png")
    assert "Bring it back" in caught.value.remedy


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    data=st.binary(max_size=400),
    head=st.sampled_from(
        [b"", b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff\xe0", b"GIF89a", b"BM", b"II*\0", b"RIFF\0\0\0\0WEBP"]
    ),
    suffix=st.sampled_from([".png", ".jpg", ".gif", ".bmp", ".tif", ".webp", ".ppm"]),
)
def test_garbage_is_refused_never_a_crash(tmp_path: Path, data: bytes, head: bytes, suffix: str) -> None:
    (tmp_path / "a").mkdir(exist_ok=True)
    path = tmp_path / "a" / f"x{suffix}"
    path.write_bytes(head + data)
    try:
        examples = read(tmp_path)
        examples.pixels(8)
    except OrthogonError as error:
        assert error.where  # noqa: PT017
        assert error.remedy  # noqa: PT017
    finally:
        path.unlink()


@settings(max_examples=50, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(flips=st.lists(st.tuples(st.integers(0, 5000), st.integers(0, 255)), min_size=1, max_size=12))
@pytest.mark.parametrize("suffix", [".jpg", ".png", ".gif", ".webp", ".tiff"])
def test_damaged_pictures_are_refused_never_a_crash(tmp_path: Path, suffix: str, flips: list[tuple[int, int]]) -> None:
    (tmp_path / "a").mkdir(exist_ok=True)
    path = tmp_path / "a" / f"x{suffix}"
    exif = Image.Exif()
    exif[0x0112] = 6
    noise(1, 16, 20).save(path, **({} if suffix == ".gif" else {"exif": exif}))
    data = bytearray(path.read_bytes())
    for place, value in flips:
        data[place % len(data)] = value
    path.write_bytes(data)
    try:
        assert read(tmp_path).pixels(8).shape == (1, 8, 8, 3)
    except OrthogonError as error:
        assert "x" + suffix in str(error)  # noqa: PT017


# -- keys, views, cache -------------------------------------------------------------------------------------------


def test_fingerprints_tell_content_labels_and_order_apart(tmp_path: Path) -> None:
    one = read(folder(tmp_path / "1", {"a": 2, "b": 2}))
    prints = {one.fingerprint(), one.take([1, 0, 2, 3]).fingerprint(), one.take([0, 1, 2]).fingerprint()}
    (tmp_path / "2").mkdir()
    os.rename(tmp_path / "1" / "a", tmp_path / "2" / "c")
    os.rename(tmp_path / "1" / "b", tmp_path / "2" / "d")
    renamed = read(tmp_path / "2")
    assert len({*prints, renamed.fingerprint()}) == 4
    assert renamed.content_keys().tolist() == one.content_keys().tolist()
    arrays = ArrayImages(np.arange(48, dtype=np.uint8).reshape(3, 4, 4), ["a", "b", "a"])
    assert arrays.fingerprint() == arrays.take([0, 1, 2]).fingerprint() != arrays.take([0, 2, 1]).fingerprint()
    assert len(set(arrays.content_keys().tolist())) == 3
    assert arrays.take([1, 1]).content_keys().tolist() == [arrays.content_keys()[1]] * 2


def test_views_keep_labels_columns_and_origins(tmp_path: Path) -> None:
    folder(tmp_path, {"train/a": 2, "train/b": 2, "test/a": 1, "test/b": 1})
    examples = read(tmp_path)
    view = examples.take([5, 0]).take([1])
    assert view[0].origin == examples[0].origin
    assert view.given_split.tolist() == [examples.given_split[0]]  # type: ignore[union-attr, index]
    arrays = ArrayImages(np.zeros((3, 2, 2), np.uint8), ["a", "b", None], name="digits")
    assert (arrays[2].target, str(arrays.take([2])[0].origin)) == (None, "digits, picture 3")


def test_arrays_of_another_shape_are_refused() -> None:
    with pytest.raises(DataError, match=r"float64 of shape \(2, 4, 4, 1\)") as caught:
        ArrayImages(np.zeros((2, 4, 4)))
    assert "uint8" in caught.value.remedy
    with pytest.raises(DataError, match="2 pictures have 1 labels"):
        ArrayImages(np.zeros((2, 4, 4), np.uint8), ["a"])


def test_the_cache_gives_the_same_pixels_without_the_files(tmp_path: Path) -> None:
    root, cache = folder(tmp_path / "photos", {"a": 5, "b": 5}), tmp_path / "cache"
    config = DataConfig(source=str(root))
    plain = read_image_folder(config).pixels(12)
    assert np.array_equal(read_image_folder(config, cache).pixels(12), plain)
    again = read_image_folder(config, cache)
    view = again.take([7, 2])
    again.build_cache(12)
    for path in root.rglob("*.png"):
        path.unlink()
    assert np.array_equal(again.pixels(12), plain)
    assert np.array_equal(view.pixels(12), plain[[7, 2]])
    assert np.array_equal(view.load(0, 12), plain[7])
    assert not [path for path in cache.iterdir() if path.name.startswith(".")]


def test_the_cache_knows_a_changed_file(tmp_path: Path) -> None:
    root, cache = folder(tmp_path / "photos", {"a": 2, "b": 2}), tmp_path / "cache"
    before = read_image_folder(DataConfig(source=str(root)), cache)
    before.pixels(8)
    noise(99, 30, 30).save(root / "a" / "000.png")
    after = read_image_folder(DataConfig(source=str(root)), cache)
    assert before.content_keys()[0] != after.content_keys()[0]
    with pytest.raises(DataError, match="it has changed"):
        before.pixels(16)  # else another folder's pixels would be kept under this one's name
    assert not np.array_equal(before.pixels(8)[0], after.pixels(8)[0])


def test_a_full_disk_only_costs_the_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*args: Any, **options: Any) -> None:
        raise OSError(28, "No space left on device")

    root = folder(tmp_path / "photos", {"a": 2, "b": 2})
    monkeypatch.setattr(np.lib.format, "open_memmap", full)
    monkeypatch.setattr(np, "savez", full)
    examples = read_image_folder(DataConfig(source=str(root)), tmp_path / "cache")
    assert examples.pixels(8).shape == (4, 8, 8, 3)
    assert list((tmp_path / "cache").iterdir()) == []


# -- new pictures -------------------------------------------------------------------------------------------------


def test_new_pictures_come_in_chunks_and_bad_ones_are_set_aside(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "NEW_PER_CHUNK", 4)
    folder(tmp_path, {"x/y": 5, ".": 3})
    (tmp_path / "0bad.png").write_bytes(b"no")
    chunks = list(read_new_images(str(tmp_path), DataConfig(source="photos")))
    assert [len(chunk) for chunk in chunks] == [3, 4, 1]
    assert all(target is None for chunk in chunks for target in chunk.targets())
    assert [Path(origin.file).name for chunk in chunks for origin, _ in chunk.set_aside] == ["0bad.png"]
    (single,) = read_new_images(str(tmp_path / "000.png"), DataConfig(source="photos"))
    assert len(single) == 1
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match="There is no picture here"):
        list(read_new_images(str(tmp_path / "empty"), DataConfig(source="photos")))


# -- real folders -------------------------------------------------------------------------------------------------

DATA = os.environ.get("ORTHOGON_DATA")


@pytest.mark.skipif(DATA is None, reason="ORTHOGON_DATA is not set")
@pytest.mark.parametrize(
    ("name", "classes", "sizes"),
    [("clothing", 10, [1435, 341, 372]), ("sign_digits", 10, None)],
)
def test_real_folders(name: str, classes: int, sizes: list[int] | None) -> None:
    examples = read(Path(str(DATA)) / name)
    assert len(set(examples.labels)) == classes
    assert examples.set_aside == []
    if sizes is None:
        assert (len(examples), examples.given_split) == (2059, None)
    else:
        counts = [int((examples.given_split == part).sum()) for part in ("train", "dev", "test")]
        assert counts == sizes
