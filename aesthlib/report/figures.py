"""One function a figure: data in, Figure out."""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from torch import Tensor

from .. import ops
from ..models import LAYERS
from ..study import METHODS

WIDTH = 7.0  # inches: readable at 700 px
# Okabe and Ito's palette and greys, told apart by the colour-blind, each with a marker of its own
MARKS = {
    "degradation": ("#0072B2", "o"),
    "random": ("#D55E00", "s"),
    "labels": ("#000000", "*"),
    "places": ("#666666", "P"),
    "published": ("#999999", "X"),
    "scratch": ("#8C564B", "v"),
    "context": ("#E69F00", "^"),
    "jigsaw": ("#56B4E9", "<"),
    "colorization": ("#009E73", "D"),
    "split_brain": ("#CC79A7", "d"),
    "counting": ("#B8860B", "h"),
    "rotation": ("#7B68EE", ">"),
}
COLOURS = {name: colour for name, (colour, _) in MARKS.items()}
TITLES = {name: method.title for name, method in METHODS.items()} | {"scratch": "From scratch"}
LAYER_COLOURS = dict(
    zip(LAYERS, ("#440154", "#3B528B", "#21918C", "#5EC962", "#C7B000"), strict=True)
)
STYLE = {
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.alpha": 0.3,
    "font.size": 10,
    "figure.dpi": 100,
    "savefig.bbox": "tight",
}
# Loaded within rc_context, Jupyter's backend would lose its interactive mode on leaving it, and
# only the first figure of a notebook would be shown.
plt.switch_backend(plt.get_backend())


def degradation_strips(photograph: Tensor, versions: dict[int, Tensor], preset: str) -> Figure:
    """Every operation at every level, one row an operation, the original on the left.

    Args:
        photograph: uint8 (3, S, S).
        versions: uint8 (3, S, S) by class index, 1 … 21.
        preset: whose values label the levels.
    """
    rows, columns = len(ops.OPERATIONS), 1 + max(len(row.levels) for row in ops.OPERATIONS)
    figure, axes = plt.subplots(rows, columns, figsize=(WIDTH, 1.78 * rows), layout="constrained")
    for axis in axes.flat:
        axis.set_axis_off()
    by_operation = {
        row.name: [item for item in ops.CLASSES if item.operation is row] for row in ops.OPERATIONS
    }
    for strip, row in zip(axes, ops.OPERATIONS, strict=True):
        strip[0].imshow(photograph.permute(1, 2, 0).numpy())
        strip[0].set_title("original", fontsize=8)
        for axis, item in zip(strip[1:], by_operation[row.name], strict=False):
            axis.imshow(versions[item.index].permute(1, 2, 0).numpy())
            value = row.values(preset)[item.level - 1]
            axis.set_title(f"{row.name.replace('_', ' ')}\n{row.parameter} {value:g}", fontsize=8)
    return figure


def visibility(frame: pd.DataFrame, preset: str) -> Figure:
    """Mean absolute change of a pixel by each class, on a logarithmic scale.

    Args:
        frame: columns layer (the class), metric, value.
    """
    names = [item.name for item in ops.CLASSES[1:]]
    change = frame[frame.metric == "mean_absolute_change"].set_index("layer").value[names]
    same = frame[frame.metric == "unchanged_share"].set_index("layer").value
    with plt.rc_context(STYLE):
        figure, axis = plt.subplots(figsize=(WIDTH, 4.6), layout="constrained")
        floor = 0.05
        axis.barh(change.index[::-1], change[::-1].clip(lower=floor), color=COLOURS["degradation"])
        for index, name in enumerate(change.index[::-1]):
            if same[name] == 1:
                axis.text(floor * 1.15, index, "identical to the original", va="center", fontsize=9)
        axis.set(
            xscale="log",
            xlim=(floor, 200),
            xlabel="mean absolute change (of 255)",
            title=f"How visible each class is, preset “{preset}”",
        )
        axis.grid(False, axis="y")
    return figure


