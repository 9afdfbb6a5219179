"""Splits and dividends adjust bars where they are read, alike for a study's worker and for `read_bars`."""

from __future__ import annotations

import re
import warnings
from datetime import timedelta
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import whatif
from whatif.cli import main
from whatif.errors import LakeError, SourceError
from whatif.lake import BARS, check_quality, tag_pin
from whatif.lake.maintenance import maintain
from whatif.pins import LakeLocation, adjusted_pin, current_pin, open_table, read_arrow, read_bars
from whatif.resolve import resolve_study
from whatif.sources import IngestSpec, ingest_actions
from whatif.study import Study
from whatif.workflow import RunOptions, ingest, run

LEAN = "lean/equity/usa"


def write(path: Path, text: str) -> Path:
    path.write_text(text)
    return path


def days(tmp_path: Path, closes: list[float]) -> Path:
    sessions = pd.bdate_range("2024-03-04", periods=len(closes))
    rows = [f"{day:%Y-%m-%d},{c},{c},{c},{c},700" for day, c in zip(sessions, closes, strict=True)]
    return write(tmp_path / "S.csv", "\n".join(["date,open,high,low,close,volume", *rows]) + "\n")


@pytest.fixture
def lake(lake_home: LakeLocation, tmp_path: Path) -> LakeLocation:
    """Bars of a symbol that splits 7 for 1 on 6 March, and pays 2 on 8 March after a close of 100."""
    ingest([days(tmp_path, [693.0, 700.0, 100.0, 100.0, 98.0])], IngestSpec(exchange="XNYS"), lake_home)
    text = "symbol,date,kind,value\nS,2024-03-06,split,7:1\nS,2024-03-08,dividend,2\n"
    ingest_actions([write(tmp_path / "actions.csv", text)], lake_home)
    return lake_home


@pytest.mark.parametrize(
    ("mode", "close", "volume"),
    [
        ("none", [693.0, 700.0, 100.0, 100.0, 98.0], [700.0] * 5),
        ("splits", [99.0, 100.0, 100.0, 100.0, 98.0], [4900.0, 4900.0, 700.0, 700.0, 700.0]),
        # 2 of 100 is a factor of 0.98
        ("all", [97.02, 98.0, 98.0, 98.0, 98.0], [4900.0, 4900.0, 700.0, 700.0, 700.0]),
    ],
)
def test_a_split_and_a_dividend_by_hand(
    lake: LakeLocation, mode: str, close: list[float], volume: list[float]
) -> None:
    frame = whatif.read_bars("S", timeframe="1d", location=lake, adjust=mode)
    assert frame["close"].tolist() == pytest.approx(close, rel=1e-12)
    assert frame["volume"].tolist() == pytest.approx(volume, rel=1e-12)
    bars = read_bars(adjusted_pin(lake, current_pin(lake, "bars"), mode), "S", "1d")
    assert bars.close.tolist() == frame["close"].tolist()
    assert bars.volume.tolist() == frame["volume"].tolist()
    assert (bars.high * 2 >= bars.vwap).all()


def test_a_slice_has_the_same_prices_as_the_whole(lake: LakeLocation) -> None:
    # the split lies behind the slice
    first = whatif.read_bars("S", end="2024-03-05", timeframe="1d", location=lake, adjust="all")
    assert first["close"].tolist() == pytest.approx([97.02], rel=1e-12)


def test_what_is_stored_stays_as_it_was_traded(lake: LakeLocation) -> None:
    assert whatif.read_bars("S", timeframe="1d", location=lake)["close"].tolist()[0] == 693.0


