"""How files are made and colours computed by hand, for the files of every kind."""

import io
import struct
import zlib

import numpy as np
from PIL import Image

SRGB, P3, ADOBE, PROPHOTO = (  # x and y of white, red, green, blue
    ((0.3127, 0.3290), (0.64, 0.33), (0.30, 0.60), (0.15, 0.06)),
    ((0.3127, 0.3290), (0.68, 0.32), (0.265, 0.69), (0.15, 0.06)),
    ((0.3127, 0.3290), (0.64, 0.33), (0.21, 0.71), (0.15, 0.06)),
    ((0.3457, 0.3585), (0.7347, 0.2653), (0.1596, 0.8404), (0.0366, 0.0001)),
)
D50 = np.array([0.9642, 1.0, 0.8249])
CONES = np.array([[0.8951, 0.2664, -0.1614], [-0.7502, 1.7135, 0.0367], [0.0389, -0.0685, 1.0296]])


def to_xyz(primaries):
    """Linear RGB to XYZ under D50."""
    xyz = np.array([[x / y, 1, (1 - x - y) / y] for x, y in primaries]).T
    white, columns = xyz[:, 0], xyz[:, 1:]
    columns = columns * np.linalg.solve(columns, white)
    return np.linalg.inv(CONES) @ np.diag(CONES @ D50 / (CONES @ white)) @ CONES @ columns


def decoded(values, curve):
    if curve == "srgb":
        return np.where(values <= 0.04045, values / 12.92, ((values + 0.055) / 1.055) ** 2.4)
    return values**curve


def encoded(linear):
    linear = np.clip(linear, 0, 1)
    return np.where(linear <= 0.0031308, linear * 12.92, 1.055 * linear ** (1 / 2.4) - 0.055)


def in_srgb(pixels, primaries, curve):
    linear = decoded(pixels / 255, curve) @ to_xyz(primaries).T @ np.linalg.inv(to_xyz(SRGB)).T
    return (255 * encoded(linear)).round()


def on_white(pixels, alpha):
    share = alpha[..., None] / 255
    return pixels * share + 255 * (1 - share)


def three(grey):
    return np.repeat(np.asarray(grey)[..., None], 3, 2)


def fixed(*values):
    return struct.pack(f">{len(values)}i", *(round(value * 65536) for value in values))


def icc(space, tags, kind=b"mntr", connection=b"XYZ "):
    """An ICC profile of version 2 of these tags."""
    tags = {b"desc": b"desc\0\0\0\0" + struct.pack(">I", 5) + b"made\0" + b"\0" * 78, **tags}
    tags |= {b"cprt": b"text\0\0\0\0none\0", b"wtpt": b"XYZ \0\0\0\0" + fixed(*D50)}
    table, data, start = b"", b"", 132 + 12 * len(tags)
    for name, body in tags.items():
        body += b"\0" * (-len(body) % 4)
        table += struct.pack(">4sII", name, start + len(data), len(body))
        data += body
    head = struct.pack(">I4sI", start + len(data), b"lcms", 0x02400000) + kind + space + connection
    head += struct.pack(">6H", 2024, 1, 1, 0, 0, 0) + b"acsp".ljust(32, b"\0") + fixed(*D50)
    return head.ljust(128, b"\0") + struct.pack(">I", len(tags)) + table + data


def curve_tag(curve):
    if curve != "srgb":
        return b"curv\0\0\0\0" + struct.pack(">IH", 1, round(curve * 256))
    values = (65535 * decoded(np.linspace(0, 1, 1024), "srgb")).round().astype(">u2")
    return b"curv\0\0\0\0" + struct.pack(">I", 1024) + values.tobytes()


def display(primaries, curve):
    tags = {name: curve_tag(curve) for name in (b"rTRC", b"gTRC", b"bTRC")}
    for name, column in zip((b"rXYZ", b"gXYZ", b"bXYZ"), to_xyz(primaries).T, strict=True):
        tags[name] = b"XYZ \0\0\0\0" + fixed(*column)
    return icc(b"RGB ", tags)


def of_grey(curve):
    return icc(b"GRAY", {b"kTRC": curve_tag(curve)})


