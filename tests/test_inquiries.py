"""What goes beyond the paper: each record is computed once, and says what it says."""

import csv
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from PIL import Image
from scipy.stats import pearsonr, spearmanr

from aesthlib import inquiries, ops, probing, runs, training
from aesthlib.data.unseen import OPERATIONS
from aesthlib.inquiries import Candidate, cues
from aesthlib.probing import ProbeConfig, features
from aesthlib.runs import Runs
from aesthlib.store import files, records
from aesthlib.training import PretrainConfig

TINY = PretrainConfig(
    size_px=67, shorter_edge_px=72, epochs=1, batch_size=8, precision="fp32", method="random"
)
DEGRADATION = replace(TINY, method="degradation", options=None)
PROBE = ProbeConfig(folds=2, repeats=2, inner_folds=2, penalties=(1e-2, 1.0), epochs=2)
MEAN = features.View("mean")
KINDS = ("Scene", "Person", "Scene", "Object")


# --- cues ---


@pytest.fixture(scope="module")
def patches(smooth):
    return smooth(6, 80, 80)


def named(patches, operation, level=2):
    (item,) = (c for c in ops.CLASSES if c.index and c.name == f"{operation}/{level}")
    generator = torch.Generator().manual_seed(0)
    return ops.apply(patches, item.index, patches.roll(1, 0), generator, "paper")


def test_cues_have_a_row_a_patch_and_are_finite(patches, speckled):
    for images in (
        patches,
        speckled(2, 67, 71),
        torch.zeros(1, 3, 40, 40, dtype=torch.uint8),
        torch.full((2, 3, 30, 30), 255, dtype=torch.uint8),
    ):
        found = cues(images)
        assert {name: tuple(values.shape) for name, values in found.items()} == {
            "border": (len(images), 16),
            "grid": (len(images), 28),
            "rounding": (len(images), 11),
        }
        assert all(v.dtype == torch.float32 and v.isfinite().all() for v in found.values())


def test_the_grid_shows_where_blocks_begin(patches):
    """Pixelation draws its edges at the last place of each block, in both directions."""
    blocks = torch.nn.functional.avg_pool2d(patches.float(), 8)
    pixelated = blocks.repeat_interleave(8, 2).repeat_interleave(8, 3).round().to(torch.uint8)
    grid = cues(pixelated)["grid"]
    for start in (12, 20):  # the grid of 8 px, down and across, after that of 6 px
        steps = grid[:, start : start + 8]
        assert (steps[:, 7] > 4).all() and (steps[:, :7] == 0).all()
    plain = cues(patches)["grid"]
    assert (plain - 1).abs().max() < 0.5  # no place is unlike another


def test_the_border_shows_a_frame(patches):
    framed = patches.clone()
    framed[..., :2] = framed[..., -2:] = 0
    framed[:, :, :2] = framed[:, :, -2:] = 0
    border, plain = (cues(images)["border"].view(6, 4, 4) for images in (framed, patches))
    assert (border[:, 0] < 0.2).all()  # two rings alike, on every side
    assert (border[:, 1] > 3).all()  # and then the photograph
    assert (plain < 3).all()
    top = patches.clone()
    top[:, :, 0] = 0  # its first row alone
    assert (cues(top)["border"].view(6, 4, 4)[:, 0].argmax(1) == 0).all()


