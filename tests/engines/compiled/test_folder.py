"""The folder of kernels: refused where others may write to it, since what lies there is run."""

from __future__ import annotations

import importlib
import os
import pickle
import sys
import tempfile
from pathlib import Path

import pytest
from numba.core.errors import NumbaWarning

from whatif.engines import BacktestTask, run_engine
from whatif.engines.compiled.folder import _PREFIX, keep_beside, kernel_folder, written
from whatif.errors import EngineError, MachineError
from whatif.strategies import StrategySpec, strategy, target
from whatif.testing import random_bars

BARS = random_bars(3, 40)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    found = tmp_path / "kernels"
    monkeypatch.setenv("WHATIF_KERNELS", str(found))
    monkeypatch.setenv("NUMBA_CACHE_DIR", str(tmp_path / "elsewhere"))
    return found


def step_of(size: float) -> StrategySpec:
    @strategy()
    def step(i, x, p, s):
        return target(size)

    return step


def run(spec: StrategySpec, engine: str = "auto") -> float:
    return float(run_engine(BacktestTask([BARS], spec, {}), engine).position[0, -1])


def modes(folder: Path) -> set[tuple[str, int]]:
    return {
        ("folder" if p.is_dir() else "file", p.stat().st_mode & 0o777) for p in [folder, *folder.rglob("*")]
    }


def test_everything_in_it_is_for_this_user_alone(folder: Path) -> None:
    before = os.umask(0)
    try:
        assert run(step_of(3.25)) == 3.25
    finally:
        os.umask(before)
    assert modes(folder) == {("folder", 0o700), ("file", 0o600)}
    assert {path.suffix for path in folder.rglob("*") if path.is_file()} >= {".py", ".nbi", ".nbc"}
    assert not list(folder.rglob("*.tmp.*"))


@pytest.mark.parametrize("where", ["folder", "inside", "above", "link"])
def test_a_folder_that_others_may_write_to_is_refused_and_nothing_in_its_place(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, where: str
) -> None:
    (folder / "__pycache__").mkdir(parents=True)
    bad = {"folder": folder, "inside": folder / "__pycache__", "above": tmp_path, "link": folder}[where]
    if where == "link":
        (tmp_path / "link").symlink_to(folder)
        monkeypatch.setenv("WHATIF_KERNELS", str(tmp_path / "link"))
    size = 3.0 + ord(where[0]) / 128  # a kernel of its own: what is in memory needs no folder
    bad.chmod(0o777)
    for engine in ("auto", "compiled"):
        with pytest.raises(EngineError) as refused:
            run(step_of(size), engine)
        message = str(refused.value)
        assert f"{bad} has mode 0777, so that others may write to it: chmod go-w {bad}" in message
        assert "set WHATIF_KERNELS to a folder that is yours alone" in message
    bad.chmod(0o755)
    assert run(step_of(size)) == size


def test_the_folder_of_the_home_by_the_same_rule(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("WHATIF_KERNELS", raising=False)
    monkeypatch.setattr("whatif.engines.compiled.folder._home", None)
    monkeypatch.setenv("WHATIF_HOME", str(tmp_path))
    assert kernel_folder() == tmp_path / "kernels"
    (tmp_path / "kernels").chmod(0o770)
    with pytest.raises(EngineError, match=r"kernels has mode 0770.*chmod go-w"):
        kernel_folder()


class Planted:
    def __reduce__(self):
        return (os.mkdir, (os.environ["PLANTED"],))


def test_a_file_that_others_may_write_to_is_not_read(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import sys

    monkeypatch.setenv("PLANTED", str(tmp_path / "planted"))
    assert run(step_of(3.75)) == 3.75
    (index,) = (folder / "__pycache__").glob("*.nbi")
    index.write_bytes(pickle.dumps(Planted()))
    index.chmod(0o666)
    kept = [name for name in sys.modules if name.startswith("whatif_kernel_")]
    for name in kept:
        monkeypatch.delitem(sys.modules, name)
    from whatif.engines.compiled.kernel import _kernel

    _kernel.cache_clear()
    with pytest.raises(EngineError, match=r"\.nbi has mode 0666"):
        run(step_of(3.75))
    assert not (tmp_path / "planted").exists()


def test_a_kernel_s_own_file_that_others_may_write_to(folder: Path) -> None:
    path = written(kernel_folder() / "whatif_kernel_0.py", "x = 1\n")
    assert path.stat().st_mode & 0o777 == 0o600
    path.chmod(0o666)
    with pytest.raises(EngineError, match=r"whatif_kernel_0\.py has mode 0666"):
        written(path, "x = 1\n")


def test_a_disk_without_room_is_no_fault_of_the_strategy(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(tempfile, "mkstemp", full)
    with pytest.raises(MachineError, match=r"could not be kept in .*No space left on device.*WHATIF_KERNELS"):
        run(step_of(4.25), "compiled")


@pytest.mark.parametrize(
    ("suffix", "harm"),
    [
        (".nbi", b""),
        pytest.param(".nbi", None, marks=pytest.mark.slow),
        pytest.param(".nbc", None, marks=pytest.mark.slow),
        (".nbc", b"\x80\xff"),
        (".py", b"\xff"),
    ],
)
def test_damaged_files_are_written_anew(folder: Path, suffix: str, harm: bytes | None) -> None:
    from whatif.engines.compiled.kernel import _kernel

    step = step_of(4.5 + suffix.encode()[-1] + (3 if harm is None else len(harm)))  # each time another kernel
    expected = run(step, "compiled")
    paths = [path for path in folder.rglob("*") if path.suffix == suffix]
    assert paths
    for path in paths:
        whole = path.read_bytes()
        path.write_bytes(whole[: len(whole) // 2] if harm is None else harm)
    for name in [name for name in sys.modules if name.startswith("whatif_kernel_")]:
        del sys.modules[name]
    _kernel.cache_clear()
    assert run(step, "compiled") == expected
    if suffix != ".py":
        assert all(path.stat().st_size > 20 for path in paths)


def test_what_numba_cannot_keep_is_said_of_its_file(folder: Path, tmp_path: Path, monkeypatch) -> None:
    """Of a function with a pointer in it, as one of ctypes: numba compiles it, and warns."""
    name = f"{_PREFIX}{'0' * 32}"
    file = tmp_path / f"{name}.py"
    file.write_text(
        "import ctypes\n"
        "from numba import njit\n"
        "number = ctypes.CFUNCTYPE(ctypes.c_double, ctypes.c_double)(lambda x: x)\n"
        "@njit(cache=True)\n"
        "def twice(x):\n"
        "    return 2.0 * number(x)\n"
    )
    keep_beside()
    monkeypatch.syspath_prepend(str(tmp_path))
    twice = importlib.import_module(name).twice
    with pytest.warns(NumbaWarning, match="Cannot cache compiled function") as told:
        assert twice(3.0) == 6.0
    assert {one.filename for one in told} == {str(file)}
