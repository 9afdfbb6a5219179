"""A model beside what knows less, in this process: figures by hand, and what a planted truth shows."""

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
from whatif.stats import block_length, resampled_rows
from whatif.training import ModelSpec, judged, model_spec, predict, train, validation_metrics
from whatif.training.validation import REPS, error_on

from ..markets import us

START, CUT, END = us("2000-01-03T14:30"), us("2001-01-03T14:30"), us("2002-01-03T14:30")
TRAIN, VALIDATE = Window("train", START, CUT), Window("validate", CUT, END)
SIGNAL = "sklearn.linear_model.LogisticRegression"


def spec(kind: str = SIGNAL, label: str = "triple_barrier", target: str = "class", **keys: Any) -> ModelSpec:
    keys_of_label = {"side": "roc(1)"} if label == "meta" else {}
    features = FeatureSpec(
        BarSlice(("A",), "1d", "1d", "XNYS", "regular", START, END),
        ("roc(1)",),
        LABELS.section({"kind": label, **keys_of_label}),
    )
    return model_spec("m", MODELS.section({"kind": kind, **keys}), features, target, TRAIN)


def rows(labels: Any, signal: Any, **columns: Any) -> pd.DataFrame:
    """Return days from the train window's start on, each with its label known the day after."""
    ts = pd.to_datetime(START + np.arange(len(labels)) * DAY_US, unit="us", utc=True)
    made = {"symbol": "A", "ts": ts, "roc_1": signal, "label_class": labels, **columns}
    return pd.DataFrame({**made, "label_end": ts + pd.Timedelta(days=1)})


def answers(frame: pd.DataFrame, **columns: Any) -> pd.DataFrame:
    return frame[["symbol", "ts"]].assign(prediction=np.nan, prob_long=np.nan, prob_short=np.nan, **columns)


