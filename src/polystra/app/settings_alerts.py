"""Settings: who is told what, and the monitor that is told that we live.

What lives here: the fields of that section. What must not: checks between settings (`settings`). The three
addresses are secrets: whoever has one can write there.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BeforeValidator

from polystra.app.setting_rules import ALERTS, COUNT, HTTP, MORE_SECONDS
from polystra.app.setting_values import Count, PositiveSeconds, SecretUrl, parse_word, setting
from polystra.app.settings_risk import RiskSettings


class AlertSettings(RiskSettings):
    """Channels, level, rate, dead man's ping."""

    alert_webhook_url: SecretUrl = setting("", ALERTS, "alerts as JSON objects by POST; empty: none", HTTP)
    alert_discord_url: SecretUrl = setting("", ALERTS, "alerts to a Discord channel's webhook; empty: none", HTTP)
    alert_level: Annotated[Literal["info", "warning", "critical"], BeforeValidator(parse_word)] = setting(
        "info",
        ALERTS,
        "the least that is told; info: fills and exits too, critical: only what needs a person now",
        "info, warning or critical",
    )
    alerts_per_minute: Count = setting(
        "20", ALERTS, "messages a minute to each channel; what is more comes together in one", COUNT
    )
    dead_man_url: SecretUrl = setting(
        "",
        ALERTS,
        "a monitor that is asked by GET while the daemon lives, and alarms when that ends; empty: none",
        HTTP,
    )
    dead_man_interval_seconds: PositiveSeconds = setting("60", ALERTS, "seconds between those", MORE_SECONDS)
