"""The degradations: batch functions, the level table with its 22 classes, the batch scheduler."""

from .functional import (
    downsample,
    expose,
    gaussian_blur,
    gaussian_noise,
    jpeg,
    mixup,
    patch_shuffle,
    pixelate,
    quantize,
    rotate,
)
from .schedule import Plan, degrade, draw
from .table import CLASSES, NAMES, NONE, OPERATIONS, PRESETS, Operation, Reading, apply, operation

__all__ = [
    "CLASSES",
    "NAMES",
    "NONE",
    "OPERATIONS",
    "PRESETS",
    "Operation",
    "Plan",
    "Reading",
    "apply",
    "degrade",
    "downsample",
    "draw",
    "expose",
    "gaussian_blur",
    "gaussian_noise",
    "jpeg",
    "mixup",
    "operation",
    "patch_shuffle",
    "pixelate",
    "quantize",
    "rotate",
]
