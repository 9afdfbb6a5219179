"""Execution settings of the broker: cash, costs and switches."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, fields
from functools import cached_property
from types import MappingProxyType
from typing import Any, NamedTuple

from whatif.domain.costs import Costs, costs_from
from whatif.domain.fillers import Filler, filler_from
from whatif.domain.timeframe import canonical_timeframe
from whatif.errors import EngineError, StudyError, nearest

SEMANTICS = "backtrader-1.9.78.123"
"""Whose broker engines come to the bytes of: the version that `setup.py` pins."""

CORRECTED = "corrected"
ALL_SEMANTICS = (SEMANTICS, CORRECTED)
"""What fills may mean: Backtrader's broker as it is, or without its oddities."""


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
        Cheat on open: the check at submission takes a market order's next open; an ordinary strategy has a
        `next_open`.
    costs : Costs, optional
        What orders cost, in place of commission and slippage of a single number.
    margin : float
        Money that a unit of a future ties up; 0 for a stock, of which a unit costs its price.
    mult : float
        Money that one unit of a future gains when the price rises by one.
    leverage : float
        How many times the cash that it takes a long position of a stock is worth.
    interest : float
        Fraction of a short position's entry value that a year of 365 days costs.
    interest_long : bool
        Whether long positions pay it too.
    filler : Filler, optional
        How much of an order a bar fills at most.
    semantics : str
        Whose broker fills are those of: one of `ALL_SEMANTICS`.
    fill_timeframe : str
        Length of the shorter bars, inside those that a step decides on, on which its orders are tried, such
        as "1min"; "" for the bars themselves.
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
    costs: Costs | None = None
    margin: float = 0.0
    mult: float = 1.0
    leverage: float = 1.0
    interest: float = 0.0
    interest_long: bool = False
    filler: Filler | None = None
    semantics: str = SEMANTICS
    fill_timeframe: str = ""

    def __post_init__(self) -> None:
        """Refuse values that no broker could work with.

        Raises
        ------
        EngineError
            Naming key, value and rule.
        """
        for name, rule in _RULES.items():
            value = getattr(self, name)
            if not (math.isfinite(value) and rule.test(value)):
                raise EngineError(f"execution: {name} = {value!r} {rule.text}")
        if self.commtype not in COMMTYPES:
            raise EngineError(
                f"execution: commtype = {self.commtype!r} is unknown; {nearest(self.commtype, COMMTYPES)}"
            )
        if self.commtype == "perc" and self.commission >= 1:
            raise EngineError(
                f"execution: commission = {self.commission!r} is a fraction of the traded value and must be "
                "below 1: write 0.001 for 0.1 %, or commtype: fixed for money per unit"
            )
        if self.slippage and self.slippage_fixed:
            raise EngineError(
                f"execution: slippage = {self.slippage} and slippage_fixed = {self.slippage_fixed} exclude "
                "each other; give one of them"
            )
        if self.semantics not in ALL_SEMANTICS:
            known = nearest(self.semantics, ALL_SEMANTICS)
            raise EngineError(f"execution: semantics = {self.semantics!r} is unknown; {known}")
        if self.fill_timeframe and self.fill_timeframe != _fill_timeframe(self.fill_timeframe):
            raise EngineError(
                f"execution: fill_timeframe = {self.fill_timeframe!r} is called "
                f"{_fill_timeframe(self.fill_timeframe)!r} here"
            )
        if self.costs is not None:
            _check_costs(self, self.costs)
        _check_contract(self)

    @property
    def written(self) -> dict[str, Any]:
        """Settings as a mapping of what JSON holds, without those that there are none of."""
        left_out = {*_OBJECTS, *LATER_SETTINGS}.difference(self.later)
        own = {f.name: getattr(self, f.name) for f in fields(self) if f.name not in left_out}
        objects = {name: getattr(self, name) for name in _OBJECTS}
        return own | {name: value.written for name, value in objects.items() if value is not None}

    @cached_property
    def later(self) -> tuple[str, ...]:
        """Those of `LATER_SETTINGS` that are not at their default; a sweep asks for each configuration."""
        default = {f.name: f.default for f in fields(self)}
        return tuple(name for name in LATER_SETTINGS if getattr(self, name) != default[name])

    @cached_property
    def special(self) -> tuple[str, ...]:
        """Those of `SPECIAL_SETTINGS` that are not at their default."""
        return ("coo", *self.later) if self.coo else self.later

    @property
    def is_corrected(self) -> bool:
        """Whether Backtrader's oddities are left out, see docs/orders.md."""
        return self.semantics == CORRECTED

    @property
    def is_outright(self) -> bool:
        """Whether a unit is paid in full and worth its price: neither margin nor leverage."""
        return self.margin == 0.0 and self.leverage == 1.0

    @classmethod
    def from_written(cls, given: Mapping[str, Any]) -> Execution:
        """Return the settings that `written` gave."""
        objects = {name: make(given[name]) for name, make in _OBJECTS.items() if name in given}
        return cls(**{**given, **objects})


