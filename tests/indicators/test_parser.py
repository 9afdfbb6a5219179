"""Expressions: text, names, binding, warm-up, and what is refused."""

from __future__ import annotations

import time

import pytest

from whatif.errors import IndicatorError
from whatif.features.spec import FeatureSpec
from whatif.indicators import parse
from whatif.search.slices import BarSlice


@pytest.mark.parametrize(
    ("text", "canonical", "column", "warmup"),
    [
        ("vwap", "vwap", "vwap", 0),
        ("sma(20)", "sma(20)", "sma_20", 19),
        (" sma( close , 20 ) ", "sma(20)", "sma_20", 19),
        ("sma(vwap, 20)", "sma(vwap, 20)", "sma_vwap_20", 19),
        ("ema(10)", "ema(10)", "ema_10", 9),
        ("roc(5)", "roc(5)", "roc_5", 5),
        ("roc100(sma(3), 5)", "roc100(sma(3), 5)", "roc100_sma_3_5", 7),
        ("macd(12, 26)", "macd(12, 26)", "macd_12_26", 25),
        ("macd_signal(vwap, 26, 12, 9)", "macd_signal(vwap, 26, 12, 9)", "macd_signal_vwap_26_12_9", 33),
        ("rsi(14)", "rsi(14)", "rsi_14", 14),
        ("atr(14)", "atr(14)", "atr_14", 14),
        ("atr(high, low, close, 14)", "atr(14)", "atr_14", 14),
        ("atr(high, low, vwap, 14)", "atr(high, low, vwap, 14)", "atr_high_low_vwap_14", 14),
        ("bollinger_top(20, 2)", "bollinger_top(20, 2)", "bollinger_top_20_2", 19),
        ("bollinger_top(20, 2.0)", "bollinger_top(20, 2)", "bollinger_top_20_2", 19),
        (
            "bollinger_bottom(vwap, 20, 2.5)",
            "bollinger_bottom(vwap, 20, 2.5)",
            "bollinger_bottom_vwap_20_2p5",
            19,
        ),
        ("highest(high, 20)", "highest(high, 20)", "highest_high_20", 19),
        ("crossover(close, sma(15))", "crossover(close, sma(15))", "crossover_close_sma_15", 15),
        ("close@1h", "close@1h", "close_1h", 0),
        ("sma( close @ 60min , 20 )", "sma(close@1h, 20)", "sma_close_1h_20", 19),
        ("roc(sma(close@1d, 5), 2)", "roc(sma(close@1d, 5), 2)", "roc_sma_close_1d_5_2", 6),
        ("SPY.close", "SPY.close", "spy_close", 0),
        ("'SPY'.close", "SPY.close", "spy_close", 0),
        ("BRK.B.close@60min", "BRK.B.close@1h", "brk_b_close_1h", 0),
        ("sma(SPY.close, 50)", "sma(SPY.close, 50)", "sma_spy_close_50", 0),
        ("crossover(sma(5), SPY.close)", "crossover(sma(5), SPY.close)", "crossover_sma_5_spy_close", 5),
        ('"BTC-USD".vwap', "'BTC-USD'.vwap", "btc_usd_vwap", 0),
        ("'0700.HK'.close", "'0700.HK'.close", "of_0700_hk_close", 0),
        ("'a@1h b'.close", "'a@1h b'.close", "a_1h_b_close", 0),
        (
            "bollinger_top('in'.close, 3, 2.5)",
            "bollinger_top('in'.close, 3, 2.5)",
            "bollinger_top_in_close_3_2p5",
            0,
        ),
    ],
)
def test_text_column_and_warmup(text: str, canonical: str, column: str, warmup: int) -> None:
    expression = parse(text)

    assert (expression.text, expression.column, expression.warmup()) == (canonical, column, warmup)
    assert parse(canonical) == expression
    assert hash(parse(canonical)) == hash(expression)


