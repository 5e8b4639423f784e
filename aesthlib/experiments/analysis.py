"""What the degradation task has learned, measured on photographs it was not trained on.

Everything takes a model of `training.load_model` and photographs, and gives rows of plain values
for a record.
"""

import base64
from collections.abc import Iterator

import numpy as np
import torch
from torch import Generator, Tensor, nn

from .. import ops
from ..ops.table import STANDARD, Reading
from ..pretext import losses

BATCH = 128

# Values from mild to strong around the levels of Table 1: below, between and beyond them.
GRID = {
    "jpeg": (95, 80, 60, 40, 25, 10, 5),
    "gaussian_noise": (0.05, 0.1, 0.2, 0.4, 0.6, 0.8, 1.2, 1.6),
    "downsampling": (2, 3, 4, 5, 6, 8, 10),
    "quantization": (128, 64, 32, 16, 8, 5, 4),
    "pixelation": (2, 3, 4, 6, 8, 10, 12),
    "gaussian_blur": (0.1, 0.2, 0.4, 0.6, 0.8, 1.2, 1.8),
    "patch_shuffle": (0.05, 0.1, 0.2, 0.3, 0.5, 0.7, 1.0),
    "mixup": (0.05, 0.1, 0.2, 0.3, 0.4, 0.5),
}


def versions(
    photographs: Tensor, seed: int, preset: str, reading: Reading = STANDARD
) -> Iterator[tuple[int, Tensor]]:
    """Every class applied to all photographs: (class index, uint8 (N, 3, S, S)), 0 … 21."""
    partners = photographs.roll(1, 0)
    for item in ops.CLASSES:
        generator = Generator().manual_seed(seed + item.index)
        yield item.index, ops.apply(photographs, item.index, partners, generator, preset, reading)


@torch.inference_mode()
def taps_of(model: nn.Module, photographs: Tensor, device: str) -> tuple[Tensor, Tensor]:
    """Logits (N, 22) and h (N, D) of photographs, float32 on the CPU."""
    logits, embedded = [], []
    for batch in photographs.split(BATCH):
        taps = model.backbone(batch.to(device))
        logits.append(model.task.logits(taps).cpu())
        embedded.append(model.task.embedding(taps).cpu())
    return torch.cat(logits), torch.cat(embedded)


