"""A run of the whole daemon in a world that a test scripts: its book, its wishes, its log.

What lives here: the house account that holds a book at will, and the composition of exchange and daemon on
the deterministic loop. What must not: what is wished for, what is expected.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from random import Random

import aiohttp
import structlog

from polystra.adapters.clock import LoopClock
from polystra.adapters.polymarket.signing import L2Credentials, SigningKey
from polystra.app.sessions import simulated_key
from polystra.app.settings import Settings
from polystra.app.wiring import Endpoints, Run, Wallet, endless_session, run_daemon
from polystra.domain.facts import Fact
from polystra.domain.units import MICRO, NS_PER_S
from polystra.engine.state import EngineState
from polystra.exchange.builtin import BuiltInConfig, BuiltInExchange
from polystra.exchange.core import ExchangeCore, PlaceRequest
from polystra.exchange.modes import Mode
from polystra.exchange.simulation import planned_start_ns
from polystra.exchange.world import WorldMarket
from polystra.ports.clock import Clock
from polystra.ports.venue import EventStream
from polystra.runtime import deterministic
from polystra.runtime.daemon import RunSummary
from polystra.runtime.log import Log
from tests.simulation.scenario_file import Quotes, Step
from tests.simulation.scripted_store import BadMinutes
from tests.simulation.search_faults import spoil_network
from tests.simulation.search_plan import Spell
from tests.simulation.stepped_clock import SteppedClock

ONE = MICRO
PULSE_PRICE = 10_000
PULSE_NS = 2 * NS_PER_S


class ScriptedBook:
    """Keeps the book as the file has it: a house account that buys Up (bids) and Down (asks)."""

    def __init__(self, core: ExchangeCore, market: WorldMarket) -> None:
        self._core = core
        self._spec = market.spec
        self._house = core.open_house_account("scripted-book")
        self._other = core.open_house_account("scripted-other")
        self._resting: dict[str, dict[tuple[int, int], str]] = {}
        self._best_bid = 0
        self._pulse: list[str] = []

    def pulse(self, now_ns: int) -> int | None:
        """Move a small bid far below the market, so that the book speaks while nothing happens; returns when next."""
        if now_ns >= self._spec.closes_at_s * NS_PER_S:
            return None
        if self._pulse:
            self._core.cancel(self._house, self._pulse, now_ns)
        self._pulse = []
        if self._resting:
            self._pulse.append(self._rest(self._spec.up_token, PULSE_PRICE, 5 * MICRO, now_ns))
        return now_ns + PULSE_NS

    def quote(self, quotes: Quotes, now_ns: int) -> None:
        """Rest the new quotes and withdraw the old ones, in the order in which neither side is ever empty between.

        A level that stays as it is keeps its order: so bids can go away while the venue takes nothing new.
        """
        bids = ("bids", self._spec.up_token, quotes.bids)
        asks = ("asks", self._spec.down_token, tuple((ONE - price, size) for price, size in quotes.asks))
        falls = not quotes.bids or not self._best_bid or quotes.bids[0][0] <= self._best_bid
        for name, token, levels in (bids, asks) if falls else (asks, bids):
            old = self._resting.pop(name, {})
            kept = {level: old.pop(level) for level in levels if level in old}
            placed = {level: self._rest(token, *level, now_ns) for level in levels if level not in kept}
            self._resting[name] = kept | placed
            if old:
                self._core.cancel(self._house, list(old.values()), now_ns)
        self._best_bid = quotes.bids[0][0] if quotes.bids else 0

    def _rest(self, token: str, price: int, size: int, now_ns: int) -> str:
        request = PlaceRequest.limit(token, "BUY", price=price, size=size)
        return self._core.place(self._house, request, now_ns).order_id

    def other(self, step: Step, now_ns: int) -> None:
        """Somebody else trades once; what does not match at once is withdrawn."""
        sells = step.verb.endswith("sells")
        own = self._spec.up_token if step.outcome == "up" else self._spec.down_token
        opposite = self._spec.down_token if step.outcome == "up" else self._spec.up_token
        token, price = (opposite, ONE - step.price) if sells else (own, step.price)
        request = PlaceRequest.limit(token, "BUY", price=price, size=step.quantity)
        placed = self._core.place(self._other, request, now_ns)
        if placed.accepted:
            self._core.cancel(self._other, [placed.order_id], now_ns)

    def elsewhere(self, account: str, step: Step, now_ns: int) -> None:
        """The daemon's own account trades without the daemon; what does not match rests."""
        token = self._spec.up_token if step.outcome == "up" else self._spec.down_token
        request = PlaceRequest.limit(token, "BUY", price=step.price, size=step.quantity)
        if step.verb.endswith("sells"):
            request = PlaceRequest.limit(token, "SELL", price=step.price, size=step.quantity)
        self._core.place(account, request, now_ns)

    def takes(self, account: str, step: Step, now_ns: int) -> None:
        """Shares of the daemon's account go somewhere else."""
        token = self._spec.up_token if step.outcome == "up" else self._spec.down_token
        self._core.desk.move_funds(account, self._other, token, step.quantity, now_ns=now_ns)


