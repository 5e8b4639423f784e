"""Context: tiles lie where the labels say, and nothing but the picture tells where."""

import pytest
import torch
from torch import nn

from aesthlib import models, pretext
from aesthlib.pretext import tiles
from aesthlib.pretext.context import Context
from aesthlib.training import evaluate

Options = Context.Options
SIDES = (67, 80, 128, 227)
PLAIN = Options(guard="none")
# where the tile of each class lies, seen from the centre: down, right
STEPS = [(-1, -1), (-1, 0), (-1, 1), (0, -1), (0, 1), (1, -1), (1, 0), (1, 1)]


class Eyes(nn.Module):
    """In place of a backbone: conv5 is the tile's mean colour."""

    channels = {"conv5": 3}

    def forward(self, images):
        return {"conv5": images.double().mean((2, 3), keepdim=True)}


def coded(count, size):
    """Photographs whose red is the row, green the column and blue the photograph."""
    y, x = torch.meshgrid(torch.arange(size), torch.arange(size), indexing="ij")
    images = [torch.stack([y, x, torch.full_like(x, n)]) for n in range(count)]
    return torch.stack(images).to(torch.uint8)


def corners(task, size, count=100):
    """Upper left corners of the tiles that a task cuts, int64 (N, 9, 2), and their side."""
    cut = task.tiles(coded(count, size), torch.Generator().manual_seed(0)).long()
    side = cut.shape[-1]
    assert cut.shape == (count, 9, 3, side, side)
    first = cut[:, :, :2, 0, 0]
    ramp = torch.arange(side)
    assert torch.equal(cut[:, :, 0], first[..., 0, None, None] + ramp[:, None].expand(side, side))
    assert torch.equal(cut[:, :, 1], first[..., 1, None, None] + ramp.expand(side, side))
    assert (cut[:, :, 2] == torch.arange(count)[:, None, None, None]).all()
    return first, side


@pytest.fixture(scope="module")
def backbone():
    return models.build("alexnet", seed=0)