def training_curves(histories: pd.DataFrame, options: dict, chance: float) -> Figure:
    """Cross-entropy, accuracy, triplet loss and entropy by epoch, switch-on points marked.

    Args:
        histories: columns epoch, seed and the four measures; what was not measured is NaN.
        options: of the degradation task, with the switch-on epochs and α.
        chance: accuracy of always answering None.
    """
    panels = (
        ("cross_entropy", "cross-entropy (nats)"),
        ("accuracy", "accuracy over 22 classes"),
        ("triplet", "triplet loss (0 to 5)"),
        ("entropy", "entropy of the prediction (nats)"),
    )
    with plt.rc_context(STYLE):
        figure, axes = plt.subplots(2, 2, figsize=(WIDTH, 5.0), sharex=True, layout="constrained")
        epochs = int(histories.epoch.max())
        for axis, (column, label) in zip(axes.flat, panels, strict=True):
            for _, run in histories.groupby("seed"):
                axis.plot(run.epoch, run[column], "o-", ms=3, color=COLOURS["degradation"])
            if column == "accuracy":
                axis.axhline(chance, ls=":", color="0.4")
                axis.annotate("always None", (epochs, chance), ha="right", va="bottom", fontsize=8)
            if column == "entropy" and options["entropy_alpha"]:
                limit = 1 / options["entropy_alpha"]
                axis.axhline(limit, ls=":", color="0.4")
                axis.annotate(
                    f"weight 0 above {limit:g}",
                    (epochs, limit),
                    ha="right",
                    va="bottom",
                    fontsize=8,
                )
            switch = {"triplet": "triplet_from_epoch", "entropy": "entropy_from_epoch"}
            start = options.get(switch.get(column, ""), epochs)
            if start < epochs:
                axis.axvline(start + 0.5, ls="--", color="0.4")
                axis.annotate(
                    "switched on",
                    (start + 0.5, 0.4),
                    xycoords=("data", "axes fraction"),
                    rotation=90,
                    va="center",
                    ha="right",
                    fontsize=8,
                )
            axis.set_ylabel(label)
            axis.set_ylim(bottom=0)
        for axis in axes[1]:
            axis.set_xlabel("epoch")
            axis.xaxis.get_major_locator().set_params(integer=True)
    return figure


