"""Check of a kind of label of one's own against what every kind has to keep to."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import date
from typing import Any

import numpy as np

from whatif.calendars import schedule
from whatif.domain import DAY_US, MINUTE_US, PRICE_FIELDS, Bars, bar_ends, timestamps
from whatif.indicators import evaluate, parse
from whatif.labels import LabelKind, Labels, check_labels

FIRST, LAST, MINUTES = date(2013, 11, 25), date(2013, 12, 10), 40
"""Sessions of New York, a half day among them, and the minutes of each that are tried."""


def check_label(kind: type[LabelKind], keys: Mapping[str, Any] | None = None, name: str = "own") -> None:
    """Raise unless a kind of label keeps to the contract of `LabelKind` on minutes and on days.

    Parameters
    ----------
    kind : type
        The class.
    keys : mapping, optional
        Keys of its section, such as {"horizon": 5}; without `kind`.
    name : str
        What a study would give as `kind`.

    Raises
    ------
    StudyError
        If what it makes breaks the contract.
    AssertionError
        If a label depends on what comes after its `end` (after `known`, its value), depends on nothing that
        comes after its bar, or a section does not survive being written and read.
    """
    label = kind.model_validate({"kind": name, **(keys or {})})
    written = kind.model_validate(label.model_dump(by_alias=True))
    assert written == label, f"{name}: {written!r} was read back of {label!r}"
    seen = 0
    for bar_us in (MINUTE_US, DAY_US):
        bars = _market(bar_us)
        made = _made(label, bars, bar_us)
        assert _made(label, bars.slice(0, 0), bar_us).end.shape == (0,)
        for row in range(0, len(bars), max(1, len(bars) // 12)):
            seen += _check_after(label, bars, bar_us, made, row)
    assert seen, f"{name}: no label follows from what comes after its bar, so nothing was tried"


def _made(label: LabelKind, bars: Bars, bar_us: int) -> Labels:
    inputs = {name: evaluate(parse(text), bars) for name, text in label.inputs.items()}
    made = label.make(bars, bar_us, inputs)
    check_labels(label, bars, made)
    return made


def _check_after(label: LabelKind, bars: Bars, bar_us: int, made: Labels, row: int) -> int:
    """Change every bar after a row: what is known by then stays; return how many others did not."""
    other = _made(label, _changed_after(bars, row), bar_us)
    now = bar_ends(bars, bar_us)[row]
    over, when = (made.end > 0) & (made.end <= now), timestamps(bars.ts[row : row + 1])[0]
    assert np.array_equal(made.end[over], other.end[over]), f"{label.kind}: an end before {when} moved"
    known = made.end if made.known is None else made.known
    stands = (known > 0) & (known <= now)
    moved = 0
    for target in label.gives:
        before, after = made.values[target], other.values[target]
        assert before[stands].tobytes() == after[stands].tobytes(), (
            f"{label.kind}: a label that was known at {when} depends on a later bar"
        )
        later = (np.arange(len(bars)) <= row) & ~stands
        moved += int(np.count_nonzero(before[later] != after[later]))
    return moved


def _market(bar_us: int) -> Bars:
    """Return a walk of minutes with some missing, or of days."""
    sessions = schedule("XNYS", FIRST if bar_us < DAY_US else date(2013, 6, 3), LAST)
    count = MINUTES if bar_us < DAY_US else 1
    minute, which = np.tile(np.arange(count), len(sessions)), np.repeat(np.arange(len(sessions)), count)
    kept = np.arange(len(which)) % 17 != 16
    minute, which = minute[kept], which[kept]
    rng = np.random.default_rng(19)
    close = 100.0 * np.exp(np.cumsum(rng.normal(0.0, 0.01, len(which))))
    open_ = close * (1.0 + rng.normal(0.0, 0.004, len(which)))
    high, low = np.maximum(open_, close) * 1.003, np.minimum(open_, close) * 0.997
    return Bars(
        symbol="A",
        ts=sessions.open_us[which] + minute * MINUTE_US,
        open=open_,
        high=high,
        low=low,
        close=close,
        volume=np.ones(len(which)),
        vwap=(high + low + close) / 3.0,
        session=sessions.session[which],
        session_open=sessions.open_us[which],
        session_close=sessions.close_us[which],
    )


def _changed_after(bars: Bars, row: int) -> Bars:
    """Return the bars with other prices after a row: they fall and rise by turns, and far."""
    turns = np.where(np.arange(len(bars) - row - 1) % 2, 1.4, 0.6)
    factor = np.append(np.ones(row + 1), turns)
    prices = [name for name in PRICE_FIELDS if name != "volume"]
    return replace(bars, **{name: getattr(bars, name) * factor for name in prices})
