"""Every golden case on every engine; and in an ordinary Cerebro, as a third witness."""

from __future__ import annotations

from dataclasses import replace

import pytest

from whatif.engines import run_engine
from whatif.testing.golden import GOLDEN, Golden, check_golden, golden_differences
from whatif.testing.order_kinds import order_reader

from .witness import played, played_answers, unlike_plain

each_case = pytest.mark.parametrize("case", GOLDEN, ids=[case.name.replace(" ", "-") for case in GOLDEN])

PLAIN = [case for case in GOLDEN if not case.overlays.is_on]
"""Those that an ordinary strategy can be asked for, which knows no overlays."""


@each_case
def test_numbers_worked_by_hand(case: Golden, engine: str) -> None:
    check_golden(case, engine)


@pytest.mark.parametrize("case", PLAIN, ids=[case.name.replace(" ", "-") for case in PLAIN])
def test_an_ordinary_strategy_meets_them_too(case: Golden, engine: str) -> None:
    settings = case.execution
    if settings.is_corrected or settings.costs or settings.fill_timeframe:
        return  # which plain Backtrader has no word for
    task = case.task
    are_orders = task.strategy is order_reader
    plain = played_answers(task, case.intents) if are_orders else played(task)
    assert unlike_plain(run_engine(task, engine), plain) == []


def test_a_wrong_number_is_told_with_what_it_should_be() -> None:
    case = GOLDEN[1]
    found = golden_differences(replace(case, rejected=1), run_engine(case.task, "backtrader"))

    assert found == ["rejected: by hand 1, it gave 0"]


def test_each_case_has_a_name_of_its_own() -> None:
    assert len({case.name for case in GOLDEN}) == len(GOLDEN)
