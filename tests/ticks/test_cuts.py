"""Where bars of trades begin and end: against plain loops, and what is traded is in them."""

from __future__ import annotations

import math
from collections.abc import Iterator
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from whatif.errors import SourceError
from whatif.ticks import (
    ImbalanceBars,
    Quotes,
    TickBars,
    TimeBars,
    Trades,
    VolumeBars,
    bar_kind,
    bars_in_parts,
    bars_of,
)

KINDS = (
    "1min", "7s", "250ms", "ticks(1)", "ticks(7)", "volume(40)", "volume(0.5)", "dollars(3000)",
    "imbalance(5)", "imbalance(5, volume)", "imbalance(5, dollars)",
)  # fmt: skip


@st.composite
def trades(draw: st.DrawFn) -> Trades:
    """Return trades of which many share an instant, and prices repeat."""
    n = draw(st.integers(1, 60))
    steps = draw(
        st.lists(st.sampled_from([0, 0, 1, 900, 250_000, 61_000_000, 86_400_000_000]), min_size=n, max_size=n)
    )
    prices = draw(st.lists(st.integers(9_900, 10_100), min_size=n, max_size=n))
    sizes = draw(st.lists(st.sampled_from([0.1, 0.25, 1.0, 3.0, 100.0]), min_size=n, max_size=n))
    start = draw(st.integers(0, 2_000_000_000_000_000))
    ts = start + np.cumsum(np.array(steps, dtype=np.int64))
    return Trades(ts, np.array(prices) / 100.0, np.array(sizes))


SLIDING = ("5s every 2s", "1min every 20s", "1d every 7h", "2ms every 1ms")


@st.composite
def quotes(draw: st.DrawFn, span: tuple[int, int]) -> Quotes:
    """Return quotes around a span of time, of which some tell one side or cross."""
    n = draw(st.integers(0, 40))
    side = st.sampled_from([math.nan, 99.0, 99.5, 100.0, 100.5])
    ts = sorted(draw(st.lists(st.integers(span[0] - 5, span[1] + 90_000_000), min_size=n, max_size=n)))
    bid, ask = (np.array(draw(st.lists(side, min_size=n, max_size=n)), dtype=np.float64) for _ in range(2))
    return Quotes(np.array(ts, dtype=np.int64), bid, ask)


@settings(max_examples=150, deadline=None)
@given(st.data(), trades(), st.sampled_from(KINDS + SLIDING), st.booleans())
def test_bars_of_parts_are_those_of_all_at_once(
    data: st.DataObject, given_trades: Trades, text: str, quoted: bool
) -> None:
    """Parts may be empty, may begin within a bar or an instant, and sides and averages go on."""

    def parts(whole: Any, names: tuple[str, ...]) -> list[Any]:
        n = len(whole.ts)
        ends = sorted(data.draw(st.lists(st.integers(0, n), max_size=6)))
        return [
            type(whole)(*(getattr(whole, name)[a:b] for name in names)) for a, b in pairwise([0, *ends, n])
        ]

    kind, further = bar_kind(text), {"most": lambda some: some.size.max()}
    told = data.draw(quotes((given_trades.ts[0], given_trades.ts[-1]))) if quoted else None
    made = list(
        bars_in_parts(
            iter(parts(given_trades, ("ts", "price", "size"))),
            kind,
            None if told is None else iter(parts(told, ("ts", "bid", "ask"))),
            further,
        )
    )
    whole = bars_of(given_trades, kind, told, further)
    for name, values in whole.items():
        assert np.concatenate([part[name] for part in made]).tobytes() == values.tobytes(), name


@pytest.mark.parametrize("text", ["1min", "ticks(50)", "1min every 20s", "imbalance(40, volume)"])
def test_of_earlier_parts_little_is_held(text: str) -> None:
    """Of trades and quotes that come a hundred at a time, those of newest bars are held, and no others."""
    rng = np.random.default_rng(8)
    held: list[int] = []

    def watched(some: Trades) -> float:
        held.append(len(some.price.base if some.price.base is not None else some.price))
        return 0.0

    def of(n: int, make: Any) -> Iterator[Any]:
        for k in range(n):
            ts = k * 100_000_000 + np.sort(rng.integers(0, 100_000_000, 100))
            yield make(ts, 100.0 + rng.choice([-0.01, 0.0, 0.01], 100), np.full(100, 101.0))

    for _ in bars_in_parts(of(60, Trades), bar_kind(text), of(60, Quotes), {"held": watched}):
        pass
    assert len(held) > 50
    assert max(held) < 1_500


