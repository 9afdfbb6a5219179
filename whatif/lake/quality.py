"""The check of bars that the lake holds: coverage by the calendar, and what is suspicious. Starts no JVM."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

import numpy as np
import pandas as pd
import pyarrow as pa

from whatif.calendars import EPOCH, canonical_exchange, schedule
from whatif.domain import DAY_US, Bars, canonical_timeframe, instant_us, timeframe_us, timestamps
from whatif.lake.holdings import check_held
from whatif.lake.suspicions import NEIGHBOURS, QUALITY_RULES, BarSeries, Suspicions, jumps, suspicions
from whatif.pins import (
    ACTIONS,
    LakeLocation,
    Pin,
    adjusted_pin,
    all_of,
    batches,
    current_pin,
    everything,
    has_rows,
    of_timeframe,
    open_table,
    read_bars_of,
    symbol_rows,
    within,
)

SERIES = ("symbol", "timeframe", "exchange")
SESSION_COLUMNS = (*SERIES, "session", "expected", "bars", "missing", "suspicious", "errors")
FOUND_COLUMNS = (*SERIES, "session", "ts", "rule", "error", "bars", "value")

MOST_AT_ONCE = 4_000_000
"""Bars that are held at once, of several symbols; one symbol's are held whole."""


@dataclass(frozen=True, eq=False)
class BarsCheck:
    """What a check of bars found.

    Attributes
    ----------
    sessions : DataFrame
        A row for each symbol, timeframe and session of its calendar from the first bar to the last:
        `symbol timeframe exchange`; `session`, a naive midnight; `expected`, bars of regular hours that it
        has room for; `bars`, those that are there; `missing`; `suspicious` and `errors`, warnings and errors
        of `found` that begin in it.
    found : DataFrame
        A row for each thing that breaks a rule: `symbol timeframe exchange session`; `ts`, where it begins,
        tz-aware UTC; `rule`, one of `QUALITY_RULES`; `error`, a boolean; `bars` that it stands for, there or
        missing; `value`, what the rule's `measure` counts. By symbol, timeframe and ts.
    """

    sessions: pd.DataFrame
    found: pd.DataFrame

    @property
    def errors(self) -> int:
        """How many things break a rule whose breach can hardly be true."""
        return int(self.found["error"].sum())

    def summary(self) -> pd.DataFrame:
        """Return a row for each symbol and timeframe.

        Returns
        -------
        DataFrame
            `symbol timeframe exchange`; `sessions` of the calendar, and those `without` a bar; `bars` of
            regular hours; `covered`, the percentage of the expected bars that are there; `lowest`, that of
            the session with the least of those that have some; `warnings` and `errors`; `rules` that are
            broken, with how often.
        """
        rows = []
        counts = dict(iter(self.found.groupby(list(SERIES), sort=False)))
        for key, group in self.sessions.groupby(list(SERIES), sort=False):
            held = group[group["bars"] > 0]
            told = counts.get(key)
            rules = {} if told is None else told["rule"].value_counts().to_dict()
            rows.append(
                (
                    *key,
                    len(group),
                    len(group) - len(held),
                    int(group["bars"].sum()),
                    _percent(group["expected"] - group["missing"], group["expected"]),
                    float((100.0 * (1 - held["missing"] / held["expected"])).min()) if len(held) else 0.0,
                    int(group["suspicious"].sum()),
                    int(group["errors"].sum()),
                    ", ".join(f"{rules[name]:,} {name}" for name in QUALITY_RULES if name in rules),
                )
            )
        names = ("sessions", "without", "bars", "covered", "lowest", "warnings", "errors", "rules")
        return pd.DataFrame(rows, columns=[*SERIES, *names])


def check_quality(
    location: LakeLocation | None = None,
    symbols: Sequence[str] = (),
    timeframe: str | None = None,
    pin: Pin | None = None,
    start_us: int | None = None,
    end_us: int | None = None,
) -> BarsCheck:
    """Hold bars of the lake against their calendars and their neighbours. Nothing is changed.

    Parameters
    ----------
    location : LakeLocation, optional
        Where the lake is; from the environment if left out.
    symbols : str or sequence of str
        Symbols to look at; all if empty.
    timeframe : str, optional
        Length of bars to look at; every one if left out.
    pin : Pin, optional
        A pin of `bars`; its current snapshot if left out. Prices are looked at as they were traded, but for
        jumps: as the pin adjusts them, and if it is left out by all splits that the lake knows.
    start_us, end_us : int, optional
        Half-open range of the bars' starts, microseconds UTC.

    Raises
    ------
    LakeError
        If the lake holds no such bars; the nearest symbol that it has is named.
    """
    where = location or LakeLocation.from_environment()
    symbols = (symbols,) if isinstance(symbols, str) else symbols
    bars_pin = replace(pin or current_pin(where, "bars"), adjustment=None)
    held = _held(bars_pin, symbols, timeframe, start_us, end_us)
    check_held(bars_pin, symbols, timeframe, {symbol for symbol, _ in held})
    known = adjusted_pin(where, bars_pin, "splits") if pin is None and has_rows(where, ACTIONS) else pin
    return _checked(bars_pin, held, start_us, end_us, known)


