"""Whether bars lie in the exchange's sessions, as they would under the right zone and end of stamps."""

from __future__ import annotations

import numpy as np
import pandas as pd

from whatif.calendars import time_zone
from whatif.domain import timeframe_us
from whatif.sources.chunk import Layout
from whatif.sources.limits import LEAST_ROWS
from whatif.sources.sessions import tag_bars
from whatif.sources.spacing import FirstRows
from whatif.typing import FloatArray, IntArray

_ZONES = (
    "UTC", "America/New_York", "America/Chicago", "America/Los_Angeles", "America/Sao_Paulo", "Europe/London",
    "Europe/Berlin", "Europe/Athens", "Europe/Moscow", "Asia/Kolkata", "Asia/Shanghai", "Asia/Tokyo",
    "Australia/Sydney",
)  # fmt: skip
_BETTER = 0.25
_MOST = 0.5


def zone_fault(first: FirstRows, layout: Layout, unseen: int) -> str | None:
    """Return what sessions say against the zone or the end of the stamps, or None.

    Parameters
    ----------
    first : FirstRows
        Rows of the file.
    layout : Layout
        Its timeframe, zone, exchange and end of stamps.
    unseen : int
        Rows of the file that are not among the first; above 0 the last session may go on.
    """
    if first.daily or layout.exchange == "24/7" or len(first.starts) < LEAST_ROWS:
        return None
    return _wrong_end(first, layout, unseen > 0) or _wrong_zone(first, layout)


def _wrong_zone(first: FirstRows, layout: Layout) -> str | None:
    """Refuse a zone under which most of what was traded lies outside sessions, if another fits far better."""
    length = timeframe_us(layout.timeframe)
    weight = first.volume if first.volume.sum() > 0 else np.ones(len(first.starts))
    inside = _share(first.starts, length, layout.exchange, weight)
    if inside >= _MOST:
        return None
    zone = layout.timezone or "UTC"
    local = (
        pd.DatetimeIndex(first.starts.astype("datetime64[us]"), tz="UTC").tz_convert(zone).tz_localize(None)
    )
    shares: dict[str, float] = {}
    for other in dict.fromkeys((time_zone(layout.exchange), *_ZONES)):
        moved = local.tz_localize(other, ambiguous="NaT", nonexistent="NaT").tz_convert("UTC")
        good = ~np.asarray(moved.isna())
        ts = moved[good].as_unit("us").asi8
        shares[other] = _share(ts, length, layout.exchange, weight[good]) if len(ts) else 0.0
    best = max(shares, key=lambda name: shares[name])
    if best == zone or shares[best] < inside + _BETTER:
        return None
    what = f"in {zone}" if layout.timezone else "with their offsets"
    remedy = f"give --timezone {best}"
    if layout.timezone is None:
        remedy = (
            f"if they are times of {best} that were marked as UTC, give --time-format "
            f"'%Y-%m-%dT%H:%M:%SZ' --timezone {best}"
        )
    return (
        f"{1 - inside:.0%} of what was traded lies outside the regular sessions of {layout.exchange} if "
        "stamps are "
        f"read {what}, and {1 - shares[best]:.0%} as times of {best}: {remedy}"
    )


def _wrong_end(first: FirstRows, layout: Layout, cut: bool) -> str | None:
    """Refuse starts that look like ends of bars, or ends that look like starts, in most sessions."""
    length = timeframe_us(layout.timeframe)
    ts = np.sort(first.starts)
    tags = tag_bars(ts, length, layout.exchange)
    ts, session = ts[tags.found], tags.session[tags.found]
    opens, closes = tags.session_open[tags.found], tags.session_close[tags.found]
    if cut and len(session):
        whole = session < session.max()
        ts, session, opens, closes = ts[whole], session[whole], opens[whole], closes[whole]
    days, begin = np.unique(session, return_index=True)
    if not len(days):
        return None
    earliest = np.minimum.reduceat(ts, begin) - opens[begin]
    latest = np.maximum.reduceat(ts, begin) - closes[begin]
    several = np.diff(np.append(begin, len(ts))) >= LEAST_ROWS
    if layout.stamps == "start":
        odd = several & (earliest > 0) & (earliest <= length) & (latest == 0)
        words, other = "last bar begins at the close, and none at the open", "end"
    else:
        odd = several & (earliest == -length) & (latest >= -2 * length) & (latest + length < 0)
        words, other = "first bar ends at the open, and none at the close", "start"
    if not odd.sum() > _MOST * len(days):
        return None
    return f"in {int(odd.sum()):,} of {len(days):,} sessions the {words}: did you mean --stamps {other}?"


def _share(ts: IntArray, length: int, exchange: str, weight: FloatArray) -> float:
    total = float(weight.sum())
    return float(weight[tag_bars(ts, length, exchange).regular].sum()) / total if total > 0 else 0.0
