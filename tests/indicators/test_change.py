"""Rates of change against Backtrader (bytes) and TA-Lib (1e-9)."""

from __future__ import annotations

import backtrader as bt
import numpy as np
import pytest
import talib

from whatif.indicators.change import roc, roc100, roc100_python, roc_python


@pytest.mark.parametrize("period", [1, 5, 60])
def test_has_backtraders_bytes_on_real_bars(estx50_close, by_backtrader, period: int) -> None:
    fraction = by_backtrader(lambda close: bt.ind.ROC(close, period=period), estx50_close)
    percent = by_backtrader(lambda close: bt.ind.ROC100(close, period=period), estx50_close)

    assert roc(estx50_close, period).tobytes() == fraction.tobytes()
    assert roc100(estx50_close, period).tobytes() == percent.tobytes()


@pytest.mark.parametrize("period", [1, 5, 60])
def test_ta_lib_calls_percent_what_backtrader_calls_roc100(estx50_close, random_walk, period: int) -> None:
    # TA-Lib computes (value / earlier - 1) * 100, so tiny changes differ by cancellation
    for series in (estx50_close, random_walk):
        np.testing.assert_allclose(roc100(series, period), talib.ROC(series, period), rtol=1e-9, atol=1e-11)
        np.testing.assert_allclose(roc(series, period), talib.ROCP(series, period), rtol=1e-9, atol=1e-13)


def test_values_by_hand() -> None:
    np.testing.assert_array_equal(roc(np.array([4.0, 5.0, 2.0]), 1), [np.nan, 0.25, -0.6])
    np.testing.assert_array_equal(roc100(np.array([4.0, 5.0, 2.0]), 2), [np.nan, np.nan, -50.0])


def test_no_value_from_nothing_or_from_zero() -> None:
    series = np.array([0.0, 1.0, np.nan, 2.0, 4.0])

    np.testing.assert_array_equal(roc(series, 1), [np.nan, np.nan, np.nan, np.nan, 1.0])


def test_compiled_and_plain_kernels_give_the_same_bytes(random_walk) -> None:
    assert roc(random_walk, 7).tobytes() == roc_python(random_walk, 7).tobytes()
    assert roc100(random_walk, 7).tobytes() == roc100_python(random_walk, 7).tobytes()
