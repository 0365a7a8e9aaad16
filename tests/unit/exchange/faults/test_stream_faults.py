"""Every stream fault fires on its stream and does what it says; the truth behind it stays untouched."""

from itertools import dropwhile
from typing import Any

import aiohttp
import pytest

from tests.unit.exchange.faults.stage import Trader, frames_for, trade

USER = {"stream": "user", "message": "order"}


async def placed(trader: Trader, socket: aiohttp.ClientWebSocketResponse, orders: int, seconds: float) -> list[str]:
    """Place orders one after the other; return the prices of the order messages in order of arrival."""
    for number in range(1, orders + 1):
        await trader.post(makerAmount=str(50_000 * number))
    frames = await frames_for(socket, trader, seconds)
    return [frame["price"] for frame in frames if frame["event_type"] == "order"]


@pytest.mark.parametrize(
    ("kind", "params", "expected"),
    [
        ("message_dropped", {}, ["0.01", "0.03"]),
        ("message_duplicated", {"times": 2}, ["0.01", "0.02", "0.02", "0.02", "0.03"]),
        ("message_reordered", {"behind": 1}, ["0.01", "0.03", "0.02"]),
        ("message_delayed", {"seconds": 5}, ["0.01", "0.03", "0.02"]),
        ("connection_aborted", {}, ["0.01"]),
    ],
)
def test_the_second_message_is_struck(kind: str, params: dict[str, Any], expected: list[str]) -> None:
    async def scene(trader: Trader) -> list[str]:
        trader.add(kind, params=params, nth=2, where=USER)
        socket = await trader.user_socket()
        prices = await placed(trader, socket, 3, 10)
        await socket.close()
        assert trader.struck == [kind]
        assert trader.open_orders() == 3
        return prices

    assert trade(scene) == expected


def test_a_message_is_named_by_kind_and_detail() -> None:
    async def scene(trader: Trader) -> list[str]:
        trader.add("message_dropped", where={"stream": "user", "message": "order:CANCELLATION"})
        socket = await trader.user_socket()
        _, told = await trader.post()
        await trader.call("DELETE", "/order", {"orderID": told["orderID"]})
        kinds = [frame["type"] for frame in await frames_for(socket, trader, 5)]
        await socket.close()
        return kinds

    assert trade(scene) == ["PLACEMENT"]


@pytest.mark.parametrize(("kind", "pongs"), [("stream_silent", True), ("half_open", False)])
def test_silence_with_and_without_pongs(kind: str, pongs: bool) -> None:
    async def scene(trader: Trader) -> None:
        trader.add(kind, params={"for": 12}, count=1, where={"stream": "user"})
        socket = await trader.user_socket()
        assert await placed(trader, socket, 1, 2) == []
        await socket.send_str("PING")
        if pongs:
            assert await socket.receive_str() == "PONG"
        else:
            with pytest.raises(TimeoutError):
                async with trader.stage.clock.timeout(5):
                    await socket.receive()
        await trader.stage.clock.sleep(11)
        assert await placed(trader, socket, 1, 2) == ["0.01"]
        await socket.close()
        assert trader.struck == [kind]

    trade(scene)


def test_a_slow_server_sends_message_by_message() -> None:
    async def scene(trader: Trader) -> None:
        trader.add("slow_stream", params={"seconds": 4}, where={"stream": "user"})
        socket = await trader.user_socket()
        assert await placed(trader, socket, 2, 6) == ["0.01"]
        frames = await frames_for(socket, trader, 4)
        assert [frame["price"] for frame in frames] == ["0.02"]
        await socket.close()

    trade(scene)


@pytest.mark.parametrize(
    ("kind", "params"),
    [
        ("book_frozen", {}),
        ("asset_silent", {}),
        ("book_crossed", {}),
        ("book_one_sided", {"missing": "bids"}),
        ("book_one_sided", {"missing": "asks"}),
        ("book_empty", {}),
    ],
)
def test_shown_books_are_wrong_for_a_while_and_then_true_again(kind: str, params: dict[str, Any]) -> None:
    async def scene(trader: Trader) -> None:
        spec = trader.market.spec
        trader.add(kind, params={"for": 10, **params}, count=1, where={"token": spec.up_token}, from_=6)
        socket = await trader.market_socket(spec.up_token, spec.down_token)
        first, *_ = [f for f in await frames_for(socket, trader, 1.2) if f.get("asset_id") == spec.up_token]
        assert first["bids"]
        wrong = _about(await frames_for(socket, trader, 8), spec.up_token)
        if kind in {"book_frozen", "asset_silent"}:
            assert wrong == []
        else:
            assert wrong
            assert all(_looks(kind, params, book) for book in wrong)
        depth = trader.core.depth(spec.up_token)
        assert depth[0]
        assert depth[1]
        later = _about(await frames_for(socket, trader, 10), spec.up_token)
        right = list(dropwhile(lambda frame: _looks(kind, params, frame), later))
        assert right[0]["event_type"] == "book"
        assert right[-1] is not right[0]
        await socket.close()
        assert trader.struck == [kind]

    trade(scene)


def _about(frames: list[Any], token_id: str) -> list[Any]:
    """Return the messages that change a token's book."""
    return [
        frame
        for frame in frames
        if frame["event_type"] in {"book", "price_change"}
        and (
            frame.get("asset_id") == token_id
            or token_id in [change["asset_id"] for change in frame.get("price_changes", ())]
        )
    ]


def _looks(kind: str, params: dict[str, Any], book: Any) -> bool:
    if book["event_type"] != "book":
        return False
    bids = [float(level["price"]) for level in book["bids"]]
    asks = [float(level["price"]) for level in book["asks"]]
    if kind == "book_crossed":
        return bool(bids and asks) and max(bids) > min(asks)
    if kind == "book_one_sided":
        return not (bids if params["missing"] == "bids" else asks) and bool(bids or asks)
    return not bids and not asks


def test_prices_and_spot_are_struck_too() -> None:
    async def scene(trader: Trader) -> None:
        trader.add("message_dropped", where={"stream": "price", "message": "price.crypto"})
        trader.add("connection_aborted", where={"stream": "spot"}, nth=3)
        auth = {"apiKey": trader.key.key, "secret": trader.key.secret, "passphrase": trader.key.passphrase}
        async with trader.stage.session.ws_connect(trader.stage.urls.price_ws_url) as prices:
            await prices.send_json({"op": "auth", "auth": auth})
            wanted = [
                {"channel": "price.crypto", "filter": {"symbol": "btcusd"}},
                {"channel": "price.crypto.twap", "filter": {"symbol": "btcusd", "window_seconds": 60}},
            ]
            await prices.send_json({"op": "subscribe", "subscriptions": wanted})
            frames = await frames_for(prices, trader, 5)
        assert [frame["op"] for frame in frames if "op" in frame] == ["authed", "subscribed", "subscribed"]
        assert {frame["channel"] for frame in frames if "op" not in frame} == {"price.crypto.twap"}
        async with trader.stage.session.ws_connect(trader.stage.urls.spot_ws_url + "/btcusdt@trade") as spot:
            assert len(await frames_for(spot, trader, 5)) == 2
            assert spot.closed

    trade(scene)
