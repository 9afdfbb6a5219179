"""What is said of a step that cannot be compiled, raises, or answers nonsense."""

from __future__ import annotations

import linecache
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import numba

from whatif.domain import PRICE_FIELDS, Bars
from whatif.engines.base import UnsupportedStepError
from whatif.engines.compiled.attempt import RefusedByNumbaError
from whatif.engines.compiled.book import (
    AMOUNT,
    AT,
    BAD_INTENT,
    BAD_ORDER,
    BAD_SIZE,
    CODE,
    DELAYED_ORDERS,
    FAILED,
    FULL_BOOK,
    MANY_ORDERS,
    MANY_WAITING,
    SYMBOL_AT,
    Outcomes,
)
from whatif.engines.compiled.step_placeholder import State
from whatif.engines.language.order_answers import order_at
from whatif.engines.language.plain import WHOLE, numpys_warnings_off
from whatif.engines.language.translation import REFUSED
from whatif.engines.orders import (
    refused_answer,
    refused_count,
    refused_delayed,
    refused_intent,
    refused_order,
    refused_size,
    refused_waiting,
)
from whatif.engines.timeline import instant
from whatif.errors import EngineError, WhatIfError, nearest
from whatif.strategies import ACROSS_FIELDS, EACH
from whatif.texts import shortened
from whatif.typing import FloatArray, IntArray

if TYPE_CHECKING:
    from whatif.strategies import StrategySpec

_PLACE = re.compile(r'^File "([^"]+)", line (\d+)|\b(?:at|from) (\S.*?) \((\d+)\)$', re.MULTILINE)
_OWN_FOLDERS = (str(Path(numba.__file__).parent), str(Path(__file__).parents[2]))
_REASONS = (
    "Unknown attribute",
    "Untyped global name",
    "NameError",
    "Cannot determine",
    "No implementation",
)
_NOISE = re.compile(
    r"Failed in|During: |File |There are \d+ cand|- Resolution failure|This |Please |[- >^]*$"
)
_NO_INTENT = re.compile(
    r"failed to unpack (?P<one>.+)|\('wrong tuple length|Can't unify return type .*(Outcome|Asked)\(|"
    r".*'?(NoneType|none)' object is not iterable"
)
_REMEDY = (
    "a step may use numbers, the arrays x.name[i], the parameters p.name, the state s.name, if, for, while, "
    "math, and functions that do the same; or set engine: backtrader, which runs any Python"
)


class StepNotCompiledError(UnsupportedStepError):
    """A step function uses what numba does not know."""


class StepRaisedError(EngineError):
    """A step function raised while its compiled loop ran, which does not say on which bar."""


def refuse_failed(spec: StrategySpec, bars: Bars, outcomes: Outcomes, desk: FloatArray) -> None:
    """Refuse what ended a run early, if something did.

    Parameters
    ----------
    spec, bars
        Strategy, and bars from the beginning of history.
    outcomes : Outcomes
        Of that run alone.
    desk : float64 array
        What its last answer was written to.

    Raises
    ------
    EngineError
        Naming the bar.
    """
    counts, amount = outcomes.counts[0].tolist(), float(outcomes.money[0, AMOUNT])
    if not counts[FAILED]:
        return
    at = f"bar {counts[AT]} at {instant(bars.ts[counts[AT]])}"
    where = f"strategy {spec.name}: {bars.symbol}, {at}"
    if counts[FAILED] == BAD_INTENT:
        raise refused_intent(where, counts[CODE], amount)
    if counts[FAILED] == BAD_ORDER:
        raise refused_order(where, order_at(desk, counts[CODE]), int(amount))
    if counts[FAILED] == DELAYED_ORDERS:
        raise refused_delayed(where)
    if counts[FAILED] == MANY_ORDERS:
        raise refused_count(where)
    if counts[FAILED] == MANY_WAITING:
        raise refused_waiting(where, spec.max_orders)
    if counts[FAILED] == BAD_SIZE:
        raise refused_size(where, amount)
    raise EngineError(f"{where}: {_FULL}")


