"""Errors that a user can meet, in one tree.

A message says what was given, the rule it broke, and the remedy.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable


class WhatIfError(Exception):
    """Base of all errors that whatif raises on purpose."""


class StudyError(WhatIfError, ValueError):
    """The study file says something that cannot be run."""


class StrategyError(WhatIfError):
    """A strategy cannot be found, loaded or called with these parameters."""


class IndicatorError(WhatIfError):
    """An indicator expression is unknown or malformed."""


class EngineError(WhatIfError):
    """An engine cannot run, or refuses, what it was given."""


class InputWriteError(EngineError):
    """A step writes into a series that it may only read."""


class LookAheadError(EngineError):
    """A step reads what it cannot know on its bar, or what lies before the first bar."""


class CalendarError(WhatIfError):
    """A date, session or exchange is outside what the calendar knows."""


class PluginError(WhatIfError):
    """An implementation that others bring is not there, or is not what its seam takes."""


class SourceError(WhatIfError):
    """A file cannot be read as bars."""


class LakeError(WhatIfError):
    """A table is missing, damaged or not writable."""


class LakeDamagedError(LakeError):
    """A file of the lake is missing, cut off or altered."""


class LakeLockedError(LakeError):
    """Another process is writing to the local lake."""


class SessionError(WhatIfError):
    """A Spark session cannot be started: no Java, no jar, no master."""


class ModelError(WhatIfError):
    """A model cannot be trained or its predictions are missing."""


class StatisticsError(WhatIfError, ValueError):
    """A statistic is not defined for what it was given."""


class RunError(WhatIfError):
    """A run cannot start or go on."""


class MachineError(RunError):
    """The machine failed, not a backtest: what one needs could not be read. It says nothing of a strategy."""


class SubmitError(WhatIfError):
    """A study cannot be handed to where it is to run, or what came of it cannot be fetched."""


ALIKE = 0.65
"""Share of two words that must be the same for one to be taken for a slip of the other: below it, a hint
names another thing (`leverage` and `slippage` are alike by half)."""


def nearest(given: str, valid: Iterable[str]) -> str:
    """Return a remedy naming the valid spelling closest to `given`, or all of them if none is close."""
    names = sorted(valid)
    # comparing takes the product of the lengths, and counts a small letter and a capital as different
    close = [name for name in names if name.casefold() == given.casefold()]
    if not close and len(given) <= 200:
        close = difflib.get_close_matches(given, names, n=1, cutoff=ALIKE)
    if close:
        return f"did you mean {close[0]!r}?"
    return f"valid: {', '.join(names)}"


_REMEDY_BEGINS = (
    "add append ask begin build change check choose compare convert correct create declare decorate "
    "deploy drop fetch give ingest install join keep leave lengthen let load look loosen lower make "
    "mend move multiply name pass put raise register remove rename resample restore run say see "
    "separate set shorten sort stack submit swap take try turn uninstall unpack use wait widen write"
)
"""Verbs by which messages tell what to do."""

_REMEDY = re.compile(
    r"[:;.] (?![A-Z]{2})(?=(?i:did you mean |valid: |'whatif |"
    rf"(?:{'|'.join(_REMEDY_BEGINS.split())}) (?!=))\S)"
)
"""What stands between what is wrong and what helps; DROP in capitals is a word of SQL."""


def split_remedy(line: str) -> tuple[str, str]:
    """Return what a line of a message says is wrong, and its remedy; "" if it tells none.

    A message is "what was given and the rule: the remedy", and a remedy begins with what to do.
    """
    found = _REMEDY.search(line)
    return (line[: found.start()], line[found.end() :]) if found else (line, "")


def out_of_memory(error: BaseException | None) -> bool:
    """Whether an error is for want of memory, or is caused by one that is."""
    while error is not None and not isinstance(error, MemoryError):
        error = error.__cause__
    return error is not None
