from __future__ import annotations

import asyncio
import json
import random
from collections.abc import Awaitable, Callable
from typing import TypeVar

import pytest
from aiohttp import web

from polystra.adapters.clock import LoopClock
from polystra.adapters.polymarket.price_stream import PriceStream
from polystra.adapters.polymarket.streams import MarketStream, UserStream
from polystra.domain.events import (
    BookSnapshot,
    OrderReport,
    PriceTicked,
    StreamConnected,
    StreamLost,
    StreamName,
    WorldEvent,
)
from polystra.domain.ids import TokenId
from polystra.ports.venue import EventStream
from tests.unit.adapters.polymarket.scripted import ACCOUNT, CREDENTIALS, START_NS, Sockets, play, sockets

T = TypeVar("T")
A, B = TokenId("1"), TokenId("2")
BOOK = '[{"event_type":"book","asset_id":"1","bids":[],"asks":[],"timestamp":"1"}]'
ORDER = json.dumps(
    {"event_type": "order", "type": "PLACEMENT", "id": "0x1", "market": "0xc", "asset_id": "1", "side": "BUY",
     "original_size": "5", "size_matched": "0", "price": "0.5", "status": "LIVE"}
)  # fmt: skip

Conversation = Callable[[web.WebSocketResponse, Sockets], Awaitable[None]]
Heard = list[WorldEvent]


def listen(
    make: Callable[[str, LoopClock], EventStream], *conversations: Conversation, seconds: float
) -> tuple[Heard, Sockets]:
    """Run a stream against a script for so many virtual seconds."""

    async def main() -> tuple[Heard, Sockets]:
        heard: Heard = []
        async with sockets(*conversations) as (url, script):
            await drive(make(url, LoopClock(START_NS)).run(heard.append), seconds)
        return heard, script

    return play(main())


async def drive(work: Awaitable[None], seconds: float) -> None:
    try:
        async with asyncio.timeout(seconds):
            await work
    except TimeoutError:
        pass


def market_stream(url: str, clock: LoopClock) -> MarketStream:
    stream = MarketStream(url=url, clock=clock, rng=random.Random(1))
    stream.subscribe([A])
    return stream


def user_stream(url: str, clock: LoopClock) -> UserStream:
    return UserStream(url=url, credentials=CREDENTIALS, identity=ACCOUNT.identity(), clock=clock, rng=random.Random(1))


def price_stream(url: str, clock: LoopClock) -> PriceStream:
    return PriceStream(url=url, credentials=CREDENTIALS, symbols=["BTC"], clock=clock, rng=random.Random(1))


def answering(*frames: str) -> Conversation:
    """Read the first frame, send some, then answer pings."""

    async def talk(socket: web.WebSocketResponse, script: Sockets) -> None:
        await script.receive(socket)
        for frame in frames:
            await socket.send_str(frame)
        await script.listen(socket)

    return talk


async def hang_up(socket: web.WebSocketResponse, script: Sockets) -> None:
    await script.receive(socket)


def test_subscription_events_and_keep_alive() -> None:
    heard, script = listen(market_stream, answering(BOOK, "NO NEW ASSETS", ""), seconds=35)
    assert heard == [
        StreamConnected(stream=StreamName.MARKET),
        BookSnapshot(token_id=A, bids=(), asks=(), at_ns=10**9),
    ]
    first, *others = script.frames[0]
    assert json.loads(first) == {"assets_ids": ["1"], "type": "market", "custom_feature_enabled": True}
    assert others == ["PING"] * 4  # one to confirm the subscription, then every ten seconds


