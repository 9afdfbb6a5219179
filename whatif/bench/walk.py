"""Benchmark of a walk-forward study of forests on a year of minutes, killed in the middle and resumed."""

from __future__ import annotations

import json
import time
from datetime import timedelta
from pathlib import Path

from whatif.bench.figures import Figure, Goal, Measurement
from whatif.bench.setting import Setting, said
from whatif.calendars import EPOCH
from whatif.errors import RunError
from whatif.lake import PREDICTIONS
from whatif.pins import current_pin, open_table, read_arrow, table_exists
from whatif.sources import IngestSpec, SampleMarket, default_symbols, sample_schedule, write_sample
from whatif.workflow import ingest

MODELS = 3
_STUDY = """\
study: bench-walk
data:      {{symbols: [EDGE], timeframe: 1min, start: {start}, end: {end}}}
calendar:  {{exchange: XNYS}}
features:  [roc(1), roc(5), roc(20)]
label:     {{kind: forward_vwap, horizon: 5min, target: return}}
models:
  small:  {{kind: random_forest, trees: 10, depth: 4, min_leaf: 50, seed: 7}}
  medium: {{kind: random_forest, trees: 20, depth: 5, min_leaf: 50, seed: 7}}
  large:  {{kind: random_forest, trees: 40, depth: 6, min_leaf: 50, seed: 7}}
strategy:  {{name: forecast_threshold, params: {{size: 500.0}}}}
axes:
  model:     [small, medium, large]
  threshold: {{from: 0.000005, to: {last}, step: 0.000005}}
execution: {{cash: 100000.0, commission: 0.0001}}
split:     {{kind: walk_forward, train: 60, validate: 20, windows: {windows}, embargo: 5min}}
"""
_FULL = (252, 12, 167)
_QUICK = (90, 2, 5)
_POLL_SECONDS = 0.5
_NOTES = (
    "forests of 10, 20 and 40 trees; each time is that of a whole process: imports, JVM, features, training, "
    "sweep, test windows, verdict, report, MLflow; SIGKILL of the driver after a third of the models",
)


def measure(setting: Setting) -> Measurement:
    """Time a walk-forward study that is killed once, and count the models that it trained."""
    sessions, windows, thresholds = _QUICK if setting.options.quick else _FULL
    models, configurations = MODELS * windows, MODELS * thresholds
    setting.say(f"walk: a sample market of {sessions} sessions")
    study = _study(setting, sessions, windows, thresholds)
    setting.say(
        f"walk: {windows} windows, {MODELS} forests, {configurations} configurations; killed, resumed"
    )
    started = time.perf_counter()
    kept = _run_and_kill(setting, study, models // 3)
    killed = time.perf_counter() - started
    answer = setting.location.home / "walk.json"
    setting.run_child(["-m", "whatif.bench.probe", "study", study, answer])
    whole = time.perf_counter() - started
    found = json.loads(answer.read_text(encoding="utf-8"))
    trained, distinct = _trained(setting)
    missing = windows * configurations - found["computed"] - found["resumed"]
    return Measurement(
        name="walk",
        title=f"walk-forward: {windows} windows x {MODELS} forests, {configurations} configurations, "
        f"{sessions} sessions of minutes",
        figures=(
            Figure("seconds", "both runs, the killed and the resumed one", whole, "s", Goal("under", 600.0)),
            Figure("models", "models whose predictions are stored", distinct, "", Goal("exactly", models)),
            Figure("twice", "models trained and stored twice", trained - distinct, "", Goal("exactly", 0)),
            Figure("missing", "backtests missing", missing, "", Goal("exactly", 0)),
            Figure("killed_seconds", f"run until it was killed, {kept} models stored", killed, "s"),
            Figure("failed", "backtests that failed", found["failed"], "", Goal("exactly", 0)),
        ),
        notes=_NOTES,
        detail=found,
    )


def _study(setting: Setting, sessions: int, windows: int, thresholds: int) -> Path:
    """Ingest the market and return the path of its study."""
    market = SampleMarket(seed=1, sessions=sessions, symbols=default_symbols(0.16)[:1])
    home = setting.location.home
    files = write_sample(market, home / "walk")
    spec = IngestSpec(exchange=market.exchange, timezone="UTC", accept=True)  # over bars of another bench
    ingest(files, spec, setting.location, setting.spark)
    days = sample_schedule(market).session
    first, last = (EPOCH + timedelta(days=int(day)) for day in days[[0, -1]])
    text = _STUDY.format(
        start=first, end=last + timedelta(days=1), windows=windows, last=f"{5e-6 * thresholds:.6f}"
    )
    path = home / "bench-walk.yaml"
    path.write_text(text, encoding="utf-8")
    return path


def _run_and_kill(setting: Setting, study: Path, wanted: int) -> int:
    """Start the study and kill its driver once so many models are stored; return how many are."""
    answer = setting.location.home / "walk-killed.json"
    command: list[str | Path] = ["-m", "whatif.bench.probe", "study", study, answer]
    process = setting.start_child(command, setting.location.home)
    try:
        while _trained(setting)[0] < wanted:
            if process.poll() is not None:
                raise RunError(f"the run ended before it could be killed: {said(setting.location.home)}")
            time.sleep(_POLL_SECONDS)
    finally:
        process.kill()
        process.wait()
    return _trained(setting)[1]


def _trained(setting: Setting) -> tuple[int, int]:
    """Return how often predictions of a model were stored, and of how many distinct ones."""
    where = setting.location
    if not table_exists(where, PREDICTIONS.name):
        return 0, 0
    # each model's predictions are one commit
    commits = open_table(where, PREDICTIONS.name).snapshots()
    if not commits:
        return 0, 0
    digests = read_arrow(current_pin(where, PREDICTIONS.name), ["model_digest"])["model_digest"]
    return len(commits), len(digests.unique())
