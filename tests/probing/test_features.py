"""Frozen features: written once, whole or not at all."""

import errno

import numpy as np
import pytest
import torch

from aesthlib import models
from aesthlib.probing import features
from aesthlib.probing.features import View
from aesthlib.store import files


@pytest.fixture(scope="module")
def backbone():
    return models.build("alexnet", 0).eval().requires_grad_(False)


@pytest.fixture
def photographs():
    generator = torch.Generator().manual_seed(0)
    return torch.randint(0, 256, (5, 3, 80, 80), generator=generator, dtype=torch.uint8)


def test_features_are_the_backbones_pooled_taps(backbone, photographs, tmp_path):
    folder = features.extract(backbone, 5, photographs.__getitem__, tmp_path / "f", "cpu", "test")
    taps = backbone(photographs)
    for layer in models.LAYERS:
        expected = models.pool_for_probe(taps[layer])
        torch.testing.assert_close(features.load(folder, layer), expected, atol=2e-3, rtol=2e-3)


def test_features_are_extracted_once(backbone, photographs, tmp_path):
    calls = []

    def batch_of(index):
        calls.append(index)
        return photographs[index]

    for _ in range(2):
        features.extract(backbone, 5, batch_of, tmp_path / "f", "cpu", "test")
    assert len(calls) == 1


def test_a_full_disk_leaves_no_half_features(backbone, photographs, tmp_path, monkeypatch):
    def full(*arguments):
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(files, "write_json", full)
        with pytest.raises(OSError, match="could not write features into .*: No space left"):
            features.extract(backbone, 5, photographs.__getitem__, tmp_path / "f", "cpu", "test")
    assert not (tmp_path / "f").exists()
    features.extract(backbone, 5, photographs.__getitem__, tmp_path / "f", "cpu", "test")
    assert features.load(tmp_path / "f", "conv5").shape == (5, 256 * 3 * 3)


def test_values_beyond_float16_are_an_error(photographs, tmp_path):
    huge = models.build("alexnet", 0).eval().requires_grad_(False)
    huge.stages["conv5"][1].weight.mul_(1e6)
    with pytest.raises(FloatingPointError, match="conv5"):
        features.extract(huge, 5, photographs.__getitem__, tmp_path / "f", "cpu", "test")


# --- views ---


@pytest.fixture(scope="module")
def tap():
    return torch.randn(3, 4, 5, 6, generator=torch.Generator().manual_seed(0))


def test_means_and_moments_the_slow_way(tap):
    means = [[sum(channel.flatten().tolist()) / 30 for channel in image] for image in tap]
    deviations = [
        [
            (sum((v - mean) ** 2 for v in channel.flatten().tolist()) / 30) ** 0.5
            for channel, mean in zip(image, row, strict=True)
        ]
        for image, row in zip(tap, means, strict=True)
    ]
    torch.testing.assert_close(features.pool_mean(tap), torch.tensor(means))
    expected = torch.tensor([a + b for a, b in zip(means, deviations, strict=True)])
    torch.testing.assert_close(features.pool_moments(tap), expected)
    assert features.pool_moments(tap[..., :1, :1]).isfinite().all()  # one position


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"pooling": "max"}, "pooling must be one of grid, mean, moments, got 'max'"),
        ({"statistics": "own"}, "statistics must be one of training, clean, got 'own'"),
    ],
)
def test_an_unknown_view_is_named(settings, message):
    with pytest.raises(ValueError, match=message):
        View(**settings)


def test_the_default_view_is_the_papers():
    assert View() == features.STANDARD == View("grid", "training")
    assert features.STANDARD.layers == View(statistics="clean").layers == models.LAYERS
    assert View("mean").layers == View("moments").layers == (*models.LAYERS, "all")
    assert features.POOLINGS["grid"] is models.pool_for_probe


@pytest.fixture(scope="module")
def pooled(backbone, tmp_path_factory):
    """Photographs, and the folder of their features by pooling."""
    images = torch.randint(
        0, 256, (5, 3, 80, 80), generator=torch.Generator().manual_seed(0), dtype=torch.uint8
    )
    root = tmp_path_factory.mktemp("pooled")
    return images, {
        name: features.extract(
            backbone, 5, images.__getitem__, root / name, "cpu", "test", pooling=name
        )
        for name in features.POOLINGS
    }


