"""A step on CUDA mixes no host with device and waits for nothing: on a device that is none."""

import pytest
import torch

from aesthlib import pretext
from aesthlib.pretext.labels import Labels
from aesthlib.training import Execution, PretrainConfig, load_model, loop, pretrain

WAITS_IN_A_STEP = (
    0  # as the docs state; means are read every `REPORT_SECONDS` and at an epoch's end
)
TASKS = [name for name in pretext.TASKS if name != "published"]  # which needs a file


def options(name):
    given = {"labels": {"classes": 2}, "jigsaw": {"permutations": 20}}.get(name, {})
    return pretext.task(name).Options(**given)


@pytest.fixture
def photographs(smooth, packed):
    """Eight of them, in two classes."""
    pack = packed(smooth(8, 80, 83))
    return pack.take(torch.arange(8), tuple("abababab"))


@pytest.fixture(autouse=True)
def no_reports(monkeypatch):
    monkeypatch.setattr(loop, "REPORT_SECONDS", 1e9)
    monkeypatch.setattr(loop.energy, "joules", lambda device: None)


def config(name, **changes):
    settings = {"shorter_edge_px": 80, "size_px": 67, "epochs": 1, "batch_size": 4}
    return PretrainConfig(
        method=name, learning_rate=0.01, options=options(name), **settings | changes
    )


@pytest.mark.parametrize(
    "name, precision", [*((name, "bf16") for name in TASKS), ("degradation", "fp32")]
)
def test_more_steps_wait_no_more(name, precision, photographs, tmp_path, fake):
    found = []
    for crops in (4, 1, 2):  # constants are copied first; then 2 and 4 steps
        with fake.cuda() as log:
            pretrain(
                config(name, precision=precision, crops_per_photograph=crops),
                photographs,
                tmp_path / str(crops),
                "cuda",
            )
        found.append((sum(log.waits.values()), log.waits))
    # two more steps of training and two more that settle the statistics
    assert found[2][0] - found[1][0] == 4 * WAITS_IN_A_STEP, found[2][1] - found[1][1]


@pytest.mark.parametrize("name", TASKS)
def test_the_device_gives_the_bytes_of_the_cpu(name, photographs, tmp_path, fake):
    """Draws, crops and versions are the same; on this device so is all that follows."""
    settings = config(name, precision="fp32", crops_per_photograph=2)
    cpu = pretrain(settings, photographs, tmp_path / "cpu", "cpu")
    with fake.cuda():
        cuda = pretrain(settings, photographs, tmp_path / "cuda", "cuda")
    assert cpu.history[0]["loss"] == pytest.approx(cuda.history[0]["loss"], rel=1e-5)


@pytest.mark.parametrize("name", TASKS)
def test_prepared_batches_are_the_cpus(name, photographs, fake):
    task_class = pretext.task(name)
    task = task_class(task_class.build("alexnet", 0), options(name), 0)
    side = 67 + task.margin_px

    def batch(pack, labels):
        generator = torch.Generator().manual_seed(0)
        patches = pack.random_crops(torch.arange(8), side, generator)
        return task.prepare(patches, generator, *labels)

    labels = (torch.arange(8) % 2,) if task.supervised else ()
    expected = batch(photographs, labels)
    with fake.cuda():
        found = batch(photographs.to("cuda"), [label.to("cuda") for label in labels])
        assert len(found) == len(expected)
        for there, here in zip(found, expected, strict=True):
            if not isinstance(here, torch.Tensor):
                assert there == here
                continue
            assert there.is_cuda and there.dtype == here.dtype
            # sums in another order may turn a half the other way
            bound = 0 if here.dtype != torch.uint8 else 1
            assert (there.cpu().int() - here.int()).abs().max() <= bound


def test_photographs_too_many_for_the_device_are_cropped_on_the_cpu(
    photographs, tmp_path, fake, monkeypatch
):
    settings = config("degradation", precision="fp32")
    with fake.cuda():
        expected = pretrain(settings, photographs, tmp_path / "all", "cuda")
    found = []
    for crops in (4, 1, 2):
        with fake.cuda() as log:
            monkeypatch.setattr(torch.cuda, "mem_get_info", lambda device=None: (10, 10))
            folder = tmp_path / str(crops)
            outcome = pretrain(
                config("degradation", precision="fp32", crops_per_photograph=crops),
                photographs, folder, "cuda",
            )  # fmt: skip
        found.append(sum(log.waits.values()))
        if crops == 1:
            assert outcome.checkpoint_sha256 == expected.checkpoint_sha256
    assert found[1] == found[2]


