"""Live progress on standard error: a bar in a terminal, a line now and then elsewhere."""

import sys

from tqdm import tqdm


def bar(items=None, *, total: int | None = None, unit: str, label: str, initial: int = 0):
    """A tqdm bar. Where standard error is no terminal (a log, a notebook run by papermill) it
    writes at most one line in five seconds."""
    live = sys.stderr.isatty()
    return tqdm(
        items,
        total=total,
        unit=unit,
        desc=label,
        initial=initial,
        file=sys.stderr,
        dynamic_ncols=live,
        ncols=None if live else 160,
        mininterval=0.2 if live else 5.0,
        ascii=not live,
        leave=True,
    )


def note(text: str) -> None:
    """Say a line on standard error."""
    print(text, file=sys.stderr, flush=True)
