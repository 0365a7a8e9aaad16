"""profit, daily, trades, balance and show_config: the same figures as the report, to the micro-dollar."""

from __future__ import annotations

import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
import structlog
from typer.testing import CliRunner, Result

from polystra.app.cli import app
from polystra.app.profit import GROUPS
from polystra.app.sessions import RunOptions, run_session
from polystra.app.setting_secrets import SECRETS
from polystra.app.settings import known_names, load_settings


@pytest.fixture(scope="module")
def books(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The data folder of a run in which markets settled."""
    folder = tmp_path_factory.mktemp("books")
    values = {"WINDOWS": "5m", "DATA_DIR": str(folder), "LOG_LEVEL": "ERROR", "LOG_FORMAT": "json"}
    run_session(load_settings(values, None), RunOptions(seed=5, markets=8, speed=None))
    structlog.reset_defaults()
    return folder


@pytest.fixture(autouse=True)
def _no_settings_from_outside(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in known_names():
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(tmp_path)


def polystra(folder: Path, *arguments: str, **more: str) -> Result:
    return CliRunner().invoke(app, arguments, env={"DATA_DIR": str(folder), "WINDOWS": "5m", **more})


def told(folder: Path, *arguments: str) -> Any:
    result = polystra(folder, *arguments, "--json")
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


def total(lines: list[dict[str, Any]], name: str) -> Decimal:
    return sum((Decimal(line[name]) for line in lines), Decimal(0))


def test_profit_daily_and_trades_are_the_report_to_the_micro_dollar(books: Path) -> None:
    report = told(books, "report")
    profit, days, trades = told(books, "profit"), told(books, "daily", "3"), told(books, "trades", "0")
    assert profit["trades"] == len(trades) > 2
    realised, fees = Decimal(report["realised_pnl"]), Decimal(report["fees"])
    assert realised != 0
    assert Decimal(profit["realised_pnl"]) == realised
    assert Decimal(profit["fees"]) == fees
    assert total(days, "realised_pnl") == realised
    assert total(days, "fees") == fees
    assert Decimal(days[0]["cumulative_pnl"]) == realised
    assert total(trades, "realised_pnl") + Decimal(profit["in_open_positions"]) == realised
    assert profit["wins"] + profit["losses"] + profit["even"] == len(trades)


@pytest.mark.parametrize("by", GROUPS)
def test_every_grouping_has_every_trade_once(books: Path, by: str) -> None:
    profit = told(books, "profit", "--by", by)
    assert sum(group["trades"] for group in profit["groups"]) == profit["trades"]
    ended = Decimal(profit["realised_pnl"]) - Decimal(profit["in_open_positions"])
    assert total(profit["groups"], "realised_pnl") == ended
    assert all(group["name"] != "unknown" for group in profit["groups"])


def test_a_trade_adds_up(books: Path) -> None:
    for trade in told(books, "trades", "0"):
        made = Decimal(trade["proceeds"]) - Decimal(trade["cost"]) - Decimal(trade["fees"])
        assert Decimal(trade["realised_pnl"]) == made
    newest = [trade["closed_at"] for trade in told(books, "trades", "0")]
    assert newest == sorted(newest, reverse=True)
    assert len(told(books, "trades", "1")) == 1


def test_the_balance_is_the_ledger(books: Path) -> None:
    balance, status = told(books, "balance"), told(books, "status")
    assert (balance["cash"], balance["available"], balance["claims"]) == tuple(
        status[name] for name in ("cash", "available", "claims")
    )
    parts = sum(Decimal(balance[name]) for name in ("cash", "claims", "positions_value"))
    assert Decimal(balance["equity"]) == parts


@pytest.mark.parametrize("words", [("profit",), ("daily",), ("trades",), ("balance",), ("show_config",)])
def test_people_get_a_table(books: Path, words: tuple[str, ...]) -> None:
    shown = polystra(books, *words)
    assert shown.exit_code == 0, shown.output
    assert len(shown.stdout.splitlines()) > 4


@pytest.mark.parametrize("words", [("profit",), ("daily",), ("trades",), ("balance",)])
def test_without_a_database_it_is_one_line(tmp_path: Path, words: tuple[str, ...]) -> None:
    result = polystra(tmp_path / "nothing", *words)
    assert result.exit_code == 1
    assert len(result.stderr.strip().splitlines()) == 1


def test_a_wrong_grouping_is_one_line(books: Path) -> None:
    result = polystra(books, "profit", "--by", "moon")
    assert result.exit_code == 2
    assert "symbol" in result.stderr


def test_the_configuration_shows_where_each_value_comes_from_and_no_secret(tmp_path: Path) -> None:
    secret = "hunter2-" * 4
    (tmp_path / ".env").write_text(
        f"MIN_EDGE_PERCENT=4.5\nALERT_WEBHOOK_URL=https://hook.example/{secret}\nCLOB_URL=http://127.0.0.1:1/{secret}\n"
    )
    (tmp_path / ".env").chmod(0o600)
    result = polystra(tmp_path, "show_config", "--json", STOP_LOSS_PERCENT="40")
    assert result.exit_code == 0, result.output
    lines = {line["name"]: line for line in json.loads(result.stdout)}
    files = {f"{name}_FILE" for name in SECRETS}
    assert set(lines) == set(known_names()) - files
    assert lines["MIN_EDGE_PERCENT"] | {"section": ""} == {
        "name": "MIN_EDGE_PERCENT",
        "value": "4.5",
        "source": ".env",
        "reload": "reload_config",
        "section": "",
    }
    assert (lines["STOP_LOSS_PERCENT"]["value"], lines["STOP_LOSS_PERCENT"]["source"]) == ("40", "environment")
    assert (lines["MODE"]["value"], lines["MODE"]["source"], lines["MODE"]["reload"]) == ("sim", "default", "restart")
    assert lines["ALERT_WEBHOOK_URL"]["value"] == "set (not shown)"
    assert secret not in result.stdout + polystra(tmp_path, "show_config").stdout
