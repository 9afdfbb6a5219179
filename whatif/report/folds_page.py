"""Table of the folds of a walk-forward study, for terminal and page."""

from __future__ import annotations

from collections.abc import Sequence

from whatif.report import words
from whatif.report.columns import axis_label, format_metric
from whatif.report.data import ReportData


def fold_heads(data: ReportData) -> list[str]:
    """Return the heads of the columns; the last three hold numbers: the objective twice, and the return."""
    return ["fold", "test from", "to", "symbol", *data.ranking.axes, "validate", "test", "return %"]


def fold_rows(data: ReportData) -> list[Sequence[str]]:
    """Return one row for each fold: its test window, what it chose, the objective there and before."""
    return [
        (
            str(row["fold"]),
            words.day(row.get("test_start")),
            words.day(row.get("test_end")),
            str(row["symbol"]) or "nothing",
            *(axis_label(row[axis]) for axis in data.ranking.axes),
            format_metric(data.ranking.objective, row["validate"]),
            format_metric(data.ranking.objective, row["test"]),
            format_metric("return_pct", row["test_return_pct"]),
        )
        for row in data.joined.folds.to_dict("records")
    ]
