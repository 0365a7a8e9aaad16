"""Who may act: names, origins, tokens, rates; and who watches without reading is cut off."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from polystra.app.log_ring import LogRing
from polystra.app.web.board import Board
from polystra.app.web.guard import WRONG_TOKENS_PER_MINUTE, Guard, check_json
from polystra.app.web.refusal import Refused
from polystra.app.web.stream import QUEUE, Hub, _Watcher
from tests.fakes.clock import ManualClock

TOKEN = "right-token-0123456789"


def request(**headers: str) -> Any:
    names = {name.replace("_", "-"): value for name, value in headers.items()}
    return SimpleNamespace(headers=names, content_type=names.get("Content-Type", "application/octet-stream"))


def guard(clock: ManualClock | None = None, token: str = TOKEN, allowed: tuple[str, ...] = ()) -> Guard:
    return Guard(token=token, host="127.0.0.1", allowed=allowed, clock=clock or ManualClock())


def refused(made: Guard, client: str = "a", **headers: str) -> int:
    with pytest.raises(Refused) as caught:
        made.check_actor(request(**headers), client)
    return caught.value.status


@pytest.mark.parametrize("host", ["127.0.0.1:8787", "localhost", "[::1]:80", "LOCALHOST:1", "bot.example:443"])
def test_the_servers_names_are_taken(host: str) -> None:
    guard(allowed=("bot.example",)).check_place(request(Host=host, Origin=f"http://{host}"))


@pytest.mark.parametrize("host", ["evil.example", "", "127.0.0.1.evil.example", "[::1", "127.0.0.1@evil.example"])
def test_other_names_are_refused(host: str) -> None:
    with pytest.raises(Refused, match="none of this server's names"):
        guard().check_place(request(Host=host))


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "http://127.0.0.1:1"},
        {"Origin": "null"},
        {"Origin": ""},
        {"Origin": "http://["},
        {"Sec-Fetch-Site": "same-site"},
        {"Sec-Fetch-Site": "cross-site"},
    ],
)
def test_other_pages_are_refused(headers: dict[str, str]) -> None:
    with pytest.raises(Refused, match="another page"):
        guard().check_place(request(Host="127.0.0.1:8787", **headers))


def test_the_token_is_taken_in_either_header() -> None:
    made = guard()
    made.check_actor(request(Authorization=f"Bearer {TOKEN}"), "a")
    made.check_actor(request(Authorization=f"bearer  {TOKEN}"), "a")
    made.check_actor(request(X_API_Token=TOKEN), "a")
    assert made.wrong_tokens == 0


@pytest.mark.parametrize("given", ["", TOKEN[:-1], f"{TOKEN}x", "é" * 20, "\udce9" * 20])
def test_another_token_is_counted(given: str) -> None:
    made = guard()
    assert refused(made, Authorization=f"Bearer {given}") == 401
    assert refused(made, Authorization=f"Basic {TOKEN}") == 401
    assert made.wrong_tokens == 2


def test_guessing_is_stopped_for_that_address_until_the_minute_is_over() -> None:
    clock = ManualClock()
    made = guard(clock)
    for _ in range(WRONG_TOKENS_PER_MINUTE):
        assert refused(made, X_API_Token="guess") == 401
    assert refused(made, X_API_Token=TOKEN) == 429
    made.check_actor(request(X_API_Token=TOKEN), "somebody else")
    clock._now_ns += 61 * 1_000_000_000
    made.check_actor(request(X_API_Token=TOKEN), "a")


def test_without_a_token_of_its_own_nobody_acts() -> None:
    assert refused(guard(token=""), X_API_Token="") == 403


def test_asking_a_server_without_a_token_again_and_again_is_stopped_too() -> None:
    made = guard(token="")
    statuses = [refused(made) for _ in range(WRONG_TOKENS_PER_MINUTE + 2)]
    assert statuses == [403] * WRONG_TOKENS_PER_MINUTE + [429] * 2
    assert made.wrong_tokens == 0


def test_names_are_the_same_in_capitals() -> None:
    guard(allowed=("Bot.Example",)).check_place(request(Host="bot.example"))


def test_only_json_acts() -> None:
    check_json(request(Content_Type="application/json"))
    with pytest.raises(Refused):
        check_json(request(Content_Type="text/plain"))


async def test_a_watcher_that_does_not_read_is_cut_off_and_the_others_go_on() -> None:
    ring = LogRing()
    ring.keep(on=True)
    site: Any = SimpleNamespace(board=Board(), lines=ring)
    hub = Hub(site)
    cut: list[str] = []
    lazy, eager = _Watcher(("log",)), _Watcher(("log",))
    hub._watchers = {lazy: lambda: cut.append("lazy"), eager: lambda: cut.append("eager")}
    for number in range(QUEUE + 1):
        ring(None, "info", {"event": f"e{number}"})
        hub.feed()
        assert eager.queue.get_nowait() is not None
    assert cut == ["lazy"]
    assert (hub.dropped, len(hub)) == (1, 1)
