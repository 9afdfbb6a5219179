"""Bars of a security whose symbol changed are joined under the one asked for, wherever they are read."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import pytest

import whatif
from whatif.domain import Bars
from whatif.errors import LakeError, RunError, SourceError
from whatif.features import build
from whatif.features.build import build_features
from whatif.features.spec import FeatureSpec, feature_frame
from whatif.labels import ForwardVwap
from whatif.lake import RETURNS, check_quality, create_tables
from whatif.pins import LakeLocation, Pin, current_pin, read_arrow, read_bars, renamed_pin
from whatif.resolve import resolve_study
from whatif.search import BarSlice
from whatif.session import get_spark
from whatif.sources import IngestSpec, ingest_actions
from whatif.study import Study
from whatif.workflow import RunOptions, ingest, run

from ..markets import put_bars, us, walk
from .conftest import rows_of

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

META = "20120518,fb,Q\n20220608,fb,Q\n20501231,meta,Q\n"
"""Lean's map file of Meta Platforms, which was FB to 8 June 2022, a Wednesday."""

FIRST, CHANGED = "2022-06-01", "2022-06-09"


def write(path: Path, text: str) -> Path:
    path.parent.mkdir(exist_ok=True, parents=True)
    path.write_text(text)
    return path


def days(path: Path, start: str, closes: list[float]) -> Path:
    sessions = pd.bdate_range(start, periods=len(closes))
    rows = [f"{day:%Y-%m-%d},{c},{c},{c},{c},700" for day, c in zip(sessions, closes, strict=True)]
    return write(path, "\n".join(["date,open,high,low,close,volume", *rows]) + "\n")


@pytest.fixture
def lake(lake_home: LakeLocation, tmp_path: Path) -> LakeLocation:
    """FB before the change and (another security) behind it, META from it on and (another) before it."""
    folder = tmp_path / "bars"
    files = [
        days(folder / "FB.csv", FIRST, [10, 11, 12, 13, 14, 15, 99, 99, 99]),  # 1 to 8 June are its own
        days(folder / "META.csv", "2022-06-07", [55, 55, 16, 17, 18, 19, 20]),  # from 9 June
        days(folder / "OTHER.csv", FIRST, [1.0 + k for k in range(13)]),
    ]
    ingest(files, IngestSpec(exchange="XNYS"), lake_home)
    ingest_actions([write(tmp_path / "map_files" / "meta.csv", META)], lake_home)
    return lake_home


OWN = [10.0, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20]


def test_bars_are_joined_by_name_and_session(lake: LakeLocation) -> None:
    frame = whatif.read_bars("META", timeframe="1d", location=lake, renames="follow")
    assert frame["close"].tolist() == OWN
    assert set(frame["symbol"]) == {"META"}
    assert frame["session"].is_monotonic_increasing
    bars = read_bars(renamed_pin(lake, current_pin(lake, "bars"), "follow"), "META", "1d")
    assert (bars.symbol, bars.close.tolist()) == ("META", OWN)
    both = whatif.read_bars(["OTHER", "META"], timeframe="1d", location=lake, renames="follow")
    assert both[both["symbol"] == "META"]["close"].tolist() == OWN
    assert (both["symbol"] == "OTHER").sum() == 13
    # raw bars are what they were, and are read so unless it is said otherwise
    assert whatif.read_bars("META", timeframe="1d", location=lake)["close"].tolist()[:2] == [55, 55]
    assert len(whatif.read_bars("FB", timeframe="1d", location=lake)) == 9


def test_a_slice_before_the_change_has_bars(lake: LakeLocation) -> None:
    asked = {"timeframe": "1d", "location": lake, "renames": "follow"}
    frame = whatif.read_bars("META", end="2022-06-03", **asked)  # type: ignore[arg-type]
    assert frame["close"].tolist() == [10.0, 11.0]
    assert whatif.read_bars("META", end="2020-06-03", **asked).empty  # type: ignore[arg-type]


def test_a_former_name_is_refused(lake: LakeLocation) -> None:
    with pytest.raises(LakeError, match="what 'META' was called from 2012-05-18 before 2022-06-09"):
        whatif.read_bars("FB", timeframe="1d", location=lake, renames="follow")
    with pytest.raises(LakeError, match="'folow' is unknown"):
        whatif.read_bars("META", timeframe="1d", location=lake, renames="folow")


def test_without_maps_following_is_refused(lake_home: LakeLocation, tmp_path: Path) -> None:
    ingest([days(tmp_path / "S.csv", FIRST, [1, 2])], IngestSpec(exchange="XNYS"), lake_home)
    with pytest.raises(LakeError, match="holds no names"):
        whatif.read_bars("S", timeframe="1d", location=lake_home, renames="follow")


