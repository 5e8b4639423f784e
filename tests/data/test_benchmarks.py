"""Benchmarks: their owners' formats, and errors that name file, line and column."""

import csv
import os

import numpy as np
import pytest
from PIL import Image

from aesthlib.data import benchmarks
from aesthlib.data.benchmarks import PUBLISHED, READERS, read_aadb, read_ava, read_cuhk_pq

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
AVA_ROWS = [  # the first is the first of the real file
    "1 953619 0 1 5 17 38 36 15 6 5 1 1 22 1396",
    "2 953958 10 7 15 26 26 21 10 8 1 2 1 21 1396",
    "3 11 0 0 0 0 8 0 0 0 0 0 0 0 1396",
    "4 12 0 0 0 1 8 0 0 0 0 0 15 21 1396",
    "5 13 0 0 0 0 0 0 0 0 0 3 22 38 1396",
]
AADB_LISTS = {
    "Train": ["farm1_333_19438364933_087c8abc60_b.jpg 0.3", "farm2_b.jpg 0.5", "farm3_b.jpg 1"],
    "Validation": ["farm4_b.jpg 0.45"],
    "TestNew": ["farm5_b.jpg 0.4999999", "farm6_b.jpg 0.75"],
}
CUHK_PQ = {"HighQuality": (3, 2, 1, 4, 5, 2, 2), "LowQuality": (6, 4, 3, 2, 2, 5, 1)}
CATEGORIES = ("animal", "architecture", "human", "landscape", "night", "plant", "static")
each_format = pytest.mark.parametrize("name", FORMATS)


def photograph(path):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (40, 30)).save(path)


def rated_tree(folder, name):
    columns, rows = FORMATS[name]
    for row in rows:
        photograph(folder / "images" / row.split(",")[0])
    lines = [f"{columns},{HISTOGRAM}", *(f"{row},1.5,104,4,10,9,20,48,33,16" for row in rows)]
    (folder / "ratings.csv").write_text("\n".join(lines) + "\n")


def ava_tree(folder):
    (folder / "AVA.txt").write_text("\n".join(AVA_ROWS) + "\n")
    (folder / "aesthetics_image_lists").mkdir()
    (folder / "aesthetics_image_lists" / "generic_test.jpgl").write_text("953958\n13\n")
    for row in AVA_ROWS:
        photograph(folder / "images" / f"{row.split()[1]}.jpg")


def aadb_tree(folder):
    lists = folder / "imgListFiles_label"
    lists.mkdir()
    for listed, rows in AADB_LISTS.items():
        names = [row.split()[0] for row in rows]
        (lists / f"imgList{listed}Regression_score.txt").write_text("\n".join(rows) + "\n")
        for number, attribute in enumerate(benchmarks.AADB_ATTRIBUTES):
            (lists / f"imgList{listed}Regression_{attribute}.txt").write_text(
                "".join(f"{name} {number / 10 - row / 4}\n" for row, name in enumerate(names))
            )
        for name in names:
            photograph(folder / "datasetImages_originalSize" / name)


def cuhk_pq_tree(folder):
    for quality, counts in CUHK_PQ.items():
        for category, count in zip(CATEGORIES, counts, strict=True):
            for number in range(count):
                photograph(folder / "PhotoQualityDataset" / quality / category / f"{number}.jpg")


TREES = {
    "ava": ava_tree,
    "aadb": aadb_tree,
    "cuhk_pq": cuhk_pq_tree,
    **{name: lambda folder, name=name: rated_tree(folder, name) for name in FORMATS},
}
each_benchmark = pytest.mark.parametrize("name", READERS)


@pytest.fixture
def tree(tmp_path):
    """Function of a benchmark's name to a small folder in its format."""

    def make(name):
        TREES[name](tmp_path)
        return tmp_path

    return make


# --- all ---------------------------------------------------------------------------------------


@each_benchmark
def test_an_entry_has_a_file_a_class_and_a_split(name, tree, capsys):
    benchmark = READERS[name](tree(name))
    count = len(benchmark.sources)
    assert count == len(benchmark.positive) == benchmark.counts["photographs"]
    assert benchmark.positive.dtype == bool and 0 < benchmark.positive.sum() < count
    assert len({source.name for source in benchmark.sources}) == count
    assert all(source.path.is_file() for source in benchmark.sources)
    assert benchmark.groups is None and benchmark.extra == ()
    splits = [source.split for source in benchmark.sources]
    assert splits == (["probe"] * count if benchmark.splits is None else list(benchmark.splits))
    if benchmark.mos is not None:
        assert benchmark.mos.dtype == np.float64
        assert [float(source.label) for source in benchmark.sources] == benchmark.mos.tolist()
    assert capsys.readouterr().err == ""  # nothing is wrong, so nothing is said


