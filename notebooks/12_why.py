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
# # Why the ratings follow, or do not
#
# **Question.** Where features of the degradation task do not beat those of other networks, is it the way
# that they are read (pooling, layer, batch-norm statistics), what the ratings are about (content), or
# what was trained (photographs, size, levels, length)?

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

from aesthlib.data.unseen import OPERATIONS
from aesthlib.probing import metrics
from aesthlib.report import figures, tables
from aesthlib.store.records import load
from aesthlib.study import METHODS, MOMENTS, OURS, Study

study = Study(scale, store, data_root, load_only, device, seed)

# %%
found = study.why()

# %% tags=["hide-input"]
frame = load(store)
frame = frame[frame.run_id.isin([record["run_id"] for record in found])]
config_of = {record["run_id"]: record["config"] for record in found}
view_of = {name: config.get("view", {}) for name, config in config_of.items()}
pooling = {name: view.get("pooling", "grid") for name, view in view_of.items()}
statistics = {name: view.get("statistics", "training") for name, view in view_of.items()}
viewed = frame[frame.experiment == "view"]
moments = viewed[viewed.run_id.map(pooling) == "moments"]
order = [name for name in METHODS if name in set(moments.method)]

# %% [markdown]
# ## One flaw at a time
# The unseen operations asked one by one: a linear probe for each, degraded by it or not, on the means and
# standard deviations of the channels over the patch (*moments*); for two methods on the means alone too. Mean
# accuracy over the ten operations.

# %% tags=["hide-input"]
single = frame[(frame.experiment == "by_operation")]
single = single.assign(pooling=single.run_id.map(pooling))
mean = single[single.metric == "mean_accuracy"]
shown = 100 * mean.pivot_table(index="method", columns=["pooling", "layer"], values="value").loc[order]
display(HTML(shown.rename(index=figures.TITLES).to_html(float_format="{:.1f}".format, na_rep="")))
display(HTML(f"<p>n = {int(mean.n.max())} patches, half of them degraded; mean over the seeds.</p>"))

# %% tags=["remove-cell"]
for method in ("random", OURS):
    row = mean[(mean.method == method) & (mean.pooling == "moments") & (mean.layer == "conv3")]
    glue(f"single_{method}", float(100 * row.value.mean()), display=False)

# %% tags=["hide-input"] mystnb={"image": {"alt": "A row an unseen operation, a column a method: accuracy in percent of the operation's own linear probe on conv4."}}
best = single[(single.pooling == "moments") & (single.layer == "conv4") & (single.metric != "mean_accuracy")]
table = best.assign(operation=best.metric.str.removeprefix("accuracy_of_").str.replace("_", " "))
table = table.pivot_table(index="operation", columns="method", values="value")[order]
table = table.loc[[name.replace("_", " ") for name in OPERATIONS]].rename(columns=figures.TITLES)
figures.shares(table, "accuracy on conv4", 0.5);

# %% [markdown]
# ## Pooling and layer
# The paper pools every layer to a grid, 9600 values for a linear probe; with a thousand labels that is
# hard to fit. Means and standard deviations over the positions are one or two values a channel; *all* is
# the five layers side by side.

# %% tags=["hide-input"] mystnb={"image": {"alt": "Spearman correlation of ridge predictions from channel means and deviations, by layer and all layers side by side, a line a method, one panel a benchmark."}}
figures.probe_layers(moments, "srcc", "SRCC", 0, MOMENTS.layers);

# %% tags=["hide-input"]
for metric in ("accuracy", "srcc", "plcc"):
    rows = moments[moments.metric == metric]
    mean = rows.groupby(["dataset", "method", "layer"])[["value", "low", "high"]].mean().reset_index()
    shown = mean.assign(
        entry=[f"{r.value:.3f} [{r.low:.3f},\u00a0{r.high:.3f}]" for r in mean.itertuples()]
    ).pivot(index=["dataset", "method"], columns="layer", values="entry")
    display(HTML(f"<p>{metric}, channel means and deviations</p>" + shown.rename(index=figures.TITLES).to_html()))

# %% [markdown]
# ## Ours against the untrained network, read in this way
# Paired differences on the same entries, seed by seed; p is adjusted after Holm over all seeds and layers of
# a benchmark and metric.

# %% tags=["hide-input"]
pairs = frame[frame.experiment == "view_comparison"]
layers = pairs[pairs.layer != "average"]
tested = layers.assign(
    adjusted=layers.groupby(["dataset", "metric"]).p.transform(lambda p: metrics.holm(p.to_numpy()))
)
visible = tested.assign(
    better=(tested.adjusted < 0.05) & (tested.value > 0), worse=(tested.adjusted < 0.05) & (tested.value < 0)
).groupby(["dataset", "metric", "method"])[["better", "worse"]].sum()
visible["comparisons"] = tested.groupby(["dataset", "metric", "method"]).size()
display(HTML(visible.rename(index=figures.TITLES).to_html()))

# %% [markdown]
# ## Is it the content?
# How well a photograph's kind alone predicts its rating (by the mean of its kind), and
# how well the probes order the photographs *within* a kind.

