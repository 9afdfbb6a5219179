from __future__ import annotations

import base64
import dataclasses
import hashlib
import json
import math
import os
import re
from html.parser import HTMLParser

import jinja2
import numpy as np
import pandas as pd
import pytest

from whatif import paths
from whatif.report import html
from whatif.report.columns import format_metric
from whatif.report.data import Origin, Ranking, ReportData
from whatif.report.packing import unpacked

HOSTILE = '</script><script>alert(1)</script><img src=x onerror="alert(2)">&amp;{{ 7*7 }}'
MEGABYTE = 1_000_000


def numbers_of(packed: dict) -> np.ndarray:
    """The rule of `pack_numbers`, turned round."""
    if "floats" in packed:
        return np.frombuffer(base64.b64decode(packed["floats"]), "<f8")
    planes = np.frombuffer(base64.b64decode(packed["ints"]), np.uint8).reshape(4, -1)
    whole = np.ascontiguousarray(planes.T).view("<i4").ravel()
    return np.where(whole == -(2**31), np.nan, whole / packed["scale"])


class Page(HTMLParser):
    """The page as a reader of HTML sees it: tables by id or caption, scripts, attributes, text."""

    VOID = frozenset({"meta", "input", "img", "link", "br", "hr"})

    def __init__(self, text: str) -> None:
        super().__init__(convert_charrefs=True)
        self.attributes: list[tuple[str, str, str]] = []
        self.scripts: list[str] = []
        self.tables: dict[str, list[list[str]]] = {}
        self.texts: list[str] = []
        self.open: list[str] = []
        self._table: list[list[str]] | None = None
        self._name = self._caption = ""
        self.feed(text)
        self.close()

    def handle_starttag(self, tag, attrs):
        self.attributes += [(tag, name, value or "") for name, value in attrs]
        if tag not in self.VOID:
            self.open.append(tag)
        if tag == "table":
            self._table, self._name, self._caption = [], dict(attrs).get("id", ""), ""
        elif tag == "tr" and self._table is not None:
            self._table.append([])
        elif tag in ("td", "th") and self._table:
            self._table[-1].append("")
        elif tag == "script":
            self.scripts.append("")

    def handle_endtag(self, tag):
        assert self.open, f"</{tag}> closes nothing"
        assert self.open.pop() == tag
        if tag == "table":
            self.tables[self._name or self._caption.strip()] = [
                [" ".join(cell.split()) for cell in row] for row in self._table
            ]
            self._table = None

    def handle_data(self, data):
        if self.open and self.open[-1] == "script":
            self.scripts[-1] += data
        elif "style" in self.open:
            return
        elif self._table is not None and "caption" in self.open:
            self._caption += data
        elif self._table and {"td", "th"} & set(self.open):
            self._table[-1][-1] += data
        else:
            self.texts.append(data)

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.texts).split())

    @property
    def payload(self) -> dict:
        return json.loads(unpacked(self.scripts[0]))


@pytest.fixture(scope="module")
def data(make) -> ReportData:
    return make.study()


@pytest.fixture(scope="module")
def page(data) -> Page:
    return Page(html.render(data))


def _nothing_failed(page: Page) -> None:
    assert page.open == []
    assert len(page.scripts) == 3


def test_the_page_loads_nothing(page):
    for tag, name, value in page.attributes:
        if name in ("src", "href", "action", "srcset", "data", "poster"):
            assert value.startswith("#"), (tag, name, value)
    policy = next(value for _, name, value in page.attributes if name == "content" and "default-src" in value)
    assert "default-src 'none'" in policy
    assert "http" not in policy
    assert not re.search(
        r"@import|url\(", (html.files("whatif.report") / "templates" / "report.css").read_text()
    )


def test_plotly_stands_in_the_page_once_and_sends_nothing(page):
    payload, packed, own = page.scripts
    library = unpacked(packed)
    assert library.count("plotly.js v") == 1
    assert "plotly.js v" not in payload + own
    assert "showSendToCloud: false" in own


