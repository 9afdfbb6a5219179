"""Walk-forward studies, whose models Spark trains: six sessions, of which each fold takes four."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from whatif.lake.results import RESULTS, RETURNS
from whatif.lake.tables import PREDICTIONS, TEST_LOOKS
from whatif.pins import current_pin
from whatif.report.terminal import print_answer
from whatif.resolve.resolved import resolve_study
from whatif.workflow import RunOptions, run, train

from .conftest import at, rows_of, run_twice

SPLIT = {"kind": "walk_forward", "train": 2, "validate": 1, "test": 1}
FORESTS = {
    "features": ["roc(1)", "roc(5)"],
    "label": {"horizon": "5min"},
    "models": {"small": {"trees": 2, "depth": 2, "seed": 7}, "other": {"trees": 2, "depth": 3, "seed": 8}},
    "strategy": {"name": "forecast_threshold", "params": {"size": 10.0}},
    "axes": {"model": ["small", "other"], "threshold": [0.00001, 0.0001]},
    "split": SPLIT,
}
FOLDS, CONFIGURATIONS, SYMBOLS = 3, 4, 2


def no_spark(*_: object, **__: object) -> None:
    raise AssertionError("Spark was asked for")


@pytest.mark.spark
@pytest.mark.slow
def test_forests_are_trained_once_for_each_fold(go_on_spark, market, monkeypatch, make_study) -> None:
    result = go_on_spark(report=True, **FORESTS)
    predicted = rows_of(market, PREDICTIONS)
    assert predicted["model_digest"].nunique() == 2 * FOLDS
    # train windows begin with sessions 1, 2 and 3 and last two: nothing before their ends is predicted
    begins = predicted.groupby("model_digest")["ts"].min().dt.date.astype(str).value_counts().to_dict()
    assert begins == {"2013-10-08": 2, "2013-10-09": 2, "2013-10-10": 2}

    stored = rows_of(market, RESULTS)
    assert (result.computed, result.failed) == (FOLDS * CONFIGURATIONS * SYMBOLS, 0)
    counts = stored.groupby("window").size().to_dict()
    assert counts == {f"validate-0{k}": 8 for k in (1, 2, 3)} | {f"test-0{k}": 2 for k in (1, 2, 3)}
    # a fold chooses the first of its own ranking, and opens its own test window alone
    for row in result.folds.to_dict("records"):
        own = stored[(stored["window"] == f"validate-0{row['fold']}") & stored["sharpe"].notna()]
        best = own.loc[own["sharpe"].idxmax()]
        assert (row["config_id"], row["symbol"]) == (best["config_id"], best["symbol"])
        assert row["validate"] == best["sharpe"]
        opened = stored[stored["window"] == f"test-0{row['fold']}"]
        assert set(opened["config_id"]) == {row["config_id"]}
        assert opened[opened["symbol"] == row["symbol"]]["sharpe"].iloc[0] == row["test"]
    assert list(result.folds["test_start"].dt.date.astype(str)) == ["2013-10-09", "2013-10-10", "2013-10-11"]
    assert result.best.config_id == result.folds["config_id"].iloc[-1]
    assert len(rows_of(market, TEST_LOOKS)) == FOLDS * SYMBOLS

    # stitched by hand: equity is carried from fold to fold
    returns = rows_of(market, RETURNS)
    joined = np.concatenate(
        [
            returns[
                (returns["window"] == f"test-0{row.fold}")
                & (returns["config_id"] == row.config_id)
                & (returns["symbol"] == row.symbol)
            ]["returns"].iloc[0]
            for row in result.folds.itertuples()
        ]
    )
    np.testing.assert_array_equal(result.stitched_equity["returns"], joined)
    np.testing.assert_allclose(
        result.stitched_equity["equity"], 100_000.0 * np.cumprod(1 + joined), rtol=1e-12
    )
    year = stored["periods_per_year"].iloc[0]
    assert result.stitched["sharpe"] == pytest.approx(joined.mean() / joined.std(ddof=1) * np.sqrt(year))
    assert result.stitched["return_pct"] == pytest.approx(100 * (np.prod(1 + joined) - 1))
    assert result.stitched["trades"] == result.folds["test_trades"].sum()

    # what the verdict is made of: the validate windows of all folds, one after the other
    judged = result.verdict.verdict
    assert judged.figures.compared == CONFIGURATIONS * SYMBOLS
    per_fold = returns[returns["window"] == "validate-01"]["returns"].iloc[0]
    assert judged.figures.validate.periods == FOLDS * len(per_fold)
    assert judged.figures.test.periods == len(joined)
    resolved = resolve_study(make_study(**FORESTS), market)
    point = next(c.point for c in resolved.every_configuration if c.config_id == result.best.config_id)
    own = {c.config_id for c in resolved.every_configuration if c.point == point}
    validated = stored[stored["window"].str.startswith("validate") & (stored["symbol"] == result.best.symbol)]
    assert judged.figures.validate.trades == validated[validated["config_id"].isin(own)]["trades"].sum()

    # again: nothing is trained, and nothing needs Spark
    monkeypatch.setattr("whatif.workflow.train.get_spark", no_spark)
    before = current_pin(market, "predictions")
    again = run(make_study(**FORESTS), location=market, options=RunOptions(track=False))
    assert (again.computed, again.resumed) == (0, 24)
    assert current_pin(market, "predictions") == before
    assert len(rows_of(market, TEST_LOOKS)) == FOLDS * SYMBOLS
    pd.testing.assert_frame_equal(again.folds, result.folds)
    pd.testing.assert_frame_equal(again.stitched_equity, result.stitched_equity)


@pytest.mark.slow
@pytest.mark.spark
def test_a_run_that_is_cut_short_trains_no_model_twice(go, spark, market, monkeypatch) -> None:
    real, trained = train.train_task, []

    def count(task, *given):
        trained.append(task.spec.digest(0))
        return real(task, *given)

    stored = train.store

    def die(*given, **named):
        if len(trained) == 4:
            raise KeyboardInterrupt
        stored(*given, **named)

    monkeypatch.setattr(train, "train_task", count)
    monkeypatch.setattr(train, "store", die)
    with pytest.raises(KeyboardInterrupt):
        go(**FORESTS)
    monkeypatch.setattr(train, "store", stored)
    go(**FORESTS)
    # three were stored; the fourth, whose predictions were not, and the last two
    assert len(trained) == 4 + 3
    assert len(set(trained)) == 2 * FOLDS
    predicted = rows_of(market, PREDICTIONS)
    assert not predicted.duplicated(["model_digest", "symbol", "ts"]).any()


@pytest.mark.slow
@pytest.mark.parametrize("anchored", ["true", "false"])
def test_a_strategy_without_a_model_is_the_same_in_all_folds(go, market, capsys, anchored) -> None:
    from rich.console import Console

    result = go(report=True, split={**SPLIT, "anchored": anchored})
    stored = rows_of(market, RESULTS)
    assert stored[stored["window"].str.startswith("validate")]["config_id"].nunique() == 4
    assert (result.computed, len(result.leaderboard())) == (24, 8)
    print_answer(result.data, Console(width=160))
    shown = capsys.readouterr().out
    assert "Folds of made" in shown
    assert "The test windows of 3 folds joined" in shown
    assert {f.name for f in result.files} >= {"folds.csv", "stitched.parquet"}


@pytest.mark.spark
@pytest.mark.slow
def test_bars_of_a_test_window_change_no_choice(lake_home, spark, make_study, tmp_path) -> None:
    """Each fold's choice, for bars changed from the second fold's test window on."""
    results = run_twice(make_study(**FORESTS), tmp_path, lambda _: at("2013-10-10 13:30"))
    one, other = (result.folds for result in results)
    choice = ["config_id", "symbol", "model", "threshold", "validate"]
    pd.testing.assert_frame_equal(one[choice].head(2), other[choice].head(2))
    assert one["test"].iloc[0] == other["test"].iloc[0]
    assert one["test_return_pct"].iloc[1] != other["test_return_pct"].iloc[1]


def test_a_fold_without_a_choice_stays_in_cash(go, tmp_path) -> None:
    """A strategy that stops trading with bar 300: 113 a session, so in the third, validate of fold 1."""
    (tmp_path / "shy.py").write_text(
        "from whatif.strategies import Param, strategy, target\n"
        "@strategy(params={'size': Param(10.0), 'until': Param(100_000.0)}, inputs={'price': 'close'})\n"
        "def shy(i, x, p, s):\n"
        "    return target(p.size if s.minute % 7 < 3 and i < p.until else 0.0)\n"
    )
    strategy = {"name": "shy.py", "params": {"until": 300.0}}
    result = go(report=True, strategy=strategy, axes={"size": [1.0, 2.0]}, split=SPLIT)
    notes = list(result.folds["note"])
    assert notes[0] == ""
    assert "sharpe has no value for any of 4 backtests: 4 made no trade" in notes[1]
    assert list(result.folds["config_id"].iloc[1:]) == ["", ""]
    assert result.best is None
    assert (result.stitched_equity["returns"] == 0.0).all()
    assert any("Nothing could be chosen in fold 2, 3" in note for note in result.data.origin.notes)


@pytest.mark.spark
@pytest.mark.slow
def test_a_forest_tunes_itself_in_each_train_window(go, spark, market, make_study) -> None:
    models = {"small": {"trees": [1, 2], "depth": 2, "seed": 7, "tune": {"folds": 2}}}
    changes = {**FORESTS, "models": models, "axes": {"threshold": [0.00001]}}
    split = {"kind": "walk_forward", "train": 3, "validate": 1, "test": 1}
    result = go(**{**changes, "split": split})
    tuned = result.data.origin.environment["tuned"]
    assert list(tuned) == ["small, fold 1", "small, fold 2"]
    assert all("of 2 tried on time-ordered folds" in text for text in tuned.values())
    assert all(text.startswith("trees = ") for text in tuned.values())
    # and is remembered with what it predicts
    again = go(**{**changes, "split": split})
    assert again.data.origin.environment["models trained"] == "none"
    assert again.data.origin.environment["tuned"] == tuned
