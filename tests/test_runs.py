"""Compute or load: every kind of result is computed once, found again, and told from others."""

import csv
import shutil
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from PIL import Image

from aesthlib import ops, runs, training
from aesthlib.models import LAYERS
from aesthlib.probing import ProbeConfig, features, metrics
from aesthlib.runs import Photographs, Runs
from aesthlib.store import files, records
from aesthlib.study import labels_config
from aesthlib.training import PretrainConfig, adaptation

TINY = PretrainConfig(size_px=67, shorter_edge_px=72, epochs=1, batch_size=8, precision="fp32")
RANDOM = replace(TINY, method="random", options=None)
ADAPT = labels_config(TINY, learning_rate=0.01)
PROBE = ProbeConfig(folds=2, repeats=2, inner_folds=2, penalties=(1e-2, 1.0), epochs=2)
FRACTIONS = (0.5, 1.0)
RATED = 16


@pytest.fixture(scope="module", autouse=True)
def few_crops():
    """Fewer held-out patches than the study judges."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(runs, "HELD_OUT_CROPS", 40)
        yield


def write_photographs(folder, count, seed):
    folder.mkdir(parents=True)
    generator = np.random.default_rng(seed)
    for number in range(count):
        noise = generator.integers(0, 8, (80, 90, 3)) + 200 * number // count
        Image.fromarray(noise.astype(np.uint8)).save(folder / f"{number}.png")


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """Photographs without labels, and a benchmark in OASIS's format: brightness is beauty."""
    root = tmp_path_factory.mktemp("data")
    write_photographs(root / "holiday", 9, 0)
    write_photographs(root / "oasis" / "images", RATED, 1)
    with open(root / "oasis" / "ratings.csv", "w", newline="") as file:
        rows = [[f"{number}.png", "Scene", 1 + number / 5] for number in range(RATED)]
        csv.writer(file).writerows([["file", "category", "beauty_mean"], *rows])
    return root


def ask(asked, root, **changes):
    """Every kind of result, by name; later ones rest on earlier ones.

    Args:
        asked: Runs.
        root: of the photographs; None where they are not at hand.
        changes: to what is asked.
    """
    named = SimpleNamespace(
        **{
            "config": TINY,
            "random": RANDOM,
            "adapt": ADAPT,
            "probe": PROBE,
            "layer": "conv3",
            "fractions": FRACTIONS,
            "subsets": 1,
            "limit": 4,
            "pairs": 6,
            "size_px": 67,
            **changes,
        }
    )
    holiday = runs.folder_photographs(root and root / "holiday", "holiday")
    oasis = runs.rated("oasis", root and root / "oasis")
    unseen = runs.unseen(oasis.photographs, named.limit, named.pairs)
    found = {}
    found["pretrain"] = run = asked.pretrain(named.config, holiday)
    found["pretrain random"] = other = asked.pretrain(named.random, holiday)
    found["held_out"] = asked.held_out(run, oasis.photographs)
    found["probe"] = asked.probe(run, oasis, named.probe)
    found["probe random"] = asked.probe(other, oasis, named.probe)
    found["probe unseen"] = asked.probe(other, unseen, named.probe)
    found["comparison"] = asked.compare(found["probe"], found["probe random"])
    found["low_data"] = asked.low_data(
        run, oasis, named.layer, named.fractions, named.subsets, named.probe
    )
    found["low_data scratch"] = asked.low_data_from_scratch(
        named.adapt, oasis, named.fractions, named.subsets, named.probe
    )
    found["adaptation"] = adapted = asked.adapt(named.adapt, oasis, other, named.probe)
    found["confidence"] = asked.confidence(adapted, oasis, named.probe)
    found["understanding"] = asked.understanding(run, oasis.photographs)
    found["identifiability"] = asked.identifiability(named.size_px, TINY.shorter_edge_px)
    return found


KINDS = (
    "pretrain",
    "pretrain random",
    "held_out",
    "probe",
    "probe random",
    "probe unseen",
    "comparison",
    "low_data",
    "low_data scratch",
    "adaptation",
    "confidence",
    "understanding",
    "identifiability",
)


