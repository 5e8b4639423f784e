"""Each operation at each level beside its peers, in turns, the results compared first.

    python benchmarks/operations.py [--threads 1] [--count 64] [--size 227]

All take and give uint8 photographs in the layout that suits them: ours channels last and, in a row
of its own, planar; peers (N, 3, H, W) or a list of (H, W, 3); kornia's floats are made and unmade
within its time. A peer computes the same thing where not one value in a thousand is off by more
than a level, which is a matter of rounding; noise, where its standard deviation is within 5 %.
"""

import io
from functools import partial

import numpy as np
import timing
import torch
from PIL import Image

from aesthlib import ops

COUNTED = ("torchvision", "kornia", "imagecorruptions")  # of the goal: never slower, twice as fast
SAME = 0.001  # of the values may be off by more than a level


def photographs(count: int, size: int) -> torch.Tensor:
    """Soft colours with grain, uint8 (N, 3, S, S), channels last."""
    generator = torch.Generator().manual_seed(0)
    coarse = torch.rand(count, 3, 8, 8, generator=generator) * 255
    soft = torch.nn.functional.interpolate(coarse, size=(size, size), mode="bicubic")
    soft += 4 * torch.randn(soft.shape, generator=generator)
    last = soft.round().clamp(0, 255).to(torch.uint8)
    return last.contiguous(memory_format=torch.channels_last)


def each(function, arrays):
    return np.stack([np.asarray(function(array)) for array in arrays])


