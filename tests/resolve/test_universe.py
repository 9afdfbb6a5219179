"""Universe of a study: read from a file or a table, and refused where it says nothing to trade by."""

from __future__ import annotations

from datetime import UTC, date, datetime
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from whatif.domain.bars import EVER, Membership
from whatif.errors import StudyError
from whatif.resolve.universe import join_universe, membership_identity
from whatif.study import load_study

STUDY = """
study: s
data: {DATA, start: 2013-10-04, end: 2013-10-12}
calendar: {exchange: XNYS}
strategy: {name: sma_crossover}
"""
CHANGES = "symbol,from,to\nSPY,2013-10-04,2013-10-09\nIBM,2013-10-07T14:00Z,\nSPY,2013-10-11,\n"


def joined(folder: Path, data: str, text: str = CHANGES):
    (folder / "members.csv").write_text(text)
    (folder / "study.yaml").write_text(STUDY.replace("DATA", data))
    return join_universe(load_study(folder / "study.yaml"))


def day(text: str) -> int:
    return (date.fromisoformat(text) - date(1970, 1, 1)).days


def test_periods_of_each_symbol_in_the_file_s_order(tmp_path: Path) -> None:
    study = joined(tmp_path, "universe: members.csv")

    assert study.data.symbols == ("SPY", "IBM")
    assert study.members == {
        "SPY": (Membership(day("2013-10-04"), day("2013-10-09")), Membership(day("2013-10-11"), EVER)),
        "IBM": (Membership(1_381_154_400_000_000, EVER, start_is_date=False),),
    }
    assert join_universe(study) is study
    assert study.folder == tmp_path
    assert joined(tmp_path, "symbols: [IBM, SPY], universe: members.csv").data.symbols == ("IBM", "SPY")


def test_without_a_universe_nothing_is_said_of_one(tmp_path: Path) -> None:
    study = joined(tmp_path, "symbols: [SPY]")
    assert study.members is None
    assert membership_identity(study) == {}
    assert "universe" not in study.model_dump(mode="json")["data"]


def test_symbols_may_be_a_part_of_the_file_if_that_is_said(tmp_path: Path) -> None:
    with pytest.raises(StudyError, match=r"names SPY, which .* does not: add it there, leave"):
        joined(tmp_path, "symbols: [IBM], universe: members.csv")
    study = joined(tmp_path, "symbols: [IBM], universe: {file: members.csv, ignore_others: true}")
    assert list(study.members) == ["IBM"]


def test_of_the_file_alone_those_who_are_members_in_the_slice(tmp_path: Path) -> None:
    text = CHANGES + "OLD,2001-01-02,2013-10-04\nNEW,2013-10-12,\n"
    assert joined(tmp_path, "universe: members.csv", text).data.symbols == ("SPY", "IBM")
    with pytest.raises(StudyError, match="has no member from 2013-10-04 to 2013-10-12"):
        joined(tmp_path, "universe: members.csv", "symbol,from,to\nOLD,2001-01-02,2013-10-04\n")


def test_other_periods_have_another_identity(tmp_path: Path) -> None:
    one = membership_identity(joined(tmp_path, "universe: members.csv"))
    same = membership_identity(joined(tmp_path, "universe: members.csv", CHANGES.replace("\n", "\r\n")))
    other = membership_identity(joined(tmp_path, "universe: members.csv", CHANGES.replace("-09", "-10")))
    assert one == same != other


@pytest.mark.parametrize(
    ("data", "text", "said"),
    [
        ("universe: none.csv", "", "'none.csv' is not in .*: give the path of a CSV or Parquet"),
        ("universe: members.csv", "symbol,from\nSPY,2013-10-04\n", r"no column to \(it has symbol, from\)"),
        ("universe: members.csv", "", r"has no column symbol and from and to \(it has none\)"),
        (
            "universe: members.csv",
            "symbol,from,to\nSPY,2013-10-09,2013-10-09\n",
            "line 2: SPY is a member from 2013-10-09 to 2013-10-09, which ends before it begins: to is the",
        ),
        (
            "universe: members.csv",
            "symbol,from,to\nSPY,2013-10-07,\nSPY,2013-10-04,2013-10-08\n",
            "periods of SPY overlap: one ends 2013-10-08, and the next begins 2013-10-07: join them, or",
        ),
        (
            "universe: members.csv",
            "symbol,from,to\nSPY,2013-10-04,\nSPY,2013-10-08T14:30Z,\n",
            "overlap: one ends never, and the next begins 2013-10-08T14:30:00Z",
        ),
        ("universe: members.csv", "symbol,from,to\nSPY,soon,\n", "from = 'soon' is neither a date nor"),
        ("universe: members.csv", "symbol,from,to\nSPY,,\n", "line 2: SPY has no from: say since when"),
        (
            "universe: members.csv",
            "symbol,from,to\nSPY,2013-10-04T14:30,\n",
            "from = 2013-10-04T14:30 has no time zone: write a date, or an instant such as",
        ),
        ("universe: members.csv", "symbol,from,to\n,2013-10-04,\n", "line 2: the symbol '' "),
        (
            "symbols: [SPY, IBM], universe: members.csv",
            "symbol,from,to\nSPY,2013-10-04,\nIBM,2013-10-12,\n",
            "symbol IBM of data.symbols is no member from 2013-10-04 to 2013-10-12: add a row for it, or",
        ),
        (
            "symbols: [SPY, IBN], universe: members.csv",
            CHANGES,
            r"symbol IBN of data.symbols is no member .*\(did you mean 'IBM'\?\): add a row for it",
        ),
    ],
)  # fmt: skip
def test_what_cannot_be_traded_by_is_refused(tmp_path: Path, data, text, said) -> None:
    with pytest.raises(StudyError, match=said):
        joined(tmp_path, data, text)


@pytest.mark.parametrize(
    ("data", "said"),
    [
        ("universe: {file: a.csv, table: b}", "needs a file or a table, and not both"),
        ("universe: {ignore_others: true}", "needs a file or a table, and not both"),
        ("universe: {files: a.csv}", "unknown key 'data.universe.files': did you mean 'file'"),
        ("universe: 7", "data.universe"),
        ("symbols: []", "names no symbol; name at least one"),
        ("timeframe: 1min", "key 'data.symbols' is missing: it is required"),
    ],
)
def test_keys_that_break_a_rule(tmp_path: Path, data, said) -> None:
    with pytest.raises(StudyError, match=said):
        joined(tmp_path, data)


def test_a_parquet_file_of_dates_and_instants(tmp_path: Path) -> None:
    table = pa.table(
        {
            "symbol": ["SPY", "IBM"],
            "from": pa.array([date(2013, 10, 4)] * 2),
            "to": pa.array([None, datetime(2013, 10, 9, 14, 30, tzinfo=UTC)], pa.timestamp("us", tz="UTC")),
            "weight": [0.5, 0.5],
        }
    )
    pq.write_table(table, tmp_path / "members.parquet")
    assert joined(tmp_path, "universe: members.parquet").members == {
        "SPY": (Membership(day("2013-10-04"), EVER),),
        "IBM": (Membership(day("2013-10-04"), 1_381_329_000_000_000, end_is_date=False),),
    }
    pq.write_table(table.set_column(1, "from", pa.array([7, 8])), tmp_path / "members.parquet")
    with pytest.raises(StudyError, match="row 1: from = 7 is neither a date nor an instant"):
        joined(tmp_path, "universe: members.parquet")
    (tmp_path / "members.parquet").write_bytes(b"PAR1")
    with pytest.raises(StudyError, match="is no Parquet file that can be read"):
        joined(tmp_path, "universe: members.parquet")
