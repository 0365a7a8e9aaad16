"""The account part of the REST interface beside orders: balances, notices, heartbeats, standing, keys.

What lives here: handlers for cached balances and allowances, notifications, heartbeats, read-only
keys, ban status, scoring and the orders of before the migration. What must not: rules
(`account_desk` and what it holds), placing and cancelling (`rest_private`, `rest_orders`).

Shapes and texts: Polymarket CLOB docs, API reference. The scoring rule is ours: an open order of at
least the minimum size scores.
"""

from __future__ import annotations

from typing import Final

import msgspec
from aiohttp import web

from polystra.exchange import payloads
from polystra.exchange.accounts import Account
from polystra.exchange.balances import SPENDERS, AssetType, token_type
from polystra.exchange.model import NS_PER_S, Refusal
from polystra.exchange.notifications import LISTED, RESOLVED, Notice
from polystra.exchange.payloads import Payload
from polystra.exchange.replies import Api, Call, json_reply, refused
from polystra.exchange.rest_public import verbose_market
from polystra.exchange.reversal import CASH
from polystra.exchange.validation import INVALID_PAYLOAD

INVALID_ASSET_TYPE: Final = Refusal("Invalid asset type")
INVALID_SIGNATURE_TYPE: Final = Refusal("Invalid signature_type")
NO_DEPOSIT_WALLET: Final = Refusal("no deposit wallet found for owner")
INVALID_IDS: Final = Refusal("Invalid ids")
INVALID_ORDER_ID: Final = Refusal("Invalid orderID")
INVALID_ORDER_PARAMS: Final = Refusal("invalid order params payload")
KEY_NOT_DELETED: Final = Refusal("Could not delete API key", 500)
NO_RECORD: Final = Refusal("not found", 404)
INVALID_HEARTBEAT: Final = "Invalid Heartbeat ID"


class _Heartbeat(msgspec.Struct, frozen=True):
    heartbeat_id: str = ""


class _KeyName(msgspec.Struct, frozen=True):
    key: str


