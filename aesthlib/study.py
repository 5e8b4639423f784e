"""What is run at each scale: the methods, experiments and pages of the study.

A scale is a table of numbers, nothing else; all share one code path. Each page of the book has a
method of `Study` that gives its records; the page's notebook calls it, and so does the plan.
"""

import itertools
from dataclasses import dataclass, field, replace
from pathlib import Path

from . import inquiries, ops, pretext, pretrained, training
from .data import benchmarks
from .data import unseen as unseen_operations
from .probing import ProbeConfig, features
from .runs import (
    Asked,
    Job,
    Photographs,
    Planned,
    Runs,
    embedded_photographs,
    folder_photographs,
    rated,
    unseen,
)
from .store import files, records
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
        "labels",
        "ImageNet labels",
        "ImageNet label",
        "aesthlib pretrain FOLDER --method labels --classes 1000, FOLDER with one folder a class",
    ),
    "places": Method(
        "labels",
        "Places labels",
        "Places label",
        "aesthlib pretrain FOLDER --method labels --classes 365, FOLDER with one folder a class",
    ),
    "published": Method(
        "published",
        "Published ImageNet weights",
        "",
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
}
OURS = "degradation"
MOMENTS = features.View("moments")


def _without(*left_out: str) -> dict:
    return {"operations": tuple(name for name in ops.NAMES if name not in left_out)}


ATTRIBUTES = tuple(dict.fromkeys(row.attribute for row in ops.OPERATIONS))

# By group and name, what is changed in the options of the degradation task, or the task itself.
ABLATIONS = {
    "reference": {"both losses, two stages": {}},
    "losses": {
        "identification alone": {"lambda_triplet": 0.0},
        # alone, its factor only scales the gradient, and there is no prediction to weigh by
        "triplet alone": {
            "use_degradation": False,
            "triplet_from_epoch": 0,
            "lambda_triplet": 1.0,
            "entropy_alpha": 0.0,
        },
    },
    "schedule": {"joint from the start": {"triplet_from_epoch": 0}},
    "triplet weight": {f"λ = {v:g}": {"lambda_triplet": v} for v in (0.004, 0.1, 0.5)},
    "entropy weight": {
        "no entropy weight": {"entropy_alpha": 0.0},
        "α = 1/3": {"entropy_alpha": 1 / 3},
        "α = 5/6": {"entropy_alpha": 5 / 6},
    },
    "entropy weight on": {"α = 5/3 from the second epoch": {"entropy_from_epoch": 1}},
    "attribute left out": {
        f"without {name}": _without(*(o.name for o in ops.OPERATIONS if o.attribute == name))
        for name in ATTRIBUTES
    },
    "operation left out": {
        f"without {name.replace('_', ' ')}": _without(name) for name in ops.NAMES
    },
    "shortcuts": {"cropped after the operation": {"method": "degradation_cropped"}},
    "levels": {"levels calibrated": {"preset": "calibrated"}},
    "readings": {
        "noise on pixels in [0, 1]": {"noise_units": "pixel"},
        "whole patches shuffled": {"shuffle": "move"},
    },
    "operations a patch": {
        f"{count} operations": {"operations_per_patch": count} for count in (1, 2, 5)
    },
}


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
        budgets: epochs of further runs of the ablations' reference, the schedule in proportion.
        ablation_every: ablations are trained on every so manieth photograph.
        few: the longest of these budgets is also trained on so many times fewer photographs, for
            as many steps; 0 for no such run.
        longer_epochs: of a further run of some methods at the size and on the photographs of
            `pretrain`, the schedule in proportion; 0 for none.
        longer_methods: that are trained so, ours among them.
        smaller: whether our method and the untrained network also run at the size of the ablations,
            all else as it is.
        operation_photographs: at most, where unseen operations are asked one by one, each once a
            photograph.
        release: benchmark whose ratings the released network predicts; "" for no release.
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
    budgets: tuple[int, ...] = ()
    ablation_every: int = 1
    few: int = 0
    smaller: bool = False
    longer_epochs: int = 0
    longer_methods: tuple[str, ...] = ()
    operation_photographs: int = 0
    release: str = ""
    pages: tuple[str, ...] = ()


