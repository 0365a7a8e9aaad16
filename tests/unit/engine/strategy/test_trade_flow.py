"""Trade flow: the last minutes and nothing older, the same cost however many prints came."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from polystra.domain.units import NS_PER_S
from polystra.engine.strategy.trade_flow import LONGEST_S, SLOT_S, Flow, TradeFlow

BEGIN_S = 1_800_000_000


def at(second: int) -> int:
    return (BEGIN_S + second) * NS_PER_S


def test_buyers_and_sellers_are_counted_apart_over_each_span():
    flow = TradeFlow()
    flow.add(10, bought=True, now_ns=at(0))
    flow.add(4, bought=False, now_ns=at(32))
    flow.add(1, bought=True, now_ns=at(59))
    assert flow.over(30, at(59)) == Flow(1, 4, 2)
    assert flow.over(60, at(59)) == Flow(11, 4, 3)
    assert flow.over(60, at(60)) == Flow(1, 4, 2)
    assert flow.over(300, at(299)) == Flow(11, 4, 3)
    assert flow.over(300, at(400)) == Flow(0, 0, 0)


def test_a_market_without_prints_has_no_flow_and_no_span_is_longer_than_what_is_kept():
    assert TradeFlow().over(60, at(0)) == Flow(0, 0, 0)
    with pytest.raises(ValueError, match="305"):
        TradeFlow().over(LONGEST_S + SLOT_S, at(0))


def test_memory_does_not_grow_with_prints():
    flow = TradeFlow()
    for second in range(2_000):
        flow.add(1, bought=True, now_ns=at(second))
    assert flow.over(300, at(1_999)) == Flow(300, 0, 300)
    assert len(flow._bought) == LONGEST_S // SLOT_S


@given(
    prints=st.lists(st.tuples(st.integers(0, 900), st.integers(1, 100), st.booleans()), max_size=40).map(sorted),
    span=st.sampled_from((30, 60, 300)),
    later=st.integers(0, 700),
)
def test_it_equals_the_sum_over_all_prints(prints, span, later):
    flow = TradeFlow()
    for second, size, bought in prints:
        flow.add(size, bought=bought, now_ns=at(second))
    now = max((second for second, _, _ in prints), default=0) + later
    first = (BEGIN_S + now) // SLOT_S - span // SLOT_S + 1
    meant = [(size, bought) for second, size, bought in prints if (BEGIN_S + second) // SLOT_S >= first]
    assert flow.over(span, at(now)) == Flow(
        sum(size for size, bought in meant if bought), sum(size for size, bought in meant if not bought), len(meant)
    )
