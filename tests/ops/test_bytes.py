"""The bytes of every operation, as the published records were made with them.

Each digest is of random photographs of six sizes under both presets, and of the generator's next
draw. Of the operations that draw nothing they are those of the plain expressions they had at
first: whoever makes one faster keeps them. Noise and shuffle have had theirs since their numbers
come from a counter (`ops.draws`). The digests are what `digest` and `test_a_batch_keeps_its_bytes`
compute. Bilinear enlargement adds in another order with several threads, and a few of
its ties then round the other way; a CPU without AVX2 adds differently.
"""

import hashlib
from contextlib import contextmanager

import pytest
import torch

from aesthlib import ops

pytestmark = pytest.mark.skipif(
    not torch.backends.cpu.get_cpu_capability().startswith("AVX"),
    reason="the digests are those of a CPU with AVX2 or AVX-512",
)
SIZES = [(5, 227, 227), (3, 128, 128), (2, 40, 33), (2, 13, 17), (2, 3, 5), (2, 1, 1)]
DIGESTS = {
    "none": "2e3c53e4c13ad4bf",
    "jpeg/1": "fe26e21282fae86e",
    "jpeg/2": "0bd3139c44875792",
    "gaussian_noise/1": "c000e61d7b9503c4",
    "gaussian_noise/2": "8d76e6d8a0ce1dc3",
    "rotation/1": "c88505752d5fdfc8",
    "rotation/2": "180ddb144a3d90ac",
    "rotation/3": "eabb79b2274b15fe",
    "downsampling/1": "883fd754c1b2f75e",
    "downsampling/2": "1fde918cb07c8548",
    "quantization/1": "50364d678ef15333",
    "quantization/2": "d619f1d1d9ff8125",
    "pixelation/1": "5ed79f590ed2fd59",
    "pixelation/2": "c19c225145a46939",
    "exposure/1": "09c35cd838ac99de",
    "exposure/2": "8913e44887336260",
    "gaussian_blur/1": "671810a9999c15cf",
    "gaussian_blur/2": "848b3af16bfd0947",
    "patch_shuffle/1": "8946c82ff2d29ee8",
    "patch_shuffle/2": "e6593d7f245221c5",
    "mixup/1": "e10a18ab24b67d02",
    "mixup/2": "8131dcd5a87011a6",
}
TWO_THREADS = {"downsampling/1": "8e8b4abbc42ff5a8", "downsampling/2": "a459f7a444bdbaa4"}
READINGS = {
    "noise_units": "bb92b9cb8a34b5da",
    "shuffle": "5c795051c1830768",
    "shuffle_block_px": "b198e80f6ce81749",
}
DEGRADED = {  # photographs, side in pixels, threads
    (64, 128, 1): "7e2516822251cf75",
    (64, 128, 2): "24c11bd93bab3386",
    (12, 227, 1): "1e5b5b1235842cf7",
    (12, 227, 2): "3aac019a8d26a627",
    (7, 33, 1): "5afa98b10964ad23",
    (7, 33, 2): "5afa98b10964ad23",
}


@contextmanager
def threads(count):
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def seeded(seed):
    return torch.Generator().manual_seed(seed)


def random_bytes(count, height, width):
    return torch.randint(256, (count, 3, height, width), dtype=torch.uint8, generator=seeded(0))


def raw(images):
    return images.contiguous().numpy().tobytes()


def digest(index, presets=ops.PRESETS, reading=None, last=False):
    found = hashlib.sha256()
    for size in SIZES:
        images = random_bytes(*size)
        if last:
            images = images.contiguous(memory_format=torch.channels_last)
        for preset in presets:
            generator = seeded(7)
            result = ops.apply(
                images, index, images.flip(0), generator, preset, reading or ops.Reading()
            )
            found.update(raw(result))
            found.update(str(torch.rand(1, generator=generator).item()).encode())
    return found.hexdigest()[:16]


@pytest.mark.parametrize("last", [False, True], ids=["channels first", "channels last"])
@pytest.mark.parametrize("item", ops.CLASSES, ids=lambda item: item.name)
def test_every_class_keeps_its_bytes(item, last):
    with threads(1):
        assert digest(item.index, last=last) == DIGESTS[item.name]
    if item.name in TWO_THREADS:
        with threads(2):
            assert digest(item.index, last=last) == TWO_THREADS[item.name]


@pytest.mark.parametrize(
    "name, value, operation",
    [
        ("noise_units", "pixel", "gaussian_noise/1"),
        ("shuffle", "move", "patch_shuffle/2"),
        ("shuffle_block_px", 5, "patch_shuffle/2"),
    ],
)
def test_every_reading_keeps_its_bytes(name, value, operation):
    (index,) = (item.index for item in ops.CLASSES if item.name == operation)
    assert digest(index, ("paper",), ops.Reading(**{name: value})) == READINGS[name]


@pytest.mark.parametrize("count, side, threads_used", DEGRADED)
def test_a_batch_keeps_its_bytes(count, side, threads_used):
    generator = seeded(3)
    images = random_bytes(count, side, side)
    with threads(threads_used):
        versions = ops.degrade(images, ops.draw(count, generator), generator)
    expected = DEGRADED[count, side, threads_used]
    assert hashlib.sha256(raw(versions)).hexdigest()[:16] == expected


@pytest.mark.parametrize("item", ops.CLASSES, ids=lambda item: item.name)
def test_inference_mode_changes_nothing(item, speckled):
    """Threads do not inherit it, and what is made there takes no values from outside."""
    images = speckled(3, 40, 40)

    def degraded():
        generator = torch.Generator().manual_seed(1)
        return ops.apply(images, item.index, images.roll(1, 0), generator)

    expected = degraded()
    with torch.inference_mode():
        assert torch.equal(degraded(), expected)
