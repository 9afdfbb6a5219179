"""The figures of the rooms are counted as they are defined, and a limit is held."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path

import pytest

FOLDER = Path(__file__).resolve().parents[2]
_spec = importlib.util.spec_from_file_location("check_rooms", FOLDER / "infra" / "check_rooms.py")
assert _spec is not None
assert _spec.loader is not None
check = importlib.util.module_from_spec(_spec)
sys.modules["check_rooms"] = check  # dataclasses look their module up
_spec.loader.exec_module(check)

FILES = {
    "house/__init__.py": "",
    "house/errors.py": "class Wrong(Exception):\n    pass\n",
    "house/low/__init__.py": "from house.low.deep import Thing\n",
    "house/low/deep.py": "from house.low.deeper import KEY\n\n\nclass Thing:\n    key = KEY\n",
    "house/low/deeper.py": "from house.errors import Wrong\n\nKEY = Wrong\n",
    "house/high/__init__.py": (
        "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from house.high.top import act\n"
    ),
    "house/high/top.py": (
        "from typing import TYPE_CHECKING\n\nfrom house.low import Thing\n\n"
        "if TYPE_CHECKING:\n    from house.low.deep import Thing as Same\n\n\n"
        "def act():\n    'Act.'\n    from house.low.deeper import KEY\n\n    return KEY, Thing\n"
    ),
    "house/command.py": "from house.high import act\nfrom house.errors import Wrong\n",
}
RULES = """
[tool.rooms]
package = "house"
joins = "high"
closed = [{closed}]
[tool.rooms.limits]
fan-out = {fan_out}
chain = 6
imported-once = 2
past-doors = 40.0
lines-of-high = 16
function-lines = 4
[tool.rooms.goals]
fan-out = 1
chain = 1
imported-once = 1
past-doors = 1.0
lines-of-high = 1
function-lines = 1
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name, text in FILES.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    (tmp_path / "pyproject.toml").write_text(RULES.format(closed="", fan_out=3), encoding="utf-8")
    return tmp_path


@pytest.mark.slow
def test_this_checkout(capsys: pytest.CaptureFixture[str]) -> None:
    assert check.main(FOLDER) == 0, capsys.readouterr().out


def test_figures_counted_by_hand(folder: Path) -> None:
    found = {
        one.name: one for one in check.figures(folder, "house", "high", check.read_house(folder, "house"))
    }

    # top names the door of low, and two modules behind it
    assert (found["fan-out"].value, found["fan-out"].where) == (3, "house.high.top")
    # the door of high passes top on, that of low passes deep on
    assert found["chain"].where == (
        "house.command > house.high.top > house.low > house.low.deep > house.low.deeper > house.errors"
    )
    # deeper by deep and top, errors by deeper and command
    assert found["imported-once"].where == "house.high.top by house.command, house.low.deep by house.high.top"
    # command: two, top: three, deeper: one; of these, two of top's
    assert found["past-doors"].value == pytest.approx(100.0 * 2 / 6)
    assert found["lines-of-high"].value == 3 + 13
    assert (found["function-lines"].value, found["function-lines"].where) == (4, "house.high.top.act")


def test_what_is_within_its_limits(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert check.main(folder) == 0
    assert "fan-out 3 (limit 3, goal 1) house.high.top" in capsys.readouterr().out


def test_what_is_over_its_limit(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "pyproject.toml").write_text(RULES.format(closed="", fan_out=2), encoding="utf-8")
    assert check.main(folder) == 1
    assert "OVER ITS LIMIT: fan-out 3 (limit 2, goal 1) house.high.top" in capsys.readouterr().out


def test_a_door_that_is_closed(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "pyproject.toml").write_text(RULES.format(closed='"low"', fan_out=3), encoding="utf-8")
    assert check.main(folder) == 1
    out = capsys.readouterr().out
    assert "house.high.top, line 6: house.low.deep is behind the door of house.low" in out
    assert "house.high.top, line 11: house.low.deeper is behind the door of house.low" in out


def test_two_modules_that_import_each_other_make_no_endless_chain(folder: Path) -> None:
    (folder / "house/errors.py").write_text(
        "def wrong():\n    from house.low import Thing\n", encoding="utf-8"
    )
    assert check.chain(check.read_house(folder, "house")).value <= len(FILES)


def test_a_name_that_a_door_cannot_give(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "house/high/act.py").write_text("", encoding="utf-8")
    assert check.main(folder) == 1
    assert "house.high exports 'act', the name of a module in it" in capsys.readouterr().out
