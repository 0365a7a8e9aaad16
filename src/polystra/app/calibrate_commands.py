"""`polystra calibrate`: what signals are worth, fitted on recordings and tested on later windows of them.

What lives here: the command, its options, its words. What must not: looks, fits, gates (`backtest.calibration`).
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Final

import typer

from polystra.adapters.clock import SystemClock
from polystra.app.calibration_setting import SIMULATED, weights_of
from polystra.app.engine_settings import engine_config
from polystra.app.failures import guarded, settings_from_here
from polystra.app.screen import grid, pairs, screen
from polystra.app.settings import Settings
from polystra.backtest.calibration import file as formats
from polystra.backtest.calibration.fit import L2, Fit, fit
from polystra.backtest.calibration.gate import judge
from polystra.backtest.calibration.looks import Look, LookSampler
from polystra.backtest.calibration.splits import split_by_time
from polystra.backtest.recordings.blocks import Head
from polystra.backtest.recordings.reader import RecordingReader, recording_files
from polystra.backtest.scoring import Interval
from polystra.domain.errors import ConfigError, RecordingError
from polystra.domain.units import NS_PER_S
from polystra.engine.strategy.fusion import Fusion, FusionWeights

REAL: Final = "recordings"


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """Looks at recorded windows, and where they come from."""

    looks: list[Look]
    sources: tuple[formats.SourceFile, ...]
    origin: str
    notes: tuple[str, ...]


def read_looks(settings: Settings, places: list[Path]) -> Reading:
    """Drive the engine over recordings and look at their windows.

    Raises:
        ConfigError: a place is missing, nothing in it can be used, or simulated and real recordings are mixed.
    """
    try:
        paths = recording_files(places)
        reader = RecordingReader(paths)
        origin = _origin(reader.heads)
        symbols = tuple(dict.fromkeys(symbol for head in reader.heads for symbol in head.symbols))
        plain = settings.model_copy(update={"calibration_file": None})  # what is fitted here rests on no earlier fit
        chosen = symbols or settings.symbols
        config = engine_config(plain, symbols=chosen, salt_seed=b"polystra calibrate", simulated=True)
        looks = LookSampler(config).run(reader)
    except RecordingError as error:
        raise ConfigError(str(error)) from error
    return Reading(looks=looks, sources=_sources(paths), origin=origin, notes=tuple(reader.report.notes))


def calibrated(
    reading: Reading, weights: FusionWeights, *, test_share: float, l2: float, created_ns: int
) -> formats.CalibrationFile:
    """Fit on the earlier windows, test on the later ones; the fit never sees these.

    Raises:
        ConfigError: there is no window to fit on.
    """
    train, test = split_by_time(reading.looks, test_share)
    if not train:
        raise ConfigError("there is no window to fit on: record more, or lower --test-share")
    fitted = fit(train, l2=l2)
    calibration = fitted.calibration()
    return formats.assembled(
        origin=reading.origin,
        created=datetime.fromtimestamp(created_ns // NS_PER_S, UTC).isoformat(),
        sources=reading.sources,
        fitted_on=formats.windows_of(train),
        fitted=fitted,
        tested=formats.Tested(
            windows=formats.windows_of(test),
            weights=weights,
            gates=tuple(judge(test, calibration, weights, fusion) for fusion in Fusion),
        ),
    )


def calibrate(
    places: Annotated[list[Path], typer.Argument(help="recordings, or folders of them")],
    *,
    out: Annotated[Path, typer.Option(help="the calibration file to write, .json")],
    test_share: Annotated[
        float, typer.Option(min=0.0, max=0.9, help="the last part of the windows, kept out of the fit to test it")
    ] = 0.3,
    penalty: Annotated[float, typer.Option(min=0.001, help="of the regressions: larger believes the market more")] = L2,
    as_json: Annotated[bool, typer.Option("--json", help="print the file instead of tables")] = False,
) -> None:
    """Fit what signals are worth on recordings, and test it on later windows against the market's own price."""
    settings = settings_from_here(local=True)

    def work() -> formats.CalibrationFile:
        reading = read_looks(settings, places)
        for note in reading.notes:
            typer.echo(f"left out: {note}", err=True)
        weights = weights_of(settings)
        made = calibrated(reading, weights, test_share=test_share, l2=penalty, created_ns=SystemClock().now_ns())
        _write(out, formats.encoded(made))
        return made

    made = guarded(work, settings)
    if as_json:
        typer.echo(formats.encoded(made).decode(), nl=False)
    else:
        show(made, out)


def show(made: formats.CalibrationFile, out: Path) -> None:
    """The result for a person."""
    console = screen()
    fitted, tested = made.fitted_on, made.tested.windows
    rows = [
        ("file", f"{out}, digest {made.digest[:16]}"),
        ("fitted on", f"{fitted.count} windows, {fitted.closing_times} independent{_span(fitted)}"),
        ("tested on", f"{tested.count} windows, {tested.closing_times} independent{_span(tested)}"),
    ]
    rows += [
        (f"volatility of {scale.symbol}", f"times {scale.scale:.3f} ({scale.low:.3f} to {scale.high:.3f})")
        for scale in made.fitted.scales
    ]
    rows += [(f"gate of {gate.fusion.value}", gate.words) for gate in made.tested.gates]
    console.print(pairs("Calibration", rows))
    console.print(_table(made.fitted))


def register(app: typer.Typer) -> None:
    """Add the command to the program's."""
    app.command()(calibrate)


def _table(fitted: Fit) -> object:
    names = [f"to {edge} s" for edge in fitted.edges_s] + ["earlier"]
    rows = [
        (
            each.name,
            "" if each.out_of_sample is None else _range(each.out_of_sample),
            *("?" if strength is None else f"{strength:+.3f}" for strength in each.by_bucket),
            "kept" if each.kept and not each.reason else each.reason,
        )
        for each in fitted.signals
    ]
    title = "Strength by time before the close (log-odds per unit of the signal's value)"
    return grid(title, words=("signal",), figures=("log loss out of sample", *names, ""), rows=rows)


def _range(interval: Interval) -> str:
    return f"{interval.mean:+.5f} ({interval.low:+.5f} to {interval.high:+.5f})"


def _span(windows: formats.Windows) -> str:
    if not windows.count:
        return ""
    first, last = (
        datetime.fromtimestamp(second, UTC).strftime("%Y-%m-%d %H:%M")
        for second in (windows.first_close_s, windows.last_close_s)
    )
    return f", closing {first} to {last} UTC"


def _origin(heads: tuple[Head, ...]) -> str:
    simulated = {head.mode == "sim" for head in heads}
    if len(simulated) > 1:
        raise ConfigError("simulated and real recordings are named together: what one shows says nothing of the other")
    return SIMULATED if simulated == {True} else REAL


def _sources(paths: list[Path]) -> tuple[formats.SourceFile, ...]:
    found: list[formats.SourceFile] = []
    for path in paths:
        with path.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
        found.append(formats.SourceFile(name=path.name, bytes=path.stat().st_size, sha256=digest))
    return tuple(found)


def _write(out: Path, data: bytes) -> None:
    """Whole or not at all.

    Raises:
        ConfigError: the place cannot be written.
    """
    beside = out.with_name(out.name + ".new")
    try:
        beside.write_bytes(data)
        beside.replace(out)
    except OSError as error:
        raise ConfigError(f"--out {out}: cannot be written ({error.strerror or error}); name another place") from error
