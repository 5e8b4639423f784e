"""Frozen features and the probes that judge them."""

from .config import ProbeConfig
from .folds import splits, subset_splits
from .judge import Scored, low_data, probe, select

__all__ = ["ProbeConfig", "Scored", "low_data", "probe", "select", "splits", "subset_splits"]
