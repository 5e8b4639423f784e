"""Time and memory against the number of photographs and their size, and what 1.28 million cost.

    python benchmarks/growth.py [--largest 64]

Each pair of neighbouring rows doubles the work: `growth` is the ratio of their seconds, which may
not exceed 2 by more than the spread. Memory is what Python and torch hold at the peak of a step.
"""

import resource

import timing
import torch
from operations import photographs

from aesthlib import ops
from aesthlib.models import build

IMAGENET, VERSIONS, EPOCHS = 1_281_167, 7, 60
PACKED_BYTES = 256 * 341 * 3  # of a photograph of 4 : 3 at a shorter edge of 256 px


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

    table = []
    counts = [n for n in (4, 8, 16, 32, 64, 128, 256) if n <= given.largest]
    sides = (96,) if given.small else (96, 136, 192, 272)  # areas that double
    for name, work in (("degrade", degrade), ("forward", forward)):
        sets = [(f"{n} of 96 px", photographs(n, 96)) for n in counts]
        sets += [(f"8 of {side} px", photographs(8, side)) for side in sides[1:]]
        previous = None
        for label, images in sets:
            seconds = timing.in_turns({label: lambda: work(images)}, given.rounds)  # noqa: B023
            (row,) = timing.rows(name, seconds, len(images))
            if previous and " of 96 px" in label:
                row["note"] = f"growth {row['seconds'] / previous['seconds']:.2f} for twice"
            table.append(row)
            previous = row
    last = [row for row in table if row["group"] == "forward" and "of 96" in row["name"]][-1]
    patches = IMAGENET * VERSIONS
    estimate = {
        "packed photographs, GB": IMAGENET * PACKED_BYTES / 1e9,
        "forward pass of seven versions at 96 px, hours": patches / last["per_second"] / 3600,
        "patches in all epochs": patches * EPOCHS,
        "features of five layers in float16, GB": IMAGENET * 5 * 9600 * 2 / 1e9,
        "layers in memory at once": 1,
    }
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    timing.report("growth", table, given, imagenet=estimate, peak_memory_gb=peak)


if __name__ == "__main__":
    main()
