"""The pretraining loop: one for every task, CPU and CUDA alike, resumed exactly."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field, fields
from pathlib import Path

import torch
from torch import nn

from . import energy, files, models, pretext, progress, records, settings
from .data.photographs import Pack

SETTLING_BATCHES = 64  # over which batch-norm statistics are estimated at the end
REPORT_SECONDS = 2.0  # between updates of the progress line; each waits for the device


@dataclass(frozen=True)
class PretrainConfig:
    """What a pretraining run is. Defaults are the paper's, or our reading where it is silent.

    Attributes:
        method: a pretext task, see `pretext.TASKS`.
        backbone: "alexnet" or "resnet18".
        size_px: side of the patches.
        shorter_edge_px: of the packed photographs.
        epochs: passes over the photographs (not stated in the paper, more than 30).
        crops_per_photograph: patches of each photograph in an epoch.
        batch_size: patches a step.
        learning_rate: at the start.
        learning_rate_drop: factor after every so many epochs.
        drop_every_epochs: epochs between drops.
        momentum: Nesterov's.
        weight_decay: on all parameters.
        precision: "fp32", "bf16" (autocast) or "auto": bf16 where the device is fast at it.
        seed: of the weights, the crops and the draws.
        options: of the task, see its `Options`; None for its defaults.
    """

    method: str = "degradation"
    backbone: str = "alexnet"
    size_px: int = 227
    shorter_edge_px: int = 256
    epochs: int = 60
    crops_per_photograph: int = 1
    batch_size: int = 64
    learning_rate: float = 0.1
    learning_rate_drop: float = 0.2
    drop_every_epochs: int = 10
    momentum: float = 0.9
    weight_decay: float = 5e-4
    precision: str = "auto"
    seed: int = 0
    options: object = None

    def __post_init__(self):
        settings.settle(self)
        task = pretext.task(self.method)
        if self.options is None:
            object.__setattr__(self, "options", task.Options())
        elif not isinstance(self.options, task.Options):
            raise ValueError(f"options must be {self.method}'s Options, got {self.options!r}")
        if self.backbone not in models.BACKBONES:
            raise ValueError(
                f"backbone must be one of {', '.join(models.BACKBONES)}, got {self.backbone!r}"
            )
        smallest = models.SMALLEST_PX[self.backbone]
        largest = self.shorter_edge_px - task.margin_px
        if not smallest <= self.size_px <= largest:
            less = f" - {task.margin_px}" if task.margin_px else ""
            raise ValueError(
                f"size_px must lie in [{smallest}, shorter_edge_px{less} = {largest}] for "
                f"{self.backbone}, got {self.size_px}"
            )
        settings.hold(
            self,
            {
                "epochs": 1,
                "crops_per_photograph": 1,
                "drop_every_epochs": 1,
                "batch_size": 2,
                "learning_rate_drop": 0,
                "momentum": 0,
                "weight_decay": 0,
            },
        )
        if not self.learning_rate > 0:
            raise ValueError(f"learning_rate must be positive, got {self.learning_rate}")
        if self.precision not in ("auto", "bf16", "fp32"):
            raise ValueError(f"precision must be auto, bf16 or fp32, got {self.precision!r}")

    def learning_rate_at(self, epoch: int) -> float:
        """Learning rate of an epoch, from 0."""
        return self.learning_rate * self.learning_rate_drop ** (epoch // self.drop_every_epochs)


def config_of(record: dict) -> PretrainConfig:
    """The config of a training from its record or checkpoint header; other settings are ignored.

    Raises:
        ValueError: the settings are not those of a training.
    """
    settings = record["config"]
    try:
        chosen = {item.name: settings[item.name] for item in fields(PretrainConfig)}
        return PretrainConfig(
            **chosen | {"options": pretext.task(chosen["method"]).Options(**chosen["options"])}
        )
    except (KeyError, TypeError) as error:
        raise ValueError(f"not the settings of a training: {error}") from error


@dataclass(frozen=True)
class Outcome:
    """What a run leaves: its history, a dict an epoch, and its checkpoint."""

    history: tuple[dict, ...]
    checkpoint_sha256: str
    precision: str
    minutes: float = field(compare=False)


def choose_device(name: str = "auto") -> str:
    """ "cuda" where there is one, else "cpu"; a named device is checked.

    Raises:
        ValueError: the device is not there.
    """
    if name == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    try:
        torch.empty(0, device=name)
    except (RuntimeError, AssertionError) as error:
        raise ValueError(f"device {name!r} is not available: {error}") from error
    return name


def choose_precision(precision: str, device: str) -> str:
    """Resolve "auto": bf16 on CUDA and on CPUs with AMX or AVX-512 bf16, else fp32."""
    if precision != "auto":
        return precision
    if torch.device(device).type == "cuda":
        return "bf16"
    probes = ("_is_amx_tile_supported", "_is_avx512_bf16_supported")
    fast = any(getattr(torch.cpu, probe, lambda: False)() for probe in probes)
    return "bf16" if fast else "fp32"


def epoch_generator(seed: int, epoch: int) -> torch.Generator:
    """The CPU generator of an epoch: resuming needs no saved generator state."""
    return torch.Generator().manual_seed(int(files.digest([seed, epoch])[:15], 16))


def pretrain(
    config: PretrainConfig,
    photographs: Pack,
    folder: Path,
    device: str,
    initial: nn.Module | None = None,
    initial_sha256: str = "",
) -> Outcome:
    """Train, or go on from the last checkpoint in folder; the result is the same.

    Args:
        config: the run.
        photographs: packed at config.shorter_edge_px; with labels for a supervised task.
        folder: of the checkpoints, one after every epoch.
        device: "cpu" or "cuda".
        initial: backbone whose weights to start from; None starts from random ones.
        initial_sha256: of its checkpoint, which names it.

    Raises:
        ValueError: the checkpoint in folder is of another config or data, or was altered; one
            patch an epoch; patches larger than the photographs.
        FloatingPointError: the loss is no longer finite; the last checkpoint is kept.
        OSError: the disk is full; the last checkpoint is kept.
    """
    method = pretext.task(config.method)
    backbone = method.build(config.backbone, config.seed)
    if initial is not None:
        backbone.load_state_dict(initial.state_dict())
    task = method(backbone, config.options, config.seed)
    model = nn.ModuleDict({"backbone": backbone, "task": task})
    model.to(device, memory_format=torch.channels_last)
    optimizer = torch.optim.SGD(
        model.parameters(),
        lr=config.learning_rate,
        momentum=config.momentum,
        nesterov=config.momentum > 0,
        weight_decay=config.weight_decay,
    )
    if torch.device(device).type == "cuda":
        free, _ = torch.cuda.mem_get_info(device)
        if photographs.pixels.nbytes < free / 2:  # else they are cropped on the CPU
            photographs = photographs.to(device)
    precision = choose_precision(config.precision, device)
    epochs = config.epochs if task.trains else 1
    identity = {
        "config": records.resolved(config),
        "data": photographs.sha256,
        "precision": precision,
        "initial": initial_sha256,
    }
    classes = _classes(photographs, config) if task.supervised else None
    history, sha256, settled = _resume(folder, identity, model, optimizer)

    side = config.size_px + task.margin_px
    count = len(photographs) * config.crops_per_photograph
    if count < 2:
        raise ValueError(
            "crops_per_photograph: an epoch needs at least two patches, and there is one photograph"
        )
    batch = min(config.batch_size, count)
    steps = count // batch
    line = progress.bar(
        total=epochs * steps * batch,
        initial=len(history) * steps * batch,
        unit="patch",
        label=f"{config.method} seed {config.seed}",
    )
    for epoch in range(len(history), epochs):
        started = reported = time.perf_counter()
        reading, joules = energy.joules(device), 0.0
        generator = epoch_generator(config.seed, epoch)
        order = torch.randperm(count, generator=generator) % len(photographs)
        for group in optimizer.param_groups:
            group["lr"] = config.learning_rate_at(epoch)
        model.train()
        sums, images = {}, 0
        for step in range(steps):
            index = order[step * batch : (step + 1) * batch]
            patches = photographs.random_crops(index, side, generator).to(device)
            labels = () if classes is None else (classes[index].to(device),)
            with torch.autocast(torch.device(device).type, torch.bfloat16, precision == "bf16"):
                loss, measures = task.step(backbone, patches, generator, epoch, *labels)
            if task.trains:
                optimizer.zero_grad(set_to_none=True)
                loss.backward()
                optimizer.step()
            images += measures.images
            _add(sums, loss, measures)
            line.update(len(index))
            now = time.perf_counter()
            if now - reported > REPORT_SECONDS:
                reported = now
                reading, joules = _spent(reading, joules, device)
                means = _means(sums)
                rate = images / (now - started)
                line.set_postfix_str(
                    f"epoch {epoch + 1}/{epochs}, loss {means['loss']:.3f}, "
                    f"accuracy {means.get('accuracy', 0):.1%}, {rate:.0f} images/s",
                    refresh=False,
                )
        means = _means(sums)
        if means["loss"] != means["loss"] or abs(means["loss"]) == float("inf"):
            kept = f"that of epoch {epoch} is kept in {folder}" if epoch else "none is kept"
            raise FloatingPointError(
                f"the loss is not finite after epoch {epoch + 1} of {config.method}; of its "
                f"checkpoints {kept}: try a smaller learning_rate"
            )
        history.append(
            {
                "epoch": epoch + 1,
                **means,
                "learning_rate": config.learning_rate_at(epoch),
                "images": images,
                "seconds": round(time.perf_counter() - started, 3),
                "code_sha256": records.CODE_SHA256,
            }
        )
        reading, joules = _spent(reading, joules, device)
        if reading is not None and joules > 0:
            history[-1]["joules"] = round(joules, 3)
        sha256 = _save(folder, identity, model, optimizer, history)
    line.close()
    if task.trains and not settled:
        generator = epoch_generator(config.seed, epochs)  # of an epoch that is not trained
        few = min(SETTLING_BATCHES, epochs * steps)

        def see() -> None:
            index = torch.randint(len(photographs), (batch,), generator=generator)
            patches = photographs.random_crops(index, side, generator).to(device)
            labels = () if classes is None else (classes[index].to(device),)
            task.step(backbone, patches, generator, epochs - 1, *labels)

        settle_statistics(model, see, few)
        sha256 = _save(folder, identity, model, optimizer, history, settled=True)
    minutes = sum(row["seconds"] for row in history) / 60
    return Outcome(tuple(history), sha256, precision, minutes)


@torch.no_grad()
def settle_statistics(model: nn.Module, see: Callable[[], None], batches: int) -> None:
    """Replace batch norm's moving averages by plain averages over some batches, in place.

    A moving average holds a few of the last batches, seen while the weights still moved: after a
    short training with small batches it is too noisy for what the finished network computes.

    Args:
        see: passes a batch, another one each time, through the model.
        batches: how many.
    """
    norms = [module for module in model.modules() if isinstance(module, nn.BatchNorm2d)]
    if not norms:
        return
    momenta = [norm.momentum for norm in norms]
    for norm in norms:
        norm.reset_running_stats()
        norm.momentum = None  # a plain average
    model.train()
    for _ in range(batches):
        see()
    for norm, momentum in zip(norms, momenta, strict=True):
        norm.momentum = momentum


def evaluate(
    model: nn.ModuleDict,
    photographs: Pack,
    size_px: int,
    device: str,
    crops: int = 8,
    batch_size: int = 64,
    seed: int = 0,
) -> dict[str, float]:
    """A task's measures on photographs that it may not have seen, nothing being learned.

    Args:
        model: backbone and task, as `load_model` gives them.
        photographs: to crop from, every photograph equally often.
        size_px: side of the patches.
        crops: of each photograph.
        seed: of crops and draws.

    Returns:
        Mean loss and measures by name.
    """
    backbone, task = model["backbone"], model["task"]
    side = size_px + task.margin_px
    generator = torch.Generator().manual_seed(seed)
    order = torch.randperm(len(photographs) * crops, generator=generator) % len(photographs)
    classes = labels_of(photographs) if task.supervised else None
    sums = {}
    with torch.inference_mode():
        for index in order.split(batch_size):
            if len(index) < 2:
                continue  # a task may mix photographs of a batch
            patches = photographs.random_crops(index, side, generator).to(device)
            labels = () if classes is None else (classes[index].to(device),)
            loss, measures = task.step(backbone, patches, generator, 10**6, *labels)
            _add(sums, loss, measures)
    return _means(sums)


def labels_of(photographs: Pack) -> torch.Tensor:
    """Class of each photograph, int64 (N,), in the order of the sorted labels."""
    known = {label: index for index, label in enumerate(sorted(set(photographs.labels)))}
    return torch.tensor([known[label] for label in photographs.labels])


def load_model(folder: Path, sha256: str, device: str) -> nn.ModuleDict:
    """Backbone and task of a run, frozen, in evaluation mode.

    Args:
        folder: of the run's checkpoint.
        sha256: of the checkpoint, as the run's record names it.

    Raises:
        FileNotFoundError: folder holds no checkpoint.
        ValueError: the checkpoint was altered or is not the one of the record.
    """
    loaded = records.load_checkpoint(folder)
    if loaded is None:
        raise FileNotFoundError(
            f"{folder} holds no checkpoint: put the run's there or delete its record"
        )
    tensors, header = loaded
    if header["sha256"] != sha256:
        raise ValueError(
            f"{folder} holds checkpoint {header['sha256'][:16]}, not {sha256[:16]} of the run's "
            "record: restore it, or delete both to train again"
        )
    config = config_of(header)
    method = pretext.task(config.method)
    backbone = method.build(config.backbone, seed=0)
    task = method(backbone, config.options, seed=0)
    model = nn.ModuleDict({"backbone": backbone, "task": task})
    prefix = "model."
    model.load_state_dict(
        {key.removeprefix(prefix): t for key, t in tensors.items() if key.startswith(prefix)}
    )
    return model.to(device, memory_format=torch.channels_last).eval().requires_grad_(False)


def load_backbone(folder: Path, sha256: str, device: str) -> nn.Module:
    """The frozen backbone of a run, in evaluation mode; arguments and errors of `load_model`."""
    return load_model(folder, sha256, device)["backbone"]


def _classes(photographs: Pack, config: PretrainConfig) -> torch.Tensor:
    """Labels for a supervised task. Raises ValueError if they are not as many as its classes."""
    known = sorted(set(photographs.labels))
    if len(known) != config.options.classes or not all(known):
        raise ValueError(
            f"classes: {config.method} is set to {config.options.classes} classes, and the "
            f"photographs have {len(known)} ({', '.join(known[:3]) or 'no labels'}…): name a "
            "folder with one folder a class"
        )
    return labels_of(photographs)


def _spent(before: float | None, joules: float, device: str) -> tuple[float | None, float]:
    """The counters' reading now, and the joules with what was spent since the one before."""
    if before is None:
        return None, joules
    now = energy.joules(device)
    # of a counter that began anew, the seconds since the last reading are lost
    return now, joules + max(0.0, (before if now is None else now) - before)


