"""Sample bars of a day: valid, appended to, a martingale where they are said to be."""

from __future__ import annotations

import math
from dataclasses import replace
from datetime import date

import numpy as np
import pandas as pd
import pytest

from whatif.errors import SourceError
from whatif.sources import SampleMarket, SampleSymbol, generate_days, write_days

MARKET = SampleMarket(
    seed=3,
    first=date(2005, 1, 3),
    sessions=600,
    symbols=(
        SampleSymbol("UP", 400.0, 0.16, edge=0.26, edge_horizon=10),
        SampleSymbol("NOISE", 400.0, 0.16),
    ),
)


def test_bars_are_valid_and_one_a_session() -> None:
    bars = generate_days(MARKET, "UP")
    assert len(bars) == 600
    assert bars["ts"].dtype == pd.DatetimeTZDtype("us", "UTC")
    # 2005-01-03 09:30 in New York
    assert bars["ts"].iloc[0] == pd.Timestamp("2005-01-03 14:30", tz="UTC")
    assert bars["ts"].is_monotonic_increasing
    assert (bars["low"] <= bars[["open", "close", "vwap"]].min(axis=1)).all()
    assert (bars["high"] >= bars[["open", "close", "vwap"]].max(axis=1)).all()
    cents = bars["close"].to_numpy() * 100.0
    np.testing.assert_allclose(cents, np.rint(cents), atol=1e-6)


def test_more_sessions_append() -> None:
    longer = generate_days(replace(MARKET, sessions=700), "UP")
    pd.testing.assert_frame_equal(longer.iloc[:600], generate_days(MARKET, "UP"))


def test_a_symbol_without_edge_is_a_martingale_and_one_with_it_is_not() -> None:
    def t_value(name: str) -> float:
        close = generate_days(replace(MARKET, sessions=4000), name)["close"].to_numpy()
        gains = np.sign(close[10:-1] / close[:-11] - 1.0) * (close[11:] / close[10:-1] - 1.0)
        return float(gains.sum() / math.sqrt((gains**2).sum()))

    assert abs(t_value("NOISE")) < 3.5
    assert t_value("UP") > 5.0


def test_volatility_is_as_stated() -> None:
    close = generate_days(replace(MARKET, sessions=4000), "NOISE")["close"].to_numpy()
    assert np.diff(np.log(close)).std() * math.sqrt(252) == pytest.approx(0.16, rel=0.15)


def test_files_are_what_was_made(tmp_path) -> None:
    (up, noise) = write_days(MARKET, tmp_path)
    assert (up.name, noise.name) == ("UP.parquet", "NOISE.parquet")
    pd.testing.assert_frame_equal(pd.read_parquet(up), generate_days(MARKET, "UP"), check_dtype=False)


def test_an_unknown_symbol_is_refused() -> None:
    with pytest.raises(SourceError, match="no symbol 'GONE'"):
        generate_days(MARKET, "GONE")