def of_ink():
    """A profile for CMYK whose black ink alone does anything: L is 100 without and 0 with it."""
    corners = np.array([[255 * (1 - k), 128, 128] for k in (0, 1)] * 8, np.uint8)
    straight = np.arange(256, dtype=np.uint8).tobytes()
    table = b"mft1\0\0\0\0" + bytes([4, 3, 2, 0]) + fixed(1, 0, 0, 0, 1, 0, 0, 0, 1)
    table += straight * 4 + corners.tobytes() + straight * 3
    return icc(b"CMYK", {b"A2B0": table}, b"prtr", b"Lab ")


def lightness(shares):
    """Grey of sRGB by L* in 0 … 1."""
    f = (100 * shares + 16) / 116
    return 255 * encoded(np.where(f > 6 / 29, f**3, 3 * (6 / 29) ** 2 * (f - 4 / 29)))


def save(pixels, kind, mode=None, **more):
    written = io.BytesIO()
    image = pixels if isinstance(pixels, Image.Image) else Image.fromarray(pixels)
    (image.convert(mode) if mode else image).save(written, kind, **more)
    return written.getvalue()


def chunk(name, body):
    check = struct.pack(">I", zlib.crc32(name + body))
    return struct.pack(">I", len(body)) + name + body + check


def with_chunks(content, *chunks):
    return content[:33] + b"".join(chunk(*each) for each in chunks) + content[33:]


def png(values, bits, colour, *chunks):
    """A PNG of rows of samples, written by hand."""
    height, width = values.shape[:2]
    if bits == 16:
        rows = values.astype(">u2").reshape(height, -1).view(np.uint8)
    elif bits == 8:
        rows = values.reshape(height, -1)
    else:
        each = np.unpackbits(values.reshape(height, -1, 1), axis=2)[:, :, 8 - bits :]
        rows = np.packbits(each.reshape(height, -1), axis=1)
    rows = np.concatenate([np.zeros((height, 1), np.uint8), rows.astype(np.uint8)], 1)
    head = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, bits, colour, 0, 0, 0))
    content = b"\x89PNG\r\n\x1a\n" + head + b"".join(chunk(*each) for each in chunks)
    return content + chunk(b"IDAT", zlib.compress(rows.tobytes())) + chunk(b"IEND", b"")


def tiff(values, photometric, bits, form=1, extra=None):
    """A TIFF of one strip, written by hand; form 1 is unsigned, 2 signed, 3 floating point."""
    values = np.ascontiguousarray(values)
    height, width = values.shape[:2]
    channels = values.shape[2] if values.ndim == 3 else 1
    tags = {256: width, 257: height, 258: bits, 259: 1, 262: photometric, 277: channels}
    tags |= {278: height, 279: values.nbytes, 339: form}
    if extra is not None:
        tags[338] = extra
    start = 8 + 2 + 12 * (len(tags) + 1) + 4
    long = start + 2 * channels if channels > 1 else start
    tags[273] = long + (2 * channels if channels > 1 else 0)
    body = b""
    for tag, value in sorted(tags.items()):
        if tag in (258, 339) and channels > 1:
            place = start if tag == 258 else long
            body += struct.pack("<HHII", tag, 3, channels, place)
        elif tag in (256, 257, 273, 278, 279):
            body += struct.pack("<HHII", tag, 4, 1, value)
        else:
            body += struct.pack("<HHIHH", tag, 3, 1, value, 0)
    lists = b""
    if channels > 1:
        lists = struct.pack(f"<{2 * channels}H", *[bits] * channels, *[form] * channels)
    head = b"II*\0" + struct.pack("<IH", 8, len(tags))
    return head + body + struct.pack("<I", 0) + lists + values.tobytes()


def oriented(turn):
    exif = Image.Exif()
    exif[0x0112] = turn
    return exif


def xmp(turn):
    return (
        '<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-'
        'syntax-ns#"><rdf:Description rdf:about="" xmlns:tiff="http://ns.adobe.com/tiff/1.0/" '
        f'tiff:Orientation="{turn}"/></rdf:RDF></x:xmpmeta>'
    ).encode()
