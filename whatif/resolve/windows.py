"""Windows of a study, and lines that describe them: dates, bars, and what no window uses."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import date, timedelta

import numpy as np

from whatif.calendars import Schedule, schedule
from whatif.domain import duration_us
from whatif.engines.sessions import date_of
from whatif.errors import StudyError
from whatif.results import ResolvedStudy
from whatif.splits import Fold, Timeline, TimeSlice, Window, bounds_of
from whatif.study import Study
from whatif.typing import IntArray

MIN_SHARE = 0.005
"""Share of the slice's trading time under which it is not worth saying that it is unused."""


def resolve_timeline(study: Study) -> Timeline:
    """Return the folds of `study` as instants.

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
    start_us, end_us = bounds_of(sessions, study.calendar.hours)
    time = TimeSlice(
        exchange=study.calendar.exchange,
        hours=study.calendar.hours,
        timeframe=study.data.timeframe,
        start=study.data.start,
        end=study.data.end,
        label_us=duration_us(study.label.horizon) if study.label is not None and study.models else 0,
        schedule=sessions,
        start_us=start_us,
        end_us=end_us,
    )
    return Timeline.of(study.split, time)


def windows_said(resolved: ResolvedStudy) -> tuple[str, ...]:
    """Return a line for each window, or for those of the first and the last fold, and what is unused."""
    timeline, learns = resolved.timeline, bool(resolved.models)
    folds = timeline.every
    lines: list[str] = []
    for fold in (folds[0], folds[-1]) if len(folds) > 1 else folds:
        name = f"fold {fold.number} of {len(folds)}, " if len(folds) > 1 else ""
        lines += [f"{name}{line}" for line in _of_fold(resolved, fold)]
    return (*lines, *unused(timeline, learns))


def unused(timeline: Timeline, learns: bool) -> Iterator[str]:
    """Yield what of the slice no window uses, and why.

    Parameters
    ----------
    timeline : Timeline
        The slice and its windows.
    learns : bool
        Whether there are models, which are all that train windows are for.
    """
    used = timeline.windows if learns else timeline.backtested
    left = _left_over(timeline.schedule, used)
    share = float(left.sum() / timeline.schedule.trading_us.sum())
    if share < MIN_SHARE:
        return
    idle = timeline.schedule.session[left > 0]
    train = "" if learns or not any(fold.train for fold in timeline.every) else _NOTHING_LEARNS
    yield f"unused: {100.0 * share:.0f} % of the slice's trading time, between {_dates(idle)}{train}"


_NOTHING_LEARNS = "; a train window is for models, and the study has none: split.train: 0 would use it"


def _of_fold(resolved: ResolvedStudy, fold: Fold) -> Iterator[str]:
    for window in fold.windows:
        sessions = resolved.timeline.schedule.between(window.start_us, window.end_us)
        count = f"{len(sessions):,} session{'s' * (len(sessions) != 1)}"
        yield f"{window.name}: {_dates(sessions.session)}, {count}{_bars(resolved, window)}"


def _bars(resolved: ResolvedStudy, window: Window) -> str:
    counts = [resolved.window_bars.get((symbol, window.name)) for symbol in resolved.study.data.symbols]
    known = [count for count in counts if count is not None]
    if not known:
        return ""
    low, high = min(known), max(known)
    each = f"{high:,}" if low == high else f"{low:,} to {high:,}"
    return f", {each} {resolved.study.data.timeframe} bars" + (" of each symbol" if len(known) > 1 else "")


def _left_over(sessions: Schedule, used: Sequence[Window]) -> IntArray:
    """Return the trading time of each session that no window holds, microseconds."""
    left = sessions.trading_us.copy()
    end = np.iinfo(np.int64).min
    for window in sorted(used, key=lambda one: one.start_us):
        begin = max(window.start_us, int(end))
        if window.end_us > begin:
            left -= sessions.traded_between(begin, window.end_us)
        end = max(end, window.end_us)
    return np.maximum(left, 0)


def _dates(days: IntArray) -> str:
    first, last = _date(days[0]), _date(days[-1])
    return f"{first}" if first == last else f"{first} to {last}"


def _date(day: np.int64) -> date:
    return date_of(int(day))
