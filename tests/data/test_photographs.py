"""Photographs: what is found, what decodes to what, packs that survive, and crops."""

import io
import os
import struct
import zlib
from contextlib import contextmanager

import numpy as np
import pytest
import torch
from PIL import Image

from aesthlib.data import packing
from aesthlib.data.photographs import Source, UnreadableImage, decode, find, load, pack
from aesthlib.store import files

EDGE = 24  # px, of the packs here


def as_image(photograph):
    return Image.fromarray(photograph.permute(1, 2, 0).numpy())


# --- finding ---


def test_find_searches_recursively_and_passes_hidden_files_over(tmp_path):
    wanted = ["a.jpg", "b/c.PNG", "b/d e/f.tiff", "z.webp"]
    for name in [*wanted, ".hidden.jpg", ".cache/g.jpg", "b/.h/i.jpg", "notes.txt", "jpg"]:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    (tmp_path / "folder.jpg").mkdir()
    found = find(tmp_path)
    assert [source.name for source in found] == wanted
    assert [source.path for source in found] == [tmp_path / name for name in wanted]


def test_find_names_a_missing_or_empty_folder(tmp_path):
    with pytest.raises(FileNotFoundError, match="no/where is not a folder"):
        find(tmp_path / "no" / "where")
    (tmp_path / "readme.txt").touch()
    with pytest.raises(ValueError, match=f"{tmp_path} holds no photographs"):
        find(tmp_path)


# --- decoding: plain 40 × 30 px images of every kind, the colour that is expected ---


def plain(mode, colour, **options):
    return lambda path: Image.new(mode, (40, 30), colour).save(path, **options)


def palette(path, **options):
    image = Image.new("P", (40, 30), 1)
    image.putpalette([10, 20, 30, 200, 100, 50])
    image.save(path, **options)


def deep_grey(path):
    Image.fromarray(np.full((30, 40), 32768, dtype=np.uint16)).save(path)


def animation(path):
    red, blue = (Image.new("RGB", (40, 30), colour) for colour in ("red", "blue"))
    red.save(path, save_all=True, append_images=[blue])


@pytest.mark.parametrize(
    "suffix, write, colour",
    [
        ("png", plain("RGB", (10, 20, 30)), (10, 20, 30)),
        ("png", plain("L", 100), (100, 100, 100)),
        ("jpg", plain("L", 100), (100, 100, 100)),
        ("png", plain("1", 1), (255, 255, 255)),
        ("png", plain("LA", (100, 0)), (255, 255, 255)),
        ("png", plain("RGBA", (255, 0, 0, 128)), (255, 127, 127)),
        ("png", plain("RGB", (9, 9, 9), transparency=(9, 9, 9)), (255, 255, 255)),
        ("png", palette, (200, 100, 50)),
        ("png", lambda path: palette(path, transparency=1), (255, 255, 255)),
        ("png", lambda path: palette(path, transparency=b"\xff\x80"), (227, 177, 152)),
        ("jpg", plain("CMYK", (0, 255, 255, 0)), (255, 0, 0)),
        ("png", deep_grey, (128, 128, 128)),
        ("tiff", deep_grey, (128, 128, 128)),
        ("tiff", plain("F", 0.4), (102, 102, 102)),
        ("gif", animation, (255, 0, 0)),
        ("webp", plain("RGB", (10, 20, 30), lossless=True), (10, 20, 30)),
        ("bmp", plain("RGB", (10, 20, 30)), (10, 20, 30)),
    ],
    ids=[
        "RGB",
        "grey",
        "grey JPEG",
        "bilevel",
        "grey with alpha",
        "alpha",
        "transparent colour",
        "palette",
        "transparent index",
        "translucent palette",
        "CMYK",
        "16-bit",
        "16-bit TIFF",
        "float TIFF",
        "animated GIF",
        "WebP",
        "BMP",
    ],
)
def test_every_kind_becomes_8_bit_rgb(suffix, write, colour, tmp_path):
    path = tmp_path / f"image.{suffix}"
    write(path)
    pixels = decode(path, 30)
    assert pixels.dtype == np.uint8 and pixels.shape == (30, 40, 3)
    assert np.abs(pixels.astype(int) - colour).max() <= (2 if suffix == "jpg" else 1)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_orientation_is_applied(orientation, smooth, tmp_path):
    upright = as_image(smooth(1, 32, 48)[0])
    turn = {
        2: Image.Transpose.FLIP_LEFT_RIGHT,
        3: Image.Transpose.ROTATE_180,
        4: Image.Transpose.FLIP_TOP_BOTTOM,
        5: Image.Transpose.TRANSPOSE,
        6: Image.Transpose.ROTATE_90,
        7: Image.Transpose.TRANSVERSE,
        8: Image.Transpose.ROTATE_270,
    }.get(orientation)
    stored = upright if turn is None else upright.transpose(turn)
    exif = Image.Exif()
    exif[0x0112] = orientation
    stored.save(tmp_path / "turned.png", exif=exif)
    assert np.array_equal(decode(tmp_path / "turned.png", 32), np.asarray(upright))


