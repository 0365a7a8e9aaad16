"""The first schema.

Money and shares are BIGINT millionths, prices of markets millionths of a dollar per share,
spot prices 10^-8 dollars (`_e8`), times UTC nanoseconds (`_ns`).

Revision: 0001
Follows: nothing
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

_ORDER_STATUS = (
    "status IN ('CANCELED', 'DENIED', 'EXPIRED', 'FILLED', 'IN_DOUBT', 'NEW', 'OPEN', 'PENDING_CANCEL', "
    "'REJECTED', 'SUBMITTED')"
)
_ORDER_EVENT = (
    "event IN ('ACCEPT', 'CANCEL', 'CANCEL_ASKED', 'CANCEL_REFUSED', 'DENY', 'EXPIRE', 'FILL_FULL', 'FILL_PARTIAL', "
    "'OUTCOME_UNKNOWN', 'REJECT', 'SUBMIT')"
)
_SEQUENCE = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    """Make every table, those that others refer to first."""
    _make_store_meta()
    _make_markets()
    _make_decisions()
    _make_orders()
    _make_order_intents()
    _make_order_events()
    _make_fills()
    _make_ledger()
    _make_positions()
    _make_settlements()
    _make_balances()
    _make_reconciliations()
    _make_notices()


def _big(name: str, *, nullable: bool = False) -> sa.Column[int]:
    return sa.Column(name, sa.BigInteger(), nullable=nullable)


def _text(name: str, *, nullable: bool = False) -> sa.Column[str]:
    return sa.Column(name, sa.Text(), nullable=nullable)


def _make_store_meta() -> None:
    op.create_table(
        "store_meta",
        sa.Column("id", sa.Integer(), autoincrement=False, nullable=False),
        _text("mode"),
        _text("account"),
        _text("note"),
        sa.CheckConstraint("id = 1", name=op.f("ck_store_meta_single_row")),
        sa.PrimaryKeyConstraint("id", name="pk_store_meta"),
    )


def _make_markets() -> None:
    op.create_table(
        "markets",
        _text("condition_id"),
        _text("slug"),
        _text("symbol"),
        _big("window_ns"),
        _big("opens_at_ns"),
        _big("closes_at_ns"),
        _text("up_token"),
        _text("down_token"),
        _big("tick_size"),
        _big("minimum_size"),
        _big("fee_rate_ppm"),
        sa.Column("fee_exponent", sa.Integer(), nullable=False),
        _text("rule_kind"),
        sa.Column("rule_lookback_s", sa.Integer(), nullable=False),
        sa.Column("negative_risk", sa.Boolean(), nullable=False),
        _text("version"),
        sa.Column("accepting_orders", sa.Boolean(), nullable=False),
        _big("price_to_beat_e8", nullable=True),
        _big("updated_at_ns"),
        sa.CheckConstraint("rule_kind IN ('AVERAGE')", name=op.f("ck_markets_rule_kind")),
        sa.CheckConstraint("price_to_beat_e8 > 0", name=op.f("ck_markets_price_to_beat")),
        sa.CheckConstraint(
            "tick_size > 0 AND minimum_size >= 0 AND fee_rate_ppm >= 0 AND fee_exponent >= 0",
            name=op.f("ck_markets_grid"),
        ),
        sa.CheckConstraint("up_token <> down_token", name=op.f("ck_markets_two_tokens")),
        sa.CheckConstraint("window_ns > 0 AND closes_at_ns > opens_at_ns", name=op.f("ck_markets_window")),
        sa.PrimaryKeyConstraint("condition_id", name="pk_markets"),
        sa.UniqueConstraint("down_token", name="uq_markets_down_token"),
        sa.UniqueConstraint("up_token", name="uq_markets_up_token"),
    )
    op.create_index("ix_markets_closes_at_ns", "markets", ["closes_at_ns"])


def _make_decisions() -> None:
    op.create_table(
        "decisions",
        sa.Column("decision_id", sa.BigInteger(), autoincrement=False, nullable=False),
        _text("condition_id"),
        _text("symbol"),
        _big("at_ns"),
        _text("action"),
        _text("reason"),
        _text("outcome", nullable=True),
        sa.Column("fair_value_up", sa.Float(53), nullable=False),
        sa.Column("market_prior_p_up", sa.Float(53), nullable=False),
        sa.Column("additive_bias", sa.Float(53), nullable=False),
        sa.Column("additive_confidence", sa.Float(53), nullable=False),
        sa.Column("bayesian_bias", sa.Float(53), nullable=False),
        sa.Column("bayesian_confidence", sa.Float(53), nullable=False),
        sa.Column("p_up", sa.Float(53), nullable=False),
        sa.Column("edge", sa.Float(53), nullable=False),
        _big("price", nullable=True),
        _big("quantity", nullable=True),
        _text("inputs"),
        sa.CheckConstraint("action IN ('ENTER', 'SKIP')", name=op.f("ck_decisions_action")),
        sa.CheckConstraint("outcome IN ('DOWN', 'UP')", name=op.f("ck_decisions_outcome")),
        sa.CheckConstraint(
            "additive_bias BETWEEN -1 AND 1 AND bayesian_bias BETWEEN -1 AND 1", name=op.f("ck_decisions_biases")
        ),
        sa.CheckConstraint(
            "additive_confidence BETWEEN 0 AND 1 AND bayesian_confidence BETWEEN 0 AND 1",
            name=op.f("ck_decisions_confidences"),
        ),
        sa.CheckConstraint(
            "market_prior_p_up BETWEEN 0 AND 1 AND p_up BETWEEN 0 AND 1 AND fair_value_up BETWEEN 0 AND 1",
            name=op.f("ck_decisions_probabilities"),
        ),
        sa.CheckConstraint("price >= 0 AND quantity >= 0", name=op.f("ck_decisions_amounts")),
        sa.PrimaryKeyConstraint("decision_id", name="pk_decisions"),
    )
    op.create_index("ix_decisions_action_at_ns", "decisions", ["action", "at_ns"])
    op.create_index("ix_decisions_condition_id", "decisions", ["condition_id"])


def _make_orders() -> None:
    op.create_table(
        "orders",
        _text("client_order_id"),
        _big("number"),
        _text("order_id", nullable=True),
        _text("condition_id"),
        _text("token_id"),
        _text("position_id"),
        _text("purpose"),
        _text("side"),
        _big("price"),
        _big("quantity"),
        _big("budget"),
        _text("time_in_force"),
        sa.Column("post_only", sa.Boolean(), nullable=False),
        _big("expires_at_ns"),
        _big("tick_size"),
        sa.Column("negative_risk", sa.Boolean(), nullable=False),
        _text("version"),
        _text("reason"),
        _text("status"),
        _big("filled"),
        _big("created_at_ns"),
        _big("updated_at_ns"),
        _text("detail"),
        sa.CheckConstraint(
            "order_id IS NOT NULL OR status IN ('CANCELED', 'DENIED', 'NEW')", name=op.f("ck_orders_has_order_id")
        ),
        sa.CheckConstraint("purpose IN ('CLOSE', 'ENTRY', 'STOP_LOSS', 'TAKE_PROFIT')", name=op.f("ck_orders_purpose")),
        sa.CheckConstraint("side IN ('BUY', 'SELL')", name=op.f("ck_orders_side")),
        sa.CheckConstraint("status = 'DENIED' OR (price > 0 AND price < 1000000)", name=op.f("ck_orders_price")),
        sa.CheckConstraint(_ORDER_STATUS, name=op.f("ck_orders_status")),
        sa.CheckConstraint("time_in_force IN ('FAK', 'FOK', 'GTC', 'GTD')", name=op.f("ck_orders_time_in_force")),
        sa.CheckConstraint("quantity >= 0 AND budget >= 0 AND filled >= 0", name=op.f("ck_orders_amounts")),
        sa.ForeignKeyConstraint(["condition_id"], ["markets.condition_id"], name="fk_orders_condition_id"),
        sa.PrimaryKeyConstraint("client_order_id", name="pk_orders"),
    )
    op.create_index("ix_orders_condition_id", "orders", ["condition_id"])
    op.create_index(
        "uq_orders_exit_in_flight",
        "orders",
        ["position_id"],
        unique=True,
        sqlite_where=sa.text("purpose <> 'ENTRY' AND status = 'SUBMITTED'"),
        postgresql_where=sa.text("purpose <> 'ENTRY' AND status = 'SUBMITTED'"),
    )


def _make_order_intents() -> None:
    op.create_table(
        "order_intents",
        _text("client_order_id"),
        _text("order_id"),
        sa.Column("body", sa.LargeBinary(), nullable=False),
        _big("salt"),
        _big("timestamp_ms"),
        _big("quantity"),
        _big("maker_amount"),
        _big("taker_amount"),
        _big("decision_id", nullable=True),
        _big("at_ns"),
        sa.CheckConstraint(
            "quantity >= 0 AND maker_amount >= 0 AND taker_amount >= 0", name=op.f("ck_order_intents_amounts")
        ),
        sa.CheckConstraint("salt >= 0 AND timestamp_ms >= 0", name=op.f("ck_order_intents_signed_inputs")),
        sa.ForeignKeyConstraint(
            ["client_order_id"], ["orders.client_order_id"], name="fk_order_intents_client_order_id"
        ),
        sa.PrimaryKeyConstraint("client_order_id", name="pk_order_intents"),
        sa.UniqueConstraint("order_id", name="uq_order_intents_order_id"),
    )


def _make_order_events() -> None:
    op.create_table(
        "order_events",
        sa.Column("sequence", _SEQUENCE, autoincrement=True, nullable=False),
        _text("client_order_id"),
        _text("event"),
        _text("status"),
        _big("filled"),
        _big("at_ns"),
        _text("detail"),
        sa.Column("digest", sa.LargeBinary(), nullable=False),
        sa.CheckConstraint(_ORDER_EVENT, name=op.f("ck_order_events_event")),
        sa.CheckConstraint(_ORDER_STATUS, name=op.f("ck_order_events_status")),
        sa.CheckConstraint("filled >= 0", name=op.f("ck_order_events_amounts")),
        sa.ForeignKeyConstraint(
            ["client_order_id"], ["orders.client_order_id"], name="fk_order_events_client_order_id"
        ),
        sa.PrimaryKeyConstraint("sequence", name="pk_order_events"),
        sa.UniqueConstraint("client_order_id", "digest", name="uq_order_events_client_order_id_digest"),
        sqlite_autoincrement=True,
    )


def _make_fills() -> None:
    op.create_table(
        "fills",
        _text("trade_id"),
        _text("order_id"),
        _text("client_order_id"),
        _text("position_id"),
        _text("condition_id"),
        _text("token_id"),
        _text("side"),
        _big("price"),
        _big("quantity"),
        _big("cash"),
        _big("fee"),
        _text("liquidity"),
        _text("status"),
        _big("matched_at_ns"),
        _big("updated_at_ns"),
        _text("transaction_hash"),
        sa.CheckConstraint("liquidity IN ('MAKER', 'TAKER')", name=op.f("ck_fills_liquidity")),
        sa.CheckConstraint("side IN ('BUY', 'SELL')", name=op.f("ck_fills_side")),
        sa.CheckConstraint(
            "status IN ('CONFIRMED', 'FAILED', 'MATCHED', 'MINED', 'RETRYING')", name=op.f("ck_fills_status")
        ),
        sa.CheckConstraint("price BETWEEN 0 AND 1000000", name=op.f("ck_fills_price")),
        sa.CheckConstraint("quantity > 0 AND cash >= 0 AND fee >= 0", name=op.f("ck_fills_amounts")),
        sa.ForeignKeyConstraint(["client_order_id"], ["orders.client_order_id"], name="fk_fills_client_order_id"),
        sa.PrimaryKeyConstraint("trade_id", "order_id", name="pk_fills"),
    )
    op.create_index("ix_fills_client_order_id", "fills", ["client_order_id"])
    op.create_index("ix_fills_condition_id", "fills", ["condition_id"])
    op.create_index("ix_fills_matched_at_ns", "fills", ["matched_at_ns"])
    op.create_index("ix_fills_position_id", "fills", ["position_id"])
    op.create_index(
        "ix_fills_provisional",
        "fills",
        ["condition_id"],
        sqlite_where=sa.text("status IN ('MATCHED', 'MINED', 'RETRYING')"),
        postgresql_where=sa.text("status IN ('MATCHED', 'MINED', 'RETRYING')"),
    )


def _make_ledger() -> None:
    op.create_table(
        "ledger",
        sa.Column("sequence", _SEQUENCE, autoincrement=True, nullable=False),
        _text("source_id"),
        _text("kind"),
        _big("at_ns"),
        _text("reason"),
        _text("condition_id", nullable=True),
        _text("token_id", nullable=True),
        _text("position_id", nullable=True),
        _big("pending_shares"),
        _big("settled_shares"),
        _big("pending_cash"),
        _big("settled_cash"),
        _big("claim"),
        _big("bought"),
        _big("bought_cost"),
        _big("sold"),
        _big("sold_proceeds"),
        _big("fee"),
        _big("resolved"),
        _big("payout"),
        _big("price", nullable=True),
        _text("evidence"),
        sa.CheckConstraint(
            "kind IN ('ADJUSTMENT', 'FEE', 'MATCHED', 'REDEEMED', 'RESOLVED', 'REVERSED', 'SETTLED', 'TRANSFER')",
            name=op.f("ck_ledger_kind"),
        ),
        sa.CheckConstraint(
            "token_id IS NOT NULL OR (pending_shares = 0 AND settled_shares = 0)",
            name=op.f("ck_ledger_shares_have_token"),
        ),
        sa.PrimaryKeyConstraint("sequence", name="pk_ledger"),
        sa.UniqueConstraint("source_id", name="uq_ledger_source_id"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_ledger_condition_id", "ledger", ["condition_id"])
    op.create_index("ix_ledger_position_id", "ledger", ["position_id"])
    op.create_index("ix_ledger_token_id", "ledger", ["token_id"])


def _make_positions() -> None:
    op.create_table(
        "positions",
        _text("position_id"),
        _text("condition_id"),
        _text("token_id"),
        _text("outcome"),
        _text("symbol"),
        _text("status"),
        _big("pending_shares"),
        _big("settled_shares"),
        _big("average_price"),
        _big("realised_pnl"),
        _big("fees"),
        _big("take_profit_price", nullable=True),
        _big("stop_price", nullable=True),
        _big("opened_at_ns"),
        _big("at_ns"),
        _text("exit_reason"),
        sa.CheckConstraint("outcome IN ('DOWN', 'UP')", name=op.f("ck_positions_outcome")),
        sa.CheckConstraint(
            "status IN ('CLOSED', 'EXITING', 'FLAT', 'FROZEN', 'OPEN', 'RESOLVED')", name=op.f("ck_positions_status")
        ),
        sa.CheckConstraint("average_price >= 0", name=op.f("ck_positions_average_price")),
        sa.ForeignKeyConstraint(["condition_id"], ["markets.condition_id"], name="fk_positions_condition_id"),
        sa.PrimaryKeyConstraint("position_id", name="pk_positions"),
    )
    op.create_index("ix_positions_condition_id", "positions", ["condition_id"])
    op.create_index("ix_positions_status", "positions", ["status"])


def _make_settlements() -> None:
    op.create_table(
        "settlements",
        _text("condition_id"),
        _text("slug"),
        _text("symbol"),
        _text("winner", nullable=True),
        _big("up_payout"),
        _big("shares_held"),
        _big("payout"),
        _big("realised_pnl"),
        _big("fees"),
        _big("at_ns"),
        sa.CheckConstraint("winner IN ('DOWN', 'UP')", name=op.f("ck_settlements_winner")),
        sa.CheckConstraint("shares_held >= 0 AND payout >= 0", name=op.f("ck_settlements_amounts")),
        sa.CheckConstraint("up_payout BETWEEN 0 AND 1000000", name=op.f("ck_settlements_up_payout")),
        sa.PrimaryKeyConstraint("condition_id", name="pk_settlements"),
    )


def _make_balances() -> None:
    op.create_table(
        "balances",
        sa.Column("sequence", _SEQUENCE, autoincrement=True, nullable=False),
        _big("cash"),
        _big("ledger_cash"),
        _big("at_ns"),
        _text("source"),
        sa.Column("digest", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("sequence", name="pk_balances"),
        sa.UniqueConstraint("digest", name="uq_balances_digest"),
        sqlite_autoincrement=True,
    )


def _make_reconciliations() -> None:
    op.create_table(
        "reconciliations",
        sa.Column("sequence", _SEQUENCE, autoincrement=True, nullable=False),
        _big("at_ns"),
        sa.Column("open_orders", sa.Integer(), nullable=False),
        sa.Column("fills_applied", sa.Integer(), nullable=False),
        _text("differences"),
        _text("cause"),
        sa.Column("digest", sa.LargeBinary(), nullable=False),
        sa.CheckConstraint("open_orders >= 0 AND fills_applied >= 0", name=op.f("ck_reconciliations_counts")),
        sa.PrimaryKeyConstraint("sequence", name="pk_reconciliations"),
        sa.UniqueConstraint("digest", name="uq_reconciliations_digest"),
        sqlite_autoincrement=True,
    )


def _make_notices() -> None:
    op.create_table(
        "notices",
        sa.Column("sequence", _SEQUENCE, autoincrement=True, nullable=False),
        _text("kind"),
        _text("subject"),
        _text("message"),
        _big("at_ns"),
        sa.Column("digest", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("sequence", name="pk_notices"),
        sa.UniqueConstraint("digest", name="uq_notices_digest"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_notices_kind_at_ns", "notices", ["kind", "at_ns"])
