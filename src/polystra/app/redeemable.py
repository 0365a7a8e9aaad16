"""`polystra redeemable`: winnings that wait to be redeemed, and how long trading could go on with them.

What lives here: the claims of the ledger per token, their words. What must not: redeeming, which this program
never does (the website does, or the venue by itself where its operator is approved), statements.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass

import typer

from polystra.adapters.store.account_reading import AccountReading, read_account
from polystra.app.book_reading import database_url
from polystra.app.screen import grid, screen
from polystra.app.settings import Settings
from polystra.domain.ids import TokenId
from polystra.domain.units import NS_PER_S, MicroDollars, Nanos, format_micros


@dataclass(slots=True)
class _Claim:
    condition_id: str
    position_id: str
    shares: int = 0
    dollars: MicroDollars = 0
    since_ns: Nanos = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class RedeemableLine:
    """One token's claim; `age_s` counts from the verdict to the newest entry of the database."""

    market: str
    condition_id: str
    token_id: str
    outcome: str
    shares: str
    dollars: str
    age_s: int


def show_redeemable(settings: Settings, *, as_json: bool) -> None:
    """Print what can be redeemed, the oldest first.

    Raises:
        StoreError: the database cannot be read.
    """
    lines = build_redeemable(read_account(database_url(settings)))
    if as_json:
        typer.echo(json.dumps([asdict(line) for line in lines], indent=2))
        return
    if not lines:
        typer.echo("Nothing to redeem.")
        return
    rows = [
        (line.market, line.condition_id, line.outcome, line.shares, line.dollars, _age(line.age_s)) for line in lines
    ]
    figures = ("shares", "dollars", "age")
    screen().print(grid("Redeemable", words=("market", "condition", "outcome"), figures=figures, rows=rows))
    typer.echo("Nothing is redeemed by this program: redeem on the website, or let the venue do it by itself.")


def build_redeemable(account: AccountReading) -> tuple[RedeemableLine, ...]:
    """The claims that are still open, the oldest first."""
    claims: dict[TokenId, _Claim] = {}
    for posting in account.postings:
        if posting.token_id is None or not posting.claim:
            continue
        claim = claims.setdefault(
            posting.token_id, _Claim(str(posting.condition_id or ""), str(posting.position_id or ""))
        )
        if claim.dollars == 0:
            claim.since_ns = posting.at_ns
        claim.dollars += posting.claim
        claim.shares += posting.resolved
        if posting.claim < 0:
            claim.shares = 0
    slugs = {market.condition_id: market.slug for market in account.markets}
    outcomes = {line.token_id: str(line.outcome) for line in account.positions}
    open_claims = sorted((claim.since_ns, token_id) for token_id, claim in claims.items() if claim.dollars > 0)
    return tuple(
        RedeemableLine(
            market=slugs.get(claims[token_id].condition_id, claims[token_id].condition_id),
            condition_id=claims[token_id].condition_id,
            token_id=token_id,
            outcome=outcomes.get(token_id, ""),
            shares=format_micros(claims[token_id].shares),
            dollars=format_micros(claims[token_id].dollars),
            age_s=max(0, account.last_entry_ns - since_ns) // NS_PER_S,
        )
        for since_ns, token_id in open_claims
    )


def runway(claims: MicroDollars, entry: MicroDollars) -> str:
    """What unredeemed winnings are good for, in words; empty when there are none. `entry` is the usual stake."""
    if claims <= 0:
        return ""
    entries = claims // entry if entry > 0 else 0
    return f"unredeemed winnings of ${format_micros(claims)}; trading could go on for {entries} entries"


def _age(seconds: int) -> str:
    hours, rest = divmod(seconds, 3_600)
    return f"{hours} h {rest // 60} min" if hours else f"{rest // 60} min {rest % 60} s"
