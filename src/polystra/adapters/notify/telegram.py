"""Telegram's bot API (core.telegram.org/bots/api): messages to chats, and what people write to the bot.

What lives here: three requests, the reading of their answers, errors that name no address: the bot's token stands
in the path of every request. What must not: who may write, what a command means (the application).

`getUpdates` waits at the server (long polling); asking with an offset tells the server that everything before it
was taken, so that no message comes twice.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import aiohttp

from polystra.ports.clock import Clock
from polystra.ports.notify import Alert, AlertNotDelivered, Severity

LONGEST: Final = 4_096
"""Characters of a message (Bot API, sendMessage)."""
POLL_S: Final = 25
ANSWER_TIMEOUT_S: Final = 10.0
_MARKS: Final = {Severity.INFO: "🟢", Severity.WARNING: "🟡", Severity.CRITICAL: "🔴"}
_NO_DEADLINE: Final = aiohttp.ClientTimeout(total=None, sock_connect=None, sock_read=None)
_LONGEST_PAUSE_S: Final = 3_600.0
_TOO_MANY: Final = 429
_SERVER: Final = 500
_WORDS: Final = {
    401: "the token is not a bot's: check TELEGRAM_TOKEN",
    403: "the bot may not write there: start a chat with it, or take the id out of TELEGRAM_CHAT_IDS",
    404: "the token is not a bot's: check TELEGRAM_TOKEN",
    409: "another program reads this bot's messages: give each daemon a bot of its own",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class ChatMessage:
    """What somebody wrote. `sent_s` is Telegram's time, UTC seconds; `text` is empty when it was no text."""

    update_id: int
    chat_id: int
    sent_s: int
    text: str


class TelegramBot:
    """One bot at one server. Made anywhere, used on one event loop."""

    who: Final = "the bot of TELEGRAM_TOKEN"

    def __init__(self, token: str, *, base_url: str, clock: Clock, poll_s: float = POLL_S) -> None:
        self._root = f"{base_url}/bot{token}"
        self._clock = clock
        self._poll_s = poll_s
        self._session: aiohttp.ClientSession | None = None

    def __repr__(self) -> str:
        return f"TelegramBot({self.who})"

    async def send(self, chat_id: int, text: str, *, silent: bool = False) -> None:
        """Write to a chat; a longer text is cut. Raises AlertNotDelivered."""
        shown = text if len(text) <= LONGEST else f"{text[: LONGEST - 1]}…"
        body = {
            "chat_id": chat_id,
            "text": shown,
            "disable_notification": silent,
            "link_preview_options": {"is_disabled": True},
        }
        await self._call("sendMessage", body, timeout_s=ANSWER_TIMEOUT_S)

    async def messages(self, offset: int) -> list[ChatMessage]:
        """Messages from `offset` on, waited for; raises AlertNotDelivered."""
        body = {"offset": offset, "timeout": int(self._poll_s), "allowed_updates": ["message"]}
        told = await self._call("getUpdates", body, timeout_s=self._poll_s + ANSWER_TIMEOUT_S)
        return [found for each in told if (found := _message(each)) is not None] if isinstance(told, list) else []

    async def close(self) -> None:
        """Release the connection."""
        if self._session is not None:
            await self._session.close()
            self._session = None

    # --- inside -----------------------------------------------------------------------

    async def _call(self, method: str, body: dict[str, object], *, timeout_s: float) -> object:
        if self._session is None:
            self._session = aiohttp.ClientSession(timeout=_NO_DEADLINE)
        try:
            async with (
                self._clock.timeout(timeout_s),
                self._session.post(f"{self._root}/{method}", json=body, allow_redirects=False) as reply,
            ):
                status, told = reply.status, await _json(reply)
        except TimeoutError:
            raise AlertNotDelivered(f"{self.who} got no answer within {timeout_s:g} s", may_retry=True) from None
        except (aiohttp.ClientError, OSError, ValueError) as error:
            # The error's own words may hold the address, and with it the token: its name has to do.
            raise AlertNotDelivered(
                f"{self.who} cannot reach Telegram ({type(error).__name__})", may_retry=True
            ) from None
        if status == 200 and told.get("ok") is True:
            return told.get("result")
        later = status == _TOO_MANY or status >= _SERVER
        words = _WORDS.get(status, "the request was not taken")
        raise AlertNotDelivered(
            f"{self.who} was answered HTTP {status}: {words}",
            may_retry=later,
            retry_after_s=_pause_s(told) if status == _TOO_MANY else 0.0,
        )


class TelegramChannel:
    """Fulfils `AlertChannel`: every alert goes to every chat; those below `silent_below` make no sound."""

    name = "telegram"

    def __init__(self, bot: TelegramBot, chat_ids: tuple[int, ...], *, silent_below: Severity) -> None:
        self._bot = bot
        self._chat_ids = chat_ids
        self._silent_below = silent_below
        self._sent: dict[int, Alert] = {}
        """What each chat got last: a message that is tried again does not come twice."""

    async def send(self, alert: Alert) -> None:
        """Deliver one message to every chat; raises AlertNotDelivered."""
        text = f"{_MARKS[alert.severity]} {alert.kind}: {alert.text}"
        failed: AlertNotDelivered | None = None
        for chat_id in self._chat_ids:
            if self._sent.get(chat_id) == alert:
                continue
            try:
                await self._bot.send(chat_id, text, silent=alert.severity < self._silent_below)
                self._sent[chat_id] = alert
            except AlertNotDelivered as error:
                failed = error if failed is None or error.may_retry else failed
        if failed is not None:
            raise failed

    async def close(self) -> None:
        """Release the connection."""
        await self._bot.close()


async def _json(reply: aiohttp.ClientResponse) -> dict[str, Any]:
    """The answer's object; an empty one where it is none."""
    try:
        told = await reply.json(content_type=None)
    except ValueError:
        return {}
    return told if isinstance(told, dict) else {}


def _pause_s(told: dict[str, Any]) -> float:
    """The pause that a 429 asks for."""
    parameters = told.get("parameters")
    asked = parameters.get("retry_after") if isinstance(parameters, dict) else None
    return min(float(asked), _LONGEST_PAUSE_S) if isinstance(asked, int) and asked > 0 else 0.0


def _message(update: object) -> ChatMessage | None:
    """An update with a message as it should be; None for anything else that has no number."""
    if not isinstance(update, dict) or not isinstance(update.get("update_id"), int):
        return None
    message = update.get("message")
    message = message if isinstance(message, dict) else {}
    chat, sent_s, text = message.get("chat"), message.get("date"), message.get("text")
    chat_id = chat.get("id") if isinstance(chat, dict) else None
    return ChatMessage(
        update_id=update["update_id"],
        chat_id=chat_id if isinstance(chat_id, int) else 0,
        sent_s=sent_s if isinstance(sent_s, int) else 0,
        text=text.encode("utf-8", "replace").decode("utf-8") if isinstance(text, str) else "",
    )
