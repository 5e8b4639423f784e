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
# # What the pretext task has learned
#
# **Claim.** The network identifies types and parameters of the operations (eq. 1), and in its feature
# space a stronger operation lies further from the original (eq. 2) (Sheng et al. 2020).
#
# **Question.** Which classes does it tell apart on photographs it has not seen, does the distance grow
# between and beyond the trained levels, and what do its features keep?

# %% tags=["parameters"]
scale = "smoke"  # smoke, study or paper
store = "runs"  # folder of the records, checkpoints and features
data_root = ""  # folder that holds the scale's photographs and benchmarks; "" for records alone
load_only = False  # never compute, a missing record is an error
device = "auto"  # auto, cpu or cuda
seed = -1  # of weights, crops and draws; -1 takes all seeds of the scale

# %% tags=["hide-input"]
import numpy as np
import pandas as pd
import torch
from IPython.display import HTML, display

from aesthlib import ops
from aesthlib.data import embedded
from aesthlib.experiments import analysis
from aesthlib.report import figures
from aesthlib.study import Study

study = Study(scale, store, data_root, load_only, device, seed)

# %%
record = study.understanding()[0]
run = study.pretrained("degradation")[0]
changes = study.degradations()[0]

# %% tags=["hide-input"]
tables = record["tables"]
print(
    f"{tables['photographs']} photographs of {record['data'][0]['name']}, none of them pretrained on, "
    f"each under all {len(ops.CLASSES)} classes; record {record['run_id']}, of run {run['run_id']}."
)

# %% [markdown]
# ## Which class is taken for which
# Classes that change no pixel in 8 bits are the same pictures as None, whatever network looks at them;
# they are marked.

# %% tags=["hide-input"] mystnb={"image": {"alt": "Confusion matrix of the 22 classes: rows the class applied, columns the class predicted, classes identical to None marked."}}
preset = run["config"]["options"]["preset"]
same = {
    row["layer"] for row in changes["metrics"]
    if row["metric"] == "unchanged_share" and row["value"] == 1 and row["dataset"].endswith(preset)
}
counts = np.array(tables["confusion"])
figures.confusion(counts, same);

# %% tags=["hide-input"]
share = np.diag(counts) / counts.sum(1)
other = counts - np.diag(np.diag(counts))
taken = pd.DataFrame(
    {
        "class": [item.name for item in ops.CLASSES],
        "recognized (%)": 100 * share,
        "most often taken for": [ops.CLASSES[index].name for index in other.argmax(1)],
        "in (%)": 100 * other.max(1) / counts.sum(1),
        "same pixels as None": [item.name in same for item in ops.CLASSES],
    }
)
display(HTML(taken.to_html(index=False, float_format="{:.1f}".format)))
print(f"{100 * share.mean():.1f} % on average of the classes.")

# %% [markdown]
# ## Does the distance grow with the level?
# Median and quartiles over photographs; dots are the trained levels, all other values were never seen
# in training.

# %% tags=["hide-input"] mystnb={"image": {"alt": "Eight panels, one an ordered operation: squared feature distance to the original over its range from mild to strong, trained levels as dots."}}
far = pd.DataFrame(tables["distances"])
figures.distance_by_level(far);

# %% tags=["hide-input"]
ordered = far.groupby("operation", sort=False)[["rank_correlation", "ordered_share"]].first()
ordered.columns = ["rank correlation of distance and strength", "share with D(level 1) < D(level 2)"]
display(HTML(ordered.to_html(float_format="{:.2f}".format)))

# %% [markdown]
# ## What the features keep: the operation or the photograph

# %% tags=["hide-input"]
near = tables["nearest"]
print(
    f"Of {near['versions']} versions the nearest other one is of the same class in "
    f"{near['same_class']:.1%} (by chance {near['same_class_by_chance']:.1%}) and of the same "
    f"photograph in {near['same_photograph']:.1%} (by chance {near['same_photograph_by_chance']:.1%})."
)

# %% [markdown]
# Nearest patches of other photographs, among those that come with the packages (some of which a
# pretraining at scale smoke has seen). The first of each row is the query.

# %% tags=["hide-input"] mystnb={"image": {"alt": "Rows of patches: a query on the left and its four nearest neighbours from other photographs with their cosine similarity."}}
size, edge = run["config"]["size_px"], run["config"]["shorter_edge_px"]
corners = embedded.corner_patches(edge, size)
queries = [tables["neighbours"][4 * row] for row in (0, 1, 3, 8, 10)]
patches = torch.stack([corners[index] for q in queries for index in (q["patch"], *q["neighbours"])])
titles = [text for q in queries for text in ("query", *(f"{value:.2f}" for value in q["similarity"]))]
figures.labelled_patches(patches, titles, 5);

# %% [markdown]
# ## First-layer filters

# %% tags=["hide-input"] mystnb={"image": {"alt": "The 96 filters of the first layer as small colour images."}}
figures.filter_grid(analysis.filter_images(tables["filters"]));

# %% [markdown]
# ## What the entropy weights keep and drop
# Weights that the finished network gives to the versions of held-out photographs.

# %% tags=["hide-input"] mystnb={"image": {"alt": "A bar a class: mean entropy weight, and behind it the share of versions with any weight."}}
weights = pd.DataFrame(tables["weights"])
figures.entropy_weights(weights);

# %% tags=["hide-input"]
display(HTML(weights.to_html(index=False, float_format="{:.2f}".format)))

# %% [markdown]
# ## Training curves
# With the points where the triplet loss and the entropy weights are switched on.

# %% tags=["hide-input"] mystnb={"image": {"alt": "Four panels over epochs: cross-entropy, accuracy over 22 classes, triplet loss, entropy of the prediction, with switch-on points as dashed lines."}}
options = run["config"]["options"]
figures.training_curves(
    pd.DataFrame(run["history"]).assign(seed=run["seed"]), options,
    chance=1 / (1 + 2 * options["operations_per_patch"]),
);

# %% [markdown]
# ## What differs from the paper, and what we do not know
# None of this is in the paper. Distances between levels say that the feature orders what it was
# trained to order; whether that order is a human one is not asked here.

# %% [markdown]
# ## Re-run
# ```bash
# aesthlib study understanding --scale smoke                       # trains where a record is missing
# aesthlib study understanding --scale study --load-only           # from the published records
# aesthlib study understanding --scale study --data-root FOLDER    # from your photographs
# ```
