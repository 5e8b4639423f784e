"""Files of every kind that the book's table names, made on the spot, with what they are to show.

What is expected is computed here in NumPy from the pixels that a file was made of, by nothing of
the package: matrices of primaries, curves, and blending on white.
"""

import struct
from dataclasses import dataclass

import numpy as np
from photograph_files import (
    ADOBE,
    P3,
    PROPHOTO,
    SRGB,
    decoded,
    display,
    encoded,
    in_srgb,
    lightness,
    of_grey,
    of_ink,
    on_white,
    oriented,
    png,
    save,
    three,
    tiff,
    with_chunks,
    xmp,
)
from PIL import Image

HEIGHT, WIDTH = 48, 72
Y, X = np.mgrid[0:HEIGHT, 0:WIDTH]
RGB = np.stack(
    [
        X * 255 // (WIDTH - 1),
        Y * 255 // (HEIGHT - 1),
        (X + 2 * Y) * 255 // (WIDTH + 2 * HEIGHT - 3),
    ],
    -1,
).astype(np.uint8)
GREY = ((X + Y) * 255 // (WIDTH + HEIGHT - 2)).astype(np.uint8)
ALPHA = (255 - X * 255 // (WIDTH - 1)).astype(np.uint8)


@dataclass(frozen=True)
class Kind:
    """A file: its bytes, what it shows, how far a reader may be from that, in the mean and at most.

    `page` is the bound on the greatest distance between the explore page and the package; None
    where no browser is asked.
    """

    suffix: str
    content: bytes
    shows: np.ndarray
    mean: float = 0.6
    largest: int = 2
    page: int | None = 1


def every() -> dict[str, Kind]:
    """The files by name."""
    found = {}
    lossy = {"mean": 2.5, "largest": 24}
    plain = save(RGB, "PNG")
    wide = (("P3", P3, "srgb"), ("Adobe RGB", ADOBE, 2.19921875), ("ProPhoto", PROPHOTO, 1.8))

    # modes
    found["PNG RGB"] = Kind(".png", plain, RGB, 0, 0)
    found["PNG grey"] = Kind(".png", save(GREY, "PNG"), three(GREY), 0, 0)
    found["PNG 1 bit"] = Kind(
        ".png", png((GREY > 127).astype(np.uint8), 1, 0), three((GREY > 127) * 255), 0, 0
    )
    for bits in (2, 4):
        top = 2**bits - 1
        coarse = (GREY >> (8 - bits)).astype(np.uint8)
        shown = three(coarse * (255 // top))
        found[f"PNG grey of {bits} bits"] = Kind(".png", png(coarse, bits, 0), shown, 0, 0)
        key = (b"tRNS", struct.pack(">H", 1))
        clear = np.where(three(coarse == 1), 255, shown)
        found[f"PNG grey of {bits} bits, one clear"] = Kind(
            ".png", png(coarse, bits, 0, key), clear, 0, 0
        )
    few = Image.fromarray(RGB).quantize(16)
    found["PNG palette"] = Kind(".png", save(few, "PNG"), np.asarray(few.convert("RGB")), 0, 0)
    found["GIF"] = Kind(".gif", save(few, "GIF"), np.asarray(few.convert("RGB")), 0, 0)
    found["BMP"] = Kind(".bmp", save(RGB, "BMP"), RGB, 0, 0)
    found["TIFF RGB"] = Kind(".tif", save(RGB, "TIFF"), RGB, 0, 0, None)
    found["TIFF LZW"] = Kind(".tiff", save(RGB, "TIFF", compression="tiff_lzw"), RGB, 0, 0, None)
    found["TIFF palette"] = Kind(
        ".tif", save(few, "TIFF"), np.asarray(few.convert("RGB")), 0, 0, None
    )
    found["WebP lossless"] = Kind(".webp", save(RGB, "WEBP", lossless=True), RGB, 0, 0)
    found["WebP"] = Kind(".webp", save(RGB, "WEBP", quality=95), RGB, **lossy)
    found["AVIF"] = Kind(".avif", save(RGB, "AVIF", quality=95), RGB, **lossy)
    found["JPEG"] = Kind(".jpg", save(RGB, "JPEG", quality=97), RGB, **lossy)
    found["JPEG progressive"] = Kind(
        ".jfif", save(RGB, "JPEG", quality=97, progressive=True), RGB, **lossy
    )
    found["JPEG grey"] = Kind(".jpe", save(GREY, "JPEG", quality=97), three(GREY), **lossy)
    found["JPEG in RGB"] = Kind(
        ".jpg", save(RGB, "JPEG", quality=97, keep_rgb=True, subsampling=0), RGB, **lossy
    )
    ink = Image.merge(
        "CMYK", [*Image.fromarray(255 - RGB).split(), Image.new("L", (WIDTH, HEIGHT))]
    )
    found["JPEG CMYK"] = Kind(".jpg", save(ink, "JPEG", quality=97, subsampling=0), RGB, **lossy)
    found["TIFF CMYK"] = Kind(".tif", save(ink, "TIFF"), RGB, 0, 0, None)

    # depth
    deep = GREY.astype(np.uint16) * 257
    found["PNG grey of 16 bits"] = Kind(".png", save(deep, "PNG"), three(GREY), 0, 0)
    dark = (GREY // 2).astype(np.uint16)
    found["PNG of 16 bits, all dark"] = Kind(".png", save(dark, "PNG"), three(GREY * 0), 0.5, 1)
    spark = (deep // 8).copy()
    spark[0, 0] = 65535
    found["PNG of 16 bits, one bright pixel"] = Kind(
        ".png", save(spark, "PNG"), three(spark / 257), 0.5, 1
    )
    key = (b"tRNS", struct.pack(">H", int(deep[10, 10])))
    clear = np.where(three(deep == deep[10, 10]), 255, three(GREY))
    found["PNG of 16 bits, one clear"] = Kind(".png", png(deep, 16, 0, key), clear, 0, 0)
    found["PNG RGB of 16 bits"] = Kind(".png", png(RGB.astype(np.uint16) * 257, 16, 2), RGB, 0.5, 1)
    found["TIFF grey of 16 bits"] = Kind(".tif", tiff(deep, 1, 16), three(GREY), 0, 0, None)
    found["TIFF of 16 bits, white is zero"] = Kind(
        ".tif", tiff(65535 - deep, 0, 16), three(GREY), 0, 0, None
    )
    found["TIFF of 8 bits, white is zero"] = Kind(
        ".tif", tiff(255 - GREY, 0, 8), three(GREY), 0, 0, None
    )
    found["TIFF of 32 bits"] = Kind(
        ".tif", tiff(GREY.astype(np.uint32) * 0x01010101, 1, 32), three(GREY), 0, 0, None
    )
    real = (GREY / 255).astype(np.float32)
    found["TIFF floating point"] = Kind(".tif", tiff(real, 1, 32, 3), three(GREY), 0, 0, None)
    found["TIFF floating point, dim"] = Kind(
        ".tif", tiff(real / 4, 1, 32, 3), three(GREY / 4), 0.5, 1, None
    )

    # colour
    for name, primaries, curve in wide:
        profile, shown = display(primaries, curve), in_srgb(RGB, primaries, curve)
        for kind, suffix, more in (
            ("PNG", ".png", {}),
            ("TIFF", ".tif", {}),
            ("WEBP", ".webp", {"lossless": True}),
        ):
            page = None if kind == "TIFF" else 1
            content = save(RGB, kind, icc_profile=profile, **more)
            found[f"{kind} in {name}"] = Kind(suffix, content, shown, 0.6, 3, page)
        for kind, suffix in (("JPEG", ".jpg"), ("AVIF", ".avif")):
            content = save(RGB, kind, quality=98, subsampling="4:4:4", icc_profile=profile)
            found[f"{kind} in {name}"] = Kind(suffix, content, shown, 4, 60)
    profile = display(SRGB, "srgb")
    found["PNG in sRGB"] = Kind(".png", save(RGB, "PNG", icc_profile=profile), RGB, 0, 0)
    shown = three((255 * encoded(decoded(GREY / 255, 1.8))).round())
    found["PNG grey of gamma 1.8"] = Kind(
        ".png", save(GREY, "PNG", icc_profile=of_grey(1.8)), shown, 0.6, 2
    )
    found["JPEG grey of gamma 1.8"] = Kind(
        ".jpg", save(GREY, "JPEG", quality=98, icc_profile=of_grey(1.8)), shown, 2.5, 12
    )
    found["PNG grey with a profile for RGB"] = Kind(
        ".png", save(GREY, "PNG", icc_profile=display(SRGB, 1.8)), shown, 0.6, 2
    )
    black = Image.merge("CMYK", [Image.new("L", (WIDTH, HEIGHT))] * 3 + [Image.fromarray(GREY)])
    shown = three(lightness(1 - GREY / 255))
    found["TIFF CMYK with a profile"] = Kind(
        ".tif", save(black, "TIFF", icc_profile=of_ink()), shown, 1.5, 6, None
    )
    found["JPEG CMYK with a profile"] = Kind(
        ".jpg",
        save(black, "JPEG", quality=98, subsampling=0, icc_profile=of_ink()),
        shown,
        2.5,
        12,
        None,
    )
    found["PNG with a broken profile"] = Kind(
        ".png", save(RGB, "PNG", icc_profile=b"broken" * 40), RGB, 0, 0
    )
    found["PNG with a profile for CMYK"] = Kind(
        ".png", save(RGB, "PNG", icc_profile=of_ink()), RGB, 0, 0, None
    )
    thousand = 100_000
    for gamma in (thousand, 55_556):
        found[f"PNG gamma {gamma}"] = Kind(
            ".png",
            with_chunks(plain, (b"gAMA", struct.pack(">I", gamma))),
            in_srgb(RGB, SRGB, thousand / gamma),
            0.6,
            2,
        )
    found["PNG gamma 45455 alone"] = Kind(
        ".png", with_chunks(plain, (b"gAMA", struct.pack(">I", 45_455))), RGB, 0, 0
    )
    chroma = struct.pack(">8I", *(round(thousand * v) for xy in P3 for v in xy))
    both = (b"gAMA", struct.pack(">I", 45_455)), (b"cHRM", chroma)
    found["PNG gamma and primaries"] = Kind(
        ".png", with_chunks(plain, *both), in_srgb(RGB, P3, 2.2), 0.6, 3
    )
    found["PNG primaries alone"] = Kind(".png", with_chunks(plain, both[1]), RGB, 0, 0)
    found["PNG sRGB before gamma"] = Kind(
        ".png",
        with_chunks(plain, (b"sRGB", b"\0"), (b"gAMA", struct.pack(">I", thousand))),
        RGB,
        0,
        0,
    )
    found["PNG code of P3"] = Kind(
        ".png",
        with_chunks(plain, (b"cICP", bytes([12, 13, 0, 1]))),
        in_srgb(RGB, P3, "srgb"),
        0.6,
        3,
    )

    # transparency
    blended = on_white(RGB, ALPHA)
    found["PNG alpha"] = Kind(".png", save(np.dstack([RGB, ALPHA]), "PNG"), blended, 1, 1)
    found["WebP alpha"] = Kind(
        ".webp", save(np.dstack([RGB, ALPHA]), "WEBP", lossless=True, exact=True), blended, 1, 2
    )
    both = Image.merge("LA", [Image.fromarray(GREY), Image.fromarray(ALPHA)])
    found["PNG grey with alpha"] = Kind(
        ".png", save(both, "PNG"), on_white(three(GREY), ALPHA), 1, 1
    )
    shares = bytes([0, 128] + [255] * 14)
    shown = np.asarray(few.convert("RGB"))
    index = np.asarray(few)
    clear = on_white(shown, np.frombuffer(shares, np.uint8)[index])
    found["PNG palette with shares"] = Kind(
        ".png", save(few, "PNG", transparency=shares), clear, 1, 1
    )
    clear = np.where(three(index == 3), 255, shown)
    found["GIF, one clear"] = Kind(".gif", save(few, "GIF", transparency=3), clear, 0, 0)
    key = tuple(int(value) for value in RGB[20, 30])
    clear = np.where(three((RGB == key).all(2)), 255, RGB)
    found["PNG, a colour clear"] = Kind(".png", save(RGB, "PNG", transparency=key), clear, 0, 0)
    found["PNG P3 with alpha"] = Kind(
        ".png",
        save(np.dstack([RGB, ALPHA]), "PNG", icc_profile=display(P3, "srgb")),
        on_white(in_srgb(RGB, P3, "srgb"), ALPHA),
        1,
        3,
        8,  # the browser keeps colours multiplied by their share, in 8 bits
    )
    share = ALPHA[..., None] / 255
    times = np.dstack([(RGB * share).round().astype(np.uint8), ALPHA])
    found["TIFF premultiplied"] = Kind(".tif", tiff(times, 2, 8, extra=1), blended, 1, 2, None)
    found["TIFF alpha"] = Kind(
        ".tif", tiff(np.dstack([RGB, ALPHA]), 2, 8, extra=2), blended, 1, 1, None
    )

    # orientation
    turned = {6: np.rot90(RGB, -1), 8: np.rot90(RGB), 3: RGB[::-1, ::-1], 5: RGB.swapaxes(0, 1)}
    lossless = {"PNG": (".png", {}), "WEBP": (".webp", {"lossless": True})}
    for kind, (suffix, more) in lossless.items():
        found[f"{kind} turned by EXIF"] = Kind(
            suffix, save(RGB, kind, exif=oriented(6), **more), turned[6], 0, 0
        )
    found["JPEG turned by EXIF"] = Kind(
        ".jpg", save(RGB, "JPEG", quality=97, exif=oriented(8)), turned[8], **lossy
    )
    found["AVIF turned by EXIF"] = Kind(
        ".avif", save(RGB, "AVIF", quality=95, exif=oriented(6)), turned[6], **lossy
    )
    found["TIFF turned"] = Kind(".tif", save(RGB, "TIFF", exif=oriented(3)), turned[3], 0, 0, None)
    found["JPEG turned by XMP"] = Kind(
        ".jpg", save(RGB, "JPEG", quality=97, xmp=xmp(5)), turned[5], **lossy
    )
    found["WebP turned by XMP"] = Kind(
        ".webp", save(RGB, "WEBP", lossless=True, xmp=xmp(3)), turned[3], 0, 0
    )
    text = b"XML:com.adobe.xmp\0\0\0\0\0" + xmp(6)
    found["PNG turned by XMP"] = Kind(".png", with_chunks(plain, (b"iTXt", text)), turned[6], 0, 0)
    found["JPEG, EXIF before XMP"] = Kind(
        ".jpg", save(RGB, "JPEG", quality=97, exif=oriented(3), xmp=xmp(6)), turned[3], **lossy
    )

    # animation
    other = Image.new("RGB", (WIDTH, HEIGHT), "blue")
    red = Image.new("RGB", (WIDTH, HEIGHT), "red")
    shown = np.asarray(red)
    for kind, suffix, more in (
        ("GIF", ".gif", {}),
        ("WEBP", ".webp", {"lossless": True}),
        ("PNG", ".png", {}),
    ):
        content = save(red, kind, save_all=True, append_images=[other], duration=100, **more)
        found[f"{kind} animated"] = Kind(suffix, content, shown, 0, 0)
    content = save(red, "AVIF", save_all=True, append_images=[other], duration=100, quality=95)
    found["AVIF animated"] = Kind(".avif", content, shown, **lossy)
    return found
