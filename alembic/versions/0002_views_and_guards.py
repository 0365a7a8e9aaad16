"""Views in decimals for people, and guards that keep append-only tables append-only.

Revision: 0002
Follows: 0001
"""

from __future__ import annotations

from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

_APPEND_ONLY = ("ledger", "order_events", "order_intents")


def upgrade() -> None:
    """Make the views and the triggers in the engine's own words."""
    sqlite = op.get_bind().dialect.name == "sqlite"
    for statement in _views(sqlite=sqlite):
        op.execute(statement)
    if sqlite:
        _guard_sqlite()
    else:
        _guard_postgres()


def _micro(column: str, name: str = "", *, sqlite: bool) -> str:
    """Millionths as exact decimals, without passing through binary floats."""
    if sqlite:
        exact = (
            f"CASE WHEN {column} IS NULL THEN NULL ELSE printf('%s%d.%06d', "
            f"CASE WHEN {column} < 0 THEN '-' ELSE '' END, abs({column}) / 1000000, abs({column}) % 1000000) END"
        )
    else:
        exact = f"({column}::numeric / 1000000)::numeric(24, 6)"
    return f"{exact} AS {name or column}"


def _when(column: str, name: str, *, sqlite: bool) -> str:
    if sqlite:
        return (
            f"strftime('%Y-%m-%dT%H:%M:%S', {column} / 1000000000, 'unixepoch') "
            f"|| printf('.%06dZ', {column} % 1000000000 / 1000) AS {name}"
        )
    return f"to_timestamp({column} / 1000000000) + ({column} % 1000000000 / 1000) * interval '1 microsecond' AS {name}"


def _columns(words: str, *, sqlite: bool) -> str:
    """A short notation: `m:x` is an amount, `t:x_ns>y` a time, everything else as it is."""
    out = []
    for word in words.split():
        kind, _, rest = word.rpartition(":")
        column, _, name = rest.partition(">")
        if kind == "m":
            out.append(_micro(column, name, sqlite=sqlite))
        elif kind == "t":
            out.append(_when(column, name, sqlite=sqlite))
        else:
            out.append(column)
    return ", ".join(out)


def _views(*, sqlite: bool) -> list[str]:
    orders = (
        "client_order_id order_id condition_id token_id position_id purpose side m:price m:quantity m:budget m:filled "
        "time_in_force post_only status detail t:created_at_ns>created_at t:updated_at_ns>updated_at"
    )
    fills = (
        "trade_id order_id client_order_id position_id condition_id token_id side m:price m:quantity m:cash m:fee "
        "liquidity status transaction_hash t:matched_at_ns>matched_at"
    )
    positions = (
        "position_id condition_id token_id outcome symbol status m:pending_shares m:settled_shares m:average_price "
        "m:realised_pnl m:fees m:take_profit_price m:stop_price exit_reason t:opened_at_ns>opened_at t:at_ns>changed_at"
    )
    ledger = (
        "sequence source_id kind reason condition_id token_id position_id m:pending_shares m:settled_shares "
        "m:pending_cash m:settled_cash m:claim m:bought m:bought_cost m:sold m:sold_proceeds m:fee m:resolved m:payout "
        "m:price evidence t:at_ns>booked_at"
    )
    views = {"orders": orders, "fills": fills, "positions": positions, "ledger": ledger}
    return [
        f"CREATE VIEW v_{table} AS SELECT {_columns(words, sqlite=sqlite)} FROM {table}"  # noqa: S608 - our own names
        for table, words in views.items()
    ]


def _guard_sqlite() -> None:
    for table in _APPEND_ONLY:
        for deed in ("UPDATE", "DELETE"):
            op.execute(
                f"CREATE TRIGGER {table}_no_{deed.lower()} BEFORE {deed} ON {table} "
                f"BEGIN SELECT RAISE(ABORT, '{table} is append-only'); END"
            )


def _guard_postgres() -> None:
    op.execute(
        "CREATE FUNCTION refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$ "
        "BEGIN RAISE EXCEPTION '% is append-only', TG_TABLE_NAME USING ERRCODE = 'integrity_constraint_violation'; "
        "END $$"
    )
    for table in _APPEND_ONLY:
        op.execute(
            f"CREATE TRIGGER {table}_append_only BEFORE UPDATE OR DELETE ON {table} "
            "FOR EACH ROW EXECUTE FUNCTION refuse_change()"
        )
