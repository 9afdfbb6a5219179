"""Cache of a worker process: pinned bars, indicator arrays and the strategy, kept between work items."""

from __future__ import annotations

import weakref
from collections import Counter, OrderedDict
from collections.abc import Hashable, Iterable, Iterator, Mapping, MutableMapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import Any, cast

import numpy as np

from whatif.axes import MarketChange
from whatif.domain import DAY_US, Bars, Membership, with_finer
from whatif.errors import MachineError, RunError, StrategyError, WhatIfError, out_of_memory
from whatif.indicators import Stored, with_needs
from whatif.pins import PinnedCache, read_bars, read_bars_of, read_predictions
from whatif.runner.plan import ModelPin, Plan
from whatif.search import BarSlice, Configuration
from whatif.splits import Window
from whatif.strategies import AnyStrategy, PortableStrategy, StrategySpec, forget_loaded, from_portable

BYTES_AHEAD = 64 * 1024 * 1024
"""Bars that are read together, of symbols that are asked for one after the other: reading one of many from
a file that holds all of them costs as much as reading ten."""

MAX_AHEAD = 32
"""Symbols that are read together at most."""

_rows: PinnedCache | None = None
_expected: tuple[str, ...] = ()
_arrays: ArrayStore | None = None
_latest: weakref.ref[Bars] | None = None


_WindowKey = tuple[Window, ModelPin | None, tuple[MarketChange, ...], str, tuple[Membership, ...] | None]


@dataclass(frozen=True, eq=False)
class _Known:
    """What a process knows of one symbol of one pinned slice.

    Attributes
    ----------
    source : Bars
        Its bars before `end_us`, as they are stored.
    end_us : int
        End of the latest window that was asked for, microseconds UTC.
    windows : mapping of tuple to Bars
        What was handed out, by `_WindowKey`: views of `source` where nothing had to be computed.
        The text is the timeframe of the finer bars inside.
    computed : int
        Bytes of what had to be.
    """

    source: Bars
    end_us: int
    windows: Mapping[_WindowKey, Bars] = field(default_factory=dict)
    computed: int = 0

    @property
    def nbytes(self) -> int:
        """Bytes held."""
        return self.source.nbytes + self.computed


def load_bars(
    plan: Plan, symbol: str, window: str, configuration: Configuration, may_lack: bool = False
) -> Bars:
    """Return the bars of `symbol` up to the window's end, with the predictions as inputs.

    Those are `forecast`, or `prob_long` and `prob_short` of a model of classes.

    They are the pinned ones, changed where an axis of the configuration changes bars. Nothing after the
    last window that was asked for is read, and what was read for one window serves all that end earlier.
    The same arrays are returned while they are in the process's cache, and must not be written to.

    Raises
    ------
    RunError
        If the pin holds no bar of the symbol in the window, and it may not lack them.
    MachineError
        If bars or predictions cannot be read, whatever the reason but want of memory.
    PluginError
        If an axis that changes bars raises, or breaks its contract.
    """
    interval = plan.windows[window].window
    model = model_of(plan, configuration)
    part = plan.slices[configuration.timeframe]
    known = _known(plan, part, symbol, interval.end_us)
    fills = configuration.execution.fill_timeframe
    wanted = (interval, model, configuration.market, fills, plan.members.get(symbol))
    if wanted not in known.windows:
        cache = _row_cache(plan)
        known = _with_window(plan, part, known, wanted, cache.max_bytes)
        cache.put((plan.bars, part, symbol), known)
    bars = known.windows[wanted]
    if not may_lack:
        check_has_bars([bars], plan, window, configuration)
    return bars


def check_has_bars(bars: Sequence[Bars], plan: Plan, window: str, configuration: Configuration) -> None:
    """Refuse an account none of whose symbols has a bar in the window.

    Raises
    ------
    RunError
        Naming the first of them.
    """
    interval, bar_us = plan.windows[window].window, plan.slices[configuration.timeframe].bar_us
    if not any(first < stop for first, stop in (interval.rows(one, bar_us) for one in bars)):
        raise RunError(
            f"{bars[0].symbol} has no {configuration.timeframe} bar in {interval} of the pinned snapshot "
            f"{plan.bars.snapshot_id}: ingest bars for that time, or choose another slice"
        )


def _known(plan: Plan, part: BarSlice, symbol: str, end_us: int) -> _Known:
    """Return what the process knows of a symbol, with its bars before `end_us`."""
    key, cache = (plan.bars, part, symbol), _row_cache(plan)
    known = cast(_Known | None, cache.find(key))
    if known is None or known.end_us < end_us:
        known = _read(plan, part, symbol, end_us, known)
        cache.put(key, known)
    return known


@contextmanager
def expecting(symbols: Iterable[str]) -> Iterator[None]:
    """Say which symbols this process is going to ask for inside, and in which order: they are read ahead."""
    global _expected  # what a process is going to do is the point
    before, _expected = _expected, tuple(symbols)
    try:
        yield
    finally:
        _expected = before


