"""What the task has learned: every measure against a slow second one, on stub models."""

import math

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn

from aesthlib import ops
from aesthlib.experiments import analysis
from aesthlib.models import LAYERS
from aesthlib.ops.table import STANDARD, Reading
from aesthlib.pretext.degradation import Degradation


class Pixels(nn.Module):
    """A backbone whose last tap is the photograph at so many pixels a side, in [−1, 1]."""

    def __init__(self, side):
        super().__init__()
        self.side = side

    def forward(self, photographs):
        small = F.adaptive_avg_pool2d(photographs.float() / 127.5 - 1, self.side)
        return {LAYERS[-1]: small}


class Fixed(nn.Module):
    """A task whose h is the pixels and whose logits are a fixed linear function of them."""

    def __init__(self, values, reading=STANDARD, **options):
        super().__init__()
        self.options, self.reading = Degradation.Options(**options), reading
        generator = torch.Generator().manual_seed(1)
        self.weight = torch.randn(values, len(ops.CLASSES), generator=generator)

    def logits(self, taps):
        return taps[LAYERS[-1]].flatten(1) @ self.weight

    def embedding(self, taps):
        return F.normalize(taps[LAYERS[-1]].flatten(1), dim=1)


def model(side=4, **options):
    return nn.ModuleDict({"backbone": Pixels(side), "task": Fixed(3 * side**2, **options)}).eval()


@pytest.fixture(scope="module")
def photographs(smooth):
    return smooth(6, 32, 32)


def taps(stub, photograph):
    return stub.backbone(photograph[None])


# --- identification ---


@pytest.fixture(scope="module")
def slow(photographs):
    """Function of a stub and a seed to the guess, entropy and h of each class and photograph."""

    def make(stub, seed=0):
        options, task = stub.task.options, stub.task
        guesses, entropies, described = [], [], []
        for item in ops.CLASSES:
            edited = ops.apply(
                photographs,
                item.index,
                photographs.roll(1, 0),
                torch.Generator().manual_seed(seed + item.index),
                options.preset,
                task.reading,
            )
            for photograph in edited:
                logits = task.logits(taps(stub, photograph))[0]
                share = logits.softmax(0).tolist()
                guesses.append(share.index(max(share)))
                entropies.append(-sum(p * math.log(p) for p in share if p))
                described.append(task.embedding(taps(stub, photograph))[0])
        shape = len(ops.CLASSES), len(photographs)
        return np.reshape(guesses, shape), np.reshape(entropies, shape), torch.stack(described)

    return make


@pytest.mark.parametrize(
    "settings", [{}, {"preset": "calibrated", "entropy_alpha": 0.3}], ids=["paper", "calibrated"]
)
def test_identification_the_slow_way(settings, photographs, slow):
    stub = model(**settings)
    found = analysis.identification(stub, photographs, "cpu", seed=3)
    guesses, entropies, described = slow(stub, 3)

    confusion = [[0] * 22 for _ in range(22)]
    for truth in range(22):
        for guess in guesses[truth]:
            confusion[truth][guess] += 1
    assert found["confusion"] == confusion
    assert found["photographs"] == 6 and np.sum(confusion) == 22 * 6

    alpha = stub.task.options.entropy_alpha
    for item, row in zip(ops.CLASSES, found["weights"], strict=True):
        weights = [max(1 - alpha * entropy, 0) for entropy in entropies[item.index]]
        right = [w for w, g in zip(weights, guesses[item.index], strict=True) if g == item.index]
        wrong = [w for w, g in zip(weights, guesses[item.index], strict=True) if g != item.index]
        assert row["class"] == item.name
        assert row["mean"] == pytest.approx(np.mean(weights), abs=1e-5)
        assert row["kept"] == pytest.approx(np.mean([w > 0 for w in weights]))
        for key, part in (("mean_right", right), ("mean_wrong", wrong)):
            assert row[key] == (pytest.approx(np.mean(part), abs=1e-5) if part else None)

    same_class = same_photograph = 0
    for one in range(len(described)):
        likeness = [
            float(described[one] @ other) if row != one else -2.0
            for row, other in enumerate(described)
        ]
        best = int(np.argmax(likeness))
        same_class += best // 6 == one // 6
        same_photograph += best % 6 == one % 6
    nearest, versions = found["nearest"], 22 * 6
    assert nearest["versions"] == versions
    assert nearest["same_class"] == pytest.approx(same_class / versions, abs=1.5 / versions)
    assert nearest["same_photograph"] == pytest.approx(
        same_photograph / versions, abs=1.5 / versions
    )
    assert nearest["same_class_by_chance"] == pytest.approx(5 / (versions - 1))
    assert nearest["same_photograph_by_chance"] == pytest.approx(21 / (versions - 1))


