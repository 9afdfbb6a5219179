"""Returns of other studies' trials, on a study's own periods; no JVM."""

from __future__ import annotations

from datetime import date
from types import SimpleNamespace

import numpy as np
import pyarrow as pa
import pytest

from whatif.calendars import make_periods, schedule
from whatif.domain.timeframe import MINUTE_US
from whatif.results import others as module
from whatif.results.others import Grid, other_returns
from whatif.results.store import ResultStore
from whatif.results.trials import OtherTrial, Place

RESOLVED = SimpleNamespace(study=SimpleNamespace(calendar=SimpleNamespace(exchange="XNYS")))
STORE = ResultStore(None, RESOLVED)
SESSIONS = schedule("XNYS", date(2023, 1, 3), date(2023, 1, 31))
"""Twenty sessions."""


def place(first: int, stop: int, period: str = "session") -> Place:
    """Return the window of some sessions."""
    return Place(int(SESSIONS.open_us[first]), int(SESSIONS.open_us[stop]), period, "1min")


def ends(where: Place) -> np.ndarray:
    inside = SESSIONS.between(where.start_us, where.end_us)
    return make_periods(where.period, inside, where.start_us, where.end_us, MINUTE_US).ends


def grid(first: int, stop: int, period: str = "session") -> Grid:
    where = place(first, stop, period)
    return Grid((where.start_us,), (ends(where),))


def lake(monkeypatch, rows: list[tuple[str, str, Place, list[float]]], snapshots: list[int] | None = None):
    """Let `returns` hold some rows, each of a batch of its own."""

    def stream(_store, _table, columns, _filter):
        for k, (config_id, symbol, where, returns) in enumerate(rows):
            row = {
                "config_id": [config_id],
                "symbol": [symbol],
                "window_start": pa.array([where.start_us], pa.timestamp("us", "UTC")),
                "window_end": pa.array([where.end_us], pa.timestamp("us", "UTC")),
                "period": [where.period],
                "bars_snapshot": [snapshots[k] if snapshots else 1],
                "data_digest": ["d"],
                "returns": [returns],
            }
            yield from pa.table({name: row[name] for name in columns}).to_batches()

    monkeypatch.setattr(ResultStore, "stream", stream)


def trial(config_id: str, *places: Place, study: str = "sweep", symbol: str = "A") -> OtherTrial:
    return OtherTrial((config_id, symbol), study, tuple((config_id, symbol, where) for where in places))


def read(of: Grid, *trials: OtherTrial):
    return other_returns(STORE, of, trials)


def test_windows_that_overlap_share_the_sessions_that_both_have(monkeypatch) -> None:
    theirs = place(5, 15)
    returns = [0.01 * k for k in range(1, 11)]
    lake(monkeypatch, [("c", "A", theirs, returns)])
    found = read(grid(0, 10), trial("c", theirs))
    # sessions 5 to 9 of the study's ten are their first five
    assert np.isnan(found.returns[:5, 0]).all()
    assert found.returns[5:, 0].tolist() == pytest.approx(returns[:5])
    assert (found.stand_for, found.unseen_why, found.symbols) == (1, "", ("A",))


def test_hours_are_compounded_to_sessions(monkeypatch) -> None:
    hours = place(0, 2, "hour")
    # XNYS: 9:30 to 16:00, six hours and a half one
    assert len(ends(hours)) == 14
    lake(monkeypatch, [("c", "A", hours, [0.1] * 7 + [0.0] * 6 + [0.2])])
    found = read(grid(0, 3), trial("c", hours)).returns[:, 0]
    assert found[:2].tolist() == pytest.approx([1.1**7 - 1.0, 0.2])
    assert np.isnan(found[2])


def test_sessions_stand_at_the_hour_that_they_end_in(monkeypatch) -> None:
    sessions = place(0, 2)
    lake(monkeypatch, [("c", "A", sessions, [0.1, 0.2])])
    found = read(grid(0, 2, "hour"), trial("c", sessions)).returns[:, 0]
    assert {k: found[k] for k in np.flatnonzero(np.isfinite(found))} == {6: 0.1, 13: 0.2}


