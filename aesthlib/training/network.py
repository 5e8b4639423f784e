"""A network: backbone and task head, built in one place; its forward pass is the training step."""

from pathlib import Path

import torch
from torch import Tensor, nn

from .. import pretext
from ..data.photographs import Pack
from ..store import checkpoints
from .config import PretrainConfig, config_of


class Network(nn.Module):
    """A backbone with the head of a pretext task.

    One module, so that what wraps a module (DistributedDataParallel, torch.compile) wraps the step.

    Args:
        config: says which task, backbone and options.
        seed: of the weights; None takes the config's.

    Attributes:
        backbone: uint8 (N, 3, H, W) to the taps conv1 … conv5.
        task: the head, see `pretext.Task`.
    """

    def __init__(self, config: PretrainConfig, seed: int | None = None):
        super().__init__()
        seed = config.seed if seed is None else seed
        method = pretext.task(config.method)
        self.backbone = method.build(config.backbone, seed)
        self.task = method(self.backbone, config.options, seed)

    def forward(self, batch: tuple, epoch: int) -> tuple[Tensor, pretext.Measures]:
        """A step: the task's loss on a batch, and its measures.

        Args:
            batch: from the task's `prepare`.
            epoch: from 0; tasks may switch parts of their loss on.
        """
        return self.task.learn(self.backbone, batch, epoch)


def load_model(folder: Path, sha256: str, device: str) -> Network:
    """The network of a run, frozen, in evaluation mode.

    Args:
        folder: of the run's checkpoint.
        sha256: of the checkpoint, as the run's record names it.
        device: "cpu" or "cuda".

    Raises:
        FileNotFoundError: folder holds no checkpoint.
        ValueError: the checkpoint was altered or is not the one of the record.
    """
    loaded = checkpoints.load(folder)
    if loaded is None:
        raise FileNotFoundError(
            f"{folder} holds no checkpoint: put the run's there or delete its record"
        )
    tensors, header = loaded
    if header["sha256"] != sha256:
        raise ValueError(
            f"{folder} holds checkpoint {header['sha256'][:16]}, not {sha256[:16]} of the run's "
            "record: restore it, or delete both to train again"
        )
    prefix = "model."
    weights = {k.removeprefix(prefix): t for k, t in tensors.items() if k.startswith(prefix)}
    return frozen(config_of(header), weights).to(device, memory_format=torch.channels_last)


def frozen(config: PretrainConfig, weights: dict[str, Tensor]) -> Network:
    """A network with given weights (its state dict), in evaluation mode, without gradients."""
    network = Network(config, seed=0)
    network.load_state_dict(weights)
    return network.eval().requires_grad_(False)


def labels_of(photographs: Pack) -> Tensor:
    """Class of each photograph, int64 (N,), in the order of the sorted labels."""
    known = {label: index for index, label in enumerate(sorted(set(photographs.labels)))}
    return torch.tensor([known[label] for label in photographs.labels])
