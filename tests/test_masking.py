"""No password and no key is left in what is said or stored, and nothing else changes."""

from __future__ import annotations

import pytest

from whatif.masking import masked, masked_values

HIDDEN = "hunter2"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("http://user:hunter2@host:5000/x", "http://***@host:5000/x"),
        ("postgresql+psycopg2://user:hunter2@host/db", "postgresql+psycopg2://***@host/db"),
        ("postgresql://user:p@hunter2@host/db", "postgresql://***@host/db"),
        ("postgresql://user:p/hunter2@host/db", "postgresql://***@host/db"),
        ("https://hunter2@host", "https://***@host"),
        ("s3://AKIA:hunter2@bucket/key", "s3://***@bucket/key"),
        ("s3://AKIA:hun/ter2@bucket/key", "s3://***@bucket/key"),
        ("S3A://AKIA:hunter2@bucket", "S3A://***@bucket"),
        ("a http://u:hunter2@h/x and ftp://v:hunter2@w.", "a http://***@h/x and ftp://***@w."),
        ("s3://b/k?AWSAccessKeyId=hunter2&x=1", "s3://b/k?AWSAccessKeyId=***&x=1"),
        ("https://h/?x=1&token=hunter2", "https://h/?x=1&token=***"),
        ("https://h/?sig=hunter2&se=2", "https://h/?sig=***&se=2"),
        ("https://h/?X-Amz-Signature=hunter2", "https://h/?X-Amz-Signature=***"),
        ("https://h/?X-Amz-Credential=hunter2%2Fx&y=1", "https://h/?X-Amz-Credential=***&y=1"),
        ("--conf spark.hadoop.fs.s3a.secret.key=hunter2 x", "--conf spark.hadoop.fs.s3a.secret.key=*** x"),
        ("s3.secret-access-key=hunter2,type=glue", "s3.secret-access-key=***,type=glue"),
        ("PASSWORD='hunter2 x' y", "PASSWORD=*** y"),
        ('{"password": "hunter2", "a": "b"}', '{"password": "***", "a": "b"}'),
        ("{'api_key': 'hunter2'}", "{'api_key': \"***\"}"),
    ],
)
def test_what_is_hidden(text: str, expected: str) -> None:
    assert masked(text) == expected
    assert masked(masked(text)) == expected


@pytest.mark.parametrize(
    "text",
    [
        "", "plain", "a@b.c", "user:pw@host", "http://host:5000/x", "s3://bucket/key@v1", "file:///a/b@c",
        "http://host:5000/path@x", "sqlite:////home/ann/mlflow.db", "spark://a:7077,b:7077", "ts=Date+Time",
        "key=1", "fast=3, slow=20", "tokens: 3", "http://host, ann@example.org", "arn:aws:iam::1:role/x",
        "s3://a/x?region=eu-west-1",
    ],
)  # fmt: skip
def test_what_stays(text: str) -> None:
    assert masked(text) == text


def test_structures() -> None:
    given = {"a": ["http://u:hunter2@h", 3, None], "env": {"DB_PASSWORD": "hunter2", "tokens": 4}, "b": True}
    assert masked_values(given) == {
        "a": ["http://***@h", 3, None], "env": {"DB_PASSWORD": "***", "tokens": 4}, "b": True,
    }  # fmt: skip
    assert HIDDEN in str(given)
