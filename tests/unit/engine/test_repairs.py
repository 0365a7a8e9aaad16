"""Repairs by hand: carried out through the tables and the ledger, answered once, and never on a guess."""

from __future__ import annotations

from dataclasses import replace

import pytest

from polystra.domain import events as ev
from polystra.domain.events import RepairAct, RepairRequested, Sighting
from polystra.domain.facts import (
    IntentRecorded,
    MarketRecorded,
    NoticeKind,
    PositionRecorded,
    PostingRecorded,
    RequestAnswered,
)
from polystra.domain.ids import OrderId, PositionId
from polystra.domain.orders import OrderStatus, Purpose, Side
from polystra.domain.positions import PositionStatus
from polystra.domain.units import MICRO
from polystra.engine import effects as fx
from polystra.engine.config import ExitConfig
from polystra.engine.core import Engine
from polystra.engine.positions.reconcile import STRANGER_BLOCK
from polystra.engine.state import OrderTrack
from polystra.runtime.daemon import restore
from tests.fakes.memory_store import MemoryStore
from tests.unit.engine.desk import CENT, CONDITION, MARKET, UP, Desk, config, micros

S = OrderStatus
TEN = 10 * MICRO
ELSEWHERE = OrderId("0x" + "e" * 64)
EXTERNAL_UP = PositionId(f"external:{MARKET.slug}:up")


@pytest.fixture
def desk() -> Desk:
    return Desk().ready()


def ask(desk: Desk, act: RepairAct, subject: str = "", **words: object) -> list[RequestAnswered]:
    desk.step(RepairRequested(request_id=f"r{desk.now_ns}", act=act, subject=subject, **words))  # type: ignore[arg-type]
    return answers(desk)


def answers(desk: Desk) -> list[RequestAnswered]:
    return [fact for fact in desk.facts if isinstance(fact, RequestAnswered)]


def refusal(desk: Desk, act: RepairAct, subject: str = "", **words: object) -> str:
    desk.clear()
    (answer,) = ask(desk, act, subject, **words)
    assert answer.refusal
    assert not desk.notices(NoticeKind.REPAIRED)
    return answer.refusal


def done(desk: Desk) -> str:
    """The words of the one repair that was carried out."""
    (answer,) = answers(desk)
    (notice,) = desk.notices(NoticeKind.REPAIRED)
    assert answer.refusal == ""
    assert desk.facts.index(notice) < desk.facts.index(answer)
    return notice.message


# --- reconcile ----------------------------------------------------------------------------


def test_a_reading_that_was_asked_for_is_answered_once_the_account_was_compared(desk):
    assert not ask(desk, RepairAct.RECONCILE)
    (read,) = [effect for effect in desk.effects if isinstance(effect, fx.ReadAccount)]
    assert read.refresh
    desk.snapshot(asked_at_ns=1)
    assert not answers(desk), "that answer is older than the question"
    desk.snapshot()
    assert "no difference was found" in done(desk)


def test_a_reading_that_is_not_whole_says_so(desk):
    ask(desk, RepairAct.RECONCILE)
    desk.snapshot(complete=False)
    (answer,) = answers(desk)
    assert "could not be read whole" in answer.refusal


def test_a_difference_is_booked_by_the_usual_rules_and_told(desk):
    ask(desk, RepairAct.RECONCILE)
    desk.snapshot(cash=desk.state.ledger.cash + 5)
    assert "read again before anything is booked" in done(desk)
    assert not [fact for fact in desk.facts if isinstance(fact, PostingRecorded)]


# --- unfreeze -----------------------------------------------------------------------------


def frozen(desk: Desk) -> PositionId:
    position = desk.hold()
    market = desk.state.markets[CONDITION]
    market.frozen, market.may_thaw = "the sources contradict us", True
    desk.step(ev.ExitRequested(request_id="look", position_id=position.position_id))
    turn_touch(desk, position.position_id)
    assert desk.state.positions[position.position_id].status is PositionStatus.FROZEN
    desk.clear()
    return position.position_id


def turn_touch(desk: Desk, position_id: PositionId) -> None:
    """Have the position looked at."""
    desk.step(ev.TimerFired(key=f"exit:{position_id}"))


@pytest.mark.parametrize("named", ["", "slug", "condition", "position"])
def test_a_frozen_market_is_traded_on(desk, named):
    position_id = frozen(desk)
    ask(desk, RepairAct.UNFREEZE, {"slug": MARKET.slug, "condition": CONDITION, "position": position_id}.get(named, ""))
    assert "was frozen: the sources contradict us" in done(desk)
    assert not desk.state.markets[CONDITION].frozen
    (record,) = [fact for fact in desk.facts if isinstance(fact, PositionRecorded)]
    assert record.status is PositionStatus.OPEN


