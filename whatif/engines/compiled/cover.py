"""What the compiled broker does not do, by name."""

from __future__ import annotations

from collections.abc import Iterable

from whatif.errors import EngineError
from whatif.strategies import AnyStrategy, StrategySpec


def not_covered(strategy: AnyStrategy, accounts_shared: bool = False) -> list[str]:
    """Return why the compiled broker cannot run a strategy; empty if it can.

    Parameters
    ----------
    strategy : StrategySpec or BacktraderSpec
        The strategy.
    accounts_shared : bool
        Whether several symbols share an account.
    """
    reasons = []
    if not isinstance(strategy, StrategySpec):
        reasons.append(f"{strategy.name} is an ordinary backtrader.Strategy, not a step function")
    if accounts_shared:
        reasons.append("portfolio: shared (several symbols in one account)")
    return reasons


def refuse(reasons: Iterable[str]) -> None:
    """Refuse what the compiled broker does not cover; without a reason, do nothing.

    Raises
    ------
    EngineError
        Naming everything.
    """
    named = "; ".join(reasons)
    if named:
        raise EngineError(f"engine compiled does not cover {named}: use engine auto or backtrader")
