"""Random cases for two brokers: a market, a script of intents, broker settings."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from hypothesis import strategies as st

from whatif.domain import Bars, Execution
from whatif.engines import BacktestTask
from whatif.strategies import StrategySpec
from whatif.testing.markets import PRICES, markets, random_bars, random_shape
from whatif.testing.orders import Script, executions, random_execution, random_script, scripted, scripts


@dataclass(frozen=True, eq=False)
class Case:
    """One market, what is asked of the broker on each of its bars, and the broker's settings.

    Attributes
    ----------
    bars : Bars
        The market.
    script : Script
        Intents by bar.
    execution : Execution
        The broker's settings.
    """

    bars: Bars
    script: Script
    execution: Execution

    def task(self, step: StrategySpec = scripted) -> BacktestTask:
        """Return the task in which `step` plays the script."""
        return BacktestTask([self.script.on(self.bars)], step, {}, self.execution)


def random_case(seed: int, max_bars: int = 80) -> Case:
    """Return a case drawn from all kinds, the same for the same seed."""
    rng = np.random.default_rng(seed)
    price = float(rng.choice(PRICES))
    n = int(rng.integers(2, max_bars + 1))
    return Case(
        random_bars(seed, n, random_shape(rng, price)),
        random_script(seed + 1, n),
        random_execution(rng, price),
    )


def cases(max_bars: int = 80) -> st.SearchStrategy[Case]:
    """Return a strategy of cases; prices and money are of one magnitude, the sizes of any."""
    return st.sampled_from(PRICES).flatmap(
        lambda price: st.builds(Case, markets(price, max_bars), scripts(max_bars), executions(price))
    )
