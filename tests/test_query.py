"""SQL over a lake: every row that is there, studies' rows whoever stored them, and nothing that is not."""

from __future__ import annotations

import builtins
import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from time import sleep, tzset
from typing import Any

import pandas as pd
import pyarrow as pa
import pytest

import whatif
from whatif.cli import main
from whatif.domain import KEY
from whatif.errors import LakeError
from whatif.lake import BARS, RESULTS, TEST_LOOKS, append_arrow, create_tables, delete_rows, maintain, tag_pin
from whatif.lake.local_files import write_next
from whatif.pins import LakeLocation, current_pin, equal, schema_of

from .markets import put_bars, walk

duckdb = pytest.importorskip("duckdb", reason='pip install "whatif[sql]"')

START = datetime(2024, 1, 2, tzinfo=UTC)


def row(study: str, config_id: str, window: str = "validate", **other: Any) -> dict[str, Any]:
    begins = START + timedelta(days=window == "test")
    own = {
        "bars_snapshot": 7, "data_digest": "d", "config_id": config_id, "symbol": "A", "window": window,
        "window_start": begins, "window_end": begins + timedelta(days=1), "study": study, "status": "ok",
        "parameters": json.dumps({"fast": 5, "slow": 20.5, "flip": True, "mode": "x"}),
        "execution": json.dumps({"commission": 0.0001, "commtype": "perc"}), "sharpe": 1.5,
    }  # fmt: skip
    return own | other


@pytest.fixture(scope="module")
def lake(tmp_path_factory: pytest.TempPathFactory) -> LakeLocation:
    """Two studies: the second ranks a row that the first stored, and opened the test window for it."""
    location = LakeLocation(tmp_path_factory.mktemp("asked") / "home")
    put_bars(location, [walk("A", 1, minutes=60), walk("B", 2, minutes=60)])
    create_tables(None, location)
    nasty = {"parameters": json.dumps({"fast": "all", "a\"b'/~c": 1, "slow": None})}
    rows = [
        row("one", "c1", sharpe=2.0), row("one", "c2", sharpe=float("nan")),
        row("one", "c1", "test", sharpe=0.5),
        row("two", "c3", **nasty),
    ]  # fmt: skip
    append_arrow(location, RESULTS, pa.Table.from_pylist(rows, schema_of(dict(RESULTS.columns))))
    looked = {
        **{name: rows[2][name] for name in KEY if name not in ("bars_snapshot", "window")},
        "looked_at": START,
    }
    looks = [looked | {"study": "one"}, looked | {"study": "two"}]
    append_arrow(location, TEST_LOOKS, pa.Table.from_pylist(looks, schema_of(dict(TEST_LOOKS.columns))))
    report(location, "two", rows[:1] + rows[3:])
    (location.home / "reports" / "broken").mkdir()
    (location.home / "reports" / "broken" / "leaderboard.parquet").write_bytes(b"PAR1 cut off")
    return location


def report(location: LakeLocation, study: str, rows: list[dict[str, Any]]) -> None:
    folder = location.home / "reports" / f"{study}-moved"
    folder.mkdir(parents=True)
    (folder / "report.html").write_text("")
    answer = {
        "study": study, "verdict": "edge", "configuration": "fast = 5", "config_id": "c1", "test_sharpe": 0.5,
        "trials": 3, "finished": "2024-02-01T00:00:00+00:00",
    }  # fmt: skip
    (folder / "answer.json").write_text(json.dumps(answer))
    pd.DataFrame(rows)[list(KEY)].assign(rank=range(len(rows))).to_parquet(folder / "leaderboard.parquet")


@pytest.fixture
def asked(lake: LakeLocation):
    with whatif.tables(lake) as opened:
        yield opened


def test_a_study_has_its_rows_whoever_stored_them(asked) -> None:
    stored = asked.sql("select config_id from results where study = 'two'")
    assert stored["config_id"].tolist() == ["c3"]
    found = asked.sql(
        "select config_id, \"window\", first_stored_by from backtests where study = 'two' order by all"
    )
    assert found.to_numpy().tolist() == [
        ["c1", "test", "one"],
        ["c1", "validate", "one"],
        ["c3", "validate", "two"],
    ]
    assert len(asked.sql("select * from backtests where study = 'one'")) == 3


def test_a_metric_that_is_missing_is_null_and_ranks_last(asked) -> None:
    assert asked.sql("select max(sharpe) s from results")["s"].isna().all()  # NaN, the greatest
    found = asked.sql("select config_id, sharpe from backtests where study = 'one' order by sharpe desc")
    assert found["config_id"].tolist() == ["c1", "c1", "c2"]
    assert asked.sql("select max(sharpe) s from backtests")["s"].tolist() == [2.0]


