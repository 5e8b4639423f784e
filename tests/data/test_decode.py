"""The reader: every kind of file against an independent reading, sizes, refusals, memory."""

import errno
import io
import os
import struct
import subprocess
import sys
import threading
import zlib

import numpy as np
import pytest
from PIL import Image

from aesthlib import explore, pretrained
from aesthlib.data import content, decode, formats
from aesthlib.data.photographs import MachineFault, UnreadableImage


@pytest.fixture(scope="module")
def every(kinds):
    return kinds.every()


def saved(image, kind="PNG", **more):
    written = io.BytesIO()
    image.save(written, kind, **more)
    return written.getvalue()


# --- every kind ---


def test_every_kind_shows_what_it_says(every):
    wrong = []
    for name, kind in every.items():
        pixels = decode.picture(kind.content, None, kind.suffix).pixels
        assert pixels.dtype == np.uint8 and pixels.shape == np.shape(kind.shows), name
        apart = np.abs(pixels - np.asarray(kind.shows, float))
        if apart.mean() > kind.mean or apart.max() > kind.largest + 0.5:  # half a level: rounding
            wrong.append((name, apart.mean(), apart.max()))
    assert len(every) > 80 and not wrong


def test_explore_and_scoring_read_the_same(every, tmp_path):
    trained = pretrained.config()
    for index, kind in enumerate(every.values()):
        path = tmp_path / f"{index}{kind.suffix}"
        path.write_bytes(kind.content)
        whole = decode.decode(path, None)
        assert np.array_equal(explore.read(path)[0].permute(1, 2, 0), whole)
        square = pretrained.central_square(path, trained)
        patch = explore.patch(explore.read(path), trained.shorter_edge_px, trained.size_px)[0]
        assert (square.int() - patch.int()).abs().max() <= 1  # turned before or after


REMARKS = {
    "PNG with a broken profile": "broken profile",
    "PNG with a profile for CMYK": "profile for CMYK in a picture of RGB",
}


def test_broken_profiles_are_named_and_nothing_else_is(every):
    for name, kind in every.items():
        remark = decode.picture(kind.content, None, kind.suffix).remark
        assert REMARKS.get(name, "") in remark and bool(remark) == (name in REMARKS), name


def test_values_without_one_meaning_are_refused(kinds):
    grey = kinds.GREY
    for content_, message in (
        (kinds.tiff(grey.astype(np.int16), 1, 16, 2), "signed"),
        (kinds.tiff(grey.astype(np.int32), 1, 32, 2), "signed"),
        (kinds.tiff(grey.astype(np.float32), 1, 32, 3), "beyond 0 … 1"),
        (kinds.tiff(np.full_like(grey, np.nan, np.float32), 1, 32, 3), "beyond 0 … 1"),
        (
            kinds.with_chunks(saved(Image.new("RGB", (40, 40))), (b"cICP", bytes([9, 16, 0, 1]))),
            "HDR",
        ),
        (saved(Image.new("LAB", (40, 40)), "TIFF"), "Lab"),
    ):
        with pytest.raises(UnreadableImage, match=f"not read: .*{message}"):
            decode.picture(content_, 32)


@pytest.mark.parametrize("turn", range(1, 9))
def test_all_eight_orientations(turn, kinds):
    exif = Image.Exif()
    exif[0x0112] = turn
    back = {5: 5, 6: 8, 7: 7, 8: 6}.get(turn, turn)
    stored = decode._turned(kinds.RGB, back)
    pixels = decode.picture(saved(Image.fromarray(stored), exif=exif), None).pixels
    assert np.array_equal(pixels, kinds.RGB)


def test_heic_is_read_with_the_extra_alone(kinds, monkeypatch):
    heif = pytest.importorskip("pillow_heif", reason="the extra heic is not installed")
    image = Image.fromarray(kinds.RGB)
    written = io.BytesIO()
    heif.from_pillow(image).save(written, quality=95)
    pixels = decode.picture(written.getvalue(), None, ".heic").pixels
    assert np.abs(pixels.astype(int) - kinds.RGB).mean() < 3
    monkeypatch.setattr(decode, "HEIC", False)
    with pytest.raises(UnreadableImage, match="holds HEIC: install the extra"):
        decode.picture(written.getvalue(), None)


# --- sizes ---


@pytest.fixture(scope="module")
def scene():
    """A photograph-like picture of 1200 × 900 px: soft shapes, edges and grain."""
    random = np.random.default_rng(0)
    coarse = Image.fromarray(random.integers(0, 256, (9, 12, 3), dtype=np.uint8))
    soft = np.asarray(coarse.resize((1200, 900), Image.Resampling.BICUBIC)).astype(int)
    soft[300:500, 200:900] //= 2
    return (soft + random.integers(-6, 7, soft.shape)).clip(0, 255).astype(np.uint8)


