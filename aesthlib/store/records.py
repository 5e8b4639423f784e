"""Result records: the only place that reads and writes them.

A record is a JSON file that says how a number came about. A run is named by the hash of its
experiment, scale, resolved config and data, so that asking twice computes once.
"""

import dataclasses
import platform
from dataclasses import dataclass
from pathlib import Path

from .. import __version__
from . import files

PUBLISHED = Path(__file__).resolve().parents[2] / "book" / "results"  # committed with the project
COLUMNS = (
    "experiment",
    "method",
    "dataset",
    "layer",
    "solver",
    "metric",
    "level",
    "value",
    "low",
    "high",
    "p",
    "n",
    "seed",
    "scale",
    "run_id",
    "minutes",
)
KEYS = (
    "run_id",
    "experiment",
    "method",
    "scale",
    "seed",
    "config",
    "data",
    "environment",
    "minutes",
    "checkpoint_sha256",
    "metrics",
    "history",
)


class RecordMissing(LookupError):
    """A record is not in the store, and the store may not compute it."""


def run_id(experiment: str, scale: str, config: dict, data: list[str]) -> str:
    """Sixteen hexadecimal digits that name a run: same question, same name."""
    return files.digest({"experiment": experiment, "scale": scale, "config": config, "data": data})[
        :16
    ]


def resolved(config) -> dict:
    """A dataclass as plain JSON values, nested ones included."""
    return _plain(dataclasses.asdict(config))


def _plain(value):
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    return [_plain(item) for item in value] if isinstance(value, tuple | list) else value


def _code_sha256() -> str:
    root = Path(__file__).parents[1]
    return files.digest(
        [
            [path.relative_to(root).as_posix(), files.sha256(path)]
            for path in sorted(root.rglob("*.py"))
        ]
    )


CODE_SHA256 = _code_sha256()  # of the package's sources when it was loaded: the code version


def environment(device: str, precision: str = "fp32") -> dict:
    """What a number was computed with: versions, device, threads, precision."""
    import numpy
    import torch
    import torchvision

    kind = torch.device(device).type
    cpu = f"CPU ({platform.machine()}, {torch.backends.cpu.get_cpu_capability()})"
    return {
        "aesthlib": __version__,
        "code_sha256": CODE_SHA256,
        "python": platform.python_version(),
        "torch": torch.__version__.split("+")[0],
        "torchvision": torchvision.__version__.split("+")[0],
        "numpy": numpy.__version__,
        "device": torch.cuda.get_device_name(device) if kind == "cuda" else cpu,
        "threads": torch.get_num_threads(),
        "precision": precision,
        "tf32": kind == "cuda" and torch.backends.cudnn.allow_tf32,
    }


