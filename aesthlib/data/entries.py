"""A benchmark at the size of a network's input: what is judged, and what is asked of it."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from .benchmarks import Benchmark
from .photographs import Pack
from .unseen import Unseen


@dataclass(frozen=True)
class Entries:
    """Photographs with their classes, in one order.

    Attributes:
        batch_of: photographs of int64 indices, uint8 (n, 3, S, S).
        pack: the same as a pack to train on.
        positive: bool (N,), the class of the binary task.
        mos: float64 (N,) mean rating or known strength (negative, so that more is better); None
            where only the class is known.
        groups: int64 (N,); entries of one group never stand on both sides of a split; or None.
        test: bool (N,), the owner's test split; None where there is none.
        kinds: what each entry is, for reporting in parts; or None.
    """

    batch_of: Callable[[Tensor], Tensor]
    pack: Callable[[], Pack]
    positive: np.ndarray
    mos: np.ndarray | None = None
    groups: np.ndarray | None = None
    test: np.ndarray | None = None
    kinds: np.ndarray | None = None

    def __len__(self) -> int:
        return len(self.positive)


def rated(benchmark: Benchmark, pack: Pack, size_px: int) -> Entries:
    """Central crops of a benchmark's photographs, without those that could not be read.

    Args:
        pack: of the benchmark's sources, all splits.

    Raises:
        ValueError: the pack holds a photograph that the benchmark does not name.
    """
    row_of = {source.name: row for row, source in enumerate(benchmark.sources)}
    foreign = [name for name in pack.names if name not in row_of]
    if foreign:
        raise ValueError(
            f"{benchmark.name}: the pack holds {foreign[0]}, which the labels do not: pack again"
        )
    kept = np.array([row_of[name] for name in pack.names])
    test = None
    if benchmark.splits is not None:
        split = np.array(benchmark.splits)[kept]
        if (split == "validation").any():  # neither trained on nor judged
            chosen = np.flatnonzero(split != "validation")
            kept, split, pack = kept[chosen], split[chosen], pack.take(torch.from_numpy(chosen))
        test = split == "test"
    return Entries(
        batch_of=lambda index: pack.center_crops(index, size_px),
        pack=lambda: pack,
        positive=benchmark.positive[kept],
        mos=None if benchmark.mos is None else benchmark.mos[kept],
        groups=None if benchmark.groups is None else benchmark.groups[kept],
        test=test,
        kinds=None if benchmark.kinds is None else np.array(benchmark.kinds)[kept],
    )


def unseen(dataset: Unseen) -> Entries:
    """Pairs of patches under operations that no task trains on; judged by their strength."""
    return Entries(
        batch_of=dataset.batch_of,
        pack=dataset.pack,
        positive=dataset.positive,
        mos=-dataset.strength.astype(np.float64),
        groups=dataset.groups,
        kinds=np.asarray(dataset.operation),
    )
