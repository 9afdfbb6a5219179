"""What a step function is given: arrays and parameters by name."""

from __future__ import annotations

from collections import namedtuple
from collections.abc import Container, Iterable, Iterator, Mapping, Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

from whatif.domain import PRICE_FIELDS, Bars
from whatif.errors import EngineError, IndicatorError
from whatif.indicators import ArrayCache, Expression, evaluate
from whatif.typing import FloatArray, IntArray

if TYPE_CHECKING:
    from whatif.strategies import StrategySpec

MINUTE_US = 60_000_000

SHARED_BYTES = 4 * 1024 * 1024
"""Bytes of what one configuration alone uses, for one call: they should stay in the processor's cache."""

_Array = TypeVar("_Array", FloatArray, IntArray)


@lru_cache(maxsize=256)
def record_type(name: str, fields: tuple[str, ...]) -> Any:
    """Return the named tuple with these fields, the same one each time."""
    return namedtuple(name, fields)


def price_arrays(bars: Bars, stop: int) -> dict[str, FloatArray]:
    """Return the bars' own series by name, float64 arrays (stop,) that cannot be written to."""
    return {name: read_only(getattr(bars, name)[:stop]) for name in PRICE_FIELDS}


def step_arrays(
    spec: StrategySpec,
    params: Mapping[str, object],
    bars: Bars,
    stop: int,
    cache: ArrayCache | None,
    once: Container[str] = (),
    bound: Mapping[str, Expression] | None = None,
    prices: Mapping[str, FloatArray] | None = None,
) -> Any:
    """Return the series that the step reads as ``x.name``: float64 arrays (stop,).

    They hold all history and end with the window, so that nothing after it can be read, and cannot
    be written to. Inputs whose text is in `once` are not kept in the cache. `bound` are the inputs
    with the parameters put in, and `prices` the bars' own series, where the caller has them already.

    Raises
    ------
    EngineError
        If the strategy needs a series that the bars do not carry.
    """
    # without a cache of the caller's, the inputs still share their parts
    cache = {} if cache is None else cache
    values = dict(price_arrays(bars, stop) if prices is None else prices)
    for name, expression in (spec.bound_inputs(params) if bound is None else bound).items():
        try:
            array = evaluate(expression, bars, cache, not once or str(expression) not in once)
        except IndicatorError as error:
            raise EngineError(f"strategy {spec.name}, input {name!r}: {error}") from error
        values[name] = read_only(array[:stop])
    return record_type("Arrays", tuple(values))(*values.values())


class SharedArrays:
    """Arrays of a strategy's inputs for the configurations of one call, kept alive for as long as that takes.

    Parameters
    ----------
    spec, bars, stop
        The strategy, history, and the row that it ends before.
    cache : mutable mapping, optional
        Where arrays are kept that calls share.
    once : container of str
        Inputs, by their text, that one configuration alone uses: they are not kept there.
    """

    def __init__(
        self, spec: StrategySpec, bars: Bars, stop: int, cache: ArrayCache | None, once: Container[str]
    ) -> None:
        self._spec, self._bars, self._stop = spec, bars, stop
        self._cache: ArrayCache = {} if cache is None else cache
        self._once = once
        # by the expression's place in memory, which is its own for as long as it is kept here
        self._known: dict[int, tuple[int, FloatArray, Expression]] = {}
        self._alone = 0

    @property
    def is_full(self) -> bool:
        """Whether what one configuration alone uses fills the room."""
        return self._alone >= SHARED_BYTES

    def clear(self) -> None:
        """Let go of all arrays."""
        self._known.clear()
        self._alone = 0

    def addresses(
        self, params: Mapping[str, object], bound: Mapping[str, Expression] | None, names: Sequence[str]
    ) -> Iterator[int]:
        """Yield where the inputs of these names lie, `stop` values each.

        Parameters
        ----------
        params : mapping
            Parameters of a configuration.
        bound : mapping of str to Expression, optional
            The inputs with the parameters put in, where they are known already.
        names : sequence of str
            Which of them.

        Raises
        ------
        EngineError
            If the bars do not carry a series that is needed.
        """
        bound = self._spec.bound_inputs(params) if bound is None else bound
        for name in names:
            expression = bound[name]
            found = self._known.get(id(expression))
            yield self._added(name, expression) if found is None else found[0]

    def _added(self, name: str, expression: Expression) -> int:
        alone = bool(self._once) and str(expression) in self._once
        try:
            array = evaluate(expression, self._bars, self._cache, not alone)
        except IndicatorError as error:
            raise EngineError(f"strategy {self._spec.name}, input {name!r}: {error}") from error
        array = read_only(array[: self._stop])
        self._alone += array.nbytes if alone else 0
        self._known[id(expression)] = _address_of(array), array, expression
        return self._known[id(expression)][0]


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


def session_minutes(bars: Bars) -> tuple[IntArray, IntArray]:
    """Return whole minutes since the session's open, and until its close, at each bar's start.

    Returns
    -------
    minute, to_close : int64 array (n,)
        Rounded down; `minute` is negative before the open, `to_close` after the close.
    """
    minute = (bars.ts - bars.session_open) // MINUTE_US
    to_close = (bars.session_close - bars.ts) // MINUTE_US
    return np.asarray(minute, dtype=np.int64), np.asarray(to_close, dtype=np.int64)