def test_the_leaderboard_shows_the_numbers_of_the_data(page, data):
    head, *rows = page.tables["board"]
    assert len(rows) == 100
    columns = html._columns(data)
    assert head[:5] == ["Rank", "Symbol", "fast", "slow", "commission"]
    for shown, row in zip(rows, data.ranking.leaderboard.to_dict("records"), strict=False):
        assert shown[:4] == [
            format_metric("trades", row["rank"]),
            row["symbol"],
            str(row["fast"]),
            str(row["slow"]),
        ]
        numbers = shown[5 : 5 + len(columns)]
        assert numbers == [format_metric(metric.key, row[metric.key]) for metric, _ in columns]
        assert shown[-2] == row["config_id"]


def test_the_first_row_by_hand(page, data):
    best = data.ranking.leaderboard.iloc[0]
    assert f"{best['sharpe']:.2f}" in page.tables["board"][1]
    assert f"{best['costs']:.2f}" in page.tables["board"][1]
    assert f"{best['exposure'] * 100:.1f}" in page.tables["board"][1]


def test_validate_and_test_stand_side_by_side_for_each_symbol(page, data):
    for symbol in ("SYN_EDGE", "SYN_NOISE"):
        name = next(caption for caption in page.tables if caption.startswith(symbol))
        rows = {row[0]: row[1:] for row in page.tables[name]}
        compared = data.series.comparison
        figures = compared[compared["symbol"] == symbol].set_index(["window", "who"])
        order = [(w, who) for w in ("validate", "test") for who in ("strategy", "buy_and_hold")]
        assert rows["Return %"] == [
            format_metric("return_pct", figures.loc[key, "return_pct"]) for key in order
        ]
        assert rows["Winners %"][1] == "–"
    summary = page.tables["Chosen configuration on all symbols"]
    assert [row[0] for row in summary[2:]] == ["SYN_EDGE", "SYN_NOISE"]


def test_the_top_says_what_the_data_is_and_that_luck_is_not_accounted_for(page, data):
    text = page.text
    assert (
        text.index(data.origin.notes[0])
        < text.index("The question")
        < text.index("ranks first of 165 backtests")
    )
    assert "It is the best of 165 tried" in text
    assert "No correction for luck has been made yet" in text


def test_the_origin_is_told(page, data):
    assert page.tables["Pinned tables"][1] == [
        "lake.whatif.bars",
        "5530912384401234567",
        "file:/tmp/lake/whatif/bars/metadata/v3.metadata.json",
    ]
    assert page.tables["Windows"][2] == ["validate", "2024-03-04 14:30 UTC", "2024-03-12 13:30 UTC"]
    run = dict(page.tables["Environment of the run"])
    assert run["versions · pyspark"] == "3.5.9"
    assert run["started"] == "2024-04-01 09:00 UTC"
    assert " ".join(data.origin.study_text.split()) in page.text


def test_failures_are_counted_by_error(make):
    page = Page(html.render(make.study(failed=5)))
    _, first, *rest = page.tables["Errors by how often they occurred"]
    assert first[0] == "2"
    assert sum(int(row[0]) for row in [first, *rest]) == 5
    assert "5 failed" in page.text


def test_what_a_user_names_is_text_and_never_markup(make):
    data = make.study(symbols=("A",), failed=3)
    board = data.ranking.leaderboard.assign(
        symbol=HOSTILE, error=data.ranking.leaderboard["error"].where(lambda e: e.isna(), HOSTILE)
    )
    board = board.rename(columns={"fast": HOSTILE})
    frames = {
        name: getattr(data.series, name).assign(symbol=HOSTILE)
        for name in ("comparison", "equity", "trades", "bars")
    }
    chosen = {**data.series.chosen, "symbol": HOSTILE, HOSTILE: HOSTILE}
    origin = Origin(
        HOSTILE, HOSTILE, notes=(HOSTILE,), environment={HOSTILE: HOSTILE},
        pins=[{"table": HOSTILE, "snapshot_id": HOSTILE, "metadata_location": HOSTILE}],
        windows={HOSTILE: ("2024-01-01", "2024-01-02")},
    )  # fmt: skip
    ranking = {"leaderboard": board, "axes": (HOSTILE, *data.ranking.axes[1:])}
    hostile = make.changed(data, ranking=ranking, series={**frames, "chosen": chosen})
    hostile = dataclasses.replace(hostile, origin=origin)
    text = html.render(hostile)
    page = Page(text)
    _nothing_failed(page)
    assert not [a for a in page.attributes if a[1].startswith("on") or a[0] == "img"]
    assert "49" not in page.tables["Pinned tables"][1][0]
    assert page.tables["Pinned tables"][1][0] == HOSTILE
    assert page.payload["board"]["axes"][0]["name"] == HOSTILE
    assert page.tables["board"][1][1] == HOSTILE


