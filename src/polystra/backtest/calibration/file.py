"""The calibration file: JSON that says what was fitted, on what, and how it did on windows that it did not see.

What lives here: the format, writing and checked reading. What must not: fits, settings.

Two parts that share nothing: `fitted` with `fitted_on` (everything that trading uses), and `tested` (the gate, from
later windows). `digest` is of the first part alone, so a change of the tested windows does not change it; decisions
store it. A file that was edited by hand does not carry its own digest any more and is refused.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterable, Sequence
from typing import Final

import msgspec

from polystra.backtest.calibration.fit import SIGNALS, Fit, ScaleFit, SignalFit
from polystra.backtest.calibration.gate import Gate
from polystra.backtest.calibration.looks import Look
from polystra.domain.errors import ConfigError
from polystra.engine.strategy.calibration import Calibration
from polystra.engine.strategy.fusion import Fusion, FusionWeights

FORMAT: Final = "polystra calibration"
VERSION: Final = 1
_LARGEST_STRENGTH: Final = 10.0


class SourceFile(msgspec.Struct, frozen=True, kw_only=True):
    """A recording that was read."""

    name: str
    bytes: int
    sha256: str


class Windows(msgspec.Struct, frozen=True, kw_only=True):
    """Which windows. Times are UTC seconds; `closing_times` is how many of them are independent of one another."""

    count: int
    closing_times: int
    first_close_s: int
    last_close_s: int
    slugs: tuple[str, ...]


class Tested(msgspec.Struct, frozen=True, kw_only=True):
    """The gate of both fusions, with the factors on the signals that it was tried with."""

    windows: Windows
    weights: FusionWeights
    gates: tuple[Gate, ...]


class CalibrationFile(msgspec.Struct, frozen=True, kw_only=True):
    """The whole file. `origin` says whether real markets or simulated ones were recorded."""

    format: str
    version: int
    origin: str
    created: str
    digest: str
    sources: tuple[SourceFile, ...]
    fitted_on: Windows
    fitted: Fit
    tested: Tested

    def calibration(self) -> Calibration:
        """As the engine takes it."""
        return self.fitted.calibration(self.digest[:16])

    def gate(self, fusion: Fusion, weights: FusionWeights) -> Gate:
        """The gate of what is traded; closed when it was tried with other factors."""
        found = next((gate for gate in self.tested.gates if gate.fusion is fusion), None)
        if found is None:
            return Gate(fusion=fusion, passed=False, words=f"{fusion.value} was not tested", log_loss=None, brier=None)
        if weights != self.tested.weights:
            words = "it was tested with other weights of the signals: calibrate again with those of today"
            return Gate(fusion=fusion, passed=False, words=words, log_loss=found.log_loss, brier=found.brier)
        return found


def windows_of(looks: Iterable[Look]) -> Windows:
    """Name the windows of these looks."""
    slugs = {look.window: look.block for look in looks}
    closes = sorted(slugs.values())
    return Windows(
        count=len(slugs),
        closing_times=len(set(closes)),
        first_close_s=closes[0] if closes else 0,
        last_close_s=closes[-1] if closes else 0,
        slugs=tuple(sorted(slugs)),
    )


def assembled(
    *,
    origin: str,
    created: str,
    sources: Sequence[SourceFile],
    fitted_on: Windows,
    fitted: Fit,
    tested: Tested,
) -> CalibrationFile:
    """Put a file together, with its digest."""
    return CalibrationFile(
        format=FORMAT,
        version=VERSION,
        origin=origin,
        created=created,
        digest=_digest(fitted_on, fitted),
        sources=tuple(sources),
        fitted_on=fitted_on,
        fitted=fitted,
        tested=tested,
    )


def encoded(file: CalibrationFile) -> bytes:
    """The bytes of a file."""
    return msgspec.json.format(msgspec.json.encode(file), indent=1) + b"\n"


def decoded(data: bytes, *, name: str) -> CalibrationFile:
    """Read a file; `name` is for the error's words.

    Raises:
        ConfigError: it is none, of another version, damaged, edited, or holds numbers that cannot be.
    """
    remedy = "make it again with polystra calibrate"
    try:
        kind = msgspec.json.decode(data, type=_Kind)
        if kind.format != FORMAT:
            raise ConfigError(f"{name}: is no calibration file (format {kind.format!r}); {remedy}")
        if kind.version != VERSION:
            raise ConfigError(f"{name}: has version {kind.version}, this program reads {VERSION}; {remedy}")
        file = msgspec.json.decode(data, type=CalibrationFile)
    except msgspec.MsgspecError as error:
        raise ConfigError(f"{name}: is no calibration file ({error}); {remedy}") from error
    if file.digest != _digest(file.fitted_on, file.fitted):
        raise ConfigError(f"{name}: its content does not match its digest, it was changed by hand; {remedy}")
    wrong = _wrong(file.fitted)
    if wrong:
        raise ConfigError(f"{name}: {wrong}; {remedy}")
    overlap = set(file.fitted_on.slugs) & set(file.tested.windows.slugs)
    if overlap:
        raise ConfigError(f"{name}: {len(overlap)} windows were fitted on and tested on; {remedy}")
    return file


class _Kind(msgspec.Struct, frozen=True):
    format: str
    version: int


def _digest(fitted_on: Windows, fitted: Fit) -> str:
    return hashlib.sha256(msgspec.json.encode((fitted_on, fitted))).hexdigest()


def _wrong(fitted: Fit) -> str:
    """What cannot be in the fitted numbers, "" when all is well."""
    buckets = len(fitted.edges_s) + 1
    if list(fitted.edges_s) != sorted(set(fitted.edges_s)) or any(edge <= 0 for edge in fitted.edges_s):
        return "fitted.edges_s must be rising seconds above 0"
    names = [signal.name for signal in fitted.signals]
    if names != list(SIGNALS):
        return f"fitted.signals must be {', '.join(SIGNALS)} in this order"
    for signal in fitted.signals:
        if _wrong_signal(signal, buckets):
            return f"fitted.signals {signal.name}: expected {buckets} strengths between -10 and 10, or null"
    if len(fitted.covariances) != buckets or any(_wrong_matrix(matrix, len(names)) for matrix in fitted.covariances):
        return f"fitted.covariances must be {buckets} matrices of {len(names)} by {len(names)} numbers"
    wrong = next((scale for scale in fitted.scales if _wrong_scale(scale)), None)
    return "" if wrong is None else f"fitted.scales {wrong.symbol}: expected a number from 0.2 to 5"


def _wrong_signal(signal: SignalFit, buckets: int) -> bool:
    known = [strength for strength in signal.by_bucket if strength is not None]
    return len(signal.by_bucket) != buckets or any(not abs(strength) <= _LARGEST_STRENGTH for strength in known)


def _wrong_matrix(matrix: Sequence[Sequence[float]], size: int) -> bool:
    return len(matrix) != size or any(
        len(line) != size or not all(math.isfinite(number) for number in line) for line in matrix
    )


def _wrong_scale(scale: ScaleFit) -> bool:
    return not 0.2 <= scale.scale <= 5.0
