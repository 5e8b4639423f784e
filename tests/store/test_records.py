"""Records and checkpoints: names, reading, and errors that name the file."""

import dataclasses
import json
import re

import numpy as np
import pytest
import torch

from aesthlib.store import checkpoints, files, records
from aesthlib.store.records import RecordMissing, Store

METRICS = [
    {
        "dataset": "OASIS",
        "layer": "conv1",
        "metric": "accuracy",
        "value": 0.6,
        "n": 900,
        "low": 0.55,
        "high": 0.65,
    },
    {"dataset": "OASIS", "layer": "conv2", "metric": "srcc", "value": 0.3, "n": 900},
]


def record(run_id="a" * 16, **changes):
    return {
        "run_id": run_id,
        "experiment": "probe",
        "method": "degradation",
        "scale": "smoke",
        "seed": 0,
        "config": {},
        "data": ["0" * 64],
        "environment": {},
        "minutes": 1.5,
        "checkpoint_sha256": "",
        "metrics": METRICS,
        "history": [],
        **changes,
    }


@pytest.fixture
def store(tmp_path):
    return Store(tmp_path / "store")


# --- names ---


def test_run_id_does_not_depend_on_the_order_of_keys():
    first = records.run_id("probe", "smoke", {"a": 1, "b": {"c": 2, "d": 3}}, ["x"])
    again = records.run_id("probe", "smoke", {"b": {"d": 3, "c": 2}, "a": 1}, ["x"])
    assert first == again and re.fullmatch("[0-9a-f]{16}", first)


@pytest.mark.parametrize(
    "other",
    [
        ("features", "smoke", {"a": 1}, ["x"]),
        ("probe", "study", {"a": 1}, ["x"]),
        ("probe", "smoke", {"a": 2}, ["x"]),
        ("probe", "smoke", {"a": 1}, ["y"]),
    ],
)
def test_run_id_tells_runs_apart(other):
    assert records.run_id("probe", "smoke", {"a": 1}, ["x"]) != records.run_id(*other)


def test_resolved_configs_are_plain_json():
    @dataclasses.dataclass(frozen=True)
    class Inner:
        names: tuple = ("a", "b")

    @dataclasses.dataclass(frozen=True)
    class Outer:
        size: int = 3
        inner: Inner = Inner()

    plain = records.resolved(Outer())
    assert plain == {"size": 3, "inner": {"names": ["a", "b"]}}
    assert json.loads(json.dumps(plain)) == plain


def test_environment_names_versions_and_device():
    environment = records.environment("cpu", "bf16")
    assert environment["torch"] == torch.__version__.split("+")[0]
    assert environment["device"].startswith("CPU") and environment["precision"] == "bf16"
    assert re.fullmatch("[0-9a-f]{64}", environment["code_sha256"])


# --- the store ---


def test_a_written_record_is_found(store):
    assert store.find("a" * 16) is None
    assert store.write(record()) == record()
    assert store.find("a" * 16) == record()
    assert store.all() == [record()]


def test_a_store_that_only_loads_says_what_is_missing(store):
    only = Store(store.root, compute=False)
    with pytest.raises(RecordMissing, match=f"no record .*{'b' * 16}.json.*only load"):
        only.find("b" * 16)
    store.write(record("b" * 16))
    assert only.find("b" * 16) == record("b" * 16)


def without(key):
    return json.dumps({k: v for k, v in record().items() if k != key}, indent=2)


@pytest.mark.parametrize(
    "text, message",
    [
        (without("method"), "not a result record, missing method"),
        (json.dumps([record()]), "not a result record"),
        (json.dumps(record("c" * 16)), f"holds run {'c' * 16}, not {'a' * 16}"),
        (json.dumps(record(metrics=3)), "metrics must be a list, got 3"),
        (json.dumps(record(metrics=[METRICS[0], {"metric": "srcc"}])), r"metrics\[1\] lacks"),
        (json.dumps(record(metrics=["srcc"])), r"metrics\[0\] lacks"),
        (json.dumps(record(), indent=2)[:-20], "line [0-9]+: not valid JSON"),
    ],
    ids=["key", "list", "name", "metrics", "metric", "no metric", "cut off"],
)
def test_broken_records_are_named(text, message, store):
    path = store.path("records", f"{'a' * 16}.json")
    path.parent.mkdir(parents=True)
    path.write_text(text)
    for read in (lambda: store.find("a" * 16), store.all, lambda: records.load(store.root)):
        with pytest.raises(ValueError, match=f"{path}.*{message}"):
            read()