def _checked(
    bars_pin: Pin,
    held: dict[tuple[str, str], _Held],
    start_us: int | None,
    end_us: int | None,
    adjusted: Pin | None = None,
) -> BarsCheck:
    """Check bars that are there; jumps among them as `adjusted` has them, if it adjusts."""
    sessions, found = [], []
    for length, names in _portions(held):
        read = read_bars_of(bars_pin, names, length, start_us, end_us, "extended")
        for symbol in names:
            series = _series(read.pop(symbol), held[symbol, length].exchange, timeframe_us(length))
            key = (symbol, length, held[symbol, length].exchange)
            broken = list(suspicions(series))
            if adjusted is not None and adjusted.adjustment and any(one.rule == "jump" for one in broken):
                bars = read_bars_of(adjusted, [symbol], length, start_us, end_us, "extended")[symbol]
                left = jumps(_series(bars, *key[2:], timeframe_us(length)))
                broken = [
                    *(one for one in broken if one.rule != "jump"),
                    *(one for one in left if len(one.ts)),
                ]
            told = _found(key, broken)
            found.append(told)
            sessions.append(_sessions(key, series, told))
    told = pd.concat(found, ignore_index=True).sort_values(["symbol", "timeframe", "ts"], kind="stable")
    days = pd.concat(sessions, ignore_index=True).sort_values(
        ["symbol", "timeframe", "session"], kind="stable"
    )
    return BarsCheck(days.reset_index(drop=True), told.reset_index(drop=True))


AROUND = timedelta(days=40)
"""How far around bars a check of them looks, so that medians of 21 sessions are of 21."""


def new_errors(
    location: LakeLocation, branch: str, ranges: Sequence[tuple[str, str, datetime, datetime]]
) -> list[str]:
    """Return the errors that bars on a branch have, and those of the table have not, a line each.

    Parameters
    ----------
    location : LakeLocation
        Where the lake is.
    branch : str
        Of `bars`.
    ranges : sequence of (str, str, datetime, datetime)
        Symbol, timeframe, first and last start of the bars that are looked at; tz-aware.
    """
    table = open_table(location, "bars")
    told = []
    by_length: dict[str, list[tuple[str, str, datetime, datetime]]] = {}
    for one in ranges:
        by_length.setdefault(one[1], []).append(one)
    for length, some in by_length.items():
        symbols = sorted({one[0] for one in some})
        around = max(AROUND, timedelta(microseconds=NEIGHBOURS * timeframe_us(length)))
        first, last = min(one[2] for one in some) - around, max(one[3] for one in some) + around
        between = instant_us(pd.Timestamp(first)), instant_us(pd.Timestamp(last)) + 1
        branched = Pin("bars", table.metadata.refs[branch].snapshot_id, table.metadata_location)
        now = check_quality(location, symbols, length, branched, *between).found
        now = now[now["error"]]
        known = set()
        if len(now) and table.current_snapshot() is not None:
            pin = current_pin(location, "bars")
            # of some of these symbols the lake may hold nothing yet
            if held := _held(pin, sorted(set(now["symbol"])), length, *between):
                before = _checked(pin, held, *between).found
                known = set(zip(before["symbol"], before["ts"], before["rule"], strict=True))
        for row in now.to_dict("records"):
            if (row["symbol"], row["ts"], row["rule"]) not in known:
                told.append(
                    f"{row['symbol']} {length} {row['ts']:%Y-%m-%d %H:%M} UTC: {row['rule']}: "
                    f"{row['value']:,.4g} {QUALITY_RULES[row['rule']].measure}"
                )
    return told


@dataclass(frozen=True)
class _Held:
    """How many bars there are of a symbol and timeframe, and the exchange of most of them."""

    bars: int
    exchange: str


