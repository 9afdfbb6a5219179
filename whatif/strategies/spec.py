"""What a strategy is: a step function and what it declares."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from functools import cached_property
from types import FunctionType, MappingProxyType
from typing import Any, TypeAlias

from whatif.domain import PRICE_FIELDS
from whatif.errors import IndicatorError, StrategyError, nearest
from whatif.indicators import Expression, Needs, needs_of, parse
from whatif.strategies.identity import identity_of
from whatif.strategies.intents import NOTES, ORDER_KEYWORDS, ORDER_MAKERS, Answer, buy, sell
from whatif.strategies.lookup import followed, joins_calls, keywords_of, names_in, reaches
from whatif.strategies.params import Param, Value, check_constraint, check_names, holds
from whatif.strategies.source import digest_of, helpers_with, source_of

Step: TypeAlias = Callable[[int, Any, Any, Any], Answer]
"""(bar index, arrays, parameters, position state) -> intent, or order."""

DEFAULT_MAX_ORDERS = 64
"""Orders that may wait at a time, unless a strategy says otherwise."""

LARGEST_MAX_ORDERS = 10_000
"""The most that a strategy may say."""


@dataclass(frozen=True, eq=False)
class StrategySpec:
    """A strategy as a step function.

    Attributes
    ----------
    name : str
        The step function's name.
    step : callable
        ``step(i, x, p, s)``: bar index, arrays (the bars' own and the inputs, float64 by name),
        parameters, position state (`whatif.strategies.State`). It reads its arrays and does
        not write to them. It reads single bars and slices, up to bar `i`: a later one, a negative
        index or the length of a series raises. It means what Python means by it, on floats, whole
        numbers and truth values: no number of numpy's reaches it. What can be compiled to the same
        bytes runs on the compiled broker too, errors included: numbers, slices, most of ``math``,
        numpy's functions of numbers and its commonest of slices, plain functions of one's own, text
        and bool parameters. Anything else is refused there by name and line. Whole numbers beyond
        2**53 raise there.
    params : mapping of str to Param
        Declared parameters.
    inputs : mapping of str to Expression
        Further arrays by name: indicators, or series from outside.
    constraint : str
        A rule between parameters, such as ``fast < slow``; "" for none.
    lookback : int
        Rows before `i` that the step may read; it is never called before row `lookback`.
    scratch : int
        Length of the float64 array the step may keep values in; zeros at the start.
    source : str
        The text that defines it.
    max_orders : int
        Orders that may wait at a time.
    cross_sectional : bool
        Whether the step is called once a timestamp for all symbols of an account: ``step(i, x, p, s)`` with
        `i` the timestamps of the window before this one, ``x.name[k]`` the last known value of symbol k
        (NaN before its first bar), ``x.has_bar[k]``, and `s` a `whatif.strategies.AcrossState`. It
        answers with `weights`, `sizes`, `orders` or `hold`.
    max_gross : float
        The most that the absolute weights of one answer may sum to.
    """

    name: str
    step: Step
    params: Mapping[str, Param] = field(default_factory=dict)
    inputs: Mapping[str, Expression] = field(default_factory=dict)
    constraint: str = ""
    lookback: int = 1
    scratch: int = 0
    source: str = ""
    max_orders: int = DEFAULT_MAX_ORDERS
    cross_sectional: bool = False
    max_gross: float = 1.0

    @property
    def digest(self) -> str:
        """Digest of its source, its declaration and, by value, of all that the step can reach now.

        Raises
        ------
        StrategyError
            If the step reaches what has no value, such as an open file or a clock; it is named.
        """
        text = (digest_of(self.source, self.name), helpers_with(self.step))
        declared = (dict(self.params), {name: str(one) for name, one in self.inputs.items()})
        rules: tuple[Any, ...] = (self.constraint, self.lookback, self.scratch)
        if self.max_orders != DEFAULT_MAX_ORDERS:
            rules += (self.max_orders,)
        if self.cross_sectional:
            rules += ("cross_sectional", self.max_gross)
        return identity_of(self.name, self.step, text, declared, rules)

    def pinned(self) -> StrategySpec:
        """Return the same strategy for one run, during which nothing that the step reaches is changed."""
        return PinnedSpec(**{one.name: getattr(self, one.name) for one in fields(StrategySpec)})

    @property
    def answers_orders(self) -> bool:
        """Whether the step, or a plain function that it calls, may answer with an `Order`."""
        return isinstance(self.step, FunctionType) and reaches(self.step, _makes_order)

    @property
    def notes(self) -> frozenset[str]:
        """Which of `whatif.strategies.NOTES` the step, or a plain function that it calls, may read."""
        if not isinstance(self.step, FunctionType):
            return frozenset()
        return frozenset(NOTES) & frozenset().union(*(names_in(one.__code__) for one in followed(self.step)))

    @property
    def prints(self) -> bool:
        """Whether the step, or a plain function that it calls, prints: it is asked about each row once."""
        return isinstance(self.step, FunctionType) and reaches(self.step, lambda _, value: value is print)

    @property
    def defaults(self) -> dict[str, Value]:
        """The parameters' defaults."""
        return {name: param.default for name, param in self.params.items()}

    def validate(self, given: Mapping[str, object]) -> dict[str, Value]:
        """Return all parameters, typed and in declared order, defaults filled in.

        A parameter that is `same_as` another one has that one's value where its own is the default.

        Raises
        ------
        StrategyError
            Naming key, value and rule, if one is unknown, mistyped or out of bounds, or the
            constraint does not hold.
        """
        check_names(given, self.params, self.name)
        params = {
            name: param.check(given.get(name, param.default), f"strategy {self.name}: parameter {name!r}")
            for name, param in self.params.items()
        }
        for name, param in self.params.items():
            if param.same_as and params[name] == param.default:
                params[name] = params[param.same_as]
        if self.constraint and not holds(self.constraint, params):
            shown = ", ".join(f"{name}={value}" for name, value in params.items() if name in self.constraint)
            raise StrategyError(
                f"strategy {self.name}: {shown} breaks its rule {self.constraint}; change one of them"
            )
        return params

    def bound_inputs(self, params: Mapping[str, object]) -> dict[str, Expression]:
        """Return the inputs with all parameters replaced by their numbers."""
        return {name: expression.bind(params) for name, expression in self.inputs.items()}

    def external_inputs(self) -> frozenset[str]:
        """Return the names of series that must come from outside the bars."""
        return frozenset().union(*(expression.inputs for expression in self.inputs.values()))

    @property
    def needs(self) -> Needs:
        """What its inputs are made of beside the bars' own series."""
        return needs_of(self.inputs.values())

    def warmup(self, params: Mapping[str, object]) -> int:
        """Return the rows before the first one on which all inputs have values and the step may run."""
        needed = [expression.warmup() for expression in self.bound_inputs(params).values()]
        return max([self.lookback, *needed])

    def history_us(self, params: Mapping[str, object], bar_us: int) -> int:
        """Return about the trading time before all inputs have values, microseconds, on bars of `bar_us`."""
        needed = [expression.history_us(bar_us) for expression in self.bound_inputs(params).values()]
        return max([self.lookback * bar_us, *needed])


class PinnedSpec(StrategySpec):
    """A strategy whose step is looked at once, when it is first asked what that reaches; for one run."""

    @cached_property
    def digest(self) -> str:
        """As `StrategySpec.digest`."""
        return super().digest

    @cached_property
    def answers_orders(self) -> bool:
        """As `StrategySpec.answers_orders`."""
        return super().answers_orders

    @cached_property
    def notes(self) -> frozenset[str]:
        """As `StrategySpec.notes`."""
        return super().notes


def strategy(
    params: Mapping[str, Param] | None = None,
    inputs: Mapping[str, str] | None = None,
    constraint: str = "",
    lookback: int | None = None,
    scratch: int = 0,
    max_orders: int = DEFAULT_MAX_ORDERS,
    cross_sectional: bool = False,
    max_gross: float = 1.0,
) -> Callable[[Step], StrategySpec]:
    """Turn a step function into a strategy.

    Parameters
    ----------
    params : mapping of str to Param, optional
        Parameters, which the step reads as ``p.name``.
    inputs : mapping of str to str, optional
        Indicator expressions or names of series from outside, which the step reads as ``x.name``.
    constraint : str
        A rule between parameters, such as ``fast < slow``.
    lookback : int, optional
        Rows before `i` that the step may read, 1 if absent; of a cross-sectional step, timestamps of the
        window that come before it is first called, 0 if absent.
    scratch : int
        Values of its own that the step may keep in ``s.scratch``; of a cross-sectional step, for each symbol.
    max_orders : int
        Orders that may wait at a time, of a step that answers with more than market orders; one more ends
        the run with an error.
    cross_sectional : bool
        Whether the step is called once a timestamp for all symbols, see `StrategySpec`.
    max_gross : float
        The most that the absolute weights of one answer of such a step may sum to; more ends the run with an
        error.

    Raises
    ------
    StrategyError
        If the declaration contradicts itself.
    """
    declared = dict(params or {})
    before = lookback if lookback is not None else 0 if cross_sectional else 1
    expressions = {name: parse(text) for name, text in (inputs or {}).items()}

    def declare(step: Step) -> StrategySpec:
        name = getattr(step, "__name__", "step")
        _check_declaration(name, declared, expressions, before, scratch, max_orders)
        if cross_sectional:
            _check_across(name, expressions, max_gross)
        if constraint:
            check_constraint(constraint, declared)
        return StrategySpec(
            name=name,
            step=step,
            params=MappingProxyType(declared),
            inputs=MappingProxyType(expressions),
            constraint=constraint,
            lookback=before,
            scratch=scratch,
            source=source_of(step),
            max_orders=max_orders,
            cross_sectional=cross_sectional,
            max_gross=float(max_gross),
        )

    return declare


def _makes_order(function: FunctionType, value: Any) -> bool:
    """Return whether a function that reads a value may make an `Order` of it."""
    if any(value is one for one in ORDER_MAKERS):
        return True
    if value is not buy and value is not sell:
        return False
    code = function.__code__
    return joins_calls(code) or not ORDER_KEYWORDS.isdisjoint(keywords_of(code))


def _check_declaration(
    name: str,
    params: Mapping[str, Param],
    inputs: Mapping[str, Expression],
    lookback: int,
    scratch: int,
    max_orders: int,
) -> None:
    for key, param in params.items():
        if not isinstance(param, Param) or param.kind not in (bool, int, float, str):
            raise StrategyError(
                f"strategy {name}: parameter {key!r} = {param!r}; declare it as Param(default)"
            )
        param.check(param.default, f"strategy {name}: default of {key!r}")
        _check_same_as(name, key, params)
    for key, expression in inputs.items():
        if key in PRICE_FIELDS and str(expression) != key:
            raise StrategyError(f"strategy {name}: input {key!r} is already a series of the bars; rename it")
        for used in expression.parameters:
            if used not in params:
                raise IndicatorError(
                    f"strategy {name}: input {key!r} uses parameter {used!r}; "
                    + (nearest(used, params) if params else "the strategy declares none")
                )
    for key in (*params, *inputs):
        if not key.isidentifier() or key.startswith("_"):
            raise StrategyError(
                f"strategy {name}: {key!r} cannot be a name; use letters, digits and inner underscores"
            )
    if lookback < 0 or scratch < 0:
        raise StrategyError(f"strategy {name}: lookback {lookback} and scratch {scratch} must be at least 0")
    if not 1 <= max_orders <= LARGEST_MAX_ORDERS:
        raise StrategyError(
            f"strategy {name}: max_orders {max_orders} must be from 1 to {LARGEST_MAX_ORDERS}"
        )


def _check_across(name: str, inputs: Mapping[str, Expression], max_gross: float) -> None:
    if "has_bar" in inputs:
        raise StrategyError(f"strategy {name}: x.has_bar tells which symbols have a bar; rename the input")
    if not (isinstance(max_gross, (int, float)) and 0.0 < max_gross < float("inf")):
        raise StrategyError(f"strategy {name}: max_gross {max_gross!r} must be a finite number above 0")


def _check_same_as(name: str, key: str, params: Mapping[str, Param]) -> None:
    param = params[key]
    other = params.get(param.same_as)
    if param.same_as and (other is None or other.kind is not param.kind or other.same_as):
        raise StrategyError(
            f"strategy {name}: parameter {key!r} is the same as {param.same_as!r}, which must be a parameter "
            "of its type that stands for itself; name another"
        )
