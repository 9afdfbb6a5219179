"""Conformance of one strategy on all engines, with random parameters, markets and broker settings."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from zlib import crc32

import numpy as np

from whatif.domain import MINUTE_US, PRICE_FIELDS, Bars, Execution
from whatif.engines import BacktestTask, EngineRun, bar_lengths, differences, run_engine
from whatif.errors import EngineError, InputWriteError, LookAheadError, StrategyError
from whatif.indicators import Stored, with_needs
from whatif.strategies import AnyStrategy, Param, StrategySpec, Value
from whatif.testing.compare import is_too_large, within_whole_units
from whatif.testing.markets import random_bars, random_series, random_shape
from whatif.testing.orders import random_execution

_ALWAYS_OPEN = "24/7"
"""Exchange of random markets, whose sessions are days one after the other."""

_TRIES = 200
_PERTURBED = 10
"""Cases in which later bars are changed."""
_LONGEST = 60
"""Greatest integer that is drawn for a parameter without an upper bound, unless its default is greater."""


def check_strategy(
    strategy: StrategySpec,
    bars: Bars | Sequence[Bars] | None = None,
    params: Mapping[str, object] | None = None,
    executions: Sequence[Execution] | None = None,
    seed: int = 0,
    cases: int = 50,
    engines: tuple[str, str] = ("backtrader", "compiled"),
) -> int:
    """Check that two engines run a strategy alike, to the last bit.

    Parameters
    ----------
    strategy : StrategySpec
        What `@strategy` made.
    bars : Bars or sequence of Bars, optional
        Markets to take turns with; random ones if absent. Series that the strategy needs from
        outside and they lack are drawn at random, a tenth of each missing (NaN).
    params : mapping, optional
        Parameters to hold fixed; the others are drawn within their bounds, until the strategy's
        constraint holds.
    executions : sequence of Execution, optional
        Broker settings to take turns with; random ones if absent.
    seed : int
        The same seed draws the same cases.
    cases : int
        How many.
    engines : pair of str
        The engines to compare; the first is the reference.

    Returns
    -------
    int
        Cases in which both engines ran and made at least one fill. Where both refuse or fail,
        that counts as agreement, not as a case.

    Raises
    ------
    AssertionError
        At the first case that differs, with its seed, parameters, settings and all differences; that
        looks ahead: an index after the present bar or before the first one, or fills and equity
        that move when later bars are changed; or that comes out otherwise when it is run again, which
        means that the step keeps state outside of `s.scratch`; or that writes into its inputs.
    StrategyError
        If the step can reach what has no value: a clock, a file, a random generator.
    EngineError
        If the strategy is none that both engines can run.

    Examples
    --------
    >>> from whatif.strategies import resolve
    >>> from whatif.testing import check_strategy
    >>> check_strategy(resolve("sma_crossover"), cases=20)  # doctest: +SKIP
    20
    """
    if not isinstance(strategy, StrategySpec):
        raise EngineError(
            f"check_strategy: {strategy!r} is no step function made by @strategy; "
            "an ordinary Backtrader strategy runs on one engine only"
        )
    markets = [bars] if isinstance(bars, Bars) else list(bars or [])
    strategy.digest  # noqa: B018  # refuses clocks, files and chance
    traded = 0
    for case in range(cases):
        rng = np.random.default_rng([seed, case])
        given = draw_params(strategy, rng, params or {})
        market = markets[case % len(markets)] if markets else _market(rng)
        settings = executions[case % len(executions)] if executions else random_execution(rng, market.open[0])
        length = bar_lengths([market])[0] if markets else MINUTE_US
        market = _with_inputs(strategy, market, rng, length)
        task = BacktestTask([market], strategy, given, settings)
        where = f"strategy {strategy.name}, seed {seed}, case {case}, {given}, {settings}"
        outcome = _outcome(task, engines[0])
        if isinstance(outcome, InputWriteError):
            raise AssertionError(f"the step writes into its inputs: {outcome}")
        if case < _PERTURBED and engines[0] != engines[1]:
            _check_state(task, outcome, engines[0], where)
        traded += _compare(task, outcome, engines, where)
        if case < _PERTURBED:
            _check_past(task, outcome, engines[0], rng, where, length)
    return traded


def draw_params(
    strategy: StrategySpec, rng: np.random.Generator, fixed: Mapping[str, object]
) -> dict[str, Value]:
    """Return random parameters that the strategy accepts; `fixed` ones keep their values.

    Raises
    ------
    StrategyError
        If a fixed one is not accepted, or no draw meets the constraint.
    """
    refused: StrategyError | None = None
    for _ in range(_TRIES):
        drawn = {name: draw_value(param, rng) for name, param in strategy.params.items()}
        try:
            return strategy.validate({**drawn, **fixed})
        except StrategyError as error:
            refused = error
    raise StrategyError(f"strategy {strategy.name}: {_TRIES} random draws were all refused: {refused}")


def draw_value(param: Param, rng: np.random.Generator) -> Value:
    """Return a random value of a parameter, within its bounds; text keeps its default.

    A number without a lower bound is drawn from 0, or from twice a negative default; one without
    an upper bound up to twice its default, an integer at least up to 60.
    """
    default = param.default
    if isinstance(default, str):
        return default
    if isinstance(default, bool):
        return bool(rng.random() < 0.5)
    low = min(0.0, 2.0 * default) if param.low is None else param.low
    high = 2.0 * max(abs(default), abs(low)) if param.high is None else param.high
    if isinstance(default, float):
        if param.high is None and high <= low:
            high = low + 1.0
        return float(rng.uniform(low, high))
    if param.high is None:
        high = max(high, low + 1, _LONGEST)
    return int(rng.integers(int(np.ceil(low)), int(np.floor(high)) + 1))


def _market(rng: np.random.Generator) -> Bars:
    n = int(rng.integers(150, 400))
    return random_bars(int(rng.integers(2**32)), n, random_shape(rng, 100.0))


def _with_needs(strategy: AnyStrategy, bars: Bars, length: int) -> Bars:
    """Return bars with what the strategy needs of elsewhere: made of these, and other symbols' drawn."""

    def other(symbol: str) -> Stored:
        drawn = random_bars(crc32(symbol.encode()), len(bars), symbol=symbol)
        prices = {name: getattr(drawn, name) for name in PRICE_FIELDS}
        return Stored(replace(bars, symbol=symbol, **prices), length, length)

    own, among = Stored(bars, length, length), (bars.symbol, "DRAWN", "DRAWN2")
    return with_needs(bars, strategy.needs, own, _ALWAYS_OPEN, other, among=among)


