"""Objects of costs: what they may be, what they come to, and the presets that the documentation lists."""

from __future__ import annotations

import re
from dataclasses import fields
from pathlib import Path

import numpy as np
import pytest

from whatif.domain.charges import charges_of, order_charge, part_charge, price_distance
from whatif.domain.cost_presets import PRESETS
from whatif.domain.costs import Costs, Tier, costs_from
from whatif.domain.execution import LATER_SETTINGS, Execution, execution_from_mapping
from whatif.errors import EngineError

REFERENCE = (Path(__file__).resolve().parents[2] / "docs" / "costs.md").read_text(encoding="utf-8")


def paid(given, size: float, at: float, traded: float = 0.0, adds: bool = False) -> float:
    return order_charge(size, at, adds, False, traded, charges_of(costs_from(given)))


def test_price_lists_by_the_examples_of_their_sources() -> None:
    # the fixed plan's examples: 100 and 1,000 shares at USD 25, 1,000 at USD 0.25
    assert [paid("ibkr_fixed_us", n, at) for n, at in ((100.0, 25.0), (1000.0, 25.0), (1000.0, 0.25))] == [
        1.0,
        5.0,
        2.5,
    ]
    # 1,000 shares * EUR 20: EUR 10 of tiered commission; 100 at EUR 40: the minimum
    assert paid("ibkr_tiered_eu", 1000.0, 20.0) == 10.0
    assert paid("ibkr_fixed_eu", 100.0, 40.0) == 3.0
    assert paid("ibkr_tiered_eu", 1000.0, 100.0) == 29.0
    assert paid("uk_stamp_duty", 1000.0, 10.0) == 50.0
    assert paid("uk_stamp_duty", -1000.0, 10.0) == 0.0


def test_tiers_are_marginal_or_of_the_volume_before() -> None:
    tiered = "ibkr_tiered_us"
    third = 1000.0 * 0.0002
    assert paid(tiered, 1000.0, 50.0, traded=299_500.0) == pytest.approx(500 * 0.0035 + 500 * 0.002 + third)
    # over three tiers at once
    many = 300_000 * 0.0035 + 2_700_000 * 0.002 + 1_000_000 * 0.0015 + 4_000_000 * 0.0002
    assert paid(tiered, 4e6, 50.0) == pytest.approx(many)
    assert paid("kraken_pro", 2.0, 10_000.0) == pytest.approx(20_000 * 0.004)
    assert paid("kraken_pro", 2.0, 10_000.0, traded=10_000.0) == pytest.approx(20_000 * 0.0035)
    assert paid("kraken_pro", 2.0, 10_000.0, traded=1e9, adds=True) == 0.0


def test_parts_of_an_order_add_up_to_it() -> None:
    rng = np.random.default_rng(1)
    for name in PRESETS:
        row = charges_of(costs_from(name))
        for closed, opened, at in rng.uniform(0.1, 500.0, (20, 3)):
            parts = [part_charge(closed, 0.0, at, False, False, 7.0, row)]
            parts.append(part_charge(opened, closed, at, False, False, 7.0, row))
            whole = order_charge(closed + opened, at, False, False, 7.0, row)
            assert sum(parts) == pytest.approx(whole, rel=1e-12)


def test_a_price_is_worse_by_what_each_part_says() -> None:
    row = charges_of(costs_from({"spread_ticks": 2, "tick": 0.5, "range_slippage": 0.25, "impact": 0.5}))
    # half of the spread, a quarter of the range, half of 100 times the root of 4/64
    assert price_distance(-4.0, 100.0, 110.0, 90.0, 64.0, row) == 0.5 + 5.0 + 12.5
    assert np.isnan(price_distance(4.0, 100.0, 110.0, 90.0, 0.0, row))
    assert np.isnan(price_distance(4.0, 100.0, 110.0, 90.0, np.nan, row))


@pytest.mark.parametrize("name", PRESETS)
def test_what_is_written_is_read_again(name: str) -> None:
    execution = execution_from_mapping({"costs": name})
    assert Execution.from_written(execution.written) == execution
    assert hash(execution) == hash(Execution.from_written(execution.written))


def test_without_costs_nothing_is_written_of_them() -> None:
    assert "costs" not in Execution().written
    assert set(Execution().written) == {f.name for f in fields(Execution)} - {"costs", *LATER_SETTINGS}
    assert charges_of(None) == ()


