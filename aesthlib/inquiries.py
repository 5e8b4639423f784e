"""Experiments beyond the paper's: what could fool us, why a result came out as it did, and which
choice serves best. Each gives a record, computed once, as the methods of `runs.Runs` do.
"""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from . import ops, probing, training
from .data import duplicates, photographs
from .data.unseen import OPERATIONS
from .experiments import analysis
from .probing import features, metrics
from .runs import Asked, Photographs, Planned, Runs, Work
from .store import files, records
from .training import PretrainConfig

FRAME_PX = 4  # rings of pixels along the border that a cue looks at
PERIODS = (6, 8)  # of the grids that operations work on
TREES = 200


def near_duplicates(runs: Runs, of: Photographs, others: list[Photographs], edge: int) -> dict:
    """The record of photographs that a benchmark shows too, and of repetitions within each set.

    Its table `pairs` names them; `left_out(record)` gives those to keep out of pretraining.
    """
    packed = [runs.packed(each, edge) for each in (of, *others)]
    settings = {
        "photographs": of.name,
        "benchmarks": [other.name for other in others],
        "shorter_edge_px": edge,
        "coarse": duplicates.COARSE,
        "fine": duplicates.FINE,
    }

    def compute(run_id: str) -> dict:
        packs = [photographs.load(target()) for _, target in packed]
        rows, pairs = [], []
        for number, pack in enumerate(packs):
            for place, other in ((pack.name, None), *((pack.name, packs[0]),) * bool(number)):
                found, below = duplicates.near_duplicates(other or pack, pack if other else None)
                where = "within" if other is None else "pretraining"
                pairs += [{"dataset": place, "where": where, **pair._asdict()} for pair in found]
                for metric, value in (
                    (f"near_duplicates_{where}", len(found)),
                    (f"next_likeness_{where}", below),
                ):
                    rows.append(
                        {
                            "dataset": place,
                            "layer": "",
                            "metric": metric,
                            "value": float(value),
                            "n": len(pack),
                        }
                    )
        return {"metrics": rows, "tables": {"pairs": pairs}}

    return runs.recorded(
        "near_duplicates",
        "",
        settings,
        [identity for identity, _ in packed],
        0,
        compute,
        Work(PretrainConfig()),
    )


def left_out(record: dict) -> tuple[str, ...]:
    """Names of photographs that a benchmark shows too, from a record of `near_duplicates`."""
    # a plan takes it that there are none
    pairs = () if isinstance(record, Planned) else record["tables"]["pairs"]
    return tuple(sorted({pair["one"] for pair in pairs if pair["where"] == "pretraining"}))


def cues(images: Tensor) -> dict[str, Tensor]:
    """What can be seen of patches without looking at what they show.

    Args:
        images: uint8 (N, 3, S, S).

    Returns:
        float32 (N, K) by cue. border: mean steps between neighbouring rings along the frame, by
        side, over the mean step inside. grid: mean steps by their place in grids of 6 and 8 px,
        over the mean of all. rounding: shares of the levels' last three bits, of 0 and of 255, and
        the share of the 256 levels that occur.
    """
    values = images.float()
    down, across = ((values.diff(dim=d)).abs().mean(1) for d in (2, 3))  # (N, S-1, S), (N, S, S-1)
    inside = (down.mean((1, 2)) + across.mean((1, 2)))[:, None] / 2 + 1e-3
    frame = [
        side.mean(1)
        for k in range(FRAME_PX)
        for side in (down[:, k], down[:, -1 - k], across[..., k], across[..., -1 - k])
    ]
    phases = []
    for period in PERIODS:
        for steps in (down.mean(2), across.mean(1)):
            phases += [steps[:, phase::period].mean(1) for phase in range(period)]
    counts = torch.stack(
        [torch.bincount(image.flatten().int(), minlength=256) for image in images.flatten(1)]
    ).float()
    share = counts / counts.sum(1, keepdim=True)
    rounding = [
        share.unflatten(1, (32, 8)).sum(1),
        share[:, [0, 255]],
        (counts > 0).float().mean(1, keepdim=True),
    ]
    return {
        "border": torch.stack(frame, 1) / inside,
        "grid": torch.stack(phases, 1) / inside,
        "rounding": torch.cat(rounding, 1),
    }


