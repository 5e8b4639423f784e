# ---
# jupyter:
#   jupytext:
#     cell_metadata_filter: tags,mystnb,-all
#     notebook_metadata_filter: kernelspec,jupytext,-jupytext.text_representation.jupytext_version
#     text_representation:
#       extension: .py
#       format_name: percent
#       format_version: '1.3'
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # More training
#
# **Question.** The tables of this book give every task the same few epochs. Does the picture change when
# the tasks are trained several times as long, with the same photographs, size and seed, the schedule in
# proportion?

# %% tags=["parameters"]
scale = "smoke"  # smoke, study or paper
store = "runs"  # folder of the records, checkpoints and features
data_root = ""  # folder that holds the scale's photographs and benchmarks; "" for records alone
load_only = False  # never compute, a missing record is an error
device = "auto"  # auto, cpu or cuda
seed = -1  # of weights, crops and draws; -1 takes all seeds of the scale

# %% tags=["hide-input"]
import pandas as pd
from IPython.display import HTML, display
from myst_nb import glue

from aesthlib.report import figures, tables
from aesthlib.store.records import load
from aesthlib.study import METHODS, OURS, Study

study = Study(scale, store, data_root, load_only, device, seed)

# %%
found = study.longer()

# %% tags=["hide-input"]
run_of = {record["run_id"]: record for record in found}
long = {study.trained_longer(method)["run_id"] for method in study.scale.longer_methods} if found else set()
frame = load(store) if found else pd.DataFrame(columns=["run_id", "experiment", "metric", "method", "layer"])
frame = frame[frame.run_id.isin(run_of)]
epochs = {False: study.scale.pretrain.epochs, True: study.scale.longer_epochs}
order = [name for name in METHODS if name in set(frame.method)]

# epochs of the training that a record judges; of untrained weights none
trained = {
    name: 0 if record["method"] == "random" else epochs[record["config"]["pretrain"] in long]
    for name, record in run_of.items() if "pretrain" in record["config"]
}
if found:
    left_out = [METHODS[m].title for m in study.scale.methods if m not in order]
    print(f"{epochs[True]} epochs beside {epochs[False]}; one seed each, so no interval holds what another "
          f"pretraining seed would change. Not trained so long: {', '.join(left_out) or 'none'}.")
else:
    print("Not run at this scale.")

# %% [markdown]
# ## The tasks themselves
# What each task says of its own work on photographs that it was not trained on (a benchmark's, without
# their ratings); what is counted differs from task to task ([method](../../method.md)). The entropy weight
# is off in both trainings. Right in the figure: SRCC of ridge probes on conv3 of the degradation task.

# %% tags=["hide-input"] mystnb={"image": {"alt": "Left, accuracy of the degradation task by epoch for the short and the long training; right, Spearman correlation of a probe on conv3 after each, one line a benchmark with 95 percent intervals."}}
if found:
    ours = {epochs[False]: study.pretrained(OURS)[0], epochs[True]: study.trained_longer(OURS)}
    history = pd.DataFrame(
        {"run": f"{count} epochs", "epoch": row["epoch"], "accuracy": row["accuracy"]}
        for count, run in ours.items() for row in run["history"]
    )
    asked = frame[(frame.experiment == "held_out") & (frame.metric == "held_out_accuracy")]
    own = 100 * asked.assign(epochs=asked.run_id.map(trained)).pivot_table(
        index="method", columns="epochs", values="value"
    )
    own.columns = [f"{count} epochs" for count in own]
    display(HTML("<p>Accuracy on photographs held out (%)</p>" + own.loc[
        [name for name in order if name in own.index]
    ].rename(index=figures.TITLES).to_html(float_format="{:.1f}".format)))
    for count, column in zip(("short", "long"), own, strict=True):
        glue(f"held_out_{count}", float(own.loc[OURS, column]), display=False)
    glue("epochs", float(epochs[True]), display=False)
    judged = frame[(frame.experiment == "probe") & (frame.method == OURS) & (frame.layer == "conv3")
                   & (frame.metric == "srcc")]
    judged = judged.assign(epochs=judged.run_id.map(trained))
    figures.budget_curves(history, judged[["dataset", "epochs", "value", "low", "high"]]);

# %% [markdown]
# ## Linear probes
# Mean of the five layers, and conv3, after the short and the long training. The untrained network has none;
# its row is the mean over its seeds.

