"""The windows of a study: its slice of time, split."""

from __future__ import annotations

from datetime import timedelta

from whatif.calendars import schedule
from whatif.domain import duration_us
from whatif.errors import StudyError
from whatif.splits import Timeline, TimeSlice, bounds_of
from whatif.study import Study


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
