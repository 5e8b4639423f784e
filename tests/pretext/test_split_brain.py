"""Split-brain: two blind halves, both directions of the loss, and both are learned."""

import math
from dataclasses import replace

import pytest
import torch

from aesthlib import models, pretext
from aesthlib.data import photographs
from aesthlib.ops import colour
from aesthlib.pretext import colorization
from aesthlib.pretext.split_brain import SplitBrain
from aesthlib.training import PretrainConfig, evaluate, load_model, pretrain

Options = SplitBrain.Options
SIZE, CROPS = 80, 12


@pytest.mark.parametrize("name", ["alexnet", "resnet18"])
def test_halves_make_a_whole(name, speckled):
    backbone, whole = SplitBrain.build(name, 0).eval(), models.build(name, 0)
    images = speckled(2, SIZE, SIZE)
    with torch.inference_mode():
        taps, light, chroma = (f(images) for f in (backbone, backbone.light, backbone.chroma))
    assert backbone.channels == whole.channels and tuple(taps) == models.LAYERS
    for layer, tap in taps.items():
        assert tap.shape[1] == whole.channels[layer]
        assert torch.equal(tap, torch.cat([light[layer], chroma[layer]], 1))
        assert light[layer].shape == chroma[layer].shape


def test_each_half_is_blind_to_what_the_other_sees(speckled):
    backbone, images = SplitBrain.build("alexnet", 0).eval(), speckled(1, SIZE, SIZE)
    lab, seen = colour.lab_levels(images), {}
    other = 255 - lab
    for name, levels in (
        ("as it is", lab),
        ("other colours", torch.cat([lab[:, :1], other[:, 1:]], 1)),
        ("other lightness", torch.cat([other[:, :1], lab[:, 1:]], 1)),
    ):
        with pytest.MonkeyPatch.context() as patch, torch.inference_mode():
            patch.setattr(colour, "lab_levels", lambda images, levels=levels: levels)
            seen[name] = {half: getattr(backbone, half)(images) for half in ("light", "chroma")}
    for layer in models.LAYERS:
        light, chroma = (
            {k: v[half][layer] for k, v in seen.items()} for half in ("light", "chroma")
        )
        assert torch.equal(light["as it is"], light["other colours"])
        assert not torch.equal(light["as it is"], light["other lightness"])
        assert torch.equal(chroma["as it is"], chroma["other lightness"])
        assert not torch.equal(chroma["as it is"], chroma["other colours"])


def test_same_seed_same_weights_and_halves_of_their_own():
    first, again, other = (SplitBrain.build("alexnet", seed).state_dict() for seed in (0, 0, 1))
    assert all(torch.equal(first[key], again[key]) for key in first)
    key = "stages.conv2.1.weight"
    assert not torch.equal(first[f"light.{key}"], other[f"light.{key}"])
    assert not torch.equal(first[f"light.{key}"], first[f"chroma.{key}"])


def test_loss_the_slow_way(smooth):
    images = smooth(3, SIZE, SIZE)
    backbone = SplitBrain.build("alexnet", 0)
    task = SplitBrain(backbone, Options(lightness_bins=20), 0)
    loss, measures = task.step(backbone, images, torch.Generator(), 0)
    light, chroma = backbone.light(images)["conv5"], backbone.chroma(images)["conv5"]
    lab = backbone.light.cells(colour.rgb_to_lab(images), light.shape[2:])
    sums = dict.fromkeys(("ab", "l"), 0.0)
    right = dict.fromkeys(("ab", "l"), 0)
    for n in range(3):
        for y in range(3):
            for x in range(3):
                lightness, a, b = lab[n, :, y, x].tolist()
                scores = task.ab_head(light[n, :, y, x]).log_softmax(0)
                near = sorted(
                    ((a - i) ** 2 + (b - j) ** 2, q) for q, (i, j) in enumerate(task.bins.tolist())
                )[:5]
                total = sum(math.exp(-square / 50) for square, _ in near)
                for square, q in near:
                    sums["ab"] -= math.exp(-square / 50) / total * scores[q].item()
                right["ab"] += scores.argmax().item() == near[0][1]
                scores = task.l_head(chroma[n, :, y, x]).log_softmax(0)
                level = min(int(lightness / 5), 19)
                sums["l"] -= scores[level].item()
                right["l"] += scores.argmax().item() == level
    assert loss.item() == pytest.approx((sums["ab"] + sums["l"]) / 27, rel=1e-4)
    for name in sums:
        assert float(measures.sums[f"{name}_cross_entropy"][0]) == pytest.approx(
            sums[name], rel=1e-4
        )
        assert float(measures.sums[f"{name}_accuracy"][0]) == right[name]
    assert float(measures.sums["accuracy"][0]) == sum(right.values())
    assert measures.images == 3 and measures.sums["accuracy"][1] == 54
    loss.backward()
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in backbone.parameters())


