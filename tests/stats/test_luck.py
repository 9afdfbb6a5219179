"""The best by luck, against arch, which resamples the whole panel."""

from __future__ import annotations

import numpy as np
import pytest
from arch.bootstrap import SPA

from whatif.stats import luck
from whatif.stats.luck import best_by_luck


@pytest.mark.parametrize("block", [1, 4, 11])
@pytest.mark.parametrize("columns", [1, 7, 40])
def test_p_values_are_those_of_arch(block, columns, monkeypatch) -> None:
    monkeypatch.setattr(luck, "_COLUMNS", 16)  # several parts
    rng = np.random.default_rng(columns)
    # some are far below the benchmark, so that the three centres differ
    gains = rng.normal(size=(120, columns)) + rng.choice([0.1, -0.15, -0.6], columns)
    test = SPA(np.zeros(120), -gains, block_size=block, reps=150, seed=7)
    test.compute()
    assert list(best_by_luck(gains, block, 150, 7)) == pytest.approx(test.pvalues.tolist(), abs=1e-12)
