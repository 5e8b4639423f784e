"""Seconds of the exact probes on 10,000 photographs, beside scikit-learn and a bare matrix product.

    python benchmarks/probes.py [--threads 2] [--entries 10000]

Features are generated: correlated Gaussians through a ReLU, with a spectrum like that of
convolutional features, and stored as the study stores its own, float16, a file a layer. The split
is fixed, nine tenths for training, as AADB's. Everything runs in this process, in turns; other work
on the machine slows all rows alike, so trust the ratios.

The paper's protocol, stochastic descent through the frozen network in every epoch, is taken from
measured rates: of the network's forward pass on patches of 227 px, times entries, epochs, probes.
It ends at the same accuracy at best, being the same model with the same penalty.
"""

import tempfile
import time
from pathlib import Path

import numpy as np
import timing
import torch
from operations import photographs
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedKFold  # noqa: F401  # loaded before the clock starts

from aesthlib import features, probes
from aesthlib.models import LAYERS, build
from aesthlib.probes import ProbeConfig

VALUES = (9600, 9216, 9600, 9600, 9216)  # of the five layers
LATENT = 2000
FRACTIONS = tuple(step / 20 for step in range(1, 11))
SUBSETS = 5
PAPER_EPOCHS = 40


def generate(folder: Path, entries: int) -> tuple[np.ndarray, np.ndarray]:
    """Write conv1.npy … conv5.npy; returns ratings and the test split."""
    generator = torch.Generator().manual_seed(0)
    latent = torch.randn(entries, LATENT, generator=generator)
    scale = torch.arange(1, LATENT + 1).float() ** -0.6
    for layer, values in zip(LAYERS, VALUES, strict=True):
        mixing = torch.randn(LATENT, values, generator=generator)
        noise = 0.3 * torch.randn(entries, values, generator=generator)
        found = (latent * (scale / scale.norm()) @ mixing + noise).relu()
        np.save(folder / f"{layer}.npy", found.half().numpy())
    direction = torch.randn(LATENT, generator=generator)
    signal = latent * torch.arange(1, LATENT + 1).float() ** -0.5 @ direction
    rating = signal / signal.std() + 0.8 * torch.randn(entries, generator=generator)
    test = np.zeros(entries, bool)
    test[torch.randperm(entries, generator=generator)[: entries // 10].numpy()] = True
    return rating.double().numpy(), test


def timed(work) -> tuple[float, object]:
    """Seconds and result."""
    started = time.perf_counter()
    result = work()
    return time.perf_counter() - started, result


def main() -> None:
    given = timing.arguments(__doc__.splitlines()[0], threads=2, entries=10_000)
    if given.small:
        given.entries, given.rounds = 200, 1
    entries = given.entries
    config = ProbeConfig()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        ratings, test = generate(folder, entries)
        positive = ratings >= 0
        print(
            f"{entries} entries, {int(test.sum())} of them test; {torch.get_num_threads()} threads"
        )

        first = features.load(folder, LAYERS[0])
        columns = torch.randn(first.shape[1], 36, generator=torch.Generator().manual_seed(1))
        first.T @ (first @ columns)
        passing = min(timed(lambda: first.T @ (first @ columns))[0] for _ in range(3))
        rate = 4 * first.numel() * 36 / passing / 1e9
        print(
            f"one pass, X and its transpose times 36 columns: {passing:.2f} s, {rate:.0f} GFLOP/s"
        )

        whole = 0.0
        for layer in LAYERS:
            seconds, found = timed(
                lambda layer=layer: probes.probe(
                    features.load(folder, layer), positive, ratings, config, test=test
                )
            )
            whole += seconds
            words = ", ".join(f"{row['metric']} {row['value']:.3f}" for row in found.rows)
            print(f"{layer}: {seconds:.1f} s, {seconds / passing:.0f} passes; {words}")
        print(f"exact probe of five layers: {whole:.1f} s (goal: under 60 s)")

        third = features.load(folder, "conv3")
        low, _ = timed(
            lambda: probes.low_data(third, positive, config, FRACTIONS, SUBSETS, test=test)
        )
        print(f"low data, {len(FRACTIONS)} points of {SUBSETS} subsets: {low:.1f} s, "
              f"{low / whole:.2f} of the five layers (goal: under 2)")  # fmt: skip

        rows = np.flatnonzero(~test)
        inputs = third.numpy() - third.numpy().mean(0)
        inputs /= np.sqrt((inputs**2).sum(1).mean())
        weight = 1e-2

        def peer():
            model = LogisticRegression(C=1 / (weight * len(rows)), tol=1e-4, max_iter=5000)
            return model.fit(inputs[rows], positive[rows])

        single, model = timed(peer)
        right = (model.predict(inputs[test]) == positive[test]).mean()
        fits = (config.inner_folds * len(config.penalties) + 1) * len(LAYERS)
        print(f"scikit-learn, one logistic fit of conv3, penalty {weight:g}: {single:.1f} s, "
              f"accuracy {right:.3f}")  # fmt: skip
        print(f"the probe's {fits} logistic fits at that pace: {fits * single:.0f} s, "
              f"{fits * single / whole:.1f} times ours, which fits the ratings too")  # fmt: skip

        images = photographs(16, 227)
        network = build("alexnet", 0).to(memory_format=torch.channels_last).eval()

        @torch.inference_mode()
        def forward():
            with torch.autocast("cpu", torch.bfloat16):
                network(images)

        passing = timing.in_turns({"forward": forward}, given.rounds)["forward"]
        forward_all = PAPER_EPOCHS * len(rows) * sorted(passing)[len(passing) // 2] / len(images)
        share = sum(FRACTIONS) / len(FRACTIONS)  # of the entries, and of a fit's time
        points = len(FRACTIONS) * SUBSETS
        table = []
        for group, ours, fit_count, passes in (
            ("five layers", whole, fits, fits / len(LAYERS)),  # a pass serves all layers
            ("low data", low, points * fits / len(LAYERS) * share, points * share),
        ):
            table += timing.rows(group, {
                "aesthlib": [ours], "scikit-learn, at one fit's pace": [fit_count * single],
                "through the frozen network": [passes * forward_all],
            }, entries)  # fmt: skip
    timing.report("probes", table, given, logistic_fits=fits, paper_epochs=PAPER_EPOCHS)


if __name__ == "__main__":
    main()