def test_a_name_is_a_parameter_in_a_numbers_place_and_a_series_in_a_series_place() -> None:
    expression = parse("crossover(sma(forecast, fast), sma(slow))")

    assert expression.parameters == {"fast", "slow"}
    assert expression.inputs == {"forecast"}
    assert expression.bind({"fast": 3, "slow": 9, "size": 1.5}).text == "crossover(sma(forecast, 3), sma(9))"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("smaa(20)", "did you mean 'sma'"),
        ("sma()", "write sma(source, period)"),
        ("sma(close, 20, 3)", "write sma(source, period)"),
        ("sma(0)", "at least 1"),
        ("sma(-3)", "at least 1"),
        ("sma(2.5)", "2.5 is not a period"),
        ("sma(True)", "True is not a period"),
        ("sma(fast + 1)", "not a period"),
        ("atr(close, 14)", "write atr(high, low, close, period) or atr(period) on high, low, close"),
        ("bollinger_top(20)", "write bollinger_top(source, period, deviations)"),
        ("bollinger_top(2.5, 20)", "2.5 is not a period"),
        ("bollinger_top(20, -1)", "-1 is not a factor"),
        ("bollinger_top(20, 'two')", "'two' is not a factor"),
        ("bollinger_top(20, 1e400)", "inf is not a factor"),
        ("crossover(close)", "write crossover(source1, source2)"),
        ("close % open", "is no arithmetic of series: write"),
        ("close[1]", "'close[1]' is neither a series nor an indicator"),
        ("close@7h", "@7h: timeframe '7h' does not divide a day"),
        ("close@hour", "@hour: 'hour' is not a duration"),
        ("close@", "@: '' is not a duration"),
        ("sma(20)@1h", "@1h stands behind 'sma(20)'; it belongs behind the name of a series"),
        ("sma(close@1h@1d, 3)", "@1d stands behind 'close@1h'"),
        ("clse@1h", "there is no series 'clse' of 1h bars; did you mean 'close'?"),
        ("forecast@1h", "there is no series 'forecast' of 1h bars; valid: close, high"),
        ("sma(close@1h)", "'close@1h' is not a period"),
        ("SPY.clse", "there is no series 'clse' of SPY; did you mean 'close'?"),
        ("SPY.minute_of_session", "there is no series 'minute_of_session' of SPY; valid: close"),
        ("sma(5).close", "sma(5) is one series and has no output 'close'"),
        ("'SPY'.B.close", "a symbol is a name or a text in quotes"),
        ("''.close", "the symbol '' is blank: name one, such as SPY"),
        ("'A '.close", "begins or ends with a blank"),
        ("7203.T.close", "not an indicator expression"),
        ("sma(close@1h, 3, 4)", "'sma(close@1h, 3, 4)' does not fit; write sma(source, period)"),
        ("sma(20", "not an indicator expression"),
        ("", "not an indicator expression"),
        ("__import__('os')", "unknown"),
    ],
)
def test_refused_with_the_rule(text: str, said: str) -> None:
    with pytest.raises(IndicatorError) as refused:
        parse(text)

    assert said in str(refused.value)


@pytest.mark.parametrize(
    ("params", "said"),
    [
        ({"fats": 3}, "did you mean 'fats'"),
        ({}, "declares no parameters"),
        ({"fast": 0.5}, "0.5 is not a period"),
    ],
)
def test_binding_is_checked(params: dict[str, object], said: str) -> None:
    with pytest.raises(IndicatorError) as refused:
        parse("sma(fast)").bind(params)

    assert said in str(refused.value)


def test_a_factor_may_be_a_parameter() -> None:
    bound = parse("bollinger_top(n, width)").bind({"n": 20, "width": 2})

    assert bound == parse("bollinger_top(20, 2.0)")
    with pytest.raises(IndicatorError, match="width: -2 is not a factor; use a number of at least 0"):
        parse("bollinger_top(20, width)").bind({"width": -2})


def test_the_warmup_of_an_unbound_expression_is_refused() -> None:
    with pytest.raises(IndicatorError, match="bind the parameters first"):
        parse("sma(fast)").warmup()


@pytest.mark.parametrize(
    "text",
    [
        "sma(" * 200 + "close" + ", 3)" * 200,
        "sma(" * 31 + "close" + ", 3)" * 31,
        "(" * 5000,
        "[" * 31 + "]" * 31,
        "sma(close, " + "-" * 1500 + "1)",
        "a" + ".b" * 900,
        "1" + "+1" * 900,
        "sma(close, 1" + "0" * 5000 + ")",
        "sma(close, 1" + "0" * 1900 + ")",
        "sma(close, 1000000000000)",
        "sma(close, 1e400)",
        "close" * 10_000,
        "sma(\0)",
    ],
)
def test_expressions_without_end_are_refused_at_once(text: str) -> None:
    began = time.thread_time()
    with pytest.raises(IndicatorError) as caught:
        parse(text)
    assert time.thread_time() - began < 0.5
    assert len(str(caught.value)) < 5000


def test_thirty_deep_is_deep_enough() -> None:
    assert parse("sma(" * 30 + "close" + ", 3)" * 30).warmup() == 60


