"""The price and spot sockets: login, acknowledgements, snapshots, numbering, refusals, slow readers."""

import asyncio
import json
from typing import Any

import aiohttp

from polystra.exchange.outbox import Outbox
from polystra.exchange.price_ws import AVERAGE_CHANNEL, SPOT_CHANNEL
from tests.unit.exchange.running import OWNER, T0_S, Running, play

AVERAGE = {"channel": AVERAGE_CHANNEL, "filter": {"symbol": "btcusd", "window_seconds": 60}}
TICKS = {"channel": SPOT_CHANNEL, "filter": {"symbol": "btcusd"}}


class Client:
    """A price-socket client that is logged in."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        self.socket = socket

    async def ask(self, frame: dict[str, Any]) -> Any:
        await self.socket.send_json(frame)
        return await self.next()

    async def next(self) -> Any:
        return json.loads(await self.socket.receive_str())

    async def login(self, stage: Running, **changes: str) -> Any:
        key = stage.exchange.open_account(OWNER)
        auth = {"apiKey": key.key, "secret": key.secret, "passphrase": key.passphrase, **changes}
        return await self.ask({"op": "auth", "rid": "a1", "auth": auth})


def test_snapshot_then_numbered_ticks_each_second() -> None:
    async def scene(stage: Running) -> list[Any]:
        async with stage.session.ws_connect(stage.urls.price_ws_url) as socket:
            client = Client(socket)
            assert await client.login(stage) == {"op": "authed", "rid": "a1"}
            await stage.until(10)
            ack = await client.ask({"op": "subscribe", "rid": "s1", "subscriptions": [AVERAGE]})
            assert ack == {"op": "subscribed", "channel": AVERAGE_CHANNEL, "rid": "s1"}
            return [await client.next() for _ in range(4)]

    snapshot, *ticks = play(scene)
    assert snapshot["snapshot"] is True
    points = snapshot["payload"]["data"]
    assert len(points) == 120
    assert T0_S * 1_000 in [point["timestamp"] for point in points]
    assert points[-1]["timestamp"] == (T0_S + 9) * 1_000
    assert [tick["seq"] for tick in ticks] == [2, 3, 4]
    assert [tick["payload"]["timestamp"] // 1_000 - T0_S for tick in ticks] == [10, 11, 12]
    payload = ticks[0]["payload"]
    assert (payload["symbol"], payload["window_seconds"], payload["source"]) == ("btcusd", 60, "chainlink")
    assert float(payload["full_accuracy_value"]) == payload["value"]


def test_a_client_can_recompute_the_average_from_the_ticks() -> None:
    async def scene(stage: Running) -> None:
        await stage.until(61)
        async with stage.session.ws_connect(stage.urls.price_ws_url) as socket:
            client = Client(socket)
            await client.login(stage)
            await client.ask({"op": "subscribe", "rid": "s", "subscriptions": [TICKS, AVERAGE]})
            ticks = (await client.next())["payload"]["data"]
            await client.next()
            averages = (await client.next())["payload"]["data"]

            def e8(point: dict[str, str]) -> int:
                return int(point["full_accuracy_value"].replace(".", ""))

            total = sum(e8(tick) for tick in ticks[-60:])
            assert (2 * total + 60) // 120 == e8(averages[-1])

    play(scene)


def test_repeating_a_subscription_gives_only_an_ack_and_unsubscribing_silence() -> None:
    async def scene(stage: Running) -> None:
        async with stage.session.ws_connect(stage.urls.price_ws_url) as socket:
            client = Client(socket)
            await client.login(stage)
            await client.ask({"op": "subscribe", "subscriptions": [TICKS]})
            assert (await client.next())["snapshot"] is True
            assert (await client.ask({"op": "subscribe", "subscriptions": [TICKS]}))["op"] == "subscribed"
            assert (await client.ask({"op": "unsubscribe", "subscriptions": [TICKS]}))["op"] == "unsubscribed"
            await stage.until(20)
            assert await client.ask({"op": "ping"}) == {"op": "pong"}

    play(scene)


def test_a_known_coin_that_is_not_simulated_stays_silent() -> None:
    async def scene(stage: Running) -> Any:
        async with stage.session.ws_connect(stage.urls.price_ws_url) as socket:
            client = Client(socket)
            await client.login(stage)
            solana = {"channel": SPOT_CHANNEL, "filter": {"symbol": "solusd"}}
            assert (await client.ask({"op": "subscribe", "subscriptions": [solana]}))["op"] == "subscribed"
            return await client.next()

    assert play(scene)["payload"]["data"] == []


def test_refusals_keep_the_socket_open() -> None:
    async def scene(stage: Running) -> None:
        async with stage.session.ws_connect(stage.urls.price_ws_url) as socket:
            client = Client(socket)
            assert (await client.ask({"op": "subscribe", "subscriptions": [TICKS]}))["code"] == "auth_required"
            assert (await client.login(stage, secret="wrong"))["code"] == "auth_invalid"
            await client.login(stage)
            for bad in (
                {"channel": "price.crypto.twap", "filter": {"symbol": "btcusd", "window_seconds": 30}},
                {"channel": "price.crypto", "filter": {"symbol": "pepeusd"}},
                {"channel": "price.magic", "filter": {"symbol": "btcusd"}},
                "nonsense",
            ):
                answer = await client.ask({"op": "subscribe", "rid": "x", "subscriptions": [bad]})
                assert (answer["code"], answer["rid"]) == ("bad_filter", "x")
            assert (await client.ask({"op": "dance"}))["op"] == "error"
            await socket.send_str("{not json")
            assert (await client.next())["code"] == "bad_frame"
            answers = [await client.ask({"op": "unsubscribe", "subscriptions": [TICKS]}) for _ in range(20)]
            assert answers[-1]["code"] == "rate_limited"
            answers = [await client.login(stage, secret="wrong") for _ in range(8)]
            assert answers[-1]["code"] == "auth_attempts"

    play(scene)


def test_a_slow_reader_loses_the_oldest_frames_and_is_told() -> None:
    async def main() -> tuple[list[int], int]:
        outbox: Outbox[int] = Outbox(3)
        for frame in range(5):
            outbox.put(frame)
        return [await outbox.get() for _ in range(3)], outbox.dropped

    assert asyncio.run(main()) == ([2, 3, 4], 2)


def test_spot_trades_have_the_shape_of_the_spot_venue_and_lead() -> None:
    async def scene(stage: Running) -> list[Any]:
        async with stage.session.ws_connect(stage.urls.spot_ws_url) as socket:
            client = Client(socket)
            ack = await client.ask({"method": "SUBSCRIBE", "params": ["btcusdt@trade"], "id": 1})
            assert ack == {"result": None, "id": 1}
            trades = [await client.next() for _ in range(8)]
            listed = await client.ask({"method": "LIST_SUBSCRIPTIONS", "id": 2})
            assert listed == {"result": ["btcusdt@trade"], "id": 2}
            bad = await client.ask({"method": "SUBSCRIBE", "params": "x", "id": 3})
            assert bad["error"]["code"] == 2
            await client.ask({"method": "UNSUBSCRIBE", "params": ["btcusdt@trade"], "id": 4})
            return trades

    trades = play(scene)
    assert [trade["t"] - trades[0]["t"] for trade in trades] == list(range(8))
    assert [trade["E"] - trades[0]["E"] for trade in trades] == [250 * n for n in range(8)]
    assert {"e", "E", "s", "t", "p", "q", "T", "m"} <= trades[0].keys()
    assert (trades[0]["e"], trades[0]["s"]) == ("trade", "BTCUSDT")
    assert len(trades[0]["p"].split(".")[1]) == 2


def test_a_spot_stream_can_be_named_in_the_path() -> None:
    async def scene(stage: Running) -> Any:
        async with stage.session.ws_connect(f"{stage.urls.spot_ws_url}/ethusdt@trade") as socket:
            return await Client(socket).next()

    assert play(scene, symbols=("BTC", "ETH"))["s"] == "ETHUSDT"
