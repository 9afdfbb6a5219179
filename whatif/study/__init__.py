"""Studies as their authors write them: keys, types, rules, and digests of their content."""

from __future__ import annotations

from typing import TYPE_CHECKING

from whatif.doors import door

if TYPE_CHECKING:
    from whatif.study.digests import canonical, digest, digest_of
    from whatif.study.load import load_study, parse_study
    from whatif.study.model import CalendarSection, DataSlice, Keep, StrategySection, Study
    from whatif.study.schema import study_schema
else:
    __getattr__, __dir__, __all__ = door(
        __name__,
        {
            "digests": "canonical digest digest_of",
            "load": "load_study parse_study",
            "model": "CalendarSection DataSlice Keep StrategySection Study",
            "schema": "study_schema",
        },
    )
