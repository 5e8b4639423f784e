"""Figures: data in, Figure out, with what they promise on them."""

import matplotlib
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
import torch

from aesthlib import ops
from aesthlib.experiments.analysis import GRID
from aesthlib.models import LAYERS
from aesthlib.report import figures
from aesthlib.study import METHODS


@pytest.fixture(autouse=True)
def offscreen():
    matplotlib.use("agg")
    yield
    plt.close("all")


def texts(figure):
    return [text.get_text() for axis in figure.axes for text in (*axis.texts, axis.title)]


def test_strips_show_every_class_with_its_value():
    photograph = torch.zeros(3, 16, 16, dtype=torch.uint8)
    versions = {item.index: photograph for item in ops.CLASSES[1:]}
    titles = texts(figures.degradation_strips(photograph, versions, "calibrated"))
    assert titles.count("original") == 10
    assert "gaussian blur\nsigma 2.5" in titles
    assert sum("\n" in title for title in titles) == 21


def test_visibility_marks_what_is_identical():
    rows = [
        {"layer": item.name, "metric": metric, "value": value}
        for item in ops.CLASSES[1:]
        for metric, value in (
            ("mean_absolute_change", 0.0 if item.name == "gaussian_blur/1" else 5.0),
            ("unchanged_share", 1.0 if item.name == "gaussian_blur/1" else 0.0),
        )
    ]
    assert (
        texts(figures.visibility(pd.DataFrame(rows), "paper")).count("identical to the original")
        == 1
    )


def test_training_curves_mark_the_switch_on_points():
    history = pd.DataFrame(
        {
            "epoch": [1, 2, 3],
            "seed": 0,
            "cross_entropy": [3, 2, 1],
            "accuracy": [0.1, 0.2, 0.3],
            "triplet": [1, 1, 1],
            "entropy": [None, 2.0, 1.0],
        }
    )
    options = {"triplet_from_epoch": 1, "entropy_from_epoch": 3, "entropy_alpha": 5 / 3}
    shown = texts(figures.training_curves(history, options, chance=1 / 7))
    assert shown.count("switched on") == 1  # the entropy weight never is
    assert "weight 0 above 0.6" in shown


def probe_rows(methods, low=0.2):
    return pd.DataFrame(
        {
            "dataset": dataset,
            "layer": layer,
            "method": method,
            "metric": "srcc",
            "value": 0.3 + 0.01 * number,
            "low": low,
            "high": 0.4,
            "n": 900,
        }
        for dataset in ("vessel", "oasis")
        for layer in LAYERS
        for number, method in enumerate(methods)
    )


def legend(figure):
    return [text.get_text() for text in figure.legends[0].get_texts()]


def segments(axis):
    """Intervals on an axis: how many lines each collection holds."""
    return [len(part.get_segments()) for part in axis.collections if hasattr(part, "get_segments")]


def test_probe_panels_show_every_method_and_its_interval():
    figure = figures.probe_layers(
        probe_rows(["random", "labels", "degradation"]), "srcc", "SRCC", 0
    )
    assert [axis.get_title() for axis in figure.axes] == ["oasis (n = 900)", "vessel (n = 900)"]
    assert [segments(axis) for axis in figure.axes] == 2 * [3 * [5]]
    assert texts(figure).count("chance") == 2
    assert figure.axes[0].get_ylabel() == "SRCC"
    assert [label.get_text() for label in figure.axes[0].get_xticklabels()] == list("12345")
    assert legend(figure) == [figures.TITLES[name] for name in ("degradation", "random", "labels")]


def test_of_many_methods_all_are_shown_and_two_carry_intervals():
    figure = figures.probe_layers(probe_rows(figures.MARKS), "srcc", "SRCC", None)
    assert legend(figure) == [figures.TITLES[name] for name in figures.MARKS]
    for axis in figure.axes:
        lines = [line for line in axis.lines if len(line.get_xdata()) == len(LAYERS)]
        assert len(lines) == len(figures.MARKS)
        assert segments(axis) == [5, 5]
        looks = {(line.get_color(), line.get_marker()) for line in lines}
        assert looks == set(figures.MARKS.values())  # not by colour alone
    assert "chance" not in texts(figure)


def test_every_method_has_a_mark_of_its_own():
    assert set(figures.MARKS) == {*METHODS, "scratch"} == set(figures.TITLES)
    for looks in zip(*figures.MARKS.values(), strict=True):
        assert len(set(looks)) == len(figures.MARKS)


