"""Energy counters of a machine that is made of files, and what training makes of them."""

import sys
from types import SimpleNamespace

import pytest

from aesthlib import training
from aesthlib.pretext.degradation import Degradation
from aesthlib.training import PretrainConfig, energy

TINY = PretrainConfig(
    size_px=67,
    shorter_edge_px=70,
    epochs=2,
    batch_size=2,
    learning_rate=0.01,
    precision="fp32",
    options=Degradation.Options(operations=("rotation", "exposure"), operations_per_patch=1),
)


@pytest.fixture
def counters(tmp_path):
    """Function of microjoules by zone to a folder that shows them as Linux does."""

    def make(**zones):
        for name, value in zones.items():
            zone = tmp_path / "powercap" / name.replace("_", ":").replace("rapl", "intel-rapl")
            zone.mkdir(parents=True, exist_ok=True)
            (zone / "energy_uj").write_text(f"{value}\n")
            (zone / "name").write_text("core\n" if name.count("_") > 1 else f"package-{name[-1]}\n")
        # the control type itself is no zone
        (tmp_path / "powercap" / "intel-rapl").mkdir(parents=True, exist_ok=True)
        return tmp_path / "powercap"

    return make


def test_packages_are_summed_and_their_parts_are_not(counters):
    folder = counters(rapl_0=3_000_000, rapl_1=500_000, rapl_0_0=2_000_000, rapl_0_1=900_000)
    assert energy.joules("cpu", folder) == pytest.approx(3.5)


def test_without_counters_there_is_no_number(counters, tmp_path):
    assert energy.joules("cpu", tmp_path / "none") is None
    assert energy.joules("cpu", counters()) is None
    assert energy.joules("cpu", counters(rapl_0_0=1)) is None  # a part without its whole


def test_a_counter_that_may_not_be_read_leaves_no_part_of_the_sum(counters):
    folder = counters(rapl_0=3_000_000, rapl_1=500_000)
    (folder / "intel-rapl:1" / "energy_uj").unlink()
    (folder / "intel-rapl:1" / "energy_uj").mkdir()  # root may read any file, but no folder
    assert energy.joules("cpu", folder) is None
    (folder / "intel-rapl:1" / "energy_uj").rmdir()
    assert energy.joules("cpu", folder) is None
    (folder / "intel-rapl:1" / "energy_uj").write_text("not counted")
    assert energy.joules("cpu", folder) is None


def test_a_gpu_is_added(counters, monkeypatch):
    library = SimpleNamespace(
        nvmlInit=lambda: None,
        nvmlDeviceGetHandleByUUID=lambda uuid: {b"GPU-one": 7}[uuid],
        nvmlDeviceGetTotalEnergyConsumption={7: 2500}.__getitem__,
    )
    monkeypatch.setitem(sys.modules, "pynvml", library)
    named = SimpleNamespace(uuid="one")
    monkeypatch.setattr("torch.cuda.get_device_properties", lambda device: named)
    folder = counters(rapl_0=1_000_000)
    assert energy.joules("cuda", folder) == pytest.approx(3.5)
    assert energy.joules("cpu", folder) == pytest.approx(1)

    class NVMLError(Exception):  # the library's own kind
        pass

    def broken():
        raise NVMLError("driver not loaded")

    monkeypatch.setattr(library, "nvmlInit", broken)
    assert energy.joules("cuda", folder) is None
    monkeypatch.setitem(sys.modules, "pynvml", None)  # not installed: half would pass for all
    assert energy.joules("cuda", folder) is None


@pytest.mark.parametrize(
    "zone, name", [("intel-rapl-mmio:0", "package-0"), ("intel-rapl:1", "psys")]
)
def test_no_joule_is_counted_twice(counters, zone, name):
    """The same package by another way, and the platform that holds the package."""
    folder = counters(rapl_0=3_000_000)
    (folder / zone).mkdir()
    (folder / zone / "energy_uj").write_text("3000000\n")
    (folder / zone / "name").write_text(f"{name}\n")
    assert energy.joules("cpu", folder) == pytest.approx(3)


# --- training ---


def history_with(readings, photographs, folder, monkeypatch):
    left = iter(readings)
    monkeypatch.setattr(energy, "joules", lambda device: next(left))
    found = training.pretrain(TINY, photographs, folder, "cpu").history
    assert next(left, "none left") == "none left"
    return found


@pytest.fixture(scope="module")
def photographs(smooth, packed):
    return packed(smooth(2, 70, 70))


def test_an_epoch_has_what_was_taken_while_it_ran(photographs, tmp_path, monkeypatch):
    """Only where there are counters, and nothing else changes."""
    plain = history_with((None, None), photographs, tmp_path / "a", monkeypatch)
    readings = (100.0, 112.25, 200.0, 230.0)
    counted = history_with(readings, photographs, tmp_path / "b", monkeypatch)
    assert [row["joules"] for row in counted] == [12.25, 30]
    for row, other in zip(plain, counted, strict=True):
        assert {k: v for k, v in other.items() if k not in ("joules", "seconds")} == {
            k: v for k, v in row.items() if k != "seconds"
        }
    again = training.pretrain(TINY, photographs, tmp_path / "b", "cpu").history
    assert again == counted  # kept in the checkpoint


def test_a_counter_that_began_anew_or_vanished_is_passed_by(photographs, tmp_path, monkeypatch):
    readings = (100.0, 3.0, 5.0, None)
    history = history_with(readings, photographs, tmp_path, monkeypatch)
    assert not any("joules" in row for row in history)
