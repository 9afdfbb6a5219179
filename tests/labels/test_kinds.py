"""Labels by hand: twelve bars each, and no label that looks beyond what it says."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from typing import Any

import numpy as np
import pytest

from whatif.calendars import schedule
from whatif.domain import DAY_US, MINUTE_US, Bars, bar_ends
from whatif.errors import StudyError
from whatif.labels import SEAM, LabelKind, Labels, check_labels
from whatif.testing import check_label

NAN = np.nan


def days(rows: list[tuple[float, float, float, float]], missing: tuple[int, ...] = ()) -> Bars:
    """Return daily bars from 18 November 2013 on, the 29th a half day; open, high, low, close.

    `missing` are sessions without a bar, counted from 0.
    """
    sessions = schedule("XNYS", date(2013, 11, 18), date(2013, 12, 31))
    at = [k for k in range(len(sessions)) if k not in missing][: len(rows)]
    return _bars(rows, sessions.open_us[at], *(getattr(sessions, n)[at] for n in _SESSION))


def minutes(rows: list[tuple[float, float, float, float]], stamps: list[tuple[int, int]]) -> Bars:
    """Return minutes of sessions from Wednesday, 27 November 2013 on: number of the session, minute."""
    sessions = schedule("XNYS", date(2013, 11, 27), date(2013, 12, 3))
    at = [k for k, _ in stamps]
    ts = sessions.open_us[at] + np.array([minute for _, minute in stamps]) * MINUTE_US
    return _bars(rows, ts, *(getattr(sessions, n)[at] for n in _SESSION))


_SESSION = ("session", "open_us", "close_us")


def _bars(rows, ts, session, opened, closed) -> Bars:
    open_, high, low, close = np.array(rows, dtype=np.float64).T
    return Bars("A", ts, open_, high, low, close, np.ones(len(ts)), close, session, opened, closed)


def flat(*closes: float) -> list[tuple[float, float, float, float]]:
    """Return bars without a range."""
    return [(close,) * 4 for close in closes]


def made(bars: Bars, bar_us: int, **keys: Any) -> Labels:
    label = SEAM.section(keys)
    found = label.make(bars, bar_us, {})
    check_labels(label, bars, found)
    return found


def ended_in(bars: Bars, bar_us: int, at: Any) -> list[int]:
    """Return the row of the bar that ends at each instant; -1 for none."""
    ends = bar_ends(bars, bar_us).tolist()
    return [ends.index(one) if one else -1 for one in at.tolist()]


TWELVE = days(
    [
        (100, 100, 100, 100),  # 0
        (100, 101, 99, 100),  # 1
        (100, 103, 100, 102),  # 2  its high reaches 102
        (103, 104, 102, 103),  # 3
        (98, 99, 97, 98),  # 4      opens below everything
        (98, 98.5, 97.5, 98),  # 5
        (98, 101, 96, 98),  # 6     reaches far both ways
        (98, 98.5, 97.5, 98),  # 7
        (98, 98.5, 97.5, 98),  # 8     the half day
        (102, 103, 101, 102),  # 9  opens above everything
        (102, 102, 102, 102),  # 10
        (102, 102, 102, 102),  # 11
    ]
)


class TestTripleBarrier:
    KEYS: Any = {"kind": "triple_barrier", "target": 0.02, "stop": 0.015, "horizon": 2}

    def test_twelve_days_by_hand(self) -> None:
        """Entry at the next open e: long wins at 1.02 e and loses at 0.985 e, short the other way round."""
        found = made(TWELVE, DAY_US, **self.KEYS)
        # 0: e 100, day 1 touches nothing, day 2 has 103: long wins
        # 1: e 100, day 2 has 103: long wins
        # 2: e 103 (105.06, 101.455), day 3 touches nothing, day 4 opens at 98: a gap, short wins
        # 3: e 98, nothing to 5. 4: e 98, day 6 has 101 (>= 99.96) and 96 (<= 96.53): both, the stops count
        # 5: e 98, day 6 the same. 6: e 98, nothing to 8. 7: e 98, day 9 opens at 102: long wins by a gap
        # 8: e 102, nothing. 9: e 102, nothing. 10, 11: their horizon is not there
        np.testing.assert_array_equal(found.values["class"], [1, 1, -1, 0, 0, 0, 0, 1, 0, 0, NAN, NAN])
        assert ended_in(TWELVE, DAY_US, found.end) == [2, 3, 4, 5, 6, 7, 8, 9, 10, 11, -1, -1]
        assert ended_in(TWELVE, DAY_US, found.known) == [2, 2, 4, 5, 6, 6, 8, 9, 10, 11, -1, -1]

    def test_from_the_close_a_gap_counts_on_the_first_day(self) -> None:
        """Row 8 closes at 98, and day 9 opens at 102: who entered at the close has won at its open."""
        found = made(TWELVE, DAY_US, **self.KEYS, entry="close")
        np.testing.assert_array_equal(
            found.values["class"],
            # 2: close 102: the 104 of day 3 is below 104.04 and beyond 103.53, where a short stops; day 4
            # opens below 100.47, where a long does. 3: close 103, day 4 opens at 98: short
            [1, 1, 0, -1, 0, 0, 0, 1, 1, 0, NAN, NAN],
        )
        assert ended_in(TWELVE, DAY_US, found.known)[2:4] == [4, 4]

    def test_by_closes_alone(self) -> None:
        """Day 6 closes where it opened: neither of its ends is seen."""
        found = made(TWELVE, DAY_US, **self.KEYS, touch="close")
        # 1: e 100, closes 102 >= 102: long. 4, 5: e 98, close 98. 7: e 98, close 102: long
        np.testing.assert_array_equal(found.values["class"], [1, 1, -1, 0, 0, 0, 0, 1, 0, 0, NAN, NAN])
        assert ended_in(TWELVE, DAY_US, found.known)[4:6] == [6, 7]

    def test_one_side_alone(self) -> None:
        long = made(TWELVE, DAY_US, **self.KEYS, side="long").values["class"]
        short = made(TWELVE, DAY_US, **self.KEYS, side="short").values["class"]
        np.testing.assert_array_equal(long, [1, 1, 0, 0, 0, 0, 0, 1, 0, 0, NAN, NAN])
        np.testing.assert_array_equal(short, [0, 0, -1, 0, 0, 0, 0, 0, 0, 0, NAN, NAN])

    def test_of_two_that_win_the_earlier(self) -> None:
        """Target 2 %, stop 10 %: day 2 reaches 102, day 4 opens below 98; both targets come before a stop."""
        keys = {**self.KEYS, "stop": 0.1, "horizon": 4}
        found = made(TWELVE, DAY_US, **keys)
        assert found.values["class"][0] == 1
        assert ended_in(TWELVE, DAY_US, found.known)[0] == 2
        # row 5, e 98: day 6 reaches 99.96 and 96.04 both, nobody knows which was first
        assert found.values["class"][5] == 0

    def test_a_missing_session_is_not_counted(self) -> None:
        """Without 20 November, day 2, the two days ahead of row 0 are the 19th and the 21st."""
        rows = [TWELVE.open, TWELVE.high, TWELVE.low, TWELVE.close]
        kept = [tuple(series[k] for series in rows) for k in range(12) if k != 2]
        bars = days(kept, missing=(2,))
        found = made(bars, DAY_US, **self.KEYS)
        assert found.values["class"][0] == 1  # 21 November opens at 103, beyond 102
        assert ended_in(bars, DAY_US, found.end)[:2] == [2, 3]

    def test_multiples_of_a_scale(self) -> None:
        """Twice a scale of 1 % is 2 %, one and a half times it 1.5 %; without a scale there is no label."""
        label = SEAM.section({**self.KEYS, "target": 2.0, "stop": 1.5, "scale": "atr(2) / close"})
        assert label.inputs == {"scale": "atr(2) / close"}
        scale = np.full(12, 0.01)
        scale[:3] = NAN, 0.0, np.inf
        found = label.make(TWELVE, DAY_US, {"scale": scale})
        check_labels(label, TWELVE, found)
        np.testing.assert_array_equal(found.values["class"], [NAN, NAN, NAN, 0, 0, 0, 0, 1, 0, 0, NAN, NAN])

    def test_minutes_keep_to_their_session(self) -> None:
        """The half day of 29 November closes at minute 210; its last two bars have no two behind them."""
        stamps = [(0, 388), (0, 389), *((1, 207 + k) for k in range(3)), *((2, k) for k in range(7))]
        bars = minutes(flat(100, 100, 100, 103, 103, 103, 103, 103, 100, 100, 100, 100), stamps)
        found = made(bars, MINUTE_US, **self.KEYS, entry="close")
        np.testing.assert_array_equal(
            found.values["class"], [NAN, NAN, 1, NAN, NAN, 0, -1, -1, 0, 0, NAN, NAN]
        )
        assert found.end[2] == bars.session_close[2]
        over = made(bars, MINUTE_US, **self.KEYS, entry="close", overnight=True)
        # 0: 100 to the 100 of the next session. 1: the second bar ahead is 103. 3, 4: 103 stays 103
        np.testing.assert_array_equal(over.values["class"][:6], [0, 1, 1, 0, 0, 0])


class TestReferenceBarrier:
    KEYS: Any = {"kind": "reference_barrier", "target": 0.02, "stop": 0.015, "horizon": 2}

    def test_twelve_closes_by_hand(self) -> None:
        """Highest and lowest of the next two closes, whichever came first, from the row's own close."""
        bars = days(flat(100, 102, 98, 100, 98.5, 102, 100, 98, 97, 99, 101, 100))
        found = made(bars, DAY_US, **self.KEYS)
        # 0: 102, 98: reaches 2 % and falls 2 %: neither. 1: 98, 100: -3.9 %, -2 %: short
        # 2: 100, 98.5: +2.04 %: long. 3: 98.5, 102: -1.5 %, +2 %: long. 4: 102, 100: +3.6 %: long
        # 5: 100, 98: short. 6: 98, 97: short. 7: 97, 99: neither. 8: 99, 101: +2.1 %: long. 9: 101: +2.02 %
        np.testing.assert_array_equal(found.values["class"], [0, -1, 1, 1, 1, -1, -1, 0, 1, 1, NAN, NAN])
        assert ended_in(bars, DAY_US, found.end) == [2, 3, 4, 5, 6, 7, 8, 9, 10, 11, -1, -1]

    def test_it_does_not_know_what_came_first(self) -> None:
        """Down 1.6 % inside the first day, up 2 % at its close: the samples say long, a stop was hit."""
        bars = days([(100, 100, 100, 100), (100, 102.1, 98.4, 102), *flat(*[102] * 10)])
        assert made(bars, DAY_US, **self.KEYS).values["class"][0] == 1
        trade = made(bars, DAY_US, **{**self.KEYS, "kind": "triple_barrier"})
        assert trade.values["class"][0] == 0


