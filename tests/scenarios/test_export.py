"""A choice as a plain Backtrader script: run apart, in isolation, it prints the fills of whatif as bytes."""

from __future__ import annotations

import ast
import subprocess
import sys
from datetime import date
from pathlib import Path

import pytest

from whatif.cli import main
from whatif.pins import LakeLocation
from whatif.scenarios.side import _reason_in_file, in_window, run_in, side_of
from whatif.sources import IngestSpec, SampleMarket, SampleSymbol, write_days
from whatif.workflow import RunOptions, ingest, run

MARKET = SampleMarket(3, "XNYS", date(2020, 1, 2), 400, (SampleSymbol("T", 40.0, 0.3),))
STUDY = """\
study: {name}
data: {{symbols: [T], timeframe: 1d, start: 2020-01-02, end: 2021-08-05}}
calendar: {{exchange: XNYS}}
strategy: {strategy}
axes: {axes}
overlays: {overlays}
execution: {{cash: 100000, commission: 0.0005, slippage: 0.0003}}
split: {{kind: holdout, train: 0, validate: 0.5, test: 0.5}}
"""
RULE = '''\
"""Hold what fell, for a while."""
from whatif.strategies import Param, buy, close, hold, strategy

LIMIT = 0.0


def fell(change, by):
    return change < LIMIT - by


@strategy(
    params={"by": Param(0.01, low=0), "bars": Param(5, low=1)},
    inputs={"change": "roc(3)"},
)
def rule(i, x, p, s):
    if s.size and s.bars_held >= p.bars and s.value > 0.0:
        return close()
    if not s.size and fell(x.change[i - 1], p.by):
        return buy(s.cash / 2.0 / x.close[i])
    return hold()
'''
CASES = {
    "cross": ("{name: sma_crossover, params: {enter_at_once: true}}", "{fast: [3, 5], slow: [10]}",
              "{percent_of_equity: 0.95}"),
    "own": ("{name: rule.py}", "{by: [0.005], bars: [4, 9]}", "{}"),
    "breakout": ("{name: breakout}", "{period: [8, 12]}", "{}"),
}  # fmt: skip

GUARD = (
    "import sys, runpy; sys.modules['whatif'] = None; sys.argv = sys.argv[1:];"
    "runpy.run_path(sys.argv[0], run_name='__main__')"
)
"""Runs a script for which there is no whatif."""


@pytest.fixture(scope="module")
def lake(tmp_path_factory: pytest.TempPathFactory) -> LakeLocation:
    folder = tmp_path_factory.mktemp("export")
    location = LakeLocation(home=folder / "home")
    ingest(write_days(MARKET, folder), IngestSpec(exchange="XNYS", timezone="UTC"), location, runner="local")
    (folder / "rule.py").write_text(RULE)
    return location


def _study(lake: LakeLocation, name: str, strategy: str, axes: str, overlays: str) -> Path:
    path = lake.home.parent / f"{name}.yaml"
    path.write_text(STUDY.format(name=name, strategy=strategy, axes=axes, overlays=overlays))
    run(path, location=lake, options=RunOptions(track=False, report=False, runner="local"))
    return path


@pytest.mark.parametrize("name", CASES)
def test_the_script_has_the_same_fills_as_bytes(lake, tmp_path, name) -> None:
    path = _study(lake, name, *CASES[name])
    assert main(["--home", str(lake.home), "export", str(path), "--output", str(tmp_path)]) == 0
    side = side_of(path, lake)
    fold = side.resolved.timeline.last
    for window, where in (("validate", fold.validate[-1]), ("test", fold.test)):
        fills = run_in(in_window(side, where), side.configuration, side.groups).fills
        assert len(fills) > 2
        lines = ["ts,size,price,commission"]
        for ts, size, price, paid in fills[["ts", "size", "price", "commission"]].itertuples(index=False):
            lines.append(f"{ts.tz_localize(None).isoformat()},{size!r},{price!r},{paid!r}")
        done = subprocess.run(
            [sys.executable, "-c", GUARD, str(tmp_path / "strategy.py"), window],
            capture_output=True,
            text=True,
            check=True,
        )
        assert done.stdout == "\n".join(lines) + "\n"


def test_another_choice_is_written_on_validate_alone(lake, tmp_path) -> None:
    path = _study(lake, "cross", *CASES["cross"])
    other = next(iter(side_of(path, lake).resolved.every_configuration)).config_id
    assert main(["--home", str(lake.home), "export", f"{path}#{other}", "--output", str(tmp_path)]) == 0
    assert sorted(one.name for one in tmp_path.iterdir()) == ["bars-validate.csv", "strategy.py"]


def test_what_is_not_covered_is_refused_by_name(lake, tmp_path, capsys) -> None:
    path = _study(lake, "stopped", *CASES["cross"][:2], "{percent_of_equity: 0.95, stop_loss: 0.02}")
    assert main(["--home", str(lake.home), "export", str(path), "--output", str(tmp_path / "out")]) == 2
    assert "overlays beside percent_of_equity" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ("import beside", "imports beside"),
        ("from .beside import a", "imports .beside a"),
        ("from whatif.strategies import hold as stay", "imports whatif.strategies hold"),
        ("import math", ""),
    ],
)
def test_a_file_that_needs_more_than_the_script_has_is_told(line, why) -> None:
    found = _reason_in_file(ast.parse(RULE.replace("LIMIT = 0.0", f"{line}\nLIMIT = 0.0")), "rule")
    assert found.endswith(why) if why else found == ""
    assert "no" in _reason_in_file(ast.parse(RULE), "another")
