"""Simulated prices: determinism, realism, the settlement average and the leading spot."""

import math
from collections.abc import Mapping
from itertools import pairwise
from statistics import pstdev

import pytest

from polystra.domain.units import E8, NS_PER_S, PriceE8
from polystra.exchange.assets import ASSETS
from polystra.exchange.prices import HISTORY_S, SPOT_LEAD_NS, CommonFactor, PricePath, SpotStream
from polystra.exchange.series import TickSeries

T0 = 1_793_628_000
BTC = ASSETS["BTC"]


def generated(seed: int, symbol: str = "BTC") -> PricePath:
    return PricePath.generated(ASSETS[symbol], seed=seed, factor=CommonFactor(seed), start_s=T0)


def recorded(ticks: Mapping[int, PriceE8], start_s: int = T0) -> PricePath:
    return PricePath.recorded(
        BTC, TickSeries(sorted(ticks), [ticks[second] for second in sorted(ticks)]), start_s=start_s
    )


def test_same_seed_same_path_and_another_seed_another() -> None:
    first, second, other = generated(7), generated(7), generated(8)
    seconds = range(T0, T0 + 600)
    assert [first.feed(s) for s in seconds] == [second.feed(s) for s in seconds]
    assert [first.held(s) for s in seconds] != [other.held(s) for s in seconds]


@pytest.mark.parametrize("symbol", ["BTC", "SOL"])
def test_generated_volatility_is_realistic(symbol: str) -> None:
    path = generated(3, symbol)
    prices = [path.held(second) for second in range(T0, T0 + 20_000)]
    returns = [b / a - 1 for a, b in pairwise(prices)]
    annual = pstdev(returns) * math.sqrt(365 * 24 * 3_600)
    assert 0.4 * ASSETS[symbol].annual_volatility < annual < 2.5 * ASSETS[symbol].annual_volatility
    kurtosis = sum(r**4 for r in returns) / len(returns) / pstdev(returns) ** 4
    assert kurtosis > 3.3


def test_average_is_the_mean_of_sixty_held_ticks() -> None:
    path = recorded({T0 - 200: 100 * E8, T0 + 30: 160 * E8, T0 + 45: 100 * E8 + 1})
    assert path.average(T0) == 100 * E8
    assert path.average(T0 + 44) == (45 * 100 * E8 + 15 * 160 * E8) // 60
    assert path.average(T0 + 60) == (29 * 100 * E8 + 15 * 160 * E8 + 16 * (100 * E8 + 1) + 30) // 60


def test_average_rounds_half_up() -> None:
    path = recorded({T0 - 100: 10, **{T0 + n: 10 + n % 2 for n in range(60)}})
    assert path.average(T0 + 59) == 11
    path = recorded({T0 - 100: 10, **{T0 + n: 11 for n in range(29)}, **{T0 + n: 10 for n in range(29, 60)}})
    assert path.average(T0 + 59) == 10


def test_holes_are_carried_forward_and_measured() -> None:
    path = recorded({T0 - 5: 5 * E8, T0: 6 * E8, T0 + 20: 8 * E8})
    assert path.feed(T0 + 1) is None
    assert path.held(T0 + 19) == 6 * E8
    assert path.silence_s(T0 + 19) == 19
    assert path.silence_s(T0 + 20) == 0
    assert path.longest_hole_s(T0, T0 + 25) == 19
    assert path.longest_hole_s(T0 + 10, T0 + 12) == 12


def test_the_first_tick_of_a_run_is_carried_back() -> None:
    path = recorded({T0 + 17: 5 * E8, T0 + 18: 7 * E8})
    assert path.held(T0 - 60) == 5 * E8
    assert path.average(T0 + 17) == 5 * E8


def test_spot_leads_the_feed_and_crosses_holes_in_a_line() -> None:
    path = recorded({T0: 100 * E8, T0 + 10: 110 * E8, T0 + 11: 111 * E8, T0 + 12: 112 * E8, T0 + 20: 120 * E8})
    at_ns = (T0 + 10) * NS_PER_S - SPOT_LEAD_NS
    assert path.spot(at_ns) == 110 * E8
    assert path.spot(at_ns + NS_PER_S // 2) == 110 * E8 + E8 // 2
    assert path.spot((T0 + 5) * NS_PER_S - SPOT_LEAD_NS) == 105 * E8


def test_spot_prints_stay_close_and_on_the_grid() -> None:
    path = generated(5)
    stream = SpotStream(path, seed=5)
    for step in range(200):
        at_ns = T0 * NS_PER_S + step * NS_PER_S // 4
        price, size = stream.print_at(at_ns)
        assert price % 1_000_000 == 0
        assert abs(price - path.spot(at_ns)) < path.spot(at_ns) // 10_000
        assert size > 0


def test_memory_is_bounded_and_what_is_forgotten_is_refused() -> None:
    path = generated(1)
    path.average(T0 + 5 * HISTORY_S)
    assert path.held(T0 + 4 * HISTORY_S + 1) > 0
    with pytest.raises(KeyError, match="no longer kept"):
        path.held(T0)
