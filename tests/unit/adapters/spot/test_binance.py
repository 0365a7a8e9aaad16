from __future__ import annotations

import asyncio
import json
import random
from contextlib import suppress

import pytest
from aiohttp import web
from hypothesis import given
from hypothesis import strategies as st

from polystra.adapters.clock import LoopClock
from polystra.adapters.spot.binance import SpotStream, trade_tick
from polystra.domain.errors import VenueProtocolError
from polystra.domain.events import PriceSource, PriceTicked, StreamConnected, StreamLost, StreamName, WorldEvent
from tests.unit.adapters.polymarket.scripted import START_NS, Sockets, play, sockets


def trade(price: str = "64000.10", symbol: str = "BTCUSDT", at_ms: int = 1_782_753_357_257) -> str:
    return json.dumps({"e": "trade", "E": at_ms, "s": symbol, "t": 1, "p": price, "q": "1", "T": at_ms, "m": True})


def test_a_trade_is_a_tick() -> None:
    expected = PriceTicked(
        symbol="BTC", source=PriceSource.SPOT, price=6_400_010_000_000, at_ns=1_782_753_357_257_000_000
    )
    assert trade_tick(trade()) == expected
    assert trade_tick(f'{{"stream":"btcusdt@trade","data":{trade()}}}') == expected


def test_prices_are_cut_to_eight_decimals() -> None:
    tick = trade_tick(trade("0.123456789"))
    assert tick is not None
    assert tick.price == 12_345_678


@pytest.mark.parametrize("frame", ['{"result":null,"id":1}', '{"e":"aggTrade"}'])
def test_other_frames_are_no_ticks(frame: str) -> None:
    assert trade_tick(frame) is None


@pytest.mark.parametrize(
    "frame",
    ["", "x", "[]", "[" * 50_000, trade("-1"), trade("0"), trade("1e5"), trade(symbol="BTCEUR"), trade(symbol="USDT"),
     trade(at_ms=0), '{"e":"trade","p":5}'],
)  # fmt: skip
def test_trades_that_cannot_be_read(frame: str) -> None:
    with pytest.raises(VenueProtocolError):
        trade_tick(frame)


@given(st.text(max_size=50) | st.binary(max_size=50))
def test_any_frame_is_read_or_refused(frame: str | bytes) -> None:
    with suppress(VenueProtocolError):
        assert trade_tick(frame) is None


async def drive(stream: SpotStream, heard: list[WorldEvent], seconds: float) -> None:
    try:
        async with asyncio.timeout(seconds):
            await stream.run(heard.append)
    except TimeoutError:
        pass


def test_at_most_four_ticks_a_second_and_symbol() -> None:
    async def busy(socket: web.WebSocketResponse, script: Sockets) -> None:
        await script.receive(socket)
        await socket.send_str('{"result":null,"id":1}')
        for number in range(100):
            await socket.send_str(trade(f"{number + 1}"))
            await socket.send_str(trade(f"{number + 1}", symbol="ETHUSDT"))
            await asyncio.sleep(0.02)
        await script.listen(socket)

    async def main() -> None:
        heard: list[WorldEvent] = []
        async with sockets(busy) as (url, script):
            stream = SpotStream(url=url, symbols=["BTC", "ETH"], clock=LoopClock(START_NS), rng=random.Random(1))
            await drive(stream, heard, 5)
        ticks = [event.symbol for event in heard if isinstance(event, PriceTicked)]
        assert ticks.count("BTC") == ticks.count("ETH") == 8
        assert json.loads(script.frames[0][0]) == {
            "method": "SUBSCRIBE", "params": ["btcusdt@trade", "ethusdt@trade"], "id": 1,
        }  # fmt: skip

    play(main())


def test_silence_and_breaks_are_told_and_survived() -> None:
    async def mute(socket: web.WebSocketResponse, script: Sockets) -> None:
        await script.listen(socket)

    async def garbled(socket: web.WebSocketResponse, script: Sockets) -> None:
        await script.receive(socket)
        await socket.send_str("garbage")

    async def main() -> None:
        heard: list[WorldEvent] = []
        async with sockets(mute, garbled, mute) as (url, _):
            stream = SpotStream(url=url, symbols=["BTC"], clock=LoopClock(START_NS), rng=random.Random(1))
            await drive(stream, heard, 50)
        connected = StreamConnected(stream=StreamName.SPOT)
        assert [event for event in heard if event == connected] == [connected] * 3
        first, second = [event for event in heard if isinstance(event, StreamLost)]
        assert first.reason == "silent for 30 s"
        assert second.reason.startswith("closed by the server")
        assert stream.unreadable == 1

    play(main())


def test_nobody_listening_is_tried_again_in_silence() -> None:
    async def main() -> None:
        heard: list[WorldEvent] = []
        stream = SpotStream(url="ws://127.0.0.1:9/", symbols=["BTC"], clock=LoopClock(START_NS), rng=random.Random(1))
        await drive(stream, heard, 60)
        assert heard == []

    play(main())
