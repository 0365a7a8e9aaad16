"""Nobody shall take paper for money: alerts and status say what it is."""

from __future__ import annotations

from typing import Any

import pytest

from polystra.adapters.notify.sender import Sender
from polystra.app.alerting import channels
from polystra.app.settings import load_settings
from polystra.ports.notify import Alert, Severity
from tests.fakes.clock import ManualClock


@pytest.mark.parametrize(("mode", "text"), [("paper", "[paper] stop fired"), ("sim", "stop fired")])
async def test_alerts_of_paper_begin_with_it(mode: str, text: str, monkeypatch: pytest.MonkeyPatch):
    posted: list[dict[str, Any]] = []

    async def post(_sender: Sender, body: dict[str, Any]) -> None:
        posted.append(body)

    monkeypatch.setattr(Sender, "post", post)
    settings = load_settings({"MODE": mode, "ALERT_DISCORD_URL": "https://discord.test/hook"}, None)
    [channel] = channels(settings, ManualClock())
    assert channel.name == "discord"
    await channel.send(Alert(kind="STOP", subject="s", severity=Severity.WARNING, text="stop fired", at_ns=1))
    await channel.close()
    [body] = posted
    assert body["content"].endswith(f"**STOP** {text}")
