"""One websocket connection of the exchange: a bounded queue out, text frames in, PING and PONG.

What lives here: what the market and the user channel have in common. A reader that is too slow to
keep up is disconnected instead of served with gaps, because the venue's order-book streams have no
sequence numbers by which a client could notice. What must not: what frames mean.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from typing import Final

from aiohttp import WSMsgType, web

from polystra.exchange.faults.desk import is_half_open, stream_socket
from polystra.exchange.payloads import encode
from polystra.ports.clock import Clock

MAX_FRAME_BYTES: Final = 1 << 20
CLOSE_TIMEOUT_S: Final = 5.0
_MOST_IN_AN_ARRAY: Final = 50


class Connection:
    """A client's socket; `send` never waits, `serve` lasts as long as the connection.

    With `arrays` the objects that wait together travel as one frame, a JSON array.
    """

    def __init__(
        self,
        request: web.Request,
        clock: Clock,
        *,
        stream: str,
        queued_frames: int,
        silence_s: float,
        arrays: bool = False,
    ) -> None:
        self._request = request
        self._clock = clock
        self._limit = queued_frames
        self._silence_s = silence_s
        self._socket = stream_socket(request, stream, max_msg_size=MAX_FRAME_BYTES)
        self._frames: deque[str] = deque()
        self._longest_array = _MOST_IN_AN_ARRAY if arrays else 1
        self._wake = asyncio.Event()
        self._aborted = False

    async def accept(self) -> None:
        """Answer the handshake."""
        await self._socket.prepare(self._request)

    def send(self, payload: object) -> None:
        """Queue a JSON frame; beyond the limit the connection is cut."""
        self.send_text(encode(payload).decode())

    def send_text(self, text: str) -> None:
        """Queue a text frame; beyond the limit the connection is cut."""
        if self._aborted:
            return
        if len(self._frames) >= self._limit:
            self._abort()
            return
        self._frames.append(text)
        self._wake.set()

    async def receive(self) -> str | None:
        """Return the next text frame, answering PINGs; None when the client left or fell silent."""
        while not self._aborted:
            try:
                async with self._clock.timeout(self._silence_s):
                    message = await self._socket.receive()
            except TimeoutError:
                if is_half_open(self._socket):
                    continue
                return None
            if message.type is not WSMsgType.TEXT:
                return None
            if message.data != "PING":
                return str(message.data)
            self.send_text("PONG")
        return None

    async def serve(self, on_text: Callable[[str], None]) -> None:
        """Write queued frames and hand received ones to `on_text` until the client is gone."""
        async with asyncio.TaskGroup() as group:
            writer = group.create_task(self._write())
            while (text := await self.receive()) is not None:
                on_text(text)
            writer.cancel()

    async def close(self) -> web.WebSocketResponse:
        """Close politely, or cut the connection when the client does not follow."""
        try:
            async with self._clock.timeout(CLOSE_TIMEOUT_S):
                await self._socket.close()
        except (TimeoutError, ConnectionError):
            self._abort()
        return self._socket

    async def _write(self) -> None:
        try:
            while True:
                while self._frames:
                    await self._socket.send_str(self._next_frame())
                self._wake.clear()
                await self._wake.wait()
        except ConnectionError:
            self._abort()

    def _next_frame(self) -> str:
        frames = self._frames
        together = [frames.popleft()]
        if together[0].startswith("{"):
            while frames and len(together) < self._longest_array and frames[0].startswith("{"):
                together.append(frames.popleft())
        return together[0] if len(together) == 1 else f"[{','.join(together)}]"

    def _abort(self) -> None:
        self._aborted = True
        self._frames.clear()
        if self._request.transport is not None:
            self._request.transport.abort()
