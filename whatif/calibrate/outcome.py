"""What came of one market, as a line of JSON that a later run takes up again."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, fields, is_dataclass
from enum import Enum
from pathlib import Path
from typing import Any

from whatif.calibrate.markets import Market, Size, is_planted, study_of, sweep_of
from whatif.study import digest
from whatif.workflow.provenance import versions
from whatif.workflow.result import StudyResult

_LONGEST = 16
"""Sequences of more values, such as returns, are no figures."""


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
        parts = enumerate(thing) if len(thing) <= _LONGEST else ()
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