def labels_config(config: PretrainConfig, **changes) -> PretrainConfig:
    """A training of whole networks on two classes, from a pretraining's sizes."""
    options = pretext.task("labels").Options(classes=2)
    return replace(config, method="labels", options=options, **changes)


def lengthened(config: PretrainConfig, epochs: int) -> PretrainConfig:
    """The same training over other epochs, its learning rate falling in proportion."""
    drop = max(1, config.drop_every_epochs * epochs // config.epochs)
    return replace(config, epochs=epochs, drop_every_epochs=drop)


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
    "11_checks": "checks",
    "12_why": "why",
    "13_beyond": "beyond",
    "14_longer": "longer",
    "15_cost": "cost",
    "16_your_photographs": "your_photographs",
}
SELF_SUPERVISED = (
    "random",
    "context",
    "jigsaw",
    "colorization",
    "split_brain",
    "counting",
    "rotation",
    "degradation",
)

_SMOKE = PretrainConfig(
    size_px=80,
    shorter_edge_px=128,
    epochs=6,
    drop_every_epochs=3,
    crops_per_photograph=12,
    batch_size=16,
)
_SMALLEST = replace(_SMOKE, size_px=67, epochs=3, drop_every_epochs=2, crops_per_photograph=2)
# Small steps, since so few epochs leave few of them: with 64 patches a step the task learns less.
_STUDY = PretrainConfig(
    size_px=128, shorter_edge_px=144, epochs=4, drop_every_epochs=2, batch_size=16
)
_PAPER = PretrainConfig()

