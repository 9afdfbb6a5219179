"""Who may do what: no "*", and no role does more than its command needs."""

from __future__ import annotations

import json
import re

from whatif.lake.tables import TABLES

from .templates import ACCOUNT, REGION, Stack, deployed, identity_statements, listed, may, resource_statements

DATA = f"arn:aws:s3:::acme-data-{ACCOUNT}-{REGION}"
LAKE = f"{DATA}/warehouse/quant_lake.db"
ARTIFACTS = f"arn:aws:s3:::acme-artifacts-{ACCOUNT}-{REGION}"
LOGS = f"arn:aws:logs:{REGION}:{ACCOUNT}:log-group:"
GLUE = f"arn:aws:glue:{REGION}:{ACCOUNT}:"
BESIDE_BARS = {"news_sentiment", "news_relations", "actions", "renames"}
INGESTED = {"bars", "bars_quarantine", "trades_raw", "quotes", "deliveries", "catalogue", *BESIDE_BARS}
"""Tables that `whatif ingest` and its siblings write; `whatif run` makes all others."""

KEY_STATEMENTS = {
    ("storage", "Key", "AccountAdministersKey"),
    ("storage", "Key", "IamMayAllowUseThroughS3"),
    ("storage", "Key", "LogGroupsOfThisProject"),
    ("operations", "AlertKey", "AccountAdministersKey"),
    ("operations", "AlertKey", "EventsPublish"),
    ("operations", "AlertKey", "AlarmsAndBudgetsPublish"),
}
"""In the policy of a key, Resource "*" means that key: here, and nowhere else, it may stand."""

WITHOUT_NAME = {
    "logs:DescribeLogGroups": f"{LOGS}*",  # the narrowest that IAM knows for it
}
SHARED_LOGS = f"{LOGS}/aws-glue/iceberg-"
"""Log groups whose names Glue fixes, one each for an account."""


def of(stacks: dict[str, Stack], stack: str, role: str) -> list[dict]:
    return [statement for name, statement in identity_statements(stacks[stack]) if name == role]


def test_no_action_and_no_resource_is_a_star(every: dict[str, Stack]) -> None:
    for stack in every.values():
        for name, statement in identity_statements(stack):
            where = f"{stack.name}: {name}.{statement['Sid']}"
            assert statement["Effect"] == "Allow", where
            assert not {"NotAction", "NotResource", "Principal"} & set(statement), where
            assert all(re.fullmatch(r"[a-z0-9-]+:[A-Za-z0-9]+", a) for a in listed(statement["Action"])), (
                where
            )
            assert "*" not in listed(statement["Resource"]), where


def test_what_a_star_in_a_resource_may_stand_for_is_named_before_it(every: dict[str, Stack]) -> None:
    for stack in every.values():
        for name, statement in identity_statements(stack):
            for resource in listed(statement["Resource"]):
                fixed = resource.partition("*")[0]
                if fixed == resource or "acme" in fixed or "quant_lake" in fixed or "00acme" in fixed:
                    continue
                actions = listed(statement["Action"])
                exempt = all(WITHOUT_NAME.get(action) == resource for action in actions)
                assert exempt or fixed.startswith(SHARED_LOGS), f"{stack.name}: {name}: {resource}"


def test_a_star_stands_in_keys_policies_alone_and_there_it_means_the_key(every: dict[str, Stack]) -> None:
    found = set()
    for stack in every.values():
        for kind, name, statement in resource_statements(stack):
            if "*" in listed(statement["Resource"]):
                assert kind == "AWS::KMS::Key"
                found.add((stack.name, name, statement["Sid"]))
            if statement["Effect"] == "Allow":
                assert statement["Principal"] != "*"
                assert all("*" not in action for action in listed(statement["Action"]))
    assert found == KEY_STATEMENTS


def test_the_key_of_the_data_is_used_through_s3_and_log_groups_alone(stacks: dict[str, Stack]) -> None:
    use = {"kms:Decrypt", "kms:Encrypt", "kms:GenerateDataKey", "kms:ReEncryptFrom", "kms:ReEncryptTo"}
    for kind, name, statement in resource_statements(stacks["storage"]):
        if kind != "AWS::KMS::Key" or not use & set(listed(statement["Action"])):
            continue
        conditions = statement["Condition"]
        if "Service" in statement["Principal"]:
            assert statement["Principal"]["Service"] == f"logs.{REGION}.amazonaws.com"
            assert set(conditions["ArnLike"]) == {"kms:EncryptionContext:aws:logs:arn"}
        else:
            assert conditions["StringEquals"]["kms:ViaService"] == f"s3.{REGION}.amazonaws.com", name
            assert conditions["StringEquals"]["kms:CallerAccount"] == ACCOUNT