def test_the_same_actions_twice_add_nothing_and_others_correct(lake: LakeLocation, tmp_path: Path) -> None:
    same = "date,dividends,stock splits\n2024-03-06,0.0,7.0\n2024-03-08,2.0,0.0\n"
    again = ingest_actions([write(tmp_path / "S2.csv", same)], lake, symbol="S", dry_run=True)
    assert (again.splits, again.dividends) == (1, 1)
    other = "symbol,date,kind,value\nS,2024-03-06,split,6.5\n"
    report = ingest_actions([write(tmp_path / "o.csv", other)], lake)
    assert (report.landed, report.corrected) == (0, 1)
    frame = whatif.read_bars("S", timeframe="1d", location=lake, adjust="splits")
    assert frame["close"][0] == pytest.approx(693.0 / 6.5, rel=1e-12)


@pytest.mark.parametrize(
    ("closes", "actions", "adjusted", "noted"),
    [
        # ten old shares are one new
        ([10.0, 10.0, 100.0, 101.0], "S,2024-03-06,split,1:10\n", [100.0, 100.0, 100.0, 101.0], "1:10"),
        ([10.0, 10.0, 100.0, 101.0], "S,2024-03-06,split,1-for-10\n", [100.0, 100.0, 100.0, 101.0], "1:10"),
        ([25.0, 25.0, 10.0, 10.0], "S,2024-03-06,split,5:2\n", [10.0] * 4, "5:2"),
        # 14 of 700 is cash for a share before the split
        ([700.0, 700.0, 100.0, 100.0], "S,2024-03-06,split,7\nS,2024-03-06,dividend,14\n",
         [98.0, 98.0, 100.0, 100.0], "7:1"),
        # Saturday 9 March: the session before is the last with more shares to come
        ([700.0] * 5 + [100.0], "S,2024-03-09,split,7\n", [100.0] * 6, "7:1"),
    ],
)  # fmt: skip
def test_splits_of_every_kind_and_the_jump_that_shows_them(
    lake_home: LakeLocation,
    tmp_path: Path,
    closes: list[float],
    actions: str,
    adjusted: list[float],
    noted: str,
) -> None:  # fmt: skip
    report = ingest([days(tmp_path, closes)], IngestSpec(exchange="XNYS"), lake_home)
    assert any(f"overnight, as after a split of {noted}; prices are not" in note for note in report.notes)
    ingest_actions([write(tmp_path / "a.csv", f"symbol,date,kind,value\n{actions}")], lake_home)
    frame = whatif.read_bars("S", timeframe="1d", location=lake_home, adjust="all")
    assert frame["close"].tolist() == pytest.approx(adjusted, rel=1e-12)


def test_what_looks_like_a_split_is_told_by_check_and_answer(
    lake_home: LakeLocation, tmp_path: Path, data_dir: Path
) -> None:
    # splits of AAPL: 2:1 on 2000-06-21 and 2005-02-28, 7:1 on 2014-06-09, 4:1 on 2020-08-31; on 2000-09-29 it
    # halved by itself
    ingest([data_dir / LEAN / "daily" / "aapl.zip"], IngestSpec(), lake_home)
    seen = check_quality(lake_home, "AAPL").found
    days = seen.loc[seen["rule"] == "jump", "session"].dt.strftime("%Y-%m-%d").tolist()
    assert days == ["2000-06-21", "2000-09-29", "2005-02-28", "2014-06-09", "2020-08-31"]

    def noted(adjust: str, start: str, end: str, cash: float = 1e6) -> list[str]:
        slice_ = {"symbols": ["AAPL"], "timeframe": "1d", "start": start, "end": end, "adjust": adjust}
        study = Study.model_validate(
            {
                "study": f"{adjust}-{start}-{cash:.0f}", "data": slice_, "calendar": {"exchange": "XNYS"},
                "strategy": {"name": "sma_crossover", "params": {"fast": 2, "slow": 4}},
                "execution": {"cash": cash},
            }
        )  # fmt: skip
        result = run(study, None, lake_home, RunOptions(track=False, report=False))
        return [note for note in result.data.origin.notes if "split" in note]

    (told,) = noted("none", "2013-01-02", "2021-04-01")
    assert told.startswith(
        "AAPL is not adjusted for what looks like a split of 7:1 on 2014-06-09 (closed at 645.57, "
        "opened at 92.69), and 1 more like it. If it is one, strategy and hold win or lose there what "
        "nobody did: 'whatif ingest-actions FILE' brings splits"
    )
    # with less cash the account loses everything at the split: nothing can be chosen, and why is told
    assert noted("none", "2013-01-02", "2021-04-01", 700.0) == [told]
    assert noted("none", "2015-01-02", "2020-01-02") == []
    ingest_actions([data_dir / LEAN / "factor_files" / "aapl.csv"], lake_home)
    seen = check_quality(lake_home, "AAPL").found
    assert seen.loc[seen["rule"] == "jump", "session"].dt.strftime("%Y-%m-%d").tolist() == ["2000-09-29"]
    assert noted("splits", "2013-01-02", "2021-04-01") == []
    (told,) = noted("splits", "2000-01-03", "2001-01-03")
    assert (
        "AAPL is not adjusted by splits that the lake knows for what looks like a split of 2:1 on 2000-09-29"
        in told
    )
    assert told.endswith(": a move of the market, or a split that is missing")


