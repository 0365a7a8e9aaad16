"""The market and user websockets: subscriptions, gating, authentication, slow and silent clients."""

import json
from typing import Any

import pytest
from aiohttp import WSMsgType

from polystra.domain.units import MICRO
from polystra.exchange.core import CoreConfig, PlaceRequest
from polystra.exchange.rest import SocketLimits
from polystra.exchange.venue_rules import VenueRules
from tests.unit.exchange.conftest import CONDITION, DOWN, UP, spec
from tests.unit.exchange.http_desk import HttpDesk, Signer, drain, http_desk


def kinds(frames: list[Any]) -> list[str]:
    return [frame["event_type"] for frame in frames]


async def test_subscribing_gives_books_and_placing_gives_mirrored_changes() -> None:
    async with http_desk() as desk:
        desk.quote(UP, 40, 10)
        socket = await desk.market_socket(UP, DOWN)
        up, down = await drain(socket)
        assert (up["asset_id"], up["bids"], up["asks"]) == (UP, [{"price": "0.4", "size": "10"}], [])
        assert (down["asset_id"], down["bids"], down["asks"]) == (DOWN, [], [{"price": "0.6", "size": "10"}])
        desk.quote(UP, 40, 5)
        (change,) = await drain(socket)
        assert [
            (row["asset_id"], row["side"], row["price"], row["size"], row["best_bid"], row["best_ask"])
            for row in change["price_changes"]
        ] == [(UP, "BUY", "0.4", "15", "0.4", "1"), (DOWN, "SELL", "0.6", "15", "0", "0.6")]
        desk.core.cancel_all(desk.house, None, None, desk.clock.now)
        (gone,) = await drain(socket)
        assert [(row["asset_id"], row["size"]) for row in gone["price_changes"]] == [(UP, "0"), (DOWN, "0")]


async def test_one_request_with_several_orders_or_cancels_gives_one_message_with_several_levels() -> None:
    def rows(frame: dict[str, Any]) -> list[tuple[str, str, str, str, str]]:
        return [
            (row["side"], row["price"], row["size"], row["best_bid"], row["best_ask"])
            for row in frame["price_changes"]
            if row["asset_id"] == UP
        ]

    async with http_desk() as desk:
        socket = await desk.market_socket(UP, DOWN)
        await drain(socket)
        quotes = [(UP, 390_000), (DOWN, 550_000), (UP, 400_000), (DOWN, 610_000)]
        placed = desk.core.place_all(
            desk.house,
            [PlaceRequest.limit(token, "BUY", price=price, size=10 * MICRO, post_only=True) for token, price in quotes],
            desk.clock.now,
        )
        assert [placement.accepted for placement in placed] == [True, True, True, False]
        (quoted,) = await drain(socket)
        assert rows(quoted) == [
            ("BUY", "0.39", "10", "0.4", "0.45"),
            ("SELL", "0.45", "10", "0.4", "0.45"),
            ("BUY", "0.4", "10", "0.4", "0.45"),
        ]
        assert len({row["hash"] for row in quoted["price_changes"]}) == 6
        desk.core.cancel(desk.house, [placement.order_id for placement in placed[1:]], desk.clock.now)
        (withdrawn,) = await drain(socket)
        assert rows(withdrawn) == [("SELL", "0.45", "0", "0.39", "1"), ("BUY", "0.4", "0", "0.39", "1")]


async def test_a_trade_gives_its_price_and_whole_books() -> None:
    async with http_desk() as desk:
        desk.quote(DOWN, 50, 10)
        socket = await desk.market_socket(UP)
        await drain(socket)
        await desk.call("POST", "/order", desk.submission(makerAmount="5000000"))
        trade, book = await drain(socket)
        assert (trade["event_type"], trade["price"], trade["size"], trade["side"]) == (
            "last_trade_price",
            "0.5",
            "10",
            "BUY",
        )
        assert (book["event_type"], book["asks"], book["last_trade_price"]) == ("book", [], "0.5")


