"""A kind of model of one's own: found, held to the contract, refused by name and rule, run to an answer."""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path
from types import ModuleType
from typing import Any, ClassVar

import mlflow
import numpy as np
import pandas as pd
import pytest

from whatif import plugins
from whatif.errors import ModelError, PluginError, StudyError
from whatif.features.spec import feature_frame
from whatif.lake.results import RESULTS
from whatif.lake.tables import PREDICTIONS
from whatif.models import ArrayModel, Calibration, Fitted, ModelKind, RandomForest
from whatif.models.contract import check_taught, check_values
from whatif.models.kinds import SEAM
from whatif.resolve import resolve_study
from whatif.study import Study, parse_study
from whatif.testing import check_model
from whatif.training.spec import code_of
from whatif.workflow import RunOptions, run

from ..markets import put_bars, walk
from ..workflow.conftest import rows_of

STUDY = """
study: own
data: {{symbols: [A, B], timeframe: 1min, start: 2013-10-04, end: 2013-10-12}}
calendar: {{exchange: XNYS}}
features: [roc(1), roc(5)]
label: {{horizon: 5min}}
models: {{mine: {{{model}}}}}
strategy: {{name: forecast_threshold, params: {{size: 10.0}}}}
axes: {{threshold: [0.00001, 0.0001]}}
period: hour
"""


class Ridge(ArrayModel):
    """Linear regression with a penalty on the weights, in closed form."""

    tunable: ClassVar[tuple[str, ...]] = ("penalty",)

    penalty: float | tuple[float, ...] = 1.0

    def fit_arrays(self, features, label):
        """Return weights and intercept."""
        middle, level = features.mean(axis=0), label.mean()
        x = features - middle
        weights = np.linalg.solve(x.T @ x + self.penalty * np.eye(x.shape[1]), x.T @ (label - level))
        return weights, level - middle @ weights

    def predict_arrays(self, model, features):
        """Return the linear combination."""
        return (features * model[0]).sum(axis=1) + model[1]


class Faulty(Ridge):
    """One that breaks a rule of the contract."""

    rule: str = ""

    def fit_arrays(self, features, label):
        if self.rule == "learn":
            raise ZeroDivisionError("nothing to divide by")
        return super().fit_arrays(features, label)

    def predict_arrays(self, model, features):
        values = super().predict_arrays(model, features)
        return {
            "": values,
            "length": values[:-1],
            "shape": values[:, None],
            "type": values.astype(np.float32),
            "list": list(values),
            "nan": np.where(np.arange(len(values)) == 1, np.nan, values),
            "infinite": values + np.inf,
            "neighbours": values - values.mean(),
        }[self.rule]


class OnSpark(ModelKind):
    """One that predicts on Spark, and breaks a rule of the contract."""

    rule: str = ""

    def fit(self, rows, columns):
        """Learn nothing."""
        if self.rule == "fitted":
            return {"mean": 0.0}
        importances = (1.0,) if self.rule == "importances" else None
        return Fitted(columns if self.rule != "columns" else (), 0.0, rows.count(), importances)

    def predict(self, fitted, rows):
        """Predict nothing."""
        nothing = "case when second(ts) + minute(ts) = 31 then null else 0d end"
        rows = rows.selectExpr("*", f"{nothing if self.rule == 'null' else '0d'} prediction")
        return {
            "fewer": lambda: rows.where("minute(ts) <> 31"),
            "other": lambda: rows.selectExpr(
                *fitted.columns, "symbol", "ts + interval 1 day ts", "prediction"
            ),
            "float": lambda: rows.selectExpr("symbol", "ts", "float(prediction) prediction"),
            "column": lambda: rows.drop("prediction"),
        }.get(self.rule, lambda: rows)()

    def save(self, fitted, folder):
        """Save nothing."""
        return {}

    def load(self, folder):
        """Load nothing."""
        raise NotImplementedError


