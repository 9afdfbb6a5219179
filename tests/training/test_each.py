"""One model for each symbol: its rows alone teach it, its symbol alone trades it, and it is known by it."""

from __future__ import annotations

import pandas as pd
import pytest

from whatif.errors import ModelError, StudyError
from whatif.features import local_features
from whatif.lake.tables import PREDICTIONS
from whatif.resolve import resolve_study
from whatif.study import Study, parse_study
from whatif.workflow import RunOptions, run

from ..markets import put_bars, walk
from ..workflow.conftest import rows_of

STUDY = """
study: each
data: {{symbols: [A, B], timeframe: 1min, start: 2013-10-04, end: 2013-10-12}}
calendar: {{exchange: XNYS}}
features: [roc(1), roc(5)]
label: {{horizon: 5min}}
models: {{{models}}}
strategy: {{name: forecast_threshold, params: {{size: 10.0}}}}
axes: {{threshold: [0.0000001]{more}}}
period: hour
"""
RIDGE = "kind: sklearn.linear_model.Ridge"
MARKETS = [walk(symbol, seed, minutes=120) for seed, symbol in enumerate("AB")]
QUIET = RunOptions(report=False, track=False)


def study(models: str = f"own: {{{RIDGE}, each: symbol}}", more: str = "") -> Study:
    return parse_study(STUDY.format(models=models, more=more))


@pytest.fixture
def market(lake_home, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("WHATIF_RUNNER", "local")
    monkeypatch.setattr("whatif.workflow.train.get_spark", None)
    put_bars(lake_home, MARKETS)
    return lake_home


def test_each_learns_from_its_symbol_and_is_asked_of_it_alone(market) -> None:
    asked = study()
    result = run(asked, None, market, QUIET)
    assert (result.computed, result.failed) == (2, 0)
    environment = result.data.origin.environment
    assert environment["models trained"] == "own, A, own, B"
    assert list(environment["models on validate"]) == list(result.data.models) == ["own, A", "own, B"]

    from sklearn.linear_model import Ridge
    from sklearn.preprocessing import StandardScaler

    resolved = resolve_study(asked, market)
    (spec,) = resolved.models.values()
    (window,), columns = spec.train, list(spec.columns)
    frame = local_features(resolved.bars, spec.features).dropna(subset=columns)
    begin, end = (pd.Timestamp(us, unit="us", tz="UTC") for us in (window.start_us, window.end_us))
    stored = rows_of(market, PREDICTIONS)
    whole = spec.digest(resolved.bars.snapshot_id)
    assert set(stored["model_digest"]) == {f"{whole}-A", f"{whole}-B"}
    for symbol, own in frame.groupby("symbol"):
        taught = own[(own["ts"] >= begin) & (own["label_end"] <= end) & own["label_return"].notna()]
        scaler = StandardScaler().fit(taught[columns].to_numpy())
        ridge = Ridge(random_state=0)
        ridge.fit(scaler.transform(taught[columns].to_numpy()), taught["label_return"].to_numpy())
        wanted = ridge.predict(scaler.transform(own.loc[own["ts"] >= end, columns].to_numpy()))
        found = stored.loc[stored["model_digest"] == f"{whole}-{symbol}"]
        assert set(found["symbol"]) == {symbol}
        assert found["prediction"].to_numpy().tobytes() == wanted.tobytes()


@pytest.mark.slow
def test_what_is_traded_is_what_a_study_of_the_symbol_alone_trades(market) -> None:
    both = run(study(), None, market, QUIET).leaderboard().set_index("symbol")
    for symbol in "AB":
        text = STUDY.format(models=f"own: {{{RIDGE}}}", more="").replace("[A, B]", f"[{symbol}]")
        alone = run(parse_study(text), None, market, QUIET).leaderboard().set_index("symbol")
        assert alone.loc[symbol, "exposure"] > 0
        for metric in ("pnl_net", "exposure", "sharpe"):
            assert both.loc[symbol, metric] == alone.loc[symbol, metric], (symbol, metric)


def test_one_of_all_and_one_of_each_stand_side_by_side(market) -> None:
    """Other configurations, other predictions; run again, nothing is trained again."""
    models = f"own: {{{RIDGE}, each: symbol}}, all: {{{RIDGE}}}"
    asked = study(models, ", model: [own, all]")
    result = run(asked, None, market, QUIET)
    board = result.leaderboard()
    assert result.computed == 4
    assert board["config_id"].nunique() == 2
    assert result.data.origin.environment["models trained"] == "all, own, A, own, B"
    again = run(asked, None, market, QUIET)
    assert again.computed == 0
    assert again.data.origin.environment["models trained"] == "none"
    assert list(again.data.models) == ["own, A", "own, B", "all"]


def test_a_symbol_with_too_few_rows_is_named(market) -> None:
    put_bars(market, [walk("C", 7, minutes=2)])
    text = STUDY.format(models=f"own: {{{RIDGE}, each: symbol}}", more="").replace("[A, B]", "[A, C]")
    with pytest.raises(ModelError, match="model 'own of C' has no row to train on"):
        run(parse_study(text), None, market, QUIET)


def test_a_symbol_of_one_class_is_named(market) -> None:
    far = "{kind: triple_barrier, target: 0.9, stop: 0.8, horizon: 10}"
    kind = "kind: sklearn.linear_model.LogisticRegression, each: symbol"
    text = STUDY.format(models=f"own: {{{kind}}}", more="").replace("{horizon: 5min}", far)
    text = text.replace("{name: forecast_threshold, params: {size: 10.0}}", "{name: probability_threshold}")
    text = text.replace("axes: {threshold: [0.0000001]}\n", "")
    with pytest.raises(ModelError, match=r"model 'own of A': .* needs labels of two classes, and all"):
        run(parse_study(text), None, market, QUIET)


@pytest.mark.parametrize(
    ("models", "said"),
    [
        (f"own: {{{RIDGE}, each: symbols}}", r"models\.own\.each = 'symbols'"),
        ("own: {registered: a@1, each: symbol}", r"models\.own\.each.* is for models that a study trains"),
    ],
)
def test_what_it_cannot_be_is_refused(models: str, said: str) -> None:
    with pytest.raises(StudyError, match=said):
        study(models)
