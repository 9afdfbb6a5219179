"""The answer on paper: HTML page, terminal tables, figures and files, all from one `ReportData`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from whatif.doors import door

if TYPE_CHECKING:
    from whatif.report.data import ReportData
    from whatif.report.files import write_files
    from whatif.report.folder import make_own_folder
    from whatif.report.formulas import without_formulas
    from whatif.report.html import write
    from whatif.report.judgement import Judgement
    from whatif.report.look import LOSS, STRATEGY
    from whatif.report.terminal import Progress, print_answer, print_leaderboard, print_written
else:
    __getattr__, __dir__, __all__ = door(
        __name__,
        {
            "data": "ReportData",
            "files": "write_files",
            "folder": "make_own_folder",
            "formulas": "without_formulas",
            "html": "write",
            "judgement": "Judgement",
            "look": "LOSS STRATEGY",
            "terminal": "Progress print_answer print_leaderboard print_written",
        },
    )
