"""What the book's explore page loads: photographs, sliders, strips, and a network to run there.

All files are classic scripts or a picture, so that the page works from a file as well as from a
server. Nothing here is committed; `aesthlib export` makes it anew, byte for byte the same.
"""

import base64
import gzip
import importlib.util
import io
import json
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from .. import explore, ops
from ..data import embedded
from ..models import LAYERS
from ..models.backbones import Normalize
from ..store import files

LONGEST_EDGE_PX = 640  # of the photographs on the page
# of the embedded photographs, those worth looking at, and what they show
BUNDLED = {
    "coffee": "A cup of coffee with a spoon on a wooden table",
    "china": "A Chinese temple behind trees, under a pale sky",
    "chelsea": "The face of a tabby cat",
    "astronaut": "A smiling astronaut in an orange suit before a flag and a model of the shuttle",
    "rocket": "A rocket on its launch pad at dusk, between lightning towers",
    "flower": "A dahlia in bloom against a dark background",
}
RUNTIME = Path("node_modules/onnxruntime-web/dist")  # where npm puts it
OPSET, IR_VERSION = 17, 8


def graph(model: nn.Module) -> bytes:
    """A network of the degradation task as an ONNX file.

    Input "images", uint8 (N, 3, H, W). Outputs "logits" (N, 22), "embedding" (N, D) and "pooled",
    the globally averaged taps conv1 … conv5 one after another. Batch norm is folded into the
    convolutions; their weights are stored as float16 and computed with as float32.

    Args:
        model: modules "backbone" (AlexNet) and "task", in evaluation mode.

    Raises:
        ValueError: the backbone has layers that are not translated here.
        ModuleNotFoundError: onnx is not installed.
    """
    from onnx import TensorProto, checker, helper, numpy_helper

    nodes, stored = [], []

    def add(kind: str, inputs: list[str], output: str, **attributes) -> str:
        nodes.append(helper.make_node(kind, inputs, [output], output, **attributes))
        return output

    def store(name: str, values: Tensor, half: bool = False) -> str:
        array = values.detach().cpu().numpy().astype(np.float16 if half else np.float32)
        stored.append(numpy_helper.from_array(array, f"{name}_half" if half else name))
        if half:
            add("Cast", [f"{name}_half"], name, to=TensorProto.FLOAT)
        return name

    backbone, task = model.backbone, model.task
    if not isinstance(backbone.door, Normalize):
        raise ValueError("the backbone must take photographs in colour, standardized")
    value = add("Cast", ["images"], "values", to=TensorProto.FLOAT)
    value = add("Mul", [value, store("scale", backbone.door.scale)], "scaled")
    value = add("Add", [value, store("offset", backbone.door.offset)], "standardized")
    pooled = []
    for layer in LAYERS:
        modules = list(backbone.stages[layer])
        while modules:
            module = modules.pop(0)
            place = f"{layer}_{len(nodes)}"
            if isinstance(module, nn.MaxPool2d):
                value = add(
                    "MaxPool",
                    [value],
                    place,
                    kernel_shape=[module.kernel_size] * 2,
                    strides=[module.stride] * 2,
                )
            elif isinstance(module, nn.Conv2d):
                norm = modules.pop(0) if isinstance(modules[0], nn.BatchNorm2d) else None
                weight, bias = _folded(module, norm)
                value = add(
                    "Conv",
                    [value, store(f"{layer}_weight", weight, True), store(f"{layer}_bias", bias)],
                    place,
                    kernel_shape=list(module.kernel_size),
                    strides=list(module.stride),
                    pads=list(module.padding) * 2,
                )
            elif isinstance(module, nn.ReLU):
                value = add("Relu", [value], place)
            else:
                raise ValueError(
                    f"{layer} of the backbone has a layer {type(module).__name__}, "
                    "which this export does not know"
                )
        pooled.append(
            add("Flatten", [add("GlobalAveragePool", [value], f"{layer}_map")], f"{layer}_mean")
        )
    add("Concat", pooled, "pooled", axis=1)
    add(
        "Gemm",
        [pooled[-1], store("head_weight", task.head.weight), store("head_bias", task.head.bias)],
        "logits",
        transB=1,
    )
    norm = add("ReduceL2", [pooled[-1]], "length", axes=[1], keepdims=1)
    norm = add("Max", [norm, store("smallest", torch.tensor(1e-12))], "divisor")
    add("Div", [pooled[-1], norm], "embedding")
    widths = {
        "logits": len(ops.CLASSES),
        "embedding": backbone.channels[LAYERS[-1]],
        "pooled": sum(backbone.channels.values()),
    }
    made = helper.make_graph(
        nodes,
        "degradation",
        [helper.make_tensor_value_info("images", TensorProto.UINT8, ["N", 3, "H", "W"])],
        [
            helper.make_tensor_value_info(name, TensorProto.FLOAT, ["N", width])
            for name, width in widths.items()
        ],
        stored,
    )
    proto = helper.make_model(
        made,
        opset_imports=[helper.make_opsetid("", OPSET)],
        ir_version=IR_VERSION,
        producer_name="aesthlib",
    )
    checker.check_model(proto)
    return proto.SerializeToString(deterministic=True)


def _folded(convolution: nn.Conv2d, norm: nn.BatchNorm2d | None) -> tuple[Tensor, Tensor]:
    """Weight and bias of a convolution that does what batch norm behind it does."""
    weight = convolution.weight.double()
    bias = torch.zeros(len(weight)) if convolution.bias is None else convolution.bias
    if norm is None:
        return weight.float(), bias.float()
    factor = norm.weight.double() / (norm.running_var.double() + norm.eps).sqrt()
    bias = (bias.double() - norm.running_mean.double()) * factor + norm.bias.double()
    return (weight * factor[:, None, None, None]).float(), bias.float()