def test_a_jump_that_is_like_no_split_names_none(lake_home: LakeLocation, tmp_path: Path) -> None:
    # 2.21 lies between 2:1 and 5:2, further from both than a tenth
    report = ingest([days(tmp_path, [22.1, 10.0])], IngestSpec(exchange="XNYS"), lake_home)
    assert any("a factor of 2.21 overnight; prices are not adjusted" in note for note in report.notes)


@pytest.mark.parametrize("value", ["12", "10"])
def test_a_dividend_as_large_as_the_price_is_not_left_out_in_silence(
    lake_home: LakeLocation, tmp_path: Path, value: str
) -> None:
    ingest([days(tmp_path, [10.0] * 4)], IngestSpec(exchange="XNYS"), lake_home)
    ingest_actions(
        [write(tmp_path / "a.csv", f"symbol,date,kind,value\nS,2024-03-06,dividend,{value}\n")], lake_home
    )
    words = f"S: the dividend of {value} a share on 2024-03-06 is not below the close before it, 10,"
    with pytest.raises(LakeError, match=words):
        whatif.read_bars("S", timeframe="1d", location=lake_home, adjust="all")
    frame = whatif.read_bars("S", timeframe="1d", location=lake_home, adjust="splits")
    assert frame["close"].tolist() == [10.0] * 4


def test_actions_of_a_symbol_without_bars_are_told(lake: LakeLocation, tmp_path: Path) -> None:
    text = "symbol,date,kind,value\nZZ,2024-03-06,split,2\nS,2024-03-07,dividend,1\n"
    report = ingest_actions([write(tmp_path / "z.csv", text)], lake)
    assert report.notes == ("the lake has no bars of ZZ: actions count once there are some under that name",)


@pytest.mark.parametrize("name", ["aapl", "aig", "bac", "goog", "ibm", "spy"])
def test_total_returns_are_those_of_lean_s_factors(
    lake_home: LakeLocation, data_dir: Path, name: str
) -> None:
    ingest([data_dir / LEAN / "daily" / f"{name}.zip"], IngestSpec(), lake_home)
    ingest_actions([data_dir / LEAN / "factor_files" / f"{name}.csv"], lake_home)
    frame = whatif.read_bars(name.upper(), timeframe="1d", location=lake_home, adjust="all")
    raw = whatif.read_bars(name.upper(), timeframe="1d", location=lake_home)
    # by the file itself: a row's factors hold up to and with its date
    columns = ["date", "price", "split", "close"]
    path = data_dir / LEAN / "factor_files" / f"{name}.csv"
    table = pd.read_csv(path, header=None, names=columns).sort_values("date")
    day = raw["session"].dt.strftime("%Y%m%d").astype(int).to_numpy()
    at = np.searchsorted(table["date"].to_numpy(), day)
    factor = (table["price"] * table["split"]).to_numpy()[at]
    expected = np.diff(np.log(raw["close"].to_numpy() * factor))
    assert np.diff(np.log(frame["close"].to_numpy())) == pytest.approx(expected, abs=1e-12)
    assert len(expected) > 100


