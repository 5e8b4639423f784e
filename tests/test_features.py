"""Frozen features: written once, whole or not at all."""

import errno

import pytest
import torch

from aesthlib import features, files, models


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
