"""What is refused before a lake or Spark is needed."""

from __future__ import annotations

from pathlib import Path

import pytest

from whatif.errors import EngineError, IndicatorError, StudyError
from whatif.resolve.check import check_study
from whatif.study import load_study

STUDY = """
study: s
data: {symbols: [SPY], start: 2013-10-04, end: 2013-10-12}
calendar: {exchange: XNYS}
strategy: {name: NAME}
"""

ORDINARY = """
import backtrader as bt

class Ordinary(bt.Strategy):
    params = (("stop_loss", 0.5),)
"""

ENTERING = """
from whatif.strategies import buy, hold, strategy

@strategy()
def entering(i, x, p, s):
    return buy(1.0, limit=x.low[i]) if s.size == 0.0 else hold()
"""
"""A step whose orders wait for a price."""


def checked(folder: Path, name: str, more: str = "", symbols: str = "[SPY]"):
    (folder / "ordinary.py").write_text(ORDINARY)
    (folder / "study.yaml").write_text(STUDY.replace("NAME", name).replace("[SPY]", symbols) + more)
    return check_study(load_study(folder / "study.yaml"))


def test_probabilities_come_from_a_model(tmp_path: Path) -> None:
    with pytest.raises(StudyError) as refused:
        checked(tmp_path, "probability_threshold")

    for part in ("trades a model's prob_long", "models: none", "declare models and add the axis model"):
        assert part in str(refused.value)


def test_overlays_need_a_step_function(tmp_path: Path) -> None:
    for more in ("overlays: {latency: 1}", "axes: {latency: [0, 1]}"):
        with pytest.raises(StudyError, match="overlays latency cannot be laid over Ordinary"):
            checked(tmp_path, "ordinary.py", more)
    # its own parameter is no overlay, and what is off is none either
    grid = checked(tmp_path, "ordinary.py", "overlays: {latency: 0}\naxes: {stop_loss: [0.1, 0.2]}").grid
    assert grid is not None
    assert [c.params["stop_loss"] for c in grid.configurations] == [0.1, 0.2]
    assert not any(c.overlays.is_on for c in grid.configurations)


@pytest.mark.parametrize(
    ("name", "more", "symbols", "said"),
    [
        (
            "breakout",
            "overlays: {max_net: 0.5}",
            "[SPY, IBM]",
            "max_net = 0.5 bounds .* write portfolio: shared",
        ),
        (
            "breakout",
            "portfolio: shared\naxes: {max_gross: [null, 1.0]}",
            "[SPY]",
            "max_gross = 1 bounds what",
        ),
        (
            "entering.py",
            "portfolio: shared\noverlays: {max_positions: 1}",
            "[SPY, IBM]",
            "max_positions = 1 bounds orders at the market, and those of entering",
        ),
        ("breakout", "axes: {risk_per_trade: [null, 0.01]}", "[SPY]", "nothing says one for breakout"),
    ],
)
def test_rules_that_could_not_act_are_refused_before_any_task(tmp_path, name, more, symbols, said) -> None:
    (tmp_path / "entering.py").write_text(ENTERING)
    with pytest.raises(EngineError, match=said):
        checked(tmp_path, name, more, symbols)


def test_a_risk_beside_a_stop_is_an_axis(tmp_path: Path) -> None:
    more = "axes: {risk_per_trade: [null, 0.01], stop_loss: [0.02]}"
    grid = checked(tmp_path, "breakout", more).grid
    assert [c.overlays.active for c in grid.configurations] == [
        {"stop_loss": 0.02},
        {"stop_loss": 0.02, "risk_per_trade": 0.01},
    ]
    assert checked(tmp_path, "bollinger_reversion", "overlays: {risk_per_trade: 0.01}").engine == "compiled"


