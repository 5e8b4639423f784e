"""Runs notebooks through papermill, and closes its gaps.

Parameters are checked by name and type before anything runs, a failed notebook is an error and
never reaches the book, and what differs between two equal runs is taken out of the result.
"""

import ast
import os
import re
import sys
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor, as_completed
from pathlib import Path

from ..store import files, records

SOURCES = "notebooks"
EXECUTED = "book/executed"
FORKED = "aesthlib.report.kernels.ForkedKernelManager"
TIMEOUT_SECONDS = 7 * 24 * 3600  # a cell may train for days


class NotebookError(RuntimeError):
    """A notebook that cannot be run as asked, or that failed."""


def find(names: tuple[str, ...] = (), folder: Path = Path(SOURCES)) -> list[Path]:
    """Notebook sources in order, all or those named, with or without number and suffix.

    Raises:
        NotebookError: no notebook of that name, or none at all.
    """
    every = sorted(Path(folder).glob("[0-9][0-9]_*.py"))
    if not every:
        raise NotebookError(
            f"no notebooks in {Path(folder).resolve()}: run from the project's root"
        )
    chosen = []
    for name in names or [path.stem for path in every]:
        matching = [path for path in every if name in (path.stem, path.name, path.stem[3:])]
        if not matching:
            known = ", ".join(path.stem for path in every)
            raise NotebookError(f"no notebook {name!r}; known: {known}")
        chosen += matching
    return chosen


def parameters(source: Path) -> dict:
    """Default parameters of a notebook: the typed literals of its cell tagged "parameters".

    Raises:
        NotebookError: not exactly one such cell, or something else than `name = literal` in it.
    """
    import jupytext

    cells = [
        cell.source
        for cell in jupytext.read(source).cells
        if "parameters" in cell.metadata.get("tags", [])
    ]
    if len(cells) != 1:
        raise NotebookError(f"{source}: needs one cell tagged parameters, has {len(cells)}")
    found = {}
    for statement in ast.parse(cells[0]).body:
        try:
            (name,) = statement.targets
            found[name.id] = ast.literal_eval(statement.value)
        except (AttributeError, ValueError, TypeError):
            raise NotebookError(
                f"{source}, parameters cell, line {statement.lineno}: only `name = literal` may "
                f"stand here, got {ast.unparse(statement)}"
            ) from None
    return found


def check(source: Path, given: dict) -> dict:
    """The parameters to run with, defaults included.

    Args:
        given: by name; a string is read as a literal where the default is no string.

    Raises:
        NotebookError: an unknown name or a value of another type; names the known ones.
    """
    defaults = parameters(source)
    unknown = sorted(set(given) - set(defaults))
    if unknown:
        raise NotebookError(
            f"{source}: unknown parameter {', '.join(unknown)}; known: {', '.join(defaults)}"
        )
    return defaults | {name: _typed(source, name, given[name], defaults[name]) for name in given}


def _typed(source: Path, name: str, value, default):
    if isinstance(value, str) and not isinstance(default, str):
        try:
            value = ast.literal_eval({"true": "True", "false": "False"}.get(value, value))
        except (ValueError, SyntaxError):
            pass
    if type(default) is float and type(value) is int:
        value = float(value)
    if type(value) is not type(default):
        raise NotebookError(
            f"{source}: parameter {name} must be of type {type(default).__name__} like its default "
            f"{default!r}, got {value!r}"
        )
    return value


def execute(source: Path, given: dict, target: Path, failed: Path, forked: bool = False) -> Path:
    """Run one notebook and put the result in place; what stood there stays if it fails.

    Args:
        source: jupytext percent script.
        given: parameters.
        target: .ipynb to write.
        failed: folder where a failed notebook is kept to look at.
        forked: the kernel is a fork of `kernels.context`'s server, which has done its imports.

    Raises:
        NotebookError: wrong parameters or a failure; says where the failed notebook is.
    """
    import jupytext
    import nbformat
    import papermill
    from nbclient.exceptions import CellTimeoutError, DeadKernelError
    from papermill.exceptions import PapermillExecutionError
    from traitlets.config import Config

    chosen = check(source, given)
    result = Path(failed) / f"{source.stem}.ipynb"
    result.parent.mkdir(parents=True, exist_ok=True)
    try:
        notebook = papermill.execute_notebook(
            jupytext.read(source),
            str(result),
            chosen,
            kernel_name="python3",
            progress_bar=False,
            log_output=False,
            stderr_file=sys.stderr,
            execution_timeout=TIMEOUT_SECONDS,
            iopub_timeout=600,  # nbclient's 4 s lose outputs in silence on a busy machine
            raise_on_iopub_timeout=True,
            config=Config(KernelManager={"transport_encryption": "auto"}),
            **{"kernel_manager_class": "aesthlib.report.kernels.ForkedKernelManager"}
            if forked
            else {},
        )
    except PapermillExecutionError as error:
        raise NotebookError(
            f"{source} failed in cell {error.cell_index}: {error.ename}: {error.evalue}\n"
            f"the failed notebook is {result}; the book keeps what it had"
        ) from error
    except (CellTimeoutError, DeadKernelError) as error:
        raise NotebookError(
            f"{source} stopped: {error}; the failed notebook is {result}"
        ) from error
    files.write_bytes(target, nbformat.writes(scrub(notebook)).encode())
    result.unlink()
    return target


