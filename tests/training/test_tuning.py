"""Parameters chosen inside the train window, on folds in time order."""

from __future__ import annotations

from datetime import date

import numpy as np
import pandas as pd
import pytest

from whatif.calendars import schedule
from whatif.domain.timeframe import MINUTE_US
from whatif.errors import ModelError
from whatif.models import RandomForest
from whatif.search.chains import Chain, forward_chains
from whatif.splits.fold import Window
from whatif.training.spec import ModelSpec, model_spec
from whatif.training.tuning import tune

from ..markets import us
from .test_fit import DDL, FEATURES, TRAIN, at

pytestmark = pytest.mark.spark

SESSIONS = schedule("XNYS", date(2013, 10, 4), date(2013, 10, 11))


def spec(**forest: object) -> ModelSpec:
    given = {"trees": 1, "depth": [0, 1], "seed": 7, "feature_subset": "all", "tune": {"folds": 2}, **forest}
    return model_spec("rf", RandomForest.model_validate(given), FEATURES, "return", TRAIN)


def alternating(n: int = 200) -> pd.DataFrame:
    """Rows of the three train sessions, whose label is 1 where close is 10, and 3 where it is 20."""
    starts = [int(us_) + k * MINUTE_US for us_ in SESSIONS.open_us[:3] for k in range(n)]
    close = np.where(np.arange(len(starts)) % 2 == 0, 10.0, 20.0)
    return pd.DataFrame(
        {
            "symbol": "A", "ts": [at(ts) for ts in starts], "sma_5": 1.0, "roc_3": 0.0, "close": close,
            "label_level": 1.0, "label_return": np.where(close == 10.0, 1.0, 3.0),
            "label_end": [at(ts + MINUTE_US) for ts in starts],
        }
    )  # fmt: skip


@pytest.mark.slow
def test_the_combination_with_the_least_error(spark) -> None:
    """A tree without a split says the mean, 2, and errs by 1; with one split it errs by nothing."""
    chains = forward_chains(SESSIONS, [TRAIN], 2, MINUTE_US)
    found = tune(spark.createDataFrame(alternating(), DDL), spec(min_leaf=[1, 1_000]), chains)
    assert [one.params for one in found.tried] == [
        {"depth": 0, "min_leaf": 1}, {"depth": 0, "min_leaf": 1_000},
        {"depth": 1, "min_leaf": 1}, {"depth": 1, "min_leaf": 1_000},
    ]  # fmt: skip
    errors = np.array([one.rmse for one in found.tried])
    assert errors.shape == (4, 2)
    np.testing.assert_allclose(errors[[0, 1, 3]], 1.0, atol=0.1)
    np.testing.assert_allclose(errors[2], 0.0, atol=1e-12)
    assert found.chosen.params == {"depth": 1, "min_leaf": 1}
    assert (found.kind.depth, found.kind.min_leaf, found.kind.seed) == (1, 1, 7)
    assert found.kind.tune is None


@pytest.mark.slow
def test_the_first_of_equals(spark) -> None:
    chains = forward_chains(SESSIONS, [TRAIN], 1, MINUTE_US)
    found = tune(spark.createDataFrame(alternating(), DDL), spec(depth=[3, 2]), chains)
    assert found.tried[0].mean == found.tried[1].mean
    assert found.chosen.params == {"depth": 3}


@pytest.mark.slow
def test_what_comes_later_has_no_part_in_an_earlier_fold(spark) -> None:
    """Another last session changes the second fold's error and leaves the first one's."""
    chains = forward_chains(SESSIONS, [TRAIN], 2, MINUTE_US)
    rows = alternating()
    other = rows.copy()
    other.loc[other["ts"] >= at(chains[1].validate[0].start_us), "label_return"] *= 5.0
    one, two = (tune(spark.createDataFrame(frame, DDL), spec(), chains) for frame in (rows, other))
    assert [t.rmse[0] for t in one.tried] == [t.rmse[0] for t in two.tried]
    assert [t.rmse[1] for t in one.tried] != [t.rmse[1] for t in two.tried]


@pytest.mark.slow
def test_a_fold_with_nothing_to_look_at(spark) -> None:
    nowhere = Window("look", us("2013-10-05T13:30"), us("2013-10-05T20:00"))
    with pytest.raises(ModelError, match="fold 1 of tune has no row to look at in look"):
        tune(spark.createDataFrame(alternating(), DDL), spec(), [Chain((TRAIN,), (nowhere,))])
