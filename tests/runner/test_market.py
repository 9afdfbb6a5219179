"""Bars that an axis changes: before everything else, for both brokers, and never those of others."""

from __future__ import annotations

import json
import re
import sys
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pandas as pd
import pytest

import whatif
from whatif.axes import Axis, Settings, read_axes
from whatif.indicators import evaluate as evaluate_expression
from whatif.indicators import parse
from whatif.runner import load
from whatif.runner.load import load_bars
from whatif.runner.plan import WindowPlan, WorkItem
from whatif.search.configuration import Configuration
from whatif.search.market import change_of
from whatif.splits import Window

from ..markets import lake_rows, us, walk
from .conftest import configuration, evaluate

AT = "2013-10-08T15:00"


@pytest.fixture
def shock(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Axis:
    """Return the axis of the documents' example."""
    _, _, below = (Path(__file__).parents[2] / "docs" / "extending.md").read_text().partition("## An axis")
    code = re.search(r"```python\n(.*?)```", below, re.DOTALL)
    assert code is not None
    module = ModuleType("my_axes")
    exec(code[1], module.__dict__)
    monkeypatch.setitem(sys.modules, "my_axes", module)
    section = {"kind": "my_axes:PriceShock", "at": datetime.fromisoformat(f"{AT}+00:00")}
    return read_axes({"shock": section | {"values": [0, -0.05, 0.05, -0.5, -2.0]}})["shock"]


def shocked(axis: Axis, value: float, name: str = "", **params: Any) -> Configuration:
    settings = axis.put(value, Settings({}, {}, {}, "1min"))
    market = tuple(change_of(*one) for one in settings.market)
    return replace(configuration(name or f"c{value}", **params), market=market)


PARAMS = {"fast": 3, "slow": 9, "size": 50.0, "enter_at_once": False}


@pytest.mark.parametrize("engine", ["backtrader", "compiled"])
def test_it_is_what_a_changed_lake_would_give(lake, make_plan, shock, engine: str) -> None:
    market = walk("A", 1)
    factor = np.where(market.ts >= us(AT), 0.95, 1.0)
    prices = ("open", "high", "low", "close", "vwap")
    other = replace(market, symbol="B", **{name: getattr(market, name) * factor for name in prices})
    plan = make_plan(lake.put_bars([market, other]), ["A", "B"], engine=engine)
    mine = [shocked(shock, value, **PARAMS) for value in (0.0, -0.05, 0.05)]
    rows = evaluate(plan, WorkItem(("A",), "validate", tuple(mine)))
    direct = evaluate(plan, WorkItem(("B",), "validate", (mine[0],)))
    plain = evaluate(plan, WorkItem(("A",), "validate", (configuration("plain", **PARAMS),)))
    figures = ["status", "pnl_net", "trades", "returns", "benchmark_return_pct", "bars"]
    assert rows[figures].iloc[1].tolist() == direct[figures].iloc[0].tolist()
    assert rows[figures].iloc[0].tolist() == plain[figures].iloc[0].tolist()
    assert len({str(value) for value in rows["pnl_net"]}) == 3
    (change,) = json.loads(rows["execution"].iloc[1])["market"]
    assert change["kind"] == "my_axes:PriceShock"
    assert "market" not in json.loads(rows["execution"].iloc[0])


def test_longer_bars_are_made_of_changed_ones(lake, make_plan, shock) -> None:
    plan = make_plan(lake.put_bars([walk("A", 1)]), ["A"], timeframes=("1h",))
    hourly = {"timeframe": "1h", **PARAMS}
    plain = load_bars(plan, "A", "validate", configuration("c", **hourly))
    made = load_bars(plan, "A", "validate", shocked(shock, -0.05, **hourly))
    # an hour that the jump falls into opens before it and closes after it
    k = int(np.searchsorted(plain.ts, us(AT), "right")) - 1
    assert plain.ts[k] < us(AT)
    assert (made.open[k], made.close[k]) == (plain.open[k], plain.close[k] * 0.95)
    assert made.low[k] < plain.low[k]
    assert load_bars(plan, "A", "validate", configuration("c", **hourly)).close is plain.close


def test_what_breaks_the_contract_is_a_failed_row_and_the_others_go_on(lake, make_plan, shock) -> None:
    plan = make_plan(lake.put_bars([walk("A", 1)]), ["A"])
    mine = (shocked(shock, -2.0, "bad", **PARAMS), shocked(shock, -0.5, "good", **PARAMS))
    bad, good = evaluate(plan, WorkItem(("A",), "validate", mine)).to_dict("records")
    assert (bad["status"], good["status"]) == ("error", "ok")
    assert (
        "axis 'my_axes:PriceShock' breaks its contract: change_bars of -2.0 on A gives a open" in bad["error"]
    )


NAMES = """
from whatif.strategies import hold, strategy

@strategy(inputs={"far": "B.close", "hour": "B.close@1h", "own": "close@1h"})
def names(i, x, p, s):
    return hold()
"""


def test_what_is_changed_of_a_symbol_is_changed_where_it_is_named(lake, make_plan, shock, tmp_path) -> None:
    (tmp_path / "names.py").write_text(NAMES)
    a, b = walk("A", 1), walk("B", 2)
    plan = make_plan(lake.put_bars([a, b]), ["A"], str(tmp_path / "names.py"))
    plain = load_bars(plan, "A", "validate", configuration("c"))
    made = load_bars(plan, "A", "validate", shocked(shock, -0.05))
    for text, bars in (("B.close", b), ("B.close@1h", b), ("close@1h", a)):
        old, new = (evaluate_expression(parse(text), one) for one in (plain, made))
        late = plain.ts >= us(AT) + 3_600_000_000
        early = plain.ts < us(AT) - 60_000_000
        assert late.any()
        np.testing.assert_allclose(new[late], 0.95 * old[late], rtol=1e-12)
        assert new[early].tobytes() == old[early].tobytes()
        if "@" not in text:
            known = bars.ts <= plain.ts[-1]
            assert old[-1] == bars.close[known][-1]


RANKED = NAMES.replace('"far": "B.close", "hour": "B.close@1h", "own": "close@1h"', '"x": "rank(roc(5))"')


def test_a_rank_is_among_the_symbols_of_the_study_as_they_are_changed(
    lake, make_plan, shock, tmp_path
) -> None:
    (tmp_path / "names.py").write_text(RANKED)
    markets = [walk(symbol, seed) for seed, symbol in enumerate("ABC")]
    plan = make_plan(lake.put_bars([*markets, walk("D", 9)]), ["A", "B", "C"], str(tmp_path / "names.py"))
    frame = pd.concat([lake_rows(one) for one in markets])
    expected = whatif.features(frame, ["rank(roc(5))"], calendar="XNYS")
    for symbol in "ABC":
        bars = load_bars(plan, symbol, "validate", configuration("c"))
        own = expected.loc[expected["symbol"] == symbol, "rank(roc(5))"].to_numpy()[: len(bars)]
        assert evaluate_expression(parse("rank(roc(5))"), bars).tobytes() == own.tobytes()
    plain, made = (
        evaluate_expression(parse("rank(roc(5))"), load_bars(plan, "A", "validate", one))
        for one in (configuration("c"), shocked(shock, -0.05))
    )
    assert len(plain) == len(made)
    assert np.isfinite(made[5:]).mean() > 0.9


def test_bars_of_a_named_symbol_end_with_the_window(lake, make_plan, tmp_path) -> None:
    """Nothing behind the window is there to be seen, though another window has read further."""
    (tmp_path / "names.py").write_text(NAMES)
    plan = make_plan(lake.put_bars([walk("A", 1), walk("B", 2)]), ["A"], str(tmp_path / "names.py"))
    interval = Window("late", us("2013-10-10T13:30"), us("2013-10-11T20:00"))
    late = WindowPlan(interval, plan.windows["validate"].periods)
    plan = replace(plan, windows={**plan.windows, "late": late})
    alone = load_bars(plan, "A", "validate", configuration("c"))
    load.forget()
    load_bars(plan, "A", "late", configuration("c"))
    after = load_bars(plan, "A", "validate", configuration("c"))
    assert len(after) == len(alone)
    for place, joined in after.joined.items():
        assert int(joined.bars.ts[-1]) < plan.windows["validate"].window.end_us
        assert joined.bars.close.tobytes() == alone.joined[place].bars.close.tobytes()
        assert joined.rows.tolist() == alone.joined[place].rows.tolist()
    assert len(after.joined) == 3
