"""Log lines: simulated time, JSON or colours, and no secret whatever the road it comes by."""

from __future__ import annotations

import io
import json
import logging
from collections.abc import Callable, Iterator
from contextlib import AbstractAsyncContextManager

import pytest
import structlog

from polystra.app.logs import REDACTED, LibraryHandler, Redaction, bind_everywhere, configure_logs
from polystra.ports.logbook import LogEvent

KEY = "1f" * 32
ORDER_ID = "0x" + "ab" * 32


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


class StillClock:
    """A clock that stands at one simulated moment."""

    def now_ns(self) -> int:
        return 1_753_401_600_123_456_789

    def monotonic_ns(self) -> int:
        return 0

    async def sleep(self, seconds: float) -> None:
        raise AssertionError(seconds)

    def timeout(self, seconds: float) -> AbstractAsyncContextManager[object]:
        raise AssertionError(seconds)


@pytest.fixture(autouse=True)
def restored() -> Iterator[None]:
    root = logging.getLogger()
    yield
    structlog.reset_defaults()
    structlog.contextvars.clear_contextvars()
    for handler in [handler for handler in root.handlers if isinstance(handler, LibraryHandler)]:
        root.removeHandler(handler)


Written = Callable[[], str]


def written(
    stream: io.StringIO | None = None, **options: object
) -> tuple[structlog.typing.FilteringBoundLogger, Written]:
    out = stream if stream is not None else io.StringIO()
    configure_logs(clock=StillClock(), stream=out, **options)  # type: ignore[arg-type]
    return structlog.get_logger(), out.getvalue


def test_a_line_elsewhere_than_on_a_terminal_is_one_json_object_in_simulated_time() -> None:
    log, text = written()
    log.info(LogEvent.FILL_BOOKED, order_id=ORDER_ID, quantity=5_000_000, maker=True, symbol="BTC")
    assert json.loads(text()) == {
        "timestamp": "2025-07-25T00:00:00.123Z",
        "level": "info",
        "event": "fill.booked",
        "order_id": ORDER_ID,
        "quantity": 5_000_000,
        "maker": True,
        "symbol": "BTC",
    }
    assert list(json.loads(text()))[:3] == ["timestamp", "level", "event"]


def test_json_by_setting_also_on_a_terminal() -> None:
    log, text = written(Terminal(), log_format="json")
    log.info(LogEvent.APP_STARTED)
    assert json.loads(text())["event"] == "app.started"


def test_a_terminal_gets_colours_and_each_symbols_evaluation_its_rule() -> None:
    log, text = written(Terminal())
    log.info(LogEvent.DECISION_MADE, symbol="BTC", action="SKIP")
    log.info(LogEvent.DECISION_MADE, symbol="BTC", action="ENTER")
    log.info(LogEvent.DECISION_MADE, symbol="ETH", action="SKIP")
    log.info(LogEvent.FILL_BOOKED, symbol="ETH")
    log.info(LogEvent.STREAM_CONNECTED)
    lines = text().splitlines()
    assert len(lines) == 7
    assert "── BTC ─" in lines[0]
    assert "── ETH ─" in lines[3]
    assert all("\x1b[1;33m▌BTC" in line for line in lines[1:3])
    assert all("\x1b[1;34m▌ETH" in line for line in lines[4:6])
    assert "▌" not in lines[6]
    assert "2025-07-25 00:00:00.123" in lines[6]


def test_console_by_setting_without_a_terminal_has_no_escape_codes() -> None:
    log, text = written(log_format="console")
    log.info(LogEvent.DECISION_MADE, symbol="SOL", action="SKIP")
    assert "── SOL ─" in text()
    assert "\x1b" not in text()


def test_lines_below_the_level_are_not_written() -> None:
    log, text = written(level="WARNING")
    log.info(LogEvent.APP_STARTED)
    assert text() == ""
    log.warning(LogEvent.STREAM_LOST)
    assert "stream.lost" in text()


def test_bound_values_are_on_every_line() -> None:
    log, text = written()
    bind_everywhere(run_id="r1")
    log.info(LogEvent.APP_STARTED)
    assert json.loads(text())["run_id"] == "r1"


@pytest.mark.parametrize(
    "name",
    ["private_key", "POLY_PRIVATE_KEY", "api_key", "apiKey", "api_secret", "passphrase", "POLY_SIGNATURE", "signature",
     "password", "Authorization", "POLY_PASSPHRASE", "POLY_API_KEY"],
)  # fmt: skip
@pytest.mark.parametrize("log_format", ["json", "console"])
def test_a_key_that_names_a_secret_hides_its_value(name: str, log_format: str) -> None:
    log, text = written(log_format=log_format)
    log.info(
        LogEvent.APP_STARTED,
        **{name: "hunter2value", "headers": {name: "hunter2value", "list": [{name: "hunter2value"}]}},
    )
    assert "hunter2value" not in text()
    assert REDACTED in text()


