"""What a sweep measures while it runs, against runs measured afterwards: equal as bytes."""

from __future__ import annotations

import ctypes
from dataclasses import fields, replace

import numpy as np
import pandas as pd
import pytest

from whatif.calendars import make_periods, schedule
from whatif.domain import METRIC_COLUMNS, MINUTE_US
from whatif.domain.metrics import account_metrics, account_of
from whatif.domain.overlays import Overlays
from whatif.engines import BacktestTask, RunInputs, arrays, run_engine
from whatif.engines.compiled import window as window_module
from whatif.engines.compiled.window import PreparedWindow
from whatif.indicators import Stored, with_needs
from whatif.indicators import evaluate as evaluate_expression
from whatif.runner.plan import WorkItem
from whatif.search.grid import Configuration
from whatif.strategies import Param, hold, resolve, strategy
from whatif.testing.conformance import draw_params
from whatif.testing.orders import random_costs, random_execution

from ...markets import FIRST, LAST, walk
from ...runner.conftest import VALIDATE, evaluate, fresh_process, lake, make_plan
from .draws import random_overlays, random_size, with_inputs

__all__ = ["fresh_process", "lake", "make_plan"]  # fixtures

OF_BARS = ("sma_crossover", "ema_crossover", "macd_crossover", "breakout")
OTHERS = (*OF_BARS[1:], "forecast_threshold", "probability_threshold")
OWN_COLUMNS = ("engine", "worker", "wall_seconds", "finished_at")
MEASURED = (
    *METRIC_COLUMNS,
    "returns",
    "orders_rejected",
    "bars",
    "benchmark_return_pct",
    "benchmark_sharpe",
    "benchmark_max_drawdown_pct",
)


def draws(name: str, seed: int, count: int) -> list[Configuration]:
    rng = np.random.default_rng([seed, len(name)])
    spec, found = resolve(name), []
    for k in range(count):
        execution = random_execution(rng, 100.0)
        if k % 3 == 2:
            costs, plain = (
                random_costs(rng, 100.0),
                {"commission": 0.0, "slippage": 0.0, "slippage_fixed": 0.0},
            )
            execution = replace(execution, costs=costs, commtype="perc", **plain)
        params = draw_params(spec, rng, {"size": random_size(rng, execution.cash / 100.0)})
        if name == "macd_crossover":
            # the average of one value is that value: a line never crosses itself
            params["signal"] = max(2, int(params["signal"]))
        found.append(Configuration(f"c{k}", params, None, "1min", execution, random_overlays(rng)))
    return found


def as_bytes(value: object) -> bytes:
    """Return a cell's bytes if it is a number or several, else its text."""
    array = np.asarray(value)
    content = array.tobytes() if array.dtype.kind in "fiub" else repr(value).encode()
    return str(array.dtype).encode() + content


@pytest.mark.parametrize(
    "name", [OF_BARS[0], *(pytest.param(name, marks=pytest.mark.slow) for name in OF_BARS[1:])]
)
def test_a_row_of_a_sweep_is_that_of_a_single_run(lake, make_plan, name: str) -> None:
    plan = make_plan(lake.put_bars([walk("A", 1), walk("B", 2)]), ["A", "B"], name)
    many = tuple(draws(name, 5, 12))
    items = [WorkItem((symbol,), "validate", many) for symbol in "AB"]

    swept = evaluate(replace(plan, engine="compiled"), *items)
    single = evaluate(replace(plan, engine="backtrader"), *items)

    assert (set(swept["engine"]), set(single["engine"])) == ({"compiled"}, {"backtrader"})
    assert swept["error"].isna().all()
    assert list(swept.columns) == list(single.columns)
    for column in swept.columns:
        if column not in OWN_COLUMNS:
            for row, (ours, its) in enumerate(zip(swept[column], single[column], strict=True)):
                assert as_bytes(ours) == as_bytes(its), (column, row, many[row % len(many)], ours, its)
    assert not swept[[*MEASURED]].isna().all().any()
    assert (swept["trades"] > 0).mean() > 0.5
    assert (swept["orders_rejected"] > 0).any()