@pytest.fixture(scope="module")
def made(data, tmp_path_factory):
    """A store with one record of every kind: its folder and the records by kind."""
    store = tmp_path_factory.mktemp("store")
    return store, ask(Runs(records.Store(store), "smoke", "cpu"), data)


def planned(store, root, **changes):
    """Run ids by kind, without computing."""
    asked = Runs(records.Store(store), "smoke", "cpu", plan={})
    return {kind: record["run_id"] for kind, record in ask(asked, root, **changes).items()}


def values(record, **wanted):
    """Metric values of a record's rows with these keys, by layer."""
    rows = record["metrics"]
    return {
        row["layer"]: row["value"] for row in rows if all(row[k] == v for k, v in wanted.items())
    }


# --- once ---


def test_every_kind_is_written_under_its_name(made):
    store, found = made
    assert tuple(found) == KINDS
    stored = {record["run_id"]: record for record in records.Store(store).all()}
    assert stored == {record["run_id"]: record for record in found.values()}
    assert {record["experiment"] for record in found.values()} == {
        kind.split()[0] for kind in KINDS
    }
    for record in found.values():
        assert record["scale"] == "smoke" and record["minutes"] >= 0
        assert set(record["environment"]) >= {"torch", "device", "code_sha256", "precision"}
        assert all(len(source["sha256"]) == 64 for source in record["data"])


def test_every_kind_is_found_again(made, monkeypatch):
    """Not even the photographs, checkpoints and features are needed."""
    store, found = made

    def never(*arguments, **named):
        raise AssertionError("computed twice")

    for room, name in (
        (training, "pretrain"),
        (training, "load_model"),
        (training, "evaluate"),
        (runs.features, "extract"),
        (runs.probing, "probe"),
        (runs.probing, "low_data"),
        (metrics, "compare"),
        (adaptation, "adapt"),
        (runs.analysis, "confidence"),
        (runs.analysis, "identification"),
        (runs.analysis, "versions"),
    ):
        monkeypatch.setattr(room, name, never)
    monkeypatch.setattr(runs.photographs, "pack", never)
    again = ask(Runs(records.Store(store, compute=False), "smoke", "cpu"), None)
    assert again == found


@pytest.mark.parametrize("kind", KINDS)
def test_what_may_only_be_loaded_and_is_not_there_is_named(kind, made, tmp_path):
    store, found = made
    shutil.copytree(store / "records", tmp_path / "records")
    shutil.copytree(store / "data", tmp_path / "data")
    missing = tmp_path / "records" / f"{found[kind]['run_id']}.json"
    missing.unlink()
    with pytest.raises(records.RecordMissing, match=f"no record {missing}.*may only load"):
        ask(Runs(records.Store(tmp_path, compute=False), "smoke", "cpu"), None)
    assert not missing.exists()


OURS = ("pretrain", "held_out", "probe", "comparison", "low_data", "understanding")
SUPERVISED = ("low_data scratch", "adaptation", "confidence")
PROBED = ("probe", "probe random", "probe unseen", "comparison", "low_data", "low_data scratch")


@pytest.mark.parametrize(
    ("changes", "kinds"),
    [
        ({}, ()),
        ({"config": replace(TINY, seed=1)}, OURS),
        ({"config": replace(TINY, epochs=2)}, OURS),
        ({"adapt": replace(ADAPT, learning_rate=0.02)}, SUPERVISED),
        (
            {"random": replace(RANDOM, seed=1)},
            (
                "pretrain random",
                "probe random",
                "probe unseen",
                "comparison",
                "adaptation",
                "confidence",
            ),
        ),
        ({"probe": replace(PROBE, seed=1)}, PROBED),
        ({"probe": replace(PROBE, folds=3)}, (*PROBED, "adaptation", "confidence")),
        ({"layer": "conv4"}, ("low_data",)),
        ({"fractions": (0.2, 1.0)}, ("low_data", "low_data scratch")),
        ({"subsets": 2}, ("low_data", "low_data scratch")),
        ({"pairs": 7}, ("probe unseen",)),
        ({"limit": 5}, ("probe unseen",)),
        ({"size_px": 68}, ("identifiability",)),
    ],
)
def test_another_setting_is_another_run(changes, kinds, made, data):
    store, found = made
    ids = planned(store, data, **changes)
    assert {kind for kind in KINDS if ids[kind] != found[kind]["run_id"]} == set(kinds)


