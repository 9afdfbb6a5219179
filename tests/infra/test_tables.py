"""The second step: optimizers that drop nothing that is still named, and Lake Formation's grants."""

from __future__ import annotations

from whatif.lake.tables import TABLES

from .templates import ACCOUNT, REGION, Stack, deployed, identity_statements, may

KINDS = {"compaction", "retention", "orphan_file_deletion"}
SNAPSHOTS_SAY_WHAT_THEY_ARE = {"predictions"}
"""Summaries of snapshots hold what a model chose: whatif/workflow/tuned.py reads them."""


def optimizers(stacks: dict[str, Stack]) -> list[dict]:
    return list(stacks["tables"].of("AWS::Glue::TableOptimizer").values())


def test_each_table_is_optimized_in_full_but_where_snapshots_are_read(stacks: dict[str, Stack]) -> None:
    kinds: dict[str, set[str]] = {}
    for found in optimizers(stacks):
        kinds.setdefault(found["TableName"], set()).add(found["Type"])
        assert found["DatabaseName"] == "quant_lake"
        assert found["TableOptimizerConfiguration"]["Enabled"] is True
    assert set(kinds) <= {spec.name for spec in TABLES}
    assert {"bars", "results", "returns"} <= set(kinds)
    for table, found in kinds.items():
        assert found == (KINDS - {"retention"} if table in SNAPSHOTS_SAY_WHAT_THEY_ARE else KINDS), table


def test_files_are_rewritten_in_the_order_that_the_table_declares(stacks: dict[str, Stack]) -> None:
    sorted_tables = {spec.name for spec in TABLES if spec.sort_order}
    for found in optimizers(stacks):
        if found["Type"] == "compaction":
            how = found["TableOptimizerConfiguration"]["CompactionConfiguration"]["IcebergConfiguration"]
            assert how == {"Strategy": "sort"}
            assert found["TableName"] in sorted_tables


def test_nothing_young_is_dropped(stacks: dict[str, Stack]) -> None:
    for found in optimizers(stacks):
        how = found["TableOptimizerConfiguration"]
        if found["Type"] == "retention":
            kept = how["RetentionConfiguration"]["IcebergConfiguration"]
            assert kept["SnapshotRetentionPeriodInDays"] >= 7
            assert kept["NumberOfSnapshotsToRetain"] >= 5
        if found["Type"] == "orphan_file_deletion":
            days = how["OrphanFileDeletionConfiguration"]["IcebergConfiguration"][
                "OrphanFileRetentionPeriodInDays"
            ]
            longest = stacks["compute"].template["Parameters"]["GlueTimeoutMinutes"]["MaxValue"] / 60 / 24
            assert days > longest


def test_the_optimizers_role_reaches_these_tables_and_no_other(stacks: dict[str, Stack]) -> None:
    own = [s for who, s in identity_statements(stacks["tables"]) if who == "OptimizerRole"]
    named = {found["TableName"] for found in optimizers(stacks)}
    for spec in TABLES:
        table = f"arn:aws:glue:{REGION}:{ACCOUNT}:table/quant_lake/{spec.name}"
        data = f"arn:aws:s3:::acme-data-{ACCOUNT}-{REGION}/warehouse/quant_lake.db/{spec.name}/data/f.parquet"
        assert may(own, "glue:UpdateTable", table) == (spec.name in named), spec.name
        assert may(own, "s3:DeleteObject", data) == (spec.name in named), spec.name


def test_with_lake_formation_there_are_grants_and_no_optimizers() -> None:
    stacks = deployed(LakeFormation="yes")
    assert optimizers(stacks) == []
    grants = [
        (
            p["Principal"]["DataLakePrincipalIdentifier"].rpartition("/")[2],
            next(iter(p["Resource"])),
            p["Permissions"],
        )
        for name in ("access", "tables")
        for p in stacks[name].of("AWS::LakeFormation::PrincipalPermissions").values()
    ]
    assert sorted(grants) == sorted(
        [
            ("acme-run", "Database", ["CREATE_TABLE", "DESCRIBE"]),
            ("acme-run", "DataLocation", ["DATA_LOCATION_ACCESS"]),
            ("acme-ingest", "Database", ["CREATE_TABLE", "DESCRIBE"]),
            ("acme-ingest", "DataLocation", ["DATA_LOCATION_ACCESS"]),
            ("acme-run", "Table", ["ALTER", "DESCRIBE", "SELECT"]),
            ("acme-run", "Table", ["DESCRIBE", "SELECT"]),
        ]
    )
    (location,) = stacks["access"].of("AWS::LakeFormation::Resource").values()
    assert location["ResourceArn"].endswith("/warehouse/quant_lake.db")


def test_tables_of_news_and_actions_are_granted_once_they_are_there() -> None:
    stack = deployed(LakeFormation="yes", NewsTables="yes", ActionsTable="yes", RenamesTable="yes")["tables"]
    granted = {
        p["Resource"]["Table"]["Name"]: p["Permissions"]
        for p in stack.of("AWS::LakeFormation::PrincipalPermissions").values()
    }
    use = ["ALTER", "DESCRIBE", "SELECT"]
    assert granted == {
        "bars": use,
        "bars_quarantine": ["DESCRIBE", "SELECT"],
        "news_sentiment": use,
        "news_relations": use,
        "actions": use,
        "renames": use,
    }


def test_without_lake_formation_nothing_is_registered(stacks: dict[str, Stack]) -> None:
    for stack in stacks.values():
        kinds = {resource["Type"] for resource in stack.resources.values()}
        assert not any(kind.startswith("AWS::LakeFormation") for kind in kinds)


def test_log_groups_that_are_there_already_are_left_alone() -> None:
    assert len(deployed()["tables"].of("AWS::Logs::LogGroup")) == 3
    assert not deployed(OptimizerLogGroups="existing")["tables"].of("AWS::Logs::LogGroup")


def test_mlflow_is_there_only_when_asked_for(stacks: dict[str, Stack]) -> None:
    assert not stacks["mlflow"].of("AWS::SageMaker::MlflowTrackingServer")
    asked = deployed(Mlflow="yes")["mlflow"]
    (server,) = asked.of("AWS::SageMaker::MlflowTrackingServer").values()
    assert server["ArtifactStoreUri"] == f"s3://acme-artifacts-{ACCOUNT}-{REGION}/mlflow"
    (tracks,) = asked.of("AWS::IAM::RolePolicy").values()
    assert tracks["RoleName"] == "acme-run"