@settings(max_examples=60, deadline=None)
@given(trades(), st.sampled_from(KINDS))
def test_bars_hold_what_was_traded(given_trades: Trades, text: str) -> None:
    bars = bars_of(given_trades, bar_kind(text))
    assert bars["trade_count"].sum() == len(given_trades)
    assert math.fsum(bars["volume"]) == pytest.approx(math.fsum(given_trades.size), rel=1e-12)
    assert math.fsum(bars["value"]) == pytest.approx(math.fsum(given_trades.value), rel=1e-12)
    assert bars["open"][0] == given_trades.price[0]
    assert bars["close"][-1] == given_trades.price[-1]
    assert bars["high"].max() == given_trades.price.max()
    assert bars["low"].min() == given_trades.price.min()
    assert (bars["trade_count"] > 0).all()
    assert (np.diff(bars["ts"]) >= 0).all()
    assert (bars["end"] >= bars["ts"]).all()
    # every mean lies between the extremes
    for name in ("vwap", "twap"):
        assert (bars[name] <= bars["high"] * (1 + 1e-12)).all()
        assert (bars[name] >= bars["low"] * (1 - 1e-12)).all()
    assert (bars["buy_volume"] + bars["sell_volume"] <= bars["volume"] * (1 + 1e-12)).all()


@settings(max_examples=60, deadline=None)
@given(trades(), st.sampled_from(KINDS), st.integers(0, 59))
def test_later_trades_change_no_bar_that_has_ended(given_trades: Trades, text: str, cut: int) -> None:
    kind = bar_kind(text)
    whole = bars_of(given_trades, kind)
    early = bars_of(given_trades.part(0, cut), kind)
    ended = early["complete"] & (early["end"] <= given_trades.ts[min(cut, len(given_trades) - 1)])
    if isinstance(kind, TimeBars):
        ended &= early["end"] <= given_trades.ts[min(cut, len(given_trades)) - 1] if cut else False
    for name, values in early.items():
        kept = values[ended]
        assert kept.tobytes() == whole[name][: len(values)][ended].tobytes(), name


@settings(max_examples=60, deadline=None)
@given(trades(), st.sampled_from([0.3, 1.0, 40.0, 1_000.0]))
def test_volume_bars_are_those_of_a_plain_loop(given_trades: Trades, volume: float) -> None:
    ends, total = [], 0.0
    for k, size in enumerate(given_trades.size, 1):
        total += size
        if total >= volume:
            ends.append(k)
            total = 0.0
    whole = len(ends)
    if not ends or ends[-1] < len(given_trades):
        ends.append(len(given_trades))
    bars = bars_of(given_trades, VolumeBars(volume))
    assert np.cumsum(bars["trade_count"]).tolist() == ends
    assert bars["complete"].tolist() == [k < whole for k in range(len(ends))]
    assert (bars["volume"][bars["complete"]] >= volume * (1 - 1e-12)).all()


@settings(max_examples=60, deadline=None)
@given(trades(), st.integers(1, 9), st.integers(1, 30), st.sampled_from(["ticks", "volume"]))
def test_imbalance_bars_are_those_of_a_plain_loop(
    given_trades: Trades, ticks: int, memory: int, of: str
) -> None:
    sides, last = [], 0.0
    for k, price in enumerate(given_trades.price):
        if k and price != given_trades.price[k - 1]:
            last = 1.0 if price > given_trades.price[k - 1] else -1.0
        sides.append(last)
    flows = [b * (1.0 if of == "ticks" else v) for b, v in zip(sides, given_trades.size, strict=True)]
    counts, held, expected, mean = [], [], float(ticks), None
    for flow in flows:
        held.append(flow)
        if mean is None:
            if len(held) < ticks:
                continue
            mean = sum(held) / len(held)
        else:
            total = 0.0
            for one in held:
                total += one
            if abs(total) < expected * abs(mean):
                continue
            expected += 2.0 / (memory + 1.0) * (len(held) - expected)
            for one in held:
                mean += 2.0 / (memory * ticks + 1.0) * (one - mean)
        counts.append(len(held))
        held = []
    counts += [len(held)] if held else []
    assert bars_of(given_trades, ImbalanceBars(ticks, of, memory))["trade_count"].tolist() == counts