class TestForwardReturn:
    BARS = days(flat(100, 101, 102, 103, 104, 105, 106, 107, 108, 109, 110, 111), missing=(3,))

    @pytest.mark.parametrize("unit", ["bars", "sessions"])
    def test_twelve_days_by_hand(self, unit: str) -> None:
        """Of days, three bars are three sessions; 21 November has none and is not counted."""
        found = made(self.BARS, DAY_US, kind="forward_return", horizon=3, unit=unit)
        level = [103, 104, 105, 106, 107, 108, 109, 110, 111, NAN, NAN, NAN]
        np.testing.assert_array_equal(found.values["level"], level)
        np.testing.assert_array_equal(found.values["return"], np.array(level) / self.BARS.close - 1)
        assert ended_in(self.BARS, DAY_US, found.end) == [3, 4, 5, 6, 7, 8, 9, 10, 11, -1, -1, -1]
        # the half day of 29 November ends at 18:00 UTC, after 210 minutes
        assert found.end[4] == self.BARS.session_close[7] == self.BARS.session_open[7] + 210 * MINUTE_US

    STAMPS = [
        (0, 0),
        (0, 1),
        (0, 3),
        (0, 4),
        (1, 0),
        (1, 1),
        (1, 208),
        (1, 209),
        (2, 0),
        (2, 1),
        (2, 2),
        (2, 3),
    ]
    MINUTES = minutes(flat(10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21), STAMPS)

    def test_minutes_by_hand(self) -> None:
        """Two bars ahead in the session: minute 2 of the first one is missing, and not counted."""
        found = made(self.MINUTES, MINUTE_US, kind="forward_return", horizon=2)
        level = [12, 13, NAN, NAN, 16, 17, NAN, NAN, 20, 21, NAN, NAN]
        np.testing.assert_array_equal(found.values["level"], level)
        over = made(self.MINUTES, MINUTE_US, kind="forward_return", horizon=2, overnight=True)
        np.testing.assert_array_equal(over.values["level"], [*range(12, 22), NAN, NAN])

    def test_sessions_of_minutes(self) -> None:
        """One session ahead is the last minute that the symbol has in the next session."""
        found = made(self.MINUTES, MINUTE_US, kind="forward_return", horizon=1, unit="sessions")
        np.testing.assert_array_equal(found.values["level"], [17] * 4 + [21] * 4 + [NAN] * 4)
        assert ended_in(self.MINUTES, MINUTE_US, found.end) == [7] * 4 + [11] * 4 + [-1] * 4


