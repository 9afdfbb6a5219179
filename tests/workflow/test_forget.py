"""Deliveries listed, and taken back: bars, corrections, quarantine, and what cannot be restored."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from whatif.cli import main
from whatif.errors import LakeError, SourceError
from whatif.lake import BARS, describe, maintain
from whatif.lake.deliveries import list_deliveries, list_refused
from whatif.pins import LakeLocation, current_pin, open_table, read_bars
from whatif.sources import IngestSpec
from whatif.workflow import forget, ingest

HEADER = "ts,open,high,low,close,volume"
SPEC = IngestSpec(symbol="D", exchange="XNYS")


def write(path: Path, *rows: tuple[str, float]) -> Path:
    """Write bars of 2 January 2024 by minute and close."""
    path.parent.mkdir(exist_ok=True)
    lines = [f"2024-01-02T{minute}:00Z,1,20,1,{close},5" for minute, close in rows]
    path.write_text("\n".join([HEADER, *lines]) + "\n")
    return path


def closes(location: LakeLocation, symbol: str = "D") -> list[float]:
    return read_bars(current_pin(location, "bars"), symbol, "1min").close.tolist()


def test_the_later_file_of_a_delivery_stands(lake_home, tmp_path: Path) -> None:
    """Names in order, digits as numbers: 10 comes after 9, whatever the alphabet says."""
    write(tmp_path / "d" / "part 9.csv", ("14:30", 2), ("14:31", 3), ("14:32", 4))
    write(tmp_path / "d" / "part 10.csv", ("14:31", 2.5))
    report = ingest([tmp_path / "d"], SPEC, lake_home, runner="local")
    assert (report.landed, dict(report.refused)) == (3, {"duplicate": 1})
    assert closes(lake_home) == [2.0, 2.5, 4.0]
    (row,) = list_refused(lake_home).itertuples()
    assert (row.source, row.row) == (str(tmp_path / "d" / "part 9.csv"), 2)
    again = ingest(
        [tmp_path / "d" / "part 10.csv", tmp_path / "d" / "part 9.csv"], SPEC, lake_home, runner="local"
    )
    assert again.corrected == 1  # the order that is given
    assert closes(lake_home) == [2.0, 3.0, 4.0]


def test_one_symbol_for_files_of_several_is_refused(lake_home, tmp_path: Path) -> None:
    minutes = [f"14:{k}" for k in range(30, 40)]
    write(tmp_path / "d" / "AAPL.csv", *[(m, 2) for m in minutes])
    write(tmp_path / "d" / "MSFT.csv", *[(m, 15) for m in minutes[:2]])
    with pytest.raises(SourceError, match=r"(?s)--symbol D: two files have other values for the same bars"):
        ingest([tmp_path / "d"], SPEC, lake_home, runner="local")
    write(tmp_path / "e" / "1.csv", *[(m, 2) for m in minutes])
    write(tmp_path / "e" / "2.csv", *[(m, 15) for m in minutes])
    with pytest.raises(SourceError, match=r"10 of them.*1\.csv and .*2\.csv"):
        ingest([tmp_path / "e"], SPEC, lake_home, runner="local")
    write(tmp_path / "e" / "2.csv", *[(m, 2) for m in minutes])  # the same bars twice
    assert ingest([tmp_path / "e"], SPEC, lake_home, runner="local").landed == 10


@pytest.fixture
def corrected(lake_home, tmp_path: Path) -> list[str]:
    """Three deliveries: two bars, one of them corrected with a third, corrected again. Return their ids."""
    first = write(tmp_path / "a.csv", ("14:30", 2), ("14:31", 3))
    first.write_text(first.read_text() + "2024-01-02T14:40:00Z,1,0.5,1,1,5\n")
    ingest([first], SPEC, lake_home, runner="local")
    ingest([write(tmp_path / "b.csv", ("14:31", 4), ("14:32", 5))], SPEC, lake_home, runner="local")
    ingest([write(tmp_path / "c.csv", ("14:31", 6))], SPEC, lake_home, runner="local")
    ingest(
        [write(tmp_path / "x.csv", ("14:31", 9))], replace(SPEC, symbol="OTHER"), lake_home, runner="local"
    )
    return list_deliveries(lake_home)["delivery"].tolist()


@pytest.mark.parametrize("source", ["", "/", "//", " "])
def test_no_source_is_not_every_source(lake_home, corrected: list[str], source: str, capsys) -> None:
    """As of a variable of the shell that is not set."""
    for dry_run in ([], ["--dry-run"]):
        assert main(["--home", str(lake_home.home), "forget", "--source", source, *dry_run]) == 2
        assert "no row of the lake came from" in capsys.readouterr().err
    with pytest.raises(LakeError, match="no row of the lake came from"):
        describe(lake_home, source=source, tags=["x"])
    assert (closes(lake_home), closes(lake_home, "OTHER")) == ([2.0, 6.0, 5.0], [9.0])


def test_what_there_is_is_listed_and_printed_and_refusals_change_nothing(
    session, lake_home, corrected: list[str], capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    for _ in range(2):
        _are_listed(lake_home, tmp_path)
        _are_printed(lake_home, corrected, capsys, tmp_path)
        _are_refused(lake_home, session)


def _are_listed(lake_home, tmp_path: Path) -> None:
    listed = list_deliveries(lake_home)
    assert listed["bars"].tolist() == [1, 1, 1, 1]  # of the corrected ones, what is still theirs
    assert listed["refused"].tolist() == [1, 0, 0, 0]
    assert listed["first_file"].tolist() == [str(tmp_path / f"{name}.csv") for name in "abcx"]
    assert listed["first_symbol"].tolist() == ["D", "D", "D", "OTHER"]


def test_a_delivery_is_taken_back_and_what_it_corrected_returns(
    session, lake_home, corrected: list[str]
) -> None:
    before = current_pin(lake_home, "bars")
    snapshots = len(open_table(lake_home, "bars").metadata.snapshots)
    found = forget(lake_home, delivery=corrected[2], spark=session)
    assert (found.removed, found.restored, found.refused, found.lost) == (0, 1, 0, 0)
    assert closes(lake_home) == [2.0, 4.0, 5.0]
    assert len(open_table(lake_home, "bars").metadata.snapshots) == snapshots + 1
    assert read_bars(before, "D", "1min").close.tolist() == [2.0, 6.0, 5.0]
    found = forget(lake_home, delivery=corrected[1], spark=session)
    assert (found.removed, found.restored) == (1, 1)
    assert closes(lake_home) == [2.0, 3.0]
    assert closes(lake_home, "OTHER") == [9.0]


def test_what_goes_is_not_restored_by_what_goes_too(
    session, lake_home, tmp_path: Path, corrected: list[str]
) -> None:
    """Without b and c the bar that both corrected is again that of a, though b's stood before c's."""
    found = forget(lake_home, source="b.csv", spark=session)
    assert (found.removed, found.restored) == (1, 0)  # c had corrected the other one
    assert closes(lake_home) == [2.0, 6.0]
    found = forget(lake_home, source="c.csv", spark=session)
    assert (found.removed, found.restored) == (0, 1)
    assert closes(lake_home) == [2.0, 3.0]
    # what comes anew is not forgotten
    ingest([tmp_path / "b.csv"], SPEC, lake_home, runner="local")
    assert closes(lake_home) == [2.0, 4.0, 5.0]


def test_what_a_range_lost_returns_with_its_delivery(session, lake_home, tmp_path: Path) -> None:
    ingest([write(tmp_path / "a.csv", *((f"14:3{k}", k + 1) for k in range(5)))], SPEC, lake_home)
    path = write(tmp_path / "b.csv", ("14:30", 1), ("14:32", 9), ("14:34", 5))
    ingest([path], SPEC, lake_home, runner="local", replace_range=True)
    assert closes(lake_home) == [1.0, 9.0, 5.0]
    (at,) = list_deliveries(lake_home).query("kind == 'replace-range'")["delivery"]
    found = forget(lake_home, delivery=at, spark=session)
    assert (found.removed, found.restored, found.lost) == (0, 3, 0)
    assert closes(lake_home) == [1.0, 2.0, 3.0, 4.0, 5.0]


def test_what_a_range_of_another_symbol_lost_stays_gone(session, lake_home, tmp_path: Path) -> None:
    by_file = replace(SPEC, symbol=None, symbol_from="file", timeframe="1min", accept=True)
    bars = [(f"14:3{k}", k + 1) for k in range(5)]
    ingest([write(tmp_path / "a" / f"{name}.csv", *bars) for name in ("D", "OTHER")], by_file, lake_home)
    some = [("14:30", 1), ("14:32", 9), ("14:34", 5)]
    files = [write(tmp_path / "b" / f"{name}.csv", *some) for name in ("D", "OTHER")]
    ingest(files, by_file, lake_home, runner="local", replace_range=True)
    found = forget(lake_home, source="b/D.csv", spark=session)
    assert (found.removed, found.restored, found.lost) == (0, 3, 0)
    assert closes(lake_home) == [1.0, 2.0, 3.0, 4.0, 5.0]
    assert closes(lake_home, "OTHER") == [1.0, 9.0, 5.0]


def test_what_other_files_of_a_range_removed_stays_gone(session, lake_home, tmp_path: Path) -> None:
    """Of 14:30 to 14:39 one file replaces 30 to 33, another 35 to 38; 34 went by neither alone."""
    accepted = replace(SPEC, timeframe="1min", accept=True)
    ingest([write(tmp_path / "a.csv", *((f"14:3{k}", k + 1) for k in range(10)))], accepted, lake_home)
    files = [
        write(tmp_path / "b" / "1.csv", ("14:30", 15), ("14:33", 15)),
        write(tmp_path / "b" / "2.csv", ("14:35", 15), ("14:38", 15)),
    ]
    ingest(files, accepted, lake_home, runner="local", replace_range=True)
    assert closes(lake_home) == [15.0, 15.0, 15.0, 15.0, 10.0]
    found = forget(lake_home, source=str(tmp_path / "b"), spark=session, dry_run=True)
    assert (found.removed, found.restored, found.lost) == (0, 9, 0)
    found = forget(lake_home, source="b/1.csv", spark=session)
    assert (found.removed, found.restored, found.lost) == (0, 4, 0)
    assert closes(lake_home) == [1.0, 2.0, 3.0, 4.0, 15.0, 15.0, 10.0]


def test_what_an_expired_snapshot_held_is_told(session, lake_home, tmp_path: Path) -> None:
    for name, *rows in (
        ("a", ("14:30", 2)), ("b", ("14:30", 4), ("14:31", 5)), ("c", ("14:40", 6)), ("d", ("14:41", 7)),
    ):  # fmt: skip
        minutes = replace(SPEC, timeframe="1min")
        ingest([write(tmp_path / f"{name}.csv", *rows)], minutes, lake_home, runner="local")
    ids = list_deliveries(lake_home)["delivery"].tolist()
    maintain(lake_home, (BARS,), commits=1, kept=1, kept_for=timedelta(0))
    found = forget(lake_home, delivery=ids[-3], spark=session, dry_run=True)
    assert (found.removed, found.restored, found.lost) == (2, 0, 1)  # b had corrected a's
    found = forget(lake_home, delivery=ids[-2], spark=session, dry_run=True)
    assert (found.removed, found.restored, found.lost) == (1, 0, 0)


def test_a_symbol_goes_whole_with_its_refused_rows(session, lake_home, corrected: list[str]) -> None:
    dry = forget(lake_home, symbol="D", spark=session, dry_run=True)
    assert (dry.removed, dry.restored, dry.refused, dry.snapshot_id) == (3, 0, 1, None)
    assert "would be removed" in dry.summary()
    assert len(closes(lake_home)) == 3
    found = forget(lake_home, symbol="D", spark=session)
    assert (found.removed, found.restored, found.refused) == (3, 0, 1)
    assert closes(lake_home) == []
    assert closes(lake_home, "OTHER") == [9.0]
    assert list_refused(lake_home).empty
    assert list_deliveries(lake_home)["delivery"].tolist() == corrected[3:]


def _are_refused(lake_home, session) -> None:
    with pytest.raises(LakeError, match="nothing is named"):
        forget(lake_home, spark=session)
    with pytest.raises(LakeError, match="'whatif deliveries' lists them"):
        forget(lake_home, delivery="2019", spark=session)
    with pytest.raises(LakeError, match="give it whole"):
        forget(lake_home, delivery="20", spark=session)
    with pytest.raises(LakeError, match=r"no row of the lake came from 'z\.csv'"):
        forget(lake_home, source="z.csv", spark=session)
    with pytest.raises(LakeError, match="no row of the lake is of all that was named"):
        forget(lake_home, symbol="NOBODY", spark=session)


def _are_printed(lake_home, corrected: list[str], capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    assert main(["--home", str(lake_home.home), "deliveries"]) == 0
    out = capsys.readouterr().out
    assert f"{corrected[0]}  1 bars, 1 refused  D  {tmp_path / 'a.csv'}" in out
    assert main(["--home", str(lake_home.home), "quarantine", "--source", "a.csv"]) == 0
    out = capsys.readouterr().out
    assert f"{tmp_path / 'a.csv'}: line 4: high_below_low: " in out
    assert main(["--home", str(lake_home.home), "quarantine", "--rule", "duplicate"]) == 0
    assert "no row is in quarantine of what was asked for" in capsys.readouterr().out


def test_a_delivery_of_which_no_bar_stands_is_listed_until_it_is_taken_back(
    lake_home, tmp_path: Path
) -> None:
    for name, close in (("a", 2), ("b", 4), ("c", 6)):
        ingest([write(tmp_path / f"{name}.csv", ("14:30", close))], SPEC, lake_home, runner="local")
    listed = list_deliveries(lake_home)
    assert listed["bars"].tolist() == [0, 0, 1]
    assert listed["landed"].tolist() == [1, 0, 0]
    assert listed["first_file"].tolist() == [str(tmp_path / f"{name}.csv") for name in "abc"]
    forget(lake_home, delivery=listed["delivery"][2])
    assert closes(lake_home) == [4.0]
    assert list_deliveries(lake_home)["delivery"].tolist() == listed["delivery"].tolist()[:2]


def test_no_session_is_started_for_a_local_lake(
    lake_home, corrected: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def started(*_: object) -> None:
        raise AssertionError("a session was started")

    monkeypatch.setattr("whatif.session.get_spark", started)
    assert main(["--home", str(lake_home.home), "forget", "--delivery", corrected[2]]) == 0
    assert closes(lake_home) == [2.0, 4.0, 5.0]
    monkeypatch.setattr("whatif.lake.forgetting.MOST_TAKEN_BACK", 0)
    with pytest.raises(AssertionError, match="a session was started"):
        forget(lake_home, delivery=corrected[1])
