"""Arithmetic in expressions: its spelling, its numbers, and what is no arithmetic."""

from __future__ import annotations

import ast
import operator

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import whatif
from whatif.errors import IndicatorError
from whatif.indicators import evaluate, parse
from whatif.strategies import buy, close, hold, strategy
from whatif.testing import bars_of_prices

PRICES = [
    (10.0, 12.0, 8.0, 11.0),
    (11.0, 15.0, 11.0, 14.0),
    (14.0, 14.0, 14.0, 14.0),
    (14.0, 20.0, 10.0, 10.0),
]
BARS = bars_of_prices(PRICES)


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("high - low", [4.0, 4.0, 0.0, 10.0]),
        ("(close - low) / (high - low)", [0.75, 0.75, np.nan, 0.0]),  # 0 / 0 is missing
        ("close / (high - low)", [2.75, 3.5, np.nan, 1.0]),  # so is 14 / 0
        ("high - low > 4", [0.0, 0.0, 0.0, 1.0]),
        ("close / (high - low) >= 1", [1.0, 1.0, np.nan, 1.0]),  # what is missing compares to nothing
        ("(close < 12) + (close != open)", [2.0, 1.0, 0.0, 2.0]),
        ("where(close > open, high, low - 1)", [12.0, 15.0, 13.0, 9.0]),
        ("where((high - low) / (high - low), 1, 0)", [1.0, 1.0, np.nan, 1.0]),
        ("clip(close, 10.5, sma(high, 2))", [np.nan, 13.5, 14.0, 10.5]),
        ("abs(open - close)", [1.0, 3.0, 0.0, 4.0]),
        ("log(close - 10)", [0.0, np.log(4.0), np.log(4.0), np.nan]),  # log of 0 is missing
        ("-close + 1", [-10.0, -13.0, -13.0, -9.0]),
        ("2 * close - 3 * open", [-8.0, -5.0, -14.0, -22.0]),
        ("close - (open - 1)", [2.0, 4.0, 1.0, -3.0]),
        ("close - open - 1", [0.0, 2.0, -1.0, -5.0]),
        ("close / 2 / 2", [2.75, 3.5, 3.5, 2.5]),
        ("close - sma(2)", [np.nan, 1.5, 0.0, -2.0]),
        ("sma(high - low, 2)", [np.nan, 4.0, 2.0, 5.0]),
        ("close * 1e308 * 10", [np.nan] * 4),  # beyond the largest number
    ],
)
def test_numbers_by_hand(text, wanted):
    np.testing.assert_array_equal(evaluate(parse(text), BARS), wanted)


@pytest.mark.parametrize(
    ("text", "canonical"),
    [
        ("( close-sma( 20 ) )/atr(14)", "(close - sma(20)) / atr(14)"),
        ("((close + open)) + high", "close + open + high"),
        ("close + (open + high)", "close + (open + high)"),
        ("close / (high * low)", "close / (high * low)"),
        ("(close * 2.0)", "close * 2"),
        ("close * 1.50", "close * 1.5"),
        ("(-close) * 2", "-close * 2"),
        ("-(close * 2)", "-(close * 2)"),
        ("-(-2) * close", "2 * close"),
        ("(1 + 2) * close", "3 * close"),
        ("crossover(close, sma(close, fast) * 1.01)", "crossover(close, sma(fast) * 1.01)"),
        ("2 * close@60min", "2 * close@1h"),
        ("close>open", "close > open"),
        ("(close > open) == (high > 2.0)", "(close > open) == (high > 2)"),
        ("(close + open) > (high * 2)", "close + open > high * 2"),
        ("(close > open) * 2", "(close > open) * 2"),
        ("clip( close , -2.0 , 1+1 )", "clip(close, -2, 2)"),
        ("zscore(close, 20)", "zscore(20)"),
        ("lag(close, 3)", "lag(3)"),
    ],
)
def test_one_spelling_for_one_expression(text, canonical):
    assert parse(text).text == canonical
    assert parse(canonical) == parse(text)


def test_expressions_without_arithmetic_are_spelled_as_before():
    for text, column in {"sma(20)": "sma_20", "vwap": "vwap", "ema(close@1h, 5)": "ema_close_1h_5"}.items():
        assert (parse(text).text, parse(text).column) == (text, column)


