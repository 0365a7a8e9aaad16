"""Windows of up/down markets: alignment, slugs and titles as the venue writes them."""

from datetime import UTC, datetime

import pytest

from polystra.exchange.assets import ASSETS, symbol_in
from polystra.exchange.schedule import close_of, eastern_offset_s, iso, next_open, slug_of, title_of

BTC = ASSETS["BTC"]


def at(text: str) -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp())


def test_five_minute_slug_and_title_match_the_venue() -> None:
    opens = at("2026-03-12T09:20:00")
    assert slug_of(BTC, "5m", opens) == "btc-updown-5m-1773307200"
    assert title_of(BTC, "5m", opens) == "Bitcoin Up or Down - March 12, 5:20AM-5:25AM ET"
    assert iso(opens) == "2026-03-12T09:20:00Z"


@pytest.mark.parametrize(("window", "length"), [("5m", 300), ("15m", 900), ("1h", 3_600)])
def test_short_windows_are_multiples_of_their_length(window: str, length: int) -> None:
    opens = next_open(window, 1_773_307_201)
    assert opens % length == 0
    assert 0 < opens - 1_773_307_201 < length
    assert next_open(window, opens) == opens
    assert close_of(window, opens) == opens + length


@pytest.mark.parametrize(
    ("day", "opens"), [("2026-07-01", "2026-07-01T12:00:00"), ("2026-12-01", "2026-12-01T13:00:00")]
)
def test_four_hour_windows_follow_eastern_midnight(day: str, opens: str) -> None:
    assert next_open("4h", at(f"{day}T09:30:00")) == at(opens)
    assert close_of("4h", at(opens)) == at(opens) + 4 * 3_600


def test_daily_windows_run_from_noon_to_noon_eastern() -> None:
    opens = next_open("1d", at("2026-07-01T00:00:00"))
    assert opens == at("2026-07-01T16:00:00")
    assert slug_of(BTC, "1d", opens) == "bitcoin-up-or-down-on-july-2-2026"
    assert title_of(BTC, "1d", opens) == "Bitcoin Up or Down on July 2?"


def test_hourly_slug_names_the_eastern_hour() -> None:
    assert slug_of(ASSETS["ETH"], "1h", at("2026-07-01T16:00:00")) == "ethereum-up-or-down-july-1-2026-12pm-et"
    assert title_of(BTC, "1h", at("2026-07-01T04:00:00")) == "Bitcoin Up or Down - July 1, 12AM ET"


@pytest.mark.parametrize(
    ("moment", "hours"),
    [
        ("2026-03-08T06:59:59", -5),
        ("2026-03-08T07:00:00", -4),
        ("2026-11-01T05:59:59", -4),
        ("2026-11-01T06:00:00", -5),
    ],
)
def test_daylight_saving_starts_and_ends_on_the_legal_second(moment: str, hours: int) -> None:
    assert eastern_offset_s(at(moment)) == hours * 3_600


@pytest.mark.parametrize(
    ("text", "symbol"),
    [("btc/usd", "BTC"), ("ETHUSDT_1m.csv", "ETH"), ("chainlink_solusd_1hz", "SOL"), ("prices.csv", None)],
)
def test_finds_the_coin_in_a_name(text: str, symbol: str | None) -> None:
    assert symbol_in(text) == symbol