async def test_custom_events_need_the_flag() -> None:
    async with http_desk() as desk:
        plain, custom = await desk.market_socket(UP), await desk.market_socket(UP, custom_feature_enabled=True)
        await drain(plain)
        await drain(custom)
        desk.quote(UP, 40, 10)
        desk.core.list_market(spec(condition_id="0x2", up_token="5", down_token="6"), desk.clock.now)
        desk.core.set_tick_size(CONDITION, 1_000, desk.clock.now)
        desk.core.resolve(CONDITION, 1_000_000, desk.clock.now)
        assert kinds(await drain(plain)) == ["price_change", "tick_size_change", "price_change"]
        frames = await drain(custom)
        assert kinds(frames) == [
            "price_change",
            "best_bid_ask",
            "new_market",
            "tick_size_change",
            "price_change",
            "best_bid_ask",
            "market_resolved",
        ]
        assert (frames[-1]["winning_asset_id"], frames[-1]["winning_outcome"]) == (UP, "Up")


async def test_subscriptions_change_without_acknowledgement() -> None:
    async with http_desk() as desk:
        socket = await desk.market_socket(UP, initial_dump=False)
        assert await drain(socket) == []
        await socket.send_json({"operation": "subscribe", "assets_ids": [UP], "custom_feature_enabled": True})
        assert await socket.receive_str() == "NO NEW ASSETS"
        await socket.send_json({"operation": "subscribe", "assets_ids": [DOWN, "999"]})
        assert [frame["asset_id"] for frame in await drain(socket)] == [DOWN]
        await socket.send_json({"operation": "unsubscribe", "assets_ids": [UP, DOWN]})
        await socket.send_str("not json")
        await drain(socket)
        desk.quote(UP, 40, 10)
        assert await drain(socket) == []


async def test_own_orders_and_trades_reach_the_user_channel() -> None:
    async with http_desk() as desk:
        desk.quote(DOWN, 50, 6)
        socket = await desk.user_socket(markets=[CONDITION])
        _, posted = await desk.call("POST", "/order", desk.submission(makerAmount="5000000"))
        placed, updated, traded = await drain(socket)
        assert (placed["type"], placed["status"], placed["size_matched"], placed["associate_trades"]) == (
            "PLACEMENT",
            "LIVE",
            "0",
            None,
        )
        assert (updated["type"], updated["status"], updated["size_matched"]) == ("UPDATE", "LIVE", "6")
        assert (traded["status"], traded["taker_order_id"], traded["trader_side"]) == (
            "MATCHED",
            posted["orderID"],
            "TAKER",
        )
        desk.settle()
        later = await drain(socket)
        assert [(frame["id"], frame["status"]) for frame in later] == [
            (traded["id"], "MINED"),
            (traded["id"], "CONFIRMED"),
        ]
        await desk.call("DELETE", "/order", {"orderID": posted["orderID"]})
        (cancelled,) = await drain(socket)
        assert (cancelled["type"], cancelled["status"], cancelled["size_matched"]) == ("CANCELLATION", "CANCELED", "6")


async def test_a_maker_gets_the_takers_view_with_its_own_leg() -> None:
    async with http_desk() as desk:
        socket = await desk.user_socket()
        await desk.call("POST", "/order", desk.submission())
        taker = PlaceRequest.limit(DOWN, "BUY", price=600_000, size=5_000_000)
        desk.core.place(desk.house, taker, desk.clock.now)
        _, updated, traded = await drain(socket)
        assert (updated["size_matched"], updated["status"]) == ("5", "LIVE")
        assert (traded["trader_side"], traded["asset_id"], traded["side"]) == ("MAKER", DOWN, "BUY")
        assert traded["trade_owner"] != traded["owner"] == desk.key.key
        (leg,) = traded["maker_orders"]
        assert (leg["owner"], leg["asset_id"], leg["side"], leg["price"], leg["matched_amount"]) == (
            desk.key.key,
            UP,
            "BUY",
            "0.4",
            "5",
        )