def test_an_incomplete_record_is_not_written(store):
    with pytest.raises(ValueError, match="missing history"):
        store.write({key: value for key, value in record().items() if key != "history"})
    assert not store.path("records").exists()


# --- scores ---


def test_scores_stand_beside_their_record_and_come_back(store):
    arrays = {
        "conv1.logit": np.arange(6, dtype=np.float32).reshape(2, 3),
        "truth.positive": np.array([True, False, True]),
    }
    store.write_scores("a" * 16, arrays)
    found = store.read_scores("a" * 16)
    assert set(found) == set(arrays)
    for name, values in arrays.items():
        np.testing.assert_array_equal(found[name], values)
        assert found[name].dtype == values.dtype
    assert store.all() == []  # they are no record
    assert [path.name for path in store.path("scores").iterdir()] == [f"{'a' * 16}.npz"]


def test_missing_scores_are_named_with_the_record_to_delete(store):
    record = store.path("records", f"{'a' * 16}.json")
    with pytest.raises(RecordMissing, match=f"no scores .*{'a' * 16}.npz: delete {record} and"):
        store.read_scores("a" * 16)


def test_full_disk_keeps_the_last_scores(store, full_disk):
    store.write_scores("a" * 16, {"x": np.zeros(3)})
    noise = np.random.default_rng(0).random(10_000)
    with full_disk(5000), pytest.raises(OSError, match="could not write .*free some space"):
        store.write_scores("a" * 16, {"x": noise})
    assert store.read_scores("a" * 16)["x"].tolist() == [0, 0, 0]


# --- as a frame ---


def test_load_gives_a_row_a_metric(store):
    store.write(record("b" * 16, seed=1))
    store.write(record("a" * 16))
    frame = records.load(store.root)
    assert list(frame.columns) == list(records.COLUMNS)
    assert {
        "experiment",
        "method",
        "dataset",
        "layer",
        "metric",
        "value",
        "seed",
        "scale",
        "run_id",
    } <= set(frame.columns)
    assert len(frame) == 4 and frame["run_id"].nunique() == 2
    row = frame[(frame["seed"] == 1) & (frame["layer"] == "conv1")].iloc[0]
    assert (row["value"], row["low"], row["high"], row["n"]) == (0.6, 0.55, 0.65, 900)
    assert frame[frame["metric"] == "srcc"][["low", "high"]].isna().all(axis=None)
    assert all(frame[name].dtype == "float64" for name in ("value", "low", "high", "minutes"))
    assert frame.equals(records.load(str(store.root)))


def test_load_tells_levels_p_values_and_solvers(store):
    curve = [
        {
            "dataset": "OASIS",
            "layer": "conv3",
            "metric": "accuracy",
            "level": level,
            "value": 0.5 + level,
            "n": 900,
        }
        for level in (0.5, 0.05)
    ]
    store.write(record("a" * 16, metrics=curve, experiment="low_data"))
    compared = METRICS[0] | {"value": 0.01, "low": -0.01, "high": 0.03, "p": 0.25}
    store.write(record("b" * 16, metrics=[compared], experiment="comparison"))
    store.write(record("c" * 16, config={"probe": {"solver": "sgd"}}))
    frame = records.load(store.root).set_index("run_id")
    assert list(frame.loc["a" * 16].level) == [0.05, 0.5]  # sorted
    assert list(frame.loc["a" * 16].value) == pytest.approx([0.55, 1.0])
    assert frame.loc["b" * 16].p == 0.25
    assert frame.loc["a" * 16].p.isna().all() and frame.loc["c" * 16].level.isna().all()
    assert frame.level.dtype == frame.p.dtype == "float64"
    assert set(frame.loc["c" * 16].solver) == {"sgd"} and set(frame.loc["a" * 16].solver) == {""}


def test_load_of_an_empty_store_has_the_columns(store):
    store.path("records").mkdir(parents=True)
    frame = records.load(store.root)
    assert len(frame) == 0 and list(frame.columns) == list(records.COLUMNS)


# --- what is known of photographs that are not at hand ---