def _read(plan: Plan, part: BarSlice, symbol: str, end_us: int, known: _Known | None) -> _Known:
    """Read a symbol's bars before `end_us`, or what is missing of them; with those of the next symbols."""
    some = _read_together(plan, part, _next_symbols(plan, part, symbol, known), end_us)
    if symbol in some:
        return some[symbol]
    start_us = part.start_us if known is None else known.end_us
    with _by_the_machine(f"bars of {symbol}"):
        bars = read_bars(plan.bars, symbol, part.source_timeframe, start_us, end_us, part.hours)
    return _with_more(known, bars, end_us)


def _with_more(known: _Known | None, bars: Bars, end_us: int) -> _Known:
    """Return what is known of a symbol when its next bars have been read, on the clock of those before."""
    global _latest  # symbols of one market are read one after the other
    whole = bars if known is None else known.source.then(bars)
    latest = None if _latest is None else _latest()
    whole = whole if latest is None else whole.on_clock_of(latest)
    _latest = weakref.ref(whole)
    return _Known(whole, end_us)


def _next_symbols(plan: Plan, part: BarSlice, symbol: str, known: _Known | None) -> dict[str, _Known | None]:
    """Return a symbol, and those asked for after it that lack the same bars, as many as memory is kept for.

    How large they are is told by those that are known: of the first of all, none is read ahead.
    """
    cache = _row_cache(plan)
    if symbol not in _expected or not len(cache):
        return {}
    count = int(min(MAX_AHEAD, min(BYTES_AHEAD, cache.max_bytes / 4) / max(cache.nbytes / len(cache), 1.0)))
    end_us, found = None if known is None else known.end_us, dict[str, _Known | None]()
    for one in dict.fromkeys(_expected[_expected.index(symbol) :]):
        if len(found) == count:
            break
        its = cast(_Known | None, cache.look((plan.bars, part, one)))
        if (None if its is None else its.end_us) == end_us:
            found[one] = its
    return found


def _read_together(
    plan: Plan, part: BarSlice, known: Mapping[str, _Known | None], end_us: int
) -> dict[str, _Known]:
    """Read several symbols' bars before `end_us`; of one, or where any of it cannot be read, return none."""
    if len(known) < 2:
        return {}
    first, read = next(iter(known.values())), dict[str, Bars]()
    start_us = part.start_us if first is None else first.end_us
    with suppress(Exception):  # each is then read for itself, which says of which it is true
        read = read_bars_of(plan.bars, list(known), part.source_timeframe, start_us, end_us, part.hours)
    found = {symbol: _with_more(known[symbol], bars, end_us) for symbol, bars in read.items()}
    for symbol, one in found.items():
        _row_cache(plan).put((plan.bars, part, symbol), one)
    return found


@contextmanager
def _by_the_machine(what: str) -> Iterator[None]:
    """Say of whatever is raised inside that the machine failed: no line of a strategy runs there."""
    try:
        yield
    except Exception as error:
        if out_of_memory(error):  # the backtest's own matter: it may need less than others do
            raise
        said = str(error) if isinstance(error, WhatIfError) else f"{type(error).__name__}: {error}"
        raise MachineError(
            f"{what} could not be read: {' '.join(said.split())}. This is no result of a backtest, and none "
            "is stored of those that needed it; what was stored before stays. With the file or the disk "
            "mended, the same command goes on from there"
        ) from error


def _with_window(
    plan: Plan,
    part: BarSlice,
    known: _Known,
    wanted: _WindowKey,
    max_bytes: int,
) -> _Known:
    window, model, market, fills, members = wanted

    def stored(of: _Known) -> Stored:
        return Stored(_changed(of.source, window.end_us, market), part.source_us, part.bar_us)

    own = stored(known)
    bars, _ = own.at(part.timeframe)
    _, stop = window.rows(bars, part.bar_us)
    if fills:
        finer, finer_us = own.at(fills)
        bars = with_finer(bars, finer, finer_us, part.bar_us == DAY_US)
    bars = bars.slice(0, stop)
    computed = bars.nbytes if part.resampled or market or fills else 0
    plain = bars.nbytes
    needs = strategy_of(plan.strategy).needs
    bars = with_needs(
        bars,
        needs,
        own,
        part.exchange,
        lambda symbol: stored(_known(plan, part, symbol, window.end_us)),
        among=part.symbols,
    )
    computed += bars.nbytes - plain
    if members is not None:
        bars = bars.with_members(members)
        computed += len(bars)
    if model is not None:
        predicted = _predicted(bars, model)
        bars = bars.with_inputs(predicted)
        computed += sum(series.nbytes for series in predicted.values())
    if known.nbytes + computed > max_bytes:  # rather forget other windows than the bars of all
        known = _Known(known.source, known.end_us)
    windows = {**known.windows, wanted: bars}
    return replace(known, windows=windows, computed=known.computed + computed)


def _changed(source: Bars, end_us: int, market: tuple[MarketChange, ...]) -> Bars:
    """Return a symbol's bars before `end_us`, as a configuration changes them, whoever trades or names it."""
    bars = source.slice(0, int(np.searchsorted(source.ts, end_us, "left")))
    if market and len(bars):
        # imported here: what is installed of others is needed by those who name it
        from whatif.search import change_bars

        bars = change_bars(market, bars)
    return bars


