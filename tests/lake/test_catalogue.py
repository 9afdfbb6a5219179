"""What is said of symbols and sources, and how it is found."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pandas as pd
import pytest
from filelock import FileLock, Timeout

from whatif.cli import main
from whatif.errors import LakeError
from whatif.lake import About, describe, list_bars, maintain_all
from whatif.lake.catalogue import Catalogue, catalogue
from whatif.pins import LakeLocation
from whatif.report.packing import unpacked
from whatif.sources import IngestSpec, ingest_actions
from whatif.workflow import ingest


@pytest.fixture
def lake(lake_home: LakeLocation, tmp_path: Path) -> LakeLocation:
    """Three days of A and B from one folder, and of C from another."""
    for folder, symbol in (("x", "A"), ("x", "B"), ("y", "C")):
        path = tmp_path / folder / f"{symbol}.csv"
        path.parent.mkdir(exist_ok=True)
        rows = [f"2024-03-0{day},{day},{day},{day},{day},700" for day in (4, 5, 6)]
        path.write_text("\n".join(["date,open,high,low,close,volume", *rows]) + "\n")
    ingest([tmp_path / "x", tmp_path / "y"], IngestSpec(exchange="XNYS", symbol_from="file"), lake_home)
    return lake_home


def told(lake: LakeLocation, symbol: str) -> dict[str, str]:
    (row,) = list_bars(lake, symbols=[symbol]).to_dict("records")
    return {name: row[name] for name in ("description", "owner", "asset_class", "licence", "tags")}


def test_nothing_is_said_at_first(lake: LakeLocation) -> None:
    assert set(told(lake, "A").values()) == {""}


def test_what_is_given_is_set_and_the_rest_stays(lake: LakeLocation) -> None:
    describe(lake, ["A", "B"], said={"asset_class": "equity", "owner": "Ada"}, tags=["us", "big"])
    describe(lake, ["A"], said={"owner": ""}, tags=["tech"], untag=["big"])
    assert told(lake, "A") | {"licence": ""} == {
        "description": "", "owner": "", "asset_class": "equity", "licence": "", "tags": "tech, us",
    }  # fmt: skip
    assert (told(lake, "B")["owner"], told(lake, "B")["tags"]) == ("Ada", "big, us")


def test_a_tag_that_is_not_there_is_not_taken_away(lake: LakeLocation) -> None:
    describe(lake, ["A"], tags=["us", "big"])
    with pytest.raises(LakeError, match="'A' has no tag 'small': its tags are big, us"):
        describe(lake, ["A"], said={"owner": "Ada"}, untag=["small"])
    with pytest.raises(LakeError, match="'B' has no tag 'us': it has none"):
        describe(lake, ["A", "B"], untag=["us"])
    assert (told(lake, "A")["owner"], told(lake, "A")["tags"]) == ("", "big, us")


def test_what_is_said_is_read_and_written_under_one_lock(
    lake: LakeLocation, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else of two who speak at once the second would take away what the first said."""

    def read(location: LakeLocation) -> Catalogue:
        with pytest.raises(Timeout):
            FileLock(lake.home / "writer.lock").acquire(timeout=0)
        return catalogue(location)

    describe(lake, ["A"], tags=["us"])
    with monkeypatch.context() as patched:
        patched.setattr("whatif.lake.catalogue.catalogue", read)
        describe(lake, ["A"], tags=["big"])
    assert told(lake, "A")["tags"] == "big, us"


def test_a_symbol_has_what_its_sources_have(lake: LakeLocation, tmp_path: Path) -> None:
    describe(lake, source=str(tmp_path / "x"), said={"licence": "vendor", "owner": "Ada"}, tags=["paid"])
    describe(lake, source=str(tmp_path / "x" / "B.csv"), said={"owner": "Bo"})
    describe(lake, ["A"], said={"licence": "own"})
    assert (told(lake, "A")["licence"], told(lake, "A")["owner"], told(lake, "A")["tags"]) == (
        "own", "Ada", "paid",
    )  # fmt: skip
    assert (told(lake, "B")["licence"], told(lake, "B")["owner"]) == ("vendor", "Bo")
    assert set(told(lake, "C").values()) == {""}


