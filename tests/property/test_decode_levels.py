"""The quick reading of price changes understands and refuses exactly what the slow one does."""

from __future__ import annotations

from decimal import Decimal

import msgspec
from hypothesis import example, given
from hypothesis import strategies as st

from polystra.adapters.polymarket import decode_levels, wire
from polystra.adapters.polymarket.decode_levels import Unfit, book_message
from polystra.adapters.polymarket.decode_market import market_events
from polystra.adapters.polymarket.wire import decode_json, exact_micros, plain_micros
from polystra.domain.errors import VenueProtocolError

NOW_NS = 1_800_000_000_000_000_000

plain = st.from_regex(r"(0{0,3}[0-9]{0,12})(\.[0-9]{0,6})?", fullmatch=True).filter(lambda text: text.strip("."))
numbers = st.one_of(
    plain,
    st.sampled_from(["0.48", ".48", "1", "0", "0.0000001", "0.5000000", "-0.1", "+0.1", "1e-1", "", "NaN", "٣", "1_0"]),
    st.floats(0, 2).map(repr),
)
odd = st.one_of(numbers, st.none(), st.integers(0, 2), st.floats(0, 1), st.booleans())
instants = st.one_of(
    st.integers(10**12, 2 * 10**12).map(str),
    st.sampled_from(["1757908892351", "1757908892", "0001757908892351", "", "2026-01-01T00:00:00Z", 1757908892351]),
)


@st.composite
def levels(draw: st.DrawFn) -> dict[str, object]:
    level = {
        "asset_id": draw(st.sampled_from(["7" * 77, "8", "", 5])),
        "price": draw(odd),
        "size": draw(odd),
        "side": draw(st.sampled_from(["BUY", "SELL", "buy", "HOLD", None])),
        "best_bid": draw(odd),
        "best_ask": draw(odd),
        "hash": "x",
    }
    return {name: level[name] for name in level if draw(st.integers(0, 19))}


@st.composite
def sides(draw: st.DrawFn) -> object:
    listed = st.lists(st.fixed_dictionaries({"price": odd, "size": odd}), max_size=3)
    return draw(st.one_of(listed, listed, listed, st.none(), st.just("x")))


@st.composite
def messages(draw: st.DrawFn) -> dict[str, object]:
    kinds = ["price_change"] * 8 + ["book"] * 8 + ["last_trade_price", "best_bid_ask", "", None, 3]
    message = {
        "event_type": draw(st.sampled_from(kinds)),
        "market": "0x1",
        "asset_id": draw(st.sampled_from(["9", ""])),
        "price_changes": draw(st.one_of(st.lists(levels(), max_size=3), st.none())),
        "bids": draw(sides()),
        "asks": draw(sides()),
        "tick_size": draw(st.one_of(odd, st.just("0.01"))),
        "timestamp": draw(instants),
    }
    return {name: message[name] for name in message if draw(st.integers(0, 19))}


@given(plain)
@example("0.1")
@example("5.")
@example(".000001")
def test_plain_text_is_read_exactly(text: str) -> None:
    assert plain_micros(text) == Decimal(text) * 1_000_000


@given(st.one_of(numbers, st.text(max_size=12)))
def test_text_that_is_not_plain_is_left_to_the_other_reading(text: str) -> None:
    quick = plain_micros(text)
    if quick is not None:
        assert quick == exact_micros(text, "size")


@given(messages())
def test_what_is_read_quickly_is_what_is_read_slowly(message: dict[str, object]) -> None:
    frame = msgspec.json.encode(message)
    try:
        found = book_message(frame)
    except Unfit:
        return
    assert market_events(decode_json(frame), NOW_NS) == ([] if found is None else [found])  # type: ignore[arg-type]


@given(st.lists(st.tuples(plain, plain), min_size=1, max_size=3), st.sampled_from(["BUY", "SELL"]))
def test_the_shape_that_the_venue_sends_is_read_quickly_unless_the_slow_reading_refuses_it(pairs, side) -> None:
    message = {
        "event_type": "price_change",
        "market": "0x1",
        "price_changes": [
            {"asset_id": "7", "price": price, "size": size, "side": side, "best_bid": price, "best_ask": "1"}
            for price, size in pairs
        ],
        "timestamp": "1757908892351",
    }
    try:
        slowly = market_events(message, NOW_NS)
    except VenueProtocolError:
        slowly = []
    try:
        quickly = book_message(msgspec.json.encode(message).decode())
    except Unfit:
        quickly = None
    assert [quickly] == slowly if slowly else quickly is None


@given(st.lists(st.tuples(plain, plain), max_size=4), st.sampled_from(["", "0.01", "0.001"]))
def test_a_book_in_the_shape_that_the_venue_sends_is_read_quickly_unless_the_slow_reading_refuses_it(
    pairs, tick
) -> None:
    listed = [{"price": price, "size": size} for price, size in pairs]
    message = {
        "event_type": "book",
        "asset_id": "7",
        "bids": listed,
        "asks": listed[:1],
        "timestamp": "1757908892351",
        "tick_size": tick,
    }
    try:
        slowly = market_events(message, NOW_NS)
    except VenueProtocolError:
        slowly = []
    try:
        quickly = book_message(msgspec.json.encode(message))
    except Unfit:
        quickly = None
    assert [quickly] == slowly if slowly else quickly is None


def test_texts_that_are_remembered_are_forgotten_when_they_are_too_many() -> None:
    for number in range(decode_levels._REMEMBERED + 2):
        assert decode_levels._SIZES[f"{number}.5"] == number * 1_000_000 + 500_000
    assert len(decode_levels._SIZES) <= decode_levels._REMEMBERED


@given(st.one_of(numbers, st.text("0123456789.+-e ", max_size=14)), st.sampled_from([0, 6, 8, 9]))
@example("0." + "0" * 40, 6)
@example("1" * 41, 0)
def test_a_number_of_any_scale_is_read_as_decimal_reads_it(text: str, digits: int) -> None:
    try:
        scaled, exact = wire._scaled(text, digits, "size")
    except VenueProtocolError:
        return
    number = Decimal(text) * 10**digits
    assert (scaled, exact) == (int(number), number == int(number))


@given(st.one_of(st.integers(0, 10**14), st.integers(10**12, 10**13 - 1)))
def test_an_instant_in_digits_is_told_as_its_number_is(number: int) -> None:
    assert wire.parse_instant(str(number), "timestamp") == wire.parse_instant(number, "timestamp")
