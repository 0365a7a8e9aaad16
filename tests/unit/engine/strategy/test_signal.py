import pytest

from polystra.engine.strategy.signal import Signal, bias_of, clamp, clamp_probability, logistic, logit, missing


def test_a_missing_signal_carries_nothing():
    assert missing("x") == Signal("x", 0.0, 0.0, None)
    assert missing("x").is_missing
    assert not Signal("x", 0.0, 1.0, 0.0).is_missing


def test_clamp_moves_only_what_is_outside():
    assert [clamp(v, -1.0, 1.0) for v in (-2.0, -1.0, 0.3, 2.0)] == [-1.0, -1.0, 0.3, 1.0]
    assert clamp_probability(0.0) == 0.005
    assert clamp_probability(1.0) == 0.995


@pytest.mark.parametrize("p", [0.005, 0.1, 0.5, 0.731, 0.995])
def test_logistic_undoes_logit(p):
    assert logistic(logit(p)) == pytest.approx(p, abs=1e-12)


def test_extremes_do_not_overflow():
    assert logit(0.0) == logit(0.005)
    assert logistic(1e6) == 1.0
    assert logistic(-1e6) == 0.0
    assert bias_of(0.0) == 0.0
    assert bias_of(50.0) == pytest.approx(1.0)
