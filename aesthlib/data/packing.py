"""Making packs: photographs decoded in threads and written in order, whole or not at all."""

import csv
import hashlib
import io
import os
import shutil
from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np

from .. import progress
from ..store import files
from .content import MachineFault, UnreadableImage, opened
from .decode import READER, SMALLEST_EDGE_PX, picture
from .find import Source, printable
from .pack import COLUMNS, TEXT

EXAMINED = ("file", "sha256", "split", "label", "problem")  # of `examine`
SETTLED_BYTES = 32_000_000  # are brought to the disk while decoding goes on
EXAMINED_EDGE_PX = 64  # a JPEG is read to its end at any size, and fastest at a small one


def pack(
    sources: Iterable[Source],
    target: Path,
    shorter_edge_px: int,
    name: str,
    workers: int | None = None,
) -> Path:
    """Decode photographs once into a pack. An interrupted call goes on where it stopped.

    Args:
        sources: what to pack, in this order.
        target: folder of the pack; a finished pack of the same sources is left as it is.
        shorter_edge_px: of the packed photographs.
        name: of the data, as records call it.
        workers: decoding threads; default the processors there are.

    Returns:
        target.

    Raises:
        ValueError: no source could be read; the message lists the first problems.
        FileExistsError: target is there, and neither a pack nor an empty folder.
        OSError: the disk is full, or the machine would not give a file (`MachineFault`); what was
            packed stays and the next call goes on.
    """
    sources, target = list(sources), Path(target)
    if shorter_edge_px < SMALLEST_EDGE_PX:
        raise ValueError(f"shorter_edge_px must be at least {SMALLEST_EDGE_PX}")
    listed = files.digest([_fingerprint(source) for source in sources])
    settings = {
        "name": name,
        "shorter_edge_px": shorter_edge_px,
        "listed": listed,
        "reader": READER,
    }
    outdated = target.with_name(f".{target.name}.outdated")
    if (target / "pack.json").exists():
        if files.read_json(target / "pack.json").get("settings") == settings:
            return target
        os.replace(target, outdated)  # a kill while it is removed leaves no half pack in its place
    elif target.exists() and (not target.is_dir() or any(target.iterdir())):
        raise FileExistsError(f"{target} is there and is no pack: name another place for the pack")
    shutil.rmtree(outdated, ignore_errors=True)
    work = target.with_name(f".{target.name}.partial")
    if work.exists() and (
        not (work / "settings.json").exists() or files.read_json(work / "settings.json") != settings
    ):
        shutil.rmtree(work)
    work.mkdir(parents=True, exist_ok=True)
    files.write_json(work / "settings.json", settings)
    rows, offset = _resume(work)
    done = {row["file"] for row in rows}

    waiting, odd = [source for source in sources if source.name not in done], []
    try:
        with (
            open(work / "pixels.bin", "ab") as binary,
            open(work / "manifest.csv", "a", newline="", **TEXT) as manifest,
            ThreadPoolExecutor(1) as disk,
        ):
            written, settled = offset, disk.submit(int)
            writer = csv.DictWriter(manifest, COLUMNS, lineterminator="\n")
            if not rows:
                writer.writeheader()
            threads = workers or os.cpu_count() or 1
            results = _in_order(lambda source: _read(source, shorter_edge_px), waiting, threads)
            for row, pixels, remark in progress.bar(
                results, total=len(sources), initial=len(rows), unit="photo", label=f"pack {name}"
            ):
                if pixels is not None:
                    row["offset"] = offset
                    binary.write(np.ascontiguousarray(pixels).data)  # tofile hides a full disk
                    offset += pixels.size
                    if offset - written > SETTLED_BYTES and settled.done():
                        settled.result()
                        written, settled = offset, disk.submit(os.fdatasync, binary.fileno())
                if remark:
                    odd.append((row["file"], remark))
                binary.flush()
                writer.writerow(row)
                manifest.flush()
                rows.append(row)
            settled.result()
            for file in (binary, manifest):
                os.fsync(file.fileno())  # before pack.json says that all is there
    except MachineFault as error:
        raise MachineFault(
            error.errno, f"{error.strerror}; {len(rows)} of {len(sources)} photographs are kept"
        ) from error
    except OSError as error:
        raise OSError(
            error.errno,
            f"could not pack into {work}: {error.strerror}; {len(rows)} of {len(sources)} "
            "photographs are kept, free some space and run the same command again",
        ) from error
    good = [row for row in rows if not row["problem"]]
    if not good:
        shutil.rmtree(work)  # the next call looks again
        first = "; ".join(f"{printable(row['file'])}: {row['problem']}" for row in rows[:5])
        raise ValueError(f"none of {len(rows)} files of {name} is a usable photograph: {first}")
    content = [
        [row["file"], row["sha256"], row["split"], *([row["label"]] if row["label"] else [])]
        for row in good
    ]
    files.write_json(
        work / "pack.json",
        {
            "settings": settings,
            "name": name,
            "photographs": len(good),
            "left_out": len(rows) - len(good),
            "sha256": files.digest(
                {"files": content, "shorter_edge_px": shorter_edge_px, "reader": READER}
            ),
        },
    )
    os.replace(work, target)
    if len(good) < len(rows):
        progress.note(
            f"{name}: {len(rows) - len(good)} of {len(rows)} files left out, {target}/manifest.csv "
            "says why"
        )
    if odd:
        told = "; ".join(f"{printable(file)}: {remark}" for file, remark in odd[:5])
        more = "; …" if len(odd) > 5 else ""
        progress.note(f"{name}: {len(odd)} used though something was odd: {told}{more}")
    return target


