from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from polystra.domain.liquidity import Liquidity, liquidity_for
from polystra.domain.orders import Side
from polystra.domain.units import MICRO

ASKS = ((520_000, 10 * MICRO), (500_000, 10 * MICRO), (600_000, 100 * MICRO))
BIDS = ((480_000, 10 * MICRO), (400_000, 100 * MICRO), (490_000, 10 * MICRO))


def figures(found: Liquidity) -> tuple[object, ...]:
    return (
        found.shares // MICRO,
        found.dollars,
        found.best,
        found.average,
        found.worst,
        found.slippage,
        found.is_enough,
    )


def test_the_price_is_weighted_by_depth_from_the_best_level_on() -> None:
    bought = liquidity_for(Side.BUY, ASKS, 15 * MICRO)
    assert figures(bought) == (15, 7_600_000, 500_000, 506_667, 520_000, 6_667, True)
    sold = liquidity_for(Side.SELL, BIDS, 15 * MICRO)
    assert figures(sold) == (15, 7_300_000, 490_000, 486_666, 480_000, 3_334, True)


def test_levels_beyond_the_threshold_are_left_alone() -> None:
    assert figures(liquidity_for(Side.BUY, ASKS, 30 * MICRO, threshold=20_000))[:1] == (20,)
    assert not liquidity_for(Side.BUY, ASKS, 30 * MICRO, threshold=20_000).is_enough
    assert liquidity_for(Side.BUY, ASKS, 30 * MICRO, threshold=19_999).shares == 10 * MICRO
    assert liquidity_for(Side.SELL, BIDS, 30 * MICRO, threshold=10_000).shares == 20 * MICRO


def test_a_thin_or_empty_book_says_what_it_has() -> None:
    assert liquidity_for(Side.BUY, ASKS, 500 * MICRO).shares == 120 * MICRO
    nothing = liquidity_for(Side.SELL, (), MICRO)
    assert (nothing.shares, nothing.average, nothing.slippage, nothing.is_enough) == (0, None, None, False)
    assert liquidity_for(Side.BUY, ((500_000, 0),), MICRO).best is None


def test_no_size_is_no_question() -> None:
    with pytest.raises(ValueError, match="wanted is 0, expected a positive number"):
        liquidity_for(Side.BUY, ASKS, 0)


LEVELS = st.dictionaries(st.integers(1, 99).map(lambda cents: cents * 10_000), st.integers(1, 10**9), max_size=6)


@given(st.sampled_from(list(Side)), LEVELS, st.integers(1, 10**10))
def test_the_average_lies_between_best_and_worst(side: Side, levels: dict[int, int], wanted: int) -> None:
    found = liquidity_for(side, levels.items(), wanted)
    assert found.shares == min(wanted, sum(levels.values()))
    if found.best is not None and found.average is not None and found.worst is not None:
        low, high = sorted((found.best, found.worst))
        assert low <= found.average <= high
        assert found.slippage is not None
        assert found.slippage >= 0
