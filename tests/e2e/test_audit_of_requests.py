"""The life of orders that a person asked for, one denied and one in doubt, as `polystra audit --order` tells it."""

from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner

from polystra.adapters.store.migrations import upgrade
from polystra.adapters.store.writer import SqlStore
from polystra.app.cli import app
from polystra.domain.events import OrderRequested
from polystra.domain.facts import Fact
from polystra.domain.orders import Side
from polystra.domain.units import MICRO
from polystra.engine.state import Turn
from tests.unit.engine.desk import UP, Desk


class RecordingDesk(Desk):
    """A desk that keeps every fact from its first turn on."""

    kept: tuple[Fact, ...] = ()

    def _absorb(self, turn: Turn) -> None:
        self.kept += tuple(turn.facts)
        super()._absorb(turn)


@pytest.fixture
async def folder(tmp_path: Path) -> Path:
    desk = RecordingDesk()
    desk.ready()
    for number, price in enumerate((505_000, 500_000), start=1):
        desk.step(OrderRequested(request_id=f"r{number}", token_id=UP, side=Side.BUY, price=price, quantity=10 * MICRO))
    desk.unknown(desk.last_order())
    (tmp_path / "data").mkdir()
    url = f"sqlite:///{tmp_path}/data/polystra-sim.db"
    upgrade(url)
    store = await SqlStore.open(url, mode="sim", account="0x" + "ab" * 20)
    await store.commit(desk.kept)
    await store.close()
    return tmp_path


def told(folder: Path, order: str) -> str:
    result = CliRunner().invoke(app, ["audit", "--order", order], env={"DATA_DIR": str(folder / "data")})
    assert result.exit_code == 0, result.output
    return " ".join(result.stdout.split())


async def test_a_denied_request_says_why_and_that_nothing_was_signed(folder: Path):
    words = told(folder, "o000001")
    assert "none: it was never signed" in words
    assert "use 0.5 or 0.51" in words
    assert "decision none: it was asked for intent" in words
    assert "No requests are kept" in words


async def test_an_order_in_doubt_says_since_when(folder: Path):
    words = told(folder, "o000002")
    assert "PENDING (IN_DOUBT): timed out" in words
    assert "in doubt since" in words
    assert "decision none: it was asked for intent" in words
