"""Report of a study: HTML page, terminal tables, figures and files, all from one `ReportData`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from whatif.doors import door

if TYPE_CHECKING:
    from whatif.report.answers import NOT_STORED, Answer, answer_of, stored_answers, write_answer
    from whatif.report.backtest_plots import BacktestPlots
    from whatif.report.bars_page import write_check, write_indicators, write_prices
    from whatif.report.chart import Chart
    from whatif.report.columns import axis_label
    from whatif.report.data import ChosenSeries, JoinedFolds, Origin, RankedAccounts, Ranking, ReportData
    from whatif.report.displays import (
        backtest_html,
        comparison_html,
        judgement_html,
        sheet_html,
        study_html,
        study_line,
        verdict_html,
    )
    from whatif.report.figures import indicator_figure
    from whatif.report.files import (
        KeptAnswer,
        keep_answer,
        kept_answer,
        make_own_folder,
        without_formulas,
        write_files,
    )
    from whatif.report.html import plotly_js, whole_page, write
    from whatif.report.judgement import Judgement
    from whatif.report.performance import TearSheet, tear_sheet
    from whatif.report.pictures import curves_svg
    from whatif.report.progress import Progress
    from whatif.report.sides import Side, print_sides, write_sides
    from whatif.report.speaking import console_of, print_result, stays
    from whatif.report.study_plots import StudyPlots
    from whatif.report.summary import Summary, summarize
    from whatif.report.terminal import print_frame, print_leaderboard, print_written
    from whatif.report.theme import LOSS, STRATEGY
    from whatif.report.timeline import below_peak, session_starts, thin_lines
    from whatif.report.verdict_panel import print_given
    from whatif.report.verdict_text import short_word
    from whatif.report.waiting import Wait, compiling_said, quiet, waits_on
else:
    __getattr__, __dir__, __all__ = door(
        __name__,
        {
            "answers": "NOT_STORED Answer answer_of stored_answers write_answer",
            "backtest_plots": "BacktestPlots",
            "chart": "Chart",
            "bars_page": "write_check write_indicators write_prices",
            "columns": "axis_label",
            "data": "ChosenSeries JoinedFolds Origin RankedAccounts Ranking ReportData",
            "displays": (
                "backtest_html comparison_html judgement_html sheet_html study_html study_line verdict_html"
            ),
            "figures": "indicator_figure",
            "files": "KeptAnswer keep_answer kept_answer make_own_folder without_formulas write_files",
            "html": "plotly_js whole_page write",
            "judgement": "Judgement",
            "performance": "TearSheet tear_sheet",
            "pictures": "curves_svg",
            "progress": "Progress",
            "sides": "Side print_sides write_sides",
            "speaking": "console_of print_result stays",
            "study_plots": "StudyPlots",
            "summary": "Summary summarize",
            "terminal": "print_frame print_leaderboard print_written",
            "theme": "LOSS STRATEGY",
            "timeline": "below_peak session_starts thin_lines",
            "verdict_panel": "print_given",
            "verdict_text": "short_word",
            "waiting": "Wait compiling_said quiet waits_on",
        },
    )
