"""Compute-or-load, from photographs to records, at a tiny scale."""

import csv
import dataclasses
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from aesthlib import ops, pretext, runs, study, training
from aesthlib.data import benchmarks, embedded
from aesthlib.models import LAYERS
from aesthlib.probing import ProbeConfig, features
from aesthlib.store import records
from aesthlib.study import ABLATIONS, METHODS, OURS, PAGES, SCALES, Study, labels_config
from aesthlib.training import PretrainConfig

TINY = PretrainConfig(size_px=67, shorter_edge_px=72, epochs=1, batch_size=8)
PROBE = ProbeConfig(repeats=1, folds=2, inner_folds=2, penalties=(1e-2, 1.0), epochs=2)


@pytest.fixture
def tiny(monkeypatch):
    """Scale "smoke" made to last seconds."""
    scale = replace(
        SCALES["smoke"],
        pretrain=TINY,
        methods=("random", OURS),
        options={},
        probe=PROBE,
        unseen_pairs=6,
        benchmarks=("unseen", "oasis"),
        fractions=(0.5,),
        subsets=1,
        scratch=("oasis",),
        adapt=labels_config(TINY, learning_rate=0.01),
        adapt_starts=(("alexnet", "scratch"), ("alexnet", OURS)),
        ablation=TINY,
        ablations=("reference", "levels"),
        pages=tuple(PAGES),
    )
    monkeypatch.setitem(study.SCALES, "smoke", scale)
    monkeypatch.setattr(runs, "HELD_OUT_CROPS", 40)


