"""How often each verdict was given, with intervals and goals."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from whatif.calibrate.markets import KINDS, SWEPT, Kind
from whatif.calibrate.outcome import Outcome

EDGE = "an edge the data supports"
LUCK = "not distinguishable from luck"
TOO_LITTLE = "too little data to tell"
_Z = 1.959963984540054
"""Quantile of the normal distribution that leaves 2.5 % on either side."""


@dataclass(frozen=True)
class Share:
    """So many of so many."""

    count: int
    of: int

    @property
    def value(self) -> float:
        """Their ratio; NaN of none."""
        return self.count / self.of if self.of else math.nan

    @property
    def interval(self) -> tuple[float, float]:
        """Its 95 % interval, see `wilson`."""
        return wilson(self.count, self.of)

    @property
    def text(self) -> str:
        """Count, share and interval: ``47 (94 %, 84–98)``."""
        if not self.of:
            return "0"
        low, high = self.interval
        return f"{self.count} ({100 * self.value:.0f} %, {100 * low:.0f}–{100 * high:.0f})"


@dataclass(frozen=True)
class Row:
    """The verdicts on the markets of one kind.

    Attributes
    ----------
    kind : Kind
        The kind.
    edge, luck, too_little : Share
        Verdicts given, of all its markets.
    family : Share
        Of the markets with an edge that is supported, those whose chosen configuration is of the
        planted family; of none where nothing is planted.
    """

    kind: Kind
    edge: Share
    luck: Share
    too_little: Share
    family: Share

    @property
    def markets(self) -> int:
        """How many markets there were."""
        return self.edge.of

    @property
    def found(self) -> Share:
        """Markets whose planted edge was found: supported, with a configuration of its family."""
        return Share(self.family.count, self.markets)


@dataclass(frozen=True)
class GoalMet:
    """A goal of the calibration: the share that was reached, and whether that is enough."""

    text: str
    share: Share
    reached: bool


def wilson(count: int, of: int) -> tuple[float, float]:
    """Return the 95 % score interval of a proportion; (0, 1) of none.

    References
    ----------
    E. B. Wilson (1927), Probable inference, the law of succession, and statistical inference, JASA 22,
    209-212; without continuity correction.
    """
    if of == 0:
        return 0.0, 1.0
    share, square = count / of, _Z * _Z
    middle = share + square / (2 * of)
    half = _Z * math.sqrt(share * (1 - share) / of + square / (4 * of * of))
    scale = 1 + square / of
    return max(0.0, (middle - half) / scale), min(1.0, (middle + half) / scale)


def tally(outcomes: Sequence[Outcome]) -> list[Row]:
    """Return a row for each kind that has markets."""
    rows = []
    for kind in (*KINDS, *SWEPT):
        mine = [outcome for outcome in outcomes if outcome.kind == kind.name]
        if mine:
            rows.append(_row(kind, mine))
    return rows


def _row(kind: Kind, outcomes: Sequence[Outcome]) -> Row:
    def said(word: str) -> Share:
        return Share(sum(outcome.word == word for outcome in outcomes), len(outcomes))

    edges = [outcome for outcome in outcomes if outcome.word == EDGE] if kind.edge else []
    family = Share(sum(outcome.planted for outcome in edges), len(edges))
    return Row(kind, said(EDGE), said(LUCK), said(TOO_LITTLE), family)


def goals(rows: Sequence[Row]) -> list[GoalMet]:
    """Return how the table stands to what the verdict has to reach."""
    noise = _sum([row.edge for row in rows if not row.kind.edge and not row.kind.swept])
    swept = {bool(row.kind.edge): row for row in rows if row.kind.swept}
    six = _sum([row.found for row in rows if row.kind.name == "sharpe6"])
    little = _sum([row.too_little for row in rows])
    wanted: list[tuple[str, Share, Callable[[float], bool]]] = [
        ("noise called an edge: at most 5 %", noise, lambda share: share <= 0.05),
        (
            "planted edge of Sharpe 6 found, by a configuration of its family: at least 80 %",
            six,
            lambda share: share >= 0.8,
        ),
        *_after_sweeps(swept),
        ("too little data said: at most 10 %", little, lambda share: share <= 0.1),
    ]
    return [GoalMet(text, share, rule(share.value)) for text, share, rule in wanted if share.of]


def _after_sweeps(swept: Mapping[bool, Row]) -> list[tuple[str, Share, Callable[[float], bool]]]:
    """Return the goals of markets on which another family was swept before, by whether an edge is planted."""
    found: list[tuple[str, Share, Callable[[float], bool]]] = []
    if False in swept:
        text = "noise called an edge after a sweep of another family: at most 5 %"
        found.append((text, swept[False].edge, lambda share: share <= 0.05))
    if True in swept:
        text = "planted edge of Sharpe 6 found after a sweep of another family: at least 80 %"
        found.append((text, swept[True].found, lambda share: share >= 0.8))
    return found


def _sum(shares: Sequence[Share]) -> Share:
    return Share(sum(share.count for share in shares), sum(share.of for share in shares))


def markdown(rows: Sequence[Row]) -> str:
    """Return the table in Markdown: counts, shares in percent and their 95 % intervals."""
    lines = [
        f"| market | markets | {EDGE} | of the planted family | {LUCK} | {TOO_LITTLE} |",
        "|---|---:|---:|---:|---:|---:|",
    ]
    for row in rows:
        family = f"{row.family.count} of {row.family.of}" if row.kind.edge else ""
        cells = (row.kind.title, str(row.markets), row.edge.text, family, row.luck.text, row.too_little.text)
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)
