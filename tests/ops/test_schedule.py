"""Which operations a patch gets, and that the versions are those that the labels name."""

import pytest
import torch

from aesthlib import ops

DETERMINISTIC = tuple(name for name in ops.NAMES if name not in ("gaussian_noise", "patch_shuffle"))


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def operation_of(class_index):
    return ops.CLASSES[class_index].operation


def test_three_different_operations_milder_level_first():
    plan = ops.draw(500, seeded())
    assert plan.classes.shape == (500, 3, 2) and plan.classes.dtype == torch.int64
    for patch, ordered in zip(plan.classes.tolist(), plan.ordered.tolist(), strict=True):
        assert len({operation_of(milder).name for milder, _ in patch}) == 3
        for (milder, stronger), in_triplet in zip(patch, ordered, strict=True):
            row = operation_of(milder)
            assert operation_of(stronger) is row
            assert ops.CLASSES[milder].level < ops.CLASSES[stronger].level
            assert in_triplet == row.in_triplet


def test_all_operations_and_angles_come_equally_often():
    plan = ops.draw(10_000, seeded())
    counts = plan.classes.flatten().bincount(minlength=22)
    assert counts[ops.NONE] == 0
    for item in ops.CLASSES[1:]:
        # 3 of 10 operations; of rotation 2 of 3 angles. One standard deviation is 46
        share = 0.3 * 2 / len(item.operation.levels)
        assert counts[item.index].item() == pytest.approx(10_000 * share, abs=250), item.name
    # nor does an operation prefer a place among the three
    first = [operation_of(patch[0][0]).name for patch in plan.classes.tolist()]
    assert all(first.count(name) == pytest.approx(1000, abs=160) for name in ops.NAMES)


def test_labels_are_none_and_the_drawn_classes():
    plan = ops.draw(7, seeded())
    assert plan.labels.shape == (7, 7)
    assert (plan.labels[:, 0] == ops.NONE).all()
    assert torch.equal(plan.labels[:, 1:].reshape(7, 3, 2), plan.classes)


@pytest.mark.parametrize("preset", ops.PRESETS)
def test_versions_are_what_the_labels_name(preset, speckled):
    images = speckled(9, 37, 37)
    plan = ops.draw(9, seeded(), DETERMINISTIC)
    versions = ops.degrade(images, plan, seeded(1), preset)
    assert versions.shape == (9, 7, 3, 37, 37) and versions.dtype == torch.uint8
    assert torch.equal(versions[:, 0], images)
    for i in range(9):
        image, partner = images[i][None], images[(i + plan.shift) % 9][None]
        for version, label in zip(versions[i], plan.labels[i].tolist(), strict=True):
            assert torch.equal(version, ops.apply(image, label, partner, seeded(), preset)[0])


@pytest.mark.parametrize("name", ["gaussian_noise", "patch_shuffle"])
def test_random_versions_are_drawn_class_by_class(name, speckled):
    images = speckled(5, 37, 37)
    plan = ops.draw(5, seeded(), (name,), per_patch=1)
    versions = ops.degrade(images, plan, seeded(1))
    generator = seeded(1)
    for place, label in enumerate(plan.labels[0].tolist()):
        assert torch.equal(versions[:, place], ops.apply(images, label, images, generator))


def test_degrade_leaves_its_input(speckled):
    images = speckled(4, 20, 20)
    before = images.clone()
    versions = ops.degrade(images, ops.draw(4, seeded()), seeded())
    versions.zero_()
    assert torch.equal(images, before)


@pytest.mark.parametrize("count", [2, 3, 64])
def test_mixup_partner_is_another_image(count):
    shifts = {ops.draw(count, seeded(seed)).shift for seed in range(200)}
    assert shifts <= set(range(1, count))
    assert len(shifts) > min(count - 1, 30) - 1


def test_mixup_alone_in_a_batch_is_refused(speckled):
    plan = ops.draw(1, seeded(), ("mixup",), per_patch=1)
    with pytest.raises(ValueError, match="mixup needs at least two images"):
        ops.degrade(speckled(1, 8, 8), plan, seeded())


def test_same_seed_same_bytes(speckled):
    images = speckled(4, 20, 20)

    def run(seed):
        generator = seeded(seed)
        return ops.degrade(images, ops.draw(4, generator), generator)

    assert torch.equal(run(5), run(5))
    assert not torch.equal(run(5), run(6))


def test_memory_format_does_not_matter(speckled):
    images = speckled(4, 20, 20)
    plan = ops.draw(4, seeded())
    last = images.contiguous(memory_format=torch.channels_last)
    assert torch.equal(ops.degrade(images, plan, seeded()), ops.degrade(last, plan, seeded()))


@pytest.mark.gpu
def test_cuda_gets_the_draws_of_the_cpu(speckled):
    images = speckled(4, 20, 20)
    names = ("gaussian_noise", "patch_shuffle", "rotation", "quantization", "exposure", "jpeg")
    plan = ops.draw(4, seeded(), names)
    expected = ops.degrade(images, plan, seeded())
    assert torch.equal(ops.degrade(images.cuda(), plan, seeded()).cpu(), expected)


@pytest.mark.parametrize(
    "fault, message",
    [
        (lambda x: ops.draw(2, seeded(), ("jpeg", "sharpen"), 1), "unknown operation 'sharpen'"),
        (lambda x: ops.draw(2, seeded(), ("jpeg", "mixup")), "per_patch"),
        (lambda x: ops.draw(2, seeded(), ("jpeg", "jpeg"), 1), "each named once"),
        (lambda x: ops.draw(2, seeded(), per_patch=0), "per_patch"),
        (lambda x: ops.degrade(x[:2], ops.draw(3, seeded()), seeded()), "images must be 3 square"),
        (lambda x: ops.degrade(x[..., 1:], ops.draw(3, seeded()), seeded()), "square patches"),
    ],
)
def test_errors_name_the_parameter(fault, message, speckled):
    with pytest.raises(ValueError, match=message):
        fault(speckled(3, 8, 8))
