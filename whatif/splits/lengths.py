"""Lengths of windows and of embargoes, as a study gives them."""

from __future__ import annotations

import re
from typing import Annotated, Any

from pydantic import BeforeValidator

from whatif.domain import duration_us
from whatif.texts import shortened

MAX_SESSIONS = 100_000
"""Sessions of a window or an embargo; no calendar holds more."""


def _shown(value: Any) -> str:
    """Return a value as a message shows it: texts in quotes, nothing at length."""
    return shortened(repr(value), 80)


def _length(value: Any) -> Any:
    if isinstance(value, int) and not isinstance(value, bool) and 1 <= value <= MAX_SESSIONS:
        return value
    if isinstance(value, str) and re.fullmatch(r"[1-9][0-9]{0,4}d", value):
        return value
    raise ValueError(
        f"{_shown(value)} is no length of a window: write a number of sessions such as 20 (at most "
        f"{MAX_SESSIONS:,}), or of calendar days such as '30d'"
    )


def length_or_none(value: Any) -> Any:
    """Return a length that may be 0, which is no window, as pydantic's validators do."""
    return 0 if value == 0 and not isinstance(value, bool) else _length(value)


def _embargo(value: Any) -> Any:
    if isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= MAX_SESSIONS:
        return value
    if not isinstance(value, str):
        raise ValueError(
            f"{_shown(value)} is no embargo: write a number of sessions such as 1 (at most "
            f"{MAX_SESSIONS:,}), or a duration such as '5min'"
        )
    if value not in NO_EMBARGO:
        duration_us(value)
    return value


NO_EMBARGO = ("0", "0min")
Length = Annotated[int | str, BeforeValidator(_length)]
"""Of a window: a number of sessions, or of calendar days such as "30d"."""
Embargo = Annotated[int | str, BeforeValidator(_embargo)]
"""What is left out behind a window: a number of sessions, or a duration such as "5min"."""


def embargo_length_us(embargo: int | str) -> int:
    """Return the length of an embargo in microseconds; 0 if it counts sessions."""
    return 0 if isinstance(embargo, int) or embargo in NO_EMBARGO else duration_us(embargo)
