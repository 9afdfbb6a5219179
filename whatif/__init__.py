"""whatif: a Spark-based, distributed what-if engine for trading strategies.

Names are loaded when they are first used, so that importing the package on a
worker brings in neither Spark nor MLflow (PEP 562).
"""

from __future__ import annotations

from functools import cache
from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    __version__: str
    from whatif import features
    from whatif.appraisal import judge
    from whatif.engines.api import backtest
    from whatif.pins.api import read_bars
    from whatif.report import tear_sheet
    from whatif.study import Study, load_study
    from whatif.timeseries import finspace
    from whatif.workflow import StudyResult, run

_HOMES = {
    "backtest": "whatif.engines.api",
    "compare": "whatif.scenarios",
    "judge": "whatif.appraisal",
    "load_study": "whatif.study",
    "read_bars": "whatif.pins.api",
    "run": "whatif.workflow",
    "stress": "whatif.scenarios",
    "tables": "whatif.query",
    "tear_sheet": "whatif.report",
    "Study": "whatif.study",
    "StudyResult": "whatif.workflow",
}

__all__ = [
    "Study",
    "StudyResult",
    "backtest",
    "features",
    "finspace",
    "judge",
    "load_study",
    "read_bars",
    "run",
    "tear_sheet",
]


def __getattr__(name: str) -> Any:
    if name == "__version__":
        return _version()
    if name == "finspace":  # a module of names of its own
        return import_module("whatif.timeseries.finspace")
    if name == "features":  # the room itself, which is called as a function
        return import_module("whatif.features")
    if name in _HOMES:
        return getattr(import_module(_HOMES[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


@cache
def _version() -> str:
    from importlib.resources import files

    return files(__name__).joinpath("VERSION").read_text(encoding="utf-8").strip()


def __dir__() -> list[str]:
    return sorted({*globals(), *_HOMES, "features", "finspace"})