@pytest.mark.parametrize("size, expected", [((60, 90), (40, 60)), ((30, 20), (60, 40))])
def test_shorter_edge_is_resized_antialiased(size, expected, smooth, tmp_path):
    """As Pillow's bilinear resize, within a level of rounding."""
    image = as_image(smooth(1, size[1], size[0])[0])
    image.save(tmp_path / "image.png")
    resized = np.asarray(image.resize(expected, Image.Resampling.BILINEAR)).astype(int)
    assert np.abs(decode(tmp_path / "image.png", 40) - resized).max() <= 1


def png_claiming(width, height):
    """Writer of a PNG that claims a size and holds hardly a pixel."""

    def chunk(name, body):
        check = struct.pack(">I", zlib.crc32(name + body))
        return struct.pack(">I", len(body)) + name + body + check

    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))
    content = b"\x89PNG\r\n\x1a\n" + header + chunk(b"IDAT", zlib.compress(b"\0"))
    return lambda path: path.write_bytes(content)


def truncated(path):
    file = io.BytesIO()
    Image.effect_noise((100, 100), 50).save(file, "JPEG")
    path.write_bytes(file.getvalue()[:2000])


BROKEN = {
    "truncated.jpg": (truncated, "unreadable: .*truncated"),
    "text.jpg": (lambda path: path.write_text("not an image"), "holds none of JPEG, PNG"),
    "empty.jpg": (lambda path: path.touch(), "empty"),
    "one_pixel.png": (lambda path: Image.new("RGB", (1, 1)).save(path), "too small: 1 × 1 px"),
    "long.png": (lambda path: Image.new("L", (800, 99)).save(path), "too long: 800 × 99 px"),
    "bomb.png": (png_claiming(100_000, 100_000), "unreadable: truncated"),
    "hollow.png": (png_claiming(100, 100), "unreadable: .*truncated"),
    "missing.png": (lambda path: None, "missing"),
}


@pytest.mark.parametrize("name", BROKEN)
def test_unusable_files_say_why(name, tmp_path):
    write, message = BROKEN[name]
    write(tmp_path / name)
    with pytest.raises(UnreadableImage, match=message):
        decode(tmp_path / name, 32)


# --- packing ---


@pytest.fixture
def folder(tmp_path, smooth):
    """Six photographs of different sizes."""
    target = tmp_path / "photographs"
    target.mkdir()
    for index in range(6):
        as_image(smooth(1, 30 + index, 40 - index, seed=index)[0]).save(target / f"{index}.png")
    return target


def contents(target):
    return {path.name: path.read_bytes() for path in sorted(target.iterdir())}


@pytest.fixture
def decoded(monkeypatch):
    """Names of the files that are decoded."""
    names = []
    read = packing._read

    def counted(source, edge):
        names.append(source.name)
        return read(source, edge)

    monkeypatch.setattr(packing, "_read", counted)
    return names


@contextmanager
def killed_at(name):
    """The process is killed when it comes to that file."""

    read = packing._read

    def read_or_die(source, edge):
        if source.name == name:
            raise KeyboardInterrupt
        return read(source, edge)

    with pytest.MonkeyPatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(packing, "_read", read_or_die)
        yield


def test_pack_holds_every_photograph_in_order(folder, tmp_path):
    sources = find(folder)
    target = pack(sources, tmp_path / "pack", EDGE, "made", workers=3)
    opened = load(target)
    assert opened.names == tuple(source.name for source in sources)
    assert opened.name == "made" and len(opened) == 6 and opened.problems == ()
    for index, source in enumerate(sources):
        height, width = opened.heights[index], opened.widths[index]
        start = opened.offsets[index]
        pixels = opened.pixels[start : start + 3 * height * width].view(height, width, 3)
        assert np.array_equal(pixels.numpy(), decode(source.path, EDGE))
    assert sorted(contents(target)) == ["manifest.csv", "pack.json", "pixels.bin", "settings.json"]


