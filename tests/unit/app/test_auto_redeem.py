"""Whether winnings come back by themselves, judged by what our books show."""

from __future__ import annotations

from pathlib import Path

from polystra.app.auto_redeem import check_auto_redeem, judge, redemptions
from polystra.app.checks import Verdict
from polystra.app.settings import load_settings
from polystra.domain.ids import TokenId
from polystra.domain.ledger import Posting, PostingKind
from polystra.domain.units import MICRO, NS_PER_S

T0 = 1_800_000_000 * NS_PER_S
MINUTE = 60 * NS_PER_S


def claim(token: str, dollars: int, after_ns: int) -> Posting:
    kind = PostingKind.RESOLVED if dollars > 0 else PostingKind.REDEEMED
    return Posting(
        source_id=f"{kind}:{token}:{after_ns}",
        kind=kind,
        at_ns=T0 + after_ns,
        reason="",
        token_id=TokenId(token),
        claim=dollars * MICRO,
    )


def test_nothing_won_yet_says_nothing():
    check = judge(redemptions([]), T0)
    assert check.verdict is Verdict.NOT_CHECKED
    assert "no claim was paid yet" in check.evidence


def test_claims_that_became_cash_say_on_and_how_long_it_took():
    found = redemptions(
        [claim("1", 10, 0), claim("2", 5, MINUTE), claim("1", -10, 3 * MINUTE), claim("2", -5, 2 * MINUTE)]
    )
    check = judge(found, T0 + 10 * MINUTE)
    assert check.verdict is Verdict.OK
    assert check.evidence.startswith("on: all 2 claims so far became cash, none took longer than 3 min")


def test_winnings_that_wait_for_more_than_an_hour_say_off_and_what_to_do():
    found = redemptions([claim("1", 10, 0), claim("1", -10, MINUTE), claim("2", 7, 2 * MINUTE)])
    assert judge(found, T0 + 30 * MINUTE).verdict is Verdict.OK
    check = judge(found, T0 + 95 * MINUTE)
    assert check.verdict is Verdict.WARN
    assert "off: unredeemed winnings of $7 have waited for 1 h 33 min" in check.evidence
    assert "redeem them on the website" in check.remedy


def test_a_claim_that_is_paid_in_parts_is_paid_when_nothing_is_left():
    postings = [claim("1", 10, 0), claim("1", -4, MINUTE)]
    assert redemptions(postings).waiting == 6 * MICRO
    assert redemptions([*postings, claim("1", -6, 2 * MINUTE)]).paid == 1


def test_without_books_it_is_not_checked(tmp_path: Path):
    settings = load_settings({"DATA_DIR": str(tmp_path)}, None)
    assert check_auto_redeem(settings, T0).verdict is Verdict.NOT_CHECKED
    assert not list(tmp_path.iterdir())
