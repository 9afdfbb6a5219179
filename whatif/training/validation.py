"""Validation: how a model's predictions did on rows whose label is known, beside what knows less."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from whatif.models import check_frame, predicted_columns
from whatif.splits import Window
from whatif.stats import block_length, resampled_rows
from whatif.training.fit import Trained, labelled_in, labelled_rows
from whatif.training.importance import Importance, importance_of
from whatif.training.spec import ModelSpec
from whatif.typing import FloatArray, IntArray

MAX_JUDGED = 2_000_000
"""Rows that a model is judged on, and its linear rival taught with; of more, a sample."""

UNITS, REPS, CONFIDENCE = 250, 1_000, 0.95
"""Stretches of time that are resampled, how often, and what their interval covers."""

BINS = 1_000
"""Steps of a probability of which the area under the curve is resampled."""

PARTS = 5
"""Points of a reliability curve, each of as many rows."""

LEAST = 1e-6
"""Probability below which a logarithm is not taken further."""

CLASSES = {"long": 1.0, "short": -1.0, "neither": 0.0}


def error_on(features: Any, trained: Trained, windows: Sequence[Window]) -> float:
    """Return the root mean squared error on the labelled rows of `windows`; NaN without a row.

    Of classes, that of the probabilities of long, short and neither.
    """
    spec = trained.spec
    scored = trained.kind.predict(trained.fitted, labelled_rows(features, spec, windows))
    if isinstance(scored, pd.DataFrame):
        return _root_mean(_squares(scored, trained.kind.classifies).to_numpy())
    from pyspark.sql import functions as F  # noqa: N812

    check_frame(trained.kind, scored)
    columns = {name: F.col(name) for name in ("label", *predicted_columns(trained.kind))}
    row = scored.agg(F.avg(_squares(columns, trained.kind.classifies))).first()
    assert row is not None  # an aggregate without keys always has one row
    return float("nan") if row[0] is None else float(row[0]) ** 0.5


def answers_on(features: Any, trained: Trained, windows: Sequence[Window]) -> pd.DataFrame:
    """Return label and answers of the labelled rows of `windows`, in this process, by time and symbol."""
    scored = trained.kind.predict(trained.fitted, labelled_rows(features, trained.spec, windows))
    if not isinstance(scored, pd.DataFrame):
        check_frame(trained.kind, scored)
    return _collected(scored[["symbol", "ts", "label", *predicted_columns(trained.kind)]])


def _squares(row: Any, classifies: bool) -> Any:
    """Return the squared error of each row, of columns of Spark or of pandas."""
    if not classifies:
        return (row["prediction"] - row["label"]) ** 2
    long, short, label = row["prob_long"], row["prob_short"], row["label"]
    is_long, is_short = label * (label + 1.0) / 2.0, label * (label - 1.0) / 2.0
    return (long - is_long) ** 2 + (short - is_short) ** 2 + (long + short - is_long - is_short) ** 2


def _root_mean(squares: FloatArray) -> float:
    return float(np.sqrt(squares.mean())) if len(squares) else float("nan")


def validation_metrics(
    features: Any, predictions: Any, spec: ModelSpec, windows: Window | Sequence[Window]
) -> dict[str, float]:
    """Return how a model did on `windows` beside what knows less: nothing, the base rate, a linear model.

    Parameters
    ----------
    features, predictions : DataFrame
        Rows of a features table, and of `predictions`; of Spark or of pandas.
    spec : ModelSpec
        The model.
    windows : Window or sequence of Window
        Where it is looked at.

    Returns
    -------
    dict
        `rows`; `skill`, how much smaller its loss is than that of the rival that knows nothing, as a fraction
        of it (positive beats it), with `skill_low` and `skill_high`, the bounds of a block bootstrap; and
        `linear_skill`, that of a linear model of the same features (NaN where it could not be fitted).

        Of numbers the loss is the squared error, and the rival says that the price stays at its close:
        `rmse`, `mae`, `naive_rmse`, `naive_mae` (unit of the target), `correlation` of predicted and realised
        return, `hit_rate` (share of rows whose predicted direction came true, those that did not move left
        out).

        Of classes it is the log loss, and the rival says how often each class was in the train window:
        `log_loss`, `brier`, `base_log_loss`, `base_brier`, `auc_long`, `auc_short`, and the shares
        `rate_long`, `rate_short`, `base_long`, `base_short` here and in the train window. Log loss, Brier
        score and areas have bounds too, as skill has: `brier_low`, `brier_high` and so on. `said_long_0` to
        `said_long_4` are the mean probabilities of five parts of the rows, from the least to the most, and
        `came_long_0` and so on how often it came true there: a reliability curve.
    """
    several = (windows,) if isinstance(windows, Window) else windows
    seen = _collected(_seen(features, predictions, spec, several))
    return _metrics(features, seen, spec)


def measured(
    features: Any, predictions: Any, trained: Trained, windows: Sequence[Window]
) -> tuple[dict[str, float], Importance]:
    """Return what `validation_metrics` does, and how much the model's features count on the same rows."""
    spec = trained.spec
    seen = _collected(_seen(features, predictions, spec, windows))
    label = seen[spec.label_column]
    losses = _log_losses if spec.target == "class" else _squared
    rows = seen.assign(label=np.sign(label) if spec.learns_sign else label)
    here = isinstance(features, pd.DataFrame)
    importance = importance_of(trained, rows, losses, None if here else features.sparkSession)
    return _metrics(features, seen, spec), importance


