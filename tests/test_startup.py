"""The collector is held for a while, and goes on as it was; a package's own code waits until it is needed."""

import gc
import os
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from importlib import import_module
from pathlib import Path

import pytest

from whatif.startup import compare_flags_at_once, defer_package, without_collecting


def test_the_collector_is_held_until_the_outermost_work_is_done() -> None:
    assert gc.isenabled()
    with without_collecting():
        assert not gc.isenabled()
        with without_collecting():
            pass
        assert not gc.isenabled()
    assert gc.isenabled()


def test_a_collector_that_was_off_stays_off() -> None:
    gc.disable()
    try:
        with without_collecting():
            pass
        assert not gc.isenabled()
    finally:
        gc.enable()


def test_flags_of_numba_s_compiler_are_those_that_it_asks_for_one_by_one(monkeypatch) -> None:
    from numba.core.compiler import Flags
    from numba.core.targetconfig import TargetConfig

    monkeypatch.setattr(TargetConfig, "values", TargetConfig.values)
    compare_flags_at_once()
    plain, other = Flags(), Flags()
    other.no_cpython_wrapper = True
    other.error_model = "numpy"
    for flags in (plain, other):
        asked = {name: getattr(flags, name) for name in Flags.options}
        assert list(flags.values().items()) == list(asked.items())
    assert plain == Flags()
    assert plain != other
    assert hash(plain) == hash(Flags())


