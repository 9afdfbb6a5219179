"""Studies of crossovers on the market's bars: as files, and finished in this process."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import pandas as pd
import yaml

from whatif.bench.market import BenchMarket
from whatif.bench.setting import Setting
from whatif.calendars import EPOCH
from whatif.domain import timestamps
from whatif.pins import LakeLocation
from whatif.study import parse_study
from whatif.workflow import RunOptions, StudyResult, run

_STUDY = """\
study: {name}
data:      {{symbols: [{symbol}], timeframe: 1min, start: {start}, end: {end}}}
calendar:  {{exchange: {exchange}, session: extended}}
strategy:  {{name: sma_crossover, params: {{size: {size}}}}}
axes:
  fast: {fast}
  slow: {slow}
execution: {{cash: 100000, commission: 0.0001, slippage: 0.00005}}
split:     {{kind: holdout, train: 0.0, validate: 0.9, test: 0.1}}
engine:    {engine}
"""


@dataclass(frozen=True)
class StudyText:
    """What differs between studies.

    Attributes
    ----------
    name : str
        The study's.
    fast, slow : sequence of int
        Periods.
    size : int
        Position; another one makes other configurations.
    engine : str
        "backtrader" or "compiled".
    days : int
        Calendar days from the first bar on; 0 for all bars.
    """

    name: str
    fast: Sequence[int]
    slow: Sequence[int]
    size: int = 1
    engine: str = "backtrader"
    days: int = 0


def write_study(setting: Setting, text: StudyText) -> Path:
    """Write a study into the lake's home and return its path."""
    bars = setting.market.bars
    first, last = (EPOCH + timedelta(days=int(day)) for day in (bars.session[0], bars.session[-1]))
    found = _STUDY.format(
        name=text.name,
        symbol=bars.symbol,
        exchange=setting.market.exchange,
        start=first,
        end=(first + timedelta(days=text.days)) if text.days else last + timedelta(days=1),
        size=text.size,
        fast=list(text.fast),
        slow=list(text.slow),
        engine=text.engine,
    )
    path = setting.location.home / f"{text.name}.yaml"
    path.write_text(found, encoding="utf-8")
    return path


def finished(
    market: BenchMarket, location: LakeLocation, count: int, share: float, report: bool = False
) -> StudyResult:
    """Run a study of about `count` crossovers, validated on a share of the bars, with a report if asked."""
    first, last = (timestamps(market.bars.ts[[0, -1]]) + pd.Timedelta(days=k) for k in (0, 1))
    side = math.isqrt(count)
    study = parse_study(
        yaml.safe_dump(
            {
                "study": f"crossovers-{count}",
                "data": {
                    "symbols": [market.bars.symbol], "timeframe": "1min", "start": first[0].date(),
                    "end": last[1].date(),
                },
                "calendar": {"exchange": market.exchange, "session": "extended"},
                "strategy": {"name": "sma_crossover", "params": {"size": 10}},
                "axes": {"fast": list(range(5, 5 + side)), "slow": list(range(200, 200 + side))},
                "execution": {"cash": 100_000.0},
                "split": {"kind": "holdout", "train": 0, "validate": share, "test": min(share, 1 - share)},
            }
        )
    )  # fmt: skip
    options = RunOptions(track=False, report=report, certify=False, runner="local")
    return run(study, None, location, options, quiet=True)
