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
# # Pretraining
#
# **Claim.** A network can "identify the types and parameters of editing operations applied to
# synthetic instances", without labels (Sheng et al. 2020, abstract; equations 1 to 3).
#
# **Question.** How far does the degradation task get with these photographs and this budget?

# %% tags=["parameters"]
scale = "smoke"  # smoke, study or paper
store = "runs"  # folder of the records, checkpoints and packed photographs
data_root = ""  # folder that holds the scale's photographs; "" for the embedded ones or records alone
load_only = False  # never compute, a missing record is an error
device = "auto"  # auto, cpu or cuda
seed = 0  # of weights, crops and draws

# %% tags=["hide-input"]
import pandas as pd
from IPython.display import HTML, display

from aesthlib import ops, plots
from aesthlib.study import Study

study = Study(scale, store, data_root, load_only, device)

# %% [markdown]
# ## The run
# Trained if its record is not in the store, with a checkpoint after every epoch; loaded otherwise.

# %%
run = study.pretrained("degradation", seed)
untrained = study.pretrained("random", seed)

# %% tags=["hide-input"]
history = pd.DataFrame(run["history"]).assign(seed=seed)
config, options, data = run["config"], run["config"]["options"], run["data"][0]
versions = 1 + 2 * options["operations_per_patch"]
facts = {
    "photographs": f"{data['name']}, {data['photographs']} ({data['left_out']} left out)",
    "patch": f"{config['size_px']} px, photographs at {config['shorter_edge_px']} px",
    "backbone": config["backbone"],
    "epochs": config["epochs"],
    "images through the network": f"{history.images.sum():,}",
    "batch": f"{config['batch_size']} patches, {versions} versions each",
    "learning rate": f"{config['learning_rate']:g}, times {config['learning_rate_drop']:g} every "
    f"{config['drop_every_epochs']} epochs",
    "triplet loss after epoch": options["triplet_from_epoch"],
    "entropy weight after epoch": options["entropy_from_epoch"],
    "levels": options["preset"],
    "minutes by the clock": f"{run['minutes']:.1f}",
    "device": run["environment"]["device"] + f", {run['environment']['threads']} threads, "
    + run["environment"]["precision"],
    "record": run["run_id"],
    "checkpoint (SHA-256)": run["checkpoint_sha256"][:16],
}  # fmt: skip
display(HTML(pd.Series(facts, name=f"scale {scale}").to_frame().to_html()))

# %% [markdown]
# ## Training curves
# Each point is an epoch's mean over fresh random crops and draws. The entropy weight of a version
# is $\max(1-\tfrac53 H, 0)$ with $H$ the entropy of the network's prediction; the last panel shows
# $H$ and the value from which on the weight is zero, whether or not the weight is switched on.

# %% tags=["hide-input"] mystnb={"image": {"alt": "Four panels by epoch: cross-entropy falls, accuracy over 22 classes rises above chance, the triplet loss, and the entropy of the predictions with the line above which a patch weighs nothing."}}
plots.training_curves(history, options, chance=1 / versions);

# %% tags=["hide-input"]
first, last = run["history"][0], run["history"][-1]
print(
    f"Cross-entropy {first['cross_entropy']:.2f} → {last['cross_entropy']:.2f} nats, accuracy "
    f"{first['accuracy']:.1%} → {last['accuracy']:.1%}, triplet loss {first['triplet']:.2f} → "
    f"{last['triplet']:.2f} in {config['epochs']} epochs. In the last epoch the predictions' entropy "
    f"is {last['entropy']:.2f} nats and the entropy weight of a version {last['entropy_weight']:.3f} "
    "on average."
)
print(
    f"Always saying None is right for one version in {versions}, {1 / versions:.1%}; guessing among "
    f"{len(ops.CLASSES)} classes {1 / len(ops.CLASSES):.1%}."
)

# %% [markdown]
# ## What differs from the paper, and what we do not know
# The paper trains on ImageNet and does not state its number of epochs; its curves are not printed.
# Here the photographs, the patch and the number of steps are far fewer, and the switch-on points
# of the triplet loss and the entropy weight are moved in proportion. The accuracy is that on
# training photographs, under new crops and new draws.
#
# ## Re-run
# ```bash
# aesthlib study pretraining --scale smoke                       # trains where a record is missing
# aesthlib study pretraining --scale study --load-only           # from the published records
# aesthlib study pretraining --scale study --data-root FOLDER    # from your photographs
# ```
