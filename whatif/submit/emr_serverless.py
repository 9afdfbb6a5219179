"""Runner of jobs on Amazon EMR Serverless."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from whatif.errors import SubmitError
from whatif.submit.explain import in_plain_words, patiently
from whatif.submit.requests import Job, emr_request, log_uri
from whatif.submit.runner import Found, Phase, State, choose
from whatif.submit.settings import SubmitSettings
from whatif.submit.tails import CloudWatchTail, Quiet, S3Tail

PHASES = {
    "SUBMITTED": Phase.WAITING,
    "PENDING": Phase.WAITING,
    "QUEUED": Phase.WAITING,
    "SCHEDULED": Phase.WAITING,
    "RUNNING": Phase.RUNNING,
    "CANCELLING": Phase.STOPPING,  # it can still succeed or fail
    "SUCCESS": Phase.SUCCEEDED,
    "FAILED": Phase.FAILED,
    "CANCELLED": Phase.CANCELLED,
}
_HOURS = {"vCPUHour": "vcpu_hour", "memoryGBHour": "memory_gb_hour", "storageGBHour": "storage_gb_hour"}
_STARTABLE = ("CREATED", "STARTING", "STARTED", "STOPPING", "STOPPED", "CREATING")

Client = Callable[[str], Any]
"""Service to its client."""


class EmrServerless:
    """A runner on an application of EMR Serverless."""

    def __init__(
        self,
        settings: SubmitSettings,
        conf: Mapping[str, str],
        client: Client,
        sleep: Callable[[float], None],
    ) -> None:
        self._settings, self._conf, self._client, self._sleep = settings, conf, client, sleep
        self._application = str(settings.emr_serverless.application_id)
        self._tails: dict[str, list[Quiet]] = {}

    def request(self, job: Job) -> dict[str, Any]:
        """Return the request that would start `job`."""
        parameters = emr_request(self._settings, self._conf, job)
        return {"service": "emr-serverless", "operation": "StartJobRun", "parameters": parameters}

    def find(self, job: Job) -> Found:
        """Return the run of the same name that is going on or has succeeded."""
        with self._words("look for earlier runs"):
            pages = self._emr.get_paginator("list_job_runs").paginate(applicationId=self._application)
            runs = [run for page in pages for run in page["jobRuns"] if run.get("name") == job.name]
        return choose([(run["id"], _state(run)) for run in runs])

    def check(self) -> None:
        """Refuse an application that is gone, or that nobody will start.

        Raises
        ------
        SubmitError
            Naming its state, and the command that starts it.
        """
        with self._words("look at the application"):
            found = self._emr.get_application(applicationId=self._application)["application"]
        state, release = found["state"], found.get("releaseLabel", "")
        name = f"application {self._application}"
        if state not in _STARTABLE:
            raise SubmitError(
                f"{name} is {state} and cannot be started again: deploy infra/ anew, and set "
                "emr_serverless.application_id to the new one"
            )
        if not release.startswith("emr-7."):
            raise SubmitError(
                f"{name} is of release {release}: the jobs are made for Spark 3.5 and Python 3.11; "
                "use one of release emr-7.13.0"
            )
        starts_itself = found.get("autoStartConfiguration", {}).get("enabled", True)
        if state != "STARTED" and not starts_itself:
            raise SubmitError(
                f"{name} is {state} and does not start by itself: run 'aws emr-serverless start-application "
                f"--application-id {self._application}', or switch on its auto-start"
            )

    def start(self, job: Job) -> str:
        """Start the job; its token makes a repeated request the same run."""
        parameters = emr_request(self._settings, self._conf, job)
        with self._words("start the job"):
            answer = patiently(lambda: self._emr.start_job_run(**parameters), self._sleep)
        return str(answer["jobRunId"])

    def state(self, run: str) -> State:
        """Return how a run is doing."""
        with self._words(f"look at run {run}"):
            answer = patiently(
                lambda: self._emr.get_job_run(applicationId=self._application, jobRunId=run), self._sleep
            )
        return _state(answer["jobRun"])

    def cancel(self, run: str) -> None:
        """Ask for a run to be cancelled."""
        with self._words(f"cancel run {run}"):
            patiently(
                lambda: self._emr.cancel_job_run(applicationId=self._application, jobRunId=run), self._sleep
            )

    def logs(self, run: str) -> list[str]:
        """Return the driver's new lines, from CloudWatch where a log group is set, else from S3."""
        if run not in self._tails:
            self._tails[run] = [Quiet(tail) for tail in self._tails_of(run)]
        return [line for tail in self._tails[run] for line in tail.lines()]

    def _tails_of(self, run: str) -> list[Any]:
        place = f"applications/{self._application}/jobs/{run}"
        group = self._settings.emr_serverless.log_group
        if group:
            return [CloudWatchTail(self._client("logs"), group, f"whatif/{place}/", _of_driver)]
        # Spark's own log goes to stderr; what the job prints is on stdout
        return [S3Tail(self._client("s3"), f"{log_uri(self._settings)}{place}/SPARK_DRIVER/stdout.gz")]

    @property
    def _emr(self) -> Any:
        return self._client("emr-serverless")

    def _words(self, doing: str) -> Any:
        emr = self._settings.emr_serverless
        return in_plain_words(
            doing,
            role=emr.execution_role,
            resource=f"application {emr.application_id}",
            region=self._settings.region,
        )


def _of_driver(stream: str) -> bool:
    return "SPARK_DRIVER" in stream and stream.endswith("stdout")


def _state(run: Mapping[str, Any]) -> State:
    # what is billed is known at the end only
    used = run.get("billedResourceUtilization") or run.get("totalResourceUtilization") or {}
    return State(
        run["state"],
        PHASES.get(run["state"], Phase.RUNNING),
        run.get("stateDetails", ""),
        run.get("createdAt"),
        run.get("endedAt"),
        {key: float(used[name]) for name, key in _HOURS.items() if name in used},
    )
