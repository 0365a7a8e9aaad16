"""An order's state and figures in the words that users know.

What lives here: slippage, average price, times as text. What must not: statements, screens.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Final

from polystra.domain.fills import Fill, FillStatus
from polystra.domain.order_words import field_status
from polystra.domain.orders import Order, OrderTerms, Side
from polystra.domain.units import MICRO, NS_PER_MS, NS_PER_S, MicroDollars, MicroPrice, MicroShares, Nanos

_LONGEST_PART: Final = 20


def status_words(order: Order) -> str:
    """The field's word for where an order stands."""
    return field_status(order)


def rule_word(terms: OrderTerms) -> str:
    """Which rule asked for an order; its purpose in the rules' spelling where none is recorded."""
    return terms.rule or terms.purpose.lower().replace("_", "-")


def traded(fills: Iterable[Fill]) -> tuple[MicroShares, MicroDollars]:
    """Shares and cash of the fills that did not fail."""
    good = [fill for fill in fills if fill.status is not FillStatus.FAILED]
    return sum(fill.quantity for fill in good), sum(fill.cash for fill in good)


def average_price(shares: MicroShares, cash: MicroDollars) -> MicroPrice | None:
    """Cash per share, to the nearest micro-dollar; None when nothing traded."""
    return (cash * MICRO + shares // 2) // shares if shares else None


def slippage(terms: OrderTerms, average: MicroPrice | None) -> MicroPrice | None:
    """The price filled less the price planned; None when either is unknown."""
    return None if average is None or terms.planned_price is None else average - terms.planned_price


def slippage_word(terms: OrderTerms, difference: MicroPrice) -> str:
    """Tell whether a difference of prices was to our disadvantage."""
    if difference == 0:
        return "as planned"
    return "worse" if (difference > 0) is (terms.side is Side.BUY) else "better"


def moment(at_ns: Nanos) -> str:
    """A time of the run's clock: UTC, with milliseconds."""
    return f"{datetime.fromtimestamp(at_ns // NS_PER_S, UTC):%Y-%m-%d %H:%M:%S}.{at_ns % NS_PER_S // NS_PER_MS:03d}"


def hour(at_ns: Nanos) -> str:
    """The time of day of `moment`."""
    return moment(at_ns)[11:]


def request_words(method: str, path: str) -> str:
    """A request without its query and with long ids cut."""
    parts = [
        part if len(part) <= _LONGEST_PART else f"{part[:_LONGEST_PART]}…"
        for part in path.split("?", maxsplit=1)[0].split("/")
    ]
    return f"{method} {'/'.join(parts)}"


def milliseconds(duration_ns: Nanos) -> str:
    """A duration in milliseconds with one decimal, exact."""
    tenths = duration_ns // (NS_PER_MS // 10)
    return f"{tenths // 10}.{tenths % 10}"
