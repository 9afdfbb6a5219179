"""Work items travel as text and arrive as they left."""

from __future__ import annotations

import json
import pickle

import pytest
from hypothesis import given
from hypothesis import strategies as st

from whatif.domain.costs import costs_from
from whatif.domain.execution import Execution
from whatif.domain.overlays import Overlays
from whatif.runner.plan import WorkItem
from whatif.search.configuration import Configuration

scalars = st.one_of(
    st.booleans(),
    st.integers(-(2**60), 2**60),
    st.floats(allow_nan=False, allow_infinity=False),
    st.text(max_size=8),
    st.none(),
)


@given(st.dictionaries(st.text(min_size=1, max_size=8), scalars, max_size=5), st.booleans())
def test_parameters_keep_value_and_type(params, keep) -> None:
    execution = Execution(cash=12_345.678901234567, commission=1e-9, slippage=0.1)
    configuration = Configuration("id", params, "forest", "5min", execution)
    item = WorkItem(("A", "B"), "test", (configuration,), keep)
    (back,) = WorkItem.from_json(item.to_json()).configurations
    assert repr(back.params) == repr(params)
    assert (back.config_id, back.model, back.timeframe) == ("id", "forest", "5min")
    assert back.execution == execution


def test_symbols_window_and_keep_survive() -> None:
    item = WorkItem(("A", "B"), "test", (), keep=True)
    back = WorkItem.from_json(item.to_json())
    assert (back.symbols, back.window, back.keep) == (("A", "B"), "test", True)


def test_an_int_stays_an_int_and_a_whole_float_a_float() -> None:
    configuration = Configuration("id", {"n": 10, "x": 10.0, "b": True}, None, "1min", Execution())
    (back,) = WorkItem.from_json(WorkItem(("A",), "w", (configuration,)).to_json()).configurations
    assert [type(v) for v in back.params.values()] == [int, float, bool]
    assert isinstance(back.execution.cash, float)


@pytest.mark.parametrize(
    "given",
    [
        [{"a": 1}, {"b": 2, "a": True}, {"a": 1.0, "b": 2}, {}],
        [{"a": 1}, {"b": 2}],
        [{"a": 1, "b": 2}, {"b": 3, "a": 4}],
        [{}, {}],
    ],
)
def test_parameters_that_are_not_the_same_ones_survive(given: list[dict[str, object]]) -> None:
    many = tuple(Configuration("id", one, None, "1min", Execution()) for one in given)
    back = WorkItem.from_json(WorkItem(("A",), "w", many).to_json()).configurations
    assert [repr(c.params) for c in back] == [repr(one) for one in given]


def test_overlays_survive() -> None:
    overlays = Overlays(take_profit=0.1 + 0.2, max_bars_held=5, flat_before_close=15, latency=2)
    many = tuple(
        Configuration("id", {}, None, "1min", Execution(), overlays=one) for one in (overlays, Overlays())
    )
    back = WorkItem.from_json(WorkItem(("A",), "w", many).to_json()).configurations
    assert [repr(c.overlays) for c in back] == [repr(overlays), repr(Overlays())]


def test_costs_survive() -> None:
    tiers = [{"from_units": 0, "per_unit": 0.1 + 0.2}, {"from_units": 9, "per_unit": 0.1}]
    given = [
        {"tiers": tiers, "marginal": False, "maximum": 2.0},
        "kraken_pro",
        {"spread_ticks": 1, "tick": 0.01},
    ]
    many = tuple(Configuration("id", {}, None, "1min", Execution(costs=costs_from(one))) for one in given)
    back = WorkItem.from_json(WorkItem(("A",), "w", many).to_json()).configurations
    assert [c.execution for c in back] == [c.execution for c in many]


def test_the_text_is_small_enough_to_send_thousands() -> None:
    configuration = Configuration(
        "0123456789abcdef", {"fast": 5, "slow": 60, "size": 1.0}, None, "1min", Execution()
    )
    text = WorkItem(("A",), "validate", (configuration,) * 100).to_json()
    assert len(text) < 100 * 1_000
    sent = json.loads(text)["configurations"]["params"]
    assert sent == {"fast": [5] * 100, "slow": [60] * 100, "size": [1.0] * 100}
    assert pickle.loads(pickle.dumps(configuration)) == configuration