def _metrics(features: Any, seen: pd.DataFrame, spec: ModelSpec) -> dict[str, float]:
    taught = _collected(labelled_rows(features, spec, spec.train))
    return (_of_classes if spec.target == "class" else _of_numbers)(seen, taught, spec)


def _squared(given: FloatArray, label: FloatArray) -> FloatArray:
    return np.asarray((given - label) ** 2, dtype=np.float64)


def _seen(features: Any, predictions: Any, spec: ModelSpec, windows: Sequence[Window]) -> Any:
    """Return the predicted rows of windows with features, label columns and answers."""
    answers = ["prob_long", "prob_short"] if spec.target == "class" else ["prediction"]
    labels = dict.fromkeys((spec.label_column, *(f"label_{name}" for name in spec.label_gives)))
    names = list(dict.fromkeys(("symbol", "ts", *spec.columns, *labels)))
    if isinstance(features, pd.DataFrame):
        rows = features[labelled_in(windows, features)].dropna(subset=[spec.label_column])
        return rows[names].merge(predictions[["symbol", "ts", *answers]], on=["symbol", "ts"])
    rows = features.where(labelled_in(windows)).dropna(subset=[spec.label_column])
    return rows.select(*names).join(predictions.select("symbol", "ts", *answers), ["symbol", "ts"])


def _collected(rows: Any) -> pd.DataFrame:
    """Return rows in this process by time and symbol: all, or a sample of so many that does not change."""
    if not isinstance(rows, pd.DataFrame):
        share = MAX_JUDGED / max(rows.count(), 1)
        if share < 1.0:
            rows = rows.where(f"pmod(xxhash64(symbol, ts), 1000000) < {int(share * 1_000_000)}")
        names = ("unix_micros(ts) ts" if name == "ts" else f"`{name}`" for name in rows.columns)
        rows = rows.selectExpr(*names).toPandas()
    found: pd.DataFrame = rows.sort_values(["ts", "symbol"], ignore_index=True)
    return found


def _of_numbers(seen: pd.DataFrame, taught: pd.DataFrame, spec: ModelSpec) -> dict[str, float]:
    label, guess = (seen[name].to_numpy("float64") for name in (spec.label_column, "prediction"))
    level = spec.target == "level" and "return" in spec.label_gives
    close = (seen["label_level"] / (1.0 + seen["label_return"])).to_numpy("float64") if level else label
    naive = close if level else np.zeros(len(label))
    realised, expected = (one / close - 1.0 if level else one for one in (label, guess))
    moved = realised != 0
    linear = _linear(taught, seen, spec)
    losses = {"": (guess - label) ** 2, "naive": (naive - label) ** 2, "linear": (linear - label) ** 2}
    return {
        "rows": float(len(label)),
        "mae": _mean(np.abs(guess - label)),
        "naive_mae": _mean(np.abs(naive - label)),
        "correlation": _correlation(expected, realised),
        "hit_rate": _mean(np.sign(expected[moved]) == np.sign(realised[moved])),
        "rmse": _root_mean(losses[""]),
        "naive_rmse": _root_mean(losses["naive"]),
        **_skills(
            losses[""], losses["naive"], losses["linear"], _Draws.of(losses[""], losses["naive"], seen["ts"])
        ),
    }


