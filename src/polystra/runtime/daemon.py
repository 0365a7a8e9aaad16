"""The daemon: load, reconcile, run, stop. Puts the shell's parts together around one engine.

What lives here: the order of start-up and shutdown. What must not: names of concrete
adapters (see the composition root), trading decisions.
"""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Callable, Coroutine, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, Final

from polystra.domain.errors import StoreBusy
from polystra.domain.events import StopMode, StopRequested, WorldEvent
from polystra.domain.facts import Fact
from polystra.domain.units import NS_PER_S
from polystra.engine.config import EngineConfig
from polystra.engine.core import Engine
from polystra.engine.state import EngineState
from polystra.engine.strategy.advisor import Advisor
from polystra.ports.clock import Clock
from polystra.ports.controls import Controls
from polystra.ports.heartbeat import Heart, LifeSign
from polystra.ports.input_tap import InputTap
from polystra.ports.logbook import LogEvent
from polystra.ports.signing import TermsSigner
from polystra.ports.store import Store, StoredState
from polystra.ports.tenure import Tenure
from polystra.ports.venue import EventStream, HoldingsSource, MarketDiscovery, Sink, TokenStream, TradingVenue
from polystra.ports.viewing import Viewer, Workings
from polystra.runtime.alerts import Alerts
from polystra.runtime.control_desk import ControlDesk
from polystra.runtime.health import Pulse
from polystra.runtime.inbox import Inbox
from polystra.runtime.log import Log
from polystra.runtime.loop import EngineLoop
from polystra.runtime.manual_desk import ManualDesk
from polystra.runtime.order_desk import OrderDesk
from polystra.runtime.outbox import Outbox
from polystra.runtime.repair_desk import RepairDesk
from polystra.runtime.repair_evidence import RepairEvidence
from polystra.runtime.settings_source import SettingsSource
from polystra.runtime.signal_desk import SignalDesk
from polystra.runtime.supervisor import supervise
from polystra.runtime.tenure import TenureKeeper
from polystra.runtime.timers import Timers
from polystra.runtime.viewing import Viewing

HOUSEKEEPING_EVERY_S: Final = 3_600
SKIPPED_DECISIONS_KEPT_S: Final = 7 * 86_400


