"""How one setting's text becomes a typed value, and what is said when it cannot.

What lives here: the value types of `settings.Settings`, their parsers and the note (section,
explanation, rule) that each carries for error lines and `.env.example`. What must not: the
list of settings, files, the environment.

A parser raises ValueError; its text is the rule that was broken and never holds the value,
because a value may be a secret that was pasted into the wrong line.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from enum import StrEnum
from ipaddress import ip_address
from pathlib import Path
from typing import Annotated, Any, Final
from urllib.parse import urlsplit

from pydantic import BeforeValidator, Field, SecretStr

from polystra.domain.windows import WINDOW_SECONDS

SECRET_RUN: Final = re.compile(r"[0-9a-fA-F]{40,}|[A-Za-z0-9+/_=-]{44,}")
"""Text that may be a key or an API secret wherever it stands (an address alone is excepted by the caller)."""

ADDRESS: Final = re.compile(r"0x[0-9a-fA-F]{40}")
_PRIVATE_KEY: Final = re.compile(r"(?:0x)?[0-9a-fA-F]{64}")
_SECP256K1_ORDER: Final = 0xFFFFFFFF_FFFFFFFF_FFFFFFFF_FFFFFFFE_BAAEDCE6_AF48A03B_BFD25E8C_D0364141
_YES: Final = frozenset({"yes", "true", "1"})
_NO: Final = frozenset({"no", "false", "0"})
_WHOLE: Final = Decimal(100)


class Mode(StrEnum):
    """Where orders go: the built-in exchange, a simulated account on the venue's books, the venue with real money."""

    SIM = "sim"
    PAPER = "paper"
    LIVE = "live"


class Window(StrEnum):
    """The length of an up/down market."""

    FIVE_MINUTES = "5m"
    FIFTEEN_MINUTES = "15m"
    HOUR = "1h"
    FOUR_HOURS = "4h"
    DAY = "1d"

    @property
    def seconds(self) -> int:
        """The usual length in seconds."""
        return WINDOW_SECONDS[self.value]


DAYS_OF_THE_WEEK: Final = ("MON", "TUE", "WED", "THU", "FRI", "SAT", "SUN")

SYMBOLS: Final = ("BTC", "ETH", "SOL", "XRP", "DOGE", "BNB", "HYPE", "ZEC")
"""Coins with up/down markets (Polymarket CLOB docs, live data)."""


@dataclass(frozen=True, slots=True)
class Note:
    """What a person has to know about a setting: its section, one sentence with the unit, and the rule."""

    section: str
    text: str
    rule: str


def setting(default: object, section: str, text: str, rule: str) -> Any:  # noqa: ANN401 -- pydantic's Field is typed so
    """Declare a setting with its default, as it would be typed in `.env`."""
    return Field(
        default=default, validate_default=True, json_schema_extra={"section": section, "text": text, "rule": rule}
    )


def note_of(extra: object) -> Note:
    """Return the note that `setting` stored on a field."""
    if not isinstance(extra, dict):
        raise TypeError("a setting is declared without its note")
    return Note(section=str(extra["section"]), text=str(extra["text"]), rule=str(extra["rule"]))


def parse_flag(value: object) -> bool:
    """Read YES/NO, true/false, 1/0 in any case."""
    word = str(value).strip().lower()
    if word in _YES:
        return True
    if word in _NO:
        return False
    raise ValueError("not a yes or no")


def parse_optional_flag(value: object) -> bool | None:
    """Read YES/NO, or nothing, which leaves the choice to another setting."""
    return None if value is None or str(value).strip() == "" else parse_flag(value)


def parse_ladder(value: object) -> tuple[tuple[Decimal, Decimal], ...]:
    """Read parts as `share@gain`, both in percent, separated by commas; empty means one part."""
    if isinstance(value, tuple):
        return value
    parts = [part for part in _split(value) if part] if str(value).strip() else []
    found = []
    for part in parts:
        share, at, gain = part.partition("@")
        if not at:
            raise ValueError("a part without @")
        found.append((parse_number(share), parse_number(gain)))
    if any(share <= 0 or gain <= 0 for share, gain in found):
        raise ValueError("a share or a gain that is not above 0")
    if sum((share for share, _ in found), Decimal(0)) > _WHOLE:
        raise ValueError("shares of more than 100 percent together")
    return tuple(found)


