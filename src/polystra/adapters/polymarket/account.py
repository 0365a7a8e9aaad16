"""Reading the account: open orders, trades and balances, all pages, retried.

What lives here: the questions of L2 reads and their paging. What must not: commands, opinions
about what a difference means. Cursors are offsets that shift while orders come and go, so a
list of several pages is read until two readings agree (Polymarket CLOB docs, open orders).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import Final

from polystra.adapters.polymarket.decode_account import (
    FIRST_PAGE,
    LAST_PAGE,
    Identity,
    balance,
    fill_reports,
    open_order,
    order_report,
    page,
    spendable,
)
from polystra.adapters.polymarket.transport import Headers, HttpTransport
from polystra.adapters.polymarket.wire import JsonObject, text
from polystra.domain.errors import VenueError, VenueProtocolError, VenueRefused
from polystra.domain.events import AccountSnapshot, OrderLookedUp, OrderReport
from polystra.domain.fills import FillReport
from polystra.domain.ids import ConditionId, OrderId, TokenId
from polystra.domain.units import NS_PER_S, MicroDollars, MicroShares, Nanos
from polystra.ports.clock import Clock
from polystra.ports.venue import SpendableBalance

MAX_PAGES: Final = 1_000
MAX_READINGS: Final = 4
TRADES_MARGIN_S: Final = 1
"""Trades are asked from one second earlier: the venue's filter counts whole seconds."""

_POSITION_ID_ZEROS: Final = ((1 << 64) - 1) << 40
_POSITION_MODULES: Final = frozenset({1, 2, 3})


@dataclass(slots=True)
class _Reading:
    """What has been read so far; `problems` says what could not be."""

    orders: tuple[OrderReport, ...] = ()
    fills: tuple[FillReport, ...] = ()
    cash: MicroDollars | None = None
    allowance: MicroDollars | None = None
    tokens: list[tuple[TokenId, MicroShares]] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)