@pytest.mark.parametrize("edge", [1350, 900, 450, 300, 225, 128, 100, 64, 17])
def test_both_ways_agree_with_a_resize_of_the_whole(edge, scene):
    size = (max(edge, round(1200 * edge / 900)), edge)
    for kind, more in (("PNG", {}), ("JPEG", {"quality": 92}), ("WEBP", {"quality": 92})):
        content_ = saved(Image.fromarray(scene), kind, **more)
        whole = Image.open(io.BytesIO(content_)).convert("RGB")
        expected = np.asarray(whole.resize(size, Image.Resampling.BILINEAR)).astype(int)
        pixels = decode.picture(content_, edge).pixels
        assert pixels.shape == expected.shape and pixels.flags.c_contiguous
        apart = np.abs(pixels - expected)
        assert apart.mean() < 1.2 and apart.max() <= 12, (kind, apart.mean(), apart.max())


def test_libjpeg_and_pillow_read_a_whole_jpeg_alike(scene):
    content_ = saved(Image.fromarray(scene), "JPEG", quality=80)
    expected = np.asarray(Image.open(io.BytesIO(content_)))
    assert np.abs(decode.picture(content_, None).pixels.astype(int) - expected).max() <= 1


def test_odd_sizes_are_not_shifted_by_cheap_shrinking():
    ramp = np.repeat(np.linspace(0, 255, 1001).astype(np.uint8)[None], 777, 0)
    for kind, more in (("PNG", {}), ("JPEG", {"quality": 97})):
        pixels = decode.picture(saved(Image.fromarray(ramp), kind, **more), 64).pixels[32, :, 0]
        expected = (np.arange(len(pixels)) + 0.5) / len(pixels) * 255
        assert np.abs(pixels - expected)[2:-2].max() < 1.6


def test_photographs_of_the_study_read_alike_both_ways(shared):
    paths = sorted((shared / "data" / "photos" / "bsds500").iterdir())[:20]
    for path in paths:
        whole = Image.open(path).convert("RGB")
        height, width, _ = decode.decode(path, 96).shape
        expected = np.asarray(whole.resize((width, height), Image.Resampling.BILINEAR)).astype(int)
        apart = np.abs(decode.decode(path, 96) - expected)
        assert apart.mean() < 1 and apart.max() <= 40


# --- refusals ---


def png_claiming(width, height, bits=8):
    """A PNG that claims a size and holds hardly a pixel."""

    def chunk(name, body):
        check = struct.pack(">I", zlib.crc32(name + body))
        return struct.pack(">I", len(body)) + name + body + check

    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, bits, 2, 0, 0, 0))
    body = chunk(b"IDAT", zlib.compress(b"\0")) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + header + body


NOISE = Image.effect_noise((100, 100), 50)
REFUSED = {
    "truncated.jpg": (saved(NOISE, "JPEG")[:2000], "unreadable: truncated or damaged"),
    "text.jpg": (b"not an image", "holds none of JPEG, PNG"),
    "empty.jpg": (b"", "unreadable: empty"),
    "zeros.jpg": (bytes(5000), "holds zeros alone"),
    "one_pixel.png": (saved(Image.new("RGB", (1, 1))), "too small: 1 × 1 px"),
    "long.png": (saved(Image.new("L", (800, 99))), "too long: 800 × 99 px"),
    "bomb.png": (png_claiming(100_000, 100_000), "too large"),
    "hollow.png": (png_claiming(100, 100), "unreadable: .*truncated"),
    "eps.jpg": (saved(Image.new("RGB", (40, 40)), "EPS"), "holds EPS, not one of JPEG"),
    **{
        f"{kind}.jpg": (saved(Image.new("RGB", (40, 40)), kind), "holds ")
        for kind in ("PCX", "TGA", "SGI", "DDS", "JPEG2000", "ICO", "PPM", "PDF")
    },
}


@pytest.mark.parametrize("name", REFUSED)
def test_unusable_files_say_why(name, tmp_path):
    data, message = REFUSED[name]
    (tmp_path / name).write_bytes(data)
    with pytest.raises(UnreadableImage, match=message) as caught:
        decode.decode(tmp_path / name, 32)
    assert "0x" not in str(caught.value).replace("marker 0x", "")  # no address, alike in every run


def test_a_promised_format_under_another_ones_name_is_used_with_a_word(kinds):
    made = decode.picture(saved(Image.fromarray(kinds.RGB)), None, ".jpg")
    assert made.remark == "holds PNG" and np.array_equal(made.pixels, kinds.RGB)


