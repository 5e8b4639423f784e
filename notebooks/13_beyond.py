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
# # Beyond the paper: the best features for the budget
#
# **Question.** If the task, its levels and schedule, the layer, or two tasks together may be chosen, what
# serves best, and by how much?
#
# Every training set chooses for itself: the candidate with the smallest loss on its own inner folds scores
# the photographs that were kept from it. So the choice is part of what is judged, and the test folds take
# no part in it ({py:func}`aesthlib.probes.select`).

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

from aesthlib import features
from aesthlib.study import Study

study = Study(scale, store, data_root, load_only, device, seed)

# %%
found = study.beyond()

# %% [markdown]
# ## The choices
# *One task*: every method's first run, each of its five layers and all five side by side, the same budget
# each. *Our variants*: all layers of our method's first run, of its ablations and of the other lengths,
# whose size and budget are smaller. *Two tasks*: the features of two networks side by side, twice the budget. *All tasks*: of all
# networks, all budgets together. Features are means and deviations of the channels. The first row is an
# untrained network with all its layers, and no choice.

# %% tags=["hide-input"]
rows = []
for record in found:
    if record["experiment"] == "selected":
        name = record["method"]
    elif record["experiment"] == "view":
        name = "untrained network"
    else:
        continue
    for row in record["metrics"]:
        if row["layer"] in ("chosen", features.ALL):
            rows.append({"choice": name, "record": record["run_id"], **row})
frame = pd.DataFrame(rows)
order = ["untrained network", "one task", "our variants", "two tasks", "all tasks"]
entries = frame.assign(entry=[f"{r.value:.3f} [{r.low:.3f},\u00a0{r.high:.3f}]" for r in frame.itertuples()])
for dataset, part in entries.groupby("dataset"):
    table = part.pivot(index="choice", columns="metric", values="entry").loc[order]
    table["n"] = part.groupby("choice").n.first()
    display(HTML(f"<p>{dataset}</p>" + table.to_html()))

# %% [markdown]
# ## What was chosen

# %% tags=["hide-input"]
chosen = pd.DataFrame(
    {"dataset": record["metrics"][0]["dataset"], "choice": record["method"], **row}
    for record in found if record["experiment"] == "selected" for row in record["tables"]["chosen"]
)
chosen = chosen.sort_values(["dataset", "choice", "kind", "share"], ascending=[True, True, True, False])
shown = chosen.groupby(["dataset", "choice", "kind"]).head(4)
shown = shown.assign(share=[f"{100 * value:.0f} %" for value in shown.share])
display(HTML(shown.rename(columns={"kind": "for", "share": "of the training sets"}).to_html(index=False)))

# %% [markdown]
# ## Beside what others reach on OASIS
# On the same 900 photographs Conwell et al. report a Pearson correlation of at most 0.315 [0.293, 0.337]
# for untrained networks, 0.848 for self-supervised and 0.868 for supervised ones that saw at least 1.28
# million images: cross-validated ridge predictions from sparse random projections of the best single layer
# of each network, the layer chosen by the result. Here features are channel means and deviations, several
# layers may stand side by side, networks saw a few thousand photographs, and the choice is made inside the
# training folds.

# %% [markdown]
# ## Re-run
# ```bash
# aesthlib study beyond --scale smoke                       # trains where a record is missing
# aesthlib study beyond --scale study --load-only           # from the published records
# aesthlib study beyond --scale study --data-root FOLDER    # from your photographs
# ```