@pytest.mark.parametrize("pooling", ["mean", "moments"])
def test_pooled_features_are_standardized_value_by_value(pooling, pooled, backbone):
    images, folders = pooled
    taps, side_by_side = backbone(images), []
    for layer in models.LAYERS:
        values = features.POOLINGS[pooling](taps[layer]).half().double()
        spread = (values - values.mean(0)).square().mean(0).sqrt()
        kept = spread > 1e-3  # a value that is the same in all photographs says nothing
        expected = (values - values.mean(0)) / spread
        found = features.load(folders[pooling], layer, View(pooling))
        assert found.dtype == torch.float32 and found.isfinite().all()
        assert found.shape == (5, (1 + (pooling == "moments")) * backbone.channels[layer])
        # the taps may differ in the last bit of float16 between batches
        torch.testing.assert_close(found[:, kept].double(), expected[:, kept], atol=0.05, rtol=0.05)
        torch.testing.assert_close(found.mean(0), torch.zeros(found.shape[1]), atol=1e-3, rtol=0)
        side_by_side.append(found)
    together = features.load(folders[pooling], features.ALL, View(pooling))
    assert torch.equal(together, torch.cat(side_by_side, 1))


def test_a_value_that_never_changes_is_no_error(tmp_path):
    folder = tmp_path / "f"
    folder.mkdir()
    constant = np.stack([np.full(4, 7.0), np.arange(4)], 1).astype(np.float16)
    np.save(folder / "conv1.npy", constant)
    found = features.load(folder, "conv1", View("mean"))
    assert torch.equal(found[:, 0], torch.zeros(4))
    assert found[:, 1].square().mean().item() == pytest.approx(1)


def test_the_grid_is_loaded_as_it_is_written(pooled):
    _, folders = pooled
    written = np.load(folders["grid"] / "conv3.npy")
    for view in (features.STANDARD, View(statistics="clean")):
        assert np.array_equal(features.load(folders["grid"], "conv3", view), written)


# --- batch norm ---


def test_clean_statistics_are_those_of_the_photographs(smooth, packed):
    """Three batches, one after the other through the copy, and a plain average of theirs."""
    original = models.build("alexnet", 0).eval().requires_grad_(False)
    before = {name: tensor.clone() for name, tensor in original.state_dict().items()}
    pack = packed(smooth(9, 70, 74))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(features, "BATCH", 3)
        changed = features.with_clean_statistics(original, pack, 67, "cpu")
    assert not changed.training
    assert all(torch.equal(before[name], v) for name, v in original.state_dict().items())
    momenta = {m.momentum for m in original.modules() if isinstance(m, torch.nn.BatchNorm2d)}
    assert momenta == {0.1}
    for name, value in changed.named_parameters():
        assert torch.equal(value, before[name]), name

    generator = torch.Generator().manual_seed(0)
    order = torch.randperm(9, generator=generator)
    crops = [pack.random_crops(rows, 67, generator) for rows in order.split(3)]
    convolution, norm = changed.stages["conv1"][0], changed.stages["conv1"][1]
    outputs = [convolution(changed.door(batch)) for batch in crops]
    means = torch.stack([out.mean((0, 2, 3)) for out in outputs])
    variances = torch.stack(
        [out.transpose(0, 1).flatten(1).var(1, correction=1) for out in outputs]
    )
    torch.testing.assert_close(norm.running_mean, means.mean(0), rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(norm.running_var, variances.mean(0), rtol=1e-4, atol=1e-4)
    norms = [m for m in changed.modules() if isinstance(m, torch.nn.BatchNorm2d)]
    assert len(norms) == 5 and all(m.num_batches_tracked == 3 for m in norms)
    assert not any(torch.allclose(m.running_mean, torch.zeros(1)) for m in norms)


def test_clean_statistics_repeat_and_take_no_more_than_so_many(smooth, packed, monkeypatch):
    original = models.build("alexnet", 0).eval().requires_grad_(False)
    pack, seen = packed(smooth(6, 70, 74)), []
    monkeypatch.setattr(features, "CLEAN_PATCHES", 4)
    crop = type(pack).random_crops

    def random_crops(self, index, *rest):
        seen.extend(index.tolist())
        return crop(self, index, *rest)

    monkeypatch.setattr(type(pack), "random_crops", random_crops)
    first, again = (
        features.with_clean_statistics(original, pack, 67, "cpu").state_dict() for _ in range(2)
    )
    assert len(seen) == 8 and len(set(seen[:4])) == 4 and seen[:4] == seen[4:]
    assert all(torch.equal(first[name], again[name]) for name in first)
