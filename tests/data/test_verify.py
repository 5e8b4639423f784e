"""Whether a data set is whole: counts, every photograph decoded, a manifest."""

import csv
import hashlib

import numpy as np
import pytest
from PIL import Image

from aesthlib.data import photographs, verify
from aesthlib.data.benchmarks import PUBLISHED


def photograph(path, seed=0):
    path.parent.mkdir(parents=True, exist_ok=True)
    noise = np.random.default_rng(seed).integers(0, 256, (8, 8, 3)).astype(np.uint8)
    Image.fromarray(noise).resize((200, 150), Image.Resampling.BICUBIC).save(path, quality=95)


@pytest.fixture
def aadb(tmp_path, monkeypatch):
    """A small AADB, and counts as if it had been published so."""
    folder = tmp_path / "aadb"
    lists = {"Train": "ab", "Validation": "c", "TestNew": "de"}
    (folder / "imgListFiles_label").mkdir(parents=True)
    for listed, names in lists.items():
        path = folder / "imgListFiles_label" / f"imgList{listed}Regression_score.txt"
        path.write_text("".join(f"{name}.jpg 0.{ord(name)}\n" for name in names))
        for name in names:
            photograph(folder / "datasetImages_warp256" / f"{name}.jpg", ord(name))
    published = {"train": 2, "validation": 1, "test": 2, "photographs": 5}
    monkeypatch.setitem(PUBLISHED, "aadb", published)
    return folder


def test_a_whole_one_has_no_faults_and_a_row_each(aadb):
    verdict = verify.check("aadb", aadb)
    assert verdict.faults == verdict.missing == verdict.broken == verdict.extra == []
    assert ("train", 2, 2) in verdict.counts and ("photographs", 5, 5) in verdict.counts
    assert [row["split"] for row in verdict.rows] == ["train"] * 2 + ["validation"] + ["test"] * 2
    row, path = verdict.rows[3], aadb / "datasetImages_warp256" / "d.jpg"
    assert row == {
        "file": "d.jpg",
        "split": "test",
        "label": "0.1",
        "problem": "",
        "sha256": hashlib.sha256(path.read_bytes()).hexdigest(),
    }


def test_what_is_missing_broken_or_extra_is_told_apart(aadb):
    images = aadb / "datasetImages_warp256"
    content = (images / "a.jpg").read_bytes()
    (images / "a.jpg").write_bytes(content[: len(content) // 2])
    (images / "b.jpg").unlink()
    (images / "c.jpg").write_bytes(b"no image")
    Image.new("RGB", (300, 9)).save(images / "d.jpg")
    photograph(images / "f.jpg")
    verdict = verify.check("aadb", aadb, workers=3)
    assert verdict.missing == ["b.jpg"] and verdict.extra == ["f.jpg"]
    assert [line.split(": ")[0] for line in verdict.broken] == ["a.jpg", "c.jpg", "d.jpg"]
    assert "truncated" in verdict.broken[0] and "too small" in verdict.broken[2]
    assert verdict.faults == ["photographs: 4, published 5", "3 broken"]


def test_as_many_missing_as_were_published_missing_are_no_fault(aadb, monkeypatch):
    (aadb / "datasetImages_warp256" / "b.jpg").unlink()
    monkeypatch.setitem(PUBLISHED["aadb"], "photographs", 4)
    verdict = verify.check("aadb", aadb)
    assert verdict.missing == ["b.jpg"] and verdict.faults == []


def test_a_file_that_no_label_names_is_no_fault(aadb):
    photograph(aadb / "datasetImages_warp256" / "f.jpg")
    assert verify.check("aadb", aadb).faults == []


def test_a_malformed_line_ends_it_before_anything_is_decoded(aadb, monkeypatch):
    path = aadb / "imgListFiles_label" / "imgListTestNewRegression_score.txt"
    path.write_text(path.read_text() + "e.jpg\n")
    monkeypatch.setattr(photographs, "examine", None)
    with pytest.raises(ValueError, match=f"{path}, line 3: a name and a number"):
        verify.check("aadb", aadb)


def test_any_folder_and_folders_that_are_classes(tmp_path):
    for name in ("cat/1.jpg", "cat/2.png", "dog/deep/3.jpg"):
        photograph(tmp_path / name)
    (tmp_path / "dog" / "broken.jpg").write_bytes(b"")
    verdict = verify.check("photographs", tmp_path)
    assert verdict.counts == (("photographs", 4, None),)
    assert verdict.faults == ["1 broken"] and verdict.broken[0].startswith("dog/broken.jpg: ")
    verdict = verify.check("labels", tmp_path)
    assert dict((what, n) for what, n, _ in verdict.counts) == {
        "cat": 2,
        "dog": 2,
        "photographs": 4,
    }
    assert [row["label"] for row in verdict.rows] == ["cat", "cat", "dog", "dog"]
    with pytest.raises(ValueError, match="the data set must be one of oasis, .*, got 'imagenet'"):
        verify.check("imagenet", tmp_path)


def test_the_manifest_holds_every_file_also_of_odd_names(aadb, tmp_path):
    images = aadb / "datasetImages_warp256"
    (images / "b.jpg").unlink()
    photograph(images / 'odd, "name"\udcff.jpg')  # a byte that is no UTF-8
    verdict = verify.check("aadb", aadb)
    target = tmp_path / "new" / "manifest.csv"
    verify.write_manifest(verdict, target)
    with open(target, newline="", **photographs.TEXT) as file:
        rows = list(csv.DictReader(file))
    assert rows == list(verdict.rows)
    assert tuple(rows[0]) == photographs.EXAMINED
    assert rows[1]["problem"] == "missing" and rows[1]["sha256"] == ""
    assert rows[5]["problem"] == verify.EXTRA


def test_what_is_called_usable_is_what_a_pack_takes(aadb, tmp_path):
    images = aadb / "datasetImages_warp256"
    (images / "b.jpg").unlink()
    (images / "c.jpg").write_bytes(b"no image")
    sources = verify.READERS["aadb"](aadb).sources
    target = photographs.pack(sources, tmp_path / "pack", 32, "aadb")
    packed = photographs.load(target)
    verdict = verify.check("aadb", aadb)
    assert packed.names == tuple(row["file"] for row in verdict.rows if not row["problem"])
    problems = [(row["file"], row["problem"]) for row in verdict.rows if row["problem"]]
    assert list(packed.problems) == problems


@pytest.mark.parametrize("name", ["oasis", "vessel"])
def test_the_published_photographs(name, shared):
    verdict = verify.check(name, shared / "data" / name)
    assert verdict.faults == verdict.missing == verdict.broken == verdict.extra == []
