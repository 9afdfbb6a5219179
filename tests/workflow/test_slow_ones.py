"""Configurations that cost many times their estimate: they hold nobody up, and a user may stop them."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from whatif.lake.results import RESULTS, RETURNS
from whatif.runner import in_flight
from whatif.runner import spark as runner
from whatif.runner.waves import Pace
from whatif.workflow import RunOptions, run, stored_leaderboard

from .conftest import plain_rows, rows_of

pytestmark = pytest.mark.spark

SLOW = """
import time
from whatif.strategies import Param, strategy, target

@strategy(params={"n": Param(1), "size": Param(1.0)})
def slow(i, x, p, s):
    if s.size == 0:
        time.sleep(SECONDS if p.n == 1 else 0.05)
    return target(float(p.n))
"""


@pytest.fixture
def slow(tmp_path: Path, request: pytest.FixtureRequest) -> str:
    (tmp_path / "slow.py").write_text(SLOW.replace("SECONDS", str(request.param)))
    return "slow.py"


@pytest.mark.slow
@pytest.mark.parametrize("slow", [12.0], indirect=True)
def test_others_are_stored_before_the_slow_one_ends(spark, market, make_study, slow, monkeypatch) -> None:
    """Waves of four; the slow one is in the first, which is not stored first, and every row is there once."""
    monkeypatch.setattr(Pace, "wave_cost", lambda self, left, cores: 900.0)
    monkeypatch.setattr(in_flight, "SECONDS_ALLOWED", 0.5)
    order: list[set[int]] = []
    real = runner.store

    def store(spark, location, plan, items, rows, keep, fresh):
        order.append({int(row["parameters"].split('"n": ')[1].split(",")[0]) for row in rows.collect()})
        real(spark, location, plan, items, rows, keep, fresh)

    monkeypatch.setattr(runner, "store", store)
    study = make_study(strategy={"name": slow}, axes={"n": list(range(1, 13))}, data=ONE, engine="backtrader")
    result = run(study, spark, market, RunOptions(track=False, report=False))
    sweep = order[:-1]  # the last one is the test window
    assert sorted(n for wave in sweep for n in wave) == list(range(1, 13))
    assert len(sweep) == 3
    assert 1 not in sweep[0], "the others waited for the slow one"
    assert result.failed == 0
    assert len(rows_of(market, RESULTS)) == 13


ONE = {"symbols": ["A"], "timeframe": "1min", "start": "2013-10-04", "end": "2013-10-12"}


@pytest.mark.slow
@pytest.mark.parametrize("slow", [5.0], indirect=True)
def test_a_time_limit_gives_rows_that_say_so_and_are_tried_again_without(
    spark, market, make_study, write_study, slow
) -> None:
    changes = {"strategy": {"name": slow}, "axes": {"n": [1, 2, 3]}, "engine": "backtrader"}
    study = make_study(**changes)
    limited = RunOptions(track=False, report=False, time_limit=1.5)

    first = run(study, spark, market, limited)
    assert (first.computed, first.failed) == (6, 2)
    rows = rows_of(market, RESULTS)
    stopped = rows[rows["status"] == "error"]
    assert set(stopped["symbol"]) == {"A", "B"}
    assert stopped["error"].str.startswith("stopped: it took longer than 1.5 s").all()
    assert (stopped["wall_seconds"] < 4.9).all()

    # as much time again would end as before; and who only reads is not told to run
    again = run(study, spark, market, limited)
    assert (again.computed, again.resumed, again.failed) == (0, 6, 2)
    assert stored_leaderboard(write_study(**changes), market)[1] == 0

    started = time.perf_counter()
    whole = run(study, spark, market, RunOptions(track=False, report=False))
    assert (whole.computed, whole.resumed, whole.failed) == (2, 4, 0)
    assert time.perf_counter() - started > 5.0
    rows = rows_of(market, RESULTS)
    assert not rows.duplicated(list(RESULTS.key)).any()
    assert set(rows["status"]) == {"ok"}

    # and nothing tells that it was ever stopped
    stored = plain_rows(market, RESULTS), plain_rows(market, RETURNS)
    for table in (RESULTS, RETURNS):
        spark.sql(f"DELETE FROM {market.identifier(table.name)}")
    run(study, spark, market, RunOptions(track=False, report=False))
    assert (plain_rows(market, RESULTS), plain_rows(market, RETURNS)) == stored


@pytest.mark.slow
def test_workers_say_what_they_are_at_in_a_file_of_the_lake(market, go_on_spark) -> None:
    result = go_on_spark(axes={"fast": [3], "slow": [15, 25]}, engine="backtrader")
    text = (market.home / "logs" / "workers.log").read_text()
    for config_id in result.leaderboard()["config_id"]:
        assert f"study made: config_id {config_id}, symbol A, window validate" in text


ENDLESS = """
from whatif.strategies import Param, strategy, target

@strategy(params={"n": Param(1)})
def endless(i, x, p, s):
    k = 0.0
    while p.n == 2 and i > 300:
        k += 1.0
    return target(float(p.n) + k)
"""


@pytest.mark.slow
def test_a_time_limit_ends_a_compiled_loop_that_never_ends(spark, market, make_study, tmp_path) -> None:
    """The one configuration is a row that says so, on each symbol; the others are done."""
    (tmp_path / "endless.py").write_text(ENDLESS)
    study = make_study(strategy={"name": "endless.py"}, axes={"n": [1, 2, 3]}, engine="compiled")

    result = run(study, spark, market, RunOptions(track=False, report=False, certify=False, time_limit=1.0))

    assert (result.computed, result.failed) == (6, 2)
    rows = rows_of(market, RESULTS)
    stopped = rows[rows["status"] == "error"]
    assert stopped["error"].str.startswith("stopped: it took longer than 1 s").all()
    assert set(stopped["parameters"]) == {'{"n": 2}'}
