"""What a step function is given: arrays and parameters by name."""

from __future__ import annotations

from collections import namedtuple
from collections.abc import Container, Mapping
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