class TestTrendScanning:
    def test_twelve_closes_by_hand(self) -> None:
        """Up a straight line, then down one: the line that fits without error is the one that is taken."""
        bars = days(flat(100, 101, 102, 103, 104, 105, 104, 103, 102, 101, 100, 99))
        found = made(bars, DAY_US, kind="trend_scanning", shortest=3, horizon=4)
        # 2: 102 103 104 105 is straight, 102 103 104 105 104 is not. 3: 103 104 105 104 rises by 0.4 a bar,
        # 103 104 105 104 103 by nothing. 4: 104 105 104 103 falls, and 104 105 104 103 102 more surely
        np.testing.assert_array_equal(found.values["class"], [1, 1, 1, 1, -1, -1, -1, -1, NAN, NAN, NAN, NAN])
        assert ended_in(bars, DAY_US, found.end) == [4, 5, 6, 7, 8, 9, 10, 11, -1, -1, -1, -1]
        # the line of row 3: x 0 1 2 3, y 0 1 2 1: slope 0.4, residuals squared 1.2, t = 0.4 / sqrt(0.6 / 5)
        assert 0.4 / np.sqrt(0.6 / 5) == pytest.approx(1.1547, abs=1e-4)
        for least, value in ((1.15, 1), (1.16, 0)):
            keys = {"kind": "trend_scanning", "shortest": 3, "horizon": 4, "least_t": least}
            assert made(bars, DAY_US, **keys).values["class"][3] == value

    def test_nothing_moves(self) -> None:
        found = made(days(flat(*[100] * 12)), DAY_US, kind="trend_scanning", shortest=3, horizon=5)
        np.testing.assert_array_equal(found.values["class"], [0] * 7 + [NAN] * 5)