@strategy(params={"n": Param(3)}, inputs={"cross": "crossover(sma(close@5min, n), sma(close@5min, 9))"})
def crosses(i, x, p, s):
    return hold()


def test_what_is_of_longer_bars_is_made_there_for_many_too() -> None:
    """A crossing of longer bars lasts for their length; one of the rows would last for a row."""
    bars, many = walk("A", 1), [{"n": 2}, {"n": 3}]
    bars = with_needs(bars, crosses.needs, Stored(bars, MINUTE_US, MINUTE_US), "XNYS")
    inputs = arrays.GridInputs(crosses, bars, len(bars), None, many)
    found, good = inputs.addresses(many, ["cross"])
    assert good.all()
    for address, params in zip(found[:, 0].tolist(), many, strict=True):
        values = np.ctypeslib.as_array(ctypes.cast(address, ctypes.POINTER(ctypes.c_double)), (len(bars),))
        expected = evaluate_expression(crosses.inputs["cross"].bind(params), bars)
        assert values.tobytes() == expected.tobytes()
        assert np.nansum(np.abs(values)) > 100


def test_rows_that_keep_series_have_the_same_numbers(lake, make_plan) -> None:
    plan = make_plan(lake.put_bars([walk("A", 1)]), ["A"], engine="compiled")
    item = WorkItem(("A",), "validate", tuple(draws("sma_crossover", 6, 12)))
    swept, kept = evaluate(plan, item), evaluate(plan, replace(item, keep=True))
    for column in MEASURED:
        assert [as_bytes(v) for v in swept[column]] == [as_bytes(v) for v in kept[column]], column
    assert kept["equity_equity"].notna().all()
    assert "equity_equity" not in swept


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        *(pytest.param("sma_crossover", kind, marks=pytest.mark.slow) for kind in ("session", "bar")),
        *(
            pytest.param(name, "hour", marks=[] if name in OTHERS[1:2] else pytest.mark.slow)
            for name in ("sma_crossover", *OTHERS)
        ),
        *(pytest.param(name, kind, marks=pytest.mark.slow) for name in OTHERS for kind in ("session", "bar")),
    ],
)
def test_an_account_measured_while_running_is_that_of_the_run(name: str, kind: str) -> None:
    rng = np.random.default_rng([3, len(name), len(kind)])
    spec = resolve(name)
    bars = with_inputs(spec, walk("A", 4), rng)
    inside = schedule("XNYS", FIRST, LAST).between(VALIDATE.start_us, VALIDATE.end_us)
    periods = make_periods(kind, inside, VALIDATE.start_us, VALIDATE.end_us, 60_000_000)
    first, stop = np.searchsorted(bars.ts, [VALIDATE.start_us, VALIDATE.end_us]).tolist()
    prepared = PreparedWindow(spec, bars, first, stop, periods, {})
    for configuration in draws(name, 9, 8):
        given = (configuration.params, configuration.execution)
        measured = prepared.measure(RunInputs(*given, configuration.overlays))
        task = BacktestTask(
            [bars], spec, *given, VALIDATE.start_us, VALIDATE.end_us, overlays=configuration.overlays
        )
        for engine in ("compiled", "backtrader"):
            run = run_engine(task, engine)
            account = account_of(run, configuration.execution, periods)
            assert measured.rejected == run.margin_rejected
            for field in fields(account):
                ours, its = (getattr(a, field.name) for a in (measured.account, account))
                assert np.asarray(ours).tobytes() == np.asarray(its).tobytes(), (
                    engine,
                    field.name,
                    ours,
                    its,
                    configuration,
                )


