"""What a worker makes of its work items, on a lake that PyIceberg alone has made."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import asdict, replace
from pathlib import Path

import backtrader as bt
import numpy as np
import pandas as pd
import pytest

from whatif.axes import read_axes
from whatif.domain import METRIC_KEYS
from whatif.domain.bars import PRICE_FIELDS
from whatif.domain.execution import LATER_SETTINGS
from whatif.domain.overlays import Overlays
from whatif.domain.resampling import resample
from whatif.domain.rows import EQUITY_ARRAYS, KEY, PLAN_COLUMNS, SWEPT_COLUMNS, TRADE_ARRAYS
from whatif.domain.timeframe import MINUTE_US
from whatif.engines import BacktestTask, run_engine
from whatif.errors import EngineError, MachineError, RunError
from whatif.runner import batches, load, worker
from whatif.runner.plan import ModelPin, WindowPlan, WorkItem
from whatif.runner.sweep import Sweep
from whatif.runner.worker import describe
from whatif.search import change_of
from whatif.splits.fold import Window
from whatif.strategies import resolve

from ..markets import changed_after, us, walk
from .conftest import VALIDATE, configuration, evaluate

BROKEN = """
from whatif.strategies import Param, hold, strategy, target

@strategy(params={"mode": Param(0)})
def broken(i, x, p, s):
    if p.mode == 1 and s.size == 0 and x.close[i] > 0:
        raise ZeroDivisionError("on purpose")
    if p.mode == 2:
        raise SystemExit(3)
    return target(10.0)
