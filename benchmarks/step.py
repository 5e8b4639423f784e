"""The training step beside the bare backbone, and the degrade step beside a DataLoader of samples.

    python benchmarks/step.py [--threads 2] [--size 227] [--batch 64]

Without a GPU all runs on the CPU. The degrade step begins with decoded photographs and ends with
normalized floats: crop, flip, three operations a patch at both levels. Its peer does the same, a
sample at a time, with Pillow and NumPy in as many DataLoader workers as there are threads. The rate
of a matrix product is measured in the same run. On CUDA a profile of one step lists the calls that
wait for the device: there must be none.
"""

import io

import numpy as np
import timing
import torch
from operations import photographs
from PIL import Image, ImageFilter
from torch.utils.data import DataLoader, Dataset

from aesthlib import ops, training
from aesthlib.data.photographs import Pack
from aesthlib.models.backbones import IMAGENET_MEAN, Normalize, build, training_flops
from aesthlib.ops.images import IMAGENET_STD

WAITS = ("cudaStreamSynchronize", "cudaDeviceSynchronize", "cudaEventSynchronize")
EDGE_PX = 29  # by which photographs are larger than patches, as 256 px and 227 px


def jpeg(picture: Image.Image, quality: int) -> Image.Image:
    file = io.BytesIO()
    picture.save(file, "JPEG", quality=quality, subsampling="4:2:0")
    return Image.open(file).convert("RGB")


def noisy(picture, variance, rng):
    sigma = variance**0.5 * np.array(IMAGENET_STD) * 255
    values = np.asarray(picture) + rng.normal(0, 1, (*picture.size[::-1], 3)) * sigma
    return Image.fromarray(np.clip(np.rint(values), 0, 255).astype(np.uint8))


def shuffled(picture, fraction, rng, block=8):
    array = np.array(picture)
    places = [
        (y, x) for y in range(0, array.shape[0], block) for x in range(0, array.shape[1], block)
    ]
    for chosen in rng.choice(len(places), round(fraction * len(places)), replace=False):
        y, x = places[chosen]
        part = array[y : y + block, x : x + block]
        array[y : y + block, x : x + block] = rng.permutation(part.reshape(-1, 3)).reshape(
            part.shape
        )
    return Image.fromarray(array)


def levelled(picture, levels):
    steps = levels - 1
    return picture.point([round(int(x * steps / 255 + 0.5) * 255 / steps) for x in range(256)] * 3)


EDITS = {  # of a picture, a value, a generator and another picture
    "jpeg": lambda p, v, rng, other: jpeg(p, v),
    "gaussian_noise": lambda p, v, rng, other: noisy(p, v, rng),
    "rotation": lambda p, v, rng, other: p.transpose(getattr(Image.Transpose, f"ROTATE_{v}")),
    "downsampling": lambda p, v, rng, other: p.reduce(v).resize(p.size, Image.Resampling.BILINEAR),
    "quantization": lambda p, v, rng, other: levelled(p, v),
    "pixelation": lambda p, v, rng, other: p.reduce(v).resize(p.size, Image.Resampling.NEAREST),
    "exposure": lambda p, v, rng, other: p.point(lambda x: x * v),
    "gaussian_blur": lambda p, v, rng, other: p.filter(ImageFilter.GaussianBlur(v)),
    "patch_shuffle": lambda p, v, rng, other: shuffled(p, v, rng),
    "mixup": lambda p, v, rng, other: Image.blend(p, other, v),
}


class Samples(Dataset):
    """One photograph a call: three operations at two levels each, as a transform pipeline does."""

    def __init__(self, arrays: np.ndarray, size: int):
        self.arrays, self.size = arrays, size

    def __len__(self):
        return len(self.arrays)

    def cropped(self, index: int, rng) -> Image.Image:
        top, left = rng.integers(0, np.array(self.arrays.shape[1:3]) - self.size + 1)
        array = self.arrays[index, top : top + self.size, left : left + self.size]
        return Image.fromarray(array[:, ::-1] if rng.random() < 0.5 else array)

    def __getitem__(self, index):
        rng = np.random.default_rng(index)
        picture, other = self.cropped(index, rng), self.cropped(index - 1, rng)
        made = [picture]
        for row in rng.choice(len(ops.OPERATIONS), 3, replace=False):
            operation = ops.OPERATIONS[row]
            for value in sorted(rng.permutation(len(operation.levels))[:2]):
                edit = EDITS[operation.name]
                made.append(edit(picture, operation.levels[value], rng, other))
        stack = torch.from_numpy(np.stack([np.asarray(p) for p in made])).permute(0, 3, 1, 2)
        mean, std = (torch.tensor(v).view(3, 1, 1) for v in (IMAGENET_MEAN, IMAGENET_STD))
        return (stack.float() / 255 - mean) / std


def keep_memory(worker: int) -> None:
    """In a worker as in this process."""
    timing.keep_memory()


