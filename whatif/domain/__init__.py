"""The nouns of the field: bars, execution, fills, trades, runs, metrics, overlays, resampling."""

from __future__ import annotations

from typing import TYPE_CHECKING

from whatif.doors import door

if TYPE_CHECKING:
    from whatif.domain.bars import (
        EVER,
        HERE,
        PRICE_FIELDS,
        Bars,
        Finer,
        Joined,
        Membership,
        Place,
        bar_ends,
        session_ends,
        with_finer,
    )
    from whatif.domain.charges import (
        ACCRUED,
        BAR_SPAN,
        BAR_VOLUME,
        BASE,
        DUE,
        LAST_SPAN,
        LAST_VOLUME,
        MONTH,
        TALLY,
        TIERS,
        TRADED,
        charges_of,
        order_charge,
        part_charge,
        price_distance,
        traded_by,
    )
    from whatif.domain.compile import (
        inlinable,
        inlinable_lean,
        jit,
        jit_addressed,
        jit_addressed_lean,
        jit_lean,
        jit_step,
        sources_digest,
    )
    from whatif.domain.cost_presets import PRESETS
    from whatif.domain.costs import Costs, costs_from
    from whatif.domain.execution import (
        LATER_SETTINGS,
        SEMANTICS,
        SPECIAL_SETTINGS,
        Execution,
        execution_from_mapping,
    )
    from whatif.domain.exits import EXIT_REASONS, NOTE_COLUMNS, ORDER_KINDS, Orders, TradeNotes
    from whatif.domain.fillers import FILLERS, Filler, filler_from
    from whatif.domain.fills import (
        EDGE,
        TRADE_TALLY,
        TRADES,
        Fills,
        note_trade,
        opening_fills,
        positions,
        write_trips,
    )
    from whatif.domain.frames import (
        BacktestResult,
        bars_from_frame,
        days,
        instant_us,
        microseconds,
        sessions_of,
        timestamps,
    )
    from whatif.domain.memory import room_at, view_at, whole_at
    from whatif.domain.metric_table import (
        BENCHMARK_COLUMNS,
        LOWER_IS_BETTER,
        METRIC_COLUMNS,
        METRIC_KEYS,
        METRICS,
        Metric,
    )
    from whatif.domain.metrics import (
        Account,
        account_metrics,
        account_of,
        compute_metrics,
        max_drawdown,
        metric_columns,
        period_rows,
        sharpe,
        sortino,
    )
    from whatif.domain.noise import NOISE, noise_of, noise_of_returns
    from whatif.domain.overlays import (
        OVERLAY_NAMES,
        SIZINGS,
        STOPS,
        Overlays,
        check_options,
        overlays_from_mapping,
    )
    from whatif.domain.periods import Periods
    from whatif.domain.private import exposed, make_private
    from whatif.domain.resampling import resample
    from whatif.domain.rows import (
        EQUITY_ARRAYS,
        KEY,
        KEY_COLUMNS,
        PLAN_COLUMNS,
        RESULT_COLUMNS,
        RETURN_COLUMNS,
        TRADE_ARRAYS,
        ddl,
        row_columns,
        worker_columns,
    )
    from whatif.domain.run import Contract, EngineRun
    from whatif.domain.statistics import (
        fall,
        figures,
        level_returns,
        pick_levels,
        tally_array,
        write_returns,
    )
    from whatif.domain.sums import exact_sum, exact_sum_in, exact_sum_python, room_for_partials
    from whatif.domain.symbols import broken_symbol
    from whatif.domain.timeframe import (
        DAY_US,
        HOUR_US,
        MINUTE_US,
        YEAR_US,
        canonical_timeframe,
        duration_us,
        timeframe_names,
        timeframe_us,
    )
    from whatif.domain.universe import UNIVERSE_COLUMNS, instant_of_bound, periods_of
else:
    __getattr__, __dir__, __all__ = door(
        __name__,
        {
            "bars": (
                "Bars EVER Finer HERE Joined Membership PRICE_FIELDS Place bar_ends session_ends with_finer"
            ),
            "charges": (
                "ACCRUED BAR_SPAN BAR_VOLUME BASE DUE LAST_SPAN LAST_VOLUME MONTH TALLY TIERS TRADED "
                "charges_of order_charge part_charge price_distance traded_by"
            ),
            "cost_presets": "PRESETS",
            "costs": "Costs costs_from",
            "compile": "inlinable inlinable_lean jit jit_addressed jit_addressed_lean jit_lean jit_step "
            "sources_digest",
            "memory": "room_at view_at whole_at",
            "exits": "EXIT_REASONS NOTE_COLUMNS ORDER_KINDS Orders TradeNotes",
            "execution": "Execution LATER_SETTINGS SEMANTICS SPECIAL_SETTINGS execution_from_mapping",
            "fillers": "FILLERS Filler filler_from",
            "fills": "EDGE Fills TRADES TRADE_TALLY note_trade opening_fills positions write_trips",
            "frames": "BacktestResult bars_from_frame days instant_us microseconds sessions_of timestamps",
            "metric_table": ("BENCHMARK_COLUMNS LOWER_IS_BETTER METRICS METRIC_COLUMNS METRIC_KEYS Metric"),
            "metrics": (
                "Account account_metrics account_of compute_metrics max_drawdown metric_columns period_rows "
                "sharpe sortino"
            ),
            "noise": "NOISE noise_of noise_of_returns",
            "overlays": "OVERLAY_NAMES SIZINGS STOPS Overlays check_options overlays_from_mapping",
            "periods": "Periods",
            "private": "exposed make_private",
            "resampling": "resample",
            "rows": (
                "EQUITY_ARRAYS KEY KEY_COLUMNS PLAN_COLUMNS "
                "RESULT_COLUMNS RETURN_COLUMNS TRADE_ARRAYS ddl row_columns worker_columns"
            ),
            "run": "Contract EngineRun",
            "statistics": "fall figures level_returns pick_levels tally_array write_returns",
            "sums": "exact_sum exact_sum_in exact_sum_python room_for_partials",
            "symbols": "broken_symbol",
            "timeframe": (
                "DAY_US HOUR_US MINUTE_US YEAR_US "
                "canonical_timeframe duration_us timeframe_names timeframe_us"
            ),
            "universe": "UNIVERSE_COLUMNS instant_of_bound periods_of",
        },
    )
