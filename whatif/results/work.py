"""Pending work: backtests that a study lacks, and whose series are stored."""

from __future__ import annotations

from dataclasses import dataclass, field

from whatif.search import Configuration


@dataclass(frozen=True)
class Pending:
    """Backtests that a study still lacks, by symbol."""

    symbols: tuple[str, ...]
    window: str
    configurations: tuple[Configuration, ...] = field(default_factory=tuple)
    bars: int = 0


@dataclass(frozen=True)
class Keep:
    """Whose series are stored: backtests as "config_id/symbol", None for all.

    Attributes
    ----------
    trades, equity : frozenset of str or None
        Backtests whose trades, and whose equity, are stored.
    """

    trades: frozenset[str] | None = frozenset()
    equity: frozenset[str] | None = frozenset()

    @property
    def anything(self) -> bool:
        """Whether workers must yield series at all."""
        return self.trades is None or self.equity is None or bool(self.trades or self.equity)


NOTHING = Keep()
