"""What the control API does: with the token alone, down the commands' road, told when it is committed, audited."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from polystra.app.web.routes import ROUTES
from tests.e2e.api_daemon import TOKEN, ApiDaemon, running_api

ACTIONS = [route for route in ROUTES if route.acts]


@pytest.fixture(scope="module")
def daemon(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ApiDaemon]:
    with running_api(tmp_path_factory.mktemp("actions")) as running:
        yield running


def switches(daemon: ApiDaemon) -> set[str]:
    """The names of what is on, of a look that is newer than now."""
    number = daemon.read("/status")["number"]
    for _, told in daemon.events("/api/v1/events?only=snapshot"):
        if told["status"]["number"] > number:
            return {each["name"] for each in told["status"]["switches"]}
    raise AssertionError("the stream ended")


def audited(daemon: ApiDaemon, path: str) -> list[dict[str, Any]]:
    """The rows of an action, once they are written (a second later)."""
    for _ in daemon.events("/api/v1/events?only=snapshot"):
        rows = [each for each in daemon.read("/audit?limit=100")["items"] if each["path"] == f"/api/v1{path}"]
        if rows:
            return rows
    raise AssertionError("the stream ended")


def test_every_action_needs_the_token(daemon: ApiDaemon) -> None:
    assert {route.path for route in ACTIONS} == {
        "/stop",
        "/start",
        "/stopentry",
        "/pause",
        "/forceexit",
        "/forceenter",
        "/reload_config",
    }
    for route in ACTIONS:
        answer = daemon.ask("POST", f"/api/v1{route.path}", {})
        assert answer.status == 401, route.path
        assert "API_TOKEN" in answer.error
        assert answer.headers["www-authenticate"].startswith("Bearer")
    assert not {"kill", "stop_entry", "pause"} & switches(daemon)
    rows = audited(daemon, "/forceenter")
    assert rows[0]["outcome"] == "wrong token"
    assert TOKEN not in str(rows)


def test_stop_throws_the_kill_switch_and_start_ends_it(daemon: ApiDaemon) -> None:
    answer = daemon.act("/stop")
    assert answer.status == 200, answer.body
    assert answer.json["done"].startswith("Kill switch on")
    assert "running daemon has it" in answer.json["done"]
    assert "kill" in switches(daemon)
    rows = audited(daemon, "/stop")
    assert (rows[0]["status"], rows[0]["outcome"]) == (200, "ok")
    assert "127.0.0.1" in rows[0]["request"]
    assert daemon.act("/start").json["done"].startswith("Entries resumed")
    assert "kill" not in switches(daemon)


def test_entries_are_stopped_and_paused(daemon: ApiDaemon) -> None:
    assert daemon.act("/stopentry").status == 200
    assert "stop_entry" in switches(daemon)
    assert daemon.act("/start").status == 200
    assert daemon.act("/pause", {"for": "2h"}).json["done"].startswith("Entries paused for 7200 s")
    assert "pause" in switches(daemon)
    assert daemon.act("/start").status == 200
    assert daemon.act("/pause", {"minutes": 30}).status == 200
    [pause] = [each for each in daemon.read("/status")["switches"] if each["name"] == "pause"] or [{"source": "api"}]
    assert pause["source"].startswith("api")
    assert daemon.act("/start").status == 200


def test_the_kill_file_is_named_where_start_cannot_help(daemon: ApiDaemon) -> None:
    kill = daemon.folder / "KILL"
    kill.touch()
    try:
        answer = daemon.act("/start")
        assert answer.status == 409
        assert "KILL" in answer.error
    finally:
        kill.unlink()
        assert daemon.act("/start").status == 200


@pytest.mark.parametrize(
    ("path", "body", "words"),
    [
        ("/pause", {}, "a pause needs its length"),
        ("/pause", {"minutes": 1, "for": "1m"}, "a pause needs its length"),
        ("/pause", {"minutes": 0}, "minutes does not fit"),
        ("/pause", {"for": "soon"}, "for does not fit"),
        ("/pause", {"for": "999999d"}, "expected at most"),
        ("/stop", {"now": True}, "it takes an empty object"),
        ("/stop", b"not json", "the body is not JSON"),
        ("/stop", b"[]", "the body does not fit"),
        ("/forceexit", {}, "name what to sell"),
        ("/forceexit", {"id": "a", "all": True}, "name what to sell"),
        ("/forceexit", {"id": "two words"}, "id does not fit"),
        ("/forceenter", {}, "the body does not fit"),
        ("/forceenter", {"market": "m", "outcome": "sideways", "dollars": "5"}, "outcome does not fit"),
        ("/forceenter", {"market": "m", "outcome": "UP", "dollars": "1e3"}, "dollars does not fit"),
        ("/forceenter", {"market": "m", "outcome": "UP", "dollars": "0.5"}, "expected at least 1"),
        ("/forceenter", {"market": "m", "outcome": "UP", "dollars": "5", "price": "1.5"}, "price does not fit"),
        ("/reload_config", {"check": "yes"}, "check does not fit"),
    ],
)
def test_a_body_that_does_not_fit_is_named(daemon: ApiDaemon, path: str, body: object, words: str) -> None:
    answer = daemon.act(path, body)
    assert answer.status == 400, answer.body
    assert words in answer.error


def test_another_page_cannot_act_even_with_the_token(daemon: ApiDaemon) -> None:
    for headers in (
        {"Origin": "http://evil.example"},
        {"Origin": "null"},
        {"Host": "evil.example"},
        {"Sec-Fetch-Site": "cross-site"},
    ):
        answer = daemon.ask("POST", "/api/v1/stop", {}, headers=headers, token=TOKEN)
        assert answer.status == 403, headers
    for kind in ("text/plain", "application/x-www-form-urlencoded", "multipart/form-data"):
        answer = daemon.ask("POST", "/api/v1/stop", b"{}", headers={"Content-Type": kind}, token=TOKEN)
        assert answer.status == 415, kind
    assert daemon.ask("GET", "/api/v1/stop", headers={"Authorization": f"Bearer {TOKEN}"}).status == 405
    assert "kill" not in switches(daemon)


def test_exits_and_entries_by_hand_go_through_the_engine(daemon: ApiDaemon) -> None:
    refused = daemon.act("/forceexit", {"id": "no-such-position"})
    assert refused.status == 409
    assert "no open position" in refused.error
    market = next(each for each in daemon.read("/markets")["items"] if each["watched"])
    answer = daemon.act("/forceenter", {"market": market["market"], "outcome": "UP", "dollars": "5"})
    assert answer.status in (200, 409), answer.body  # a limit, a busy market or a window that ends may refuse it
    if answer.status == 200:
        assert "order" in answer.json["done"]
    unknown = daemon.act("/forceenter", {"market": "btc-no-such-market", "outcome": "UP", "dollars": "5"})
    assert unknown.status == 409
    assert "is watched" in unknown.error
    told = daemon.read("/forceexit")
    held = {each["position_id"] for each in daemon.read("/positions?state=open")["items"]}
    assert {line["position_id"] for line in told["lines"]} <= held | {line["position_id"] for line in told["lines"]}
    everything = daemon.act("/forceexit", {"all": True})
    assert everything.status in (200, 409)


def test_a_reload_says_what_differs(daemon: ApiDaemon) -> None:
    answer = daemon.act("/reload_config")
    assert (answer.status, answer.json["done"]) == (200, "nothing differs")


def test_too_many_wrong_tokens_are_refused_for_a_while(tmp_path: Any) -> None:
    with running_api(tmp_path) as daemon:
        statuses = [daemon.ask("POST", "/api/v1/stop", {}, token=f"wrong-{number}").status for number in range(14)]
        assert statuses == [401] * 10 + [429] * 4
        flooded = daemon.ask("POST", "/api/v1/stop", {}, token=TOKEN)
        assert flooded.status == 429, "guessing on is of no use either"
        assert int(flooded.headers["retry-after"]) > 0
        assert daemon.ask("POST", "/api/v1/stop", {}, headers={"X-API-Token": "é" * 20}).status == 429
        assert daemon.read("/status")["kill_switch"] is False
        refused = [each for each in daemon.read("/logs?event=api.refused")["items"] if each["status"] == 401]
        assert len(refused) == 10


def test_without_a_token_nobody_acts(tmp_path: Any) -> None:
    with running_api(tmp_path, API_TOKEN="") as daemon:
        answer = daemon.ask("POST", "/api/v1/stop", {}, token="")
        assert answer.status == 403
        assert "set it in .env" in answer.error
        assert daemon.read("/config")["actions"] is False
        by_hand = daemon.ask("POST", "/api/v1/forceenter", {}, headers={"X-API-Token": "guess"})
        assert by_hand.status == 403