def shortcuts(
    runs: Runs, of: Photographs, config: PretrainConfig, limit: int = 200, folds: int = 4
) -> dict:
    """The record of how well each cue alone tells the 22 classes, on photographs kept apart.

    A forest of `TREES` trees on the cue, cross-validated with whole photographs apart.

    Args:
        config: of the degradation task, whose levels and readings are used.
        limit: photographs.
    """
    edge, size = config.shorter_edge_px, config.size_px
    identity, _ = runs.packed(of, edge)
    options = config.options
    settings = {
        "size_px": size,
        "shorter_edge_px": edge,
        "preset": options.preset,
        "limit": limit,
        "noise_units": options.noise_units,
        "shuffle": options.shuffle,
        "shuffle_block_px": options.shuffle_block_px,
        "trees": TREES,
        "folds": folds,
    }

    def compute(run_id: str) -> dict:
        from sklearn.ensemble import RandomForestClassifier
        from sklearn.model_selection import GroupKFold

        patches = runs.held_out_patches(of, edge, size, limit)
        reading = ops.Reading(options.noise_units, options.shuffle_block_px, options.shuffle)
        seen: dict[str, list[Tensor]] = {}
        for _, edited in analysis.versions(patches, 0, options.preset, reading):
            for name, values in cues(edited).items():
                seen.setdefault(name, []).append(values)
        count = len(patches)
        label = np.repeat(np.arange(len(ops.CLASSES)), count)
        photograph = np.tile(np.arange(count), len(ops.CLASSES))
        tables = {name: torch.cat(values).numpy() for name, values in seen.items()}
        tables["all three"] = np.hstack(list(tables.values()))
        rows = []
        for name, values in tables.items():
            guess = np.empty_like(label)
            for train, test in GroupKFold(min(folds, count)).split(values, label, photograph):
                forest = RandomForestClassifier(TREES, random_state=0)
                guess[test] = forest.fit(values[train], label[train]).predict(values[test])
            right = (guess == label).reshape(len(ops.CLASSES), count).mean(1)
            metric = f"accuracy_from_{name.replace(' ', '_')}"
            rows += [
                {
                    "dataset": of.name,
                    "layer": item.name,
                    "metric": metric,
                    "value": float(right[item.index]),
                    "n": count,
                }
                for item in ops.CLASSES
            ]
            rows.append(
                {
                    "dataset": of.name,
                    "layer": "",
                    "metric": metric,
                    "value": float(right.mean()),
                    "n": len(label),
                }
            )
        return {"metrics": rows}

    return runs.recorded("shortcuts", "degradation", settings, [identity], 0, compute, Work(config))


