"""A study from bars to answer."""

from __future__ import annotations

import json
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from whatif.cli import main
from whatif.domain import BENCHMARK_COLUMNS, METRIC_KEYS
from whatif.domain.rows import KEY
from whatif.engines import REFERENCE
from whatif.errors import RunError
from whatif.lake.results import RESULTS, RETURNS
from whatif.lake.tables import EQUITY, PREDICTIONS, TEST_LOOKS, TRADES
from whatif.pins import current_pin
from whatif.results.retention import returns_to_keep
from whatif.runner import origin
from whatif.workflow import RunOptions, run

from ..markets import put_bars, walk
from .conftest import STUDY, at, rows_of, run_twice

FORESTS = {
    "features": ["roc(1)", "roc(5)"],
    "label": {"horizon": "5min"},
    "models": {
        "small": {"trees": 2, "depth": 2, "seed": 7},
        "level": {"trees": 2, "depth": 2, "seed": 7, "target": "level"},
    },
    "strategy": {"name": "forecast_threshold", "params": {"size": 10.0}},
    "axes": {"model": ["small", "level"], "threshold": [0.00001, 0.0001]},
}


def keys_of(frame: pd.DataFrame) -> set[tuple[str, str, str]]:
    return set(zip(frame["config_id"], frame["symbol"], frame["window"], strict=True))


def no_spark(*_: object, **__: object) -> None:
    raise AssertionError("Spark was asked for")


@pytest.mark.spark
class TestSteps:
    """The main job with a step strategy on two symbols; then the same study again."""

    @pytest.fixture
    def result(self, go_on_spark):
        return go_on_spark(report=True)

    def test_the_answer(self, result, market, monkeypatch, write_study, capsys) -> None:
        board = result.leaderboard()
        assert (result.computed, result.resumed, result.failed) == (8, 0, 0)
        assert list(board["rank"]) == list(range(1, 9))
        assert board["sharpe"].is_monotonic_decreasing
        assert set(board.columns) >= {"fast", "slow", "symbol", *METRIC_KEYS, "benchmark_sharpe"}
        best = result.best
        top = board.iloc[0]
        assert (best.config_id, best.symbol) == (top["config_id"], top["symbol"])
        assert best.axes == {"fast": top["fast"], "slow": top["slow"]}
        assert best.params == {**best.axes, "size": 50.0, "enter_at_once": False}
        assert best.validate["sharpe"] == top["sharpe"]

        stored = rows_of(market, RESULTS)
        assert not stored.duplicated(list(KEY)).any()
        tested = stored[stored["window"] == "test"]
        assert set(tested["config_id"]) == {best.config_id}
        assert set(tested["symbol"]) == {"A", "B"}
        own = tested[tested["symbol"] == best.symbol].iloc[0]
        assert best.test["sharpe"] == own["sharpe"]
        assert best.test["status"] == "ok"

        looks = rows_of(market, TEST_LOOKS)
        assert set(zip(looks["config_id"], looks["symbol"], strict=True)) == {
            (best.config_id, "A"),
            (best.config_id, "B"),
        }
        assert set(looks["window_start"]) == {pd.Timestamp("2013-10-10 13:30", tz="UTC")}

        series = {(best.config_id, s, w) for s in "AB" for w in ("validate", "test")}
        assert keys_of(rows_of(market, EQUITY)) == series
        assert keys_of(rows_of(market, TRADES)) == series
        assert keys_of(rows_of(market, RETURNS)) == keys_of(stored)
        shown = result.comparison.set_index(["symbol", "window", "who"])
        assert len(shown) == 8
        assert shown.loc[(best.symbol, "test", "strategy"), "sharpe"] == best.test["sharpe"]
        assert shown.loc[(best.symbol, "test", "buy_and_hold"), "sharpe"] == own["benchmark_sharpe"]
        page, *files = result.files
        assert page.stat().st_size > 100_000
        assert {f.name for f in files} >= {"leaderboard.csv", "trades.csv", "equity.csv"}

        # what is stored is read without Spark: run, report and leaderboard
        monkeypatch.setattr("whatif.workflow.train.get_spark", no_spark)
        before = {spec: current_pin(market, spec.name) for spec in (RESULTS, RETURNS, EQUITY, TEST_LOOKS)}
        path = write_study()
        again = run(path, location=market, options=RunOptions(track=False))
        assert (again.computed, again.resumed) == (0, 8)
        pd.testing.assert_frame_equal(again.leaderboard(), board)
        pd.testing.assert_frame_equal(again.equity, result.equity)
        assert main(["report", str(path)]) == 0
        assert main(["leaderboard", str(path)]) == 0
        assert "not run yet" not in capsys.readouterr().out
        assert {spec: current_pin(market, spec.name) for spec in before} == before