def test_no_program_is_started_for_eps(monkeypatch):
    def started(*arguments, **more):
        raise AssertionError("a program was started")

    monkeypatch.setattr(subprocess, "Popen", started)
    for start in (b"%!PS-Adobe-3.0 EPSF-3.0\n", b"\xc5\xd0\xd3\xc6"):
        with pytest.raises(UnreadableImage, match="holds EPS"):
            decode.picture(start + b"%%BoundingBox: 0 0 40 40\n" * 9, 32)


def test_what_is_missing_or_no_plain_file(tmp_path):
    os.mkfifo(tmp_path / "pipe.jpg")
    os.symlink("circle.jpg", tmp_path / "circle.jpg")
    for name, message in (
        ("gone.jpg", "^missing$"),
        ("circle.jpg", "^missing$"),
        ("pipe.jpg", "no plain file but a FIFO"),
        (".", "no plain file but a folder"),
    ):
        with pytest.raises(UnreadableImage, match=message):
            decode.decode(tmp_path / name, 32)
    with pytest.raises(UnreadableImage, match="no plain file but a device"):
        decode.decode("/dev/zero", 32)


@pytest.mark.parametrize("number", [errno.EACCES, errno.EIO, errno.EMFILE, errno.ESTALE])
def test_the_machines_faults_are_no_photographs(number, tmp_path, monkeypatch):
    (tmp_path / "a.png").write_bytes(saved(NOISE))

    def refuse(*arguments):
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(content, "_PAUSES_S", (0.0, 0.0))
    monkeypatch.setattr(content.os, "open", refuse)
    with pytest.raises(MachineFault, match="a.png: .* not to blame"):
        decode.decode(tmp_path / "a.png", 32)


# --- memory ---


def test_pixels_times_bytes_are_bounded_before_decoding(monkeypatch):
    monkeypatch.setattr(decode, "LARGEST_BYTES", 1_000_000)
    for kind, more in (
        ("PNG", {}),
        ("WEBP", {}),
        ("AVIF", {}),
        ("TIFF", {}),
        ("JPEG", {"progressive": True}),
    ):
        big = saved(Image.new("RGB", (900, 700), "teal"), kind, **more)
        with pytest.raises(UnreadableImage, match="too large: 900 × 700 px of this kind take"):
            decode.picture(big, 32)
    decode.picture(saved(Image.new("RGB", (900, 700)), "JPEG"), 32)


def test_large_pictures_wait_for_room():
    room, held, most = content.Room(100), [], []

    def work():
        with room.take(60):
            held.append(1)
            most.append(len(held))
            held.pop()

    threads = [threading.Thread(target=work) for _ in range(20)]
    [thread.start() for thread in threads]
    [thread.join() for thread in threads]
    assert max(most) == 1 and room.left == 100


LIMITED = """
import resource, sys
from aesthlib.data import photographs
from pathlib import Path
import simplejpeg, torch
size = int(next(l for l in open("/proc/self/status") if l.startswith("VmSize")).split()[1]) * 1024
resource.setrlimit(resource.RLIMIT_AS, (size + 300_000_000,) * 2)
rows = photographs.examine(photographs.find(Path(sys.argv[1])), "made", workers=2)
for row in rows:
    print(row["file"], row["problem"])
"""


@pytest.mark.skipif(sys.platform != "linux", reason="limits of Linux")
def test_under_a_limit_one_file_is_listed_and_the_others_are_read(tmp_path):
    large = png_claiming(9000, 9000, 16)
    body = zlib.compress(bytes((1 + 6 * 9000) * 9000), 1)
    at = large.index(b"IDAT") - 4
    check = struct.pack(">I", zlib.crc32(b"IDAT" + body))
    end = large[large.index(b"IEND") - 4 :]
    (tmp_path / "large.png").write_bytes(
        large[:at] + struct.pack(">I", len(body)) + b"IDAT" + body + check + end
    )
    for index in range(4):
        NOISE.save(tmp_path / f"{index}.jpg")
    done = subprocess.run(
        [sys.executable, "-c", LIMITED, str(tmp_path)], capture_output=True, text=True, timeout=120
    )
    told = done.stdout.splitlines()
    assert [line.strip() for line in told[:4]] == [f"{index}.jpg" for index in range(4)], (
        done.stderr
    )
    assert told[4] == "large.png too large for the memory there is"


def test_formats_are_told_by_content(every):
    told = {formats.of(kind.content) for kind in every.values()}
    assert told == {"JPEG", "PNG", "GIF", "WEBP", "BMP", "TIFF", "AVIF"}
