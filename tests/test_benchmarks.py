"""The benchmarks' page: what the last results say, and what was not measured."""

import argparse
import importlib.util
import json
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture(scope="module")
def page():
    spec = importlib.util.spec_from_file_location("page", ROOT / "benchmarks" / "page.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_books_page_is_that_of_the_stored_results(page):
    assert page.PAGE.read_text() == page.page()


def test_every_program_has_a_section(page):
    shared = {"timing", "page"}
    programs = {path.stem for path in (ROOT / "benchmarks").glob("*.py")} - shared
    assert programs == set(page.PROGRAMS)


def test_what_was_not_measured_is_said(page, tmp_path):
    text = page.page(tmp_path)
    assert text.count("| not measured |") == len(page.GOALS) and "```{image}" not in text
    assert text.count("Not measured yet") == len(page.PROGRAMS)
    assert "Not measured yet on a GPU: `benchmarks/gpu.py`" in text


def test_a_result_becomes_a_table_with_its_machine(page, tmp_path):
    row = {
        "group": "jpeg/1",
        "name": "Pillow",
        "seconds": 0.05,
        "low": 0.04,
        "high": 0.06,
        "per_second": 1280.0,
        "ratio": 2.5,
        "note": "same, differs by 0",
    }
    machine = {
        "processor": "a processor",
        "threads": 1,
        "gpu": "none",
        "day": "2026-11-24",
        "versions": {"torch": "2.13.0", "kornia": "missing"},
    }
    record = {
        "name": "operations",
        "machine": machine,
        "rounds": 7,
        "rows": [row],
        "never_slower": False,
        "against_fastest": {"jpeg/1": 2.5},
    }
    (tmp_path / "operations.json").write_text(json.dumps(record))
    text = page.section("operations", "Operations", tmp_path)
    assert "a processor, one thread, no GPU, 7 rounds, 2026-11-24." in text
    assert (
        "| jpeg/1 | Pillow | 50 ms | 40 ms to 60 ms | 1,280.0 | 2.50 | same, differs by 0 |" in text
    )
    assert "{dropdown}" not in text
    assert "- Operations: torch 2.13.0, kornia missing." in page.packages(tmp_path)
    assert "- never slower: false" in text and "- against fastest: jpeg/1 2.5" in text


@pytest.mark.parametrize(
    ("seconds", "told"), [(0.0214, "21.4 ms"), (1.0, "1 s"), (90, "1.5 min"), (12809.2, "3.56 h")]
)
def test_durations_have_the_unit_that_suits_them(page, seconds, told):
    assert page.duration(seconds) == told


def test_a_long_table_is_folded_and_what_ran_once_says_so(page, tmp_path):
    row = {
        "group": "step",
        "name": "ours",
        "seconds": 5.0,
        "low": 5.0,
        "high": 5.0,
        "per_second": 2.0,
        "ratio": 1.0,
    }
    machine = {"processor": "a processor", "threads": 2, "gpu": "a card", "day": "2026-11-24"}
    record = {"machine": machine, "rounds": 1, "rows": [row] * (page.LONG + 1)}
    (tmp_path / "growth.json").write_text(json.dumps(record))
    text = page.section("growth", "Growth", tmp_path)
    assert f":::{{dropdown}} All {page.LONG + 1} rows" in text and text.endswith(":::\n")
    assert "2 threads, a card" in text and "| step | ours | 5 s | once | 2.0 |  |  |" in text


def test_goals_are_judged_by_the_measured_numbers(page, tmp_path):
    rows = [
        {"group": "start", "name": "import aesthlib", "seconds": 0.1},
        {"group": "start", "name": "aesthlib --help", "seconds": 0.6},
    ]
    (tmp_path / "start.json").write_text(json.dumps({"rows": rows}))
    text = page.goals(tmp_path)
    assert "| `import aesthlib` in under 2.5 s | 0.1 | reached |" in text
    assert "| `aesthlib --help` in under 0.5 s | 0.6 | missed |" in text
    assert "| `make book` from nothing in under 30 s | | not measured |" in text


def test_the_figure_puts_peers_beside_the_faster_of_ours(page, tmp_path):
    rows = [("aesthlib", 0.02, None), ("aesthlib, planar", 0.01, None), ("Pillow", 0.03, True)]
    keys = ("name", "seconds", "same")
    rows = [{"group": "jpeg/1"} | dict(zip(keys, row, strict=True)) for row in rows]
    (tmp_path / "operations.json").write_text(json.dumps({"rows": rows}))
    (axis,) = page.figure(tmp_path).axes
    assert [list(line.get_xdata()) for line in axis.lines if line.get_label() == "Pillow"] == [[3]]


@pytest.fixture
def gpu(monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))
    spec = importlib.util.spec_from_file_location("bench_gpu", ROOT / "benchmarks" / "gpu.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_what_fails_on_the_gpu_is_noted_and_the_rest_is_written_at_once(gpu, tmp_path):
    given = argparse.Namespace(small=False, out=tmp_path, rounds=1, minutes=1.0, size=96)
    bench = gpu.Bench(given, "cpu")

    def broken():
        raise RuntimeError("no kernel")

    bench.measure("first", {"broken": broken, "whole": lambda: 1}, 10)
    written = json.loads((tmp_path / "gpu.json").read_text())
    assert [(row["group"], row["name"]) for row in written["rows"]] == [("first", "whole")]
    assert written["failed"] == {"first: broken": "RuntimeError: no kernel"}
    bench.note("shares", {"a": 0.5})
    assert json.loads((tmp_path / "gpu.json").read_text())["shares"] == {"a": 0.5}
    given.minutes = 0
    assert bench.measure("late", {"whole": lambda: 1}, 10) == []
    assert bench.found["skipped"] == ["late"]
