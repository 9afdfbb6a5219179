"""The commands, from `whatif demo` to `whatif calibrate`; see `whatif.cli.main`."""

from __future__ import annotations

from whatif.cli.main import job, main

__all__ = ["job", "main"]
