"""Names of configurations that stand in lakes already: whatever is built, they stay."""

from __future__ import annotations

import pytest

from whatif.search.grid import expand
from whatif.strategies import resolve
from whatif.study import digest, parse_study

CROSS = """
study: s
data: {symbols: [SPY], start: 2013-10-04, end: 2013-10-12}
calendar: {exchange: XNYS}
strategy: {name: sma_crossover, params: {size: 100}}
execution: {cash: 100000}
axes:
  fast: [5, 10]
  slow: [20, 50]
"""

FORECAST = """
study: s
data: {symbols: [SPY, IBM], start: 2013-10-04, end: 2013-10-12}
calendar: {exchange: XNYS}
features: [sma(5), close]
label: {horizon: 5min, target: return}
models: {rf: {trees: 20, depth: 5, seed: 7}, other: {trees: 3}}
strategy: {name: forecast_threshold}
axes:
  model: [rf, other]
  threshold: [0.001, 1.0e-4]
  execution: [{commission: 0.0}, {commission: 0.0005, slippage: 0.0001}]
"""

EVERYTHING = CROSS.replace("[SPY]", "[SPY, IBM]").replace(
    "axes:", "overlays: {stop_loss: 0.01, latency: 1}\nportfolio: shared\naxes:"
) + (
    "  take_profit: [null, 0.02]\n  flat_before_close: [15min, 1h]\n"
    "  execution: [{}, {commission: 0.0005, coc: true}]\n  timeframe: [1min, 60min]\n"
)

PINNED = {
    "crossover": (
        CROSS,
        "012cd8dabb432645",
        ("360507f96977ffdb", "953a728827dfe22b", "702b1138567314e9", "1a86f78028189a02"),
    ),
    "ranges": (
        CROSS.replace("[5, 10]", "{from: 1, to: 4}").replace("[20, 50]", "{from: 20, to: 30, step: 2}"),
        "cc13c02bf516f8fe",
        ("97c5e2ddcdd6a69e", "48f013e5215d14c3", "b15e078c82a86e0d", "6084d84a24f14ec2"),
    ),
    "everything": (
        EVERYTHING,
        "5f4c35a794261ee0",
        ("5c8bc964b7da6f95", "88f501d96a1900a4", "ff3b850d481070dc", "2d8a2a8c90d1fd1d"),
    ),
    "models": (
        FORECAST,
        "be6281dfca9f0815",
        ("e02807ce458c78e7", "e1c3794786a07f70", "276e424674f535a1", "065705d99c263843"),
    ),
}
"""Study, digest of what is written of it, and the first of its configurations."""


@pytest.mark.parametrize("name", PINNED)
def test_configurations_and_studies_keep_their_names(name: str) -> None:
    text, written, ids = PINNED[name]
    study = parse_study(text)
    assert digest(study.model_dump(mode="json", by_alias=True, exclude={"description"})) == written
    strategy = resolve(study.strategy.name)
    found = expand(study, strategy, lambda model, tf: {"model": model, "timeframe": tf}).configurations
    assert tuple(c.config_id for c in found[: len(ids)]) == ids
