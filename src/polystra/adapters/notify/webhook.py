"""Alerts to a webhook of the user's own: one JSON object per message.

The fields are part of the interface: `kind`, `subject`, `severity`, `text`, `at` (UTC, ISO 8601).
"""

from __future__ import annotations

from datetime import UTC, datetime

from polystra.adapters.notify.sender import Sender
from polystra.domain.units import NS_PER_S
from polystra.ports.notify import Alert


class WebhookChannel:
    """Fulfils `AlertChannel`."""

    name = "webhook"

    def __init__(self, sender: Sender) -> None:
        self._sender = sender

    async def send(self, alert: Alert) -> None:
        """Deliver one message; raises AlertNotDelivered."""
        at = datetime.fromtimestamp(alert.at_ns // NS_PER_S, UTC).isoformat().replace("+00:00", "Z")
        await self._sender.post(
            {
                "kind": alert.kind,
                "subject": alert.subject,
                "severity": alert.severity.word,
                "text": alert.text,
                "at": at,
            }
        )

    async def close(self) -> None:
        """Release the connection."""
        await self._sender.close()
