"""Benchmarks with human judgements, read exactly as their owners publish them.

Every reader takes the folder that the user names. Photographs that are named and not there are
counted, listed and left for `photographs.pack` to leave out; a malformed line is an error.
"""

import csv
import io
import math
import os
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import numpy as np
import torch

from .. import progress
from .find import SUFFIXES, Source, walk

# As published; further counts of a reader have no published figure.
PUBLISHED = {
    "ava": {"rows": 255_530, "test names": 20_000, "photographs": 255_510},
    "aadb": {"train": 8_458, "validation": 500, "test": 1_000, "photographs": 9_958},
    "cuhk_pq": {
        "HighQuality/animal": 953, "HighQuality/architecture": 595, "HighQuality/human": 678,
        "HighQuality/landscape": 820, "HighQuality/night": 353, "HighQuality/plant": 594,
        "HighQuality/static": 531,
        "LowQuality/animal": 2292, "LowQuality/architecture": 1290, "LowQuality/human": 2470,
        "LowQuality/landscape": 1950, "LowQuality/night": 1356, "LowQuality/plant": 1803,
        "LowQuality/static": 2005,
        "photographs": 17_690,
    },
    "oasis": {"rows": 900, "photographs": 900},
    "vessel": {"rows": 562, "photographs": 562},
}  # fmt: skip
CUHK_PQ_CLASSES = ("HighQuality", "LowQuality")
AADB_LISTS = {"train": "Train", "validation": "Validation", "test": "TestNew"}
AADB_ATTRIBUTES = (
    "BalacingElements",
    "ColorHarmony",
    "Content",
    "DoF",
    "Light",
    "MotionBlur",
    "Object",
    "Repetition",
    "RuleOfThirds",
    "Symmetry",
    "VividColor",
)
RATED_FOLDERS = {  # name, columns of the mean rating and of the kind of photograph
    "oasis": ("OASIS", "beauty_mean", "category"),
    "vessel": ("Vessel", "rating_mean", "image_type"),
}
RATED_FROM_TO = (1, 7)  # the raters' scale in these folders


@dataclass(frozen=True)
class Benchmark:
    """Photographs with what is to be told from them, one entry each in the same order.

    Attributes:
        name: of the benchmark.
        sources: the photographs; the split is that of `splits`, or "probe"; the label is the mean
            rating in full precision, or the class.
        mos: float64 (N,) mean rating; None where only the class is known.
        positive: bool (N,) the class of the binary task.
        threshold: what `positive` means, in words.
        groups: int64 (N,); entries of one group never stand on both sides of a split. None where
            every entry is its own.
        splits: "train", "validation" or "test" of each entry; None where there is no fixed split
            and cross-validation is used.
        counts: what reading found, by the words of `PUBLISHED`.
        extra: image files beside the photographs that no label names.
        kinds: what each entry shows, in the owner's words; None where they do not say.
    """

    name: str
    sources: tuple[Source, ...]
    mos: np.ndarray | None
    positive: np.ndarray
    threshold: str
    groups: np.ndarray | None = None
    splits: tuple[str, ...] | None = None
    counts: Mapping[str, int] = field(default_factory=dict)
    extra: tuple[str, ...] = ()
    kinds: tuple[str, ...] | None = None


