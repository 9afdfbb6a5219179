"""Markets that did not happen: shocks worked by hand, and pasts drawn anew beside arch's own draws."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import numpy as np
import pytest
from arch.bootstrap import CircularBlockBootstrap, StationaryBootstrap

from whatif.axes import MarketAxis, read_axes
from whatif.domain import PRICE_FIELDS, Bars
from whatif.errors import StudyError
from whatif.resolve import check_study
from whatif.search import change_bars, change_of
from whatif.study import parse_study
from whatif.testing import check_axis

from ..markets import us, walk

AT = "2013-10-08T14:00:00+00:00"


def axis(kind: str, **keys: Any) -> MarketAxis:
    (found,) = read_axes({"own": {"kind": kind, **keys}}).values()
    assert isinstance(found, MarketAxis)
    return found


def shocked(bars: Bars, **shock: Any) -> Bars:
    one = axis("shock", values=[shock])
    return change_bars([change_of(one, one.values[0])], bars)


def same(one: Bars, other: Bars) -> bool:
    return all(
        getattr(one, name).tobytes() == getattr(other, name).tobytes() for name in (*PRICE_FIELDS, "ts")
    )


def few(close: list[float]) -> Bars:
    """Return the first minutes of a session: opens are the closes before, high and low 1 beyond them."""
    bars = walk("A", 1).slice(0, len(close))
    closes = np.array(close)
    opens = np.concatenate((closes[:1], closes[:-1]))
    top, bottom = np.maximum(opens, closes) + 1.0, np.minimum(opens, closes) - 1.0
    return replace(bars, open=opens, high=top, low=bottom, close=closes, vwap=closes)


class TestShock:
    """Shocks."""

    @pytest.mark.parametrize(
        "shock",
        [
            {},
            {"gap": 0, "at": AT, "seed": 3},
            {"volatility": 1, "spread": 1.0, "volume": 1, "delay": 0},
            {"trend": 0.0, "missing": 0.0, "tick": 0},
            {"gap": -0.5, "at": AT, "symbols": ["B"]},
        ],
    )
    def test_none_is_the_identity_as_bytes(self, shock: dict[str, Any]) -> None:
        bars = walk("A", 1, minutes=60)
        one = axis("shock", values=[shock])
        assert same(one.change_bars(one.values[0], bars), bars)
        assert one.is_off(one.values[0]) == ("symbols" not in shock)

    def test_it_passes_the_suite(self) -> None:
        values = [
            {},
            {"gap": -0.05, "at": datetime(2013, 10, 8, 14, tzinfo=UTC)},
            {"volatility": 1.5, "trend": 0.3, "spread": 3.0, "volume": 0.5},
            {"missing": 0.2, "seed": 4, "tick": 0.05, "delay": 3},
        ]
        check_axis(type(axis("shock", values=[{}])), values, {}, [walk("A", 1, minutes=60)])

    def test_a_gap_moves_what_comes_from_its_instant_on(self) -> None:
        bars = walk("A", 1)
        made = shocked(bars, gap=-0.05, at=AT)
        after = bars.ts >= us("2013-10-08T14:00")
        assert np.array_equal(made.close[~after], bars.close[~after])
        assert np.array_equal(made.close[after], bars.close[after] * 0.95)

    def test_volatility_multiplies_returns(self) -> None:
        made = shocked(few([100.0, 110.0, 99.0]), volatility=2.0)
        # returns of 10 % and -10 % become 20 % and -20 %
        assert made.close == pytest.approx([100.0, 120.0, 96.0])
        assert made.open == pytest.approx([100.0, 100.0, 120.0])
        # the high of 111 was 11 % above the close before
        assert made.high[1] == pytest.approx(122.0)
        flat = shocked(few([100.0, 110.0, 99.0]), volatility=0.0)
        assert flat.close.tolist() == [100.0] * 3

    def test_a_trend_compounds_by_the_clock(self) -> None:
        bars = walk("A", 1)
        made = shocked(bars, trend=0.2)
        years = (bars.ts - bars.ts[0]) / (365.25 * 86_400e6)
        assert made.close == pytest.approx(bars.close * 1.2**years, rel=1e-12)

    def test_spread_volume_and_tick(self) -> None:
        made = shocked(few([100.0, 110.0]), spread=3.0)
        assert (made.high.tolist(), made.low.tolist()) == ([103.0, 113.0], [97.0, 97.0])
        bars = walk("A", 1, minutes=30)
        assert np.array_equal(shocked(bars, volume=0.5).volume, bars.volume * 0.5)
        ticked = shocked(bars, tick=0.25)
        for name in ("open", "high", "low", "close"):
            assert np.array_equal(getattr(ticked, name), np.rint(getattr(bars, name) * 4) / 4)

    def test_missing_bars_are_drawn_by_seed_symbol_and_time(self) -> None:
        bars = walk("A", 1)
        made, again, other = (shocked(bars, missing=0.3, seed=seed) for seed in (1, 1, 2))
        assert same(made, again)
        assert not np.array_equal(made.ts, other.ts)
        # of 2,208 bars within four standard deviations of 70 %
        assert abs(len(made) / len(bars) - 0.7) < 4 * np.sqrt(0.21 / len(bars))
        assert not np.array_equal(shocked(replace(bars, symbol="B"), missing=0.3, seed=1).ts, made.ts)

    def test_delayed_bars_stand_where_later_ones_stood(self) -> None:
        bars = few([100.0, 110.0, 99.0, 105.0])
        made = shocked(bars, delay=2)
        assert made.close.tolist() == [100.0, 100.0, 100.0, 110.0]
        assert made.volume.tolist() == [0.0, 0.0, *bars.volume[:2]]
        assert np.array_equal(made.ts, bars.ts)

    @pytest.mark.parametrize(
        ("value", "said"),
        [
            (0.1, "each value is a mapping such as"),
            ({"gap": -0.05}, "a gap needs its instant"),
            ({"gap": -1.0, "at": AT}, "gap = -1.0 must be a fraction of the prices, from -0.99"),
            ({"gap": 0.1, "at": "2013-10-08T14:00"}, "has no time zone"),
            ({"gap": 0.1, "at": "noon"}, "is no instant"),
            ({"volatilty": 2}, "a shock has no key 'volatilty': did you mean 'volatility'"),
            ({"delay": 1.5}, "delay = 1.5 must be a whole number of bars"),
            ({"missing": 1}, "missing = 1 must be a fraction of the bars"),
            ({"missing": True}, "missing = True must be"),
            ({"missing": 0.1, "seed": -1}, "seed = -1 must be a whole number"),
            ({"gap": 0.1, "at": AT, "symbols": "A"}, "symbols = 'A' must be a list of symbols"),
        ],
    )
    def test_what_is_no_shock_is_refused(self, value: Any, said: str) -> None:
        with pytest.raises(ValueError) as refused:
            axis("shock", values=[value])
        assert said in str(refused.value)


KINDS = ("stationary_bootstrap", "block", "session_shuffle")


class TestHistory:
    """Pasts that are drawn."""

    @pytest.mark.parametrize("kind", KINDS)
    def test_it_passes_the_suite_and_the_past_that_was_is_the_identity(self, kind: str) -> None:
        one = axis(kind, n=2, seed=3)
        assert one.values == (0, 1, 2)
        check_axis(type(one), [0, 1, 2], {"seed": 3}, [walk("A", 1, minutes=60)])

    @pytest.mark.parametrize(
        ("kind", "theirs"), [("stationary_bootstrap", StationaryBootstrap), ("block", CircularBlockBootstrap)]
    )
    def test_of_bars_of_a_session_each_the_draws_are_arch_s(self, kind: str, theirs: Any) -> None:
        one = axis(kind, values=[1], seed=7, mean_block=12)
        for number in (1, 2):
            drawn = one.sources(np.random.default_rng([7, number]), 300, 1)  # type: ignore[attr-defined]
            other = theirs(12, np.arange(300), seed=np.random.default_rng([7, number]))
            assert np.array_equal(drawn, other.update_indices())

    @pytest.mark.parametrize("kind", KINDS)
    def test_bars_move_as_bars_of_the_same_minute_did(self, kind: str) -> None:
        bars = walk("A", 1, minutes=60)
        made = change_bars([change_of(axis(kind, values=[1]), 1)], bars)
        assert np.array_equal(made.ts, bars.ts)
        assert made.open[0] == pytest.approx(bars.open[0], rel=1e-12)
        minute = (bars.ts - bars.session_open) // 60_000_000

        def moves(one: Bars) -> np.ndarray:
            before = np.concatenate((one.open[:1], one.close[:-1]))
            return np.column_stack([getattr(one, name) / before for name in ("open", "high", "low", "close")])

        was, now = moves(bars), moves(made)
        for k in range(1, len(bars)):
            near = np.abs(was[minute == minute[k]] - now[k]).max(axis=1)
            assert near.min() < 1e-12
        assert not np.allclose(was[1:], now[1:])

    def test_shuffled_sessions_are_each_there_once(self) -> None:
        bars = walk("A", 1, minutes=60)
        made = change_bars([change_of(axis("session_shuffle", values=[4]), 4)], bars)
        volumes = [
            [tuple(one.volume[one.session == day]) for day in np.unique(one.session)] for one in (bars, made)
        ]
        # every 17th bar is missing, at other minutes of each session: compare sessions by what both have
        alike = [max(range(6), key=lambda k: sum(v in was for v in volumes[1][k])) for was in volumes[0]]
        assert sorted(alike) == list(range(6))
        assert alike != list(range(6))

    def test_symbols_are_drawn_together(self) -> None:
        rng = np.random.default_rng(0)
        one = walk("A", 1, minutes=120)
        noise = 1.0 + rng.normal(0.0, 2e-4, len(one))
        two = replace(
            one, symbol="B", **{name: getattr(one, name) * noise for name in ("open", "high", "low", "close")}
        )
        change = change_of(axis("stationary_bootstrap", values=[1]), 1)
        a, b = (np.diff(np.log(change_bars([change], bars).close)) for bars in (one, two))
        was = np.corrcoef(np.diff(np.log(one.close)), np.diff(np.log(two.close)))[0, 1]
        assert was > 0.9
        assert np.corrcoef(a, b)[0, 1] == pytest.approx(was, abs=0.03)

    def test_moments_stay_and_so_does_correlation_in_time_within_blocks(self) -> None:
        bars = _autocorrelated()
        was = np.diff(np.log(bars.close))
        found = {
            block: [
                np.diff(
                    np.log(
                        axis("stationary_bootstrap", values=[k], mean_block=block).change_bars(k, bars).close
                    )
                )
                for k in range(1, 21)
            ]
            for block in (1, 200)
        }

        def first(returns: np.ndarray) -> float:
            return float(np.corrcoef(returns[:-1], returns[1:])[0, 1])

        assert first(was) > 0.4
        assert np.mean([one.std() for one in found[200]]) == pytest.approx(was.std(), rel=0.03)
        assert np.mean([one.mean() for one in found[200]]) == pytest.approx(
            was.mean(), abs=4 * was.std() / 200
        )
        # blocks of 200 bars lose one in 200; of blocks of one bar, one in six follows in its own session
        assert np.mean([first(one) for one in found[200]]) == pytest.approx(first(was), abs=0.02)
        assert np.mean([first(one) for one in found[1]]) == pytest.approx(first(was) / 6, abs=0.02)

    @pytest.mark.parametrize(
        ("keys", "said"),
        [
            ({"n": 0}, "n = 0 must be a whole number from 1"),
            ({"n": 3, "values": [1]}, "has both n and values"),
            ({"values": [-1]}, "a past is named by a whole number from 0"),
            ({"values": [1.5]}, "a past is named by a whole number from 0"),
            ({"n": 3, "mean_block": 0}, "mean_block"),
            ({"n": 3, "seed": -1}, "seed"),
            ({}, "it is required"),
        ],
    )
    def test_what_is_no_history_is_refused(self, keys: dict[str, Any], said: str) -> None:
        with pytest.raises(ValueError) as refused:
            axis("stationary_bootstrap", **keys)
        assert said in str(refused.value)

    def test_one_session_is_too_little_to_draw_from(self) -> None:
        bars = walk("A", 1, minutes=60).slice(0, 50)
        with pytest.raises(StudyError, match=r"A has 1 session up to the window's end.*begin the data"):
            axis("block", values=[1]).change_bars(1, bars)


def _autocorrelated() -> Bars:
    """Return bars whose returns follow each other: an AR(1) of 0.5."""
    some = walk("A", 1)
    _, first = np.unique(some.session, return_index=True)
    # every minute of the six sessions, none missing
    rows, minute = np.repeat(first, 390), np.tile(np.arange(390), len(first))
    bars = replace(some.take(rows), ts=some.session_open[rows] + minute * 60_000_000)
    rng = np.random.default_rng(3)
    returns = np.zeros(len(bars))
    for k in range(1, len(bars)):
        returns[k] = 0.5 * returns[k - 1] + rng.normal(0.0, 1e-3)
    close = 100.0 * np.exp(np.cumsum(returns))
    opens = np.concatenate((close[:1], close[:-1]))
    return replace(bars, open=opens, close=close, high=np.maximum(opens, close), low=np.minimum(opens, close))


def test_a_study_names_worlds_by_their_axis() -> None:
    study = parse_study(
        """