def test_identity_of_a_pack_is_remembered(store, tmp_path):
    known = {"name": "made", "sha256": "1" * 64, "photographs": 6, "left_out": 2}
    with pytest.raises(RecordMissing, match="'made' are not at hand.*--data-root"):
        store.identity("made", 24, None)
    files.write_json(tmp_path / "pack" / "pack.json", {**known, "settings": {}})
    assert store.identity("made", 24, tmp_path / "pack") == known
    assert store.identity("made", 24, None) == known
    files.write_json(tmp_path / "pack" / "pack.json", {**known, "sha256": "2" * 64})
    assert store.identity("made", 24, tmp_path / "pack")["sha256"] == "2" * 64
    assert store.identity("made", 24, None)["sha256"] == "2" * 64


# --- checkpoints ---


def save(folder, epoch, tensors=None):
    header = {"config": {}, "data": "0" * 64, "epoch": epoch, "history": [{}] * epoch}
    tensors = tensors or {"weight": torch.full((2, 3), float(epoch))}
    return checkpoints.save(folder, tensors, header)


def test_a_checkpoint_comes_back_and_replaces_the_last(tmp_path):
    assert checkpoints.load(tmp_path) is None
    save(tmp_path, 1)
    sha256 = save(tmp_path, 2)
    tensors, header = checkpoints.load(tmp_path)
    assert torch.equal(tensors["weight"], torch.full((2, 3), 2.0))
    assert header["epoch"] == 2 and header["sha256"] == sha256
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "checkpoint.json",
        "epoch-0002.safetensors",
    ]


def test_memory_format_and_gradients_do_not_reach_the_file(tmp_path):
    weight = torch.rand(2, 3, 4, 4, generator=torch.Generator().manual_seed(0))
    plain = save(tmp_path / "a", 1, {"weight": weight})
    last = weight.contiguous(memory_format=torch.channels_last).requires_grad_()
    assert save(tmp_path / "b", 1, {"weight": last}) == plain


@pytest.mark.parametrize("when", ["tensors", "header"])
def test_full_disk_keeps_the_last_checkpoint(when, tmp_path, full_disk):
    sha256 = save(tmp_path, 1)
    large = {"weight": torch.zeros(10_000)}
    long = [{"loss": 0.5}] * 1000
    header = {"config": {}, "data": "", "epoch": 2, "history": long if when == "header" else []}
    with full_disk(5000), pytest.raises(OSError, match="could not write .*free some space"):
        checkpoints.save(tmp_path, large if when == "tensors" else {}, header)
    tensors, header = checkpoints.load(tmp_path)
    assert header["sha256"] == sha256 and tensors["weight"][0, 0] == 1.0


def drop(key):
    def change(folder):
        header = files.read_json(folder / "checkpoint.json")
        del header[key]
        files.write_json(folder / "checkpoint.json", header)

    return change


def flip_a_byte(folder):
    path = folder / "epoch-0001.safetensors"
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)


def rewrite(old, new):
    def change(folder):
        path = folder / "checkpoint.json"
        path.write_text(path.read_text().replace(old, new, 1))

    return change


@pytest.mark.parametrize(
    "change, message",
    [
        (flip_a_byte, "epoch-0001.safetensors is missing or not the file that"),
        (lambda folder: (folder / "epoch-0001.safetensors").unlink(), "is missing or not the file"),
        (rewrite("epoch-0001", "../elsewhere"), "elsewhere.safetensors is missing"),
        (rewrite('"epoch": 1', '"epoch": 2'), "checkpoint.json: history has 1 epochs, not 2"),
        (rewrite("{", "["), "checkpoint.json, line 2: not valid JSON"),
        (lambda folder: (folder / "checkpoint.json").write_text("[]"), "not the header"),
        (drop("sha256"), "checkpoint.json: not the header of a checkpoint, sha256"),
        (drop("file"), "checkpoint.json: not the header of a checkpoint, file"),
        (drop("history"), "checkpoint.json: not the header of a checkpoint, history"),
        (drop("config"), "checkpoint.json: not the header of a checkpoint, config"),
    ],
    ids=[
        "altered",
        "gone",
        "path",
        "epoch",
        "broken",
        "list",
        "sha256",
        "file",
        "history",
        "config",
    ],
)
def test_an_altered_checkpoint_is_refused(change, message, tmp_path):
    save(tmp_path, 1)
    change(tmp_path)
    with pytest.raises(ValueError, match=message):
        checkpoints.load(tmp_path)


def test_a_misspelt_store_is_no_empty_one(tmp_path):
    with pytest.raises(FileNotFoundError, match="nowhere is no store"):
        records.load(tmp_path / "nowhere")
