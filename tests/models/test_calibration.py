"""Calibration of probabilities: curves by hand, a planted distortion undone, and what cannot be learnt."""

from __future__ import annotations

import json

import numpy as np
import pytest

from whatif.models.calibration import Calibration, learn_calibration


def test_isotonic_pools_what_falls_and_draws_lines_between_points() -> None:
    """Long came true at 0.2 and 0.4 and not at 0.1 and 0.3: those of 0.2 and 0.3 are pooled to a half."""
    chance = np.array([0.1, 0.2, 0.3, 0.4])
    label = np.array([0.0, 1.0, 0.0, 1.0])
    found = learn_calibration("isotonic", np.column_stack([chance, np.full(4, 0.25)]), label)
    asked = np.array([0.05, 0.1, 0.15, 0.2, 0.25, 0.3, 0.35, 0.4, 0.9])
    made = found(np.column_stack([asked, np.zeros(9)]))
    assert made[:, 0] == pytest.approx([0.0, 0.0, 0.25, 0.5, 0.5, 0.5, 0.75, 1.0, 1.0])
    assert made[:, 1].tolist() == [0.0] * 9  # nothing was short: that side stays as it is


@pytest.mark.parametrize("method", ["isotonic", "platt"])
def test_a_distortion_is_undone(method: str) -> None:
    """What truly comes at odds squared and times e, of a model that says the odds themselves."""
    rng = np.random.default_rng(5)
    odds = rng.normal(-1.0, 0.7, size=40_000)
    truth = 1.0 / (1.0 + np.exp(-(2.0 * odds + 1.0)))
    said = 1.0 / (1.0 + np.exp(-odds))
    label = np.where(rng.random(40_000) < truth, -1.0, 0.0)
    found = learn_calibration(method, np.column_stack([np.full(40_000, 0.1), said]), label)
    made = found(np.column_stack([np.zeros(40_000), said]))[:, 1]
    assert np.abs(made - truth).mean() < 0.02 < np.abs(said - truth).mean()
    if method == "platt":
        assert found.curves["short"] == (pytest.approx((2.0,), abs=0.1), pytest.approx((1.0,), abs=0.1))


def test_both_sides_together_are_at_most_one_and_it_survives_json() -> None:
    curve = ((0.0, 1.0), (0.5, 1.0))
    both = Calibration("isotonic", {"long": curve, "short": curve})
    made = both(np.array([[0.6, 0.4], [0.0, 0.0]]))
    # 0.8 and 0.7 are scaled to 1; a half and a half are 1
    np.testing.assert_allclose(made, [[0.8 / 1.5, 0.7 / 1.5], [0.5, 0.5]])
    assert Calibration.read(json.loads(json.dumps(both.content))) == both
