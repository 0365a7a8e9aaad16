"""Whatever the venue answers, in whatever order: the same bytes, in time, and no doubt turned into a no."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from random import Random
from typing import Final

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from polystra.adapters.polymarket.error_catalogue import (
    CATALOGUE,
    UNLISTED,
)
from polystra.adapters.polymarket.error_classes import ErrorClass
from polystra.adapters.polymarket.errors import UnknownAnswers
from polystra.adapters.polymarket.orders import OrderCommands
from polystra.adapters.polymarket.rate_budget import VenueBudget
from polystra.adapters.polymarket.redaction import Redaction
from polystra.adapters.polymarket.transport import Headers, HttpTransport, Reply
from polystra.domain.errors import OutcomeUnknown, VenueError, VenueUnreachable
from polystra.domain.events import SubmitAccepted, SubmitOutcome, SubmitRefused
from polystra.domain.ids import ClientOrderId, OrderId
from polystra.domain.orders import SignedOrder
from polystra.domain.units import NS_PER_S, Nanos
from polystra.ports.venue import Submission

START_NS: Final = 1_800_000_000 * NS_PER_S


class JumpingClock:
    """Time passes only while somebody sleeps."""

    def __init__(self) -> None:
        self.at_ns = START_NS

    def now_ns(self) -> Nanos:
        return self.at_ns

    def monotonic_ns(self) -> Nanos:
        return self.at_ns

    async def sleep(self, seconds: float) -> None:
        self.at_ns += round(seconds * NS_PER_S)

    def timeout(self, seconds: float) -> AbstractAsyncContextManager[object]:
        return self._timeout(seconds)

    @asynccontextmanager
    async def _timeout(self, _seconds: float) -> AsyncIterator[object]:
        yield self


class Replies(HttpTransport):
    """A transport that answers from a list, its last answer for ever, and remembers what it was given."""

    def __init__(self, clock: JumpingClock, answers: list[Reply | VenueError]) -> None:
        super().__init__(base_url="http://nowhere", clock=clock, rng=Random(0))
        self._replies = answers
        self._time = clock
        self.sent: list[tuple[Nanos, bytes, Reply | VenueError]] = []

    async def write(self, method: str, path: str, body: bytes, headers: Headers, *, again_for_s: float = 0.0) -> Reply:
        answer = self._replies.pop(0) if len(self._replies) > 1 else self._replies[0]
        self.sent.append((self._time.now_ns(), body, answer))
        await self._time.sleep(0.05)
        if isinstance(answer, VenueError):
            raise answer
        return answer


def error(status: int, text: str) -> Reply:
    return Reply(status=status, body=msgspec.json.encode({"error": text}))


ORDER_ID: Final = OrderId("0x" + "1" * 64)
YES: Final = Reply(
    status=200,
    body=msgspec.json.encode({"success": True, "errorMsg": "", "orderID": ORDER_ID, "status": "live"}),
)
ROWS: Final = [(error(min(row.statuses) if row.statuses else 400, row.said), row) for row in CATALOGUE if row.pattern]
ANSWERS: Final = st.sampled_from(
    [
        (YES, None),
        (VenueUnreachable("no connection"), None),
        (OutcomeUnknown("broke off"), UNLISTED),
        (error(400, "words that nobody knows"), UNLISTED),
        *ROWS,
        *[pair for pair in ROWS if pair[1].kind is ErrorClass.RETRY] * 8,
    ]
)


def headers(_method: str, _path: str, _body: bytes) -> Mapping[str, str]:
    return {}


@given(st.lists(ANSWERS, min_size=1, max_size=6), st.integers(0, 20), st.integers(0, 2**16))
def test_a_resend_is_the_same_bytes_in_time_and_turns_no_doubt_into_a_no(
    answers: list[tuple[Reply | VenueError, object]], deadline_s: int, seed: int
) -> None:
    clock = JumpingClock()
    transport = Replies(clock, [answer for answer, _ in answers])
    commands = OrderCommands(
        transport,
        headers,
        clock=clock,
        rng=Random(seed),
        budget=VenueBudget(clock),
        unknown_answers=UnknownAnswers(Redaction()),
    )
    signed = SignedOrder(
        client_order_id=ClientOrderId("c"), order_id=ORDER_ID, body=b"signed", salt=1, timestamp_ms=1, quantity=1
    )
    deadline_ns = START_NS + deadline_s * NS_PER_S if deadline_s else 0
    told: list[SubmitOutcome] = []
    (outcome,) = asyncio.run(commands.submit([Submission(signed=signed, deadline_ns=deadline_ns)], told.append))
    rows = {id(answer): row for answer, row in answers}
    assert told == [outcome]
    assert {body for _, body, _ in transport.sent} == {b"signed"}
    assert all(not deadline_ns or at_ns < deadline_ns for at_ns, _, _ in transport.sent)
    for _, _, answer in transport.sent[:-1]:
        row = rows[id(answer)]
        assert isinstance(answer, VenueUnreachable) or row.kind is ErrorClass.RETRY  # type: ignore[attr-defined]
    doubtful = [row for _, _, answer in transport.sent if (row := rows[id(answer)]) is not None and row.may_have_acted]  # type: ignore[attr-defined]
    if doubtful:
        assert not isinstance(outcome, SubmitRefused)
    if transport.sent[-1][2] is YES:
        assert isinstance(outcome, SubmitAccepted)
