"""Which operations each patch gets, and their application grouped by class.

Which version goes where is worked out on the CPU, copied in one block, and nothing waits for the
device.

The paper edits each patch by three manipulations. Read here as three operation types a patch,
both levels of each (two of the three angles for rotation): the original and six versions.
"""

from dataclasses import dataclass, field

import torch
from torch import Generator, Tensor

from . import draws, table
from .functional import jpeg
from .images import check_images
from .table import CLASSES, NAMES, NONE, STANDARD, Reading

LEVELS_DRAWN = 2  # of each operation: a milder and a stronger version

_OF = {
    name: {item.index for item in CLASSES if item.operation and item.operation.name == name}
    for name in NAMES
}
# classes made in one call: those of JPEG, whose launches are many, together
_CALLS = [
    tuple(sorted(_OF["jpeg"])) if item.index in _OF["jpeg"] else (item.index,)
    for item in CLASSES
    if item.index not in _OF["jpeg"] or item.level == 1
]


@dataclass(frozen=True)
class Places:
    """A plan on a device, its N·(1 + 2K) versions in two orders: by patch and by class.

    Attributes:
        labels: int64 (N, 1 + 2K), see `Plan.labels`.
        ordered: bool (N, K), see `Plan.ordered`.
        source: int64, the patch of every version, class by class.
        partner: int64, the patch that mixup would blend it with, class by class.
        version: int64, where it stands in the order by class, patch by patch.
    """

    labels: Tensor
    ordered: Tensor
    source: Tensor
    partner: Tensor
    version: Tensor


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
    _places: dict[torch.device, Places] = field(default_factory=dict, repr=False, compare=False)

    @property
    def labels(self) -> Tensor:
        """int64 (N, 1 + 2K): None, then the class of every version."""
        return torch.nn.functional.pad(self.classes.flatten(1), (1, 0), value=NONE)

    def on(self, device: torch.device) -> Places:
        """The plan on a device: copied in one block the first time, kept from then on."""
        if device not in self._places:
            labels = self.labels
            count, each = labels.shape
            order = labels.flatten().argsort(stable=True)
            source = order // each
            arrays = [labels, self.ordered, source, (source + self.shift) % count, order.argsort()]
            self._places[device] = Places(*draws.sent(arrays, device))
        return self._places[device]


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
    if count < 2 and _OF["mixup"] & set(plan.classes.flatten().tolist()):
        raise ValueError("mixup needs at least two images in the batch")
    places = plan.on(images.device)
    patches = images.permute(0, 2, 3, 1).contiguous()
    counts = plan.labels.flatten().bincount(minlength=len(CLASSES)).tolist()

    def take(index: Tensor) -> Tensor:
        return patches.index_select(0, index).permute(0, 3, 1, 2)

    # one gather; on a CPU smaller ones, whose memory it keeps, are faster
    at_once = None if images.device.type == "cpu" else take(places.source)
    pieces, start = [], 0
    for alike in _CALLS:
        rows = slice(start, start + sum(counts[index] for index in alike))
        start = rows.stop
        if rows.start == rows.stop:
            continue
        originals = take(places.source[rows]) if at_once is None else at_once[rows]
        if len(alike) > 1:
            values = table.operation("jpeg").values(preset)
            qualities = [
                values[CLASSES[index].level - 1] for index in alike for _ in range(counts[index])
            ]
            degraded = jpeg(originals, qualities)
        else:
            mixed = alike[0] in _OF["mixup"]
            partners = take(places.partner[rows]) if mixed else originals
            degraded = table.apply(originals, alike[0], partners, generator, preset, reading)
        pieces.append(degraded.permute(0, 2, 3, 1))
    versions = torch.cat(pieces).index_select(0, places.version)
    return versions.unflatten(0, plan.labels.shape).permute(0, 1, 4, 2, 3)
