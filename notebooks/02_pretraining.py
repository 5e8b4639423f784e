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
# synthetic instances", without labels (Sheng et al. 2020, abstract; equations 1 to 3). It is compared
# with networks trained by other pretext tasks, by labels, and not at all.
#
# **Question.** How far does each task get with the same photographs, network and number of steps?

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

from aesthlib import ops
from aesthlib.report import figures
from aesthlib.study import METHODS, OURS, Study

study = Study(scale, store, data_root, load_only, device, seed)

# %% [markdown]
# ## The runs
# Trained if a record is not in the store, with a checkpoint after every epoch; loaded otherwise.

# %%
found = study.pretraining()

# %% tags=["hide-input"]
runs = [record for record in found if record["experiment"] == "pretrain"]
ours = next(record for record in runs if record["method"] == OURS)
config, data = ours["config"], ours["data"][0]
facts = {
    "photographs": f"{data['name']}, {data['photographs']} ({data['left_out']} left out)",
    "patch": f"{config['size_px']} px, photographs at {config['shorter_edge_px']} px",
    "backbone": config["backbone"],
    "epochs": config["epochs"],
    "batch": f"{config['batch_size']} patches",
    "learning rate": f"{config['learning_rate']:g}, times {config['learning_rate_drop']:g} every "
    f"{config['drop_every_epochs']} epochs",
    "device": ours["environment"]["device"] + f", {ours['environment']['threads']} threads, "
    + ours["environment"]["precision"],
}
display(HTML(pd.Series(facts, name=f"scale {scale}, every method").to_frame().to_html()))

# %% [markdown]
# ## What each task reached
# On fresh crops of the training photographs in its last epoch, and afterwards on photographs that no
# task was trained on. *Chance* is the best answer that does not look. Every method sees the same number
# of patches in the same number of steps; what it makes of a patch (seven versions, four rotations, nine
# tiles, …) differs, and with it the images through the network.

# %% tags=["hide-input"]
rows = []
for run in runs:
    last = run["history"][-1]
    own = {"method": figures.TITLES[run["method"]], "seed": run["seed"],
           "images": sum(row["images"] for row in run["history"]),
           "minutes": run["minutes"], "training accuracy (%)": 100 * last.get("accuracy", float("nan"))}
    for record in found:
        if record["experiment"] == "held_out" and record["config"]["pretrain"] == run["run_id"]:
            value = {row["metric"]: row["value"] for row in record["metrics"]}
            own |= {"held-out accuracy (%)": 100 * value.get("held_out_accuracy", float("nan")),
                    "chance (%)": 100 * value.get("chance", float("nan")),
                    "n": record["metrics"][0]["n"] if record["metrics"] else 0}
    rows.append(own | {"record": run["run_id"]})
reached = pd.DataFrame(rows)
display(HTML(reached.to_html(index=False, float_format="{:.1f}".format, na_rep="–")))

# %% tags=["hide-input"]
for name, method in METHODS.items():
    if name not in {run["method"] for run in runs}:
        how = method.needs or "aesthlib study pretraining at a scale that lists it"
        print(f"{method.title}: not run at scale {scale}. To run it: {how}")

# %% tags=["hide-input"] mystnb={"image": {"alt": "Loss by epoch, one panel a pretext task."}}
curves = pd.DataFrame(
    {"method": run["method"], "seed": run["seed"], **row}
    for run in runs for row in run["history"] if len(run["history"]) > 1
)
figures.task_curves(curves);

# %% [markdown]
# ## The degradation task
# Dashed lines mark where the triplet loss and the entropy weights are switched on.

# %% tags=["hide-input"] mystnb={"image": {"alt": "Four panels over epochs: cross-entropy, accuracy over 22 classes, triplet loss, and entropy of the prediction, with the switch-on points as dashed lines."}}
options = config["options"]
versions = 1 + 2 * options["operations_per_patch"]
history = pd.concat(
    pd.DataFrame(run["history"]).assign(seed=run["seed"]) for run in runs if run["method"] == OURS
)
figures.training_curves(history, options, chance=1 / versions);

# %% tags=["hide-input"]
first, last = ours["history"][0], ours["history"][-1]
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
# The paper trains its own task on ImageNet, does not state its number of epochs and prints no curves;
# the other tasks' networks it takes as their authors released them, trained on other photographs and
# schedules. Here all share photographs, network and steps. Where each task departs from its own paper
# is written with its code: {py:mod}`aesthlib.pretext`.

# %% [markdown]
# ## Re-run
# ```bash
# aesthlib study pretraining --scale smoke                       # trains where a record is missing
# aesthlib study pretraining --scale study --load-only           # from the published records
# aesthlib study pretraining --scale study --data-root FOLDER    # from your photographs
# ```
