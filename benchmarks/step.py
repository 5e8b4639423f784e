"""The training step beside the bare backbone, and the degrade step beside a DataLoader of samples.

    python benchmarks/step.py [--threads 2] [--size 227] [--batch 64]

Without a GPU all runs on the CPU. The matrix product's rate is measured in the same run; a profile
of one step lists the calls that wait for the device: there must be none.
"""

import numpy as np
import timing
import torch
from operations import photographs
from PIL import Image, ImageFilter
from torch.utils.data import DataLoader, Dataset

from aesthlib import ops, pretext, training
from aesthlib.models.backbones import IMAGENET_MEAN, build
from aesthlib.ops.functional import IMAGENET_STD

GFLOP = {("alexnet", 227): 3.80, ("alexnet", 128): 1.13, ("resnet18", 227): 12.06,
         ("resnet18", 128): 3.48}  # fmt: skip  # forward and backward, an image
WAITS = (
    "cudaStreamSynchronize", "cudaDeviceSynchronize", "aten::item", "aten::_local_scalar_dense",
)  # fmt: skip


class Samples(Dataset):
    """One photograph a call: three edits at both levels by Pillow, as a transform pipeline does."""

    def __init__(self, arrays):
        self.arrays = arrays

    def __len__(self):
        return len(self.arrays)

    def __getitem__(self, index):
        picture = Image.fromarray(self.arrays[index])
        size = picture.size
        rng = np.random.default_rng(index)
        edits = (
            lambda p, v: p.filter(ImageFilter.GaussianBlur((0.2, 0.8)[v])),
            lambda p, v: p.reduce((4, 6)[v]).resize(size, Image.Resampling.BILINEAR),
            lambda p, v: p.point(lambda x: x * (0.5, 3.0)[v]),
            lambda p, v: Image.fromarray(np.clip(
                np.asarray(p) + rng.normal(0, (26, 51)[v], (*size[::-1], 3)), 0, 255
            ).astype(np.uint8)),
            lambda p, v: p.transpose((Image.Transpose.ROTATE_90, Image.Transpose.ROTATE_180)[v]),
            lambda p, v: p.reduce((4, 8)[v]).resize(size, Image.Resampling.NEAREST),
        )  # fmt: skip
        chosen = rng.choice(len(edits), 3, replace=False)
        made = [picture] + [edits[e](picture, v) for e in chosen for v in (0, 1)]
        stack = torch.from_numpy(np.stack([np.asarray(p) for p in made])).permute(0, 3, 1, 2)
        mean, std = (torch.tensor(v).view(3, 1, 1) for v in (IMAGENET_MEAN, IMAGENET_STD))
        return (stack.float() / 255 - mean) / std


def product(device: str, kind: torch.dtype) -> float:
    """Operations a second of a matrix product."""
    side = 8192 if device == "cuda" else 1024
    one = torch.ones(side, side, device=device, dtype=kind)
    seconds = timing.in_turns({"product": lambda: one @ one}, 5)["product"]
    return 2 * side**3 / min(seconds)


def trainer(backbone: str, patches: torch.Tensor, precision: str):
    """Works of one network: the whole step, and forward and backward on versions that are there."""
    device = patches.device.type
    config = training.PretrainConfig(backbone=backbone, size_px=patches.shape[-1])
    method = pretext.task(config.method)
    network = method.build(backbone, 0)
    task = method(network, config.options, 0)
    model = torch.nn.ModuleDict({"backbone": network, "task": task})
    model.to(device, memory_format=torch.channels_last)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01, momentum=0.9, nesterov=True)
    generator = torch.Generator().manual_seed(0)
    versions = ops.degrade(patches, ops.draw(len(patches), generator), generator).flatten(0, 1)
    bare = build(backbone, 0).to(device, memory_format=torch.channels_last)
    bare_optimizer = torch.optim.SGD(bare.parameters(), lr=0.01, momentum=0.9, nesterov=True)

    def learn(loss, optimizer):
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()

    def step():
        with torch.autocast(device, torch.bfloat16, precision == "bf16"):
            loss, _ = task.step(network, patches, generator, 40)
        learn(loss, optimizer)

    def alone():
        with torch.autocast(device, torch.bfloat16, precision == "bf16"):
            loss = bare(versions)["conv5"].float().mean()
        learn(loss, bare_optimizer)

    return step, alone, len(versions)


def main() -> None:
    given = timing.arguments(__doc__.splitlines()[0], threads=2, size=227, batch=64)
    if given.small:
        given.size, given.batch, given.rounds = 96, 4, 2
    device = training.choose_device()
    precision = training.choose_precision("auto", device)
    kind = torch.bfloat16 if precision == "bf16" else torch.float32
    peak = product(device, kind)
    images = photographs(given.batch, given.size).to(device)
    generator = torch.Generator().manual_seed(0)
    arrays = list(images.cpu().permute(0, 2, 3, 1).numpy())

    def degrade():
        plan = ops.draw(len(images), generator)
        return ops.degrade(images, plan, generator)

    def pipeline():
        loader = DataLoader(Samples(arrays), len(arrays), num_workers=0)
        return [batch.to(device) for batch in loader]

    table, shares = [], {}
    works = {"degrade, grouped": degrade, "DataLoader, a sample": pipeline}
    for backbone in ("alexnet",) if given.small else ("alexnet", "resnet18"):
        step, alone, count = trainer(backbone, images, precision)
        turns = {f"{backbone}: step": step, f"{backbone}: bare backbone": alone}
        seconds = timing.in_turns(turns, given.rounds)
        group = timing.rows(backbone, seconds, count)
        table += group
        shares[f"{backbone}: of the bare backbone"] = group[1]["seconds"] / group[0]["seconds"]
        gflop = GFLOP.get((backbone, given.size))
        if gflop:
            shares[f"{backbone}: of the matrix product"] = (
                gflop * 1e9 * group[0]["per_second"] / peak
            )
        if backbone == "alexnet":
            first, profiled = group[0]["seconds"], step
    group = timing.rows("degrade", timing.in_turns(works, given.rounds), given.batch)
    table += group
    shares["degrade: of alexnet's step"] = group[0]["seconds"] / first
    with torch.profiler.profile() as profile:
        profiled()
    waits = {e.key: e.count for e in profile.key_averages() if e.key in WAITS}
    timing.report(
        "step", table, given, device=device, precision=precision, size_px=given.size,
        product_gflops=peak / 1e9, shares=shares, waits_in_a_step=waits,
    )  # fmt: skip


if __name__ == "__main__":
    main()
