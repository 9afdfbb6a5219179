"""Appraisal of returns that others made: the verdict, without a study, a lake or an engine of whatif's."""

from __future__ import annotations

from typing import TYPE_CHECKING

from whatif.doors import door

if TYPE_CHECKING:
    from whatif.appraisal.files import read_returns
    from whatif.appraisal.judgement import Given, appraise, judge
else:
    __getattr__, __dir__, __all__ = door(
        __name__, {"files": "read_returns", "judgement": "Given appraise judge"}
    )
