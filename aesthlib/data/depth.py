"""Pillow's pictures of any mode and depth as 8-bit sRGB on white.

Values are scaled by what the format says of their range, never by those that happen to be there.
"""

from collections.abc import Callable, Iterator

import numpy as np
from PIL import Image

from . import colour

STRIP_PIXELS = 1 << 20  # so much is worked on at once, beside the decoded picture itself
BYTES = {"1": 1, "L": 1, "P": 1, "I;16": 2, "I;16B": 2, "I;16L": 2}  # of Pillow's pixel; else 4
_BITS, _PHOTOMETRIC, _SUBFILE, _EXTRA, _SAMPLE, _DNG = 258, 262, 254, 338, 339, 50706
WHITE_IS_ZERO = 0


class Refused(ValueError):
    """A picture whose values have no one meaning; the message says why."""


def strips(image: Image.Image, height: int) -> Iterator[Image.Image]:
    """A decoded picture in horizontal strips of at most so many rows."""
    for top in range(0, image.height, height):
        yield image.crop((0, top, image.width, min(top + height, image.height)))


def converter(image: Image.Image, bits: int, icc: bytes | None) -> tuple[Callable, str]:
    """What turns a picture, or a strip of it, into 8-bit sRGB on white.

    Args:
        image: opened by Pillow, of a promised format.
        bits: of one value in the file, where its format tells; 8 else.
        icc: its profile; None for none, b"" for one that is incomplete.

    Returns:
        A function of an image to an image of mode RGB, and a remark on the profile ("" for none).

    Raises:
        Refused: the values have no one meaning: signed, or floating point beyond 0 … 1.
    """
    top, inverted = 2**bits - 1, False
    if image.format == "TIFF":
        top, inverted = _of_tiff(image)
    key = image.info.get("transparency")
    alpha = key is not None or image.mode in ("RGBA", "LA", "PA", "RGBa", "La")
    if image.mode in ("1", "L") and isinstance(key, int):
        key = round(key * 255 / top) if bits < 8 else key
    if isinstance(key, tuple) and bits == 16:
        key = tuple(value >> 8 for value in key)  # Pillow keeps the upper byte
    shades = image.mode in ("1", "L", "LA", "La") or image.mode[0] in "IF"
    space = "CMYK" if image.mode == "CMYK" else "L" if shades else "RGB"
    apply, remark = None, ""
    if icc is not None:
        try:
            apply = colour.transform(icc, space)
        except ValueError as error:
            remark = f"{error}, taken as sRGB"

    def convert(strip: Image.Image) -> Image.Image:
        mask = None
        if strip.mode[0] in "IF":
            values = np.asarray(strip)
            if alpha:
                mask = Image.fromarray(np.where(values == key, 0, 255).astype(np.uint8))
            strip = Image.fromarray(_shades(values, top, inverted))
        elif alpha:
            strip, mask = _opaque(strip, key)
        elif strip.mode not in ("L", "RGB", "CMYK"):
            strip = strip.convert("L" if space == "L" else "RGB")
        strip = apply(strip) if apply else strip.convert("RGB")
        if mask is not None:
            strip = Image.composite(strip, Image.new("RGB", strip.size, "white"), mask)
        return strip

    return convert, remark


def _opaque(image: Image.Image, key) -> tuple[Image.Image, Image.Image]:
    """The colours below a transparency, in L or RGB, and how opaque each pixel is, in L."""
    if image.mode in ("1", "L") and isinstance(key, int):
        shades = image.convert("L")
        return shades, shades.point([255 * (value != key) for value in range(256)])
    if image.mode == "RGB" and isinstance(key, tuple):
        same = (np.asarray(image) == np.array(key, np.uint8)).all(2)
        return image, Image.fromarray(np.where(same, 0, 255).astype(np.uint8))
    whole = image.convert("LA" if image.mode in ("LA", "La") else "RGBA")
    mask = whole.getchannel("A")
    if whole.mode == "LA":
        return whole.getchannel("L"), mask
    return Image.merge("RGB", whole.split()[:3]), mask


def _shades(values: np.ndarray, top: float, inverted: bool) -> np.ndarray:
    """Deep values in 0 … top as uint8, rounded to the nearest; white and black swapped if asked."""
    if values.dtype.kind == "f":
        if not (values.min(initial=0) >= -_SLACK and values.max(initial=0) <= 1 + _SLACK):
            raise Refused("floating point values beyond 0 … 1: what is white is not said")
        shades = np.clip(values * np.float32(255) + np.float32(0.5), 0, 255).astype(np.uint8)
    elif top == 65535:
        shades = ((values.astype(np.uint32) * 255 + 32767) // 65535).astype(np.uint8)
    elif top > 65535:
        shades = (values.view(np.uint32) >> 24).astype(np.uint8)
    else:
        shades = np.minimum(
            (values.astype(np.uint32) * 255 + int(top) // 2) // int(top), 255
        ).astype(np.uint8)
    return 255 - shades if inverted else shades


_SLACK = 1e-3  # of floating point values, for rounding


def _of_tiff(image: Image.Image) -> tuple[float, bool]:
    """Largest value of a TIFF's samples, and whether Pillow leaves white at zero."""
    tags = image.tag_v2
    if _DNG in tags:
        raise Refused("a raw photograph (DNG)")
    if image.mode == "LAB":
        raise Refused("Lab colours are not read")
    formats = set(np.atleast_1d(tags.get(_SAMPLE, 1)).tolist())
    bits = max(np.atleast_1d(tags.get(_BITS, 1)).tolist())
    if formats & {2, 5, 6}:
        raise Refused("signed values: what is black is not said")
    if formats == {3} and image.mode != "F":
        raise Refused("floating point values are read of grey pictures alone")
    deep = image.mode[0] in "IF"
    if deep and image.mode != "F" and bits not in (12, 16, 32):
        raise Refused(f"{bits} bits a value are not read")
    return 2.0**bits - 1, deep and tags.get(_PHOTOMETRIC) == WHITE_IS_ZERO
