"""`whatif.backtest`: frames in, frames out."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import backtrader as bt
import numpy as np
import pandas as pd
import pytest

import whatif
from whatif.domain import METRIC_KEYS
from whatif.domain.execution import Execution
from whatif.errors import CalendarError, EngineError, StrategyError, WhatIfError
from whatif.strategies import hold, strategy, target


def frame(
    n: int = 200, symbol: str = "X", start: str = "2024-01-02 14:30", freq: str = "min"
) -> pd.DataFrame:
    rng = np.random.default_rng(n)
    close = 50.0 + np.cumsum(rng.normal(0.0, 0.2, n))
    opened = np.append(50.0, close[:-1])
    prices = {
        "open": opened,
        "high": np.maximum(opened, close) + 0.1,
        "low": np.minimum(opened, close) - 0.1,
        "close": close,
    }
    ts = pd.date_range(start, periods=n, freq=freq, tz="UTC")
    return pd.DataFrame({"symbol": symbol, "ts": ts, **prices, "volume": 10.0})


def test_the_result_is_frames_by_the_promised_names() -> None:
    bars = frame()

    result = whatif.backtest(bars, "sma_crossover", {"fast": 3, "slow": 8, "size": 2}, {"commission": 0.001})

    assert list(result.fills) == ["ts", "symbol", "size", "price", "commission"]
    assert list(result.trades) == [
        "symbol", "opened_at", "closed_at", "size", "entry_price", "exit_price", "pnl", "pnl_net",
    ]  # fmt: skip
    assert list(result.metrics) == list(METRIC_KEYS)
    assert str(result.fills["ts"].dtype) == str(result.trades["opened_at"].dtype) == "datetime64[us, UTC]"
    assert isinstance(result.fills["symbol"].dtype, pd.StringDtype)
    assert result.equity.dtype == np.float64
    assert (result.equity.index == bars["ts"]).all()
    assert len(result.fills) > 5
    assert result.fills["ts"].is_monotonic_increasing
    # each fill is at the open of the bar that its ts names; each trade is dated by its fills
    opens = bars.set_index("ts")["open"]
    assert (opens[result.fills["ts"]].to_numpy() == result.fills["price"].to_numpy()).all()
    assert set(result.trades["opened_at"]) | set(result.trades["closed_at"]) <= set(result.fills["ts"])
    np.testing.assert_allclose(
        result.fills["commission"], 0.001 * result.fills["size"].abs() * result.fills["price"]
    )


def test_equity_is_cash_flow_and_marks() -> None:
    bars = frame()

    result = whatif.backtest(
        bars, "sma_crossover", {"fast": 3, "slow": 8, "size": 2}, Execution(commission=0.001)
    )

    flow = -(result.fills["size"] * result.fills["price"] + result.fills["commission"])
    cash = 10_000.0 + flow.groupby(result.fills["ts"]).sum().reindex(bars["ts"], fill_value=0.0).cumsum()
    held = result.fills.groupby("ts")["size"].sum().reindex(bars["ts"], fill_value=0.0).cumsum()
    np.testing.assert_allclose(result.equity, cash + held * bars["close"].to_numpy(), rtol=1e-12)


def test_vwap_is_estimated_and_columns_are_inputs() -> None:
    seen: dict[str, dict[int, float]] = {"mine": {}, "smooth": {}, "vwap": {}}

    @strategy(inputs={"mine": "mine", "smooth": "sma(mine, 2)"})
    def looking(i, x, p, s):
        seen["mine"][i], seen["smooth"][i], seen["vwap"][i] = x.mine[i], x.smooth[i], x.vwap[i]
        return hold()

    bars = frame(20).assign(mine=np.arange(20), note="text")
    whatif.backtest(bars, looking)
    # on the first row there is no average of two yet
    assert seen["mine"] == {k: float(k) for k in range(1, 20)}
    assert seen["smooth"][1] == 0.5
    middle = (bars["high"] + bars["low"] + bars["close"]) / 3.0
    np.testing.assert_allclose(list(seen["vwap"].values()), middle[1:])

    whatif.backtest(bars.assign(vwap=7.0), looking)
    assert set(seen["vwap"].values()) == {7.0}


def test_times_of_any_zone_come_out_in_utc() -> None:
    bars = frame(60)
    local = bars.assign(ts=bars["ts"].dt.tz_convert("America/New_York"))

    one, other = (whatif.backtest(b, "sma_crossover", {"fast": 2, "slow": 5}) for b in (bars, local))

    pd.testing.assert_series_equal(one.equity, other.equity)
    pd.testing.assert_frame_equal(one.fills, other.fills)


def test_symbols_share_one_account_however_their_rows_are_mixed() -> None:
    both = pd.concat([frame(80, "A"), frame(90, "B")])

    stacked, mixed = (
        whatif.backtest(bars, "sma_crossover", {"fast": 2, "slow": 5, "size": 3})
        for bars in (both, both.sort_values("ts", kind="stable"))
    )

    assert set(stacked.fills["symbol"]) == {"A", "B"}
    assert len(stacked.equity) == 90
    pd.testing.assert_frame_equal(stacked.fills, mixed.fills)


def test_a_window_begins_at_start() -> None:
    bars = frame(100)

    result = whatif.backtest(bars, "sma_crossover", {"fast": 2, "slow": 30}, start=bars["ts"][40])

    assert result.equity.index[0] == bars["ts"][40]
    assert len(result.equity) == 60


class Warm(bt.Strategy):
    warmup = 20

    def __init__(self):
        self.cross = bt.ind.CrossOver(bt.ind.SMA(period=4), bt.ind.SMA(period=19))

    def next(self):
        if self.cross[0]:
            self.order_target_size(target=5 * self.cross[0])


def test_a_class_is_fed_the_warmup_that_it_declares() -> None:
    bars = frame(300)
    # two bars before a fill, so that what is not warm misses the order
    crossed = whatif.backtest(bars, Warm).fills["ts"].iloc[3]
    window = {"start": crossed - pd.Timedelta("2min"), "execution": {"cash": 1e5}}

    declared = whatif.backtest(bars, Warm, **window)
    step = whatif.backtest(bars, "sma_crossover", {"fast": 4, "slow": 19, "size": 5}, **window)

    assert len(step.fills) > 5
    assert declared.equity.tolist() == step.equity.tolist()
    # what is given counts, also where it is nothing
    assert whatif.backtest(bars, Warm, **window, warmup=20).equity.tolist() == step.equity.tolist()
    assert whatif.backtest(bars, Warm, **window, warmup=0).equity.tolist() != step.equity.tolist()
    with pytest.raises(StrategyError, match=r"warmup = -1 must be a whole number"):
        whatif.backtest(bars, type("Bad", (Warm,), {"warmup": -1, "__module__": __name__}), **window)
    for wrong in (-1, True, 2.5):
        with pytest.raises(EngineError, match=f"warmup = {wrong} must be a whole number of bars"):
            whatif.backtest(bars, Warm, **window, warmup=wrong)


def test_an_ordinary_strategy_and_a_file() -> None:
    class Buyer(bt.Strategy):
        params = (("units", 1),)

        def next(self):
            if len(self) == 5:
                self.buy(size=self.p.units)

    example = Path(__file__).resolve().parents[2] / "conf" / "strategies" / "example.py"

    assert whatif.backtest(frame(), Buyer, {"units": 3}).fills["size"].tolist() == [3.0]
    assert len(whatif.backtest(frame(), example, {"size": 1}).fills) > 2


@pytest.mark.parametrize(
    ("freq", "n", "kind", "per_year"),
    [("min", 400, "bar", 252 * 400), ("15min", 4 * 24 * 8, "hour", 365 * 24), ("D", 200, "session", 365)],
)
def test_periods_are_the_longest_that_leave_160(monkeypatch, freq, n, kind, per_year) -> None:
    from whatif.engines import api

    seen = []
    measure = api.compute_metrics
    monkeypatch.setattr(api, "compute_metrics", lambda *args: seen.append(args[2]) or measure(*args))

    whatif.backtest(frame(n, start="2024-01-02", freq=freq), "sma_crossover", {"fast": 2, "slow": 5})

    # an hour grid of eight days, two of them at a weekend; a single day of minutes; 200 days
    assert seen[0].kind == kind
    assert seen[0].per_year == pytest.approx(per_year)


def test_a_calendar_says_how_many_periods_a_year_has(monkeypatch) -> None:
    from whatif.engines import api

    seen = []
    measure = api.compute_metrics
    monkeypatch.setattr(api, "compute_metrics", lambda *args: seen.append(args[2]) or measure(*args))
    sessions = pd.bdate_range("2024-01-02", "2024-01-12")
    bars = pd.concat([frame(390, start=f"{day.date()} 14:30") for day in sessions])

    result = whatif.backtest(bars, "sma_crossover", {"fast": 2, "slow": 5}, calendar="XNYS")

    # 9 sessions and 63 hours are too few; 2024 has 252 sessions, three of them half days of 210 minutes
    assert seen[0].kind == "bar"
    assert seen[0].per_year == 249 * 390 + 3 * 210
    assert len(seen[0]) == len(result.equity) == 9 * 390


def test_the_step_sees_the_exchanges_session() -> None:
    seen = {}

    @strategy(lookback=0)
    def looking(i, x, p, s):
        seen[i] = (s.minute, s.minutes_to_close)
        return hold()

    whatif.backtest(frame(420, start="2024-01-02 14:20"), looking, calendar="XNYS")

    # New York opens at 14:30 UTC in January; the bar of 20:59 is its last regular one
    assert (seen[0], seen[10], seen[399], seen[400]) == ((-10, 400), (0, 390), (389, 1), (390, 0))


@pytest.mark.parametrize("missing", ["symbol", "ts", "open", "high", "low", "close", "volume"])
def test_a_missing_column_is_named(missing: str) -> None:
    with pytest.raises(EngineError, match=f"column '{missing}' is missing"):
        whatif.backtest(frame().drop(columns=missing), "sma_crossover")


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (lambda bars: bars.assign(ts=bars["ts"].dt.tz_localize(None)), "tz_localize"),
        (lambda bars: bars.assign(ts=bars["ts"].astype(str)), "timestamps with a time zone"),
        (lambda bars: bars.iloc[::-1], "is before the one above it"),
        (lambda bars: pd.concat([bars[:5], bars[4:]]), "comes twice"),
        (lambda bars: bars.assign(close=bars["close"].where(bars.index != 7)), "close of bar 7 at .* is nan"),
        (lambda bars: bars.assign(low=0.0), "low of bar 0 at .* is 0.0"),
        (
            lambda bars: bars.assign(close=bars["close"].astype(str)),
            "column 'close' is .*; it must be numeric",
        ),
        (lambda bars: bars.assign(ts=bars["ts"].where(bars.index != 3)), "a row has no ts or no symbol"),
        (lambda bars: bars.assign(symbol=bars["symbol"].where(bars.index != 0)), "no ts or no symbol"),
        (lambda bars: bars.assign(symbol=bars["symbol"].where(bars.index != 3)), "no ts or no symbol"),
        (lambda bars: bars.assign(symbol=bars["symbol"].where(bars.index < 0)), "no ts or no symbol"),
        (
            lambda bars: bars.assign(open=bars["open"].where(bars.index != 5, np.inf)),
            "open of bar 5 at .* is inf",
        ),
        (lambda bars: bars.iloc[:0], "the frame is empty"),
        (lambda bars: bars.to_dict(), "give a pandas DataFrame"),
    ],
)
def test_bad_bars_are_refused_with_a_remedy(spoil, said: str) -> None:
    with pytest.raises(EngineError, match=said):
        whatif.backtest(spoil(frame(20)), "sma_crossover")


def test_other_bad_input() -> None:
    bars = frame(20)
    with pytest.raises(CalendarError, match="XNYS"):
        whatif.backtest(bars, "sma_crossover", calendar="XNYZ")
    with pytest.raises(CalendarError, match="has no session on 2024-01-06"):
        whatif.backtest(frame(20, start="2024-01-06 15:00"), "sma_crossover", calendar="XNYS")
    with pytest.raises(EngineError, match="has no time zone"):
        whatif.backtest(bars, "sma_crossover", start=pd.Timestamp("2024-01-02 14:40"))
    with pytest.raises(StrategyError, match="did you mean 'fast'"):
        whatif.backtest(bars, "sma_crossover", {"fsat": 3})
    with pytest.raises(EngineError, match="did you mean 'cash'"):
        whatif.backtest(bars, "sma_crossover", execution={"csah": 3})
    ordinary = type("Ordinary", (bt.Strategy,), {"__module__": __name__})
    with pytest.raises(EngineError, match=r"does not cover.*ordinary.*use engine auto or backtrader"):
        whatif.backtest(bars, ordinary, engine="compiled")


def test_a_session_column_bounds_the_sessions() -> None:
    seen = {}

    @strategy(lookback=0)
    def looking(i, x, p, s):
        seen[i] = (s.minute, s.minutes_to_close)
        return target(1.0)

    bars = frame(10)
    dates = [pd.Timestamp("2024-01-02")] * 4 + [pd.Timestamp("2024-01-03")] * 6

    whatif.backtest(bars.assign(session=dates), looking)

    assert [seen[i] for i in (0, 3, 4, 9)] == [(0, 4), (3, 1), (0, 6), (5, 1)]


@pytest.mark.slow
def test_no_spark_and_no_mlflow_is_imported() -> None:
    script = (
        "import sys, whatif, pandas as pd; "
        "ts = pd.date_range('2024-01-02', periods=9, freq='min', tz='UTC'); "
        "b = pd.DataFrame({'symbol': 'X', 'ts': ts, "
        "**dict.fromkeys(['open', 'high', 'low', 'close', 'volume'], 1.0)}); "
        "whatif.backtest(b, 'sma_crossover', {'fast': 1, 'slow': 2}); "
        "assert not {'pyspark', 'mlflow'} & set(sys.modules)"
    )

    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)

    assert done.returncode == 0, done.stderr


@strategy(inputs={"far": "SPY.close", "slow": "sma(SPY.close, 5)"})
def follows(i, x, p, s):
    if x.far[i] > x.slow[i]:
        return target(3.0)
    return target(0.0)


@pytest.mark.parametrize("engine", ["compiled", "backtrader"])
def test_another_symbol_is_read_and_not_traded(engine: str) -> None:
    """By hand: a column of the other's closes, joined by pandas, is the same strategy."""
    near, far = frame(200, "IBM"), frame(230, "SPY").iloc[30:].reset_index(drop=True)
    far["ts"] = near["ts"]
    far = far[far.index % 7 != 3]
    far["slow"] = far["close"].rolling(5).mean()
    joined = pd.merge_asof(near, far[["ts", "close", "slow"]], on="ts", suffixes=("", "_far"))
    joined = joined.rename(columns={"close_far": "there", "slow": "there_slow"})

    @strategy(inputs={"far": "there", "slow": "there_slow"})
    def columns(i, x, p, s):
        if x.far[i] > x.slow[i]:
            return target(3.0)
        return target(0.0)

    both = pd.concat([near, far.drop(columns="slow")])
    found = whatif.backtest(both, follows, engine=engine, symbols=["IBM"])
    expected = whatif.backtest(joined, columns, engine="backtrader")
    assert len(expected.fills) > 10
    pd.testing.assert_frame_equal(found.fills, expected.fills, check_exact=True)
    assert found.metrics == expected.metrics
    assert set(whatif.backtest(both, follows, engine="backtrader").fills["symbol"]) == {"IBM", "SPY"}


