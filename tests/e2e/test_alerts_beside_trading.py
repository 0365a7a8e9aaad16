"""Alerts leave beside a run and never touch it: the same facts whether the channel works, hangs or is not there."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import pytest
import structlog
from aiohttp import web
from typer.testing import CliRunner

from polystra.app.cli import app
from polystra.app.sessions import RunOptions, run_session
from polystra.app.settings import load_settings
from polystra.runtime import alert_thread
from polystra.runtime.daemon import RunSummary
from tests.fakes.threaded_server import serving

TOKEN = "T0ken-that-nobody-may-see"


class Hook:
    """Takes alerts and pings; hangs when told to."""

    def __init__(self, *, hangs: bool = False) -> None:
        self.hangs = hangs
        self.bodies: list[dict[str, str]] = []
        self.pings = 0
        self.asked = 0

    async def take(self, request: web.Request) -> web.Response:
        self.asked += 1
        if self.hangs:
            await asyncio.sleep(60)
        self.bodies.append(await request.json())
        return web.Response(status=204)

    async def ping(self, request: web.Request) -> web.Response:
        self.pings += 1
        return web.Response(text="OK")

    def routes(self) -> list[web.RouteDef]:
        return [web.post(f"/{TOKEN}", self.take), web.get(f"/{TOKEN}", self.ping)]


def trade(folder: Path, **told: str) -> RunSummary:
    values = {"WINDOWS": "5m", "DATA_DIR": str(folder), "LOG_FORMAT": "json", "LOG_LEVEL": "INFO", **told}
    summary = run_session(load_settings(values, None), RunOptions(seed=7, markets=2, speed=None))
    structlog.reset_defaults()
    return summary


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> RunSummary:
    return trade(tmp_path_factory.mktemp("plain"))


def test_a_channel_that_works_hears_the_story_and_changes_no_fact(plain, tmp_path, capsys):
    hook = Hook()
    with serving(hook.routes()) as url:
        summary = trade(tmp_path, ALERT_WEBHOOK_URL=f"{url}/{TOKEN}", ALERTS_PER_MINUTE="1000")
    assert summary == plain
    kinds = {body["kind"] for body in hook.bodies}
    assert {"started", "fill", "stopped"} <= kinds
    assert hook.bodies[0]["kind"] == "started"
    assert hook.bodies[-1]["kind"] == "stopped"
    assert TOKEN not in json.dumps(hook.bodies)
    assert TOKEN not in capsys.readouterr().out


def test_a_channel_that_hangs_changes_no_fact_and_is_said_once(plain, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(alert_thread, "LAST_WORDS_S", 0.5)
    hook = Hook(hangs=True)
    with serving(hook.routes()) as url:
        summary = trade(tmp_path, ALERT_WEBHOOK_URL=f"{url}/{TOKEN}", DEAD_MAN_URL=f"{url}/{TOKEN}")
    assert summary == plain
    assert hook.asked == 1
    assert hook.bodies == []
    assert TOKEN not in capsys.readouterr().out


def test_a_channel_that_is_not_there_changes_no_fact(plain, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(alert_thread, "LAST_WORDS_S", 0.5)
    summary = trade(tmp_path, ALERT_DISCORD_URL=f"http://127.0.0.1:9/{TOKEN}")
    assert summary == plain
    assert TOKEN not in capsys.readouterr().out


def test_the_monitor_is_pinged_while_a_paced_run_lives(tmp_path):
    hook = Hook()
    with serving(hook.routes()) as url:
        values = {
            "WINDOWS": "5m",
            "SYMBOLS": "BTC",
            "DATA_DIR": str(tmp_path),
            "DEAD_MAN_URL": f"{url}/{TOKEN}",
            "DEAD_MAN_INTERVAL_SECONDS": "1",
            "LOG_LEVEL": "ERROR",
        }
        run_session(load_settings(values, None), RunOptions(seed=7, markets=1, speed=200, plot=False))
        structlog.reset_defaults()
    assert hook.pings >= 1


def test_the_command_sends_a_test_to_every_channel(tmp_path, monkeypatch):
    hook = Hook()
    monkeypatch.setenv("POLYSTRA_ENV_FILE", "/nowhere")
    monkeypatch.setenv("DATA_DIR", str(tmp_path))
    with serving(hook.routes()) as url:
        monkeypatch.setenv("ALERT_WEBHOOK_URL", f"{url}/{TOKEN}")
        monkeypatch.setenv("ALERT_DISCORD_URL", f"{url}/wrong-{TOKEN}")
        monkeypatch.setenv("DEAD_MAN_URL", f"{url}/{TOKEN}")
        outcome = CliRunner().invoke(app, ["alert-test"])
    assert outcome.exit_code == 1
    assert outcome.output.splitlines() == [
        "webhook: taken",
        "discord: the channel of ALERT_DISCORD_URL answered HTTP 404: check its URL in the settings",
        "dead man: taken",
    ]
    assert hook.bodies[0]["kind"] == "test"
    assert hook.pings == 1


def test_the_command_says_when_nothing_is_set(tmp_path, monkeypatch):
    monkeypatch.setenv("POLYSTRA_ENV_FILE", "/nowhere")
    monkeypatch.setenv("DATA_DIR", str(tmp_path))
    outcome = CliRunner().invoke(app, ["alert-test"])
    assert outcome.exit_code == 2
    assert "no alert channel is set" in outcome.output


def test_doctor_sends_a_test_when_it_is_asked_to(tmp_path, monkeypatch):
    hook = Hook()
    monkeypatch.setenv("POLYSTRA_ENV_FILE", "/nowhere")
    monkeypatch.setenv("DATA_DIR", str(tmp_path))
    with serving(hook.routes()) as url:
        monkeypatch.setenv("ALERT_WEBHOOK_URL", f"{url}/{TOKEN}")
        plain = CliRunner().invoke(app, ["doctor", "--json"])
        assert plain.exit_code == 0
        assert not hook.bodies, "nothing is sent without --notify"
        good = CliRunner().invoke(app, ["doctor", "--notify", "--json"])
        monkeypatch.setenv("ALERT_DISCORD_URL", f"{url}/wrong-{TOKEN}")
        bad = CliRunner().invoke(app, ["doctor", "--notify", "--json"])
    assert good.exit_code == 0, good.output
    assert '"alert to webhook"' in good.output
    assert [body["kind"] for body in hook.bodies] == ["test", "test"]
    assert bad.exit_code == 1
    assert '"alert to discord"' in bad.output
    assert TOKEN not in good.output + bad.output


def test_doctor_says_when_nobody_would_hear_of_anything(tmp_path, monkeypatch):
    monkeypatch.setenv("POLYSTRA_ENV_FILE", "/nowhere")
    monkeypatch.setenv("DATA_DIR", str(tmp_path))
    outcome = CliRunner().invoke(app, ["doctor", "--notify", "--json"])
    assert outcome.exit_code == 0
    assert "nobody would hear" in outcome.output
