"""The benchmark of unseen operations."""

import dataclasses

import numpy as np
import pytest
import torch

from aesthlib import ops
from aesthlib.data import embedded, photographs, unseen

SIZES = [(1, 1), (2, 1), (1, 5), (3, 3), (31, 17), (48, 48)]
LEVELS = range(1, unseen.STRENGTHS + 1)
each_operation = pytest.mark.parametrize("name", unseen.OPERATIONS)
each_size = pytest.mark.parametrize("size", SIZES, ids=str)
FUNCTIONS = {**unseen.OPERATIONS, **{f.__name__: f for f in unseen.CONTROLS.values()}}
each_function = pytest.mark.parametrize("name", FUNCTIONS)


def control(name):
    return unseen.CONTROLS.get(name, lambda images, strength: images)


def change(one, other):
    return (one.float() - other.float()).abs().mean((1, 2, 3))


@pytest.fixture(scope="module")
def pack(tmp_path_factory):
    target = tmp_path_factory.mktemp("unseen") / "pack"
    photographs.pack(embedded.sources(), target, 96, "embedded")
    return photographs.load(target, "probe")


@pytest.fixture(scope="module")
def benchmark(pack):
    return unseen.Unseen(pack, size_px=80, pairs=30)


# --- operations --------------------------------------------------------------------------------


def test_there_are_at_least_eight_and_none_is_one_that_tasks_train_on():
    assert len(unseen.OPERATIONS) == 10
    assert not set(unseen.OPERATIONS) & set(ops.NAMES)


@each_operation
def test_an_operation_changes_photographs_more_the_stronger_it_is(name, pack):
    patches = pack.center_crops(torch.arange(len(pack)), 80)
    original = patches.clone()
    steps = [change(unseen.OPERATIONS[name](patches, s), control(name)(patches, s)) for s in LEVELS]
    assert (steps[0] > 0.3).all()
    assert steps[0].mean() < steps[1].mean() < steps[2].mean()
    # of fine gravel, shifted rows know nothing of each other after two pixels already
    assert (0.98 * steps[0] < steps[1]).all() and (0.98 * steps[1] < steps[2]).all()
    assert torch.equal(patches, original)


@each_function
@each_size
def test_shape_and_type_are_kept_and_strength_0_is_the_identity(name, size, speckled):
    images = speckled(2, *size)
    for strength in (0, *LEVELS):
        result = FUNCTIONS[name](images, strength)
        assert result.shape == images.shape and result.dtype == torch.uint8
        assert result.data_ptr() != images.data_ptr()
    assert torch.equal(FUNCTIONS[name](images, 0), images)


@each_function
def test_a_batch_equals_its_photographs_one_by_one(name, smooth):
    images = smooth(5, 37, 52)
    together = FUNCTIONS[name](images, 2)
    assert torch.equal(together, torch.cat([FUNCTIONS[name](i[None], 2) for i in images]))
    strided = images.contiguous(memory_format=torch.channels_last)
    assert torch.equal(together, FUNCTIONS[name](strided, 2))


@pytest.mark.gpu
@each_function
@each_size
def test_cuda_equals_cpu(name, size, smooth):
    images = smooth(3, *size)
    for strength in LEVELS:
        result = FUNCTIONS[name](images.cuda(), strength)
        assert result.is_cuda
        expected = FUNCTIONS[name](images, strength)
        assert (result.cpu().int() - expected.int()).abs().max() <= 1  # halves may turn either way


@each_function
@pytest.mark.parametrize(
    ("images", "strength", "message"),
    [
        (torch.zeros(1, 3, 8, 8), 1, "images must be uint8"),
        (torch.zeros(3, 8, 8, dtype=torch.uint8), 1, "images must be uint8"),
        (torch.zeros(1, 3, 8, 8, dtype=torch.uint8), 4, "strength must be a whole number in"),
        (torch.zeros(1, 3, 8, 8, dtype=torch.uint8), 1.5, "strength must be a whole number in"),
    ],
    ids=["float", "no batch", "strength 4", "strength 1.5"],
)
def test_wrong_images_and_strengths_are_refused(name, images, strength, message):
    with pytest.raises(ValueError, match=message):
        FUNCTIONS[name](images, strength)


def flat(*colour, side=32):
    return torch.tensor(colour, dtype=torch.uint8).view(1, 3, 1, 1).expand(1, 3, side, side)


@pytest.mark.parametrize("strength", LEVELS)
def test_the_documented_values(strength):
    grey = flat(100, 100, 100)
    factor = 1 + 0.15 * strength
    cast = unseen.colour_cast(grey, strength)[0, :, 0, 0]
    assert cast.tolist() == [round(100 * factor), 100, round(100 / factor)]
    corner = unseen.vignette(grey, strength)[0, 0, 0, 0]
    assert corner == round(100 * (1 - 0.3 * strength))
    veiled = unseen.haze(grey, strength)[0, 0, 0, 0]
    assert veiled == round(100 + 0.15 * strength * 155)
    wave = unseen.banding(grey, strength)[0, 0, :, 0]
    assert (wave.max() - 100, 100 - wave.min()) == (8 * strength, 8 * strength)
    assert torch.equal(wave[:16], wave[16:])
    half = torch.cat([flat(0, 0, 0), flat(200, 200, 200)], 3)
    pulled = unseen.contrast_loss(half, strength)
    assert pulled.unique().tolist() == [
        round(100 - 100 * (0.9 - 0.2 * strength)),
        round(100 + 100 * (0.9 - 0.2 * strength)),
    ]