class DeskApi(Api):
    """The account desk over HTTP."""

    def routes(self) -> list[web.RouteDef]:
        """Return the routes."""
        return [
            web.get("/balance-allowance", self.private(self._balance, readonly=True)),
            web.get("/balance-allowance/update", self.private(self._update)),
            web.put("/balance-allowance", self.private(self._update)),
            web.get("/notifications", self.private(self._notices, readonly=True)),
            web.delete("/notifications", self.private(self._dismiss)),
            web.post("/v1/heartbeats", self.private(self._beat)),
            web.post("/heartbeats", self.private(self._old_beat)),
            web.post("/auth/readonly-api-key", self.private(self._create_readonly)),
            web.get("/auth/readonly-api-keys", self.private(self._list_readonly)),
            web.delete("/auth/readonly-api-key", self.private(self._delete_readonly)),
            web.get("/auth/ban-status/closed-only", self.private(self._closed_only, readonly=True)),
            web.get("/order-scoring", self.private(self._scoring, readonly=True)),
            web.post("/orders-scoring", self.private(self._many_scoring, readonly=True)),
            web.get("/data/pre-migration-orders", self.private(self._old_orders, readonly=True)),
        ]

    # -- balances --------------------------------------------------------------------------------

    async def _balance(self, call: Call) -> web.StreamResponse:
        asked = self._asked(call)
        if isinstance(asked, Refusal):
            return refused(asked)
        account, asset_type, asset = asked
        if account is None:
            return json_reply({"balance": "0", "allowances": dict.fromkeys(SPENDERS[asset_type], "0")})
        balances = self._core.desk.balances
        balance = balances.cached(account, asset, call.now_ns) if self._is_of_type(asset, asset_type) else 0
        allowances = balances.allowances(account.address, asset_type)
        return json_reply(
            {"balance": str(balance), "allowances": {spender: str(amount) for spender, amount in allowances.items()}}
        )

    async def _update(self, call: Call) -> web.StreamResponse:
        """Read the chain again; the body is empty, as in the field."""
        asked = self._asked(call)
        if isinstance(asked, Refusal):
            return refused(asked)
        account, _, asset = asked
        if account is not None:
            self._core.desk.balances.refresh(account.address, asset)
        return web.Response(body=b"")

    def _asked(self, call: Call) -> tuple[Account | None, AssetType, str] | Refusal:
        """Return wallet, asset type and asset of a query; a legacy type without wallet holds nothing."""
        account = self._wallet(call)
        if isinstance(account, Refusal):
            return account
        token_id = call.query("token_id")
        match call.query("asset_type"):
            case "COLLATERAL":
                return account, "COLLATERAL", CASH
            case ("CONDITIONAL" | "CONDITIONAL-V2") as asset_type if token_id is not None:
                return account, asset_type, token_id
            case _:
                return INVALID_ASSET_TYPE

    def _is_of_type(self, asset: str, asset_type: AssetType) -> bool:
        """Tell whether a token is asked for under its market's own type; dollars always are."""
        market = self._core.market_of_token(asset)
        return market is None or token_type(market.spec) == asset_type

    def _wallet(self, call: Call) -> Account | Refusal | None:
        text = call.query("signature_type") or "0"
        if text not in {"0", "1", "2", "3"}:
            return INVALID_SIGNATURE_TYPE
        account = self._core.wallet_of(call.key.address, int(text))
        return NO_DEPOSIT_WALLET if account is None and text == "3" else account

    # -- notices ---------------------------------------------------------------------------------

    async def _notices(self, call: Call) -> web.StreamResponse:
        account = self._wallet(call)
        if isinstance(account, Refusal):
            return refused(account)
        if account is None:
            return json_reply([])
        kept = self._core.desk.notifications.of(account.address, call.now_ns)
        return json_reply([self._notice(each) for each in kept])

    def _notice(self, notice: Notice) -> Payload:
        payload = notice.payload
        if notice.type in {LISTED, RESOLVED} and notice.condition_id in self._core.markets:
            payload = verbose_market(self._core.markets[notice.condition_id])
        return {
            "id": notice.id,
            "owner": notice.owner,
            "type": notice.type,
            "payload": payload,
            "timestamp": notice.at_ns // NS_PER_S,
        }

    async def _dismiss(self, call: Call) -> web.StreamResponse:
        ids = (call.query("ids") or "").split(",")
        if not all(each.isascii() and each.isdigit() and len(each) < 16 for each in ids):
            return refused(INVALID_IDS)
        for account in self._core.accounts_of(call.key.address):
            self._core.desk.dismiss(account.address, [int(each) for each in ids], call.now_ns)
        return json_reply("OK")

    # -- heartbeats ------------------------------------------------------------------------------

    async def _beat(self, call: Call) -> web.StreamResponse:
        closed = self._core.modes.refuse_engine(call.now_ns)
        if closed is not None:
            return refused(closed)
        try:
            wanted = msgspec.json.decode(call.body or b"{}", type=_Heartbeat)
        except msgspec.MsgspecError:
            return refused(INVALID_PAYLOAD)
        valid, following = self._core.desk.beat(call.key, wanted.heartbeat_id, call.now_ns)
        if valid:
            return json_reply({"heartbeat_id": following})
        return json_reply({"error_msg": INVALID_HEARTBEAT, "heartbeat_id": following}, 400)

    async def _old_beat(self, call: Call) -> web.StreamResponse:
        closed = self._core.modes.refuse_engine(call.now_ns)
        if closed is not None:
            return refused(closed)
        self._core.desk.beat(call.key, None, call.now_ns)
        return json_reply({"status": "ok"})

    # -- keys and standing -----------------------------------------------------------------------

    async def _create_readonly(self, call: Call) -> web.StreamResponse:
        key = self._core.desk.create_readonly_key(call.key.address, call.now_ns)
        return json_reply({"apiKey": key.key, "secret": key.secret, "passphrase": key.passphrase})

    async def _list_readonly(self, call: Call) -> web.StreamResponse:
        return json_reply({"readonlyApiKeys": [key.key for key in self._core.keys.readonly_of(call.key.address)]})

    async def _delete_readonly(self, call: Call) -> web.StreamResponse:
        try:
            wanted = msgspec.json.decode(call.body, type=_KeyName).key
        except msgspec.MsgspecError:
            return refused(INVALID_PAYLOAD)
        key = self._core.keys.get(wanted)
        if key is None or not key.readonly or key.address != call.key.address:
            return refused(KEY_NOT_DELETED)
        self._core.delete_key(key)
        return json_reply("OK")

    async def _closed_only(self, call: Call) -> web.StreamResponse:
        desk = self._core.desk
        standing = desk.balances.standing(call.key.address)
        if standing is None and desk.rules.ban_record_missing:
            return refused(NO_RECORD)
        return json_reply({"closed_only": standing is not None and standing.closed_only})

    # -- orders ----------------------------------------------------------------------------------

    async def _scoring(self, call: Call) -> web.StreamResponse:
        order_id = call.query("order_id")
        return refused(INVALID_ORDER_ID) if order_id is None else json_reply({"scoring": self._scores(call, order_id)})

    async def _many_scoring(self, call: Call) -> web.StreamResponse:
        try:
            order_ids = msgspec.json.decode(call.body, type=list[str])
        except msgspec.MsgspecError:
            return refused(INVALID_PAYLOAD)
        return json_reply({order_id: self._scores(call, order_id) for order_id in order_ids})

    def _scores(self, call: Call, order_id: str) -> bool:
        order = self._core.order(order_id)
        if order is None or order.account not in {each.address for each in self._core.accounts_of(call.key.address)}:
            return False
        return order.remaining >= self._core.market(order.condition_id).spec.min_size

    async def _old_orders(self, call: Call) -> web.StreamResponse:
        """List no orders: this exchange has none from before the change of the order struct."""
        offset = payloads.cursor_offset(call.query("next_cursor") or payloads.FIRST_CURSOR)
        return refused(INVALID_ORDER_PARAMS) if offset is None else json_reply(payloads.page([], offset))