def test_parameters_stand_in_columns_of_their_type(asked) -> None:
    kinds = {one.name: one.type for one in asked.columns("backtests")}
    assert kinds["param_slow"] == kinds["execution_commission"] == "DOUBLE"
    assert kinds["param_flip"] == "BOOLEAN"
    assert kinds["param_fast"] == kinds["param_mode"] == "VARCHAR"  # a number here, a text there
    found = asked.sql(
        'select param_fast, param_slow, "param_a""b\'/~c" c from backtests order by config_id, study'
    )
    assert found["param_fast"].tolist()[0] == "5"
    assert found["param_fast"].tolist()[-1] == "all"
    assert found["param_slow"].tolist()[0] == 20.5
    assert pd.isna(found["param_slow"].iloc[-1])
    assert found["c"].tolist()[-1] == 1.0


def test_bars_are_those_that_python_reads_and_times_are_utc(asked, lake) -> None:
    found = asked.sql("select ts, close from bars where symbol = 'A' order by ts")
    bars = whatif.read_bars("A", location=lake)
    assert found["ts"].tolist() == bars["ts"].tolist()
    assert found["close"].tolist() == bars["close"].tolist()
    assert str(found["ts"].dt.tz) == "UTC"
    assert asked.sql("select count(*) n from predictions")["n"].tolist() == [0]
    assert asked.sql("select * from studies")[["study", "verdict", "trials"]].to_numpy().tolist() == [
        ["two", "edge", 3]
    ]


def test_what_views_are_made_of_is_listed_nowhere(asked) -> None:
    assert tuple(asked.sql("show tables")["name"]) == asked.names
    assert asked.sql("select count(*) n from reports.ranked")["n"].tolist()[0] > 0


def test_every_table_is_there_with_its_columns(asked) -> None:
    assert {"bars", "results", "returns", "trades", "equity", "test_looks", "backtests", "studies"} <= set(
        asked.names
    )
    assert [one.name for one in asked.columns("results")] == list(RESULTS.column_names)
    assert "backtests" in repr(asked)


def test_the_lake_as_it_stood_then(lake) -> None:
    with pytest.warns(RuntimeWarning, match="before the first ingest"):
        then = whatif.tables(lake, as_of="2001-01-01")
    with then:
        assert then.sql("select count(*) n from bars")["n"].tolist() == [0]
        assert then.sql("select count(*) n from results")["n"].tolist() == [0]
    with pytest.raises(LakeError, match="names no moment"):
        whatif.tables(lake, as_of="yesterday-ish")


def test_a_snapshot_that_the_log_does_not_name_any_more_is_no_empty_table(tmp_path: Path) -> None:
    """Upkeep on a catalog service keeps a table's first snapshot that a tag names, and not its log."""
    location = LakeLocation(tmp_path / "home")
    for seed in range(3):
        put_bars(location, [walk("A", seed, minutes=60)])

    def cut(metadata: dict[str, Any]) -> dict[str, Any]:
        for k, one in enumerate(metadata["snapshots"]):
            one["timestamp-ms"] = int((START.timestamp() + 60 * k) * 1000)
        metadata["snapshot-log"][-1]["timestamp-ms"] = one["timestamp-ms"]
        del metadata["snapshots"][1], metadata["snapshot-log"][:2]
        return metadata

    write_next(location.table_folder("bars"), cut)
    with whatif.tables(location, as_of=START + timedelta(seconds=30)) as opened:
        first = opened.sql("select count(*) n from bars")["n"].item()
    with whatif.tables(location) as opened:
        assert opened.sql("select count(*) n from bars")["n"].item() == 3 * first > 0


def test_a_moment_whose_snapshots_were_dropped_is_no_empty_table(tmp_path: Path) -> None:
    location = LakeLocation(tmp_path / "home")
    create_tables(None, location)
    for name in ("c1", "c2", "c3"):
        rows = pa.Table.from_pylist([row("one", name)], schema_of(dict(RESULTS.columns)))
        append_arrow(location, RESULTS, rows)
        if name == "c1":
            sleep(0.01)
            then = datetime.now(UTC)
            sleep(0.01)
    with whatif.tables(location, as_of=then) as opened:
        assert opened.sql("select config_id from results")["config_id"].tolist() == ["c1"]
    assert maintain(location, (RESULTS,), 1, 1, timedelta(0)) == ["results"]
    with whatif.tables(location, as_of=then) as opened:
        for query in ("select * from results", "select * from backtests"):
            with pytest.raises(LakeError, match=r"snapshots of table results of .* were dropped.*later time"):
                opened.sql(query)
        assert opened.sql("select count(*) n from trades")["n"].tolist() == [0]
    with whatif.tables(location, as_of="2001-01-01") as opened, pytest.raises(LakeError, match="dropped"):
        opened.sql("select * from results")


