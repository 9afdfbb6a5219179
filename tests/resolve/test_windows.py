"""What a study's windows are, in lines, and what of the slice is unused; no lake, no JVM."""

from __future__ import annotations

from datetime import date
from types import SimpleNamespace

import pytest

from whatif.calendars import schedule
from whatif.errors import StudyError
from whatif.resolve.windows import most_bars, resolve_timeline, unused, windows_said
from whatif.search.slices import BarSlice
from whatif.study import Study

DATES = {
    "validate": [date(2013, 8, 6), date(2013, 9, 3)],
    "test": [date(2013, 9, 4), date(2013, 10, 1)],
}
LEARNS = {
    "features": ["sma(5)"],
    "label": {"horizon": "5min"},
    "models": {"small": {"kind": "random_forest", "trees": 2, "depth": 2, "seed": 1}},
}


def study(**given) -> Study:
    return Study.model_validate({
        "study": "w",
        # 40 sessions: Labour Day and no other holiday
        "data": {"symbols": ["A", "B"], "timeframe": "1min", "start": "2013-08-06", "end": "2013-10-02"},
        "calendar": {"exchange": "XNYS"},
        "strategy": {"name": "sma_crossover"},
        **given,
    })  # fmt: skip


def said(made: Study) -> tuple[str, ...]:
    timeline = resolve_timeline(made)
    bars = {(symbol, w.name): 390 + k for k, symbol in enumerate("AB") for w in timeline.windows}
    return windows_said(SimpleNamespace(timeline=timeline, models=made.models, study=made, window_bars=bars))


@pytest.mark.parametrize("split", [None, {}, {"kind": "holdout"}, {"embargo": "5min"}])
def test_a_study_without_models_has_no_train_window_by_default(split) -> None:
    made = study(**({} if split is None else {"split": split}))
    assert said(made) == (
        "validate: 2013-08-06 to 2013-09-03, 20 sessions, 390 to 391 1min bars of each symbol",
        "test: 2013-09-04 to 2013-10-01, 20 sessions, 390 to 391 1min bars of each symbol",
    )


def test_a_study_with_models_has_one() -> None:
    first, *_ = said(study(**LEARNS))
    assert first.startswith("train: 2013-08-06 to 2013-09-03, 20 sessions")
    assert len(said(study(**LEARNS))) == 3


@pytest.mark.parametrize(
    ("split", "validate", "test"),
    [
        ({"validate": 0.75}, 30, 10),
        ({"test": 0.25}, 30, 10),
        ({"validate": 0.5, "test": 0.5}, 20, 20),
        ({"train": 0, "validate": 0.5, "test": 0.5}, 20, 20),
        (DATES, 20, 20),
    ],
)
def test_what_is_left_out_is_what_the_other_leaves(split, validate, test) -> None:
    lines = said(study(split=split))
    assert [line.split(", ")[1] for line in lines] == [f"{validate} sessions", f"{test} sessions"]


@pytest.mark.parametrize(
    "split", [{"train": 0.5, "validate": 0.25, "test": 0.25}, {"validate": 0.25, "test": 0.25}]
)
def test_a_train_window_without_models_is_said_to_be_unused(split) -> None:
    """Where both others are given, they stay where they were."""
    *windows, last = said(study(split=split))
    assert [line.split(":")[0] for line in windows] == ["train", "validate", "test"]
    assert windows[2].startswith("test: 2013-09-18 to 2013-10-01, 10 sessions")
    assert last == (
        "unused: 50 % of the slice's trading time, between 2013-08-06 to 2013-09-03; a train window is for "
        "models, and the study has none: split.train: 0 would use it"
    )


def test_what_no_window_holds_is_said() -> None:
    made = study(split={"train": 0, "validate": 0.25, "test": 0.25})
    *_, last = said(made)
    assert last == "unused: 50 % of the slice's trading time, between 2013-09-04 to 2013-10-01"
    assert not list(unused(resolve_timeline(study(split={"train": 0, "validate": 0.5, "test": 0.5})), False))


def test_the_first_and_the_last_of_many_folds() -> None:
    made = study(split={"kind": "walk_forward", "validate": 10, "test": 5})
    lines = said(made)
    assert lines[0].startswith("fold 1 of 6, validate-01: 2013-08-06 to 2013-08-19, 10 sessions")
    assert lines[-1].startswith("fold 6 of 6, test-06: 2013-09-25 to 2013-10-01, 5 sessions")
    assert len(lines) == 4


def test_a_train_share_beside_dates_is_still_refused() -> None:
    with pytest.raises((StudyError, ValueError), match="all fractions or all pairs"):
        study(split={"train": 0.5, **DATES})


def part(timeframe: str, hours: str = "regular", source: str = "1min") -> BarSlice:
    return BarSlice(("A",), source, timeframe, "XNYS", hours, 0, 1)


# October 2013: 23 sessions of 390 minutes
OCTOBER = schedule("XNYS", date(2013, 10, 1), date(2013, 10, 31))


@pytest.mark.parametrize(
    ("timeframe", "most"),
    [("1min", 8_970), ("5min", 23 * 78), ("1h", 23 * 7), ("30min", 23 * 13), ("1d", 23)],
)
def test_complete_sessions_give_as_many_as_fit(timeframe: str, most: int) -> None:
    assert most_bars(23 * 390, part(timeframe), OCTOBER) == most


def test_no_more_bars_come_out_than_went_in() -> None:
    assert most_bars(10, part("5min"), OCTOBER) == 10


def test_extended_hours_have_more_room() -> None:
    assert most_bars(10**6, part("1h", hours="extended"), OCTOBER) >= 23 * 24
    assert most_bars(10**6, part("1d", hours="extended"), OCTOBER) >= 23


def test_bars_that_are_not_joined_are_those_found() -> None:
    assert most_bars(123, part("1d", source="1d"), OCTOBER) == 123
