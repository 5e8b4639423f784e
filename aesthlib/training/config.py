"""What a pretraining run is, and where it runs."""

from dataclasses import dataclass, fields

import torch

from .. import models, pretext
from ..store import settings


@dataclass(frozen=True)
class PretrainConfig:
    """What a pretraining run is. Defaults are the paper's, or our reading where it is silent.

    Attributes:
        method: a pretext task, see `pretext.TASKS`.
        backbone: "alexnet" or "resnet18".
        size_px: side of the patches.
        shorter_edge_px: of the packed photographs.
        epochs: passes over the photographs (not stated in the paper, more than 30).
        crops_per_photograph: patches of each photograph in an epoch.
        batch_size: patches a step.
        learning_rate: at the start.
        learning_rate_drop: factor after every so many epochs.
        drop_every_epochs: epochs between drops.
        momentum: Nesterov's.
        weight_decay: on all parameters.
        precision: "fp32", "bf16" (autocast) or "auto": bf16 where the device is fast at it.
        seed: of the weights, the crops and the draws.
        options: of the task, see its `Options`; None for its defaults.
    """

    method: str = "degradation"
    backbone: str = "alexnet"
    size_px: int = 227
    shorter_edge_px: int = 256
    epochs: int = 60
    crops_per_photograph: int = 1
    batch_size: int = 64
    learning_rate: float = 0.1
    learning_rate_drop: float = 0.2
    drop_every_epochs: int = 10
    momentum: float = 0.9
    weight_decay: float = 5e-4
    precision: str = "auto"
    seed: int = 0
    options: object = None

    def __post_init__(self):
        settings.settle(self)
        task = pretext.task(self.method)
        if self.options is None:
            object.__setattr__(self, "options", task.Options())
        elif not isinstance(self.options, task.Options):
            raise ValueError(f"options must be {self.method}'s Options, got {self.options!r}")
        if self.backbone not in models.BACKBONES:
            raise ValueError(
                f"backbone must be one of {', '.join(models.BACKBONES)}, got {self.backbone!r}"
            )
        smallest = models.SMALLEST_PX[self.backbone]
        largest = self.shorter_edge_px - task.margin_px
        if not smallest <= self.size_px <= largest:
            less = f" - {task.margin_px}" if task.margin_px else ""
            raise ValueError(
                f"size_px must lie in [{smallest}, shorter_edge_px{less} = {largest}] for "
                f"{self.backbone}, got {self.size_px}"
            )
        settings.hold(
            self,
            {
                "epochs": 1,
                "crops_per_photograph": 1,
                "drop_every_epochs": 1,
                "batch_size": 2,
                "learning_rate_drop": 0,
                "momentum": 0,
                "weight_decay": 0,
            },
        )
        if not self.learning_rate > 0:
            raise ValueError(f"learning_rate must be positive, got {self.learning_rate}")
        if self.precision not in ("auto", "bf16", "fp32"):
            raise ValueError(f"precision must be auto, bf16 or fp32, got {self.precision!r}")

    def learning_rate_at(self, epoch: int) -> float:
        """Learning rate of an epoch, from 0."""
        return self.learning_rate * self.learning_rate_drop ** (epoch // self.drop_every_epochs)


@dataclass(frozen=True)
class Execution:
    """How a run is computed, which does not name it.

    Attributes:
        deterministic: take only kernels on CUDA that give the same bits in every run, at some cost
            of speed. Crops and draws are always the same, on a CPU so is all else, and resuming
            is exact. On CUDA without this switch, kernels are chosen by their speed and some add
            up in any order: a resumed run sees the same batches, and its weights agree with those
            of one that was not stopped as far as two such runs agree. PyTorch has no such kernel
            for the averages of the tasks `context` and `jigsaw`, and warns; it needs
            CUBLAS_WORKSPACE_CONFIG=:4096:8 in the environment.
        compiled: compile the backbone; minutes at the start, not faster on a CPU. Weights and
            checkpoints stay the same, rounding may differ.
    """

    deterministic: bool = False
    compiled: bool = False


def config_of(record: dict) -> PretrainConfig:
    """The config of a training from its record or checkpoint header; other settings are ignored.

    Raises:
        ValueError: the settings are not those of a training.
    """
    settings = record["config"]
    try:
        chosen = {item.name: settings[item.name] for item in fields(PretrainConfig)}
        return PretrainConfig(
            **chosen | {"options": pretext.task(chosen["method"]).Options(**chosen["options"])}
        )
    except (KeyError, TypeError) as error:
        raise ValueError(f"not the settings of a training: {error}") from error


def choose_device(name: str = "auto") -> str:
    """ "cuda" where there is one, else "cpu"; a named device is checked.

    Raises:
        ValueError: the device is not there.
    """
    if name == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    try:
        torch.empty(0, device=name)
    except (RuntimeError, AssertionError) as error:
        raise ValueError(f"device {name!r} is not available: {error}") from error
    return name


def choose_precision(precision: str, device: str) -> str:
    """Resolve "auto": bf16 on CUDA and on CPUs with AMX or AVX-512 bf16, else fp32."""
    if precision != "auto":
        return precision
    if torch.device(device).type == "cuda":
        return "bf16"
    probes = ("_is_amx_tile_supported", "_is_avx512_bf16_supported")
    fast = any(getattr(torch.cpu, probe, lambda: False)() for probe in probes)
    return "bf16" if fast else "fp32"