def test_task_curves_have_a_panel_a_method_and_a_line_a_seed():
    histories = pd.DataFrame(
        {"method": method, "seed": seed, "epoch": epoch, "loss": 1 / epoch}
        for method in ("rotation", "degradation", "jigsaw", "counting")
        for seed in ((0, 1) if method == "degradation" else (0,))
        for epoch in (1, 2, 3)
    )
    figure = figures.task_curves(histories)
    shown = [axis for axis in figure.axes if axis.axison]
    names = [name for name in figures.MARKS if name in set(histories.method)]
    assert [axis.get_title() for axis in shown] == [figures.TITLES[name] for name in names]
    assert [len(axis.lines) for axis in shown] == [2, 1, 1, 1]
    assert figure.get_supxlabel() == "epoch" and "loss" in figure.get_supylabel()


def test_differences_have_a_point_and_an_interval_a_layer():
    rows = probe_rows(["random", "rotation"], low=-0.2)
    extra = rows[rows.layer == "conv1"].assign(layer="average")
    figure = figures.differences(pd.concat([rows, extra]), "srcc", "SRCC")
    assert [axis.get_title() for axis in figure.axes] == ["oasis (n = 900)", "vessel (n = 900)"]
    for axis in figure.axes:
        assert segments(axis) == 5 * [2]
        assert axis.get_xlabel() == "SRCC"
        assert sum(list(line.get_xdata()) == [0, 0] for line in axis.lines) == 1  # no difference
    ticks = [label.get_text() for label in figure.axes[0].get_yticklabels()]
    assert set(ticks) == {figures.TITLES["random"], figures.TITLES["rotation"]}
    place = dict(zip(ticks, figure.axes[0].get_yticks(), strict=True))
    layers = [line for line in figure.axes[0].lines if line.get_label() in LAYERS]
    for line in layers:  # values stand beside the name they belong to
        points = dict(zip(line.get_xdata(), line.get_ydata(), strict=True))
        assert abs(points[0.31] - place[figures.TITLES["rotation"]]) < 0.5
        assert abs(points[0.30] - place[figures.TITLES["random"]]) < 0.5
    assert legend(figure) == list(LAYERS)


def test_low_data_curves_are_means_with_the_range_of_the_subsets():
    curves = pd.DataFrame(
        {
            "dataset": dataset,
            "method": method,
            "fraction": fraction,
            "subset": subset,
            "accuracy": 0.5 + fraction + 0.1 * subset,
        }
        for dataset in ("ava", "aadb")
        for method in ("scratch", "degradation")
        for fraction in (0.05, 0.1)
        for subset in (0, 1)
    )
    figure = figures.low_data_curves(curves)
    assert [axis.get_title() for axis in figure.axes] == ["aadb", "ava"]
    axis = figure.axes[0]
    assert axis.get_xlabel() == "labels used (% of each class)"
    assert axis.get_ylabel() == "accuracy (%)"
    line = axis.lines[0]
    assert list(line.get_xdata()) == pytest.approx([5, 10])
    assert list(line.get_ydata()) == pytest.approx([60, 65])
    assert len(axis.collections) == 2
    band = axis.collections[0].get_paths()[0].vertices[:, 1]
    assert (band.min(), band.max()) == pytest.approx((55, 70))
    assert legend(figure) == [figures.TITLES["degradation"], figures.TITLES["scratch"]]


def test_ablations_leave_out_the_reference():
    found = (
        ("reference", "both", float("nan")),
        ("losses", "one", -1.0),
        ("losses", "other", -2.0),
        ("readings", "third", 0.5),
    )
    lost = pd.DataFrame(
        {
            "group": group,
            "ablation": name,
            "dataset": dataset,
            "difference": value,
            "low": value - 1,
            "high": value + 1,
        }
        for group, name, value in found
        for dataset in ("oasis", "unseen")
    )
    (axis,) = figures.ablations(lost).axes
    ticks = [label.get_text() for label in axis.get_yticklabels()]
    assert ticks == ["third", "other", "one"]  # the first on top
    assert "points" in axis.get_xlabel()
    assert segments(axis) == [3, 3]
    assert [text.get_text() for text in axis.get_legend().get_texts()] == ["oasis", "unseen"]
    points = next(line for line in axis.lines if line.get_label() == "oasis")
    shown = {round(y): x for x, y in zip(*points.get_data(), strict=True)}
    assert shown == {0: 0.5, 1: -2.0, 2: -1.0}


def test_confidence_changes_have_a_box_a_class():
    before = pd.Series([0.5, 0.6, 0.7])
    after = pd.DataFrame({"jpeg/1": before - 0.1, "jpeg/2": before - 0.3})
    (axis,) = figures.confidence_changes(before, after).axes
    assert [label.get_text() for label in axis.get_yticklabels()] == ["jpeg/2", "jpeg/1"]
    assert "probability of “good”" in axis.get_xlabel()
    boxes = [patch.get_path().vertices[:, 0].mean() for patch in axis.patches]
    assert boxes == pytest.approx([-0.3, -0.1])


