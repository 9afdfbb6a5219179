"""Indicator expressions such as ``sma(vwap, 20)``: parsed from text, as values, and evaluated on bars."""

from __future__ import annotations

import ast
import hashlib
import math
import re
from collections.abc import Hashable, Iterable, Iterator, Mapping, MutableMapping, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from itertools import accumulate
from keyword import iskeyword
from typing import Any, TypeAlias
from weakref import WeakKeyDictionary

import numpy as np

from whatif.domain import (
    DAY_US,
    HERE,
    PRICE_FIELDS,
    Bars,
    Place,
    broken_symbol,
    canonical_timeframe,
    timeframe_us,
)
from whatif.errors import IndicatorError, StudyError, nearest
from whatif.indicators.definition import Indicator
from whatif.indicators.elsewhere import EVERYONE, TIME_SERIES, Needs
from whatif.indicators.news import MAX_DAYS, NEWS_SERIES, is_news
from whatif.indicators.operators import COMPARISONS, NEGATED, OPERATORS, RANK
from whatif.indicators.registry import INDICATORS, get_indicator
from whatif.texts import shown
from whatif.typing import FloatArray

ArrayCache: TypeAlias = MutableMapping[Hashable, Any]
"""Arrays that configurations share; an entry keeps the bars it was computed from alive."""

MAX_LENGTH = 2_000
"""Longest expression, characters."""

MAX_DEPTH = 30
"""Indicators inside of each other."""

MAX_BOUND = 512
"""Expressions with their numbers put in that are kept: a sweep uses some again and again, most once."""


@dataclass(frozen=True)
class Series:
    """A series that the bars carry (a price, volume, or an input from outside), or bars of elsewhere do."""

    name: str
    place: Place = HERE

    def __str__(self) -> str:
        """Return the name, and where it is of: `SPY.close@1h`."""
        symbol, timeframe = self.place
        text = f"{_symbol_text(symbol)}.{self.name}" if symbol else self.name
        return f"{text}@{timeframe}" if timeframe else text


def _symbol_text(symbol: str) -> str:
    """Return a symbol as it stands in an expression: in quotes, unless it is made of Python's names."""
    plain = all(part.isidentifier() and not iskeyword(part) for part in symbol.split("."))
    return symbol if plain else repr(symbol)


@dataclass(frozen=True)
class Parameter:
    """A number that a strategy's parameter will supply."""

    name: str

    def __str__(self) -> str:
        """Return the name."""
        return self.name


@dataclass(frozen=True)
class Constant:
    """A number that series are added to, multiplied by and so on."""

    value: float

    def __str__(self) -> str:
        """Return the shortest way to write it."""
        return _text(self.value)

    @property
    def place(self) -> Place:
        """Where it is: it is the same everywhere."""
        return HERE


@dataclass(frozen=True)
class Call:
    """An indicator, or an operator, applied to sources with its numbers."""

    indicator: str
    sources: tuple[Series | Constant | Call, ...]
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
    def place(self) -> Place:
        """Where it is computed: where all of its series are; on the rows, if they are of several places."""
        if self.indicator == RANK:
            return HERE
        places = {source.place for source in self.sources if not isinstance(source, Constant)}
        return places.pop() if len(places) == 1 else HERE

    @cached_property
    def depth(self) -> int:
        """How many calls are inside of each other."""
        return 1 + max(source.depth if isinstance(source, Call) else 0 for source in self.sources)

    @cached_property
    def _text(self) -> str:
        if self.indicator in OPERATORS:
            return _arithmetic(self.indicator, self.sources)
        if self.indicator == RANK:
            return f"{RANK}({', '.join([str(self.sources[0]), *map(_symbol_text, self._named)])})"
        indicator = get_indicator(self.indicator)
        numbers, defaults = list(self.numbers), list(indicator.defaults)
        while defaults and numbers[-1] == defaults[-1]:
            numbers.pop()
            defaults.pop()
        omitted = indicator.may_omit_sources and self.sources == default_sources(indicator)
        # a name that comes first is a source, where there are arguments enough for sources
        needed = len(self.numbers) - len(indicator.defaults) + len(self.sources)
        taken_for_source = numbers and isinstance(numbers[0], Parameter) and len(numbers) >= needed
        sources = () if omitted and not taken_for_source else self.sources
        name, dot, part = self.indicator.partition(".")
        return f"{name}({', '.join(_text(part) for part in (*sources, *numbers))}){dot}{part}"

    @property
    def _named(self) -> list[str]:
        """The symbols that a rank is among, in order."""
        return [source.place.symbol for source in self.sources[1:] if not isinstance(source, Constant)]


