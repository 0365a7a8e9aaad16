"""Sending and cancelling orders: signed bytes out, exactly one outcome per order back.

What lives here: the bodies of POST /order, POST /orders and the cancels, and the reading of
their answers. What must not: signing, retries of anything that may have left, account state.
Nothing here raises for what happens after the first byte may have left.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import msgspec

from polystra.adapters.polymarket.decode_account import CancelAnswer, PostAnswer, cancel_answer, post_answer
from polystra.adapters.polymarket.errors import Verdict, classify, shown, submit_outcome
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
UNREACHABLE: Final = "unreachable"

ACCEPTED_STATUSES: Final = frozenset({VenueOrderStatus.LIVE, VenueOrderStatus.MATCHED, VenueOrderStatus.DELAYED})
"""The words that the venue's own clients take for a yes; `unmatched` is contradictory, so it is looked up."""


class OrderCommands:
    """POST and DELETE of orders over one transport."""

    def __init__(self, transport: HttpTransport, headers: Headers) -> None:
        self._transport = transport
        self._headers = headers

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
        try:
            reply = await self._transport.write("POST", path, body, self._headers)
        except VenueUnreachable as error:
            return [SubmitRefused(order_id=order_id, message=str(error), code=UNREACHABLE) for order_id in ids]
        except OutcomeUnknown as error:
            return [SubmitUnknown(order_id=order_id, message=str(error)) for order_id in ids]
        if reply.status != OK:
            return _answered_with_error(ids, reply)
        return _answered(ids, reply, single=single)

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
        try:
            reply = await self._transport.write("DELETE", path, body, self._headers)
            if reply.status != OK:
                return _cancel_answered_with_error(ids, reply)
            answer = cancel_answer(reply.body)
        except (OutcomeUnknown, VenueUnreachable, VenueProtocolError) as error:
            return [CancelUnknown(order_id=order_id, message=str(error)) for order_id in ids]
        return [_cancel_outcome(order_id, answer) for order_id in ids]


def _answered_with_error(ids: Sequence[OrderId], reply: Reply) -> Sequence[SubmitOutcome]:
    """An HTTP error: in a batch only a refusal of the whole request is a no for every order."""
    text = reply.error_text()
    if len(ids) == 1:
        return [submit_outcome(ids[0], reply.status, text)]
    found = classify(reply.status, text)
    if found.whole_request:
        return [submit_outcome(order_id, reply.status, text) for order_id in ids]
    message = f"the batch was answered with HTTP {reply.status} ({found.code}): {shown(text)}"
    return [SubmitUnknown(order_id=order_id, message=message) for order_id in ids]


def _answered(ids: Sequence[OrderId], reply: Reply, *, single: bool) -> Sequence[SubmitOutcome]:
    """HTTP 200: read each answer by itself, so that one that cannot be read hides no other."""
    try:
        value = decode_json(reply.body)
        answers = [value] if single else as_list(value, "answer to a batch")
    except VenueProtocolError as error:
        return [SubmitUnknown(order_id=order_id, message=str(error)) for order_id in ids]
    if len(answers) != len(ids):
        message = f"the batch of {len(ids)} orders was answered with {len(answers)} answers"
        return [SubmitUnknown(order_id=order_id, message=message) for order_id in ids]
    return [_outcome(order_id, answer) for order_id, answer in zip(ids, answers, strict=True)]


def _outcome(order_id: OrderId, value: object) -> SubmitOutcome:
    try:
        answer = post_answer(value)
    except VenueProtocolError as error:
        return SubmitUnknown(order_id=order_id, message=str(error))
    if answer.order_id and answer.order_id != order_id:
        return IdMismatch(expected=order_id, received=answer.order_id)
    if answer.error:
        return _refused_leg(order_id, answer)
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


def _refused_leg(order_id: OrderId, answer: PostAnswer) -> SubmitOutcome:
    """A text with HTTP 200: a no, unless the order has an id and the text is not a known end of an order."""
    outcome = submit_outcome(order_id, OK, answer.error, leg_refused=not answer.order_id)
    if answer.order_id and isinstance(outcome, SubmitRefused) and not outcome.killed:
        return SubmitUnknown(order_id=order_id, message=f"answered with an id and an error: {outcome.message}")
    return outcome


def _cancel_answered_with_error(ids: Sequence[OrderId], reply: Reply) -> Sequence[CancelOutcome]:
    """A clear no to the request: nothing was cancelled, and nothing is known of the orders but that."""
    text = reply.error_text()
    found = classify(reply.status, text)
    message = f"HTTP {reply.status} ({found.code}): {shown(text) or 'no message'}"
    if found.verdict in (Verdict.UNKNOWN, Verdict.LATER, Verdict.STOP):
        return [CancelUnknown(order_id=order_id, message=message) for order_id in ids]
    return [CancelRefused(order_id=order_id, message=message) for order_id in ids]


def _cancel_outcome(order_id: OrderId, answer: CancelAnswer) -> CancelOutcome:
    if order_id in answer.canceled:
        return CancelAccepted(order_id=order_id)
    if order_id in answer.refused:
        return CancelRefused(order_id=order_id, message=shown(answer.refused[order_id]))
    return CancelUnknown(order_id=order_id, message="the answer to the cancel does not name this order")
