"""The pretraining loop: it learns, resumes exactly, and loses nothing that was computed."""

import dataclasses
import json
import math
from contextlib import ExitStack

import pytest
import torch

from aesthlib import models, training
from aesthlib.pretext.degradation import Degradation, DegradationCropped
from aesthlib.pretext.labels import Labels
from aesthlib.store import checkpoints, records
from aesthlib.training import PretrainConfig, evaluate, load_model, loop, pretrain

FEW = Degradation.Options(
    operations=("rotation", "exposure"),
    operations_per_patch=1,
    entropy_from_epoch=1,
    triplet_from_epoch=1,
)
TINY = PretrainConfig(
    size_px=67,
    shorter_edge_px=70,
    epochs=3,
    batch_size=2,
    learning_rate=0.01,
    drop_every_epochs=2,
    precision="fp32",
    options=FEW,
)


def tiny(**changes):
    return dataclasses.replace(TINY, **changes)


@pytest.fixture
def photographs(smooth, packed):
    return packed(smooth(4, 70, 72))


@pytest.fixture
def during(monkeypatch):
    """Function of an epoch, from 0, and a change of the loss: what happens in its second step."""

    def set_up(epoch, change):
        learn, seen = Degradation.learn, []

        def changed(self, backbone, batch, now):
            loss, measures = learn(self, backbone, batch, now)
            seen.append(now)
            return (change(loss) if seen.count(epoch) == 2 else loss), measures

        monkeypatch.setattr(Degradation, "learn", changed)

    return set_up


def kill(loss):
    raise KeyboardInterrupt


def timeless(history):
    return [{k: v for k, v in row.items() if k != "seconds"} for row in history]


# --- learning ---


def test_overfits_eight_images(smooth, packed, tmp_path):
    options = Degradation.Options(
        operations=("rotation", "exposure", "pixelation"), entropy_from_epoch=100
    )
    config = tiny(
        epochs=10, batch_size=8, learning_rate=0.03, drop_every_epochs=100, options=options
    )
    history = pretrain(config, packed(smooth(8, 70, 70)), tmp_path, "cpu").history
    assert history[0]["loss"] == pytest.approx(math.log(22), abs=0.7)
    assert history[-1]["loss"] < 1.1
    assert history[-1]["accuracy"] > 0.7


def test_history_and_outcome(photographs, tmp_path):
    outcome = pretrain(TINY, photographs, tmp_path, "cpu")
    assert [row["epoch"] for row in outcome.history] == [1, 2, 3]
    assert [row["learning_rate"] for row in outcome.history] == pytest.approx([0.01, 0.01, 0.002])
    assert all(row["images"] == 4 * 3 for row in outcome.history)
    assert {"loss", "cross_entropy", "accuracy", "triplet"} <= set(outcome.history[0])
    assert outcome.precision == "fp32"
    assert outcome.minutes == sum(row["seconds"] for row in outcome.history) / 60
    _, header = checkpoints.load(tmp_path)
    assert header["history"] == list(outcome.history)
    assert header["sha256"] == outcome.checkpoint_sha256
    assert header["config"] == records.resolved(TINY)


def test_learning_rate_schedule():
    config = PretrainConfig()
    rates = [config.learning_rate_at(epoch) for epoch in (0, 9, 10, 19, 20, 59)]
    assert rates == pytest.approx([0.1, 0.1, 0.02, 0.02, 0.004, 0.1 * 0.2**5])


def test_optimizer_follows_the_schedule(photographs, tmp_path, during):
    config = tiny(epochs=2, learning_rate_drop=0.0, drop_every_epochs=1)
    during(1, kill)
    with pytest.raises(KeyboardInterrupt):
        pretrain(config, photographs, tmp_path, "cpu")
    before, _ = checkpoints.load(tmp_path)
    pretrain(config, photographs, tmp_path, "cpu")
    after, _ = checkpoints.load(tmp_path)
    weights = [name for name in before if name.startswith("model.") and "running" not in name]
    for name in weights:
        assert torch.equal(before[name], after[name]) or name.endswith("num_batches_tracked")
    moved = [n for n in before if n.startswith("momentum.")]
    assert any(not torch.equal(before[name], after[name]) for name in moved)


def test_several_crops_of_a_photograph_make_a_longer_epoch(photographs, tmp_path):
    config = tiny(epochs=1, crops_per_photograph=2)
    assert pretrain(config, photographs, tmp_path, "cpu").history[0]["images"] == 2 * 4 * 3


