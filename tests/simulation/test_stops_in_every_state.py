"""A stop in each state under each policy of ON_SHUTDOWN: the last line is what the exchange holds, no more, no less."""

from __future__ import annotations

import re
from collections import Counter
from decimal import Decimal
from pathlib import Path
from typing import Final

import pytest

from polystra.domain.units import MICRO
from polystra.exchange.books import AccountBooks
from tests.simulation.scenario_file import load
from tests.simulation.scenario_runner import Played, play

EXITS: Final = '{TAKE_PROFIT_PERCENT: "20", STOP_LOSS_PERCENT: "20"}'
STATES: Final = {
    "idle": "settings: {settings}\nwhen: {10: stop by {mode}}",
    "entry in flight": "settings: {settings}\nwhen: {10: enter 20 up at 48, 10.01: stop by {mode}}",
    "entry resting, partly filled": (
        "settings: {settings}\nwhen: {10: enter 20 up at 48, 20: other sells 8 up at 48, 40: stop by {mode}}"
    ),
    "position with its take-profit resting": (
        "settings: {settings}\nwhen: {10: enter 20 up at 52, 60: stop by {mode}}"
    ),
    "position with part of its take-profit taken": (
        "settings: {settings}\nwhen: {10: enter 20 up at 52, 60: other buys 7 up at 63, 90: stop by {mode}}"
    ),
    "position with watched exits": (
        'settings: {TAKE_PROFIT_PERCENT: "20", STOP_LOSS_PERCENT: "20", EXIT_MODE: monitor}\n'
        "when: {10: enter 20 up at 52, 60: stop by {mode}}"
    ),
    "stop selling through a thin book": (
        'settings: {ENABLE_TAKE_PROFIT: "NO", STOP_LOSS_PERCENT: "20"}\nverdict: down\n'
        "when: {10: enter 20 up at 52, 60.6: stop by {mode}}"
    ),
    "order in doubt": (
        "settings: {settings}\nfaults: [{fault: reply_dropped, where: {method: POST, path: /order}, nth: 1}]\n"
        "when: {10: enter 20 up at 48, 10.4: stop by {mode}}"
    ),
    "order in doubt whose fate nobody tells in time": (
        "settings: {settings}\nfaults:\n"
        "  - {fault: reply_dropped, where: {method: POST, path: /order}, nth: 1}\n"
        "  - {fault: request_dropped, where: {method: GET}, from: 10, count: 300}\n"
        "  - {fault: request_dropped, where: {method: DELETE}, from: 10, count: 300}\n"
        "  - {fault: message_dropped, where: {stream: user}, from: 10, count: 300}\n"
        "when: {10: enter 20 up at 48, 10.4: stop by {mode}}"
    ),
    "window over, verdict awaited": (
        "settings: {settings}\nverdict: up\nwhen: {10: enter 20 up at 52, 304: stop by {mode}}"
    ),
    "purchase matched and not on chain": ("settings: {settings}\nwhen: {10: enter 20 up at 52, 10.4: stop by {mode}}"),
    "purchase whose settlement takes longer than the stop": (
        "settings: {settings}\nfaults: [{fault: trade_late, with: {seconds: 120}}]\n"
        "when: {10: enter 20 up at 52, 20: stop by {mode}}"
    ),
}
CALM: Final = "quotes: {0: 49 x 500 | 51 x 500}"
LOW: Final = "quotes: {0: 49 x 500 | 51 x 500, 5: 40 x 500 | 51 x 500}"
HIGH: Final = "quotes: {0: 49 x 500 | 51 x 500, 30: 49 x 500 | 70 x 500}"
THIN: Final = "quotes: {0: 49 x 500 | 51 x 500, 60: 40 x 5 + 39 x 5 | 42 x 500}"
QUOTES: Final = {"entry": LOW, "order": LOW, "part of its take-profit": HIGH, "thin": THIN}
"""By words in the state's name; the others have the calm book."""
UNSOLD: Final = ("thin", "longer", "nobody tells", "awaited")
"""What even `flatten` cannot sell, or not wholly, in its time."""
_ORDER: Final = re.compile(r"(\w+) (\w+) (BUY|SELL) ([\d.]+) at ([\d.]+) \((0x\w+)\)")
_OVER: Final = re.compile(r"([\d.]+) shares in \S+: its window is over")
_SHARES: Final = re.compile(
    r"([\d.]+) shares in (\S+): (?:(all)|([\d.]+)) offered by resting exits(?:, ([\d.]+) without any exit)?"
)


