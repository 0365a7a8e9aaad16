"""The repair desk: shows a person the evidence, has a confirmed repair carried out, and says what came of it.

What lives here: the way of a repair through the inbox and back by committed facts. What must not: what is true
(`repair_evidence` reads it) and what is changed (the engine's `Repairs`).

A repair is taken once and forgotten at once: a person waits for it. What lies there when the daemon starts was
asked of another run, and is not carried out.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable

from polystra.domain.controls import RepairAnswer, RepairCommand
from polystra.domain.events import RepairRequested
from polystra.domain.facts import Fact, Notice, NoticeKind, RequestAnswered
from polystra.ports.controls import Controls
from polystra.ports.logbook import LogEvent
from polystra.runtime.inbox import Inbox
from polystra.runtime.log import Log
from polystra.runtime.repair_evidence import RepairEvidence


class RepairDesk:
    """See the module docstring. `take` and `heard` never wait; `run` asks the venue."""

    def __init__(self, *, controls: Controls, evidence: RepairEvidence, inbox: Inbox, log: Log) -> None:
        self._controls = controls
        self._evidence = evidence
        self._inbox = inbox
        self._log = log
        self._waiting: asyncio.Queue[RepairCommand] = asyncio.Queue()
        self._under_way: set[str] = set()
        self._told = ""
        """What the last repair that was carried out came to."""
        self._is_open = False

    async def run(self) -> None:
        """Show evidence for ever, one question after another."""
        while True:
            command = await self._waiting.get()
            self._answer(await self._evidence.gather(command))

    def open(self) -> None:
        """From now on repairs are taken: what was left before was asked of another run."""
        self._is_open = True

    def take(self, command: RepairCommand) -> None:
        """Take a repair: look for its evidence, or put it to the engine when it is confirmed."""
        try:
            if not self._controls.done(command.command_id):
                return  # taken back between the look and now: the person was told that nothing happens
        except OSError as error:
            problem = f"repair {command.command_id} cannot be taken up: {error}"
            self._log.error(LogEvent.CONTROL_FAILED, problem=problem)
            return
        if not self._is_open:
            words = "it was asked of a daemon that ran before this one: ask again"
            self._answer(RepairAnswer(command_id=command.command_id, refusal=words))
        elif not command.confirmed:
            self._waiting.put_nowait(command)
        else:
            self._under_way.add(command.command_id)
            self._inbox.put(
                RepairRequested(
                    request_id=command.command_id,
                    act=command.act,
                    subject=command.subject,
                    seen=command.seen,
                    price=command.price,
                )
            )

    def heard(self, facts: Iterable[Fact]) -> None:
        """After every commit: whoever waits for one of these is answered."""
        if not self._under_way:
            return
        for fact in facts:
            if isinstance(fact, Notice) and fact.kind is NoticeKind.REPAIRED:
                self._told = fact.message
            elif isinstance(fact, RequestAnswered) and fact.request_id in self._under_way:
                self._under_way.discard(fact.request_id)
                outcome = "" if fact.refusal else self._told
                self._answer(RepairAnswer(command_id=fact.request_id, outcome=outcome, refusal=fact.refusal))

    def _answer(self, answer: RepairAnswer) -> None:
        try:
            self._controls.answer(answer)
        except OSError as error:
            problem = f"the answer to repair {answer.command_id} cannot be left: {error}"
            self._log.error(LogEvent.CONTROL_FAILED, problem=problem)
