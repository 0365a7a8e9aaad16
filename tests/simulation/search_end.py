"""What must hold when a bad day is over and everything has settled: both sides' books, and no secret on disk.

What lives here: the checks that read what a run left behind. What must not: checks after a commit
(`search_invariants`), running worlds.
"""

from __future__ import annotations

from pathlib import Path

from polystra.app.book_reading import Reading
from polystra.app.report import Report
from polystra.domain.orders import LIVE_STATUSES, OrderStatus
from tests.simulation.search_venue import VenueEye


def at_the_end(report: Report, reading: Reading, left_open: tuple[str, ...], eye: VenueEye | None = None) -> list[str]:
    """What does not hold when everything has settled."""
    eye = eye or VenueEye()
    broken = [f"I3 {words}" for words in report.discrepancies]
    broken += [f"I3 adjusted without a cause outside: {each}" for each in report.adjustments]
    broken += [f"I6 left open: {words}" for words in left_open]
    broken += [
        f"I3 position {position.position_id} is frozen"
        for position in reading.account.positions
        if position.status == "FROZEN"
    ]
    ours = {order_id: intent for intent, order_id in reading.account.intents.items()}
    broken += [f"I1 order {each} is at the venue and not in the journal" for each in eye.orders if each not in ours]
    for order in reading.account.orders:
        name = order.terms.client_order_id
        if order.status in LIVE_STATUSES:
            broken.append(f"I6 order {name} ended as {order.status}")
        if order.status is OrderStatus.REJECTED and order.order_id and eye.matched(order.order_id):
            broken.append(f"I6 order {name} is REJECTED here and traded at the venue")
        if order.order_id and eye.is_open(order.order_id):
            broken.append(f"I6 order {name} is {order.status} here and open at the venue")
    return broken


def secrets_on_disk(folder: Path, secrets: tuple[str, ...]) -> list[str]:
    """The files below a run's folder that hold a secret in clear, the exchange's own accounts excepted."""
    found = []
    for path in sorted(folder.rglob("*")):
        if path.is_file() and not path.name.startswith("exchange"):
            told = path.read_bytes()
            if any(secret.encode() in told for secret in secrets):
                found.append(f"I12 the file {path.name} holds a secret")
    return found
