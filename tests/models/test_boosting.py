"""XGBoost and LightGBM, which an extra installs: asked for without it, and trained with it."""

from __future__ import annotations

import pickle
import sys
from typing import Any

import numpy as np
import pandas as pd
import pytest

from whatif.errors import StudyError
from whatif.models import SEAM
from whatif.study import parse_study

STUDY = """
study: boosting
data: {{symbols: [A], timeframe: 1d, start: 2010-01-04, end: 2013-10-12}}
calendar: {{exchange: XNYS}}
features: [roc(1)]
label: {{kind: triple_barrier}}
models: {{mine: {{{model}}}}}
strategy: {{name: probability_threshold}}
"""

KINDS = {"xgboost": "xgboost.XGBClassifier", "lightgbm": "lightgbm.LGBMClassifier"}


@pytest.mark.parametrize("package", sorted(KINDS))
def test_without_the_package_the_extra_is_named(package: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, package, None)
    name = KINDS[package]
    said = rf"models\.mine\.kind: '{name}' needs the package {package}, which is not installed: pip install"
    with pytest.raises(StudyError, match=rf"{said} 'whatif\[boosting\]'"):
        parse_study(STUDY.format(model=f"kind: {name}"))


@pytest.mark.parametrize(
    ("model", "said"),
    [
        ("kind: xgboost.XGBClasifier", r"is no estimator: did you mean 'xgboost\.XGBClassifier'"),
        ("kind: lightgbm.LGBMClasifier", r"is no estimator: did you mean 'lightgbm\.LGBMClassifier'"),
        ("kind: xgboost.XGBRanker", r"predicts neither a number nor a class"),
        (
            "kind: xgboost.XGBClassifier, params: {n_estimator: 5}",
            r"params\.n_estimator: xgboost\.XGBClassifier has no such parameter: did you mean 'n_estimators'",
        ),
        (
            "kind: lightgbm.LGBMClassifier, params: {num_leave: 5}",
            r"params\.num_leave: lightgbm\.LGBMClassifier has no such parameter: did you mean 'num_leaves'",
        ),
    ],
)
def test_what_cannot_be_taken_is_named(model: str, said: str) -> None:
    pytest.importorskip(model.split()[1].split(".")[0])
    with pytest.raises(StudyError, match=said):
        parse_study(STUDY.format(model=model))


def rows(classes: tuple[float, ...]) -> pd.DataFrame:
    rng = np.random.default_rng(2)
    signal, noise = rng.normal(size=(2, 400))
    cuts = np.quantile(signal, np.linspace(0, 1, len(classes) + 1)[1:-1])
    label = np.array(classes)[np.searchsorted(cuts, signal)]
    ts = pd.date_range("2020-01-01", periods=400, tz="UTC")
    return pd.DataFrame({"symbol": "A", "ts": ts, "signal": signal, "noise": noise, "label": label})


@pytest.mark.parametrize("package", sorted(KINDS))
@pytest.mark.parametrize("classes", [(-1.0, 0.0, 1.0), (-1.0, 1.0), (0.0, 1.0)])
def test_classes_are_told_apart_whatever_they_are_called(package: str, classes: tuple[float, ...]) -> None:
    pytest.importorskip(package)
    keys: dict[str, Any] = {"params": {"n_estimators": 10}, "seed": 3, "weights": "class"}
    kind = SEAM.section({"kind": KINDS[package], **keys}).model_copy(update={"target": "class"})
    assert kind.targets == ("class",)
    taught = rows(classes).assign(weight=1.0)
    fitted = kind.fit(taught, ("signal", "noise"))
    found = kind.predict(fitted, taught)
    for side, value in (("prob_long", 1.0), ("prob_short", -1.0)):
        is_one = (taught["label"] == value).to_numpy()
        if value in classes:
            assert found.loc[is_one, side].mean() > found.loc[~is_one, side].mean() + 0.3
        else:
            assert (found[side] == 0.0).all()
    assert fitted.importances is not None
    assert fitted.importances[0] > fitted.importances[1]
    # the same rows teach the same bytes, and what is saved says the same
    again = kind.fit(taught, ("signal", "noise"))
    loaded = pickle.loads(pickle.dumps(fitted))
    for one in (again, loaded):
        assert (
            kind.predict(one, taught)["prob_long"].to_numpy().tobytes()
            == found["prob_long"].to_numpy().tobytes()
        )


@pytest.mark.parametrize("package", sorted(KINDS))
def test_numbers_are_learnt_too(package: str) -> None:
    pytest.importorskip(package)
    name = KINDS[package].replace("Classifier", "Regressor")
    kind = SEAM.section({"kind": name, "params": {"n_estimators": 20}}).model_copy(
        update={"target": "return"}
    )
    assert kind.targets == ("return", "level")
    taught = rows((-1.0, 0.0, 1.0))
    found = kind.predict(kind.fit(taught, ("signal", "noise")), taught)["prediction"]
    assert np.corrcoef(found, taught["label"])[0, 1] > 0.9