@each_benchmark
def test_what_is_counted_and_published_goes_by_the_same_words(name, tree):
    counted = READERS[name](tree(name)).counts
    assert set(PUBLISHED[name]) <= set(counted)


@pytest.mark.parametrize("name", ["ava", "aadb", "oasis", "vessel"])
def test_missing_and_unlabelled_photographs_are_counted_and_listed(name, tree, capsys):
    folder = tree(name)
    first = READERS[name](folder).sources[0]
    count = len(READERS[name](folder).sources)
    first.path.unlink()
    photograph(first.path.with_name("unknown.png"))
    first.path.with_name("Thumbs.db").write_bytes(b"no image")
    first.path.with_name(".hidden.jpg").write_bytes(b"no image")
    benchmark = READERS[name](folder)
    said = capsys.readouterr().err
    assert f"1 of {count} photographs missing: {first.name}" in said
    assert "1 files without a rating passed over: unknown.png" in said
    assert benchmark.sources[0] == first and benchmark.extra == ("unknown.png",)
    assert benchmark.counts["photographs"] == count - 1


@each_benchmark
def test_another_folder_is_refused_by_what_it_lacks(name, tmp_path):
    with pytest.raises(FileNotFoundError, match="is missing: name the folder"):
        READERS[name](tmp_path)


def replace(old, new):
    return lambda text: text.replace(old, new, 1)


def fails(name, folder, path, change, message):
    path = folder / path
    path.write_text(change(path.read_text()))
    with pytest.raises(ValueError, match=f"{path}.*{message}"):
        READERS[name](folder)


@pytest.mark.parametrize(
    ("name", "path"),
    [
        ("ava", "AVA.txt"),
        ("ava", "aesthetics_image_lists/generic_test.jpgl"),
        ("aadb", "imgListFiles_label/imgListValidationRegression_score.txt"),
    ],
)
def test_an_empty_list_and_another_encoding_are_errors(name, path, tree):
    folder = tree(name)
    fails(name, folder, path, lambda text: "\n \n", "the file is empty")
    (folder / path).write_bytes(b"Pl\xe4ge.jpg 0.5\n")
    with pytest.raises(ValueError, match=f"{path}: not UTF-8 text"):
        READERS[name](folder)
    (folder / path).unlink()
    with pytest.raises(FileNotFoundError, match=f"{path} is missing"):
        READERS[name](folder)


# --- AVA ---------------------------------------------------------------------------------------


def test_ava(tree):
    benchmark = read_ava(tree("ava"))
    assert [s.name for s in benchmark.sources] == [f"{row.split()[1]}.jpg" for row in AVA_ROWS]
    first = (2 + 15 + 68 + 190 + 216 + 105 + 48 + 45 + 10) / 124
    assert benchmark.mos[0] == first and benchmark.mos[2] == 5.0 and benchmark.mos[4] == 10.0
    assert benchmark.positive.tolist() == [True, False, True, False, True]
    assert benchmark.splits == ("train", "test", "train", "train", "test")
    assert benchmark.counts == {"rows": 5, "test names": 2, "repeated rows": 0, "photographs": 5}


@pytest.mark.parametrize("place", ["image", "."])
def test_ava_photographs_may_lie_in_three_places(place, tree):
    folder = tree("ava")
    for path in (folder / "images").iterdir():
        (folder / place).mkdir(exist_ok=True)
        path.rename(folder / place / path.name)
    (folder / "images").rmdir()
    benchmark = read_ava(folder)
    assert benchmark.counts["photographs"] == 5
    assert benchmark.sources[0].path == folder / place / "953619.jpg"


def test_ava_with_all_photographs_missing_still_reads(tree, capsys):
    folder = tree("ava")
    for path in (folder / "images").iterdir():
        path.unlink()
    assert read_ava(folder).counts["photographs"] == 0
    assert "5 of 5 photographs missing: 953619.jpg, 953958.jpg, 11.jpg, …" in (
        capsys.readouterr().err
    )


def test_ava_rows_that_repeat_are_counted_and_those_that_contradict_are_named(tree, capsys):
    folder = tree("ava")
    table = folder / "AVA.txt"
    repeated = "6 11 0 0 0 0 8 0 0 0 0 0 3 4 17\n"  # other tags and challenge, the same ratings
    table.write_text(table.read_text() + repeated)
    benchmark = read_ava(folder)
    assert "AVA: 1 rows repeat another" in capsys.readouterr().err
    assert len(benchmark.sources) == len(benchmark.splits) == 5
    assert benchmark.counts["rows"] == 6 and benchmark.counts["repeated rows"] == 1
    table.write_text(table.read_text() + "7 12 0 0 0 2 8 0 0 0 0 0 0 0 17\n")
    with pytest.raises(ValueError, match=f"{table}, line 7: image 12 has other .* on line 4"):
        read_ava(folder)


