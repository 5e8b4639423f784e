"""Try the degradations, and a model beside them, on one photograph: chains of steps, and Jupyter.

The book's page does the same in the browser. Both take their sliders from `CONTROLS`, and every
slider walks through the stops of one operation, the paper's levels among them. A chain is a tuple
of steps (name, value), applied from the first to the last. torch is imported when it is used.
"""

from dataclasses import dataclass
from pathlib import Path

from .. import ops
from ..ops import table

SEED = 0  # of the operations that draw at random
_CELLS = (*range(1, 9), 10, 12, 16, 24, 32, 48, 64, 128, 256, 512, 1024)


@dataclass(frozen=True)
class Control:
    """A slider of an operation.

    Attributes:
        name: of the operation, in `ops.NAMES`.
        label: as the reader sees it.
        effect: in a few words.
        stops: values that the slider takes, over the operation's whole range; None leaves the
            photograph as it is where no value does.
        code: a Python expression in x, with {} for the value.
    """

    name: str
    label: str
    effect: str
    stops: tuple[float | None, ...]
    code: str

    @property
    def off(self) -> int:
        """Index of the stop that leaves a photograph as it is."""
        return self.stops.index(table.operation(self.name).identity)

    def say(self, value: float | None) -> str:
        """The value with its unit, or "off"."""
        if value == self.stops[self.off]:
            return "off"
        row = table.operation(self.name)
        unit = {"degrees": "°", "px": " px", "px a side": " px"}.get(row.unit, "")
        return f"{row.parameter} {value:g}{unit}"


CONTROLS: tuple[Control, ...] = (
    Control(
        "jpeg", "JPEG compression", "blocks and coloured fringes",
        (None, *range(100, 0, -1)), "ops.jpeg(x, {})",
    ),
    Control(
        "gaussian_noise", "Gaussian noise", "grain, independent in every channel",
        (0.0, 0.001, 0.002, 0.005, 0.01, 0.02, 0.03, 0.05, 0.07, 0.1, 0.15, 0.2, 0.25, 0.3, 0.35,
         0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0, 1.2, 1.5, 2.0, 3.0, 5.0, 10.0, 20.0, 50.0, 100.0),
        f"ops.gaussian_noise(x, {{}}, torch.Generator().manual_seed({SEED}))",
    ),
    Control(
        "rotation", "Rotation", "turned counter-clockwise", (0, 90, 180, 270), "ops.rotate(x, {})"
    ),
    Control(
        "downsampling", "Downsampling", "shrunk, and enlarged again with smooth transitions",
        _CELLS, "ops.downsample(x, {})",
    ),
    Control(
        "quantization", "Colour quantization", "fewer levels a channel: bands instead of gradients",
        (256, 224, 192, 160, 128, 112, 96, 80, 64, 56, 48, 40, *range(32, 1, -1)),
        "ops.quantize(x, {})",
    ),
    Control(
        "pixelation", "Pixelation", "squares of one colour", _CELLS, "ops.pixelate(x, {})"
    ),
    Control(
        "exposure", "Exposure", "darker below 1, brighter above",
        (*(step / 20 for step in range(20)), *(step / 10 for step in range(10, 40)),
         4.0, 4.5, 5.0, 6.0, 8.0, 12.0, 16.0, 32.0, 64.0, 128.0, 255.0),
        "ops.expose(x, {})",
    ),
    Control(
        "gaussian_blur", "Gaussian blur", "out of focus",
        (*(step / 10 for step in range(10)), 1.0, 1.2, 1.5, 1.8, 2.0, 2.5, 3.0, 3.5, 4.0, 5.0, 6.0,
         7.0, 8.0, 10.0, 12.0, 15.0, 20.0, 30.0, 50.0, 75.0, 100.0),
        "ops.gaussian_blur(x, {})",
    ),
    Control(
        "patch_shuffle", "Patch shuffle", "pixels shuffled within blocks of 8 px",
        (0.0, 0.01, 0.02, *(step / 20 for step in range(1, 21))),
        f"ops.patch_shuffle(x, {{}}, torch.Generator().manual_seed({SEED}))",
    ),
    Control(
        "mixup", "Mixup", "another photograph blended in",
        tuple(step / 20 for step in range(21)), "ops.mixup(x, {}, explore.fit(partner, x))",
    ),
)  # fmt: skip


