"""SIGTERM at any moment, and an exchange that dies and comes back: the daemon stops in order, or goes on."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from random import Random
from typing import Any

import pytest

from tests.chaos.processes import DEADLINE_S, REPO, Exchange, Process
from tests.chaos.test_kill_daemon import UNKNOWN, report, rows

pytestmark = pytest.mark.timeout(600)

SEED = 7
SPEED = "10"
STOPS = 4
_LINES = 60
"""A run of a few markets writes about so many lines."""


def run(folder: Path, url: str, *more: str) -> Process:
    return Process(folder, "run", "--seed", str(SEED), *more, CLOB_URL=url)


def end(daemon: Process) -> None:
    """Be sure that it is gone."""
    if daemon.popen.poll() is None:
        daemon.kill()


@pytest.mark.slow
def test_sigterm_at_any_moment_ends_in_order_and_everything_adds_up(tmp_path: Path) -> None:
    chance = Random(SEED)
    exchange = Exchange(tmp_path, seed=SEED, speed=SPEED)
    try:
        for _ in range(STOPS):
            daemon = run(tmp_path, exchange.urls["clob_url"])
            try:
                daemon.wait_for("app.started")
                for _ in range(chance.randrange(_LINES)):
                    daemon.wait_for_line()
                daemon.popen.send_signal(signal.SIGTERM)
                assert daemon.finish() == 0, daemon.errors()
            finally:
                end(daemon)
            last = json.loads(daemon.lines[-1])
            assert last["event"] == "shutdown.completed", last
            entries = "SELECT order_id FROM orders WHERE purpose = 'ENTRY' AND order_id IS NOT NULL"
            ours = {order_id for (order_id,) in rows(tmp_path, entries)}
            assert not ours & {order["order_id"] for order in exchange.account()["open_orders"]}
        again = run(tmp_path, exchange.urls["clob_url"], "--markets", "1")
        assert again.finish() == 0, again.errors()
        assert report(tmp_path, exchange)["adjustments"] == []
        assert rows(tmp_path, f"SELECT client_order_id FROM orders WHERE status IN {UNKNOWN}") == []
    finally:
        exchange.close()


class Venue:
    """`tests.chaos.exchange_process`, killed and started again on the same port, books and clock."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.told: dict[str, Any] = {}
        self.start()

    def start(self) -> None:
        again = ["--port", self.told["clob_url"].rsplit(":", 1)[1]] if self.told else []
        again += ["--anchor-ns", str(self.told["anchor_ns"])] if self.told else []
        command = [sys.executable, "-m", "tests.chaos.exchange_process", "--seed", str(SEED), "--speed", SPEED]
        self.popen = subprocess.Popen(
            [*command, "--books", str(self._folder / "books.db"), *again],
            env={"PATH": os.environ["PATH"], "PYTHONPATH": f"{REPO / 'src'}{os.pathsep}{REPO}"},
            cwd=REPO,
            stdout=subprocess.PIPE,
        )
        assert self.popen.stdout is not None
        self.told = json.loads(self.popen.stdout.readline())

    def kill(self) -> None:
        self.popen.kill()
        self.popen.wait(DEADLINE_S)
        assert self.popen.stdout is not None
        self.popen.stdout.close()

    def account(self) -> dict[str, Any]:
        with urllib.request.urlopen(self.told["control_url"] + "/books", timeout=DEADLINE_S) as reply:
            books: dict[str, Any] = json.load(reply)
        [account] = [each for each in books["accounts"].values() if not each["house"]]
        found: dict[str, Any] = account
        return found


@pytest.fixture
def venue(tmp_path: Path) -> Iterator[Venue]:
    running = Venue(tmp_path)
    yield running
    running.kill()


@pytest.mark.slow
def test_a_daemon_goes_on_when_its_exchange_was_killed_and_came_back(venue: Venue, tmp_path: Path) -> None:
    chance, pause = Random(SEED), threading.Event()
    daemon = run(tmp_path, venue.told["clob_url"])
    try:
        for event in ("fill.booked", "order.submitted"):
            daemon.wait_for(event)
            venue.kill()
            pause.wait(chance.uniform(0.5, 4.0))
            venue.start()
            daemon.wait_for("stream.connected")
        daemon.wait_for("market.resolved")
        daemon.popen.send_signal(signal.SIGTERM)
        assert daemon.finish() == 0, daemon.errors()
    finally:
        end(daemon)
    again = run(tmp_path, venue.told["clob_url"], "--markets", "1")
    assert again.finish() == 0, again.errors()
    told = Process(tmp_path, "report", "--json", CLOB_URL=venue.told["clob_url"])
    code = told.finish()
    found = json.loads("".join(told.lines))
    assert (code, found["discrepancy_list"], found["adjustments"]) == (0, [], [])
    sent = {order_id for (order_id,) in rows(tmp_path, "SELECT order_id FROM order_intents")}
    account = venue.account()
    assert {each["order_id"] for each in (*account["trades"], *account["open_orders"])} <= sent
