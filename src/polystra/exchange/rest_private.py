"""The account part of the exchange's REST interface: keys, open orders, trades, balances.

What lives here: handlers that need a login proof (L1) or a request proof (L2). What must not: placing
and cancelling (`rest_orders`), rules of trading, payload shapes.

Shapes, texts and status codes: Polymarket CLOB docs, API reference and resources/error-codes.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final

from aiohttp import web

from polystra.exchange import payloads
from polystra.exchange.auth import ApiKey, check_login
from polystra.exchange.model import NS_PER_MS, NS_PER_S, OrderView, Refusal, TradeView
from polystra.exchange.replies import CLOCK_SHIFT, Api, Call, json_reply, refused
from polystra.exchange.validation import INVALID_ORDER_ID, is_order_id

INVALID_ORDER_PARAMS: Final = Refusal("invalid order params payload")
INVALID_TRADE_PARAMS: Final = Refusal("Invalid trade params payload")
ORDER_NOT_FOUND: Final = Refusal("Order not found", 404)
KEY_NOT_CREATED: Final = Refusal("Could not create api key")
KEY_NOT_DERIVED: Final = Refusal("Could not derive api key!")


class LoginApi(Api):
    """API keys."""

    def routes(self) -> list[web.RouteDef]:
        """Return the routes of the key life cycle."""
        return [
            web.post("/auth/api-key", self._create),
            web.get("/auth/derive-api-key", self._derive),
            web.get("/auth/api-keys", self.private(self._list)),
            web.delete("/auth/api-key", self.private(self._delete)),
        ]

    async def _create(self, request: web.Request) -> web.StreamResponse:
        login = self._login(request)
        if isinstance(login, Refusal):
            return refused(login)
        key = self._core.create_key(*login)
        return refused(KEY_NOT_CREATED) if key is None else json_reply(_credentials(key))

    async def _derive(self, request: web.Request) -> web.StreamResponse:
        login = self._login(request)
        if isinstance(login, Refusal):
            return refused(login)
        key = self._core.keys.derive(*login)
        return refused(KEY_NOT_DERIVED) if key is None else json_reply(_credentials(key))

    def _login(self, request: web.Request) -> tuple[str, int] | Refusal:
        tolerance_s = self._core.config.clock_tolerance_s
        now_ns = self.now() + request.get(CLOCK_SHIFT, 0)
        return check_login(request.headers, now_ns=now_ns, tolerance_s=tolerance_s, wall_ns=self.wall_ns())

    async def _list(self, call: Call) -> web.StreamResponse:
        return json_reply({"apiKeys": [key.key for key in self._core.keys.of_address(call.key.address)]})

    async def _delete(self, call: Call) -> web.StreamResponse:
        self._core.delete_key(call.key)
        return json_reply("OK")


class AccountApi(Api):
    """Open orders, trades and balances of the caller."""

    def routes(self) -> list[web.RouteDef]:
        """Return the reading routes."""
        return [
            web.get("/data/order/{order_id}", self.private(self._order, readonly=True)),
            web.get("/data/orders", self.private(self._orders, readonly=True)),
            web.get("/data/trades", self.private(self._trades, readonly=True)),
        ]

    def _addresses(self, key: ApiKey) -> list[str]:
        return [account.address for account in self._core.accounts_of(key.address)]

    async def _order(self, call: Call) -> web.StreamResponse:
        """Only open orders are known here; anything else is a null body or 404, by the rules in force."""
        order_id = call.request.match_info["order_id"]
        if not is_order_id(order_id):
            return refused(INVALID_ORDER_ID)
        order = self._core.order(order_id)
        own = order is not None and order.account in self._addresses(call.key)
        if order is not None and own:
            return json_reply(payloads.open_order(order))
        return json_reply(None) if self._core.desk.rules.closed_order_status == 200 else refused(ORDER_NOT_FOUND)

    async def _orders(self, call: Call) -> web.StreamResponse:
        offset = payloads.cursor_offset(call.query("next_cursor") or payloads.FIRST_CURSOR)
        if offset is None:
            return refused(INVALID_ORDER_PARAMS)
        rows = [
            payloads.open_order(order)
            for order in self._core.open_orders(self._addresses(call.key))
            if _order_matches(order, call)
        ]
        return json_reply(payloads.page(rows, offset))

    async def _trades(self, call: Call) -> web.StreamResponse:
        offset = payloads.cursor_offset(call.query("next_cursor") or payloads.FIRST_CURSOR)
        before, after = call.query("before") or "", call.query("after") or ""
        if offset is None or not all(text == "" or text.isdigit() for text in (before, after)):
            return refused(INVALID_TRADE_PARAMS)
        addresses = self._addresses(call.key)
        wanted = call.query("maker_address")
        if wanted is not None:
            addresses = [address for address in addresses if address == wanted.lower()]
        rows = [
            payloads.trade(trade, owner=call.key.key, account=address, status=self._listed_status(trade, call.now_ns))
            for trade in self._trades_of(addresses, call)
            if _within(trade.matched_ns // NS_PER_S, after, before)
            for address in _own_part(trade, addresses)
        ]
        return json_reply(payloads.page(rows, offset))

    def _listed_status(self, trade: TradeView, now_ns: int) -> str:
        """Return what a listing shows for a trade that no transaction carries yet."""
        unbroadcast_ns = self._core.desk.rules.unbroadcast_ms * NS_PER_MS
        young = trade.status == "MATCHED" and now_ns - trade.matched_ns < unbroadcast_ns
        return "MATCHED_NOT_BROADCASTED" if young else ""

    def _trades_of(self, addresses: Sequence[str], call: Call) -> Iterable[TradeView]:
        trade_id, market, asset_id = call.query("id"), call.query("market"), call.query("asset_id")
        for trade in self._core.trades(addresses):
            tokens = {None, trade.token_id, *(leg.token_id for leg in trade.legs)}
            if trade_id in {None, trade.trade_id} and market in {None, trade.condition_id} and asset_id in tokens:
                yield trade


def _credentials(key: ApiKey) -> dict[str, str]:
    return {"apiKey": key.key, "secret": key.secret, "passphrase": key.passphrase}


def _order_matches(order: OrderView, call: Call) -> bool:
    wanted = ((call.query("id"), order.order_id), (call.query("market"), order.condition_id))
    return all(value in {None, own} for value, own in (*wanted, (call.query("asset_id"), order.token_id)))


def _within(at_s: int, after: str, before: str) -> bool:
    return (not after or at_s >= int(after)) and (not before or at_s <= int(before))


def _own_part(trade: TradeView, addresses: Sequence[str]) -> list[str]:
    """Return the account whose view of a trade the caller gets: the taker's before a maker's."""
    if trade.taker_account in addresses:
        return [trade.taker_account]
    return [leg.account for leg in trade.legs if leg.account in addresses][:1]
