"""Walking forward: what is chosen never sees what it is judged on, and many tries are told for what they are."""

from __future__ import annotations

from dataclasses import replace
from random import Random

import pytest

from polystra.backtest.recordings.rows import Recorded
from polystra.backtest.spans import WARM_UP_S, Span, Stretch, cut, windows_in
from polystra.backtest.sweeps import Tried, WindowResult, best_of_chance, deflated, t_value, walk_forward
from polystra.domain.events import (
    BookChanged,
    BookSnapshot,
    LevelChange,
    MarketResolved,
    MarketsListed,
    PriceSource,
    PriceTicked,
    StreamConnected,
    StreamName,
)
from polystra.domain.ids import ConditionId, TokenId
from polystra.domain.orders import Side
from polystra.domain.units import MICRO, NS_PER_S
from tests.unit.engine.desk import MARKET

START_S = 1_800_000_000
EMBARGO_S = 900


def market(number: int, window_s: int = 300, symbol: str = "BTC"):
    opens_at_s = START_S + number * 300
    return replace(
        MARKET,
        condition_id=ConditionId(f"{symbol}{number}/{window_s}"),
        slug=f"{symbol}-{window_s}-{opens_at_s}",
        window_s=window_s,
        opens_at_s=opens_at_s,
        closes_at_s=opens_at_s + window_s,
        up_token=TokenId(f"up{symbol}{number}/{window_s}"),
        down_token=TokenId(f"down{symbol}{number}/{window_s}"),
    )


def result(number: int, dollars: float) -> WindowResult:
    return WindowResult(
        slug=f"w{number}",
        opens_at_s=START_S + number * 300,
        closes_at_s=START_S + number * 300 + 300,
        realised_pnl=round(dollars * MICRO),
        fills=1,
    )


def tried(*stretches: list[float]) -> Tried:
    numbers = iter(range(1_000))
    return Tried(results=[[result(next(numbers), each) for each in stretch] for stretch in stretches])


SPANS = [Span(START_S + 1_500 * number, START_S + 1_500 * (number + 1)) for number in range(3)]


def test_windows_are_cut_into_stretches_of_as_many_closes():
    markets = [market(number, symbol=symbol) for number in range(9) for symbol in ("BTC", "ETH")]
    spans = cut(markets, 3)
    assert [sum(span.holds(each) for each in markets) for span in spans] == [6, 6, 6]
    assert [span.from_s for span in spans[1:]] == [span.until_s for span in spans[:-1]]
    assert len(cut(markets[:4], 9)) == 2
    assert cut([], 3) == []


def test_a_window_that_crosses_a_cut_is_in_no_stretch():
    markets = [*(market(number) for number in range(6)), market(2, window_s=900)]
    spans = cut(markets, 2)
    assert sum(span.holds(each) for span in spans for each in markets) == 6


def test_the_choice_is_made_on_earlier_windows_and_judged_on_later_ones():
    early_bird = tried([5.0] * 5, [-1.0] * 5, [-1.0] * 5)
    late_bloomer = tried([0.0] * 5, [9.0] * 5, [2.0] * 5)
    first, second = walk_forward([early_bird, late_bloomer], SPANS, 0)
    assert (first.chosen, first.train_mean) == (0, 5.0)
    assert [each.realised_pnl for each in first.test_windows] == [-MICRO] * 5
    assert (second.chosen, second.train_mean) == (1, 4.5)
    assert [each.realised_pnl for each in second.test_windows] == [2 * MICRO] * 5


def test_nothing_of_the_windows_judged_on_can_change_the_choice():
    chance = Random("sweep")
    for _ in range(50):
        tries = [tried(*([chance.gauss(0, 1) for _ in range(5)] for _ in SPANS)) for _ in range(4)]
        before = walk_forward(tries, SPANS, EMBARGO_S)
        for each in tries:
            each.results[-1] = [replace(window, realised_pnl=chance.randrange(10**9)) for window in each.results[-1]]
        after = walk_forward(tries, SPANS, EMBARGO_S)
        assert [fold.chosen for fold in after] == [fold.chosen for fold in before]
        assert [fold.train_mean for fold in after] == [fold.train_mean for fold in before]


@pytest.mark.parametrize("embargo_s", [0, 300, EMBARGO_S])
def test_windows_chosen_on_end_before_those_judged_on_begin_with_the_embargo_between(embargo_s: int):
    one = tried([1.0] * 5, [2.0] * 5, [3.0] * 5)
    for number, fold in enumerate(walk_forward([one], SPANS, embargo_s)):
        train = one.train(number, SPANS, embargo_s)
        assert train
        assert len(train) == 5 * (number + 1) - embargo_s // 300
        assert max(each.closes_at_s for each in train) + embargo_s <= min(w.opens_at_s for w in fold.test_windows)
        assert not {each.slug for each in train} & {each.slug for each in fold.test_windows}