def test_a_pin_keeps_its_names_as_text(lake: LakeLocation) -> None:
    pin = renamed_pin(lake, current_pin(lake, "bars"), "follow")
    assert Pin.from_json(pin.to_json()) == pin
    assert "renames" not in current_pin(lake, "bars").to_json()


@pytest.mark.parametrize(
    ("of_fb", "close"),
    [
        # under the old name while it was the security's; under the new one, of all its history
        ("FB,2022-06-06,split,2\n", [5, 5.5, 6, 13]),
        ("META,2022-06-06,split,2\n", [5, 5.5, 6, 13]),
        # both tell it, one by the day after the session before: it counts once
        ("FB,2022-06-06,split,2\nMETA,2022-06-04,split,2\n", [5, 5.5, 6, 13]),
        # FB of another time is another security
        ("FB,2022-06-13,split,2\n", [10, 11, 12, 13]),
    ],
)
def test_splits_of_former_names_count(
    lake: LakeLocation, tmp_path: Path, of_fb: str, close: list[float]
) -> None:
    ingest_actions([write(tmp_path / "a.csv", f"symbol,date,kind,value\n{of_fb}")], lake)
    frame = whatif.read_bars("META", timeframe="1d", location=lake, renames="follow", adjust="splits")
    assert frame["close"].tolist()[:4] == close
    assert frame["close"].tolist()[4:] == OWN[4:]


def names(lake: LakeLocation) -> list[tuple[object, ...]]:
    rows = read_arrow(current_pin(lake, "renames"), ["symbol", "ticker", "from", "to"]).to_pylist()
    told = [(r["symbol"], r["ticker"], str(r["from"]), str(r["to"])) for r in rows if r["ticker"]]
    return sorted(told)


def test_maps_are_read_as_lean_writes_them(lake: LakeLocation, tmp_path: Path) -> None:
    assert names(lake) == [
        ("META", "FB", "2012-05-18", "2022-06-09"),
        ("META", "META", "2022-06-09", "None"),
    ]
    again = ingest_actions([tmp_path / "map_files" / "meta.csv"], lake)
    assert (again.maps, again.renamed, again.names_landed, again.names_corrected) == (1, 1, 0, 0)
    # an earlier security of the name, delisted; a class of shares; and one without exchanges
    old = write(tmp_path / "m" / "fb.1.csv", "19990929,fb\n20030328,fb\n")
    tap = write(tmp_path / "m" / "tap.a.csv", "19980102,acco.a\n20050208,acco.a\n20501231,tap.a\n")
    report = ingest_actions([old, tap], lake)
    assert (report.maps, report.renamed, report.names_landed) == (2, 1, 3)
    assert "names of 2 securities, 1 of which had more than one; 3 landed" in report.summary()
    assert names(lake)[:1] == [("FB.1", "FB", "1999-09-29", "2003-03-29")]
    assert names(lake)[-1] == ("TAP.A", "TAP.A", "2005-02-09", "None")


def test_a_newer_map_takes_the_place_of_the_security_s_older_one(
    lake_home: LakeLocation, tmp_path: Path
) -> None:
    ingest_actions([write(tmp_path / "fb.csv", "20120518,fb,Q\n20501231,fb,Q\n")], lake_home)
    ingest_actions([write(tmp_path / "meta.csv", META)], lake_home)
    assert {row[0] for row in names(lake_home)} == {"META"}
    # and back again: what it has no more does not hold any more
    ingest_actions([write(tmp_path / "fb.csv", "20120518,fb,Q\n20501231,fb,Q\n")], lake_home)
    assert names(lake_home) == [("FB", "FB", "2012-05-18", "None")]


@pytest.mark.parametrize(
    ("name", "text", "words"),
    [
        ("fb.csv", "20150101,fb\n20501231,fb\n", "FB is META and FB on 2015-01-01; nothing was written"),
        ("x.csv", "20120518,x\n20501231,y\n", "named after X, and its last name is Y"),
        ("x.csv", "20220518,y\n20120518,x\n", "ascend"),
        ("x.csv", "20120518,y\n20120518,x\n", "ascend"),
        ("x.csv", "20120518,x\n", "a single row"),
        ("x.csv", "20121318,x\n20501231,x\n", "no date of eight digits"),
        ("es.csv", "20091216,es uhqf,CME,1\n20100312,es uhqf,CME,1\n", "continuous futures"),
    ],
)
def test_maps_that_cannot_be_are_refused(
    lake: LakeLocation, tmp_path: Path, name: str, text: str, words: str
) -> None:
    before = current_pin(lake, "renames")
    with pytest.raises(SourceError, match=words):
        ingest_actions([write(tmp_path / "bad" / name, text)], lake)
    assert current_pin(lake, "renames") == before


