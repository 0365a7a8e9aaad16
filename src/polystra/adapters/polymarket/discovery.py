"""Up/down markets from Gamma, the venue's discovery API.

What lives here: slugs, the reading of one market object, the recognition of its resolution
rule. What must not: polling, listings, opinions. A market whose rule, fee or token version we
do not know is refused in one sentence: trading it would be a guess.

Source: Polymarket docs, Gamma market fields; crypto 5 m and 15 m markets settle on the
60-second average of the Chainlink feed since 2026-08-14 00:00 UTC, ties go Up.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime
from random import Random
from types import MappingProxyType
from typing import Final

from polystra.adapters.polymarket.transport import HttpTransport, SessionFactory, default_session, json_object
from polystra.adapters.polymarket.wire import (
    JsonObject,
    as_list,
    as_object,
    decode_json,
    exact_micros,
    instant,
    integer,
    micros,
    required_text,
    text,
    truth,
)
from polystra.domain.errors import VenueProtocolError, VenueRefused
from polystra.domain.ids import ConditionId, TokenId
from polystra.domain.market import VENUE_TICKS, FeeSchedule, Market, ResolutionKind, ResolutionRule
from polystra.domain.units import NS_PER_S
from polystra.domain.windows import DAY_S, HOUR_S, WINDOW_SECONDS, close_of, eastern_s
from polystra.ports.clock import Clock

WINDOWS: Final = MappingProxyType({length: name for name, length in WINDOW_SECONDS.items()})
"""Window lengths in seconds and their names in slugs."""

COINS: Final = MappingProxyType(
    {
        "BTC": "bitcoin",
        "ETH": "ethereum",
        "SOL": "solana",
        "XRP": "xrp",
        "DOGE": "dogecoin",
        "BNB": "bnb",
        "HYPE": "hyperliquid",
        "ZEC": "zcash",
    }
)
"""What a coin is called in the slugs of windows of an hour and a day."""

AVERAGE_SINCE_S: Final = 1_786_665_600
"""2026-08-14 00:00 UTC: from here on 5 m and 15 m windows settle on the 60-second average."""

LOOKBACK_S: Final = 60
SHOWN: Final = 120

_MONTHS: Final = (
    "january",
    "february",
    "march",
    "april",
    "may",
    "june",
    "july",
    "august",
    "september",
    "october",
    "november",
    "december",
)

_AVERAGE_TEXT: Final = re.compile(
    r"\b60[- ]?s(?:ec(?:ond)?s?)?\b[^.]{0,80}(?:average|twap|mean)|(?:average|twap|mean)[^.]{0,80}\b60[- ]?s",
    re.IGNORECASE,
)
_OTHER_AVERAGE: Final = re.compile(
    r"\b(?!60\b)(\d+)[- ]?s(?:ec(?:ond)?s?)?\b[^.]{0,40}(?:average|twap)|twap-(?!60s)\d+s", re.IGNORECASE
)
_CHAINLINK: Final = re.compile(r"data\.chain\.link/streams/", re.IGNORECASE)


class GammaDiscovery:
    """`ports.venue.MarketDiscovery` over Gamma's slug lookup."""

    def __init__(self, *, base_url: str, clock: Clock, rng: Random, session: SessionFactory = default_session) -> None:
        self._transport = HttpTransport(base_url=base_url, clock=clock, rng=rng, session=session)

    async def find(self, symbol: str, window_s: int, opens_at_s: int) -> Market | None:
        """The market of one symbol ("BTC"), window and start; None when it is not listed.

        Raises:
            VenueRefused: the market exists and cannot be traded by us (rule, fee, version).
            VenueError: the question failed.
        """
        slug = slug_of(symbol, window_s, opens_at_s)
        try:
            reply = await self._transport.read(f"/markets/slug/{slug}")
        except VenueRefused as error:
            if error.status == 404:
                return None
            raise
        market = read_market(json_object(reply, "market"), symbol=symbol, window_s=window_s)
        if window_s == HOUR_S and market.slug == slug and abs(market.opens_at_s - opens_at_s) == HOUR_S:
            # Two hours of autumn have one label, so one slug: this is the other one.
            return None
        if (market.slug, market.opens_at_s) != (slug, opens_at_s):
            raise VenueProtocolError(
                f"asked for {slug}, was answered with {market.slug} opening at {market.opens_at_s}"
            )
        return market

    async def close(self) -> None:
        """Release the connections."""
        await self._transport.close()


def slug_of(symbol: str, window_s: int, opens_at_s: int) -> str:
    """Return the slug of an up/down market; raises ValueError for a window that has no such slug."""
    if window_s not in WINDOWS:
        raise ValueError(f"window_s is {window_s}, expected one of {sorted(WINDOWS)}")
    if window_s == HOUR_S:
        local = _eastern(opens_at_s)
        hour = f"{local.hour % 12 or 12}{'am' if local.hour < 12 else 'pm'}"
        return f"{_coin(symbol)}-up-or-down-{_day(local)}-{hour}-et"
    if window_s == DAY_S:
        return f"{_coin(symbol)}-up-or-down-on-{_day(_eastern(close_of(window_s, opens_at_s)))}"
    return f"{symbol.lower()}-updown-{WINDOWS[window_s]}-{opens_at_s}"


def _eastern(second: int) -> datetime:
    """US-Eastern wall-clock time, labelled UTC."""
    return datetime.fromtimestamp(eastern_s(second), UTC)


def _day(local: datetime) -> str:
    return f"{_MONTHS[local.month - 1]}-{local.day}-{local.year}"


def _coin(symbol: str) -> str:
    return COINS.get(symbol.upper(), symbol.lower())


