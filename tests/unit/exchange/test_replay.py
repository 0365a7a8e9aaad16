"""A recorded window inside the exchange: its book, its winner, and a client between its orders."""

import gzip
import json
import os
import random
from pathlib import Path
from typing import Any

import pytest

from polystra.domain.errors import ConfigError
from polystra.domain.units import MICRO, NS_PER_MS, NS_PER_S
from polystra.exchange.core import BookTraded, CoreEvent, ExchangeCore, PlaceRequest
from polystra.exchange.recording import load_recording
from polystra.exchange.replay import replaying
from polystra.exchange.simulation import BuiltInConfig, Simulation

SHARED = Path(os.environ.get("POLYSTRA_SHARED", Path(__file__).parents[4] / "shared"))
RECORDED = SHARED / "data" / "market_ws" / "btc5m_full_depth"
OPENS_S = 1_776_257_100
SLUG = f"btc-updown-5m-{OPENS_S}"
UP_ID, DOWN_ID = "11", "22"
CLIENT = "0x" + "c1" * 20

needs_recordings = pytest.mark.skipif(not RECORDED.is_dir(), reason=f"no recordings at {RECORDED}")


class Hall:
    """An exchange that plays one recorded window, with one client."""

    def __init__(self, path: Path) -> None:
        self.config = replaying(BuiltInConfig(seed=3), load_recording(path))
        self.core = ExchangeCore(rng=random.Random(1))
        self.simulation = Simulation(self.config, self.core)
        self.events: list[CoreEvent] = []
        self.core.add_listener(self.events.append)
        self.simulation.run_due(self.simulation.start_ns)
        (self.market,) = self.simulation.world.markets()
        self.core.create_key(CLIENT, 0)
        self.now_ns = self.simulation.start_ns

    def run_to(self, at_ns: int) -> None:
        self.now_ns = at_ns
        self.simulation.run_due(at_ns)

    def book(self) -> tuple[dict[int, int], dict[int, int]]:
        bids, asks = self.core.depth(self.market.spec.up_token)
        return dict(bids), dict(asks)

    def buy(self, price: int, size: int, *, up: bool = True) -> int:
        """Send a GTC buy; returns what it got at once."""
        token = self.market.spec.up_token if up else self.market.spec.down_token
        request = PlaceRequest.limit(token, "BUY", price=price, size=size)
        return self.core.place(CLIENT, request, self.now_ns).taking_amount

    def held(self) -> int:
        return self.core.outstanding(self.market.spec.up_token)


def micros(text: str) -> int:
    whole, _, part = text.partition(".")
    return int(whole or "0") * MICRO + int(part.ljust(6, "0"))


def in_up_terms(message: dict[str, Any], up_token: str) -> tuple[dict[int, int], dict[int, int]]:
    """Read a recorded snapshot, mirrored when it is the other outcome's; our own reading, not the loader's."""
    bids = {micros(entry["price"]): micros(entry["size"]) for entry in message["bids"]}
    asks = {micros(entry["price"]): micros(entry["size"]) for entry in message["asks"]}
    if message["asset_id"] == up_token:
        return bids, asks
    return {MICRO - price: size for price, size in asks.items()}, {MICRO - price: size for price, size in bids.items()}


def written(folder: Path, *messages: dict[str, Any], winner: str = "Up", offset_s: int = 2) -> Path:
    """Write a small recording with one message per second."""
    path = folder / f"{SLUG}.book.jsonl.gz"
    stamped = [
        {"msg": {"timestamp": str((OPENS_S + offset_s + place) * 1_000), **message}}
        for place, message in enumerate(messages)
    ]
    path.write_bytes(gzip.compress("\n".join(json.dumps(line) for line in stamped).encode()))
    head = "slug,up_token,down_token,open_price,close_price,winner\n"
    close = "70010.5" if winner == "Up" else "69989.5"
    (folder / "windows.csv").write_text(f"{head}{SLUG},{UP_ID},{DOWN_ID},70000.25,{close},{winner}\n")
    return path


def book(bids: list[tuple[str, str]], asks: list[tuple[str, str]], asset_id: str = UP_ID) -> dict[str, Any]:
    sides = {"bids": bids, "asks": asks}
    levels = {name: [{"price": price, "size": size} for price, size in side] for name, side in sides.items()}
    return {"event_type": "book", "asset_id": asset_id, **levels}