def test_seeds_differ_and_repeat(photographs, tmp_path):
    def run(folder, seed):
        config = tiny(epochs=1, seed=seed)
        return pretrain(config, photographs, tmp_path / folder, "cpu").checkpoint_sha256

    assert run("a", 0) == run("b", 0) != run("c", 1)


def test_global_generator_is_untouched(photographs, tmp_path):
    before = torch.get_rng_state()
    pretrain(tiny(epochs=1), photographs, tmp_path, "cpu")
    assert torch.equal(torch.get_rng_state(), before)


def test_bf16_keeps_weights_in_fp32(packed, smooth, tmp_path):
    config = tiny(epochs=1, precision="bf16")
    outcome = pretrain(config, packed(smooth(2, 70, 70)), tmp_path, "cpu")
    assert outcome.precision == "bf16" and math.isfinite(outcome.history[0]["loss"])
    tensors, _ = checkpoints.load(tmp_path)
    kinds = {t.dtype for name, t in tensors.items() if not name.endswith("num_batches_tracked")}
    assert kinds == {torch.float32}


def test_random_moves_no_weight_and_takes_one_pass(photographs, tmp_path):
    config = tiny(method="random", options=None, epochs=9, seed=3)
    outcome = pretrain(config, photographs, tmp_path, "cpu")
    assert len(outcome.history) == 1
    trained = load_model(tmp_path, outcome.checkpoint_sha256, "cpu").backbone
    fresh = models.build("alexnet", seed=3)
    for (name, weight), before in zip(trained.named_parameters(), fresh.parameters(), strict=True):
        assert torch.equal(weight, before), name
    norms = [m for m in trained.modules() if isinstance(m, torch.nn.BatchNorm2d)]
    assert all((norm.running_mean != 0).all() for norm in norms)
    assert pretrain(config, photographs, tmp_path, "cpu") == outcome


