"""The numbers that the paper prints, as data frames.

Source: Sheng, Dong, Chai, Wang, Zhou, Huang, Hu, Ji and Ma, "Revisiting Image Aesthetic Assessment
via Self-Supervised Feature Learning", AAAI 2020, doi 10.1609/aaai.v34i04.6026. The printed averages
of Table 2 are those of its rows, but for Context on CUHK-PQ (76.14 from its layers, 76.16 printed)
and Ours on AVA (80.04 and 80.02).
"""

from pathlib import Path

FOLDER = Path(__file__).resolve().parents[2] / "book" / "paper"


def table2():
    """Linear probes: columns method, dataset, layer (conv1 … conv5, average), accuracy_pct."""
    return _table(2)


def table3():
    """Non-linear adaptation on AVA: columns method, backbone, labels_in_pretraining,
    aesthetic_label_alone, ava_accuracy_pct.
    """
    return _table(3)


def table4():
    """One attribute left out: columns attribute_left_out, dataset, accuracy_drop_low_pct,
    accuracy_drop_high_pct (the printed range where the layers differ).
    """
    return _table(4)


def _table(number: int):
    import pandas as pd

    return pd.read_csv(FOLDER / f"table{number}.csv")
