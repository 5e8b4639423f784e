"""Benchmarks: their owners' formats, and errors that name file, line and column."""

import csv

import numpy as np
import pytest
from PIL import Image

from aesthlib.data.benchmarks import READERS, read_oasis, read_vessel

HISTOGRAM = ",".join(f"count_{rating}" for rating in range(1, 8))
FORMATS = {  # header up to the histogram, beginnings of three rows
    "oasis": (
        "file,category,beauty_mean,beauty_sd,n_ratings",
        ["Acorns 1.jpg,Object,4.864286", "Beach.jpg,Scene,1.0", "Cat (2).jpg,Animal,6.25"],
    ),
    "vessel": (
        "file,image_type,rating_mean,rating_sd,n_ratings",
        ["aep_001.jpg,are,2.929825", "Beach.jpg,lsc,1.0", "fac_3.jpg,fac,7.0"],
    ),
}
each_format = pytest.mark.parametrize("name", FORMATS)


@pytest.fixture
def tree(tmp_path):
    """Function of a benchmark's name to a folder in its format with three entries."""

    def make(name):
        columns, rows = FORMATS[name]
        (tmp_path / "images").mkdir()
        for row in rows:
            Image.new("RGB", (40, 30)).save(tmp_path / "images" / row.split(",")[0])
        lines = [f"{columns},{HISTOGRAM}", *(f"{row},1.5,104,4,10,9,20,48,33,16" for row in rows)]
        (tmp_path / "ratings.csv").write_text("\n".join(lines) + "\n")
        return tmp_path

    return make


@each_format
def test_reads_names_ratings_and_classes(name, tree):
    folder = tree(name)
    benchmark = READERS[name](folder)
    rows = [row.split(",") for row in FORMATS[name][1]]
    assert [source.name for source in benchmark.sources] == [row[0] for row in rows]
    assert all(source.path == folder / "images" / source.name for source in benchmark.sources)
    assert all(source.path.is_file() and source.split == "probe" for source in benchmark.sources)
    assert benchmark.mos.dtype == np.float64
    assert benchmark.mos.tolist() == [float(row[2]) for row in rows]  # in full precision
    median = sorted(benchmark.mos)[1]
    assert benchmark.positive.tolist() == [mean >= median for mean in benchmark.mos]
    assert f"{median:g}" in benchmark.threshold and benchmark.groups is None


def replace(old, new):
    return lambda text: text.replace(old, new, 1)


@each_format
@pytest.mark.parametrize(
    "change, message",
    [
        (lambda text: text.replace("file,", "name,", 1), "line 1: missing columns file"),
        (lambda text: text.replace("_mean", "_median", 1), "line 1: missing columns .*_mean"),
        (lambda text: "", "line 1: missing columns"),
        (lambda text: text.splitlines()[0], "no ratings below the header"),
        (lambda text: text + text.splitlines()[2], "line 5: .* stands on line 3 too"),
        (replace("Beach.jpg", "../Beach.jpg"), "line 3: file must be a plain name"),
        (replace("Beach.jpg", ""), "line 3: file must be a plain name"),
        (replace("1.0,", "one,"), "line 3: .*_mean must be a number, got 'one'"),
        (replace("1.0,", ","), "line 3: .*_mean must be a number, got ''"),
        (replace("1.0,", "nan,"), r"line 3: .*_mean must lie in \[1, 7\], got nan"),
        (replace("1.0,", "0.99,"), r"line 3: .*_mean must lie in \[1, 7\], got 0.99"),
        (replace("1.0,", "7.01,"), r"line 3: .*_mean must lie in \[1, 7\], got 7.01"),
        (lambda text: "\n".join(text.splitlines()[:3]) + "\nCut.jpg", "line 4: .* got None"),
        (replace("Beach.jpg", "Beach, the.jpg"), "line 3: more values than columns"),
    ],
    ids=["no file column", "no rating column", "empty", "no rows", "doubled", "path", "no name",
         "word", "no rating", "nan", "below", "above", "cut off", "comma"],
)  # fmt: skip
def test_errors_name_file_and_line(name, change, message, tree):
    path = tree(name) / "ratings.csv"
    path.write_text(change(path.read_text()))
    with pytest.raises(ValueError, match=f"{path}.*{message}"):
        READERS[name](path.parent)


def test_ratings_in_another_encoding_are_named_and_a_byte_order_mark_is_none(tree):
    path = tree("oasis") / "ratings.csv"
    path.write_text("\ufeff" + path.read_text(), encoding="utf-8")
    assert len(read_oasis(path.parent).sources) == 3
    path.write_bytes(path.read_bytes().replace(b"Beach", b"Pl\xe4ge"))
    with pytest.raises(ValueError, match="ratings.csv: not UTF-8 text"):
        read_oasis(path.parent)


@each_format
def test_a_missing_file_says_which_folder_is_meant(name, tmp_path):
    with pytest.raises(FileNotFoundError, match="ratings.csv is missing: name the folder of"):
        READERS[name](tmp_path)


@pytest.mark.parametrize("reader, count", [(read_oasis, 900), (read_vessel, 562)])
def test_the_published_ratings(reader, count, shared):
    folder = shared / "data" / reader.__name__.removeprefix("read_")
    benchmark = reader(folder)
    assert len(benchmark.sources) == len(benchmark.mos) == len(benchmark.positive) == count
    assert all(source.path.is_file() for source in benchmark.sources)
    # a mean rating is that of its histogram
    with open(folder / "ratings.csv", newline="", encoding="utf-8") as file:
        for row, mos in zip(csv.DictReader(file), benchmark.mos, strict=True):
            counts = [int(row[f"count_{rating}"]) for rating in range(1, 8)]
            mean = sum(r * c for r, c in enumerate(counts, start=1)) / sum(counts)
            assert mos == pytest.approx(mean, abs=1e-6)
