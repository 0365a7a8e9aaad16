"""How alerts leave in one run: channels from settings, one thread, the listener.

What lives here: joining adapters and runtime, the start and the end of it. What must not: words and rates.
Channels work in real time whatever the pace of the run.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Final

from polystra.adapters.clock import LoopClock, SystemClock
from polystra.adapters.entropy import system_chance
from polystra.adapters.notify.discord import DiscordChannel
from polystra.adapters.notify.sender import Sender
from polystra.adapters.notify.telegram import TelegramBot, TelegramChannel
from polystra.adapters.notify.webhook import WebhookChannel
from polystra.app.chat_desk import ChatDesk
from polystra.app.logs import Redaction
from polystra.app.setting_secrets import secret_values
from polystra.app.settings import Mode, Settings
from polystra.ports.audit import ApiAudit
from polystra.ports.clock import Clock
from polystra.ports.heartbeat import LifeSign
from polystra.ports.logbook import LogEvent
from polystra.ports.notify import Alert, AlertChannel, Severity
from polystra.runtime.alert_post import AlertPost
from polystra.runtime.alert_thread import AlertThread, Outgoing
from polystra.runtime.alerts import Alerts
from polystra.runtime.daemon import RunSummary
from polystra.runtime.dead_man import DeadMan
from polystra.runtime.log import Log

_LEVELS: Final = {severity.word: severity for severity in Severity}


def channels(settings: Settings, clock: Clock) -> tuple[AlertChannel, ...]:
    """The channels that have an address."""
    webhook = settings.alert_webhook_url.get_secret_value()
    discord = settings.alert_discord_url.get_secret_value()
    found: list[AlertChannel] = []
    if webhook:
        found.append(WebhookChannel(Sender(webhook, who="the webhook of ALERT_WEBHOOK_URL", clock=clock)))
    if settings.telegram_token.get_secret_value():
        silent_below = _LEVELS[settings.telegram_silent_below]
        found.append(TelegramChannel(_bot(settings, clock), settings.telegram_chat_ids, silent_below=silent_below))
    if discord:
        found.append(DiscordChannel(Sender(discord, who="the channel of ALERT_DISCORD_URL", clock=clock)))
    return tuple(_PaperMarked(channel) for channel in found) if settings.mode is Mode.PAPER else tuple(found)


class _PaperMarked:
    """Fulfils `AlertChannel`: another one, whose every text says that it is about paper."""

    def __init__(self, channel: AlertChannel) -> None:
        self._channel = channel

    @property
    def name(self) -> str:
        """The channel's own."""
        return self._channel.name

    async def send(self, alert: Alert) -> None:
        """Deliver one message; raises AlertNotDelivered."""
        await self._channel.send(replace(alert, text=f"[paper] {alert.text}"))

    async def close(self) -> None:
        """Release the connection."""
        await self._channel.close()


def _bot(settings: Settings, clock: Clock) -> TelegramBot:
    return TelegramBot(settings.telegram_token.get_secret_value(), base_url=settings.telegram_api_url, clock=clock)


def redaction(settings: Settings, hide: Iterable[str] = ()) -> Callable[[str], str]:
    """Takes every secret of the settings, and those of `hide`, out of a text."""
    return Redaction([*secret_values(settings), *hide]).text


def wants_life(settings: Settings, clock: Clock) -> bool:
    """True when the monitor needs the loop's sign of life; virtual time has no life that a monitor could watch."""
    return bool(settings.dead_man_url.get_secret_value()) and not isinstance(clock, LoopClock)


class RunAlerts:
    """Alerts of one run: the listener, None without a channel, and the end of it."""

    def __init__(self, alerts: Alerts | None) -> None:
        self.alerts = alerts

    def started(self, settings: Settings, account: str, *, earlier_today: int = 0) -> None:
        """Say that trading begins; `earlier_today` counts the starts before this one."""
        if self.alerts is not None:
            self.alerts.started(
                f"{settings.mode.value} on {account}; at a stop: {settings.on_shutdown.value}", earlier=earlier_today
            )

    def stopped(self, summary: RunSummary) -> None:
        """Say how it ended."""
        if self.alerts is not None:
            self.alerts.stopped(summary.reason, summary.left_open)


@asynccontextmanager
async def alerting(
    settings: Settings,
    *,
    clock: Clock,
    log: Log,
    life: LifeSign | None,
    hide: Iterable[str] = (),
    audit: ApiAudit | None = None,
) -> AsyncIterator[RunAlerts]:
    """Send alerts while the body runs; an error that ends it is the last one. `hide`: secrets that are not settings.

    Commands of a chat are taken meanwhile, and told to `audit`; not on virtual time, where nobody could follow.
    """
    clean = redaction(settings, hide)
    real = SystemClock()
    used = channels(settings, real)
    pings = life is not None and wants_life(settings, clock)
    log.info(
        LogEvent.ALERTS_READY,
        channels=", ".join(channel.name for channel in used) or "none",
        level=settings.alert_level,
        dead_man="pinged" if pings else "none",
    )
    if not used and not pings:
        yield RunAlerts(None)
        return
    watched = life if pings else None
    bot = _bot(settings, real)
    chat = None
    if settings.telegram_token.get_secret_value() and settings.telegram_commands and not isinstance(clock, LoopClock):
        chance = system_chance()
        chat = ChatDesk(bot, settings, clock=real, run_clock=clock, chance=chance, log=log, clean=clean, audit=audit)

    def made(trouble: Callable[[str], None]) -> Outgoing:
        out = _outgoing(settings, used, real, watched, trouble, clean=clean)
        return out if chat is None else replace(out, beside=(chat.run,), closers=[*out.closers, bot.close])

    thread = AlertThread(made, clock=real)
    level = _LEVELS[settings.alert_level]
    alerts = Alerts(thread, clock=clock, log=log, level=level, troubles=thread.troubles)
    thread.start()
    try:
        yield RunAlerts(alerts)
    except BaseException as error:
        alerts.failed(error)
        raise
    finally:
        await asyncio.get_running_loop().run_in_executor(None, thread.close)
        alerts.log_troubles()


def _outgoing(
    settings: Settings,
    used: tuple[AlertChannel, ...],
    clock: Clock,
    life: LifeSign | None,
    trouble: Callable[[str], None],
    *,
    clean: Callable[[str], str],
) -> Outgoing:
    posts = [
        AlertPost(channel, clock=clock, per_minute=settings.alerts_per_minute, clean=clean, trouble=trouble)
        for channel in used
    ]
    closers: list[Callable[[], Awaitable[None]]] = [channel.close for channel in used]
    dead_man = None
    if life is not None:
        sender = Sender(settings.dead_man_url.get_secret_value(), who="the monitor of DEAD_MAN_URL", clock=clock)
        every_s = settings.dead_man_interval_seconds
        dead_man = DeadMan(sender.ping, life=life, clock=clock, every_s=every_s, trouble=trouble)
        closers.append(sender.close)
    return Outgoing(posts=posts, closers=closers, dead_man=dead_man)
