"""The engine's configuration from the user's settings: names and units change here, nothing else.

What lives here: dollars, percent and seconds into micro-units, millionths and nanoseconds, and the
sentence that lists the position rules. What must not: concrete adapters (`wiring`), defaults.
"""

from __future__ import annotations

from polystra.app.calibration_setting import calibration_of, entries_are_closed, weights_of
from polystra.app.settings import Mode, Settings
from polystra.domain.units import NS_PER_S, parse_micros
from polystra.engine.config import (
    BalanceConfig,
    CloseAction,
    DustPolicy,
    EngineConfig,
    ExitConfig,
    ExitMode,
    PostOnlyExit,
    ReversalConfig,
    RiskConfig,
    ScaleInConfig,
    TakeProfitKind,
    UnfilledConfig,
)
from polystra.engine.strategy.config import EntryStyle, StrategyConfig
from polystra.engine.strategy.fusion import Fusion
from polystra.engine.strategy.sizing import SizingRules


def strategy_config(settings: Settings, *, simulated: bool | None = None) -> StrategyConfig:
    """The strategy's settings in its own units; `simulated` says of what, None: as MODE does.

    Raises:
        ConfigError: CALIBRATION_FILE cannot be used.
    """
    in_simulation = settings.mode.value == "sim" if simulated is None else simulated
    return StrategyConfig(
        weights=weights_of(settings),
        calibration=calibration_of(settings, simulated=in_simulation),
        is_closed=entries_are_closed(settings),
        min_edge_ppm=parse_micros(settings.min_edge_percent, field="MIN_EDGE_PERCENT") // 100,
        min_confidence=float(settings.min_confidence_score),
        fusion=Fusion(settings.fusion),
        sizing=SizingRules(
            use_kelly=settings.use_kelly_sizing,
            kelly_fraction=float(settings.kelly_fraction),
            trade_size=parse_micros(settings.trade_size_dollars, field="TRADE_SIZE_DOLLARS"),
            max_trade_size=parse_micros(settings.max_trade_size, field="MAX_TRADE_SIZE"),
        ),
        max_spread=parse_micros(settings.max_spread, field="MAX_SPREAD"),
        check_liquidity=settings.check_liquidity,
        entry_style=EntryStyle(settings.entry_style),
        close_guard_s=float(settings.close_guard_seconds),
    )


def engine_config(
    settings: Settings,
    *,
    symbols: tuple[str, ...],
    salt_seed: bytes,
    markets_limit: int = 0,
    simulated: bool | None = None,
) -> EngineConfig:
    """The engine's settings in its own units; `simulated` as in `strategy_config`, whose errors it raises."""
    return EngineConfig(
        symbols=symbols,
        windows_s=tuple(window.seconds for window in settings.windows),
        strategy=strategy_config(settings, simulated=simulated),
        exits=exit_config(settings),
        risk=risk_config(settings),
        sell_winners_at=parse_micros(settings.sell_winners_at or 0, field="SELL_WINNERS_AT"),
        balance=BalanceConfig(
            enhanced=settings.enable_enhanced_balance_validation,
            cooldown_s=settings.balance_cooldown_seconds,
            protect_external=settings.protect_external_positions,
            allow_external_orders=settings.allow_external_orders,
        ),
        salt_seed=salt_seed,
        check_every_s=settings.order_check_interval_seconds,
        cancel_timeout_s=settings.cancel_timeout_seconds,
        unfilled=UnfilledConfig(
            cancel=settings.cancel_unfilled_orders,
            timeout_s=settings.unfilled_timeout_seconds,
            retry=settings.cancel_unfilled_orders and settings.unfilled_retry_on_winning_side,
            retry_min_pnl_ppm=_ppm(settings, "unfilled_retry_min_pnl_percent"),
            cancel_threshold_ppm=_ppm(settings, "unfilled_cancel_threshold"),
        ),
        reversal=ReversalConfig(enabled=settings.enable_reversal, max_times=settings.reversal_max_per_window),
        scale_in=ScaleInConfig(
            enabled=settings.enable_scale_in,
            max_times=settings.scale_in_max,
            trigger_ppm=_ppm(settings, "scale_in_trigger_percent"),
            multiplier_ppm=parse_micros(settings.scale_in_multiplier, field="SCALE_IN_MULTIPLIER"),
            min_dollars=parse_micros(settings.scale_in_min_dollars, field="SCALE_IN_MIN_DOLLARS"),
        ),
        venue_heartbeat=settings.enable_venue_heartbeat,
        notices_every_s=settings.notifications_interval_seconds,
        markets_limit=markets_limit,
    )


