"""Plan and work items: what a worker is told once for all items, and for each one."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import TYPE_CHECKING, Any

from whatif.axes import MarketChange
from whatif.domain import PLAN_COLUMNS, Execution, Membership, Overlays, Periods
from whatif.pins import Pin
from whatif.search import BarSlice, Configuration
from whatif.splits import Window
from whatif.study import digest_of

if TYPE_CHECKING:
    from whatif.strategies import PortableStrategy

MEBIBYTE = 1024 * 1024


@dataclass(frozen=True)
class ModelPin:
    """Where a model's predictions are.

    Attributes
    ----------
    pin : Pin
        Snapshot of `predictions`.
    model_digest : str
        The model's rows in it.
    target : str
        "return": predictions are fractions of the close; "level": prices; "class": probabilities.
    each : bool
        Whether each symbol's are of a model of its own.
    """

    pin: Pin
    model_digest: str
    target: str
    each: bool = False

    def digest_for(self, symbol: str) -> str:
        """Return the digest of the rows of `predictions` that a symbol's are."""
        return digest_of(self.model_digest, symbol) if self.each else self.model_digest


@dataclass(frozen=True)
class WindowPlan:
    """A window and the periods over which its returns are measured."""

    window: Window
    periods: Periods


@dataclass(frozen=True)
class Plan:
    """All that work items of one study share; small, since every task unpickles it.

    Attributes
    ----------
    study : str
        The study's name.
    data_digest : str
        Digest of the slice: exchange, hours, start and period length.
    bars : Pin
        Snapshot of `bars`.
    slices : mapping of str to BarSlice
        The slice of bars by timeframe.
    models : mapping of (str, str, int) to ModelPin
        Predictions by model name, timeframe and number of the fold that trained it.
    strategy : PortableStrategy
        The strategy, to be rebuilt in the worker.
    strategy_name : str
        The strategy as the study names it.
    windows : mapping of str to WindowPlan
        Windows by name.
    engine : str
        Name of the engine that runs it.
    provenance : mapping of str to str
        user, host, command and versions (as JSON), copied into every row.
    cache_bytes : int
        Bound on what a worker process keeps of bars.
    array_bytes : int
        Bound on what it keeps of indicator arrays. Small, since a sweep makes as many arrays
        as it has configurations, and a worker must need the same memory for any number.
    home : str
        The lake's home on the driver, where compiled strategies are kept; "" for none.
    time_limit : float
        Seconds after which a backtest is stopped, which is then its error; 0 for none.
    members : mapping of str to tuple of Membership
        When each symbol may be traded, of those that are not traded always.
    log : str
        Where a worker says what it is at: "stderr", which is the log of its executor, or the path
        of a file; "" for nowhere.
    """

    study: str
    data_digest: str
    bars: Pin
    slices: Mapping[str, BarSlice]
    models: Mapping[tuple[str, str, int], ModelPin]
    strategy: PortableStrategy
    strategy_name: str
    windows: Mapping[str, WindowPlan]
    engine: str
    provenance: Mapping[str, str]
    cache_bytes: int = 256 * MEBIBYTE
    array_bytes: int = 40 * MEBIBYTE
    home: str = ""
    time_limit: float = 0.0
    members: Mapping[str, tuple[Membership, ...]] = field(default_factory=dict)
    log: str = ""

    @property
    def pins(self) -> tuple[Pin, ...]:
        """What is read: the bars, and the predictions of each model once."""
        return tuple(dict.fromkeys([self.bars, *(model.pin for model in self.models.values())]))

    @property
    def columns(self) -> dict[str, Any]:
        """What all rows have in common: a value for each of `PLAN_COLUMNS`."""
        own = {
            "bars_snapshot": self.bars.snapshot_id,
            "data_digest": self.data_digest,
            "study": self.study,
            "strategy": self.strategy_name,
        }
        return {name: value for name, value in {**own, **self.provenance}.items() if name in PLAN_COLUMNS}