def test_tags_and_asset_classes_are_found(lake: LakeLocation) -> None:
    describe(lake, ["A"], said={"asset_class": "Equity"})
    describe(lake, ["C"], tags=["equity"])
    assert list_bars(lake, tag="equity")["symbol"].tolist() == ["A", "C"]
    with pytest.raises(LakeError, match="did you mean"):
        list_bars(lake, tag="equiti")
    with pytest.raises(LakeError, match="no bars have the tag ''"):
        list_bars(lake, tag="")


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"symbols": ["D"], "tags": ["x"]}, "no bars of 'D'"),
        ({"source": "z", "tags": ["x"]}, "no row of the lake came from 'z'"),
        ({"symbols": ["A"]}, "nothing is said"),
        ({"symbols": ["A"], "source": "x", "tags": ["x"]}, "not both"),
        ({"symbols": ["A"], "tags": ["a,b"]}, "without commas"),
        ({"symbols": ["A"], "tags": ["x" * 61]}, "at most 60"),
        ({"symbols": ["A"], "said": {"owner": "a\nb"}}, "in one line"),
        ({"symbols": ["A"], "said": {"ownr": "Ada"}}, "did you mean"),
    ],
)
def test_what_cannot_be_said(lake: LakeLocation, given: dict[str, object], words: str) -> None:
    with pytest.raises(LakeError, match=words):
        describe(lake, **given)  # type: ignore[arg-type]
    assert catalogue(lake).symbols == {}


def test_it_outlives_maintenance(lake: LakeLocation) -> None:
    for k in range(3):
        describe(lake, ["A"], tags=[f"t{k}"])
    maintain_all(lake)
    assert catalogue(lake).of("A") == About(tags=("t0", "t1", "t2"))


def test_the_commands(lake: LakeLocation, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "actions.csv").write_text("symbol,date,kind,value\nA,2024-03-06,split,2\n")
    ingest_actions([tmp_path / "actions.csv"], lake)
    assert main(["describe", "A", "--description", "Made up", "--tag", "us"]) == 0
    assert capsys.readouterr().out == "A: Made up, #us\n"
    assert main(["bars"]) == 0
    said = capsys.readouterr().out
    assert "2024-03-04 2024-03-06" in said
    assert re.search(r"\nA: Made up, #us; 1 split; last delivery 20\d\d-\d\d-\d\d \d\d:\d\d UTC\n", said)
    assert "\nB:" not in said
    page = tmp_path / "a.html"
    assert main(["bars", "A", "--plot", str(page), "--adjust", "splits"]) == 0
    text = page.read_text()
    payload = re.search(r'id="payload">(.*?)</script>', text, re.DOTALL)
    assert payload is not None
    candles, volume, *_ = json.loads(unpacked(payload[1]))["maps"][0]["data"]
    # prices before the split of two for one are halved, and volumes doubled
    assert (candles["close"], volume["y"]) == ([2.0, 2.5, 6.0], [1400.0, 1400.0, 700.0])
    assert "adjusted for splits" in text
    assert main(["bars", "--plot", str(page)]) == 2
    assert "one symbol" in capsys.readouterr().err


def test_a_long_series_is_drawn_in_candles_of_several_bars(tmp_path: Path) -> None:
    from whatif.report import bars_page, write_prices

    n = bars_page.MAX_CANDLES + 1
    rows = pd.DataFrame({"ts": pd.date_range("2024-01-01", periods=n, freq="1min", tz="UTC"), "volume": 1.0})
    rows = rows.assign(open=1.0, high=range(1, n + 1), low=0.5, close=range(n))
    found = pd.DataFrame({"timeframe": [], "error": [], "ts": [], "rule": []})
    text = write_prices("S", "", [("1min", rows)], found, tmp_path / "s.html").read_text()
    payload = re.search(r'id="payload">(.*?)</script>', text, re.DOTALL)
    assert payload is not None
    candles, volume, *_ = json.loads(unpacked(payload[1]))["maps"][0]["data"]
    assert (candles["high"][:2], candles["close"][:2], volume["y"][:2]) == (
        [2.0, 4.0],
        [1.0, 3.0],
        [2.0, 2.0],
    )
    assert "2 in a candle" in text
