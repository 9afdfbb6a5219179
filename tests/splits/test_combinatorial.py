"""Combinatorial splits: skfolio's own examples, and what they are as windows of time."""

from __future__ import annotations

import sys

import numpy as np
import pytest

from whatif.domain.timeframe import MINUTE_US
from whatif.errors import StudyError
from whatif.splits.kinds.combinatorial import combinations

from .test_walk_forward import OCTOBER
from .test_windows import LEAN, shown, timeline

pytest.importorskip("skfolio")

TESTS = [([0, 1, 2, 3], [4, 5, 6, 7]), ([0, 1, 2, 3], [8, 9, 10, 11]), ([4, 5, 6, 7], [8, 9, 10, 11])]


@pytest.mark.parametrize(
    ("left_out", "trains"),
    [
        ({}, [[8, 9, 10, 11], [4, 5, 6, 7], [0, 1, 2, 3]]),
        ({"purged": 1}, [[9, 10, 11], [5, 6], [0, 1, 2]]),
        ({"embargo": 1}, [[9, 10, 11], [5, 6, 7], [0, 1, 2, 3]]),
    ],
)
def test_the_splits_that_skfolio_documents(left_out: dict[str, int], trains: list[list[int]]) -> None:
    """Twelve observations, three folds, two of them tested on: as printed in its docstring."""
    found = list(combinations(12, 3, 2, **left_out))
    assert [list(split.train) for split in found] == trains
    assert [tuple(list(test) for test in split.tests) for split in found] == TESTS
    # each of the two paths holds every fold once
    for path in (0, 1):
        own = [t for s in found for t, p in zip(s.tests, s.paths, strict=True) if p == path]
        assert sorted(np.concatenate(own)) == list(range(12))


class TestSessions:
    """October 2013 has 23 sessions; 0.13 of their time end with the 20th, which is the 28th's eve."""

    SPLIT = "{kind: cpcv, folds: 4, test_folds: 2, test: 0.13}"

    def test_windows(self) -> None:
        """Twenty sessions in folds of five: 1 to 7, 8 to 14, 15 to 21, and 22 to 28 October."""
        found = timeline(OCTOBER, self.SPLIT)
        assert len(found.folds) == 6
        windows = shown(found)
        assert [windows[f"fold-0{k}"][0][8:10] for k in (1, 2, 3, 4)] == ["01", "08", "15", "22"]
        assert windows["fold-04"][1] == "2013-10-29T13:30"
        assert windows["test"] == ("2013-10-29T13:30", "2013-10-31T20:00")
        # the first split tests on folds 1 and 2, the last one on 3 and 4
        first, last = found.folds[0], found.folds[-1]
        assert [w.name for w in first.validate] == ["fold-01", "fold-02"]
        assert (first.train[0].start_us, first.train[-1].end_us) == (
            found.folds[-1].validate[0].start_us,
            found.last.train[0].end_us,
        )
        assert [w.name for w in last.validate] == ["fold-03", "fold-04"]
        # the second one learns on both sides of fold 3's left neighbour: folds 2 and 4
        assert len(found.folds[1].train) == 2
        assert found.final is not None
        assert found.last.validate == ()
        assert (found.last.train[0].start_us, found.last.test) == (found.start_us, found.windows[-1])

    def test_each_split_leaves_out_what_it_tests_on(self) -> None:
        for fold in timeline(OCTOBER, self.SPLIT).folds:
            for train in fold.train:
                for tested in fold.validate:
                    assert train.end_us <= tested.start_us or train.start_us >= tested.end_us

    @pytest.mark.parametrize("embargo", ["1", "5min", "1d"])
    def test_an_embargo_leaves_out_the_sessions_that_open_within_it(self, embargo: str) -> None:
        found = timeline(OCTOBER, self.SPLIT.replace("}", f", embargo: {embargo}}}"))
        # split 1 tests on folds 1 and 2, and learns from the session after the 15th on
        assert shown(found)["train-01.1"][0] == "2013-10-16T13:30"
        later = {"1": "2013-10-30T13:30", "5min": "2013-10-29T13:35", "1d": "2013-10-30T13:30"}
        assert shown(found)["test"][0] == later[embargo]

    @pytest.mark.parametrize(
        ("label", "left_out"),
        [("{horizon: 5min}", 0), ("{kind: forward_return, horizon: 1, unit: sessions}", 1)],
    )
    def test_sessions_that_a_label_may_reach_into_are_left_out(self, label: str, left_out: int) -> None:
        models = f"features: [close]\nlabel: {label}\nmodels: {{rf: {{trees: 1}}}}"
        found = timeline(OCTOBER, f"{{kind: cpcv, folds: 4, test: 0}}\n{models}")
        opens = found.schedule.open_us
        for fold in found.folds:
            for train in fold.train:
                for tested in fold.validate:
                    if train.end_us <= tested.start_us:
                        between = (opens >= train.end_us) & (opens < tested.start_us)
                        assert between.sum() >= left_out
        (second,) = (
            fold for fold in found.folds if [w.name for w in fold.validate] == ["fold-02", "fold-03"]
        )
        gap = (opens >= second.train[0].end_us) & (opens < second.validate[0].start_us)
        assert gap.sum() == left_out

    def test_without_a_test_window(self) -> None:
        found = timeline(OCTOBER, "{kind: cpcv, folds: 4, test: 0}")
        assert found.last.test is None
        assert found.last.train[0].end_us == found.end_us