Node: TypeAlias = Series | Constant | Call

_STRENGTH = {**dict.fromkeys(COMPARISONS, 0), "+": 1, "-": 1, "*": 2, "/": 2, NEGATED: 3}
"""How strongly operators bind."""


def _arithmetic(sign: str, sources: Sequence[Node]) -> str:
    """Return an operation as text, with those parentheses alone that it needs."""
    strength = _STRENGTH[sign]
    parts = []
    for k, source in enumerate(sources):
        own = _STRENGTH.get(source.indicator, 4) if isinstance(source, Call) else 4
        # of operators that bind alike the left one comes first; what is not so needs parentheses
        needs = own < strength or (own == strength and (k > 0 or sign == NEGATED or sign in COMPARISONS))
        parts.append(f"({source})" if needs else str(source))
    return f"-{parts[0]}" if sign == NEGATED else f" {sign} ".join(parts)


def default_sources(indicator: Indicator) -> tuple[Series, ...]:
    """Return the sources of an indicator for which none is named."""
    return tuple(Series(name) for name in indicator.sources)


def _text(part: Node | Parameter | int | float) -> str:
    """Return a part of a call; 2.0 and 2 are one number, and written the same."""
    if isinstance(part, float) and part.is_integer() and abs(part) < MAX_DIGITS:
        return str(int(part))
    return str(part)


MAX_DIGITS = 1e16
"""Whole numbers from which on the shortest way to write them has an exponent."""


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
        """The name of the series as a column, such as ``sma_20`` or ``sma_spy_close_20``."""
        if any(call.indicator in OPERATORS for call in _calls(self.node)):
            return self._arithmetic_column
        text = re.sub(r"(?<=[( ])-(?=\d)", "m", self.text.replace("()", ""))
        text = text.replace(", ", "_").replace(")", "").replace("'", "").replace('"', "")
        text = re.sub(r"(?<=\d)\.(?=\d)", "p", text).replace("e-", "em").replace("e+", "e")
        text = re.sub(r"\W", "_", text, flags=re.ASCII).lower()
        return text if text[0].isalpha() else f"of_{text}"

    @property
    def _arithmetic_column(self) -> str:
        """A name that no other expression has: words for signs, and digits for what words leave open."""
        text = self.text
        for sign, word in _WORDS:
            text = text.replace(sign, word)
        words = re.sub(r"\W+", "_", text.lower(), flags=re.ASCII).strip("_")[:COLUMN_WORDS]
        return f"of_{words}_{hashlib.sha256(self.text.encode()).hexdigest()[:8]}"

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
        """Names of series that come from outside: neither the bars' own, nor made of time or news."""
        own = frozenset(one.name for one in _series(self.node) if one.place == HERE)
        return frozenset(name for name in own.difference(PRICE_FIELDS, TIME_SERIES) if not is_news(name))

    @property
    def needs(self) -> Needs:
        """What it is made of beside the bars' own series."""
        series = frozenset(_series(self.node))
        here = frozenset(one.name for one in series if one.place == HERE)
        places = frozenset(one.place for one in series) - {HERE}
        everyone = any(call.indicator == RANK and len(call.sources) == 1 for call in _calls(self.node))
        return Needs(here.intersection(TIME_SERIES), places, frozenset(filter(is_news, here)), everyone)

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
        """Return the number of rows before the first value, at least; all parameters must be bound.

        It is the number where all series are the bars' own. Of longer bars each counts as one row, though
        it lasts for several, and those of another symbol do not count.

        Raises
        ------
        IndicatorError
            If a parameter is not bound.
        """
        return _warmup(self.node)

    def history_us(self, bar_us: int) -> int:
        """Return the trading time before its first value, microseconds, on rows of `bar_us`.

        A session counts as `SESSION_US`. All parameters must be bound.
        """
        return _history(self.node, bar_us)


