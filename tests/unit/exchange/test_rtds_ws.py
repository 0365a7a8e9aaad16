"""The older price socket: envelopes, backfill, averages, and each of its quirks on and off."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

import aiohttp
import pytest

from polystra.adapters.clock import LoopClock
from polystra.domain.units import E8, NS_PER_S
from polystra.exchange.builtin import BuiltInConfig, BuiltInExchange
from polystra.exchange.prices import PricePath
from polystra.exchange.rtds_ws import RtdsQuirks
from polystra.runtime.deterministic import run
from tests.unit.exchange.running import T0_S

T = TypeVar("T")
PLAIN = RtdsQuirks(
    mute_spaced_filters=False,
    poisoned_batches=False,
    ignore_ping=False,
    empty_first_frame=False,
    mislabelled_backfill=False,
    lost_percent=0,
)


class Client:
    """A client of the older socket on an exchange in virtual time."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse, exchange: BuiltInExchange, clock: LoopClock) -> None:
        self.socket = socket
        self.exchange = exchange
        self.clock = clock

    @property
    def path(self) -> PricePath:
        return self.exchange.simulation.paths["BTC"]

    async def subscribe(self, *topics: tuple[str, str | None], action: str = "subscribe") -> None:
        entries = [{"topic": topic, "type": "*", **({"filters": text} if text else {})} for topic, text in topics]
        await self.socket.send_json({"action": action, "subscriptions": entries})

    async def next(self) -> Any:
        return json.loads(await self.socket.receive_str())

    async def silent_for(self, seconds: float) -> bool:
        try:
            async with self.clock.timeout(seconds):
                await self.socket.receive()
        except TimeoutError:
            return True
        return False


def play(scene: Callable[[Client], Awaitable[T]], quirks: RtdsQuirks | None = PLAIN, after_s: float = 130.5) -> T:
    async def main() -> T:
        config = BuiltInConfig(seed=7, symbols=("BTC",), windows=("5m",), speed=None)
        clock = LoopClock(T0_S * NS_PER_S)
        exchange = BuiltInExchange(config, clock, rtds_quirks=quirks)
        urls = await exchange.start()
        driver = asyncio.get_running_loop().create_task(exchange.run())
        try:
            await clock.sleep(after_s)
            async with aiohttp.ClientSession() as session, session.ws_connect(urls.rtds_url) as socket:
                return await scene(Client(socket, exchange, clock))
        finally:
            driver.cancel()
            await exchange.close()

    return run(main(), seed=7, start_ns=T0_S * NS_PER_S)


