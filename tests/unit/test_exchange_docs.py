"""docs/exchange.md names exactly the routes that a built exchange has, and every fault, rule and crowd figure."""

import dataclasses
import re
from pathlib import Path

import pytest

from polystra.exchange.account_rules import AccountRules
from polystra.exchange.builtin import BuiltInConfig, BuiltInExchange, planned_start_ns
from polystra.exchange.faults.catalogue import CATALOGUE
from polystra.exchange.traders.config import CrowdConfig
from polystra.exchange.venue_rules import VenueRules
from tests.unit.exchange.http_desk import HandClock

PAGE = Path(__file__).resolve().parents[2] / "docs" / "exchange.md"
ROUTE = re.compile(r"`(GET|POST|PUT|DELETE) (/[^\s`?]*)[^`]*`")


def documented() -> set[tuple[str, str]]:
    return {(method, path) for method, path in ROUTE.findall(PAGE.read_text())}


async def served() -> set[tuple[str, str]]:
    config = BuiltInConfig(symbols=("BTC",), windows=("5m",))
    clock = HandClock()
    clock.now = planned_start_ns(config)
    exchange = BuiltInExchange(config, clock)
    await exchange.start()
    try:
        assert exchange._runner is not None
        routes = exchange._runner.app.router.routes()
        return {
            (route.method, route.resource.canonical)
            for route in routes
            if route.resource is not None and route.method != "HEAD"
        }
    finally:
        await exchange.close()


async def test_every_route_is_documented_and_every_documented_route_exists() -> None:
    exists, told = await served(), documented()
    assert sorted(exists - told) == []
    assert sorted(told - exists) == []


@pytest.mark.parametrize("name", CATALOGUE)
def test_every_fault_is_documented(name: str) -> None:
    assert f"`{name}`" in PAGE.read_text()


@pytest.mark.parametrize(
    "name", [field.name for kind in (AccountRules, CrowdConfig, VenueRules) for field in dataclasses.fields(kind)]
)
def test_every_switch_is_documented(name: str) -> None:
    assert f"`{name}`" in PAGE.read_text()


def test_the_page_refers_to_nothing_outside_the_project() -> None:
    text = PAGE.read_text()
    assert "../shared" not in text
    assert not re.search(r"\bissue #?\d", text)
    for link in re.findall(r"\]\(([^)#]+)", text):
        if not link.startswith("http"):
            assert (PAGE.parent / link).exists(), link
