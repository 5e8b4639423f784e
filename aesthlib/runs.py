"""Compute or load: every kind of result, named by what it was asked, computed at most once."""

import contextlib
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path

import numpy as np
import torch

from . import ops, pretext, probing, training
from .data import benchmarks, embedded, entries, photographs
from .data.unseen import Unseen
from .experiments import analysis
from .models import LAYERS
from .probing import features, metrics
from .store import files, records
from .training import PretrainConfig, adaptation

HELD_OUT_CROPS = 1000  # patches, at least, on which a task is judged

# Photographs of sets that may not be at hand, for the plan: as their owners publish them.
PUBLISHED_COUNTS = {"imagenet": 1_281_167, "places": 1_803_460} | {
    name: counts["photographs"] for name, counts in benchmarks.PUBLISHED.items()
}


class Planned(dict):
    """A record that is not computed yet: its question is known, and its answer raises when read.

    So a plan can rest on no value that does not exist.
    """

    ANSWER = ("metrics", "history", "tables", "minutes", "environment")

    def get(self, key, default=None):
        return self[key] if key in self.ANSWER else super().get(key, default)

    def __missing__(self, key):
        raise records.RecordMissing(
            f"{self['experiment']} {self['run_id']} is only planned: it has no {key} yet"
        )


@dataclass(frozen=True)
class Photographs:
    """Where photographs come from.

    Attributes:
        name: in records, a plain word.
        sources: lists them; None where they are not at hand.
    """

    name: str
    sources: Callable[[], list] | None

    def __post_init__(self):
        if Path(self.name).name != self.name or not self.name:
            raise ValueError(f"the name of photographs must be a plain word, got {self.name!r}")


def embedded_photographs() -> Photographs:
    """Those that come with the packages."""
    return Photographs("embedded", embedded.sources)


def folder_photographs(folder: Path | None, name: str, labelled: bool = False) -> Photographs:
    """All below a folder; labelled: by the folders right below it."""
    return Photographs(name, None if folder is None else lambda: photographs.find(folder, labelled))


@dataclass(frozen=True)
class Asked:
    """A benchmark: whose photographs, and how they are judged.

    Attributes:
        name: "unseen" or one of `data.benchmarks.READERS`.
        photographs: its own, or for "unseen" those that it edits.
        read: gives the labels, for those with human ratings or classes.
        limit, pairs: of "unseen": photographs at most, patches a photograph.
    """

    name: str
    photographs: Photographs
    read: Callable[[], benchmarks.Benchmark] | None = None
    limit: int = 0
    pairs: int = 0


def rated(name: str, folder: Path | None) -> Asked:
    """A benchmark with human judgements in a folder (None: not at hand).

    Raises:
        ValueError: unknown name; lists the known ones.
    """
    if name not in benchmarks.READERS:
        known = ", ".join(("unseen", *benchmarks.READERS))
        raise ValueError(f"benchmark must be one of {known}, got {name!r}")
    if folder is None:
        return Asked(name, Photographs(name, None))
    read = cache(lambda: benchmarks.READERS[name](folder))
    return Asked(name, Photographs(name, lambda: list(read().sources)), read)


def unseen(of: Photographs, limit: int, pairs: int) -> Asked:
    """Unseen operations on up to so many photographs that no task was trained on."""
    return Asked("unseen", of, limit=limit, pairs=pairs)


@dataclass(frozen=True)
class Work:
    """What a result costs: for the plan, before anything runs.

    Attributes:
        config: of the trainings.
        patches: of all trainings together.
        forward: images through the frozen network.
        entries: of the benchmark, in memory and on disk as features.
        columns: linear fits on a layer's features, of all layers together.
    """

    config: PretrainConfig
    patches: int = 0
    forward: int = 0
    entries: int = 0
    columns: int = 0


@dataclass(frozen=True)
class Job:
    """An entry of the plan: what, how much, and whether the store has it."""

    experiment: str
    method: str
    work: Work
    done: bool