def test_patches_stand_under_their_titles():
    patches = torch.arange(5, dtype=torch.uint8).view(5, 1, 1, 1).expand(5, 3, 8, 8) * 50
    figure = figures.labelled_patches(patches, [f"patch {n}" for n in range(5)], 3)
    assert len(figure.axes) == 6
    for number, axis in enumerate(figure.axes[:5]):
        assert axis.get_title() == f"patch {number}"
        assert (axis.images[0].get_array() == 50 * number).all()
    assert not figure.axes[5].images and not any(axis.axison for axis in figure.axes)


def test_confusion_marks_classes_that_change_no_pixel():
    counts = np.eye(22, dtype=int) * 3
    counts[1, 0] = 1
    figure = figures.confusion(counts, {"gaussian_blur/1"})
    axis = figure.axes[0]
    names = [label.get_text() for label in axis.get_yticklabels()]
    assert names == [label.get_text() for label in axis.get_xticklabels()]
    assert [name.removesuffix(" =none") for name in names] == [item.name for item in ops.CLASSES]
    assert [name for name in names if name.endswith("=none")] == ["gaussian_blur/1 =none"]
    assert (axis.get_xlabel(), axis.get_ylabel()) == ("predicted", "applied")
    share = axis.images[0].get_array()
    assert share[1].tolist() == [0.25, 0.75] + 20 * [0] and (share.sum(1) == 1).all()


def test_distance_panels_mark_the_trained_levels():
    rows = pd.DataFrame(
        {
            "operation": name,
            "parameter": ops.operation(name).parameter,
            "value": value,
            "trained": value in ops.operation(name).levels,
            "low": 0.1 * place,
            "median": 0.2 * place,
            "high": 0.3 * place,
        }
        for name, grid in GRID.items()
        for place, value in enumerate(dict.fromkeys((*grid, *ops.operation(name).levels)))
    )
    figure = figures.distance_by_level(rows)
    assert len(figure.axes) == 8 == len(GRID)
    for axis, name in zip(figure.axes, GRID, strict=True):
        assert axis.get_title().startswith(name.replace("_", " "))
        line, marks = axis.lines
        part = rows[rows.operation == name].reset_index(drop=True)
        assert list(line.get_ydata()) == list(part["median"])
        assert list(marks.get_xdata()) == list(part.index[part.trained]) and len(marks.get_xdata())
        ticks = [label.get_text() for label in axis.get_xticklabels()]
        assert ticks == [f"{value:g}" for value in part.value]
    assert "distance D" in figure.get_supylabel()


def test_entropy_weights_stand_class_by_class():
    weights = pd.DataFrame(
        {"class": item.name, "mean": 0.01 * item.index, "kept": 0.02 * item.index}
        for item in ops.CLASSES
    )
    (axis,) = figures.entropy_weights(weights).axes
    names = [label.get_text() for label in axis.get_yticklabels()]
    assert names == [item.name for item in ops.CLASSES][::-1]  # the first on top
    kept, mean = ([bar.get_width() for bar in bars] for bars in axis.containers)
    assert kept == list(weights.kept[::-1]) and mean == list(weights["mean"][::-1])
    shown = [text.get_text() for text in axis.get_legend().get_texts()]
    assert shown == ["share with a weight above 0", "mean weight"]
    assert axis.get_xlim() == (0, 1) and axis.get_xlabel() == "entropy weight"


@pytest.mark.parametrize("channels", [1, 3])
def test_filters_fill_a_grid(channels):
    filters = np.arange(20 * 4 * 4 * channels).reshape(20, 4, 4, channels).astype(np.uint8)
    figure = figures.filter_grid(filters)
    assert len(figure.axes) == 32
    shown = [axis.images[0].get_array() for axis in figure.axes if axis.images]
    assert len(shown) == 20
    expected = filters[7] if channels == 3 else filters[7, ..., 0]
    np.testing.assert_array_equal(shown[7], expected)


# --- checks and the headline ---


def test_other_layers_can_be_shown_in_their_order():
    rows = probe_rows(["random", "degradation"])
    rows = pd.concat([rows, rows[rows.layer == "conv5"].assign(layer="all", value=0.9)])
    shown = ("all", "conv2")
    figure = figures.probe_layers(rows, "srcc", "SRCC", 0, shown)
    for axis in figure.axes:
        assert [label.get_text() for label in axis.get_xticklabels()] == ["all", "2"]
        lines = [line for line in axis.lines if line.get_label() in figures.TITLES.values()]
        assert [len(line.get_xdata()) for line in lines] == [2, 2]
        assert all(line.get_ydata()[0] == 0.9 for line in lines)
    assert len(figures.probe_layers(rows, "srcc", "SRCC", 0).axes[0].get_xticklabels()) == 5


