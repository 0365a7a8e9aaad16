"""Faults of streams: one websocket of the exchange that may lose, delay, repeat or keep back its messages.

What lives here: the socket that all streams use, and what each fault does to what it sends. What must
not: what messages mean beyond their kind and subject, when a fault fires (`injector`).

Only data messages are struck one by one; acknowledgements, errors and pongs always pass, except on a
slow or half-open connection. A half-open connection reads nothing either: no pong, no answer to a close.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Any, Final, TypeAlias

import msgspec
from aiohttp import WSMessage, WSMsgType, web

from polystra.exchange.core import ExchangeCore
from polystra.exchange.faults.injector import Episode, Injector, Occasion
from polystra.exchange.faults.plan import FaultPlan
from polystra.exchange.faults.shown_books import Message, ShownBooks, market_names, tokens_of
from polystra.ports.clock import Clock

Later: TypeAlias = Callable[[Coroutine[Any, Any, None]], None]
_NAMES: Final = ("event_type", "channel", "topic", "e")


class FaultySocket(web.WebSocketResponse):
    """A server's websocket with faults on request; without any it is the plain one."""

    def __init__(
        self,
        stream: str,
        number: int,
        *,
        core: ExchangeCore,
        clock: Clock,
        injector: Injector,
        later: Later,
        **options: Any,  # noqa: ANN401 - aiohttp's own
    ) -> None:
        super().__init__(**options)
        self._stream = stream
        self._subject = f"{stream}#{number}"
        self._core = core
        self._clock = clock
        self._injector = injector
        self._later = later
        self._books = ShownBooks(core, clock, injector) if stream == "market" else None
        self._behind: list[list[Any]] = []
        self._transport_of: web.BaseRequest | None = None

    @property
    def half_open(self) -> bool:
        """Tell whether this connection carries nothing at all now."""
        return self._injector.is_on("half_open", self._subject)

    @property
    def subject(self) -> str:
        """The connection's name in the fault log."""
        return self._subject

    async def prepare(self, request: web.BaseRequest) -> Any:  # noqa: ANN401 - aiohttp's own
        """Answer the handshake.

        Raises:
            HTTPBadRequest: the client is gone; nobody reads it.
        """
        self._transport_of = request
        try:
            return await super().prepare(request)
        except ConnectionResetError as error:
            raise web.HTTPBadRequest(text="the client left before its handshake was answered") from error

    async def send_str(self, data: str, compress: int | None = None) -> None:
        """Send a text frame, or what faults make of it."""
        if self._is_untouched():
            await super().send_str(data, compress)
            return
        messages = _data_of(data)
        if await self._is_held(is_data=messages is not None):
            return
        if messages is None:
            await super().send_str(data, compress)
            return
        shown = [new for message in messages for new in (self._books.show(message) if self._books else [message])]
        whole = data if shown == messages else None
        if len(messages) == 1 and whole is not None:
            await self._strike(messages[0], whole)
            return
        for message in shown:
            await self._strike(message, msgspec.json.encode(message).decode())

    async def inject(self, text: str) -> None:
        """Send a frame that no fault strikes."""
        try:
            await super().send_str(text)
        except (ConnectionError, RuntimeError):
            return

    async def pong(self, message: bytes = b"") -> None:
        """Answer a protocol ping, unless the connection is half-open."""
        if not self.half_open:
            await super().pong(message)

    async def receive(self, timeout: float | None = None) -> WSMessage:  # noqa: ASYNC109 - aiohttp's own
        """Return the next message; a half-open connection reads nothing."""
        message = await super().receive(timeout)
        while self.half_open and message.type in {WSMsgType.TEXT, WSMsgType.BINARY}:
            message = await super().receive(timeout)
        return message

    def _is_untouched(self) -> bool:
        books_idle = self._books is None or self._books.idle()
        return books_idle and not self._behind and not self._injector.may_strike(self._stream, "message", "connection")

    async def _is_held(self, *, is_data: bool) -> bool:
        """Apply what is on for the whole connection; True when the frame is swallowed."""
        if not is_data:
            return self.half_open
        for episode in self._connection_faults():
            if episode.plan.kind == "slow_stream":
                await self._clock.sleep(episode.plan.number("seconds"))
            else:
                return True
        return False

    def _connection_faults(self) -> list[Episode]:
        return self._injector.lasting("connection", self._subject, {"stream": (self._stream,)})

    async def _strike(self, message: Message, text: str) -> None:
        plan = self._injector.fires("message", self._occasion(message))
        if plan is None:
            await self._send_with_late_ones(text)
            return
        await self._apply(plan, text)

    async def _apply(self, plan: FaultPlan, text: str) -> None:
        if plan.kind == "connection_aborted":
            self._abort()
        elif plan.kind == "message_delayed":
            self._later(self._send_later(text, plan.number("seconds")))
        elif plan.kind == "message_reordered":
            self._behind.append([int(plan.number("behind")), text])
        elif plan.kind == "message_duplicated":
            for _ in range(1 + int(plan.number("times"))):
                await self._send_with_late_ones(text)

    async def _send_with_late_ones(self, text: str) -> None:
        """Send a frame and whatever had to wait for it."""
        await super().send_str(text)
        due: list[str] = []
        for entry in self._behind:
            entry[0] -= 1
            if entry[0] == 0:
                due.append(entry[1])
        self._behind = [entry for entry in self._behind if entry[0] > 0]
        for late in due:
            await super().send_str(late)

    async def _send_later(self, text: str, seconds: float) -> None:
        await self._clock.sleep(seconds)
        await self.inject(text)

    def _abort(self) -> None:
        request = self._transport_of
        if request is not None and request.transport is not None:
            request.transport.abort()

    def _occasion(self, message: Message) -> Occasion:
        kind = next((str(message[name]) for name in _NAMES if name in message), "")
        detail = str(message.get("status" if kind == "trade" else "type", ""))
        tokens = tokens_of(message)
        occasion = {
            "stream": (self._stream,),
            "message": (kind, f"{kind}:{detail}") if detail else (kind,),
            "token": tokens,
            "market": market_names(self._core, tokens[0]) if tokens else (str(message.get("market", "")),),
        }
        if self._stream == "user":
            orders = (message.get("id"), message.get("taker_order_id"), *_maker_orders(message))
            occasion["order_id"] = tuple(str(order) for order in orders if order)
            occasion["account"] = tuple(str(message[n]) for n in ("maker_address", "owner") if message.get(n))
        return occasion


def _maker_orders(message: Message) -> list[object]:
    legs = message.get("maker_orders")
    return [leg.get("order_id") for leg in legs if isinstance(leg, dict)] if isinstance(legs, list) else []


def _data_of(text: str) -> list[Message] | None:
    """Return the data messages of a frame; None for pongs, acknowledgements and errors."""
    if not text.startswith(("{", "[")):
        return None
    decoded: Any = msgspec.json.decode(text)
    messages = decoded if isinstance(decoded, list) else [decoded]
    if not messages or not all(isinstance(message, dict) for message in messages):
        return None
    if any("op" in message or "result" in message or "error" in message for message in messages):
        return None
    return messages
