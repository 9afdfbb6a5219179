"""A room's door gives each name that it exports, when it is taken, and no other."""

from __future__ import annotations

import ast
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import pytest

from whatif.doors import door

ROOT = Path(__file__).resolve().parent.parent
DOORS = sorted(
    path.parent.name for path in (ROOT / "whatif").glob("*/__init__.py") if "door(" in path.read_text()
)


@pytest.mark.parametrize("room", DOORS)
def test_a_door_gives_what_it_shows_to_type_checkers(room: str) -> None:
    tree = ast.parse((ROOT / "whatif" / room / "__init__.py").read_text(encoding="utf-8"))
    (shown,) = (node.body for node in tree.body if isinstance(node, ast.If))
    found = import_module(f"whatif.{room}")
    names = {alias.name: node.module for node in shown for alias in node.names}
    assert sorted(names) == dir(found)
    # they load numba
    left_out = (
        {"BuyAndHold", "FirstBar", "Holding", "buy_and_hold", "hold_shares"} if room == "stats" else set()
    )
    assert found.__all__ == sorted(set(names) - left_out)
    for name, module in names.items():
        assert getattr(found, name) is getattr(import_module(module), name)


def test_what_a_door_does_not_have() -> None:
    get, names, every = door("whatif", {"errors": "WhatIfError"})
    assert names() == every == ["WhatIfError"]
    assert get("WhatIfError").__module__ == "whatif.errors"
    with pytest.raises(AttributeError, match="module 'whatif' has no attribute 'Nothing'"):
        get("Nothing")


def test_a_module_is_loaded_when_its_name_is_taken() -> None:
    code = (
        "import sys, whatif.results; assert 'whatif.results.pending' not in sys.modules\n"
        "from whatif.results import Again; assert 'whatif.results.pending' in sys.modules\n"
        "assert 'whatif.results.trials' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True, cwd=ROOT)
