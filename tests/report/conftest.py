"""Made-up studies to show: nothing here was ever traded."""

from __future__ import annotations

import base64
import dataclasses
import hashlib
import itertools
import json
import re
import shutil
import subprocess
from collections.abc import Mapping
from html import unescape
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest

from whatif.report.data import ChosenSeries, Origin, RankedAccounts, Ranking, ReportData

METRICS = (
    "pnl_gross",
    "pnl_net",
    "costs",
    "return_pct",
    "sharpe",
    "sortino",
    "max_drawdown_pct",
    "max_drawdown_bars",
    "trades",
    "win_rate",
    "profit_factor",
    "sqn",
    "exposure",
    "turnover",
    "open_at_end",
)
BENCHMARKS = ("benchmark_return_pct", "benchmark_sharpe", "benchmark_max_drawdown_pct")
WINDOWS = {"validate": ("2024-03-04", 6), "test": ("2024-03-12", 6)}


def stamps(first: str, sessions: int, minutes: int = 390) -> pd.DatetimeIndex:
    """Minutes of regular sessions of New York, in UTC."""
    days = pd.bdate_range(first, periods=sessions)
    opens = [pd.Timestamp(f"{day:%Y-%m-%d} 09:30", tz="America/New_York").tz_convert("UTC") for day in days]
    parts = [
        pd.date_range(start, periods=minutes, freq="1min").tz_localize(None).to_numpy() for start in opens
    ]
    return pd.DatetimeIndex(np.concatenate(parts)).tz_localize("UTC").as_unit("us")


def bars_of(symbol: str, sessions: dict[str, tuple[str, int]], seed: int) -> pd.DataFrame:
    """Random-walk bars of each window."""
    rng = np.random.default_rng(seed)
    parts = []
    for window, (first, days) in sessions.items():
        ts = stamps(first, days)
        close = 100 * np.exp(np.cumsum(rng.standard_t(4, len(ts)) * 4e-4))
        start = np.append(100.0, close[:-1])
        wiggle = np.abs(rng.normal(0, 2e-4, (2, len(ts)))) * close
        high, low = np.maximum(start, close) + wiggle[0], np.minimum(start, close) - wiggle[1]
        parts.append(
            pd.DataFrame(
                {
                    "symbol": symbol,
                    "window": window,
                    "ts": ts,
                    "open": start,
                    "high": high,
                    "low": low,
                    "close": close,
                }
            )
        )
    return pd.concat(parts, ignore_index=True)


