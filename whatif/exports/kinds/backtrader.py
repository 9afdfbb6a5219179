"""A plain Backtrader script, whose fills are the same bytes."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np

from whatif.axes import setting_text
from whatif.domain import MINUTE_US, Execution, Filler, charges_of, timestamps
from whatif.engines import BacktestTask
from whatif.errors import StudyError
from whatif.exports.base import Choice, Format, rendered
from whatif.exports.rules import (
    ACROSS_WORDS,
    KIND_WORDS,
    ORDER_WORDS,
    WORDS,
    Rule,
    class_text,
    reason_in,
    reason_in_class,
)
from whatif.exports.tables import bars_csv, fed_csv, fills_csv
from whatif.strategies import NOTES, ORDER_NOTES, BacktraderSpec, overlay_rules

_GUARD = (
    "import sys, runpy; sys.modules['whatif'] = None; sys.argv = sys.argv[1:];"
    "runpy.run_path(sys.argv[0], run_name='__main__')"
)
"""Runs a script for which there is no whatif."""

_SWITCHES = ("slip_open", "slip_limit", "slip_match", "slip_out")
_CLOCK = {"minute", "minutes_to_close"}
_USED = {"csv": r"\bcsv\.", "datetime as dt": r"\bdt\.", "math": r"\bmath\.", "sys": r"\bsys\."}
_TAKEN = {
    "bisect": ("bisect_left", "bisect_right"),
    "collections": ("deque", "namedtuple"),
    "pathlib": ("Path",),
}
_ANNOTATED = {"Any": "typing", "Collection": "collections.abc"}


class Backtrader(Format):
    """A script of Backtrader's own classes: a feed, a strategy that calls the rule, and a broker."""

    script = "strategy.py"
    is_checked = True

    def reason_against(self, task: BacktestTask) -> str:
        """Return what of a task the script does not cover; "" if it covers all."""
        spec = task.strategy
        if isinstance(spec, BacktraderSpec):
            return _reason_against_class(task, spec)
        if len(task.bars) > 1 and task.bar_us is None:
            return "its symbols' bars may differ in length, and Backtrader would order them otherwise"
        words = WORDS | (ORDER_WORDS if spec.answers_orders else frozenset())
        return reason_in(
            spec.source, spec.step.__name__, words | (ACROSS_WORDS if spec.cross_sectional else frozenset())
        )

    def files(self, choice: Choice) -> dict[str, str]:
        """Return the script, and for each window the bars, with the finer ones that orders are tried on."""
        if isinstance(choice.task.strategy, BacktraderSpec):
            return _files_of_class(choice, choice.task.strategy)
        values = _values(choice)
        text = rendered("backtrader.py.j2", values | {"imports": []})
        of_rule = [line for line in choice.rule.imports if line not in values["numpy_imports"]]
        text = rendered("backtrader.py.j2", values | {"imports": _sorted({*_imports(text), *of_rule})})
        _check_names(choice, text)
        found = {self.script: text}
        for window, task in choice.tasks.items():
            found[f"bars-{window}.csv"] = bars_csv(task, values["own_columns"])
            if values["finer"]:
                found[f"fills-{window}.csv"] = fills_csv(task)
        return found

    def check(self, folder: Path, choice: Choice) -> str:
        """Run the script in a process of its own, without whatif, and compare its fills as bytes."""
        for window, fills in choice.fills.items():
            command = [sys.executable, "-I", "-c", _GUARD, str(folder / self.script), window]
            done = subprocess.run(command, capture_output=True, text=True, check=False)
            if done.returncode:
                last = (done.stderr.strip().splitlines() or ["it said nothing"])[-1]
                return f"it ended on the window {window} with {last}"
            found = done.stdout.splitlines()[1:]
            if found != fills:
                pairs = zip(found, fills, strict=False)
                same = next((k for k, (a, b) in enumerate(pairs) if a != b), min(len(found), len(fills)))
                return (
                    f"fill {same + 1} of {len(fills):,} on the window {window} differs: "
                    f"{[*found[same:], 'none'][0]} in place of {[*fills[same:], 'none'][0]}"
                )
        return ""

    def said(self, script: Path) -> str:
        """Return what to do with the script."""
        return f"next: python {script}     (prints the fills, which were compared: the same bytes)"


def _reason_against_class(task: BacktestTask, spec: BacktraderSpec) -> str:
    """Return what of a task the script of a Backtrader strategy does not cover; "" if it covers all."""
    if len(task.bars) > 1 and task.bar_us is None:
        return "its symbols' bars may differ in length, and Backtrader would order them otherwise"
    if any(bars.finer is not None for bars in task.bars):
        return "its orders are tried on shorter bars inside its own, which its class is not fed"
    return reason_in_class(spec)