def test_subscriptions_change_while_it_runs_and_survive_a_break() -> None:
    async def main() -> None:
        async def break_after_two_changes(socket: web.WebSocketResponse, script: Sockets) -> None:
            for _ in range(3):
                await script.receive(socket)

        async with sockets(break_after_two_changes, answering()) as (url, script):
            clock = LoopClock(START_NS)
            stream = market_stream(url, clock)
            async with asyncio.TaskGroup() as tasks:
                running = tasks.create_task(stream.run(lambda _event: None))
                await clock.sleep(1)
                stream.subscribe([B, A])
                await clock.sleep(1)
                stream.unsubscribe([A])
                await clock.sleep(5)
                running.cancel()
            sent = [json.loads(frame) for frame in script.frames[0] if frame != "PING"]
            assert sent[1:] == [
                {"operation": "subscribe", "assets_ids": ["2"], "custom_feature_enabled": True},
                {"operation": "unsubscribe", "assets_ids": ["1"]},
            ]
            assert json.loads(script.frames[1][0])["assets_ids"] == ["2"]

    play(main())


def test_a_token_dropped_during_a_break_can_be_asked_for_again() -> None:
    async def main() -> None:
        async with sockets(hang_up, answering()) as (url, script):
            clock = LoopClock(START_NS)
            stream = market_stream(url, clock)
            stream.subscribe([B])
            async with asyncio.TaskGroup() as tasks:
                running = tasks.create_task(stream.run(lambda _event: None))
                await clock.sleep(0.1)
                assert len(script.frames) == 1
                stream.unsubscribe([A])
                await clock.sleep(2)
                stream.subscribe([A])
                await clock.sleep(2)
                running.cancel()
            again = [json.loads(frame) for frame in script.frames[1] if frame != "PING"]
            assert [frame["assets_ids"] for frame in again] == [["2"], ["1"]]

    play(main())


def test_nothing_is_connected_before_a_token_is_wanted() -> None:
    def idle(url: str, clock: LoopClock) -> MarketStream:
        return MarketStream(url=url, clock=clock, rng=random.Random(1))

    heard, script = listen(idle, answering(), seconds=60)
    assert (heard, script.frames) == ([], [])


def test_the_user_stream_proves_itself_and_hears_everything() -> None:
    heard, script = listen(user_stream, answering(ORDER, ORDER), seconds=5)
    assert json.loads(script.frames[0][0]) == {
        "auth": {"apiKey": "my-key", "secret": CREDENTIALS.secret, "passphrase": "pass"},
        "type": "user",
    }
    assert [type(event) for event in heard] == [StreamConnected, OrderReport, OrderReport]


def test_a_refused_login_is_never_connected_and_ever_slower() -> None:
    heard, script = listen(user_stream, hang_up, seconds=200)
    assert heard == []
    waits = [after - before for before, after in zip(script.opened_at, script.opened_at[1:], strict=False)]
    assert waits[0] < 0.5
    assert 15 <= waits[-1] <= 31
    assert len(waits) < 16


def test_what_cannot_be_read_is_counted_and_the_rest_is_delivered() -> None:
    streams: list[UserStream] = []

    def make(url: str, clock: LoopClock) -> UserStream:
        streams.append(user_stream(url, clock))
        return streams[0]

    mixed = f'[1,{{"event_type":"trade","trader_side":"TAKER"}},{ORDER},{{"event_type":"surprise"}}]'
    heard, _ = listen(make, answering("{broken", mixed), seconds=5)
    assert [type(event) for event in heard] == [StreamConnected, OrderReport]
    assert streams[0].unreadable == 3


def test_silence_ends_a_connection() -> None:
    async def mute(socket: web.WebSocketResponse, script: Sockets) -> None:
        await script.receive(socket)
        await socket.receive()  # the ping that confirms
        await socket.send_str("PONG")
        while (await socket.receive()).type is web.WSMsgType.TEXT:
            pass

    heard, script = listen(user_stream, mute, answering(), seconds=45)
    assert heard == [
        StreamConnected(stream=StreamName.USER),
        StreamLost(stream=StreamName.USER, reason="silent for 30 s"),
        StreamConnected(stream=StreamName.USER),
    ]
    assert 30 <= script.opened_at[1] - script.opened_at[0] < 41


