"""Runs that are processes here: started, followed, killed, cancelled. A script stands in for Spark."""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from whatif.errors import SessionError, SubmitError
from whatif.study import load_study
from whatif.submit.assembly import Place, Size, Spark, assemble
from whatif.submit.attend import birth, read_state
from whatif.submit.requests import Job
from whatif.submit.runner import Phase, State
from whatif.submit.settings import ClusterSettings, SubmitSettings
from whatif.submit.spark_submit import Launcher, SparkSubmit
from whatif.submit.target import parse_target

REPOSITORY = Path(__file__).resolve().parents[2]
TWO = Size(2, "3g")
SPARK = Spark("/spark/bin/spark-submit", "/java", "/jars/iceberg.jar")

Make = Callable[[str], SparkSubmit]


@pytest.fixture
def make(tmp_path: Path) -> Make:
    """Return a runner whose spark-submit is a Python script of the text given."""

    def build(script: str) -> SparkSubmit:
        program = tmp_path / "spark-submit"
        program.write_text(f"#!{sys.executable}\n{script}\n")
        program.chmod(0o755)
        environment = {"PYTHONPATH": str(REPOSITORY), "PYTHONUNBUFFERED": "1"}
        return SparkSubmit(
            Launcher(str(program), "local[2,4]", {"spark.a": "b"}, environment), tmp_path / "subs"
        )

    return build


def over(runner: SparkSubmit, run: str) -> State:
    """Return the last state of a run that ends soon."""
    end = time.monotonic() + 60
    while time.monotonic() < end:
        state = runner.state(run)
        if state.phase.over:
            return state
        time.sleep(0.05)
    raise TimeoutError(str(runner.state(run)))


def wait_for_line(runner: SparkSubmit, run: str) -> str:
    end = time.monotonic() + 60
    while time.monotonic() < end:
        lines = runner.logs(run)
        if lines:
            return lines[0]
        time.sleep(0.05)
    raise TimeoutError("the run printed nothing")


class TestRuns:
    def test_one_that_succeeds(self, make: Make, job: Job) -> None:
        runner = make("import sys; print(*sys.argv[1:])")
        run = runner.start(job)
        state = over(runner, run)
        assert (state.name, state.phase) == ("FINISHED", Phase.SUCCEEDED)
        assert state.started is not None
        assert state.ended is not None
        assert runner.logs(run) == [" ".join(runner.request(job)["command"][1:])]
        assert runner.logs(run) == [], "each line once"
        assert runner.find(job).run == run

    def test_one_that_fails_and_its_next_attempt(self, make: Make, job: Job) -> None:
        runner = make("raise SystemExit(3)")
        run = runner.start(job)
        state = over(runner, run)
        assert state.phase is Phase.FAILED
        assert "exit code 3; see " in state.detail
        found = runner.find(job)
        assert (found.run, found.attempts) == ("", 1)
        assert runner.start(replace(job, attempt=2)) != run

    def test_one_that_is_going_on_is_found_and_not_started_again(self, make: Make, job: Job) -> None:
        runner = make("import time; print('up'); time.sleep(60)")
        run = runner.start(job)
        try:
            wait_for_line(runner, run)
            found = runner.find(job)
            assert found.run == run
            assert found.state is not None
            assert found.state.phase is Phase.RUNNING
            with pytest.raises(SubmitError, match="is being started by another process"):
                runner.start(job)
        finally:
            runner.cancel(run)
        assert over(runner, run).phase is Phase.CANCELLED

    def test_cancelling_ends_all_that_it_started(self, make: Make, job: Job) -> None:
        runner = make(
            "import subprocess, sys, time; p = subprocess.Popen([sys.executable, '-c', 'import time; "
            "time.sleep(60)']); print(p.pid); time.sleep(60)"
        )
        run = runner.start(job)
        grandchild = int(wait_for_line(runner, run))
        assert birth(grandchild)
        runner.cancel(run)
        state = over(runner, run)
        assert (state.name, state.phase) == ("CANCELLED", Phase.CANCELLED)
        end = time.monotonic() + 10
        while birth(grandchild) and time.monotonic() < end:
            time.sleep(0.05)
        assert not birth(grandchild)

    def test_a_keeper_that_was_killed(self, make: Make, job: Job, tmp_path: Path) -> None:
        runner = make("import os, time; print(os.getpid()); time.sleep(60)")
        run = runner.start(job)
        child = int(wait_for_line(runner, run))
        keeper = read_state(tmp_path / "subs" / f"{run}.process.json")["pid"]
        os.kill(keeper, signal.SIGKILL)
        os.kill(child, signal.SIGKILL)
        state = over(runner, run)
        assert (state.name, state.detail) == ("GONE", "its process was killed")
        assert runner.find(job).run == "", "so the next submit starts it again"

    def test_cancelling_what_is_over_does_nothing(self, make: Make, job: Job) -> None:
        runner = make("")
        run = runner.start(job)
        over(runner, run)
        runner.cancel(run)
        assert runner.state(run).phase is Phase.SUCCEEDED

    def test_a_run_that_never_began(self, make: Make, job: Job, tmp_path: Path) -> None:
        runner = make("")
        (tmp_path / "subs").mkdir()
        taken = tmp_path / "subs" / f"{job.identity}-1.process.json"
        taken.write_text('{"started": "2020-01-01T00:00:00+00:00"}')
        assert runner.state(f"{job.identity}-1").name == "GONE"
        assert runner.state("unheard-1").phase is Phase.FAILED


