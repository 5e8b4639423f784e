"""The runner closes papermill's gaps; the project's own notebooks run."""

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from multiprocessing import forkserver
from pathlib import Path

import pytest

from aesthlib.report import notebooks
from aesthlib.report.notebooks import NotebookError
from aesthlib.study import SCALES

nbformat = pytest.importorskip("nbformat", reason="reads executed notebooks")
pytest.importorskip("papermill", reason="runs notebooks")

ROOT = Path(__file__).resolve().parents[2]
HEADER = """# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---
"""
GOOD = """
# %% tags=["parameters"]
scale = "smoke"
store = "runs"
rate = 0.1  # a comment
count = 3
flag = False

# %%
import sys
print("progress 10 %", file=sys.stderr)
print(f"{scale} {rate} {count + 1} {flag}")
object()
"""


@pytest.fixture
def source(tmp_path, monkeypatch):
    """A folder with one notebook; it is the working directory."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "notebooks").mkdir()

    def write(body: str, name: str = "01_thing") -> Path:
        path = tmp_path / "notebooks" / f"{name}.py"
        path.write_text(HEADER + body)
        return path

    return write


def test_parameters_are_the_typed_literals_of_the_tagged_cell(source):
    expected = {"scale": "smoke", "store": "runs", "rate": 0.1, "count": 3, "flag": False}
    assert notebooks.parameters(source(GOOD)) == expected


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"rat": 1.0}, "unknown parameter rat; known: scale, store, rate, count, flag"),
        ({"count": 2.5}, "count must be of type int"),
        ({"count": True}, "count must be of type int"),
        ({"count": "many"}, "count must be of type int"),
        ({"flag": "no"}, "flag must be of type bool"),
        ({"flag": 0}, "flag must be of type bool"),
        ({"rate": "1e-4x"}, "rate must be of type float"),
        ({"scale": 3}, "scale must be of type str"),
    ],
)
def test_wrong_names_and_types_are_errors(source, given, message):
    with pytest.raises(NotebookError, match=message):
        notebooks.check(source(GOOD), given)


def test_strings_are_read_as_the_parameters_type(source):
    given = {"rate": "1e-4", "count": "7", "flag": "true", "scale": "7"}
    read = notebooks.check(source(GOOD), given)
    assert (read["rate"], read["count"], read["flag"], read["scale"]) == (1e-4, 7, True, "7")
    assert notebooks.check(source(GOOD), {"rate": 2})["rate"] == 2.0


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ("# %%\na = 1\n", "needs one cell tagged parameters, has 0"),
        ('# %% tags=["parameters"]\na = 1\nb = a + 1\n', "line 2: only `name = literal`"),
        ('# %% tags=["parameters"]\nimport os\n', "line 1: only `name = literal`"),
    ],
)
def test_a_notebook_without_plain_parameters_is_an_error(source, body, message):
    with pytest.raises(NotebookError, match=message):
        notebooks.parameters(source(body))


def test_a_page_is_made_once_and_the_same_bytes_again(source, tmp_path, capsys):
    source(GOOD)
    target, lines = tmp_path / "book" / "smoke", []
    (page,) = notebooks.run((), {"count": 4}, target, lines.append)
    first = page.read_bytes()
    outputs = [o for cell in nbformat.read(page, 4).cells for o in cell.get("outputs", [])]
    assert outputs[0].text == "smoke 0.1 5 False\n"
    assert all(o.get("name") != "stderr" for o in outputs)  # progress went to the terminal
    assert "progress 10 %" in capsys.readouterr().err
    assert str(tmp_path) not in first.decode()

    notebooks.run((), {"count": 4}, target, lines.append)
    assert lines[-1] == "[1/1] 01_thing: up to date"
    page.write_text("replaced")
    notebooks.run((), {"count": 4}, target, lines.append)
    assert page.read_bytes() == first


def test_a_failed_notebook_is_an_error_and_never_published(source, tmp_path):
    source(GOOD)
    (page,) = notebooks.run((), {}, tmp_path / "book" / "smoke", print)
    good = page.read_bytes()
    source(GOOD + "\n# %%\nraise RuntimeError('the lamp is out')\n")
    with pytest.raises(NotebookError, match="(?s)01_thing.py failed in cell.*the lamp is out"):
        notebooks.run((), {}, tmp_path / "book" / "smoke", print)
    assert page.read_bytes() == good
    failed = nbformat.read(tmp_path / "book" / "failed" / "01_thing.ipynb", 4)
    assert "the lamp is out" in str(failed.cells[-1].outputs)


def test_a_dead_kernel_is_an_error(source, tmp_path):
    source(GOOD + "\n# %%\nimport os\nos._exit(1)\n")
    with pytest.raises(NotebookError, match="stopped"):
        notebooks.run((), {}, tmp_path / "book" / "smoke", print)


@pytest.mark.slow
def test_pages_that_only_load_are_made_side_by_side(source, tmp_path, monkeypatch):
    monkeypatch.setattr(notebooks.os, "cpu_count", lambda: 2)
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)  # each process then takes one thread
    forkserver._forkserver._stop()  # one of an earlier test has that test's environment
    loads = GOOD.replace("flag = False", "flag = False\nload_only = False")
    loads += "\n# %%\nimport os\nprint(load_only, os.environ['OMP_NUM_THREADS'])\n"
    source(loads, "01_thing")
    source(loads.replace("count = 3", "count = 7"), "02_other")
    target, lines = tmp_path / "book" / "smoke", []
    pages = notebooks.run((), {"load_only": True}, target, lines.append)
    assert [page.name for page in pages] == ["01_thing.ipynb", "02_other.ipynb"]
    assert sorted(lines) == ["[1/2] 01_thing: done", "[2/2] 02_other: done"]
    for page, count in zip(pages, (4, 8), strict=True):
        printed = [
            o.text
            for cell in nbformat.read(page, 4).cells
            for o in cell.get("outputs", [])
            if "text" in o
        ]
        assert printed == [f"smoke 0.1 {count} False\n", "True 1\n"]
    notebooks.run((), {"load_only": True}, target, lines.append)
    assert lines[2:] == ["[1/2] 01_thing: up to date", "[2/2] 02_other: up to date"]


def test_one_of_several_that_fails_is_an_error(source, tmp_path, monkeypatch):
    for name in ("01_thing", "02_other", "03_third"):
        source(GOOD.replace("flag = False", "flag = False\nload_only = False"), name)

    def execute(path, chosen, page, failed, forked):
        assert forked
        if path.stem == "02_other":
            raise NotebookError(f"{path} failed in cell 3: the lamp is out")
        page.parent.mkdir(parents=True, exist_ok=True)
        page.write_text("made")

    monkeypatch.setattr(notebooks, "execute", execute)
    monkeypatch.setattr(notebooks.os, "cpu_count", lambda: 2)
    monkeypatch.setattr(
        notebooks, "ProcessPoolExecutor", lambda count, *rest, **named: ThreadPoolExecutor(count)
    )
    target = tmp_path / "book" / "smoke"
    with pytest.raises(NotebookError, match="02_other.py failed in cell 3: the lamp is out"):
        notebooks.run((), {"load_only": True}, target, print)
    assert not (target / "02_other.ipynb").exists()
    assert not (target / "stamps.json").exists()  # none is said to be up to date


@pytest.mark.parametrize("given", [{}, {"load_only": False}])
def test_what_computes_has_the_machine_to_itself(given, source, tmp_path, monkeypatch):
    for name in ("01_thing", "02_other"):
        source(GOOD.replace("flag = False", "flag = False\nload_only = False"), name)
    monkeypatch.setattr(notebooks, "ProcessPoolExecutor", None)
    made = []

    def execute(path, chosen, page, failed):
        made.append((path.stem, chosen))
        page.parent.mkdir(parents=True, exist_ok=True)
        page.write_text("made")

    monkeypatch.setattr(notebooks, "execute", execute)
    lines = []
    notebooks.run((), given, tmp_path / "book", lines.append)
    assert made == [("01_thing", given), ("02_other", given)]
    assert lines == ["[1/2] 01_thing: running", "[2/2] 02_other: running"]


def test_a_parameter_goes_to_the_notebooks_that_have_it(source, tmp_path, monkeypatch):
    source(GOOD, "01_thing")
    source(GOOD.replace("rate = 0.1  # a comment\n", "").replace("{rate} ", ""), "02_other")
    given = {}

    def execute(path, chosen, page, failed):
        given[path.stem] = chosen
        page.parent.mkdir(parents=True, exist_ok=True)
        page.write_text("made")

    monkeypatch.setattr(notebooks, "execute", execute)
    notebooks.run((), {"rate": 0.5, "count": 1}, tmp_path / "book", print)
    assert given == {"01_thing": {"rate": 0.5, "count": 1}, "02_other": {"count": 1}}


def test_nothing_runs_when_a_name_is_wrong_for_all(source, tmp_path):
    source(GOOD)
    with pytest.raises(NotebookError, match="unknown parameter speed"):
        notebooks.run((), {"speed": 1}, tmp_path / "book", print)
    with pytest.raises(NotebookError, match="no notebook 'other'; known: 01_thing"):
        notebooks.run(("other",), {}, tmp_path / "book", print)
    assert not (tmp_path / "book").exists()


@pytest.mark.parametrize("name", [path.stem for path in notebooks.find(folder=ROOT / "notebooks")])
def test_own_notebooks_are_plain_sources_with_parameters(name):
    path = ROOT / "notebooks" / f"{name}.py"
    found = notebooks.parameters(path)
    assert {"scale", "store", "data_root", "load_only", "device"} <= set(found)
    text = path.read_text()
    assert not any(word in text for word in ("\ndef ", "\nclass ", "!pip", "for epoch"))


@pytest.mark.slow
@pytest.mark.parametrize("name", [path.stem for path in notebooks.find(folder=ROOT / "notebooks")])
def test_own_notebooks_run_by_papermill_after_a_conversion(name, tmp_path):
    """From the published records, as a reader would: jupytext, then papermill."""
    python = Path(sys.executable)
    converted = tmp_path / f"{name}.ipynb"
    subprocess.run(
        [python, "-m", "jupytext", "--to", "ipynb", f"notebooks/{name}.py", "-o", converted],
        cwd=ROOT,
        check=True,
        capture_output=True,
    )
    scale = "smoke" if name in SCALES["smoke"].pages else "study"
    done = subprocess.run(
        [
            python,
            "-m",
            "papermill",
            converted,
            tmp_path / "out.ipynb",
            "-p",
            "scale",
            scale,
            "-p",
            "store",
            "book/results",
            "-p",
            "load_only",
            "True",
        ],
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr[-2000:]
