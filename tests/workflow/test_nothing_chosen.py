"""What is said of a study in which nothing could be chosen."""

from __future__ import annotations

from types import SimpleNamespace

import pandas as pd

from whatif.stats import VerdictKind
from whatif.workflow.judge import _nothing_chosen


def board(*rows: tuple[str, str | None]) -> pd.DataFrame:
    return pd.DataFrame(rows, columns=["status", "error"])


def test_if_every_backtest_failed_the_verdict_is_failed_with_the_error() -> None:
    zero = "strategy s: bar 3: the step raised ZeroDivisionError (mine.py, line 7)"
    answered = SimpleNamespace(reason="nothing can be chosen")
    found = _nothing_chosen(board(("error", zero), ("error", "other"), ("error", zero)), answered, None)
    assert found.word is VerdictKind.FAILED
    assert found.reasons == (
        f"All 3 backtests failed, so nothing is known of any configuration. The error (2 of 3 times): {zero}",
    )
    assert "run" in found.changes[0]
    alone = _nothing_chosen(board(("error", zero)), answered, None)
    assert alone.reasons[0].startswith("The only backtest failed")


def test_if_one_ran_it_is_too_little_data() -> None:
    answered = SimpleNamespace(reason="nothing can be chosen on validate: 1 made no trade")
    found = _nothing_chosen(board(("error", "x"), ("ok", None)), answered, None)
    assert found.word is VerdictKind.UNKNOWN
    assert found.reasons == ("Nothing can be chosen on validate: 1 made no trade.",)
    assert _nothing_chosen(board(), answered, None).word is VerdictKind.UNKNOWN
