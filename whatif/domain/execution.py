"""How orders become money: cash, costs and the broker's switches."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Execution:
    """Broker settings, by Backtrader's names and with its meaning.

    Attributes
    ----------
    cash : float
        Initial cash, in the currency of the prices.
    commission : float
        Fraction of the traded value (`commtype` "perc") or money per unit ("fixed").
    commtype : str
        "perc" or "fixed".
    slippage : float
        Fraction of the price, as `set_slippage_perc`.
    slippage_fixed : float
        Money per unit, as `set_slippage_fixed`; used when `slippage` is zero.
    slip_open, slip_match, slip_limit, slip_out : bool
        Backtrader's slippage switches, with the defaults of `set_slippage_perc`.
    checksubmit : bool
        Whether cash is checked when an order is submitted.
    shortcash : bool
        Whether opening a short raises cash.
    coc : bool
        Cheat on close: market orders fill at the close of the bar that created them.
    coo : bool
        Cheat on open.
    """

    cash: float = 10_000.0
    commission: float = 0.0
    commtype: str = "perc"
    slippage: float = 0.0
    slippage_fixed: float = 0.0
    slip_open: bool = True
    slip_match: bool = True
    slip_limit: bool = True
    slip_out: bool = False
    checksubmit: bool = True
    shortcash: bool = True
    coc: bool = False
    coo: bool = False
