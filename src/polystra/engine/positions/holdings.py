"""Shares against the venue: two sources, evidence, and what happens when they contradict us.

The order book's balance (CLOB) says how many shares of a token are held, in one request per token. It is
asked for at the start, after a reconnect, once our own change of the token should have settled, and while
anything disagrees; then it is compared with a complete snapshot of a quiet account. In between the second
source (Data API), one request for all tokens, tells whether anything moved without us.

A difference counts when two readings at least 5 s apart agree on it and the lag of that balance behind
our own last movements cannot explain it. More shares than ours are adopted. Fewer are taken off when it
is a little; a large part of what is held needs the second source to say the same. While the second
source says something else the market is frozen with the evidence, and thawed when both agree with our
books, or with each other, again. A failed, partial or old answer of either source says nothing.
"""

from __future__ import annotations

from typing import Final

from polystra.domain.events import AccountSnapshot, HoldingsRead
from polystra.domain.facts import NoticeKind
from polystra.domain.ids import ConditionId, TokenId
from polystra.domain.market import SIZE_STEP
from polystra.domain.units import MICRO, NS_PER_S, MicroPrice, MicroShares, Nanos, format_micros
from polystra.engine.balance_truth import DUST, LAG_HORIZON_NS, in_cooldown, may_be_lag
from polystra.engine.bookkeeper import Bookkeeper
from polystra.engine.effects import ReadHoldings
from polystra.engine.external import adjustment_postings
from polystra.engine.state import BalanceReading, EngineState, MarketState, ShareDifference, Turn

AGAIN_NS: Final = 5 * NS_PER_S
"""Two readings of a difference are at least so far apart."""
HOLDINGS_EVERY_NS: Final = 300 * NS_PER_S
"""Pause between routine questions to the second source while nothing is held."""
HOLDINGS_HELD_NS: Final = 60 * NS_PER_S
"""The same while shares are held: so late is it noticed that they moved without us."""
HOLDINGS_AGAIN_NS: Final = 10 * NS_PER_S
"""Pause between questions to the second source while a difference waits for it (its cache is 5 s old)."""
_ROUTINE: Final = ("periodic", "again", "redemption", "no balance")
"""Reasons to read the account that say nothing about shares."""
LARGE_SHARES: Final[MicroShares] = 5 * MICRO
LARGE_PERCENT: Final = 20


