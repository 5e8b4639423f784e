"""Time and memory against photographs, their size and the methods, and what 1.28 million cost.

    python benchmarks/growth.py [--largest 64]

Each pair of neighbouring rows doubles the work: `growth` is the ratio of their seconds, which may
not exceed 2 by more than the spread. Packing and an epoch of crops run in a process of their own;
their memory is what that process holds beside mapped files when it is done, without the packages.
"""

import json
import resource
import subprocess
import sys
import tempfile
from pathlib import Path

import timing
import torch
from operations import photographs
from PIL import Image

from aesthlib import ops, pretext, training
from aesthlib.data import photographs as packs
from aesthlib.models import build

IMAGENET, VERSIONS, EPOCHS = 1_281_167, 7, 60
PACKED_BYTES = 256 * 341 * 3  # of a photograph of 4 : 3 at a shorter edge of 256 px
EDGE_PX, CROP_PX, BATCH = 128, 96, 16


def anonymous_mb() -> float:
    """Memory of this process beside mapped files."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(x.split()[1]) for x in lines if x.startswith("RssAnon")) / 1024


def epoch_of(folder: Path, target: Path) -> None:
    """Pack a folder, cut every photograph once, and print seconds and memory as JSON."""
    generator = torch.Generator().manual_seed(0)
    work = []
    before = anonymous_mb()

    def whole():
        path = target / str(len(work))
        work.append(path)
        pack = packs.load(packs.pack(packs.find(folder), path, EDGE_PX, "made"))
        for rows in torch.randperm(len(pack), generator=generator).split(BATCH):
            pack.random_crops(rows, CROP_PX, generator)

    seconds = timing.in_turns({"": whole}, 3)[""]
    print(json.dumps({"seconds": seconds, "mb": anonymous_mb() - before}))


def packing(counts: list[int]) -> list[dict]:
    found = []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name) / "photographs"
        folder.mkdir()
        made = photographs(8, EDGE_PX).permute(0, 2, 3, 1).numpy()
        for count in counts:
            for index in range(len(list(folder.iterdir())), count):
                array = made[index % len(made)].copy()
                array[0, 0] = index % 256, index // 256 % 256, index // 65536  # none twice
                Image.fromarray(array).save(folder / f"{index:06d}.jpg", quality=90)
            command = [sys.executable, __file__, "--epoch-of", str(folder), f"{name}/{count}"]
            told = subprocess.run(command, check=True, capture_output=True, text=True).stdout
            result = json.loads(told.splitlines()[-1])
            label = f"{count} photographs"
            (row,) = timing.rows("pack and one epoch", {label: result["seconds"]}, count)
            found.append(row | {"note": f"{result['mb']:.0f} MB"})
    return found


def methods(size: int, rounds: int) -> list[dict]:
    """A training step of every method that trains, on patches of one size."""
    found = []
    generator = torch.Generator().manual_seed(0)
    for name in pretext.TASKS:
        kind = pretext.task(name)
        if not kind.trains or name == "labels":  # which needs labels, and costs what rotation does
            continue
        config = training.PretrainConfig(method=name, size_px=size, batch_size=BATCH)
        model = training.Network(config).to(memory_format=torch.channels_last)
        optimizer = torch.optim.SGD(model.parameters(), lr=0.01, momentum=0.9)
        patches = photographs(BATCH, size + kind.margin_px)

        def step(model=model, optimizer=optimizer, patches=patches):
            with torch.autocast("cpu", torch.bfloat16):
                loss, _ = model(model.task.prepare(patches, generator), 0)
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            optimizer.step()

        seconds = timing.in_turns({name.replace("_", " "): step}, rounds)
        found += timing.rows(f"step of {BATCH} patches", seconds, BATCH)
    return found


def main() -> None:
    given = timing.arguments(__doc__.splitlines()[0], largest=64)
    if given.small:
        given.largest, given.rounds = 8, 2
    generator = torch.Generator().manual_seed(0)

    def degrade(images):
        return ops.degrade(images, ops.draw(len(images), generator), generator)

    network = build("alexnet", 0).to(memory_format=torch.channels_last).eval()

    @torch.inference_mode()
    def forward(images):
        with torch.autocast("cpu", torch.bfloat16):
            return network(images)

    degrade(photographs(64, 96))  # every class once: the codec is loaded at its first photograph
    table = []
    counts = [n for n in (4, 8, 16, 32, 64, 128, 256) if n <= given.largest]
    sides = (96,) if given.small else (96, 136, 192, 272)  # areas that double
    for name, work in (("degrade", degrade), ("forward", forward)):
        sets = [(f"{n} of 96 px", photographs(n, 96)) for n in counts]
        sets += [(f"{side} × {side} px, 8 at once", photographs(8, side)) for side in sides]
        for label, images in sets:
            seconds = timing.in_turns({label: lambda: work(images)}, given.rounds)  # noqa: B023
            table += timing.rows(name, seconds, len(images))
    last = next(
        r for r in table if r["name"] == f"{counts[-1]} of 96 px" and r["group"] == "forward"
    )
    table += packing([20, 40] if given.small else [250, 500, 1000, 2000])
    for before, row in zip(table, table[1:]):  # noqa: B905
        if row["group"] == before["group"] and not row["name"].startswith(f"{sides[0]} ×"):
            told = f"growth {row['seconds'] / before['seconds']:.2f} for twice"
            row["note"] = f"{told}; {row['note']}" if "note" in row else told
    packed = table[-1]
    table += methods(CROP_PX, given.rounds)
    patches = IMAGENET * VERSIONS
    estimate = {
        "packed photographs, GB": IMAGENET * PACKED_BYTES / 1e9,
        f"packing at {EDGE_PX} px and one epoch of crops, hours": IMAGENET
        / packed["per_second"]
        / 3600,
        "forward pass of seven versions at 96 px, hours": patches / last["per_second"] / 3600,
        "patches in all epochs": patches * EPOCHS,
        "features of five layers in float16, GB": IMAGENET * 5 * 9600 * 2 / 1e9,
        "layers in memory at once": 1,
    }
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    timing.report("growth", table, given, imagenet=estimate, peak_memory_gb=peak)


if __name__ == "__main__":
    if "--epoch-of" in sys.argv:
        epoch_of(*map(Path, sys.argv[2:4]))
    else:
        main()