@dataclass(frozen=True, slots=True, kw_only=True)
class Parts:
    """What the composition root hands over."""

    config: EngineConfig
    store: Store
    signer: TermsSigner
    clock: Clock
    venue: TradingVenue
    discovery: MarketDiscovery
    market_stream: TokenStream
    streams: Mapping[str, EventStream]
    log: Log
    stop_mode: StopMode = StopMode.KEEP_EXITS
    beside: Mapping[str, Callable[[], Coroutine[Any, Any, None]]] = field(default_factory=dict)
    """Further eternal tasks, e.g. the built-in exchange."""
    handle_signals: bool = True
    holdings: HoldingsSource | None = None
    """The second source on what the wallet holds."""
    heart: Heart | None = None
    """Beats for the API key once the engine asks for it; depends on `life`."""
    life: LifeSign | None = None
    tenure: Tenure | None = None
    """The hold on the account; None: nobody else can have it."""
    opening: tuple[WorldEvent, ...] = ()
    """Inputs that are known before the first turn."""
    inspect: Callable[[EngineState, Sequence[Fact]], None] | None = None
    """Sees the engine's memory and the facts after each commit, before anything leaves; it changes nothing."""
    tap: InputTap | None = None
    """Sees every input as it is taken."""
    controls: Controls | None = None
    """What people on this machine ask for; None: nobody can."""
    settings: SettingsSource | None = None
    """The user's settings, to be read anew while the daemon trades; None: nobody can ask for that."""
    advisor: Advisor | None = None
    """The user's own strategy."""
    signals: SignalDesk | None = None
    """Where signals from outside come in; None: none do."""
    alerts: Alerts | None = None
    """Tells people; hears every committed fact."""
    pulse: Pulse | None = None
    """Tells probes outside how the loop and the streams are; depends on `life`."""
    viewer: Viewer | None = None
    """Is shown the account once a second of `real`, and every committed fact."""
    real: Clock | None = None
    """The system's clock, whatever the pace of the run; goes with `viewer`."""
    users: Mapping[str, Callable[[Daemon], Coroutine[Any, Any, None]]] = field(default_factory=dict)
    """Eternal tasks that trade or ask through the daemon's desk, by their names."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RunSummary:
    """How a run ended. `digest` is the SHA-256 over its facts."""

    reason: str
    left_open: tuple[str, ...]
    settled_markets: int
    facts: int
    steps: int
    requests: int
    digest: str


class Daemon:
    """One run of one account."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self._engine = Engine(parts.config, parts.advisor)
        self._inbox = Inbox()
        tenure = parts.tenure
        self._keeper = None if tenure is None else TenureKeeper(tenure, clock=parts.clock, log=parts.log)
        self._repairs = self._repair_desk()
        self.manual: Final = ManualDesk(
            controls=parts.controls,
            state=self._engine.state,
            inbox=self._inbox,
            clock=parts.clock,
            log=parts.log,
            settings=parts.settings,
        )
        """Where people ask for exits, entries and new settings, and are answered."""
        self.desk: Final = OrderDesk(state=self._engine.state, inbox=self._inbox, venue=parts.venue, clock=parts.clock)
        """Where people and tools place and cancel orders, and ask."""
        for event in parts.opening:
            self._inbox.put(event)

    async def run(self) -> RunSummary:
        """Run until a signal, the end of a limited run, or a bug."""
        parts = self._parts
        stored = await parts.store.load()
        restore(self._engine, stored)
        if parts.alerts is not None:
            parts.alerts.resume(stored.postings)
        timers = Timers(parts.clock, self._inbox)
        desk = self._control_desk()
        outbox = Outbox(
            venue=parts.venue,
            discovery=parts.discovery,
            market_stream=parts.market_stream,
            clock=parts.clock,
            inbox=self._inbox,
            log=parts.log,
            holdings=parts.holdings,
            keeper=self._keeper,
        )
        loop = EngineLoop(
            engine=self._engine,
            store=parts.store,
            signer=parts.signer,
            clock=parts.clock,
            inbox=self._inbox,
            outbox=outbox,
            timers=timers,
            log=parts.log,
            on_switched=None if desk is None else desk.committed,
            inspect=parts.inspect,
            life=parts.life,
            heart=parts.heart,
            on_committed=self._heard,
            tap=parts.tap,
        )
        if parts.alerts is not None:
            parts.alerts.watch(lambda: loop.commit_began_ns)
        if desk is not None:
            desk.look()
        if self._repairs is not None:
            self._repairs.open()
        self.manual.open()
        if parts.signals is not None:
            parts.signals.open(self._inbox)
        if parts.handle_signals:
            self._listen_for_signals(loop.expect_stop)
        finish = await supervise(loop.run(), self._eternal(loop, outbox, timers, desk))
        summary = RunSummary(
            reason=finish.reason,
            left_open=finish.left_open,
            settled_markets=self._engine.state.settled_markets,
            facts=loop.digest.facts,
            steps=loop.steps,
            requests=outbox.requests,
            digest=loop.digest.hexdigest(),
        )
        parts.log.info(
            LogEvent.SHUTDOWN_COMPLETED, reason=summary.reason, left_open="; ".join(summary.left_open) or "nothing"
        )
        return summary

    def _eternal(
        self, loop: EngineLoop, outbox: Outbox, timers: Timers, desk: ControlDesk | None
    ) -> dict[str, Coroutine[Any, Any, None]]:
        """The tasks beside the engine's loop, by name; none of them ever returns."""
        parts = self._parts
        eternal: dict[str, Coroutine[Any, Any, None]] = {name: task() for name, task in parts.beside.items()}
        eternal |= {name: user(self) for name, user in parts.users.items()}
        eternal["timers"] = timers.run()
        eternal["log of facts"] = loop.tell_facts()
        if self._keeper is not None:
            eternal["tenure"] = self._keeper.run()
        if parts.life is not None:
            eternal["sign of life"] = loop.show_life()
        if parts.heart is not None:
            eternal["heartbeat"] = parts.heart.run(self._inbox.put)
        eternal["housekeeping"] = self._keep_house()
        if desk is not None:
            eternal["controls"] = desk.run()
        if self._repairs is not None:
            eternal["repairs"] = self._repairs.run()
        eternal["manual desk"] = self.manual.run()
        eternal["market stream"] = parts.market_stream.run(self._sink("market"))
        for name, stream in parts.streams.items():
            eternal[f"{name} stream"] = stream.run(self._sink(name))
        if (viewing := self._viewing(loop, outbox)) is not None:
            eternal["viewing"] = viewing.run()
        if parts.pulse is not None:
            eternal["pulse"] = parts.pulse.run()
        eternal["outbox"] = outbox.run()
        if parts.alerts is not None:
            eternal["alerts"] = parts.alerts.run()
        return eternal

    def _sink(self, name: str) -> Sink:
        """The way in for a stream."""
        put = self._inbox.put
        return put if self._parts.pulse is None else self._parts.pulse.watch(name, put)

    def _heard(self, facts: Sequence[Fact]) -> None:
        """After every commit."""
        self.desk.heard(facts)
        if self._repairs is not None:
            self._repairs.heard(facts)
        self.manual.heard(facts)
        if self._parts.signals is not None:
            self._parts.signals.heard(facts)
        if self._parts.alerts is not None:
            self._parts.alerts.heard(facts)
        if self._parts.viewer is not None:
            self._parts.viewer.heard(facts)

    def _viewing(self, loop: EngineLoop, outbox: Outbox) -> Viewing | None:
        parts = self._parts
        if parts.viewer is None or parts.real is None:
            return None
        return Viewing(
            parts.viewer,
            state=self._engine.state,
            clock=parts.clock,
            real=parts.real,
            waiting=lambda: len(self._inbox),
            commit_began=lambda: loop.commit_began_ns,
            health=None if parts.pulse is None else parts.pulse.look,
            workings=lambda: Workings(
                sends_waiting=len(outbox),
                commits=loop.commits,
                committing_ns=loop.committing_ns,
                budget=parts.venue.budget.left(),
            ),
        )

    def _control_desk(self) -> ControlDesk | None:
        parts = self._parts
        if parts.controls is None:
            return None
        take = None if self._repairs is None else self._repairs.take
        return ControlDesk(
            controls=parts.controls,
            clock=parts.clock,
            inbox=self._inbox,
            log=parts.log,
            on_repair=take,
            on_wish=self.manual.take,
        )

    def _repair_desk(self) -> RepairDesk | None:
        parts = self._parts
        if parts.controls is None:
            return None
        evidence = RepairEvidence(
            state=self._engine.state, venue=parts.venue, holdings=parts.holdings, clock=parts.clock
        )
        return RepairDesk(controls=parts.controls, evidence=evidence, inbox=self._inbox, log=parts.log)

    async def _keep_house(self) -> None:
        """Drop what is kept only for a while, once an hour."""
        while True:
            await self._parts.clock.sleep(HOUSEKEEPING_EVERY_S)
            try:
                await self._parts.store.prune(self._parts.clock.now_ns(), SKIPPED_DECISIONS_KEPT_S * NS_PER_S)
            except StoreBusy as error:
                self._parts.log.warning(LogEvent.STORE_BUSY, error=str(error), held_effects=0)

    def stop(self, reason: str) -> None:
        """Ask for an orderly stop."""
        self._inbox.put(StopRequested(mode=self._parts.stop_mode, reason=reason))

    def _listen_for_signals(self, expect_stop: Callable[[], None]) -> None:
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            with suppress(NotImplementedError):
                loop.add_signal_handler(number, self._signalled, number, expect_stop)
        with suppress(NotImplementedError):
            loop.add_signal_handler(signal.SIGHUP, self.manual.reload, "SIGHUP")

    def _signalled(self, number: signal.Signals, expect_stop: Callable[[], None]) -> None:
        """First signal: stop in order. A second one kills, because the handlers are gone by then."""
        loop = asyncio.get_running_loop()
        for each in (signal.SIGINT, signal.SIGTERM):
            loop.remove_signal_handler(each)
        expect_stop()
        self.stop(f"signal {number.name}")


def restore(engine: Engine, stored: StoredState) -> None:
    """Give the engine what the store holds of the last run."""
    engine.restore(
        markets=[(each.market, each.price_to_beat) for each in stored.markets if not each.resolved],
        orders=[(each.order, each.signed) for each in stored.orders],
        fills=stored.fills,
        postings=stored.postings,
        positions=stored.positions,
        next_order_number=stored.next_order_number,
        next_decision_id=stored.next_decision_id,
        last_fill_ns=stored.last_fill_ns,
        switches=stored.switches,
        doubts=stored.doubts,
        signals=stored.signals,
        venue_mode=stored.venue_mode,
    )