def test_of_equals_the_first_is_chosen():
    same = [tried([1.0] * 5, [1.0] * 5, [1.0] * 5) for _ in range(3)]
    assert [fold.chosen for fold in walk_forward(same, SPANS, 0)] == [0, 0]


def test_windows_that_close_together_are_one_observation():
    pairs = [result(number, dollars) for number in range(4) for dollars in (1.0 + number, -1.0)]
    assert t_value(pairs) == pytest.approx(t_value([result(number, float(number)) for number in range(4)]))
    assert t_value(pairs[:4]) is None
    assert t_value([result(number, 1.0) for number in range(5)]) is None


@pytest.mark.parametrize("tries", [5, 20, 100])
def test_the_best_of_chance_is_what_simulated_tries_give(tries: int):
    """Mean of the maximum of so many standard normal draws, by drawing them."""
    chance = Random(f"best of {tries}")
    drawn = [max(chance.gauss(0, 1) for _ in range(tries)) for _ in range(4_000)]
    assert best_of_chance(tries) == pytest.approx(sum(drawn) / len(drawn), abs=0.06)


def test_more_tries_ask_for_more():
    assert best_of_chance(1) == 0.0
    assert deflated(2.0, 1) > 0.95
    assert deflated(2.0, 10) < 0.75
    assert deflated(2.0, 100) < 0.5
    assert deflated(4.5, 100) > 0.95


# --- what a stretch sees --------------------------------------------------------------------


def price(at_s: int) -> Recorded:
    return Recorded(
        at_s * NS_PER_S, PriceTicked(symbol="BTC", source=PriceSource.SPOT, price=at_s, at_ns=at_s * NS_PER_S)
    )


def recording() -> list[Recorded]:
    """Twelve windows that are listed long before they open, with prices, books and verdicts."""
    markets = [market(number) for number in range(12)]
    listed = Recorded((START_S - 3_000) * NS_PER_S, MarketsListed(markets=tuple(markets)))
    inputs = [Recorded((START_S - 3_001) * NS_PER_S, StreamConnected(stream=StreamName.MARKET)), listed]
    rest: list[Recorded] = [price(at_s) for at_s in range(START_S - 2_900, START_S + 4_000, 10)]
    for each in markets:
        for second in (10, 200):
            now_ns = (each.opens_at_s + second) * NS_PER_S
            shown = BookSnapshot(token_id=each.up_token, bids=((1, second),), asks=(), at_ns=now_ns)
            rest.append(Recorded(now_ns, shown))
        both = tuple(
            LevelChange(token_id=one.up_token, side=Side.BUY, price=1, size=1)
            for one in markets
            if abs(one.opens_at_s - each.opens_at_s) <= 300
        )
        rest.append(Recorded((each.opens_at_s + 250) * NS_PER_S, BookChanged(changes=both, at_ns=0)))
        verdict_ns = (each.closes_at_s + 30) * NS_PER_S
        verdict = MarketResolved(condition_id=each.condition_id, up_payout=MICRO, at_ns=verdict_ns)
        rest.append(Recorded(verdict_ns, verdict))
    return inputs + sorted(rest, key=lambda each: each.now_ns)


def seen(span: Span, inputs: list[Recorded]) -> list[Recorded]:
    stretch = Stretch(span)
    return [own for each in inputs for own in stretch.take(each)]


def test_a_recording_tells_its_windows():
    assert [each.slug for each in windows_in(recording())] == [market(number).slug for number in range(12)]
    assert windows_in(recording()[:3]) == []


def test_a_stretch_is_about_its_own_windows_only():
    first, second = cut(windows_in(recording()), 2)
    told = [seen(span, recording()) for span in (first, second)]
    for number, inputs in enumerate(told):
        own = {market(each).up_token for each in range(6 * number, 6 * number + 6)}
        listed = [each.event for each in inputs if isinstance(each.event, MarketsListed)]
        assert [len(each.markets) for each in listed] == [6]
        shown = {each.event.token_id for each in inputs if isinstance(each.event, BookSnapshot)}
        changed = {c.token_id for each in inputs if isinstance(each.event, BookChanged) for c in each.event.changes}
        assert shown == changed == own
        assert sum(isinstance(each.event, MarketResolved) for each in inputs) == 6
        assert isinstance(inputs[0].event, StreamConnected)
        assert [each.now_ns for each in inputs] == sorted(each.now_ns for each in inputs)


def test_a_stretch_warms_up_with_prices_of_before():
    _, second = cut(windows_in(recording()), 2)
    first_ns = next(each.now_ns for each in seen(second, recording()) if isinstance(each.event, PriceTicked))
    assert first_ns == (second.from_s - WARM_UP_S) * NS_PER_S


def test_what_comes_after_a_stretch_cannot_be_seen_in_it():
    first, second = cut(windows_in(recording()), 2)
    end_ns = (first.until_s + 120) * NS_PER_S
    cut_off = [each for each in recording() if each.now_ns <= end_ns]
    assert seen(first, cut_off) == seen(first, recording())
    assert seen(second, cut_off) != seen(second, recording())
