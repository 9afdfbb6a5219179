"""Limits of what may be refused or corrected of a delivery before all of it is refused."""

from __future__ import annotations

from collections.abc import Mapping

from whatif.sources.rules import RULES

MIN_ROWS = 3
"""A share counts from so many rows on: one bad row of ten is a bad row, not a bad file."""

MISREAD = (
    "wrong_field_count",
    "unparsable_time",
    "unparsable_number",
    "implausible_date",
    "off_grid",
    "overlap",
)
"""Rules that rows break together if the file was read in another way than it was written."""

OUTSIDE = ("no_session", "outside_calendar", "ambiguous_time", "nonexistent_time")
"""Rules that rows break together if exchange or time zone are not those of the file."""

MISREAD_SHARE, OUTSIDE_SHARE, CORRECTED_SHARE, REFUSED_SHARE = 0.01, 0.05, 0.01, 0.5

ACCEPT = "--accept takes the file all the same"


def broken_limits(came: int, refused: Mapping[str, int], corrected: int = 0, removed: int = 0) -> list[str]:
    """Return what is wrong with too many of the rows that came, a sentence each.

    Parameters
    ----------
    came : int
        Rows.
    refused : mapping of str to int
        Rule → rows that break it.
    corrected : int
        Rows that would overwrite bars of the lake with other values.
    removed : int
        Bars of the lake that would go, since the delivery's range holds them and it does not.
    """
    found = []
    misread = {rule: refused[rule] for rule in MISREAD if refused.get(rule)}
    outside = {rule: refused[rule] for rule in OUTSIDE if refused.get(rule)}
    others = {r: n for r, n in refused.items() if r not in (*misread, *outside, "duplicate") and n}
    if exceeds(sum(misread.values()), came, MISREAD_SHARE):
        found.append(_sentence("cannot be read as bars", misread, came, MISREAD_SHARE))
    if exceeds(sum(outside.values()), came, OUTSIDE_SHARE):
        found.append(_sentence("lie outside the exchange's sessions", outside, came, OUTSIDE_SHARE))
    for rule, count in others.items():
        if exceeds(count, came, REFUSED_SHARE):
            found.append(_sentence("break a rule", {rule: count}, came, REFUSED_SHARE))
    if exceeds(corrected, came, CORRECTED_SHARE):
        found.append(
            f"{corrected:,} of {came:,} rows ({corrected / came:.1%}; at most {CORRECTED_SHARE:.0%}) would "
            "overwrite bars of the lake with other values"
        )
    if exceeds(removed, came, CORRECTED_SHARE):
        found.append(
            f"{removed:,} bars of the lake would go, which lie in its range and are not in it (at most "
            f"{CORRECTED_SHARE:.0%} of the {came:,} rows that came)"
        )
    return found


def exceeds(count: int, of: int, share: float) -> bool:
    """Tell whether `count` is more than a share, and not just a few rows of a small file."""
    return count >= MIN_ROWS and count > share * of


def _sentence(what: str, rules: Mapping[str, int], came: int, share: float) -> str:
    total = sum(rules.values())
    parts = "; ".join(f"{count:,} {rule} (rule: {RULES[rule]})" for rule, count in rules.items())
    return f"{total:,} of {came:,} rows ({total / came:.1%}; at most {share:.0%}) {what}: {parts}"
