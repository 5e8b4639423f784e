"""Which kernels a GPU takes for a training, and what it means that one fails."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch

from .config import PretrainConfig


@contextmanager
def chosen(device: str, deterministic: bool) -> Iterator[None]:
    """On CUDA, the fastest convolutions or only deterministic kernels; as before at the end."""
    if torch.device(device).type != "cuda":
        yield
        return
    cudnn = torch.backends.cudnn
    before = cudnn.benchmark, cudnn.deterministic
    strict = torch.are_deterministic_algorithms_enabled()
    warns = torch.is_deterministic_algorithms_warn_only_enabled()
    try:
        cudnn.benchmark, cudnn.deterministic = not deterministic, deterministic
        if deterministic:
            torch.use_deterministic_algorithms(True, warn_only=True)
        yield
    finally:
        cudnn.benchmark, cudnn.deterministic = before
        torch.use_deterministic_algorithms(strict, warn_only=warns)


@contextmanager
def explained(config: PretrainConfig, device: str) -> Iterator[None]:
    """Say what to do where a batch does not fit the GPU's memory. Raises MemoryError."""
    try:
        yield
    except torch.OutOfMemoryError as error:
        free, total = (count / 2**30 for count in torch.cuda.mem_get_info(device))
        raise MemoryError(
            f"batch_size: a step of {config.method} with {config.batch_size} patches of "
            f"{config.size_px} px does not fit the memory of {device}, {total:.0f} GiB of which "
            f"{free:.1f} GiB are free now: take fewer patches, say {config.batch_size // 2}, or "
            "end what else runs there; the last checkpoint is kept"
        ) from error
