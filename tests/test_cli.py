"""The command line: help for a stranger, the same names as everywhere, plain errors."""

import dataclasses
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

from aesthlib import cli, pretext
from aesthlib.pretext.degradation import Degradation
from aesthlib.probing import ProbeConfig
from aesthlib.store import records
from aesthlib.study import PAGES, SCALES
from aesthlib.training import PretrainConfig


@pytest.fixture
def photographs(tmp_path):
    generator = np.random.default_rng(0)
    folder = tmp_path / "holiday"
    folder.mkdir()
    for number in range(8):
        noise = generator.integers(0, 256, (9, 9, 3)).astype(np.uint8)
        Image.fromarray(noise).resize((100, 80), Image.Resampling.BICUBIC).save(
            folder / f"{number}.jpg"
        )
    (folder / "broken.jpg").write_bytes(b"broken")
    return folder


def help_of(command, capsys):
    with pytest.raises(SystemExit) as stopped:
        cli.main([*command, "--help"])
    assert stopped.value.code == 0
    return capsys.readouterr().out


def test_help_names_every_command(capsys):
    text = help_of([], capsys)
    assert all(command in text for command in ("pretrain", "probe", "study", "data", "export"))


@pytest.mark.parametrize(
    ("command", "configs"),
    [("pretrain", (PretrainConfig, Degradation.Options)), ("probe", (ProbeConfig,))],
)
def test_every_setting_is_an_option_with_its_words(command, configs, capsys):
    text = help_of([command], capsys)
    for config in configs:
        for field in dataclasses.fields(config):
            if field.name != "options":
                assert f"--{field.name.replace('_', '-')}" in text
                assert cli._documented(config, field.name).strip()


@pytest.mark.parametrize("method", pretext.TASKS)
def test_every_task_has_its_own_options(method, capsys):
    text = help_of(["pretrain", "--method", method], capsys)
    options = pretext.task(method).Options
    assert f"task {method}" in text or not dataclasses.fields(options)
    for field in dataclasses.fields(options):
        assert f"--{field.name.replace('_', '-')}" in text
        assert cli._documented(options, field.name).strip()
    assert ("--entropy-alpha" in text) == method.startswith("degradation")


def test_options_of_another_task_are_refused(capsys):
    with pytest.raises(SystemExit):
        cli.main(["pretrain", ".", "--method", "rotation", "--entropy-alpha", "0"])
    assert "--entropy-alpha" in capsys.readouterr().err


