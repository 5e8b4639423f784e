"""What the explore page loads: the network as a graph, and files that come out the same again."""

import json
from pathlib import Path

import pytest
import torch

from aesthlib import models, ops
from aesthlib.explore import export
from aesthlib.models import LAYERS


def halved(model):
    """The same network, its folded convolutions rounded to float16 as the graph stores them."""
    import copy

    model = copy.deepcopy(model)
    for layer in LAYERS:
        stage = model.backbone.stages[layer]
        for index, module in enumerate(stage):
            if isinstance(module, torch.nn.Conv2d):
                weight, bias = export._folded(module, stage[index + 1])
                module.weight.data = weight.half().float()
                module.bias = torch.nn.Parameter(bias)
                stage[index + 1] = torch.nn.Identity()
    return model


def answers(model, images):
    with torch.inference_mode():
        taps = model.backbone(images)
        pooled = torch.cat([taps[layer].mean((2, 3)) for layer in LAYERS], 1)
        return model.task.logits(taps), model.task.embedding(taps), pooled


@pytest.mark.parametrize(("count", "size"), [(1, 128), (3, 67), (2, 144)])
def test_the_graph_answers_as_the_network_does(network, smooth, count, size):
    runtime = pytest.importorskip("onnxruntime", reason="runs the graph")
    pytest.importorskip("onnx", reason="makes the graph")
    session = runtime.InferenceSession(export.graph(network), providers=["CPUExecutionProvider"])
    images = smooth(count, size, size)
    got = session.run(["logits", "embedding", "pooled"], {"images": images.numpy()})
    # the arithmetic: float32 against float32
    for ours, theirs in zip(got, answers(halved(network), images), strict=True):
        torch.testing.assert_close(torch.from_numpy(ours), theirs, rtol=1e-4, atol=1e-4)
    # what the float16 weights change
    logits, embedding, _ = answers(network, images)
    shares = torch.from_numpy(got[0]).softmax(1)
    assert (shares - logits.softmax(1)).abs().max() < 0.005
    assert (torch.from_numpy(got[1]) - embedding).abs().max() < 0.002


def test_the_graph_is_the_same_again_and_small(network):
    pytest.importorskip("onnx", reason="makes the graph")
    made = export.graph(network)
    assert made == export.graph(network)
    parameters = sum(p.numel() for p in network.backbone.parameters())
    assert len(made) < 2.05 * parameters + 100_000


def test_only_what_is_translated_is_exported(network):
    pytest.importorskip("onnx", reason="makes the graph")
    resnet = torch.nn.ModuleDict({"backbone": models.build("resnet18", 0), "task": network.task})
    with pytest.raises(ValueError, match="conv2 of the backbone has a layer Sequential"):
        export.graph(resnet)


def data_of(folder):
    text = (folder / "data.js").read_text()
    return json.loads(text.removeprefix("globalThis.AesthlibData = ").removesuffix(";\n"))


def test_the_page_has_the_table_and_says_what_is_missing(tmp_path):
    export.page(tmp_path)
    data = data_of(tmp_path)
    assert [row["name"] for row in data["operations"]] == list(ops.NAMES)
    for row in data["operations"]:
        assert row["levels"]["paper"] == list(ops.operation(row["name"]).levels)
        assert len(row["says"]) == len(row["stops"])
    assert {photo["name"] for photo in data["photographs"]} == set(export.BUNDLED)
    assert all(photo["src"].startswith("data:image/jpeg;base64,") for photo in data["photographs"])
    assert "model" in data["model"]["missing"]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["data.js", "strips.jpg"]
    # the same again leaves the files alone
    before = {path: path.stat().st_mtime_ns for path in tmp_path.iterdir()}
    export.page(tmp_path)
    assert before[tmp_path / "strips.jpg"] == (tmp_path / "strips.jpg").stat().st_mtime_ns


@pytest.mark.slow
def test_the_download_is_at_most_twelve_megabytes(network, tmp_path):
    pytest.importorskip("onnx", reason="makes the graph")
    runtime = Path(__file__).resolve().parents[2] / export.RUNTIME
    if not runtime.is_dir():
        pytest.skip("no onnxruntime-web in node_modules: `make book` fetches it where npm is")
    sizes = export.page(tmp_path, network, runtime=runtime)
    assert data_of(tmp_path)["model"]["missing"] == []
    assert sum(sizes.values()) <= 12e6, sizes
