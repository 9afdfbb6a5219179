"""Tables of the lake, but for those of results (Iceberg v2; all timestamps UTC)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from whatif.domain import KEY, KEY_COLUMNS
from whatif.lake.results import RESULTS, RETURNS
from whatif.lake.spec import TableSpec, columns
from whatif.pins import ACTIONS, RENAMES

BARS = TableSpec(
    name="bars",
    columns=columns("""
        symbol string, ts timestamp, timeframe string,
        session date, session_open timestamp, session_close timestamp, hours string,
        open double, high double, low double, close double, volume double, vwap double,
        trade_count bigint, vwap_estimated boolean,
        exchange string, source string, ingested_at timestamp
    """),
    key=("symbol", "timeframe", "ts"),
    partitioning=("months(ts)",),
    sort_order=("symbol", "ts"),
    by_symbol=True,
)
"""Bars; `ts` is the start, `hours` "regular" or "extended", volume in units, prices per unit."""

FORGOTTEN = "whatif.forgotten."
"""How properties of the table of bars begin that say what was taken back, and when."""

CHECKPOINTS = "whatif.checkpoints."
"""How properties of the table of bars begin that say how far a source has landed: an object of JSON, whose
`snapshot` was the table's when it had; where that is none of the table's past any more, the source begins
anew."""

BARS_QUARANTINE = TableSpec(
    name="bars_quarantine",
    columns=columns("""
        source string, row bigint, symbol string, ts timestamp, timeframe string,
        raw string, rule string, ingested_at timestamp, line bigint
    """),
    key=("source", "row"),
)
"""Rejected rows: `row` counts data rows from 1, `line` the lines of a text file, `raw` is JSON of it."""

NEWS_SENTIMENT = TableSpec(
    name="news_sentiment",
    columns=columns("""
        symbol string, published_at timestamp, url string, title string, source string,
        relevance double, score double, label string, ingested_at timestamp
    """),
    key=("symbol", "published_at", "url"),
    partitioning=("months(published_at)",),
    sort_order=("symbol", "published_at"),
    by_symbol=True,
)
"""News: relevance of the article for the symbol and sentiment score of that symbol in it."""

NEWS_RELATIONS = TableSpec(
    name="news_relations",
    columns=columns("symbol string, peer string, sector string, from date, to date, ingested_at timestamp"),
    key=("symbol", "peer", "sector", "from"),
    sort_order=("symbol", "peer", "sector", "from"),
)
"""Peers and sectors of symbols; one of the two is "". They hold from the trading date `from` on, before `to`,
which is null while they do. The table is there once relations were ingested."""

TRADES_RAW = TableSpec(
    name="trades_raw",
    columns=columns("""
        symbol string, ts timestamp, seq bigint, price double, size double, conditions string, venue string,
        exchange string, source string, row bigint, ingested_at timestamp
    """),
    key=("symbol", "ts", "seq"),
    partitioning=("months(ts)",),
    sort_order=("symbol", "ts", "seq"),
    by_symbol=True,
)
"""Trades: price per unit, size in units; `seq` counts those of one symbol and instant from 0, in the order of
their rows. `exchange` is the calendar, `venue` where it was traded. The table is there once trades were
ingested."""

QUOTES = TableSpec(
    name="quotes",
    columns=columns("""
        symbol string, ts timestamp, seq bigint, bid double, bid_size double, ask double, ask_size double,
        crossed boolean, conditions string, venue string,
        exchange string, source string, row bigint, ingested_at timestamp
    """),
    key=("symbol", "ts", "seq"),
    partitioning=("months(ts)",),
    sort_order=("symbol", "ts", "seq"),
    by_symbol=True,
)
"""Quotes; a side that one does not tell is null, and `crossed` says that the bid is above the ask. `seq` and
the rest as of `trades_raw`. The table is there once quotes were ingested."""
CORPORATE_ACTIONS = TableSpec(
    name=ACTIONS,
    columns=columns(
        "symbol string, ex_date date, kind string, value double, factor double, source string, "
        "ingested_at timestamp"
    ),
    key=("symbol", "ex_date", "kind"),
    sort_order=("symbol", "ex_date"),
)
"""Splits (`value`: new shares for one) and dividends (cash a share) by the first session without them.

