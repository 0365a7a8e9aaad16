"""polystra secrets: a keystore made, filled, used, rotated and listed by its commands; one line for each mistake."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from polystra.adapters import keystore
from polystra.adapters.keystore import Cost
from polystra.app.cli import app
from polystra.app.settings import known_names, load_settings

KEY = "0x" + "1f" * 32
PASSPHRASE = "correct horse battery"


@pytest.fixture(autouse=True)
def _no_settings_from_outside(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in known_names():
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(keystore, "COST", Cost(n=1 << 10))
    (tmp_path / "passphrase").write_text(PASSPHRASE)


def polystra(*arguments: str, stdin: str = "", **more: str) -> Result:
    env = {"KEYSTORE_FILE": "data/keystore", "KEYSTORE_PASSPHRASE_FILE": "passphrase", **more}
    return CliRunner().invoke(app, ("secrets", *arguments), env=env, input=stdin)


def refusal(*arguments: str, stdin: str = "", **more: str) -> str:
    result = polystra(*arguments, stdin=stdin, **more)
    assert result.exit_code == 2, result.output
    assert len(result.stderr.strip().splitlines()) == 1, result.stderr
    return result.stderr


def made(tmp_path: Path) -> Path:
    result = polystra("init")
    assert result.exit_code == 0, result.output
    return tmp_path / "data" / "keystore"


def test_a_keystore_is_made_filled_listed_and_used(tmp_path: Path) -> None:
    path = made(tmp_path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    for name, text in (("POLY_PRIVATE_KEY", KEY), ("RPC_URL", "https://node.example/v2/token")):
        result = polystra("set", name, stdin=f"{text}\n")
        assert result.exit_code == 0, result.output
        assert text not in result.output
    assert polystra("list").stdout.split() == ["POLY_PRIVATE_KEY", "RPC_URL"]
    settings = load_settings(
        {"KEYSTORE_FILE": str(path), "KEYSTORE_PASSPHRASE_FILE": str(tmp_path / "passphrase")}, None
    )
    assert settings.poly_private_key.get_secret_value() == KEY
    assert polystra("set", "RPC_URL", "--remove").exit_code == 0
    assert polystra("list").stdout.split() == ["POLY_PRIVATE_KEY"]


def test_a_rotated_keystore_opens_with_the_new_passphrase_only(tmp_path: Path) -> None:
    path = made(tmp_path)
    polystra("set", "POLY_PRIVATE_KEY", stdin=KEY)
    (tmp_path / "new").write_text("another horse battery")
    assert polystra("rotate", "--new-passphrase-file", "new").exit_code == 0
    assert "does not open" in refusal("set", "POLY_PRIVATE_KEY", stdin=KEY)
    told = load_settings({"KEYSTORE_FILE": str(path), "KEYSTORE_PASSPHRASE_FILE": str(tmp_path / "new")}, None)
    assert told.poly_private_key.get_secret_value() == KEY


def test_an_existing_keystore_is_never_made_anew(tmp_path: Path) -> None:
    path = made(tmp_path)
    before = path.read_bytes()
    assert "is there already" in refusal("init")
    assert path.read_bytes() == before


def test_a_short_passphrase_is_refused(tmp_path: Path) -> None:
    (tmp_path / "passphrase").write_text("short")
    assert "at least 12" in refusal("init")
    assert not (tmp_path / "data").exists()


def test_only_secret_settings_are_taken_and_only_values_that_they_can_have(tmp_path: Path) -> None:
    path = made(tmp_path)
    before = path.read_bytes()
    assert "no secret setting" in refusal("set", "LOG_LEVEL", stdin="INFO")
    words = refusal("set", "POLY_PRIVATE_KEY", stdin="0xnothex-canary")
    assert "value not shown" in words
    assert "canary" not in words
    assert "one line" in refusal("set", "POLY_PRIVATE_KEY", stdin="")
    assert "not in" in refusal("set", "POLY_PRIVATE_KEY", "--remove")
    assert path.read_bytes() == before


def test_without_a_terminal_and_a_file_nobody_is_asked(tmp_path: Path) -> None:
    assert "no terminal" in refusal("init", KEYSTORE_PASSPHRASE_FILE="")
    made(tmp_path)
    assert "no terminal" in refusal("set", "POLY_PRIVATE_KEY", stdin=KEY, KEYSTORE_PASSPHRASE_FILE="")


def test_without_a_name_for_it_there_is_no_keystore() -> None:
    assert "KEYSTORE_FILE is empty" in refusal("list", KEYSTORE_FILE="")


def test_a_value_is_no_argument() -> None:
    assert polystra("set", "POLY_PRIVATE_KEY", KEY).exit_code == 2