class TestMeta:
    def test_twelve_days_by_hand(self) -> None:
        """What triple_barrier says of both sides, seen from the side that the rule gave."""
        label = SEAM.section({"kind": "meta", "side": "roc(1)", "target": 0.02, "stop": 0.015, "horizon": 2})
        side = np.array([0.3, -1, -2, NAN, 0, 1, 1, 5, 1, -1, 1, 1])
        found = label.make(TWELVE, DAY_US, {"side": side})
        check_labels(label, TWELVE, found)
        # 0: long and right. 1: short, and long would win. 2: short and right. 3, 4: the rule says nothing
        np.testing.assert_array_equal(found.values["class"], [1, 0, 1, NAN, NAN, 0, 0, 1, 0, 0, NAN, NAN])
        np.testing.assert_array_equal(found.values["side"], np.sign(side))
        # row 1: a short loses at 101.5, which day 2 reaches
        assert ended_in(TWELVE, DAY_US, found.known) == [2, 2, 4, -1, -1, 6, 8, 9, 10, 11, -1, -1]


class TestForwardVwap:
    def test_twelve_minutes_by_hand(self) -> None:
        """The vwap (here the close) of the minute two later: it has to be there, and in the session."""
        bars = TestForwardReturn.MINUTES
        found = made(bars, MINUTE_US, kind="forward_vwap", horizon="2min")
        # minutes 0 1 3 4 of Wednesday: 1 finds 3. 0 1 208 209 of the half day: none. 0 to 3 of Monday: 0, 1
        level = [NAN, 12, NAN, NAN, NAN, NAN, NAN, NAN, 20, 21, NAN, NAN]
        np.testing.assert_array_equal(found.values["level"], level)
        np.testing.assert_array_equal(found.values["return"], np.array(level) / bars.close - 1)
        assert ended_in(bars, MINUTE_US, found.end) == [-1, 2, -1, -1, -1, -1, -1, -1, 10, 11, -1, -1]
        # a minute ahead, the last one of the half day ends with it, at 18:00 UTC
        near = made(bars, MINUTE_US, kind="forward_vwap", horizon="1min")
        np.testing.assert_array_equal(
            near.values["level"], [11, NAN, 13, NAN, 15, NAN, 17, NAN, 19, 20, 21, NAN]
        )
        assert near.end[6] == bars.session_close[6]


CLOSES = flat(100, 102, 98, 100, 98.5, 102, 100, 98, 97, 99, 101, 100)
LINE = flat(100, 101, 102, 103, 104, 105, 104, 103, 102, 101, 100, 99)
BY_HAND: list[tuple[dict[str, Any], list[Any], list[float]]] = [
    (TestReferenceBarrier.KEYS, CLOSES, [0, -1, 1, 1, 1, -1, -1, 0, 1, 1, NAN, NAN]),
    (
        {"kind": "trend_scanning", "shortest": 3, "horizon": 4},
        LINE,
        [1, 1, 1, 1, -1, -1, -1, -1, NAN, NAN, NAN, NAN],
    ),
]