def test_one_axis(make):
    page = Page(
        html.render(make.study(axes={"threshold": [0.0001, 0.0002, 0.0005]}, symbols=("A",), failed=0))
    )
    _nothing_failed(page)
    assert page.payload["board"]["axes"][0]["levels"] == ["0.0001", "0.0002", "0.0005"]
    assert "Chosen configuration on all symbols" not in page.tables


def test_a_single_configuration_has_no_map(make):
    page = Page(html.render(make.study(axes={}, symbols=("A",), failed=0)))
    _nothing_failed(page)
    assert ("section", "id", "map") not in page.attributes
    assert page.payload["spread"] is None
    assert "the only one that ran" in page.text


def test_all_rows_failed(make):
    bare = ReportData(Origin("all-failed", ""), make.study(failed=168).ranking)
    page = Page(html.render(bare))
    _nothing_failed(page)
    assert "There is no answer: all 168 backtests failed" in page.text
    assert page.payload["symbols"] == {}
    assert page.tables["board"][1][-1].startswith("failed: StrategyError")


def test_an_empty_leaderboard(make):
    board = make.study().ranking.leaderboard
    empty = ReportData(Origin("nothing", ""), Ranking("sharpe", "pooled", board.iloc[:0], ("fast", "slow")))
    page = Page(html.render(empty))
    _nothing_failed(page)
    assert "no backtest was made" in page.text


def test_nan_and_infinity_are_shown_as_such(make):
    data = make.study()
    board = data.ranking.leaderboard.assign(profit_factor=np.inf, sortino=np.nan)
    text = html.render(make.changed(data, ranking={"leaderboard": board}))
    page = Page(text)
    head, first = page.tables["board"][:2]
    assert first[head.index("Profit factor")] == "∞"
    assert first[head.index("Sortino a year")] == "–"
    assert not re.search(r":(NaN|-?Infinity)[,}]", page.scripts[0])


def test_integers_and_flags_as_the_tables_store_them(make):
    data = make.study()
    board = data.ranking.leaderboard.assign(
        trades=data.ranking.leaderboard["trades"].astype("Int64"),
        open_at_end=data.ranking.leaderboard["open_at_end"].astype("boolean"),
        rank=data.ranking.leaderboard["rank"].astype("Int64"),
    )
    page = Page(html.render(make.changed(data, ranking={"leaderboard": board})))
    head, first = page.tables["board"][:2]
    assert first[head.index("Trades")] == f"{board['trades'].iloc[0]:,}"
    assert first[head.index("Open at end")] in ("yes", "no")
    assert first[0] == "1"


def test_cost_assumptions_as_an_axis(make):
    costs = [{"commission": 0.0, "slippage": 0.0}, {"commission": 0.0005, "slippage": 0.0001}]
    page = Page(html.render(make.study(axes={"fast": [5, 10], "execution": costs}, failed=0)))
    assert set(page.payload["board"]["axes"][1]["levels"]) == {
        "commission=0, slippage=0",
        "commission=0.0005, slippage=0.0001",
    }


def test_no_trades_at_all(make):
    data = make.study()
    page = Page(html.render(make.changed(data, series={"trades": data.series.trades.iloc[:0]})))
    _nothing_failed(page)
    assert page.payload["symbols"]["SYN_EDGE"]["price"]["layout"]["meta"]["trades"] == 0


def test_ten_thousand_rows_stay_small(make):
    axes = {"fast": list(range(2, 102)), "slow": list(range(110, 210))}
    data = make.study(axes=axes, symbols=("A",), failed=40)
    text = html.render(data)
    assert len(data.ranking.leaderboard) == 10_000
    assert len(text) < 9 * MEGABYTE  # of which plotly.js is 4.8
    page = Page(text)
    assert len(page.tables["board"]) == 101
    assert page.payload["board"]["rows"] == 10_000
    assert len(text.encode()) < 3 * MEGABYTE