def test_another_scale_and_other_data_are_other_runs(made, data):
    store, found = made
    asked = Runs(records.Store(store), "study", "cpu", plan={})
    assert not {r["run_id"] for r in ask(asked, data).values()} & {
        r["run_id"] for r in found.values()
    }
    asked = Runs(records.Store(store), "smoke", "cpu", plan={})
    renamed = asked.pretrain(TINY, Photographs("other", lambda: []))
    assert renamed["run_id"] != found["pretrain"]["run_id"]
    named = asked.pretrain(TINY, runs.folder_photographs(data / "holiday", "holiday"), "row")
    assert named["run_id"] != found["pretrain"]["run_id"] and named["method"] == "row"


def test_a_plan_knows_what_is_done(made, data, tmp_path):
    store, found = made
    asked = Runs(records.Store(store), "smoke", "cpu", plan={})
    ask(asked, data, subsets=2)
    left = [job for job in asked.plan.values() if not job.done]
    assert sorted(job.method for job in left) == ["degradation", "scratch"]
    assert {job.experiment for job in left} == {"low_data"}
    fresh = Runs(records.Store(tmp_path / "none"), "smoke", "cpu", plan={})
    ask(fresh, data)
    assert len(fresh.plan) == len(KINDS) and not any(job.done for job in fresh.plan.values())
    assert not (tmp_path / "none").exists()


# --- what the records say ---


def test_pretraining(made):
    store, found = made
    for kind, method in (("pretrain", "degradation"), ("pretrain random", "random")):
        record = found[kind]
        assert record["method"] == method and len(record["history"]) == 1
        assert record["data"][0]["photographs"] == 9
        header = files.read_json(store / "checkpoints" / record["run_id"] / "checkpoint.json")
        assert header["sha256"] == record["checkpoint_sha256"]
        assert training.config_of(record) == (TINY if method == "degradation" else RANDOM)
    last = found["pretrain"]["history"][-1]
    assert found["pretrain"]["metrics"] == [
        {
            "dataset": "holiday",
            "layer": "",
            "metric": f"training_{key}",
            "value": last[key],
            "n": 8 * 7,
        }  # whole batches of 8, seven versions
        for key in ("cross_entropy", "accuracy")
    ]
    assert found["pretrain random"]["metrics"] == []


def test_held_out_measures_stand_beside_chance(made):
    rows = {row["metric"]: row for row in made[1]["held_out"]["metrics"]}
    assert {"held_out_loss", "held_out_accuracy", "held_out_cross_entropy", "chance"} <= set(rows)
    assert rows["chance"]["value"] == pytest.approx(1 / 7)
    crops = made[1]["held_out"]["config"]["crops"]
    assert crops * RATED <= runs.HELD_OUT_CROPS < (crops + 1) * RATED
    assert all(row["dataset"] == "oasis" and row["n"] == crops * RATED for row in rows.values())


@pytest.mark.parametrize(
    ("kind", "dataset", "n"), [("probe", "oasis", RATED), ("probe unseen", "unseen", 4 * 2 * 6)]
)
def test_probes_keep_their_scores_beside_the_record(kind, dataset, n, made):
    store, found = made
    record = found[kind]
    assert len(record["metrics"]) == 5 * 3
    assert {row["layer"] for row in record["metrics"]} == set(LAYERS)
    assert all((row["dataset"], row["n"]) == (dataset, n) for row in record["metrics"])
    assert all(row["low"] <= row["value"] <= row["high"] for row in record["metrics"])
    scores = records.Store(store).read_scores(record["run_id"])
    assert (store / "scores" / f"{record['run_id']}.npz").exists()
    assert {"truth.positive", "truth.mos"} <= set(scores)
    assert ("truth.groups" in scores) == (dataset == "unseen")
    for layer in LAYERS:
        assert scores[f"{layer}.logit"].shape == scores[f"{layer}.rating"].shape == (2, n)
        value = np.mean(
            [metrics.accuracy(scores["truth.positive"], row) for row in scores[f"{layer}.logit"]]
        )
        assert values(record, metric="accuracy")[layer] == pytest.approx(value)
    assert "logit" not in str(record["metrics"]) and "scores" not in record


