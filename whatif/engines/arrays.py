"""What a step function is given: arrays and parameters by name."""

from __future__ import annotations

from collections import namedtuple
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Literal, TypeVar

import numpy as np

from whatif.domain import HERE, PRICE_FIELDS, Bars
from whatif.errors import EngineError, IndicatorError, WhatIfError
from whatif.indicators import ArrayCache, Call, Expression, Node, crossings, evaluate, get_indicator
from whatif.typing import BoolArray, FloatArray, IntArray

if TYPE_CHECKING:
    from whatif.strategies import StrategySpec

SHARED_BYTES = 16 * 1024 * 1024
"""Bytes of what one configuration alone uses, for one call: they should stay in the processor's cache."""

MAX_AT_ONCE = 10_000
"""Configurations of one call that have no arrays of their own."""

MAX_KNOWN_BYTES = 256 * 1024 * 1024
"""Bytes of arrays that are held for the configurations of a window, beside those that are kept for all."""

_Array = TypeVar("_Array", FloatArray, IntArray)


@lru_cache(maxsize=256)
def record_type(name: str, fields: tuple[str, ...]) -> Any:
    """Return the named tuple with these fields, the same one each time."""
    return namedtuple(name, fields)


def price_arrays(bars: Bars, stop: int) -> dict[str, FloatArray]:
    """Return the bars' own series by name, float64 arrays (stop,) that cannot be written to."""
    return {name: read_only(getattr(bars, name)[:stop]) for name in PRICE_FIELDS}


def calendar_numbers(ts: IntArray, unit: Literal["M", "D"]) -> FloatArray:
    """Return the calendar month or day (UTC) of each instant, counted from 1970, float64 array (n,)."""
    return read_only(ts.astype("datetime64[us]").astype(f"datetime64[{unit}]").astype(np.float64))


def step_arrays(
    spec: StrategySpec,
    params: Mapping[str, object],
    bars: Bars,
    stop: int,
    cache: ArrayCache | None,
    prices: Mapping[str, FloatArray] | None = None,
) -> Any:
    """Return the series that the step reads as ``x.name``: float64 arrays (stop,).

    They hold all history and end with the window, so that nothing after it can be read, and cannot
    be written to. `prices` are the bars' own series, where the caller has them already.

    Raises
    ------
    EngineError
        If the strategy needs a series that the bars do not carry.
    """
    # without a cache of the caller's, the inputs still share their parts
    cache = {} if cache is None else cache
    values = dict(price_arrays(bars, stop) if prices is None else prices)
    for name, expression in spec.bound_inputs(params).items():
        try:
            array = evaluate(expression, bars, cache)
        except IndicatorError as error:
            raise EngineError(f"strategy {spec.name}, input {name!r}: {error}") from error
        values[name] = read_only(array[:stop])
    return record_type("Arrays", tuple(values))(*values.values())


def leaving_rows(bars: Bars, stop: int, latency: int = 0) -> BoolArray | None:
    """Return on which rows a symbol is not to be held any more; None if it may be held on all.

    What is ordered on row t fills on row ``t + 1 + latency``, and to leave that takes as long again. So it is
    told on each row up to so many before one that is no member's of the universe, and nothing is held on
    such a row: the list of members, and when the next bar begins, are known before.

    Parameters
    ----------
    bars : Bars
        The symbol's.
    stop : int
        Row that the window ends before.
    latency : int
        Bars between decision and broker.

    Returns
    -------
    bool array (stop,) or None
    """
    if bars.member is None:
        return None
    before = np.concatenate(([0], np.cumsum(~bars.member[:stop])))
    until = np.minimum(np.arange(stop) + 2 + 2 * latency, stop)
    return np.asarray(before[until] > before[:stop])


def overlay_minutes(bars: Bars, to_close: IntArray, latency: int) -> IntArray:
    """Return the minutes to the session's close as overlays see them.

    They are the least there are where the symbol is not to be held: a rule that leaves a position before the
    close does so there, also if it is off.

    Parameters
    ----------
    bars, latency
        As `leaving_rows` takes them.
    to_close : int64 array (stop,)
        The minutes of the clock, which come back where all rows may be held.
    """
    leaving = leaving_rows(bars, len(to_close), latency)
    if leaving is None:
        return to_close
    return read_only(np.where(leaving, np.iinfo(np.int64).min, to_close))


def volatility_array(
    volatility: Expression | None, bars: Bars, stop: int, cache: ArrayCache | None
) -> FloatArray:
    """Return the volatility that overlays size by, float64 array (stop,); (0,) if there is none."""
    if volatility is None:
        return np.empty(0)
    return read_only(evaluate(volatility, bars, {} if cache is None else cache)[:stop])