@pytest.mark.parametrize("size", SIDES)
def test_tiles_lie_in_a_displaced_grid(size):
    first, side = corners(Context(Eyes(), PLAIN, seed=0), size)
    tile, gap, jitter = PLAIN.grid(size)
    assert side == tile and gap == tiles.scaled(27, size) and jitter == tiles.scaled(7, size)
    assert 0 <= size - (3 * tile + 2 * gap + 2 * jitter) < 3  # the grid fills the patch
    for k in range(9):
        for axis, index in ((0, k // 3), (1, k % 3)):
            moved = first[:, k, axis] - (jitter + index * (tile + gap))
            assert set(moved.tolist()) == set(range(-jitter, jitter + 1))
    moved = first[:, :, 0] - first[:, :, 0].float().mean(0)
    assert torch.corrcoef(moved.T).fill_diagonal_(0).abs().max() < 0.5  # each on its own


@pytest.mark.parametrize("size", SIDES)
def test_no_edge_continues_into_the_next_tile(size):
    first, side = corners(Context(Eyes(), PLAIN, seed=0), size)
    rows, columns = (first[..., axis].view(-1, 3, 3) for axis in (0, 1))
    between = (
        torch.cat(
            [
                (rows[:, 1:] - rows[:, :-1]).flatten(),
                (columns[..., 1:] - columns[..., :-1]).flatten(),
            ]
        )
        - side
    )
    assert between.min() >= tiles.scaled(27, size) - 2 * tiles.scaled(7, size) > 0
    assert between.unique().numel() > 2  # nor does a texture at a fixed distance


def test_the_papers_lengths_at_227():
    assert PLAIN.grid(227) == (53, 27, 7) and Options().guard == "drop"


def test_labels_are_the_positions():
    """Whoever sees where the tiles of a pair lie names every class."""
    task = Context(Eyes(), PLAIN, seed=0)

    def see(maps, order):
        places = maps[:, :2, 0, 0].unflatten(0, (len(order), 9))
        scores = []
        for n in range(len(order)):
            for first, second in order[n].tolist():
                away = places[n, second] - places[n, first]
                step = tuple(int(d.sign()) if d.abs() > 20 else 0 for d in away)
                scores.append([float(step == known) for known in STEPS])
        return torch.tensor(scores)

    task.head.forward = see
    _, measures = task.step(Eyes(), coded(5, 128), torch.Generator().manual_seed(0), epoch=0)
    assert measures.images == 5 * 9
    assert measures.sums["accuracy"] == (torch.tensor(5 * 8), 5 * 8)


def test_step(backbone, smooth):
    task = Context(backbone, Options(), seed=0)
    photographs = smooth(2, 80, 80)

    def step(seed):
        return task.step(backbone, photographs, torch.Generator().manual_seed(seed), epoch=0)

    loss, measures = step(0)
    assert loss.requires_grad and task.chance == 1 / 8
    total, count = measures.sums["cross_entropy"]
    assert count == 16 and total.item() / 16 == pytest.approx(loss.item(), rel=1e-5)
    assert not total.requires_grad and measures.sums["accuracy"][1] == 16
    assert step(0)[0].item() == loss.item() != step(1)[0].item()


def test_head_follows_its_seed(backbone):
    first, again, other = (
        torch.cat([p.flatten() for p in Context(backbone, Options(), seed).parameters()])
        for seed in (0, 0, 1)
    )
    assert torch.equal(first, again) and not torch.equal(first, other)
    assert pretext.task("context") is Context


# --- chromatic aberration ---


PERIOD = 5  # of the texture, as many as there are displacements of a tile


def fringed(size, options):
    """One texture everywhere; red and blue are shifted against green, away from the centre."""
    generator = torch.Generator().manual_seed(0)
    texture = torch.randint(256, (PERIOD, PERIOD), dtype=torch.uint8, generator=generator)
    tile, gap, jitter = options.grid(size)
    y, x = torch.meshgrid(torch.arange(size), torch.arange(size), indexing="ij")
    down, right = (
        (p - jitter + gap // 2).div(tile + gap, rounding_mode="floor") - 1 for p in (y, x)
    )
    return torch.stack(
        [texture[(y + s * down) % PERIOD, (x + s * right) % PERIOD] for s in (1, 0, -1)]
    )


def seen(guard):
    """What tiles at each of the nine places can look like, as sets."""
    options = Options(guard=guard)
    task = Context(Eyes(), options, seed=0)
    photographs = fringed(67, options).expand(1200, -1, -1, -1)
    looks = [set() for _ in range(9)]
    generator = torch.Generator().manual_seed(0)
    for batch in photographs.split(100):
        corner = task.tiles(batch, generator)[..., :PERIOD, :PERIOD]
        if guard == "drop":  # the channel that holds the texture, and which it is
            kept = (corner.flatten(3).float().std(3)).argmax(2)
            index = kept[..., None, None, None].expand(-1, -1, 1, PERIOD, PERIOD)
            corner = torch.cat([corner.gather(2, index).flatten(2), kept[..., None]], 2)
        for place in range(9):
            looks[place] |= {tuple(row) for row in corner[:, place].flatten(1).tolist()}
    return looks


def test_unguarded_fringes_tell_the_position():
    looks = seen("none")
    assert all(len(look) == PERIOD**2 for look in looks)
    assert len(set.union(*looks)) == 9 * PERIOD**2  # no look at two places


def test_guarded_fringes_tell_nothing():
    looks = seen("drop")
    assert len(looks[0]) == 3 * PERIOD**2
    assert all(look == looks[0] for look in looks)


def test_guard_is_applied(speckled):
    photographs = speckled(2, 80, 80)

    def cut(guard):
        task = Context(Eyes(), Options(guard=guard), seed=0)
        return task.tiles(photographs, torch.Generator().manual_seed(0)).flatten(0, 1)

    plain, dropped = cut("none"), cut("drop")
    assert torch.equal(cut("project"), tiles.project_colours(plain))
    assert ((dropped == plain).flatten(2).all(2).sum(1) == 1).all()


# --- learning ---
# Patches of 128 px cost what smaller ones do, since every tile is enlarged to 67 px.


def test_learns_its_photographs(upright, learned):
    """Fresh crops and displacements of the photographs it trained on, one channel a tile."""
    model = learned(
        upright,
        method="context",
        size_px=128,
        learning_rate=0.01,
        epochs=5,
        crops_per_photograph=16,
    )
    assert evaluate(model, upright, 128, "cpu", crops=24)["accuracy"] > 0.25  # chance 0.125


def test_learns_positions_in_other_photographs(scenes, learned):
    """So short a training shows with the guard that leaves two of three colour axes."""
    train, others = scenes
    model = learned(
        train,
        method="context",
        size_px=128,
        learning_rate=0.01,
        epochs=1,
        options=Options(guard="project"),
    )
    # 1920 pairs: a standard error of chance, 0.125, is 0.0075
    assert evaluate(model, others, 128, "cpu", crops=3)["accuracy"] > 0.165


@pytest.mark.gpu
@pytest.mark.parametrize("guard", ["drop", "project", "none"])
def test_cuda_equals_the_cpu(guard, speckled):
    task, photographs = Context(Eyes(), Options(guard=guard), seed=0), speckled(3, 80, 80)
    cpu, cuda = (
        task.tiles(images, torch.Generator().manual_seed(0))
        for images in (photographs, photographs.cuda())
    )
    assert (cpu.int() - cuda.cpu().int()).abs().max() <= (guard != "none")  # halves round apart


# --- settings ---


@pytest.mark.parametrize(
    "options, message",
    [
        ({"gap_px": -1}, "gap_px must be at least 0"),
        ({"jitter_px": -1}, "jitter_px must be at least 0"),
        ({"gap_px": 107}, "gap_px, jitter_px: 107 and 7 leave no pixel of patches of 227 px"),
        ({"guard": "blur"}, "guard must be one of drop, project, none, got 'blur'"),
        ({"jitter_px": 1.5}, "jitter_px must be of type int"),
    ],
)
def test_bad_options_are_named(options, message):
    with pytest.raises(ValueError, match=message):
        Options(**options)


def test_patches_too_small_are_named():
    with pytest.raises(ValueError, match="leave no pixel of patches of 8 px"):
        Options(gap_px=100).grid(8)
