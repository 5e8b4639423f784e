"""Batches, each prepared while the one before is learned from."""

from collections.abc import Iterable, Iterator

import torch
from torch import Generator, Tensor

from .. import pretext
from ..data.photographs import Pack
from ..ops import draws


def batches(
    task: pretext.Task,
    photographs: Pack,
    indices: Iterable[Tensor],
    side_px: int,
    generator: Generator,
    device: str,
    classes: Tensor | None = None,
) -> Iterator[tuple]:
    """What a task prepares of random crops, one batch of photographs after the other.

    On CUDA a second stream crops and degrades, and nothing waits on the CPU, so the next batch is
    made while the network is busy with this one. Elsewhere it is made when it is asked for. The
    bytes are the same.

    Args:
        photographs: on the device, or on the CPU where they are too many for it.
        indices: int64 (N,) photographs of each batch.
        side_px: of the crops.
        generator: on the CPU; draws come in the order of the batches.
        classes: int64 of each photograph, for a supervised task.
    """

    def prepare(index: Tensor) -> tuple:
        patches = photographs.random_crops(index, side_px, generator)
        labels = [] if classes is None else draws.sent([classes[index]], device)
        if photographs.pixels.device.type == "cpu":
            (pixels,) = draws.sent([patches.permute(0, 2, 3, 1)], device)
            patches = pixels.permute(0, 3, 1, 2)
        return task.prepare(patches, generator, *labels)

    if torch.device(device).type != "cuda":
        yield from map(prepare, indices)
        return
    network = torch.cuda.current_stream(device)
    side = torch.cuda.Stream(device)
    side.wait_stream(network)  # on which the photographs came
    for index in indices:
        with torch.cuda.stream(side):
            batch = prepare(index)
        network.wait_stream(side)
        for part in batch:
            if isinstance(part, Tensor):
                part.record_stream(network)  # lest its memory be used anew too early
        yield batch
