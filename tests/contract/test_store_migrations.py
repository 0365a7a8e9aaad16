"""Migrations on both engines: one line, all or nothing, and the same schema as the tables."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import CheckConstraint, Connection, Engine, inspect, text
from sqlalchemy.exc import DBAPIError

from polystra.adapters.store import migrations
from polystra.adapters.store.database import make_engine, parse_url
from polystra.adapters.store.tables import metadata
from polystra.domain.errors import StoreBusy, StoreCorrupt

ROOT = Path(__file__).resolve().parents[2]

BROKEN = """
from alembic import op
revision = "9999"
down_revision = "{head}"
branch_labels = None
depends_on = None

def upgrade():
    op.execute("CREATE TABLE half_done (id INTEGER)")
    op.execute("INSERT INTO half_done VALUES (1)")
    op.execute("ALTER TABLE markets ADD COLUMN half_done INTEGER")
    op.execute("SELECT * FROM no_such_table")
"""


@pytest.fixture
def engine(empty_url: str) -> Iterator[Engine]:
    made = make_engine(parse_url(empty_url))
    yield made
    made.dispose()


def test_upgrade_reports_what_it_did_and_repeats_harmlessly(empty_url: str) -> None:
    head = migrations.history()[-1].revision
    first = migrations.upgrade(empty_url)
    assert first == migrations.MigrationReport(before=None, after=head, head=head, migrated=True)
    assert migrations.current(empty_url) == head
    second = migrations.upgrade(empty_url)
    assert second == migrations.MigrationReport(before=head, after=head, head=head, migrated=False)


def test_history_is_one_line_with_one_head() -> None:
    scripts = ScriptDirectory(str(ROOT / "alembic"))
    assert len(scripts.get_heads()) == 1
    history = migrations.history()
    assert history[0].down_revision is None
    assert [step.down_revision for step in history[1:]] == [step.revision for step in history[:-1]]
    assert all(step.summary for step in history)


def test_the_schema_is_that_of_the_tables(empty_url: str, engine: Engine) -> None:
    migrations.upgrade(empty_url)
    with engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True, "compare_server_default": True})
        assert compare_metadata(context, metadata) == []
        checks = {
            table.name: {check["name"] for check in inspect(connection).get_check_constraints(table.name)}
            for table in metadata.sorted_tables
        }
        views = set(inspect(connection).get_view_names())
    expected = {
        table.name: {str(rule.name) for rule in table.constraints if isinstance(rule, CheckConstraint)}
        for table in metadata.sorted_tables
    }
    assert checks == expected
    assert views == {"v_orders", "v_fills", "v_positions", "v_ledger"}


def test_a_failing_migration_leaves_nothing_behind(
    empty_url: str, engine: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    migrations.upgrade(empty_url)
    head = migrations.history()[-1].revision
    folder = tmp_path / "alembic"
    (folder / "versions").mkdir(parents=True)
    (folder / "env.py").write_text((ROOT / "alembic" / "env.py").read_text())
    for script in (ROOT / "alembic" / "versions").glob("*.py"):
        (folder / "versions" / script.name).write_text(script.read_text())
    (folder / "versions" / "9999_broken.py").write_text(BROKEN.format(head=head))
    monkeypatch.setattr(migrations, "script_location", lambda: folder)
    with pytest.raises(StoreCorrupt, match="no_such_table"):
        migrations.upgrade(empty_url)
    monkeypatch.undo()
    assert migrations.current(empty_url) == head
    with engine.connect() as connection:
        assert not inspect(connection).has_table("half_done")
        assert "half_done" not in {column["name"] for column in inspect(connection).get_columns("markets")}


def test_an_unknown_revision_is_refused_in_one_sentence(empty_url: str, engine: Engine) -> None:
    migrations.upgrade(empty_url)
    with engine.begin() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = 'f00f'"))
    with pytest.raises(StoreCorrupt, match=r"schema f00f, which this version of polystra does not know; use") as caught:
        migrations.upgrade(empty_url)
    assert "\n" not in str(caught.value)


def test_current_of_a_missing_file_makes_no_file(tmp_path: Path) -> None:
    path = tmp_path / "nowhere" / "store.db"
    with pytest.raises(StoreCorrupt, match=r"store\.db does not exist"):
        migrations.current(f"sqlite:///{path}")
    assert not path.parent.exists()


def test_a_file_that_is_no_database_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "store.db"
    path.write_bytes(b"these are not the pages of a database" * 100)
    for deed in (migrations.upgrade, migrations.current):
        with pytest.raises(StoreCorrupt, match=r"store\.db is not a readable SQLite database"):
            deed(f"sqlite:///{path}")
    assert path.read_bytes().startswith(b"these are not")


def test_a_folder_in_place_of_the_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(StoreCorrupt):
        migrations.upgrade(f"sqlite:///{tmp_path}")


@pytest.mark.postgres
def test_a_server_that_is_not_there_is_busy_and_its_password_stays_secret() -> None:
    with pytest.raises(StoreBusy, match=r"polystra at 127\.0\.0\.1:1 cannot be reached") as caught:
        migrations.upgrade("postgresql://someone:hunter2@127.0.0.1:1/polystra")
    assert "hunter2" not in str(caught.value)


def test_append_only_tables_refuse_changes(database_url: str) -> None:
    made = make_engine(parse_url(database_url))
    with made.begin() as connection:
        connection.execute(
            text(
                "INSERT INTO ledger (source_id, kind, at_ns, reason, evidence, pending_shares, settled_shares, "
                "pending_cash, settled_cash, claim, bought, bought_cost, sold, sold_proceeds, fee, resolved, payout) "
                "VALUES ('a', 'TRANSFER', 1, '', '', 0, 0, 0, -1500001, 0, 0, 0, 0, 0, 0, 0, 0)"
            )
        )
    for statement in ("UPDATE ledger SET claim = 1", "DELETE FROM ledger"):
        with pytest.raises(DBAPIError, match="append-only"), made.begin() as connection:
            connection.execute(text(statement))
    with made.connect() as connection:
        assert str(connection.scalar(text("SELECT settled_cash FROM v_ledger"))) == "-1.500001"
    made.dispose()


def test_an_intent_may_lose_its_bytes_and_nothing_else(database_url: str) -> None:
    made = make_engine(parse_url(database_url))
    values = {"body": b"bytes", "n": 1}
    with made.begin() as connection:
        _an_order(connection, "o1", "OPEN")
        connection.execute(text(_INTENT), {**values, "key": "o1"})
    for change in ("salt = 2", "body = :other", "body = :empty, salt = 2", "order_id = 'x'", "decision_id = 7"):
        with pytest.raises(DBAPIError, match="append-only"), made.begin() as connection:
            connection.execute(text(f"UPDATE order_intents SET {change}"), {"other": b"other", "empty": b""})
    with pytest.raises(DBAPIError, match="append-only"), made.begin() as connection:
        connection.execute(text("DELETE FROM order_intents"))
    for _ in range(2):
        with made.begin() as connection:
            connection.execute(text("UPDATE order_intents SET body = :empty"), {"empty": b""})
    with made.connect() as connection:
        assert bytes(connection.scalar(text("SELECT body FROM order_intents"))) == b""
    made.dispose()


def test_the_upgrade_erases_the_bytes_of_orders_that_have_ended(empty_url: str) -> None:
    made = make_engine(parse_url(empty_url), foreign_keys=False)
    with made.connect() as connection:
        config = migrations._config()
        config.attributes["connection"] = connection
        command.upgrade(config, "0003")
    with made.begin() as connection:
        for key, status in (("o1", "OPEN"), ("o2", "FILLED"), ("o3", "IN_DOUBT"), ("o4", "REJECTED")):
            _an_order(connection, key, status)
            connection.execute(text(_INTENT), {"key": key, "body": b"canary-bytes", "n": 1})
    migrations.upgrade(empty_url)
    with made.connect() as connection:
        found = connection.execute(text("SELECT client_order_id, body FROM order_intents ORDER BY 1")).all()
    made.dispose()
    assert [(key, bytes(body)) for key, body in found] == [
        ("o1", b"canary-bytes"),
        ("o2", b""),
        ("o3", b"canary-bytes"),
        ("o4", b""),
    ]
    if empty_url.startswith("sqlite"):
        assert Path(empty_url.removeprefix("sqlite:///")).read_bytes().count(b"canary-bytes") == 2


def test_a_database_is_its_owners_alone(tmp_path: Path) -> None:
    path = tmp_path / "store.db"
    migrations.upgrade(f"sqlite:///{path}")
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    path.chmod(0o644)
    migrations.upgrade(f"sqlite:///{path}")
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


_INTENT = (
    "INSERT INTO order_intents (client_order_id, order_id, body, salt, timestamp_ms, quantity, maker_amount, "
    "taker_amount, at_ns) VALUES (:key, :key, :body, :n, :n, :n, :n, :n, :n)"
)


def _an_order(connection: Connection, key: str, status: str) -> None:
    connection.execute(
        text(
            "INSERT INTO markets (condition_id, slug, symbol, window_ns, opens_at_ns, closes_at_ns, up_token, "
            "down_token, tick_size, minimum_size, fee_rate_ppm, fee_exponent, rule_kind, rule_lookback_s, "
            "negative_risk, version, accepting_orders, updated_at_ns) VALUES ('m', 's', 'BTC', 1, 1, 2, 'u', 'd', "
            "1, 1, 1, 1, 'AVERAGE', 60, false, 'v1', true, 1) ON CONFLICT DO NOTHING"
        )
    )
    connection.execute(
        text(
            "INSERT INTO orders (client_order_id, number, order_id, condition_id, token_id, position_id, purpose, "
            "side, price, quantity, budget, time_in_force, post_only, expires_at_ns, tick_size, negative_risk, "
            "version, reason, status, filled, created_at_ns, updated_at_ns, detail) "
            "VALUES (:key, 1, :key, 'm', 't', 'p', 'ENTRY', 'BUY', "
            "500000, 1, 0, 'GTC', false, 0, 10000, false, 'v1', '', :status, 0, 1, 1, '')"
        ),
        {"key": key, "status": status},
    )


def _alembic(*words: str, cwd: Path = ROOT, **environment: str) -> str:
    done = subprocess.run(
        [sys.executable, "-m", "alembic", *words],
        cwd=cwd,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_command_line_upgrades_what_database_url_names(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'data' / 'cli.db'}"
    _alembic("upgrade", "head", DATABASE_URL=url)
    assert migrations.current(url) == migrations.history()[-1].revision


def test_a_bare_upgrade_makes_the_default_database(tmp_path: Path) -> None:
    environment = {
        name: value for name, value in os.environ.items() if name not in ("DATABASE_URL", "DATA_DIR", "MODE")
    }
    done = subprocess.run(
        [sys.executable, "-m", "alembic", "-c", str(ROOT / "alembic.ini"), "upgrade", "head"],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert migrations.current(f"sqlite:///{tmp_path / 'data' / 'polystra-sim.db'}") is not None
