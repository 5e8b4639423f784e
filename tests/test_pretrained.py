"""The released network: from a run to files in the package, and what they say of a photograph."""

import csv
import json
import socket
import subprocess
import sys

import numpy as np
import pytest
import torch
from PIL import Image

import aesthlib
from aesthlib import ops, pretrained, runs
from aesthlib.data import embedded, photographs
from aesthlib.pretext.degradation import Degradation
from aesthlib.probing import ProbeConfig, features, metrics
from aesthlib.runs import Runs
from aesthlib.store import files, records
from aesthlib.training import PretrainConfig

TINY = PretrainConfig(
    size_px=67,
    shorter_edge_px=72,
    epochs=1,
    batch_size=4,
    learning_rate=0.01,
    precision="fp32",
    options=Degradation.Options(operations_per_patch=1),
)
PROBE = ProbeConfig(folds=2, repeats=2, inner_folds=2, penalties=(1e-2, 1.0))
RATED = 20


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """Photographs, and a benchmark in OASIS's format: brightness is beauty."""
    root, generator = tmp_path_factory.mktemp("data"), np.random.default_rng(0)
    (root / "oasis" / "images").mkdir(parents=True)
    with open(root / "oasis" / "ratings.csv", "w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["file", "category", "beauty_mean"])
        for number in range(RATED):
            pixels = generator.integers(0, 30, (80, 90, 3)) + 10 * number
            path = root / "oasis" / "images" / f"{number:02}.png"
            Image.fromarray(pixels.astype(np.uint8)).save(path)
            writer.writerow([f"{number:02}.png", "Scene", 1 + number / 5])
    return root


@pytest.fixture(scope="module")
def made(data, tmp_path_factory):
    """A store, a run in it, its record of a release, and the benchmark."""
    asked = Runs(records.Store(tmp_path_factory.mktemp("store")), "smoke", "cpu")
    oasis = runs.rated("oasis", data / "oasis")
    run = asked.pretrain(TINY, runs.folder_photographs(data / "oasis" / "images", "holiday"))
    return asked, run, pretrained.release(asked, run, oasis, PROBE), oasis


@pytest.fixture(scope="module")
def elsewhere(made, tmp_path_factory):
    """A folder of weights that holds the made release alone."""
    asked, run, released, _ = made
    folder = tmp_path_factory.mktemp("weights")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pretrained, "FOLDER", folder)
        pretrained.write(asked, run, released, "tiny")
    return folder


@pytest.fixture
def folder(elsewhere, monkeypatch):
    """The same for one test: what it remembers is forgotten before and after."""
    monkeypatch.setattr(pretrained, "FOLDER", elsewhere)
    pretrained._header.cache_clear()
    yield elsewhere
    pretrained._header.cache_clear()


# --- making a release ---


def test_matrices_are_rounded_and_nothing_else(made):
    asked, run, _, _ = made
    model = asked.model_of(run)
    state, found = model.state_dict(), pretrained.rounded(model)
    assert list(found) == list(state)
    for name, tensor in state.items():
        assert found[name].dtype == (torch.float16 if tensor.ndim > 1 else tensor.dtype), name
        torch.testing.assert_close(found[name].float(), tensor.float(), rtol=1e-3, atol=1e-6)
    kinds = {name.split(".")[-1] for name, tensor in found.items() if tensor.dtype != torch.float16}
    assert {"running_mean", "running_var", "bias"} <= kinds


def test_the_record_tells_how_well_the_rounded_weights_predict(made):
    _, run, record, _ = made
    assert record["experiment"] == "release" and record["method"] == run["method"]
    assert record["checkpoint_sha256"] == run["checkpoint_sha256"]
    assert record["config"]["pretrain"] == run["run_id"] and record["config"]["rounded"]
    assert {row["layer"] for row in record["metrics"]} == {features.ALL}
    values = {row["metric"]: row["value"] for row in record["metrics"]}
    scorer = record["tables"]["scorer"]
    assert len(scorer["weights"]) == sum((96, 256, 384, 384, 256)) and scorer["n"] == RATED
    assert scorer["srcc"] == pytest.approx(values["srcc"], abs=1e-6)
    assert scorer["plcc"] == pytest.approx(values["plcc"], abs=1e-6)
    assert scorer["srcc"] > 0.8  # brightness is easy to read
    assert 0 < scorer["rmse"] < np.std(1 + np.arange(RATED) / 5)
    assert scorer["benchmark"] == "oasis"


def test_a_release_is_made_once(made, monkeypatch):
    asked, run, record, oasis = made
    monkeypatch.setattr(pretrained, "_built", None)
    again = Runs(records.Store(asked.store.root, compute=False), "smoke", "cpu")
    assert pretrained.release(again, run, oasis, PROBE) == record


