"""Studies made wrong at random, by seed: leaves, keys, branches and single characters."""

from __future__ import annotations

import random
from typing import Any

BASES: tuple[dict[str, Any], ...] = (
    {
        "study": "s", "data": {"symbols": ["SPY", "IBM"], "timeframe": "1min", "start": "2013-10-04",
        "end": "2013-10-12"},
        "calendar": {"exchange": "XNYS", "session": "regular"},
        "strategy": {"name": "sma_crossover", "params": {"size": "10"}},
        "axes": {"fast": ["3", "5"], "slow": {"from": "20", "to": "40", "step": "10"},
                 "execution": [{"commission": "0.0"}, {"commission": "0.0005", "slippage": "0.0001"}],
                 "timeframe": ["1min", "5min"]},
        "execution": {"cash": "100000"}, "overlays": {"stop_loss": "0.02", "flat_before_close": "15min"},
        "split": {"kind": "holdout", "train": "0", "validate": "0.5", "test": "0.5", "embargo": "5min"},
        "objective": "sharpe", "rank": "pooled", "keep": {"trades": "best", "equity": "3"},
    },
    {
        "study": "m", "data": {"symbols": ["SPY"], "start": "2013-09-02", "end": "2013-10-12"},
        "calendar": {"exchange": "XNYS"}, "features": ["ema(10)", "'sma(vwap, 20)'", "close"],
        "label": {"kind": "forward_vwap", "horizon": "5min", "target": "return"},
        "models": {"a": {"kind": "random_forest", "trees": ["5", "10"], "depth": "5", "seed": "7",
        "tune": {"folds": "2"}},
                   "b": {"trees": "5", "feature_subset": "sqrt"}},
        "strategy": {"name": "forecast_threshold", "params": {"size": "100"}},
        "axes": {"model": ["a", "b"], "threshold": ["0.0001", "2e-4"]},
        "split": {"kind": "walk_forward", "train": "10", "validate": "5d", "test": "3", "anchored": "true"},
        "engine": "auto", "portfolio": "separate", "period": "auto",
    },
    {
        "study": "c", "description": "text", "data": {"symbols": ["BTC"], "timeframe": "1h",
        "start": "2013-09-02", "end": "2013-10-12"},
        "calendar": {"session": "24/7"}, "strategy": {"name": "breakout"},
        "split": {"kind": "cpcv", "folds": "6", "test_folds": "2", "embargo": "1", "test": "0.2"},
        "trials": "study", "axes": {"latency": ["0", "1"], "max_bars_held": ["null", "10"]},
    },
)  # fmt: skip
"""Studies as trees, whose leaves are YAML."""