"""


@pytest.fixture
def broken(tmp_path: Path) -> str:
    (tmp_path / "broken.py").write_text(BROKEN)
    return str(tmp_path / "broken.py")


def crossovers(*pairs: tuple[int, int]) -> tuple:
    return tuple(configuration(f"c{f}-{s}", fast=f, slow=s, size=50.0, enter_at_once=False) for f, s in pairs)


def test_each_backtest_gives_one_row_with_every_column(lake, make_plan) -> None:
    plan = make_plan(lake.put_bars([walk("A", 1), walk("B", 2)]), ["A", "B"])
    many = crossovers((3, 9), (4, 12), (5, 15))
    rows = evaluate(plan, WorkItem(("A",), "validate", many), WorkItem(("B",), "validate", many))
    assert list(rows.columns) == [name for name in SWEPT_COLUMNS if name not in PLAN_COLUMNS]
    assert not rows.duplicated([name for name in KEY if name not in PLAN_COLUMNS]).any()
    assert sorted(zip(rows["config_id"], rows["symbol"], strict=True)) == sorted(
        (c.config_id, s) for c in many for s in "AB"
    )
    assert set(rows["status"]) == {"ok"}
    assert rows["error"].isna().all()
    first = rows.iloc[0]
    assert (first["window"], first["period"], first["engine"]) == ("validate", "hour", "backtrader")
    assert set(rows["semantics"]) == {f"backtrader-{bt.__version__}"}
    assert (first["window_start"], first["window_end"]) == (
        pd.Timestamp("2013-10-08 13:30", tz="UTC"),
        pd.Timestamp("2013-10-09 20:00", tz="UTC"),
    )
    assert json.loads(first["parameters"]) == {"fast": 3, "slow": 9, "size": 50.0, "enter_at_once": False}
    settings = asdict(many[0].execution)
    own = [name for name in settings if name not in ("costs", *LATER_SETTINGS)]
    assert json.loads(first["execution"]) == {name: settings[name] for name in own}
    assert json.loads(first["pins"]) == [
        {
            "metadata_location": plan.bars.metadata_location,
            "snapshot_id": plan.bars.snapshot_id,
            "table": "bars",
        }
    ]
    assert len(first["returns"]) == len(plan.windows["validate"].periods) == 14


@pytest.mark.parametrize("engine", ["backtrader", "compiled"])
def test_a_row_says_whose_fills_it_has(lake, make_plan, engine) -> None:
    plan = replace(make_plan(lake.put_bars([walk("A", 1)]), ["A"]), engine=engine)
    (plain,) = crossovers((3, 9))
    execution = replace(plain.execution, semantics="corrected")
    many = (plain, replace(plain, config_id="corrected", execution=execution))
    rows = evaluate(plan, WorkItem(("A",), "validate", many)).set_index("config_id")
    assert rows.loc[plain.config_id, "semantics"] == f"backtrader-{bt.__version__}"
    assert rows.loc["corrected", "semantics"] == "corrected"
    assert json.loads(rows.loc["corrected", "execution"])["semantics"] == "corrected"


def test_overlays_reach_the_engine_and_stand_beside_the_costs(lake, make_plan) -> None:
    plan = make_plan(lake.put_bars([walk("A", 1)]), ["A"])
    (plain,) = crossovers((3, 9))
    stopped = replace(plain, config_id="stopped", overlays=Overlays(stop_loss=0.001, latency=1))

    rows = evaluate(plan, WorkItem(("A",), "validate", (plain, stopped)))

    assert set(rows["status"]) == {"ok"}
    assert "overlays" not in json.loads(rows["execution"][0])
    assert json.loads(rows["execution"][1])["overlays"] == {"stop_loss": 0.001, "latency": 1}
    assert rows["trades"][0] != rows["trades"][1]


def test_figures_are_those_of_the_engine_on_the_markets_own_bars(lake, make_plan) -> None:
    market = walk("A", 1)
    plan = make_plan(lake.put_bars([market]), ["A"])
    (one,) = crossovers((3, 9))
    row = evaluate(plan, WorkItem(("A",), "validate", (one,), keep=True)).iloc[0]
    history = market.slice(0, int(np.searchsorted(market.ts, VALIDATE.end_us)))
    task = BacktestTask(
        [history], resolve("sma_crossover"), one.params, one.execution, start=VALIDATE.start_us
    )
    run = run_engine(task, "backtrader")
    assert row["pnl_net"] == run.equity[-1] - 100_000.0
    assert np.asarray(row["equity_equity"]).tobytes() == run.equity.tobytes()
    assert row["bars"] == len(run.ts) == len(row["equity_ts"])
    # the periods' returns make up the whole
    assert 100 * (np.prod(1 + np.asarray(row["returns"])) - 1) == pytest.approx(row["return_pct"], rel=1e-9)


def test_a_failed_backtest_is_a_row_and_the_others_go_on(lake, make_plan, broken) -> None:
    plan = make_plan(lake.put_bars([walk("A", 1)]), ["A"], broken)
    modes = tuple(configuration(f"m{mode}", mode=mode) for mode in (0, 1, 2, 0))
    modes = (*modes[:3], replace(modes[3], config_id="again"))
    rows = evaluate(plan, WorkItem(("A",), "validate", modes, keep=True)).set_index("config_id")
    assert rows["status"].to_dict() == {"m0": "ok", "m1": "error", "m2": "error", "again": "ok"}
    assert "ZeroDivisionError: on purpose" in rows.loc["m1", "error"]
    assert "SystemExit" in rows.loc["m2", "error"]
    assert rows.loc["m1", [*METRIC_KEYS, "returns", "equity_equity", "bars"]].isna().all()
    assert rows.loc["m1", "window_start"] == rows.loc["m0", "window_start"]


def test_a_strategy_that_does_not_load_here_fails_every_row(lake, make_plan) -> None:
    plan = make_plan(lake.put_bars([walk("A", 1)]), ["A"])
    plan = replace(plan, strategy=replace(plan.strategy, module="nowhere.at_all"))
    rows = evaluate(plan, WorkItem(("A",), "validate", crossovers((3, 9), (4, 12))))
    assert list(rows["status"]) == ["error", "error"]
    assert rows["error"].str.contains("nowhere").all()


def test_a_window_without_bars_fails_with_what_to_do(lake, make_plan) -> None:
    plan = make_plan(lake.put_bars([walk("A", 1)]), ["A"])
    rows = evaluate(plan, WorkItem(("A",), "empty", crossovers((3, 9))))
    assert list(rows["status"]) == ["error"]
    assert "A has no 1min bar in empty [2013-10-09T23:00Z, 2013-10-10T01:00Z)" in rows["error"][0]


def test_series_are_those_of_the_window(lake, make_plan) -> None:
    market = walk("A", 1)
    plan = make_plan(lake.put_bars([market]), ["A"])
    row = evaluate(plan, WorkItem(("A",), "validate", crossovers((3, 9)), keep=True)).iloc[0]
    inside = market.ts[(market.ts >= VALIDATE.start_us) & (market.ts < VALIDATE.end_us)]
    assert pd.DatetimeIndex(row["equity_ts"]).as_unit("us").asi8.tolist() == inside.tolist()
    assert {len(row[f"equity_{name}"]) for name in EQUITY_ARRAYS} == {len(inside)}
    assert {len(row[f"trades_{name}"]) for name in TRADE_ARRAYS} == {row["trades"]}
    assert row["trades"] > 3
    assert set(np.unique(row["equity_position"])) == {-50.0, 0.0, 50.0}
    assert np.sum(row["trades_pnl_net"]) == pytest.approx(row["pnl_net"], abs=300.0)
    assert set(row["trades_trade_symbol"]) == {"A"}


def test_a_shared_account_is_one_row_of_all_symbols(lake, make_plan) -> None:
    plan = make_plan(lake.put_bars([walk("A", 1), walk("B", 2)]), ["A", "B"])
    row = evaluate(plan, WorkItem(("B", "A"), "validate", crossovers((3, 9)), keep=True)).iloc[0]
    assert (row["symbol"], row["status"]) == ("B+A", "ok")
    assert set(row["trades_trade_symbol"]) == {"A", "B"}


def test_bars_after_the_window_change_nothing(lake, make_plan) -> None:
    market = walk("A", 1)
    last = int(np.searchsorted(market.ts, VALIDATE.end_us)) - 1
    other = replace(changed_after(market, last), symbol="B")
    plan = make_plan(lake.put_bars([market, other]), ["A", "B"])
    items = [WorkItem((s,), "validate", crossovers((3, 9)), keep=True) for s in ("A", "B")]
    a, b = (
        row.drop(["symbol", "worker", "wall_seconds", "finished_at"])
        for _, row in evaluate(plan, *items).iterrows()
    )
    a, b = (row.drop("trades_trade_symbol") for row in (a, b))
    for name in a.index:
        np.testing.assert_array_equal(a[name], b[name], err_msg=name)


class TestForecast:
    """Predictions are joined to bars on time, never on row number."""

    def bars_of(self, lake, make_plan, ts, values, target: str):
        market = walk("A", 1)
        pins = lake.put_bars([market]), lake.put_predictions("A", ts, values)
        lake.put_predictions("B", market.ts, np.full(len(market), 9.0))
        model = ModelPin(pins[1], "forest", target)
        plan = make_plan(pins[0], ["A"], "forecast_threshold", models={("rf", "1min", 1): model})
        return market, plan, load.load_bars(plan, "A", "validate", configuration("c", model="rf"))

    def test_a_bar_without_a_prediction_has_nan(self, lake, make_plan) -> None:
        market = walk("A", 1)
        rows = np.array([900, 905, 1_000])
        stamps = np.r_[market.ts[rows], market.ts[950] + MINUTE_US // 2, market.ts[0] - MINUTE_US]
        _, _, bars = self.bars_of(lake, make_plan, stamps, [0.1, 0.2, 0.3, 7.0, 8.0], "return")
        forecast = bars.inputs["forecast"]
        assert forecast[rows].tolist() == [0.1, 0.2, 0.3]
        assert np.isnan(np.delete(forecast, rows)).all()

    def test_a_predicted_price_becomes_a_return(self, lake, make_plan) -> None:
        market = walk("A", 1)
        level = market.close * 1.01
        _, _, bars = self.bars_of(lake, make_plan, market.ts, level, "level")
        assert bars.inputs["forecast"] == pytest.approx(np.full(len(bars), 0.01), abs=1e-12)

    def test_it_trades_them_and_says_from_which_snapshot(self, lake, make_plan) -> None:
        market = walk("A", 1)
        sign = np.where(np.arange(len(market)) // 100 % 2, 1.0, -1.0) * 0.01
        _, plan, _ = self.bars_of(lake, make_plan, market.ts, sign, "return")
        one = configuration("c", model="rf", threshold=0.001, exit_on_neutral=False, size=10.0)
        row = evaluate(plan, WorkItem(("A",), "validate", (one,), keep=True)).iloc[0]
        assert row["status"] == "ok", row["error"]
        first = int(np.searchsorted(market.ts, VALIDATE.start_us))
        wanted = 10.0 * np.sign(sign[first : first + row["bars"]])
        assert np.asarray(row["equity_position"])[1:].tolist() == wanted[:-1].tolist()
        assert [pin["table"] for pin in json.loads(row["pins"])] == ["bars", "predictions"]
        assert json.loads(row["pins"])[1]["model_digest"] == "forest"


def test_longer_bars_are_joined_inside_sessions(lake, make_plan) -> None:
    market = walk("A", 1)
    plan = make_plan(lake.put_bars([market]), ["A"], timeframes=["1min", "30min"])
    bars = load.load_bars(plan, "A", "validate", configuration("c", timeframe="30min"))
    joined = resample(market, 30 * MINUTE_US, MINUTE_US)
    assert bars.ts.tolist() == joined.ts[: len(bars)].tolist()
    # four sessions of 13 half hours
    assert (len(bars), bars.ts[-1]) == (52, us("2013-10-09T19:30"))
    one = configuration("c", timeframe="30min", fast=2, slow=4, size=1.0, enter_at_once=False)
    row = evaluate(plan, WorkItem(("A",), "validate", (one,))).iloc[0]
    assert (row["bars"], row["timeframe"]) == (26, "30min")


def test_rows_are_sent_before_they_grow_too_many(lake, make_plan, monkeypatch) -> None:
    plan = make_plan(lake.put_bars([walk("A", 1)]), ["A"])
    item = WorkItem(("A",), "validate", crossovers(*((3, s) for s in range(4, 11))), keep=True)

    def frames() -> list[int]:
        return [batch.num_rows for batch in worker.evaluate(plan, [item.to_json()])]

    monkeypatch.setattr(batches, "BATCH_ROWS", 3)
    assert frames() == [3, 3, 1]
    # two sessions of 367 bars, four series each, and as many trades as there are
    monkeypatch.setattr(batches, "BATCH_NUMBERS", 2 * 4 * 734)
    assert max(frames()) <= 2
    assert sum(frames()) == 7


def test_arrays_and_rows_in_memory_are_bounded(lake, make_plan) -> None:
    market = walk("A", 1)
    pin = lake.put_bars([market, walk("B", 2)])
    plan = make_plan(pin, ["A", "B"], array_bytes=300_000, cache_bytes=200_000)
    many = crossovers(*((f, s) for f in range(2, 8) for s in range(10, 20)))
    evaluate(plan, *(WorkItem((s,), "validate", many) for s in "AB"))
    assert load._arrays is not None
    assert 0 < load._arrays.nbytes <= 300_000
    assert load._rows is not None
    assert 0 < load._rows.nbytes <= 200_000


def test_configurations_share_arrays_and_bars(lake, make_plan, monkeypatch) -> None:
    reads = []
    real = load.read_bars
    monkeypatch.setattr(load, "read_bars", lambda *a: reads.append(a[1]) or real(*a))
    plan = make_plan(lake.put_bars([walk("A", 1)]), ["A"])
    evaluate(plan, WorkItem(("A",), "validate", crossovers((3, 9), (3, 12), (3, 15))))
    assert reads == ["A"]
    assert load._arrays is not None
    names = [key[1] for key in load._arrays]
    # four averages and three crossovers of them, each once
    assert (len(names), len(set(names))) == (7, 7)


def test_symbols_that_are_asked_for_in_turn_are_read_together(lake, make_plan, monkeypatch) -> None:
    reads: list[object] = []
    one, several = load.read_bars, load.read_bars_of
    monkeypatch.setattr(load, "read_bars", lambda *a: reads.append(a[1]) or one(*a))
    monkeypatch.setattr(load, "read_bars_of", lambda *a: reads.append(list(a[1])) or several(*a))
    names = ["A", "B", "C", "D", "E"]
    lake.put_bars([walk(name, k) for k, name in enumerate(names)])
    # each bar of C came twice
    plan = make_plan(lake.put_bars([walk("C", 2)]), names)
    plan = replace(plan, cache_bytes=4 * load.load_bars(plan, "A", "validate", configuration("c")).nbytes * 3)
    reads.clear()
    load.forget()
    with load.expecting(names):
        found = {name: load.load_bars(plan, name, "validate", configuration("c")) for name in names}
    # how large they are is known of the first; a quarter of the cache has room for three
    assert reads == ["A", ["B", "C", "D"], "E"]
    load.forget()
    for name in names:
        alone = load.load_bars(plan, name, "validate", configuration("c"))
        for field in ("ts", *PRICE_FIELDS, "vwap", "session", "session_open", "session_close"):
            assert getattr(found[name], field).tobytes() == getattr(alone, field).tobytes(), (name, field)
    assert reads[3:] == names


def test_symbols_that_trade_together_have_one_clock_in_memory(lake, make_plan) -> None:
    late = walk("C", 3)
    lake.put_bars([walk("A", 1), walk("B", 2)])
    plan = make_plan(lake.put_bars([late.slice(5, len(late))]), ["A", "B", "C"])
    load.forget()
    a, b, c = (load.load_bars(plan, name, "validate", configuration("c")) for name in "ABC")
    for name in ("ts", "session", "session_open", "session_close"):
        assert np.shares_memory(getattr(a, name), getattr(b, name)), name
        assert not np.shares_memory(getattr(a, name), getattr(c, name)), name
    assert c.ts.tolist() == late.ts[5 : 5 + len(c)].tolist()
    assert not np.shares_memory(a.close, b.close)


def test_what_cannot_be_read_together_is_read_one_by_one(lake, make_plan, monkeypatch) -> None:
    def fails(*_: object) -> None:
        raise OSError("a page of one of them is damaged")

    plan = make_plan(lake.put_bars([walk("A", 1), walk("B", 2)]), ["A", "B"])
    monkeypatch.setattr(load, "read_bars_of", fails)
    load.forget()
    with load.expecting(["A", "B", "C"]):
        rows = evaluate(plan, *(WorkItem((name,), "validate", crossovers((3, 9))) for name in "AB"))
        assert rows["status"].tolist() == ["ok", "ok"]
        with pytest.raises(RunError, match="C has no 1min bar"):
            load.load_bars(plan, "C", "validate", configuration("c"))


def with_windows(plan, *windows):
    """Return the plan with further windows over the periods of the first."""
    periods = plan.windows["validate"].periods
    return replace(plan, windows={**plan.windows, **{w.name: WindowPlan(w, periods) for w in windows}})


@pytest.mark.parametrize("timeframe", ["1min", "30min"])
def test_what_was_read_for_a_long_window_serves_the_short_ones(
    lake, make_plan, monkeypatch, timeframe
) -> None:
    reads = []
    real = load.read_bars
    monkeypatch.setattr(load, "read_bars", lambda *a: reads.append(a[3:5]) or real(*a))
    pin = lake.put_bars([walk("A", 1)])
    early = Window("early", us("2013-10-07T13:30"), us("2013-10-07T20:00"))
    late = Window("late", us("2013-10-10T13:30"), us("2013-10-10T20:00"))
    plan = with_windows(make_plan(pin, ["A"], timeframes=[timeframe]), early, late)
    start = plan.slices[timeframe].start_us
    one = configuration("c", timeframe=timeframe)

    shared = [load.load_bars(plan, "A", name, one) for name in ("validate", "late", "early", "validate")]

    # the first window's bars, then what the longer one needs beyond them
    assert reads == [(start, VALIDATE.end_us), (VALIDATE.end_us, late.end_us)]
    for name, bars in zip(("validate", "late", "early", "validate"), shared, strict=True):
        load._rows = None
        alone = load.load_bars(plan, "A", name, one)
        assert bars.ts[-1] < plan.windows[name].window.end_us
        for field in ("ts", *PRICE_FIELDS, "session", "session_open", "session_close"):
            np.testing.assert_array_equal(getattr(bars, field), getattr(alone, field), err_msg=field)
    assert load.load_bars(plan, "A", "validate", one) is load.load_bars(plan, "A", "validate", one)


def test_windows_are_forgotten_before_the_bars_of_all(lake, make_plan, monkeypatch) -> None:
    reads = []
    real = load.read_bars
    monkeypatch.setattr(load, "read_bars", lambda *a: reads.append(a[1]) or real(*a))
    pin = lake.put_bars([walk("A", 1)])
    windows = [Window(f"w{k}", us(f"2013-10-{k:02d}T13:30"), VALIDATE.end_us) for k in (7, 8)]
    plan = with_windows(make_plan(pin, ["A"], timeframes=["5min"]), *windows)
    one = configuration("c", timeframe="5min")
    load.load_bars(plan, "A", "validate", one)
    assert load._rows is not None
    plan = replace(plan, cache_bytes=load._rows.nbytes + 1)
    for name in ("validate", "w7", "w8"):
        load.load_bars(plan, "A", name, one)
        assert load._rows.nbytes <= plan.cache_bytes
    assert reads == ["A", "A"], "once for each of the two caches"


def test_of_many_markets_each_is_held_while_it_is_run(lake, make_plan) -> None:
    plan = make_plan(lake.put_bars([walk("A", 1)]), ["A"], engine="compiled")
    (axis,) = read_axes({"past": {"kind": "block", "n": 3}}).values()
    plain = crossovers((3, 9), (4, 12))
    many = (*plain, *(replace(c, config_id=f"{k}{c.config_id}", market=(change_of(axis, k),))
                      for k in (1, 2, 3) for c in plain))  # fmt: skip
    item = WorkItem(("A",), "validate", many)
    sweep = Sweep(plan, item)
    found = sweep.measure_many(many)
    assert found is not None
    assert len(sweep._for_many) == 1
    # what is shared inside of a past is told by its own configurations, however many pasts an item has
    ((window, _),) = sweep._for_many.values()
    assert window.grid == [one.params for one in plain]
    # each is what it is alone, and another world than the one that was
    alone = evaluate(plan, item).set_index("config_id")["pnl_net"]
    assert found[0].metrics["pnl_net"].tolist() == alone.loc[[c.config_id for c in many]].tolist()
    assert len(set(alone)) == len(many)


def test_another_snapshot_is_another_market(lake, make_plan) -> None:
    pin = lake.put_bars([walk("A", 1)])
    late = lake.put_bars([replace(walk("B", 2), symbol="B")])
    plan = make_plan(pin, ["B"])
    with pytest.raises(RunError, match="B has no 1min bar"):
        load.load_bars(plan, "B", "validate", configuration("c"))
    assert len(load.load_bars(replace(plan, bars=late), "B", "validate", configuration("c"))) > 0


@pytest.mark.slow
def test_the_worker_knows_neither_spark_nor_mlflow() -> None:
    script = (
        "import sys, whatif.runner.worker; from whatif.engines import load_all; load_all(); "
        "print(sorted({m.split('.')[0] for m in sys.modules} & {'pyspark', 'py4j', 'mlflow'}))"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_an_error_names_the_users_own_line() -> None:
    """The innermost line that is neither the product's nor a library's."""

    def own(value: float) -> float:
        return 1.0 / value

    line = own.__code__.co_firstlineno + 1
    with pytest.raises(ZeroDivisionError) as found:
        own(0.0)
    assert describe(found.value) == f"ZeroDivisionError: float division by zero (test_worker.py, line {line})"
    said = EngineError("strategy s: bar 3: the step raised ZeroDivisionError")
    said.__cause__ = found.value
    text = describe(said)
    assert text.startswith("strategy s: bar 3: the step raised ZeroDivisionError")
    assert text.endswith(f"(test_worker.py, line {line})")


COUNTING = """
from whatif.strategies import Param, strategy, target

