"""Pictures beside a report: well formed, and each point where its value belongs."""

from __future__ import annotations

import dataclasses
import re
import xml.etree.ElementTree as ElementTree

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from whatif.report.pictures import (
    BOTTOM,
    HEIGHT,
    TOP,
    colour_of,
    curves_svg,
    nice_ticks,
    pictures,
    write_pictures,
)
from whatif.report.theme import DIVERGING

from .test_summary import judged

SVG = "{http://www.w3.org/2000/svg}"


def texts(svg: str) -> list[str]:
    return [one.text or "" for one in ElementTree.fromstring(svg).iter(f"{SVG}text")]


def test_account_and_map_of_a_study(make, tmp_path) -> None:
    data = dataclasses.replace(make.study(), verdict=judged(0.0))
    written = write_pictures(data, tmp_path)
    assert [path.name for path in written] == ["equity.svg", "heatmap.svg"]
    equity, heatmap = (path.read_text() for path in written)
    assert {"validate", "test", "strategy", "buy-and-hold", "what luck would give"} <= set(texts(equity))
    best = data.ranking.ranked.groupby(["slow", "fast"])["sharpe"].max()
    cells = ElementTree.fromstring(heatmap).findall(f"{SVG}rect")
    assert len(cells) == 1 + len(best) + 1  # the page's white, a cell each, the frame
    for value in best:
        assert f"{value:.2f}".replace("-", "\N{MINUS SIGN}") in texts(heatmap)
    chosen, frame = data.series.chosen, cells[-1]
    fast, slow = sorted(set(best.index.get_level_values(1))), sorted(set(best.index.get_level_values(0)))
    inside = cells[1 + slow.index(chosen["slow"]) * len(fast) + fast.index(chosen["fast"])]
    assert [frame.get("x"), frame.get("y")] == [inside.get("x"), inside.get("y")]
    assert "http" not in (equity + heatmap).replace("http://www.w3.org/2000/svg", "")


def test_nothing_to_draw_is_no_picture_and_markup_is_text(make) -> None:
    bare = make.study({}, symbols=("S",), failed=0)
    assert list(pictures(bare)) == ["equity.svg"]
    gone = make.changed(bare, series={"equity": bare.series.equity[:0], "bars": bare.series.bars[:0]})
    assert list(pictures(gone)) == []
    nasty = make.study(
        {"a<b>&": ["<script>x</script>", "\x00y"]}, symbols=("S",), failed=0, origin={"study": "<&\x1b"}
    )
    for svg in pictures(nasty).values():
        ElementTree.fromstring(svg)
        assert "<script" not in svg
    one = make.study({"fast": [5]}, symbols=("S",), failed=0)
    assert "across: fast" in texts(pictures(one)["heatmap.svg"])
    many = make.study({"fast": list(range(300)), "slow": [1, 2]}, symbols=("S",), failed=0)
    assert len(pictures(many)["heatmap.svg"]) < 20_000


@pytest.mark.parametrize("level", [[1.0, 1.0, 1.0], [np.nan, np.nan], [1e-9, 2e-9], [-5.0, 1e12], [1.0]])
def test_curves_of_any_size_are_drawn_within_the_frame(level) -> None:
    svg = curves_svg(pd.DataFrame({"a": level}), "t")
    ElementTree.fromstring(svg)
    path = re.findall(r'<path d="([^"]*)" fill="none"', svg)[0]
    heights = [float(up) for up in re.findall(r"[ML][\d.]+ ([\d.]+)", path)]
    assert all(TOP <= up <= HEIGHT - BOTTOM for up in heights)
    assert len(heights) == np.isfinite(level).sum()


@given(st.floats(-1e9, 1e9), st.floats(1e-6, 1e9))
def test_ticks_are_few_and_within(low, span) -> None:
    ticks = nice_ticks(low, low + span)
    assert len(ticks) <= 6
    slack = 1e-9 * max(abs(low), span)
    assert all(low - slack <= tick <= low + span + slack for tick in ticks)


def test_colours_of_a_scale() -> None:
    assert colour_of(DIVERGING, 0.0) == ("#c0504a", "#fff")
    assert colour_of(DIVERGING, 0.5) == ("#eceff1", "#222")
    assert colour_of(DIVERGING, 7.0) == ("#2f6fc4", "#fff")
