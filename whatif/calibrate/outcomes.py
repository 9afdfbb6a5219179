"""Outcomes of the markets: a line of JSON each, counted by verdict with intervals and goals."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, fields, is_dataclass
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Any

from whatif.calibrate.markets import KINDS, SWEPT, Kind, Market, Size, is_planted, study_of, sweep_of
from whatif.runner import versions
from whatif.stats import VerdictKind
from whatif.study import digest

if TYPE_CHECKING:
    from whatif.workflow import StudyResult

EDGE, LUCK, TOO_LITTLE = (kind.value for kind in (VerdictKind.EDGE, VerdictKind.LUCK, VerdictKind.UNKNOWN))
_Z = 1.959963984540054
"""Quantile of the normal distribution that leaves 2.5 % on either side."""

_MAX_VALUES = 16
"""Sequences of more values, such as returns, are no figures."""


@dataclass(frozen=True)
class Share:
    """A count out of a total."""

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


@dataclass(frozen=True)
class Outcome:
    """One market's verdict, and all that thresholds may be studied on later.

    Attributes
    ----------
    key : str
        Digest of market, study and version: an outcome with another key is not taken up again.
    market, kind : str
        Name of the symbol and of its kind.
    seed : int
        Of the sample market.
    word : str
        The verdict.
    planted : bool
        Whether the chosen configuration is of the planted family.
    chosen : mapping
        Its parameters; empty if nothing could be chosen.
    validate, test : mapping
        Its metrics.
    figures : mapping of str to number, text or None
        Every figure of the verdict, NaN as None.
    seconds : float
        Wall time of the study, without the making of its bars.
    """

    key: str
    market: str
    kind: str
    seed: int
    word: str
    planted: bool
    chosen: Mapping[str, Any]
    validate: Mapping[str, Any]
    test: Mapping[str, Any]
    figures: Mapping[str, Any]
    seconds: float


def key_of(market: Market, size: Size) -> str:
    """Return what has to be the same for an outcome to be taken up again."""
    made = versions()
    version = {name: made.get(name) for name in ("whatif", "commit")}
    asked = {"study": study_of(market, size).text, "symbol": asdict(market.symbol), **version}
    return digest({**asked, "swept": sweep_of(market, size).text} if market.kind.swept else asked)


def outcome_of(market: Market, size: Size, result: StudyResult, seconds: float) -> Outcome:
    """Return what a finished study says about its market."""
    best = result.best
    word, figures = verdict_of(result)
    return Outcome(
        key=key_of(market, size),
        market=market.name,
        kind=market.kind.name,
        seed=market.seed,
        word=word,
        planted=best is not None and is_planted(best.params),
        chosen=flat(best.params) if best else {},
        validate=flat(best.validate) if best else {},
        test=flat(best.test) if best else {},
        figures=figures,
        seconds=round(seconds, 3),
    )


def verdict_of(result: StudyResult) -> tuple[str, dict[str, Any]]:
    """Return the verdict's word, and its figures by dotted names."""
    assert result.verdict is not None  # every study that ran is judged
    verdict = result.verdict.verdict
    return str(verdict.word), flat(verdict.figures) if verdict.figures is not None else {}


def flat(thing: Any, lead: str = "") -> dict[str, Any]:
    """Return the numbers and texts in nested dataclasses, mappings and short sequences, by dotted names."""
    if is_dataclass(thing) and not isinstance(thing, type):
        parts: Iterable[tuple[Any, Any]] = ((f.name, getattr(thing, f.name)) for f in fields(thing))
    elif isinstance(thing, Mapping):
        parts = thing.items()
    elif isinstance(thing, (list, tuple)):
        parts = enumerate(thing) if len(thing) <= _MAX_VALUES else ()
    else:
        value = _plain(thing)
        known = value is None or isinstance(value, (bool, int, float, str))
        return {lead.removesuffix("."): value} if lead and known else {}
    found: dict[str, Any] = {}
    for name, value in parts:
        found |= flat(value, f"{lead}{name}.")
    return found


def _plain(value: Any) -> Any:
    """Return enumerations as their value, numpy's scalars as Python's, and what is not finite as None."""
    if isinstance(value, Enum):
        value = value.value
    if getattr(value, "ndim", None) == 0:
        value = value.item()
    return None if isinstance(value, float) and not math.isfinite(value) else value


def read_outcomes(path: Path) -> dict[str, Outcome]:
    """Return the outcomes in a file of lines by their keys; a line that was cut short is left out."""
    found: dict[str, Outcome] = {}
    if not path.is_file():
        return found
    for line in path.read_text(encoding="utf-8").splitlines():
        try:
            outcome = Outcome(**json.loads(line))
        except (ValueError, TypeError):
            continue
        found[outcome.key] = outcome
    return found


def append_outcome(path: Path, outcome: Outcome) -> None:
    """Add an outcome to a file of lines."""
    path.parent.mkdir(parents=True, exist_ok=True)
    torn = path.is_file() and not path.read_bytes().endswith(b"\n") and path.stat().st_size > 0
    with path.open("a", encoding="utf-8") as lines:
        lines.write(("\n" if torn else "") + json.dumps(asdict(outcome), sort_keys=True) + "\n")
