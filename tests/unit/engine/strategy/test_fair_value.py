import math
from random import Random

import pytest

from polystra.domain.market import ResolutionKind, ResolutionRule
from polystra.engine.strategy.fair_value import checked_lookback, normal_cdf, probability_up
from polystra.engine.strategy.prices import RunningAverage

RULE = ResolutionRule(ResolutionKind.AVERAGE, 60)
SIGMA = 45 / math.sqrt(60)  # 45 dollars per square root of a minute
D = 300


def p_up(now: float, price: float, *, k: float | None = 0.0, average: RunningAverage | None = None, **more):
    return probability_up(
        RULE,
        now_s=now,
        opens_at_s=0,
        closes_at_s=D,
        price=price,
        sigma=more.pop("sigma", SIGMA),
        price_to_beat=k,
        closing_average=average,
        **more,
    )


def test_worked_examples():
    assert p_up(D - 60, 30.0) == pytest.approx(0.876, abs=5e-4)
    assert p_up(D - 20, 30.0, average=RunningAverage(40, 40, 30.0)) == pytest.approx(1.000, abs=5e-4)


def test_the_average_so_far_can_outvote_the_last_price():
    assert p_up(D - 10, 30.0, average=RunningAverage(50, 50, -30.0)) == pytest.approx(0.0, abs=1e-3)


@pytest.mark.parametrize(("scale", "expected"), [(4 / 3, 0.81), (2 / 3, 0.96)])
def test_the_width_of_volatility_matters(scale, expected):
    assert p_up(D - 60, 30.0, sigma=SIGMA * scale) == pytest.approx(expected, abs=0.006)


def test_both_forms_meet_where_averaging_starts():
    before = p_up(D - 60, 20.0)
    inside = p_up(D - 60, 20.0, average=RunningAverage(0, 0, 0.0))
    barely = p_up(D - 59, 20.0, average=RunningAverage(1, 1, 20.0))
    assert before == inside
    assert barely == pytest.approx(before, abs=0.01)


def test_ties_go_up():
    done = RunningAverage(60, 60, 100.0)
    assert p_up(D, 50.0, k=100.0, average=done) == 1.0
    assert p_up(D, 500.0, k=100.0 + 1e-8, average=done) == 0.0
    assert p_up(10, 100.0, k=100.0, sigma=0.0) == 1.0


def test_after_the_end_a_silent_feed_does_not_break():
    assert p_up(D + 30, 1.0) == pytest.approx(normal_cdf(1.0 / (SIGMA * math.sqrt(20))))


def test_an_unknown_price_to_beat_after_the_open_gives_nothing():
    assert p_up(0.0, 100.0, k=None) is None
    assert p_up(50.0, 100.0, k=None) is None


def test_long_before_the_open_it_is_even():
    assert p_up(-120.0, 100.0, k=None) == 0.5
    assert p_up(-60.0, 100.0, k=None, opening_average=RunningAverage(0, 0, 0.0)) == 0.5


def test_inside_the_opening_average_the_move_is_known():
    up = p_up(-20.0, 30.0, k=None, opening_average=RunningAverage(40, 40, 0.0))
    down = p_up(-20.0, -30.0, k=None, opening_average=RunningAverage(40, 40, 0.0))
    assert up > 0.5
    assert up + down == pytest.approx(1.0)
    last = p_up(-1e-9, 30.0, k=None, opening_average=RunningAverage(60, 60, 0.0))
    assert last == pytest.approx(p_up(0.0, 30.0), abs=1e-9)


def test_the_open_itself_is_not_even():
    """The sd of P(Up) at the open, over the spread of S - K, is known to be about 0.105 for five minutes."""
    rng = Random(5)
    sd = SIGMA * math.sqrt(60 / 3)
    values = [p_up(0.0, rng.gauss(0.0, sd)) for _ in range(4000)]
    mean = sum(values) / len(values)
    assert mean == pytest.approx(0.5, abs=0.01)
    assert math.sqrt(sum((v - mean) ** 2 for v in values) / len(values)) == pytest.approx(0.105, abs=0.012)