class AccountQueries:
    """Questions about one account. `signature_type` is the wallet type that the venue derives balances by."""

    def __init__(
        self, transport: HttpTransport, headers: Headers, *, clock: Clock, identity: Identity, signature_type: int
    ) -> None:
        self._transport = transport
        self._headers = headers
        self._clock = clock
        self._identity = identity
        self._signature_type = signature_type

    async def account(self, *, since_ns: Nanos, tokens: Iterable[TokenId], refresh: bool = False) -> AccountSnapshot:
        """Read everything; a failed part makes the snapshot incomplete and names the failure.

        With `refresh` the venue is asked to read the chain again before each balance.
        """
        asked_at_ns = self._clock.now_ns()
        reading = _Reading()
        await self._read_orders(reading)
        await self._read_trades(reading, {}, since_ns, self._identity)
        try:
            collateral = await self.spendable(refresh=refresh)
            reading.cash, reading.allowance = collateral.balance, collateral.most_allowed
        except VenueError as error:
            reading.problems.append(f"cash: {error}")
        for token_id in tokens:
            try:
                balance_of = self.token_balance if refresh else self._token_balance
                reading.tokens.append((token_id, await balance_of(token_id)))
            except VenueError as error:
                reading.problems.append(f"token {token_id}: {error}")
        return AccountSnapshot(
            asked_at_ns=asked_at_ns,
            at_ns=self._clock.now_ns(),
            complete=not reading.problems,
            cash=reading.cash,
            open_orders=reading.orders,
            fills=reading.fills,
            tokens=tuple(reading.tokens),
            allowance=reading.allowance,
            detail="; ".join(reading.problems),
        )

    async def lookup(self, order_id: OrderId, condition_id: ConditionId, since_ns: Nanos) -> OrderLookedUp:
        """Ask for one order among open orders, then among the trades of its market."""
        asked_at_ns = self._clock.now_ns()
        reading = _Reading()
        found: OrderReport | None = None
        try:
            found = await self._open_order(order_id)
        except VenueError as error:
            reading.problems.append(str(error))
        identity = replace(self._identity, is_ours=lambda asked: asked == order_id)
        await self._read_trades(reading, {"market": condition_id}, since_ns, identity)
        return OrderLookedUp(
            order_id=order_id,
            open_order=found,
            fills=tuple(fill for fill in reading.fills if fill.order_id == order_id),
            asked_at_ns=asked_at_ns,
            complete=not reading.problems,
        )

    async def order(self, order_id: OrderId) -> OrderReport | None:
        """One order, None when it is not open."""
        return await self._open_order(order_id)

    async def open_orders(self) -> tuple[OrderReport, ...]:
        """Every open order; raises VenueError when a page or an order cannot be read."""
        items = await self._settled_list("/data/orders", {})
        return tuple(order_report(item, self._clock.now_ns()) for item in items)

    async def trades(self, since_ns: Nanos) -> tuple[FillReport, ...]:
        """Our legs of every trade since then; raises VenueError when a page or a trade cannot be read."""
        after = max(0, since_ns // NS_PER_S - TRADES_MARGIN_S)
        items, _ = await self._list("/data/trades", {"after": str(after)})
        return tuple(leg for item in items for leg in fill_reports(item, self._identity, self._clock.now_ns()))

    async def spendable(self, token_id: TokenId | None = None, *, refresh: bool = False) -> SpendableBalance:
        """Balance and allowances of the collateral, or of a token; `refresh` has the chain read again first."""
        kind = {"asset_type": "COLLATERAL"} if token_id is None else self._of_token(token_id)
        asked = {**kind, "signature_type": str(self._signature_type)}
        if refresh:
            await self._transport.read("/balance-allowance/update", asked, self._headers)
        return spendable((await self._transport.read("/balance-allowance", asked, self._headers)).body)

    async def cash(self) -> MicroDollars:
        """The collateral balance in micro-dollars."""
        return (await self.spendable()).balance

    async def token_balance(self, token_id: TokenId) -> MicroShares:
        """The balance of a token after asking the venue to read the chain again."""
        await self._refresh(self._of_token(token_id))
        return await self._token_balance(token_id)

    async def _token_balance(self, token_id: TokenId) -> MicroShares:
        return await self._balance(self._of_token(token_id))

    async def _refresh(self, params: dict[str, str]) -> None:
        asked = {**params, "signature_type": str(self._signature_type)}
        await self._transport.read("/balance-allowance/update", asked, self._headers)

    async def _balance(self, params: dict[str, str]) -> int:
        asked = {**params, "signature_type": str(self._signature_type)}
        reply = await self._transport.read("/balance-allowance", asked, self._headers)
        return balance(reply.body)

    def _of_token(self, token_id: TokenId) -> dict[str, str]:
        kind = "CONDITIONAL-V2" if is_position_id(token_id) else "CONDITIONAL"
        return {"asset_type": kind, "token_id": token_id, "signature_type": str(self._signature_type)}

    async def _open_order(self, order_id: OrderId) -> OrderReport | None:
        """The order as it is open, None when the venue says that it is not.

        An answer without any body has been seen for orders that were over, and says nothing by itself: the
        list of open orders is asked then, because an order that is called over too early is sold twice.
        """
        try:
            reply = await self._transport.read(f"/data/order/{order_id}", None, self._headers)
        except VenueRefused as error:
            if error.status == 404:
                return None
            raise
        if not reply.body.strip():
            return await self._listed_order(order_id)
        report = open_order(reply.body, self._clock.now_ns())
        if report is not None and report.order_id != order_id:
            raise VenueProtocolError(f"asked for order {order_id}, was answered with {report.order_id}")
        return report

    async def _listed_order(self, order_id: OrderId) -> OrderReport | None:
        items, _ = await self._list("/data/orders", {"id": order_id})
        reports = (order_report(item, self._clock.now_ns()) for item in items)
        return next((report for report in reports if report.order_id == order_id), None)

    async def _read_orders(self, reading: _Reading) -> None:
        try:
            items = await self._settled_list("/data/orders", {})
        except VenueError as error:
            reading.problems.append(f"open orders: {error}")
            return
        reports = []
        for item in items:
            try:
                reports.append(order_report(item, self._clock.now_ns()))
            except VenueProtocolError as error:
                reading.problems.append(f"an open order: {error}")
        reading.orders = tuple(reports)

    async def _read_trades(
        self, reading: _Reading, params: dict[str, str], since_ns: Nanos, identity: Identity
    ) -> None:
        after = max(0, since_ns // NS_PER_S - TRADES_MARGIN_S)
        try:
            items, _ = await self._list("/data/trades", {**params, "after": str(after)})
        except VenueError as error:
            reading.problems.append(f"trades: {error}")
            return
        fills: list[FillReport] = []
        for item in items:
            try:
                fills.extend(fill_reports(item, identity, self._clock.now_ns()))
            except VenueProtocolError as error:
                reading.problems.append(f"a trade: {error}")
        reading.fills = tuple(fills)

    async def _settled_list(self, path: str, params: dict[str, str]) -> list[JsonObject]:
        """Read a list; when it has several pages, until two readings name the same ids."""
        items, pages = await self._list(path, params)
        for _ in range(MAX_READINGS):
            if pages <= 1:
                return items
            again, pages = await self._list(path, params)
            if {text(item, "id") for item in again} == {text(item, "id") for item in items}:
                return again
            items = again
        raise VenueProtocolError(f"{path} changed during {MAX_READINGS} readings, so that pages may be missing")

    async def _list(self, path: str, params: dict[str, str]) -> tuple[list[JsonObject], int]:
        """Read all pages, each id once (the last word on it), and say how many pages there were."""
        cursor = FIRST_PAGE
        seen = {cursor}
        by_id: dict[str, JsonObject] = {}
        for count in range(1, MAX_PAGES + 1):
            reply = await self._transport.read(path, {**params, "next_cursor": cursor}, self._headers)
            found = page(reply.body)
            for item in found.items:
                by_id[text(item, "id") or f"page {count}, item {len(by_id)}"] = item
            cursor = found.next_cursor
            if cursor == LAST_PAGE:
                return list(by_id.values()), count
            if cursor in seen:
                raise VenueProtocolError(f"{path} gave the cursor {cursor[:40]!r} twice")
            seen.add(cursor)
        raise VenueProtocolError(f"{path} has more than {MAX_PAGES} pages")


def is_position_id(token_id: str) -> bool:
    """True for ids of the newer position tokens: a module in the top byte, bits 40 to 103 zero (Polymarket docs)."""
    if not (token_id.isascii() and token_id.isdigit() and len(token_id) <= 78):
        return False
    number = int(token_id)
    return number >> 248 in _POSITION_MODULES and number & _POSITION_ID_ZEROS == 0
