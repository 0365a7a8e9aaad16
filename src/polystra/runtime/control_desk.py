"""The control desk: takes up what people ask for on this machine, once a second.

A command becomes switch requests in the inbox, and is done with after the batch that held the last
of them is committed. The kill file asks for the kill switch for as long as it is there; taking it
away asks for nothing.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from polystra.domain.controls import ManualCommand, RepairCommand, wishes
from polystra.domain.events import SwitchName, SwitchRequested
from polystra.ports.clock import Clock
from polystra.ports.controls import ControlReading, Controls
from polystra.ports.logbook import LogEvent
from polystra.runtime.inbox import Inbox
from polystra.runtime.log import Log

LOOK_EVERY_S: Final = 1.0


class ControlDesk:
    """See the module docstring."""

    def __init__(
        self,
        *,
        controls: Controls,
        clock: Clock,
        inbox: Inbox,
        log: Log,
        on_repair: Callable[[RepairCommand], None] | None = None,
        on_wish: Callable[[ManualCommand], None] | None = None,
    ) -> None:
        self._on_repair = on_repair
        self._on_wish = on_wish
        self._controls = controls
        self._clock = clock
        self._inbox = inbox
        self._log = log
        self._taken: dict[str, int] = {}
        """Commands taken up, with the number of their requests that are not committed yet."""
        self._told: set[str] = set()

    async def run(self) -> None:
        """Look for ever."""
        while True:
            await self._clock.sleep(LOOK_EVERY_S)
            self.look()

    def look(self) -> None:
        """Put what is new into the inbox."""
        reading = self._controls.read()
        for problem in reading.problems:
            if problem not in self._told:
                self._told.add(problem)
                self._log.error(LogEvent.CONTROL_FAILED, problem=problem)
        if reading.kill_file:
            reason = f"{reading.kill_file} is there"
            self._inbox.put(SwitchRequested(name=SwitchName.KILL, on=True, reason=reason, source="file"))
        self._pass_on(reading)
        for command in reading.commands:
            if command.command_id in self._taken:
                continue
            requests = wishes(command, self._clock.now_ns())
            self._taken[command.command_id] = len(requests)
            for request in requests:
                self._inbox.put(request)

    def _pass_on(self, reading: ControlReading) -> None:
        """Repairs and wishes belong to other desks."""
        if self._on_repair is not None:
            for repair in reading.repairs:
                self._on_repair(repair)
        if self._on_wish is not None:
            for wish in reading.wishes:
                self._on_wish(wish)

    def committed(self, request: SwitchRequested) -> None:
        """A request was carried out durably; after the last one of a command the command goes."""
        left = self._taken.get(request.request_id)
        if left is None:
            return
        self._taken[request.request_id] = left - 1
        if left > 1:
            return
        try:
            self._controls.done(request.request_id)
        except OSError as error:
            self._log.error(LogEvent.CONTROL_FAILED, problem=f"command {request.request_id} cannot be deleted: {error}")
            return
        del self._taken[request.request_id]
