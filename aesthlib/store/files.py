"""Writing without losing what is there: a file appears whole or not at all."""

import contextlib
import hashlib
import json
import os
from pathlib import Path


@contextlib.contextmanager
def replacing(path: Path):
    """Open a temporary neighbour for binary writing and put it in place of path on success.

    Raises:
        OSError: the disk is full or not writable, naming path; what stood there stays.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.partial")
    try:
        with open(temporary, "wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except OSError as error:
        raise OSError(
            error.errno,
            f"could not write {path}: {error.strerror or error}; nothing written before is lost, "
            "free some space or check the permissions and run the same command again",
        ) from error
    finally:
        temporary.unlink(missing_ok=True)


def write_bytes(path: Path, content: bytes) -> None:
    """Write a file atomically; raises OSError as `replacing` does."""
    with replacing(path) as file:
        file.write(content)


def write_json(path: Path, content) -> None:
    """Write JSON atomically: sorted keys, two spaces, a final newline, no NaN."""
    text = json.dumps(content, indent=2, sort_keys=True, ensure_ascii=False, allow_nan=False)
    write_bytes(path, (text + "\n").encode())


def read_json(path: Path):
    """Read JSON. Raises ValueError naming the file and the line of the fault."""
    try:
        return json.loads(Path(path).read_text(encoding="utf-8"))
    except json.JSONDecodeError as error:
        raise ValueError(f"{path}, line {error.lineno}: not valid JSON ({error.msg})") from error
    except UnicodeDecodeError as error:
        raise ValueError(f"{path}: not UTF-8 text ({error.reason})") from error


def sha256(path: Path) -> str:
    """Hexadecimal SHA-256 of a file's bytes."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def digest(content) -> str:
    """Hexadecimal SHA-256 of a JSON value, whatever the order of its keys."""
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()
