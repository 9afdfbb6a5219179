"""Returns as others write them: their documented layouts by hand, one backtest a file, and an experiment."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import whatif
from whatif.appraisal import Given, appraise
from whatif.appraisal.files import read_returns
from whatif.errors import StatisticsError
from whatif.tracking.run import client_of

DAYS = pd.date_range("2023-01-02", periods=60, freq="D", tz="UTC")
RNG = np.random.default_rng(4)
RETURNS = RNG.normal(0.001, 0.01, (60, 3))
EQUITY = 10_000.0 * np.cumprod(1.0 + RETURNS, axis=0)


def test_vectorbt_writes_a_line_for_each_parameter(tmp_path: Path) -> None:
    # pf.returns().to_csv(): levels of the columns, the name of the index, rows
    lines = ["fast_window,5,5,10", "slow_window,10,20,20", "Date,,,"]
    lines += [
        f"{day:%Y-%m-%d},{a!r},{b!r},{c!r}" for day, (a, b, c) in zip(DAYS, RETURNS.tolist(), strict=True)
    ]
    path = tmp_path / "returns.csv"
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    found = read_returns(path)
    assert list(found.frame.columns) == [
        "fast_window=5 slow_window=10",
        "fast_window=5 slow_window=20",
        "fast_window=10 slow_window=20",
    ]
    assert found.times is not None
    assert found.times.equals(pd.DatetimeIndex(DAYS))
    np.testing.assert_array_equal(found.frame.to_numpy(), RETURNS)
    # without a name of the index there is no line of it
    path.write_text("\n".join([*lines[:2], *lines[3:]]) + "\n", encoding="utf-8")
    np.testing.assert_array_equal(read_returns(path).frame.to_numpy(), RETURNS)


def test_a_portfolio_and_a_result_are_asked_for_what_they_hold() -> None:
    columns = pd.MultiIndex.from_tuples([(5, 10), (5, 20), (10, 20)], names=["fast", "slow"])

    class Portfolio:
        """What of vectorbt's is used."""

        def returns(self) -> pd.DataFrame:
            """Return returns."""
            return pd.DataFrame(RETURNS, DAYS, columns)

    assert list(read_returns(Portfolio()).frame.columns) == [
        "fast=5 slow=10",
        "fast=5 slow=20",
        "fast=10 slow=20",
    ]
    result = pd.Series({"Return [%]": 3.0, "_equity_curve": _curve(0), "_trades": pd.DataFrame()})
    found = read_returns(result)
    assert found.equity
    assert list(found.frame.columns) == ["Equity"]


def _curve(k: int) -> pd.DataFrame:
    """Return backtesting.py's `stats._equity_curve`."""
    top = np.maximum.accumulate(EQUITY[:, k])
    lasted = pd.Series(pd.NaT, DAYS, dtype="timedelta64[ns]")
    lasted.iloc[-1] = pd.Timedelta(days=3)
    frame = pd.DataFrame(
        {"Equity": EQUITY[:, k], "DrawdownPct": 1.0 - EQUITY[:, k] / top}, DAYS.tz_localize(None)
    )
    return frame.assign(DrawdownDuration=lasted.to_numpy())


def test_equity_curves_of_backtesting_py_are_one_configuration_each(tmp_path: Path) -> None:
    for k in range(3):
        _curve(k).to_csv(tmp_path / f"run{k}.csv", index_label="Date" if k else None)
    name, judged = appraise(tmp_path, Given(trials=10))
    side = judged.verdict.figures.validate  # type: ignore[union-attr]
    assert side.periods == 59
    assert judged.verdict.figures.trials == 10  # type: ignore[union-attr]
    means = RETURNS[1:].mean(axis=0) / RETURNS[1:].std(axis=0, ddof=1)
    assert name == f"run{int(means.argmax())}"
    listed = [str(tmp_path / f"run{k}.csv") for k in range(3)]
    assert appraise(listed, Given(trials=10))[1].verdict.reasons == judged.verdict.reasons