_WORDS = (
    *((" >= ", " atleast "), (" <= ", " atmost "), (" > ", " above "), (" < ", " below ")),
    *((" == ", " equals "), (" != ", " differs "), ("+", "plus"), (" - ", " minus "), ("-", "minus ")),
    *(("*", "times"), ("/", "over")),
)
"""What stands for signs in the name of a column."""

COLUMN_WORDS = 60
"""Characters of an arithmetic expression that stand in the name of its column."""

SESSION_US = DAY_US // 3
"""Trading time that a session is taken for."""


def needs_of(expressions: Iterable[Expression]) -> Needs:
    """Return what some expressions are made of beside the bars' own series."""
    needs = [expression.needs for expression in expressions]
    return Needs(
        frozenset().union(*(one.times for one in needs)),
        frozenset().union(*(one.places for one in needs)),
        frozenset().union(*(one.news for one in needs)),
        any(one.everyone for one in needs),
    )


def _calls(node: Node) -> Iterator[Call]:
    if isinstance(node, Call):
        yield node
        for source in node.sources:
            yield from _calls(source)


def _series(node: Node) -> Iterator[Series]:
    if isinstance(node, Series):
        yield node
    elif isinstance(node, Call):
        for source in node.sources:
            yield from _series(source)


@lru_cache(maxsize=MAX_BOUND, typed=True)
def _bound_to(expression: Expression, *values: object) -> Expression:
    """Return an expression with its parameters, by name in order, replaced by `values`."""
    return Expression(_bind(expression.node, dict(zip(expression._names, values, strict=True))))


def _bind(node: Node, params: Mapping[str, object]) -> Node:
    if not isinstance(node, Call):
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
    if not isinstance(node, Call):
        return 0
    for number in node.numbers:
        if isinstance(number, Parameter):
            raise IndicatorError(f"{node}: {number.name!r} has no value yet; bind the parameters first")
    own = get_indicator(node.indicator).warmup(*node.numbers)
    rows = own + max(_warmup(source) for source in node.sources)
    return 0 if node.place.symbol else rows


def _history(node: Node, bar_us: int) -> int:
    if isinstance(node, Constant):
        return 0
    length = timeframe_us(node.place.timeframe) if node.place.timeframe else bar_us
    length = SESSION_US if length == DAY_US else length
    if isinstance(node, Series):
        return length
    own = get_indicator(node.indicator).warmup(*node.numbers)
    return own * length + max(_history(source, bar_us) for source in node.sources)


@lru_cache(maxsize=4096)
def parse(text: str) -> Expression:
    """Parse an indicator expression.

    Parameters
    ----------
    text : str
        A series (``vwap``), an indicator of series and numbers (``sma(vwap, 20)``,
        ``crossover(sma(fast), sma(slow))``), one of its outputs (``bbands(20, 2).upper``), or arithmetic
        and comparison of them with ``+ - * / > >= < <= == !=``, parentheses and numbers
        (``(close - sma(20)) / atr(14)``), or the rank of one among all symbols, or those named
        (``rank(roc(20))``, ``rank(roc(20), SPY, IBM)``). In the place of a series, a name is a series of
        the bars, of time, or an input from outside; ``sentiment(5)`` is one of news, ``close@1h`` of
        longer bars, ``SPY.close`` of another symbol, ``'BTC-USD'.close@1d`` of both. In the place of a
        number, a name is a strategy's parameter.

    Returns
    -------
    Expression

    Raises
    ------
    IndicatorError
        If the text is no such expression, is too long or nested too deep, an indicator is unknown, a
        period is not a positive integer, or a factor not a number of at least 0.
    """
    _check_size(text)
    try:
        return Expression(
            _checked(_parsed(ast.parse(_as_python(text.strip()), mode="eval").body, text), text)
        )
    except (SyntaxError, ValueError, AttributeError, ArithmeticError, RecursionError, MemoryError) as error:
        raise IndicatorError(
            f"{shown(text)} is not an indicator expression; write for instance sma(20)"
        ) from error


_TIMEFRAME = re.compile(r"""('[^']*'|"[^"]*")|@\s*(\w*)""")
"""What a timeframe is written as, outside of quotes."""


