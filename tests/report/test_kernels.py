"""Forked kernels: the same page as from one of its own, the same errors, and none left behind."""

import time
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path

import pytest

from aesthlib.report import notebooks
from aesthlib.report.notebooks import NotebookError

pytest.importorskip("papermill", reason="runs notebooks")

PAGE = """# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% tags=["parameters"]
scale = "smoke"
store = "runs"
load_only = False
last = ""

# %%
import os
from pathlib import Path
from matplotlib import pyplot
_ = Path("pid").write_text(str(os.getpid()))
print(__name__)

# %%
_ = pyplot.figure(figsize=(2, 1)).subplots().plot([1, 3, 2])

# %%
exec(last)
"""


@pytest.fixture
def page(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    source = tmp_path / "notebooks" / "01_thing.py"
    source.parent.mkdir()
    source.write_text(PAGE)

    def run(last="", forked=True) -> bytes:
        target = tmp_path / "made.ipynb"
        execute = notebooks._apart if forked else notebooks.execute
        return execute(source, {"last": last}, target, tmp_path / "failed").read_bytes()

    return run


def gone(pid: int) -> bool:
    for _ in range(100):
        if not Path(f"/proc/{pid}").exists():
            return True
        time.sleep(0.1)
    return False


@pytest.mark.slow
def test_a_forked_kernel_makes_the_same_page_and_ends(page, tmp_path):
    forked = page()
    assert b"image/png" in forked
    assert gone(int((tmp_path / "pid").read_text()))
    assert page(forked=False) == forked


@pytest.mark.slow
def test_a_forked_kernel_has_its_imports_done(page):
    page("import sys; assert 'aesthlib.report.preloaded' in sys.modules")


@pytest.mark.slow
def test_a_kernel_ends_with_the_page_that_is_cut_off(page, tmp_path):
    last = "import os, signal; os.kill(os.getppid(), signal.SIGKILL)"
    with pytest.raises(BrokenProcessPool):
        page(last)
    assert gone(int((tmp_path / "pid").read_text()))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("last", "message"),
    [
        ("raise RuntimeError('the lamp is out')", "failed in cell.*the lamp is out"),
        ("os._exit(1)", "stopped"),
    ],
)
def test_what_fails_in_a_forked_kernel_is_an_error(page, tmp_path, last, message):
    with pytest.raises(NotebookError, match=f"(?s){message}"):
        page(last)
    assert gone(int((tmp_path / "pid").read_text()))
