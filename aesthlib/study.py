"""What is run at each scale, and compute-or-load: asking twice computes once.

A scale is a table of numbers, nothing else; all share one code path.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path

import numpy as np
import torch

from . import features, files, ops, pretext, probes, records, training
from .data import benchmarks, embedded, photographs
from .data.unseen import Unseen
from .models import LAYERS
from .training import PretrainConfig


@dataclass(frozen=True)
class Scale:
    """The numbers of a scale.

    Attributes:
        photographs: for pretraining, "embedded" or a folder below the data root.
        benchmarks: for the probes, "unseen" or folders below the data root.
        pretrain: the run of every method; only method, seed and options differ.
        degradation: options of the degradation task.
        repeats: of the probes' cross-validation.
        unseen_pairs: patches a photograph for the unseen operations.
    """

    photographs: str
    benchmarks: tuple[str, ...]
    pretrain: PretrainConfig
    degradation: dict = field(default_factory=dict)
    repeats: int = 5
    unseen_pairs: int = 24


SCALES = {
    "smoke": Scale(
        photographs="embedded",
        benchmarks=("unseen",),
        pretrain=PretrainConfig(
            size_px=80, shorter_edge_px=128, epochs=8, drop_every_epochs=3,
            crops_per_photograph=24, batch_size=16,
        ),
        degradation={"triplet_from_epoch": 4, "entropy_from_epoch": 7},
        repeats=2,
    ),
    # switch-on points in proportion to the epochs; at this budget the network's entropy stays above
    # 0.6 nats, where the entropy weight is 0, so the warm-up lasts to the end
    "study": Scale(
        photographs="photos",
        benchmarks=("oasis", "vessel"),
        pretrain=PretrainConfig(size_px=128, shorter_edge_px=144, epochs=3, drop_every_epochs=2),
        degradation={"triplet_from_epoch": 2, "entropy_from_epoch": 3},
    ),
    "paper": Scale(
        photographs="imagenet", benchmarks=("oasis", "vessel"), pretrain=PretrainConfig()
    ),
}  # fmt: skip


METHODS = ("degradation", "random")  # that the notebooks compare


class Study:
    """Runs of one scale in one store.

    Args:
        scale: "smoke", "study" or "paper".
        store: folder of records, checkpoints, features and packed photographs.
        data_root: folder that holds the photographs' and benchmarks' folders; "" if there is none.
        load_only: never compute; a missing record is an error.
        device: "auto", "cpu" or "cuda".

    Raises:
        ValueError: unknown scale or device.
    """

    def __init__(
        self, scale: str = "smoke", store: str | Path = "runs", data_root: str | Path = "",
        load_only: bool = False, device: str = "auto",
    ):  # fmt: skip
        if scale not in SCALES:
            raise ValueError(f"scale must be one of {', '.join(SCALES)}, got {scale!r}")
        self.name, self.scale = scale, SCALES[scale]
        self.store = records.Store(Path(store), compute=not load_only)
        self.data_root = Path(data_root) if data_root else None
        self.device = training.choose_device(device)

    def pretrain_config(self, method: str, seed: int = 0, **options) -> PretrainConfig:
        """The scale's run of a method; options override the task's."""
        defaults = self.scale.degradation if method == "degradation" else {}
        chosen = pretext.task(method).Options(**{**defaults, **options})
        return replace(self.scale.pretrain, method=method, seed=seed, options=chosen)

    def pretrained(self, method: str, seed: int = 0, **options) -> dict:
        """The record of a pretraining run, computed if it is not there.

        Args:
            method: a pretext task.
            seed: of weights and draws.
            options: of the task, beside the scale's.

        Raises:
            RecordMissing: it may only be loaded and is not there, or the photographs are not.
        """
        config = self.pretrain_config(method, seed, **options)
        return pretrain_or_load(
            self.store, self.name, config, self.scale.photographs,
            self._sources(self.scale.photographs), self.device,
        )  # fmt: skip

    def probed(self, run: dict, benchmark: str, solver: str = "exact") -> dict:
        """The record of five linear probes on a run's frozen features.

        Args:
            run: record of a pretraining run.
            benchmark: one of the scale's.
            solver: "exact" or "sgd".
        """
        config = probes.ProbeConfig(solver=solver, repeats=self.scale.repeats)
        return probe_or_load(
            self.store, self.name, run, benchmark, self._benchmark_folder(benchmark), config,
            self.scale.unseen_pairs, self.device,
        )  # fmt: skip

    def identified(self) -> dict:
        """The record of what each class does to the embedded photographs, in both presets."""
        config = self.scale.pretrain
        identity, target = packed(self.store, "embedded", config.shorter_edge_px, embedded.sources)
        settings = {
            "size_px": config.size_px, "shorter_edge_px": config.shorter_edge_px, "seed": 0,
            "levels": {o.name: [list(o.values(p)) for p in ops.PRESETS] for o in ops.OPERATIONS},
        }  # fmt: skip
        name = records.run_id("identifiability", self.name, settings, [identity["sha256"]])
        found = self.store.find(name)
        if found:
            return found
        started = time.perf_counter()
        pack = photographs.load(target())
        patches = pack.center_crops(torch.arange(len(pack)), config.size_px)
        rows = []
        for preset in ops.PRESETS:
            for item in ops.CLASSES[1:]:
                generator = torch.Generator().manual_seed(0)
                edited = ops.apply(patches, item.index, patches.roll(1, 0), generator, preset)
                change = (edited.float() - patches.float()).abs().flatten(1)
                for metric, value in (
                    ("unchanged_share", (change.amax(1) == 0).float().mean()),
                    ("mean_absolute_change", change.mean()),
                ):
                    place = {"dataset": f"embedded, {preset}", "layer": item.name}
                    rows.append(place | {"metric": metric, "value": float(value), "n": len(pack)})
        return self.store.write(
            _record(name, "identifiability", "degradation", self.name, settings, [identity],
                    rows, device="cpu", minutes=(time.perf_counter() - started) / 60)
        )  # fmt: skip

    def everything(self, seed: int = 0) -> list[dict]:
        """Every record that the notebooks ask for, computed where it is not there."""
        found = [self.identified()]
        for method in METHODS:
            run = self.pretrained(method, seed)
            found.append(run)
            found += [
                self.probed(run, benchmark, solver)
                for benchmark in self.scale.benchmarks
                for solver in probes.SOLVERS
            ]
        return found

    def publish(self, target: Path = records.PUBLISHED) -> int:
        """Make another store hold this scale's records, and no others of the scale.

        Returns:
            The number of records.
        """
        kept = self.everything()
        published = records.Store(target)
        for outdated in published.all():
            if outdated["scale"] == self.name:
                published.path("records", f"{outdated['run_id']}.json").unlink()
        for record in kept:
            published.write(record)
            for data in record["data"]:
                name = f"{data['name']}-{record['config']['shorter_edge_px']}.json"
                files.write_json(published.path("data", name), data)
        return len(kept)

    def _sources(self, name: str) -> Callable[[], list] | None:
        if name == "embedded":
            return embedded.sources
        if self.data_root is None:
            return None
        return lambda: photographs.find(self.data_root / name)

    def _benchmark_folder(self, name: str) -> Path | None:
        return self.data_root / name if self.data_root is not None else None


def packed(
    store: records.Store, name: str, shorter_edge_px: int, sources: Callable[[], list] | None
) -> tuple[dict, Callable[[], Path]]:
    """Identity of photographs and a way to their pack, made when it is needed.

    Args:
        sources: what to pack; None where the photographs are not at hand.

    Raises:
        RecordMissing: the photographs are not at hand and the store does not know them.
    """

    if Path(name).name != name:
        raise ValueError(f"the name of photographs must be a plain word, got {name!r}")

    def make() -> Path:
        if sources is None:
            raise records.RecordMissing(
                f"the photographs {name!r} are needed: name their folder with --data-root"
            )
        target = store.path("packs", f"{name}-{shorter_edge_px}")
        return photographs.pack(sources(), target, shorter_edge_px, name)

    at_hand = store.compute and sources is not None
    return store.identity(name, shorter_edge_px, make() if at_hand else None), make


def pretrain_or_load(
    store: records.Store,
    scale: str,
    config: PretrainConfig,
    name: str,
    sources: Callable[[], list] | None,
    device: str,
) -> dict:
    """The record of a pretraining run, computed if it is not there.

    Args:
        scale: label of the record.
        config: the run.
        name, sources: of the photographs; those of split "train" are used.
    """  # fmt: skip
    identity, target = packed(store, name, config.shorter_edge_px, sources)
    settings = records.resolved(config)
    run_id = records.run_id("pretrain", scale, settings, [identity["sha256"]])
    found = store.find(run_id)
    if found:
        return found
    pack = photographs.load(target(), "train")
    outcome = training.pretrain(config, pack, store.path("checkpoints", run_id), device)
    last = outcome.history[-1]
    rows = [
        {"dataset": name, "layer": "", "metric": f"training_{key}", "value": last[key],
         "n": last["images"]}
        for key in ("cross_entropy", "accuracy") if key in last
    ]  # fmt: skip
    return store.write(
        _record(
            run_id, "pretrain", config.method, scale, settings, [identity], rows, device,
            precision=outcome.precision, minutes=outcome.minutes, history=list(outcome.history),
            checkpoint_sha256=outcome.checkpoint_sha256,
        )
    )  # fmt: skip


def probe_or_load(
    store: records.Store,
    scale: str,
    run: dict,
    benchmark: str,
    folder: Path | None,
    config: probes.ProbeConfig,
    unseen_pairs: int,
    device: str,
) -> dict:
    """The record of the probes of all five layers, computed if it is not there.

    Args:
        run: record of the pretraining run.
        benchmark: "unseen", or a name in `data.benchmarks.READERS`.
        folder: of the benchmark; None where it is not at hand.
        unseen_pairs: patches a photograph, for "unseen".
    """  # fmt: skip
    trained = run["config"]
    edge, size = trained["shorter_edge_px"], trained["size_px"]
    settings = {
        "pretrain": run["run_id"], "benchmark": benchmark, "size_px": size, "shorter_edge_px": edge,
        "probe": records.resolved(config),
    }  # fmt: skip
    if benchmark == "unseen":
        settings["unseen_pairs"] = unseen_pairs
        identity, target = packed(store, "embedded", edge, embedded.sources)
    elif benchmark in benchmarks.READERS:
        rated = cache(lambda: benchmarks.READERS[benchmark](folder))
        sources = None if folder is None else lambda: list(rated().sources)
        identity, target = packed(store, benchmark, edge, sources)
    else:
        known = ", ".join(("unseen", *benchmarks.READERS))
        raise ValueError(f"benchmark must be one of {known}, got {benchmark!r}")
    run_id = records.run_id("probe", scale, settings, [identity["sha256"]])
    found = store.find(run_id)
    if found:
        return found
    started = time.perf_counter()
    pack = photographs.load(target(), "probe")
    if benchmark == "unseen":
        entries = Unseen(pack, size, unseen_pairs)
        count, batch_of, groups = len(entries), entries.batch_of, entries.groups
        positive, mos = entries.positive, -entries.strength.astype(np.float64)
    else:
        row_of = {source.name: row for row, source in enumerate(rated().sources)}
        kept = np.array([row_of[name] for name in pack.names])  # without what was unreadable
        count, groups = len(pack), None
        positive, mos = rated().positive[kept], rated().mos[kept]

        def batch_of(index):
            return pack.center_crops(index, size)

    named = [run["checkpoint_sha256"], size, identity["sha256"], benchmark, unseen_pairs]
    written = store.path("features", files.digest(named)[:16])
    if not features.complete(written):
        checkpoint = store.path("checkpoints", run["run_id"])
        backbone = training.load_backbone(checkpoint, run["checkpoint_sha256"], device)
        label = f"features of {run['method']} on {benchmark}"
        features.extract(backbone, count, batch_of, written, device, label)
    rows = [
        {"dataset": benchmark, "layer": layer, **row}
        for layer in LAYERS
        for row in probes.probe(features.load(written, layer), positive, mos, config, groups)
    ]
    return store.write(
        _record(
            run_id, "probe", run["method"], scale, settings, [identity], rows, device,
            seed=run["seed"], checkpoint_sha256=run["checkpoint_sha256"],
            minutes=(time.perf_counter() - started) / 60,
        )
    )  # fmt: skip


def _record(
    run_id,
    experiment,
    method,
    scale,
    config,
    data,
    metrics,
    device,
    precision="fp32",
    minutes=None,
    history=(),
    checkpoint_sha256=None,
    seed=None,
) -> dict:
    return {
        "run_id": run_id, "experiment": experiment, "method": method, "scale": scale,
        "seed": config.get("seed", 0) if seed is None else seed, "config": config, "data": data,
        "environment": records.environment(device, precision), "minutes": minutes,
        "checkpoint_sha256": checkpoint_sha256, "metrics": metrics, "history": list(history),
    }  # fmt: skip
