"""A wave that is overdue and leaves cores idle gets company; nothing else does. Without a JVM."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from whatif.domain.execution import Execution
from whatif.errors import RunError
from whatif.pins import LakeLocation
from whatif.results import Pending
from whatif.runner import in_flight
from whatif.runner import run as runner
from whatif.runner.in_flight import MAX_AT_ONCE, WavesInFlight
from whatif.runner.plan import Plan
from whatif.runner.run import Computed
from whatif.runner.spark import SparkRunner
from whatif.search.configuration import Configuration
from whatif.strategies import resolve, to_portable

NOWHERE = LakeLocation(Path("none"))


class Context:
    """What waves ask of a Spark context: job groups, and tasks that wait for a core."""

    def __init__(self, waiting: int = 0, status: str = "RUNNING", tasks: int = 8) -> None:
        self.waiting, self.status, self.tasks = waiting, status, tasks
        self.cancelled: list[str] = []
        self.pools: set[str] = set()

    def setJobGroup(self, group: str, *_: Any, **__: Any) -> None:
        pass

    def setLocalProperty(self, key: str, value: str) -> None:
        self.pools.add(value)

    def cancelJobGroup(self, group: str) -> None:
        self.cancelled.append(group)

    def statusTracker(self) -> SimpleNamespace:
        stages = {
            # skipped: its tasks never run
            1: SimpleNamespace(numTasks=9, numActiveTasks=0, numCompletedTasks=0),
            2: SimpleNamespace(
                numTasks=self.tasks, numActiveTasks=2, numCompletedTasks=self.tasks - 2 - self.waiting
            ),
        }
        return SimpleNamespace(
            getJobIdsForGroup=lambda _: [5],
            getJobInfo=lambda _: SimpleNamespace(status=self.status, stageIds=[1, 2]),
            getStageInfo=stages.get,
        )


class Connect:
    """A session without a context."""

    conf = SimpleNamespace(get=lambda *_: "local[2]")

    @property
    def sparkContext(self) -> Any:
        raise NotImplementedError


@pytest.fixture
def hurried(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(in_flight, "SECONDS_ALLOWED", 0.0)
    monkeypatch.setattr(in_flight, "_POLL_SECONDS", 0.01)


@pytest.fixture
def held() -> Iterator[threading.Event]:
    """Return what a slow wave waits for; it is let go in the end."""
    gate = threading.Event()
    yield gate
    gate.set()


def session(context: Context) -> Any:
    return SimpleNamespace(sparkContext=context, conf=SimpleNamespace(get=lambda *_: "local[2]"))


def test_an_overdue_wave_that_leaves_cores_idle_gets_company(hurried, held) -> None:
    context = Context()
    with WavesInFlight[str](session(context)) as waves:
        assert waves.has_room()
        waves.start("slow", 8, 0.05, held.wait)
        assert not waves.has_room(), "it is not overdue yet"
        assert waves.next_done(more=True) is None
        waves.start("next", 8, 60.0, lambda: 7)
        done = waves.next_done(more=True)
        assert done is not None
        assert (done.wave, done.result(), done.alone) == ("next", 7, False)
        assert waves.waves == ["slow"]
        held.set()
        slow = waves.next_done(more=False)
        assert slow is not None
        assert (slow.wave, slow.alone, bool(waves)) == ("slow", False, False)
    assert context.pools == {in_flight.POOL}


@pytest.mark.parametrize(
    "context",
    [
        Context(waiting=1),
        Context(status="SUCCEEDED"),  # between two jobs
        Context(tasks=3),  # the stage before the one that computes
    ],
)
def test_a_wave_with_tasks_to_begin_stays_alone_however_late(hurried, held, context) -> None:
    with WavesInFlight[str](session(context)) as waves:
        waves.start("slow", 8, 0.0, held.wait)
        assert not waves.has_room()
        held.set()
        done = waves.next_done(more=True)
        assert done is not None
        assert done.alone


def test_without_more_to_run_a_wave_is_waited_for(hurried) -> None:
    with WavesInFlight[str](session(Context())) as waves:
        waves.start("last", 8, 0.0, lambda: threading.Event().wait(0.2))
        done = waves.next_done(more=False)
        assert done is not None
        assert done.alone


def test_waves_at_once_are_bounded(hurried, held) -> None:
    with WavesInFlight[int](session(Context())) as waves:
        for k in range(MAX_AT_ONCE):
            assert waves.has_room()
            waves.start(k, 8, -1.0, held.wait)
        assert not waves.has_room()
        held.set()


def test_what_is_left_running_is_cancelled(hurried, held) -> None:
    context = Context()

    def interrupted() -> None:
        with WavesInFlight[str](session(context)) as waves:
            waves.start("slow", 8, 0.0, held.wait)
            held.set()
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert len(context.cancelled) == 1


def test_a_session_without_a_context_goes_by_the_time(hurried, held) -> None:
    with WavesInFlight[str](Connect()) as waves:  # type: ignore[arg-type]
        waves.start("slow", 8, 0.0, held.wait)
        assert waves.has_room()
        held.set()


class TestRunWaves:
    """The loop itself, with waves that are computed and stored by nobody."""

    @pytest.fixture
    def stored(self, monkeypatch: pytest.MonkeyPatch, hurried: None) -> list[list[str]]:
        found: list[list[str]] = []

        def store(_: Any, __: Any, ___: Any, rows: Any, *____: Any) -> None:
            found.append(rows)

        monkeypatch.setattr(SparkRunner, "store", store)
        monkeypatch.setattr(SparkRunner, "release", lambda _, rows: None)
        monkeypatch.setattr(SparkRunner, "fresh", lambda *_: frozenset())
        return found

    def computed(self, monkeypatch: pytest.MonkeyPatch, during: Callable[[list[str]], None]) -> None:
        def compute(_: Any, __: Plan, items: Any) -> Computed:
            ids = [c.config_id for item in items for c in item.configurations]
            during(ids)
            return Computed(ids, Counter(ok=len(ids)), 0.1 * len(ids), 0.1)

        monkeypatch.setattr(SparkRunner, "compute", compute)
        monkeypatch.setattr(runner.Pace, "wave_cost", lambda self, left, cores: 100.0 * cores)

    def run(self, made_plan: Plan, slots: Callable[[], int], count: int = 12) -> list[runner.WaveDone]:
        some = tuple(Configuration(f"c{k:02}", {}, None, "1min", Execution()) for k in range(count))
        reports: list[runner.WaveDone] = []
        work = [Pending(("A",), "validate", some, 100)]
        spark = SparkRunner(Connect(), NOWHERE, slots)  # type: ignore[arg-type]
        runner.run_waves(spark, made_plan, work, report=reports.append)
        return reports

    @pytest.fixture
    def made_plan(self, tmp_path: Path) -> Plan:
        strategy = to_portable(resolve("sma_crossover"))
        return Plan(
            "s", "d", None, {}, {}, strategy, "n", {}, "backtrader", {}, home=str(tmp_path)  # type: ignore[arg-type]
        )  # fmt: skip

    def test_cores_are_asked_for_before_each_wave(self, monkeypatch, stored, made_plan) -> None:
        self.computed(monkeypatch, lambda _: None)
        # one executor, then three that came late, then two after one was lost
        slots = iter([1, 3, 3, 2, 2])
        self.run(made_plan, lambda: next(slots))
        # of the last five, three are no rest worth a wave
        assert [len(ids) for ids in stored] == [1, 3, 3, 2, 3]
        assert sorted(one for ids in stored for one in ids) == [f"c{k:02}" for k in range(12)]

    def test_the_next_wave_is_computed_while_one_is_stored(self, monkeypatch, stored, made_plan) -> None:
        computing = [threading.Event() for _ in range(3)]

        def during(ids: list[str]) -> None:
            computing[int(ids[0][1:]) // 4].set()

        self.computed(monkeypatch, during)
        real = SparkRunner.store

        def store(*arguments: Any) -> None:
            later = computing[len(stored) + 1 :]
            assert all(one.wait(10) for one in later[:1]), "executors wait for the commits"
            assert not any(one.is_set() for one in later[1:]), "more waves than one would be lost by a kill"
            real(*arguments)

        monkeypatch.setattr(SparkRunner, "store", store)
        self.run(made_plan, lambda: 4)
        assert [len(ids) for ids in stored] == [4, 4, 4]

    def test_one_slow_configuration_does_not_hold_up_the_rest(
        self, monkeypatch, stored, made_plan, held
    ) -> None:
        """The first wave ends only when all others are stored, or never."""

        def during(ids: list[str]) -> None:
            if "c00" in ids:
                assert held.wait(30), "nothing was run beside the slow one"

        self.computed(monkeypatch, during)
        monkeypatch.setattr(runner.Pace, "seconds", lambda self, cost, cores: 0.01)
        real = SparkRunner.store
        monkeypatch.setattr(SparkRunner, "store", lambda *a: (real(*a), len(stored) >= 5 and held.set()))
        reports = self.run(made_plan, lambda: 2)
        assert len(stored) == 6
        assert "c00" in stored[-1]
        assert sorted(one for ids in stored for one in ids) == [f"c{k:02}" for k in range(12)]
        assert [done.remaining for done in reports] == [1000.0, 800.0, 600.0, 400.0, 200.0, 0.0]

    def test_a_wave_that_fails_ends_the_run(self, monkeypatch, stored, made_plan) -> None:
        def during(ids: list[str]) -> None:
            raise RuntimeError("Job aborted\nException: worker died")

        self.computed(monkeypatch, during)
        with pytest.raises(RunError, match=r"worker died.*workers\.log"):
            self.run(made_plan, lambda: 2)