class TestCommandLines:
    def plan(
        self, target: str, study_file: Path, tmp_path: Path, size: Size = TWO, **settings: object
    ) -> dict[str, object]:
        place = Place(parse_target(target), SubmitSettings(**settings), tmp_path / "home", SPARK)  # type: ignore[arg-type]
        submission = assemble(
            load_study(study_file), study_file, place, size, ("--latest",), tmp_path / "out"
        )
        return submission.plan()

    @pytest.mark.parametrize(
        ("study", "cores"),
        [
            ("made", "4"),  # two periods times two
            ("made-walking", None),
            ("finspace-whatif", None),  # forests are trained on all there are
        ],
    )
    def test_no_more_cores_than_backtests_are_asked_for(
        self, study: str, cores: str | None, study_file: Path, tmp_path: Path
    ) -> None:
        file = REPOSITORY / "conf" / "studies" / f"{study}.yaml"
        if study.startswith("made"):
            file = study_file
        if study == "made-walking":
            split = "split: {kind: walk_forward, validate: 2, test: 1}\n"
            file.write_text(file.read_text(encoding="utf-8") + split, encoding="utf-8")
        command = self.plan("spark://h:7077", file, tmp_path, Size())["request"]["command"]  # type: ignore[index]
        conf = dict(command[k + 1].split("=", 1) for k, part in enumerate(command) if part == "--conf")
        assert conf.get("spark.cores.max") == cores

    def test_a_cluster_takes_the_code_along(self, study_file: Path, tmp_path: Path) -> None:
        archive = ClusterSettings(archive="/share/environment.tar.gz")
        plan = self.plan("spark://h:7077", study_file, tmp_path, cluster=archive)
        request = plan["request"]
        assert isinstance(request, dict)
        command = request["command"]
        conf = dict(command[k + 1].split("=", 1) for k, part in enumerate(command) if part == "--conf")
        assert command[:3] == ["/spark/bin/spark-submit", "--master", "spark://h:7077"]
        assert conf["spark.cores.max"] == "2"
        assert conf["spark.executor.memory"] == "3g"
        assert conf["spark.jars"] == "/jars/iceberg.jar"
        assert conf["spark.sql.extensions"].endswith("IcebergSparkSessionExtensions")
        assert conf["spark.archives"] == "/share/environment.tar.gz#environment"
        assert conf["spark.pyspark.python"] == "./environment/bin/python"
        code = command[command.index("--py-files") + 1]
        assert plan["uploads"] == [{"to": code, "bytes": plan["uploads"][0]["bytes"]}]  # type: ignore[index]
        assert code.startswith(str(tmp_path / "home" / "submissions" / "code"))
        assert command[-5:] == [
            str(REPOSITORY / "jobs" / "run_whatif.py"), str(study_file), "--output", str(tmp_path / "out"),
            "--latest",
        ]  # fmt: skip
        assert request["environment"]["WHATIF_HOME"] == str(tmp_path / "home")
        assert request["environment"]["JAVA_HOME"] == "/java"

    def test_executors_that_train_compile_well_and_others_quickly(
        self, study_file: Path, tmp_path: Path
    ) -> None:
        quick = "spark.executor.extraJavaOptions=-XX:TieredStopAtLevel=1"
        trains = REPOSITORY / "conf" / "studies" / "finspace-whatif.yaml"
        commands = [
            self.plan("spark://h:7077", study, tmp_path)["request"]["command"]  # type: ignore[index]
            for study in (study_file, trains)
        ]
        assert quick in commands[0]
        assert not any("executor.extraJavaOptions" in part for part in commands[1])

    def test_this_machine(self, study_file: Path, tmp_path: Path) -> None:
        plan = self.plan("local", study_file, tmp_path)
        request = plan["request"]
        assert isinstance(request, dict)
        assert request["command"][:3] == ["/spark/bin/spark-submit", "--master", "local[2,4]"]
        assert "spark.driver.memory=3g" in request["command"]
        assert "--py-files" not in request["command"]
        assert not any(part.startswith("spark.master=") for part in request["command"])
        assert plan["uploads"] == []

    def test_a_master_that_does_not_answer(self, tmp_path: Path) -> None:
        launcher = Launcher("spark-submit", "spark://127.0.0.1:9", {}, {})
        with pytest.raises(SessionError, match=r"spark://127\.0\.0\.1:9 does not answer: start it"):
            SparkSubmit(launcher, tmp_path).check()