def examine(
    sources: Iterable[Source], name: str, workers: int | None = None
) -> list[dict[str, str]]:
    """Decode photographs as `pack` does and keep none: what would be packed, what is wrong.

    Args:
        sources: what to look at.
        name: of the data, for the progress bar.
        workers: decoding threads; default the processors there are.

    Returns:
        A row a source in their order: file, sha256, split, label and problem ("" if there is none,
        "missing" where there is no file).
    """
    sources, threads = list(sources), workers or os.cpu_count() or 1
    results = _in_order(lambda source: _read(source, EXAMINED_EDGE_PX)[0], sources, threads)
    shown = progress.bar(results, total=len(sources), unit="photo", label=f"check {name}")
    return [{key: row[key] for key in EXAMINED} for row in shown]


def _read(source: Source, shorter_edge_px: int) -> tuple[dict, np.ndarray | None, str]:
    """A manifest row without its offset, the pixels of a photograph, and what was odd."""
    row = dict.fromkeys(COLUMNS, "") | {
        "file": source.name,
        "split": source.split,
        "label": source.label,
    }
    try:
        with opened(source.path) as content:
            row["sha256"] = hashlib.sha256(content).hexdigest()
            made = picture(content, shorter_edge_px, Path(source.path).suffix)
    except UnreadableImage as error:
        return row | {"problem": " ".join(str(error).split())}, None, ""
    height, width, _ = made.pixels.shape
    return row | {"height": height, "width": width}, made.pixels, made.remark


def _fingerprint(source: Source) -> list:
    """What tells cheaply that a file is still the one that was packed."""
    told = [source.name, source.split] + ([source.label] if source.label else [])
    try:
        status = source.path.stat()
    except OSError:
        return told
    return [*told, status.st_size, status.st_mtime_ns]


def _in_order(function, items: list, workers: int) -> Iterator:
    """Map in threads, results in order, few in memory at once."""
    with ThreadPoolExecutor(workers) as pool:
        queue: deque = deque()
        for item in items:
            queue.append(pool.submit(function, item))
            if len(queue) > 4 * workers:
                yield queue.popleft().result()
        while queue:
            yield queue.popleft().result()


def _resume(work: Path) -> tuple[list[dict], int]:
    """Rows that an interrupted call finished, and the bytes they fill; cuts off what is torn."""
    manifest, binary = work / "manifest.csv", work / "pixels.bin"
    if not manifest.exists():
        binary.unlink(missing_ok=True)
        return [], 0
    content = manifest.read_bytes()
    whole = content[: content.rfind(b"\n") + 1]  # a killed process leaves half a line
    rows = list(csv.DictReader(io.StringIO(whole.decode(**TEXT), newline="")))
    offset = max(
        (
            int(r["offset"]) + 3 * int(r["height"]) * int(r["width"])
            for r in rows
            if not r["problem"]
        ),
        default=0,
    )
    size = binary.stat().st_size if binary.exists() else 0
    if size < offset or not rows:
        manifest.unlink()
        binary.unlink(missing_ok=True)
        return [], 0
    files.write_bytes(manifest, whole)
    os.truncate(binary, offset)
    return rows, offset