def page(
    target: Path,
    model: nn.Module | None = None,
    patch_px: tuple[int, int] = (144, 128),
    scorer: dict | None = None,
    runtime: Path = RUNTIME,
) -> dict[str, int]:
    """Write the explore page's files: data.js, strips.jpg, and model.js and runtime.js.

    Files that would not change are left alone. Without a model or a runtime their files are taken
    away, and the page says so.

    Args:
        target: folder.
        model: modules "backbone" and "task"; None for no model.
        patch_px: shorter edge and side of the patches that it was trained on.
        scorer: linear probe of `explore.judge`, with "srcc" and "benchmark" beside it.
        runtime: the folder dist of onnxruntime-web.

    Returns:
        Bytes of every file, as a server that compresses sends it (gzip -9).
    """
    target = Path(target)
    wanted = {"data.js": b"", "strips.jpg": strips()}
    missing = [
        what
        for what, there in (
            ("model", model is not None),
            ("runtime", (Path(runtime) / "ort.wasm.min.js").is_file()),
            ("onnx", importlib.util.find_spec("onnx") is not None),
        )
        if not there
    ]
    if not missing:
        wanted["model.js"] = _script("AesthlibModel", {"onnx": _packed(graph(model))})
        wanted["runtime.js"] = _script(
            "AesthlibRuntime",
            {
                "script": (Path(runtime) / "ort.wasm.min.js")
                .read_text()
                .partition("//# source")[0],
                "loader": (Path(runtime) / "ort-wasm-simd-threaded.mjs").read_text(),
                "wasm": _packed((Path(runtime) / "ort-wasm-simd-threaded.wasm").read_bytes()),
            },
        )
    sizes = {name: len(gzip.compress(content, 9, mtime=0)) for name, content in wanted.items()}
    wanted["data.js"] = _script(
        "AesthlibData",
        {
            "operations": operations(),
            "photographs": photographs(),
            "model": {
                "missing": missing,
                "bytes": sizes.get("model.js", 0) + sizes.get("runtime.js", 0),
                "shorterEdge": patch_px[0],
                "size": patch_px[1],
                "score": scorer,
                "channels": model.backbone.channels if model is not None else {},
            },
        },
    )
    for name in ("model.js", "runtime.js"):
        if name not in wanted:
            (target / name).unlink(missing_ok=True)
    for name, content in wanted.items():
        path = target / name
        if not path.is_file() or path.read_bytes() != content:
            files.write_bytes(path, content)
    sizes["data.js"] = len(gzip.compress(wanted["data.js"], 9, mtime=0))
    return sizes


def released() -> dict:
    """The released model and its scorer, as `page` takes them; nothing where there is none."""
    from .. import pretrained

    if not pretrained.names():
        return {}
    trained = pretrained.config()
    return {
        "model": pretrained.load_pretrained(),
        "scorer": pretrained.scorer().plain(),
        "patch_px": (trained.shorter_edge_px, trained.size_px),
    }


def _packed(content: bytes) -> str:
    """Compressed, then base64: small even from a server that does not compress."""
    return base64.b64encode(gzip.compress(content, 9, mtime=0)).decode()


def _script(name: str, content) -> bytes:
    text = json.dumps(content, ensure_ascii=True, allow_nan=False, separators=(",", ":"))
    return f"globalThis.{name} = {text};\n".encode()


def operations() -> list[dict]:
    """The sliders and levels, for the page."""
    listed = []
    for control in explore.CONTROLS:
        row = ops.operation(control.name)
        listed.append(
            {
                "name": control.name,
                "label": control.label,
                "effect": control.effect,
                "attribute": row.attribute,
                "stops": control.stops,
                "off": control.off,
                "says": [control.say(value) for value in control.stops],
                "code": control.code,
                "levels": {preset: row.values(preset) for preset in ops.PRESETS},
            }
        )
    return listed


def photographs() -> list[dict]:
    """The bundled photographs as data addresses, so that no canvas is tainted under file://."""
    from PIL import Image

    paths = {source.path.stem: source for source in embedded.sources()}
    listed = []
    for name, alt in BUNDLED.items():
        with Image.open(paths[name].path) as opened:
            image = opened.convert("RGB")
        image.thumbnail((LONGEST_EDGE_PX, LONGEST_EDGE_PX), Image.Resampling.LANCZOS)
        listed.append(
            {
                "name": name,
                "alt": alt,
                "from": paths[name].name,
                "src": f"data:image/jpeg;base64,{base64.b64encode(_jpeg(image, 88)).decode()}",
            }
        )
    return listed


def _jpeg(image, quality: int) -> bytes:
    written = io.BytesIO()
    image.save(written, "JPEG", quality=quality, optimize=True)
    return written.getvalue()


def strips() -> bytes:
    """Every operation at every level as one JPEG picture, for print and without JavaScript."""
    import matplotlib.pyplot as plt
    from PIL import Image

    from ..report import figures

    coffee, china = (
        explore.read(str(source.path))
        for name in ("coffee", "china")
        for source in embedded.sources()
        if source.path.stem == name
    )
    coffee, china = (explore.patch(photograph, 256, 227) for photograph in (coffee, china))
    versions = {
        item.index: ops.apply(coffee, item.index, china, torch.Generator().manual_seed(0))[0]
        for item in ops.CLASSES[1:]
    }
    figure = figures.degradation_strips(coffee[0], versions, "paper")
    drawn = io.BytesIO()
    figure.savefig(drawn, dpi=110)
    plt.close(figure)
    return _jpeg(Image.open(drawn).convert("RGB"), 85)
