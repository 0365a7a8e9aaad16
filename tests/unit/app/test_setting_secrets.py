"""Secrets of the settings: from files and from a keystore, never from two places, and what of them is hidden."""

from __future__ import annotations

from pathlib import Path
from random import Random

import pytest

from polystra.adapters import keystore
from polystra.adapters.keystore import Cost, write_keystore
from polystra.app.setting_secrets import SECRETS, secret_values
from polystra.app.settings import Settings, known_names, load_settings, note
from polystra.domain.errors import ConfigError

KEY = "0x" + "1f" * 32
PASSPHRASE = "correct horse battery"
CHEAP = Cost(n=1 << 10)
VALUES = {
    "POLY_PRIVATE_KEY": KEY,
    "POLY_API_KEY": "canary-api-key",
    "POLY_API_SECRET": "canary-api-secret",
    "POLY_API_PASSPHRASE": "canary-api-passphrase",
    "RPC_URL": "https://node.example/v2/canary-node-token",
    "DATABASE_URL": "postgresql://polystra:canary-password@db/polystra",
    "ALERT_WEBHOOK_URL": "https://hooks.example/services/canary-webhook-token",
    "ALERT_DISCORD_URL": "https://discord.example/api/webhooks/1/canary-discord-token",
    "DEAD_MAN_URL": "https://monitor.example/ping/canary-monitor-token",
    "API_TOKEN": "canary-token-of-the-control-api",
    "TELEGRAM_TOKEN": "1234567:canary-token-of-the-bot",
}


@pytest.fixture(autouse=True)
def _cheap(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keystore, "COST", CHEAP)


@pytest.fixture
def given(tmp_path: Path) -> dict[str, str]:
    path = tmp_path / "keystore"
    write_keystore(path, PASSPHRASE, VALUES, Random(1), cost=CHEAP)
    (tmp_path / "passphrase").write_text(PASSPHRASE + "\n")
    files = {"KEYSTORE_FILE": str(path), "KEYSTORE_PASSPHRASE_FILE": str(tmp_path / "passphrase")}
    return {**files, "TELEGRAM_CHAT_IDS": "7"}


def value(settings: Settings, name: str) -> str:
    return str(getattr(settings, name.lower()).get_secret_value())


def test_every_setting_that_hides_itself_may_stand_in_a_file_and_in_the_keystore() -> None:
    hidden = {name for name, field in Settings.model_fields.items() if "SecretStr" in str(field.annotation)}
    assert {name.upper() for name in hidden} == set(SECRETS) == set(VALUES)
    assert {f"{name}_FILE" for name in SECRETS} <= set(known_names())
    assert all(note(name).text for name in SECRETS)


@pytest.mark.parametrize("name", SECRETS)
def test_each_secret_is_read_from_a_file(name: str, tmp_path: Path) -> None:
    path = tmp_path / "secret"
    path.write_text(f"{VALUES[name]}\n")
    with_its_kin = {f"{name}_FILE": str(path)}
    if name.startswith("POLY_API"):
        with_its_kin |= {kin: VALUES[kin] for kin in VALUES if kin.startswith("POLY_API") and kin != name}
    with_its_kin["TELEGRAM_CHAT_IDS"] = "7"
    assert value(load_settings(with_its_kin, None), name) == VALUES[name]


def test_a_file_replaces_the_default_that_a_copied_example_holds(tmp_path: Path) -> None:
    secret, env_file = tmp_path / "secret", tmp_path / ".env"
    secret.write_text(VALUES["DATABASE_URL"])
    env_file.write_text(
        f"DATABASE_URL=sqlite:///{{data_dir}}/polystra-{{mode}}.db\nDATABASE_URL_FILE={secret}\n", encoding="utf-8"
    )
    assert value(load_settings({}, env_file), "DATABASE_URL") == VALUES["DATABASE_URL"]


def test_the_keystore_gives_every_secret(given: dict[str, str]) -> None:
    settings = load_settings(given, None)
    assert {name: value(settings, name) for name in SECRETS} == VALUES


def test_the_passphrase_is_asked_for_where_no_file_holds_it(given: dict[str, str]) -> None:
    del given["KEYSTORE_PASSPHRASE_FILE"]
    asked: list[str] = []

    def ask(words: str) -> str:
        asked.append(words)
        return PASSPHRASE

    assert value(load_settings(given, None, ask=ask), "POLY_PRIVATE_KEY") == KEY
    assert asked == [f"Passphrase of {given['KEYSTORE_FILE']}"]


def test_nobody_to_ask_is_one_line_with_the_remedy(given: dict[str, str]) -> None:
    del given["KEYSTORE_PASSPHRASE_FILE"]
    with pytest.raises(ConfigError, match="set KEYSTORE_PASSPHRASE_FILE to a file that holds it"):
        load_settings(given, None)


def test_a_secret_in_two_places_is_refused(given: dict[str, str]) -> None:
    with pytest.raises(ConfigError) as caught:
        load_settings({**given, "POLY_PRIVATE_KEY": KEY}, None)
    assert "POLY_PRIVATE_KEY stands in the keystore" in str(caught.value)
    assert KEY not in str(caught.value)


def test_a_look_at_this_machine_needs_no_passphrase(tmp_path: Path) -> None:
    path = tmp_path / "local"
    held = {name: text for name, text in VALUES.items() if name != "DATABASE_URL"}
    write_keystore(path, PASSPHRASE, held, Random(1), cost=CHEAP)
    armed = {"KEYSTORE_FILE": str(path), "MODE": "live", "LIVE_ARMED": "0x" + "ab" * 20}
    settings = load_settings(armed, None, local=True)
    assert value(settings, "POLY_PRIVATE_KEY") == ""
    with pytest.raises(ConfigError, match="passphrase"):
        load_settings(armed, None)


def test_a_database_in_the_keystore_has_to_be_unlocked(given: dict[str, str]) -> None:
    assert value(load_settings(given, None, local=True), "DATABASE_URL") == VALUES["DATABASE_URL"]


def test_live_without_a_key_in_the_keystore_is_refused_as_ever(tmp_path: Path) -> None:
    path = tmp_path / "empty"
    write_keystore(path, PASSPHRASE, {}, Random(1), cost=CHEAP)
    with pytest.raises(ConfigError, match="POLY_PRIVATE_KEY is empty"):
        load_settings({"KEYSTORE_FILE": str(path), "MODE": "live"}, None, local=True)


def test_what_is_hidden_are_the_values_their_tokens_and_the_password(given: dict[str, str]) -> None:
    hidden = secret_values(load_settings(given, None))
    for token in ("node", "webhook", "discord", "monitor"):
        assert f"canary-{token}-token" in hidden
    assert "canary-password" in hidden
    assert VALUES["DATABASE_URL"] not in hidden
    assert set(VALUES.values()) - {VALUES["DATABASE_URL"]} <= set(hidden)


def test_the_name_of_a_database_is_no_secret() -> None:
    assert secret_values(load_settings({}, None)) == []
    short = load_settings({"DATABASE_URL": "postgresql://polystra:pw@db/polystra"}, None)
    assert secret_values(short) == []
