"""Backbones with taps conv1 … conv5."""

from .backbones import BACKBONES, LAYERS, SMALLEST_PX, Backbone, build, pool_for_probe

__all__ = ["BACKBONES", "LAYERS", "SMALLEST_PX", "Backbone", "build", "pool_for_probe"]
