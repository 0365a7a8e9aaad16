"""What is wrong is said in one line on stderr, without a traceback, with the right exit code, and nothing is lost."""

from __future__ import annotations

import fcntl
import gzip
import os
import socket
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from polystra.adapters.polymarket.signing import SigningKey
from polystra.adapters.store.migrations import upgrade
from polystra.app.cli import app
from polystra.app.sessions import DEFAULT_SEED, simulated_key
from polystra.app.settings import known_names
from polystra.app.worlds import books_held

FAILED, USAGE = 1, 2
SECRET = "0x" + "c0ffee" * 11


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty working folder, and no setting from outside."""
    for name in (*known_names(), "POLYSTRA_ENV_FILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def polystra(*arguments: str, **environment: str) -> Result:
    return CliRunner().invoke(app, arguments, env=environment)


def one_line(result: Result, code: int) -> str:
    assert result.exit_code == code, result.output
    assert result.exception is None or isinstance(result.exception, SystemExit), repr(result.exception)
    assert result.stderr.count("\n") == 1, result.stderr
    assert result.stderr.startswith("polystra: ")
    assert "Traceback" not in result.output
    return result.stderr


PRICE_FILES = {
    "no header": (b"garbage,here\n1,2\n", "expected a header"),
    "a word for a price": (b"time,price\n1,abc\n", "line 2 has price 'abc'"),
    "empty": (b"", "the file is empty"),
    "not text": (bytes(range(128, 256)), "not a text file"),
    "only a header": (b"time,price\n", ""),
    "a price below zero": (b"time,price\n1740799208,-5\n1740799209,-5\n", "line 2"),
}


@pytest.mark.parametrize("command", [("run", "--speed", "max", "--markets", "1"), ("exchange", "--port", "0")])
@pytest.mark.parametrize("name", PRICE_FILES)
def test_a_malformed_price_file(name: str, command: tuple[str, ...], folder: Path):
    content, words = PRICE_FILES[name]
    (folder / "prices.csv").write_bytes(content)
    line = one_line(polystra(*command, "--prices", "prices.csv"), USAGE)
    assert "prices.csv" in line
    assert words in line


def test_a_price_file_that_ends_in_the_middle_of_its_compression(folder: Path):
    whole = gzip.compress(b"time,price\n" + b"".join(b"%d,60000\n" % (1740799208 + n) for n in range(5000)))
    (folder / "prices.csv.gz").write_bytes(whole[: len(whole) // 2])
    assert "prices.csv.gz" in one_line(polystra("run", "--speed", "max", "--prices", "prices.csv.gz"), USAGE)


@pytest.mark.parametrize("command", ["run", "exchange"])
def test_a_price_file_that_is_not_there(command: str):
    assert "nowhere.csv: no such file" in one_line(polystra(command, "--prices", "nowhere.csv"), USAGE)


COMMANDS = {
    "run": ("run", "--speed", "max", "--markets", "1"),
    "run with a seed": ("run", "--speed", "max", "--markets", "1", "--seed", "3"),
    "paced run": ("run", "--markets", "1"),
    "report": ("report",),
    "status": ("status",),
    "positions": ("positions",),
    "position": ("position", "btc"),
    "exit modes": ("report", "--by", "exit_mode"),
    "db current": ("db", "current"),
    "db upgrade": ("db", "upgrade"),
}


@pytest.mark.parametrize("name", COMMANDS)
def test_an_unreadable_database_is_named_and_left_as_it_is(name: str, folder: Path):
    garbage = bytes(range(256)) * 64
    database = folder / "data" / "polystra-sim.db"
    database.parent.mkdir()
    database.write_bytes(garbage)
    line = one_line(polystra(*COMMANDS[name]), FAILED)
    assert "polystra-sim.db is not a readable SQLite database" in line
    assert "DATABASE_URL" in line
    assert database.read_bytes() == garbage
    assert not (database.parent / "previous").exists()


@pytest.mark.parametrize("name", ["report", "status", "positions", "position", "exit modes", "db current"])
def test_no_database_yet(name: str):
    assert "does not exist" in one_line(polystra(*COMMANDS[name]), FAILED)


def stamped(path: Path, mode: str, account: str) -> None:
    upgrade(f"sqlite:///{path}")
    connection = sqlite3.connect(path)
    with connection:
        connection.execute("INSERT INTO store_meta VALUES (1, ?, ?, '')", (mode, account))
    connection.close()


@pytest.mark.parametrize("name", ["run", "run with a seed", "paced run"])
def test_a_database_of_another_mode_is_refused_and_not_moved(name: str, folder: Path):
    stamped(folder / "mine.db", "live", "0x" + "ab" * 20)
    line = one_line(polystra(*COMMANDS[name], DATABASE_URL=f"sqlite:///{folder}/mine.db"), FAILED)
    assert "belongs to mode live" in line
    assert (folder / "mine.db").exists()
    assert not (folder / "data" / "previous").exists()


def test_a_database_that_another_process_uses_is_not_moved(folder: Path):
    database = folder / "data" / "polystra-sim.db"
    stamped(database, "sim", "0x" + "ab" * 20)
    lock = os.open(database.with_name("polystra-sim.db.lock"), os.O_RDWR | os.O_CREAT)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)
        assert "another polystra uses the database" in one_line(polystra(*COMMANDS["run with a seed"]), FAILED)
    finally:
        os.close(lock)
    assert database.exists()


def test_the_books_of_an_exchange_that_are_missing(folder: Path):
    stamped(folder / "data" / "polystra-sim.db", "sim", "0x" + "ab" * 20)
    assert "exchange-sim.db do not exist" in one_line(polystra("report"), USAGE)


@pytest.mark.parametrize("command", [("run", "--markets", "1"), ("exchange", "--port", "0"), ("report",)])
def test_unreadable_books_of_an_exchange_are_named_and_left_as_they_are(command: tuple[str, ...], folder: Path):
    account = SigningKey(simulated_key(DEFAULT_SEED)).address.lower()
    stamped(folder / "data" / "polystra-sim.db", "sim", account)
    books = folder / "data" / "exchange-sim.db"
    books.write_bytes(b"no books" * 1000)
    assert "exchange-sim.db cannot be" in one_line(polystra(*command), USAGE)
    assert books.read_bytes() == b"no books" * 1000


@pytest.mark.parametrize("command", [("run", "--markets", "1"), ("exchange", "--port", "0", "--seed", "3")])
def test_books_that_another_exchange_uses(command: tuple[str, ...], folder: Path):
    (folder / "data").mkdir()
    with books_held(folder / "data" / "exchange-sim.db"):
        assert "another built-in exchange uses the books" in one_line(polystra(*command), USAGE)


@pytest.mark.parametrize("key", [SECRET, "0x" + "0" * 64, "word", "f" * 64])
def test_a_wrong_key_is_named_and_never_shown(key: str):
    line = one_line(polystra("run", POLY_PRIVATE_KEY=key), USAGE)
    assert "POLY_PRIVATE_KEY" in line
    assert key.removeprefix("0x") not in line


@pytest.fixture
def taken_port() -> Iterator[int]:
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


@pytest.fixture
def closed_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port: int = server.getsockname()[1]
    return port


def test_a_port_in_use(taken_port: int):
    line = one_line(polystra("exchange", "--port", str(taken_port)), USAGE)
    assert str(taken_port) in line
    assert "--port" in line


@pytest.mark.parametrize("command", [("run", "--markets", "1"), ("report",)])
def test_an_exchange_that_is_not_there(command: tuple[str, ...], closed_port: int, folder: Path):
    stamped(folder / "data" / "polystra-sim.db", "sim", "0x" + "ab" * 20)
    line = one_line(polystra(*command, CLOB_URL=f"http://127.0.0.1:{closed_port}"), USAGE)
    assert f"no exchange answers at 127.0.0.1:{closed_port}" in line


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("audit", "--limit", "0"), "'--limit'"),
        (("audit", "--limit", "many"), "'--limit'"),
        (("audit", "--order"), "--order"),
        (("audit", "o000001"), "unexpected extra argument (not shown"),
        (("run", "--markets", "-1"), "'--markets'"),
        (("run", "--sede", "1"), "--sede"),
        (("pause",), "length"),
        (("pause", "999999d"), "at most 366d"),
        (("sell",), "'sell'"),
        (("se\nll",), "No such command"),
        (("db", "down"), "'down'"),
    ],
)
def test_words_that_are_no_command_of_ours(arguments: tuple[str, ...], words: str):
    assert words in one_line(polystra(*arguments), USAGE)


def test_nothing_asked_shows_the_help():
    result = polystra()
    assert result.exit_code == USAGE
    assert "Commands" in result.output


def test_an_unknown_setting(folder: Path):
    (folder / ".env").write_text("MIN_EDGE_PRECENT=3\n")
    assert "did you mean MIN_EDGE_PERCENT" in one_line(polystra("run"), USAGE)


def test_a_setting_that_is_not_valid(folder: Path):
    (folder / ".env").write_text("KELLY_FRACTION=7\n")
    assert "KELLY_FRACTION is '7'" in one_line(polystra("status"), USAGE)


@pytest.mark.parametrize("speed", ["fast", "0", "-1", "nan", "1001", ""])
@pytest.mark.parametrize("command", ["run", "exchange"])
def test_a_bad_speed(command: str, speed: str):
    assert "--speed is" in one_line(polystra(command, "--speed", speed), USAGE)


def test_an_exchange_has_a_pace():
    assert "--speed is max" in one_line(polystra("exchange", "--speed", "max"), USAGE)


def test_a_data_folder_that_is_a_file(folder: Path):
    (folder / "data").write_text("")
    assert "DATA_DIR" in one_line(polystra("run", "--speed", "max"), USAGE)


@pytest.mark.parametrize(
    "arguments", [("run", "--markets", "-1"), ("run", "--bogus"), ("bogus",), ("exchange", "--port", "70000")]
)
def test_words_that_are_no_option(arguments: tuple[str, ...]):
    result = polystra(*arguments)
    assert result.exit_code == USAGE
    assert "Traceback" not in result.output
