"""Marked secrets in every setting never come out: log, database, audit, tracebacks, processes, commands, keystore."""

from __future__ import annotations

import base64
import json
import re
import resource
import signal
import subprocess
import sys
import threading
import urllib.parse
from collections.abc import Iterator
from pathlib import Path

import pytest
from typer.main import get_command
from typer.testing import CliRunner

from polystra.adapters.clock import SystemClock
from polystra.adapters.polymarket.signing import SigningKey
from polystra.app import cli
from polystra.app.alerting import redaction
from polystra.app.cli import app
from polystra.app.logs import release_logs
from polystra.app.sessions import start_log
from polystra.app.setting_secrets import SECRETS
from polystra.app.settings import known_names, load_settings
from polystra.app.web.routes import ROUTES
from polystra.ports.logbook import LogEvent
from tests.chaos.processes import REPO, Process
from tests.e2e.api_daemon import ApiDaemon
from tests.e2e.live_exchange import exchange_in_real_time
from tests.fakes.calibration import written

KEY = "0x" + "ca4a51e5" * 8
PASSPHRASE = "canary-passphrase-of-the-keystore"
CREDENTIALS = {
    "POLY_API_KEY": "ca4a51e5-0000-4000-8000-ca4a51e5ca4a",
    "POLY_API_SECRET": base64.urlsafe_b64encode(b"canary-secret-of-the-api-32-byte").decode(),
    "POLY_API_PASSPHRASE": "canary-passphrase-of-the-api",
}
NOWHERE = "http://127.0.0.1:9"
MARKED = {
    "POLY_PRIVATE_KEY": KEY,
    **CREDENTIALS,
    "RPC_URL": f"{NOWHERE}/v2/canary-token-of-the-node",
    "DATABASE_URL": "postgresql://polystra:canary-password-of-the-database@127.0.0.1:9/polystra",
    "ALERT_WEBHOOK_URL": f"{NOWHERE}/hook/canary-token-of-the-webhook",
    "ALERT_DISCORD_URL": f"{NOWHERE}/api/webhooks/1/canary-token-of-discord",
    "DEAD_MAN_URL": f"{NOWHERE}/ping/canary-token-of-the-monitor",
    "API_TOKEN": "canary-token-of-the-control-api",
    "TELEGRAM_TOKEN": "1234567:canary-token-of-the-bot",
}
CHATS = {"TELEGRAM_CHAT_IDS": "7", "TELEGRAM_API_URL": NOWHERE}
"""What goes with the bot's token."""
AT_HOME = {name: text for name, text in MARKED.items() if name != "DATABASE_URL"}


def marks() -> set[str]:
    """Every form in which a secret could come out, lower case."""
    plain = {KEY, KEY[2:], PASSPHRASE, *CREDENTIALS.values()}
    plain |= {re.split("[/:]", text)[-1] for name, text in MARKED.items() if "canary-token" in text}
    plain |= {"canary-password-of-the-database"}
    encoded = {base64.b64encode(each.encode()).decode().rstrip("=") for each in plain}
    quoted = {urllib.parse.quote(each, safe="") for each in plain}
    return {each.lower() for each in plain | encoded | quoted}


def assert_clean(where: str, content: str | bytes, *, known: frozenset[str] = frozenset()) -> None:
    text = content.decode("utf-8", "replace") if isinstance(content, bytes) else content
    text = text.lower()
    found = [mark for mark in marks() - known if mark in text]
    assert not found, f"{where} holds {found[0]}: ...{text[max(0, text.index(found[0]) - 120) :][:300]}"