class TestBars:
    """Six sessions are too few; their first four fifths are 1,872 minutes, in folds of 624."""

    MODEL = "features: [close]\nlabel: {horizon: 5min}\nmodels: {rf: {trees: 1}}"

    def test_windows(self) -> None:
        """Fold 1 ends 234 minutes into the second session, fold 2 78 into the fourth."""
        found = timeline(LEAN, "{kind: cpcv, folds: 3, test: 0.2}")
        windows = shown(found)
        assert windows["fold-01"] == ("2013-10-04T13:30", "2013-10-07T17:24")
        assert windows["fold-02"] == ("2013-10-07T17:24", "2013-10-09T14:48")
        assert windows["fold-03"] == ("2013-10-09T14:48", "2013-10-10T18:42")
        assert windows["test"] == ("2013-10-10T18:42", "2013-10-11T20:00")

    def test_the_label_is_purged_before_and_the_embargo_follows(self) -> None:
        """A label of five minutes: five bars before a test fold, and behind it three more."""
        split = "{kind: cpcv, folds: 3, test: 0.2, embargo: 3min}\n" + self.MODEL
        second = timeline(LEAN, split).folds[1]
        assert [w.name for w in second.validate] == ["fold-01", "fold-03"]
        train = second.train[0]
        assert train.start_us == second.validate[0].end_us + 8 * MINUTE_US
        assert train.end_us == second.validate[1].start_us - 5 * MINUTE_US


class TestRefusals:
    @pytest.mark.parametrize(
        ("split", "said"),
        [
            ("folds: 2", r"split\.folds = 2: should be greater than or equal to 3"),
            ("test_folds: 1", r"split\.test_folds = 1: should be greater than or equal to 2"),
            ("folds: 3, test_folds: 3", "leave nothing to train on"),
            (
                "folds: 4, embargo: 4",
                "4 folds of 18 observations hold 4 each, and label and embargo leave",
            ),
            ("test: 1.0", r"split\.test = 1\.0: should be less than 1"),
            ("train: 0.5", "unknown key 'split.train'"),
            ("folds: 3, test: 0.1, embargo: 3d", r"split\.test = 0\.1 is empty"),
        ],
    )
    def test_by_name_value_rule_and_remedy(self, split: str, said: str) -> None:
        with pytest.raises(StudyError, match=said):
            timeline(OCTOBER, f"{{kind: cpcv, {split}}}")

    def test_without_skfolio(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setitem(sys.modules, "skfolio.model_selection", None)
        with pytest.raises(StudyError, match=r"needs skfolio.* pip install 'whatif\[cpcv\]'"):
            timeline(OCTOBER, "{kind: cpcv, folds: 4}")
