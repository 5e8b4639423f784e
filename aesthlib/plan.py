"""What a scale costs before it runs: from rates measured now on this device, and arithmetic.

Measured are, for every different network, task and size: the seconds of a training step and of a
forward pass, and the bytes kept for the backward pass; and the rate of a matrix product. A probe is
taken to need `ITERATIONS` passes over its features.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass

import torch

from . import training
from .models import LAYERS
from .models.backbones import PROBE_VALUES
from .probing import features
from .runs import Job
from .training import PretrainConfig

ITERATIONS = 60
CPU_PATCHES = 2  # of a measured step on a CPU; on CUDA the run's own batch
COPIES = 3  # of a layer's features in memory while it is probed


@dataclass(frozen=True)
class Rates:
    """Seconds a patch trained, seconds an image forward, bytes a patch for the backward pass."""

    step: float
    forward: float
    kept: int


@dataclass(frozen=True)
class Estimate:
    """Of a page: runs in all and left to do, seconds, bytes of memory and disk."""

    runs: int
    left: int
    seconds: float
    memory: int
    disk: int


def measure(config: PretrainConfig, device: str) -> Rates:
    """Time one training step and one forward pass of a run on generated photographs."""
    cuda = torch.device(device).type == "cuda"
    network = training.Network(config).to(device, memory_format=torch.channels_last)
    task = network.task
    generator = torch.Generator().manual_seed(0)
    count = config.batch_size if cuda else CPU_PATCHES
    side = config.size_px + task.margin_px
    shape = (count, 3, side, side)
    patches = torch.randint(256, shape, generator=generator, dtype=torch.uint8).to(device)
    labels = ()
    if task.supervised:
        labels = (torch.arange(count, device=device) % config.options.classes,)
    precision = training.choose_precision(config.precision, device)
    kept: dict[int, int] = {}

    def note(tensor):
        kept[tensor.data_ptr()] = tensor.numel() * tensor.element_size()
        return tensor

    def step():
        with torch.autocast(torch.device(device).type, torch.bfloat16, precision == "bf16"):
            loss, _ = network(task.prepare(patches, generator, *labels), config.epochs)
        if task.trains:
            loss.backward()

    def forward():
        with torch.inference_mode():
            network.backbone(patches)

    with torch.autograd.graph.saved_tensors_hooks(note, lambda tensor: tensor):
        step()
    seconds = [_timed(work, cuda) for work in (step, forward)]
    return Rates(seconds[0] / count, seconds[1] / count, sum(kept.values()) // count)


def product_rate(device: str, side: int = 2048) -> float:
    """Floating-point operations a second of a float32 matrix product."""
    # random, for a GPU draws less power, and runs faster, where all numbers are alike
    one = torch.randn(side, side, generator=torch.Generator().manual_seed(0)).to(device)
    return 2 * side**3 / _timed(lambda: one @ one, torch.device(device).type == "cuda")


def _timed(work: Callable[[], object], cuda: bool) -> float:
    work()
    if cuda:
        torch.cuda.synchronize()
    started = time.perf_counter()
    work()
    if cuda:
        torch.cuda.synchronize()
    return time.perf_counter() - started


def estimate(pages: dict[str, list[Job]], device: str, say=lambda text: None) -> dict:
    """Cost of every page, by name; only what is not in the store counts.

    Args:
        pages: of `Study.plan`.
        device: that the rates are measured on.
        say: takes a line on each measurement.
    """
    known: dict[tuple, Rates] = {}
    speed = product_rate(device)
    say(f"matrix product: {speed / 1e9:.0f} GFLOP/s")

    def rates(config: PretrainConfig) -> Rates:
        versions = getattr(config.options, "operations_per_patch", None)
        key = (config.method, config.backbone, config.size_px, config.batch_size, versions)
        if key not in known:
            known[key] = found = measure(config, device)
            say(
                f"{config.method}, {config.backbone}, {config.size_px} px: {1 / found.step:.3g} "
                f"patches/s trained, {1 / found.forward:.3g} images/s forward"
            )
        return known[key]

    found = {}
    for name, jobs in pages.items():
        seconds, memory, disk = 0.0, 0, 0
        left = [job for job in jobs if not job.done]
        for job in left:
            work = job.work
            if work.patches or work.forward:
                rate = rates(work.config)
                seconds += work.patches * rate.step + work.forward * rate.forward
                # a forward pass keeps less, so this is its upper bound
                together = work.config.batch_size if work.patches else features.BATCH
                memory = max(memory, rate.kept * together)
            values = min(work.entries, PROBE_VALUES)
            seconds += ITERATIONS * 4 * work.entries * values * work.columns / speed
            memory = max(memory, COPIES * 4 * work.entries * PROBE_VALUES)
            disk += 2 * work.entries * len(LAYERS) * PROBE_VALUES * bool(work.columns)
        found[name] = Estimate(len(jobs), len(left), seconds, memory, disk)
    return found


def table(found: dict[str, Estimate], command: str) -> str:
    """The estimates as text, a line a page with its command."""
    lines = [f"{'page':18}{'runs':>6}{'left':>6}{'time':>10}{'memory':>9}{'disk':>9}  command"]
    total = Estimate(
        *(sum(getattr(e, key) for e in found.values()) for key in ("runs", "left", "seconds")),
        max((e.memory for e in found.values()), default=0),
        sum(e.disk for e in found.values()),
    )
    for name, e in {**found, "total": total}.items():
        which = "" if name == "total" else f" {name[3:]}"
        lines.append(
            f"{name:18}{e.runs:6}{e.left:6}{_duration(e.seconds):>10}{e.memory / 2**30:7.1f} G"
            f"{e.disk / 2**30:7.1f} G  {command.replace('study', 'study' + which, 1)}"
        )
    return "\n".join(lines)


def _duration(seconds: float) -> str:
    for unit, size in (("d", 86400), ("h", 3600), ("min", 60)):
        if seconds >= 2 * size:
            return f"{seconds / size:.1f} {unit}"
    return f"{seconds:.0f} s"
