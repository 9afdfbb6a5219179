"""Walk-forward folds by hand: New York's sessions of October 2013, cut between sessions."""

from __future__ import annotations

import pytest

from whatif.errors import StudyError

from .test_windows import LEAN, shown, timeline

OCTOBER = "start: 2013-10-01, end: 2013-11-01"
"""23 sessions: 1 to 4, 7 to 11, 14 to 18, 21 to 25, 28 to 31."""


def days(found, name: str) -> list[str]:
    """First days of the windows of a name, and the ends of the last one."""
    return [begin[8:10] for key, (begin, _) in shown(found).items() if key.startswith(name)]


class TestSixSessions:
    """4, 7, 8, 9, 10 and 11 October; each opens at 13:30 and closes at 20:00 UTC."""

    def test_rolling(self) -> None:
        found = timeline(LEAN, "{kind: walk_forward, train: 2, validate: 1, test: 1}")
        assert [fold.number for fold in found.folds] == [1, 2, 3]
        assert shown(found) == {
            "train-01": ("2013-10-04T13:30", "2013-10-08T13:30"),
            "validate-01": ("2013-10-08T13:30", "2013-10-09T13:30"),
            "test-01": ("2013-10-09T13:30", "2013-10-10T13:30"),
            "train-02": ("2013-10-07T13:30", "2013-10-09T13:30"),
            "validate-02": ("2013-10-09T13:30", "2013-10-10T13:30"),
            "test-02": ("2013-10-10T13:30", "2013-10-11T13:30"),
            "train-03": ("2013-10-08T13:30", "2013-10-10T13:30"),
            "validate-03": ("2013-10-10T13:30", "2013-10-11T13:30"),
            "test-03": ("2013-10-11T13:30", "2013-10-11T20:00"),
        }

    def test_anchored(self) -> None:
        found = timeline(LEAN, "{kind: walk_forward, train: 2, validate: 1, test: 1, anchored: true}")
        assert {fold.train[0].start_us for fold in found.folds} == {found.start_us}
        rolling = timeline(LEAN, "{kind: walk_forward, train: 2, validate: 1, test: 1}")
        assert [f.train[0].end_us for f in found.folds] == [f.train[0].end_us for f in rolling.folds]
        assert found.folds[0] == rolling.folds[0]

    @pytest.mark.parametrize("more", ["", "train: 0, ", "anchored: true, "])
    def test_without_train(self, more: str) -> None:
        found = timeline(LEAN, f"{{kind: walk_forward, {more}validate: 2, test: 2, embargo: 5min}}")
        assert shown(found) == {
            "validate-01": ("2013-10-04T13:30", "2013-10-08T13:30"),
            "test-01": ("2013-10-08T13:35", "2013-10-10T13:30"),
            "validate-02": ("2013-10-08T13:30", "2013-10-10T13:30"),
            "test-02": ("2013-10-10T13:35", "2013-10-11T20:00"),
        }

    def test_a_step_that_is_longer_than_test_leaves_a_gap(self) -> None:
        found = timeline(LEAN, "{kind: walk_forward, train: 2, validate: 1, test: 1, step: 2}")
        assert days(found, "test") == ["09", "11"]
        assert days(found, "train") == ["04", "08"]

    def test_a_test_window_that_does_not_fit_is_not_made(self) -> None:
        """Three sessions follow the first train and validate: one window of two, and half of another."""
        found = timeline(LEAN, "{kind: walk_forward, train: 2, validate: 1, test: 2}")
        assert days(found, "test") == ["09"]

    def test_so_many_windows(self) -> None:
        """Four sessions follow; three windows take one, one and two of them."""
        found = timeline(LEAN, "{kind: walk_forward, train: 1, validate: 1, windows: 3}")
        assert [shown(found)[f"test-0{k}"][0][8:10] for k in (1, 2, 3)] == ["08", "09", "10"]
        assert shown(found)["test-03"][1] == "2013-10-11T20:00"

    def test_an_embargo_of_minutes_begins_each_window_later(self) -> None:
        found = timeline(LEAN, "{kind: walk_forward, train: 2, validate: 1, test: 1, embargo: 5min}")
        assert shown(found)["train-02"] == ("2013-10-07T13:30", "2013-10-09T13:30")
        assert shown(found)["validate-02"] == ("2013-10-09T13:35", "2013-10-10T13:30")
        assert shown(found)["test-02"] == ("2013-10-10T13:35", "2013-10-11T13:30")

    def test_an_embargo_of_a_session(self) -> None:
        found = timeline(LEAN, "{kind: walk_forward, train: 1, validate: 2, test: 3, embargo: 1}")
        assert shown(found) == {
            "train-01": ("2013-10-04T13:30", "2013-10-07T13:30"),
            "validate-01": ("2013-10-08T13:30", "2013-10-09T13:30"),
            "test-01": ("2013-10-10T13:30", "2013-10-11T20:00"),
        }

    def test_extended_hours(self) -> None:
        """From midnight of the first day to midnight after the last, New York time."""
        found = timeline(LEAN, "{kind: walk_forward, train: 2, validate: 1, test: 3}", session="extended")
        assert shown(found)["train-01"][0] == "2013-10-04T04:00"
        assert shown(found)["test-01"] == ("2013-10-09T13:30", "2013-10-12T04:00")


