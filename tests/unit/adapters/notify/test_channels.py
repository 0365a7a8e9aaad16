from __future__ import annotations

import pytest
from aiohttp import web

from polystra.adapters.notify.discord import LONGEST, DiscordChannel
from polystra.adapters.notify.sender import Sender
from polystra.adapters.notify.webhook import WebhookChannel
from polystra.ports.notify import Alert, AlertNotDelivered, Severity
from tests.fakes.threaded_server import WallClock, serving

TOKEN = "T0ken-that-nobody-may-see"
ALERT = Alert(
    kind="freeze", subject="btc", severity=Severity.CRITICAL, text="@everyone look", at_ns=1_800_000_000 * 10**9
)


class Hook:
    """An endpoint that answers as told and keeps what it was sent."""

    def __init__(self) -> None:
        self.status = 204
        self.headers: dict[str, str] = {}
        self.bodies: list[dict[str, object]] = []
        self.paths: list[str] = []

    async def take(self, request: web.Request) -> web.Response:
        self.paths.append(request.path)
        if request.can_read_body:
            self.bodies.append(await request.json())
        return web.Response(status=self.status, headers=self.headers)

    def routes(self) -> list[web.RouteDef]:
        return [web.post("/{rest:.*}", self.take), web.get("/{rest:.*}", self.take)]


def sender(url: str, **words: float) -> Sender:
    return Sender(f"{url}/hooks/{TOKEN}", who="the webhook", clock=WallClock(), **words)


async def test_a_webhook_gets_a_json_object():
    hook = Hook()
    with serving(hook.routes()) as url:
        channel = WebhookChannel(sender(url))
        await channel.send(ALERT)
        await channel.close()
    assert hook.bodies == [
        {
            "kind": "freeze",
            "subject": "btc",
            "severity": "critical",
            "text": "@everyone look",
            "at": "2027-01-15T08:00:00Z",
        }
    ]


async def test_discord_gets_short_text_that_calls_nobody():
    hook = Hook()
    with serving(hook.routes()) as url:
        channel = DiscordChannel(sender(url))
        await channel.send(ALERT)
        await channel.send(Alert(kind="k", subject="s", severity=Severity.INFO, text="x" * 5_000, at_ns=0))
        await channel.close()
    assert "**freeze** @everyone look" in str(hook.bodies[0]["content"])
    assert hook.bodies[0]["allowed_mentions"] == {"parse": []}
    assert len(str(hook.bodies[1]["content"])) == LONGEST


@pytest.mark.parametrize(
    ("status", "may_retry"),
    [(500, True), (503, True), (429, True), (408, True), (400, False), (404, False), (302, False)],
)
async def test_an_answer_that_is_no_yes_is_an_error_without_the_address(status, may_retry):
    hook = Hook()
    hook.status, hook.headers = status, {"Retry-After": "7", "Location": "http://127.0.0.1:1/elsewhere"}
    with serving(hook.routes()) as url:
        post = sender(url)
        with pytest.raises(AlertNotDelivered) as caught:
            await post.post({"a": 1})
        await post.close()
    assert caught.value.may_retry is may_retry
    assert caught.value.retry_after_s == (7 if status == 429 else 0)
    assert str(status) in str(caught.value)
    assert TOKEN not in str(caught.value)
    assert len(hook.paths) == 1


async def test_nobody_there_is_an_error_without_the_address():
    post = Sender(f"http://127.0.0.1:9/hooks/{TOKEN}", who="the webhook", clock=WallClock())
    with pytest.raises(AlertNotDelivered) as caught:
        await post.post({"a": 1})
    await post.close()
    assert caught.value.may_retry
    assert TOKEN not in f"{caught.value!r} {caught.value.__cause__!r} {post!r}"
    assert caught.value.__suppress_context__


async def test_a_ping_is_a_question_without_a_body():
    hook = Hook()
    with serving(hook.routes()) as url:
        post = sender(url)
        await post.ping()
        await post.close()
    assert hook.paths == [f"/hooks/{TOKEN}"]
    assert hook.bodies == []