def test_ava_test_names_without_a_row_are_listed(tree, capsys):
    folder = tree("ava")
    path = folder / "aesthetics_image_lists" / "generic_test.jpgl"
    path.write_text("953958\r\n77\r\n13\r\n")
    assert read_ava(folder).counts["test names"] == 3
    assert "AVA: 1 test names without a row in AVA.txt: 77.jpg" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (replace(" 1396", ""), "line 1: 15 whole numbers are needed .* got 14 words"),
        (lambda text: text + "6 14 0 0", "line 6: 15 whole numbers are needed .* got 4 words"),
        (replace("3 11 0", "3 11 0.5"), "line 3: 15 whole numbers"),
        (replace("3 11 0", "3 11 -1"), "line 3: 15 whole numbers"),
        (replace("3 11 ", "3 11.jpg "), "line 3: 15 whole numbers"),
        (replace("3 11 ", "3 ../11 "), "line 3: 15 whole numbers"),
        (replace(" 8 0 0", " 0 0 0"), "line 3: image 11 has no rating"),
    ],
    ids=["cut", "cut at the end", "fraction", "negative", "file name", "path", "no rating"],
)
def test_ava_errors_name_file_and_line(change, message, tree):
    fails("ava", tree("ava"), "AVA.txt", change, message)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda text: text + "13.jpg\n", "line 3: one image id is needed, got 13.jpg"),
        (lambda text: text + "13 14\n", "line 3: one image id is needed, got 13 14"),
        (lambda text: "77\n", "names none or all of the images"),
    ],
)
def test_ava_test_list_errors_name_file_and_line(change, message, tree):
    path = "aesthetics_image_lists/generic_test.jpgl"
    fails("ava", tree("ava"), path, change, message)


# --- AADB --------------------------------------------------------------------------------------


def test_aadb(tree):
    benchmark = read_aadb(tree("aadb"))
    assert benchmark.sources[0].name == "farm1_333_19438364933_087c8abc60_b.jpg"
    assert benchmark.mos.tolist() == [0.3, 0.5, 1.0, 0.45, 0.4999999, 0.75]
    assert benchmark.positive.tolist() == [False, True, True, False, False, True]
    assert benchmark.splits == ("train", "train", "train", "validation", "test", "test")
    assert benchmark.counts == {"train": 3, "validation": 1, "test": 2, "photographs": 6}


def test_aadb_photographs_of_one_size_are_not_mixed_with_another(tree):
    folder = tree("aadb")
    original, new, warped = (
        folder / name
        for name in (
            "datasetImages_originalSize",
            "AADB_newtest_originalSize",
            "datasetImages_warp256",
        )
    )
    photograph(warped / "farm6_b.jpg")
    new.mkdir()
    (original / "farm6_b.jpg").rename(new / "farm6_b.jpg")
    assert read_aadb(folder).sources[5].path == new / "farm6_b.jpg"
    (new / "farm6_b.jpg").unlink()
    assert not read_aadb(folder).sources[5].path.exists()
    for path in original.iterdir():
        path.rename(warped / path.name)
    original.rmdir()
    new.rmdir()
    benchmark = read_aadb(folder)
    assert all(source.path.parent == warped for source in benchmark.sources)
    assert benchmark.counts["photographs"] == 6


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (replace(" 0.75", ""), "line 2: a name and a number are needed, got farm6_b.jpg"),
        (replace(" 0.75", " 0.75 1"), "line 2: a name and a number are needed"),
        (replace(" 0.75", " good"), "line 2: score must be a number, got 'good'"),
        (replace(" 0.75", " 1.01"), r"line 2: score must lie in \[0, 1\], got 1.01"),
        (replace(" 0.75", " -0.1"), r"line 2: score must lie in \[0, 1\], got -0.1"),
        (replace(" 0.75", " nan"), r"line 2: score must lie in \[0, 1\], got nan"),
        (replace("farm6", "../farm6"), "line 2: file must be a plain name"),
        (
            replace("farm6", "farm5"),
            "line 2: farm5_b.jpg stands in imgListTestNewRegression_score.txt, line 1, too",
        ),
        (
            replace("farm6", "farm2"),
            "line 2: farm2_b.jpg stands in imgListTrainRegression_score.txt, line 2, too",
        ),
    ],
    ids=["cut", "more", "word", "above", "below", "nan", "path", "doubled", "in another split"],
)
def test_aadb_errors_name_file_and_line(change, message, tree):
    path = "imgListFiles_label/imgListTestNewRegression_score.txt"
    fails("aadb", tree("aadb"), path, change, message)


