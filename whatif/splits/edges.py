"""Edges of sessions: the instants at which windows of whole sessions begin and end."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

import numpy as np

from whatif.calendars import EPOCH, Schedule
from whatif.splits.lengths import embargo_length_us
from whatif.typing import IntArray


@dataclass(frozen=True, eq=False)
class Edges:
    """The sessions of a slice as places to cut at.

    Attributes
    ----------
    schedule : Schedule
        k sessions.
    at : int64 array (k + 1,)
        Begin of each session and the end of the slice, microseconds UTC. A session lasts until the
        next one opens, so that hours outside regular ones belong to a window too.
    """

    schedule: Schedule
    at: IntArray

    @classmethod
    def of(cls, schedule: Schedule, start_us: int, end_us: int) -> Edges:
        """Return the edges of the slice [start_us, end_us)."""
        return cls(schedule, np.concatenate(([start_us], schedule.open_us[1:], [end_us])).astype(np.int64))

    def __len__(self) -> int:
        """Return the number of sessions."""
        return len(self.schedule)

    def day(self, k: int) -> int:
        """Return the trading date of session `k` as days since 1970-01-01."""
        return int(self.schedule.session[k])

    def date(self, k: int) -> date:
        """Return the trading date of session `k`."""
        return date.fromordinal(EPOCH.toordinal() + self.day(k))

    def forward(self, k: int, length: int | str, last_day: int) -> int | None:
        """Return the session that follows a window of `length` from session `k`; None if it leaves the slice.

        Parameters
        ----------
        k : int
            The window's first session.
        length : int or str
            Sessions, or calendar days such as "30d".
        last_day : int
            The day at which the slice ends, itself left out.
        """
        if isinstance(length, int):
            return k + length if k + length <= len(self) else None
        until = self.day(k) + int(length.removesuffix("d"))
        return int(np.searchsorted(self.schedule.session, until)) if until <= last_day else None

    def back(self, k: int, length: int | str) -> int:
        """Return the first session of a window of `length` that session `k` follows."""
        if isinstance(length, int):
            return max(0, k - length)
        since = self.day(k) - int(length.removesuffix("d"))
        return int(np.searchsorted(self.schedule.session, since))

    def after(self, instant: int, embargo: int | str) -> int:
        """Return when an embargo that begins at `instant` ends.

        Parameters
        ----------
        instant : int
            Microseconds UTC.
        embargo : int or str
            As the study gives it: a number counts sessions, a text is a duration.
        """
        if not isinstance(embargo, int):
            return instant + embargo_length_us(embargo)
        k = int(np.searchsorted(self.at, instant)) + embargo
        return int(self.at[min(k, len(self.at) - 1)]) if embargo else instant
