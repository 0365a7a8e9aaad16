"""The notify port: what reaches a person who does not look at a screen.

Contract of `Notifier`: `notify` returns at once, never blocks, never raises and never calls the network; a
notifier that cannot keep up drops, counts and says so. Contract of `AlertChannel`: `send` delivers one message
or raises `AlertNotDelivered`; it waits for nothing but the network and may be cancelled. No message and no
error holds a secret; the address of a channel is one.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from typing import Protocol

from polystra.domain.errors import PolystraError
from polystra.domain.units import Nanos


class Severity(IntEnum):
    """How soon a person should look."""

    INFO = 1
    WARNING = 2
    CRITICAL = 3

    @property
    def word(self) -> str:
        """The word of the settings."""
        return self.name.lower()


@dataclass(frozen=True, slots=True, kw_only=True)
class Alert:
    """One message. `kind` and `subject` tell repetitions; `at_ns` is the run's UTC."""

    kind: str
    subject: str
    severity: Severity
    text: str
    at_ns: Nanos


class AlertNotDelivered(PolystraError):
    """A message did not arrive. `may_retry`: the same may work later; `retry_after_s`: no earlier than that."""

    def __init__(self, message: str, *, may_retry: bool, retry_after_s: float = 0.0) -> None:
        super().__init__(message)
        self.may_retry = may_retry
        self.retry_after_s = retry_after_s


class Notifier(Protocol):
    """See the module docstring."""

    def notify(self, alert: Alert) -> None:
        """Take an alert; returns at once."""
        ...


class AlertChannel(Protocol):
    """See the module docstring."""

    @property
    def name(self) -> str:
        """For logs: what kind of channel it is, without its address."""
        ...

    async def send(self, alert: Alert) -> None:
        """Deliver one message."""
        ...

    async def close(self) -> None:
        """Release the connection."""
        ...
