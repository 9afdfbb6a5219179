"""Choices of every kind as plain Backtrader scripts: run apart, without whatif, they print the same fills."""

from __future__ import annotations

import ast
import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from whatif.domain import Execution, Overlays
from whatif.engines import BacktestTask, run_engine
from whatif.errors import EngineError, StudyError
from whatif.exports.base import Choice, write_files
from whatif.exports.kinds.backtrader import Backtrader
from whatif.exports.rules import WORDS, reason_in
from whatif.exports.tables import lines_of
from whatif.strategies import resolve
from whatif.testing import random_bars

from .drawn import account, single

RUN_ALL = """
import contextlib, io, json, runpy, sys
sys.modules["whatif"] = None
found = {}
for folder in sys.argv[1:]:
    said, sys.argv = io.StringIO(), ["strategy.py", "test"]
    with contextlib.redirect_stdout(said):
        runpy.run_path(f"{folder}/strategy.py", run_name="__main__")
    found[folder] = said.getvalue().splitlines()[1:]
print(json.dumps(found))
"""
RULE = '''\
"""Hold what fell, for a while."""
from whatif.strategies import Param, close, hold, strategy
from whatif.strategies import buy as take

LIMIT = 0.0


def fell(change, by):
    return change < LIMIT - by


@strategy(params={"by": Param(0.001, low=0), "bars": Param(5, low=1)}, inputs={"change": "roc(3)"})
def rule(i, x, p, s):
    """Ask for half of the cash."""
    if s.size and s.bars_held >= p.bars and s.value > 0.0:
        return close()
    if not s.size and fell(x.change[i - 1 : i][0], p.by):
        return take(s.cash / 2.0 / x.close[i])
    return hold()
'''


def choice_of(task: BacktestTask, name: str = "drawn") -> Choice:
    run = run_engine(task, "backtrader")
    return Choice(name, {"test": task}, {"test": lines_of(run)})


def written(draw, seeds, folder: Path) -> dict[str, list[str]]:
    """Write the script of each drawn task that runs; return the engine's fills by folder."""
    expected = {}
    for seed in seeds:
        task = draw(seed)
        try:
            choice = choice_of(task)
        except EngineError:  # sizes beyond what a float counts, positions held over the night
            continue
        if any(float(line.split(",")[-2]) <= 0.0 for line in choice.fills["test"]):
            continue  # slipped below nothing
        assert Backtrader().reason_against(task) == ""
        place = folder / str(seed)
        place.mkdir()
        for name, text in Backtrader().files(choice).items():
            (place / name).write_text(text)
        expected[str(place)] = choice.fills["test"]
    return expected