def test_what_is_not_frozen_is_not_mended(desk):
    assert "nothing of this account is frozen" in refusal(desk, RepairAct.UNFREEZE)
    assert "nothing of btc" in refusal(desk, RepairAct.UNFREEZE, MARKET.slug)
    assert "no market and no position" in refusal(desk, RepairAct.UNFREEZE, "eth-up")


def test_a_market_with_its_verdict_stays_frozen(desk):
    frozen(desk)
    desk.resolve()
    desk.state.markets[CONDITION].frozen = "resolved twice"
    assert "has its verdict" in refusal(desk, RepairAct.UNFREEZE, MARKET.slug)


def test_a_contradiction_that_is_still_there_freezes_the_market_again():
    desk = Desk(config(exits=ExitConfig(enabled=False))).ready()
    desk.hold()
    desk.advance(155)
    market = desk.state.markets[CONDITION]

    def contradicted(seconds: int) -> None:
        for _ in range(seconds // 20):
            desk.advance(20)
            desk.snapshot(tokens=((UP, 0),))
            desk.holdings((UP, 10))

    contradicted(240)
    assert market.frozen
    desk.clear()
    ask(desk, RepairAct.UNFREEZE, MARKET.slug)
    assert not market.frozen
    contradicted(240)
    assert market.frozen


def test_an_exit_that_was_frozen_may_rest_again(desk):
    position = desk.hold()
    exits = desk.state.exits[position.position_id]
    exits.watched, exits.repairs["x"] = "the repair did not take", desk.now_ns
    desk.clear()
    ask(desk, RepairAct.UNFREEZE, position.position_id)
    assert "may rest again" in done(desk)
    assert not exits.watched
    assert not exits.repairs


# --- doubts -------------------------------------------------------------------------------


def status(track: OrderTrack) -> OrderStatus:
    return track.order.status


def doubtful(desk: Desk) -> OrderTrack:
    track = desk.enter()
    desk.unknown(track)
    desk.clear()
    return track


def test_a_doubt_is_not_resolved_before_the_venue_was_asked_once_more(desk):
    track = doubtful(desk)
    assert not ask(desk, RepairAct.RESOLVE_DOUBT, track.order.terms.client_order_id, seen=Sighting.REJECTED)
    assert [effect for effect in desk.effects if isinstance(effect, fx.LookupOrder)]
    assert status(track) is S.IN_DOUBT
    desk.answer(track, complete=False)
    assert status(track) is S.IN_DOUBT, "half an answer is none"
    desk.answer(track)
    assert "saw it rejected, and the venue shows it nowhere" in done(desk)
    assert status(track) is S.REJECTED
    assert desk.state.reserved_cash() == 0
    assert [effect for effect in desk.effects if isinstance(effect, fx.CancelOrder)]


def test_an_answer_to_an_older_question_does_not_count(desk):
    track = doubtful(desk)
    asked_ns = desk.now_ns
    ask(desk, RepairAct.RESOLVE_DOUBT, track.order_id, seen=Sighting.REJECTED)
    old = ev.OrderLookedUp(order_id=track.order_id, open_order=None, fills=(), asked_at_ns=asked_ns - 1, complete=True)
    desk.step(old)
    assert status(track) is S.IN_DOUBT
    assert not answers(desk)


def test_a_word_that_was_given_long_ago_is_not_believed_when_the_venue_answers_at_last(desk):
    track = doubtful(desk)
    ask(desk, RepairAct.RESOLVE_DOUBT, track.order_id, seen=Sighting.REJECTED)
    desk.advance(61).answer(track)
    [answer] = answers(desk)
    assert "nothing was changed" in answer.refusal
    assert track.is_live
    assert desk.state.reserved_cash() > 0


def test_a_later_word_takes_the_place_of_one_that_was_never_answered(desk):
    track = doubtful(desk)
    ask(desk, RepairAct.RESOLVE_DOUBT, track.order_id, seen=Sighting.REJECTED)
    desk.advance(61)
    [first] = ask(desk, RepairAct.RESOLVE_DOUBT, track.order_id, seen=Sighting.ACCEPTED)
    assert "nothing was changed" in first.refusal
    desk.clear()
    desk.answer(track)
    assert "it counts as accepted" in done(desk)


def test_what_the_venue_shows_stands_against_what_a_person_saw(desk):
    track = doubtful(desk)
    ask(desk, RepairAct.RESOLVE_DOUBT, track.order_id, seen=Sighting.REJECTED)
    desk.answer(track, open_as=0)
    assert "the venue shows the order open" in done(desk)
    assert status(track) is S.OPEN
    assert desk.state.reserved_cash() > 0


def test_an_order_that_was_seen_accepted_ends_when_it_is_absent(desk):
    track = doubtful(desk)
    ask(desk, RepairAct.RESOLVE_DOUBT, track.order_id, seen=Sighting.ACCEPTED)
    desk.answer(track)
    assert "it counts as accepted" in done(desk)
    assert status(track) is S.OPEN
    for _ in range(6):
        desk.advance(3)
        desk.answer(track)
    assert status(track) is S.CANCELED
    assert desk.state.reserved_cash() == 0


def test_an_exit_that_was_seen_rejected_is_not_sent_again(desk):
    desk.hold()
    (track,) = desk.orders(Purpose.TAKE_PROFIT)
    desk.unknown(track)
    desk.clear()
    ask(desk, RepairAct.RESOLVE_DOUBT, track.order_id, seen=Sighting.REJECTED)
    desk.clear()
    desk.answer(track)
    done(desk)
    assert status(track) is S.REJECTED
    assert not [e for e in desk.effects if isinstance(e, fx.SubmitOrder) and e.signed.order_id == track.order_id]


def test_only_doubts_are_resolved(desk):
    track = desk.enter()
    desk.accept(track)
    assert "is not in doubt: it is open" in refusal(
        desk, RepairAct.RESOLVE_DOUBT, track.order_id, seen=Sighting.REJECTED
    )
    assert "not known here" in refusal(desk, RepairAct.RESOLVE_DOUBT, "x", seen=Sighting.REJECTED)
    other = Desk().ready()
    assert "say what you saw" in refusal(other, RepairAct.RESOLVE_DOUBT, doubtful(other).order_id)


# --- adoption -----------------------------------------------------------------------------


def strange(side: Side = Side.BUY, matched: float = 0, at_ns: int = 0) -> ev.OrderReport:
    return ev.OrderReport(
        order_id=ELSEWHERE,
        condition_id=CONDITION,
        token_id=UP,
        side=side,
        price=40 * CENT if side is Side.BUY else 90 * CENT,
        quantity=micros(8),
        matched=micros(matched),
        status=ev.VenueOrderStatus.LIVE,
        at_ns=at_ns,
    )


def test_a_foreign_purchase_becomes_ours_and_stops_blocking_entries(desk):
    desk.snapshot(open_orders=[strange()])
    assert STRANGER_BLOCK in desk.state.blocks
    desk.clear()
    ask(desk, RepairAct.ADOPT, ELSEWHERE)
    assert "is ours now" in done(desk)
    assert STRANGER_BLOCK not in desk.state.blocks
    track = desk.state.track_of(ELSEWHERE)
    assert track is not None
    assert status(track) is S.OPEN
    assert desk.state.reserved_cash() >= 8 * 400_000
    (intent,) = [fact for fact in desk.facts if isinstance(fact, IntentRecorded)]
    assert intent.signed.body == b""
    assert not [effect for effect in desk.effects if isinstance(effect, fx.SubmitOrder)]
    desk.fill(track, 8, 40)
    assert desk.state.positions[track.order.terms.position_id].shares == 8 * MICRO
    assert not any(p.external for p in desk.state.positions.values())


async def test_an_adopted_order_is_ours_after_a_restart_and_is_never_sent(desk):
    desk = Desk()
    desk.ready()
    store = MemoryStore()
    await store.commit([MarketRecorded(market=MARKET, price_to_beat=None, at_ns=desk.now_ns)])
    desk.snapshot(open_orders=[strange()])
    ask(desk, RepairAct.ADOPT, ELSEWHERE)
    await store.commit(desk.facts)
    again = Desk(engine=Engine(config()), now_ns=desk.now_ns)
    restore(again.engine, await store.load())
    again.start()
    track = again.state.track_of(ELSEWHERE)
    assert track is not None
    assert (track.order.status, track.signed) == (S.OPEN, None)
    again.answer(track)
    assert not [effect for effect in again.effects if isinstance(effect, fx.SubmitOrder)]


def test_a_foreign_order_that_traded_is_left_alone(desk):
    desk.snapshot(open_orders=[strange(matched=2)])
    assert "has traded already" in refusal(desk, RepairAct.ADOPT, ELSEWHERE)


def test_a_foreign_sale_needs_the_shares_of_one_position(desk):
    desk.snapshot(open_orders=[strange(Side.SELL)])
    assert "none of token" in refusal(desk, RepairAct.ADOPT, ELSEWHERE)


def test_what_is_not_foreign_is_not_adopted(desk):
    position = desk.hold()
    assert "is ours already" in refusal(desk, RepairAct.ADOPT, position.position_id)
    assert "neither an order nor a position" in refusal(desk, RepairAct.ADOPT, "0x1")


def foreign_shares(desk: Desk, *, cents: float) -> None:
    """Ten shares that were there without us, seen by both sources."""
    desk.holdings((UP, 10), cents=cents)
    for _ in range(3):
        desk.advance(10)
        desk.snapshot(tokens=((UP, TEN),))
    assert desk.state.positions[EXTERNAL_UP].shares == TEN
    desk.clear()


def test_a_foreign_position_moves_at_its_cost_and_is_guarded_from_then_on(desk):
    foreign_shares(desk, cents=30)
    cash = desk.state.ledger.cash
    ask(desk, RepairAct.ADOPT, EXTERNAL_UP)
    assert "cost 3" in done(desk)
    old = desk.state.positions[EXTERNAL_UP]
    (new,) = [p for p in desk.state.positions.values() if not p.external]
    assert (old.shares, old.realised_pnl) == (0, 0)
    assert (new.shares, new.average_price, new.realised_pnl) == (TEN, 300_000, 0)
    assert desk.state.ledger.cash == cash
    assert desk.state.ledger.balance(UP).shares == TEN
    assert desk.state.results.realised == 0
    assert desk.state.arrived_shares(new.position_id) == TEN
    desk.advance(1)
    sells = [track for track in desk.state.live_orders() if track.order.terms.side is Side.SELL]
    assert [track.order.terms.position_id for track in sells] == [new.position_id]
    assert desk.state.exits[new.position_id].stop_price is not None


def test_a_position_whose_cost_nobody_knows_needs_a_price(desk):
    foreign_shares(desk, cents=0)
    assert "--price" in refusal(desk, RepairAct.ADOPT, EXTERNAL_UP)
    desk.clear()
    ask(desk, RepairAct.ADOPT, EXTERNAL_UP, price=45 * CENT)
    done(desk)
    (new,) = [p for p in desk.state.positions.values() if not p.external]
    assert (new.average_price, new.realised_pnl) == (450_000, 0)
    assert desk.state.positions[EXTERNAL_UP].realised_pnl == 0


def test_shares_whose_cost_is_known_in_part_are_not_taken_at_that_part(desk):
    """Ten at an unknown cost and ten at 0.30: at 3 dollars for twenty the stop would stand far too low."""
    foreign_shares(desk, cents=0)
    desk.holdings((UP, 20), cents=30)
    for _ in range(3):
        desk.advance(10)
        desk.snapshot(tokens=((UP, 2 * TEN),))
    old = desk.state.positions[EXTERNAL_UP]
    assert (old.shares, old.bought) == (2 * TEN, TEN)
    assert "10 shares" in refusal(desk, RepairAct.ADOPT, EXTERNAL_UP)
    desk.clear()
    ask(desk, RepairAct.ADOPT, EXTERNAL_UP, price=50 * CENT)
    assert "cost 8" in done(desk)
    (new,) = [p for p in desk.state.positions.values() if not p.external]
    assert (new.shares, new.average_price, new.realised_pnl) == (2 * TEN, 400_000, 0)
    assert (old.shares, old.realised_pnl) == (0, 0)


def test_the_postings_of_an_adoption_sum_to_nothing(desk):
    foreign_shares(desk, cents=30)
    ask(desk, RepairAct.ADOPT, EXTERNAL_UP)
    postings = [fact.posting for fact in desk.facts if isinstance(fact, PostingRecorded)]
    assert len(postings) == 2
    assert sum(posting.settled_shares for posting in postings) == 0
    assert sum(posting.settled_cash + posting.pending_cash for posting in postings) == 0
    assert len({posting.source_id for posting in postings}) == 2
    assert all(posting.evidence for posting in postings)


def test_a_repair_that_is_asked_for_twice_changes_nothing_the_second_time(desk):
    foreign_shares(desk, cents=30)
    request = RepairRequested(request_id="once", act=RepairAct.ADOPT, subject=EXTERNAL_UP)
    desk.step(request)
    shares = {p.position_id: p.shares for p in desk.state.positions.values()}
    desk.clear()
    desk.step(replace(request))
    (answer,) = answers(desk)
    assert answer.refusal
    assert {p.position_id: p.shares for p in desk.state.positions.values()} == shares