def exit_config(settings: Settings) -> ExitConfig:
    """The exit rules in millionths and micro-dollars."""

    def ppm(name: str) -> int:
        return parse_micros(getattr(settings, name), field=name.upper()) // 100

    return ExitConfig(
        enabled=settings.enable_exit_plan,
        mode=ExitMode(settings.resolved_exit_mode),
        ab_share_ppm=parse_micros(settings.exit_mode_ab_share, field="EXIT_MODE_AB_SHARE"),
        take_profit=settings.enable_take_profit,
        take_profit_kind=TakeProfitKind(settings.take_profit_kind),
        take_profit_ppm=ppm("take_profit_percent"),
        take_profit_price=parse_micros(settings.take_profit_price, field="TAKE_PROFIT_PRICE"),
        take_profit_risk_ppm=parse_micros(settings.take_profit_risk_multiple, field="TAKE_PROFIT_RISK_MULTIPLE"),
        ladder=tuple(
            (
                parse_micros(share, field="TAKE_PROFIT_LADDER") // 100,
                parse_micros(gain, field="TAKE_PROFIT_LADDER") // 100,
            )
            for share, gain in settings.take_profit_ladder
        ),
        stop_loss=settings.enable_stop_loss,
        stop_loss_ppm=ppm("stop_loss_percent"),
        trailing=settings.enable_trailing_stop,
        trailing_ppm=ppm("trailing_stop_percent"),
        break_even=settings.enable_break_even_stop,
        break_even_after_ppm=ppm("break_even_after_percent"),
        time_stop=settings.enable_time_stop,
        time_stop_s=settings.time_stop_seconds,
        close_guard_s=settings.close_guard_seconds,
        close_action=CloseAction(settings.close_guard_action),
        max_age_s=settings.exit_max_age_seconds,
        balance_cooldown_s=settings.balance_cooldown_seconds,
        worst_price_ppm=ppm("exit_worst_price_percent"),
        post_only_exit=PostOnlyExit(settings.venue_post_only_exit),
        dust=DustPolicy(settings.dust_policy),
    )


def risk_config(settings: Settings) -> RiskConfig:
    """The limits in micro-dollars and nanoseconds; in live and paper LIVE_MAX_DOLLARS caps the exposure."""
    exposure = settings.max_exposure_dollars
    if settings.mode is not Mode.SIM:
        exposure = min(exposure, settings.live_max_dollars)

    def dollars(name: str) -> int:
        return parse_micros(getattr(settings, name), field=name.upper())

    return RiskConfig(
        max_exposure=parse_micros(exposure, field="MAX_EXPOSURE_DOLLARS"),
        max_exposure_per_market=dollars("max_exposure_per_market"),
        max_exposure_per_symbol=dollars("max_exposure_per_symbol"),
        max_exposure_per_direction=dollars("max_exposure_per_direction"),
        max_open_positions=settings.max_open_positions,
        capital=dollars("capital_total"),
        stale_book_ns=int(settings.stale_book_seconds * NS_PER_S),
        max_clock_drift_ns=int(settings.max_clock_drift_seconds * NS_PER_S),
        daily_loss_limit=dollars("daily_loss_limit_dollars"),
        max_drawdown=dollars("max_drawdown_dollars"),
        max_consecutive_losses=settings.max_consecutive_losses,
        max_rejections_per_minute=settings.max_rejections_per_minute,
        blacklist_after_stop_ns=settings.blacklist_after_stop_seconds * NS_PER_S,
        balance_floor=dollars("balance_floor_dollars"),
        low_balance_alert=dollars("low_balance_alert_dollars"),
    )


def position_rules(settings: Settings) -> tuple[str, str]:
    """The position rules that are on and those that are off, in words, for the start-up line."""
    rules = {
        **_exit_rules(settings),
        f"unfilled time-out {settings.unfilled_timeout_seconds}s": settings.cancel_unfilled_orders,
        "early cancel of unfilled": settings.cancel_unfilled_orders and settings.unfilled_cancel_threshold > 0,
        "retry at market": settings.cancel_unfilled_orders and settings.unfilled_retry_on_winning_side,
        f"scale-in at {settings.scale_in_trigger_percent}%": settings.enable_scale_in,
        "reversal": settings.enable_reversal,
        "blacklist of a coin after a stop": settings.blacklist_after_stop_seconds > 0,
    }
    on = ", ".join(name for name, active in rules.items() if active)
    off = ", ".join(name for name, active in rules.items() if not active)
    return on, off or "none"


def _ppm(settings: Settings, name: str) -> int:
    """A setting in percent as millionths."""
    return parse_micros(getattr(settings, name), field=name.upper()) // 100


def _exit_rules(settings: Settings) -> dict[str, bool]:
    """The exit rules in words, and whether each is on."""
    plan = settings.enable_exit_plan
    target = {
        "percent": f"{settings.take_profit_percent}%",
        "price": f"at {settings.take_profit_price}",
        "risk": f"{settings.take_profit_risk_multiple} times the risk",
    }[settings.take_profit_kind]
    if settings.take_profit_ladder:
        target = " and ".join(f"{share}% at {gain}%" for share, gain in settings.take_profit_ladder)
    share = settings.exit_mode_ab_share
    age = f"{settings.exit_max_age_seconds}s" if settings.exit_max_age_seconds else "a time"
    guard = "sell" if settings.close_guard_action == "exit" else "hold to resolution"
    return {
        f"take-profit {target}": plan and settings.enable_take_profit,
        f"stop-loss {settings.stop_loss_percent}%": plan and settings.enable_stop_loss,
        f"trailing stop {settings.trailing_stop_percent}%": plan and settings.enable_trailing_stop,
        f"break-even stop after {settings.break_even_after_percent}%": plan and settings.enable_break_even_stop,
        f"time stop {settings.time_stop_seconds}s": plan and settings.enable_time_stop,
        f"limit exits at market after {age}": plan and settings.exit_max_age_seconds > 0,
        f"exits as {settings.resolved_exit_mode}": plan,
        f"{share or 'a share'} of the positions in the other exit mode": plan and share > 0,
        f"{guard} in the last {settings.close_guard_seconds}s": plan or settings.close_guard_action == "hold",
    }