def test_resuming_equals_not_stopping(photographs, tmp_path, fake, monkeypatch):
    settings = config("degradation", precision="bf16", epochs=2)
    save, saved = loop._save, []

    def killed(*given, **more):
        saved.append(save(*given, **more))
        if len(saved) == 1:
            raise KeyboardInterrupt
        return saved[-1]

    with fake.cuda():
        whole = pretrain(settings, photographs, tmp_path / "whole", "cuda")
        monkeypatch.setattr(loop, "_save", killed)
        with pytest.raises(KeyboardInterrupt):
            pretrain(settings, photographs, tmp_path / "parts", "cuda")
        parts = pretrain(settings, photographs, tmp_path / "parts", "cuda")
        assert parts.checkpoint_sha256 == whole.checkpoint_sha256
        model = load_model(tmp_path / "parts", parts.checkpoint_sha256, "cuda")
        assert all(value.is_cuda for value in model.state_dict().values())


def test_kernels_are_chosen_and_given_back(photographs, tmp_path, fake):
    cudnn, seen = torch.backends.cudnn, []
    before = cudnn.benchmark, cudnn.deterministic, torch.are_deterministic_algorithms_enabled()

    def watched(model):
        seen.append((cudnn.benchmark, cudnn.deterministic))

    handle = torch.nn.modules.module.register_module_forward_pre_hook(
        lambda module, given: watched(module)
    )
    try:
        for deterministic in (False, True):
            with fake.cuda():
                pretrain(
                    config("labels"), photographs, tmp_path / str(deterministic), "cuda",
                    execution=Execution(deterministic=deterministic),
                )  # fmt: skip
            assert set(seen) == {(not deterministic, deterministic)}
            seen.clear()
    finally:
        handle.remove()
    now = cudnn.benchmark, cudnn.deterministic, torch.are_deterministic_algorithms_enabled()
    assert now == before


def test_too_little_memory_says_what_to_do(photographs, tmp_path, fake, monkeypatch):
    def full(*given):
        raise torch.OutOfMemoryError("CUDA out of memory")

    monkeypatch.setattr(Labels, "learn", full)
    with fake.cuda():
        with pytest.raises(MemoryError, match="batch_size: .* 4 patches of 67 px .* say 2"):
            pretrain(config("labels"), photographs, tmp_path, "cuda")


# --- the device itself: it must see what a GPU would refuse ---


def test_the_device_refuses_a_mixture(fake):
    with fake.cuda():
        there, here = torch.ones(3, device="cuda"), torch.ones(3)
        with pytest.raises(fake.Mixed, match=r"\[\(3,\)\] on the CPU"):
            there + here
        assert (there + torch.tensor(2.0)).cpu().tolist() == [3, 3, 3]  # a number may come along


@pytest.mark.parametrize(
    "work, waits",
    [
        (lambda x: x.add(1).mul_(2), 0),
        (lambda x: x.sum().item(), 1),
        (lambda x: float(x.sum()), 1),
        (lambda x: x.tolist(), 1),
        (lambda x: x.cpu(), 1),
        (lambda x: x.nonzero(), 1),
        (lambda x: x[x > 2], 1),
        (lambda x: x[torch.tensor([0, 1])], 1),
        (lambda x: x.index_select(0, torch.arange(2, device="cuda")), 0),
        (lambda x: x.copy_(torch.ones(4)), 1),
        (lambda x: torch.ones(4).to("cuda"), 1),
        (lambda x: torch.ones(4).to("cuda", non_blocking=True), 1),  # it is not pinned
        (lambda x: torch.empty(4, pin_memory=True).to("cuda", non_blocking=True), 0),
        (lambda x: torch.tensor([1.0], device="cuda"), 1),
        (lambda x: bool((x > 0).any()), 1),
    ],
)
def test_the_device_counts_waits(work, waits, fake):
    with fake.cuda() as log:
        x = torch.arange(4.0, device="cuda")
        work(x)
        assert sum(log.waits.values()) == waits, log.waits
