"""All CUDA rows, each written as soon as it is there: operations, JPEG, steps, networks, memory.

    python benchmarks/gpu.py [--size 227] [--count 64] [--many 2048] [--minutes 8] [--out FOLDER]

It is not called cuda.py: a script shadows the packages of its name, and torch imports `cuda`.
It needs torch and torchvision alone; kornia is measured where it is installed. `--small` runs on
whatever there is, a CPU included, to see that the script works. What fails is a note, and the rest
goes on; what begins too late is named. Operations are measured on so many photographs that no
cache holds them. Bytes are those that an operation must read and write; `times_the_bandwidth` is
its time over theirs at the copy rate of this device.
"""

import json
import time
from collections import Counter

import timing
import torch
from operations import kornia_peers, photographs, torchvision_peers
from step import degrader, product, trainer

from aesthlib import models, ops, pretext, training
from aesthlib.ops import libjpeg
from aesthlib.training import ahead

POINTWISE = ("quantization", "exposure", "mixup", "rotation")
# what a profile calls the host's waits; cudaDeviceSynchronize is the profiler's own, at its end
WAITS = ("cudaStreamSynchronize", "cudaEventSynchronize", "cudaMemcpy")
SIDES = (128, 227)
LARGEST_BATCH = 2**14


class Bench:
    """The rows so far; every new one is written at once.

    Args:
        given: of the command line.
        device: what is measured.
    """

    def __init__(self, given, device: str):
        self.given, self.device, self.cuda = given, device, device == "cuda"
        self.started = time.perf_counter()
        self.rows, self.found = [], {"skipped": [], "failed": {}}

    def late(self, name: str) -> bool:
        """Whether no time is left to begin something."""
        if time.perf_counter() - self.started < 60 * self.given.minutes:
            return False
        self.found["skipped"].append(name)
        return True

    def tried(self, name: str, work):
        """What work gives, or None and a note of what went wrong."""
        if self.late(name):
            return None
        try:
            return work()
        except Exception as error:  # one failure must not cost the rows that follow
            self.found["failed"][name] = f"{type(error).__name__}: {error}"[:300]
            print(f"{name} failed: {self.found['failed'][name]}", flush=True)
            if self.cuda:
                torch.cuda.empty_cache()
            return None

    def measure(self, group: str, works: dict, count: int, **notes) -> list[dict]:
        """Rows of works in turns, those left out that cannot."""
        if self.late(group):
            return []
        able = {n: w for n, w in works.items() if self.tried(f"{group}: {n}", lambda w=w: (w(),))}
        if not able:
            return []
        rows = timing.rows(group, timing.in_turns(able, self.given.rounds), count, **notes)
        for row in rows:
            print(f"{group:34}{row['name']:24}{1e3 * row['seconds']:10.2f} ms "
                  f"{row['per_second']:14,.0f}/s {row['ratio']:8.2f}", flush=True)  # fmt: skip
        self.rows += rows
        self.write()
        return rows

    def note(self, name: str, value) -> None:
        """Something that is no row."""
        self.found[name] = value
        print(f"{name}: {value}", flush=True)
        self.write()

    def write(self) -> None:
        """The file as `timing.report` leaves it, so far."""
        if self.given.small:
            return
        self.given.out.mkdir(parents=True, exist_ok=True)
        record = {
            "name": "gpu",
            "machine": timing.machine(),
            "rounds": self.given.rounds,
            "rows": self.rows,
            "device": self.device,
            "size_px": self.given.size,
            **self.found,
            "minutes": (time.perf_counter() - self.started) / 60,
        }
        (self.given.out / "gpu.json").write_text(json.dumps(record, indent=1) + "\n")


