"""Progress of a long run: what is done, how fast, and an estimate of what is left."""

from __future__ import annotations

import time
from collections.abc import Callable
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.progress import BarColumn, Task, TaskID, TextColumn
from rich.progress import Progress as Bar
from rich.text import Text

_BAR_WIDTH = 12
"""Beside the longest line, a bar of this width fits 80 columns."""
_LINE_SECONDS = 30.0
_LEAST_SECONDS = 0.95  # a second, whatever a clock does to it; what is over sooner has its last line alone
_LINE_SHARE = 0.0999  # a tenth, whatever rounding does to it


class Progress:
    """Progress of the waves of one run; a bar on a terminal, a few plain lines elsewhere.

    The estimate of what is left goes by configuration-bars, as backtests differ in length, and counts only
    what this run has done itself.

    Parameters
    ----------
    backtests : int
        Backtests to be had in all.
    configuration_bars : float
        Bars to be walked in all, summed over those backtests.
    done : int
        Backtests that an earlier run has already stored.
    done_bars : float
        Their configuration-bars.
    console : rich.console.Console, optional
        Where to; standard error by default.
    clock : callable
        Seconds, for the rate.

    Examples
    --------
    >>> with Progress(200, 200 * 30_889) as progress:  # doctest: +SKIP
    ...     for wave in waves:
    ...         progress.advance(len(wave), wave.bars)
    """

    def __init__(
        self,
        backtests: int,
        configuration_bars: float,
        done: int = 0,
        done_bars: float = 0.0,
        console: Console | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._total, self._total_bars = backtests, configuration_bars
        self._done, self._done_bars, self._earlier_bars = done, done_bars, done_bars
        self._failed = 0
        self._console = console or Console(stderr=True)
        self._clock = clock
        self._started = clock()
        self._said_at, self._said_share = self._started, self._share()
        self._bar: Bar | None = None
        self._task: TaskID | None = None

    def __enter__(self) -> Self:
        """Start the clock, and the bar where there is a terminal."""
        self._started = self._said_at = self._clock()
        if self._console.is_terminal:
            self._bar = Bar(
                BarColumn(bar_width=_BAR_WIDTH),
                _Line(self),
                console=self._console,
                transient=True,
            )
            self._task = self._bar.add_task("", total=max(1.0, self._total_bars))
            self._bar.update(self._task, completed=self._done_bars)
            self._bar.start()
        elif self._done:
            self._console.print(
                f"{self._done:,} of {self._total:,} backtests were stored by an earlier run", highlight=False
            )
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Take the bar away and say in one line what was done."""
        if self._bar is not None:
            self._bar.stop()
        ending = "" if kind is None else " (stopped)"
        self._console.print(Text(f"{self.line(final=True)}{ending}"), highlight=False, soft_wrap=True)

    def advance(self, backtests: int, configuration_bars: float, failed: int = 0) -> None:
        """Count a finished wave.

        Parameters
        ----------
        backtests : int
            Backtests stored by it, failed ones included.
        configuration_bars : float
            Bars they walked.
        failed : int
            How many of them failed.
        """
        self._done += backtests
        self._done_bars += configuration_bars
        self._failed += failed
        if self._bar is not None and self._task is not None:
            self._bar.update(self._task, completed=self._done_bars)
        elif self._worth_a_line():
            self._console.print(Text(self.line()), highlight=False, soft_wrap=True)
            self._said_at, self._said_share = self._clock(), self._share()

    def line(self, final: bool = False) -> str:
        """Write the state in one line; an estimate of what is left while it runs."""
        elapsed = self._clock() - self._started
        parts = [
            f"{self._done:,}/{self._total:,} backtests",
            f"{rate(self._rate(elapsed))} configuration-bars/s",
            f"{duration(elapsed)} elapsed",
        ]
        if not final:
            left = self._left(elapsed)
            parts.append("estimating what is left" if left is None else f"about {duration(left)} left")
        if self._failed:
            parts.append(f"{self._failed:,} failed")
        return ", ".join(parts)

    def short(self) -> str:
        """Write the state in at most 66 characters, for beside a bar."""
        elapsed = self._clock() - self._started
        left = self._left(elapsed)
        parts = [
            f"{self._done:,}/{self._total:,} backtests",
            f"{rate(self._rate(elapsed))} bars/s",
            f"{duration(elapsed)} gone" if left is None else f"about {duration(left)} left",
        ]
        if self._failed:
            parts.append(f"{self._failed:,} failed")
        return ", ".join(parts)

    def _rate(self, elapsed: float) -> float:
        return (self._done_bars - self._earlier_bars) / elapsed if elapsed > 0 else 0.0

    def _left(self, elapsed: float) -> float | None:
        speed = self._rate(elapsed)
        return max(0.0, self._total_bars - self._done_bars) / speed if speed > 0 else None

    def _share(self) -> float:
        return self._done_bars / self._total_bars if self._total_bars > 0 else 1.0

    def _worth_a_line(self) -> bool:
        if self._done >= self._total:
            return False  # the closing line says it
        silent = self._clock() - self._said_at
        further = self._share() - self._said_share >= _LINE_SHARE
        return silent >= _LINE_SECONDS or (further and silent >= _LEAST_SECONDS)


class _Line(TextColumn):
    """The state beside the bar; runs on between waves, as the elapsed time does."""

    def __init__(self, progress: Progress) -> None:
        super().__init__("")
        self._progress = progress

    def render(self, task: Task) -> Text:
        """Return the state in words."""
        return Text(self._progress.short(), no_wrap=True, overflow="ellipsis")


def duration(seconds: float) -> str:
    """Write a time span: "0:42", "12:05", "3:04:10"."""
    whole = round(max(0.0, seconds))
    hours, rest = divmod(whole, 3600)
    minutes, seconds_left = divmod(rest, 60)
    return f"{hours}:{minutes:02}:{seconds_left:02}" if hours else f"{minutes}:{seconds_left:02}"


def rate(per_second: float) -> str:
    """Write a rate with three digits: "847", "12.3 k", "1.05 M"."""
    for size, sign in ((1e9, " G"), (1e6, " M"), (1e3, " k")):
        if per_second >= size:
            return f"{per_second / size:.3g}{sign}"
    return f"{per_second:.3g}"
