"""deploy.sh and destroy.sh call the AWS CLI in the right order; here it only writes down its arguments."""

from __future__ import annotations

import os
import shlex
import subprocess
from pathlib import Path

import pytest

from .templates import FOLDER, STACKS

AWS = """#!/usr/bin/env bash
printf '%q ' "$@" >>"$CALLS"; echo >>"$CALLS"
case "$*" in
  *describe-stacks*--stack-name\\ *-mlflow*) [ -n "${WITH_MLFLOW:-}" ] || exit 255; echo arn:mlflow ;;
  *ViewQueries*) echo one two ;;
  *describe-stacks*) echo "value" ;;
  *get-named-query*) echo "CREATE VIEW" ;;
  *start-query-execution*) echo run-1 ;;
  *get-query-execution*) echo "${QUERY_STATE:-SUCCEEDED}" ;;
  *get-application*) echo "${APPLICATION_STATE:-STOPPED}" ;;
  *stop-application*) exit 1 ;;
esac
"""


class Shell:
    """Runs a script of `infra/` with an `aws` of its own in front of the path."""

    def __init__(self, folder: Path) -> None:
        self.calls_file = folder / "calls"
        aws = folder / "aws"
        aws.write_text(AWS)
        aws.chmod(0o755)
        self.env = os.environ | {"PATH": f"{folder}:{os.environ['PATH']}", "CALLS": str(self.calls_file)}

    def run(self, script: str, *arguments: str, **env: str) -> subprocess.CompletedProcess[str]:
        self.calls_file.write_text("")
        command = ["bash", str(FOLDER / script), *arguments]
        return subprocess.run(
            command, env=self.env | env, capture_output=True, text=True, timeout=120, check=False
        )

    @property
    def calls(self) -> list[list[str]]:
        return [shlex.split(line) for line in self.calls_file.read_text().splitlines()]

    def of(self, *words: str) -> list[list[str]]:
        return [call for call in self.calls if call[: len(words)] == list(words)]


@pytest.fixture
def shell(tmp_path: Path) -> Shell:
    return Shell(tmp_path)


def option(call: list[str], name: str) -> str:
    return call[call.index(name) + 1]


def stacks_of(calls: list[list[str]]) -> list[str]:
    return [option(call, "--stack-name") for call in calls]


def test_deploy_goes_in_order_and_prints_the_settings(shell: Shell) -> None:
    done = shell.run("deploy.sh", "Prefix=acme", "AlertEmail=a@b.example")
    assert done.returncode == 0, done.stderr
    deployed = shell.of("cloudformation", "deploy")
    assert stacks_of(deployed) == [f"acme-{name}" for name in STACKS if name not in ("mlflow", "tables")]
    for call in deployed:
        assert option(call, "--tags") == "project=acme"
        given = call[call.index("--parameter-overrides") + 1 :]
        mail = ["AlertEmail=a@b.example"] if option(call, "--stack-name") == "acme-operations" else []
        assert given == ["Prefix=acme", *mail]
    (protected,) = shell.of("cloudformation", "update-termination-protection")
    assert option(protected, "--stack-name") == "acme-storage"
    assert "application_id: value" in done.stdout
    assert "tracking_uri: null" in done.stdout


def test_what_deploy_prints_are_settings(shell: Shell, tmp_path: Path) -> None:
    from whatif.submit.settings import load_settings, missing

    file = tmp_path / "submit.yaml"
    file.write_text(shell.run("deploy.sh").stdout.replace("warehouse: value", "warehouse: s3://value/w/"))
    found = load_settings(file)
    assert missing(found, "emr-serverless") == missing(found, "glue") == ()


def test_mlflow_is_deployed_when_asked_for_or_there(shell: Shell) -> None:
    shell.run("deploy.sh", "Mlflow=yes")
    assert stacks_of(shell.of("cloudformation", "deploy"))[-1] == "whatif-mlflow"
    done = shell.run("deploy.sh", WITH_MLFLOW="1")
    assert stacks_of(shell.of("cloudformation", "deploy"))[-1] == "whatif-mlflow"
    assert "tracking_uri: arn:mlflow" in done.stdout


def test_the_second_step_makes_optimizers_and_views(shell: Shell) -> None:
    done = shell.run("deploy.sh", "--tables", "DatabaseName=lake")
    assert done.returncode == 0, done.stderr
    assert stacks_of(shell.of("cloudformation", "deploy")) == ["whatif-tables"]
    asked = [option(call, "--named-query-id") for call in shell.of("athena", "get-named-query")]
    assert asked == ["one", "two"]
    started = shell.of("athena", "start-query-execution")
    assert [option(call, "--query-execution-context") for call in started] == ["Database=lake"] * 2
    failed = shell.run("deploy.sh", "--tables", QUERY_STATE="FAILED")
    assert failed.returncode == 2
    assert "run-1" in failed.stderr


@pytest.mark.parametrize(
    ("argument", "says"),
    [("AlertMail=a@b.example", "AlertEmail"), ("--table", "--tables"), ("yes", "Parameter=Value")],
)
def test_deploy_refuses_what_it_does_not_know(shell: Shell, argument: str, says: str) -> None:
    done = shell.run("deploy.sh", argument)
    assert done.returncode == 2
    assert says in done.stderr
    assert shell.calls == []


def test_destroy_goes_backwards_and_keeps_storage(shell: Shell) -> None:
    done = shell.run("destroy.sh", "Prefix=acme", WITH_MLFLOW="1")
    assert done.returncode == 0, done.stderr
    gone = stacks_of(shell.of("cloudformation", "delete-stack"))
    assert gone == [f"acme-{name}" for name in ("tables", "mlflow", *STACKS[5:0:-1])]
    assert "kept: the stack acme-storage" in done.stderr


def test_destroy_takes_storage_only_when_told(shell: Shell) -> None:
    done = shell.run("destroy.sh", "--storage")
    assert done.returncode == 0, done.stderr
    (unprotected,) = shell.of("cloudformation", "update-termination-protection")
    assert "--no-enable-termination-protection" in unprotected
    assert stacks_of(shell.of("cloudformation", "delete-stack"))[-1] == "whatif-storage"
    assert "kept: buckets value value value" in done.stderr
    assert shell.run("destroy.sh", "storage").returncode == 2


def test_destroy_stops_at_an_application_with_jobs(shell: Shell) -> None:
    done = shell.run("destroy.sh", APPLICATION_STATE="STARTED")
    assert done.returncode == 2
    assert "has jobs" in done.stderr
    assert shell.of("cloudformation", "delete-stack") == []
