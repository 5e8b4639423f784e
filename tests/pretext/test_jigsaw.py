"""Jigsaw: orders far from each other, tiles laid as the labels say, and the guards."""

import itertools

import pytest
import torch
from torch import nn

from aesthlib import models, pretext
from aesthlib.pretext import jigsaw, tiles
from aesthlib.pretext.jigsaw import Jigsaw, permutations, standardize
from aesthlib.training import evaluate

Options = Jigsaw.Options
SIDES = (67, 80, 128, 227)
FEW = dict(permutations=6)


class Eyes(nn.Module):
    """In place of a backbone: conv5 is the tile's mean colour."""

    channels = {"conv5": 3}

    def __init__(self):
        super().__init__()
        self.stages = nn.ModuleDict({"conv5": nn.AdaptiveAvgPool2d(1)})

    def door(self, images):
        return images.double()


@pytest.fixture(scope="module")
def backbone():
    return models.build("alexnet", seed=0)


def task(**options):
    return Jigsaw(Eyes(), Options(**{**FEW, **options}), seed=0)


def places(task, size, count=60):
    """Upper left corner of each channel of each tile, int64 (2, N, 9, 3), and the side."""
    y, x = torch.meshgrid(torch.arange(size), torch.arange(size), indexing="ij")
    found = []
    for axis in (y, x):
        photographs = axis.to(torch.uint8).expand(count, 3, -1, -1)
        cut = task.tiles(photographs, torch.Generator().manual_seed(0)).long()
        first = cut[..., :1, :1]
        ramp = torch.arange(cut.shape[-1])
        ramp = ramp[:, None] if axis is y else ramp
        assert torch.equal(cut, (first + ramp).expand_as(cut))
        found.append(first[..., 0, 0])
    return torch.stack(found), cut.shape[-1]


# --- the permutations ---


def test_permutations_are_far_apart_by_a_second_implementation():
    chosen = permutations(4, 3)
    every = torch.tensor(list(itertools.permutations(range(9))))
    for count in range(1, 4):
        distances = (every[:, None] != chosen[None, :count]).sum(2)
        nearest, total = distances.min(1).values, distances.sum(1)
        best = torch.nonzero(nearest == nearest.max()).flatten()
        assert torch.equal(chosen[count], every[best[total[best].argmax()]])


def test_permutations_are_distinct_and_follow_their_seed():
    chosen = permutations(100, 0)
    assert chosen.shape == (100, 9) and chosen.dtype == torch.int64
    assert torch.equal(chosen.sort(1).values, torch.arange(9).expand(100, 9))
    distances = (chosen[:, None] != chosen).sum(2).fill_diagonal_(9)
    assert distances.min() >= 6
    assert torch.equal(chosen[:10], permutations(10, 0))
    assert not torch.equal(chosen[:10], permutations(10, 1))


# --- the tiles ---