SCALES = {
    "smoke": Scale(
        photographs="embedded",
        held_out="embedded",
        methods=("labels", *SELF_SUPERVISED),
        benchmarks=("unseen",),
        pretrain=_SMOKE,
        options={
            "degradation": {"triplet_from_epoch": 3, "entropy_from_epoch": 5},
            "labels": {"classes": 3},
            "jigsaw": {"permutations": 4, "puzzles_per_patch": 4},
        },
        labelled={"labels": "embedded"},
        probe=ProbeConfig(repeats=1, folds=3, inner_folds=2, penalties=(1e-3, 1e-2, 0.1, 1.0)),
        fractions=(0.1, 0.5),
        subsets=2,
        scratch=("unseen",),
        unseen_pairs=10,
        adapt=labels_config(_SMALLEST, learning_rate=0.01, epochs=2, crops_per_photograph=1),
        adapt_starts=tuple(
            (backbone, start)
            for backbone in ("alexnet", "resnet18")
            for start in ("scratch", "degradation")
        ),
        ablation=_SMALLEST,
        ablations=tuple(ABLATIONS),
        operation_photographs=6,
        pages=tuple(PAGES)[:10],  # the others say nothing here, but run when asked by name
    ),
    # The triplet enters at half of the epochs, as in the paper. The entropy weight's warm-up lasts
    # to the end: so early it would take most of the loss away, and an ablation switches it on.
    "study": Scale(
        photographs="photos",
        held_out="oasis",
        methods=tuple(name for name in SELF_SUPERVISED if name != "jigsaw"),  # not in Table 2
        benchmarks=("oasis", "vessel", "unseen"),
        pretrain=_STUDY,
        options={"degradation": {"triplet_from_epoch": 2, "entropy_from_epoch": 4}},
        seeds={"random": 3, "degradation": 3},
        unseen_photographs=60,
        unseen_pairs=10,
        probe=ProbeConfig(repeats=2, penalties=(1e-3, 1e-2, 0.1, 1.0, 10.0)),
        ablation=replace(_STUDY, size_px=80, shorter_edge_px=96, epochs=2, drop_every_epochs=1),
        ablations=(
            "reference",
            "losses",
            "entropy weight on",
            "attribute left out",
            "levels",
            "shortcuts",
        ),
        ablation_every=2,
        budgets=(4, 8, 16),
        few=4,
        smaller=True,
        longer_epochs=12,
        longer_methods=("colorization", "split_brain", "counting", OURS),
        operation_photographs=200,
        release="oasis",
        pages=tuple(page for page in PAGES if page not in ("05_adaptation", "07_confidence")),
    ),
    "paper": Scale(
        photographs="imagenet",
        held_out="oasis",
        methods=("labels", "places", *SELF_SUPERVISED),
        benchmarks=("ava", "aadb", "cuhk_pq", "oasis", "vessel", "unseen"),
        pretrain=_PAPER,
        options={"labels": {"classes": 1000}},
        labelled={"labels": "imagenet", "places": "places"},
        unseen_photographs=600,
        unseen_pairs=10,
        scratch=("aadb", "cuhk_pq"),
        adapt=labels_config(_PAPER, epochs=30, learning_rate=0.01),
        adapt_starts=tuple(
            (backbone, start)
            for backbone in ("alexnet", "resnet18")
            for start in ("scratch", "labels", "degradation")
        ),
        ablation=_PAPER,
        ablations=tuple(ABLATIONS),
        operation_photographs=300,
        pages=tuple(page for page in PAGES if page != "16_your_photographs"),
    ),
}


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
        self,
        scale: str = "smoke",
        store: str | Path = "runs",
        data_root: str | Path = "",
        load_only: bool = False,
        device: str = "auto",
        seed: int = -1,
    ):
        if scale not in SCALES:
            raise ValueError(f"scale must be one of {', '.join(SCALES)}, got {scale!r}")
        self.name, self.scale, self.seed = scale, SCALES[scale], seed
        self.store = records.Store(Path(store), compute=not load_only)
        self.data_root = Path(data_root) if data_root else None
        self.runs = Runs(self.store, scale, training.choose_device(device))
        self._folders: dict[tuple, Photographs] = {}
        self._rated: dict[str, Asked] = {}

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
                several = len([name for name, _ in judged if name == method]) > 1
                found += [
                    self.runs.compare(ours, theirs)
                    for (name, own), ours in judged.items()
                    if name == OURS != method and (own == seed or not several)
                ]
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
                found.append(
                    self.runs.low_data(
                        run, asked, LOW_DATA_LAYER, scale.fractions, scale.subsets, scale.probe
                    )
                )
            if benchmark in scale.scratch:
                found.append(
                    self.runs.low_data_from_scratch(
                        scale.adapt, asked, scale.fractions, scale.subsets, scale.probe
                    )
                )
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
        """What the degradation task has learned, in its first run."""
        of = self._photographs(self.scale.held_out)
        return [self.runs.understanding(self.pretrained(OURS)[0], of)]

    def checks(self) -> list[dict]:
        """What could fool us: leakage, shortcuts, unequal budgets, too little training."""
        found = [run for method in self.scale.methods for run in self.pretrained(method)]
        overlap = self._overlap(OURS)
        if overlap is not None:
            found.append(overlap)
        of, config = self._photographs(self.scale.held_out), self.pretrain_config(OURS)
        found.append(inquiries.shortcuts(self.runs, of, config))
        for run in self.with_and_without_shortcuts():
            found += [run, self.runs.understanding(run, of)]
        before: dict[str, dict] = {}
        for run in self.budgeted().values():
            found += [run, self.runs.held_out(run, of)]
            for benchmark in self.scale.benchmarks:
                judged = self.runs.probe(run, self._asked(benchmark), self.scale.probe)
                found.append(judged)
                if benchmark in before:
                    found.append(self.runs.compare(judged, before[benchmark]))
                before[benchmark] = judged
        return _once(found)

    def why(self) -> list[dict]:
        """Why ratings follow, or do not: pooling, statistics, kinds, photographs, one flaw."""
        scale, found = self.scale, []
        for benchmark in scale.benchmarks:
            asked, moments = self._asked(benchmark), {}
            for method in scale.methods:
                for run in self.pretrained(method):
                    judged = self.runs.probe(run, asked, scale.probe, MOMENTS)
                    moments[method, run["seed"]] = judged
                    probed = self.runs.probe(run, asked, scale.probe)
                    found += [run, judged, probed]
                    if benchmark in benchmarks.RATED_FOLDERS:
                        found.append(inquiries.within_kinds(self.runs, probed, asked))
            for (method, seed), theirs in moments.items():
                ours = moments.get((OURS, seed))
                if ours and method == "random":
                    found.append(self.runs.compare(ours, theirs))
            for method in ("random", OURS):
                run = self.pretrained(method)[0]
                for view in (features.View("mean"), features.View(statistics="clean")):
                    found.append(self.runs.probe(run, asked, scale.probe, view))
            few = self.fewer_photographs()
            if few is not None:
                judged = self.runs.probe(few, asked, scale.probe)
                most = list(self.budgeted().values())[-1]
                reference = self.runs.probe(most, asked, scale.probe)
                found += [few, judged, most, reference, self.runs.compare(judged, reference)]
            for method in (OURS, "random"):
                smaller = self.smaller(method)
                if smaller is not None:
                    judged = self.runs.probe(smaller, asked, scale.probe)
                    whole = self.runs.probe(self.pretrained(method)[0], asked, scale.probe)
                    found += [smaller, judged, self.runs.compare(judged, whole)]
        one_by_one = self._one_by_one()
        for method in scale.methods:
            for run in self.pretrained(method):
                found += [
                    inquiries.by_operation(self.runs, run, one_by_one, scale.probe, view)
                    for view in (MOMENTS, features.View("mean"))
                    if view == MOMENTS or method in ("random", OURS)
                ]
        return _once(found)

    def beyond(self) -> list[dict]:
        """The best features for a budget, chosen inside the training folds."""
        runs = {method: self.pretrained(method)[0] for method in self.scale.methods}
        one = [
            inquiries.Candidate(METHODS[method].title, (run,), layer)
            for method, run in runs.items()
            for layer in MOMENTS.layers
        ]
        variants = {f"{OURS}, {name}": run for name, run in self.budgeted().items()}
        variants |= {f"{OURS}, {name}": run for (_, name), run in self.ablated().items()}
        variants = {run["run_id"]: (title, run) for title, run in variants.items()}
        ours = [
            inquiries.Candidate(title, (run,), features.ALL)
            for title, run in [(METHODS[OURS].title, runs[OURS]), *variants.values()]
        ]
        two = [
            inquiries.Candidate(
                " and ".join(METHODS[m].title for m in pair),
                tuple(runs[m] for m in pair),
                features.ALL,
            )
            for pair in itertools.combinations(runs, 2)
        ]
        together = [inquiries.Candidate("all side by side", tuple(runs.values()), features.ALL)]
        choices = {
            "untrained network": [item for item in one if item.runs[0]["method"] == "random"],
            "one task": one,
            "our variants": ours,
            "two tasks": two,
            "all tasks": together,
        }
        found = [*runs.values(), *(run for _, run in variants.values())]
        for benchmark in self.scale.benchmarks:
            asked = self._asked(benchmark)
            chosen = {
                name: inquiries.selected(self.runs, items, asked, self.scale.probe, MOMENTS, name)
                for name, items in choices.items()
            }
            first, *others = chosen
            pairs = [(name, first) for name in others] + [("all tasks", "one task")]
            found += list(chosen.values()) + [
                inquiries.compare(self.runs, chosen[a], chosen[b], asked) for a, b in pairs
            ]
        return _once(found)

    def longer(self) -> list[dict]:
        """Whether more training changes the picture: long runs beside their like and untrained."""
        scale, untrained = self.scale, self.pretrained("random")
        long = {method: self.trained_longer(method) for method in scale.longer_methods}
        if not long:
            return []
        every = (untrained[0], *long.values())
        short = {method: self.pretrained(method)[0] for method in long}
        of, found = self._photographs(scale.held_out), [*untrained, *long.values()]
        for method, run in long.items():
            found += [self.runs.held_out(run, of), self.runs.held_out(short[method], of)]
        one = [
            inquiries.Candidate(METHODS[run["method"]].title, (run,), layer)
            for run in every
            for layer in MOMENTS.layers
        ]
        together = inquiries.Candidate("all side by side", every, features.ALL)
        choices = {"one task, longer": one, "all tasks, longer": [together]}
        for benchmark in scale.benchmarks:
            asked = self._asked(benchmark)

            def judge(run, asked=asked):
                return self.runs.probe(run, asked, scale.probe)

            ours = judge(long[OURS])
            for method, run in long.items():
                before = judge(short[method])
                found += [judge(run), before, self.runs.compare(judge(run), before)]
                if method != OURS:
                    found.append(self.runs.compare(ours, judge(run)))
            for run in untrained:
                found += [judge(run), self.runs.compare(ours, judge(run))]
            found += [
                inquiries.selected(self.runs, items, asked, scale.probe, MOMENTS, name)
                for name, items in choices.items()
            ]
        asked = self._one_by_one()
        single = [
            inquiries.by_operation(self.runs, run, asked, scale.probe, MOMENTS) for run in every
        ]
        ours = next(record for record in single if record["method"] == OURS)
        found += single + [
            inquiries.compare(self.runs, ours, record, asked)
            for record in single
            if record is not ours
        ]
        return _once(found)

    def cost(self) -> list[dict]:
        """What was trained: its minutes stand in the records."""
        found = [run for method in self.scale.methods for run in self.pretrained(method)]
        found += [self.trained_longer(method) for method in self.scale.longer_methods]
        found += [*self.budgeted().values(), *self.ablated().values()]
        return _once(found + [run for run in (self.fewer_photographs(), self.smaller()) if run])

    def your_photographs(self) -> list[dict]:
        """The released network's run, its work on held-out photographs, and its release.

        Released is the run of the degradation task that tells most versions of photographs that it
        was not trained on. No rating takes part in that choice.
        """
        if not self.scale.release:
            return []
        candidates, of = self.pretrained(OURS), self._photographs(self.scale.held_out)
        if OURS in self.scale.longer_methods:
            candidates.append(self.trained_longer(OURS))
        own = [self.runs.held_out(run, of) for run in candidates]
        best = 0  # of a plan in which one of them is still to be judged
        if not any(isinstance(record, Planned) for record in own):
            told = [
                {row["metric"]: row["value"] for row in record["metrics"]}["held_out_accuracy"]
                for record in own
            ]
            best = told.index(max(told))
        asked = self._asked(self.scale.release)
        released = pretrained.release(self.runs, candidates[best], asked, self.scale.probe)
        return [candidates[best], own[best], released]

    def summary(self) -> list[dict]:
        """What the summary shows: pretraining and probes."""
        return _once(self.pretraining() + self.probes())

    def claims(self) -> list[dict]:
        """All that the verdicts rest on: every other page but that of another budget."""
        resting = [page for page in self.scale.pages if PAGES[page] not in ("claims", "longer")]
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
        """A method's run; options override those of the scale, base its size and budget.

        Args:
            method: of `METHODS`, or a task.
        """
        task = METHODS[method].task if method in METHODS else method
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
            self._trained(method, self.pretrain_config(method, seed, **options)) for seed in seeds
        ]

    def _trained(self, method: str, config: PretrainConfig, of: Photographs | None = None) -> dict:
        """A pretraining on a method's photographs, without those that a benchmark shows."""
        overlap = self._overlap(method)
        without = () if overlap is None else inquiries.left_out(overlap)
        return self.runs.pretrain(config, of or self._pretrained_on(method), method, without)

    def with_and_without_shortcuts(self) -> list[dict]:
        """Records of the ablations' reference and of its like without frame and grid, if run."""
        if "shortcuts" not in self.scale.ablations:
            return []
        ablated = self.ablated()
        return [run for (group, _), run in ablated.items() if group in ("reference", "shortcuts")]

    def budgeted(self) -> dict[str, dict]:
        """Records of the ablations' reference and of further budgets, by title."""
        reference, found = self.scale.ablation, {}
        budgets = sorted({*self.scale.budgets, reference.epochs}) if self.scale.budgets else ()
        for epochs in budgets:
            base = lengthened(reference, epochs)
            config = self.pretrain_config(OURS, max(self.seed, 0), base, **self._switched(base))
            found[f"{epochs} epochs"] = self._trained(OURS, config, self._ablated_on())
        return found

    def trained_longer(self, method: str) -> dict:
        """Record of a method's longer run."""
        base = lengthened(self.scale.pretrain, self.scale.longer_epochs)
        options = self._switched(base) if method == OURS else {}
        return self._trained(
            method, self.pretrain_config(method, max(self.seed, 0), base, **options)
        )

    def smaller(self, method: str = OURS) -> dict | None:
        """Record of a run at the size of the ablations, all else as it is; None where not run."""
        if not self.scale.smaller:
            return None
        small = self.scale.ablation
        base = replace(
            self.scale.pretrain, size_px=small.size_px, shorter_edge_px=small.shorter_edge_px
        )
        return self._trained(method, self.pretrain_config(method, max(self.seed, 0), base))

    def fewer_photographs(self) -> dict | None:
        """Record of the longest of the budgets on fewer photographs, for as many steps."""
        few = self.scale.few
        if not few or not self.scale.budgets:
            return None
        base = lengthened(self.scale.ablation, few * max(self.scale.budgets))
        config = self.pretrain_config(OURS, max(self.seed, 0), base, **self._switched(base))
        return self._trained(OURS, config, self._ablated_on(few))

    def _ablated_on(self, fewer: int = 1) -> Photographs:
        """The photographs of the ablations, or so many times fewer of them."""
        whole, every = self._pretrained_on(OURS), self.scale.ablation_every * fewer
        if every == 1:
            return whole
        sources = None if whole.sources is None else lambda: whole.sources()[::every]
        part = Photographs(f"{whole.name}-every-{every}", sources)
        return self._folders.setdefault((part.name, False), part)

    def ablated(self) -> dict[tuple[str, str], dict]:
        """Records of the ablations' pretraining by group and name in `ABLATIONS`."""
        base, found = self.scale.ablation, {}
        for group in self.scale.ablations:
            for name, changed in ABLATIONS[group].items():
                options = {**self._switched(base), **changed}
                task = options.pop("method", OURS)
                config = self.pretrain_config(task, max(self.seed, 0), base, **options)
                found[group, name] = self._trained(OURS, config, self._ablated_on())
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
        return self._trained(
            method, self.pretrain_config(method, max(self.seed, 0), base, **options)
        )

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
            return self._asked(name).photographs
        return self._folders.setdefault(
            (name, labelled), folder_photographs(folder, name, labelled)
        )

    def _pretrained_on(self, method: str) -> Photographs:
        name = self.scale.labelled.get(method, self.scale.photographs)
        # one pack serves the methods with and without labels
        return self._photographs(name, name in self.scale.labelled.values())

    def _overlap(self, method: str) -> dict | None:
        """Record of what a method's photographs share with the benchmarks; None at scale smoke."""
        name = self.scale.labelled.get(method, self.scale.photographs)
        if name == "embedded":
            return None
        rated_ones = [
            self._photographs(other) for other in self.scale.benchmarks if other != "unseen"
        ]
        return inquiries.near_duplicates(
            self.runs, self._pretrained_on(method), rated_ones, self.scale.pretrain.shorter_edge_px
        )

    def _unseen(self, photographs: int, pairs: int) -> Asked:
        return unseen(self._photographs(self.scale.held_out), photographs, pairs)

    def _one_by_one(self) -> Asked:
        count = len(unseen_operations.OPERATIONS)
        return self._unseen(self.scale.operation_photographs, count)

    def _asked(self, benchmark: str) -> Asked:
        if benchmark == "unseen":
            return self._unseen(self.scale.unseen_photographs, self.scale.unseen_pairs)
        if benchmark not in self._rated:  # one description each: its files are listed once
            folder = None if self.data_root is None else self.data_root / benchmark
            self._rated[benchmark] = rated(benchmark, folder)
        return self._rated[benchmark]

    # -- beyond computing

    def plan(self) -> dict[str, list[Job]]:
        """Jobs of every page, nothing computed; a job that pages share stands at the first."""
        found, before = {}, 0
        with self.runs.planning() as planned:
            # the claims rest on every other page
            for name in sorted(self.scale.pages, key=lambda page: PAGES[page] == "claims"):
                self.page(name)
                jobs = list(planned.values())
                found[name], before = jobs[before:], len(jobs)
        return {name: found[name] for name in self.scale.pages}

    def publish(self, target: Path = records.PUBLISHED) -> int:
        """Make another store hold this scale's records, and no others of the scale.

        What the scale releases goes into the package.

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
        if self.scale.release and self.store.compute:
            run, _, released = self.your_photographs()
            pretrained.write(self.runs, run, released)
        return len(kept)


def _once(found: list[dict]) -> list[dict]:
    """Records without those that stand there already."""
    return list({record["run_id"]: record for record in found}.values())
