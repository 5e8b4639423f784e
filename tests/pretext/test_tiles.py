"""Tiles: cut where asked, enlarged, robbed of their colour fringes; and their head."""

import pytest
import torch

from aesthlib.models.backbones import IMAGENET_MEAN
from aesthlib.pretext import tiles


def test_lengths_follow_the_patch():
    assert [tiles.scaled(length, 227) for length in (0, 1, 7, 64)] == [0, 1, 7, 64]
    assert [tiles.scaled(length, 80) for length in (0, 1, 7, 64)] == [0, 1, 2, 23]


@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
def test_cut_equals_slices(speckled, layout):
    photographs = speckled(3, 20, 24).contiguous(memory_format=layout)
    generator = torch.Generator().manual_seed(0)
    top = torch.randint(20 - 7 + 1, (3, 4), generator=generator)
    left = torch.randint(24 - 7 + 1, (3, 4), generator=generator)
    top[0, 0], left[0, 0], top[2, 3], left[2, 3] = 0, 0, 13, 17  # the corners
    cut = tiles.cut(photographs, top, left, 7)
    assert cut.shape == (3, 4, 3, 7, 7) and cut.dtype == torch.uint8
    for n in range(3):
        for t in range(4):
            y, x = top[n, t], left[n, t]
            assert torch.equal(cut[n, t], photographs[n, :, y : y + 7, x : x + 7])


def test_cut_refuses_what_lies_outside(speckled):
    place = torch.zeros(1, 1, dtype=torch.int64)
    for top, left in ((place - 1, place), (place, place + 2)):
        with pytest.raises(ValueError, match="do not lie within"):
            tiles.cut(speckled(1, 8, 8), top, left, 7)


def test_enlarge(speckled):
    large = speckled(2, 67, 67)
    assert tiles.enlarge(large) is large
    for size in (1, 18, 66):
        out = tiles.enlarge(torch.full((2, 3, size, size), 77, dtype=torch.uint8))
        assert out.shape == (2, 3, 67, 67) and out.dtype == torch.uint8 and (out == 77).all()
    ramp = torch.arange(0, 250, 10, dtype=torch.uint8).expand(1, 3, 25, 25)  # linear stays linear
    centre = (torch.arange(67) + 0.5) * 25 / 67 - 0.5
    expected = centre.clamp(0, 24) * 10
    assert (tiles.enlarge(ramp)[0, 0, 0] - expected).abs().max() <= 0.5 + 1e-4


def test_dropping_keeps_one_channel_and_no_trace_of_the_others(speckled):
    images = speckled(300, 12, 12)
    out = tiles.drop_colours(images, torch.Generator().manual_seed(0))
    kept = (out == images).flatten(2).all(2)  # (N, 3)
    assert (kept.sum(1) == 1).all()
    assert kept.sum(0).min() > 70  # a third each
    mean = torch.tensor(IMAGENET_MEAN).view(3, 1, 1) * 255
    away = (out - mean).abs().amax((2, 3))[~kept]
    assert away.max() < 5  # a spread of 74 levels, a hundredth of it, four deviations
    assert away.min() > 1  # it is noise, not a constant

    again = tiles.drop_colours(images, torch.Generator().manual_seed(0))
    other = tiles.drop_colours(images, torch.Generator().manual_seed(1))
    assert torch.equal(out, again) and not torch.equal(out, other)

    flat = torch.full((30, 3, 12, 12), 9, dtype=torch.uint8)
    levels = tiles.drop_colours(flat, torch.Generator().manual_seed(0)).flatten(2)
    assert (levels.amax(2) == levels.amin(2)).all()  # no noise beside a channel without spread


def test_projection_equals_the_matrix(speckled):
    images = speckled(2, 9, 9)
    axis = torch.tensor([[-1.0, 2.0, -1.0]], dtype=torch.float64)
    matrix = torch.eye(3, dtype=torch.float64) - axis.T @ axis / (axis @ axis.T)
    out = tiles.project_colours(images)
    for n in range(2):
        for y in range(9):
            for x in range(9):
                expected = (matrix @ images[n, :, y, x].double()).clamp(0, 255)
                assert (out[n, :, y, x] - expected).abs().max() <= 0.5 + 1e-4


def test_projection_leaves_no_green_or_magenta(speckled):
    grey = speckled(2, 9, 9)[:, :1].expand(-1, 3, -1, -1).clone()
    assert torch.equal(tiles.project_colours(grey), grey)
    grey[:, 1] = grey[:, 1].roll(1, dims=-1)  # green shifted against red and blue
    out = tiles.project_colours(grey).int()
    assert (out[:, 0] - out[:, 1]).abs().max() <= 1 and torch.equal(out[:, 0], out[:, 2])


def slowly(head, maps, order):
    """Scores one sequence at a time, in evaluation mode."""
    rows = []
    for n, sequences in enumerate(order.tolist()):
        for sequence in sequences:
            own = maps.unflatten(0, (len(order), -1))[n]
            rows.append(head.joined(torch.cat([head.each(own[t, None]) for t in sequence], 1))[0])
    return torch.stack(rows)


def test_siamese_joins_tiles_in_order():
    head = tiles.Siamese(channels=5, together=2, classes=4, seed=0).eval()
    maps = torch.rand(3 * 6, 5, 3, 3, generator=torch.Generator().manual_seed(0))
    order = torch.tensor([[[0, 1], [1, 0]], [[5, 5], [2, 3]], [[4, 0], [0, 4]]])
    out = head(maps, order)
    assert out.shape == (6, 4)
    torch.testing.assert_close(out, slowly(head, maps, order))
    assert not torch.equal(out[0], out[1])  # order matters
    larger = torch.rand(2, 5, 7, 4, generator=torch.Generator().manual_seed(0))
    assert head(larger, torch.tensor([[[0, 1]]])).shape == (1, 4)


def test_siamese_follows_its_seed_and_leaves_the_global_generator():
    before = torch.get_rng_state()
    first, again, other = (
        torch.cat([p.flatten() for p in tiles.Siamese(5, 2, 4, seed).parameters()])
        for seed in (0, 0, 9)
    )
    assert torch.equal(torch.get_rng_state(), before)
    assert torch.equal(first, again) and not torch.equal(first, other)
