"""Two daemons on one account, as processes: the second is refused, a fenced-off first one writes and sends nothing."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text
from sqlalchemy.exc import OperationalError

from polystra.adapters.store.database import make_engine, parse_url
from tests.chaos.processes import Exchange, Process

SEED = 7


@dataclass(frozen=True)
class Place:
    """One database, as two machines would name it."""

    url: str
    folders: tuple[Path, Path]

    def daemon(self, exchange: Exchange, *, elsewhere: bool = False) -> Process:
        return Process(
            self.folders[elsewhere],
            "run",
            "--seed",
            str(SEED),
            CLOB_URL=exchange.urls["clob_url"],
            DATABASE_URL=self.url,
        )

    def execute(self, statement: str) -> list[Any]:
        engine = make_engine(parse_url(self.url))
        with engine.begin() as connection:
            if engine.dialect.name == "postgresql":
                connection.execute(text("SET LOCAL lock_timeout = '1s'"))
            result = connection.execute(text(statement))
            rows = list(result) if result.returns_rows else []
        engine.dispose()
        return rows


@pytest.fixture
def exchange(tmp_path: Path) -> Iterator[Exchange]:
    running = Exchange(tmp_path, seed=SEED, speed="10", SYMBOLS="BTC")
    yield running
    running.close()


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=[pytest.mark.postgres, pytest.mark.slow])])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Place:
    """A server is used from two folders, a file from one."""
    if request.param == "sqlite":
        return Place(f"sqlite:///{tmp_path}/account.db", (tmp_path, tmp_path))
    (tmp_path / "elsewhere").mkdir()
    return Place(request.getfixturevalue("postgres_url"), (tmp_path, tmp_path / "elsewhere"))


def take_over(first: Process, place: Place) -> None:
    """Stop the process between two of its transactions and give its lease to another."""
    while True:
        first.popen.send_signal(signal.SIGSTOP)
        try:
            place.execute("UPDATE lease SET epoch = epoch + 1, host = 'elsewhere', pid = 77")
        except OperationalError:  # it was stopped in the middle of one: let it finish that
            first.popen.send_signal(signal.SIGCONT)
        else:
            return


def one_line(process: Process) -> str:
    [line] = process.errors().splitlines()
    return line


def test_the_second_is_refused_at_once_and_the_next_after_an_orderly_end_is_not(exchange: Exchange, place: Place):
    first = place.daemon(exchange)
    first.wait_for("reconcile.completed")
    second = place.daemon(exchange, elsewhere=True)
    assert second.finish() == 1, second.errors()
    assert f"another polystra (process {first.popen.pid} on " in one_line(second)
    assert ", since 20" in one_line(second)
    assert "stop it first" in one_line(second)
    assert not any("reconcile" in line for line in second.lines)
    first.popen.send_signal(signal.SIGTERM)
    assert first.finish() == 0, first.errors()
    third = place.daemon(exchange, elsewhere=True)
    third.wait_for("reconcile.completed")
    third.popen.send_signal(signal.SIGTERM)
    assert third.finish() == 0, third.errors()
    assert not any("store.held" in line for line in third.lines)


@pytest.mark.slow
def test_after_a_kill_the_next_one_need_not_wait(exchange: Exchange, place: Place):
    for _ in range(2):
        daemon = place.daemon(exchange)
        daemon.wait_for("order.submitted")
        daemon.kill()
        assert not any("store.held" in line for line in daemon.lines)


def test_a_stopped_process_that_was_taken_over_ends_without_a_further_intent(exchange: Exchange, place: Place):
    first = place.daemon(exchange)
    first.wait_for("order.submitted")
    take_over(first, place)
    before = place.execute("SELECT count(*) FROM order_intents")
    first.popen.send_signal(signal.SIGCONT)
    assert first.finish() == 1
    assert "another polystra (process 77 on elsewhere" in one_line(first)
    assert "has taken over the account" in one_line(first)
    assert place.execute("SELECT count(*) FROM order_intents") == before
    ours = {row.order_id for row in place.execute("SELECT order_id FROM order_intents")}
    account = exchange.account()
    there = {order["order_id"] for order in account["open_orders"]} | {trade["order_id"] for trade in account["trades"]}
    assert there <= ours