class TestAgain:
    """The same study again: with other axes, and after new bars came."""

    @pytest.fixture
    def result(self, go):
        return go()

    def test_nothing_new_is_neither_certified_nor_written_again(self, go, market, monkeypatch) -> None:
        def never(*_: object) -> None:
            raise AssertionError("certified again")

        first = go(report=True)
        page, *files = first.files
        written = {path: path.stat().st_mtime_ns for path in first.files}
        with monkeypatch.context() as patched:
            patched.setattr(origin, "_compared", never)
            again = go(report=True)
        assert again.files == first.files
        assert {path: path.stat().st_mtime_ns for path in again.files} == written
        assert again.data.origin.certificate == first.data.origin.certificate
        assert again.data.origin.certificate.startswith("Certified: Backtrader")

        # a file that is gone, and what another study has tried, make the answer another one
        files[0].unlink()
        assert go(report=True).files == first.files
        assert files[0].exists()
        go(study="beside", axes={"fast": [4], "slow": [15]})
        told = page.read_text()
        assert go(report=True).files == first.files
        assert page.read_text() != told

    def test_a_value_more_on_an_axis_runs_what_is_new(self, result, go, market) -> None:
        more = go(axes={"fast": [3, 5, 7], "slow": [15, 25]})
        assert (more.computed, more.resumed) == (4, 8)
        assert len(more.leaderboard()) == 12
        assert set(result.leaderboard()["config_id"]) <= set(more.leaderboard()["config_id"])
        # fewer again: what is stored of others stays out
        fewer = go(axes={"fast": [5], "slow": [15, 25]})
        assert (fewer.computed, fewer.resumed, len(fewer.leaderboard())) == (0, 4, 4)
        assert not rows_of(market, RESULTS).duplicated(list(KEY)).any()

    @pytest.mark.slow
    def test_new_bars_are_seen_when_asked_for(self, result, go, market) -> None:
        put_bars(market, [walk("C", 3, minutes=120)])
        same = go()
        assert (same.computed, same.resumed) == (0, 8)
        pd.testing.assert_frame_equal(same.leaderboard(), result.leaderboard())
        latest = go(latest=True)
        assert (latest.computed, latest.resumed) == (8, 0)
        # and from then on
        assert go().resumed == 8
        assert rows_of(market, RESULTS)["bars_snapshot"].nunique() == 2
        with pytest.raises(Exception, match="run it with --latest") as caught:
            go(data={"symbols": ["A", "D"], "start": "2013-10-04", "end": "2013-10-12"})
        assert "D is not in the lake" in str(caught.value)


@pytest.mark.spark
@pytest.mark.slow
def test_forests(go_on_spark, market) -> None:
    result = go_on_spark(**FORESTS)
    board = result.leaderboard()
    assert (len(board), result.failed) == (8, 0)
    assert set(board["model"]) == {"small", "level"}
    predicted = rows_of(market, PREDICTIONS)
    assert predicted["model_digest"].nunique() == 2
    # nothing is predicted for bars that trained
    assert predicted["ts"].min() >= pd.Timestamp("2013-10-08", tz="UTC")
    digests = {p["model_digest"] for p in _model_pins(market)}
    assert digests == set(predicted["model_digest"])
    before = current_pin(market, "predictions")
    more = go_on_spark(**{**FORESTS, "axes": {"model": ["small", "level"], "threshold": [0.00001, 0.0003]}})
    assert (more.computed, more.resumed) == (4, 4)
    assert current_pin(market, "predictions") == before


def _model_pins(market) -> list[dict]:
    pins = (json.loads(text) for text in rows_of(market, RESULTS)["pins"])
    return [pin for row in pins for pin in row if pin["table"] == "predictions"]


CLASSIC = """
import backtrader as bt


class Dip(bt.Strategy):
    warmup = 4
    params = (("period", 5), ("average", bt.ind.SMA), ("size", 10))

    def __init__(self):
        self.line = self.p.average(self.data.close, period=self.p.period)

    def next(self):
        if not self.position and self.data.close[0] < self.line[0]:
            self.buy(size=self.p.size)
        elif self.position and self.data.close[0] > self.line[0]:
            self.close()
"""


