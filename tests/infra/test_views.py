"""Athena's workgroup is bounded and encrypted; its views name columns that the tables have."""

from __future__ import annotations

import re

import pytest

from whatif.domain import BENCHMARK_COLUMNS, METRIC_COLUMNS
from whatif.domain.rows import RESULT_COLUMNS
from whatif.lake.tables import TABLES

from .templates import Stack

VIEWS = ("leaderboard", "best_per_study", "looks_at_test", "failed_backtests", "prices", "sessions")
WORDS = {
    "select", "from", "where", "as", "and", "group", "by", "order", "over", "partition", "desc", "nulls",
    "last", "null", "distinct", "like",
}  # fmt: skip
FUNCTIONS = {
    "row_number", "if", "is_nan", "count", "min", "max", "min_by", "max_by", "sum", "array_join", "array_agg",
}  # fmt: skip


class View:
    """A `CREATE OR REPLACE VIEW … AS SELECT … FROM one_table …`, taken apart."""

    def __init__(self, sql: str) -> None:
        found = re.fullmatch(
            r"CREATE OR REPLACE VIEW (\w+) AS\s+SELECT\s+(.*?)\s+FROM (\w+)\s*(.*)", sql.strip(), re.S
        )
        assert found, sql
        self.name, self.selected, self.table, self.rest = found.groups()

    @property
    def items(self) -> list[str]:
        """What is selected, cut at commas outside parentheses."""
        depth, items = 0, [""]
        for letter in self.selected:
            depth += {"(": 1, ")": -1}.get(letter, 0)
            if letter == "," and not depth:
                items.append("")
            else:
                items[-1] += letter
        return [" ".join(item.split()) for item in items]

    @property
    def columns(self) -> list[str]:
        """Names of the view's own columns."""
        return [re.split(r" AS ", item)[-1].strip('" ') for item in self.items]

    @property
    def used(self) -> set[str]:
        """Every name that must be a column of the table: all words that are neither SQL nor an alias."""
        text = " ".join(re.sub(r" AS \w+$", "", item) for item in self.items) + " " + self.rest
        text = re.sub(r"'[^']*'", " ", text)
        called = {name.lower() for name in re.findall(r"(\w+)\s*\(", text)}
        assert called <= FUNCTIONS | WORDS, called
        text = re.sub(r"\b\w+\s*\(", "(", text)
        return {name for name in re.findall(r"[a-z_][a-z0-9_]*", text, re.I) if name.lower() not in WORDS}


def views(stacks: dict[str, Stack]) -> dict[str, View]:
    found = stacks["analytics"].of("AWS::Athena::NamedQuery")
    made = {query["Name"]: View(query["QueryString"]) for query in found.values()}
    assert all(name == view.name for name, view in made.items())
    return made


def test_these_are_the_views(stacks: dict[str, Stack]) -> None:
    assert tuple(views(stacks)) == VIEWS
    (workgroup,) = stacks["analytics"].of("AWS::Athena::WorkGroup").values()
    for query in stacks["analytics"].of("AWS::Athena::NamedQuery").values():
        assert (query["WorkGroup"], query["Database"]) == (workgroup["Name"], "quant_lake")
    assert len(stacks["analytics"].outputs["ViewQueries"].split()) == len(VIEWS)


@pytest.mark.parametrize("name", VIEWS)
def test_every_column_exists(stacks: dict[str, Stack], name: str) -> None:
    made = views(stacks)
    known = {spec.name: set(spec.column_names) for spec in TABLES}
    earlier = VIEWS[: VIEWS.index(name)]
    known |= {other: set(made[other].columns) for other in earlier}
    view = made[name]
    assert view.table in known
    assert view.used - known[view.table] == set()
    assert len(view.columns) == len(set(view.columns))
    assert name not in {spec.name for spec in TABLES}, "a view must not take a table's name"


def test_a_column_that_is_not_there_is_found() -> None:
    wrong = View("CREATE OR REPLACE VIEW v AS SELECT study, max(sharp) AS s FROM results WHERE statu = 'ok'")
    assert wrong.used - set(RESULT_COLUMNS) == {"sharp", "statu"}
    assert wrong.columns == ["study", "s"]


def test_the_leaderboard_ranks_good_backtests_on_validate_alone(stacks: dict[str, Stack]) -> None:
    board = views(stacks)["leaderboard"]
    assert " ".join(board.rest.split()) == """WHERE status = 'ok' AND "window" LIKE 'validate%'"""
    assert {*METRIC_COLUMNS, *BENCHMARK_COLUMNS, "config_id", "parameters"} <= set(board.columns)


def test_words_that_sql_keeps_for_itself_are_quoted(stacks: dict[str, Stack]) -> None:
    for name, query in stacks["analytics"].of("AWS::Athena::NamedQuery").items():
        assert not re.search(r'(?<!")\b(window|user)\b(?!")', query["QueryString"]), name


def test_the_workgroup_is_enforced_bounded_and_encrypted(stacks: dict[str, Stack]) -> None:
    (workgroup,) = stacks["analytics"].of("AWS::Athena::WorkGroup").values()
    how = workgroup["WorkGroupConfiguration"]
    assert how["EnforceWorkGroupConfiguration"] is True
    assert how["BytesScannedCutoffPerQuery"] == 10 * 1024**3
    result = how["ResultConfiguration"]
    assert result["OutputLocation"] == f"s3://{stacks['storage'].outputs['ArtifactBucket']}/athena/"
    key = stacks["storage"].outputs["KeyArn"]
    assert result["EncryptionConfiguration"] == {"EncryptionOption": "SSE_KMS", "KmsKey": key}
