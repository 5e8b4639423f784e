"""The paper's claims, each with the rule by which records decide it.

The rules were written before the results of any scale but the first study run. A claim on human
ratings is *reproduced* if its rule holds on every benchmark with human ratings of the scale, *not
reproduced* if it does not, and *not testable at this scale* where the runs are missing or, at scale
smoke, rest on a handful of photographs.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import pandas as pd

from .. import ops
from ..probing import metrics
from ..store import records
from ..study import ABLATIONS, METHODS, OURS, Study
from ..training import config_of
from .tables import p_words

REPRODUCED = "reproduced"
NOT_REPRODUCED = "not reproduced"
NOT_TESTABLE = "not testable at this scale"
SIGNIFICANT = 0.05  # of p values adjusted for the number of layers compared


@dataclass(frozen=True)
class Evidence:
    """A scale's records, as a frame and whole.

    Attributes:
        frame: rows of `records.load` of these records.
        records: by experiment.
        ablated: run of each ablation, by group and name.
        people: benchmarks with human judgements among them.
        table: the runs of Table 2, each id with its method: trained as the scale trains every
            method. Ablations and runs of other lengths or sizes are not among them.
    """

    frame: pd.DataFrame
    records: dict[str, list[dict]]
    ablated: dict[tuple[str, str], str]
    people: tuple[str, ...]
    table: Mapping[str, str] = field(default_factory=dict)

    def select(self, **wanted) -> pd.DataFrame:
        """Rows with these values."""
        rows = self.frame
        for key, value in wanted.items():
            rows = rows[rows[key] == value]
        return rows

    def of(self, experiment: str) -> list[dict]:
        """Records of an experiment."""
        return self.records.get(experiment, [])

    def of_table(self, experiment: str) -> list[dict]:
        """Records of an experiment that rest on runs of the table alone, both sides of a comparison
        being ours and another method's; a record's method is that of its run."""
        start_of = {r["run_id"]: r["config"]["pretrain"] for r in self.of("probe")}
        kept = []
        for record in self.of(experiment):
            config = record["config"]
            start = start_of.get(config["theirs"]) if "theirs" in config else config.get("pretrain")
            ours = start_of.get(config["ours"]) if "ours" in config else None
            if self.table.get(start) != record["method"]:
                continue
            if "ours" not in config or self.table.get(ours) == OURS:
                kept.append(record)
        return kept

    def select_table(self, experiment: str, **wanted) -> pd.DataFrame:
        """Rows with these values of the records of `of_table`."""
        rows = self.select(experiment=experiment, **wanted)
        return rows[rows.run_id.isin([record["run_id"] for record in self.of_table(experiment)])]


@dataclass(frozen=True)
class Finding:
    """What the records say: in words, whether the rule holds (None: cannot be said), run ids."""

    words: str
    holds: bool | None
    runs: tuple[str, ...] = ()


@dataclass(frozen=True)
class Claim:
    """A claim.

    Attributes:
        text: in our words.
        source: where it stands in the paper.
        rule: by which it is decided, in words.
        judge: the rule.
        needs_people: whether it is on human ratings.
        needs_training: whether it rests on a training, so that scale smoke says nothing on it.
    """

    text: str
    source: str
    rule: str
    judge: Callable[[Evidence], Finding]
    needs_people: bool = True
    needs_training: bool = True


def gather(study: Study, found: list[dict]) -> Evidence:
    """Records of a scale as evidence.

    Args:
        found: such as those of `study.claims()`.
    """
    by_experiment: dict[str, list[dict]] = {}
    for record in found:
        by_experiment.setdefault(record["experiment"], []).append(record)
    frame = records.load(study.store.root)
    frame = frame[frame.run_id.isin([record["run_id"] for record in found])]
    people = tuple(name for name in study.scale.benchmarks if name != "unseen")
    run_of = {record["run_id"] for record in found}
    ablated = {
        key: run["run_id"] for key, run in study.ablated().items() if run["run_id"] in run_of
    }
    table = {
        run["run_id"]: run["method"]
        for run in by_experiment.get("pretrain", [])
        if config_of(run) == study.pretrain_config(run["method"], run["seed"])
    }
    return Evidence(frame, by_experiment, ablated, people, table)


def verdicts(study: Study) -> pd.DataFrame:
    """Every claim: columns claim, source, rule, evidence, verdict, runs."""
    evidence, rows = gather(study, study.claims()), []
    for claim in CLAIMS:
        finding = claim.judge(evidence)
        holds = finding.holds
        unheard = claim.needs_people and not evidence.people
        if unheard or claim.needs_training and study.name == "smoke":
            holds = None
        verdict = NOT_TESTABLE if holds is None else REPRODUCED if holds else NOT_REPRODUCED
        rows.append(
            {
                "claim": claim.text,
                "source": claim.source,
                "rule": claim.rule,
                "evidence": finding.words,
                "verdict": verdict,
                "runs": ", ".join(finding.runs),
            }
        )
    return pd.DataFrame(rows)


def _better_than(*methods: str) -> Callable[[Evidence], Finding]:
    """Ours has the higher accuracy: on average of the layers, and significantly in one at least."""

    def judge(evidence: Evidence) -> Finding:
        words, holds, runs = [], [], []
        for method in methods:
            rows = evidence.select_table("comparison", method=method, metric="accuracy")
            for dataset, part in rows.groupby("dataset"):
                whole, layers = part[part.layer == "average"], part[part.layer != "average"]
                adjusted = metrics.holm(layers.p.to_numpy())
                visible = (adjusted < SIGNIFICANT) & (layers.value > 0)
                gain, low, high = (100 * whole[key].mean() for key in ("value", "low", "high"))
                better = bool(gain > 0 and visible.any())
                words.append(
                    f"{dataset}, against {METHODS[method].title}: {gain:+.1f} points "
                    f"[{low:+.1f}, {high:+.1f}] on average of the layers; of a single layer, "
                    f"adjusted, at best {p_words(adjusted.min())}"
                )
                if dataset in evidence.people:
                    holds.append(better)
                runs += list(part.run_id.unique())
        if not words:
            return Finding("not run: " + ", ".join(METHODS[m].title for m in methods), None)
        return Finding("; ".join(words), all(holds) if holds else None, tuple(runs))

    return judge


def _middle_layers(evidence: Evidence) -> Finding:
    rows = evidence.select_table("probe", method=OURS, metric="accuracy", solver="exact")
    words, holds = [], []
    for dataset, part in rows.groupby("dataset"):
        mean = 100 * part.groupby("layer").value.mean()
        middle = mean[["conv3", "conv4"]].mean()
        others = mean[["conv1", "conv2", "conv5"]].mean()
        words.append(
            f"{dataset}: conv3 and conv4 {middle:.1f} %, the others {others:.1f} %, best "
            f"{mean.idxmax()}"
        )
        if dataset in evidence.people:
            holds.append(bool(middle > others))
    return Finding(
        "; ".join(words) or "not run", all(holds) if holds else None, tuple(rows.run_id.unique())
    )


def _colour_tasks(evidence: Evidence) -> Finding:
    rows = evidence.select_table("probe", metric="accuracy", solver="exact")
    mean = 100 * rows.groupby(["dataset", "method"]).value.mean().unstack()
    colour = [name for name in ("colorization", "split_brain") if name in mean]
    others = [name for name in ("context", "counting", "rotation") if name in mean]
    rows = rows[rows.method.isin(colour + others)]
    if not colour or not others:
        return Finding("not run: the other pretext tasks", None)
    words = [
        f"{dataset}: {row[colour].mean():.1f} % against {row[others].mean():.1f} %"
        for dataset, row in mean.iterrows()
    ]
    people = [dataset for dataset in mean.index if dataset in evidence.people]
    holds = [mean.loc[d, colour].min() > mean.loc[d, others].max() for d in people]
    return Finding("; ".join(words), all(holds) if holds else None, tuple(rows.run_id.unique()))


def _curves(evidence: Evidence) -> dict[str, pd.DataFrame]:
    """By dataset, accuracy in % by fraction and method."""
    rows = evidence.select(experiment="low_data", metric="accuracy")
    return {
        dataset: 100 * part.pivot_table(index="level", columns="method", values="value")
        for dataset, part in rows.groupby("dataset")
    }


def _low_data(evidence: Evidence) -> Finding:
    words, holds = [], []
    for dataset, curve in _curves(evidence).items():
        if not {"labels", OURS} <= set(curve):
            continue
        gain = (curve[OURS] - curve["labels"]).loc[0.05:]
        words.append(
            f"{dataset}: {gain.mean():+.1f} points on average of {len(gain)} fractions, "
            f"above in {(gain > 0).sum()}"
        )
        if dataset in evidence.people:
            holds.append(bool((gain > 0).mean() > 0.5))
    runs = tuple(record["run_id"] for record in evidence.of("low_data"))
    if not words:
        return Finding("not run: pretraining with ImageNet labels", None, runs)
    return Finding("; ".join(words), all(holds) if holds else None, runs)


def _growing_margin(evidence: Evidence) -> Finding:
    words, holds = [], []
    for dataset, curve in _curves(evidence).items():
        if not {"labels", OURS} <= set(curve):
            continue
        gain = curve[OURS] - curve["labels"]
        few, many = gain[gain.index <= 0.1].mean(), gain[gain.index > 0.1].mean()
        words.append(f"{dataset}: {few:+.1f} points up to 10 % of the labels, {many:+.1f} beyond")
        if dataset in evidence.people:
            holds.append(bool(many > few))
    runs = tuple(record["run_id"] for record in evidence.of("low_data"))
    if not words:
        return Finding("not run: pretraining with ImageNet labels", None, runs)
    return Finding("; ".join(words), all(holds) if holds else None, runs)


def _non_linear(evidence: Evidence) -> Finding:
    rows = evidence.select(experiment="adaptation", metric="accuracy")
    words, holds = [], []
    configs = {r["run_id"]: r["config"] for r in evidence.of("adaptation")}
    for dataset, part in rows.groupby("dataset"):
        named = {
            (configs[row.run_id]["backbone"], row.method): 100 * row.value
            for row in part.itertuples()
        }
        words.append(
            f"{dataset}: "
            + ", ".join(
                f"{backbone} from {method} {value:.1f} %"
                for (backbone, method), value in named.items()
            )
        )
        if dataset in evidence.people:
            pairs = [
                (named[backbone, OURS], named[backbone, "labels"])
                for backbone in ("alexnet", "resnet18")
                if (backbone, OURS) in named and (backbone, "labels") in named
            ]
            holds += [ours > supervised - 2 for ours, supervised in pairs]
    return Finding(
        "; ".join(words) or "not run", all(holds) if holds else None, tuple(rows.run_id.unique())
    )


def ablation_table(evidence: Evidence) -> pd.DataFrame:
    """Accuracy of the ablations, average of the layers.

    Returns:
        A row a group, ablation and dataset: accuracy in %, and its difference to the reference in
        points with low and high of the paired interval and p (NaN for the reference itself).
    """
    start_of = {r["run_id"]: r["config"]["pretrain"] for r in evidence.of("probe")}
    ours_of = {r["run_id"]: r["config"]["ours"] for r in evidence.of("comparison")}
    probed = evidence.select(experiment="probe", metric="accuracy", solver="exact")
    mean = 100 * probed.groupby(["run_id", "dataset"]).value.mean()
    compared = evidence.select(experiment="comparison", metric="accuracy", layer="average")
    gain = {ours_of[row.run_id]: row for row in compared.itertuples()}
    rows = []
    for (group, name), run in evidence.ablated.items():
        for (probe, dataset), value in mean.items():
            if start_of[probe] == run:
                row = gain.get(probe)
                rows.append(
                    {
                        "group": group,
                        "ablation": name,
                        "dataset": dataset,
                        "accuracy": value,
                        "difference": 100 * row.value if row else None,
                        "low": 100 * row.low if row else None,
                        "high": 100 * row.high if row else None,
                        "p": row.p if row else None,
                        "run": run,
                    }
                )
    return pd.DataFrame(rows)


def _worse_without(group: str, names: tuple[str, ...], least: float) -> Callable:
    """Each of these ablations loses at least so many points."""

    def judge(evidence: Evidence) -> Finding:
        every = ablation_table(evidence)
        if every.empty:
            return Finding("not run", None)
        rows = every[(every.group == group) & every.ablation.isin(names) & every.low.notna()]
        words = [
            f"{row.dataset}, {row.ablation}: {row.difference:+.1f} "
            f"[{row.low:+.1f}, {row.high:+.1f}]"
            for row in rows.itertuples()
        ]
        on_people = rows[rows.dataset.isin(evidence.people)]
        lost = bool((-on_people.difference >= least).all()) if len(on_people) else None
        return Finding("points: " + "; ".join(words), lost, tuple(rows.run.unique()))

    return judge


def _entropy_weights(evidence: Evidence) -> Finding:
    """Without them half a point is lost: against the reference, where that has them, or else in a
    reference that lacks them against a variant that has them."""
    group = "entropy weight on"
    if not any(key[0] == group for key in evidence.ablated) or evidence.ablated.keys() >= {
        ("entropy weight", "no entropy weight")
    }:
        return _worse_without("entropy weight", ("no entropy weight",), 0.5)(evidence)
    rows = ablation_table(evidence)
    rows = rows[(rows.group == group) & rows.low.notna()]
    words = [
        f"{row.dataset}, {row.ablation}, against none: {row.difference:+.1f} "
        f"[{row.low:+.1f}, {row.high:+.1f}]"
        for row in rows.itertuples()
    ]
    on_people = rows[rows.dataset.isin(evidence.people)]
    gained = bool((on_people.difference >= 0.5).all()) if len(on_people) else None
    return Finding("points: " + "; ".join(words), gained, tuple(rows.run.unique()))


def _identified(evidence: Evidence) -> Finding:
    rows = [r for r in evidence.of_table("held_out") if r["method"] == OURS and r["metrics"]]
    if not rows:
        return Finding("not run", None)
    value = {m["metric"]: m["value"] for m in rows[0]["metrics"]}
    accuracy, chance = value["held_out_accuracy"], value["chance"]
    return Finding(
        f"{accuracy:.1%} of the versions of held-out photographs named rightly; always None is "
        f"right for {chance:.1%}",
        bool(accuracy > 2 * chance),
        tuple(r["run_id"] for r in rows),
    )


def _observable(evidence: Evidence) -> Finding:
    rows = evidence.select(experiment="identifiability", metric="unchanged_share")
    rows = rows[rows.dataset == "embedded, paper"]
    if rows.empty:
        return Finding("not run", None)
    same = list(rows[rows.value == 1].layer)
    words = f"{len(same)} of {len(ops.CLASSES) - 1} classes change no pixel of any photograph"
    return Finding(
        words + (f": {', '.join(same)}" if same else ""), not same, tuple(rows.run_id.unique())
    )


def _distance_grows(evidence: Evidence) -> Finding:
    found = evidence.of_table("understanding")
    if not found:
        return Finding("not run", None)
    far = pd.DataFrame(found[0]["tables"]["distances"]).groupby("operation").first()
    share = far.ordered_share
    return Finding(
        f"the stronger level lies further away in {share.mean():.0%} of the photographs, from "
        f"{share.min():.0%} ({share.idxmin()}) to {share.max():.0%} ({share.idxmax()})",
        bool((share > 0.5).all()),
        (found[0]["run_id"],),
    )


def _confidence_falls(evidence: Evidence) -> Finding:
    words, holds = [], []
    for record in evidence.of("confidence"):
        change = {
            row["layer"]: row["value"]
            for row in record["metrics"]
            if row["metric"] == "logit_change_of_positive" and row["layer"] != "none"
        }
        lower = sum(value < 0 for value in change.values())
        dataset = record["metrics"][0]["dataset"]
        words.append(f"{dataset}: the mean logit falls under {lower} of {len(change)} classes")
        if dataset in evidence.people:
            holds.append(lower > len(change) / 2)
    return Finding(
        "; ".join(words) or "not run",
        all(holds) if holds else None,
        tuple(r["run_id"] for r in evidence.of("confidence")),
    )


CLAIMS = (
    Claim(
        "Each operation and level degrades a photograph in an observably different way.",
        "Table 1 and the text on L_deg",
        "every class changes at least one pixel of some photograph",
        _observable,
        False,
        False,
    ),
    Claim(
        "A network can identify types and parameters of the operations without labels.",
        "abstract, eq. 1",
        "accuracy on held-out photographs above twice that of always answering None",
        _identified,
        False,
    ),
    Claim(
        "A stronger level lies further from the original in feature space.",
        "eq. 2",
        "D(level 1) < D(level 2) in most photographs, for every ordered operation",
        _distance_grows,
        False,
    ),
    Claim(
        "Editing operations lower the confidence of a supervised aesthetic model.",
        "Fig. 2",
        "the mean logit of “good” falls for most classes",
        _confidence_falls,
    ),
    Claim(
        "The features beat those of a network without pretext task.",
        "Table 2",
        "higher on average of the layers, and in one layer at adjusted p < 0.05",
        _better_than("random"),
    ),
    Claim(
        "They beat those of other self-supervised tasks.",
        "Table 2",
        "the same, against each of the paper's five",
        _better_than("context", "colorization", "split_brain", "counting", "rotation"),
    ),
    Claim(
        "They even beat those learned from ImageNet's or Places' labels.",
        "Table 2",
        "the same, against both",
        _better_than("labels", "places"),
    ),
    Claim(
        "Middle layers (conv3, conv4) serve better than low and high ones.",
        "Table 2",
        "their mean accuracy is higher than that of conv1, conv2 and conv5",
        _middle_layers,
    ),
    Claim(
        "Of the other tasks, those on colour do best.",
        "text on Table 2",
        "colorization and split-brain each above context, counting and rotation",
        _colour_tasks,
    ),
    Claim(
        "With few labels the features beat those of supervised pretraining.",
        "Fig. 5, 6",
        "higher accuracy at most fractions from 5 % on",
        _low_data,
    ),
    Claim(
        "The margin grows with the number of labels.",
        "Fig. 5, 6 and text",
        "the mean margin is larger beyond 10 % of the labels than up to there",
        _growing_margin,
    ),
    Claim(
        "With non-linear layers the accuracy comes close to that of supervised pretraining.",
        "Table 3 and text",
        "fine-tuned as a whole, within 2 points of the same network pretrained with labels",
        _non_linear,
    ),
    Claim(
        "Either loss alone serves less well than both.",
        "ablation study",
        "both variants lose accuracy on average of the layers",
        _worse_without("losses", ("identification alone", "triplet alone"), 0.0),
    ),
    Claim(
        "Without the entropy weights half a point or more is lost.",
        "ablation study",
        "0.5 points on average of the layers",
        _entropy_weights,
    ),
    Claim(
        "Leaving out any attribute costs accuracy.",
        "Table 4",
        "every attribute's absence costs accuracy on average of the layers",
        _worse_without("attribute left out", tuple(ABLATIONS["attribute left out"]), 0.0),
    ),
)
