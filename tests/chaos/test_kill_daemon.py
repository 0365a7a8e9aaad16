"""`kill -9` while an order is under way, restart against the exchange that went on: nothing lost, nothing twice."""

from __future__ import annotations

import json
import signal
import sqlite3
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.chaos.processes import DEADLINE_S, Exchange, Process, Proxy

SEED = 7
MARKETS = "4"
UNKNOWN = "('NEW', 'SUBMITTED', 'IN_DOUBT', 'PENDING_CANCEL')"


@pytest.fixture
def exchange(tmp_path: Path) -> Iterator[Exchange]:
    running = Exchange(tmp_path, seed=SEED)
    yield running
    running.close()


def report(folder: Path, exchange: Exchange) -> dict[str, Any]:
    process = Process(folder, "report", "--json", CLOB_URL=exchange.urls["clob_url"])
    code = process.finish()
    told: dict[str, Any] = json.loads("".join(process.lines))
    assert (code, told["discrepancy_list"]) == (0, []), process.errors()
    return told


def rows(folder: Path, query: str) -> list[Any]:
    connection = sqlite3.connect(folder / "polystra-sim.db")
    try:
        return connection.execute(query).fetchall()
    finally:
        connection.close()


@pytest.mark.parametrize(
    "rule",
    [
        pytest.param("swallow", id="before the order reaches the exchange"),
        pytest.param("mute", id="before the exchange's answer arrives"),
        pytest.param("deafen", id="before the fill is heard of"),
    ],
)
def test_a_killed_daemon_accounts_for_everything_after_its_restart(rule: str, exchange: Exchange, tmp_path: Path):
    proxy = Proxy(exchange.port, rule)
    try:
        daemon = Process(tmp_path, "run", "--seed", str(SEED), CLOB_URL=proxy.url)
        struck = proxy.struck.wait(DEADLINE_S)
        daemon.kill()
        assert struck, f"{daemon.lines[-3:]} {daemon.errors()}"
    finally:
        proxy.close()
    sent = {order_id for (order_id,) in rows(tmp_path, "SELECT order_id FROM order_intents")}
    account = exchange.account()
    traded = {trade["order_id"] for trade in account["trades"]}
    known_there = traded | {order["order_id"] for order in account["open_orders"]}
    assert known_there <= sent, "an order left before its intent was committed"
    assert {"swallow": sent - known_there, "mute": known_there, "deafen": traded}[rule], "nothing was under way"

    restarted = Process(tmp_path, "run", "--seed", str(SEED), "--markets", MARKETS, CLOB_URL=exchange.urls["clob_url"])
    assert restarted.finish() == 0, restarted.errors()

    told = report(tmp_path, exchange)
    assert told["adjustments"] == []
    assert told["markets_settled"] >= int(MARKETS)
    assert rows(tmp_path, f"SELECT client_order_id, status FROM orders WHERE status IN {UNKNOWN}") == []
    intents = rows(tmp_path, "SELECT client_order_id, order_id FROM order_intents")
    assert len({order_id for _, order_id in intents}) == len(intents)
    there = Counter((trade["trade_id"], trade["order_id"]) for trade in exchange.account()["trades"])
    here = Counter(rows(tmp_path, "SELECT trade_id, order_id FROM fills"))
    assert set(there.values()) <= {1}
    assert here == there
    booked = rows(tmp_path, "SELECT count(*) FROM ledger WHERE kind = 'MATCHED'")
    assert booked == [(sum(here.values()),)]


def test_sigterm_stops_in_order_and_says_what_is_left_open(exchange: Exchange, tmp_path: Path):
    daemon = Process(tmp_path, "run", "--seed", str(SEED), CLOB_URL=exchange.urls["clob_url"])
    daemon.wait_for("fill.booked")
    daemon.popen.send_signal(signal.SIGTERM)
    stopped = daemon.wait_for("shutdown.completed")
    assert daemon.finish() == 0, daemon.errors()
    assert stopped["reason"] == "signal SIGTERM"
    assert "shares in" in stopped["left_open"]
    query = "SELECT order_id FROM orders WHERE purpose = 'ENTRY' AND order_id IS NOT NULL"
    entries = {order_id for (order_id,) in rows(tmp_path, query)}
    assert not entries & {order["order_id"] for order in exchange.account()["open_orders"]}


def test_a_daemon_killed_between_verdict_and_payout_still_books_the_payout(exchange: Exchange, tmp_path: Path):
    daemon = Process(tmp_path, "run", "--seed", str(SEED), CLOB_URL=exchange.urls["clob_url"])
    resolved = daemon.wait_for("market.resolved")
    while resolved["payout"] == "0":
        resolved = daemon.wait_for("market.resolved")
    daemon.kill()

    restarted = Process(tmp_path, "run", "--seed", str(SEED), "--markets", "1", CLOB_URL=exchange.urls["clob_url"])
    assert restarted.finish() == 0, restarted.errors()

    told = report(tmp_path, exchange)
    assert told["adjustments"] == []
    assert told["claims"] == "0"
    payouts = rows(tmp_path, "SELECT payout FROM ledger WHERE kind = 'RESOLVED' AND payout > 0")
    redeemed = rows(tmp_path, "SELECT settled_cash FROM ledger WHERE kind = 'REDEEMED'")
    assert sum(cash for (cash,) in redeemed) == sum(cash for (cash,) in payouts) > 0
