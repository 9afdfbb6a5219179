"""Helper modules beside a strategy's file: found, part of its identity, and sent along."""

from __future__ import annotations

import pickle
import subprocess
import sys
import types
from pathlib import Path

import pytest

from whatif.engines import BacktestTask, run_engine
from whatif.errors import StrategyError
from whatif.strategies import StrategySpec, from_portable, resolve, to_portable
from whatif.testing import random_bars

FILES = {
    "own.py": "import helper\nfrom lib import deep\nfrom lib.deep import K as DEEP\nimport backtrader as bt\n"
    "from whatif.strategies import strategy, target\n"
    "@strategy()\ndef step(i, x, p, s):\n    return target(helper.size() + deep.K + DEEP)\n"
    "class Ordinary(bt.Strategy):\n    params = (('size', DEEP),)\n"
    "    def next(self):\n        self.order_target_size(target=helper.size())\n",
    "helper.py": "import other\ndef size():\n    return other.N\n",
    "other.py": "N = 1.0\n",
    "lib/deep.py": "from . import const\nK = const.C\n",
    "lib/const.py": "C = 2.0\n",
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return written(tmp_path, **FILES)


def written(folder: Path, **files: str) -> Path:
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    return folder


def amount(spec: object) -> float:
    assert isinstance(spec, StrategySpec)
    return float(spec.step(0, None, None, None)[1])


def test_they_are_found_beside_the_file_and_travel_without_it(folder: Path, tmp_path: Path) -> None:
    both = [resolve(f"{folder}/own.py:{name}") for name in ("step", "Ordinary")]
    assert amount(both[0]) == 5.0
    assert resolve(f"{folder}/own.py:step") is both[0]
    sent = [to_portable(one) for one in both]
    assert [name for name, _ in sent[0].helpers] == sorted(set(FILES) - {"own.py"})
    (tmp_path / "sent").write_bytes(pickle.dumps(sent))
    for name in FILES:
        (folder / name).unlink()
    script = (
        "import pickle, sys\nfrom whatif.strategies import from_portable\n"
        "step, ordinary = map(from_portable, pickle.load(open(sys.argv[1], 'rb')))\n"
        "print(step.step(0, None, None, None)[1], step.digest, ordinary.digest, ordinary.defaults)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, str(tmp_path / "sent")], capture_output=True, text=True, cwd="/"
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.split(maxsplit=3) == ["5.0", both[0].digest, both[1].digest, "{'size': 2.0}\n"]


@pytest.mark.parametrize(
    ("file", "old", "new", "then"),
    [
        ("other.py", "1.0", "7.0", 11.0),
        ("lib/const.py", "2.0", "3.0", 7.0),
        ("helper.py", ".N", ".N + 1", 6.0),
    ],
)
def test_an_edited_helper_is_another_strategy(
    folder: Path, file: str, old: str, new: str, then: float
) -> None:
    names = ("step", "Ordinary")
    before = [resolve(f"{folder}/own.py:{name}") for name in names]
    digests = [one.digest for one in before]
    written(folder, **{file: FILES[file].replace(old, new)})
    after = [resolve(f"{folder}/own.py:{name}") for name in names]
    assert amount(after[0]) == then
    assert not {one.digest for one in after} & set(digests)
    assert amount(before[0]) == 5.0
    assert [one.digest for one in before] == digests
    assert amount(from_portable(to_portable(before[0]))) == 5.0


def test_both_brokers_run_it(folder: Path) -> None:
    bars = random_bars(3, 40)
    spec = resolve(f"{folder}/own.py:step")
    for engine in ("compiled", "backtrader"):
        assert float(run_engine(BacktestTask([bars], spec, {}), engine).position[0, -1]) == 5.0


def test_two_folders_with_helpers_of_one_name(tmp_path: Path) -> None:
    first = written(tmp_path / "a", **FILES)
    second = written(tmp_path / "b", **{**FILES, "other.py": "N = 9.0\n"})
    assert [amount(resolve(f"{one}/own.py:step")) for one in (first, second, first)] == [5.0, 13.0, 5.0]
    assert "helper" not in sys.modules


def test_the_same_text_in_another_folder_reads_its_own_files(tmp_path: Path) -> None:
    text = (
        "from pathlib import Path\nfrom whatif.strategies import strategy, target\n"
        "K = float((Path(__file__).parent / 'k.txt').read_text())\n"
        "@strategy()\ndef step(i, x, p, s):\n    return target(K)\n"
    )
    for name, value in (("a", "1"), ("b", "2")):
        written(tmp_path / name, **{"own.py": text, "k.txt": value})
    found = [resolve(str(tmp_path / name / "own.py")) for name in ("a", "b")]
    assert [amount(one) for one in found] == [1.0, 2.0]
    # and what it reads when it is loaded is read again
    written(tmp_path / "a", **{"k.txt": "3"})
    assert amount(resolve(str(tmp_path / "a" / "own.py"))) == 3.0


def test_a_module_that_was_changed_in_memory_is_loaded_anew(tmp_path: Path) -> None:
    path = written(tmp_path, **{
        "own.py": "from whatif.strategies import strategy, target\nseen = []\n"
        "@strategy()\ndef step(i, x, p, s):\n    seen.append(1.0)\n    return target(sum(seen))\n"
    }) / "own.py"  # fmt: skip
    assert [amount(resolve(str(path))) for _ in range(3)] == [1.0, 1.0, 1.0]


def test_an_import_inside_a_function_finds_them(tmp_path: Path) -> None:
    text = (
        "from whatif.strategies import strategy, target\n"
        "@strategy()\ndef step(i, x, p, s):\n    from helper import size\n    return target(size())\n"
    )
    written(tmp_path, **{"own.py": text, "helper.py": "def size():\n    return 4.0\n"})
    before = resolve(str(tmp_path / "own.py"))
    assert amount(before) == 4.0
    written(tmp_path, **{"helper.py": "def size():\n    return 6.0\n"})
    after = resolve(str(tmp_path / "own.py"))
    assert amount(after) == 6.0
    assert before.digest != after.digest


def test_a_package_and_a_strategy_that_a_helper_defines(tmp_path: Path) -> None:
    written(tmp_path, **{
        "own.py": "from pack import made as mine\n",
        "pack/__init__.py": "from .inner import made\n",
        "pack/inner.py": "from whatif.strategies import strategy, target\nfrom ..level import N\n"
        "@strategy()\ndef made(i, x, p, s):\n    return target(N)\n",
        "level.py": "N = 8.0\n",
    })  # fmt: skip
    found = resolve(f"{tmp_path}/own.py:mine")
    sent = to_portable(found)
    assert (amount(found), sent.name, len(sent.helpers)) == (8.0, "mine", 3)
    assert amount(from_portable(sent)) == 8.0


def test_installed_modules_go_before_files_of_their_name(tmp_path: Path) -> None:
    text = "import json, numpy, signal\nfrom whatif.strategies import strategy, target\n"
    text += "@strategy()\ndef step(i, x, p, s):\n    return target(numpy.float64(len(json.dumps(1))))\n"
    written(tmp_path, **{"own.py": text, "json.py": "1 / 0", "numpy.py": "1 / 0", "signal.py": "1 / 0"})
    found = resolve(str(tmp_path / "own.py"))
    assert amount(found) == 1.0
    assert to_portable(found).helpers == ()


@pytest.mark.parametrize(
    ("helper", "said"),
    [
        ("1 / 0\n", "ZeroDivisionError"),
        ("import absent_23\n", "No module named 'absent_23'"),
        ("def", "SyntaxError"),
    ],
)
def test_a_helper_that_fails_is_named_with_its_error(tmp_path: Path, helper: str, said: str) -> None:
    written(tmp_path, **{"own.py": "import helper\n", "helper.py": helper})
    before = set(sys.modules)
    for _ in range(2):
        with pytest.raises(StrategyError, match=f"loading it failed: .*{said}"):
            resolve(str(tmp_path / "own.py"))
    assert set(sys.modules) == before


def test_a_helper_that_is_imported_by_name_is_known_by_value(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    helper = types.ModuleType("helped_24")
    helper.N = 1.0  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "helped_24", helper)
    text = "import helped_24\nfrom whatif.strategies import strategy, target\n"
    text += "@strategy()\ndef step(i, x, p, s):\n    return target(helped_24.N)\n"
    written(tmp_path, **{"own.py": text})
    sent = to_portable(resolve(str(tmp_path / "own.py")))
    helper.N = 2.0  # type: ignore[attr-defined]
    with pytest.raises(StrategyError, match="or a value it reads, differs from the one sent"):
        from_portable(sent)