@pytest.fixture
def data_root(tmp_path):
    """A benchmark in OASIS's format: brightness is beauty, one file is broken."""
    folder = tmp_path / "data" / "oasis"
    (folder / "images").mkdir(parents=True)
    generator = np.random.default_rng(0)
    with open(folder / "ratings.csv", "w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["file", "category", "beauty_mean"])
        for number in range(24):
            pixels = generator.integers(0, 8, (80, 90, 3)) + 10 * number
            Image.fromarray(pixels.astype(np.uint8)).save(folder / "images" / f"{number}.png")
            writer.writerow([f"{number}.png", "Scene", 1 + number / 5])
    (folder / "images" / "3.png").write_bytes(b"no image")
    (folder / "images" / "extra.png").write_bytes(b"not listed")
    return tmp_path / "data"


def test_from_photographs_to_records(tiny, data_root, tmp_path, monkeypatch, capsys):
    asked = Study("smoke", tmp_path / "store", data_root, device="cpu")
    (run,) = asked.pretrained(OURS)
    oasis = asked._asked("oasis")
    probed = {
        (record["config"]["benchmark"], record["config"]["probe"]["solver"]): record
        for record in asked.probes()
        if record["experiment"] == "probe" and record["config"]["pretrain"] == run["run_id"]
    }

    said = capsys.readouterr().err
    assert "OASIS: 1 files without a rating passed over: extra.png" in said
    assert "oasis: 1 of 24 files left out" in said
    assert run["data"][0]["photographs"] == 15
    assert run["metrics"][0]["metric"] == "training_cross_entropy"
    assert len(run["history"]) == 1
    assert set(probed) == {(b, s) for b in ("unseen", "oasis") for s in ("exact", "sgd")}
    assert probed["oasis", "exact"]["metrics"][0]["n"] == 23  # the broken file is left out
    assert probed["oasis", "exact"]["data"][0]["left_out"] == 1
    unseen = probed["unseen", "exact"]["metrics"]
    assert {row["metric"] for row in unseen} == {"accuracy", "srcc", "plcc"}
    assert len(unseen) == 15
    # brightness is easy to read from any features: the ratings belong to the right photographs
    best = max(
        row["value"] for row in probed["oasis", "exact"]["metrics"] if row["metric"] == "srcc"
    )
    assert best > 0.9

    # what is published is the scale's, and nothing else of it
    every = asked.everything()
    outdated = run | {"run_id": "0" * 16}
    elsewhere = run | {"run_id": "1" * 16, "scale": "study"}
    for other in (outdated, elsewhere):
        records.Store(tmp_path / "published").write(other)
    assert asked.publish(tmp_path / "published") == len(every)
    frame = records.load(tmp_path / "published")
    wanted = {
        "experiment",
        "method",
        "dataset",
        "layer",
        "metric",
        "value",
        "seed",
        "scale",
        "run_id",
    }
    assert wanted <= set(frame.columns)
    assert outdated["run_id"] not in set(frame.run_id)
    assert elsewhere["run_id"] in set(frame.run_id)

    # asking again computes nothing, not even without the photographs, features and scores
    def never(*arguments, **named):
        raise AssertionError("computed twice")

    monkeypatch.setattr(training, "pretrain", never)
    monkeypatch.setattr(training, "load_model", never)
    monkeypatch.setattr(features, "extract", never)
    for store in ("store", "published"):
        again = Study("smoke", tmp_path / store, load_only=True, device="cpu")
        assert again.pretrained(OURS) == [run]
        assert again.runs.probe(run, oasis, replace(PROBE, solver="sgd")) == probed["oasis", "sgd"]
        assert again.everything() == every
        stored = [record for record in again.store.all() if record["scale"] == "smoke"]
        assert len(every) == len(stored)
        for page in PAGES:
            assert all(record in every for record in again.page(page)), page
    with pytest.raises(records.RecordMissing, match="--load-only"):
        again.pretrained(OURS, lambda_triplet=0.5)
    with pytest.raises(records.RecordMissing, match="--load-only"):
        Study("smoke", tmp_path / "store", load_only=True, device="cpu", seed=1).pretrained(OURS)


@pytest.fixture
def planned(tiny, data_root, tmp_path):
    """Function of a page to its records, as they are planned at the tiny scale."""
    asked = Study("smoke", tmp_path / "none", data_root, device="cpu")
    asked.runs.plan = {}

    def page(name):
        return [(r["experiment"], r["method"]) for r in asked.page(name)], asked

    return page


def test_pages_hold_what_they_are_about(planned):
    pages = {name: planned(name)[0] for name in PAGES}
    ours, random = ("pretrain", OURS), ("pretrain", "random")
    assert pages["01_degradations"] == [("identifiability", OURS)]
    assert pages["02_pretraining"] == [random, ours, ("held_out", OURS)]  # nothing to hold out
    probes = pages["03_probes"]
    assert [probes.count(one) for one in (ours, random)] == [1, 1]
    assert probes.count(("probe", OURS)) == probes.count(("probe", "random")) == 2 * 2
    assert probes.count(("comparison", "random")) == 2 and len(probes) == 12
    assert pages["04_low_data"] == [
        ("low_data", "random"),
        ("low_data", OURS),
        ("low_data", "random"),
        ("low_data", OURS),
        ("low_data", "scratch"),
    ]
    adapted = pages["05_adaptation"]
    assert adapted.count(("adaptation", "scratch")) == 2 == adapted.count(("adaptation", OURS))
    assert adapted.count(("probe", OURS)) == 2 and len(adapted) == 7
    assert pages["06_ablations"] == [
        ours,
        ("probe", OURS),
        ("probe", OURS),
        ours,
        ("probe", OURS),
        ("comparison", OURS),
        ("probe", OURS),
        ("comparison", OURS),
    ]
    assert pages["07_confidence"] == 2 * [("adaptation", "scratch"), ("confidence", "scratch")]
    assert pages["08_understanding"] == [("understanding", OURS)]
    others = [name for name in PAGES if name != "14_longer"]  # whose budget is another
    assert set(pages["09_claims"]) == {one for name in others for one in pages[name]}
    assert set(pages["10_summary"]) == set(pages["02_pretraining"]) | set(pages["03_probes"])
    assert pages["11_checks"] == [random, ours, ("shortcuts", OURS)]  # nothing could overlap
    why = pages["12_why"]
    for method in ("random", OURS):
        # moments, mean and clean statistics on each benchmark
        assert why.count(("view", method)) == 3 * 2 and why.count(("probe", method)) == 2
        assert why.count(("by_operation", method)) == 2
        assert why.count(("within_kinds", method)) == 1  # OASIS alone has kinds
    assert why.count(("view_comparison", "random")) == 2 and len(why) == 2 * 12 + 2
    beyond = pages["13_beyond"]
    choices = ("untrained network", "one task", "our variants", "two tasks", "all tasks")
    assert [beyond.count(("selected", name)) for name in choices] == 5 * [2]
    against = [method for kind, method in beyond if kind == "inquiry_comparison"]
    assert against == 2 * (4 * ["untrained network"] + ["one task"])
    assert beyond.count(("pretrain", OURS)) == 2
    assert pages["14_longer"] == []
    assert pages["15_cost"] == [random, ours, ours]  # that of the ablation is another
    assert pages["16_your_photographs"] == []  # nothing is released


def test_records_stand_once(planned):
    _, asked = planned("01_degradations")
    every = [record["run_id"] for record in asked.everything()]
    assert len(set(every)) == len(every) == len(asked.runs.plan)


def test_seeds_are_those_of_the_scale_or_the_one_that_is_asked(tiny, tmp_path, monkeypatch):
    scale = replace(study.SCALES["smoke"], seeds={OURS: 3})
    monkeypatch.setitem(study.SCALES, "smoke", scale)

    def seeds(**named):
        asked = Study("smoke", tmp_path, device="cpu", **named)
        asked.runs.plan = {}
        return [[run["seed"] for run in asked.pretrained(method)] for method in (OURS, "random")]

    assert seeds() == [[0, 1, 2], [0]]
    assert seeds(seed=2) == [[2], [2]]


def test_ablations_change_what_their_names_say(tmp_path):
    asked = Study("smoke", tmp_path, device="cpu")
    asked.runs.plan = {}
    found = {key: run["config"] for key, run in asked.ablated().items()}
    assert set(found) == {(group, name) for group in ABLATIONS for name in ABLATIONS[group]}
    reference = found["reference", "both losses, two stages"]
    given = SCALES["smoke"].options[OURS]
    share = reference["epochs"] / SCALES["smoke"].pretrain.epochs
    assert share < 1
    for point in ("triplet_from_epoch", "entropy_from_epoch"):
        assert reference["options"][point] == int(share * given[point]) < reference["epochs"]
    for (group, name), config in found.items():
        asked_for = dict(ABLATIONS[group][name])
        task = asked_for.pop("method", OURS)
        changed = {k for k, v in config["options"].items() if v != reference["options"][k]}
        assert changed == {
            k
            for k, v in asked_for.items()
            if (list(v) if type(v) is tuple else v) != reference["options"][k]
        }, name
        named = {"method": task} | ({"row": OURS} if task != OURS else {})
        assert {k: v for k, v in config.items() if k != "options"} == {
            k: v for k, v in reference.items() if k != "options"
        } | named
        assert changed or task != OURS or group == "reference", name
    left_out = found["attribute left out", "without Much noise"]["options"]["operations"]
    assert set(ops.NAMES) - set(left_out) == {"jpeg", "gaussian_noise"}
    assert set(ABLATIONS["operation left out"]) == {
        f"without {name.replace('_', ' ')}" for name in ops.NAMES
    }


def test_every_method_is_a_task_with_a_title():
    variants = {changed.get("method") for group in ABLATIONS.values() for changed in group.values()}
    variants -= {None, OURS}  # tasks that no row of Table 2 trains
    assert {method.task for method in METHODS.values()} == set(pretext.TASKS) - variants
    assert variants == {"degradation_cropped"}
    assert len({method.title for method in METHODS.values()}) == len(METHODS)
    for name, scale in SCALES.items():
        assert set(scale.methods) <= set(METHODS), name
        assert {"random", OURS} <= set(scale.methods), name
        assert set(scale.benchmarks) <= {"unseen", *benchmarks.READERS}, name
        assert set(scale.options) <= set(pretext.TASKS), name
        assert {start for _, start in scale.adapt_starts} <= {"scratch", *METHODS}, name
        assert set(scale.scratch) <= set(scale.benchmarks), name
    self_supervised = [method for method in study.SELF_SUPERVISED if method != "random"]
    for scale in ("smoke", "paper"):  # every task is run, those with labels where there are some
        assert set(self_supervised) <= set(SCALES[scale].methods)
        assert SCALES[scale].ablations == tuple(ABLATIONS)
    assert SCALES["smoke"].pages == tuple(PAGES)[:10]  # the paper's experiments
    released = "16_your_photographs"  # study's network is
    assert SCALES["paper"].pages == tuple(page for page in PAGES if page != released)


def test_methods_of_a_scale_differ_in_nothing_but_the_task():
    """The same photographs, backbone, patches and steps; what the paper could not do."""
    asked = Study("smoke", device="cpu")
    base = dataclasses.asdict(SCALES["smoke"].pretrain)
    for method in SCALES["smoke"].methods:
        config = dataclasses.asdict(asked.pretrain_config(method, seed=4))
        differs = {key for key in base if config[key] != base[key]}
        assert differs <= {"method", "options", "seed"} and config["seed"] == 4
    assert asked.pretrain_config("places").options.classes == 365
    labels = asked.pretrain_config("labels").options
    assert labels.classes == len({source.label for source in embedded.sources()})


def test_layers_of_the_low_data_curves_are_the_papers():
    assert study.LOW_DATA_LAYER == "conv3" in LAYERS
    for scale in ("study", "paper"):
        steps = [number / 20 for number in range(1, 11)]  # 5 % to 50 %, and 1 %
        assert SCALES[scale].fractions == (0.01, *steps)
        assert SCALES[scale].subsets == 5


def test_other_ratings_are_other_data(tiny, data_root, tmp_path):
    asked = Study("smoke", tmp_path / "store", data_root, device="cpu")
    (run,) = asked.pretrained("random")
    sgd = replace(PROBE, solver="sgd")
    first = asked.runs.probe(run, asked._asked("oasis"), sgd)
    ratings = data_root / "oasis" / "ratings.csv"
    ratings.write_text(ratings.read_text().replace("0.png,Scene,1.0", "0.png,Scene,6.0"))
    again = Study("smoke", tmp_path / "store", data_root, device="cpu")
    assert again.runs.probe(run, again._asked("oasis"), sgd)["run_id"] != first["run_id"]


def test_features_come_from_the_checkpoint_of_the_record(tiny, tmp_path):
    asked = Study("smoke", tmp_path / "store", device="cpu")
    run = asked.pretrained("random")[0] | {"checkpoint_sha256": "0" * 64}
    with pytest.raises(ValueError, match="not 0000000000000000 of the run's record"):
        asked.runs.probe(run, asked._asked("unseen"), PROBE)


@pytest.mark.parametrize("scale", ["smoke", "study"])
def test_the_published_records_are_those_of_the_scale(scale):
    """Whoever changes a scale, a default or the data runs and publishes again."""
    published = Study(scale, records.PUBLISHED, load_only=True, device="cpu")
    asked = {record["run_id"] for record in published.everything()}
    stored = {r["run_id"] for r in published.store.all() if r["scale"] == scale}
    assert asked == stored


def test_identifiability_finds_the_invisible_class(tiny, tmp_path):
    asked = Study("smoke", tmp_path, device="cpu")
    (record,) = asked.degradations()
    frame = pd.DataFrame(record["metrics"])
    unchanged = frame[(frame.metric == "unchanged_share") & (frame.value == 1)]
    assert list(unchanged.layer) == ["gaussian_blur/1"]
    assert list(unchanged.dataset) == ["embedded, paper"]
    assert asked.degradations() == [record]


def test_scales_are_numbers_and_share_the_papers_rest():
    paper = SCALES["paper"].pretrain
    assert (paper.size_px, paper.shorter_edge_px, paper.batch_size) == (227, 256, 64)
    assert (paper.learning_rate, paper.learning_rate_drop, paper.drop_every_epochs) == (
        0.1,
        0.2,
        10,
    )
    for scale in SCALES.values():
        kept = {"learning_rate", "learning_rate_drop", "momentum", "weight_decay", "precision"}
        for field in dataclasses.fields(PretrainConfig):
            if field.name in kept:
                assert getattr(scale.pretrain, field.name) == getattr(paper, field.name)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"scale": "huge"}, "scale must be one of smoke, study, paper"),
        ({"device": "cuda:99"}, "device 'cuda:99' is not available"),
    ],
)
def test_bad_settings_are_named(arguments, message):
    with pytest.raises(ValueError, match=message):
        Study(**arguments)