def test_ratings_belong_to_their_photographs(made):
    """Brightness is easy to read from any features."""
    assert max(values(made[1]["probe random"], metric="srcc").values()) > 0.9


def test_comparisons_have_every_layer_their_average_and_p(made):
    _, found = made
    record = found["comparison"]
    assert record["method"] == "random" and record["config"]["benchmark"] == "oasis"
    assert record["config"]["ours"] == found["probe"]["run_id"]
    assert record["config"]["theirs"] == found["probe random"]["run_id"]
    for metric in ("accuracy", "srcc", "plcc"):
        ours, theirs = (values(found[k], metric=metric) for k in ("probe", "probe random"))
        gain = values(record, metric=metric)
        assert set(gain) == {*LAYERS, "average"}
        for layer in LAYERS:
            assert gain[layer] == pytest.approx(ours[layer] - theirs[layer], abs=1e-6)
        assert gain["average"] == pytest.approx(np.mean([gain[layer] for layer in LAYERS]))
    for row in record["metrics"]:
        assert row["low"] <= row["value"] <= row["high"] and 0 <= row["p"] <= 1
        assert row["n"] == RATED


def test_a_probe_against_itself_differs_by_nothing(made):
    store, found = made
    asked = Runs(records.Store(store), "itself", "cpu")
    record = asked.compare(found["probe"], found["probe"])
    assert all(
        (row["value"], row["low"], row["high"]) == (0, 0, 0) and row["p"] == 1
        for row in record["metrics"]
    )
    (store / "records" / f"{record['run_id']}.json").unlink()


def test_without_scores_there_is_no_comparison(made, tmp_path):
    store, found = made
    shutil.copytree(store / "records", tmp_path / "records")
    asked = Runs(records.Store(tmp_path), "itself", "cpu")
    record = tmp_path / "records" / f"{found['probe']['run_id']}.json"
    with pytest.raises(records.RecordMissing, match=f"delete {record} and run again"):
        asked.compare(found["probe"], found["probe random"])


@pytest.mark.parametrize("kind", ["low_data", "low_data scratch"])
def test_curves_have_a_row_a_fraction_and_a_point_a_subset(kind, made):
    record = made[1][kind]
    assert [row["level"] for row in record["metrics"]] == list(FRACTIONS)
    curve = record["tables"]["curve"]
    assert [(point["fraction"], point["subset"]) for point in curve] == [(0.5, 0), (1.0, 0)]
    assert [point["n_train"] for point in curve] == [4, 8]
    for row, point in zip(record["metrics"], curve, strict=True):
        assert (row["metric"], row["dataset"], row["n"]) == ("accuracy", "oasis", RATED)
        assert row["value"] == row["low"] == row["high"] == point["accuracy"]
        assert row["layer"] == ("conv3" if kind == "low_data" else "")
    assert record["method"] == ("degradation" if kind == "low_data" else "scratch")


def test_a_band_is_the_range_of_the_subsets():
    curve = [
        {"fraction": fraction, "subset": subset, "accuracy": accuracy, "n": 10}
        for fraction, subset, accuracy in ((0.5, 0, 0.6), (0.1, 0, 0.5), (0.5, 1, 0.8))
    ]
    rows = runs._by_fraction(curve, "ava", "conv3")
    assert [(row["level"], row["low"], row["high"]) for row in rows] == [
        (0.1, 0.5, 0.5),
        (0.5, 0.6, 0.8),
    ]
    assert rows[1]["value"] == pytest.approx(0.7)


def test_adapting_keeps_the_first_folds_checkpoint_alone(made):
    store, found = made
    record = found["adaptation"]
    (row,) = record["metrics"]
    assert row["low"] <= row["value"] <= row["high"] and row["n"] == RATED
    assert record["method"] == "random"
    assert record["config"]["start"] == found["pretrain random"]["run_id"]
    first, second = (store / "checkpoints" / f"{record['run_id']}-{fold}" for fold in (0, 1))
    header = files.read_json(first / "checkpoint.json")
    assert header["sha256"] == record["checkpoint_sha256"]
    assert header["initial"] == found["pretrain random"]["checkpoint_sha256"]
    assert training.load_model(first, header["sha256"], "cpu").task.options.classes == 2
    assert [path.name for path in second.iterdir()] == ["scores.npy"]