@pytest.mark.parametrize(("draw", "count"), [(single, 36), (account, 16)])
def test_drawn_choices_have_the_same_fills_as_bytes(tmp_path, draw, count) -> None:
    expected = written(draw, range(count), tmp_path)
    done = subprocess.run(
        [sys.executable, "-c", RUN_ALL, *expected], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert [place for place in expected if found[place] != expected[place]] == []
    assert sum(bool(fills) for fills in expected.values()) > count // 2


@pytest.mark.slow
@pytest.mark.parametrize("draw", [single, account])
def test_many_more_have(tmp_path, draw) -> None:
    test_drawn_choices_have_the_same_fills_as_bytes(tmp_path, draw, 400)


def task_of(text: str, folder: Path, **keys) -> BacktestTask:
    (folder / "rule.py").write_text(text)
    spec = resolve("rule.py", folder)
    return BacktestTask([random_bars(5, 200)], spec, spec.validate({}), Execution(), **keys)


def test_a_script_can_be_read(tmp_path) -> None:
    (tmp_path / "out").mkdir()
    task = task_of(RULE, tmp_path, overlays=Overlays(stop_loss=0.01))
    choice = choice_of(task)
    assert len(choice.fills["test"]) > 5
    script, bars = write_files(Backtrader(), choice, tmp_path / "out")
    text = script.read_text()
    assert "whatif" not in [
        alias.name.partition(".")[0]
        for node in ast.walk(ast.parse(text))
        if isinstance(node, ast.Import | ast.ImportFrom)
        for alias in node.names
    ]
    assert '"""Ask for half of the cash."""' in text
    assert "take = buy" in text
    assert "STOP_LOSS = 0.01" in text
    # what this choice does not need is not there
    for word in ("bracket", "Order(", "LATENCY", "TAKE_PROFIT", "Charges", "MAX_GROSS", "weights"):
        assert word not in text
    assert bars.read_text().startswith("ts,open,high,low,close,volume,vwap,change\n")


def test_a_script_that_does_otherwise_is_not_left_there(tmp_path) -> None:
    choice = choice_of(task_of(RULE, tmp_path))
    first = choice.fills["test"][0]
    wrong = replace(choice, fills={"test": [first.replace(",", ",1", 1), *choice.fills["test"][1:]]})
    with pytest.raises(StudyError, match=r"fill 1 of .* differs: .* in place of"):
        write_files(Backtrader(), wrong, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_names_that_the_script_has_too_are_told(tmp_path) -> None:
    task = task_of(RULE.replace("LIMIT = 0.0", "LIMIT = 0.0\nSTART = 3"), tmp_path)
    with pytest.raises(StudyError, match="defines START"):
        Backtrader().files(choice_of(task))


CLASS = '''\
"""A cross that leaves by brackets."""
from __future__ import annotations

import backtrader as bt

DEFAULT = 3


def faster(fast, slow):
    return fast[0] > slow[0]


class Mine(bt.Strategy):
    params = (("fast", DEFAULT), ("slow", 9), ("size", 10))
    warmup = 8

    def __init__(self):
        self.lines_of = {
            data: [bt.ind.SMA(data, period=period) for period in (self.p.fast, self.p.slow)]
            for data in self.datas
        }

    def next(self):
        for data, (fast, slow) in self.lines_of.items():
            if not self.getposition(data).size and faster(fast, slow):
                price = data.close[0]
                self.buy_bracket(
                    data=data, size=self.p.size, exectype=bt.Order.Market,
                    stopprice=0.995 * price, limitprice=1.01 * price,
                )
            elif self.getposition(data).size and data.vwap[0] > 1.005 * data.close[0]:
                self.close(data)


if __name__ == "__main__":
    raise SystemExit("to be run by whatif")
'''


def task_of_class(folder: Path, text: str = CLASS, symbols: int = 1, **changes) -> BacktestTask:
    (folder / "mine.py").write_text(text)
    bars = [replace(random_bars(seed, 300), symbol=f"S{seed}") for seed in range(symbols)]
    task = BacktestTask(bars, resolve("mine.py", folder), {"fast": 4}, warmup=8, start=int(bars[0].ts[40]))
    return replace(task, bar_us=60_000_000, **changes)


@pytest.mark.parametrize(("symbols", "seed"), [(1, 0), (1, 2), (1, 3), (2, 1)])
def test_a_class_of_backtraders_runs_by_itself(tmp_path, symbols, seed) -> None:
    given = (
        {},
        {"commission": 0.001, "slippage": 0.0005},
        {"coc": True},
        {"commission": 1.5, "commtype": "fixed"},
    )
    task = task_of_class(tmp_path, symbols=symbols, execution=Execution(cash=50_000.0, **given[seed]))
    assert Backtrader().reason_against(task) == ""
    choice = choice_of(task)
    assert len(choice.fills["test"]) > 4
    script, *bars = write_files(Backtrader(), choice, tmp_path / "out")  # which compares the fills as bytes
    text = script.read_text()
    assert "class Mine(bt.Strategy):" in text
    assert "to be run by whatif" not in text
    assert len(bars[0].read_text().splitlines()) == 1 + sum(8 + len(one.ts) - 40 for one in task.bars)


@pytest.mark.parametrize(
    ("before", "after", "why"),
    [
        ("import backtrader as bt", "import backtrader as bt, pandas", "imports pandas, and the script has"),
        (
            "import backtrader as bt",
            "import backtrader as bt\nfrom whatif import judge",
            "imports whatif, and",
        ),
        ("class Mine(", "if True:\n  pass\nclass Mine(", ""),
    ],
)
def test_a_class_that_needs_more_than_the_script_has_is_told(tmp_path, before, after, why) -> None:
    found = Backtrader().reason_against(task_of_class(tmp_path, CLASS.replace(before, after)))
    assert why in found if why else found == ""


def test_names_of_a_class_that_the_script_has_too_are_told(tmp_path) -> None:
    task = task_of_class(tmp_path, CLASS.replace("DEFAULT", "CASH"))
    with pytest.raises(StudyError, match="defines CASH"):
        Backtrader().files(choice_of(task))


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ("import beside", "imports beside"),
        ("from .beside import a", "imports .beside a"),
        ("from whatif.strategies import Param as Own", "imports whatif.strategies Param"),
        ("import whatif.strategies", "imports whatif.strategies"),
        ("from whatif.indicators import parse", "imports whatif.indicators parse"),
        ("from whatif.strategies import hold as stay", ""),
        ("import math", ""),
    ],
)
def test_a_file_that_needs_more_than_the_script_has_is_told(line, why) -> None:
    found = reason_in(RULE.replace("LIMIT = 0.0", f"{line}\nLIMIT = 0.0"), "rule", WORDS)
    assert found.endswith(why) if why else found == ""
    assert "no" in reason_in(RULE, "another", WORDS)