def test_more_rows_than_a_page_holds_are_sampled_and_said_so(make):
    axes = {"fast": list(range(250)), "slow": list(range(250))}
    data = make.study(axes=axes, symbols=("A",), failed=0)
    page = Page(html.render(data))
    board = page.payload["board"]
    assert board["total"] == 62_500
    assert board["rows"] <= 20_000
    assert "even sample of the rest" in page.text
    sample = np.frombuffer(__import__("base64").b64decode(board["sample"]), dtype="<i4")
    assert sample.sum() == pytest.approx(62_500 / 4, abs=1)  # every fourth of all, the best not favoured


@pytest.mark.slow
def test_two_hundred_thousand_bars_stay_small(make):
    windows = {"validate": ("2020-01-06", 257), "test": ("2021-02-01", 257)}
    bars = make.bars_of("A", windows, 1)
    trades, equity = make.traded(bars, 2)
    data = make.study(symbols=("A",), series={"bars": bars, "trades": trades, "equity": equity})
    text = html.render(data)
    assert len(bars) > 200_000
    assert len(text) < 3 * MEGABYTE
    price = Page(text).payload["symbols"]["A"]["price"]
    assert price["layout"]["meta"]["merged"] == math.ceil(257 * 390 / 2000)


def test_every_number_of_the_leaderboard_is_in_the_payload_as_it_is_shown(page, data):
    for one in page.payload["board"]["metrics"]:
        held = [format_metric(one["key"], value) for value in numbers_of(one["values"])]
        assert held == [format_metric(one["key"], value) for value in data.ranking.leaderboard[one["key"]]]


def test_tables_are_accessible(page):
    assert all(name for name in page.tables)  # each has a caption or is the leaderboard
    scopes = {value for tag, name, value in page.attributes if tag == "th" and name == "scope"}
    assert scopes == {"col", "row", "colgroup"}
    assert ("html", "lang", "en") in page.attributes


def test_writing_is_whole_or_not_at_all(tmp_path, data, monkeypatch):
    path = html.write(data, tmp_path / "new" / "report.html")
    assert path.read_text(encoding="utf-8").startswith("<!doctype html>")
    monkeypatch.setattr(html, "render", lambda _: 1 / 0)
    before = path.read_bytes()
    with pytest.raises(ZeroDivisionError):
        html.write(data, path)
    assert path.read_bytes() == before
    assert [p.name for p in path.parent.iterdir()] == ["report.html"]


def test_symbols_the_frames_hold_but_the_comparison_does_not(make):
    data = make.study(series={"comparison": pd.DataFrame({"symbol": [], "window": [], "who": []})})
    page = Page(html.render(data))
    _nothing_failed(page)
    assert list(page.payload["symbols"]) == ["SYN_EDGE", "SYN_NOISE"]


def test_a_pooled_ranking_names_no_single_symbol(make):
    data = make.study(ranking={"rank": "pooled"})
    chosen = {name: value for name, value in data.series.chosen.items() if name != "symbol"}
    board = data.ranking.leaderboard.assign(symbol="SYN_EDGE, SYN_NOISE")
    page = Page(html.render(make.changed(data, ranking={"leaderboard": board}, series={"chosen": chosen})))
    _nothing_failed(page)
    assert "Symbols are pooled" in page.text
    assert "fast = 15, slow = 60, commission = 0 (con" in page.text
    assert f"(configuration {chosen['config_id']}) ranks first" in page.text
    assert len(page.tables["Chosen configuration on all symbols"]) == 4


def test_the_policy_lets_act_the_scripts_and_the_style_of_the_page_and_no_other(make) -> None:
    page = html.render(make.study())
    policy = re.search(r'Content-Security-Policy" content="([^"]*)"', page)
    assert policy is not None
    (allowed,) = [part.split()[1:] for part in policy[1].split(";") if part.split()[0] == "script-src"]
    (own,) = re.findall(r"<script>(.*?)</script>", page, re.DOTALL)
    (library,) = re.findall(r'<script type="text/plain" id="plotly">(.*?)</script>', page, re.DOTALL)
    bodies = (unpacked(library), own)
    # the rule of the standard: base64 of the SHA-256 of what stands between the tags
    digests = [base64.b64encode(hashlib.sha256(body.encode()).digest()).decode() for body in bodies]
    assert allowed == [f"'sha256-{digest}'" for digest in digests]
    assert len(digests) == 2
    (styles,) = [part.split()[1:] for part in policy[1].split(";") if part.split()[0] == "style-src"]
    (style,) = re.findall(r"<style>(.*?)</style>", page, re.DOTALL)
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    # the second is that of the empty text, of which the standard's own examples give the digest
    assert styles == [f"'sha256-{digest}'", "'sha256-47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU='"]
    assert not re.search(r"<[^>]+\sstyle=", re.sub(r"<script.*?</script>", "", page, flags=re.DOTALL))
    assert not re.search(r"<[^>]+\son[a-z]+=", re.sub(r"<script.*?</script>", "", page, flags=re.DOTALL))