def test_unreadable_files_are_listed_and_counted(folder, tmp_path):
    for name, (write, _) in BROKEN.items():
        write(folder / name)
    sources = [*find(folder), Source("missing.png", folder / "missing.png")]
    target = pack(sources, tmp_path / "pack", EDGE, "made")
    header = files.read_json(target / "pack.json")
    assert header["photographs"] == 6 and header["left_out"] == len(BROKEN)
    opened = load(target)
    assert opened.names == tuple(f"{index}.png" for index in range(6))
    problems = dict(opened.problems)
    assert set(problems) == set(BROKEN)
    assert problems["one_pixel.png"].startswith("too small")


def test_nothing_readable_is_an_error_and_looked_at_again(folder, tmp_path, monkeypatch):
    def unreadable(content, edge, suffix):
        raise UnreadableImage("unreadable: for now")

    monkeypatch.setattr(packing, "picture", unreadable)
    with pytest.raises(ValueError, match="none of 6 files of made .* 0.png: unreadable: for now"):
        pack(find(folder), tmp_path / "pack", EDGE, "made")
    monkeypatch.undo()
    assert len(load(pack(find(folder), tmp_path / "pack", EDGE, "made"))) == 6


@pytest.mark.parametrize("left", ["whole", "torn row", "torn first row", "no pixels"])
def test_a_killed_pack_goes_on_to_the_same_bytes(left, folder, tmp_path, decoded):
    sources = find(folder)
    whole = pack(sources, tmp_path / "whole", EDGE, "made")
    with killed_at("4.png"):
        pack(sources, tmp_path / "again", EDGE, "made", workers=1)
    work = tmp_path / ".again.partial"
    manifest = (work / "manifest.csv").read_text()
    assert manifest.count("\n") == 5
    if left == "torn row":
        (work / "manifest.csv").write_text(manifest + "3.png,abc")
        with open(work / "pixels.bin", "ab") as binary:
            binary.write(b"half a photograph")
    elif left == "torn first row":
        (work / "manifest.csv").write_text(manifest[: manifest.index("\n") + 9])
    elif left == "no pixels":
        os.truncate(work / "pixels.bin", 10)
    decoded.clear()
    again = pack(sources, tmp_path / "again", EDGE, "made")
    assert contents(again) == contents(whole)
    assert not work.exists()
    assert len(decoded) == (2 if left in ("whole", "torn row") else 6)


def test_a_finished_pack_is_left_as_it_is(folder, tmp_path, decoded):
    target = pack(find(folder), tmp_path / "pack", EDGE, "made")
    before = contents(target)
    decoded.clear()
    pack(find(folder), tmp_path / "pack", EDGE, "made")
    assert decoded == [] and contents(target) == before


def change_file(folder):
    as_image(torch.full((3, 40, 40), 7, dtype=torch.uint8)).save(folder / "2.png")


def remove_file(folder):
    (folder / "2.png").unlink()


@pytest.mark.parametrize("change", [change_file, remove_file])
def test_a_changed_folder_is_packed_anew(change, folder, tmp_path):
    before = load(pack(find(folder), tmp_path / "pack", EDGE, "made"))
    change(folder)
    after = load(pack(find(folder), tmp_path / "pack", EDGE, "made"))
    assert before.sha256 != after.sha256
    assert ("2.png" in after.names) == (change is change_file)


def test_a_kill_while_an_outdated_pack_is_removed_blocks_nothing(folder, tmp_path, monkeypatch):
    target = pack(find(folder), tmp_path / "pack", EDGE, "made")
    change_file(folder)

    def killed(path, ignore_errors=False):
        if path.exists():
            (path / "pack.json").unlink()
            raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(packing.shutil, "rmtree", killed)
        with pytest.raises(KeyboardInterrupt):
            pack(find(folder), target, EDGE, "made")
    assert contents(pack(find(folder), target, EDGE, "made")) == contents(
        pack(find(folder), tmp_path / "fresh", EDGE, "made")
    )
    assert sorted(path.name for path in tmp_path.iterdir() if path != folder) == ["fresh", "pack"]


def test_another_edge_is_packed_anew(folder, tmp_path):
    before = load(pack(find(folder), tmp_path / "pack", EDGE, "made"))
    after = load(pack(find(folder), tmp_path / "pack", EDGE + 1, "made"))
    assert before.sha256 != after.sha256 and after.heights.min() == EDGE + 1