def test_tables_behind_a_moment_are_named(tmp_path: Path) -> None:
    location = LakeLocation(tmp_path / "home")
    create_tables(None, location)
    moments = []
    for number in range(4):
        rows = pa.Table.from_pylist([row("one", f"c{number}")], schema_of(dict(RESULTS.columns)))
        append_arrow(location, RESULTS, rows)
        sleep(0.01)
        moments.append(datetime.now(UTC))
        sleep(0.01)
        if not number:
            tag_pin(None, location, current_pin(location, "results"), "first")
    for moment in moments:
        with whatif.tables(location, as_of=moment) as opened:
            assert opened.notes == ()
    maintain(location, (RESULTS,), 1, 1, timedelta(0))  # the first stays for its tag
    with pytest.warns(RuntimeWarning, match=r"reads results as they stood before commits that may have come"):
        whatif.tables(location, as_of=moments[1]).close()
    with whatif.tables(location, as_of=datetime.now(UTC)) as opened:
        assert opened.notes == ()


def test_a_moment_without_a_zone_is_utc_and_what_is_none_is_refused(lake, monkeypatch) -> None:
    monkeypatch.setenv("TZ", "Asia/Tokyo")
    tzset()
    try:
        then = datetime.now(UTC) + timedelta(hours=1)
        for moment in (then, then.replace(tzinfo=None), then.replace(tzinfo=None).isoformat()):
            with whatif.tables(lake, as_of=moment) as opened:
                assert opened.sql("select count(*) n from bars")["n"].item() > 0
        past = then.replace(tzinfo=None) - timedelta(days=1)
        with pytest.warns(RuntimeWarning, match="before the first ingest"):
            opened = whatif.tables(lake, as_of=past)
        with opened:
            assert opened.sql("select count(*) n from bars")["n"].item() == 0
    finally:
        monkeypatch.undo()
        tzset()
    with pytest.raises(LakeError, match="as_of 5 names no moment"):
        whatif.tables(lake, as_of=5)


def test_a_question_of_closed_tables_and_one_that_is_no_text_is_refused(lake) -> None:
    with whatif.tables(lake) as opened, pytest.raises(LakeError, match="is a NoneType: write it as text"):
        opened.sql(None)
    with pytest.raises(LakeError, match="these tables are closed"):
        opened.sql("select 1")


def test_an_empty_query_is_refused(asked) -> None:
    for query in ("", "  ", "-- nothing"):
        with pytest.raises(LakeError, match="the query is empty"):
            asked.sql(query)


def test_rows_that_a_later_snapshot_took_away_are_gone(tmp_path: Path) -> None:
    location = LakeLocation(tmp_path / "home")
    put_bars(location, [walk("A", 1, minutes=60), walk("B", 2, minutes=60)])
    delete_rows(location, BARS, equal("symbol", "A"))
    with whatif.tables(location) as opened:
        assert opened.sql("select distinct symbol from bars")["symbol"].tolist() == ["B"]


@pytest.mark.parametrize(
    ("query", "said"),
    [
        ("select * from bar", 'Did you mean "bars"'),
        ("selec 1", "syntax error"),
        ("delete from bars", "bars"),
        ("select * from st_read('x.shp')", "st_read"),  # of an extension that DuckDB would fetch
    ],
)
def test_what_duckdb_refuses_is_said_with_what_there_is(asked, query, said, monkeypatch) -> None:
    monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:9")
    with pytest.raises(LakeError, match=said) as caught:
        asked.sql(query)
    assert "tables and views: backtests, bars" in str(caught.value)


@pytest.mark.parametrize(
    "query",
    [
        "insert into bars select * from bars",
        "drop view results",
        "create table kept as select 1",
        "select 1; create view mine as select 2",
        "attach 'own.db' as own",
        "set threads = 1",
        "load json",
    ],
)
def test_the_command_refuses_what_would_be_gone_with_it(lake, monkeypatch, capsys, tmp_path, query) -> None:
    monkeypatch.setenv("WHATIF_HOME", str(lake.home))
    monkeypatch.chdir(tmp_path)
    assert main(["sql", query]) == 2
    assert "changes this connection alone" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "query",
    [
        "create temp table a as select 1 as x; select * from a",
        "copy (select 1) to 'a.csv'",
        "attach 'own.db' as own; create table own.kept as select * from studies",
        "explain select 1",
        "describe bars",
        "pivot (select symbol, close from bars) on symbol using sum(close)",
    ],
)
def test_the_command_does_what_tells_or_is_kept(lake, monkeypatch, tmp_path, query) -> None:
    monkeypatch.setenv("WHATIF_HOME", str(lake.home))
    monkeypatch.chdir(tmp_path)
    assert main(["sql", query]) == 0


