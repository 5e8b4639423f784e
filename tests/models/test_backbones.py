"""Backbones: shapes of the taps, seeds, and the door that normalizes."""

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode
from torchvision.models import alexnet, resnet18
from torchvision.transforms import Normalize

from aesthlib import models
from aesthlib.models import LAYERS, backbones
from aesthlib.ops import colour

CHANNELS = {
    "alexnet": (96, 256, 384, 384, 256),
    "resnet18": (64, 64, 128, 256, 512),
    "alexnet_torchvision": (64, 192, 384, 256, 256),
}
SIDES = {  # of the taps' maps, by backbone and input in px
    ("alexnet", 227): (55, 27, 13, 13, 13),
    ("alexnet", 128): (30, 14, 6, 6, 6),
    ("alexnet", 67): (15, 7, 3, 3, 3),
    ("resnet18", 227): (114, 57, 29, 15, 8),
    ("resnet18", 128): (64, 32, 16, 8, 4),
    ("resnet18", 67): (34, 17, 9, 5, 3),
    ("alexnet_torchvision", 227): (56, 27, 13, 13, 13),
    ("alexnet_torchvision", 63): (15, 7, 3, 3, 3),
}
PROBE_VALUES = {  # at 227 px; AlexNet's are those of the paper
    "alexnet": (9600, 9216, 9600, 9600, 9216),
    "resnet18": (9216, 9216, 8192, 9216, 8192),
    "alexnet_torchvision": (9216, 9408, 9600, 9216, 9216),
}
each_backbone = pytest.mark.parametrize("name", CHANNELS)


def taps(name, size, speckled):
    with torch.inference_mode():
        return models.build(name, seed=0).eval()(speckled(1, size, size))


@pytest.mark.parametrize("name, size", SIDES)
def test_shapes_of_the_taps(name, size, speckled):
    result = taps(name, size, speckled)
    assert tuple(result) == LAYERS
    shapes = {layer: tuple(tap.shape) for layer, tap in result.items()}
    expected = zip(LAYERS, CHANNELS[name], SIDES[name, size], strict=True)
    assert shapes == {layer: (1, channels, side, side) for layer, channels, side in expected}
    assert models.build(name, seed=0).channels == dict(zip(LAYERS, CHANNELS[name], strict=True))
    assert all(tap.min() >= 0 and tap.max() > 0 for tap in result.values())


@each_backbone
def test_values_that_the_probes_take(name, speckled):
    pooled = [models.pool_for_probe(tap) for tap in taps(name, 227, speckled).values()]
    assert tuple(features.shape[1] for features in pooled) == PROBE_VALUES[name]


@each_backbone
@pytest.mark.parametrize("smallest", [False, True])
def test_small_inputs_can_be_probed(name, smallest, speckled):
    size = models.SMALLEST_PX[name] if smallest else 128
    for tap in taps(name, size, speckled).values():
        features = models.pool_for_probe(tap)
        assert 0 < features.shape[1] <= 9600 and features.isfinite().all()


def test_pooling_is_the_mean_of_cells_and_leaves_smaller_maps_alone():
    tap = torch.rand(2, 256, 12, 18, generator=torch.Generator().manual_seed(0))
    cells = tap.view(2, 256, 6, 2, 6, 3).mean((3, 5))
    torch.testing.assert_close(models.pool_for_probe(tap), cells.flatten(1))
    assert torch.equal(models.pool_for_probe(tap[..., :5, :4]), tap[..., :5, :4].flatten(1))


@each_backbone
def test_same_seed_same_weights_and_global_generator_untouched(name):
    before = torch.get_rng_state()
    first, again, other = (models.build(name, seed).state_dict() for seed in (1, 1, 2))
    assert torch.equal(torch.get_rng_state(), before)
    assert all(torch.equal(first[key], again[key]) for key in first)
    convolutions = [key for key in first if first[key].ndim == 4]
    assert convolutions and all(not torch.equal(first[k], other[k]) for k in convolutions)


def test_batch_norm_after_every_convolution_of_alexnet():
    kinds = [type(module).__name__ for module in models.build("alexnet", 0).stages.modules()]
    after = [kinds[i + 1 : i + 3] for i, kind in enumerate(kinds) if kind == "Conv2d"]
    assert after == [["BatchNorm2d", "ReLU"]] * 5


def test_door_is_torchvisions_normalization(speckled):
    images = speckled(2, 13, 17)
    normalize = Normalize(backbones.IMAGENET_MEAN, backbones.IMAGENET_STD)
    torch.testing.assert_close(backbones.Normalize()(images), normalize(images / 255))


def test_door_gives_the_same_bits_in_both_layouts(speckled):
    door, last = backbones.Normalize(), torch.channels_last
    images = speckled(2, 13, 17)
    rows = door(images.contiguous(memory_format=last))
    assert torch.equal(rows, door(images))
    assert rows.is_contiguous(memory_format=last)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_door_rounds_within_autocast_as_the_first_layer_would(dtype, speckled):
    door, images = backbones.Normalize(), speckled(300, 31, 29)
    expected = door(images).to(dtype)
    with torch.autocast("cpu", dtype):
        for given in (images, images.contiguous(memory_format=torch.channels_last)):
            found = door(given)
            assert found.dtype == dtype and torch.equal(found, expected)
            assert found.is_contiguous(memory_format=torch.channels_last)


