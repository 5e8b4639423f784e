"""Training: the config of a run, the network that it trains, the one loop."""

from .batch_norm import recompute_batch_norm
from .config import Execution, PretrainConfig, choose_device, choose_precision, config_of
from .loop import Outcome, evaluate, pretrain
from .network import Network, labels_of, load_model

__all__ = [
    "Execution",
    "Network",
    "Outcome",
    "PretrainConfig",
    "choose_device",
    "choose_precision",
    "config_of",
    "evaluate",
    "labels_of",
    "load_model",
    "pretrain",
    "recompute_batch_norm",
]
