"""Studies that go wrong, or are of an odd shape: run for real on a small lake."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from whatif.explore import Desk, open_desk
from whatif.pins import LakeLocation
from whatif.workflow import RunOptions, run

from ..markets import put_bars, walk
from ..workflow.conftest import study_text

LONG = "p" * 200
MARKED = "<img src=x onerror=\"document.title='gone'\">&amp;"

RAISES = """
from whatif.strategies import Param, hold, strategy

@strategy(params={"fast": Param(3), "slow": Param(9)})
def mine(i, x, p, s):
    return hold() if i < 400 or 1 // (i - i) else hold()
"""

NAMED = f"""
from whatif.strategies import Param, hold, strategy, target

@strategy(params={{"{LONG}": Param(3, low=1, high=99), "text": Param("a")}}, inputs={{"close": "close"}})
def mine(i, x, p, s):
    return target(1.0) if i % p.{LONG} == 0 else target(0.0)
"""


def options() -> RunOptions:
    return RunOptions(track=False, report=False, certify=False, runner="local")


def odd_study(folder: Path, source: str = "", symbols: tuple[str, ...] = ("A",), **changes: Any) -> Path:
    """Write a study of a small market, with some of its keys changed, and the lake that it runs on."""
    location = LakeLocation(folder / "home")
    minutes = 390 if source == RAISES else 60  # a step is tried on 300 bars before it runs
    put_bars(location, [walk(symbol, k, minutes=minutes) for k, symbol in enumerate(symbols)])
    if source:
        (folder / "mine.py").write_text(source)
        changes["strategy"] = {"name": f"{folder / 'mine.py'}:mine"}
    study = {"study": "odd", "split": {"train": 0, "validate": 0.5, "test": 0.5}, "execution": {"cash": 1e5}}
    path = folder / "odd.yaml"
    data = {"symbols": list(symbols), "timeframe": "1min", "start": "2013-10-04", "end": "2013-10-12"}
    path.write_text(study_text(**{**study, "data": data, **changes}))
    return path


def odd_desk(folder: Path, source: str = "", symbols: tuple[str, ...] = ("A",), **changes: Any) -> Desk:
    """Return the desk of such a study, which has run."""
    path = odd_study(folder, source, symbols, **changes)
    location = LakeLocation(folder / "home")
    run(path, None, location, options())
    return open_desk(path, location)
