"""Broker settings by name."""

from __future__ import annotations

import pytest

from whatif.domain.execution import Execution, execution_from_mapping
from whatif.errors import EngineError


def test_what_is_left_out_keeps_its_default() -> None:
    assert execution_from_mapping({}) == Execution()
    found = execution_from_mapping({"cash": 5000, "commission": 0.001, "slip_open": False})
    assert found == Execution(cash=5000.0, commission=0.001, slip_open=False)
    assert isinstance(found.cash, float)


def test_defaults_are_backtraders() -> None:
    default = Execution()

    assert (default.cash, default.commission, default.slippage) == (10_000.0, 0.0, 0.0)
    # of set_slippage_perc, which differ from the broker's own parameters in slip_open
    assert (default.slip_open, default.slip_match, default.slip_limit, default.slip_out) == (
        True,
        True,
        True,
        False,
    )
    assert (default.checksubmit, default.shortcash, default.coc, default.coo) == (True, True, False, False)


def test_what_came_later_is_written_down_where_it_is_given() -> None:
    assert Execution(interest_long=False).later == ()
    assert "margin" not in Execution().written
    given = Execution(margin=10.0, interest=0.5)
    assert given.later == ("margin", "interest")
    assert {**Execution().written, "margin": 10.0, "interest": 0.5} == given.written
    assert Execution.from_written(given.written) == given
    for filler in ({"fixed_size": 5.0}, {"bar_point_perc": {"minmov": 0.0, "perc": 50.0}}):
        parts = execution_from_mapping({"filler": filler})
        assert parts.written == {**Execution().written, "filler": filler}
        assert Execution.from_written(parts.written) == parts


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"comission": 0.1}, "did you mean 'commission'"),
        ({"cash": 0}, "cash = 0.0 must be a finite number above 0"),
        ({"cash": float("nan")}, "cash = nan must be"),
        ({"cash": "much"}, "cash = 'much' must be a number"),
        ({"cash": True}, "cash = True must be a number"),
        ({"cash": 1e308}, "at most 1e15"),
        ({"cash": 10**30}, "at most 1e15"),
        ({"commission": 1}, "commission = 1.0 is a fraction of the traded value and must be below 1"),
        ({"commission": 5.0}, "commtype: fixed"),
        ({"commission": 1e300, "commtype": "fixed"}, "at most 1e15"),
        ({"slippage_fixed": 1e300}, "at most 1e15"),
        ({"commission": -0.1}, "commission = -0.1 must be"),
        ({"slippage": 1.0}, "slippage = 1.0 must be a fraction"),
        ({"slippage_fixed": -1}, "slippage_fixed = -1.0 must be"),
        ({"slippage": 0.1, "slippage_fixed": 0.1}, "exclude each other"),
        ({"commtype": "percent"}, "did you mean 'perc'"),
        ({"coc": 1}, "coc = 1 must be true or false"),
        # what there is not, and what is called otherwise
        ({"leverage": 0.5}, "leverage = 0.5 must be at least 1"),
        ({"margin": -1}, "margin = -1.0 must be a finite number of at least 0"),
        ({"mult": 0}, "mult = 0.0 must be a finite number above 0"),
        ({"interest": 11}, "write 0.05 for 5 %"),
        ({"interest_long": 1}, "interest_long = 1 must be true or false"),
        (
            {"mult": 50},
            "without margin the units are those of a stock, which is worth its price: give margin",
        ),
        ({"margin": 10, "leverage": 2}, "leave leverage out, and give the smaller margin"),
        ({"margin": 10, "shortcash": False}, "a short ties up its margin in any case: leave shortcash out"),
        ({"margin": 10, "mult": 5, "commission": 0.1}, "give commtype: fixed and the money for each unit"),
        (
            {"margin": 10, "mult": 5, "costs": {"fraction": 0.1, "minimum": 1, "sell_fraction": 0.1}},
            "costs: fraction, sell_fraction go by units times price, without mult = 5.0: give per_order",
        ),
        (
            {"filler": 10},
            "filler = 10 must be one of fixed_size, fixed_bar_perc, bar_point_perc with its amount",
        ),
        ({"filler": {"fixed_sizes": 10}}, "did you mean 'fixed_size'"),
        ({"filler": {"fixed_size": 0}}, "fixed_size = 0.0 must be above 0 and at most 1e15"),
        ({"filler": {"fixed_size": "all"}}, "fixed_size = 'all' must be a number"),
        (
            {"filler": {"fixed_bar_perc": 101}},
            "fixed_bar_perc = 101.0 must be above 0 and at most 100 percent",
        ),
        ({"filler": {"bar_point_perc": 5}}, "bar_point_perc = 5 must be such as {minmov: 0.01, perc: 50}"),
        ({"filler": {"bar_point_perc": {"minmov": -1}}}, "minmov = -1.0 must be a price's smallest move"),
        ({"semantics": "fixed"}, "semantics = 'fixed' is unknown; valid: backtrader-1.9.78.123, corrected"),
        ({"semantics": "correct"}, "did you mean 'corrected'"),
        ({"automargin": True}, "which makes money of nothing: give margin"),
        ({"stocklike": True}, "a unit is that of a future where margin is given"),
        ({"multiplier": 5}, "it is called 'mult' here"),
        ({"sizer": 95}, "overlays: {percent_of_equity: 0.95}"),
        ({"slip_perc": 0.1}, "it is called 'slippage' here"),
        ({"initial_cash": 5}, "it is called 'cash' here"),
        ({"cheat_on_open": True}, "it is called 'coo' here"),
        ({"spread": 0.1}, "is unknown; valid: cash, checksubmit"),
    ],
)
def test_refused_with_key_value_and_rule(given: dict[str, object], said: str) -> None:
    with pytest.raises(EngineError) as refused:
        execution_from_mapping(given)

    assert said in str(refused.value)
    assert "did you mean 'slip" not in str(refused.value)