def refuse_answer(spec: StrategySpec, symbols: Sequence[str], ts: IntArray, outcomes: Outcomes) -> None:
    """Refuse what ended a run of a cross-sectional step early, if something did.

    Parameters
    ----------
    spec, symbols
        Strategy, and the names of its symbols.
    ts : int64 array (m,)
        Timestamps of the window, microseconds UTC.
    outcomes : Outcomes
        Of that run alone.

    Raises
    ------
    EngineError
        Naming the bar.
    """
    counts, amount = outcomes.counts[0].tolist(), float(outcomes.money[0, AMOUNT])
    of_orders = counts[FAILED] in (BAD_ORDER, MANY_ORDERS, MANY_WAITING) or counts[CODE] == EACH
    if not counts[FAILED] or (of_orders and counts[FAILED] != FULL_BOOK):
        return  # an order of one symbol, of which `refuse_failed` tells
    symbol, at = symbols[counts[SYMBOL_AT]], f"bar {counts[AT]} at {instant(ts[counts[AT]])}"
    where = f"strategy {spec.name}: {at}"
    if counts[FAILED] == BAD_SIZE:
        raise refused_size(f"strategy {spec.name}: {symbol}, {at}", amount)
    if counts[FAILED] == FULL_BOOK:
        raise EngineError(f"{where}: {_FULL}")
    raise refused_answer(where, counts[FAILED], counts[CODE], symbol, amount, spec.max_gross)


@contextmanager
def uncompiled(spec: StrategySpec) -> Iterator[None]:
    """Turn what numba says of a step into an error that names the line; let numpy warn of nothing meanwhile.

    Machine code never warns: that is for steps that are not compiled, where numba is told to compile nothing.

    Raises
    ------
    StepNotCompiledError, StepRaisedError
    """
    try:
        with numpys_warnings_off():
            yield
    except RefusedByNumbaError as error:
        raise StepNotCompiledError(_explained(spec, str(error))) from None
    except WhatIfError:
        raise
    except Exception as error:
        raise StepRaisedError(
            f"strategy {spec.name}: the step raised {type(error).__name__}: {error}"
        ) from error


def _explained(spec: StrategySpec, message: str) -> str:
    """Return the user's own line that numba stumbled over, why, and what to change."""
    message = re.sub(r"\x1b\[[0-9;]*m", "", message)
    message = message[message.rfind(REFUSED) :] if REFUSED in message else message
    file, line = _place(spec, message)
    text = _line(spec, file, line)
    shown = f"line {line} of {file}" + (f" ({text})" if text else "")
    return f"strategy {spec.name}: {shown} cannot be compiled: {_reason(spec, message)}; {_REMEDY}"


def _place(spec: StrategySpec, message: str) -> tuple[str, int]:
    """Return file and line of the user's own that numba was at, or else of the step's head."""
    code = spec.step.__code__
    own = code.co_filename
    for found in _PLACE.finditer(message):
        name, line = (found[1], found[2]) if found[1] else (found[3], found[4])
        path = str(Path(name).absolute().resolve()) if not name.startswith("<") else name
        if path == str(Path(own).absolute().resolve()) or name == own:
            return own, int(line)
        if not (path.startswith(_OWN_FOLDERS) or "whatif_kernel_" in path or path.startswith("<")):
            return path, int(line)
    return own, _line_of_name(spec, message)


def _line_of_name(spec: StrategySpec, message: str) -> int:
    """Return the line of the name that numba complains of without saying where, or of the step's head."""
    code = spec.step.__code__
    named = re.search(r"NameError: name '(\w+)'", message)
    set_ = re.search(r"lowering State\(.*\)\.(\w+) = ", message)
    word = named[1] if named else rf"s\.{set_[1]}\s*[-+*/]?=" if set_ else r"^(async )?def(?= )"
    for line in range(code.co_firstlineno, code.co_firstlineno + 300):
        if re.search(rf"{word}(?!\w)", _line(spec, code.co_filename, line)):
            return line
    return code.co_firstlineno


def _line(spec: StrategySpec, file: str, line: int) -> str:
    """Return a line of the text that was loaded, or of another file."""
    lines = spec.source.splitlines()
    if file == spec.step.__code__.co_filename and 0 < line <= len(lines):
        return lines[line - 1].strip()
    return linecache.getline(file, line).strip()