def test_overlays_of_a_step_function(tmp_path: Path) -> None:
    grid = checked(tmp_path, "breakout", "overlays: {stop_loss: 0.1}\naxes: {latency: [0, 1]}").grid
    assert grid is not None
    assert [c.overlays.active for c in grid.configurations] == [
        {"stop_loss": 0.1},
        {"stop_loss": 0.1, "latency": 1},
    ]


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ("overlays: {flat_before_close: 30}", None),
        ("overlays: {flat_before_close: 1}", "comes too late on XNYS.*at least 2"),
        ("overlays: {flat_before_close: 30}\naxes: {timeframe: [15min, 1h]}", "at least 90"),
        ("overlays: {flat_before_close: 30}\naxes: {timeframe: [1d]}", "shorter bars"),
    ],
)
def test_a_rule_that_comes_too_late_is_refused_before_the_sweep(tmp_path: Path, more: str, said: str) -> None:
    if said is None:
        assert checked(tmp_path, "breakout", more).grid is not None
        return
    with pytest.raises(EngineError, match=said):
        checked(tmp_path, "breakout", more)


def test_a_market_that_never_closes_has_no_close_to_be_flat_before(tmp_path: Path) -> None:
    (tmp_path / "study.yaml").write_text(
        STUDY.replace("NAME", "breakout").replace("XNYS", "24/7") + "overlays: {flat_before_close: 30}"
    )
    with pytest.raises(EngineError, match="24/7 has only UTC days"):
        check_study(load_study(tmp_path / "study.yaml"))


UNCOMPILED = """
import pandas as pd
from whatif.strategies import strategy, hold, target

@strategy()
def listing(i, x, p, s):
    return target(1.0) if pd.Series(x.close).iloc[i] > 0 else hold()
"""


def test_the_engine_is_chosen_before_any_task_starts(tmp_path: Path) -> None:
    (tmp_path / "listing.py").write_text(UNCOMPILED)
    plain = checked(tmp_path, "sma_crossover")
    asked = checked(tmp_path, "sma_crossover", "engine: backtrader")
    ordinary = checked(tmp_path, "ordinary.py")

    assert (plain.engine, plain.not_compiled) == ("compiled", "")
    assert (asked.engine, asked.not_compiled) == ("backtrader", "")
    assert ordinary.engine == "backtrader"
    assert "Ordinary is an ordinary backtrader.Strategy" in ordinary.not_compiled


def test_a_step_that_cannot_be_compiled_names_its_line(tmp_path: Path) -> None:
    (tmp_path / "listing.py").write_text(UNCOMPILED)

    taken = checked(tmp_path, "listing.py")
    assert taken.engine == "backtrader"
    with pytest.raises(EngineError) as refused:
        checked(tmp_path, "listing.py", "engine: compiled")

    for said in (taken.not_compiled, str(refused.value)):
        assert "listing.py" in said
        assert "line" in said
        assert "engine: backtrader" in said


def test_an_engine_that_does_not_cover_the_study(tmp_path: Path) -> None:
    (tmp_path / "entering.py").write_text(ENTERING)

    with pytest.raises(EngineError, match="does not cover Ordinary is an ordinary backtrader"):
        checked(tmp_path, "ordinary.py", "engine: compiled\nportfolio: shared", "[SPY, IBM]")
    assert checked(tmp_path, "ordinary.py", "portfolio: shared", "[SPY, IBM]").engine == "backtrader"
    assert checked(tmp_path, "entering.py", "portfolio: shared", "[SPY, IBM]").engine == "compiled"
    assert checked(tmp_path, "sma_crossover", "portfolio: shared", "[SPY, IBM]").engine == "compiled"


@pytest.mark.parametrize("engine", ["auto", "compiled", "backtrader"])
@pytest.mark.parametrize(
    ("more", "said"),
    [
        ("execution: {slip_limit: false}", "slip_limit = False is about limit orders"),
    ],
)
def test_settings_that_do_nothing_for_a_step_are_refused(tmp_path, engine: str, more: str, said: str) -> None:
    with pytest.raises(EngineError, match=said):
        checked(tmp_path, "sma_crossover", f"engine: {engine}\n{more}")
    assert checked(tmp_path, "ordinary.py", more).engine == "backtrader"