def read_ava(folder: Path) -> Benchmark:
    """AVA (Murray et al. 2012): ratings from 1 to 10, a mean of 5 or more is positive.

    The names of `generic_test.jpgl` are the test split, all other rows of AVA.txt train. The owners
    name 255,530 rows; 255,510 files are in circulation, and of the 20,000 test names about 19,930
    can be used: test names without a row are counted and passed over. A row that repeats another's
    photograph and ratings is counted and passed over too. The paper gives its split as 230,000 and
    20,000; "5 or more" is its threshold, where others leave out what lies near 5.

    Args:
        folder: holds `AVA.txt`, `aesthetics_image_lists/generic_test.jpgl`, and the photographs
            `<id>.jpg` in `images/` or `image/`, or right there.

    Raises:
        FileNotFoundError: one of the two lists is missing.
        ValueError: a malformed row, or one that contradicts an earlier one; names file and line.
    """
    folder = Path(folder)
    table = folder / "AVA.txt"
    means, first, rows = {}, {}, 0
    for line, words in _lines(table, "AVA"):
        rows += 1
        if len(words) != 15 or not all(word.isascii() and word.isdigit() for word in words):
            raise ValueError(
                f"{table}, line {line}: 15 whole numbers are needed (index, image id, 10 counts, "
                f"2 tags, challenge), got {len(words)} words: {' '.join(words)[:60]}"
            )
        name = f"{words[1]}.jpg"
        counts = tuple(int(word) for word in words[2:12])
        if sum(counts) == 0:
            raise ValueError(f"{table}, line {line}: image {words[1]} has no rating")
        if name in means and first[name][1] != counts:
            raise ValueError(
                f"{table}, line {line}: image {words[1]} has other ratings than on line "
                f"{first[name][0]}; keep the right one"
            )
        first.setdefault(name, (line, counts))
        means[name] = sum(r * c for r, c in enumerate(counts, start=1)) / sum(counts)
    listed = folder / "aesthetics_image_lists" / "generic_test.jpgl"
    test, test_names = set(), 0
    for line, words in _lines(listed, "AVA"):
        if len(words) != 1 or not (words[0].isascii() and words[0].isdigit()):
            raise ValueError(
                f"{listed}, line {line}: one image id is needed, got {' '.join(words)[:60]}"
            )
        test.add(f"{words[0]}.jpg")
        test_names += 1
    _say("AVA", "test names without a row in AVA.txt", sorted(test - set(means)))
    if rows > len(means):
        progress.note(f"AVA: {rows - len(means)} rows repeat another and are passed over")
    splits = tuple("test" if name in test else "train" for name in means)
    if len(set(splits)) < 2:
        raise ValueError(f"{listed}: it names none or all of the images in {table}")
    mos = np.array(list(means.values()))
    holds = next((f for f in ("images", "image") if (folder / f).is_dir()), ".")
    counts = {"rows": rows, "test names": test_names, "repeated rows": rows - len(means)}
    return _benchmark(
        "AVA",
        list(means),
        [folder / holds],
        mos,
        mos >= 5,
        "mean rating at or above 5",
        splits,
        counts,
    )


def read_aadb(folder: Path) -> Benchmark:
    """AADB (Kong et al. 2016): scores from 0 to 1, 0.5 or more is positive.

    The lists Train, Validation and TestNew are the splits. They hold 8,458, 500 and 1,000 names;
    the paper gives the first as 8,500. About a tenth of the scores are 0.5 exactly.

    Args:
        folder: holds `imgListFiles_label/imgListTrainRegression_score.txt` and its two siblings,
            and the photographs in `datasetImages_originalSize/` (those of the test also in
            `AADB_newtest_originalSize/`), or else in `datasetImages_warp256/`.

    Raises:
        FileNotFoundError: a list is missing.
        ValueError: a malformed or out-of-range line, or a name listed twice; names file and line.
    """
    folder = Path(folder)
    scores, splits, lines = {}, [], {}
    for split, listed in AADB_LISTS.items():
        path = _aadb_list(folder, listed, "score")
        for line, name, score in _scores(path, 0, 1):
            if name in lines:
                raise ValueError(f"{path}, line {line}: {name} stands in {lines[name]} too")
            lines[name] = f"{path.name}, line {line},"
            scores[name] = score
            splits.append(split)
    mos = np.array(list(scores.values()))
    places = ("datasetImages_originalSize", "AADB_newtest_originalSize")
    if not any((folder / place).is_dir() for place in places):
        places = ("datasetImages_warp256",)  # the two sizes are never mixed
    return _benchmark(
        "AADB",
        list(scores),
        [folder / place for place in places],
        mos,
        mos >= 0.5,
        "score at or above 0.5",
        tuple(splits),
        Counter(splits),
    )


def aadb_attributes(folder: Path, benchmark: Benchmark) -> dict[str, np.ndarray]:
    """The eleven attributes of AADB's photographs, as their owners spell them.

    Args:
        folder: that `read_aadb` took.
        benchmark: what it gave.

    Returns:
        Attribute to float64 (N,) mean judgement from -1 to 1, NaN for photographs not listed.

    Raises:
        FileNotFoundError: a list is missing.
        ValueError: a malformed or out-of-range line; names file and line.
    """
    found = {}
    for attribute in AADB_ATTRIBUTES:
        values = {
            name: value
            for listed in AADB_LISTS.values()
            for _, name, value in _scores(_aadb_list(Path(folder), listed, attribute), -1, 1)
        }
        names = (source.name for source in benchmark.sources)
        found[attribute] = np.array([values.get(name, math.nan) for name in names])
    return found


