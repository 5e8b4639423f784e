"""Rotation: four exact turns of each patch, and what was turned is learned."""

import pytest
import torch

from aesthlib import models, pretext
from aesthlib.pretext.rotation import Rotation
from aesthlib.training import evaluate

Options = Rotation.Options


@pytest.fixture(scope="module")
def backbone():
    return models.build("alexnet", seed=0)


@pytest.fixture(scope="module")
def task(backbone):
    return Rotation(backbone, Options(), seed=0)


def turned(image, quarters):
    """One channel, counter-clockwise, pixel by pixel."""
    rows = image.tolist()
    for _ in range(quarters):
        rows = [[row[column] for row in rows] for column in reversed(range(len(rows[0])))]
    return torch.tensor(rows, dtype=image.dtype)


def test_views_are_the_four_turns_in_one_batch(task, speckled):
    photographs = speckled(2, 7, 7)
    views, labels = task.views(photographs)
    assert views.shape == (8, 3, 7, 7) and views.dtype == torch.uint8
    assert labels.tolist() == [0, 0, 1, 1, 2, 2, 3, 3]
    for row, label in enumerate(labels.tolist()):
        for channel in range(3):
            expected = turned(photographs[row % 2, channel], label)
            assert torch.equal(views[row, channel], expected)


def test_no_angle_leaves_a_trace_of_resampling(task, speckled):
    """All views of a patch hold the same pixels, and turning back gives the patch."""
    photographs = speckled(3, 68, 68)
    views, labels = task.views(photographs)
    pixels = photographs.flatten(2).sort(dim=2).values
    for view, label, n in zip(views, labels.tolist(), [0, 1, 2] * 4, strict=True):
        assert torch.equal(view.flatten(1).sort(dim=1).values, pixels[n])
        assert torch.equal(view.rot90(-label, dims=(1, 2)), photographs[n])


def test_step(backbone, task, smooth):
    photographs = smooth(3, 67, 67)
    loss, measures = task.step(backbone, photographs, torch.Generator(), epoch=0)
    views, labels = task.views(photographs)
    logits = task.head(backbone(views)["conv5"].mean((2, 3))).detach()
    each = torch.tensor([-logits[i].log_softmax(0)[labels[i]] for i in range(12)])
    assert loss.requires_grad and measures.images == 12 and task.chance == 0.25
    assert loss.item() == pytest.approx(each.mean().item(), rel=1e-5)
    total, count = measures.sums["cross_entropy"]
    assert count == 12 and total.item() == pytest.approx(each.sum().item(), rel=1e-5)
    total, count = measures.sums["accuracy"]
    assert count == 12 and total.item() == (logits.argmax(1) == labels).sum().item()


def test_two_angles(backbone, smooth):
    task = Rotation(backbone, Options(degrees=(90, 270)), seed=0)
    photographs = smooth(2, 67, 67)
    views, labels = task.views(photographs)
    assert torch.equal(views[:2].rot90(-1, dims=(2, 3)), photographs)
    assert torch.equal(views[2:].rot90(1, dims=(2, 3)), photographs)
    assert labels.tolist() == [0, 0, 1, 1] and task.chance == 0.5
    assert task.step(backbone, photographs, torch.Generator(), 0)[1].images == 4


def test_head_follows_its_seed(backbone, task):
    first, again, other = (Rotation(backbone, Options(), seed).head.weight for seed in (0, 0, 1))
    assert torch.equal(first, again) and not torch.equal(first, other)
    assert first.shape == (4, 256) and pretext.task("rotation") is Rotation


@pytest.mark.parametrize("degrees", [(0,), (0, 45), (90, 90), ()])
def test_bad_options_are_named(degrees):
    with pytest.raises(ValueError, match="degrees must be two or more of 0, 90, 180 and 270"):
        Options(degrees=degrees)


def test_learns_the_upright_of_its_photographs(upright, learned):
    """Fresh crops of those it trained on: four photographs tell little of another one's upright."""
    model = learned(
        upright,
        method="rotation",
        size_px=80,
        learning_rate=0.02,
        epochs=3,
        crops_per_photograph=16,
    )
    assert evaluate(model, upright, 80, "cpu", crops=24)["accuracy"] > 0.5  # chance 0.25


def test_learns_the_upright_of_other_photographs(scenes, learned):
    train, others = scenes
    model = learned(train, method="rotation", size_px=80, learning_rate=0.02, epochs=1)
    assert evaluate(model, others, 80, "cpu", crops=2)["accuracy"] > 0.4  # chance 0.25
