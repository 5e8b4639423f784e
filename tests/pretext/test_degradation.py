"""The paper's task: what enters its loss, and when."""

import math

import pytest
import torch
import torch.nn.functional as F

from aesthlib import models, ops, pretext
from aesthlib.pretext import losses
from aesthlib.pretext.degradation import Degradation, DegradationCropped

Options = Degradation.Options
PATCHES, SIZE = 3, 67


@pytest.fixture
def step(smooth):
    """Function of options and an epoch: loss and measures of one step, and the task."""
    photographs = smooth(PATCHES, SIZE, SIZE)
    backbone = models.build("alexnet", seed=0)

    def run(epoch=0, **options):
        task = Degradation(backbone, Options(**options), seed=0)
        loss, measures = task.step(backbone, photographs, torch.Generator().manual_seed(0), epoch)
        return loss, measures, task

    run.backbone, run.photographs = backbone, photographs
    return run


@pytest.fixture
def parts(step):
    """The losses of that step, each computed here from the taps."""
    _, _, task = step()
    generator = torch.Generator().manual_seed(0)
    plan = ops.draw(PATCHES, generator)
    versions = ops.degrade(step.photographs, plan, generator)
    pooled = step.backbone(versions.flatten(0, 1))["conv5"].mean((2, 3))
    logits = task.head(pooled).view(PATCHES, 7, 22)
    h = F.normalize(pooled, dim=1).view(PATCHES, 7, -1)
    return {
        "labels": plan.labels,
        "logits": logits,
        "degradation": losses.degradation_loss(logits, plan.labels),
        "triplet": losses.triplet_loss(h[:, :1], h[:, 1::2], h[:, 2::2]),
        "ordered": plan.ordered,
        "ones": torch.ones(PATCHES, 7),
    }


def total(parts, weight=None, lambda_triplet=0.0, use_degradation=True):
    return losses.total_loss(
        parts["degradation"] * use_degradation,
        parts["triplet"],
        parts["ordered"],
        parts["ones"] if weight is None else weight,
        lambda_triplet,
    )


def test_defaults_are_the_papers():
    options = Options()
    assert options.operations == ops.NAMES and options.operations_per_patch == 3
    assert options.lambda_triplet == 0.02 and options.triplet_from_epoch == 30
    assert options.entropy_alpha == 5 / 3 and options.entropy_from_epoch == 5
    assert options.preset == "paper" and options.use_degradation


def test_first_epochs_have_the_cross_entropy_alone(step, parts):
    for epoch in (0, 1):
        loss, _, _ = step(epoch, entropy_from_epoch=2, triplet_from_epoch=2)
        torch.testing.assert_close(loss, total(parts))


def test_triplet_enters_after_its_epochs(step, parts):
    options = dict(entropy_from_epoch=100, triplet_from_epoch=2, lambda_triplet=0.5)
    torch.testing.assert_close(step(1, **options)[0], total(parts))
    torch.testing.assert_close(step(2, **options)[0], total(parts, lambda_triplet=0.5))
    assert parts["ordered"].any() and parts["triplet"].min() > 0


def test_entropy_weight_enters_after_its_warm_up(step, parts):
    options = dict(entropy_from_epoch=2, entropy_alpha=0.2, triplet_from_epoch=0)
    weight = losses.entropy_weight(parts["logits"], 0.2)
    assert 0 < weight.mean() < 1
    torch.testing.assert_close(step(1, **options)[0], total(parts, lambda_triplet=0.02))
    torch.testing.assert_close(step(2, **options)[0], total(parts, weight, lambda_triplet=0.02))


def test_no_entropy_weight_with_alpha_zero(step, parts):
    torch.testing.assert_close(step(9, entropy_alpha=0.0)[0], total(parts))


def test_triplet_alone_without_the_degradation_loss(step, parts):
    options = dict(use_degradation=False, triplet_from_epoch=0, entropy_alpha=0.0)
    loss, measures, _ = step(0, **options)
    expected = total(parts, lambda_triplet=0.02, use_degradation=False)
    torch.testing.assert_close(loss, expected)
    assert measures.sums["cross_entropy"][0] > 0  # still reported


def test_measures_are_sums_with_their_counts(step, parts):
    _, measures, _ = step(0, entropy_alpha=0.2)
    assert measures.images == 7 * PATCHES
    correct = parts["logits"].argmax(-1) == parts["labels"]
    expected = {
        "cross_entropy": (parts["degradation"].sum(), 7 * PATCHES),
        "accuracy": (correct.sum(), 7 * PATCHES),
        "triplet": (parts["triplet"][parts["ordered"]].sum(), parts["ordered"].sum()),
        "entropy": (losses.entropy(parts["logits"]).sum(), 7 * PATCHES),
        "entropy_weight": (losses.entropy_weight(parts["logits"], 0.2).sum(), 7 * PATCHES),
    }
    assert set(measures.sums) == set(expected)
    for name, (value, count) in expected.items():
        assert measures.sums[name][0].item() == pytest.approx(value.item(), rel=1e-5), name
        assert measures.sums[name][1] == count, name
        assert not measures.sums[name][0].requires_grad


