"""Backbones with five taps, conv1 … conv5."""

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..ops.functional import IMAGENET_STD

LAYERS = ("conv1", "conv2", "conv3", "conv4", "conv5")
IMAGENET_MEAN = (0.485, 0.456, 0.406)  # of pixels in [0, 1], channel by channel (torchvision)
PROBE_VALUES = 9600  # the paper's probes take 9600 or 9216 values a layer, whatever the channels


class Normalize(nn.Module):
    """The model's door: uint8 (N, 3, H, W) to float32, standardized by ImageNet's statistics."""

    def __init__(self):
        super().__init__()
        mean, std = (torch.tensor(v).view(1, 3, 1, 1) * 255 for v in (IMAGENET_MEAN, IMAGENET_STD))
        self.register_buffer("scale", 1 / std, persistent=False)
        self.register_buffer("offset", -mean / std, persistent=False)

    def forward(self, images: Tensor) -> Tensor:
        if images.dtype != torch.uint8:
            raise ValueError(f"a backbone takes uint8 photographs, got {images.dtype}")
        return torch.addcmul(self.offset, images.to(self.scale.dtype), self.scale)


class Backbone(nn.Module):
    """A door and five stages, the taps being the stages' outputs.

    Attributes:
        channels: of the taps, by layer.
    """

    def __init__(self, stages: dict[str, nn.Module], channels: dict[str, int]):
        super().__init__()
        self.door = Normalize()
        self.stages = nn.ModuleDict(stages)
        self.channels = channels

    def forward(self, images: Tensor) -> dict[str, Tensor]:
        """uint8 (N, 3, H, W) to float (N, C, h, w) by layer."""
        values, taps = self.door(images), {}
        for layer, stage in self.stages.items():
            values = stage(values)
            taps[layer] = values
        return taps


def _convolution(inputs: int, outputs: int, kernel: int, stride: int, padding: int) -> list:
    return [
        nn.Conv2d(inputs, outputs, kernel, stride, padding, bias=False),
        nn.BatchNorm2d(outputs),
        nn.ReLU(inplace=True),
    ]


def alexnet() -> Backbone:
    """The paper's AlexNet: 96-256-384-384-256 channels, batch norm after every convolution.

    Without groups, fully connected layers and the last pooling. Taps follow the ReLU, before the
    next pooling. 227 px give maps of 55, 27, 13, 13 and 13 px; the smallest input is 67 px.
    """
    pool = [nn.MaxPool2d(3, 2)]
    stages = {
        "conv1": nn.Sequential(*_convolution(3, 96, 11, 4, 0)),
        "conv2": nn.Sequential(*pool, *_convolution(96, 256, 5, 1, 2)),
        "conv3": nn.Sequential(*pool, *_convolution(256, 384, 3, 1, 1)),
        "conv4": nn.Sequential(*_convolution(384, 384, 3, 1, 1)),
        "conv5": nn.Sequential(*_convolution(384, 256, 3, 1, 1)),
    }
    return Backbone(stages, dict(zip(LAYERS, (96, 256, 384, 384, 256), strict=True)))


def resnet18() -> Backbone:
    """torchvision's ResNet-18; the taps are conv1, conv2_x … conv5_x of He et al. 2016."""
    from torchvision.models import resnet18 as build

    net = build(weights=None)
    stages = {
        "conv1": nn.Sequential(net.conv1, net.bn1, net.relu),
        "conv2": nn.Sequential(net.maxpool, net.layer1),
        "conv3": net.layer2,
        "conv4": net.layer3,
        "conv5": net.layer4,
    }
    return Backbone(stages, dict(zip(LAYERS, (64, 64, 128, 256, 512), strict=True)))


BACKBONES = {"alexnet": alexnet, "resnet18": resnet18}
SMALLEST_PX = {"alexnet": 67, "resnet18": 32}


def build(name: str, seed: int) -> Backbone:
    """A backbone with Kaiming-initialized convolutions, the same for the same seed.

    Raises:
        ValueError: unknown name; lists the known ones.
    """
    if name not in BACKBONES:
        raise ValueError(f"backbone must be one of {', '.join(BACKBONES)}, got {name!r}")
    with torch.random.fork_rng(devices=[]):  # torchvision draws from the global generator
        backbone = BACKBONES[name]()
    generator = torch.Generator().manual_seed(seed)
    for module in backbone.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(
                module.weight, mode="fan_out", nonlinearity="relu", generator=generator
            )
    return backbone


def probe_grid(channels: int) -> int:
    """Side of the pooled map: 10, 6, 5, 5, 6 for AlexNet, so 9600 or 9216 values a layer."""
    return math.isqrt(PROBE_VALUES // channels)


def pool_for_probe(tap: Tensor) -> Tensor:
    """Pool a tap for the linear probe: (N, C, h, w) to (N, C·g²), g at most the map's side.

    Adaptive average pooling; a map smaller than the grid is taken as it is.
    """
    side = probe_grid(tap.shape[1])
    grid = (min(side, tap.shape[2]), min(side, tap.shape[3]))
    return F.adaptive_avg_pool2d(tap, grid).flatten(1)
