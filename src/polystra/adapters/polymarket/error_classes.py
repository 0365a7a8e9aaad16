"""The classes of the venue's errors, and the form of a row of their table.

What lives here: classes with what each asks of us, and `Row`. What must not: the rows
(`error_catalogue`), matching (`errors`).
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from polystra.domain.venue import VenueMode


class ErrorClass(StrEnum):
    """What an error asks of us. All but IN_DOUBT are the domain's `RefusalClass`, by the same names."""

    REFUSED = "REFUSED"
    KILLED = "KILLED"
    RETRY = "RETRY"
    REPLAN = "REPLAN"
    MODE = "MODE"
    AUTH = "AUTH"
    STOP = "STOP"
    IN_DOUBT = "IN_DOUBT"
    """The order may be there: only its id decides."""


CLASS_MEANINGS: Final = {
    ErrorClass.REFUSED: "a definite no to this order; it is not sent again",
    ErrorClass.KILLED: "a FOK or FAK found nothing to trade with: the normal end of such an order",
    ErrorClass.RETRY: "not now; the same signed bytes are sent again, with pauses, until the order's deadline",
    ErrorClass.REPLAN: "right idea, wrong figures; a new order may be made from fresh facts",
    ErrorClass.MODE: "the venue's or the account's state does not allow it; polystra follows that state by itself",
    ErrorClass.AUTH: "credentials or clock are not accepted; entries stop until a check finds them accepted again",
    ErrorClass.STOP: (
        "a person must act (wallet, ban, region, allowance, version); entries stop until `polystra start`, "
        "after a restart too"
    ),
    ErrorClass.IN_DOUBT: "the order may be there; it is looked up by its id and never signed anew meanwhile",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One error. `said` is the venue's text as documented, `pattern` what is searched in the lower-case text."""

    code: str
    kind: ErrorClass
    said: str
    meaning: str
    remedy: str
    pattern: str = ""
    statuses: frozenset[int] = frozenset()
    """The HTTP statuses for which the row holds; none: all."""
    whole_request: bool = False
    """True when the text is about the request, so that in a batch it holds for every order."""
    mode: VenueMode | None = None
    may_have_acted: bool = False
    """True when the order may be at the venue all the same (always so for IN_DOUBT)."""

    def __post_init__(self) -> None:
        """An error in doubt may always have acted."""
        if self.kind is ErrorClass.IN_DOUBT:
            object.__setattr__(self, "may_have_acted", True)
