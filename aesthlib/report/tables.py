"""What records say, as the rows that pages show."""

import pandas as pd

SMALLEST_P = 0.001  # below, a p value is said to be below


def p_words(p: float) -> str:
    """A p value in words, never as zero: "p = 0.034", or "p < 0.001"."""
    if p < SMALLEST_P:
        return f"p\u00a0<\u00a0{SMALLEST_P}"
    return f"p\u00a0=\u00a0{p:.3f}"


def differences(found: list[dict], metric: str = "accuracy") -> pd.DataFrame:
    """The comparisons of probes among records, on average of the five layers.

    Args:
        found: records; both sides of each comparison are among them.
        metric: "accuracy", which is given in points, "srcc" or "plcc".

    Returns:
        A row a comparison: ours and theirs (run ids of the pretrainings), method and seed of
        theirs, dataset, n, value with low and high of its paired 95 % interval, p, and entry, which
        says the last four in words.
    """
    record_of = {record["run_id"]: record for record in found}
    unit, digits = (100, 1) if metric == "accuracy" else (1, 3)
    rows = []
    for record in found:
        if record["experiment"] != "comparison":
            continue
        ours, theirs = (record_of[record["config"][side]] for side in ("ours", "theirs"))
        mean = next(
            row for row in record["metrics"] if (row["metric"], row["layer"]) == (metric, "average")
        )
        value, low, high = (unit * mean[key] for key in ("value", "low", "high"))
        rows.append(
            {
                "ours": ours["config"]["pretrain"],
                "theirs": theirs["config"]["pretrain"],
                "method": record["method"],
                "seed": theirs["seed"],
                "dataset": mean["dataset"],
                "n": mean["n"],
                "value": value,
                "low": low,
                "high": high,
                "p": mean["p"],
                "entry": f"{value:+.{digits}f} [{low:+.{digits}f},\u00a0{high:+.{digits}f}], "
                + p_words(mean["p"]),
            }
        )
    columns = (
        "ours",
        "theirs",
        "method",
        "seed",
        "dataset",
        "n",
        "value",
        "low",
        "high",
        "p",
        "entry",
    )
    return pd.DataFrame(rows, columns=columns)
