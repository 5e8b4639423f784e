"""Files appear whole or not at all; errors name file and line."""

import hashlib
import math

import pytest

from aesthlib.store import files


def test_writes_make_folders_and_replace(tmp_path):
    path = tmp_path / "a" / "b" / "file.bin"
    files.write_bytes(path, b"first")
    files.write_bytes(path, b"second")
    assert path.read_bytes() == b"second"
    assert [p.name for p in path.parent.iterdir()] == ["file.bin"]
    assert files.sha256(path) == hashlib.sha256(b"second").hexdigest()


def test_full_disk_keeps_what_stood_there(tmp_path, full_disk):
    path = tmp_path / "file.bin"
    files.write_bytes(path, b"first")
    with full_disk(100), pytest.raises(OSError, match=f"could not write {path}: .*nothing written"):
        files.write_bytes(path, bytes(1000))
    assert path.read_bytes() == b"first"
    assert [p.name for p in tmp_path.iterdir()] == ["file.bin"]


def test_a_writer_that_stops_leaves_what_stood_there(tmp_path):
    path = tmp_path / "file.bin"
    files.write_bytes(path, b"first")
    with pytest.raises(KeyboardInterrupt), files.replacing(path) as file:
        file.write(b"half of the sec")
        raise KeyboardInterrupt
    assert path.read_bytes() == b"first"
    assert [p.name for p in tmp_path.iterdir()] == ["file.bin"]


def test_json_is_sorted_readable_and_comes_back(tmp_path):
    content = {"b": [1, 2.5, None], "a": "naïve ü"}
    files.write_json(tmp_path / "file.json", content)
    text = (tmp_path / "file.json").read_text(encoding="utf-8")
    assert text.startswith('{\n  "a": "naïve ü",\n  "b": [') and text.endswith("\n}\n")
    assert files.read_json(tmp_path / "file.json") == content


def test_json_holds_no_nan(tmp_path):
    with pytest.raises(ValueError):
        files.write_json(tmp_path / "file.json", {"value": math.nan})
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "content, message",
    [
        (b'{\n"a": 1,\n"b" 2}', "file.json, line 3: not valid JSON"),
        (b"", "file.json, line 1: not valid JSON"),
        (b'{"a": "\xff"}', "file.json: not UTF-8 text"),
    ],
)
def test_broken_json_names_file_and_line(content, message, tmp_path):
    (tmp_path / "file.json").write_bytes(content)
    with pytest.raises(ValueError, match=message):
        files.read_json(tmp_path / "file.json")


def test_digest_does_not_depend_on_the_order_of_keys():
    assert files.digest({"a": 1, "b": [2, 3]}) == files.digest({"b": [2, 3], "a": 1})
    assert files.digest({"a": 1, "b": [2, 3]}) != files.digest({"a": 1, "b": [3, 2]})
    assert files.digest({"a": 1}) == hashlib.sha256(b'{"a": 1}').hexdigest()