@pytest.mark.parametrize(
    ("feature", "said"),
    [
        ("nosuch(5)", "indicator 'nosuch' is unknown"),
        ("smaa(5)", "did you mean 'sma'"),
        ("sma(-5)", "-5 is not a period"),
        ("sma(0)", "0 is not a period"),
        ("sma(1.5)", "1.5 is not a period"),
        ("sma(fast)", "'fast' is no number"),
        ("sma()", "sma"),
        ("rsi", "rsi is an indicator: give its parameters"),
        ("clos", "did you mean 'close'"),
        ("trade_count", "series 'trade_count' is unknown"),
        ("forecast", "series 'forecast' is unknown"),
        ("close / nosuch", "series 'nosuch' is unknown"),
        ("'sma(nosuch, 5)'", "series 'nosuch' is unknown"),
        ("''", "is not an indicator expression"),
    ],
)
@pytest.mark.parametrize("models", ["", "label: {horizon: 5min}\nmodels: {rf: {trees: 2, depth: 2}}\n"])
def test_features_are_checked_whether_or_not_a_model_reads_them(
    tmp_path: Path, feature: str, said: str, models: str
) -> None:
    with pytest.raises(IndicatorError, match=f"features: .*{said}"):
        checked(tmp_path, "sma_crossover", f"features: [{feature}]\n{models}")


def test_features_that_are_right_pass(tmp_path: Path) -> None:
    feature = "[open, high, low, close, volume, vwap, sma(5), 'sma(vwap, 5)', 'bollinger_top(20, 2.0)']"
    checked(tmp_path, "sma_crossover", f"features: {feature}\n")
    with pytest.raises(StudyError, match="two of them are the same series"):
        checked(tmp_path, "sma_crossover", "features: [sma(5), 'sma(close, 5)']\n")


ACROSS = """
from whatif.strategies import strategy, weights

@strategy(cross_sectional=True)
def halves(i, x, p, s):
    return weights([0.5, 0.5])
"""


def test_a_cross_sectional_step_needs_a_shared_account_without_overlays(tmp_path: Path) -> None:
    (tmp_path / "halves.py").write_text(ACROSS)

    with pytest.raises(StudyError, match=r"halves is a cross-sectional step, .* write portfolio: shared"):
        checked(tmp_path, "halves.py", symbols="[SPY, IBM]")
    with pytest.raises(StudyError, match="overlays latency cannot be laid over halves"):
        checked(tmp_path, "halves.py", "portfolio: shared\noverlays: {latency: 1}", "[SPY, IBM]")
    assert checked(tmp_path, "halves.py", "portfolio: shared", "[SPY, IBM]").engine == "compiled"
    bounded = "portfolio: shared\noverlays: {max_gross: 0.8}\naxes: {max_positions: [null, 1]}"
    found = checked(tmp_path, "halves.py", bounded, "[SPY, IBM]")
    assert found.engine == "compiled"
    assert [c.overlays.active for c in found.grid.configurations] == [
        {"max_gross": 0.8},
        {"max_gross": 0.8, "max_positions": 1},
    ]


@pytest.mark.parametrize("name", ["cross-sectional-momentum", "pairs-spread"])
def test_a_study_of_many_symbols_that_comes_along_is_accepted(name: str) -> None:
    found = check_study(load_study(Path(__file__).parents[2] / "conf" / "studies" / f"{name}.yaml"))

    assert found.engine == "compiled"
    assert found.grid is not None
    assert len(found.grid.configurations) == 72


LEARNT = "features: [close]\nmodels: {rf: {trees: 1}}\nlabel: {LABEL}\n"
DAILY = "data: {symbols: [SPY], timeframe: 1d, start: 2013-10-04, end: 2013-10-12}"
MINUTES = "data: {symbols: [SPY], start: 2013-10-04, end: 2013-10-12}"


