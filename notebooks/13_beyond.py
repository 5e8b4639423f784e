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
# no part in it ({py:func}`aesthlib.probing.judge.select`).

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

from aesthlib.report import tables
from aesthlib.study import Study

study = Study(scale, store, data_root, load_only, device, seed)

# %%
found = study.beyond()

# %% [markdown]
# ## The choices
# *Untrained network*: each of its five layers and all five side by side. *One task*: every method's first
# run, layers as before, the same budget each; the untrained network is among them. *Our variants*: all
# layers of our method's first run, of its ablations and of the other lengths, which have other sizes and
# budgets. *Two tasks*: the features of two networks side by side, twice the budget. *All tasks*: of all
# networks, all budgets together, and no choice. Features are means and deviations of the channels. Only
# *one task* has one budget; no network was trained on several tasks at once.

# %% tags=["hide-input"]
rows = []
for record in found:
    if record["experiment"] == "selected":
        rows += [{"choice": record["method"], "record": record["run_id"], **row} for row in record["metrics"]]
frame = pd.DataFrame(rows)
order = ["untrained network", "one task", "our variants", "two tasks", "all tasks"]
entries = frame.assign(entry=[f"{r.value:.3f} [{r.low:.3f},\u00a0{r.high:.3f}]" for r in frame.itertuples()])
for dataset, part in entries.groupby("dataset"):
    table = part.pivot(index="choice", columns="metric", values="entry").loc[order]
    table["n"] = part.groupby("choice").n.first()
    display(HTML(f"<p>{dataset}</p>" + table.to_html()))

# %% tags=["remove-cell"]
for row in frame.itertuples():
    for column in ("value", "low", "high"):
        name = f"{row.dataset}_{row.choice.replace(' ', '_')}_{row.metric}_{column}"
        glue(name, float(getattr(row, column)), display=False)

# %% [markdown]
# ## Is a choice better than another?
# Paired differences on the same photographs, with 95 % intervals; p is not adjusted.

# %% tags=["hide-input"]
run_of = {record["run_id"]: record["method"] for record in found if record["experiment"] == "selected"}
apart = pd.DataFrame([
    {"dataset": row["dataset"], "difference": f"{run_of[r['config']['ours']]} minus {r['method']}", **row}
    for r in found if r["experiment"] == "inquiry_comparison" for row in r["metrics"]
])
entries = apart.assign(entry=[
    f"{r.value:+.3f} [{r.low:+.3f},\u00a0{r.high:+.3f}], {tables.p_words(r.p)}" for r in apart.itertuples()
])
for dataset, part in entries.groupby("dataset"):
    table = part.pivot(index="difference", columns="metric", values="entry")
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
# training folds. Read in this way an untrained network may itself exceed that figure, so the row to compare
# with is the untrained one above.

# %% [markdown]
# ## Re-run
# ```bash
# aesthlib study beyond --scale smoke                       # trains where a record is missing
# aesthlib study beyond --scale study --load-only           # from the published records
# aesthlib study beyond --scale study --data-root FOLDER    # from your photographs
# ```