def torchvision_peers(images):
    from torchvision.transforms.v2 import functional as tv

    size = list(images.shape[2:])

    def noise(variance):
        values = tv.to_dtype(images, torch.float32, scale=True)
        sigma = variance**0.5 * 0.226  # of one kind in all channels
        return tv.to_dtype(tv.gaussian_noise(values, 0.0, sigma), torch.uint8, scale=True)

    return {
        "jpeg": lambda v: torch.stack([tv.jpeg(image, v) for image in images]),
        "gaussian_noise": noise,
        "rotation": lambda v: tv.rotate(images, v),
        "downsampling": lambda v: tv.resize(tv.resize(images, [-(-s // v) for s in size]), size),
        "quantization": lambda v: tv.posterize(images, v.bit_length() - 1),
        "exposure": lambda v: tv.adjust_brightness(images, v),
        "gaussian_blur": lambda v: tv.gaussian_blur(images, 2 * int(np.ceil(4 * v)) + 1, v),
    }


def kornia_peers(images, kornia):
    size = tuple(images.shape[2:])

    def floats(function):
        def run(v):
            return (function(images.float() / 255, v) * 255).round().clamp(0, 255).to(torch.uint8)

        return run

    def small(x, v):
        return kornia.geometry.resize(x, tuple(-(-s // v) for s in size), antialias=True)

    def blur(x, v):
        side = 2 * int(np.ceil(4 * v)) + 1
        return kornia.filters.gaussian_blur2d(x, (side, side), (v, v), "replicate")

    return {
        "jpeg": floats(
            lambda x, v: kornia.enhance.jpeg_codec_differentiable(
                x, torch.full((len(x),), float(v))
            )
        ),
        "gaussian_noise": floats(lambda x, v: x + v**0.5 * 0.226 * torch.randn_like(x)),
        "rotation": floats(lambda x, v: kornia.geometry.rotate(x, torch.full((len(x),), float(v)))),
        "downsampling": floats(lambda x, v: kornia.geometry.resize(small(x, v), size)),
        "quantization": floats(lambda x, v: kornia.enhance.posterize(x, v.bit_length() - 1)),
        "exposure": floats(lambda x, v: kornia.enhance.adjust_brightness_accumulative(x, v)),
        "gaussian_blur": floats(blur),
        "mixup": floats(lambda x, v: (1 - v) * x + v * x.flip(0)),
    }


def opencv_peers(arrays, cv2):
    size = arrays[0].shape[1::-1]
    every = np.arange(256)

    def code(array, v):
        file = cv2.imencode(".jpg", array[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, v])[1]
        return cv2.imdecode(file, cv2.IMREAD_COLOR)[..., ::-1]

    def noise(array, v):
        added = np.empty(array.shape, np.int16)
        cv2.randn(added, 0, v**0.5 * 0.226 * 255)
        return cv2.add(array, added, dtype=cv2.CV_8U)

    def shrink(array, v):
        return cv2.resize(array, [-(-s // v) for s in size], interpolation=cv2.INTER_AREA)

    def block(array, v, back):
        return cv2.resize(shrink(array, v), size, interpolation=back)

    def levels(v):
        return np.rint(np.floor(every * (v - 1) / 255 + 0.5) * 255 / (v - 1)).astype(np.uint8)

    def blur(array, v):
        side = 2 * int(np.ceil(4 * v)) + 1
        return cv2.GaussianBlur(array, (side, side), v, borderType=cv2.BORDER_REPLICATE)

    turn = {90: cv2.ROTATE_90_COUNTERCLOCKWISE, 180: cv2.ROTATE_180, 270: cv2.ROTATE_90_CLOCKWISE}
    table = {
        "quantization": levels,
        "exposure": lambda v: np.clip(np.rint(every * v), 0, 255).astype(np.uint8),
    }
    pairs = list(zip(arrays, arrays[::-1], strict=True))
    return {
        "jpeg": lambda v: each(lambda a: code(a, v), arrays),
        "gaussian_noise": lambda v: each(lambda a: noise(a, v), arrays),
        "rotation": lambda v: each(lambda a: cv2.rotate(a, turn[v]), arrays),
        "downsampling": lambda v: each(lambda a: block(a, v, cv2.INTER_LINEAR), arrays),
        "pixelation": lambda v: each(lambda a: block(a, v, cv2.INTER_NEAREST), arrays),
        **{
            name: lambda v, of=of: each(lambda a: cv2.LUT(a, of(v)), arrays)
            for name, of in table.items()
        },
        "gaussian_blur": lambda v: each(lambda a: blur(a, v), arrays),
        "mixup": lambda v: each(lambda p: cv2.addWeighted(p[0], 1 - v, p[1], v, 0), pairs),
    }


def pillow_peers(arrays):
    pictures = [Image.fromarray(array) for array in arrays]
    size = pictures[0].size

    def code(picture, v):
        file = io.BytesIO()
        picture.save(file, "JPEG", quality=v, subsampling="4:2:0")
        return Image.open(file)

    def turned(picture, v):
        return picture.transpose(getattr(Image.Transpose, f"ROTATE_{v}"))

    def table(values):
        return [min(255, round(value)) for value in values] * 3

    exposed = {v: table(x * v for x in range(256)) for v in (0.5, 3.0)}
    levelled = {
        v: table(int(x * (v - 1) / 255 + 0.5) * 255 / (v - 1) for x in range(256)) for v in (64, 8)
    }
    pairs = list(zip(pictures, pictures[::-1], strict=True))
    return {
        "jpeg": lambda v: each(lambda p: code(p, v), pictures),
        "rotation": lambda v: each(lambda p: turned(p, v), pictures),
        "downsampling": lambda v: each(
            lambda p: p.reduce(v).resize(size, Image.Resampling.BILINEAR), pictures
        ),
        "pixelation": lambda v: each(
            lambda p: p.reduce(v).resize(size, Image.Resampling.NEAREST), pictures
        ),
        "quantization": lambda v: each(lambda p: p.point(levelled[v]), pictures),
        "exposure": lambda v: each(lambda p: p.point(exposed[v]), pictures),
        "mixup": lambda v: each(lambda p: Image.blend(p[0], p[1], v), pairs),
    }


def albumentations_peers(arrays, A):
    def all_with(transform):
        return each(lambda a: transform(image=a)["image"], arrays)

    return {
        "jpeg": lambda v: all_with(A.ImageCompression(quality_range=(v, v), p=1)),
        "quantization": lambda v: all_with(A.Posterize(num_bits=v.bit_length() - 1, p=1)),
        "gaussian_blur": lambda v: all_with(A.GaussianBlur(blur_limit=0, sigma_limit=(v, v), p=1)),
        "gaussian_noise": lambda v: all_with(
            A.GaussNoise(std_range=(v**0.5 * 0.226,) * 2, per_channel=True, p=1)
        ),
    }


def imagecorruptions_peers(arrays, package):
    severity = {("jpeg", 10): 4, ("pixelation", 4): 5}  # those of its levels that are ours
    names = {"jpeg": "jpeg_compression", "pixelation": "pixelate"}

    def run(name):
        def corrupt(v):
            level = severity[name, v]
            return each(lambda a: package.corrupt(a, level, names[name]), arrays)

        return corrupt

    return {name: run(name) for name in names}


def difference(name: str, ours: torch.Tensor, theirs, images: torch.Tensor) -> tuple[str, bool]:
    """What differs, in words: levels, of noise the relative deviation; and same or not."""
    theirs = torch.as_tensor(np.asarray(theirs))
    if theirs.shape[-1] == 3 and theirs.shape[1] != 3:
        theirs = theirs.permute(0, 3, 1, 2)
    if theirs.shape != ours.shape:
        return "another size", False
    if name == "gaussian_noise":
        mid = (images > 100) & (images < 156)
        ours, theirs = ((x.float() - images)[mid].std() for x in (ours, theirs))
        found = float((theirs / ours - 1).abs())
        return f"its deviation differs by {100 * found:.2g} %", found < 0.05
    apart = (ours.int() - theirs.int()).abs()
    if not apart.any():
        return "bit for bit", True
    told = f"{apart.float().mean():.2g} levels apart on average, {apart.max()} at most"
    return told, float((apart > 1).float().mean()) <= SAME


def main() -> None:
    given = timing.arguments(__doc__.splitlines()[0], count=64, size=227)
    if given.small:
        given.count, given.size, given.rounds = 4, 64, 2
    images = photographs(given.count, given.size)
    partners = images.flip(0)
    # the planar rows and the peers have a copy each, that none finds the other's in the cache
    flat, first, arrays = (
        images.contiguous(),
        images.contiguous(),
        list(images.permute(0, 2, 3, 1).numpy()),
    )
    peers = {"torchvision": torchvision_peers(first), "Pillow": pillow_peers(arrays)}
    for name, module, build, source in (
        ("kornia", "kornia", kornia_peers, first),
        ("OpenCV", "cv2", opencv_peers, arrays),
        ("albumentations", "albumentations", albumentations_peers, arrays),
        ("imagecorruptions", "imagecorruptions", imagecorruptions_peers, arrays),
    ):
        found = timing.peer(module)
        if found is not None:
            if name == "OpenCV":
                found.setNumThreads(given.threads)
            peers[name] = build(source, found)
    table, verdicts, slower = [], {}, []
    for item in ops.CLASSES[1:]:
        name, value = item.operation.name, item.operation.levels[item.level - 1]

        def ours(images=images, partners=partners, index=item.index):
            return ops.apply(images, index, partners, torch.Generator().manual_seed(0))

        planar = partial(ours, flat, partners.contiguous())
        works, notes, same = {"aesthlib": ours, "aesthlib, planar": planar}, {}, {}
        expected = ours()
        for peer, known in peers.items():
            if name not in known:
                continue
            work = lambda known=known, name=name, value=value: known[name](value)  # noqa: E731
            try:
                found, same[peer] = difference(name, expected, work(), images)
            except Exception as error:
                print(f"{item.name}: {peer} cannot ({type(error).__name__}: {error})")
                continue
            notes[peer] = f"{'same' if same[peer] else 'another result'}, {found}"
            works[peer] = work
        seconds = timing.in_turns(works, given.rounds)
        group = timing.rows(item.name, seconds, given.count, note=notes, same=same)
        table += group
        counted = [r for r in group if r["name"] in COUNTED and r.get("same")]
        if counted:
            own, peer = (min(rows, key=lambda row: row["seconds"]) for rows in (group[:2], counted))
            verdicts[item.name] = peer["seconds"] / own["seconds"]
            if own["low"] > peer["high"]:
                slower.append(item.name)
    mean = float(np.exp(np.mean(np.log(list(verdicts.values())))))
    timing.report(
        "operations",
        table,
        given,
        times_as_fast_as_the_fastest_that_computes_the_same=verdicts,
        geometric_mean=mean,
        slower_beyond_the_spread=slower,
    )


if __name__ == "__main__":
    main()