# %% tags=["hide-input"]
inside = frame[frame.experiment == "within_kinds"]
alone = inside[inside.layer == "kind alone"].groupby(["dataset", "metric"]).value.first().unstack()
if len(alone):
    for dataset in alone.index:
        glue(f"{dataset}_kind_srcc", float(alone.srcc[dataset]), display=False)
    display(HTML(alone.to_html(float_format="{:.3f}".format)))
    main = {run["run_id"] for method in study.scale.methods for run in study.pretrained(method)}
    whole = frame[(frame.experiment == "probe") & (frame.metric == "srcc")]
    whole = whole[[config_of[name]["pretrain"] in main for name in whole.run_id]]
    both = pd.concat([
        whole.groupby(["dataset", "method", "layer"]).value.mean().rename("all photographs"),
        inside[inside.metric == "srcc_within_kinds"].groupby(["dataset", "method", "layer"]).value.mean()
        .rename("within kinds"),
    ], axis=1).dropna()
    middle = both.xs("conv3", level="layer")
    display(HTML("<p>SRCC of grid probes on conv3, mean over the seeds</p>"
                 + middle.rename(index=figures.TITLES).to_html(float_format="{:.3f}".format)))
    kinds = inside[inside.metric.str.startswith("srcc_in_") & (inside.layer == "conv3")]
    kinds = kinds.assign(kind=kinds.metric.str.removeprefix("srcc_in_"))
    sizes = kinds.groupby(["dataset", "kind"]).n.first()
    for dataset, part in kinds.groupby("dataset"):
        shown = part.pivot_table(index="method", columns="kind", values="value")
        shown.columns = [f"{kind} (n = {sizes[dataset, kind]})" for kind in shown]
        shown = shown.rename(index=figures.TITLES)
        display(HTML(f"<p>{dataset}, SRCC within each kind</p>" + shown.to_html(float_format="{:.3f}".format)))
else:
    print("No benchmark of this scale has human ratings of several kinds of photographs.")

# %% [markdown]
# ## Is it the batch-norm statistics?
# In training the network sees degraded patches. *Clean* estimates its batch-norm statistics anew on
# unedited ones.

# %% tags=["hide-input"]
grid = frame[(frame.run_id.map(pooling) == "grid") & frame.experiment.isin(["probe", "view"])
             & (frame.seed == 0) & frame.method.isin(["random", OURS])]
clean = grid.assign(statistics=grid.run_id.map(statistics))
trained = {run["run_id"] for method in ("random", OURS) for run in study.pretrained(method)}
clean = clean[clean.run_id.map(lambda name: config_of[name]["pretrain"]).isin(trained)]
shown = clean.pivot_table(index=["dataset", "metric", "method"], columns="statistics", values="value")
if "clean" in shown and "training" in shown:
    shown = shown.dropna().assign(difference=lambda t: t.clean - t.training)
    display(HTML("<p>Mean of the five layers</p>" + shown.rename(index=figures.TITLES).to_html(float_format="{:.3f}".format)))

# %% [markdown]
# ## Is it the number of photographs or the size?
# The levels, the losses and the attributes stand among the [ablations](06_ablations.ipynb), the length among
# the [checks](11_checks.ipynb) and on the page of [more training](14_longer.ipynb). Here the number of
# photographs: the longest training of the checks, on fewer of them for as many steps. And the size: the run
# of the tables, at the ablations' size with all else as it is, and the untrained network so. One seed each;
# paired differences on average of the five layers, p not adjusted.

# %% tags=["hide-input"]
asked = {
    "fewer photographs": study.fewer_photographs(), "smaller": study.smaller(),
    "smaller, untrained": study.smaller("random"),
}
names = {run["run_id"]: name for name, run in asked.items() if run}
if not names:
    print("Not run at this scale.")
about, parts = {record["run_id"]: record for record in found}, []
for metric, unit in (("accuracy", "points of accuracy"), ("srcc", "SRCC")):
    part = tables.differences(found, metric)
    parts.append(part.assign(
        changed=part.ours.map(names), metric=unit,
        dataset=[f"{row.dataset} (n = {row.n})" for row in part.itertuples()],
        **{
            column: [
                f"{about[run]['data'][0]['photographs']:,} photographs at {about[run]['config']['size_px']} px"
                for run in part[side]
            ]
            for column, side in (("from", "theirs"), ("to", "ours"))
        },
    ))
    for row in part.itertuples():
        what = names[row.ours].replace(", ", "_").replace(" ", "_")
        for column in ("value", "low", "high"):
            glue(f"{what}_{row.dataset}_{metric}_{column}", float(getattr(row, column)), display=False)
if names:
    table = pd.concat(parts).pivot(index=["changed", "from", "to", "metric"], columns="dataset", values="entry")
    display(HTML(table.to_html()))

# %% [markdown]
# ## Re-run
# ```bash
# aesthlib study why --scale smoke                       # trains where a record is missing
# aesthlib study why --scale study --load-only           # from the published records
# aesthlib study why --scale study --data-root FOLDER    # from your photographs
# ```
