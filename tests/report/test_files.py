from __future__ import annotations

import pandas as pd

from whatif.report.files import write_files


def test_both_forms_hold_the_same_numbers(make, tmp_path):
    data = make.study()
    written = write_files(data, tmp_path / "out")
    assert [path.name for path in written.values()] == list(written)
    assert set(written) == {
        f"{n}.{e}" for n in ("leaderboard", "comparison", "trades", "equity") for e in ("csv", "parquet")
    }
    for name, frame in (("leaderboard", data.leaderboard), ("equity", data.equity), ("trades", data.trades)):
        stored = pd.read_parquet(written[f"{name}.parquet"])
        text = pd.read_csv(written[f"{name}.csv"], float_precision="round_trip")
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
    assert len(list(tmp_path.iterdir())) == 8


def test_nothing_traded(make, tmp_path):
    data = make.study()
    empty = make.study(trades=data.trades.iloc[:0])
    assert pd.read_parquet(write_files(empty, tmp_path)["trades.parquet"]).empty
