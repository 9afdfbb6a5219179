"""Splits the time of a study into folds of train, validate and test."""

from __future__ import annotations

from datetime import date, timedelta
from zoneinfo import ZoneInfo

import numpy as np
import pandas as pd

from whatif.calendars import Schedule, schedule, time_zone
from whatif.domain.timeframe import timeframe_us
from whatif.errors import StudyError
from whatif.search.combinatorial import combinatorial
from whatif.search.edges import Edges
from whatif.search.fold import Cut, Fold, Timeline, embargoed
from whatif.search.walk_forward import walk_forward
from whatif.search.window import Window
from whatif.study import Holdout, Study, WalkForward

WINDOWS = ("train", "validate", "test")

SNAP_SESSIONS = 20
"""From this many sessions on, cuts fall between sessions and never inside one."""


def resolve_timeline(study: Study) -> Timeline:
    """Return the folds of `study` as instants.

    Of a holdout, fractions are shares of the slice's trading time (the sessions' regular hours). With
    at least 20 sessions a cut moves to the nearest session's open; with fewer it falls
    inside a session, on the grid of the timeframe. Each window after the first begins
    `embargo` after the one before it ends.

    Raises
    ------
    StudyError
        If the slice or a window holds no session.
    """
    sessions = schedule(study.calendar.exchange, study.data.start, study.data.end - timedelta(days=1))
    if not len(sessions):
        raise StudyError(
            f"data.start {study.data.start} to data.end {study.data.end} (left out) holds no session of "
            f"{study.calendar.exchange}: choose dates on which the exchange trades"
        )
    bounds = _bounds(study, sessions)
    if isinstance(study.split, Holdout):
        fold = _holdout(study, study.split, sessions, bounds)
        return Timeline(sessions, *bounds, kind="holdout", folds=(fold,))
    edges = Edges.of(sessions, *bounds)
    if isinstance(study.split, WalkForward):
        folds = walk_forward(study, study.split, edges)
        return Timeline(sessions, *bounds, kind="walk_forward", folds=folds)
    share = 1.0 - study.split.test
    cut = bounds[1] if not study.split.test else _cut(study, sessions, share, bounds[0])
    whole = len(sessions) >= SNAP_SESSIONS
    *ranked, final = combinatorial(study, study.split, edges, cut, whole)
    return Timeline(sessions, *bounds, kind="cpcv", folds=tuple(ranked), final=final)


def _holdout(study: Study, split: Holdout, sessions: Schedule, bounds: tuple[int, int]) -> Fold:
    if isinstance(split.validate_, tuple):
        cuts = [_dated(study, split, part) for part in _parts(split) if isinstance(part, tuple)]
        if not isinstance(split.train, tuple):  # 0, which is nothing
            cuts.insert(0, ("train", bounds[0], bounds[0]))
    else:
        cuts = _shares(study, split, sessions, bounds)
    train, validate, test = embargoed(cuts, lambda end: end + split.embargo_us)
    return Fold(1, () if train is None else (train,), (_needed(validate, split),), test)


def _parts(split: Holdout) -> tuple[float | tuple[date, date], ...]:
    return split.train, split.validate_, split.test


def _bounds(study: Study, sessions: Schedule) -> tuple[int, int]:
    first, last = int(sessions.open_us[0]), int(sessions.close_us[-1])
    if study.calendar.hours == "regular":
        return first, last
    zone = ZoneInfo(time_zone(study.calendar.exchange))
    midnight = pd.Timestamp(int(sessions.session[0]) * 86_400, unit="s").tz_localize(zone)
    after = pd.Timestamp((int(sessions.session[-1]) + 1) * 86_400, unit="s").tz_localize(zone)
    return min(first, _us(midnight)), max(last, _us(after))


def _shares(study: Study, split: Holdout, sessions: Schedule, bounds: tuple[int, int]) -> list[Cut]:
    parts = [float(p) for p in _parts(split)]  # type: ignore[arg-type]
    edges = [bounds[0]]
    for share in np.cumsum(parts):
        edges.append(bounds[1] if share > 1 - 1e-9 else _cut(study, sessions, float(share), bounds[0]))
    cuts = list(zip(WINDOWS, edges, edges[1:], strict=False))
    for share, (name, begin, end) in zip(parts, cuts, strict=True):
        if share > 0 and end <= begin:
            raise StudyError(
                f"split.{name} = {share:g} of {len(sessions)} sessions is less than the step at which "
                "windows are cut, so it would be empty: give it a larger share, or a longer slice"
            )
    return cuts


def _cut(study: Study, sessions: Schedule, share: float, start_us: int) -> int:
    if share <= 0:
        return start_us
    trading = sessions.trading_us
    until = np.cumsum(trading)
    target = share * float(until[-1])
    if len(sessions) >= SNAP_SESSIONS:
        k = int(np.argmin(np.abs(until - target))) + 1
        return int(sessions.open_us[k]) if k < len(sessions) else int(sessions.close_us[-1])
    k = int(np.searchsorted(until, target * (1 - 1e-12), "left"))
    bar_us = min(timeframe_us(study.data.timeframe), int(trading[k]))
    inside = round((target - float(until[k] - trading[k])) / bar_us) * bar_us
    if inside >= trading[k]:
        return int(sessions.open_us[k + 1]) if k + 1 < len(sessions) else int(sessions.close_us[-1])
    return sessions.after(k, inside)


def _dated(study: Study, split: Holdout, part: tuple[date, date]) -> Cut:
    name = WINDOWS[_parts(split).index(part)]
    first, last = part
    if first < study.data.start or last >= study.data.end:
        raise StudyError(
            f"split.{name} [{first}, {last}] leaves the slice: data.start is {study.data.start} and "
            f"data.end {study.data.end} (left out); widen the slice or move the window"
        )
    inner = schedule(study.calendar.exchange, first, last)
    if not len(inner):
        raise StudyError(f"split.{name} [{first}, {last}] holds no session of {study.calendar.exchange}")
    return (name, *_bounds(study, inner))


def _needed(window: Window | None, split: Holdout) -> Window:
    if window is None:
        raise StudyError(
            f"split.validate = {split.validate_} leaves no bar to choose on: give it a larger share"
        )
    return window


def _us(stamp: pd.Timestamp) -> int:
    return int(stamp.as_unit("us").asm8.astype("int64"))
