"""What CUDA computes against what the CPU does, in one table.

On a GPU: `python -m pytest tests/gpu/test_agreement.py`. Every row is computed, whatever the others
gave. Rows with bound 0 must agree to the bit. The same rows run on the device that is none.
"""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from aesthlib import models, ops, pretext
from aesthlib.ops import colour, draws, functional

ROOT = Path(__file__).resolve().parents[2]
SUMMED = ("downsampling", "gaussian_blur", "mixup")  # sums may turn a half the other way
TASKS = [name for name in pretext.TASKS if name != "published"]  # which needs a file


def seeded():
    return torch.Generator().manual_seed(0)


def options(name):
    given = {"labels": {"classes": 2}, "jigsaw": {"permutations": 20}}.get(name, {})
    return pretext.task(name).Options(**given)


def _words(device):
    words = draws.Words(draws.key(seeded()), 5, 3000, torch.device(device))
    return words.take(words.rows)


def _task(name, device, photographs, learn):
    """What a task prepares of photographs, or the loss of its first step."""
    kind = pretext.task(name)
    backbone = kind.build("alexnet", 0)
    task = kind(backbone, options(name), 0)
    for module in (backbone, task):
        module.to(device)
    generator, side = seeded(), 80 + task.margin_px
    patches = photographs.to(device).random_crops(torch.arange(8), side, generator)
    labels = [(torch.arange(8) % 2).to(device)] if task.supervised else []
    batch = task.prepare(patches, generator, *labels)
    if learn:
        return task.learn(backbone, batch, 40)[0].detach()
    parts = [part.flatten().int() for part in batch if isinstance(part, torch.Tensor)]
    return torch.cat(parts)


def rows(smooth, speckled, packed):
    """Name, function of a device to a tensor, and the largest difference that is allowed."""
    grain, soft = speckled(4, 61, 53), smooth(4, 227, 227)
    photographs = packed(smooth(8, 96, 99))
    for preset in ops.PRESETS:
        for item in ops.CLASSES:
            summed = item.operation is not None and item.operation.name in SUMMED
            for images, kind in ((grain, "random"), (soft, "soft")):

                def degraded(device, index=item.index, images=images, preset=preset):
                    there = images.to(device)
                    return ops.apply(there, index, there.flip(0), seeded(), preset)

                yield f"{item.name}, {preset}, {kind}", degraded, int(summed)
    for quality in (1, 10, 35, 60, 95, 100):
        yield (
            f"JPEG {quality} against libjpeg",
            lambda device, q=quality: functional.jpeg(grain.to(device), q),
            0,
        )
    yield "words of a counter", _words, 0
    yield "normal numbers", lambda device: draws.normal(_words(device), (26.0, 25.0), 5999), 0
    yield "orders", lambda device: draws.orders(_words(device)), 0
    yield "Lab", lambda device: colour.rgb_to_lab(grain.to(device)), 2e-4
    for name in TASKS:
        bound = 1 if name not in ("labels", "random", "rotation") else 0
        yield f"{name}: batch", lambda device, n=name: _task(n, device, photographs, False), bound
    for name in TASKS:
        yield f"{name}: loss", lambda device, n=name: _task(n, device, photographs, True), 0.05
    for name in models.BACKBONES:

        def conv5(device, name=name):
            backbone = models.build(name, 0).to(device).eval()
            with torch.no_grad():
                return backbone(soft[..., :80, :80].to(device))["conv5"]

        yield f"{name}: conv5", conv5, 2e-3


def table(rows, device):
    """Lines of the table, and those whose difference is beyond the bound."""
    lines, beyond = [f"{'':40} {'bound':>8} {'found':>10}"], []
    for name, work, bound in rows:
        try:
            here, there = work("cpu"), work(device)
            assert torch.device(there.device).type == "cuda"
            found = (there.cpu().double() - here.double()).abs().max().item()
            text = f"{found:10.3g}"
            failed = not found <= bound
        except Exception as error:  # the next rows are wanted all the same
            text, failed = f"{type(error).__name__}: {error}", True
        lines.append(f"{name:40} {bound:8.3g} {text}{'  <- beyond' if failed else ''}")
        beyond += [lines[-1]] * failed
    return lines, beyond


@pytest.mark.gpu
def test_cuda_agrees_with_the_cpu(smooth, speckled, packed, capsys, monkeypatch):
    monkeypatch.setattr(torch.backends.cudnn, "allow_tf32", False)
    lines, beyond = table(rows(smooth, speckled, packed), "cuda")
    with capsys.disabled():
        print("\n" + "\n".join(lines))
    assert not beyond


def test_the_table_names_what_differs(fake):
    def broken(device):
        raise RuntimeError("no kernel")

    def wrong(device):
        return torch.full((2,), 3.0 if device == "cuda" else 2.5, device=device)

    given = [("right", lambda d: torch.ones(2, device=d), 0), ("wrong", wrong, 0.1)]
    with fake.cuda():
        lines, beyond = table([*given, ("broken", broken, 0)], "cuda")
    assert len(lines) == 4 and len(beyond) == 2
    assert "0.5" in beyond[0] and "RuntimeError: no kernel" in beyond[1]


@pytest.mark.slow
def test_all_tests_for_a_gpu_pass_on_the_device_that_is_none():
    """So none of them fails for want of a GPU to write it on, and none mixes host and device."""
    here = str(Path(__file__).parent)
    path = os.pathsep.join([here, str(ROOT), os.environ.get("PYTHONPATH", "")])
    command = [sys.executable, "-m", "pytest", "-m", "gpu", "-p", "fake", "-q", "tests"]
    done = subprocess.run(
        command, cwd=ROOT, env=os.environ | {"PYTHONPATH": path}, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-1000:]
    assert "skipped" not in done.stdout.splitlines()[-1]