class TestCertification:
    def test_the_chosen_one_runs_again_on_backtraders_broker(self, go) -> None:
        result = go(engine="compiled")

        assert set(result.leaderboard()["engine"]) == {"compiled"}
        assert "Backtrader 1.9.78.123 ran it again on validate and test" in result.data.origin.certificate
        assert "to the last bit" in result.data.origin.certificate

    @pytest.mark.slow
    def test_backtraders_own_sweep_gives_the_same_numbers_and_needs_none(self, go, market) -> None:
        go(engine="compiled")
        before = rows_of(market, RESULTS)
        # a slice that begins earlier, where there is no bar: other rows, of the same backtests
        early = go(engine="backtrader", data={**STUDY["data"], "start": "2013-10-03"})
        after = rows_of(market, RESULTS)
        after = after[after["data_digest"] != before["data_digest"].iloc[0]]

        assert early.data.origin.certificate == ""
        assert set(before["engine"]) == {"compiled"}
        assert set(after["engine"]) == {"backtrader"}
        names = ["config_id", "symbol", "window"]
        numbers = [*METRIC_KEYS, *BENCHMARK_COLUMNS, "orders_rejected", "bars"]
        pd.testing.assert_frame_equal(
            before.sort_values(names)[[*names, *numbers]].reset_index(drop=True),
            after.sort_values(names)[[*names, *numbers]].reset_index(drop=True),
            check_exact=True,
        )

    def test_a_broker_that_errs_in_the_last_bit_fails_the_run(self, go, monkeypatch) -> None:
        class Wrong:
            def checked_run(self, task, cache=None):
                run = REFERENCE.checked_run(task, cache)
                equity = run.equity.copy()
                equity[len(equity) // 2] = np.nextafter(equity[len(equity) // 2], np.inf)
                return replace(run, equity=equity)

        monkeypatch.setattr(origin, "REFERENCE", Wrong())
        with pytest.raises(RunError, match=r"the brokers disagree on the chosen configuration .* equity"):
            go(engine="compiled")


def test_an_ordinary_strategy_from_a_file(go, tmp_path: Path) -> None:
    (tmp_path / "dip.py").write_text(CLASSIC)
    result = go(strategy={"name": "dip.py:Dip", "params": {"size": 20}}, axes={"period": [5, 9]})
    board = result.leaderboard()
    assert list(board["status"]) == ["ok"] * 4, list(board["error"])
    assert set(board["engine"]) == {"backtrader"}
    assert (board["trades"] > 0).all()
    assert result.best.params == {"period": result.best.axes["period"], "size": 20}


@pytest.mark.slow
def test_an_ordinary_strategy_by_import_path(go) -> None:
    # one that comes with Backtrader, and whose default for _movav is a class
    name = "backtrader.strategies.sma_crossover.MA_CrossOver"
    board = go(strategy={"name": name}, axes={"fast": [3], "slow": [15, 25]}).leaderboard()
    assert list(board["status"]) == ["ok"] * 4, list(board["error"])
    assert (board["trades"] > 0).all()


def test_an_edited_strategy_reuses_no_row(go, tmp_path: Path) -> None:
    source = (
        "from whatif.strategies import Param, strategy, target\n"
        "@strategy(params={'size': Param(10.0)}, inputs={'change': 'roc(1)'})\n"
        "def mine(i, x, p, s):\n"
        "    return target(p.size if x.change[i] > 0 else 0.0)\n"
    )
    (tmp_path / "mine.py").write_text(source)
    changes = {"strategy": {"name": "mine.py"}, "axes": {"size": [10.0, 20.0]}}
    first = go(**changes)
    assert (first.computed, first.failed) == (4, 0)
    assert go(**changes).computed == 0
    (tmp_path / "mine.py").write_text(source.replace("> 0", "< 0"))
    second = go(**changes)
    assert (second.computed, second.resumed) == (4, 0)
    assert not set(first.leaderboard()["config_id"]) & set(second.leaderboard()["config_id"])


@pytest.mark.slow
def test_a_shared_portfolio(go, market) -> None:
    result = go(report=True, portfolio="shared", axes={"fast": [3], "slow": [15, 25]})
    board = result.leaderboard()
    assert list(board["symbol"]) == ["A+B", "A+B"]
    assert result.best.test["status"] == "ok"
    assert set(rows_of(market, TRADES)["trade_symbol"]) == {"A", "B"}
    separate = go(axes={"fast": [3], "slow": [15, 25]})
    assert separate.computed == 4, "separate accounts are other configurations"


@pytest.mark.slow
def test_pooled_symbols(go, market) -> None:
    result = go(report=True, rank="pooled", keep={"trades": 1, "equity": 2})
    board = result.leaderboard()
    assert list(board["symbol"]) == ["A+B"] * 4
    # by hand: the mean over symbols of each period's return
    returns = rows_of(market, RETURNS)
    for window, figures in (("validate", result.best.validate), ("test", result.best.test)):
        own = returns[(returns["config_id"] == result.best.config_id) & (returns["window"] == window)]
        mean = np.mean(np.stack(own["returns"].tolist()), axis=0)
        assert len(own) == 2
        assert figures["return_pct"] == pytest.approx(100 * (np.prod(1 + mean) - 1))
        assert figures["sharpe"] == pytest.approx(
            mean.mean() / mean.std(ddof=1) * np.sqrt(rows_of(market, RESULTS)["periods_per_year"][0])
        )
    kept = rows_of(market, EQUITY)
    kept = kept[kept["window"] == "validate"]
    assert keys_of(kept) == {(c, s, "validate") for c in board["config_id"][:2] for s in "AB"}


def test_axes_of_timeframe_and_execution(go, market) -> None:
    given = [{"commission": 0.0}, {"commission": 0.001, "slippage": 0.0005}]
    axes = {"timeframe": ["1min", "10min"], "execution": given}
    result = go(report=True, axes=axes, execution={"cash": 50_000.0})
    board = result.leaderboard()
    assert (len(board), result.failed) == (8, 0)
    stored = rows_of(market, RESULTS)
    stored = stored[stored["window"] == "validate"]
    # two sessions of two hours; minutes have gaps, ten of them have none
    assert set(stored[stored["timeframe"] == "10min"]["bars"]) == {24}
    assert stored[stored["timeframe"] == "1min"]["bars"].between(200, 240).all()
    costs = {text: part["costs"].sum() for text, part in board.groupby("execution")}
    assert costs["commission 0 %"] == 0.0
    assert costs["commission 0.1 %, slippage 0.05 %"] > 0.0


class TestKeep:
    def of(self, market, spec, window="validate") -> set[tuple[str, str, str]]:
        frame = rows_of(market, spec)
        assert not frame.duplicated(list(spec.key)).any()
        return keys_of(frame[frame["window"] == window])

    @pytest.mark.slow
    def test_all_of_one_and_the_best_of_the_other(self, go, market) -> None:
        result = go(report=True, keep={"trades": "best", "equity": "all"})
        every = keys_of(result.leaderboard().assign(window="validate"))
        own = {(result.best.config_id, s, "validate") for s in "AB"}
        assert self.of(market, EQUITY) == every
        assert self.of(market, TRADES) == own
        # a later wish for more is met without another ranking
        more = go(report=True, keep={"trades": "all", "equity": "all"})
        assert more.computed == 0
        assert self.of(market, TRADES) == every
        results = rows_of(market, RESULTS)
        trades = rows_of(market, TRADES).groupby(["config_id", "symbol", "window"]).size()
        for row in results.itertuples():
            assert trades.get((row.config_id, row.symbol, row.window), 0) == row.trades

    @pytest.mark.slow
    def test_the_n_best(self, go, market) -> None:
        result = go(report=True, keep={"trades": 3, "equity": 0})
        best = keys_of(result.leaderboard().head(3).assign(window="validate"))
        own = {(result.best.config_id, s, "validate") for s in "AB"}
        assert self.of(market, TRADES) == best | own
        assert self.of(market, EQUITY) == own


def test_one_configuration_without_a_test_window(go, market) -> None:
    result = go(report=True, axes=None, split={"train": 0.5, "validate": 0.5, "test": 0.0})
    assert (result.computed, len(result.leaderboard()), result.best.test) == (2, 2, {})
    assert len(rows_of(market, TEST_LOOKS)) == 0
    assert set(rows_of(market, RESULTS)["window"]) == {"validate"}


def test_when_everything_fails_there_is_still_a_report(market, write_study, tmp_path, capsys) -> None:
    # a step would be refused before Spark starts
    (tmp_path / "mine.py").write_text(
        "import backtrader as bt\n"
        "class Mine(bt.Strategy):\n"
        "    params = (('n', 1),)\n"
        "    def next(self):\n        raise ValueError(f'no {self.p.n}')\n"
    )
    path = write_study(strategy={"name": "mine.py:Mine"}, axes={"n": [1, 2]})
    assert main(["run", str(path)]) == 1
    shown = capsys.readouterr()
    assert "Traceback" not in shown.out + shown.err
    page = market.home / "reports" / "made" / "report.html"
    assert "no 1" in page.read_text()
    rows = rows_of(market, RESULTS)
    assert (len(rows), set(rows["status"]), set(rows["window"])) == (4, {"error"}, {"validate"})
    assert len(rows_of(market, RETURNS)) == 0
    # a failure is an answer too, and is not asked for again
    assert main(["run", str(path)]) == 1
    assert len(rows_of(market, RESULTS)) == 4


@pytest.mark.slow
@pytest.mark.spark
def test_bars_behind_validate_change_nothing_before(spark, lake_home, make_study, tmp_path) -> None:
    """The look-ahead test for the whole engine: forests, features, strategy, ranking."""
    study = make_study(**{**FORESTS, "axes": {"model": ["small"], "threshold": [0.00001, 0.0001]}})
    results = run_twice(study, tmp_path, lambda _: at("2013-10-09 20:00"))
    frames = [(result.leaderboard(), result.best) for result in results]
    drop = ["pins", "worker", "wall_seconds", "finished_at", "bars_snapshot"]
    (one, best), (other, best_other) = frames
    pd.testing.assert_frame_equal(one.drop(columns=drop), other.drop(columns=drop))
    assert best.config_id == best_other.config_id
    assert best.test["pnl_net"] != best_other.test["pnl_net"]


@pytest.mark.slow
def test_a_large_study_keeps_the_returns_of_the_best_and_of_a_sample(go, market, monkeypatch) -> None:
    axes = {"fast": [2, 3, 4, 5, 6], "slow": [15, 25]}
    small = partial(returns_to_keep, all_up_to=6, best=2, sampled=4)
    monkeypatch.setattr("whatif.results.pending.ALL_UP_TO", 6)
    monkeypatch.setattr("whatif.results.retention.returns_to_keep", small)
    result = go(axes=axes)
    board = result.leaderboard()
    returns = rows_of(market, RETURNS)
    returns = returns[returns["window"] == "validate"]
    wanted = small(board["config_id"])
    assert len(wanted) == 6
    assert keys_of(returns) == {(c, s, "validate") for c in wanted for s in "AB"}
    assert len(rows_of(market, RESULTS)) == 20 + 2
    # a study that is small enough gets those back that it needs
    again = go(axes=axes)
    assert (again.computed, again.resumed) == (0, 20)
    monkeypatch.setattr("whatif.results.pending.ALL_UP_TO", 10_000)
    whole = go(axes=axes)
    assert (whole.computed, whole.resumed) == (8, 12)
    assert keys_of(rows_of(market, RETURNS)) == keys_of(rows_of(market, RESULTS))
    assert not rows_of(market, RESULTS).duplicated(list(KEY)).any()


@pytest.mark.slow
def test_what_one_study_drops_another_on_other_symbols_keeps(go, market, monkeypatch) -> None:
    axes = {"fast": [2, 3, 4, 5, 6], "slow": [15, 25]}
    go(axes=axes, data={**STUDY["data"], "symbols": ["B"]})
    kept = keys_of(rows_of(market, RETURNS))
    monkeypatch.setattr("whatif.results.pending.ALL_UP_TO", 6)
    small = partial(returns_to_keep, all_up_to=6, best=2, sampled=4)
    monkeypatch.setattr("whatif.results.retention.returns_to_keep", small)
    result = go(axes=axes, data={**STUDY["data"], "symbols": ["A"]})
    assert (result.computed, result.resumed) == (10, 0)
    returns = rows_of(market, RETURNS)
    assert keys_of(returns[returns["symbol"] == "B"]) == kept
    assert len(returns[(returns["symbol"] == "A") & (returns["window"] == "validate")]) == 6
