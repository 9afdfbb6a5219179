"""A strategy's file as a part of another program: its rule without what whatif declares of it."""

from __future__ import annotations

import ast
import sys
from collections.abc import Collection
from dataclasses import dataclass

from whatif.strategies import BacktraderSpec, StrategySpec

KIND_WORDS = ("MARKET", "AT_CLOSE", "LIMIT", "STOP", "STOP_LIMIT", "TRAIL", "TRAIL_LIMIT")
"""Kinds of orders, as the state says them."""

WORDS = frozenset((
    "hold", "target", "buy", "sell", "close", "target_percent",
    "HOLD", "TARGET", "BUY", "SELL", "CLOSE", "TARGET_PERCENT", *KIND_WORDS,
))  # fmt: skip
"""What a rule may take of whatif that answers with pairs of code and amount."""

ORDER_WORDS = frozenset((
    "Order", "bracket", "oco", "cancel", "NO_PRICE", "SESSION", "CANCEL", "BRACKET", "OCO",
))  # fmt: skip
"""What it may take besides that answers with orders."""

ACROSS_WORDS = frozenset(("weights", "sizes", "orders", "WEIGHTS", "SIZES", "EACH"))
"""What one may take that answers for all symbols at once."""

_DECLARED = frozenset(("Param", "strategy", "Intent", "Answer", "State", "AcrossState", "StrategySpec"))
"""Names that stand in declarations and annotations alone, which are left out or never evaluated."""

_INSTALLED = {*sys.stdlib_module_names, "numpy"}


@dataclass(frozen=True)
class Rule:
    """A rule as text.

    Attributes
    ----------
    text : str
        The file without its docstring, its imports and its declaration.
    imports : tuple of str
        Its imports of the standard library and numpy at the head of the file.
    aliases : tuple of str
        Assignments of words of whatif that it calls otherwise.
    words : frozenset of str
        What it takes of whatif.
    uses_numpy : bool
        Whether it needs numpy, or takes slices, which are arrays.
    """

    text: str
    imports: tuple[str, ...]
    aliases: tuple[str, ...]
    words: frozenset[str]
    uses_numpy: bool


def rule_of(spec: StrategySpec) -> Rule:
    """Return the rule of a strategy of which `reason_in` says nothing."""
    lines, source = spec.source.splitlines(), spec.source
    tree = ast.parse(source)
    imports, aliases, words, numpy = [], [], [], False
    for node in ast.walk(tree):
        of_numpy = isinstance(node, ast.Import) and any(one.name.startswith("numpy") for one in node.names)
        of_numpy = of_numpy or (isinstance(node, ast.ImportFrom) and str(node.module).startswith("numpy"))
        numpy = numpy or of_numpy or (isinstance(node, ast.Subscript) and isinstance(node.slice, ast.Slice))
    for node in tree.body:
        if isinstance(node, ast.Import | ast.ImportFrom):
            if not _of_whatif(node) and getattr(node, "module", "") != "__future__":
                imports.append(ast.unparse(node))
            elif isinstance(node, ast.ImportFrom):
                words += [one.name for one in node.names]
                aliases += [f"{one.asname} = {one.name}" for one in node.names if one.asname]
            drop = [(node.lineno, node.end_lineno or node.lineno)]
        elif isinstance(node, ast.FunctionDef):
            drop = [
                (one.lineno, one.end_lineno or one.lineno) for one in node.decorator_list if _declares(one)
            ]
        elif node is tree.body[0] and ast.get_docstring(tree) is not None:
            drop = [(node.lineno, node.end_lineno or node.lineno)]
        else:
            continue
        for first, last in drop:
            lines[first - 1 : last] = [""] * (last - first + 1)
    kept = [line for k, line in enumerate(lines) if line.strip() or (k and lines[k - 1].strip())]
    text = "\n".join(kept).strip()
    return Rule(text, tuple(dict.fromkeys(imports)), tuple(aliases), frozenset(words), numpy)


def reason_in(source: str, step: str, words: Collection[str]) -> str:
    """Return what of a strategy's file another program would not have; "" if it is all there.

    Parameters
    ----------
    source : str
        The file's text.
    step : str
        Name of its rule.
    words : collection of str
        What the program has of whatif's names.
    """
    tree = ast.parse(source)
    if not any(isinstance(node, ast.FunctionDef) and node.name == step for node in tree.body):
        return "its rule is not a function of its file"
    for node in ast.walk(tree):
        if not isinstance(node, ast.Import | ast.ImportFrom):
            continue
        module = "" if isinstance(node, ast.Import) else f"{'.' * node.level}{node.module or ''}"
        for alias in node.names:
            top = (module or alias.name).partition(".")[0]
            known = alias.name in words or (alias.name in _DECLARED and not alias.asname)
            if not (known and module and node in tree.body if top == "whatif" else top in _INSTALLED):
                return f"its rule's file imports {' '.join(filter(None, (module, alias.name)))}"
    return ""


def class_text(spec: BacktraderSpec) -> str:
    """Return the file of a Backtrader strategy as a part of a script: without what it does when it is run.

    Its import of Backtrader goes too where the script's own is the same.
    """
    lines, tree = spec.source.splitlines(), ast.parse(spec.source)
    for node in tree.body:
        is_docstring = node is tree.body[0] and ast.get_docstring(tree) is not None
        of_future = isinstance(node, ast.ImportFrom) and node.module == "__future__"
        of_script = ast.unparse(node) == "import backtrader as bt"
        if (
            is_docstring
            or of_future
            or of_script
            or (isinstance(node, ast.If) and "__name__" in ast.unparse(node.test))
        ):
            first, last = node.lineno, node.end_lineno or node.lineno
            lines[first - 1 : last] = [""] * (last - first + 1)
    return "\n".join(lines).strip()


def reason_in_class(spec: BacktraderSpec) -> str:
    """Return why the file of a Backtrader strategy cannot stand in a script; "" if it can."""
    if not spec.source:
        return f"the source of {spec.name} cannot be read: put the class into a file, and name that"
    tree = ast.parse(spec.source)
    if not any(isinstance(node, ast.ClassDef) and node.name == spec.cls.__name__ for node in tree.body):
        return f"{spec.name} is made by other code: define the class at the top of its file"
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            modules = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            modules = [f"{'.' * node.level}{node.module or ''}"]
        else:
            continue
        other = [name for name in modules if name.partition(".")[0] not in {*_INSTALLED, "backtrader"}]
        if other:
            return (
                f"the file of {spec.name} imports {other[0]}, and the script has Backtrader, numpy and the "
                "standard library alone: put what it takes of that into the file"
            )
    return ""


def _of_whatif(node: ast.Import | ast.ImportFrom) -> bool:
    if isinstance(node, ast.Import):
        return any(alias.name.partition(".")[0] == "whatif" for alias in node.names)
    return str(node.module).partition(".")[0] == "whatif"


def _declares(node: ast.expr) -> bool:
    named = node.func if isinstance(node, ast.Call) else node
    return isinstance(named, ast.Name) and named.id == "strategy"