def operations(bench: Bench) -> None:
    """Every class on many photographs, beside the peers and beside the memory's bandwidth."""
    device, given = bench.device, bench.given
    size = 2**24 if given.small else 2**31
    block = torch.randint(256, (size,), dtype=torch.uint8, device=device)
    copy = bench.measure("memory", {"copy": block.clone}, 2 * size)
    bandwidth = copy[0]["per_second"] if copy else float("nan")
    del block
    images = photographs(given.many, given.size).to(device)
    first, partners = images.contiguous(), images.flip(0)
    peers = {"torchvision": torchvision_peers(first)}
    kornia = timing.peer("kornia")
    if kornia is not None:
        peers["kornia"] = kornia_peers(first, kornia)
    shares = {}
    for item in ops.CLASSES[1:]:
        name, value = item.operation.name, item.operation.levels[item.level - 1]
        works = {
            "aesthlib": lambda index=item.index: ops.apply(
                images, index, partners, torch.Generator().manual_seed(0)
            )
        }
        for peer, known in peers.items():
            if name in known:
                works[peer] = lambda known=known, name=name, value=value: known[name](value)
        rows = bench.measure(item.name, works, given.many)
        if rows and name in POINTWISE and rows[0]["name"] == "aesthlib":
            moved = images.numel() * (3 if name == "mixup" else 2)
            shares[item.name] = rows[0]["seconds"] / (moved / bandwidth)
    bench.note("times_the_bandwidth", shares)


def jpeg(bench: Bench) -> None:
    """The simulation: whether it is libjpeg's to the bit, and its speed beside nvJPEG's."""
    from torchvision.io import ImageReadMode, decode_jpeg, encode_jpeg

    images = photographs(bench.given.count, bench.given.size).to(bench.device)
    files = [image.contiguous() for image in images]
    differs = {}
    for quality in (60, 10):
        exact = ops.jpeg(images.cpu(), quality)
        made = bench.tried(f"jpeg {quality}", lambda q=quality: libjpeg.simulate(images, q).cpu())
        if made is not None:
            differs[quality] = int((made.int() - exact.int()).abs().max())

        def nvjpeg(quality=quality):
            coded = encode_jpeg(files, quality=quality)
            coded = [file.cpu() for file in coded]  # nvJPEG's decoder reads from the host
            return decode_jpeg(coded, mode=ImageReadMode.RGB, device=bench.device)

        bench.measure(
            f"jpeg quality {quality}",
            {
                "aesthlib": lambda q=quality: libjpeg.simulate(images, q),
                "torchvision's encoder": nvjpeg,
                "libjpeg on the CPU": lambda q=quality: ops.jpeg(images.cpu(), q).to(bench.device),
            },
            bench.given.count,
        )
    bench.note("jpeg_differs_by", differs)


def profiled(step) -> tuple[int, int]:
    """Kernels of one step, and calls in it that wait for the device."""
    step()
    with torch.profiler.profile() as profile:
        step()
    calls = Counter({event.key: event.count for event in profile.key_averages()})
    kernels = sum(count for name, count in calls.items() if name.startswith("cudaLaunchKernel"))
    return kernels, sum(calls[name] for name in WAITS)


def method_step(name: str, backbone: str, bench: Bench, count: int, size: int):
    """A whole step of a method as the loop takes it, and how many images it sees."""
    chosen = {"labels": {"classes": 100}}.get(name, {})
    config = training.PretrainConfig(
        method=name, backbone=backbone, size_px=size, shorter_edge_px=size + 29,
        options=pretext.task(name).Options(**chosen),
    )  # fmt: skip
    network = training.Network(config).to(bench.device, memory_format=torch.channels_last)
    optimizer = torch.optim.SGD(
        network.parameters(), lr=0.01, momentum=0.9, nesterov=True, fused=bench.cuda
    )
    pack, generator = _pack(count, size + 29, bench.device), torch.Generator().manual_seed(0)
    classes = torch.arange(count) % 100 if network.task.supervised else None
    images = 0

    def indices():
        while True:
            yield torch.arange(count)

    batches = ahead.batches(
        network.task, pack, indices(), size + network.task.margin_px, generator, bench.device,
        classes,
    )  # fmt: skip

    def step():
        nonlocal images
        with torch.autocast(bench.device, torch.bfloat16):
            loss, measures = network(next(batches), 40)
        images = measures.images
        if network.task.trains:
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            optimizer.step()

    step()
    return step, images


def _pack(count: int, edge_px: int, device: str):
    from aesthlib.data.pack import Pack

    images = photographs(count, edge_px).permute(0, 2, 3, 1).contiguous()
    side = torch.full((count,), edge_px)
    offsets = torch.arange(count) * images[0].numel()
    pixels = images.flatten().to(device)
    return Pack("made", "0" * 64, pixels, offsets, side, side, tuple(map(str, range(count))))


