"""The commands, as they are typed. No account, no network, no JVM."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

from whatif.cli import job, main
from whatif.cli.app import GLUE_ARGUMENTS
from whatif.conf_files import conf_dir, read_spark_conf
from whatif.submit.requests import Job, glue_request
from whatif.submit.settings import SubmitSettings

REPOSITORY = Path(__file__).resolve().parents[2]
STUDY = REPOSITORY / "conf" / "studies" / "estx50.yaml"

ALONE = """
import socket, sys
def no(*_, **__):
    raise AssertionError("a connection was opened")
socket.socket.connect = socket.create_connection = no
from whatif.cli import main
code = main(sys.argv[1:])
heavy = sorted({name.split(".")[0] for name in sys.modules} & {"boto3", "mlflow", "py4j"})
assert not heavy, heavy
sys.exit(code)
"""


def alone(tmp_path: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run a command in a process that has no account, no settings and no network."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("AWS_", "WHATIF_", "SPARK_"))}
    environment = {
        **kept,
        "HOME": str(tmp_path),
        "PYTHONPATH": str(REPOSITORY),
        "WHATIF_HOME": str(tmp_path / "h"),
    }
    return subprocess.run(
        [sys.executable, "-c", ALONE, *arguments],
        capture_output=True, text=True, env=environment, cwd=tmp_path, check=False,
    )  # fmt: skip


@pytest.mark.parametrize("target", ["emr-serverless", pytest.param("glue", marks=pytest.mark.slow)])
def test_a_dry_run_needs_nothing_and_writes_nothing(target: str, tmp_path: Path) -> None:
    done = alone(tmp_path, "submit", str(STUDY), "--target", target, "--dry-run")
    assert done.returncode == 0, done.stderr
    plan = json.loads(done.stdout)
    assert plan["request"]["operation"] == "StartJobRun"
    assert "<bucket>" in done.stdout
    assert [upload["to"].rpartition("/")[2] for upload in plan["uploads"]] == [
        "study.yaml",
        "run_whatif.py",
        "whatif.zip",
    ]
    # but for the calendars that were worked out, in the user's cache
    assert {path.suffix for path in (tmp_path / ".cache").rglob("*") if path.is_file()} <= {".json"}
    assert [path.name for path in tmp_path.iterdir() if path.name != ".cache"] == []


def test_help_names_what_there_is(tmp_path: Path) -> None:
    done = alone(tmp_path, "submit", "--help")
    assert done.returncode == 0
    for word in ("--target", "--settings", "--executors", "--memory", "--detach", "--dry-run", "--again"):
        assert word in done.stdout


class TestRefusals:
    @pytest.fixture
    def refused(self, capsys: pytest.CaptureFixture[str]) -> Any:
        def run(*arguments: str) -> str:
            assert main([*arguments]) == 2
            return " ".join(capsys.readouterr().err.split())

        return run

    def test_an_unknown_target(self, refused: Any) -> None:
        assert "target 'emr' is unknown hint: did you mean 'emr-serverless'?" in refused(
            "submit", str(STUDY), "--target", "emr"
        )

    def test_settings_that_nobody_made(self, refused: Any) -> None:
        message = refused("submit", str(STUDY), "--target", "glue")
        assert "target glue needs bucket, glue.job, and" in message
        assert "submit.yaml does not set them" in message

    def test_a_master_that_does_not_answer(self, refused: Any) -> None:
        message = refused("submit", str(STUDY), "--target", "spark://127.0.0.1:9")
        assert "Spark master spark://127.0.0.1:9 does not answer: start it" in message

    def test_a_study_that_is_refused_before_it_is_sent(self, refused: Any, tmp_path: Path) -> None:
        (tmp_path / "s.yaml").write_text(STUDY.read_text().replace("sharpe", "sharp"))
        message = refused("submit", str(tmp_path / "s.yaml"), "--target", "glue", "--dry-run")
        assert "did you mean 'sharpe'?" in message

    def test_a_strategy_file_that_is_not_there(self, refused: Any, tmp_path: Path) -> None:
        (tmp_path / "s.yaml").write_text(STUDY.read_text().replace("sma_crossover", "mine.py"))
        message = refused("submit", str(tmp_path / "s.yaml"), "--target", "glue", "--dry-run")
        assert "strategy file mine.py of study estx50 is not in" in message

    def test_nothing_was_submitted(self, refused: Any) -> None:
        assert "nothing was submitted as 'x'" in refused("cancel", "x")
        assert "nothing was submitted as 'x'" in refused("status", "x")
        assert main(["status"]) == 0


class TestJobsOfGlue:
    """A job gets names with values, and those that Glue takes for itself."""

    @pytest.fixture
    def called(self, monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
        calls: list[list[str]] = []
        # set, so that it is taken back
        monkeypatch.setenv("WHATIF_CATALOG_PROPERTIES", "")
        # the name whatif.cli.app is that of the function too
        monkeypatch.setattr(
            import_module("whatif.cli.app"), "main", lambda given: calls.append(list(given)) or 0
        )
        return calls

    def test_what_submit_sends_is_what_run_understands(self, called: list[list[str]]) -> None:
        run = Job(
            "made", "id1", "s3://b/study.yaml", "s3://b/runs/", "s3://b/run.py", "s3://b/w.zip", ("--latest",)
        )
        conf = read_spark_conf(conf_dir() / "spark" / "glue.conf")
        arguments = glue_request(SubmitSettings(bucket="quant"), conf, run, "G.1X", 2)["Arguments"]
        given = [part for pair in arguments.items() for part in pair]
        assert job("run", ["--JOB_NAME", "whatif-run", *given]) == 0
        assert called == [
            [
                "--home",
                "/tmp/whatif",
                "run",
                "s3://b/study.yaml",
                "--output",
                "s3://b/runs/",
                "--latest",
                "--no-track",
            ]
        ]
        assert os.environ["WHATIF_CATALOG_PROPERTIES"] == "type=glue"

    def test_what_to_ingest_has_a_name_too(self, called: list[list[str]]) -> None:
        assert job("ingest", ["--paths", "s3://b/x.csv,s3://b/y.csv", "--exchange", "XNYS"]) == 0
        assert called == [["ingest", "s3://b/x.csv", "s3://b/y.csv", "--exchange", "XNYS"]]

    def test_only_variables_of_ours_are_set(self, called: list[list[str]], capsys: Any) -> None:
        for text in ('{"LD_PRELOAD": "x"}', "x=y", '["a"]', '{"WHATIF_HOME": 1}'):
            assert job("run", ["--environment", text]) == 2
            assert "--environment" in capsys.readouterr().err
        assert not called

    def test_arguments_of_glue_are_known_by_name(self) -> None:
        assert "--whatif-identity" in GLUE_ARGUMENTS
