"""From an answer to a command to the outcome of every order that it was about.

What lives here: judging of the answers to POST and DELETE of orders, leg by leg, and the memory that
this needs (restarts seen, unknown answers counted). What must not: requests, waiting, the meaning of
texts (`error_catalogue`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from http import HTTPStatus
from typing import Final

from polystra.adapters.polymarket.decode_account import CancelAnswer, PostAnswer, cancel_answer, post_answer
from polystra.adapters.polymarket.error_catalogue import (
    NEVER_LEFT,
    RESTARTING,
    UNLISTED,
)
from polystra.adapters.polymarket.error_classes import ErrorClass, Row
from polystra.adapters.polymarket.errors import (
    UnknownAnswers,
    cancel_outcome,
    classify,
    is_known,
    shown,
    submit_outcome,
    submit_row,
)
from polystra.adapters.polymarket.transport import OK, Reply
from polystra.adapters.polymarket.wire import as_list, decode_json
from polystra.domain.errors import VenueError, VenueProtocolError, VenueUnreachable
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

ACCEPTED_STATUSES: Final = frozenset({VenueOrderStatus.LIVE, VenueOrderStatus.MATCHED, VenueOrderStatus.DELAYED})
"""The words that the venue's own clients take for a yes; `unmatched` is contradictory, so it is looked up."""


@dataclass(frozen=True, slots=True)
class Judged:
    """The outcome of one order; `may_go_again` when it is a definite "not now"."""

    outcome: SubmitOutcome
    may_go_again: bool = False
    may_have_acted: bool = False


@dataclass(frozen=True, slots=True)
class JudgedCancels:
    """The outcomes of one cancel request."""

    outcomes: Sequence[CancelOutcome]
    may_go_again: bool = False


