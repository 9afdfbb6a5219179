"""The benchmark of the time to an answer: what it runs."""

from __future__ import annotations

from math import prod
from pathlib import Path

from whatif.bench import answer, suite
from whatif.study import load_study


def test_a_study_of_32_configurations_then_8_more(tmp_path: Path) -> None:
    counts = {}
    for key, arguments in answer._commands(tmp_path, 500):
        if key == "ingest":
            assert len(Path(arguments[1]).read_text().splitlines()) == 501
            continue
        assert arguments[0] == ("leaderboard" if key == "leaderboard" else "run")
        counts[key] = prod(len(axis.values) for axis in load_study(arguments[1]).axes.values())
    assert counts == {"study": 32, "value": 40, "nothing": 40, "leaderboard": 40}
    assert list(answer.GOALS) == ["ingest", *counts, "session"]
    assert suite.load("answer") is answer.measure