def _as_python(text: str) -> str:
    """Return an expression that Python can parse: ``close['@1h']`` for ``close@1h``."""
    return _TIMEFRAME.sub(lambda found: found[1] or f"['@{found[2]}']", text)


def _as_written(tree: ast.expr) -> str:
    return re.sub(r"\['(@\w*)'\]", r"\1", ast.unparse(tree))


def _check_size(text: str) -> None:
    if len(text) > MAX_LENGTH:
        raise IndicatorError(
            f"{shown(text)} has {len(text):,} characters, more than {MAX_LENGTH:,}: name a shorter expression"
        )
    depth = max(accumulate(("([{".find(c) >= 0) - (")]}".find(c) >= 0) for c in text), default=0)
    if depth > MAX_DEPTH:
        raise IndicatorError(
            f"{shown(text)} nests {depth} levels deep, more than {MAX_DEPTH}: name a shorter expression"
        )


def _checked(node: Node, text: str) -> Node:
    """Return what stands where a series has to, which a number is not.

    Raises
    ------
    IndicatorError
        If it is a number, or has too many operators and indicators inside of each other.
    """
    if isinstance(node, Constant):
        raise IndicatorError(
            f"{shown(text)}: {node} is a number, and a series has to stand there: name one, as in close * 2"
        )
    if isinstance(node, Call) and node.depth > MAX_OPERATIONS:
        raise IndicatorError(
            f"{shown(text)} has {node.depth} operators and indicators inside of each other, more than "
            f"{MAX_OPERATIONS}: write a shorter expression"
        )
    return node


MAX_OPERATIONS = 100
"""Operators and indicators inside of each other: a sum of so many terms, for instance."""

_SIGNS: Mapping[type[ast.operator], str] = {ast.Add: "+", ast.Sub: "-", ast.Mult: "*", ast.Div: "/"}


_COMPARED: Mapping[type[ast.cmpop], str] = dict(
    zip((ast.GtE, ast.LtE, ast.Gt, ast.Lt, ast.Eq, ast.NotEq), COMPARISONS, strict=True)
)


def _parsed_operation(tree: ast.BinOp | ast.UnaryOp | ast.Compare, text: str) -> Node:
    """Return arithmetic or a comparison; of numbers alone, the number that comes of it."""
    if isinstance(tree, ast.Compare):
        sign = _COMPARED.get(type(tree.ops[0]), "") if len(tree.ops) == 1 else ""
        sources = [_parsed_operand(part, text) for part in (tree.left, *tree.comparators)] if sign else []
    elif isinstance(tree, ast.UnaryOp):
        sign = NEGATED if isinstance(tree.op, ast.USub) else ""
        sources = [_parsed_operand(tree.operand, text)] if sign else []
    else:
        sign = _SIGNS.get(type(tree.op), "")
        sources = [_parsed_operand(part, text) for part in (tree.left, tree.right)] if sign else []
    if not sign:
        raise IndicatorError(
            f"{shown(text)}: {_as_written(tree)!r} is no arithmetic of series: write + - * / and a minus "
            "before a series, with parentheses, and one comparison of two: > >= < <= == !="
        )
    numbers = [source.value for source in sources if isinstance(source, Constant)]
    if len(numbers) < len(sources):
        return Call(sign, tuple(sources), ())
    value = float(get_indicator(sign).kernel(*(np.float64(number) for number in numbers)))
    if not math.isfinite(value):
        raise IndicatorError(
            f"{shown(text)}: {_as_written(tree)!r} is no finite number: leave it out, or write another"
        )
    return Constant(value + 0.0)


def _parsed_operand(tree: ast.expr, text: str) -> Node:
    """Return an operand: what stands for a series, or a number."""
    if isinstance(tree, ast.Constant) and type(tree.value) in (int, float):
        value = float(tree.value)  # type: ignore[arg-type]
        if not math.isfinite(value):
            raise IndicatorError(f"{shown(text)}: a number in it is too large: write one below 1.7e308")
        return Constant(value)
    return _parsed(tree, text)


