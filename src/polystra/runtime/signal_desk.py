"""The signal desk: the one way from another thread into the engine, for outside signals.

What lives here: putting a signal into the inbox from a thread that is not the loop's, and telling that thread the
committed answer. What must not: who may send, what a signal does. Nothing waits here: the caller holds a future. A
signal that comes while the daemon ends is answered by nobody; its sender times out and asks again with the same id.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from concurrent.futures import Future

from polystra.domain.events import SignalReceived
from polystra.domain.facts import Fact, RequestAnswered
from polystra.runtime.inbox import Inbox


class SignalDesk:
    """See the module docstring. `open` and `heard` belong to the loop, `send` to whichever thread."""

    def __init__(self) -> None:
        self._loop: asyncio.AbstractEventLoop | None = None
        self._inbox: Inbox | None = None
        self._waiting: dict[str, list[Future[RequestAnswered]]] = {}

    def open(self, inbox: Inbox) -> None:
        """Take signals from now on; called on the loop."""
        self._loop = asyncio.get_running_loop()
        self._inbox = inbox

    def send(self, signal: SignalReceived) -> Future[RequestAnswered]:
        """Hand a signal over; the future is done when its answer is committed. Raises RuntimeError when closed."""
        answer: Future[RequestAnswered] = Future()
        if self._loop is None:
            raise RuntimeError("the daemon takes no signals yet")
        self._loop.call_soon_threadsafe(self._take, signal, answer)
        return answer

    def heard(self, facts: Iterable[Fact]) -> None:
        """After every commit: whoever waits for one of these is answered."""
        if not self._waiting:
            return
        for fact in facts:
            if isinstance(fact, RequestAnswered):
                for answer in self._waiting.pop(fact.request_id, ()):
                    if answer.set_running_or_notify_cancel():  # from now on the other thread cannot give up
                        answer.set_result(fact)

    def _take(self, signal: SignalReceived, answer: Future[RequestAnswered]) -> None:
        if self._inbox is None:
            return
        waiting = self._waiting.setdefault(signal.request_id, [])
        waiting[:] = [each for each in waiting if not each.cancelled()]
        waiting.append(answer)
        self._inbox.put(signal)