class Shares(ModelKind):
    """One on the seam itself, whose probabilities are shares of a rising function; saved as JSON."""

    forgets: bool = False

    @property
    def targets(self):
        """Classes."""
        return ("class",)

    def fit(self, rows, columns):
        """Learn how often each side came."""
        found = rows.selectExpr("count(*) n", "avg(int(label > 0)) up", "avg(int(label < 0)) down").first()
        return Fitted(columns, [found.up, found.down] if found.n else None, found.n)

    def predict(self, fitted, rows):
        """Return the shares, moved by the first column."""
        up, down = fitted.model
        moved = f"(0.5 + 0.5 * tanh(`{fitted.columns[0]}`))"
        return rows.selectExpr("*", f"{up}d * {moved} prob_long", f"{down}d * (1 - {moved}) prob_short")

    def save(self, fitted, folder):
        """Write what it learnt and its calibration."""
        calibration = None if self.forgets or fitted.calibration is None else fitted.calibration.content
        content = [fitted.columns, fitted.model, fitted.rows, calibration]
        (folder / "shares.json").write_text(json.dumps(content))
        return {"python_function": {"loader_module": __name__, "data": "shares.json"}}

    def load(self, folder):
        """Read it."""
        columns, model, rows, calibration = json.loads((folder / "shares.json").read_text())
        read = None if calibration is None else Calibration.read(calibration)
        return Fitted(tuple(columns), model, rows, calibration=read)


class Half(ArrayModel):
    """One that cannot predict."""

    def fit_arrays(self, features, label):
        return 0.0


@pytest.fixture
def own(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    module = ModuleType("own_models")
    for kind in (Ridge, Faulty, OnSpark, Half):
        setattr(module, kind.__name__, kind)
    module.NoModel = dict  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "own_models", module)
    return module


def entries(monkeypatch: pytest.MonkeyPatch, *found: tuple[str, str, str]) -> None:
    monkeypatch.setattr(plugins, "_entries", lambda group: found if group == "whatif.models" else ())


def study(model: str) -> Study:
    return parse_study(STUDY.format(model=model))


@pytest.mark.parametrize("kind", ["own_models:Ridge", "ridge"])
def test_it_is_found_by_module_and_by_entry_point(own, monkeypatch, kind: str) -> None:
    entries(monkeypatch, ("ridge", "own_models:Ridge", "own-models 1.2"))
    made = study(f"kind: '{kind}', penalty: [0.1, 10.0], features: [roc(5)], tune: {{folds: 2}}")
    mine = made.models["mine"]
    assert isinstance(mine, Ridge)
    assert [one.penalty for one in mine.candidates] == [0.1, 10.0]
    # written out and read again, with its own keys
    assert parse_study(made.text).models == made.models
    assert Study.model_validate(made.model_dump(by_alias=True)).models == made.models
    assert made.model_dump(by_alias=True)["models"]["mine"] == {
        "kind": kind, "penalty": (0.1, 10.0), "features": ("roc(5)",), "target": None, "tune": {"folds": 2},
    }  # fmt: skip
    assert [(p.name, p.origin) for p in SEAM.every()] == [
        ("gradient_boosted_trees", "whatif"), ("lightgbm", "whatif"), ("linear_regression", "whatif"),
        ("logistic_regression", "whatif"), ("multilayer_perceptron", "whatif"), ("random_forest", "whatif"),
        ("registered", "whatif"), ("ridge", "own-models 1.2"), ("sklearn", "whatif"), ("xgboost", "whatif"),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("model", "said"),
    [
        ("kind: rigde", r"models\.mine\.kind = 'rigde': did you mean 'ridge'"),
        ("kind: ridge, penalti: 3.0", r"unknown key 'models\.mine\.penalti': did you mean 'penalty'"),
        ("kind: ridge, trees: 3", r"unknown key 'models\.mine\.trees': "),
        ("kind: ridge, penalty: x", r"models\.mine\.penalty = 'x'"),
        ("kind: ridge, penalty: [1.0, 2.0]", r"penalty holds several values, and the model does not say how"),
        ("kind: 'own_models:OnSpark', tune: {}", r"models\.mine: tune has nothing to choose: remove tune"),
        ("kind: ridge, features: [roc(2)]", r"model mine uses feature 'roc\(2\)'"),
        ("kind: 'own_models:Rigde'", r"model 'own_models:Rigde' cannot be imported: AttributeError"),
        ("kind: 'no_module:Ridge'", r"model 'no_module:Ridge' cannot be imported: ModuleNotFoundError"),
        ("kind: 'own_models:NoModel'", r"is no class derived from whatif\.models\.base\.ModelKind"),
        ("kind: 'own_models:Half'", r"model 'own_models:Half'.* does not define predict_arrays"),
    ],
)
def test_what_cannot_be_taken_is_named(own, monkeypatch, model: str, said: str) -> None:
    entries(monkeypatch, ("ridge", "own_models:Ridge", "own-models 1.2"))
    with pytest.raises(StudyError, match=said):
        study(model)