def _parsed(tree: ast.expr, text: str) -> Node:
    if isinstance(tree, (ast.BinOp, ast.UnaryOp, ast.Compare)):
        return _parsed_operation(tree, text)
    if isinstance(tree, ast.BoolOp):
        raise IndicatorError(
            f"{shown(text)}: 'and' and 'or' join no series: multiply conditions where both have to hold, as "
            "in (close > open) * (volume > 0), and add them where one has"
        )
    if isinstance(tree, ast.Name):
        return Series(tree.id)
    if isinstance(tree, ast.Call) and isinstance(tree.func, ast.Name) and tree.func.id in NEWS_SERIES:
        return _parsed_news(tree, tree.func.id, text)
    if isinstance(tree, ast.Call) and isinstance(tree.func, ast.Name) and tree.func.id == RANK:
        return _parsed_rank(tree, text)
    if isinstance(tree, ast.Call) and isinstance(tree.func, ast.Name):
        return _parsed_call(tree, get_indicator(tree.func.id), text)
    if isinstance(tree, ast.Subscript) and (found := _timeframe(tree, text)):
        return _parsed_elsewhere(tree.value, found, text)
    if isinstance(tree, ast.Attribute) and (whole := _several(tree.value)):
        return _parsed_call(tree.value, whole, text, tree.attr)
    if isinstance(tree, ast.Attribute):
        return _parsed_elsewhere(tree, "", text)
    if isinstance(tree, ast.Constant) and type(tree.value) in (int, float):
        _checked(_parsed_operand(tree, text), text)
    raise IndicatorError(
        f"{text!r}: {_as_written(tree)!r} is neither a series nor an indicator; "
        "write for instance sma(vwap, 20)"
    )


def _several(tree: ast.expr) -> Indicator | None:
    """Return the indicator of several outputs that is called; None where something else stands."""
    if not (isinstance(tree, ast.Call) and isinstance(tree.func, ast.Name)) or tree.func.id in NEWS_SERIES:
        return None
    found = get_indicator(tree.func.id)
    return found if found.parts else None


def _timeframe(tree: ast.Subscript, text: str) -> str:
    """Return the timeframe that is written behind a series; "" where something else is."""
    written = tree.slice.value if isinstance(tree.slice, ast.Constant) else None
    if not isinstance(written, str) or not written.startswith("@"):
        return ""
    try:
        return canonical_timeframe(written[1:])
    except StudyError as error:
        raise IndicatorError(f"{shown(text)}: {written}: {error}") from error


def _parsed_elsewhere(tree: ast.expr, timeframe: str, text: str) -> Series:
    if isinstance(tree, ast.Attribute):
        _check_part(tree, text)
        name, symbol = tree.attr, _symbol(tree.value, text)
    elif isinstance(tree, ast.Name):
        name, symbol = tree.id, ""
    else:
        raise IndicatorError(
            f"{shown(text)}: @{timeframe} stands behind {_as_written(tree)!r}; it belongs behind the name of "
            f"a series, as in sma(close@{timeframe}, 20)"
        )
    if name not in PRICE_FIELDS:
        whose = symbol or f"{timeframe} bars"
        raise IndicatorError(
            f"{shown(text)}: there is no series {name!r} of {whose}; {nearest(name, PRICE_FIELDS)}"
        )
    return Series(name, Place(symbol, timeframe))


def _check_part(tree: ast.Attribute, text: str) -> None:
    """Refuse an output of an indicator that has one alone, or without its numbers."""
    of = tree.value
    if isinstance(of, ast.Attribute) and _several(of.value):
        of = of.value
    if isinstance(of, ast.Call) and isinstance(of.func, ast.Name):
        raise IndicatorError(
            f"{shown(text)}: {_as_written(tree.value)} is one series and has no output {tree.attr!r}: "
            "leave it out"
        )
    whole = INDICATORS.get(of.id) if isinstance(of, ast.Name) else None
    if whole is not None and tree.attr in whole.parts:
        raise IndicatorError(
            f"{shown(text)}: {whole.name} is an indicator: give its parameters, as in "
            f"{whole.shown.split('; ')[whole.parts.index(tree.attr)]}"
        )


