"""Both services through every state, failure and throttling included; nobody really waits."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from botocore.exceptions import EndpointConnectionError
from botocore.session import get_session

from whatif.errors import SubmitError
from whatif.submit import emr_serverless, glue
from whatif.submit.emr_serverless import EmrServerless
from whatif.submit.explain import TRIES
from whatif.submit.follow import Watch, cost, cost_text, elapsed_text, follow
from whatif.submit.glue import Glue
from whatif.submit.requests import Job
from whatif.submit.runner import Phase
from whatif.submit.settings import Prices, SubmitSettings

from .conftest import Clock, FakeEmr, FakeGlue, NoLogs, refusal

NO_PRICES = Prices()
PRICES = Prices(currency="EUR", vcpu_hour=0.05, memory_gb_hour=0.01, storage_gb_hour=0.0)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def emr(clock: Clock) -> FakeEmr:
    return FakeEmr(clock)


@pytest.fixture
def glue_service(clock: Clock) -> FakeGlue:
    return FakeGlue(clock)


@pytest.fixture
def on_emr(settings: SubmitSettings, emr: FakeEmr, clock: Clock) -> EmrServerless:
    clients: dict[str, Any] = {"emr-serverless": emr, "s3": NoLogs()}
    return EmrServerless(settings, {"spark.a": "b"}, clients.__getitem__, clock.sleep)


@pytest.fixture
def on_glue(settings: SubmitSettings, glue_service: FakeGlue, clock: Clock) -> Glue:
    clients: dict[str, Any] = {"glue": glue_service, "logs": NoLogs()}
    return Glue(settings, {"spark.a": "b"}, ("G.1X", 10), clients.__getitem__, clock.sleep)


@pytest.fixture
def said() -> list[str]:
    return []


@pytest.fixture
def watch(clock: Clock, said: list[str]) -> Watch:
    return Watch(said.append, sleep=clock.sleep, now=clock.now)


def in_model(service: str, shape: str) -> set[str]:
    return set(get_session().get_service_model(service).shape_for(shape).enum)


class TestEveryStateIsKnown:
    def test_of_emr_serverless(self) -> None:
        assert set(emr_serverless.PHASES) == in_model("emr-serverless", "JobRunState")

    def test_of_glue(self) -> None:
        assert set(glue.PHASES) == in_model("glue", "JobRunState")

    def test_only_what_cannot_change_is_over(self) -> None:
        over = {name for name, phase in emr_serverless.PHASES.items() if phase.over}
        assert over == {"SUCCESS", "FAILED", "CANCELLED"}
        over = {name for name, phase in glue.PHASES.items() if phase.over}
        assert over == {"STOPPED", "SUCCEEDED", "FAILED", "TIMEOUT", "ERROR", "EXPIRED"}


class TestFollowing:
    @pytest.mark.parametrize(
        ("last", "phase"),
        [("SUCCESS", Phase.SUCCEEDED), ("FAILED", Phase.FAILED), ("CANCELLED", Phase.CANCELLED)],
    )
    def test_emr_serverless_to_the_end(
        self,
        on_emr: EmrServerless,
        emr: FakeEmr,
        job: Job,
        watch: Watch,
        said: list[str],
        last: str,
        phase: Phase,
    ) -> None:
        path = ["SUBMITTED", "PENDING", "QUEUED", "SCHEDULED", "RUNNING", "RUNNING", "CANCELLING", last]
        emr.states = path
        run = on_emr.start(job)
        state = follow(on_emr, run, NO_PRICES, watch)
        assert state.phase is phase
        shown = [text.partition(",")[0] for text in said]
        assert shown == [*dict.fromkeys(path)], "each state is told once, and CANCELLING is not the end"

    @pytest.mark.parametrize(
        ("last", "phase"),
        [
            ("SUCCEEDED", Phase.SUCCEEDED),
            ("FAILED", Phase.FAILED),
            ("ERROR", Phase.FAILED),
            ("TIMEOUT", Phase.FAILED),
            ("EXPIRED", Phase.FAILED),
            ("STOPPED", Phase.CANCELLED),
        ],
    )
    def test_glue_to_the_end(
        self,
        on_glue: Glue,
        glue_service: FakeGlue,
        job: Job,
        watch: Watch,
        said: list[str],
        last: str,
        phase: Phase,
    ) -> None:
        path = ["WAITING", "STARTING", "RUNNING", "STOPPING", last]
        glue_service.states = path
        run = on_glue.start(job)
        assert follow(on_glue, run, NO_PRICES, watch).phase is phase
        assert [text.partition(",")[0] for text in said] == path

    def test_a_state_nobody_has_heard_of_is_not_the_end(
        self, on_emr: EmrServerless, emr: FakeEmr, job: Job, watch: Watch, said: list[str]
    ) -> None:
        emr.states = ["DREAMING", "SUCCESS"]
        assert follow(on_emr, on_emr.start(job), NO_PRICES, watch).phase is Phase.SUCCEEDED
        assert said[0].startswith("DREAMING")

    def test_elapsed_time_and_cost_grow(
        self, on_emr: EmrServerless, emr: FakeEmr, job: Job, watch: Watch, said: list[str]
    ) -> None:
        """2 vCPU-hours at 0.05 and 8 GB-hours at 0.01 are billed in the end: 0.18."""
        emr.states = ["RUNNING", "SUCCESS"]
        follow(on_emr, on_emr.start(job), PRICES, watch)
        # a quarter of a vCPU-hour and a whole GB-hour: 0.0125 + 0.01
        assert said[0] == "RUNNING, 0 s, 0.250 vCPU-hours, 1.000 GB-hours of memory = 0.02 EUR"
        assert said[1] == "SUCCESS, 2 s, 2.000 vCPU-hours, 8.000 GB-hours of memory = 0.18 EUR"

    def test_glue_counts_dpu_hours(
        self, on_glue: Glue, glue_service: FakeGlue, job: Job, watch: Watch, said: list[str]
    ) -> None:
        """360 s on 10 DPU are one DPU-hour."""
        glue_service.states = ["SUCCEEDED"]
        follow(on_glue, on_glue.start(job), Prices(currency="USD", dpu_hour=0.5), watch)
        assert said == ["SUCCEEDED, 0 s, 1.000 DPU-hours = 0.50 USD"]

    def test_polling_slows_down_and_a_long_run_is_told_of_again(
        self, on_emr: EmrServerless, emr: FakeEmr, job: Job, watch: Watch, said: list[str], clock: Clock
    ) -> None:
        emr.states = ["RUNNING"] * 60 + ["SUCCESS"]
        follow(on_emr, on_emr.start(job), NO_PRICES, watch)
        assert clock.slept[0] == 2.0
        assert max(clock.slept) == 15.0
        # 60 polls of at most 15 s, told of every 5 minutes
        assert 3 <= sum(text.startswith("RUNNING") for text in said) <= 4

    def test_a_process_of_this_machine_is_looked_at_often(
        self, on_emr: EmrServerless, emr: FakeEmr, job: Job, watch: Watch, clock: Clock
    ) -> None:
        emr.states = ["RUNNING"] * 9 + ["SUCCESS"]
        run = on_emr.start(job)
        clock.slept.clear()
        follow(on_emr, run, NO_PRICES, replace(watch, longest=0.25))
        assert set(clock.slept) == {0.25}

    def test_throttling_and_lost_connections_do_not_end_it(
        self, on_emr: EmrServerless, emr: FakeEmr, job: Job, watch: Watch, clock: Clock
    ) -> None:
        run = on_emr.start(job)
        emr.errors = [
            refusal("ThrottlingException"),
            EndpointConnectionError(endpoint_url="https://emr"),
            refusal("InternalServerException"),
        ]
        assert follow(on_emr, run, NO_PRICES, watch).phase is Phase.SUCCEEDED
        assert clock.slept[:3] == [2.0, 4.0, 8.0]

    def test_what_went_wrong_is_said(
        self, on_emr: EmrServerless, emr: FakeEmr, job: Job, watch: Watch, said: list[str]
    ) -> None:
        emr.states = ["FAILED"]
        run = on_emr.start(job)
        emr.runs[0]["stateDetails"] = "Job failed: exit code 2"
        follow(on_emr, run, NO_PRICES, watch)
        assert said[-1].endswith("Job failed: exit code 2")

    def test_the_driver_s_lines_come_as_they_come(
        self, settings: SubmitSettings, emr: FakeEmr, job: Job, watch: Watch, said: list[str], clock: Clock
    ) -> None:
        class Talks(EmrServerless):
            def logs(self, run: str) -> list[str]:
                return [f"line {emr.looks}"]

        emr.states = ["RUNNING", "SUCCESS"]
        runner = Talks(settings, {"a": "b"}, lambda _: emr, clock.sleep)
        follow(runner, runner.start(job), NO_PRICES, watch)
        assert [text for text in said if "line" in text] == ["  line 1", "  line 2"]


class TestStarting:
    @pytest.mark.parametrize(
        "code",
        [
            "ThrottlingException",
            "TooManyRequestsException",
            "ServiceQuotaExceededException",
            "InternalServerException",
        ],
    )
    def test_a_busy_service_is_asked_again(
        self, on_emr: EmrServerless, emr: FakeEmr, job: Job, clock: Clock, code: str
    ) -> None:
        emr.errors = [refusal(code), refusal(code)]
        assert on_emr.start(job) == "run1"
        assert clock.slept == [2.0, 4.0]
        assert len(emr.starts) == 1

    def test_glue_s_concurrent_runs(
        self, on_glue: Glue, glue_service: FakeGlue, job: Job, clock: Clock
    ) -> None:
        glue_service.errors = [refusal("ConcurrentRunsExceededException")]
        assert on_glue.start(job) == "jr_1"
        assert clock.slept == [2.0]

    def test_a_quota_that_stays_used_up(
        self, on_emr: EmrServerless, emr: FakeEmr, job: Job, clock: Clock
    ) -> None:
        emr.errors = [refusal("ServiceQuotaExceededException", "vCPU")] * TRIES
        with pytest.raises(SubmitError, match=r"quota is used up .*vCPU.*--executors"):
            on_emr.start(job)
        assert sum(clock.slept) == 62.0
        assert not emr.starts

    def test_a_lost_answer_does_not_start_it_twice(
        self, on_emr: EmrServerless, emr: FakeEmr, job: Job
    ) -> None:
        """The token is the same, so the service knows the request again."""
        assert on_emr.start(job) == on_emr.start(job)
        assert len(emr.runs) == 1

    @pytest.mark.parametrize(
        ("application", "says"),
        [
            ({"state": "TERMINATED"}, "is TERMINATED and cannot be started again: deploy infra/ anew"),
            (
                {"state": "STOPPED", "autoStartConfiguration": {"enabled": False}},
                "is STOPPED and does not start by itself: run 'aws emr-serverless start-application "
                "--application-id 00f1abcd'",
            ),
            (
                {"releaseLabel": "emr-spark-8.0.0"},
                "of release emr-spark-8.0.0: .* use one of release emr-7.13.0",
            ),
        ],
    )
    def test_an_application_that_cannot_run_it(
        self, on_emr: EmrServerless, emr: FakeEmr, application: dict[str, Any], says: str
    ) -> None:
        emr.application |= application
        with pytest.raises(SubmitError, match=says):
            on_emr.check()

    def test_a_stopped_application_that_starts_by_itself(self, on_emr: EmrServerless, emr: FakeEmr) -> None:
        emr.application |= {"state": "STOPPED", "autoStartConfiguration": {"enabled": True}}
        on_emr.check()

    def test_a_glue_job_of_another_version(self, on_glue: Glue, glue_service: FakeGlue) -> None:
        glue_service.version = "6.0"
        with pytest.raises(SubmitError, match=r"version 6\.0.*set its GlueVersion to '5\.1'"):
            on_glue.check()


class TestFinding:
    """The same thing is known by name and identity, whoever submitted it."""

    Starts = Callable[[Job], str]

    @pytest.mark.parametrize("state", ["SUBMITTED", "RUNNING", "CANCELLING", "SUCCESS"])
    def test_what_is_going_on_or_has_succeeded(
        self, on_emr: EmrServerless, emr: FakeEmr, job: Job, state: str
    ) -> None:
        run = on_emr.start(job)
        emr.runs[0]["state"] = state
        found = on_emr.find(job)
        assert (found.run, found.attempts) == (run, 1)

    @pytest.mark.parametrize("state", ["FAILED", "CANCELLED"])
    def test_what_has_failed_counts_as_an_attempt(
        self, on_emr: EmrServerless, emr: FakeEmr, job: Job, state: str
    ) -> None:
        on_emr.start(job)
        emr.runs[0]["state"] = state
        found = on_emr.find(job)
        assert (found.run, found.attempts) == ("", 1)

    def test_runs_of_others_are_not_ours(self, on_emr: EmrServerless, emr: FakeEmr, job: Job) -> None:
        emr.runs = [{"id": f"x{k}", "name": "whatif made ffff", "state": "RUNNING"} for k in range(5)]
        assert on_emr.find(job).attempts == 0
        on_emr.start(job)
        assert on_emr.find(job).run == "run6", "it stands on the third page"

    def test_one_that_is_going_on_comes_before_one_that_succeeded(
        self, on_emr: EmrServerless, emr: FakeEmr, job: Job
    ) -> None:
        name = job.name
        emr.runs = [
            {"id": "new", "name": name, "state": "SUCCESS"},
            {"id": "old", "name": name, "state": "RUNNING"},
        ]
        assert on_emr.find(job).run == "old"

    def test_glue_finds_it_by_its_argument(self, on_glue: Glue, glue_service: FakeGlue, job: Job) -> None:
        glue_service.runs = [{"Id": f"o{k}", "Arguments": {}, "JobRunState": "RUNNING"} for k in range(3)]
        run = on_glue.start(job)
        assert on_glue.find(job).run == run
        glue_service.runs[-1]["JobRunState"] = "TIMEOUT"
        found = on_glue.find(job)
        assert (found.run, found.attempts) == ("", 1)


class TestCancelling:
    def test_emr(self, on_emr: EmrServerless, emr: FakeEmr) -> None:
        on_emr.cancel("run1")
        assert emr.cancelled == ["run1"]

    def test_glue(self, on_glue: Glue, glue_service: FakeGlue) -> None:
        on_glue.cancel("jr_1")
        assert glue_service.stopped == ["jr_1"]

    def test_glue_says_no(
        self, on_glue: Glue, glue_service: FakeGlue, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        no = {"Errors": [{"JobRunId": "jr_1", "ErrorDetail": {"ErrorMessage": "not running"}}]}
        monkeypatch.setattr(FakeGlue, "batch_stop_job_run", lambda *_, **__: no)
        with pytest.raises(SubmitError, match="cannot stop run jr_1 of Glue job whatif-run: not running"):
            on_glue.cancel("jr_1")


class TestCost:
    def test_without_prices_there_are_hours_alone(self) -> None:
        assert cost({"vcpu_hour": 2.0}, NO_PRICES) is None
        assert cost_text({"vcpu_hour": 2.0}, NO_PRICES) == "2.000 vCPU-hours"

    def test_a_price_that_is_missing_makes_no_sum(self) -> None:
        assert cost({"vcpu_hour": 2.0, "memory_gb_hour": 1.0}, Prices(vcpu_hour=1.0)) is None

    def test_nothing_used_yet(self) -> None:
        assert cost({}, PRICES) is None
        assert cost_text({}, PRICES) == ""

    @pytest.mark.parametrize(
        ("seconds", "text"), [(0, "0 s"), (59.6, "1 min 00 s"), (187, "3 min 07 s"), (3720, "1 h 02 min")]
    )
    def test_durations(self, seconds: float, text: str) -> None:
        assert elapsed_text(seconds) == text