def test_classes_by_hand() -> None:
    """Train: half long, a quarter short, a quarter neither. Validate: long, short, neither, long."""
    days = int((CUT - START) // DAY_US)
    taught = np.tile([1.0, 1.0, -1.0, 0.0], days // 4 + 1)[:days]
    taught[-1] = np.nan  # its label would end behind the window
    labels = np.concatenate([taught, [1.0, -1.0, 0.0, 1.0]])
    frame = rows(labels, np.zeros(len(labels)))
    said = frame.iloc[-4:]
    given = answers(said).assign(prob_long=[0.8, 0.1, 0.2, 0.4], prob_short=[0.1, 0.6, 0.3, 0.4])
    found = validation_metrics(frame, given, spec(), VALIDATE)
    assert found["rows"] == 4
    base = [float((taught[:-1] == one).mean()) for one in (1.0, -1.0)]
    assert [found["base_long"], found["base_short"]] == base
    assert [found["rate_long"], found["rate_short"]] == [0.5, 0.25]
    log_loss = -np.log([0.8, 0.6, 0.5, 0.4]).mean()
    rival = -np.log([base[0], base[1], 1 - sum(base), base[0]]).mean()
    assert found["log_loss"] == pytest.approx(log_loss)
    assert found["base_log_loss"] == pytest.approx(rival)
    assert found["skill"] == pytest.approx(1 - log_loss / rival)
    # long: 0.8 and 0.4 against 0.1 and 0.2, all four pairs are right. Short: 0.6 is above all
    assert (found["auc_long"], found["auc_short"]) == (1.0, 1.0)
    brier = [
        0.2**2 + 0.1**2 + 0.1**2,
        0.1**2 + 0.4**2 + 0.3**2,
        0.2**2 + 0.3**2 + 0.5**2,
        0.6**2 + 0.4**2 + 0.2**2,
    ]
    assert found["brier"] == pytest.approx(np.mean(brier))
    assert found["skill_low"] <= found["skill"] <= found["skill_high"]


def test_ties_of_probabilities_are_half_right() -> None:
    """Of one long and two others, the one is above 0.2 and level with 0.5: 1.5 of 2."""
    frame = rows([1.0, 0.0, 0.0], [0.0, 1.0, 2.0]).assign(
        ts=pd.to_datetime([CUT, CUT + 1, CUT + 2], unit="us", utc=True)
    )
    frame["label_end"] = frame["ts"] + pd.Timedelta(days=1)
    given = answers(frame).assign(prob_long=[0.5, 0.5, 0.2], prob_short=0.0)
    found = validation_metrics(frame, given, spec(), VALIDATE)
    assert found["auc_long"] == 0.75
    assert np.isnan(found["auc_short"])
    assert np.isnan(found["linear_skill"])  # there is no row that it could learn from


def planted(strength: float, seed: int = 3) -> pd.DataFrame:
    """Return days whose class follows from the signal with some strength, or not at all."""
    rng = np.random.default_rng(seed)
    signal = rng.normal(size=720)
    score = strength * signal + rng.normal(size=720)
    return rows(np.where(score > 0.5, 1.0, np.where(score < -0.5, -1.0, 0.0)), signal)


def test_a_planted_truth_is_better_than_the_base_rate_and_noise_is_not() -> None:
    for strength, better in ((1.0, True), (0.0, False)):
        frame = planted(strength)
        trained = train(frame, spec())
        given = predict(frame, trained, CUT, 7)
        assert set(given["model_digest"]) == {trained.spec.digest(7)}
        assert given["ts"].min() == pd.Timestamp(CUT, unit="us", tz="UTC")
        found = validation_metrics(frame, given, trained.spec, VALIDATE)
        assert (found["skill_low"] > 0) is better
        # the rival is the same model of the same rows
        assert found["linear_skill"] == pytest.approx(found["skill"], abs=1e-3)


def test_each_figure_has_bounds_and_they_are_those_of_draws_by_hand() -> None:
    """Eight days, each a stretch of its own: figures of the drawn days, computed row by row."""
    labels = [1.0, -1.0, 0.0, 1.0, -1.0, 1.0, 0.0, 1.0]
    frame = rows(labels, np.zeros(8)).assign(
        ts=pd.to_datetime(CUT + np.arange(8) * DAY_US, unit="us", utc=True)
    )
    frame["label_end"] = frame["ts"] + pd.Timedelta(days=1)
    taught = planted(1.0).iloc[:300]
    long, short = np.array([0.7, 0.2, 0.2, 0.4, 0.1, 0.6, 0.3, 0.2]), np.full(8, 0.25)
    given = answers(frame).assign(prob_long=long, prob_short=short)
    found = validation_metrics(pd.concat([taught, frame]), given, spec(), VALIDATE)
    chance = np.where(frame["label_class"] > 0, long, np.where(frame["label_class"] < 0, short, 0.75 - long))
    loss = -np.log(chance)
    base = np.array([(taught["label_class"] == one).mean() for one in (1.0, -1.0)])
    rival = -np.log(
        np.where(
            frame["label_class"] > 0, base[0], np.where(frame["label_class"] < 0, base[1], 1 - base.sum())
        )
    )
    drawn = resampled_rows(8, block_length(rival - loss), REPS, seed=0)
    ones = np.array(labels) == 1.0
    areas = []
    for draw in drawn:
        won = [
            1.0 if long[a] > long[b] else 0.5 if long[a] == long[b] else 0.0
            for a in draw[ones[draw]]
            for b in draw[~ones[draw]]
        ]
        areas += [np.mean(won)] if won else []
    for name, values in (("log_loss", loss[drawn].mean(axis=1)), ("auc_long", areas)):
        wanted = np.percentile(values, [2.5, 97.5])
        assert [found[f"{name}_low"], found[f"{name}_high"]] == pytest.approx(list(wanted)), name
    assert found["brier_low"] < found["brier"] < found["brier_high"]
    words = judged(found)
    assert (
        f"AUC {found['auc_long']:.3f} ({found['auc_long_low']:.3f} to {found['auc_long_high']:.3f})" in words
    )
    assert "Brier score 0." in words
    # sorted, long was said 0.1 (short), 0.2 (short), 0.2 (neither), 0.2 (long), 0.3 (neither), 0.4, 0.6, 0.7
    said, came = ([found[f"{word}_long_{k}"] for k in range(5)] for word in ("said", "came"))
    assert said == pytest.approx([0.15, 0.2, 0.35, 0.6, 0.7])
    assert came == [0.0, 0.5, 0.5, 1.0, 1.0]
    assert "where it said long 15, 20, 35, 60, 70 %, 0, 50, 50, 100, 100 % came true" in words


def test_the_error_of_probabilities_by_hand() -> None:
    frame = planted(1.0)
    trained = train(frame, spec())
    given = predict(frame, trained, CUT, 7)
    label = frame["label_class"][frame["ts"] >= pd.Timestamp(CUT, unit="us", tz="UTC")].to_numpy()
    long, short = given["prob_long"].to_numpy(), given["prob_short"].to_numpy()
    squares = (
        (long - (label == 1)) ** 2 + (short - (label == -1)) ** 2 + (1 - long - short - (label == 0)) ** 2
    )
    inside = Window("validate", CUT, END)
    assert error_on(frame, trained, (inside,)) == pytest.approx(np.sqrt(squares.mean()))


def test_a_meta_model_speaks_for_the_side_that_the_rule_gave() -> None:
    """One model of being right; its answer is the long one's where the rule is long, the short one's else."""
    frame = planted(1.0)
    side = np.where(np.arange(len(frame)) % 3 == 0, 1.0, np.where(np.arange(len(frame)) % 3 == 1, -1.0, 0.0))
    frame = frame.assign(label_class=(frame["label_class"] > 0).astype(float), label_side=side)
    trained = train(frame, spec(label="meta"))
    given = predict(frame, trained, CUT, 7)
    side = side[-len(given) :]
    right = trained.kind.predict(trained.fitted, frame.iloc[-len(given) :])["prob_long"].to_numpy()
    np.testing.assert_array_equal(given["prob_long"], np.where(side > 0, right, 0.0))
    np.testing.assert_array_equal(given["prob_short"], np.where(side < 0, right, 0.0))


def test_a_return_has_a_sign_that_a_classifier_learns() -> None:
    frame = planted(1.0).rename(columns={"label_class": "label_return"})
    frame = frame.assign(label_return=frame["label_return"] * 0.01, label_level=1.0)
    own = spec(label="forward_return")
    assert (own.target, own.learns_sign) == ("class", True)
    signs = train(frame, own)
    assert sorted(signs.fitted.model.classes_) == [-1, 0, 1]
    found = validation_metrics(frame, predict(frame, signs, CUT, 7), own, VALIDATE)
    assert found["skill_low"] > 0