def run_scripted(
    settings: Settings,
    config: BuiltInConfig,
    script: Callable[[BuiltInExchange, Clock], EventStream],
    *,
    log: Log,
    markets_limit: int,
    session: Callable[[], aiohttp.ClientSession] = endless_session,
    restart: tuple[float, float] | None = None,
    modes: Sequence[tuple[str, int, int]] = (),
    store: Sequence[tuple[str, int, int]] = (),
    network: Sequence[tuple[str, int, int]] = (),
    steps: Sequence[tuple[int, int]] = (),
    inspect: Callable[[EngineState, Sequence[Fact]], None] | None = None,
    legs: Callable[[Run, BuiltInExchange], Awaitable[RunSummary]] | None = None,
) -> RunSummary:
    """Run exchange and daemon under virtual time until so many markets have settled.

    `restart`: the second at which the daemon is killed, and how many later it comes back. `modes`: the
    venue's modes as (word, second, seconds); `store` and `network`: what befalls the daemon's own, in the
    same form; `steps`: those of its clock. `inspect` looks at the engine's memory after every commit.
    `legs` runs the daemon in its own way.
    """
    start_ns = planned_start_ns(config)

    async def main() -> RunSummary:
        clock = LoopClock(start_ns)
        exchange = BuiltInExchange(config, clock)
        for mode, second, seconds in modes:
            exchange.core.modes.plan(Mode(mode), start_ns + second * NS_PER_S, seconds)
        wishes = script(exchange, clock)
        urls = await exchange.start()
        key = SigningKey(simulated_key(config.seed))
        opened = exchange.open_account(key.address)
        run = Run(
            settings=settings,
            symbols=config.symbols,
            endpoints=Endpoints(**{name: getattr(urls, name) for name in Endpoints.__dataclass_fields__}),
            wallet=Wallet(
                key=key,
                credentials=L2Credentials(opened.key, opened.secret, opened.passphrase),
                signature_type=0,
                funder=None,
            ),
            clock=SteppedClock(clock, steps, start_ns) if steps else clock,
            log=log,
            chance=Random(f"{config.seed}:daemon"),
            session=session,
            markets_limit=markets_limit,
            handle_signals=False,
            wishes={"script": wishes},
            inspect=inspect,
            store=(lambda inner: BadMinutes(inner, clock, store, start_ns)) if store else None,
        )
        driver = asyncio.get_running_loop().create_task(exchange.run(), name="exchange")
        driver.add_done_callback(partial(_ends_the_run, asyncio.current_task()))
        spells = [Spell(kind=kind, second=second, seconds=seconds) for kind, second, seconds in network]
        weather = asyncio.get_running_loop().create_task(spoil_network(spells, clock, Counter()), name="network")
        try:
            if legs is not None:
                return await legs(run, exchange)
            if restart is not None:
                await _killed(run, clock, *restart)
            return await run_daemon(run)
        finally:
            driver.cancel()
            weather.cancel()
            ended, _ = await asyncio.gather(driver, weather, return_exceptions=True)
            if isinstance(ended, Exception):
                raise ended
            await exchange.close()

    summary = deterministic.run(main(), seed=config.seed, start_ns=start_ns)
    structlog.reset_defaults()
    return summary


def _ends_the_run(main: asyncio.Task[object] | None, driver: asyncio.Task[None]) -> None:
    """An exchange that stands still by an error in the script ends the run, which would wait for ever."""
    if main is not None and not driver.cancelled() and driver.exception() is not None:
        main.cancel()


async def _killed(run: Run, clock: Clock, at_s: float, down_s: float) -> None:
    """The daemon runs until it is killed; return when it is to be started again."""
    task = asyncio.get_running_loop().create_task(run_daemon(run), name="daemon")
    await clock.sleep(at_s)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    await clock.sleep(down_s)
