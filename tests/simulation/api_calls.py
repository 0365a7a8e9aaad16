"""How many requests positions cost: five of them over a simulated hour, counted at the wire.

    python -m tests.simulation.api_calls

Every HTTP request of the daemon is counted by kind and, where it names an order, a token or a market of a
position, charged to that position; what serves all of them (the account's reconciliation, discovery, time,
notices) is shared. A bot that polls book and orders of each position every ten seconds needs 360 requests
per position and hour.
"""

from __future__ import annotations

import tempfile
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace

import aiohttp
import typer

from polystra.app.settings import load_settings
from polystra.app.wiring import endless_session
from polystra.app.worlds import exchange_books_path
from polystra.domain.events import EntryRequested
from polystra.domain.ids import ConditionId
from polystra.domain.market import Outcome
from polystra.domain.units import MICRO, NS_PER_S
from polystra.exchange.builtin import BuiltInConfig, BuiltInExchange
from polystra.exchange.traders.config import CrowdConfig
from polystra.exchange.world import WorldMarket
from polystra.ports.clock import Clock
from polystra.ports.venue import Sink
from tests.simulation.scenario_file import CENT, Quotes
from tests.simulation.scripted_run import ScriptedBook, run_scripted
from tests.unit.runtime.lines import Lines

SYMBOLS = ("BTC", "ETH", "SOL", "XRP", "DOGE")
POLLING = 5 * 360
"""What five positions cost in an hour when each is polled every ten seconds."""

MOST_PER_POSITION = 6
_WINDOWS_PER_HOUR = 4
_CALM = Quotes(0, ((49 * CENT, 500 * MICRO),), ((51 * CENT, 500 * MICRO),))


@dataclass(slots=True)
class Calls:
    """Requests by kind, and by position where they are about one."""

    kinds: Counter[str] = field(default_factory=Counter)
    of_position: dict[str, Counter[str]] = field(default_factory=dict)
    shared: Counter[str] = field(default_factory=Counter)

    @property
    def total(self) -> int:
        """All requests."""
        return self.kinds.total()


class FivePositions:
    """Fulfils `EventStream`: buys 20 Up of each coin's first window; every market has a calm book."""

    def __init__(self, exchange: BuiltInExchange, clock: Clock) -> None:
        self._exchange = exchange
        self._clock = clock
        self.markets: dict[str, WorldMarket] = {}
        exchange.simulation.world.on_listed(self._listed)

    def _listed(self, market: WorldMarket, now_ns: int) -> None:
        book = ScriptedBook(self._exchange.core, market)
        self._exchange.simulation.agenda.add(now_ns + 1, lambda at_ns: book.quote(_CALM, at_ns))
        self._exchange.simulation.agenda.add(now_ns + 2, book.pulse)
        self.markets.setdefault(market.spec.symbol, market)

    async def run(self, sink: Sink) -> None:
        """Wish for the positions, ten seconds apart, then stay silent."""
        first = min(market.spec.opens_at_s for market in self.markets.values())
        for number, symbol in enumerate(SYMBOLS, start=1):
            due_ns = (first + 20 + 10 * number) * NS_PER_S
            await self._clock.sleep(max(0, due_ns - self._clock.now_ns()) / NS_PER_S)
            sink(
                EntryRequested(
                    request_id=f"position-{number}",
                    condition_id=ConditionId(self.markets[symbol].spec.condition_id),
                    outcome=Outcome.UP,
                    price=52 * CENT,
                    quantity=20 * MICRO,
                )
            )
        while True:
            await self._clock.sleep(3_600)


