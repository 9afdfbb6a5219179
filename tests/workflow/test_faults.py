"""Faults of the machine and of a strategy: the first end a run and are no result, the second stay as rows."""

from __future__ import annotations

from pathlib import Path

import pytest

from whatif.errors import MachineError
from whatif.lake.results import RESULTS, RETURNS
from whatif.pins import LakeLocation
from whatif.runner import spark as runner
from whatif.runner.waves import Pace
from whatif.workflow import RunOptions, run

from .conftest import plain_rows, rows_of

pytestmark = pytest.mark.spark

PLAIN = RunOptions(track=False, report=False)

PASSING = """
from pathlib import Path
from whatif.strategies import Param, strategy, target

@strategy(params={"n": Param(1), "size": Param(1.0)})
def passing(i, x, p, s):
    if p.n == 2 and Path(PATH).exists():
        raise OSError(5, "Input/output error")
    return target(float(p.n) if i % 7 else 0.0)
"""


def tables_of(location: LakeLocation) -> tuple[list[str], list[str]]:
    return plain_rows(location, RESULTS), plain_rows(location, RETURNS)


@pytest.mark.slow
@pytest.mark.parametrize("engine", ["compiled", "backtrader"])
def test_a_file_damaged_in_mid_sweep_and_restored_leaves_no_trace(
    spark, market, make_study, monkeypatch, engine
) -> None:
    """Waves of two backtests; after the first is stored, the bars of every symbol are cut in half."""
    study = make_study(axes={"fast": [3, 5], "slow": [15, 25]}, engine=engine)
    run(study, spark, market, PLAIN)
    undisturbed = tables_of(market)
    for table in (RESULTS, RETURNS):
        spark.sql(f"DELETE FROM {market.identifier(table.name)}")

    monkeypatch.setattr(Pace, "wave_cost", lambda self, left, cores: 450.0)
    files = {path: path.read_bytes() for path in (market.warehouse / "whatif/bars/data").rglob("*.parquet")}
    assert files
    real = runner.store

    def store(*given: object) -> None:
        real(*given)
        for path, whole in files.items():
            path.write_bytes(whole[: len(whole) // 2])

    monkeypatch.setattr(runner, "store", store)
    with pytest.raises(MachineError, match=r"bars of \w could not be read.*the same command goes on"):
        run(study, spark, market, PLAIN)
    after = rows_of(market, RESULTS)
    assert 0 < len(after) < 8
    assert set(after["status"]) == {"ok"}

    monkeypatch.setattr(runner, "store", real)
    for path, whole in files.items():
        path.write_bytes(whole)
    again = run(study, spark, market, PLAIN)
    assert again.resumed == len(after)
    assert again.failed == 0
    assert tables_of(market) == undisturbed


@pytest.mark.slow
def test_failed_backtests_are_run_again_when_asked(spark, market, make_study, tmp_path: Path) -> None:
    """Also those that a former version stored of a fault of the machine, whatever they say."""
    down = tmp_path / "down"
    down.touch()
    (tmp_path / "passing.py").write_text(PASSING.replace("PATH", repr(str(down))))
    study = make_study(strategy={"name": "passing.py"}, axes={"n": [1, 2, 3]}, engine="backtrader")

    first = run(study, spark, market, PLAIN)
    assert (first.computed, first.failed) == (6, 2)
    down.unlink()
    spark.sql(
        f"UPDATE {market.identifier(RESULTS.name)} SET error = "
        "'LakeDamagedError: table bars is damaged: a.parquet is missing' "
        "WHERE status = 'error' AND symbol = 'A'"
    )

    done = run(study, spark, market, PLAIN)
    assert (done.computed, done.resumed, done.failed) == (0, 6, 2)

    again = run(study, spark, market, RunOptions(track=False, report=False, retry_failed=True))
    assert (again.computed, again.resumed, again.failed) == (2, 4, 0)
    retried = tables_of(market)
    assert not rows_of(market, RESULTS).duplicated(list(RESULTS.key)).any()
    for table in (RESULTS, RETURNS):
        spark.sql(f"DELETE FROM {market.identifier(table.name)}")
    run(study, spark, market, PLAIN)
    assert tables_of(market) == retried
