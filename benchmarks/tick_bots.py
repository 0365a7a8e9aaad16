"""The bots of the tick benchmark that run in this environment: `python -m benchmarks.tick_bots NAME PORT`.

`polystra` is the whole daemon with its engine, its SQLite database and its real adapters; only the streams whose
protocol is of no interest here (prices, our own orders) are told by hand. `floor` is the same stack without engine
and database: websockets, our decoder, a dict, our signer, aiohttp. `official` is the usual bot: websockets, json,
dicts of floats, `py-clob-client-v2`; with `plain` its signatures are made by plain Python, as it is installed.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
import tempfile
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from random import Random

import structlog
import uvloop
from websockets.asyncio.client import connect

from benchmarks import tick_world
from benchmarks.engine_desk import STRATEGY
from benchmarks.sign import CREDENTIALS, KEY
from benchmarks.stages import Watch
from polystra.adapters.clock import SystemClock
from polystra.adapters.polymarket.decode_levels import Unfit, book_message
from polystra.adapters.polymarket.rest import PolymarketVenue, VenueAccount
from polystra.adapters.polymarket.signing import OrderSigner, OrderTermsSigner, SigningKey, l2_headers
from polystra.adapters.polymarket.streams import MarketStream
from polystra.adapters.polymarket.transport import default_session
from polystra.adapters.store.migrations import upgrade
from polystra.adapters.store.writer import SqlStore
from polystra.app.logs import configure_logs
from polystra.domain.events import BookChanged, PriceSource, PriceTicked, StreamConnected, StreamName
from polystra.domain.facts import MarketRecorded
from polystra.domain.ids import ClientOrderId, ConditionId, PositionId, TokenId
from polystra.domain.market import FeeSchedule, Market, ResolutionKind, ResolutionRule
from polystra.domain.orders import OrderTerms, Purpose, Side, TimeInForce
from polystra.domain.units import MICRO, NS_PER_S
from polystra.engine.config import EngineConfig, RiskConfig
from polystra.ports.venue import Sink
from polystra.runtime.daemon import Daemon, Parts

WINDOW_S = 14_400
START_E8 = 60_000 * 10**8
NOW_E8 = 66_000 * 10**8


# --- polystra -------------------------------------------------------------------------------


class Told:
    """A stream that is connected and says what it is given."""

    def __init__(self, name: StreamName, clock: SystemClock) -> None:
        self._name = name
        self._clock = clock

    async def run(self, sink: Sink) -> None:
        """Connect."""
        sink(StreamConnected(stream=self._name))
        await asyncio.get_running_loop().create_future()


class Prices(Told):
    """A price each second for each symbol, one after the other, after two minutes of history."""

    async def run(self, sink: Sink) -> None:
        """Connect and tell."""
        sink(StreamConnected(stream=self._name))
        rng = Random(3)
        now_s = self._clock.now_ns() // NS_PER_S
        for second in range(now_s - 120, now_s):
            for symbol in symbols():
                sink(_tick(symbol, second * NS_PER_S, rng))
            await asyncio.sleep(0)
        while True:
            for symbol in symbols():
                sink(_tick(symbol, self._clock.now_ns(), rng))
                await asyncio.sleep(1 / tick_world.MARKETS)


def _tick(symbol: str, at_ns: int, rng: Random) -> PriceTicked:
    price = NOW_E8 + rng.randint(-3 * 10**8, 3 * 10**8)
    return PriceTicked(symbol=symbol, source=PriceSource.SETTLEMENT, price=price, at_ns=at_ns)


def symbols() -> tuple[str, ...]:
    """A symbol for each market: so a price is a reason to look at one market, as it is in life."""
    return tuple(f"S{number:02d}" for number in range(tick_world.MARKETS))


class Nowhere:
    """No further markets are listed."""

    async def find(self, symbol: str, window_s: int, opens_at_s: int) -> Market | None:
        """None."""
        return None


def market(number: int, now_s: int) -> Market:
    """A market in the middle of its window."""
    up, down = tick_world.TOKENS[number]
    opens = now_s - WINDOW_S // 2
    return Market(
        condition_id=ConditionId(tick_world.CONDITIONS[number]),
        slug=f"s{number:02d}-updown-4h-{opens}",
        symbol=symbols()[number],
        window_s=WINDOW_S,
        opens_at_s=opens,
        closes_at_s=opens + WINDOW_S,
        up_token=TokenId(up),
        down_token=TokenId(down),
        tick_size=10_000,
        minimum_size=5 * MICRO,
        fees=FeeSchedule(70_000),
        rule=ResolutionRule(ResolutionKind.AVERAGE, 60),
    )


def engine_config() -> EngineConfig:
    """Small dollar entries that take at once, and no limit that the benchmark would meet."""
    return EngineConfig(
        symbols=symbols(),
        windows_s=(WINDOW_S,),
        strategy=STRATEGY,
        risk=RiskConfig(
            max_entries_per_market=10**6,
            stale_book_ns=3_600 * NS_PER_S,
            max_exposure=10**12,
            max_exposure_per_market=10**12,
            max_exposure_per_symbol=10**12,
            max_open_positions=10**6,
        ),
        salt_seed=b"benchmark",
        notices_every_s=0,
    )


async def polystra(port: int, url: str = "") -> None:
    """Run the daemon until it is killed."""
    clock = SystemClock()
    with tempfile.TemporaryDirectory() as folder:
        database = url or f"sqlite:///{folder}/polystra.db"
        log_file = Path(os.environ.get("BENCH_LOG", f"{folder}/log.jsonl")).open("w")
        configure_logs(clock=clock, stream=log_file, log_format="json", secrets=[KEY])
        upgrade(database)
        key = SigningKey(KEY)
        store = await SqlStore.open(database, mode="sim", account=key.address, clock=clock)
        now_s = clock.now_ns() // NS_PER_S
        markets = [market(number, now_s) for number in range(tick_world.MARKETS)]
        await store.commit([MarketRecorded(market=each, price_to_beat=START_E8, at_ns=1) for each in markets])
        account = VenueAccount(credentials=CREDENTIALS, signer=key.address, wallet=key.address, signature_type=0)
        rng = Random(1)
        venue = PolymarketVenue(
            base_url=f"http://127.0.0.1:{port}/killed",
            account=account,
            clock=clock,
            rng=rng,
            session=default_session,
        )
        parts = Parts(
            config=engine_config(),
            store=store,
            signer=OrderTermsSigner(OrderSigner(key, 0, None, 137, CREDENTIALS.api_key)),
            clock=clock,
            venue=venue,
            discovery=Nowhere(),
            market_stream=MarketStream(url=f"ws://127.0.0.1:{port}/polystra/ws", clock=clock, rng=rng),
            streams={
                "user": Told(StreamName.USER, clock),
                "price": Prices(StreamName.PRICES, clock),
                "spot": Told(StreamName.SPOT, clock),
            },
            log=structlog.get_logger(),
            tenure=store,
            opening=(await venue.measure_clock(),),
        )
        if where := os.environ.get("BENCH_STAGES"):
            Watch(Path(where)).install()
        await Daemon(parts).run()


# --- the floor ------------------------------------------------------------------------------


async def floor(port: int, *, raw: bool = False) -> None:
    """The same stack without engine and database; `raw` is over picows and a bare connection."""
    clock, key = SystemClock(), SigningKey(KEY)
    signer = OrderTermsSigner(OrderSigner(key, 0, None, 137, CREDENTIALS.api_key))
    session = default_session()
    url = f"http://127.0.0.1:{port}/killed/order"
    rng = Random(1)
    books: dict[str, dict[int, int]] = {}
    cheap = round(float(tick_world.CHEAP) * MICRO)

    def signed_order(token: str) -> tuple[bytes, dict[str, str]]:
        terms = OrderTerms(
            client_order_id=ClientOrderId("o1"),
            condition_id=ConditionId(tick_world.CONDITIONS[tick_world.MARKET_OF[token]]),
            token_id=TokenId(token),
            position_id=PositionId("p1"),
            purpose=Purpose.ENTRY,
            side=Side.BUY,
            price=cheap,
            quantity=10 * MICRO,
            budget=6 * MICRO,
            time_in_force=TimeInForce.FAK,
        )
        now_ns = clock.now_ns()
        signed = signer.sign(terms, salt=rng.getrandbits(53), timestamp_ms=now_ns // 10**6)
        return signed.body, l2_headers(CREDENTIALS, key.address, "POST", "/order", signed.body, now_ns // NS_PER_S)

    def wanted(frame: bytes) -> str:
        """Take a frame; returns the token to buy, if any."""
        with suppress(Unfit):
            event = book_message(frame)
            if isinstance(event, BookChanged):
                for token, side, price, size, _bid, ask in event.changes:
                    if side is Side.SELL:
                        books.setdefault(token, {})[price] = size
                    if ask == cheap and token in _UPS:
                        return token
        return ""

    if raw:
        await _raw(port, wanted, signed_order)
        return

    async def buy(token: str) -> None:
        body, headers = signed_order(token)
        async with session.post(url, data=body, headers={**headers, "Content-Type": "application/json"}) as response:
            await response.read()

    async with connect(f"ws://127.0.0.1:{port}/floor/ws", ping_interval=None, compression=None, proxy=None) as socket:
        await socket.send('{"type":"market"}')
        while True:
            if token := wanted(await socket.recv(decode=False)):
                await buy(token)


async def _raw(
    port: int, wanted: Callable[[bytes], str], signed_order: Callable[[str], tuple[bytes, dict[str, str]]]
) -> None:
    """The floor over picows and a bare HTTP/1.1 connection, without any handling of failures."""
    from picows import WSFrame, WSListener, WSMsgType, WSTransport, ws_connect

    _, writer = await asyncio.open_connection("127.0.0.1", port)

    class Listener(WSListener):
        def on_ws_connected(self, transport: WSTransport) -> None:
            transport.send(WSMsgType.TEXT, b'{"type":"market"}')

        def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
            token = wanted(frame.get_payload_as_bytes())
            if token:
                body, headers = signed_order(token)
                lines = "".join([f"{name}: {value}\r\n" for name, value in headers.items()])
                head = f"POST /killed/order HTTP/1.1\r\nHost: venue\r\n{lines}Content-Length: {len(body)}\r\n\r\n"
                writer.write(head.encode() + body)

    transport, _ = await ws_connect(Listener, f"ws://127.0.0.1:{port}/floor-raw/ws")
    await transport.wait_disconnected()


_UPS = frozenset(up for up, _ in tick_world.TOKENS)


# --- the usual bot --------------------------------------------------------------------------


async def official(port: int, *, native: bool, name: str) -> None:
    """Websockets, json, and the official client, which blocks while it signs and sends."""
    os.environ["ECC_BACKEND_CLASS"] = (
        "eth_keys.backends.NativeECCBackend" if native else "eth_keys.backends.CoinCurveECCBackend"
    )
    from py_clob_client_v2.clob_types import OrderArgsV2, OrderType

    from benchmarks import peers

    client = peers.client(KEY, f"http://127.0.0.1:{port}")
    peers.tell_ticks(client, tick_world.MARKET_OF)
    books: dict[str, dict[str, dict[float, float]]] = {}
    cheap = float(tick_world.CHEAP)
    async with connect(f"ws://127.0.0.1:{port}/{name}/ws", ping_interval=None, compression=None, proxy=None) as socket:
        await socket.send('{"type":"market"}')
        async for frame in socket:
            message = json.loads(frame)
            if message["event_type"] == "book":
                books[message["asset_id"]] = {
                    "BUY": {float(level["price"]): float(level["size"]) for level in message["bids"]},
                    "SELL": {float(level["price"]): float(level["size"]) for level in message["asks"]},
                }
                continue
            for change in message["price_changes"]:
                side = books[change["asset_id"]][change["side"]]
                price, size = float(change["price"]), float(change["size"])
                if size == 0:
                    side.pop(price, None)
                else:
                    side[price] = size
            token = message["price_changes"][0]["asset_id"]
            if min(books[token]["SELL"]) <= cheap:
                args = OrderArgsV2(token_id=token, price=cheap, size=10.0, side="BUY")
                client.post_order(client.create_order(args, peers.OPTIONS), OrderType.GTC)


BOTS: dict[str, Callable[[int], object]] = {
    "polystra": polystra,
    "floor": floor,
    "floor-raw": lambda port: floor(port, raw=True),
    "official": lambda port: official(port, native=False, name="official"),
    "official-plain": lambda port: official(port, native=True, name="official-plain"),
}


def main() -> None:
    """Be a bot."""
    name, port = sys.argv[1], int(sys.argv[2])
    run = BOTS[name](port)
    if name.startswith("official"):
        asyncio.run(run)  # type: ignore[arg-type]
    else:
        uvloop.run(run)  # type: ignore[arg-type]


if __name__ == "__main__":
    main()
