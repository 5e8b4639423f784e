"""The level table: the one place where operations, levels and classes are written down.

Table 1 of the paper: ten operations, 21 levels, and None make 22 classes. Levels count from
mild to strong. The preset "paper" holds the printed values; "calibrated" differs where a
printed value cannot be seen in 8 bits. Attributes are our reading of the table's merged cells.
"""

from collections.abc import Callable
from dataclasses import dataclass, field

from torch import Generator, Tensor

from . import functional as ops
from .images import check_images, check_whole

PRESETS = ("paper", "calibrated")
SOURCE = "Sheng et al. 2020, Table 1"


@dataclass(frozen=True)
class Reading:
    """Readings of what the paper leaves open; the defaults are the study's.

    Attributes:
        noise_units: "standardized" or "pixel", see `functional.gaussian_noise`.
        shuffle_block_px: pixels a side of a block in patch shuffle.
        shuffle: "within" or "move", see `functional.patch_shuffle`.

    Raises:
        ValueError: a value that the operations do not know.
    """

    noise_units: str = "standardized"
    shuffle_block_px: int = 8
    shuffle: str = "within"

    def __post_init__(self):
        for name, known in (("noise_units", ops.NOISE_UNITS), ("shuffle", ops.SHUFFLES)):
            if getattr(self, name) not in known:
                raise ValueError(
                    f"{name} must be one of {', '.join(known)}, got {getattr(self, name)!r}"
                )
        check_whole("shuffle_block_px", self.shuffle_block_px, 1, ops.LARGEST_BLOCK_PX)


STANDARD = Reading()


@dataclass(frozen=True)
class Operation:
    """A row of Table 1.

    Attributes:
        name: identifier, also the name in class labels.
        attribute: the photographic flaw it stands for.
        parameter: what a level is.
        unit: of the parameter; "" for a pure number.
        in_triplet: whether its levels are ordered and enter the triplet loss (eq. 2).
        levels: values of the preset "paper", mild to strong.
        apply: function of (images, value, partners, generator, reading).
        identity: the value that leaves a photograph as it is; None where there is none.
        calibrated: values of the preset "calibrated"; None where they are the paper's.
        source: of the levels.
    """

    name: str
    attribute: str
    parameter: str
    unit: str
    in_triplet: bool
    levels: tuple[float, ...]
    apply: Callable[[Tensor, float, Tensor, Generator, Reading], Tensor] = field(repr=False)
    identity: float | None = None
    calibrated: tuple[float, ...] | None = None
    source: str = SOURCE

    def values(self, preset: str) -> tuple[float, ...]:
        """Parameter values of a preset, mild to strong. Raises ValueError for an unknown preset."""
        if preset not in PRESETS:
            raise ValueError(f"preset must be one of {', '.join(PRESETS)}, got {preset!r}")
        return self.calibrated if preset == "calibrated" and self.calibrated else self.levels


