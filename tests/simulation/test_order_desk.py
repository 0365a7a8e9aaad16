"""The order desk over the built-in exchange: every operation a user has, on the wire and back."""

from __future__ import annotations

from pathlib import Path

from polystra.domain.events import OrderRequested
from polystra.domain.order_words import FieldStatus
from polystra.domain.orders import Side, TimeInForce
from polystra.domain.units import MICRO, NS_PER_S
from polystra.engine.order_view import OrderView
from tests.simulation.desk_world import World, run_by_hand


def resting(token_id: str, price: int = 20_000, quantity: int = 60 * MICRO) -> OrderRequested:
    """A buy that rests far below the market, worth more than a dollar."""
    return OrderRequested(request_id="", token_id=token_id, side=Side.BUY, price=price, quantity=quantity)  # type: ignore[arg-type]


async def four_at_once(world: World) -> tuple[OrderView, ...]:
    await world.until_ready(4)
    world.posts.clear()
    views = await world.daemon.desk.place_batch(resting(market.up_token) for market in world.markets)
    assert world.posts == ["/orders"], "four entries of one moment travel together"
    assert set(world.venue_orders) == {view.order_id for view in views}
    await world.daemon.desk.cancel_all()
    return views


def test_four_entries_in_four_markets_leave_in_one_request(tmp_path: Path) -> None:
    views, left = run_by_hand(tmp_path, four_at_once)
    assert [view.status for view in views] == [FieldStatus.LIVE] * 4
    assert len({view.position_id for view in views}) == 4
    placed, cancelled = left.audited
    assert (placed.method, placed.path, placed.status) == ("POST", "/orders", 200)
    assert {order_id for order_id, _ in placed.orders} == {view.order_id for view in views}
    assert (cancelled.method, len(cancelled.orders)) == ("DELETE", 4)
    assert {order.status for order in left.venue_orders.values()} == {"CANCELED"}
    assert left.report.discrepancies == ()


async def a_morning(world: World) -> None:
    """Every operation once."""
    await world.until_ready(2)
    desk = world.daemon.desk
    market, other = world.markets[:2]
    token = market.up_token

    wrong = await desk.limit(Side.BUY, token, 505_000 + 1, 10 * MICRO)
    assert wrong.status is FieldStatus.ERROR
    assert "expected a multiple of the tick" in wrong.refusal

    ask = (await desk.liquidity(token, Side.BUY, 20 * MICRO)).worst
    assert ask is not None
    bought = await desk.buy_for_dollars(token, 5 * MICRO, ask)
    assert bought.is_over
    assert bought.status in (FieldStatus.MATCHED, FieldStatus.FILLED)
    assert bought.average_price is not None
    assert bought.average_price <= ask
    assert bought.filled * ask >= 5 * MICRO * MICRO * 99 // 100

    none_held = await desk.sell_shares(other.up_token, 5 * MICRO, 10_000)
    assert "none of token" in none_held.refusal

    early = await desk.limit(Side.BUY, token, 20_000, 60 * MICRO, time_in_force=TimeInForce.GTD, life_s=119)
    assert "the shortest life is 120 s" in early.refusal
    dated = await desk.limit(Side.BUY, token, 20_000, 60 * MICRO, time_in_force=TimeInForce.GTD, life_s=120)
    assert dated.status is FieldStatus.LIVE
    quiet = await desk.limit(Side.BUY, token, 20_000, 60 * MICRO, post_only=True)
    assert quiet.status is FieldStatus.LIVE
    assert quiet.order_id is not None
    crossing = await desk.limit(Side.BUY, token, 990_000, 60 * MICRO, post_only=True)
    assert crossing.status is FieldStatus.ERROR
    assert "cross" in crossing.refusal
    whole = await desk.buy_for_dollars(token, 5 * MICRO, 10_000, time_in_force=TimeInForce.FOK)
    assert (whole.status, whole.filled) == (FieldStatus.UNMATCHED, 0)

    report = await desk.venue_order(quiet.order_id)
    assert report is not None
    assert report.price == 20_000
    assert {each.order_id for each in await desk.open_orders()} == {dated.order_id, quiet.order_id}
    assert [trade.order_id for trade in await desk.trades(0)] == [bought.order_id]
    money = await desk.spendable(refresh=True)
    assert 990 * MICRO < money.balance < 1_000 * MICRO
    assert money.least_allowed == money.most_allowed == 2**256 - 1
    assert world.daemon._engine.state.allowance == 2**256 - 1
    middle, spread = await desk.midpoint(token), await desk.spread(token)
    assert 0 < spread < middle < MICRO
    assert await desk.tick_size(token) in (10_000, 1_000)
    assert abs(await desk.server_time_ns() - world.clock.now_ns()) < 2 * NS_PER_S

    [gone] = await desk.cancel(quiet.order_id)
    assert gone.status is FieldStatus.CANCELED
    [unknown] = await desk.cancel("nobody")
    assert "order nobody is not known here" in unknown.refusal
    assert [view.order_id for view in await desk.cancel_market(market.condition_id)] == [dated.order_id]
    assert await desk.cancel_all() == ()

    await world.until_settled()
    held = (await desk.spendable(token, refresh=True)).balance
    assert held == bought.filled
    size = held - held % 10_000
    more = await desk.limit(Side.SELL, token, 10_000, size + 10_000, time_in_force=TimeInForce.FAK)
    assert "are held and not promised" in more.refusal
    bid = (await desk.liquidity(token, Side.SELL, size)).worst
    assert bid is not None
    sold = await desk.sell_shares(token, size, bid)
    assert sold.is_over
    assert sold.position_id == bought.position_id
    assert sold.filled == size
    assert desk.order(sold.request_id) == desk.order(str(sold.order_id)) == desk.order(str(sold.client_order_id))
    assert desk.live_orders() == ()
    await world.until_settled()


def test_every_operation_of_the_desk_works_over_the_wire(tmp_path: Path) -> None:
    _, left = run_by_hand(tmp_path, a_morning, symbols="BTC,ETH")
    assert left.report.discrepancies == ()
    assert left.report.adjustments == ()
    assert len(left.placed) == len(set(left.placed)) == 2


async def twenty_at_once(world: World) -> tuple[OrderView, ...]:
    await world.until_ready(1)
    world.posts.clear()
    token = world.markets[0].up_token
    orders = [resting(token, price=10_000 * (1 + number % 3), quantity=100 * MICRO) for number in range(20)]
    orders[7] = resting(token, price=12_345)
    views = await world.daemon.desk.place_batch(orders)
    assert world.posts == ["/orders", "/orders"], "19 orders: 15 and 4"
    await world.daemon.desk.cancel_all()
    return views


def test_a_larger_batch_is_split_and_a_refused_leg_leaves_the_others_standing(tmp_path: Path) -> None:
    views, left = run_by_hand(tmp_path, twenty_at_once, symbols="BTC")
    assert [view.status for view in views].count(FieldStatus.LIVE) == 19
    assert "multiple of the tick" in views[7].refusal
    assert len(left.venue_orders) == 19
    assert left.report.discrepancies == ()
