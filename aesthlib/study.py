"""What is run at each scale: the methods, experiments and pages of the study.

A scale is a table of numbers, nothing else; all share one code path. Each page of the book has a
method of `Study` that gives its records; the page's notebook calls it, and so does the plan.
"""

from dataclasses import dataclass, field, replace
from pathlib import Path

from . import files, ops, pretext, records, training
from .data import benchmarks
from .probes import ProbeConfig
from .runs import (
    Asked,
    Job,
    Photographs,
    Runs,
    embedded_photographs,
    folder_photographs,
    rated,
    unseen,
)
from .training import PretrainConfig

LOW_DATA_LAYER = "conv3"  # of Fig. 5 and 6


@dataclass(frozen=True)
class Method:
    """A row of Table 2.

    Attributes:
        task: in `pretext.TASKS`.
        title: on pages.
        paper: its name in the paper's Table 2; "" where it is not there.
        needs: what a run needs beyond the scale's photographs, for rows that are not run.
    """

    task: str
    title: str
    paper: str = ""
    needs: str = ""


METHODS = {
    "labels": Method(
        "labels", "ImageNet labels", "ImageNet label",
        "aesthlib pretrain FOLDER --method labels --classes 1000, FOLDER with one folder a class",
    ),
    "places": Method(
        "labels", "Places labels", "Places label",
        "aesthlib pretrain FOLDER --method labels --classes 365, FOLDER with one folder a class",
    ),
    "published": Method(
        "published", "Published ImageNet weights", "",
        "aesthlib pretrain FOLDER --method published --backbone resnet18, and a network",
    ),
    "random": Method("random", "Without pretext", "Without pretext"),
    "context": Method("context", "Context", "Context"),
    "jigsaw": Method("jigsaw", "Jigsaw"),
    "colorization": Method("colorization", "Colorization", "Colorization"),
    "split_brain": Method("split_brain", "Split-brain", "Split-Brain"),
    "counting": Method("counting", "Counting", "Counting"),
    "rotation": Method("rotation", "Rotation", "RotNet"),
    "degradation": Method("degradation", "Degradation (ours)", "Ours"),
}  # fmt: skip
OURS = "degradation"


def _without(*left_out: str) -> dict:
    return {"operations": tuple(name for name in ops.NAMES if name not in left_out)}


ATTRIBUTES = tuple(dict.fromkeys(row.attribute for row in ops.OPERATIONS))

# By group and name, what is changed in the options of the degradation task.
ABLATIONS = {
    "reference": {"both losses, two stages": {}},
    "losses": {
        "identification alone": {"lambda_triplet": 0.0},
        # alone, its factor only scales the gradient, and there is no prediction to weigh by
        "triplet alone": {
            "use_degradation": False, "triplet_from_epoch": 0, "lambda_triplet": 1.0,
            "entropy_alpha": 0.0,
        },
        "joint from the start": {"triplet_from_epoch": 0},
    },
    "triplet weight": {f"λ = {v:g}": {"lambda_triplet": v} for v in (0.004, 0.1, 0.5)},
    "entropy weight": {
        "no entropy weight": {"entropy_alpha": 0.0},
        "α = 1/3": {"entropy_alpha": 1 / 3},
        "α = 5/6": {"entropy_alpha": 5 / 6},
    },
    "attribute left out": {
        f"without {name}": _without(*(o.name for o in ops.OPERATIONS if o.attribute == name))
        for name in ATTRIBUTES
    },
    "operation left out": {
        f"without {name.replace('_', ' ')}": _without(name) for name in ops.NAMES
    },
    "readings": {
        "noise on pixels in [0, 1]": {"noise_units": "pixel"},
        "levels calibrated": {"preset": "calibrated"},
        "whole patches shuffled": {"shuffle": "move"},
    },
    "operations a patch": {
        f"{count} operations": {"operations_per_patch": count} for count in (1, 2, 5)
    },
}  # fmt: skip


