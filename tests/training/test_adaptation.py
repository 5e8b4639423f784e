"""Whole networks on two classes: they learn, are trained once, go on, and are forgotten."""

import numpy as np
import pytest
import torch

from aesthlib import study, training
from aesthlib.data.entries import Entries
from aesthlib.pretext.labels import Labels
from aesthlib.store import checkpoints, files
from aesthlib.training import PretrainConfig, adaptation
from aesthlib.training.adaptation import adapt, forget, margins

SIZE = 67
CONFIG = study.labels_config(
    PretrainConfig(size_px=SIZE, shorter_edge_px=70, precision="fp32"),
    epochs=4,
    batch_size=4,
    learning_rate=0.02,
)
BRIEF = study.labels_config(CONFIG, epochs=1, batch_size=8)
TRAIN, TEST = np.arange(16), np.arange(16, 24)


@pytest.fixture(scope="module")
def toy(smooth, packed):
    """Photographs that are reddish where positive is true and bluish where not."""
    images = smooth(24, 70, 72)
    positive = np.arange(24) % 2 == 0
    images[torch.from_numpy(positive), 2] //= 4
    images[torch.from_numpy(~positive), 0] //= 4
    pack = packed(images)
    return Entries(lambda index: pack.center_crops(index, SIZE), lambda: pack, positive)


@pytest.fixture(scope="module")
def adapted(toy, tmp_path_factory):
    """A finished training of one epoch with its checkpoint kept: folder and scores."""
    folder = tmp_path_factory.mktemp("adapted")
    return folder, adapt(BRIEF, toy, TRAIN, TEST, folder, "cpu", keep=True)


@pytest.fixture
def counted(monkeypatch):
    """Trainings that were started, by their folder."""
    started, original = [], training.pretrain

    def pretrain(config, photographs, folder, *rest):
        started.append(folder)
        return original(config, photographs, folder, *rest)

    monkeypatch.setattr(training, "pretrain", pretrain)
    return started


def test_learns_what_separates_the_photographs(toy, tmp_path):
    scores = adapt(CONFIG, toy, TRAIN, TEST, tmp_path, "cpu")
    assert scores.shape == (8,) and scores.dtype == np.float32
    assert ((scores > 0) == toy.positive[TEST]).all()  # positive is the logit's sign
    assert sorted(path.name for path in tmp_path.iterdir()) == ["scores.npy"]


def test_scores_are_in_the_order_of_the_test_rows(toy, adapted, tmp_path):
    folder, scores = adapted
    turned = adapt(BRIEF, toy, TRAIN, TEST[::-1].copy(), tmp_path, "cpu")
    np.testing.assert_allclose(turned, scores[::-1], atol=1e-5)


def test_a_finished_one_is_read(toy, adapted, counted):
    folder, scores = adapted
    for keep in (True, False):
        again = adapt(BRIEF, toy, TRAIN, TEST, folder, "cpu", keep=keep)
        np.testing.assert_array_equal(again, scores)
    assert not counted


def test_without_its_checkpoint_one_that_must_be_kept_is_trained_again(toy, tmp_path, counted):
    first = adapt(BRIEF, toy, TRAIN, TEST, tmp_path, "cpu")
    again = adapt(BRIEF, toy, TRAIN, TEST, tmp_path, "cpu", keep=True)
    assert len(counted) == 2
    np.testing.assert_array_equal(again, first)
    assert checkpoints.load(tmp_path) is not None


def test_goes_on_where_it_was_killed(toy, tmp_path, monkeypatch, counted):
    config = study.labels_config(BRIEF, epochs=2)
    whole = adapt(config, toy, TRAIN, TEST, tmp_path / "whole", "cpu")
    learn, epochs = Labels.learn, []

    def killed(self, backbone, batch, epoch):
        epochs.append(epoch)
        if epochs == [0, 0, 1]:
            raise KeyboardInterrupt
        return learn(self, backbone, batch, epoch)

    monkeypatch.setattr(Labels, "learn", killed)
    with pytest.raises(KeyboardInterrupt):
        adapt(config, toy, TRAIN, TEST, tmp_path / "again", "cpu")
    again = adapt(config, toy, TRAIN, TEST, tmp_path / "again", "cpu")
    # the first epoch is not trained twice; four batches more settle the statistics
    assert epochs == [0, 0, 1, 1, 1] + 4 * [1]
    np.testing.assert_array_equal(again, whole)


def test_starts_from_the_weights_it_is_given(toy, adapted, tmp_path):
    folder, scratch = adapted
    sha256 = files.read_json(folder / "checkpoint.json")["sha256"]
    initial = training.load_model(folder, sha256, "cpu").backbone
    still = study.labels_config(BRIEF, learning_rate=1e-12)
    tuned = adapt(still, toy, TRAIN, TEST, tmp_path, "cpu", initial, sha256, keep=True)
    assert not np.allclose(tuned, scratch)
    header = files.read_json(tmp_path / "checkpoint.json")
    assert header["initial"] == sha256
    model = training.load_model(tmp_path, header["sha256"], "cpu")
    weights = dict(model.backbone.named_parameters())
    for name, given in initial.named_parameters():
        torch.testing.assert_close(weights[name], given, atol=1e-6, rtol=0)
    # what was given is not trained itself
    assert not any(parameter.requires_grad for parameter in initial.parameters())


def test_margins_are_positive_minus_negative(toy, adapted):
    folder, scores = adapted
    sha256 = files.read_json(folder / "checkpoint.json")["sha256"]
    model = training.load_model(folder, sha256, "cpu")
    patches = toy.batch_of(torch.from_numpy(TEST))
    logits = model.task.logits(model.backbone(patches))
    expected = [float(row[1] - row[0]) for row in logits]  # classes in alphabetical order
    found = margins(model, patches, "cpu")
    assert found.dtype == torch.float32 and not found.requires_grad
    assert found.tolist() == pytest.approx(expected, abs=1e-6)
    np.testing.assert_allclose(found.numpy(), scores, atol=1e-6)


def test_a_missing_class_is_an_error(toy, tmp_path):
    with pytest.raises(ValueError, match="classes: labels is set to 2 classes.* have 1"):
        adapt(BRIEF, toy, np.arange(0, 16, 2), TEST, tmp_path, "cpu")


def test_what_was_left_is_forgotten(tmp_path):
    (tmp_path / "runs" / "0.1-0-0").mkdir(parents=True)
    (tmp_path / "runs" / "0.1-0-0" / "scores.npy").write_bytes(b"")
    (tmp_path / "other").mkdir()
    for _ in range(2):  # the second time there is nothing
        forget(tmp_path / "runs")
        assert [path.name for path in tmp_path.iterdir()] == ["other"]


def test_large_tests_are_scored_in_batches():
    rows = list(adaptation._batches(np.arange(300)))
    assert [len(part) for part in rows] == [128, 128, 44]
    assert np.concatenate(rows).tolist() == list(range(300))
