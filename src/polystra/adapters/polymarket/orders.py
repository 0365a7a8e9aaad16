"""Sending and cancelling orders: signed bytes out, exactly one outcome per order back.

What lives here: the requests of POST and DELETE of orders, and their repetition where the venue said a
definite "not now". What must not: signing, the meaning of answers (`order_answers`), account state.
Nothing here raises for what happens after the first byte may have left.

A re-send is always the same signed bytes under fresh headers.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from http import HTTPStatus
from random import Random
from typing import Final

import msgspec
from tenacity import AsyncRetrying, RetryCallState, retry_if_result

from polystra.adapters.polymarket.error_catalogue import (
    DROPPED_STALE,
    WITHDRAWN,
)
from polystra.adapters.polymarket.error_classes import Row
from polystra.adapters.polymarket.errors import UnknownAnswers, worded
from polystra.adapters.polymarket.order_answers import AnswerJudge
from polystra.adapters.polymarket.rate_budget import VenueBudget
from polystra.adapters.polymarket.transport import Headers, HttpTransport, Reply
from polystra.domain.errors import OutcomeUnknown, VenueError, VenueUnreachable
from polystra.domain.events import CancelOutcome, SubmitOutcome, SubmitRefused, SubmitUnknown
from polystra.domain.ids import OrderId
from polystra.domain.units import NS_PER_S, Nanos
from polystra.ports.clock import Clock
from polystra.ports.rate import Traffic
from polystra.ports.venue import OutcomeSink, Submission

MAX_BATCH: Final = 15
MAX_CANCELS: Final = 1_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Retries:
    """How a "not now" is answered: pauses double from `first_s` to `longest_s`, each varied by `jitter`.

    An order is sent again until its own deadline, one without a deadline for `patience_s`, a cancel for
    `cancel_patience_s`; then the engine decides.
    """

    first_s: float = 1.0
    longest_s: float = 4.0
    jitter: float = 0.2
    patience_s: float = 10.0
    cancel_patience_s: float = 5.0


DEFAULT_RETRIES: Final = Retries()


class OrderCommands:
    """POST and DELETE of orders over one transport."""

    def __init__(
        self,
        transport: HttpTransport,
        headers: Headers,
        *,
        clock: Clock,
        rng: Random,
        budget: VenueBudget,
        unknown_answers: UnknownAnswers,
        retries: Retries = DEFAULT_RETRIES,
    ) -> None:
        self._transport = transport
        self._headers = headers
        self._clock = clock
        self._rng = rng
        self._budget = budget
        self._retries = retries
        self._judge = AnswerJudge(unknown_answers)
        self._runs: list[_Run] = []

    async def submit(self, orders: Sequence[Submission], told: OutcomeSink | None = None) -> Sequence[SubmitOutcome]:
        """Send 1 to 15 signed orders; one outcome each, told when it is known and returned in the order asked.

        Raises:
            ValueError: no order or more than 15 (before anything is sent).
        """
        if not 1 <= len(orders) <= MAX_BATCH:
            raise ValueError(f"submit was given {len(orders)} orders, expected 1 to {MAX_BATCH}")
        run = _Run(orders, told, self._clock.now_ns() + int(self._retries.patience_s * NS_PER_S))

        self._runs.append(run)
        try:
            if await self._submit_once(run):
                await self._submit_again(run)
        finally:
            self._runs.remove(run)
        return run.results()

    async def _submit_again(self, run: _Run) -> None:
        """Go on after a first attempt that left some waiting; only then is the machinery of retries made (60 us)."""
        made = [True]

        async def attempt() -> bool:
            return made.pop() if made else await self._submit_once(run)

        def stop(state: RetryCallState) -> bool:
            run.drop_stale(self._clock.now_ns() + int(state.upcoming_sleep * NS_PER_S))
            return not run.waiting

        retrying = AsyncRetrying(
            sleep=self._clock.sleep,
            retry=retry_if_result(bool),
            stop=stop,
            wait=lambda state: max(self._pause_s(state), run.pause_s, self._budget.wait_s(_traffic(run.waiting))),
            retry_error_callback=lambda _state: False,
        )
        await retrying(attempt)

    async def cancel(self, order_ids: Sequence[OrderId]) -> Sequence[CancelOutcome]:
        """Cancel orders by id; one outcome each, in the order asked. None of them is sent again from now on."""
        self.withdraw(order_ids)
        outcomes: list[CancelOutcome] = []
        for start in range(0, len(order_ids), MAX_CANCELS):
            outcomes.extend(await self._cancel(order_ids[start : start + MAX_CANCELS]))
        return outcomes

    def withdraw(self, order_ids: Sequence[OrderId]) -> None:
        """From now on none of these is sent (again); what is under way is waited for."""
        for run in self._runs:
            run.withdraw(frozenset(order_ids))

    # --- orders -----------------------------------------------------------------------

    async def _submit_once(self, run: _Run) -> bool:
        """Send what waits, once; returns whether something still waits."""
        stale = run.drop_stale(self._clock.now_ns())
        if run.attempts == 0 and stale:
            self._budget.answered(_traffic(stale), len(stale), None)
        going = self._going(run)
        run.attempts += 1
        if not going:
            return bool(run.waiting)
        ids = tuple(order.signed.order_id for order in going)
        bodies = [order.signed.body for order in going]
        path = "/order" if len(going) == 1 else "/orders"
        body = bodies[0] if len(going) == 1 else b"[" + b",".join(bodies) + b"]"
        number = self._judge.next_request()
        run.under_way = frozenset(ids)
        answer = await self._command("POST", path, body, _traffic(going), len(going))
        if isinstance(answer, Reply):
            judged = self._judge.answered(ids, answer, number, f"POST {path}")
            run.pause_s = answer.pause_s() or 0.0
        else:
            judged = self._judge.unanswered(ids, answer)
        for order, each in zip(going, judged, strict=True):
            if each.may_go_again and isinstance(each.outcome, SubmitRefused | SubmitUnknown):
                run.postpone(order, each.outcome, may_have_arrived=each.may_have_acted)
            else:
                run.finish(order, each.outcome)
        run.under_way = frozenset()
        run.end_withdrawn()
        return bool(run.waiting)

    def _going(self, run: _Run) -> Sequence[Submission]:
        """What may leave now. The caller has taken for the first send."""
        if run.attempts == 0 or not run.waiting:
            return tuple(run.waiting)
        traffic = _traffic(run.waiting)
        room = self._budget.room(traffic, len(run.waiting))
        self._budget.take(traffic, room)
        return tuple(run.waiting[:room])

    # --- cancels ----------------------------------------------------------------------

    async def _cancel(self, ids: Sequence[OrderId]) -> Sequence[CancelOutcome]:
        run = _CancelRun(ids=tuple(ids))
        end_ns = self._clock.now_ns() + int(self._retries.cancel_patience_s * NS_PER_S)
        retrying = AsyncRetrying(
            sleep=self._clock.sleep,
            retry=retry_if_result(bool),
            stop=lambda state: self._clock.now_ns() + int(state.upcoming_sleep * NS_PER_S) >= end_ns,
            wait=lambda state: max(self._pause_s(state), run.pause_s, self._budget.wait_s(Traffic.CANCEL)),
            retry_error_callback=lambda _state: False,
        )
        await retrying(self._cancel_once, run)
        return run.outcomes

    async def _cancel_once(self, run: _CancelRun) -> bool:
        """Send a cancel once; returns whether it may be sent again. The caller has taken for the first send."""
        ids = run.ids
        if len(ids) == 1:
            path, body = "/order", msgspec.json.encode({"orderID": ids[0]})
        else:
            path, body = "/orders", msgspec.json.encode(list(ids))
        if run.attempts:
            self._budget.take(Traffic.CANCEL, len(ids))
        run.attempts += 1
        number = self._judge.next_request()
        answer = await self._command("DELETE", path, body, Traffic.CANCEL, len(ids))
        if isinstance(answer, Reply):
            judged = self._judge.cancels_answered(ids, answer, number, f"DELETE {path}")
            run.pause_s = answer.pause_s() or 0.0
        else:
            judged = self._judge.cancels_unanswered(ids, answer)
        run.outcomes = judged.outcomes
        return judged.may_go_again

    # --- both -------------------------------------------------------------------------

    async def _command(self, method: str, path: str, body: bytes, traffic: Traffic, count: int) -> Reply | VenueError:
        """Send one command once and tell the budget what came back."""
        try:
            reply = await self._transport.write(method, path, body, self._headers, again_for_s=0.0)
        except (VenueUnreachable, OutcomeUnknown) as error:
            self._budget.answered(traffic, count, None)
            return error
        self._budget.answered(
            traffic,
            count,
            reply.limits,
            refused=reply.status == HTTPStatus.TOO_MANY_REQUESTS,
            retry_after_s=reply.pause_s(),
        )
        return reply

    def _pause_s(self, state: RetryCallState) -> float:
        """Seconds before the next attempt: doubling, with jitter."""
        retries = self._retries
        ceiling = min(retries.longest_s, math.ldexp(retries.first_s, min(state.attempt_number - 1, 16)))
        return ceiling * self._rng.uniform(1.0 - retries.jitter, 1.0 + retries.jitter)


@dataclass(slots=True)
class _CancelRun:
    """The attempts at one cancel request."""

    ids: tuple[OrderId, ...]
    attempts: int = 0
    pause_s: float = 0.0
    outcomes: Sequence[CancelOutcome] = ()


class _Run:
    """The attempts at one call of `submit`: who waits, whose outcome is known, who may have arrived."""

    def __init__(self, orders: Sequence[Submission], told: OutcomeSink | None, patience_until_ns: Nanos) -> None:
        self._orders = tuple(orders)
        self._told = told
        self._patience_until_ns = patience_until_ns
        self._outcomes: dict[OrderId, SubmitOutcome] = {}
        self._last: dict[OrderId, SubmitRefused | SubmitUnknown] = {}
        self._may_have_arrived: set[OrderId] = set()
        self._withdrawn: frozenset[OrderId] = frozenset()
        self.waiting: list[Submission] = list(orders)
        self.under_way: frozenset[OrderId] = frozenset()
        self.attempts = 0
        self.pause_s = 0.0
        """The pause that the venue asks for."""

    def results(self) -> Sequence[SubmitOutcome]:
        """The outcomes in the order asked."""
        return [self._outcomes[order.signed.order_id] for order in self._orders]

    def postpone(self, order: Submission, outcome: SubmitRefused | SubmitUnknown, *, may_have_arrived: bool) -> None:
        """The venue said "not now"."""
        self._last[order.signed.order_id] = outcome
        if may_have_arrived:
            self._may_have_arrived.add(order.signed.order_id)

    def finish(self, order: Submission, outcome: SubmitOutcome) -> None:
        """The outcome is known. A no to a re-send says nothing of an earlier send that may have arrived."""
        order_id = order.signed.order_id
        if order_id in self._may_have_arrived and isinstance(outcome, SubmitRefused):
            words = f"an earlier send may have arrived, whatever a later one was answered: {outcome.message}"
            outcome = SubmitUnknown(
                order_id=order_id, message=words, mode=outcome.mode, retry_after_s=outcome.retry_after_s
            )
        self.waiting.remove(order)
        self._outcomes[order_id] = outcome
        if self._told is not None:
            self._told(outcome)

    def withdraw(self, order_ids: frozenset[OrderId]) -> None:
        """These are being cancelled: not sent again, whatever a send that is under way will be answered."""
        self._withdrawn |= order_ids
        self.end_withdrawn()

    def end_withdrawn(self) -> None:
        """End those that are withdrawn and not under way."""
        for order in list(self.waiting):
            order_id = order.signed.order_id
            if order_id in self._withdrawn and order_id not in self.under_way:
                self.finish(order, self._ended(order, WITHDRAWN))

    def drop_stale(self, at_ns: Nanos) -> Sequence[Submission]:
        """End those that may not leave at an instant any more, with what is known of them."""
        stale = [order for order in self.waiting if self._is_over(order, at_ns)]
        for order in stale:
            self.finish(order, self._ended(order, DROPPED_STALE if order.deadline_ns else None))
        return stale

    def _is_over(self, order: Submission, at_ns: Nanos) -> bool:
        if order.deadline_ns:
            return at_ns >= order.deadline_ns
        return self.attempts > 0 and at_ns >= self._patience_until_ns

    def _ended(self, order: Submission, why: Row | None) -> SubmitOutcome:
        """The last answer, unless that was a no and there is a better reason for the end."""
        order_id = order.signed.order_id
        last = self._last.get(order_id)
        if last is not None and (why is None or not isinstance(last, SubmitRefused)):
            return last
        row = why or DROPPED_STALE
        said = "never sent" if last is None else f"the last answer was {last.message}"
        return SubmitRefused(order_id=order_id, message=worded(row, said), code=row.code)


def _traffic(orders: Sequence[Submission]) -> Traffic:
    return Traffic.EXIT if any(order.traffic is Traffic.EXIT for order in orders) else Traffic.ENTRY