def stopped(state: str, mode: str, folder: Path) -> tuple[Played, AccountBooks]:
    """Play a state to its stop; how it went and what the exchange holds for the account then."""
    quotes = next((quotes for words, quotes in QUOTES.items() if words in state), CALM)
    text = STATES[state].replace("{settings}", EXITS).replace("{mode}", mode)
    path = folder / "stop.yaml"
    path.write_text(f'title: "{state}"\n{quotes}\n{text}\nthen: {{}}\n')
    played = play(load(path), folder / "data")
    assert played.broken == ()
    assert played.reading.venue is not None
    [account] = [each for each in played.reading.venue.accounts.values() if not each.house]
    return played, account


def micros(text: str) -> int:
    return int(Decimal(text) * MICRO)


@pytest.mark.parametrize("mode", ["keep_exits", "cancel_all", "flatten"])
@pytest.mark.parametrize("state", STATES)
def test_what_is_said_to_be_left_is_what_the_exchange_holds(state: str, mode: str, tmp_path: Path) -> None:
    played, account = stopped(state, mode, tmp_path)
    left = played.summary.left_open
    said = {m[6]: (m[1], m[3], micros(m[4])) for m in map(_ORDER.match, left) if m}
    there = {order.order_id: (order.side, order.remaining) for order in account.open_orders}
    doubted = {key for key, (status, *_) in said.items() if status != "OPEN"}
    assert {key: rest for key, (_, *rest) in said.items() if key not in doubted} == {
        key: list(order) for key, order in there.items() if key not in doubted
    }, left
    assert bool(doubted) == ("nobody tells" in state)
    held = Counter(account.tokens) + Counter(account.pending_tokens)
    positions = [m for m in map(_SHARES.match, left) if m]
    over = [m for m in map(_OVER.match, left) if m]
    assert sum(micros(m[1]) for m in (*positions, *over)) == sum(held.values()), left
    offered = sum(remaining for side, remaining in there.values() if side == "SELL")
    if not over:
        assert sum(micros(m[1]) if m[3] else micros(m[4]) for m in positions) == offered, left
    assert all("no stop is armed while the daemon is down" in m.string for m in positions)
    stay = [order for order in account.open_orders if mode != "keep_exits" or order.side == "BUY"]
    assert {order.order_id for order in stay} <= doubted
    if mode == "flatten" and not any(
        words in state for words in ("thin", "longer", "nobody tells", "awaited", "winnings")
    ):
        assert sum(held.values()) == 0
        assert left == ()
    if state == "idle":
        assert left == ()


def test_the_states_are_what_their_names_say(tmp_path: Path) -> None:
    """Else the matrix would prove nothing: what each leaves under keep_exits, in the words of the line."""
    left = {}
    for number, state in enumerate(STATES):
        folder = tmp_path / str(number)
        folder.mkdir()
        left[state] = "; ".join(stopped(state, "keep_exits", folder)[0].summary.left_open)
    assert left["entry in flight"] == ""
    assert "8 shares" in left["entry resting, partly filled"]
    assert "OPEN TAKE_PROFIT SELL 20 at" in left["position with its take-profit resting"]
    assert "all offered by resting exits" in left["position with its take-profit resting"]
    assert "OPEN TAKE_PROFIT SELL 13 at" in left["position with part of its take-profit taken"]
    assert "0 offered by resting exits, 20 without any exit at the venue" in left["position with watched exits"]
    assert "the venue may have it or not" in left["order in doubt whose fate nobody tells in time"]
    assert "its window is over" in left["window over, verdict awaited"]
    assert "20 without any exit" in left["purchase whose settlement takes longer than the stop"]