def test_aadb_attributes(tree):
    folder = tree("aadb")
    benchmark = read_aadb(folder)
    path = folder / "imgListFiles_label" / "imgListTrainRegression_ColorHarmony.txt"
    path.write_text("".join(reversed(path.read_text().splitlines(keepends=True)[1:])))
    found = benchmarks.aadb_attributes(folder, benchmark)
    assert len(found) == 11 and "BalacingElements" in found
    assert found["BalacingElements"].tolist() == [0, -0.25, -0.5, 0, 0, -0.25]
    assert np.isnan(found["ColorHarmony"][0])
    assert found["ColorHarmony"][1:].tolist() == [0.1 - 0.25, 0.1 - 0.5, 0.1, 0.1, 0.1 - 0.25]
    path.write_text("farm2_b.jpg -1.5\n")
    with pytest.raises(ValueError, match=rf"{path}, line 1: ColorHarmony must lie in \[-1, 1\]"):
        benchmarks.aadb_attributes(folder, benchmark)


def test_the_published_names_and_scores_of_aadb(tmp_path, shared):
    from scipy.io import loadmat

    known = loadmat(shared / "data" / "aadb" / "AADBinfo.mat")
    (tmp_path / "imgListFiles_label").mkdir()
    wanted = {}
    for listed, split in (("Train", "train"), ("TestNew", "test")):
        names = [str(name[0]) for name in known[f"{split}NameList"].ravel()]
        scores = known[f"{split}Score"].ravel().tolist()
        wanted |= dict(zip(names, zip(scores, [split] * len(names), strict=True), strict=True))
        path = tmp_path / "imgListFiles_label" / f"imgList{listed}Regression_score.txt"
        path.write_text("".join(f"{n} {s!r}\n" for n, s in zip(names, scores, strict=True)))
    path.with_name("imgListValidationRegression_score.txt").write_text("none_b.jpg 0.5\n")
    benchmark = read_aadb(tmp_path)
    published = PUBLISHED["aadb"]
    assert benchmark.counts["train"] == published["train"] == 8458
    assert benchmark.counts["test"] == published["test"] == 1000
    read = {
        source.name: (mos, split)
        for source, mos, split in zip(
            benchmark.sources, benchmark.mos, benchmark.splits, strict=True
        )
        if split != "validation"
    }
    assert read == wanted
    train = np.array(benchmark.splits) == "train"
    assert benchmark.positive[train].mean() == pytest.approx(0.5855, abs=1e-4)


# --- CUHK-PQ -----------------------------------------------------------------------------------


def test_cuhk_pq(tree):
    folder = tree("cuhk_pq")
    benchmark = read_cuhk_pq(folder)
    assert benchmark.mos is None
    count = sum(map(sum, CUHK_PQ.values()))
    assert len(benchmark.sources) == count == benchmark.counts["photographs"]
    for source, positive in zip(benchmark.sources, benchmark.positive, strict=True):
        assert source.path == folder / "PhotoQualityDataset" / source.name
        assert source.label == source.name.split("/")[0]
        assert positive == (source.label == "HighQuality")
    for quality, counts in CUHK_PQ.items():
        for category, cell in zip(CATEGORIES, counts, strict=True):
            assert benchmark.counts[f"{quality}/{category}"] == cell
    assert read_cuhk_pq(folder / "PhotoQualityDataset").splits == benchmark.splits


def test_cuhk_pq_is_halved_in_every_cell_and_in_all(tree):
    benchmark = read_cuhk_pq(tree("cuhk_pq"))
    test = np.array(benchmark.splits) == "test"
    assert set(benchmark.splits) == {"train", "test"}
    assert test.sum() == len(test) // 2
    cells = np.array([source.name.rpartition("/")[0] for source in benchmark.sources])
    for cell in set(cells):
        assert abs((test[cells == cell]).sum() - (cells == cell).sum() / 2) <= 0.5


