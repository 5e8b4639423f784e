"""Counting: halves and quarters, the contrastive loss, its guards, and counts are learned."""

import pytest
import torch
import torch.nn.functional as F

from aesthlib import models, pretext
from aesthlib.data import photographs
from aesthlib.pretext.counting import FILTERS, Counting, halve, quarters
from aesthlib.training import PretrainConfig, evaluate, load_model, pretrain

Options = Counting.Options
SIZE = 80


@pytest.fixture(scope="module")
def backbone():
    return models.build("alexnet", 0)


@pytest.fixture(scope="module")
def task(backbone):
    return Counting(backbone, Options(counts=50), 0)


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def test_quarters_row_by_row(speckled):
    images = speckled(2, 6, 6)
    top_left, top_right, low_left, low_right = quarters(images)
    assert torch.equal(top_left, images[..., :3, :3])
    assert torch.equal(top_right, images[..., :3, 3:])
    assert torch.equal(low_left, images[..., 3:, :3])
    assert torch.equal(low_right, images[..., 3:, 3:])


def test_halves_by_each_filter_for_itself(speckled):
    images, choice = speckled(6, 20, 20), torch.tensor([2, 0, 1, 1, 0, 2])
    halved = halve(images, choice)
    assert halved.shape == (6, 3, 10, 10) and halved.dtype == torch.uint8
    squares = images[choice == 0].unflatten(2, (10, 2)).unflatten(4, (10, 2)).float()
    assert torch.equal(halved[choice == 0].float(), squares.mean((3, 5)).round())
    for number, name in enumerate(FILTERS):
        for row in (choice == number).nonzero().flatten():
            single = images[row, None].float()
            smooth = name != "area"
            value = F.interpolate(single, (10, 10), mode=name, antialias=smooth)
            assert torch.equal(halved[row, None].float(), value.round().clamp(0, 255)), name


def test_neither_filter_nor_colour_tells_the_half_from_the_quarters(task, speckled):
    """Every filter and both kinds of colour occur; a patch and its quarters share their kind."""
    images = speckled(64, SIZE, SIZE)
    views = task.views(images, generator())
    assert views.shape == (5, 64, 3, SIZE // 2, SIZE // 2) and views.dtype == torch.uint8
    grey = (views == views[:, :, :1]).all(-1).all(-1).all(-1)  # (5, N)
    assert (grey == grey[0]).all() and 0.5 < grey[0].float().mean() < 0.85
    coloured = (~grey[0]).nonzero().flatten()
    assert torch.equal(views[1:, coloured], quarters(images[coloured]))
    found = {
        number
        for row in coloured
        for number in range(len(FILTERS))
        if torch.equal(views[0, row], halve(images[row, None], torch.tensor([number]))[0])
    }
    assert found == {0, 1, 2}


def test_views_follow_the_generator(task, speckled):
    images = speckled(8, SIZE, SIZE)
    first, again, other = (task.views(images, generator(seed)) for seed in (0, 0, 1))
    assert torch.equal(first, again) and not torch.equal(first, other)


@pytest.mark.parametrize("size, half", [(67, 35), (80, 40), (81, 40)])
def test_odd_and_small_patches(task, backbone, speckled, size, half):
    views = task.views(speckled(3, size, size), generator())
    assert views.shape == (5, 3, 3, half, half)
    loss, _ = task.step(backbone, speckled(3, size, size), generator(), 0)
    assert loss.isfinite()


@pytest.mark.parametrize("margin", [10.0, 0.01])
def test_loss_the_slow_way(backbone, smooth, margin):
    task = Counting(backbone, Options(counts=50, margin=margin), 0)
    images = smooth(5, SIZE, SIZE)
    loss, measures = task.step(backbone, images, generator(), 0)
    draws = generator()
    views = task.views(images, draws)
    shift = torch.randint(1, 5, (), generator=draws).item()
    counts = task.head(backbone(views.flatten(0, 1))["conv5"].mean((2, 3)))
    counts = counts.detach().view(5, 5, 50).double()
    losses, nearer = [], 0
    for n in range(5):
        parts = sum(counts[tile, n] for tile in range(1, 5))
        own = sum((counts[0, n] - parts) ** 2) / 50
        other = sum((counts[0, (n - shift) % 5] - parts) ** 2) / 50
        losses.append((own + max(0, margin - other)) / margin)
        nearer += bool(own < other)
    assert loss.item() == pytest.approx(float(sum(losses)) / 5, rel=1e-4)
    assert measures.images == 25 and measures.sums["accuracy"][1] == 5
    assert float(measures.sums["accuracy"][0]) == nearer
    loss.backward()
    assert all(p.grad is not None for p in backbone.parameters())
    backbone.zero_grad()


def test_same_counts_for_all_gain_nothing(backbone, smooth):
    """The trivial answers: accuracy 0 and a loss of at least 1."""
    task = Counting(backbone, Options(counts=50), 0)
    for bias in (-1.0, 0.0, 0.3, 3.0):
        torch.nn.init.zeros_(task.head[3].weight)
        torch.nn.init.constant_(task.head[3].bias, bias)
        loss, measures = task.step(backbone, smooth(4, SIZE, SIZE), generator(), 0)
        assert loss.item() >= 1 - 1e-5 and measures.sums["accuracy"][0] == 0


@pytest.mark.parametrize(
    "options, message",
    [
        ({"counts": 0}, "counts must be at least 1"),
        ({"margin": 0.0}, "margin must be positive"),
        ({"grey_share": -0.1}, "grey_share must be at least 0"),
        ({"grey_share": 1.1}, "grey_share must be at most 1"),
    ],
)
def test_bad_options_are_named(options, message):
    with pytest.raises(ValueError, match=message):
        Options(**options)
    assert pretext.task("counting") is Counting and Counting.chance == 0.5


def test_learns_to_count_on_held_out_photographs(embedded_pack, tmp_path):
    config = PretrainConfig(
        method="counting",
        size_px=SIZE,
        shorter_edge_px=96,
        epochs=8,
        crops_per_photograph=4,
        batch_size=12,
        learning_rate=0.05,
        drop_every_epochs=6,
        precision="fp32",
    )
    outcome = pretrain(config, photographs.load(embedded_pack, "train"), tmp_path, "cpu")
    model = load_model(tmp_path, outcome.checkpoint_sha256, "cpu")
    held_out = photographs.load(embedded_pack, "probe")
    measures = evaluate(model, held_out, SIZE, "cpu", crops=30)
    assert measures["accuracy"] > 0.75  # chance: 0.5
    assert measures["loss"] < 0.96  # 1 for whatever ignores the picture


@pytest.mark.gpu
def test_cuda_is_close_to_the_cpu(smooth, monkeypatch):
    monkeypatch.setattr(torch.backends.cudnn, "allow_tf32", False)
    images = smooth(4, SIZE, SIZE)
    backbone = Counting.build("alexnet", 0)
    task = Counting(backbone, Options(), 0)
    losses = [
        task.to(device)
        .step(backbone.to(device), images.to(device), torch.Generator().manual_seed(0), 0)[0]
        .item()
        for device in ("cpu", "cuda")
    ]
    assert losses[1] == pytest.approx(losses[0], rel=1e-2)