@dataclass(frozen=True)
class WorkItem:
    """Configurations to be run on one symbol (or shared portfolio) in one window.

    Attributes
    ----------
    symbols : tuple of str
        One symbol; several share an account.
    window : str
        Name of the window.
    configurations : tuple of Configuration
        What to run, one after the other.
    keep : bool
        Whether trades and equity are yielded too.
    cost : float
        Estimated configuration-bars, for spreading work evenly.
    task : int or None
        Number of the task that it shares with other items of a wave; None for one of its own.
    """

    symbols: tuple[str, ...]
    window: str
    configurations: tuple[Configuration, ...]
    keep: bool = False
    cost: float = 0.0
    task: int | None = None

    def halves(self) -> tuple[WorkItem, WorkItem]:
        """Return the item as two, each with half of the configurations."""
        middle = len(self.configurations) // 2
        parts = self.configurations[:middle], self.configurations[middle:]
        first, second = (replace(self, configurations=part, cost=self.cost / 2) for part in parts)
        return first, second

    def to_json(self) -> str:
        """Return the item as text, which is what travels."""
        accounts: dict[Any, int] = {}
        # told by object first: to compare the settings of thousands takes longer than all the rest
        number: dict[tuple[int, ...], int] = {}
        for c in self.configurations:
            key = id(c.execution), id(c.overlays), id(c.market)
            if key not in number:
                number[key] = accounts.setdefault((c.execution, c.overlays, c.market), len(accounts))
        own = [number[id(c.execution), id(c.overlays), id(c.market)] for c in self.configurations]
        return json.dumps(
            {
                "symbols": list(self.symbols),
                "window": self.window,
                "keep": self.keep,
                # few are shared by many: each is sent, and made again, once
                "accounts": [
                    [execution.written, overlays.active, [asdict(change) for change in market]]
                    for execution, overlays, market in accounts
                ],
                "configurations": {
                    "config_id": [c.config_id for c in self.configurations],
                    "params": _columns([c.params for c in self.configurations]),
                    "model": [c.model for c in self.configurations],
                    "timeframe": [c.timeframe for c in self.configurations],
                    "account": own,
                    "fold": [c.fold for c in self.configurations],
                },
            }
        )

    @staticmethod
    def symbols_of(text: str) -> list[str]:
        """Return the symbols of the item that `to_json` wrote: they stand first, and alone are parsed."""
        found: list[str] = json.JSONDecoder().raw_decode(text, text.index("["))[0]
        return found

    @classmethod
    def from_json(cls, text: str) -> WorkItem:
        """Return the item that `to_json` wrote."""
        given = json.loads(text)
        accounts = [
            (
                Execution.from_written(execution),
                Overlays(**overlays),
                tuple(MarketChange(**change) for change in market),
            )
            for execution, overlays, market in given["accounts"]
        ]
        columns = given["configurations"]
        own = zip(*(columns[name] for name in ("model", "timeframe", "account", "fold")), strict=True)
        each = zip(columns["config_id"], _rows(columns["params"]), own, strict=True)
        alike: dict[tuple[Any, ...], Configuration] = {}
        configurations = []
        for config_id, params, key in each:
            if key not in alike:
                model, timeframe, account, fold = key
                execution, overlays, market = accounts[account]
                alike[key] = Configuration(
                    config_id,
                    params,
                    model,
                    timeframe,
                    execution,
                    overlays=overlays,
                    fold=fold,
                    market=market,
                )
            configurations.append(_with(alike[key], config_id, params))
        return cls(tuple(given["symbols"]), given["window"], tuple(configurations), given["keep"])


def _with(one: Configuration, config_id: str, params: Mapping[str, Any]) -> Configuration:
    """Return a configuration with other parameters, in a fifth of the time that `replace` takes."""
    made = object.__new__(Configuration)
    made.__dict__.update(one.__dict__, config_id=config_id, params=params)
    return made


def _columns(rows: Sequence[Mapping[str, Any]]) -> dict[str, list[Any]] | list[dict[str, Any]]:
    """Return parameters as a column for each name; as they are if not all have the same ones in order."""
    if not rows or not rows[0] or len(set(map(tuple, rows))) > 1:
        return [dict(row) for row in rows]
    return {name: [row[name] for row in rows] for name in rows[0]}


def _rows(columns: dict[str, list[Any]] | list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the parameters that `_columns` wrote."""
    if isinstance(columns, list):
        return columns
    return [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]