def parse_number(value: object) -> Decimal:
    """Read a plain decimal number, at most six decimals (the unit of money)."""
    text = str(value).strip()
    try:
        number = Decimal(text)
    except InvalidOperation as error:
        raise ValueError("not a number") from error
    if not number.is_finite() or not re.fullmatch(r"[+-]?[0-9]+(?:\.[0-9]{1,6})?", text):
        raise ValueError("not a plain decimal number")
    return number


def parse_optional_number(value: object) -> Decimal | None:
    """Read a decimal number; empty means that the rule is off."""
    return None if value is None or str(value).strip() == "" else parse_number(value)


def parse_whole(value: object) -> int:
    """Read a whole number in plain digits."""
    text = str(value).strip()
    if not re.fullmatch(r"[+-]?[0-9]{1,12}", text):
        raise ValueError("not a whole number")
    return int(text)


def parse_signature_type(value: object) -> int | None:
    """Read 0 to 3; empty means that it follows from the funder."""
    if value is None or str(value).strip() == "":
        return None
    number = parse_whole(value)
    if not 0 <= number <= 3:
        raise ValueError("outside 0 to 3")
    return number


def _split(value: object) -> list[str]:
    if isinstance(value, str):
        return [part.strip() for part in value.split(",")]
    if isinstance(value, Iterable):
        return [str(part).strip() for part in value]
    raise ValueError("not a list")


def _distinct(parts: list[str]) -> None:
    if len(set(parts)) != len(parts):
        raise ValueError("one of them stands twice")


def parse_symbols(value: object) -> tuple[str, ...]:
    """Read coins separated by commas, in any case, each known and named once."""
    parts = [part.upper() for part in _split(value)]
    if any(part not in SYMBOLS for part in parts):
        raise ValueError("one of them is not known")
    _distinct(parts)
    return tuple(parts)


def parse_windows(value: object) -> tuple[Window, ...]:
    """Read window lengths separated by commas, each known and named once."""
    parts = [part.lower() for part in _split(value)]
    _distinct(parts)
    return tuple(Window(part) for part in parts)


def parse_mode(value: object) -> Mode:
    """Read `sim`, `paper` or `live`; what is a command says so."""
    word = str(value).strip().lower()
    if word == "backtest":
        raise ValueError("backtest is a command: polystra backtest DIR")
    return Mode(word)


def parse_word(value: object) -> object:
    """Lower-case a word that is one of a few."""
    return value.strip().lower() if isinstance(value, str) and not isinstance(value, StrEnum) else value


def parse_upper_word(value: object) -> object:
    """Upper-case a word that is one of a few."""
    return value.strip().upper() if isinstance(value, str) else value


def parse_folder(value: object) -> Path:
    """Read a path; `~` is the user's home."""
    text = str(value).strip()
    if _PRIVATE_KEY.fullmatch(text):
        raise ValueError("a private key, not a path")
    return Path(text).expanduser()


def parse_optional_file(value: object) -> Path | None:
    """Read a path, or nothing."""
    return None if value is None or not str(value).strip() else parse_folder(value)


def parse_strategy(value: object) -> str:
    """Read a file and a class, or nothing."""
    text = str(value).strip()
    path, _, name = text.rpartition(":")
    if text and not (path.endswith(".py") and name.isidentifier()):
        raise ValueError("not a Python file and a class")
    return text


def parse_address(value: object) -> str:
    """Read a 20-byte address, or nothing."""
    text = str(value).strip()
    if text and not ADDRESS.fullmatch(text):
        raise ValueError("not an address")
    return text


def parse_private_key(value: object) -> object:
    """Check that a key is 32 bytes of hex inside the curve's order; return it with 0x, or empty."""
    text = value.get_secret_value() if isinstance(value, SecretStr) else str(value).strip()
    if not text:
        return ""
    if not _PRIVATE_KEY.fullmatch(text) or not 0 < int(text, 16) < _SECP256K1_ORDER:
        raise ValueError("not a private key")
    return "0x" + text.removeprefix("0x").lower()


