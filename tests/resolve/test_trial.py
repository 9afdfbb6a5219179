"""The trial of a step before Spark starts: what runs on and on is ended, what is only slow passes."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from whatif.engines import BacktestTask
from whatif.errors import LookAheadError, StrategyError
from whatif.resolve.trial import try_within
from whatif.strategies import resolve
from whatif.testing import random_bars

HEAD = """
import time
from whatif.strategies import buy, hold, strategy

@strategy()
def own(i, x, p, s):
"""


def task_of(folder: Path, body: str, bars: int = 300) -> BacktestTask:
    path = folder / "own.py"
    path.write_text(HEAD + body)
    spec = resolve(str(path))
    return BacktestTask([random_bars(1, bars)], spec, spec.validate({}))


@pytest.mark.parametrize("engine", ["backtrader", "compiled"])
@pytest.mark.parametrize(
    "body",
    [
        "    while True:\n        pass\n    return hold()\n",
        "    k = 0\n    while k <= i or k % 7 < 9:\n        k += 1\n    return hold()\n",
        "    while True:\n        try:\n            k = 1 / 0\n        except Exception:\n            k = 2\n"
        "    return hold()\n",
    ],
    ids=["pass", "counts", "catches"],
)
def test_a_loop_that_never_ends_is_ended(tmp_path: Path, body: str, engine: str) -> None:
    began = time.monotonic()
    with pytest.raises(StrategyError, match=r"own takes longer than 0\.5 s for 10 bars: look for a loop"):
        try_within([task_of(tmp_path, body)], engine, 0.5)
    assert time.monotonic() - began < 30.0


def test_a_slow_step_passes_with_a_few_bars(tmp_path: Path) -> None:
    try_within([task_of(tmp_path, "    time.sleep(0.02)\n    return buy(1)\n")], "backtrader", 2.0)


def test_what_a_step_raises_arrives(tmp_path: Path) -> None:
    with pytest.raises(StrategyError, match=r"division by zero.*line 7"):
        try_within([task_of(tmp_path, "    return buy(1 / (i - i))\n")], "backtrader")
    with pytest.raises(LookAheadError, match="which a step cannot know"):
        try_within([task_of(tmp_path, "    return buy(x.close[i + 1])\n")], "backtrader")


def test_a_step_that_leaves_is_said(tmp_path: Path) -> None:
    body = "    import os\n    os._exit(3)\n    return hold()\n"
    with pytest.raises(StrategyError, match=r"own ends its own process.*exit code 3"):
        try_within([task_of(tmp_path, body)], "backtrader")
