"""Packing: survives kills and full disks, names what is left out."""

import errno
import io
import os
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from aesthlib.data import content, packing
from aesthlib.data.photographs import (
    MachineFault,
    Source,
    UnreadableImage,
    decode,
    find,
    load,
    pack,
)
from aesthlib.store import files

EDGE = 24  # px, of the packs here


def as_image(photograph):
    return Image.fromarray(photograph.permute(1, 2, 0).numpy())


def truncated(path):
    file = io.BytesIO()
    Image.effect_noise((100, 100), 50).save(file, "JPEG")
    path.write_bytes(file.getvalue()[:2000])


BROKEN = {
    "truncated.jpg": truncated,
    "text.jpg": lambda path: path.write_text("not an image"),
    "empty.jpg": lambda path: path.touch(),
    "one_pixel.png": lambda path: Image.new("RGB", (1, 1)).save(path),
    "missing.png": lambda path: None,
}


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
    """Names of the files that are read."""
    names, opened = [], packing.opened
    monkeypatch.setattr(packing, "opened", lambda path: names.append(path.name) or opened(path))
    return names


@contextmanager
def killed_at(name):
    """The process is killed when it comes to that file."""

    opened = packing.opened

    def open_or_die(path):
        if path.name == name:
            raise KeyboardInterrupt
        return opened(path)

    with pytest.MonkeyPatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(packing, "opened", open_or_die)
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
    for name, write in BROKEN.items():
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
    def unreadable(path):
        raise UnreadableImage("unreadable: for now")

    monkeypatch.setattr(packing, "opened", unreadable)
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


@pytest.mark.parametrize("number", [errno.EIO, errno.EMFILE, errno.EACCES])
def test_what_the_machine_will_not_give_stops_the_pack_and_is_not_remembered(
    number, folder, tmp_path, monkeypatch
):
    real = content.os.open

    def refuse(path, *more):
        if Path(path).name == "3.png":
            raise OSError(number, os.strerror(number), str(path))
        return real(path, *more)

    monkeypatch.setattr(content, "_PAUSES_S", (0.0,))
    with monkeypatch.context() as patch:
        patch.setattr(content.os, "open", refuse)
        with pytest.raises(MachineFault, match="could not read .*3.png: .* not to blame") as caught:
            pack(find(folder), tmp_path / "pack", EDGE, "made", workers=1)
        assert caught.value.errno == number
        assert "3 of 6 photographs are kept" in str(caught.value)
    again = load(pack(find(folder), tmp_path / "pack", EDGE, "made"))
    assert len(again) == 6 and again.problems == ()


def test_what_the_machine_gives_at_the_second_try_is_read(folder, tmp_path, monkeypatch):
    real, failed = content.os.open, []

    def refuse_once(path, *more):
        if path not in failed:
            failed.append(path)
            raise OSError(errno.EMFILE, "too many")
        return real(path, *more)

    monkeypatch.setattr(content, "_PAUSES_S", (0.0,))
    monkeypatch.setattr(content.os, "open", refuse_once)
    assert len(load(pack(find(folder), tmp_path / "pack", EDGE, "made"))) == 6


def test_a_pack_of_another_reader_is_made_anew(folder, tmp_path, monkeypatch):
    before = load(pack(find(folder), tmp_path / "pack", EDGE, "made"))
    monkeypatch.setattr(packing, "READER", packing.READER + 1)
    after = load(pack(find(folder), tmp_path / "pack", EDGE, "made"))
    assert before.sha256 != after.sha256


def test_what_was_odd_and_used_is_told(folder, tmp_path, capsys):
    (folder / "0.png").rename(folder / "0.jpg")
    Image.new("RGB", (40, 40)).save(folder / "b.png", icc_profile=b"broken")
    assert len(load(pack(find(folder), tmp_path / "pack", EDGE, "made"))) == 7
    told = capsys.readouterr().err
    assert "2 used though something was odd" in told and "0.jpg: holds PNG" in told
    assert "b.png: broken profile" in told


def test_packing_shows_its_progress(folder, tmp_path, capsys):
    pack(find(folder), tmp_path / "pack", EDGE, "made")
    assert "pack made: 100%" in capsys.readouterr().err
