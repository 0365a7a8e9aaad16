"""Visits: commands that look at the venue and leave, in the world that the settings describe.

What lives here: `polystra doctor`'s and `polystra livetest`'s way into a world. In sim mode without
CLOB_URL that is a built-in exchange of their own, in memory, on virtual time: the user's simulation is
not touched. What must not: checks.
"""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Awaitable, Callable
from dataclasses import replace
from random import Random
from typing import Final, TypeVar

from polystra.adapters.clock import LoopClock, SystemClock
from polystra.adapters.entropy import system_chance
from polystra.adapters.polymarket.signing import L2Credentials, SigningKey
from polystra.adapters.polymarket.transport import default_session
from polystra.app.alert_test import send_test
from polystra.app.checks import Check, any_failed, failed, passed, show, warned
from polystra.app.doctor import Subject, examine
from polystra.app.doctor_local import Place
from polystra.app.failures import env_file_here
from polystra.app.logs import configure_logs
from polystra.app.sessions import (
    DEFAULT_SEED,
    configured_endpoints,
    credentials_of,
    endpoints_of,
    on_real_loop,
    public_clock,
    shared_clock,
    simulated_key,
)
from polystra.app.setting_secrets import secret_values
from polystra.app.settings import Mode, Settings
from polystra.app.wiring import endless_session
from polystra.exchange.builtin import BuiltInConfig, BuiltInExchange, planned_start_ns
from polystra.ports.clock import Clock
from polystra.runtime import deterministic

T = TypeVar("T")

_SETTLE_IN_S: Final = 20.0
"""Simulated seconds after which the crowd of a new exchange has quoted."""


def show_doctor(settings: Settings, *, as_json: bool, notify: bool = False) -> bool:
    """Examine, print, and return whether a hard check failed; `notify` sends a test to every alert channel, too.

    Raises:
        ConfigError: CLOB_URL names no exchange that can be visited.
    """
    checks = visit(settings, examine)
    if notify:
        checks += alert_checks(settings)
    title = "Doctor" if settings.url("clob_url") else "Doctor (a built-in exchange)"
    show(title, checks, as_json=as_json)
    return any_failed(checks)


def alert_checks(settings: Settings) -> tuple[Check, ...]:
    """Send a test message to every channel that is set, and ping the monitor; one line each."""
    verdicts = send_test(settings)
    if not verdicts:
        remedy = "set ALERT_WEBHOOK_URL, ALERT_DISCORD_URL, TELEGRAM_TOKEN or DEAD_MAN_URL"
        return (
            warned("alerts", "no channel is set: nobody would hear of a stop, a freeze or the daemon's end", remedy),
        )
    remedy = "check its address, and whether this machine reaches it"
    return tuple(
        failed(f"alert to {verdict.channel}", verdict.error, remedy)
        if verdict.error
        else passed(f"alert to {verdict.channel}", "the test was taken; look whether it has arrived")
        for verdict in verdicts
    )


def visit(settings: Settings, action: Callable[[Subject], Awaitable[T]]) -> T:
    """Carry out an action on the venue of the settings; logs go to stderr and hold errors only."""
    if settings.mode is Mode.LIVE:
        return on_real_loop(_real(settings, action))
    if settings.mode is Mode.PAPER:
        return on_real_loop(_paper(settings, action))
    if settings.url("clob_url"):
        return on_real_loop(_beside(settings, action))
    config = BuiltInConfig(symbols=settings.symbols, windows=settings.windows, speed=None)
    return deterministic.run(_embedded(settings, action, config), seed=1, start_ns=planned_start_ns(config))


async def _real(settings: Settings, action: Callable[[Subject], Awaitable[T]]) -> T:
    key = settings.poly_private_key.get_secret_value()
    return await action(subject_of(settings, key, SystemClock()))


async def _paper(settings: Settings, action: Callable[[Subject], Awaitable[T]]) -> T:
    """Public questions only: the key stands in where a value has to, and nothing is signed with it."""
    return await action(subject_of(settings, simulated_key(DEFAULT_SEED), await public_clock(settings)))


async def _beside(settings: Settings, action: Callable[[Subject], Awaitable[T]]) -> T:
    key = settings.poly_private_key.get_secret_value() or simulated_key(DEFAULT_SEED)
    return await action(subject_of(settings, key, await shared_clock(settings.url("clob_url"))))


async def _embedded(settings: Settings, action: Callable[[Subject], Awaitable[T]], config: BuiltInConfig) -> T:
    clock = LoopClock(planned_start_ns(config))
    exchange = BuiltInExchange(config, clock)
    endpoints = endpoints_of(await exchange.start())
    key = simulated_key(DEFAULT_SEED)
    opened = exchange.open_account(SigningKey(key).address)

    async def credentials() -> L2Credentials:
        return L2Credentials(opened.key, opened.secret, opened.passphrase)

    alone = settings.model_copy(update={"poly_funder_address": "", "poly_signature_type": None})
    subject = replace(
        subject_of(alone, key, clock),
        endpoints=endpoints,
        chance=Random(DEFAULT_SEED),
        session=endless_session,
        credentials=credentials,
    )
    try:
        async with asyncio.TaskGroup() as tasks:
            world = tasks.create_task(exchange.run())
            await clock.sleep(_SETTLE_IN_S)
            result = await action(subject)
            world.cancel()
        return result
    finally:
        await exchange.close()


def subject_of(settings: Settings, key: str, clock: Clock) -> Subject:
    """Whoever the settings describe, at the endpoints of the settings."""
    secrets = [*secret_values(settings), key]
    configure_logs(clock=clock, stream=sys.stderr, log_format="auto", level="ERROR", secrets=secrets)
    return Subject(
        settings=settings,
        place=Place(environ=os.environ, env_file=env_file_here()),
        endpoints=configured_endpoints(settings),
        clock=clock,
        chance=system_chance(),
        session=default_session,
        key_text=key,
        credentials=lambda: credentials_of(settings, key),
    )
