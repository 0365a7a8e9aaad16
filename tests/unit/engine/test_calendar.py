from __future__ import annotations

from dataclasses import replace

from polystra.domain.events import MarketsListed
from polystra.domain.facts import MarketRecorded, PostingRecorded
from polystra.domain.ids import ConditionId, TokenId
from polystra.domain.market import FeeSchedule, Market
from polystra.domain.units import NS_PER_S
from polystra.engine import effects as fx
from tests.unit.engine.desk import MARKET, OPENS, Desk, config


def market(n: int) -> Market:
    """The market of the n-th window after the first."""
    return replace(
        MARKET,
        condition_id=ConditionId(f"0x{n:064x}"),
        slug=f"btc-{n}",
        opens_at_s=OPENS + 900 * n,
        closes_at_s=OPENS + 900 * (n + 1),
        up_token=TokenId(str(2 * n + 10)),
        down_token=TokenId(str(2 * n + 11)),
    )


def wanted(desk: Desk) -> set[tuple[str, int, int]]:
    return {(each.symbol, each.window_s, each.opens_at_s - OPENS) for each in desk.asked(fx.DiscoverMarket)}


def at(second: int, **changes: object) -> Desk:
    return Desk(config(**changes), now_ns=(OPENS + second) * NS_PER_S).start()


def test_the_current_window_is_looked_for_and_the_next_in_time():
    desk = at(100)
    assert wanted(desk) == {("BTC", 900, 0)}
    desk.clear().advance(400)
    assert ("BTC", 900, 900) in wanted(desk)


def test_a_window_that_is_nearly_over_is_not_joined():
    assert wanted(at(860)) == {("BTC", 900, 900)}


def test_every_symbol_and_window_is_looked_for():
    desk = at(100, symbols=("BTC", "ETH"), windows_s=(300, 900))
    assert {("BTC", 300, 0), ("ETH", 300, 0), ("BTC", 900, 0), ("ETH", 900, 0)} <= wanted(desk)


def test_windows_of_four_hours_and_of_a_day_follow_the_eastern_clock_over_its_change():
    """At 2026-11-01 08:50 UTC the window of midnight to four is in its fifth hour: the clocks went back at six."""
    before = 1_793_523_000
    desk = Desk(config(windows_s=(14_400, 86_400)), now_ns=before * NS_PER_S).start()
    assert {(each.window_s, each.opens_at_s) for each in desk.asked(fx.DiscoverMarket)} == {
        (14_400, 1_793_505_600),
        (14_400, 1_793_523_600),
        (86_400, 1_793_462_400),
    }


def test_a_market_that_is_not_listed_yet_is_asked_for_again():
    desk = at(100).clear()
    desk.advance(35)
    assert len(desk.asked(fx.DiscoverMarket)) == 3
    desk.step(MarketsListed(markets=(market(0),))).clear()
    desk.advance(35)
    assert not desk.asked(fx.DiscoverMarket)


def test_a_market_of_a_long_window_that_is_never_listed_is_asked_for_ever_less_often():
    desk = at(100, windows_s=(300, 86_400))
    for _ in range(60):
        desk.advance(60)
    asked = [each.window_s for each in desk.asked(fx.DiscoverMarket)]
    assert 6 + 3 <= asked.count(86_400) <= 6 + 5
    assert asked.count(300) > 300


def test_a_listed_market_is_recorded_and_watched_once():
    desk = at(100)
    desk.step(MarketsListed(markets=(market(0), market(0))), MarketsListed(markets=(market(0),)))
    assert len(desk.found(MarketRecorded)) == 1
    assert desk.asked(fx.WatchTokens)[0].token_ids == (TokenId("10"), TokenId("11"))
    assert len(desk.asked(fx.WatchTokens)) == 1


def test_a_listed_market_may_change_but_its_grid_never_becomes_coarser():
    desk = at(100).step(MarketsListed(markets=(market(0),))).clear()
    desk.step(MarketsListed(markets=(replace(market(0), accepting_orders=False, tick_size=1_000),)))
    assert desk.found(MarketRecorded)[-1].market.tick_size == 1_000
    assert not desk.state.markets[market(0).condition_id].market.accepting_orders
    desk.step(MarketsListed(markets=(market(0),)))
    assert desk.state.markets[market(0).condition_id].market.tick_size == 1_000


def test_a_changed_fee_is_charged_from_then_on():
    desk = Desk().ready()
    desk.fill(desk.enter(), 10, 50, maker=False)
    desk.step(MarketsListed(markets=(replace(MARKET, fees=FeeSchedule(140_000)),)))
    assert desk.found(MarketRecorded)[-1].market.fees.rate_ppm == 140_000
    desk.fill(desk.enter(), 10, 50, maker=False)
    assert [posting.posting.fee for posting in desk.found(PostingRecorded) if posting.posting.fee] == [175_000, 350_000]


