"""The tree of errors, split by who must act and whether the world may have changed.

    PolystraError
      ConfigError            start-up only; exit code 2; names the setting and the remedy
      InvariantViolation     our bug: journal what is known, stop the process
      IllegalTransition      a state machine refused; by a venue fact: freeze that market
      VenueError             carries `may_have_acted`
        VenueRefused         a definitive no; the venue's own words in `message`
        VenueUnreachable     never left us: safe to retry
        RateLimited          safe to retry after `retry_after_s`
        OutcomeUnknown       may have acted: never retry, reconcile
        VenueProtocolError   we cannot read the answer; on a command = OutcomeUnknown
        AuthFailed           stop trading; a person must act
      StoreError
        StoreBusy            retry
          LeaseHeld          at opening: another holder may be alive; for `wait_s` at most
        StoreConflict        duplicate key: already done
        StoreCorrupt         stop
        StoreFenced          stop at once: the account has another holder
      RecordingError         a recording cannot be read or written; trading is not touched

Expected business refusals are values, not exceptions. Messages say what was expected,
what was found, and the remedy; they never hold a secret.
"""

from __future__ import annotations

from typing import ClassVar


class PolystraError(Exception):
    """Base of every error that this program raises on purpose."""


class ConfigError(PolystraError):
    """A setting or an input file is wrong; one line for the user, exit code 2."""


class InvariantViolation(PolystraError):
    """The program contradicts itself: stop before money moves."""


class IllegalTransition(PolystraError):
    """A state machine has no row for this event in this state."""

    def __init__(self, machine: str, state: str, event: str, subject: str) -> None:
        super().__init__(f"{machine} {subject}: event {event} is illegal in state {state}")
        self.machine = machine
        self.state = state
        self.event = event
        self.subject = subject


class VenueError(PolystraError):
    """Something went wrong between us and the venue."""

    may_have_acted: ClassVar[bool] = False


class VenueRefused(VenueError):
    """The venue said no and nothing changed there."""

    def __init__(self, message: str, *, status: int = 0, code: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.status = status
        self.code = code


class VenueUnreachable(VenueError):
    """The request never left us."""


class RateLimited(VenueError):
    """The venue refused because of its limits."""

    def __init__(self, message: str, *, retry_after_s: float) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s


class OutcomeUnknown(VenueError):
    """The request may have been carried out."""

    may_have_acted: ClassVar[bool] = True


class VenueProtocolError(VenueError):
    """The answer could not be read."""

    may_have_acted: ClassVar[bool] = True


class AuthFailed(VenueError):
    """Credentials, clock or wallet type are wrong."""


class StoreError(PolystraError):
    """The database failed."""


class StoreBusy(StoreError):
    """The database is locked or unreachable for now."""


class LeaseHeld(StoreBusy):
    """The account's lease was not given up and its term is not over: its holder may be alive.

    `epoch` and `renewed_ns` are those of the lease; after `wait_s` seconds without a change of them it is over.
    """

    def __init__(self, message: str, *, epoch: int, renewed_ns: int, wait_s: int) -> None:
        super().__init__(message)
        self.epoch = epoch
        self.renewed_ns = renewed_ns
        self.wait_s = wait_s


class StoreFenced(StoreError):
    """Another daemon has taken the account over: whatever this one holds in memory is void."""


class StoreConflict(StoreError):
    """The row exists already with another content."""


class StoreCorrupt(StoreError):
    """The database cannot be read or belongs to another mode, account or schema."""


class RecordingError(PolystraError):
    """A recording cannot be read or written; trading is not touched by it."""