def test_rounding_shows_which_levels_occur(patches):
    coarse = cues(patches // 8 * 8)["rounding"]
    torch.testing.assert_close(coarse[:, 0], torch.ones(6))
    assert not coarse[:, 1:8].any()
    assert (coarse[:, 10] <= 32 / 256).all()
    plain = cues(patches)["rounding"]
    torch.testing.assert_close(plain[:, :8].sum(1), torch.ones(6))
    for row, image in enumerate(patches):
        values = image.flatten().tolist()
        assert plain[row, 8].item() == pytest.approx(values.count(0) / len(values))
        assert plain[row, 9].item() == pytest.approx(values.count(255) / len(values))
        assert plain[row, 10].item() == pytest.approx(len(set(values)) / 256)
        assert plain[row, 3].item() == pytest.approx(sum(v % 8 == 3 for v in values) / len(values))


def test_a_cue_does_not_see_what_a_photograph_shows(patches):
    """Border and grid are relative to the contrast, which may be halved."""
    soft = (patches // 4 + 100) * 1
    strong = patches // 4 * 2
    for name in ("border", "grid"):
        torch.testing.assert_close(cues(soft)[name], cues(strong)[name], rtol=0.01, atol=0.01)


# --- records ---


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """Nine photographs, and sixteen that were rated, two of which are among the nine."""
    root, generator = tmp_path_factory.mktemp("data"), np.random.default_rng(0)

    def photograph(number):
        tones = generator.integers(0, 60, (10, 12, 1)) + generator.integers(0, 9, (10, 12, 3))
        return Image.fromarray((tones + 12 * number).repeat(8, 0).repeat(8, 1).astype(np.uint8))

    (root / "oasis" / "images").mkdir(parents=True)
    (root / "holiday").mkdir()
    with open(root / "oasis" / "ratings.csv", "w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["file", "category", "beauty_mean"])
        for number in range(16):
            image = photograph(number)
            image.save(root / "oasis" / "images" / f"{number}.png")
            if number in (3, 11):
                copy = image if number == 3 else image.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
                copy.resize((108, 90)).save(root / "holiday" / f"copy of {number}.jpg", quality=80)
            writer.writerow([f"{number}.png", KINDS[number % 4], 1 + number / 4])
    for number in range(7):
        photograph(2 * number).save(root / "holiday" / f"{number}.png")
    return root


def ask(asked, root):
    """Every inquiry by name."""
    holiday = runs.folder_photographs(root and root / "holiday", "holiday")
    oasis = runs.rated("oasis", root and root / "oasis")
    unseen = runs.unseen(oasis.photographs, 8, len(OPERATIONS))
    first, second = (asked.pretrain(replace(TINY, seed=seed), holiday) for seed in (0, 1))
    found = {"run": first, "other run": second, "probe": asked.probe(first, oasis, PROBE)}
    found["near_duplicates"] = inquiries.near_duplicates(asked, holiday, [oasis.photographs], 72)
    found["shortcuts"] = inquiries.shortcuts(asked, oasis.photographs, DEGRADATION, 6, 2)
    found["by_operation"] = inquiries.by_operation(asked, first, unseen, PROBE, MEAN)
    found["within_kinds"] = inquiries.within_kinds(asked, found["probe"], oasis)
    candidates = [
        Candidate("first", (first,), "conv1"),
        Candidate("second", (second,), features.ALL),
        Candidate("both", (first, second), "conv5"),
    ]
    found["selected"] = inquiries.selected(asked, candidates, oasis, PROBE, MEAN, "one task")
    alone = [Candidate("second", (second,), "conv2")]
    found["alone"] = inquiries.selected(asked, alone, oasis, PROBE, MEAN, "alone")
    found["chosen apart"] = inquiries.compare(asked, found["selected"], found["alone"], oasis)
    found["other by_operation"] = inquiries.by_operation(asked, second, unseen, PROBE, MEAN)
    found["flaws apart"] = inquiries.compare(
        asked, found["by_operation"], found["other by_operation"], unseen
    )
    found["view"] = asked.probe(second, oasis, PROBE, MEAN)
    return found


@pytest.fixture(scope="module")
def made(data, tmp_path_factory):
    """A store with a record of each, the records by name."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(inquiries, "TREES", 20)
        store = tmp_path_factory.mktemp("store")
        yield store, ask(Runs(records.Store(store), "smoke", "cpu"), data)


def test_each_is_computed_once_and_found_again(made, monkeypatch):
    """Without photographs, features and scores, and in a plan under the same names."""
    store, found = made

    def never(*arguments, **named):
        raise AssertionError("computed twice")

    for room, name in (
        (training, "pretrain"),
        (features, "extract"),
        (probing, "probe"),
        (probing, "select"),
        (inquiries, "cues"),
        (inquiries.duplicates, "near_duplicates"),
        (runs.photographs, "pack"),
    ):
        monkeypatch.setattr(room, name, never)
    assert ask(Runs(records.Store(store, compute=False), "smoke", "cpu"), None) == found
    stored = {record["run_id"]: record for record in records.Store(store).all()}
    assert all(stored[record["run_id"]] == record for record in found.values())
    names = {found[key]["experiment"] for key in found}
    assert names >= {"near_duplicates", "shortcuts", "by_operation", "within_kinds", "selected"}


def test_a_plan_asks_for_the_same(made, data):
    store, found = made
    asked = Runs(records.Store(store), "smoke", "cpu", plan={})
    planned = ask(asked, data)
    assert {k: v["run_id"] for k, v in planned.items()} == {
        k: v["run_id"] for k, v in found.items()
    }
    assert all(job.done for job in asked.plan.values())


def rows_of(record, **wanted):
    return [r for r in record["metrics"] if all(r[k] == v for k, v in wanted.items())]


def test_photographs_that_a_benchmark_shows_are_named(made):
    record = made[1]["near_duplicates"]
    assert inquiries.left_out(record) == ("copy of 11.jpg", "copy of 3.jpg")
    pairs = record["tables"]["pairs"]
    assert {(p["one"], p["other"]) for p in pairs if p["where"] == "pretraining"} == {
        ("copy of 3.jpg", "3.png"),
        ("copy of 11.jpg", "11.png"),
    }
    assert {pair["dataset"] for pair in pairs} == {"oasis"}
    counts = {(r["dataset"], r["metric"]): r["value"] for r in record["metrics"]}
    assert counts["oasis", "near_duplicates_pretraining"] == 2
    assert counts["oasis", "near_duplicates_within"] == 0
    assert counts["holiday", "near_duplicates_within"] == 0
    assert ("holiday", "near_duplicates_pretraining") not in counts
    assert {r["n"] for r in rows_of(record, dataset="holiday")} == {9}
    assert all(0 <= v <= 0.9 for (_, metric), v in counts.items() if "next" in metric)


def test_repetitions_within_a_set_are_not_left_out():
    pairs = [{"one": "a", "other": "b", "where": where} for where in ("within", "within")]
    assert inquiries.left_out({"tables": {"pairs": pairs}}) == ()
    both = [*pairs, *({"one": name, "other": "x", "where": "pretraining"} for name in "cac")]
    assert inquiries.left_out({"tables": {"pairs": both}}) == ("a", "c")
    planned = runs.Planned(run_id="", experiment="near_duplicates")
    assert inquiries.left_out(planned) == ()


def test_shortcuts_have_an_accuracy_a_class_and_a_cue(made):
    record = made[1]["shortcuts"]
    names = {"border", "grid", "rounding", "all_three"}
    assert {row["metric"] for row in record["metrics"]} == {f"accuracy_from_{n}" for n in names}
    for name in names:
        rows = rows_of(record, metric=f"accuracy_from_{name}")
        by_class = {row["layer"]: row["value"] for row in rows}
        whole = by_class.pop("")
        assert list(by_class) == [item.name for item in ops.CLASSES]
        assert whole == pytest.approx(np.mean(list(by_class.values())))
        assert all(0 <= value <= 1 for value in by_class.values())
        assert [row["n"] for row in rows] == [6] * 22 + [6 * 22]
    (grid,) = rows_of(record, metric="accuracy_from_grid", layer="pixelation/2")
    assert grid["value"] > 0.5  # its blocks cannot be missed
    assert record["config"]["folds"] == 2 and record["config"]["limit"] == 6


def test_operations_are_asked_one_by_one(made, data):
    """The slow way: for each, a probe of its own on its own entries."""
    store, found = made
    record, run = found["by_operation"], found["run"]
    asked = Runs(records.Store(store), "smoke", "cpu")
    oasis = runs.rated("oasis", data / "oasis")
    entries = asked.entries_of(runs.unseen(oasis.photographs, 8, len(OPERATIONS)), 72, 67)
    assert len(entries) == 8 * 2 * len(OPERATIONS)
    model = asked.model_of(run)
    with torch.inference_mode():
        values = model.backbone(entries.batch_of(torch.arange(len(entries))))["conv3"]
    means = values.mean((2, 3))
    values = (means - means.mean(0)) / means.std(0, correction=0).clamp_min(1e-6)
    got = {r["metric"]: r for r in rows_of(record, layer="conv3")}
    for name in list(OPERATIONS)[::4]:
        rows = np.array([i for i, kind in enumerate(entries.kinds) if kind == name])
        assert len(rows) == 16 and entries.positive[rows].sum() == 8
        expected = probing.probe(
            values[rows], entries.positive[rows], None, PROBE, entries.groups[rows]
        ).rows[0]["value"]
        assert got[f"accuracy_of_{name}"]["value"] == pytest.approx(expected, abs=0.07)
        assert got[f"accuracy_of_{name}"]["n"] == 16
    assert {row["layer"] for row in record["metrics"]} == set(MEAN.layers)
    for layer in MEAN.layers:
        rows = {r["metric"]: r["value"] for r in rows_of(record, layer=layer)}
        mean = rows.pop("mean_accuracy")
        assert set(rows) == {f"accuracy_of_{name}" for name in OPERATIONS}
        assert mean == pytest.approx(np.mean(list(rows.values())))
    assert record["config"]["view"] == records.resolved(MEAN)


def test_paired_differences_are_those_of_what_is_compared(made):
    _, found = made
    for ours, theirs, apart in (
        ("selected", "alone", "chosen apart"),
        ("by_operation", "other by_operation", "flaws apart"),
    ):
        rows = found[apart]["metrics"]
        assert {row["metric"] for row in rows} == (
            {"accuracy", "srcc", "plcc"} if ours == "selected" else {"accuracy"}
        )
        for row in rows:
            name = row["metric"] if ours == "selected" else "mean_accuracy"
            (one,), (other,) = (
                rows_of(found[key], layer=row["layer"], metric=name) for key in (ours, theirs)
            )
            assert row["value"] == pytest.approx(one["value"] - other["value"], abs=1e-6)
            assert row["low"] <= row["value"] <= row["high"] and 0 < row["p"] <= 1
            assert row["n"] == one["n"] and one["low"] <= one["value"] <= one["high"]
        assert found[apart]["config"]["ours"] == found[ours]["run_id"]


def test_predictions_within_kinds_the_slow_way(made):
    store, found = made
    record, probed = found["within_kinds"], found["probe"]
    scores = records.Store(store).read_scores(probed["run_id"])
    mos = scores["truth.mos"]
    number = np.rint((mos - 1) * 4).astype(int)  # the rating names the photograph
    kinds = np.array(KINDS)[number % 4]
    for layer in ("conv1", "conv4"):
        weighted, total = 0.0, 0
        for kind in set(KINDS):
            inside = kinds == kind
            value = np.mean(
                [spearmanr(mos[inside], row[inside]).statistic for row in scores[f"{layer}.rating"]]
            )
            (row,) = rows_of(record, layer=layer, metric=f"srcc_in_{kind}")
            assert (row["value"], row["n"]) == (pytest.approx(value), inside.sum())
            weighted, total = weighted + value * inside.sum(), total + inside.sum()
        (row,) = rows_of(record, layer=layer, metric="srcc_within_kinds")
        assert row["value"] == pytest.approx(weighted / total) and row["n"] == total == 16
    others = np.array([mos[kinds == kind].mean() for kind in kinds])
    expected = {
        "srcc": spearmanr(mos, others).statistic,
        "plcc": pearsonr(mos, others).statistic,
        "variance_share": 1 - ((mos - others) ** 2).mean() / ((mos - mos.mean()) ** 2).mean(),
    }
    alone = {row["metric"]: row["value"] for row in rows_of(record, layer="kind alone")}
    assert alone == {key: pytest.approx(value) for key, value in expected.items()}
    assert {row["layer"] for row in record["metrics"]} == {
        "kind alone",
        *(row["layer"] for row in probed["metrics"]),
    }


def test_a_choice_names_what_it_chose(made):
    store, found = made
    record = found["selected"]
    assert [row["metric"] for row in record["metrics"]] == ["accuracy", "srcc", "plcc"]
    assert {(r["layer"], r["dataset"], r["n"]) for r in record["metrics"]} == {
        ("chosen", "oasis", 16)
    }
    assert record["method"] == "one task"
    layer_of = {"first": "conv1", "second": "all", "both": "conv5"}
    table = record["tables"]["chosen"]
    for kind in ("logit", "rating"):
        shares = [row for row in table if row["kind"] == kind]
        assert sum(row["share"] for row in shares) == pytest.approx(1)
        assert all(layer_of[row["candidate"]] == row["layer"] for row in shares)
    scores = records.Store(store).read_scores(record["run_id"])
    assert {key: array.shape for key, array in scores.items()} == {
        "chosen.logit": (2, 16),
        "chosen.rating": (2, 16),
    }
    one, other = (found[key]["checkpoint_sha256"] for key in ("run", "other run"))
    assert record["checkpoint_sha256"] == files.digest([one, other, one, other])


def test_a_choice_without_a_choice_is_the_probe(made):
    """The same folds, features and fits as those of the view's own record."""
    _, found = made
    chosen = {row["metric"]: row["value"] for row in found["alone"]["metrics"]}
    probed = {row["metric"]: row["value"] for row in rows_of(found["view"], layer="conv2")}
    assert chosen == probed
    assert found["alone"]["tables"]["chosen"] == [
        {"kind": kind, "candidate": "second", "layer": "conv2", "share": 1.0}
        for kind in ("logit", "rating")
    ]


def test_another_candidate_order_or_view_is_another_choice(made, data):
    store, found = made
    asked = Runs(records.Store(store), "smoke", "cpu", plan={})
    oasis, run = runs.rated("oasis", data / "oasis"), found["run"]
    one, other = (Candidate(layer, (run,), layer) for layer in ("conv1", "conv2"))

    def name(candidates, view=MEAN):
        return inquiries.selected(asked, candidates, oasis, PROBE, view, "x")["run_id"]

    moments = features.View("moments")
    names = [
        name([one]),
        name([other]),
        name([one, other]),
        name([other, one]),
        name([one], moments),
    ]
    assert len(set(names)) == 5


@pytest.mark.parametrize(
    "changes",
    [
        {"limit": 7},
        {"folds": 3},
        {"config": replace(DEGRADATION, options=replace(DEGRADATION.options, preset="calibrated"))},
    ],
)
def test_other_settings_are_other_shortcuts(changes, made, data):
    store, _ = made
    asked = SimpleNamespace(**{"config": DEGRADATION, "limit": 6, "folds": 2} | changes)
    of = runs.rated("oasis", data / "oasis").photographs
    plan = Runs(records.Store(store), "smoke", "cpu", plan={})
    ids = {
        inquiries.shortcuts(plan, of, *settings)["run_id"]
        for settings in ((DEGRADATION, 6, 2), (asked.config, asked.limit, asked.folds))
    }
    assert len(ids) == 2
