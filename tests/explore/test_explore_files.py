"""What the explore page makes of files, beside the package: its own scripts in a bare page."""

import base64
import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from aesthlib import explore
from aesthlib.data import decode

SCRIPTS = Path(__file__).resolve().parents[2] / "book/extra/explorer"
pytestmark = pytest.mark.browser

READ = """async ([text, longest]) => {
  const bytes = Uint8Array.from(atob(text), (c) => c.charCodeAt(0));
  let { stored } = await AesthlibFiles.read(new File([bytes], "mine"));
  if (longest) {
    const scale = longest / Math.max(stored.width, stored.height);
    const O = AesthlibOperations;
    const sides = [stored.width, stored.height].map((side) => O.round(side * scale));
    stored = O.resize(stored, ...sides);
  }
  let out = "";
  for (let i = 0; i < stored.data.length; i += 8192) {
    out += String.fromCharCode(...stored.data.subarray(i, i + 8192));
  }
  return [stored.height, stored.width, btoa(out)];
}"""


@pytest.fixture
def page(browser):
    opened = browser.new_page()
    opened.set_content("<p>files</p>")
    for name in ("operations.js", "files.js"):
        opened.add_script_tag(path=str(SCRIPTS / name))
    yield opened
    opened.close()


def read_by(page, content, longest_edge_px=0):
    """The page's pixels, int (H, W, 3)."""
    given = [base64.b64encode(content).decode(), longest_edge_px]
    height, width, values = page.evaluate(READ, given)
    pixels = np.frombuffer(base64.b64decode(values), np.uint8)
    return pixels.reshape(height, width, 3).astype(int)


def test_every_kind_is_read_as_in_python(page, kinds):
    wrong = []
    for name, kind in kinds.every().items():
        if kind.page is None:
            continue
        pixels = read_by(page, kind.content)
        expected = decode.picture(kind.content, None).pixels
        assert pixels.shape == expected.shape, name
        apart = np.abs(pixels - expected).max()
        if apart > kind.page:
            wrong.append((name, int(apart)))
    assert not wrong


def test_a_large_wide_gamut_photograph_is_the_same_shrunk(page, smooth, kinds, tmp_path):
    turn = Image.Exif()
    turn[0x0112] = 6
    written = io.BytesIO()
    profile = kinds.display(kinds.P3, "srgb")
    image = Image.fromarray(smooth(1, 3000, 4000, seed=7)[0].permute(1, 2, 0).numpy())
    image.save(written, "JPEG", icc_profile=profile, exif=turn, quality=90)
    (tmp_path / "large.jpg").write_bytes(written.getvalue())
    expected = explore.read(tmp_path / "large.jpg", 640)[0].permute(1, 2, 0).numpy()
    pixels = read_by(page, written.getvalue(), 640)
    assert expected.shape == (640, 480, 3) and np.abs(pixels - expected).max() <= 2


def test_files_that_end_in_zeros_are_refused(page, smooth):
    image = Image.fromarray(smooth(1, 240, 320)[0].permute(1, 2, 0).numpy())
    for kind in ("WEBP", "AVIF", "GIF"):
        written = io.BytesIO()
        image.save(written, kind)
        half = written.getvalue()[: len(written.getvalue()) // 2]
        with pytest.raises(Exception, match="damaged or incomplete"):
            read_by(page, half + bytes(len(half)))


@pytest.mark.parametrize("every", [1, 397])
def test_a_canvas_that_lies_is_noticed(page, every):
    assert page.evaluate("AesthlibFiles.trusted()")
    page.evaluate(
        """(every) => {
      const real = CanvasRenderingContext2D.prototype.getImageData;
      CanvasRenderingContext2D.prototype.getImageData = function (...where) {
        const image = real.apply(this, where);
        for (let i = 0; i < image.data.length; i += every) image.data[i] ^= 1;
        return image;
      };
    }""",
        every,
    )
    assert not page.evaluate("AesthlibFiles.trusted()")
