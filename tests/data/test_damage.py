"""Damaged files: what decoders warn of is listed, and thousands of mutations harm nothing."""

import io
import random
import struct
import time

import numpy as np
import pytest
from PIL import Image

from aesthlib.data import decode
from aesthlib.data.photographs import UnreadableImage


@pytest.fixture(scope="module")
def scene():
    """320 × 240 px with grain, so that no part of a file is idle."""
    generator = np.random.default_rng(0)
    coarse = Image.fromarray(generator.integers(0, 256, (6, 8, 3), dtype=np.uint8))
    soft = np.asarray(coarse.resize((320, 240), Image.Resampling.BICUBIC)).astype(int)
    return Image.fromarray(
        (soft + generator.integers(-9, 10, soft.shape)).clip(0, 255).astype("u1")
    )


def saved(image, kind, **more):
    written = io.BytesIO()
    image.save(written, kind, **more)
    return written.getvalue()


def refused(content):
    with pytest.raises(UnreadableImage, match="unreadable|damaged|holds zeros"):
        decode.picture(content, 64)


END = b"\xff\xd9"


@pytest.mark.parametrize("progressive", [False, True])
@pytest.mark.parametrize("share", [0.3, 0.6, 0.9, 0.99])
def test_jpegs_with_an_end_mark_that_lack_data_are_noticed(share, progressive, scene):
    whole = saved(scene, "JPEG", quality=85, progressive=progressive)
    at = int(share * len(whole))
    refused(whole[:at] + END)
    refused(whole[:at])
    refused(whole[:at] + bytes(len(whole) - at - 2) + END)
    if not progressive:  # whose later scans hold single bits: zeros are as good as any
        refused(whole[:at] + bytes(min(300, len(whole) - at - 2)) + whole[at + 300 :])


@pytest.mark.parametrize("progressive", [False, True])
def test_most_garbled_jpegs_are_noticed(progressive, scene):
    """No decoder notices all: other data may be as good as the right ones."""
    whole = saved(scene, "JPEG", quality=85, progressive=progressive)
    chance, noticed, places = random.Random(0), 0, range(1000, len(whole) - 400, 400)
    for at in places:
        garbled = chance.randbytes(300).replace(b"\xff", b"\x17")
        for made in (whole[:at] + garbled + whole[at + 300 :], whole[:at] + whole[at + 300 :]):
            try:
                decode.picture(made, 64)
            except UnreadableImage:
                noticed += 1
    assert noticed >= 0.8 * 2 * len(places)


def test_a_progressive_jpeg_without_its_last_scans_is_noticed(scene):
    whole = saved(scene, "JPEG", quality=85, progressive=True)
    starts = [at for at in range(len(whole)) if whole[at : at + 2] == b"\xff\xda"]
    assert len(starts) > 3
    for start in starts[1:]:
        table = whole.rindex(b"\xff\xc4", 0, start) if b"\xff\xc4" in whole[:start] else start
        with pytest.raises(UnreadableImage, match="scans are missing|damaged"):
            decode.picture(whole[: max(table, whole.rindex(b"\xff", 0, start))] + END, 64)


def test_what_is_harmless_in_a_jpeg_is_read(scene):
    whole = saved(scene, "JPEG", quality=85)
    expected = decode.picture(whole, 64).pixels
    comment = whole[:2] + b"\xff\xfe" + struct.pack(">H", 5) + b"abc" + whole[2:]
    revision = whole.replace(b"JFIF\0\x01\x01", b"JFIF\0\x09\x09")
    for content in (whole + b"more behind the end" * 9, comment, revision):
        assert np.array_equal(decode.picture(content, 64).pixels, expected)


@pytest.mark.parametrize("kind", ["PNG", "WEBP", "AVIF", "GIF"])
@pytest.mark.parametrize("share", [0.3, 0.6, 0.9])
def test_files_that_end_in_zeros_are_noticed(kind, share, scene):
    for more in ({"lossless": True}, {}) if kind == "WEBP" else ({},):
        whole = saved(scene, kind, **more)
        at = int(share * len(whole))
        refused(whole[:at] + bytes(len(whole) - at))
        refused(whole[:at])


def test_flat_pictures_that_end_in_few_zeros_are_read():
    for kind in ("WEBP", "AVIF", "GIF", "PNG", "JPEG"):
        for colour in ("white", "black", "red"):
            content = saved(Image.new("RGB", (640, 480), colour), kind)
            assert decode.picture(content, 64).pixels.shape == (64, 85, 3)


def test_pngs_are_held_against_their_checksums(scene):
    whole = saved(scene, "PNG")
    at = whole.index(b"IDAT") + 4000
    refused(whole[:at] + bytes([whole[at] ^ 1]) + whole[at + 1 :])
    refused(whole[: whole.index(b"IEND") - 4])


def mutated(content, chance):
    """A file with bytes changed, swapped, cut out, doubled or cut off, and whether it was cut."""
    made = bytearray(content)
    way = chance.randrange(6)
    at = chance.randrange(len(made))
    length = min(chance.choice((1, 2, 16, 300)), len(made) - at)
    if way == 0:
        for _ in range(chance.choice((1, 3, 30))):
            made[chance.randrange(len(made))] = chance.randrange(256)
    elif way == 1:
        made[at : at + length] = bytes(length)
    elif way == 2:
        del made[at : at + length]
    elif way == 3:
        made[at:at] = made[at : at + length]
    elif way == 4:
        made[at : at + 4] = struct.pack(">I", chance.choice((0, 1, 65535, 2**31 - 1, 2**32 - 1)))
    else:
        del made[max(at, 1) :]
    return bytes(made), way == 5


TOLERATED = 0.02  # of a file's end: an end mark's own bytes, a PNG's are checked


def test_mutations_never_crash_or_hang_and_what_is_cut_is_never_used(scene, kinds):
    chance = random.Random(14)
    seeds = {
        "JPEG": saved(scene, "JPEG"),
        "JPEG progressive": saved(scene, "JPEG", progressive=True),
        "PNG": saved(scene, "PNG"),
        "PNG interlaced grey": kinds.every()["PNG grey of 16 bits"].content,
        "WEBP": saved(scene, "WEBP"),
        "WEBP lossless": saved(scene, "WEBP", lossless=True),
        "AVIF": saved(scene.resize((160, 120)), "AVIF"),
        "GIF": saved(scene, "GIF"),
        "BMP": saved(scene, "BMP"),
        "TIFF": saved(scene, "TIFF"),
        "TIFF LZW": saved(scene, "TIFF", compression="tiff_lzw"),
    }
    used, slowest = [], 0.0
    for name, content in seeds.items():
        for _ in range(60):
            made, cut = mutated(content, chance)
            started = time.perf_counter()
            try:
                pixels = decode.picture(made, 64).pixels
                assert pixels.dtype == np.uint8 and min(pixels.shape[:2]) == 64
                if cut and len(made) < (1 - TOLERATED) * len(content):
                    used.append((name, len(made), len(content)))
            except UnreadableImage as error:
                assert " at 0x" not in str(error)  # no address
            slowest = max(slowest, time.perf_counter() - started)
    assert not used and slowest < 5
