"""Choices as algorithms of Lean's: on a stand-in that fills as whatif does, they trade as whatif does."""

from __future__ import annotations

import ast
import py_compile
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

from whatif.domain import Costs, Execution, Filler, Overlays
from whatif.engines import BacktestTask, run_engine
from whatif.errors import StudyError
from whatif.exports.base import Choice, write_files
from whatif.exports.kinds.lean import Lean, Lines
from whatif.exports.tables import lines_of
from whatif.indicators import evaluate, parse
from whatif.strategies import resolve
from whatif.testing import random_bars
from whatif.testing.markets import Shape

from .stand_in import trade

BARS = random_bars(11, 900, Shape(step=0.004, gap=0.1, session_bars=390))
FIRST = 60
RICH = Execution(cash=10_000_000.0)
OWN = '''\
"""Orders with prices, of every kind that Lean has."""
import math

from whatif.strategies import SESSION, Param, buy, cancel, close, hold, oco, sell, strategy, target


@strategy(params={"by": Param(0.003, low=0)}, inputs={"force": "rsi(7)"}, scratch=1)
def rule(i, x, p, s):
    s.scratch[0] += 1.0
    now = x.close[i]
    if s.pending > 4:
        return cancel()
    if i % 11 == 0 and not s.size:
        return oco(buy(10, limit=now * (1.0 - p.by), valid=6), sell(10, stop=now * (1.0 - 2.0 * p.by)))
    if i % 13 == 5 and s.size > 0.0:
        return sell(s.size, trail_percent=p.by)
    if i % 13 == 7 and s.size < 0.0:
        return buy(-s.size, trail=p.by * now, valid=SESSION if s.minute < 0 else 9)
    if i % 17 == 3:
        return buy(4, stop=now * (1.0 + p.by), limit=now * (1.0 + 2.0 * p.by))
    if s.bars_held > 30 or (s.minutes_to_close < 3 and s.size):
        return cancel(), close()
    return target(math.floor(x.force[i])) if x.now > 0.0 and False else hold()
'''
CASES = {
    "sma_crossover": ({"fast": 3, "slow": 9}, Overlays()),
    "ema_crossover": ({"fast": 3, "slow": 9, "enter_at_once": True}, Overlays(percent_of_equity=0.6)),
    "macd_crossover": ({"fast": 3, "slow": 8, "signal": 4}, Overlays(stop_loss=0.01, take_profit=0.015)),
    "breakout": ({"period": 9}, Overlays(latency=2)),
    "bollinger_reversion": ({"period": 12}, Overlays(percent_of_cash=0.5, max_bars_held=4)),
    "sma_crossover, exits": ({"fast": 3, "slow": 9}, Overlays(stop_loss_intrabar=0.01, trailing_stop=0.012)),
    "breakout, late": ({"period": 5}, Overlays(latency=2, stop_loss=0.004, take_profit=0.005)),
    "ema_crossover, late": (
        {"fast": 3, "slow": 9, "enter_at_once": True},
        Overlays(latency=1, max_bars_held=6, percent_of_equity=0.5),
    ),
    "bollinger_reversion, sized": (
        {"period": 8},
        Overlays(percent_of_cash=0.5, stop_loss_intrabar=0.006, take_profit_intrabar=0.008, max_bars_held=9),
    ),
    "sma_crossover, all": (
        {"fast": 3, "slow": 9},
        Overlays(percent_of_equity=0.7, trailing_stop=0.01, take_profit=0.006, flat_before_close=20),
    ),
    "breakout, flat": ({"period": 5}, Overlays(flat_before_close=30, take_profit_intrabar=0.006)),
}


def task_of(name: str, params, overlays=Overlays(), execution=RICH, folder=None) -> BacktestTask:  # noqa: B008
    spec = resolve(name, folder)
    start = int(BARS.ts[FIRST])
    return BacktestTask(
        [BARS], spec, spec.validate(params), execution, start, overlays=overlays, bar_us=60_000_000
    )


def traded(task: BacktestTask, folder):
    choice = Choice("drawn", {"test": task}, {"test": lines_of(run_engine(task, "backtrader"))}, "XNYS")
    assert Lean().reason_against(task) == ""
    (script,) = write_files(Lean(), choice, folder)
    py_compile.compile(str(script), cfile=str(folder / "compiled"), doraise=True)
    algorithm = trade(script, BARS, FIRST)
    wanted = [line.split(",")[:3] for line in choice.fills["test"]]
    return algorithm, [(at, float(size), float(price)) for at, size, price in wanted]


def same(found, wanted) -> None:
    assert [one[:2] for one in found] == [one[:2] for one in wanted]
    np.testing.assert_allclose([one[2] for one in found], [one[2] for one in wanted], rtol=1e-12)