def read_market(body: JsonObject, *, symbol: str, window_s: int) -> Market:
    """Return the market that a Gamma object describes.

    Raises:
        VenueRefused: its rule, fee schedule, outcomes or token version are not ones we trade.
        VenueProtocolError: a field cannot be read.
    """
    slug = required_text(body, "slug")
    opens_at_s = instant(body, "eventStartTime", default=0) // NS_PER_S
    closes_at_s = instant(body, "endDate", default=0) // NS_PER_S
    if opens_at_s <= 0 or closes_at_s != close_of(window_s, opens_at_s):
        raise VenueRefused(f"market {slug} runs from {opens_at_s} to {closes_at_s}, expected {window_s} seconds")
    version = required_text(body, "version") if "version" in body else "v1"
    up, down = _tokens(body, slug, version)
    return Market(
        condition_id=ConditionId(required_text(body, "conditionId")),
        slug=slug,
        symbol=symbol,
        window_s=window_s,
        opens_at_s=opens_at_s,
        closes_at_s=closes_at_s,
        up_token=up,
        down_token=down,
        tick_size=_tick(body, slug),
        minimum_size=micros(body, "orderMinSize"),
        fees=_fees(body, slug),
        rule=resolution_rule(body, slug=slug, opens_at_s=opens_at_s),
        negative_risk=truth(body, "negRisk", default=False),
        version=version,
        accepting_orders=truth(body, "acceptingOrders", default=False)
        and truth(body, "enableOrderBook", default=False)
        and not truth(body, "closed", default=False),
    )


def resolution_rule(body: JsonObject, *, slug: str, opens_at_s: int) -> ResolutionRule:
    """Return the rule in force, told by the market's configuration, its texts or the documented date.

    Raises:
        VenueRefused: none of them names the 60-second average, or one of them names another rule.
    """
    description, source = text(body, "description"), text(body, "resolutionSource")
    words = f"{source} {description}"
    config = body.get("cryptoMarketConfig")
    configured = _configured(as_object(config, "cryptoMarketConfig")) if config is not None else None
    dated = bool(_CHAINLINK.search(words)) and opens_at_s >= AVERAGE_SINCE_S
    if configured is False or _says_another(words) or not (configured or _says_average(words) or dated):
        shown = " ".join((description or source or "no text").split())[:SHOWN]
        raise VenueRefused(f"market {slug} has a resolution rule that is not known: {shown!r}; it is not traded")
    return ResolutionRule(kind=ResolutionKind.AVERAGE, lookback_s=LOOKBACK_S)


def _says_average(words: str) -> bool:
    return bool(_AVERAGE_TEXT.search(words)) or "twap-60s" in words.lower()


def _says_another(words: str) -> bool:
    return bool(_OTHER_AVERAGE.search(words))


def _configured(config: JsonObject) -> bool | None:
    """What the market's own configuration says: the 60-second average, another rule, or nothing."""
    lookback = integer(config, "twapLookbackSeconds")
    if "twapEnabled" not in config and lookback is None:
        return None
    return truth(config, "twapEnabled", default=True) and lookback == LOOKBACK_S


def _tokens(body: JsonObject, slug: str, version: str) -> tuple[TokenId, TokenId]:
    """Return the Up and the Down token, chosen by version, paired with the outcomes by index."""
    if version == "v1":
        tokens = _texts(body, "clobTokenIds")
    elif version == "v2":
        tokens = _texts(body, "positionIds")
    else:
        raise VenueRefused(f"market {slug} has version {version[:20]!r}, expected v1 or v2; it is not traded")
    outcomes = [name.strip().lower() for name in _texts(body, "outcomes")]
    if sorted(outcomes) != ["down", "up"] or len(tokens) != 2 or len(set(tokens)) != 2:
        raise VenueRefused(f"market {slug} has outcomes {outcomes} and {len(tokens)} tokens, expected Up and Down")
    if not all(token.isascii() and token.isdigit() for token in tokens):
        raise VenueProtocolError(f"market {slug} has a token id that is no decimal number")
    by_name = dict(zip(outcomes, tokens, strict=True))
    return TokenId(by_name["up"]), TokenId(by_name["down"])


def _texts(body: JsonObject, name: str) -> list[str]:
    """Return a list of texts that is an array or, as Gamma likes it, an array written in a string."""
    value = body.get(name)
    items = as_list(decode_json(value) if isinstance(value, str) and value else value or None, name)
    if not all(isinstance(item, str) for item in items):
        raise VenueProtocolError(f"{name} holds something that is no text")
    return [str(item) for item in items]


def _tick(body: JsonObject, slug: str) -> int:
    tick = micros(body, "orderPriceMinTickSize")
    if tick not in VENUE_TICKS:
        raise VenueRefused(f"market {slug} has the tick size {tick} (micro-dollars), expected one of {VENUE_TICKS}")
    return tick


def _fees(body: JsonObject, slug: str) -> FeeSchedule:
    """Return the taker fee; a market that takes fees without saying which is refused."""
    schedule = body.get("feeSchedule")
    if schedule is None:
        if truth(body, "feesEnabled", default=False):
            raise VenueRefused(f"market {slug} takes fees and has no feeSchedule; it is not traded")
        return FeeSchedule(rate_ppm=0)
    fees = as_object(schedule, "feeSchedule")
    if not truth(fees, "takerOnly", default=True):
        raise VenueRefused(f"market {slug} charges makers too, expected takerOnly; it is not traded")
    if not truth(body, "feesEnabled", default=True):
        return FeeSchedule(rate_ppm=0)
    exponent = integer(fees, "exponent")
    return FeeSchedule(rate_ppm=exact_micros(fees.get("rate"), "rate"), exponent=1 if exponent is None else exponent)