START = book([("0.48", "30"), ("0.50", "12.345678")], [("0.54", "10"), ("0.52", "25")])


@needs_recordings
@pytest.mark.parametrize("slug", ["btc-updown-5m-1776257100", "btc-updown-5m-1776258000", "btc-updown-5m-1776326700"])
def test_the_book_equals_the_recorded_one(slug: str) -> None:
    path = RECORDED / f"{slug}.book.jsonl.gz"
    hall = Hall(path)
    table = (RECORDED / "windows.csv").read_text().splitlines()
    columns = table[0].split(",")
    row = dict(zip(columns, next(line for line in table if f",{slug}," in line).split(","), strict=True))
    lines = gzip.decompress(path.read_bytes()).splitlines()
    compared = 0
    stamps = [int(json.loads(line)["msg"]["timestamp"]) for line in lines]
    for place in range(50, len(lines), 97):
        if stamps[place] >= hall.market.spec.closes_at_s * 1_000:
            break
        if max(stamps[: place + 1]) > stamps[place] or stamps[place + 1 : place + 2] == [stamps[place]]:
            continue  # several messages of one instant, or one out of order: the last one counts
        hall.run_to(stamps[place] * NS_PER_MS)
        assert hall.book() == in_up_terms(json.loads(lines[place])["msg"], row["up_token"]), stamps[place]
        compared += 1
    assert compared >= 20
    hall.run_to((hall.market.spec.closes_at_s + 30) * NS_PER_S)
    assert hall.core.market(hall.market.spec.condition_id).winner == row["winner"]


@needs_recordings
def test_every_recorded_window_can_be_played_and_gives_its_winner() -> None:
    paths = sorted(RECORDED.glob("*.book.jsonl.gz"))[::9]
    for path in paths:
        hall = Hall(path)
        spec, prices = hall.market.spec, hall.simulation.paths["BTC"]
        up_won = prices.average(spec.opens_at_s) <= prices.average(spec.closes_at_s)
        assert hall.config.replay is not None
        assert up_won == hall.config.replay.up_won, path.name


def test_what_a_client_takes_stays_taken_until_the_recording_moves(tmp_path: Path) -> None:
    hall = Hall(
        written(
            tmp_path,
            START,
            book([("0.48", "31"), ("0.50", "12.345678")], [("0.54", "10"), ("0.52", "25")]),
            book([("0.48", "31"), ("0.50", "12.345678")], [("0.54", "10"), ("0.52", "26")]),
        )
    )
    hall.run_to((OPENS_S + 2) * NS_PER_S)
    assert hall.book() == ({480_000: 30_000_000, 500_000: 12_345_678}, {520_000: 25_000_000, 540_000: 10_000_000})
    assert hall.buy(520_000, 20_000_000) == 20_000_000
    hall.run_to((OPENS_S + 3) * NS_PER_S)
    assert hall.book()[1][520_000] == 5_000_000
    hall.run_to((OPENS_S + 4) * NS_PER_S)
    assert hall.book()[1][520_000] == 26_000_000


def test_a_book_that_moves_through_a_clients_order_fills_it(tmp_path: Path) -> None:
    hall = Hall(written(tmp_path, START, book([("0.40", "50")], [("0.49", "7"), ("0.52", "25")])))
    hall.run_to((OPENS_S + 2) * NS_PER_S)
    assert hall.buy(510_000, 5_000_000) == 0
    assert hall.book()[0][510_000] == 5_000_000
    hall.run_to((OPENS_S + 3) * NS_PER_S)
    assert hall.held() == 5_000_000
    assert hall.book() == ({400_000: 50_000_000}, {490_000: 2_000_000, 520_000: 25_000_000})


def test_both_outcomes_and_price_changes_describe_one_book(tmp_path: Path) -> None:
    flat = {"event_type": "price_change", "asset_id": DOWN_ID, "price": "0.49", "size": "3.5", "side": "BUY"}
    current = {
        "event_type": "price_change",
        "price_changes": [
            {"asset_id": UP_ID, "price": "0.5", "size": "0", "side": "BUY"},
            {"asset_id": DOWN_ID, "price": "0.5", "size": "0", "side": "SELL"},
        ],
    }
    mirrored = book([("0.48", "25")], [("0.52", "30")], DOWN_ID)
    hall = Hall(written(tmp_path, START, flat, current, mirrored))
    hall.run_to((OPENS_S + 3) * NS_PER_S)
    assert hall.book()[1][510_000] == 3_500_000
    hall.run_to((OPENS_S + 4) * NS_PER_S)
    assert hall.book() == ({480_000: 30_000_000}, {510_000: 3_500_000, 520_000: 25_000_000, 540_000: 10_000_000})
    hall.run_to((OPENS_S + 5) * NS_PER_S)
    assert hall.book() == ({480_000: 30_000_000}, {520_000: 25_000_000})