def test_photographs_that_are_not_at_hand_are_named(tmp_path):
    with pytest.raises(records.RecordMissing, match="'photos'.*--data-root"):
        Study("study", tmp_path, device="cpu").pretrained("degradation")
    with pytest.raises(FileNotFoundError, match="nowhere/photos is not a folder"):
        Study("study", tmp_path, tmp_path / "nowhere", device="cpu").pretrained("degradation")


def test_an_unknown_benchmark_is_named(tiny, tmp_path, monkeypatch):
    scale = replace(study.SCALES["smoke"], benchmarks=("coco",))
    monkeypatch.setitem(study.SCALES, "smoke", scale)
    asked = Study("smoke", tmp_path, device="cpu")
    with pytest.raises(ValueError, match="benchmark must be one of unseen, oasis, vessel"):
        asked.probes()


# --- what the checks and choices add ---


@pytest.fixture
def study_planned(tmp_path):
    """Function of changes to scale "study" to its study, planned without any photographs."""

    def make(monkeypatch, **changes):
        counts = {"photos": 400, "photos-every-2": 200, "photos-every-4": 100, "photos-every-8": 50}
        counts |= runs.PUBLISHED_COUNTS
        monkeypatch.setattr(runs, "PUBLISHED_COUNTS", counts)
        monkeypatch.setitem(study.SCALES, "study", replace(SCALES["study"], **changes))
        asked = Study("study", tmp_path / "none", device="cpu")
        asked.runs.plan = {}
        return asked

    return make


