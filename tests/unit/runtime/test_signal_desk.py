"""The signal desk: answers reach the other thread, and one that has given up costs the loop nothing."""

from __future__ import annotations

import asyncio

from polystra.domain.events import SignalAct, SignalReceived
from polystra.domain.facts import RequestAnswered
from polystra.runtime.inbox import Inbox
from polystra.runtime.signal_desk import SignalDesk

SIGNAL = SignalReceived(
    request_id="hook:tv:1", hook="hook tv", act=SignalAct.CLOSE, market="m", outcome=None, price=0, budget=0
)
ANSWER = RequestAnswered(request_id="hook:tv:1", orders=(), refusal="", source="hook tv", at_ns=1)


async def test_everybody_who_sent_the_same_signal_is_answered() -> None:
    desk, inbox = SignalDesk(), Inbox()
    desk.open(inbox)
    first, second = desk.send(SIGNAL), desk.send(SIGNAL)
    await asyncio.sleep(0)
    assert len(inbox) == 2
    desk.heard([ANSWER])
    assert first.result(0) == second.result(0) == ANSWER


async def test_a_sender_who_gives_up_at_that_very_moment_does_not_break_the_loop() -> None:
    desk = SignalDesk()
    desk.open(Inbox())
    given_up, patient = desk.send(SIGNAL), desk.send(SIGNAL)
    await asyncio.sleep(0)
    given_up.cancelled = lambda: False  # type: ignore[method-assign] # looked at before, cancelled after
    given_up.cancel()
    desk.heard([ANSWER])
    assert patient.result(0) == ANSWER


async def test_an_answer_under_way_is_not_taken_back() -> None:
    desk = SignalDesk()
    desk.open(Inbox())
    sent = desk.send(SIGNAL)
    tries: list[bool] = []
    sent.add_done_callback(lambda answer: tries.append(answer.cancel()))
    await asyncio.sleep(0)
    desk.heard([ANSWER])
    assert (tries, sent.result(0)) == ([False], ANSWER)
