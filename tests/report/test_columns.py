from __future__ import annotations

import math

import pandas as pd
import pytest

from whatif.domain import BENCHMARK_COLUMNS, METRIC_KEYS, METRICS
from whatif.report.columns import axis_label, format_metric, format_number
from whatif.report.heatmap import levels


@pytest.mark.parametrize(
    ("value", "kind", "text"),
    [
        (1.234, "ratio", "1.23"),
        (-1.235, "ratio", "−1.24"),  # 1.235 is stored as 1.23500000000000009770
        (0.125, "ratio", "0.13"),  # an exact half goes away from zero
        (0.00123, "ratio", "0.0012"),
        (-0.00456, "percent", "−0.0046"),
        (-0.0000456, "percent", "0.0000"),
        (12345.6, "ratio", "12,346"),
        (0.0, "ratio", "0.00"),
        (-0.001, "money", "0.00"),  # no minus zero
        (1234567.0, "money", "1,234,567"),
        (999.994, "money", "999.99"),
        (0.4567, "fraction", "45.7"),
        (2400, "count", "2,400"),
        (True, "flag", "yes"),
        (0.0, "flag", "no"),
        (math.nan, "ratio", "–"),
        (None, "count", "–"),
        (pd.NA, "money", "–"),
        (math.inf, "ratio", "∞"),
        (-math.inf, "count", "−∞"),
        (1e15, "count", "1,000,000,000,000,000"),
        (-2.54e28, "percent", "−2.5e+28"),
        (1.25e16, "money", "1.3e+16"),  # an exact half goes away from zero here too
        (9.96e200, "fraction", "1.0e+203"),
        (1.7e308, "fraction", "∞"),
    ],
)
def test_a_number_is_written_to_its_kind(value, kind, text):
    assert format_number(value, kind) == text


def test_every_metric_of_the_domain_has_a_name_a_unit_and_a_meaning():
    assert set(METRICS) == {*METRIC_KEYS, *BENCHMARK_COLUMNS}
    assert all(metric.meaning.endswith(".") and metric.label for metric in METRICS.values())


def test_what_ranks_low_first_is_the_domains_word():
    assert METRICS["benchmark_max_drawdown_pct"].less_is_better
    assert METRICS["costs"].less_is_better
    assert not METRICS["sharpe"].less_is_better


def test_an_unknown_metric_is_still_shown():
    assert format_metric("my_own", 1.5) == "1.50"


def test_axis_values_are_short_and_distinct():
    assert axis_label({"commission": 0.0005, "slippage": 0.0001}) == "commission=0.0005, slippage=0.0001"
    assert axis_label([1, 2.5]) == "1, 2.5"
    assert axis_label(0.0001) == "0.0001"
    assert axis_label(5e-05) == "0.00005"
    assert axis_label(-1.25e-9) == "-0.00000000125"
    assert axis_label(1e-30) == "1e-30"
    assert axis_label(0.1 + 0.2) == "0.3"
    assert axis_label(None) == "–"
    assert axis_label("rf_small") == "rf_small"


def test_a_rule_that_is_off_is_one_level_before_the_numbers():
    for column in ([0.02, None, 0.01, None], [0.02, math.nan, 0.01, math.nan]):
        coded = levels(pd.Series(column))
        assert coded.labels == ["–", "0.01", "0.02"]
        assert coded.codes.tolist() == [2, 0, 1, 0]
    assert levels(pd.Series(["b", None, "a"], dtype=object)).labels == ["b", "–", "a"]