def _predicted(bars: Bars, model: ModelPin) -> dict[str, np.ndarray]:
    """Predicted returns, or probabilities, on the bars' own time; NaN where the model has none."""
    columns = ("prob_long", "prob_short") if model.target == "class" else ("prediction",)
    first, stop = (int(bars.ts[0]), int(bars.ts[-1]) + 1) if len(bars) else (0, 0)
    with _by_the_machine(f"predictions on {bars.symbol}"):
        ts, values = read_predictions(
            model.pin, model.digest_for(bars.symbol), bars.symbol, first, stop, columns
        )
    at = np.minimum(np.searchsorted(bars.ts, ts), len(bars) - 1)
    known = bars.ts[at] == ts
    found = np.full((len(columns), len(bars)), np.nan)
    found[:, at[known]] = values[:, known]
    if model.target == "class":
        return dict(zip(columns, found, strict=True))
    return {"forecast": found[0] / bars.close - 1.0 if model.target == "level" else found[0]}


def model_of(plan: Plan, configuration: Configuration) -> ModelPin | None:
    """Return where the predictions are that a configuration trades, or None."""
    if configuration.model is None:
        return None
    return plan.models.get((configuration.model, configuration.timeframe, configuration.fold))


@lru_cache(maxsize=8)
def strategy_of(portable: PortableStrategy) -> AnyStrategy:
    """Return the strategy that travelled here."""
    return from_portable(portable)


@lru_cache(maxsize=8)
def compiled_of(portable: PortableStrategy) -> AnyStrategy:
    """Return the strategy that travelled here, for machine code, which keeps the values that it began with.

    What its step reaches is looked at once by a process.
    """
    found = strategy_of(portable)
    return found.pinned() if isinstance(found, StrategySpec) else found


def renew(portable: PortableStrategy) -> None:
    """Load a strategy anew if a backtest changed what it reads: each one begins with what was sent.

    Raises
    ------
    StrategyError
        If it is a module's, which cannot be loaded anew.
    """
    with suppress(StrategyError):
        if strategy_of(portable).digest == portable.digest:
            return
    if not portable.source:
        raise StrategyError(
            f"strategy {portable.name} changes values of {portable.module} while it runs, so that a backtest "
            "depends on those before it: keep them in s.scratch or in attributes of the strategy itself, or "
            "name its file, path/file.py, which is loaded anew each time"
        )
    forget_loaded(portable)
    strategy_of.cache_clear()
    compiled_of.cache_clear()


def _row_cache(plan: Plan) -> PinnedCache:
    global _rows  # one cache for each process is the point
    if _rows is None or _rows.max_bytes != plan.cache_bytes:
        _rows = PinnedCache(plan.cache_bytes)
    return _rows


def array_store(plan: Plan) -> ArrayStore:
    """Return the arrays that this process keeps."""
    global _arrays
    if _arrays is None or _arrays.max_bytes != plan.array_bytes:
        _arrays = ArrayStore(plan.array_bytes)
    return _arrays


def forget() -> None:
    """Let go of all bars and arrays that this process keeps."""
    global _rows, _arrays
    _rows = _arrays = None


class ArrayStore(MutableMapping[Hashable, Any]):
    """A mapping that forgets what was used longest ago.

    Entries are what `whatif.indicators.evaluate` keeps: the bars and an array, under a key
    that begins with the identity of the bars. An entry keeps its bars alive, so they count
    too, once for all of their arrays.

    Parameters
    ----------
    max_bytes : int
        Bound on the bytes of all arrays and of the bars they belong to. The entry that was
        stored last is kept whatever its size.
    """

    def __init__(self, max_bytes: int) -> None:
        self.max_bytes = max_bytes
        self.nbytes = 0
        self._entries: OrderedDict[Any, Any] = OrderedDict()
        self._arrays_of: Counter[Hashable] = Counter()

    def __getitem__(self, key: Hashable) -> Any:
        value = self._entries[key]
        self._entries.move_to_end(key)
        return value

    def __setitem__(self, key: Any, value: Any) -> None:
        if key in self._entries:
            del self[key]
        bars, array = value
        self._entries[key] = value
        self.nbytes += array.nbytes + (0 if self._arrays_of[key[0]] else bars.nbytes)
        self._arrays_of[key[0]] += 1
        while self.nbytes > self.max_bytes and len(self._entries) > 1:
            del self[next(iter(self._entries))]

    def __delitem__(self, key: Any) -> None:
        bars, array = self._entries.pop(key)
        self.nbytes -= array.nbytes
        self._arrays_of[key[0]] -= 1
        if not self._arrays_of[key[0]]:
            del self._arrays_of[key[0]]
            self.nbytes -= bars.nbytes

    def __iter__(self) -> Iterator[Hashable]:
        return iter(self._entries)

    def __len__(self) -> int:
        return len(self._entries)
