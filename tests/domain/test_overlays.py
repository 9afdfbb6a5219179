"""Overlays: what is on, and what is refused."""

from __future__ import annotations

import dataclasses
import json

import pytest

from whatif.domain.overlays import OVERLAY_NAMES, Overlays, check_options, overlays_from_mapping
from whatif.errors import EngineError


def test_nothing_is_on_by_default() -> None:
    assert Overlays() == overlays_from_mapping({}) == overlays_from_mapping(dict.fromkeys(OVERLAY_NAMES))
    assert not Overlays().is_on
    assert Overlays().active == {}
    assert tuple(f.name for f in dataclasses.fields(Overlays)) == OVERLAY_NAMES


def test_what_is_on_is_plain_and_comes_back() -> None:
    given = {
        "latency": 2.0, "take_profit": 1, "stop_loss": None, "flat_before_close": "1h", "max_bars_held": 5,
        "percent_of_equity": 0.5,
    }  # fmt: skip
    overlays = overlays_from_mapping(given)

    assert overlays.is_on
    assert overlays.active == {
        "take_profit": 1.0, "max_bars_held": 5, "flat_before_close": 60, "percent_of_equity": 0.5,
        "latency": 2,
    }  # fmt: skip
    assert [type(value) for value in overlays.active.values()] == [float, int, int, float, int]
    assert Overlays(**json.loads(json.dumps(overlays.active))) == overlays
    assert overlays_from_mapping({"flat_before_close": 15}) == overlays_from_mapping(
        {"flat_before_close": "15min"}
    )


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"take_profits": 0.1}, "overlays: 'take_profits' (= 0.1) is unknown; did you mean 'take_profit'?"),
        ({"take_profit": 0}, "take_profit = 0.0 must be a fraction above 0"),
        ({"stop_loss": -0.1}, "stop_loss = -0.1 must be a fraction above 0"),
        ({"stop_loss": float("nan")}, "stop_loss = nan must be a fraction above 0"),
        ({"stop_loss": True}, "stop_loss = True must be a fraction above 0"),
        ({"percent_of_equity": "half"}, "percent_of_equity = 'half' must be a fraction above 0"),
        ({"percent_of_equity": float("inf")}, "percent_of_equity = inf"),
        ({"max_bars_held": 0}, "max_bars_held = 0 must be a whole number from 1"),
        ({"max_bars_held": 2.5}, "max_bars_held = 2.5 must be a whole number"),
        ({"flat_before_close": "15m"}, "flat_before_close: '15m' is not a duration"),
        ({"flat_before_close": 0}, "flat_before_close = 0 must be a whole number from 1"),
        ({"latency": -1}, "latency = -1 must be a whole number from 0"),
        ({"latency": False}, "latency = False must be a whole number"),
        ({"latency": 10**9}, "to 1,000,000 (bars); leave it out"),
        ({"percent_of_equity": 95}, "= 95.0 must be a fraction above 0 and at most 1: 0.95 is 95 %"),
        ({"percent_of_equity": 1.01}, "percent_of_equity = 1.01"),
        ({"percent_of_cash": 1.01}, "percent_of_cash = 1.01 must be a fraction above 0 and at most 1"),
        ({"risk_per_trade": 0}, "risk_per_trade = 0.0 must be a fraction above 0 and at most 1: 0.01"),
        ({"volatility_target": 1.5}, "volatility_target = 1.5 must be a fraction above 0 and at most 1: 0.0"),
        ({"volatility_target": 0.1, "volatility": 0.2}, "volatility = 0.2 must be an indicator expression"),
        ({"volatility": ""}, "volatility = '' must be an indicator expression, such as"),
        ({"volatility_target": 0.1, "volatility_max": 2}, "volatility_max = 2.0 must be a fraction above 0"),
        ({"kelly_fraction": 2}, "kelly_fraction = 2.0 must be a fraction above 0 and at most 1: 0.5 is half"),
        ({"kelly_fraction": 0.5, "kelly_max": 1.5}, "kelly_max = 1.5 must be a fraction above 0"),
        ({"kelly_fraction": 0.5, "kelly_trades": 0}, "kelly_trades = 0 must be a whole number from 1"),
        (
            {"kelly_fraction": 0.5, "kelly_max": 0.2, "kelly_start": 0.3},
            "kelly_start = 0.3 must be at most kelly_max = 0.2, which bounds a position at any time",
        ),
        (
            {"volatility_target": 0.1, "kelly_fraction": 0.5},
            "volatility_target and kelly_fraction each say how much is opened; leave all but one of them out",
        ),
        (
            {"percent_of_equity": 0.5, "risk_per_trade": 0.01, "stop_loss": 0.1},
            "percent_of_equity and risk_per_trade each say how much is opened; leave all but one of them out",
        ),
        ({"stop_loss": 1}, "= 1.0 must be a fraction above 0 and below 1: 0.02 is 2 % of the entry"),
        ({"take_profit": 5}, "take_profit = 5.0 must be a fraction above 0 and at most 1"),
        ({"flat_before_close": 1441}, "whole number from 1 to 1,440 (minutes)"),
        ({"latency": "1"}, "latency = '1' must be a whole number"),
    ],
)  # fmt: skip
def test_a_message_names_key_value_rule_and_remedy(given, said: str) -> None:
    with pytest.raises(EngineError) as refused:
        overlays_from_mapping(given)

    assert said in str(refused.value)


def test_options_of_a_rule_that_is_on_are_part_of_what_is_on() -> None:
    assert Overlays(volatility_target=0.001).active == {
        "volatility_target": 0.001, "volatility": "stddev(roc(1), 20)", "volatility_max": 0.95,
    }  # fmt: skip
    assert Overlays(kelly_fraction=0.5, kelly_max=0.05).active == {
        "kelly_fraction": 0.5, "kelly_max": 0.05, "kelly_trades": 20, "kelly_start": 0.05,
    }  # fmt: skip
    assert Overlays(kelly_fraction=0.5).active["kelly_start"] == 0.1


def test_options_of_a_rule_that_is_off_do_nothing() -> None:
    given = {"volatility": "atr(14) / close", "volatility_max": 1, "kelly_max": 0.5, "kelly_trades": 3.0}
    overlays = overlays_from_mapping({**given, "kelly_start": 0.2})

    assert overlays.active == {}
    assert not overlays.is_on
    on = overlays_from_mapping({**given, "volatility_target": 0.002, "stop_loss": 0.1})
    assert on.active == {
        "stop_loss": 0.1, "volatility_target": 0.002, "volatility": "atr(14) / close", "volatility_max": 1.0,
    }  # fmt: skip
    assert Overlays(**json.loads(json.dumps(on.active))).active == on.active


def test_options_without_their_rule_are_refused() -> None:
    said = "overlays: kelly_max = 0.5 says more of kelly_fraction, which is off: give kelly_fraction too, or "
    with pytest.raises(EngineError, match=said):
        check_options({"kelly_max": 0.5, "kelly_fraction": None})
    check_options({"kelly_max": 0.5}, varied=["kelly_fraction"])
    check_options({"kelly_max": None, "volatility": "atr(14)", "volatility_target": 0.1})