def test_roles_use_the_key_through_s3_alone(every: dict[str, Stack]) -> None:
    for stack in every.values():
        for name, statement in identity_statements(stack):
            if any(action.startswith("kms:") for action in listed(statement["Action"])):
                condition = {"StringEquals": {"kms:ViaService": f"s3.{REGION}.amazonaws.com"}}
                assert statement["Condition"] == condition, f"{stack.name}: {name}"


def test_services_take_roles_for_this_account_alone(every: dict[str, Stack]) -> None:
    services = set()
    for stack in every.values():
        for name, role in stack.of("AWS::IAM::Role").items():
            for statement in role["AssumeRolePolicyDocument"]["Statement"]:
                condition = statement["Condition"]["StringEquals"]
                if "Service" in statement["Principal"]:
                    services.add(statement["Principal"]["Service"])
                    assert condition == {"aws:SourceAccount": ACCOUNT}, name
                else:
                    assert statement["Principal"] == {"AWS": f"arn:aws:iam::{ACCOUNT}:root"}
                    assert condition == {"aws:PrincipalAccount": ACCOUNT}
    assert {"emr-serverless.amazonaws.com", "glue.amazonaws.com"} <= services


def test_the_submitters_principal_and_the_boundary_are_kept() -> None:
    given = {"SubmitterPrincipal": "arn:aws:iam::123456789012:role/q", "PermissionsBoundary": "arn:b"}
    stacks = deployed(Mlflow="yes", LakeFormation="yes", **given)
    roles = [role for stack in stacks.values() for role in stack.of("AWS::IAM::Role").values()]
    assert len(roles) == 7
    assert all(role["PermissionsBoundary"] == "arn:b" for role in roles)
    trusts = {
        name: role["AssumeRolePolicyDocument"]["Statement"][0]["Condition"].get("ArnLike")
        for name, role in stacks["submitter"].of("AWS::IAM::Role").items()
    }
    wanted = {"aws:PrincipalArn": given["SubmitterPrincipal"]}
    assert trusts == {"SubmitterRole": wanted, "IngesterRole": None}
    assert "PermissionsBoundary" not in deployed()["access"].of("AWS::IAM::Role")["RunRole"]


def test_each_starter_hands_over_one_role_and_only_to_emr(every: dict[str, Stack]) -> None:
    found = {}
    for stack in every.values():
        for name, statement in identity_statements(stack):
            if any(action.startswith("iam:") for action in listed(statement["Action"])):
                assert statement["Action"] == ["iam:PassRole"]
                to = {"StringEquals": {"iam:PassedToService": "emr-serverless.amazonaws.com"}}
                assert statement["Condition"] == to
                found[name] = statement["Resource"]
    role = f"arn:aws:iam::{ACCOUNT}:role/acme-"
    assert found == {"SubmitterRole": f"{role}run", "IngesterRole": f"{role}ingest"}


def test_whoever_submits_studies_reaches_no_role_that_writes_bars(stacks: dict[str, Stack]) -> None:
    submitter, ingester = (of(stacks, "submitter", f"{who}Role") for who in ("Submitter", "Ingester"))
    jobs = stacks["compute"].of("AWS::Glue::Job")
    program = jobs["IngestJob"]["Command"]["ScriptLocation"].replace("s3://", "arn:aws:s3:::")
    assert may(submitter, "glue:StartJobRun", f"{GLUE}job/acme-run")
    assert not may(submitter, "glue:StartJobRun", f"{GLUE}job/acme-ingest")
    assert not may(submitter, "s3:PutObject", program)
    assert not may(submitter, "s3:PutObject", f"{DATA}/landing/bars.csv")
    assert may(ingester, "s3:PutObject", program)
    assert may(ingester, "glue:StartJobRun", f"{GLUE}job/acme-ingest")
    assert not may(ingester, "glue:StartJobRun", f"{GLUE}job/acme-run")
    for role in (submitter, ingester):
        assert not may(role, "s3:GetObject", f"{LAKE}/bars/data/f.parquet")
        assert not may(role, "s3:PutObject", f"{LAKE}/bars/data/f.parquet")


