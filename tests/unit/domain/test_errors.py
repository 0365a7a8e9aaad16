import pytest

from polystra.domain import errors


@pytest.mark.parametrize(
    ("error", "may_have_acted"),
    [
        (errors.VenueRefused("no", status=400, code="X"), False),
        (errors.VenueUnreachable("down"), False),
        (errors.RateLimited("slow", retry_after_s=1.5), False),
        (errors.OutcomeUnknown("timeout"), True),
        (errors.VenueProtocolError("what?"), True),
        (errors.AuthFailed("key"), False),
    ],
)
def test_every_venue_error_says_whether_the_world_may_have_changed(error, may_have_acted):
    assert isinstance(error, errors.VenueError)
    assert error.may_have_acted is may_have_acted


def test_errors_carry_what_the_handler_needs():
    refused = errors.VenueRefused("no", status=400, code="X")
    assert (refused.message, refused.status, refused.code, str(refused)) == ("no", 400, "X", "no")
    assert errors.RateLimited("slow", retry_after_s=1.5).retry_after_s == 1.5
    illegal = errors.IllegalTransition("order", "NEW", "FILL_FULL", "c1")
    assert str(illegal) == "order c1: event FILL_FULL is illegal in state NEW"


def test_everything_raised_on_purpose_has_one_base():
    for name in ("ConfigError", "InvariantViolation", "IllegalTransition", "VenueError", "StoreError"):
        assert issubclass(getattr(errors, name), errors.PolystraError)
    for name in ("StoreBusy", "StoreConflict", "StoreCorrupt"):
        assert issubclass(getattr(errors, name), errors.StoreError)