def test_versions_follow_the_task_and_the_seed(photographs):
    def edited(*rest):
        return dict(analysis.versions(photographs, *rest))

    paper = edited(0, "paper")
    assert list(paper) == list(range(22)) and torch.equal(paper[0], photographs)
    index = {item.name: item.index for item in ops.CLASSES}
    noise, blur = index["gaussian_noise/1"], index["gaussian_blur/1"]
    assert torch.equal(edited(0, "paper")[noise], paper[noise])
    assert not torch.equal(edited(1, "paper")[noise], paper[noise])
    assert not torch.equal(edited(0, "calibrated")[blur], paper[blur])
    assert not torch.equal(edited(0, "paper", Reading(noise_units="pixel"))[noise], paper[noise])


# --- distances ---


def test_distance_of_the_pixels_themselves_grows_with_the_level(smooth):
    """At full resolution, every ordered operation takes a photograph the further the stronger."""
    rows = analysis.distances(model(32), smooth(8, 32, 32, seed=5), "cpu")
    of = {name: [row for row in rows if row["operation"] == name] for name in analysis.GRID}
    assert set(of) == {row.name for row in ops.OPERATIONS if row.in_triplet}
    assert sum(map(len, of.values())) == len(rows)
    for name, part in of.items():
        operation = ops.operation(name)
        values, median = ([row[key] for row in part] for key in ("value", "median"))
        assert [row["value"] for row in part if row["trained"]] == list(operation.levels)
        assert {*analysis.GRID[name], *operation.levels} == set(values)
        assert all(row["low"] <= row["median"] <= row["high"] for row in part)
        assert all(row["parameter"] == operation.parameter for row in part)
        # mild to strong, also where a smaller number is stronger
        assert values == sorted(values, reverse=name in ("jpeg", "quantization"))
        assert median[-1] > median[0], name
        assert len({row["ordered_share"] for row in part}) == 1
    for name in ("gaussian_noise", "mixup", "patch_shuffle", "quantization", "downsampling"):
        assert of[name][0]["ordered_share"] == 1, name
        assert of[name][0]["rank_correlation"] > 0.8, name
    assert of["mixup"][0]["rank_correlation"] == pytest.approx(1)


def test_distance_the_slow_way(photographs):
    stub = model(8, preset="calibrated")
    rows = [
        row
        for row in analysis.distances(stub, photographs, "cpu", seed=4)
        if row["operation"] == "gaussian_blur"
    ]
    assert [row["value"] for row in rows if row["trained"]] == [1.0, 2.5]
    far = []
    for row in rows:
        edited = ops.gaussian_blur(photographs, row["value"])
        far.append(
            [
                float(
                    (stub.task.embedding(taps(stub, one)) - stub.task.embedding(taps(stub, two)))
                    .square()
                    .sum()
                )
                for one, two in zip(photographs, edited, strict=True)
            ]
        )
        low, median, high = np.percentile(far[-1], [25, 50, 75])
        found = [row[key] for key in ("low", "median", "high")]
        assert found == pytest.approx([low, median, high], abs=1e-6)
    values = [row["value"] for row in rows]
    mild, strong = far[values.index(1.0)], far[values.index(2.5)]
    ordered = np.mean([a < b for a, b in zip(mild, strong, strict=True)])
    assert rows[0]["ordered_share"] == pytest.approx(ordered)


def test_a_model_that_sees_nothing_has_no_order(photographs):
    stub = model(4)
    stub.task.embedding = lambda t: torch.ones(len(t[LAYERS[-1]]), 4) / 2
    for row in analysis.distances(stub, photographs[:2], "cpu"):
        assert (row["median"], row["rank_correlation"], row["ordered_share"]) == (0, 0, 0)


# --- neighbours ---


