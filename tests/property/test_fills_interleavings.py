"""Settlement reports of one fill: any order, any repetition, one end."""

from __future__ import annotations

from itertools import permutations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from polystra.domain.errors import IllegalTransition
from polystra.domain.fills import FillStatus, advance

MIDDLE = (FillStatus.MATCHED, FillStatus.MINED, FillStatus.RETRYING)


def settle(reports: tuple[FillStatus, ...]) -> FillStatus:
    status = reports[0]
    for report in reports[1:]:
        status = advance(status, report, "t")
    return status


@pytest.mark.parametrize("end", [FillStatus.CONFIRMED, FillStatus.FAILED])
def test_every_arrival_with_every_report_doubled_ends_equal(end):
    arrivals = set(permutations((*MIDDLE, end) * 2))
    assert len(arrivals) == 2520
    assert {settle(arrival) for arrival in arrivals} == {end}


@given(
    st.lists(st.sampled_from(MIDDLE), max_size=12),
    st.sampled_from([FillStatus.CONFIRMED, FillStatus.FAILED]),
    st.data(),
)
def test_one_final_report_anywhere_decides(reports, end, data):
    where = data.draw(st.integers(0, len(reports)))
    assert settle((*reports[:where], end, *reports[where:])) is end


@given(st.lists(st.sampled_from(MIDDLE), max_size=6), st.permutations([FillStatus.CONFIRMED, FillStatus.FAILED]))
def test_confirmed_and_failed_contradict_each_other_in_either_order(reports, ends):
    with pytest.raises(IllegalTransition):
        settle((ends[0], *reports, ends[1]))
