"""Backbones with five taps, conv1 … conv5."""

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..ops import colour
from ..ops.images import IMAGENET_STD, in_pieces

LAYERS = ("conv1", "conv2", "conv3", "conv4", "conv5")
IMAGENET_MEAN = (0.485, 0.456, 0.406)  # of pixels in [0, 1], channel by channel (torchvision)
PROBE_VALUES = 9600  # the paper's probes take 9600 or 9216 values a layer, whatever the channels


class Normalize(nn.Module):
    """The model's door: uint8 (N, 3, H, W) to float, standardized by ImageNet's statistics.

    float32, or the type of autocast: those float32 numbers rounded, as the first layer would.
    """

    def __init__(self):
        super().__init__()
        mean, std = (torch.tensor(v).view(1, 3, 1, 1) * 255 for v in (IMAGENET_MEAN, IMAGENET_STD))
        self.register_buffer("scale", 1 / std, persistent=False)
        self.register_buffer("offset", -mean / std, persistent=False)

    def forward(self, images: Tensor) -> Tensor:
        if images.dtype != torch.uint8:
            raise ValueError(f"a backbone takes uint8 photographs, got {images.dtype}")
        pixels, device = images.permute(0, 2, 3, 1), images.device.type
        if torch.is_autocast_enabled(device):
            return self._rounded(pixels.contiguous(), torch.get_autocast_dtype(device))
        if not pixels.is_contiguous():
            return torch.addcmul(self.offset, images.to(self.scale.dtype), self.scale)
        # rows of pixels: along three channels alone nothing would run in parallel
        scale, offset = self._row(pixels.shape[2])
        rows = torch.addcmul(offset, pixels.flatten(2).to(scale.dtype), scale)
        return rows.view(pixels.shape).permute(0, 3, 1, 2)

    def _row(self, width: int) -> tuple[Tensor, Tensor]:
        return tuple(v.flatten().repeat(width) for v in (self.scale, self.offset))

    def _rounded(self, pixels: Tensor, dtype: torch.dtype) -> Tensor:
        """(N, H, W, 3) in another type, float32 never leaving the cache or the registers."""
        scale, offset = self._row(pixels.shape[2])
        rows = pixels.flatten(2)
        result = torch.empty_like(rows, dtype=dtype)
        if pixels.device.type != "cpu":
            torch.addcmul(offset, rows, scale, out=result)
        else:
            in_pieces(lambda rows: torch.addcmul(offset, rows.float(), scale), result, rows)
        return result.view(pixels.shape).permute(0, 3, 1, 2)


class LabChannels(nn.Module):
    """A door that lets lightness ("L") or colour ("ab") through: uint8 (N, 3, H, W) to float32.

    One or two channels of `ops.colour.lab_levels`, standardized by round numbers near those of
    photographs.
    """

    KEPT = {"L": (slice(0, 1), 128, 64), "ab": (slice(1, 3), 128, 16)}  # channels, mean, deviation

    def __init__(self, kept: str):
        super().__init__()
        self.channels, self.mean, self.deviation = self.KEPT[kept]

    def forward(self, images: Tensor) -> Tensor:
        levels = colour.lab_levels(images)[:, self.channels].float()
        return (levels - self.mean) / self.deviation


class Backbone(nn.Module):
    """A door and five stages, the taps being the stages' outputs.

    Attributes:
        channels: of the taps, by layer.
        cell_px: pixels of the photograph between neighbouring cells of conv5's map.
        first_px: pixel on which the first of these cells is centred.
    """

    def __init__(
        self,
        stages: dict[str, nn.Module],
        channels: tuple[int, ...],
        cell_px: int,
        first_px: int,
        door: nn.Module | None = None,
    ):
        super().__init__()
        self.door = door or Normalize()
        self.stages = nn.ModuleDict(stages)
        self.channels = dict(zip(LAYERS, channels, strict=True))
        self.cell_px, self.first_px = cell_px, first_px

    def forward(self, images: Tensor) -> dict[str, Tensor]:
        """uint8 (N, 3, H, W) to float (N, C, h, w) by layer."""
        values, taps = self.door(images), {}
        for layer, stage in self.stages.items():
            values = stage(values)
            taps[layer] = values
        return taps

    def cells(self, values: Tensor, size: tuple[int, int]) -> Tensor:
        """Mean of pixels over the cells of conv5's map: squares of cell_px around their centres.

        Args:
            values: float (N, C, H, W), of the size of the photographs.
            size: h and w of conv5's map of them.

        Returns:
            float (N, C, h, w); cells over an edge take the pixels that there are.
        """
        start = self.first_px - self.cell_px // 2
        before, outside = max(start, 0), max(-start, 0)
        means = F.avg_pool2d(
            values[..., before:, before:],
            self.cell_px,
            padding=outside,
            ceil_mode=True,
            count_include_pad=False,
        )
        return means[..., : size[0], : size[1]]


def _convolution(
    inputs: int, outputs: int, kernel: int, stride: int, padding: int, norm: bool = True
) -> list:
    return [
        nn.Conv2d(inputs, outputs, kernel, stride, padding, bias=not norm),
        *([nn.BatchNorm2d(outputs)] if norm else []),
        nn.ReLU(inplace=True),
    ]