def test_a_symbol_that_is_not_in_the_frame() -> None:
    with pytest.raises(EngineError, match=r"names SPY, of which the frame has no bar: did you mean 'SPX'\?"):
        whatif.backtest(frame(symbol="SPX"), follows)
    with pytest.raises(EngineError, match=r"symbols: the frame has no bar of 'SPZ': did you mean 'SPY'\?"):
        whatif.backtest(frame(symbol="SPY"), follows, symbols=["SPZ"])
    with pytest.raises(EngineError, match="give the bars of at least one symbol"):
        whatif.backtest(frame(symbol="SPY"), follows, symbols=[])


@strategy(inputs={"minute": "minute_of_session", "left": "minutes_to_close"}, scratch=1)
def clock(i, x, p, s):
    if x.minute[i] != s.minute or x.left[i] != s.minutes_to_close:
        s.scratch[0] = 1.0
    return target(s.scratch[0])


@pytest.mark.parametrize("engine", ["compiled", "backtrader"])
def test_minutes_are_those_that_a_step_sees(engine: str) -> None:
    assert not len(whatif.backtest(frame(390), clock, engine=engine, calendar="XNYS").fills)
    # outside of regular hours an input has none, and a step's are negative
    early = frame(60, start="2024-01-02 13:00")
    assert len(whatif.backtest(early, clock, engine=engine, calendar="XNYS").fills)


