"""Labels: the class of a photograph, trained as every other task."""

import pytest
import torch

from aesthlib import models, pretext
from aesthlib.data import photographs
from aesthlib.pretext.labels import Labels
from aesthlib.training import PretrainConfig, evaluate, load_model, pretrain

SIZE = 80


def config(classes, **changes):
    return PretrainConfig(
        method="labels",
        size_px=SIZE,
        shorter_edge_px=96,
        batch_size=12,
        learning_rate=0.05,
        precision="fp32",
        options=Labels.Options(classes),
        **changes,
    )


def test_step_the_slow_way(smooth):
    backbone, images = models.build("alexnet", 0), smooth(4, SIZE, SIZE)
    task = Labels(backbone, Labels.Options(3), 0)
    labels = torch.tensor([0, 2, 2, 1])
    loss, measures = task.step(backbone, images, torch.Generator(), 0, labels)
    logits = task.head(backbone(images)["conv5"].mean((2, 3)))
    assert logits.shape == (4, 3)
    expected = [
        -(row[label] - row.exp().sum().log()) for row, label in zip(logits, labels, strict=True)
    ]
    torch.testing.assert_close(loss, torch.stack(expected).mean())
    assert measures.images == 4 and measures.sums["accuracy"][1] == 4
    assert measures.sums["accuracy"][0] == (logits.argmax(1) == labels).sum()
    assert task.supervised and task.chance == pytest.approx(1 / 3)


def test_bad_options_are_named():
    assert pretext.task("labels") is Labels and Labels.Options().classes == 1000
    with pytest.raises(ValueError, match="classes must be at least 2"):
        Labels.Options(1)


def test_number_of_classes_is_held_to_the_folders(smooth, packed, tmp_path):
    pack = packed(smooth(3, 96, 96))
    for labels in (("a", "b", "a"), ("", "", "")):
        labelled = pack.take(torch.arange(3), labels)
        with pytest.raises(ValueError, match="classes: labels is set to 3 classes"):
            pretrain(config(3), labelled, tmp_path, "cpu")


def test_learns_classes_of_held_out_photographs(embedded_pack, tmp_path):
    """Surfaces against what has a subject: a few photographs of each stand for others."""
    kinds = {"living": "subject", "made": "subject", "surface": "surface"}

    def kind(split):
        pack = photographs.load(embedded_pack, split)
        return pack.take(torch.arange(len(pack)), tuple(kinds[label] for label in pack.labels))

    train, held_out = kind("train"), kind("probe")
    settings = config(2, epochs=6, crops_per_photograph=8, drop_every_epochs=4)
    outcome = pretrain(settings, train, tmp_path, "cpu")
    model = load_model(tmp_path, outcome.checkpoint_sha256, "cpu")
    assert sorted(held_out.labels) == 3 * ["subject"] + 3 * ["surface"]  # so chance is 0.5
    assert evaluate(model, train, SIZE, "cpu", crops=8)["accuracy"] > 0.95
    assert evaluate(model, held_out, SIZE, "cpu", crops=20)["accuracy"] > 0.7
