"""Whoever should hear of a failure does: rules and alarms have targets that may be used."""

from __future__ import annotations

from .templates import ACCOUNT, Stack, deployed, listed

EMR_ENDS = {"FAILED", "CANCELLED"}
GLUE_ENDS = {"FAILED", "TIMEOUT", "ERROR"}


def topic(stacks: dict[str, Stack]) -> str:
    return stacks["operations"].outputs["AlertTopicArn"]


def test_rules_match_failed_jobs_of_ours_and_go_to_the_topic(stacks: dict[str, Stack]) -> None:
    rules = stacks["operations"].of("AWS::Events::Rule")
    emr, glue = rules["EmrJobFailed"], rules["GlueJobFailed"]
    assert emr["EventPattern"]["source"] == ["aws.emr-serverless"]
    assert emr["EventPattern"]["detail-type"] == ["EMR Serverless Job Run State Change"]
    assert set(emr["EventPattern"]["detail"]["state"]) == EMR_ENDS
    assert emr["EventPattern"]["detail"]["applicationId"] == [stacks["compute"].outputs["ApplicationId"]]
    assert glue["EventPattern"]["source"] == ["aws.glue"]
    assert glue["EventPattern"]["detail-type"] == ["Glue Job State Change"]
    assert set(glue["EventPattern"]["detail"]["state"]) == GLUE_ENDS
    assert set(glue["EventPattern"]["detail"]["jobName"]) == {"acme-run", "acme-ingest"}
    for rule in rules.values():
        assert rule["State"] == "ENABLED"
        assert [target["Arn"] for target in rule["Targets"]] == [topic(stacks)]


def test_a_message_uses_what_it_takes_from_the_event(stacks: dict[str, Stack]) -> None:
    for rule in stacks["operations"].of("AWS::Events::Rule").values():
        message = rule["Targets"][0]["InputTransformer"]
        template = message["InputTemplate"]
        assert template.strip().startswith('"')
        assert template.strip().endswith('"')
        assert all(f"<{name}>" in template for name in message["InputPathsMap"])
        assert template.count("<") == len(message["InputPathsMap"])


def test_every_alarm_has_a_target(every: dict[str, Stack]) -> None:
    alarms = [alarm for stack in every.values() for alarm in stack.of("AWS::CloudWatch::Alarm").values()]
    assert len(alarms) >= 4
    for alarm in alarms:
        assert alarm["AlarmActions"] == [topic(every)], alarm["AlarmName"]
        assert alarm["TreatMissingData"] == "notBreaching", alarm["AlarmName"]
        assert alarm["Dimensions"], alarm["AlarmName"]


def test_every_rule_is_watched(stacks: dict[str, Stack]) -> None:
    operations = stacks["operations"]
    watched = {
        alarm["Dimensions"][0]["Value"]
        for alarm in operations.of("AWS::CloudWatch::Alarm").values()
        if alarm["MetricName"] == "FailedInvocations"
    }
    assert watched == {rule["Name"] for rule in operations.of("AWS::Events::Rule").values()}


def test_alarms_of_the_application_name_it_as_its_metrics_do(stacks: dict[str, Stack]) -> None:
    (application,) = stacks["compute"].of("AWS::EMRServerless::Application").values()
    for alarm in stacks["operations"].of("AWS::CloudWatch::Alarm").values():
        if alarm["Namespace"] == "AWS/EMRServerless":
            named = {entry["Name"]: entry["Value"] for entry in alarm["Dimensions"]}
            wanted = {"ApplicationId": stacks["compute"].outputs["ApplicationId"]}
            assert named == wanted | {"ApplicationName": application["Name"]}


def test_who_alerts_may_publish_and_use_the_topics_key(stacks: dict[str, Stack]) -> None:
    operations = stacks["operations"]
    (key,) = operations.of("AWS::KMS::Key").values()
    (policy,) = operations.of("AWS::SNS::TopicPolicy").values()
    (found,) = operations.of("AWS::SNS::Topic").values()
    assert found["KmsMasterKeyId"] == operations._ref("AlertKey")
    for service in ("events.amazonaws.com", "cloudwatch.amazonaws.com", "budgets.amazonaws.com"):
        for statements, actions in (
            (key["KeyPolicy"]["Statement"], {"kms:Decrypt", "kms:GenerateDataKey"}),
            (policy["PolicyDocument"]["Statement"], {"sns:Publish"}),
        ):
            (own,) = [s for s in statements if service in _services(s)]
            assert set(listed(own["Action"])) == actions
            # SNS documents that a condition here would keep EventBridge out
            wanted = (
                None if service.startswith("events") else {"StringEquals": {"aws:SourceAccount": ACCOUNT}}
            )
            assert own.get("Condition") == wanted, service


def _services(statement: dict) -> list[str]:
    principal = statement["Principal"]
    return listed(principal.get("Service", [])) if isinstance(principal, dict) else []


def test_the_topic_is_tls_only(stacks: dict[str, Stack]) -> None:
    (policy,) = stacks["operations"].of("AWS::SNS::TopicPolicy").values()
    denied = [s for s in policy["PolicyDocument"]["Statement"] if s["Effect"] == "Deny"]
    assert [s["Condition"] for s in denied] == [{"Bool": {"aws:SecureTransport": "false"}}]


def test_mail_and_budget_are_there_when_asked_for() -> None:
    plain, asked = (
        deployed()["operations"],
        deployed(AlertEmail="a@b.example", MonthlyBudget="10")["operations"],
    )
    for kind in ("AWS::SNS::Subscription", "AWS::Budgets::Budget"):
        assert not plain.of(kind)
        assert asked.of(kind)
    (budget,) = asked.of("AWS::Budgets::Budget").values()
    assert budget["Budget"]["CostFilters"] == {"TagKeyValue": ["user:project$acme"]}
    heard = [s["Address"] for n in budget["NotificationsWithSubscribers"] for s in n["Subscribers"]]
    assert set(heard) == {asked.outputs["AlertTopicArn"]}