def test_recorded_trades_are_made_against_the_book(tmp_path: Path) -> None:
    bought = {"event_type": "last_trade_price", "asset_id": UP_ID, "price": "0.52", "size": "4", "side": "BUY"}
    sold = {"event_type": "last_trade_price", "asset_id": UP_ID, "price": "0.50", "size": "2.345678", "side": "SELL"}
    after = book([("0.48", "30"), ("0.50", "10")], [("0.54", "10"), ("0.52", "21")])
    hall = Hall(written(tmp_path, START, bought, sold, after))
    hall.run_to((OPENS_S + 4) * NS_PER_S)
    traded = [(e.price, e.size) for e in hall.events if isinstance(e, BookTraded)]
    assert traded == [(520_000, 4_000_000), (500_000, 2_345_678)]
    expected = ({480_000: 30_000_000, 500_000: 10_000_000}, {520_000: 21_000_000, 540_000: 10_000_000})
    assert hall.book() == expected
    events = len(hall.events)
    hall.run_to((OPENS_S + 5) * NS_PER_S)
    assert hall.book() == expected
    assert not [e for e in hall.events[events:] if isinstance(e, BookTraded)]


def test_the_tick_gets_finer_with_the_recording(tmp_path: Path) -> None:
    hall = Hall(written(tmp_path, START, book([("0.972", "5")], [("0.985", "4.5")])))
    hall.run_to((OPENS_S + 3) * NS_PER_S)
    assert hall.book() == ({972_000: 5_000_000}, {985_000: 4_500_000})
    assert hall.core.market(hall.market.spec.condition_id).tick_size == 1_000


@pytest.mark.parametrize("winner", ["Up", "Down"])
def test_the_window_stands_alone_at_its_time_and_the_recorded_side_wins(tmp_path: Path, winner: str) -> None:
    hall = Hall(written(tmp_path, START, book([("0.90", "5")], [("0.95", "5")]), winner=winner))
    spec = hall.market.spec
    assert (spec.slug, spec.opens_at_s, spec.closes_at_s) == (SLUG, OPENS_S, OPENS_S + 300)
    hall.run_to((OPENS_S + 340) * NS_PER_S)
    assert hall.core.market(spec.condition_id).winner == winner
    assert [market.spec.slug for market in hall.simulation.world.markets()] == [SLUG]
    assert hall.book() == ({}, {})
    assert hall.core.total_money() == Hall(tmp_path / f"{SLUG}.book.jsonl.gz").core.total_money()


@pytest.mark.parametrize(
    ("name", "content", "table", "named"),
    [
        ("other.jsonl", b"{}", "slug\n", "says no window"),
        (f"{SLUG}.book.jsonl", b"{}", None, "windows.csv"),
        (f"{SLUG}.book.jsonl", b"{}", "slug,winner\nelse,Up\n", "no row"),
        (f"{SLUG}.book.jsonl", b"{}", f"slug,up_token,winner\n{SLUG},11,\n", "no winner"),
        (f"{SLUG}.book.jsonl", b"not json", f"slug,up_token,winner\n{SLUG},11,Up\n", "line 1"),
        (f"{SLUG}.book.jsonl", b"", f"slug,up_token,winner\n{SLUG},11,Up\n", "no message"),
        (f"{SLUG}.book.jsonl", b'{"asset_id":"11"}', f"slug,up_token,winner\n{SLUG},11,Up\n", "line 1"),
        (f"{SLUG}.book.jsonl.gz", b"\x1f\x8bxx", f"slug,up_token,winner\n{SLUG},11,Up\n", "cannot be read"),
    ],
)
def test_a_wrong_file_is_refused_in_one_sentence(
    tmp_path: Path, name: str, content: bytes, table: str | None, named: str
) -> None:
    (tmp_path / name).write_bytes(content)
    if table is not None:
        (tmp_path / "windows.csv").write_text(table)
    with pytest.raises(ConfigError, match=named) as caught:
        load_recording(tmp_path / name)
    assert "\n" not in str(caught.value)
