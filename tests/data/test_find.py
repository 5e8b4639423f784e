"""What is found below a folder, and what is passed over and why."""

import os
import socket
import unicodedata

import pytest

from aesthlib.data import find as finding
from aesthlib.data.photographs import find, name_of, printable, survey


def write(folder, *names):
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()


def names(folder, **more):
    return [source.name for source in find(folder, **more)]


def test_find_searches_recursively_and_passes_hidden_files_over(tmp_path):
    wanted = ["a.jpg", "b/c.PNG", "b/d e/f.tiff", "b/g.jfif", "y.avif", "z.webp"]
    write(tmp_path, *wanted, ".hidden.jpg", ".cache/g.jpg", "b/.h/i.jpg", "notes.txt", "jpg")
    (tmp_path / "folder.jpg").mkdir()
    found = find(tmp_path)
    assert [source.name for source in found] == wanted
    assert [source.path for source in found] == [tmp_path / name for name in wanted]


def test_find_names_a_missing_or_empty_folder(tmp_path):
    with pytest.raises(FileNotFoundError, match="no/where is not a folder"):
        find(tmp_path / "no" / "where")
    write(tmp_path, "readme.txt")
    with pytest.raises(ValueError, match=f"{tmp_path} holds no photographs .*1 no photograph by"):
        find(tmp_path)


def test_what_is_passed_over_is_counted_and_named(tmp_path, monkeypatch):
    monkeypatch.setattr(finding, "SUFFIXES", (".jpg",))
    write(tmp_path, "a.jpg", "IMG_1.HEIC", "IMG_2.heic", "raw.CR2", "@eaDir/a.jpg/thumb.jpg")
    write(tmp_path, "Thumbs.db", "notes.txt", "picture.psd", ".x.jpg", "walk.mov")
    os.symlink(tmp_path / "gone.jpg", tmp_path / "link.jpg")
    os.symlink("circle.jpg", tmp_path / "circle.jpg")
    found = survey(tmp_path)
    assert [source.name for source in found.sources] == ["a.jpg"]
    reasons = dict(found.passed_over)
    assert "HEIC" in reasons["IMG_1.HEIC"] and reasons["raw.CR2"] == "raw, not read"
    assert reasons["@eaDir"].startswith("folder of thumbnails")
    assert reasons["Thumbs.db"] == "left by a system" and reasons[".x.jpg"] == "hidden"
    assert reasons["picture.psd"] == "PSD, not read" and reasons["walk.mov"] == "film"
    assert reasons["link.jpg"] == "link that leads nowhere"
    assert reasons["circle.jpg"] == "link that leads in a circle"
    assert "2 HEIC" in found.say() and "IMG_1.HEIC, …" in found.say()


def test_links_are_followed_and_circles_end(tmp_path):
    write(tmp_path / "real", "cat/1.jpg", "dog/2.jpg")
    folder = tmp_path / "set"
    write(folder, "bird/3.jpg")
    for name in ("cat", "dog"):
        os.symlink(tmp_path / "real" / name, folder / name)
    os.symlink(folder, folder / "bird" / "up")
    os.symlink(folder / "bird", folder / "again")
    os.symlink(tmp_path / "real" / "cat" / "1.jpg", folder / "bird" / "linked.jpg")
    found = survey(folder, labelled=True)
    assert [(source.name, source.label) for source in found.sources] == [
        ("bird/3.jpg", "bird"),
        ("bird/linked.jpg", "bird"),
        ("cat/1.jpg", "cat"),
        ("dog/2.jpg", "dog"),
    ]
    reasons = dict(found.passed_over)
    assert reasons["again"] == "folder searched already as bird"
    assert reasons["bird/up"] == "folder searched already as the folder itself"


def test_many_folders_that_link_to_one_another_are_searched_in_time(tmp_path):
    for one in range(12):
        write(tmp_path, f"{one}/{one}.jpg")
        for other in range(12):
            os.symlink(tmp_path / str(other), tmp_path / str(one) / f"to{other}")
    assert len(names(tmp_path)) == 12


def test_what_is_no_plain_file_is_passed_over(tmp_path):
    write(tmp_path, "a.jpg")
    os.mkfifo(tmp_path / "pipe.jpg")
    os.symlink("/dev/zero", tmp_path / "device.png")
    with socket.socket(socket.AF_UNIX) as bound:
        bound.bind(str(tmp_path / "s.gif"))
        found = survey(tmp_path)
    assert [source.name for source in found.sources] == ["a.jpg"]
    assert [reason for _, reason in found.passed_over] == ["no plain file"] * 3


def test_what_may_not_be_read_is_passed_over(tmp_path, monkeypatch):
    write(tmp_path, "a.jpg", "secret.jpg", "vault/b.jpg")
    access, scandir = os.access, os.scandir

    def refuse(path):
        if os.path.basename(path) == "vault":
            raise PermissionError(13, "denied")
        return scandir(path)

    monkeypatch.setattr(
        os, "access", lambda path, mode: "secret" not in str(path) and access(path, mode)
    )
    monkeypatch.setattr(os, "scandir", refuse)
    found = survey(tmp_path)
    assert [source.name for source in found.sources] == ["a.jpg"]
    assert dict(found.passed_over) == {
        "secret.jpg": "without permission",
        "vault": "folder without permission",
    }


def test_a_disk_that_fails_is_not_passed_over(tmp_path, monkeypatch):
    write(tmp_path, "a.jpg", "b/c.jpg")
    scandir = os.scandir

    def fail(path):
        if os.path.basename(path) == "b":
            raise OSError(5, "Input/output error")
        return scandir(path)

    monkeypatch.setattr(os, "scandir", fail)
    with pytest.raises(OSError, match="Input/output"):
        find(tmp_path)


def test_names_of_all_kinds(tmp_path):
    odd = [
        "two\nlines.jpg",
        "n" * 251 + ".jpg",
        unicodedata.normalize("NFC", "café.jpg"),
        unicodedata.normalize("NFD", "café.jpg"),
        os.fsdecode(b"b\xfcr.jpg"),
    ]
    try:
        write(tmp_path, *odd)
    except OSError:
        pytest.skip("the file system takes no such names")
    assert sorted(names(tmp_path)) == sorted(odd)
    assert printable(odd[0]) == "two\\nlines.jpg" and printable(odd[4]) == "b\\xfcr.jpg"


def test_a_folder_is_called_by_text_short_enough(tmp_path):
    assert name_of(tmp_path / "photos") == "photos"
    assert len(name_of(tmp_path / ("é" * 127)).encode()) <= 203
    name_of(tmp_path / os.fsdecode(b"f\xfcr")).encode()


def test_labels_are_folders(tmp_path):
    write(tmp_path, "cat/1.jpg", "cat/deep/2.jpg", "dog/3.jpg")
    assert [source.label for source in find(tmp_path, labelled=True)] == ["cat", "cat", "dog"]
    write(tmp_path, "0.jpg")
    with pytest.raises(ValueError, match="0.jpg lies in no class folder"):
        find(tmp_path, labelled=True)
