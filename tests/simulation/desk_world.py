"""The daemon with a user at its order desk, over the built-in exchange on the deterministic loop.

What lives here: the world of such a run and what it leaves behind. The strategy and the exits keep
still, limits are out of the way: every order is the user's. What must not: what the user does.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import TypeVar

import structlog
from aiohttp import ClientSession, TraceConfig, TraceRequestStartParams

from polystra.adapters.clock import LoopClock
from polystra.adapters.polymarket.signing import L2Credentials, SigningKey
from polystra.adapters.store.audit_reading import latest_calls
from polystra.adapters.store.queries import reading
from polystra.app.book_reading import database_url, read_both
from polystra.app.report import Report, build_report
from polystra.app.sessions import endpoints_of, simulated_key, start_log
from polystra.app.settings import Settings, load_settings
from polystra.app.wiring import Run, Wallet, endless_session, run_daemon
from polystra.app.worlds import exchange_books_path
from polystra.domain.market import Market
from polystra.exchange.builtin import BuiltInConfig, BuiltInExchange, planned_start_ns
from polystra.exchange.faults.injector import Injected
from polystra.exchange.faults.plan import FaultPlan
from polystra.exchange.model import CoreEvent, OrderEvent, OrderView
from polystra.ports.audit import ApiCall
from polystra.ports.clock import Clock
from polystra.runtime import deterministic
from polystra.runtime.daemon import Daemon, RunSummary

R = TypeVar("R")

BY_HAND: Mapping[str, str] = {
    "WINDOWS": "15m",
    "MIN_EDGE_PERCENT": "1000",
    "MIN_CONFIDENCE_SCORE": "1",
    "ENABLE_EXIT_PLAN": "NO",
    "CANCEL_UNFILLED_ORDERS": "NO",
    "MAX_EXPOSURE_DOLLARS": "1000000",
    "MAX_EXPOSURE_PER_MARKET": "1000000",
    "MAX_EXPOSURE_PER_SYMBOL": "1000000",
    "MAX_OPEN_POSITIONS": "1000",
    "DAILY_LOSS_LIMIT_DOLLARS": "0",
    "MAX_DRAWDOWN_DOLLARS": "0",
    "MAX_CONSECUTIVE_LOSSES": "0",
    "MAX_REJECTIONS_PER_MINUTE": "0",
    "STALE_BOOK_SECONDS": "600",
    "LOG_LEVEL": "ERROR",
    "LOG_FORMAT": "json",
}


@dataclass
class World:
    """What the user of a run sees, and what the run leaves behind."""

    daemon: Daemon
    clock: Clock
    exchange: BuiltInExchange
    posts: list[str]
    """Paths of the daemon's POST requests to the exchange, in order."""
    venue_orders: dict[str, OrderView]
    """Every order of ours that the exchange ever had, by id, as it stands."""
    placed: list[str]
    """Ids of our orders that came onto the book, in order, as often as they came."""
    faults: Counter[str]

    @property
    def markets(self) -> list[Market]:
        """The markets that the daemon watches and that are open now."""
        state = self.daemon._engine.state
        now_s = self.clock.now_ns() // 1_000_000_000
        return [
            each.market
            for each in state.markets.values()
            if each.market.opens_at_s <= now_s < each.market.closes_at_s and each.resolution is None
        ]

    async def until_ready(self, markets: int) -> None:
        """Wait until entries may leave and so many markets have books."""
        state = self.daemon._engine.state
        while True:
            books = [state.markets[market.condition_id].books.values() for market in self.markets]
            ready = [each for each in books if all(book.in_sync and book.best_ask is not None for book in each)]
            if len(ready) >= markets and not state.blocks and len(state.streams_up) == 4:
                return
            await self.clock.sleep(0.5)

    async def until_settled(self) -> None:
        """Wait until no order of ours is live or unaccounted for, and every fill is final."""
        state = self.daemon._engine.state
        while any(track.order.order_id is not None and not track.is_settled for track in state.orders.values()) or any(
            not fill.status.is_final for fill in state.fills.values()
        ):
            await self.clock.sleep(1)


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What a run was and left."""

    summary: RunSummary
    report: Report
    posts: list[str]
    venue_orders: dict[str, OrderView]
    placed: list[str]
    faults: Counter[str]
    """How often each kind of fault was injected."""
    audited: list[ApiCall]
    """The requests with orders that the audit kept, oldest first."""


def run_by_hand(
    folder: Path,
    user: Callable[[World], Awaitable[R]],
    *,
    seed: int = 1,
    symbols: str = "BTC,ETH,SOL,XRP",
    faults: Iterable[FaultPlan] = (),
    initial_cash: int = 1_000_000_000,
    **changes: str,
) -> tuple[R, Outcome]:
    """Run the daemon until its user has finished, then stop it; returns the user's result and what is left."""
    told = {**BY_HAND, "SYMBOLS": symbols, "DATA_DIR": str(folder), **changes}
    settings = load_settings(told, None)
    config = BuiltInConfig(
        seed=seed,
        symbols=settings.symbols,
        windows=settings.windows,
        speed=None,
        books_path=exchange_books_path(settings),
        faults=tuple(faults),
        initial_cash=initial_cash,
    )
    start_ns = planned_start_ns(config)
    result, summary, world = deterministic.run(
        _live(settings, config, LoopClock(start_ns), user), seed=seed, start_ns=start_ns
    )
    structlog.reset_defaults()
    return result, Outcome(
        summary=summary,
        report=build_report(read_both(settings)),
        posts=world.posts,
        venue_orders=world.venue_orders,
        placed=world.placed,
        faults=world.faults,
        audited=_audited(settings),
    )