def test_subset_of_operations(step, monkeypatch):
    drawn = []
    degrade = ops.degrade
    monkeypatch.setattr(
        ops, "degrade", lambda x, plan, *rest: drawn.append(plan) or degrade(x, plan, *rest)
    )
    step(operations=("jpeg", "mixup"), operations_per_patch=2)
    labels = drawn[0].labels
    names = {ops.CLASSES[c].operation.name for c in labels[:, 1:].flatten().tolist()}
    assert labels.shape == (PATCHES, 5) and names == {"jpeg", "mixup"}


def test_head_follows_its_seed_and_leaves_the_global_generator():
    backbone = models.build("alexnet", 0)
    before = torch.get_rng_state()
    first, again, other = (Degradation(backbone, Options(), seed).head.weight for seed in (0, 0, 1))
    assert torch.equal(torch.get_rng_state(), before)
    assert torch.equal(first, again) and not torch.equal(first, other)
    assert first.shape == (22, 256)


@pytest.mark.parametrize(
    "options, message",
    [
        ({"preset": "strong"}, "preset must be one of paper, calibrated"),
        ({"operations": ("jpeg", "sharpen")}, "unknown operation 'sharpen'"),
        ({"operations": ("jpeg", "jpeg")}, "operations must be named once"),
        ({"operations": ("jpeg",)}, "operations_per_patch"),
        ({"operations_per_patch": 0}, "operations_per_patch"),
        ({"operations_per_patch": 11}, "operations_per_patch"),
        ({"noise_units": "dB"}, "noise_units"),
        ({"shuffle": "all"}, "shuffle"),
        ({"shuffle_block_px": 0}, "shuffle_block_px"),
        ({"lambda_triplet": -0.1}, "lambda_triplet must be at least 0"),
        ({"lambda_triplet": math.nan}, "lambda_triplet must be finite"),
        ({"triplet_from_epoch": -1}, "triplet_from_epoch must be at least 0"),
        ({"entropy_alpha": -1.0}, "entropy_alpha must be at least 0"),
        ({"entropy_from_epoch": -1}, "entropy_from_epoch must be at least 0"),
    ],
)
def test_bad_options_are_named(options, message):
    with pytest.raises(ValueError, match=message):
        Options(**options)


def test_tasks_are_known_by_name():
    assert pretext.task("degradation") is Degradation
    with pytest.raises(ValueError, match="method must be one of degradation, .*, got 'magic'"):
        pretext.task("magic")


# --- cut out after the operation ---

MARGIN = DegradationCropped.margin_px


def test_each_version_is_a_cut_of_the_degraded_whole(speckled):
    """Noise, so that a cut fits at one place alone."""
    photographs = speckled(PATCHES, SIZE + MARGIN, SIZE + MARGIN)
    backbone = models.build("alexnet", 0)
    plan = ops.draw(PATCHES, torch.Generator().manual_seed(0))

    def seen(kind):
        generator = torch.Generator().manual_seed(1)
        return kind(backbone, Options(), 0).versions(photographs, plan, generator)

    whole, cut = seen(Degradation), seen(DegradationCropped)
    assert whole.shape == (PATCHES, 7, 3, SIZE + MARGIN, SIZE + MARGIN)
    assert cut.shape == (PATCHES, 7, 3, SIZE, SIZE) and cut.dtype == torch.uint8
    assert torch.equal(whole[:, 0], photographs)
    places = []
    for image, part in zip(whole.flatten(0, 1), cut.flatten(0, 1), strict=True):
        windows = image.unfold(1, SIZE, 1).unfold(2, SIZE, 1)  # (3, 13, 13, S, S)
        same = (windows == part[:, None, None]).flatten(3).all(-1).all(0)
        assert same.any()
        places.append(tuple(same.nonzero()[0].tolist()))
    assert len(set(places)) > PATCHES  # each version at a place of its own


def test_every_place_occurs_as_often_as_another(monkeypatch):
    """Of photographs whose levels are their columns, or rows."""
    side = SIZE + MARGIN
    columns = torch.arange(side, dtype=torch.uint8).expand(3, side, side)
    versions = torch.stack([columns, columns.mT]).expand(400, 2, 3, side, side)
    monkeypatch.setattr(Degradation, "versions", lambda self, *drawn: versions)
    task = DegradationCropped(models.build("alexnet", 0), Options(), 0)
    cut = task.versions(None, None, torch.Generator().manual_seed(0))
    for places in (cut[:, 0, 0, 0, 0], cut[:, 1, 0, 0, 0]):
        counts = torch.bincount(places.int())
        assert len(counts) == MARGIN + 1 and 10 < counts.min() and counts.max() < 60
    blocks = ops.operation("pixelation")
    assert MARGIN > max(value for preset in ops.PRESETS for value in blocks.values(preset))


def test_the_rest_is_the_papers_task(speckled):
    backbone, options = models.build("alexnet", 0), Options(operations_per_patch=2)
    photographs = speckled(PATCHES, SIZE + MARGIN, SIZE + MARGIN)
    cropped, plain = (kind(backbone, options, 3) for kind in (DegradationCropped, Degradation))
    assert torch.equal(cropped.head.weight, plain.head.weight)
    assert cropped.chance == plain.chance == 1 / 5 and plain.margin_px == 0
    loss, measures = cropped.step(backbone, photographs, torch.Generator().manual_seed(0), 99)
    assert loss.isfinite() and loss.requires_grad and measures.images == 5 * PATCHES
    assert DegradationCropped.Options is Options
    assert pretext.task("degradation_cropped") is DegradationCropped