def test_without_what_is_not_asked_the_names_of_runs_stay(study_planned, monkeypatch):
    """A run that leaves no photograph out is the run from before there was anything to ask."""
    asked = study_planned(monkeypatch)
    config = asked.pretrain_config(OURS)
    of = asked._pretrained_on(OURS)
    plain = asked.runs.pretrain(config, of, OURS)
    assert [run["run_id"] for run in asked.pretrained(OURS)][:1] == [plain["run_id"]]
    assert "without" not in plain["config"] and "view" not in plain["config"]
    settings = records.resolved(config)
    assert plain["run_id"] == records.run_id("pretrain", "study", settings, ["photos"])


def test_what_a_benchmark_shows_is_kept_out_of_every_run(study_planned, monkeypatch):
    asked = study_planned(monkeypatch, few=2)
    before = {run["run_id"] for run in asked.cost()}
    monkeypatch.setattr(study.inquiries, "left_out", lambda record: ("b.jpg", "a.jpg"))
    trained = [run for run in asked.cost() if run["experiment"] == "pretrain"]
    assert trained and all(run["config"]["without"] == ["a.jpg", "b.jpg"] for run in trained)
    assert not before & {run["run_id"] for run in trained}
    few = asked.fewer_photographs()
    assert few["config"]["without"] == ["a.jpg", "b.jpg"]