def _symbol(tree: ast.expr, text: str) -> str:
    """Return the symbol that stands before a series: names with dots between them, or a text in quotes."""
    parts: list[str] = []
    while isinstance(tree, ast.Attribute):
        parts.append(tree.attr)
        tree = tree.value
    if isinstance(tree, ast.Name):
        symbol = ".".join([tree.id, *reversed(parts)])
    elif isinstance(tree, ast.Constant) and isinstance(tree.value, str) and not parts:
        symbol = tree.value
    else:
        raise IndicatorError(
            f"{shown(text)}: a symbol is a name or a text in quotes: write for instance SPY.close or "
            "'BTC-USD'.close"
        )
    if broken_symbol(symbol):
        raise IndicatorError(f"{shown(text)}: the symbol {shown(symbol)} {broken_symbol(symbol)}")
    return symbol


def _parsed_news(tree: ast.Call, name: str, text: str) -> Series:
    """Return a series of news: its name and so many days, as a series of the bars."""
    days = tree.args[0].value if len(tree.args) == 1 and isinstance(tree.args[0], ast.Constant) else None
    if tree.keywords or type(days) is not int or not 1 <= days <= MAX_DAYS:
        raise IndicatorError(
            f"{shown(text)}: {_as_written(tree)!r} does not fit; write {name}(days), a whole number from 1 "
            f"to {MAX_DAYS:,}, as in {name}(5)"
        )
    return Series(f"{name}({days})")


def _parsed_rank(tree: ast.Call, text: str) -> Call:
    """Return the rank of a series among the same of all symbols, or of some, each named once and in order."""
    if tree.keywords or not tree.args:
        raise IndicatorError(
            f"{shown(text)}: {_as_written(tree)!r} does not fit; write {get_indicator(RANK).usage}, as in "
            f"{RANK}(roc(20), SPY, IBM)"
        )
    own = _checked(_parsed(tree.args[0], text), text)
    for series in _series(own):
        if series.name not in PRICE_FIELDS or series.place.symbol:
            raise IndicatorError(
                f"{shown(text)}: {series} is not the same for each symbol: {RANK} takes what is made of "
                f"{', '.join(PRICE_FIELDS)}, such as {RANK}(roc(20), SPY, IBM)"
            )
    if any(call.indicator == RANK for call in _calls(own)):
        raise IndicatorError(
            f"{shown(text)}: {own} is a {RANK} already: {RANK} takes what is made of one symbol's bars, such "
            f"as {RANK}(roc(20))"
        )
    named = sorted({_symbol(one, text) for one in tree.args[1:]})
    return Call(RANK, (own, *(_moved(own, symbol) for symbol in named)), ())


def _moved(node: Node, symbol: str) -> Node:
    """Return what is made of this symbol's bars as the same of another one's."""
    if isinstance(node, Series):
        return Series(node.name, Place(symbol, node.place.timeframe))
    if isinstance(node, Constant):
        return node
    return Call(node.indicator, tuple(_moved(source, symbol) for source in node.sources), node.numbers)


def _parsed_call(tree: ast.expr, indicator: Indicator, text: str, part: str = "") -> Call:
    assert isinstance(tree, ast.Call)
    given, sources = _named_in_place(tree, indicator, text), len(indicator.sources)
    numbers, optional = len(indicator.parameters), len(indicator.defaults)
    bare = indicator.may_omit_sources and numbers - optional <= len(given) <= numbers
    named = numbers - optional + sources <= len(given) <= numbers + sources
    if not (bare or named):
        raise _unfit(tree, indicator, text)
    if indicator.parts and not part:
        raise IndicatorError(
            f"{text!r}: {_as_written(tree)!r} has several outputs, {', '.join(indicator.parts)}: name one, "
            f"as in {_as_written(tree)}.{indicator.parts[0]}"
        )
    # where both would do, what begins with a number has no sources
    count = 0 if bare and not (named and not _is_number(given[0])) else sources
    of = indicator.part(part) if part else indicator
    found = tuple(_parsed_number(of, k, arg, text) for k, arg in enumerate(given[count:]))
    return Call(
        of.name,
        _parsed_sources(given[:count], of, text) if count else default_sources(of),
        (*found, *of.defaults[len(found) - numbers + optional :]),
    )


def _unfit(tree: ast.Call, indicator: Indicator, text: str) -> IndicatorError:
    return IndicatorError(f"{text!r}: {_as_written(tree)!r} does not fit; write {indicator.usage}")