def read_cuhk_pq(folder: Path, seed: int = 0) -> Benchmark:
    """CUHK-PQ (Luo et al. 2011): the folder is the class, high quality is positive.

    The paper splits at random in halves. Here the halves are drawn within each category and
    quality, and depend on the names of the files alone.

    Args:
        folder: `PhotoQualityDataset`, or the folder that holds it: of `HighQuality/` and
            `LowQuality/`, each with a folder for each of seven categories.
        seed: of the split.

    Raises:
        FileNotFoundError: one of the two classes has no folder.
        ValueError: one of the two classes has no photograph.
    """
    folder = Path(folder)
    if (folder / "PhotoQualityDataset").is_dir():
        folder = folder / "PhotoQualityDataset"
    found = {cell: [] for cell in PUBLISHED["cuhk_pq"] if "/" in cell}
    extra = []
    for quality in CUHK_PQ_CLASSES:
        if not (folder / quality).is_dir():
            raise FileNotFoundError(
                f"{folder / quality} is missing: name the folder PhotoQualityDataset of CUHK-PQ"
            )
        for file in walk(folder / quality)[0]:
            name = f"{quality}/{file}"
            found.get(name.rpartition("/")[0], extra).append(name)
        if not any(names for cell, names in found.items() if cell.startswith(quality)):
            raise ValueError(f"{folder / quality}: no photograph in the folders of categories")
    generator = torch.Generator().manual_seed(seed)
    shuffled = [
        names[row]
        for names in map(sorted, found.values())
        for row in torch.randperm(len(names), generator=generator).tolist()
    ]
    # every second one, cell after cell: halves of each to within one, and of the whole
    side = {name: ("train", "test")[row % 2] for row, name in enumerate(shuffled)}
    sources = tuple(
        Source(name, folder / name, side[name], name.partition("/")[0]) for name in sorted(side)
    )
    _say("CUHK-PQ", "files outside the categories' folders", sorted(extra))
    return Benchmark(
        "CUHK-PQ",
        sources,
        None,
        np.array([s.label == "HighQuality" for s in sources]),
        "in the folder HighQuality",
        splits=tuple(source.split for source in sources),
        counts={cell: len(names) for cell, names in found.items()} | {"photographs": len(side)},
        extra=tuple(sorted(extra)),
    )


def read_rated_folder(folder: Path, benchmark: str) -> Benchmark:
    """A table of ratings from 1 to 7 with its photographs; the median and above are positive.

    OASIS with beauty ratings (Kurdi et al. 2017; Brielmann and Pelli 2019), and Vessel's images
    with aesthetic ratings (Vessel et al. 2018). No fixed split.

    Args:
        folder: holds `ratings.csv` (file, category and beauty_mean, or image_type and rating_mean,
            …) and `images/`.
        benchmark: "oasis" or "vessel".

    Raises:
        FileNotFoundError: no ratings.csv.
        ValueError: a malformed, doubled or out-of-range line; names file and line.
    """
    name, mean_column, kind_column = RATED_FOLDERS[benchmark]
    folder = Path(folder)
    path = folder / "ratings.csv"
    means, kinds, lines = {}, [], {}
    with io.StringIO(_text(path, name), newline="") as file:
        reader = csv.DictReader(file)
        missing = {"file", kind_column, mean_column} - set(reader.fieldnames or ())
        if missing:
            raise ValueError(f"{path}, line 1: missing columns {', '.join(sorted(missing))}")
        for row in reader:
            line = reader.line_num
            if None in row:
                raise ValueError(f"{path}, line {line}: more values than columns in line 1")
            entry = _plain_name(path, line, row["file"])
            if entry in lines:
                raise ValueError(f"{path}, line {line}: {entry} stands on line {lines[entry]} too")
            lines[entry] = line
            means[entry] = _number(path, line, mean_column, row[mean_column], 1, 7)
            kinds.append(row[kind_column] or "")
    if not means:
        raise ValueError(f"{path}: no ratings below the header")
    mos = np.array(list(means.values()))
    median = float(np.median(mos))
    return _benchmark(
        name,
        list(means),
        [folder / "images"],
        mos,
        mos >= median,
        f"mean rating at or above the median {median:g}",
        None,
        {"rows": len(means)},
        tuple(kinds),
    )


