"""The controls port: what people on this machine ask of a running daemon.

Contract:
1. `read` returns the commands that wait, oldest first, the same ones again until `done` is called.
2. `done` makes a command go away; harmless when it has gone.
3. `kill_file` is true while the kill file is there. Its absence asks for nothing.
4. `repairs` and `wishes` are taken once: whoever takes one calls `done` before anything else, so that none is
   carried out later than the person who asked for it waits; one that had gone by then was taken back, and is not
   carried out. `answer` leaves the answer for that person.
5. What cannot be read is named in `problems` and never stops the reading of the rest.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from polystra.domain.controls import ControlCommand, ManualCommand, RepairAnswer, RepairCommand


@dataclass(frozen=True, slots=True, kw_only=True)
class ControlReading:
    """What was found at one look."""

    commands: tuple[ControlCommand, ...] = ()
    repairs: tuple[RepairCommand, ...] = ()
    wishes: tuple[ManualCommand, ...] = ()
    kill_file: str = ""
    """The path of the kill file, empty while there is none."""
    problems: tuple[str, ...] = ()


class Controls(Protocol):
    """Commands and the kill file; see the module docstring for the numbered contract."""

    def read(self) -> ControlReading:
        """Look once; quick, does not block."""
        ...

    def done(self, command_id: str) -> bool:
        """Forget a command whose effect is durable; False when it had gone already. Raises OSError."""
        ...

    def answer(self, answer: RepairAnswer) -> None:
        """Leave an answer for whoever asked; raises OSError when it cannot be left."""
        ...
