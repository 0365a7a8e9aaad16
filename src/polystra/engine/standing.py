"""Our standing at the venue: refusals that concern the whole account, and a second daemon on it.

What lives here: the switches `venue_refused` and `second_daemon`, with what ends each. What must not: what a
single order's refusal means (gateway), what the account holds (reconcile).

    credentials   not accepted: the account is read with them after 5, 10, 20, ... 600 s; a complete reading
                  asked for since then proves them, as does the first one of a new run
    region        the venue's edge blocks us: likewise after 10, 20, 40, ... 240 minutes
    account       ban, wallet, signature, approval: a person must act, and says so by `polystra start`
    orders        open orders of this account that no intent of ours explains: until the venue shows none
    heartbeat     somebody else beats for our API key: until a heartbeat follows ours again

All are durable, so that a restart neither forgets nor repeats them; `polystra start` ends each of them.
Two daemons on different databases share no lock and no lease: only the venue shows them to each other.
"""

from __future__ import annotations

from typing import Final

from polystra.domain.events import AccountSnapshot, RefusalClass, SubmitAccepted, SubmitRefused, SwitchName
from polystra.domain.events import SwitchRequested as Wish
from polystra.domain.units import NS_PER_S, Nanos
from polystra.engine.external import order_words
from polystra.engine.positions.reconcile import Reconciler
from polystra.engine.state import EngineState, Turn
from polystra.engine.switches import Switches

STANDING_TIMER: Final = "standing"
CREDENTIALS: Final = "credentials"
REGION: Final = "region"
ACCOUNT: Final = "account"
ORDERS: Final = "orders"
HEARTBEAT: Final = "heartbeat"
_EDGE_BLOCKS: Final = "blocked"
"""The catalogue's code for a refusal by the venue's edge."""
_PAUSES_S: Final = {CREDENTIALS: (5, 600), REGION: (600, 14_400)}
"""Seconds before the first check, and the longest pause."""
_ENDS: Final = {
    CREDENTIALS: "entries stop until a check finds the credentials accepted, or polystra start",
    REGION: "entries stop until a check gets through, or polystra start",
    ACCOUNT: "a person must act; entries stop until polystra start",
}
_SECOND: Final = (
    "another program or person trades with this account, perhaps a second daemon on another database: stop it, or "
    "give each its own wallet"
)
_VENUE: Final = "venue"


class Standing:
    """See the module docstring."""

    def __init__(self, state: EngineState, switches: Switches, reconciler: Reconciler) -> None:
        self._state = state
        self._switches = switches
        self._reconciler = reconciler
        self._strikes: dict[str, int] = {}
        self._since_ns: dict[str, Nanos] = {}
        """From when on a reading of the account counts as the check that is due."""
        self._refused_ns: Nanos = 0

    def start(self, turn: Turn) -> None:
        """Go on with what the last run left: its first reading of the account checks the credentials."""
        for subject in _PAUSES_S:
            if (SwitchName.VENUE_REFUSED, subject) in self._state.switches:
                self._next_check(subject, turn)
        if (SwitchName.VENUE_REFUSED, CREDENTIALS) in self._state.switches:
            self._since_ns[CREDENTIALS] = turn.now_ns

    def refused(self, event: SubmitRefused, turn: Turn) -> None:
        """A refusal that is not about one order stops entries."""
        if not event.stop_trading:
            return
        subject = ACCOUNT
        if event.kind is RefusalClass.AUTH:
            subject = CREDENTIALS
        elif event.code == _EDGE_BLOCKS:
            subject = REGION
        self._refused_ns = turn.now_ns
        self._since_ns.pop(subject, None)
        if (SwitchName.VENUE_REFUSED, subject) in self._state.switches:
            return
        self._set(SwitchName.VENUE_REFUSED, subject, f"{event.message}; {_ENDS[subject]}", turn)
        if subject in _PAUSES_S:
            self._next_check(subject, turn)

    def accepted(self, event: SubmitAccepted) -> None:
        """The venue took an order that was sent since: the next trouble begins with short pauses again."""
        track = self._state.track_of(event.order_id)
        if track is not None and track.sent_ns > self._refused_ns:
            self._strikes.clear()

    def due(self, subject: str, turn: Turn) -> None:
        """It is time for a check."""
        if (SwitchName.VENUE_REFUSED, subject) not in self._state.switches:
            return
        self._since_ns[subject] = turn.now_ns
        self._reconciler.ask(f"{subject} check", turn)
        self._next_check(subject, turn)

    def snapshot(self, event: AccountSnapshot, turn: Turn) -> None:
        """The account was read, which needs credentials and a way to the venue; it shows strange orders too."""
        if not event.complete:
            return
        for subject, since_ns in list(self._since_ns.items()):
            if event.asked_at_ns >= since_ns:
                del self._since_ns[subject]
                self._clear(SwitchName.VENUE_REFUSED, subject, "the venue answers again", turn)
        if self._state.external_orders and not self._state.config.balance.allow_external_orders:
            self._set(SwitchName.SECOND_DAEMON, ORDERS, f"{order_words(self._state)}; {_SECOND}", turn)
        else:
            self._clear(SwitchName.SECOND_DAEMON, ORDERS, "no such order is open any more", turn)

    def heartbeats(self, contested: str, turn: Turn) -> None:
        """Somebody else beats for our key, in words; empty: a beat followed ours."""
        if contested:
            self._set(SwitchName.SECOND_DAEMON, HEARTBEAT, f"{contested}; {_SECOND}", turn)
        else:
            self._clear(SwitchName.SECOND_DAEMON, HEARTBEAT, "a heartbeat follows ours again", turn)

    # --- inside -----------------------------------------------------------------------

    def _next_check(self, subject: str, turn: Turn) -> None:
        first_s, longest_s = _PAUSES_S[subject]
        strikes = self._strikes.get(subject, 0)
        self._strikes[subject] = strikes + 1
        pause_s = min(longest_s, first_s * 2 ** min(strikes, 10))
        turn.timer(f"{STANDING_TIMER}:{subject}", turn.now_ns + pause_s * NS_PER_S)

    def _set(self, name: SwitchName, subject: str, reason: str, turn: Turn) -> None:
        if (name, subject) not in self._state.switches:
            self._switches.requested(Wish(name=name, subject=subject, on=True, reason=reason, source=_VENUE), turn)

    def _clear(self, name: SwitchName, subject: str, reason: str, turn: Turn) -> None:
        if (name, subject) in self._state.switches:
            self._switches.requested(Wish(name=name, subject=subject, on=False, reason=reason, source=_VENUE), turn)
