"""The answer on paper: HTML page, terminal tables, figures and files, all from one `ReportData`."""

from __future__ import annotations

from whatif.report.data import ReportData

__all__ = ["ReportData"]
