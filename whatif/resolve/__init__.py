"""The authored study against strategies, models and the lake: what is refused, and what runs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from whatif.doors import door

if TYPE_CHECKING:
    from whatif.resolve.check import Checked, check_study
    from whatif.resolve.resolved import ModelKey, PartKey, Resolved, Session, check_bars, resolve_study
    from whatif.resolve.rounds import explore, replayed, run_rounds
    from whatif.resolve.trial import try_strategy
    from whatif.resolve.windows import windows_said
else:
    __getattr__, __dir__, __all__ = door(
        __name__,
        {
            "check": "Checked check_study",
            "resolved": "ModelKey PartKey Resolved Session check_bars resolve_study",
            "rounds": "explore replayed run_rounds",
            "trial": "try_strategy",
            "windows": "windows_said",
        },
    )
