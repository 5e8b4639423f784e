"""What the programs here share: timing in turns, quartiles, the machine, the table and its file."""

import argparse
import ctypes
import importlib
import json
import platform
import statistics
import time
from collections.abc import Callable
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import torch

RESULTS = Path(__file__).resolve().parents[1] / "book" / "results" / "bench"
PACKAGES = (
    "torch",
    "torchvision",
    "numpy",
    "pillow",
    "scikit-learn",
    "kornia",
    "albumentations",
    "opencv-python-headless",
    "imagecorruptions",
)
ROUNDS = 7


def arguments(text: str, threads: int = 1, **more) -> argparse.Namespace:
    """The options of every program: --threads, --rounds, --small, --out, and name=default."""
    parser = argparse.ArgumentParser(description=text)
    parser.add_argument("--threads", type=int, default=threads)
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    parser.add_argument("--small", action="store_true", help="a small form, to see that it works")
    parser.add_argument("--out", type=Path, default=RESULTS, help="folder of the JSON")
    for name, default in more.items():
        parser.add_argument(f"--{name}", type=type(default), default=default)
    given = parser.parse_args()
    torch.set_num_threads(given.threads)
    keep_memory()
    return given


def keep_memory() -> None:
    """Let the C library keep freed memory: else page faults are timed, of all rows alike."""
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt:
        mallopt(-3, 1 << 30)  # M_MMAP_THRESHOLD
        mallopt(-1, 1 << 30)  # M_TRIM_THRESHOLD


def peer(name: str):
    """A package, or None with a line that says that it is missing and why."""
    try:
        return importlib.import_module(name)
    except Exception as error:  # peers fail in many ways beside newer versions of other packages
        print(f"missing: {name} ({type(error).__name__}: {error})")
        return None


def in_turns(works: dict[str, Callable[[], object]], rounds: int) -> dict[str, list[float]]:
    """Seconds of each work, A B A B …, after one turn that is not counted."""
    cuda = torch.cuda.is_available()
    seconds = {name: [] for name in works}
    for turn in range(rounds + 1):
        for name, work in works.items():
            if cuda:
                torch.cuda.synchronize()
            started = time.perf_counter()
            work()
            if cuda:
                torch.cuda.synchronize()
            if turn:
                seconds[name].append(time.perf_counter() - started)
    return seconds


def rows(group: str, seconds: dict[str, list[float]], items: int, **notes) -> list[dict]:
    """A row a work; `ratio` is how many times as fast the first one is.

    Args:
        group: what is measured.
        seconds: from `in_turns`.
        items: photographs, or what else is counted, of one turn.
        notes: dict by work for more columns, each name=dict.
    """
    first = statistics.median(next(iter(seconds.values())))
    found = []
    for name, values in seconds.items():
        low, median, high = quartiles(values)
        found.append(
            {
                "group": group,
                "name": name,
                "seconds": median,
                "low": low,
                "high": high,
                "per_second": items / median,
                "ratio": median / first,
                **{key: per[name] for key, per in notes.items() if name in per},
            }
        )
    return found


def quartiles(values: list[float]) -> tuple[float, float, float]:
    if len(values) < 2:
        return (values[0],) * 3
    return tuple(statistics.quantiles(values, n=4, method="inclusive"))


def machine() -> dict:
    """What the figures were measured on."""
    processor = platform.processor() or platform.machine()
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        processor = next(x.split(":")[1].strip() for x in lines if x.startswith("model name"))
    except (OSError, StopIteration):
        pass
    versions = {"python": platform.python_version()}
    for name in PACKAGES:
        try:
            versions[name] = version(name)
        except PackageNotFoundError:
            versions[name] = "missing"
    device = torch.cuda.get_device_name() if torch.cuda.is_available() else "none"
    return {
        "processor": processor,
        "threads": torch.get_num_threads(),
        "gpu": device,
        "day": time.strftime("%Y-%m-%d"),
        "versions": versions,
    }


def report(name: str, found: list[dict], given: argparse.Namespace, **more) -> None:
    """Print the table and write OUT/NAME.json; the small form writes no file."""
    print(f"\n{name}: {given.threads} threads, {given.rounds} rounds")
    print(f"{'what':26}{'by':24}{'ms':>10}{'quartiles':>20}{'per second':>13}{'ratio':>8}")
    for row in found:
        spread = f"{1e3 * row['low']:.2f} … {1e3 * row['high']:.2f}"
        told = f"  {row['note']}" if row.get("note") else ""
        print(
            f"{row['group']:26}{row['name']:24}{1e3 * row['seconds']:10.2f}{spread:>20}"
            f"{row['per_second']:13,.1f}{row['ratio']:8.2f}{told}"
        )
    for key, value in more.items():
        print(f"{key}: {value}")
    if given.small:
        print("the small form writes no file")
        return
    given.out.mkdir(parents=True, exist_ok=True)
    record = {"name": name, "machine": machine(), "rounds": given.rounds, "rows": found, **more}
    (given.out / f"{name}.json").write_text(json.dumps(record, indent=1) + "\n")
