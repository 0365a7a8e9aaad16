"""Settings: what is read from where, what is refused, and that no line ever shows a secret."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

import pytest
from pydantic import ValidationError

from polystra.app.settings import Mode, Settings, Window, check_armed, known_names, load_settings
from polystra.domain.errors import ConfigError
from polystra.domain.events import StopMode

KEY = "0x" + "1f" * 32
FUNDER = "0x" + "Ab" * 20
OTHER = "0x" + "cd" * 20


def env_file(tmp_path: Path, text: str) -> Path:
    path = tmp_path / ".env"
    path.write_text(text, encoding="utf-8")
    return path


def refusal(environ: dict[str, str], path: Path | None = None) -> str:
    with pytest.raises(ConfigError) as caught:
        load_settings(environ, path)
    text = str(caught.value)
    assert "\n" not in text
    return text


def test_defaults_are_those_of_the_design() -> None:
    settings = load_settings({}, None)
    assert settings.mode is Mode.SIM
    assert settings.symbols == ("BTC", "ETH", "SOL", "XRP")
    assert settings.windows == (Window.FIFTEEN_MINUTES,)
    assert settings.windows[0].seconds == 900
    assert settings.min_edge_percent == Decimal("3.0")
    assert settings.use_kelly_sizing is True
    assert settings.take_profit_percent == Decimal(80)
    assert settings.on_shutdown is StopMode.KEEP_EXITS
    assert settings.signature_type == 0
    assert settings.resolved_database_url.get_secret_value() == "sqlite:///data/polystra-sim.db"
    assert settings.url("clob_url") == ""


def test_the_class_reads_no_environment_by_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MODE", "live")
    assert Settings().mode is Mode.SIM


def test_the_environment_wins_over_the_file_and_its_foreign_names_are_ignored(tmp_path: Path) -> None:
    path = env_file(tmp_path, "SYMBOLS=btc\nWINDOWS=5m,15m\nMAX_OPEN_POSITIONS=3\nDATA_DIR=/data\n")
    settings = load_settings({"SYMBOLS": "eth,SOL", "HOME": "/root", "MAX_OPEN_POSITION": "1", "WINDOWS": ""}, path)
    assert settings.symbols == ("ETH", "SOL")
    assert settings.windows == (Window.FIVE_MINUTES, Window.FIFTEEN_MINUTES)
    assert settings.max_open_positions == 3
    assert settings.resolved_database_url.get_secret_value() == "sqlite:////data/polystra-sim.db"


def test_settings_are_frozen() -> None:
    settings = load_settings({}, None)
    with pytest.raises(ValidationError):
        settings.mode = Mode.LIVE


@pytest.mark.parametrize(
    ("text", "expected"),
    [("YES", True), ("no", False), ("True", True), ("FALSE", False), ("1", True), ("0", False)],
)
def test_booleans_take_the_words_that_users_write(text: str, expected: bool) -> None:
    assert load_settings({"USE_KELLY_SIZING": text}, None).use_kelly_sizing is expected


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("USE_KELLY_SIZING", "maybe"),
        ("TRADE_SIZE_DOLLARS", "nan"),
        ("TRADE_SIZE_DOLLARS", "1e3"),
        ("TRADE_SIZE_DOLLARS", "-1"),
        ("TRADE_SIZE_DOLLARS", "1_000"),
        ("TRADE_SIZE_DOLLARS", "0.0000001"),
        ("KELLY_FRACTION", "1.5"),
        ("MIN_CONFIDENCE_SCORE", "60"),
        ("MAX_SPREAD", "5"),
        ("STOP_LOSS_PERCENT", "100"),
        ("SYMBOLS", "BTC,BTCC"),
        ("SYMBOLS", "BTC,BTC"),
        ("WINDOWS", "7m"),
        ("ENTRY_STYLE", "maker"),
        ("FUSION", "mean"),
        ("EXIT_MODE", "both"),
        ("ON_SHUTDOWN", "sell_all"),
        ("LOG_LEVEL", "LOUD"),
        ("LOG_FORMAT", "xml"),
        ("MAX_OPEN_POSITIONS", "2.5"),
        ("CANCEL_TIMEOUT_SECONDS", "0"),
        ("POLY_SIGNATURE_TYPE", "4"),
        ("POLY_FUNDER_ADDRESS", "0x12"),
        ("LIVE_ARMED", "yes"),
        ("MODE", "production"),
    ],
)
def test_a_bad_value_is_named_with_its_rule_and_a_remedy(name: str, value: str) -> None:
    text = refusal({name: value})
    assert text.startswith(f"{name} is {value!r}")
    assert "expected" in text
    assert f"{name}=" in text or f"leave {name} empty" in text


def test_a_mode_that_is_a_command_says_so() -> None:
    assert "backtest is a command: polystra backtest DIR" in refusal({"MODE": "backtest"})


def test_an_unknown_name_in_the_file_names_the_nearest_and_no_value(tmp_path: Path) -> None:
    text = refusal({}, env_file(tmp_path, "# limits\n\nMAX_OPEN_POSITION=12345\n"))
    assert "MAX_OPEN_POSITION in" in text
    assert "line 3" in text
    assert "did you mean MAX_OPEN_POSITIONS?" in text
    assert "12345" not in text


def test_an_unknown_name_with_nothing_near_points_at_the_example(tmp_path: Path) -> None:
    assert ".env.example" in refusal({}, env_file(tmp_path, "QQQQ=1\n"))


def test_names_are_upper_case_in_the_file(tmp_path: Path) -> None:
    assert "did you mean MODE?" in refusal({}, env_file(tmp_path, "mode=sim\n"))


def test_names_of_compose_and_its_database_are_left_alone(tmp_path: Path) -> None:
    path = env_file(tmp_path, "COMPOSE_PROFILES=postgres\nPOSTGRES_PASSWORD=x\n")
    assert load_settings({}, path).mode is Mode.SIM


@pytest.mark.parametrize(
    "text",
    [f"{KEY}\n", f"MODE=sim\n{KEY[2:]}=\n", f"POLY_PRIVATE_KEY {KEY}\n", f'POLY_PRIVATE_KEY="{KEY}\n', "MODE\n"],
)
def test_a_line_that_is_no_setting_is_named_by_number_only(tmp_path: Path, text: str) -> None:
    message = refusal({}, env_file(tmp_path, text))
    assert "1f1f" not in message
    assert "line" in message


def test_a_name_that_stands_twice_is_refused(tmp_path: Path) -> None:
    text = refusal({}, env_file(tmp_path, "MAX_TRADE_SIZE=5\nMODE=sim\nMAX_TRADE_SIZE=500\n"))
    assert "MAX_TRADE_SIZE stands twice" in text
    assert "lines 1 and 3" in text


def test_text_is_taken_as_written_without_interpolation(tmp_path: Path) -> None:
    path = env_file(tmp_path, "POLY_API_KEY=a\nPOLY_API_SECRET=b${HOME}c\nPOLY_API_PASSPHRASE='d # e'\n")
    settings = load_settings({}, path)
    assert settings.poly_api_secret.get_secret_value() == "b${HOME}c"
    assert settings.poly_api_passphrase.get_secret_value() == "d # e"


def test_a_file_that_is_not_there_or_not_text_is_one_clear_line(tmp_path: Path) -> None:
    assert "cannot be read" in refusal({}, tmp_path / "missing.env")
    broken = tmp_path / ".env"
    broken.write_bytes(b"MODE=\xff\xfe")
    assert "UTF-8" in refusal({}, broken)


def test_a_byte_order_mark_is_no_part_of_the_first_name(tmp_path: Path) -> None:
    path = tmp_path / ".env"
    path.write_bytes(b"\xef\xbb\xbfSYMBOLS=ETH\r\nWINDOWS=5m\r\n")
    assert load_settings({}, path).symbols == ("ETH",)


def test_a_secret_is_read_from_its_file(tmp_path: Path) -> None:
    key_file = tmp_path / "key"
    key_file.write_text(KEY + "\n")
    settings = load_settings({"POLY_PRIVATE_KEY_FILE": str(key_file)}, None)
    assert settings.poly_private_key.get_secret_value() == KEY


def test_the_environment_wins_also_when_it_names_a_file_and_the_file_a_value(tmp_path: Path) -> None:
    key_file = tmp_path / "key"
    key_file.write_text("2e" * 32)
    settings = load_settings({"POLY_PRIVATE_KEY_FILE": str(key_file)}, env_file(tmp_path, f"POLY_PRIVATE_KEY={KEY}\n"))
    assert settings.poly_private_key.get_secret_value() == "0x" + "2e" * 32


def test_a_secret_twice_in_one_place_is_refused(tmp_path: Path) -> None:
    path = env_file(tmp_path, f"POLY_PRIVATE_KEY={KEY}\nPOLY_PRIVATE_KEY_FILE=/run/key\n")
    text = refusal({}, path)
    assert "both set" in text
    assert KEY not in text


@pytest.mark.parametrize("content", ["", "  \n", "hunter2\nhunter3\n"])
def test_a_secret_file_holds_one_line(tmp_path: Path, content: str) -> None:
    path = tmp_path / "key"
    path.write_text(content)
    text = refusal({"POLY_PRIVATE_KEY_FILE": str(path)})
    assert text.startswith("POLY_PRIVATE_KEY_FILE")
    assert "its only line" in text
    assert "hunter" not in text


def test_a_key_in_place_of_its_path_is_not_shown() -> None:
    assert "1f1f" not in refusal({"POLY_PRIVATE_KEY_FILE": KEY})


@pytest.mark.parametrize("bad", ["0x" + "1f" * 31, "1f" * 31 + "zz", "0x" + "00" * 32, "0x" + "ff" * 32])
def test_a_bad_private_key_is_refused_unseen(bad: str) -> None:
    text = refusal({"POLY_PRIVATE_KEY": bad})
    assert text.startswith("POLY_PRIVATE_KEY is not valid")
    assert bad.removeprefix("0x") not in text


@pytest.mark.parametrize("name", [name for name in known_names() if not name.endswith("_FILE")])
def test_a_key_pasted_into_any_setting_is_never_printed(name: str) -> None:
    try:
        said = repr(load_settings({name: KEY}, None))
    except ConfigError as error:
        said = str(error)
    assert "1f1f" not in said


def test_no_secret_in_repr_or_str() -> None:
    settings = load_settings(
        {
            "POLY_PRIVATE_KEY": KEY,
            "POLY_API_KEY": "api-key-value",
            "POLY_API_SECRET": "api-secret-value",
            "POLY_API_PASSPHRASE": "passphrase-value",
            "DATABASE_URL": "postgresql://user:hunter2@db/polystra",
            "SPOT_WS_URL": "wss://feed.example/ws?token=feedtoken",
        },
        None,
    )
    for text in (repr(settings), str(settings)):
        for secret in ("1f1f", "api-key-value", "api-secret-value", "passphrase-value", "hunter2", "feedtoken"):
            assert secret not in text
    assert "SPOT_WS_URL" not in text
    assert "wss://feed.example" in repr(settings)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("CLOB_URL", "ftp://host"),
        ("CLOB_URL", "https://user:hunter2@host"),
        ("CLOB_URL", "clob.polymarket.com"),
        ("CLOB_URL", "http://host:99999"),
        ("MARKET_WS_URL", "https://host"),
        ("DATABASE_URL", "mysql://user:hunter2@host/db"),
    ],
)
def test_a_bad_url_is_refused_without_showing_it(name: str, value: str) -> None:
    text = refusal({name: value})
    assert text.startswith(f"{name} is not valid")
    assert value not in text
    assert "hunter2" not in text


class TestLive:
    def environ(self, **changes: str) -> dict[str, str]:
        base = {"MODE": "live", "POLY_PRIVATE_KEY": KEY, "POLY_FUNDER_ADDRESS": FUNDER, "LIVE_ARMED": FUNDER}
        return {**base, **changes}

    def test_needs_the_key(self) -> None:
        assert refusal(self.environ(POLY_PRIVATE_KEY="")).startswith("POLY_PRIVATE_KEY is empty")

    def test_needs_to_be_armed(self) -> None:
        assert refusal(self.environ(LIVE_ARMED="")).startswith("LIVE_ARMED is empty")

    def test_is_armed_by_the_funders_address_in_any_case(self) -> None:
        settings = load_settings(self.environ(LIVE_ARMED=FUNDER.lower()), None)
        assert settings.mode is Mode.LIVE
        assert settings.signature_type == 3

    def test_is_not_armed_by_another_address(self) -> None:
        text = refusal(self.environ(LIVE_ARMED=OTHER))
        assert text.startswith("LIVE_ARMED is")
        assert FUNDER in text

    def test_without_a_funder_the_wiring_compares_with_the_signer(self) -> None:
        settings = load_settings(self.environ(POLY_FUNDER_ADDRESS="", LIVE_ARMED=OTHER), None)
        check_armed(settings, OTHER.upper().replace("0X", "0x"))
        with pytest.raises(ConfigError, match="LIVE_ARMED"):
            check_armed(settings, FUNDER)

    def test_urls_are_the_venues_unless_set(self) -> None:
        settings = load_settings(self.environ(GAMMA_URL="http://127.0.0.1:9/"), None)
        assert settings.url("clob_url") == "https://clob.polymarket.com"
        assert settings.url("gamma_url") == "http://127.0.0.1:9"
        assert settings.resolved_database_url.get_secret_value() == "sqlite:///data/polystra-live.db"


@pytest.mark.parametrize(
    ("environ", "named"),
    [
        (
            {"CLOB_URL": "https://clob.polymarket.com"},
            "CLOB_URL names the venue's host clob.polymarket.com",
        ),
        ({"POLY_SIGNATURE_TYPE": "3"}, "POLY_FUNDER_ADDRESS"),
        ({"POLY_SIGNATURE_TYPE": "0", "POLY_FUNDER_ADDRESS": FUNDER}, "POLY_SIGNATURE_TYPE"),
        ({"POLY_API_KEY": "a", "POLY_API_SECRET": "b"}, "POLY_API_PASSPHRASE"),
        ({"TRADE_SIZE_DOLLARS": "30"}, "MAX_TRADE_SIZE"),
        ({"USE_CONCURRENT_ORDERS": "NO", "EXIT_MODE": "limit_orders"}, "EXIT_MODE"),
        ({"USE_CONCURRENT_ORDERS": "YES", "EXIT_MODE": "monitor"}, "USE_CONCURRENT_ORDERS"),
        ({"TAKE_PROFIT_LADDER": "50@40", "TAKE_PROFIT_KIND": "price"}, "TAKE_PROFIT_KIND"),
        ({"TAKE_PROFIT_KIND": "risk", "ENABLE_STOP_LOSS": "NO"}, "ENABLE_STOP_LOSS"),
    ],
)
def test_settings_that_contradict_each_other_are_refused(environ: dict[str, str], named: str) -> None:
    assert named in refusal(environ)


def test_a_funder_means_a_deposit_wallet_unless_said_otherwise() -> None:
    assert load_settings({"POLY_FUNDER_ADDRESS": FUNDER}, None).signature_type == 3
    assert load_settings({"POLY_FUNDER_ADDRESS": FUNDER, "POLY_SIGNATURE_TYPE": "2"}, None).signature_type == 2


@pytest.mark.parametrize(
    ("environ", "mode"),
    [
        ({}, "limit_orders"),
        ({"EXIT_MODE": "monitor"}, "monitor"),
        ({"USE_CONCURRENT_ORDERS": "NO"}, "monitor"),
        ({"USE_CONCURRENT_ORDERS": "YES"}, "limit_orders"),
        ({"USE_CONCURRENT_ORDERS": "", "EXIT_MODE": "monitor"}, "monitor"),
        ({"USE_CONCURRENT_ORDERS": "NO", "EXIT_MODE": "monitor"}, "monitor"),
    ],
)
def test_the_old_name_of_the_exit_mode_is_understood(environ: dict[str, str], mode: str) -> None:
    assert load_settings(environ, None).resolved_exit_mode == mode


@pytest.mark.parametrize("text", ["50", "50@", "@40", "60@40,50@80", "0@40", "50@-1", "a@b"])
def test_a_ladder_that_cannot_be_climbed_is_refused(text: str) -> None:
    assert refusal({"TAKE_PROFIT_LADDER": text}).startswith("TAKE_PROFIT_LADDER")


def test_a_bot_without_chats_and_texts_that_are_none_are_refused() -> None:
    token = "1234567:" + "t" * 35
    with pytest.raises(ConfigError, match="TELEGRAM_CHAT_IDS is empty"):
        load_settings({"TELEGRAM_TOKEN": token}, None)
    assert load_settings({"TELEGRAM_TOKEN": token, "TELEGRAM_CHAT_IDS": "7, -100123"}, None).telegram_chat_ids == (
        7,
        -100123,
    )
    for name, text in (("TELEGRAM_TOKEN", "hunter2"), ("TELEGRAM_CHAT_IDS", "7,x"), ("TELEGRAM_CHAT_IDS", "7,7")):
        with pytest.raises(ConfigError, match=name) as caught:
            load_settings({name: text}, None)
        assert "hunter2" not in str(caught.value)