calls = []


@strategy(params={"n": Param(1)})
def counting(i, x, p, s):
    calls.append(1)
    return target(float(len(calls)) if s.size == 0 else s.size)
"""


def test_each_backtest_begins_with_the_strategy_as_it_was_sent(lake, make_plan, tmp_path: Path) -> None:
    """What a step left in its module would make a row depend on those before it in the same worker."""
    (tmp_path / "counting.py").write_text(COUNTING)
    plan = make_plan(lake.put_bars([walk("A", 1)]), ["A"], str(tmp_path / "counting.py"))
    points = tuple(configuration(f"n{n}", n=n) for n in (1, 2, 3))
    rows = evaluate(plan, WorkItem(("A",), "validate", points))
    assert list(rows["status"]) == ["ok"] * 3
    assert rows["pnl_net"].nunique() == 1


class TestFaultsOfTheMachine:
    """What cannot be read is no result: it leaves the worker as an error, and gives no row."""

    def test_a_damaged_file_of_bars_raises(self, lake, make_plan, tmp_path, monkeypatch) -> None:
        plan = make_plan(lake.put_bars([walk("A", 1)]), ["A"])
        many = WorkItem(("A",), "validate", crossovers((3, 9), (4, 12)))
        undamaged = evaluate(plan, many)
        (path,) = (tmp_path / "made").rglob("*.parquet")
        whole = path.read_bytes()
        path.write_bytes(whole[: len(whole) // 2])
        load.forget()
        with pytest.raises(MachineError, match=r"bars of A could not be read: .*the same command goes on"):
            evaluate(plan, many)
        path.write_bytes(whole)
        apart = ["wall_seconds", "finished_at", "worker"]
        pd.testing.assert_frame_equal(evaluate(plan, many).drop(columns=apart), undamaged.drop(columns=apart))

    @pytest.mark.parametrize("engine", ["backtrader", "compiled"])
    @pytest.mark.parametrize(
        "fault", [OSError(5, "Input/output error"), ValueError("bad page"), ImportError("no pyiceberg here")]
    )
    def test_rows_that_were_finished_come_first(self, lake, make_plan, monkeypatch, engine, fault) -> None:
        plan = make_plan(lake.put_bars([walk("A", 1)]), ["A"], timeframes=("1min", "5min"), engine=engine)
        one, other = crossovers((3, 9), (4, 12))
        real, asked = load.read_bars, []

        def read_bars(*given: object) -> object:
            asked.append(given)
            if len(asked) == 2:
                raise fault
            return real(*given)

        monkeypatch.setattr(load, "read_bars", read_bars)
        item = WorkItem(("A",), "validate", (one, replace(other, timeframe="5min")))
        rows = worker._rows(plan, item, 0)
        assert next(rows)["status"] == "ok"
        with pytest.raises(MachineError, match=type(fault).__name__) as raised:
            next(rows)
        assert raised.value.__cause__ is fault

    def test_predictions_that_cannot_be_read_raise(self, lake, make_plan, monkeypatch) -> None:
        bars = walk("A", 1)
        predictions = lake.put_predictions("A", bars.ts, bars.close)
        models = {("rf", "1min", 1): ModelPin(predictions, "forest", "level")}
        plan = make_plan(lake.put_bars([bars]), ["A"], "forecast_threshold", models=models)

        def read_predictions(*_: object) -> None:
            raise TimeoutError(110, "Connection timed out")

        monkeypatch.setattr(load, "read_predictions", read_predictions)
        item = WorkItem(("A",), "validate", (configuration("c", model="rf", threshold=0.001, size=1.0),))
        with pytest.raises(MachineError, match="predictions on A could not be read: TimeoutError"):
            evaluate(plan, item)

    def test_a_strategys_own_failure_to_read_is_a_row(self, lake, make_plan, tmp_path) -> None:
        (tmp_path / "reads.py").write_text(
            "from whatif.errors import LakeDamagedError\n"
            "from whatif.strategies import Param, strategy, target\n\n"
            "@strategy(params={'mode': Param(0)})\n"
            "def reads(i, x, p, s):\n"
            "    if p.mode == 0:\n"
            "        raise OSError(5, 'Input/output error')\n"
            "    raise LakeDamagedError('a lake of its own')\n"
        )
        plan = make_plan(lake.put_bars([walk("A", 1)]), ["A"], str(tmp_path / "reads.py"))
        rows = evaluate(
            plan, WorkItem(("A",), "validate", tuple(configuration(f"m{m}", mode=m) for m in (0, 1)))
        )
        assert list(rows["status"]) == ["error", "error"]
        assert "Input/output error" in rows["error"][0]
        assert "a lake of its own" in rows["error"][1]

    def test_want_of_memory_while_reading_stays_a_row_that_is_tried_again(
        self, lake, make_plan, monkeypatch
    ) -> None:
        plan = make_plan(lake.put_bars([walk("A", 1)]), ["A"])

        def read_bars(*_: object) -> None:
            raise MemoryError("for want of 8 GiB")

        monkeypatch.setattr(load, "read_bars", read_bars)
        rows = evaluate(plan, WorkItem(("A",), "validate", crossovers((3, 9))))
        assert rows["error"][0].startswith("stopped: it ran out of memory")

    def test_it_leaves_a_process_of_its_own_as_it_is(self, lake, make_plan, monkeypatch) -> None:
        plan = make_plan(lake.put_bars([walk("A", 1)]), ["A"], time_limit=60.0)

        def read_bars(*_: object) -> None:
            raise OSError(5, "Input/output error")

        monkeypatch.setattr(load, "read_bars", read_bars)
        with pytest.raises(MachineError, match="Input/output error"):
            evaluate(plan, WorkItem(("A",), "validate", crossovers((3, 9))))
