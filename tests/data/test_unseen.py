"""The benchmark of unseen operations."""

import numpy as np
import pytest
import torch

from aesthlib import ops
from aesthlib.data import embedded, photographs, unseen


@pytest.fixture(scope="module")
def benchmark(tmp_path_factory):
    target = tmp_path_factory.mktemp("unseen") / "pack"
    photographs.pack(embedded.sources(), target, 96, "embedded")
    return unseen.Unseen(photographs.load(target, "probe"), size_px=80, pairs=12)


def test_no_operation_is_one_that_tasks_train_on():
    assert not set(unseen.OPERATIONS) & set(ops.NAMES)


@pytest.mark.parametrize("name", unseen.OPERATIONS)
def test_an_operation_changes_more_the_stronger_it_is(name, benchmark):
    patches = benchmark.batch_of(torch.arange(0, len(benchmark), 2))
    original = patches.clone()
    change = [
        (unseen.OPERATIONS[name](patches, s).float() - patches.float()).abs().mean().item()
        for s in (1, 2, 3)
    ]
    assert 0.5 < change[0] < change[1] < change[2]
    assert torch.equal(patches, original)


def test_entries_are_pairs_of_one_crop(benchmark):
    count = 2 * 12 * len(embedded.PROBING)
    assert len(benchmark) == count == len(benchmark.strength) == len(benchmark.groups)
    assert benchmark.positive.mean() == 0.5
    assert (
        sorted(np.unique(benchmark.strength[~benchmark.positive], return_counts=True)[1])
        == [count // 6] * 3
    )
    patches = benchmark.batch_of(torch.arange(24))  # all operations and strengths of a photograph
    assert all(not torch.equal(patches[i], patches[i + 1]) for i in range(0, 24, 2))
    undone = unseen.vignette(patches[4:5], 1)  # pair 2 is a vignette at strength 1
    assert torch.equal(undone, patches[5:6])


def test_entries_do_not_depend_on_how_they_are_asked_for(benchmark):
    index = torch.tensor([7, 3, 100])
    together = benchmark.batch_of(index)
    assert torch.equal(together, torch.cat([benchmark.batch_of(i[None]) for i in index]))


def test_photographs_of_pretraining_are_not_among_them(benchmark):
    assert not {name.split("/")[1] for name in benchmark.photographs.names} & {
        file for file, _ in embedded.PRETRAINING
    }