@pytest.fixture(autouse=True)
def _no_settings_from_outside(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in known_names():
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(tmp_path)


def test_every_secret_setting_is_marked() -> None:
    assert set(MARKED) == set(SECRETS)


@pytest.fixture(scope="module")
def urls() -> Iterator[dict[str, str]]:
    with exchange_in_real_time() as (_, urls):
        yield {name: url for name, url in urls.items() if name != "CONTROL"}


def keystore(folder: Path, secrets: dict[str, str]) -> dict[str, str]:
    """The settings that name a keystore with these secrets, filled by its own commands."""
    (folder / "passphrase").write_text(PASSPHRASE)
    (folder / "passphrase").chmod(0o600)
    env = {"KEYSTORE_FILE": str(folder / "keystore"), "KEYSTORE_PASSPHRASE_FILE": str(folder / "passphrase")}
    runner = CliRunner()
    outcomes = [runner.invoke(app, ["secrets", "init"], env=env)]
    for name, text in secrets.items():
        outcomes.append(runner.invoke(app, ["secrets", "set", name], env=env, input=text))
    for outcome in outcomes:
        assert outcome.exit_code == 0, outcome.output
        assert_clean("polystra secrets", outcome.output)
    return env


@pytest.mark.parametrize("looked", ["commands", "api"])
def test_a_live_daemon_on_a_keystore_lets_nothing_out(tmp_path: Path, urls: dict[str, str], looked: str) -> None:
    look = look_around if looked == "commands" else ask_around
    address = SigningKey(KEY).address
    held = {name: text for name, text in AT_HOME.items() if name not in CREDENTIALS}
    env = {
        **urls,
        **keystore(tmp_path, held),
        **CHATS,
        "MODE": "live",
        "LIVE_ARMED": address,
        "CALIBRATION_FILE": str(written(tmp_path / "calibration")),
        "SYMBOLS": "BTC",
        "WINDOWS": "15m",
        "LOG_LEVEL": "DEBUG",
        "DATA_DIR": str(tmp_path / "data"),
    }
    process = Process(tmp_path, "run", **env)
    try:
        process.wait_for("reconcile.completed")
        look(process, env)
    finally:
        if process.popen.poll() is None:
            process.popen.send_signal(signal.SIGTERM)
            process.finish()
    assert_clean("the log", "".join(process.lines))
    assert_clean("stderr", process.errors())
    assert len(process.lines) > 10
    files = [path for path in (tmp_path / "data").rglob("*") if path.is_file()]
    assert any(path.suffix == ".db" for path in files)
    for path in [*files, tmp_path / "keystore"]:
        assert_clean(str(path), path.read_bytes())


def look_around(process: Process, env: dict[str, str]) -> None:
    """What another user of the machine sees, and what every command says, while the daemon runs."""
    assert_clean("the list of processes", Path(f"/proc/{process.popen.pid}/cmdline").read_bytes())
    limits = Path(f"/proc/{process.popen.pid}/limits").read_text()
    assert "Max core file size        0 " in limits, "its memory would be on the disk when it dies"
    for arguments in commands():
        outcome = CliRunner().invoke(app, arguments, env=env)
        assert_clean(f"polystra {' '.join(arguments)}", outcome.output + repr(outcome.exception))


def ask_around(process: Process, env: dict[str, str]) -> None:
    """What the control API says to anybody, and to who has the token."""
    folder = Path(env["DATA_DIR"])
    daemon = ApiDaemon(process, json.loads((folder / "api-live.json").read_text())["url"], folder)
    paths = [f"/api/v1{route.path}" for route in ROUTES if route.method == "GET" and "{" not in route.path]
    for path in [*paths, "/api/v1/logs?limit=2000", "/api/v1/openapi.json", "/livez", "/readyz", "/metrics", "/"]:
        answer = daemon.ask("GET", path)
        assert answer.status in (200, 503), path
        assert_clean(path, answer.body)
    for token in (MARKED["API_TOKEN"], f"{MARKED['API_TOKEN']}x", ""):
        answer = daemon.ask("POST", "/api/v1/reload_config", {"check": True}, token=token)
        assert_clean("an action", answer.body + repr(answer.headers).encode())
    told = [event for event, _ in zip(daemon.events(), range(40), strict=False)]
    assert_clean("the stream", json.dumps(told))


def commands() -> list[list[str]]:
    """Every command that there is, with arguments that let it get far; one that is missing here fails the test."""
    words: dict[str, list[list[str]]] = {
        "run": [["--speed", "0"]],
        "exchange": [["--speed", "0"]],
        "position": [["none"]],
        "pause": [["1s"]],
        "adopt": [["0xabc", "--yes"]],
        "resolve-doubt": [["none", "rejected", "--yes"]],
        "reconcile": [["--yes"]],
        "unfreeze": [["--yes"]],
        "livetest": [["--json"]],
        "doctor": [["--notify", "--json"], []],
        "export": [["trades"], ["fills"], ["ledger"]],
        "db": [["current"], ["upgrade"], ["history"]],
        "secrets": [["list"], ["init"], ["rotate"]],
    }
    known = get_command(app).commands  # type: ignore[attr-defined]
    skipped = {"start", "stop"}
    return [[name, *each] for name in known if name not in skipped for each in words.get(name, [[]])]


@pytest.mark.parametrize("level", ["DEBUG", "ERROR"])
@pytest.mark.parametrize("broken", ["signer", "adapter", "notifier", "store"])
def test_a_traceback_of_a_bug_shows_no_secret(tmp_path: Path, broken: str, level: str) -> None:
    places = {
        "signer": "polystra.adapters.polymarket.signing.terms:OrderTermsSigner.sign",
        "adapter": "polystra.adapters.polymarket.rest:PolymarketVenue.account",
        "notifier": "polystra.adapters.notify.sender:Sender.post",
        "store": "polystra.adapters.store.session:WriteSession.load",
    }
    env = {
        "PYTHONPATH": str(REPO / "src"),
        "PATH": "/usr/bin:/bin",
        "DATA_DIR": str(tmp_path / "data"),
        "POLYSTRA_ENV_FILE": "/nowhere",
        "WINDOWS": "5m",
        "LOG_LEVEL": level,
        "LOG_FORMAT": "json",
        **AT_HOME,
        **CHATS,
    }
    program = BROKEN.format(place=places[broken])
    arguments = [sys.executable, "-c", program, "run", "--speed", "max", "--seed", "3", "--markets", "2"]
    done = subprocess.run(arguments, env=env, cwd=tmp_path, capture_output=True, timeout=110, check=False)
    told = done.stdout + done.stderr
    assert_clean(f"the end by a broken {broken}", told)
    if broken != "notifier":
        assert done.returncode != 0
        assert b"[redacted]" in told
        assert b"it broke" in told, "the bug itself is to be seen"


BROKEN = """
import importlib, os
name, _, path = "{place}".partition(":")
owner, _, method = path.partition(".")
def broken(*_, **__):
    secrets = [text for each, text in os.environ.items() if "POLY_" in each or "URL" in each]
    raise RuntimeError("it broke with " + " and ".join(secrets))
setattr(getattr(importlib.import_module(name), owner), method, broken)
from polystra.app.cli import main
main()
"""


def test_wrong_values_are_refused_without_being_shown(tmp_path: Path) -> None:
    for name, text in MARKED.items():
        outcome = CliRunner().invoke(app, ["status"], env={name: f"wrong {text} value", "DATA_DIR": str(tmp_path)})
        assert outcome.exit_code != 0
        assert_clean(name, outcome.output)


@pytest.mark.parametrize(
    "arguments", [["status"], ["doctor"], ["run", "--speed", "max"], ["db", "current"], ["report"]]
)
def test_a_database_that_is_not_there_keeps_its_password(tmp_path: Path, arguments: list[str]) -> None:
    outcome = CliRunner().invoke(app, arguments, env={**MARKED, **CHATS, "DATA_DIR": str(tmp_path)})
    assert_clean(" ".join(arguments), outcome.output + repr(outcome.exception))
    assert outcome.exit_code != 0


@pytest.mark.parametrize(
    "arguments",
    [
        ["secrets", "set", "POLY_PRIVATE_KEY", KEY],
        ["secrets", "set", f"POLY_PRIVATE_KEY={KEY}"],
        ["secrets", "set", KEY],
        ["secrets", "set", PASSPHRASE],
        ["secrets", "set", "POLY_API_PASSPHRASE", CREDENTIALS["POLY_API_PASSPHRASE"]],
        ["secrets", "init", PASSPHRASE],
        ["secrets", "rotate", PASSPHRASE],
        ["secrets", "rotate", "--new-passphrase-file", PASSPHRASE],
        ["run", KEY],
        ["export", KEY],
        [KEY[2:]],
    ],
)
def test_a_secret_typed_where_it_does_not_belong_is_not_repeated(tmp_path: Path, arguments: list[str]) -> None:
    env = keystore(tmp_path, {})
    outcome = CliRunner().invoke(app, arguments, env=env)
    assert outcome.exit_code == 2
    assert len(outcome.stderr.strip().splitlines()) == 1
    assert_clean(" ".join(arguments[:2]), outcome.output)


@pytest.mark.parametrize("name", [name for name in sorted(known_names()) if name not in SECRETS])
def test_a_key_in_the_place_of_another_setting_is_not_repeated(tmp_path: Path, name: str) -> None:
    for text in (KEY, KEY[2:]):
        outcome = CliRunner().invoke(app, ["status"], env={"DATA_DIR": str(tmp_path), name: text})
        assert_clean(name, outcome.output)


def test_a_passphrase_in_the_place_of_its_file_is_not_repeated(tmp_path: Path) -> None:
    env = keystore(tmp_path, {"POLY_PRIVATE_KEY": KEY}) | {"KEYSTORE_PASSPHRASE_FILE": PASSPHRASE}
    outcome = CliRunner().invoke(app, ["doctor"], env=env)
    assert outcome.exit_code == 2
    assert "cannot be read" in outcome.stderr
    assert_clean("the refusal", outcome.output)


def test_derived_credentials_are_hidden_like_given_ones(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """They are no settings: the venue made them from the key."""
    monkeypatch.setattr(sys, "excepthook", sys.excepthook)
    monkeypatch.setattr(threading, "excepthook", threading.excepthook)
    settings = load_settings({}, None)
    derived = tuple(CREDENTIALS.values())
    bug = RuntimeError("it broke with " + " and ".join(derived))
    try:
        log = start_log(settings, SystemClock(), hide=derived)
        log.error(LogEvent.APP_FAILED, error=str(bug))
        sys.excepthook(RuntimeError, bug, None)
    finally:
        release_logs()
    told = capsys.readouterr()
    for text in (told.out, told.err, redaction(settings, derived)(str(bug))):
        assert "it broke with [redacted]" in text
        assert_clean("what was told", text)


def test_every_command_leaves_no_core_from_its_first_moment(monkeypatch: pytest.MonkeyPatch) -> None:
    _, hard = resource.getrlimit(resource.RLIMIT_CORE)
    limits: list[int] = []
    resource.setrlimit(resource.RLIMIT_CORE, (hard, hard))
    monkeypatch.setattr(sys, "excepthook", sys.excepthook)
    monkeypatch.setattr(threading, "excepthook", threading.excepthook)
    monkeypatch.setattr(cli, "app", lambda: limits.append(resource.getrlimit(resource.RLIMIT_CORE)[0]))
    cli.main()
    assert limits == [0]


def test_the_settings_themselves_show_nothing() -> None:
    outcome = CliRunner().invoke(app, ["version"], env={**MARKED, **CHATS})
    assert json.dumps(outcome.output)
    assert_clean("version", outcome.output)
