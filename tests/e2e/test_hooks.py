"""Inbound hooks over real sockets: what is refused, with which status, logged once; what is taken, traded once."""

from __future__ import annotations

import itertools
import json
import socket
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

import pytest

from tests.e2e.api_daemon import Answer, ApiDaemon, running_api

SECRET, PATH = "body-secret-0123456789", "path-secret-0123456789"
OTHER, OTHER_PATH = "other-secret-0123456789", "other-path-0123456789"
FILE = f"""
tv: {{secret: {SECRET}, path_secret: {PATH}, live: yes, per_minute: 600, max_age_seconds: 3600, actions: [open, close]}}
paper: {{secret: {OTHER}, path_secret: {OTHER_PATH}, per_minute: 600, max_age_seconds: 3600}}
slow: {{secret: slow-secret-0123456789, path_secret: slow-path-0123456789, per_minute: 2, max_age_seconds: 3600}}
far: {{secret: far-secret-0123456789, path_secret: far-path-0123456789, allow: [203.0.113.0/24]}}
"""
ids = (f"id-{number}" for number in itertools.count())


@pytest.fixture(scope="module")
def daemon(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ApiDaemon]:
    folder = tmp_path_factory.mktemp("hooks")
    file = folder / "hooks.yaml"
    file.write_text(FILE)
    file.chmod(0o600)
    limits = {"MIN_EDGE_PERCENT": "90", "WINDOWS": "15m", "SYMBOLS": "BTC"}
    with running_api(folder, speed="1", HOOKS_FILE=str(file), **limits) as running:
        yield running


def now(daemon: ApiDaemon) -> str:
    """The daemon's own time: it is simulated."""
    told = daemon.read("/snapshot")["status"]["at"]
    assert isinstance(told, str)
    return told


def send(daemon: ApiDaemon, *, hook: str = "tv", path: str = PATH, raw: bytes | None = None, **changes: Any) -> Answer:
    body = {
        "secret": SECRET,
        "id": next(ids),
        "time": now(daemon),
        "action": "open",
        "market": "BTC/15m",
        "outcome": "up",
        "dollars": "3",
        "worst_price": "0.99",
    } | changes
    body = {name: value for name, value in body.items() if value is not None}
    return daemon.ask("POST", f"/hooks/{hook}/{path}", body if raw is None else raw)


def refusal_told(daemon: ApiDaemon, status: int) -> dict[str, Any]:
    """The next line of a refusal with this status."""
    while (told := daemon.process.wait_for("hook.refused"))["status"] != status:
        pass
    return told


def refusals(daemon: ApiDaemon, status: int) -> list[dict[str, Any]]:
    """All such lines so far, that of another refusal after them included."""
    told = [json.loads(line) for line in daemon.process.lines]
    return [line for line in told if line.get("event") == "hook.refused" and line["status"] == status]


def test_wrong_ways_in_look_alike(daemon: ApiDaemon) -> None:
    told = {send(daemon, hook=hook, path=path).body for hook, path in (("tv", "x" * 22), ("none", PATH))}
    assert len(told) == 1
    assert send(daemon, hook="tv", path=OTHER_PATH).status == 404
    assert refusal_told(daemon, 404)["address"] == "127.0.0.1"


@pytest.mark.parametrize(
    ("changes", "status", "words"),
    [
        ({"secret": "wrong"}, 401, "secret is wrong"),
        ({"time": "2020-01-01T00:00:00Z"}, 422, "a signal counts for"),
        ({"time": "yesterday"}, 400, "time does not fit"),
        ({"time": "2026-11-21T10:00:00"}, 400, "time does not fit"),
        ({"time": 10**30}, 400, "does not fit"),
        ({"time": 10**15}, 400, "time does not fit"),
        ({"time": "9" * 40}, 400, "time does not fit"),
        ({"time": "9999-12-31T23:59:59+00:00"}, 422, "a signal counts for"),
        ({"time": "9999-12-31T23:59:59-12:00"}, 400, "time does not fit"),
        ({"time": "0001-01-01T00:00:00+14:00"}, 400, "time does not fit"),
        ({"time": -1}, 400, "time does not fit"),
        ({"action": "add"}, 403, "which this hook may not"),
        ({"action": "sell"}, 400, "action does not fit"),
        ({"market": "DOGE/15m"}, 422, "not open here now"),
        ({"dollars": "6"}, 422, "this hook may spend 5"),
        ({"dollars": "0"}, 400, "dollars does not fit"),
        ({"dollars": "NaN"}, 400, "dollars does not fit"),
        ({"dollars": "1e999999"}, 400, "dollars does not fit"),
        ({"worst_price": None}, 400, "worst_price does not fit"),
        ({"worst_price": "1.5"}, 422, "price"),
        ({"outcome": None}, 400, "outcome is missing"),
        ({"outcome": "up\n"}, 400, "outcome does not fit"),
        ({"outcome": "yes"}, 400, "outcome does not fit"),
        ({"id": ""}, 400, "id does not fit"),
        ({"id": "a\n"}, 400, "id does not fit"),
        ({"id": "a b"}, 400, "id does not fit"),
        ({"sceret": "x"}, 400, "does not fit"),
        ({"raw": b"{"}, 400, "not JSON"),
        ({"raw": b"[]"}, 400, "does not fit"),
        ({"raw": b"x" * 5_000}, 413, "send less"),
        ({"action": "close", "outcome": "down"}, 422, "nothing is held"),
    ],
)
def test_what_is_refused_says_why_and_trades_nothing(
    daemon: ApiDaemon, changes: dict[str, Any], status: int, words: str
) -> None:
    answer = send(daemon, **changes)
    assert (answer.status, words in answer.error) == (status, True), answer.body
    assert SECRET not in answer.error


