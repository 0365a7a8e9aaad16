"""SIGTERM to a real process under each policy: what its last line says is left is what the exchange holds."""

from __future__ import annotations

import re
import signal
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from decimal import Decimal
from pathlib import Path

import pytest

from polystra.domain.units import MICRO
from tests.chaos.processes import Exchange, Process

SEED = 7


@pytest.fixture
def exchange(tmp_path: Path) -> Iterator[Exchange]:
    running = Exchange(tmp_path, seed=SEED, speed="10", SYMBOLS="BTC")
    yield running
    running.close()


def daemon(folder: Path, exchange: Exchange, policy: str) -> Process:
    url = exchange.urls["clob_url"]
    return Process(folder, "run", "--seed", str(SEED), CLOB_URL=url, SYMBOLS="BTC", ON_SHUTDOWN=policy)


@pytest.mark.parametrize("policy", ["keep_exits", "cancel_all", "flatten"])
def test_the_last_line_is_what_the_exchange_holds(policy: str, exchange: Exchange, tmp_path: Path):
    running = daemon(tmp_path, exchange, policy)
    running.wait_for("fill.booked")
    running.popen.send_signal(signal.SIGTERM)
    stopped = running.wait_for("shutdown.completed")
    assert running.finish() == 0, running.errors()
    account = exchange.account()
    with closing(sqlite3.connect(tmp_path / "polystra-sim.db")) as connection:
        known = {row[0] for row in connection.execute("SELECT trade_id FROM fills")}
    later = [trade for trade in account["trades"] if trade["trade_id"] not in known]
    left = str(stopped["left_open"])
    said = set(re.findall(r"OPEN [A-Z_]+ (?:BUY|SELL) [\d.]+ at [\d.]+ \((0x\w+)\)", left))
    assert {trade["order_id"] for trade in later} <= said, "only what was said to rest may trade after the end"
    there = {order["order_id"] for order in account["open_orders"]}
    assert there <= said, left
    assert said - there <= {trade["order_id"] for trade in later}, left
    shares = sum(round(Decimal(amount) * MICRO) for amount in re.findall(r"([\d.]+) shares in", left))
    held = sum(account["tokens"].values()) + sum(account["pending_tokens"].values())
    assert shares == held + sum(trade["size"] for trade in later), left
    if policy != "keep_exits":
        assert account["open_orders"] == []


def test_a_second_signal_kills_and_the_next_start_reconciles(exchange: Exchange, tmp_path: Path):
    running = daemon(tmp_path, exchange, "flatten")
    running.wait_for("order.submitted")
    running.popen.send_signal(signal.SIGTERM)
    running.wait_for("shutdown.started")
    running.popen.send_signal(signal.SIGTERM)
    assert running.finish() in (0, -signal.SIGTERM), running.errors()
    again = daemon(tmp_path, exchange, "keep_exits")
    again.wait_for("reconcile.completed")
    again.popen.send_signal(signal.SIGTERM)
    assert again.finish() == 0, again.errors()