def test_a_universe_says_when_a_symbol_may_be_traded() -> None:
    """Asked on the second of five days, of which it is a member on two; left at the open of the fourth."""

    @strategy(lookback=0)
    def holding(i, x, p, s):
        return target(1.0)

    days = pd.date_range("2024-01-02", periods=5, tz="UTC")
    prices = dict.fromkeys(("open", "high", "low", "close"), 100.0)
    bars = pd.DataFrame({"symbol": "A", "ts": days, **prices, "volume": 1.0})
    other = {"symbol": "B", "from": "2024-01-02", "to": None}
    for begin, end in (
        ("2024-01-03", "2024-01-05"),
        (pd.Timestamp("2024-01-03"), pd.Timestamp("2024-01-05")),
        (pd.Timestamp("2024-01-03", tz="UTC"), pd.Timestamp("2024-01-05", tz="UTC")),
    ):
        universe = pd.DataFrame([{"symbol": "A", "from": begin, "to": end}, other])
        found = whatif.backtest(bars, holding, universe=universe)
        assert found.fills["ts"].tolist() == [days[2], days[3]]
        assert found.fills["size"].tolist() == [1.0, -1.0]

    for rows, said in (
        ([other], "universe has no row of 'A', which is traded"),
        ([{"symbol": "A", "from": "soon", "to": None}], "universe, row 1: from = 'soon' is neither a date"),
        ([{"symbol": "A", "to": None}], "universe has no column from: give a DataFrame"),
        ([{"symbol": "A", "from": pd.Timestamp("2024-01-02 10:00"), "to": None}], "has no time zone"),
    ):
        with pytest.raises(WhatIfError, match=said):
            whatif.backtest(bars, holding, universe=pd.DataFrame(rows))
