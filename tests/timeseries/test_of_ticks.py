"""Bars of trades of several symbols: in this process, from the lake, and the same rows on Spark."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from whatif.errors import LakeError, SourceError
from whatif.lake import create
from whatif.pins import parts_in_order
from whatif.sources import IngestSpec, ingest_ticks
from whatif.ticks import Trades, bar_kind, bars_of
from whatif.timeseries import collect, collect_bars, of_ticks, read_ticks

KINDS = ("1min", "45s", "2min every 30s", "ticks(9)", "volume(333)", "dollars(20000)", "imbalance(5, volume)")
START = pd.Timestamp("2024-01-02 14:30", tz="UTC")


def ticks(n: int = 900, seed: int = 5) -> pd.DataFrame:
    """Return trades of three symbols over ten minutes, many at one instant, in no order."""
    rng = np.random.default_rng(seed)
    frame = pd.DataFrame(
        {
            "symbol": rng.choice(["A", "B", "C"], n),
            "ts": START + pd.to_timedelta(rng.integers(0, 600, n) * 1_000_000, "us"),
            "price": np.round(100.0 + np.cumsum(rng.normal(0.0, 0.05, n)), 2),
            "size": rng.integers(1, 90, n) / 4.0,
            "conditions": rng.choice(["@", "T", "@;T", None], n),
            "row": np.arange(n),
        }
    )
    return frame.astype({"ts": "datetime64[us, UTC]"}).sample(frac=1.0, random_state=seed)


def quotes(n: int = 300, seed: int = 6) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    bid = np.round(100.0 + rng.normal(0.0, 0.1, n), 2)
    ask = np.where(rng.random(n) < 0.2, np.nan, bid + rng.choice([-0.01, 0.01, 0.02], n))
    at = START + pd.to_timedelta(rng.choice(600_000, n, False) * 1_000, "us")
    frame = pd.DataFrame(
        {"symbol": rng.choice(["A", "B"], n), "ts": at, "bid": bid, "ask": ask, "row": range(n)}
    )
    return frame.astype({"ts": "datetime64[us, UTC]"})


@pytest.mark.parametrize("kind", KINDS)
def test_each_symbol_is_as_it_is_alone(kind: str) -> None:
    data = ticks()
    made = collect_bars(data, kind)
    assert made["symbol"].is_monotonic_increasing
    for symbol, part in made.groupby("symbol"):
        mine = data[data["symbol"] == symbol].sort_values(["ts", "row"])
        us = mine["ts"].dt.as_unit("us").astype("int64").to_numpy()
        alone = bars_of(Trades(us, mine["price"].to_numpy(), mine["size"].to_numpy()), bar_kind(kind))
        for name in ("open", "vwap", "twap", "std", "buy_volume", "sell_volume", "trade_count"):
            assert part[name].to_numpy().tobytes() == alone[name].tobytes(), name
        assert part["ts"].dt.as_unit("us").astype("int64").tolist() == alone["ts"].tolist()
    table = collect_bars(pa.Table.from_pandas(data, preserve_index=False), kind)
    pd.testing.assert_frame_equal(table.to_pandas(), made)


def test_the_order_of_rows_does_not_matter() -> None:
    data = ticks()
    wanted = collect_bars(data, "ticks(4)", quotes())
    pd.testing.assert_frame_equal(collect_bars(data.iloc[::-1], "ticks(4)", quotes().iloc[::-1]), wanted)
    # without a number the values themselves say which comes first
    bare = data.drop(columns="row")
    pd.testing.assert_frame_equal(collect_bars(bare, "ticks(4)"), collect_bars(bare.iloc[::-1], "ticks(4)"))


def test_bars_of_the_lake_are_those_of_the_frame(lake_home, tmp_path: Path) -> None:
    data, told = ticks().sort_values("row"), quotes()
    for name, frame, rows in (("t", data, "trades"), ("q", told, "quotes")):
        pq.write_table(pa.Table.from_pandas(frame, preserve_index=False), tmp_path / f"{name}.parquet")
        ingest_ticks([tmp_path / f"{name}.parquet"], IngestSpec(rows=rows, exchange="XNYS"), lake_home)
    for kind in ("1min", "volume(333)"):
        pd.testing.assert_frame_equal(
            collect(["A", "B"], kind, with_quotes=True, leave_out=["T"], aggregates={"most": largest}),
            collect_bars(
                data[data["symbol"] != "C"], kind, told, leave_out=["T"], aggregates={"most": largest}
            ),
        )
    for kind in ("7min", "ticks(11)", "volume(333)", "dollars(5e4)", "2min every 30s", "imbalance(20)"):
        pd.testing.assert_frame_equal(collect(["A", "B", "C"], kind), collect_bars(data, kind))
    for make in (lambda **given: collect_bars(data, **given), lambda **given: collect(["A", "B"], **given)):
        with pytest.raises(SourceError, match="no trade has the condition 'TT': did you mean 'T'"):
            make(only=["TT"])
        assert len(make(only=["TT", "T"])) == len(make(only=["T"])) > 0
    with pytest.raises(LakeError, match="start 2024-01-02 is not before end 2024-01-02"):
        collect("A", start="2024-01-02", end="2024-01-02")
    with pytest.raises(LakeError, match="a symbol is text, and 5 is none"):
        collect(5)  # type: ignore[arg-type]  # which is refused
    part = collect("C", "1min", start="2024-01-02 14:32", end="2024-01-02 14:34")
    assert part["ts"].dt.minute.tolist() == [32, 33]
    with pytest.raises(LakeError, match="holds nothing of 'D'"):
        collect(["A", "D"])
    with pytest.raises(LakeError, match="did you mean 'quotes'"):
        read_ticks(["A"], "quote")


def largest(trades: Trades) -> float:
    return float(trades.size.max())


def test_what_does_not_fit_is_refused(lake_home) -> None:
    with pytest.raises(LakeError, match="the lake holds no trades: 'whatif ingest-ticks'"):
        collect("A")
    with pytest.raises(SourceError, match="no column 'symbol'"):
        collect_bars(ticks().drop(columns="symbol"))
    with pytest.raises(SourceError, match="no column 'price'"):
        collect_bars(ticks().drop(columns="price"))
    with pytest.raises(SourceError, match="aggregate 'vwap' has the name of a column"):
        collect_bars(ticks(), aggregates={"vwap": largest})
    assert collect_bars(ticks().iloc[:0]).empty
    for wrong, said in (
        (None, "trades are a NoneType: give a frame"),
        ([1.0], "trades are a list: give a frame"),
        (ticks().assign(price="dear"), "column price is .*string, and has to be numbers"),
        (pd.concat([ticks(), ticks()[["price"]]], axis=1), "trades have two columns 'price'"),
        (ticks().assign(size=0.0), "size of a trade is 0.0"),
        (ticks().assign(ts=pd.NaT), "column ts is|a tick has no ts"),
    ):
        with pytest.raises(SourceError, match=said):
            collect_bars(wrong)
    with pytest.raises(SourceError, match="quotes are a dict"):
        collect_bars(ticks(), quotes={"bid": 1.0})
    with pytest.raises(SourceError, match="the ask of a quote is inf: it is a finite number"):
        collect_bars(ticks(), quotes=quotes().assign(ask=np.inf))


def test_a_condition_may_be_a_text_and_frames_may_be_of_two_kinds() -> None:
    """Of a text, its letters were taken for conditions: nothing was left out, and nothing said."""
    data = ticks().assign(conditions=lambda one: one["conditions"].replace("T", "late"))
    wanted = collect_bars(data, leave_out=["late"])
    assert wanted["trade_count"].sum() < len(data)
    pd.testing.assert_frame_equal(collect_bars(data, leave_out="late"), wanted)
    pd.testing.assert_frame_equal(
        collect_bars(data, "1min", pa.Table.from_pandas(quotes(), preserve_index=False)),
        collect_bars(data, "1min", quotes()),
    )
    # a side of 0 is one that is not told, as it is of files
    none = quotes().assign(bid=0.0)
    assert collect_bars(data, "1min", none)["mid"].isna().all()
    endless = collect_bars(data, aggregates={"rate": lambda trades: trades.size.sum() * np.inf})
    assert endless["rate"].isna().all()


def bytes_of(column: pd.Series) -> bytes | list[str]:
    """Return what tells a column's values to the last bit; instants in UTC, with a time zone or without."""
    if column.dtype.kind == "M":
        naive = column if column.dt.tz is None else column.dt.tz_convert(None)
        return naive.to_numpy("datetime64[us]").tobytes()
    return column.tolist() if column.dtype.kind not in "fib" else column.to_numpy().tobytes()


