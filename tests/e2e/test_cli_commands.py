"""The commands on a world that was really traded in: one run, then every question that can be asked of it."""

from __future__ import annotations

import csv
import io
import json
import sqlite3
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
import structlog
from typer.testing import CliRunner, Result

from polystra import __version__
from polystra.app.cli import app
from polystra.app.settings import known_names

DISCREPANCY = 3


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder in which four markets were traded and something was held to its end and won."""
    for seed in range(3, 9):
        folder = tmp_path_factory.mktemp("world")
        environment = {"WINDOWS": "5m", "DATA_DIR": str(folder), "LOG_FORMAT": "json", "POLYSTRA_ENV_FILE": "/nowhere"}
        arguments = ["run", "--speed", "max", "--seed", str(seed), "--markets", "4"]
        result = CliRunner().invoke(app, arguments, env=environment)
        structlog.reset_defaults()
        assert result.exit_code == 0, result.output
        (folder / "log").write_text(result.stdout)
        if _has_won(folder / "polystra-sim.db"):
            return folder
    pytest.fail("none of six runs held a position that won")


def _has_won(database: Path) -> bool:
    connection = sqlite3.connect(database)
    found = connection.execute("SELECT count(*) FROM ledger WHERE kind = 'REDEEMED'").fetchone()[0]
    connection.close()
    return bool(found)


@pytest.fixture(autouse=True)
def _no_settings_from_outside(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in known_names():
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(tmp_path)


def polystra(folder: Path, *arguments: str, **environment: str) -> Result:
    return CliRunner().invoke(app, arguments, env={"DATA_DIR": str(folder)} | environment)


def told(folder: Path, *arguments: str, code: int = 0) -> Any:
    result = polystra(folder, *arguments, "--json")
    assert result.exit_code == code, result.output
    return json.loads(result.stdout)


def copy_of(world: Path, folder: Path) -> Path:
    """The same world in another folder, to change something in it."""
    for name in ("polystra-sim.db", "exchange-sim.db"):
        source = sqlite3.connect(world / name)
        target = sqlite3.connect(folder / name)
        source.backup(target)
        source.close()
        target.close()
    return folder


def change(database: Path, statement: str) -> None:
    connection = sqlite3.connect(database)
    with connection:
        connection.execute("PRAGMA foreign_keys = OFF")
        assert connection.execute(statement).rowcount > 0
    connection.close()


def test_the_log_tells_the_start_line_by_line_and_the_hash_at_the_end(world: Path):
    lines = [json.loads(line) for line in (world / "log").read_text().splitlines()]
    events = [line["event"] for line in lines]
    migrated = next(line for line in lines if line["event"] == "store.migrated")
    assert migrated["schema"]
    for event in ("rules.listed", "reconcile.completed", "stream.connected", "market.resolved", "shutdown.completed"):
        assert event in events
    assert lines[-1]["event"] == "sim.completed"
    assert lines[-1]["markets_settled"] == 4
    assert len(lines[-1]["facts_hash"]) == 64


def test_the_report_as_json(world: Path):
    report = told(world, "report")
    assert report["markets_settled"] == 4
    assert report["discrepancies"] == 0
    assert report["discrepancy_list"] == []
    assert report["adjustments"] == []
    for name in ("orders", "fills", "take_profits", "stop_losses", "held_to_resolution"):
        assert isinstance(report[name], int)
    assert report["orders"] == sum(market["orders"] for market in report["markets"]) > 0
    assert report["fills"] == sum(market["fills"] for market in report["markets"]) > 0
    for name in ("fees", "realised_pnl", "cash", "claims"):
        assert isinstance(report[name], str)
    assert "says nothing about real markets" in report["note"]


def test_cash_is_what_there_was_and_the_result(world: Path):
    report = told(world, "report")
    books = sqlite3.connect(world / "polystra-sim.db")
    [(start,)] = books.execute("SELECT settled_cash FROM ledger WHERE kind = 'TRANSFER'").fetchall()
    [(pnl,)] = books.execute("SELECT sum(realised_pnl) FROM positions").fetchall()
    books.close()
    assert float(report["cash"]) == pytest.approx((start + pnl) / 1e6, abs=1e-9)


def test_the_report_for_people_never_cuts_a_figure(world: Path):
    result = polystra(world, "report")
    assert result.exit_code == 0
    report = told(world, "report")
    for market in report["markets"]:
        assert market["slug"] in result.stdout
        assert market["realised_pnl"] in result.stdout
    assert "…" not in result.stdout
    assert "0 discrepancies" in result.stdout
    assert "says nothing about real markets" in result.stdout.replace("\n", " ")


CHANGES = {
    "a dollar more there": (
        "exchange-sim.db",
        "UPDATE accounts SET body = json_set(body, '$.cash', json_extract(body, '$.cash') + 1)",
        "Cash is",
    ),
    "a trade less there": (
        "exchange-sim.db",
        "DELETE FROM trades WHERE rowid = (SELECT min(rowid) FROM trades)",
        "is here but not at the exchange",
    ),
    "a trade twice there": (
        "exchange-sim.db",
        "INSERT INTO trades SELECT 'again', json_set(body, '$.trade_id', 'again') FROM trades LIMIT 1",
        "not booked here",
    ),
    "a position's result here": (
        "polystra-sim.db",
        "UPDATE positions SET realised_pnl = realised_pnl + 1",
        "says realised PnL",
    ),
    "a market's payout here": (
        "polystra-sim.db",
        "UPDATE settlements SET up_payout = 1000000 - up_payout",
        "per Up share here",
    ),
}


@pytest.mark.parametrize("name", CHANGES)
def test_a_report_with_a_discrepancy_ends_with_its_own_code(name: str, world: Path, tmp_path: Path):
    file, statement, words = CHANGES[name]
    folder = copy_of(world, tmp_path)
    change(folder / file, statement)
    report = told(folder, "report", code=DISCREPANCY)
    assert report["discrepancies"] == len(report["discrepancy_list"]) > 0
    assert any(words in sentence for sentence in report["discrepancy_list"])
    shown = polystra(folder, "report")
    assert shown.exit_code == DISCREPANCY
    assert words in shown.stdout


def test_an_adjustment_is_shown_on_its_own(world: Path, tmp_path: Path):
    folder = copy_of(world, tmp_path)
    columns = "source_id, kind, at_ns, reason, settled_cash, evidence"
    amounts = (
        "pending_shares, settled_shares, pending_cash, claim, bought, bought_cost, sold, sold_proceeds, fee, resolved, "
        "payout"
    )
    zeros = ", ".join("0" for _ in amounts.split(","))
    change(
        folder / "polystra-sim.db",
        f"INSERT INTO ledger ({columns}, {amounts}) "
        f"VALUES ('a1', 'ADJUSTMENT', 1, 'venue cash differs from the ledger', 7, 'seen twice', {zeros})",
    )
    report = told(folder, "report", code=DISCREPANCY)
    [adjustment] = report["adjustments"]
    assert (adjustment["cash"], adjustment["evidence"]) == ("0.000007", "seen twice")
    assert "Adjustments" in polystra(folder, "report").stdout


def test_status(world: Path):
    status = told(world, "status")
    report = told(world, "report")
    assert status["mode"] == "sim"
    assert status["account"] == report["account"]
    assert status["running"] is False
    assert (status["open_positions"], status["open_orders"], status["markets_settled"]) == (0, 0, 4)
    assert status["cash"] == report["cash"]
    assert status["realised_pnl"] == report["realised_pnl"]
    assert "no differences" in status["last_reconcile"]
    shown = polystra(world, "status").stdout
    assert "not running" in shown
    assert status["account"] in shown


def test_nothing_is_redeemable_when_the_exchange_has_redeemed_by_itself(world: Path):
    assert told(world, "redeemable") == []
    assert "Nothing to redeem." in polystra(world, "redeemable").stdout
    assert told(world, "status")["runway"] == ""


def _let_the_ledger_change(database: Path) -> None:
    connection = sqlite3.connect(database)
    with connection:
        found = connection.execute("SELECT name FROM sqlite_master WHERE type = 'trigger' AND tbl_name = 'ledger'")
        for (name,) in found.fetchall():
            connection.execute(f'DROP TRIGGER "{name}"')
    connection.close()


def test_winnings_that_wait_are_listed_and_shown_as_runway(tmp_path: Path):
    folder = tmp_path / "held"
    environment = {"WINDOWS": "5m", "DATA_DIR": str(folder), "ENABLE_EXIT_PLAN": "NO", "LOG_LEVEL": "ERROR"}
    ran = CliRunner().invoke(app, ["run", "--speed", "max", "--seed", "7", "--markets", "4"], env=environment)
    structlog.reset_defaults()
    assert ran.exit_code == 0, ran.output
    _let_the_ledger_change(folder / "polystra-sim.db")
    change(folder / "polystra-sim.db", "DELETE FROM ledger WHERE kind = 'REDEEMED'")
    lines = told(folder, "redeemable")
    assert lines
    assert {line["outcome"] for line in lines} <= {"UP", "DOWN"}
    dollars = sum(Decimal(line["dollars"]) for line in lines)
    assert dollars > 0
    assert all(Decimal(line["shares"]) == Decimal(line["dollars"]) for line in lines)
    assert all(line["age_s"] >= 0 for line in lines)
    status = told(folder, "status")
    assert Decimal(status["claims"]) == dollars
    assert status["runway"].endswith(f"trading could go on for {dollars // 5} entries")
    shown = polystra(folder, "redeemable").stdout
    assert lines[0]["market"] in shown
    assert "Nothing is redeemed by this program" in shown


def test_positions(world: Path):
    positions = told(world, "positions")
    assert positions
    assert {position["status"] for position in positions} <= {"RESOLVED", "CLOSED"}
    assert all(position["shares"] == "0" for position in positions)
    shown = polystra(world, "positions").stdout
    assert all(position["market"] in shown for position in positions)
    assert "…" not in shown


def test_positions_that_are_held_come_first_with_their_exits(world: Path, tmp_path: Path):
    folder = copy_of(world, tmp_path)
    change(
        folder / "polystra-sim.db",
        "UPDATE positions SET status = 'OPEN', settled_shares = 5000000, take_profit_price = 900000, "
        "stop_price = 250000 WHERE opened_at_ns = (SELECT min(opened_at_ns) FROM positions)",
    )
    first, *rest = told(folder, "positions")
    assert (first["status"], first["shares"], first["settled_shares"]) == ("OPEN", "5", "5")
    assert (first["take_profit"], first["stop"], first["unrealised_pnl"]) == ("0.9", "0.25", None)
    assert all(position["shares"] == "0" for position in rest)


def test_the_database_commands(world: Path, tmp_path: Path):
    newest = polystra(world, "db", "history").stdout.splitlines()[-1].split()[0]
    assert polystra(world, "db", "current").stdout == f"{newest} (up to date)\n"
    assert polystra(world, "db", "upgrade").stdout == f"{newest} (up to date)\n"
    assert f"to {newest}" in polystra(tmp_path / "new", "db", "upgrade").stdout
    assert polystra(tmp_path / "new", "db", "current").stdout == f"{newest} (up to date)\n"


def test_a_run_with_a_seed_keeps_the_world_before(world: Path, tmp_path: Path):
    folder = copy_of(world, tmp_path)
    before = told(folder, "report")
    result = polystra(folder, "run", "--speed", "max", "--seed", "9", "--markets", "1", WINDOWS="5m")
    structlog.reset_defaults()
    assert result.exit_code == 0, result.output
    assert told(folder, "report")["account"] != before["account"]
    assert told(folder / "previous" / "0001", "report")["realised_pnl"] == before["realised_pnl"]


def test_the_version():
    assert polystra(Path(), "version").stdout == f"polystra {__version__}\n"


def exported(folder: Path, what: str, *arguments: str) -> list[dict[str, str]]:
    result = polystra(folder, "export", what, "--csv", *arguments)
    assert result.exit_code == 0, result.output
    return list(csv.DictReader(io.StringIO(result.stdout, newline="")))


def test_what_is_exported_sums_to_what_is_reported(world: Path, tmp_path: Path) -> None:
    report = told(world, "report")
    trades, ledger, fills = (exported(world, what) for what in ("trades", "ledger", "fills"))
    assert sum(Decimal(line["realised_pnl"]) for line in trades) == Decimal(report["realised_pnl"])
    assert sum(Decimal(line["fees"]) for line in trades) == Decimal(report["fees"])
    assert sum(Decimal(line["fee"]) for line in ledger) == Decimal(report["fees"])
    cash = sum(Decimal(line["pending_cash"]) + Decimal(line["settled_cash"]) for line in ledger)
    assert cash == Decimal(report["cash"])
    assert sum(Decimal(line["claim"]) for line in ledger) == Decimal(report["claims"])
    assert len([line for line in fills if line["status"] != "FAILED"]) == int(report["fills"])
    out = tmp_path / "trades.csv"
    assert polystra(world, "export", "trades", "--csv", "--out", str(out)).exit_code == 0
    assert list(csv.DictReader(io.StringIO(out.read_bytes().decode(), newline=""))) == trades
    assert [path.name for path in tmp_path.iterdir()] == ["trades.csv"]


def test_an_export_that_cannot_be_made_is_one_line(world: Path, tmp_path: Path) -> None:
    for arguments in (("pages",), ("fills", "--since", "soon"), ("fills", "--out", str(tmp_path / "no" / "x.csv"))):
        result = polystra(world, "export", *arguments)
        assert result.exit_code == 2
        assert len(result.stderr.strip().splitlines()) == 1
