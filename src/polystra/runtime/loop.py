"""The engine's loop: take, step, sign, commit, release. The one writer of trading state.

A batch of waiting inputs is stepped through, its facts are committed in one transaction,
and only then its effects are released (no order leaves before its intent is durable). An
intent is signed between step and commit: its order id and bytes are part of the batch.
Inputs that come in meanwhile form the next batch: that is the group commit.

What is told of the facts in the log is written once the effects have had their turn: some lines take as long as a
request's way to its socket (`benchmarks/tick.py`: 0.4 ms of 3.4).

The digest is a running hash of the committed facts (`engine.fact_digest`). Whoever records a session is shown every
input with the time at which it was taken, before the step.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence

from polystra.domain.errors import StoreBusy
from polystra.domain.events import OrderSigned, SigningFailed, SwitchRequested, WorldEvent
from polystra.domain.facts import Fact
from polystra.domain.units import NS_PER_S, Nanos
from polystra.engine import effects as fx
from polystra.engine.core import Engine
from polystra.engine.fact_digest import FactDigest
from polystra.engine.left_open import left_open
from polystra.engine.state import EngineState, Turn
from polystra.ports.clock import Clock
from polystra.ports.heartbeat import Heart, LifeSign
from polystra.ports.input_tap import InputTap
from polystra.ports.logbook import LogEvent
from polystra.ports.signing import TermsSigner, answer_of
from polystra.ports.store import Store
from polystra.runtime.fact_log import FactLog
from polystra.runtime.inbox import Inbox
from polystra.runtime.log import Log
from polystra.runtime.outbox import Outbox
from polystra.runtime.timers import Timers

_BATCH = 256
_BUSY_PAUSE_S = 0.5
_LIFE_EVERY_S = 1.0
_TURNS_BEFORE_TELLING = 3
"""So many turns of the event loop a request takes from its task to its socket."""
_STOP_PATIENCE_S = 5
"""So long a stop waits for the database before people are told that it does."""


class EngineLoop:
    """See the module docstring."""

    def __init__(
        self,
        *,
        engine: Engine,
        store: Store,
        signer: TermsSigner,
        clock: Clock,
        inbox: Inbox,
        outbox: Outbox,
        timers: Timers,
        log: Log,
        on_switched: Callable[[SwitchRequested], None] | None = None,
        inspect: Callable[[EngineState, Sequence[Fact]], None] | None = None,
        life: LifeSign | None = None,
        heart: Heart | None = None,
        on_committed: Callable[[Sequence[Fact]], None] | None = None,
        tap: InputTap | None = None,
    ) -> None:
        self._engine = engine
        self._store = store
        self._signer = signer
        self._clock = clock
        self._inbox = inbox
        self._outbox = outbox
        self._timers = timers
        self._log = log
        self._life = life
        self._heart = heart
        self._is_idle = False
        self._fact_log = FactLog(log)
        self._on_switched = on_switched
        self._on_committed = on_committed
        self._inspect = inspect
        self._tap = tap
        self._untold: list[Sequence[Fact]] = []
        self._has_untold = asyncio.Event()
        self._facts: list[Fact] = []
        self._effects: list[fx.Effect] = []
        self.digest = FactDigest()
        self.finish: fx.Finish | None = None
        self.steps = 0
        self.commits = 0
        self.committing_ns: Nanos = 0
        """What the commits took together."""
        self.commit_began_ns: Nanos | None = None
        """By the monotonic clock: since when a commit is under way, None while none is."""
        self._stop_asked_ns: Nanos | None = None

    async def run(self) -> fx.Finish:
        """Work until the engine says that the run is finished; returns its last word."""
        try:
            return await self._work()
        finally:
            self._tell()

    async def _work(self) -> fx.Finish:
        start_ns = self._clock.now_ns()
        if self._tap is not None:
            self._tap.started(start_ns)
        self._absorb(self._engine.start(start_ns))
        await self._commit()
        while self.finish is None:
            self._is_idle = True
            batch = await self._inbox.take(_BATCH)
            self._is_idle = False
            for event in batch:
                self.steps += 1
                now_ns = self._clock.now_ns()
                if self._tap is not None:
                    self._tap.took(event, now_ns)
                self._absorb(self._engine.step(event, now_ns))
            await self._commit()
            self._tell_switched(batch)
        return self.finish

    def expect_stop(self) -> None:
        """A stop was asked for: should the database hold it up, what would be left is said all the same."""
        self._stop_asked_ns = self._clock.monotonic_ns()

    async def tell_facts(self) -> None:
        """Write the log of what was committed, for ever; what is left at the end `run` writes."""
        while True:
            await self._has_untold.wait()
            self._has_untold.clear()
            for _ in range(_TURNS_BEFORE_TELLING):
                await self._clock.sleep(0)
            self._tell()

    async def show_life(self) -> None:
        """Mark the sign of life once a second while the loop waits for inputs; its commits mark it too."""
        while True:
            if self._is_idle:
                self._mark()
            self._tell_held_stop()
            await self._clock.sleep(_LIFE_EVERY_S)

    # --- inside -----------------------------------------------------------------------

    def _tell_switched(self, batch: Sequence[WorldEvent]) -> None:
        """After the commit: whoever asked for a switch may forget that it asked."""
        if self._on_switched is None:
            return
        for event in batch:
            if isinstance(event, SwitchRequested):
                self._on_switched(event)

    def _absorb(self, turn: Turn) -> None:
        """Collect a turn; sign its intents now, each answer being a turn of its own."""
        self._facts += turn.facts
        for effect in turn.effects:
            match effect:
                case fx.SignIntent():
                    self._absorb(self._engine.step(self._sign(effect), turn.now_ns))
                case fx.SetTimer():
                    self._timers.set(effect.key, effect.due_ns)
                case _:
                    self._effects.append(effect)

    def _sign(self, effect: fx.SignIntent) -> OrderSigned | SigningFailed:
        return answer_of(self._signer, effect.terms, salt=effect.salt, timestamp_ms=effect.timestamp_ms)

    async def _commit(self) -> None:
        """Make the batch durable, then release it. A busy store is waited for: nothing leaves meanwhile."""
        facts, self._facts = self._facts, []
        effects, self._effects = self._effects, []
        if facts:
            self.digest.add(facts)
            await self._durable(facts, held=len(effects))
            if self._on_committed is not None:
                self._on_committed(facts)
            if self._inspect is not None:
                self._inspect(self._engine.state, facts)
        self._mark()
        self._outbox.release(effects)
        if facts:
            self._untold.append(facts)
            self._has_untold.set()
        for effect in effects:
            if isinstance(effect, fx.Finish):
                self.finish = effect
            elif isinstance(effect, fx.StartHeartbeat) and self._heart is not None:
                self._heart.start()

    def _tell(self) -> None:
        """Write the log of what was committed."""
        untold, self._untold = self._untold, []
        for facts in untold:
            self._fact_log.write(facts)

    async def _durable(self, facts: Sequence[Fact], *, held: int) -> None:
        """Return when the facts are committed, however long the store is busy; `held` effects wait for it."""
        began_ns = self.commit_began_ns = self._clock.monotonic_ns()
        busy = False
        while True:
            try:
                await self._store.commit(facts)
                break
            except StoreBusy as error:
                if not busy:
                    self._log.error(LogEvent.STORE_BUSY, error=str(error), held_effects=held)
                busy = True
                await self._clock.sleep(_BUSY_PAUSE_S)
                self._tell_held_stop()
        self.commits += 1
        self.committing_ns += self._clock.monotonic_ns() - began_ns
        self.commit_began_ns = None
        if busy:
            self._log.info(LogEvent.STORE_FREED, released_effects=held)

    def _tell_held_stop(self) -> None:
        """Once: whoever kills the process now shall know what it leaves."""
        asked_ns, began_ns = self._stop_asked_ns, self.commit_began_ns
        if asked_ns is None or began_ns is None:
            return
        if self._clock.monotonic_ns() - max(asked_ns, began_ns) < _STOP_PATIENCE_S * NS_PER_S:
            return
        self._stop_asked_ns = None
        left = left_open(self._engine.state, self._clock.now_ns())
        self._log.error(LogEvent.SHUTDOWN_HELD, left_open="; ".join(left) or "nothing")

    def _mark(self) -> None:
        if self._life is not None:
            self._life.mark()