def test_hash_is_of_files_splits_and_edge_alone(folder, tmp_path):
    first = load(pack(find(folder), tmp_path / "a", EDGE, "made"))
    moved = tmp_path / "elsewhere"
    folder.rename(moved)
    os.utime(moved / "1.png", ns=(0, 0))
    assert load(pack(find(moved), tmp_path / "b", EDGE, "other")).sha256 == first.sha256
    splits = [Source(source.name, source.path, "probe") for source in find(moved)]
    assert load(pack(splits, tmp_path / "c", EDGE, "made")).sha256 != first.sha256


def test_full_disk_keeps_what_is_packed_and_the_next_call_finishes(folder, tmp_path, full_disk):
    sources = find(folder)
    whole = pack(sources, tmp_path / "whole", EDGE, "made")
    with full_disk(3 * 24 * 32 * 4), pytest.raises(OSError, match="free some space") as caught:
        pack(sources, tmp_path / "again", EDGE, "made")
    kept = int(str(caught.value).split(";")[1].split()[0])
    assert 2 <= kept < 6 and f"{kept} of 6 photographs are kept" in str(caught.value)
    work = tmp_path / ".again.partial"
    assert (work / "manifest.csv").read_text().count("\n") == kept + 1
    assert contents(pack(sources, tmp_path / "again", EDGE, "made")) == contents(whole)


def test_names_need_not_be_utf_8(folder, tmp_path):
    odd = os.fsdecode(b"caf\xe9, two\nlines.png")
    try:
        (folder / "0.png").rename(folder / odd)
    except OSError:
        pytest.skip("the file system takes no such name")
    sources = sorted(find(folder), key=lambda source: source.name != odd)
    with killed_at("4.png"):
        pack(sources, tmp_path / "pack", EDGE, "made", workers=1)
    assert load(pack(sources, tmp_path / "pack", EDGE, "made")).names[0] == odd


def test_a_folder_of_something_else_is_not_touched(folder, tmp_path):
    with pytest.raises(FileExistsError, match="is no pack: name another place"):
        pack(find(folder), folder, EDGE, "made")
    assert len(find(folder)) == 6
    with pytest.raises(FileExistsError, match="is no pack"):
        pack(find(folder), folder / "0.png", EDGE, "made")
    (tmp_path / "empty").mkdir()
    assert len(load(pack(find(folder), tmp_path / "empty", EDGE, "made"))) == 6


def test_pack_names_a_bad_edge(folder, tmp_path):
    with pytest.raises(ValueError, match="shorter_edge_px must be at least 16"):
        pack(find(folder), tmp_path / "pack", 15, "made")


def test_packing_shows_its_progress(folder, tmp_path, capsys):
    pack(find(folder), tmp_path / "pack", EDGE, "made")
    assert "pack made: 100%" in capsys.readouterr().err


# --- loading ---


def edit(name, old, new):
    def change(target):
        text = (target / name).read_text()
        assert old in text
        (target / name).write_text(text.replace(old, new, 1))

    return change


def drop_last_row(target):
    lines = (target / "manifest.csv").read_text().splitlines(keepends=True)
    (target / "manifest.csv").write_text("".join(lines[:-1]))


@pytest.mark.parametrize(
    "change, message",
    [
        (edit("manifest.csv", ",24,", ",wide,"), "manifest.csv, line 2: offset, height and width"),
        (edit("manifest.csv", ",24,", ",-24,"), "manifest.csv, line 2: 0.png does not lie within"),
        (edit("manifest.csv", "offset,", ""), "manifest.csv, line 1: the columns must be"),
        (drop_last_row, "manifest.csv lists 5 photographs, pack.json 6"),
        (edit("pack.json", "{", "["), "pack.json, line 2: not valid JSON"),
        (lambda target: os.truncate(target / "pixels.bin", 9000), "line 6: 4.png does not lie"),
    ],
    ids=["no number", "negative", "columns", "row gone", "broken JSON", "pixels cut off"],
)
def test_load_names_file_and_line(change, message, folder, tmp_path):
    target = pack(find(folder), tmp_path / "pack", EDGE, "made")
    change(target)
    with pytest.raises(ValueError, match=message):
        load(target)


def test_load_without_a_pack(tmp_path):
    with pytest.raises(FileNotFoundError, match="not a finished pack"):
        load(tmp_path)


