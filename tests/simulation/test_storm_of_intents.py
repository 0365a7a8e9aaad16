"""A slice of the storm; the whole of it is a command (see the module)."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from tests.simulation.storm_of_intents import differences, storm_of, told


def test_a_storm_ends_with_exactly_the_orders_that_were_intended(tmp_path: Path) -> None:
    storm, left = storm_of(80, 1, tmp_path)
    assert differences(storm, left) == []
    assert len(storm.wanted) == 80
    assert len(left.venue_orders) > 40
    assert left.faults.total() > 10
    assert left.faults["reply_dropped"] > 0
    assert told(storm, left)[0].endswith("80")

    lost = next(iter(left.venue_orders))
    left.placed.append(left.placed[0])
    gone = left.venue_orders.pop(lost)
    assert len(differences(storm, left)) == 2
    left.venue_orders[lost] = replace(gone, original_size=gone.original_size + 10_000, size_matched=1)
    assert len(differences(storm, left)) >= 2


@pytest.mark.slow
@pytest.mark.parametrize("seed", [2, 3])
def test_other_storms_end_so_too(seed: int, tmp_path: Path) -> None:
    storm, left = storm_of(400, seed, tmp_path)
    assert differences(storm, left) == []