def test_backfill_then_an_update_each_second_with_the_settlement_feed() -> None:
    async def scene(client: Client) -> None:
        await client.subscribe(("crypto_prices_chainlink", '{"symbol":"btc/usd"}'))
        backfill = await client.next()
        assert (backfill["topic"], backfill["type"]) == ("crypto_prices_chainlink", "subscribe")
        points = backfill["payload"]["data"]
        assert 55 <= len(points) <= 60
        assert set(points[0]) == {"timestamp", "value"}
        for _ in range(3):
            update = await client.next()
            assert set(update) == {"connection_id", "payload", "timestamp", "topic", "type"}
            assert (update["topic"], update["type"]) == ("crypto_prices_chainlink", "update")
            payload = update["payload"]
            assert payload["symbol"] == "btc/usd"
            tick = client.path.feed(payload["timestamp"] // 1_000)
            assert int(payload["full_accuracy_value"]) == (tick or 0) * 10**10
            assert payload["value"] == pytest.approx((tick or 0) / E8)
            assert payload["timestamp"] == points[-1]["timestamp"] + 1_000
            points.append({"timestamp": payload["timestamp"]})

    play(scene)


@pytest.mark.parametrize(("topic", "window_s"), [("crypto_prices_twap_sixty", 60), ("crypto_prices_twap_thirty", 30)])
def test_the_averages_are_those_of_the_feed(topic: str, window_s: int) -> None:
    async def scene(client: Client) -> None:
        await client.subscribe((topic, '{"symbol":"btc/usd"}'))
        await client.next()
        payload = (await client.next())["payload"]
        assert payload["window_s"] == window_s
        last = payload["timestamp"] // 1_000
        total = sum(client.path.held(second) for second in range(last - window_s + 1, last + 1))
        assert int(payload["full_accuracy_value"]) == (2 * total + window_s) // (2 * window_s) * 10**10

    play(scene)


def test_the_spot_topic_has_its_own_spelling_and_a_longer_backfill() -> None:
    async def scene(client: Client) -> tuple[Any, Any]:
        await client.subscribe(("crypto_prices", '{"symbol":"btcusdt"}'))
        return await client.next(), await client.next()

    backfill, update = play(scene)
    assert len(backfill["payload"]["data"]) == 120
    payload = update["payload"]
    assert payload["symbol"] == "btcusdt"
    assert float(payload["full_accuracy_value"]) == payload["value"]
    assert len(payload["full_accuracy_value"].partition(".")[2]) == 8


def test_no_filter_gives_every_symbol_and_unsubscribing_silence() -> None:
    async def scene(client: Client) -> None:
        await client.subscribe(("crypto_prices_chainlink", None))
        assert (await client.next())["type"] == "update"
        await client.subscribe(("crypto_prices_chainlink", None), action="unsubscribe")
        assert await client.silent_for(5)

    play(scene)


@pytest.mark.parametrize("text", ["btcusdt,ethusdt", '{"symbol":"usd/btc"}', '{"symbol":', "[]"])
def test_a_filter_that_names_no_symbol_yields_nothing(text: str) -> None:
    async def scene(client: Client) -> bool:
        await client.subscribe(("crypto_prices", text))
        return await client.silent_for(5)

    assert play(scene)


@pytest.mark.parametrize("mute", [True, False])
def test_a_space_in_a_filter_gives_the_backfill_and_then_silence(mute: bool) -> None:
    async def scene(client: Client) -> bool:
        await client.subscribe(("crypto_prices_twap_sixty", '{"symbol": "btc/usd"}'))
        assert (await client.next())["type"] == "subscribe"
        return await client.silent_for(5)

    quirks = RtdsQuirks(empty_first_frame=False, lost_percent=0, mute_spaced_filters=mute)
    assert play(scene, quirks) is mute


@pytest.mark.parametrize("poisoned", [True, False])
def test_one_unknown_topic_silences_its_whole_frame(poisoned: bool) -> None:
    async def scene(client: Client) -> bool:
        await client.subscribe(("crypto_prices_chainlink", '{"symbol":"btc/usd"}'), ("weather", None))
        assert await client.next() == {"body": {"message": "weather not found"}, "statusCode": 401}
        return await client.silent_for(5)

    quirks = RtdsQuirks(empty_first_frame=False, lost_percent=0, poisoned_batches=poisoned)
    assert play(scene, quirks) is poisoned


def test_an_empty_frame_comes_first_and_a_ping_is_not_answered() -> None:
    async def scene(client: Client) -> bool:
        assert await client.socket.receive_str() == ""
        await client.socket.send_str("PING")
        return await client.silent_for(20)

    assert play(scene, None)


def test_a_plain_socket_answers_a_ping() -> None:
    async def scene(client: Client) -> str:
        await client.socket.send_str("PING")
        return await client.socket.receive_str()

    assert play(scene) == "PONG"


def test_the_feeds_backfill_carries_the_spot_topics_name() -> None:
    async def scene(client: Client) -> tuple[str, str]:
        await client.subscribe(("crypto_prices_chainlink", '{"symbol":"btc/usd"}'))
        return (await client.next())["topic"], (await client.next())["topic"]

    assert play(scene, RtdsQuirks(empty_first_frame=False)) == ("crypto_prices", "crypto_prices_chainlink")


def test_some_seconds_never_arrive_the_same_ones_each_time() -> None:
    async def scene(client: Client) -> list[int]:
        await client.subscribe(("crypto_prices_chainlink", '{"symbol":"btc/usd"}'))
        await client.next()
        return [(await client.next())["payload"]["timestamp"] // 1_000 for _ in range(60)]

    quirks = RtdsQuirks(empty_first_frame=False, lost_percent=20)
    seconds = play(scene, quirks)
    assert 63 <= seconds[-1] - seconds[0] <= 95
    assert play(scene, quirks) == seconds
    whole = play(scene)
    assert whole[-1] - whole[0] == 59


@pytest.mark.parametrize(
    "frame", ["", "{", "[]", '{"action":"subscribe"}', '{"action":"subscribe","subscriptions":[1]}']
)
def test_senseless_frames_change_nothing(frame: str) -> None:
    async def scene(client: Client) -> str:
        await client.socket.send_str(frame)
        await client.socket.send_str("PING")
        return await client.socket.receive_str()

    assert play(scene) == "PONG"
