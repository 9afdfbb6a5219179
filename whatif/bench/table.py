"""The table of figures on the terminal, and the same as JSON."""

from __future__ import annotations

import json
import math
from pathlib import Path

from rich.console import Console
from rich.table import Table
from rich.text import Text

from whatif.bench.figures import BenchReport, Figure, Goal, Measurement

_SIGNS = {"at least": "≥", "at most": "≤", "under": "<", "exactly": "="}


def print_report(report: BenchReport, console: Console) -> None:
    """Print every figure beside its goal and whether it was reached."""
    title = "whatif bench" + (" --quick: a smoke test, too small to mean anything" if report.quick else "")
    table = Table(title=title, title_justify="left", show_lines=False)
    table.add_column("figure", overflow="fold")
    table.add_column("measured", justify="right", no_wrap=True)
    table.add_column("goal", justify="right", no_wrap=True)
    table.add_column("", no_wrap=True)
    for measurement in report.measurements:
        _add(table, measurement)
    console.print(table)
    for measurement in report.measurements:
        for note in measurement.notes:
            console.print(f"{measurement.name}: {note}", style="dim", markup=False, highlight=False)
    console.print(conditions(report), markup=False, highlight=False, soft_wrap=True)


def _add(table: Table, measurement: Measurement) -> None:
    table.add_row(Text(measurement.title, style="bold"), "", "", "")
    if measurement.error:
        table.add_row(Text(f"  {measurement.error}"), "", "", Text("failed", style="bold red"))
    for figure in measurement.figures:
        table.add_row(Text(f"  {figure.text}"), number(figure), goal(figure), verdict(figure))
    table.add_section()


def number(figure: Figure) -> str:
    """Return a figure's value with its unit, as measured: four significant digits, counts whole."""
    return _number(figure.value, figure.unit)


def goal(figure: Figure) -> str:
    """Return a figure's goal, such as "≥ 1.5 x"; "" without one."""
    wanted: Goal | None = figure.goal
    return "" if wanted is None else f"{_SIGNS[wanted.rule]} {_number(wanted.limit, figure.unit)}"


def verdict(figure: Figure) -> Text:
    """Return whether the goal was reached, in a word."""
    if figure.reached is None:
        return Text("")
    return Text("reached", style="green") if figure.reached else Text("missed", style="bold red")


def conditions(report: BenchReport) -> str:
    """Return in a line where and on what the figures were measured."""
    given = report.conditions
    text = f"{given['host']}: {given['cores_used']} of {given['cores']} cores, load {given['load_before']}"
    return f"{text} before; bars: {given['bars']}; whatif {given['versions']['whatif']}"


def write_report(report: BenchReport, path: Path) -> None:
    """Write the report as JSON, making its folder."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(report.to_dict(), indent=2, sort_keys=True) + "\n", encoding="utf-8")


def _number(value: float, unit: str) -> str:
    if not math.isfinite(value):
        return "not measured"
    whole = abs(value) >= 1000 or (not unit and value == int(value))
    return f"{value:,.0f} {unit}".rstrip() if whole else f"{value:.4g} {unit}".rstrip()