OPERATIONS: tuple[Operation, ...] = (
    Operation(
        "jpeg", "Much noise", "quality", "", True, (60, 10),
        lambda x, v, partners, g, reading: ops.jpeg(x, v),
    ),
    Operation(
        "gaussian_noise", "Much noise", "variance", "standardized channel²", True, (0.2, 0.8),
        lambda x, v, partners, g, reading: ops.gaussian_noise(x, v, g, reading.noise_units),
        identity=0.0,
    ),
    Operation(
        "rotation", "Camera shake", "angle", "degrees", False, (90, 180, 270),
        lambda x, v, partners, g, reading: ops.rotate(x, v),
        identity=0,
    ),
    Operation(
        "downsampling", "Soft / Grainy", "factor", "px a side", True, (4, 6),
        lambda x, v, partners, g, reading: ops.downsample(x, v),
        identity=1,
    ),
    Operation(
        "quantization", "Soft / Grainy", "levels a channel", "", True, (64, 8),
        lambda x, v, partners, g, reading: ops.quantize(x, v),
        identity=256,
    ),
    Operation(
        "pixelation", "Soft / Grainy", "block", "px a side", True, (4, 8),
        lambda x, v, partners, g, reading: ops.pixelate(x, v),
        identity=1,
    ),
    Operation(
        "exposure", "Poor lighting", "factor", "", False, (0.5, 3.0),
        lambda x, v, partners, g, reading: ops.expose(x, v),
        identity=1.0,
    ),
    Operation(
        "gaussian_blur", "Fuzzy", "sigma", "px", True, (0.2, 0.8),
        lambda x, v, partners, g, reading: ops.gaussian_blur(x, v),
        identity=0.0,
        calibrated=(1.0, 2.5),  # σ = 0.2 px is the identity in 8 bits
    ),
    Operation(
        "patch_shuffle", "Distracting", "fraction of blocks", "", True, (0.1, 0.5),
        lambda x, v, partners, g, reading: ops.patch_shuffle(
            x, v, g, reading.shuffle_block_px, reading.shuffle
        ),
        identity=0.0,
    ),
    Operation(
        "mixup", "Distracting", "alpha", "", True, (0.1, 0.4),
        lambda x, v, partners, g, reading: ops.mixup(x, v, partners),
        identity=0.0,
    ),
)  # fmt: skip

NAMES: tuple[str, ...] = tuple(operation.name for operation in OPERATIONS)
NONE = 0  # the class of a photograph as it is


def operation(name: str) -> Operation:
    """The row of that name. Raises ValueError, with the known names."""
    if name not in NAMES:
        raise ValueError(f"unknown operation {name!r}; known: {', '.join(NAMES)}")
    return OPERATIONS[NAMES.index(name)]


@dataclass(frozen=True)
class DegradationClass:
    """One of the 22 classes: `index` in 0 … 21, `operation` None for class 0, `level` from 1."""

    index: int
    operation: Operation | None
    level: int

    @property
    def name(self) -> str:
        return f"{self.operation.name}/{self.level}" if self.operation else "none"


CLASSES: tuple[DegradationClass, ...] = (DegradationClass(NONE, None, 0),) + tuple(
    DegradationClass(index, row, level)
    for index, (row, level) in enumerate(
        ((row, level) for row in OPERATIONS for level in range(1, len(row.levels) + 1)), start=1
    )
)


def apply(
    images: Tensor,
    class_index: int,
    partners: Tensor,
    generator: Generator,
    preset: str = "paper",
    reading: Reading = STANDARD,
) -> Tensor:
    """Degrade every image as one class says.

    Args:
        images: uint8 (N, 3, H, W).
        class_index: 0 … 21; 0 (None) returns the input.
        partners: uint8 (N, 3, H, W), what mixup blends in.
        generator: on the CPU.
        preset: "paper" or "calibrated".

    Returns:
        uint8 (N, 3, H, W); rotation by 90° or 270° swaps H and W.

    Raises:
        ValueError: unknown class or preset, or images of another kind.
    """
    if not 0 <= class_index < len(CLASSES):
        raise ValueError(f"class_index must lie in [0, {len(CLASSES) - 1}], got {class_index}")
    chosen = CLASSES[class_index]
    if chosen.operation is None:
        check_images(images)
        return images.clone()
    value = chosen.operation.values(preset)[chosen.level - 1]
    return chosen.operation.apply(images, value, partners, generator, reading)


def table():
    """The 22 classes as a pandas DataFrame, one row each, with the values of both presets."""
    import pandas as pd

    rows = []
    for item in CLASSES:
        row = item.operation
        rows.append(
            {
                "class": item.index,
                "name": item.name,
                "attribute": row.attribute if row else "",
                "operation": row.name if row else "none",
                "level": item.level,
                "parameter": row.parameter if row else "",
                "unit": row.unit if row else "",
                **{p: row.values(p)[item.level - 1] if row else None for p in PRESETS},
                "in_triplet": row.in_triplet if row else False,
                "source": row.source if row else SOURCE,
            }
        )
    return pd.DataFrame(rows)
