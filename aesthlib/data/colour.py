"""Colours to sRGB: embedded profiles, the gamma and primaries of a PNG, the codes of a video.

Profiles are applied by Little CMS, perceptual intent without black point compensation, as browsers
do. A profile that cannot be used is named and the values are taken as sRGB.
"""

import io
import struct
from collections.abc import Callable
from functools import lru_cache

import numpy as np
from PIL import Image, ImageCms

LIKE_SRGB = 1  # levels: a profile that moves no colour by more is sRGB
SRGB_CHROMA = (31270, 32900, 64000, 33000, 30000, 60000, 15000, 6000)  # white, red, green, blue
P3_CHROMA = (31270, 32900, 68000, 32000, 26500, 69000, 15000, 6000)
BT2020_CHROMA = (31270, 32900, 70800, 29200, 17000, 79700, 13100, 4600)
_PRIMARIES = {1: SRGB_CHROMA, 9: BT2020_CHROMA, 11: P3_CHROMA, 12: P3_CHROMA}
SRGB_CURVE = (2.4, 1 / 1.055, 0.055 / 1.055, 1 / 12.92, 0.04045)  # as in ICC, function type 3
BT1886_CURVE = (2.4,)
_TRANSFERS = {4: (2.2,), 5: (2.8,), 8: (1.0,), 13: SRGB_CURVE}
_OF_VIDEO = (1, 6, 14, 15)
LIKE_SRGB_GAMMA = range(45000, 46001)  # 1/2.2 in 1/100,000: PNGs that say so alone mean sRGB
_HDR = {16: "PQ", 18: "HLG"}
_D50 = np.array([0.9642, 1.0, 0.8249])
_BRADFORD = np.array(
    [[0.8951, 0.2664, -0.1614], [-0.7502, 1.7135, 0.0367], [0.0389, -0.0685, 1.0296]]
)


def profile(chroma: tuple[int, ...], curve: tuple[float, ...] = SRGB_CURVE) -> bytes:
    """An ICC profile of a display.

    Args:
        chroma: x and y of white, red, green and blue in 1/100,000.
        curve: of decoding: an exponent alone, or the five numbers of ICC's function type 3.

    Raises:
        ValueError: the primaries span no triangle, or gamma is out of range.
    """
    if not 0.1 <= curve[0] <= 10:
        raise ValueError(f"gamma {curve[0]:g} is out of range")
    xy = np.array(chroma, np.float64).reshape(4, 2) / 1e5
    if xy[:, 1].min() <= 0:
        raise ValueError("a colour without lightness")
    xyz = np.stack([xy[:, 0] / xy[:, 1], np.ones(4), (1 - xy.sum(1)) / xy[:, 1]])
    white, primaries = xyz[:, 0], xyz[:, 1:]
    if abs(np.linalg.det(primaries)) < 1e-6:
        raise ValueError("the primaries span no triangle")
    primaries = primaries * np.linalg.solve(primaries, white)
    cones = np.diag((_BRADFORD @ _D50) / (_BRADFORD @ white))
    columns = (np.linalg.inv(_BRADFORD) @ cones @ _BRADFORD @ primaries).T
    description = b"desc\0\0\0\0" + struct.pack(">I", 5) + b"made\0" + b"\0" * 78
    tags = [
        (b"desc", description),
        (b"cprt", b"text\0\0\0\0none\0"),
        (b"wtpt", _xyz(_D50)),
        *((name, _xyz(column)) for name, column in zip(_COLUMNS, columns, strict=True)),
        *((name, _parametric(curve)) for name in (b"rTRC", b"gTRC", b"bTRC")),
    ]
    table, data = b"", b""
    start = 128 + 4 + 12 * len(tags)
    for name, body in tags:
        body += b"\0" * (-len(body) % 4)
        table += struct.pack(">4sII", name, start + len(data), len(body))
        data += body
    head = struct.pack(">I4sI", start + len(data), b"lcms", 0x04000000) + b"mntrRGB XYZ "
    head += struct.pack(">6H", 2026, 1, 1, 0, 0, 0) + b"acsp".ljust(28, b"\0") + b"\0" * 4
    head = head.ljust(68, b"\0")[:68] + _xyz(_D50)[8:]
    return head.ljust(128, b"\0") + struct.pack(">I", len(tags)) + table + data