def _fill_timeframe(text: str) -> str:
    """Return the one name of a length of bars.

    Raises
    ------
    EngineError
        If it is none.
    """
    try:
        return canonical_timeframe(text)
    except StudyError as error:
        raise EngineError(f"execution: fill_timeframe: {error}") from None


def _check_costs(execution: Execution, costs: Costs) -> None:
    """Refuse what costs say already."""
    if execution.commission or execution.commtype != "perc":
        raise EngineError(
            f"execution: commission = {execution.commission!r}, commtype = {execution.commtype!r} stand "
            "beside costs, which say what is paid: leave them out, and give costs: {fraction: ...} or "
            "{per_unit: ...}"
        )
    if costs.moves_prices and (execution.slippage or execution.slippage_fixed):
        raise EngineError(
            f"execution: slippage = {execution.slippage!r}, slippage_fixed = {execution.slippage_fixed!r} "
            "stand beside costs with spread_ticks, range_slippage or impact: leave one of the two out"
        )


def _check_contract(execution: Execution) -> None:
    """Refuse what a stock, or a future, cannot be: Backtrader would make or lose money of it."""
    margin, mult, leverage = execution.margin, execution.mult, execution.leverage
    if mult != 1.0 and margin == 0.0:
        raise EngineError(
            f"execution: mult = {mult!r} is a future's, and without margin the units are those of a stock, "
            "which is worth its price: give margin, the money that a unit ties up"
        )
    if margin == 0.0:
        return
    if leverage != 1.0:
        raise EngineError(
            f"execution: leverage = {leverage!r} stands beside margin = {margin!r}, which says what a unit "
            "of a future ties up: leave leverage out, and give the smaller margin"
        )
    if not execution.shortcash:
        raise EngineError(
            f"execution: shortcash = False is about shorts of a stock, and with margin = {margin!r} a short "
            "ties up its margin in any case: leave shortcash out"
        )
    if mult != 1.0 and execution.commission and execution.commtype == "perc":
        raise EngineError(
            f"execution: commission = {execution.commission!r} is a fraction of the price alone, without "
            f"mult = {mult!r}: give commtype: fixed and the money for each unit"
        )
    by_value = execution.costs.by_price if execution.costs is not None else []
    if mult != 1.0 and by_value:
        raise EngineError(
            f"execution: costs: {', '.join(by_value)} go by units times price, without mult = "
            f"{mult!r}: give per_order, per_unit and other money in their place"
        )


COMMTYPES = ("perc", "fixed")

_OBJECTS: Mapping[str, Callable[[object], Any]] = {"costs": costs_from, "filler": filler_from}
"""Settings that are objects of their own, and what makes each of its keys."""

LATER_SETTINGS = (
    "margin",
    "mult",
    "leverage",
    "interest",
    "interest_long",
    "filler",
    "semantics",
    "fill_timeframe",
)
"""Settings that the first results had none of: written down where they are not at their default."""

SPECIAL_SETTINGS = ("coo", *LATER_SETTINGS)
"""Settings that an engine has to say of that it acts on them."""


class _Rule(NamedTuple):
    test: Callable[[float], bool]
    text: str


MAX_MONEY = 1e15
"""Most money: above it a float no longer holds cents, and sums of trades reach infinity."""

_AT_MOST = "and at most 1e15"

