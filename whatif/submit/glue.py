"""Runner of jobs on AWS Glue."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from whatif.errors import SubmitError
from whatif.submit.emr_serverless import Client
from whatif.submit.explain import in_plain_words, patiently
from whatif.submit.requests import GLUE_VERSION, Job, glue_request
from whatif.submit.runner import Found, Phase, State, choose
from whatif.submit.settings import SubmitSettings
from whatif.submit.tails import CloudWatchTail, Quiet

PHASES = {
    "WAITING": Phase.WAITING,
    "STARTING": Phase.WAITING,
    "RUNNING": Phase.RUNNING,
    "STOPPING": Phase.STOPPING,
    "STOPPED": Phase.CANCELLED,
    "SUCCEEDED": Phase.SUCCEEDED,
    "FAILED": Phase.FAILED,
    "TIMEOUT": Phase.FAILED,
    "ERROR": Phase.FAILED,
    "EXPIRED": Phase.FAILED,
}
DEFAULT_LOG_GROUP = "/aws-glue/jobs"
IDENTITY = "--whatif-identity"


class Glue:
    """A runner on a job of Glue. Glue knows no client token: earlier runs are found by their arguments."""

    def __init__(
        self,
        settings: SubmitSettings,
        conf: Mapping[str, str],
        size: tuple[str, int],
        client: Client,
        sleep: Callable[[float], None],
    ) -> None:
        self._settings, self._conf, self._size = settings, conf, size
        self._client, self._sleep = client, sleep
        self._job = str(settings.glue.job)
        self._tails: dict[str, Quiet] = {}
        self._groups: dict[str, str] = {}

    def request(self, job: Job) -> dict[str, Any]:
        """Return the request that would start `job`."""
        return {"service": "glue", "operation": "StartJobRun", "parameters": self._parameters(job)}

    def find(self, job: Job) -> Found:
        """Return the run of the same identity that is going on or has succeeded."""
        with self._words("look for earlier runs"):
            pages = self._glue.get_paginator("get_job_runs").paginate(JobName=self._job)
            runs = [run for page in pages for run in page["JobRuns"]]
        ours = [run for run in runs if run.get("Arguments", {}).get(IDENTITY) == job.identity]
        return choose([(run["Id"], _state(run)) for run in ours])

    def check(self) -> None:
        """Refuse a job of another version of Glue, which is another Spark.

        Raises
        ------
        SubmitError
            If it is, or there is no such job.
        """
        with self._words("look at the job"):
            found = self._glue.get_job(JobName=self._job)["Job"]
        version = found.get("GlueVersion")
        if version != GLUE_VERSION:
            raise SubmitError(
                f"Glue job {self._job} is of version {version}, and the jobs are made for {GLUE_VERSION} "
                f"(Spark 3.5, Python 3.11): set its GlueVersion to '{GLUE_VERSION}', as infra/ does"
            )

    def start(self, job: Job) -> str:
        """Start the job; while the job's MaxConcurrentRuns are busy, wait a little."""
        parameters = self._parameters(job)
        with self._words("start the job"):
            answer = patiently(lambda: self._glue.start_job_run(**parameters), self._sleep)
        return str(answer["JobRunId"])

    def state(self, run: str) -> State:
        """Return how a run is doing."""
        with self._words(f"look at run {run}"):
            answer = patiently(lambda: self._glue.get_job_run(JobName=self._job, RunId=run), self._sleep)
        self._groups[run] = answer["JobRun"].get("LogGroupName", "")
        return _state(answer["JobRun"])

    def cancel(self, run: str) -> None:
        """Ask for a run to be stopped.

        Raises
        ------
        SubmitError
            If Glue does not.
        """
        with self._words(f"stop run {run}"):
            answer = patiently(
                lambda: self._glue.batch_stop_job_run(JobName=self._job, JobRunIds=[run]), self._sleep
            )
        for error in answer.get("Errors", []):
            text = error.get("ErrorDetail", {}).get("ErrorMessage", "no reason given")
            raise SubmitError(f"cannot stop run {run} of Glue job {self._job}: {text}")

    def logs(self, run: str) -> list[str]:
        """Return the driver's new lines from CloudWatch."""
        if run not in self._tails:
            named = self._settings.glue.log_group or self._groups.get(run) or DEFAULT_LOG_GROUP
            group = f"{named.rstrip('/')}/output"
            # the streams of executors have longer names
            streams = (run, f"{run}-driver")
            self._tails[run] = Quiet(CloudWatchTail(self._client("logs"), group, run, streams.__contains__))
        return self._tails[run].lines()

    def _parameters(self, job: Job) -> dict[str, Any]:
        return glue_request(self._settings, self._conf, job, *self._size)

    @property
    def _glue(self) -> Any:
        return self._client("glue")

    def _words(self, doing: str) -> Any:
        return in_plain_words(doing, resource=f"Glue job {self._job}", region=self._settings.region)


def _state(run: Mapping[str, Any]) -> State:
    return State(
        run["JobRunState"],
        PHASES.get(run["JobRunState"], Phase.RUNNING),
        run.get("ErrorMessage") or run.get("StateDetail") or "",
        run.get("StartedOn"),
        run.get("CompletedOn"),
        {"dpu_hour": _dpu_seconds(run) / 3600} if _dpu_seconds(run) else {},
    )


def _dpu_seconds(run: Mapping[str, Any]) -> float:
    """Return what Glue counted, or seconds times the size asked for where it has not counted yet."""
    return float(run.get("DPUSeconds") or run.get("ExecutionTime", 0) * run.get("MaxCapacity", 0.0))
