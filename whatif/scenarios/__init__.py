"""Scenarios: what two configurations differ by and what that is worth, and a choice under stress."""

from __future__ import annotations

from typing import TYPE_CHECKING

from whatif.doors import door

if TYPE_CHECKING:
    from whatif.scenarios.comparison import Comparison, better, compare
    from whatif.scenarios.side import SCENARIO, Side, in_window, run_in, side_of
    from whatif.scenarios.stressed import Stress, stress
    from whatif.scenarios.versions import VersionComparison, compare_versions, versions_named
else:
    __getattr__, __dir__, __all__ = door(
        __name__,
        {
            "comparison": "Comparison better compare",
            "side": "SCENARIO Side in_window run_in side_of",
            "stressed": "Stress stress",
            "versions": "VersionComparison compare_versions versions_named",
        },
    )