def _alexnet(
    inputs: int, channels: tuple[int, ...], padding: int, norm: bool, door: nn.Module | None
) -> Backbone:
    pool = [nn.MaxPool2d(3, 2)]
    c1, c2, c3, c4, c5 = channels
    stages = {
        "conv1": nn.Sequential(*_convolution(inputs, c1, 11, 4, padding, norm)),
        "conv2": nn.Sequential(*pool, *_convolution(c1, c2, 5, 1, 2, norm)),
        "conv3": nn.Sequential(*pool, *_convolution(c2, c3, 3, 1, 1, norm)),
        "conv4": nn.Sequential(*_convolution(c3, c4, 3, 1, 1, norm)),
        "conv5": nn.Sequential(*_convolution(c4, c5, 3, 1, 1, norm)),
    }
    return Backbone(stages, channels, 16, 17 - padding, door)


def alexnet(inputs: int = 3, width: float = 1.0, door: nn.Module | None = None) -> Backbone:
    """The paper's AlexNet: 96-256-384-384-256 channels, batch norm after every convolution.

    Without groups, fully connected layers and the last pooling. Taps follow the ReLU, before the
    next pooling. 227 px give maps of 55, 27, 13, 13 and 13 px; the smallest input is 67 px.
    """
    return _alexnet(inputs, _scaled((96, 256, 384, 384, 256), width), 0, True, door)


def alexnet_torchvision(
    inputs: int = 3, width: float = 1.0, door: nn.Module | None = None
) -> Backbone:
    """torchvision's AlexNet up to the last pooling, so that its published weights fit.

    64-192-384-256-256 channels, biases, no batch norm; taps as those of `alexnet`.
    """
    return _alexnet(inputs, _scaled((64, 192, 384, 256, 256), width), 2, False, door)


def resnet18(inputs: int = 3, width: float = 1.0, door: nn.Module | None = None) -> Backbone:
    """torchvision's ResNet-18; the taps are conv1, conv2_x … conv5_x of He et al. 2016."""
    from torchvision.models.resnet import BasicBlock

    def stage(before: int, after: int) -> nn.Sequential:
        shortcut = None
        if after != before:  # the map shrinks where the channels grow
            shortcut = nn.Sequential(
                nn.Conv2d(before, after, 1, 2, bias=False), nn.BatchNorm2d(after)
            )
        stride = 1 if shortcut is None else 2
        return nn.Sequential(BasicBlock(before, after, stride, shortcut), BasicBlock(after, after))

    channels = _scaled((64, 64, 128, 256, 512), width)
    c1, c2, c3, c4, c5 = channels
    stages = {
        "conv1": nn.Sequential(*_convolution(inputs, c1, 7, 2, 3)),
        "conv2": nn.Sequential(nn.MaxPool2d(3, 2, 1), stage(c1, c2)),
        "conv3": stage(c2, c3),
        "conv4": stage(c3, c4),
        "conv5": stage(c4, c5),
    }
    return Backbone(stages, channels, 32, 0, door)


def _scaled(channels: tuple[int, ...], width: float) -> tuple[int, ...]:
    return tuple(int(count * width) for count in channels)


BACKBONES = {"alexnet": alexnet, "resnet18": resnet18, "alexnet_torchvision": alexnet_torchvision}
SMALLEST_PX = {"alexnet": 67, "resnet18": 32, "alexnet_torchvision": 63}


def build(
    name: str, seed: int, inputs: int = 3, width: float = 1.0, door: nn.Module | None = None
) -> Backbone:
    """A backbone with Kaiming-initialized convolutions, the same for the same seed.

    Args:
        name: in `BACKBONES`.
        seed: of the weights.
        inputs: channels that the door lets through.
        width: factor of the channels of every layer.
        door: uint8 (N, 3, H, W) to float (N, inputs, H, W); None for `Normalize`.

    Raises:
        ValueError: unknown name; lists the known ones.
    """
    if name not in BACKBONES:
        raise ValueError(f"backbone must be one of {', '.join(BACKBONES)}, got {name!r}")
    with torch.random.fork_rng(devices=[]):  # modules draw from the global generator
        backbone = BACKBONES[name](inputs, width, door)
    generator = torch.Generator().manual_seed(seed)
    for module in backbone.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(
                module.weight, mode="fan_out", nonlinearity="relu", generator=generator
            )
            if module.bias is not None:
                nn.init.zeros_(module.bias)
    return backbone


def training_flops(name: str, size_px: int) -> int:
    """Floating-point operations of the convolutions for one image, forward and backward.

    A multiplication and an addition count as two; the first layer passes no gradient to the image.
    """
    flops, first = 0, True
    with torch.random.fork_rng(devices=[]), torch.device("meta"):
        backbone = BACKBONES[name]().eval()
        values = torch.empty(1, 3, size_px, size_px)

        def count(module, inputs, output):
            nonlocal flops, first
            once = 2 * output.numel() * module.weight[0].numel()
            flops, first = flops + once * (2 if first else 3), False

        for module in backbone.modules():
            if isinstance(module, nn.Conv2d):
                module.register_forward_hook(count)
        for stage in backbone.stages.values():
            values = stage(values)
    return flops


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