@dataclass(frozen=True)
class Scale:
    """The numbers of a scale.

    Attributes:
        photographs: for pretraining, "embedded" or a folder below the data root.
        held_out: photographs that no task is trained on: "embedded" or a benchmark.
        methods: those of `METHODS` that are run.
        benchmarks: for the probes, "unseen" or folders below the data root.
        pretrain: the run of every method; only task, seed and options differ.
        options: of tasks, by task.
        labelled: class folders of the methods that need labels, by method.
        seeds: pretraining runs of a method where it is not one, by method.
        probe: how features are judged.
        unseen_photographs, unseen_pairs: at most, and patches a photograph.
        fractions, subsets: of the labels, and seeded subsets of each.
        scratch: of training from scratch in the low-data curves; () for none.
        adapt: of whole networks on a benchmark's labels; None for none.
        adapt_starts: backbone and method ("scratch" for random weights) of each.
        ablation: the run of every ablation; None for none.
        ablations: groups of `ABLATIONS`.
        pages: of `PAGES` that this scale has.
    """

    photographs: str
    held_out: str
    methods: tuple[str, ...]
    benchmarks: tuple[str, ...]
    pretrain: PretrainConfig
    options: dict = field(default_factory=dict)
    labelled: dict = field(default_factory=dict)
    seeds: dict = field(default_factory=dict)
    probe: ProbeConfig = ProbeConfig()
    unseen_photographs: int = 0
    unseen_pairs: int = 30
    fractions: tuple[float, ...] = (0.01, *(step / 20 for step in range(1, 11)))
    subsets: int = 5
    scratch: tuple[str, ...] = ()
    adapt: PretrainConfig | None = None
    adapt_starts: tuple[tuple[str, str], ...] = ()
    ablation: PretrainConfig | None = None
    ablations: tuple[str, ...] = ()
    pages: tuple[str, ...] = ()


def labels_config(config: PretrainConfig, **changes) -> PretrainConfig:
    """A training of whole networks on two classes, from a pretraining's sizes."""
    options = pretext.task("labels").Options(classes=2)
    return replace(config, method="labels", options=options, **changes)


PAGES = {
    "01_degradations": "degradations",
    "02_pretraining": "pretraining",
    "03_probes": "probes",
    "04_low_data": "low_data",
    "05_adaptation": "adaptation",
    "06_ablations": "ablations",
    "07_confidence": "confidence",
    "08_understanding": "understanding",
    "09_claims": "claims",
    "10_summary": "summary",
}
SELF_SUPERVISED = ("random", "context", "jigsaw", "colorization", "split_brain", "counting",
                   "rotation", "degradation")  # fmt: skip

_SMOKE = PretrainConfig(
    size_px=80, shorter_edge_px=128, epochs=6, drop_every_epochs=3, crops_per_photograph=12,
    batch_size=16,
)  # fmt: skip
_SMALLEST = replace(_SMOKE, size_px=67, epochs=3, drop_every_epochs=2, crops_per_photograph=2)
_PAPER = PretrainConfig()