def product(device: str, kind: torch.dtype) -> float:
    """Operations a second of a matrix product."""
    side = 8192 if device == "cuda" else 1024
    # random, for a GPU draws less power, and runs faster, where all numbers are alike
    one = torch.randn(side, side, generator=torch.Generator().manual_seed(0)).to(device, kind)
    seconds = timing.in_turns({"product": lambda: one @ one}, 5)["product"]
    return 2 * side**3 / min(seconds)


def degrader(count: int, size: int, device: str):
    """The degrade step of a batch, from packed photographs to what the first layer takes."""
    images = photographs(count, size + EDGE_PX).permute(0, 2, 3, 1).contiguous()
    side = torch.full((count,), size + EDGE_PX)
    pack = Pack(
        "made",
        "0" * 64,
        images.flatten().to(device),
        torch.arange(count) * images[0].numel(),
        side,
        side,
        tuple(map(str, range(count))),
    )
    generator, normalize = torch.Generator().manual_seed(0), Normalize().to(device)

    def degrade():
        crops = pack.random_crops(torch.arange(count), size, generator)
        versions = ops.degrade(crops, ops.draw(count, generator), generator)
        return normalize(versions.flatten(0, 1))

    return degrade


def trainer(backbone: str, patches: torch.Tensor, precision: str):
    """Works of one network: the whole step, and forward and backward on versions that are there."""
    device = patches.device.type
    config = training.PretrainConfig(backbone=backbone, size_px=patches.shape[-1])
    model = training.Network(config).to(device, memory_format=torch.channels_last)
    usual = {"lr": 0.01, "momentum": 0.9, "nesterov": True, "fused": device == "cuda"}
    optimizer = torch.optim.SGD(model.parameters(), **usual)
    generator = torch.Generator().manual_seed(0)
    versions = ops.degrade(patches, ops.draw(len(patches), generator), generator).flatten(0, 1)
    bare = build(backbone, 0).to(device, memory_format=torch.channels_last)
    bare_optimizer = torch.optim.SGD(bare.parameters(), **usual)

    def learn(loss, optimizer):
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()

    def step():
        with torch.autocast(device, torch.bfloat16, precision == "bf16"):
            loss, _ = model(model.task.prepare(patches, generator), 40)
        learn(loss, optimizer)

    def alone():
        with torch.autocast(device, torch.bfloat16, precision == "bf16"):
            loss = bare(versions)["conv5"].float().mean()
        learn(loss, bare_optimizer)

    return step, alone, len(versions)


def waits(step) -> dict[str, int]:
    """Calls of one step that wait for the device, by name."""
    with torch.profiler.profile() as profile:
        step()
    return {e.key: e.count for e in profile.key_averages() if e.key in WAITS}


def main() -> None:
    given = timing.arguments(__doc__.splitlines()[0], threads=2, size=227, batch=64)
    if given.small:
        given.size, given.batch, given.rounds = 96, 4, 2
    device = training.choose_device()
    precision = training.choose_precision("auto", device)
    kind = torch.bfloat16 if precision == "bf16" else torch.float32
    peak = product(device, kind)
    images = photographs(given.batch, given.size).to(device)
    degrade = degrader(given.batch, given.size, device)
    side = given.size + EDGE_PX
    arrays = photographs(given.batch, side).permute(0, 2, 3, 1).numpy()
    loader = DataLoader(
        Samples(arrays, given.size),
        max(1, given.batch // given.threads),
        num_workers=given.threads,
        persistent_workers=True,
        multiprocessing_context="forkserver",  # a fork would slow what this process writes next
        worker_init_fn=keep_memory,
    )

    def pipeline():
        return [batch.to(device) for batch in loader]

    # first, while no network's memory is held
    works = {"degrade, grouped": degrade, "DataLoader, a sample": pipeline}
    degraded = timing.rows("degrade", timing.in_turns(works, given.rounds), given.batch)
    table, shares = [], {}
    for backbone in ("alexnet",) if given.small else ("alexnet", "resnet18"):
        step, alone, count = trainer(backbone, images, precision)
        turns = {f"{backbone}: step": step, f"{backbone}: bare backbone": alone}
        seconds = timing.in_turns(turns, given.rounds)
        group = timing.rows(backbone, seconds, count)
        table += group
        shares[f"{backbone}: of the bare backbone"] = group[1]["seconds"] / group[0]["seconds"]
        operations = training_flops(backbone, given.size) * group[0]["per_second"]
        shares[f"{backbone}: of the matrix product"] = operations / peak
        share = degraded[0]["seconds"] / group[0]["seconds"]
        shares[f"degrade: of {backbone}'s step"] = share
        if backbone == "alexnet":
            profiled = step
    table += degraded
    more = {"waits_in_a_step": waits(profiled)} if device == "cuda" else {}
    timing.report(
        "step",
        table,
        given,
        device=device,
        precision=precision,
        size_px=given.size,
        product_gflops=peak / 1e9,
        shares=shares,
        **more,
    )


if __name__ == "__main__":
    main()
