"""Kernels of the built-in strategies, compiled when an environment is made.

``python -m whatif.engines.compiled.shipped`` does it. They lie beside the packages that Python runs from
the environment. Numba knows the processor that each was made for, and compiles anew on another.
"""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

from whatif.domain import Execution, Overlays
from whatif.engines.base import RunInputs
from whatif.engines.compiled.folder import SHIPPED
from whatif.engines.compiled.shared_window import SharedWindow, compile_shared_ahead
from whatif.engines.compiled.window import PreparedWindow, compile_ahead, two_bars
from whatif.strategies import BUILTIN, StrategySpec, resolve

_OVERLAYS = (Overlays(), Overlays(stop_loss=0.01))
"""Without overlays, and with one, which makes the same kernel as any."""


def ship(target: Path = SHIPPED, names: Sequence[str] = BUILTIN) -> int:
    """Compile the kernels of built-in strategies into a folder, in place of what is there.

    The loops around them, which all strategies share, are compiled into the package's own folder: one for
    orders at the market and orders that wait, one for special settings of the broker, and for an account of
    several symbols one for orders at the market, and one for all that goes beyond them.

    Parameters
    ----------
    target : Path
        Where `whatif.engines.compiled.folder` looks for them.
    names : sequence of str
        The strategies; one of them at least is asked for each symbol, and answers with intents.

    Returns
    -------
    int
        How many.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=target.parent) as folder:
        made = Path(folder, target.name)
        # new processes: what this one has compiled already would not be written
        context = get_context("spawn")
        with ProcessPoolExecutor(os.cpu_count(), context, _compile_into, (made,)) as pool:
            # what takes longest begins first, and with the first of them
            loops = [
                pool.submit(_compile_shared_loop, names, True),
                pool.submit(_compile_loop, names, True),
                pool.submit(_compile_loop, names, False),
                pool.submit(_compile_shared_loop, names, False),
            ]
            count = sum(pool.map(_compile, names[::-1]))
            for loop in loops:
                loop.result()
        # kernels are made for one user; these are for all who may run the environment
        for path in (made, *made.rglob("*")):
            path.chmod(0o755 if path.is_dir() else 0o644)
        shutil.rmtree(target, ignore_errors=True)
        made.replace(target)
    return count


def _compile_into(folder: Path) -> None:
    os.environ["WHATIF_KERNELS"] = str(folder)


def _compile(name: str) -> int:
    spec = resolve(name)
    if not isinstance(spec, StrategySpec):
        return 0
    alone = () if spec.cross_sectional else _OVERLAYS
    for overlays in alone:
        compile_ahead(spec, spec.defaults, overlays)
    compile_shared_ahead(spec, spec.defaults, Overlays())
    return len(alone) + 1


def _compile_loop(names: Sequence[str], special: bool) -> None:
    """Run a strategy on two bars, which needs all that is compiled once for all strategies.

    Parameters
    ----------
    names : sequence of str
        The strategies.
    special : bool
        Whether its broker has a special setting: any makes the same loop as any other.
    """
    for spec in _specs(names, orders=False)[:1]:
        many = [RunInputs(spec.validate({}), Execution(coo=special), Overlays())]
        PreparedWindow(spec, *two_bars()).measure_runs(many)


def _compile_shared_loop(names: Sequence[str], orders: bool) -> None:
    """Do as `_compile_loop` for an account of several symbols, whose `orders` wait for a price or do not."""
    for spec in _specs(names, orders)[:1]:
        bars, first, stop, periods = two_bars()
        many = [RunInputs(spec.validate({}), Execution(), Overlays())]
        SharedWindow(spec, [bars, bars], [(first, stop)] * 2, None, periods).measure_runs(many)


def _specs(names: Sequence[str], orders: bool) -> list[StrategySpec]:
    specs = [spec for spec in map(resolve, names) if isinstance(spec, StrategySpec)]
    return [spec for spec in specs if spec.answers_orders == orders and not spec.cross_sectional]


def main(arguments: Sequence[str]) -> int:
    """Ship the kernels, say how many; return an exit code."""
    if arguments:
        sys.stderr.write("error: there are no options\n")
        return 2
    sys.stdout.write(f"{ship()} kernels in {SHIPPED}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