def test_no_more_markets_are_taken_than_the_run_is_limited_to():
    desk = at(500, markets_limit=1)
    assert len(desk.asked(fx.DiscoverMarket)) == 1
    desk.step(MarketsListed(markets=(market(0), market(1)))).clear()
    assert len(desk.state.markets) == 1
    desk.advance(60)
    assert not desk.asked(fx.DiscoverMarket)


def run_window(desk: Desk, n: int) -> None:
    """Buy in the market of one window, see it win, be redeemed and forgotten later."""
    from polystra.domain.events import MarketResolved

    made = market(n)
    desk.step(MarketsListed(markets=(made,)))
    _enter_and_fill(desk, made)
    desk.advance(900)
    desk.step(MarketResolved(condition_id=made.condition_id, up_payout=1_000_000, at_ns=desk.now_ns))
    desk.advance(6)
    desk.redeemed(made.up_token)


def _enter_and_fill(desk: Desk, made: Market) -> None:
    from polystra.engine.state import Turn
    from tests.unit.engine.desk import enter

    turn = Turn(now_ns=desk.now_ns)
    desk.engine._trader._enter(desk.state.markets[made.condition_id], enter(10, 60), turn)
    desk.engine._close(turn)
    desk._absorb(turn)
    track = desk.last_order()
    desk.accept(track)
    desk.fill(track, 10, 60, status="CONFIRMED")


def sizes(desk: Desk) -> tuple[int, ...]:
    state = desk.state
    return (
        len(state.markets),
        len(state.market_of_token),
        len(state.orders),
        len(state.by_order_id),
        len(state.fills),
        len(state.positions),
        len(state.exits),
        len(state.ledger.tokens),
        len(state.ledger._seen),
        len(state.redeeming),
        len(state.share_differences),
        len(desk.timers),
    )


def test_memory_stays_bounded_over_many_windows():
    desk = Desk(config(), now_ns=(OPENS + 1) * NS_PER_S).start()
    desk.snapshot(cash=1_000_000_000)
    seen = []
    for n in range(12):
        run_window(desk, n)
        seen.append(sizes(desk))
        desk.clear()
    assert desk.state.settled_markets == 12
    assert all(later <= settled for later, settled in zip(seen[-1], seen[4], strict=True)), (seen[4], seen[-1])
    assert len(desk.state.retired) <= 12
    assert desk.state.ledger.cash == 1_000_000_000 + 12 * 4_000_000


def test_a_market_with_a_claim_is_kept_without_books_and_orders_until_it_is_redeemed():
    from polystra.domain.events import MarketResolved

    desk = Desk(config(), now_ns=(OPENS + 1) * NS_PER_S).start().snapshot(cash=1_000_000_000)
    desk.step(MarketsListed(markets=(market(0),)))
    _enter_and_fill(desk, market(0))
    desk.advance(900)
    desk.step(MarketResolved(condition_id=market(0).condition_id, up_payout=1_000_000, at_ns=desk.now_ns))
    desk.advance(3_000)
    waiting = desk.state.markets[market(0).condition_id]
    assert not list(desk.state.orders.of_market(market(0).condition_id))
    assert all(book.best_bid is None and book.best_ask is None for book in waiting.books.values())
    assert len(desk.state.retired) == 1
    desk.redeemed(market(0).up_token)
    desk.advance(20)
    assert market(0).condition_id not in desk.state.markets


def test_what_is_told_again_of_a_forgotten_market_books_nothing():
    desk = Desk(config(), now_ns=(OPENS + 1) * NS_PER_S).start()
    desk.snapshot(cash=1_000_000_000)
    run_window(desk, 0)
    track = desk.last_order()
    report = desk.leg(track, 10, 60, status="CONFIRMED", trade=1)
    desk.advance(2_000)
    assert market(0).condition_id not in desk.state.markets
    cash = desk.state.ledger.cash
    desk.step(report).snapshot(fills=[report])
    assert desk.state.ledger.cash == cash


def test_a_strangers_trade_of_a_forgotten_market_is_not_booked_again():
    from polystra.domain.ids import OrderId

    desk = Desk(config(), now_ns=(OPENS + 1) * NS_PER_S).start()
    desk.snapshot(cash=1_000_000_000)
    run_window(desk, 0)
    report = replace(desk.leg(desk.last_order(), 3, 60, status="CONFIRMED"), order_id=OrderId("0xelsewhere"))
    desk.step(report)
    assert desk.state.ledger.claims == 3_000_000
    desk.advance(6).redeemed(market(0).up_token)
    booked = desk.state.ledger.cash
    desk.advance(2_000)
    assert market(0).condition_id not in desk.state.markets
    desk.snapshot(fills=[report], cash=booked)
    assert desk.state.ledger.cash == booked
