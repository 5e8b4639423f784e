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
# # Low-data adaptation
#
# **Claim.** With 5 % to 50 % of the labels of each class the features do better than those of a
# network pretrained with ImageNet's labels, and the margin grows with the labels (Sheng et al. 2020,
# Fig. 5 and 6, layer conv3).
#
# **Question.** How many labels do the probes need, beside those of an untrained network and of a
# network trained from scratch on the same labels?

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

from aesthlib.report import figures
from aesthlib.study import METHODS, Study

study = Study(scale, store, data_root, load_only, device, seed)

# %% [markdown]
# ## The runs
# Each subset is drawn from every class alike and holds the smaller subsets of its seed; all methods
# see the same subsets. The probe's penalty is chosen inside the subset. Where a benchmark has no
# fixed split, subsets are drawn from the training part of every fold.

# %%
found = study.low_data()

# %% tags=["hide-input"]
curves = pd.concat(
    pd.DataFrame(record["tables"]["curve"]).assign(
        method=record["method"], dataset=record["metrics"][0]["dataset"], run=record["run_id"]
    )
    for record in found
)

# %% [markdown]
# ## Accuracy by the share of labels
# Lines are means over the subsets, bands their range; the dotted line is chance.

# %% tags=["hide-input"] mystnb={"image": {"alt": "Accuracy against the share of labels used, a line a method with the range over subsets as a band, one panel a benchmark."}}
figures.low_data_curves(curves);

# %% tags=["hide-input"]
mean = 100 * curves.pivot_table(
    index=["dataset", "fraction"], columns="method", values="accuracy", aggfunc="mean"
)
labels = curves.groupby(["dataset", "fraction"])[["n_train", "n"]].max()
display(HTML(mean.rename(columns=figures.TITLES).join(labels).to_html(float_format="{:.1f}".format)))
print("records:", ", ".join(f"{r['method']} {r['run_id']}" for r in found))

# %% tags=["hide-input"]
for name in ("labels", "places", "scratch"):
    if name not in set(curves.method):
        how = METHODS[name].needs if name in METHODS else "aesthlib study low_data at a scale that lists it"
        print(f"{figures.TITLES[name]}: not run at scale {scale}. To run it: {how}")

# %% [markdown]
# ## What differs from the paper, and what we do not know
# The paper draws the curves for AADB and CUHK-PQ, prints no table of them, and compares with ImageNet
# labels alone; the number of subsets behind its points is not stated. Training from scratch, not in
# the paper's figures, uses the same network on the same labels with a stated, short schedule.

# %% [markdown]
# ## Re-run
# ```bash
# aesthlib study low_data --scale smoke                       # trains where a record is missing
# aesthlib study low_data --scale study --load-only           # from the published records
# aesthlib study low_data --scale study --data-root FOLDER    # from your photographs
# ```