def test_help_is_quick_since_it_imports_no_torch():
    done = subprocess.run(
        [
            sys.executable,
            "-c",
            "import sys; from aesthlib import cli\n"
            "try: cli.main(['--help'])\nexcept SystemExit: pass\nassert 'torch' not in sys.modules",
        ],
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr


def test_pretrain_then_probe(photographs, tmp_path, capsys):
    store = str(tmp_path / "store")
    small = ["--size-px", "67", "--shorter-edge-px", "72", "--epochs", "1", "--batch-size", "8"]
    assert (
        cli.main(["pretrain", str(photographs), *small, "--store", store, "--device", "cpu"]) == 0
    )
    shown = capsys.readouterr()
    assert "training_accuracy" in shown.out
    (record,) = records.Store(tmp_path / "store").all()
    assert record["run_id"] in shown.out
    assert record["data"][0] | {"sha256": ""} == {
        "name": "holiday",
        "sha256": "",
        "photographs": 8,
        "left_out": 1,
    }
    assert record["config"]["size_px"] == 67

    probe = ["probe", record["run_id"], "unseen", "--repeats", "1", "--unseen-pairs", "12"]
    assert cli.main([*probe, "--store", store, "--device", "cpu"]) == 0
    assert "conv5" in capsys.readouterr().out


def test_pretrain_on_classes_that_are_folders(photographs, tmp_path, capsys):
    (photographs / "broken.jpg").unlink()
    for label in ("hill", "sea"):
        (photographs / label).mkdir()
    for number, path in enumerate(sorted(photographs.glob("*.jpg"))):
        path.rename(photographs / ("sea" if number % 2 else "hill") / path.name)
    command = [
        "pretrain",
        str(photographs),
        "--method",
        "labels",
        "--size-px",
        "67",
        "--shorter-edge-px",
        "72",
        "--epochs",
        "1",
        "--batch-size",
        "4",
        "--store",
        str(tmp_path / "store"),
        "--device",
        "cpu",
    ]
    assert cli.main([*command, "--classes", "3"]) == 1
    assert "labels is set to 3 classes, and the photographs have 2 (hill, sea" in (
        capsys.readouterr().err
    )
    assert cli.main([*command, "--classes", "2"]) == 0
    (record,) = records.Store(tmp_path / "store").all()
    assert record["method"] == "labels" and record["config"]["options"] == {"classes": 2}
    assert "training_accuracy" in capsys.readouterr().out


@pytest.fixture
def staged(monkeypatch):
    """What `study` asked for: studies made, pages run, records published."""
    from aesthlib import study
    from aesthlib.report import notebooks

    asked = {"studies": [], "runs": [], "published": 0}

    class Stand(study.Study):
        def __init__(self, *arguments, **named):
            asked["studies"].append((arguments, named))
            super().__init__(*arguments, **named)

        def everything(self):
            return ["a record", "another"]

        def publish(self):
            asked["published"] += 1
            return 7

    def run(names, parameters, target):
        asked["runs"].append((names, parameters, target.as_posix()))
        return list(names)

    monkeypatch.setattr(study, "Study", Stand)
    monkeypatch.setattr(notebooks, "run", run)
    return asked


def test_study_computes_first_and_the_pages_then_load(staged, capsys):
    command = ["study", "--scale", "study", "--data-root", "data", "--device", "cpu", "--publish"]
    assert cli.main(command) == 0
    assert staged["studies"][0] == (("study", "runs", "data"), {"device": "cpu"})
    ((names, parameters, target),) = staged["runs"]
    assert names == SCALES["study"].pages and len(names) < len(PAGES)
    assert parameters == {
        "scale": "study",
        "store": "runs",
        "data_root": "data",
        "load_only": True,
        "device": "cpu",
    }
    assert target == "book/executed/study" and staged["published"] == 1
    shown = capsys.readouterr().out
    assert "2 records of scale study in runs" in shown and f"{len(names)} pages in" in shown
    assert "7 records of scale study published" in shown


@pytest.mark.parametrize(
    ("options", "store", "load_only"),
    [
        (["probes"], "runs", False),
        (["-p", "seed", "3"], "runs", False),
        (["probes", "--load-only"], "book/results", True),
        (["--load-only"], "book/results", True),
    ],
)
def test_study_of_some_pages_or_of_records_computes_nothing_before(
    options, store, load_only, staged
):
    assert cli.main(["study", *options]) == 0
    assert staged["studies"] == []
    ((names, parameters, _),) = staged["runs"]
    assert names == (("probes",) if "probes" in options else SCALES["smoke"].pages)
    assert (parameters["store"], parameters["load_only"]) == (store, load_only)
    assert parameters.get("seed") == ("3" if "seed" in options else None)


def test_data_pack_and_show(photographs, tmp_path, capsys):
    command = [
        "data",
        "pack",
        str(photographs),
        "--shorter-edge-px",
        "32",
        "--store",
        str(tmp_path),
    ]
    assert cli.main(command) == 0
    text = capsys.readouterr().out
    assert "8 photographs, 1 left out" in text
    assert "broken.jpg: unreadable" in text
    assert cli.main(["data", "show", str(tmp_path / "packs" / "holiday-32")]) == 0
    assert capsys.readouterr().out == text


def test_data_check_lists_what_is_wrong_and_writes_a_manifest(photographs, tmp_path, capsys):
    store = ["--store", str(tmp_path / "store")]
    before = sorted(photographs.iterdir())
    assert cli.main(["data", "check", "photographs", str(photographs), *store]) == 1
    shown = capsys.readouterr()
    assert "    broken.jpg: unreadable" in shown.out
    assert shown.err.splitlines()[-1] == (
        "aesthlib data: photographs is not as published or broken: 1 broken"
    )
    manifest = (tmp_path / "store" / "manifests" / "photographs.csv").read_text()
    assert manifest.startswith("file,sha256,split,label,problem\n0.jpg,")
    assert len(manifest.splitlines()) == 10

    (photographs / "broken.jpg").unlink()
    named = tmp_path / "named.csv"
    command = ["data", "check", "photographs", str(photographs), "--manifest", str(named)]
    assert cli.main([*command, *store]) == 0
    assert "photographs                      8" in capsys.readouterr().out
    assert len(named.read_text().splitlines()) == 9
    assert sorted(photographs.iterdir()) == [p for p in before if p.name != "broken.jpg"]


def test_data_check_tells_counts_from_the_published_ones(tmp_path, capsys):
    folder = tmp_path / "oasis"
    (folder / "images").mkdir(parents=True)
    rows = [f"{n}.jpg,Scene,{1 + n / 10}" for n in range(25)]
    (folder / "ratings.csv").write_text("\n".join(["file,category,beauty_mean", *rows]) + "\n")
    command = ["data", "check", "oasis", str(folder), "--store", str(tmp_path / "store")]
    assert cli.main(command) == 1
    shown = capsys.readouterr()
    assert "rows                            25  published 900" in shown.out
    assert "    19.jpg\n    and 5 more, all in the manifest" in shown.out
    assert "rows: 25, published 900; photographs: 0, published 900" in shown.err

    (folder / "ratings.csv").write_text("file,category,beauty_mean\n1.jpg,Scene,9\n")
    assert cli.main(command) == 1
    assert "ratings.csv, line 2: beauty_mean must lie in [1, 7], got 9" in capsys.readouterr().err


def test_data_check_writes_nothing_into_the_data(photographs, capsys):
    inside = str(photographs / "manifest.csv")
    command = ["data", "check", "photographs", str(photographs), "--manifest", inside]
    assert cli.main(command) == 1
    assert "where nothing is written: name another place" in capsys.readouterr().err
    assert not (photographs / "manifest.csv").exists()


@pytest.mark.parametrize(
    ("command", "message"),
    [
        (["pretrain", "nowhere"], "nowhere is not a folder"),
        (["pretrain", ".", "--method", "magic"], "method must be one of"),
        (["pretrain", ".", "--size-px", "20"], "size_px must lie in"),
        (["pretrain", ".", "--operations", "blurring"], "unknown operation 'blurring'"),
        (["pretrain", ".", "--preset", "mild"], "preset must be one of"),
        (["pretrain", ".", "--device", "cuda:99"], "device 'cuda:99' is not available"),
        (["probe", "0123", "oasis", "."], "no run 0123"),
        (["probe", "0123", "oasis"], "no run 0123"),
        (["data", "show", "nowhere"], "not a finished pack"),
        (["data", "check", "coco", "nowhere"], "the data set must be one of oasis"),
        (["data", "check", "ava", "nowhere"], "AVA.txt is missing: name the folder of AVA"),
        (["study", "--scale", "huge"], "scale must be one of"),
        (["study", "--scale", "huge", "--plan"], "scale must be one of"),
        (["study", "-p", "speed", "3"], "unknown parameter speed"),
        (["study", "nonsense"], "no notebook 'nonsense'"),
    ],
)
def test_errors_are_one_line_that_names_the_fault(command, message, capsys):
    assert cli.main(command) == 1
    error = capsys.readouterr().err
    assert message in error
    assert "Traceback" not in error


def test_unknown_options_are_refused(capsys):
    with pytest.raises(SystemExit):
        cli.main(["pretrain", ".", "--epoch", "3"])  # no abbreviations: it is --epochs
    assert "--epoch" in capsys.readouterr().err
