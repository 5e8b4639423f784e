"""Seconds until something happens: the package, the command, a page's imports, the book.

    python benchmarks/start.py [--book 0]

Each in a process of its own, in turns; then one `make book` from nothing, for which `_build` and
`book/executed` are removed. `--book 0` leaves that out.
"""

import shutil
import subprocess
import sys
import time
from pathlib import Path

import timing

ROOT = Path(__file__).resolve().parents[1]
GOALS = {"import aesthlib": 2.5, "aesthlib --help": 0.5, "make book": 30}
PAGE = "import aesthlib.report.figures, aesthlib.study, aesthlib.report.claims"


def call(*command: str) -> None:
    subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.DEVNULL)


def main() -> None:
    given = timing.arguments(__doc__.splitlines()[0], book=1)
    if given.small:
        given.rounds = 1
    works = {
        "import aesthlib": lambda: call(sys.executable, "-c", "import aesthlib"),
        "aesthlib --help": lambda: call(sys.executable, "-m", "aesthlib", "--help"),
        "import torch": lambda: call(sys.executable, "-c", "import torch"),
        "imports of a page": lambda: call(sys.executable, "-c", PAGE),
    }
    seconds = timing.in_turns(works, given.rounds)
    if given.book and not given.small:
        for folder in ("_build", "book/executed"):
            shutil.rmtree(ROOT / folder, ignore_errors=True)
        started = time.perf_counter()
        call("make", "book")
        seconds["make book"] = [time.perf_counter() - started]
    goals = {name: f"goal: under {GOALS[name]:g} s" for name in seconds if name in GOALS}
    rows = [
        row
        for name, values in seconds.items()
        for row in timing.rows("start", {name: values}, 1, note=goals)
    ]
    timing.report("start", rows, given)


if __name__ == "__main__":
    main()