@pytest.mark.parametrize(
    ("data", "label", "said"),
    [
        (DAILY, "horizon: 5min", r"label\.horizon '5min' is no multiple of the timeframe '1d'"),
        (
            MINUTES,
            "kind: triple_barrier, horizon: 390",
            r"label\.horizon = 390 bars of 1min reach out of every session: the longest of XNYS lasts 390 "
            "minutes; use a shorter horizon, or write overnight: true",
        ),
        (
            DAILY,
            "kind: forward_return, overnight: false",
            r"label\.overnight = false: a bar of timeframe '1d' is a whole session",
        ),
        # of six sessions three train, and a label of the first would end with the fourth
        (
            DAILY,
            "kind: forward_return, horizon: 3",
            r"no bar of train .* can have a label, which reaches 3 sessions ahead: the window has 3",
        ),
        (MINUTES, "kind: meta, side: smaa(5)", r"label\.side: .*did you mean 'sma'"),
        (MINUTES, "kind: triple_barrier, scale: atr(n)", r"label\.scale: 'atr\(n\)': 'n' is no number"),
        (MINUTES, "kind: triple_barrier, scale: clos", r"label\.scale: 'clos': .*did you mean 'close'"),
        (MINUTES, "kind: triple_barier", r"label\.kind = 'triple_barier': did you mean 'triple_barrier'"),
        (MINUTES, "kind: triple_barrier, horizn: 3", r"unknown key 'label\.horizn': did you mean 'horizon'"),
        (
            MINUTES,
            "kind: triple_barrier, target: 2.0",
            r"label: target = 2, stop = 0\.015: both are fractions",
        ),
        (MINUTES, "kind: trend_scanning, shortest: 9, horizon: 5", r"shortest = 9 is above horizon = 5"),
        (MINUTES, "unit: sessions, kind: forward_return, overnight: false", "overnight = false forbids it"),
    ],
)
def test_labels_that_no_bar_could_have_are_refused(tmp_path: Path, data: str, label: str, said: str) -> None:
    more = LEARNT.replace("{LABEL}", "{" + label + "}") + "period: bar\nobjective: return_pct\n"
    text = STUDY.replace(MINUTES, data).replace("NAME", "sma_crossover") + more
    (tmp_path / "study.yaml").write_text(text + "split: {train: 0.5, validate: 0.25, test: 0.25}\n")
    with pytest.raises((StudyError, IndicatorError), match=said):
        check_study(load_study(tmp_path / "study.yaml"))


@pytest.mark.parametrize(
    ("name", "more", "symbols", "said"),
    [
        (
            "breakout",
            "",
            "[SPY]",
            "fill_timeframe = '1min' is to divide timeframe '1min' of the study, and be",
        ),
        (
            "breakout",
            "axes: {timeframe: [90min, 5min]}",
            "[SPY]",
            "fill_timeframe = '1h' is to divide timeframe",
        ),
        ("breakout", "portfolio: shared", "[SPY, IBM]", "for an account of one symbol, and several share it"),
        ("ordinary.py", "", "[SPY]", "Ordinary is an ordinary Backtrader strategy"),
    ],
)
def test_finer_fills_that_could_not_be_are_refused(tmp_path: Path, name, more, symbols, said) -> None:
    fills = "1h" if "90min" in more else "1min"
    with pytest.raises((EngineError, StudyError), match=said):
        checked(tmp_path, name, f"{more}\nexecution: {{fill_timeframe: {fills}}}", symbols)


def test_finer_fills_are_an_axis_with_names_of_its_own(tmp_path: Path) -> None:
    axes = "axes: {timeframe: [5min], execution: [{}, {fill_timeframe: 1min}]}"
    found = checked(tmp_path, "breakout", axes)
    plain, finer = found.grid.configurations
    assert found.fill_timeframes == ("1min",)
    assert found.engine == "compiled"
    assert finer.execution.written == plain.execution.written | {"fill_timeframe": "1min"}
    assert plain.config_id != finer.config_id
    alone = checked(tmp_path, "breakout", "axes: {timeframe: [5min]}").grid.configurations[0]
    assert plain.config_id == alone.config_id
