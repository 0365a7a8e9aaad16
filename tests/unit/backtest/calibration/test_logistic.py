import math
from random import Random

import pytest

from polystra.backtest.calibration.logistic import Row, fit_logistic, solve
from polystra.engine.strategy.signal import logistic


def drawn(count: int, beta: tuple[float, ...], seed: int = 1) -> list[Row]:
    chance = Random(seed)
    rows = []
    for _ in range(count):
        x = [chance.gauss(0.0, 1.0) for _ in beta]
        offset = chance.gauss(0.0, 1.0)
        p = logistic(offset + sum(a * b for a, b in zip(x, beta, strict=True)))
        rows.append(Row(x, offset, chance.random() < p))
    return rows


def test_it_finds_the_coefficients_that_made_the_outcomes():
    fit = fit_logistic(drawn(4_000, (0.5, -0.2)), 2, l2=1e-6)
    assert fit.beta == pytest.approx((0.5, -0.2), abs=0.12)
    for place, true in enumerate((0.5, -0.2)):
        assert abs(fit.beta[place] - true) < 3 * fit.standard_error(place)


def test_one_column_agrees_with_a_solution_by_hand():
    """x = 1, offset 0, three of four Up: the maximum of the likelihood is ln 3."""
    rows = [Row((1.0,), 0.0, up) for up in (True, True, True, False)]
    fit = fit_logistic(rows, 1, l2=1e-9)
    assert fit.beta[0] == pytest.approx(math.log(3.0), abs=1e-6)
    assert fit.covariance[0][0] == pytest.approx(1.0 / (4 * 0.75 * 0.25), rel=1e-4)


def test_the_gradient_of_the_penalised_likelihood_is_zero_at_the_solution():
    rows, l2 = drawn(300, (0.8, 0.1, -0.4)), 7.0
    fit = fit_logistic(rows, 3, l2=l2)
    for place in range(3):
        slope = -l2 * fit.beta[place]
        for row in rows:
            p = logistic(row.offset + sum(a * b for a, b in zip(row.x, fit.beta, strict=True)))
            slope += row.x[place] * ((1.0 if row.up else 0.0) - p)
        assert slope == pytest.approx(0.0, abs=1e-8)


def test_a_larger_penalty_shrinks_and_nothing_seen_gives_nothing():
    rows = drawn(200, (1.0,))
    sizes = [abs(fit_logistic(rows, 1, l2=l2).beta[0]) for l2 in (0.1, 10.0, 1000.0)]
    assert sizes[0] > sizes[1] > sizes[2]
    empty = fit_logistic([], 2, l2=4.0)
    assert empty.beta == (0.0, 0.0)
    assert empty.covariance[0][0] == pytest.approx(0.25)


def test_outcomes_that_a_column_separates_stay_finite():
    rows = [Row((x,), 0.0, x > 0) for x in (-3.0, -2.0, -1.0, 1.0, 2.0, 3.0)]
    assert 0.0 < fit_logistic(rows, 1, l2=0.01).beta[0] < 10.0


def test_turning_up_and_down_around_turns_nothing_else():
    rows = drawn(500, (0.6, -0.3))
    turned = [Row([-x for x in row.x], -row.offset, not row.up) for row in rows]
    assert fit_logistic(turned, 2, l2=1.0).beta == pytest.approx(fit_logistic(rows, 2, l2=1.0).beta)


def test_a_weight_is_that_many_observations():
    twice = [Row((1.0,), 0.3, True), Row((1.0,), 0.3, True), Row((-1.0,), 0.1, True)]
    weighted = [Row((1.0,), 0.3, True, 2.0), Row((-1.0,), 0.1, True)]
    assert fit_logistic(weighted, 1, l2=1.0).beta == pytest.approx(fit_logistic(twice, 1, l2=1.0).beta)


def test_what_cannot_be_fitted_is_refused():
    with pytest.raises(ValueError, match="penalty"):
        fit_logistic([], 1, l2=0.0)
    with pytest.raises(ValueError, match="features"):
        fit_logistic([Row((math.nan,), 0.0, True)], 1, l2=1.0)
    with pytest.raises(ValueError, match="features"):
        fit_logistic([Row((1.0, 2.0), 0.0, True)], 1, l2=1.0)


def test_equations_are_solved():
    assert solve([[0.0, 2.0], [4.0, 1.0]], [2.0, 9.0]) == pytest.approx([2.0, 1.0])
