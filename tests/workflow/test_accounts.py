"""Accounts of the ranking's first rows in a report, against stored returns and the rows' own figures."""

from __future__ import annotations

import numpy as np
import pytest

from whatif.lake.results import RETURNS
from whatif.workflow import RunOptions, answer, run

from .conftest import rows_of


@pytest.mark.parametrize("rank", ["per_symbol", "pooled"])
def test_each_row_has_its_account_on_validate(market, write_study, monkeypatch, rank) -> None:
    monkeypatch.setattr(answer, "MAX_POINTS", 50)
    result = run(write_study(period="bar", rank=rank), None, market, RunOptions(track=False, certify=False))
    told, board = result.data.accounts, result.leaderboard()
    assert list(told.keys) == list(zip(board["config_id"], board["symbol"], strict=True))
    assert told.growth.shape == (50, len(board))
    assert told.cash.tolist() == [100_000.0] * len(board)
    assert (np.diff(told.ends) > 0).all()
    assert (told.growth[0] == 1.0).all()
    stored = rows_of(market, RETURNS).query("window == 'validate'")
    for k, (config_id, symbol) in enumerate(told.keys):
        own = stored[(stored["config_id"] == config_id) & stored["symbol"].isin([symbol, *symbol.split("+")])]
        returns = np.mean([np.asarray(one) for one in own["returns"]], axis=0)
        # by hand: money that is left in, period by period, until half of the window and to its end
        money = [1.0]
        for one in returns:
            money.append(money[-1] * (1.0 + one))
        assert told.growth[-1, k] == pytest.approx(money[-1], rel=1e-12)
        at = round(24 * (len(money) - 1) / 49)
        assert told.growth[24, k] == pytest.approx(money[at], rel=1e-12)
    if rank == "per_symbol":
        assert 100.0 * (told.growth[-1] - 1.0) == pytest.approx(board["return_pct"].to_numpy(), abs=1e-9)
        held = board.set_index("symbol")["benchmark_return_pct"]
        assert {symbol: 100.0 * (one[-1] - 1.0) for symbol, one in told.hold.items()} == pytest.approx(
            {symbol: held[symbol].iloc[0] for symbol in told.hold}, abs=1e-9
        )
    else:
        assert told.pooled


def test_beyond_the_first_rows_the_chosen_one_alone_is_held(market, write_study, monkeypatch) -> None:
    monkeypatch.setattr(answer, "ACCOUNTS", 3)
    result = run(write_study(period="bar"), None, market, RunOptions(track=False, certify=False))
    assert len(result.data.accounts.keys) == 3
    assert (result.best.config_id, result.best.symbol) in result.data.accounts.keys


def test_a_run_without_a_report_reads_no_returns_for_it(market, write_study) -> None:
    result = run(
        write_study(period="bar"), None, market, RunOptions(track=False, certify=False, report=False)
    )
    assert result.data.accounts.keys == ()