def _of_classes(seen: pd.DataFrame, taught: pd.DataFrame, spec: ModelSpec) -> dict[str, float]:
    label = seen[spec.label_column].to_numpy("float64")
    label = np.sign(label) if spec.learns_sign else label
    given = seen[["prob_long", "prob_short"]].to_numpy("float64")
    if spec.has_side:  # what was said of the side that the rule gave
        given = np.column_stack([given.max(axis=1, initial=0.0), np.zeros(len(given))])
    base = np.array([_mean(taught["label"] == CLASSES[side]) for side in ("long", "short")])
    rival = np.broadcast_to(base, given.shape)
    losses = [_log_losses(one, label) for one in (given, rival, _linear(taught, seen, spec))]
    brier = _brier(given, label)
    figures = {"rows": float(len(label)), "log_loss": _mean(losses[0]), "base_log_loss": _mean(losses[1])}
    figures |= {"brier": _mean(brier), "base_brier": _mean(_brier(rival, label))}
    draws = _Draws.of(losses[0], losses[1], seen["ts"])
    for name, loss in (("log_loss", losses[0]), ("brier", brier)):
        figures |= _bounds(name, draws.means(loss) if draws else ())
    for k, side in enumerate(("long", "short")):
        is_one = label == CLASSES[side]
        figures |= {
            f"auc_{side}": _auc(given[:, k], is_one),
            f"rate_{side}": _mean(is_one),
            f"base_{side}": float(base[k]),
        }
        figures |= _reliability(side, given[:, k], is_one)
        figures |= _bounds(f"auc_{side}", draws.areas(given[:, k], is_one) if draws else ())
    return figures | _skills(losses[0], losses[1], losses[2], draws)


def _reliability(side: str, chance: FloatArray, came: Any) -> dict[str, float]:
    """Return the curve of what was said of a side and how often it came, from the least said to the most."""
    found: dict[str, float] = {}
    for k, part in enumerate(np.array_split(np.argsort(chance, kind="stable"), PARTS)):
        found |= {f"said_{side}_{k}": _mean(chance[part]), f"came_{side}_{k}": _mean(came[part])}
    return found


def _skills(
    loss: FloatArray, rival: FloatArray, linear: FloatArray, draws: _Draws | None
) -> dict[str, float]:
    """Return the skill against a rival, its bounds, and the skill of the linear model."""
    found = {"skill": _skill(loss.sum(), rival.sum()), "linear_skill": _skill(linear.sum(), rival.sum())}
    with np.errstate(divide="ignore", invalid="ignore"):
        skills = () if draws is None else 1.0 - draws.sums(loss) / draws.sums(rival)
    return found | _bounds("skill", skills)


def _bounds(name: str, values: Any) -> dict[str, float]:
    """Return the interval of a figure over resampled stretches of time; NaN without any."""
    known = np.asarray(values, dtype=np.float64)
    known, outside = known[np.isfinite(known)], 50.0 * (1.0 - CONFIDENCE)
    low, high = np.percentile(known, (outside, 100.0 - outside)) if len(known) else (np.nan, np.nan)
    return {f"{name}_low": float(low), f"{name}_high": float(high)}


