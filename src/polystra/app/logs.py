"""How log lines are written: colours on a terminal, JSON elsewhere, no secret in either.

What lives here: structlog's configuration, the renderers and the redaction. What must not:
names of events (`ports.logbook`) and calls that log something.

Order ids, condition ids and hashes look like private keys (32 bytes in hex), so the
redaction goes by the actual secrets, by the names of keys, and by shape where no id stands.
"""

from __future__ import annotations

import json
import logging
import re
import zlib
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any, Final, TextIO

import structlog
from structlog.typing import EventDict, Processor, WrappedLogger

from polystra.app.log_ring import RING
from polystra.domain.units import NS_PER_MS, NS_PER_S
from polystra.ports.clock import Clock
from polystra.ports.logbook import LogEvent

REDACTED: Final = "[redacted]"

_SECRET_NAME: Final = re.compile(
    r"private_?key|api_?key|secret|passphrase|password|(?:^|_)signature$|authorization|mnemonic|poly_(?:signature|nonce)",
    re.IGNORECASE,
)
_ID_NAME: Final = re.compile(
    r"(?:^|_)(?:ids?|hash|hashes|root|market|token|asset|order|condition|trade)$", re.IGNORECASE
)
_SECRET_TEXT: Final = re.compile(
    r"((?:private[ _-]?key|api[ _-]?key|secret|passphrase|password|authorization)"
    r"[\"']?\s*[:=]\s*[\"']?)([^\s\"',;}]+)",
    re.IGNORECASE,
)
_LONG_TEXT: Final = re.compile(
    r"((?:signature[\"']?\s*[:=]|(?:key|secret|passphrase|password|signature|authorization)[\"']?\s+is\b)\s*[\"']?)"
    r"([^\s\"',;}]{20,})",
    re.IGNORECASE,
)
"""A value as long as no word is: `invalid_signature: invalid signature` and `the passphrase is readable` stay."""
_URL_PASSWORD: Final = re.compile(r"(\w+://[^/\s:@]*:)[^/\s@]+@")
_SIGNATURE_HEX: Final = re.compile(r"(?:0x)?[0-9a-fA-F]{128,}")
_BARE_KEY: Final = re.compile(r"(?<![0-9a-zA-Z])[0-9a-fA-F]{64}(?![0-9a-zA-Z])")
_WHOLE_KEY: Final = re.compile(r"0x[0-9a-fA-F]{64}")
_SHORTEST_SECRET: Final = 6
_DEEPEST: Final = 6

_RESET: Final = "\x1b[0m"
_SYMBOL_COLOURS: Final = {"BTC": 33, "ETH": 34, "SOL": 35, "XRP": 36}
_OTHER_COLOURS: Final = (32, 93, 94, 95, 96, 92)
_RULE_WIDTH: Final = 72


class Redaction:
    """A processor that takes secrets out of every value of a line.

    Args:
        secrets: the actual secrets of this run; each is replaced wherever it stands.
    """

    def __init__(self, secrets: Iterable[str] = ()) -> None:
        plain = {secret.strip() for secret in secrets}
        plain |= {secret.removeprefix("0x") for secret in plain}
        long_enough = sorted((s for s in plain if len(s) >= _SHORTEST_SECRET), key=len, reverse=True)
        self._known = re.compile("|".join(re.escape(s) for s in long_enough), re.IGNORECASE) if long_enough else None

    def __call__(self, logger: WrappedLogger, method: str, event_dict: EventDict) -> EventDict:
        """Return the line without secrets; see structlog's processors."""
        return {key: self._clean(key, value, 0) for key, value in event_dict.items()}

    def text(self, text: str) -> str:
        """Return free text without secrets, as text that can be written: half a character is not."""
        if not text.isascii():
            text = text.encode("utf-8", "backslashreplace").decode("utf-8")
        if self._known is not None:
            text = self._known.sub(REDACTED, text)
        text = _URL_PASSWORD.sub(rf"\1{REDACTED}@", text)
        text = _SECRET_TEXT.sub(rf"\1{REDACTED}", text)
        text = _LONG_TEXT.sub(rf"\1{REDACTED}", text)
        return _SIGNATURE_HEX.sub(REDACTED, text)

    def _clean(self, key: str, value: object, depth: int) -> object:
        if _SECRET_NAME.search(key) and not isinstance(value, bool | None):
            return REDACTED
        if isinstance(value, bool | int | float | None):
            return value
        if isinstance(value, str):
            return self._clean_text(key, str(value))
        if depth >= _DEEPEST:
            return self._clean_text(key, str(value))
        if isinstance(value, Mapping):
            return {str(name): self._clean(str(name), item, depth + 1) for name, item in value.items()}
        if isinstance(value, list | tuple | set | frozenset):
            return [self._clean(key, item, depth + 1) for item in value]
        return self._clean_text(key, str(value))

    def _clean_text(self, key: str, value: str) -> str:
        cleaned = self.text(value)
        if _ID_NAME.search(key):
            return cleaned
        if _WHOLE_KEY.fullmatch(cleaned):
            return REDACTED
        return _BARE_KEY.sub(REDACTED, cleaned)