def task_curves(histories: pd.DataFrame) -> Figure:
    """Loss by epoch of every method, one panel each with its own scale.

    Args:
        histories: columns method, seed, epoch, loss.
    """
    methods = [name for name in MARKS if name in set(histories.method)]
    rows = -(-len(methods) // 3)
    with plt.rc_context(STYLE):
        figure, axes = plt.subplots(
            rows, 3, figsize=(WIDTH, 1.9 * rows), sharex=True, squeeze=False, layout="constrained"
        )
        for axis, method in zip(axes.flat, methods, strict=False):
            for _, run in histories[histories.method == method].groupby("seed"):
                axis.plot(run.epoch, run.loss, ".-", color=COLOURS[method])
            axis.set_title(TITLES[method], fontsize=9)
            axis.xaxis.get_major_locator().set_params(integer=True)
        for axis in axes.flat[len(methods) :]:
            axis.set_axis_off()
        figure.supxlabel("epoch", fontsize=10)
        figure.supylabel("loss of the task (each in its own unit)", fontsize=10)
    return figure


def probe_layers(
    frame: pd.DataFrame,
    metric: str,
    label: str,
    reference: float | None,
    layers: tuple[str, ...] = LAYERS,
) -> Figure:
    """A metric by layer and method, one panel a dataset; intervals for two methods.

    With many methods only the paper's and the untrained network carry their intervals.

    Args:
        frame: rows of `records.load` of one metric's experiment.
        metric: in the frame.
        label: of the axis, with unit.
        reference: chance, drawn as a dotted line; None for none.
        layers: from left to right.
    """
    chosen = frame[frame.metric == metric]
    datasets = sorted(chosen.dataset.unique())
    with plt.rc_context(STYLE):
        figure, axes = plt.subplots(
            1, len(datasets), figsize=(WIDTH, 4.2), sharey=True, squeeze=False, layout="constrained"
        )
        for axis, dataset in zip(axes[0], datasets, strict=True):
            rows = chosen[chosen.dataset == dataset]
            methods = [name for name in MARKS if name in set(rows.method)]
            for number, method in enumerate(methods):
                shift = (number - (len(methods) - 1) / 2) * 0.5 / len(methods)
                runs = rows[rows.method == method]
                mean = runs.groupby("layer")[["value", "low", "high"]].mean().reindex(layers)
                place = np.arange(len(layers)) + shift
                colour, marker = MARKS[method]
                main = method in ("degradation", "random")
                axis.plot(
                    place,
                    mean.value,
                    "-",
                    marker=marker,
                    ms=5 if main else 4,
                    color=colour,
                    lw=1.8 if main else 0.8,
                    label=TITLES[method],
                )
                if main or len(methods) < 4:
                    axis.vlines(place, mean.low, mean.high, color=colour, lw=1)
            if reference is not None:
                axis.axhline(reference, ls=":", color="0.4")
                axis.annotate(
                    "chance", (len(layers) - 1, reference), ha="right", va="bottom", fontsize=8
                )
            axis.set_xticks(range(len(layers)), [layer.removeprefix("conv") for layer in layers])
            axis.set(title=f"{dataset} (n = {int(rows.n.iloc[0])})", xlabel="convolution")
        axes[0, 0].set_ylabel(label)
        handles, labels = axes[0, 0].get_legend_handles_labels()
        figure.legend(handles, labels, fontsize=8, ncols=4, loc="outside lower center")
    return figure


def headline(panels: dict[str, pd.DataFrame], layer: str) -> Figure:
    """The result at a glance: every method on every benchmark, intervals and seeds.

    Args:
        panels: by label of the axis, rows of probes of one metric and dataset: columns method,
            value, low, high, seed, n. The first method of `MARKS` is marked by a band.
        layer: that the rows are of, for the title.
    """
    methods = [name for name in MARKS if any(name in set(f.method) for f in panels.values())]
    last = [name for name in methods if name not in ("degradation", "random")]
    methods = [*last[::-1], "random", "degradation"]
    with plt.rc_context(STYLE):
        figure, axes = plt.subplots(
            1,
            len(panels),
            figsize=(WIDTH, 1.1 + 0.33 * len(methods)),
            sharey=True,
            squeeze=False,
            layout="constrained",
        )
        for axis, (label, rows) in zip(axes[0], panels.items(), strict=True):
            for place, name in enumerate(methods):
                runs = rows[rows.method == name]
                colour, marker = MARKS[name]
                axis.hlines(
                    place, runs.low.mean(), runs.high.mean(), color=colour, lw=2.5, alpha=0.5
                )
                axis.plot(runs.value, np.full(len(runs), place), "|", color=colour, ms=8)
                axis.plot(runs.value.mean(), place, marker, color=colour, ms=6)
            axis.axhspan(len(methods) - 1.5, len(methods) - 0.5, color="0.93", zorder=0)
            axis.set_yticks(range(len(methods)), [TITLES[name] for name in methods])
            axis.set_ylim(-0.6, len(methods) - 0.4)
            axis.set_xlabel(f"{label}\nn = {int(rows.n.iloc[0])}", fontsize=9)
            axis.grid(False, axis="y")
        figure.suptitle(
            f"Linear probes on {layer}: value, its 95 % interval, and each seed", fontsize=10
        )
    return figure


def shares(table: pd.DataFrame, label: str, low: float = 0.0) -> Figure:
    """A table of shares in [low, 1] as colours with their values in percent.

    Args:
        table: a row a line, a column a column.
        label: of the colours.
        low: the palest value.
    """
    with plt.rc_context(STYLE | {"axes.grid": False}):
        figure, axis = plt.subplots(figsize=(WIDTH, 1.4 + 0.27 * len(table)), layout="constrained")
        picture = axis.imshow(table, cmap="cividis", vmin=low, vmax=1, aspect="auto")
        for (row, column), value in np.ndenumerate(table.to_numpy()):
            if value == value:
                axis.text(
                    column,
                    row,
                    f"{100 * value:.0f}",
                    ha="center",
                    va="center",
                    fontsize=8,
                    color="white" if value < (low + 1) / 2 else "black",
                )
        axis.set_xticks(range(table.shape[1]), table.columns, fontsize=8, rotation=30, ha="right")
        axis.set_yticks(range(len(table)), table.index, fontsize=8)
        figure.colorbar(picture, ax=axis, label=label)
    return figure


def budget_curves(training: pd.DataFrame, probes: pd.DataFrame) -> Figure:
    """Does more training still help: the task's accuracy, and what probes make of the features.

    Args:
        training: columns run, epoch, accuracy (a share), during each run.
        probes: columns run, dataset, epochs, value, low, high: SRCC or accuracy by training length.
    """
    with plt.rc_context(STYLE):
        figure, (left, right) = plt.subplots(1, 2, figsize=(WIDTH, 3.4), layout="constrained")
        colours = list(COLOURS.values())
        for number, (run, rows) in enumerate(training.groupby("run", sort=False)):
            left.plot(
                rows.epoch,
                100 * rows.accuracy,
                "o-",
                ms=3,
                label=run,
                lw=1,
                color=colours[number % len(colours)],
            )
        left.set(xlabel="epoch", ylabel="accuracy of the task on training crops (%)")
        left.legend(fontsize=7)
        for number, (dataset, rows) in enumerate(probes.groupby("dataset")):
            rows = rows.sort_values("epochs")
            right.errorbar(
                rows.epochs,
                rows.value,
                [rows.value - rows.low, rows.high - rows.value],
                marker="o",
                ms=4,
                capsize=2,
                lw=1,
                label=dataset,
                color=colours[number],
            )
        right.set(xlabel="epochs of the training", ylabel="SRCC of a probe on conv3")
        right.legend(fontsize=7)
    return figure


def differences(frame: pd.DataFrame, metric: str, label: str) -> Figure:
    """Ours minus every other method, by layer with paired intervals, one panel a dataset.

    Args:
        frame: rows of comparisons.
        metric: in the frame.
        label: of the axis, with unit.
    """
    chosen = frame[frame.metric == metric]
    datasets = sorted(chosen.dataset.unique())
    methods = [name for name in MARKS if name in set(chosen.method)][::-1]
    with plt.rc_context(STYLE):
        figure, axes = plt.subplots(
            1,
            len(datasets),
            figsize=(WIDTH, 1.2 + 0.55 * len(methods)),
            sharey=True,
            squeeze=False,
            layout="constrained",
        )
        for axis, dataset in zip(axes[0], datasets, strict=True):
            rows = chosen[chosen.dataset == dataset]
            for number, layer in enumerate(LAYERS):
                mean = rows[rows.layer == layer].groupby("method")[["value", "low", "high"]].mean()
                mean = mean.reindex(methods)
                place = np.arange(len(methods)) + (2 - number) * 0.15
                colour = LAYER_COLOURS[layer]
                axis.plot(mean.value, place, "o", ms=4, color=colour, label=layer)
                axis.hlines(place, mean.low, mean.high, color=colour, lw=1)
            axis.axvline(0, color="0.3", lw=1)
            axis.set_yticks(range(len(methods)), [TITLES[name] for name in methods])
            axis.set(title=f"{dataset} (n = {int(rows.n.iloc[0])})", xlabel=label)
        handles, labels = axes[0, 0].get_legend_handles_labels()
        figure.legend(handles, labels, fontsize=8, ncols=5, loc="outside lower center")
    return figure


def low_data_curves(curves: pd.DataFrame) -> Figure:
    """Accuracy by share of the labels: mean of the subsets and their range, one panel a dataset.

    Args:
        curves: columns dataset, method, fraction, subset, accuracy (a share).
    """
    datasets = sorted(curves.dataset.unique())
    with plt.rc_context(STYLE):
        figure, axes = plt.subplots(
            1, len(datasets), figsize=(WIDTH, 3.8), sharey=True, squeeze=False, layout="constrained"
        )
        for axis, dataset in zip(axes[0], datasets, strict=True):
            rows = curves[curves.dataset == dataset]
            for method in (name for name in MARKS if name in set(rows.method)):
                values = 100 * rows[rows.method == method].groupby("fraction").accuracy.agg(
                    ["mean", "min", "max"]
                )
                colour, marker = MARKS[method]
                share = 100 * values.index
                axis.plot(
                    share, values["mean"], marker=marker, ms=4, color=colour, label=TITLES[method]
                )
                axis.fill_between(share, values["min"], values["max"], color=colour, alpha=0.15)
            axis.axhline(50, ls=":", color="0.4")
            axis.set(title=dataset, xlabel="labels used (% of each class)")
        axes[0, 0].set_ylabel("accuracy (%)")
        handles, labels = axes[0, 0].get_legend_handles_labels()
        figure.legend(handles, labels, fontsize=8, ncols=4, loc="outside lower center")
    return figure


def ablations(lost: pd.DataFrame) -> Figure:
    """Accuracy of every ablation minus that of the reference, with paired intervals, by group.

    Args:
        lost: columns group, ablation, dataset, difference, low, high, in points.
    """
    rows = lost[lost.difference.notna()].iloc[::-1]
    names = list(dict.fromkeys(zip(rows.group, rows.ablation, strict=True)))
    with plt.rc_context(STYLE):
        figure, axis = plt.subplots(figsize=(WIDTH, 1 + 0.26 * len(names)), layout="constrained")
        for number, (dataset, part) in enumerate(rows.groupby("dataset")):
            place = [names.index(key) for key in zip(part.group, part.ablation, strict=True)]
            place = np.array(place) + 0.2 * number
            colour = list(COLOURS.values())[number]
            axis.plot(part.difference, place, "o", ms=5, label=dataset, color=colour)
            axis.hlines(place, part.low, part.high, color=colour, lw=1)
        axis.axvline(0, color="0.3", lw=1)
        axis.set_yticks(range(len(names)), [name for _, name in names], fontsize=8)
        for place in range(1, len(names)):
            if names[place][0] != names[place - 1][0]:
                axis.axhline(place - 0.4, color="0.8", lw=0.8)
        axis.set_xlabel("accuracy against the reference (points, average of the layers)")
        axis.legend(fontsize=8, loc="best")
    return figure


def confidence_changes(before: pd.Series, after: pd.DataFrame) -> Figure:
    """How the probability of “good” moves under each class, over held-out photographs.

    Args:
        before: of the unedited photographs.
        after: a column a class, a row a photograph.
    """
    change = after.sub(before, axis=0)
    with plt.rc_context(STYLE):
        figure, axis = plt.subplots(figsize=(WIDTH, 5.6), layout="constrained")
        axis.boxplot(
            [change[name] for name in change.columns[::-1]],
            orientation="horizontal",
            widths=0.6,
            showfliers=False,
            patch_artist=True,
            medianprops={"color": "black"},
            boxprops={"facecolor": COLOURS["jigsaw"]},
        )
        axis.set_yticks(range(1, change.shape[1] + 1), change.columns[::-1], fontsize=8)
        axis.axvline(0, color="0.3", lw=1)
        axis.set_xlabel(
            "change of the probability of “good” (box: quartiles; whiskers: to 1.5 box lengths)",
            fontsize=8,
        )
        axis.grid(False, axis="y")
    return figure


def labelled_patches(patches: Tensor, titles: list[str], columns: int) -> Figure:
    """Patches in rows, each under its title.

    Args:
        patches: uint8 (N, 3, S, S).
        titles: N.
        columns: patches a row.
    """
    rows = -(-len(patches) // columns)
    size = WIDTH / columns
    figure, axes = plt.subplots(
        rows, columns, figsize=(WIDTH, rows * (size + 0.35)), squeeze=False, layout="constrained"
    )
    for axis in axes.flat:
        axis.set_axis_off()
    for axis, patch, title in zip(axes.flat, patches, titles, strict=False):
        axis.imshow(patch.permute(1, 2, 0).numpy())
        axis.set_title(title, fontsize=7)
    return figure


def confusion(counts: np.ndarray, same: set[str]) -> Figure:
    """Shares of each true class taken for each class; classes that change no pixel are marked.

    Args:
        counts: int (22, 22), rows the truth.
        same: classes that cannot be told from None, being the same pixels.
    """
    names = [item.name + (" =none" if item.name in same else "") for item in ops.CLASSES]
    share = counts / counts.sum(1, keepdims=True)
    with plt.rc_context(STYLE | {"axes.grid": False}):
        figure, axis = plt.subplots(figsize=(WIDTH, 6.4), layout="constrained")
        picture = axis.imshow(share, cmap="cividis", vmin=0, vmax=1)
        axis.set_xticks(range(len(names)), names, rotation=90, fontsize=7)
        axis.set_yticks(range(len(names)), names, fontsize=7)
        axis.set(xlabel="predicted", ylabel="applied")
        figure.colorbar(picture, ax=axis, label="share of the applied class", shrink=0.8)
    return figure


def distance_by_level(rows: pd.DataFrame) -> Figure:
    """Distance D to the original over an operation's whole range, trained levels marked.

    Args:
        rows: of `analysis.distances`.
    """
    names = list(dict.fromkeys(rows.operation))
    with plt.rc_context(STYLE):
        figure, axes = plt.subplots(
            2, 4, figsize=(WIDTH, 4.4), sharey=True, squeeze=False, layout="constrained"
        )
        for axis, name in zip(axes.flat, names, strict=True):
            part = rows[rows.operation == name].reset_index(drop=True)
            axis.fill_between(
                part.index, part.low, part.high, alpha=0.2, color=COLOURS["degradation"]
            )
            axis.plot(part.index, part["median"], "-", color=COLOURS["degradation"])
            trained = part[part.trained]
            axis.plot(trained.index, trained["median"], "o", color=COLOURS["random"], ms=5)
            axis.set_xticks(part.index, [f"{v:g}" for v in part.value], fontsize=6, rotation=60)
            axis.set_title(f"{name.replace('_', ' ')}\n({part.parameter[0]})", fontsize=8)
        figure.supylabel("squared distance D to the original", fontsize=9)
    return figure


def entropy_weights(weights: pd.DataFrame) -> Figure:
    """Mean entropy weight of each class, and the share of versions that keep any weight.

    Args:
        weights: of `analysis.identification`: columns class, mean, kept.
    """
    rows = weights.iloc[::-1]
    with plt.rc_context(STYLE):
        figure, axis = plt.subplots(figsize=(WIDTH, 4.8), layout="constrained")
        axis.barh(rows["class"], rows.kept, color="0.85", label="share with a weight above 0")
        axis.barh(
            rows["class"],
            rows["mean"],
            color=COLOURS["degradation"],
            label="mean weight",
            height=0.45,
        )
        axis.set(xlim=(0, 1), xlabel="entropy weight")
        axis.tick_params(axis="y", labelsize=8)
        axis.legend(fontsize=8)
        axis.grid(False, axis="y")
    return figure


def filter_grid(filters: np.ndarray) -> Figure:
    """First-layer filters, uint8 (N, h, w, channels), each stretched to its own range."""
    columns = 16
    rows = -(-len(filters) // columns)
    figure, axes = plt.subplots(
        rows,
        columns,
        figsize=(WIDTH, WIDTH * rows / columns),
        squeeze=False,
        gridspec_kw={"wspace": 0.08, "hspace": 0.08},
    )
    for axis in axes.flat:
        axis.set_axis_off()
    for axis, pixels in zip(axes.flat, filters, strict=False):
        axis.imshow(pixels if pixels.shape[2] == 3 else pixels[..., 0], cmap="gray")
    return figure


def speed_ratios(groups: list[str], peers: dict[str, list[tuple[str, float, bool]]]) -> Figure:
    """Each peer's time over ours, a row a group, on a logarithmic scale.

    Args:
        groups: what was timed, from the top.
        peers: by name, (group, ratio, whether it computes the same).
    """
    with plt.rc_context(STYLE):
        figure, axis = plt.subplots(figsize=(WIDTH, 1.1 + 0.24 * len(groups)), layout="constrained")
        marks = [
            MARKS[name]
            for name in (
                "degradation",
                "random",
                "colorization",
                "context",
                "split_brain",
                "labels",
            )
        ]
        for (peer, entries), (colour, marker) in zip(peers.items(), marks, strict=False):
            for same in (True, False):
                chosen = [
                    (ratio, groups.index(group)) for group, ratio, alike in entries if alike == same
                ]
                axis.plot(
                    [x for x, _ in chosen],
                    [y for _, y in chosen],
                    marker,
                    ms=6,
                    color=colour,
                    mfc=colour if same else "none",
                    label=peer if same else None,
                )
        axis.axvline(1, color="#444444", lw=1)
        axis.set(xscale="log", xlabel="time over ours", ylim=(len(groups) - 0.5, -0.5))
        axis.set_yticks(range(len(groups)), [group.replace("_", " ") for group in groups])
        axis.legend(fontsize=8, loc="lower right")
    return figure
