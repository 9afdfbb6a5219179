"""Calibration of probabilities: what came true of those that a model gave, learnt and applied."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from whatif.typing import FloatArray

SIDES = {"long": 1.0, "short": -1.0}
"""Label by side, in the order of the probabilities."""

LEAST = 1e-9
"""Probability below which its odds are not taken further."""


@dataclass(frozen=True)
class Calibration:
    """Functions of the probabilities of both sides, each of its own alone.

    Attributes
    ----------
    method : str
        "isotonic", lines between points that rise; or "platt", a logistic function of the log odds.
    curves : mapping of str to (tuple, tuple)
        By side: the points of the lines, probabilities and what they become; or slope and offset, one each.
    """

    method: str
    curves: Mapping[str, tuple[tuple[float, ...], tuple[float, ...]]]

    def __call__(self, given: FloatArray) -> FloatArray:
        """Return probabilities of long and short, (n, 2), made of others; together at most 1."""
        made = np.column_stack([self._side(side, given[:, k]) for k, side in enumerate(SIDES)])
        return np.asarray(made / np.maximum(made.sum(axis=1, keepdims=True), 1.0), dtype=np.float64)

    def _side(self, side: str, chance: FloatArray) -> FloatArray:
        first, second = self.curves[side]
        if not first:
            return chance
        if self.method == "isotonic":
            return np.interp(chance, first, second)
        return np.asarray(1.0 / (1.0 + np.exp(-(first[0] * _log_odds(chance) + second[0]))), dtype=np.float64)

    @property
    def content(self) -> dict[str, Any]:
        """It as JSON holds it."""
        return {
            "method": self.method,
            "curves": {side: list(map(list, c)) for side, c in self.curves.items()},
        }

    @classmethod
    def read(cls, content: Mapping[str, Any]) -> Calibration:
        """Return what `content` wrote."""
        curves = {side: (tuple(a), tuple(b)) for side, (a, b) in content["curves"].items()}
        return cls(content["method"], curves)


def learn_calibration(method: str, given: FloatArray, label: FloatArray) -> Calibration:
    """Return the calibration by which probabilities come nearest to what came true.

    A side that never came true, or always did, stays as it is: nothing can be learnt of it.

    Parameters
    ----------
    method : str
        "isotonic" or "platt".
    given : float64 array (n, 2)
        Probabilities of long and short, of rows that the model did not learn from.
    label : float64 array (n,)
        1 where long came true, -1 where short, 0 where neither.
    """
    learn = _isotonic if method == "isotonic" else _platt
    curves = {}
    for k, (side, value) in enumerate(SIDES.items()):
        came = label == value
        curves[side] = learn(given[:, k], came) if 0 < came.sum() < len(came) else ((), ())
    return Calibration(method, curves)


Curve = tuple[tuple[float, ...], tuple[float, ...]]


def _isotonic(chance: FloatArray, came: Any) -> Curve:
    from sklearn.isotonic import IsotonicRegression

    fitted = IsotonicRegression(y_min=0.0, y_max=1.0, out_of_bounds="clip").fit(chance, came.astype(float))
    return tuple(map(float, fitted.X_thresholds_)), tuple(map(float, fitted.y_thresholds_))


def _platt(chance: FloatArray, came: Any) -> Curve:
    """Return slope and offset by maximum likelihood, of targets that Platt draws a little to the middle."""
    from sklearn.linear_model import LogisticRegression

    ones, others = float(came.sum()), float((~came).sum())
    target = np.where(came, (ones + 1.0) / (ones + 2.0), 1.0 / (others + 2.0))
    odds = _log_odds(chance)[:, None]
    fitted = LogisticRegression(C=1e9, max_iter=1_000).fit(
        np.concatenate([odds, odds]),
        np.repeat([1, 0], len(chance)),
        sample_weight=np.concatenate([target, 1.0 - target]),
    )
    return (float(fitted.coef_[0, 0]),), (float(fitted.intercept_[0]),)


def _log_odds(chance: FloatArray) -> FloatArray:
    inside = np.clip(chance, LEAST, 1.0 - LEAST)
    return np.asarray(np.log(inside / (1.0 - inside)), dtype=np.float64)
