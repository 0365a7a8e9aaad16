"""A whole daemon under a burst of market data, in a process of its own: `python -m benchmarks.burst_daemon SECONDS`.

Decoder, inbox, engine, SQLite database and outbox are the daemon's; the venue is a stub in this process that fills
every order at once, so that order and fill events come all the while. Twenty thousand changes a second are told in
portions of five milliseconds. Every tenth of a second a market of its own gets an offer (an entry follows) and
another, where shares are held, falls through its stop. The last line is JSON.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
import tempfile
from collections.abc import Iterable, Sequence
from pathlib import Path
from random import Random
from statistics import median
from time import perf_counter_ns
from typing import Any, Final

import psutil
import structlog
import uvloop

from benchmarks.engine_desk import CENT, NOW_E8, START_E8, account, config, market, symbol
from benchmarks.figures import percentile
from benchmarks.sign import CREDENTIALS, KEY
from benchmarks.tick_bots import Nowhere
from polystra.adapters.clock import SystemClock
from polystra.adapters.polymarket.rate_budget import VenueBudget
from polystra.adapters.polymarket.signing import OrderSigner, OrderTermsSigner, SigningKey
from polystra.adapters.polymarket.streams import MarketStream
from polystra.adapters.store.migrations import upgrade
from polystra.adapters.store.writer import SqlStore
from polystra.app.logs import configure_logs
from polystra.domain import events as ev
from polystra.domain.facts import Fact, MarketRecorded
from polystra.domain.fills import FillReport, FillStatus, Liquidity
from polystra.domain.ids import ConditionId, OrderId, TokenId, TradeId
from polystra.domain.orders import Side
from polystra.domain.units import MICRO, NS_PER_S
from polystra.engine.config import EngineConfig, ExitConfig
from polystra.engine.state import EngineState
from polystra.ports.rate import RateBudget
from polystra.ports.venue import OutcomeSink, Sink, Submission
from polystra.runtime.daemon import Daemon, Parts

MARKETS: Final = 500
HELD: Final = 120
PER_SECOND: Final = 20_000
PORTION_S: Final = 0.005


class Unbounded:
    """A budget without limits: what is measured is the daemon."""

    def __init__(self, clock: SystemClock) -> None:
        self._shown = VenueBudget(clock)

    def room(self, traffic: object, wanted: int) -> int:
        """All of it."""
        return wanted

    def wait_s(self, traffic: object) -> float:
        """Nothing waits."""
        return 0.0

    def take(self, traffic: object, count: int) -> None:
        """Nothing is counted."""

    def left(self) -> Any:
        """What a fresh budget shows."""
        return self._shown.left()


class StubVenue:
    """Fills every order at once and notes when it came."""

    def __init__(self, clock: SystemClock) -> None:
        self._clock = clock
        self.budget: RateBudget = Unbounded(clock)
        self.sink: Sink | None = None
        self.held: dict[str, int] = {}
        self.sent_ns: dict[str, int] = {}
        self.fills = 0
        self.conditions: dict[str, str] = {}

    async def submit(self, orders: Sequence[Submission], told: OutcomeSink | None = None) -> Sequence[ev.SubmitOutcome]:
        """Match each order whole."""
        outcomes: list[ev.SubmitOutcome] = []
        for each in orders:
            body = json.loads(each.signed.body)["order"]
            token, side = body["tokenId"], Side(body["side"])
            self.sent_ns.setdefault(f"{token} {side}", perf_counter_ns())
            outcome = ev.SubmitAccepted(
                order_id=each.signed.order_id,
                status=ev.VenueOrderStatus.MATCHED,
                making=each.signed.maker_amount,
                taking=each.signed.taker_amount,
            )
            outcomes.append(outcome)
            if told is not None:
                told(outcome)
            self._fill(each, token, side)
        return outcomes

    def _fill(self, order: Submission, token: str, side: Side) -> None:
        bought = side is Side.BUY
        shares = order.signed.taker_amount if bought else order.signed.maker_amount
        dollars = order.signed.maker_amount if bought else order.signed.taker_amount
        price = dollars * MICRO // shares // CENT * CENT
        self.held[token] = self.held.get(token, 0) + (shares if bought else -shares)
        self.fills += 1
        assert self.sink is not None
        for status in (FillStatus.MATCHED, FillStatus.CONFIRMED):
            self.sink(
                FillReport(
                    trade_id=TradeId(f"t{self.fills}"),
                    order_id=order.signed.order_id,
                    condition_id=ConditionId(self.conditions[token]),
                    token_id=TokenId(token),
                    side=side,
                    price=price,
                    quantity=shares,
                    liquidity=Liquidity.TAKER,
                    status=status,
                    matched_at_ns=self._clock.now_ns(),
                )
            )

    async def cancel(self, order_ids: Sequence[OrderId]) -> Sequence[ev.CancelOutcome]:
        """Cancel."""
        return [ev.CancelAccepted(order_id=order_id) for order_id in order_ids]

    def withdraw(self, order_ids: Sequence[OrderId]) -> None:
        """Nothing is under way."""

    async def lookup(self, order_id: OrderId, condition_id: ConditionId, since_ns: int) -> ev.OrderLookedUp:
        """No order rests here."""
        now_ns = self._clock.now_ns()
        return ev.OrderLookedUp(order_id=order_id, open_order=None, fills=(), asked_at_ns=now_ns, complete=True)

    async def account(self, *, since_ns: int, tokens: Iterable[TokenId], refresh: bool = False) -> ev.AccountSnapshot:
        """Plenty of cash."""
        return account(self._clock.now_ns())

    async def token_balance(self, token_id: TokenId) -> int:
        """What was bought less what was sold."""
        return self.held.get(token_id, 0)

    async def book(self, token_id: TokenId) -> ev.BookSnapshot:
        """An empty book: asked only when something is wrong."""
        return ev.BookSnapshot(token_id=token_id, bids=(), asks=(), at_ns=self._clock.now_ns())

    async def resolution(self, condition_id: ConditionId) -> None:
        """Undecided."""

    async def measure_clock(self) -> ev.ClockDriftMeasured:
        """The same clock."""
        return ev.ClockDriftMeasured(offset_ns=0, uncertainty_ns=1)

    async def notices(self) -> ev.NoticesRead:
        """None."""
        return ev.NoticesRead(notices=())

    async def dismiss(self, ids: Iterable[int]) -> None:
        """Nothing."""

    async def close(self) -> None:
        """Nothing."""


class Feed:
    """A stream that is connected and whose way in is taken by others."""

    def __init__(self, name: ev.StreamName) -> None:
        self._name = name
        self.sink: Sink | None = None

    async def run(self, sink: Sink) -> None:
        """Connect."""
        self.sink = sink
        sink(ev.StreamConnected(stream=self._name))
        await asyncio.get_running_loop().create_future()

    def subscribe(self, token_ids: Iterable[TokenId]) -> None:
        """Everything is told."""

    def unsubscribe(self, token_ids: Iterable[TokenId]) -> None:
        """Everything is told."""


class Burst:
    """The burst and what is measured of it."""

    def __init__(self, began_ns: int) -> None:
        self.began_ns = began_ns
        self.clock = SystemClock()
        self.rng = Random(11)
        self.tokens = [(str(self.rng.getrandbits(250)), str(self.rng.getrandbits(250))) for _ in range(MARKETS)]
        self.venue = StubVenue(self.clock)
        self.feed = Feed(ev.StreamName.MARKET)
        self.reader = MarketStream(url="ws://127.0.0.1:1", clock=self.clock, rng=self.rng)
        self.last: dict[int, int] = {}
        self.falls: dict[int, int] = {}
        self.lags: list[float] = []
        self.first_evaluated_ns = 0
        self.state: EngineState | None = None
        self.held_ns = 0
        self.out: dict[str, Any] = {"markets": MARKETS}

    def inspect(self, state: EngineState, facts: Sequence[Fact]) -> None:
        """See the engine's memory after each commit."""
        self.state = state
        if not self.first_evaluated_ns and any(type(fact).__name__ == "DecisionRecorded" for fact in facts):
            self.first_evaluated_ns = perf_counter_ns()

    # --- frames -----------------------------------------------------------------------

    def tell(self, frame: bytes) -> None:
        """Hand a frame to the decoder."""
        assert self.feed.sink is not None
        self.reader._deliver(frame, self.feed.sink)

    def frame(self, number: int, levels: Sequence[tuple[str, int, int]], top: tuple[int, int]) -> bytes:
        """Changes of Up, each (side, cents, size), with their mirrors."""
        up, down = self.tokens[number]
        changes = []
        for side, cents, size in levels:
            other = "SELL" if side == "BUY" else "BUY"
            changes.append(_level(up, cents, size, side, top))
            changes.append(_level(down, 100 - cents, size, other, (100 - top[1], 100 - top[0])))
        message = {
            "market": f"0x{number + 1:064x}",
            "price_changes": changes,
            "timestamp": str(self.clock.now_ns() // 10**6),
            "event_type": "price_change",
        }
        return json.dumps(message, separators=(",", ":")).encode()

    def noise(self) -> bytes:
        """A change far from the top of a market that neither enters nor falls."""
        number = self.rng.randrange(2 * HELD, MARKETS)
        size = self.rng.randint(1, 9_999)
        self.last[number] = size
        return self.frame(number, [("BUY", 30, size)], (50, 97))

    def books(self) -> None:
        """The first books of all."""
        for number, pair in enumerate(self.tokens):
            for token, bid, ask in ((pair[0], 50, 97), (pair[1], 3, 50)):
                message = {
                    "event_type": "book",
                    "asset_id": token,
                    "market": f"0x{number + 1:064x}",
                    "timestamp": str(self.clock.now_ns() // 10**6),
                    "bids": [{"price": f"0.{bid:02d}", "size": "500"}],
                    "asks": [{"price": f"0.{ask:02d}", "size": "500"}],
                }
                self.tell(json.dumps(message).encode())

    def offer(self, number: int) -> None:
        """Up is cheap for a moment."""
        self.tell(self.frame(number, [("SELL", 60, 100)], (50, 60)))
        self.tell(self.frame(number, [("SELL", 60, 0)], (50, 97)))

    def fall(self, number: int) -> None:
        """Up falls through its stop; all of its books with it."""
        self.falls[number] = perf_counter_ns()
        levels = [("BUY", 50, 0), ("BUY", 20, 500), ("SELL", 22, 500)]
        self.tell(self.frame(number, levels, (20, 22)))

    # --- the run ----------------------------------------------------------------------

    async def conduct(self, daemon: Daemon, seconds: float) -> None:
        """Wait until all is ready, open positions, then the burst."""
        while self.feed.sink is None or self.state is None:
            await asyncio.sleep(0.01)
        self.venue.sink = self.feed.sink
        self.venue.conditions = {
            token: f"0x{number + 1:064x}" for number, pair in enumerate(self.tokens) for token in pair
        }
        second = self.clock.now_ns() // NS_PER_S
        for number in range(MARKETS):
            self.prices(number, range(second - 75, second))
            while len(daemon._inbox) > 300:
                await asyncio.sleep(0.001)
        self.books()
        self.feed.sink(self.tick(0, self.clock.now_ns()))
        while not self.first_evaluated_ns:
            await asyncio.sleep(0.001)
        self.out["rss_start_mb"] = rss_mb()
        for number in range(HELD):
            self.feed.sink(self.tick(number, self.clock.now_ns()))
            self.offer(number)
            await asyncio.sleep(0.002)
        await asyncio.sleep(1.0)
        begun, before = self.venue.fills, daemon_steps(daemon)
        watch = asyncio.ensure_future(self.watch_loop())
        sent = await self.storm(daemon, seconds)
        ended = perf_counter_ns()
        while len(daemon._inbox) > 100:
            await asyncio.sleep(0.001)
        self.out["recovered_ms"] = (perf_counter_ns() - ended) / 1e6
        await asyncio.sleep(1.0)
        watch.cancel()
        self.judge(daemon, sent, begun, before)

    async def storm(self, daemon: Daemon, seconds: float) -> int:
        """Twenty thousand changes a second."""
        began = perf_counter_ns()
        frames = [self.noise() for _ in range(4_000)]
        portion, sent, special, longest = round(PER_SECOND * PORTION_S), 0, 0, 0
        began = perf_counter_ns()
        assert self.feed.sink is not None
        while (passed := (perf_counter_ns() - began) / 1e9) < seconds:
            due = min(round(passed * PER_SECOND), sent + 20 * portion)
            for number in range(sent, due):
                self.tell(frames[number % len(frames)])
            sent = max(sent, due)
            longest = max(longest, len(daemon._inbox))
            if passed * 10 > special:
                if special < HELD:
                    if self.venue.held.get(self.tokens[special][0]):
                        self.fall(special)
                    entry = HELD + special
                    self.feed.sink(self.tick(entry, self.clock.now_ns()))
                    self.offer(entry)
                special += 1
            await asyncio.sleep(PORTION_S)
        self.out |= {"sent": sent, "seconds": (perf_counter_ns() - began) / 1e9, "longest": longest}
        # What every market was told last, so that the books can be compared.
        for number in self.last:
            self.tell(self.frame(number, [("BUY", 30, self.last[number])], (50, 97)))
        return sent

    async def watch_loop(self) -> None:
        """Note how long the loop is held by others, and the lag of the inbox."""
        while True:
            asked = perf_counter_ns()
            await asyncio.sleep(0)
            self.held_ns = max(self.held_ns, perf_counter_ns() - asked)
            await asyncio.sleep(0.01)

    def judge(self, daemon: Daemon, sent: int, begun: int, before: int) -> None:
        """Compare what became of it all."""
        state = self.state
        assert state is not None
        known = {fill.trade_id for fill in state.fills.values()}
        wrong = 0
        for number, size in self.last.items():
            book = state.book(TokenId(self.tokens[number][0]))
            wrong += book is None or not book.in_sync or book.bids.get(30 * CENT) != size * MICRO
        stops = {
            number: (self.venue.sent_ns[f"{self.tokens[number][0]} SELL"] - at) / 1e6
            for number, at in self.falls.items()
            if f"{self.tokens[number][0]} SELL" in self.venue.sent_ns
        }
        took = list(stops.values()) or [float("nan")]
        self.out |= {
            "fills": self.venue.fills - begun,
            "fills_lost": self.venue.fills - len(known),
            "dropped": daemon._inbox.dropped,
            "conflated": daemon._inbox.conflated,
            "steps": daemon_steps(daemon) - before,
            "books_wrong": wrong,
            "stops": len(stops),
            "stops_missed": len(self.falls) - len(stops),
            "stop_p50_ms": median(took),
            "stop_p99_ms": percentile(took, 0.99),
            "lag_p50_ms": median(self.lags),
            "lag_p99_ms": percentile(self.lags, 0.99),
            "held_ms": self.held_ns / 1e6,
            "rss_end_mb": rss_mb(),
            "first_evaluated_s": (self.first_evaluated_ns - self.began_ns) / 1e9,
        }

    def prices(self, number: int, seconds: range) -> None:
        """A history of prices."""
        assert self.feed.sink is not None
        for second in seconds:
            self.feed.sink(self.tick(number, second * NS_PER_S))

    def tick(self, number: int, at_ns: int) -> ev.PriceTicked:
        """A price far above the one to beat."""
        price = NOW_E8 + self.rng.randint(-3 * 10**8, 3 * 10**8)
        return ev.PriceTicked(symbol=symbol(number), source=ev.PriceSource.SETTLEMENT, price=price, at_ns=at_ns)


def _level(token: str, cents: int, size: int, side: str, top: tuple[int, int]) -> dict[str, str]:
    bid, ask = top
    return {
        "asset_id": token, "price": f"0.{cents:02d}", "size": str(size), "side": side, "hash": "0" * 40,
        "best_bid": f"0.{bid:02d}", "best_ask": f"0.{ask:02d}",
    }  # fmt: skip


def rss_mb() -> float:
    """Resident memory of this process."""
    return psutil.Process().memory_info().rss / 2**20


def daemon_steps(daemon: Daemon) -> int:
    """Inputs that the engine has taken."""
    return daemon._engine.state.other_inputs


def burst_config() -> EngineConfig:
    """As of every benchmark, with stops alone as exits."""
    base = config(MARKETS)
    values = {name: getattr(base, name) for name in base.__dataclass_fields__}
    return EngineConfig(**{**values, "exits": ExitConfig(take_profit=False), "check_every_s": 3_600})


async def run(seconds: float, began_ns: int) -> dict[str, Any]:
    """One daemon, one burst."""
    burst = Burst(began_ns)
    clock = burst.clock
    with tempfile.TemporaryDirectory() as folder:
        database = f"sqlite:///{folder}/polystra.db"
        with (Path(folder) / "log.jsonl").open("w") as log_file:
            configure_logs(clock=clock, stream=log_file, log_format="json", secrets=[KEY])
            upgrade(database)
            key = SigningKey(KEY)
            store = await SqlStore.open(database, mode="sim", account=key.address, clock=clock)
            now_s = clock.now_ns() // NS_PER_S
            markets = [market(number, pair, now_s) for number, pair in enumerate(burst.tokens)]
            await store.commit([MarketRecorded(market=each, price_to_beat=START_E8, at_ns=1) for each in markets])
            settings = burst_config()
            daemon = Daemon(
                Parts(
                    config=settings,
                    store=store,
                    signer=OrderTermsSigner(OrderSigner(key, 0, None, 137, CREDENTIALS.api_key)),
                    clock=clock,
                    venue=burst.venue,
                    discovery=Nowhere(),
                    market_stream=burst.feed,
                    streams={
                        name.value: Feed(name)
                        for name in (ev.StreamName.USER, ev.StreamName.PRICES, ev.StreamName.SPOT)
                    },
                    log=structlog.get_logger(),
                    tenure=store,
                    inspect=burst.inspect,
                    handle_signals=False,
                )
            )
            _note_lags(daemon, burst)
            running = asyncio.ensure_future(daemon.run())
            conducting = asyncio.ensure_future(burst.conduct(daemon, seconds))
            await asyncio.wait({running, conducting}, return_when=asyncio.FIRST_COMPLETED)
            if running.done():
                conducting.cancel()
                running.result()
            conducting.result()
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)
            await store.close()
    return burst.out


def _note_lags(daemon: Daemon, burst: Burst) -> None:
    """Note for one input in a hundred how long it waited."""
    inbox = daemon._inbox
    put, pop = inbox.put, inbox._popped
    waiting: dict[int, int] = {}
    count = 0

    def noted_put(event: ev.WorldEvent) -> None:
        nonlocal count
        count += 1
        if count % 100 == 0:
            waiting[id(event)] = perf_counter_ns()
        put(event)

    def noted_pop() -> ev.WorldEvent:
        event = pop()
        came = waiting.pop(id(event), 0)
        if came:
            burst.lags.append((perf_counter_ns() - came) / 1e6)
        return event

    inbox.put = noted_put  # type: ignore[method-assign]
    inbox._popped = noted_pop  # type: ignore[method-assign]


def main() -> None:
    """Run the burst and print what was measured."""
    began_ns = perf_counter_ns()
    if os.environ.get("BENCH_BEGAN_NS"):
        began_ns = int(os.environ["BENCH_BEGAN_NS"])
    out = uvloop.run(run(float(sys.argv[1]), began_ns))
    sys.stdout.write(json.dumps(out) + "\n")


if __name__ == "__main__":
    main()