def across_months(n: int = 4_000) -> pd.DataFrame:
    """Return trades of some days around the turn of two months, some bars of which lie in both."""
    rng = np.random.default_rng(9)
    begin = pd.Timestamp("2024-01-30T22:00", tz="UTC")
    ts = begin + pd.to_timedelta(np.cumsum(rng.integers(0, 2, n) * rng.integers(0, 120, n)) * 1_000_000, "us")
    price = np.round(100.0 + np.cumsum(rng.choice([-0.01, 0.0, 0.0, 0.01], n)), 2)
    frame = pd.DataFrame({"symbol": rng.choice(["A", "B"], n), "ts": ts, "price": price})
    frame = frame.assign(size=rng.integers(1, 90, n) / 4.0, conditions="@", row=np.arange(n))
    return frame.astype({"ts": "datetime64[us, UTC]"})


WHOLE = (
    "7min", "ticks(11)", "volume(333)", "dollars(5e4)", "2h every 25min", "imbalance(20)",
    "imbalance(9, dollars)",
)  # fmt: skip


def told(trades: pd.DataFrame, n: int = 3_000) -> pd.DataFrame:
    """Return quotes over the time of trades, of which some tell one side or cross."""
    rng = np.random.default_rng(10)
    ts = trades["ts"].min() + pd.to_timedelta(np.sort(rng.integers(0, 250_000, n)) * 1_000_000, "us")
    bid = np.where(rng.random(n) < 0.3, np.nan, np.round(100.0 + rng.normal(0.0, 0.1, n), 2))
    ask = np.where(rng.random(n) < 0.3, np.nan, np.round(100.1 + rng.normal(0.0, 0.1, n), 2))
    frame = pd.DataFrame({"symbol": rng.choice(["A", "B"], n), "ts": ts, "bid": bid, "ask": ask})
    frame.loc[frame["bid"].isna() & frame["ask"].isna(), "bid"] = 99.0
    return frame.assign(row=np.arange(n)).astype({"ts": "datetime64[us, UTC]"})


