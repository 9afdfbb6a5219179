"""Expressions: text, names, binding, warm-up, and what is refused."""

from __future__ import annotations

import time

import pytest

from whatif.errors import IndicatorError
from whatif.indicators import parse


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
        ("sma(period=20)", "write sma(source, period)"),
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
        ("sma(5).close", "a symbol is a name or a text in quotes: write for instance SPY.close"),
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
