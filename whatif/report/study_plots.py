"""Charts of a study by one call each, as the report draws them."""

from __future__ import annotations

import pandas as pd

from whatif.errors import WhatIfError, nearest
from whatif.report import words
from whatif.report.chart import Chart
from whatif.report.columns import metric as metric_of
from whatif.report.data import ReportData
from whatif.report.embed import framed_map, lucky_account
from whatif.report.figures import (
    draw_distribution,
    draw_drawdown,
    draw_trades,
    stitched_figure,
)
from whatif.report.performance import study_sheets
from whatif.report.tearing import DAYS, draw_sheet
from whatif.report.timeline import Timeline


class StudyPlots:
    """Charts of a finished study; each is a `Chart`, a figure of plotly with `.to_png(path)`.

    Parameters
    ----------
    data : ReportData
        What the study's report shows.
    """

    def __init__(self, data: ReportData) -> None:
        self._data = data

    def equity(self, symbol: str | None = None) -> Chart:
        """Draw the chosen account against the market held long, and what luck alone would give.

        Parameters
        ----------
        symbol : str, optional
            Which one's; the chosen one's, or the first, if left out.

        Raises
        ------
        WhatIfError
            If the symbol is not there, or the study has no account to show: nothing was chosen, or the
            run wrote no report.
        """
        rows, name = self._rows(self._data.series.equity, symbol)
        return Chart.of(lucky_account(self._data, rows), *self._titles(f"account, {name}"))

    def drawdown(self, symbol: str | None = None) -> Chart:
        """Draw how far below its peak the account is, in percent; see `equity`."""
        rows, name = self._rows(self._data.series.equity, symbol)
        return Chart.of(draw_drawdown(rows, Timeline.of(rows)), *self._titles(f"drawdown, {name}"))

    def tearsheet(self, symbol: str | None = None, window: str = "") -> Chart:
        """Draw the tear sheet of the chosen configuration: account, drawdown, months and figures.

        Parameters
        ----------
        symbol : str, optional
            As of `equity`.
        window : str
            "validate" or "test"; the last one that there is if left out.
        """
        _, name = self._rows(self._data.series.equity, symbol)
        sheets = study_sheets(self._data, name)
        shown = window or list(sheets)[-1]
        if shown not in sheets:
            raise WhatIfError(f"window {shown!r}: {nearest(shown, list(sheets))}")
        sheet = sheets[shown]
        titles = self._titles(f"tear sheet, {name}, {shown}")
        return Chart.of(draw_sheet(sheet), titles[0], f"{titles[1]}; {DAYS.format(sheet.days_per_year)}")

    def trades(self, symbol: str | None = None) -> Chart:
        """Draw prices with entries, exits and the position below; see `equity`."""
        rows, name = self._rows(self._data.series.bars, symbol)
        equity = self._data.series.equity
        drawn = draw_trades(rows, self._data.series.trades, equity, Timeline.of(rows))
        return Chart.of(drawn, *self._titles(f"trades, {name}"))

    def heatmap(
        self,
        x: str | None = None,
        y: str | None = None,
        metric: str | None = None,
        aggregate: str = "best",
        symbol: str | None = None,
    ) -> Chart:
        """Draw a metric of the validate window over two axes; the chosen configuration is framed.

        Parameters
        ----------
        x, y : str, optional
            Axes; the study's first two if left out. Over all other axes it is aggregated.
        metric : str, optional
            The objective if left out.
        aggregate : str
            "best" or "median".
        symbol : str, optional
            Whose backtests, where symbols rank by themselves; the chosen one's if left out, "" for the best
            or the median over all.

        Raises
        ------
        WhatIfError
            If an axis, metric or symbol is not there, or the study has no axis.
        """
        axes, key = self._data.ranking.axes, metric or self._data.ranking.objective
        if not axes:
            raise WhatIfError("the study has no axis, so there is nothing to draw a map over")
        first = x or next(axis for axis in axes if axis != y)
        second = y or next((axis for axis in axes if axis != first), None)
        for name in filter(None, (first, second)):
            if name not in axes:
                raise WhatIfError(f"axis {name!r}: {nearest(name, list(axes))}")
        if first == second:
            raise WhatIfError(f"axis {first!r} is named twice: a map is of two axes, or leave y out")
        if key not in self._data.ranking.metrics:
            raise WhatIfError(f"metric {key!r}: {nearest(key, self._data.ranking.metrics)}")
        whose = self._mapped_symbol(symbol)
        drawn = framed_map(self._data, first, second, key, aggregate, whose)
        said = f"{metric_of(key).label} on validate, {aggregate} of each cell{f', {whose}' if whose else ''}"
        return Chart.of(drawn, *self._titles(said))

    def _mapped_symbol(self, symbol: str | None) -> str:
        """Return whose backtests a map shows; "" for all."""
        board = self._data.ranking.leaderboard
        known = list(dict.fromkeys(board["symbol"])) if "symbol" in board else []
        if symbol is None:
            chosen = self._data.series.chosen.get("symbol")
            return str(chosen if chosen in known else known[0]) if len(known) > 1 else ""
        if symbol and symbol not in known:
            raise WhatIfError(f"symbol {symbol!r} is not in the leaderboard: {nearest(symbol, known)}")
        return symbol

    def distribution(self, metric: str | None = None) -> Chart:
        """Draw how a metric spreads over everything that was tried, the first in rank marked."""
        key, ranked = metric or self._data.ranking.objective, self._data.ranking.ranked
        if key not in self._data.ranking.metrics:
            raise WhatIfError(f"metric {key!r}: {nearest(key, self._data.ranking.metrics)}")
        best = float(pd.to_numeric(ranked[key], errors="coerce").iloc[0]) if len(ranked) else None
        return Chart.of(draw_distribution(ranked, key, best), *self._titles("everything that was tried"))

    def stitched(self) -> Chart:
        """Draw the account over the test windows of all folds joined, of a walk-forward study."""
        if not len(self._data.joined.equity):
            raise WhatIfError(
                "the study has one fold, so no test windows are joined: .plot.equity() draws it"
            )
        drawn = stitched_figure(self._data.joined.equity).to_plotly_json()
        return Chart.of(drawn, *self._titles("test windows joined"))

    def _rows(self, frame: pd.DataFrame, symbol: str | None) -> tuple[pd.DataFrame, str]:
        there = [one for one in self._data.series.symbols if (frame["symbol"] == one).any()]
        if not there:
            raise WhatIfError(
                "nothing to draw: no configuration was chosen, or the run stored no series of it "
                "(report=False)"
            )
        name = there[0] if symbol is None else symbol
        if name not in there:
            raise WhatIfError(f"symbol {name!r}: {nearest(name, there)}")
        return frame[frame["symbol"] == name], name

    def _titles(self, what: str) -> tuple[str, str]:
        return f"{self._data.origin.study}: {what}", words.name_of(self._data)
