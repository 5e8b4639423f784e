"""Entries of a benchmark: what is judged, in which order, and what is left out."""

import numpy as np
import pytest
import torch
from PIL import Image

from aesthlib.data import entries, photographs
from aesthlib.data.benchmarks import Benchmark
from aesthlib.data.photographs import Source
from aesthlib.data.unseen import OPERATIONS, Unseen

SPLITS = ("train", "validation", "test", "train", "test", "validation")


@pytest.fixture
def benchmark(tmp_path):
    """Function of splits and groups to six plain photographs; entry k is grey level 20 k + 10."""

    def make(splits=None, groups=None, broken=()):
        sources = []
        for number in range(6):
            path = tmp_path / f"{number}.png"
            Image.new("RGB", (40 + number, 32), (20 * number + 10,) * 3).save(path)
            if number in broken:
                path.write_bytes(b"no image")
            sources.append(Source(path.name, path, splits[number] if splits else "probe"))
        mos = np.linspace(0.0, 1.0, 6)
        return Benchmark("made", tuple(sources), mos, mos > 0.5, "above 0.5", groups, splits)

    return make


@pytest.fixture
def pack_of(tmp_path):
    def make(benchmark):
        target = tmp_path / "pack"
        return photographs.load(photographs.pack(list(benchmark.sources), target, 24, "made"))

    return make


def grey(judged):
    """Number of the photograph that each entry shows."""
    patches = judged.batch_of(torch.arange(len(judged)))
    assert patches.dtype == torch.uint8 and patches.shape[1:] == (3, 16, 16)
    return [(int(patch.float().mean().round()) - 10) // 20 for patch in patches]


def test_entries_are_the_photographs_in_their_order(benchmark, pack_of):
    asked = benchmark(groups=np.array([0, 0, 1, 1, 2, 2]))
    judged = entries.rated(asked, pack_of(asked), 16)
    assert grey(judged) == [0, 1, 2, 3, 4, 5] and len(judged) == 6
    assert judged.positive.tolist() == 3 * [False] + 3 * [True]
    assert judged.mos.tolist() == asked.mos.tolist()
    assert judged.groups.tolist() == [0, 0, 1, 1, 2, 2]
    assert judged.test is None and judged.kinds is None
    assert judged.pack().names == tuple(source.name for source in asked.sources)


def test_what_could_not_be_read_shifts_no_label(benchmark, pack_of):
    asked = benchmark(groups=np.arange(6) * 10, broken=(1, 4))
    pack = pack_of(asked)
    assert len(pack.problems) == 2
    judged = entries.rated(asked, pack, 16)
    assert grey(judged) == [0, 2, 3, 5]
    assert judged.mos.tolist() == [asked.mos[row] for row in (0, 2, 3, 5)]
    assert judged.positive.tolist() == [False, False, True, True]
    assert judged.groups.tolist() == [0, 20, 30, 50]


def test_validation_entries_are_neither_trained_on_nor_judged(benchmark, pack_of):
    asked = benchmark(splits=SPLITS, groups=np.arange(6), broken=(3,))
    judged = entries.rated(asked, pack_of(asked), 16)
    assert grey(judged) == [0, 2, 4]  # 1 and 5 are validation, 3 is broken
    assert judged.test.tolist() == [False, True, True]
    assert judged.mos.tolist() == [asked.mos[row] for row in (0, 2, 4)]
    assert judged.groups.tolist() == [0, 2, 4]
    assert judged.pack().names == ("0.png", "2.png", "4.png")
    assert len(judged.positive) == len(judged.pack()) == len(judged) == 3


def test_a_pack_of_other_photographs_is_refused(benchmark, pack_of):
    asked = benchmark()
    pack = pack_of(asked)
    fewer = Benchmark("made", asked.sources[1:], asked.mos[1:], asked.positive[1:], "above 0.5")
    with pytest.raises(ValueError, match="made: the pack holds 0.png, which the labels do not"):
        entries.rated(fewer, pack, 16)


def test_only_a_class_may_be_known(benchmark, pack_of):
    asked = benchmark()
    classes = Benchmark("made", asked.sources, None, asked.positive, "HighQuality")
    judged = entries.rated(classes, pack_of(asked), 16)
    assert judged.mos is None and judged.groups is None
    assert judged.positive.tolist() == asked.positive.tolist()


def test_unseen_operations_are_judged_by_their_strength(smooth, packed):
    dataset = Unseen(packed(smooth(2, 40, 44)), 32, 30)
    judged = entries.unseen(dataset)
    assert len(judged) == 120 and judged.test is None
    assert judged.positive.tolist() == 60 * [True, False]
    assert judged.mos.dtype == np.float64
    assert (judged.mos[judged.positive] == 0).all()
    assert sorted(set(judged.mos)) == [-3, -2, -1, 0]  # more is better
    assert judged.groups.tolist() == 60 * [0] + 60 * [1]
    assert set(judged.kinds) == set(OPERATIONS)
    rows = torch.tensor([3, 118, 0])
    assert torch.equal(judged.batch_of(rows), dataset.batch_of(rows))
    pack = judged.pack()
    assert torch.equal(pack.center_crops(rows, 32), dataset.batch_of(rows))
    assert [label == "positive" for label in pack.labels] == judged.positive.tolist()
