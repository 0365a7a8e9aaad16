"""Runs one plan: daemon, exchange, crowd and faults under virtual time, with deaths and restarts between.

What lives here: the legs of a run, the deaths, the verdict in words. What must not: drawing plans
(`search_plan`), the invariants themselves (`search_invariants`).

Legs: the daemon runs until its next death, comes back after the pause, and the last leg runs until the
markets that are known by then have settled and both sides' books can be compared.
"""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from random import Random
from typing import Any

import structlog

from polystra.adapters.clock import LoopClock
from polystra.adapters.polymarket.signing import L2Credentials, SigningKey
from polystra.app.book_reading import read_both
from polystra.app.report import build_report
from polystra.app.sessions import simulated_key
from polystra.app.settings import Settings, load_settings
from polystra.app.wiring import Endpoints, Run, Wallet, run_daemon
from polystra.app.worlds import exchange_books_path
from polystra.domain.errors import ConfigError, PolystraError, StoreBusy, StoreCorrupt
from polystra.domain.units import NS_PER_S
from polystra.exchange.account_rules import REALISTIC
from polystra.exchange.builtin import BuiltInConfig, BuiltInExchange
from polystra.exchange.core import CoreEvent, OrderEvent, TradeEvent
from polystra.exchange.faults.injector import Injected
from polystra.exchange.faults.scenario import read_scenario
from polystra.exchange.modes import Mode
from polystra.exchange.simulation import planned_start_ns
from polystra.exchange.traders.config import CrowdConfig
from polystra.ports.clock import Clock
from polystra.ports.store import Store
from polystra.ports.venue import EventStream
from polystra.runtime import deterministic
from polystra.runtime.daemon import RunSummary
from polystra.runtime.deterministic_transport import Latency
from tests.simulation.search_deaths import DeathLog, Deaths, Killed
from tests.simulation.search_end import at_the_end, secrets_on_disk
from tests.simulation.search_faults import FaultyStore, spoil_network
from tests.simulation.search_invariants import Watch
from tests.simulation.search_operator import KillSwitch, Operator, Stop
from tests.simulation.search_plan import Plan, eventful_s
from tests.simulation.search_venue import VenueEye, tapped_session


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a plan came to. `broken` is empty when everything held; `digest` is of the last leg's facts."""

    plan: Plan
    broken: tuple[str, ...]
    digests: tuple[str, ...]
    orders: int
    fills: int
    faults: dict[str, int]
    """Injections by kind, those of store and network included."""
    deaths: dict[str, int]
    """Deaths that really came, by kind."""
    in_flight: int
    """Orders whose last request was unanswered when the daemon died."""
    restarts: int
    simulated_s: int
    cpu_s: float = 0.0
    """Processor time that it took."""


_PATIENCE_S = 7_200
"""A run that has not settled so long after its eventful part is broken."""
_OPERATOR_GOES_ON_S = 150
_RESTART_PAUSE_S = 3.0
"""A daemon that ended by its database, or found no venue, is started again after so long, as a container is."""


@dataclass(slots=True)
class _World:
    plan: Plan
    exchange: BuiltInExchange
    clock: Clock
    deaths: Deaths
    eye: VenueEye
    watch: Watch
    begun_ns: int
    kill: KillSwitch
    counts: Counter[str] = field(default_factory=Counter)
    secrets: tuple[str, ...] = ()
    in_flight: int = 0
    legs: int = 0

    @property
    def last_ns(self) -> int:
        """When the last leg begins at the latest."""
        return self.begun_ns + eventful_s(self.plan.minutes) * NS_PER_S

    def heard(self, event: CoreEvent) -> None:
        """The venue did something of ours: die now if that is what was waited for."""
        self.eye.heard(event)
        self.deaths.heard(event, self.eye.owner)

    def store(self, inner: Store) -> Store:
        """The journal of one leg."""
        return FaultyStore(
            inner,
            self.clock,
            self.plan.store,
            begun_ns=self.begun_ns,
            chance=Random(f"{self.plan.seed}:store {self.legs}"),
            deaths=self.deaths,
            counts=self.counts,
            on_durable=self.watch.durable,
        )

    def wishes(self) -> dict[str, EventStream]:
        """What the operator of one leg asks for."""
        operator = Operator(
            self.clock,
            Random(f"{self.plan.seed}:operator {self.legs}"),
            lambda: self.watch.state,
            every_s=self.plan.operator_s,
            until_ns=self.last_ns + _OPERATOR_GOES_ON_S * NS_PER_S,
            name=f"wish-{self.legs}",
        )
        return {"operator": operator, "kill": self.kill}


