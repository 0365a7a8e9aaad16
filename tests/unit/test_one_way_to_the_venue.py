"""What signs and what sends is built where it is named here, and nowhere else; nothing but the outbox submits."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

PACKAGE = Path(__file__).resolve().parents[2] / "src" / "polystra"

BUILDERS = {
    "OrderSigner": {"app/wiring.py", "app/livetest.py"},
    "OrderTermsSigner": {"app/wiring.py", "app/livetest.py"},
    "PolymarketVenue": {"app/wiring.py", "app/livetest.py"},
    "EngineLoop": {"runtime/daemon.py"},
}
"""The daemon's wiring, and the one order of `polystra livetest`, which asks a person first."""

SUBMITTERS = {"runtime/outbox.py", "app/live_order.py", "backtest/driver.py"}
"""The backtest's driver submits to the paper venue of `matching`, which knows no network."""


def calls(path: Path) -> Iterator[str]:
    """Names of what a module calls."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Call):
            if isinstance(node.func, ast.Name):
                yield node.func.id
            elif isinstance(node.func, ast.Attribute):
                yield node.func.attr


def callers(name: str) -> set[str]:
    return {str(path.relative_to(PACKAGE)) for path in PACKAGE.rglob("*.py") if name in calls(path)}


def test_only_named_modules_build_what_signs_or_sends() -> None:
    assert {name: callers(name) for name in BUILDERS} == BUILDERS


POOLS = {"backtest/jobs.py"}
"""They submit work to processes, not orders."""


def test_only_the_outbox_and_the_test_order_submit() -> None:
    elsewhere = {path for path in callers("submit") if not path.startswith(("adapters/", "exchange/"))} - POOLS
    assert elsewhere == SUBMITTERS


def test_a_backtest_knows_neither_the_venues_adapter_nor_a_network() -> None:
    told = (PACKAGE / "backtest" / "driver.py").read_text(encoding="utf-8")
    assert "adapters.polymarket" not in told
    assert "aiohttp" not in told


def test_the_exchange_of_a_simulation_knows_no_host_of_the_venue() -> None:
    told = [path for path in (PACKAGE / "exchange").rglob("*.py") if "clob.polymarket.com" in path.read_text()]
    assert told == []