@pytest.mark.parametrize("size", SIDES)
def test_tiles_lie_at_random_places_in_their_cells(size):
    first, side = places(task(channel_jitter_px=0, grey=0.0), size)
    cell = size // 3
    assert side == 64 * size // 227
    assert (first == first[..., :1]).all()  # channels lie upon each other
    room = cell - side - tiles.scaled(2, size)
    for axis in (0, 1):
        for k in range(9):
            inside = first[axis, :, k, 0] - cell * (k // 3 if axis == 0 else k % 3)
            assert set(inside.tolist()) == set(range(room + 1))


@pytest.mark.parametrize("size", SIDES)
def test_no_edge_continues_into_the_next_tile(size):
    first, side = places(task(grey=0.0), size)
    rows, columns = (first[axis].unflatten(1, (3, 3)) for axis in (0, 1))
    least = min(  # of any channel of a tile and any of its neighbour's
        (rows[:, 1:].amin(-1) - rows[:, :-1].amax(-1)).min(),
        (columns[:, :, 1:].amin(-1) - columns[:, :, :-1].amax(-1)).min(),
    )
    assert least - side >= tiles.scaled(2, size) > 0
    assert first.min() >= 0 and first.max() + side <= size


def test_channels_are_displaced_within_their_tile():
    first, _ = places(task(grey=0.0), 227)
    away = first - first[..., 1:2]
    assert set(away[..., 0].unique().tolist()) == set(range(-4, 5))
    still, _ = places(task(grey=1.0), 227)
    assert (still == still[..., :1]).all()


def test_a_share_is_grey(speckled):
    photographs = speckled(200, 80, 80)
    cut = task(channel_jitter_px=0).tiles(photographs, torch.Generator().manual_seed(0))
    grey = (cut == cut[:, :, :1]).flatten(1).all(1)
    assert 0.2 < grey.float().mean() < 0.4
    coloured = task(channel_jitter_px=0, grey=0.0)
    plain = coloured.tiles(photographs, torch.Generator().manual_seed(0))
    mean = plain.double().mean(2, keepdim=True).round().expand_as(plain)
    assert torch.equal(cut[~grey], plain[~grey])
    assert torch.equal(cut[grey], mean[grey].to(torch.uint8))


# --- the puzzle ---


def laid(task, monkeypatch, count, seed=0):
    """Measures of a head that sees where each tile came from."""
    y, x = torch.meshgrid(torch.arange(128), torch.arange(128), indexing="ij")
    photographs = torch.stack([y, x, x]).to(torch.uint8).expand(count, -1, -1, -1)
    monkeypatch.setattr(jigsaw, "standardize", lambda values: values)

    def see(maps, order):
        found = (maps[:, :2, 0, 0] / (128 / 3)).long()  # row and column of the cell
        cells = (3 * found[:, 0] + found[:, 1]).unflatten(0, (len(order), 9))
        scores = []
        for n in range(len(order)):
            for sequence in order[n].tolist():
                shown = [int(cells[n, tile]) for tile in sequence]
                scores.append([float(shown == known) for known in task.orders.tolist()])
                undone = sorted(range(9), key=shown.__getitem__)
                assert [shown[place] for place in undone] == list(range(9))
        return torch.tensor(scores)

    task.head.forward = see
    return task.step(Eyes(), photographs, torch.Generator().manual_seed(seed), epoch=0)[1]


def test_labels_are_the_orders(monkeypatch):
    measures = laid(task(grey=0.0), monkeypatch, 20)
    assert measures.images == 20 * 9
    assert measures.sums["accuracy"] == (torch.tensor(20), 20)


def test_several_puzzles_of_the_same_tiles(monkeypatch):
    measures = laid(task(grey=0.0, puzzles_per_patch=5), monkeypatch, 4)
    assert measures.images == 4 * 9
    assert measures.sums["accuracy"] == (torch.tensor(20), 20)


def test_every_order_is_drawn(monkeypatch):
    drawn = []
    whole = jigsaw.classified
    monkeypatch.setattr(
        jigsaw,
        "classified",
        lambda logits, labels, images: drawn.append(labels) or whole(logits, labels, images),
    )
    laid(task(grey=0.0, puzzles_per_patch=30), monkeypatch, 10)
    assert drawn[0].shape == (300,)
    assert torch.bincount(drawn[0], minlength=6).min() > 30


def test_step(backbone, smooth):
    task = Jigsaw(backbone, Options(**FEW), seed=0)
    photographs = smooth(2, 80, 80)

    def step(seed):
        return task.step(backbone, photographs, torch.Generator().manual_seed(seed), epoch=0)

    loss, measures = step(0)
    assert loss.requires_grad and task.chance == 1 / 6
    total, count = measures.sums["cross_entropy"]
    assert count == 2 and total.item() / 2 == pytest.approx(loss.item(), rel=1e-5)
    assert not total.requires_grad and measures.sums["accuracy"][1] == 2
    assert step(0)[0].item() == loss.item() != step(1)[0].item()


def test_orders_travel_with_the_weights(backbone):
    first, again, other = (Jigsaw(backbone, Options(**FEW), seed) for seed in (0, 0, 1))
    for (name, a), b in zip(first.state_dict().items(), again.state_dict().values(), strict=True):
        assert torch.equal(a, b), name
    assert not torch.equal(first.orders, other.orders)
    assert torch.equal(first.orders, permutations(6, 0))
    other.load_state_dict(first.state_dict())
    assert torch.equal(first.orders, other.orders)
    assert torch.equal(permutations(6, 1), Jigsaw(backbone, Options(**FEW), 1).orders)
    assert pretext.task("jigsaw") is Jigsaw


# --- shortcuts ---


def test_no_tile_is_told_by_its_mean_or_spread(backbone, speckled, smooth):
    """What enters the first stage has mean 0 and deviation 1 in every channel of every tile."""
    entered = []
    hook = backbone.stages["conv1"].register_forward_pre_hook(lambda _, x: entered.append(x[0]))
    light = torch.linspace(0.2, 1, 80)[:, None]  # darker towards the top
    photographs = ((speckled(3, 80, 80) // 2 + smooth(3, 80, 80) // 2) * light).to(torch.uint8)
    task = Jigsaw(backbone, Options(**FEW), seed=0)
    task.step(backbone, photographs, torch.Generator().manual_seed(0), epoch=0)
    hook.remove()
    values = entered[0]
    assert values.shape == (27, 3, 67, 67)
    spread, mean = torch.std_mean(values, (2, 3), correction=0)
    assert mean.abs().max() < 1e-4 and (spread - 1).abs().max() < 1e-4

    cut = task.tiles(photographs, torch.Generator().manual_seed(0)).flatten(0, 1)
    unguarded = backbone.door(tiles.enlarge(cut)).mean((1, 2, 3)).view(-1, 3, 3).mean(2)
    assert (unguarded.diff(dim=1) > 0.2).all()  # without it the rows are told apart


def test_standardizing_a_flat_tile():
    values = torch.randn(2, 3, 5, 5, generator=torch.Generator().manual_seed(0))
    values[0] = 0.7
    out = standardize(values)
    assert (out[0].abs() < 1e-4).all()
    for channel in range(3):
        one = values[1, channel].double()
        deviation = (one - one.mean()).square().mean().sqrt()
        torch.testing.assert_close(out[1, channel].double(), (one - one.mean()) / deviation)


def guess(task, shift_px):
    """Share of tiles whose row the best guess names from red's shift against green, away from the
    centre by shift_px: all that a lens's colour fringes tell."""
    first, _ = places(task, 227, count=200)
    down = torch.tensor([-1, 0, 1]).repeat_interleave(3)
    seen = first[0, :, :, 0] - first[0, :, :, 1] + shift_px * down
    counts = torch.stack(
        [torch.bincount((seen[:, down == row] + 10).flatten(), minlength=20) for row in (-1, 0, 1)]
    )
    return (counts.max(0).values.sum() / counts.sum()).item()


def test_colour_fringes_are_obscured():
    assert guess(task(channel_jitter_px=0, grey=0.0), 1) == 1
    assert guess(task(grey=0.0), 1) == pytest.approx(35 / 75, abs=0.03)  # a third is chance


# --- learning ---
# Patches of 128 px cost what smaller ones do, since every tile is enlarged to 67 px. Four orders
# and four puzzles of the same tiles shorten the training; all guards are on.

SHORT = dict(
    method="jigsaw",
    size_px=128,
    learning_rate=0.02,
    options=Options(permutations=4, puzzles_per_patch=4),
)


def test_learns_its_photographs(upright, learned):
    """Fresh crops, places and colours of the photographs it trained on."""
    model = learned(upright, **SHORT, epochs=3, crops_per_photograph=16)
    assert torch.equal(model.task.orders, permutations(4, 0))
    assert evaluate(model, upright, 128, "cpu", crops=16)["accuracy"] > 0.6  # chance 0.25


def test_learns_to_lay_other_photographs(scenes, learned):
    train, others = scenes
    model = learned(train, **SHORT, epochs=1)
    assert evaluate(model, others, 128, "cpu", crops=2)["accuracy"] > 0.4  # chance 0.25


@pytest.mark.gpu
def test_cuda_equals_the_cpu(speckled):
    puzzles, photographs = task(grey=0.5), speckled(4, 80, 80)
    cpu, cuda = (
        puzzles.tiles(images, torch.Generator().manual_seed(0))
        for images in (photographs, photographs.cuda())
    )
    assert (cpu.int() - cuda.cpu().int()).abs().max() <= 1  # means of three channels round


# --- settings ---


@pytest.mark.parametrize(
    "options, message",
    [
        ({"permutations": 1}, "permutations must be at least 2"),
        ({"permutations": 362881}, "permutations must be at most 9!"),
        ({"puzzles_per_patch": 0}, "puzzles_per_patch must be at least 1"),
        ({"tile_px": 0}, "tile_px must be at least 1"),
        ({"tile_px": 70}, r"do not fit in cells of 75 px of patches of 227 px"),
        ({"gap_px": -1}, "gap_px must be at least 0"),
        ({"channel_jitter_px": -1}, "channel_jitter_px must be at least 0"),
        ({"grey": -0.1}, "grey must be at least 0"),
        ({"grey": 1.1}, r"grey must lie in \[0, 1\]"),
        ({"tile_px": 60.0}, "tile_px must be of type int"),
    ],
)
def test_bad_options_are_named(options, message):
    with pytest.raises(ValueError, match=message):
        Options(**options)


def test_defaults_are_the_papers():
    options = Options()
    assert (options.permutations, options.tile_px, options.grey) == (1000, 64, 0.3)
    assert options.channel_jitter_px == 2 and options.puzzles_per_patch == 1
    assert options.grid(227)[:2] == (75, 64)
