"""How features are judged: the settings of a probe."""

from dataclasses import dataclass

from ..store import settings

SOLVERS = ("exact", "sgd", "nonlinear")


@dataclass(frozen=True)
class ProbeConfig:
    """How features are judged.

    Attributes:
        solver: "exact", the minimum of the penalized loss; "sgd", the paper's schedule; or
            "nonlinear", one hidden layer by the same schedule.
        folds: of the stratified cross-validation where there is no fixed split; the same for every
            method.
        repeats: of the cross-validation, each with other folds. With a fixed split, of SGD from
            other draws; the exact solution has one.
        inner_folds: within the training entries, where the penalty is chosen; fewer where a class
            has fewer entries, and with a single entry of a class the strongest penalty is taken.
        penalties: L2, on features scaled to a mean squared norm of 1.
        epochs: of solvers "sgd" and "nonlinear", as all that follows but the seed; fixed
            beforehand, not stated in the paper.
        learning_rate: at the start.
        learning_rate_drop: factor after every so many epochs.
        drop_every_epochs: epochs between drops.
        batch_size: entries a step.
        momentum: Nesterov's.
        weight_decay: on all weights.
        hidden_units: of solver "nonlinear".
        dropout: of the hidden units, as a share.
        seed: of folds, subsets, weights, batches and intervals.
    """

    solver: str = "exact"
    folds: int = 5
    repeats: int = 5
    inner_folds: int = 3
    penalties: tuple[float, ...] = (1e-4, 1e-3, 1e-2, 1e-1, 1.0, 10.0)
    epochs: int = 30
    learning_rate: float = 0.01
    learning_rate_drop: float = 0.2
    drop_every_epochs: int = 10
    batch_size: int = 64
    momentum: float = 0.9
    weight_decay: float = 5e-4
    hidden_units: int = 256
    dropout: float = 0.5
    seed: int = 0

    def __post_init__(self):
        if self.solver not in SOLVERS:
            raise ValueError(f"solver must be one of {', '.join(SOLVERS)}, got {self.solver!r}")
        settings.settle(self)
        settings.hold(
            self,
            {
                "folds": 2,
                "repeats": 1,
                "inner_folds": 2,
                "epochs": 1,
                "drop_every_epochs": 1,
                "batch_size": 1,
                "learning_rate": 0,
                "learning_rate_drop": 0,
                "momentum": 0,
                "weight_decay": 0,
                "hidden_units": 1,
                "dropout": 0,
            },
        )
        if self.dropout >= 1:
            raise ValueError(f"dropout must be below 1, got {self.dropout}")
        if not self.penalties or min(self.penalties) <= 0:
            raise ValueError(f"penalties must be positive, got {self.penalties}")
        object.__setattr__(self, "penalties", tuple(sorted(map(float, self.penalties))))