@dataclass(frozen=True, eq=False)
class _Draws:
    """Stretches of time drawn anew: of what is looked at, each row belongs to one.

    Attributes
    ----------
    unit : int64 array (n,)
        The stretch of each row, from 0.
    drawn : int64 array (REPS, stretches)
        Which are drawn, in blocks.
    """

    unit: IntArray
    drawn: IntArray

    @classmethod
    def of(cls, loss: FloatArray, rival: FloatArray, ts: pd.Series[Any]) -> _Draws | None:
        """Return draws in blocks as long as the difference of two losses remembers; None if it has none."""
        unit = _units(ts)
        count = int(unit.max(initial=-1)) + 1
        if count < 2 or not (np.isfinite(loss).all() and np.isfinite(rival).all()):
            return None
        less = np.bincount(unit, weights=rival, minlength=count) - np.bincount(
            unit, weights=loss, minlength=count
        )
        return cls(unit, resampled_rows(count, block_length(less.astype(np.float64)), REPS, seed=0))

    def sums(self, values: Any) -> FloatArray:
        """Return the sum of the values in each draw, (REPS,)."""
        found: FloatArray = self._in_units(values)[self.drawn].sum(axis=1)
        return found

    def means(self, values: FloatArray) -> FloatArray:
        """Return the mean of the values in each draw, (REPS,)."""
        with np.errstate(divide="ignore", invalid="ignore"):
            return np.asarray(self.sums(values) / self.sums(np.ones(len(values))), dtype=np.float64)

    def areas(self, chance: FloatArray, is_one: Any) -> FloatArray:
        """Return the area under the curve in each draw, (REPS,), of chances in at most `BINS` steps."""
        steps = np.unique(chance)
        if len(steps) > BINS:
            steps = np.unique(np.quantile(chance, np.linspace(0.0, 1.0, BINS + 1)[:-1]))
        place = np.searchsorted(steps, chance, "right") - 1
        units = self.drawn.shape[1]
        times = np.stack([np.bincount(one, minlength=units) for one in self.drawn]).astype(np.float64)
        ones, others = (
            times
            @ np.bincount(
                self.unit * len(steps) + place, weights=weights, minlength=units * len(steps)
            ).reshape(units, len(steps))
            for weights in (np.asarray(is_one, dtype=np.float64), 1.0 - np.asarray(is_one, dtype=np.float64))
        )
        below = np.cumsum(others, axis=1) - 0.5 * others
        with np.errstate(divide="ignore", invalid="ignore"):
            return np.asarray((ones * below).sum(axis=1) / (ones.sum(axis=1) * others.sum(axis=1)))

    def _in_units(self, values: Any) -> FloatArray:
        return np.bincount(self.unit, weights=values, minlength=self.drawn.shape[1]).astype(np.float64)


