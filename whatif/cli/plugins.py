"""Command that lists the implementations of every seam, with where they come from."""

from __future__ import annotations

import inspect
from importlib import import_module

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from whatif.paths import visible
from whatif.plugins import BrokenPlugin, Seam

SEAMS = (
    "whatif.axes.kinds:SEAM",
    "whatif.engines.select:SEAM",
    "whatif.models.kinds:SEAM",
    "whatif.searches.kinds:SEAM",
    "whatif.sources.kinds:SEAM",
    "whatif.splits.kinds:SEAM",
)
"""Where each seam is, as module:name."""


def plugins() -> None:
    """List models, splits and whatever else can be plugged in: what is there, and where it comes from."""
    table = Table(box=None, pad_edge=False, padding=(0, 1, 0, 0), header_style="bold")
    for heading in ("seam", "name", "origin", "what it is"):
        table.add_column(heading, no_wrap=heading != "what it is")
    broken = False
    for seam in map(_seam, SEAMS):
        for plugin in seam.listed():
            if isinstance(plugin, BrokenPlugin):
                broken, said = True, f"[bold red]error:[/] {escape(visible(str(plugin.error)))}"
            else:
                said = escape((inspect.getdoc(plugin.kind) or "").partition("\n")[0])
            table.add_row(seam.noun, *(escape(visible(text)) for text in (plugin.name, plugin.origin)), said)
    Console().print(table)
    if broken:
        raise typer.Exit(1)


def _seam(place: str) -> Seam:
    module, _, name = place.partition(":")
    found: Seam = getattr(import_module(module), name)
    return found
