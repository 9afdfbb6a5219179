"""Runners: which one is taken, and that both give the same rows."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from whatif.errors import RunError
from whatif.lake import EQUITY, RESULTS, RETURNS, TRADES
from whatif.pins import LakeLocation
from whatif.runner import local
from whatif.runner import spark as spark_runner
from whatif.session import get_spark
from whatif.strategies import resolve, to_portable
from whatif.workflow import RunOptions, run, runners, where
from whatif.workflow.runners import RunnerQuestion, choose_runner

from ..markets import put_bars, walk
from .conftest import plain_rows

TABLES = (RESULTS, RETURNS, TRADES, EQUITY)


@pytest.fixture(autouse=True, scope="module")
def _ended():
    yield
    local.end()


class TestChoice:
    """What "auto" takes, without a lake."""

    @pytest.fixture(autouse=True)
    def _no_session(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(where, "session_runs", lambda: False)
        monkeypatch.setattr(where, "launched", lambda: False)
        monkeypatch.setattr(runners, "create_tables", lambda *_: None)

    def said(self, asked: str = "auto", given: bool = False, cost: float = 1e6, service: bool = False) -> str:
        lake = LakeLocation(Path("none"))
        lake = replace(lake, catalog="glue", local=False) if service else lake
        resolved: Any = SimpleNamespace(
            checked=SimpleNamespace(engine="compiled"),
            portable=to_portable(resolve("sma_crossover")),
            study=SimpleNamespace(search=SimpleNamespace(learns=False)),
        )
        pending: Any = [SimpleNamespace(configurations=(1,), bars=int(cost))]
        return choose_runner(
            RunnerQuestion(asked, lake, resolved, given), pending, lambda: None, lambda: None
        )[1]  # type: ignore[arg-type,return-value]

    def test_little_work_on_a_local_lake_starts_no_jvm(self) -> None:
        assert self.said().startswith("runner local: about 1 s on ")

    def test_a_session_is_used_where_there_is_one(self, monkeypatch: pytest.MonkeyPatch) -> None:
        assert self.said(given=True) == "runner spark: a session is there"
        monkeypatch.setattr(where, "session_runs", lambda: True)
        assert self.said() == "runner spark: a session is there"

    def test_what_spark_submit_started_runs_on_spark(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(where, "launched", lambda: True)
        assert self.said() == "runner spark: spark-submit started this program"

    def test_much_work_goes_to_spark_unless_the_local_one_is_asked_for(self) -> None:
        assert self.said(cost=1e14).startswith("runner spark: about ")
        assert self.said("local", cost=1e14).startswith("runner local: about ")

    def test_a_service_is_written_to_by_spark_alone(self) -> None:
        assert self.said(service=True).startswith("runner spark: ")
        with pytest.raises(
            RunError, match=r"runner local writes to a lake on this machine alone.*--runner spark"
        ):
            self.said("local", service=True)

    def test_a_runner_that_does_not_exist_is_refused(self) -> None:
        with pytest.raises(RunError, match="runner 'dask': use auto, local or spark"):
            RunOptions(runner="dask")

    def test_the_environment_names_one(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("WHATIF_RUNNER", "local")
        assert RunOptions().runner == "local"


@pytest.mark.spark
@pytest.mark.parametrize(
    "changes",
    [
        {},
        pytest.param({"engine": "backtrader", "overlays": {"stop_loss": 0.002}}, marks=pytest.mark.slow),
        pytest.param({"portfolio": "shared", "engine": "backtrader"}, marks=pytest.mark.slow),
        pytest.param(
            {"strategy": {"name": "breakout", "params": {"size": 50.0}}, "axes": {"period": [5, 9]}},
            marks=pytest.mark.slow,
        ),
        pytest.param(
            {"split": {"kind": "walk_forward", "train": 2, "validate": 1, "test": 1}}, marks=pytest.mark.slow
        ),
    ],
    ids=["compiled", "backtrader", "shared", "breakout", "walk forward"],
)
@pytest.mark.parametrize("by_tasks", [True, pytest.param(False, marks=pytest.mark.slow)])
def test_both_runners_store_the_same_rows(
    spark, tmp_path: Path, monkeypatch, make_study, changes: dict[str, Any], by_tasks: bool
) -> None:
    written: list[str] = []
    append = spark_runner.append_files
    monkeypatch.setattr(
        spark_runner, "append_files", lambda *given: (written.append(given[1].name), append(*given))
    )
    if by_tasks:
        monkeypatch.setattr(spark_runner, "ROWS_OF_A_TASK", 1)
    study = make_study(**changes)
    stored = {}
    for name in ("spark", "local"):
        where = LakeLocation(tmp_path / name)
        put_bars(where, [walk("A", 1, minutes=120), walk("B", 2, minutes=120)])
        options = RunOptions(track=False, runner=name, output=tmp_path / f"report-{name}")
        result = run(study, get_spark(where), where, options)
        assert result.failed == 0
        stored[name] = {spec.name: plain_rows(where, spec) for spec in TABLES}
    assert stored["local"] == stored["spark"]
    assert all(stored["local"].values())
    assert written[:2] == (["returns", "results"] if by_tasks else [])


@pytest.mark.spark
def test_one_runner_goes_on_where_the_other_stopped(spark, market: LakeLocation, make_study) -> None:
    def answer(runner: str, fast: list[int]) -> tuple[int, int]:
        study = make_study(axes={"fast": fast, "slow": [15]})
        found = run(study, spark, market, RunOptions(track=False, report=False, runner=runner))
        return found.computed, found.resumed

    assert answer("local", [3, 4]) == (4, 0)
    assert answer("spark", [3, 4, 5]) == (2, 4)
    assert answer("local", [3, 4, 5, 6]) == (2, 6)
    assert answer("spark", [3, 4, 5, 6]) == (0, 8)
    keys = [row for row in plain_rows(market, RESULTS) if '"validate"' in row]
    assert len(keys) == len(set(keys)) == 8


@pytest.mark.spark
def test_failed_rows_are_tried_again_locally(spark, market: LakeLocation, make_study, tmp_path: Path) -> None:
    own = tmp_path / "own.py"
    flag = tmp_path / "flag"
    own.write_text(
        "from pathlib import Path\n"
        "from whatif.strategies import Param, hold, strategy\n"
        "@strategy(params={'n': Param(1)})\n"
        "def own(i, x, p, s):\n"
        f"    if p.n == 2 and i > 100 and not Path({str(flag)!r}).exists():\n"
        "        raise ValueError('not yet')\n"
        "    return hold()\n"
    )
    study = make_study(strategy={"name": str(own)}, axes={"n": [1, 2]}, engine="backtrader")
    options = {"track": False, "report": False, "runner": "local"}
    assert run(study, None, market, RunOptions(**options)).failed == 2
    flag.touch()
    again = run(study, None, market, RunOptions(**options, retry_failed=True))
    assert (again.computed, again.resumed, again.failed) == (2, 2, 0)


@pytest.mark.spark
@pytest.mark.slow
def test_what_is_stored_and_logged_is_neither_tried_nor_logged_again(
    spark, market: LakeLocation, make_study, monkeypatch: pytest.MonkeyPatch
) -> None:
    """MLflow's client and the trial of the step are not even asked for, until there is something new."""

    def asked(*_: object, **__: object) -> None:
        pytest.fail("asked for")

    # two windows and no models: what the first run logs is what the second would
    first = run(make_study(), None, market, RunOptions(runner="local"))
    assert (first.computed, first.run_id != "") == (8, True)
    with monkeypatch.context() as patched:
        patched.setattr("whatif.workflow.track.start_study_run", asked)
        patched.setattr("whatif.workflow.study.try_strategy", asked)
        again = run(make_study(), None, market, RunOptions(runner="local"))
        assert (again.computed, again.resumed, again.run_id) == (0, 8, first.run_id)
        assert again.leaderboard().equals(first.leaderboard())
        more = make_study(axes={"fast": [3, 5, 7], "slow": [15, 25]})
        with pytest.raises(pytest.fail.Exception, match="asked for"):
            run(more, None, market, RunOptions(runner="local"))
