import math
from random import Random

import pytest

from polystra.domain.units import E8
from polystra.engine.strategy.volatility import RealisedVolatility, VolatilityRules, rules_for

OPEN = VolatilityRules(floor=0.0, cap=1.0)


def walk(volatility: RealisedVolatility, sigma: float, seconds: int, seed: int = 1, jump_at: int = -1) -> None:
    rng = Random(seed)
    log_price = math.log(60_000 * E8)
    for second in range(seconds):
        log_price += rng.gauss(0.0, sigma) + (0.01 if second == jump_at else 0.0)
        volatility.observe(second, round(math.exp(log_price)))


def test_a_random_walk_gives_back_its_volatility():
    estimates: list[float] = []
    for seed in range(8):
        volatility = RealisedVolatility(OPEN)
        walk(volatility, 5e-5, 1500, seed)
        estimates.append(volatility.sigma or 0.0)
    assert sum(estimates) / len(estimates) == pytest.approx(5e-5, rel=0.10)


def test_nothing_is_said_before_45_returns():
    volatility = RealisedVolatility(OPEN)
    for second in range(74):
        volatility.observe(second, 100 * E8 + second)
    assert volatility.samples == 44
    assert volatility.sigma is None
    volatility.observe(74, 100 * E8)
    assert volatility.sigma is not None


def test_one_jump_does_not_dominate():
    plain, jumped = RealisedVolatility(OPEN), RealisedVolatility(OPEN)
    walk(plain, 5e-5, 1_400)
    walk(jumped, 5e-5, 1_400, jump_at=1_200)
    assert plain.sigma is not None
    assert jumped.sigma is not None
    raw = 0.01 / math.sqrt(750)  # what plain realised variance would make of the jump alone
    assert jumped.sigma < 0.6 * raw
    assert jumped.sigma < 5 * plain.sigma


def test_floor_and_cap_hold():
    quiet, wild = (RealisedVolatility(VolatilityRules(floor=2e-5, cap=1e-3)) for _ in range(2))
    for second in range(200):
        quiet.observe(second, 100 * E8)
        wild.observe(second, (100 + 50 * (second // 15 % 2)) * E8)
    assert quiet.sigma == 2e-5
    assert wild.sigma == 1e-3


def test_a_hole_in_the_feed_gives_no_return():
    volatility = RealisedVolatility(OPEN)
    for second in [*range(31), *range(40, 70)]:
        volatility.observe(second, 100 * E8)
    assert volatility.samples == 1
    volatility.observe(70, 100 * E8)
    assert volatility.samples == 2


def test_the_past_and_nonsense_are_ignored():
    volatility = RealisedVolatility(OPEN)
    for second in range(31):
        volatility.observe(second, 100 * E8)
    volatility.observe(5, 1)
    volatility.observe(30, 1)
    volatility.observe(31, 0)
    assert volatility.samples == 1


def test_memory_of_old_returns_fades_with_the_half_life():
    volatility = RealisedVolatility(VolatilityRules(floor=0.0, cap=1.0, half_lives_s=(10.0,)))
    rng = Random(2)
    price = 1e10
    for second in range(800):
        price *= math.exp(rng.gauss(0.0, 1e-3 if second < 400 else 1e-5))
        volatility.observe(second, round(price))
    assert volatility.sigma is not None
    assert volatility.sigma < 3e-5


def test_of_several_horizons_the_larger_estimate_counts():
    """Calm after a wild hour: the long memory still widens; wild after calm: the short one does."""
    for before, after in ((2e-4, 2e-5), (2e-5, 2e-4)):
        one, other, both = (
            RealisedVolatility(VolatilityRules(floor=0.0, cap=1.0, half_lives_s=lives))
            for lives in ((60.0,), (1800.0,), (60.0, 1800.0))
        )
        rng = Random(5)
        log_price = math.log(60_000 * E8)
        for second in range(2_400):
            log_price += rng.gauss(0.0, before if second < 2_000 else after)
            for volatility in (one, other, both):
                volatility.observe(second, round(math.exp(log_price)))
        assert both.sigma == max(one.sigma or 0.0, other.sigma or 0.0)
        assert one.sigma is not None
        assert other.sigma is not None
        assert (one.sigma < other.sigma) is (before > after)


def test_every_symbol_has_rules():
    assert rules_for("BTC").floor == 20e-6
    assert rules_for("DOGE") == VolatilityRules()
