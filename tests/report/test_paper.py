"""The paper's printed numbers, as far as they can check themselves."""

import pytest

from aesthlib import ops
from aesthlib.models import LAYERS
from aesthlib.report import paper
from aesthlib.study import ATTRIBUTES, METHODS


def test_rows_of_table_2_average_to_the_printed_averages_but_two():
    table = paper.table2()
    assert list(table.columns) == ["method", "dataset", "layer", "accuracy_pct"]
    assert set(table.layer) == {*LAYERS, "average"}
    assert table.accuracy_pct.between(50, 100).all()
    rows = table.pivot(index=["method", "dataset"], columns="layer", values="accuracy_pct")
    assert len(rows) == 9 * 3 and not rows.isna().any(axis=None)
    averages = rows[list(LAYERS)].mean(axis=1)
    apart = rows[(averages - rows.average).abs() > 0.005 + 1e-9]  # printed with two digits
    assert set(apart.index) == {("Context", "CUHK-PQ"), ("Ours", "AVA")}
    for key, computed, printed in (
        (("Context", "CUHK-PQ"), 76.14, 76.16),
        (("Ours", "AVA"), 80.04, 80.02),
    ):
        assert averages[key] == pytest.approx(computed)
        assert rows.average[key] == printed
        for number in (computed, printed):
            assert f"{number:.2f}" in paper.__doc__


def test_table_2_names_the_methods_of_the_study():
    named = [method.paper for method in METHODS.values() if method.paper]
    assert len(set(named)) == len(named)
    assert set(named) == set(paper.table2().method)


def test_table_3_has_its_columns():
    table = paper.table3()
    assert list(table.columns) == [
        "method",
        "backbone",
        "labels_in_pretraining",
        "aesthetic_label_alone",
        "ava_accuracy_pct",
    ]
    assert table.ava_accuracy_pct.between(50, 100).all()


def test_table_4_leaves_out_the_attributes_of_the_level_table():
    table = paper.table4()
    assert list(table.columns) == [
        "attribute_left_out",
        "dataset",
        "accuracy_drop_low_pct",
        "accuracy_drop_high_pct",
    ]
    assert (table.accuracy_drop_low_pct <= table.accuracy_drop_high_pct).all()
    assert set(table.attribute_left_out) == set(ATTRIBUTES)
    assert set(ATTRIBUTES) == {row.attribute for row in ops.OPERATIONS}