class _ServerErrors(logging.Handler):
    """Hears what the exchange's web server could not handle: such a run shows nothing about the daemon."""

    def __init__(self, broken: list[str]) -> None:
        super().__init__(logging.ERROR)
        self._broken = broken

    def emit(self, record: logging.LogRecord) -> None:
        """Remember the error."""
        error = record.exc_info[1] if record.exc_info else None
        self._broken.append(f"exchange: {record.getMessage()}: {type(error).__name__}: {error}")


def judge(plan: Plan, folder: Path) -> Verdict:
    """Run a plan in an empty folder and say what did not hold."""
    settings = load_settings(
        {
            "SYMBOLS": ",".join(plan.symbols),
            "WINDOWS": ",".join(plan.windows),
            "DATA_DIR": str(folder),
            "LOG_LEVEL": "ERROR",
            **plan.settings,
        },
        None,
    )
    config = BuiltInConfig(
        seed=plan.seed,
        symbols=plan.symbols,
        windows=plan.windows,
        speed=None,
        books_path=exchange_books_path(settings),
        account_rules=REALISTIC.changed(plan.rules),
        crowd=CrowdConfig(pace_percent=plan.pace_percent),
        faults=read_scenario({"faults": list(plan.faults)}, "plan") if plan.faults else (),
    )
    start_ns = planned_start_ns(config)
    held: dict[str, Any] = {}
    broken: list[str] = []

    async def main() -> list[RunSummary]:
        clock = LoopClock(start_ns)
        asyncio.get_running_loop().set_exception_handler(lambda _, told: broken.append(_swallowed(told)))
        exchange = BuiltInExchange(config, clock)
        for mode, second, seconds in plan.modes:
            exchange.core.modes.plan(Mode(mode), start_ns + second * NS_PER_S, seconds)
        eye = VenueEye()
        kill = KillSwitch(clock, plan.kills, start_ns)
        deaths = Deaths(clock, plan.crashes, start_ns)
        world = _World(plan, exchange, clock, deaths, eye, Watch(clock, eye), start_ns, kill)
        world.watch.late = any(entry.get("with", {}).get("answer") == "live" for entry in plan.faults)
        held["world"] = world
        run = await _run(world, settings)
        exchange.core.add_listener(world.heard, OrderEvent, TradeEvent)
        exchange.faults.injector.on_injected(lambda entry: _count(world.counts, entry))
        loop = asyncio.get_running_loop()
        beside = [
            loop.create_task(exchange.run(), name="exchange"),
            loop.create_task(spoil_network(plan.network, clock, world.counts), name="network"),
            loop.create_task(deaths.by_time(), name="deaths"),
        ]
        try:
            async with clock.timeout(plan.minutes * 60 + _PATIENCE_S):
                return await _legs(world, run)
        except TimeoutError:
            broken.append(f"I6 it has not settled in {plan.minutes} minutes and {_PATIENCE_S} s: {_open(world)}")
            return []
        finally:
            held["simulated_s"] = (clock.now_ns() - start_ns) // NS_PER_S
            for task in beside:
                task.cancel()
            await asyncio.gather(*beside, return_exceptions=True)
            await exchange.close()

    server, heard = logging.getLogger("aiohttp.server"), _ServerErrors(broken)
    server.addHandler(heard)
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    summaries: list[RunSummary] = []
    low, high = plan.latency_ms
    try:
        summaries = deterministic.run(
            main(),
            seed=plan.seed,
            start_ns=start_ns,
            latency=Latency(low_s=max(0.0002, low / 1_000), high_s=high / 1_000),
            shuffle_tasks=plan.shuffled,
        )
    except (PolystraError, AssertionError, LookupError, TypeError, ValueError, RuntimeError, AttributeError) as error:
        broken.append(f"ended by {type(error).__name__}: {error}")
    except BaseExceptionGroup as errors:
        broken.append(f"ended by several errors: {errors.exceptions!r}")
    finally:
        structlog.reset_defaults()
        server.removeHandler(heard)
    if "world" not in held:
        raise AssertionError(f"the world was not made: {'; '.join(broken)}")
    world: _World = held["world"]
    broken += world.watch.broken
    broken += secrets_on_disk(folder, world.secrets)
    reading = read_both(settings)
    if summaries:
        broken += at_the_end(build_report(reading), reading, summaries[-1].left_open, world.eye)
    return Verdict(
        plan=plan,
        broken=tuple(dict.fromkeys(broken)),
        digests=tuple(summary.digest for summary in summaries),
        orders=world.watch.orders,
        fills=len(reading.account.fills),
        faults=dict(world.counts),
        deaths=dict(world.deaths.counts),
        in_flight=world.in_flight,
        restarts=world.legs - 1,
        simulated_s=held["simulated_s"],
    )