class GridInputs:
    """Inputs of a strategy for many configurations, made once for each different choice of their parameters.

    What several configurations share is kept for later ones too, and what most of them have for themselves
    is not. That is told by all configurations that will be run.

    Parameters
    ----------
    spec, bars, stop
        The strategy, history, and the row that it ends before.
    cache : mutable mapping, optional
        Where arrays are kept that calls share.
    grid : sequence of mapping
        Parameters of all configurations that will be run; those of the first call if left out.
    """

    def __init__(
        self,
        spec: StrategySpec,
        bars: Bars,
        stop: int,
        cache: ArrayCache | None,
        grid: Sequence[Mapping[str, object]] = (),
    ) -> None:
        self._spec, self._bars, self._stop, self._grid = spec, bars, stop, grid
        self._choices: dict[tuple[str, ...], int] = {}
        self._cache: ArrayCache = {} if cache is None else cache
        self._known: dict[Any, dict[Any, tuple[int, FloatArray]]] = {}
        self._alive: list[FloatArray] = []
        self._made: dict[Node, dict[Any, int]] = {}
        self._bytes = 0

    def at_once(self, names: Sequence[str]) -> int:
        """Return how many configurations' own arrays fit into `SHARED_BYTES`, one at least.

        Of inputs that many share there are none, as long as all of them fit into `MAX_KNOWN_BYTES`. Of a
        crossing that is made just before a configuration runs, the two series that cross count.
        """
        made: dict[Node, tuple[str, ...]] = {}
        for node in (self._spec.inputs[name].node for name in names):
            crosses = _is_crossing(node) and not self._is_shared(_parameters(node))
            own = node.sources if isinstance(node, Call) and crosses else (node,)
            made |= {one: _parameters(one) for one in own}
        one_array = 8 * max(1, self._stop)
        shared = all(map(self._is_shared, made.values()))
        if shared and one_array * sum(map(self._different, made.values())) <= MAX_KNOWN_BYTES:
            return MAX_AT_ONCE
        return max(1, SHARED_BYTES // one_array)

    def addresses(
        self,
        many: Sequence[Mapping[str, object]],
        names: Sequence[str],
        crossed: dict[int, IntArray] | None = None,
    ) -> tuple[IntArray, BoolArray]:
        """Return where the inputs lie, `stop` values each, until the next call.

        Parameters
        ----------
        many : sequence of mapping
            Parameters of each of c configurations.
        names : sequence of str
            Which s inputs.
        crossed : dict of int to int64 array (c, 2), optional
            Written to: by the place of an input that is a crossing and differs from one configuration to
            another, where the two series lie. It is not made, and its address is any.

        Returns
        -------
        addresses : int64 array (c, s)
            Of each configuration's inputs.
        good : bool array (c,)
            False where one of them cannot be made, which says for itself why.
        """
        self._grid = self._grid or many
        self._alive.clear()
        self._made.clear()
        if self._bytes > MAX_KNOWN_BYTES:
            self._known.clear()
            self._bytes = 0
        chosen = _Chosen(many)
        found = np.zeros((len(many), len(names)), dtype=np.int64)
        for k, name in enumerate(names):
            node = self._spec.inputs[name].node
            if crossed is not None and _is_crossing(node) and not self._is_shared(_parameters(node)):
                assert isinstance(node, Call)
                crossed[k] = np.column_stack([self._of(source, chosen) for source in node.sources])
                found[:, k] = (crossed[k] != 0).all(axis=1)
            else:
                found[:, k] = self._of(node, chosen)
        return found, (found != 0).all(axis=1)

    def _of(self, node: Node, many: _Chosen) -> IntArray:
        """Return the addresses of an expression's values, (c,); 0 where they cannot be made."""
        names = _parameters(node)
        values = many.values(names)
        different = {value: k for k, value in enumerate(dict.fromkeys(values))}
        first = dict(zip(reversed(values), reversed(range(len(values))), strict=True))
        keep = self._is_shared(names)
        # of other bars than the rows', an expression is computed there as a whole
        kernel = None
        if isinstance(node, Call) and node.place == HERE:
            kernel = get_indicator(node.indicator).many
        if kernel is not None and not keep:
            assert isinstance(node, Call)
            own = _Chosen([many.params[first[value]] for value in different])
            made = self._made_at_once(node, kernel, own)
        else:
            chosen = {value: many.params[first[value]] for value in different}
            made = np.array(self._each(node, chosen, keep), dtype=np.int64)
        if len(different) == len(values):
            return made
        return made[np.fromiter(map(different.__getitem__, values), np.int64, len(values))]

    def _is_shared(self, names: tuple[str, ...]) -> bool:
        """Return whether configurations with the same values of these parameters are more than a few."""
        return 2 * self._different(names) <= len(self._grid) or len(self._grid) == 1

    def _different(self, names: tuple[str, ...]) -> int:
        """Return how many choices of these parameters all configurations make."""
        if names not in self._choices:
            self._choices[names] = len(set(_Chosen(self._grid).values(names)))
        return self._choices[names]

    def _made_at_once(self, node: Call, kernel: Callable[..., None], many: _Chosen) -> IntArray:
        sources = [self._of(source, many) for source in node.sources]
        good = np.logical_and.reduce([one != 0 for one in sources])
        made = np.empty((int(good.sum()), self._stop))
        kernel(*(one[good] for one in sources), made)
        self._alive.append(made)
        found = np.zeros(len(many.params), dtype=np.int64)
        found[good] = _address_of(made) + 8 * self._stop * np.arange(len(made))
        return found

    def _each(self, node: Node, chosen: Mapping[Any, Mapping[str, object]], keep: bool) -> list[int]:
        """Return the address of an expression for each choice, made of its parameters if not known.

        What is not kept for later calls is known in this one: a series may be an input, and cross another.
        """
        known, made = self._known.setdefault(node, {}), self._made.setdefault(node, {})
        found, expression = [], Expression(node)
        for value, params in chosen.items():
            if value not in known and value not in made:
                array = self._array(expression, params, keep)
                made[value] = 0 if array is None else _address_of(array)
                if array is not None and keep:
                    known[value] = _address_of(array), array
                    self._bytes += array.nbytes
            found.append(known[value][0] if value in known else made[value])
        return found

    def _array(self, expression: Expression, params: Mapping[str, object], keep: bool) -> FloatArray | None:
        """Return an expression's values, held until the next call; None if they cannot be made."""
        try:
            array = evaluate(expression.bind(params), self._bars, self._cache, keep)
        except WhatIfError:
            return None
        array = read_only(array[: self._stop])
        self._alive.append(array)
        return array


class _Chosen:
    """Parameters of configurations, and which choices of some of them they make."""

    def __init__(self, params: Sequence[Mapping[str, object]]) -> None:
        self.params = params
        self._values: dict[tuple[str, ...], list[Any]] = {}

    def values(self, names: tuple[str, ...]) -> list[Any]:
        """Return of each configuration what tells its choice of these parameters from others, with types."""
        if names not in self._values:
            columns = [[params.get(name) for params in self.params] for name in names]
            self._values[names] = (
                list(zip(*map(_typed, columns), strict=True)) if names else [()] * len(self.params)
            )
        return self._values[names]


def _typed(values: list[object]) -> list[Any]:
    """Return values, with their types where they are not all whole numbers: True, 1 and 1.0 are equal."""
    kinds = set(map(type, values))
    return [(type(value), value) for value in values] if kinds != {int} else values


@lru_cache(maxsize=1024)
def _parameters(node: Node) -> tuple[str, ...]:
    """Return the names of the parameters in an expression."""
    return tuple(sorted(Expression(node).parameters))


def _is_crossing(node: Node) -> bool:
    """Return whether an expression is a crossing of two series on the rows of the bars."""
    if not isinstance(node, Call) or node.place != HERE:
        return False
    return get_indicator(node.indicator).many is crossings


def addresses_of(arrays: Iterable[FloatArray | IntArray]) -> list[int]:
    """Return where the values of contiguous arrays, (n,) each, lie; whoever uses that keeps them alive."""
    return [_address_of(array) for array in arrays]


def _address_of(array: FloatArray | IntArray) -> int:
    return int(array.__array_interface__["data"][0])


def read_only(array: _Array) -> _Array:
    """Return a read-only, contiguous view: machine code is made for one kind of array.

    Parameters
    ----------
    array : float64 or int64 array (n,)
        Left as it is.

    Returns
    -------
    float64 or int64 array (n,)
        `array` itself if it is read-only and contiguous already, a view of a copy if it is not contiguous.
    """
    if not array.flags.writeable and array.flags.c_contiguous:
        return array
    view = np.ascontiguousarray(array).view()
    view.flags.writeable = False
    return view


def step_params(params: Mapping[str, object]) -> Any:
    """Return the parameters that the step reads as ``p.name``."""
    return record_type("Params", tuple(params))(*params.values())