def _parse_url(value: object, schemes: tuple[str, ...]) -> str:
    text = str(value).strip().rstrip("/")
    if not text:
        return ""
    try:
        parts = urlsplit(text)
        port_is_valid = parts.port is None or parts.port > 0
    except ValueError as error:
        raise ValueError("not a URL") from error
    if parts.scheme not in schemes or not parts.hostname or not port_is_valid or re.search(r"\s", text):
        raise ValueError("not a URL of that kind")
    if parts.username or parts.password:
        raise ValueError("a user or password in it")
    return text


def parse_http_url(value: object) -> str:
    """Read an http or https URL without credentials, or nothing; a trailing slash is dropped."""
    return _parse_url(value, ("http", "https"))


def parse_ws_url(value: object) -> str:
    """Read a ws or wss URL without credentials, or nothing; a trailing slash is dropped."""
    return _parse_url(value, ("ws", "wss"))


def parse_secret_url(value: object) -> object:
    """Check an http or https URL whose path is a secret, or nothing; it stays inside the SecretStr."""
    return parse_http_url(value.get_secret_value() if isinstance(value, SecretStr) else value)


def parse_telegram_token(value: object) -> object:
    """Check that a text is shaped like a bot's token, or nothing; it stays inside the SecretStr."""
    text = value.get_secret_value() if isinstance(value, SecretStr) else str(value).strip()
    if text and not re.fullmatch(r"[0-9]{3,20}:[A-Za-z0-9_-]{20,100}", text):
        raise ValueError("not a bot's token")
    return text


def parse_chat_ids(value: object) -> tuple[int, ...]:
    """Read ids of chats separated by commas, each named once, or none."""
    if isinstance(value, tuple):
        return value
    parts = [part for part in _split(value) if part]
    if any(not re.fullmatch(r"-?[1-9][0-9]{0,17}", part) for part in parts):
        raise ValueError("one of them is no id of a chat")
    _distinct(parts)
    return tuple(int(part) for part in parts)


def parse_database_url(value: object) -> object:
    """Check the scheme of a database URL; its password stays inside the SecretStr."""
    text = value.get_secret_value() if isinstance(value, SecretStr) else str(value).strip()
    if not re.match(r"(?:sqlite:///.|postgres(?:ql)?(?:\+psycopg)?://.)", text):
        raise ValueError("not a database URL")
    return text


def parse_weekly_time(value: object) -> str:
    """Read a day and a time of the week, `TUE 07:00`, or `off`."""
    text = " ".join(str(value).upper().split())
    if text != "OFF" and not re.fullmatch(rf"(?:{'|'.join(DAYS_OF_THE_WEEK)}) (?:[01][0-9]|2[0-3]):[0-5][0-9]", text):
        raise ValueError("not a day and a time")
    return text


def parse_token(value: object) -> object:
    """Check a token that goes into a header, or nothing; it stays inside the SecretStr."""
    text = value.get_secret_value() if isinstance(value, SecretStr) else str(value).strip()
    if text and not re.fullmatch(r"[!-~]{16,200}", text):
        raise ValueError("too short, too long, or with other characters")
    return text


def parse_host(value: object) -> str:
    """Read the address that a server listens on."""
    text = str(value).strip().lower()
    if text != "localhost":
        try:
            ip_address(text)
        except ValueError as error:
            raise ValueError("not an address") from error
    return text


def parse_hosts(value: object) -> tuple[str, ...]:
    """Read names that a server may be called by, none by default."""
    if isinstance(value, tuple):
        return value
    names = [name.lower() for name in _split(value) if name] if str(value).strip() else []
    if any(not re.fullmatch(r"[a-z0-9.-]{1,253}|\[?[0-9a-f:]{2,45}\]?", name) for name in names):
        raise ValueError("not a host name")
    if any(SECRET_RUN.search(name) for name in names):
        raise ValueError("a name that looks like a secret")
    return tuple(name.strip("[]") for name in names)


