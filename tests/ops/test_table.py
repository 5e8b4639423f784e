"""The level table against Table 1 of the paper, written out here a second time."""

import pytest
import torch

from aesthlib import ops
from aesthlib.ops import table

# attribute, operation, levels from mild to strong, whether it enters the triplet loss
TABLE_1 = [
    ("Much noise", "jpeg", (60, 10), True),
    ("Much noise", "gaussian_noise", (0.2, 0.8), True),
    ("Camera shake", "rotation", (90, 180, 270), False),
    ("Soft / Grainy", "downsampling", (4, 6), True),
    ("Soft / Grainy", "quantization", (64, 8), True),
    ("Soft / Grainy", "pixelation", (4, 8), True),
    ("Poor lighting", "exposure", (0.5, 3.0), False),
    ("Fuzzy", "gaussian_blur", (0.2, 0.8), True),
    ("Distracting", "patch_shuffle", (0.1, 0.5), True),
    ("Distracting", "mixup", (0.1, 0.4), True),
]


def test_rows_are_those_of_table_1():
    rows = [(row.attribute, row.name, row.levels, row.in_triplet) for row in ops.OPERATIONS]
    assert rows == TABLE_1


def test_classes_are_none_and_21_levels_in_order():
    names = ["none"] + [
        f"{name}/{level}" for _, name, levels, _ in TABLE_1 for level in range(1, len(levels) + 1)
    ]
    assert [item.name for item in ops.CLASSES] == names
    assert [item.index for item in ops.CLASSES] == list(range(22))
    assert ops.CLASSES[ops.NONE].operation is None


def test_presets_differ_in_the_blur_alone():
    for row in ops.OPERATIONS:
        assert row.values("paper") == row.levels
        expected = (1.0, 2.5) if row.name == "gaussian_blur" else row.levels
        assert row.values("calibrated") == expected


def test_table_as_a_frame_says_what_the_classes_say():
    frame = table.table()
    assert frame["name"].tolist() == [item.name for item in ops.CLASSES]
    assert frame["paper"].tolist()[1:] == [v for _, _, levels, _ in TABLE_1 for v in levels]
    assert frame["in_triplet"].sum() == 16
    assert frame.set_index("name").loc["gaussian_blur/2", "calibrated"] == 2.5
    assert frame["source"].eq("Sheng et al. 2020, Table 1").all()


@pytest.mark.parametrize("preset", ops.PRESETS)
def test_apply_passes_the_level_on(preset, speckled):
    image, partner = speckled(1, 16, 16), speckled(1, 16, 16, seed=1)
    for item in ops.CLASSES[1:]:
        value = item.operation.values(preset)[item.level - 1]
        given = [image, value, partner, torch.Generator().manual_seed(0), ops.Reading()]
        expected = item.operation.apply(*given)
        actual = ops.apply(
            image, item.index, partner, torch.Generator().manual_seed(0), preset=preset
        )
        assert torch.equal(actual, expected), item.name


def test_reading_reaches_noise_and_shuffle(speckled):
    image = speckled(1, 20, 20)
    reading = ops.Reading(noise_units="pixel", shuffle_block_px=5, shuffle="move")
    calls = {
        "gaussian_noise/1": lambda g: ops.gaussian_noise(image, 0.2, g, "pixel"),
        "patch_shuffle/2": lambda g: ops.patch_shuffle(image, 0.5, g, 5, "move"),
    }
    for item in ops.CLASSES:
        if item.name in calls:
            actual = ops.apply(
                image, item.index, image, torch.Generator().manual_seed(3), reading=reading
            )
            assert torch.equal(actual, calls[item.name](torch.Generator().manual_seed(3)))


@pytest.mark.parametrize(
    "fault, message",
    [
        (lambda x, g: ops.apply(x, 22, x, g), "class_index"),
        (lambda x, g: ops.apply(x, -1, x, g), "class_index"),
        (lambda x, g: ops.apply(x, 1, x, g, preset="strong"), "preset"),
        (lambda x, g: ops.apply(x.float(), 0, x, g), "images"),
        (lambda x, g: ops.operation("blur"), "unknown operation 'blur'; known: jpeg"),
        (lambda x, g: ops.Reading(noise_units="db"), "noise_units"),
        (lambda x, g: ops.Reading(shuffle="all"), "shuffle"),
        (lambda x, g: ops.Reading(shuffle_block_px=0), "shuffle_block_px"),
    ],
)
def test_errors_name_the_parameter(fault, message, speckled):
    with pytest.raises(ValueError, match=message):
        fault(speckled(1, 4, 4), torch.Generator())
