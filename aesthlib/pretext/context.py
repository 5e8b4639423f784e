"""Context: where does one tile of a photograph lie, seen from another?"""

from dataclasses import dataclass

import torch
from torch import Generator, Tensor, nn

from ..models import LAYERS
from ..store import settings
from . import Measures, Task, classified, tiles

GUARDS = ("drop", "project", "none")
CENTRE = 4  # of nine tiles, row by row
AROUND = (0, 1, 2, 3, 5, 6, 7, 8)  # the tile of each of the eight classes


class Context(Task):
    """Doersch, Gupta and Efros, "Unsupervised visual representation learning by context
    prediction", ICCV 2015.

    As there: 3 × 3 tiles with a gap of half a tile, each displaced at random, so that no line or
    texture runs on from one to the next; the eight positions around the centre; a guard against
    chromatic aberration; one network for both tiles of a pair. Otherwise:

    - The grid fills the patch that every task gets, so tiles have 53 px of 227 (96 px there) and
      are enlarged to 67 px; displacements are larger against the tile.
    - The pairs of a grid are its centre with each neighbour, so that classes are equally frequent.
    - A small head (`Siamese`) in place of fc6 to fc9: a layer for each tile, then the pair joined.
    - No random downsampling of tiles, and dropped colours become ImageNet's mean.
    """

    @dataclass(frozen=True)
    class Options:
        """What the task can be told. Lengths are pixels of patches of 227 px, scaled with them.

        Attributes:
            gap_px: between neighbouring tiles before they are displaced; the tiles fill the rest.
            jitter_px: largest displacement of a tile, up, down, left and right. Paper: 7.
            guard: against chromatic aberration: "drop" two channels of each tile (`drop_colours`),
                "project" the axis from green to magenta away (`project_colours`), or "none".
        """

        gap_px: int = 27
        jitter_px: int = 7
        guard: str = "drop"

        def __post_init__(self):
            settings.settle(self)
            settings.hold(self, {"gap_px": 0, "jitter_px": 0})
            if self.guard not in GUARDS:
                raise ValueError(f"guard must be one of {', '.join(GUARDS)}, got {self.guard!r}")
            self.grid(tiles.PAPER_PX)

        def grid(self, size_px: int) -> tuple[int, int, int]:
            """Side of a tile, gap and jitter in patches of size_px, in pixels.

            Raises:
                ValueError: nothing is left for the tiles.
            """
            gap, jitter = (tiles.scaled(px, size_px) for px in (self.gap_px, self.jitter_px))
            tile = (size_px - 2 * gap - 2 * jitter) // 3
            if tile < 1:
                raise ValueError(
                    f"gap_px, jitter_px: {self.gap_px} and {self.jitter_px} leave no pixel of "
                    f"patches of {size_px} px for the tiles"
                )
            return tile, gap, jitter

    def __init__(self, backbone: nn.Module, options: Options, seed: int):
        super().__init__(backbone, options, seed)
        self.chance = 1 / len(AROUND)
        self.head = tiles.Siamese(backbone.channels[LAYERS[-1]], 2, len(AROUND), seed)
        pairs = torch.tensor([(CENTRE, tile) for tile in AROUND])  # (8, 2)
        self.register_buffer("pairs", pairs, persistent=False)

    def tiles(self, photographs: Tensor, generator: Generator) -> Tensor:
        """Nine tiles of each patch, row by row, displaced and guarded.

        Args:
            photographs: uint8 (N, 3, S, S).
            generator: on the CPU.

        Returns:
            uint8 (N, 9, 3, t, t).
        """
        tile, gap, jitter = self.options.grid(photographs.shape[-1])
        place = jitter + (tile + gap) * torch.arange(3)
        rows, columns = torch.meshgrid(place, place, indexing="ij")
        shift = torch.randint(-jitter, jitter + 1, (2, len(photographs), 9), generator=generator)
        top, left = rows.flatten() + shift[0], columns.flatten() + shift[1]
        cut = tiles.cut(photographs, top, left, tile)
        if self.options.guard == "none":
            return cut
        flat = cut.flatten(0, 1)
        if self.options.guard == "drop":
            return tiles.drop_colours(flat, generator).view_as(cut)
        return tiles.project_colours(flat).view_as(cut)

    @torch.no_grad()
    def prepare(self, photographs: Tensor, generator: Generator) -> tuple:
        """The tiles as the network sees them, uint8 (9·N, 3, t, t), those of a patch together."""
        return (tiles.enlarge(self.tiles(photographs, generator).flatten(0, 1)),)

    def learn(self, backbone: nn.Module, batch: tuple, epoch: int) -> tuple[Tensor, Measures]:
        (views,) = batch
        count = len(views) // 9
        maps = backbone(views)[LAYERS[-1]]
        logits = self.head(maps, self.pairs.expand(count, -1, -1))
        labels = torch.arange(len(AROUND), device=logits.device).repeat(count)
        return classified(logits, labels, len(views))
