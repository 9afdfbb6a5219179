"""Comparison of what two versions of whatif stored of one study: which rows are the same, which are not."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from whatif.domain import METRIC_COLUMNS
from whatif.errors import StudyError, nearest
from whatif.lake import RESULTS
from whatif.pins import LakeLocation, equal
from whatif.resolve import resolve_study
from whatif.results import ResultStore
from whatif.study import Study, load_study

VERSION = "whatif-"
"""What the address of a version begins with, after the "@" of a study's file."""

SAME = (
    *("bars_snapshot", "strategy", "parameters", "execution", "timeframe", "model", "symbol", "window"),
    *("window_start", "window_end"),
)
"""Columns of a row by which those of two versions belong together."""

SHOWN = 10
"""Rows that are shown of those that differ most."""


@dataclass(frozen=True, eq=False)
class VersionComparison:
    """The rows that two versions of whatif stored of one study.

    Attributes
    ----------
    a, b : str
        The versions, with their commits where these are known.
    objective : str
        What the study ranks by.
    paired, same : int
        Rows that both stored, and those of them of which every metric is the same, as bytes.
    only_a, only_b : int
        Rows of one version alone.
    metrics : DataFrame
        Of each metric that differs in any row: metric, rows that differ, the largest difference, and the
        means of both.
    rows : DataFrame
        Those whose objective differs most: symbol, window, parameters, a, b and difference.
    """

    a: str
    b: str
    objective: str
    paired: int
    same: int
    only_a: int
    only_b: int
    metrics: pd.DataFrame
    rows: pd.DataFrame

    @property
    def sentences(self) -> tuple[str, ...]:
        """What it comes to, in words."""
        alone = f"{self.only_a:,} are of A alone and {self.only_b:,} of B alone"
        return (f"{self.same:,} of {self.paired:,} rows that both stored are the same as bytes; {alone}",)


def compare_versions(
    study: Study | str | Path, a: str, b: str, location: LakeLocation | None = None
) -> VersionComparison:
    """Compare what two versions of whatif stored of a study; runs nothing.

    Parameters
    ----------
    study : Study, str or Path
        The study.
    a, b : str
        Versions, or commits, by their beginnings.
    location : LakeLocation, optional
        Where the lake is; from the environment if left out.

    Raises
    ------
    StudyError
        If the lake holds no rows of the study of a version, or no row that both stored.

    Notes
    -----
    Rows belong together that are of the same bars, strategy, parameters, execution, model, symbol and window.
    A version that changed no result reuses the rows of the one before, and stores none.
    """
    where = location or LakeLocation.from_environment()
    resolved = resolve_study(study if isinstance(study, Study) else load_study(study), where)
    name, objective = resolved.study.study, resolved.study.objective
    metrics = list(METRIC_COLUMNS)
    columns = [*SAME, *metrics, "versions", "status", "finished_at"]
    parts = ResultStore(where, resolved).stream(RESULTS, columns, equal("study", name))
    every = pd.concat([part.to_pandas() for part in parts] or [pd.DataFrame(columns=columns)])
    every = every[every["status"] == "ok"].sort_values("finished_at", kind="stable")
    said = every["versions"].map(json.loads)
    sides = []
    for wanted in (a, b):
        mine = said.map(lambda one, wanted=wanted: _is_of(one, wanted)).astype(bool)
        if not mine.any():
            known = {_named(one) for one in said}
            raise StudyError(f"study {name} has no rows of whatif {wanted!r}: {nearest(wanted, known)}")
        label = ", ".join(sorted({_named(one) for one in said[mine]}))
        sides.append((label, every[mine].drop_duplicates(list(SAME), keep="last").set_index(list(SAME))))
    (of_a, left), (of_b, right) = sides
    both = left.index.intersection(right.index)
    if not len(both):
        raise StudyError(
            f"{of_a} and {of_b} stored no row of study {name} on the same bars, symbol, window and parameters"
        )
    one, other = left.loc[both, metrics], right.loc[both, metrics]
    differs = ~((one == other) | (one.isna() & other.isna()))
    return VersionComparison(
        a=of_a,
        b=of_b,
        objective=objective,
        paired=len(both),
        same=int((~differs.any(axis=1)).sum()),
        only_a=len(left) - len(both),
        only_b=len(right) - len(both),
        metrics=_metrics(one, other, differs),
        rows=_rows(one, other, objective if objective in metrics else "sharpe"),
    )


def address_of(text: str | Path) -> tuple[str, str, str]:
    """Return the file, what follows its "@", and what follows a "#".

    Raises
    ------
    StudyError
        If nothing follows a "#" or an "@": the chosen configuration, on the study's bars, has neither.
    """
    before, marked, config_id = str(text).partition("#")
    if marked and not config_id.strip():
        raise StudyError(
            f"{text} names no configuration: after # stands a config_id or its beginning, which 'whatif "
            f"leaderboard {before}' lists; {before} alone is the chosen one"
        )
    file, found, at = before.rpartition("@")
    if not found or Path(before).exists():
        return before, "", config_id
    if not at.strip():
        raise StudyError(
            f"{text} names no bars: after @ stands latest, a snapshot's number or a date, or {VERSION} and a "
            f"version; {file} alone is on the bars that it ran on"
        )
    return file, at, config_id


def versions_named(a: Study | str | Path, b: Study | str | Path) -> tuple[str, str, str] | None:
    """Return the file of a study and two versions, if both sides name one; else None."""
    if isinstance(a, Study) or isinstance(b, Study):
        return None
    (file, of_a, _), (_, of_b, _) = address_of(a), address_of(b)
    if not of_a.startswith(VERSION) or not of_b.startswith(VERSION):
        return None
    return file, of_a.removeprefix(VERSION), of_b.removeprefix(VERSION)


def _is_of(versions: Mapping[str, Any], wanted: str) -> bool:
    return any(str(versions.get(key, "")).startswith(wanted) for key in ("whatif", "commit"))


def _named(versions: Mapping[str, Any]) -> str:
    commit = versions.get("commit")
    return f"{versions.get('whatif', '?')}{f' ({commit})' if commit else ''}"


def _metrics(one: pd.DataFrame, other: pd.DataFrame, differs: pd.DataFrame) -> pd.DataFrame:
    found = [
        {
            "metric": name,
            "rows that differ": int(differs[name].sum()),
            "largest difference": float((other[name] - one[name]).abs().max()),
            "mean of a": float(one[name].mean()),
            "mean of b": float(other[name].mean()),
        }
        for name in one.columns
        if differs[name].any()
    ]
    return pd.DataFrame(found)


def _rows(one: pd.DataFrame, other: pd.DataFrame, objective: str) -> pd.DataFrame:
    frame = pd.DataFrame({"a": one[objective], "b": other[objective]})
    frame["difference"] = frame["b"] - frame["a"]
    frame = frame[frame["difference"] != 0].dropna()
    order = frame["difference"].abs().sort_values(ascending=False, kind="stable").index[:SHOWN]
    return frame.loc[order].reset_index()[["symbol", "window", "parameters", "a", "b", "difference"]]