@settings(max_examples=60, deadline=None)
@given(trades(), st.sampled_from([(60_000_000, 20_000_000), (5_000_000, 2_000_000), (900, 1)]))
def test_sliding_bars_hold_what_lies_in_them(given_trades: Trades, lengths: tuple[int, int]) -> None:
    length, slide = lengths
    bars = bars_of(given_trades, TimeBars(length, slide))
    starts = set()
    for at in given_trades.ts.tolist():
        first = (at - length) // slide + 1
        starts |= {k * slide for k in range(first, at // slide + 1)}
    assert bars["ts"].tolist() == sorted(starts)
    for k, start in enumerate(bars["ts"].tolist()):
        inside = (given_trades.ts >= start) & (given_trades.ts < start + length)
        assert bars["volume"][k] == pytest.approx(given_trades.size[inside].sum(), rel=1e-12)
        assert bars["close"][k] == given_trades.price[inside][-1]
        assert bars["high"][k] == given_trades.price[inside].max()


def test_a_time_bar_begins_on_its_grid_and_ends_before_the_next() -> None:
    at = np.array([59_999_999, 60_000_000, 119_999_999, 120_000_000], dtype=np.int64)
    bars = bars_of(Trades(at, np.array([1.0, 2.0, 3.0, 4.0]), np.ones(4)), bar_kind("1min"))
    assert bars["ts"].tolist() == [0, 60_000_000, 120_000_000]
    assert bars["close"].tolist() == [1.0, 3.0, 4.0]
    shifted = bars_of(Trades(at, np.ones(4), np.ones(4)), TimeBars(60_000_000, origin_us=30_000_000))
    assert shifted["ts"].tolist() == [30_000_000, 90_000_000]


def test_a_trade_that_reaches_the_volume_belongs_whole_to_its_bar() -> None:
    made = bars_of(
        Trades(np.arange(4), np.array([10.0, 11.0, 12.0, 13.0]), np.array([3.0, 9.0, 2.0, 1.0])),
        VolumeBars(5.0),
    )
    assert made["volume"].tolist() == [12.0, 3.0]
    assert made["complete"].tolist() == [True, False]
    assert (made["ts"].tolist(), made["end"].tolist()) == ([0, 2], [1, 3])


@pytest.mark.parametrize("text", KINDS)
def test_no_trades_are_no_bars(text: str) -> None:
    none = Trades(np.zeros(0, dtype=np.int64), np.zeros(0), np.zeros(0))
    assert all(len(values) == 0 for values in bars_of(none, bar_kind(text)).values())


def test_a_kind_is_known_by_its_text() -> None:
    assert bar_kind("5min every 1min") == TimeBars(300_000_000, 60_000_000)
    assert bar_kind("ticks(500)") == TickBars(500)
    assert bar_kind("imbalance(20, dollars)") == ImbalanceBars(20, "dollars")
    assert bar_kind(VolumeBars(2.0)) == VolumeBars(2.0)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("1 fortnight", "are unknown"),
        ("tick(5)", "did you mean 'ticks'?"),
        ("ticks(0)", "count of tick bars is 0: give a whole number of at least 1"),
        ("ticks(1.5)", "'1.5' is not a whole number"),
        ("volume(-1)", "volume of volume bars is -1.0: give a finite number above 0"),
        ("volume(nan)", "a finite number above 0"),
        ("ticks(5, 6)", "have more than they take"),
        ("imbalance(5, volum)", "did you mean 'volume'?"),
        ("1min every 5min", "let them slide by at most their length"),
        ("1d every 1us", "at most 10,000 times"),
        ("1min every x", "'x' is not a length"),
        ("999999999999d", "1,000 years at most"),
        (5, "bars of '5' are unknown"),
    ],
)
def test_what_is_no_kind_is_refused(text: str, said: str) -> None:
    with pytest.raises(SourceError) as refused:
        bar_kind(text)
    assert said in str(refused.value)


def test_trades_that_go_back_are_refused() -> None:
    with pytest.raises(SourceError, match="trade 3 is earlier than the one before it"):
        Trades(np.array([1, 3, 2]), np.ones(3), np.ones(3))
