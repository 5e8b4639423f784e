"""The photographs that scikit-image and scikit-learn ship."""

import numpy as np
import pytest

from aesthlib.data import embedded
from aesthlib.data.photographs import decode


def test_every_photograph_is_there_and_decodes():
    sources = embedded.sources()
    assert len(sources) == len(embedded.PRETRAINING) + len(embedded.PROBING) == 15
    for source in sources:
        pixels = decode(source.path, 67)
        assert pixels.dtype == np.uint8 and min(pixels.shape[:2]) == 67, source.name


def test_no_photograph_stands_on_both_sides():
    sources = embedded.sources()
    sides = {split: {s.name for s in sources if s.split == split} for split in ("train", "probe")}
    assert len(sides["train"]) == 9 and len(sides["probe"]) == 6
    assert not sides["train"] & sides["probe"]


def test_a_photograph_that_is_no_longer_shipped_is_named(monkeypatch):
    monkeypatch.setattr(embedded, "PROBING", (("gone.png", "skimage"),))
    with pytest.raises(FileNotFoundError, match="gone.png is missing: install .* skimage"):
        embedded.sources()
