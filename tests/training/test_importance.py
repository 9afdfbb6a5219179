"""Importance of features on validate: by what a model rests on, alone and by group."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest

from whatif.domain import DAY_US
from whatif.features.spec import FeatureSpec
from whatif.labels import SEAM as LABELS
from whatif.models import SEAM as MODELS
from whatif.search.slices import BarSlice
from whatif.splits.fold import Window
from whatif.training import Importance, model_spec, predict, train
from whatif.training.importance import groups_of
from whatif.training.tuning import NOTE, noted
from whatif.training.validation import measured

from ..markets import us

START, CUT, END = us("2000-01-03T14:30"), us("2001-01-03T14:30"), us("2002-01-03T14:30")
FEATURES = ("sma(2) / close", "sma(3) / close", "roc(1)")


def spec(
    kind: str, target: str, label: str = "forward_return", names: tuple[str, ...] = FEATURES, **keys: Any
) -> Any:
    bars = BarSlice(("A",), "1d", "1d", "XNYS", "regular", START, END)
    features = FeatureSpec(bars, names, LABELS.section({"kind": label}))
    return model_spec(
        "m", MODELS.section({"kind": kind, **keys}), features, target, Window("train", START, CUT)
    )


def rows(own: Any, copies: bool = False) -> pd.DataFrame:
    """Return days whose label is twice the first column, which the second one repeats if they are copies."""
    rng = np.random.default_rng(1)
    first, second, third = rng.normal(size=(3, 700))
    second = first if copies else second
    ts = pd.to_datetime(START + np.arange(700) * DAY_US, unit="us", utc=True)
    label = 2.0 * first
    made = dict(zip(own.columns, (first, second, third), strict=True))
    frame = pd.DataFrame({"symbol": "A", "ts": ts, **made, "label_level": 100.0, "label_return": label})
    return frame.assign(label_class=np.sign(label), label_end=ts + pd.Timedelta(days=1))


def found(own: Any, frame: pd.DataFrame) -> Importance:
    trained = train(frame, own)
    scored = predict(frame, trained, CUT, 1)
    return measured(frame, scored, trained, (Window("validate", CUT, END),))[1]


def test_groups_are_made_of_the_same_names() -> None:
    own = spec("sklearn.linear_model.Ridge", "return")
    assert groups_of(own) == {"close, sma": own.columns[:2], "roc": own.columns[2:]}


def test_what_a_model_rests_on_and_what_it_does_not() -> None:
    """Of independent columns the loss without the first is twice the variance of what it explains."""
    own = spec("sklearn.linear_model.Ridge", "return", params={"alpha": 30.0})
    frame = rows(own)
    made = found(own, frame)
    assert list(made.own) == list(made.shuffled) == list(FEATURES)
    assert max(made.own, key=lambda name: made.own[name]) == FEATURES[0]
    # a shuffled column is another draw of the same: residual r, weight w: w^2 * 2 var(x) beside r^2 var(x)
    assert made.shuffled[FEATURES[0]] > 50
    assert abs(made.shuffled[FEATURES[1]]) < 0.1
    assert abs(made.shuffled[FEATURES[2]]) < 0.1
    # both of a group at once
    assert made.groups == {"close, sma": pytest.approx(made.shuffled[FEATURES[0]], rel=0.3)}
    assert found(own, frame) == made


def test_two_that_say_the_same_count_together() -> None:
    """The penalty shares the weight among copies: each alone does a quarter of the harm of both."""
    own = spec("sklearn.linear_model.Ridge", "return", params={"alpha": 30.0})
    made = found(own, rows(own, copies=True))
    one, other, none = (made.shuffled[name] for name in FEATURES)
    assert one == pytest.approx(other, rel=0.3)
    assert made.groups["close, sma"] == pytest.approx(4 * one, rel=0.3)
    assert abs(none) < 0.1


def test_a_group_that_is_called_as_a_feature_is_another_figure() -> None:
    names = ("close", "2.0 * close", "roc(1)")
    own = spec("sklearn.linear_model.Ridge", "return", names=names, params={"alpha": 30.0})
    made = found(own, rows(own, copies=True))
    one, other, _ = made.shuffled.values()
    assert one == pytest.approx(other, rel=0.3)
    assert made.groups["close"] == pytest.approx(4 * one, rel=0.3)


def test_classes_are_measured_by_log_loss_and_a_column_that_is_left_alone_changes_nothing() -> None:
    own = spec("sklearn.tree.DecisionTreeClassifier", "class", "forward_return", params={"max_depth": 1})
    frame = rows(own)
    frame.loc[::10, "label_return"] *= -1.0
    made = found(own, frame)
    assert made.own == dict(zip(FEATURES, (1.0, 0.0, 0.0), strict=True))
    assert made.shuffled[FEATURES[0]] > 1.0
    assert made.shuffled[FEATURES[1]] == made.shuffled[FEATURES[2]] == 0.0


def test_a_note_holds_the_largest_in_order() -> None:
    many = {f"roc({k})": k / 3.0 for k in range(1, 40)}
    note = noted("d", None, {}, Importance({}, many, {}))[NOTE]
    assert '"importance": {"shuffled": {"roc(39)": 13.0, "roc(38)": 12.67, "roc(37)": 12.33' in note
    assert note.count("roc(") == 20
    assert noted("d", None, {}, Importance()) == {}