SCALES = {
    "smoke": Scale(
        photographs="embedded", held_out="embedded", methods=("labels", *SELF_SUPERVISED),
        benchmarks=("unseen",), pretrain=_SMOKE,
        options={
            "degradation": {"triplet_from_epoch": 3, "entropy_from_epoch": 5},
            "labels": {"classes": 3}, "jigsaw": {"permutations": 4, "puzzles_per_patch": 4},
        },
        labelled={"labels": "embedded"},
        probe=ProbeConfig(repeats=1, folds=3, inner_folds=2, penalties=(1e-3, 1e-2, 0.1, 1.0)),
        fractions=(0.1, 0.5), subsets=2, scratch=("unseen",),
        unseen_pairs=10,
        adapt=labels_config(_SMALLEST, learning_rate=0.01, epochs=2, crops_per_photograph=1),
        adapt_starts=tuple(
            (backbone, start)
            for backbone in ("alexnet", "resnet18") for start in ("scratch", "degradation")
        ),
        ablation=_SMALLEST, ablations=tuple(ABLATIONS), pages=tuple(PAGES),
    ),
    # switch-on points in proportion to the epochs; at this budget the network's entropy stays above
    # 0.6 nats, where the entropy weight is 0, so the warm-up lasts to the end
    "study": Scale(
        photographs="photos", held_out="oasis", methods=("random", "degradation"),
        benchmarks=("oasis", "vessel", "unseen"),
        pretrain=PretrainConfig(size_px=128, shorter_edge_px=144, epochs=3, drop_every_epochs=2),
        options={"degradation": {"triplet_from_epoch": 2, "entropy_from_epoch": 3}},
        unseen_photographs=60, unseen_pairs=10,
        pages=("01_degradations", "02_pretraining", "03_probes", "04_low_data", "08_understanding",
               "09_claims", "10_summary"),
    ),
    "paper": Scale(
        photographs="imagenet", held_out="oasis",
        methods=("labels", "places", *SELF_SUPERVISED),
        benchmarks=("ava", "aadb", "cuhk_pq", "oasis", "vessel", "unseen"), pretrain=_PAPER,
        options={"labels": {"classes": 1000}},
        labelled={"labels": "imagenet", "places": "places"},
        unseen_photographs=600, unseen_pairs=10,
        scratch=("aadb", "cuhk_pq"),
        adapt=labels_config(_PAPER, epochs=30, learning_rate=0.01),
        adapt_starts=tuple(
            (backbone, start)
            for backbone in ("alexnet", "resnet18")
            for start in ("scratch", "labels", "degradation")
        ),
        ablation=_PAPER, ablations=tuple(ABLATIONS), pages=tuple(PAGES),
    ),
}  # fmt: skip