_RULES = {
    "cash": _Rule(lambda value: 0 < value <= MAX_MONEY, f"must be a finite number above 0, {_AT_MOST}"),
    "commission": _Rule(
        lambda value: 0 <= value <= MAX_MONEY, f"must be a finite number of at least 0, {_AT_MOST}"
    ),
    "margin": _Rule(
        lambda value: 0 <= value <= MAX_MONEY, f"must be a finite number of at least 0, {_AT_MOST}"
    ),
    "mult": _Rule(lambda value: 0 < value <= 1e9, "must be a finite number above 0, and at most 1e9"),
    "leverage": _Rule(lambda value: 1 <= value <= 1000, "must be at least 1 and at most 1000"),
    "interest": _Rule(
        lambda value: 0 <= value <= 10, "must be a fraction a year from 0 to 10: write 0.05 for 5 %"
    ),
    "slippage": _Rule(lambda value: 0 <= value < 1, "must be a fraction from 0 up to, not including, 1"),
    "slippage_fixed": _Rule(
        lambda value: 0 <= value <= MAX_MONEY, f"must be a finite number of at least 0, {_AT_MOST}"
    ),
}


def execution_from_mapping(
    given: Mapping[str, object], named: Mapping[str, object] = MappingProxyType({})
) -> Execution:
    """Return the settings that a mapping names; what it leaves out keeps its default.

    Parameters
    ----------
    given : mapping of str to bool, int, float or str
        Keys are the attributes of `Execution`; of `costs` and `filler` the value is what `costs_from` and
        `filler_from` take.
    named : mapping of str to mapping
        Costs by the name that a study has for them.

    Raises
    ------
    EngineError
        If a key is unknown (naming the nearest), or a value has another type or breaks its rule.
    """
    kinds = {f.name: type(f.default) for f in fields(Execution)}
    typed: dict[str, Any] = {}
    for name, value in given.items():
        if name not in kinds:
            raise EngineError(f"execution: {name!r} (= {value!r}) is unknown; {_remedy(str(name), kinds)}")
        if name == "costs":
            typed[name] = costs_from(value, named)
        else:
            typed[name] = _OBJECTS[name](value) if name in _OBJECTS else _typed(name, value, kinds[name])
    if typed.get("fill_timeframe"):
        typed["fill_timeframe"] = _fill_timeframe(typed["fill_timeframe"])
    return Execution(**typed)


_MARGIN = (
    "Backtrader takes it by the price of the fill and values it by each close, which makes money of nothing: "
    "give margin, the money that a unit ties up"
)
_KIND = "a unit is that of a future where margin is given, and else that of a stock"
_SIZE = "sizes are the strategy's, or those of overlays: {percent_of_equity: 0.95}"
_ELSEWHERE = {
    "automargin": _MARGIN,
    "stocklike": _KIND,
    **dict.fromkeys(("size", "stake", "sizer", "position_size"), _SIZE),
    **dict.fromkeys(("fundmode",), "Backtrader's key of this name is not there"),
}
"""What other tools' words stand for, where there is no key of that meaning."""

_CALLED = {
    **dict.fromkeys(("fee", "fees", "comm"), "commission"),
    **dict.fromkeys(("capital", "initial_cash", "init_cash", "start_cash", "initial_capital"), "cash"),
    **dict.fromkeys(("slip_perc", "slippage_perc"), "slippage"),
    **dict.fromkeys(("slip_fixed",), "slippage_fixed"),
    **dict.fromkeys(("multiplier", "contract_size", "point_value"), "mult"),
    "initial_margin": "margin",
    **dict.fromkeys(("volume_limit", "max_volume_share"), "filler"),
    "cheat_on_close": "coc",
    "cheat_on_open": "coo",
}
"""Keys by the words that other tools have for them."""


def _remedy(name: str, valid: Iterable[str]) -> str:
    """Return what to write instead of a key that there is not."""
    names = sorted(valid)
    if name in _ELSEWHERE:
        return f"{_ELSEWHERE[name]}; valid: {', '.join(names)}"
    return f"it is called {_CALLED[name]!r} here" if name in _CALLED else nearest(name, names)


def _typed(name: str, value: object, kind: type) -> bool | float | str:
    if kind is bool and isinstance(value, bool):
        return value
    if kind is str and isinstance(value, str):
        return value
    if kind is float and isinstance(value, (int, float)) and not isinstance(value, bool):
        return float(value)
    rule = {bool: "must be true or false", str: "must be text", float: "must be a number"}[kind]
    raise EngineError(f"execution: {name} = {value!r} {rule}")