class TestCalendarDays:
    def test_a_week_each(self) -> None:
        """Train 1 to 7 October, validate 8 to 14, tests from the 15th, 22nd; the 29th's does not fit."""
        found = timeline(OCTOBER, "{kind: walk_forward, train: 7d, validate: 7d, test: 7d}")
        assert days(found, "train") == ["01", "08"]
        assert days(found, "validate") == ["08", "15"]
        assert days(found, "test") == ["15", "22"]
        assert shown(found)["test-02"][1] == "2013-10-29T13:30"

    def test_weekends_count_as_days(self) -> None:
        """Validate is Monday the 7th; the four days before it are Thursday to Sunday."""
        found = timeline(OCTOBER, "{kind: walk_forward, train: 4d, validate: 1, test: 1, step: 100d}")
        assert shown(found)["train-01"] == ("2013-10-03T13:30", "2013-10-07T13:30")


class TestNoOverlap:
    @pytest.mark.parametrize("anchored", ["true", "false"])
    @pytest.mark.parametrize("more", ["test: 2", "test: 1, step: 3", "windows: 5", "test: 4d, step: 5d"])
    def test_time_goes_one_way(self, anchored: str, more: str) -> None:
        split = f"{{kind: walk_forward, train: 5, validate: 3, {more}, anchored: {anchored}, embargo: 5min}}"
        found = timeline(OCTOBER, split)
        before = 0
        for fold in found.folds:
            assert fold.test is not None
            train, validate = fold.train[0], fold.validate[0]
            assert found.start_us <= train.start_us < train.end_us < validate.start_us
            assert validate.end_us < fold.test.start_us < fold.test.end_us <= found.end_us
            assert fold.test.start_us >= before
            before = fold.test.end_us
        assert len(found.folds) > 1


class TestRefusals:
    @pytest.mark.parametrize(
        ("split", "said"),
        [
            ("train: 4, validate: 1, test: 2", r"do not fit into the 6 sessions .* longer slice"),
            ("train: 6, validate: 1, test: 1", "do not fit into the 6 sessions"),
            ("train: 6d, validate: 1d, test: 9d", "do not fit into the 6 sessions"),
            ("train: 3, validate: 1, windows: 3", "leave 2 of 6 sessions for test .* ask for 2 at most"),
            ("train: 2, validate: 1, test: 2, step: 1", "test windows would overlap"),
            (
                "train: 2, validate: 1, test: 2, step: 1d",
                "overlaps the one before it, which begins 2013-10-0",
            ),
            ("train: 2, validate: 1, test: 1, embargo: 1", r"split\.validate-01 is empty: the embargo"),
            ("train: 2, validate: 1", "either test, the length of a test window, or windows.* got neither"),
            ("train: 2, validate: 1, test: 1, windows: 2", "got both"),
            ("train: 2, validate: 1, windows: 2, step: 1", "step means nothing beside windows"),
            ("train: 0.5, validate: 1, test: 1", r"split\.train: 0\.5 is no length"),
            ("train: 90min, validate: 1, test: 1", r"split\.train: '90min' is no length"),
            ("train: true, validate: 1, test: 1", r"split\.train: True is no length"),
            ("train: 2, validate: 1, test: 1, anchord: true", "did you mean 'anchored'"),
            ("train: 2, validate: 1, test: 1, embargo: -1", r"split\.embargo: -1 is no embargo"),
        ],
    )
    def test_by_name_value_rule_and_remedy(self, split: str, said: str) -> None:
        with pytest.raises(StudyError, match=said):
            timeline(LEAN, f"{{kind: walk_forward, {split}}}")

    def test_a_kind_that_is_unknown(self) -> None:
        with pytest.raises(StudyError, match=r"split\.kind = 'walkforward': did you mean 'walk_forward'"):
            timeline(LEAN, "{kind: walkforward}")
