"""The mode that the exits of a position begin in, and what they must remember over a restart.

What lives here: the draw of the mode, writing and reading the JSON of the projection. What must
not: deciding anything. The prices of the exits are not read back: they follow from the ledger and
the settings; a take-profit that was watched for a reason is tried again. An object that cannot be
read (an older or a damaged row) leaves the exits guarding, which is where they begin.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping

from polystra.domain.facts import PositionRecorded
from polystra.domain.ids import PositionId
from polystra.domain.orders import Purpose
from polystra.domain.units import MICRO
from polystra.engine.config import ExitConfig, ExitMode
from polystra.engine.state import ExitPhase, ExitState


def mode_of(config: ExitConfig, seed: bytes, position_id: PositionId) -> ExitMode:
    """The mode of a position: the setting's, or the other one for the share that is compared with it.

    The draw follows from the seed and the position alone, so that a replay draws the same.
    """
    digest = hashlib.sha256(seed + b"exit-mode:" + position_id.encode()).digest()
    drawn = int.from_bytes(digest[:8], "big") * MICRO >> 64
    if drawn >= config.ab_share_ppm:
        return config.mode
    return ExitMode.MONITOR if config.mode is ExitMode.LIMIT_ORDERS else ExitMode.LIMIT_ORDERS


def to_text(exits: ExitState) -> str:
    """The JSON object of the projection, for a restart and for people."""
    memory: dict[str, object] = {
        "phase": exits.phase,
        "rule": exits.rule,
        "reason": exits.reason,
        "stop_rule": exits.stop_rule,
        "break_even": exits.break_even,
        "break_even_bought": exits.break_even_bought,
        "time_stop_ns": exits.time_stop_ns,
        "watched": exits.watched,
        "resting_since_ns": exits.resting_since_ns,
        "fired_ns": exits.fired_ns,
        "dust": exits.dust,
    }
    return json.dumps({name: value for name, value in memory.items() if value}, separators=(",", ":"))


def restored(record: PositionRecorded, config: ExitConfig, seed: bytes) -> ExitState:
    """The exits of a position of the last run."""
    modes = {mode.value: mode for mode in ExitMode}
    mode = modes.get(record.exit_mode) or mode_of(config, seed, record.position_id)
    exits = ExitState(mode=mode, high_water=record.high_water)
    memory = _object(record.exits)
    phases = {phase.value: phase for phase in ExitPhase}
    reasons = {purpose.value: purpose for purpose in Purpose}
    exits.phase = phases.get(str(memory.get("phase")), ExitPhase.GUARDING)
    exits.reason = reasons.get(str(memory.get("reason")), Purpose.STOP_LOSS)
    exits.rule = str(memory.get("rule", ""))
    exits.break_even = memory.get("break_even") is True
    exits.break_even_bought = _whole(memory, "break_even_bought")
    exits.resting_since_ns = _whole(memory, "resting_since_ns")
    exits.fired_ns = _whole(memory, "fired_ns")
    exits.dust = _whole(memory, "dust")
    return exits


def _object(text: str) -> Mapping[str, object]:
    try:
        memory = json.loads(text or "{}")
    except ValueError:
        return {}
    return memory if isinstance(memory, dict) else {}


def _whole(memory: Mapping[str, object], name: str) -> int:
    value = memory.get(name, 0)
    return value if isinstance(value, int) else 0
