"""Estimators of scikit-learn: named, checked, trained without a JVM, traded."""

from __future__ import annotations

from typing import Any

import pandas as pd
import pytest

from whatif.errors import ModelError, StudyError
from whatif.features import local_features
from whatif.labels import SEAM as LABELS
from whatif.lake.tables import PREDICTIONS
from whatif.models import SEAM
from whatif.resolve import check_study, resolve_study
from whatif.study import Study, parse_study
from whatif.training import judged
from whatif.workflow import RunOptions, run

from ..markets import put_bars, walk
from ..workflow.conftest import rows_of

STUDY = """
study: classes
data: {{symbols: [A, B], timeframe: {timeframe}, start: 2013-10-04, end: 2013-10-12}}
calendar: {{exchange: XNYS}}
features: [roc(1), roc(5)]
label: {{{label}}}
models: {{mine: {{{model}}}}}
strategy: {{name: {strategy}, params: {{size: 10.0}}}}
period: hour
"""

TREES = "kind: sklearn.ensemble.HistGradientBoostingClassifier, params: {max_iter: 5}, seed: 3"
BARRIERS = "kind: triple_barrier, target: 0.002, stop: 0.0015, horizon: 10"


def study(
    model: str = TREES,
    label: str = BARRIERS,
    strategy: str = "probability_threshold",
    timeframe: str = "1min",
) -> Study:
    return parse_study(STUDY.format(model=model, label=label, strategy=strategy, timeframe=timeframe))


@pytest.mark.parametrize(
    ("model", "said"),
    [
        (
            "kind: sklearn.ensemble.HistGradientBostingClassifier",
            r"models\.mine\.kind: 'sklearn\.ensemble\.HistGradientBostingClassifier' is no estimator: "
            r"did you mean 'sklearn\.ensemble\.HistGradientBoostingClassifier'",
        ),
        (
            "kind: sklearn.enemble.RandomForestRegressor",
            r"did you mean 'sklearn\.ensemble\.RandomForestRegressor'",
        ),
        ("kind: sklearn.cluster.KMeans", r"predicts neither a number nor a class"),
        (
            "kind: sklearn.linear_model.Ridge, params: {alfa: 1.0}",
            r"params\.alfa: sklearn\.linear_model\.Ridge has no such parameter: did you mean 'alpha'",
        ),
        (
            "kind: sklearn.linear_model.Ridge, params: {alpha: -1.0}",
            r"The 'alpha' parameter of Ridge must be",
        ),
        ("kind: sklearn.linear_model.RidgeClassifier", r"gives no probabilities \(predict_proba\)"),
        (
            "kind: sklearn.linear_model.Ridge, alpha: 1.0",
            r"unknown key 'models\.mine\.alpha': valid: .*params",
        ),
        (
            "kind: sklearn.linear_model.Ridge, params: [{alpha: 1.0}, {alpha: 2.0}]",
            "params holds several values",
        ),
    ],
)
def test_what_cannot_be_taken_is_named_before_anything_is_read(model: str, said: str) -> None:
    with pytest.raises(StudyError, match=said):
        study(model)


def test_several_parameters_are_candidates() -> None:
    mine = study(
        "kind: sklearn.linear_model.Ridge, params: [{alpha: 1.0}, {alpha: 2.0}], tune: {folds: 2}",
        "kind: forward_return",
    ).models["mine"]
    assert [one.params for one in mine.candidates] == [{"alpha": 1.0}, {"alpha": 2.0}]  # type: ignore[attr-defined]


MARKETS = [walk(symbol, seed, minutes=120) for seed, symbol in enumerate("AB")]


@pytest.fixture
def market(lake_home):
    put_bars(lake_home, MARKETS)
    return lake_home


@pytest.mark.parametrize(
    ("keys", "said"),
    [
        ({"label": "horizon: 5min"}, "target: class"),
        (
            {"model": "kind: sklearn.linear_model.Ridge"},
            "kind 'sklearn.linear_model.Ridge' learns return or level, and label kind 'triple_barrier' gives "
            "class",
        ),
        (
            {"strategy": "forecast_threshold"},
            "strategy 'forecast_threshold' needs input 'forecast', and model 'mine' learns target 'class', "
            "which gives prob_long and prob_short",
        ),
        (
            {"model": "kind: sklearn.linear_model.Ridge", "label": "horizon: 5min"},
            "needs input 'prob_long', and model 'mine' learns target 'return', which gives forecast",
        ),
    ],
)
def test_model_label_and_strategy_have_to_fit(keys: dict[str, str], said: str) -> None:
    if said == "target: class":  # a return has a sign, which a classifier may learn
        check_study(study(**keys))
        return
    with pytest.raises(StudyError) as refused:
        check_study(study(**keys))
    assert said in str(refused.value)


