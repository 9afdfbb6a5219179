"""What a delivery notes of itself, and deliveries that are checked on a branch before anybody sees them."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from whatif.calendars import schedule
from whatif.cli import main
from whatif.errors import SourceError
from whatif.lake import BARS, list_deliveries, list_refused, maintain_all, tag_pin
from whatif.lake.deliveries import noted
from whatif.lake.maintenance import BARS_SNAPSHOTS
from whatif.pins import LakeLocation, current_pin, has_rows, open_table, read_arrow, read_bars
from whatif.resolve import resolve_study
from whatif.sources import IngestSpec
from whatif.study import Study
from whatif.workflow import ingest

SPEC = IngestSpec(symbol="S", exchange="XNYS", timeframe="1d")
COLUMNS = [name for name in BARS.column_names if name != "ingested_at"]


def days(path: Path, first: str, count: int, spike: int | None = None, extra: str = "") -> Path:
    """Write days of a price that goes up and down by a hundredth; at one, the high is a misread digit."""
    start = pd.Timestamp(first).date()
    sessions = schedule("XNYS", start, (pd.Timestamp(first) + pd.Timedelta(days=400)).date()).session[:count]
    rows = []
    for k, day in enumerate(sessions):
        close = 100.0 + k % 2
        high = 1010.0 if k == spike else 102.0
        rows.append(f"{np.datetime64(int(day), 'D')},{close},{high},99.0,{close},1000")
    path.write_text("\n".join(["date,open,high,low,close,volume", *rows]) + "\n" + extra)
    return path


def snapshots(lake: LakeLocation) -> list[int]:
    return [one.snapshot_id for one in open_table(lake, "bars").metadata.snapshots]


class TestNotes:
    def test_summary_and_list_say_what_came(self, lake_home: LakeLocation, tmp_path: Path) -> None:
        first = days(tmp_path / "a.csv", "2024-01-02", 40, extra="2024-03-01,1,0.5,1,1,1\n")
        ingest([first], SPEC, lake_home)
        second = days(tmp_path / "b.csv", "2024-01-02", 41)
        second.write_text(second.read_text().replace("2024-01-03,101.0,", "2024-01-03,101.5,"))
        ingest([second], SPEC, lake_home)
        listed = list_deliveries(lake_home).to_dict("records")
        assert [row["kind"] for row in listed] == ["append", "correct"]
        assert [(row["landed"], row["corrected"], row["refused"]) for row in listed] == [
            (40, 0, 1),
            (1, 1, 0),
        ]
        # what sha256sum prints of the file
        assert listed[0]["digest"] == hashlib.sha256(first.read_bytes()).hexdigest()
        summary = open_table(lake_home, "bars").current_snapshot().summary.additional_properties
        assert summary["whatif.delivery.delivery"] == listed[1]["delivery"]
        assert summary["whatif.delivery.kind"] == "correct"
        assert summary["whatif.delivery.source"] == str(second)
        assert summary["whatif.delivery.came"] == "41"

    def test_several_files_have_the_digest_of_their_list(self, lake_home, tmp_path: Path) -> None:
        (tmp_path / "in").mkdir()
        a = days(tmp_path / "in" / "a.csv", "2024-01-02", 20)
        b = days(tmp_path / "in" / "b.csv", "2024-03-04", 20)
        ingest([tmp_path / "in"], SPEC, lake_home)
        lines = "".join(f"{hashlib.sha256(p.read_bytes()).hexdigest()}  {p}\n" for p in (a, b))
        assert list_deliveries(lake_home)["digest"][0] == hashlib.sha256(lines.encode()).hexdigest()

    def test_notes_outlive_their_snapshots(self, lake_home: LakeLocation, tmp_path: Path) -> None:
        for k in range(BARS_SNAPSHOTS + 6):
            ingest(
                [days(tmp_path / f"{k}.csv", f"2024-{1 + k // 20:02}-{2 + k % 20:02}", 1)], SPEC, lake_home
            )
        tag_pin(None, lake_home, current_pin(lake_home, "bars"), "keep")
        before = list_deliveries(lake_home)
        assert (before["kind"] == "append").all()
        maintain_all(lake_home)
        left = {one.delivery for one in noted(lake_home).values()}
        assert left >= set(before["delivery"])
        pd.testing.assert_frame_equal(list_deliveries(lake_home), before)

    def test_a_delivery_without_a_bar_is_noted_too(self, lake_home: LakeLocation, tmp_path: Path) -> None:
        ingest([days(tmp_path / "a.csv", "2024-01-02", 5)], SPEC, lake_home)
        broken = tmp_path / "b.csv"
        broken.write_text("date,open,high,low,close,volume\n2024-01-09,1,0.5,1,1,1\n")
        spec = IngestSpec(symbol="S", exchange="XNYS", timeframe="1d", accept=True)
        ingest([broken], spec, lake_home)
        last = list_deliveries(lake_home).to_dict("records")[-1]
        assert (last["landed"], last["refused"], last["kind"]) == (0, 1, "append")


class TestAudit:
    def test_a_sound_delivery_lands_in_one_commit(self, lake_home: LakeLocation, tmp_path: Path) -> None:
        assert ingest([days(tmp_path / "a.csv", "2024-01-02", 60)], SPEC, lake_home, audit=True).landed == 60
        before = snapshots(lake_home)
        ingest([days(tmp_path / "b.csv", "2024-03-28", 20)], SPEC, lake_home, audit=True)
        table = open_table(lake_home, "bars")
        assert len(snapshots(lake_home)) == len(before) + 1
        assert set(table.metadata.refs) == {"main"}
        assert len(read_bars(current_pin(lake_home, "bars"), "S", "1d")) == 80
        assert list_deliveries(lake_home)["landed"].tolist() == [60, 20]

    def test_a_misread_digit_leaves_the_table_as_it_was(
        self, lake_home: LakeLocation, tmp_path: Path
    ) -> None:
        ingest([days(tmp_path / "a.csv", "2024-01-02", 60)], SPEC, lake_home)
        before, pin = snapshots(lake_home), current_pin(lake_home, "bars")
        files = sorted(lake_home.table_folder("bars").rglob("*.parquet"))
        bad = days(tmp_path / "b.csv", "2024-03-28", 30, spike=11, extra="2024-05-20,1,0.5,1,1,1\n")
        with pytest.raises(SourceError, match=r"(?s)2024-04-15 13:30 UTC: spike: .*nothing was written"):
            ingest([bad], SPEC, lake_home, audit=True)
        assert snapshots(lake_home) == before
        assert current_pin(lake_home, "bars").snapshot_id == pin.snapshot_id
        assert set(open_table(lake_home, "bars").metadata.refs) == {"main"}
        assert sorted(lake_home.table_folder("bars").rglob("*.parquet")) == files
        assert list_refused(lake_home).empty
        assert len(list_deliveries(lake_home)) == 1
        accepted = IngestSpec(symbol="S", exchange="XNYS", timeframe="1d", accept=True)
        report = ingest([bad], accepted, lake_home, audit=True)
        assert report.landed == 30
        assert any("spike" in note for note in report.notes)

    def test_the_first_delivery_of_a_lake(self, lake_home: LakeLocation, tmp_path: Path) -> None:
        bad = days(tmp_path / "a.csv", "2024-01-02", 60, spike=30)
        with pytest.raises(SourceError, match="spike"):
            ingest([bad], SPEC, lake_home, audit=True)
        assert not has_rows(lake_home, "bars")
        ingest([days(tmp_path / "a.csv", "2024-01-02", 60)], SPEC, lake_home, audit=True)
        assert len(read_bars(current_pin(lake_home, "bars"), "S", "1d")) == 60

    def test_what_the_lake_has_already_refuses_nothing(self, lake_home: LakeLocation, tmp_path: Path) -> None:
        ingest([days(tmp_path / "a.csv", "2024-01-02", 60, spike=50)], SPEC, lake_home)
        assert ingest([days(tmp_path / "b.csv", "2024-03-28", 30)], SPEC, lake_home, audit=True).landed == 30

    def test_a_symbol_that_is_new_hides_nothing_of_the_others(
        self, lake_home: LakeLocation, tmp_path: Path
    ) -> None:
        ingest([days(tmp_path / "S.csv", "2024-01-02", 60, spike=50)], SPEC, lake_home)
        new = [days(tmp_path / "S.csv", "2024-03-28", 30), days(tmp_path / "T.csv", "2024-03-28", 30, 11)]
        spec = IngestSpec(exchange="XNYS", timeframe="1d", symbol_from="file")
        with pytest.raises(SourceError, match=r"(?s)delivery: 1 error that .*\n  T 1d 2024-04-15 13:30 UTC"):
            ingest(new, spec, lake_home, audit=True)

    def test_a_correction_is_checked_too(self, lake_home: LakeLocation, tmp_path: Path) -> None:
        ingest([days(tmp_path / "a.csv", "2024-01-02", 200)], SPEC, lake_home)
        bad = days(tmp_path / "b.csv", "2024-01-02", 200, spike=100)
        with pytest.raises(SourceError, match="spike"):
            ingest([bad], SPEC, lake_home, audit=True)
        good = days(tmp_path / "c.csv", "2024-01-02", 200)
        good.write_text(good.read_text().replace("2024-01-03,101.0,", "2024-01-03,101.5,"))
        assert ingest([good], SPEC, lake_home, audit=True).corrected == 1

    def test_the_same_bars_twice_make_no_branch(self, lake_home: LakeLocation, tmp_path: Path) -> None:
        path = days(tmp_path / "a.csv", "2024-01-02", 60)
        ingest([path], SPEC, lake_home, audit=True)
        before = snapshots(lake_home)
        assert ingest([path], SPEC, lake_home, audit=True).already_there == 60
        assert snapshots(lake_home) == before

    def test_a_branch_of_a_killed_ingest_goes_with_the_next(
        self, lake_home: LakeLocation, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        ingest([days(tmp_path / "a.csv", "2024-01-02", 60)], SPEC, lake_home)

        def killed(*_: object) -> None:
            raise KeyboardInterrupt

        with monkeypatch.context() as patched:
            patched.setattr("whatif.sources.staged.publish_branch", killed)
            with pytest.raises(KeyboardInterrupt):
                ingest([days(tmp_path / "b.csv", "2024-03-28", 20)], SPEC, lake_home, audit=True)
        assert len(read_bars(current_pin(lake_home, "bars"), "S", "1d")) == 60
        assert len(open_table(lake_home, "bars").metadata.refs) == 2
        ingest([days(tmp_path / "c.csv", "2024-03-28", 10)], SPEC, lake_home, audit=True)
        assert set(open_table(lake_home, "bars").metadata.refs) == {"main"}
        assert len(read_bars(current_pin(lake_home, "bars"), "S", "1d")) == 70

    def test_where_it_cannot_be_done(self, lake_home: LakeLocation, tmp_path: Path) -> None:
        path = days(tmp_path / "a.csv", "2024-01-02", 60)
        with pytest.raises(SourceError, match="leave one of them out"):
            ingest([path], SPEC, lake_home, audit=True, dry_run=True)

    def test_the_command(self, lake_home, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        bad = days(tmp_path / "a.csv", "2024-01-02", 60, spike=30)
        options = ["--symbol", "S", "--exchange", "XNYS", "--timeframe", "1d"]
        assert main(["ingest", str(bad), *options, "--audit"]) == 2
        assert "the audit refuses the delivery" in capsys.readouterr().err
        assert main(["ingest", str(bad), *options, "--audit", "--accept"]) == 0
        assert "note: audit: S 1d 2024-02-14 14:30 UTC: spike" in capsys.readouterr().out
        assert main(["deliveries"]) == 0
        assert "append sha256:" in capsys.readouterr().out


class TestReplaceRange:
    """250 days of S are in the lake; what comes is of some days of the same range."""

    def lake(self, lake_home: LakeLocation, tmp_path: Path) -> list[str]:
        ingest([days(tmp_path / "a.csv", "2024-01-02", 250)], SPEC, lake_home)
        return (tmp_path / "a.csv").read_text().splitlines()

    def closes(self, lake_home: LakeLocation) -> list[float]:
        return read_bars(current_pin(lake_home, "bars"), "S", "1d").close.tolist()

    def test_bars_that_are_not_in_it_go(self, lake_home: LakeLocation, tmp_path: Path) -> None:
        head, *rows = self.lake(lake_home, tmp_path)
        before = current_pin(lake_home, "bars")
        # from the 11th to the 240th day, without the 21st, and with another close on the 31st
        some = [row for k, row in enumerate(rows) if 10 <= k < 240 and k != 20]
        some[19] = some[19].replace(",100.0,1000", ",100.5,1000")
        (tmp_path / "b.csv").write_text("\n".join([head, *some]) + "\n")
        report = ingest([tmp_path / "b.csv"], SPEC, lake_home, replace_range=True)
        assert (report.landed, report.corrected, report.removed, report.already_there) == (0, 1, 1, 228)
        assert "1 removed" in report.summary()
        assert len(self.closes(lake_home)) == 249
        assert len(read_bars(before, "S", "1d")) == 250  # what is pinned stays
        last = list_deliveries(lake_home).to_dict("records")[-1]
        assert (last["kind"], last["removed"], last["corrected"]) == ("replace-range", 1, 1)
        assert ingest([tmp_path / "b.csv"], SPEC, lake_home, replace_range=True).removed == 0

    def test_other_symbols_lengths_and_times_stay(
        self, lake_home: LakeLocation, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        head, *rows = self.lake(lake_home, tmp_path)
        other = IngestSpec(symbol="T", exchange="XNYS", timeframe="1d")
        ingest([tmp_path / "a.csv"], other, lake_home)
        (tmp_path / "b.csv").write_text("\n".join([head, rows[5], rows[7]]) + "\n")
        assert ingest([tmp_path / "b.csv"], SPEC, lake_home, replace_range=True).removed == 1
        assert len(self.closes(lake_home)) == 249
        assert len(read_bars(current_pin(lake_home, "bars"), "T", "1d")) == 250
        # nothing but a removal: it is a delivery all the same
        last = list_deliveries(lake_home).to_dict("records")[-1]
        assert (last["kind"], last["bars"], last["removed"]) == ("replace-range", 0, 1)
        assert last["first_file"] == str(tmp_path / "b.csv")
        assert main(["--home", str(lake_home.home), "deliveries"]) == 0
        assert "0 bars, 0 refused, 1 removed" in capsys.readouterr().out.splitlines()[-1]

    def test_much_is_refused_unless_accepted(self, lake_home: LakeLocation, tmp_path: Path) -> None:
        head, *rows = self.lake(lake_home, tmp_path)
        (tmp_path / "b.csv").write_text("\n".join([head, *rows[::2]]) + "\n")
        with pytest.raises(SourceError, match=r"124 bars of the lake would go"):
            ingest([tmp_path / "b.csv"], SPEC, lake_home, replace_range=True)
        dry = ingest([tmp_path / "b.csv"], SPEC, lake_home, dry_run=True, replace_range=True)
        assert (dry.removed, "124 would be removed" in dry.summary()) == (124, True)
        assert len(self.closes(lake_home)) == 250
        accepted = IngestSpec(symbol="S", exchange="XNYS", timeframe="1d", accept=True)
        ingest([tmp_path / "b.csv"], accepted, lake_home, replace_range=True, audit=True)
        assert len(self.closes(lake_home)) == 126

    def test_a_bar_stays_whose_row_is_refused(self, lake_home: LakeLocation, tmp_path: Path) -> None:
        head, *rows = self.lake(lake_home, tmp_path)
        date, opened, _, *rest = rows[20].split(",")
        rows[20] = ",".join([date, opened, "1.0", *rest])  # its high is below its open
        (tmp_path / "b.csv").write_text("\n".join([head, *rows[10:30], *rows[31:40]]) + "\n")
        report = ingest([tmp_path / "b.csv"], SPEC, lake_home, replace_range=True)
        assert (sum(report.refused.values()), report.removed) == (1, 1)  # the 31st alone goes
        assert len(self.closes(lake_home)) == 249

    def test_an_empty_lake_loses_nothing(self, lake_home: LakeLocation, tmp_path: Path) -> None:
        path = days(tmp_path / "a.csv", "2024-01-02", 5)
        assert ingest([path], SPEC, lake_home, replace_range=True).landed == 5


HISTORY = ["kind", "files", "first_file", "symbols", "bars", "refused", "landed", "corrected", "removed"]


def tell(lake: LakeLocation, folder: Path, runner: str) -> list[object]:
    """Audit, refuse, kill, correct and replace; return what each step said and left, but for the times."""
    told: list[object] = []

    def step(path: Path, accept: bool = False, **options: bool) -> None:
        spec = replace(SPEC, accept=accept)
        try:
            came = ingest([path], spec, lake, runner=runner, **options)
            told.append((came.landed, came.already_there, came.corrected, came.removed, came.refused))
            told.append([note for note in came.notes if note.startswith("audit")])
        except SourceError as error:
            told.append(str(error))
        except KeyboardInterrupt:
            told.append("killed")
        pinned = [current_pin(lake, "bars")] if has_rows(lake, "bars") else []
        told.append(sorted(repr(row) for pin in pinned for row in read_arrow(pin, COLUMNS).to_pylist()))
        told.append(list_refused(lake).drop(columns="ingested_at").astype(str).to_dict("records"))
        told.append(list_deliveries(lake)[[*HISTORY, "digest"]].astype(str).to_dict("records"))
        told.append(sorted(name.split("-")[0] for name in branches(lake)))

    step(days(folder / "a.csv", "2024-01-02", 60, spike=30), audit=True)
    step(days(folder / "b.csv", "2024-01-02", 60, extra="2024-05-20,1,0.5,1,1,1\n"), audit=True)
    step(days(folder / "c.csv", "2024-03-28", 30, spike=11, extra="2024-05-20,2,0.5,1,1,1\n"), audit=True)
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr("whatif.sources.staged.publish_branch", killed)
        step(days(folder / "d.csv", "2024-03-28", 20), audit=True)
    step(days(folder / "e.csv", "2024-03-28", 30, spike=11), accept=True, audit=True)
    head, *rows = days(folder / "f.csv", "2024-01-02", 60).read_text().splitlines()
    some = [row.replace("99.0", "98.0") if k == 9 else row for k, row in enumerate(rows) if k % 20 != 10]
    some[30] = some[30].replace("102.0", "1.0")  # its high is below its open: the lake's bar stays
    (folder / "f.csv").write_text("\n".join([head, *some]) + "\n")
    step(folder / "f.csv", replace_range=True)
    step(folder / "f.csv", accept=True, replace_range=True, audit=True)
    (folder / "g.csv").write_text("\n".join([head, rows[40], rows[42]]) + "\n")
    step(folder / "g.csv", replace_range=True)
    return told


def branches(lake: LakeLocation) -> list[str]:
    return [name for name in open_table(lake, "bars").metadata.refs if name != "main"]


def killed(*_: object) -> None:
    raise KeyboardInterrupt


@pytest.mark.spark
def test_spark_and_this_process_write_the_same(spark, lake_home: LakeLocation, tmp_path: Path) -> None:
    here = tell(LakeLocation(tmp_path / "other"), tmp_path, "local")
    there = tell(lake_home, tmp_path, "spark")
    for number, (one, other) in enumerate(zip(here, there, strict=True)):
        assert one == other, number
    assert "killed" in here
    assert (0, 2, 0, 1, {}) in here  # of the last step: what lay between its two bars went


class TestTags:
    def test_a_study_s_pin_outlives_maintenance(self, lake_home: LakeLocation, tmp_path: Path) -> None:
        ingest([days(tmp_path / "a.csv", "2024-01-02", 40)], SPEC, lake_home)
        study = Study.model_validate(
            {
                "study": "mine", "data": {"symbols": ["S"], "timeframe": "1d", "start": "2024-01-02",
                "end": "2024-02-20"}, "calendar": {"exchange": "XNYS"},
                "strategy": {"name": "sma_crossover", "params": {"fast": 2, "slow": 4}},
            }
        )  # fmt: skip
        # a session is asked for where something may be written: of a local lake, none is started
        pinned = resolve_study(study, lake_home, session=pytest.fail).bars
        for k in range(BARS_SNAPSHOTS + 3):
            path = days(tmp_path / f"{k}.csv", f"2024-{3 + k // 20:02}-{1 + k % 20:02}", 1)
            path.write_text(path.read_text().replace(",100.0,1000", f",100.{k + 1},1000"))
            ingest([path], IngestSpec(symbol="S", exchange="XNYS", timeframe="1d", accept=True), lake_home)
        assert main(["maintain"]) == 0
        assert pinned.snapshot_id in snapshots(lake_home)
        assert len(snapshots(lake_home)) <= BARS_SNAPSHOTS + 4
        again = resolve_study(study, lake_home)
        assert again.bars.snapshot_id == pinned.snapshot_id
        assert len(read_bars(again.bars, "S", "1d")) == 40
        assert any("--latest takes the newest" in note for note in again.notes)
