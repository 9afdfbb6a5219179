"""Between frames and arrays."""

from __future__ import annotations

from datetime import date

import numpy as np
import pandas as pd
import pytest

from whatif.domain.frames import bars_from_frame, days, microseconds, timestamps

NEW_YORK = pd.Series(pd.to_datetime(["2013-10-07 09:30", "2013-11-04 09:30"])).dt.tz_localize(
    "America/New_York"
)


@pytest.mark.parametrize("unit", ["s", "ms", "us", "ns"])
def test_instants_are_utc_microseconds_whatever_zone_and_unit(unit: str) -> None:
    # date -u -d '2013-10-07 13:30' +%s and '2013-11-04 14:30': four and five hours behind UTC
    expected = [1_381_152_600_000_000, 1_383_575_400_000_000]
    assert microseconds(NEW_YORK.dt.as_unit(unit)).tolist() == expected
    assert microseconds(NEW_YORK.dt.tz_convert("UTC").dt.tz_localize(None)).tolist() == expected


def test_days_of_any_kind_of_date() -> None:
    assert days(pd.Series([date(1970, 1, 2), date(2013, 10, 7)])).tolist() == [1, 15_985]
    assert days(pd.Series(pd.to_datetime(["2013-10-07"]))).tolist() == [15_985]
    assert days(pd.Series(["2013-10-07"])).tolist() == [15_985]


def test_there_and_back() -> None:
    instants = np.array([0, 1, 1_381_152_600_000_000], dtype=np.int64)
    stamps = timestamps(instants)
    assert str(stamps.dtype) == "datetime64[us, UTC]"
    assert microseconds(pd.Series(stamps)).tolist() == instants.tolist()


def test_rows_are_ordered_by_time_and_null_is_nan() -> None:
    frame = pd.DataFrame(
        {
            "ts": timestamps(np.array([2, 1], dtype=np.int64)),
            "session": [date(2013, 10, 7)] * 2,
            "session_open": timestamps(np.array([0, 0], dtype=np.int64)),
            "session_close": timestamps(np.array([9, 9], dtype=np.int64)),
            **{name: [20.0, 10.0] for name in ("open", "high", "low", "close", "volume")},
            "vwap": pd.array([None, 10], dtype="Int64"),
            "forecast": [0.2, None],
        }
    )
    bars = bars_from_frame(frame, "A", ["forecast"])
    assert bars.ts.tolist() == [1, 2]
    assert bars.close.tolist() == [10.0, 20.0]
    assert bars.session.tolist() == [15_985, 15_985]
    np.testing.assert_array_equal(bars.vwap, [10.0, np.nan])
    np.testing.assert_array_equal(bars.inputs["forecast"], [np.nan, 0.2])
    assert all(array.flags.c_contiguous for array in (bars.close, bars.vwap))