def test_submit_may_call_what_it_calls(stacks: dict[str, Stack]) -> None:
    submitter = of(stacks, "submitter", "SubmitterRole")
    application = stacks["compute"].outputs["ApplicationArn"]
    for action in ("StartJobRun", "ListJobRuns", "GetApplication"):
        assert may(submitter, f"emr-serverless:{action}", application), action
    for action in ("GetJobRun", "CancelJobRun", "TagResource"):
        assert may(submitter, f"emr-serverless:{action}", f"{application}/jobruns/00f1"), action
    for action in ("GetJob", "GetJobRun", "GetJobRuns", "StartJobRun", "BatchStopJobRun"):
        assert may(submitter, f"glue:{action}", f"{GLUE}job/acme-run"), action
    for key in ("code/abc/whatif.zip", "studies/s/abc/study.yaml"):
        assert may(submitter, "s3:PutObject", f"{ARTIFACTS}/acme/{key}"), key
    for key in (
        "environment.tar.gz",
        "code/abc/whatif.zip",
        "runs/s/a/board.csv",
        "logs/applications/a/x.gz",
    ):
        assert may(submitter, "s3:GetObject", f"{ARTIFACTS}/acme/{key}"), key
    assert may(submitter, "s3:ListBucket", ARTIFACTS), "head_bucket names no prefix"
    assert may(submitter, "s3:ListBucket", ARTIFACTS, s3_prefix="acme/runs/s/abc/")


def test_run_makes_every_table_but_those_of_ingest(stacks: dict[str, Stack]) -> None:
    run, ingest = of(stacks, "access", "RunRole"), of(stacks, "access", "IngestRole")
    for table in {*(spec.name for spec in TABLES), *INGESTED, "features_abc"}:
        arn, data = f"{GLUE}table/quant_lake/{table}", f"{LAKE}/{table}/data/ts_month=2024-01/f.parquet"
        writer, other = (ingest, run) if table in INGESTED else (run, ingest)
        for action in ("glue:GetTable", "glue:CreateTable", "glue:UpdateTable"):
            assert may(writer, action, arn), (action, table)
        for action in ("s3:PutObject", "s3:DeleteObject"):
            assert may(writer, action, data), (action, table)
            assert not may(other, action, data), (action, table)
        assert not may(other, "glue:CreateTable", arn), table
        assert may(run, "s3:GetObject", data), table
    for table in INGESTED:
        assert may(ingest, "s3:GetObject", f"{LAKE}/{table}/data/f.parquet")
    for statements in (run, ingest):
        for resource in (f"{GLUE}catalog", f"{GLUE}database/quant_lake"):
            for action in ("glue:GetDatabase", "glue:CreateTable", "glue:UpdateTable"):
                assert may(statements, action, resource)
        assert may(statements, "s3:ListBucket", DATA, s3_prefix="warehouse/quant_lake.db/bars/")
        assert not may(statements, "s3:ListBucket", DATA, s3_prefix="elsewhere/")


def test_run_tags_bars_and_news_and_changes_none(stacks: dict[str, Stack]) -> None:
    run = of(stacks, "access", "RunRole")
    for table in ("bars", *BESIDE_BARS):
        assert may(run, "glue:UpdateTable", f"{GLUE}table/quant_lake/{table}")
        assert may(run, "s3:PutObject", f"{LAKE}/{table}/metadata/00002-abc.metadata.json")
        assert not may(run, "s3:DeleteObject", f"{LAKE}/{table}/metadata/00002-abc.metadata.json")
        assert not may(run, "s3:PutObject", f"{LAKE}/{table}/data/f.parquet")
    assert not may(run, "s3:PutObject", f"{LAKE}/bars_quarantine/metadata/00002-abc.metadata.json")
    assert not may(run, "glue:UpdateTable", f"{GLUE}table/quant_lake/bars_quarantine")


def test_nobody_drops_tables_or_databases(every: dict[str, Stack]) -> None:
    for stack in every.values():
        for _, statement in identity_statements(stack):
            for action in listed(statement["Action"]):
                assert not re.match(r"glue:(Delete|BatchDelete|CreateDatabase|UpdateDatabase)", action)
                assert not re.match(
                    r"s3:(PutBucket|DeleteBucket|PutObjectAcl|PutEncryption|PutLifecycle|DeleteObjectVersion)",
                    action,
                )


def test_a_job_cannot_change_what_the_next_one_runs(stacks: dict[str, Stack]) -> None:
    study = ("code/abc/whatif.zip", "code/abc/run_whatif.py", "studies/s/abc/study.yaml")
    reads = {"RunRole": study, "IngestRole": ("ingest/ingest_bars.py",)}
    for role, own in reads.items():
        statements = of(stacks, "access", role)
        for key in (*study, "ingest/ingest_bars.py", "environment.tar.gz"):
            readable = key in own or key == "environment.tar.gz"
            assert may(statements, "s3:GetObject", f"{ARTIFACTS}/acme/{key}") == readable, (role, key)
            assert not may(statements, "s3:PutObject", f"{ARTIFACTS}/acme/{key}"), (role, key)
        assert may(statements, "s3:PutObject", f"{ARTIFACTS}/acme/logs/applications/a/jobs/j/stdout.gz")


