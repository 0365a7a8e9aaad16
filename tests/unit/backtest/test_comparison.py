"""Traders and forecasters beside each other: who trades how, paired figures, and honest words."""

from __future__ import annotations

import hashlib
from random import Random

import pytest

from polystra.app.engine_settings import engine_config
from polystra.app.settings import load_settings
from polystra.backtest.comparison import (
    Comparison,
    Outcomes,
    Trial,
    _made,
    apart_words,
    config_of,
    put_together,
    try_out,
)
from polystra.backtest.forecasts import ADDITIVE, BAYESIAN, COIN, DIGITAL, FAIR_VALUE, MARKET
from polystra.backtest.imports.assemble import assemble, piece_of
from polystra.backtest.imports.lines import ImportReport
from polystra.backtest.imports.windows import told_window
from polystra.backtest.recordings.reader import ReadingReport
from polystra.backtest.recordings.rows import Recorded
from polystra.backtest.runs import Unit
from polystra.backtest.scoring import Forecast, Interval
from polystra.domain.events import BookSnapshot, PriceSource, PriceTicked
from polystra.domain.units import MICRO, NS_PER_S
from polystra.engine.config import EngineConfig
from polystra.engine.strategy.fusion import Fusion
from polystra.matching.paper_venue import PaperRules

START = 1_785_106_200
WINDOWS = 4
UNIT = Unit(paths=(), first_ns=0, inputs=0)


@pytest.fixture(scope="module")
def config() -> EngineConfig:
    settings = load_settings({}, None, local=True)
    salt = hashlib.sha256(b"test").digest()
    return engine_config(settings, symbols=("BTC",), salt_seed=salt, markets_limit=0)