@each_backbone
def test_only_uint8_enters(name):
    with pytest.raises(ValueError, match="takes uint8 photographs, got torch.float32"):
        models.build(name, 0)(torch.zeros(1, 3, 67, 67))


def test_unknown_backbone_is_named():
    with pytest.raises(ValueError, match="backbone must be one of alexnet, .*, got 'vgg'"):
        models.build("vgg", 0)


def test_torchvisions_networks_fit(speckled):
    """Every convolution, norm and shortcut has torchvision's shape, in its order."""
    for name, theirs in (("resnet18", resnet18), ("alexnet_torchvision", alexnet)):
        shapes = [(key.split(".")[-1], v.shape) for key, v in theirs().state_dict().items()]
        own = models.build(name, 0).state_dict()
        expected = [(key.split(".")[-1], v.shape) for key, v in own.items()]
        assert shapes[: len(own)] == expected


@each_backbone
def test_half_width_and_other_doors(name, speckled):
    backbone = models.build(name, 0, inputs=2, width=0.5, door=models.LabChannels("ab")).eval()
    with torch.inference_mode():
        result = backbone(speckled(1, 67, 67))
    halves = tuple(count // 2 for count in CHANNELS[name])
    assert tuple(tap.shape[1] for tap in result.values()) == halves
    assert tuple(backbone.channels.values()) == halves


def test_lab_doors_are_standardized_levels(speckled):
    images = speckled(2, 13, 17)
    levels = colour.lab_levels(images).float()
    assert torch.equal(models.LabChannels("L")(images), (levels[:, :1] - 128) / 64)
    assert torch.equal(models.LabChannels("ab")(images), (levels[:, 1:] - 128) / 16)


@each_backbone
def test_cells_lie_where_conv5_looks(name):
    """The centre of what a cell depends on, by gradient, is that of the pixels it is given."""
    size = 500  # larger than what a cell sees
    backbone = models.build(name, 0).eval()
    backbone.door = torch.nn.Identity()
    for module in backbone.modules():  # every path counts, none cancels
        if isinstance(module, torch.nn.ReLU | torch.nn.MaxPool2d):
            module.forward = lambda x, m=module: (
                torch.nn.functional.avg_pool2d(x, m.kernel_size, m.stride, m.padding)
                if isinstance(m, torch.nn.MaxPool2d)
                else x
            )
        if isinstance(module, torch.nn.Conv2d):
            torch.nn.init.constant_(module.weight, 0.01)
    image = torch.zeros(1, 3, size, size, requires_grad=True)
    tap = backbone(image)["conv5"]
    side = tap.shape[-1]
    cell = side // 2
    tap[0, 0, cell, cell].backward()
    seen = image.grad[0, 0].abs().sum(0).nonzero().flatten()
    assert 0 < seen[0] and seen[-1] < size - 1
    middle = (seen[0] + seen[-1]).item() / 2
    assert middle == backbone.first_px + backbone.cell_px * cell

    column = torch.arange(size, dtype=torch.float32).expand(1, 1, size, size)
    means = backbone.cells(column, (side, side))
    assert means.shape == (1, 1, side, side)
    assert means[0, 0, 0, cell] == pytest.approx(middle - 0.5)


@each_backbone
@pytest.mark.parametrize("size", [67, 80, 128, 227])
def test_cells_are_as_many_as_conv5s(name, size, speckled):
    side = taps(name, size, speckled)["conv5"].shape[-1]
    values = torch.rand(1, 2, size, size, generator=torch.Generator().manual_seed(0))
    backbone = models.build(name, 0)
    means = backbone.cells(values, (side, side))
    assert means.shape == (1, 2, side, side)
    for row, column in ((0, 0), (side - 1, 1)):  # the slow way
        top, left = (backbone.first_px + backbone.cell_px * (i - 0.5) for i in (row, column))
        part = values[
            ...,
            max(int(top), 0) : int(top) + backbone.cell_px,
            max(int(left), 0) : int(left) + backbone.cell_px,
        ]
        torch.testing.assert_close(means[..., row, column], part.mean((2, 3)))


@pytest.mark.gpu
@each_backbone
def test_cuda_is_close_to_the_cpu(name, speckled, monkeypatch):
    monkeypatch.setattr(torch.backends.cudnn, "allow_tf32", False)
    expected = taps(name, 67, speckled)
    with torch.inference_mode():
        result = models.build(name, 0).eval().cuda()(speckled(1, 67, 67).cuda())
    for layer in LAYERS:
        torch.testing.assert_close(result[layer].cpu(), expected[layer], rtol=1e-3, atol=1e-3)


@each_backbone
@pytest.mark.parametrize("size", [67, 80])
def test_training_flops_are_those_that_are_counted(name, size):
    """By torch's counter, on the convolutions of a forward and a backward pass."""
    backbone = models.build(name, 0)
    image = torch.zeros(1, 3, size, size, dtype=torch.uint8)
    backbone.eval()  # one image has no batch statistics
    with FlopCounterMode(display=False) as counter:
        backbone(image)["conv5"].sum().backward()
    assert models.training_flops(name, size) == counter.get_total_flops()


def test_counting_flops_leaves_the_global_generator_and_device():
    before = torch.get_rng_state()
    assert models.training_flops("alexnet", 67) < models.training_flops("alexnet", 128)
    assert torch.equal(torch.get_rng_state(), before)
    assert torch.empty(0).device.type == "cpu"