def test_a_damaged_table_does_not_hide_the_others(tmp_path: Path) -> None:
    location = LakeLocation(tmp_path / "home")
    put_bars(location, [walk("A", 1, minutes=60)])
    create_tables(None, location)
    append_arrow(
        location, RESULTS, pa.Table.from_pylist([row("one", "c1")], schema_of(dict(RESULTS.columns)))
    )
    for file in (location.warehouse / "whatif" / "results" / "data").rglob("*.parquet"):
        file.unlink()
    with whatif.tables(location) as opened:
        assert opened.sql("select count(*) n from bars")["n"].item() > 0
        with pytest.raises(LakeError, match="is missing"):
            opened.sql("select * from results")


def test_without_duckdb_it_says_what_to_install(lake, monkeypatch) -> None:
    plain = builtins.__import__

    def without(name: str, *rest: Any, **more: Any) -> Any:
        if name == "duckdb":
            raise ImportError(name)
        return plain(name, *rest, **more)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(LakeError, match=r"pip install \"whatif\[sql\]\""):
        whatif.tables(lake)


def test_an_empty_lake_has_no_table(tmp_path: Path) -> None:
    with whatif.tables(LakeLocation(tmp_path / "none")) as opened:
        assert opened.names == ("studies",)
        assert len(opened.sql("select * from studies where verdict = 'edge' and test_sharpe > 1")) == 0
        kinds = {one.name: one.type for one in opened.columns("studies")}
        assert (kinds["verdict"], kinds["test_sharpe"], kinds["trials"]) == ("VARCHAR", "DOUBLE", "BIGINT")
        with pytest.raises(LakeError, match="holds no table 'bars': 'whatif ingest' brings bars"):
            opened.sql("select * from bars")


def test_the_command(lake, monkeypatch, capsys, tmp_path) -> None:
    monkeypatch.setenv("WHATIF_HOME", str(lake.home))
    assert (
        main(
            [
                "sql",
                "select study, sharpe from backtests order by all",
                "--top",
                "2",
                "--csv",
                str(tmp_path / "a.csv"),
            ]
        )
        == 0
    )
    said = capsys.readouterr().out
    assert "the first 2 of 6 rows" in said
    assert len(pd.read_csv(tmp_path / "a.csv")) == 6
    assert main(["sql"]) == 0
    assert "param_fast VARCHAR" in " ".join(capsys.readouterr().out.split())
    assert main(["sql", "select nothing from nowhere"]) == 2
    capsys.readouterr()
    for folder in (str(tmp_path), ""):
        assert main(["sql", "select 1", "--csv", folder]) == 2
        assert "is a folder" in capsys.readouterr().err


WIDE = "select *, null as nothing, '[red]x' as \"[b]c\" from results order by config_id"


def test_no_column_of_an_answer_is_lost_where_there_is_no_room(lake, monkeypatch, capsys, tmp_path) -> None:
    monkeypatch.setenv("WHATIF_HOME", str(lake.home))
    monkeypatch.setenv("COLUMNS", "80")
    assert main(["sql", WIDE, "--csv", str(tmp_path / "new" / "all.csv")]) == 0
    heading, *rows = capsys.readouterr().out.splitlines()
    frame = pd.read_csv(tmp_path / "new" / "all.csv")
    assert heading.split() == list(frame.columns)
    assert len(rows) == len(frame) == 4
    assert all(json.dumps({"commission": 0.0001, "commtype": "perc"}) in line for line in rows)
    assert all("[red]x" in line and "…" not in line for line in rows)
    monkeypatch.setenv("FORCE_COLOR", "1")  # rich takes it for a terminal
    assert main(["sql", WIDE]) == 0
    said = capsys.readouterr().out
    assert [said.count(f"\n{name} ") for name in frame.columns] == [4] * len(frame.columns)
    assert "nan" not in said.lower()


def test_the_page_names_every_column() -> None:
    from whatif.lake import tables as specs

    page = (Path(__file__).resolve().parent.parent / "docs" / "tables.md").read_text(encoding="utf-8")
    lines = {line.split("`")[1]: line for line in page.splitlines() if line.startswith("| `")}
    every = [one for one in vars(specs).values() if isinstance(one, specs.TableSpec)]
    assert len(every) > 12
    for spec in every:
        own = [name for name in spec.column_names if name not in KEY]
        assert [name for name in own if f"`{name}`" not in lines[spec.name]] == [], spec.name