def test_the_type_of_a_signature_is_not_a_secret() -> None:
    log, text = written()
    log.info(LogEvent.APP_STARTED, signature_type=3)
    assert json.loads(text())["signature_type"] == 3


@pytest.mark.parametrize(
    "said",
    [
        KEY,
        f"0x{KEY}",
        f"key was {KEY}, too long",
        f"POLY_SIGNATURE: {KEY[:43]}=",
        f'{{"secret": "{KEY[:30]}"}}',
        f"signed 0x{KEY}{KEY}1b",
        f"postgresql://user:{KEY[:10]}@host/db",
        f"the passphrase is {KEY[:30]}",
    ],
)
def test_text_that_looks_like_a_secret_is_hidden(said: str) -> None:
    log, text = written()
    log.info(LogEvent.APP_FAILED, reason=said, more=(said,))
    assert "1f1f" not in text()


@pytest.mark.parametrize(
    "said", ["invalid_signature: invalid signature", "/run/passphrase is readable for everyone", "the secret is wrong"]
)
def test_words_about_a_secret_stay_readable(said: str) -> None:
    log, text = written()
    log.info(LogEvent.ORDER_REFUSED, reason=said)
    assert json.loads(text())["reason"] == said


def test_ids_and_hashes_stay_readable() -> None:
    log, text = written()
    log.info(LogEvent.ORDER_REFUSED, order_id=ORDER_ID, condition_id=ORDER_ID, facts_hash="cd" * 32, ids=[ORDER_ID],
             reason=f"order {ORDER_ID} is invalid. Duplicated.")  # fmt: skip
    assert text().count(ORDER_ID) == 4
    assert "cd" * 32 in text()


@pytest.mark.parametrize("log_format", ["json", "console"])
def test_the_actual_secrets_are_hidden_wherever_they_stand(log_format: str) -> None:
    secrets = (f"0x{KEY}", "api-secret-value==", "")
    log, text = written(log_format=log_format, secrets=secrets)
    log.info(LogEvent.APP_FAILED, order_id=f"0x{KEY.upper()}", note="so api-secret-value== it is", count=7)
    log.info(KEY)
    try:
        raise ValueError(f"bad key 0x{KEY} with api-secret-value==")
    except ValueError:
        log.exception(LogEvent.APP_FAILED)
    assert "1f1f" not in text().lower()
    assert "api-secret-value" not in text()
    assert "ValueError" in text()


@pytest.mark.parametrize("log_format", ["json", "console"])
def test_a_traceback_shows_no_local_variables(log_format: str) -> None:
    log, text = written(Terminal(), log_format=log_format)
    local_value = f"only-{log_format}"
    try:
        raise ValueError(len(local_value))
    except ValueError:
        log.exception(LogEvent.APP_FAILED)
    assert "ValueError" in text()
    assert f"only-{log_format}" not in text()


def test_a_librarys_warning_joins_the_log_and_is_redacted() -> None:
    _, text = written(secrets=(KEY,))
    logging.getLogger("somelib").warning("lost %s", KEY)
    broken = logging.LogRecord("somelib", logging.WARNING, __file__, 1, "two %s", ("arguments", "for one"), None)
    LibraryHandler().emit(broken)
    logging.getLogger("somelib").info("chatter")
    lines = [json.loads(line) for line in text().splitlines()]
    assert [line["event"] for line in lines] == ["library.logged", "library.logged"]
    assert lines[0]["library"] == "somelib"
    assert lines[0]["message"] == f"lost {REDACTED}"


def test_configuring_twice_does_not_double_the_lines() -> None:
    written()
    _, text = written()
    logging.getLogger("somelib").error("once")
    assert len(text().splitlines()) == 1


def test_the_logbook_names_are_noun_and_verb_unique_and_explained() -> None:
    names = [event.value for event in LogEvent]
    assert len(set(names)) == len(names)
    for event in LogEvent:
        noun, _, verb = event.value.partition(".")
        assert noun.replace("_", "").isalpha()
        assert verb.replace("_", "").isalpha()
        assert event.meaning
        assert event.name.startswith(noun.upper())
        assert f"{event}" == event.value


def test_half_a_character_breaks_no_line() -> None:
    assert Redaction().text("a\ud800é") == "a\\ud800é"