@dataclass
class Runs:
    """Results in one store, on one device.

    Attributes:
        store: of records and what belongs to them.
        scale: label of the records.
        device: "cpu" or "cuda".
        plan: jobs by run id, to which is added instead of computing; None computes.
    """

    store: records.Store
    scale: str
    device: str
    plan: dict[str, Job] | None = None
    _entries: dict = field(default_factory=dict, repr=False)
    _packs: dict = field(default_factory=dict, repr=False)
    _records: dict = field(default_factory=dict, repr=False)

    @contextlib.contextmanager
    def planning(self):
        """Context in which nothing is computed, and jobs by run id are noted in the dict given."""
        self.plan = {}
        try:
            yield self.plan
        finally:
            self.plan = None

    # -- photographs

    def packed(self, of: Photographs, shorter_edge_px: int) -> tuple[dict, Callable[[], Path]]:
        """Identity of photographs and a way to their pack, made when it is needed.

        Raises:
            RecordMissing: they are not at hand and the store does not know them.
        """

        def make() -> Path:
            if of.sources is None:
                raise records.RecordMissing(
                    f"the photographs {of.name!r} are needed: name their folder with --data-root"
                )
            key = (of, shorter_edge_px)
            if key not in self._packs:  # of the same photographs, changed files are looked for once
                target = self.store.path("packs", f"{of.name}-{shorter_edge_px}")
                self._packs[key] = photographs.pack(of.sources(), target, shorter_edge_px, of.name)
            return self._packs[key]

        if self.plan is not None:
            with contextlib.suppress(records.RecordMissing):
                return self.store.identity(of.name, shorter_edge_px, None), make
            count = PUBLISHED_COUNTS.get(of.name)
            if count is None and of.sources is None:
                raise records.RecordMissing(
                    f"a plan needs to know how many photographs {of.name!r} holds: name their "
                    "folder with --data-root"
                )
            count = count or len(of.sources())
            planned = {"name": of.name, "sha256": of.name, "photographs": count, "left_out": 0}
            return planned, make
        at_hand = self.store.compute and of.sources is not None
        return self.store.identity(of.name, shorter_edge_px, make() if at_hand else None), make

    def entries_of(self, asked: Asked, edge: int, size: int) -> entries.Entries:
        """A benchmark's entries at a patch size; remembered, they are asked for often."""
        key = (asked.name, asked.photographs.name, asked.limit, asked.pairs, edge, size)
        if key not in self._entries:
            _, target = self.packed(asked.photographs, edge)
            if asked.name == "unseen":
                split = "probe" if asked.photographs.name == "embedded" else None
                pack = photographs.load(target(), split)
                if 0 < asked.limit < len(pack):
                    generator = torch.Generator().manual_seed(0)
                    chosen = torch.randperm(len(pack), generator=generator)[: asked.limit]
                    pack = pack.take(chosen.sort().values)
                self._entries[key] = entries.unseen(Unseen(pack, size, asked.pairs))
            else:
                pack = photographs.load(target())
                self._entries[key] = entries.rated(asked.read(), pack, size)
        return self._entries[key]

    def held_out_patches(self, of: Photographs, edge: int, size: int, limit: int) -> torch.Tensor:
        """Central patches of photographs that no task was trained on, uint8 (N, 3, S, S)."""
        _, target = self.packed(of, edge)
        pack = photographs.load(target(), "probe" if of.name == "embedded" else None)
        chosen = torch.randperm(len(pack), generator=torch.Generator().manual_seed(0))[:limit]
        return pack.center_crops(chosen.sort().values, size)

    # -- results

    def pretrain(
        self,
        config: PretrainConfig,
        of: Photographs,
        method: str = "",
        without: tuple[str, ...] = (),
    ) -> dict:
        """The record of a pretraining run.

        Args:
            config: the run.
            of: photographs; of the embedded ones those of split "train".
            method: its name in records; default the task's.
            without: names of photographs that are left out, such as near-duplicates of a
                benchmark's.
        """
        identity, target = self.packed(of, config.shorter_edge_px)
        settings = records.resolved(config)
        if without:
            settings["without"] = sorted(without)
        if method and method != config.method:
            settings["row"] = method  # two rows of a table may train the same task
        count = identity["photographs"]
        task = pretext.task(config.method)
        patches = count * (config.crops_per_photograph * config.epochs if task.trains else 1)

        def compute(run_id: str) -> dict:
            pack = _without(photographs.load(target(), "train"), without)
            folder = self.store.path("checkpoints", run_id)
            outcome = training.pretrain(config, pack, folder, self.device)
            last = outcome.history[-1]
            rows = [
                {
                    "dataset": of.name,
                    "layer": "",
                    "metric": f"training_{key}",
                    "value": last[key],
                    "n": last["images"],
                }
                for key in ("cross_entropy", "accuracy")
                if key in last
            ]
            return {
                "metrics": rows,
                "history": list(outcome.history),
                "minutes": outcome.minutes,
                "checkpoint_sha256": outcome.checkpoint_sha256,
                "precision": outcome.precision,
            }

        work = Work(config, patches=patches)
        return self.recorded(
            "pretrain", method or config.method, settings, [identity], config.seed, compute, work
        )

    def held_out(self, run: dict, of: Photographs) -> dict:
        """The record of a task's own measures on photographs that no task was trained on."""
        trained = training.config_of(run)
        identity, target = self.packed(of, trained.shorter_edge_px)
        crops = max(1, HELD_OUT_CROPS // max(1, identity["photographs"]))
        settings = {"pretrain": run["run_id"], "crops": crops}

        def compute(run_id: str) -> dict:
            model = self.model_of(run)
            pack = photographs.load(target(), "probe" if of.name == "embedded" else None)
            if model.task.supervised:
                known = set(photographs.load(self._pack_of(run)(), "train").labels)
                kept = [row for row, label in enumerate(pack.labels) if label in known]
                if len(set(pack.labels)) != len(known) or len(kept) < len(pack):
                    return {"metrics": []}  # its classes are not those of these photographs
            found = training.evaluate(model, pack, trained.size_px, self.device, crops)
            chance = model.task.chance
            rows = [
                {
                    "dataset": of.name,
                    "layer": "",
                    "metric": f"held_out_{key}",
                    "value": value,
                    "n": len(pack) * crops,
                }
                for key, value in found.items()
            ]
            if chance is not None:
                rows.append(
                    {
                        "dataset": of.name,
                        "layer": "",
                        "metric": "chance",
                        "value": chance,
                        "n": len(pack) * crops,
                    }
                )
            return {"metrics": rows}

        work = Work(trained, forward=7 * crops * identity["photographs"])
        return self.recorded(
            "held_out",
            run["method"],
            settings,
            [identity],
            run["seed"],
            compute,
            work,
            run["checkpoint_sha256"],
        )

    def probe(
        self,
        run: dict,
        asked: Asked,
        config: probing.ProbeConfig,
        view: features.View = features.STANDARD,
    ) -> dict:
        """The record of probes of every layer of a view of a run's frozen features."""
        settings, identity, count = self.judged(run, asked, view)
        settings["probe"] = records.resolved(config)

        def compute(run_id: str) -> dict:
            trained = training.config_of(run)
            judged = self.entries_of(asked, trained.shorter_edge_px, trained.size_px)
            folder = self.features_of(run, asked, judged, view)
            rows, scores = [], {}
            for layer in view.layers:
                found = probing.probe(
                    features.load(folder, layer, view),
                    judged.positive,
                    judged.mos,
                    config,
                    judged.groups,
                    judged.test,
                )
                rows += [{"dataset": asked.name, "layer": layer, **row} for row in found.rows]
                scores |= {f"{layer}.{kind}": values for kind, values in found.scores.items()}
            tested = slice(None) if judged.test is None else judged.test
            truth = {"truth.positive": judged.positive[tested]}
            if judged.mos is not None:
                truth["truth.mos"] = judged.mos[tested]
            if judged.groups is not None:
                truth["truth.groups"] = judged.groups[tested]
            self.store.write_scores(run_id, scores | truth)
            return {"metrics": rows}

        repeats = 1 if asked.name in benchmarks.FIXED_SPLIT else config.repeats
        fits = _folds(asked, config) * repeats * (config.inner_folds + 1) * len(config.penalties)
        work = Work(training.config_of(run), forward=count, entries=count, columns=10 * fits)
        return self.recorded(
            "probe" if view == features.STANDARD else "view",
            run["method"],
            settings,
            [identity],
            run["seed"],
            compute,
            work,
            run["checkpoint_sha256"],
        )

    def compare(self, ours: dict, theirs: dict) -> dict:
        """The record of paired differences between two probes of the same benchmark.

        Layer by layer, and for the average of the five layers on the same resamples. Both are of
        the same view.
        """
        benchmark = ours["config"]["benchmark"]
        settings = {
            "ours": ours["run_id"],
            "theirs": theirs["run_id"],
            "benchmark": benchmark,
            "probe": ours["config"]["probe"],
            "shorter_edge_px": ours["config"]["shorter_edge_px"],
        }

        def compute(run_id: str) -> dict:
            mine, other = (self.store.read_scores(r["run_id"]) for r in (ours, theirs))
            rows, first = [], [row for row in ours["metrics"] if row["layer"] == LAYERS[0]]
            every = dict.fromkeys(row["layer"] for row in ours["metrics"])
            for row in first:
                accuracy = row["metric"] == "accuracy"
                measure = getattr(metrics, row["metric"])
                truth = mine["truth.positive" if accuracy else "truth.mos"]
                kind = "logit" if accuracy else "rating"
                for layer in (*every, "average"):
                    layers = LAYERS if layer == "average" else (layer,)
                    scores = [
                        np.concatenate([stored[f"{name}.{kind}"] for name in layers])
                        for stored in (mine, other)
                    ]
                    found = metrics.compare(
                        measure,
                        truth,
                        *scores,
                        ours["config"]["probe"]["seed"],
                        mine.get("truth.groups"),
                    )
                    place = {key: row[key] for key in ("dataset", "metric", "n")} | {"layer": layer}
                    values = zip(("value", "low", "high", "p"), found, strict=True)
                    rows.append(place | dict(values))
            return {"metrics": rows}

        return self.recorded(
            "view_comparison" if "view" in ours["config"] else "comparison",
            theirs["method"],
            settings,
            ours["data"],
            ours["seed"],
            compute,
            Work(PretrainConfig()),
        )

    def low_data(
        self,
        run: dict,
        asked: Asked,
        layer: str,
        fractions: tuple[float, ...],
        subsets: int,
        config: probing.ProbeConfig,
    ) -> dict:
        """The record of exact probes on a layer from a part of the labels (Fig. 5, 6)."""
        settings, identity, count = self.judged(run, asked)
        settings |= {
            "probe": records.resolved(config),
            "layer": layer,
            "fractions": list(fractions),
            "subsets": subsets,
        }

        def compute(run_id: str) -> dict:
            trained = training.config_of(run)
            judged = self.entries_of(asked, trained.shorter_edge_px, trained.size_px)
            values = features.load(self.features_of(run, asked, judged), layer)
            found = probing.low_data(
                values, judged.positive, config, fractions, subsets, judged.groups, judged.test
            )
            return {"metrics": _by_fraction(found, asked.name, layer), "tables": {"curve": found}}

        fits = len(fractions) * subsets * (config.inner_folds + 1) * len(config.penalties)
        work = Work(
            training.config_of(run), forward=count, entries=count, columns=fits * config.folds
        )
        return self.recorded(
            "low_data",
            run["method"],
            settings,
            [identity],
            run["seed"],
            compute,
            work,
            run["checkpoint_sha256"],
        )

    def low_data_from_scratch(
        self,
        config: PretrainConfig,
        asked: Asked,
        fractions: tuple[float, ...],
        subsets: int,
        probe: probing.ProbeConfig,
    ) -> dict:
        """The record of networks trained from random weights on the same parts of the labels."""
        identity, _ = self.packed(asked.photographs, config.shorter_edge_px)
        count = _count(asked, identity)
        settings = records.resolved(config) | {
            "benchmark": asked.name,
            "limit": asked.limit,
            "pairs": asked.pairs,
            "fractions": list(fractions),
            "subsets": subsets,
            "probe": records.resolved(probe),
        }

        def compute(run_id: str) -> dict:
            judged = self.entries_of(asked, config.shorter_edge_px, config.size_px)
            found, folder = [], self.store.path("checkpoints", run_id)
            for fraction in fractions:
                for subset in range(subsets):
                    right, tested, trained = 0, 0, 0
                    splits = probing.subset_splits(
                        judged.positive, fraction, subset, probe, judged.groups, judged.test
                    )
                    for fold, (train, test) in enumerate(splits):
                        scores = adaptation.adapt(
                            replace(config, seed=config.seed + subset),
                            judged,
                            train,
                            test,
                            folder / f"{fraction:g}-{subset}-{fold}",
                            self.device,
                        )
                        right += int(((scores > 0) == judged.positive[test]).sum())
                        tested, trained = tested + len(test), trained + len(train)
                    found.append(
                        {
                            "fraction": fraction,
                            "subset": subset,
                            "accuracy": right / tested,
                            "n_train": trained // len(splits),
                            "n": tested,
                        }
                    )
            return {
                "metrics": _by_fraction(found, asked.name, ""),
                "tables": {"curve": found},
                "checkpoints": folder,
            }

        folds = _folds(asked, probe)
        patches = int(sum(fractions) * subsets * folds * count * config.epochs)
        return self.recorded(
            "low_data",
            "scratch",
            settings,
            [identity],
            config.seed,
            compute,
            Work(config, patches=patches, entries=count),
        )

    def adapt(
        self, config: PretrainConfig, asked: Asked, run: dict | None, probe: probing.ProbeConfig
    ) -> dict:
        """The record of whole networks trained on a benchmark's labels, fine-tuned or from scratch.

        The checkpoint of the first fold stays, for what its model says of other photographs.

        Args:
            config: of the training, method "labels" with two classes.
            run: record of the pretraining to start from; None for random weights.
            probe: whose folds, in one repeat, are used where there is no fixed split.
        """
        identity, _ = self.packed(asked.photographs, config.shorter_edge_px)
        count = _count(asked, identity)
        settings = records.resolved(config) | {
            "benchmark": asked.name,
            "limit": asked.limit,
            "pairs": asked.pairs,
            "start": run["run_id"] if run else "random",
            "folds": probe.folds,
        }

        def compute(run_id: str) -> dict:
            judged = self.entries_of(asked, config.shorter_edge_px, config.size_px)
            initial = self.model_of(run).backbone if run else None
            everything = probing.subset_splits(
                judged.positive, 1.0, 0, probe, judged.groups, judged.test
            )
            scores = np.full(len(judged), np.nan)
            for fold, (train, test) in enumerate(everything):
                scores[test] = adaptation.adapt(
                    config,
                    judged,
                    train,
                    test,
                    self._fold(run_id, fold),
                    self.device,
                    initial,
                    run["checkpoint_sha256"] if run else "",
                    keep=fold == 0,
                )
            tested = ~np.isnan(scores)
            groups = None if judged.groups is None else judged.groups[tested]
            value, low, high = metrics.bootstrap(
                metrics.accuracy, judged.positive[tested], scores[tested], config.seed, groups
            )
            row = {
                "dataset": asked.name,
                "layer": "",
                "metric": "accuracy",
                "value": value,
                "low": low,
                "high": high,
                "n": int(tested.sum()),
            }
            header = files.read_json(self._fold(run_id, 0) / "checkpoint.json")
            return {"metrics": [row], "checkpoint_sha256": header["sha256"]}

        folds = _folds(asked, probe)
        work = Work(config, patches=folds * count * config.epochs, entries=count)
        method = run["method"] if run else "scratch"
        return self.recorded("adaptation", method, settings, [identity], config.seed, compute, work)

    def confidence(self, adapted: dict, asked: Asked, probe: probing.ProbeConfig) -> dict:
        """The record of what a supervised model makes of each class (Fig. 2).

        On the entries that its fold kept from it, and on the embedded photographs for the strips.
        """
        trained = training.config_of(adapted)
        size, edge = trained.size_px, trained.shorter_edge_px
        identity, _ = self.packed(asked.photographs, edge)
        settings = {"adapted": adapted["run_id"], "benchmark": asked.name}

        def compute(run_id: str) -> dict:
            judged = self.entries_of(asked, edge, size)
            _, test = probing.subset_splits(
                judged.positive, 1.0, 0, probe, judged.groups, judged.test
            )[0]
            folder = self._fold(adapted["run_id"], 0)
            model = training.load_model(folder, adapted["checkpoint_sha256"], self.device)

            def score_of(images):
                return adaptation.margins(model, images, self.device)

            tables, rows = {}, []
            for label, kept in (("positive", True), ("negative", False)):
                chosen = torch.from_numpy(test[judged.positive[test] == kept][:1000])
                found = analysis.confidence(score_of, judged.batch_of(chosen))
                tables[label] = found
                rows += [
                    {
                        "dataset": asked.name,
                        "layer": row["class"],
                        "metric": f"logit_change_of_{label}",
                        "value": row["logit_change"],
                        "n": len(chosen),
                    }
                    for row in found
                ]
            shown = embedded.central_patches(edge, size)
            tables["embedded"] = analysis.confidence(score_of, shown)
            return {"metrics": rows, "tables": tables}

        work = Work(trained, forward=22 * _count(asked, identity) // 5)
        return self.recorded(
            "confidence",
            adapted["method"],
            settings,
            [identity],
            adapted["seed"],
            compute,
            work,
            adapted["checkpoint_sha256"],
        )

    def understanding(self, run: dict, of: Photographs, limit: int = 1000) -> dict:
        """The record of what the degradation task learned, on photographs it was not trained on."""
        trained = training.config_of(run)
        size, edge = trained.size_px, trained.shorter_edge_px
        identity, _ = self.packed(of, edge)
        settings = {"pretrain": run["run_id"], "limit": limit}

        def compute(run_id: str) -> dict:
            model = self.model_of(run)
            patches = self.held_out_patches(of, edge, size, limit)
            found = analysis.identification(model, patches, self.device)
            far = analysis.distances(model, patches[:200], self.device)
            corners = embedded.corner_patches(edge, size)
            photograph_of = torch.arange(len(corners)) // 4
            counts = np.array(found["confusion"])
            shares = np.diag(counts) / counts.sum(1)
            n = found["photographs"]
            rows = [
                {
                    "dataset": of.name,
                    "layer": item.name,
                    "metric": "class_accuracy",
                    "value": float(shares[item.index]),
                    "n": n,
                }
                for item in ops.CLASSES
            ]
            rows.append(
                {
                    "dataset": of.name,
                    "layer": "",
                    "metric": "class_accuracy",
                    "value": float(shares.mean()),
                    "n": n * len(ops.CLASSES),
                }
            )
            tables = {
                **found,
                "distances": far,
                "neighbours": analysis.neighbours(model, corners, photograph_of, self.device),
                "filters": analysis.filters(model.backbone),
            }
            return {"metrics": rows, "tables": tables}

        work = Work(trained, forward=22 * min(limit, identity["photographs"]) + 60 * 200)
        return self.recorded(
            "understanding",
            run["method"],
            settings,
            [identity],
            run["seed"],
            compute,
            work,
            run["checkpoint_sha256"],
        )

    def identifiability(self, size_px: int, shorter_edge_px: int) -> dict:
        """The record of what each class does to the embedded photographs, in both presets."""
        identity, target = self.packed(embedded_photographs(), shorter_edge_px)
        settings = {
            "size_px": size_px,
            "shorter_edge_px": shorter_edge_px,
            "seed": 0,
            "levels": {o.name: [list(o.values(p)) for p in ops.PRESETS] for o in ops.OPERATIONS},
        }

        def compute(run_id: str) -> dict:
            pack = photographs.load(target())
            patches = pack.center_crops(torch.arange(len(pack)), size_px)
            rows = []
            for preset in ops.PRESETS:
                for index, edited in analysis.versions(patches, 0, preset):
                    change = (edited.float() - patches.float()).abs().flatten(1)
                    for metric, value in (
                        ("unchanged_share", (change.amax(1) == 0).float().mean()),
                        ("mean_absolute_change", change.mean()),
                    ):
                        rows.append(
                            {
                                "dataset": f"embedded, {preset}",
                                "layer": ops.CLASSES[index].name,
                                "metric": metric,
                                "value": float(value),
                                "n": len(pack),
                            }
                        )
            return {"metrics": [row for row in rows if row["layer"] != ops.CLASSES[0].name]}

        work = Work(PretrainConfig(size_px=size_px, shorter_edge_px=shorter_edge_px))
        return self.recorded(
            "identifiability", "degradation", settings, [identity], 0, compute, work
        )

    # -- what they share

    def judged(
        self, run: dict, asked: Asked, view: features.View = features.STANDARD
    ) -> tuple[dict, dict, int]:
        """Settings, identity of the photographs and number of entries of a benchmark for a run."""
        trained = training.config_of(run)
        identity, _ = self.packed(asked.photographs, trained.shorter_edge_px)
        settings = {
            "pretrain": run["run_id"],
            "benchmark": asked.name,
            "size_px": trained.size_px,
            "shorter_edge_px": trained.shorter_edge_px,
        }
        if asked.name == "unseen":
            settings |= {"unseen_pairs": asked.pairs, "unseen_photographs": asked.limit}
        if view != features.STANDARD:
            settings["view"] = records.resolved(view)
        return settings, identity, _count(asked, identity)

    def features_of(
        self,
        run: dict,
        asked: Asked,
        judged: entries.Entries,
        view: features.View = features.STANDARD,
    ) -> Path:
        """Folder of a run's features on a benchmark, extracted if they are not there."""
        trained = training.config_of(run)
        identity, _ = self.packed(asked.photographs, trained.shorter_edge_px)
        named = [
            run["checkpoint_sha256"],
            trained.size_px,
            identity["sha256"],
            asked.name,
            asked.pairs,
            asked.limit,
        ]
        if view != features.STANDARD:
            named.append(records.resolved(view))
        folder = self.store.path("features", files.digest(named)[:16])
        if not features.complete(folder):
            backbone = self.model_of(run).backbone
            if view.statistics == "clean":
                pack = photographs.load(self._pack_of(run)(), "train")
                backbone = features.with_clean_statistics(
                    backbone,
                    _without(pack, run["config"].get("without", ())),
                    trained.size_px,
                    self.device,
                )
            label = f"features of {run['method']} on {asked.name}"
            features.extract(
                backbone, len(judged), judged.batch_of, folder, self.device, label, view.pooling
            )
        return folder

    def model_of(self, run: dict):
        folder = self.store.path("checkpoints", run["run_id"])
        return training.load_model(folder, run["checkpoint_sha256"], self.device)

    def _pack_of(self, run: dict) -> Callable[[], Path]:
        """The pack that a run was trained on, where it is still in the store."""
        name, edge = run["data"][0]["name"], run["config"]["shorter_edge_px"]
        return lambda: self.store.path("packs", f"{name}-{edge}")

    def _fold(self, run_id: str, fold: int) -> Path:
        return self.store.path("checkpoints", f"{run_id}-{fold}")

    def recorded(
        self,
        experiment: str,
        method: str,
        settings: dict,
        data: list[dict],
        seed: int,
        compute: Callable[[str], dict],
        work: Work,
        checkpoint_sha256: str | None = None,
    ) -> dict:
        """A record: looked up, or computed and written; in a plan, only noted."""
        run_id = records.run_id(experiment, self.scale, settings, [d["sha256"] for d in data])
        found = self._records.get(run_id)
        # a plan may look for a record where no other asking may
        asks = self.plan is None or self.store.path("records", f"{run_id}.json").exists()
        if found is None and asks:
            found = self.store.find(run_id)
        if self.plan is not None:
            self.plan.setdefault(run_id, Job(experiment, method, work, found is not None))
            found = found or Planned(
                run_id=run_id,
                experiment=experiment,
                method=method,
                seed=seed,
                config=settings,
                data=data,
                checkpoint_sha256="",
            )
        if found is not None:
            if not isinstance(found, Planned):
                self._records[run_id] = found
            return found
        started = time.perf_counter()
        result = compute(run_id)
        record = {
            "run_id": run_id,
            "experiment": experiment,
            "method": method,
            "scale": self.scale,
            "seed": seed,
            "config": settings,
            "data": data,
            "environment": records.environment(self.device, result.get("precision", "fp32")),
            "minutes": result.get("minutes", (time.perf_counter() - started) / 60),
            "checkpoint_sha256": result.get("checkpoint_sha256", checkpoint_sha256),
            "metrics": result["metrics"],
            "history": result.get("history", []),
            "tables": result.get("tables", {}),
        }
        self._records[run_id] = self.store.write(record)
        if "checkpoints" in result:
            adaptation.forget(result["checkpoints"])
        return record


def _without(pack: photographs.Pack, names: Iterable[str]) -> photographs.Pack:
    """A pack less the photographs of these names."""
    left_out = set(names)
    if not left_out:
        return pack
    kept = [row for row, name in enumerate(pack.names) if name not in left_out]
    return pack.take(torch.tensor(kept))


def _count(asked: Asked, identity: dict) -> int:
    """Entries of a benchmark, before what cannot be read is known."""
    count = identity["photographs"]
    if asked.name != "unseen":
        return count
    return 2 * asked.pairs * min(count, asked.limit or count)


def _folds(asked: Asked, probe: probing.ProbeConfig) -> int:
    return 1 if asked.name in benchmarks.FIXED_SPLIT else probe.folds


def _by_fraction(curve: list[dict], dataset: str, layer: str) -> list[dict]:
    """A metric row for every fraction: mean accuracy over the subsets, and their range."""
    rows = []
    for fraction in sorted({row["fraction"] for row in curve}):
        same = [row for row in curve if row["fraction"] == fraction]
        values = [row["accuracy"] for row in same]
        rows.append(
            {
                "dataset": dataset,
                "layer": layer,
                "metric": "accuracy",
                "level": fraction,
                "value": float(np.mean(values)),
                "low": min(values),
                "high": max(values),
                "n": same[0]["n"],
            }
        )
    return rows