def test_columns_of_functions_are_predictable():
    for text, column in {"zscore(close, 20)": "zscore_20", "clip(close, -1.5, 2)": "clip_close_m1p5_2",
                         "abs(roc(5))": "abs_roc_5"}.items():  # fmt: skip
        assert parse(text).column == column
    assert parse("close > sma(20)").column.startswith("of_close_above_sma_20_")


def test_columns_of_different_expressions_differ():
    texts = ["close + open", "close - open", "close * open", "close / open", "close - (open - high)",
             "close - open - high", "-close - open"]  # fmt: skip
    texts += [
        "close > open",
        "close < open",
        "close >= open",
        "close <= open",
        "close == open",
        "close != open",
    ]
    texts += ["clip(close, 1, 2)", "clip(close, -1, 2)", "clip(close, 1.5, 2)", "abs(close)", "log(close)"]
    columns = [parse(text).column for text in texts]
    assert len(set(columns)) == len(columns)
    assert all(column.isidentifier() and column == column.lower() for column in columns)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("1 + 2", "3 is a number, and a series has to stand there"),
        ("sma(1 + 2, 20)", "3 is a number, and a series has to stand there"),
        ("close ** 2", "write + - * / and a minus"),
        ("close // 2", "write + - * / and a minus"),
        ("close % 2", "write + - * / and a minus"),
        ("+close", "write + - * / and a minus"),
        ("not close", "write + - * / and a minus"),
        ("open < close < high", "and one comparison of two"),
        ("close is open", "and one comparison of two"),
        ("close > open and close > low", "multiply conditions where both have to hold"),
        ("2 > 1", "1 is a number, and a series has to stand there"),
        ("abs(-2)", "-2 is a number, and a series has to stand there"),
        ("where(1, 2, 3)", "1 is a number, and a series has to stand there"),
        ("sma(2, 20)", "2 is a number, and a series has to stand there"),
        ("close * True", "neither a series nor an indicator"),
        ("close * (1 / 0)", "'1 / 0' is no finite number"),
        ("close * 1e999", "a number in it is too large"),
        ("close * " + "9" * 400, "not an indicator expression"),
        ("close -", "not an indicator expression"),
        (" + ".join(["close"] * 102), "101 operators and indicators inside of each other"),
        ("sma(2 * 10)", "is not a period"),
    ],
)
def test_what_is_no_arithmetic_is_refused(text, said):
    with pytest.raises(IndicatorError) as raised:
        parse(text)
    assert said in str(raised.value)


TREES = st.recursive(
    st.sampled_from(["close", "open", "high", "2", "0.5"]),
    lambda inner: st.one_of(
        st.tuples(inner, st.sampled_from([*"+-*/><", ">=", "<=", "==", "!="]), inner).map(
            lambda parts: "({}) {} ({})".format(*parts)
        ),
        inner.map(lambda one: f"-({one})"),
    ),
    max_leaves=12,
)


COMPARED = {
    ast.Gt: operator.gt, ast.Lt: operator.lt, ast.GtE: operator.ge, ast.LtE: operator.le,
    ast.Eq: operator.eq, ast.NotEq: operator.ne,
}  # fmt: skip


@given(TREES)
def test_numbers_and_spelling_are_those_of_python(text):
    """The text as Python computes it on arrays, by its own tree, is what the canonical text gives."""
    try:
        expression = parse(text)
    except IndicatorError:
        return  # numbers alone
    assert parse(expression.text) == expression
    names = {name: getattr(BARS, name) for name in ("open", "high", "close")}

    def number(tree):
        if isinstance(tree, ast.Constant):
            return np.float64(tree.value)
        if isinstance(tree, ast.Name):
            return names[tree.id]
        if isinstance(tree, ast.UnaryOp):
            return finite(-number(tree.operand))
        second = tree.comparators[0] if isinstance(tree, ast.Compare) else tree.right
        left, right = number(tree.left), number(second)
        if isinstance(tree, ast.Compare):
            known = np.isfinite(left) & np.isfinite(right)
            return np.where(known, COMPARED[type(tree.ops[0])](left, right), np.nan)
        kind = type(tree.op)
        return finite(
            left + right if kind is ast.Add else left - right if kind is ast.Sub
            else left * right if kind is ast.Mult else left / right
        )  # fmt: skip

    def finite(values):
        return np.where(np.isfinite(values), values, np.nan)

    with np.errstate(all="ignore"):
        wanted = number(ast.parse(text, mode="eval").body)
    np.testing.assert_array_equal(evaluate(expression, BARS), np.broadcast_to(wanted, 4))