def by_operation(
    runs: Runs, run: dict, asked: Asked, config: probing.ProbeConfig, view: features.View
) -> dict:
    """The record of unseen operations asked one by one: degraded by it, or not.

    The accuracy of an operation's own linear probe, by layer, and the mean over the operations with
    its interval over the photographs.

    Args:
        asked: unseen operations, an equal number of pairs of each.
    """
    settings, identity, count = runs.judged(run, asked, view)
    settings["probe"] = records.resolved(config)

    def compute(run_id: str) -> dict:
        trained = training.config_of(run)
        judged = runs.entries_of(asked, trained.shorter_edge_px, trained.size_px)
        folder = runs.features_of(run, asked, judged, view)
        rows, scores = [], {}
        for layer in view.layers:
            values = features.load(folder, layer, view)
            logit = np.empty((config.repeats, len(judged)), np.float32)
            for name in OPERATIONS:
                chosen = np.flatnonzero(judged.kinds == name)
                found = probing.probe(
                    values[torch.from_numpy(chosen)],
                    judged.positive[chosen],
                    None,
                    config,
                    judged.groups[chosen],
                )
                logit[:, chosen] = found.scores["logit"]
                rows.append(
                    found.rows[0]
                    | {"dataset": "unseen", "layer": layer, "metric": f"accuracy_of_{name}"}
                )
            # every operation has as many patches, so that this is the mean over them
            value, low, high = metrics.bootstrap(
                metrics.accuracy, judged.positive, logit, config.seed, judged.groups
            )
            rows.append(
                {
                    "dataset": "unseen",
                    "layer": layer,
                    "metric": "mean_accuracy",
                    "value": value,
                    "low": low,
                    "high": high,
                    "n": len(judged),
                }
            )
            scores[f"{layer}.logit"] = logit
        runs.store.write_scores(run_id, scores)
        return {"metrics": rows}

    columns = 10 * config.folds * config.repeats * (config.inner_folds + 1) * len(config.penalties)
    work = Work(training.config_of(run), forward=count, entries=count, columns=columns)
    return runs.recorded(
        "by_operation",
        run["method"],
        settings,
        [identity],
        run["seed"],
        compute,
        work,
        run["checkpoint_sha256"],
    )


def within_kinds(runs: Runs, probed: dict, asked: Asked) -> dict:
    """The record of what a probe's predictions say within each kind of photograph.

    The rank correlation of predictions and ratings in each kind, its mean weighted by their sizes,
    and what the kind alone tells: the correlation, and the share of the ratings' variance, of the
    mean rating of each kind. (The mean over the other entries would fall where an entry's own
    rating rises, and so turn the order within a kind round.)

    Args:
        probed: record of an exact probe of ratings.
    """
    identity, _ = runs.packed(asked.photographs, probed["config"]["shorter_edge_px"])
    settings = {"probe_run": probed["run_id"], "benchmark": asked.name}

    def compute(run_id: str) -> dict:
        where = probed["config"]
        judged = runs.entries_of(asked, where["shorter_edge_px"], where["size_px"])
        stored = runs.store.read_scores(probed["run_id"])
        mos, kinds = stored["truth.mos"], judged.kinds
        names, number, sizes = np.unique(kinds, return_inverse=True, return_counts=True)
        known = (np.bincount(number, mos) / sizes)[number]
        rows = [
            {
                "dataset": asked.name,
                "layer": "kind alone",
                "metric": name,
                "value": float(value),
                "n": len(mos),
            }
            for name, value in (
                ("srcc", metrics.srcc(mos, known)),
                ("plcc", metrics.plcc(mos, known)),
                ("variance_share", 1 - ((mos - known) ** 2).mean() / mos.var()),
            )
        ]
        for layer in dict.fromkeys(row["layer"] for row in probed["metrics"]):
            predicted, inside = stored[f"{layer}.rating"], []
            for place, name in enumerate(names):
                rows_of = number == place
                value = np.mean([metrics.srcc(mos[rows_of], row[rows_of]) for row in predicted])
                inside.append(value)
                rows.append(
                    {
                        "dataset": asked.name,
                        "layer": layer,
                        "metric": f"srcc_in_{name}",
                        "value": float(value),
                        "n": int(sizes[place]),
                    }
                )
            mean = float(np.average(inside, weights=sizes))
            rows.append(
                {
                    "dataset": asked.name,
                    "layer": layer,
                    "metric": "srcc_within_kinds",
                    "value": mean,
                    "n": len(mos),
                }
            )
        return {"metrics": rows}

    return runs.recorded(
        "within_kinds",
        probed["method"],
        settings,
        [identity],
        probed["seed"],
        compute,
        Work(PretrainConfig()),
        probed["checkpoint_sha256"],
    )


@dataclass(frozen=True)
class Candidate:
    """Features that a selection may choose: a run, or several side by side, and a layer.

    Attributes:
        title: on pages.
        runs: records of pretraining.
        layer: of the view.
    """

    title: str
    runs: tuple[dict, ...]
    layer: str