def test_the_scorer_is_a_linear_fit_of_the_ratings(made, folder):
    """On the pooled values as they are: standardizing is folded into the weights."""
    asked, _, record, oasis = made
    model, scorer = pretrained.load_pretrained("tiny"), pretrained.scorer("tiny")
    entries = asked.entries_of(oasis, 72, 67)
    images = entries.batch_of(torch.arange(RATED))
    with torch.inference_mode():
        taps = model.backbone(images)
    values = np.hstack([tap.numpy().mean((2, 3)) for tap in taps.values()]).astype(float)
    stored = record["tables"]["scorer"]
    expected = values @ np.array(stored["weights"]) + stored["intercept"]
    plain = scorer.plain()
    assert plain["benchmark"] == "OASIS, beauty" and (plain["low"], plain["high"]) == (1, 7)
    found = scorer(pretrained.pooled(taps))
    assert found.dtype == torch.float64
    assert found.numpy() == pytest.approx(expected, abs=1e-3)
    assert pretrained.score(model, images, "tiny").numpy() == pytest.approx(expected, abs=1e-3)
    # on the entries that it was fitted on it does better than on others
    assert metrics.srcc(entries.mos, expected) > 0.9
    assert np.sqrt(((expected - entries.mos) ** 2).mean()) <= scorer.rmse
    assert expected.mean() == pytest.approx(entries.mos.mean(), abs=0.01)


# --- loading ---


def test_what_is_written_is_loaded_again(made, folder, speckled):
    asked, run, record, _ = made
    assert pretrained.names() == ("tiny",)
    assert sorted(path.name for path in folder.iterdir()) == ["tiny.json", "tiny.safetensors"]
    header = files.read_json(folder / "tiny.json")
    assert (header["run"], header["record"]) == (run["run_id"], record["run_id"])
    model = pretrained.load_pretrained("tiny")
    assert not model.training and not any(p.requires_grad for p in model.parameters())
    expected = pretrained.rounded(asked.model_of(run))
    for name, tensor in model.state_dict().items():
        assert torch.equal(tensor, expected[name].to(tensor.dtype)), name
        assert not tensor.is_floating_point() or tensor.dtype == torch.float32
    assert pretrained.config("tiny") == TINY
    taps = model.backbone(speckled(2, 67, 67))
    assert model.task.logits(taps).shape == (2, 22)
    torch.testing.assert_close(model.task.embedding(taps).norm(dim=1), torch.ones(2))
    scorer = pretrained.scorer("tiny")
    assert scorer.n == RATED and scorer.weights.dtype == np.float64


def test_a_file_that_was_altered_is_refused(folder, tmp_path, monkeypatch):
    for path in folder.iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    monkeypatch.setattr(pretrained, "FOLDER", tmp_path)
    weights = tmp_path / "tiny.safetensors"
    content = weights.read_bytes()
    weights.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    message = f"{weights} is missing or not the released file: install the package again"
    with pytest.raises(ValueError, match=message):
        pretrained.load_pretrained("tiny")
    weights.unlink()
    with pytest.raises(ValueError, match=message):
        pretrained.load_pretrained("tiny")


def test_an_unknown_name_is_named(folder, tmp_path, monkeypatch):
    for use in (pretrained.load_pretrained, pretrained.config, pretrained.scorer):
        with pytest.raises(ValueError, match="name must be one of tiny, got 'other'"):
            use("other")
    monkeypatch.setattr(pretrained, "FOLDER", tmp_path / "none")
    with pytest.raises(ValueError, match="name must be one of none, got 'other'"):
        pretrained.load_pretrained("other")


def test_a_new_release_is_loaded_in_the_same_process(made, tmp_path, monkeypatch):
    asked, run, released, _ = made
    monkeypatch.setattr(pretrained, "FOLDER", tmp_path)
    pretrained._header.cache_clear()
    pretrained.write(asked, run, released, "again")
    pretrained.load_pretrained("again")
    original = pretrained.rounded
    monkeypatch.setattr(
        pretrained, "rounded", lambda model: {k: 2 * v for k, v in original(model).items()}
    )
    pretrained.write(asked, run, released, "again")
    try:
        pretrained.load_pretrained("again")
    finally:
        pretrained._header.cache_clear()


# --- scoring ---


def test_scoring_files_is_scoring_their_patches(made, folder, data, monkeypatch):
    asked, _, _, oasis = made
    monkeypatch.setattr(pretrained, "BATCH", 8)
    rows, problems = pretrained.score_folder(data / "oasis" / "images", "tiny")
    assert problems == [] and len(rows) == RATED
    assert [row["score"] for row in rows] == sorted((r["score"] for r in rows), reverse=True)
    model = pretrained.load_pretrained("tiny")
    images = asked.entries_of(oasis, 72, 67).batch_of(torch.arange(RATED))
    scores = pretrained.score(model, images, "tiny")
    logits = torch.cat([model.task.logits(model.backbone(batch)) for batch in images.split(8)])
    intact = [item.index for item in ops.CLASSES if item.name in ("none", "gaussian_blur/1")]
    degraded = 1 - logits.softmax(1)[:, intact].sum(1)  # that blur is the identity
    by_file = {row["file"].split("/")[-1]: row for row in rows}
    for number in range(RATED):
        row = by_file[f"{number:02}.png"]
        assert row["score"] == pytest.approx(scores[number].item(), abs=1e-3)
        assert row["degraded"] == pytest.approx(degraded[number].item(), abs=1e-3)
        assert 0 <= row["degraded"] <= 1
    assert rows[0]["file"].endswith(("19.png", "18.png", "17.png", "16.png"))  # the brightest
    sources = photographs.find(data / "oasis" / "images")
    assert pretrained.score_sources(sources, "tiny") == (rows, [])


