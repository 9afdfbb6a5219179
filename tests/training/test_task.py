"""A task of training, in this process: calibrated on folds of its train window, and asked out of fold."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import pytest

from whatif.domain import DAY_US
from whatif.errors import StudyError
from whatif.models.calibration import learn_calibration
from whatif.pins import Pin
from whatif.search.chains import Chain
from whatif.splits.fold import Window
from whatif.training import TaskDone, TrainTask, train, train_task

from .test_judged import CUT, END, START, VALIDATE, planted, spec

PIN = Pin("bars", 7, "nowhere")
MIDDLES = [START + k * (CUT - START) // 3 // DAY_US * DAY_US for k in (1, 2)]
CHAINS = (
    Chain((Window("learn", START, MIDDLES[0]),), (Window("look", MIDDLES[0], MIDDLES[1]),)),
    Chain((Window("learn", START, MIDDLES[1]),), (Window("look", MIDDLES[1], CUT),)),
)


def done(frame: pd.DataFrame, **keys: Any) -> TaskDone:
    own = spec(**keys)
    return train_task(TrainTask(own, PIN, {2: CHAINS}, CUT, (VALIDATE,)), frame)


def inside(frame: pd.DataFrame, window: Window) -> Any:
    begin, end = (pd.Timestamp(us, unit="us", tz="UTC") for us in (window.start_us, window.end_us))
    return (frame["ts"] >= begin) & (frame["ts"] < end)


def by_hand(frame: pd.DataFrame) -> list[tuple[pd.DataFrame, Any]]:
    """Return, of each fold, its rows and what a model says of them that learnt from those before."""
    found = []
    for chain in CHAINS:
        model = train(frame, replace(spec(), train=chain.train))
        rows = frame[inside(frame, chain.validate[0])]
        found.append((rows, model.kind.predict(model.fitted, rows)[["prob_long", "prob_short"]].to_numpy()))
    return found


@pytest.mark.parametrize("method", ["isotonic", "platt"])
def test_what_is_traded_is_calibrated_on_folds_that_the_model_of_the_fold_did_not_see(method: str) -> None:
    frame = planted(0.4)
    plain, made = done(frame), done(frame, calibrate={"method": method, "folds": 2})
    looked = [
        (rows[known], chances[known])
        for (rows, chances), chain in zip(by_hand(frame), CHAINS, strict=True)
        # a label that is known only after its fold takes no part
        if (
            known := (
                rows["label_end"] <= pd.Timestamp(chain.validate[0].end_us, unit="us", tz="UTC")
            ).to_numpy()
        )
        is not None
    ]
    labels = np.concatenate([rows["label_class"].to_numpy() for rows, _ in looked])
    learnt = learn_calibration(method, np.concatenate([chances for _, chances in looked]), labels)
    wanted = learnt(plain.scored[["prob_long", "prob_short"]].to_numpy())
    np.testing.assert_allclose(made.scored[["prob_long", "prob_short"]].to_numpy(), wanted, rtol=1e-6)
    assert made.trained.spec.digest(7) != plain.trained.spec.digest(7)
    assert made.metrics["log_loss"] != plain.metrics["log_loss"]


def test_out_of_fold_it_says_of_the_train_window_what_the_models_of_the_folds_say() -> None:
    frame = planted(0.4)
    plain, made = done(frame), done(frame, out_of_fold=2)
    cut = pd.Timestamp(CUT, unit="us", tz="UTC")
    early = made.scored[made.scored["ts"] < cut]
    wanted = np.concatenate([chances for _, chances in by_hand(frame)])
    assert early[["prob_long", "prob_short"]].to_numpy().tobytes() == wanted.tobytes()
    assert early["ts"].min() == pd.Timestamp(MIDDLES[0], unit="us", tz="UTC")
    # what follows the train window, and how it is judged, is what it was
    answers = ["symbol", "ts", "prob_long", "prob_short"]
    late = made.scored[made.scored["ts"] >= cut].reset_index(drop=True)
    pd.testing.assert_frame_equal(late[answers], plain.scored[answers].reset_index(drop=True))
    assert made.metrics == pytest.approx(plain.metrics, nan_ok=True)
    assert set(made.scored["model_digest"]) == {made.trained.spec.digest(7)}


def test_numbers_are_not_calibrated() -> None:
    with pytest.raises(
        StudyError, match="calibrate is for probabilities, and the model learns target 'return'"
    ):
        spec("sklearn.linear_model.Ridge", "forward_return", "return", calibrate={"folds": 2})


def test_what_is_not_said_of_calibration_leaves_digests_as_they_are() -> None:
    assert set(spec().kind.parameters) == {"kind", "params", "standardise", "seed"}
    assert END > CUT
