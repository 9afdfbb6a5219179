"""Weights of training rows: by hand, alike on Spark, and what learns with them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest

from whatif.domain import DAY_US
from whatif.errors import StudyError
from whatif.features.spec import FeatureSpec
from whatif.labels import SEAM as LABELS
from whatif.models import SEAM as MODELS
from whatif.search.slices import BarSlice
from whatif.splits.fold import Window
from whatif.study import parse_study
from whatif.training import model_spec, predict, train
from whatif.training.validation import measured
from whatif.training.weights import KNOWN, average_uniqueness, weighed

from ..markets import us

START, CUT, END = us("2000-01-03T14:30"), us("2001-01-03T14:30"), us("2002-01-03T14:30")
LOGISTIC = "sklearn.linear_model.LogisticRegression"


def test_three_labels_by_hand() -> None:
    """Of six bars: one label sees the first three, one the third and fourth, one the last two.

    The example of section 4.5.3 of Lopez de Prado's book.
    """
    found = average_uniqueness(np.array([0, 2, 4]), np.array([2, 3, 5]), 6)
    assert found.tolist() == pytest.approx([(1 + 1 + 1 / 2) / 3, (1 / 2 + 1) / 2, 1.0])


def day(number: int) -> pd.Timestamp:
    return pd.Timestamp(START + number * DAY_US, unit="us", tz="UTC")


def twelve() -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return rows that train, and all bars: twelve days of A, of which some train, and two of B."""
    bars = pd.DataFrame({"symbol": ["A"] * 12 + ["B"] * 2, "ts": [*map(day, range(12)), day(0), day(1)]})
    # the row of a day, and when its label is known
    seen = {0: 3, 1: 3, 2: 4, 5: 9, 6: 7, 9: 12}
    labels = [1.0, 1.0, -1.0, 1.0, 0.0, 1.0, -1.0]
    rows = pd.DataFrame({"symbol": ["A"] * 6 + ["B"], "ts": [*map(day, seen), day(0)], "label": labels})
    return rows.assign(**{KNOWN: [*map(day, seen.values()), day(2)]}), bars


def test_uniqueness_of_twelve_days_by_hand() -> None:
    """Counted at the days that each label looks at.

    0 looks at days 1 and 2, 1 at 2 too, 2 at 3. 5 looks at 6, 7 and 8, and 6 is known by its own day. 9 looks
    at 10 and 11, and B's label at a day of B, which no other one does.
    """
    rows, bars = twelve()
    found = weighed(rows, bars, "uniqueness")
    assert list(found.columns) == ["symbol", "ts", "label", "weight"]
    unique = np.array([(1 + 1 / 2) / 2, 1 / 2, 1.0, (1 / 2 + 1 + 1) / 3, 1 / 2, 1.0, 1.0])
    np.testing.assert_allclose(found["weight"], unique * 7 / unique.sum(), rtol=1e-8)
    assert found["weight"].mean() == pytest.approx(1.0)


def test_classes_and_both_by_hand() -> None:
    """Four long, two short, one neither: each class weighs a third of all."""
    rows, bars = twelve()
    found = weighed(rows, bars, "class")["weight"]
    assert found.tolist() == pytest.approx([7 / 12, 7 / 12, 7 / 6, 7 / 12, 7 / 3, 7 / 12, 7 / 6])
    both = weighed(rows, bars, "both")
    totals = both.groupby("label")["weight"].sum()
    assert totals.tolist() == pytest.approx([7 / 3] * 3)
    # inside of a class they stand to each other as their uniqueness does
    long = both.loc[both["label"] == 1.0, "weight"].to_numpy()
    assert (long / long[0]).tolist() == pytest.approx([1, 2 / 3, (5 / 6) / (3 / 4), 1 / (3 / 4)])


def frame(days: int = 200, horizon: int = 3) -> pd.DataFrame:
    """Return days whose label is known some days later; two thirds of them are long."""
    rng = np.random.default_rng(5)
    signal = rng.normal(size=days)
    label = np.where(signal + rng.normal(size=days) > -0.5, 1.0, -1.0)
    ts = pd.Series([day(k) for k in range(days)])
    known = ts + pd.to_timedelta(1 + rng.integers(1, horizon + 1, days), "D")
    made = {
        "symbol": np.where(np.arange(days) % 2, "A", "B"),
        "ts": ts,
        "roc_1": signal,
        "label_class": label,
    }
    return pd.DataFrame({**made, "label_known": known, "label_end": ts + pd.Timedelta(days=horizon + 1)})