def test_only_those_who_deploy_put_the_environment_there(every: dict[str, Stack]) -> None:
    for stack in every.values():
        statements = [statement for _, statement in identity_statements(stack)]
        assert not may(statements, "s3:PutObject", f"{ARTIFACTS}/acme/environment.tar.gz")


def test_readers_see_results_and_looks_but_no_bars(stacks: dict[str, Stack]) -> None:
    reader = of(stacks, "analytics", "ReaderPolicy")
    assert may(reader, "s3:GetObject", f"{LAKE}/results/data/f.parquet")
    assert may(reader, "s3:GetObject", f"{LAKE}/test_looks/data/f.parquet")
    assert not may(reader, "s3:GetObject", f"{LAKE}/bars/data/f.parquet")
    assert not may(reader, "s3:PutObject", f"{LAKE}/results/data/f.parquet")
    assert not may(reader, "s3:GetObject", f"{ARTIFACTS}/acme/studies/s/abc/mine.py")
    bars = of(stacks, "analytics", "BarsReaderPolicy")
    for table in ("bars", "catalogue", "actions", "renames"):
        assert may(bars, "s3:GetObject", f"{LAKE}/{table}/data/f.parquet")
        assert not may(bars, "s3:PutObject", f"{LAKE}/{table}/data/f.parquet")
    for table in ("bars_quarantine", "results", "trades_raw"):
        assert not may(bars, "s3:GetObject", f"{LAKE}/{table}/data/f.parquet")


def test_policies_fit_into_a_role(every: dict[str, Stack]) -> None:
    for stack in every.values():
        for name, role in stack.of("AWS::IAM::Role").items():
            written = "".join(json.dumps(policy["PolicyDocument"]) for policy in role["Policies"])
            assert len(re.sub(r"\s", "", written)) < 10_240, name
        for name, policy in stack.of("AWS::IAM::ManagedPolicy").items():
            assert len(re.sub(r"\s", "", json.dumps(policy["PolicyDocument"]))) < 6_144, name


def test_ingest_reads_streams_of_its_prefix_and_run_none(stacks: dict[str, Stack]) -> None:
    run, ingest = of(stacks, "access", "RunRole"), of(stacks, "access", "IngestRole")
    streams = f"arn:aws:kinesis:{REGION}:{ACCOUNT}:stream/"
    for action in ("DescribeStreamSummary", "ListShards", "GetShardIterator", "GetRecords"):
        assert may(ingest, f"kinesis:{action}", f"{streams}acme-bars")
        assert not may(ingest, f"kinesis:{action}", f"{streams}other-bars")
        assert not may(run, f"kinesis:{action}", f"{streams}acme-bars")
    assert not may(ingest, "kinesis:PutRecords", f"{streams}acme-bars")


def test_ingest_reads_keys_of_services_and_no_other_secret(stacks: dict[str, Stack]) -> None:
    run, ingest = of(stacks, "access", "RunRole"), of(stacks, "access", "IngestRole")
    secrets = f"arn:aws:secretsmanager:{REGION}:{ACCOUNT}:secret:"
    assert may(ingest, "secretsmanager:GetSecretValue", f"{secrets}acme/services/alphavantage-a1b2c3")
    assert not may(ingest, "secretsmanager:GetSecretValue", f"{secrets}acme/database-a1b2c3")
    assert not may(ingest, "secretsmanager:PutSecretValue", f"{secrets}acme/services/alphavantage-a1b2c3")
    assert not may(run, "secretsmanager:GetSecretValue", f"{secrets}acme/services/alphavantage-a1b2c3")


def test_ingest_exports_of_data_exchange_to_its_folder_alone_and_only_if_wanted(
    stacks: dict[str, Stack],
) -> None:
    policy = "arn:aws:iam::aws:policy/AWSDataExchangeSubscriberFullAccess"
    wanted = deployed(DataExchangePolicy=policy)
    roles = wanted["access"].of("AWS::IAM::Role")
    assert roles["IngestRole"]["ManagedPolicyArns"] == [policy]
    assert "ManagedPolicyArns" not in roles["RunRole"]
    assert "ManagedPolicyArns" not in stacks["access"].of("AWS::IAM::Role")["IngestRole"]
    (export,) = [s for s in of(wanted, "access", "IngestRole") if s["Sid"] == "LetDataExchangeExport"]
    assert export["Resource"] == [f"{DATA}/landing/dataexchange/*"]
    assert export["Condition"] == {
        "ForAnyValue:StringEquals": {"aws:CalledVia": ["dataexchange.amazonaws.com"]}
    }
    assert not may(of(stacks, "access", "IngestRole"), "s3:PutObject", f"{DATA}/landing/dataexchange/a.csv")
