"""Colorization: no colour enters, the encoding and its weights, and colours are learned."""

import math

import pytest
import torch

from aesthlib import models, pretext
from aesthlib.data import photographs
from aesthlib.ops import colour
from aesthlib.pretext import colorization
from aesthlib.pretext.colorization import Colorization
from aesthlib.training import PretrainConfig, evaluate, load_model, pretrain

Options = Colorization.Options
SIZE, CROPS = 80, 12


@pytest.fixture
def step(smooth):
    """Function of options: loss and measures of a step, task, backbone, photographs."""

    def run(train=True, name="alexnet", images=None, **options):
        images = smooth(4, SIZE, SIZE) if images is None else images
        backbone = Colorization.build(name, 0).train(train)
        task = Colorization(backbone, Options(**options), 0).train(train)
        loss, measures = task.step(backbone, images, torch.Generator().manual_seed(0), 0)
        return loss, measures, task, backbone, images

    return run


def same_lightness(speckled):
    """Two photographs of equal lightness levels, of other colours wherever there are some."""
    colours = speckled(1, 256, 256).flatten(2)[0].T  # (65536, 3)
    lightness = colour.lab_levels(colours.T.view(1, 3, 256, 256))[0, 0].flatten()
    order = lightness.argsort(stable=True)
    first, second = order[:-1], order[1:]
    pairs = lightness[first] == lightness[second]
    count = SIZE * SIZE
    chosen = pairs.nonzero().flatten()
    chosen = chosen[torch.randperm(len(chosen), generator=torch.Generator().manual_seed(0))[:count]]
    return tuple(colours[rows[chosen]].T.view(1, 3, SIZE, SIZE) for rows in (first, second))


def test_no_colour_enters(speckled):
    one, other = same_lightness(speckled)
    difference = (colour.rgb_to_lab(one) - colour.rgb_to_lab(other))[:, 1:].abs().mean()
    assert difference > 20  # of ab: they do differ
    backbone = Colorization.build("alexnet", 0).eval()
    with torch.inference_mode():
        features, again = backbone(one), backbone(other)
    assert all(torch.equal(features[layer], again[layer]) for layer in models.LAYERS)
    assert backbone.stages["conv1"][0].in_channels == 1


@pytest.mark.parametrize("name", ["alexnet", "resnet18"])
def test_one_step(name, step, smooth):
    loss, measures, task, backbone, images = step(name=name, images=smooth(2, SIZE, SIZE))
    assert math.isfinite(loss.item()) and measures.images == len(images)
    loss.backward()
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in backbone.parameters())
    cells = 2 * backbone(images)["conv5"].shape[-1] ** 2
    assert all(count == cells for _, count in measures.sums.values())
    assert not any(total.requires_grad for total, _ in measures.sums.values())


def test_soft_encoding_the_slow_way():
    bins = colour.ab_bins()
    ab = (torch.rand(40, 2, generator=torch.Generator().manual_seed(0)) - 0.5) * 160
    index, weight = colorization.soft_encode(ab, bins, 5, 5.0)
    for row, (a, b) in enumerate(ab.tolist()):
        squares = sorted(
            ((a - x) ** 2 + (b - y) ** 2, number) for number, (x, y) in enumerate(bins.tolist())
        )[:5]
        total = sum(math.exp(-square / 50) for square, _ in squares)
        expected = [math.exp(-square / 50) / total for square, _ in squares]
        assert index[row].tolist() == [number for _, number in squares]
        torch.testing.assert_close(weight[row], torch.tensor(expected), rtol=1e-3, atol=1e-5)


def test_rebalancing_the_slow_way():
    bins = colour.ab_bins().tolist()
    share = torch.rand(len(bins), generator=torch.Generator().manual_seed(0)) ** 8
    share /= share.sum()
    task = Colorization(Colorization.build("alexnet", 0), Options(), 0)
    weight = colorization.rebalancing(share, task.spread, 0.5)

    smooth = [0.0] * len(bins)
    for (a, b), mass in zip(bins, share.tolist(), strict=True):
        near = [math.exp(-((a - x) ** 2 + (b - y) ** 2) / 50) for x, y in bins]
        smooth = [s + mass * n / sum(near) for s, n in zip(smooth, near, strict=True)]
    raw = [1 / (0.5 * s + 0.5 / len(bins)) for s in smooth]
    mean = sum(s * r for s, r in zip(smooth, raw, strict=True))
    torch.testing.assert_close(weight, torch.tensor([r / mean for r in raw]), rtol=1e-4, atol=0)
    assert torch.equal(
        colorization.rebalancing(share, task.spread, 1.0).round(decimals=4), torch.ones(len(bins))
    )


