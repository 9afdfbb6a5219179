"""TA-Lib's functions against TA-Lib; of every indicator: warm-up, no look-ahead, missing values."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from functools import cache
from typing import Any

import numpy as np
import pytest
import talib
from talib import abstract

from whatif.domain.bars import PRICE_FIELDS, Bars
from whatif.errors import IndicatorError
from whatif.indicators import INDICATORS, evaluate, parse
from whatif.indicators.library import LIBRARY, LONGEST, RENAMED, short_name
from whatif.testing import bars_of_prices

FUNCTIONS = talib.get_functions()


@cache
def market(rows: int = 420) -> Bars:
    rng = np.random.default_rng(21)
    close = 100.0 * np.exp(np.cumsum(rng.normal(0.0, 0.01, rows)))
    opened = np.concatenate([close[:1], close[:-1]]) + rng.normal(0.0, 0.1, rows)
    high, low = np.maximum(opened, close) + rng.random(rows), np.minimum(opened, close) - rng.random(rows)
    bars = bars_of_prices(np.column_stack([opened, high, low, close]))
    return replace(bars, volume=1.0 + 1_000.0 * rng.random(rows))


def sources_of(name: str) -> list[str]:
    return [
        one
        for given in abstract.Function(name).info["input_names"].values()
        for one in ([given] if isinstance(given, str) else given)
    ]


def refuses(name: str, parameter: str, value: float) -> bool:
    """Tell whether TA-Lib refuses a parameter."""
    series = [np.full(50, 5.0) for _ in sources_of(name)]
    with suppress(Exception):  # TA-Lib raises nothing narrower
        getattr(talib, name)(*series, **{parameter: value})
        return False
    return True


def test_every_function_of_ta_lib_is_there_by_its_own_name() -> None:
    assert len(FUNCTIONS) >= 161
    assert {RENAMED.get(name, name.lower()) for name in FUNCTIONS} == set(LIBRARY)
    assert set(LIBRARY) <= set(INDICATORS)


def test_the_table_says_what_ta_lib_says_of_itself() -> None:
    for name in FUNCTIONS:
        info, one = abstract.Function(name).info, LIBRARY[RENAMED.get(name, name.lower())]
        named = any(key in ("price0", "price1", "periods") for key in info["input_names"])
        assert one.sources == tuple("" if named else source for source in sources_of(name)), name
        assert {short_name(own) for own in info["parameters"]} == set(one.parameters), name
        outputs = info["output_names"]
        assert len(one.parts) == (len(outputs) if len(outputs) > 1 else 0), name
        assert all(part in output for part, output in zip(one.parts, outputs, strict=False)), name
        for own, default in info["parameters"].items():
            limit = one.limits[short_name(own)]
            assert limit.default in (None, default), (name, own)
            assert limit.whole == isinstance(default, int), (name, own)
            step = 1 if limit.whole else 0.01
            if np.isfinite(limit.least) and name != "MAVP":
                assert not refuses(name, own, limit.least), (name, own)
                assert refuses(name, own, limit.least - step), (name, own)
            if np.isfinite(limit.most) and limit.most != LONGEST:
                assert not refuses(name, own, limit.most), (name, own)
                assert refuses(name, own, limit.most + step), (name, own)
    assert refuses("SMA", "timeperiod", LONGEST + 1)
    assert not refuses("SMA", "timeperiod", LONGEST)


def test_values_are_ta_libs() -> None:
    """Each function with its defaults, by the kernel, against a call of TA-Lib."""
    bars = market()
    for name in FUNCTIONS:
        info, one = abstract.Function(name).info, LIBRARY[RENAMED.get(name, name.lower())]
        series = [
            np.full(len(bars), 5.0)
            if source == "periods"
            else getattr(bars, source) / (1_000.0 ** (name in INSIDE))
            for source in sources_of(name)
        ]
        made = getattr(talib, name)(*series)
        given = {short_name(own): default for own, default in info["parameters"].items()}
        found = np.atleast_2d(one.kernel(*series, *(given[parameter] for parameter in one.parameters)))
        before = abstract.Function(name).lookback
        assert one.warmup(*(given[parameter] for parameter in one.parameters)) == before
        for mine, theirs in zip(found, made if isinstance(made, tuple) else (made,), strict=True):
            assert np.isnan(mine[:before]).all(), name
            assert mine[before:].tobytes() == theirs[before:].astype(np.float64).tobytes(), name


INSIDE = ("ACOS", "ASIN")
"""Functions of what lies between -1 and 1."""

WRITTEN = {
    "acos": "acos(close / 1000)",
    "asin": "asin(close / 1000)",
    "crossover": "crossover(close, sma(9))",
    "mavp": "mavp(close, 2 + cdldoji() / 100, 2, 30)",
    "where": "where(close > open, high, -1)",
    "log": "log(close)",
    "weighted_linear_regression": "weighted_linear_regression(open, close, volume, 14)",
    "weighted_trend": "weighted_trend(close, volume, 14)",
}


def texts_of(name: str) -> list[str]:
    """Return an indicator as it may be written, each of its outputs."""
    one = INDICATORS[name]
    needed = len(one.parameters) - len(one.defaults)
    numbers = ", ".join(f"{number:g}" for number in one.usual[:needed])
    series = "" if all(one.sources) else ", ".join(("close", "open", "volume")[: len(one.sources)])
    text = WRITTEN.get(name, f"{name}({', '.join(filter(None, (series, numbers)))})")
    return [f"{text}.{part}" for part in one.parts] or [text]


EVERY = {text: parse(text) for name in INDICATORS for text in texts_of(name)}


def computed(bars: Bars) -> dict[str, np.ndarray]:
    cache: dict[Any, Any] = {}
    return {text: evaluate(expression, bars, cache) for text, expression in EVERY.items()}


def changed(bars: Bars, change: Callable[[np.ndarray], np.ndarray]) -> Bars:
    return replace(bars, **{name: change(getattr(bars, name)) for name in PRICE_FIELDS})


def part_of(bars: Bars, rows: slice) -> Bars:
    """Return some rows of bars, as if there were no others."""
    fields = ("ts", "session", "session_open", "session_close", *PRICE_FIELDS)
    return replace(bars, **{name: getattr(bars, name)[rows] for name in fields})


def test_every_text_is_the_canonical_one_with_a_column_of_its_own() -> None:
    assert all(expression == parse(expression.text) for expression in EVERY.values())
    columns = [expression.column for expression in EVERY.values()]
    assert len(set(columns)) == len(EVERY)
    assert all(column.isidentifier() for column in columns)


def test_each_has_its_first_value_after_its_warmup() -> None:
    for text, values in computed(market()).items():
        warmup = EVERY[text].warmup()
        assert np.isnan(values[:warmup]).all(), text
        assert np.isfinite(values[warmup:]).all(), text


def test_none_looks_ahead_and_more_bars_add_rows_alone() -> None:
    """What the first bars give is, as bytes, what all give, and all with later ones changed."""
    whole, early = computed(market()), computed(part_of(market(), slice(0, 300)))
    other = computed(changed(market(), lambda values: np.append(values[:300], values[300:] * 3.0 + 1.0)))
    for text, values in whole.items():
        assert early[text].tobytes() == values[:300].tobytes(), text
        assert other[text][:300].tobytes() == values[:300].tobytes(), text


def test_each_begins_again_after_a_missing_value() -> None:
    row = np.arange(len(market())) == 120
    gap = computed(changed(market(), lambda values: np.where(row, np.nan, values)))
    fresh = computed(part_of(market(), slice(121, None)))
    for text, values in gap.items():
        warmup = EVERY[text].warmup()
        assert np.isnan(values[120]) or text.startswith(LATER), text
        np.testing.assert_array_equal(values[121 + warmup :], fresh[text][warmup:], err_msg=text)


LATER = ("lag(", "ichimoku(", "fisher(14).signal")
"""What looks at earlier rows alone."""


def test_no_value_is_infinite() -> None:
    flat = computed(changed(market(), np.zeros_like))
    assert not any(np.isinf(values).any() for values in flat.values())


@pytest.mark.parametrize(
    ("text", "canonical"),
    [
        ("willr(close, high, low, 14)", "willr(close, high, low, 14)"),
        ("willr(high, low, close, 14)", "willr(14)"),
        ("t3(close, 5, 0.7)", "t3(5)"),
        ("t3(5, 0.70)", "t3(5)"),
        ("t3(5, 0.5)", "t3(5, 0.5)"),
        ("t3(close, n, 0.5)", "t3(close, n, 0.5)"),
        ("t3(close, n)", "t3(n)"),
        ("obv()", "obv()"),
        ("obv(close, volume)", "obv()"),
        ("bbands( close, 20, 2.0 ).upper", "bbands(20, 2).upper"),
        ("sma(bbands(20, 2).upper - close, 5)", "sma(bbands(20, 2).upper - close, 5)"),
        ("ma(close, 20, 0)", "ma(20)"),
        ("sar(0.02, 0.2)", "sar()"),
        ("stoch(5, 3, 3).slowk", "stoch(5, 3, 3).slowk"),
        ("correl(close, SPY.close, 20)", "correl(close, SPY.close, 20)"),
        ("aroon(close, close, 14).up", "aroon(close, close, 14).up"),
    ],
)
def test_one_spelling_for_one_series(text: str, canonical: str) -> None:
    assert parse(text).text == canonical
    assert parse(canonical) == parse(text)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("bbands(20, 2)", "has several outputs, upper, middle, lower: name one, as in bbands(20, 2).upper"),
        ("bbands(20, 2).uper", "bbands has no output 'uper'; did you mean 'upper'?"),
        ("willr(14).upper", "is one series and has no output 'upper': leave it out"),
        ("wilr(14)", "did you mean 'willr'?"),
        ("qqqqqq(14)", "'whatif indicators' lists all there are"),
        ("willr(1)", "1 does not fit; use a whole number from 2 to 100,000"),
        ("willr(2.5)", "2.5 does not fit; use a whole number from 2"),
        ("t3(5, 1.5)", "1.5 does not fit; use a number from 0 to 1"),
        ("sar(-1)", "-1 does not fit; use a number of at least 0"),
        ("willr()", "write willr(high, low, close, period) or willr(period) on high, low, close"),
        ("obv(5)", "write obv(close, volume) or obv() on close, volume"),
        ("t3(5, 0.7, 3)", "0.7 does not fit; use a whole number from 1 to 100,000"),
        ("willr(100001)", "from 2 to 100,000"),
    ],
)
def test_refused_with_the_rule(text: str, said: str) -> None:
    with pytest.raises(IndicatorError) as refused:
        parse(text)
    assert said in str(refused.value)


def test_numbers_that_ta_lib_refuses_together_are_named() -> None:
    with pytest.raises(IndicatorError, match=r"mavp: TA-Lib refuses 20, 10, 0: .*give other numbers"):
        evaluate(parse("mavp(close, open, 20, 10)"), market())
