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
# # The paper's claims, one by one
#
# **Question.** What does the paper claim, what do the records of this scale say, and is it reproduced?

# %% tags=["parameters"]
scale = "smoke"  # smoke, study or paper
store = "runs"  # folder of the records, checkpoints and features
data_root = ""  # folder that holds the scale's photographs and benchmarks; "" for records alone
load_only = False  # never compute, a missing record is an error
device = "auto"  # auto, cpu or cuda
seed = -1  # of weights, crops and draws; -1 takes all seeds of the scale

# %% tags=["hide-input"]
from IPython.display import HTML, display

from aesthlib.report import claims
from aesthlib.study import Study

study = Study(scale, store, data_root, load_only, device, seed)

# %% [markdown]
# The rules stand in `aesthlib/report/claims.py` and are applied to the records by code. *Not testable at this
# scale* means that a run is missing, or that the scale holds too little: scale smoke judges its probes
# on six photographs and trains for seconds, so it decides no claim that rests on training.

# %%
verdicts = claims.verdicts(study)

# %% tags=["hide-input"]
display(HTML(verdicts.drop(columns="runs").to_html(index=False)))
print(verdicts.verdict.value_counts().to_string())

# %% [markdown]
# ## The records behind each verdict

# %% tags=["hide-input"]
display(HTML(verdicts[["claim", "runs"]].to_html(index=False)))

# %% [markdown]
# ## Re-run
# ```bash
# aesthlib study claims --scale smoke                       # trains where a record is missing
# aesthlib study claims --scale study --load-only           # from the published records
# aesthlib study claims --scale study --data-root FOLDER    # from your photographs
# ```
