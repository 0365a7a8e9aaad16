"""The account part of the exchange's REST interface: keys, orders, cancels, trades, balances.

What lives here: handlers that need a login proof (L1) or a request proof (L2). What must not: rules
of trading, payload shapes.

Shapes, texts and status codes: Polymarket CLOB docs, API reference and resources/error-codes.
Refused legs of a batch take the shape `success: true` with `errorMsg`.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final

import msgspec
from aiohttp import web

from polystra.exchange import payloads
from polystra.exchange.accounts import Account
from polystra.exchange.auth import ApiKey, check_login
from polystra.exchange.core import CancelReport, Placement
from polystra.exchange.intake import Admitted, Submission, admit, parse_batch, parse_submission
from polystra.exchange.model import NS_PER_S, OrderView, Refusal, TradeView
from polystra.exchange.replies import Api, Call, json_reply, refused
from polystra.exchange.typed_data import CTF_EXCHANGE_V2, EXCHANGE_V3, NEG_RISK_EXCHANGE_V2
from polystra.exchange.validation import INVALID_PAYLOAD

CANCEL_LIMIT: Final = 1_000
UNLIMITED_ALLOWANCE: Final = str((1 << 256) - 1)
INVALID_ORDER_ID: Final = Refusal("Invalid orderID")
INVALID_ORDER_PARAMS: Final = Refusal("invalid order params payload")
INVALID_TRADE_PARAMS: Final = Refusal("Invalid trade params payload")
INVALID_ASSET_TYPE: Final = Refusal("Invalid asset type")
INVALID_SIGNATURE_TYPE: Final = Refusal("Invalid signature_type")
NO_DEPOSIT_WALLET: Final = Refusal("no deposit wallet found for owner")
KEY_NOT_CREATED: Final = Refusal("Could not create api key")
KEY_NOT_DERIVED: Final = Refusal("Could not derive api key!")


class _CancelOne(msgspec.Struct, frozen=True):
    orderID: str  # noqa: N815 - the wire's name


class _CancelMarket(msgspec.Struct, frozen=True):
    market: str = ""
    asset_id: str = ""


class LoginApi(Api):
    """API keys."""

    def routes(self) -> list[web.RouteDef]:
        """Return the routes of the key life cycle."""
        return [
            web.post("/auth/api-key", self._create),
            web.get("/auth/derive-api-key", self._derive),
            web.get("/auth/api-keys", self.private(self._list)),
            web.delete("/auth/api-key", self.private(self._delete)),
            web.get("/auth/ban-status/closed-only", self.private(self._closed_only)),
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
        return check_login(request.headers, now_ns=self.now(), tolerance_s=tolerance_s, wall_ns=self.wall_ns())

    async def _list(self, call: Call) -> web.StreamResponse:
        return json_reply({"apiKeys": [key.key for key in self._core.keys.of_address(call.key.address)]})

    async def _delete(self, call: Call) -> web.StreamResponse:
        self._core.delete_key(call.key)
        return json_reply("OK")

    async def _closed_only(self, _call: Call) -> web.StreamResponse:
        return json_reply({"closed_only": False})


class OrderApi(Api):
    """Placing and cancelling."""

    def routes(self) -> list[web.RouteDef]:
        """Return the routes that change orders."""
        return [
            web.post("/order", self.private(self._post_order)),
            web.post("/orders", self.private(self._post_orders)),
            web.delete("/order", self.private(self._cancel_one)),
            web.delete("/orders", self.private(self._cancel_many)),
            web.delete("/cancel-all", self.private(self._cancel_all)),
            web.delete("/cancel-market-orders", self.private(self._cancel_market)),
        ]

    async def _post_order(self, call: Call) -> web.StreamResponse:
        (placement,) = await self._submit(call.key, [parse_submission(call.body)])
        if placement.refusal is not None:
            return refused(placement.refusal)
        return json_reply(payloads.placement(placement))

    async def _post_orders(self, call: Call) -> web.StreamResponse:
        legs = parse_batch(call.body)
        if isinstance(legs, Refusal):
            return refused(legs)
        placements = await self._submit(call.key, legs)
        return json_reply([payloads.placement(placement, in_batch=True) for placement in placements])

    async def _submit(self, key: ApiKey, legs: Sequence[Submission | Refusal]) -> list[Placement]:
        """Place orders, those last that their market holds back as takers; answers in the legs' order."""
        placements: dict[int, Placement] = {}
        held: dict[int, Admitted] = {}
        hold_ms = 0
        for number, leg in enumerate(legs):
            admitted = leg if isinstance(leg, Refusal) else admit(self._core, key, leg)
            if isinstance(admitted, Refusal):
                placements[number] = Placement(order_id="", refusal=admitted)
            elif delay_ms := self._delay_ms(admitted):
                held[number] = admitted
                hold_ms = max(hold_ms, delay_ms)
            else:
                placements[number] = self._place(admitted)
        if held:
            await self._clock.sleep(hold_ms / 1_000)
        for number, admitted in held.items():
            placements[number] = self._place(admitted)
        return [placements[number] for number in range(len(legs))]

    def _place(self, admitted: Admitted) -> Placement:
        return self._core.place(admitted.account, admitted.request, self._clock.now_ns())

    def _delay_ms(self, admitted: Admitted) -> int:
        """Return how long a marketable order waits, on no book, to be checked anew afterwards; else zero."""
        request = admitted.request
        market = self._core.market_of_token(request.token_id)
        if market is None or market.spec.taker_delay_ms == 0 or request.post_only:
            return 0
        refusal = self._core.check(admitted.account, request, self._clock.now_ns())
        return market.spec.taker_delay_ms if refusal is None and self._core.would_match(request) else 0

    async def _cancel_one(self, call: Call) -> web.StreamResponse:
        try:
            order_id = msgspec.json.decode(call.body, type=_CancelOne).orderID
        except msgspec.MsgspecError:
            return refused(INVALID_PAYLOAD)
        return self._cancel(call, [order_id]) if order_id else refused(INVALID_ORDER_ID)

    async def _cancel_many(self, call: Call) -> web.StreamResponse:
        try:
            order_ids = msgspec.json.decode(call.body, type=list[str])
        except msgspec.MsgspecError:
            return refused(INVALID_PAYLOAD)
        if len(order_ids) > CANCEL_LIMIT:
            return refused(Refusal(f"Too many orders in payload, max allowed: {CANCEL_LIMIT}"))
        return self._cancel(call, order_ids)

    def _cancel(self, call: Call, order_ids: Sequence[str]) -> web.Response:
        return _cancel_reply(self._core.cancel(call.key.address, order_ids, call.now_ns))

    async def _cancel_all(self, call: Call) -> web.StreamResponse:
        return _cancel_reply(self._core.cancel_all(call.key.address, None, None, call.now_ns))

    async def _cancel_market(self, call: Call) -> web.StreamResponse:
        try:
            chosen = msgspec.json.decode(call.body or b"{}", type=_CancelMarket)
        except msgspec.MsgspecError:
            return refused(INVALID_PAYLOAD)
        report = self._core.cancel_all(call.key.address, chosen.market or None, chosen.asset_id or None, call.now_ns)
        return _cancel_reply(report)