async def _live(
    settings: Settings, config: BuiltInConfig, clock: Clock, user: Callable[[World], Awaitable[R]]
) -> tuple[R, RunSummary, World]:
    results: list[R] = []
    worlds: list[World] = []
    posts: list[str] = []
    venue_orders: dict[str, OrderView] = {}
    placed: list[str] = []
    exchange = BuiltInExchange(config, clock)
    urls = await exchange.start()
    key = SigningKey(simulated_key(config.seed))
    opened = exchange.open_account(key.address)

    def seen(event: CoreEvent) -> None:
        if isinstance(event, OrderEvent) and event.order.account.lower() == key.address.lower():
            venue_orders[event.order.order_id] = event.order
            if event.type == "PLACEMENT":
                placed.append(event.order.order_id)

    faults: Counter[str] = Counter()

    def injected(fault: Injected) -> None:
        faults[fault.kind] += 1

    exchange.core.add_listener(seen)
    exchange.faults.injector.on_injected(injected)

    async def use(daemon: Daemon) -> None:
        world = World(daemon, clock, exchange, posts, venue_orders, placed, faults)
        worlds.append(world)
        results.append(await user(world))
        daemon.stop("the user has finished")
        await clock.sleep(1e9)

    run = Run(
        settings=settings,
        symbols=config.traded_symbols,
        endpoints=endpoints_of(urls),
        wallet=Wallet(
            key=key,
            credentials=L2Credentials(opened.key, opened.secret, opened.passphrase),
            signature_type=0,
            funder=None,
        ),
        clock=clock,
        log=start_log(settings, clock),
        chance=Random(f"{config.seed}:daemon"),
        session=lambda: _traced(posts),
        handle_signals=False,
        beside={"exchange": exchange.run},
        users={"user": use},
    )
    try:
        summary = await run_daemon(run)
    finally:
        await exchange.close()
    return results[0], summary, worlds[0]


def _audited(settings: Settings) -> list[ApiCall]:
    with reading(database_url(settings)) as connection:
        stored = latest_calls(connection, limit=100_000)
    return [each.call for each in reversed(stored) if each.call.path.startswith("/order")]


def _traced(posts: list[str]) -> ClientSession:
    """A session that notes every POST."""
    session = endless_session()
    trace = TraceConfig()

    async def note(_session: ClientSession, _context: object, params: TraceRequestStartParams) -> None:
        if params.method == "POST":
            posts.append(params.url.path)

    trace.on_request_start.append(note)
    trace.freeze()
    session.trace_configs.append(trace)
    return session
