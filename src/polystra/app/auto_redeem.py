"""Whether winnings come back by themselves: what our own books show of it.

What lives here: one check for `polystra doctor`. What must not: redeeming, which this program never does.

The venue redeems for an account whose owner has approved its operator contract (Polymarket CLOB docs, redemption
and notification 9). Neither its API nor the contract's address, which is not published, lets that approval be read,
so that it is judged by what happened: claims that became cash, and claims that wait.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from polystra.adapters.store.account_reading import read_account
from polystra.app.book_reading import database_url
from polystra.app.checks import Check, passed, unchecked, warned
from polystra.app.settings import Settings
from polystra.app.worlds import database_path
from polystra.domain.errors import StoreError
from polystra.domain.ids import TokenId
from polystra.domain.ledger import Posting
from polystra.domain.units import NS_PER_S, MicroDollars, Nanos, format_micros

NAME: Final = "auto-redeem"
LATE_S: Final = 3_600
"""A claim that waits longer is not redeemed by itself: the venue's operator takes minutes."""
_WHERE: Final = "its switch is in the settings of the venue's website"


@dataclass(frozen=True, slots=True)
class Redemptions:
    """Claims of an account: how many were paid, the longest that one of them took, and what waits since when."""

    paid: int
    slowest_ns: Nanos
    waiting: MicroDollars
    oldest_ns: Nanos


def check_auto_redeem(settings: Settings, now_ns: Nanos) -> Check:
    """Judge by our own books; nothing is asked of the venue."""
    path = database_path(settings)
    if path is not None and not path.exists():
        return unchecked(NAME, f"there are no books yet; {_WHERE}")
    try:
        account = read_account(database_url(settings))
    except StoreError as error:
        return unchecked(NAME, f"the books cannot be read: {error}")
    newest_ns = now_ns if settings.listens_to_venue else account.last_entry_ns
    return judge(redemptions(account.postings), newest_ns)


def redemptions(postings: Iterable[Posting]) -> Redemptions:
    """Follow each token's claim from the verdict to its cash."""
    claims: dict[TokenId, tuple[MicroDollars, Nanos]] = {}
    paid, slowest = 0, 0
    for posting in postings:
        if posting.token_id is None or not posting.claim:
            continue
        dollars, since_ns = claims.get(posting.token_id, (0, posting.at_ns))
        dollars += posting.claim
        if posting.claim < 0 and dollars <= 0:
            paid += 1
            slowest = max(slowest, posting.at_ns - since_ns)
            del claims[posting.token_id]
        else:
            claims[posting.token_id] = (dollars, since_ns)
    return Redemptions(
        paid=paid,
        slowest_ns=slowest,
        waiting=sum(dollars for dollars, _ in claims.values()),
        oldest_ns=min((since_ns for _, since_ns in claims.values()), default=0),
    )


def judge(found: Redemptions, now_ns: Nanos) -> Check:
    """Say on, off or not checked, and what that means for trading."""
    waits_s = (now_ns - found.oldest_ns) // NS_PER_S if found.waiting else 0
    if waits_s > LATE_S:
        hours, rest = divmod(waits_s, 3_600)
        return warned(
            NAME,
            f"off: unredeemed winnings of ${format_micros(found.waiting)} have waited for {hours} h {rest // 60} min",
            f"redeem them on the website, or let the venue do it: {_WHERE}; until then they are no cash to trade with",
        )
    if found.paid:
        minutes = -(-found.slowest_ns // (60 * NS_PER_S))
        return passed(NAME, f"on: all {found.paid} claims so far became cash, none took longer than {minutes} min")
    waits = f", ${format_micros(found.waiting)} wait since the last verdict" if found.waiting else ""
    return unchecked(NAME, f"the venue's API does not show the approval and no claim was paid yet{waits}; {_WHERE}")
