"""A running daemon and a Telegram server over real sockets: alerts, commands, confirmation, strangers, old messages."""

from __future__ import annotations

import json
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from polystra.app.cli import app
from tests.chaos.processes import Process
from tests.fakes.telegram import TOKEN, FakeTelegram

OWN, STRANGER = 7, 666


@pytest.fixture
def server() -> FakeTelegram:
    return FakeTelegram()


@pytest.fixture
def daemon(tmp_path: Path, server: FakeTelegram) -> Iterator[Process]:
    """A daemon whose bot had messages waiting from before it started."""
    server.write(OWN, "/forceexit all", age_s=86_400)
    server.write(OWN, "/stop", age_s=3_600)
    server.write(STRANGER, "/stop")
    with server.serving() as url:
        process = Process(
            tmp_path,
            "run",
            "--speed",
            "10",
            "--seed",
            "5",
            TELEGRAM_TOKEN=TOKEN,
            TELEGRAM_CHAT_IDS=str(OWN),
            TELEGRAM_API_URL=url,
            ENABLE_TAKE_PROFIT="NO",
            ENABLE_STOP_LOSS="NO",
            ALERTS_PER_MINUTE="1000",
        )
        process.wait_for("reconcile.completed")
        yield process
        if process.popen.poll() is None:
            process.popen.send_signal(signal.SIGTERM)
            assert process.finish() == 0, process.errors()
        assert TOKEN not in "".join(process.lines) + process.errors()
        assert TOKEN.partition(":")[2] not in "".join(process.lines) + process.errors()


def told(folder: Path, *arguments: str) -> Any:
    result = CliRunner().invoke(
        app, [*arguments, "--json"], env={"DATA_DIR": str(folder), "POLYSTRA_ENV_FILE": "/none"}
    )
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


def ask(server: FakeTelegram, text: str, *words: str) -> str:
    """Write a command, and return the answer with one of these words (alerts come to the same chat)."""
    before = len(server.answers(OWN))
    server.write(OWN, text)
    return server.wait_for(*words, after=before)


def test_the_account_is_told_and_switched_from_a_chat(tmp_path: Path, server: FakeTelegram, daemon: Process) -> None:
    assert "🟢 started" in server.wait_for("started")
    assert "is not carried out" in server.wait_for("/forceexit was sent")
    assert "is not carried out" in server.wait_for("/stop was sent")
    assert not server.answers(STRANGER)
    for command, words in (
        ("/status", "entries: "),
        ("/profit", "after"),
        ("/daily 2", "trades"),
        ("/balance", "equity"),
        ("/health", "loop"),
        ("/help", "/forceexit"),
    ):
        ask(server, command, words)
    ask(server, "/stop", "Kill switch on")
    kill = next(line for line in told(tmp_path, "status")["switches"] if line["name"] == "kill")
    assert kill["source"] == "telegram 7"
    code = ask(server, "/start", "Send /confirm").split("/confirm ")[1][:4]
    ask(server, f"/confirm {code}", "Entries resumed")
    assert not [line for line in told(tmp_path, "status")["switches"] if line["name"] == "kill"]
    calls = [line for line in told(tmp_path, "audit", "--limit", "500", "--routine") if line["method"] == "CHAT"]
    assert {line["path"] for line in calls} >= {"/stop", "/start", "/forceexit"}


def test_a_position_is_sold_from_a_chat_after_a_confirmation(
    tmp_path: Path, server: FakeTelegram, daemon: Process
) -> None:
    daemon.wait_for("fill.booked")
    while "No position" in (shown := ask(server, "/positions", "No position", ", mark ")):
        daemon.wait_for_line()
    position = shown.split(": ")[0]
    asked = ask(server, f"/forceexit {position}", "Send /confirm")
    assert "worst price" in asked
    code = asked.split("/confirm ")[1][:4]
    assert position in ask(server, f"/confirm {code}", "sold ")


def test_strangers_are_named_once_in_the_log(server: FakeTelegram, daemon: Process) -> None:
    server.write(STRANGER, "/status")
    ask(server, "/help", "/forceexit")
    ask(server, "/stop", "Kill switch on")
    daemon.wait_for("switch.set")
    ignored = [line for line in daemon.lines if "chat.ignored" in line]
    assert len(ignored) == 1
    assert not server.answers(STRANGER)