class AccountApi(Api):
    """Open orders, trades and balances of the caller."""

    def routes(self) -> list[web.RouteDef]:
        """Return the reading routes."""
        return [
            web.get("/data/order/{order_id}", self.private(self._order)),
            web.get("/data/orders", self.private(self._orders)),
            web.get("/data/trades", self.private(self._trades)),
            web.get("/balance-allowance", self.private(self._balance)),
            web.get("/balance-allowance/update", self.private(self._update_balance)),
        ]

    def _addresses(self, key: ApiKey) -> list[str]:
        return [account.address for account in self._core.accounts_of(key.address)]

    async def _order(self, call: Call) -> web.StreamResponse:
        """Only open orders are known here; anything else is a null body with status 200."""
        order = self._core.order(call.request.match_info["order_id"])
        own = order is not None and order.account in self._addresses(call.key)
        return json_reply(payloads.open_order(order) if order is not None and own else None)

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
            payloads.trade(trade, owner=call.key.key, account=address)
            for trade in self._trades_of(addresses, call)
            if _within(trade.matched_ns // NS_PER_S, after, before)
            for address in _own_part(trade, addresses)
        ]
        return json_reply(payloads.page(rows, offset))

    def _trades_of(self, addresses: Sequence[str], call: Call) -> Iterable[TradeView]:
        trade_id, market, asset_id = call.query("id"), call.query("market"), call.query("asset_id")
        for trade in self._core.trades(addresses):
            tokens = {None, trade.token_id, *(leg.token_id for leg in trade.legs)}
            if trade_id in {None, trade.trade_id} and market in {None, trade.condition_id} and asset_id in tokens:
                yield trade

    async def _balance(self, call: Call) -> web.StreamResponse:
        account = self._wallet(call)
        if isinstance(account, Refusal):
            return refused(account)
        asset_type, token_id = call.query("asset_type"), call.query("token_id")
        if asset_type == "COLLATERAL":
            balance = account.cash if account else 0
        elif asset_type in {"CONDITIONAL", "CONDITIONAL-V2"} and token_id is not None:
            balance = account.tokens.get(token_id, 0) if account else 0
        else:
            return refused(INVALID_ASSET_TYPE)
        allowances = dict.fromkeys((CTF_EXCHANGE_V2, NEG_RISK_EXCHANGE_V2, EXCHANGE_V3), UNLIMITED_ALLOWANCE)
        return json_reply({"balance": str(balance), "allowances": allowances})

    async def _update_balance(self, call: Call) -> web.StreamResponse:
        """Balances follow the chain at once here, so there is nothing to re-read; the body is empty."""
        account = self._wallet(call)
        return refused(account) if isinstance(account, Refusal) else web.Response(body=b"")

    def _wallet(self, call: Call) -> Account | Refusal | None:
        """Return the caller's wallet of the asked type; a legacy type without wallet holds nothing."""
        text = call.query("signature_type") or "0"
        if text not in {"0", "1", "2", "3"}:
            return INVALID_SIGNATURE_TYPE
        account = self._core.wallet_of(call.key.address, int(text))
        return NO_DEPOSIT_WALLET if account is None and text == "3" else account


def _credentials(key: ApiKey) -> dict[str, str]:
    return {"apiKey": key.key, "secret": key.secret, "passphrase": key.passphrase}


def _cancel_reply(report: CancelReport) -> web.Response:
    return json_reply(payloads.cancel_report(report.canceled, report.not_canceled))


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