def methods(bench: Bench) -> None:
    """The step of every method, with what a profile sees in it."""
    kernels, waits = {}, {}
    for name in pretext.TASKS:
        if name == "published":  # whose weights are fetched
            continue

        def measured(name=name):
            step, images = method_step(name, "alexnet", bench, bench.given.count, bench.given.size)
            bench.measure(f"step, {name}", {"alexnet": step}, images)
            kernels[name], waits[name] = profiled(step)

        bench.tried(f"step, {name}", measured)
    bench.note("kernels_of_a_step", kernels)
    bench.note("waits_in_a_step", waits)


def networks(bench: Bench) -> None:
    """Images/s of both networks at both sizes, beside the bare backbone, compiled and not."""
    given, shares = bench.given, {}
    for backbone in ("alexnet", "resnet18"):
        for size in (given.size,) if given.small else SIDES:

            def measured(backbone=backbone, size=size):
                count = given.count
                whole, images = method_step("degradation", backbone, bench, count, size)
                _, alone, _ = trainer(backbone, photographs(count, size).to(bench.device), "bf16")
                works = {"step": whole, "bare backbone": alone}
                rows = bench.measure(f"{backbone}, {size} px", works, images)
                degrade = bench.measure(
                    f"degrade, {size} px", {"aesthlib": degrader(count, size, bench.device)}, count
                )
                if len(rows) == 2 and degrade:
                    name, step = f"{backbone}, {size} px", rows[0]["seconds"]
                    shares[f"{name}: of the bare backbone"] = rows[1]["seconds"] / step
                    shares[f"{name}: degrade alone, of the step"] = degrade[0]["seconds"] / step

            bench.tried(f"{backbone}, {size} px", measured)
    bench.note("shares", shares)


def compiled(bench: Bench) -> None:
    """The bare backbones compiled, last because it takes long."""
    given = bench.given
    for backbone in ("alexnet",) if given.small else ("alexnet", "resnet18"):

        def measured(backbone=backbone):
            images = photographs(7 * given.count, given.size).to(bench.device)
            works = {}
            for mode in (None, "default", "reduce-overhead"):
                network = models.build(backbone, 0).to(
                    bench.device, memory_format=torch.channels_last
                )
                if mode:
                    network.compile(mode=mode)

                def forth_and_back(network=network):
                    with torch.autocast(bench.device, torch.bfloat16):
                        loss = network(images)["conv5"].float().mean()
                    loss.backward()

                works[f"compiled, {mode}" if mode else "not compiled"] = forth_and_back
            bench.measure(f"{backbone}, forth and back", works, len(images))

        bench.tried(f"{backbone}, compiled", measured)


def largest(bench: Bench) -> None:
    """The largest batch, in doublings, whose step fits; the memory of the usual one."""
    if not bench.cuda:
        bench.note("largest_batch", "measured on CUDA alone")
        return
    found = {}
    for backbone in ("alexnet", "resnet18"):
        torch.cuda.reset_peak_memory_stats()
        fits, count = 0, bench.given.count
        while count <= LARGEST_BATCH and not bench.late(f"batch of {count}, {backbone}"):
            try:
                method_step("degradation", backbone, bench, count, bench.given.size)
            except torch.OutOfMemoryError:
                break
            finally:
                torch.cuda.synchronize()
                if not fits:
                    found[f"{backbone}: GiB at {count}"] = torch.cuda.max_memory_allocated() / 2**30
                torch.cuda.empty_cache()
            fits, count = count, 2 * count
        found[backbone] = fits
    bench.note("largest_batch", found)


def main() -> None:
    given = timing.arguments(__doc__.splitlines()[0], size=227, count=64, many=2048, minutes=8.0)
    cuda = torch.cuda.is_available()
    if not cuda and not given.small:
        raise SystemExit("no CUDA device: --small runs on the CPU, to see that the script works")
    if given.small:
        given.size, given.count, given.many, given.rounds, given.minutes = 96, 4, 8, 1, 1.0
    device = "cuda" if cuda else "cpu"
    torch.backends.cudnn.benchmark = cuda
    bench = Bench(given, device)
    bench.note("product_gflops", product(device, torch.bfloat16) / 1e9)
    for group in (networks, methods, jpeg, operations, largest, compiled):
        bench.tried(group.__name__, lambda group=group: group(bench))
    bench.write()
    timing.report("gpu", bench.rows, given, device=device, size_px=given.size, **bench.found)


if __name__ == "__main__":
    main()
