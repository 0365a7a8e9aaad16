"""A look knows what was taken before its moment, and nothing else."""

from __future__ import annotations

from dataclasses import replace

import pytest

from polystra.backtest.calibration.looks import Look, LookSampler
from polystra.backtest.recordings.rows import Recorded
from polystra.domain.events import BookSnapshot, MarketResolved, PriceTicked
from polystra.domain.units import MICRO, NS_PER_S
from polystra.engine.config import EngineConfig
from polystra.engine.strategy.config import StrategyConfig

from .made_recording import FIRST_S, market, recording

CONFIG = EngineConfig(symbols=("BTC",), windows_s=(300,), strategy=StrategyConfig())


@pytest.fixture(scope="module")
def inputs() -> list[Recorded]:
    return recording()


def looks(inputs: list[Recorded]) -> list[Look]:
    return LookSampler(CONFIG).run(inputs)


def test_every_window_is_looked_at_with_price_book_and_outcome(inputs: list[Recorded]):
    found = looks(inputs)
    assert {look.window for look in found} == {f"btc-updown-5m-{FIRST_S}", f"btc-updown-5m-{FIRST_S + 300}"}
    first = [look for look in found if look.block == FIRST_S + 300]
    assert [look.seconds_left for look in first] == [270, 240, 210, 180, 150, 120, 90, 75, 60, 45, 30, 20, 10]
    for look in found:
        assert look.prior is not None
        assert look.deviations is not None
        assert all(reading.value is not None for reading in look.readings)
    verdicts = {
        each.event.condition_id: each.event.up_payout for each in inputs if isinstance(each.event, MarketResolved)
    }
    assert [look.up for look in first] == [verdicts[market(0).condition_id] == MICRO] * len(first)


def after(inputs: list[Recorded], cut_ns: int) -> list[Recorded]:
    """Everything that is told at the cut or later says something else; verdicts stay."""
    changed: list[Recorded] = []
    for each in inputs:
        event = each.event
        if each.now_ns >= cut_ns and isinstance(event, PriceTicked):
            event = replace(event, price=event.price * 2)
        elif each.now_ns >= cut_ns and isinstance(event, BookSnapshot):
            event = replace(event, bids=((10_000, MICRO),), asks=((990_000, MICRO),))
        changed.append(Recorded(each.now_ns, event))
    return changed


@pytest.mark.parametrize("left_s", [270, 120, 30, 10])
def test_what_comes_at_its_moment_or_later_changes_no_look(inputs: list[Recorded], left_s: int):
    cut_ns = (FIRST_S + 300 - left_s) * NS_PER_S
    whole, changed = looks(inputs), looks(after(inputs, cut_ns))

    def until(found: list[Look]) -> list[Look]:
        return [look for look in found if (look.block - look.seconds_left) * NS_PER_S <= cut_ns]

    assert until(whole)
    assert until(changed) == until(whole)
    assert changed != whole


@pytest.mark.parametrize("kind", [PriceTicked, BookSnapshot])
def test_data_that_come_one_event_early_are_noticed(inputs: list[Recorded], kind: type):
    """A look-ahead of one event changes nearly every look: the comparison above can fail."""
    places = [place for place, each in enumerate(inputs) if isinstance(each.event, kind)]
    shift = 1 if kind is PriceTicked else 2
    shifted = list(inputs)
    for place, later in zip(places, places[shift:], strict=False):
        shifted[place] = Recorded(inputs[place].now_ns, inputs[later].event)
    pairs = zip(looks(inputs), looks(shifted), strict=True)
    differing = sum(one != other for one, other in pairs)
    assert differing > 20


def test_the_verdict_moves_the_outcome_and_nothing_that_was_seen(inputs: list[Recorded]):
    turned = [
        Recorded(each.now_ns, replace(each.event, up_payout=MICRO - each.event.up_payout))
        if isinstance(each.event, MarketResolved)
        else each
        for each in inputs
    ]
    for one, other in zip(looks(inputs), looks(turned), strict=True):
        assert replace(one, up=not one.up) == other


def test_a_silent_feed_or_book_is_not_an_opinion(inputs: list[Recorded]):
    cut_ns = (FIRST_S + 300 - 100) * NS_PER_S

    def silent(kind: type) -> list[Look]:
        kept = [each for each in inputs if not (isinstance(each.event, kind) and each.now_ns >= cut_ns)]
        return [look for look in looks(kept) if look.block == FIRST_S + 300 and look.seconds_left <= 90]

    assert all(look.deviations is None for look in silent(PriceTicked))
    assert all(look.prior is None for look in silent(BookSnapshot))
    assert silent(PriceTicked)
    assert silent(BookSnapshot)


def test_a_window_without_a_verdict_gives_no_look(inputs: list[Recorded]):
    assert looks([each for each in inputs if not isinstance(each.event, MarketResolved)]) == []
