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
# # What a supervised model makes of the degradations
#
# **Claim.** Editing operations "can increase the prediction confidence of aesthetically negative
# images, or even turn an aesthetically positive example into a negative one" (Sheng et al. 2020, Fig. 2).
#
# **Question.** How does the confidence of a model trained on labels alone move under each operation
# and level, on photographs that it has not seen?

# %% tags=["parameters"]
scale = "smoke"  # smoke, study or paper
store = "runs"  # folder of the records, checkpoints and features
data_root = ""  # folder that holds the scale's photographs and benchmarks; "" for records alone
load_only = False  # never compute, a missing record is an error
device = "auto"  # auto, cpu or cuda
seed = -1  # of weights, crops and draws; -1 takes all seeds of the scale

# %% tags=["hide-input"]
import pandas as pd
import torch
from IPython.display import HTML, display

from aesthlib import ops
from aesthlib.data import embedded
from aesthlib.experiments import analysis
from aesthlib.report import figures
from aesthlib.study import Study

study = Study(scale, store, data_root, load_only, device, seed)

# %% [markdown]
# ## The model and its photographs
# The network of the other pages, trained from random weights on a benchmark's labels; shown are the
# photographs that its first fold kept from it.

# %%
found = [record for record in study.confidence() if record["experiment"] == "confidence"]

# %% tags=["hide-input"] mystnb={"image": {"alt": "Box plots, one a class of degradation: how the probability of good changes on held-out photographs labelled good."}}
record = found[0]
positive = pd.DataFrame({row["class"]: row["probability"] for row in record["tables"]["positive"]})
negative = pd.DataFrame({row["class"]: row["probability"] for row in record["tables"]["negative"]})
figures.confidence_changes(positive["none"], positive.drop(columns="none"));

# %% [markdown]
# ## How many change sides
# Of the photographs that are labelled good and called good unedited, the share called not good after
# the edit; of those labelled and called not good, the mean gain in the confidence of that answer.

# %% tags=["hide-input"]
called = positive[positive["none"] > 0.5]
refused = negative[negative["none"] <= 0.5]
table = pd.DataFrame(
    {
        "good turned into not good (%)": 100 * (called <= 0.5).mean(),
        "mean change, labelled good": positive.sub(positive["none"], axis=0).mean(),
        "gain in confidence, not good": refused.rsub(refused["none"], axis=0).mean(),
    }
).drop("none")
display(HTML(table.to_html(float_format="{:.3f}".format)))
print(f"{record['metrics'][0]['dataset']}: {len(positive)} labelled good ({len(called)} called good), "
      f"{len(negative)} not ({len(refused)} called not good); record {record['run_id']}")

# %% [markdown]
# ## Examples
# Three photographs that come with the packages; under each the probability of "good".

# %% tags=["hide-input"] mystnb={"image": {"alt": "Three photographs, each unedited and under ten operations at their strongest level, with the probability that the model gives to good."}}
config = study.scale.adapt
names = [source.name for source in embedded.sources()]
patches = embedded.central_patches(config.shorter_edge_px, config.size_px)
chosen = [
    names.index(name) for name in ("skimage/coffee.png", "sklearn/china.jpg", "skimage/chelsea.png")
]
strongest = [
    item.index for item in ops.CLASSES[1:] if item.level == len(item.operation.levels)
]
classes = [0, *strongest]
made = dict(analysis.versions(patches, 0, "paper"))
patches = torch.stack([made[index][row] for row in chosen for index in classes])
titles = [
    f"{ops.CLASSES[index].name}\n{record['tables']['embedded'][index]['probability'][row]:.2f}"
    for row in chosen for index in classes
]
figures.labelled_patches(patches, titles, 6);

# %% [markdown]
# ## What differs from the paper, and what we do not know
# The paper's model and its benchmark for this figure are not named. A model's confidence is no human
# judgement; with so small a benchmark it is a weak model, and where it is little better than chance
# its confidence says little.

# %% [markdown]
# ## Re-run
# ```bash
# aesthlib study confidence --scale smoke                       # trains where a record is missing
# aesthlib study confidence --scale study --load-only           # from the published records
# aesthlib study confidence --scale study --data-root FOLDER    # from your photographs
# ```
