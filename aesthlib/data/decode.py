"""The one reader of photographs: bytes of a file to upright 8-bit sRGB at a chosen size.

The book's page on photographs holds the promise, kind by kind. Common JPEG files go through
libjpeg-turbo (simplejpeg), which tells what is damaged and shrinks while it decodes; the rest goes
through Pillow. Both are resized by the same kernel of torch, antialiased, on uint8.
"""

import io
import re
import threading
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import simplejpeg
import torch
from PIL import Image

from . import colour, depth, formats
from .content import LARGE, LARGEST_BYTES, Room, UnreadableImage, opened
from .find import HEIC

READER = 2  # the version of what comes out; packs of another one are made anew
SMALLEST_EDGE_PX = 16  # below, nothing of a photograph is left
LARGEST_PIXELS = 178_956_970  # Pillow's own guard against decompression bombs
LARGEST_ASPECT = 8.0
GAP = 2  # a picture is shrunk cheaply to no less than so many times the edge, then well
_HARMLESS = ("Invalid SOS parameters", "unknown JFIF revision", "Unknown Adobe color transform")


@dataclass(frozen=True)
class Picture:
    """A decoded photograph.

    Attributes:
        pixels: uint8 (H, W, 3).
        remark: what was odd and did not prevent its use: a broken profile; "" for nothing.
    """

    pixels: np.ndarray
    remark: str = ""


def decode(path: Path, shorter_edge_px: int | None) -> np.ndarray:
    """Read a file as 8-bit sRGB, upright, at the chosen shorter edge.

    The format is told by the content. Profiles and orientation are applied, deep values scaled by
    what the format says, what is transparent lies on white, of an animation the first frame is
    taken. The book's page on photographs has the table.

    Args:
        path: an image file.
        shorter_edge_px: of the result; the longer edge keeps the aspect. Antialiased, both ways.
            None keeps the photograph's own size.

    Returns:
        uint8 (H, W, 3).

    Raises:
        UnreadableImage: no promised format, damaged, under 16 px or over 179 million pixels, more
            than eight times as long as wide, or with values that have no one meaning.
        MachineFault: the machine would not give the file (permission, I/O error, too many open).
    """
    with opened(path) as content:
        return picture(content, shorter_edge_px, Path(path).suffix).pixels


def resize(pixels: np.ndarray, shorter_edge_px: int) -> np.ndarray:
    """uint8 (H, W, 3) to a shorter edge, bilinear and antialiased, as `decode` does it."""
    return _sized(pixels, pixels.shape[:2], 1, shorter_edge_px)


def picture(content: bytes, shorter_edge_px: int | None, suffix: str = "") -> Picture:
    """As `decode`, of a file's bytes, with a remark on what was odd.

    Args:
        suffix: of the file's name; another format than it says is remarked.

    Raises:
        UnreadableImage: as `decode`.
    """
    kind = formats.of(content)
    if kind is None or kind == "HEIF" and not HEIC:
        raise UnreadableImage(f"unreadable: {_foreign(content, kind)}")
    try:
        for alone in (False, True):
            try:
                made = (_by_libjpeg if kind == "JPEG" else _by_pillow)(
                    content, kind, shorter_edge_px, alone
                )
                break
            except MemoryError:
                if alone:
                    raise UnreadableImage("too large for the memory there is") from None
    except (UnreadableImage, KeyboardInterrupt):
        raise
    except depth.Refused as error:
        raise UnreadableImage(f"not read: {error}") from error
    except Image.DecompressionBombError:
        raise UnreadableImage(f"too large: over {LARGEST_PIXELS} pixels") from None
    except Exception as error:  # decoders raise many kinds for broken files
        raise UnreadableImage(f"unreadable: {_told(error)}") from error
    told = _SAYS.get(suffix.lower(), kind)
    if told != kind:
        made = Picture(made.pixels, "; ".join(filter(None, (f"holds {kind}", made.remark))))
    return made


_SAYS = {
    **dict.fromkeys((".jpg", ".jpeg", ".jpe", ".jfif"), "JPEG"),
    **dict.fromkeys((".tif", ".tiff"), "TIFF"),
    **dict.fromkeys((".heic", ".heif", ".hif"), "HEIF"),
    **{".png": "PNG", ".webp": "WEBP", ".avif": "AVIF", ".bmp": "BMP", ".gif": "GIF"},
}


def _foreign(content: bytes, kind: str | None) -> str:
    if not content:
        return "empty"
    if kind == "HEIF":
        return "holds HEIC: install the extra, pip install 'aesthlib[heic]'"
    if formats.zero_tail(content) == len(content):
        return "holds zeros alone"
    other = formats.other(content)
    promised = ", ".join(name for name in formats.PROMISED if name != "HEIF" or HEIC)
    return f"holds {other}, not one of {promised}" if other else f"holds none of {promised}"


def _told(error: Exception) -> str:
    """An error's text without addresses, the same in every run."""
    return re.sub(r"<[\w.]+ object at 0x[0-9a-f]+>", "the file", str(error)) or type(error).__name__


