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
# # The degradations
#
# **Claim.** Ten operations at 21 levels, "parameters that will always induce aesthetic degradation
# of observably different patterns" (Sheng et al. 2020, Table 1 and the paragraph on $L_\mathrm{deg}$).
#
# **Question.** What does each level do to a photograph, and can every class be told from the
# original in 8-bit pixels?

# %% tags=["parameters"]
scale = "smoke"  # smoke, study or paper: sets the size of the patches
store = "runs"  # folder of the records
data_root = ""  # folder of the photographs; not used here, the embedded ones serve
load_only = False  # never compute, a missing record is an error
device = "auto"  # auto, cpu or cuda

# %% tags=["hide-input"]
import torch
from IPython.display import HTML, display

from aesthlib import ops
from aesthlib.data import embedded
from aesthlib.ops import table
from aesthlib.report import figures
from aesthlib.store.records import load
from aesthlib.study import Study

study = Study(scale, store, data_root, load_only, device)

# %% [markdown]
# ## The 22 classes
# The one table that all code reads. Levels count from mild to strong. The preset `paper` holds the
# printed values, `calibrated` those of a second reading that shows in 8 bits.

# %% tags=["hide-input"]
classes = table.table().drop(columns=["operation", "level", "source"]).set_index("class")
display(HTML(classes.to_html(float_format="{:g}".format, na_rep="")))

# %% [markdown]
# ## Every operation at every level
# A central patch of 227 px of *coffee* (scikit-image), the size of the paper's patches. Mixup blends
# in *china* (scikit-learn).

# %% tags=["hide-input"]
names = [source.path.stem for source in embedded.sources()]
patches = embedded.central_patches(256, 227)
coffee, china = (patches[names.index(name)] for name in ("coffee", "china"))
versions = {
    item.index: ops.apply(
        coffee[None], item.index, china[None], torch.Generator().manual_seed(0)
    )[0]
    for item in ops.CLASSES[1:]
}

# %% tags=["hide-input"] mystnb={"image": {"alt": "Ten rows, one an operation: the original photograph of a cup of coffee on the left, its degraded versions from mild to strong beside it. Gaussian blur at level 1 looks like the original."}}
figures.degradation_strips(coffee, versions, "paper");

# %% [markdown]
# ## What the levels change, measured
# Each class is applied to central patches of the embedded photographs. Shown is how far a pixel
# moves on average; a class that moves none cannot be told from None by any network.

# %%
record = study.degradations()[0]
changes = load(store).query("run_id == @record['run_id']")
record["run_id"], record["config"]

# %% tags=["hide-input"] mystnb={"image": {"alt": "Horizontal bars of the mean absolute change of a pixel by class, preset paper, on a logarithmic axis. Gaussian blur at level 1 is marked as identical to the original."}}
figures.visibility(changes[changes.dataset == "embedded, paper"], "paper");

# %% tags=["hide-input"] mystnb={"image": {"alt": "Horizontal bars of the mean absolute change of a pixel by class, preset calibrated, on a logarithmic axis. Classes that change no pixel are marked as identical to the original."}}
figures.visibility(changes[changes.dataset == "embedded, calibrated"], "calibrated");

# %% tags=["hide-input"]
unchanged = changes[(changes.metric == "unchanged_share") & (changes.value > 0)]
for preset, rows in unchanged.groupby("dataset"):
    named = ", ".join(f"{row.layer} ({row.value:.0%} of {row.n})" for row in rows.itertuples())
    print(f"{preset}: photographs left unchanged by {named}")

# %% [markdown]
# ## What differs from the paper, and what we do not know
# Gaussian blur with a standard deviation of 0.2 px is the identity in 8 bits: the neighbours of the
# kernel weigh $4\cdot10^{-6}$. Under the literal levels that class and None are the same pictures, and
# a network can at best guess between them. The paper does not say in which units its parameters
# are; ours are in the table, and every reading is listed on the page of deviations.
#
# ## Re-run
# ```bash
# aesthlib study degradations --scale smoke                       # trains where a record is missing
# aesthlib study degradations --scale study --load-only           # from the published records
# aesthlib study degradations --scale study --data-root FOLDER    # from your photographs
# ```