@pytest.mark.parametrize(("keys", "rows", "wanted"), BY_HAND, ids=["reference_barrier", "trend_scanning"])
@pytest.mark.parametrize("missing", [(), (4,), (0, 8)])
def test_days_are_those_that_there_are(
    keys: dict[str, Any], rows: list[Any], wanted: list[float], missing: tuple[int, ...]
) -> None:
    """A session without a bar is not counted, and the half day is a day; its label ends when it closes."""
    bars = days(rows, missing=missing)
    found = made(bars, DAY_US, **keys)
    np.testing.assert_array_equal(found.values["class"], wanted)
    ahead = keys["horizon"]
    assert found.end[: 12 - ahead].tolist() == bars.session_close[ahead:].tolist()
    half = bars.session_close - bars.session_open == 210 * MINUTE_US
    assert half.sum() == (8 not in missing)


def test_a_meta_label_counts_the_days_that_there_are() -> None:
    """By hand as above, of the same days without 20 November, and of the side that the rule gave then."""
    rows = [tuple(s[k] for s in (TWELVE.open, TWELVE.high, TWELVE.low, TWELVE.close)) for k in range(12)]
    bars = days(rows, missing=(2,))  # type: ignore[arg-type]
    label = SEAM.section({"kind": "meta", "side": "roc(1)", "target": 0.02, "stop": 0.015, "horizon": 2})
    side = np.array([0.3, -1, -2, NAN, 0, 1, 1, 5, 1, -1, 1, 1])
    found = label.make(bars, DAY_US, {"side": side})
    np.testing.assert_array_equal(found.values["class"], [1, 0, 1, NAN, NAN, 0, 0, 1, 0, 0, NAN, NAN])
    # the half day, 29 November, is row 7 now, which row 5 looks at last
    assert found.end[5] == bars.session_close[7] == bars.session_open[7] + 210 * MINUTE_US


KINDS: dict[str, Any] = {
    "forward_vwap": {"horizon": "5min"},
    "forward_return": {"horizon": 4},
    "triple_barrier": {"horizon": 4},
    "reference_barrier": {"horizon": 4},
    "trend_scanning": {"shortest": 3, "horizon": 4},
    "meta": {"side": "roc(2)", "horizon": 4, "scale": "stddev(roc(1), 3)", "target": 1.5, "stop": 1.0},
}


def test_every_kind_is_looked_at() -> None:
    assert sorted(KINDS) == sorted(SEAM.built_in)


@pytest.mark.parametrize("kind", sorted(KINDS))
def test_no_label_depends_on_what_comes_after_it_is_known(kind: str) -> None:
    check_label(SEAM.find(kind), KINDS[kind], kind)


@pytest.mark.parametrize(
    "keys",
    [
        {"horizon": 2, "unit": "sessions"}, {"horizon": 30, "overnight": True},
        {"horizon": 4, "touch": "close", "entry": "close"}, {"horizon": 4, "side": "short", "stop": 0.1},
    ],
)  # fmt: skip
def test_nor_with_other_keys(keys: dict[str, Any]) -> None:
    check_label(SEAM.find("triple_barrier"), keys, "triple_barrier")


class Ahead(LabelKind):
    """One that says that it is known before it is."""

    def reach(self, bar_us, session_us):
        return SEAM.section({"kind": "forward_return", "horizon": 4}).reach(bar_us, session_us)

    def make(self, bars, bar_us, inputs):
        made = SEAM.section({"kind": "forward_return", "horizon": 4}).make(bars, bar_us, inputs)
        early = np.where(made.end > 0, bar_ends(bars, bar_us), 0)
        return Labels({"class": np.sign(made.values["return"])}, early)


def test_the_suite_tells_one_that_is_known_too_early() -> None:
    with pytest.raises(AssertionError, match=r"own: a label that was known at .* depends on a later bar"):
        check_label(Ahead)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"values": {}}, "it gives , and says level, return"),
        ({"end": np.zeros(11, dtype=np.int64)}, r"end has one value for each bar: \(12,\), not \(11,\)"),
        ({"end": np.zeros(12, dtype=np.int64)}, "a bar has an end exactly where it has a label"),
        ({"known": np.zeros(12, dtype=np.int64)}, "it gives known if it says known_early, and only then"),
    ],
)
def test_what_breaks_the_contract_is_named(change: dict[str, Any], said: str) -> None:
    label = SEAM.section({"kind": "forward_return"})
    broken = replace(label.make(TWELVE, DAY_US, {}), **change)
    with pytest.raises(StudyError, match=f"label: kind 'forward_return' breaks its contract: {said}"):
        check_labels(label, TWELVE, broken)
