"""Studies with anything in them: each is a study, or refused with a sentence, within a second.

One that can be run takes longer where it has tens of thousands of configurations, each of which gets a name.
"""

from __future__ import annotations

import time
from contextlib import suppress

import pytest

from whatif.errors import WhatIfError
from whatif.resolve.check import check_study
from whatif.study import parse_study

from .mutations import BASES, mutated, written

MAX_SECONDS = 1.0
IMPORTS = 8.0
"""The first study of a process pays for the libraries that it is the first to need."""
SECONDS_EACH = 0.001
"""For each configuration of a study that can be run."""


@pytest.mark.parametrize("base", BASES, ids=lambda base: str(base["study"]))
def test_what_is_mutated_can_be_run(base: dict[str, object]) -> None:
    check_study(parse_study(written(base)), runs=False)


def refusals(seeds: range) -> tuple[int, int]:
    """Return how many of the studies can be run, and how many are refused."""
    counts = [0, 0]
    with suppress(ImportError):
        import skfolio.model_selection  # noqa: F401  # takes seconds, wherever it is needed first
    for seed in seeds:
        text = mutated(seed)
        more, began = 0.0, time.process_time()
        try:
            checked = check_study(parse_study(text), runs=False)
            counts[0] += 1
            said = "it can be run"
            more = SECONDS_EACH * (0 if checked.grid is None else len(checked.grid.configurations))
        except WhatIfError as error:
            counts[1] += 1
            said = str(error)
        except BaseException as error:
            pytest.fail(f"seed {seed}: {type(error).__name__}: {error}\n{text[:2000]}")
        took = time.process_time() - began
        assert 10 < len(said) < 40_000, f"seed {seed}: {said[:300]}"
        assert took < (IMPORTS if seed < 1000 else MAX_SECONDS) + more, (
            f"seed {seed}: {took:.1f} s\n{text[:2000]}"
        )
    return counts[0], counts[1]


def test_three_hundred() -> None:
    run, refused = refusals(range(300))
    assert run >= 5
    assert refused >= 200


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_twenty_thousand() -> None:
    run, refused = refusals(range(20_000))
    assert run >= 500
    assert run + refused == 20_000