def traded(bars: pd.DataFrame, seed: int, hold: int = 70) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Trades at random times, and the account that they give."""
    rng = np.random.default_rng(seed)
    trades, equity = [], []
    for (symbol, window), rows in bars.groupby(["symbol", "window"], sort=False):
        rows = rows.reset_index(drop=True)
        position = np.zeros(len(rows))
        at = int(rng.integers(10, hold))
        while at + 5 < len(rows):
            out = min(len(rows) - 1, at + int(rng.integers(5, hold)))
            size = 100 * int(rng.choice([-1, 1]))
            entry, leave = float(rows["open"][at]), float(rows["open"][out])
            pnl = (leave - entry) * size
            trades.append(
                (symbol, window, rows["ts"][at], rows["ts"][out], size, entry, leave, pnl, pnl - 2.0)
            )
            position[at:out] = size
            at = out + int(rng.integers(5, hold))
        moves = np.append(0.0, np.diff(rows["close"]))
        account = 100_000 + np.cumsum(np.append(0.0, position[:-1]) * moves)
        bench = 100_000 * (1 + 0.4 * (rows["close"] / rows["close"][0] - 1))
        equity.append(
            pd.DataFrame(
                {
                    "symbol": symbol,
                    "window": window,
                    "ts": rows["ts"],
                    "equity": account,
                    "benchmark": bench,
                    "position": position,
                }
            )
        )
    names = [
        "symbol",
        "window",
        "opened_at",
        "closed_at",
        "size",
        "entry_price",
        "exit_price",
        "pnl",
        "pnl_net",
    ]
    return pd.DataFrame(trades, columns=names), pd.concat(equity, ignore_index=True)


def metrics(rng: np.random.Generator, n: int) -> dict[str, np.ndarray]:
    """Made-up metrics of `n` backtests."""
    net = rng.normal(0, 900, n)
    costs = rng.uniform(5, 400, n)
    sharpe = net / 500 + rng.normal(0, 0.4, n)
    return {
        "pnl_gross": net + costs,
        "pnl_net": net,
        "costs": costs,
        "return_pct": net / 1000,
        "sharpe": sharpe,
        "sortino": sharpe * 1.4,
        "max_drawdown_pct": rng.uniform(0.1, 6, n),
        "max_drawdown_bars": rng.integers(20, 1500, n).astype(float),
        "trades": rng.integers(3, 240, n).astype(float),
        "win_rate": rng.uniform(0.3, 0.65, n),
        "profit_factor": rng.uniform(0.6, 1.9, n),
        "sqn": rng.normal(0, 1.2, n),
        "exposure": rng.uniform(0.2, 0.95, n),
        "turnover": rng.uniform(1, 90, n),
        "open_at_end": rng.integers(0, 2, n).astype(float),
        "benchmark_return_pct": rng.normal(0.2, 0.3, n),
        "benchmark_sharpe": rng.normal(0.5, 0.5, n),
        "benchmark_max_drawdown_pct": rng.uniform(0.2, 3, n),
    }


def leaderboard(axes: dict[str, list], symbols: list[str], failed: int = 0, seed: int = 1) -> pd.DataFrame:
    """A ranked leaderboard over all combinations of the axes, on every symbol."""
    rng = np.random.default_rng(seed)
    points = list(itertools.product(*axes.values()))
    frame = pd.DataFrame(
        [(f"{i:04x}{i * 7919 % 65521:04x}c0", s, *p) for i, p in enumerate(points) for s in symbols],
        columns=["config_id", "symbol", *axes],
    )
    frame = frame.assign(status="ok", error=None, **metrics(rng, len(frame)))
    if failed:
        lost = rng.choice(len(frame), failed, replace=False)
        frame.loc[lost, "status"] = "failed"
        frame.loc[lost, "error"] = [
            f"StrategyError: slow={k % 3} must be larger than fast; raise slow" for k in range(failed)
        ]
        frame.loc[lost, [*METRICS, *BENCHMARKS]] = np.nan
    frame = frame.sort_values(
        ["status", "sharpe"], ascending=[False, False], na_position="last", ignore_index=True
    )
    rank = np.where(frame["status"] == "ok", np.arange(1, len(frame) + 1), np.nan)
    frame.insert(0, "rank", rank)
    return frame


def accounts_of(board: pd.DataFrame, rows: int = 30, points: int = 60, seed: int = 9) -> RankedAccounts:
    """Accounts of the first rows that ran: each ends at the row's return."""
    rng = np.random.default_rng(seed)
    good = board[board["status"] == "ok"].head(rows)
    steps = rng.normal(0, 0.003, (points - 1, len(good)))
    path = np.vstack([np.zeros(len(good)), np.cumsum(steps, axis=0)])
    tilt = np.linspace(0, 1, points)[:, None]
    wanted = good["return_pct"].to_numpy(dtype=float) / 100
    start = pd.Timestamp(WINDOWS["validate"][0], tz="UTC").value // 1000
    return RankedAccounts(
        keys=tuple(zip(good["config_id"], good["symbol"], strict=True)),
        cash=np.full(len(good), 100_000.0),
        ends=start + np.arange(points, dtype=np.int64) * 3 * 3_600_000_000,
        growth=1.0 + path + tilt * (wanted - path[-1]),
        hold={symbol: 1.0 + 0.01 * np.linspace(0, 1, points) for symbol in good["symbol"].unique()[:1]},
    )


def comparison(symbols: list[str], seed: int = 5) -> pd.DataFrame:
    """Metrics of the chosen configuration and of buy-and-hold."""
    rng = np.random.default_rng(seed)
    rows = [
        (s, w, who) for s in symbols for w in ("validate", "test") for who in ("strategy", "buy_and_hold")
    ]
    values = metrics(rng, len(rows))
    frame = pd.DataFrame(rows, columns=["symbol", "window", "who"])
    return frame.assign(**{key: values[key] for key in METRICS})