def test_a_server_that_never_confirms_is_left() -> None:
    async def dumb(socket: web.WebSocketResponse, _script: Sockets) -> None:
        while (await socket.receive()).type is web.WSMsgType.TEXT:
            pass

    heard, script = listen(user_stream, dumb, answering(), seconds=15)
    assert heard == [StreamConnected(stream=StreamName.USER)]
    assert len(script.frames) == 2


def test_nobody_listening_is_tried_again() -> None:
    async def main() -> None:
        heard: Heard = []
        stream = user_stream("ws://127.0.0.1:9/", LoopClock(START_NS))
        await drive(stream.run(heard.append), 120)
        assert heard == []

    play(main())


# --- prices --------------------------------------------------------------------------------


def tick(seq: int, *, channel: str = "price.crypto", **more: object) -> str:
    payload = {"symbol": "btcusd", "value": 64000 + seq, "timestamp": START_NS // 10**6 + seq * 1_000}
    return json.dumps({"v": 1, "channel": channel, "seq": seq, "payload": payload, **more})


def prices(*frames: str) -> Conversation:
    async def talk(socket: web.WebSocketResponse, script: Sockets) -> None:
        await script.receive(socket)
        await socket.send_str('{"op":"authed","rid":"auth"}')
        await script.receive(socket)
        await socket.send_str('{"op":"subscribed","channel":"price.crypto","rid":"prices"}')
        for frame in frames:
            await socket.send_str(frame)
        await script.listen(socket)

    return talk


def test_prices_are_asked_for_and_delivered() -> None:
    heard, script = listen(price_stream, prices(tick(1), tick(2), tick(1, channel="price.crypto.twap")), seconds=15)
    auth, subscribe, *pings = [json.loads(frame) for frame in script.frames[0]]
    assert auth["op"] == "auth"
    assert subscribe["subscriptions"] == [
        {"channel": "price.crypto", "filter": {"symbol": "btcusd"}},
        {"channel": "price.crypto.twap", "filter": {"symbol": "btcusd", "window_seconds": 60}},
    ]
    assert pings == [{"op": "ping"}]
    assert [type(event) for event in heard] == [StreamConnected, PriceTicked, PriceTicked, PriceTicked]


@pytest.mark.parametrize(
    ("frames", "reason"),
    [
        ((tick(1), tick(3)), "frame 3 of price.crypto followed frame 1"),
        ((tick(1), tick(2, dropped=4)), "the server skipped 4 frames of price.crypto"),
        ((tick(1), '{"op":"error","code":"sub_limit"}'), "the server answered 'sub_limit'"),
    ],
)
def test_missing_prices_break_the_connection(frames: tuple[str, ...], reason: str) -> None:
    heard, script = listen(price_stream, prices(*frames), prices(tick(7)), seconds=5)
    assert StreamLost(stream=StreamName.PRICES, reason=reason) in heard
    assert isinstance(heard[-1], PriceTicked)
    assert len(script.frames) == 2


def test_a_refused_price_login_is_never_connected() -> None:
    async def refuse(socket: web.WebSocketResponse, script: Sockets) -> None:
        await script.receive(socket)
        await socket.send_str('{"op":"error","code":"auth_invalid"}')
        await script.listen(socket)

    heard, script = listen(price_stream, refuse, seconds=60)
    assert heard == []
    assert 3 < len(script.frames) < 12


def test_an_error_of_the_sink_is_not_swallowed() -> None:
    def broken(event: WorldEvent) -> None:
        if isinstance(event, OrderReport):
            raise ZeroDivisionError

    async def main() -> None:
        async with sockets(answering(ORDER)) as (url, _):
            await user_stream(url, LoopClock(START_NS)).run(broken)

    with pytest.raises((ZeroDivisionError, ExceptionGroup)):
        play(main())