def count_calls(folder: Path, *, seed: int = 1) -> Calls:
    """Run an hour of five coins' quarter-hour markets with a position in each first one."""
    settings = load_settings(
        {
            "SYMBOLS": ",".join(SYMBOLS),
            "WINDOWS": "15m",
            "MIN_EDGE_PERCENT": "9999",
            "MAX_EXPOSURE_DOLLARS": "1000",
            "DATA_DIR": str(folder),
        },
        None,
    )
    config = BuiltInConfig(
        seed=seed,
        symbols=SYMBOLS,
        windows=("15m",),
        speed=None,
        books_path=exchange_books_path(settings),
        crowd=CrowdConfig.nobody(),
    )
    wishes: list[FivePositions] = []
    seen: list[tuple[str, str, str]] = []

    def script(exchange: BuiltInExchange, clock: Clock) -> FivePositions:
        wishes.append(FivePositions(exchange, clock))
        return wishes[-1]

    lines = Lines()
    run_scripted(
        settings,
        config,
        script,
        log=lines,
        markets_limit=len(SYMBOLS) * _WINDOWS_PER_HOUR,
        session=lambda: _counted(seen),
    )
    return _charged(seen, wishes[0], lines)


def _counted(seen: list[tuple[str, str, str]]) -> aiohttp.ClientSession:
    """A session like the daemon's in virtual time that notes method, path and query or body of every request."""

    async def note(
        _session: aiohttp.ClientSession, _context: SimpleNamespace, told: aiohttp.TraceRequestStartParams
    ) -> None:
        seen.append((told.method, told.url.path, told.url.query_string))

    async def chunk(
        _session: aiohttp.ClientSession, _context: SimpleNamespace, told: aiohttp.TraceRequestChunkSentParams
    ) -> None:
        if seen and told.method in ("POST", "DELETE"):
            method, path, query = seen[-1]
            seen[-1] = (method, path, query + told.chunk.decode("utf-8", "replace"))

    session = endless_session()
    trace = aiohttp.TraceConfig()
    trace.on_request_start.append(note)
    trace.on_request_chunk_sent.append(chunk)
    trace.freeze()
    session.trace_configs.append(trace)
    return session


def _charged(seen: list[tuple[str, str, str]], wishes: FivePositions, lines: Lines) -> Calls:
    """Charge each request to the position whose token, market or order it names."""
    owner: dict[str, str] = {}
    for symbol, market in wishes.markets.items():
        for word in (market.spec.up_token, market.spec.down_token, market.spec.condition_id):
            owner[word] = symbol
    for _, _, fields in lines.lines:
        position, order_id = fields.get("position"), fields.get("venue_order_id")
        if isinstance(position, str) and isinstance(order_id, str):
            owner[order_id] = position.partition("-")[0].upper()
    calls = Calls(of_position={symbol: Counter() for symbol in SYMBOLS})
    for method, path, text in seen:
        symbol = next((each for word, each in owner.items() if word in path or word in text), "")
        kind = f"{method} {_shape(path)}"
        calls.kinds[kind] += 1
        if symbol:
            calls.of_position[symbol][kind] += 1
        else:
            calls.shared[kind] += 1
    return calls


def _shape(path: str) -> str:
    """The path without ids."""
    return "/".join("{id}" if len(part) > 25 or "updown" in part else part for part in path.split("/"))


def main() -> None:
    """Show the table."""
    with tempfile.TemporaryDirectory() as folder:
        calls = count_calls(Path(folder))
    typer.echo("requests of one simulated hour with five positions")
    for kind, count in sorted(calls.shared.items()):
        typer.echo(f"  shared    {kind:<32} {count:>5}")
    for symbol, kinds in calls.of_position.items():
        told = ", ".join(f"{kind} x{count}" for kind, count in sorted(kinds.items()))
        typer.echo(f"  {symbol:<9} {kinds.total():>3}  {told}")
    own = sum(kinds.total() for kinds in calls.of_position.values())
    typer.echo(f"  positions {own} ({own / len(SYMBOLS):.1f} each, at most {MOST_PER_POSITION} allowed)")
    typer.echo(f"  shared    {calls.shared.total()}")
    typer.echo(f"  polling book and orders of each every ten seconds would be {POLLING}")


if __name__ == "__main__":
    main()