def control(name: str) -> Control:
    """The slider of an operation. Raises ValueError for an unknown name, with the known ones."""
    return CONTROLS[ops.NAMES.index(table.operation(name).name)]


def fit(partner, photograph):
    """Bring another photograph to this one's size: it covers it, and its middle is kept.

    Args:
        partner: uint8 (1, 3, h, w).
        photograph: uint8 (1, 3, H, W).

    Returns:
        uint8 (1, 3, H, W).
    """
    height, width = photograph.shape[2:]
    scale = max(height / partner.shape[2], width / partner.shape[3])
    return _middle(partner, scale, height, width).to(photograph.device)


def _middle(photograph, scale: float, height: int, width: int):
    """The middle of a photograph that was resized by Lanczos, on the CPU."""
    import numpy as np
    import torch
    from PIL import Image

    pixels = photograph[0].permute(1, 2, 0).cpu().numpy()
    size = (max(width, round(pixels.shape[1] * scale)), max(height, round(pixels.shape[0] * scale)))
    pixels = np.asarray(Image.fromarray(pixels).resize(size, Image.Resampling.LANCZOS))
    top, left = (size[1] - height) // 2, (size[0] - width) // 2
    pixels = pixels[top : top + height, left : left + width]
    return torch.from_numpy(pixels.copy()).permute(2, 0, 1)[None]


def apply(photograph, steps: tuple[tuple[str, float], ...], partner=None):
    """Degrade a photograph by a chain of steps.

    Args:
        photograph: uint8 (1, 3, H, W).
        steps: names and values, the first one first.
        partner: uint8 (1, 3, h, w), what mixup blends in.

    Returns:
        uint8 (1, 3, H, W); rotation by 90° or 270° swaps H and W.

    Raises:
        ValueError: an unknown name, a value outside its range, or mixup without a partner.
    """
    import torch

    for name, value in steps:
        other = photograph
        if name == "mixup":
            if partner is None:
                raise ValueError("mixup needs a partner: another photograph")
            other = fit(partner, photograph)
        generator = torch.Generator().manual_seed(SEED)
        photograph = table.operation(name).apply(
            photograph, value, other, generator, table.STANDARD
        )
    return photograph


def code(steps: tuple[tuple[str, float], ...]) -> str:
    """The Python lines that do the same to x, uint8 (1, 3, H, W); no step leaves a comment."""
    lines = [f"x = {control(name).code.format(f'{value:g}')}" for name, value in steps]
    return "\n".join(lines) or "# nothing is changed"