STUDY = {
    "study": "adjusted",
    "data": {"symbols": ["S"], "timeframe": "1d", "start": "2024-03-04", "end": "2024-03-09"},
    "calendar": {"exchange": "XNYS"},
    "strategy": {"name": "sma_crossover"},
    "axes": {"fast": [1], "slow": [2]},
    "split": {"kind": "holdout", "train": 0.2, "validate": 0.4, "test": 0.4},
}


def study(**data: object) -> Study:
    return Study.model_validate({**STUDY, "data": {**STUDY["data"], **data}})  # type: ignore[dict-item]


def test_a_study_s_bars_are_adjusted_and_its_results_have_another_key(lake: LakeLocation) -> None:
    plain, adjusted = (resolve_study(study(adjust=mode), lake) for mode in ("none", "all"))
    assert read_bars(adjusted.bars, "S", "1d").close[0] == pytest.approx(97.02, rel=1e-12)
    assert plain.data_digest != adjusted.data_digest
    assert plain.identity != adjusted.identity
    # a study that says nothing is what it was before there were adjustments
    assert resolve_study(study(), lake).identity == plain.identity
    assert "adjust" not in study().data.model_dump(mode="json")


def test_corrected_actions_are_other_actions(lake: LakeLocation, tmp_path: Path) -> None:
    before = resolve_study(study(adjust="splits"), lake)
    text = "symbol,date,kind,value\nS,2024-03-06,split,6.5\n"
    ingest_actions([write(tmp_path / "o.csv", text)], lake)
    after = resolve_study(study(adjust="splits"), lake, latest=True)
    assert before.data_digest != after.data_digest
    assert read_bars(before.bars, "S", "1d").close[0] == 99.0  # what is pinned stays


@pytest.mark.parametrize(
    ("days_of", "said"),
    [
        (("20230103", "20240304"), None),  # after 4 March, the first session: on 5 March
        (("20220103", "20230103"), "2 actions of 2022-01-04 to 2023-01-04, .* they change none of them"),
        (
            ("20240308", "20250103"),
            "actions of 2024-03-09 to 2025-01-04, .* do not change one against another",
        ),
    ],
)
def test_a_factor_file_of_other_dates_than_the_bars_is_told(
    lake_home: LakeLocation, tmp_path: Path, days_of: tuple[str, str], said: str | None
) -> None:
    """Bars from 4 to 8 March 2024; a factor changes on the day after that of its row."""
    ingest([days(tmp_path, [693.0, 700.0, 100.0, 100.0, 98.0])], IngestSpec(exchange="XNYS"), lake_home)
    first, second = days_of
    text = f"{first},0.5,0.5,100\n{second},1,0.5,100\n20501231,1,1,0\n"
    (tmp_path / "f").mkdir()
    report = ingest_actions([write(tmp_path / "f" / "s.csv", text)], lake_home)
    assert report.landed == 2
    if said is None:
        assert report.notes == ()
        return
    (note,) = report.notes
    assert re.search(rf"^S: the lake's bars are of 2024-03-04 to 2024-03-08, .*{said}", note)
    assert f"note: {note}" in report.summary()


