"""Command for a lake in a bad state: doctor."""

from __future__ import annotations

from typing import Annotated

import typer
from rich.console import Console

from whatif.pins import LakeLocation


def doctor(
    mend: Annotated[
        bool, typer.Option("--repair", help="Mend what can be mended; nothing is deleted, but set aside.")
    ] = False,
) -> None:
    """Check every file of the lake, say what is wrong and how to mend it; exit code 1 if something is."""
    from whatif.lake import examine, repair

    console, location = Console(), LakeLocation.from_environment()

    def say(text: str) -> None:
        console.print(text, highlight=False, markup=False, soft_wrap=True)

    findings = examine(location)
    if not findings:
        say(f"{location.described} is sound")
        return
    if mend:
        for done in repair(location, findings):
            say(f"mended: {done}")
        findings = examine(location)
        if not findings:
            say(f"{location.described} is sound now; run the command that failed again")
            return
    for finding in findings:
        say(f"{finding.where}: {finding.problem}\n  remedy: {finding.remedy}")
    if not mend and any(finding.repair is not None for finding in findings):
        say("next: whatif doctor --repair")
    raise typer.Exit(1)
