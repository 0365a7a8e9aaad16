"""Two daemons with one key on two databases: no lock or lease can see it, the venue's word stops entries in both."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path
from random import Random

import structlog

from polystra.adapters.clock import LoopClock
from polystra.adapters.polymarket.signing import L2Credentials, SigningKey
from polystra.adapters.store.account_reading import AccountReading, read_account
from polystra.app.book_reading import database_url
from polystra.app.sessions import endpoints_of, simulated_key
from polystra.app.settings import Settings, load_settings
from polystra.app.wiring import Run, Wallet, endless_session, run_daemon
from polystra.domain.events import SwitchName
from polystra.exchange.builtin import BuiltInConfig, BuiltInExchange, planned_start_ns
from polystra.exchange.traders.config import CrowdConfig
from polystra.runtime import deterministic
from tests.simulation.scenario_file import load
from tests.simulation.scenario_runner import Script
from tests.unit.runtime.lines import Lines

SCENARIO = """
title: an entry that rests
quotes: {0: 49 x 500 | 51 x 500, 5: 40 x 500 | 51 x 500}
when: {%d: enter 20 up at 48}
then: {}
"""


def settings_of(folder: Path, **more: str) -> Settings:
    values = {"SYMBOLS": "BTC", "WINDOWS": "5m", "DATA_DIR": str(folder), "MIN_EDGE_PERCENT": "9999", **more}
    return load_settings(values, None)


def play(folder: Path, *, until_s: int, enter_at_s: int = 10, **more: str) -> tuple[AccountReading, AccountReading]:
    """The first daemon rests an order, the second one makes none; what each has written when both are killed."""
    (folder / "one.yaml").write_text(SCENARIO % enter_at_s)
    both = [settings_of(folder / name, **more) for name in ("first", "second")]
    config = BuiltInConfig(seed=1, symbols=("BTC",), windows=both[0].windows, crowd=CrowdConfig.nobody())
    start_ns = planned_start_ns(config)

    async def main() -> None:
        clock = LoopClock(start_ns)
        exchange = BuiltInExchange(config, clock)
        script = Script(load(folder / "one.yaml"), exchange, clock)
        urls = await exchange.start()
        key = SigningKey(simulated_key(config.seed))
        opened = exchange.open_account(key.address)
        first = Run(
            settings=both[0],
            symbols=("BTC",),
            endpoints=endpoints_of(urls),
            wallet=Wallet(
                key=key,
                credentials=L2Credentials(opened.key, opened.secret, opened.passphrase),
                signature_type=0,
                funder=None,
            ),
            clock=clock,
            log=Lines(),
            chance=Random("first"),
            session=endless_session,
            handle_signals=False,
            wishes={"script": script},
        )
        second = replace(first, settings=both[1], chance=Random("second"), wishes={})
        tasks = [asyncio.ensure_future(each) for each in (exchange.run(), run_daemon(first), run_daemon(second))]
        await clock.sleep(until_s)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await exchange.close()

    deterministic.run(main(), seed=1, start_ns=start_ns)
    structlog.reset_defaults()
    one, other = (read_account(database_url(settings)) for settings in both)
    return one, other


def on(account: AccountReading) -> dict[tuple[SwitchName, str], str]:
    return {(each.name, each.subject): each.reason for each in account.switches if each.on}


def test_a_resting_order_of_the_other_one_stops_entries(tmp_path: Path) -> None:
    first, second = play(tmp_path, until_s=100)
    assert [order.status for order in first.orders] == ["OPEN"]
    assert second.orders == ()
    reason = on(second)[SwitchName.SECOND_DAEMON, "orders"]
    assert str(first.orders[0].order_id)[:12] in reason
    assert "stop it, or give each its own wallet" in reason
    assert on(first) == {}


def test_heartbeats_of_the_other_one_stop_entries_in_both(tmp_path: Path) -> None:
    accounts = play(tmp_path, until_s=60, enter_at_s=200, ENABLE_VENUE_HEARTBEAT="YES")
    for account in accounts:
        assert "somebody else beats for this API key" in on(account)[SwitchName.SECOND_DAEMON, "heartbeat"]