def test_several_windows_of_the_study_one_after_the_other(monkeypatch) -> None:
    theirs = place(2, 12)
    lake(monkeypatch, [("c", "A", theirs, [float(k) for k in range(2, 12)])])
    windows = [place(0, 4), place(8, 14)]
    of = Grid(tuple(w.start_us for w in windows), tuple(ends(w) for w in windows))
    found = read(of, trial("c", theirs)).returns[:, 0]
    assert found[[2, 3, 4, 5, 6, 7]].tolist() == [2.0, 3.0, 8.0, 9.0, 10.0, 11.0]
    assert np.isnan(found[[0, 1, 8, 9]]).all()


def test_of_several_snapshots_one_is_taken_and_symbols_of_one_trial_are_averaged(monkeypatch) -> None:
    where = place(0, 3)
    rows = [("c", "A", where, [0.1] * 3), ("c", "A", where, [0.3] * 3), ("c", "B", where, [0.5] * 3)]
    pooled = OtherTrial(("c",), "sweep", (("c", "A", where), ("c", "B", where)))
    for order in ([0, 1, 2], [2, 1, 0]):
        lake(monkeypatch, [rows[k] for k in order], [[7, 9, 7][k] for k in order])
        found = read(grid(0, 3), pooled)
        assert found.returns[:, 0].tolist() == pytest.approx([0.4] * 3)
        assert found.stand_for == 1


def test_what_is_not_stored_or_on_periods_that_are_not_known_is_unseen(monkeypatch) -> None:
    where, odd = place(0, 4), place(0, 4, "bar")
    lake(monkeypatch, [("a", "A", where, [0.1] * 4), ("b", "A", odd, [0.1] * 5)])
    found = read(
        grid(0, 4), trial("a", where), trial("b", odd, study="odd"), trial("c", where, study="silent")
    )
    assert found.returns.shape == (4, 1)
    assert found.stand_for == 1
    assert found.unseen_why == ("1 of study odd: on other periods; 1 of study silent: no returns are stored")


def test_a_large_study_is_stood_for_by_the_returns_that_it_kept(monkeypatch) -> None:
    where = place(0, 4)
    lake(monkeypatch, [(f"c{k}", "A", where, [0.01 * k, 0.0, 0.1, 0.2]) for k in range(100)])
    kept = read(grid(0, 4), *(trial(f"c{k}", where) for k in range(1000)))
    assert (kept.returns.shape, kept.stand_for, kept.unseen_why) == ((4, 100), 1000, "")
    # those of a few, which another study kept, are no sample
    lake(monkeypatch, [(f"c{k}", "A", where, [0.01 * k, 0.0, 0.1, 0.2]) for k in range(5)])
    few = read(grid(0, 4), *(trial(f"c{k}", where) for k in range(1000)))
    assert (few.returns.shape, few.stand_for) == ((4, 5), 5)
    assert few.unseen_why == "995 of study sweep: no returns are stored"


def test_of_very_many_a_seeded_sample_is_read_whatever_their_order(monkeypatch) -> None:
    where = place(0, 4)
    rows = [(f"c{k}", "A", where, [0.01 * k, 0.0, 0.1, 0.2]) for k in range(300)]
    monkeypatch.setattr(module, "MAX_OTHERS", 120)
    lake(monkeypatch, rows)
    trials = [trial(f"c{k}", where) for k in range(300)]
    found = read(grid(0, 4), *trials)
    assert (found.returns.shape, found.stand_for, found.unseen_why) == ((4, 120), 300, "")
    lake(monkeypatch, rows[::-1])
    assert np.array_equal(read(grid(0, 4), *trials[::-1]).returns, found.returns)
    assert not np.array_equal(other_returns(STORE, grid(0, 4), trials, seed=1).returns, found.returns)


def test_an_account_that_lost_everything_is_seen_up_to_there(monkeypatch) -> None:
    where = place(0, 4)
    lake(monkeypatch, [("c", "A", where, [0.1, -1.5, float("nan"), float("nan")])])
    found = read(grid(0, 4), trial("c", where))
    assert found.returns[:2, 0].tolist() == pytest.approx([0.1, -1.5])
    assert found.stand_for == 1


def test_nothing_tried_elsewhere_reads_nothing(monkeypatch) -> None:
    monkeypatch.setattr(ResultStore, "stream", lambda *_: pytest.fail("nothing is to be read"))
    found = read(grid(0, 4))
    assert (found.returns.shape, found.stand_for, found.unseen_why) == ((4, 0), 0, "")