def _held(
    pin: Pin, symbols: Sequence[str], timeframe: str | None, start_us: int | None, end_us: int | None
) -> dict[tuple[str, str], _Held]:
    """Return what the lake holds of what is asked for, by symbol and timeframe."""
    names = list(SERIES)
    counted = []
    of_length = of_timeframe(timeframe) if timeframe else everything()
    between = within("ts", start_us, end_us)
    rows_of = (
        symbol_rows(pin, names, symbols, of_length, between)
        if symbols
        else batches(pin, names, all_of(of_length, between))
    )
    for batch in rows_of:
        rows = pa.Table.from_batches([batch]).select(names).group_by(names, use_threads=False)
        counted.append(rows.aggregate([([], "count_all")]).to_pandas())
    rows = pd.concat(counted) if counted else pd.DataFrame(columns=[*names, "count_all"])
    rows["timeframe"] = rows["timeframe"].map(canonical_timeframe)
    rows["exchange"] = rows["exchange"].map(canonical_exchange)
    most = rows.groupby(names)["count_all"].sum().reset_index().sort_values("count_all", kind="stable")
    last = most.drop_duplicates(names[:2], keep="last").sort_values(names, kind="stable")
    columns = (last[name].tolist() for name in (*names, "count_all"))
    return {
        (str(symbol), str(length)): _Held(int(count), str(exchange))
        for symbol, length, exchange, count in zip(*columns, strict=True)
    }


def _portions(held: dict[tuple[str, str], _Held]) -> Iterator[tuple[str, list[str]]]:
    """Yield timeframes with symbols whose bars are few enough to be held together."""
    for length in dict.fromkeys(length for _, length in held):
        names: list[str] = []
        size = 0
        for symbol in (symbol for symbol, other in held if other == length):
            bars = held[symbol, length].bars
            if names and size + bars > MOST_AT_ONCE:
                yield length, names
                names, size = [], 0
            names.append(symbol)
            size += bars
        yield length, names


def _series(bars: Bars, exchange: str, length_us: int) -> BarSeries:
    first, last = (EPOCH + timedelta(days=int(day)) for day in (bars.session.min(), bars.session.max()))
    regular = (bars.ts < bars.session_close) & (bars.ts + length_us > bars.session_open)
    if length_us == DAY_US:
        regular = np.ones(len(bars), dtype=bool)
    return BarSeries(bars.take(regular), bars.take(~regular), schedule(exchange, first, last), length_us)


def _found(key: tuple[str, str, str], told: Sequence[Suspicions]) -> pd.DataFrame:
    """Return what breaks rules as rows."""
    count = [len(one.ts) for one in told]
    joined = {
        name: np.concatenate([getattr(one, name) for one in told]) if told else np.zeros(0, dtype=np.int64)
        for name in ("ts", "session", "bars", "value")
    }
    rules = np.repeat(np.array([one.rule for one in told], dtype=object), count)
    errors = np.repeat(np.array([QUALITY_RULES[one.rule].error for one in told], dtype=bool), count)
    frame = pd.DataFrame(
        {
            **dict(zip(SERIES, key, strict=True)),
            "session": _midnights(joined["session"]),
            "ts": timestamps(joined["ts"]),
            "rule": rules,
            "error": errors,
            "bars": joined["bars"],
            "value": joined["value"].astype(np.float64),
        },
        index=range(sum(count)),
    )
    return frame[list(FOUND_COLUMNS)]


def _sessions(key: tuple[str, str, str], series: BarSeries, told: pd.DataFrame) -> pd.DataFrame:
    days = _midnights(series.sessions.session)
    errors = told["error"].to_numpy(dtype=bool)
    counts = [told["session"][mask].value_counts() for mask in (~errors, errors)]
    suspicious, broken = (count.reindex(days, fill_value=0).to_numpy() for count in counts)
    frame = pd.DataFrame(
        {
            **dict(zip(SERIES, key, strict=True)),
            "session": days,
            "expected": series.expected,
            "bars": series.there,
            "missing": series.missing,
            "suspicious": suspicious,
            "errors": broken,
        },
        index=range(len(days)),
    )
    return frame[list(SESSION_COLUMNS)]


def _midnights(days: np.ndarray) -> pd.DatetimeIndex:
    return pd.DatetimeIndex(days.astype("datetime64[D]").astype("datetime64[us]"))


def _percent(part: pd.Series, whole: pd.Series) -> float:
    total = float(whole.sum())
    return 100.0 * float(part.sum()) / total if total else 0.0