def test_a_lake_without_actions_is_said(lake_home: LakeLocation, tmp_path: Path) -> None:
    ingest([days(tmp_path, [1.0, 2.0, 3.0])], IngestSpec(exchange="XNYS"), lake_home)
    with pytest.raises(LakeError, match="whatif ingest-actions"):
        whatif.read_bars("S", timeframe="1d", location=lake_home, adjust="all")
    with pytest.raises(LakeError, match="did you mean 'splits'"):
        whatif.read_bars("S", timeframe="1d", location=lake_home, adjust="split")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("symbol,date,kind,value\nS,2024-03-06,merger,2\n", "neither split nor dividend"),
        ("symbol,date,kind,value\nS,2024-03-06,split,0\n", "ratio"),
        ("symbol,date,kind,value\nS,2024-03-06,dividend,-1\n", "cash"),
        ("symbol,date,kind,value\nS,03/04/2024,split,2\n", "can be read as"),
        ("symbol,when,kind,value\nS,2024-03-06,split,2\n", "no splits and dividends"),
        ("symbol,date,kind,value\nS,2024-03-06,split,2\nS,2024-03-06,split,3\n", "two splits"),
        ("date,dividends\n2024-03-06,0.0\n", "no split and no dividend"),
    ],
)
def test_actions_that_cannot_be(lake_home: LakeLocation, tmp_path: Path, text: str, words: str) -> None:
    with pytest.raises(SourceError, match=words):
        ingest_actions([write(tmp_path / "a.csv", text)], lake_home)


def test_bars_as_of_a_snapshot_a_tag_and_a_moment(lake: LakeLocation, tmp_path: Path) -> None:
    first = current_pin(lake, "bars")
    tag_pin(None, lake, first, "before-march")
    between = pd.Timestamp.now("UTC").isoformat()
    path = write(tmp_path / "S.csv", "date,open,high,low,close,volume\n2024-03-08,9,9,9,9,9\n")
    ingest([path], IngestSpec(exchange="XNYS", accept=True), lake)
    assert current_pin(lake, "bars").snapshot_id != first.snapshot_id
    for as_of in (str(first.snapshot_id), "before-march", between):
        assert resolve_study(study(as_of=as_of), lake).bars.snapshot_id == first.snapshot_id
    newest = resolve_study(study(), lake)
    assert newest.bars.snapshot_id == current_pin(lake, "bars").snapshot_id
    stands = resolve_study(study(as_of="before-march"), lake, latest=True)
    assert stands.bars.snapshot_id == first.snapshot_id
    assert any("as_of" in note for note in stands.notes)