def test_keys_lie_over_those_of_a_preset_and_of_the_study() -> None:
    found = costs_from({"preset": "ibkr_fixed_us", "minimum": 2, "spread_ticks": 1, "tick": 0.01})
    assert found == Costs(
        per_unit=0.005, minimum=2.0, maximum_fraction=0.01, sell_fraction=0.0000278, sell_per_unit=0.000166,
        spread_ticks=1.0, tick=0.01,
    )  # fmt: skip
    assert costs_from("ours", {"ours": {"fraction": 0.001}}) == Costs(fraction=0.001)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ("ibkr_fixed", "'ibkr_fixed' is no preset; did you mean 'ibkr_fixed"),
        ({"preset": "none"}, "'none' is no preset"),
        ({}, "must be the name of a preset (ibkr_fixed_us, "),
        (3.0, "costs = 3.0 must be the name of a preset"),
        ({"per_share": 1}, "'per_share' (= 1) is unknown"),
        ({"minimun": 1}, "did you mean 'minimum'"),
        ({"per_unit": "much"}, "per_unit = 'much' must be a number"),
        ({"per_unit": True}, "per_unit = True must be a number"),
        ({"fraction": 5}, "fraction = 5.0 must be at least 0 and below 1: it is a share, write 0.001"),
        ({"minimum": -1}, "minimum = -1.0 must be at least 0 and at most 1e+15"),
        ({"impact": float("nan")}, "impact = nan must be"),
        ({"maker": 0.1}, "belong together: give both"),
        ({"maker": 0.1, "taker": 0.1, "fraction": 0.1}, "fraction = 0.1 stands beside maker and taker"),
        ({"minimum": 3, "maximum": 2}, "maximum = 2.0 is below minimum = 3.0"),
        ({"minimum": 3, "maximum": 0}, "maximum = 0.0 is below minimum = 3.0"),
        ({"spread_ticks": 3}, "spread_ticks = 3.0 and tick = 0.0 belong together"),
        ({"marginal": 1}, "marginal = 1 must be true or false"),
        ({"tiers": {"from_units": 0}}, "must be a list such as"),
        ({"tiers": [{"from": 0}]}, "tiers: 'from' is unknown; valid: fraction, from_units"),
        ({"tiers": [{"per_unit": 1}]}, "must give one of from_units and from_value"),
        ({"tiers": [{"from_units": 1, "per_unit": 1}]}, "tiers begin at [1.0]: the first must begin at 0"),
        ({"tiers": [{"from_units": 0, "maker": 0.1}]}, "must give maker and taker together"),
        ({"tiers": [{"from_units": 0}, {"from_units": 9, "per_unit": 1}]}, "tiers give different keys"),
        ({"tiers": [{"from_units": 0, "per_unit": 2}], "per_unit": 1}, "per_unit stand beside tiers"),
        ({"tiers": [{"from_units": 0, "per_unit": 2}], "maker": 0, "taker": 0}, "maker, taker stand beside"),
        ({"tiers": [{"from_units": 0, "fraction": 1.5}]}, "tiers: fraction = 1.5 must be at least 0"),
    ],
)  # fmt: skip
def test_refused_with_key_value_and_rule(given: object, said: str) -> None:
    with pytest.raises(EngineError) as refused:
        execution_from_mapping({"costs": given})

    assert said in str(refused.value)


@pytest.mark.parametrize(
    ("beside", "costs"),
    [
        ({"commission": 0.1}, {"per_unit": 1}),
        ({"commtype": "fixed"}, {"per_unit": 1}),
        ({"slippage": 0.1}, {"impact": 0.1}),
        ({"slippage_fixed": 0.1}, {"spread_ticks": 1, "tick": 1}),
    ],
)
def test_what_says_the_same_is_refused_beside_them(beside, costs) -> None:
    with pytest.raises(EngineError, match="stand beside costs"):
        execution_from_mapping({**beside, "costs": costs})


def test_slippage_may_stand_beside_costs_that_leave_prices_alone() -> None:
    assert execution_from_mapping({"slippage": 0.1, "costs": {"per_unit": 1}}).slippage == 0.1


def test_the_documentation_lists_keys_and_presets() -> None:
    _, _, below = REFERENCE.partition("## Keys")
    keys, _, below = below.partition("\n## ")
    found = {
        name
        for line in keys.splitlines()
        if line.startswith("| `")
        for name in re.findall(r"`(\w+)`", line.split("|")[1])
    }
    assert found == {f.name for f in fields(Costs)} | {"preset"}
    for name in (f.name for f in fields(Tier)):
        assert f"`{name}`" in keys
    told = [line for line in REFERENCE.partition("## Presets")[2].splitlines() if line.startswith("| `")]
    assert told == [f"| `{name}` | {one.source} | {one.date} | {one.says} |" for name, one in PRESETS.items()]
