"""What is said of a step that cannot be compiled, raises, or answers nonsense."""

from __future__ import annotations

import linecache
import re
from collections.abc import Iterator
from contextlib import contextmanager

from numba.core.errors import NumbaError

from whatif.engines.compiled.broker import LARGEST_SIZE
from whatif.errors import EngineError
from whatif.strategies import StrategySpec
from whatif.strategies.intents import TARGET, TARGET_PERCENT

_PLACE = re.compile(r'File "([^"]+)", line (\d+)')
_NOISE = re.compile(
    r"^(Failed in|During: |File |Unknown attribute .* of type none|\[\d|[- ]*$|<source|There are \d+ cand|"
    r"- Of which|Overload|raised from|\s*\^|This error |This is not usually|Please report|Type of variable)"
)


class StepNotCompiledError(EngineError):
    """A step function uses what numba does not know."""


class StepRaisedError(EngineError):
    """A step function raised while its compiled loop ran, which does not say on which bar."""


@contextmanager
def uncompiled(spec: StrategySpec) -> Iterator[None]:
    """Turn what numba says of a step into an error that names the line.

    Raises
    ------
    StepNotCompiledError, StepRaisedError
    """
    try:
        yield
    except NumbaError as error:
        raise StepNotCompiledError(_explained(spec, str(error))) from None
    except Exception as error:
        raise StepRaisedError(
            f"strategy {spec.name}: the step raised {type(error).__name__}: {error}"
        ) from error


def _explained(spec: StrategySpec, message: str) -> str:
    """Return the step's own line that numba stumbled over, why, and what to change."""
    code = getattr(spec.step, "__code__", None)
    file = getattr(code, "co_filename", "")
    lines = [int(line) for name, line in _PLACE.findall(message) if name == file]
    line = lines[-1] if lines else getattr(code, "co_firstlineno", 0)
    text = _line(spec, file, line)
    shown = f"line {line} of {file}" + (f" ({text})" if text else "")
    return (
        f"strategy {spec.name}: {shown} cannot be compiled: {_reason(message)}; a step may use numbers, the "
        "arrays x.name[i], the parameters p.name, the state s.name, if, for, while, math, and functions that "
        "do the same; or set engine: backtrader, which runs any Python"
    )


def _line(spec: StrategySpec, file: str, line: int) -> str:
    text = linecache.getline(file, line).strip()
    if text:
        return text
    lines = spec.source.splitlines()
    return lines[line - 1].strip() if 0 < line <= len(lines) else ""


def _reason(message: str) -> str:
    """Return numba's own reason, without its framework around it."""
    plain = re.sub(r"\x1b\[[0-9;]*m", "", message)
    reasons = [line.strip() for line in plain.splitlines() if not _NOISE.match(line.strip())]
    # what stands last was found deepest, so an unknown name or attribute comes after its consequences
    for word in (
        "Unknown attribute",
        "Untyped global name",
        "NameError",
        "Cannot determine",
        "No implementation",
    ):
        found = [reason for reason in reasons if word in reason]
        if found:
            return _short(found[-1])
    return _short(reasons[0]) if reasons else "numba does not know why"


def _short(reason: str) -> str:
    reason = re.sub(r"(Arrays|Params|State)\([^)]*\)+", r"\1", reason).rstrip(" .:;")
    return reason if len(reason) <= 200 else reason[:200] + "…"


def refused_intent(where: str, code: int, amount: float) -> EngineError:
    """Return the error for an answer that is no intent; `where` names strategy, symbol and bar."""
    rule = "a size must be a finite number, and not negative for buy and sell"
    if not TARGET <= code <= TARGET_PERCENT:
        rule = "use hold, target, buy, sell, close or target_percent"
    return EngineError(f"{where}: the step returned the intent ({code}, {amount}); {rule}")


def refused_size(where: str, size: float) -> EngineError:
    """Return the error for an order that no broker could count; `where` names strategy, symbol and bar."""
    return EngineError(
        f"{where}: an order of {size} units; use sizes up to {LARGEST_SIZE:.0f}, beyond which whole units "
        "cannot be told apart"
    )