def test_cuhk_pq_splits_by_names_and_seed_alone(tree, monkeypatch):
    folder = tree("cuhk_pq")
    sides = [dict(zip(b.sources, b.splits, strict=True)) for b in map(read_cuhk_pq, [folder] * 2)]
    assert sides[0] == sides[1]
    assert read_cuhk_pq(folder, seed=1).splits != tuple(sides[0].values())
    walk = type(folder).rglob
    monkeypatch.setattr(type(folder), "rglob", lambda *a: reversed(list(walk(*a))))
    backwards = read_cuhk_pq(folder)
    assert dict(zip(backwards.sources, backwards.splits, strict=True)) == sides[0]


def test_cuhk_pq_counts_what_lies_astray_and_passes_over_what_is_no_image(tree, capsys):
    folder = tree("cuhk_pq") / "PhotoQualityDataset"
    before = read_cuhk_pq(folder)
    (folder / "LowQuality" / "night" / "Thumbs.db").write_bytes(b"no image")
    photograph(folder / "LowQuality" / "sports" / "1.jpg")
    photograph(folder / "HighQuality" / "1.jpg")
    benchmark = read_cuhk_pq(folder)
    assert benchmark.sources == before.sources
    assert benchmark.extra == ("HighQuality/1.jpg", "LowQuality/sports/1.jpg")
    assert "2 files outside the categories' folders: HighQuality/1.jpg" in capsys.readouterr().err


def test_cuhk_pq_needs_both_classes(tree):
    folder = tree("cuhk_pq") / "PhotoQualityDataset"
    for path in (folder / "LowQuality").rglob("*.jpg"):
        path.unlink()
    with pytest.raises(ValueError, match="LowQuality: no photograph in the folders of categories"):
        read_cuhk_pq(folder)
    os.rename(folder / "LowQuality", folder / "Low")
    with pytest.raises(FileNotFoundError, match="LowQuality is missing"):
        read_cuhk_pq(folder)


def test_the_published_counts_of_cuhk_pq_add_up():
    counts = PUBLISHED["cuhk_pq"]
    for quality, total in (("HighQuality", 4524), ("LowQuality", 13166), ("", 17690)):
        assert sum(n for cell, n in counts.items() if "/" in cell and quality in cell) == total
    assert counts["photographs"] == 17690


# --- OASIS and Vessel --------------------------------------------------------------------------


@each_format
def test_reads_names_ratings_and_classes(name, tree):
    folder = tree(name)
    benchmark = READERS[name](folder)
    rows = [row.split(",") for row in FORMATS[name][1]]
    assert [source.name for source in benchmark.sources] == [row[0] for row in rows]
    assert all(source.path == folder / "images" / source.name for source in benchmark.sources)
    assert benchmark.mos.tolist() == [float(row[2]) for row in rows]  # in full precision
    median = sorted(benchmark.mos)[1]
    assert benchmark.positive.tolist() == [mean >= median for mean in benchmark.mos]
    assert f"{median:g}" in benchmark.threshold and benchmark.splits is None
    assert benchmark.counts == {"rows": 3, "photographs": 3}


@each_format
@pytest.mark.parametrize(
    ("change", "message"),
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
    ids=[
        "no file column",
        "no rating column",
        "empty",
        "no rows",
        "doubled",
        "path",
        "no name",
        "word",
        "no rating",
        "nan",
        "below",
        "above",
        "cut off",
        "comma",
    ],
)
def test_errors_name_file_and_line(name, change, message, tree):
    fails(name, tree(name), "ratings.csv", change, message)


def test_ratings_in_another_encoding_are_named_and_a_byte_order_mark_is_none(tree):
    path = tree("oasis") / "ratings.csv"
    path.write_text("\ufeff" + path.read_text(), encoding="utf-8")
    assert len(READERS["oasis"](path.parent).sources) == 3
    path.write_bytes(path.read_bytes().replace(b"Beach", b"Pl\xe4ge"))
    with pytest.raises(ValueError, match="ratings.csv: not UTF-8 text"):
        READERS["oasis"](path.parent)


@pytest.mark.parametrize(("name", "count"), [("oasis", 900), ("vessel", 562)])
def test_the_published_ratings(name, count, shared):
    folder = shared / "data" / name
    benchmark = READERS[name](folder)
    assert len(benchmark.sources) == len(benchmark.mos) == len(benchmark.positive) == count
    assert benchmark.counts == PUBLISHED[name]
    assert all(source.path.is_file() for source in benchmark.sources)
    # a mean rating is that of its histogram
    with open(folder / "ratings.csv", newline="", encoding="utf-8") as file:
        for row, mos in zip(csv.DictReader(file), benchmark.mos, strict=True):
            counts = [int(row[f"count_{rating}"]) for rating in range(1, 8)]
            mean = sum(r * c for r, c in enumerate(counts, start=1)) / sum(counts)
            assert mos == pytest.approx(mean, abs=1e-6)
