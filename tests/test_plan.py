"""The plan: what is left, what it costs, and that asking for it computes nothing."""

from dataclasses import replace

import pytest

from aesthlib import cli, plan, study
from aesthlib.plan import Estimate, Rates
from aesthlib.probing import features
from aesthlib.runs import Job, Work
from aesthlib.store import records
from aesthlib.study import SCALES, Study
from aesthlib.training import PretrainConfig

TINY = PretrainConfig(size_px=67, shorter_edge_px=72, epochs=2, batch_size=8)


@pytest.fixture
def measured(monkeypatch):
    """Configs that were measured, by a clock that says one, a tenth of a second, 1 MiB."""
    asked = []

    def measure(config, device):
        asked.append(config)
        return Rates(1.0, 0.1, 2**20)

    monkeypatch.setattr(plan, "measure", measure)
    monkeypatch.setattr(plan, "product_rate", lambda device: 1e9)
    return asked


def cost(*jobs):
    return plan.estimate({"03_probes": list(jobs)}, "cpu")["03_probes"]


def job(work, done=False):
    return Job("pretrain", "degradation", work, done)


def test_seconds_are_rates_times_counts(measured):
    found = cost(job(Work(TINY, patches=100)), job(Work(TINY, forward=50)))
    together = max(TINY.batch_size, features.BATCH)  # a forward pass's bound is the larger here
    assert found == Estimate(2, 2, pytest.approx(105), together * 2**20, 0)
    assert len(measured) == 1  # the same network, task and size
    assert cost(job(Work(TINY, patches=100))).memory == TINY.batch_size * 2**20


def test_done_runs_count_nothing(measured):
    found = cost(job(Work(TINY, patches=100, forward=9, entries=10**6, columns=9), True))
    assert found == Estimate(1, 0, 0, 0, 0)
    assert not measured


def test_probes_cost_memory_disk_and_time(measured):
    small = cost(job(Work(TINY, forward=5000, entries=5000, columns=10)))
    large = cost(job(Work(TINY, forward=10_000, entries=10_000, columns=10)))
    twice = cost(job(Work(TINY, forward=5000, entries=5000, columns=20)))
    assert small.disk == 5000 * 5 * 9600 * 2  # float16 features of five layers
    assert small.memory == 3 * 5000 * 9600 * 4
    assert (large.disk, large.memory) == (2 * small.disk, 2 * small.memory)
    assert small.seconds < twice.seconds < large.seconds  # a fit grows faster than its entries
    assert twice.disk == small.disk


def test_every_network_task_and_size_is_measured_once(measured):
    configs = [
        TINY,
        replace(TINY, seed=3),
        replace(TINY, epochs=9),
        replace(TINY, learning_rate=0.5),
        replace(TINY, size_px=70),
        replace(TINY, backbone="resnet18"),
        replace(TINY, method="rotation", options=None),
    ]
    cost(*(job(Work(config, patches=1)) for config in configs))
    assert len(measured) == 4


def test_a_real_measurement_of_a_tiny_run():
    rates = plan.measure(TINY, "cpu")
    # a step takes seven versions of a patch forward and back, so at least as long as one forward
    assert 0 < rates.forward < rates.step < 60
    # conv1's output alone, of seven versions at 67 px, float32
    assert 7 * 64 * 16 * 16 * 4 < rates.kept < 2**30
    assert plan.product_rate("cpu", side=64) > 0


def test_estimates_grow_with_the_epochs(measured, tmp_path, monkeypatch):
    def seconds(epochs):
        scale = SCALES["smoke"]
        changed = {
            key: replace(getattr(scale, key), epochs=epochs * getattr(scale, key).epochs)
            for key in ("pretrain", "ablation", "adapt")
        }
        monkeypatch.setitem(study.SCALES, "smoke", replace(scale, **changed))
        pages = Study("smoke", tmp_path, device="cpu").plan()
        return {name: found.seconds for name, found in plan.estimate(pages, "cpu").items()}

    once, twice = seconds(1), seconds(2)
    trains = [f"0{number}_" for number in (2, 4, 5, 6)]
    for name in once:
        if name[:3] in trains:
            assert twice[name] > 1.2 * once[name], name
    assert not any(tmp_path.iterdir())


def test_a_record_in_the_store_is_done(tmp_path):
    asked = Study("smoke", tmp_path, device="cpu")
    first = asked.plan()
    jobs = [job for page in first.values() for job in page]
    assert not any(job.done for job in jobs)
    with asked.runs.planning() as planned:
        (question,) = asked.degradations()
    (name,) = planned
    whole = dict.fromkeys(records.KEYS, "") | question
    asked.store.write(whole | {"scale": "smoke", "metrics": []})
    assert [job.done for job in asked.plan()["01_degradations"]] == [True]
    assert asked.runs.plan is None  # asked again, it computes


def test_nothing_is_left_to_do_where_every_record_is_there():
    for scale in ("smoke", "study"):
        pages = Study(scale, records.PUBLISHED, device="cpu").plan()
        jobs = [job for page in pages.values() for job in page]
        assert jobs and all(job.done for job in jobs)


