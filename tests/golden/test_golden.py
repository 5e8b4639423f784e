"""The names of all results, held while the code around them moves.

A run is named by the hash of its question. So as long as these names stay, a change of structure
has changed no question; where one is meant to change, its records are computed and published anew,
and the plan of scale paper is frozen again: `python tests/golden/test_golden.py`.
"""

import json
from pathlib import Path

import pytest

from aesthlib.store import records
from aesthlib.study import Study

PAPER_PLAN = Path(__file__).with_name("paper_plan.json")


def planned(scale: str, store: Path) -> dict[str, list[str]]:
    """Run ids that each page of a scale asks for, nothing computed."""
    asked = Study(scale, store, device="cpu")
    asked.runs.plan = {}
    return {
        page: sorted({record["run_id"] for record in asked.page(page)})
        for page in asked.scale.pages
    }


@pytest.mark.parametrize("scale", ["smoke", "study"])
def test_every_published_record_is_asked_for_and_no_other(scale):
    asked = Study(scale, records.PUBLISHED, load_only=True, device="cpu").everything()
    published = [r for r in records.Store(records.PUBLISHED).all() if r["scale"] == scale]
    assert sorted(r["run_id"] for r in asked) == sorted(r["run_id"] for r in published)


def test_the_name_of_every_published_record_is_the_hash_of_its_question():
    for record in records.Store(records.PUBLISHED).all():
        data = [item["sha256"] for item in record["data"]]
        question = (record["experiment"], record["scale"], record["config"], data)
        assert records.run_id(*question) == record["run_id"]


def test_the_plan_of_scale_paper_names_the_same_runs(tmp_path):
    assert planned("paper", tmp_path) == json.loads(PAPER_PLAN.read_text())
    assert not any(tmp_path.iterdir())


if __name__ == "__main__":
    text = json.dumps(planned("paper", Path("nowhere")), indent=1, sort_keys=True)
    PAPER_PLAN.write_text(text + "\n")
