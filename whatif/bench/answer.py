"""Benchmark of the time to an answer, as a user feels it: each command a process, from start to prompt."""

from __future__ import annotations

import json
import tempfile
import time
from collections.abc import Iterator, Mapping
from datetime import timedelta
from pathlib import Path
from statistics import median

from whatif.bench.figures import Figure, Goal, Measurement
from whatif.bench.setting import MAIN, Setting
from whatif.sources import SampleMarket, generate

_SYMBOL, _MINUTES_A_SESSION, _FAST = "NOISE", 390, "5, 10, 15, 20, 25"

GOALS = {
    "ingest": ("a CSV of minutes into a new lake", 4.0),
    "study": ("a study of 32 configurations, with report and MLflow", 6.0),
    "value": ("one more value of an axis: 8 new backtests", 4.0),
    "nothing": ("the same again, of which nothing is new", 3.0),
    "leaderboard": ("its leaderboard", 1.5),
    "session": ("32 other configurations in a session that has run a study, without report", 1.0),
}
"""What is timed, in this order, and the most seconds that it should take."""

_NOTES = (
    "wall time from command to prompt: start of Python, imports, work; medians over new lakes",
    "kernels that are compiled anew in each lake: 'study' includes that",
    "the session is a process that runs two studies: from the call of the second to its answer, certified "
    "and judged; no MLflow",
)


def measure(setting: Setting) -> Measurement:
    """Time the commands of a user's first hour."""
    setting.say(f"answer: {', '.join(GOALS)}; each in a new process")
    rounds = [_timed(setting) for _ in range(setting.options.repeats)]
    return Measurement(
        name="answer",
        title=f"from command to answer, {setting.options.most_bars:,} minutes of one symbol",
        figures=tuple(
            Figure(
                f"{key}_seconds", text, median(round_[key] for round_ in rounds), "s", Goal("at most", limit)
            )
            for key, (text, limit) in GOALS.items()
        ),
        notes=_NOTES,
    )


def _timed(setting: Setting) -> Mapping[str, float]:
    with tempfile.TemporaryDirectory(prefix="whatif-bench-answer-", dir=setting.location.home) as folder:
        seconds = {}
        for key, arguments in _commands(Path(folder), setting.options.most_bars):
            started = time.perf_counter()
            setting.run_child(["-c", MAIN, *arguments], Path(folder) / "home")
            seconds[key] = time.perf_counter() - started
        return seconds | {"session": _session(setting, Path(folder))}


def _session(setting: Setting, folder: Path) -> float:
    """Return the seconds that a session takes for other values of the study that lies in a folder."""
    study, found = folder / "study.yaml", folder / "session.json"
    text = study.read_text(encoding="utf-8").replace("study: answer", "study: session")
    asked = [folder / "first.yaml", folder / "second.yaml"]
    for path, fast in zip(asked, ("6, 11, 16, 21", "7, 12, 17, 22"), strict=True):
        path.write_text(text.replace(_FAST, fast), encoding="utf-8")
    setting.run_child(["-m", "whatif.bench.probe", "session", *asked, found], folder / "home")
    return float(json.loads(found.read_text(encoding="utf-8"))["seconds"])


def _commands(folder: Path, bars: int) -> Iterator[tuple[str, list[str]]]:
    """Yield what is timed, and the command; files are written before it is."""
    frame = generate(SampleMarket(sessions=bars // _MINUTES_A_SESSION + 2), _SYMBOL).head(bars)
    path, study = folder / "bars.csv", folder / "study.yaml"
    frame.to_csv(path, index=False)
    first, last = frame["ts"].iloc[0].date(), frame["ts"].iloc[-1].date() + timedelta(days=1)
    text = (
        f"study: answer\ndata: {{symbols: [{_SYMBOL}], timeframe: 1min, start: {first}, end: {last}}}\n"
        "calendar: {exchange: XNYS}\nstrategy: {name: sma_crossover}\n"
        "axes: {fast: [FAST], slow: [30, 40, 50, 60, 70, 80, 90, 100]}\n"
    )
    yield "ingest", ["ingest", str(path), "--exchange", "XNYS", "--timezone", "UTC"]
    study.write_text(text.replace("FAST", "5, 10, 15, 20"), encoding="utf-8")
    yield "study", ["run", str(study)]
    study.write_text(text.replace("FAST", _FAST), encoding="utf-8")
    yield "value", ["run", str(study)]
    yield "nothing", ["run", str(study)]
    yield "leaderboard", ["leaderboard", str(study)]