async def _run(world: _World, settings: Settings) -> Run:
    """Open the exchange, its account and the daemon's side of the world."""
    plan, exchange = world.plan, world.exchange
    urls = await exchange.start()
    key = SigningKey(simulated_key(plan.seed))
    opened = exchange.open_account(key.address)
    world.eye.owner = opened.key
    log = DeathLog(world.deaths, world.watch.say)
    world.secrets = log.secrets = (simulated_key(plan.seed), opened.secret, opened.passphrase)
    return Run(
        settings=settings,
        symbols=plan.symbols,
        endpoints=Endpoints(**{name: getattr(urls, name) for name in Endpoints.__dataclass_fields__}),
        wallet=Wallet(
            key=key,
            credentials=L2Credentials(opened.key, opened.secret, opened.passphrase),
            signature_type=0,
            funder=None,
        ),
        clock=world.clock,
        log=log,
        chance=Random(f"{plan.seed}:daemon"),
        session=tapped_session(world.watch.left, before=world.deaths.leaves, after=world.deaths.left),
        handle_signals=False,
        inspect=world.watch.look,
        store=world.store,
    )


def _swallowed(told: Mapping[str, Any]) -> str:
    """What asyncio would only have logged."""
    error = told.get("exception")
    return f"swallowed: {told.get('message')}: {type(error).__name__}: {error}"


def _count(counts: Counter[str], entry: Injected) -> None:
    counts[entry.kind] += 1


def _open(world: _World) -> str:
    """What keeps a run from ending, in words."""
    state = world.watch.state
    if state is None:
        return "no daemon has committed anything since its start"
    orders = [f"{t.order.terms.client_order_id} {t.order.status}" for t in state.orders.values() if not t.is_settled]
    positions = [p.position_id for p in state.positions.values() if p.shares]
    return f"orders {orders[:4]}, positions {positions[:4]}, blocks {list(state.blocks)}"


async def _legs(world: _World, run: Run) -> list[RunSummary]:
    """Run from death to death, then until the markets that were known at the end have settled."""
    plan, clock = world.plan, world.clock
    summaries: list[RunSummary] = []

    def due_ns() -> int:
        orderly_ns = world.deaths.next_due_ns(orderly=True)
        return world.last_ns if orderly_ns is None else min(world.last_ns, orderly_ns)

    while clock.now_ns() < world.last_ns:
        summary = await _leg(world, replace(run, wishes={"stop": Stop(clock, due_ns)}))
        if summary is not None:
            summaries.append(summary)
            world.deaths.stopped()
        last = world.deaths.last
        await clock.sleep(_RESTART_PAUSE_S if last is None else last.down_s)
    world.deaths.over = True
    limit = world.watch.unsettled or len(plan.symbols) * len(plan.windows)
    while (summary := await _leg(world, replace(run, markets_limit=limit))) is None:
        await clock.sleep(_RESTART_PAUSE_S)
    return [*summaries, summary]


async def _leg(world: _World, run: Run) -> RunSummary | None:
    """One daemon from its start to its end; None when it died."""
    world.watch.begin_leg()
    chance = Random(f"{world.plan.seed}:leg {world.legs}")
    run = replace(run, chance=chance, wishes={**world.wishes(), **run.wishes})
    world.legs += 1
    task = asyncio.get_running_loop().create_task(run_daemon(run), name="daemon")
    world.deaths.begin_leg(task)
    try:
        summary = await task
    except (Killed, asyncio.CancelledError, StoreCorrupt, StoreBusy, ConfigError) as death:
        if isinstance(death, asyncio.CancelledError) and not task.done():
            raise
        if world.deaths.last is None:
            if not isinstance(death, StoreCorrupt | StoreBusy | ConfigError):
                raise
            world.deaths.counts[f"by itself: {type(death).__name__}"] += 1
        world.in_flight += world.watch.in_flight()
        return None
    finally:
        world.deaths.task = None
    if summary.facts != world.watch.facts:
        world.watch.say(f"the watch saw {world.watch.facts} of {summary.facts} facts")
    return summary
