"""Which rule asked for an order, the memory of exits, switches, doubts, and the audit of requests.

Revision: 0003
Follows: 0002
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

_SEQUENCE = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    """Add columns with defaults that keep old rows true, and the new tables."""
    op.add_column("orders", sa.Column("rule", sa.Text, nullable=False, server_default=sa.text("''")))
    op.add_column("orders", sa.Column("planned_price", sa.BigInteger, nullable=True))
    op.add_column("orders", sa.Column("request_id", sa.Text, nullable=False, server_default=sa.text("''")))
    op.add_column("positions", sa.Column("exit_mode", sa.Text, nullable=False, server_default=sa.text("''")))
    op.add_column("positions", sa.Column("high_water", sa.BigInteger, nullable=False, server_default="0"))
    op.add_column("positions", sa.Column("exits", sa.Text, nullable=False, server_default=sa.text("''")))
    op.add_column("positions", sa.Column("mark", sa.BigInteger, nullable=True))
    op.add_column("positions", sa.Column("mark_at_ns", sa.BigInteger, nullable=False, server_default="0"))
    op.create_table(
        "switches",
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("subject", sa.Text, nullable=False),
        sa.Column("is_on", sa.Boolean, nullable=False),
        sa.Column("reason", sa.Text, nullable=False),
        sa.Column("source", sa.Text, nullable=False),
        sa.Column("until_ns", sa.BigInteger, nullable=False),
        sa.Column("at_ns", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("name", "subject", name="pk_switches"),
    )
    op.create_table(
        "doubts",
        sa.Column("client_order_id", sa.Text, nullable=False),
        sa.Column("since_ns", sa.BigInteger, nullable=False),
        sa.Column("lookups", sa.Integer, nullable=False),
        sa.Column("absences", sa.Integer, nullable=False),
        sa.Column("next_lookup_ns", sa.BigInteger, nullable=False),
        sa.Column("outcome", sa.Text, nullable=False),
        sa.Column("at_ns", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("client_order_id", name="pk_doubts"),
    )
    op.create_table(
        "api_calls",
        sa.Column("sequence", _SEQUENCE, autoincrement=True, nullable=False),
        sa.Column("at_ns", sa.BigInteger, nullable=False),
        sa.Column("method", sa.Text, nullable=False),
        sa.Column("path", sa.Text, nullable=False),
        sa.Column("latency_ns", sa.BigInteger, nullable=False),
        sa.Column("status", sa.Integer, nullable=True),
        sa.Column("request", sa.Text, nullable=False),
        sa.Column("reply", sa.Text, nullable=False),
        sa.Column("outcome", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("sequence", name="pk_api_calls"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_api_calls_at_ns", "api_calls", ["at_ns"])
    op.create_table(
        "api_call_orders",
        sa.Column("call_sequence", sa.BigInteger, nullable=False),
        sa.Column("order_id", sa.Text, nullable=False),
        sa.Column("outcome", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("call_sequence", "order_id", name="pk_api_call_orders"),
    )
    op.create_index("ix_api_call_orders_order_id", "api_call_orders", ["order_id"])
