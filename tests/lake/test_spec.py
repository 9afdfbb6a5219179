from __future__ import annotations

import pytest

from whatif.errors import LakeError
from whatif.lake import TABLES, TableSpec, features_table
from whatif.lake.tables import BARS


def test_names_and_keys_of_the_lake() -> None:
    assert [spec.name for spec in TABLES] == [
        "bars", "bars_quarantine", "predictions", "results", "returns", "trades",
        "equity", "test_looks",
    ]  # fmt: skip
    assert BARS.key == ("symbol", "timeframe", "ts")
    assert BARS.partitioning == ("months(ts)",)


def test_a_feature_table_has_a_double_for_each_column() -> None:
    spec = features_table("features_abc123", ["ema_10", "close"], {"label": "double", "day": "date"})
    assert spec.name == "features_abc123"
    assert (
        spec.ddl
        == "`symbol` string, `ts` timestamp, `ema_10` double, `close` double, `label` double, `day` date"
    )
    assert spec.key == ("symbol", "ts")


@pytest.mark.parametrize("name", ["ema(10)", "A", "", "a b", "x;drop table y"])
def test_names_that_sql_would_misread(name: str) -> None:
    with pytest.raises(LakeError, match="cannot name"):
        features_table("features_set", [name], {})


def test_a_key_must_be_a_column() -> None:
    with pytest.raises(LakeError, match="not one of its columns"):
        TableSpec("t", (("a", "int"),), key=("b",))
