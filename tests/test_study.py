"""Compute-or-load, from photographs to records, at a tiny scale."""

import csv
import dataclasses
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from aesthlib import features, records, study, training
from aesthlib.study import SCALES, Study
from aesthlib.training import PretrainConfig

TINY = PretrainConfig(size_px=67, shorter_edge_px=72, epochs=1, batch_size=8)


@pytest.fixture
def tiny(monkeypatch):
    """Scale "smoke" made to last seconds."""
    scale = replace(
        SCALES["smoke"], pretrain=TINY, degradation={}, repeats=1, unseen_pairs=12,
        benchmarks=("unseen", "oasis"),
    )  # fmt: skip
    monkeypatch.setitem(study.SCALES, "smoke", scale)


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
    run = asked.pretrained("degradation")
    probed = [asked.probed(run, name, "exact") for name in ("unseen", "oasis")]
    sgd = asked.probed(run, "oasis", "sgd")

    said = capsys.readouterr().err
    assert "OASIS: 1 files without a rating passed over: extra.png" in said
    assert "oasis: 1 of 24 files left out" in said
    assert run["data"][0]["photographs"] == 15
    assert run["metrics"][0]["metric"] == "training_cross_entropy"
    assert len(run["history"]) == 1
    assert probed[1]["metrics"][0]["n"] == 23  # the broken file is left out
    assert probed[1]["data"][0]["left_out"] == 1
    assert {row["metric"] for row in probed[0]["metrics"]} == {"accuracy", "srcc", "plcc"}
    assert len(probed[0]["metrics"]) == 15
    # brightness is easy to read from any features: the ratings belong to the right photographs
    best = max(row["value"] for row in probed[1]["metrics"] if row["metric"] == "srcc")
    assert best > 0.9

    # what is published is the scale's, and nothing else of it
    outdated = run | {"run_id": "0" * 16}
    records.Store(tmp_path / "published").write(outdated)
    asked.publish(tmp_path / "published")
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

    # asking again computes nothing, not even without the photographs
    def never(*arguments, **named):
        raise AssertionError("computed twice")

    monkeypatch.setattr(training, "pretrain", never)
    monkeypatch.setattr(features, "extract", never)
    for store in ("store", "published"):
        again = Study("smoke", tmp_path / store, load_only=True, device="cpu")
        assert again.pretrained("degradation") == run
        assert again.probed(run, "oasis", "sgd") == sgd
        assert len(again.everything()) == 11 == len(again.store.all())
    with pytest.raises(records.RecordMissing, match="--load-only"):
        again.pretrained("degradation", seed=1)


def test_other_ratings_are_other_data(tiny, data_root, tmp_path):
    asked = Study("smoke", tmp_path / "store", data_root, device="cpu")
    run = asked.pretrained("random")
    first = asked.probed(run, "oasis", "sgd")
    ratings = data_root / "oasis" / "ratings.csv"
    ratings.write_text(ratings.read_text().replace("0.png,Scene,1.0", "0.png,Scene,6.0"))
    assert asked.probed(run, "oasis", "sgd")["run_id"] != first["run_id"]


def test_features_come_from_the_checkpoint_of_the_record(tiny, tmp_path):
    asked = Study("smoke", tmp_path / "store", device="cpu")
    run = asked.pretrained("random") | {"checkpoint_sha256": "0" * 64}
    with pytest.raises(ValueError, match="not 0000000000000000 of the run's record"):
        asked.probed(run, "unseen")


@pytest.mark.parametrize("scale", ["smoke", "study"])
def test_the_published_records_are_those_of_the_scale(scale):
    """Whoever changes a scale, a default or the data runs and publishes again."""
    published = Study(scale, records.PUBLISHED, load_only=True, device="cpu")
    asked = {record["run_id"] for record in published.everything()}
    stored = {r["run_id"] for r in published.store.all() if r["scale"] == scale}
    assert asked == stored


def test_identifiability_finds_the_invisible_class(tiny, tmp_path):
    asked = Study("smoke", tmp_path, device="cpu")
    record = asked.identified()
    frame = pd.DataFrame(record["metrics"])
    unchanged = frame[(frame.metric == "unchanged_share") & (frame.value == 1)]
    assert list(unchanged.layer) == ["gaussian_blur/1"]
    assert list(unchanged.dataset) == ["embedded, paper"]
    assert asked.identified() == record


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


def test_an_unknown_benchmark_is_named(tiny, tmp_path):
    run = {"config": {"shorter_edge_px": 72, "size_px": 67}, "run_id": "0"}
    with pytest.raises(ValueError, match="benchmark must be one of unseen, oasis, vessel"):
        Study("smoke", tmp_path, device="cpu").probed(run, "ava")
