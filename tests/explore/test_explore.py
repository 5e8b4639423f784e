"""The explorer: its operations on the page agree with aesthlib's, pixel by pixel."""

import base64
import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from aesthlib import explore, ops
from aesthlib.data import embedded
from aesthlib.data.photographs import decode
from aesthlib.ops import table

STATIC = Path(__file__).resolve().parents[2] / "book" / "extra" / "explorer"
NODE = """
require(process.argv[1]);
const operations = globalThis.AesthlibOperations;
const unpack = (p) => ({ ...p, data: Uint8Array.from(Buffer.from(p.data, "base64")) });
const out = JSON.parse(require("fs").readFileSync(0)).map(({ name, args, photo, partner }) => {
  const more = partner ? [{ partner: unpack(partner) }] : [];
  const got = operations[name](unpack(photo), ...args, ...more);
  return { ...got, data: Buffer.from(got.data).toString("base64") };
});
process.stdout.write(JSON.stringify(out));
"""


def packed(photograph):
    """uint8 (1, 3, H, W) as the page holds it, its bytes in base64."""
    pixels = photograph[0].permute(1, 2, 0).contiguous().numpy()
    height, width = pixels.shape[:2]
    return {"width": width, "height": height, "data": base64.b64encode(pixels.tobytes()).decode()}


def unpacked(got):
    pixels = torch.frombuffer(bytearray(base64.b64decode(got["data"])), dtype=torch.uint8)
    return pixels.view(got["height"], got["width"], 3).permute(2, 0, 1)[None]