def test_a_classifier_is_trained_and_traded_without_a_jvm(market, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WHATIF_RUNNER", "local")
    monkeypatch.setattr("whatif.workflow.train.get_spark", None)
    asked = study()
    result = run(asked, None, market, RunOptions(report=False, track=False))
    assert (result.computed, result.failed) == (2, 0)
    assert result.data.origin.environment["models trained"] == "mine"
    (words,) = result.data.origin.environment["models on validate"].values()
    assert "skill against the base rate of the train window" in words
    assert "no better than the base rate" in words  # of a walk that nobody can know ahead
    assert "a linear model of the same features" in words
    again = run(asked, None, market, RunOptions(report=False, track=False))
    assert again.data.origin.environment["models trained"] == "none"
    assert again.data.origin.environment["models on validate"] == {"mine": words}

    # what is stored is the estimator's own answer to the same rows, to the last bit
    from sklearn.ensemble import HistGradientBoostingClassifier
    from sklearn.preprocessing import StandardScaler

    spec = resolve_study(asked, market).models["mine", "1min", 1]
    (window,) = spec.train
    columns = list(spec.columns)
    frame = local_features(resolve_study(asked, market).bars, spec.features).dropna(subset=columns)
    begin, end = (pd.Timestamp(us, unit="us", tz="UTC") for us in (window.start_us, window.end_us))
    taught = frame[(frame["ts"] >= begin) & (frame["label_end"] <= end) & frame["label_class"].notna()]
    scaler = StandardScaler().fit(taught[columns].to_numpy())
    estimator = HistGradientBoostingClassifier(max_iter=5, random_state=3)
    estimator.fit(scaler.transform(taught[columns].to_numpy()), taught["label_class"].to_numpy())
    later = frame[frame["ts"] >= end]
    chances = estimator.predict_proba(scaler.transform(later[columns].to_numpy()))
    assert list(estimator.classes_) == [-1, 0, 1]
    stored = rows_of(market, PREDICTIONS)
    assert stored["prob_long"].to_numpy().tobytes() == chances[:, 2].tobytes()
    assert stored["prob_short"].to_numpy().tobytes() == chances[:, 0].tobytes()
    assert stored["prediction"].isna().all()


def test_one_class_alone_is_refused_with_the_rule(market, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WHATIF_RUNNER", "local")
    far = study(label="kind: triple_barrier, target: 0.9, stop: 0.8, horizon: 10")
    with pytest.raises(
        ModelError, match=r"needs labels of two classes, and all 6\d\d of .* are neither \(0\)"
    ):
        run(far, None, market, RunOptions(report=False, track=False))
    assert rows_of(market, PREDICTIONS).empty


def test_a_feature_that_is_never_there_is_named(market, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WHATIF_RUNNER", "local")
    asked = parse_study(
        STUDY.format(model=TREES, label=BARRIERS, strategy="probability_threshold", timeframe="1min")
        .replace("roc(1), roc(5)", "roc(1), (close - close) / (volume - volume)")
    )  # fmt: skip
    with pytest.raises(ModelError, match="has no value in it, and no kind of model takes a row that lacks"):
        run(asked, None, market, RunOptions(report=False, track=False))


def test_a_classifier_that_knows_is_better_than_the_base_rate_and_one_that_does_not_is_not() -> None:
    assert judged({}) == ""
    figures = {
        "log_loss": 0.5, "skill": 0.1, "skill_low": 0.05, "skill_high": 0.15, "linear_skill": 0.12,
        "base_long": 0.3, "rate_long": 0.25, "auc_long": 0.61, "base_short": 0.0, "rate_short": 0.0,
        "auc_short": float("nan"),
    }  # fmt: skip
    assert judged(figures) == (
        "skill against the base rate of the train window +0.1000 (95 % interval +0.0500 to +0.1500): better; "
        "a linear model of the same features +0.1200; long 30 % of train, 25 % here, AUC 0.610"
    )
    assert "+0.1600, which is better" in judged({**figures, "linear_skill": 0.16})
    assert "no better than the base rate" in judged({**figures, "skill_low": -0.01})


def test_every_label_there_is_can_be_learnt_by_some_kind() -> None:
    kinds = [kind for kind in SEAM.built_in.values() if not getattr(kind, "extra", "")]
    targets = {target for kind in kinds for target in _targets(kind)}
    for name, kind in LABELS.built_in.items():
        keys = {"side": "roc(1)"} if name == "meta" else {}
        assert set(kind.model_validate({"kind": name, **keys}).targets) <= targets, name


def _targets(kind: Any) -> tuple[str, ...]:
    said = "sklearn.linear_model.LogisticRegression" if kind.family else kind.model_fields["kind"].annotation
    name = said if isinstance(said, str) else said.__args__[0]
    keys = {"registered": "m@1"} if name == "registered" else {}
    found: tuple[str, ...] = kind.model_validate({"kind": name, **keys}).targets
    return found
