"""All CUDA rows in one run of under ten minutes: operations, JPEG, the degrade and training steps.

    python benchmarks/gpu.py [--size 227] [--count 64]

It is not called cuda.py: a script shadows the packages of its name, and torch imports `cuda`.
It needs torch and torchvision alone; kornia is measured where it is installed. `--small` runs on
whatever there is, a CPU included, to see that the script works. Bytes are those that an operation
must read and write; `of the bandwidth` is their time at the copy rate of this device over its own.
"""

import time

import timing
import torch
from operations import kornia_peers, photographs, torchvision_peers
from step import degrader, product, trainer, waits

from aesthlib import ops
from aesthlib.ops import libjpeg

POINTWISE = ("quantization", "exposure", "mixup", "rotation")
LIMIT_SECONDS = 540  # no new group is begun after that


def main() -> None:
    given = timing.arguments(__doc__.splitlines()[0], size=227, count=64)
    cuda = torch.cuda.is_available()
    if not cuda and not given.small:
        raise SystemExit("no CUDA device: --small runs on the CPU, to see that the script works")
    device = "cuda" if cuda else "cpu"
    if given.small:
        given.size, given.count, given.rounds = 96, 4, 2
    started = time.perf_counter()
    images = photographs(given.count, given.size).to(device)
    first = images.contiguous()
    table, skipped = [], []

    def measure(group: str, works: dict, count: int = given.count, **notes) -> list[dict]:
        if time.perf_counter() - started > LIMIT_SECONDS:
            skipped.append(group)
            return []
        able = {}
        for name, work in works.items():
            try:
                work()
                able[name] = work
            except Exception as error:
                print(f"{group}: {name} cannot ({type(error).__name__}: {error})")
        found = timing.rows(group, timing.in_turns(able, given.rounds), count, **notes)
        table.extend(found)
        return found

    block = torch.empty(2**24 if given.small else 2**30, dtype=torch.uint8, device=device)
    (copy,) = measure("memory", {"copy": lambda: block.clone()}, 2 * block.numel())
    bandwidth = copy["per_second"]
    block = None

    peers = {"torchvision": torchvision_peers(first)}
    kornia = timing.peer("kornia")
    if kornia is not None:
        peers["kornia"] = kornia_peers(first, kornia)
    shares = {}
    for item in ops.CLASSES[1:]:
        name, value = item.operation.name, item.operation.levels[item.level - 1]
        works = {
            "aesthlib": lambda index=item.index: ops.apply(
                images, index, images.flip(0), torch.Generator().manual_seed(0)
            )
        }
        for peer, known in peers.items():
            if name in known:
                works[peer] = lambda known=known, name=name, value=value: known[name](value)
        found = measure(item.name, works)
        if found and name in POINTWISE:
            moved = images.numel() * (3 if name == "mixup" else 2)
            shares[item.name] = found[0]["seconds"] / (moved / bandwidth)

    from torchvision.io import ImageReadMode, decode_jpeg, encode_jpeg

    files = [image.contiguous() for image in first]
    for quality in (60, 10):
        exact = ops.jpeg(images.cpu(), quality)
        if not torch.equal(libjpeg.simulate(images, quality).cpu(), exact):
            raise SystemExit(f"JPEG at quality {quality} is not libjpeg's on this device")

        def nvjpeg(quality=quality):
            coded = encode_jpeg(files, quality=quality)
            coded = [file.cpu() for file in coded]  # nvJPEG's decoder reads from the host
            return decode_jpeg(coded, mode=ImageReadMode.RGB, device=device)

        def there_and_back(quality=quality):
            return ops.jpeg(images.cpu(), quality).to(device)

        measure(
            f"jpeg quality {quality}",
            {
                "aesthlib": lambda q=quality: libjpeg.simulate(images, q),
                "torchvision's encoder": nvjpeg,
                "libjpeg on the CPU": there_and_back,
            },
        )

    peak = product(device, torch.bfloat16)
    parts, waiting = {}, {}
    own = measure("degrade", {"aesthlib": degrader(given.count, given.size, device)})
    for backbone in ("alexnet", "resnet18"):
        step, alone, versions = trainer(backbone, images, "bf16")
        found = measure(f"step, {backbone}", {"step": step, "bare backbone": alone}, versions)
        if len(found) == 2:
            parts[f"{backbone}: of the bare backbone"] = found[1]["seconds"] / found[0]["seconds"]
            parts[f"{backbone}: degrade step"] = own[0]["seconds"] / found[0]["seconds"]
            waiting[backbone] = waits(step)
            if cuda and time.perf_counter() - started < LIMIT_SECONDS / 2:
                compiled = torch.compile(step)
                measure(f"step, {backbone}", {"step, compiled": compiled}, versions)
    timing.report(
        "gpu",
        table,
        given,
        device=device,
        size_px=given.size,
        copy_gb_s=bandwidth / 1e9,
        product_gflops=peak / 1e9,
        times_the_bandwidth=shares,
        shares=parts,
        waits_in_a_step=waiting,
        not_reached=skipped,
        minutes=(time.perf_counter() - started) / 60,
    )


if __name__ == "__main__":
    main()
