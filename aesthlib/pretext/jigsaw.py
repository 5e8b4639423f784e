"""Jigsaw: in which order were nine tiles laid?"""

import itertools
import math
from dataclasses import dataclass
from functools import cache

import numpy as np
import torch
from torch import Generator, Tensor, nn

from ..models import LAYERS
from ..ops import draws
from ..ops.images import to_uint8
from ..store import settings
from . import Measures, Task, classified, tiles

TILES = 9
FLATTEST = 0.02  # standard deviation after the door, about one level of 255


@cache
def permutations(count: int, seed: int) -> Tensor:
    """Orders of nine tiles that differ much, chosen greedily (Noroozi and Favaro 2016).

    The first is drawn. Each next one has the largest Hamming distance to the nearest of those
    before, and the largest sum to all of them among equals, then the first in lexicographic order.
    The paper's algorithm 1 takes the sum alone, which is equal for all once a Latin square is
    chosen: of its first ten, two may differ in two places only.

    Args:
        count: 1 … 9!.
        seed: of the draw.

    Returns:
        int64 (count, 9) without repetition; row p says which tile lies at each place.
    """
    orders = np.array(list(itertools.permutations(range(TILES))), dtype=np.uint8)
    columns = np.ascontiguousarray(orders.T)
    nearest = np.full(len(orders), TILES, dtype=np.int32)
    total = np.zeros(len(orders), dtype=np.int32)
    generator = torch.Generator().manual_seed(seed)
    chosen = [int(torch.randint(len(orders), (), generator=generator))]
    for _ in range(count - 1):
        last = chosen[-1]
        distance = (columns != columns[:, last, None]).sum(0, dtype=np.int32)
        np.minimum(nearest, distance, out=nearest)  # 0 for those chosen
        total += distance
        best = np.flatnonzero(nearest == nearest.max())
        chosen.append(int(best[total[best].argmax()]))
    return torch.from_numpy(orders[chosen].astype(np.int64))


def standardize(values: Tensor) -> Tensor:
    """Give each channel of each tile mean 0 and standard deviation 1, flat ones a smaller one.

    Args:
        values: float (M, 3, t, t), as they come from a backbone's door.
    """
    spread, mean = torch.std_mean(values, (2, 3), correction=0, keepdim=True)
    return (values - mean) / spread.clamp(min=FLATTEST)


