"""Indicator expressions such as ``sma(vwap, 20)`` as values."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import TypeAlias

from whatif.domain import PRICE_FIELDS
from whatif.errors import IndicatorError, nearest
from whatif.indicators.registry import Indicator, get_indicator

MAX_BOUND = 512
"""Expressions with their numbers put in that are kept: a sweep uses some again and again, most once."""


@dataclass(frozen=True)
class Series:
    """A series that the bars carry: a price, volume, or an input from outside."""

    name: str

    def __str__(self) -> str:
        """Return the name."""
        return self.name


@dataclass(frozen=True)
class Parameter:
    """A number that a strategy's parameter will supply."""

    name: str

    def __str__(self) -> str:
        """Return the name."""
        return self.name


@dataclass(frozen=True)
class Call:
    """An indicator applied to sources with its numbers."""

    indicator: str
    sources: tuple[Series | Call, ...]
    numbers: tuple[int | float | Parameter, ...]

    def __hash__(self) -> int:
        """Return the hash of its parts, worked out once: a sweep looks expressions up thousands of times."""
        return self._hash

    @cached_property
    def _hash(self) -> int:
        return hash((self.indicator, self.sources, self.numbers))

    def __str__(self) -> str:
        """Return the shortest way to write it: default sources such as a lone `close` are left out."""
        return self._text

    @cached_property
    def _text(self) -> str:
        indicator = get_indicator(self.indicator)
        omitted = indicator.may_omit_sources and self.sources == default_sources(indicator)
        sources = () if omitted else self.sources
        return f"{self.indicator}({', '.join(_text(part) for part in (*sources, *self.numbers))})"


Node: TypeAlias = Series | Call


def default_sources(indicator: Indicator) -> tuple[Series, ...]:
    """Return the sources of an indicator for which none is named."""
    return tuple(Series(name) for name in indicator.sources)


def _text(part: Node | Parameter | int | float) -> str:
    """Return a part of a call; 2.0 and 2 are one number, and written the same."""
    return str(int(part)) if isinstance(part, float) and part.is_integer() else str(part)


@dataclass(frozen=True)
class Expression:
    """A parsed expression; equal and hashable by its canonical text.

    Attributes
    ----------
    node : Series or Call
        The outermost series or indicator.
    """

    node: Node

    def __str__(self) -> str:
        """Return the canonical text."""
        return self.text

    @property
    def text(self) -> str:
        """The canonical text, such as ``sma(20)`` or ``crossover(sma(fast), sma(slow))``."""
        return str(self.node)

    @property
    def column(self) -> str:
        """The name of the series as a column, such as ``sma_20`` or ``sma_vwap_20``."""
        text = self.text.replace(", ", "_").replace("(", "_").replace(")", "")
        return text.replace(".", "p").replace("e-", "em").replace("e+", "e")

    @property
    def parameters(self) -> frozenset[str]:
        """Names of parameters that are not yet numbers."""
        return frozenset(
            number.name
            for call in _calls(self.node)
            for number in call.numbers
            if isinstance(number, Parameter)
        )

    @property
    def inputs(self) -> frozenset[str]:
        """Names of series that come from outside the bars."""
        return frozenset(name for name in _series(self.node) if name not in PRICE_FIELDS)

    def bind(self, params: Mapping[str, object]) -> Expression:
        """Return the expression with parameter names replaced by their numbers.

        Raises
        ------
        IndicatorError
            If a name is not among `params`, or its value breaks the rule of its place.
        """
        try:
            return _bound_to(self, *(params[name] for name in self._names))
        except (KeyError, TypeError):  # whatever is wrong with it, is said there
            return Expression(_bind(self.node, params))

    @cached_property
    def _names(self) -> tuple[str, ...]:
        return tuple(sorted(self.parameters))

    def warmup(self) -> int:
        """Return the number of rows before the first value; all parameters must be bound.

        Raises
        ------
        IndicatorError
            If a parameter is not bound.
        """
        return _warmup(self.node)


def _calls(node: Node) -> Iterator[Call]:
    if isinstance(node, Call):
        yield node
        for source in node.sources:
            yield from _calls(source)


def _series(node: Node) -> Iterator[str]:
    if isinstance(node, Series):
        yield node.name
    else:
        for source in node.sources:
            yield from _series(source)


@lru_cache(maxsize=MAX_BOUND, typed=True)
def _bound_to(expression: Expression, *values: object) -> Expression:
    """Return an expression with its parameters, by name in order, replaced by `values`."""
    return Expression(_bind(expression.node, dict(zip(expression._names, values, strict=True))))


def _bind(node: Node, params: Mapping[str, object]) -> Node:
    if isinstance(node, Series):
        return node
    sources = tuple(_bind(source, params) for source in node.sources)
    numbers = (_number(k, number, params, node) for k, number in enumerate(node.numbers))
    return _bound(node.indicator, sources, *numbers)


@lru_cache(maxsize=MAX_BOUND, typed=True)
def _bound(indicator: str, sources: tuple[Node, ...], *numbers: int | float) -> Call:
    """Return the call with these sources and numbers, the same each time: its text is made once."""
    return Call(indicator, sources, numbers)


def _number(
    index: int, number: int | float | Parameter, params: Mapping[str, object], call: Call
) -> int | float:
    if not isinstance(number, Parameter):
        return number
    if number.name not in params:
        remedy = nearest(number.name, params) if params else "the strategy declares no parameters"
        raise IndicatorError(f"{call}: parameter {number.name!r} is unknown; {remedy}")
    return get_indicator(call.indicator).number(index, params[number.name], f"{call}, {number.name}")


def _warmup(node: Node) -> int:
    if isinstance(node, Series):
        return 0
    for number in node.numbers:
        if isinstance(number, Parameter):
            raise IndicatorError(f"{node}: {number.name!r} has no value yet; bind the parameters first")
    own = get_indicator(node.indicator).warmup(*node.numbers)
    return own + max(_warmup(source) for source in node.sources)