study: worlds
data: {symbols: [SPY], timeframe: 1min, start: 2013-10-01, end: 2013-11-01}
calendar: {exchange: XNYS}
strategy: {name: sma_crossover}
axes:
  shock: [{}, {volatility: 1.5}, {gap: -0.05, at: 2013-10-08T14:00:00Z}]
  past: {kind: block, n: 2, mean_block: 30, seed: 1}
"""
    )
    grid = check_study(study, False).grid
    assert grid is not None
    assert [(c.axes["shock"], c.axes["past"], len(c.market)) for c in grid.configurations] == [
        ("none", 0, 0), ("none", 1, 1), ("none", 2, 1),
        ("volatility=1.5", 0, 1), ("volatility=1.5", 1, 2), ("volatility=1.5", 2, 2),
        ("gap=-0.05 at=2013-10-08T14:00:00+00:00", 0, 1), ("gap=-0.05 at=2013-10-08T14:00:00+00:00", 1, 2),
        ("gap=-0.05 at=2013-10-08T14:00:00+00:00", 2, 2),
    ]  # fmt: skip
    # what is chosen is chosen in the market that was; all else are worlds that it is put to
    names = [c.world for c in grid.configurations]
    assert names[:4] == ["", "past 1", "past 2", "shock volatility=1.5"]
    assert "" not in names[1:]
    assert {c.home for c in grid.configurations} == {grid.configurations[0].config_id}
    assert json.loads(grid.configurations[1].market[0].keys)["mean_block"] == 30
    # of what comes along the version of results counts, not its text
    assert {change.code for one in grid.configurations for change in one.market} == {""}
    again = parse_study(study.text)
    assert again.axes == study.axes


WORLDS = """
study: worlds
data: {symbols: [SPY], timeframe: 1min, start: 2013-10-01, end: 2013-11-01}
calendar: {exchange: XNYS}
strategy: {name: sma_crossover}
axes:
  past: {kind: block, values: [3, 0, 1], mean_block: 30}
  fast: [3, 4, 5]
  slow: [20, 30, 40]
