"""Digests: short names for content."""

from __future__ import annotations

import hashlib
import json
from typing import Any

DIGEST_LENGTH = 16


def canonical(value: Any) -> str:
    """Return `value` as JSON in which equal contents are equal texts.

    Keys are sorted; a float that is a whole number differs from an int, since a
    parameter's type is part of what a strategy sees.

    Raises
    ------
    ValueError
        If `value` holds NaN or an infinity, which have no JSON.
    """
    return json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False, ensure_ascii=True)


def digest_of(whole: str, symbol: str) -> str:
    """Return the digest of a symbol's part of what has a digest itself."""
    return f"{whole}-{symbol}"


def digest(value: Any) -> str:
    """Return the first 16 hexadecimal digits of the SHA-256 of `canonical(value)`."""
    return hashlib.sha256(canonical(value).encode()).hexdigest()[:DIGEST_LENGTH]
