"""How long the explore page takes for a change of a slider, in Chromium, on the built book.

    python benchmarks/explorer.py [--page _build/html/explore.html] [--rounds 2]

Each slider alone goes through all its stops on a photograph of 640 × 480 px, in a drawn order, as
many times as there are rounds. `change` is what the page itself reports, degrading and drawing;
`to the next frame` runs from the input event until the frame with the change is done and another
one begins, the wait for the frame's turn included. Then the same once with the network at work.
"""

import io
import random
import shutil
import sys
from pathlib import Path

import timing

ROOT = Path(__file__).resolve().parents[1]
SIZE_PX = (640, 480)
GOAL_MS, PREDICTION_GOAL_MS = 50, 300
CHANGES = """async ([name, indices]) => {
  const slider = document.getElementById(`ex-${name}`);
  const changed = () => new Promise((resolve) => {
    const observer = new MutationObserver(() => { observer.disconnect(); resolve(); });
    observer.observe(explore, { attributeFilter: ["data-serial"] });
  });
  const times = [];
  for (const index of indices) {
    const done = changed(), begin = performance.now();
    slider.value = index;
    slider.dispatchEvent(new Event("input"));
    await done;
    await new Promise(requestAnimationFrame);
    times.push([Number(explore.dataset.ms), performance.now() - begin]);
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
  return times;
}"""


def photograph() -> bytes:
    """A PNG file of scikit-learn's "china"."""
    from PIL import Image, ImageOps
    from sklearn.datasets import load_sample_image

    written = io.BytesIO()
    ImageOps.fit(Image.fromarray(load_sample_image("china.jpg")), SIZE_PX).save(written, "PNG")
    return written.getvalue()


def open_page(browser, address: str):
    """The page, warmed up, with the photograph and all sliders off."""
    page = browser.new_page(viewport={"width": 1280, "height": 900})
    page.goto(address)
    page.wait_for_selector("#explore[data-warm]")
    page.locator("#ex-file").set_input_files(
        {"name": "photograph.png", "mimeType": "image/png", "buffer": photograph()}
    )
    page.wait_for_function(
        "document.querySelector('.ex-status').textContent.startsWith('photograph.png')"
    )
    page.get_by_role("button", name="Reset all").click()
    page.wait_for_function("!document.querySelector('.ex-on')")
    return page


def sweep(page, controls, rounds: int, small: bool) -> dict[str, list[tuple[float, float]]]:
    """Milliseconds of every change of every slider: what the page says, and to the next frame."""
    draw, found = random.Random(0), {}
    for control in controls:
        last = len(control.stops) - 1
        stops = sorted({0, last // 2, last}) if small else range(last + 1)
        indices = [index for _ in range(rounds) for index in draw.sample(stops, len(stops))]
        found[control.name] = page.evaluate(CHANGES, [control.name, indices])
        page.evaluate(CHANGES, [control.name, [control.off]])
    return found


def predictions(page, controls, small: bool) -> list[float]:
    """Milliseconds of the network's answers, one after another."""
    (exposure,) = (control for control in controls if control.name == "exposure")
    times = []
    for index in range(0, len(exposure.stops), 20 if small else 3):
        before = page.evaluate("explore.dataset.answer")
        page.evaluate(CHANGES, [exposure.name, [index]])
        page.wait_for_function("(was) => explore.dataset.answer !== was", arg=before)
        times.append(float(page.evaluate("explore.dataset.predictionMs")))
    return times


def slowest(found: dict[str, list[tuple[float, float]]]) -> dict[str, float]:
    return {name: max(ms for ms, _ in times) for name, times in found.items()}


def main() -> None:
    given = timing.arguments(__doc__.splitlines()[0], page=ROOT / "_build/html/explore.html")
    if given.small:
        given.rounds = 1
    if not given.page.exists():
        sys.exit(f"there is no {given.page}: build the book with `make book`")
    chromium = shutil.which("chromium") or shutil.which("chromium-browser")
    if not chromium:
        sys.exit("there is no Chromium on the PATH: install it (on Debian: apt install chromium)")
    try:
        from playwright.sync_api import sync_playwright
    except ModuleNotFoundError:
        sys.exit("playwright is missing: pip install 'aesthlib[test]'")
    from aesthlib import explore

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=chromium, args=["--no-sandbox", "--disable-background-networking"]
        )
        page = open_page(browser, given.page.resolve().as_uri())
        alone = sweep(page, explore.CONTROLS, given.rounds, given.small)
        button = page.get_by_role("button", name="Load the model")
        beside, answers = {}, []
        if button.count():
            button.click()
            page.wait_for_selector("#explore[data-network=ready][data-answer]", timeout=120_000)
            answers = predictions(page, explore.CONTROLS, given.small)
            beside = sweep(page, explore.CONTROLS, 1, given.small)
        else:
            print("this copy of the book has no network: its predictions are not measured")
        version = browser.version
        browser.close()

    table, worst = [], slowest(alone)
    for name, times in alone.items():
        seconds = {
            "change": [ms / 1e3 for ms, _ in times],
            "to the next frame": [ms / 1e3 for _, ms in times],
        }
        note = f"slowest of {len(times)}: {worst[name]:.1f} ms; goal: under {GOAL_MS} ms"
        table += timing.rows(name, seconds, 1, note={"change": note})
    more = {
        "chromium": version,
        "slowest_change_ms": worst,
        "all_under_50_ms": max(worst.values()) < GOAL_MS,
    }
    if answers:
        seconds = {"network": [ms / 1e3 for ms in answers]}
        note = f"slowest of {len(answers)}: {max(answers):.0f} ms; goal: {PREDICTION_GOAL_MS} ms"
        table += timing.rows("prediction", seconds, 1, note={"network": note})
        more |= {
            "slowest_change_beside_the_network_ms": slowest(beside),
            "all_under_50_ms_beside_the_network": max(slowest(beside).values()) < GOAL_MS,
            "predictions_within_300_ms": max(answers) <= PREDICTION_GOAL_MS,
        }
    timing.report("explorer", table, given, **more)


if __name__ == "__main__":
    main()
