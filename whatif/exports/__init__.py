"""Exports: a configuration of a study as a program of another engine."""

from __future__ import annotations

from typing import TYPE_CHECKING

from whatif.doors import door

if TYPE_CHECKING:
    from whatif.exports.base import Choice, Format, export_choice
    from whatif.exports.kinds import SEAM
else:
    __getattr__, __dir__, __all__ = door(
        __name__,
        {
            "base": "Choice Format export_choice",
            "kinds": "SEAM",
        },
    )
