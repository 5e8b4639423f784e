"""One function a figure: data in, Figure out."""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from torch import Tensor

from . import ops
from .models import LAYERS

WIDTH = 7.0  # inches: readable at 700 px
# Okabe and Ito's palette: told apart by the colour-blind
COLOURS = {"degradation": "#0072B2", "random": "#D55E00"}
LABELS = {"degradation": "Degradation (ours)", "random": "Without pretext"}
STYLE = {
    "axes.spines.top": False, "axes.spines.right": False, "axes.grid": True, "grid.alpha": 0.3,
    "font.size": 10, "figure.dpi": 100, "savefig.bbox": "tight",
}  # fmt: skip
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


def probe_layers(frame: pd.DataFrame, metric: str, label: str, reference: float | None) -> Figure:
    """A metric by layer and method with intervals, one panel a dataset.

    Args:
        frame: rows of `records.load` of one metric's experiment.
        metric: in the frame.
        label: of the axis, with unit.
        reference: chance, drawn as a dotted line; None for none.
    """
    chosen = frame[frame.metric == metric]
    datasets = sorted(chosen.dataset.unique())
    with plt.rc_context(STYLE):
        figure, axes = plt.subplots(
            1, len(datasets), figsize=(WIDTH, 3.4), sharey=True, squeeze=False, layout="constrained"
        )
        for axis, dataset in zip(axes[0], datasets, strict=True):
            rows = chosen[chosen.dataset == dataset]
            methods = [name for name in COLOURS if name in set(rows.method)]
            for number, method in enumerate(methods):
                shift = (number - (len(methods) - 1) / 2) * 0.16
                runs = rows[rows.method == method]
                mean = runs.groupby("layer")[["value", "low", "high"]].mean().reindex(LAYERS)
                place = np.arange(len(LAYERS)) + shift
                axis.errorbar(
                    place, mean.value, yerr=[mean.value - mean.low, mean.high - mean.value],
                    fmt="o-", ms=4, capsize=3, color=COLOURS[method], label=LABELS[method],
                )  # fmt: skip
            if reference is not None:
                axis.axhline(reference, ls=":", color="0.4")
                axis.annotate(
                    "chance", (len(LAYERS) - 1, reference), ha="right", va="bottom", fontsize=8
                )
            axis.set_xticks(range(len(LAYERS)), LAYERS)
            axis.set_title(f"{dataset} (n = {int(rows.n.iloc[0])})")
        axes[0, 0].set_ylabel(label)
        axes[0, 0].legend(fontsize=8, loc="best")
    return figure
