"""positions, position ID and report --by exit_mode: over a running daemon's database and a finished one."""

from __future__ import annotations

import json
import signal
import sqlite3
from collections import Counter
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
import structlog
from typer.testing import CliRunner, Result

from polystra.app.cli import app
from polystra.app.settings import known_names
from tests.chaos.processes import Process


@pytest.fixture(autouse=True)
def _no_settings_from_outside(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in known_names():
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(tmp_path)


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Four markets, half of the positions with watched exits."""
    folder = tmp_path_factory.mktemp("finished")
    environment = {"WINDOWS": "5m", "DATA_DIR": str(folder), "POLYSTRA_ENV_FILE": "/nowhere"}
    environment["EXIT_MODE_AB_SHARE"] = "0.5"
    result = CliRunner().invoke(app, ["run", "--speed", "max", "--seed", "3", "--markets", "4"], env=environment)
    structlog.reset_defaults()
    assert result.exit_code == 0, result.output
    return folder


@pytest.fixture
def running(tmp_path: Path) -> Iterator[Path]:
    """The folder of a daemon that is held still just after it took a position."""
    process = Process(tmp_path, "run", "--speed", "5", "--seed", "4")
    try:
        process.wait_for("position.opened")
        process.popen.send_signal(signal.SIGSTOP)
        yield tmp_path
    finally:
        process.popen.send_signal(signal.SIGCONT)
        process.kill()


def polystra(folder: Path, *arguments: str) -> Result:
    return CliRunner().invoke(app, arguments, env={"DATA_DIR": str(folder)})


def told(folder: Path, *arguments: str) -> Any:
    result = polystra(folder, *arguments, "--json")
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


def rows(folder: Path, query: str) -> list[Any]:
    connection = sqlite3.connect(f"file:{folder / 'polystra-sim.db'}?mode=ro", uri=True)
    found = connection.execute(query).fetchall()
    connection.close()
    return found


def test_a_held_position_of_a_running_daemon(running: Path):
    held = [line for line in told(running, "positions") if Decimal(line["shares"])]
    assert told(running, "status")["running"]
    assert held
    line = held[0]
    shares, average, mark = (Decimal(line[name]) for name in ("shares", "average_price", "mark"))
    assert 0 < mark < 1
    assert line["mark_age_s"] >= 0
    assert abs(Decimal(line["unrealised_pnl"]) - (mark - average) * shares) < Decimal("0.001")
    assert 0 <= Decimal(line["reserved_shares"]) <= shares
    assert line["exit_mode"] == "limit_orders"
    assert line["armed"] or line["exits"]
    assert 0 < line["resolves_in_s"] <= 300
    assert line["available"] == told(running, "status")["available"]
    shown = polystra(running, "positions").stdout
    assert line["position_id"] in shown
    assert f"Available: ${line['available']}" in shown
    assert line["armed"][0] in shown


def test_the_ledger_of_a_held_position_explains_its_size(running: Path):
    line = next(line for line in told(running, "positions") if Decimal(line["shares"]))
    shares = told(running, "position", line["position_id"], "--ledger")["ledger"]
    assert shares["difference"] == "0"
    assert shares["lines"][-1]["size"] == shares["size"] == line["shares"]
    assert shares["lines"][0]["kind"] == "MATCHED"
    assert shares["lines"][0]["finality"] in ("provisional", "final")


def test_the_ledgers_of_a_finished_run_explain_every_share(finished: Path):
    positions = told(finished, "positions")
    assert positions
    for line in positions:
        shares = told(finished, "position", line["position_id"], "--ledger")["ledger"]
        assert (shares["difference"], shares["size"]) == ("0", line["shares"])
        assert all(each["finality"] != "provisional" for each in shares["lines"])
        shown = polystra(finished, "position", line["position_id"], "--ledger").stdout
        assert "which is the position's size" in shown
    [(postings,)] = rows(finished, "SELECT count(*) FROM ledger WHERE position_id IS NOT NULL")
    every = [told(finished, "position", line["position_id"], "--ledger")["ledger"]["lines"] for line in positions]
    assert sum(map(len, every)) == postings


def test_one_position_with_its_orders_and_fills(finished: Path):
    [(position_id,)] = rows(finished, "SELECT position_id FROM fills ORDER BY matched_at_ns LIMIT 1")
    position = told(finished, "position", position_id)
    orders = rows(finished, f"SELECT client_order_id FROM orders WHERE position_id = '{position_id}'")
    fills = rows(finished, f"SELECT trade_id FROM fills WHERE position_id = '{position_id}'")
    assert {order["client_order_id"] for order in position["orders"]} == {each for (each,) in orders}
    assert {fill["trade_id"] for fill in position["fills"]} == {each for (each,) in fills}
    shown = polystra(finished, "position", position_id).stdout
    assert position_id in shown
    assert all(order["client_order_id"] in shown for order in position["orders"])


def test_an_id_may_be_shortened_until_it_is_ambiguous(finished: Path):
    ids = [line["position_id"] for line in told(finished, "positions")]
    unique = next(each for each in ids if sum(other.startswith(each[:-2]) for other in ids) == 1)
    assert told(finished, "position", unique[:-2])["position_id"] == unique
    [(coin, _)] = Counter(each[:4] for each in ids).most_common(1)
    for wanted, words in (("nothing-such", "no position has such an id"), (coin, "several positions begin with")):
        result = polystra(finished, "position", wanted)
        assert result.exit_code == 2
        assert len(result.stderr.strip().splitlines()) == 1
        assert words in result.stderr


def test_the_exit_modes_are_compared(finished: Path):
    lines = told(finished, "report", "--by", "exit_mode")
    assert {line["exit_mode"] for line in lines} == {"limit_orders", "monitor"}
    [(positions, pnl)] = rows(finished, "SELECT count(*), sum(realised_pnl) FROM positions WHERE average_price > 0")
    assert sum(line["positions"] for line in lines) == positions
    assert sum(Decimal(line["realised_pnl"]) for line in lines) * 1_000_000 == pnl
    [(sent,)] = rows(
        finished,
        "SELECT count(DISTINCT call_sequence) FROM api_call_orders JOIN orders USING (order_id)"
        " JOIN positions USING (position_id) WHERE average_price > 0",
    )
    assert sum(line["requests"] for line in lines) >= sent > 0
    assert all(0 <= Decimal(line["fill_rate"] or 0) <= 1 for line in lines)
    shown = polystra(finished, "report", "--by", "exit_mode").stdout
    assert "monitor" in shown


def test_another_way_to_compare_is_refused(finished: Path):
    result = polystra(finished, "report", "--by", "moon")
    assert result.exit_code == 2
    assert result.stderr == "polystra: --by is 'moon', expected exit_mode\n"
