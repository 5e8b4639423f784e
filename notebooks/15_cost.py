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
# # Cost
#
# **Question.** What did the results of this scale cost, and what would the paper's scale cost?

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

from aesthlib import models
from aesthlib.report import figures
from aesthlib.study import OURS, SCALES, Study

study = Study(scale, store, data_root, load_only, device, seed)

# %%
found = study.cost()

# %% [markdown]
# ## The trainings
# Seconds by the clock, as each run's record has them; other work may have run beside. Energy is read from
# the processor's or the GPU's own counter where the machine shows one.

# %% tags=["hide-input"]
rows = []
for run in found:
    images = sum(row["images"] for row in run["history"])
    seconds = sum(row["seconds"] for row in run["history"])
    joules = [row.get("joules") for row in run["history"]]
    rows.append({
        "method": figures.TITLES[run["method"]], "seed": run["seed"], "px": run["config"]["size_px"],
        "epochs": len(run["history"]), "images": images, "seconds": round(seconds),
        "images/s": images / seconds,
        "energy (kJ)": "not readable" if None in joules else f"{sum(joules) / 1000:.0f}",
        "device": f"{run['environment']['device']}, {run['environment']['threads']} thread(s)",
        "precision": run["environment"]["precision"], "record": run["run_id"],
    })
cost = pd.DataFrame(rows)
display(HTML(cost.to_html(index=False, float_format="{:.0f}".format)))
print(f"{len(cost)} trainings, {cost.seconds.sum() / 3600:.1f} hours of training in all.")

# %% [markdown]
# ## The paper's scale, on this book's rate and on a GPU
# The work is counted exactly: multiplications and additions of the convolutions, forward and backward, for
# every image of the schedule. The first line takes the rate that the runs above reached; the others take
# an H100's published peak for dense bfloat16 products, 989 TFLOP/s, at shares of it that a convolution of
# this size may reach. **No GPU has been measured for this book**: these lines are arithmetic, and no
# promise that operations and decoding keep up.

# %% tags=["hide-input"]
ours = study.pretrained(OURS)[0]
flops = models.training_flops(ours["config"]["backbone"], ours["config"]["size_px"])
rate = cost.loc[cost.record == ours["run_id"], "images/s"].iloc[0] * flops
paper = SCALES["paper"].pretrain
one = models.training_flops(paper.backbone, paper.size_px)
images = 1_281_167 * paper.epochs * (1 + 2 * paper.options.operations_per_patch)
lines = [("as measured here", rate, 1)] + [
    (f"H100 × {count}, {share:.0%} of the peak", 989e12 * share * count, count)
    for count in (1, 8) for share in (0.05, 0.1, 0.2)
]
table = pd.DataFrame(
    {"": name, "TFLOP/s": speed / 1e12, "images/s": speed / one, "hours": images * one / speed / 3600,
     "device hours": images * one / speed / 3600 * count}
    for name, speed, count in lines
)
display(HTML(table.to_html(index=False, float_format="{:,.3g}".format)))
print(
    f"Paper's scale: {images / 1e6:,.0f} million images of {paper.size_px} px ({paper.epochs} epochs of "
    f"1,281,167 photographs in seven versions), {one / 1e9:.2f} GFLOP each, one pretraining."
)

# %% [markdown]
# `aesthlib study --scale paper --plan` measures the rates of the machine at hand and prints the time,
# memory and disk of every page.

# %% [markdown]
# ## Re-run
# ```bash
# aesthlib study cost --scale smoke                       # trains where a record is missing
# aesthlib study cost --scale study --load-only           # from the published records
# aesthlib study cost --scale study --data-root FOLDER    # from your photographs
# ```
