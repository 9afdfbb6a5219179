"""Whose returns a large study keeps."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable

ALL_UP_TO = 10_000
"""Configurations up to which a study keeps all returns."""
BEST = 2_000
SAMPLED = 8_000


def returns_to_keep(
    ranked: Iterable[str], seed: int = 0, all_up_to: int = ALL_UP_TO, best: int = BEST, sampled: int = SAMPLED
) -> frozenset[str]:
    """Return the configurations whose returns are kept.

    Parameters
    ----------
    ranked : iterable of str
        config_id of every configuration, best first; only its first occurrence counts where
        one stands for several symbols.
    seed : int
        Of the sample.
    all_up_to, best, sampled : int
        All are kept up to `all_up_to`; above that the `best` first ones and `sampled` others.

    Notes
    -----
    The sample is drawn from those that are not among the best, without replacement and each
    equally likely: by the order of a hash of seed and config_id. So it is the same wherever
    it is drawn, and whatever the ranking among those that it is drawn from.
    """
    distinct = list(dict.fromkeys(ranked))
    if len(distinct) <= all_up_to:
        return frozenset(distinct)
    others = sorted(distinct[best:], key=lambda config_id: _draw(seed, config_id))
    return frozenset(distinct[:best]) | frozenset(others[:sampled])


def _draw(seed: int, config_id: str) -> bytes:
    return hashlib.sha256(f"{seed}/{config_id}".encode()).digest()