class Timestamp:
    """A processor that stamps a line with the time of a clock, which may be simulated."""

    def __init__(
        self, clock: Clock, *, timespec: str = "milliseconds", separator: str = "T", suffix: str = "Z"
    ) -> None:
        self._clock = clock
        self._timespec = timespec
        self._separator = separator
        self._suffix = suffix

    def __call__(self, logger: WrappedLogger, method: str, event_dict: EventDict) -> EventDict:
        """Add `timestamp`: UTC, to the millisecond."""
        seconds, rest = divmod(self._clock.now_ns(), NS_PER_S)
        moment = datetime.fromtimestamp(seconds, UTC).replace(microsecond=rest // NS_PER_MS * 1000, tzinfo=None)
        event_dict["timestamp"] = moment.isoformat(self._separator, self._timespec) + self._suffix
        return event_dict


class JsonLine:
    """A renderer of one JSON object a line; time, level and name come first."""

    def __call__(self, logger: WrappedLogger, method: str, event_dict: EventDict) -> str:
        """Return the line."""
        head = {key: event_dict.pop(key) for key in ("timestamp", "level", "event") if key in event_dict}
        return json.dumps({**head, **event_dict}, default=str, ensure_ascii=False, separators=(",", ":"))


class ConsoleLine:
    """A renderer for people: each symbol has its colour, and a rule opens each symbol's evaluation.

    Args:
        colours: whether to write escape codes; without them the tag and the rule remain.
    """

    def __init__(self, *, colours: bool) -> None:
        self._colours = colours
        self._evaluated: str | None = None
        self._line = structlog.dev.ConsoleRenderer(
            colors=colours, sort_keys=False, pad_event_to=22, exception_formatter=structlog.dev.plain_traceback
        )

    def __call__(self, logger: WrappedLogger, method: str, event_dict: EventDict) -> str:
        """Return the line, with a rule above it where another symbol's evaluation begins."""
        symbol = event_dict.pop("symbol", None)
        is_evaluation = str(event_dict.get("event")) == LogEvent.DECISION_MADE
        line = str(self._line(logger, method, event_dict))
        if symbol is None:
            return line
        name = str(symbol)
        tagged = f"{self._paint(name, f'▌{name:<4}')} {line}"
        if not is_evaluation or name == self._evaluated:
            return tagged
        self._evaluated = name
        rule = f"── {name} ".ljust(_RULE_WIDTH, "─")
        return f"{self._paint(name, rule)}\n{tagged}"

    def _paint(self, symbol: str, text: str) -> str:
        if not self._colours:
            return text
        colour = _SYMBOL_COLOURS.get(symbol, _OTHER_COLOURS[zlib.crc32(symbol.encode()) % len(_OTHER_COLOURS)])
        return f"\x1b[1;{colour}m{text}{_RESET}"


class LibraryHandler(logging.Handler):
    """Brings the warnings of third-party libraries into the same log, under one name."""

    def emit(self, record: logging.LogRecord) -> None:
        """Write the record through structlog, where it is redacted like every line."""
        try:
            message = record.getMessage()
        except (TypeError, ValueError):
            message = str(record.msg)
        structlog.get_logger().log(
            record.levelno,
            LogEvent.LIBRARY_LOGGED,
            library=record.name,
            message=message,
            exc_info=record.exc_info or None,
        )


def configure_logs(
    *, clock: Clock, stream: TextIO, log_format: str = "auto", level: str = "INFO", secrets: Iterable[str] = ()
) -> None:
    """Set structlog and the standard library's logging up for this process; may be called again.

    Args:
        clock: gives the time of each line.
        stream: where lines go.
        log_format: `console`, `json`, or `auto`: console if `stream` is a terminal.
        level: DEBUG, INFO, WARNING or ERROR; the least that is written.
        secrets: values that no line may hold.
    """
    is_terminal = stream.isatty()
    for_people = log_format == "console" or (log_format == "auto" and is_terminal)
    stamp = Timestamp(clock, separator=" ", suffix="") if for_people else Timestamp(clock)
    renderer: Processor = ConsoleLine(colours=is_terminal) if for_people else JsonLine()
    threshold = logging.getLevelNamesMapping()[level]
    processors: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        stamp,
        structlog.processors.format_exc_info,
        Redaction(secrets),
        RING,
        renderer,
    ]
    structlog.configure(
        processors=processors,
        wrapper_class=structlog.make_filtering_bound_logger(threshold),
        context_class=dict,
        logger_factory=structlog.PrintLoggerFactory(stream),
        cache_logger_on_first_use=False,
    )
    _remove_library_handlers()
    logging.getLogger().addHandler(LibraryHandler(level=max(threshold, logging.WARNING)))


def release_logs() -> None:
    """Undo `configure_logs`: nothing keeps the clock or the stream of an ended run."""
    structlog.reset_defaults()
    _remove_library_handlers()


def _remove_library_handlers() -> None:
    root = logging.getLogger()
    for handler in [handler for handler in root.handlers if isinstance(handler, LibraryHandler)]:
        root.removeHandler(handler)


def bind_everywhere(**values: Any) -> None:  # noqa: ANN401 -- structlog binds any value
    """Add values (as `run_id`) to every later line of this context."""
    structlog.contextvars.bind_contextvars(**values)
