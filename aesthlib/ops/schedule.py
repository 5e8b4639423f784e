"""Which operations each patch gets, and their application grouped by class.

The paper edits each patch by three manipulations. Read here as three operation types a patch,
both levels of each (two of the three angles for rotation): the original and six versions.
"""

from dataclasses import dataclass

import torch
from torch import Generator, Tensor

from . import table
from .functional import check_images
from .table import CLASSES, NAMES, NONE, STANDARD, Reading

LEVELS_DRAWN = 2  # of each operation: a milder and a stronger version


@dataclass(frozen=True)
class Plan:
    """What a batch gets.

    Attributes:
        classes: int64 (N, K, 2) on the CPU: K operations a patch, the milder level first.
        ordered: bool (N, K) on the CPU: the pair enters the triplet loss.
        shift: the partner of image i in mixup is image (i + shift) mod N.
    """

    classes: Tensor
    ordered: Tensor
    shift: int

    @property
    def labels(self) -> Tensor:
        """int64 (N, 1 + 2K): None, then the class of every version."""
        return torch.nn.functional.pad(self.classes.flatten(1), (1, 0), value=NONE)


def draw(
    count: int, generator: Generator, operations: tuple[str, ...] = NAMES, per_patch: int = 3
) -> Plan:
    """Draw the operations of a batch.

    Args:
        count: patches N, ≥ 1.
        generator: on the CPU.
        operations: names to draw from, without replacement in a patch.
        per_patch: operations K a patch.

    Raises:
        ValueError: unknown names, or fewer operations than per_patch.
    """
    rows = [table.operation(name) for name in operations]
    if not 1 <= per_patch <= len(set(operations)) or len(set(operations)) < len(operations):
        raise ValueError(
            f"per_patch must lie in [1, {len(set(operations))}], the number of different "
            f"operations given, each named once; got per_patch={per_patch} and {operations}"
        )
    most = max(len(row.levels) for row in rows)
    first = torch.tensor([next(c.index for c in CLASSES if c.operation is row) for row in rows])
    levels = torch.tensor([len(row.levels) for row in rows])
    in_triplet = torch.tensor([row.in_triplet for row in rows])
    drawn = torch.rand(count, len(rows), generator=generator).argsort(dim=1, stable=True)
    drawn = drawn[:, :per_patch]  # (N, K) rows of the table
    keys = torch.rand(count, per_patch, most, generator=generator)
    keys.masked_fill_(torch.arange(most) >= levels[drawn][..., None], 2.0)
    pair = keys.argsort(dim=-1, stable=True)[..., :LEVELS_DRAWN].sort(-1).values
    shift = int(torch.randint(1, max(count, 2), (), generator=generator))
    return Plan(first[drawn][..., None] + pair, in_triplet[drawn], shift)


def degrade(
    images: Tensor,
    plan: Plan,
    generator: Generator,
    preset: str = "paper",
    reading: Reading = STANDARD,
) -> Tensor:
    """Make the versions of a batch, one call a class.

    Args:
        images: uint8 (N, 3, S, S), square since rotation keeps the shape.
        plan: from `draw`, for N patches; N ≥ 2 where mixup is drawn.
        generator: on the CPU.

    Returns:
        uint8 (N, 1 + 2K, 3, S, S) in channels-last order: the original, then its versions in the
        order of `plan.labels`.

    Raises:
        ValueError: images are not square or not as many as the plan's.
    """
    check_images(images)
    count, _, height, width = images.shape
    if height != width or count != len(plan.classes):
        raise ValueError(
            f"images must be {len(plan.classes)} square patches, got {tuple(images.shape)}"
        )
    labels = plan.labels
    patches = images.permute(0, 2, 3, 1).contiguous()
    patch = torch.arange(count).repeat_interleave(labels.shape[1])
    places, pieces = [], []  # class by class: where its versions belong, and what they are

    def take(index: Tensor) -> Tensor:
        return patches.index_select(0, index.to(images.device)).permute(0, 3, 1, 2)

    for class_index in labels.unique().tolist():
        places.append((labels.flatten() == class_index).nonzero().squeeze(1))
        source = patch[places[-1]]
        originals = partners = take(source)
        operation = CLASSES[class_index].operation
        if operation is not None and operation.name == "mixup":
            if count < 2:
                raise ValueError("mixup needs at least two images in the batch")
            partners = take((source + plan.shift) % count)
        degraded = table.apply(originals, class_index, partners, generator, preset, reading)
        pieces.append(degraded.permute(0, 2, 3, 1))
    order = torch.cat(places).argsort().to(images.device)
    versions = torch.cat(pieces).index_select(0, order)
    return versions.unflatten(0, labels.shape).permute(0, 1, 4, 2, 3)