def test_a_step_that_raises_is_an_error_row_that_names_the_bar(lake, make_plan, tmp_path) -> None:
    path = tmp_path / "own.py"
    path.write_text(
        "from whatif.strategies import Param, strategy, target\n\n"
        "@strategy(params={'at': Param(7)})\n"
        "def own(i, x, p, s):\n    return target(1.0 / (i - p.at))\n"
    )
    plan = make_plan(lake.put_bars([walk("A", 1)]), ["A"], str(path))
    rows = {}
    for engine in ("backtrader", "compiled"):
        many = tuple(
            replace(c, params={"at": at}) for c, at in zip(draws("breakout", 1, 3), (900, 5, 1), strict=True)
        )
        many = tuple(replace(c, config_id=f"{k}", overlays=type(c.overlays)()) for k, c in enumerate(many))
        rows[engine] = evaluate(replace(plan, engine=engine), WorkItem(("A",), "validate", many))
    assert rows["compiled"]["status"].tolist() == ["error", "ok", "ok"]
    assert rows["compiled"]["error"][0] == rows["backtrader"]["error"][0]
    assert "A, bar 900 at 2013-10-08T" in rows["compiled"]["error"][0]
    assert "ZeroDivisionError" in rows["compiled"]["error"][0]
    assert pd.isna(rows["compiled"]["error"][1])


@pytest.mark.parametrize(
    ("room", "own"),
    [
        (0, True),
        (window_module.SHARED_ROOM, False),
        *(
            pytest.param(room, own, marks=pytest.mark.slow)
            for room, own in ((0, False), (40, True), (40, False), (window_module.SHARED_ROOM, True))
        ),
    ],
)
def test_runs_of_one_call_are_those_of_one_call_each(monkeypatch, room: int, own: bool) -> None:
    monkeypatch.setattr(window_module, "SHARED_ROOM", room)
    monkeypatch.setattr(arrays, "SHARED_BYTES", 3 * 8 * 1000)
    spec, bars = resolve("sma_crossover"), walk("A", 4)
    inside = schedule("XNYS", FIRST, LAST).between(VALIDATE.start_us, VALIDATE.end_us)
    periods = make_periods("hour", inside, VALIDATE.start_us, VALIDATE.end_us, 60_000_000)
    first, stop = np.searchsorted(bars.ts, [VALIDATE.start_us, VALIDATE.end_us]).tolist()
    many = [RunInputs(c.params, c.execution, c.overlays) for c in draws("sma_crossover", 21, 20)]
    # the order of the last minute fills after the close, which is said of this one for itself
    many[7] = replace(many[7], overlays=Overlays(flat_before_close=1))
    many[8] = replace(many[8], execution=replace(many[8].execution, coo=True))
    grid = [given.params for given in many] if own else [many[0].params] * 40

    found = PreparedWindow(spec, bars, first, stop, periods, {}, grid).measure_runs(many)

    assert np.flatnonzero(~found.good).tolist() == [7]
    assert found.bars == stop - first
    for k in np.flatnonzero(found.good):
        alone = PreparedWindow(spec, bars, first, stop, periods, {}).measure(many[k])
        assert found.returns[k].tobytes() == alone.account.returns.tobytes()
        assert found.rejected[k] == alone.rejected
        for name, value in account_metrics(alone.account, many[k].execution, periods).items():
            assert as_bytes(found.metrics[name][k]) == as_bytes(value), (name, k)


def test_a_step_that_raises_takes_no_other_run_with_it(tmp_path) -> None:
    path = tmp_path / "own.py"
    path.write_text(
        "from whatif.strategies import Param, strategy, target\n\n"
        "@strategy(params={'at': Param(7), 'size': Param(1.0)})\n"
        "def own(i, x, p, s):\n    return target(p.size / (i - p.at))\n"
    )
    spec, bars = resolve(str(path)), walk("A", 4)
    # the second raises, the fourth makes an order of no usable size
    changes = ({"at": 0}, {"at": 30}, {"at": 0}, {"at": 0, "size": 1e300}, {"at": -5})
    many = [RunInputs(spec.validate(change)) for change in changes]

    found = PreparedWindow(spec, bars, 10, 90).measure_runs(many)

    assert found.good.tolist() == [True, False, True, False, True]
    for k in (0, 2, 4):
        alone = PreparedWindow(spec, bars, 10, 90).measure(many[k])
        assert found.metrics["pnl_net"][k] == alone.account.final - many[k].execution.cash
        assert found.metrics["trades"][k] == len(alone.account.net)