@pytest.mark.parametrize("strength", LEVELS)
def test_motion_blur_averages_a_line(strength):
    point = flat(0, 0, 0).clone()
    point[:, :, 16, 16] = 255
    blurred = unseen.motion_blur(point, strength)
    length = 1 + 4 * strength
    expected = torch.zeros_like(point)
    expected[:, :, 16, 16 - length // 2 : 17 + length // 2] = round(255 / length)
    assert torch.equal(blurred, expected)


@pytest.mark.parametrize("strength", LEVELS)
def test_interlacing_moves_every_second_row(strength, speckled):
    images = speckled(1, 20, 30)
    result, step = unseen.interlacing(images, strength), 2 * strength
    assert torch.equal(result[:, :, ::2], images[:, :, ::2])
    assert torch.equal(result[:, :, 1::2, :-step], images[:, :, 1::2, step:])


def test_oversharpening_leaves_halos_on_both_sides_of_an_edge():
    edge = torch.cat([flat(80, 80, 80), flat(160, 160, 160)], 3)
    row = unseen.oversharpening(edge, 1)[0, 0, 16]
    assert row[28:32].max() < 80 and row[32:36].min() > 160
    assert row[:20].tolist() == [80] * 20 and row[44:].tolist() == [160] * 20


def plane(height, width):
    """A slope in both directions, with room at both ends; bicubic sampling keeps it."""
    y, x = torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij")
    return (60 + y + x).to(torch.uint8).expand(1, 3, height, width)


@pytest.mark.parametrize("size", [(64, 64), (48, 80)], ids=str)
@pytest.mark.parametrize("strength", LEVELS)
def test_a_tilt_turns_and_fills_the_frame(strength, size):
    height, width = size
    sampled = unseen.tilt(plane(height, width), strength)[0, 0].double()
    angle = np.radians(2.0**strength)
    zoom = np.cos(angle) + np.sin(angle) * max(size) / min(size)
    y = torch.arange(height)[:, None] - (height - 1) / 2
    x = torch.arange(width) - (width - 1) / 2
    down = (x * np.sin(angle) + y * np.cos(angle)) / zoom
    across = (x * np.cos(angle) - y * np.sin(angle)) / zoom
    assert down.abs().max() <= height / 2 and across.abs().max() <= width / 2
    expected = 60 + (height - 1) / 2 + (width - 1) / 2 + down + across
    assert (sampled - expected).abs().max() < 1.1  # a level, also at the corners


@pytest.mark.parametrize("strength", LEVELS)
def test_chromatic_aberration_pulls_the_channels_apart_from_the_centre(strength):
    images = plane(64, 64)
    red, green, blue = unseen.chromatic_aberration(images, strength)[0].double()
    level = unseen.achromatic(images, strength)[0].double()
    assert torch.equal(green, level[1])
    # the slope grows towards the lower right: more enlarged is darker there, lighter opposite
    offset = 63 * 0.01 * strength  # of the corners, to the first order
    for corner, sign in (((-1, -1), 1), ((0, 0), -1)):
        assert abs(sign * (blue - green)[corner] - offset) < 0.25 * offset + 1
        assert abs(sign * (green - red)[corner] - offset) < 0.25 * offset + 1
    assert (red - blue)[30:34, 30:34].abs().max() <= 1


@pytest.mark.parametrize("name", unseen.CONTROLS)
def test_a_control_is_as_sharp_as_what_it_is_compared_with(name, pack):
    def sharpness(images):
        values = images.float()[:, :, 1:-1, 1:-1]
        around = torch.nn.functional.avg_pool2d(images.float(), 3, stride=1)
        return (values - around).abs().mean()

    patches = pack.center_crops(torch.arange(len(pack)), 80)
    for strength in LEVELS:
        edited = sharpness(unseen.OPERATIONS[name](patches, strength))
        twin = sharpness(unseen.CONTROLS[name](patches, strength))
        assert abs(edited / twin - 1) < 0.05
        assert edited / sharpness(patches) < 0.92  # what would tell without a control


# --- entries -----------------------------------------------------------------------------------


@pytest.mark.parametrize("pairs", [1, 7, 10, 12, 30, 31])
def test_operations_and_strengths_are_as_frequent_as_can_be(pairs, pack):
    entries = unseen.Unseen(pack, size_px=80, pairs=pairs)
    count = 2 * pairs * len(pack)
    assert len(entries) == count == len(entries.positive) == len(entries.strength)
    assert len(entries.groups) == len(entries.operation) == count
    assert entries.positive.mean() == 0.5
    assert ((entries.strength == 0) == entries.positive).all()
    assert np.bincount(entries.groups).tolist() == [2 * pairs] * len(pack)
    assert (entries.operation[::2] == entries.operation[1::2]).all()
    degraded = ~entries.positive
    seen = [
        ((entries.operation == name) & (entries.strength == strength) & degraded).sum()
        for name in unseen.OPERATIONS
        for strength in LEVELS
    ]
    assert max(seen) - min(seen) <= 1 and sum(seen) == count // 2


def test_thirty_pairs_cover_every_combination_once_a_photograph(benchmark):
    one = benchmark.groups == 3
    combinations = set(zip(benchmark.operation[one], benchmark.strength[one], strict=True))
    assert combinations == {
        (name, strength) for name in unseen.OPERATIONS for strength in (0, *LEVELS)
    }


def test_a_pair_is_one_crop_with_and_without_its_operation(benchmark):
    patches = benchmark.batch_of(torch.arange(60))  # all combinations on one photograph
    for row in range(0, 60, 2):
        name, strength = benchmark.operation[row], int(benchmark.strength[row + 1])
        assert not torch.equal(patches[row], patches[row + 1])
        if name not in unseen.CONTROLS:
            edited = unseen.OPERATIONS[name](patches[row : row + 1], strength)
            assert torch.equal(edited[0], patches[row + 1])


def test_a_resampled_pair_comes_from_one_crop(benchmark, monkeypatch):
    rows = torch.tensor([2 * turn + side for turn in (8, 9) for side in (0, 1)])
    assert benchmark.operation[rows].tolist() == ["tilt"] * 2 + ["chromatic_aberration"] * 2
    found = benchmark.batch_of(rows)
    for name in unseen.CONTROLS:
        monkeypatch.setitem(unseen.OPERATIONS, name, lambda images, strength: images)
        monkeypatch.setitem(unseen.CONTROLS, name, lambda images, strength: images)
    crops = benchmark.batch_of(rows)
    assert torch.equal(crops[0], crops[1]) and torch.equal(crops[2], crops[3])
    monkeypatch.undo()
    for row, name in ((0, "tilt"), (2, "chromatic_aberration")):
        strength = int(benchmark.strength[rows[row + 1]])
        assert torch.equal(found[row], unseen.CONTROLS[name](crops[row : row + 1], strength)[0])
        assert torch.equal(
            found[row + 1], unseen.OPERATIONS[name](crops[row : row + 1], strength)[0]
        )


def test_entries_do_not_depend_on_how_they_are_asked_for(benchmark):
    index = torch.tensor([7, 3, 100, 17, 16, 358])
    together = benchmark.batch_of(index)
    assert torch.equal(together, torch.cat([benchmark.batch_of(i[None]) for i in index]))
    again = dataclasses.replace(benchmark)
    assert torch.equal(again.batch_of(index), together)
    other = dataclasses.replace(benchmark, seed=1)
    assert not torch.equal(other.batch_of(index), together)


@pytest.mark.gpu
def test_entries_on_cuda_equal_those_on_the_cpu(benchmark):
    index = torch.arange(60)
    moved = dataclasses.replace(benchmark, photographs=benchmark.photographs.to("cuda"))
    found = moved.batch_of(index)
    assert found.is_cuda
    assert (found.cpu().int() - benchmark.batch_of(index).int()).abs().max() <= 1


def test_a_pack_of_the_entries_holds_them_all(pack):
    entries = unseen.Unseen(pack, size_px=64, pairs=11)
    packed = entries.pack()
    assert len(packed) == len(entries) == len(set(packed.names))
    index = torch.tensor([0, 1, 17, 131])
    assert torch.equal(packed.center_crops(index, 64), entries.batch_of(index))
    assert packed.pixels.dtype == torch.uint8
    assert [label == "positive" for label in packed.labels] == entries.positive.tolist()
    assert packed.sha256 == unseen.Unseen(pack, size_px=64, pairs=11).pack().sha256
    for other in ({"size_px": 48}, {"pairs": 12}, {"seed": 1}):
        assert dataclasses.replace(entries, **other).pack().sha256 != packed.sha256


def test_any_pack_will_do_and_too_small_a_one_says_so(packed, smooth):
    entries = unseen.Unseen(packed(smooth(3, 70, 90)), size_px=64, pairs=4)
    assert entries.batch_of(torch.arange(len(entries))).shape == (24, 3, 64, 64)
    with pytest.raises(ValueError, match="patches of 71 px do not lie within the photographs"):
        unseen.Unseen(packed(smooth(3, 70, 90)), size_px=71, pairs=4).batch_of(torch.arange(24))


def test_photographs_of_pretraining_are_not_among_them(benchmark):
    assert not {name.split("/")[1] for name in benchmark.photographs.names} & {
        file for file, *_ in embedded.PRETRAINING
    }