def test_files_that_cannot_be_read_are_listed(folder, data, tmp_path, monkeypatch):
    for number in (0, 5):
        name = f"{number:02}.png"
        (tmp_path / name).write_bytes((data / "oasis" / "images" / name).read_bytes())
    (tmp_path / "03.png").write_bytes(b"no image")
    monkeypatch.setattr(pretrained, "BATCH", 1)  # one batch holds nothing
    rows, problems = pretrained.score_folder(tmp_path, "tiny")
    assert {row["file"] for row in rows} == {"00.png", "05.png"}
    ((file, problem),) = problems
    assert file == "03.png" and problem
    (tmp_path / "00.png").unlink()
    (tmp_path / "05.png").unlink()
    assert pretrained.score_folder(tmp_path, "tiny") == ([], problems)


def test_the_central_square_is_that_of_a_pack(data, tmp_path):
    """As the network saw photographs when it was judged."""
    sources = photographs.find(data / "oasis" / "images")[:3]
    pack = photographs.load(photographs.pack(sources, tmp_path / "p", 72, "p"))
    expected = pack.center_crops(torch.arange(3), 67)
    for source, square in zip(sources, expected, strict=True):
        assert torch.equal(pretrained.central_square(source.path, TINY), square)


# --- the package ---


def test_the_package_offers_it_and_stays_cheap():
    assert aesthlib.load_pretrained is pretrained.load_pretrained
    with pytest.raises(AttributeError, match="module 'aesthlib' has no attribute 'load_anything'"):
        aesthlib.load_anything  # noqa: B018
    code = (
        "import sys, aesthlib; "
        "print([name for name in ('torch', 'numpy', 'pandas', 'sklearn') if name in sys.modules]); "
        "print(aesthlib.load_pretrained.__module__, 'torch' in sys.modules)"
    )
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert shown.stdout.splitlines() == ["[]", "aesthlib.pretrained True"]


released = pytest.mark.skipif(
    not pretrained.names(), reason=f"no released weights in {pretrained.FOLDER}"
)


@pytest.fixture
def offline(monkeypatch):
    """No connection can be made."""

    def refuse(*arguments, **named):
        raise AssertionError("a network connection was asked for")

    pretrained._header.cache_clear()
    for name in ("socket", "create_connection", "getaddrinfo"):
        monkeypatch.setattr(socket, name, refuse)


@released
def test_released_weights_are_small_and_whole():
    assert pretrained.DEFAULT in pretrained.names()
    for name in pretrained.names():
        path = pretrained.FOLDER / f"{name}.safetensors"
        assert path.stat().st_size <= 16_000_000
        header = json.loads(path.with_suffix(".json").read_text())
        assert header["sha256"] == files.sha256(path)
        scorer = pretrained.scorer(name)
        assert scorer.n > 100 and 0 < scorer.rmse < 3 and 0 < scorer.srcc < 1
        assert np.isfinite(scorer.weights).all()


@released
def test_released_weights_tell_degradations_apart_offline(offline):
    """On photographs that no task was trained on: better than chance, which is 1 in 22."""
    config, model = pretrained.config(), aesthlib.load_pretrained()
    patches = embedded.central_patches(config.shorter_edge_px, config.size_px)
    right, plain = [], None
    for item in ops.CLASSES:
        generator = torch.Generator().manual_seed(item.index)
        versions = ops.apply(
            patches, item.index, patches.roll(1, 0), generator, config.options.preset
        )
        with torch.inference_mode():
            guess = model.task.logits(model.backbone(versions)).argmax(1)
        right.append((guess == item.index).float().mean().item())
        plain = guess if item.index == 0 else plain
    assert np.mean(right) > 3 / 22
    # a class that changes little or nothing may be taken for the unedited photograph, or it for one
    assert (plain == 0).any() or len({ops.CLASSES[i].name for i in plain.tolist()}) < 8
    scores = pretrained.score(model, patches)
    assert scores.shape == (15,) and scores.isfinite().all()
    assert ((scores > 0) & (scores < 8)).all() and scores.std() > 0.05


@released
def test_released_weights_score_files(offline):
    rows, problems = pretrained.score_sources(embedded.sources())
    assert len(rows) == 15 and not problems
    model, config = pretrained.load_pretrained(), pretrained.config()
    expected = {
        source.name: pretrained.score(
            model, pretrained.central_square(source.path, config)[None]
        ).item()
        for source in embedded.sources()[:3]
    }
    found = {row["file"]: row["score"] for row in rows}
    for name, value in expected.items():
        assert found[name] == pytest.approx(value, abs=1e-3)
