"""Sending and cancelling orders: signed bytes out, exactly one outcome per order back.

What lives here: the bodies of POST /order, POST /orders and the cancels, and the reading of
their answers. What must not: signing, retries of anything that may have left, account state.
Nothing here raises for what happens after the first byte may have left.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from http import HTTPStatus
from typing import Final

import msgspec

from polystra.adapters.polymarket.decode_account import CancelAnswer, PostAnswer, cancel_answer, post_answer
from polystra.adapters.polymarket.error_catalogue import NEVER_LEFT, RESTARTING, UNLISTED, Row
from polystra.adapters.polymarket.errors import (
    UnknownAnswers,
    cancel_outcome,
    classify,
    is_known,
    shown,
    submit_outcome,
    submit_row,
)
from polystra.adapters.polymarket.transport import OK, Headers, HttpTransport, Reply
from polystra.adapters.polymarket.wire import as_list, decode_json
from polystra.domain.errors import OutcomeUnknown, VenueProtocolError, VenueUnreachable
from polystra.domain.events import (
    CancelAccepted,
    CancelOutcome,
    CancelRefused,
    CancelUnknown,
    IdMismatch,
    SubmitAccepted,
    SubmitOutcome,
    SubmitRefused,
    SubmitUnknown,
    VenueOrderStatus,
)
from polystra.domain.ids import OrderId
from polystra.domain.orders import SignedOrder

MAX_BATCH: Final = 15
MAX_CANCELS: Final = 1_000

ACCEPTED_STATUSES: Final = frozenset({VenueOrderStatus.LIVE, VenueOrderStatus.MATCHED, VenueOrderStatus.DELAYED})
"""The words that the venue's own clients take for a yes; `unmatched` is contradictory, so it is looked up."""


