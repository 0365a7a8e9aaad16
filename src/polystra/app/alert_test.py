"""A test message to every alert channel: what `polystra alert-test` does.

What lives here: one message, one try per channel, the verdicts. What must not: queues and retries; who asks
wants to know now.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from polystra.adapters.clock import SystemClock
from polystra.adapters.notify.sender import Sender
from polystra.app.alerting import channels
from polystra.app.settings import Settings
from polystra.ports.notify import Alert, AlertNotDelivered, Severity


@dataclass(frozen=True, slots=True, kw_only=True)
class TestVerdict:
    """How the test of one channel went; `error` is empty when the message was taken."""

    __test__ = False  # no class of tests

    channel: str
    error: str


def send_test(settings: Settings) -> tuple[TestVerdict, ...]:
    """Send a test to every channel that is set, and ping the monitor; empty when nothing is set."""
    return asyncio.run(_send(settings))


async def _send(settings: Settings) -> tuple[TestVerdict, ...]:
    clock = SystemClock()
    words = f"a test of polystra ({settings.mode.value}); alerts from {settings.alert_level} on come here"
    alert = Alert(kind="test", subject="", severity=Severity.INFO, text=words, at_ns=clock.now_ns())
    verdicts = []
    for channel in channels(settings, clock):
        try:
            await channel.send(alert)
            verdicts.append(TestVerdict(channel=channel.name, error=""))
        except AlertNotDelivered as error:
            verdicts.append(TestVerdict(channel=channel.name, error=str(error)))
        finally:
            await channel.close()
    if url := settings.dead_man_url.get_secret_value():
        sender = Sender(url, who="the monitor of DEAD_MAN_URL", clock=clock)
        try:
            await sender.ping()
            verdicts.append(TestVerdict(channel="dead man", error=""))
        except AlertNotDelivered as error:
            verdicts.append(TestVerdict(channel="dead man", error=str(error)))
        finally:
            await sender.close()
    return tuple(verdicts)
