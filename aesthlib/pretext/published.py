"""No pretraining here: the ImageNet weights that torchvision publishes."""

from pathlib import Path

import torch
from torch import Tensor, nn

from .. import models
from ..store import files
from . import Measures, Task

WEIGHTS = {  # by backbone: torchvision's network and the name of its weights
    "resnet18": ("resnet18", "ResNet18_Weights.IMAGENET1K_V1"),
    "alexnet_torchvision": ("alexnet", "AlexNet_Weights.IMAGENET1K_V1"),
}


def fetch(backbone: str) -> dict[str, Tensor]:
    """Published weights by torchvision's names, from torch's cache or the network.

    The file is held to the hash in its name, and nothing in it but tensors is unpickled.

    Args:
        backbone: in `WEIGHTS`.

    Raises:
        OSError: there is neither file nor network; says which file to put where.
        ValueError: the file in the cache is not the published one.
    """
    from torchvision.models import get_weight

    weights = get_weight(WEIGHTS[backbone][1])
    cached = Path(torch.hub.get_dir()) / "checkpoints" / weights.url.rsplit("/", 1)[1]
    prefix = cached.stem.rsplit("-", 1)[1]
    if cached.exists() and not files.sha256(cached).startswith(prefix):
        raise ValueError(f"{cached} is not the published file, its hash is another: delete it")
    try:
        return weights.get_state_dict(progress=False, check_hash=True, weights_only=True)
    except OSError as error:
        raise OSError(
            f"no network to fetch the published weights of {backbone} ({error}): put the file of "
            f"{weights.url} at {cached}, or run this where there is a network"
        ) from error


class Published(Task):
    """ImageNet weights of torchvision, trained with labels by others: one pass, nothing moves.

    They come with the first step of a pass, not when a checkpoint is loaded, so that what was
    stored needs no network. Batch-norm statistics are ImageNet's.
    """

    trains = False

    @classmethod
    def build(cls, backbone: str, seed: int) -> nn.Module:
        """The backbone, with random weights until the first step.

        Raises:
            ValueError: torchvision has no weights that fit the backbone.
        """
        if backbone not in WEIGHTS:
            raise ValueError(
                f"backbone must be one of {', '.join(WEIGHTS)} for published weights, "
                f"got {backbone!r}"
            )
        built = models.build(backbone, seed)
        built.published = backbone
        return built

    def __init__(self, backbone: nn.Module, options: Task.Options, seed: int):
        super().__init__(backbone, options, seed)
        self.fetched = False

    @torch.no_grad()
    def learn(self, backbone: nn.Module, batch: tuple, epoch: int) -> tuple[Tensor, Measures]:
        """Loss 0; the first step in training mode puts the weights into the backbone.

        Raises:
            OSError, ValueError: as `fetch`.
        """
        if self.training and not self.fetched:
            import torchvision

            with torch.random.fork_rng(devices=[]):  # torchvision draws from the global generator
                network = getattr(torchvision.models, WEIGHTS[backbone.published][0])(weights=None)
            network.load_state_dict(fetch(backbone.published))
            theirs = network.state_dict().values()  # the same layers in the same order, then more
            names = backbone.state_dict()
            backbone.load_state_dict(dict(zip(names, theirs, strict=False)))
            self.fetched = True
        (photographs,) = batch
        return torch.zeros((), device=photographs.device), Measures(len(photographs))
