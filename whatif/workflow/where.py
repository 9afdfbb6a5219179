"""Where work is done: by Spark, or on this machine without a JVM; what a user asks for, and what must be."""

from __future__ import annotations

import os

from whatif.errors import RunError
from whatif.pins import LakeLocation
from whatif.session import launched, session_runs

RUNNER = "WHATIF_RUNNER"
"""Variable that says where work is done if no option does."""

RUNNERS = ("auto", "local", "spark")


def runner_asked() -> str:
    """Return the runner that the environment names, "auto" if none.

    Raises
    ------
    RunError
        If there is none of that name.
    """
    name = os.environ.get(RUNNER, "").strip() or "auto"
    check_runner(name)
    return name


def check_runner(name: str) -> None:
    """Refuse a runner that does not exist.

    Raises
    ------
    RunError
    """
    if name not in RUNNERS:
        raise RunError(
            f"runner {name!r}: use {', '.join(RUNNERS[:-1])} or {RUNNERS[-1]} (--runner, {RUNNER})"
        )


def reason_for_spark(asked: str, location: LakeLocation, has_session: bool) -> str:
    """Return why Spark does the work, whatever the work is; "" if it need not.

    Parameters
    ----------
    asked : str
        One of `RUNNERS`.
    location : LakeLocation
        Where the lake is.
    has_session : bool
        Whether the caller gave a session.

    Raises
    ------
    RunError
        If the local runner is asked for on a lake in a catalog service.
    """
    if asked == "spark":
        return "asked for"
    if not location.local:
        if asked == "local":
            raise RunError(
                f"runner local writes to a lake on this machine alone; {location.described} is a service: "
                "use --runner spark"
            )
        return f"{location.described} is a service"
    if asked == "local":
        return ""
    if has_session or session_runs():
        return "a session is there"
    return "spark-submit started this program" if launched() else ""