def test_loss_the_slow_way(step):
    loss, measures, task, backbone, images = step()
    tap = backbone.train()(images)["conv5"]
    ab = backbone.cells(colour.rgb_to_lab(images)[:, 1:], tap.shape[2:])
    losses, correct, nearest = [], [], []
    for n in range(len(images)):
        for y in range(tap.shape[2]):
            for x in range(tap.shape[3]):
                logits = task.head.weight @ tap[n, :, y, x] + task.head.bias
                distance = (task.bins - ab[n, :, y, x]).norm(dim=1)
                five = distance.argsort()[:5]
                target = (-distance[five].square() / 50).exp()
                target = target / target.sum()
                losses.append(-(target * logits.log_softmax(0)[five]).sum())
                nearest.append(five[0].item())
                correct.append(logits.argmax().item() == nearest[-1])
    share = torch.bincount(torch.tensor(nearest), minlength=len(task.bins)) / len(nearest)
    torch.testing.assert_close(task.share, share)  # the first batch alone
    weight = colorization.rebalancing(share, task.spread, 0.5)[nearest]
    losses, correct = torch.stack(losses), torch.tensor(correct)
    torch.testing.assert_close(loss, (weight * losses).mean(), rtol=1e-4, atol=1e-4)
    means = {name: float(total) / count for name, (total, count) in measures.sums.items()}
    assert means == pytest.approx(
        {
            "cross_entropy": losses.mean().item(),
            "accuracy": correct.float().mean().item(),
            "balanced_accuracy": (weight * correct).mean().item(),
        },
        rel=1e-4,
    )


def test_share_is_the_plain_average_of_the_batches_in_training_alone(step):
    _, _, task, backbone, images = step()
    batches = [torch.tensor([0, 0, 1, 2]), torch.tensor([2, 2, 2, 2]), torch.tensor([5, 0, 0, 0])]
    fresh = Colorization(backbone, Options(), 0)
    for batch in batches:
        fresh.count(batch)
    counts = torch.bincount(torch.cat(batches), minlength=len(task.bins)) / 12
    torch.testing.assert_close(fresh.share, counts)
    assert fresh.seen == 3 and {"share", "seen"} <= set(fresh.state_dict())

    kept = task.share.clone()
    task.eval().step(backbone.eval(), images[:2], torch.Generator(), 0)
    assert torch.equal(task.share, kept)


@pytest.mark.parametrize(
    "options, message",
    [
        ({"soft_bins": 0}, "soft_bins must be at least 1"),
        ({"soft_bins": 500}, "soft_bins must be at most 261"),
        ({"sigma": 0.0}, "sigma must be positive"),
        ({"uniform_share": 0.0}, "uniform_share must lie"),
        ({"uniform_share": 1.5}, "uniform_share must lie"),
    ],
)
def test_bad_options_are_named(options, message):
    with pytest.raises(ValueError, match=message):
        Options(**options)
    assert pretext.task("colorization") is Colorization


def blind(task, backbone, seen, asked):
    """Measures on `asked` of the best answer, from `seen`, that ignores the picture."""

    def targets(pack, seed):
        generator = torch.Generator().manual_seed(seed)
        index = torch.arange(len(pack)).repeat(CROPS)
        lab = colour.rgb_to_lab(pack.random_crops(index, SIZE, generator))
        ab = backbone.cells(lab[:, 1:], (3, 3)).permute(0, 2, 3, 1).flatten(0, 2)
        index, soft = colorization.soft_encode(ab, task.bins, 5, 5.0)
        return index[:, 0], torch.zeros(len(ab), len(task.bins)).scatter(1, index, soft)

    (known, dense), (nearest, wanted) = targets(seen, 1), targets(asked, 2)
    answer = dense.mean(0) * 0.99 + 0.01 / len(task.bins)
    return {
        "cross_entropy": -(wanted @ answer.log()).mean().item(),
        "accuracy": (nearest == known.bincount().argmax()).float().mean().item(),
    }


def trained(pack, folder):
    config = PretrainConfig(
        method="colorization",
        size_px=SIZE,
        shorter_edge_px=96,
        epochs=8,
        crops_per_photograph=8,
        batch_size=8,
        learning_rate=0.05,
        drop_every_epochs=6,
        precision="fp32",
    )
    outcome = pretrain(config, pack, folder, "cpu")
    return load_model(folder, outcome.checkpoint_sha256, "cpu")


def test_learns_colours_of_photographs(embedded_pack, tmp_path):
    """Fresh crops of the photographs it trained on: few tell nothing of another one's colours."""
    pack = photographs.load(embedded_pack, "train")
    model = trained(pack, tmp_path)
    measures = evaluate(model, pack, SIZE, "cpu", CROPS, seed=1)
    chance = blind(model.task, model.backbone, pack, pack)
    assert measures["accuracy"] > chance["accuracy"] + 0.1
    assert measures["cross_entropy"] < chance["cross_entropy"] - 0.3


def test_learns_a_rule_of_colours_on_held_out_photographs(toned, tmp_path):
    """Photographs toned by their lightness: what there is to learn holds for other ones."""
    train, held_out = toned
    model = trained(train, tmp_path)
    measures = evaluate(model, held_out, SIZE, "cpu", CROPS)
    chance = blind(model.task, model.backbone, train, held_out)
    assert measures["accuracy"] > chance["accuracy"] + 0.1
    assert measures["cross_entropy"] < chance["cross_entropy"] - 0.2


@pytest.mark.gpu
def test_cuda_is_close_to_the_cpu(smooth, monkeypatch):
    monkeypatch.setattr(torch.backends.cudnn, "allow_tf32", False)
    images = smooth(4, SIZE, SIZE)
    backbone = Colorization.build("alexnet", 0)
    task = Colorization(backbone, Options(), 0)
    losses = [
        task.to(device)
        .step(backbone.to(device), images.to(device), torch.Generator().manual_seed(0), 0)[0]
        .item()
        for device in ("cpu", "cuda")
    ]
    assert losses[1] == pytest.approx(losses[0], rel=1e-2)
