"""A log that keeps its lines."""

from __future__ import annotations

from polystra.ports.logbook import LogEvent


class Lines:
    """Fulfils `Log`."""

    def __init__(self) -> None:
        self.lines: list[tuple[str, LogEvent, dict[str, object]]] = []

    def debug(self, event: LogEvent, **fields: object) -> object:
        return self._keep("debug", event, fields)

    def info(self, event: LogEvent, **fields: object) -> object:
        return self._keep("info", event, fields)

    def warning(self, event: LogEvent, **fields: object) -> object:
        return self._keep("warning", event, fields)

    def error(self, event: LogEvent, **fields: object) -> object:
        return self._keep("error", event, fields)

    def _keep(self, level: str, event: LogEvent, fields: dict[str, object]) -> object:
        self.lines.append((level, event, fields))
        return None

    def of(self, event: LogEvent) -> list[dict[str, object]]:
        return [fields for _, named, fields in self.lines if named is event]
