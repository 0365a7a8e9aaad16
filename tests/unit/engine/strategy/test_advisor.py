"""A user's own strategy decides; what it says is checked, and its failure costs entries alone."""

from __future__ import annotations

import json

import pytest

from polystra.domain.market import Outcome
from polystra.engine.strategy.advisor import AdvisorFailed, Opinion
from polystra.engine.strategy.config import StrategyConfig
from polystra.engine.strategy.evaluate import Action, SkipReason, evaluate

from .scene import FITTED, view

CONFIG = StrategyConfig(calibration=FITTED)


class Speechless(Exception):
    def __str__(self):
        raise ValueError


class Says:
    def __init__(self, answer):
        self.answer = answer
        self.asked = 0

    def decide(self, view, fused, signals):
        self.asked += 1
        if isinstance(self.answer, BaseException):
            raise self.answer
        return self.answer


def test_its_opinion_decides_and_both_fusions_are_stored_beside_it():
    plain = evaluate(view(), CONFIG)
    decision = evaluate(view(), CONFIG, Says(Opinion(0.2, 0.9, "because")))
    assert (plain.outcome, decision.outcome) == (Outcome.UP, Outcome.DOWN)
    assert decision.action is Action.ENTER
    assert decision.fused.p_up == 0.2
    assert decision.fused.bayesian_bias == plain.fused.bayesian_bias
    assert decision.fused.additive_bias == plain.fused.additive_bias
    told = json.loads(decision.inputs_json())
    assert told["strategy"] == {"p_up": 0.2, "confidence": 0.9, "reason": "because"}
    assert "strategy" not in json.loads(plain.inputs_json())


def test_the_gates_stay_ours():
    assert evaluate(view(), CONFIG, Says(Opinion(0.9, 0.1))).reason == SkipReason.CONFIDENCE
    assert evaluate(view(), CONFIG, Says(Opinion(0.5, 1.0))).reason == SkipReason.EDGE
    strategy = Says(Opinion(0.99, 1.0))
    assert evaluate(view(price_age_s=99.0), CONFIG, strategy).reason == SkipReason.STALE_PRICE
    assert strategy.asked == 0


def test_no_opinion_is_no_entry():
    decision = evaluate(view(), CONFIG, Says(None))
    assert (decision.action, decision.reason) == (Action.SKIP, SkipReason.NO_OPINION)


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (RuntimeError("boom"), "RuntimeError: boom"),
        (RuntimeError("two\nlines, \x00 and half a \ud800"), "RuntimeError: two lines,   and half a  "),
        (SystemExit(3), "SystemExit: 3"),
        (Speechless(), "Speechless: its text cannot be read"),
        (RecursionError("deep"), "RecursionError"),
        (0.7, "decide returned float"),
        (Opinion(1.2, 0.5), "p_up is 1.2"),
        (Opinion(float("nan"), 0.5), "p_up is nan"),
        (Opinion("0.5", 0.5), "p_up is 0.5"),  # type: ignore[arg-type]
        (Opinion(True, 0.5), "p_up is True"),
        (Opinion(0.5, float("inf")), "confidence is inf"),
        (Opinion(0.5, 0.5, None), "reason is a NoneType"),  # type: ignore[arg-type]
    ],
)
def test_what_is_no_answer_is_a_failure_in_one_sentence(answer, words):
    with pytest.raises(AdvisorFailed, match=words):
        evaluate(view(), CONFIG, Says(answer))
