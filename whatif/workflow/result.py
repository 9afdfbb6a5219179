"""The answer to a study, as a value."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from whatif.report import Judgement, ReportData
from whatif.results import Chosen
from whatif.study import Study


@dataclass(frozen=True, eq=False)
class StudyResult:
    """What a finished study says.

    Attributes
    ----------
    study : Study
        What was asked.
    best : Chosen or None
        The first of the ranking, of the last of several folds; None if no backtest has a value of the
        objective.
    data : ReportData
        Everything that the report shows.
    files : tuple of Path
        What was written, the report first.
    run_id : str
        The study's run in MLflow; "" if it was not tracked.
    computed, resumed, failed : int
        Backtests of the sweep that ran now, that were stored already, and that failed.
    """

    study: Study
    best: Chosen | None
    data: ReportData
    files: tuple[Path, ...] = ()
    run_id: str = ""
    computed: int = 0
    resumed: int = 0
    failed: int = 0

    def leaderboard(self) -> pd.DataFrame:
        """Return one row for each backtest on the validate window, best first."""
        return self.data.leaderboard.copy()

    @property
    def comparison(self) -> pd.DataFrame:
        """The chosen configuration and the market held long, by symbol and window."""
        return self.data.comparison

    @property
    def folds(self) -> pd.DataFrame:
        """What each fold of a walk-forward study chose, and how that did; empty for one fold."""
        return self.data.folds

    @property
    def stitched(self) -> Mapping[str, Any]:
        """Metrics of the test windows of all folds joined; empty for one fold."""
        return self.data.stitched

    @property
    def stitched_equity(self) -> pd.DataFrame:
        """Returns and equity of the test windows of all folds joined, by period."""
        return self.data.stitched_equity

    @property
    def trades(self) -> pd.DataFrame:
        """Closed trades of the chosen configuration, by symbol and window."""
        return self.data.trades

    @property
    def equity(self) -> pd.DataFrame:
        """Equity of the chosen configuration and of buy-and-hold, by symbol and window."""
        return self.data.equity

    @property
    def verdict(self) -> Judgement | None:
        """Whether the data support an edge: `.verdict.word`, `.verdict.figures`, and what surrounds it."""
        return self.data.verdict

    def report(self, path: str | Path) -> Path:
        """Write the report as one self-contained HTML file and return its path."""
        from whatif.report import write

        return write(self.data, path)