def _named_in_place(tree: ast.Call, indicator: Indicator, text: str) -> list[ast.expr]:
    """Return the arguments of a call, those that are named in their places: sources, then all numbers."""
    if not tree.keywords:
        return tree.args
    named = {str(one.arg): one.value for one in tree.keywords}
    for wrong in sorted(set(named) - set(indicator.parameters)):
        remedy = nearest(wrong, indicator.parameters) if indicator.parameters else "leave it out"
        raise IndicatorError(f"{text!r}: {indicator.name} has no number {wrong!r}: {remedy}")
    counts = [len(indicator.sources)] if not (tree.args and _is_number(tree.args[0])) else []
    for count in (*counts, *([0] if indicator.may_omit_sources else [])):
        first = dict(zip(indicator.parameters, tree.args[count:], strict=False))
        known = {name: ast.Constant(indicator.default(name)) for name in indicator.parameters} | first | named
        whole = all(not isinstance(one, ast.Constant) or one.value is not None for one in known.values())
        apart = len(first) == len(tree.args) - count and len(first) + len(tree.keywords) == len(
            {**first, **named}
        )
        if whole and apart and not (count == 0 and _is_series(tree.args)):
            sources = tree.args[:count] or [ast.Name(name) for name in indicator.sources]
            return [*sources, *(known[name] for name in indicator.parameters)]
    raise _unfit(tree, indicator, text)


def _is_series(given: Sequence[ast.expr]) -> bool:
    return bool(given) and isinstance(given[0], ast.Name) and given[0].id in PRICE_FIELDS


def _is_number(tree: ast.expr) -> bool:
    inner = tree.operand if isinstance(tree, ast.UnaryOp) else tree
    return isinstance(inner, ast.Constant)


def _parsed_sources(given: Sequence[ast.expr], indicator: Indicator, text: str) -> tuple[Node, ...]:
    """Return what stands where series do; numbers too where the indicator takes them, but not alone."""
    if not indicator.constants:
        return tuple(_checked(_parsed(one, text), text) for one in given)
    found = tuple(_parsed_operand(one, text) for one in given)
    if all(isinstance(one, Constant) for one in found):
        _checked(found[0], text)
    return tuple(one if isinstance(one, Constant) else _checked(one, text) for one in found)


def _parsed_number(indicator: Indicator, index: int, tree: ast.expr, text: str) -> int | float | Parameter:
    if isinstance(tree, ast.Name):
        return Parameter(tree.id)
    try:
        value = ast.literal_eval(tree)
    except ValueError:
        value = _as_written(tree)
    return indicator.number(index, value, text)


def evaluate(
    expression: Expression, bars: Bars, cache: ArrayCache | None = None, keep: bool = True
) -> FloatArray:
    """Compute an expression on bars.

    Parameters
    ----------
    expression : Expression
        With all its parameters bound.
    bars : Bars
        Bars of one symbol, n rows, and the inputs the expression names.
    cache : mutable mapping, optional
        Where the arrays of the expression and of its parts are kept, for these very bars.
    keep : bool
        Whether the expression's own array is kept; those of its parts are.

    Returns
    -------
    float64 array (n,)
        Read-only where it is a series of the bars itself. NaN until warm.

    Notes
    -----
    *Timing*: row t depends on bars up to t only; of bars from elsewhere, on those that have ended when
    bar t has. What is made of one place alone is computed on its bars, and then put on the rows.

    Raises
    ------
    IndicatorError
        If a series is not among the bars' own or their inputs, bars of elsewhere are not joined to them, or
        a parameter is not bound.
    """
    return _evaluate(expression.node, bars, {} if cache is None else cache, keep)


def _evaluate(node: Node, bars: Bars, cache: ArrayCache, keep: bool = True) -> FloatArray:
    if isinstance(node, Constant):
        return np.full(len(bars), node.value)
    if isinstance(node, Series) and node.place == HERE:
        return _array_of(node.name, bars)
    key = (id(bars), str(node))
    found = cache.get(key)
    if found is not None:
        array: FloatArray = found[1]
        return array
    if isinstance(node, Call) and node.place == HERE:
        array = _apply(node, bars, cache)
    else:
        array = _spread(node, bars, cache, keep)
    if keep:
        cache[key] = (bars, array)
    return array


