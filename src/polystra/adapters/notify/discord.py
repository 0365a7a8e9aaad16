"""Alerts to a Discord channel by its webhook (Discord docs, execute webhook): text of at most 2000 characters.

Mentions are switched off: words of a venue must not call everybody.
"""

from __future__ import annotations

from typing import Final

from polystra.adapters.notify.sender import Sender
from polystra.ports.notify import Alert, Severity

LONGEST: Final = 2_000
_MARKS: Final = {Severity.INFO: "🟢", Severity.WARNING: "🟡", Severity.CRITICAL: "🔴"}


class DiscordChannel:
    """Fulfils `AlertChannel`."""

    name = "discord"

    def __init__(self, sender: Sender) -> None:
        self._sender = sender

    async def send(self, alert: Alert) -> None:
        """Deliver one message; raises AlertNotDelivered."""
        content = f"{_MARKS[alert.severity]} **{alert.kind}** {alert.text}"
        shown = content if len(content) <= LONGEST else f"{content[: LONGEST - 1]}…"
        await self._sender.post({"content": shown, "allowed_mentions": {"parse": []}})

    async def close(self) -> None:
        """Release the connection."""
        await self._sender.close()