OWN = """
from pathlib import Path
from {name}.part import VALUE
from {name} import other

__version__ = "1.2"
with Path(__file__).with_name("ran").open("a") as ran:
    ran.write("x")
both = VALUE + other.VALUE
"""


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """A package of two modules that notes each run of its own code in a file `ran`."""
    name = "whatif_test_deferred"
    folder = tmp_path / name
    folder.mkdir()
    (folder / "__init__.py").write_text(OWN.format(name=name))
    (folder / "part.py").write_text("VALUE = 1\n")
    (folder / "other.py").write_text("VALUE = 2\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    yield name
    for one in [one for one in sys.modules if one.split(".")[0] == name]:
        del sys.modules[one]


def times_run(name: str) -> int:
    ran = Path(sys.modules[name].__file__ or "").with_name("ran")
    return len(ran.read_text()) if ran.exists() else 0


def test_a_module_of_a_deferred_package_comes_without_the_package(package: str) -> None:
    defer_package(package)
    assert import_module(f"{package}.part").VALUE == 1
    assert sys.modules[package].part.VALUE == 1
    assert times_run(package) == 0
    assert f"{package}.other" not in sys.modules


@pytest.mark.parametrize(("name", "value"), [("both", 3), ("__version__", "1.2")])
def test_a_deferred_package_gives_whatever_an_import_gives(package: str, name: str, value: object) -> None:
    defer_package(package)
    import_module(f"{package}.part")
    assert getattr(import_module(package), name) == value
    assert (sys.modules[package].both, times_run(package)) == (3, 1)
    with pytest.raises(AttributeError, match="nonsense"):
        _ = sys.modules[package].nonsense
    assert times_run(package) == 1


def test_threads_that_ask_at_once_run_a_package_once(package: str) -> None:
    defer_package(package)
    with ThreadPoolExecutor(8) as threads:
        found = list(threads.map(lambda _: getattr(sys.modules[package], "both"), range(32)))  # noqa: B009
    assert (found, times_run(package)) == ([3] * 32, 1)


def test_a_package_that_is_imported_or_missing_stays_as_it_is(package: str) -> None:
    there = import_module(package)
    defer_package(package)
    assert sys.modules[package] is there
    assert times_run(package) == 1
    defer_package("whatif_test_not_there")
    assert "whatif_test_not_there" not in sys.modules


def test_a_module_is_deferred_without_the_package_that_it_lies_in(package: str) -> None:
    defer_package(f"{package}.part")
    assert package not in sys.modules
    part = import_module(f"{package}.part")
    assert "VALUE" not in vars(part)
    assert part.VALUE == vars(part)["VALUE"] == 1
    defer_package(f"{package}.not_there")
    defer_package("whatif_test_not_there.part")
    assert not [name for name in sys.modules if "not_there" in name]


ARRAYS = """
import sys
from whatif.startup import arrow_without_pandas
if {without}:
    arrow_without_pandas()
import pyarrow as pa
print(pa.array([1.0, None, float("nan")], from_pandas=True).null_count, pa.array(["a", "b"]).type)
told = "DataFrame" in vars(sys.modules["pandas"])
import pandas as pd
objects = [pd.NaT, pd.Timestamp(1)], [pd.NA, 1], [pd.Timedelta(3)], [pd.DateOffset(days=1)]
series = [pd.Series(one) for one in ([1.0, float("nan")], [pd.NA, "x"], [pd.NaT, pd.Timestamp(5)])]
for given in (*objects, *series):
    for missing in (True, None):
        try:
            made = pa.array(given, from_pandas=missing)
        except (pa.ArrowException, ValueError) as error:
            print(type(error), error)
        else:
            print(made.type, made.to_pylist())
print(pa.table({"a": [1]}).to_pandas(), repr(pa.array([1], pa.timestamp("ns"))[0].as_py()))
print(told)
"""


def test_pyarrow_makes_arrays_without_pandas_until_that_is_imported_and_then_as_ever() -> None:
    said = []
    for without in (False, True):
        code = ARRAYS.replace("{without}", str(without))
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
        said.append(done.stdout.splitlines())
    (*plain, frames), (*late, no_frames) = said
    assert plain == late
    assert (frames, no_frames) == ("True", "False")


BACKTRADERS_TALIB = """
import sys
from whatif.engines.backtrader.broker import bt
print("talib" in sys.modules)
from backtrader import talib
print(talib is bt.talib, bt.talib.SMA.__name__, "EMA" in dir(bt.talib), "talib" in sys.modules)
"""


def test_backtrader_comes_without_its_classes_for_ta_lib_until_one_is_asked_for() -> None:
    done = subprocess.run(
        [sys.executable, "-c", BACKTRADERS_TALIB], capture_output=True, text=True, check=True
    )
    assert done.stdout.splitlines() == ["False", "True SMA True True"]


TWO_THREADS = """
import importlib, sys, time
from pathlib import Path

from whatif.runner.warm import warm_up

Path(sys.argv[1], "both.py").write_text("import time; time.sleep(0.6); import needed")
Path(sys.argv[1], "needed.py").write_text("")
sys.path.insert(0, sys.argv[1])


class Finder:  # as setuptools' own: it imports while it is asked, and Python holds the lock of all imports
    def find_spec(self, name, path=None, target=None):
        if name == "distutils":
            importlib.import_module("both")


class Session:
    @property
    def sparkContext(self):
        time.sleep(0.3)  # until the other thread is at it
        import distutils.version

        raise ValueError


sys.meta_path.insert(0, Finder())
thread = warm_up(Session())
import both

thread.join()
print("both are through")
"""


def test_no_thread_waits_for_the_finder_that_stands_in_for_distutils(tmp_path: Path) -> None:
    """One thread imports distutils, whose finder imports a module; the other is importing that module."""
    asked = [sys.executable, "-W", "ignore", "-c", TWO_THREADS, str(tmp_path)]
    done = subprocess.run(asked, capture_output=True, text=True, timeout=60, check=False)
    assert (done.stdout, done.stderr) == ("both are through\n", "")


ASKED = """
import sys
import whatif.pins
from whatif.startup import special_functions

special = special_functions()
from scipy.special import stdtr
before = [name in sys.modules for name in ("numpy.f2py", "scipy.special._orthogonal")]
import scipy.special
before.append(special.stdtr is stdtr)
for name in ("ndtr", "ndtri", "stdtr", "stdtrit"):
    before.append(getattr(special, name) is getattr(scipy.special, name))
print(before)
import pyiceberg.table, pyiceberg.utils.config
print([name in sys.modules for name in ("pyparsing", "strictyaml.parser", "strictyaml")])
from pyiceberg.table import _parse_row_filter
print(_parse_row_filter("n > 3"), "pyparsing" in sys.modules)
print(pyiceberg.utils.config.strictyaml.load("a: 1").data, "strictyaml.parser" in sys.modules)
"""


def test_packages_are_left_out_until_something_of_them_is_needed() -> None:
    done = subprocess.run([sys.executable, "-c", ASKED], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines() == [
        "[False, False, True, True, True, True, True]",
        "[False, False, True]",
        "GreaterThan(term=Reference(name='n'), literal=LongLiteral(3)) True",
        "{'a': '1'} True",
    ]


KERNEL = """
import numpy as np
from whatif.domain import jit


@jit
def smooth(values):
    return np.sqrt(values[values > 1.0].sum())


@jit
def other(values):
    return np.sort(values)[0] + 0.5
"""
LOADED = """
import sys
import numpy as np
import whatif_made

compiled = "numba.typed.typeddict", "numba.np.arraymath", "scipy.linalg"
print(whatif_made.smooth(np.arange(8.0)), [name in sys.modules for name in compiled])
print(whatif_made.other(np.arange(3.0)), [name in sys.modules for name in compiled])
"""


def test_what_code_is_made_of_is_imported_to_compile_and_not_to_load(tmp_path: Path) -> None:
    (tmp_path / "whatif_made.py").write_text(KERNEL)

    def said(code: str) -> list[str]:
        # numba keeps code by what a file was when it was read
        env = os.environ | {"PYTHONPATH": str(tmp_path), "NUMBA_CACHE_DIR": str(tmp_path / "kept")}
        done = subprocess.run(
            [sys.executable, "-c", code], capture_output=True, text=True, check=True, env=env
        )
        return done.stdout.splitlines()

    first, _, _ = LOADED.strip().partition("\nprint(whatif_made.other")
    assert said(first) == [f"{27.0**0.5} [True, True, False]"]
    # compiled beside what was loaded, and the same
    assert said(LOADED) == [f"{27.0**0.5} [False, True, False]", "0.5 [True, True, False]"]