def test_neighbours_are_the_nearest_of_other_photographs(smooth):
    patches = smooth(8, 32, 32)
    patches[4:] = patches[:4]  # twins, in another photograph
    patches[1] = patches[0]  # a twin in its own
    groups = torch.tensor([0, 0, 1, 1, 2, 2, 3, 3])
    stub = model(8)
    rows = analysis.neighbours(stub, patches, groups, "cpu", count=3)
    assert [row["patch"] for row in rows] == list(range(8))
    described = [stub.task.embedding(taps(stub, patch))[0] for patch in patches]
    for row in rows:
        own = row["patch"]
        others = [other for other in range(8) if groups[other] != groups[own]]
        likeness = {other: float(described[own] @ described[other]) for other in others}
        expected = sorted(likeness.values(), reverse=True)[:3]
        assert row["similarity"] == pytest.approx(expected, abs=1e-5)
        assert len(set(row["neighbours"])) == 3 and set(row["neighbours"]) <= set(others)
        assert [likeness[n] for n in row["neighbours"]] == pytest.approx(expected, abs=1e-5)
    assert rows[2]["neighbours"][0] == 6 and rows[2]["similarity"][0] == pytest.approx(1, abs=1e-5)


# --- filters ---


@pytest.mark.parametrize("channels", [1, 3])
def test_filters_come_back_stretched(channels):
    backbone = nn.Sequential(nn.Conv2d(channels, 5, (4, 3)), nn.Conv2d(5, 2, 1))
    generator = torch.Generator().manual_seed(0)
    weight = torch.randn(5, channels, 4, 3, generator=generator)
    weight[3] = 0.7  # a flat one
    backbone[0].weight.data = weight
    stored = analysis.filters(backbone)
    assert stored["shape"] == [5, 4, 3, channels]
    images = analysis.filter_images(stored)
    assert images.dtype == np.uint8 and images.shape == (5, 4, 3, channels)
    for image, kernel in zip(images, weight, strict=True):
        low, high = kernel.min(), kernel.max()
        expected = (kernel - low) / max(high - low, 1e-12) * 255
        np.testing.assert_allclose(image, expected.permute(1, 2, 0), atol=0.5001)
    spread = [(image.min(), image.max()) for image in images]
    assert spread == [(0, 255), (0, 255), (0, 255), (0, 0), (0, 255)]


# --- confidence ---


def test_confidence_of_a_score_that_is_the_brightness(smooth):
    patches = smooth(7, 24, 24)

    def brightness(images):
        return images.float().mean((1, 2, 3)) / 64 - 2

    rows = {row["class"]: row for row in analysis.confidence(brightness, patches)}
    assert list(rows) == [item.name for item in ops.CLASSES]
    before = brightness(patches).double()
    for name, row in rows.items():
        assert len(row["probability"]) == 7
        if name.startswith("exposure"):
            level = int(name[-1])
            edited = ops.expose(patches, ops.operation("exposure").levels[level - 1])
            change = brightness(edited).double() - before
            assert row["logit_change"] == pytest.approx(float(change.mean()))
            expected = torch.sigmoid(before + change).tolist()
            assert row["probability"] == pytest.approx(expected, abs=6e-5)
    assert rows["none"]["logit_change"] == 0
    assert rows["none"]["probability"] == pytest.approx(torch.sigmoid(before).tolist(), abs=6e-5)
    assert rows["exposure/1"]["logit_change"] < 0 < rows["exposure/2"]["logit_change"]
    assert rows["rotation/2"]["logit_change"] == pytest.approx(0, abs=1e-6)


def test_confidence_is_seeded_and_in_batches(smooth, monkeypatch):
    patches, sizes = smooth(5, 16, 16), []
    monkeypatch.setattr(analysis, "BATCH", 2)

    def score(images):
        sizes.append(len(images))
        return images.float().flatten(1) @ torch.linspace(-1e-3, 1e-3, 3 * 16 * 16)

    first = analysis.confidence(score, patches, seed=1)
    assert sizes == 22 * [2, 2, 1]
    assert analysis.confidence(score, patches, seed=1) == first
    other = analysis.confidence(score, patches, seed=2)
    changed = {a["class"] for a, b in zip(first, other, strict=True) if a != b}
    assert {"gaussian_noise/1", "gaussian_noise/2"} <= changed
    assert not changed & {"none", "jpeg/1", "mixup/1", "exposure/1"}