def _left(make, **columns):
    """Return a study whose chosen symbol closed four trades on validate, and holds a position at its end."""
    study = make.study(symbols=("A",), failed=0)
    series = study.series
    stamps = series.bars["ts"].iloc[:8]
    trades = pd.DataFrame(
        {
            "symbol": "A", "window": "validate", "opened_at": stamps.iloc[:4].to_numpy(),
            "closed_at": stamps.iloc[4:].to_numpy(), "size": 1.0, "entry_price": 10.0, "exit_price": 11.0,
            "pnl": [4.0, -3.0, -1.0, 2.0], "pnl_net": [4.0, -3.0, -1.0, 2.0], **columns,
        }
    )  # fmt: skip
    equity = series.equity.assign(position=0.0)
    equity.loc[equity.index[equity["window"] == "validate"][-1], "position"] = 1.0
    compared = series.comparison.assign(pnl_net=12.5)
    chosen = dict(series.chosen, symbol="A")
    return make.changed(
        study, series={"trades": trades, "equity": equity, "comparison": compared, "chosen": chosen}
    )


def test_exits_are_counted_by_reason_with_what_is_open_at_the_end_last(make):
    data = _left(make, exit_reason=["target", "stop", "stop", "session"])
    found = data.series.exits()
    assert found[found["window"] == "validate"].drop(columns="window").to_numpy().tolist() == [
        ["stop", 2, -2.0, -4.0],
        ["session", 1, 2.0, 2.0],
        ["target", 1, 4.0, 4.0],
        # 12.5 of the window less the 2 of its trades
        ["window_end", 1, 10.5, 10.5],
    ]
    page = html.render(data)
    table = re.search(r'<section id="exits">.*?</section>', page, re.DOTALL).group(0)
    assert re.findall(r'<th scope="row">(.*?)</th><td class="n">(.*?)</td>', table)[0] == (
        "Stop: a stop order, or stop_loss", "2",
    )  # fmt: skip
    assert "Still open at the window&#39;s end" in table


def test_exits_of_rows_that_hold_no_reason_are_said_to_be_not_recorded(make):
    for columns in ({}, {"exit_reason": None}):
        found = _left(make, **columns).series.exits()
        assert found["exit_reason"].tolist()[:1] == [""]
        assert found["trades"].tolist()[:1] == [4]
        assert "Not recorded" in html.render(_left(make, **columns))


def test_the_page_says_how_often_one_bar_reached_stop_and_target(make):
    # four trades, closed on four bars of the window, of which the second has no target
    data = _left(make, exit_reason="stop", stop_price=9.0, target_price=[12.0, float("nan"), 12.0, 12.0])
    bars = data.series.bars.assign(high=11.0, low=10.0)
    rows = bars.index[bars["ts"].isin(data.series.trades["closed_at"]) & (bars["window"] == "validate")]
    assert len(rows) == 4
    # the first and the second of them reach both prices, the third the stop alone
    bars.loc[rows[:2], ["high", "low"]] = [12.0, 9.0]
    bars.loc[rows[2], "low"] = 9.0
    plain = make.changed(data, series={"bars": bars})
    assert plain.series.reached() == (3, 1, None)
    said = "Of 3 trades with a stop and a target, 1 ended on a bar that reached both"
    assert f"{said}, where the stop is taken to have come first." in html.render(plain)
    # in an account of several symbols a trade is one of its own symbol's bars
    shared = data.series.trades.assign(trade_symbol=data.series.trades["symbol"], symbol="both")
    told = dataclasses.replace(plain.series, trades=shared, chosen={**plain.series.chosen, "symbol": "both"})
    assert told.reached() == (3, 1, None)
    # the finer bars of the first end where the trade was closed, half a minute later, and reach the target
    later = pd.Timedelta(seconds=30)
    trades = data.series.trades.assign(closed_at=data.series.trades["closed_at"] + later)
    finer = bars.loc[rows, ["symbol", "window", "ts", "high", "low"]].assign(low=10.0)
    finer["ts"] += later
    known = make.changed(plain, series={"finer": finer, "trades": trades})
    assert known.series.reached() == (3, 1, 0)
    assert f"{said}; the finer bars inside know which came first in all but 0." in html.render(known)
    assert "Of 3 trades" not in html.render(_left(make, exit_reason="stop"))


