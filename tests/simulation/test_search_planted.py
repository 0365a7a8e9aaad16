"""Each planted bug is found by the search, near the seed that is recorded for it."""

from __future__ import annotations

import pytest

from tests.simulation.planted.__main__ import hints, search
from tests.simulation.planted.patches import patches

QUICK = ("commit_after_send", "matched_twice")
"""Planted bugs that nearly every seed finds."""
NEAR = 40
"""Seeds to try from the recorded one on: what a seed leads to changes with the code."""


@pytest.mark.parametrize("name", QUICK)
def test_a_planted_bug_is_found_quickly(name):
    _is_found(name)


@pytest.mark.slow
@pytest.mark.timeout(1_800)
@pytest.mark.parametrize("name", [patch.stem for patch in patches() if patch.stem not in QUICK])
def test_a_planted_bug_is_found(name):
    _is_found(name)


def _is_found(name):
    patch = next(each for each in patches() if each.stem == name)
    seed = hints()[name]
    assert search(patch, range(seed, seed + NEAR)).startswith("seed ")