"""


def test_a_search_looks_for_points_and_tries_each_in_all_worlds() -> None:
    checked = check_study(parse_study(WORLDS + "search: {kind: random, trials: 4, seed: 1}"), False)
    assert list(checked.space.searched().axes) == ["fast", "slow"]
    assert checked.space.searched().size == 9
    assert checked.grid is not None
    tried = [(c.axes["fast"], c.axes["slow"], c.axes["past"]) for c in checked.grid.configurations]
    assert len(set(tried)) == 12
    assert len({(fast, slow) for fast, slow, _ in tried}) == 4
    # those that share a past are computed together
    assert [past for _, _, past in tried] == [3] * 4 + [0] * 4 + [1] * 4
    home = {c.config_id for c in checked.grid.configurations if not c.world}
    assert {c.home for c in checked.grid.configurations} == home
    assert {c.axes["past"] for c in checked.grid.configurations if not c.world} == {0}


def test_without_the_market_that_was_the_first_world_is_the_one_that_counts() -> None:
    grid = check_study(parse_study(WORLDS.replace("[3, 0, 1]", "[3, 1]")), False).grid
    assert grid is not None
    assert {c.axes["past"] for c in grid.configurations if not c.world} == {3}
    # the grid is in the order of the axes
    assert [c.axes["past"] for c in grid.configurations] == [3] * 9 + [1] * 9


def test_constraints_speak_of_no_world() -> None:
    with pytest.raises(StudyError, match="past"):
        check_study(parse_study(WORLDS + "constraints: [past < fast]"), False)
