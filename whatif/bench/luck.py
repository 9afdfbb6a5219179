"""Benchmark of the statistics over everything tried, at the size of a large study."""

from __future__ import annotations

import json
from typing import Any

from whatif.bench.figures import Figure, Goal, Measurement
from whatif.bench.setting import Setting

SIZES = {"pbo": (2_000, 10_000), "spa": (2_000, 1_000)}
_QUICK = {"pbo": (160, 100), "spa": (160, 100)}
_NOTES = (
    "PBO: probability of backtest overfitting on 16 blocks; SPA: superior predictive ability by arch with "
    "1,000 bootstraps. Independent normal returns; each in a process of its own, imports not counted",
)


def measure(setting: Setting) -> Measurement:
    """Time both statistics, and look at their memory."""
    sizes = _QUICK if setting.options.quick else SIZES
    pbo, spa = (_probe(setting, name, *sizes[name]) for name in ("pbo", "spa"))
    return Measurement(
        name="luck",
        title="statistics over everything tried",
        figures=(
            Figure("pbo_seconds", _text("PBO", sizes["pbo"]), pbo["seconds"], "s", Goal("under", 10.0)),
            Figure("pbo_peak", "its peak memory", pbo["peak_mb"], "MB", Goal("under", 1500.0)),
            Figure("splits", "its splits", pbo["count"], "", Goal("exactly", 12_870)),
            Figure("spa_seconds", _text("SPA", sizes["spa"]), spa["seconds"], "s", Goal("under", 15.0)),
            Figure("spa_peak", "its peak memory", spa["peak_mb"], "MB"),
        ),
        notes=_NOTES,
        detail={"pbo": pbo, "spa": spa},
    )


def _text(name: str, size: tuple[int, int]) -> str:
    return f"{name} of {size[1]:,} configurations x {size[0]:,} periods"


def _probe(setting: Setting, name: str, periods: int, configurations: int) -> dict[str, Any]:
    setting.say(f"luck: {name}")
    answer = setting.location.home / f"luck-{name}.json"
    size = [str(periods), str(configurations)]
    setting.run_child(["-m", "whatif.bench.probe", "statistic", name, *size, answer])
    found: dict[str, Any] = json.loads(answer.read_text(encoding="utf-8"))
    return found