def on_the_page(cases):
    """Results of the page's functions: cases (name, arguments, photograph, partner or None)."""
    node = shutil.which("node")
    if not node:
        pytest.skip("no node on this machine: it runs the page's operations")
    asked = [
        {
            "name": name,
            "args": args,
            "photo": packed(photo),
            "partner": None if other is None else packed(other),
        }
        for name, args, photo, other in cases
    ]
    done = subprocess.run(
        [node, "-e", NODE, str(STATIC / "operations.js")],
        input=json.dumps(asked),
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    return [unpacked(got) for got in json.loads(done.stdout)]


@pytest.fixture(scope="module")
def photos():
    """Two photographs of odd sides, and a corner smaller than many blocks."""
    found = {source.path.stem: source.path for source in embedded.sources()}

    def cut(name, height, width):
        pixels = torch.from_numpy(decode(found[name], 227).copy()).permute(2, 0, 1)[None]
        return pixels[..., :height, :width].contiguous()

    return [cut("coffee", 227, 301), cut("china", 227, 301), cut("chelsea", 17, 5)]


# Largest difference of a value, and share of values that may differ at all.
BOUNDS = {
    "jpeg": (0, 0),
    "rotation": (0, 0),
    "quantization": (0, 0),
    "pixelation": (0, 0),
    "exposure": (0, 0),
    "mixup": (0, 0),
    "downsampling": (1, 0.0005),
    "gaussian_blur": (1, 0.06),
}


@pytest.mark.parametrize("name", BOUNDS)
def test_the_page_degrades_as_aesthlib_does(name, photos):
    control, generator = explore.control(name), torch.Generator()
    values = [value for value in control.stops if value is not None][:: 5 if name == "jpeg" else 1]
    values += table.operation(name).levels
    partners = {True: [photos[1], photos[0]], False: [None] * 3}[name == "mixup"]
    cases = [
        (name, [value], photo, other)
        for photo, other in zip(photos, partners, strict=False)
        for value in values
    ]
    largest, share = BOUNDS[name]
    for case, got in zip(cases, on_the_page(cases), strict=True):
        _, (value,), photo, other = case
        expected = table.operation(name).apply(photo, value, other, generator, table.STANDARD)
        assert got.shape == expected.shape
        apart = (got.int() - expected.int()).abs()
        assert apart.max() <= largest, f"{name} {value}: {apart.max()} levels apart"
        # a tie may fall the other way in a pixel or two of a small photograph
        assert (apart > 0).sum() <= max(3, share * apart.numel()), f"{name} {value}"


def test_the_page_draws_noise_of_the_same_distribution(photos):
    from scipy.stats import ks_2samp

    grey = torch.full((1, 3, 200, 300), 128, dtype=torch.uint8)
    levels = table.operation("gaussian_noise").levels
    for value, got in zip(
        levels, on_the_page([("gaussian_noise", [v], grey, None) for v in levels]), strict=True
    ):
        expected = ops.gaussian_noise(grey, value, torch.Generator().manual_seed(1))
        for channel in range(3):
            ours, theirs = (x[0, channel].flatten().numpy() for x in (got, expected))
            assert ks_2samp(ours, theirs).statistic < 0.01  # 60,000 values each
        assert not torch.equal(got[0, 0], got[0, 1])
        pixels = got[0, 0].float().flatten()
        assert abs(torch.corrcoef(torch.stack([pixels[:-1], pixels[1:]]))[0, 1]) < 0.02


def test_the_page_shuffles_as_many_blocks_and_keeps_their_pixels(photos):
    ramp = torch.arange(45 * 67 * 3).view(1, 45, 67, 3).permute(0, 3, 1, 2) % 251
    ramp = ramp.to(torch.uint8).contiguous()
    values = (0.01, 0.1, 0.5, 1.0)
    results = on_the_page([("patch_shuffle", [value], ramp, None) for value in values])
    for value, got in zip(values, results, strict=True):
        expected = ops.patch_shuffle(ramp, value, torch.Generator().manual_seed(1))
        counts = []
        for image in (got, expected):
            changed = 0
            for top in range(0, 45, 8):
                for left in range(0, 67, 8):
                    was, now = (
                        x[0, :, top : top + 8, left : left + 8].flatten(1) for x in (ramp, image)
                    )
                    changed += not torch.equal(was, now)
                    pixels = [sorted(map(tuple, x.T.tolist())) for x in (was, now)]
                    assert pixels[0] == pixels[1]
            counts.append(changed)
        assert counts[0] == counts[1]


def test_the_page_resizes_and_cuts_as_pillow_does(photos):
    coffee, china, _ = photos
    asked = [("patch", [144, 128], coffee, None), ("patch", [256, 227], coffee, None)]
    for got, (_, size, photo, _) in zip(on_the_page(asked), asked, strict=True):
        assert (got.int() - explore.patch(photo, *size).int()).abs().max() <= 1
    tall = coffee.rot90(1, (2, 3)).contiguous()
    got = on_the_page([("apply", ["mixup", 1], tall, china)])[0]
    assert torch.equal(got, explore.fit(china, tall))


# --- the sliders -----------------------------------------------------------------------------


@pytest.mark.parametrize("control", explore.CONTROLS, ids=lambda control: control.name)
def test_a_slider_holds_the_levels_and_the_way_back(control):
    row = table.operation(control.name)
    for preset in ops.PRESETS:
        assert set(row.values(preset)) <= set(control.stops)
    assert len(set(control.stops)) == len(control.stops)
    assert control.say(control.stops[control.off]) == "off"
    values = [value for value in control.stops if value is not None]
    assert values in (sorted(values), sorted(values, reverse=True))


def test_sliders_stand_in_the_order_of_the_table():
    assert tuple(control.name for control in explore.CONTROLS) == ops.NAMES


def test_a_chain_applies_its_steps_in_order(photos):
    photo = photos[0]
    steps = (("rotation", 90), ("exposure", 0.5), ("mixup", 0.4))
    got = explore.apply(photo, steps, photos[1])
    turned = ops.expose(ops.rotate(photo, 90), 0.5)
    assert torch.equal(got, ops.mixup(turned, 0.4, explore.fit(photos[1], turned)))
    assert torch.equal(explore.apply(photo, ()), photo)
    with pytest.raises(ValueError, match="partner"):
        explore.apply(photo, (("mixup", 0.4),))


def test_the_code_reproduces_the_chain(photos):
    photo, partner = photos[:2]
    steps = tuple(
        (control.name, table.operation(control.name).levels[0]) for control in explore.CONTROLS
    )
    names = {"x": photo, "partner": partner, "ops": ops, "explore": explore, "torch": torch}
    exec(explore.code(steps), names)
    assert torch.equal(names["x"], explore.apply(photo, steps, partner))


# --- in Jupyter ------------------------------------------------------------------------------


def test_the_notebook_explorer_shows_what_its_code_makes(photos):
    pytest.importorskip("ipywidgets")
    photo, partner = photos[0][0], photos[1][0].permute(1, 2, 0).numpy()
    shown = explore.degradations(photo, partner)
    assert shown.code.startswith("#") and torch.equal(shown.degraded, photos[0])
    shown.sliders["jpeg"].value = 10
    shown.sliders["mixup"].value = 0.4
    shown.sliders["gaussian_noise"].value = 0.2
    shown.move("mixup", -20)
    assert [name for name, _ in shown.steps] == ["mixup", "jpeg", "gaussian_noise"]
    names = {"x": photos[0], "partner": photos[1], "ops": ops, "explore": explore, "torch": torch}
    exec(shown.code, names)
    assert torch.equal(names["x"], shown.degraded)
    assert shown.told is None and "widget-view+json" in str(shown._repr_mimebundle_())
    shown.sliders["jpeg"].value = "off"
    assert [name for name, _ in shown.steps] == ["mixup", "gaussian_noise"]


def test_the_notebook_explorer_asks_the_model(photos, network, probe):
    pytest.importorskip("ipywidgets")
    shown = explore.degradations(photos[0][0], photos[1][0], network, probe)
    assert shown.told["distance"] == 0 and shown.told["score"] == shown.told["score_original"]
    shown.sliders["gaussian_blur"].value = 2.5
    assert shown.told["distance"] > 0
    assert abs(float(shown.told["probabilities"].sum()) - 1) < 1e-5
    assert "± 0.80" in shown._told.value


def test_photographs_of_many_kinds_are_read(photos, tmp_path):
    from PIL import Image

    pixels = photos[0][0].permute(1, 2, 0).numpy()
    Image.fromarray(pixels).save(tmp_path / "photo.png")
    for image in (photos[0][0], pixels, Image.fromarray(pixels), tmp_path / "photo.png"):
        assert torch.equal(explore.read(image), photos[0])
    for wrong in (photos[0], photos[0][0].float(), pixels[..., 0], 5):
        with pytest.raises(ValueError, match="image must be"):
            explore.read(wrong)


def test_importing_the_package_and_the_explorer_is_cheap():
    line = "import sys, aesthlib; assert 'torch' not in sys.modules and 'PIL' not in sys.modules"
    subprocess.run([sys.executable, "-c", line], check=True)
