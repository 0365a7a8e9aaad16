"""Settings: who is told what, and the monitor that is told that we live.

What lives here: the fields of that section. What must not: checks between settings (`settings`). The three
addresses are secrets: whoever has one can write there.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BeforeValidator

from polystra.app.setting_rules import ALERTS, CHAT_IDS, COUNT, HTTP, MORE_SECONDS, TELEGRAM, YES_NO
from polystra.app.setting_values import (
    ChatIds,
    Count,
    Flag,
    HttpUrl,
    PositiveSeconds,
    SecretUrl,
    TelegramToken,
    parse_word,
    setting,
)
from polystra.app.settings_risk import RiskSettings


class AlertSettings(RiskSettings):
    """Channels, level, rate, dead man's ping."""

    alert_webhook_url: SecretUrl = setting("", ALERTS, "alerts as JSON objects by POST; empty: none", HTTP)
    alert_discord_url: SecretUrl = setting("", ALERTS, "alerts to a Discord channel's webhook; empty: none", HTTP)
    telegram_token: TelegramToken = setting(
        "", ALERTS, "alerts and commands by a Telegram bot: the token that BotFather gave; empty: none", TELEGRAM
    )
    telegram_chat_ids: ChatIds = setting(
        "", ALERTS, "the chats that get alerts and may send commands; everybody else is ignored", CHAT_IDS
    )
    telegram_commands: Flag = setting("YES", ALERTS, "take commands from those chats; NO: alerts only", YES_NO)
    telegram_silent_below: Annotated[Literal["info", "warning", "critical"], BeforeValidator(parse_word)] = setting(
        "warning", ALERTS, "alerts below this come to Telegram without a sound", "info, warning or critical"
    )
    telegram_api_url: HttpUrl = setting(
        "https://api.telegram.org", ALERTS, "the server of the bot API, Telegram's or your own", HTTP
    )
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