@pytest.mark.parametrize("name", CASES)
def test_a_rule_trades_as_it_does_here(tmp_path, name) -> None:
    params, overlays = CASES[name]
    algorithm, wanted = traded(task_of(name.partition(",")[0], params, overlays), tmp_path)
    assert len(wanted) > 8
    same(algorithm.fills, wanted)


# 50 * (1 + 0.1) is 55.00000000000001, 50.8 * (1 - 0.05) is 48.26, and 10 % of 50 is 5
@pytest.mark.parametrize(
    ("size", "entry", "price", "share", "leaves"),
    [(-1.0, 50.0, 55.0, 0.1, False), (1.0, 50.8, 48.26, 0.05, True), (1.0, 50.0, 55.1, 0.1, True)],
)
def test_a_position_is_left_at_the_bound_to_the_last_bit(tmp_path, size, entry, price, share, leaves) -> None:
    algorithm, _ = traded(task_of("breakout", {}, Overlays(stop_loss=share, take_profit=share)), tmp_path)
    held = SimpleNamespace(size=size, entry_price=entry, close=[price])
    assert algorithm.leaves(held) is leaves


@pytest.mark.parametrize("sizing", ["percent_of_equity", "percent_of_cash"])
@pytest.mark.parametrize("name", ["ema_crossover", "bollinger_reversion"])
def test_what_is_opened_counts_leverage(tmp_path, name, sizing) -> None:
    account = replace(RICH, leverage=2.0)
    task = task_of(name, {}, Overlays(**{sizing: 0.45}), account)
    algorithm, wanted = traded(task, tmp_path)
    assert max(abs(size * price) for _, size, price in wanted) > 0.8 * RICH.cash
    same(algorithm.fills, wanted)


PERCENT = """\
from whatif.strategies import hold, strategy, target_percent


@strategy(inputs={"mean": "sma(5)"})
def rule(i, x, p, s):
    return target_percent(0.3 if x.close[i] > x.mean[i] else -0.2) if i % 7 == 0 else hold()
"""


@pytest.mark.parametrize("leverage", [1.0, 1.5])
def test_a_part_of_the_account_is_as_many_units(tmp_path, leverage) -> None:
    (tmp_path / "rule.py").write_text(PERCENT)
    account = replace(RICH, leverage=leverage)
    algorithm, wanted = traded(task_of("rule.py", {}, execution=account, folder=tmp_path), tmp_path)
    assert len(wanted) > 20
    same(algorithm.fills, wanted)


BRACKETS = """\
from whatif.strategies import Param, bracket, cancel, close, hold, strategy


@strategy(params={"by": Param(0.004, low=0)}, inputs={"force": "rsi(7)"})
def rule(i, x, p, s):
    now = x.close[i]
    if i % 9 == 0 and not s.size and not s.pending:
        side = 1.0 if x.force[i] < 50.0 else -1.0
        return bracket(side * 20, stop=now * (1.0 - side * p.by), target=now * (1.0 + side * p.by))
    if i % 23 == 4 and not s.size:
        low, high = now * (1.0 - 3.0 * p.by), now * (1.0 + p.by)
        return bracket(15, stop=low, target=high, limit=now * (1.0 - p.by), valid=7)
    return (cancel(), close()) if s.bars_held > 25 else hold()
"""


@pytest.mark.parametrize("rule", [OWN.replace("x.now > 0.0 and False", "x.force[i] > 101.0"), BRACKETS])
@pytest.mark.parametrize(
    "overlays",
    [
        Overlays(),
        Overlays(stop_loss=0.006, take_profit=0.005, percent_of_equity=0.3),
        Overlays(trailing_stop=0.008),
        Overlays(stop_loss_intrabar=0.005, take_profit_intrabar=0.004, percent_of_cash=0.2),
    ],
)
def test_orders_with_prices_are_those_of_the_rule(tmp_path, rule, overlays) -> None:
    (tmp_path / "rule.py").write_text(rule)
    algorithm, wanted = traded(task_of("rule.py", {}, overlays, folder=tmp_path), tmp_path)
    assert len(wanted) > 20
    same(algorithm.fills, wanted)


def test_an_algorithm_says_what_the_study_says(tmp_path) -> None:
    execution = Execution(cash=5000.0, commission=0.001, slippage=0.0002, leverage=2.0)
    algorithm, _ = traded(task_of("sma_crossover", {"size": 1.0}, execution=execution), tmp_path)
    said = algorithm.said
    assert (said["resolution"], said["leverage"], said["data_normalization_mode"]) == ("MINUTE", 2.0, "RAW")
    assert said["start"] == said["end"] or said["start"] < said["end"]
    order, security = SimpleNamespace(quantity=-30), SimpleNamespace(price=20.0)
    paid = said["fee_model"].get_order_fee(SimpleNamespace(order=order, security=security))
    assert paid == (pytest.approx(0.6), "USD")
    assert said["slippage_model"].get_slippage_approximation(security, order) == pytest.approx(0.004)
    text = (tmp_path / "main.py").read_text()
    assert "never run by it on Lean" in text
    assert "import whatif" not in text
    assert "from whatif" not in text


