"""Regimes of the chosen configuration: known beforehand, and adding up."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from whatif.report.data import ChosenSeries, Origin, Ranking, ReportData
from whatif.report.files import write_files
from whatif.report.html import render
from whatif.report.regimes import UNKNOWN, regimes


def told(close: list[float], window: str = "validate") -> pd.DataFrame:
    """The regimes of daily bars with these closes, whose account doubles what the market does."""
    ts = pd.date_range("2023-01-02", periods=len(close), freq="D", tz="UTC")
    same = {"symbol": "A", "window": window, "ts": ts}
    bars = pd.DataFrame({**same, "open": close, "high": close, "low": close, "close": close})
    equity = pd.DataFrame({**same, "equity": np.square(close), "benchmark": close, "position": 1.0})
    series = ChosenSeries({"config_id": "c", "symbol": "A"}, equity=equity, bars=bars)
    return regimes(ReportData(Origin("s", ""), Ranking("sharpe", "per_symbol", pd.DataFrame()), series))


def of(found: pd.DataFrame, by: str, column: str) -> dict[str, float]:
    rows = found[found["by"] == by]
    return dict(zip(rows["regime"], rows[column], strict=True))


def test_by_hand() -> None:
    """Twenty calm days up, then days that swing: a day is told by those before it."""
    calm = [100.0 * 1.001**k for k in range(25)]
    wild = [calm[-1] * (0.9 if k % 2 else 1.0) for k in range(1, 11)]
    found = told([*calm, *wild])
    # ten returns before and an earlier value of the same: from the thirteenth day on
    assert of(found, "volatility", "bars")[UNKNOWN] == 12
    # the first swing, on the 26th day, is known on the 27th
    assert of(found, "volatility", "bars")["high"] >= 9
    assert of(found, "trend", "bars")[UNKNOWN] == 20
    assert of(found, "trend", "bars")["up"] >= 6
    assert sum(of(found, "trend", "bars").values()) == 35
    assert of(found, "weekday", "bars")["1 Monday"] == 5
    assert set(of(found, "year", "bars")) == {"2023"}
    assert set(of(found, "hour", "bars")) == {"01"}


@pytest.mark.parametrize("by", ["volatility", "trend", "hour", "weekday", "year"])
def test_parts_compound_to_the_whole(by: str) -> None:
    close = list(100.0 * np.exp(np.cumsum(np.random.default_rng(1).normal(0, 0.01, 80))))
    found = told(close)
    whole = close[-1] / close[0]
    market = np.prod([1 + value / 100 for value in of(found, by, "market_pct").values()])
    own = np.prod([1 + value / 100 for value in of(found, by, "return_pct").values()])
    assert market == pytest.approx(whole)
    assert own == pytest.approx(whole**2)


def test_later_bars_change_no_regime_before_them() -> None:
    close = list(100.0 * np.exp(np.cumsum(np.random.default_rng(2).normal(0, 0.01, 80))))
    # whatever the last day does, how many days of each regime there are is told by the days before it
    one, other = told([*close, 1.0]), told([*close, 1e6])
    for by in ("volatility", "trend"):
        assert of(one, by, "bars") == of(other, by, "bars")


def test_trades_belong_to_the_bar_that_opened_them(make, tmp_path) -> None:
    report_data = make.study()
    found = regimes(report_data)
    symbol = report_data.series.chosen["symbol"]
    trades = report_data.series.trades
    trades = trades[trades["symbol"] == symbol]
    for window in ("validate", "test"):
        mine = trades[trades["window"] == window]
        for by in ("volatility", "hour", "year"):
            rows = found[(found["window"] == window) & (found["by"] == by)]
            assert rows["trades"].sum() == len(mine)
            assert rows["pnl_net"].sum() == pytest.approx(mine["pnl_net"].sum())
    hours = found[(found["window"] == "validate") & (found["by"] == "hour")]
    # sessions of 390 minutes
    assert hours["regime"].tolist() == ["01", "02", "03", "04", "05", "06", "07"]
    assert hours["bars"].iloc[6] * 2 == hours["bars"].iloc[0]
    assert 'id="regimes"' in render(report_data)
    assert len(pd.read_parquet(write_files(report_data, tmp_path)["regimes.parquet"])) == len(found)


def test_nothing_without_an_account() -> None:
    empty = ReportData(Origin("s", ""), Ranking("sharpe", "per_symbol", pd.DataFrame()))
    assert regimes(empty).empty