def _check(width: int, height: int, needed: float) -> None:
    """Refuse by size; needed is the memory of decoding, in bytes."""
    if min(width, height) < SMALLEST_EDGE_PX:
        raise UnreadableImage(f"too small: {width} × {height} px, need {SMALLEST_EDGE_PX} a side")
    if width * height > LARGEST_PIXELS:
        raise UnreadableImage(f"too large: over {LARGEST_PIXELS} pixels")
    if max(width, height) > LARGEST_ASPECT * min(width, height):
        raise UnreadableImage(f"too long: {width} × {height} px, at most {LARGEST_ASPECT:g} : 1")
    if needed > LARGEST_BYTES:
        raise UnreadableImage(
            f"too large: {width} × {height} px of this kind take {needed / 1e6:,.0f} MB to decode"
        )


_room = Room(LARGEST_BYTES)
_kept = threading.local()  # a buffer a thread: fresh memory costs more than decoding into old


def _buffer(size: int) -> np.ndarray | None:
    if size > LARGE:
        return None
    held = getattr(_kept, "buffer", None)
    if held is None or len(held) < size:
        held = _kept.buffer = np.empty(size, np.uint8)
    return held


def _by_libjpeg(content: bytes, kind: str, edge: int | None, alone: bool) -> Picture:
    head = formats.jpeg(content)
    width, height = head.width, head.height
    if not width:
        raise UnreadableImage("unreadable: truncated before its picture")
    if head.bits != 8 or head.channels not in (1, 3, 4):
        raise UnreadableImage(f"not read: JPEG of {head.channels} × {head.bits} bits")
    shrink = 1
    if edge:
        shrink = next((k for k in (8, 4, 2) if -(-min(width, height) // k) >= GAP * edge), 1)
    size = (-(-height // shrink), -(-width // shrink))
    channels = 4 if head.channels == 4 else 3
    needed = size[0] * size[1] * (channels if edge or shrink > 1 else 2 * channels)
    if head.progressive:
        needed += 2 * head.channels * width * height
        if formats.missing_scans(content):
            raise UnreadableImage("unreadable: damaged, scans are missing")
    _check(width, height, needed + len(content))
    apply, remark = _applied(head.icc, {1: "L", 3: "RGB", 4: "CMYK"}[head.channels])
    space = "CMYK" if channels == 4 else "GRAY" if head.channels == 1 and apply else "RGB"
    with _room.take(_room.size if alone else needed):
        passing = _at_edge((height, width), edge) != size  # only what is resized is soon done with
        buffer = _buffer(4 * size[0] * size[1]) if passing else None
        pixels = _strictly(content, space, size if shrink > 1 else (0, 0), buffer)
        if pixels.shape[:2] == (height, width):
            shrink = 1
        if apply or space == "CMYK":
            pixels = _coloured(pixels, space, apply)
        turn = formats.orientation(head.exif, head.xmp)
        pixels = _sized(pixels, (height, width), shrink, edge)
        return Picture(_turned(pixels, turn), remark)


def _strictly(content: bytes, space: str, least: tuple, buffer: np.ndarray | None) -> np.ndarray:
    """Decode by libjpeg-turbo; damage that it warns of is an error.

    What it warns of though no picture suffers from it is read by Pillow, at the stored size.
    """
    try:
        height, width = least
        return simplejpeg.decode_jpeg(
            content, space, min_height=height, min_width=width, buffer=buffer
        )
    except ValueError as error:
        if not any(told in str(error) for told in _HARMLESS):
            truncated = "Premature end" in str(error) or "premature end" in str(error)
            raise UnreadableImage(
                f"unreadable: {'truncated or ' if truncated else ''}damaged ({error})"
            ) from error
    with Image.open(io.BytesIO(content), formats=["JPEG"]) as image:
        if space == "CMYK":
            return np.invert(np.array(image))  # as the file holds it
        pixels = np.array(image.convert("RGB" if space == "RGB" else "L"))
        return pixels if space == "RGB" else pixels[..., None]


def _applied(icc: bytes | None, mode: str):
    if icc is None:
        return None, ""
    try:
        return colour.transform(icc, mode), ""
    except ValueError as error:
        return None, f"{error}, taken as sRGB"


def _coloured(pixels: np.ndarray, space: str, apply) -> np.ndarray:
    height, width = pixels.shape[:2]
    if space == "CMYK":
        pixels = Image.frombuffer("CMYK", (width, height), np.invert(pixels), "raw", "CMYK", 0, 1)
    else:
        pixels = Image.fromarray(pixels[:, :, 0] if space == "GRAY" else pixels)
    return _assembled(pixels, apply or (lambda strip: strip.convert("RGB")), 1)


def _by_pillow(content: bytes, kind: str, edge: int | None, alone: bool) -> Picture:
    head = formats.png(content) if kind == "PNG" else formats.Head()
    if head.fault:
        raise UnreadableImage(f"unreadable: {head.fault}")
    tail = formats.zero_tail(content)
    if kind in _UNCHECKED and tail > max(64, len(content) // 16):
        raise UnreadableImage(f"unreadable: damaged, its last {tail:,} bytes are zeros")
    with _image(content, kind) as image:
        width, height = image.size
        needed = width * height * _TIMES.get(kind, 1) * depth.BYTES.get(image.mode, 4)
        _check(width, height, needed + len(content) + (0 if edge else 3 * width * height))
        icc, odd = _profile(image, kind, head, content)
        with _room.take(_room.size if alone else needed):
            try:
                image.load()
                convert, remark = depth.converter(image, head.bits, icc)
                shrink = max(1, min(width, height) // (GAP * edge)) if edge else 1
                pixels, turn = _assembled(image, convert, shrink), _turn(image, kind, head)
            finally:
                image.close()  # gives the memory back before another one takes it
    pixels = _turned(_sized(pixels, (height, width), shrink, edge), turn)
    return Picture(pixels, "; ".join(filter(None, (odd, remark))))


_UNCHECKED = ("WEBP", "AVIF", "HEIF", "GIF")  # whose decoders take zeros for data
_TIMES = {"WEBP": 4, "AVIF": 4, "HEIF": 4, "TIFF": 2}  # copies that a decoder holds


def _image(content: bytes, kind: str) -> Image.Image:
    if kind == "HEIF":
        import pillow_heif

        return pillow_heif.HeifImageFile(io.BytesIO(content))
    return Image.open(io.BytesIO(content), formats=[kind])


def _profile(image: Image.Image, kind: str, head: formats.Head, content: bytes):
    """The profile to apply, None for none, and a remark on colours that cannot be applied."""
    icc = head.icc if kind == "PNG" else image.info.get("icc_profile") if kind != "GIF" else None
    codes = head.codes if kind == "PNG" else None
    if kind in ("AVIF", "HEIF") and not icc:
        codes = formats.nclx(content)
    if codes:
        video = colour.BT1886_CURVE if kind == "PNG" else colour.SRGB_CURVE
        try:
            return colour.of_codes(*codes, video), ""
        except ValueError as error:
            raise UnreadableImage(f"not read: {error}") from error
    if kind == "PNG" and icc is None and not head.srgb:
        try:
            return colour.of_png(head.gamma, head.chroma), ""
        except ValueError as error:
            return None, f"broken gamma or primaries ({error}), taken as sRGB"
    return icc, ""


def _turn(image: Image.Image, kind: str, head: formats.Head) -> int:
    if kind == "TIFF":
        return image.tag_v2.get(274, 1)
    if kind == "PNG":
        return formats.orientation(head.exif, head.xmp)
    if kind == "HEIF":
        return 1  # turned by the decoder
    xmp = None if kind == "AVIF" else image.info.get("xmp")
    return formats.orientation(image.info.get("exif"), xmp)


def _assembled(image: Image.Image, convert, shrink: int) -> np.ndarray:
    """A decoded picture as uint8 (H, W, 3), converted and shrunk strip by strip."""
    rows = max(1, depth.STRIP_PIXELS // image.width // shrink) * shrink
    size = (-(-image.height // shrink), -(-image.width // shrink), 3)
    pixels, at = np.empty(size, np.uint8), 0
    for strip in depth.strips(image, rows):
        strip = convert(strip)
        part = np.asarray(strip.reduce(shrink) if shrink > 1 else strip)
        pixels[at : at + len(part)] = part
        at += len(part)
    return pixels


def _sized(pixels: np.ndarray, stored: tuple, shrink: int, edge: int | None) -> np.ndarray:
    """To the shorter edge, by where the stored picture's borders lie.

    Args:
        stored: height and width in the file.
        shrink: how many of its pixels, a side, each of `pixels` stands for.
    """
    if not edge:
        return pixels
    height, width = _at_edge(stored, edge)
    if (height, width) == pixels.shape[:2] and shrink == 1:
        return pixels
    rows, columns, _ = pixels.shape
    # the kernel for channels last is chosen by strides, which one picture alone leaves open
    strides = (pixels.size, 1, 3 * columns, 3)
    one = torch.from_numpy(pixels).as_strided((1, 3, rows, columns), strides)
    scales = (height * shrink / stored[0], width * shrink / stored[1])
    sized = _resize(one, (height, width), False, *scales)
    return sized[0].permute(1, 2, 0).contiguous().numpy()


def _at_edge(stored: tuple, edge: int | None) -> tuple[int, int]:
    """Height and width of the result."""
    scale = edge / min(stored) if edge else 1
    return tuple(max(edge or 1, round(side * scale)) for side in stored)


_resize = torch.ops.aten._upsample_bilinear2d_aa  # interpolate takes a size or scales, not both


def _turned(pixels: np.ndarray, turn: int) -> np.ndarray:
    """Upright, by EXIF's number."""
    if turn in (5, 6, 7, 8):
        pixels = pixels.swapaxes(0, 1)
    if turn in (3, 4, 7, 8):
        pixels = pixels[::-1]
    if turn in (2, 3, 6, 7):
        pixels = pixels[:, ::-1]
    return np.ascontiguousarray(pixels)