def _lean(k: int, old: bool = False) -> dict[str, Any]:
    """Return a backtest's result: equity twice a day, the second at the close, and a benchmark a day."""
    seconds = [int(day.timestamp()) for day in DAYS]
    if old:
        equity: list[Any] = [{"x": at, "y": value} for at, value in zip(seconds, EQUITY[:, k], strict=True)]
        held: list[Any] = [{"x": at, "y": 100.0 + j} for j, at in enumerate(seconds)]
        return {
            "Charts": {
                "Strategy Equity": {
                    "Name": "Strategy Equity",
                    "Series": {"Equity": {"Unit": "$", "Values": equity}},
                },
                "Benchmark": {"Series": {"Benchmark": {"Values": held}}},
            },
            "Statistics": {},
        }
    equity = []
    for at, close in zip(seconds, EQUITY[:, k].tolist(), strict=True):
        equity.append([at + 3_600, 1.0, 2.0, 0.5, 1.5])
        equity.append([at + 72_000, close + 5.0, close + 9.0, close - 9.0, close])
    held = [[at, 100.0 + j] for j, at in enumerate(seconds)]
    return {
        "charts": {
            "Strategy Equity": {
                "name": "Strategy Equity",
                "chartType": 0,
                "series": {"Equity": {"unit": "$", "values": equity}, "Return": {"unit": "%", "values": []}},
            },
            "Benchmark": {"series": {"Benchmark": {"values": held}}},
        },
        "statistics": {},
    }


@pytest.mark.parametrize("old", [False, True])
def test_results_of_lean_are_levels_by_day_beside_their_benchmark(tmp_path: Path, old: bool) -> None:
    for k in range(2):
        (tmp_path / f"r{k}.json").write_text(json.dumps(_lean(k, old)), encoding="utf-8")
    (tmp_path / "r0-order-events.json").write_text("[]", encoding="utf-8")
    found = read_returns(tmp_path)
    assert list(found.frame.columns) == ["r0", "r1", "Benchmark"]
    assert (found.equity, found.market) == (True, "Benchmark")
    np.testing.assert_array_equal(found.frame[["r0", "r1"]].to_numpy(), EQUITY[:, :2])
    np.testing.assert_array_equal(found.frame["Benchmark"], 100.0 + np.arange(60))
    _, judged = appraise(tmp_path, Given(test="0.3"))
    figures = judged.verdict.figures
    assert figures is not None
    assert figures.compared == 2
    assert np.isfinite(figures.validate.market)


def test_runs_of_an_experiment_are_trials(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    uri = f"sqlite:///{tmp_path / 'mlflow.db'}"
    monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)
    client = client_of(uri)
    experiment = client.create_experiment("mine", artifact_location=str(tmp_path))
    for k, status in enumerate(["FINISHED", "FINISHED", "FAILED", "FINISHED"]):
        run = client.create_run(experiment, run_name="twice" if k < 2 else f"run {k}")
        for step, value in enumerate(RETURNS[:, min(k, 2)].tolist()):
            if k < 3:
                client.log_metric(run.info.run_id, "daily", value, step=59 - step)
        client.set_terminated(run.info.run_id, status)
    found = read_returns("mlflow:mine", "daily")
    assert found.trials == 3  # of which one tells no returns, beside one that failed
    assert [name[:6] for name in found.frame.columns] == ["twice "] * 2
    held = {tuple(found.frame[name]) for name in found.frame.columns}
    assert held == {tuple(RETURNS[::-1, k].tolist()) for k in range(2)}
    judged = whatif.judge("mlflow:mine", metric="daily")
    assert judged.figures is not None
    assert judged.figures.unseen == 1
    with pytest.raises(
        StatisticsError, match=r"none of 3 runs of 'mine' has a metric 'dayly'.*did you mean 'daily'"
    ):
        whatif.judge("mlflow:mine", metric="dayly")
    with pytest.raises(StatisticsError, match=r"no experiment 'nine': did you mean 'mine'"):
        whatif.judge("mlflow:nine")


def test_what_does_not_belong_together_is_refused(tmp_path: Path) -> None:
    for k in range(2):
        _curve(k).iloc[k:].to_csv(tmp_path / f"run{k}.csv")
    with pytest.raises(
        StatisticsError, match=r"run0.csv and .*run1.csv are not of the same periods \(60 rows from"
    ):
        whatif.judge(tmp_path)
    wrong = tmp_path / "wrong.json"
    wrong.write_text('{"charts": {}}', encoding="utf-8")
    with pytest.raises(StatisticsError, match=r"no series Equity in a chart Strategy Equity"):
        whatif.judge(wrong)
    wrong.write_text("{", encoding="utf-8")
    with pytest.raises(StatisticsError, match=r"wrong.json could not be read as json"):
        whatif.judge(wrong)
    empty = tmp_path / "empty"
    empty.mkdir()
    with pytest.raises(StatisticsError, match=r"holds no file of returns"):
        whatif.judge(empty)