class Jigsaw(Task):
    """Noroozi and Favaro, "Unsupervised learning of visual representations by solving jigsaw
    puzzles", ECCV 2016.

    As there: 3 × 3 cells with a tile at a random place in each (64 px in 75 px); permutations far
    from each other; one network for the nine tiles, whose features are joined in the order in
    which the tiles lie; and the guards, each against a shortcut: every tile standardized by its
    own mean and standard deviation (brightness runs on), a gap (so do edges), channels displaced
    by up to 2 px and 30 % of the puzzles grey (chromatic aberration, which that hides in part).
    Otherwise:

    - Tiles are standardized between the backbone's door and its first stage, not in uint8, whose
      rounding and clipping would leave the statistics unequal. Features are extracted without.
    - Tiles keep a gap at any draw, and are enlarged to 67 px; the first layer keeps stride 4
      (2 there).
    - Permutations are chosen by the nearest distance, see `permutations`.
    - A small head (`Siamese`) in place of fc6 to fc8; patches are the crops that
      every task gets, not squares that were enlarged to 255 px.
    """

    @dataclass(frozen=True)
    class Options:
        """What the task can be told. Lengths are pixels of patches of 227 px, scaled with them.

        Attributes:
            permutations: that are told apart. Paper: 1000.
            puzzles_per_patch: orders in which the same tiles are laid in a step. Paper: 1.
            tile_px: side of a tile, in cells of a third of the patch. Paper: 64.
            gap_px: least gap between neighbours of one channel and another.
            channel_jitter_px: largest displacement of each channel of each tile. Paper: 2.
            grey: share of the patches without colour. Paper: 0.3.
        """

        permutations: int = 1000
        puzzles_per_patch: int = 1
        tile_px: int = 64
        gap_px: int = 2
        channel_jitter_px: int = 2
        grey: float = 0.3

        def __post_init__(self):
            settings.settle(self)
            settings.hold(
                self,
                {
                    "permutations": 2,
                    "puzzles_per_patch": 1,
                    "tile_px": 1,
                    "gap_px": 0,
                    "channel_jitter_px": 0,
                    "grey": 0,
                },
            )
            if self.permutations > math.factorial(TILES):
                raise ValueError(f"permutations must be at most 9!, got {self.permutations}")
            if self.grey > 1:
                raise ValueError(f"grey must lie in [0, 1], got {self.grey}")
            self.grid(tiles.PAPER_PX)

        def grid(self, size_px: int) -> tuple[int, int, int, int]:
            """Cell, tile, channel jitter and free room in patches of size_px, in pixels.

            Raises:
                ValueError: the tiles do not fit.
            """
            lengths = (self.tile_px, self.gap_px, self.channel_jitter_px)
            gap, jitter = (tiles.scaled(px, size_px) for px in lengths[1:])
            cell, tile = size_px // 3, self.tile_px * size_px // tiles.PAPER_PX
            room = cell - tile - gap - 2 * jitter
            if room < 0:
                raise ValueError(
                    f"tile_px, gap_px, channel_jitter_px: {lengths} do not fit in cells of {cell} "
                    f"px of patches of {size_px} px"
                )
            return cell, tile, jitter, room

    def __init__(self, backbone: nn.Module, options: Options, seed: int):
        super().__init__(backbone, options, seed)
        self.chance = 1 / options.permutations
        self.register_buffer("orders", permutations(options.permutations, seed).clone())
        self.head = tiles.Siamese(backbone.channels[LAYERS[-1]], TILES, options.permutations, seed)

    def tiles(self, photographs: Tensor, generator: Generator) -> Tensor:
        """Nine tiles of each patch, row by row, at random places in their cells.

        Args:
            photographs: uint8 (N, 3, S, S).
            generator: on the CPU.

        Returns:
            uint8 (N, 9, 3, t, t).
        """
        count, options = len(photographs), self.options
        cell, tile, jitter, room = options.grid(photographs.shape[-1])
        grey = torch.nonzero(torch.rand(count, generator=generator) < options.grey).flatten()
        places = torch.randint(room + 1, (2, count, TILES, 1), generator=generator)
        shifts = torch.randint(2 * jitter + 1, (2, count, TILES, 3), generator=generator)
        shifts[:, grey] = jitter  # a mean of channels that lie upon each other
        place = cell * torch.arange(3)
        rows, columns = (x.flatten()[:, None] for x in torch.meshgrid(place, place, indexing="ij"))
        top, left = rows + places[0] + shifts[0], columns + places[1] + shifts[1]  # (N, 9, 3)
        cut = tiles.cut(photographs, top.flatten(1), left.flatten(1), tile)  # (N, 27, 3, t, t)
        cut = cut.unflatten(1, (TILES, 3)).diagonal(dim1=2, dim2=3).movedim(-1, 2).contiguous()
        (grey,) = draws.sent([grey], cut.device)
        cut[grey] = to_uint8(cut[grey].float().mean(2, keepdim=True)).expand_as(cut[grey])
        return cut

    @torch.no_grad()
    def prepare(self, photographs: Tensor, generator: Generator) -> tuple:
        """The tiles as the network sees them, uint8 (9·N, 3, t, t), and K permutations a patch.

        Those are int64 (N, K), rows of `orders`.
        """
        views = tiles.enlarge(self.tiles(photographs, generator).flatten(0, 1))
        drawn = (len(photographs), self.options.puzzles_per_patch)
        labels = torch.randint(len(self.orders), drawn, generator=generator)
        return (views, *draws.sent([labels], views.device))

    def learn(self, backbone: nn.Module, batch: tuple, epoch: int) -> tuple[Tensor, Measures]:
        views, labels = batch
        with torch.autocast(views.device.type, enabled=False):  # whose rounding would bias means
            values = standardize(backbone.door(views))
        for stage in backbone.stages.values():
            values = stage(values)
        logits = self.head(values, self.orders[labels])
        return classified(logits, labels.flatten(), len(views))