class Study:
    """The runs of one scale in one store.

    Args:
        scale: "smoke", "study" or "paper".
        store: folder of records, checkpoints, features and packed photographs.
        data_root: folder that holds the photographs' and benchmarks' folders; "" if there is none.
        load_only: never compute; a missing record is an error.
        device: "auto", "cpu" or "cuda".
        seed: of pretraining; −1 takes all seeds of the scale.

    Raises:
        ValueError: unknown scale or device.
    """

    def __init__(
        self, scale: str = "smoke", store: str | Path = "runs", data_root: str | Path = "",
        load_only: bool = False, device: str = "auto", seed: int = -1,
    ):  # fmt: skip
        if scale not in SCALES:
            raise ValueError(f"scale must be one of {', '.join(SCALES)}, got {scale!r}")
        self.name, self.scale, self.seed = scale, SCALES[scale], seed
        self.store = records.Store(Path(store), compute=not load_only)
        self.data_root = Path(data_root) if data_root else None
        self.runs = Runs(self.store, scale, training.choose_device(device))

    # -- pages

    def degradations(self) -> list[dict]:
        """What each class does to the embedded photographs."""
        config = self.scale.pretrain
        return [self.runs.identifiability(config.size_px, config.shorter_edge_px)]

    def pretraining(self) -> list[dict]:
        """Every method's runs, and its own measures on held-out photographs."""
        found = []
        for method in self.scale.methods:
            for run in self.pretrained(method):
                found.append(run)
                if pretext.task(METHODS[method].task).trains:
                    found.append(self.runs.held_out(run, self._photographs(self.scale.held_out)))
        return found

    def probes(self) -> list[dict]:
        """Table 2: linear probes by both solvers, and ours compared with every other method."""
        found = []
        for benchmark in self.scale.benchmarks:
            asked = self._asked(benchmark)
            judged = {}
            for method in self.scale.methods:
                for run in self.pretrained(method):
                    by_solver = [
                        self.runs.probe(run, asked, replace(self.scale.probe, solver=solver))
                        for solver in ("exact", "sgd")
                    ]
                    judged[method, run["seed"]] = by_solver[0]
                    found += [run, *by_solver]
            for (method, seed), theirs in judged.items():
                ours = judged.get((OURS, seed))
                if ours and method != OURS:
                    found.append(self.runs.compare(ours, theirs))
        return _once(found)

    def low_data(self) -> list[dict]:
        """Fig. 5 and 6: exact probes on parts of the labels, and training from scratch."""
        scale, found = self.scale, []
        for benchmark in scale.benchmarks:
            asked = self._asked(benchmark)
            for method in scale.methods:
                if method not in ("labels", "places", "random", OURS):
                    continue
                run = self.pretrained(method)[0]
                found.append(self.runs.low_data(
                    run, asked, LOW_DATA_LAYER, scale.fractions, scale.subsets, scale.probe
                ))  # fmt: skip
            if benchmark in scale.scratch:
                found.append(self.runs.low_data_from_scratch(
                    scale.adapt, asked, scale.fractions, scale.subsets, scale.probe
                ))  # fmt: skip
        return found

    def adaptation(self) -> list[dict]:
        """Table 3: non-linear heads on frozen features, and whole networks fine-tuned."""
        found = []
        for benchmark in self.scale.benchmarks:
            asked = self._asked(benchmark)
            for backbone, start in self.scale.adapt_starts:
                run = None if start == "scratch" else self._short(start, backbone)
                if run is not None:
                    head = replace(self.scale.probe, solver="nonlinear")
                    found += [run, self.runs.probe(run, asked, head)]
                found.append(self._adapted(asked, backbone, run))
        return _once(found)

    def ablations(self) -> list[dict]:
        """Every ablation's run, its probes, and their differences to those of the reference."""
        found, reference = [], {}
        for run in self.ablated().values():
            found.append(run)
            for benchmark in self.scale.benchmarks:
                judged = self.runs.probe(run, self._asked(benchmark), self.scale.probe)
                found.append(judged)
                first = reference.setdefault(benchmark, judged)
                if judged is not first:
                    found.append(self.runs.compare(judged, first))
        return _once(found)

    def confidence(self) -> list[dict]:
        """Fig. 2: a supervised model under each operation and level."""
        backbone = self.scale.pretrain.backbone
        found = []
        for benchmark in self.scale.benchmarks:
            asked = self._asked(benchmark)
            adapted = self._adapted(asked, backbone, None)
            found += [adapted, self.runs.confidence(adapted, asked, self.scale.probe)]
        return found

    def understanding(self) -> list[dict]:
        """What the degradation task has learned."""
        return [
            self.runs.understanding(run, self._photographs(self.scale.held_out))
            for run in self.pretrained(OURS)
        ]

    def summary(self) -> list[dict]:
        """What the summary shows: pretraining and probes."""
        return _once(self.pretraining() + self.probes())

    def claims(self) -> list[dict]:
        """All that the verdicts rest on: every other page of the scale."""
        resting = [page for page in self.scale.pages if PAGES[page] != "claims"]
        return _once([record for page in resting for record in self.page(page)])

    def page(self, name: str) -> list[dict]:
        """Records of a page, computed where they are not there.

        Args:
            name: in `PAGES`.

        Raises:
            RecordMissing: one may only be loaded and is not there, or its photographs are not.
        """
        return getattr(self, PAGES[name])()

    def everything(self) -> list[dict]:
        """Every record of the scale, computed where it is not there."""
        return _once([record for name in self.scale.pages for record in self.page(name)])

    # -- runs by name

    def pretrain_config(
        self, method: str, seed: int = 0, base: PretrainConfig | None = None, **options
    ) -> PretrainConfig:
        """A method's run; options override those of the scale, base its size and budget."""
        task = METHODS[method].task
        own = dict(self.scale.options.get(task, {}))
        if method == "places":
            own["classes"] = 365
        chosen = pretext.task(task).Options(**own | options)
        return replace(base or self.scale.pretrain, method=task, seed=seed, options=chosen)

    def pretrained(self, method: str, **options) -> list[dict]:
        """Records of a method's pretraining, one a seed.

        Args:
            method: of `METHODS`.
            options: of the task, beside the scale's.
        """
        seeds = range(self.scale.seeds.get(method, 1)) if self.seed < 0 else (self.seed,)
        return [
            self.runs.pretrain(
                self.pretrain_config(method, seed, **options), self._pretrained_on(method), method
            )
            for seed in seeds
        ]

    def ablated(self) -> dict[tuple[str, str], dict]:
        """Records of the ablations' pretraining by group and name in `ABLATIONS`."""
        base, found = self.scale.ablation, {}
        for group in self.scale.ablations:
            for name, changed in ABLATIONS[group].items():
                options = {**self._switched(base), **changed}
                config = self.pretrain_config(OURS, max(self.seed, 0), base, **options)
                found[group, name] = self.runs.pretrain(config, self._pretrained_on(OURS))
        return found

    def _short(self, method: str, backbone: str) -> dict:
        """The run that an adaptation starts from: the scale's, or its like on another backbone."""
        config = self.scale.pretrain
        if backbone == config.backbone and self.scale.adapt.size_px == config.size_px:
            return self.pretrained(method)[0]
        base = replace(
            self.scale.ablation or config, backbone=backbone, size_px=self.scale.adapt.size_px
        )
        options = self._switched(base) if method == OURS else {}
        config = self.pretrain_config(method, max(self.seed, 0), base, **options)
        return self.runs.pretrain(config, self._pretrained_on(method), method)

    def _switched(self, base: PretrainConfig) -> dict:
        """Switch-on points of the degradation task, in proportion to a run's epochs."""
        given, share = self.scale.options.get(OURS, {}), base.epochs / self.scale.pretrain.epochs
        points = ("triplet_from_epoch", "entropy_from_epoch")
        return {key: int(given[key] * share) for key in points if key in given}

    def _adapted(self, asked: Asked, backbone: str, run: dict | None) -> dict:
        config = replace(self.scale.adapt, backbone=backbone)
        return self.runs.adapt(config, asked, run, self.scale.probe)

    def _photographs(self, name: str, labelled: bool = False) -> Photographs:
        if name == "embedded":
            return embedded_photographs()
        folder = None if self.data_root is None else self.data_root / name
        if name in benchmarks.READERS:
            return rated(name, folder).photographs
        return folder_photographs(folder, name, labelled)

    def _pretrained_on(self, method: str) -> Photographs:
        name = self.scale.labelled.get(method, self.scale.photographs)
        # one pack serves the methods with and without labels
        return self._photographs(name, name in self.scale.labelled.values())

    def _asked(self, benchmark: str) -> Asked:
        if benchmark == "unseen":
            of = self._photographs(self.scale.held_out)
            return unseen(of, self.scale.unseen_photographs, self.scale.unseen_pairs)
        return rated(benchmark, None if self.data_root is None else self.data_root / benchmark)

    # -- beyond computing

    def plan(self) -> dict[str, list[Job]]:
        """Jobs of every page, nothing computed; a job that pages share stands at the first."""
        self.runs.plan, found, before = {}, {}, 0
        for name in self.scale.pages:
            self.page(name)
            jobs = list(self.runs.plan.values())
            found[name], before = jobs[before:], len(jobs)
        self.runs.plan = None
        return found

    def publish(self, target: Path = records.PUBLISHED) -> int:
        """Make another store hold this scale's records, and no others of the scale.

        Returns:
            The number of records.
        """
        kept = self.everything()
        published = records.Store(target)
        for outdated in published.all():
            if outdated["scale"] == self.name:
                published.path("records", f"{outdated['run_id']}.json").unlink()
        wanted = {data["sha256"] for record in kept for data in record["data"]}
        for record in kept:
            published.write(record)
        for path in self.store.path("data").glob("*.json"):
            identity = files.read_json(path)
            if identity["sha256"] in wanted:
                files.write_json(published.path("data", path.name), identity)
        return len(kept)


def _once(found: list[dict]) -> list[dict]:
    """Records without those that stand there already."""
    return list({record["run_id"]: record for record in found}.values())
