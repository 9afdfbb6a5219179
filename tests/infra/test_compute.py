"""The EMR Serverless application is pinned, bounded and stops by itself; logs have a key and an end."""

from __future__ import annotations

from fnmatch import fnmatchcase

from whatif.conf_files import read_spark_conf

from .templates import ACCOUNT, FOLDER, REGION, Stack, identity_statements, listed, may

CONF = FOLDER.parent / "conf" / "spark" / "emr-serverless.conf"
DRIVER_VCPU, DRIVER_GB, WORKER_DISK_GB = 4, 16, 20
"""What a driver gets by default, and the least disk of a worker."""


def application(stacks: dict[str, Stack]) -> dict:
    (found,) = stacks["compute"].of("AWS::EMRServerless::Application").values()
    return found


def number(text: str) -> float:
    return float(text.split()[0])


def test_the_application_is_pinned_bounded_and_stops(stacks: dict[str, Stack]) -> None:
    found = application(stacks)
    assert (found["Type"], found["ReleaseLabel"], found["Architecture"]) == ("SPARK", "emr-7.13.0", "X86_64")
    assert found["AutoStopConfiguration"] == {"Enabled": True, "IdleTimeoutMinutes": 15}
    assert found["AutoStartConfiguration"] == {"Enabled": True}
    assert found["InteractiveConfiguration"] == {"StudioEnabled": True, "LivyEndpointEnabled": False}
    assert "InitialCapacity" not in found, "workers that wait cost"
    assert "ImageConfiguration" not in found


def test_the_largest_job_of_the_settings_fits(stacks: dict[str, Stack]) -> None:
    conf = read_spark_conf(CONF)
    executors = int(conf["spark.dynamicAllocation.maxExecutors"])
    memory = float(conf["spark.executor.memory"].removesuffix("g"))
    memory *= 1 + float(conf["spark.executor.memoryOverheadFactor"])
    most = application(stacks)["MaximumCapacity"]
    assert number(most["Cpu"]) >= executors * int(conf["spark.executor.cores"]) + DRIVER_VCPU
    assert number(most["Memory"]) >= executors * memory + DRIVER_GB
    assert number(most["Disk"]) >= (executors + 1) * WORKER_DISK_GB


def test_logs_of_the_application_go_to_our_group_and_our_bucket(stacks: dict[str, Stack]) -> None:
    monitoring = application(stacks)["MonitoringConfiguration"]
    group = stacks["compute"].outputs["EmrLogGroup"]
    assert monitoring["CloudWatchLoggingConfiguration"]["Enabled"] is True
    assert monitoring["CloudWatchLoggingConfiguration"]["LogGroupName"] == group == "/acme/emr-serverless"
    bucket = stacks["storage"].outputs["ArtifactBucket"]
    assert monitoring["S3MonitoringConfiguration"] == {"LogUri": f"s3://{bucket}/acme/logs/"}
    assert monitoring["ManagedPersistenceMonitoringConfiguration"] == {"Enabled": False}


def groups(stacks: dict[str, Stack]) -> dict[str, dict]:
    found = (group for stack in stacks.values() for group in stack.of("AWS::Logs::LogGroup").values())
    return {group["LogGroupName"]: group for group in found}


def test_log_groups_have_a_key_and_an_end(every: dict[str, Stack]) -> None:
    found = groups(every)
    assert {"/acme/emr-serverless", "/acme/glue/output", "/acme/glue/error"} <= set(found)
    for name, group in found.items():
        assert group["KmsKeyId"] == every["storage"].outputs["KeyArn"], name
        assert 0 < group["RetentionInDays"] <= 1827, name


def test_the_keys_policy_knows_each_log_group(every: dict[str, Stack]) -> None:
    (key,) = every["storage"].of("AWS::KMS::Key").values()
    (logs,) = (s for s in key["KeyPolicy"]["Statement"] if s["Sid"] == "LogGroupsOfThisProject")
    patterns = logs["Condition"]["ArnLike"]["kms:EncryptionContext:aws:logs:arn"]
    for name in groups(every):
        arn = f"arn:aws:logs:{REGION}:{ACCOUNT}:log-group:{name}"
        assert any(fnmatchcase(arn, pattern) for pattern in listed(patterns)), name


def test_both_roles_write_to_every_group_of_the_jobs(stacks: dict[str, Stack]) -> None:
    for name in stacks["compute"].of("AWS::Logs::LogGroup").values():
        stream = f"arn:aws:logs:{REGION}:{ACCOUNT}:log-group:{name['LogGroupName']}:log-stream:x"
        for role in ("RunRole", "IngestRole"):
            own = [s for who, s in identity_statements(stacks["access"]) if who == role]
            assert may(own, "logs:PutLogEvents", stream), (role, stream)
        reads = [s for _, s in identity_statements(stacks["submitter"])]
        assert may(reads, "logs:FilterLogEvents", stream), stream


def test_an_image_is_used_where_one_is_named(every: dict[str, Stack]) -> None:
    given = every["compute"].values["ImageUri"]
    assert application(every).get("ImageConfiguration") == ({"ImageUri": given} if given else None)
