"""The requests are these, and the services' own models take them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import boto3
import pytest
from botocore.session import get_session
from botocore.stub import Stubber
from botocore.validate import ParamValidator

from whatif.conf_files import conf_dir, read_spark_conf
from whatif.errors import SubmitError
from whatif.submit.emr_serverless import EmrServerless
from whatif.submit.glue import Glue
from whatif.submit.requests import (
    Job,
    emr_request,
    glue_default_arguments,
    glue_request,
    placed,
    spark_submit_command,
)
from whatif.submit.settings import SubmitSettings, load_settings, settings_path, with_placeholders

from .conftest import REGION

Golden = Callable[[str], Any]


def conf_of(name: str, settings: SubmitSettings) -> dict[str, str]:
    return placed(read_spark_conf(conf_dir() / "spark" / f"{name}.conf"), settings)


def problems(service: str, parameters: dict[str, Any]) -> str:
    model = get_session().get_service_model(service)
    return str(
        ParamValidator()
        .validate(parameters, model.operation_model("StartJobRun").input_shape)
        .generate_report()
    )


class TestEmrServerless:
    def test_the_request(self, settings: SubmitSettings, job: Job, golden: Golden) -> None:
        assert emr_request(settings, conf_of("emr-serverless", settings), job) == golden(
            "emr-serverless.json"
        )

    def test_the_service_takes_it(
        self, settings: SubmitSettings, job: Job, golden: Golden, credentials: None
    ) -> None:
        client = boto3.client("emr-serverless", region_name=REGION)
        answer = {
            "applicationId": "00f1abcd",
            "jobRunId": "00run",
            "arn": "arn:aws:emr-serverless:eu-west-1:111122223333:/applications/a/jobruns/b",
        }
        with Stubber(client) as stub:
            stub.add_response("start_job_run", answer, golden("emr-serverless.json"))
            runner = EmrServerless(settings, conf_of("emr-serverless", settings), lambda _: client, float)
            assert runner.start(job) == "00run"
            stub.assert_no_pending_responses()

    def test_with_tracking_logs_in_cloudwatch_and_a_further_attempt(
        self, settings: SubmitSettings, job: Job
    ) -> None:
        emr = settings.emr_serverless.model_copy(update={"log_group": "/whatif/emr"})
        own = settings.model_copy(update={"tracking_uri": "https://mlflow.example", "emr_serverless": emr})
        request = emr_request(
            own, {"spark.executor.cores": "4"}, replace(job, flags=("--latest",), attempt=3)
        )
        driver = request["jobDriver"]["sparkSubmit"]
        assert request["clientToken"] == "0123456789abcdef-3"
        assert driver["sparkSubmitParameters"] == (
            "--conf spark.executor.cores=4 --conf spark.emr-serverless.driverEnv.MLFLOW_TRACKING_URI="
            "https://mlflow.example --py-files s3://quant-artifacts/whatif/code/bb/whatif.zip"
        )
        assert driver["entryPointArguments"][-1] == "--latest"
        assert "--no-track" not in driver["entryPointArguments"]
        logs = request["configurationOverrides"]["monitoringConfiguration"]["cloudWatchLoggingConfiguration"]
        assert logs["logGroupName"] == "/whatif/emr"
        assert not problems("emr-serverless", request)

    def test_what_needs_no_account_passes_the_service_s_rules_too(self, job: Job) -> None:
        blank = with_placeholders(load_settings(settings_path()), "emr-serverless")
        request = emr_request(blank, conf_of("emr-serverless", blank), job)
        assert request["applicationId"] == "<application-id>"
        assert request["executionRoleArn"] == "<execution-role-arn>"
        assert "s3://<bucket>/whatif/environment.tar.gz#environment" in str(request)
        assert not problems("emr-serverless", request)

    def test_the_check_sees_a_misspelt_key(self, settings: SubmitSettings, job: Job) -> None:
        """The tests above could otherwise pass for want of sight."""
        request = emr_request(settings, {}, job)
        assert "executionRole" in problems("emr-serverless", {**request, "executionRole": "x"})

    def test_nothing_is_left_to_fill_in(self, settings: SubmitSettings, job: Job) -> None:
        for name in ("emr-serverless", "glue"):
            assert "BUCKET" not in str(conf_of(name, settings))

    def test_a_setting_with_a_space(self, settings: SubmitSettings, job: Job) -> None:
        for build in (emr_request, lambda *given: glue_request(*given, "G.1X", 2)):
            with pytest.raises(SubmitError, match=r"spark\.x = 'a b' holds a space"):
                build(settings, {"spark.x": "a b"}, job)


class TestGlue:
    def test_the_request(self, settings: SubmitSettings, job: Job, golden: Golden) -> None:
        assert glue_request(settings, conf_of("glue", settings), job, "G.1X", 10) == golden("glue.json")

    def test_the_service_takes_it(
        self, settings: SubmitSettings, job: Job, golden: Golden, credentials: None
    ) -> None:
        client = boto3.client("glue", region_name=REGION)
        with Stubber(client) as stub:
            stub.add_response("start_job_run", {"JobRunId": "jr_1"}, golden("glue.json"))
            runner = Glue(settings, conf_of("glue", settings), ("G.1X", 10), lambda _: client, float)
            assert runner.start(job) == "jr_1"
            stub.assert_no_pending_responses()

    def test_all_spark_settings_stand_in_one_argument(self, settings: SubmitSettings) -> None:
        conf = conf_of("glue", settings)
        chained = glue_default_arguments(settings, conf)["--conf"]
        assert dict(part.split("=", 1) for part in chained.split(" --conf ")) == conf

    def test_the_iceberg_tables_have_a_warehouse(self, settings: SubmitSettings) -> None:
        assert (
            "spark.sql.catalog.lake.warehouse=s3://quant-lake/warehouse/"
            in (glue_default_arguments(settings, conf_of("glue", settings))["--conf"])
        )

    def test_flags_have_a_value(self, settings: SubmitSettings, job: Job) -> None:
        request = glue_request(settings, {"spark.a": "b"}, replace(job, flags=("--latest",)), "G.1X", 10)
        assert request["Arguments"]["--flags"] == "latest,no-track"

    def test_what_needs_no_account_passes_the_service_s_rules_too(self, job: Job) -> None:
        blank = with_placeholders(load_settings(settings_path()), "glue")
        request = glue_request(blank, conf_of("glue", blank), job, "R.2X", 3)
        assert request["JobName"] == "<glue-job>"
        assert not problems("glue", request)


class TestSparkSubmit:
    def test_a_cluster(self, job: Job) -> None:
        command = spark_submit_command("/spark/bin/spark-submit", "spark://m:7077", {"spark.a": "b c"}, job)
        assert command == [
            "/spark/bin/spark-submit", "--master", "spark://m:7077", "--name", "whatif made 0123456789abcdef",
            "--conf", "spark.a=b c", "--py-files", job.code,
            job.entry, job.study_file, "--output", job.output,
        ]  # fmt: skip

    def test_this_machine_has_the_package_already(self, job: Job) -> None:
        here = replace(job, code="", flags=("--latest",))
        command = spark_submit_command("spark-submit", "local[2,4]", {}, here)
        assert "--py-files" not in command
        assert command[-1] == "--latest"
