"""forceexit, forceenter and reload_config over a running daemon; SIGHUP; what they say when none runs."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from polystra.app.cli import app
from polystra.app.settings import known_names
from tests.chaos.processes import Process


@pytest.fixture(autouse=True)
def _no_settings_from_outside(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in known_names():
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def daemon(tmp_path: Path) -> Iterator[Process]:
    """A daemon that trades on wide limits and sells nothing by itself."""
    tell(tmp_path, ENABLE_TAKE_PROFIT="NO", ENABLE_STOP_LOSS="NO")
    process = Process(tmp_path, "run", "--speed", "10", "--seed", "5", POLYSTRA_ENV_FILE=str(tmp_path / ".env"))
    process.wait_for("reconcile.completed")
    yield process
    if process.popen.poll() is None:
        process.popen.send_signal(signal.SIGTERM)
        assert process.finish() == 0, process.errors()


def tell(folder: Path, **values: str) -> None:
    """Write the settings file whole."""
    lines = "".join(f"{name}={value}\n" for name, value in values.items())
    (folder / "new.env").write_text(lines)
    (folder / "new.env").rename(folder / ".env")


def polystra(folder: Path, *arguments: str) -> Result:
    return CliRunner().invoke(
        app, arguments, env={"DATA_DIR": str(folder), "WINDOWS": "5m", "POLYSTRA_ENV_FILE": "/nowhere"}
    )


def open_positions(folder: Path) -> list[dict[str, Any]]:
    result = polystra(folder, "positions", "--json")
    assert result.exit_code == 0, result.output
    return [line for line in json.loads(result.stdout) if line["status"] in ("OPEN", "EXITING")]


def first_held(folder: Path, daemon: Process) -> dict[str, Any]:
    """The first position whose shares have arrived, looked for after each line of the log."""
    daemon.wait_for("fill.booked")
    while True:
        daemon.wait_for_line()
        for line in open_positions(folder):
            if Decimal(line["settled_shares"]) >= 5:
                return line


def test_a_position_is_sold_by_hand_after_its_price_was_shown(tmp_path: Path, daemon: Process) -> None:
    held = first_held(tmp_path, daemon)
    asks = polystra(tmp_path, "forceexit", held["position_id"])
    assert asks.exit_code == 2
    assert "add --yes" in asks.stderr
    unknown = polystra(tmp_path, "forceexit", "nothing", "--yes")
    assert unknown.exit_code == 1
    assert "no open position is called nothing" in unknown.stderr
    done = polystra(tmp_path, "forceexit", held["position_id"], "--yes")
    assert done.exit_code == 0, done.output
    shown, outcome = done.stdout.strip().splitlines()
    assert "worst price" in shown
    assert "fee about" in shown
    assert outcome.startswith(f"{held['position_id']}: sold ")
    lines = json.loads(polystra(tmp_path, "positions", "--json").stdout)
    [line] = [line for line in lines if line["position_id"] == held["position_id"]]
    assert line["exit_reason"] in ("CLOSE", "manual")
    orders = json.loads(polystra(tmp_path, "orders", "--json").stdout)
    assert any(order["rule"] == "manual" and order["side"] == "SELL" for order in orders)


def test_an_entry_by_hand_needs_its_setting_and_obeys_the_limits(tmp_path: Path, daemon: Process) -> None:
    polystra(tmp_path, "forceenter", "no-market", "up", "5", "--yes")
    off = polystra(tmp_path, "forceenter", "no-market", "up", "5", "--yes")
    assert off.exit_code == 1
    assert "FORCE_ENTRY_ENABLE=YES" in off.stderr
    tell(tmp_path, ENABLE_TAKE_PROFIT="NO", ENABLE_STOP_LOSS="NO", FORCE_ENTRY_ENABLE="YES", MIN_EDGE_PERCENT="90")
    reloaded = polystra(tmp_path, "reload_config")
    assert reloaded.exit_code == 0, reloaded.output
    assert "MIN_EDGE_PERCENT 3.0 -> 90" in reloaded.stdout
    unknown = polystra(tmp_path, "forceenter", "no-market", "up", "5", "--yes")
    slugs = unknown.stderr.split("those that are:")[1].strip().split(", ")
    # A market is busy while the strategy holds something in it: the next window is free.
    answers = [polystra(tmp_path, "forceenter", slug, "up", "6", "--yes", "--json") for slug in slugs]
    told = [json.loads(answer.stdout) if answer.exit_code == 0 else answer.stderr for answer in answers]
    assert all(answer.exit_code in (0, 1) for answer in answers), told
    too_much = polystra(tmp_path, "forceenter", slugs[-1], "down", "5000", "--yes")
    assert too_much.exit_code == 1
    assert "not done" in too_much.stderr


@pytest.mark.parametrize(
    "words",
    [("sideways", "5"), ("up", "much"), ("up", "0.5"), ("up", "5", "--price", "2"), ("up", "5", "--price", "x")],
)
def test_a_wrong_word_of_an_entry_is_one_line(tmp_path: Path, words: tuple[str, ...]) -> None:
    result = polystra(tmp_path, "forceenter", "m", *words, "--yes")
    assert result.exit_code == 2
    assert len(result.stderr.strip().splitlines()) == 1


def test_settings_are_taken_by_command_and_by_signal_as_a_whole_or_not_at_all(tmp_path: Path, daemon: Process) -> None:
    kept = {"ENABLE_TAKE_PROFIT": "NO", "ENABLE_STOP_LOSS": "NO"}
    assert "nothing differs" in polystra(tmp_path, "reload_config").stdout
    tell(tmp_path, **kept, MAX_OPEN_POSITIONS="3")
    looked = polystra(tmp_path, "reload_config", "--check")
    assert looked.exit_code == 0
    assert "MAX_OPEN_POSITIONS 8 -> 3" in looked.stdout
    assert "Nothing was changed" in looked.stdout
    taken = polystra(tmp_path, "reload_config")
    assert "1 settings changed" in taken.stdout
    told = daemon.wait_for("config.changed")
    assert "MAX_OPEN_POSITIONS 8 -> 3" in told["message"]
    tell(tmp_path, **kept, MAX_OPEN_POSITIONS="4", SYMBOLS="BTC")
    refused = polystra(tmp_path, "reload_config")
    assert refused.exit_code == 1
    assert "SYMBOLS needs a restart" in refused.stderr
    tell(tmp_path, **kept, MAX_OPEN_POSITIONS="many")
    refused = polystra(tmp_path, "reload_config", "--json")
    assert refused.exit_code == 1
    assert json.loads(refused.stdout)["refusal"].startswith("nothing was changed: MAX_OPEN_POSITIONS is 'many'")
    tell(tmp_path, **kept, MAX_OPEN_POSITIONS="5")
    os.kill(daemon.popen.pid, signal.SIGHUP)
    told = daemon.wait_for("config.changed")
    assert told["message"] == "MAX_OPEN_POSITIONS 3 -> 5 (asked for by SIGHUP)"
    tell(tmp_path, **kept, DATA_DIR="/elsewhere", MAX_OPEN_POSITIONS="6")
    tell(tmp_path, **kept, ALERT_LEVEL="critical", MAX_OPEN_POSITIONS="6")
    os.kill(daemon.popen.pid, signal.SIGHUP)
    while (told := daemon.wait_for("control.asked"))["source"] != "SIGHUP" or "ALERT" not in told["outcome"]:
        pass
    assert told["outcome"].startswith("nothing was changed: ALERT_LEVEL needs a restart")


@pytest.mark.parametrize(
    "words", [("forceexit", "all", "--yes"), ("forceenter", "m", "up", "5", "--yes"), ("reload_config",)]
)
def test_without_a_daemon_it_is_one_line(tmp_path: Path, words: tuple[str, ...]) -> None:
    result = polystra(tmp_path, *words)
    assert result.exit_code == 2
    assert "no daemon runs here" in result.stderr
    assert len(result.stderr.strip().splitlines()) == 1
