"""The health port: what a running daemon tells a probe outside about its own loop and streams.

Contract of `HealthBoard`: `post` replaces what was told before, whole or not at all; `clear` takes it away when
the daemon ends. Both may block for a disk and are called off the event loop. Nothing told is a secret. All times
are of the system's clock whatever the pace of the run: a probe has no other.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from polystra.domain.units import Nanos


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamHealth:
    """One stream: nanoseconds since it last spoke, or since the start when it never did."""

    name: str
    connected: bool
    quiet_ns: Nanos


@dataclass(frozen=True, slots=True, kw_only=True)
class HealthReading:
    """How the daemon was at `at_ns` (UTC). `loop_quiet_ns`: since the engine's loop last proved that it works."""

    at_ns: Nanos
    started_at_ns: Nanos
    process: int
    mode: str
    loop_quiet_ns: Nanos
    streams: tuple[StreamHealth, ...]


class HealthBoard(Protocol):
    """See the module docstring."""

    def post(self, reading: HealthReading) -> None:
        """Replace what is told; raises OSError when it cannot be written."""
        ...

    def clear(self) -> None:
        """Take it away; harmless when nothing is there."""
        ...
