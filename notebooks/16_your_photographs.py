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
# # Score your own photographs
#
# **Question.** What does the released network say of a folder of photographs?
#
# It predicts the mean beauty rating that the people who rated OASIS would give, from 1 to 7. It is wrong by
# the error that is printed below, knows little of what a photograph shows, and must not be used to judge
# people or their work: read the [model card](../../model_card.md) first.

# %% tags=["parameters"]
scale = "smoke"  # smoke, study or paper
store = "runs"  # folder of the records, checkpoints and features
data_root = ""  # folder that holds the scale's photographs and benchmarks; "" for records alone
load_only = False  # never compute, a missing record is an error
device = "auto"  # auto, cpu or cuda
seed = -1  # of weights, crops and draws; -1 takes all seeds of the scale
folder = ""  # of your photographs, searched recursively; "" for those that come with the packages
shown = 12  # photographs in the figure, best and worst

# %% tags=["hide-input"]
from pathlib import Path

import pandas as pd
import torch
from IPython.display import HTML, display
from myst_nb import glue

from aesthlib import pretrained
from aesthlib.data import embedded, photographs
from aesthlib.report import figures
from aesthlib.study import Study

study = Study(scale, store, data_root, load_only, device, seed)

# %%
found = study.your_photographs()
trained, scorer = pretrained.config(), pretrained.scorer()
if folder:
    rows, problems = pretrained.score_folder(Path(folder))
else:
    rows, problems = pretrained.score_sources(embedded.sources())
if not rows:
    told = "; ".join(f"{photographs.printable(file)}: {why}" for file, why in problems[:20])
    raise ValueError(
        f"none of these {len(problems)} files is a photograph that can be read: {told}"
    )

# %% tags=["hide-input"]
print(
    f"Predicted mean rating, 1 to 7, with a root mean squared error of {scorer.rmse:.2f} on photographs kept "
    f"from the fit (SRCC {scorer.srcc:.2f}, {scorer.n} photographs of {scorer.benchmark})."
)
table = pd.DataFrame([{**row, "file": photographs.printable(row["file"])} for row in rows])
table.columns = ["photograph", "predicted rating", "network's probability of a degradation"]
display(HTML(table.to_html(index=False, float_format="{:.2f}".format)))
print(
    "Six of seven patches in its training were degraded, so the last column lies above one half for many "
    "intact photographs: compare photographs by it, and do not take it for a verdict."
)
for file, problem in problems[:50]:
    print(f"left out: {photographs.printable(file)}: {problem}")
if len(problems) > 50:
    print(f"and {len(problems) - 50:,} more")
if folder:
    print(photographs.survey(Path(folder)).say())

# %% tags=["remove-cell"]
for key in ("rmse", "srcc", "plcc", "n"):
    glue(key, float(getattr(scorer, key)), display=False)
for record in found:
    if record["experiment"] == "release":
        for row in record["metrics"]:
            for column in ("value", "low", "high"):
                glue(f"{row['metric']}_{column}", float(row[column]), display=False)
    elif record["experiment"] == "held_out":
        for row in record["metrics"]:
            if row["metric"] == "held_out_accuracy":
                glue("held_out_accuracy", float(100 * row["value"]), display=False)
    else:
        glue("epochs", float(len(record["history"])), display=False)
        glue("photographs", float(record["data"][0]["photographs"]), display=False)
        glue("images", float(sum(row["images"] for row in record["history"])), display=False)
        glue("minutes", float(record["minutes"]), display=False)
        glue("training_accuracy", float(100 * record["history"][-1]["accuracy"]), display=False)

# %% [markdown]
# ## What was seen
# The central square of each, at the size that the network was trained at.

# %% tags=["hide-input"] mystnb={"image": {"alt": "The scored photographs, highest predicted rating first, each under its score."}}
chosen = rows if len(rows) <= shown else rows[: shown - shown // 2] + rows[-(shown // 2):]
path_of = {source.name: source.path for source in (photographs.find(Path(folder)) if folder else embedded.sources())}
squares = torch.stack([
    pretrained.central_square(path_of[row["file"]], trained) for row in chosen
])
figures.labelled_patches(squares, [f"{row['score']:.2f}" for row in chosen], 6);

# %% [markdown]
# ## Re-run
# ```bash
# aesthlib study your_photographs -p folder FOLDER
# ```
# or in Python:
# ```python
# import aesthlib
# from aesthlib import pretrained
#
# model = aesthlib.load_pretrained()             # backbone and head, frozen
# pretrained.score(model, images)                # uint8 (N, 3, 128, 128) to ratings
# pretrained.score_folder(Path("FOLDER"))        # a folder
# ```
