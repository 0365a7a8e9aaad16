"""A disk that is full or read-only, and a database that somebody else has locked, under a daemon that trades."""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

import pytest

from tests.chaos.processes import DEADLINE_S, Exchange, Process
from tests.chaos.test_kill_daemon import report, rows

Start = Callable[..., Process]
pytestmark = pytest.mark.timeout(400)

SEED = 7
SPEED = "10"
LOCKED_S = 8.0
"""Longer than a commit waits for a lock by itself; more than a simulated minute."""


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of its own that holds 96 MB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    done = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=96m", "tmpfs", str(folder)], capture_output=True, text=True, check=False
    )
    if done.returncode != 0:
        pytest.skip(f"a small file system cannot be mounted here: {done.stderr.strip()}")
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=True)


@pytest.fixture
def exchange(tmp_path: Path) -> Iterator[Exchange]:
    folder = tmp_path / "exchange"
    folder.mkdir()
    running = Exchange(folder, seed=SEED, speed=SPEED)
    yield running
    running.close()


@pytest.fixture
def start() -> Iterator[Start]:
    """Starts daemons; none outlives the test."""
    running: list[Process] = []

    def started(folder: Path, exchange: Exchange, *more: str, words: Path | None = None) -> Process:
        url = exchange.urls["clob_url"]
        running.append(Process(words or folder, "run", "--seed", str(SEED), *more, CLOB_URL=url, DATA_DIR=str(folder)))
        return running[-1]

    yield started
    for process in running:
        if process.popen.poll() is None:
            process.kill()


def fill_up(folder: Path) -> Path:
    """Leave no room."""
    path = folder / "filler"
    with path.open("wb", buffering=0) as filler:
        for size in (1 << 20, 1 << 12, 1):
            with suppress(OSError):
                while filler.write(b"\0" * size) == size:
                    pass
    assert os.statvfs(folder).f_bavail == 0
    return path


def known_there(exchange: Exchange) -> set[str]:
    account: dict[str, Any] = exchange.account()
    return {each["order_id"] for each in (*account["trades"], *account["open_orders"])}


def sent(folder: Path) -> set[str]:
    return {order_id for (order_id,) in rows(folder, "SELECT order_id FROM order_intents")}


def stays_within(folder: Path, exchange: Exchange, *, seconds: float) -> None:
    """For so long the exchange has no order but those whose intents were committed before.

    A commit may still succeed now and then: the database writes again into what it holds already.
    """
    pause, deadline = threading.Event(), time.monotonic() + seconds
    while time.monotonic() < deadline:
        there = known_there(exchange)
        assert there <= sent(folder), "an order left while its intent could not be committed"
        pause.wait(0.5)


def goes_on(daemon: Process, folder: Path) -> None:
    """It commits again, and stops in order when it is asked to."""
    decisions, pause, deadline = count(folder), threading.Event(), time.monotonic() + DEADLINE_S
    while count(folder) <= decisions:
        assert time.monotonic() < deadline, "nothing is committed although it could be"
        pause.wait(0.2)
    daemon.popen.send_signal(signal.SIGTERM)
    assert daemon.finish() == 0, daemon.errors()


def count(folder: Path) -> int:
    [(decisions,)] = rows(folder, "SELECT coalesce(max(decision_id), 0) FROM decisions")
    return int(decisions)


def agrees(start: Start, folder: Path, exchange: Exchange) -> None:
    """A daemon that is started again settles a market, and both books are the same."""
    again = start(folder, exchange, "--markets", "1")
    assert again.finish() == 0, again.errors()
    told = report(folder, exchange)
    assert told["adjustments"] == []
    assert known_there(exchange) <= sent(folder)


@pytest.mark.slow
def test_nothing_leaves_while_the_disk_is_full_and_with_room_again_it_goes_on(
    start: Start, disk: Path, exchange: Exchange
) -> None:
    daemon = start(disk, exchange)
    daemon.wait_for("fill.booked")
    filler = fill_up(disk)
    blocked = daemon.wait_for("store.blocked")
    assert blocked["level"] == "error"
    assert "disk is full" in blocked["error"]
    stays_within(disk, exchange, seconds=5)
    filler.unlink()
    goes_on(daemon, disk)
    agrees(start, disk, exchange)


@pytest.mark.slow
def test_a_daemon_started_on_a_full_disk_says_so_in_one_line_and_a_later_start_goes_on(
    start: Start, disk: Path, exchange: Exchange
) -> None:
    daemon = start(disk, exchange)
    daemon.wait_for("fill.booked")
    daemon.kill()
    filler = fill_up(disk)
    refused = start(disk, exchange, words=disk.parent)
    assert refused.finish() == 1
    assert "full" in refused.errors()
    assert len(refused.errors().splitlines()) == 1, refused.errors()
    filler.unlink()
    agrees(start, disk, exchange)


@pytest.mark.slow
def test_a_read_only_disk_is_one_line_at_the_start(start: Start, disk: Path, exchange: Exchange) -> None:
    first = start(disk, exchange)
    first.wait_for("fill.booked")
    first.kill()
    subprocess.run(["mount", "-o", "remount,ro", str(disk)], check=True)
    daemon = start(disk, exchange, words=disk.parent)
    assert daemon.finish() in (1, 2)
    assert len(daemon.errors().splitlines()) == 1, daemon.errors()
    assert "read-only" in daemon.errors().lower() or "readonly" in daemon.errors().lower()
    subprocess.run(["mount", "-o", "remount,rw", str(disk)], check=True)
    agrees(start, disk, exchange)


@pytest.mark.slow
def test_nothing_leaves_while_the_database_is_locked_and_then_it_goes_on(
    start: Start, tmp_path: Path, exchange: Exchange
) -> None:
    daemon = start(tmp_path, exchange)
    daemon.wait_for("order.submitted")
    with closing(sqlite3.connect(tmp_path / "polystra-sim.db", isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        stays_within(tmp_path, exchange, seconds=LOCKED_S)
        other.execute("ROLLBACK")
    daemon.wait_for("store.blocked")
    goes_on(daemon, tmp_path)
    agrees(start, tmp_path, exchange)
