"""The released network: weights that come with the package, and what it says of a photograph.

The weights are those of a published run, convolutions and head in half precision. A linear model on
the mean of every channel predicts mean beauty ratings of OASIS; it was fitted after the network was
frozen. What both are good for, and not, is told by the model card in the book.
"""

from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from .. import ops, probing, training
from ..data import benchmarks, photographs
from ..models import LAYERS
from ..probing import features, metrics
from ..runs import Asked, Runs, Work
from ..store import files, records
from ..training import network

FOLDER = Path(__file__).parent / "weights"
DEFAULT = "degradation_alexnet"
VIEW = features.View("mean")
BATCH = 32


@dataclass(frozen=True)
class Scorer:
    """A linear model of ratings on the mean of every channel of the five taps.

    Attributes:
        weights: float64 (1376,) for AlexNet, conv1 to conv5 side by side.
        intercept: in units of the rating, 1 to 7.
        rmse: root mean squared error on entries kept from the fit, same unit.
        srcc, plcc: correlations with the ratings on entries kept from the fit.
        n: photographs that it was fitted on.
        benchmark: whose ratings they are.
    """

    weights: np.ndarray
    intercept: float
    rmse: float
    srcc: float
    plcc: float
    n: int
    benchmark: str

    def __call__(self, values: Tensor) -> Tensor:
        """Predicted mean rating (N,) of pooled features, float (N, 1376)."""
        return values.double() @ torch.from_numpy(self.weights) + self.intercept

    def plain(self) -> dict:
        """The same in plain values, as `explore` and the book's page take it."""
        plain = {
            "layer": list(LAYERS),
            "weights": self.weights.tolist(),
            "intercept": self.intercept,
            "rmse": self.rmse,
            "srcc": self.srcc,
            "benchmark": self.benchmark,
        }
        if self.benchmark in benchmarks.RATED_FOLDERS:
            title, column, _ = benchmarks.RATED_FOLDERS[self.benchmark]
            plain["benchmark"] = f"{title}, {column.removesuffix('_mean')}"
            plain["low"], plain["high"] = benchmarks.RATED_FROM_TO
        return plain


def names() -> tuple[str, ...]:
    """Released networks."""
    return tuple(sorted(path.stem for path in FOLDER.glob("*.safetensors")))


@cache
def _header(name: str) -> dict:
    path = FOLDER / f"{name}.json"
    if not path.exists():
        raise ValueError(f"name must be one of {', '.join(names()) or 'none'}, got {name!r}")
    return files.read_json(path)


def load_pretrained(name: str = DEFAULT, device: str = "cpu") -> training.Network:
    """A released network, frozen, in evaluation mode. Needs no network connection.

    Args:
        name: one of `names()`.
        device: "cpu" or "cuda".

    Returns:
        backbone: uint8 (N, 3, H, W) to the taps conv1 … conv5. task: its head, with `logits(taps)`
        of the 22 classes and `embedding(taps)`, h of eq. 2.

    Raises:
        ValueError: an unknown name, or the file is not the released one.
    """
    from safetensors.torch import load_file

    header, path = _header(name), FOLDER / f"{name}.safetensors"
    if not path.exists() or files.sha256(path) != header["sha256"]:
        raise ValueError(f"{path} is missing or not the released file: install the package again")
    return _built(header["config"], load_file(path)).to(device, memory_format=torch.channels_last)


def config(name: str = DEFAULT) -> training.PretrainConfig:
    """How a released network was trained. Raises ValueError for an unknown name."""
    return training.config_of(_header(name))


def scorer(name: str = DEFAULT) -> Scorer:
    """The linear model of ratings of a released network. Raises ValueError for an unknown name."""
    stored = dict(_header(name)["scorer"])
    return Scorer(np.array(stored.pop("weights")), **stored)


def pooled(taps: dict[str, Tensor]) -> Tensor:
    """What a scorer takes: means of the channels of all taps side by side, float (N, 1376)."""
    return torch.cat([features.pool_mean(tap) for tap in taps.values()], 1)


@torch.inference_mode()
def score(model: nn.Module, images: Tensor, name: str = DEFAULT) -> Tensor:
    """Predicted mean rating, 1 to 7, of patches.

    Args:
        model: of `load_pretrained(name)`.
        images: uint8 (N, 3, S, S); the network was trained at `config(name).size_px`.

    Returns:
        float64 (N,) on the CPU; its uncertainty is `scorer(name).rmse`.
    """
    device = next(model.parameters()).device
    found = [pooled(model.backbone(batch.to(device))).cpu() for batch in images.split(BATCH)]
    return scorer(name)(torch.cat(found))