def test_load_of_a_split(folder, tmp_path):
    sources = [
        Source(source.name, source.path, "train" if index % 2 else "probe")
        for index, source in enumerate(find(folder))
    ]
    target = pack(sources, tmp_path / "pack", EDGE, "made")
    train, probe, every = (load(target, split) for split in ("train", "probe", None))
    assert train.names == ("1.png", "3.png", "5.png") and probe.names == ("0.png", "2.png", "4.png")
    assert len({train.sha256, probe.sha256, every.sha256}) == 3
    with pytest.raises(ValueError, match="no photograph of split 'test'"):
        load(target, "test")


# --- crops ---


@pytest.fixture
def opened(folder, tmp_path):
    """The six photographs, packed, and their pixels as arrays."""
    sources = find(folder)
    return (
        load(pack(sources, tmp_path / "pack", EDGE, "made")),
        [decode(source.path, EDGE) for source in sources],
    )


def test_crops_are_slices_mirrored_where_asked(opened):
    photos, arrays = opened
    index = torch.tensor([5, 0, 3, 3])
    top, left = torch.tensor([0, 3, 8, 1]), torch.tensor([0, 6, 2, 3])
    flip = torch.tensor([False, True, False, True])
    patches = photos.crop(index, top, left, 16, flip)
    assert patches.dtype == torch.uint8 and patches.shape == (4, 3, 16, 16)
    assert patches.is_contiguous(memory_format=torch.channels_last)
    for patch, i, y, x, mirrored in zip(patches, index, top, left, flip, strict=True):
        expected = arrays[i][y : y + 16, x : x + 16]
        expected = expected[:, ::-1] if mirrored else expected
        assert np.array_equal(patch.permute(1, 2, 0).numpy(), expected)


def test_center_crops(opened):
    photos, arrays = opened
    patches = photos.center_crops(torch.arange(6), EDGE)
    for patch, array in zip(patches, arrays, strict=True):
        height, width, _ = array.shape
        y, x = (height - EDGE) // 2, (width - EDGE) // 2
        expected = array[y : y + EDGE, x : x + EDGE]
        assert np.array_equal(patch.permute(1, 2, 0).numpy(), expected)


def test_random_crops_reach_every_place_and_both_sides(packed):
    height, width, size = 6, 7, 4
    places = torch.arange(height * width, dtype=torch.uint8).view(1, 1, height, width)
    photos = packed(places.expand(1, 3, -1, -1))
    index = torch.zeros(2000, dtype=torch.int64)
    patches = photos.random_crops(index, size, torch.Generator().manual_seed(0))
    again = photos.random_crops(index, size, torch.Generator().manual_seed(0))
    assert torch.equal(patches, again)
    mirrored = patches[:, 0, 0, 0] > patches[:, 0, 0, -1]
    assert 900 < mirrored.sum() < 1100
    corners = torch.where(mirrored, patches[:, 0, 0, -1], patches[:, 0, 0, 0])
    counts = corners.int().bincount()
    expected = [y * width + x for y in range(3) for x in range(4)]
    assert counts.nonzero().flatten().tolist() == expected
    assert counts[expected].min() > 110  # of 2000 / 12 = 167, one standard deviation 12


@pytest.mark.parametrize("top, left, size", [(0, 0, 33), (-1, 0, 8), (0, -1, 8), (17, 0, 16)])
def test_crops_beyond_a_photograph_are_refused(top, left, size, packed, smooth):
    photos = packed(smooth(2, 32, 40))
    one = torch.ones(1, dtype=torch.int64)
    with pytest.raises(ValueError, match="size_px"):
        photos.crop(one, one * top, one * left, size, torch.tensor([False]))


def test_random_and_center_crops_larger_than_a_photograph_are_refused(packed, smooth):
    photos = packed(smooth(2, 32, 40))
    with pytest.raises(ValueError, match="size_px: patches of 33 px"):
        photos.random_crops(torch.arange(2), 33, torch.Generator())
    with pytest.raises(ValueError, match="size_px: patches of 34 px"):
        photos.center_crops(torch.arange(2), 34)


@pytest.mark.gpu
def test_crops_on_cuda_are_those_of_the_cpu(opened):
    photos, _ = opened
    index = torch.arange(6)
    there = photos.to("cuda")
    for size in (8, EDGE):
        expected = photos.random_crops(index, size, torch.Generator().manual_seed(0))
        patches = there.random_crops(index, size, torch.Generator().manual_seed(0))
        assert patches.is_cuda and torch.equal(patches.cpu(), expected)