def _units(ts: pd.Series[Any]) -> IntArray:
    """Return the stretch of time that each row belongs to, from 0: of as many instants each."""
    _, instant = np.unique(ts.to_numpy(), return_inverse=True)
    count = int(instant.max(initial=-1)) + 1
    return np.asarray(instant * min(UNITS, count) // max(count, 1), dtype=np.int64)


def _skill(loss: float, rival: float) -> float:
    return float(1.0 - loss / rival) if rival > 0 else float("nan")


def _mean(values: Any) -> float:
    array = np.asarray(values, dtype=np.float64)
    return float(array.mean()) if len(array) else float("nan")


def _correlation(a: FloatArray, b: FloatArray) -> float:
    if len(a) < 2 or np.ptp(a) == 0.0 or np.ptp(b) == 0.0:
        return float("nan")
    return float(np.corrcoef(a, b)[0, 1])


def _log_losses(given: FloatArray, label: FloatArray) -> FloatArray:
    """Return minus the logarithm of the probability of what came true, (n,)."""
    long, short = given[:, 0], given[:, 1]
    chance = np.where(label > 0, long, np.where(label < 0, short, 1.0 - long - short))
    return np.asarray(-np.log(np.clip(chance, LEAST, 1.0)), dtype=np.float64)


def _brier(given: FloatArray, label: FloatArray) -> FloatArray:
    return np.asarray(
        _squares({"prob_long": given[:, 0], "prob_short": given[:, 1], "label": label}, True),
        dtype=np.float64,
    )


def _auc(chance: FloatArray, is_one: Any) -> float:
    """Return how often a row of the class has the higher probability than one that is not; ties are half."""
    ones = int(np.count_nonzero(is_one))
    others = len(is_one) - ones
    if not ones or not others:
        return float("nan")
    ranks = pd.Series(chance).rank().to_numpy()
    return float((ranks[is_one].sum() - ones * (ones + 1) / 2.0) / (ones * others))


def _linear(taught: pd.DataFrame, seen: pd.DataFrame, spec: ModelSpec) -> FloatArray:
    """Return what a linear model of the same rows and features says; NaN where it cannot be fitted."""
    columns = list(spec.columns)
    nothing = np.full((len(seen), 2) if spec.target == "class" else len(seen), np.nan)
    if len(taught) <= len(columns) + 1 or not len(seen):
        return nothing
    x, y = taught[columns].to_numpy("float64"), taught["label"].to_numpy("float64")
    middle, spread = x.mean(axis=0), x.std(axis=0)
    spread = np.where(spread > 0.0, spread, 1.0)
    x, z = ((one - middle) / spread for one in (x, seen[columns].to_numpy("float64")))
    if spec.target == "class":
        return _logistic(x, y, z) if len(np.unique(y)) > 1 else nothing
    weights = np.linalg.lstsq(np.column_stack([np.ones(len(x)), x]), y, rcond=None)[0]
    return np.asarray(weights[0] + z @ weights[1:], dtype=np.float64)


def _logistic(x: FloatArray, y: FloatArray, z: FloatArray) -> FloatArray:
    from sklearn.linear_model import LogisticRegression

    model = LogisticRegression(max_iter=200).fit(x, y.astype(np.int64))
    chance = model.predict_proba(z)
    place = {int(value): k for k, value in enumerate(model.classes_)}
    none = np.zeros(len(z))
    return np.column_stack([chance[:, place[side]] if side in place else none for side in (1, -1)])


def judged(metrics: Mapping[str, float]) -> str:
    """Return in words how a model did beside what knows less; "" of no metrics."""
    if not metrics or not np.isfinite(metrics.get("skill", np.nan)):
        return ""
    of_classes = "log_loss" in metrics
    rival = "the base rate of the train window" if of_classes else "the naive forecast"
    low, high, skill = (metrics.get(name, np.nan) for name in ("skill_low", "skill_high", "skill"))
    text = f"skill against {rival} {skill:+.4f}"
    if np.isfinite(low):
        text += f" ({100 * CONFIDENCE:.0f} % interval {low:+.4f} to {high:+.4f})"
        text += ": better" if low > 0 else f": no better than {rival}"
    linear = metrics.get("linear_skill", np.nan)
    if np.isfinite(linear):
        text += f"; a linear model of the same features {linear:+.4f}"
        text += ", which is better" if linear > max(skill, high) else ""
    if of_classes:
        shares = "; ".join(
            f"{side} {100 * metrics[f'base_{side}']:.0f} % of train, "
            f"{100 * metrics[f'rate_{side}']:.0f} % here, AUC {metrics.get(f'auc_{side}', np.nan):.3f}"
            f"{_between(metrics, f'auc_{side}')}"
            for side in ("long", "short")
            if metrics[f"base_{side}"] > 0
        )
        text += f"; {shares}"
        for side in ("long", "short"):
            if metrics[f"base_{side}"] > 0 and np.isfinite(metrics.get(f"said_{side}_0", np.nan)):
                said, came = (
                    ", ".join(f"{100 * metrics[f'{word}_{side}_{k}']:.0f}" for k in range(PARTS))
                    for word in ("said", "came")
                )
                text += f"; where it said {side} {said} %, {came} % came true"
        for name, said in (("log_loss", "log loss"), ("brier", "Brier score")):
            if between := _between(metrics, name):
                text += (
                    f"; {said} {metrics[name]:.4f}{between}, the base rate's {metrics[f'base_{name}']:.4f}"
                )
    return text


def _between(metrics: Mapping[str, float], name: str) -> str:
    """Return the interval of a figure in words; "" where it has none."""
    low, high = (metrics.get(f"{name}_{end}", np.nan) for end in ("low", "high"))
    return f" ({low:.3f} to {high:.3f})" if np.isfinite(low) else ""
