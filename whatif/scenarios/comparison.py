"""Comparison of two configurations: what they differ by, what that is worth, and the first other fill."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from itertools import combinations
from pathlib import Path
from typing import Any

import pandas as pd

from whatif.axes import setting_text
from whatif.domain import LOWER_IS_BETTER, Bars, Execution, Overlays
from whatif.errors import StudyError, WhatIfError
from whatif.pins import LakeLocation, read_bars
from whatif.report import axis_label, comparison_html
from whatif.runner import Plan
from whatif.scenarios.page import page_of
from whatif.scenarios.side import FIGURES, SCENARIO, Outcome, Side, in_window, run_in, side_of
from whatif.scenarios.versions import versions_named
from whatif.search import Configuration
from whatif.splits import Window
from whatif.stats import Interval, difference_interval
from whatif.study import Study

MAX_SHAPLEY = 8
"""Differences up to which all of their combinations are run: 256."""

SHOWN_FILLS = 5
"""Fills of each side that are shown from the first that differs on."""

SEED = 0
"""Of the bootstrap: the same data give the same interval on every machine."""


@dataclass(frozen=True)
class Difference:
    """One thing that two configurations differ by.

    Attributes
    ----------
    name : str
        What: "params.fast", "execution.commission", "strategy", ...
    a, b : str
        Its value on either side; costs that are fractions in percent.
    from_a, from_b : float
        How much the objective gains if A takes it over from B, and if B has it from A still; NaN where that
        is no configuration that can run.
    shapley : float
        Its mean gain over all orders in which A can become B; NaN where one of them cannot run, or there are
        more than `MAX_SHAPLEY` differences. They add up to the objective's whole difference.
    pnl : float
        As `shapley`, of the net profit.
    """

    name: str
    a: str
    b: str
    from_a: float
    from_b: float
    shapley: float
    pnl: float


@dataclass(frozen=True, eq=False)
class Comparison:
    """Two configurations side by side, in one window.

    Attributes
    ----------
    a, b : str
        Names of the sides.
    window : str
        From when to when.
    objective : str
        What differences are worth something of: that of A's study.
    figures : DataFrame
        `FIGURES` by side: rows a, b and difference.
    differences : tuple of Difference
        What they differ by.
    fills : DataFrame
        Fills of both from the first that differs on: side, ts, symbol, size, price, commission; none if all
        are the same.
    same_fills : int
        Fills before that.
    interval : Interval
        Of the objective of B less that of A, by the stationary bootstrap of both together.
    equity : DataFrame
        Mean equity of a unit of cash after each period, columns a and b.
    notes : tuple of str
        What could not be told, and why.
    """

    a: str
    b: str
    window: str
    objective: str
    figures: pd.DataFrame
    differences: tuple[Difference, ...]
    fills: pd.DataFrame
    same_fills: int
    interval: Interval
    equity: pd.DataFrame
    notes: tuple[str, ...] = ()

    def __repr__(self) -> str:
        """Say in a line what the comparison came to."""
        names = ", ".join(one.name for one in self.differences) or "nothing"
        return f"<Comparison A: {self.a}, B: {self.b}; they differ by {names}; {better(self)}>"

    def _repr_html_(self) -> str:
        sentences = (better(self), *self.notes)
        sides = (self.a, self.b)
        return comparison_html(sides, self.window, sentences, self.figures, self.table(), self.equity)

    def table(self) -> pd.DataFrame:
        """Return the differences, one a row."""
        return pd.DataFrame([vars(one) for one in self.differences])

    def html(self) -> str:
        """Return a page of it, whole in itself."""
        fills = f"First fills that differ, after {self.same_fills:,} that are the same"
        tables = [
            ("Figures", self.figures, True),
            ("Differences", self.table(), False),
            (fills, self.fills, False),
        ]
        sentences = (better(self), *self.notes)
        return page_of(f"{self.a} and {self.b}", self.window, sentences, self.equity, tables)


@dataclass(frozen=True, eq=False)
class _Part:
    """A difference, and how a mix takes it over from B."""

    name: str
    a: str
    b: str
    take: Callable[[Plan, Configuration], tuple[Plan, Configuration]]


def compare(a: Study | str | Path, b: Study | str | Path, location: LakeLocation | None = None) -> Comparison:
    """Compare what two studies chose, or two configurations of theirs.

    Parameters
    ----------
    a, b : Study, str or Path
        Studies that ran. Of a path, `path#config_id` names another configuration than the chosen one, by the
        beginning of its id, and `path@bars` the bars of another snapshot: `latest`, its number, or a date.
    location : LakeLocation, optional
        Where the lake is; from the environment if left out.

    Returns
    -------
    Comparison
        On the time that the validate windows of both share, the symbols that A trades, and A's periods of
        returns.

    Raises
    ------
    RunError
        If a study is not finished.
    StudyError
        If they share no window, or no symbol.
    """
    where = location or LakeLocation.from_environment()
    if versions_named(a, b) is not None:
        raise StudyError(f"{a} and {b} name versions of whatif: compare_versions reads what they stored")
    known: dict[str, Side] = {}
    return compared(side_of(a, where, known=known), side_of(b, where, known=known))


def compared(one: Side, other: Side) -> Comparison:
    """Return the comparison of two sides."""
    window = _shared_window(one, other)
    _check_symbols(one, other)
    plan = in_window(one, window)
    periods = plan.windows[SCENARIO].periods
    plans = plan, in_window(other, window, periods)
    objective = one.resolved.study.objective
    key = objective if objective in FIGURES else "sharpe"
    notes = (
        [] if key == objective else [f"runs of some mixes do not tell {objective}: sharpe stands in for it"]
    )
    own = in_window(other, window).windows[SCENARIO].periods
    if len(own) != len(periods):
        notes.append(
            f"Returns of both are over A's {len(periods):,} periods ({periods.kind}); "
            f"B by itself has {len(own):,} ({own.kind})"
        )
    parts = _parts(one, other, plans)
    mixes = _Mixes(plans[0], one.configuration, parts, one.groups)
    first = mixes.base
    # B is run as it is, so that nothing that the parts do not name is left out
    second = run_in(replace(plans[1], engine=plans[0].engine), other.configuration, one.groups)
    differences = tuple(_worth(parts, mixes, second, key))
    if mixes.failed:
        notes.append(f"{len(mixes.failed):,} mixes of both cannot run: {next(iter(mixes.failed.values()))}")
    fills, same = _first_fills(first, second)
    used = "sharpe" if key not in ("sharpe", "return_pct") else key
    equity = pd.DataFrame({"a": (1.0 + first.returns).cumprod(), "b": (1.0 + second.returns).cumprod()})
    if plans[0].bars != plans[1].bars:
        notes.append(_bars_said(one, plans, window))
    figures = pd.DataFrame([first.figures, second.figures], index=["a", "b"])
    figures.loc["difference"] = figures.loc["b"] - figures.loc["a"]
    return Comparison(
        a=one.name,
        b=other.name,
        window=str(window),
        objective=key,
        figures=figures,
        differences=differences,
        fills=fills,
        same_fills=same,
        interval=difference_interval(second.returns, first.returns, used, periods.per_year, seed=SEED),
        equity=equity,
        notes=tuple(notes),
    )


def _shared_window(one: Side, other: Side) -> Window:
    start = max(one.window.start_us, other.window.start_us)
    end = min(one.window.end_us, other.window.end_us)
    if end <= start or not len(one.resolved.timeline.schedule.between(start, end)):
        raise StudyError(
            f"{one.name} and {other.name} share no window: {one.window} and {other.window}; compare studies "
            "whose validate windows overlap"
        )
    if (start, end) == (one.window.start_us, one.window.end_us):
        return one.window
    return Window("shared", start, end)


def _bars_said(one: Side, plans: tuple[Plan, Plan], window: Window) -> str:
    """Return how the bars of two snapshots differ in a window, in words."""
    counts = {"only of A": 0, "only of B": 0, "changed": 0}
    first: Any = None
    part = plans[0].slices[one.configuration.timeframe]
    asked = part.source_timeframe, window.start_us, window.end_us, part.hours
    for symbol in (symbol for group in one.groups for symbol in group):
        left, right = (_frame(read_bars(plan.bars, symbol, *asked)) for plan in plans)
        both = left.index.intersection(right.index)
        moved = both[(left.loc[both] != right.loc[both]).any(axis=1)]
        alone = left.index.difference(right.index), right.index.difference(left.index)
        for name, which in zip(counts, (*alone, moved), strict=True):
            counts[name] += len(which)
            first = min([one for one in (first, *which[:1]) if one is not None], default=None)
    if first is None:
        return "The bars of this window are the same in both snapshots"
    said = ", ".join(f"{count:,} {name}" for name, count in counts.items())
    return f"Bars that differ in this window: {said}; the first at {first}"


def _frame(bars: Bars) -> pd.DataFrame:
    names = ("open", "high", "low", "close", "volume")
    times = pd.to_datetime(bars.ts, unit="us", utc=True)
    return pd.DataFrame({name: getattr(bars, name) for name in names}, index=times)


def _check_symbols(one: Side, other: Side) -> None:
    symbols = [symbol for group in one.groups for symbol in group]
    missing = [symbol for symbol in symbols if symbol not in other.resolved.study.data.symbols]
    if missing:
        raise StudyError(
            f"{one.name} trades {missing[0]}, which is no symbol of {other.name}: compare studies of the "
            "same symbols"
        )
    alike = {one.resolved.study.calendar.exchange, other.resolved.study.calendar.exchange}
    if len(alike) > 1:
        raise StudyError(f"{one.name} and {other.name} are of two exchanges, {' and '.join(sorted(alike))}")


def _parts(one: Side, other: Side, plans: tuple[Plan, Plan]) -> list[_Part]:
    """Return what two sides differ by."""
    a, b = one.configuration, other.configuration
    found: list[_Part] = []
    if (plans[0].bars.snapshot_id, plans[0].data_digest) != (plans[1].bars.snapshot_id, plans[1].data_digest):
        found.append(_Part("bars", _bars(plans[0]), _bars(plans[1]), _bars_of(plans[1])))
    same = one.resolved.strategy.digest == other.resolved.strategy.digest
    if same:
        found += [
            _Part(f"params.{name}", _said(a.params[name]), _said(b.params[name]), _param_of(b, name))
            for name in a.params
            if a.params[name] != b.params[name]
        ]
    else:
        found.append(
            _Part("strategy", plans[0].strategy_name, plans[1].strategy_name, _strategy_of(plans[1], b))
        )
    if a.model != b.model or _model(plans[0], a) != _model(plans[1], b):
        found.append(_Part("model", _said(a.model), _said(b.model), _model_of(plans[1], b)))
    for section in ("execution", "overlays"):
        left, right = getattr(a, section), getattr(b, section)
        found += [
            _Part(f"{section}.{f.name}", *_both(left, right, f.name), _field_of(b, section, f.name))
            for f in fields(left)
            if getattr(left, f.name) != getattr(right, f.name)
        ]
    if a.timeframe != b.timeframe:
        found.append(_Part("timeframe", a.timeframe, b.timeframe, _timeframe_of(plans[1], b)))
    if a.market != b.market:
        found.append(
            _Part("market", _changes(a), _changes(b), lambda plan, c: (plan, replace(c, market=b.market)))
        )
    return found


def _bars_of(plan: Plan) -> Callable[[Plan, Configuration], tuple[Plan, Configuration]]:
    return lambda mix, c: (
        replace(mix, bars=plan.bars, data_digest=plan.data_digest, slices={**mix.slices, **plan.slices}),
        c,
    )


def _param_of(b: Configuration, name: str) -> Callable[[Plan, Configuration], tuple[Plan, Configuration]]:
    return lambda mix, c: (mix, replace(c, params={**c.params, name: b.params[name]}))


def _strategy_of(plan: Plan, b: Configuration) -> Callable[[Plan, Configuration], tuple[Plan, Configuration]]:
    return lambda mix, c: (
        replace(mix, strategy=plan.strategy, strategy_name=plan.strategy_name),
        replace(c, params=b.params),
    )


def _model_of(plan: Plan, b: Configuration) -> Callable[[Plan, Configuration], tuple[Plan, Configuration]]:
    return lambda mix, c: (replace(mix, models=plan.models), replace(c, model=b.model, fold=b.fold))


def _field_of(
    b: Configuration, section: str, name: str
) -> Callable[[Plan, Configuration], tuple[Plan, Configuration]]:
    def take(mix: Plan, c: Configuration) -> tuple[Plan, Configuration]:
        value = getattr(getattr(b, section), name)
        changed: Mapping[str, Any] = {section: replace(getattr(c, section), **{name: value})}
        return mix, replace(c, **changed)

    return take


def _timeframe_of(
    plan: Plan, b: Configuration
) -> Callable[[Plan, Configuration], tuple[Plan, Configuration]]:
    return lambda mix, c: (
        replace(mix, slices={**plan.slices, **mix.slices}),
        replace(c, timeframe=b.timeframe),
    )


class _Mixes:
    """Runs of A with some of its parts taken from B, each once; of all but A itself, figures alone are kept.

    Attributes
    ----------
    base : Outcome
        What A does as it is.
    failed : mapping of frozenset of int to str
        The mixes that cannot run, by what is taken, and why.
    """

    def __init__(
        self, plan: Plan, a: Configuration, parts: Sequence[_Part], groups: Sequence[tuple[str, ...]]
    ) -> None:
        self._plan, self._a, self._parts, self._groups = plan, a, parts, groups
        self.base = self._run(frozenset())
        self._known: dict[frozenset[int], Mapping[str, float]] = {frozenset(): self.base.figures}
        self.failed: dict[frozenset[int], str] = {}

    def _run(self, taken: frozenset[int]) -> Outcome:
        plan, mix = self._plan, self._a
        for k in sorted(taken):
            plan, mix = self._parts[k].take(plan, mix)
        return run_in(plan, mix, self._groups)

    def value(self, taken: Iterable[int], key: str) -> float:
        """Return a figure of A with these parts of B; NaN if it cannot run."""
        which = frozenset(taken)
        if which not in self._known:
            try:
                self._known[which] = self._run(which).figures
            except WhatIfError as error:
                self._known[which] = {}
                self.failed[which] = str(error)
        return self._known[which].get(key, math.nan)


def _worth(parts: Sequence[_Part], mixes: _Mixes, second: Outcome, key: str) -> Iterable[Difference]:
    """Yield each difference with what it is worth."""
    every = range(len(parts))
    for k in every:
        others = [j for j in every if j != k]
        yield Difference(
            name=parts[k].name,
            a=parts[k].a,
            b=parts[k].b,
            from_a=mixes.value([k], key) - mixes.value([], key),
            from_b=second.figures[key] - mixes.value(others, key),
            shapley=_shapley(k, others, mixes, key),
            pnl=_shapley(k, others, mixes, "pnl_net"),
        )


def _shapley(k: int, others: Sequence[int], mixes: _Mixes, key: str) -> float:
    """Return the mean gain of a part over all orders in which parts are taken over."""
    count = len(others) + 1
    if count > MAX_SHAPLEY:
        return math.nan
    total = []
    for size in range(count):
        weight = 1.0 / (count * math.comb(count - 1, size))
        for taken in combinations(others, size):
            total.append(weight * (mixes.value([*taken, k], key) - mixes.value(taken, key)))
    return math.fsum(total)


def _first_fills(one: Outcome, other: Outcome) -> tuple[pd.DataFrame, int]:
    """Return the fills of both from the first that differs on, and how many are the same before it."""
    a, b = one.fills, other.fills
    shorter = min(len(a), len(b))
    equal = (a.iloc[:shorter].to_numpy() == b.iloc[:shorter].to_numpy()).all(axis=1)
    same = shorter if equal.all() else int(equal.argmin())
    parts = [frame.iloc[same : same + SHOWN_FILLS].assign(side=side) for side, frame in (("a", a), ("b", b))]
    rows = pd.concat(parts, ignore_index=True)
    return rows[["side", *a.columns]].sort_values(["ts", "side"], ignore_index=True, kind="stable"), same


def _both(left: Any, right: Any, name: str) -> tuple[str, str]:
    a, b = (_setting(one, name) for one in (left, right))
    return a, b


def _setting(section: Execution | Overlays, name: str) -> str:
    value = getattr(section, name)
    if isinstance(section, Execution) and name in ("commission", "slippage"):
        return setting_text(name, value, section.commtype)
    return _said(value)


def _said(value: Any) -> str:
    return "off" if value is None else axis_label(value)[:80]


def _bars(plan: Plan) -> str:
    return f"snapshot {plan.bars.snapshot_id}, slice {plan.data_digest[:8]}"


def _changes(configuration: Configuration) -> str:
    return " ".join(f"{change.kind} {change.keys}" for change in configuration.market)[:200] or "as it was"


def _model(plan: Plan, configuration: Configuration) -> str | None:
    if configuration.model is None:
        return None
    found = plan.models.get((configuration.model, configuration.timeframe, configuration.fold))
    return None if found is None else found.model_digest


def better(found: Comparison) -> str:
    """Return in words what the test of the difference says."""
    interval = found.interval
    if math.isnan(interval.estimate):
        return (
            f"{interval.objective} of B less that of A is not known, as a side has none: not distinguishable"
        )
    sign = -1.0 if found.objective in LOWER_IS_BETTER else 1.0
    said = (
        f"{interval.objective} of B less that of A: {interval.estimate:.3f}, 95 % interval "
        f"{interval.low:.3f} to {interval.high:.3f} (stationary bootstrap, blocks of {interval.block})"
    )
    if math.isnan(interval.low) or interval.low <= 0.0 <= interval.high:
        return f"{said}: not distinguishable"
    return f"{said}: {'B' if sign * interval.estimate > 0 else 'A'} is better"
