"""Benchmarks with human ratings, read exactly as their owners publish them."""

import csv
import io
import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from .. import progress
from .photographs import Source


@dataclass(frozen=True)
class Benchmark:
    """Photographs with what is to be told from them, one entry each in the same order.

    Attributes:
        name: of the benchmark.
        sources: the photographs.
        mos: float64 (N,) mean rating, or the known strength where that is what is asked.
        positive: bool (N,) the class of the binary task.
        threshold: what `positive` means, in words.
        groups: int64 (N,); entries of one group never stand on both sides of a split. None where
            every entry is its own.
    """

    name: str
    sources: tuple[Source, ...]
    mos: np.ndarray
    positive: np.ndarray
    threshold: str
    groups: np.ndarray | None = None


def _read_ratings(
    folder: Path, name: str, mean_column: str, group_column: str, low: float, high: float
) -> tuple[list[str], np.ndarray]:
    """File names and mean ratings of a ratings.csv. Errors name file, line and column."""
    path = Path(folder) / "ratings.csv"
    if not path.is_file():
        raise FileNotFoundError(f"{path} is missing: name the folder of {name} that holds it")
    names, means, lines = [], [], {}
    try:
        text = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise ValueError(f"{path}: not UTF-8 text ({error.reason}); save it as UTF-8") from error
    with io.StringIO(text, newline="") as file:
        reader = csv.DictReader(file)
        wanted = {"file", group_column, mean_column}
        missing = wanted - set(reader.fieldnames or ())
        if missing:
            raise ValueError(f"{path}, line 1: missing columns {', '.join(sorted(missing))}")
        for row in reader:
            line = reader.line_num
            if None in row:
                raise ValueError(f"{path}, line {line}: more values than columns in line 1")
            entry, rating = row["file"], row[mean_column]
            if not entry or Path(entry).name != entry:
                raise ValueError(f"{path}, line {line}: file must be a plain name, got {entry!r}")
            if entry in lines:
                raise ValueError(f"{path}, line {line}: {entry} stands on line {lines[entry]} too")
            try:
                value = float(rating)
            except (TypeError, ValueError):
                raise ValueError(
                    f"{path}, line {line}: {mean_column} must be a number, got {rating!r}"
                ) from None
            if not (math.isfinite(value) and low <= value <= high):
                raise ValueError(
                    f"{path}, line {line}: {mean_column} must lie in [{low:g}, {high:g}], "
                    f"got {rating}"
                )
            lines[entry] = line
            names.append(entry)
            means.append(value)
    if not names:
        raise ValueError(f"{path}: no ratings below the header")
    return names, np.array(means)


def _read_rated_folder(folder: Path, name: str, mean_column: str, group_column: str) -> Benchmark:
    folder = Path(folder)
    names, mos = _read_ratings(folder, name, mean_column, group_column, low=1, high=7)
    unrated = sorted({path.name for path in (folder / "images").glob("*")} - set(names))
    if unrated:
        listed = ", ".join(unrated[:3]) + (", …" if len(unrated) > 3 else "")
        progress.note(f"{name}: {len(unrated)} files without a rating passed over: {listed}")
    median = float(np.median(mos))
    sources = tuple(
        Source(file, folder / "images" / file, "probe", repr(float(rating)))
        for file, rating in zip(names, mos, strict=True)
    )
    return Benchmark(
        name, sources, mos, mos >= median, f"mean rating at or above the median {median:g}"
    )


def read_oasis(folder: Path) -> Benchmark:
    """OASIS with beauty ratings from 1 to 7 (Kurdi et al. 2017; Brielmann and Pelli 2019).

    Args:
        folder: holds `ratings.csv` (file, category, beauty_mean, …) and `images/`.

    Raises:
        FileNotFoundError: no ratings.csv.
        ValueError: a malformed, doubled or out-of-range line; names file and line.
    """
    return _read_rated_folder(folder, "OASIS", "beauty_mean", "category")


def read_vessel(folder: Path) -> Benchmark:
    """Vessel's images with aesthetic ratings from 1 to 7 (Vessel et al. 2018).

    Args:
        folder: holds `ratings.csv` (file, image_type, rating_mean, …) and `images/`.

    Raises:
        FileNotFoundError: no ratings.csv.
        ValueError: a malformed, doubled or out-of-range line; names file and line.
    """
    return _read_rated_folder(folder, "Vessel", "rating_mean", "image_type")


READERS = {"oasis": read_oasis, "vessel": read_vessel}
