"""`whatif export` on a lake: what is written for a choice, for another one, and what is said."""

from __future__ import annotations

import subprocess
import sys
from datetime import date
from pathlib import Path

import pytest

from whatif.cli import main
from whatif.pins import LakeLocation
from whatif.scenarios import in_window, run_in, side_of
from whatif.sources import IngestSpec, SampleMarket, SampleSymbol, write_days
from whatif.workflow import RunOptions, ingest, run

MARKET = SampleMarket(3, "XNYS", date(2020, 1, 2), 300, (SampleSymbol("T", 40.0, 0.3),))
STUDY = """\
study: reverting
data: {symbols: [T], timeframe: 1d, start: 2020-01-02, end: 2021-03-05}
calendar: {exchange: XNYS}
strategy: {name: bollinger_reversion, params: {period: 10}}
axes: {width: [1.0, 1.5]}
overlays: {trailing_stop: 0.05, percent_of_equity: 0.8}
execution: {cash: 100000, commission: 0.0005, slippage: 0.0003}
split: {kind: holdout, train: 0, validate: 0.5, test: 0.5}
"""


@pytest.fixture(scope="module")
def lake(tmp_path_factory: pytest.TempPathFactory) -> LakeLocation:
    folder = tmp_path_factory.mktemp("export")
    location = LakeLocation(home=folder / "home")
    ingest(write_days(MARKET, folder), IngestSpec(exchange="XNYS", timezone="UTC"), location, runner="local")
    study = folder / "reverting.yaml"
    study.write_text(STUDY)
    run(study, location=location, options=RunOptions(track=False, report=False, runner="local"))
    return location


def exported(lake: LakeLocation, study: str, *given: str) -> int:
    return main(["--home", str(lake.home), "export", study, *given])


def test_the_script_has_the_same_fills_on_both_windows(lake, tmp_path, capsys) -> None:
    study = lake.home.parent / "reverting.yaml"
    assert exported(lake, str(study), "--output", str(tmp_path)) == 0
    assert "the same bytes" in capsys.readouterr().out.replace("\n", " ")
    side = side_of(study, lake)
    fold = side.resolved.timeline.last
    for window, where in (("validate", fold.validate[-1]), ("test", fold.test)):
        fills = run_in(in_window(side, where), side.configuration, side.groups).fills
        assert len(fills) > 2
        lines = ["ts,size,price,commission"]
        for ts, size, price, paid in fills[["ts", "size", "price", "commission"]].itertuples(index=False):
            lines.append(f"{ts.tz_localize(None).isoformat()},{size!r},{price!r},{paid!r}")
        done = subprocess.run(
            [sys.executable, "-I", str(tmp_path / "strategy.py"), window],
            capture_output=True, text=True, check=True,
        )  # fmt: skip
        assert done.stdout == "\n".join(lines) + "\n"


def test_another_choice_is_written_on_validate_alone(lake, tmp_path) -> None:
    study = lake.home.parent / "reverting.yaml"
    other = next(iter(side_of(study, lake).resolved.every_configuration)).config_id
    assert exported(lake, f"{study}#{other}", "--output", str(tmp_path)) == 0
    assert sorted(one.name for one in tmp_path.iterdir()) == ["bars-validate.csv", "strategy.py"]


def test_lean_is_written_of_a_study(lake, tmp_path, capsys) -> None:
    study = lake.home.parent / "reverting.yaml"
    assert exported(lake, str(study), "--as", "lean", "--output", str(tmp_path)) == 0
    assert "never run on Lean" in capsys.readouterr().out.replace("\n", " ")
    text = (tmp_path / "main.py").read_text()
    compile(text, "main.py", "exec")
    assert "add_equity(ticker, Resolution.DAILY, extended_market_hours=False)" in text
    assert '"test": ((2020, 8,' in text


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (("--as", "backtradr"), "--as 'backtradr' is no format"),
        (("--symbol", "X"), "chosen for others"),
    ],
)
def test_what_is_not_there_is_told(lake, tmp_path: Path, capsys, given, said) -> None:
    study = lake.home.parent / "reverting.yaml"
    assert exported(lake, str(study), *given, "--output", str(tmp_path / "out")) == 2
    assert said in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_a_file_is_no_folder(lake, tmp_path, capsys) -> None:
    (tmp_path / "out").write_text("my own")
    study = lake.home.parent / "reverting.yaml"
    assert exported(lake, str(study), "--output", str(tmp_path / "out")) == 2
    assert "is a file, and a folder is wanted" in " ".join(capsys.readouterr().err.split())
    assert (tmp_path / "out").read_text() == "my own"
