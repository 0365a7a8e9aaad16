"""The log port of the shell: an event name of the catalogue and key/value fields."""

from __future__ import annotations

from typing import Protocol

from polystra.ports.logbook import LogEvent


class Log(Protocol):
    """What the shell needs of a logger; structlog's bound loggers fit."""

    def debug(self, event: LogEvent, **fields: object) -> object:
        """Traffic."""
        ...

    def info(self, event: LogEvent, **fields: object) -> object:
        """The story of the money."""
        ...

    def warning(self, event: LogEvent, **fields: object) -> object:
        """Degraded but safe."""
        ...

    def error(self, event: LogEvent, **fields: object) -> object:
        """A person should look."""
        ...
