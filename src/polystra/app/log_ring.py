"""The last lines of this process's log, as they were written: redacted, in memory, bounded.

What lives here: the keeping and the finding. What must not: renderers, files. Lines come from every thread; a
reader takes a copy. Nothing is kept until somebody who shows lines has asked for it (`keep`).
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import count
from typing import Any, Final

from structlog.typing import EventDict, WrappedLogger

LEVELS: Final = ("debug", "info", "warning", "error")
KEPT: Final = 2_000
_LONGEST: Final = 2_000


@dataclass(frozen=True, slots=True, kw_only=True)
class LogLine:
    """One line; `number` grows with every line of the process, `fields` are what stands after the event's name."""

    number: int
    at: str
    level: str
    event: str
    fields: Mapping[str, Any]

    @property
    def text(self) -> str:
        """The line as a person reads it, without time and level."""
        said = " ".join(f"{name}={value}" for name, value in self.fields.items())
        return f"{self.event} {said}".rstrip()[:_LONGEST]

    def as_object(self) -> dict[str, Any]:
        """The line as JSON, as the log itself writes it, with its number."""
        own = {"number": self.number, "timestamp": self.at, "level": self.level, "event": self.event}
        return {**own, **{name: value for name, value in self.fields.items() if name not in own}}


class LogRing:
    """A structlog processor that keeps what passes it; it stands after the redaction."""

    def __init__(self, size: int = KEPT) -> None:
        self._lines: deque[LogLine] = deque(maxlen=size)
        self._numbers = count(1)
        self._keeps = False

    def keep(self, *, on: bool) -> None:
        """Begin to keep lines, or stop it and forget them."""
        self._keeps = on
        if not on:
            self._lines.clear()

    def __call__(self, logger: WrappedLogger, method: str, event_dict: EventDict) -> EventDict:
        """Return the line as it is; see structlog's processors."""
        if self._keeps:
            fields = {name: value for name, value in event_dict.items() if name not in ("timestamp", "level", "event")}
            self._lines.append(
                LogLine(
                    number=next(self._numbers),
                    at=str(event_dict.get("timestamp", "")),
                    level=str(event_dict.get("level", method)),
                    event=str(event_dict.get("event", "")),
                    fields=fields,
                )
            )
        return event_dict

    def since(self, number: int) -> list[LogLine]:
        """Lines after that number, the oldest first."""
        return [line for line in self._snapshot() if line.number > number]

    def find(
        self, *, limit: int, before: int | None = None, level: str = "debug", event: str = "", text: str = ""
    ) -> list[LogLine]:
        """The newest lines that fit, newest first.

        `level` is the least, `event` how the event's name begins, `text` what stands anywhere in the line, in
        upper or lower case.
        """
        least, wanted = LEVELS.index(level), text.lower()
        found = []
        for line in reversed(self._snapshot()):
            if before is not None and line.number >= before:
                continue
            if _rank(line.level) >= least and line.event.startswith(event) and wanted in line.text.lower():
                found.append(line)
                if len(found) == limit:
                    break
        return found

    def _snapshot(self) -> list[LogLine]:
        """A copy; a line that comes meanwhile makes it start anew."""
        while True:
            try:
                return list(self._lines)
            except RuntimeError:
                continue


def _rank(level: str) -> int:
    return LEVELS.index(level) if level in LEVELS else len(LEVELS)


RING: Final = LogRing()
"""This process's; structlog is set up per process too."""
