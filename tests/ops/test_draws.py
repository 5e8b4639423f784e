"""Numbers from a counter: uniform, normal, orders; the same however they are made."""

import itertools
import math

import pytest
import torch
from scipy import stats

from aesthlib.ops import draws, functional

CPU = torch.device("cpu")
KEY = (398764591, 1478610112)
WORDS = [[-1408992645, -1665246636, 770295389], [2021029501, -432652879, -1323485020]]


def words(count, length, seed=0):
    made = draws.Words(draws.key(torch.Generator().manual_seed(seed)), count, length, CPU)
    return made.take(made.rows)


def slow_word(key, row, place):
    """One word by Python's whole numbers."""

    def mixed(x):
        x ^= x >> 16
        x = x * 0x7FEB352D % 2**32
        x ^= x >> 15
        x = x * 0x846CA68B % 2**32
        return x ^ x >> 16

    first, second = (value % 2**32 for value in key)
    return mixed(((mixed(place) ^ first) + row * 0x9E3779B9 + second) % 2**32)


def test_words_are_those_of_the_slow_hash():
    key = draws.key(torch.Generator().manual_seed(3))
    made = draws.Words(key, 5, 40, CPU)
    found = made.take(made.rows)
    assert found.dtype == torch.int32 and found.shape == (5, 40)
    for row, place in itertools.product((0, 1, 4), (0, 1, 17, 39)):
        assert found[row, place].item() % 2**32 == slow_word(key, row, place)


def test_literal():
    # Words(key(torch.Generator().manual_seed(0)), 2, 3, CPU)
    assert draws.key(torch.Generator().manual_seed(0)) == KEY
    assert words(2, 3).tolist() == WORDS


def test_a_row_does_not_depend_on_the_others():
    key = draws.key(torch.Generator().manual_seed(0))
    few, many = (draws.Words(key, count, 100, CPU) for count in (3, 50))
    assert torch.equal(few.take(few.rows), many.take(many.rows[:3]))
    assert torch.equal(many.take(many.rows[7:9]), many.take(many.rows)[7:9])


def test_every_bit_is_set_half_the_time():
    found = words(64, 4096)
    for bit in range(32):
        share = (found >> bit & 1).double().mean().item()
        assert share == pytest.approx(0.5, abs=5 * 0.5 / 512), bit  # five standard errors


def test_a_bit_of_the_key_changes_half_the_bits():
    first, second = draws.key(torch.Generator().manual_seed(0))
    before = draws.Words((first, second), 4, 1000, CPU)
    before = before.take(before.rows)
    for bit in range(31):
        for key in ((first ^ 1 << bit, second), (first, second ^ 1 << bit)):
            after = draws.Words(key, 4, 1000, CPU)
            changed = before ^ after.take(after.rows)
            bits = torch.stack([changed >> place & 1 for place in range(32)])
            assert bits.double().mean().item() == pytest.approx(0.5, abs=0.01)