def frame(n=60):
    rng = np.random.default_rng(3)
    prices = 100.0 * np.exp(np.cumsum(rng.normal(0.0, 0.01, n)))
    ts = pd.date_range("2024-01-02 14:30", periods=n, freq="1min", tz="UTC")
    return pd.DataFrame(
        {"symbol": "A", "ts": ts, "open": prices, "high": prices * 1.01, "low": prices * 0.99,
         "close": prices, "volume": 10.0}
    )  # fmt: skip


def test_features_of_a_frame():
    bars = frame()
    found = whatif.features(bars, ["sma(20)", "(close - sma(20)) / atr(14)", "close - close@5min"])
    parts = whatif.features(bars, ["sma(20)", "atr(14)", "close@5min"])
    sma, atr, longer = (parts[name].to_numpy() for name in ("sma(20)", "atr(14)", "close@5min"))
    values = found["(close - sma(20)) / atr(14)"].to_numpy()
    np.testing.assert_array_equal(values, (bars["close"].to_numpy() - sma) / atr)
    assert np.isnan(values[:19]).all()
    assert not np.isnan(values[19:]).any()
    last = found["close - close@5min"].to_numpy()
    np.testing.assert_array_equal(last, bars["close"].to_numpy() - longer)


VALUES = st.one_of(st.floats(-1e6, 1e6), st.sampled_from([0.0, 1.0, 1.0, -2.5, np.nan]))


@settings(max_examples=60, deadline=None)
@given(
    st.lists(VALUES, min_size=1, max_size=30), st.lists(VALUES, min_size=1, max_size=30), st.integers(1, 6)
)
def test_functions_are_those_of_pandas(first, second, n):
    rows = min(len(first), len(second))
    one, other = pd.Series(first[:rows]).round(3), pd.Series(second[:rows])
    bars = bars_of_prices([(1.0, 1.0, 1.0, 1.0)] * rows).with_inputs(
        {"one": one.to_numpy(), "other": other.to_numpy()}
    )
    wanted = {
        "lag(one, n)": one.shift(n),
        "abs(one)": one.abs(),
        "log(one)": np.log(one.where(one > 0.0)),
        "clip(one, -1, other)": one.clip(lower=-1.0).where(
            one.isna() | (one.clip(lower=-1.0) < other), other
        ),
        "where(one > other, one, -1)": one.where(one > other, -1.0).where(one.notna() & other.notna()),
    }
    for text, values in wanted.items():
        values = values.where(other.notna()) if "other" in text else values
        found = evaluate(parse(text).bind({"n": n}), bars)
        np.testing.assert_allclose(found, values, rtol=1e-12, err_msg=text)
    found = evaluate(parse("zscore(one, n)").bind({"n": n}), bars)
    # window by window: pandas' own rolling deviation runs, and is not exact
    by_window = one.rolling(n).apply(deviations, raw=True)
    np.testing.assert_allclose(found, by_window, rtol=1e-6, atol=1e-9)


def deviations(window):
    return (window[-1] - window.mean()) / window.std() if np.ptp(window) > 0.0 else np.nan


def test_flat_windows_have_no_zscore():
    bars = bars_of_prices([(0.1, 0.1, 0.1, 0.1)] * 9)
    assert np.isnan(evaluate(parse("zscore(7)"), bars)).all()


def test_a_period_longer_than_the_data_is_refused():
    with pytest.raises(
        IndicatorError, match=r"'sma\(61\)' has its first value after 60 bars, and no symbol has"
    ):
        whatif.features(frame(60), ["close", "sma(61)"])
    assert np.isfinite(whatif.features(frame(60), ["sma(60)"])["sma(60)"].iloc[-1])


@strategy(inputs={"far": "(close - sma(10)) / stddev(10)"})
def far_below(i, x, p, s):
    """Hold what is far below its mean."""
    if s.size == 0.0 and x.far[i] < -1.0:
        return buy(1.0)
    return close() if s.size != 0.0 and x.far[i] > 0.0 else hold()


def test_a_strategy_takes_arithmetic_for_an_input_on_both_engines():
    runs = [whatif.backtest(frame(), far_below, engine=engine) for engine in ("backtrader", "compiled")]
    assert len(runs[0].fills) > 2
    pd.testing.assert_frame_equal(runs[0].fills, runs[1].fills)
