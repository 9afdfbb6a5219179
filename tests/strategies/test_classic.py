"""What an ordinary Backtrader strategy declares of itself."""

from __future__ import annotations

import backtrader as bt
import numpy as np
import pandas as pd
import pytest

import whatif
from whatif.errors import StrategyError
from whatif.strategies import resolve


class Number(bt.Strategy):
    params = {"slow": 40}
    warmup = 41


class Method(bt.Strategy):
    params = {"slow": 40}

    def warmup(self) -> int:
        return self.p.slow + 1


class Property(bt.Strategy):
    params = {"slow": 40}

    @property
    def warmup(self) -> int:
        return self.params.slow + 1


class OfTheClass(bt.Strategy):
    params = {"slow": 40}

    @classmethod
    def warmup(cls, params) -> int:
        return params["slow"] + 1


class Static(bt.Strategy):
    params = {"slow": 40}

    @staticmethod
    def warmup(params) -> int:
        return params.slow + 1


@pytest.mark.parametrize("cls", [Method, Property, OfTheClass, Static])
def test_a_warmup_may_depend_on_parameters(cls: type) -> None:
    spec = resolve(cls)
    assert (spec.warmup({}), spec.warmup({"slow": 7})) == (41, 8)
    assert resolve(Number).warmup({"slow": 7}) == 41


class Wrong(bt.Strategy):
    def warmup(self) -> int:
        return self.data.buflen()


class Fraction(bt.Strategy):
    params = {"slow": 40}

    def warmup(self) -> float:
        return self.p.slow / 2


def test_a_warmup_that_cannot_be_told_is_refused() -> None:
    with pytest.raises(StrategyError, match=r"Wrong: warmup cannot be told .*no parameter is called 'data'"):
        resolve(Wrong).warmup({})
    with pytest.raises(StrategyError, match=r"Fraction: warmup = 20.0 must be a whole number"):
        resolve(Fraction).warmup({})


class Waiting(bt.Strategy):
    """Buys on the first bar that has as many before it as it is fed."""

    params = {"slow": 40}

    def warmup(self) -> int:
        return self.p.slow + 1

    def next(self) -> None:
        if not self.position and len(self) > self.p.slow + 1:
            self.buy(size=10)


def test_each_configuration_is_fed_what_its_parameters_need() -> None:
    closes = 100.0 * np.exp(np.cumsum(np.random.default_rng(1).normal(0.0, 0.004, 400)))
    bars = pd.DataFrame({
        "symbol": "X", "ts": pd.date_range("2024-01-02 14:30", periods=400, freq="min", tz="UTC"),
        "open": closes, "high": closes, "low": closes, "close": closes, "volume": 1.0,
    })  # fmt: skip
    window = {"execution": {"cash": 1e4}, "start": bars["ts"][100]}
    for slow in (10, 60):
        own = whatif.backtest(bars, Waiting, {"slow": slow}, **window)
        assert own.fills["ts"].tolist() == [bars["ts"][101]]
    late = whatif.backtest(bars, Waiting, {"slow": 60}, **window, warmup=11)
    assert late.fills["ts"].tolist() == [bars["ts"][100 + 61 - 11 + 1]]
