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
# # Non-linear adaptation and fine-tuning
#
# **Claim.** With non-linear layers behind the pretext task the accuracy comes close to that of
# networks pretrained with ImageNet's labels: 82.0 % (AlexNet) and 82.8 % (ResNet-18) on AVA, 69.2 %
# and 88.5 % on AADB and CUHK-PQ against 70.4 % and 90.2 % with labels (Sheng et al. 2020, Table 3 and
# text).
#
# **Question.** What do a non-linear head and fine-tuning of the whole network add here?

# %% tags=["parameters"]
scale = "smoke"  # smoke, study or paper
store = "runs"  # folder of the records, checkpoints and features
data_root = ""  # folder that holds the scale's photographs and benchmarks; "" for records alone
load_only = False  # never compute, a missing record is an error
device = "auto"  # auto, cpu or cuda
seed = -1  # of weights, crops and draws; -1 takes all seeds of the scale

# %% tags=["hide-input"]
from IPython.display import HTML, display

from aesthlib.report import figures, paper
from aesthlib.store.records import load
from aesthlib.study import Study

study = Study(scale, store, data_root, load_only, device, seed)

# %% [markdown]
# ## The runs
# *Non-linear*: one hidden layer on a frozen layer's features. *Whole network*: all weights trained on
# the benchmark's labels, from the pretext task's weights or from random ones, in the folds of the
# probes, each fold once.

# %%
found = study.adaptation()

# %% tags=["hide-input"]
frame = load(store)
frame = frame[frame.run_id.isin([record["run_id"] for record in found])]
backbone_of = {r["run_id"]: r["config"]["backbone"] for r in found if "backbone" in r["config"]}
start_of = {r["run_id"]: r["config"]["pretrain"] for r in found if r["experiment"] == "probe"}
backbone = frame.run_id.map(lambda run: backbone_of.get(start_of.get(run, run)))
rows = frame.assign(
    backbone=backbone, start=frame.method.map(figures.TITLES),
    how=frame.experiment.map({"probe": "non-linear head", "adaptation": "whole network"}),
    entry=[f"{100 * r.value:.1f} [{100 * r.low:.1f},\u00a0{100 * r.high:.1f}]" for r in frame.itertuples()],
)[frame.metric.eq("accuracy") & frame.experiment.isin(["probe", "adaptation"])]

# %% [markdown]
# ## Accuracy (%) with 95 % intervals

# %% tags=["hide-input"]
shown = rows.assign(layer=rows.layer.replace("", "all")).pivot_table(
    index=["dataset", "n", "backbone", "start", "how"], columns="layer", values="entry",
    aggfunc="first", fill_value="",
)
display(HTML(shown.to_html()))

# %% [markdown]
# ## The paper's Table 3, on AVA

# %% tags=["hide-input"]
display(HTML(paper.table3().to_html(index=False)))

# %% [markdown]
# ## What differs from the paper, and what we do not know
# The paper does not say what its non-linear layers are, whether the backbone is trained along, or on
# which layer they sit. Here both readings stand side by side. Rows with ImageNet labels need that data:
# `aesthlib study adaptation --scale paper --data-root FOLDER`.

# %% [markdown]
# ## Re-run
# ```bash
# aesthlib study adaptation --scale smoke                       # trains where a record is missing
# aesthlib study adaptation --scale study --load-only           # from the published records
# aesthlib study adaptation --scale study --data-root FOLDER    # from your photographs
# ```
