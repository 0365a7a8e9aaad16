"""The tables, as the newest migration leaves them.

What lives here: columns, keys, CHECK constraints and indexes, for building statements; the
Alembic history is what makes them in a database, and a test holds the two together. What
must not: statements, conversions, anything that runs.

Money and shares are BIGINT micro-units, prices of markets BIGINT micro-dollars, spot prices
BIGINT 10^-8 dollars (`_e8`), times BIGINT UTC nanoseconds (`_ns`). Append-only tables
(`order_intents`, `order_events`, `ledger`) refuse UPDATE and DELETE by trigger, but for one change: the signed
bytes of an order that has ended are erased, because whoever has them could send it. What an order
writes on its way out has few indexes, because each costs a page per commit.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Final

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    Float,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    PrimaryKeyConstraint,
    Table,
    Text,
    UniqueConstraint,
    text,
)

from polystra.domain.fills import FillStatus, Liquidity
from polystra.domain.ledger import PostingKind
from polystra.domain.market import Outcome, ResolutionKind
from polystra.domain.orders import OrderEvent, OrderStatus, Purpose, Side, TimeInForce
from polystra.domain.positions import PositionStatus

metadata: Final = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s",
        "pk": "pk_%(table_name)s",
    }
)

_SEQUENCE: Final = BigInteger().with_variant(Integer, "sqlite")
"""A counted key; SQLite counts only in INTEGER, which has 64 bits there."""


def _one_of(column: str, values: type[StrEnum] | frozenset[str]) -> str:
    words = sorted(str(value) for value in values)
    return f"{column} IN ({', '.join(repr(word) for word in words)})"


def _check(condition: str, name: str) -> CheckConstraint:
    return CheckConstraint(condition, name=name)


def _big(name: str, *, nullable: bool = False) -> Column[int]:
    return Column(name, BigInteger, nullable=nullable)


def _text(name: str, *, nullable: bool = False) -> Column[str]:
    return Column(name, Text, nullable=nullable)


def _sequence() -> Column[int]:
    return Column("sequence", _SEQUENCE, primary_key=True, autoincrement=True)


def _digest() -> Column[bytes]:
    """Fingerprint of the whole row: repeating a fact that has no key of its own changes nothing."""
    return Column("digest", LargeBinary, nullable=False, unique=True)


store_meta: Final = Table(
    "store_meta",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=False),
    _text("mode"),
    _text("account"),
    _text("note"),
    _check("id = 1", "single_row"),
)

markets: Final = Table(
    "markets",
    metadata,
    Column("condition_id", Text, primary_key=True),
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
    Column("fee_exponent", Integer, nullable=False),
    _text("rule_kind"),
    Column("rule_lookback_s", Integer, nullable=False),
    Column("negative_risk", Boolean, nullable=False),
    _text("version"),
    Column("accepting_orders", Boolean, nullable=False),
    _big("price_to_beat_e8", nullable=True),
    _big("updated_at_ns"),
    UniqueConstraint("up_token"),
    UniqueConstraint("down_token"),
    _check("up_token <> down_token", "two_tokens"),
    _check("window_ns > 0 AND closes_at_ns > opens_at_ns", "window"),
    _check("tick_size > 0 AND minimum_size >= 0 AND fee_rate_ppm >= 0 AND fee_exponent >= 0", "grid"),
    _check(_one_of("rule_kind", frozenset({ResolutionKind.AVERAGE})), "rule_kind"),
    _check("price_to_beat_e8 > 0", "price_to_beat"),
    Index(None, "closes_at_ns"),
)

decisions: Final = Table(
    "decisions",
    metadata,
    Column("decision_id", BigInteger, primary_key=True, autoincrement=False),
    _text("condition_id"),
    _text("symbol"),
    _big("at_ns"),
    _text("action"),
    _text("reason"),
    _text("outcome", nullable=True),
    Column("fair_value_up", Float(53), nullable=False),
    Column("market_prior_p_up", Float(53), nullable=False),
    Column("additive_bias", Float(53), nullable=False),
    Column("additive_confidence", Float(53), nullable=False),
    Column("bayesian_bias", Float(53), nullable=False),
    Column("bayesian_confidence", Float(53), nullable=False),
    Column("p_up", Float(53), nullable=False),
    Column("edge", Float(53), nullable=False),
    _big("price", nullable=True),
    _big("quantity", nullable=True),
    _text("inputs"),
    _check("action IN ('ENTER', 'SKIP')", "action"),
    _check(_one_of("outcome", Outcome), "outcome"),
    _check(
        "market_prior_p_up BETWEEN 0 AND 1 AND p_up BETWEEN 0 AND 1 AND fair_value_up BETWEEN 0 AND 1", "probabilities"
    ),
    _check("additive_confidence BETWEEN 0 AND 1 AND bayesian_confidence BETWEEN 0 AND 1", "confidences"),
    _check("additive_bias BETWEEN -1 AND 1 AND bayesian_bias BETWEEN -1 AND 1", "biases"),
    _check("price >= 0 AND quantity >= 0", "amounts"),
    Index(None, "condition_id"),
    Index(None, "action", "at_ns"),
)

orders: Final = Table(
    "orders",
    metadata,
    Column("client_order_id", Text, primary_key=True),
    _big("number"),
    _text("order_id", nullable=True),
    Column("condition_id", Text, ForeignKey("markets.condition_id"), nullable=False),
    _text("token_id"),
    _text("position_id"),
    _text("purpose"),
    _text("side"),
    _big("price"),
    _big("quantity"),
    _big("budget"),
    _text("time_in_force"),
    Column("post_only", Boolean, nullable=False),
    _big("expires_at_ns"),
    _big("tick_size"),
    Column("negative_risk", Boolean, nullable=False),
    _text("version"),
    _text("reason"),
    _text("status"),
    _big("filled"),
    _big("created_at_ns"),
    _big("updated_at_ns"),
    _text("detail"),
    Column("rule", Text, nullable=False, server_default=text("''")),
    _big("planned_price", nullable=True),
    Column("request_id", Text, nullable=False, server_default=text("''")),
    _check(_one_of("purpose", Purpose), "purpose"),
    _check(_one_of("side", Side), "side"),
    _check(_one_of("time_in_force", TimeInForce), "time_in_force"),
    _check(_one_of("status", OrderStatus), "status"),
    _check("quantity >= 0 AND budget >= 0 AND filled >= 0", "amounts"),
    _check("status = 'DENIED' OR (price > 0 AND price < 1000000)", "price"),
    _check("order_id IS NOT NULL OR status IN ('CANCELED', 'DENIED', 'NEW')", "has_order_id"),
    Index(None, "condition_id"),
)
Index(
    "uq_orders_exit_in_flight",
    orders.c.position_id,
    unique=True,
    sqlite_where=text("purpose <> 'ENTRY' AND status = 'SUBMITTED'"),
    postgresql_where=text("purpose <> 'ENTRY' AND status = 'SUBMITTED'"),
)
"""A second exit of a position is never sent while the answer to the first is awaited. (An order that comes back
from the dead is IN_DOUBT, so a true fact is never refused.)"""

order_intents: Final = Table(
    "order_intents",
    metadata,
    Column("client_order_id", Text, ForeignKey("orders.client_order_id"), primary_key=True),
    _text("order_id"),
    Column("body", LargeBinary, nullable=False),
    _big("salt"),
    _big("timestamp_ms"),
    _big("quantity"),
    _big("maker_amount"),
    _big("taker_amount"),
    _big("decision_id", nullable=True),
    _big("at_ns"),
    UniqueConstraint("order_id"),
    _check("salt >= 0 AND timestamp_ms >= 0", "signed_inputs"),
    _check("quantity >= 0 AND maker_amount >= 0 AND taker_amount >= 0", "amounts"),
)

order_events: Final = Table(
    "order_events",
    metadata,
    _sequence(),
    Column("client_order_id", Text, ForeignKey("orders.client_order_id"), nullable=False),
    _text("event"),
    _text("status"),
    _big("filled"),
    _big("at_ns"),
    _text("detail"),
    Column("digest", LargeBinary, nullable=False),
    UniqueConstraint("client_order_id", "digest"),
    _check(_one_of("event", OrderEvent), "event"),
    _check(_one_of("status", OrderStatus), "status"),
    _check("filled >= 0", "amounts"),
    sqlite_autoincrement=True,
)

fills: Final = Table(
    "fills",
    metadata,
    _text("trade_id"),
    _text("order_id"),
    Column("client_order_id", Text, ForeignKey("orders.client_order_id"), nullable=False),
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
    PrimaryKeyConstraint("trade_id", "order_id"),
    _check(_one_of("side", Side), "side"),
    _check(_one_of("liquidity", Liquidity), "liquidity"),
    _check(_one_of("status", FillStatus), "status"),
    _check("quantity > 0 AND cash >= 0 AND fee >= 0", "amounts"),
    _check("price BETWEEN 0 AND 1000000", "price"),
    Index(None, "client_order_id"),
    Index(None, "condition_id"),
    Index(None, "position_id"),
    Index(None, "matched_at_ns"),
)
Index(
    "ix_fills_provisional",
    fills.c.condition_id,
    sqlite_where=fills.c.status.in_(("MATCHED", "MINED", "RETRYING")),
    postgresql_where=fills.c.status.in_(("MATCHED", "MINED", "RETRYING")),
)

POSTING_AMOUNTS: Final = (
    "pending_shares",
    "settled_shares",
    "pending_cash",
    "settled_cash",
    "claim",
    "bought",
    "bought_cost",
    "sold",
    "sold_proceeds",
    "fee",
    "resolved",
    "payout",
)

ledger: Final = Table(
    "ledger",
    metadata,
    _sequence(),
    _text("source_id"),
    _text("kind"),
    _big("at_ns"),
    _text("reason"),
    _text("condition_id", nullable=True),
    _text("token_id", nullable=True),
    _text("position_id", nullable=True),
    *(_big(name) for name in POSTING_AMOUNTS),
    _big("price", nullable=True),
    _text("evidence"),
    UniqueConstraint("source_id"),
    _check(_one_of("kind", PostingKind), "kind"),
    _check("token_id IS NOT NULL OR (pending_shares = 0 AND settled_shares = 0)", "shares_have_token"),
    Index(None, "token_id"),
    Index(None, "condition_id"),
    Index(None, "position_id"),
    sqlite_autoincrement=True,
)

positions: Final = Table(
    "positions",
    metadata,
    Column("position_id", Text, primary_key=True),
    Column("condition_id", Text, ForeignKey("markets.condition_id"), nullable=False),
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
    Column("exit_mode", Text, nullable=False, server_default=text("''")),
    Column("high_water", BigInteger, nullable=False, server_default="0"),
    Column("exits", Text, nullable=False, server_default=text("''")),
    _big("mark", nullable=True),
    Column("mark_at_ns", BigInteger, nullable=False, server_default="0"),
    _check(_one_of("outcome", Outcome), "outcome"),
    _check(_one_of("status", PositionStatus), "status"),
    _check("average_price >= 0", "average_price"),
    Index(None, "condition_id"),
    Index(None, "status"),
)

settlements: Final = Table(
    "settlements",
    metadata,
    Column("condition_id", Text, primary_key=True),
    _text("slug"),
    _text("symbol"),
    _text("winner", nullable=True),
    _big("up_payout"),
    _big("shares_held"),
    _big("payout"),
    _big("realised_pnl"),
    _big("fees"),
    _big("at_ns"),
    _check(_one_of("winner", Outcome), "winner"),
    _check("up_payout BETWEEN 0 AND 1000000", "up_payout"),
    _check("shares_held >= 0 AND payout >= 0", "amounts"),
)

balances: Final = Table(
    "balances",
    metadata,
    _sequence(),
    _big("cash"),
    _big("ledger_cash"),
    _big("at_ns"),
    _text("source"),
    _digest(),
    sqlite_autoincrement=True,
)

reconciliations: Final = Table(
    "reconciliations",
    metadata,
    _sequence(),
    _big("at_ns"),
    Column("open_orders", Integer, nullable=False),
    Column("fills_applied", Integer, nullable=False),
    _text("differences"),
    _text("cause"),
    _digest(),
    _check("open_orders >= 0 AND fills_applied >= 0", "counts"),
    sqlite_autoincrement=True,
)

notices: Final = Table(
    "notices",
    metadata,
    _sequence(),
    _text("kind"),
    _text("subject"),
    _text("message"),
    _big("at_ns"),
    _digest(),
    Index(None, "kind", "at_ns"),
    sqlite_autoincrement=True,
)

switches: Final = Table(
    "switches",
    metadata,
    _text("name"),
    _text("subject"),
    Column("is_on", Boolean, nullable=False),
    _text("reason"),
    _text("source"),
    _big("until_ns"),
    _big("at_ns"),
    PrimaryKeyConstraint("name", "subject"),
)
"""What stops or limits entries, by its last value; `venue_mode` is among them for `polystra status`."""

doubts: Final = Table(
    "doubts",
    metadata,
    Column("client_order_id", Text, primary_key=True),
    _big("since_ns"),
    Column("lookups", Integer, nullable=False),
    Column("absences", Integer, nullable=False),
    _big("next_lookup_ns"),
    _text("outcome"),
    _big("at_ns"),
)

api_calls: Final = Table(
    "api_calls",
    metadata,
    _sequence(),
    _big("at_ns"),
    _text("method"),
    _text("path"),
    _big("latency_ns"),
    Column("status", Integer, nullable=True),
    _text("request"),
    _text("reply"),
    _text("outcome"),
    Index(None, "at_ns"),
    sqlite_autoincrement=True,
)
"""Every request that may change state at the venue, with its answer; secrets and signatures removed."""

api_call_orders: Final = Table(
    "api_call_orders",
    metadata,
    Column("call_sequence", BigInteger, nullable=False),
    _text("order_id"),
    _text("outcome"),
    PrimaryKeyConstraint("call_sequence", "order_id"),
    Index(None, "order_id"),
)
"""Which orders a request was about, and what came of each."""

lease: Final = Table(
    "lease",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=False),
    _big("epoch"),
    _text("host"),
    _big("pid"),
    _text("proof"),
    _big("since_ns"),
    _big("renewed_ns"),
    _big("expires_ns"),
    _check("id = 1", "single_row"),
)
"""Who may write and send; `epoch` counts its holders, `expires_ns` 0 means that it was given up."""

runs: Final = Table(
    "runs",
    metadata,
    Column("epoch", BigInteger, primary_key=True, autoincrement=False),
    _text("host"),
    _big("pid"),
    _big("started_ns"),
    _big("ended_ns", nullable=True),
    _text("reason"),
)
"""The daemon's runs, by the epoch under which they traded; one without an end crashed, or goes on."""
