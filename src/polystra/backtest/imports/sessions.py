"""Raw frames of several feeds in one file: `<name>.raw_messages.jsonl[.gz]`, the markets beside it in `.markets.jsonl`.

What lives here: frames `{source, recv_wall_ts, payload}` as books, level changes, settlement feed and spot. What must
not: verdicts: such a session does not tell how its markets ended.

    polymarket_clob             books (one, or a list of them) and price_change
    polymarket_rtds_chainlink   updates of the settlement feed, and the minute before that a subscription begins with
    binance                     trades: the spot price

Everything else in the file (other exchanges' tickers, news of new markets) is counted and passed over. A frame is
taken when it was received; one that is older than the frame before it, or that repeats it, is left out.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from decimal import ROUND_HALF_EVEN, Decimal
from pathlib import Path
from typing import Any, Final

import msgspec

from polystra.backtest.imports.lines import Faults, ImportReport, lines_of
from polystra.backtest.recordings.rows import Recorded
from polystra.domain.book import Level
from polystra.domain.errors import PolystraError
from polystra.domain.events import BookChanged, BookSnapshot, LevelChange, PriceSource, PriceTicked, WorldEvent
from polystra.domain.ids import ConditionId, TokenId
from polystra.domain.market import FeeSchedule, Market, ResolutionKind, ResolutionRule
from polystra.domain.orders import Side
from polystra.domain.units import E8, MICRO, NS_PER_MS, Nanos, parse_micros

_RAW: Final = ".raw_messages.jsonl"
_LAST: Final = ResolutionRule(kind=ResolutionKind.LAST, lookback_s=0)
_SIDES: Final = {"BUY": Side.BUY, "SELL": Side.SELL}
_OTHERS: Final = "frames of feeds that nothing here reads"


class _Frame(msgspec.Struct, gc=False):
    source: str
    recv_wall_ts: int
    payload: str


class _Token(msgspec.Struct):
    token_id: str
    outcome: str


class _Fees(msgspec.Struct):
    raw_fee_config: dict[str, Any]
    fees_enabled: bool = True


class _Listed(msgspec.Struct):
    slug: str
    asset: str
    condition_id: str
    outcomes: list[_Token]
    start_ts: int
    end_ts: int
    tick_size: float
    min_order_size: float
    fee_parameters: _Fees


_FRAME: Final = msgspec.json.Decoder(_Frame)
_LISTED: Final = msgspec.json.Decoder(_Listed)


def markets_beside(path: Path) -> Path:
    """Where the markets of a session are told."""
    return path.with_name(path.name.partition(_RAW)[0] + ".markets.jsonl")


def read_session(path: Path, report: ImportReport) -> tuple[list[Recorded], list[Market]]:
    """Read a session; returns its inputs in the order of time and its markets.

    Raises:
        RecordingError: one of the two files cannot be read or is empty.
    """
    markets = _markets(markets_beside(path), report)
    tokens = {token for market in markets for token in (market.up_token, market.down_token)}
    faults = Faults(report, path.name)
    found: list[Recorded] = []
    before = b""
    last_ns: Nanos = 0
    passed: Counter[str] = Counter()
    for number, line in lines_of(path, report):
        try:
            frame = _FRAME.decode(line)
            events = list(_events(frame, tokens))
        except (msgspec.MsgspecError, PolystraError, ArithmeticError, LookupError, TypeError, ValueError):
            faults.count("not a frame of such a session", number)
            continue
        now_ns = frame.recv_wall_ts * NS_PER_MS
        if now_ns < last_ns:
            faults.count("it is older than the frame before it", number)
        elif line == before:
            faults.count("it repeats the frame before it", number)
        elif not events:
            passed[frame.source] += 1
            report.left_out += 1
        else:
            report.messages += 1
            found += [Recorded(now_ns, event) for event in events]
        last_ns, before = max(last_ns, now_ns), line
    report.files += 1
    faults.tell()
    if passed:
        what = ", ".join(f"{count} of {source}" for source, count in sorted(passed.items()))
        report.notes.append(f"{path.name}: {_OTHERS} or of other markets are left out: {what}")
    return found, markets


def _markets(path: Path, report: ImportReport) -> list[Market]:
    faults = Faults(report, path.name)
    found: dict[str, Market] = {}
    for number, line in lines_of(path, report):
        try:
            market = _market(_LISTED.decode(line))
        except (msgspec.MsgspecError, PolystraError, ArithmeticError, LookupError, ValueError):
            faults.count("not a market of such a session", number)
            continue
        if market.slug in found:
            faults.count("the market is in the file already", number)
            continue
        found[market.slug] = market
        report.messages += 1
    report.files += 1
    faults.tell()
    return list(found.values())


def _market(listed: _Listed) -> Market:
    tokens = {each.outcome.lower(): TokenId(each.token_id) for each in listed.outcomes}
    rate = Decimal(str(listed.fee_parameters.raw_fee_config["rate"])) if listed.fee_parameters.fees_enabled else 0
    return Market(
        condition_id=ConditionId(listed.condition_id),
        slug=listed.slug,
        symbol=listed.asset.upper(),
        window_s=(listed.end_ts - listed.start_ts) // 1_000,
        opens_at_s=listed.start_ts // 1_000,
        closes_at_s=listed.end_ts // 1_000,
        up_token=tokens["up"],
        down_token=tokens["down"],
        tick_size=round(listed.tick_size * MICRO),
        minimum_size=round(listed.min_order_size * MICRO),
        fees=FeeSchedule(rate_ppm=int(rate * MICRO)),
        rule=_LAST,
    )


def _events(frame: _Frame, tokens: set[TokenId]) -> Iterator[WorldEvent]:
    payload = msgspec.json.decode(frame.payload)
    match frame.source:
        case "polymarket_clob":
            yield from _market_channel(payload, tokens)
        case "polymarket_rtds_chainlink":
            yield from _feed(payload)
        case "binance":
            yield from _trade(payload["data"])
        case _:
            return


def _market_channel(payload: Any, tokens: set[TokenId]) -> Iterator[WorldEvent]:  # noqa: ANN401 - decoded JSON
    for message in payload if isinstance(payload, list) else [payload]:
        if "bids" in message and "asks" in message:
            if message["asset_id"] in tokens:
                yield BookSnapshot(
                    token_id=TokenId(message["asset_id"]),
                    bids=_levels(message["bids"]),
                    asks=_levels(message["asks"]),
                    at_ns=int(message["timestamp"]) * NS_PER_MS,
                )
        elif message.get("event_type") == "price_change":
            changes = tuple(_change(each) for each in message["price_changes"] if each["asset_id"] in tokens)
            if changes:
                yield BookChanged(changes=changes, at_ns=int(message["timestamp"]) * NS_PER_MS)


def _levels(levels: list[dict[str, str]]) -> tuple[Level, ...]:
    return tuple((_price(each["price"]), _micros(each["size"])) for each in levels)


def _change(change: dict[str, str]) -> LevelChange:
    return LevelChange(
        token_id=TokenId(change["asset_id"]),
        side=_SIDES[change["side"]],
        price=_price(change["price"]),
        size=_micros(change["size"]),
        best_bid=_touch(change.get("best_bid")),
        best_ask=_touch(change.get("best_ask")),
    )


def _touch(text: str | None) -> int | None:
    """The venue writes an empty side as 0 or 1."""
    price = 0 if text is None else _micros(text)
    return price if 0 < price < MICRO else None


def _price(text: str) -> int:
    price = _micros(text)
    if not 0 < price < MICRO:
        raise ValueError(f"a price of {text} cannot be")
    return price


def _micros(text: str) -> int:
    return parse_micros(text, field="price or size")


def _feed(message: dict[str, Any]) -> Iterator[PriceTicked]:
    told = message["payload"]
    symbol = str(told["symbol"]).partition("/")[0].upper()
    if message["topic"] == "crypto_prices_chainlink":
        yield _tick(symbol, Decimal(told["full_accuracy_value"]).scaleb(-18), told["timestamp"])
    else:
        for point in told["data"]:
            yield _tick(symbol, Decimal(str(point["value"])), point["timestamp"])


def _tick(symbol: str, value: Decimal, at_ms: int, source: PriceSource = PriceSource.SETTLEMENT) -> PriceTicked:
    price = int((value * E8).to_integral_value(ROUND_HALF_EVEN))
    if price <= 0:
        raise ValueError("a price is above zero")
    return PriceTicked(symbol=symbol, source=source, price=price, at_ns=int(at_ms) * NS_PER_MS)


def _trade(data: dict[str, Any]) -> Iterator[PriceTicked]:
    symbol = str(data["s"])
    if data["e"] == "trade" and symbol.endswith("USDT"):
        yield _tick(symbol.removesuffix("USDT"), Decimal(data["p"]), data["T"], PriceSource.SPOT)
