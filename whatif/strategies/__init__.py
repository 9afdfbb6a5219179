"""Strategies: step functions, what they declare, and how they are found."""

from __future__ import annotations

from typing import TYPE_CHECKING

from whatif.doors import door

if TYPE_CHECKING:
    from whatif.strategies.builtin import BUILTIN, BY_SYMBOL, CROSS_SECTIONAL
    from whatif.strategies.classic import BacktraderSpec
    from whatif.strategies.helpers import MAX_HELPERS, helpers_of
    from whatif.strategies.identity import identity_of
    from whatif.strategies.intents import (
        ACROSS_FIELDS,
        AT_CLOSE,
        BRACKET,
        BUY,
        CANCEL,
        CLOSE,
        EACH,
        HOLD,
        LIMIT,
        MARKET,
        MAX_ANSWERED,
        NO_PRICE,
        NOTES,
        OCO,
        ORDER_FIELDS,
        ORDER_NOTES,
        SELL,
        SESSION,
        SIZES,
        STATE_FIELDS,
        STOP,
        STOP_LIMIT,
        TARGET,
        TARGET_PERCENT,
        TRAIL,
        TRAIL_LIMIT,
        WAITING_FOR_PRICE,
        WEIGHTS,
        AcrossState,
        Answer,
        Intent,
        Order,
        State,
        bracket,
        buy,
        cancel,
        close,
        fields_filled,
        flattened,
        hold,
        oco,
        orders,
        sell,
        several,
        sizes,
        target,
        target_percent,
        weights,
    )
    from whatif.strategies.loading import AnyStrategy, resolve, strategy_file
    from whatif.strategies.lookup import resolved
    from whatif.strategies.origin import is_installed
    from whatif.strategies.overlays import (
        BY_KELLY,
        BY_RISK,
        BY_VOLATILITY,
        EXIT_MEMORY,
        NEVER,
        NOT_SIZED,
        OverlayRules,
        apply_overlays,
        delay,
        exit_prices,
        has_to_leave,
        kelly_share,
        overlay_memory,
        overlay_rules,
        sized,
        sizing_measure,
        stop_distance,
    )
    from whatif.strategies.params import Param, Value, check_constraint, holds, shortfall
    from whatif.strategies.portable import PortableStrategy, forget_loaded, from_portable, to_portable
    from whatif.strategies.reads import GLOBAL, IMPORT, Read, reads_of
    from whatif.strategies.spec import StrategySpec, strategy
else:
    __getattr__, __dir__, __all__ = door(
        __name__,
        {
            "builtin": "BUILTIN BY_SYMBOL CROSS_SECTIONAL",
            "classic": "BacktraderSpec",
            "helpers": "MAX_HELPERS helpers_of",
            "identity": "identity_of",
            "intents": (
                "ACROSS_FIELDS AT_CLOSE AcrossState Answer BRACKET BUY CANCEL CLOSE EACH HOLD Intent LIMIT "
                "MARKET MAX_ANSWERED NOTES NO_PRICE OCO ORDER_FIELDS ORDER_NOTES Order SELL SESSION SIZES "
                "STATE_FIELDS STOP STOP_LIMIT State TARGET TARGET_PERCENT TRAIL TRAIL_LIMIT "
                "WAITING_FOR_PRICE WEIGHTS bracket buy cancel close fields_filled flattened hold oco orders "
                "sell several sizes target target_percent weights"
            ),
            "loading": "AnyStrategy resolve strategy_file",
            "lookup": "resolved",
            "origin": "is_installed",
            "overlays": (
                "BY_KELLY BY_RISK BY_VOLATILITY EXIT_MEMORY NEVER NOT_SIZED OverlayRules apply_overlays "
                "delay exit_prices has_to_leave kelly_share overlay_memory overlay_rules sized "
                "sizing_measure stop_distance"
            ),
            "params": "Param Value check_constraint holds shortfall",
            "portable": "PortableStrategy forget_loaded from_portable to_portable",
            "reads": "GLOBAL IMPORT Read reads_of",
            "spec": "StrategySpec strategy",
        },
    )