def bring(frame: pd.DataFrame, what: str, folder: Path, lake_home) -> None:
    pq.write_table(pa.Table.from_pandas(frame, preserve_index=False), folder / f"{what}.parquet")
    ingest_ticks([folder / f"{what}.parquet"], IngestSpec(rows=what, exchange="XNYS"), lake_home)


@pytest.mark.parametrize("rows", [1_000_000, 300])
def test_parts_go_on_from_each_other(
    lake_home, tmp_path: Path, rows: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Parts of months are read; bars, sides, averages and quotes are those of all trades at once."""
    monkeypatch.setattr(of_ticks, "PART_ROWS", rows)
    monkeypatch.setitem(create._BY_SYMBOL, "write.parquet.row-group-limit", "100")
    taken: list[int] = []

    def counted(*given: object) -> Iterator[pa.Table]:
        for part in parts_in_order(*given):  # type: ignore[arg-type]  # as it is called
            taken.append(part.num_rows)
            yield part

    monkeypatch.setattr(of_ticks, "parts_in_order", counted)
    data = across_months()
    quoted = told(data)
    assert data["ts"].dt.month.nunique() == quoted["ts"].dt.month.nunique() == 2
    bring(data, "trades", tmp_path, lake_home)
    bring(quoted, "quotes", tmp_path, lake_home)
    for kind in WHOLE:
        for more in ({}, {"leave_out": ["T"], "aggregates": {"most": largest}}):
            wanted = collect_bars(data, kind, quoted if more else None, **more)
            found = collect(["B", "A"], kind, with_quotes=bool(more), **more)
            assert ("mid" in wanted) == bool(more)
            for name in wanted:
                assert bytes_of(found[name]) == bytes_of(wanted[name]), (kind, name)
    assert (max(taken) < 500) == (rows == 300)
    cut = data["ts"].between(
        pd.Timestamp("2024-01-31", tz="UTC"), pd.Timestamp("2024-02-01", tz="UTC"), "left"
    )
    wanted, found = collect_bars(data[cut], "5min"), collect(["A", "B"], "5min", "2024-01-31", "2024-02-01")
    pd.testing.assert_frame_equal(found, wanted)


@pytest.mark.spark
def test_workers_make_the_same_bars_of_the_lake(spark, lake_home, tmp_path: Path) -> None:
    data = across_months(900)
    pq.write_table(pa.Table.from_pandas(data, preserve_index=False), tmp_path / "t.parquet")
    ingest_ticks([tmp_path / "t.parquet"], IngestSpec(rows="trades", exchange="XNYS"), lake_home)
    bring(told(data), "quotes", tmp_path, lake_home)
    for kind, quoted in (("7min", False), ("imbalance(20)", True)):
        wanted = collect(["A", "B"], kind, with_quotes=quoted)
        found = collect(["A", "B"], kind, with_quotes=quoted, spark=spark).toPandas()
        found = found.sort_values(["symbol", "ts"], kind="stable", ignore_index=True)
        for name in wanted:
            assert bytes_of(found[name]) == bytes_of(wanted[name]), (kind, name)
    with pytest.raises(LakeError, match="holds nothing of 'D'"):
        collect(["A", "D"], spark=spark)


@pytest.mark.spark
def test_spark_gives_the_same_rows(spark) -> None:
    data, told = ticks(), quotes()
    given = spark.createDataFrame(data).repartition(3)
    more = {"leave_out": ["T"], "aggregates": {"most": lambda trades: trades.size.max()}}
    cases = [
        ("volume(333)", None, {}), ("2min every 30s", None, more), ("1min", told, more),
        ("imbalance(5)", told, {}),
    ]  # fmt: skip
    for kind, quoted, options in cases:
        wanted = collect_bars(data, kind, quoted, **options)
        made = collect_bars(given, kind, None if quoted is None else spark.createDataFrame(quoted), **options)
        found = made.toPandas().sort_values(["symbol", "ts"], kind="stable", ignore_index=True)
        assert list(found) == list(wanted)
        for name in wanted:
            mine, theirs = bytes_of(found[name]), bytes_of(wanted[name])
            assert mine == theirs, (kind, name)
    with pytest.raises(SourceError, match="trades have no column 'price'"):
        collect_bars(given.drop("price"))
    with pytest.raises(SourceError, match="quotes have no column 'ask'"):
        collect_bars(given, quotes=spark.createDataFrame(told).drop("ask"))


def test_rows_of_workers_come_in_small_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    """What Spark's workers do with rows in order, batch by batch, makes the bars of all at once."""
    monkeypatch.setattr(of_ticks, "PART_ROWS", 64)
    data = across_months(1_500)
    quoted = told(data, 900)
    for kind in WHOLE:
        rule = of_ticks.TickRule(bar_kind(kind), (), ("T",), {"most": largest}, True)
        both = pd.concat(
            [
                data.rename(
                    columns={n: f"trades {n}" for n in ("price", "size", "conditions", "row")}
                ).assign(of="trades"),
                quoted.rename(columns={n: f"quotes {n}" for n in ("bid", "ask", "row")}).assign(of="quotes"),
            ]
        ).sort_values(["symbol", "ts", "trades row", "quotes row"])
        batches = pa.Table.from_pandas(both, preserve_index=False).to_batches(max_chunksize=50)
        made = pa.Table.from_batches(list(of_ticks._per_partition(rule)(batches))).to_pandas()
        wanted = collect_bars(data, kind, quoted, leave_out=["T"], aggregates={"most": largest})
        pd.testing.assert_frame_equal(made, wanted, check_exact=True)
    with pytest.raises(SourceError, match="have no symbol"):
        list(of_ticks._per_partition(rule)([batches[0].set_column(0, "symbol", pa.nulls(50, pa.string()))]))
