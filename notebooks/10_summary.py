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
# # Summary
#
# **Question.** What was run at this scale, what came out, and with what?

# %% tags=["parameters"]
scale = "smoke"  # smoke, study or paper
store = "runs"  # folder of the records, checkpoints and features
data_root = ""  # folder that holds the scale's photographs and benchmarks; "" for records alone
load_only = False  # never compute, a missing record is an error
device = "auto"  # auto, cpu or cuda
seed = -1  # of weights, crops and draws; -1 takes all seeds of the scale

# %% tags=["hide-input"]
from pathlib import Path

import pandas as pd
from IPython.display import HTML, display
from myst_nb import glue

from aesthlib.report import figures
from aesthlib.store import records
from aesthlib.study import OURS, Study

study = Study(scale, store, data_root, load_only, device, seed)

# %%
found = study.summary()

# %% [markdown]
# ## Results
# Linear probes with the exact solver on the layer that the paper uses for its low-data curves,
# conv3, fixed beforehand. All layers are on the page of the probes. With several pretraining seeds, value
# and interval are means over them.

# %% tags=["hide-input"]
frame = records.load(store)
conv3 = frame[
    frame.run_id.isin([record["run_id"] for record in found])
    & (frame.experiment == "probe") & (frame.layer == "conv3") & (frame.solver == "exact")
]

# %% tags=["hide-input"] mystnb={"image": {"alt": "Accuracy of linear probes on conv3 for every method, one panel a benchmark: value, 95 percent interval and each pretraining seed; the degradation task is the topmost row, the untrained network below it."}}
accuracy = conv3[conv3.metric == "accuracy"].assign(**{
    column: 100 * conv3[column] for column in ("value", "low", "high")
})
names = {"oasis": "OASIS, beauty", "vessel": "Vessel, aesthetics", "unseen": "unseen flaws"}
panels = {
    f"{names.get(dataset, dataset)}\naccuracy (%)": accuracy[accuracy.dataset == dataset]
    for dataset in study.scale.benchmarks
}
figure = figures.headline(panels, "conv3");
pages = Path("book/executed") / scale
if pages.is_dir():  # for the book's first page
    figure.savefig(pages / "headline.png", dpi=150, metadata={"Software": None})

# %% tags=["hide-input"]
mean = conv3.groupby(["dataset", "metric", "method"])[["value", "low", "high", "n"]].mean()
entries = mean.assign(
    entry=[f"{r.value:.3f} [{r.low:.3f},\u00a0{r.high:.3f}]" for r in mean.itertuples()]
).reset_index()
table = entries.pivot(index="method", columns=["dataset", "metric"], values="entry")
display(HTML(table.loc[[name for name in figures.MARKS if name in table.index]].rename(index=figures.TITLES).to_html()))

# %% tags=["remove-cell"]
for (dataset, metric, method), row in mean.iterrows():
    unit = 100 if metric == "accuracy" else 1
    for column in ("value", "low", "high"):
        suffix = "" if column == "value" else f"_{column}"
        glue(f"{dataset}_{method}_{metric}{suffix}", float(unit * row[column]), display=False)
for dataset, count in mean.groupby("dataset").n.first().items():
    glue(f"{dataset}_n", float(count), display=False)
trained = next(r for r in found if r["experiment"] == "pretrain" and r["method"] == OURS)
glue("pretext_accuracy", float(100 * trained["history"][-1]["accuracy"]), display=False)
glue("entropy_weight", float(trained["history"][-1]["entropy_weight"]), display=False)
glue("photographs", int(trained["data"][0]["photographs"]), display=False)
glue("epochs", int(trained["config"]["epochs"]), display=False)
glue("minutes", float(trained["minutes"]), display=False)
glue("seeds", int(conv3[conv3.method == OURS].seed.nunique()), display=False)

# %% [markdown]
# ## Every record of this scale
# A row a record: the file of that name in the store holds the resolved config, the data's hash, the
# code version, the device and all values.

# %% tags=["hide-input"]
stored = [record for record in records.Store(study.store.root).all() if record["scale"] == scale]
listed = pd.DataFrame(
    {
        "record": record["run_id"],
        "experiment": record["experiment"],
        "method": record["method"],
        "data": ", ".join(data["name"] for data in record["data"]),
        "seed": record["seed"],
        "minutes": "" if record["minutes"] is None else f"{record['minutes']:.1f}",
        "code": record["environment"]["code_sha256"][:8],
    }
    for record in sorted(stored, key=lambda record: (record["experiment"], record["method"], record["run_id"]))
)
display(HTML(listed.to_html(index=False)))

# %% [markdown]
# ## Environment of the pretraining run

# %% tags=["hide-input"]
environment = pd.Series(trained["environment"], name="value")
environment["code_sha256"] = environment["code_sha256"][:16]
display(HTML(environment.to_frame().to_html()))

# %% [markdown]
# ## Re-run
# ```bash
# aesthlib study summary --scale smoke                       # trains where a record is missing
# aesthlib study summary --scale study --load-only           # from the published records
# aesthlib study summary --scale study --data-root FOLDER    # from your photographs
# ```