def patch(photograph, shorter_edge_px: int, size_px: int):
    """The middle of a photograph as a network sees it, uint8 (1, 3, S, S), S = size_px.

    It is resized as in a pack: a pack's photograph that is its own shorter edge gives the same.
    """
    import torch

    from ..data import decode

    pixels = photograph[0].permute(1, 2, 0).cpu().contiguous().numpy()
    pixels = decode.resize(pixels, shorter_edge_px)
    top, left = ((side - size_px) // 2 for side in pixels.shape[:2])
    pixels = pixels[top : top + size_px, left : left + size_px]
    return torch.from_numpy(pixels.copy()).permute(2, 0, 1)[None]


def judge(model, original, degraded, scorer: dict | None = None) -> dict:
    """What a network says of a patch and of its degraded version.

    Args:
        model: modules "backbone" and "task" (degradation), in evaluation mode.
        original, degraded: uint8 (1, 3, S, S).
        scorer: linear probe over globally averaged taps: "layer" (names), "weights", "intercept",
            "rmse"; None for no score.

    Returns:
        "probabilities", float (22,), of the degraded version's class; "distance", D of equation 2
        in 0 … 4; "score" and "score_original" where there is a scorer.
    """
    import torch

    with torch.inference_mode():
        taps = model.backbone(torch.cat([original, degraded]))
        probabilities = model.task.logits(taps)[1].softmax(0)
        near, far = model.task.embedding(taps)
    told = {"probabilities": probabilities, "distance": float((near - far).square().sum())}
    if scorer:
        pooled = torch.cat([taps[layer].mean((2, 3)) for layer in scorer["layer"]], 1).double()
        weights = torch.tensor(scorer["weights"], dtype=torch.float64)
        scores = pooled @ weights + scorer["intercept"]
        told["score_original"], told["score"] = scores.tolist()
    return told


def read(image, longest_edge_px: int | None = None):
    """A photograph as uint8 (1, 3, H, W).

    Args:
        image: path of a file, read as `data.photographs.decode` does; Pillow image; array (H, W, 3)
            or tensor (3, H, W) of uint8.
        longest_edge_px: a larger photograph is shrunk to it; None keeps its size.

    Raises:
        ValueError: something else, or a file that is no photograph.
    """
    import numpy as np
    import torch
    from PIL import Image

    if isinstance(image, str | Path):
        from ..data.decode import decode

        image = decode(Path(image), None)
    if isinstance(image, Image.Image):
        image = np.array(image.convert("RGB"))
    if isinstance(image, np.ndarray) and image.dtype == np.uint8 and image.shape[2:] == (3,):
        image = torch.from_numpy(image.copy()).permute(2, 0, 1)
    if not (
        torch.is_tensor(image)
        and image.dtype == torch.uint8
        and image.ndim == 3
        and len(image) == 3
    ):
        raise ValueError(
            "image must be a file, a Pillow image, or uint8 pixels, (H, W, 3) as an array or "
            "(3, H, W) as a tensor"
        )
    return image[None] if longest_edge_px is None else _shrunk(image[None], longest_edge_px)


def degradations(
    image,
    partner=None,
    model=None,
    scorer: dict | None = None,
    patch_px: tuple[int, int] = (144, 128),
    longest_edge_px: int = 640,
) -> "Explorer":
    """The explorer for Jupyter: ten sliders, what they make of a photograph, and the code for it.

    Args:
        image: as `read` takes it.
        partner: another one, what mixup blends in; None for scikit-learn's "china".
        model: modules "backbone" and "task" as `judge` takes them; None for none.
        scorer: linear probe, see `judge`.
        patch_px: shorter edge and side of the patch that the model looks at.
        longest_edge_px: the photograph is shrunk to it.

    Returns:
        Explorer; the last line of a cell shows it.

    Raises:
        ValueError: image is no photograph.
        ModuleNotFoundError: ipywidgets is not installed.
    """
    return Explorer(image, partner, model, scorer, patch_px, longest_edge_px)


class Explorer:
    """Sliders over a photograph.

    Attributes:
        sliders: widgets by name of the operation; their value is a stop of `CONTROLS`, or "off".
        steps: names and values of the chain, the first one first.
        code: the lines that reproduce what is seen.
        degraded: what is seen, uint8 (1, 3, H, W).
        told: the model's answer, as `judge` gives it; None without one.
    """

    def __init__(self, image, partner, model, scorer, patch_px, longest_edge_px):
        try:
            import ipywidgets as widgets
        except ModuleNotFoundError as error:
            raise ModuleNotFoundError(
                "the explorer needs ipywidgets: pip install 'aesthlib[book]'"
            ) from error
        if partner is None:
            from sklearn.datasets import load_sample_image

            partner = load_sample_image("china.jpg")
        self._stored = read(image)
        self.original = _shrunk(self._stored, longest_edge_px)
        self.partner = read(partner)
        self.model, self.scorer, self.patch_px = model, scorer, patch_px
        self.order = list(ops.NAMES)
        self.sliders = {
            each.name: widgets.SelectionSlider(
                options=[(each.say(stop), "off" if stop is None else stop) for stop in each.stops],
                index=each.off,
                description=each.label,
                continuous_update=False,
                style={"description_width": "11em"},
                layout={"width": "32em"},
            )
            for each in CONTROLS
        }
        self._rows = {each.name: self._row(widgets, each) for each in CONTROLS}
        self._list = widgets.VBox()
        self._pictures = [
            widgets.Image(format="png", layout={"max_width": "49%"}) for _ in range(2)
        ]
        self._pictures[0].alt, self._pictures[1].alt = "Original", "Degraded"
        self._code, self._told = widgets.HTML(), widgets.HTML()
        self._pictures[0].value = _png(self.original)
        for slider in self.sliders.values():
            slider.observe(self._update, "value")
        self.panel = widgets.VBox(
            [widgets.HBox(self._pictures), self._told, self._list, self._code]
        )
        self._update()

    def _row(self, widgets, control: Control):
        slider = self.sliders[control.name]
        buttons = []
        for number, value in enumerate(table.operation(control.name).levels, start=1):
            button = widgets.Button(
                description=f"{value:g}",
                tooltip=f"the paper's level {number}",
                layout={"width": "4em"},
            )
            button.on_click(lambda _, value=value: setattr(slider, "value", value))
            buttons.append(button)
        for sign, tooltip, by in (("↑", "apply earlier", -1), ("↓", "apply later", 1)):
            button = widgets.Button(description=sign, tooltip=tooltip, layout={"width": "3em"})
            button.on_click(lambda _, by=by: self.move(control.name, by))
            buttons.append(button)
        return widgets.HBox([slider, *buttons])

    def move(self, name: str, by: int) -> None:
        """Apply an operation earlier (by < 0) or later (by > 0) in the chain."""
        place = self.order.index(name)
        self.order.insert(min(max(place + by, 0), len(self.order) - 1), self.order.pop(place))
        self._update()

    def _update(self, change=None) -> None:
        chosen = [(name, self.sliders[name].value) for name in self.order]
        self.steps = tuple(
            step for step in chosen if step[1] not in ("off", table.operation(step[0]).identity)
        )
        self.degraded = apply(self.original, self.steps, self.partner)
        self.code = code(self.steps)
        self._list.children = [self._rows[name] for name in self.order]
        self._pictures[1].value = _png(self.degraded)
        self._code.value = f"<pre>{self.code}</pre>"
        self.told = None
        if self.model is not None:
            small = patch(self._stored, *self.patch_px)
            self.told = judge(
                self.model, small, apply(small, self.steps, self.partner), self.scorer
            )
            self._told.value = f"<p>{_in_words(self.told, self.scorer)}</p>"

    def _repr_mimebundle_(self, **options):
        return self.panel._repr_mimebundle_(**options)


def _in_words(told: dict, scorer: dict | None) -> str:
    best = told["probabilities"].argsort(descending=True)[:3].tolist()
    classes = ", ".join(
        f"{ops.CLASSES[index].name} {told['probabilities'][index]:.0%}" for index in best
    )
    text = f"Network: {classes}. Distance from the original (0 … 2): {told['distance']:.2f}."
    if scorer:
        text += (
            f" Rating that a linear probe guesses: {told['score']:.2f} ± {scorer['rmse']:.2f} "
            f"(original {told['score_original']:.2f}); ± is its typical error, and smaller "
            "differences say nothing."
        )
    return text


def _shrunk(photograph, longest_edge_px: int):
    height, width = photograph.shape[2:]
    scale = min(1.0, longest_edge_px / max(height, width))
    if scale == 1:
        return photograph
    return _middle(photograph, scale, max(1, round(height * scale)), max(1, round(width * scale)))


def _png(photograph) -> bytes:
    import io

    from PIL import Image

    written = io.BytesIO()
    Image.fromarray(photograph[0].permute(1, 2, 0).numpy()).save(written, "PNG", compress_level=1)
    return written.getvalue()