def _files_of_class(choice: Choice, spec: BacktraderSpec) -> dict[str, str]:
    """Return the script that runs a Backtrader strategy as it was written, and the bars of each window."""
    task = choice.task
    symbols = [bars.symbol for bars in task.bars]
    text, ex = class_text(spec), task.execution
    values = {
        "header": f"{choice.name} on {', '.join(map(repr, symbols))}: {spec.name}, in a Cerebro of its own",
        "file": Backtrader.script, "windows": list(choice.tasks), "params": dict(task.params), "ex": ex,
        "warmup": task.warmup, "text": text, "name": spec.cls.__name__, "names": symbols,
        "several": len(symbols) > 1, "numpy": bool(re.search(r"^\s*(import|from) numpy\b", text, re.M)),
        "lines": ("vwap", *task.bars[0].inputs), "timeframe": _timeframe(task),
        "observed": bool(re.search(r"\b(stats|observers|getobservers)\b", text)),
    } | _broker(ex, len(symbols) > 1)  # fmt: skip
    made = rendered("ordinary.py.j2", values | {"imports": []})
    made = rendered("ordinary.py.j2", values | {"imports": _sorted(set(_imports(made)))})
    _check_names(choice, made)
    bars = {f"bars-{window}.csv": fed_csv(one) for window, one in choice.tasks.items()}
    return {Backtrader.script: made} | bars


def _timeframe(task: BacktestTask) -> tuple[str, int]:
    """Return the length of a bar as Backtrader's feeds say it."""
    ts = task.bars[0].ts
    minutes = int(np.median(np.diff(ts))) // MINUTE_US if len(ts) > 1 else 1
    return ("Days", 1) if minutes >= 12 * 60 else ("Minutes", max(1, minutes))


def _check_names(choice: Choice, text: str) -> None:
    if twice := _named_twice(text):
        raise StudyError(
            f"{choice.name} cannot be exported as {Backtrader.script}: its strategy's file defines "
            f"{', '.join(twice)}, and so does the script: rename it there"
        )


def _values(choice: Choice) -> dict[str, Any]:
    """Return what the template is filled with."""
    task, spec = choice.task, choice.spec
    ex, ov, rule = task.execution, task.overlays, choice.rule
    used = {node.id for node in ast.walk(ast.parse(rule.text)) if isinstance(node, ast.Name)}
    used |= {line.rpartition(" ")[2] for line in rule.aliases}
    names = {node.attr for node in ast.walk(ast.parse(spec.source)) if isinstance(node, ast.Attribute)}
    members = any(bars.member is not None for bars in task.bars)
    overlaid = (bool(ov.by_symbol) or members) and not spec.cross_sectional
    exits = ov.exit_orders
    orders = spec.answers_orders or exits
    by_price = any(one is not None for one in (ov.stop_loss, ov.take_profit, ov.max_bars_held))
    sizing = {name: getattr(ov, name) for name in _SIZINGS if getattr(ov, name) is not None}
    clock = bool(names & _CLOCK)
    own = {
        "_session": orders or spec.cross_sectional,
        "_minute": clock,
        "_minutes_to_close": clock or ov.flat_before_close is not None,
        "_leaves": members,
        "_volatility": ov.volatility_target is not None,
    }
    symbols = [bars.symbol for bars in task.bars]
    return {
        "header": f"{choice.name} on {', '.join(map(repr, symbols))}, as a plain Backtrader strategy",
        "file": Backtrader.script,
        "starts": {name: _start(one) for name, one in choice.tasks.items()},
        "params": dict(task.params), "lookback": spec.lookback, "scratch": spec.scratch,
        "step": spec.step.__name__, "rule": rule.text, "aliases": rule.aliases,
        "numpy": rule.uses_numpy, "numpy_imports": _of_numpy(rule), "used": used, "rule_words": rule.words,
        "kinds": bool(rule.words & {*KIND_WORDS}), "ex": ex, "ov": ov, "rules": overlay_rules(ov, ex),
        "sizing": bool(sizing), "kelly": ov.kelly_fraction is not None, "exits": exits, "orders": orders,
        "overlaid": overlaid, "desk": overlaid and not ov.latency and orders, "bounds": bool(ov.bounds),
        "leaves": overlaid and (by_price or ov.flat_before_close is not None or members),
        "leaves_by_price": by_price, "members": members, "clock": clock,
        "notes": bool(names & ({*NOTES} - {*ORDER_NOTES})), "order_notes": bool(names & {*ORDER_NOTES}),
        "across": spec.cross_sectional, "several": len(symbols) > 1, "names": symbols,
        "finer": task.bars[0].finer is not None,
        "own_columns": [name for name, on in own.items() if on],
    } | _broker(ex, len(symbols) > 1)  # fmt: skip


_SIZINGS = ("percent_of_equity", "percent_of_cash", "risk_per_trade", "volatility_target", "kelly_fraction")