READERS = {
    **{name: partial(read_rated_folder, benchmark=name) for name in RATED_FOLDERS},
    "ava": read_ava,
    "aadb": read_aadb,
    "cuhk_pq": read_cuhk_pq,
}

FIXED_SPLIT = ("ava", "aadb", "cuhk_pq")  # the owner's or the paper's; others are cross-validated


def _benchmark(
    name: str,
    names: list[str],
    places: list[Path],
    mos: np.ndarray,
    positive: np.ndarray,
    threshold: str,
    splits: tuple[str, ...] | None,
    counts: Mapping[str, int],
    kinds: tuple[str, ...] | None = None,
) -> Benchmark:
    """A rated benchmark whose photographs lie in one of some folders; says what is missing."""
    found = {}
    for place in reversed(places):  # the first place wins
        if place.is_dir():
            found |= {file: place for file in os.listdir(place) if _is_image(file)}
    sources = tuple(
        Source(file, found.get(file, places[0]) / file, split, repr(rating))
        for file, split, rating in zip(
            names, splits or ("probe",) * len(names), mos.tolist(), strict=True
        )
    )
    _say(name, f"of {len(names)} photographs missing", [n for n in names if n not in found])
    extra = tuple(sorted(found.keys() - set(names)))
    _say(name, "files without a rating passed over", extra)
    there = len(found) - len(extra)
    return Benchmark(
        name,
        sources,
        mos,
        positive,
        threshold,
        splits=splits,
        counts={**counts, "photographs": there},
        extra=extra,
        kinds=kinds,
    )


def _is_image(file: str) -> bool:
    return file.lower().endswith(SUFFIXES) and not file.startswith(".")


def _say(name: str, what: str, listed) -> None:
    if listed:
        few = ", ".join(listed[:3]) + (", …" if len(listed) > 3 else "")
        progress.note(f"{name}: {len(listed)} {what}: {few}")


def _text(path: Path, owner: str) -> str:
    if not path.is_file():
        raise FileNotFoundError(f"{path} is missing: name the folder of {owner} that holds it")
    try:
        return path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise ValueError(f"{path}: not UTF-8 text ({error.reason}); save it as UTF-8") from error


def _lines(path: Path, owner: str) -> Iterator[tuple[int, list[str]]]:
    """Numbered lines as words; blank ones are passed over, a file without any is an error."""
    empty = True
    for line, text in enumerate(_text(path, owner).split("\n"), start=1):
        words = text.split()
        if words:
            empty = False
            yield line, words
    if empty:
        raise ValueError(f"{path}: the file is empty")


def _plain_name(path: Path, line: int, name: str | None) -> str:
    if not name or Path(name).name != name:
        raise ValueError(f"{path}, line {line}: file must be a plain name, got {name!r}")
    return name


def _number(path: Path, line: int, what: str, text: str, low: float, high: float) -> float:
    try:
        value = float(text)
    except (TypeError, ValueError):
        raise ValueError(f"{path}, line {line}: {what} must be a number, got {text!r}") from None
    if not (math.isfinite(value) and low <= value <= high):
        raise ValueError(f"{path}, line {line}: {what} must lie in [{low:g}, {high:g}], got {text}")
    return value


def _aadb_list(folder: Path, listed: str, what: str) -> Path:
    return folder / "imgListFiles_label" / f"imgList{listed}Regression_{what}.txt"


def _scores(path: Path, low: float, high: float) -> Iterator[tuple[int, str, float]]:
    """Line, name and value of each line `name value`."""
    what = path.stem.rpartition("_")[2]
    for line, words in _lines(path, "AADB"):
        if len(words) != 2:
            raise ValueError(
                f"{path}, line {line}: a name and a number are needed, got {' '.join(words)[:60]}"
            )
        name = _plain_name(path, line, words[0])
        yield line, name, _number(path, line, what, words[1], low, high)