def scrub(notebook):
    """Take out of a notebook what differs between equal runs: times, ids, addresses, progress."""
    notebook.metadata = {
        key: value
        for key, value in notebook.metadata.items()
        if key in ("kernelspec", "language_info")
    }
    for index, cell in enumerate(notebook.cells):
        cell["id"] = f"cell-{index:02d}"
        cell.metadata = {k: v for k, v in cell.metadata.items() if k in ("tags", "mystnb")}
        if cell.cell_type != "code":
            continue
        cell.outputs = [
            output
            for output in cell.outputs
            if not (output.output_type == "stream" and output.name == "stderr")
        ]
        for output in cell.outputs:
            output.pop("metadata", None) if output.output_type == "stream" else None
            if "text" in output:
                output.text = _plain(output.text)
            for kind in ("text/plain", "text/html"):
                if kind in output.get("data", {}):
                    output.data[kind] = _plain(output.data[kind])
    return notebook


def _plain(text: str) -> str:
    return re.sub(r"0x[0-9a-f]{6,}", "0x…", text)


def run(names: tuple[str, ...], given: dict, target: Path, log=print) -> list[Path]:
    """Run notebooks, those that are up to date excepted.

    Those that only load run side by side, one a processor; what computes has the machine to itself.
    A page is up to date if it, its source, its parameters, the package and the records of its scale
    in its store are as they were when it was made.

    Args:
        names: see `find`; () for all.
        given: parameters; each notebook gets those it has, and one that none has is an error.
        target: folder of the executed notebooks.
        log: takes a line on each notebook.

    Returns:
        The executed notebooks.
    """
    chosen = {source: _known(source, given) for source in find(names)}
    sources = list(chosen)
    unknown = sorted(set(given) - {name for known in chosen.values() for name in known})
    if unknown:
        check(sources[-1], {name: given[name] for name in unknown})
    for source, known in chosen.items():
        check(source, known)
    stamps_path = Path(target) / "stamps.json"
    stamps = files.read_json(stamps_path) if stamps_path.exists() else {}
    pages = [Path(target) / f"{source.stem}.ipynb" for source in sources]
    outdated = []
    for number, (source, page) in enumerate(zip(sources, pages, strict=True), start=1):
        if (
            page.exists()
            and not chosen[source].get("data_root")  # whose photographs may have changed
            and stamps.get(source.stem) == _stamp(source, chosen[source], page)
        ):
            log(f"[{number}/{len(sources)}] {source.stem}: up to date")
            continue
        outdated.append((number, source, page))
    together = min(os.cpu_count() or 1, len(outdated)) if given.get("load_only") is True else 1
    failed = Path(target).parent / "failed"
    if together < 2:
        for number, source, page in outdated:
            log(f"[{number}/{len(sources)}] {source.stem}: running")
            execute(source, chosen[source], page, failed)
    else:
        # papermill changes the working directory, so processes; each page has its own
        with ThreadPoolExecutor(together) as pool:
            waiting = {
                pool.submit(_apart, source, chosen[source], page, failed): (number, source)
                for number, source, page in outdated
            }
            try:
                for done in as_completed(waiting):
                    number, source = waiting[done]
                    done.result()
                    log(f"[{number}/{len(sources)}] {source.stem}: done")
            except BaseException:
                pool.shutdown(wait=False, cancel_futures=True)
                raise
    made = {
        source.stem: _stamp(source, chosen[source], page)
        for source, page in zip(sources, pages, strict=True)
    }
    if made.items() - stamps.items():
        files.write_json(stamps_path, stamps | made)
    return pages


def _apart(*given) -> Path:
    """`execute` in a process of its own, forked with the imports done."""
    from . import kernels

    with ProcessPoolExecutor(1, kernels.context()) as pool:
        return pool.submit(execute, *given, True).result()


def _known(source: Path, given: dict) -> dict:
    """Of the given parameters those that the notebook has."""
    defaults = parameters(source)
    return {name: value for name, value in given.items() if name in defaults}


def _stamp(source: Path, given: dict, page: Path) -> str:
    """Names all that a page was made from, and the page itself."""
    chosen = check(source, given)
    store = Path(chosen["store"])
    known = [
        [path.name, files.sha256(path)]
        for path in sorted(store.glob("records/*.json"))
        if files.read_json(path).get("scale") == chosen["scale"]
    ]
    made = [files.sha256(path) for path in (source, page)]
    return files.digest([made, chosen, records.CODE_SHA256, known])
