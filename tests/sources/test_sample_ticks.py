"""Made ticks are those of the sample market's minutes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

from whatif.sources import SampleMarket, default_symbols, generate, make_ticks
from whatif.sources.sample_ticks import main
from whatif.ticks import Trades, bar_kind, bars_of


def test_minutes_of_made_trades_are_the_market_s() -> None:
    market = SampleMarket(seed=2, sessions=2, symbols=default_symbols()[:1])
    name = market.symbols[0].name
    trades, quotes = make_ticks(market, name, quiet=0.0)
    bars = generate(market, name)
    plain = trades[trades["conditions"] == "@"]
    us = plain["ts"].dt.as_unit("us").astype("int64").to_numpy()
    made = bars_of(Trades(us, plain["price"].to_numpy(), plain["size"].to_numpy()), bar_kind("1min"))
    for column in ("open", "high", "low", "close", "volume"):
        np.testing.assert_allclose(made[column], bars[column], rtol=1e-12, err_msg=column)
    assert 0 < (trades["conditions"] == "Z").sum() < len(trades) / 100
    assert (quotes["bid"] < quotes["ask"]).all()
    pd.testing.assert_frame_equal(make_ticks(market, name, quiet=0.0)[0], trades)
    quiet, _ = make_ticks(market, name, quiet=0.1)
    assert 0.8 < quiet["ts"].dt.floor("1min").nunique() / len(bars) < 0.98


def test_the_command_writes_files_that_can_be_read(tmp_path: Path, capsys) -> None:
    assert main([str(tmp_path / "ticks")]) == 0
    assert "quotes: " in capsys.readouterr().out
    assert len(list((tmp_path / "ticks").glob("*.parquet"))) == 8
    assert main([]) == 2