def test_two_maps_of_one_command_may_not_contradict(lake_home: LakeLocation, tmp_path: Path) -> None:
    fb = write(tmp_path / "fb.csv", "20120518,fb,Q\n20501231,fb,Q\n")
    with pytest.raises(SourceError, match=r"FB is (FB and META|META and FB) on 2012-05-18"):
        ingest_actions([fb, write(tmp_path / "meta.csv", META)], lake_home)


STUDY = {
    "study": "renamed",
    "data": {"symbols": ["META"], "timeframe": "1d", "start": FIRST, "end": "2022-06-16"},
    "calendar": {"exchange": "XNYS"},
    "strategy": {"name": "sma_crossover"},
    "axes": {"fast": [1], "slow": [2]},
    "split": {"kind": "holdout", "train": 0.2, "validate": 0.4, "test": 0.4},
}


def study(**data: object) -> Study:
    return Study.model_validate({**STUDY, "data": {**STUDY["data"], **data}})  # type: ignore[dict-item]


def test_a_study_reads_joined_bars_and_its_results_have_another_key(
    lake: LakeLocation, tmp_path: Path
) -> None:
    plain, joined = (resolve_study(study(renames=mode), lake) for mode in ("none", "follow"))
    assert read_bars(joined.bars, "META", "1d").close.tolist() == OWN
    assert sum(joined.window_bars.values()) == 11  # not the 16 rows of these names
    told = [note for note in joined.notes if "left out" in note]
    assert [note.partition(" are left out")[0] for note in told] == ["3 bars under FB", "2 bars under META"]
    assert not any("left out" in note for note in plain.notes)
    assert plain.data_digest != joined.data_digest
    assert plain.identity != joined.identity
    assert resolve_study(study(), lake).identity == plain.identity
    assert "renames" not in study().data.model_dump(mode="json")
    # names that are corrected are other data
    text = META.replace("20220608", "20220607")
    ingest_actions([write(tmp_path / "map_files" / "meta.csv", text)], lake)
    after = resolve_study(study(renames="follow"), lake, latest=True)
    assert after.data_digest != joined.data_digest
    assert read_bars(joined.bars, "META", "1d").close.tolist() == OWN  # what is pinned stays
    assert read_bars(after.bars, "META", "1d").close.tolist() == [*OWN[:5], 55, *OWN[6:]]


def test_bars_of_other_lengths_are_not_among_those_left_out(lake: LakeLocation, tmp_path: Path) -> None:
    rows = [f"2022-06-10 09:{minute}-04:00,FB,99,99,99,99,7" for minute in range(30, 50)]
    header = "ts,symbol,open,high,low,close,volume"
    minutes = write(tmp_path / "minutes.csv", "\n".join([header, *rows]) + "\n")
    ingest([minutes], IngestSpec(exchange="XNYS", timeframe="1min"), lake)
    told = [note for note in resolve_study(study(renames="follow"), lake).notes if "left out" in note]
    assert [note.partition(" are left out")[0] for note in told] == ["3 bars under FB", "2 bars under META"]


def test_studies_of_former_names_are_refused(lake: LakeLocation) -> None:
    with pytest.raises(LakeError, match="was called"):
        resolve_study(study(renames="follow", symbols=["META", "FB"]), lake)
    with pytest.raises(RunError, match="has no regular bar"):
        resolve_study(study(renames="follow", start="2021-06-01", end="2021-07-01"), lake)


def test_quality_is_looked_at_of_joined_bars(lake: LakeLocation) -> None:
    pin = renamed_pin(lake, current_pin(lake, "bars"), "follow")
    told = check_quality(lake, ["META"], "1d", pin).sessions
    assert told["bars"].sum() == len(OWN)
    assert np.array_equal(told["bars"], told["expected"])
    resolve_study(study(quality="strict", renames="follow"), lake)


def halves(market: Bars, former: str) -> list[Bars]:
    """Return a market's bars as those of one that changed its name on 9 October 2013, and decoys."""
    changed = int(np.searchsorted(market.session, np.datetime64("2013-10-09").astype(int)))
    decoy = walk("X", 9, minutes=120)
    return [
        replace(market.take(slice(0, changed)), symbol=former),
        market.take(slice(changed, None)),
        replace(decoy.take(decoy.session >= market.session[changed]), symbol=former),
        replace(decoy.take(decoy.session < market.session[changed]), symbol=market.symbol),
    ]


MAP = "20131004,old\n20131008,old\n20501231,a\n"