@dataclass(frozen=True)
class Store:
    """A folder of records and of what belongs to them.

    Attributes:
        root: the folder.
        compute: whether a missing record may be computed; False makes it an error.
    """

    root: Path
    compute: bool = True

    def path(self, *parts: str) -> Path:
        """A path inside the store: records, checkpoints, features, packs, data, logs."""
        return Path(self.root).joinpath(*parts)

    def find(self, name: str) -> dict | None:
        """The record of a run, or None.

        Raises:
            RecordMissing: there is none and the store may not compute.
            ValueError: the file is not a record of that run.
        """
        path = self.path("records", f"{name}.json")
        if path.exists():
            return read(path)
        if not self.compute:
            raise RecordMissing(
                f"no record {path}, and this run may only load: compute it first, without "
                "--load-only, with the data at hand"
            )
        return None

    def write(self, record: dict) -> dict:
        """Put a record into the store and return it."""
        check(record, "record")
        files.write_json(self.path("records", f"{record['run_id']}.json"), record)
        return record

    def write_scores(self, name: str, arrays: dict) -> None:
        """Put a run's scores, NumPy arrays by name, beside its record; they are not published."""
        import numpy

        with files.replacing(self.path("scores", f"{name}.npz")) as file:
            numpy.savez_compressed(file, **arrays)

    def read_scores(self, name: str) -> dict:
        """What `write_scores` wrote. Raises RecordMissing if it is not there."""
        import numpy

        path = self.path("scores", f"{name}.npz")
        if not path.exists():
            record = self.path("records", f"{name}.json")
            raise RecordMissing(
                f"no scores {path}: delete {record} and run again, they are made together"
            )
        with numpy.load(path) as stored:
            return dict(stored)

    def identity(self, name: str, shorter_edge_px: int, pack: Path | None) -> dict:
        """Name, hash and counts of packed photographs, remembered beside the records.

        Args:
            name: of the data.
            shorter_edge_px: of the pack.
            pack: folder of the pack; None looks up what was remembered.

        Raises:
            RecordMissing: nothing is remembered and there is no pack.
        """
        path = self.path("data", f"{name}-{shorter_edge_px}.json")
        if pack is not None:
            header = files.read_json(pack / "pack.json")
            known = {key: header[key] for key in ("name", "sha256", "photographs", "left_out")}
            if not path.exists() or files.read_json(path) != known:
                files.write_json(path, known)
            return known
        if not path.exists():
            raise RecordMissing(
                f"the photographs {name!r} are not at hand and no record knows them ({path}): name "
                "their folder with --data-root"
            )
        return files.read_json(path)

    def all(self) -> list[dict]:
        """Every record, sorted by file name. Raises ValueError naming a file that is none."""
        return [read(path) for path in sorted(self.path("records").glob("*.json"))]


def check(record: dict, where: str) -> None:
    """Raise ValueError, naming where and the key, unless the record is complete."""
    missing = [key for key in KEYS if key not in record]
    if missing:
        raise ValueError(f"{where}: not a result record, missing {', '.join(missing)}")
    if not isinstance(record["metrics"], list):
        raise ValueError(f"{where}: metrics must be a list, got {record['metrics']!r}")
    for index, metric in enumerate(record["metrics"]):
        given = set(metric) if isinstance(metric, dict) else set()
        absent = {"dataset", "layer", "metric", "value", "n"} - given
        if absent:
            raise ValueError(f"{where}: metrics[{index}] lacks {', '.join(sorted(absent))}")


def read(path: Path) -> dict:
    """Read a record. Raises ValueError naming the file if it is broken or under a wrong name."""
    record = files.read_json(path)
    if not isinstance(record, dict):
        raise ValueError(f"{path}: not a result record")
    check(record, str(path))
    if record["run_id"] != Path(path).stem:
        raise ValueError(f"{path}: holds run {record['run_id']}, not {Path(path).stem}")
    return record


def load(root: Path | str | None = None):
    """All records as a pandas DataFrame, a row a metric.

    Args:
        root: of a store; default the records published with the project.

    Returns:
        DataFrame with columns experiment, method, dataset, layer, solver (of probes, else ""),
        metric, level (what it was measured at, such as the fraction of labels, else NaN), value,
        low and high (95 % interval, NaN where none), p (of a comparison, else NaN), n, seed, scale,
        run_id and minutes; sorted by these.

    Raises:
        FileNotFoundError: root is no store.
        ValueError: a file in the store is not a record; names it.
    """
    import pandas as pd

    store = Store(Path(root) if root else PUBLISHED)
    if not store.path("records").is_dir():
        raise FileNotFoundError(f"{store.root} is no store: it holds no folder records")
    rows = []
    for record in store.all():
        common = {key: record[key] for key in COLUMNS if key in record}
        common["solver"] = record["config"].get("probe", {}).get("solver", "")
        absent = dict.fromkeys(("level", "low", "high", "p"))
        rows += [absent | common | metric for metric in record["metrics"]]
    frame = pd.DataFrame(rows, columns=list(COLUMNS))
    floats = ("level", "value", "low", "high", "p", "minutes")
    frame = frame.astype(dict.fromkeys(floats, "float64"))
    return frame.sort_values(list(COLUMNS)).reset_index(drop=True)
