"""A Telegram server that answers as the bot API does, for one bot."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from aiohttp import web

from tests.fakes.threaded_server import serving

TOKEN = "1234567:AA-nobody-may-see-this-token-of-the-bot"
DEADLINE_S = 60.0


class FakeTelegram:
    """`write` puts a message into a chat; `sent` is what the bot wrote. `status` other than 200 refuses all."""

    def __init__(self) -> None:
        self.sent: list[dict[str, Any]] = []
        self.status = 200
        self.retry_after = 0
        self.asked: list[int] = []
        self._updates: list[Any] = []
        self._number = 100

    def write(self, chat_id: int, text: str, *, age_s: int = 0) -> None:
        self._number += 1
        message = {"chat": {"id": chat_id}, "date": int(time.time()) - age_s, "text": text}
        self._updates.append({"update_id": self._number, "message": message})

    def put(self, update: Any) -> None:
        """An update of any shape."""
        self._updates.append(update)

    def answers(self, chat_id: int) -> list[str]:
        return [each["text"] for each in self.sent if each["chat_id"] == chat_id]

    def wait_for(self, *words: str, chat_id: int = 7, after: int = 0) -> str:
        """The first answer with one of these words, later than the first `after` of them."""
        deadline = time.monotonic() + DEADLINE_S
        while time.monotonic() < deadline:
            for text in self.answers(chat_id)[after:]:
                if any(each in text for each in words):
                    return text
            threading_pause()
        raise AssertionError(f"no answer with {words!r}: {self.answers(chat_id)}")

    # --- the server -------------------------------------------------------------------

    async def updates(self, request: web.Request) -> web.Response:
        body = await request.json()
        self.asked.append(body["offset"])
        if (refused := self._refused()) is not None:
            return refused
        for _ in range(10):
            self._updates = [
                each for each in self._updates if not isinstance(each, dict) or each["update_id"] >= body["offset"]
            ]
            if self._updates:
                break
            await asyncio.sleep(0.02)
        found = list(self._updates)
        self._updates = [each for each in self._updates if isinstance(each, dict)]
        return web.json_response({"ok": True, "result": found})

    async def message(self, request: web.Request) -> web.Response:
        body = await request.json()
        if (refused := self._refused()) is not None:
            return refused
        self.sent.append(body)
        return web.json_response({"ok": True, "result": {"message_id": len(self.sent)}})

    def _refused(self) -> web.Response | None:
        if self.status == 200:
            return None
        told: dict[str, Any] = {"ok": False, "error_code": self.status, "description": f"no, bot{TOKEN}"}
        if self.retry_after:
            told["parameters"] = {"retry_after": self.retry_after}
        return web.json_response(told, status=self.status)

    @contextmanager
    def serving(self) -> Iterator[str]:
        """Serve; yields the base URL."""
        routes = [
            web.post(f"/bot{TOKEN}/getUpdates", self.updates),
            web.post(f"/bot{TOKEN}/sendMessage", self.message),
        ]
        with serving(routes) as url:
            yield url


def threading_pause() -> None:
    """Let the server's thread work."""
    time.sleep(0.02)