def _reason(spec: StrategySpec, message: str) -> str:
    """Return numba's own reason in one line, without its framework around it."""
    # what is indented are numba's own functions that were tried
    lines = [line.rstrip() for line in message.splitlines() if line and not line.startswith("  ")]
    lines = [line for line in lines if not _NOISE.match(line) or line.startswith(" >>>")]
    for at, line in enumerate(lines):
        called = next((other[5:] for other in lines[at:] if other.startswith(" >>>")), "")
        reason = _known_reason(spec, line, called)
        if reason:
            return reason
        if any(word in line for word in _REASONS):
            return _short(line)
    lines = [line for line in lines if not line.startswith(" >>>")]
    return _short(lines[0]) if lines else "numba does not say why"


def _known_reason(spec: StrategySpec, line: str, called: str) -> str:
    """Return in our words what a line of numba's says, or ""; `called` is the call that it is about."""
    if line.startswith(REFUSED):
        return line
    if found := _NO_INTENT.match(line):
        one = f", not {_short(found['one'])}" if found["one"] else ""
        return f"the step must return an intent such as hold() or target(size){one}"
    if found := re.match(r"Cannot bind .* to signature '(\([^']*\))'", line):
        return f"it takes {found[1]}, and is called with other arguments; a step takes (i, x, p, s)"
    if found := re.match(r"Unknown attribute '(\w+)' of type (Arrays|Params|State|AcrossState)\b", line):
        return _unknown(spec, found[2], found[1])
    if found := re.match(r"Unknown attribute '(\w+)' of type Module\(<module '([^']*)'", line):
        return f"numba does not know {found[2]}.{found[1]}"
    if found := re.match(r"Untyped global name '(\w+)': .* type of <class '([^']*)'>", line):
        return f"the name {found[1]!r} stands for a {found[2]}, which numba does not know"
    if found := re.search(r"lowering State\(.*\)\.(\w+) = ", line):
        return f"s.{found[1]} belongs to the broker and cannot be set; keep values in s.scratch"
    if "<built-in function setitem>" in line and ("readonly" in called or "Series" in called):
        return "the arrays x.name cannot be written to; keep values in s.scratch"
    if "exception_match" in line:
        return "numba catches no exception by its type; test before what would raise it"
    if "Series" in called or "of type Series" in line:
        return WHOLE
    if called.startswith("power("):
        return (
            "a whole number to the power of one that is not written out is a whole number or a fraction by "
            "the sign of that: write float(a) ** b"
        )
    if line.startswith("No implementation of function") and called:
        return _short(f"numba cannot do {called}")
    return ""


def _unknown(spec: StrategySpec, kind: str, name: str) -> str:
    letter, valid = {
        "Arrays": ("x", (*PRICE_FIELDS, *spec.inputs)),
        "Params": ("p", tuple(spec.params)),
        "State": ("s", State._fields),
        "AcrossState": ("s", ACROSS_FIELDS),
    }[kind]
    return f"{letter} has no {name!r}; " + (nearest(name, valid) if valid else "the strategy declares none")


_FULL = "more executions so far than there is room for; use engine: backtrader"

_TYPES = (
    (re.compile(r"<iv=[^>]*>"), ""),
    (re.compile(r"Literal\[str\]\(([^()]*)\)"), r"'\1'"),
    (re.compile(r"Literal\[\w+\]\(([^()]*)\)"), r"\1"),
    (re.compile(r"\b(Arrays|Params|State)\([^()]*(\([^()]*\)[^()]*)*\)"), r"\1"),
    (re.compile(r"(?:readonly )?array\(\w+, \dd, \w\)"), "array"),
    (re.compile(r"Module\(<module '([^']*)'[^>]*>\)"), r"the module \1"),
    (re.compile(r"Function\(<(?:class|built-in function|function) '?([\w.]+)[^>]*>\)"), r"\1"),
    (re.compile(r"type\(CPUDispatcher\(<function (\w+)[^>]*>\)\)"), r"\1"),
    (re.compile(r"\b(?:reflected )?list\(([^()]*)\)"), r"list of \1"),
    (re.compile(r"\b(?:omitted\(default=([^()]*)\))"), r"\1"),
    (re.compile(r"\b_*(?:ol|impl)_(\w+)"), r"\1"),
    (re.compile(r"unicode_type"), "text"),
    (re.compile(r"\b(?:Raised|raised) from \S.*"), ""),
)


def _short(reason: str) -> str:
    for pattern, words in _TYPES:
        reason = pattern.sub(words, reason)
    return shortened(reason.strip(" .:;"), 200)
