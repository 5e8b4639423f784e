"""The pretraining loop: one for every task, CPU and CUDA alike, resumed exactly."""

import math
import time
from dataclasses import dataclass, field
from pathlib import Path

import torch
from torch import nn

from .. import pretext, progress
from ..data.photographs import Pack
from ..store import checkpoints, files, records
from . import ahead, energy, kernels
from .batch_norm import recompute_batch_norm
from .config import Execution, PretrainConfig, choose_precision
from .network import Network, labels_of

SETTLING_BATCHES = 64  # over which batch-norm statistics are estimated at the end
DEFAULT = Execution()
REPORT_SECONDS = 2.0  # between updates of the progress line; each waits for the device


@dataclass(frozen=True)
class Outcome:
    """What a run leaves: its history, a dict an epoch, and its checkpoint."""

    history: tuple[dict, ...]
    checkpoint_sha256: str
    precision: str
    minutes: float = field(compare=False)


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
    execution: Execution = DEFAULT,
) -> Outcome:
    """Train, or go on from the last checkpoint in folder; the result is the same.

    Args:
        config: the run.
        photographs: packed at config.shorter_edge_px; with labels for a supervised task.
        folder: of the checkpoints, one after every epoch.
        device: "cpu" or "cuda".
        initial: backbone whose weights to start from; None starts from random ones.
        initial_sha256: of its checkpoint, which names it.
        execution: how it is computed; what exact resumption means on CUDA.

    Raises:
        ValueError: the checkpoint in folder is of another config or data, or was altered; one
            patch an epoch; patches larger than the photographs.
        FloatingPointError: the loss is no longer finite; the last checkpoint is kept.
        MemoryError: a batch does not fit the GPU; the last checkpoint is kept.
        OSError: the disk is full; the last checkpoint is kept.
    """
    with kernels.chosen(device, execution.deterministic), kernels.explained(config, device):
        return _pretrain(config, photographs, folder, device, initial, initial_sha256, execution)


def _pretrain(config, photographs, folder, device, initial, initial_sha256, execution) -> Outcome:
    model = Network(config)
    task = model.task
    if initial is not None:
        model.backbone.load_state_dict(initial.state_dict())
    model.to(device, memory_format=torch.channels_last)
    if execution.compiled:
        model.backbone.compile()
    optimizer = torch.optim.SGD(
        model.parameters(),
        lr=config.learning_rate,
        momentum=config.momentum,
        nesterov=config.momentum > 0,
        weight_decay=config.weight_decay,
        fused=torch.device(device).type == "cuda",
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
        indices = order[: steps * batch].split(batch)
        for prepared in ahead.batches(task, photographs, indices, side, generator, device, classes):
            with torch.autocast(torch.device(device).type, torch.bfloat16, precision == "bf16"):
                loss, measures = model(prepared, epoch)
            if task.trains:
                optimizer.zero_grad(set_to_none=True)
                loss.backward()
                optimizer.step()
            images += measures.images
            _add(sums, loss, measures)
            line.update(batch)
            now = time.perf_counter()
            if now - reported > REPORT_SECONDS:
                reported = now
                reading, joules = _spent(reading, joules, device)
                means = _finite(_means(sums), config, epoch, folder)
                rate = images / (now - started)
                line.set_postfix_str(
                    f"epoch {epoch + 1}/{epochs}, loss {means['loss']:.3f}, "
                    f"accuracy {means.get('accuracy', 0):.1%}, {rate:.0f} images/s",
                    refresh=False,
                )
        means = _finite(_means(sums), config, epoch, folder)
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
        indices = (
            torch.randint(len(photographs), (batch,), generator=generator) for _ in range(few)
        )
        seen = ahead.batches(task, photographs, indices, side, generator, device, classes)
        recompute_batch_norm(model, lambda: model(next(seen), epochs - 1), few)
        sha256 = _save(folder, identity, model, optimizer, history, settled=True)
    minutes = sum(row["seconds"] for row in history) / 60
    return Outcome(tuple(history), sha256, precision, minutes)


def evaluate(
    model: Network,
    photographs: Pack,
    size_px: int,
    device: str,
    crops: int = 8,
    batch_size: int = 64,
    seed: int = 0,
) -> dict[str, float]:
    """A task's measures on photographs that it may not have seen, nothing being learned.

    Args:
        model: as `load_model` gives them.
        photographs: to crop from, every photograph equally often.
        size_px: side of the patches.
        crops: of each photograph.
        seed: of crops and draws.

    Returns:
        Mean loss and measures by name.
    """
    task = model.task
    side = size_px + task.margin_px
    generator = torch.Generator().manual_seed(seed)
    order = torch.randperm(len(photographs) * crops, generator=generator) % len(photographs)
    classes = labels_of(photographs) if task.supervised else None
    sums = {}
    # a task may mix photographs of a batch
    indices = (index for index in order.split(batch_size) if len(index) > 1)
    with torch.inference_mode():
        for batch in ahead.batches(task, photographs, indices, side, generator, device, classes):
            loss, measures = model(batch, 10**6)
            _add(sums, loss, measures)
    return _means(sums)


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
    """Quotients of the sums; waits for the device once."""
    totals = torch.stack([total.detach().double() for total, _ in sums.values()]).tolist()
    return {
        name: total / per if per else 0.0
        for total, (name, (_, per)) in zip(totals, sums.items(), strict=True)
    }


def _finite(means: dict[str, float], config: PretrainConfig, epoch: int, folder: Path) -> dict:
    """The means. Raises FloatingPointError where the loss among them is not finite."""
    if not math.isfinite(means["loss"]):
        kept = f"that of epoch {epoch} is kept in {folder}" if epoch else "none is kept"
        raise FloatingPointError(
            f"the loss is not finite in epoch {epoch + 1} of {config.method}; of its checkpoints "
            f"{kept}: try a smaller learning_rate"
        )
    return means


def _save(folder, identity, model, optimizer, history, settled: bool = False) -> str:
    tensors = {f"model.{name}": tensor for name, tensor in model.state_dict().items()}
    for name, parameter in model.named_parameters():
        momentum = optimizer.state.get(parameter, {}).get("momentum_buffer")
        if momentum is not None:
            tensors[f"momentum.{name}"] = momentum
    header = {**identity, "epoch": len(history), "history": history, "settled": settled}
    return checkpoints.save(folder, tensors, header)


def _resume(folder, identity, model, optimizer) -> tuple[list[dict], str, bool]:
    """History, hash and whether the statistics are settled, of the checkpoint that was loaded."""
    loaded = checkpoints.load(folder)
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
