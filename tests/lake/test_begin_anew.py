"""A statement that lost a race runs again on what the winner left; anything else fails at once."""

from __future__ import annotations

import pytest

from whatif.errors import LakeError
from whatif.lake.write import ATTEMPTS, begin_anew

CONFLICT = (
    ": org.apache.iceberg.exceptions.ValidationException: Found conflicting files that can contain records "
    'matching ref(name="bars_snapshot") == 1: [s3://bucket/a.parquet]'
)


class Racing:
    """A table that others write to as often as given."""

    def __init__(self, lost: int, message: str = CONFLICT) -> None:
        self.lost, self.message = lost, message
        self.seen: list[str] = []

    def statement(self) -> None:
        self.seen.append("run")
        if self.seen.count("run") <= self.lost:
            raise RuntimeError(self.message)

    def refresh(self) -> None:
        self.seen.append("refresh")


def test_until_nobody_was_faster() -> None:
    table = Racing(lost=2)
    begin_anew(table.statement, "results", table.refresh)
    assert table.seen == ["run", "refresh", "run", "refresh", "run"]


def test_not_for_ever() -> None:
    table = Racing(lost=ATTEMPTS)
    with pytest.raises(LakeError, match=f"results: others wrote the same rows {ATTEMPTS} times"):
        begin_anew(table.statement, "results", table.refresh)
    assert table.seen.count("run") == ATTEMPTS


def test_other_errors_are_not_tried_again() -> None:
    table = Racing(lost=1, message="No space left on device")
    with pytest.raises(RuntimeError, match="No space"):
        begin_anew(table.statement, "results", table.refresh)
    assert table.seen == ["run"]