def _add(sums: dict, loss: torch.Tensor, measures: pretext.Measures) -> None:
    for name, (total, per) in {**measures.sums, "loss": (loss.detach(), 1.0)}.items():
        before = sums.get(name, (0.0, 0.0))
        sums[name] = (before[0] + total, before[1] + per)


def _means(sums: dict) -> dict[str, float]:
    """Quotients of the sums; waits for the device."""
    return {name: float(total) / per if per else 0.0 for name, (total, per) in sums.items()}


def _save(folder, identity, model, optimizer, history, settled: bool = False) -> str:
    tensors = {f"model.{name}": tensor for name, tensor in model.state_dict().items()}
    for name, parameter in model.named_parameters():
        momentum = optimizer.state.get(parameter, {}).get("momentum_buffer")
        if momentum is not None:
            tensors[f"momentum.{name}"] = momentum
    header = {**identity, "epoch": len(history), "history": history, "settled": settled}
    return records.save_checkpoint(folder, tensors, header)


def _resume(folder, identity, model, optimizer) -> tuple[list[dict], str, bool]:
    """History, hash and whether the statistics are settled, of the checkpoint that was loaded."""
    loaded = records.load_checkpoint(folder)
    if loaded is None:
        return [], "", False
    tensors, header = loaded
    for key, value in identity.items():
        if header.get(key, "") != value:
            detail = key
            if key == "config":
                stored = header.get(key) or {}
                detail = ", ".join(
                    f"{k} is {stored.get(k)!r} there and {v!r} here"
                    for k, v in value.items()
                    if stored.get(k) != v
                )
            raise ValueError(
                f"{folder} holds the checkpoint of another run ({detail}): use another folder, or "
                "delete it to train again"
            )
    model.load_state_dict(
        {k.removeprefix("model."): v for k, v in tensors.items() if k.startswith("model.")}
    )
    for name, parameter in model.named_parameters():
        if f"momentum.{name}" in tensors:
            buffer = torch.empty_like(parameter).copy_(tensors[f"momentum.{name}"])
            optimizer.state[parameter]["momentum_buffer"] = buffer
    return list(header["history"]), header["sha256"], header.get("settled", False)
