"""submit, status and cancel from beginning to end, on services that exist in this process alone."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import yaml

from whatif.cli import main

from .conftest import ROLE, Clock, FakeEmr, FakeGlue, NoLogs

BOARD = pd.DataFrame(
    {
        "rank": [1, 2], "symbol": ["SPY", "SPY"], "config_id": ["c1", "c2"], "status": ["ok", "ok"],
        "fast": [3, 5], "slow": [20, 30], "sharpe": [1.25, -0.5], "trades": [7, 9],
    }
)  # fmt: skip

Run = Callable[..., str]


@pytest.fixture
def emr() -> FakeEmr:
    return FakeEmr(Clock())


@pytest.fixture
def glue_service() -> FakeGlue:
    return FakeGlue(Clock())


@pytest.fixture
def whatif(
    s3: Any, emr: FakeEmr, glue_service: FakeGlue, study_file: Path, tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str],
) -> Run:  # fmt: skip
    """Return a function that runs a command in the fake account, and returns all that it printed."""
    clients = {"s3": s3, "emr-serverless": emr, "glue": glue_service, "logs": NoLogs()}
    monkeypatch.setattr("whatif.submit.assembly.aws_client", lambda service, region: clients[service])
    monkeypatch.setattr("whatif.submit.follow.FIRST_POLL_SECONDS", 0.0)
    monkeypatch.setattr("whatif.submit.follow.LAST_POLL_SECONDS", 0.0)
    s3.put_object(Bucket="quant-artifacts", Key="whatif/environment.tar.gz", Body=b"packed")
    account = tmp_path / "account.yaml"
    account.write_text(
        yaml.safe_dump(
            {
                "bucket": "quant-artifacts",
                "emr_serverless": {"application_id": "00f1abcd", "execution_role": ROLE},
                "glue": {"job": "whatif-run"},
            }
        )
    )

    def run(*arguments: str, code: int = 0) -> str:
        given = list(arguments)
        if given[0] == "submit":
            given += [str(study_file), "--settings", str(account)]
        assert main(given) == code, capsys.readouterr()
        shown = capsys.readouterr()
        return shown.out + shown.err

    return run


@pytest.fixture
def leaves_results(s3: Any, emr: FakeEmr, glue_service: FakeGlue, tmp_path: Path) -> None:
    """Make every job leave a leaderboard and a report where it was told to."""
    BOARD.to_parquet(tmp_path / "board.parquet", index=False)

    def leave(output: str) -> None:
        key = output.removeprefix("s3://quant-artifacts/")
        s3.upload_file(str(tmp_path / "board.parquet"), "quant-artifacts", f"{key}leaderboard.parquet")
        s3.put_object(Bucket="quant-artifacts", Key=f"{key}report.html", Body=b"page")

    start_emr, start_glue = emr.start_job_run, glue_service.start_job_run

    def on_emr(**given: Any) -> Any:
        arguments = given["jobDriver"]["sparkSubmit"]["entryPointArguments"]
        leave(arguments[arguments.index("--output") + 1])
        return start_emr(**given)

    def on_glue(**given: Any) -> Any:
        leave(given["Arguments"]["--output"])
        return start_glue(**given)

    emr.start_job_run, glue_service.start_job_run = on_emr, on_glue  # type: ignore[method-assign]


@pytest.mark.usefixtures("leaves_results")
class TestToTheEnd:
    @pytest.mark.parametrize("target", ["emr-serverless", "glue"])
    def test_the_answer_comes_home(self, whatif: Run, target: str, lake_home: Any) -> None:
        said = whatif("submit", "--target", target)
        assert "3 files uploaded" in said
        assert "Leaderboard of made" in said
        assert "1.25" in said
        folder = lake_home.home / "reports" / "made"
        assert f"report: {folder / 'report.html'}" in said
        assert sorted(path.name for path in folder.iterdir()) == ["leaderboard.parquet", "report.html"]

    @pytest.mark.parametrize("target", ["emr-serverless", "glue"])
    def test_again_it_is_shown_and_not_run(
        self, whatif: Run, target: str, emr: FakeEmr, glue_service: FakeGlue
    ) -> None:
        whatif("submit", "--target", target)
        said = whatif("submit", "--target", target)
        assert "was submitted before" in said
        assert "Leaderboard of made" in said
        assert len(emr.starts) + len(glue_service.starts) == 1

    def test_newest_bars_make_an_old_answer_none(self, whatif: Run, emr: FakeEmr) -> None:
        for _ in range(2):
            whatif("submit", "--target", "emr-serverless", "--latest")
        assert len(emr.starts) == 2

    def test_detached_then_asked_for(self, whatif: Run, emr: FakeEmr) -> None:
        emr.states = ["SUBMITTED", "RUNNING", "SUCCESS"]
        said = whatif("submit", "--target", "emr-serverless", "--detach")
        assert "next: whatif status" in said
        assert "Leaderboard" not in said
        assert "SUBMITTED" in whatif("status", "made")
        assert "RUNNING" in whatif("status")
        said = whatif("status", "made")
        assert "SUCCESS" in said
        assert "Leaderboard of made" in said


class TestOtherEnds:
    def test_a_failure_is_exit_code_1(self, whatif: Run, emr: FakeEmr) -> None:
        emr.states = ["RUNNING", "FAILED"]
        said = whatif("submit", "--target", "emr-serverless", code=1)
        assert "FAILED" in said
        assert "the same whatif submit starts it again" in said
        assert len(emr.starts) == 1

    def test_cancelling(self, whatif: Run, emr: FakeEmr) -> None:
        emr.states = ["RUNNING"]
        whatif("submit", "--target", "emr-serverless", "--detach")
        assert "asked emr-serverless to stop made, run run1" in whatif("cancel", "made")
        assert emr.cancelled == ["run1"]
        emr.states = ["CANCELLED"]
        assert "is over already: CANCELLED" in whatif("cancel", "run1")
        assert emr.cancelled == ["run1"]

    def test_a_service_that_cannot_be_reached_is_listed_with_what_was_seen_last(
        self, whatif: Run, emr: FakeEmr
    ) -> None:
        from botocore.exceptions import NoCredentialsError

        emr.states = ["RUNNING"]
        whatif("submit", "--target", "emr-serverless", "--detach")
        whatif("status", "made")
        emr.errors = [NoCredentialsError()]
        assert "RUNNING (not reached)" in " ".join(whatif("status").split())

    def test_sizes_reach_the_request(self, whatif: Run, glue_service: FakeGlue) -> None:
        whatif("submit", "--target", "glue", "--detach", "--executors", "4", "--memory", "20g")
        request = glue_service.starts[0]
        assert (request["WorkerType"], request["NumberOfWorkers"]) == ("R.1X", 5)
