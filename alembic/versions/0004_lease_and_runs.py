"""Who holds the account, the runs of the daemon with how each ended, and signed bytes that can be erased.

Revision: 0004
Follows: 0003
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add two tables; of the rows that are there, the signed bytes of ended orders go."""
    op.create_table(
        "lease",
        sa.Column("id", sa.Integer, autoincrement=False, nullable=False),
        sa.Column("epoch", sa.BigInteger, nullable=False),
        sa.Column("host", sa.Text, nullable=False),
        sa.Column("pid", sa.BigInteger, nullable=False),
        sa.Column("proof", sa.Text, nullable=False),
        sa.Column("since_ns", sa.BigInteger, nullable=False),
        sa.Column("renewed_ns", sa.BigInteger, nullable=False),
        sa.Column("expires_ns", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_lease")),
        sa.CheckConstraint("id = 1", name=op.f("ck_lease_single_row")),
    )
    op.create_table(
        "runs",
        sa.Column("epoch", sa.BigInteger, autoincrement=False, nullable=False),
        sa.Column("host", sa.Text, nullable=False),
        sa.Column("pid", sa.BigInteger, nullable=False),
        sa.Column("started_ns", sa.BigInteger, nullable=False),
        sa.Column("ended_ns", sa.BigInteger, nullable=True),
        sa.Column("reason", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("epoch", name=op.f("pk_runs")),
    )
    if op.get_bind().dialect.name == "sqlite":
        _let_sqlite_erase()
    else:
        _let_postgres_erase()


_ENDED = (
    "SELECT client_order_id FROM orders WHERE status NOT IN ('NEW', 'SUBMITTED', 'IN_DOUBT', 'OPEN', 'PENDING_CANCEL')"
)
_KEPT = (
    "client_order_id", "order_id", "salt", "timestamp_ms", "quantity", "maker_amount", "taker_amount", "decision_id",
    "at_ns",
)  # fmt: skip


def _let_sqlite_erase() -> None:
    """An intent stays append-only, but for one change: its signed bytes may go."""
    op.execute("DROP TRIGGER order_intents_no_update")
    op.execute("PRAGMA secure_delete = ON")
    op.execute(f"UPDATE order_intents SET body = x'' WHERE client_order_id IN ({_ENDED})")  # noqa: S608 - our own names
    same = " AND ".join(f"NEW.{name} IS OLD.{name}" for name in _KEPT)
    op.execute(
        f"CREATE TRIGGER order_intents_no_update BEFORE UPDATE ON order_intents WHEN NOT (NEW.body = x'' AND {same}) "
        "BEGIN SELECT RAISE(ABORT, 'order_intents is append-only'); END"
    )


def _let_postgres_erase() -> None:
    op.execute("DROP TRIGGER order_intents_append_only ON order_intents")
    op.execute(f"UPDATE order_intents SET body = ''::bytea WHERE client_order_id IN ({_ENDED})")  # noqa: S608 - our own names
    op.execute(
        "CREATE FUNCTION refuse_change_but_erasure() RETURNS trigger LANGUAGE plpgsql AS $$ "
        "BEGIN IF TG_OP = 'UPDATE' THEN IF NEW.body = ''::bytea "
        "AND (to_jsonb(NEW) - 'body') = (to_jsonb(OLD) - 'body') THEN RETURN NEW; END IF; END IF; "
        "RAISE EXCEPTION '% is append-only', TG_TABLE_NAME USING ERRCODE = 'integrity_constraint_violation'; END $$"
    )
    op.execute(
        "CREATE TRIGGER order_intents_append_only BEFORE UPDATE OR DELETE ON order_intents "
        "FOR EACH ROW EXECUTE FUNCTION refuse_change_but_erasure()"
    )