def test_the_headline_has_every_method_its_interval_and_every_seed():
    rows = pd.DataFrame(
        {
            "method": method,
            "seed": seed,
            "value": 0.3 + 0.1 * place + 0.01 * seed,
            "low": 0.2 + 0.1 * place,
            "high": 0.4 + 0.1 * place,
            "n": 900,
        }
        for place, method in enumerate(("rotation", "random", "degradation", "labels"))
        for seed in ((0, 1, 2) if method == "degradation" else (0,))
    )
    few = rows[rows.method != "labels"].assign(n=60)
    figure = figures.headline({"SRCC (OASIS)": rows, "accuracy": few[few.method != "x"]}, "conv4")
    first, second = figure.axes
    ticks = [label.get_text() for label in first.get_yticklabels()]
    assert ticks[-2:] == [figures.TITLES["random"], figures.TITLES["degradation"]]  # ours on top
    assert set(ticks) == {figures.TITLES[name] for name in rows.method}
    assert first.get_xlabel() == "SRCC (OASIS)\nn = 900" and "n = 60" in second.get_xlabel()
    assert "conv4" in figure.get_suptitle() and "95 %" in figure.get_suptitle()
    place = {title: row for row, title in enumerate(ticks)}
    drawn = {
        line.get_segments()[0][0][1]: [x for x, _ in line.get_segments()[0]]
        for line in first.collections
        if hasattr(line, "get_segments")
    }
    assert len(drawn) == 4
    for name, group in rows.groupby("method"):
        row = place[figures.TITLES[name]]
        assert drawn[row] == pytest.approx([group.low.mean(), group.high.mean()])
        points = [line.get_xdata() for line in first.lines if set(line.get_ydata()) == {row}]
        assert sorted(np.concatenate(points)) == pytest.approx(
            sorted([*group.value, group.value.mean()])
        )


def test_a_method_that_a_panel_lacks_leaves_its_line_empty():
    rows = pd.DataFrame(
        {"method": method, "seed": 0, "value": 0.5, "low": 0.4, "high": 0.6, "n": 9}
        for method in ("random", "degradation", "labels")
    )
    figure = figures.headline({"one": rows, "two": rows[rows.method != "labels"]}, "conv4")
    figure.canvas.draw()
    shown = [[x for line in axis.lines for x in line.get_xdata() if x == x] for axis in figure.axes]
    assert [len(values) for values in shown] == [3 * 2, 2 * 2]


def test_shares_stand_in_percent_in_their_cells():
    table = pd.DataFrame(
        [[0.045, 1.0], [0.5, float("nan")]], index=["row", "other"], columns=["border", "grid"]
    )
    figure = figures.shares(table, "share told apart", 0.04)
    axis, bar = figure.axes
    found = {text.get_position(): text for text in axis.texts}
    assert {place: text.get_text() for place, text in found.items()} == {
        (0, 0): "4",
        (1, 0): "100",
        (0, 1): "50",
    }
    assert found[0, 0].get_color() == "white" and found[1, 0].get_color() == "black"
    assert [label.get_text() for label in axis.get_yticklabels()] == ["row", "other"]
    assert [label.get_text() for label in axis.get_xticklabels()] == ["border", "grid"]
    assert axis.images[0].get_clim() == (0.04, 1) and bar.get_ylabel() == "share told apart"


def test_budgets_have_a_curve_a_run_and_a_point_a_length():
    training = pd.DataFrame(
        {"run": run, "epoch": epoch, "accuracy": 0.1 * epoch}
        for run, epochs in (("2 epochs", 2), ("8 epochs", 8))
        for epoch in range(1, epochs + 1)
    )
    probes = pd.DataFrame(
        {
            "run": f"{epochs} epochs",
            "dataset": dataset,
            "epochs": epochs,
            "value": 0.1 * epochs,
            "low": 0.1 * epochs - 0.05,
            "high": 0.1 * epochs + 0.02,
        }
        for epochs in (8, 2)
        for dataset in ("oasis", "vessel")
    )
    left, right = figures.budget_curves(training, probes).axes
    assert [len(line.get_xdata()) for line in left.lines] == [2, 8]
    assert list(left.lines[0].get_ydata()) == pytest.approx([10, 20])  # percent
    assert [text.get_text() for text in left.get_legend().get_texts()] == ["2 epochs", "8 epochs"]
    assert [text.get_text() for text in right.get_legend().get_texts()] == ["oasis", "vessel"]
    for held in right.containers:
        points, _, (bars,) = held
        assert list(points.get_xdata()) == [2, 8]  # in their order
        assert list(points.get_ydata()) == pytest.approx([0.2, 0.8])
        assert bars.get_segments()[0][:, 1] == pytest.approx([0.15, 0.22])
    assert "epochs" in right.get_xlabel() and "(%)" in left.get_ylabel()
