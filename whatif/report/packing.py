"""Packed texts and numbers of a page: small, and safe inside a script element."""

from __future__ import annotations

import base64
import gzip
from decimal import ROUND_DOWN, ROUND_HALF_UP, Decimal
from typing import Any

import numpy as np

from whatif.typing import FloatArray

_SAFE, _BACK = bytes.maketrans(b"<>&", b".,:"), bytes.maketrans(b".,:", b"<>&")
"""Of base 85's signs those that mean something in HTML, and what stands in their place."""

_EFFORT = 7
"""Of gzip: the best, 9, takes three times as long for a page's numbers, and packs them no smaller."""

_NEAR = 1e-6
_LARGEST = 2**31 - 2
_MISSING = -(2**31)


def packed(text: str) -> str:
    """Return a text as gzip in base 85 behind its length, without a sign that means something in HTML."""
    raw = gzip.compress(text.encode("utf-8"), _EFFORT, mtime=0)
    return f"{len(raw)} {base64.b85encode(raw, pad=True).translate(_SAFE).decode('ascii')}"


def unpacked(text: str) -> str:
    """Return what `packed` was given."""
    length, _, signs = text.partition(" ")
    raw = base64.b85decode(signs.encode("ascii").translate(_BACK))
    return gzip.decompress(raw[: int(length)]).decode("utf-8")


def shown_numbers(values: FloatArray, kind: str) -> FloatArray:
    """Return numbers with the digits that `columns.format_number` writes of them, and no more.

    Parameters
    ----------
    values : float64 array (n,)
        Of a metric; NaN and infinities stay.
    kind : str
        Of the metric: "ratio", "percent", "fraction", "money", "count" or "flag".
    """
    shift = 2 if kind == "fraction" else 0
    size = np.abs(values) * 10.0**shift
    decimals = _decimals(size, kind)
    scale = 10.0 ** (decimals + shift)
    with np.errstate(invalid="ignore"):
        scaled = np.abs(values) * scale
        found = np.floor(scaled + 0.5) / scale
        # a product may round across a half, and what is rounded may be written with other digits
        near = np.abs(scaled - np.floor(scaled) - 0.5) < _NEAR
        other = (_decimals(found * 10.0**shift, kind) != decimals) & (kind != "count")
    for k in np.flatnonzero(np.isfinite(values) & (near | other)):
        found[k] = _as_shown(float(size[k]), int(decimals[k]), bool(other[k])) / 10.0**shift
    return np.where(np.isfinite(values), np.copysign(found, values), values)


def _decimals(size: FloatArray, kind: str) -> FloatArray:
    """Return how many decimals are written of sizes, as `columns.format_number` does."""
    if kind in ("count", "flag"):
        return np.zeros(len(size))
    with np.errstate(divide="ignore", invalid="ignore"):
        small = np.clip(1 - np.floor(np.log10(size)), 2, 4)
    plain = (size == 0) | (size >= 0.01) | (kind == "money") | ~np.isfinite(size)
    found = np.full(len(size), 1.0) if kind == "fraction" else np.where(plain, 2.0, small)
    return np.asarray(np.where(size >= 1000, 0.0, found))


def _as_shown(size: float, decimals: int, more: bool) -> float:
    """Return a size rounded at a decimal; or with two more, on the same side of each half, not nothing."""
    unit = Decimal(1).scaleb(-decimals - 2 * more)
    cut = Decimal(size).quantize(unit, rounding=ROUND_DOWN if more else ROUND_HALF_UP)
    return float(max(cut, unit) if more else cut)


def pack_numbers(values: FloatArray) -> dict[str, Any]:
    """Return numbers of few digits as whole ones of a scale, byte by byte, which compresses well.

    Returns
    -------
    dict
        `scale` and `ints`, base64 of int32, all first bytes before all second ones, the least number for
        NaN; or `floats`, base64 of float64, where they do not fit.
    """
    known = values[~np.isnan(values)]
    for decimals in range(9):
        scale = 10.0**decimals
        if not np.isfinite(known).all() or (len(known) and np.abs(known).max() * scale > _LARGEST):
            break
        whole = np.round(known * scale)
        if np.array_equal(whole / scale, known):
            ints = np.full(len(values), _MISSING, np.int32)
            ints[~np.isnan(values)] = whole.astype(np.int32)
            planes = ints.astype("<i4").view(np.uint8).reshape(-1, 4).T.tobytes()
            return {"scale": scale, "ints": base64.b64encode(planes).decode("ascii")}
    return {"floats": base64.b64encode(values.astype("<f8").tobytes()).decode("ascii")}
