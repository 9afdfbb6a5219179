"""Finding strategies by name, module, file or class, and sending them elsewhere."""

from __future__ import annotations

import pickle
import signal
import subprocess
import sys
import textwrap
from pathlib import Path

import backtrader as bt
import pytest

from whatif.errors import StrategyError
from whatif.strategies import BUILTIN, BacktraderSpec, StrategySpec, from_portable, resolve, to_portable
from whatif.strategies.builtin.sma_crossover import sma_crossover

CONF = Path(__file__).resolve().parents[2] / "conf" / "strategies"

ENDINGS = {
    "import sys; sys.exit(0)": "SystemExit: 0",
    "exit()": "SystemExit",
    "raise KeyboardInterrupt": "KeyboardInterrupt",
    "raise GeneratorExit": "GeneratorExit",
    "def f(): f()\nf()": "RecursionError",
    "a\0b": "null byte",
    "(" * 300: "SyntaxError",
}
"""Files that end the process that loads them, and what is said of it."""

TWO = """
from whatif.strategies import hold, strategy
import backtrader as bt

FACTOR = {factor}

@strategy()
def first(i, x, p, s):
    return hold()

class Second(bt.Strategy):
    params = (("n", FACTOR),)
"""


@pytest.fixture
def two(tmp_path: Path) -> Path:
    path = tmp_path / "two.py"
    path.write_text(TWO.format(factor=3), encoding="utf-8")
    return path


@pytest.mark.parametrize("name", BUILTIN)
def test_built_in_by_name(name: str) -> None:
    assert resolve(name).name == name


def test_by_module_by_value_and_by_class() -> None:
    module = "whatif.strategies.builtin.sma_crossover"
    assert resolve(f"{module}:sma_crossover") is resolve(f"{module}.sma_crossover") is sma_crossover
    assert resolve(sma_crossover) is sma_crossover
    by_class = resolve(bt.strategies.MA_CrossOver)
    assert isinstance(by_class, BacktraderSpec)
    assert by_class.defaults["fast"] == 10
    assert resolve("backtrader.strategies:MA_CrossOver").cls is bt.strategies.MA_CrossOver


def test_by_file(two: Path) -> None:
    assert isinstance(resolve("two.py:first", base_dir=two.parent), StrategySpec)
    assert resolve(f"{two}:Second").validate({}) == {"n": 3}
    assert resolve(CONF / "example.py").name == "example"


def test_the_example_is_at_most_fifteen_lines() -> None:
    assert len((CONF / "example.py").read_text(encoding="utf-8").splitlines()) <= 15


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ("sma_crosover", "did you mean 'sma_crossover'"),
        ("nothing/there.py", "give the path of a Python file"),
        ("no.such.module:Name", "there is no module 'no'"),
        ("whatif.strategies:nothing", "there is no strategy 'nothing'"),
        ("", "give a name"),
        (17, "give a name"),
        (dict, "give a name"),
    ],
)
def test_what_cannot_be_found_is_refused_with_a_remedy(given: object, said: str) -> None:
    with pytest.raises(StrategyError) as refused:
        resolve(given)

    assert said in str(refused.value)


def test_a_file_with_several_needs_a_name_and_one_with_none_is_refused(two: Path, tmp_path: Path) -> None:
    with pytest.raises(StrategyError, match="defines several: Second, first"):
        resolve(str(two))
    with pytest.raises(StrategyError, match="no strategy 'frist' in it; did you mean 'first'"):
        resolve(f"{two}:frist")
    empty = tmp_path / "empty.py"
    empty.write_text("x = 1\n", encoding="utf-8")
    with pytest.raises(StrategyError, match="defines no strategy"):
        resolve(str(empty))


def test_a_file_that_fails_keeps_its_exception(tmp_path: Path) -> None:
    path = tmp_path / "broken.py"
    path.write_text("raise KeyError('inside')\n", encoding="utf-8")

    for _ in range(2):
        with pytest.raises(StrategyError, match="loading it failed: KeyError") as failed:
            resolve(str(path))
    assert isinstance(failed.value.__cause__, KeyError)


