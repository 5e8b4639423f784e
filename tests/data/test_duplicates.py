"""Near-duplicates: copies are found however they were saved, and no others."""

import io

import numpy as np
import pytest
import torch
from PIL import Image

from aesthlib.data import duplicates, embedded, photographs
from aesthlib.data.duplicates import near_duplicates
from aesthlib.data.photographs import Pack

EDGE = 128


def pack_of(images, name="made"):
    """A pack of uint8 (H, W, 3) arrays of any sizes by name."""
    sizes = torch.tensor([image.shape[:2] for image in images.values()])
    bytes_of = 3 * sizes.prod(1)
    return Pack(
        name,
        "0" * 64,
        torch.from_numpy(np.concatenate([v.ravel() for v in images.values()])),
        bytes_of.cumsum(0) - bytes_of,
        sizes[:, 0],
        sizes[:, 1],
        tuple(images),
    )


@pytest.fixture(scope="module")
def originals():
    """The embedded photographs by name, uint8 (H, W, 3)."""
    return {
        source.name.split("/")[1]: photographs.decode(source.path, EDGE)
        for source in embedded.sources()
    }


def saved_again(image, scale, quality=60):
    """Resized and compressed anew."""
    height, width = image.shape[:2]
    small = Image.fromarray(image).resize((round(width * scale), round(height * scale)))
    buffer = io.BytesIO()
    small.save(buffer, "jpeg", quality=quality)
    return np.array(Image.open(buffer))


@pytest.fixture(scope="module")
def copies(originals):
    """Of some of them, each altered in its own way, and one photograph that is no copy."""
    return {
        "smaller": saved_again(originals["astronaut.png"], 0.6),
        "larger": saved_again(originals["chelsea.png"], 1.7, 30),
        "mirrored": saved_again(originals["coffee.png"][:, ::-1], 0.8),
        "grey levels": originals["rocket.jpg"],
        "other": saved_again(originals["china.jpg"][:, ::-1], 1.0)[20:, :90],
    }


SAME = {
    ("astronaut.png", "smaller"),
    ("chelsea.png", "larger"),
    ("coffee.png", "mirrored"),
    ("rocket.jpg", "grey levels"),
}


def test_copies_are_found_and_nothing_else(originals, copies):
    """A part of a photograph is no copy of it."""
    pairs, below = near_duplicates(pack_of(originals), pack_of(copies))
    assert {(pair.one, pair.other) for pair in pairs} == SAME
    assert [pair.likeness for pair in pairs] == sorted((p.likeness for p in pairs), reverse=True)
    assert pairs[0].other == "grey levels" and pairs[0].likeness == pytest.approx(1, abs=1e-4)
    assert all(duplicates.FINE < pair.likeness <= 1.0001 for pair in pairs)
    assert 0 <= below <= duplicates.FINE


def test_the_order_of_two_packs_does_not_matter(originals, copies):
    forth, below = near_duplicates(pack_of(originals), pack_of(copies))
    back, as_well = near_duplicates(pack_of(copies), pack_of(originals))
    assert {(p.one, p.other) for p in forth} == {(p.other, p.one) for p in back}
    for pair, other in zip(forth, back, strict=True):
        assert pair.likeness == pytest.approx(other.likeness, abs=1e-4)
    assert below == pytest.approx(as_well, abs=1e-4)


def test_within_a_pack_every_pair_stands_once(originals, copies):
    assert near_duplicates(pack_of(originals))[0] == []
    pairs, _ = near_duplicates(pack_of(originals | copies))
    assert {(pair.one, pair.other) for pair in pairs} == SAME and len(pairs) == len(SAME)
    three = dict(zip("abc", [originals["coins.png"]] * 3, strict=True))
    pairs, _ = near_duplicates(pack_of(three))
    assert {(pair.one, pair.other) for pair in pairs} == {("a", "b"), ("a", "c"), ("b", "c")}


def sky(seed, detail):
    """Dark above and light below, and a structure of its own."""
    ramp = np.linspace(30, 220, 100)[:, None, None] * np.ones((1, 150, 3))
    own = np.random.default_rng(seed).normal(size=(25, 30, 1)).repeat(4, 0).repeat(5, 1)
    return (ramp + detail * own).clip(0, 255).round().astype(np.uint8)


def test_two_skies_are_candidates_and_no_duplicates():
    """They look alike coarsely; `below` says how near they come."""
    skies = pack_of({"one": sky(0, 8), "other": sky(1, 8)})
    pairs, below = near_duplicates(skies)
    assert pairs == [] and 0 < below < duplicates.FINE
    again = {"one": sky(0, 8), "copy": saved_again(sky(0, 8), 0.9, 80)}
    pairs, _ = near_duplicates(pack_of(again))
    assert [(pair.one, pair.other) for pair in pairs] == [("one", "copy")]


def test_without_a_candidate_nothing_lies_below():
    """Nor does a photograph without any contrast count as like another."""
    flat = np.full((60, 70, 3), 100, np.uint8)
    falling = sky(0, 0)[::-1].copy()
    pack = pack_of({"flat": flat, "again": flat, "rising": sky(0, 0), "falling": falling})
    assert near_duplicates(pack) == ([], 0.0)


def test_what_is_compared_at_once_changes_nothing(originals, copies, monkeypatch):
    packs = pack_of(originals | copies), pack_of(copies)
    whole = [near_duplicates(packs[0]), near_duplicates(*packs)]
    monkeypatch.setattr(duplicates, "ROWS", 3)
    monkeypatch.setattr(duplicates, "CANDIDATES", 1)
    for found, expected in zip(
        [near_duplicates(packs[0]), near_duplicates(*packs)], whole, strict=True
    ):
        assert [pair[:2] for pair in found[0]] == [pair[:2] for pair in expected[0]]
        assert found[1] == pytest.approx(expected[1], abs=1e-5)


def test_a_pair_that_is_found_does_not_lie_below():
    """Nearly symmetric: mirrored, it is a candidate that is not the same picture."""
    turned = sky(2, 12).astype(float) + 0.4 * sky(2, 12)[:, ::-1]
    near = (turned / 1.4).round().astype(np.uint8)
    pairs, below = near_duplicates(pack_of({"one": near, "copy": near.copy()}))
    assert [(pair.one, pair.other) for pair in pairs] == [("one", "copy")]
    assert below == 0