FRAGMENTS = (
    "", "''", "' '", "null", "~", "true", "yes", "off", "[]", "{}", "[[]]", "[{}]", "{a: 1}", "[1, 1]",
    "- 1", "? a", "0", "-0",
    "-0.0", "1", "-1", "2", "3", "0.5", "1e400", "-1e400", ".nan", ".inf", "-.inf", "1e308", "1.0e308",
    "5e-324", "1e-300",
    "99999999999999999999", "-9223372036854775809", "9223372036854775808", "1" + "0" * 50, "9" * 5000,
    "0x" + "f" * 300,
    "0b" + "1" * 90, "1_000", "017", "0o17", "1:30:00", "1:" * 400 + "1", "2013-02-30", "0001-01-01",
    "9999-12-31",
    "2262-04-12", "1677-09-20", "1900-01-01", "2013-10-04T09:30:00Z", "2013-10-05",
    "[2013-10-04, 2013-10-05]", "00:00",
    "{from: 1, to: 1000000}", "{from: 1, to: 20000}", "{from: 1, to: 1e300, step: 1e-300}",
    "{from: 0, to: 1, step: 1e-9}",
    "{from: 3, to: 5, step: -1}", "{from: .nan, to: 1}", "{from: 2013-10-04, to: 5}", "{from: a, to: b}",
    "{from: 1, to: 4}",
    "5min", "1min", "1h", "1d", "2d", "60min", "0min", "7min", "9" * 30 + "min", "9" * 4500 + "d", "99999d",
    "36525d", "1D",
    "!!python/object/apply:os.system ['true']", "!!python/name:os.system", "!!binary aGk=", "!!binary '%'",
    "!!set {a, b}",
    "!!omap [a: 1]", "!!pairs [a: 1]", "!!int x", "!!int ''", "!!float x", "!!float ''", "!!bool 3",
    "!!bool []", "!!null 3",
    "!!timestamp x", "!!str 5", "!!map []", "!!seq {}", "!!merge x", "!unknown x", "&a [*a]", "&a {x: *a}",
    "*none",
    "&b [1, 2]", "*b", "{<<: {a: 1}}", "{<<: [1]}", "{<<: 3}", "{? [1] : 2}", "{? {a: 1} : 2}", "{1: 2}",
    "{null: 1}",
    "{true: 1}", "{2013-10-04: 1}", "{'': 1}", "[" * 15 + "]" * 15, "[" * 400 + "]" * 400,
    "{a: " * 400 + "1" + "}" * 400,
    "'" + "x" * 300 + "'", "x" * 30000, "'sma(" + "sma(" * 200 + "close" + ",3)" * 201 + "'",
    "'sma(" + "(" * 90 + "'",
    "'sma(close, 1000000000000000000000)'", "'sma(close, " + "-" * 900 + "1)'", "'sma(0)'", "'sma(1e3)'",
    "'bollinger_top(5, 1e400)'",
    "'(close - sma(20)) / atr(14)'", "'lambda: 0'", "'close.__class__'", "'crossover(close, sma(3))'",
    "'f\"{x}\"'", "'sma(x := 3)'",
    "'macd(3, 5, 7, 9)'", "'sma(b\"x\")'", "'sma(\\'a\\')'", "'a\\'", '"a\\nb"', '"a\\0b"', '"\\x1b[2J"',
    '"\\u202eYPS"', '"\\ud800"',
    '"\\uff33PY"', "'[/red]'", "'[bold]'", "'=HYPERLINK(1)'", "CON", "..", "../x.py", "/dev/zero",
    "/dev/zero.py", "none.py", "'a:b.py'",
    "os:system", "..x:y", ".:y", "x.:y", "'a b:c'", "whatif:run", "bt", "backtrader:Strategy",
    "whatif.strategies:strategy", "sma_crossover",
    "ema_crossover", "rsi_reversion", "forecast_threshold", "breakout", "XNYS", "24/7", "24/5", "XHKG",
    "XTKS", "../../etc", "regular",
    "extended", "compiled", "backtrader", "shared", "pooled", "per_symbol", "all", "best", "cpcv",
    "walk_forward", "holdout", "sortino",
    "trades", "pnl_net", "return_pct", "session", "hour", "bar", "{kind: cpcv, folds: 100, test_folds: 50}",
    "{kind: cpcv, folds: 5}",
    "{kind: walk_forward, validate: 1, windows: 10000}", "{kind: [1]}", "{kind: null}", "{kind: {a: 1}}",
    "level", "onethird", "0.3", "1.0",
)  # fmt: skip
"""Values that have broken readers of studies, and values that are right in another place."""

_CHARACTERS = "[]{}:,&*!|>'\"%@`#-? \n\t\\\0\x1b\u2028\ufeff\u202e0a_.~<"


def mutated(seed: int) -> str:
    """Return the text of a study with a few things wrong in it, the same for the same seed."""
    draw = random.Random(seed)
    tree = _copied(draw.choice(BASES))
    for _ in range(draw.choice((1, 1, 1, 2, 3))):
        _mutate(draw, tree)
    text = written(tree)
    if draw.random() < 0.25:
        for _ in range(draw.choice((1, 1, 2, 5))):
            at = draw.randrange(len(text) + 1)
            kept = at + draw.choice((0, 0, 1, 1, 20))
            text = text[:at] + draw.choice(("", draw.choice(_CHARACTERS))) + text[kept:]
    return text


def written(tree: dict[str, Any]) -> str:
    """Return the YAML of a tree."""
    return "\n".join(f"{key}: {_flow(value)}" for key, value in tree.items()) + "\n"


def _mutate(draw: random.Random, tree: dict[str, Any]) -> None:
    places = list(_places(tree))
    holder, key = draw.choice(places)
    kind = draw.random()
    if kind < 0.6:
        holder[key] = draw.choice(FRAGMENTS)
    elif kind < 0.7:
        del holder[key]
    elif kind < 0.8:
        other, where = draw.choice(places)
        holder[key] = _flow(other[where])
    elif kind < 0.9 and isinstance(holder, dict):
        names = [str(name) for _, name in places] + list(FRAGMENTS)
        holder[draw.choice(names)] = holder.pop(key)
    else:
        holder[key] = draw.choice(([holder[key]], {"a": holder[key]}, [holder[key]] * 2, [holder[key]] * 60))


def _places(tree: Any) -> list[tuple[Any, Any]]:
    keys = list(tree) if isinstance(tree, dict) else range(len(tree)) if isinstance(tree, list) else ()
    return [place for key in keys for place in ((tree, key), *_places(tree[key]))]


def _flow(value: Any) -> str:
    if isinstance(value, dict):
        return "{" + ", ".join(f"{key}: {_flow(one)}" for key, one in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(_flow(one) for one in value) + "]"
    return str(value)


def _copied(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _copied(one) for key, one in value.items()}
    return [_copied(one) for one in value] if isinstance(value, list) else value