@pytest.mark.parametrize("name", ["ridge", "random_forest"])
def test_two_of_one_name_are_refused(own, monkeypatch, name: str) -> None:
    entries(monkeypatch, (name, "own_models:Ridge", "own 1"), (name, "own_models:Faulty", "other 2"))
    with pytest.raises(PluginError, match=f"model '{name}' is brought by both .* and o"):
        SEAM.every()


CODE = """
import numpy as np
from whatif.models import ArrayModel

SCALE = {scale}

class Mean(ArrayModel):
    '''{doc}'''
    share: float = 1.0

    def fit_arrays(self, features, label):
        return self.scaled(label.mean())

    def scaled(self, value):
        return {value}

    def predict_arrays(self, model, features):
        return np.full(len(features), model)
"""


def test_edited_code_is_another_model(tmp_path: Path) -> None:
    def code(scale: str = "1.0", value: str = "value * SCALE", doc: str = "A mean.") -> str:
        text = CODE.format(scale=scale, value=value, doc=doc)
        module = ModuleType("edited")
        exec(text, vars(module))
        return code_of(module.Mean)

    assert code() == code() == code(doc="Another text.")
    assert len({code(), code(scale="2.0"), code(value="value + SCALE"), code(value="super().scaled")}) == 4
    assert code_of(RandomForest) == ""
    assert code_of(Ridge) != code_of(Faulty)
    with pytest.raises(ModelError, match="model kind edited:Mean: open, which scaled reads, is open"):
        code(value="open('a').read()")


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ([0.0, 1.0], r"it predicts an array of numpy, not a list"),
        (np.zeros(3), r"it predicts one value for each row: \(2,\), not \(3,\)"),
        (np.zeros((2, 1)), r"it predicts one value for each row: \(2,\), not \(2, 1\)"),
        (np.zeros(2, dtype=np.int64), r"it predicts float64, not int64"),
        (np.array([0.0, np.nan]), r"its predictions are finite where all features are there, and 1 of 2"),
    ],
)
def test_arrays_that_break_the_contract(values: Any, said: str) -> None:
    with pytest.raises(ModelError, match=f"models: kind 'own' breaks its contract: {said}"):
        check_values(Ridge(kind="own"), values, 2)


@pytest.mark.parametrize(
    ("values", "said"),
    [
        (np.zeros(2), r"it predicts two probabilities for each row: \(2, 2\), not \(2,\)"),
        (
            np.array([[0.5, 0.6], [0.1, 0.1]]),
            r"probabilities of long and short are from 0 on, and together at",
        ),
        (
            np.array([[-0.1, 0.6], [0.1, 0.1]]),
            r"probabilities of long and short are from 0 on, and together at",
        ),
        (np.array([[np.nan, 0.6], [0.1, 0.1]]), r"its predictions are finite where .* 1 of 2"),
    ],
)
def test_probabilities_that_break_the_contract(values: Any, said: str) -> None:
    with pytest.raises(ModelError, match=f"models: kind 'own' breaks its contract: {said}"):
        check_values(Ridge(kind="own", target="class"), values, 2)


@pytest.mark.parametrize(
    ("rows", "classes", "said"),
    [
        (2, None, "would learn 2 features from 2 rows: it needs more rows than features; lengthen"),
        (40, {0.0}, r"needs labels of two classes, and all 40 of the train window are neither \(0\)"),
        (40, {-1.0}, r"all 40 of the train window are short \(-1\): move the label"),
    ],
)
def test_rows_that_teach_nothing(rows: int, classes: set[float] | None, said: str) -> None:
    with pytest.raises(ModelError, match=said):
        check_taught(Ridge(kind="own"), ("a", "b"), rows, classes)
    check_taught(Ridge(kind="own"), ("a", "b"), 40, {0.0, 1.0})