def central_square(path: Path, trained: training.PretrainConfig) -> Tensor:
    """The middle of a photograph as the network takes it, uint8 (3, S, S).

    Raises:
        photographs.UnreadableImage: the file cannot be used.
    """
    pixels = photographs.decode(path, trained.shorter_edge_px)
    top, left = ((side - trained.size_px) // 2 for side in pixels.shape[:2])
    square = pixels[top : top + trained.size_px, left : left + trained.size_px]
    return torch.from_numpy(square.copy()).permute(2, 0, 1)


def score_folder(
    folder: Path, name: str = DEFAULT, device: str = "cpu"
) -> tuple[list[dict], list[tuple[str, str]]]:
    """Score every photograph of a folder; see `score_sources`.

    What was passed over, such as HEIC, stands among the problems.

    Args:
        folder: searched as `photographs.find` does.

    Raises:
        FileNotFoundError, ValueError: as `photographs.find`.
    """
    surveyed = photographs.survey(folder)
    rows, problems = score_sources(surveyed.sources, name, device)
    return rows, [*problems, *surveyed.passed_over]


def score_sources(
    sources: list[photographs.Source], name: str = DEFAULT, device: str = "cpu"
) -> tuple[list[dict], list[tuple[str, str]]]:
    """Score photographs by their central squares.

    Returns:
        Rows of file, score (predicted mean rating, 1 to 7) and degraded (the pretext task's
        probability that one of its operations was applied, those that change no pixel left out),
        best first; and (file, problem) of what could not be read.
    """
    trained, model, told = config(name), load_pretrained(name, device), scorer(name)
    as_it_is = [
        item.index
        for item in ops.CLASSES
        if item.operation is None
        or item.name == "gaussian_blur/1"
        and trained.options.preset == "paper"  # the identity
    ]
    rows, problems = [], []
    for start in range(0, len(sources), BATCH):
        squares, kept = [], []
        for source in sources[start : start + BATCH]:
            try:
                squares.append(central_square(source.path, trained))
                kept.append(source.name)
            except photographs.UnreadableImage as error:
                problems.append((source.name, str(error)))
        if not kept:
            continue
        with torch.inference_mode():
            taps = model.backbone(torch.stack(squares).to(device))
            none = model.task.logits(taps).softmax(1)[:, as_it_is].sum(1).tolist()
            scores = told(pooled(taps).cpu()).tolist()
        rows += [
            {"file": file, "score": value, "degraded": 1 - share}
            for file, value, share in zip(kept, scores, none, strict=True)
        ]
    return sorted(rows, key=lambda row: -row["score"]), problems


def _built(settings: dict, tensors: dict[str, Tensor]) -> training.Network:
    whole = {k: v.float() if v.is_floating_point() else v for k, v in tensors.items()}
    return network.frozen(training.config_of({"config": settings}), whole)


# -- making a release


def rounded(model: nn.Module) -> dict[str, Tensor]:
    """A model's tensors with all matrices in half precision; batch norm stays as it is."""
    return {
        name: tensor.half() if tensor.ndim > 1 else tensor
        for name, tensor in model.state_dict().items()
    }


def release(runs: Runs, run: dict, asked: Asked, config: probing.ProbeConfig) -> dict:
    """The record of a run's rounded weights: how well a linear model on them predicts ratings.

    Args:
        run: record of the pretraining.
        asked: a benchmark with ratings.
        config: its folds, repeats, penalties and seed are used.

    Returns:
        The record; its table `scorer` holds the linear model, fitted on all entries.
    """
    settings, identity, count = runs.judged(run, asked, VIEW)
    settings |= {"probe": records.resolved(config), "rounded": True}

    def compute(run_id: str) -> dict:
        from sklearn.linear_model import RidgeCV

        trained = training.config_of(run)
        judged = runs.entries_of(asked, trained.shorter_edge_px, trained.size_px)
        model = _built(run["config"], rounded(runs.model_of(run)))
        with torch.inference_mode():
            values = torch.cat(
                [
                    pooled(model.backbone(judged.batch_of(rows)))
                    for rows in torch.arange(len(judged)).split(BATCH)
                ]
            )
        deviation, mean = torch.std_mean(values.double(), 0, correction=0)
        deviation = deviation.clamp_min(1e-6)
        standard = (values.double() - mean) / deviation
        found = probing.probe(standard.float(), judged.positive, judged.mos, config, judged.groups)
        guess = found.scores["rating"]
        # the probe's penalties, in the units of scikit-learn
        penalties = np.array(config.penalties) * standard.square().sum().item()
        fitted = RidgeCV(penalties).fit(standard.numpy(), judged.mos)
        weights = torch.from_numpy(fitted.coef_) / deviation
        scorer = {
            "weights": [float(f"{w:.8g}") for w in weights.tolist()],
            "intercept": float(fitted.intercept_ - mean @ weights),
            "benchmark": asked.name,
            "rmse": float(np.sqrt(((guess - judged.mos) ** 2).mean())),
            "srcc": float(np.mean([metrics.srcc(judged.mos, row) for row in guess])),
            "plcc": float(np.mean([metrics.plcc(judged.mos, row) for row in guess])),
            "n": len(judged),
        }
        rows = [{"dataset": asked.name, "layer": features.ALL, **row} for row in found.rows]
        return {"metrics": rows, "tables": {"scorer": scorer}}

    return runs.recorded(
        "release",
        run["method"],
        settings,
        [identity],
        run["seed"],
        compute,
        Work(training.config_of(run), forward=count, entries=count),
        run["checkpoint_sha256"],
    )


def write(runs: Runs, run: dict, released: dict, name: str = DEFAULT) -> Path:
    """Put a release into the package: NAME.safetensors and NAME.json.

    Args:
        run: record of the pretraining, its checkpoint in the store.
        released: its record of `release`.
    """
    from safetensors.torch import save

    model = runs.model_of(run)
    content = save({key: value.contiguous() for key, value in rounded(model).items()})
    path = FOLDER / f"{name}.safetensors"
    files.write_bytes(path, content)
    files.write_json(
        FOLDER / f"{name}.json",
        {
            "sha256": files.sha256(path),
            "config": run["config"],
            "run": run["run_id"],
            "record": released["run_id"],
            "scorer": released["tables"]["scorer"],
        },
    )
    _header.cache_clear()
    return path
