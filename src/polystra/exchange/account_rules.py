"""How the account side of the exchange behaves where the venue is unlucky, slow or undocumented.

What lives here: the switches and probabilities of settlement, balance cache, order lookup and Data
API. What must not: what they do (`settlement`, `balances`, `rest_account`, `data_api`).

Probabilities are whole millionths (ppm) of the trades in which a client takes part; all of them are
zero by default. Delays are milliseconds of the exchange's clock.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Literal

import msgspec

from polystra.domain.errors import ConfigError

MILLION: Final = 1_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountRules:
    """Switches of the account side; see the module docstring for units.

    Attributes:
        fail_ppm: trades that are retried once and then fail for good.
        retry_ppm: trades whose first transaction is lost before it is mined.
        reorg_ppm: trades that are mined, lost again and mined a second time.
        late_ppm: trades that settle `late_ms` later than the others.
        retry_after_ms: how long a trade is RETRYING.
        unbroadcast_ms: how long REST lists a new trade as MATCHED_NOT_BROADCASTED.
        balance_lag_ms: how long the order book does not see what arrived on chain.
        closed_order_status: 200 (null body) or 404 for an order that is not open any more.
        ban_record_missing: answer 404 on ban status for accounts without a record.
        positions_cache_s, activity_cache_s, trades_cache_s: age of Data API answers.

    Raises:
        ConfigError: a probability or a delay is out of range.
    """

    seed: int = 1
    fail_ppm: int = 0
    retry_ppm: int = 0
    reorg_ppm: int = 0
    late_ppm: int = 0
    late_ms: int = 30_000
    retry_after_ms: int = 3_000
    unbroadcast_ms: int = 0
    balance_lag_ms: int = 0
    closed_order_status: Literal[200, 404] = 200
    ban_record_missing: bool = False
    positions_cache_s: int = 5
    activity_cache_s: int = 15
    trades_cache_s: int = 300

    def __post_init__(self) -> None:
        for name in ("late_ms", "retry_after_ms", "unbroadcast_ms", "balance_lag_ms"):
            _require(name, getattr(self, name), "a delay is not negative")
        for name in ("positions_cache_s", "activity_cache_s", "trades_cache_s"):
            _require(name, getattr(self, name), "an age is not negative")
        odds = (self.fail_ppm, self.retry_ppm, self.reorg_ppm, self.late_ppm)
        if min(odds) < 0 or sum(odds) > MILLION:
            raise ConfigError(
                f"fail_ppm, retry_ppm, reorg_ppm and late_ppm are {odds}; choose none below 0 and at most "
                f"{MILLION} together"
            )

    def changed(self, changes: Mapping[str, object]) -> AccountRules:
        """Return the rules with some of them replaced.

        Raises:
            ConfigError: an unknown name or a value of the wrong kind.
        """
        fields = msgspec.to_builtins(self)
        unknown = [name for name in changes if name not in fields or name == "seed"]
        if unknown:
            raise ConfigError(f"account rule {unknown[0][:60]!r} does not exist; choose among {', '.join(fields)}")
        try:
            return msgspec.convert({**fields, **changes}, type=AccountRules)
        except msgspec.ValidationError as error:
            raise ConfigError(f"account rules: {error}; give each rule a value of its kind") from error


def _require(name: str, value: int, rule: str) -> None:
    if value < 0:
        raise ConfigError(f"{name} is {value}; {rule}")


REALISTIC: Final = AccountRules(balance_lag_ms=1_000, unbroadcast_ms=300)
"""What a whole exchange does by default: nothing fails, but caches and listings are a little behind."""
