"""The gates of a decision as the screen tells them agree with what the strategy judged."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from polystra.app.decision_gates import gates_of
from polystra.domain.book import OrderBook
from polystra.domain.facts import DecisionRecorded
from polystra.domain.units import MICRO, NS_PER_S
from polystra.engine.strategy.config import StrategyConfig
from polystra.engine.strategy.evaluate import evaluate
from polystra.engine.strategy.signal import unread
from tests.unit.engine.strategy.scene import CLOSES, FITTED, MARKET, OPENS, book, view

CONFIG = StrategyConfig(calibration=FITTED)


def decided(changes: dict[str, Any], config: StrategyConfig = CONFIG) -> DecisionRecorded:
    judged = evaluate(view(**changes), config)
    return DecisionRecorded(
        decision_id=1,
        condition_id=MARKET.condition_id,
        symbol="BTC",
        at_ns=0,
        action=judged.action.value,
        reason=judged.reason,
        outcome=judged.outcome,
        fair_value_up=judged.fair_value_up,
        market_prior_p_up=judged.fused.market_prior_p_up,
        additive_bias=judged.fused.additive_bias,
        additive_confidence=judged.fused.additive_confidence,
        bayesian_bias=judged.fused.bayesian_bias,
        bayesian_confidence=judged.fused.bayesian_confidence,
        p_up=judged.fused.p_up,
        edge=judged.edge,
        price=judged.price,
        quantity=judged.quantity,
        inputs=judged.inputs_json(),
    )


def test_an_entry_passed_every_gate_and_shows_its_figures():
    gates = {gate.name: gate for gate in gates_of(decided({}), CONFIG)}
    assert all(gate.ok for gate in gates.values())
    assert gates["edge after fees"].limit == "at least 3.0 %"
    assert gates["time to the end of the window"].limit == "more than 20 s"
    assert gates["size by capital and limits"].value.endswith(" shares")


@pytest.mark.parametrize(
    ("changes", "name"),
    [
        ({"market": replace(MARKET, accepting_orders=False)}, "market is open and takes orders"),
        ({"now_ns": (OPENS - 1) * NS_PER_S}, "market is open and takes orders"),
        ({"now_ns": (CLOSES - 20) * NS_PER_S}, "time to the end of the window"),
        ({"price": None, "price_age_s": None}, "age of the settlement price"),
        ({"price_age_s": 5.1}, "age of the settlement price"),
        ({"price_to_beat": None, "fair_value_up": None}, "price to beat"),
        ({"sigma": None, "fair_value_up": None}, "volatility"),
        ({"up_book": OrderBook(), "down_book": OrderBook()}, "both books in order"),
        ({"up_book": book(51, 50)}, "both books in order"),
        ({"fair_value_confidence": 0.5, "momentum": unread("momentum", "no data")}, "confidence"),
        ({"fair_value_up": 0.51}, "edge after fees"),
        ({"up_book": book(44, 50)}, "spread of the book"),
        ({"bankroll": 20 * MICRO}, "size by capital and limits"),
        ({"up_book": book(49, 50, size=4 * MICRO)}, "offered in the book"),
    ],
)
def test_the_gate_that_the_strategy_names_is_the_first_that_failed(changes: dict[str, Any], name: str):
    gates = gates_of(decided(changes), CONFIG)
    first = next(gate for gate in gates if gate.ok is not True)
    assert first.name == name
    assert first.ok is False


def test_what_stands_against_an_entry_beside_the_market_is_the_last_gate():
    told = decided({})
    blocked = gates_of(replace(told, action="SKIP", reason="edge; a position is open"), CONFIG)
    assert [(gate.name, gate.value) for gate in blocked if gate.ok is not True] == [
        ("limits, switches, what is held", "a position is open")
    ]
    both = gates_of(replace(decided({"price_age_s": 5.1}), reason="settlement price is stale; paused"), CONFIG)
    assert next(gate.name for gate in both if gate.ok is False) == "age of the settlement price"
    assert both[-1].value == "paused"


def test_gates_that_were_not_reached_are_judged_by_stored_figures_alone():
    gates = {gate.name: gate for gate in gates_of(decided({"price_age_s": 6.0, "up_book": book(44, 50)}), CONFIG)}
    assert gates["age of the settlement price"].value == "6.0 s"
    assert gates["spread of the book"].ok is False
    assert gates["offered in the book"].ok is None


def test_the_limits_that_a_decision_stored_are_those_that_are_shown():
    told = decided({"fair_value_confidence": 0.5, "momentum": unread("momentum", "no data")})
    stored = replace(told, inputs='{"confidence":{"score":0.5,"needed":0.7}}')
    gate = {gate.name: gate for gate in gates_of(stored, CONFIG)}["confidence"]
    assert (gate.value, gate.limit, gate.ok) == ("0.50", "at least 0.70", False)


@pytest.mark.parametrize("inputs", ["", "[]", "{not json", '{"seconds_left":"x","best_edge":true}'])
def test_inputs_that_cannot_be_read_leave_figures_unknown(inputs: str):
    gates = gates_of(replace(decided({"fair_value_up": 0.51}), inputs=inputs), CONFIG)
    assert {gate.name: gate.value for gate in gates}["edge after fees"] == ""
    assert [gate.name for gate in gates if gate.ok is False] == ["edge after fees"]
