"""Commands over a running daemon: by its API where that answers, else by database and files; the same figures."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from polystra.app.cli import app
from polystra.app.settings import known_names
from tests.e2e.api_daemon import TOKEN, ApiDaemon, running_api


@pytest.fixture(autouse=True)
def _no_settings_from_outside(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in known_names():
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(tmp_path)


@pytest.fixture(scope="module")
def daemon(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ApiDaemon]:
    with running_api(tmp_path_factory.mktemp("cli-api"), speed="10", seed="5", WINDOWS="5m") as running:
        running.process.wait_for("fill.booked")
        yield running


def polystra(folder: Path, *arguments: str, token: str = TOKEN) -> Result:
    env = {"DATA_DIR": str(folder), "WINDOWS": "5m", "POLYSTRA_ENV_FILE": "/nowhere", "API_TOKEN": token}
    return CliRunner().invoke(app, arguments, env=env)


def told(folder: Path, *arguments: str) -> Any:
    result = polystra(folder, *arguments, "--json")
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


_TRIES = 60
READ = (("profit",), ("profit", "--by", "exit"), ("daily", "2"), ("trades", "5"), ("balance",))


@pytest.mark.parametrize("words", READ)
def test_figures_come_from_the_daemon_and_are_the_databases(daemon: ApiDaemon, words: tuple[str, ...]) -> None:
    address = daemon.folder / "api-sim.json"
    shown = polystra(daemon.folder, *words)
    assert shown.exit_code == 0, shown.output
    assert shown.stdout.strip().endswith("Source: the running daemon's API.")
    # The daemon trades on, and its answers are some seconds old: they agree as soon as nothing happens for a while.
    seen = []
    for _ in range(_TRIES):
        by_api = without_now(told(daemon.folder, *words))
        hidden = address.rename(address.with_suffix(".hidden"))
        try:
            by_database = without_now(told(daemon.folder, *words))
            assert "Source: the database." in polystra(daemon.folder, *words).stdout
        finally:
            hidden.rename(address)
        if by_api == by_database:
            return
        seen.append((by_api, by_database))
        daemon.process.wait_for_line()
    raise AssertionError(f"never the same: {seen[-1]}")


def without_now(what: Any) -> Any:
    """The same without the time of asking."""
    return {name: value for name, value in what.items() if name != "as_of"} if isinstance(what, dict) else what


def test_switches_go_by_the_api_with_the_token_and_by_files_without(daemon: ApiDaemon) -> None:
    by_api = polystra(daemon.folder, "pause", "30m")
    assert by_api.exit_code == 0, by_api.output
    assert by_api.stdout.strip().endswith("(by the running daemon's API)")
    by_file = polystra(daemon.folder, "stopentry", token="")
    assert by_file.stdout.strip().endswith("(the running daemon has it)")
    wrong = polystra(daemon.folder, "stop", token="wrong-token-of-the-tests")
    assert wrong.exit_code == 2
    assert "the token is wrong" in wrong.stderr
    switches = {line["name"]: line["source"] for line in told(daemon.folder, "status")["switches"]}
    assert switches["pause"].startswith("api ")
    assert switches["stop_entry"] == "command"
    assert "kill" not in switches
    assert polystra(daemon.folder, "start").exit_code == 0
    assert not told(daemon.folder, "status")["switches"]


def test_wishes_go_by_the_api_too(daemon: ApiDaemon) -> None:
    assert "nothing differs" in polystra(daemon.folder, "reload_config").stdout
    refused = polystra(daemon.folder, "forceexit", "nothing-of-this-name", "--yes")
    assert refused.exit_code == 1
    assert "no open position is called" in refused.stderr


def test_the_log_is_shown_with_its_filters(daemon: ApiDaemon) -> None:
    lines = polystra(daemon.folder, "logs", "20", "--event", "fill")
    assert lines.exit_code == 0, lines.output
    assert all("fill." in line for line in lines.stdout.strip().splitlines())
    as_json = [json.loads(line) for line in polystra(daemon.folder, "logs", "5", "--json").stdout.splitlines()]
    assert 0 < len(as_json) <= 5
    assert all(line["level"] != "debug" for line in as_json)
    assert polystra(daemon.folder, "logs", "--level", "loud").exit_code == 2


def test_without_a_daemon_there_is_no_log_and_a_left_address_is_not_believed(tmp_path: Path) -> None:
    (tmp_path / "api-sim.json").write_text(json.dumps({"url": "http://127.0.0.1:9", "process": 1}))
    result = polystra(tmp_path, "logs")
    assert result.exit_code == 1
    assert "docker compose logs" in result.stderr
    assert len(result.stderr.strip().splitlines()) == 1
    assert "no daemon has run yet" in polystra(tmp_path, "stop").stdout
