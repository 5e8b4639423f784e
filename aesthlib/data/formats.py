"""What a file holds, by its first bytes and its own structure; nothing is decoded here."""

import re
import struct
import zlib
from dataclasses import dataclass

PROMISED = ("JPEG", "PNG", "WEBP", "AVIF", "HEIF", "BMP", "TIFF", "GIF")
_OTHERS = (  # told by name when a file holds one of them
    (b"%!PS", "EPS"),
    (b"\xc5\xd0\xd3\xc6", "EPS"),
    (b"%PDF", "PDF"),
    (b"8BPS", "PSD"),
    (b"\0\0\0\x0cjP  ", "JPEG 2000"),
    (b"\xff\x4f\xff\x51", "JPEG 2000"),
    (b"\xff\x0a", "JPEG XL"),
    (b"\0\0\0\x0cJXL ", "JPEG XL"),
    (b"DDS ", "DDS"),
    (b"\0\0\1\0", "ICO"),
    (b"\x01\xda", "SGI"),
    (b"\x0a\x05", "PCX"),
    (b"<svg", "SVG"),
    (b"<?xml", "XML"),
    (b"<!DOCTYPE", "HTML"),
    (b"<html", "HTML"),
    (b"PK\3\4", "ZIP"),
    (b"v/1\1", "EXR"),
    (b"FUJIFILM", "raw"),
    (b"II\x55\0", "raw"),
    (b"IIRO", "raw"),
)
_OF_AVIF, _OF_HEIF = (b"avif", b"avis"), (b"heic", b"heix", b"heim", b"heis", b"hevc", b"mif1")


