"""The commands: `whatif demo | ingest | bars | features | train | run | leaderboard | report | bench`."""

from __future__ import annotations

from whatif.cli.main import job, main

__all__ = ["job", "main"]