# %% tags=["hide-input"]
if found:
    rows = frame[(frame.experiment == "probe") & frame.metric.isin(["accuracy", "srcc"])]
    rows = rows.assign(epochs=rows.run_id.map(trained))
    rows.loc[rows.metric == "accuracy", "value"] *= 100
    for name, part in (("mean of the layers", rows), ("conv3", rows[rows.layer == "conv3"])):
        table = part.pivot_table(index="method", columns=["dataset", "metric", "epochs"], values="value")
        display(HTML(f"<p>{name}: accuracy in %, and SRCC</p>" + table.loc[order].rename(
            index=figures.TITLES).to_html(float_format="{:.3g}".format, na_rep="")))

# %% [markdown]
# ## Paired differences
# Points of accuracy, and SRCC, on the same entries, average of the five layers, with 95 % intervals and the
# p of that average, not adjusted. First, what the longer training changed for each task; then our longer trained
# network against the others, and against every seed of the untrained one.

# %% tags=["hide-input"]
apart = {metric: tables.differences(found, metric) for metric in ("accuracy", "srcc")}
if found:
    for title, lengths in (("longer minus shorter training", True), ("ours, longer, minus the others", False)):
        for metric, unit in (("accuracy", "points of accuracy"), ("srcc", "SRCC")):
            part = apart[metric]
            part = part[((part.method != "random") & ~part.theirs.isin(long)) == lengths]
            part = part.assign(dataset=[f"{row.dataset} (n = {row.n})" for row in part.itertuples()],
                               against=part.method.map(figures.TITLES))
            shown = part.pivot(index=["against", "seed"], columns="dataset", values="entry")
            display(HTML(f"<p>{title}, {unit}</p>" + shown.to_html()))

# %% tags=["remove-cell"]
for metric, part in apart.items():
    for row in part.itertuples():
        length = row.method != "random" and row.theirs not in long
        side = "short" if length else f"{row.method}_{row.seed}"
        if not length or row.method == OURS:
            for column in ("value", "low", "high"):
                glue(f"{row.dataset}_{metric}_{side}_{column}", float(getattr(row, column)), display=False)

# %% [markdown]
# ## One flaw at a time
# Each unseen operation asked for itself, degraded by it or not, from the means and deviations of the
# channels: mean accuracy over the ten, with its interval over the photographs; and the paired difference of
# our network to the others.

# %% tags=["hide-input"]
single = frame[(frame.experiment == "by_operation") & (frame.metric == "mean_accuracy")]
if found:
    entries = single.assign(entry=[
        f"{100 * r.value:.1f} [{100 * r.low:.1f},\u00a0{100 * r.high:.1f}]" for r in single.itertuples()
    ]).pivot(index="method", columns="layer", values="entry").loc[order]
    display(HTML("<p>accuracy in %</p>" + entries.rename(index=figures.TITLES).to_html()))
    flaws = frame[(frame.experiment == "inquiry_comparison") & (frame.metric == "accuracy")]
    entries = flaws.assign(entry=[
        f"{100 * r.value:+.1f} [{100 * r.low:+.1f},\u00a0{100 * r.high:+.1f}]" for r in flaws.itertuples()
    ]).pivot(index="method", columns="layer", values="entry")
    display(HTML("<p>ours minus the others, points</p>" + entries.rename(index=figures.TITLES).to_html()))
    display(HTML(f"<p>n = {int(single.n.max())} patches, half of them degraded.</p>"))
    for kind, rows in (("accuracy", single[single.method == OURS]), ("gain", flaws[flaws.method == "random"])):
        for row in rows[rows.layer.isin(["conv3", "conv4"])].itertuples():
            for column in ("value", "low", "high"):
                glue(f"single_{kind}_{row.layer}_{column}", float(100 * getattr(row, column)), display=False)

# %% [markdown]
# ## The best features, chosen inside the training folds
# As on the page of [what goes beyond the paper](13_beyond.ipynb): one network, trained longer or not at
# all, and a layer of it; or all of them side by side, which is several budgets together.

# %% tags=["hide-input"]
if found:
    chosen = frame[frame.experiment == "selected"]
    entries = chosen.assign(
        entry=[f"{r.value:.3f} [{r.low:.3f},\u00a0{r.high:.3f}]" for r in chosen.itertuples()]
    )
    table = entries.pivot(index=["dataset", "n", "method"], columns="metric", values="entry")
    display(HTML(table.to_html()))

# %% [markdown]
# ## Re-run
# ```bash
# aesthlib study longer --scale smoke                       # trains where a record is missing
# aesthlib study longer --scale study --load-only           # from the published records
# aesthlib study longer --scale study --data-root FOLDER    # from your photographs
# ```