def recorded(*, books: bool = True, feed: bool = True) -> list[Recorded]:
    """Four windows of a price that wanders, and books whose middle follows it."""
    chance = Random(4)
    price = 60_000.0
    windows, inputs = [], []
    for number in range(WINDOWS):
        start = START + 300 * number
        opening = price
        quotes: list[tuple[int, float]] = []
        for second in range(start, start + 300):
            price *= 1 + chance.gauss(0, 4e-5)
            tick = PriceTicked(
                symbol="BTC", source=PriceSource.SETTLEMENT, price=round(price * 10**8), at_ns=second * NS_PER_S
            )
            if feed:
                inputs.append(Recorded((second + 1) * NS_PER_S, tick))
            quotes.append((second, min(0.94, max(0.06, 0.5 + (price / opening - 1) * 400))))
        window = told_window({}, f"btc-updown-5m-{start}", "Up" if price >= opening else "Down", 70_000)
        windows.append(window)
        if books:
            for second, middle in quotes[::5]:
                up = round(middle * 100) * 10_000
                for token, mid in ((window.market.up_token, up), (window.market.down_token, MICRO - up)):
                    book = BookSnapshot(
                        token_id=token,
                        bids=((mid - 10_000, 500 * MICRO),),
                        asks=((mid + 10_000, 500 * MICRO),),
                        at_ns=second * NS_PER_S,
                    )
                    inputs.append(Recorded(second * NS_PER_S + NS_PER_S // 2, book))
    inputs.sort(key=lambda each: each.now_ns)
    return list(assemble(piece_of(inputs, windows=windows, has_prices=feed), ImportReport()))


def run(config: EngineConfig, trader: str, inputs: list[Recorded]) -> Outcomes:
    trial = Trial(trader=trader, unit=UNIT, config=config, rules=PaperRules())
    return try_out(trial, config_of(trader, config), inputs, ReadingReport())


def compared(config: EngineConfig, inputs: list[Recorded]) -> Comparison:
    return Comparison(outcomes={trader: run(config, trader, inputs) for trader in (ADDITIVE, BAYESIAN, MARKET)})


@pytest.fixture(scope="module")
def whole(config: EngineConfig) -> Comparison:
    return compared(config, recorded())


def test_each_trader_is_the_engine_with_its_own_opinion(config: EngineConfig):
    assert config_of(ADDITIVE, config).strategy.fusion is Fusion.ADDITIVE
    assert config_of(BAYESIAN, config).strategy.fusion is Fusion.BAYESIAN
    assert config_of(BAYESIAN, config).risk == config_of(MARKET, config).risk == config.risk


def test_who_trades_does_not_change_what_is_forecast(whole: Comparison):
    told = [outcome.tally.forecasts for outcome in whole.outcomes.values()]
    assert told[0] == told[1] == told[2] != []
    assert whole.windows == whole.independent == WINDOWS
    assert whole.forecasters == [MARKET, ADDITIVE, BAYESIAN, FAIR_VALUE, DIGITAL, COIN]
    assert whole.reference == MARKET


def test_scores_are_paired_and_few_windows_tell_nothing(whole: Comparison):
    by_name = {score.name: score for score in whole.scores()}
    assert by_name[MARKET].brier_less is None
    assert by_name[COIN].brier.mean == 0.25
    for name in (ADDITIVE, BAYESIAN, FAIR_VALUE):
        assert by_name[name].brier_less is not None
        assert by_name[name].words == f"too few windows to tell {name} from market"
    fusions = whole.fusions()
    assert fusions is not None
    assert fusions[2] == "too few windows to tell bayesian from additive"
    moments = whole.by_seconds_left()
    assert [left_s for left_s, _, _ in moments] == [240, 180, 120, 60, 30, 10]
    assert moments[0][2][COIN] == 0.25


def test_the_market_s_price_alone_buys_its_favourite_once_a_window(whole: Comparison):
    follower = whole.outcomes[MARKET].tally
    assert all(each.orders >= 1 for each in follower.settled)
    assert not any(reason == "edge" for reason in follower.reasons)
    (earned,) = [each for each in whole.earned() if each.trader == MARKET]
    assert earned.windows_traded == WINDOWS
    assert earned.fees > 0


def test_it_needs_neither_prices_nor_an_opinion(config: EngineConfig):
    only_books = compared(config, recorded(feed=False))
    (earned,) = [each for each in only_books.earned() if each.trader == MARKET]
    assert earned.windows_traded == WINDOWS
    told = only_books.unknown()
    assert any("fair value is unknown" in sentence for sentence in told)
    assert any("bayesian repeats the market's price" in sentence for sentence in told)
    assert any(sentence.startswith("bayesian did not trade") and "no settlement price" in sentence for sentence in told)
    assert {each.words for each in only_books.earned_apart()} == {
        "neither traded",
        "too few windows to tell additive from market",
        "too few windows to tell bayesian from market",
    }


def test_without_books_the_coin_is_the_measure_and_nobody_trades(config: EngineConfig):
    only_feed = compared(config, recorded(books=False))
    assert only_feed.reference == COIN
    assert only_feed.forecasters == [FAIR_VALUE, DIGITAL, COIN]
    assert only_feed.fusions() is None
    assert "market bought nothing: no book showed shares to buy" in only_feed.unknown()
    assert {each.words for each in only_feed.earned_apart()} == {"neither traded"}


def test_what_was_earned_is_paired_by_closing_time(whole: Comparison):
    for apart in whole.earned_apart():
        mine, theirs = (
            sum(each.realised_pnl for each in whole.outcomes[name].tally.settled) / MICRO
            for name in (apart.trader, apart.other)
        )
        if apart.more is not None:
            assert apart.more.mean == pytest.approx(mine - theirs, abs=1e-6)
            assert apart.more.blocks == WINDOWS


def test_a_share_at_the_ask_is_bought_only_where_the_edge_is_seen(whole: Comparison, config: EngineConfig):
    found = {each.name: each for each in whole.at_the_ask()}
    assert set(found) == {MARKET, ADDITIVE, BAYESIAN, FAIR_VALUE, DIGITAL}
    assert (found[MARKET].bought, found[MARKET].dollars.mean) == (0, 0.0), "the market sees no edge in its own price"
    assert 0 < found[FAIR_VALUE].bought <= found[FAIR_VALUE].chances <= 6 * WINDOWS
    assert compared(config, recorded(books=False)).at_the_ask() == []


@pytest.mark.parametrize(
    ("p_up", "up", "made"),
    [
        (0.50, True, None),
        (0.45, True, None),  # the share of Down costs 0.55
        (0.60, True, 0.48),
        (0.60, False, -0.52),
        (0.40, False, 0.45),
        (0.40, True, -0.55),
    ],
)
def test_what_a_share_made(p_up: float, up: bool, made: float | None):
    told = Forecast(window="w", block=1, seconds_left=60, probabilities={MARKET: p_up}, up=up, costs=(0.52, 0.55))
    assert _made(told, p_up, 0.03) == (None if made is None else pytest.approx(made))
    nothing = Forecast(window="w", block=1, seconds_left=60, probabilities={MARKET: p_up}, up=up)
    assert _made(nothing, p_up, 0.03) is None


def test_nothing_settled_is_nothing_known(config: EngineConfig):
    cut = [each for each in recorded() if each.now_ns < (START + 250) * NS_PER_S]
    nothing = compared(config, cut)
    assert nothing.unknown() == ["no market of these recordings has a verdict of Up or Down: nothing can be scored"]
    assert nothing.scores() == []
    assert {each.words for each in nothing.earned_apart()} == {"no market was settled"}


def test_one_is_better_only_where_both_scores_say_so():
    better, unsure = Interval(-0.02, -0.03, -0.01, 50), Interval(-0.02, -0.05, 0.01, 50)
    worse, few = Interval(0.02, 0.01, 0.03, 50), Interval(-0.02, -0.03, -0.01, 19)
    assert apart_words("a", "b", better, better) == "a is better than b"
    assert apart_words("a", "b", worse, worse) == "b is better than a"
    assert apart_words("a", "b", better, unsure) == "a and b are not distinguishable"
    assert apart_words("a", "b", better, worse) == "a and b are not distinguishable"
    assert apart_words("a", "b", few, few) == "too few windows to tell a from b"


def test_recordings_are_added_up_by_trader(config: EngineConfig):
    inputs = recorded()
    trials = [
        Trial(trader=trader, unit=UNIT, config=config, rules=PaperRules())
        for _ in range(2)
        for trader in (ADDITIVE, BAYESIAN, MARKET)
    ]
    outcomes = [run(config, trial.trader, inputs) for trial in trials]
    alone = len(outcomes[1].tally.forecasts)
    together = put_together(trials, outcomes)
    assert len(together.forecasts) == 2 * alone
    assert together.outcomes[MARKET] is outcomes[2]