def _broker(ex: Execution, several: bool) -> dict[str, Any]:
    """Return how the broker is made."""
    costs = ex.costs
    arguments = {"cash": "CASH", "checksubmit": ex.checksubmit, "shortcash": ex.shortcash}
    arguments |= {name: True for name in ("coc", "coo") if getattr(ex, name)}
    if ex.filler is not None:
        arguments["filler"] = "Filler()"
    fixed = ex.commtype == "fixed"
    scheme = {
        "commtype": f"bt.CommInfoBase.COMM_{'FIXED' if fixed else 'PERC'}",
        "stocklike": ex.margin == 0.0, "percabs": True, "margin": ex.margin or None, "mult": ex.mult,
        "leverage": ex.leverage, "interest": ex.interest, "interest_long": ex.interest_long,
    }  # fmt: skip
    plain = costs is None and not fixed and ex.is_outright and not ex.interest
    kinds = ["CorrectedBroker"] * ex.is_corrected + ["ChargingBroker"] * (costs is not None)
    own = len(kinds) > 1 or (ex.is_corrected and several)
    return {
        "broker": "Broker" if own else kinds[0] if kinds else "bt.brokers.BackBroker",
        "broker_bases": kinds if own else [],
        "broker_arguments": _keywords(arguments),
        "scheme": "" if plain else _keywords(scheme),
        "switches": _keywords({name: getattr(ex, name) for name in _SWITCHES}),
        "costs": costs,
        "costs_said": _costs_said(ex),
        "tiers": None if costs is None else _tiers(ex),
        "half_spread": None if costs is None else 0.5 * (costs.spread_ticks * costs.tick),
        "corrected": _broker_class("CorrectedBroker") if ex.is_corrected else "",
        "filler": "" if ex.filler is None else _filler(ex.filler),
    }


def _costs_said(ex: Execution) -> str:
    """Return commission and slippage as a reader has them; "" where a model of costs stands for them."""
    if ex.costs is not None:
        return ""
    given = {"commission": ex.commission, "slippage": ex.slippage}
    said = [f"{name} {setting_text(name, value, ex.commtype)}" for name, value in given.items()]
    if ex.slippage_fixed:
        said[1] = f"slippage {ex.slippage_fixed} of money for each unit"
    return f"{', '.join(said)}{' (commission: money for each unit)' if ex.commtype == 'fixed' else ''}"


def _keywords(values: dict[str, Any]) -> str:
    return ", ".join(f"{name}={value}" for name, value in values.items())


def _filler(filler: Filler) -> str:
    return {
        "fixed_size": f"bt.fillers.FixedSize(size={filler.amount})",
        "fixed_bar_perc": f"bt.fillers.FixedBarPerc(perc={filler.amount})",
        "bar_point_perc": f"bt.fillers.BarPointPerc(minmov={filler.minmov}, perc={filler.amount})",
    }[filler.name]


def _tiers(ex: Execution) -> list[tuple[float, ...]]:
    """Return from where on each tier holds, and its rates."""
    assert ex.costs is not None
    # the last of the row of charges, four numbers of each
    rates = charges_of(ex.costs)[-4 * max(len(ex.costs.tiers), 1) :]
    return [tuple(rates[k : k + 4]) for k in range(0, len(rates), 4)]


def _start(task: BacktestTask) -> str:
    """Return where a window begins: the first bar in it."""
    firsts = [bars.ts[task.rows(bars)[0]] for bars in task.bars if task.rows(bars)[0] < task.rows(bars)[1]]
    return str(timestamps(np.array([min(firsts)]))[0].tz_localize(None).isoformat())


def _broker_class(name: str) -> str:
    """Return the text of a broker of the reference engine, which imports Backtrader and is read only."""
    text = (files("whatif.engines.backtrader") / "broker.py").read_text(encoding="utf-8")
    (found,) = (node for node in ast.parse(text).body if isinstance(node, ast.ClassDef) and node.name == name)
    return str(ast.get_source_segment(text, found))


def _imports(text: str) -> list[str]:
    """Return the imports that a text needs, by what it names."""
    found = [f"import {name}" for name, used in _USED.items() if re.search(used, text)]
    for module, names in _TAKEN.items():
        taken = [name for name in names if re.search(rf"\b{name}\(", text)]
        found += [f"from {module} import {', '.join(taken)}"] if taken else []
    # annotations of the broker's text
    found += [
        f"from {_ANNOTATED[one]} import {one}" for one in _ANNOTATED if re.search(rf": .*\b{one}\b", text)
    ]
    return found


def _of_numpy(rule: Rule) -> list[str]:
    own = [line for line in rule.imports if "numpy" in line.split()[1]]
    return sorted({"import numpy as np", *own}) if rule.uses_numpy else []


def _sorted(lines: set[str]) -> list[str]:
    return sorted(lines, key=lambda line: (line.startswith("from "), line))


def _named_twice(text: str) -> list[str]:
    """Return the names that a script defines or assigns in two places at its top."""
    found: list[str] = []
    for node in ast.parse(text).body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            found.append(node.name)
        elif isinstance(node, ast.Assign):
            found += [
                one.id for target in node.targets for one in ast.walk(target) if isinstance(one, ast.Name)
            ]
    return sorted({name for name in found if found.count(name) > 1 and name != "_"})
