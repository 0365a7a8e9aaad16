"""The tap port: sees every input of the engine as it is taken, so that a session can be recorded and replayed.

Contract: 1. called in order, on the engine's loop, before the step; 2. returns at once and never raises for
anything that happens to a disk: trading does not depend on it; 3. changes nothing.
"""

from __future__ import annotations

from typing import Protocol

from polystra.domain.events import WorldEvent
from polystra.domain.units import Nanos


class InputTap(Protocol):
    """See the module docstring."""

    def started(self, now_ns: Nanos) -> None:
        """The engine starts at this time, before its first input."""
        ...

    def took(self, event: WorldEvent, now_ns: Nanos) -> None:
        """The engine takes this input at this time."""
        ...