def selected(
    runs: Runs,
    candidates: list[Candidate],
    asked: Asked,
    config: probing.ProbeConfig,
    view: features.View,
    name: str,
) -> dict:
    """The record of the best of several features, chosen inside every training set.

    Args:
        name: of the choice, in place of a method.
    """
    first = candidates[0].runs[0]
    settings, identity, count = runs.judged(first, asked, view)
    edges = dict.fromkeys(
        training.config_of(run).shorter_edge_px for item in candidates for run in item.runs
    )
    data = [runs.packed(asked.photographs, edge)[0] for edge in edges]
    settings |= {
        "probe": records.resolved(config),
        "pretrain": "",
        "candidates": [
            [item.title, item.layer, *(run["run_id"] for run in item.runs)] for item in candidates
        ],
    }

    def values_of(item: Candidate) -> Tensor:
        found = []
        for run in item.runs:
            trained = training.config_of(run)
            judged = runs.entries_of(asked, trained.shorter_edge_px, trained.size_px)
            folder = runs.features_of(run, asked, judged, view)
            found.append(features.load(folder, item.layer, view))
        return torch.cat(found, 1)

    def compute(run_id: str) -> dict:
        trained = training.config_of(first)
        judged = runs.entries_of(asked, trained.shorter_edge_px, trained.size_px)
        found, chosen = probing.select(
            (values_of(item) for item in candidates),
            judged.positive,
            judged.mos,
            config,
            judged.groups,
            judged.test,
        )
        runs.store.write_scores(run_id, {f"chosen.{k}": v for k, v in found.scores.items()})
        rows = [{"dataset": asked.name, "layer": "chosen", **row} for row in found.rows]
        shares = [
            {
                "kind": kind,
                "candidate": candidates[number].title,
                "layer": candidates[number].layer,
                "share": float((picks == number).mean()),
            }
            for kind, picks in chosen.items()
            for number in np.unique(picks)
        ]
        return {"metrics": rows, "tables": {"chosen": shares}}

    fits = config.folds * config.repeats * (config.inner_folds + 1) * len(config.penalties)
    work = Work(training.config_of(first), entries=count, columns=2 * fits * len(candidates))
    together = files.digest([run["checkpoint_sha256"] for c in candidates for run in c.runs])
    return runs.recorded("selected", name, settings, data, first["seed"], compute, work, together)


def compare(runs: Runs, ours: dict, theirs: dict, asked: Asked) -> dict:
    """The record of paired differences between two records of `selected` or of `by_operation`.

    Layer by layer on the same entries: of accuracy, and where both have predicted ratings of SRCC
    and PLCC.

    Args:
        asked: what both were judged on.
    """
    where = ours["config"]
    settings = {
        "ours": ours["run_id"],
        "theirs": theirs["run_id"],
        "benchmark": asked.name,
        "probe": where["probe"],
        "shorter_edge_px": where["shorter_edge_px"],
    }

    def compute(run_id: str) -> dict:
        judged = runs.entries_of(asked, where["shorter_edge_px"], where["size_px"])
        mine, other = (runs.store.read_scores(record["run_id"]) for record in (ours, theirs))
        rows = []
        for key in mine:
            layer, kind = key.rsplit(".", 1)
            if key not in other:
                continue
            for name in ("accuracy",) if kind == "logit" else ("srcc", "plcc"):
                found = metrics.compare(
                    getattr(metrics, name),
                    judged.positive if kind == "logit" else judged.mos,
                    mine[key],
                    other[key],
                    where["probe"]["seed"],
                    judged.groups,
                )
                values = zip(("value", "low", "high", "p"), found, strict=True)
                rows.append(
                    {
                        "dataset": asked.name,
                        "layer": layer,
                        "metric": name,
                        "n": len(judged),
                        **dict(values),
                    }
                )
        return {"metrics": rows}

    return runs.recorded(
        "inquiry_comparison",
        theirs["method"],
        settings,
        ours["data"],
        ours["seed"],
        compute,
        Work(PretrainConfig()),
    )
