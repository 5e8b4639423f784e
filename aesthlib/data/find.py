"""Which photographs lie below a folder, and what is passed over on the way, with the reason."""

import errno
import os
import stat
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

HEIC = find_spec("pillow_heif") is not None  # the extra `heic`
_OF_HEIC = (".heic", ".heif", ".hif")
SUFFIXES = (
    *(".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".webp", ".avif", ".bmp", ".tif", ".tiff", ".gif"),
    *(_OF_HEIC if HEIC else ()),
)
THUMBNAILS = ("@eaDir", "__MACOSX", "#recycle", "$RECYCLE.BIN")
LEFT_BY_SYSTEMS = ("thumbs.db", "desktop.ini", "ehthumbs.db")
RAW = (
    *(".3fr", ".arw", ".cr2", ".cr3", ".crw", ".dcr", ".dng", ".erf", ".iiq", ".kdc", ".mef"),
    *(".mrw", ".nef", ".nrw", ".orf", ".pef", ".raf", ".raw", ".rw2", ".rwl", ".sr2", ".srf"),
    *(".srw", ".x3f"),
)
OTHER_PICTURES = (
    *(".ai", ".bpg", ".dds", ".emf", ".eps", ".exr", ".hdr", ".icns", ".ico", ".j2k", ".jp2"),
    *(".jpx", ".jxl", ".jxr", ".pbm", ".pcx", ".pgm", ".pnm", ".ppm", ".ps", ".psb", ".psd"),
    *(".sgi", ".svg", ".tga", ".wmf", ".xcf", ".apng", ".jp2k"),
)
FILMS = (".3gp", ".avi", ".m4v", ".mkv", ".mov", ".mp4", ".mpg", ".mts", ".webm", ".wmv")


@dataclass(frozen=True)
class Source:
    """A photograph to pack: `name` in the manifest, `path` on disk, `split` and `label`, if any."""

    name: str
    path: Path
    split: str = "train"
    label: str = ""


@dataclass(frozen=True)
class Survey:
    """What lies below a folder.

    Attributes:
        sources: the photographs, sorted by name.
        passed_over: (name, reason) of everything else, sorted by name.
    """

    sources: tuple[Source, ...]
    passed_over: tuple[tuple[str, str], ...]

    def say(self) -> str:
        """What was passed over, in one line; "" where there is nothing."""
        return say(self.passed_over)


def say(passed_over: Iterable[tuple[str, str]]) -> str:
    """Counts by reason with a name each, as in "3 HEIC, not read (a.heic, …)"."""
    passed_over = list(passed_over)
    counts, first = Counter(reason for _, reason in passed_over), {}
    for name, reason in passed_over:
        first.setdefault(reason, name)
    told = [
        f"{count:,} {reason} ({printable(first[reason])}{', …' if count > 1 else ''})"
        for reason, count in counts.most_common()
    ]
    return "passed over: " + "; ".join(told) if told else ""


def printable(name: str) -> str:
    """A file's name on one line of text that any terminal takes; foreign bytes become \\xNN."""
    told = name.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
    return "".join(c if c.isprintable() else ascii(c)[1:-1] for c in told)


def name_of(folder: Path) -> str:
    """A folder's own name as photographs are called by it: text, and short enough for a file."""
    told = Path(folder).resolve().name.encode("utf-8", "surrogateescape")[:200]
    return told.decode("utf-8", "replace")


def find(folder: Path, labelled: bool = False) -> list[Source]:
    """Image files below a folder, sorted by name; `survey` tells what is passed over.

    Args:
        labelled: the folders right below are classes, their names the labels.

    Raises:
        FileNotFoundError: the folder does not exist.
        OSError: it may not be read, or the disk is at fault.
        ValueError: it holds no file with an image's suffix; says what it holds instead.
    """
    return list(survey(folder, labelled).sources)


def survey(folder: Path, labelled: bool = False) -> Survey:
    """As `find`, with the names of what is passed over and why.

    Links to files and folders are followed. A folder that is reached twice is searched once, under
    its own place before a link's, so that no photograph counts twice and no circle is endless.
    Hidden files and folders, thumbnails that systems leave, kinds that are not read, what is no
    plain file and what may not be read are passed over. Arguments and errors are those of `find`.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise FileNotFoundError(f"{folder} is not a folder; name the folder of your photographs")
    if not os.access(folder, os.R_OK | os.X_OK):
        raise PermissionError(f"{folder} may not be read: check its permissions")
    names, passed = walk(folder)
    names.sort(key=lambda name: name.split("/"))
    if not names:
        held = say(sorted(passed))
        raise ValueError(
            f"{printable(str(folder))} holds no photographs (looked for {', '.join(SUFFIXES)})"
            + (f"; {held}" if held else "")
        )
    astray = next((name for name in names if "/" not in name), None)
    if labelled and astray is not None:
        raise ValueError(
            f"{folder}: {printable(astray)} lies in no class folder; one folder a class is needed"
        )
    sources = tuple(
        Source(name, folder / name, label=name.split("/")[0] if labelled else "") for name in names
    )
    return Survey(sources, tuple(sorted(passed)))


def walk(folder: Path) -> tuple[list[str], list[tuple[str, str]]]:
    """Names of photographs below a folder, relative to it, and (name, reason) of the rest.

    A folder that may not be entered is among the rest; other faults of the disk raise OSError.
    """
    names, passed, entered = [], [], {}
    links, open_folders = [], [""]
    while open_folders or links:
        linked = not open_folders
        prefix = links.pop(0) if linked else open_folders.pop()
        try:
            status = os.stat(folder / prefix)
            place = (status.st_dev, status.st_ino)
            if place in entered:
                where = printable(entered[place]) or "the folder itself"
                passed.append((prefix, f"folder searched already as {where}"))
                continue
            with os.scandir(folder / prefix) as scanned:
                entries = sorted(scanned, key=lambda entry: entry.name, reverse=True)
        except PermissionError:
            passed.append((prefix, "folder without permission"))
            continue
        entered[place] = prefix
        for entry in entries:
            name = f"{prefix}/{entry.name}" if prefix else entry.name
            if _is_folder(entry):
                if entry.name.startswith("."):
                    passed.append((name, "hidden folder"))
                elif entry.name in THUMBNAILS:
                    passed.append((name, "folder of thumbnails or leftovers"))
                elif entry.is_symlink():
                    links.append(name)
                else:
                    open_folders.append(name)
            elif reason := _unfit(entry):
                passed.append((name, reason))
            else:
                names.append(name)
        links.sort()
    return names, passed


def _is_folder(entry: os.DirEntry) -> bool:
    try:
        return entry.is_dir()
    except OSError:  # of a link; what is wrong with it is told where it is named as a photograph
        return False


def _unfit(entry: os.DirEntry) -> str:
    """Why a file is no photograph to read; "" where it is one."""
    lower = entry.name.lower()
    suffix = os.path.splitext(lower)[1]
    if entry.name.startswith("."):
        return "hidden" if suffix in SUFFIXES else "hidden, no photograph"
    if lower in LEFT_BY_SYSTEMS:
        return "left by a system"
    if suffix in SUFFIXES:
        return _no_plain_file(entry)
    if suffix in _OF_HEIC:
        return "HEIC, not read without the extra: pip install 'aesthlib[heic]'"
    if suffix in RAW:
        return "raw, not read"
    if suffix in OTHER_PICTURES:
        return f"{suffix[1:].upper()}, not read"
    if suffix in FILMS:
        return "film"
    return f"no photograph by its name, {printable(suffix) or 'without a suffix'}"


def _no_plain_file(entry: os.DirEntry) -> str:
    try:
        mode = entry.stat().st_mode
    except PermissionError:
        return "without permission"
    except FileNotFoundError:
        return "link that leads nowhere"
    except OSError as error:
        if error.errno != errno.ELOOP:
            raise
        return "link that leads in a circle"
    if not stat.S_ISREG(mode):
        return "no plain file"
    return "" if os.access(entry.path, os.R_OK) else "without permission"