def identification(model: nn.Module, photographs: Tensor, device: str, seed: int = 0) -> dict:
    """Which class is taken for which, what entropy weights are given, what lies nearest.

    Args:
        photographs: uint8 (N, 3, S, S), each seen under all 22 classes.

    Returns:
        confusion: (22, 22) counts, rows the truth. weights: a row a class, of its entropy weights
        the mean, the share above 0, and the mean where the prediction is right and where it is
        wrong (None where there are none). nearest: of all versions of up to 200 photographs, the
        share whose nearest other version by h is of the same class, and of the same photograph.
    """
    task = model.task
    count, classes = len(photographs), len(ops.CLASSES)
    confusion = np.zeros((classes, classes), int)
    weights, descriptions = [], []
    for index, edited in versions(photographs, seed, task.options.preset, task.reading):
        logits, embedded = taps_of(model, edited, device)
        guess = logits.argmax(1).numpy()
        confusion[index] = np.bincount(guess, minlength=classes)
        weight = losses.entropy_weight(logits, task.options.entropy_alpha).numpy()
        right = guess == index
        weights.append(
            {
                "class": ops.CLASSES[index].name,
                "mean": float(weight.mean()),
                "kept": float((weight > 0).mean()),
                "mean_right": float(weight[right].mean()) if right.any() else None,
                "mean_wrong": float(weight[~right].mean()) if not right.all() else None,
            }
        )
        descriptions.append(embedded[:200])
    few = len(descriptions[0])
    every = torch.cat(descriptions)  # (22 · few, D), class by class
    likeness = (every @ every.T).fill_diagonal_(-2)
    nearest = likeness.argmax(1)
    own = torch.arange(len(every))
    return {
        "confusion": confusion.tolist(),
        "weights": weights,
        "nearest": {
            "versions": len(every),
            "same_class": float((nearest // few == own // few).float().mean()),
            "same_photograph": float((nearest % few == own % few).float().mean()),
            "same_class_by_chance": (few - 1) / (len(every) - 1),
            "same_photograph_by_chance": (classes - 1) / (len(every) - 1),
        },
        "photographs": count,
    }


def distances(model: nn.Module, photographs: Tensor, device: str, seed: int = 0) -> list[dict]:
    """Distance D between a photograph and its version over each ordered operation's whole range.

    Args:
        photographs: uint8 (N, 3, S, S).

    Returns:
        A row a value of `GRID`: operation, value, trained (a level of the task's preset), quantiles
        25, 50 and 75 % of D; and on each row of the operation: rank correlation of D with the
        strength, mean over photographs, and the share of them with D(level 1) < D(level 2).
    """
    from scipy.stats import rankdata  # slow to load

    task = model.task
    _, original = taps_of(model, photographs, device)
    partners = photographs.roll(1, 0)
    rows = []
    for name, grid in GRID.items():
        operation = ops.operation(name)
        levels = operation.values(task.options.preset)
        falling = grid[0] > grid[-1]
        values = sorted({*grid, *levels}, reverse=falling)
        measured = []
        for value in values:
            generator = Generator().manual_seed(seed)
            edited = operation.apply(photographs, value, partners, generator, task.reading)
            _, embedded = taps_of(model, edited, device)
            measured.append((original - embedded).square().sum(1).numpy())
        far = np.stack(measured)  # (values, N)
        ranks = rankdata(far, axis=0)
        steps = np.arange(len(values))[:, None]
        spread = ranks.std(0)
        covariance = ((ranks - ranks.mean(0)) * (steps - steps.mean())).mean(0)
        correlation = np.divide(
            covariance, spread * steps.std(), out=np.zeros_like(spread), where=spread > 0
        )
        first, second = (values.index(level) for level in levels[:2])
        for value, row in zip(values, far, strict=True):
            low, middle, high = np.percentile(row, [25, 50, 75])
            rows.append(
                {
                    "operation": name,
                    "parameter": operation.parameter,
                    "value": value,
                    "trained": value in levels,
                    "low": float(low),
                    "median": float(middle),
                    "high": float(high),
                    "rank_correlation": float(correlation.mean()),
                    "ordered_share": float((far[first] < far[second]).mean()),
                }
            )
    return rows


def neighbours(
    model: nn.Module, photographs: Tensor, groups: Tensor, device: str, count: int = 4
) -> list[dict]:
    """Nearest patches by h from other photographs.

    Args:
        photographs: uint8 (N, 3, S, S).
        groups: int64 (N,), the photograph of each patch.
        count: neighbours a patch.

    Returns:
        A row a patch: neighbours (rows) and their cosine similarity.
    """
    _, embedded = taps_of(model, photographs, device)
    likeness = embedded @ embedded.T
    likeness[groups[:, None] == groups[None]] = -2
    best = likeness.topk(count, dim=1)
    return [
        {"patch": row, "neighbours": index.tolist(), "similarity": value.tolist()}
        for row, (value, index) in enumerate(zip(best.values, best.indices, strict=True))
    ]


def filters(backbone: nn.Module) -> dict:
    """First-layer filters, each stretched to 0 … 255: shape (filters, h, w, channels) and bytes."""
    kernel = next(m for m in backbone.modules() if isinstance(m, nn.Conv2d)).weight.detach()
    low, high = (f(kernel.flatten(1), 1)[:, None, None, None] for f in (torch.amin, torch.amax))
    grey = ((kernel - low) / (high - low).clamp_min(1e-12) * 255).round()
    pixels = grey.to("cpu", torch.uint8).permute(0, 2, 3, 1).contiguous()
    packed = base64.b64encode(pixels.numpy().tobytes()).decode()
    return {"shape": list(pixels.shape), "uint8_base64": packed}


def filter_images(stored: dict) -> np.ndarray:
    """What `filters` wrote, as uint8 (filters, h, w, channels)."""
    flat = np.frombuffer(base64.b64decode(stored["uint8_base64"]), np.uint8)
    return flat.reshape(stored["shape"])


def confidence(score_of, photographs: Tensor, seed: int = 0, preset: str = "paper") -> list[dict]:
    """What a supervised model makes of every class (Fig. 2).

    Args:
        score_of: function of uint8 (n, 3, S, S) to float (n,), the logit of "positive".
        photographs: uint8 (N, 3, S, S), held out.

    Returns:
        A row a class: probability of "positive" for each photograph (4 digits), and the logits'
        mean change against the unedited photograph.
    """
    partners = photographs.roll(1, 0)
    rows, before = [], None
    for index in range(len(ops.CLASSES)):
        scores = []
        for chosen in torch.arange(len(photographs)).split(BATCH):
            generator = Generator().manual_seed(seed + 1000 * index + int(chosen[0]))
            edited = ops.apply(photographs[chosen], index, partners[chosen], generator, preset)
            scores.append(score_of(edited))
        logit = torch.cat(scores).double()
        before = logit if before is None else before
        rows.append(
            {
                "class": ops.CLASSES[index].name,
                "probability": [round(p, 4) for p in torch.sigmoid(logit).tolist()],
                "logit_change": float((logit - before).mean()),
            }
        )
    return rows
