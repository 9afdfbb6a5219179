"""Origin of results: who ran what with which versions, and the check of the choice by Backtrader's broker."""

from __future__ import annotations

import json
import platform
import shlex
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache, partial
from importlib import import_module
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from stat import S_ISREG
from typing import TYPE_CHECKING, Any

from whatif.engines import REFERENCE, differences, get_engine
from whatif.errors import RunError
from whatif.lake import user_name
from whatif.masking import masked
from whatif.pins import hints_in
from whatif.runner.apart import cores, done_apart, nothing
from whatif.runner.load import array_store
from whatif.runner.plan import Plan, WorkItem
from whatif.runner.sweep import task_of
from whatif.study import digest

if TYPE_CHECKING:
    import pandas as pd

    from whatif.pins import LakeLocation
    from whatif.results import FoldAnswer, ResolvedStudy
    from whatif.search import Configuration

_PACKAGE = Path(__file__).parents[1]

CHILD_SECONDS, SECONDS_A_BAR = 60.0, 0.001
"""What a child may take to compare a backtest, and for each bar of the study: far more than it needs."""

CLAIMS_A_CHILD = 8
"""Backtests for which another child is worth what it imports."""

PACKAGES = ("pyspark", "pyiceberg", "backtrader", "numpy", "pandas", "pyarrow", "numba", "mlflow")


def provenance() -> dict[str, str]:
    """Return user, host, command and versions (JSON) of this process, as results record them, keys masked."""
    return {
        "user": user_name(),
        "host": socket.gethostname(),
        "command": masked(shlex.join([Path(sys.argv[0]).name, *sys.argv[1:]])),
        "versions": json.dumps(versions(), sort_keys=True),
    }


@lru_cache(maxsize=1)
def versions() -> dict[str, str]:
    """Return versions of whatif (in a checkout with its commit), Python and what results depend on."""
    found = {"whatif": import_module("whatif").__version__, "python": platform.python_version()}
    commit = _commit()
    if commit:
        found["commit"] = commit
    for package in PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            # a platform's own Spark is on the path without having been installed
            own = getattr(sys.modules.get(package), "__version__", None)
            if own is not None:
                found[package] = own
    return found


def _commit() -> str:
    folder = _PACKAGE.resolve().parent
    if not (folder / ".git").exists():
        return ""
    command = ["git", "-C", str(folder), "describe", "--always", "--dirty", "--abbrev=12"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=10, check=True)
    except (OSError, subprocess.SubprocessError):
        return ""
    return done.stdout.strip()


def answer_key(location: LakeLocation, plan: Plan, asked: object, board: pd.DataFrame) -> str:
    """Return a digest of all that an answer follows from: study, tables as they stand, and software.

    Parameters
    ----------
    location : LakeLocation
        The lake.
    plan : Plan
        What the sweep ran with: its pins.
    asked : object
        All that the study asks, with a `repr` that is the same for the same.
    board : DataFrame
        Its ranking, whose identities say what strategies, settings and models are behind it.

    Returns
    -------
    str
        "" where it is not known what else writes, as in a catalog that others use.
    """
    if not location.local:
        return ""
    package = [path.stat() for path in sorted(_PACKAGE.rglob("*")) if "__pycache__" not in path.parts]
    software = versions(), [(one.st_size, one.st_mtime_ns) for one in package if S_ISREG(one.st_mode)]
    # a tag that keeps a snapshot is a new file of metadata, and no other rows
    pins = [(pin.table, pin.snapshot_id) for pin in plan.pins]
    ranked = board["config_id"].tolist(), board["symbol"].tolist()
    return digest(repr((asked, pins, ranked, hints_in(location.warehouse), software)))


@dataclass(frozen=True)
class _Claim:
    """One stored backtest of a chosen configuration, and its figures."""

    config_id: str
    window: str
    group: tuple[str, ...]
    figures: Mapping[str, Any]


def certify(
    plan: Plan,
    resolved: ResolvedStudy,
    answers: Sequence[FoldAnswer],
    meanwhile: Callable[[], None] = nothing,
) -> str:
    """Return the sentence that says that both brokers agree on the chosen configurations.

    Children of this process compare them, where it can have some.

    Parameters
    ----------
    plan : Plan
        What the sweep ran with.
    resolved : ResolvedStudy
        The study.
    answers : sequence of FoldAnswer
        What it chose in each fold, with its figures on validate and test.
    meanwhile : callable
        What this process does while children compare.

    Returns
    -------
    str
        "" if Backtrader's broker ran the sweep itself, or nothing was chosen.

    Raises
    ------
    RunError
        If fills, orders refused, cash or equity differ anywhere, or a stored result is another one.
    """
    claims = [claim for answer in answers for claim in _claims(resolved, answer)]
    if get_engine(plan.engine).is_reference or not claims:
        meanwhile()
        return ""
    tasks = [
        partial(_compared, plan, resolved.configuration(claim.config_id), claim, resolved.pooled)
        for claim in claims
    ]
    seconds = CHILD_SECONDS + SECONDS_A_BAR * sum(resolved.window_bars.values())
    fills = sum(done_apart(tasks, meanwhile, seconds, _children(len(claims))))
    windows = list(dict.fromkeys(claim.window for claim in claims))
    where = " and ".join(windows) if len(windows) <= 2 else f"{len(windows)} windows"
    return (
        f"Certified: Backtrader {version('backtrader')} ran it again on {where}; its "
        f"{fills:,} fills, cash and equity at every bar equal the {plan.engine} engine's to the last bit."
    )


def _children(claims: int) -> int:
    """Return how many children compare; one without Backtrader here, which each would import, for a few."""
    return min(cores(), claims if "backtrader" in sys.modules else 1 + claims // CLAIMS_A_CHILD)


def _claims(resolved: ResolvedStudy, answer: FoldAnswer) -> Iterator[_Claim]:
    chosen, fold = answer.chosen, answer.fold
    if chosen is None:
        return
    groups = [group for group in resolved.portfolios if resolved.pooled or "+".join(group) == chosen.symbol]
    figures = [(window, chosen.validate) for window in fold.validate]
    figures += [(fold.test, chosen.test)] if fold.test is not None else []
    for window, told in figures:
        if told and told.get("status", "ok") == "ok":
            yield from (_Claim(chosen.config_id, window.name, group, told) for group in groups)


def _compared(plan: Plan, configuration: Configuration, claim: _Claim, pooled: bool) -> int:
    """Compare both brokers on one account in one window; return how many fills there were."""
    task = task_of(plan, WorkItem(claim.group, claim.window, (configuration,)), configuration)
    run = get_engine(plan.engine).checked_run(task, array_store(plan))
    found = differences(run, REFERENCE.checked_run(task, array_store(plan)))
    stored = claim.figures.get("pnl_net")
    final = float(run.equity[-1]) - configuration.execution.cash
    if not pooled and stored != final:
        found.append(f"pnl_net: {stored!r} (stored), {final!r} (run again)")
    if found:
        raise RunError(
            f"the brokers disagree on the chosen configuration {claim.config_id} on {'+'.join(claim.group)}, "
            f"{claim.window}: {'; '.join(found[:3])}. None of this study's results can be relied on: run it "
            "with engine: backtrader, and please report this"
        )
    return len(run.fills)