_COLUMNS = (b"rXYZ", b"gXYZ", b"bXYZ")


def _xyz(values: np.ndarray) -> bytes:
    fixed = (round(float(value) * 65536) for value in values)
    return b"XYZ \0\0\0\0" + struct.pack(">3i", *fixed)


def _parametric(curve: tuple[float, ...]) -> bytes:
    fixed = (round(value * 65536) for value in curve)
    kind = 0 if len(curve) == 1 else 3
    return b"para\0\0\0\0" + struct.pack(f">HH{len(curve)}i", kind, 0, *fixed)


def of_png(gamma: int | None, chroma: tuple[int, ...] | None) -> bytes | None:
    """The profile of a PNG's gAMA and cHRM, both in 1/100,000, as browsers take them.

    None is sRGB: primaries without a gamma say nothing, nor does a gamma of 1/2.2 alone.
    """
    if gamma is None or chroma is None and gamma in LIKE_SRGB_GAMMA:
        return None
    return profile(chroma or SRGB_CHROMA, (1e5 / max(gamma, 1),))


def of_codes(primaries: int, transfer: int, video: tuple[float, ...]) -> bytes | None:
    """The profile of colours named by ITU-T H.273; None for sRGB and for what is not known.

    Args:
        primaries, transfer: the numbers.
        video: the curve by which the transfer of video (BT.709 and its kin) is shown: browsers take
            BT.1886 in a PNG and sRGB in an AVIF.

    Raises:
        ValueError: the values are HDR, which 8 bits do not hold without a choice of tone.
    """
    if transfer in _HDR:
        raise ValueError(f"HDR ({_HDR[transfer]}): how bright it is meant to look is not said")
    curve = video if transfer in _OF_VIDEO else _TRANSFERS.get(transfer)
    if curve is None or primaries not in _PRIMARIES or (primaries, curve) == (1, SRGB_CURVE):
        return None
    return profile(_PRIMARIES[primaries], curve)


@lru_cache(maxsize=64)
def transform(icc: bytes, mode: str) -> Callable[[Image.Image], Image.Image] | None:
    """What turns pictures of a mode ("L", "RGB" or "CMYK") into sRGB, by an ICC profile.

    Returns:
        A function of an image to an image of mode RGB; None where the profile is sRGB.

    Raises:
        ValueError: the profile is broken, or one of other colours than the mode's.
    """
    try:
        opened = ImageCms.ImageCmsProfile(io.BytesIO(icc))
        space = opened.profile.xcolor_space.strip()
    except Exception as error:  # a broken profile raises many kinds
        raise ValueError(f"broken profile ({str(error) or type(error).__name__})") from error
    if mode == "L" and space == "RGB":
        shades = transform(icc, "RGB")
        return shades and (lambda image: shades(image.convert("RGB")))
    wanted = {"L": "GRAY"}.get(mode, mode)
    if space != wanted:
        raise ValueError(f"profile for {space} in a picture of {wanted}")
    try:
        built = ImageCms.buildTransform(opened, ImageCms.createProfile("sRGB"), mode, "RGB")
    except Exception as error:
        raise ValueError(f"broken profile ({str(error) or type(error).__name__})") from error

    def apply(image: Image.Image) -> Image.Image:
        return ImageCms.applyTransform(image, built)

    probe = _probe(mode)
    moved = np.asarray(apply(probe), np.int16) - np.asarray(probe.convert("RGB"), np.int16)
    return apply if mode == "CMYK" or np.abs(moved).max() > LIKE_SRGB else None


def _probe(mode: str) -> Image.Image:
    """Colours all over the cube, in one picture."""
    if mode == "L":
        return Image.fromarray(np.arange(256, dtype=np.uint8)[None])
    levels = np.linspace(0, 255, 18).astype(np.uint8)
    cube = np.stack(np.meshgrid(levels, levels, levels, indexing="ij"), -1)
    if mode == "CMYK":
        return Image.new("CMYK", (1, 1))
    return Image.fromarray(cube.reshape(18, -1, 3))