def test_models_with_class_balance_reliability_and_what_counts(data):
    figures = {
        "rows": 1200.0, "skill": 0.0123, "skill_low": -0.01, "skill_high": 0.03, "linear_skill": 0.002,
        "base_long": 0.4, "rate_long": 0.35, "auc_long": 0.55, "base_short": 0.0, "rate_short": 0.0,
    }  # fmt: skip
    for k in range(5):
        figures |= {f"said_long_{k}": 0.2 + 0.1 * k, f"came_long_{k}": 0.25 + 0.05 * k}
        figures |= {f"said_short_{k}": 0.0, f"came_short_{k}": 0.0}
    counted = {"own": {"roc(5)": 3.0, "<b>": 1.0}, "shuffled": {"roc(5)": 0.02, "<b>": -0.001}}
    note = {"validate": figures, "importance": {**counted, "groups": {"close, sma": 0.11}}}
    names = [f"trees, fold {k}" for k in range(1, 10)]
    told = dataclasses.replace(data, models={**dict.fromkeys(names, note), "later": {"chosen": {}}})
    page = Page(html.render(told))
    _nothing_failed(page)
    assert "The last 8 of 9 models are shown" in page.text
    _, *rows = page.tables["Models on validate"]
    assert [row[0] for row in rows] == names[1:]
    assert rows[0][1:] == [
        "1,200", "+0.0123", "-0.0100 to +0.0300", "+0.0020", "40.0 / 35.0", "0.0 / 0.0", "0.550", ""
    ]  # fmt: skip
    assert page.tables["Features of trees, fold 9"][1:] == [
        ["roc(5)", "75.0", "+2.00"], ["<b>", "25.0", "-0.10"], ["together: close, sma", "", "+11.00"],
    ]  # fmt: skip
    # a side that never comes has no curve
    assert [one["name"] for one in page.payload["reliability"]["data"]] == [f"{n}, long" for n in names[1:]]


def test_without_models_there_is_nothing_of_them(page):
    assert "Models on validate" not in page.tables
    assert page.payload["reliability"] is None


@pytest.fixture
def cache(tmp_path, monkeypatch):
    """Return an empty folder that pages keep their parts in."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    paths.kept_in.cache_clear()
    html._library.cache_clear()
    yield tmp_path
    paths.kept_in.cache_clear()
    html._library.cache_clear()


def test_a_page_of_kept_parts_is_the_same(make, cache, monkeypatch):
    data = make.study()
    first = html.render(data)
    kept = sorted(path.suffix for path in cache.rglob("*") if path.is_file())
    assert ".json" in kept
    assert ".jinja" in kept
    html._library.cache_clear()
    for name in ("plotly_js", "packed"):  # neither is asked for again
        monkeypatch.setattr(html, name, None)
    monkeypatch.setattr(jinja2.Environment, "_generate", None)
    assert html.render(data) == first


def test_where_nothing_can_be_kept_the_page_is_made_all_the_same(make, cache):
    (cache / "whatif").write_text("a file, where the folder would be", encoding="ascii")
    assert "plotly" in html.render(make.study())


@pytest.mark.skipif(not hasattr(os, "getuid"), reason="rights of POSIX")
def test_templates_that_others_could_change_are_not_run(make, cache):
    html.render(make.study())
    (folder,) = {path.parent for path in cache.rglob("*.jinja")}
    for path in folder.glob("*.jinja"):
        path.write_bytes(b"no template")
    assert html.render(make.study())  # what is no template is made anew
    folder.chmod(0o777)
    before = {path: path.stat().st_mtime_ns for path in folder.glob("*.jinja")}
    assert html.environment().bytecode_cache is None
    assert html.render(make.study())
    assert {path: path.stat().st_mtime_ns for path in folder.glob("*.jinja")} == before