COSTS = (
    Costs(per_unit=0.005, minimum=1.0, maximum_fraction=0.01, sell_fraction=0.0000278),
    Costs(per_order=0.3, fraction=0.001, maximum=0.9, exchange_per_unit=0.003, exchange_fraction=0.0001),
    Costs(fraction=0.0005, buy_per_unit=0.01, buy_fraction=0.002, spread_ticks=2.0, tick=0.01),
)


@pytest.mark.parametrize("costs", COSTS)
def test_costs_are_those_that_the_engine_charges(tmp_path, costs) -> None:
    task = task_of("sma_crossover", {"size": 9.0}, execution=Execution(cash=1e6, costs=costs))
    algorithm, _ = traded(task, tmp_path)
    fills = run_engine(task, "backtrader").fills
    assert len(fills.size) > 20
    for size, price, commission in zip(fills.size, fills.price, fills.commission, strict=True):
        order, security = SimpleNamespace(quantity=size), SimpleNamespace(price=price)
        paid = algorithm.said["fee_model"].get_order_fee(SimpleNamespace(order=order, security=security))
        assert paid == (pytest.approx(commission, rel=1e-12), "USD")
    moved = algorithm.said.get("slippage_model")
    if costs.tick:
        assert moved.get_slippage_approximation(None, None) == pytest.approx(0.01)
    else:
        assert moved is None


@pytest.mark.parametrize(
    "costs", [Costs(maker=-0.0001, taker=0.0005), Costs(range_slippage=0.1), Costs(impact=0.1)]
)
def test_costs_that_lean_cannot_know_are_told(costs) -> None:
    task = task_of("sma_crossover", {"size": 9.0}, execution=Execution(costs=costs))
    assert "its costs say" in Lean().reason_against(task)


@pytest.mark.parametrize(
    "text",
    [
        "sma(7)", "ema(high, 6)", "smma(5)", "roc(4)", "roc(volume, 2)", "highest(9)", "lowest(low, 3)",
        "stddev(8)", "rsi(6)", "macd(3, 7)", "macd_signal(3, 7, 4)", "bollinger_top(6, 1.5)",
        "bollinger_bottom(6, 2.0)", "crossover(sma(3), ema(5))", "(close - sma(4)) / stddev(4)",
        "-volume * 2 + 1", "ema(macd(3, 7), 4)",
    ],
)  # fmt: skip
def test_series_are_those_of_whatif(text) -> None:
    bars = random_bars(3, 120, Shape(flat=0.2, repeat=0.2))
    bars = replace(bars, volume=np.where(np.arange(120) % 7 == 3, 0.0, bars.volume))
    lines = Lines()
    name = lines.add(parse(text).node)
    names: dict = {"__name__": "lines"}
    exec("import math\n" + "\n\n\n".join(lines.functions()), names)
    own = SimpleNamespace(**{line: [] for line in ("open", "high", "low", "close", "volume", *lines.made)})
    for k in range(len(bars)):
        for price in ("open", "high", "low", "close", "volume"):
            getattr(own, price).append(float(getattr(bars, price)[k]))
        for line, made in lines.made.items():
            getattr(own, line).append(eval(made, names, {"self": own}))
    np.testing.assert_allclose(getattr(own, name), evaluate(parse(text), bars, {}), rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize(
    ("name", "overlays", "execution", "why"),
    [
        ("forecast_threshold", Overlays(), RICH, "forecast is not one of open, high"),
        ("cross_sectional_momentum", Overlays(), RICH, "for all symbols at once"),
        ("breakout", Overlays(kelly_fraction=0.5), RICH, "its overlays kelly_fraction"),
        ("breakout", Overlays(), Execution(filler=Filler("fixed_size", 5.0)), "its execution sets filler"),
    ],
)
def test_what_lean_does_not_have_is_told(name, overlays, execution, why) -> None:
    assert why in Lean().reason_against(task_of(name, {}, overlays, execution))


def test_a_trail_with_a_limit_is_told(tmp_path) -> None:
    (tmp_path / "rule.py").write_text(OWN.replace("trail_percent=p.by", "trail_percent=p.by, limit=now"))
    assert "trailing stop with a limit" in Lean().reason_against(task_of("rule.py", {}, folder=tmp_path))


def test_other_markets_are_refused(tmp_path) -> None:
    task = task_of("breakout", {})
    with pytest.raises(StudyError, match="of exchange 'XLON'"):
        Lean().files(Choice("drawn", {"test": task}, {"test": []}, "XLON"))
    ast.parse(Lean().files(Choice("drawn", {"test": task}, {"test": []}, "XNAS"))["main.py"])
