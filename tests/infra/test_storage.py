"""Buckets are encrypted, private, versioned and forget what is old; they and the key outlive their stack."""

from __future__ import annotations

import pytest

from .templates import ACCOUNT, Stack, listed

BUCKETS = ("DataBucket", "ArtifactBucket", "LogBucket")
PRIVATE = {
    "BlockPublicAcls": True,
    "BlockPublicPolicy": True,
    "IgnorePublicAcls": True,
    "RestrictPublicBuckets": True,
}


def bucket(stacks: dict[str, Stack], name: str) -> dict:
    return stacks["storage"].of("AWS::S3::Bucket")[name]


def statements(stacks: dict[str, Stack], name: str) -> dict[str, dict]:
    policy = stacks["storage"].of("AWS::S3::BucketPolicy")[f"{name}Policy"]
    assert policy["Bucket"] == bucket(stacks, name)["BucketName"]
    return {statement["Sid"]: statement for statement in policy["PolicyDocument"]["Statement"]}


def test_these_are_all_buckets(every: dict[str, Stack]) -> None:
    found = [name for stack in every.values() for name in stack.of("AWS::S3::Bucket")]
    assert sorted(found) == sorted(BUCKETS)


@pytest.mark.parametrize("name", BUCKETS)
def test_encrypted(stacks: dict[str, Stack], name: str) -> None:
    (rule,) = bucket(stacks, name)["BucketEncryption"]["ServerSideEncryptionConfiguration"]
    if name == "LogBucket":  # S3 delivers access logs to no bucket with a key of one's own
        assert rule == {"ServerSideEncryptionByDefault": {"SSEAlgorithm": "AES256"}}
        return
    key = stacks["storage"].outputs["KeyArn"]
    wanted = {"SSEAlgorithm": "aws:kms", "KMSMasterKeyID": key}
    assert rule == {"BucketKeyEnabled": True, "ServerSideEncryptionByDefault": wanted}


@pytest.mark.parametrize("name", BUCKETS)
def test_private_versioned_and_owned(stacks: dict[str, Stack], name: str) -> None:
    found = bucket(stacks, name)
    assert found["PublicAccessBlockConfiguration"] == PRIVATE
    assert found["VersioningConfiguration"] == {"Status": "Enabled"}
    assert found["OwnershipControls"] == {"Rules": [{"ObjectOwnership": "BucketOwnerEnforced"}]}


@pytest.mark.parametrize("name", BUCKETS)
def test_tls_only(stacks: dict[str, Stack], name: str) -> None:
    arn = f"arn:aws:s3:::{bucket(stacks, name)['BucketName']}"
    found = statements(stacks, name)
    for sid, condition in (
        ("TlsOnly", {"Bool": {"aws:SecureTransport": "false"}}),
        ("Tls12OrLater", {"NumericLessThan": {"s3:TlsVersion": "1.2"}}),
    ):
        statement = found[sid]
        assert (statement["Effect"], statement["Principal"], statement["Action"]) == ("Deny", "*", "s3:*")
        assert statement["Resource"] == [arn, f"{arn}/*"]
        assert statement["Condition"] == condition


@pytest.mark.parametrize("name", ["DataBucket", "ArtifactBucket"])
def test_another_key_is_refused_and_no_word_of_a_key_is_not(stacks: dict[str, Stack], name: str) -> None:
    found = statements(stacks, name)
    for sid, header, value in (
        ("NoOtherEncryption", "s3:x-amz-server-side-encryption", "aws:kms"),
        ("NoOtherKey", "s3:x-amz-server-side-encryption-aws-kms-key-id", stacks["storage"].outputs["KeyArn"]),
    ):
        # without the Null test, StringNotEquals holds for an upload that names nothing, and refuses it
        wanted = {"Null": {header: "false"}, "StringNotEquals": {header: value}}
        assert (found[sid]["Effect"], found[sid]["Condition"]) == ("Deny", wanted)


def test_only_s3_itself_is_let_into_a_bucket_by_its_policy(stacks: dict[str, Stack]) -> None:
    for name in BUCKETS:
        allowed = [s for s in statements(stacks, name).values() if s["Effect"] == "Allow"]
        if name != "LogBucket":
            assert allowed == []
            continue
        (statement,) = allowed
        assert statement["Principal"] == {"Service": "logging.s3.amazonaws.com"}
        assert statement["Action"] == "s3:PutObject"
        assert statement["Condition"] == {"StringEquals": {"aws:SourceAccount": ACCOUNT}}


@pytest.mark.parametrize("name", BUCKETS)
def test_lifecycle(stacks: dict[str, Stack], name: str) -> None:
    rules = {rule["Id"]: rule for rule in bucket(stacks, name)["LifecycleConfiguration"]["Rules"]}
    assert all(rule["Status"] == "Enabled" for rule in rules.values())
    assert rules["drop-broken-uploads"]["AbortIncompleteMultipartUpload"] == {"DaysAfterInitiation": 3}
    assert any("NoncurrentVersionExpiration" in rule for rule in rules.values())
    ends = {
        rule.get("Prefix", ""): rule["ExpirationInDays"]
        for rule in rules.values()
        if "ExpirationInDays" in rule
    }
    if name == "DataBucket":
        assert ends == {}, "bars and results are never deleted by age"
    elif name == "ArtifactBucket":
        assert ends == {"athena/": 30, "acme/logs/": 90, "acme/runs/": 400}
    else:
        assert ends == {"": 400}


def test_access_is_logged(stacks: dict[str, Stack]) -> None:
    logs = bucket(stacks, "LogBucket")["BucketName"]
    folders = set()
    for name in ("DataBucket", "ArtifactBucket"):
        logging = bucket(stacks, name)["LoggingConfiguration"]
        assert logging["DestinationBucketName"] == logs
        folders.add(f"arn:aws:s3:::{logs}/{logging['LogFilePrefix']}*")
    assert set(listed(statements(stacks, "LogBucket")["S3DeliversAccessLogs"]["Resource"])) == folders


def test_data_and_key_outlive_the_stack(stacks: dict[str, Stack]) -> None:
    kept = {"AWS::S3::Bucket", "AWS::S3::BucketPolicy", "AWS::KMS::Key", "AWS::Glue::Database"}
    seen = set()
    for name, resource in stacks["storage"].resources.items():
        if resource["Type"] in kept:
            seen.add(resource["Type"])
            assert resource["DeletionPolicy"] == "RetainExceptOnCreate", name
            assert resource["UpdateReplacePolicy"] == "Retain", name
    assert seen == kept


def test_keys_rotate(every: dict[str, Stack]) -> None:
    keys = [key for stack in every.values() for key in stack.of("AWS::KMS::Key").values()]
    assert len(keys) == 2
    assert all(key["EnableKeyRotation"] is True for key in keys)


def test_the_database_puts_tables_where_the_roles_may_write(stacks: dict[str, Stack]) -> None:
    (found,) = stacks["storage"].of("AWS::Glue::Database").values()
    data = bucket(stacks, "DataBucket")["BucketName"]
    assert found["DatabaseInput"]["Name"] == "quant_lake"
    assert found["DatabaseInput"]["LocationUri"] == f"s3://{data}/warehouse/quant_lake.db"
    assert stacks["storage"].outputs["Warehouse"] == f"s3://{data}/warehouse/"
