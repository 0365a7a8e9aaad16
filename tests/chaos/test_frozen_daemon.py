"""A daemon frozen with the dead man's switch armed: the venue cancels its orders, and it finds that out and goes on."""

from __future__ import annotations

import json
import signal
import threading
import time
from pathlib import Path
from typing import Any

from tests.chaos.processes import DEADLINE_S, Exchange, Process

SEED = 7
MARKETS = "1"


def resting_exit(daemon: Process) -> dict[str, Any]:
    told = daemon.wait_for("order.acknowledged")
    while told["purpose"] != "TAKE_PROFIT":
        told = daemon.wait_for("order.acknowledged")
    return told


def none_is_open(exchange: Exchange) -> bool:
    pause, deadline = threading.Event(), time.monotonic() + DEADLINE_S
    while exchange.account()["open_orders"]:
        if time.monotonic() > deadline:
            return False
        pause.wait(0.05)
    return True


def test_a_frozen_daemon_loses_its_orders_and_heals(tmp_path: Path) -> None:
    exchange = Exchange(tmp_path, seed=SEED)
    try:
        url = exchange.urls["clob_url"]
        command = ("run", "--seed", str(SEED))
        daemon = Process(tmp_path, *command, CLOB_URL=url, ENABLE_VENUE_HEARTBEAT="YES")
        resting_exit(daemon)
        daemon.popen.send_signal(signal.SIGSTOP)
        assert none_is_open(exchange)
        daemon.popen.send_signal(signal.SIGCONT)
        daemon.wait_for("heartbeat.recovered")
        daemon.popen.send_signal(signal.SIGTERM)
        assert daemon.finish() == 0, daemon.errors()

        restarted = Process(tmp_path, *command, "--markets", MARKETS, CLOB_URL=url, ENABLE_VENUE_HEARTBEAT="YES")
        assert restarted.finish() == 0, restarted.errors()

        process = Process(tmp_path, "report", "--json", CLOB_URL=url)
        code = process.finish()
        told = json.loads("".join(process.lines))
        assert (code, told["discrepancy_list"], told["adjustments"]) == (0, [], [])
        assert told["markets_settled"] >= int(MARKETS)
    finally:
        exchange.close()