def test_an_edited_file_is_another_strategy(two: Path) -> None:
    before = resolve(f"{two}:Second")

    two.write_text(TWO.format(factor=4), encoding="utf-8")

    after = resolve(f"{two}:Second")
    assert after.defaults == {"n": 4}
    assert before.defaults == {"n": 3}
    assert after.digest != before.digest


def test_the_same_file_is_loaded_once(two: Path) -> None:
    assert resolve(f"{two}:Second").cls is resolve(f"{two}:Second").cls


@pytest.mark.slow
def test_a_file_strategy_travels_without_its_file(two: Path, tmp_path: Path) -> None:
    sent = tmp_path / "sent.pickle"
    both = [resolve(f"{two}:{name}") for name in ("first", "Second")]
    sent.write_bytes(pickle.dumps([to_portable(one) for one in both]))
    two.unlink()
    script = textwrap.dedent(
        f"""
        import pickle, sys
        from whatif.strategies import from_portable
        first, second = (from_portable(p) for p in pickle.load(open({str(sent)!r}, "rb")))
        assert first.step(0, None, None, None) == (0, 0.0)
        assert second.validate({{}}) == {{"n": 3}}
        assert "pyspark" not in sys.modules and "mlflow" not in sys.modules
        print(first.digest, second.digest)
        """
    )

    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)

    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == [one.digest for one in both]
    assert len(set(done.stdout.split())) == 2


def test_an_importable_strategy_travels_by_reference_and_is_checked() -> None:
    portable = to_portable(sma_crossover)
    assert (portable.module, portable.source) == ("whatif.strategies.builtin.sma_crossover", "")
    assert from_portable(pickle.loads(pickle.dumps(portable))) is sma_crossover

    import dataclasses

    with pytest.raises(StrategyError, match="differs from the one sent"):
        from_portable(dataclasses.replace(portable, digest="other"))
    with pytest.raises(StrategyError, match="cannot be imported here"):
        from_portable(dataclasses.replace(portable, module="gone.away"))


def test_what_no_other_process_can_find_is_not_sent() -> None:
    class Local(bt.Strategy):
        pass

    with pytest.raises(StrategyError, match="move it to the top level"):
        to_portable(resolve(Local))


def test_strategies_do_not_import_backtrader() -> None:
    script = textwrap.dedent(
        """
        import sys
        from whatif.strategies import resolve
        resolve("sma_crossover")
        sys.exit("backtrader" in sys.modules)
        """
    )

    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)

    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(("text", "said"), ENDINGS.items())
def test_a_file_cannot_end_the_process(tmp_path: Path, text: str, said: str) -> None:
    (tmp_path / "mine.py").write_text(text)
    with pytest.raises(StrategyError, match=r"strategy '.*mine\.py': loading it failed") as caught:
        resolve(str(tmp_path / "mine.py"))
    assert said in str(caught.value)


def test_a_module_cannot_either(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "ends_at_once.py").write_text("raise SystemExit(0)")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(StrategyError, match="importing ends_at_once failed: SystemExit: 0"):
        resolve("ends_at_once:mine")


def test_ctrl_c_while_a_file_is_loaded_is_still_ctrl_c(tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text(
        "import os, signal, time\nos.kill(os.getpid(), signal.SIGINT)\ntime.sleep(30)"
    )
    # what runs in the background of a shell begins with Ctrl-C ignored
    outer = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        with pytest.raises(KeyboardInterrupt):
            resolve(str(tmp_path / "mine.py"))
        assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    finally:
        signal.signal(signal.SIGINT, outer)


def test_a_file_of_no_sense_is_refused_at_once(tmp_path: Path) -> None:
    (tmp_path / "long.py").write_text("#" * 4_000_001)
    (tmp_path / "device.py").symlink_to("/dev/zero")
    (tmp_path / "folder.py").mkdir()
    for name, said in (("long", "more than 4,000,000 bytes"), ("device", "a device"), ("folder", "a folder")):
        with pytest.raises(StrategyError, match=said):
            resolve(str(tmp_path / f"{name}.py"))
    for name in ("a\0.py", "x" * 300 + ".py"):
        with pytest.raises(StrategyError, match="give the path of a file"):
            resolve(name)