def test_a_planned_record_has_a_question_and_no_answer(tmp_path):
    asked = Study("smoke", tmp_path, device="cpu")
    with asked.runs.planning():
        (planned,) = asked.degradations()
    assert planned["experiment"] == "identifiability" and planned["config"]["size_px"] == 80
    for read in (lambda: planned["metrics"], lambda: planned.get("tables", {})):
        with pytest.raises(LookupError, match="identifiability .* is only planned: it has no"):
            read()


def test_a_plan_that_fails_leaves_the_study_computing(tmp_path, monkeypatch):
    asked = Study("smoke", tmp_path, device="cpu")

    def broken(*arguments):
        raise ZeroDivisionError

    monkeypatch.setattr(asked, "page", broken)
    with pytest.raises(ZeroDivisionError):
        asked.plan()
    assert asked.runs.plan is None


def test_files_of_a_benchmark_are_listed_once(tmp_path, monkeypatch):
    asked = Study("study", tmp_path, tmp_path, device="cpu")
    assert asked._asked("oasis") is asked._asked("oasis")
    assert asked._photographs("oasis") is asked._asked("oasis").photographs


def test_every_run_stands_on_one_page(tmp_path):
    pages = Study("smoke", tmp_path, device="cpu").plan()
    assert list(pages) == list(SCALES["smoke"].pages)
    assert pages["09_claims"] == pages["10_summary"] == []  # they show what others have run
    kinds = {name: {job.experiment for job in jobs} for name, jobs in pages.items()}
    assert kinds["01_degradations"] == {"identifiability"}
    assert kinds["02_pretraining"] == {"pretrain", "held_out"}
    assert kinds["03_probes"] == {"probe", "comparison"}
    assert kinds["04_low_data"] == {"low_data"}
    assert {"adaptation", "probe"} <= kinds["05_adaptation"]
    assert {"pretrain", "probe", "comparison"} == kinds["06_ablations"]
    assert kinds["07_confidence"] == {"confidence"}
    assert kinds["08_understanding"] == {"understanding"}


@pytest.mark.parametrize("where", [(), ("--data-root", "nowhere")], ids=["no root", "no folder"])
def test_paper_is_planned_without_any_data(where, measured, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("aesthlib.runs.Runs.recorded", recorded := guard())
    assert cli.main(["study", "--scale", "paper", "--plan", "--device", "cpu", *where]) == 0
    assert recorded.planned > 100
    assert not list(tmp_path.iterdir())  # neither store nor pages
    lines = capsys.readouterr().out.splitlines()
    for name in SCALES["paper"].pages:
        (line,) = (line for line in lines if line.startswith(name))
        words = line.split()
        runs, left = int(words[1]), int(words[2])
        shown = ("09_claims", "10_summary", "14_longer", "15_cost", "16_your_photographs")
        assert runs == left and (runs > 0 or name in shown)
        root = where[1] if where else "FOLDER"
        assert line.endswith(f"aesthlib study {name[3:]} --scale paper --data-root {root}")
        assert words[4] in ("s", "min", "h", "d") and words[6] == words[8] == "G"
        if name[:2] in ("02", "03", "04", "05", "06"):
            assert float(words[3]) > 0 and float(words[5]) > 0
    assert any(line.startswith("total ") for line in lines)


def guard():
    """`Runs.recorded` that counts, and fails where something is computed."""
    from aesthlib.runs import Runs

    original = Runs.recorded

    def recorded(self, *arguments, **named):
        assert self.plan is not None
        recorded.planned += 1
        return original(self, *arguments, **named)

    recorded.planned = 0
    return recorded


def test_photographs_count_as_published_or_as_found(measured, tmp_path):
    asked = Study("paper", tmp_path, tmp_path / "nowhere", device="cpu")
    pages = asked.plan()
    patches = {
        job.method: job.work.patches
        for job in pages["02_pretraining"]
        if job.experiment == "pretrain"
    }
    assert patches["degradation"] == 1_281_167 * 60
    assert patches["places"] == 1_803_460 * 60
    assert patches["random"] == 1_281_167  # one pass, nothing is trained
    smoke = Study("smoke", tmp_path, device="cpu").plan()["02_pretraining"]
    patches = {job.method: job.work.patches for job in smoke if job.experiment == "pretrain"}
    config = SCALES["smoke"].pretrain
    crops = config.epochs * config.crops_per_photograph
    assert patches["degradation"] == crops * patches["random"] > 0


def test_table_gives_every_page_its_command_and_a_total():
    found = {
        "02_pretraining": Estimate(3, 2, 90, 2**30, 0),
        "03_probes": Estimate(4, 4, 3 * 86400, 5 * 2**30, 2**31),
    }
    lines = plan.table(found, "aesthlib study --scale paper").splitlines()
    assert lines[0].split() == ["page", "runs", "left", "time", "memory", "disk", "command"]
    assert lines[1].split()[:5] == ["02_pretraining", "3", "2", "90", "s"]
    assert lines[1].endswith("G  aesthlib study pretraining --scale paper")
    assert lines[2].split()[:5] == ["03_probes", "4", "4", "3.0", "d"]
    total = lines[3].split()
    assert total[:5] == ["total", "7", "6", "3.0", "d"] and total[5:9] == ["5.0", "G", "2.0", "G"]
    assert lines[3].endswith("G  aesthlib study --scale paper")