def test_a_moment_whose_snapshot_has_expired_is_told(
    lake: LakeLocation,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """What stood then is not known any more: an older state must not pass for it."""
    first = current_pin(lake, "bars")
    tag_pin(None, lake, first, "first")
    before = pd.Timestamp.now("UTC").isoformat()
    moments = []
    for price in (9, 10, 11):
        line = f"2024-03-08,{price},{price},{price},{price},9"
        path = write(tmp_path / "S.csv", f"date,open,high,low,close,volume\n{line}\n")
        ingest([path], IngestSpec(exchange="XNYS", accept=True), lake)
        moments.append(pd.Timestamp.now("UTC").isoformat())
    maintain(lake, (BARS,), 0, 1, timedelta(0), daily=False)
    kept = {one.snapshot_id for one in open_table(lake, "bars").metadata.snapshots}
    assert first.snapshot_id in kept
    assert len(kept) == 2

    def closes_as_of(moment: str) -> list[float]:
        frame = whatif.read_bars(["S"], timeframe="1d", as_of=moment, location=lake)
        return [float(close) for close in frame["close"]]

    exact = resolve_study(study(as_of=before), lake)
    assert exact.bars.snapshot_id == first.snapshot_id
    assert not any("as_of" in note for note in exact.notes)
    for moment, said in ((moments[0], "before 1 delivery that"), (moments[1], "before 2 deliveries that")):
        older = resolve_study(study(as_of=moment), lake)
        assert older.bars.snapshot_id == first.snapshot_id
        assert any(said in note for note in older.notes)
        with pytest.warns(RuntimeWarning, match=said):
            assert closes_as_of(moment) == [693.0, 700.0, 100.0, 100.0, 98.0]
        with pytest.warns(RuntimeWarning, match=said), whatif.tables(lake, as_of=moment) as opened:
            assert opened.sql("SELECT min(close) AS least FROM bars")["least"][0] == 98.0
        monkeypatch.setenv("WHATIF_HOME", str(lake.home))
        assert main(["sql", "SELECT 1 AS one", "--as-of", moment]) == 0
        told = capsys.readouterr()
        assert said in told.err
        assert "one" in told.out
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert closes_as_of(before) == [693.0, 700.0, 100.0, 100.0, 98.0]


@pytest.mark.parametrize(
    ("as_of", "words"),
    [
        ("2001-01-01", "had no snapshot"),
        ("before-marhc", "no tag"),
        ("123456789012", "no such snapshot"),
    ],
)
def test_bars_as_of_nothing(lake: LakeLocation, as_of: str, words: str) -> None:
    with pytest.raises(LakeError, match=words):
        resolve_study(study(as_of=as_of), lake)


OF_SERVICES = {
    # alphavantage.co/documentation, datatype=csv: TIME_SERIES_DAILY_ADJUSTED, DIVIDENDS, SPLITS
    "daily_adjusted_IBM.csv": (
        "timestamp,open,high,low,close,adjusted_close,volume,dividend_amount,split_coefficient\n"
        "2024-03-08,98,98,98,98,98,700,2.0000,1.0\n2024-03-07,100,100,100,100,98,700,0.0000,1.0\n"
        "2024-03-06,100,100,100,100,98,700,0.0000,7.0\n",
        (1, 1),
    ),
    "dividends_IBM.csv": (
        "ex_dividend_date,declaration_date,record_date,payment_date,amount\n"
        "2024-03-08,2024-02-20,2024-03-09,2024-04-01,2\n2023-12-08,None,None,None,0.5\n",
        (0, 2),
    ),
    "splits_IBM.csv": ("effective_date,split_factor\n2024-03-06,7.0000\n1999-05-27,2.0000\n", (2, 0)),
    # api.tiingo.com, daily prices, format=csv
    "IBM.csv": (
        "date,close,divCash,splitFactor\n2024-03-06,100,0.0,7.0\n2024-03-07,100,0.0,1.0\n"
        "2024-03-08,98,2.0,1.0\n",
        (1, 1),
    ),
}


@pytest.mark.parametrize("name", OF_SERVICES)
def test_actions_as_services_write_them(lake_home: LakeLocation, tmp_path: Path, name: str) -> None:
    text, expected = OF_SERVICES[name]
    report = ingest_actions([write(tmp_path / name, text)], lake_home)
    assert (report.splits, report.dividends) == expected
    columns = ["symbol", "kind", "value", "ex_date"]
    rows = read_arrow(current_pin(lake_home, "actions"), columns).to_pylist()
    assert {row["symbol"] for row in rows} == {"IBM"}
    in_time = sorted(rows, key=lambda row: row["ex_date"])
    latest = {row["kind"]: (str(row["ex_date"]), row["value"]) for row in in_time}
    wanted = {"split": ("2024-03-06", 7.0), "dividend": ("2024-03-08", 2.0)}
    assert latest == {kind: wanted[kind] for kind, count in zip(wanted, expected, strict=True) if count}


def test_an_amount_of_no_dividend_is_refused(lake_home: LakeLocation, tmp_path: Path) -> None:
    path = write(tmp_path / "IBM.csv", "date,amount\n2024-03-08,2\n")
    with pytest.raises(SourceError, match="say no splits and dividends"):
        ingest_actions([path], lake_home)


def test_a_file_of_lean_s_is_of_the_class_that_it_is_named_after(
    lake_home: LakeLocation, tmp_path: Path
) -> None:
    path = write(tmp_path / "tap.a.csv", "20240307,1,0.5,100\n20501231,1,1,0\n")
    ingest_actions([path], lake_home)
    rows = read_arrow(current_pin(lake_home, "actions"), ["symbol", "value"]).to_pylist()
    assert rows == [{"symbol": "TAP.A", "value": 2.0}]
