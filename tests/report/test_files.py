from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from whatif.report.files import (
    KeptAnswer,
    keep_answer,
    kept_answer,
    make_own_folder,
    without_formulas,
    write_files,
)


def test_both_forms_hold_the_same_numbers(make, tmp_path):
    data = make.study()
    written = write_files(data, tmp_path / "out")
    assert [path.name for path in written.values()] == list(written)
    assert set(written) == {
        f"{n}.{e}"
        for n in ("leaderboard", "comparison", "trades", "equity", "regimes")
        for e in ("csv", "parquet")
    }
    for name, frame in (
        ("leaderboard", data.ranking.leaderboard),
        ("equity", data.series.equity),
        ("trades", data.series.trades),
    ):
        stored = pd.read_parquet(written[f"{name}.parquet"])
        text = pd.read_csv(written[f"{name}.csv"])
        assert list(stored.columns) == list(text.columns) == list(frame.columns)
        assert len(stored) == len(text) == len(frame)
        for column in frame.select_dtypes("number").columns:
            pd.testing.assert_series_equal(stored[column], frame[column])
            pd.testing.assert_series_equal(text[column].astype(frame[column].dtype), frame[column])


def test_times_are_utc(make, tmp_path):
    data = make.study()
    written = write_files(data, tmp_path)
    assert str(pd.read_parquet(written["equity.parquet"])["ts"].dtype) == "datetime64[us, UTC]"
    assert pd.read_csv(written["equity.csv"])["ts"][0] == "2024-03-04 14:30:00+00:00"


@pytest.mark.parametrize("unit", ["s", "ms", "us", "ns"])
@pytest.mark.parametrize("step", [0.25, 60.0, 86_400.0])
def test_times_in_csv_are_what_pandas_writes_of_them(make, tmp_path, unit, step):
    data = make.study()
    equity = data.series.equity.copy()
    ts = pd.Timestamp("1969-12-31 00:00", tz="UTC") + pd.to_timedelta(step * np.arange(len(equity)), unit="s")
    equity["ts"] = ts.as_unit(unit)
    equity["naive"], equity["there"] = ts.tz_localize(None), ts.tz_convert("America/New_York")
    equity["missing"] = equity["ts"].where(np.arange(len(equity)) > 0)
    data = replace(data, series=replace(data.series, equity=equity))
    written = write_files(data, tmp_path)
    assert written["equity.csv"].read_text("utf-8") == equity.to_csv(index=False)


def test_mappings_and_mixed_axes_can_be_stored(make, tmp_path):
    axes = {"execution": [{"commission": 0.0}, {"commission": 0.1}], "stop": [None, 0.02, "atr"]}
    written = write_files(make.study(axes=axes, failed=0), tmp_path)
    stored = pd.read_parquet(written["leaderboard.parquet"])
    assert set(stored["execution"]) == {'{"commission": 0.0}', '{"commission": 0.1}'}
    assert set(stored["stop"].dropna()) == {"0.02", "atr"}


def test_writing_again_replaces(make, tmp_path):
    write_files(make.study(), tmp_path)
    written = write_files(make.study(axes={"fast": [1]}, failed=0), tmp_path)
    assert len(pd.read_csv(written["leaderboard.csv"])) == 2
    assert len(list(tmp_path.iterdir())) == 10


def test_nothing_traded(make, tmp_path):
    data = make.study()
    empty = make.study(series={"trades": data.series.trades.iloc[:0]})
    assert pd.read_parquet(write_files(empty, tmp_path)["trades.parquet"]).empty


def test_the_same_study_replaces_its_report(tmp_path: Path) -> None:
    folder, moved = make_own_folder(tmp_path, "mine", "a" * 64)
    assert (folder, moved) == (tmp_path / "mine", None)
    (folder / "report.html").write_text("first")
    assert make_own_folder(tmp_path, "mine", "a" * 64) == (folder, None)
    assert (folder / "report.html").read_text() == "first"


def test_another_study_of_the_name_does_not_overwrite_it(tmp_path: Path) -> None:
    """The folder of the name holds the newest; what was there stays beside it, once for each study."""
    for turn, digest in enumerate(["a" * 64, "b" * 64, "a" * 64, "b" * 64]):
        folder, moved = make_own_folder(tmp_path, "mine", digest)
        assert moved == (None if not turn else tmp_path / f"mine-{'ba'[turn % 2] * 8}"), turn
        assert not (folder / "report.html").exists()
        (folder / "report.html").write_text(digest[0])
    assert {path.name for path in tmp_path.iterdir()} == {"mine", "mine-aaaaaaaa", "mine-bbbbbbbb"}
    assert (tmp_path / "mine" / "report.html").read_text() == "b"
    assert (tmp_path / "mine-aaaaaaaa" / "report.html").read_text() == "a"


def test_a_folder_of_nobody_is_taken(tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / ".study").write_text("../../outside")
    folder, moved = make_own_folder(tmp_path, "mine", "a" * 64)
    assert (folder, moved) == (tmp_path / "mine", None)


@pytest.mark.parametrize(
    "text", ["=1+1", '=HYPERLINK("x")', "+A1", "-A1", "@SUM(A1)", "\t=1", " =1", "-1+cmd|x"]
)
def test_what_a_spreadsheet_would_run(text: str) -> None:
    for frame in (pd.DataFrame({"a": [text, "b"]}), pd.DataFrame({"a": [text, 5]}, dtype=object)):
        assert without_formulas(frame)["a"].iloc[0] == "'" + text
    assert list(without_formulas(pd.DataFrame({text: [1]})).columns) == ["'" + text]


def test_everything_else_stays() -> None:
    frame = pd.DataFrame(
        {"a": ["SPY", "-1.5", "+2e-4", "", None], "b": [-1.5, 2.0, 3.0, 4.0, float("nan")], "c": range(5)},
        index=[5, 6, 7, 8, 9],
    )
    pd.testing.assert_frame_equal(without_formulas(frame), frame)


class TestKept:
    """What was written is told from what would be written now."""

    @pytest.fixture
    def files(self, tmp_path):
        page, table = tmp_path / "report.html", tmp_path / "trades.csv"
        page.write_text("<p>page</p>")
        table.write_text("pnl\n1.5\n")
        keep_answer(tmp_path, "key", "Certified: so it is.", [page, table])
        return page, table

    def test_the_same_answer_is_there(self, files, tmp_path):
        assert kept_answer(tmp_path, "key") == KeptAnswer("Certified: so it is.", files)

    def test_another_answer_is_not(self, files, tmp_path):
        assert kept_answer(tmp_path, "another") is None

    @pytest.mark.parametrize("which", [0, 1])
    def test_a_file_that_was_changed_or_is_gone(self, files, tmp_path, which):
        files[which].write_text("changed")
        assert kept_answer(tmp_path, "key") is None
        files[which].unlink()
        assert kept_answer(tmp_path, "key") is None

    @pytest.mark.parametrize("text", ["", "{", "[]", "{}", '{"key": "key"}', '{"key": "key", "files": [1]}'])
    def test_a_note_that_cannot_be_read(self, files, tmp_path, text):
        (tmp_path / ".answer").write_text(text)
        assert kept_answer(tmp_path, "key") is None

    def test_a_folder_without_one(self, tmp_path):
        assert kept_answer(tmp_path / "none", "key") is None
