"""Features and label of one symbol: the one function that Spark, workers and notebooks share."""

from __future__ import annotations

import numpy as np
import pandas as pd

from whatif.domain import Bars, bar_ends, bars_from_frame, resample, timestamps
from whatif.features.spec import LABEL_COLUMNS, FeatureSpec
from whatif.indicators import evaluate
from whatif.typing import FloatArray, IntArray


def feature_frame(bars: Bars, spec: FeatureSpec) -> pd.DataFrame:
    """Return one row for each bar: symbol, ts, features, label columns.

    Timing: a feature at row ts uses bars that are complete when the bar at ts is. The
    label looks ahead by definition; `label_end` says when it is known.
    NaN: a feature is NaN until it is warm; the label where its bar does not exist.
    """
    columns: dict[str, object] = {"symbol": bars.symbol, "ts": timestamps(bars.ts)}
    for expression, column in zip(spec.expressions, spec.columns, strict=True):
        columns[column] = evaluate(expression, bars)
    if spec.horizon_us is not None:
        level, forward, end = forward_vwap(bars, spec.horizon_us, spec.bars.bar_us)
        ends = timestamps(end).where(end > 0)
        columns |= dict(zip(LABEL_COLUMNS, (level, forward, ends), strict=True))
    return pd.DataFrame(columns)


def forward_vwap(bars: Bars, horizon_us: int, bar_us: int) -> tuple[FloatArray, FloatArray, IntArray]:
    """Return the VWAP of the bar that starts `horizon_us` after each bar's start.

    Parameters
    ----------
    bars : Bars
        Bars of one symbol.
    horizon_us, bar_us : int
        Horizon and length of a bar, microseconds.

    Returns
    -------
    level : float64 array (n,)
        VWAP of the bar at ts + horizon in the same session, joined on time; NaN where
        that bar does not exist.
    forward : float64 array (n,)
        level / close - 1, a fraction.
    end : int64 array (n,)
        When that bar ends, microseconds UTC; 0 where it does not exist.
    """
    wanted = bars.ts + horizon_us
    found = np.minimum(np.searchsorted(bars.ts, wanted), max(len(bars) - 1, 0))
    exists = (bars.ts[found] == wanted) & (bars.session[found] == bars.session)
    level = np.where(exists, bars.vwap[found], np.nan)
    end = np.where(exists, bar_ends(bars, bar_us)[found], 0)
    return level, level / bars.close - 1.0, end


def features_of_symbol(frame: pd.DataFrame, spec: FeatureSpec) -> pd.DataFrame:
    """Return the feature rows of a frame that holds one symbol's bars from the lake."""
    bars = bars_from_frame(frame, str(frame["symbol"].iloc[0]))
    if spec.bars.resampled:
        bars = resample(bars, spec.bars.bar_us, spec.bars.source_us)
    return feature_frame(bars, spec)
