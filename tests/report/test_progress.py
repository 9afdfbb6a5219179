from __future__ import annotations

import importlib.util
import io
import re
import time
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from whatif.domain.compile import _set_up
from whatif.report.progress import Progress, duration, rate
from whatif.report.waiting import compiling_said, waiting, waits_on


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def _lines(waves: int, seconds: float, **arguments) -> list[str]:
    clock, console = Clock(), Console(file=io.StringIO(), width=40)
    with Progress(100, 100_000.0, console=console, clock=clock, **arguments) as progress:
        for _ in range(waves):
            clock.now += seconds
            progress.advance(100 // waves, 100_000 / waves)
    return console.file.getvalue().splitlines()


def test_rate_and_what_is_left_by_hand():
    # a quarter in 10 s: 2,500 bars a second, 30 s for the other 75,000
    assert _lines(4, 10.0)[0] == "25/100 backtests, 2.5 k configuration-bars/s, 0:10 elapsed, about 0:30 left"


def test_without_a_terminal_there_are_few_lines():
    lines = _lines(100, 0.1)
    assert 8 <= len(lines) <= 11
    assert lines[-1] == "100/100 backtests, 10 k configuration-bars/s, 0:10 elapsed"


def test_a_short_run_has_its_last_line_alone():
    assert _lines(10, 0.09) == ["100/100 backtests, 111 k configuration-bars/s, 0:01 elapsed"]


def test_slow_waves_speak_up_every_half_minute():
    assert len(_lines(20, 31.0)) == 20


def test_what_an_earlier_run_did_is_no_part_of_the_rate():
    clock, console = Clock(), Console(file=io.StringIO(), width=200)
    with Progress(100, 1000.0, done=80, done_bars=800.0, console=console, clock=clock) as progress:
        clock.now += 10
        progress.advance(10, 100.0)
    first, second, _ = console.file.getvalue().splitlines()
    assert first == "80 of 100 backtests were stored by an earlier run"
    assert second == "90/100 backtests, 10 configuration-bars/s, 0:10 elapsed, about 0:10 left"


def test_failures_are_counted():
    progress = Progress(10, 10.0, console=Console(file=io.StringIO()), clock=Clock())
    progress.advance(5, 5.0, failed=2)
    assert progress.line().endswith("2 failed")


def test_a_run_that_breaks_off_says_so():
    console = Console(file=io.StringIO(), width=200)
    with pytest.raises(KeyboardInterrupt), Progress(10, 10.0, console=console, clock=Clock()):
        raise KeyboardInterrupt
    assert console.file.getvalue().strip().endswith("(stopped)")


def test_nothing_to_do_is_no_division_by_zero():
    with Progress(0, 0.0, console=Console(file=io.StringIO()), clock=Clock()) as progress:
        assert "0/0 backtests" in progress.line()


def test_on_a_terminal_a_bar_moves_and_goes():
    console = Console(file=io.StringIO(), force_terminal=True, width=140)
    with Progress(10, 10.0, console=console) as progress:
        progress.advance(5, 5.0)
    assert "5/10 backtests" in console.file.getvalue()


@pytest.mark.parametrize(
    ("seconds", "text"), [(42.4, "0:42"), (725, "12:05"), (11050, "3:04:10"), (-1, "0:00")]
)
def test_durations(seconds, text):
    assert duration(seconds) == text


@pytest.mark.parametrize(
    ("value", "text"), [(847.2, "847"), (12_345, "12.3 k"), (1.05e6, "1.05 M"), (2e9, "2 G"), (0, "0")]
)
def test_rates(value, text):
    assert rate(value) == text


def test_the_bar_fits_80_columns():
    clock, console = Clock(), Console(file=io.StringIO(), width=80, force_terminal=True, color_system=None)
    with Progress(2_400_000, 2.4e12, console=console, clock=clock) as progress:
        clock.now += 9_000
        progress.advance(1_234_567, 1.2e12, failed=12_345)
        assert (
            progress.short()
            == "1,234,567/2,400,000 backtests, 133 M bars/s, about 2:30:00 left, 12,345 failed"
        )
        clock.now += 1
        progress._bar.refresh()
    shown = re.sub(r"\x1b\[[0-9?]*[A-Za-z]", "", console.file.getvalue()).replace("\r", "\n").splitlines()
    drawn = [line for line in shown if "left" in line and "elapsed" not in line]
    assert drawn
    assert all(len(line) <= 80 for line in drawn)
    assert all("about 2:30" in line for line in drawn)


def test_a_short_phase_is_silent_and_a_long_one_is_not():
    console = Console(file=io.StringIO(), width=200)
    with waiting(console, "model forest, 1 of 2", first_seconds=0.05):
        time.sleep(0.6)
    *lines, last = console.file.getvalue().splitlines()
    # after 0.05 s, then as the time doubles: 0.1, 0.2, 0.4, ...
    assert 2 <= len(lines) <= 6
    assert last == "model forest, 1 of 2: done after 0:01"
    assert all(line.startswith("model forest, 1 of 2, 0:0") and line.endswith(" so far") for line in lines)
    with waiting(console, "short", first_seconds=5.0):
        pass
    assert console.file.getvalue().splitlines() == [*lines, last]


def test_a_phase_that_fails_is_over():
    console = Console(file=io.StringIO())
    with pytest.raises(ValueError, match="no"), waiting(console, "phase", first_seconds=0.05):
        raise ValueError("no")
    time.sleep(0.15)
    assert console.file.getvalue() == ""


def test_a_long_phase_that_fails_says_so_last():
    console = Console(file=io.StringIO())
    phase = waiting(console, "phase", first_seconds=0.05)
    phase.__enter__()
    time.sleep(0.12)
    assert not phase.__exit__(ValueError, ValueError("no"), None)
    assert console.file.getvalue().splitlines()[-1] == "phase: stopped after 0:00"


def test_on_a_terminal_a_phase_counts_seconds_and_goes_away():
    console = Console(file=io.StringIO(), force_terminal=True, width=80)
    with waiting(console, "[b]1 of 3: 2 files[/b]"):
        time.sleep(0.3)
        with waiting(console, "another"):  # one line goes on, the inner one is left out
            pass
    said = console.file.getvalue()
    assert "[b]1 of 3: 2 files[/b], 0:00" in said
    assert said.endswith(("\x1b[?25h\r\x1b[1A\x1b[2K", "\x1b[2K", "\x1b[?25h"))


def test_nobody_is_told_without_a_console():
    with waits_on(None)("phase"):
        pass
    with waits_on(Console(file=io.StringIO()))("phase"):
        pass


KERNELS = """
import numba

@numba.njit(cache=True)
def twice(x):
    return 2 * x

@numba.njit(cache=True)
def thrice(x):
    return 3 * x
"""


def _kernels(folder: Path) -> Any:
    """Return kernels that numba keeps in a folder, as a process finds them that begins."""
    spec = importlib.util.spec_from_file_location("whatif_test_kernels", folder / "whatif_test_kernels.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_that_a_strategy_is_compiled_is_said_once_and_only_if_it_is(tmp_path: Path) -> None:
    (tmp_path / "whatif_test_kernels.py").write_text(KERNELS)
    _set_up()  # of numba, as before the first strategy
    said = []
    for folder in (tmp_path, tmp_path, tmp_path):
        console = Console(file=io.StringIO(), width=40)
        with compiling_said(console, "own.py"), compiling_said(None, "no.py"):
            kernels = _kernels(folder)
            assert (kernels.twice(2), kernels.thrice(2)) == (4, 6)
        said.append(console.file.getvalue())
    first, *later = said
    assert first == "compiling own.py for the first time, which takes some seconds; kept for the next run\n"
    assert later == ["", ""]
    _kernels(tmp_path).twice(2.0)  # nobody is told
