"""Backbones with taps conv1 … conv5, and heads."""

from .backbones import (
    BACKBONES,
    LAYERS,
    SMALLEST_PX,
    Backbone,
    LabChannels,
    build,
    pool_for_probe,
    training_flops,
)
from .heads import averaged, hidden, linear, scores

__all__ = [
    "BACKBONES",
    "LAYERS",
    "SMALLEST_PX",
    "Backbone",
    "LabChannels",
    "averaged",
    "build",
    "hidden",
    "linear",
    "pool_for_probe",
    "scores",
    "training_flops",
]
