"""Write book/speed.md and its figure from the last results, book/results/bench/*.json.

    python benchmarks/page.py

A program that was not run, or a GPU that was not there, is named as not measured.
"""

import json
from collections.abc import Callable
from pathlib import Path
from statistics import geometric_mean

ROOT = Path(__file__).resolve().parents[1]
RESULTS = ROOT / "book" / "results" / "bench"
LONG = 40  # rows of a table that is folded away
PAGE = ROOT / "book" / "speed.md"
PROGRAMS = {
    "operations": "Operations",
    "step": "The degrade step and the training step",
    "decode": "Decode and pack",
    "probes": "Probes",
    "growth": "Growth",
    "start": "Start",
    "explorer": "The explorer",
    "gpu": "CUDA",
}
HEAD = """# Speed

How fast is this beside what others use, measured in the same process, in turns? `make bench`
measures, and writes this page; `benchmarks/` holds the programs. A ratio is the row's time over the
first row's of its group: above 1, the first one is faster. Medians and quartiles of so many rounds,
or what was measured once; other work on a machine slows all rows alike, so the ratios are what to
trust.
"""
FIGURE = """
```{image} results/bench/operations.png
:alt: Time of each peer over ours for each class of degradation, on a logarithmic scale; right of one ours is faster.
```

Time of every peer over ours in its faster layout, on one thread. Filled: it computes the same; hollow: something near, so
that the time tells less. Left of the line it is faster than ours.
"""  # noqa: E501


def times(record: dict, group: str, name: str) -> float:
    """How many times as long the row takes as the first of its group."""
    return next(r["ratio"] for r in record["rows"] if (r["group"], r["name"]) == (group, name))


def mean_without(record: dict, left_out: str) -> float:
    """Geometric mean of the operations' ratios but one."""
    ratios = record["times_as_fast_as_the_fastest_that_computes_the_same"]
    return geometric_mean(value for name, value in ratios.items() if name != left_out)


def seconds(record: dict, name: str) -> float:
    return next(row["seconds"] for row in record["rows"] if row["name"] == name)


# Program, what is asked of it, the measured number, and whether it is reached.
GOALS: tuple[tuple[str, str, Callable[[dict], float], Callable[[float], bool]], ...] = (
    (
        "operations",
        "operations slower beyond the spread, ours in its faster layout, than the "
        "fastest of torchvision, kornia and imagecorruptions that computes the same: none",
        lambda r: float(len(r["slower_beyond_the_spread"])),
        lambda v: v == 0,
    ),
    (
        "operations",
        "on average (geometric mean) at least 2 × as fast as that",
        lambda r: r["geometric_mean"],
        lambda v: v >= 2,
    ),
    (
        "operations",
        "the same without gaussian_blur/1, which leaves 8-bit photographs as they are, "
        "so that ours returns them",
        lambda r: mean_without(r, "gaussian_blur/1"),
        lambda v: v >= 2,
    ),
    (
        "step",
        "the degrade step takes at most 0.10 of a training step of AlexNet",
        lambda r: r["shares"]["degrade: of alexnet's step"],
        lambda v: v <= 0.10,
    ),
    (
        "step",
        "and is at least 10 × as fast as a DataLoader of samples",
        lambda r: times(r, "degrade", "DataLoader, a sample"),
        lambda v: v >= 10,
    ),
    (
        "step",
        "a training step of AlexNet reaches 0.9 of the rate of its bare backbone",
        lambda r: r["shares"]["alexnet: of the bare backbone"],
        lambda v: v >= 0.9,
    ),
    (
        "step",
        "one of ResNet-18 too",
        lambda r: r["shares"]["resnet18: of the bare backbone"],
        lambda v: v >= 0.9,
    ),
    (
        "probes",
        "a probe of five layers: at least 15 × as fast as through the frozen network",
        lambda r: times(r, "five layers", "through the frozen network"),
        lambda v: v >= 15,
    ),
    (
        "probes",
        "the low-data experiment: at least 100 ×",
        lambda r: times(r, "low data", "through the frozen network"),
        lambda v: v >= 100,
    ),
    (
        "probes",
        "and at least 5 × as fast as scikit-learn",
        lambda r: times(r, "low data", "scikit-learn, at its fits' pace"),
        lambda v: v >= 5,
    ),
    (
        "start",
        "`import aesthlib` in under 2.5 s",
        lambda r: seconds(r, "import aesthlib"),
        lambda v: v < 2.5,
    ),
    (
        "start",
        "`aesthlib --help` in under 0.5 s",
        lambda r: seconds(r, "aesthlib --help"),
        lambda v: v < 0.5,
    ),
    (
        "start",
        "`make book` from nothing in under 30 s",
        lambda r: seconds(r, "make book"),
        lambda v: v < 30,
    ),
    (
        "explorer",
        "the slowest change of a slider in under 50 ms",
        lambda r: max(r["slowest_change_ms"].values()),
        lambda v: v < 50,
    ),
)