def of(content: bytes) -> str | None:
    """The promised format that content holds, one of `PROMISED`, or None."""
    if content[:3] == b"\xff\xd8\xff":
        return "JPEG"
    if content[:8] == b"\x89PNG\r\n\x1a\n":
        return "PNG"
    if content[:6] in (b"GIF87a", b"GIF89a"):
        return "GIF"
    if content[:4] == b"RIFF" and content[8:12] == b"WEBP":
        return "WEBP"
    if content[:2] == b"BM" and content[14:18] in _BMP_HEADERS:
        return "BMP"
    if content[:4] in (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+"):
        return "TIFF"
    if content[4:8] == b"ftyp":
        length = min(int.from_bytes(content[:4], "big"), 256)
        brands = {content[8:12], *(content[at : at + 4] for at in range(16, length, 4))}
        if brands & set(_OF_AVIF):
            return "AVIF"
        if brands & set(_OF_HEIF):
            return "HEIF"
    return None


_BMP_HEADERS = {struct.pack("<I", size) for size in (12, 16, 40, 52, 56, 64, 108, 124)}


def other(content: bytes) -> str | None:
    """The name of a format that is known and not promised, or None."""
    head = content[:64].lstrip(b"\xef\xbb\xbf \t\r\n")
    if re.match(rb"P[1-7][\s#]", content[:3]):
        return "PPM"
    return next((name for start, name in _OTHERS if head.startswith(start)), None)


@dataclass
class Head:
    """What a JPEG or PNG says of itself before its pixels.

    Attributes:
        width, height, bits: of the picture; bits are those of one value.
        channels: of a JPEG, 1 to 4.
        progressive: of a JPEG.
        icc, exif, xmp: embedded blocks; icc is b"" where it is incomplete.
        gamma: exponent of encoding in 1/100,000, of a PNG.
        chroma: x and y of white, red, green and blue in 1/100,000, of a PNG.
        srgb: a PNG says that it is sRGB.
        codes: primaries and transfer by their numbers in ITU-T H.273.
        fault: what is wrong with the structure.
    """

    width: int = 0
    height: int = 0
    bits: int = 8
    channels: int = 0
    progressive: bool = False
    icc: bytes | None = None
    exif: bytes | None = None
    xmp: bytes | None = None
    gamma: int | None = None
    chroma: tuple[int, ...] | None = None
    srgb: bool = False
    codes: tuple[int, int] | None = None
    fault: str = ""


def jpeg(content: bytes) -> Head:
    """Walk a JPEG's segments up to its first scan."""
    head, at, parts = Head(), 2, {}
    while at + 4 <= len(content):
        if content[at] != 0xFF:
            at = content.find(b"\xff", at)  # decoders look for the next marker too
            if at < 0:
                break
            continue
        marker = content[at + 1]
        if marker in (0xFF, 0x00, 0x01) or 0xD0 <= marker <= 0xD8:
            at += 1 if marker == 0xFF else 2
            continue
        if marker in (0xD9, 0xDA):
            break
        length = (content[at + 2] << 8) | content[at + 3]
        start, end = at + 4, at + 2 + length
        if marker >= 0xE0:
            if marker == 0xE1 and content[start : start + 6] == b"Exif\0\0":
                head.exif = head.exif or content[start + 6 : end]
            elif (
                marker == 0xE1 and content[start : start + 29] == b"http://ns.adobe.com/xap/1.0/\0"
            ):
                head.xmp = content[start + 29 : end]
            elif marker == 0xE2 and content[start : start + 12] == b"ICC_PROFILE\0":
                parts[content[start + 12]] = (content[start + 13], content[start + 14 : end])
        elif marker >= 0xC0 and marker not in (0xC4, 0xC8, 0xCC):
            head.bits, head.height, head.width, head.channels = struct.unpack_from(
                ">BHHB", content[start : start + 6].ljust(6, b"\0")
            )
            head.progressive = marker in (0xC2, 0xC6, 0xCA, 0xCE)
        at = end
    if parts:
        count = next(iter(parts.values()))[0]
        whole = sorted(parts) == list(range(1, count + 1))
        head.icc = b"".join(parts[key][1] for key in sorted(parts)) if whole else b""
    return head


def missing_scans(content: bytes) -> bool:
    """Does a progressive JPEG lack scans, so that some coefficients never got their last bit?"""
    waiting: dict[int, list[int]] = {}
    for found in _MARKERS.finditer(content):
        at, marker = found.start(), content[found.start() + 1]
        if marker == 0xC2:
            waiting = {content[at + 10 + 3 * i]: [_UNSENT] * 64 for i in range(content[at + 9])}
        elif marker == 0xDA and waiting:
            count = content[at + 4]
            first, last, bits = content[at + 5 + 2 * count : at + 8 + 2 * count]
            for i in range(count):
                held = waiting.get(content[at + 5 + 2 * i])
                if held and last < 64:
                    held[first : last + 1] = [bits & 15] * (last + 1 - first)
    return any(
        any(0 < bits < _UNSENT for bits in held) or _UNSENT in held[:2] for held in waiting.values()
    )


_UNSENT = 99
_MARKERS = re.compile(rb"\xff[\xc2\xda](?=\x00[\x06-\x20])", re.S)


def png(content: bytes) -> Head:
    """Walk a PNG's chunks to its end, checking the critical ones against their checksums."""
    head, at = Head(), 8
    while True:
        if at + 12 > len(content):
            head.fault = head.fault or "truncated before its end mark"
            return head
        length, kind = struct.unpack_from(">I4s", content, at)
        body = memoryview(content)[at + 8 : at + 8 + length]
        if len(body) < length or at + 12 + length > len(content):
            head.fault = head.fault or "truncated within a chunk"
            return head
        sound = zlib.crc32(body, zlib.crc32(kind)) == int.from_bytes(
            content[at + 8 + length : at + 12 + length], "big"
        )
        if not sound and not kind[0] & 0x20:
            head.fault = head.fault or f"damaged: the checksum of {ascii(kind)[2:-1]} is wrong"
            return head
        if kind == b"IHDR":
            head.width, head.height, head.bits = struct.unpack_from(">IIB", body.tobytes().ljust(9))
        elif kind == b"IEND":
            return head
        elif sound and kind in _OF_PNG:
            _OF_PNG[kind](head, body.tobytes())
        at += 12 + length


def _gamma(head: Head, body: bytes) -> None:
    if len(body) == 4:
        head.gamma = int.from_bytes(body, "big")


def _chroma(head: Head, body: bytes) -> None:
    if len(body) == 32:
        head.chroma = struct.unpack(">8i", body)


def _srgb(head: Head, body: bytes) -> None:
    head.srgb = True


def _codes(head: Head, body: bytes) -> None:
    if len(body) == 4:
        head.codes = (body[0], body[1])


def _profile(head: Head, body: bytes) -> None:
    name, _, packed = body.partition(b"\0")
    inflate = zlib.decompressobj()
    try:
        head.icc = inflate.decompress(packed[1:], 1 << 24)
    except zlib.error:
        head.icc = b""


def _exif(head: Head, body: bytes) -> None:
    head.exif = body


def _text(head: Head, body: bytes) -> None:
    key, _, rest = body.partition(b"\0")
    if key == b"XML:com.adobe.xmp" and rest[:1] == b"\0":
        head.xmp = rest


_OF_PNG = {
    b"gAMA": _gamma,
    b"cHRM": _chroma,
    b"sRGB": _srgb,
    b"cICP": _codes,
    b"iCCP": _profile,
    b"eXIf": _exif,
    b"iTXt": _text,
}


def nclx(content: bytes) -> tuple[int, int] | None:
    """Primaries and transfer of an AVIF or HEIC by their numbers, where it states them."""
    at = content.find(b"colrnclx", 0, 1 << 16)
    return struct.unpack_from(">HH", content, at + 8) if 0 <= at < len(content) - 12 else None


def orientation(exif: bytes | None, xmp: bytes | str | None) -> int:
    """How a picture is to be turned, 1 to 8 as EXIF numbers it; EXIF comes before XMP."""
    found = _of_exif(exif) if exif else 0
    if 1 <= found <= 8:
        return found
    if xmp:
        xmp = xmp.encode("utf-8", "replace") if isinstance(xmp, str) else xmp
        told = _OF_XMP.search(xmp)
        if told:
            return int(told[1])
    return 1


_OF_XMP = re.compile(rb"tiff:Orientation(?:\s*=\s*[\"']|\s*>)\s*([1-8])\s*[\"'<]")


def _of_exif(exif: bytes) -> int:
    exif = exif.removeprefix(b"Exif\0\0")
    order = {b"II": "<", b"MM": ">"}.get(exif[:2])
    if order is None or len(exif) < 8:
        return 0
    (at,) = struct.unpack_from(order + "I", exif, 4)
    if at + 2 > len(exif):
        return 0
    (count,) = struct.unpack_from(order + "H", exif, at)
    for entry in range(at + 2, min(at + 2 + 12 * count, len(exif) - 11), 12):
        tag, kind = struct.unpack_from(order + "HH", exif, entry)
        if tag == 0x0112 and kind in (3, 4):
            return struct.unpack_from(order + ("H" if kind == 3 else "I"), exif, entry + 8)[0]
    return 0


def zero_tail(content: bytes) -> int:
    """Zero bytes at the end of content."""
    return len(content) - len(content.rstrip(b"\0"))