@pytest.mark.parametrize(
    "options, message",
    [
        ({"lightness_bins": 1}, "lightness_bins must be at least 2"),
        ({"soft_bins": 0}, "soft_bins must be at least 1"),
        ({"sigma": -1.0}, "sigma must be positive"),
    ],
)
def test_bad_options_are_named(options, message):
    with pytest.raises(ValueError, match=message):
        Options(**options)
    assert pretext.task("split_brain") is SplitBrain


def blind(task, backbone, seen, asked):
    """Measures on `asked` of the best answers, from `seen`, that ignore the picture."""
    bins = task.options.lightness_bins

    def targets(pack, seed):
        generator = torch.Generator().manual_seed(seed)
        index = torch.arange(len(pack)).repeat(CROPS)
        lab = colour.rgb_to_lab(pack.random_crops(index, SIZE, generator))
        lab = backbone.light.cells(lab, (3, 3)).permute(0, 2, 3, 1).flatten(0, 2)
        index, soft = colorization.soft_encode(lab[:, 1:], task.bins, 5, 5.0)
        level = (lab[:, 0] * bins / 100).long().clamp(0, bins - 1)
        return {
            "ab": torch.zeros(len(lab), len(task.bins)).scatter(1, index, soft),
            "l": torch.nn.functional.one_hot(level, bins).float(),
        }

    known, wanted, measures = targets(seen, 1), targets(asked, 2), {}
    for name, target in wanted.items():
        answer = known[name].mean(0) * 0.99 + 0.01 / target.shape[1]
        measures[f"{name}_cross_entropy"] = -(target @ answer.log()).mean().item()
        hits = target.argmax(1) == known[name].argmax(1).bincount().argmax()
        measures[f"{name}_accuracy"] = hits.float().mean().item()
    return measures


CONFIG = PretrainConfig(
    method="split_brain",
    size_px=SIZE,
    shorter_edge_px=96,
    epochs=8,
    crops_per_photograph=8,
    batch_size=8,
    learning_rate=0.05,
    drop_every_epochs=6,
    precision="fp32",
)


def learned(config, train, asked, folder):
    outcome = pretrain(config, train, folder, "cpu")
    model = load_model(folder, outcome.checkpoint_sha256, "cpu")
    measures = evaluate(model, asked, SIZE, "cpu", CROPS, seed=1)
    return measures, blind(model.task, model.backbone, train, asked)


def test_learns_both_directions_on_photographs(embedded_pack, tmp_path):
    """Fresh crops of the photographs it trained on: few tell nothing of another one's colours."""
    pack = photographs.load(embedded_pack, "train")
    measures, chance = learned(CONFIG, pack, pack, tmp_path)
    assert measures["ab_accuracy"] > chance["ab_accuracy"] + 0.1
    assert measures["ab_cross_entropy"] < chance["ab_cross_entropy"] - 0.3
    assert measures["l_cross_entropy"] < chance["l_cross_entropy"] - 0.1


def test_learns_a_rule_of_colours_on_held_out_photographs(toned, tmp_path):
    """Photographs toned by their lightness: what there is to learn holds for other ones."""
    train, held_out = toned
    config = replace(CONFIG, options=Options(lightness_bins=2))
    measures, chance = learned(config, train, held_out, tmp_path)
    for name in ("ab", "l"):
        assert measures[f"{name}_accuracy"] > chance[f"{name}_accuracy"] + 0.1
        assert measures[f"{name}_cross_entropy"] < chance[f"{name}_cross_entropy"] - 0.2


@pytest.mark.gpu
def test_cuda_is_close_to_the_cpu(smooth, monkeypatch):
    monkeypatch.setattr(torch.backends.cudnn, "allow_tf32", False)
    images = smooth(4, SIZE, SIZE)
    backbone = SplitBrain.build("alexnet", 0)
    task = SplitBrain(backbone, Options(), 0)
    losses = [
        task.to(device)
        .step(backbone.to(device), images.to(device), torch.Generator().manual_seed(0), 0)[0]
        .item()
        for device in ("cpu", "cuda")
    ]
    assert losses[1] == pytest.approx(losses[0], rel=1e-2)