def goals(folder: Path) -> str:
    """Markdown of what was aimed at and what came out."""
    lines = ["\n## Goals\n", "| goal | measured | |", "|---|---:|---|"]
    for program, goal, measure, reached in GOALS:
        path = folder / f"{program}.json"
        try:
            value = measure(json.loads(path.read_text()))
        except (FileNotFoundError, StopIteration, KeyError):
            lines.append(f"| {goal} | | not measured |")
            continue
        lines.append(f"| {goal} | {text(value)} | {'reached' if reached(value) else 'missed'} |")
    return "\n".join(lines) + "\n"


def figure(folder: Path):
    """Each peer's time for each class over ours; hollow where it computes something else."""
    from aesthlib.report import figures

    rows = json.loads((folder / "operations.json").read_text())["rows"]
    ours = [row for row in rows if row["name"].startswith("aesthlib")]
    best = {}
    for row in ours:
        best[row["group"]] = min(row["seconds"], best.get(row["group"], row["seconds"]))
    peers = {}
    for row in rows:
        if row not in ours:
            entry = (row["group"], row["seconds"] / best[row["group"]], bool(row["same"]))
            peers.setdefault(row["name"], []).append(entry)
    return figures.speed_ratios(list(best), peers)


def text(value) -> str:
    if isinstance(value, bool) or value is None:
        return str(value).lower()
    if isinstance(value, dict):
        return "; ".join(f"{key} {text(item)}" for key, item in value.items()) or "none"
    if isinstance(value, list):
        return ", ".join(map(text, value)) or "none"
    return (
        f"{value:,.3g}"
        if isinstance(value, float) and abs(value) < 1000
        else (f"{value:,.0f}" if isinstance(value, float) else str(value))
    )


def duration(seconds: float) -> str:
    """Seconds in the unit that suits them."""
    for unit, length in (("h", 3600), ("min", 60), ("s", 1)):
        if seconds >= length:
            return f"{seconds / length:.3g} {unit}"
    return f"{1e3 * seconds:.3g} ms"


def once(row: dict) -> bool:
    """Whether the row was measured a single time, and so has no spread."""
    return row["low"] == row["seconds"] == row["high"]


def cells(row: dict, compared: bool) -> str:
    """Markdown of a measured row."""
    spread = "once" if once(row) else f"{duration(row['low'])} to {duration(row['high'])}"
    ratio = f"{row['ratio']:,.2f}" if compared else ""
    return (
        f"| {row['group']} | {row['name']} | {duration(row['seconds'])} | {spread} | "
        f"{row['per_second']:,.1f} | {ratio} | {row.get('note', '')} |"
    )


def section(name: str, title: str, folder: Path) -> str:
    """Markdown of one program's results; a long table is folded away."""
    path = folder / f"{name}.json"
    if not path.exists():
        where = " on a GPU" if name == "gpu" else ""
        told = f"Not measured yet{where}: `benchmarks/{name}.py` writes this table."
        return f"\n## {title}\n\n{told}\n"
    record = json.loads(path.read_text())
    machine, rows = record["machine"], record["rows"]
    threads = "one thread" if machine["threads"] == 1 else f"{machine['threads']} threads"
    gpu = "no GPU" if machine["gpu"] == "none" else machine["gpu"]
    rounds = "" if all(map(once, rows)) else f", {record['rounds']} rounds"
    compared = {row["group"] for row in rows if row["ratio"] != 1}
    lines = [
        f"\n## {title}\n",
        f"{machine['processor']}, {threads}, {gpu}{rounds}, {machine['day']}.\n",
    ]
    known = ("name", "machine", "rounds", "rows")
    lines += [
        f"- {key.replace('_', ' ')}: {text(value)}"
        for key, value in record.items()
        if key not in known
    ]
    fold = len(rows) > LONG
    lines += (
        ["", f":::{{dropdown}} All {len(rows)} rows"] * fold
        + [
            "",
            "| what | by | median | quartiles | a second | ratio | |",
            "|---|---|---:|---:|---:|---:|---|",
            *(cells(row, row["group"] in compared) for row in rows),
        ]
        + [":::"] * fold
    )
    return "\n".join(lines) + "\n"


def packages(folder: Path) -> str:
    """Markdown of the versions that the programs ran with, once for all that share them."""
    users = {}
    for name, title in PROGRAMS.items():
        path = folder / f"{name}.json"
        if path.exists():
            versions = json.loads(path.read_text())["machine"]["versions"]
            users.setdefault(", ".join(map(" ".join, versions.items())), []).append(title)
    lines = [f"- {', '.join(titles)}: {versions}." for versions, titles in users.items()]
    return "\n".join(["\n## Packages\n", *lines]) + "\n" if lines else ""


def page(folder: Path = RESULTS) -> str:
    """The whole page."""
    sections = [section(name, title, folder) for name, title in PROGRAMS.items()]
    shown = FIGURE if (folder / "operations.json").exists() else ""
    return HEAD + goals(folder) + shown + "".join(sections) + packages(folder)


if __name__ == "__main__":
    PAGE.write_text(page())
    if (RESULTS / "operations.json").exists():
        figure(RESULTS).savefig(RESULTS / "operations.png", dpi=150, metadata={"Software": None})
    print(f"wrote {PAGE.relative_to(ROOT)}")
