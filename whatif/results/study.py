"""What the tables of results have to know of a study."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any, Protocol

from whatif.domain import Periods
from whatif.pins import Pin
from whatif.search import BarSlice, Configuration, Grid
from whatif.splits import Fold, Timeline
from whatif.study import Study


class ResolvedStudy(Protocol):
    """A study joined with its time, its configurations and the bars that it runs on."""

    @property
    def study(self) -> Study:
        """The study as authored."""

    @property
    def timeline(self) -> Timeline:
        """Its folds as instants."""

    @property
    def bars(self) -> Pin:
        """The snapshot that it runs on."""

    @property
    def data_digest(self) -> str:
        """Digest of the slice that results depend on."""

    @property
    def slices(self) -> Mapping[str, BarSlice]:
        """Bars by timeframe."""

    @property
    def models(self) -> Mapping[tuple[str, str, int], Any]:
        """What it trains, by name, timeframe and number of the fold."""

    @property
    def periods(self) -> Mapping[str, Periods]:
        """Periods of each window that backtests run in."""

    @property
    def window_bars(self) -> Mapping[tuple[str, str], int]:
        """Bars of the first timeframe by symbol and window, for estimates."""

    @property
    def portfolios(self) -> tuple[tuple[str, ...], ...]:
        """Groups of symbols that share an account: one each, or all together."""

    @property
    def pooled(self) -> bool:
        """Whether a row of the ranking stands for several accounts."""

    @property
    def grid(self) -> Grid:
        """Configurations of the last fold."""

    @property
    def count(self) -> int:
        """How many configurations there are; of a search that learns, how many there could be."""

    @property
    def every_configuration(self) -> Collection[Configuration]:
        """The configurations of all folds, each once."""

    def configuration(self, config_id: str) -> Configuration:
        """Return the configuration of this id, of whatever fold."""

    def configurations(self, fold: Fold) -> tuple[Configuration, ...]:
        """Return the configurations of a fold."""

    def names_in(self, fold: Fold) -> Mapping[str, str]:
        """Return what each configuration of the last fold is called in another, whose models differ."""
