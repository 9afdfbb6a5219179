"""Digests of models, as they were before there were kinds of them: no stored prediction is lost."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from whatif.models import SEAM
from whatif.search.grid import expand
from whatif.splits import Window
from whatif.study import parse_study
from whatif.training.spec import model_spec

from ..markets import us
from ..search.test_grid import identity
from ..training.test_fit import FEATURES, TRAIN

LATER = Window("train-2", us("2013-10-10T13:30"), us("2013-10-11T13:30"))


@pytest.mark.parametrize(
    ("given", "target", "train", "everywhere", "digest"),
    [
        ({}, "return", (TRAIN,), False, "5c5720b4c6e3e1d0"),
        (
            {"trees": 50, "depth": 10, "bins": 16, "min_leaf": 2, "feature_subset": "all", "seed": 7},
            "return", (TRAIN,), False, "26b739dfbbf98cba",
        ),
        (
            {"target": "level", "features": ["close", "roc(3)"]},
            "return", (TRAIN,), False, "bbaae6794f2b6b6e",
        ),
        (
            {"trees": [20, 50], "depth": [3, 5], "tune": {"folds": 2}},
            "level", (TRAIN,), False, "6d5ef0acac14b12c",
        ),
        (
            {"kind": "random_forest", "seed": -1, "feature_subset": 0.5},
            "return", (TRAIN, LATER), True, "862651e193e1b12d",
        ),
    ],
)  # fmt: skip
def test_predictions_are_found_by_the_digests_of_before(
    given: dict[str, Any], target: str, train: tuple[Window, ...], everywhere: bool, digest: str
) -> None:
    assert model_spec("any", SEAM.section(given), FEATURES, target, train, everywhere).digest(42) == digest


STUDY = """
study: s
data: {symbols: [SPY, IBM], start: 2013-10-04, end: 2013-10-12}
calendar: {exchange: XNYS}
features: [sma(5), close]
label: {horizon: 5min, target: return}
models:
  rf: {trees: 20, depth: 5, seed: 7}
  level: {kind: random_forest, target: level, features: [close], feature_subset: 0.5}
  tuned: {trees: [20, 50], tune: {}}
strategy: {name: forecast_threshold}
axes: {model: [rf, level, tuned]}
"""


def test_results_are_found_by_the_ids_of_before() -> None:
    study = parse_study(STUDY)
    strategy: Any = SimpleNamespace(digest="d", defaults={}, validate=lambda given: {})
    grid = expand(study, strategy, lambda name, timeframe: identity(study, name, timeframe))
    ids = [configuration.config_id for configuration in grid.configurations]
    assert ids == ["09622ab43c0978e9", "fa51a5b5d82647bc", "08eaf605e77da50a"]