def _with_inputs(strategy: StrategySpec, bars: Bars, rng: np.random.Generator, length: int) -> Bars:
    missing = sorted(strategy.external_inputs() - set(bars.inputs))
    bars = _with_needs(strategy, bars, length)
    return bars.with_inputs({name: random_series(int(rng.integers(2**32)), len(bars)) for name in missing})


def _check_state(task: BacktestTask, first: EngineRun | EngineError, engine: str, where: str) -> None:
    """Refuse a step that remembers an earlier run."""
    again = _outcome(task, engine)
    failed = [isinstance(one, EngineError) for one in (first, again)]
    changed = failed[0] != failed[1]
    if isinstance(first, EngineRun) and isinstance(again, EngineRun):
        changed = bool(differences(first, again))
    if changed:
        raise AssertionError(
            f"the step keeps state outside of s.scratch: the same case comes out otherwise when it is run "
            f"again: {where}"
        )


def _compare(
    task: BacktestTask, first: EngineRun | EngineError, engines: tuple[str, str], where: str
) -> bool:
    """Return whether both engines traded; raise if they differ."""
    second = _outcome(task, engines[1])
    if isinstance(first, EngineRun) and isinstance(second, EngineRun):
        found = differences(first, second) if within_whole_units(first) else []
        if found:
            raise AssertionError("\n  ".join([f"{engines[0]} and {engines[1]} differ: {where}", *found]))
        return len(first.fills) > 0
    for one, other, name in ((first, second, engines[1]), (second, first, engines[0])):
        if isinstance(one, EngineRun) and not is_too_large(other):
            raise AssertionError(f"only {name} fails: {where}\n  {other}")
    return False


def _check_past(
    task: BacktestTask,
    one: EngineRun | EngineError,
    engine: str,
    rng: np.random.Generator,
    where: str,
    length: int,
) -> None:
    """Refuse a step whose past moves when later bars are changed."""
    bars = task.bars[0]
    t = int(rng.integers(len(bars) // 2, len(bars) - 1))
    factor = np.where(np.arange(len(bars)) > t, rng.uniform(0.5, 2.0), 1.0)
    changed = replace(bars, **{name: getattr(bars, name) * factor for name in PRICE_FIELDS})
    changed = changed.with_inputs({name: values * factor for name, values in bars.inputs.items()})
    changed = _with_needs(task.strategy, changed, length)
    other = _outcome(replace(task, bars=[changed]), engine)
    if isinstance(one, EngineRun) and isinstance(other, EngineRun):
        until = [run.fills.row <= t for run in (one, other)]
        same = one.equity[: t + 1].tobytes() == other.equity[: t + 1].tobytes()
        if not same or one.fills.price[until[0]].tobytes() != other.fills.price[until[1]].tobytes():
            raise AssertionError(f"the step looks ahead: bars up to {t} move when later ones do: {where}")


def _outcome(task: BacktestTask, engine: str) -> EngineRun | EngineError:
    try:
        return run_engine(task, engine)
    except LookAheadError as error:
        raise AssertionError(f"the step looks ahead: {error}") from error
    except EngineError as error:
        return error