class OrderCommands:
    """POST and DELETE of orders over one transport."""

    def __init__(self, transport: HttpTransport, headers: Headers) -> None:
        self._transport = transport
        self._headers = headers
        self._requests = 0
        self._restart_told_at = 0
        self.unknown_answers = UnknownAnswers()

    async def submit(self, orders: Sequence[SignedOrder]) -> Sequence[SubmitOutcome]:
        """Send 1 to 15 signed orders; one outcome each, in the order asked.

        Raises:
            ValueError: no order or more than 15 (before anything is sent).
        """
        if not 1 <= len(orders) <= MAX_BATCH:
            raise ValueError(f"submit was given {len(orders)} orders, expected 1 to {MAX_BATCH}")
        ids = [order.order_id for order in orders]
        single = len(orders) == 1
        path = "/order" if single else "/orders"
        body = orders[0].body if single else b"[" + b",".join(order.body for order in orders) + b"]"
        sent = self._next()
        try:
            reply = await self._transport.write("POST", path, body, self._headers)
        except VenueUnreachable as error:
            return [submit_outcome(order_id, NEVER_LEFT, 0, str(error)) for order_id in ids]
        except OutcomeUnknown as error:
            return [SubmitUnknown(order_id=order_id, message=str(error)) for order_id in ids]
        was_caught = self._was_caught(reply, sent)
        if reply.status != OK:
            return self._answered_with_error(ids, reply, was_caught=was_caught)
        return self._answered(ids, reply, single=single)

    async def cancel(self, order_ids: Sequence[OrderId]) -> Sequence[CancelOutcome]:
        """Cancel orders by id; one outcome each, in the order asked."""
        outcomes: list[CancelOutcome] = []
        for start in range(0, len(order_ids), MAX_CANCELS):
            outcomes.extend(await self._cancel(order_ids[start : start + MAX_CANCELS]))
        return outcomes

    async def _cancel(self, ids: Sequence[OrderId]) -> Sequence[CancelOutcome]:
        if len(ids) == 1:
            path, body = "/order", msgspec.json.encode({"orderID": ids[0]})
        else:
            path, body = "/orders", msgspec.json.encode(list(ids))
        sent = self._next()
        try:
            reply = await self._transport.write("DELETE", path, body, self._headers)
            self._was_caught(reply, sent)
            if reply.status != OK:
                text = reply.error_text()
                self._note(f"DELETE {path}", reply, classify(reply.status, text), text)
                return [
                    cancel_outcome(order_id, reply.status, text, retry_after_s=reply.retry_after_s) for order_id in ids
                ]
            answer = cancel_answer(reply.body)
        except (OutcomeUnknown, VenueUnreachable, VenueProtocolError) as error:
            return [CancelUnknown(order_id=order_id, message=str(error)) for order_id in ids]
        return [_cancel_outcome(order_id, answer) for order_id in ids]

    # --- inside -----------------------------------------------------------------------

    def _next(self) -> int:
        self._requests += 1
        return self._requests

    def _was_caught(self, reply: Reply, sent: int) -> bool:
        """Return whether a 425 answers a request that left before the first 425 of this restart was read."""
        if reply.status != HTTPStatus.TOO_EARLY:
            self._restart_told_at = 0
            return False
        if not self._restart_told_at:
            self._restart_told_at = self._requests
        return sent <= self._restart_told_at

    def _note(self, asked: str, reply: Reply, row: Row, text: str) -> None:
        if not is_known(row, text):
            self.unknown_answers.note(asked, reply.status, text, reply.body)

    def _answered_with_error(
        self, ids: Sequence[OrderId], reply: Reply, *, was_caught: bool
    ) -> Sequence[SubmitOutcome]:
        """An HTTP error: in a batch only a refusal of the whole request is a no for every order."""
        text = reply.error_text()
        row = submit_row(reply.status, text)
        if row.code == RESTARTING and was_caught:
            row = replace(row, may_have_acted=True)
        self._note("POST order", reply, row, text)
        if len(ids) > 1 and not row.whole_request:
            message = f"the batch was answered with HTTP {reply.status} ({row.code}): {shown(text)}"
            return [SubmitUnknown(order_id=order_id, message=message) for order_id in ids]
        return [
            submit_outcome(order_id, row, reply.status, text, retry_after_s=reply.retry_after_s) for order_id in ids
        ]

    def _answered(self, ids: Sequence[OrderId], reply: Reply, *, single: bool) -> Sequence[SubmitOutcome]:
        """HTTP 200: read each answer by itself, so that one that cannot be read hides no other."""
        try:
            value = decode_json(reply.body)
            answers = [value] if single else as_list(value, "answer to a batch")
        except VenueProtocolError as error:
            self._note("POST order", reply, UNLISTED, "")
            return [SubmitUnknown(order_id=order_id, message=str(error)) for order_id in ids]
        if len(answers) != len(ids):
            message = f"the batch of {len(ids)} orders was answered with {len(answers)} answers"
            return [SubmitUnknown(order_id=order_id, message=message) for order_id in ids]
        return [self._outcome(order_id, answer, reply) for order_id, answer in zip(ids, answers, strict=True)]

    def _outcome(self, order_id: OrderId, value: object, reply: Reply) -> SubmitOutcome:
        try:
            answer = post_answer(value)
        except VenueProtocolError as error:
            self._note("POST order", reply, UNLISTED, "")
            return SubmitUnknown(order_id=order_id, message=str(error))
        if answer.order_id and answer.order_id != order_id:
            return IdMismatch(expected=order_id, received=answer.order_id)
        if answer.error or not (answer.order_id or answer.success):
            return self._refused_leg(order_id, answer, reply)
        if answer.success and answer.order_id and answer.status in ACCEPTED_STATUSES:
            return SubmitAccepted(
                order_id=order_id,
                status=VenueOrderStatus(answer.status),
                making=answer.making,
                taking=answer.taking,
            )
        return SubmitUnknown(
            order_id=order_id,
            message=f"answer with success {answer.success}, status {answer.status!r} and no reason",
        )

    def _refused_leg(self, order_id: OrderId, answer: PostAnswer, reply: Reply) -> SubmitOutcome:
        """A no with HTTP 200, unless the order has an id and the text is not a known end of an order."""
        row = submit_row(OK, answer.error, leg_refused=not answer.order_id)
        self._note("POST order", reply, row, answer.error)
        outcome = submit_outcome(order_id, row, OK, answer.error)
        if answer.order_id and isinstance(outcome, SubmitRefused) and not outcome.killed:
            return SubmitUnknown(order_id=order_id, message=f"answered with an id and an error: {outcome.message}")
        return outcome


def _cancel_outcome(order_id: OrderId, answer: CancelAnswer) -> CancelOutcome:
    if order_id in answer.canceled:
        return CancelAccepted(order_id=order_id)
    if order_id in answer.refused:
        return CancelRefused(order_id=order_id, message=shown(answer.refused[order_id]))
    return CancelUnknown(order_id=order_id, message="the answer to the cancel does not name this order")
