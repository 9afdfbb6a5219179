"""Workers are warmed up by a job of one task for each core, and nothing depends on it."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pandas as pd
import pytest

from whatif.runner.warm import warm_up


class Frames:
    """A session that notes what it is asked to run."""

    def __init__(self, cores: int) -> None:
        self.sparkContext = SimpleNamespace(defaultParallelism=cores, applicationId=f"app-{id(self)}")
        self.asked: list[Any] = []
        self.write = self

    def range(self, *bounds: int) -> Frames:
        self.asked.append(bounds)
        return self

    def mapInPandas(self, function: Any, schema: str) -> Frames:
        given = [pd.DataFrame({"id": [1, 2]}), pd.DataFrame({"id": [3]})]
        self.asked.append([list(frame["id"]) for frame in function(iter(given))])
        return self

    def format(self, name: str) -> Frames:
        return self

    mode = format

    def save(self) -> None:
        self.asked.append("saved")


def test_a_task_for_each_core_that_gives_back_what_it_takes_once() -> None:
    spark = Frames(3)
    warm_up(spark).join()  # type: ignore[arg-type]
    warm_up(spark).join()  # type: ignore[arg-type]
    assert spark.asked == [(0, 3, 1, 3), [[1, 2], [3]], "saved"]


def test_what_does_not_work_is_left_to_those_who_need_it(capfd: pytest.CaptureFixture[str]) -> None:
    warm_up(SimpleNamespace()).join()  # type: ignore[arg-type]
    assert capfd.readouterr() == ("", "")