MARKETS = [walk(symbol, seed, minutes=120) for seed, symbol in enumerate("AB")]


@pytest.fixture
def market(spark, lake_home):
    put_bars(lake_home, MARKETS)
    return lake_home


@pytest.mark.spark
def test_a_study_with_it_runs_to_its_answer(spark, market, own, tmp_path: Path) -> None:
    asked = study("kind: 'own_models:Ridge', penalty: 0.001")
    result = run(asked, spark, market, RunOptions(report=False))
    assert (result.computed, result.failed) == (2 * 2, 0)
    assert result.best.test["status"] == "ok"
    again = run(asked, spark, market, RunOptions(report=False, track=False))
    assert (again.computed, again.data.origin.environment["models trained"]) == (0, "none")

    # what is stored is the function of the arrays, as bytes
    spec = resolve_study(asked, market).models["mine", "1min", 1]
    (window,) = spec.train
    columns = list(spec.columns)
    frame = pd.concat(feature_frame(bars, spec.features) for bars in MARKETS).dropna(subset=columns)
    begin, end = (pd.Timestamp(us, unit="us", tz="UTC") for us in (window.start_us, window.end_us))
    taught = frame[(frame["ts"] >= begin) & (frame["label_end"] <= end) & frame["label_return"].notna()]
    mine = Ridge(kind="by hand", penalty=0.001)
    learnt = mine.fit_arrays(taught[columns].to_numpy(), taught["label_return"].to_numpy())
    later = frame[frame["ts"] >= end]
    wanted = mine.predict_arrays(learnt, later[columns].to_numpy())
    stored = rows_of(market, PREDICTIONS)
    assert list(stored["symbol"]) == list(later["symbol"])
    assert stored["prediction"].to_numpy().tobytes() == wanted.tobytes()

    client = mlflow.MlflowClient(f"sqlite:///{market.home}/mlflow.db")
    experiments = [experiment.experiment_id for experiment in client.search_experiments()]
    (logged,) = client.search_runs(experiments, "tags.whatif.model_digest != ''")
    assert logged.data.params["penalty"] == "0.001"
    loaded = mlflow.pyfunc.load_model(client.download_artifacts(logged.info.run_id, "model", str(tmp_path)))
    assert loaded.predict(later[columns]).tobytes() == wanted.tobytes()


@pytest.mark.spark
@pytest.mark.parametrize(
    "model", ["Faulty', rule: nan", pytest.param("OnSpark', rule: fewer", marks=pytest.mark.slow)]
)
def test_one_that_breaks_its_contract_stores_nothing(own, market, spark, model: str) -> None:
    with pytest.raises(ModelError, match=r"models: kind 'own_models:.*' breaks its contract: "):
        run(study(f"kind: 'own_models:{model}"), spark, market, RunOptions(track=False, report=False))
    assert rows_of(market, PREDICTIONS).empty
    assert rows_of(market, RESULTS).empty


@pytest.mark.spark
@pytest.mark.parametrize(
    ("kind", "rule", "said"),
    [
        (Faulty, "length", r"it predicts one value for each row: \(600,\), not \(599,\)"),
        pytest.param(
            OnSpark, "fitted", r"fit returns a whatif\.models\.Fitted, not a dict", marks=pytest.mark.slow
        ),
        pytest.param(OnSpark, "importances", r"it gives 1 importances of 3 columns", marks=pytest.mark.slow),
        pytest.param(
            OnSpark,
            "columns",
            r"it learnt from \(\), and was given \('slope', 'bend', 'noise'\)",
            marks=pytest.mark.slow,
        ),
        (OnSpark, "fewer", r"it predicts one value for each row: 600, not 590"),
        pytest.param(
            OnSpark, "other", r"it predicts the rows that it was asked, not others", marks=pytest.mark.slow
        ),
        (OnSpark, "null", r"its predictions are finite where all features are there, and 10 of 600 are not"),
        pytest.param(
            OnSpark,
            "float",
            r"it predicts a double column 'prediction', which is float",
            marks=pytest.mark.slow,
        ),
        (OnSpark, "column", r"it predicts a double column 'prediction', which is not there"),
    ],
)
def test_what_breaks_the_contract_is_named_with_the_rule(spark, kind: type, rule: str, said: str) -> None:
    with pytest.raises(ModelError, match=f"models: kind 'own' breaks its contract: {said}"):
        check_model(kind, spark, {"rule": rule})


