"""What the venue does to orders before and beside the book: modes, forced refusals, delayed matching.

What lives here: the part of the core that stands between a checked order and the matcher, mixed into
`ExchangeCore`. What must not: matching, balances, HTTP.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import replace
from typing import Literal, TypeAlias

from polystra.exchange.accounts import Account
from polystra.exchange.chain import Agenda, PlaceLater, Step
from polystra.exchange.forced import PLACEMENT, ForcedRefusals
from polystra.exchange.matcher import Matcher
from polystra.exchange.model import NS_PER_MS, CoreEvent, Placement, PlaceRequest, Refusal
from polystra.exchange.modes import Mode, VenueModes
from polystra.exchange.state import State
from polystra.exchange.validation import FAK_KILLED, FOK_KILLED, NO_BOOK, duplicated
from polystra.exchange.venue_rules import VenueRules

LateAnswer: TypeAlias = Literal["delayed", "live"]
PlacementLag: TypeAlias = Callable[[str, PlaceRequest], tuple[int, LateAnswer] | None]
"""Tells of an account's order how many milliseconds it takes to the book and what it is answered; None: as usual."""

CANCELED_ON_CHAIN = Refusal("order canceled in the CTF exchange contract")


class TradingSide(ABC):
    """The trading side's own state; `modes` and `forced` may be used by whoever holds the core."""

    _state: State
    _agenda: Agenda
    _matcher: Matcher

    def _open_trading_side(self, rules: VenueRules) -> None:
        self.modes = VenueModes(rules)
        self.forced = ForcedRefusals()
        self.placement_lag: PlacementLag | None = None
        self._delayed: dict[str, tuple[str, PlaceRequest]] = {}
        self._canceled_on_chain: set[str] = set()
        self._event_holds = 0
        self._held_events: list[CoreEvent] = []

    def force_refusal(self, text: str, status: int = 400, count: int = 1, route: str = PLACEMENT) -> None:
        """Refuse the next `count` placements, or calls of a route such as `GET /data/orders`.

        `{id}` in the text stands for the order's id.

        Raises:
            ConfigError: a count below one, or a status that is no refusal.
        """
        self.forced.add(Refusal(text, status), count=count, route=route)

    def cancel_on_chain(self, order_id: str) -> None:
        """Cancel an order in the exchange contract before it was ever sent: it is refused from now on."""
        self._canceled_on_chain.add(order_id)

    def place_later(
        self,
        account: Account,
        request: PlaceRequest,
        now_ns: int,
        *,
        delay_ms: int,
        answer: LateAnswer = "delayed",
    ) -> Placement:
        """Answer now and carry the order to the book `delay_ms` later; only events tell its outcome.

        Until then it is on no book, reserves nothing and cannot be cancelled.
        """
        order_id = request.order_id or ""
        early = self._gate(account, request, now_ns)
        if early is not None:
            return early
        if order_id in self._state.known:
            return Placement(order_id=order_id, refusal=duplicated(order_id))
        self._delayed[order_id] = (account.address, request)
        self._agenda.add(now_ns + delay_ms * NS_PER_MS, PlaceLater(order_id))
        return Placement(order_id=order_id, status=answer)

    def hold_events(self) -> None:
        """Keep events back until `release_events`; may be nested."""
        self._event_holds += 1

    def release_events(self) -> None:
        """Let the events that were kept back go out, in their order."""
        self._event_holds -= 1
        if self._event_holds == 0:
            held, self._held_events = self._held_events, []
            for event in held:
                self._emit(event)

    @abstractmethod
    def _emit(self, event: CoreEvent) -> None:
        """Hand an event to the listeners, or keep it while `_event_holds` says so."""

    def _gate(self, account: Account, request: PlaceRequest, now_ns: int) -> Placement | None:
        """Return the answer to an order that may not reach the matcher now, else None.

        Orders of the exchange's own traders count as post-only when they would rest.
        """
        order_id = request.order_id or ""
        if order_id in self._delayed:
            return Placement(order_id=order_id, refusal=duplicated(order_id))
        refusal: Refusal | None = None
        if self.modes.at(now_ns) is not Mode.NORMAL:
            resting = request.post_only or (account.house and not self._meets_another(request))
            refusal = self.modes.refuse_placement(now_ns, post_only=resting)
        if refusal is None and not account.house:
            refusal = self.forced.take(PLACEMENT)
            if refusal is None and order_id in self._canceled_on_chain:
                refusal = CANCELED_ON_CHAIN
        if refusal is None:
            return None
        return Placement(order_id=order_id, refusal=replace(refusal, text=refusal.text.replace("{id}", order_id)))

    def _meets_another(self, request: PlaceRequest) -> bool:
        market = self._state.by_token.get(request.token_id)
        return market is not None and bool(self._matcher.plan(market, request).legs)

    def _trading_step(self, step: Step, at_ns: int) -> None:
        """Validate a delayed order anew and match it; a refusal is announced, as nobody waits for a reply."""
        if not isinstance(step, PlaceLater):
            return
        account_id, request = self._delayed.pop(step.order_id)
        account = self._state.ledger.accounts[account_id]
        placement = self._gate(account, request, at_ns) or self._matcher.place(account, request, at_ns)
        refusal = placement.refusal
        if refusal is not None and refusal.text not in {FOK_KILLED, FAK_KILLED} and refusal != NO_BOOK:
            self._matcher.announce_refused(account, request, f"CANCELED_{refusal.text}", at_ns)
        self._refine_tick(request.token_id, at_ns)

    @abstractmethod
    def _refine_tick(self, token_id: str, now_ns: int) -> None:
        """Make a market's grid finer if it is due."""
