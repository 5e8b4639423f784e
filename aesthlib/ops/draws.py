"""Random numbers from a counter: the same bits on every device, by any number of threads.

A word of 32 bits is the hash of its place, keyed and shifted by its row, and hashed again. Keys of
64 bits come from a CPU `torch.Generator`, one a call; the words are made where they are needed, in
any order and number, and nothing but the key is drawn or copied. The hash is Wellons' lowbias32
(nullprogram.com, "Prospecting for Hash Functions", 2018), in int32 that wraps around.
"""

from functools import cache, lru_cache

import torch
from torch import Generator, Tensor

STEPS = 2**16  # of the uniform number behind a normal one
LARGEST_INT32_BITS = 10  # of a place beside a key in int32, so that 22 bits are left to the key
ALIGNMENT = 16  # of the parts of a block, in bytes
FIRST, SECOND = 0x7FEB352D, 0x846CA68B - 2**32  # of lowbias32
GOLDEN = 0x9E3779B9 - 2**32  # 2³² over the golden ratio: rows lie far apart


def key(generator: Generator) -> tuple[int, int]:
    """A key of 64 bits, two int32 numbers, from a CPU generator."""
    drawn = torch.randint(-(2**31), 2**31, (2,), generator=generator)
    return tuple(drawn.tolist())


def _mixed(values: Tensor) -> Tensor:
    """The hash of int32 values, one to one. Consumes values."""
    # a shift of int32 copies the sign, which the mask takes away
    values.bitwise_xor_((values >> 16).bitwise_and_(0xFFFF)).mul_(FIRST)
    values.bitwise_xor_((values >> 15).bitwise_and_(0x1FFFF)).mul_(SECOND)
    return values.bitwise_xor_((values >> 16).bitwise_and_(0xFFFF))


@lru_cache(maxsize=16)
def _places(length: int, device: torch.device) -> Tensor:
    """The hash of each place of a row: int32 (length,)."""
    return _mixed(torch.arange(length, dtype=torch.int32, device=device))


class Words:
    """Words of some rows, uniform, each a function of the key, its row and its place alone.

    Args:
        key: from `key`.
        count: rows N, say images.
        length: words a row, M, below 2³¹.
        device: where they are made.

    Attributes:
        rows: int32 (N, 1), what `take` makes the words of a row from.
    """

    def __init__(self, key: tuple[int, int], count: int, length: int, device: torch.device):
        self._places = _places(length, device).bitwise_xor(key[0])
        rows = torch.arange(count, dtype=torch.int32, device=device)
        self.rows = rows.mul_(GOLDEN).add_(key[1])[:, None]

    def take(self, rows: Tensor) -> Tensor:
        """int32 (n, M) of some of the rows."""
        return _mixed(self._places + rows)


@lru_cache(maxsize=16)
def normal_table(deviations: tuple[float, ...], device: torch.device) -> Tensor:
    """Quantiles of normal distributions, rounded to whole numbers: int16 (C · 65,536,).

    65,536 equally likely values of each of C distributions, at the middles of as many parts of
    equal probability. So the tails end at 4.32 standard deviations, beyond which a normal number
    lies once in 65,536; before rounding the variance is 0.99998 of the distribution's, and the
    kurtosis 2.9992. Values are clipped to ±1,000, which no photograph of 8 bits can tell.

    Args:
        deviations: of the distributions.
    """
    middles = (torch.arange(STEPS, dtype=torch.float64) + 0.5) / STEPS
    quantiles = torch.special.ndtri(middles)
    table = torch.tensor(deviations, dtype=torch.float64)[:, None] * quantiles
    return table.round_().clamp_(-1000, 1000).flatten().to(torch.int16).to(device)


@cache
def table_rows(size: int, count: int, device: torch.device) -> Tensor:
    """For values whose C channels come last, where the channel's table begins: int32 (size,)."""
    channel = torch.arange(size, dtype=torch.int32, device=device) % count
    return channel.mul_(STEPS).add_(STEPS // 2)  # halves of words are signed


def normal(words: Tensor, deviations: tuple[float, ...], size: int) -> Tensor:
    """Normal numbers, rounded: two of each word, from `normal_table`.

    Args:
        words: int32 (N, M), contiguous.
        deviations: of C channels, the last dimension of what the numbers are for.
        size: numbers a row, at most 2M.

    Returns:
        int16 (N, size).
    """
    table = normal_table(deviations, words.device)
    starts = table_rows(2 * words.shape[1], len(deviations), words.device)
    index = words.view(torch.int16).to(torch.int32).add_(starts)[:, :size]
    return table.index_select(0, index.flatten()).view(index.shape)


def orders(words: Tensor, lengths: Tensor | None = None) -> Tensor:
    """Random orders of the places of each row: argsort of its words.

    A place stands in the lowest bits of its word, so no two are alike and every device sorts them
    in the same way. Of two places the one before comes first with a probability that differs from
    a half by less than 2⁻²².

    Args:
        words: int32 (…, L). Consumed.
        lengths: int64 (…, 1), how many of the first places take part; the others stay where they
            are, behind. None for all.

    Returns:
        int64 (…, L).
    """
    length = words.shape[-1]
    bits = (length - 1).bit_length()
    if bits > LARGEST_INT32_BITS:
        words = words.to(torch.int64) << bits
    places = torch.arange(length, dtype=words.dtype, device=words.device)
    mask = (1 << bits) - 1
    words = words.bitwise_and_(~mask).bitwise_or_(places)
    if lengths is not None:  # the largest words, in the order of their places
        last = places.bitwise_or(torch.iinfo(words.dtype).max & ~mask)
        words = torch.where(places < lengths, words, last)
    if words.device.type == "cpu":
        words.numpy().sort(-1)  # many times as fast as torch
    else:
        words = words.sort(-1).values
    return words.bitwise_and_(mask).to(torch.int64)


def sent(tensors: list[Tensor], device: torch.device | str) -> list[Tensor]:
    """Copies of small CPU tensors on a device, in one block and without waiting for it.

    Args:
        tensors: of any types and shapes, on the CPU.

    Returns:
        Tensors of the same types and shapes; the very same where device is the CPU.
    """
    device = torch.device(device)
    if device.type == "cpu":
        return list(tensors)
    starts, end = [], 0
    for tensor in tensors:
        starts.append(end)
        end += -(-tensor.nbytes // ALIGNMENT) * ALIGNMENT

    def parts(block: Tensor) -> list[Tensor]:
        return [
            block[start : start + tensor.nbytes].view(tensor.dtype).view(tensor.shape)
            for start, tensor in zip(starts, tensors, strict=True)
        ]

    block = torch.empty(end, dtype=torch.uint8, pin_memory=device.type == "cuda")
    for part, tensor in zip(parts(block), tensors, strict=True):
        part.copy_(tensor)
    return parts(block.to(device, non_blocking=True))  # torch keeps it until it was copied
