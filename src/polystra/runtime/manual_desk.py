"""The manual desk: exits, entries and new settings that a person asks of the running daemon, with an answer.

What lives here: the way of such a wish through the inbox and back by committed facts. What must not: what it would
cost (`manual_evidence`), whether it is granted (the engine), where the wish comes from: a command file
(`control_desk`) or a caller in this process both end in `carry_out`.

Without `confirmed` nothing is done: the answer is what would be done. A wish from a file is taken once and forgotten
at once, as the person who wrote it waits; what lies there when the daemon starts was asked of another run.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Final

from polystra.domain.controls import ManualAct, ManualCommand, RepairAnswer
from polystra.domain.events import ConfigChanged, EntryRequested, ExitRequested
from polystra.domain.facts import Fact, IntentRecorded, Notice, NoticeKind, RequestAnswered
from polystra.domain.ids import PositionId
from polystra.domain.market import SIZE_STEP, Outcome
from polystra.domain.orders import Order
from polystra.domain.units import NS_PER_S, format_micros
from polystra.engine.state import EngineState, ExitPhase
from polystra.ports.clock import Clock
from polystra.ports.controls import Controls
from polystra.ports.logbook import LogEvent
from polystra.runtime.inbox import Inbox
from polystra.runtime.log import Log
from polystra.runtime.manual_evidence import ManualEvidence
from polystra.runtime.settings_source import SettingsReading, SettingsSource

PATIENCE_S: Final = 15.0
"""So long a wish is waited for before the answer says that it is under way (the run's clock)."""
_LOOK_EVERY_S: Final = 0.2
_ON_EXIT: Final = (NoticeKind.STOP_FIRED, NoticeKind.EXIT_SKIPPED, NoticeKind.REQUEST_REFUSED)


class ManualDesk:
    """See the module docstring. All calls belong to the event loop that runs the engine."""

    def __init__(
        self,
        *,
        controls: Controls | None,
        state: EngineState,
        inbox: Inbox,
        clock: Clock,
        log: Log,
        settings: SettingsSource | None,
    ) -> None:
        self._controls = controls
        self._state = state
        self._inbox = inbox
        self._clock = clock
        self._log = log
        self._settings = settings
        self._evidence = ManualEvidence(state)
        self._waiting: asyncio.Queue[ManualCommand] = asyncio.Queue()
        self._is_open = False
        self._listening = 0
        self._notices: dict[str, Notice] = {}
        """The last word on each subject that is waited for."""
        self._answers: dict[str, RequestAnswered] = {}
        self._orders: dict[str, Order] = {}
        """Orders made while somebody waits, by the reason that they carry."""

    # --- asked by files ---------------------------------------------------------------

    async def run(self) -> None:
        """Answer for ever what came by files, one wish after another."""
        while True:
            command = await self._waiting.get()
            answer = await self.carry_out(command)
            if self._controls is None or not command.command_id:
                continue
            try:
                self._controls.answer(answer)
            except OSError as error:
                problem = f"the answer to {command.act} {command.command_id} cannot be left: {error}"
                self._log.error(LogEvent.CONTROL_FAILED, problem=problem)

    def open(self) -> None:
        """From now on wishes are taken: what was left before was asked of another run."""
        self._is_open = True

    def take(self, command: ManualCommand) -> None:
        """Take a wish from a file."""
        if self._controls is None:
            return
        try:
            if not self._controls.done(command.command_id):
                return  # taken back between the look and now: the person was told that nothing happens
        except OSError as error:
            problem = f"{command.act} {command.command_id} cannot be taken up: {error}"
            self._log.error(LogEvent.CONTROL_FAILED, problem=problem)
            return
        if self._is_open:
            self._waiting.put_nowait(command)

    def reload(self, source: str) -> None:
        """Somebody who does not wait for an answer (a signal) wants the settings read anew."""
        self._waiting.put_nowait(ManualCommand(command_id="", act=ManualAct.RELOAD, confirmed=True, source=source))

    # --- asked by anybody -------------------------------------------------------------

    async def carry_out(self, command: ManualCommand) -> RepairAnswer:
        """Say what a wish would do, or, confirmed, do it and say what came of it."""
        named = replace(command, command_id=command.command_id or f"{command.act}-{self._clock.now_ns()}")
        self._listening += 1
        try:
            answer = await self._carried_out(named)
        finally:
            self._listening -= 1
            if not self._listening:
                self._notices.clear()
                self._answers.clear()
                self._orders.clear()
        if command.confirmed or answer.refusal:
            tell = self._log.warning if answer.refusal else self._log.info
            tell(
                LogEvent.CONTROL_ASKED,
                command=str(command.act),
                subject=command.subject,
                source=command.source,
                outcome=answer.refusal or answer.outcome,
            )
        return answer

    def heard(self, facts: Iterable[Fact]) -> None:
        """After every commit."""
        if not self._listening:
            return
        for fact in facts:
            if isinstance(fact, Notice) and fact.kind in _ON_EXIT:
                self._notices[fact.subject] = fact
            elif isinstance(fact, RequestAnswered):
                self._answers[fact.request_id] = fact
            elif isinstance(fact, IntentRecorded):
                self._orders[fact.order.terms.reason] = fact.order

    # --- inside -----------------------------------------------------------------------

    async def _carried_out(self, command: ManualCommand) -> RepairAnswer:
        match command.act:
            case ManualAct.FORCE_EXIT:
                return await self._exit(command)
            case ManualAct.FORCE_ENTER:
                return await self._enter(command)
            case ManualAct.RELOAD:
                return await self._reload(command)

    async def _exit(self, command: ManualCommand) -> RepairAnswer:
        meant, lines, refusal = self._evidence.of_exit(command.subject)
        answer = RepairAnswer(command_id=command.command_id, ours=lines, refusal=refusal)
        if refusal or not command.confirmed:
            return answer
        before = {position_id: self._state.positions[position_id].sold for position_id in meant}
        waits = []
        for position_id in meant:
            exits = self._state.exits.get(position_id)
            if exits is None or exits.phase is not ExitPhase.SELLING:
                waits.append(position_id)
                self._notices.pop(position_id, None)
            event = ExitRequested(request_id=f"{command.command_id}", position_id=position_id, source=command.source)
            self._inbox.put(event)
        await self._until(lambda: all(self._is_told(position_id) for position_id in waits))
        await self._until(lambda: all(self._is_out(position_id) for position_id in meant))
        words = [self._exit_words(position_id, before[position_id]) for position_id in meant]
        return replace(answer, outcome="; ".join(words))

    async def _enter(self, command: ManualCommand) -> RepairAnswer:
        if self._settings is None or not self._settings.allows_entries_by_hand:
            words = "entries by hand are off: set FORCE_ENTRY_ENABLE=YES and run polystra reload_config"
            return RepairAnswer(command_id=command.command_id, refusal=words)
        wanted, lines, refusal = self._evidence.of_entry(command)
        answer = RepairAnswer(command_id=command.command_id, ours=lines, refusal=refusal)
        if wanted is None or refusal or not command.confirmed:
            return answer
        event = EntryRequested(
            request_id=command.command_id,
            condition_id=wanted.condition_id,
            outcome=Outcome(command.outcome),
            price=wanted.price,
            budget=command.budget,
            source=command.source,
        )
        self._inbox.put(event)
        reason = f"request {event.request_id} of {event.source}"
        await self._until(lambda: event.request_id in self._notices or reason in self._orders)
        refused = self._notices.get(event.request_id)
        if refused is not None:
            return replace(answer, refusal=refused.message)
        order = self._orders.get(reason)
        if order is None:
            return replace(answer, refusal="the daemon has not said what became of it in time: look at polystra orders")
        name = order.terms.client_order_id
        await self._until(lambda: (track := self._state.orders.get(name)) is None or track.is_settled)
        track = self._state.orders.get(name)
        if track is None:
            return replace(answer, outcome=f"order {name} is over with its market")
        cash = sum(
            fill.cash for fill in self._state.fills.of_position(order.terms.position_id) if fill.client_order_id == name
        )
        words = f"order {name} is {track.order.status.lower()}: {format_micros(track.order.filled)} shares bought for "
        return replace(answer, outcome=f"{words}{format_micros(abs(cash))} dollars into {order.terms.position_id}")

    async def _reload(self, command: ManualCommand) -> RepairAnswer:
        if self._settings is None:
            words = "this run has no settings file to read anew: it was started by a program"
            return RepairAnswer(command_id=command.command_id, refusal=words)
        reading = await self._read(self._settings)
        answer = RepairAnswer(command_id=command.command_id, ours=reading.words, refusal=reading.refusal)
        if reading.refusal or not command.confirmed or not reading.words:
            return answer if reading.words or reading.refusal else replace(answer, outcome="nothing differs")
        self._inbox.put(
            ConfigChanged(
                request_id=command.command_id, changes=reading.changes, words=reading.words, source=command.source
            )
        )
        await self._until(lambda: command.command_id in self._answers)
        told = self._answers.get(command.command_id)
        if told is None:
            return replace(answer, refusal="the daemon has not taken them up in time: ask again")
        if told.refusal:
            return replace(answer, refusal=told.refusal)
        self._settings.taken()
        return replace(answer, outcome=f"{len(reading.words)} settings changed")

    async def _read(self, settings: SettingsSource) -> SettingsReading:
        """In a thread: files may be slow, and trading goes on meanwhile."""
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(None, settings.read, self._state.config)

    def _is_told(self, position_id: PositionId) -> bool:
        return position_id in self._notices

    def _is_out(self, position_id: PositionId) -> bool:
        """Nothing is left to be sold, or it will not be sold."""
        notice = self._notices.get(position_id)
        if notice is not None and notice.kind is not NoticeKind.STOP_FIRED:
            return True
        position = self._state.positions.get(position_id)
        return position is None or position.shares < SIZE_STEP

    def _exit_words(self, position_id: PositionId, sold_before: int) -> str:
        notice = self._notices.get(position_id)
        if notice is not None and notice.kind is not NoticeKind.STOP_FIRED:
            return f"{position_id}: {notice.message}"
        position = self._state.positions.get(position_id)
        if position is None:
            return f"{position_id}: over"
        sold = format_micros(position.sold - sold_before)
        if position.shares < SIZE_STEP:
            return f"{position_id}: sold {sold} shares, nothing is left; result {format_micros(position.realised_pnl)}"
        left = format_micros(position.shares)
        return f"{position_id}: sold {sold} shares so far, {left} are left; the daemon goes on selling"

    async def _until(self, is_so: Callable[[], bool]) -> None:
        """Wait until something is so, for `PATIENCE_S` at most."""
        give_up_ns = self._clock.monotonic_ns() + int(PATIENCE_S * NS_PER_S)
        while not is_so() and self._clock.monotonic_ns() < give_up_ns:
            await self._clock.sleep(_LOOK_EVERY_S)
