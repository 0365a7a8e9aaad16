"""The stories of the kill matrix and what each must come to, whenever the daemon died.

What lives here: reading the stories, judging an outcome. What must not: running them (`kill_loop`, `kill_processes`).
"""

from __future__ import annotations

from collections import Counter
from pathlib import Path

from polystra.app.book_reading import Reading
from polystra.app.report import Report, build_report
from polystra.domain.fills import FillStatus
from polystra.domain.orders import Order, OrderStatus, Side
from polystra.domain.units import format_micros
from polystra.exchange.books import ExchangeBooks
from tests.simulation.scenario_file import Scenario, load
from tests.simulation.search_end import at_the_end
from tests.simulation.search_venue import VenueEye

FOLDER = Path(__file__).with_name("stories")
STORIES = ("entry", "take-profit", "stop", "scale-in", "unfilled", "settlement")


def story(name: str) -> Scenario:
    """The scenario of a story."""
    return load(FOLDER / f"{name}.yaml")


def outcome(reading: Reading) -> str:
    """What came of it, in a few words: orders by rule, side, end and filled shares, and shares at the verdict."""
    orders = Counter(_words(order) for order in reading.account.orders)
    told = [words if count == 1 else f"{count} x {words}" for words, count in orders.items()]
    held = sum(
        fill.quantity * (1 if fill.side is Side.BUY else -1)
        for fill in reading.account.fills
        if fill.status is not FillStatus.FAILED
    )
    return f"{', '.join(told) or 'no order'}; {format_micros(held)} to the verdict"


def _words(order: Order) -> str:
    terms = order.terms
    return f"{terms.rule or terms.purpose.lower()} {order.status.lower()} {format_micros(order.filled)}"


def wrong(
    name: str, reading: Reading, left_open: tuple[str, ...], eye: VenueEye | None = None, *, paced: bool = False
) -> list[str]:
    """What must not be, in words: books that differ, an order lost or doubled, a story that came to another end.

    `paced`: in real time a wish that was not committed is not repeated, and a chance may have gone by.
    """
    report: Report = build_report(reading)
    found = at_the_end(report, reading, left_open, eye)
    found += _doubled(reading)
    by_rule: Counter[str] = Counter()
    for order in reading.account.orders:
        by_rule[order.terms.rule or order.terms.purpose.lower()] += order.filled
    bought = by_rule["manual"] + by_rule["entry"]
    if not bought and (_never_left(reading) or (paced and not reading.account.orders)):
        return found
    sold = sum(f.quantity for f in reading.account.fills if f.side is Side.SELL and f.status is not FillStatus.FAILED)
    match name:
        case "unfilled":
            found += [f"an order that nobody could fill has traded {bought}"] if bought else []
        case "take-profit" | "stop":
            rule = "take-profit" if name == "take-profit" else "stop-loss"
            found += [] if 0 < bought == sold == by_rule[rule] else [f"bought {bought}, {rule} sold {by_rule[rule]}"]
        case "scale-in":
            asked = sum(order.terms.rule == "scale-in" for order in reading.account.orders)
            added = asked == 1 or (paced and asked == 0)
            found += [] if bought > 0 and added and sold == 0 else [f"bought {bought}, sold {sold}, asked {asked}"]
        case _:
            paid = sum(p.settled_cash for p in reading.account.postings if p.kind == "REDEEMED")
            found += [] if 0 < bought == paid else [f"bought {bought} shares, paid out {paid}"]
    return found


def _never_left(reading: Reading) -> bool:
    """The death came between the wish's commit and its sending: the venue was asked and never had it."""
    rules = {order.terms.rule: order.status for order in reading.account.orders}
    return rules == {"manual": OrderStatus.REJECTED}


def _doubled(reading: Reading) -> list[str]:
    """Each intent has one order id, each trade is booked once, and the exchange has the same trades."""
    ids = Counter(reading.account.intents.values())
    found = [f"order {order_id} belongs to {count} intents" for order_id, count in ids.items() if count > 1]
    rules = Counter(order.terms.rule for order in reading.account.orders if order.filled)
    found += [f"{count} orders of rule {rule} have traded" for rule, count in rules.items() if count > 1]
    if isinstance(reading.venue, ExchangeBooks):
        ours = [account for account in reading.venue.accounts.values() if not account.house]
        there = Counter((trade.trade_id, trade.order_id) for account in ours for trade in account.trades)
        here = Counter((str(fill.trade_id), str(fill.order_id)) for fill in reading.account.fills)
        differ = [key for key in there | here if there[key] != here[key]]
        found += [f"trade {key} is {there[key]} times there and {here[key]} times here" for key in differ]
    return found
