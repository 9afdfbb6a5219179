"""Longer bars on Spark are those of the domain."""

from __future__ import annotations

from datetime import date

import numpy as np
import pandas as pd
import pytest

from whatif.domain.bars import PRICE_FIELDS
from whatif.domain.resampling import resample
from whatif.domain.timeframe import DAY_US, MINUTE_US
from whatif.errors import StudyError
from whatif.lake.tables import BARS
from whatif.timeseries import resample_bars

from ..markets import frame_of, lake_rows, walk

pytestmark = pytest.mark.spark


def test_symbol_by_symbol_as_the_function_says(spark) -> None:
    markets = [walk("SPY", 1), walk("IBM", 2, minutes=33)]
    found = resample_bars(frame_of(spark, markets), "30min").toPandas()
    assert list(found.columns) == [
        name for name in BARS.column_names if name not in ("source", "ingested_at")
    ]
    for bars in markets:
        expected = resample(bars, 30 * MINUTE_US, MINUTE_US)
        own = found[found["symbol"] == bars.symbol].sort_values("ts")
        for name in PRICE_FIELDS:
            assert own[name].to_numpy().tobytes() == getattr(expected, name).tobytes()
        stamps = pd.DatetimeIndex(own["ts"])
        assert np.array_equal(stamps.as_unit("us").asi8, expected.ts)
    # 13 half hours of six sessions, and two of each where only 33 minutes traded
    assert found["symbol"].value_counts().to_dict() == {"SPY": 78, "IBM": 12}
    assert set(found["timeframe"]) == {"30min"}


@pytest.mark.slow
def test_what_else_a_row_says(spark) -> None:
    rows = lake_rows(walk("SPY", 1, minutes=4).take(slice(0, 4)))
    # 13:30, 13:31 | 13:32, 13:33, and one after the close
    late = rows.tail(1).assign(ts=rows["session_close"], hours="extended")
    rows = pd.concat([rows, late], ignore_index=True)
    rows["trade_count"] = pd.array([3, None, None, None, 8], dtype="Int64")
    rows["vwap_estimated"] = [False, True, False, False, False]
    rows = rows.take([4, 1, 0, 3, 2])
    found = resample_bars(spark.createDataFrame(rows, BARS.ddl), "2min").orderBy("ts").toPandas()
    assert [None if pd.isna(count) else int(count) for count in found["trade_count"]] == [3, None, 8]
    assert found["vwap_estimated"].tolist() == [True, False, False]
    assert found["hours"].tolist() == ["regular", "regular", "extended"]
    assert found["session"].tolist() == [date(2013, 10, 4)] * 3
    assert set(found["exchange"]) == {"XNYS"}
    day = resample_bars(spark.createDataFrame(rows, BARS.ddl), "1d").toPandas()
    assert day["volume"].tolist() == [rows[rows["hours"] == "regular"]["volume"].sum()]
    assert day["ts"].tolist() == day["session_open"].tolist()
    assert resample(walk("SPY", 1, minutes=4).take(slice(0, 4)), DAY_US, MINUTE_US).vwap[0] == day["vwap"][0]


@pytest.mark.slow
def test_refusals(spark) -> None:
    frame = frame_of(spark, [walk("SPY", 1, minutes=2)])
    with pytest.raises(StudyError, match="'7min' does not divide a day"):
        resample_bars(frame, "7min")
    five = frame_of(spark, [walk("SPY", 1, minutes=2)], "2min")
    with pytest.raises(Exception, match="5min is no multiple of the 2min bars of SPY"):
        resample_bars(five, "5min").collect()
    with pytest.raises(Exception, match="SPY has bars of 1min, 2min: filter one"):
        resample_bars(frame.unionByName(five), "1h").collect()