SPELLINGS = [
    # spaces, parentheses, default sources
    ("sma(20)", "sma( close ,20 )", "(sma(20))", "sma((close), 20)", " sma(20)", "sma(period=20)",
     "sma(close, period=20)"),
    ("bbands(20, 2).upper", "bbands(close, 20, 2.0).upper", "bbands(20,2e0).upper", "(bbands(20, 2)).upper",
     "bbands(deviations=2, period=20).upper", "bbands(20, deviations=2.00).upper"),
    ("atr(14)", "atr(high, low, close, 14)", "atr(high,low,close,period=14)"),
    ("t3(5)", "t3(close, 5, 0.7)", "t3(5, vfactor=0.70)", "t3(vfactor=0.7, period=5)"),
    ("kama(10, 2, 40)", "kama(10, slow=40)", "kama(close, 10, 2, 40)", "kama(close, 10, slow=40)"),
    ("obv()", "obv(close, volume)"),
    ("(close - sma(20)) / atr(14)", "( close-sma(close,20) )/atr(14)", "((close - sma(20))) / (atr(14))"),
    ("close + 1", "close+1.0", "close + (1)", "close + 2 / 2", "close + 1e0"),
    ("close * 0.5", "close * .5", "close * (1/2)", "close*5e-1"),
    ("close * 1e+22", "close * 1e22", "close * 10000000000000000000000"),
    ("close@1h", "close@60min", "close @ 1h"),
    ("SPY.close", "'SPY'.close", '"SPY".close'),
    ("rank(roc(20))", "rank(roc(close, 20))", "rank( (roc(period=20)) )"),
    ("rank(roc(20), IBM, SPY)", "rank(roc(20), SPY, IBM)", "rank(roc(20), 'SPY', IBM, SPY)"),
]  # fmt: skip


@pytest.mark.parametrize("spellings", SPELLINGS, ids=lambda one: one[0])
def test_spellings_of_one_series_are_one_column_and_one_digest(spellings: tuple[str, ...]) -> None:
    expected = spellings[0]
    tables = set()
    for text in spellings:
        assert parse(text).text == expected, text
        assert parse(text).column == parse(expected).column
        part = BarSlice(("A",), "1min", "1min", "XNYS", "regular", 0, 1)
        tables.add(FeatureSpec(part, (text,), None).table)
    assert len(tables) == 1
    assert sum(map(len, SPELLINGS)) > 45


@pytest.mark.parametrize(
    ("one", "other"),
    [("close + open", "open + close"), ("close * 1", "close"), ("--close", "close"),
     ("close + 1 + 2", "close + 3"), ("close > open", "open < close"), ("bollinger_mid(20)", "sma(20)")],
)  # fmt: skip
def test_what_is_equal_by_algebra_alone_is_another_column(one: str, other: str) -> None:
    """Rounding says whether it is the same number; nothing is put in another order than it is written."""
    assert parse(one) != parse(other)
    assert parse(one).column != parse(other).column


def test_a_named_number_may_be_a_strategys_parameter() -> None:
    assert parse("t3(n, vfactor=0.5)").bind({"n": 5}) == parse("t3(5, 0.5)")
    assert parse("sma(vwap, period=n)").bind({"n": 5}) == parse("sma(vwap, 5)")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("sma(tenor=20)", "sma has no number 'tenor': valid: period"),
        ("kama(10, slwo=30)", "did you mean 'slow'"),
        ("obv(x=1)", "obv has no number 'x'"),
        ("sma(20, period=20)", "does not fit"),
        ("kama(10, 2, fast=3)", "does not fit"),
        ("sma(period=20, period=30)", "does not fit"),
        ("bbands(deviations=2).upper", "does not fit"),
        ("bbands(close, deviations=2).upper", "does not fit"),
        ("atr(high, low, period=14)", "does not fit"),
        ("sma(**x)", "has no number"),
        ("SMA(20)", "did you mean 'sma'"),
        ("BBANDS(20, 2).upper", "did you mean 'bbands'"),
        ("Sma(20)", "did you mean 'sma'"),
        ("bbands.upper", r"bbands is an indicator: give its parameters, as in bbands\(14, 2\)\.upper"),
        ("sma(20).upper", "is one series and has no output 'upper'"),
        ("bbands(20, 2).upper.x", "is one series and has no output 'x'"),
        ("close * 1e309", "a number in it is too large"),
        ("clip(close, 1e400, 2)", "a number in it is too large"),
        ("log(0)", "0 is a number, and a series has to stand there"),
        ("1", "1 is a number, and a series has to stand there"),
    ],
)
def test_what_does_not_fit_says_what_would(text: str, said: str) -> None:
    with pytest.raises(IndicatorError, match=said):
        parse(text)


def test_long_numbers_stay_short() -> None:
    assert parse("clip(close, 1e300, 1e301)").column == "clip_close_1e300_1e301"
    assert len(parse(" + ".join(["close * 1e308"] * 20)).text) < 500
