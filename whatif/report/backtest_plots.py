"""Charts of one backtest by one call each, as the report draws them."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import pandas as pd

from whatif.domain import timestamps
from whatif.errors import WhatIfError
from whatif.report import theme
from whatif.report.chart import Chart
from whatif.report.figures import draw_drawdown, draw_equity, draw_trades
from whatif.report.performance import held_market, tear_sheet
from whatif.report.tearing import DAYS, draw_sheet
from whatif.report.timeline import Timeline

if TYPE_CHECKING:
    from whatif.domain import BacktestResult

BACKTEST = "backtest"
"""Name of the one window of a backtest."""


class BacktestPlots:
    """Charts of one backtest; each is a `Chart`, a figure of plotly with `.to_png(path)`.

    Parameters
    ----------
    result : BacktestResult
        What `whatif.backtest` returned.
    """

    def __init__(self, result: BacktestResult) -> None:
        self._result = result
        self._name = ", ".join(result.run.symbols[:3]) + (" …" if len(result.run.symbols) > 3 else "")

    def equity(self) -> Chart:
        """Draw the account against the market held from the window's first close, symbols in equal shares."""
        return self._drawn(draw_equity, "account")

    def drawdown(self) -> Chart:
        """Draw how far below its peak the account is, in percent, and the market so held."""
        return self._drawn(draw_drawdown, "drawdown")

    def tearsheet(self, market: pd.Series | None = None) -> Chart:
        """Draw the tear sheet: account, drawdown, months and figures; see `whatif.tear_sheet`."""
        sheet = tear_sheet(self._result, market)
        return Chart.of(draw_sheet(sheet), f"{self._name}: tear sheet", DAYS.format(sheet.days_per_year))

    def trades(self, bars: pd.DataFrame) -> Chart:
        """Draw prices of one symbol with entries, exits and its position below.

        Parameters
        ----------
        bars : DataFrame
            The bars that the backtest was given: `ts`, `open`, `high`, `low`, `close`, and `symbol` where
            there are several, of which one is left. Those outside of the window are left out.

        Raises
        ------
        WhatIfError
            If they are no frame with these columns, of several symbols, of one that was not traded, or of
            none of the window's bars.
        """
        run = self._result.run
        absent = [
            one for one in ("ts", "open", "high", "low", "close") if one not in getattr(bars, "columns", ())
        ]
        if absent:
            raise WhatIfError(
                f"bars: a {type(bars).__name__} without {', '.join(absent)}; give the frame of bars that the "
                "backtest was run on"
            )
        names = [str(one) for one in bars["symbol"].unique()] if "symbol" in bars else [run.symbols[0]]
        if len(names) != 1 or names[0] not in run.symbols:
            raise WhatIfError(
                f"bars of {', '.join(names) or 'no symbol'}: give those of one that was traded, of "
                f"{', '.join(run.symbols)}"
            )
        when = timestamps(run.ts)
        stamps = pd.to_datetime(bars["ts"], utc=True)
        rows = bars[((stamps >= when[0]) & (stamps <= when[-1])).to_numpy()] if len(when) else bars[:0]
        if not len(rows):
            raise WhatIfError("bars: none of them is in the backtest's window; give those that it was run on")
        rows = rows.assign(symbol=names[0], window=BACKTEST)
        held = self._rows().assign(symbol=names[0], position=run.position[run.symbols.index(names[0])])
        trades = pd.concat([self._result.trades, self._result.exits], axis=1).assign(window=BACKTEST)
        drawn = draw_trades(rows, trades, held, Timeline.of(rows))
        return Chart.of(drawn, f"{names[0]}: trades")

    def _drawn(self, draw: Callable[..., theme.Drawing], what: str) -> Chart:
        if not len(self._result.run.ts):
            raise WhatIfError("nothing to draw: the backtest's window has no bar")
        rows = self._rows()
        return Chart.of(draw(rows, Timeline.of(rows)), f"{self._name}: {what}")

    def _rows(self) -> pd.DataFrame:
        run = self._result.run
        return pd.DataFrame(
            {
                "symbol": self._name, "window": BACKTEST, "ts": timestamps(run.ts), "equity": run.equity,
                "benchmark": run.equity[0] * held_market(run.close),
            }
        )  # fmt: skip