def spec(kind: str = LOGISTIC, **keys: Any) -> Any:
    features = FeatureSpec(
        BarSlice(("A", "B"), "1d", "1d", "XNYS", "regular", START, END),
        ("roc(1)",),
        LABELS.section({"kind": "triple_barrier", "horizon": 3}),
    )
    section = MODELS.section({"kind": kind, **keys})
    return model_spec("m", section, features, "class", Window("train", START, CUT))


@pytest.mark.parametrize("how", ["uniqueness", "class", "both"])
def test_an_estimator_learns_with_them(how: str) -> None:
    """The estimator's own fit with the same weights, to the last bit, and another one than without."""
    from sklearn.linear_model import LogisticRegression
    from sklearn.preprocessing import StandardScaler

    given = frame()
    rows = given.rename(columns={"label_class": "label", "label_known": KNOWN})
    made = weighed(rows[["symbol", "ts", "roc_1", "label", KNOWN]], given[["symbol", "ts"]], how)
    made = made.sort_values(["symbol", "ts"])
    x = StandardScaler().fit_transform(made[["roc_1"]].to_numpy())
    by_hand = LogisticRegression(random_state=0).fit(x, made["label"].astype(int), made["weight"].to_numpy())
    learnt = train(given, spec(weights=how)).fitted.model[-1]
    assert learnt.coef_.tobytes() == by_hand.coef_.tobytes()
    assert learnt.intercept_.tobytes() != train(given, spec()).fitted.model[-1].intercept_.tobytes()


def test_rows_in_another_order_weigh_the_same() -> None:
    given = frame()
    first = train(given, spec(weights="both")).fitted.model[-1]
    again = train(given.sample(frac=1.0, random_state=3), spec(weights="both")).fitted.model[-1]
    assert first.coef_.tobytes() == again.coef_.tobytes()


STUDY = """
study: weighed
data: {{symbols: [A], timeframe: 1d, start: 2010-01-04, end: 2013-10-12}}
calendar: {{exchange: XNYS}}
features: [roc(1)]
label: {{{label}}}
models: {{mine: {{{model}}}}}
strategy: {{name: probability_threshold}}
"""


@pytest.mark.parametrize(
    ("kind", "takes"),
    [
        ("random_forest", True), ("gradient_boosted_trees", True), ("logistic_regression", True),
        ("multilayer_perceptron", False), (LOGISTIC, True),
        ("sklearn.ensemble.HistGradientBoostingClassifier", True),
        ("sklearn.neighbors.KNeighborsClassifier", False),
    ],
)  # fmt: skip
def test_a_kind_that_takes_no_weights_is_refused_by_name(kind: str, takes: bool) -> None:
    text = STUDY.format(label="kind: triple_barrier", model=f"kind: {kind}, weights: both")
    if takes:
        plain = parse_study(text.replace(", weights: both", "")).models["mine"]
        weighed = parse_study(text).models["mine"]
        assert weighed.identity != plain.identity
        assert "weights" not in str(plain.identity)  # names of models that were stored before stay
        return
    with pytest.raises(
        StudyError, match=rf"models\.mine: weights = 'both': kind '{kind}' learns from all rows"
    ):
        parse_study(text)


def test_a_number_has_no_classes_to_weigh() -> None:
    from whatif.resolve import check_study

    model = "kind: sklearn.linear_model.Ridge, weights: class"
    text = STUDY.format(label="kind: forward_return", model=model).replace("probability", "forecast")
    with pytest.raises(
        StudyError, match=r"models\.mine: weights = 'class' weighs classes, and the model learns"
    ):
        check_study(parse_study(text))


@pytest.mark.spark
def test_spark_weighs_the_same_and_its_kinds_learn_with_it(spark) -> None:
    given = frame()
    there = spark.createDataFrame(given).repartition(5)
    for how in ("uniqueness", "class", "both"):
        here = train(given, spec(weights=how)).fitted.model[-1]
        assert train(there, spec(weights=how)).fitted.model[-1].coef_.tobytes() == here.coef_.tobytes()
    for kind in ("random_forest", "gradient_boosted_trees"):
        keys = {"depth": 2, "trees" if kind == "random_forest" else "rounds": 2}
        plain, heavy = (train(there, spec(kind, **keys, **more)) for more in ({}, {"weights": "both"}))
        asked = there.select("symbol", "ts", "roc_1")
        said = [one.kind.predict(one.fitted, asked).toPandas()["prob_long"].mean() for one in (plain, heavy)]
        assert said[1] < said[0] - 0.02  # long is what most rows are, and no longer weighs more
    # and there the features of such a model are shuffled as here
    scored = predict(there, heavy, START, 1)
    _, counted = measured(there, scored, heavy, (Window("validate", START, CUT),))
    assert counted.own == {"roc(1)": 1.0}
    assert counted.shuffled["roc(1)"] > 0.01