def simulate(rng: Random, *, opens: int, start: int, steps: int, price: float, known: float, elapsed: int, k):
    """One path in half-second steps; returns whether the closing average reaches the opening one."""
    dt = 0.5
    opening = closing = 0.0
    s = price
    for n in range(steps):
        s += rng.gauss(0.0, SIGMA * math.sqrt(dt))
        t = start + (n + 1) * dt
        if opens - 60 < t <= opens:
            opening += s * dt
        if opens + D - 60 < t <= opens + D:
            closing += s * dt
    if k is None:
        k = (elapsed * known + opening) / 60
        return closing / 60 >= k
    return (elapsed * known + closing) / 60 >= k


@pytest.mark.parametrize(
    ("start", "price", "known", "elapsed", "k"),
    [
        (D - 100, 25.0, 0.0, 0, 0.0),
        (D - 30, 10.0, -3.0, 30, 0.0),
        (-30, 15.0, 0.0, 30, None),
    ],
)
def test_monte_carlo_agrees(start, price, known, elapsed, k):
    rng = Random(11)
    paths = 1500
    steps = 2 * (D - start)
    hits = sum(
        simulate(rng, opens=0, start=start, steps=steps, price=price, known=known, elapsed=elapsed, k=k)
        for _ in range(paths)
    )
    running = RunningAverage(elapsed, elapsed, known)
    formula = p_up(
        start,
        price,
        k=k,
        average=running if k is not None else None,
        opening_average=running if k is None else None,
    )
    assert hits / paths == pytest.approx(formula, abs=3.5 * math.sqrt(0.25 / paths))


def weight_of(moment: float, end: float) -> float:
    """How much of the average over the minute before `end` a shock at `moment` moves."""
    return min(1.0, max(0.0, (end - moment) / 60))


@pytest.mark.parametrize("start", [-90.0, -60.0, -45.0, -30.0, -1.0, 0.0, 100.0, 240.0, 270.0, 295.0])
def test_the_variance_is_the_integral_of_the_squared_weights(start):
    """A shock moves the closing average, and before the open the price to beat as well."""
    dt = 0.01
    moments = [start + (n + 0.5) * dt for n in range(round((D - start) / dt))]
    variance = sum((weight_of(m, D) - weight_of(m, 0.0)) ** 2 for m in moments) * dt
    before_open = start < 0.0
    elapsed = round(max(0.0, min(60.0, start + 60.0 - (0.0 if before_open else D))))
    running = RunningAverage(elapsed, elapsed, 0.0)
    formula = p_up(
        start,
        20.0,
        k=None if before_open else 0.0,
        average=None if before_open else running,
        opening_average=running if before_open else None,
    )
    moved = elapsed / 60 * 20.0 if before_open else (60 - elapsed) / 60 * 20.0
    assert formula == pytest.approx(normal_cdf(moved / (SIGMA * math.sqrt(variance))), abs=2e-5)


def test_the_last_price_settles_older_markets():
    last = ResolutionRule(ResolutionKind.LAST, 0)
    per_root_second = 45 / 60**0.5

    def at(now: float, price: float, k: float | None = 0.0) -> float | None:
        return probability_up(
            last, now_s=now, opens_at_s=0, closes_at_s=300, price=price, sigma=per_root_second, price_to_beat=k
        )

    assert at(240, 30.0) == pytest.approx(0.748, abs=0.001)
    assert at(280, 30.0) == pytest.approx(0.876, abs=0.001)
    assert (at(300, 0.0), at(300, -0.01)) == (1.0, 0.0)
    assert at(-20, 12.0, None) == 0.5
    assert at(10, 12.0, None) is None


def test_a_rule_without_formula_is_refused():
    with pytest.raises(ValueError, match="no fair value formula"):
        checked_lookback(ResolutionRule("CANDLE", 60))  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="look-back of 0 s"):
        checked_lookback(ResolutionRule(ResolutionKind.AVERAGE, 0))
    with pytest.raises(ValueError, match="shorter than its look-back"):
        probability_up(RULE, now_s=0, opens_at_s=0, closes_at_s=59, price=1.0, sigma=1.0, price_to_beat=1.0)


@pytest.mark.parametrize(("z", "p"), [(0.0, 0.5), (1.959964, 0.975), (-1.959964, 0.025), (40.0, 1.0), (-40.0, 0.0)])
def test_normal_cdf(z, p):
    assert normal_cdf(z) == pytest.approx(p, abs=1e-6)
