"""Reading both sides for a report: our database, and the built-in exchange's books.

What lives here: where each side is found (file or control endpoint), and readings that belong
together. What must not: comparing, showing.
"""

from __future__ import annotations

import http.client
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

import msgspec

from polystra.adapters.store.account_reading import AccountReading, is_in_use, read_account
from polystra.app.own_books import OwnBooks
from polystra.app.reconciliation import discrepancies
from polystra.app.settings import Mode, Settings
from polystra.domain.errors import ConfigError
from polystra.exchange.books import ExchangeBooks, read_books

_ATTEMPTS: Final = 5
_TIMEOUT_S: Final = 10.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """Both sides at about the same moment; `venue` is None where there is no built-in exchange (live)."""

    account: AccountReading
    own: OwnBooks
    venue: ExchangeBooks | None
    venue_name: str


def database_url(settings: Settings) -> str:
    """The database's URL with its password."""
    return settings.resolved_database_url.get_secret_value()


def read_both(settings: Settings) -> Reading:
    """Read the exchange's books and then ours.

    While a daemon runs, trades may fall between the two readings: they are repeated until they
    agree, at most five times.

    Raises:
        ConfigError: the exchange's books cannot be read.
        StoreError: our database cannot be read.
    """
    url = database_url(settings)
    reading = _read_once(settings, url)
    for _ in range(_ATTEMPTS - 1):
        if not is_in_use(url) or not discrepancies(reading.own, reading.venue):
            break
        reading = _read_once(settings, url)
    return reading


def _read_once(settings: Settings, url: str) -> Reading:
    try:
        venue, name = _venue(settings)
    except ConfigError:
        read_account(url)  # where our own database is missing too, that is the first thing to say
        raise
    account = read_account(url)
    return Reading(account=account, own=own_books(account), venue=venue, venue_name=name)


def own_books(account: AccountReading) -> OwnBooks:
    """The part of a reading that is compared."""
    return OwnBooks(
        mode=account.mode,
        account=account.account,
        orders=account.orders,
        intents=account.intents,
        fills=account.fills,
        postings=account.postings,
        positions=account.positions,
        settlements=account.settlements,
        balances=account.balances,
        last_entry_ns=account.last_entry_ns,
    )


def _venue(settings: Settings) -> tuple[ExchangeBooks | None, str]:
    if settings.mode is Mode.LIVE:
        return None, "themselves (the venue keeps no books that can be read)"
    if settings.mode is Mode.PAPER:
        return None, "themselves (a paper account exists in them alone)"
    clob_url = settings.url("clob_url")
    if clob_url:
        return fetch_books(clob_url), f"the exchange at {urlsplit(clob_url).netloc}"
    path = Path(settings.data_dir) / "exchange-sim.db"
    return read_books(path), f"the exchange's books {path}"


def fetch_books(clob_url: str) -> ExchangeBooks:
    """Ask a running built-in exchange for its books.

    Raises:
        ConfigError: nobody answers, or it is not a built-in exchange.
    """
    parts = urlsplit(clob_url)
    remedy = "start it with `polystra exchange`, or empty CLOB_URL to read the books of the one that is built in"
    make = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
    connection = make(parts.hostname or "", parts.port, timeout=_TIMEOUT_S)
    try:
        connection.request("GET", "/control/books")
        reply = connection.getresponse()
        body = reply.read()
    except (OSError, http.client.HTTPException) as error:
        raise ConfigError(
            f"CLOB_URL: no exchange answers at {parts.netloc} ({type(error).__name__}); {remedy}"
        ) from error
    finally:
        connection.close()
    if reply.status != http.HTTPStatus.OK:
        raise ConfigError(
            f"CLOB_URL: {parts.netloc} shows no books (HTTP {reply.status}), so it is not a built-in exchange; {remedy}"
        )
    try:
        return msgspec.json.decode(body, type=ExchangeBooks)
    except msgspec.MsgspecError as error:
        raise ConfigError(f"CLOB_URL: the books of {parts.netloc} cannot be read ({error}); {remedy}") from error