def study(
    axes: dict[str, list] | None = None,
    symbols: tuple[str, ...] = ("SYN_EDGE", "SYN_NOISE"),
    failed: int = 3,
    **changes: Mapping[str, Any],
) -> ReportData:
    """A whole made-up study; `changes` replace fields of its parts, as in `changed`."""
    axes = (
        {"fast": [5, 8, 10, 12, 15, 20], "slow": [30, 40, 50, 60, 80, 100, 120], "commission": [0.0, 0.0005]}
        if axes is None
        else axes
    )
    board = leaderboard(axes, list(symbols), failed)
    bars = pd.concat([bars_of(s, WINDOWS, k + 1) for k, s in enumerate(symbols)], ignore_index=True)
    trades, equity = traded(bars, 3)
    best = board.iloc[0]
    chosen = {
        "config_id": best["config_id"],
        "symbol": best["symbol"],
        **{a: best[a] for a in axes},
        "size": 100,
    }
    compared = comparison(list(symbols))
    own = (
        (compared["symbol"] == chosen["symbol"])
        & (compared["window"] == "validate")
        & (compared["who"] == "strategy")
    )
    compared.loc[own, list(METRICS)] = best[list(METRICS)].to_numpy(dtype=float)
    compared.loc[compared["who"] != "strategy", ["trades", "win_rate", "profit_factor", "sqn", "costs"]] = (
        np.nan
    )
    origin = Origin(
        study="crossover-sample",
        study_text="study: crossover-sample\ndata:  {symbols: [SYN_EDGE, SYN_NOISE], timeframe: 1min}\n"
        "axes:\n  fast: [5, 8, 10]\nobjective: sharpe\n",
        notes=(
            "The data is synthetic: SYN_EDGE carries a planted edge of Sharpe 4.0, SYN_NOISE is a martingale,"
            " in which nothing can be predicted.",
        ),
        pins=[
            {
                "table": "lake.whatif.bars",
                "snapshot_id": 5530912384401234567,
                "metadata_location": "file:/tmp/lake/whatif/bars/metadata/v3.metadata.json",
            }
        ],
        windows={
            "train": ("2024-02-01T14:30Z", "2024-03-04T14:30Z"),
            "validate": ("2024-03-04T14:30Z", "2024-03-12T13:30Z"),
            "test": ("2024-03-12T13:30Z", "2024-03-20T13:30Z"),
        },
        environment={
            "whatif": "0.1.0",
            "versions": {"python": "3.11.2", "pyspark": "3.5.9", "backtrader": "1.9.78"},
            "user": "quant",
            "host": "desk-7",
            "command": "whatif run study.yaml",
            "started": pd.Timestamp("2024-04-01T09:00:00Z"),
            "finished": pd.Timestamp("2024-04-01T09:01:12Z"),
            "engine": "backtrader",
            "ok": len(board) - failed,
            "failed": failed,
        },
    )
    ranking = Ranking("sharpe", "per_symbol", board, tuple(axes))
    series = ChosenSeries(chosen, compared, equity, trades, bars)
    whole = ReportData(origin, ranking, series, accounts=accounts_of(board))
    return changed(whole, **changes)


def changed(data: ReportData, **parts: Mapping[str, Any]) -> ReportData:
    """The study with other fields in its parts: `changed(data, ranking={"axes": ()})`."""
    new = {name: dataclasses.replace(getattr(data, name), **fields) for name, fields in parts.items()}
    return dataclasses.replace(data, **new)


@pytest.fixture(scope="session")
def make() -> SimpleNamespace:
    """Return the builders of this module."""
    return SimpleNamespace(
        study=study,
        changed=changed,
        bars_of=bars_of,
        traded=traded,
        leaderboard=leaderboard,
        comparison=comparison,
        stamps=stamps,
    )


NAMES = ("chromium", "chromium-browser", "google-chrome", "chrome")
FLAGS = (
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync",
    "--disable-background-networking", "--disable-component-update", "--enable-logging=stderr",
    "--virtual-time-budget=20000", "--window-size=1440,900",
)  # fmt: skip


@pytest.fixture
def ask(tmp_path):
    """Open a page and run a script in it; return what the script returns, and the console's lines.

    Further arguments are flags of the browser, instead of those before them of the same name.
    """
    program = next(filter(None, map(shutil.which, NAMES)), None)
    if program is None:
        pytest.skip(f"no browser on PATH: install one of {', '.join(NAMES)}")

    def run(text: str, script: str, *flags: str):
        page = tmp_path / "page.html"
        wrapped = (
            "(async () => { const out = document.createElement('pre'); out.id = 'result';"
            "let value; try { await window.whatifReady; value = await (async () => {"
            + script
            + "})(); } catch (e) { value = String(e.stack); }"
            "out.textContent = JSON.stringify(value); document.body.append(out); })();"
        )
        digest = base64.b64encode(hashlib.sha256(wrapped.encode()).digest()).decode()
        text = text.replace("script-src ", f"script-src 'sha256-{digest}' ", 1)
        page.write_text(text.replace("</body>", f"<script>{wrapped}</script></body>"), encoding="utf-8")
        command = [
            program,
            *FLAGS,
            *flags,
            f"--user-data-dir={tmp_path / 'profile'}",
            "--dump-dom",
            page.as_uri(),
        ]
        done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True)
        found = re.search(r'<pre id="result">(.*?)</pre>', done.stdout, re.DOTALL)
        assert found, done.stdout[-500:] + done.stderr[-2000:]
        console = [line for line in done.stderr.splitlines() if "CONSOLE" in line]
        return json.loads(unescape(found.group(1))), console

    return run