def test_budgets_keep_the_shape_of_the_schedule(study_planned, monkeypatch):
    asked = study_planned(monkeypatch, budgets=(8, 4))
    found = {title: run["config"] for title, run in asked.budgeted().items()}
    reference = SCALES["study"].ablation
    assert list(found) == ["2 epochs", "4 epochs", "8 epochs"] and reference.epochs == 2
    (plain,) = (run for (_, name), run in asked.ablated().items() if "both" in name)
    assert found["2 epochs"] == plain["config"]
    assert asked.budgeted()["2 epochs"]["run_id"] == plain["run_id"]  # one run, not two
    for title, config in found.items():
        epochs = int(title.split()[0])
        assert (config["epochs"], config["drop_every_epochs"]) == (epochs, epochs // 2)
        assert config["options"]["triplet_from_epoch"] == epochs // 2
        assert config["options"]["entropy_from_epoch"] == epochs
    asked = study_planned(monkeypatch, budgets=(), few=2, smaller=False)
    assert asked.budgeted() == {} and asked.fewer_photographs() is None
    assert asked.smaller() is None


def test_longer_and_smaller_runs_change_nothing_else(study_planned, monkeypatch):
    asked, scale = study_planned(monkeypatch), SCALES["study"]
    assert OURS in scale.longer_methods and set(scale.longer_methods) <= set(scale.methods)
    times = scale.longer_epochs // scale.pretrain.epochs
    for method in scale.longer_methods:
        long, short = asked.trained_longer(method)["config"], asked.pretrained(method)[0]["config"]
        assert long["epochs"] == scale.longer_epochs == times * short["epochs"]
        assert long["drop_every_epochs"] == times * short["drop_every_epochs"]
        points = ("triplet_from_epoch", "entropy_from_epoch") if method == OURS else ()
        assert all(long["options"][p] == times * short["options"][p] for p in points)
        differs = {key for key in short if long[key] != short[key]}
        assert differs <= {"epochs", "drop_every_epochs", "options"}
    for method in (OURS, "random"):
        small, whole = asked.smaller(method)["config"], asked.pretrained(method)[0]["config"]
        assert {key for key in whole if small[key] != whole[key]} == {"size_px", "shorter_edge_px"}
        assert small["size_px"] == scale.ablation.size_px


def test_released_is_the_run_that_knows_its_task_best(study_planned, monkeypatch):
    asked = study_planned(monkeypatch)
    candidates = [*asked.pretrained(OURS), asked.trained_longer(OURS)]
    own = asked.runs.held_out

    def held_out(run, of):
        place = [other["run_id"] for other in candidates].index(run["run_id"])
        rows = [{"metric": "held_out_accuracy", "value": (0.5, 0.7, 0.6, 0.65)[place]}]
        return own(run, of) | {"metrics": rows}

    monkeypatch.setattr(asked.runs, "held_out", held_out)
    assert asked.your_photographs()[0] == candidates[1]


def test_fewer_photographs_are_seen_as_often_in_all(study_planned, monkeypatch):
    asked = study_planned(monkeypatch, few=2)
    config, whole = (
        run["config"] for run in (asked.fewer_photographs(), list(asked.budgeted().values())[-1])
    )
    assert SCALES["study"].ablation_every == 2
    assert (config["epochs"], config["drop_every_epochs"]) == (
        2 * whole["epochs"],
        2 * whole["drop_every_epochs"],
    )
    assert asked.fewer_photographs()["data"][0]["name"] == "photos-every-4"


def test_an_ablation_may_be_another_task(study_planned, monkeypatch):
    asked = study_planned(monkeypatch)
    found = asked.ablated()
    cropped = found["shortcuts", "cropped after the operation"]
    (plain,) = (run for (_, name), run in found.items() if "both" in name)
    assert cropped["config"]["method"] == "degradation_cropped" and cropped["method"] == OURS
    assert cropped["config"]["options"] == plain["config"]["options"]
    assert cropped["run_id"] != plain["run_id"]
    trained = training.config_of(cropped)
    assert trained.size_px + pretext.task(trained.method).margin_px <= trained.shorter_edge_px


@pytest.mark.parametrize("scale", SCALES)
def test_new_pages_are_planned_without_data(scale, tmp_path, monkeypatch):
    monkeypatch.setattr(
        runs,
        "PUBLISHED_COUNTS",
        {"photos": 400, "photos-every-2": 200, "photos-every-8": 50, **runs.PUBLISHED_COUNTS},
    )
    asked = Study(scale, tmp_path / "none", device="cpu")
    asked.runs.plan = {}
    kinds = {
        "11_checks": {"pretrain", "shortcuts"},
        "12_why": {"pretrain", "view", "view_comparison", "probe", "by_operation"},
        "13_beyond": {"pretrain", "selected", "inquiry_comparison"},
        "15_cost": {"pretrain"},
        "14_longer": set(),
    }
    if SCALES[scale].longer_epochs:
        kinds["14_longer"] = {
            "pretrain",
            "held_out",
            "probe",
            "comparison",
            "selected",
            "by_operation",
            "inquiry_comparison",
        }
    if scale != "smoke":  # photographs of its own, and benchmarks that they may hold
        kinds["11_checks"] |= {"near_duplicates"}
        kinds["12_why"] |= {"within_kinds"}
    if SCALES[scale].budgets:
        kinds["11_checks"] |= {"held_out", "probe"}
    for page, expected in kinds.items():
        assert {record["experiment"] for record in asked.page(page)} >= expected, page
    released = asked.page("16_your_photographs")
    assert [record["experiment"] for record in released] == (
        ["pretrain", "held_out", "release"] if SCALES[scale].release else []
    )
    assert not (tmp_path / "none").exists()
