"""Bars of ticks: trades and quotes of one symbol, cut into bars of any kind. Neither Spark nor a lake."""

from __future__ import annotations

from typing import TYPE_CHECKING

from whatif.doors import door

if TYPE_CHECKING:
    from whatif.ticks.cuts import (
        BarKind,
        Cuts,
        DollarBars,
        ImbalanceBars,
        TickBars,
        TimeBars,
        VolumeBars,
        bar_kind,
    )
    from whatif.ticks.rows import check_conditions, conditions_of, order_columns, quotes_in, trades_in
    from whatif.ticks.summary import COLUMNS, QUOTE_COLUMNS, bars_in_parts, bars_of
    from whatif.ticks.trades import Quotes, Trades
else:
    __getattr__, __dir__, __all__ = door(
        __name__,
        {
            "cuts": "BarKind Cuts DollarBars ImbalanceBars TickBars TimeBars VolumeBars bar_kind",
            "rows": "check_conditions conditions_of order_columns quotes_in trades_in",
            "summary": "COLUMNS QUOTE_COLUMNS bars_in_parts bars_of",
            "trades": "Quotes Trades",
        },
    )
