"""Is a data set whole? Counts against the published ones, every photograph decoded, a manifest."""

import csv
import io
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from ..store import files
from . import photographs
from .benchmarks import PUBLISHED, READERS

NAMES = (*READERS, "photographs", "labels")
EXTRA = "no label names it"


@dataclass(frozen=True)
class Verdict:
    """What was found in a folder.

    Attributes:
        name: of the data set.
        counts: (what, how many, how many were published or None).
        rows: of the manifest: file, sha256, split, label and problem; files that no label names
            stand behind the others.
        passed_over: what else lies there, in a line; "" for nothing, and for a benchmark, whose
            labels name the photographs.
    """

    name: str
    counts: tuple[tuple[str, int, int | None], ...]
    rows: tuple[dict[str, str], ...]
    passed_over: str = ""

    @property
    def missing(self) -> list[str]:
        """Photographs that are named and not there."""
        return [row["file"] for row in self.rows if row["problem"] == "missing"]

    @property
    def broken(self) -> list[str]:
        """Photographs that cannot be used, each with the reason."""
        kinds = ("", "missing", EXTRA)
        return [f"{r['file']}: {r['problem']}" for r in self.rows if r["problem"] not in kinds]

    @property
    def extra(self) -> list[str]:
        """Image files that no label names; they are no fault."""
        return [row["file"] for row in self.rows if row["problem"] == EXTRA]

    @property
    def faults(self) -> list[str]:
        """What is wrong, in words; empty where all is as published.

        A missing photograph counts by the number of photographs, since AVA's owners name more than
        there are.
        """
        differing = [
            f"{what}: {found:,}, published {published:,}"
            for what, found, published in self.counts
            if published not in (None, found)
        ]
        return differing + ([f"{len(self.broken):,} broken"] if self.broken else [])


def check(name: str, folder: Path, workers: int | None = None) -> Verdict:
    """Read a data set's labels and decode all of its photographs; nothing is written.

    Args:
        name: one of `NAMES`: a benchmark, "photographs" for any folder of them, or "labels" for
            folders that are classes.
        folder: of the data set.
        workers: decoding threads; default the processors there are.

    Raises:
        FileNotFoundError: the folder or a list of labels is missing.
        ValueError: unknown name, or a malformed label; names file and line.
    """
    told = ""
    if name in READERS:
        benchmark = READERS[name](folder)
        sources, extra, counts = benchmark.sources, benchmark.extra, dict(benchmark.counts)
    elif name in NAMES:
        surveyed = photographs.survey(folder, labelled=name == "labels")
        sources, extra, told = surveyed.sources, (), surveyed.say()
        counts = Counter(source.label for source in sources if source.label)
        counts["photographs"] = len(sources)
    else:
        raise ValueError(f"the data set must be one of {', '.join(NAMES)}, got {name!r}")
    rows = photographs.examine(sources, name, workers)
    blank = dict.fromkeys(photographs.EXAMINED, "")
    published = PUBLISHED.get(name, {})
    return Verdict(
        name,
        tuple((what, found, published.get(what)) for what, found in counts.items()),
        (*rows, *(blank | {"file": file, "problem": EXTRA} for file in extra)),
        told,
    )


def write_manifest(verdict: Verdict, path: Path) -> None:
    """Write a verdict's rows as CSV, whole or not at all; raises OSError as `files.replacing`."""
    text = io.StringIO()
    writer = csv.DictWriter(text, photographs.EXAMINED, lineterminator="\n")
    writer.writeheader()
    writer.writerows(verdict.rows)
    encoded = text.getvalue().encode(photographs.TEXT["encoding"], photographs.TEXT["errors"])
    files.write_bytes(path, encoded)