@pytest.mark.spark
@pytest.mark.parametrize(
    ("kind", "keys"),
    [
        pytest.param(Ridge, {"penalty": 0.1}, marks=pytest.mark.slow),
        pytest.param(Ridge, {"penalty": [0.1, 1.0], "tune": {}}, marks=pytest.mark.slow),
        pytest.param(RandomForest, {"trees": 3, "depth": 3, "seed": 1}, marks=pytest.mark.slow),
    ],
)
def test_every_kind_passes_the_suite(spark, kind: type[ModelKind], keys: dict[str, Any]) -> None:
    check_model(kind, spark, keys, "random_forest" if kind is RandomForest else "own")


@pytest.mark.spark
@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "keys"),
    [
        ("random_forest", {"trees": 3, "depth": 3, "seed": 1, "target": "class"}),
        ("gradient_boosted_trees", {"rounds": 3, "depth": 2}),
        ("gradient_boosted_trees", {"rounds": 3, "depth": 2, "target": "class"}),
        ("linear_regression", {"penalty": 0.001, "l1_share": 0.5}),
        ("logistic_regression", {"penalty": 0.01}),
        ("multilayer_perceptron", {"hidden": [4], "rounds": 20, "seed": 2}),
        ("sklearn.linear_model.Ridge", {}),
        ("sklearn.ensemble.HistGradientBoostingClassifier", {"params": {"max_iter": 5}}),
        ("sklearn.neural_network.MLPClassifier", {"params": {"hidden_layer_sizes": [4], "max_iter": 20}}),
    ],
)
def test_every_kind_that_comes_along_passes_the_suite(spark, name: str, keys: dict[str, Any]) -> None:
    check_model(SEAM.find(name), spark, keys, name, 1e-6)


@pytest.mark.spark
@pytest.mark.slow
def test_a_kind_on_the_seam_itself_keeps_its_calibration(spark) -> None:
    check_model(Shares, spark)
    with pytest.raises(AssertionError, match="own: what it saved has lost its calibration"):
        check_model(Shares, spark, {"forgets": True})


@pytest.mark.spark
@pytest.mark.slow
def test_the_suite_tells_what_no_row_shows(spark) -> None:
    with pytest.raises(AssertionError, match="own: a prediction depends on what else is asked"):
        check_model(Faulty, spark, {"rule": "neighbours"})
    with pytest.raises(AssertionError, match="own: it names no flavour in which MLflow reads it"):
        check_model(OnSpark, spark)
    with pytest.raises(ModelError, match="kind 'own' failed to learn: ZeroDivisionError: nothing to divide"):
        check_model(Faulty, spark, {"rule": "learn"})
    with pytest.raises(ModelError, match="takes its rows to the driver, at most 250 of 6 columns"):
        check_model(type("Small", (Ridge,), {"max_values": 1_500, "__module__": __name__}), spark)


@pytest.mark.spark
def test_the_example_of_the_documents(spark, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text = (Path(__file__).resolve().parents[2] / "docs" / "extending.md").read_text(encoding="utf-8")
    _, _, below = text.partition("## A model")
    code, written = (re.search(rf"```{kind}\n(.*?)```", below, re.DOTALL)[1] for kind in ("python", "yaml"))
    (tmp_path / "my_models.py").write_text(code)
    monkeypatch.syspath_prepend(tmp_path)
    model = parse_study(written).models["mine"]
    assert [one.penalty for one in model.candidates] == [0.001, 0.1]
    check_model(type(model), spark, {"penalty": 0.1}, "my_models:Ridge")