Flag = Annotated[bool, BeforeValidator(parse_flag)]
OptionalFlag = Annotated[bool | None, BeforeValidator(parse_optional_flag)]
Ladder = Annotated[tuple[tuple[Decimal, Decimal], ...], BeforeValidator(parse_ladder)]
"""Parts of a take-profit: (percent of the shares, percent of gain)."""
Dollars = Annotated[Decimal, BeforeValidator(parse_number), Field(ge=0, le=10_000_000)]
"""A sum of dollars with at most six decimals."""
PositiveDollars = Annotated[Decimal, BeforeValidator(parse_number), Field(gt=0, le=10_000_000)]
Percent = Annotated[Decimal, BeforeValidator(parse_number), Field(gt=0, le=10_000)]
PercentOrZero = Annotated[Decimal, BeforeValidator(parse_number), Field(ge=0, le=10_000)]
PositiveNumber = Annotated[Decimal, BeforeValidator(parse_number), Field(gt=0, le=100)]
StopPercent = Annotated[Decimal, BeforeValidator(parse_number), Field(gt=0, lt=100)]
ShareOfPrice = Annotated[Decimal, BeforeValidator(parse_number), Field(gt=0, lt=1)]
ShareOfPriceOrOff = Annotated[Annotated[Decimal, Field(gt=0, lt=1)] | None, BeforeValidator(parse_optional_number)]
Fraction = Annotated[Decimal, BeforeValidator(parse_number), Field(ge=0, le=1)]
PositiveFraction = Annotated[Decimal, BeforeValidator(parse_number), Field(gt=0, le=1)]
Factor = Annotated[Decimal, BeforeValidator(parse_number), Field(ge=0, le=10)]
Seconds = Annotated[int, BeforeValidator(parse_whole), Field(ge=0, le=86_400)]
PositiveSeconds = Annotated[int, BeforeValidator(parse_whole), Field(ge=1, le=86_400)]
FineSeconds = Annotated[Decimal, BeforeValidator(parse_number), Field(gt=0, le=3_600)]
"""Seconds with decimals."""
Days = Annotated[int, BeforeValidator(parse_whole), Field(ge=0, le=36_500)]
Count = Annotated[int, BeforeValidator(parse_whole), Field(ge=1, le=1_000_000)]
CountOrZero = Annotated[int, BeforeValidator(parse_whole), Field(ge=0, le=1_000_000)]
ChainId = Annotated[int, BeforeValidator(parse_whole), Field(ge=1)]
WeeklyTime = Annotated[str, BeforeValidator(parse_weekly_time)]
Folder = Annotated[Path, BeforeValidator(parse_folder)]
StrategyClass = Annotated[str, BeforeValidator(parse_strategy)]
OptionalFile = Annotated[Path | None, BeforeValidator(parse_optional_file)]
Address = Annotated[str, BeforeValidator(parse_address)]
HttpUrl = Annotated[str, BeforeValidator(parse_http_url)]
WsUrl = Annotated[str, BeforeValidator(parse_ws_url)]
PrivateKey = Annotated[SecretStr, BeforeValidator(parse_private_key)]
DatabaseUrl = Annotated[SecretStr, BeforeValidator(parse_database_url)]
SecretUrl = Annotated[SecretStr, BeforeValidator(parse_secret_url)]
TelegramToken = Annotated[SecretStr, BeforeValidator(parse_telegram_token)]
ChatIds = Annotated[tuple[int, ...], BeforeValidator(parse_chat_ids)]
SignatureType = Annotated[int | None, BeforeValidator(parse_signature_type)]
Token = Annotated[SecretStr, BeforeValidator(parse_token)]
ListenHost = Annotated[str, BeforeValidator(parse_host)]
HostNames = Annotated[tuple[str, ...], BeforeValidator(parse_hosts)]
Port = Annotated[int, BeforeValidator(parse_whole), Field(ge=0, le=65_535)]
Symbols = Annotated[tuple[str, ...], BeforeValidator(parse_symbols)]
Windows = Annotated[tuple[Window, ...], BeforeValidator(parse_windows)]
