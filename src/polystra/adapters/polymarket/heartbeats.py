"""The dead man's switch of an API key: one beat at a time, each carrying the id of the last answer.

What lives here: the request and the chain of ids. What must not: when to beat, any task of its own,
what to do about cancelled orders.

The first beat that is taken arms the switch and nothing disarms it: from then on, 10 to 15 seconds
without a valid beat cancel every open order of the key, so that whoever starts must beat every
five seconds and go on until no order is open (Polymarket CLOB docs, heartbeats).
"""

from __future__ import annotations

import asyncio
from http import HTTPStatus
from typing import Final

import msgspec

from polystra.adapters.polymarket.errors import read_error
from polystra.adapters.polymarket.transport import OK, Headers, HttpTransport, Reply, json_object
from polystra.adapters.polymarket.wire import required_text, text
from polystra.domain.errors import VenueProtocolError

HEARTBEAT_EVERY_S: Final = 5.0
_PATH: Final = "/v1/heartbeats"


class Heartbeat:
    """The beats of one API key. Make one per key: two chains invalidate each other's ids."""

    def __init__(self, transport: HttpTransport, headers: Headers) -> None:
        self._transport = transport
        self._headers = headers
        self._next_id = ""
        self._one_at_a_time = asyncio.Lock()

    async def beat(self) -> bool:
        """Beat once; a beat that is still under way is waited for, not overtaken.

        Returns True when the venue expected another id than our last one.

        A wrong id (the last answer was lost, or another process beat before) is answered with the right
        one, which is adopted and sent at once, one time. After any failure the next call simply goes on.

        Raises:
            VenueUnreachable: not sent, or the engine is restarting (425) or broken (5xx): orders may be gone.
            OutcomeUnknown: no answer was read; the next beat finds out the id.
            RateLimited: too many requests.
            AuthFailed: the credentials are not accepted; the switch is not held.
            VenueRefused: any other no, also a second wrong id in a row.
            VenueProtocolError: the answer cannot be read.
        """
        async with self._one_at_a_time:
            reply = await self._send()
            expected = _expected_id(reply)
            was_adopted = expected is not None and expected != self._next_id
            if expected is not None and was_adopted:
                self._next_id = expected
                reply = await self._send()
            if reply.status != OK:
                raise read_error(
                    reply.status, reply.error_text(), asked=f"POST {_PATH}", retry_after_s=reply.retry_after_s
                )
            self._next_id = required_text(json_object(reply, "heartbeat"), "heartbeat_id")
            return was_adopted

    async def _send(self) -> Reply:
        body = msgspec.json.encode({"heartbeat_id": self._next_id})
        return await self._transport.write("POST", _PATH, body, self._headers)


def _expected_id(reply: Reply) -> str | None:
    """Return the id that a refusal names (empty: the chain begins anew), None for any other answer."""
    if reply.status != HTTPStatus.BAD_REQUEST:
        return None
    try:
        answer = json_object(reply, "heartbeat")
        return text(answer, "heartbeat_id") if "heartbeat_id" in answer else None
    except VenueProtocolError:
        return None
