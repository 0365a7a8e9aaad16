"""The order routes of the exchange's REST interface: placing and cancelling, and the caller's rate tier.

What lives here: handlers that change orders, behind the venue's mode and the signer's buckets; the
shapes of refused legs. What must not: rules of trading, holds (`taker_hold`), payload shapes.

Shapes, texts and status codes: Polymarket CLOB docs, API reference and resources/error-codes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

import msgspec
from aiohttp import web

from polystra.exchange import payloads
from polystra.exchange.auth import ApiKey
from polystra.exchange.core import CancelReport, ExchangeCore, Placement
from polystra.exchange.intake import Submission, parse_batch, parse_submission
from polystra.exchange.model import Refusal, TradeEvent
from polystra.exchange.payloads import Payload
from polystra.exchange.rate_buckets import BucketName, Charge, RateBuckets, Volumes
from polystra.exchange.replies import Api, Call, json_reply, refused
from polystra.exchange.taker_hold import LEG_LIMIT_CODE, OrderDesk
from polystra.exchange.validation import INVALID_ORDER_ID, INVALID_PAYLOAD, is_order_id
from polystra.ports.clock import Clock

CANCEL_LIMIT: Final = 1_000


class _CancelOne(msgspec.Struct, frozen=True):
    orderID: str  # noqa: N815 - the wire's name


class _CancelMarket(msgspec.Struct, frozen=True):
    market: str = ""
    asset_id: str = ""


class OrderApi(Api):
    """Placing and cancelling."""

    def __init__(self, core: ExchangeCore, clock: Clock, wall: Clock | None = None) -> None:
        super().__init__(core, clock, wall)
        self._rules = core.config.venue
        volumes = Volumes()
        core.add_listener(volumes.note, TradeEvent)
        self._buckets = RateBuckets(self._rules, volumes)
        self._desk = OrderDesk(core, clock)

    def routes(self) -> list[web.RouteDef]:
        """Return the routes that change orders."""
        return [
            web.post("/order", self.private(self._post_order)),
            web.post("/orders", self.private(self._post_orders)),
            web.delete("/order", self.private(self._cancel_one)),
            web.delete("/orders", self.private(self._cancel_many)),
            web.delete("/cancel-all", self.private(self._cancel_all)),
            web.delete("/cancel-market-orders", self.private(self._cancel_market)),
            web.get("/v1/user/rate-limit-tier", self.private(self._show_tier)),
        ]

    async def _post_order(self, call: Call) -> web.StreamResponse:
        charge = self._admit_placement(call, 1)
        if charge.refusal is not None:
            return _answered(refused(charge.refusal), charge)
        return await self._answer(call, [parse_submission(call.body)], charge, batch=False)

    async def _post_orders(self, call: Call) -> web.StreamResponse:
        legs = parse_batch(call.body)
        if isinstance(legs, Refusal):
            return refused(legs)
        charge = self._admit_placement(call, len(legs))
        if charge.refusal is not None:
            return _answered(refused(charge.refusal), charge)
        return await self._answer(call, legs, charge, batch=True)

    def _admit_placement(self, call: Call, orders: int) -> Charge:
        closed = self._core.modes.refuse_batch(call.now_ns)
        return Charge({}, closed) if closed is not None else self._charge(call, "order", orders)

    def _charge(self, call: Call, name: BucketName, tokens: int) -> Charge:
        return self._buckets.charge(call.key.address, self._wallets(call.key), name, tokens, call.now_ns)

    def _wallets(self, key: ApiKey) -> list[str]:
        return [account.address for account in self._core.accounts_of(key.address)]

    async def _answer(
        self, call: Call, legs: Sequence[Submission | Refusal], charge: Charge, *, batch: bool
    ) -> web.StreamResponse:
        """Place and reply, with the user events before, after or beside the reply."""
        if self._rules.events != "after_reply":
            response = self._reply(await self._desk.submit(call.key, legs), charge, batch=batch)
            if self._rules.events == "before_reply":
                await self._clock.sleep(self._rules.reply_lag_ms / 1_000)
            return response
        self._core.hold_events()
        try:
            response = self._reply(await self._desk.submit(call.key, legs), charge, batch=batch)
            await response.prepare(call.request)
            await response.write_eof()
        finally:
            self._core.release_events()
        return response

    def _reply(self, placements: Sequence[Placement], charge: Charge, *, batch: bool) -> web.Response:
        if batch:
            return _answered(json_reply([self._leg(placement) for placement in placements]), charge)
        (only,) = placements
        plain = json_reply(payloads.placement(only)) if only.refusal is None else refused(only.refusal)
        return _answered(plain, charge)

    def _leg(self, placement: Placement) -> Payload:
        """Return a leg of a batch; refused ones come in three shapes."""
        refusal = placement.refusal
        if refusal is None:
            return payloads.placement(placement, in_batch=True)
        if refusal.code == LEG_LIMIT_CODE:
            return {"success": False, "orderID": "", "status": "delayed", "errorMsg": refusal.text}
        if self._rules.refused_leg == "success_false":
            return {"success": False, "orderID": "", "status": "", "errorMsg": refusal.text}
        return payloads.placement(placement, in_batch=True)

    async def _cancel_one(self, call: Call) -> web.StreamResponse:
        try:
            order_id = msgspec.json.decode(call.body, type=_CancelOne).orderID
        except msgspec.MsgspecError:
            return refused(INVALID_PAYLOAD)
        return self._cancel(call, [order_id])

    async def _cancel_many(self, call: Call) -> web.StreamResponse:
        try:
            order_ids = msgspec.json.decode(call.body, type=list[str])
        except msgspec.MsgspecError:
            return refused(INVALID_PAYLOAD)
        if len(order_ids) > CANCEL_LIMIT:
            return refused(Refusal(f"Too many orders in payload, max allowed: {CANCEL_LIMIT}"))
        return self._cancel(call, order_ids)

    def _cancel(self, call: Call, order_ids: Sequence[str]) -> web.Response:
        if not all(is_order_id(order_id) for order_id in order_ids):
            return refused(INVALID_ORDER_ID)
        charge = self._admit_cancel(call, len(order_ids))
        if charge.refusal is not None:
            return _answered(refused(charge.refusal), charge)
        return _answered(_cancel_reply(self._core.cancel(call.key.address, order_ids, call.now_ns)), charge)

    def _admit_cancel(self, call: Call, orders: int) -> Charge:
        closed = self._core.modes.refuse_cancel(call.now_ns)
        return Charge({}, closed) if closed is not None else self._charge(call, "cancel", orders)

    async def _cancel_all(self, call: Call) -> web.StreamResponse:
        return self._cancel_chosen(call, None, None)

    async def _cancel_market(self, call: Call) -> web.StreamResponse:
        try:
            chosen = msgspec.json.decode(call.body or b"{}", type=_CancelMarket)
        except msgspec.MsgspecError:
            return refused(INVALID_PAYLOAD)
        return self._cancel_chosen(call, chosen.market or None, chosen.asset_id or None)

    def _cancel_chosen(self, call: Call, condition_id: str | None, token_id: str | None) -> web.Response:
        """Cancel by filter: one token at once, then one per order that was really cancelled."""
        charge = self._admit_cancel(call, 1)
        if charge.refusal is not None:
            return _answered(refused(charge.refusal), charge)
        report = self._core.cancel_all(call.key.address, condition_id, token_id, call.now_ns)
        cancelled = len(report.canceled)
        charge = self._buckets.charge_cancelled(call.key.address, self._wallets(call.key), cancelled, call.now_ns)
        return _answered(_cancel_reply(report), charge)

    async def _show_tier(self, call: Call) -> web.StreamResponse:
        """The reply's schema is not documented; this one names the tier and its four figures."""
        tier = self._buckets.tier(call.key.address, self._wallets(call.key), call.now_ns)
        body: Mapping[str, object] = {
            "tier": tier.name,
            "order_rate": tier.order_rate,
            "order_burst": tier.order_burst,
            "cancel_rate": tier.cancel_rate,
            "cancel_burst": tier.cancel_burst,
        }
        return json_reply(body)


def _answered(response: web.Response, charge: Charge) -> web.Response:
    response.headers.update(charge.headers)
    return response


def _cancel_reply(report: CancelReport) -> web.Response:
    return json_reply(payloads.cancel_report(report.canceled, report.not_canceled))