class Holdings:
    """Owns the comparison of shares; the reconciler calls it."""

    def __init__(self, state: EngineState, bookkeeper: Bookkeeper) -> None:
        self._state = state
        self._bookkeeper = bookkeeper
        self._asked_ns: Nanos = 0
        self._frozen_seen: dict[ConditionId, Nanos] = {}

    # --- questions --------------------------------------------------------------------

    def tokens(self, trigger: str, turn: Turn, *, quiet: bool) -> tuple[TokenId, ...]:
        """The tokens whose balance is worth asking for now; `quiet`: the account is, so that it can be compared."""
        state = self._state
        wanted = dict.fromkeys(state.share_differences)
        for market in state.markets.values():
            if market.frozen and market.may_thaw:
                wanted.update(dict.fromkeys((market.market.up_token, market.market.down_token)))
        held = [token for token, balance in state.ledger.tokens.items() if balance.shares]
        shown = [holding.token_id for holding in state.holdings.holdings] if state.holdings else []
        every = trigger not in _ROUTINE
        wanted.update({t: None for t in (*held, *shown) if every or (quiet and self._is_due(t, turn.now_ns))})
        return tuple(token for token in wanted if self._is_open(token))

    def _is_due(self, token_id: TokenId, now_ns: Nanos) -> bool:
        """True when a token's balance has not been seen equal to our books since its last change, and may be now."""
        return token_id not in self._state.checked_tokens and not in_cooldown(self._state, token_id, now_ns)

    def ask_in_time(self, trigger: str, turn: Turn) -> None:
        """Ask the second source at the start, after a reconnect, and now and then."""
        held = any(balance.shares for balance in self._state.ledger.tokens.values())
        pause_ns = HOLDINGS_HELD_NS if held else HOLDINGS_EVERY_NS
        if trigger not in _ROUTINE or turn.now_ns - self._asked_ns >= pause_ns:
            self._ask(trigger, turn)

    def read(self, event: HoldingsRead, turn: Turn) -> None:
        """Keep a complete answer; where it says otherwise than we do, the order book is asked."""
        if not event.complete:
            return
        state = self._state
        known = state.holdings
        if known is not None and event.asked_at_ns < known.asked_at_ns:
            return
        if known is None:
            self._tell_unknown(event, turn)
        state.holdings = event
        odd = [token_id for token_id in self._all_tokens(event) if self._contradicts(token_id, event)]
        state.checked_tokens.difference_update(odd)
        if odd:
            turn.timer("reconcile:again", turn.now_ns + AGAIN_NS)

    def _all_tokens(self, event: HoldingsRead) -> tuple[TokenId, ...]:
        held = [token_id for token_id, balance in self._state.ledger.tokens.items() if balance.shares]
        return tuple(dict.fromkeys((*held, *(holding.token_id for holding in event.holdings))))

    def _contradicts(self, token_id: TokenId, event: HoldingsRead) -> bool:
        """True when the second source says something else of a token, which its lag behind us does not explain."""
        difference = _shares_in(event, token_id) - self._state.ledger.balance(token_id).shares
        if abs(difference) < SIZE_STEP or not self._is_open(token_id):
            return False
        return not self._may_be_late(token_id, difference, event.asked_at_ns)

    def _tell_unknown(self, event: HoldingsRead, turn: Turn) -> None:
        """Once per run: shares in markets that are not traded here are left alone, and said."""
        state = self._state
        elsewhere = [h for h in event.holdings if h.token_id not in state.market_of_token and not h.redeemable]
        if elsewhere:
            words = f"{len(elsewhere)} token(s) of markets that are not watched are held: left alone"
            turn.notice(NoticeKind.FILL_STRANGE, elsewhere[0].token_id, words)

    # --- comparison -------------------------------------------------------------------

    def compare(self, snapshot: AccountSnapshot, turn: Turn, *, quiet: bool) -> list[str]:
        """Compare a complete snapshot's shares with ours; returns what was found, in words."""
        state = self._state
        for token_id, shares in snapshot.tokens:
            state.readings[token_id] = BalanceReading(shares, snapshot.asked_at_ns)
        if not quiet:
            return []
        found = []
        for token_id, shares in snapshot.tokens:
            if not self._is_open(token_id):
                state.share_differences.pop(token_id, None)
            elif not in_cooldown(state, token_id, snapshot.asked_at_ns):
                found += self._compare_token(token_id, shares, snapshot, turn)
        self._thaw(snapshot, turn)
        return found

    def _compare_token(
        self, token_id: TokenId, shares: MicroShares, snapshot: AccountSnapshot, turn: Turn
    ) -> list[str]:
        state = self._state
        ours = state.ledger.balance(token_id).shares
        difference = shares - ours
        if difference == 0:
            state.share_differences.pop(token_id, None)
            state.checked_tokens.add(token_id)
            return []
        known = state.share_differences.get(token_id)
        if known is None or known.amount != difference:
            state.share_differences[token_id] = ShareDifference(difference, snapshot.asked_at_ns)
            turn.timer("reconcile:again", turn.now_ns + AGAIN_NS)
            return []
        known.readings += 1
        if snapshot.asked_at_ns - known.since_ns < AGAIN_NS or self._may_be_late(
            token_id, difference, snapshot.asked_at_ns
        ):
            return []
        if _is_large(ours, difference) and not self._confirmed(token_id, shares, known, turn):
            return self._unconfirmed(token_id, shares, known, turn)
        return [self._adjust(token_id, shares, difference, turn)]

    def _may_be_late(self, token_id: TokenId, difference: int, asked_at_ns: Nanos) -> bool:
        since = asked_at_ns - LAG_HORIZON_NS
        recent = [m.shares for m in self._state.movements.values() if m.token_id == token_id and m.at_ns >= since]
        return may_be_lag(difference, recent)

    def _confirmed(self, token_id: TokenId, shares: MicroShares, known: ShareDifference, turn: Turn) -> bool:
        """True when the second source, asked after the difference was first seen, says the same."""
        told = self._second(token_id, known.since_ns)
        if told is not None and abs(told - shares) <= DUST:
            return True
        known.asked_second_ns = known.asked_second_ns or turn.now_ns
        if turn.now_ns - self._asked_ns >= HOLDINGS_AGAIN_NS:
            self._ask("difference", turn)
        return False

    def _unconfirmed(self, token_id: TokenId, shares: MicroShares, known: ShareDifference, turn: Turn) -> list[str]:
        """The second source lags too: wait for it as long as it may; then freeze with the evidence."""
        turn.timer("reconcile:again", turn.now_ns + AGAIN_NS * 3)
        market = self._state.market_for(token_id)
        if market is None or turn.now_ns - known.asked_second_ns < LAG_HORIZON_NS or market.frozen:
            return []
        told = self._second(token_id, known.since_ns)
        times = f"{format_micros(shares)} {known.readings} times"
        second = "has not answered" if told is None else f"says {format_micros(told)}"
        ours = format_micros(self._state.ledger.balance(token_id).shares)
        words = (
            f"token {token_id}: our books hold {ours} shares, the order book's balance has said {times}, "
            f"the second source {second}; nothing is taken off until they agree"
        )
        market.frozen = words
        market.may_thaw = True
        turn.notice(NoticeKind.MARKET_FROZEN, market.condition_id, words)
        for position_id in market.positions:
            turn.touch(position_id)
        return [words]

    def _adjust(self, token_id: TokenId, shares: MicroShares, difference: MicroShares, turn: Turn) -> str:
        state = self._state
        known = state.share_differences.pop(token_id)
        told = self._second(token_id, known.since_ns)
        ours = state.ledger.balance(token_id).shares
        evidence = f"ledger {ours}, venue {shares} read {known.readings} times since {known.since_ns} ns"
        if told is not None:
            evidence += f", second source {told}"
        postings = adjustment_postings(
            state, turn, token_id=token_id, difference=difference, average=self._average(token_id), evidence=evidence
        )
        for posting in postings:
            self._bookkeeper.post(posting, turn)
        words = f"token {token_id} differs by {format_micros(difference)} shares: adjusted"
        turn.notice(NoticeKind.FILL_STRANGE, token_id, f"{words} ({evidence})")
        return words

    # --- frozen markets ---------------------------------------------------------------

    def _thaw(self, snapshot: AccountSnapshot, turn: Turn) -> None:
        """Unfreeze markets on which the order book and the second source agree with our books."""
        for market in self._state.markets.values():
            if not market.frozen or not market.may_thaw or market.resolution is not None:
                self._frozen_seen.pop(market.condition_id, None)
                continue
            seen_ns = self._frozen_seen.setdefault(market.condition_id, turn.now_ns)
            if not self._agrees(market, snapshot, seen_ns):
                if turn.now_ns - self._asked_ns >= HOLDINGS_AGAIN_NS:
                    self._ask("frozen market", turn)
                continue
            del self._frozen_seen[market.condition_id]
            before, market.frozen, market.may_thaw = market.frozen, "", False
            turn.notice(
                NoticeKind.MARKET_THAWED, market.condition_id, f"both sources agree with our books again; was: {before}"
            )
            for position_id in market.positions:
                turn.touch(position_id)

    def _agrees(self, market: MarketState, snapshot: AccountSnapshot, since_ns: Nanos) -> bool:
        told = dict(snapshot.tokens)
        for token_id in (market.market.up_token, market.market.down_token):
            ours = self._state.ledger.balance(token_id).shares
            second = self._second(token_id, since_ns)
            if told.get(token_id) != ours or second is None or abs(second - ours) > DUST:
                return False
        return True

    # --- the second source ------------------------------------------------------------

    def _ask(self, trigger: str, turn: Turn) -> None:
        self._asked_ns = turn.now_ns
        turn.effects.append(ReadHoldings(trigger=trigger))

    def _second(self, token_id: TokenId, since_ns: Nanos) -> MicroShares | None:
        """The second source's shares of a token if it was asked at `since_ns` or later, else None."""
        read = self._state.holdings
        if read is None or read.asked_at_ns < since_ns:
            return None
        return _shares_in(read, token_id)

    def _average(self, token_id: TokenId) -> MicroPrice:
        """What the second source says was paid per share, 0 when it does not say."""
        read = self._state.holdings
        told = [h.average_price for h in read.holdings if h.token_id == token_id] if read else []
        return told[0] if told else 0

    def _is_open(self, token_id: TokenId) -> bool:
        """True for tokens of known markets without a verdict: those of the others are not compared."""
        market = self._state.market_for(token_id)
        return market is not None and market.resolution is None


def _shares_in(read: HoldingsRead, token_id: TokenId) -> MicroShares:
    return sum(holding.shares for holding in read.holdings if holding.token_id == token_id)


def _is_large(ours: MicroShares, difference: MicroShares) -> bool:
    """True for a loss that needs a second witness: to (nearly) nothing, or more than a fifth and 5 shares."""
    if difference >= 0:
        return False
    if ours + difference < SIZE_STEP:
        return ours >= SIZE_STEP
    return -difference > LARGE_SHARES and -difference * 100 > LARGE_PERCENT * ours