def test_confidence_is_of_entries_that_the_fold_kept_back(made):
    record = made[1]["confidence"]
    assert record["checkpoint_sha256"] == made[1]["adaptation"]["checkpoint_sha256"]
    tables = record["tables"]
    assert set(tables) == {"positive", "negative", "embedded"}
    assert {len(row["probability"]) for row in tables["embedded"]} == {15}
    for label in ("positive", "negative"):
        assert [row["class"] for row in tables[label]] == [item.name for item in ops.CLASSES]
        assert {len(row["probability"]) for row in tables[label]} == {RATED // 2 // PROBE.folds}
        assert values(record, metric=f"logit_change_of_{label}") == {
            row["class"]: row["logit_change"] for row in tables[label]
        }


def test_understanding_has_its_tables(made):
    record = made[1]["understanding"]
    tables = record["tables"]
    assert set(tables) == {
        "confusion",
        "weights",
        "nearest",
        "photographs",
        "distances",
        "neighbours",
        "filters",
    }
    counts = np.array(tables["confusion"])
    assert counts.shape == (22, 22) and (counts.sum(1) == RATED).all()
    shares = values(record, metric="class_accuracy")
    for item in ops.CLASSES:
        assert shares[item.name] == pytest.approx(counts[item.index, item.index] / RATED)
    assert shares[""] == pytest.approx(np.trace(counts) / counts.sum())
    assert len(tables["neighbours"]) == 15 * 4  # four corners of each embedded photograph
    for row in tables["neighbours"]:
        assert all(other // 4 != row["patch"] // 4 for other in row["neighbours"])


def test_identifiability_finds_the_invisible_class(made):
    record = made[1]["identifiability"]
    for preset, same in (("paper", ["gaussian_blur/1"]), ("calibrated", [])):
        shares = values(record, metric="unchanged_share", dataset=f"embedded, {preset}")
        assert set(shares) == {item.name for item in ops.CLASSES[1:]}
        assert [name for name, value in shares.items() if value == 1] == same


# --- killed ---


def test_training_from_scratch_goes_on_with_what_is_left(made, data, tmp_path, monkeypatch):
    _, found = made
    oasis, started = runs.rated("oasis", data / "oasis"), []
    original = training.pretrain

    def pretrain(config, photographs, folder, *rest):
        started.append(folder.name)
        if len(started) == 3:
            raise KeyboardInterrupt
        return original(config, photographs, folder, *rest)

    monkeypatch.setattr(training, "pretrain", pretrain)

    def again():
        asked = Runs(records.Store(tmp_path), "smoke", "cpu")
        return asked.low_data_from_scratch(ADAPT, oasis, FRACTIONS, 1, PROBE)

    with pytest.raises(KeyboardInterrupt):
        again()
    left = list((tmp_path / "checkpoints").iterdir())
    assert [path.name for path in left] == [found["low_data scratch"]["run_id"]]
    record = again()
    assert started == ["0.5-0-0", "0.5-0-1", "1-0-0", "1-0-0", "1-0-1"]
    assert record["metrics"] == found["low_data scratch"]["metrics"]
    assert record["tables"] == found["low_data scratch"]["tables"]
    assert not list((tmp_path / "checkpoints").iterdir())  # nothing of it is left
    again()
    assert len(started) == 5


# --- photographs and benchmarks ---


def test_unseen_operations_are_put_on_photographs_of_the_other_split(made, data):
    store, _ = made
    asked = Runs(records.Store(store), "smoke", "cpu")
    embedded = asked.entries_of(runs.unseen(runs.embedded_photographs(), 0, 2), 72, 67)
    assert len(np.unique(embedded.groups)) == 6 and len(embedded) == 6 * 4
    held_out = asked.held_out_patches(runs.embedded_photographs(), 72, 67, 100)
    assert held_out.shape == (6, 3, 67, 67) and held_out.dtype == torch.uint8
    oasis = runs.rated("oasis", data / "oasis")
    some = asked.entries_of(runs.unseen(oasis.photographs, 5, 3), 72, 67)
    assert len(some) == 5 * 2 * 3
    assert asked.entries_of(runs.unseen(oasis.photographs, 5, 3), 72, 67) is some
    every = asked.entries_of(runs.unseen(oasis.photographs, 0, 3), 72, 67)
    assert len(every) == RATED * 2 * 3
    assert asked.held_out_patches(oasis.photographs, 72, 67, 7).shape[0] == 7


def test_photographs_not_at_hand_are_named(tmp_path):
    asked = Runs(records.Store(tmp_path), "smoke", "cpu")
    with pytest.raises(records.RecordMissing, match="'holiday' are not at hand.*--data-root"):
        asked.pretrain(TINY, runs.folder_photographs(None, "holiday"))
    files.write_json(
        tmp_path / "data" / "holiday-72.json",
        {"name": "holiday", "sha256": "0" * 64, "photographs": 9, "left_out": 0},
    )
    with pytest.raises(records.RecordMissing, match="'holiday' are needed.*--data-root"):
        asked.pretrain(TINY, runs.folder_photographs(None, "holiday"))


@pytest.mark.parametrize("name", ["", "a/b", "../up", "."])
def test_names_of_photographs_are_plain_words(name):
    with pytest.raises(ValueError, match="must be a plain word"):
        Photographs(name, None)


def test_an_unknown_benchmark_is_named(tmp_path):
    with pytest.raises(ValueError, match="benchmark must be one of unseen, .*oasis.* got 'coco'"):
        runs.rated("coco", tmp_path)


def test_classes_of_other_photographs_are_not_judged(data, tmp_path):
    """Labels can be measured on held-out photographs only where these have the same classes."""
    root = tmp_path / "classes"
    for label, first in (("dark", 0), ("light", 6)):
        (root / label).mkdir(parents=True)
        for number in range(3):
            shutil.copy(data / "holiday" / f"{first + number}.png", root / label)
    asked = Runs(records.Store(tmp_path / "store"), "smoke", "cpu")
    run = asked.pretrain(ADAPT, runs.folder_photographs(root, "classes", labelled=True), "labels")
    assert asked.held_out(run, runs.rated("oasis", data / "oasis").photographs)["metrics"] == []
    own = asked.held_out(run, runs.folder_photographs(root, "classes", labelled=True))
    assert {row["metric"] for row in own["metrics"]} >= {"held_out_accuracy", "chance"}


# --- left out, and looked at in another way ---


def test_photographs_are_left_out_of_another_run(made, data, tmp_path, monkeypatch):
    store, found = made
    holiday = runs.folder_photographs(data / "holiday", "holiday")
    asked = Runs(records.Store(store), "smoke", "cpu", plan={})
    assert asked.pretrain(TINY, holiday, without=())["run_id"] == found["pretrain"]["run_id"]
    names = [
        asked.pretrain(TINY, holiday, without=without)["run_id"]
        for without in (("0.png",), ("1.png",), ("0.png", "1.png"), ("1.png", "0.png"))
    ]
    assert names[2] == names[3] and len({*names, found["pretrain"]["run_id"]}) == 4

    trained, original = [], training.pretrain

    def pretrain(config, photographs, *rest):
        trained.append(photographs.names)
        return original(config, photographs, *rest)

    monkeypatch.setattr(training, "pretrain", pretrain)
    fresh = Runs(records.Store(tmp_path), "smoke", "cpu")
    record = fresh.pretrain(RANDOM, holiday, without=("4.png", "0.png", "elsewhere.png"))
    assert trained == [tuple(f"{number}.png" for number in (1, 2, 3, 5, 6, 7, 8))]
    assert record["config"]["without"] == ["0.png", "4.png", "elsewhere.png"]
    assert record["history"][0]["images"] == 7
    assert training.config_of(record) == RANDOM
    assert fresh.pretrain(RANDOM, holiday, without=record["config"]["without"]) == record
    whole = fresh.pretrain(RANDOM, holiday)
    assert whole["history"][0]["images"] == 8  # a whole batch
    assert whole["checkpoint_sha256"] != record["checkpoint_sha256"]


MEAN, MOMENTS = features.View("mean"), features.View("moments")


def test_a_view_is_another_experiment_and_the_papers_stays(made, data):
    store, found = made
    oasis = runs.rated("oasis", data / "oasis")
    asked = Runs(records.Store(store), "smoke", "cpu", plan={})
    run = found["pretrain random"]
    plain = asked.probe(run, oasis, PROBE, features.STANDARD)
    assert plain["run_id"] == found["probe random"]["run_id"] and plain["experiment"] == "probe"
    views = (MEAN, MOMENTS, features.View(statistics="clean"), features.View("mean", "clean"))
    others = [asked.probe(run, oasis, PROBE, view) for view in views]
    assert {record["experiment"] for record in others} == {"view"}
    assert len({record["run_id"] for record in (plain, *others)}) == 5
    assert "view" not in plain["config"]
    assert others[1]["config"]["view"] == {"pooling": "moments", "statistics": "training"}


@pytest.fixture(scope="module")
def viewed(made, data, tmp_path_factory):
    """A copy of the store with two views of the random run, and their comparison."""
    store = tmp_path_factory.mktemp("viewed") / "store"
    shutil.copytree(made[0], store)
    asked = Runs(records.Store(store), "smoke", "cpu")
    oasis, run = runs.rated("oasis", data / "oasis"), made[1]["pretrain random"]
    views = (MEAN, features.View("mean", "clean"))
    first, second = (asked.probe(run, oasis, PROBE, view) for view in views)
    return store, run, first, second, asked.compare(first, second)


def test_views_are_judged_on_features_of_their_own(viewed, data, monkeypatch):
    store, run, mean, clean, _ = viewed
    scores = records.Store(store).read_scores(mean["run_id"])
    assert {row["layer"] for row in mean["metrics"]} == {*LAYERS, "all"}
    assert len(mean["metrics"]) == 6 * 3 and scores["all.rating"].shape == (2, RATED)
    assert mean["metrics"] != clean["metrics"]
    for name in ("extract", "with_clean_statistics"):
        monkeypatch.setattr(features, name, None)
    asked = Runs(records.Store(store, compute=False), "smoke", "cpu")
    oasis = runs.rated("oasis", None)
    assert asked.probe(run, oasis, PROBE, MEAN) == mean
    # the features of a view are its own, and there
    judged = asked.entries_of(runs.rated("oasis", data / "oasis"), 72, 67)
    views = (features.STANDARD, MEAN, features.View("mean", "clean"))
    folders = [
        asked.features_of(run, runs.rated("oasis", data / "oasis"), judged, view) for view in views
    ]
    assert len(set(folders)) == 3 and all(features.complete(folder) for folder in folders)
    widths = [np.load(folder / "conv5.npy").shape[1] for folder in folders]
    assert widths[1:] == [256, 256] and widths[0] > 256


def test_views_are_compared_layer_by_layer_and_all_together(viewed):
    _, _, ours, theirs, record = viewed
    assert record["experiment"] == "view_comparison" and record["method"] == "random"
    for metric in ("accuracy", "srcc", "plcc"):
        first, second, gain = (values(r, metric=metric) for r in (ours, theirs, record))
        assert set(gain) == {*LAYERS, "all", "average"}
        for layer in (*LAYERS, "all"):
            assert gain[layer] == pytest.approx(first[layer] - second[layer], abs=1e-6)
        assert gain["average"] == pytest.approx(np.mean([gain[layer] for layer in LAYERS]))


def test_clean_statistics_leave_out_what_the_pretraining_left_out(data, tmp_path, monkeypatch):
    asked = Runs(records.Store(tmp_path), "smoke", "cpu")
    holiday = runs.folder_photographs(data / "holiday", "holiday")
    run = asked.pretrain(RANDOM, holiday, without=("0.png", "4.png"))
    seen = []

    def watched(backbone, photographs, *rest):
        seen.extend(photographs.names)
        return backbone

    monkeypatch.setattr(features, "with_clean_statistics", watched)
    oasis = runs.rated("oasis", data / "oasis")
    judged = asked.entries_of(oasis, 72, 67)
    asked.features_of(run, oasis, judged, features.View("mean", "clean"))
    assert seen and not {"0.png", "4.png"} & set(seen)