def test_progress_goes_to_standard_error(photographs, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(loop, "REPORT_SECONDS", -1.0)
    pretrain(tiny(epochs=1), photographs, tmp_path, "cpu")
    shown = capsys.readouterr()
    assert shown.out == ""
    for word in ("degradation seed 0", "epoch 1/1", "loss", "accuracy", "images/s", "4/4"):
        assert word in shown.err


# --- where it starts, and labels ---


def weights_of(folder):
    tensors, header = checkpoints.load(folder)
    return {k: v for k, v in tensors.items() if k.startswith("model.")}, header


def test_starts_from_the_weights_it_is_given(photographs, tmp_path):
    initial = models.build("alexnet", seed=7)
    given = {name: tensor.clone() for name, tensor in initial.state_dict().items()}
    still = tiny(epochs=1, learning_rate=1e-12)
    pretrain(still, photographs, tmp_path / "given", "cpu", initial, "7" * 64)
    found, header = weights_of(tmp_path / "given")
    assert header["initial"] == "7" * 64
    fresh = models.build("alexnet", seed=still.seed)
    for (name, parameter), other in zip(
        initial.named_parameters(), fresh.parameters(), strict=True
    ):
        torch.testing.assert_close(
            found[f"model.backbone.{name}"], parameter.detach(), atol=1e-6, rtol=0
        )
        assert parameter.ndim < 2 or not torch.allclose(parameter, other)
    # the head is the run's own, and what was given stays as it was
    pretrain(still, photographs, tmp_path / "fresh", "cpu")
    own, header = weights_of(tmp_path / "fresh")
    assert header["initial"] == ""
    torch.testing.assert_close(
        own["model.task.head.weight"], found["model.task.head.weight"], atol=1e-6, rtol=0
    )
    assert all(torch.equal(given[name], tensor) for name, tensor in initial.state_dict().items())


def test_other_initial_weights_are_another_run(photographs, tmp_path):
    config, initial = tiny(epochs=1), models.build("alexnet", seed=7)
    first = pretrain(config, photographs, tmp_path, "cpu", initial, "7" * 64)
    assert pretrain(config, photographs, tmp_path, "cpu", initial, "7" * 64) == first
    for other in ("8" * 64, ""):
        with pytest.raises(ValueError, match=r"holds the checkpoint of another run \(initial\)"):
            pretrain(config, photographs, tmp_path, "cpu", initial if other else None, other)


def test_labels_are_numbered_in_their_order(photographs):
    pack = photographs.take(torch.arange(4), ("sea", "hill", "sea", "city"))
    assert training.labels_of(pack).tolist() == [2, 1, 2, 0]


def test_a_supervised_step_gets_the_labels_of_its_patches(packed, tmp_path, monkeypatch):
    """Photograph k is of grey level 40 k, so a patch tells which one it is."""
    grey = torch.arange(4, dtype=torch.uint8).mul(40).view(4, 1, 1, 1).expand(4, 3, 70, 72)
    pack = packed(grey.contiguous()).take(torch.arange(4), ("d", "b", "c", "a"))
    seen, learn = [], Labels.learn

    def watched(self, backbone, batch, epoch):
        patches, labels = batch
        seen.extend(zip((patches[:, 0, 0, 0] // 40).tolist(), labels.tolist(), strict=True))
        return learn(self, backbone, batch, epoch)

    monkeypatch.setattr(Labels, "learn", watched)
    config = tiny(method="labels", options=Labels.Options(4), epochs=1, crops_per_photograph=2)
    pretrain(config, pack, tmp_path, "cpu")
    pairs = [(0, 3), (0, 3), (1, 1), (1, 1), (2, 2), (2, 2), (3, 0), (3, 0)]
    assert sorted(seen[:8]) == pairs
    assert set(seen[8:]) <= set(pairs)  # what settles the statistics is drawn anew


# --- statistics of batch norm ---


def test_settled_statistics_are_plain_averages(smooth):
    """Of the mean and the unbiased variance of every batch, and nothing else changes."""
    norm = torch.nn.BatchNorm2d(3, momentum=0.3)
    model = torch.nn.Sequential(norm)
    batches = [smooth(2, 8, 8, seed).float() for seed in range(5)]
    model(batches[0])  # a moving average that is to be forgotten
    left = iter(batches)
    training.recompute_batch_norm(model, lambda: model(next(left)), len(batches))
    mean = torch.stack([b.mean((0, 2, 3)) for b in batches]).mean(0)
    variance = torch.stack([b.transpose(0, 1).flatten(1).var(1) for b in batches]).mean(0)
    torch.testing.assert_close(norm.running_mean, mean)
    torch.testing.assert_close(norm.running_var, variance)
    assert norm.momentum == 0.3


def test_statistics_are_settled_once_and_exactly(photographs, tmp_path, monkeypatch):
    """Killed before, the same call ends with the same bytes; asked again, nothing is done."""
    whole = pretrain(TINY, photographs, tmp_path / "whole", "cpu").checkpoint_sha256
    with monkeypatch.context() as patch:
        patch.setattr(loop, "recompute_batch_norm", killed)
        with pytest.raises(KeyboardInterrupt):
            pretrain(TINY, photographs, tmp_path / "again", "cpu")
    assert checkpoints.load(tmp_path / "again")[1]["settled"] is False
    assert pretrain(TINY, photographs, tmp_path / "again", "cpu").checkpoint_sha256 == whole
    monkeypatch.setattr(loop, "recompute_batch_norm", killed)
    assert pretrain(TINY, photographs, tmp_path / "again", "cpu").checkpoint_sha256 == whole


def killed(*arguments):
    raise KeyboardInterrupt


# --- measures on other photographs ---


def test_evaluating_shows_every_photograph_equally_often_and_learns_nothing(
    trained, photographs, monkeypatch
):
    folder, _, config = trained
    model = load_model(folder, checkpoints.load(folder)[1]["sha256"], "cpu")
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    shown, crop = [], type(photographs).random_crops

    def random_crops(self, index, size_px, generator):
        shown.extend(index.tolist())
        return crop(self, index, size_px, generator)

    monkeypatch.setattr(type(photographs), "random_crops", random_crops)
    found = evaluate(model, photographs, config.size_px, "cpu", crops=3, batch_size=4)
    assert sorted(shown) == [0, 0, 0, 1, 1, 1, 2, 2, 2, 3, 3, 3]
    assert {"loss", "accuracy", "cross_entropy"} <= set(found)
    assert all(math.isfinite(value) for value in found.values())
    assert all(torch.equal(before[name], tensor) for name, tensor in model.state_dict().items())
    monkeypatch.undo()
    assert evaluate(model, photographs, config.size_px, "cpu", crops=3, batch_size=4) == found
    other = evaluate(model, photographs, config.size_px, "cpu", crops=3, batch_size=4, seed=1)
    assert other != found


def test_evaluating_is_the_mean_over_its_batches(trained, photographs):
    folder, _, config = trained
    model = load_model(folder, checkpoints.load(folder)[1]["sha256"], "cpu")
    found = evaluate(model, photographs, config.size_px, "cpu", crops=2, batch_size=4, seed=5)
    generator = torch.Generator().manual_seed(5)
    order = torch.randperm(8, generator=generator) % 4
    right = []
    for index in (order[:4], order[4:]):
        patches = photographs.random_crops(index, config.size_px, generator)
        with torch.no_grad():
            _, measures = model.task.step(model.backbone, patches, generator, 10**6)
        right.append(measures.sums["accuracy"])
    total = sum(float(correct) for correct, _ in right) / sum(count for _, count in right)
    assert found["accuracy"] == pytest.approx(total)


def test_a_whole_model_is_loaded_frozen(trained, speckled):
    folder, _, config = trained
    tensors, header = checkpoints.load(folder)
    model = load_model(folder, header["sha256"], "cpu")
    assert not model.training and not any(p.requires_grad for p in model.parameters())
    assert model.task.options == config.options
    state = model.state_dict()
    assert {f"model.{name}" for name in state} == {n for n in tensors if n.startswith("model.")}
    assert all(torch.equal(tensor, tensors[f"model.{name}"]) for name, tensor in state.items())
    assert model.task.logits(model.backbone(speckled(2, 67, 67))).shape == (2, 22)


@pytest.mark.parametrize(
    "config",
    [
        TINY,
        PretrainConfig(),
        PretrainConfig(method="labels", options=Labels.Options(3)),
        PretrainConfig(method="jigsaw", backbone="resnet18", seed=4),
    ],
    ids=lambda config: f"{config.method} {config.backbone}",
)
def test_a_config_comes_back_from_its_record(config):
    settings = json.loads(json.dumps(records.resolved(config)))
    assert training.config_of({"config": settings}) == config
    more = settings | {"row": "another", "benchmark": "ava", "folds": 5}
    assert training.config_of({"config": more}) == config


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"probe": {}},
        records.resolved(TINY) | {"options": {"speed": 3}},
        {k: v for k, v in records.resolved(TINY).items() if k != "epochs"},
    ],
    ids=["none", "of a probe", "unknown option", "one missing"],
)
def test_settings_of_something_else_are_refused(settings):
    with pytest.raises(ValueError, match="not the settings of a training"):
        training.config_of({"config": settings})


# --- resuming ---


def test_resuming_equals_not_stopping(photographs, tmp_path, during):
    whole = pretrain(TINY, photographs, tmp_path / "whole", "cpu")
    during(1, kill)
    with pytest.raises(KeyboardInterrupt):
        pretrain(TINY, photographs, tmp_path / "again", "cpu")
    assert checkpoints.load(tmp_path / "again")[1]["epoch"] == 1
    again = pretrain(TINY, photographs, tmp_path / "again", "cpu")
    assert again.checkpoint_sha256 == whole.checkpoint_sha256
    assert timeless(again.history) == timeless(whole.history)


def test_a_finished_run_is_loaded(photographs, tmp_path, monkeypatch):
    outcome = pretrain(tiny(epochs=1), photographs, tmp_path, "cpu")
    monkeypatch.setattr(Degradation, "step", None)
    assert pretrain(tiny(epochs=1), photographs, tmp_path, "cpu") == outcome


@pytest.fixture(scope="module")
def trained(tmp_path_factory, smooth, packed):
    """The folder of a run of one epoch, its photographs and its config."""
    folder, photographs = tmp_path_factory.mktemp("trained"), packed(smooth(4, 70, 72))
    config = tiny(epochs=1)
    pretrain(config, photographs, folder, "cpu")
    return folder, photographs, config


@pytest.mark.parametrize(
    "changes, named",
    [
        ({"learning_rate": 0.02}, "learning_rate is 0.01 there and 0.02 here"),
        ({"seed": 1}, "seed is 0 there and 1 here"),
        ({"epochs": 2}, "epochs is 1 there and 2 here"),
        ({"options": dataclasses.replace(FEW, lambda_triplet=0.5)}, "options is .*0.02.* there"),
    ],
)
def test_the_checkpoint_of_another_config_is_refused(changes, named, trained):
    folder, photographs, config = trained
    with pytest.raises(ValueError, match=f"{folder} holds the checkpoint of another run .*{named}"):
        pretrain(dataclasses.replace(config, **changes), photographs, folder, "cpu")


def test_the_checkpoint_of_other_photographs_is_refused(trained):
    folder, photographs, config = trained
    other = dataclasses.replace(photographs, sha256="1" * 64)
    with pytest.raises(ValueError, match=r"of another run \(data\)"):
        pretrain(config, other, folder, "cpu")


def test_an_altered_checkpoint_is_refused(photographs, tmp_path):
    pretrain(tiny(epochs=1), photographs, tmp_path, "cpu")
    path = tmp_path / "epoch-0001-settled.safetensors"
    path.write_bytes(path.read_bytes()[:-1] + b"?")
    for use in (
        lambda: pretrain(tiny(epochs=1), photographs, tmp_path, "cpu"),
        lambda: load_model(tmp_path, "alexnet", "cpu").backbone,
    ):
        with pytest.raises(ValueError, match=f"{path} is missing or not the file"):
            use()


# --- what can go wrong on the way ---


def test_full_disk_keeps_the_last_checkpoint(photographs, tmp_path, full_disk, during):
    whole = pretrain(TINY, photographs, tmp_path / "whole", "cpu")
    with ExitStack() as stack:
        during(1, lambda loss: stack.enter_context(full_disk(1000)) or loss)
        with pytest.raises(OSError, match="could not write .*epoch-0002.safetensors.*free some"):
            pretrain(TINY, photographs, tmp_path / "again", "cpu")
    assert checkpoints.load(tmp_path / "again")[1]["epoch"] == 1
    again = pretrain(TINY, photographs, tmp_path / "again", "cpu")
    assert again.checkpoint_sha256 == whole.checkpoint_sha256


def test_a_loss_that_is_not_finite_keeps_the_last_checkpoint(photographs, tmp_path, during):
    during(1, lambda loss: loss * math.nan)
    with pytest.raises(FloatingPointError, match="in epoch 2 .*epoch 1 is kept.*learning_rate"):
        pretrain(TINY, photographs, tmp_path, "cpu")
    assert checkpoints.load(tmp_path)[1]["epoch"] == 1


def test_a_diverging_first_epoch_leaves_nothing(photographs, tmp_path):
    with pytest.raises(FloatingPointError, match="in epoch 1 of .* checkpoints none is kept"):
        pretrain(tiny(learning_rate=1e30), photographs, tmp_path, "cpu")
    assert checkpoints.load(tmp_path) is None


def test_photographs_too_few_or_too_small_are_refused(packed, smooth, tmp_path):
    with pytest.raises(ValueError, match="crops_per_photograph: an epoch needs at least two"):
        pretrain(TINY, packed(smooth(1, 70, 70)), tmp_path, "cpu")
    with pytest.raises(ValueError, match="size_px: patches of 67 px do not lie within"):
        pretrain(TINY, packed(smooth(4, 60, 70)), tmp_path, "cpu")


@pytest.mark.parametrize(
    "changes, message",
    [
        ({"method": "magic"}, "method must be one of"),
        ({"backbone": "vgg"}, "backbone must be one of"),
        ({"options": 3}, "options must be degradation's Options"),
        ({"size_px": 66}, "size_px must lie in"),
        ({"size_px": 71}, "size_px must lie in"),
        ({"epochs": 0}, "epochs must be at least 1"),
        ({"crops_per_photograph": 0}, "crops_per_photograph must be at least 1"),
        ({"drop_every_epochs": 0}, "drop_every_epochs must be at least 1"),
        ({"batch_size": 1}, "batch_size must be at least 2"),
        ({"learning_rate": 0.0}, "learning_rate must be positive"),
        ({"learning_rate": math.nan}, "learning_rate must be finite"),
        ({"epochs": "3"}, "epochs must be of type int"),
        ({"epochs": 2.5}, "epochs must be of type int"),
        ({"momentum": -0.1}, "momentum must be at least 0"),
        ({"precision": "fp16"}, "precision must be auto, bf16 or fp32"),
    ],
)
def test_bad_settings_are_named(changes, message):
    with pytest.raises(ValueError, match=message):
        tiny(**changes)


# --- a task that takes a margin ---


def cropped(**changes):
    settings = {"size_px": 67, "shorter_edge_px": 79, "epochs": 1, **changes}
    return tiny(method="degradation_cropped", **settings)


def test_a_margin_must_fit_into_the_photographs():
    assert cropped().size_px + DegradationCropped.margin_px == cropped().shorter_edge_px
    message = r"size_px must lie in \[67, shorter_edge_px - 12 = 66\] for alexnet, got 67"
    with pytest.raises(ValueError, match=message):
        cropped(shorter_edge_px=78)
    with pytest.raises(ValueError, match=r"\[67, shorter_edge_px = 70\] for alexnet, got 71"):
        tiny(size_px=71)


def test_a_task_is_given_its_margin_and_the_network_is_not(smooth, packed, tmp_path, monkeypatch):
    given, seen = [], []
    prepare, learn = DegradationCropped.prepare, DegradationCropped.learn

    def watched(self, patches, generator):
        given.append(patches.shape[-1])
        return prepare(self, patches, generator)

    def learned(self, backbone, batch, epoch):
        hook = backbone.register_forward_pre_hook(
            lambda module, inputs: seen.append(inputs[0].shape[-1])
        )
        found = learn(self, backbone, batch, epoch)
        hook.remove()
        return found

    monkeypatch.setattr(DegradationCropped, "prepare", watched)
    monkeypatch.setattr(DegradationCropped, "learn", learned)
    photographs = packed(smooth(2, 79, 80))
    outcome = pretrain(cropped(), photographs, tmp_path, "cpu")
    assert given == 2 * [79] and seen == 2 * [67]  # a step, and another to settle the statistics
    model = load_model(tmp_path, outcome.checkpoint_sha256, "cpu")
    assert isinstance(model.task, DegradationCropped)
    found = evaluate(model, photographs, 67, "cpu")
    assert given == 3 * [79] and seen == 3 * [67] and math.isfinite(found["loss"])
    assert model.task.logits(model.backbone(smooth(2, 67, 67))).shape == (2, 22)


# --- devices and the frozen backbone ---


def test_devices_are_chosen_and_checked():
    assert training.choose_device("cpu") == "cpu"
    assert training.choose_device("auto") == ("cuda" if torch.cuda.is_available() else "cpu")
    for name in ("cuda:99", "gpu"):
        with pytest.raises(ValueError, match=f"device '{name}' is not available"):
            training.choose_device(name)


def test_precision_is_chosen():
    assert training.choose_precision("bf16", "cpu") == "bf16"
    assert training.choose_precision("auto", "cuda") == "bf16"
    assert training.choose_precision("auto", "cpu") in ("bf16", "fp32")


def test_a_backbone_is_loaded_frozen(trained, speckled):
    folder, _, _ = trained
    backbone = load_model(folder, checkpoints.load(folder)[1]["sha256"], "cpu").backbone
    assert not backbone.training and not any(p.requires_grad for p in backbone.parameters())
    tensors, _ = checkpoints.load(folder)
    for name, value in backbone.state_dict().items():
        assert torch.equal(value, tensors[f"model.backbone.{name}"])
    images = speckled(2, 67, 67)
    apart = torch.cat([backbone(image[None])["conv5"] for image in images])
    torch.testing.assert_close(backbone(images)["conv5"], apart)


def test_a_backbone_that_is_not_there_is_named(trained, tmp_path):
    folder, _, _ = trained
    with pytest.raises(FileNotFoundError, match=f"{tmp_path} holds no checkpoint"):
        load_model(tmp_path, "0" * 64, "cpu")
    with pytest.raises(ValueError, match=f"{folder} holds checkpoint .*, not 0000000000000000 of"):
        load_model(folder, "0" * 64, "cpu")


@pytest.mark.gpu
def test_trains_and_resumes_on_cuda(photographs, tmp_path, during):
    config = tiny(precision="auto", backbone="resnet18", options=None)
    during(1, kill)
    with pytest.raises(KeyboardInterrupt):
        pretrain(config, photographs, tmp_path, "cuda")
    outcome = pretrain(config, photographs, tmp_path, "cuda")
    assert outcome.precision == "bf16" and len(outcome.history) == 3
    assert all(math.isfinite(row["loss"]) for row in outcome.history)
    backbone = load_model(tmp_path, outcome.checkpoint_sha256, "cuda").backbone
    assert backbone.stages["conv1"][0].weight.is_cuda
