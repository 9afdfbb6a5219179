"""Walk-forward result: what each fold chose, and the test windows joined."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd

from whatif.domain import timestamps
from whatif.results import ResolvedStudy, ResultStore, stored
from whatif.results.board import FoldAnswer
from whatif.search import stitch, stitch_equity
from whatif.splits import Fold


def _no_series() -> pd.DataFrame:
    return pd.DataFrame({name: [] for name in ("fold", "ts", "returns", "equity")})


@dataclass(frozen=True, eq=False)
class Stitched:
    """The test windows of all folds, each traded by what its fold chose.

    Attributes
    ----------
    figures : mapping of str to float
        Metrics of the joined windows, see `whatif.search.stitching.stitch`; empty if there is no
        test window, or a choice failed on its own.
    series : DataFrame
        One row for each period: `fold`, `ts` (its end, UTC), `returns`, and `equity` after it, which is
        carried from fold to fold. Positions are not: each fold starts flat.
    note : str
        What a reader must know of it; "" if nothing.
    """

    figures: Mapping[str, Any] = field(default_factory=dict)
    series: pd.DataFrame = field(default_factory=_no_series)
    note: str = ""


def stitched(store: ResultStore, answers: Sequence[FoldAnswer]) -> Stitched:
    """Return the test windows of a walk-forward study joined.

    A fold that chose nothing stays in cash. One whose choice failed on its test window leaves
    the whole without figures, since what it would have earned is not known.
    """
    rows: list[dict[str, Any]] = []
    returns: list[np.ndarray] = []
    for answer in answers:
        if answer.fold.test is None:
            return Stitched()
        if answer.chosen is None:
            returns.append(np.zeros(len(store.resolved.periods[answer.fold.test.name])))
            continue
        found = _on_test(store, answer)
        if found is None:
            return Stitched(note=_unknown(answer))
        rows.append(found[0])
        returns.append(found[1])
    tests = [answer.fold.test.name for answer in answers if answer.fold.test is not None]
    per_year = float(np.mean([store.resolved.periods[name].per_year for name in tests]))
    return Stitched(
        stitch(rows, returns, per_year), _series(store.resolved, answers, returns), _in_cash(answers)
    )


def _on_test(store: ResultStore, answer: FoldAnswer) -> tuple[dict[str, Any], np.ndarray] | None:
    chosen, test = answer.chosen, answer.fold.test
    assert chosen is not None
    assert test is not None
    there = stored(store, test, [chosen.config_id])
    mine = there.rows[there.rows["symbol"] == chosen.symbol]
    series = there.returns.get((chosen.config_id, chosen.symbol))
    if not len(mine) or mine.iloc[0]["status"] != "ok" or series is None:
        return None
    return {str(name): value for name, value in mine.iloc[0].items()}, series


def _series(
    resolved: ResolvedStudy, answers: Sequence[FoldAnswer], returns: Sequence[np.ndarray]
) -> pd.DataFrame:
    chosen = [a.chosen for a in answers if a.chosen is not None]
    cash = resolved.configuration(chosen[0].config_id).execution.cash if chosen else 1.0
    joined = np.concatenate(list(returns))
    ends = [resolved.periods[a.fold.test.name].ends for a in answers if a.fold.test is not None]
    folds = [np.full(len(own), a.fold.number) for own, a in zip(returns, answers, strict=True)]
    return pd.DataFrame(
        {
            "fold": np.concatenate(folds),
            "ts": timestamps(np.concatenate(ends)),
            "returns": joined,
            "equity": stitch_equity(joined, cash)[1:],
        }
    )


def _unknown(answer: FoldAnswer) -> str:
    error = answer.chosen.test.get("error", "") if answer.chosen else ""
    return (
        f"The choice of fold {answer.fold.number} failed on its test window ({error}), so what the test "
        "windows earned together is not known."
    )


def _in_cash(answers: Sequence[FoldAnswer]) -> str:
    idle = [str(answer.fold.number) for answer in answers if answer.chosen is None]
    if not idle:
        return ""
    return f"Nothing could be chosen in fold {', '.join(idle)}, which stays in cash on its test window."


def fold_table(resolved: ResolvedStudy, answers: Sequence[FoldAnswer]) -> pd.DataFrame:
    """Return one row for each fold: bounds of its windows, what it chose, how that did.

    Columns: `fold`, `train_start`, `train_end`, `validate_start`, `validate_end`, `test_start`,
    `test_end` (UTC), `config_id`, `symbol`, a column for each axis, `validate` and `test` (the
    objective on either window), `test_return_pct`, `test_trades`, and `note`.
    """
    return pd.DataFrame([_fold_row(resolved, answer) for answer in answers])


def _fold_row(resolved: ResolvedStudy, answer: FoldAnswer) -> dict[str, Any]:
    chosen, fold, objective = answer.chosen, answer.fold, resolved.study.objective
    told = chosen.test if chosen is not None else {}
    note = answer.reason or ("" if chosen is None else chosen.test_error)
    axes = chosen.axes if chosen is not None else dict.fromkeys(resolved.study.axes)
    return {
        "fold": fold.number,
        **_bounds(fold),
        "config_id": chosen.config_id if chosen else "",
        "symbol": chosen.symbol if chosen else "",
        **axes,
        "validate": chosen.validate[objective] if chosen else np.nan,
        "test": told.get(objective, np.nan),
        "test_return_pct": told.get("return_pct", np.nan),
        "test_trades": told.get("trades", np.nan),
        "note": note,
    }


def _bounds(fold: Fold) -> dict[str, Any]:
    named = {
        "train": fold.train[:1],
        "validate": fold.validate[:1],
        "test": (fold.test,) if fold.test else (),
    }
    bounds: dict[str, Any] = {}
    for name, windows in named.items():
        for window in windows:
            start, end = timestamps(np.array([window.start_us, window.end_us]))
            bounds |= {f"{name}_start": start, f"{name}_end": end}
    return bounds