def numbers(seed=0, count=20, size=99_999, deviations=(100.0, 50.0, 200.0)):
    return draws.normal(words(count, -(-size // 2), seed), deviations, size)


def test_normal_numbers_have_the_stated_moments_and_tails():
    table = draws.normal_table((1000 / 4.4,), CPU).double() / (1000 / 4.4)
    assert table.max().item() == pytest.approx(4.32, abs=0.01)
    assert table.mean().abs().item() < 1e-9
    assert table.var().item() == pytest.approx(0.99998, abs=2e-5)
    assert (table**4).mean().item() / table.var().item() ** 2 == pytest.approx(2.9992, abs=5e-4)


def test_normal_numbers_are_normal():
    values = numbers(deviations=(200.0,)).flatten().double()
    count = len(values)
    assert abs(values.mean().item()) < 4 * 200 / math.sqrt(count)
    # rounded to whole numbers: a variance of 1/12 more
    expected = math.sqrt(200**2 * 0.99998 + 1 / 12)
    assert values.std().item() == pytest.approx(expected, rel=4 / math.sqrt(2 * count))
    excess = ((values - values.mean()) ** 4).mean().item() / values.var().item() ** 2 - 2.9992
    assert abs(excess) < 4 * math.sqrt(24 / count)
    # Kolmogorov and Smirnov's distance to the normal distribution, rounded as the numbers are
    found = values.sort().values
    steps = torch.arange(-900, 901, dtype=torch.float64)
    share = torch.searchsorted(found, steps, right=True) / count
    normal = torch.from_numpy(stats.norm.cdf((steps + 0.5).numpy() / 200))
    assert (share - normal).abs().max().item() < 1.95 / math.sqrt(count)  # of one in a thousand


def test_normal_numbers_do_not_know_each_other():
    values = numbers(deviations=(100.0,)).double()
    bound = 4.5 / math.sqrt(values.numel())

    def correlation(first, second):
        return ((first * second).mean() / (first.std() * second.std())).abs().item()

    for lag in (1, 2, 3, 4, 6, 227, 681):  # neighbours along a row, channels, the row below
        assert correlation(values[:, lag:], values[:, :-lag]) < bound, lag
        assert correlation(values[:, lag:].abs() - 80, values[:, :-lag].abs() - 80) < bound, lag
    assert correlation(values[1:], values[:-1]) < bound  # the next image
    assert correlation(values, numbers(1, deviations=(100.0,)).double()) < bound  # another seed


def test_channels_have_their_own_deviations():
    values = numbers().unflatten(1, (-1, 3)).flatten(0, 1).double()
    for channel, expected in zip(values.T, (100, 50, 200), strict=True):
        assert channel.std().item() == pytest.approx(expected, rel=0.005)


@pytest.mark.parametrize("length", [1, 2, 5, 64, 841, 1024, 1025, 5000])
def test_orders_hold_every_place_once(length):
    found = draws.orders(words(7, length))
    assert found.dtype == torch.int64
    assert torch.equal(found.sort(-1).values, torch.arange(length).expand(7, -1))


def test_all_orders_come_equally_often():
    found = draws.orders(words(24_000, 4))
    counts = (found * torch.tensor([64, 16, 4, 1])).sum(1).bincount()
    counts = counts[counts > 0]
    assert len(counts) == 24
    assert stats.chisquare(counts.numpy()).pvalue > 1e-3


def test_every_place_goes_everywhere_equally_often():
    found = draws.orders(words(20_000, 64))
    for place in (0, 31, 63):
        counts = found[:, place].bincount(minlength=64)
        assert stats.chisquare(counts.numpy()).pvalue > 1e-4


def test_orders_leave_what_takes_no_part():
    lengths = torch.tensor([[1], [3], [10]])
    found = draws.orders(words(3, 10), lengths)
    for order, length in zip(found.tolist(), lengths.flatten().tolist(), strict=True):
        assert sorted(order[:length]) == list(range(length))
        assert order[length:] == list(range(length, 10))


def test_noise_of_an_image_does_not_depend_on_those_behind(speckled):
    images = speckled(9, 33, 31)
    noisy = [
        functional.gaussian_noise(part, 0.2, torch.Generator().manual_seed(0))
        for part in (images, images[:2])
    ]
    assert torch.equal(noisy[0][:2], noisy[1])


@pytest.mark.parametrize(
    "change", [lambda x: functional.gaussian_noise(x, 0.2, torch.Generator().manual_seed(0)),
               lambda x: functional.patch_shuffle(x, 0.5, torch.Generator().manual_seed(0))],
    ids=["noise", "shuffle"],
)  # fmt: skip
def test_threads_change_nothing(change, speckled):
    images, before = speckled(3, 120, 120), torch.get_num_threads()
    results = []
    try:
        for threads in (1, 2, 3):
            torch.set_num_threads(threads)
            results.append(change(images))
    finally:
        torch.set_num_threads(before)
    assert torch.equal(results[0], results[1]) and torch.equal(results[0], results[2])


def test_what_is_sent_to_the_cpu_stays_as_it_is():
    tensors = [torch.arange(3), torch.tensor([True])]
    assert all(a is b for a, b in zip(draws.sent(tensors, "cpu"), tensors, strict=True))


@pytest.mark.gpu
def test_what_is_sent_arrives():
    tensors = [
        torch.arange(6).view(2, 3),
        torch.tensor([True, False, True]),
        torch.rand(5),
        torch.tensor(7),
    ]
    for there, here in zip(draws.sent(tensors, "cuda"), tensors, strict=True):
        assert there.is_cuda and there.dtype == here.dtype
        assert torch.equal(there.cpu(), here)


@pytest.mark.gpu
def test_cuda_makes_the_words_of_the_cpu():
    key = draws.key(torch.Generator().manual_seed(0))
    cpu, cuda = (draws.Words(key, 3, 1025, torch.device(name)) for name in ("cpu", "cuda"))
    cpu, cuda = (made.take(made.rows) for made in (cpu, cuda))
    assert torch.equal(cuda.cpu(), cpu)
    assert torch.equal(
        draws.normal(cuda, (26.0, 25.0), 2049).cpu(), draws.normal(cpu, (26.0, 25.0), 2049)
    )
    for length in (64, 1025):
        parts = (made[:, :length].clone() for made in (cpu, cuda))
        first, second = (draws.orders(part) for part in parts)
        assert torch.equal(first, second.cpu())
