"""One HTTP request to an address that is a secret.

What lives here: the session, the deadline, the reading of the answer, errors that name no address. What must
not: the shape of a message (its channel's module), retries and queues (runtime).
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Final

import aiohttp

from polystra.ports.clock import Clock
from polystra.ports.notify import AlertNotDelivered

ANSWER_TIMEOUT_S: Final = 10.0
_LONGEST_PAUSE_S: Final = 3_600.0
_TOO_MANY: Final = 429
_LATER: Final = (408, 425, 429)
_SERVER: Final = 500
_NO_DEADLINE: Final = aiohttp.ClientTimeout(total=None, sock_connect=None, sock_read=None)


class Sender:
    """Sends to one address; `who` stands for it in every message. Made anywhere, used on one event loop."""

    def __init__(self, url: str, *, who: str, clock: Clock, timeout_s: float = ANSWER_TIMEOUT_S) -> None:
        self._url = url
        self._who = who
        self._clock = clock
        self._timeout_s = timeout_s
        self._session: aiohttp.ClientSession | None = None

    def __repr__(self) -> str:
        return f"Sender({self._who})"

    async def post(self, body: Mapping[str, object]) -> None:
        """Send a JSON object.

        Raises:
            AlertNotDelivered: it did not arrive, or was not taken.
        """
        await self._request("POST", body)

    async def ping(self) -> None:
        """Call the address without a body; raises AlertNotDelivered as `post` does."""
        await self._request("GET", None)

    async def close(self) -> None:
        """Release the connection."""
        if self._session is not None:
            await self._session.close()
            self._session = None

    async def _request(self, method: str, body: Mapping[str, object] | None) -> None:
        if self._session is None:
            self._session = aiohttp.ClientSession(timeout=_NO_DEADLINE)
        try:
            async with (
                self._clock.timeout(self._timeout_s),
                self._session.request(method, self._url, json=body, allow_redirects=False) as reply,
            ):
                status, pause = reply.status, _pause_s(reply.headers.get("Retry-After"))
        except TimeoutError:
            raise AlertNotDelivered(
                f"{self._who} gave no answer within {self._timeout_s:g} s", may_retry=True
            ) from None
        except (aiohttp.ClientError, OSError, ValueError) as error:
            # The error's own words may hold the address, and with it the secret: its name has to do.
            raise AlertNotDelivered(f"{self._who} cannot be reached ({type(error).__name__})", may_retry=True) from None
        if status >= 300:  # also a redirect: a secret goes nowhere else
            later = status in _LATER or status >= _SERVER
            raise AlertNotDelivered(
                f"{self._who} answered HTTP {status}" + ("" if later else ": check its URL in the settings"),
                may_retry=later,
                retry_after_s=pause if status == _TOO_MANY else 0.0,
            )


def _pause_s(text: str | None) -> float:
    try:
        seconds = float(text or 0)
    except ValueError:
        return 0.0
    return min(max(seconds, 0.0), _LONGEST_PAUSE_S) if math.isfinite(seconds) else 0.0
