"""Data from the future is seen: by what was known at a moment, by decisions before a cut, by scores too good."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Callable
from itertools import pairwise
from random import Random

import pytest

from polystra.app.engine_settings import engine_config
from polystra.app.settings import load_settings
from polystra.backtest.comparison import Trial, try_out
from polystra.backtest.forecasts import FAIR_VALUE, MARKET
from polystra.backtest.imports.assemble import assemble, piece_of
from polystra.backtest.imports.lines import ImportReport
from polystra.backtest.imports.windows import told_window
from polystra.backtest.lookahead import compare_cuts, compare_knowledge
from polystra.backtest.recordings.reader import ReadingReport
from polystra.backtest.recordings.rows import Recorded
from polystra.backtest.runs import Unit
from polystra.backtest.scoring import Forecast, brier, difference, mean_score
from polystra.domain.events import BookChanged, BookSnapshot, LevelChange, PriceSource, PriceTicked
from polystra.domain.ids import TokenId
from polystra.domain.orders import Side
from polystra.domain.units import MICRO, NS_PER_S
from polystra.engine.config import EngineConfig
from polystra.matching.paper_venue import PaperRules

START = 1_785_106_200
WINDOWS = 24
Shift = Callable[[list[Recorded]], list[Recorded]]


@pytest.fixture(scope="module")
def config() -> EngineConfig:
    settings = load_settings({}, None, local=True)
    salt = hashlib.sha256(b"test").digest()
    return engine_config(settings, symbols=("BTC",), salt_seed=salt, markets_limit=0)


@pytest.fixture(scope="module")
def honest() -> list[Recorded]:
    """Windows that the last tick decides: until then nobody can know, and two seconds before the close it is told."""
    chance = Random(9)
    windows, inputs = [], []
    for number in range(WINDOWS):
        start = START + 300 * number
        up = chance.random() < 0.5
        window = told_window({}, f"btc-updown-5m-{start}", "Up" if up else "Down", 70_000)
        windows.append(window)
        token, other = window.market.up_token, window.market.down_token
        for second in range(200, 300):
            jump = (50 if up else -50) if second >= 297 else chance.choice((-1, 1))
            price = 60_000 + (0 if second == 200 else jump)
            at_ns = (start + second) * NS_PER_S
            tick = PriceTicked(symbol="BTC", source=PriceSource.SETTLEMENT, price=price * 10**8, at_ns=at_ns)
            inputs.append(Recorded(at_ns + NS_PER_S // 2, tick))
            middle = (950_000 if up else 50_000) if second >= 297 else 500_000 + 10_000 * chance.choice((-1, 1))
            if second % 2:
                inputs += [
                    Recorded(at_ns + 1, quote(token, middle, at_ns)),
                    Recorded(at_ns + 1, quote(other, MICRO - middle, at_ns)),
                ]
        opening = PriceTicked(symbol="BTC", source=PriceSource.SETTLEMENT, price=60_000 * 10**8, at_ns=start * NS_PER_S)
        inputs.append(Recorded(start * NS_PER_S + 1, opening))
    inputs.sort(key=lambda each: each.now_ns)
    return list(assemble(piece_of(inputs, windows=windows, has_prices=True), ImportReport()))


def quote(token: TokenId, middle: int, at_ns: int) -> BookSnapshot:
    bids, asks = ((middle - 10_000, 500 * MICRO),), ((middle + 10_000, 500 * MICRO),)
    return BookSnapshot(token_id=token, bids=bids, asks=asks, at_ns=at_ns)


def by_one_event(inputs: list[Recorded]) -> list[Recorded]:
    """Everything that a stream says is told when what it said before was told."""
    streams: dict[object, list[int]] = defaultdict(list)
    for place, each in enumerate(inputs):
        if isinstance(each.event, PriceTicked):
            streams["prices"].append(place)
        elif isinstance(each.event, BookSnapshot):
            streams[each.event.token_id].append(place)
    moved = list(inputs)
    for places in streams.values():
        for earlier, later in pairwise(places):
            moved[earlier] = Recorded(inputs[earlier].now_ns, inputs[later].event)
    return moved


def by_one_second(inputs: list[Recorded]) -> list[Recorded]:
    moved = [
        Recorded(each.now_ns - NS_PER_S, each.event) if isinstance(each.event, PriceTicked | BookSnapshot) else each
        for each in inputs
    ]
    return sorted(moved, key=lambda each: each.now_ns)


shifted = pytest.mark.parametrize("shift", [by_one_event, by_one_second])


def test_an_honest_run_knows_what_was_told_and_nothing_else(config: EngineConfig, honest: list[Recorded]):
    report = compare_knowledge(honest, honest, config, PaperRules(), (60, 10, 2))
    assert (report.clean, report.moments, report.found) == (True, 3 * WINDOWS, [])


@shifted
def test_what_was_told_only_later_is_seen(config: EngineConfig, honest: list[Recorded], shift: Shift):
    report = compare_knowledge(honest, shift(honest), config, PaperRules(), (60, 10, 2))
    assert not report.clean
    assert report.from_the_future > WINDOWS
    assert "was told only later" in report.found[0]
    assert len(report.found) <= 5


def forecasts(config: EngineConfig, inputs: list[Recorded]) -> list[Forecast]:
    unit = Unit(paths=(), first_ns=0, inputs=0)
    trial = Trial(trader="bayesian", unit=unit, config=config, rules=PaperRules(), seconds_left=(3,))
    return try_out(trial, config, inputs, ReadingReport()).tally.forecasts


@shifted
def test_the_score_becomes_too_good(config: EngineConfig, honest: list[Recorded], shift: Shift):
    """Three seconds before the close nobody can know; whoever was given the next second does."""
    known, told = forecasts(config, shift(honest)), forecasts(config, honest)
    for name in (MARKET, FAIR_VALUE):
        assert mean_score(told, name, brier).mean > 0.2
    assert mean_score(known, FAIR_VALUE, brier).mean < 0.02
    both = [
        Forecast(
            window=a.window,
            block=a.block,
            seconds_left=3,
            probabilities={"shifted": a.probabilities[FAIR_VALUE], "honest": b.probabilities[FAIR_VALUE]},
            up=a.up,
        )
        for a, b in zip(known, told, strict=True)
        if FAIR_VALUE in a.probabilities and FAIR_VALUE in b.probabilities
    ]
    assert len(both) >= WINDOWS - 1
    apart = difference(both, "shifted", "honest", brier)
    assert apart.high < -0.1


def test_decisions_before_a_cut_are_those_of_the_whole(config: EngineConfig, honest: list[Recorded]):
    cuts_ns = [honest[len(honest) * part // 4].now_ns for part in (1, 2, 3)]
    report = compare_cuts(lambda: honest, config, PaperRules(), cuts_ns)
    assert (report.clean, report.cuts) == (True, 3)
    assert report.decisions > 50


def test_a_recording_whose_beginning_depends_on_its_length_is_seen(config: EngineConfig, honest: list[Recorded]):
    """What looks ahead by being read to its end first: the next second's data, where there is a next second."""
    given = iter((by_one_second(honest), honest))
    cut_ns = honest[len(honest) // 2].now_ns
    report = compare_cuts(lambda: next(given), config, PaperRules(), [cut_ns])
    assert not report.clean
    assert "depends on what comes later" in report.found[0]


def test_changes_of_levels_are_read_as_the_engine_reads_them(config: EngineConfig, honest: list[Recorded]):
    first = next(each.event for each in honest if isinstance(each.event, BookSnapshot))
    told: list[Recorded] = []
    for each in honest:
        told.append(each)
        if isinstance(each.event, BookSnapshot) and each.event.token_id == first.token_id:
            bid, ask = each.event.bids[0][0], each.event.asks[0][0]
            change = LevelChange(first.token_id, Side.BUY, bid + 5_000, 7 * MICRO, bid + 5_000, ask)
            told.append(Recorded(each.now_ns + 1, BookChanged(changes=(change,), at_ns=each.event.at_ns)))
    report = compare_knowledge(told, told, config, PaperRules(), (60, 10))
    assert report.clean
    assert report.moments >= 2