`factor` is what a dividend multiplies earlier prices by, null where that is left to the close before. The
table is there once actions were ingested."""

SYMBOL_NAMES = TableSpec(
    name=RENAMES,
    columns=columns(
        "symbol string, nth int, ticker string, from date, to date, source string, ingested_at timestamp"
    ),
    key=("symbol", "nth"),
    sort_order=("symbol", "nth"),
)
"""Names that securities had: bars of `symbol` are stored under `ticker` from the trading date `from` on,
before `to`, which is null while it holds; `nth` counts a security's names from 0. A row whose `ticker` is ""
does not hold any more: a newer map has fewer names, or the security another symbol. The table is there once
maps were ingested."""

DELIVERIES = TableSpec(
    name="deliveries",
    columns=columns("""
        delivery string, kind string, source string, files bigint, digest string,
        came bigint, landed bigint, corrected bigint, refused bigint, removed bigint, snapshot_id bigint
    """),
    key=("delivery",),
    sort_order=("delivery",),
)
"""What ingests of bars brought, where no snapshot's summary says it (any more): it has expired, or a MERGE of
Spark's wrote it. `kind` is "append", "correct" or "replace-range"; `digest` the SHA-256 of a file, or of the
lines of "digest, two blanks, name" of several; "" of what is no file of this machine."""

CATALOGUE = TableSpec(
    name="catalogue",
    columns=columns("""
        kind string, name string, description string, owner string, asset_class string, licence string,
        tags array<string>, updated_at timestamp, updated_by string
    """),
    key=("kind", "name"),
    sort_order=("kind", "name"),
)
"""What people say of symbols and sources (`kind` "symbol" or "source"). The table is there once they did."""

PREDICTIONS = TableSpec(
    name="predictions",
    columns=columns("""
        model_digest string, symbol string, ts timestamp,
        prediction double, prob_long double, prob_short double
    """),
    key=("model_digest", "symbol", "ts"),
    partitioning=("model_digest",),
    sort_order=("symbol", "ts"),
    by_partition=True,
    by_symbol=True,
)
"""Predictions of a model; the columns that do not apply are null."""

TRADES = TableSpec(
    name="trades",
    columns=(
        *KEY_COLUMNS.items(),
        *columns("trade_no int, trade_symbol string, opened_at timestamp, closed_at timestamp, size double"),
        *columns("entry_price double, exit_price double, pnl double, pnl_net double, exit_reason string"),
        *columns("entry_order double, stop_price double, target_price double"),
    ),
    key=(*KEY, "trade_no"),
    sort_order=("config_id", "symbol", "trade_no"),
    sorted_apart=True,
)
"""Closed trades of the backtests that a study keeps; `trade_symbol` differs in a shared portfolio. The last
four columns are null in rows of versions that did not have them."""

EQUITY = TableSpec(
    name="equity",
    columns=(
        *KEY_COLUMNS.items(),
        *columns("ts timestamp, equity double, benchmark double, position double"),
    ),
    key=(*KEY, "ts"),
    sort_order=("config_id", "symbol", "ts"),
    sorted_apart=True,
)
"""Account value at every bar's close, of the backtests that a study keeps."""

TEST_LOOKS = TableSpec(
    name="test_looks",
    columns=columns("""
        study string, data_digest string, looked_at timestamp, user string, host string,
        config_id string, symbol string, window_start timestamp, window_end timestamp, command string
    """),
)
"""Each time a test window was opened, by whom."""

TABLES: tuple[TableSpec, ...] = (
    BARS,
    BARS_QUARANTINE,
    PREDICTIONS,
    RESULTS,
    RETURNS,
    TRADES,
    EQUITY,
    TEST_LOOKS,
)


def features_table(name: str, features: Sequence[str], labels: Mapping[str, str]) -> TableSpec:
    """Return the table of a feature set.

    Parameters
    ----------
    name : str
        Name of the table, `features_<set>`.
    features : sequence of str
        Columns of type double: small letters, digits and _.
    labels : mapping of str to str
        Label columns and their types.
    """
    values = tuple((column, "double") for column in features)
    return TableSpec(
        name=name,
        columns=(("symbol", "string"), ("ts", "timestamp"), *values, *labels.items()),
        key=("symbol", "ts"),
        partitioning=("months(ts)",),
        sort_order=("symbol", "ts"),
        distinct=True,
    )