@pytest.mark.parametrize("runner", ["local", pytest.param("spark", marks=pytest.mark.spark)])
def test_a_run_gives_what_it_gives_on_bars_of_one_name(
    runner: str,
    tmp_path: Path,
    make_study: Callable[..., Study],
    request: pytest.FixtureRequest,
) -> None:
    found = []
    whole = [walk("A", 1, minutes=120), walk("B", 2, minutes=120)]
    data = {"symbols": ["A", "B"], "timeframe": "1min", "start": "2013-10-04", "end": "2013-10-12"}
    for name, markets in (("whole", whole), ("parts", [*halves(whole[0], "OLD"), whole[1]])):
        location = LakeLocation(tmp_path / name)
        put_bars(location, markets)
        asked = data
        if name == "parts":
            ingest_actions([write(tmp_path / "a.csv", MAP)], location)
            asked = {**data, "renames": "follow"}
        spark = request.getfixturevalue("spark") if runner == "spark" else None
        spark = spark and get_spark(location)
        options = RunOptions(track=False, report=False, runner=runner)
        run(make_study(data=asked), spark, location, options)
        rows = rows_of(location, RETURNS).sort_values(["symbol", "config_id", "window"])
        keys = rows[["symbol", "config_id", "window", "window_start", "window_end"]].astype(str)
        found.append((keys.to_numpy().tolist(), [one.tobytes() for one in rows["returns"]]))
    assert len(found[0][0]) >= 2 * 4
    assert found[0] == found[1]


FEATURES = ("ema(10)", "sma(5)", "roc(5)", "volume")


def features(bars: Pin) -> FeatureSpec:
    start, end = us("2013-10-04T13:30"), us("2013-10-11T20:00")
    said = "" if bars.renames is None else "renamed"
    part = BarSlice(("A", "B"), "1min", "1min", "XNYS", "regular", start, end, said)
    return FeatureSpec(part, FEATURES, ForwardVwap(horizon="5min"))


def joined(location: LakeLocation, tmp_path: Path) -> tuple[list[Bars], Pin]:
    whole = [walk("A", 1, minutes=120), walk("B", 2, minutes=120)]
    pin = put_bars(location, [*halves(whole[0], "OLD"), whole[1]])
    ingest_actions([write(tmp_path / "a.csv", MAP)], location)
    return whole, renamed_pin(location, pin, "follow")


def same_features(made: Pin, whole: list[Bars], spec: FeatureSpec) -> None:
    values = [*spec.columns, "label_level", "label_return"]
    stored = read_arrow(made, ["symbol", "ts", *values]).to_pandas().sort_values(["symbol", "ts"])
    expected = pd.concat([feature_frame(bars, spec).assign(symbol=bars.symbol) for bars in whole])
    assert stored["ts"].tolist() == expected["ts"].tolist()
    for name in values:
        one, other = (frame[name].to_numpy(dtype=np.float64) for frame in (stored, expected))
        assert one.tobytes() == other.tobytes(), name


def test_features_are_those_of_bars_of_one_name(lake_home: LakeLocation, tmp_path: Path) -> None:
    whole, bars = joined(lake_home, tmp_path)
    spec = features(bars)
    same_features(build_features(None, lake_home, bars, spec), whole, spec)


def test_bars_added_under_a_former_name_are_in_the_features(lake_home: LakeLocation, tmp_path: Path) -> None:
    whole = [walk("A", 1, minutes=120), walk("B", 2, minutes=120)]
    old, new, *decoys = halves(whole[0], "OLD")
    put_bars(lake_home, [old.slice(0, len(old) - 9), new, *decoys, whole[1]])
    ingest_actions([write(tmp_path / "a.csv", MAP)], lake_home)
    first = renamed_pin(lake_home, current_pin(lake_home, "bars"), "follow")
    spec = features(first)
    build_features(None, lake_home, first, spec)
    put_bars(lake_home, [old.slice(len(old) - 9, len(old))])
    newer = renamed_pin(lake_home, current_pin(lake_home, "bars"), "follow")
    same_features(build_features(None, lake_home, newer, spec), whole, spec)


@pytest.mark.spark
def test_features_of_spark_are_the_same(
    spark: SparkSession, lake_home: LakeLocation, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On the local lake, and on a catalog service, where Spark writes what tasks compute."""
    whole, bars = joined(lake_home, tmp_path)
    spec = features(bars)
    same_features(build_features(spark, lake_home, bars, spec), whole, spec)
    other = replace(spec, features=(*FEATURES, "close"))
    with monkeypatch.context() as elsewhere:
        # tables are still where they were: Spark and PyIceberg are told by the session and by pins
        elsewhere.setattr(build, "find_pin", lambda *_: None)
        elsewhere.setattr(
            build, "create_tables", lambda spark, location, tables: create_tables(spark, location, tables)
        )
        elsewhere.setattr(LakeLocation, "local", False)
        elsewhere.setattr(build, "table_exists", lambda *_: False)
        elsewhere.setattr(build, "pin", lambda _, __, table: table)
        table = build_features(spark, lake_home, bars, other)
    same_features(current_pin(lake_home, str(table)), whole, other)
