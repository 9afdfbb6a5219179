"""Engines: brokers that run a strategy over a window of bars."""

from __future__ import annotations

from whatif.domain import EngineRun
from whatif.engines.base import BacktestTask
from whatif.engines.select import ENGINES, get_engine, run_engine

__all__ = ["ENGINES", "BacktestTask", "EngineRun", "get_engine", "run_engine"]