def _spread(node: Node, bars: Bars, cache: ArrayCache, keep: bool) -> FloatArray:
    """Compute what is made of one other place on the bars of that place, and put it on the rows."""
    joined = bars.joined.get(node.place)
    if joined is None:
        raise IndicatorError(
            f"{bars.symbol}: {node} needs other bars, which are not joined to these; give the expression to "
            "whatif.features, or to a strategy's inputs"
        )
    if not len(joined.bars):
        return joined.spread(np.empty(0))
    array = joined.spread(_evaluate(_there(node), joined.bars, cache, keep))
    array.flags.writeable = False
    return array


@lru_cache(maxsize=MAX_BOUND)
def _there(node: Node) -> Node:
    """Return what is made of one other place as an expression of the bars of that place."""
    if isinstance(node, Series):
        return Series(node.name)
    if isinstance(node, Constant):
        return node
    return _bound(node.indicator, tuple(_there(source) for source in node.sources), *node.numbers)


def _apply(node: Call, bars: Bars, cache: ArrayCache) -> FloatArray:
    for number in node.numbers:
        if isinstance(number, Parameter):
            raise IndicatorError(f"{node}: {number.name!r} has no value yet; bind the parameters first")
    sources = [np.ascontiguousarray(_evaluate(source, bars, cache)) for source in node.sources]
    if node.indicator == RANK and len(sources) == 1:
        sources += _of_everyone(node, sources[0], bars)
    name, dot, part = node.indicator.partition(".")
    if not dot:
        array = get_indicator(name).kernel(*sources, *node.numbers)
        array.flags.writeable = False
        return array
    whole = get_indicator(name)
    key = (id(bars), str(node).removesuffix(f".{part}"))
    if key not in cache:
        made = whole.kernel(*sources, *node.numbers)
        made.flags.writeable = False
        cache[key] = (bars, made)
    row: FloatArray = cache[key][1][whole.parts.index(part)]
    return row


def _of_everyone(node: Call, own: FloatArray, bars: Bars) -> list[FloatArray]:
    """Return the source of a rank on the bars of each symbol, this one among them, on the rows; (n,) each."""
    if Place(bars.symbol, EVERYONE) not in bars.joined:
        raise IndicatorError(
            f"{bars.symbol}: {node} is among all symbols, whose bars are not joined to these; give the "
            "expression to whatif.features, or to a strategy's inputs"
        )
    there = {place.symbol: one for place, one in bars.joined.items() if place.timeframe == EVERYONE}
    return [
        own if symbol == bars.symbol else one.spread(_known(node.sources[0], one.bars))
        for symbol, one in there.items()
    ]


_VALUES: WeakKeyDictionary[Bars, dict[str, FloatArray]] = WeakKeyDictionary()
"""What ranks are made of, by the bars of a symbol: each of many symbols is ranked among the same."""

MAX_VALUES = 32 * 1024 * 1024
"""Numbers that are kept of it."""


def _known(node: Node, bars: Bars) -> FloatArray:
    """Return an expression's values on a symbol's own bars, (m,), computed once as long as these are kept."""
    text = str(node)
    found = _VALUES.get(bars, {}).get(text)
    if found is None:
        found = np.ascontiguousarray(_evaluate(node, bars, {}))
        if len(found) + sum(len(one) for kept in _VALUES.values() for one in kept.values()) > MAX_VALUES:
            _VALUES.clear()
        _VALUES.setdefault(bars, {})[text] = found
    return found


def _array_of(name: str, bars: Bars) -> FloatArray:
    if name in PRICE_FIELDS:
        array: FloatArray = getattr(bars, name)
        return array
    if name not in bars.inputs and name in INDICATORS:
        raise IndicatorError(
            f"{bars.symbol}: {name} is an indicator: give its parameters, as in "
            f"{INDICATORS[name].shown.partition(';')[0]}"
        )
    if name not in bars.inputs:
        raise IndicatorError(
            f"{bars.symbol}: there is no series {name!r}; {nearest(name, [*PRICE_FIELDS, *bars.inputs])}"
        )
    return bars.inputs[name]
