"""A slice of the search for bad days, what it has found before, and the proof that it can fail.

The slice: `SEEDS` of some simulated minutes and every kept regression. Planted bugs are searched for by
`test_search_planted`, longer runs are in `test_search_long`; the whole search is `python -m tests.simulation`.
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from tests.simulation.planted.__main__ import hints
from tests.simulation.planted.patches import apply, breaks, patches
from tests.simulation.search_plan import draw, plan_of
from tests.simulation.search_run import REGRESSIONS, kept, run_plan

SEEDS = (1, 2, 5)
MINUTES = 7


@pytest.mark.parametrize("seed", SEEDS)
def test_a_drawn_bad_day_breaks_nothing_and_comes_again_the_same(seed):
    plan = draw(seed, minutes=MINUTES, profile="full")
    verdict = run_plan(plan)
    assert verdict.broken == ()
    assert verdict.orders > 5
    if seed == SEEDS[0]:
        again = run_plan(plan)
        assert again.digests == verdict.digests
        assert (again.faults, again.deaths, again.orders) == (verdict.faults, verdict.deaths, verdict.orders)


def test_every_planted_bug_names_what_it_breaks_and_has_a_hint():
    assert hints().keys() == {patch.stem for patch in patches()}
    assert all(label in {f"I{number}" for number in range(1, 15)} for patch in patches() for label in breaks(patch))


def test_the_trouble_of_a_day_is_spread_over_it():
    plans = [draw(seed, minutes=1_440, profile="full") for seed in range(20)]
    for named in ("crashes", "store", "network"):
        seconds = [
            getattr(each, "from_s", getattr(each, "second", 0)) for plan in plans for each in getattr(plan, named)
        ]
        assert min(seconds) < 3_600
        assert max(seconds) > 80_000
    bursts = [fault["from"] for plan in plans for fault in plan.faults]
    assert max(bursts) > 70_000


@pytest.mark.parametrize("path", sorted(REGRESSIONS.glob("*.json")), ids=lambda path: path.stem)
def test_what_the_search_has_found_stays_mended(path):
    assert run_plan(kept(path)).broken == ()


def test_a_plan_is_the_same_after_it_was_kept_in_a_file():
    for seed in range(30):
        plan = draw(seed, minutes=20, profile="full")
        assert plan_of(json.loads(json.dumps(plan.as_data()))) == plan


@pytest.mark.parametrize("patch", patches(), ids=lambda patch: patch.stem)
def test_a_planted_bug_still_fits_the_code(patch, tmp_path):
    source = Path(__file__).parents[2] / "src"
    shutil.copytree(source, tmp_path / "src", ignore=shutil.ignore_patterns("__pycache__"))
    before = {path: path.read_text() for path in source.rglob("*.py")}
    apply(patch, tmp_path)
    changed = [
        path for path, text in before.items() if (tmp_path / "src" / path.relative_to(source)).read_text() != text
    ]
    assert changed


def test_a_patch_that_does_not_fit_is_refused_in_words(tmp_path):
    (tmp_path / "src").mkdir()
    (tmp_path / "src" / "a.py").write_text("one\n")
    patch = tmp_path / "p.patch"
    patch.write_text("Planted: nothing\n--- a/src/a.py\n+++ b/src/a.py\n@@ -1 +1 @@\n-two\n+three\n")
    with pytest.raises(ValueError, match="fits 0 places"):
        apply(patch, tmp_path)