def test_a_body_that_is_broken_on_its_way_is_refused_and_fills_no_log(daemon: ApiDaemon) -> None:
    packed = daemon.ask("POST", f"/hooks/tv/{PATH}", b"garbage", headers={"Content-Encoding": "gzip"})
    assert (packed.status, "not JSON" in packed.error) == (400, True)
    parts = urlsplit(daemon.url)
    with socket.create_connection((parts.hostname or "", parts.port or 0), timeout=30) as line:
        head = f"POST /hooks/tv/{PATH} HTTP/1.1\r\nHost: 127.0.0.1\r\nTransfer-Encoding: chunked\r\n\r\n"
        line.sendall(f"{head}1\r\n{{\r\nzz\r\n".encode())
        assert b" 400 " in line.recv(4_096).partition(b"\r\n")[0]
    assert not [line for line in daemon.process.lines if '"library":"aiohttp' in line]


def test_nothing_was_traded_by_what_was_refused(daemon: ApiDaemon) -> None:
    assert daemon.read("/orders")["items"] == []


def test_only_listed_addresses_may_use_a_hook_with_a_list(daemon: ApiDaemon) -> None:
    answer = send(daemon, hook="far", path="far-path-0123456789", secret="far-secret-0123456789")
    assert (answer.status, "may not use this hook" in answer.error) == (403, True)


def test_a_hook_that_is_not_live_says_what_it_would_do(daemon: ApiDaemon) -> None:
    answer = send(daemon, hook="paper", path=OTHER_PATH, secret=OTHER)
    assert (answer.status, "the hook is not live: it would have bought" in answer.error) == (422, True)
    assert daemon.read("/orders")["items"] == []


def test_a_signal_is_carried_out_once_and_closed_by_the_side_held(daemon: ApiDaemon) -> None:
    first = send(daemon, id="the-one")
    assert first.status == 202, first.body
    [order] = first.json["orders"]
    again = send(daemon, id="the-one")
    assert (again.status, "answered before" in again.error) == (409, True)
    assert [each["client_order_id"] for each in daemon.read("/orders")["items"]] == [order]
    close = send(daemon, action="close", outcome=None, dollars=None, worst_price=None)
    assert close.status == 202, close.body
    daemon.process.wait_for("position.closed")


def test_a_flood_is_refused_and_told_once(daemon: ApiDaemon) -> None:
    sent: dict[str, Any] = {"hook": "slow", "path": "slow-path-0123456789", "secret": "slow-secret-0123456789"}
    statuses = [send(daemon, **sent).status for _ in range(12)]
    assert statuses[:2] == [422, 422]
    assert set(statuses[2:]) == {429}
    refusal_told(daemon, 429)
    assert send(daemon, hook="slow", path=PATH).status == 404
    refusal_told(daemon, 404)
    [told] = refusals(daemon, 429)
    assert told["hook"] == "slow"


def test_guessing_secrets_is_slowed_down(daemon: ApiDaemon) -> None:
    told = len(refusals(daemon, 429))
    statuses = [send(daemon, hook=f"guess-{number}", path="y" * 22).status for number in range(14)]
    assert statuses[-1] == 429
    assert send(daemon, action="close").status == 422, "strangers silence nobody who knows the way"
    statuses = [send(daemon, secret="wrong").status for _ in range(14)]
    assert statuses[-1] == send(daemon).status == 429
    while {line["hook"] for line in refusals(daemon, 429)} < {"slow", "unknown", "tv"}:
        refusal_told(daemon, 429)
    assert len(refusals(daemon, 429)) == told + 2


def test_no_secret_reached_the_log(daemon: ApiDaemon) -> None:
    text = "".join(daemon.process.lines) + daemon.process.errors()
    assert not [secret for secret in (SECRET, PATH, OTHER, OTHER_PATH) if secret in text]