class AnswerJudge:
    """Reads the answers to commands in the order in which they come."""

    def __init__(self, unknown_answers: UnknownAnswers) -> None:
        self._unknown_answers = unknown_answers
        self._requests = 0
        self._restart_told_at = 0

    def next_request(self) -> int:
        """Number a request that leaves now; its answer is judged under that number."""
        self._requests += 1
        return self._requests

    # --- orders -----------------------------------------------------------------------

    def unanswered(self, ids: Sequence[OrderId], error: VenueError) -> Sequence[Judged]:
        """What orders have come to whose request got no answer."""
        if isinstance(error, VenueUnreachable):
            return [_judged(order_id, NEVER_LEFT, 0, str(error), None) for order_id in ids]
        return [Judged(SubmitUnknown(order_id=order_id, message=str(error))) for order_id in ids]

    def answered(self, ids: Sequence[OrderId], reply: Reply, number: int, asked: str) -> Sequence[Judged]:
        """What the answer to a request with these orders means for each, in their order."""
        was_caught = self._was_caught(reply, number)
        if reply.status != OK:
            return self._error(ids, reply, asked, was_caught=was_caught)
        try:
            value = decode_json(reply.body)
            answers = [value] if len(ids) == 1 else as_list(value, "answer to a batch")
        except VenueProtocolError as error:
            self._note(asked, reply, UNLISTED, "")
            return [Judged(SubmitUnknown(order_id=order_id, message=str(error))) for order_id in ids]
        if len(answers) != len(ids):
            self._note(asked, reply, UNLISTED, "")
            message = f"the batch of {len(ids)} orders was answered with {len(answers)} answers"
            return [Judged(SubmitUnknown(order_id=order_id, message=message)) for order_id in ids]
        named = [_named(answer) for answer in answers]
        if any(name in ids and name != order_id for name, order_id in zip(named, ids, strict=True)):
            return self._shuffled(ids, dict(zip(named, answers, strict=True)), reply, asked)
        return [self._leg(order_id, answer, reply, asked) for order_id, answer in zip(ids, answers, strict=True)]

    def _shuffled(
        self, ids: Sequence[OrderId], answers: Mapping[str, object], reply: Reply, asked: str
    ) -> Sequence[Judged]:
        """Answers in another order than the orders: one without an id, a refusal too, may be about any of them."""
        self._note(asked, reply, UNLISTED, "")
        words = "the answers to the batch are in another order, and none names this one"
        return [
            self._leg(order_id, answers[order_id], reply, asked)
            if order_id in answers
            else Judged(SubmitUnknown(order_id=order_id, message=words))
            for order_id in ids
        ]

    def _error(self, ids: Sequence[OrderId], reply: Reply, asked: str, *, was_caught: bool) -> Sequence[Judged]:
        """An HTTP error: in a batch only a refusal of the whole request is a no for every order."""
        text = reply.error_text()
        row = submit_row(reply.status, text)
        if row.code == RESTARTING and was_caught:
            row = replace(row, may_have_acted=True)
        self._note(asked, reply, row, text)
        if len(ids) > 1 and not row.whole_request:
            message = f"the batch was answered with HTTP {reply.status} ({row.code}): {shown(text)}"
            return [Judged(SubmitUnknown(order_id=order_id, message=message)) for order_id in ids]
        return [_judged(order_id, row, reply.status, text, reply.pause_s()) for order_id in ids]

    def _leg(self, order_id: OrderId, value: object, reply: Reply, asked: str) -> Judged:
        """HTTP 200: each answer by itself, so that one that cannot be read hides no other."""
        try:
            answer = post_answer(value)
        except VenueProtocolError as error:
            self._note(asked, reply, UNLISTED, "")
            return Judged(SubmitUnknown(order_id=order_id, message=str(error)))
        if answer.order_id and answer.order_id != order_id:
            return Judged(IdMismatch(expected=order_id, received=answer.order_id))
        if answer.error or not (answer.order_id or answer.success):
            return self._refused_leg(order_id, answer, reply, asked)
        if answer.success and answer.order_id and answer.status in ACCEPTED_STATUSES:
            return Judged(
                SubmitAccepted(
                    order_id=order_id,
                    status=VenueOrderStatus(answer.status),
                    making=answer.making,
                    taking=answer.taking,
                )
            )
        self._note(asked, reply, UNLISTED, "")
        words = f"answer with success {answer.success}, status {answer.status!r} and no reason"
        return Judged(SubmitUnknown(order_id=order_id, message=words))

    def _refused_leg(self, order_id: OrderId, answer: PostAnswer, reply: Reply, asked: str) -> Judged:
        """A no with HTTP 200, unless the order has an id and the text is not a known end of an order."""
        row = submit_row(OK, answer.error, leg_refused=not answer.order_id)
        self._note(asked, reply, row, answer.error)
        judged = _judged(order_id, row, OK, answer.error, None)
        outcome = judged.outcome
        if answer.order_id and isinstance(outcome, SubmitRefused) and not outcome.killed:
            words = f"answered with an id and an error: {outcome.message}"
            return Judged(SubmitUnknown(order_id=order_id, message=words))
        return judged

    # --- cancels ----------------------------------------------------------------------

    def cancels_unanswered(self, ids: Sequence[OrderId], error: VenueError) -> JudgedCancels:
        """What cancels have come to whose request got no answer that can be read."""
        outcomes = [CancelUnknown(order_id=order_id, message=str(error)) for order_id in ids]
        return JudgedCancels(outcomes, may_go_again=isinstance(error, VenueUnreachable))

    def cancels_answered(self, ids: Sequence[OrderId], reply: Reply, number: int, asked: str) -> JudgedCancels:
        """What the answer to a cancel request means for each order, in their order."""
        self._was_caught(reply, number)
        if reply.status != OK:
            text = reply.error_text()
            row = classify(reply.status, text)
            self._note(asked, reply, row, text)
            outcomes = [cancel_outcome(order_id, reply.status, text, retry_after_s=reply.pause_s()) for order_id in ids]
            return JudgedCancels(outcomes, may_go_again=row.kind is ErrorClass.RETRY)
        try:
            answer = cancel_answer(reply.body)
        except VenueProtocolError as error:
            self._note(asked, reply, UNLISTED, "")
            return self.cancels_unanswered(ids, error)
        return JudgedCancels([_cancelled(order_id, answer) for order_id in ids])

    # --- inside -----------------------------------------------------------------------

    def _was_caught(self, reply: Reply, number: int) -> bool:
        """Return whether a 425 answers a request that left before the first 425 of this restart was read."""
        if reply.status != HTTPStatus.TOO_EARLY:
            self._restart_told_at = 0
            return False
        if not self._restart_told_at:
            self._restart_told_at = self._requests
        return number <= self._restart_told_at

    def _note(self, asked: str, reply: Reply, row: Row, text: str) -> None:
        if not is_known(row, text):
            self._unknown_answers.note(asked, reply.status, text, reply.body)


def _judged(order_id: OrderId, row: Row, status: int, text: str, pause_s: float | None) -> Judged:
    return Judged(
        submit_outcome(order_id, row, status, text, retry_after_s=pause_s),
        may_go_again=row.kind is ErrorClass.RETRY,
        may_have_acted=row.may_have_acted,
    )


def _named(answer: object) -> str:
    """The id in an answer, empty when there is none or it cannot be read."""
    try:
        return post_answer(answer).order_id
    except VenueProtocolError:
        return ""


def _cancelled(order_id: OrderId, answer: CancelAnswer) -> CancelOutcome:
    if order_id in answer.canceled:
        return CancelAccepted(order_id=order_id)
    if order_id in answer.refused:
        return CancelRefused(order_id=order_id, message=shown(answer.refused[order_id]))
    return CancelUnknown(order_id=order_id, message="the answer to the cancel does not name this order")
