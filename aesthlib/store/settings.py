"""Checks that all dataclasses of settings share."""

import dataclasses
import math


def settle(config) -> None:
    """Hold every field of a frozen dataclass to the type of its default.

    Whole numbers become floats where the default is one, so that 0 and 0.0 name the same run.

    Raises:
        ValueError: a value of another type or not finite; names the field.
    """
    for item in dataclasses.fields(config):
        kind, value = type(item.default), getattr(config, item.name)
        if item.default is None:
            continue
        if kind is float and type(value) is int:
            value = float(value)
        if kind is tuple and type(value) is list:
            value = tuple(value)
        if type(value) is not kind:
            raise ValueError(f"{item.name} must be of type {kind.__name__}, got {value!r}")
        if kind is float and not math.isfinite(value):
            raise ValueError(f"{item.name} must be finite, got {value}")
        object.__setattr__(config, item.name, value)


def hold(config, least: dict[str, float]) -> None:
    """Raise ValueError, naming the field, where one lies below its least value."""
    for name, low in least.items():
        if getattr(config, name) < low:
            raise ValueError(f"{name} must be at least {low:g}, got {getattr(config, name)}")