async def test_a_killed_order_is_announced_with_empty_text() -> None:
    async with http_desk() as desk:
        socket = await desk.user_socket()
        status, _ = await desk.call("POST", "/order", desk.submission(orderType="FOK"))
        assert status == 400
        (killed,) = await drain(socket)
        assert killed["type"] == "CANCELLATION"
        assert killed["status"] == ("CANCELED_order couldn't be fully filled. FOK orders are fully filled or killed.")
        assert (killed["size_matched"], killed["outcome"], killed["created_at"]) == ("", "", "")


async def test_markets_filter_and_strangers_hear_nothing() -> None:
    async with http_desk() as desk:
        filtered = await desk.user_socket(markets=["0xother"])
        owner, key = desk.signer, desk.key
        desk.signer = Signer(8)
        made = desk.core.create_key(desk.signer.address, 0)
        assert made is not None
        desk.key = made
        stranger = await desk.user_socket()
        desk.signer, desk.key = owner, key
        await desk.call("POST", "/order", desk.submission())
        assert await drain(filtered) == []
        assert await drain(stranger) == []
        await filtered.send_json({"operation": "subscribe", "markets": [CONDITION]})
        await drain(filtered)
        await desk.call("POST", "/order", desk.submission())
        assert kinds(await drain(filtered)) == ["order"]
        await filtered.send_json({"operation": "unsubscribe", "markets": [CONDITION]})
        await drain(filtered)
        await desk.call("POST", "/order", desk.submission())
        assert await drain(filtered) == []


async def test_bad_credentials_close_the_user_channel() -> None:
    async with http_desk() as desk:
        for frame in ({"auth": {"apiKey": desk.key.key, "secret": "x", "passphrase": "y"}}, {"type": "user"}, 5):
            socket = await desk.client.ws_connect("/ws/user")
            await socket.send_json(frame)
            message = await socket.receive()
            assert message.type in {WSMsgType.CLOSE, WSMsgType.CLOSED}


async def test_a_silent_client_is_closed() -> None:
    async with http_desk(limits=SocketLimits(silence_s=0.05)) as desk:
        socket = await desk.market_socket(UP)
        assert (await socket.receive()).type is WSMsgType.TEXT
        assert (await socket.receive()).type is WSMsgType.CLOSE


async def test_a_slow_reader_is_cut_and_the_others_are_served() -> None:
    async with http_desk(limits=SocketLimits(queued_frames=50)) as desk:
        slow, fast = await desk.market_socket(UP), await desk.user_socket()
        await drain(slow)
        flood(desk, 60)
        cut = await slow.receive()
        while cut.type is WSMsgType.TEXT:
            cut = await slow.receive()
        assert cut.type in {WSMsgType.CLOSE, WSMsgType.CLOSED, WSMsgType.ERROR}
        await desk.call("POST", "/order", desk.submission())
        assert kinds(await drain(fast)) == ["order"]
        fresh = await desk.market_socket(UP)
        assert kinds(await drain(fresh)) == ["book"]


def flood(desk: HttpDesk, frames: int) -> None:
    """Change the book without giving the server's tasks a chance to write."""
    for _ in range(frames):
        desk.quote(UP, 40, 5)


async def test_every_frame_is_compact_json() -> None:
    async with http_desk() as desk:
        desk.quote(UP, 40, 5)
        socket = await desk.market_socket(UP)
        text = await socket.receive_str()
        assert text == json.dumps(json.loads(text), separators=(",", ":"))


@pytest.mark.parametrize("arrays", [True, False])
async def test_market_messages_of_one_moment_share_a_frame_by_the_rule(*, arrays: bool) -> None:
    async with http_desk(config=CoreConfig(venue=VenueRules(market_arrays=arrays))) as desk:
        socket = await desk.market_socket(UP, custom_feature_enabled=True)
        await drain(socket)
        desk.quote(UP, 40, 10)
        desk.quote(UP, 39, 10)
        await socket.send_str("PING")
        frames: list[Any] = []
        while (text := await socket.receive_str()) != "PONG":
            frames.append(json.loads(text))
        told = ["price_change", "best_bid_ask", "price_change"]
        if arrays:
            (together,) = frames
            assert kinds(together) == told
        else:
            assert kinds(frames) == told
