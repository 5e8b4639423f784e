"""Published weights: they land where they belong, and a checkpoint of them needs no network."""

import hashlib
import urllib.error
from pathlib import Path

import pytest
import torch
import torchvision

from aesthlib import models, pretext
from aesthlib.pretext import published
from aesthlib.pretext.published import WEIGHTS, Published
from aesthlib.training import PretrainConfig, load_model, pretrain

SIZE = 80


@pytest.fixture
def network(monkeypatch):
    """Function of a backbone's name: torchvision's network, whose weights the loader then gives."""

    def make(name):
        with torch.random.fork_rng():
            torch.manual_seed(0)
            net = getattr(torchvision.models, WEIGHTS[name][0])(weights=None).eval()
        for key, value in net.state_dict().items():
            if "running" in key:  # statistics that tell the layers apart
                value.add_(torch.rand(value.shape, generator=torch.Generator().manual_seed(1)))
        asked = []

        def give(self, **options):
            asked.append((str(self), options))
            return net.state_dict()

        monkeypatch.setattr(torchvision.models.WeightsEnum, "get_state_dict", give)
        return net, asked

    return make


def theirs(net, name, images):
    """torchvision's maps at our taps, conv1 … conv5."""
    x = models.build(name, 0).door(images)
    if name == "resnet18":
        conv1 = net.relu(net.bn1(net.conv1(x)))
        conv2 = net.layer1(net.maxpool(conv1))
        conv3 = net.layer2(conv2)
        conv4 = net.layer3(conv3)
        return conv1, conv2, conv3, conv4, net.layer4(conv4)
    taps = []
    for layer in net.features:
        x = layer(x)
        if isinstance(layer, torch.nn.ReLU):
            taps.append(x.clone())
    return tuple(taps)


@pytest.mark.parametrize("name", list(WEIGHTS))
def test_a_run_has_torchvisions_features_and_loads_without_a_network(
    name, network, smooth, packed, tmp_path, monkeypatch
):
    net, asked = network(name)
    config = PretrainConfig(
        method="published",
        backbone=name,
        size_px=SIZE,
        shorter_edge_px=96,
        epochs=9,
        batch_size=2,
        precision="fp32",
    )
    state = torch.get_rng_state()
    outcome = pretrain(config, packed(smooth(5, 96, 96)), tmp_path, "cpu")
    assert torch.equal(torch.get_rng_state(), state)
    assert len(outcome.history) == 1 and len(asked) == 1  # one pass, one file
    assert asked[0][1] == {"progress": False, "check_hash": True, "weights_only": True}

    def refuse(self, **options):
        raise AssertionError("asked for the network")

    monkeypatch.setattr(torchvision.models.WeightsEnum, "get_state_dict", refuse)
    backbone = load_model(tmp_path, outcome.checkpoint_sha256, "cpu").backbone
    images = smooth(2, SIZE, SIZE, seed=3)
    with torch.inference_mode():
        taps, expected = backbone(images), theirs(net, name, images)
    for layer, tap in zip(models.LAYERS, expected, strict=True):
        torch.testing.assert_close(taps[layer], tap, rtol=1e-4, atol=1e-4)
    assert pretrain(config, packed(smooth(5, 96, 96)), tmp_path, "cpu") == outcome


def test_no_network_says_which_file_to_put_where(monkeypatch, tmp_path):
    def offline(self, **options):
        raise urllib.error.URLError("no route")

    monkeypatch.setattr(torchvision.models.WeightsEnum, "get_state_dict", offline)
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path))
    with pytest.raises(OSError, match="put the file of https.*resnet18.* at .*checkpoints.*pth"):
        published.fetch("resnet18")


def test_another_file_in_the_cache_is_not_read(monkeypatch, tmp_path, network):
    network("resnet18")
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path))
    url = torchvision.models.get_weight(WEIGHTS["resnet18"][1]).url
    cached = tmp_path / "checkpoints" / Path(url).name
    cached.parent.mkdir()
    cached.write_bytes(b"something else")
    assert not cached.stem.endswith(hashlib.sha256(b"something else").hexdigest()[:8])
    with pytest.raises(ValueError, match="is not the published file"):
        published.fetch("resnet18")


def test_evaluation_fetches_nothing(smooth, monkeypatch):
    monkeypatch.setattr(published, "fetch", None)
    backbone = Published.build("resnet18", 0)
    task = Published(backbone, Published.Options(), 0).eval()
    loss, measures = task.step(backbone, smooth(2, SIZE, SIZE), torch.Generator(), 0)
    assert loss == 0 and measures.images == 2
    assert not task.trains and not list(task.parameters())


def test_only_backbones_that_fit():
    assert pretext.task("published") is Published
    with pytest.raises(ValueError, match="must be one of resnet18, alexnet_torchvision .* 'alexn"):
        Published.build("alexnet", 0)
