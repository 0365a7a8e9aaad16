"""What a person, a tool or an outside signal asks the engine for: inputs like any other.

What lives here: orders, entries, exits, cancels, switches and repairs that were asked for. What must not: what the
world tells by itself (`events`, which lists these too), whether a wish is granted.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from polystra.domain.ids import ConditionId, PositionId, TokenId
from polystra.domain.market import Outcome
from polystra.domain.orders import Side, TimeInForce
from polystra.domain.units import MicroDollars, MicroPrice, MicroShares, Nanos


@dataclass(frozen=True, slots=True, kw_only=True)
class EntryRequested:
    """Open (or add to) a position in one outcome, past the strategy but not past the risk limits.

    `budget` above 0 buys for so many dollars at `price` or better; else `quantity` shares rest at `price`.
    """

    request_id: str
    condition_id: ConditionId
    outcome: Outcome
    price: MicroPrice
    quantity: MicroShares = 0
    budget: MicroDollars = 0
    source: str = "operator"
    adds: bool = False
    """True: into the open position of that outcome where there is one, else into a new one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ExitRequested:
    """Sell what a position holds. What is sold follows from the side held, never from this word."""

    request_id: str
    position_id: PositionId
    source: str = "operator"


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderRequested:
    """Place this very order. A buy opens or adds to a position of the outcome, a sell shrinks one that is held.

    A FOK or FAK buy is bounded by `budget` (micro-dollars) and `price` is the worst acceptable one;
    every other order by `quantity`. A GTD order lives `life_s` seconds, or until `expires_at_s`, the
    venue's own figure. The same `request_id` never makes a second order.
    """

    request_id: str
    token_id: TokenId
    side: Side
    price: MicroPrice
    quantity: MicroShares = 0
    budget: MicroDollars = 0
    time_in_force: TimeInForce = TimeInForce.GTC
    post_only: bool = False
    life_s: int = 0
    expires_at_s: int = 0
    source: str = "operator"


class CancelScope(StrEnum):
    """Which orders a cancel is about."""

    ORDERS = "ORDERS"
    MARKET = "MARKET"
    ALL = "ALL"


@dataclass(frozen=True, slots=True, kw_only=True)
class CancelRequested:
    """Cancel live orders: those named by our id or the venue's, those of one market, or all."""

    request_id: str
    scope: CancelScope
    orders: tuple[str, ...] = ()
    condition_id: ConditionId | None = None
    source: str = "operator"


@dataclass(frozen=True, slots=True, kw_only=True)
class ConfigChanged:
    """The settings were read anew: take these values from now on, all of them or none.

    `changes` are paths of the engine's configuration with new values as JSON; `words` tells people the difference.
    """

    request_id: str
    changes: tuple[tuple[str, str], ...]
    words: tuple[str, ...]
    source: str = "operator"


class SwitchName(StrEnum):
    """Values that stop or limit entries until somebody or something clears them; they survive a restart."""

    KILL = "kill"
    """No entry leaves, resting entries are cancelled."""
    STOP_ENTRY = "stop_entry"
    """No entry leaves."""
    PAUSE = "pause"
    """No entry leaves until a time."""
    DAILY_LOSS = "daily_loss"
    DRAWDOWN = "drawdown"
    CONSECUTIVE_LOSSES = "consecutive_losses"
    REJECTIONS = "rejections"
    BLACKLIST = "blacklist"
    """`subject` is a symbol."""
    VENUE_REFUSED = "venue_refused"
    """A refusal that concerns the account; `subject` says what: credentials, region or account."""
    SECOND_DAEMON = "second_daemon"
    """The venue shows that somebody else trades with this account; `subject` is the evidence: orders or heartbeat."""
    CRASH_LOOP = "crash_loop"
    """Runs ended without order again and again."""
    FEES = "fees"
    """`subject` is a market's slug: no entry that takes is made there, its fees are not what was predicted."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SwitchRequested:
    """Set or clear a switch from outside (file, command, API)."""

    name: SwitchName
    on: bool
    reason: str
    source: str
    subject: str = ""
    until_ns: Nanos = 0
    """0: until cleared."""
    request_id: str = ""
    """Of the command that asks, so that it can be done with after the commit."""


SIGNAL_PREFIX: Final = "hook:"
"""How the request ids of outside signals begin."""
SIGNALS_KEPT_S: Final = 172_800
"""Ids of outside signals are remembered for two days; a signal that old is refused for its age by then."""


class SignalAct(StrEnum):
    """What an outside signal may ask for."""

    OPEN = "open"
    """A new position of one outcome."""
    ADD = "add"
    """More of a position that is held: its take-profit is taken back and placed anew for the new average."""
    CLOSE = "close"
    """Sell what is held; which way follows from the side held, never from the signal."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SignalReceived:
    """A signal from outside, whose sender was checked; answered by one `RequestAnswered` of the same id.

    `market` is a slug, a condition id, or a symbol and a window ("BTC/15m"): the one that is open when it arrives.
    `outcome` may be missing for a close: then everything held of the market is meant. A `rehearsal` is answered with
    what it would have done.
    """

    request_id: str
    hook: str
    act: SignalAct
    market: str
    outcome: Outcome | None = None
    price: MicroPrice = 0
    """The worst acceptable price of a buy."""
    budget: MicroDollars = 0
    rehearsal: bool = False


class RepairAct(StrEnum):
    """What a person may mend by hand."""

    RECONCILE = "reconcile"
    """Read the account anew; what follows from it follows by the usual rules."""
    UNFREEZE = "unfreeze"
    """Trade a frozen market or position on, as our books stand."""
    ADOPT = "adopt"
    """Take an order or a position that was made elsewhere as ours."""
    RESOLVE_DOUBT = "resolve-doubt"
    """Say what became of an order in doubt, where the venue says nothing."""


class Sighting(StrEnum):
    """What a person saw of an order in doubt."""

    ACCEPTED = "accepted"
    REJECTED = "rejected"


@dataclass(frozen=True, slots=True, kw_only=True)
class RepairRequested:
    """Mend one thing by hand; answered by one `RequestAnswered`.

    `subject` is what it is about: a market (slug or condition id), a position, or an order (our id or the venue's);
    empty means everything, where that makes sense. `price` is what each share of an adopted position cost
    (micro-dollars), for want of a source that knows; `seen` goes with a doubt.
    """

    request_id: str
    act: RepairAct
    subject: str = ""
    seen: Sighting | None = None
    price: MicroPrice = 0
    source: str = "operator"
