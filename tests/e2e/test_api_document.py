"""The OpenAPI document: valid, the same as the routes, and true of what a running daemon answers."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

import msgspec
import pytest
from openapi_spec_validator import validate

from polystra.app.web.openapi import document
from polystra.app.web.routes import BASE, ROUTES
from tests.e2e.api_daemon import ApiDaemon, running_api

READS = [route for route in ROUTES if route.method == "GET"]
QUERIES = {
    "/profit": ["", "?by=exit", "?by=hour"],
    "/daily": ["", "?days=3"],
    "/positions": ["", "?state=open", "?state=ended", "?limit=1"],
    "/orders": ["", "?open=true", "?limit=1"],
    "/decisions": ["", "?action=ENTER", "?action=SKIP&limit=2"],
    "/equity": ["", "?days=2&points=2"],
    "/logs": ["", "?level=warning", "?event=order.&text=BUY&limit=5"],
    "/audit": ["", "?failed=true", "?routine=true&limit=1"],
}


@pytest.fixture(scope="module")
def daemon(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ApiDaemon]:
    with running_api(tmp_path_factory.mktemp("document")) as running:
        running.process.wait_for("position.closed")
        yield running


def filled(daemon: ApiDaemon, path: str) -> str:
    """A path with the id of something that exists."""
    if "{" not in path:
        return path
    collection = path.split("/{", maxsplit=1)[0]
    first = daemon.read(f"{collection}?limit=1")["items"][0]
    return path.replace("{id}", first["position_id" if collection == "/positions" else "client_order_id"])


def test_the_document_is_valid_and_served(daemon: ApiDaemon) -> None:
    served = daemon.read("/openapi.json")
    validate(served)
    assert served == json.loads(msgspec.json.encode(document(daemon.read("/ping")["version"])))


def test_every_route_is_in_the_document_and_everything_in_it_is_a_route() -> None:
    told = {(method.upper(), path) for path, each in document("0")["paths"].items() for method in each}
    beside = {("GET", path) for path in (f"{BASE}/events", f"{BASE}/openapi.json", "/livez", "/readyz")}
    assert told == {(route.method, f"{BASE}{route.path}") for route in ROUTES} | beside
    for route in ROUTES:
        assert set(re.findall(r"{(\w+)}", route.path)) == {each.name for each in msgspec.structs.fields(route.place)}


def test_what_acts_and_only_that_needs_the_token() -> None:
    for path, each in document("0")["paths"].items():
        for method, told in each.items():
            assert ("security" in told) is (method == "post"), (method, path)
            assert ("401" in told["responses"]) is (method == "post"), (method, path)


@pytest.mark.parametrize("route", READS, ids=lambda route: route.path)
def test_every_answer_is_of_the_declared_type(daemon: ApiDaemon, route: Any) -> None:
    for query in QUERIES.get(route.path, [""]):
        answer = daemon.get(f"{filled(daemon, route.path)}{query}")
        assert answer.status == 200, answer.body
        msgspec.convert(answer.json, route.answer)
        assert_no_leftovers(answer.json, route.answer)


def assert_no_leftovers(told: Any, kind: Any) -> None:
    """Nothing is answered that the declared type does not have."""
    if isinstance(told, dict) and hasattr(kind, "__dataclass_fields__"):
        assert set(told) == set(kind.__dataclass_fields__)


@pytest.mark.parametrize("path", ["/orders", "/fills", "/trades", "/decisions", "/markets", "/audit", "/positions"])
def test_pages_follow_one_another_without_gap_or_repetition(daemon: ApiDaemon, path: str) -> None:
    before, seen = "", []
    for _ in range(4):
        page = daemon.read(f"{path}?limit=2{before}{'&state=ended' if path == '/positions' else ''}")
        seen += [json.dumps(item, sort_keys=True)[:200] for item in page["items"]]
        if page["next_before"] is None:
            break
        assert len(page["items"]) == 2
        before = f"&before={page['next_before']}"
    assert seen
    assert len(seen) == len(set(seen))


def test_logs_are_found_by_level_name_and_text(daemon: ApiDaemon) -> None:
    lines = daemon.read("/logs?event=fill.booked&text=buy")["items"]
    assert lines
    assert all(line["event"] == "fill.booked" and line["side"] == "BUY" for line in lines)
    assert [line["number"] for line in lines] == sorted(line["number"] for line in lines)
    assert daemon.read("/logs?text=no-such-text-anywhere")["items"] == []
    assert all(line["level"] in ("warning", "error") for line in daemon.read("/logs?level=warning")["items"])


def test_a_position_explains_every_share(daemon: ApiDaemon) -> None:
    ended = daemon.read("/positions?state=ended&limit=1")["items"][0]
    story = daemon.read(f"/positions/{ended['position_id']}")
    assert story["ledger"]["difference"] == "0"
    assert story["postings"]
    assert story["fills"]
    assert story["orders"]
    assert story["decision"]["edge"] > 0
    assert [step["at"] for step in story["path"]] == sorted(step["at"] for step in story["path"])
    assert any(step["mid"] is not None and step["fair"] is not None for step in story["path"])


def test_an_id_that_is_none_is_said_so(daemon: ApiDaemon) -> None:
    for path in ("/positions/nothing", "/orders/nothing", "/positions/x", "/orders/0xffffffffff"):
        answer = daemon.get(path)
        assert answer.status == 404, path
        assert "id is" in answer.error
    assert daemon.get("/decisions?market=nothing").status == 404


def test_the_equity_ends_where_the_status_stands(daemon: ApiDaemon) -> None:
    told = daemon.read("/equity")
    assert told["loss_limit"] == "25"
    assert float(told["loss_floor"]) == float(told["day_start_equity"]) - 25
    assert [point["at"] for point in told["points"]] == sorted(point["at"] for point in told["points"])
    assert len(daemon.read("/equity?points=3")["points"]) <= 3


def test_the_mode_comes_first_and_no_secret_is_shown(daemon: ApiDaemon) -> None:
    answer = daemon.get("/config")
    assert answer.body.startswith(b'{"mode":"sim"')
    values = {line["name"]: line["value"] for line in answer.json["items"]}
    assert values["API_TOKEN"] == "set (not shown)"
    assert values["POLY_PRIVATE_KEY"] == ""
