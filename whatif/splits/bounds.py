"""Bounds of a slice of sessions in time."""

from __future__ import annotations

from zoneinfo import ZoneInfo

import pandas as pd

from whatif.calendars import Schedule
from whatif.domain import instant_us
from whatif.exchanges import time_zone


def bounds_of(sessions: Schedule, hours: str) -> tuple[int, int]:
    """Return the half-open bounds of sessions, microseconds UTC.

    Parameters
    ----------
    sessions : Schedule
        At least one.
    hours : str
        "regular": from the first open to the last close; "extended": their whole days in the exchange's
        zone.
    """
    first, last = int(sessions.open_us[0]), int(sessions.close_us[-1])
    if hours == "regular":
        return first, last
    zone = ZoneInfo(time_zone(sessions.exchange))
    midnight = pd.Timestamp(int(sessions.session[0]) * 86_400, unit="s").tz_localize(zone)
    after = pd.Timestamp((int(sessions.session[-1]) + 1) * 86_400, unit="s").tz_localize(zone)
    return min(first, instant_us(midnight)), max(last, instant_us(after))
