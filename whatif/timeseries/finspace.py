"""Presets with the names of Amazon FinSpace's time-series library, over the indicators of this package.

A notebook that was written for it changes its imports: ``from whatif import finspace``, or
``from whatif.timeseries.finspace import *`` where it took all of a module. Where FinSpace's own
arithmetic was closed, the definition is that of docs/indicators.md.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time
from inspect import Parameter, Signature
from keyword import iskeyword
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from whatif.calendars import known_schedule
from whatif.domain import PRICE_FIELDS, Bars, microseconds, timestamps
from whatif.errors import IndicatorError, nearest
from whatif.indicators import ArrayCache, Expression, evaluate, parse
from whatif.typing import FloatArray

if TYPE_CHECKING:
    from pyspark.sql import Column, DataFrame

ANALYTICS_TABLE = """
abands(t,T,P,H,L) = accbands(H, L, P, t).upper|middle|lower
acc_dist_indicator(T,P,H,L,V) = ad(H, L, P, V)
adx_indicator(t,T,P,H,L) = adx(H, L, P, t)
adrx_indicator(adx_period,period,T,P,H,L) = (adx(H, L, P, adx_period) + \
lag(adx(H, L, P, adx_period), period)) / 2
apo_indicator(short=12,long=26,T,P) = apo(P, short, long)
aroon_up(t,T,P) = aroon(P, P, t).up
aroon_down(t,T,P) = aroon(P, P, t).down
aroon_oscillator(t,T,P) = aroonosc(P, P, t)
average_true_range(t,T,P,H,L) = atr(H, L, P, t)
natr_indicator(t,T,P,H,L) = natr(H, L, P, t)
tr_indicator(T,P,H,L) = trange(H, L, P)
bollinger_bands(t,no_std,T,P,H,L) = bbands((H + L + P) / 3, t, no_std).upper|middle|lower
cmo_indicator(t,T,P) = cmo(P, t)
commodity_channel_index(t,T,P,H,L) = cci(H, L, P, t)
dmi_indicator(t,T,P,H,L) = plus: plus_di(H, L, P, t); minus: minus_di(H, L, P, t)
pos_dm_indicator(T,H,L) = plus_dm(H, L, 1)
neg_dm_indicator(T,H,L) = minus_dm(H, L, 1)
moving_average(t,T,P) = sma(P, t)
exponential_moving_average(t,T,P) = ema(P, t)
double_exponential_moving_average(t,T,P) = dema(P, t)
triple_exponential_moving_average(t,T,P) = tema(P, t)
linear_weighted_moving_average(t,T,P) = wma(P, t)
trima_indicator(t,T,P) = trima(P, t)
t3_ema_indicator(t,T,P) = t3(P, t)
kama_indicator(T,P,er=10,fast=30,slow=2) = kama(P, er, slow, fast)
fast_stock_oscillator(t,T,P,H,L) = stochf(H, L, P, t, 3).fastk
slow_stock_oscillator(t,T,P,H,L) = stoch(H, L, P, t, 3, 3).slowk
stoch_rsi_indicator(rsi_tenor,t,T,P) = stochrsi(P, rsi_tenor, t, 3).fastk
rsi(t,T,P) = rsi(P, t)
max_indicator(t,T,P) = max(P, t)
min_indicator(t,T,P) = min(P, t)
minmax_indicator(t,T,P) = minmax(P, t).min|max
midpoint_indicator(t,T,P) = midpoint(P, t)
midprice_indicator(t,T,H,L) = midprice(H, L, t)
mf_indicator(t,T,P,H,L,V) = mfi(H, L, P, V, t)
on_balance_volume(T,P,V) = obv(P, V)
momentum_indicator(t,T,P) = mom(P, t)
roc_indicator(t,T,P) = roc100(P, t)
ROCP_indicator(t,T,P) = rocp(P, t)
ROCR_indicator(t,T,P) = rocr(P, t)
ROC100_indicator(t,T,P) = rocr100(P, t)
moving_average_converge_diverge(short=12,long=26,T,P) = macd(P, short, long)
moving_average_converge_diverge_hist(short=12,long=26,signal=9,T,P) = macd_histogram(P, short, long, signal)
percentage_price_oscillator(short=12,long=26,signal=9,T,P) = ppo: ppo(P, short, long); \
signal: ema(ppo(P, short, long), signal)
sar_indicator(T,P,H,L,period=2,af=0.02,sar_rising=1) = sar(H, L, af, 0.2)
stddev_indicator(t,T,P) = stddev(P, t)
time_series_forecast_indicator(t,scale=1,T,A,P) = linear_regression(A / scale, P, t).value + \
linear_regression(A / scale, P, t).slope * (A / scale - lag(A / scale, 1))
ts_linear_regression(t,scale=1,T,A,P) = linear_regression(A / scale, P, t).slope|intercept
trix_indicator(t,T,P) = trix(P, t)
ult_osc_indicator(T,P,H,L) = ultosc(H, L, P, 7, 14, 28)
will_r_indicator(t,T,P,H,L) = willr(H, L, P, t)
typical_price_indicator(t=1,T,P,H,L) = sma(typprice(H, L, P), t)
weighted_close_indicator(t=1,T,P,H,L) = sma(wclprice(H, L, P), t)
chaiken_money_flow(t,T,P,H,L,V) = cmf(H, L, P, V, t)
chaikens_volatility(t,T,H,L) = cvi(H, L, t, t)
coppock_curve(roc1=14,roc2=11,wma=10,T,P) = coppock(P, wma, roc1, roc2)
debug_udf_call(t=1,T,P) = P
donchian_channel(t,T,H,L) = donchian(H, L, t).upper|middle|lower
dpo(t,T,P) = dpo(P, t)
ease_of_movement(t,T,H,L,V,scale=1000000) = emv(H, L, V, t, scale)
elder_ray_index(t,T,P) = P - ema(P, t)
fisher_transformation(t,T,H,L) = fisher(H, L, t).fisher
force_index(t,T,P,V) = efi(P, V, t)
hull_moving_average(t,T,P) = hma(P, t)
ichimoku(T,P,tenkan=9,kijun=26,senkou=52) = ichimoku(P, P, P, tenkan, kijun, senkou).tenkan|kijun|span_a|\
span_b|lagging
keltner(T,P,H,L,atr_factor=2,ewm=20,atr=20) = keltner(H, L, P, ewm, atr, atr_factor).upper|middle|lower
klinger_oscillator(short=34,long=55,T,P,H,L,V) = klinger(H, L, P, V, short, long, 13).kvo
linear_regression(t,T,X,Y) = linear_regression(X, Y, t).slope|intercept
weighted_linear_regression(t,T,X,Y,W) = weighted_linear_regression(X, Y, W, t).slope|intercept
weighted_ts_linear_regression(t,scale=1,T,A,P,W) = \
weighted_linear_regression(A / scale, P, W, t).slope|intercept
mass_index(ema=9,sum=25,T,H,L) = massi(H, L, ema, sum)
negative_volume(period=1,T,P,V) = nvi(P, V)
price_channel(t,T,P) = price_channel(P, t).upper|middle|lower
pvt(T,P,V) = pvt(P, V)
pairwise_realized_correlation(t,T,X,Y) = realized_correlation(X, Y, t)
realized_volatility(t,T,P) = realized_volatility(P, t)
realized_volatility_spread(t,T,X,Y) = realized_volatility_spread(X, Y, t)
wilder_smoothing(t,T,P) = smma(P, t)
"""
"""FinSpace's analytics, each with its arguments in their order and the expression that it stands for.

A capital is a column; of several outputs the names stand behind a dot, or before colons.
"""

COLUMNS = {
    "T": ("timestamp_column", "ts"),
    "P": ("price_column", "close"),
    "H": ("high_column", "high"),
    "L": ("low_column", "low"),
    "V": ("volume_column", "volume"),
    "A": ("axis_column", "axis"),
    "X": ("x_column", "x"),
    "Y": ("y_column", "y"),
    "W": ("weight_column", "weight"),
}
"""Arguments that name columns, and what they are if they are left out."""

_SHORTENED = """
aroon_down aroon_up chaiken_money_flow chaikens_volatility coppock_curve donchian_channel dpo ease_of_movement
elder_ray_index fisher_transformation force_index hull_moving_average ichimoku keltner klinger_oscillator
mass_index negative_volume price_channel pvt wilder_smoothing
"""

FULL_NAMES = {name: f"{name}_indicator" for name in _SHORTENED.split()}
"""Analytics that the documentation of FinSpace calls by longer names; they are here by both."""

_OF_COLUMNS = {
    "T": "time_col_name",
    "P": "price_col_name input_array_col_name asset_price_col_name value_axis_col_name",
    "H": "high_col_name",
    "L": "low_col_name",
    "V": "volume_col_name",
    "A": "time_axis_col_name",
    "X": "input1_col_name asset1_col_name input_arr1_col_name_ input_arr1_col_name",
    "Y": "input2_col_name asset2_col_name input_arr2_col_name_ input_arr2_col_name",
    "W": "weights_col_name weights_axis_col_name",
}

_OF_NUMBERS = {
    "short": "short_tenor short_period",
    "long": "long_tenor long_period",
    "signal": "signal_line_tenor signal_line_period",
    "roc1": "roc1_period",
    "roc2": "roc2_period",
    "wma": "wma_period",
    "er": "er_period",
    "fast": "fast_ema_period",
    "slow": "slow_ema_period",
    "ewm": "ewm_tenor",
    "atr": "atr_tenor",
    "ema": "ema_period",
    "sum": "sum_period",
    "tenkan": "short_period",
    "kijun": "medium_period",
    "senkou": "long_period",
}

SECONDS = {"seconds": 1, "minutes": 60, "hours": 3600, "days": 86400}
"""What the scale of an axis of instants may be called."""

ONLY = {("negative_volume", "period"): 1, ("sar_indicator", "period"): 2, ("sar_indicator", "sar_rising"): 1}
"""Arguments that FinSpace had and the indicators have not: other values are refused."""


def _own_names(signature: Signature, own: Mapping[str, str]) -> dict[str, str]:
    """Return the names of arguments by those that FinSpace's documentation gives them."""
    found: dict[str, str] = {}
    for public in signature.parameters:
        letter = own[public]
        found |= dict.fromkeys(f"{_OF_COLUMNS.get(letter, '')} {_OF_NUMBERS.get(letter, '')}".split(), public)
    return found


@dataclass(frozen=True, eq=False)
class Analytic:
    """An analytic with its arguments, ready for `compute_analytics_on_features`.

    Attributes
    ----------
    name : str
        FinSpace's.
    outputs : mapping of str to str
        Expressions by output; of one alone, its name is "".
    columns : mapping of str to str
        Columns of the frame by the series that the expressions name.
    timestamp : str
        Column by which rows are in order.
    """

    name: str
    outputs: Mapping[str, str]
    columns: Mapping[str, str]
    timestamp: str

    @property
    def expressions(self) -> dict[str, Expression]:
        """Its outputs, parsed."""
        return {part: parse(text) for part, text in self.outputs.items()}

    def of(self, frame: pd.DataFrame) -> dict[str, FloatArray]:
        """Return its outputs, each (n,), on rows of one group, which are in order of time."""
        _check_there(self.name, frame, (*self.columns.values(), self.timestamp))
        inputs = {series: _numbers(frame[column]) for series, column in self.columns.items()}
        none, row = np.full(len(frame), np.nan), np.arange(len(frame), dtype=np.int64)
        prices: dict[str, Any] = {name: inputs.pop(name, none) for name in PRICE_FIELDS}
        bars = Bars(
            symbol=self.name,
            ts=row,
            session=row,
            session_open=row,
            session_close=row,
            inputs=inputs,
            **prices,
        )
        cache: ArrayCache = {}
        return {part: evaluate(one, bars, cache) for part, one in self.expressions.items()}


def _check_there(what: str, frame: Any, names: Iterable[str]) -> None:
    """Refuse a frame, of pandas or Spark, that lacks a column."""
    missing = [column for column in names if column not in frame.columns]
    if missing:
        raise IndicatorError(
            f"{what}: there is no column {missing[0]!r}; {nearest(missing[0], map(str, frame.columns))}"
        )


def _numbers(column: pd.Series) -> FloatArray:
    """Return a column as numbers, (n,): instants as seconds since 1970-01-01 UTC."""
    if isinstance(column.dtype, pd.DatetimeTZDtype) or column.dtype.kind == "M":
        return np.where(column.isna(), np.nan, microseconds(column) / 1e6)
    return np.ascontiguousarray(column, dtype=np.float64)


def compute_analytics_on_features(
    data: Any,
    new_column: str,
    func: Analytic,
    partition_col_list: Sequence[str] | str | None = None,
    add_intermediate: bool = False,
) -> Any:
    """Return a frame with an analytic as a further column.

    Parameters
    ----------
    data : pandas or Spark DataFrame
        Rows of bars, of any order.
    new_column : str
        Of several outputs, Spark's is a struct of them, and pandas' are columns such as "bands.upper".
    func : Analytic
        Such as ``exponential_moving_average(tenor=10)``.
    partition_col_list : sequence of str, optional
        Columns of what is computed by itself, such as ``["symbol"]``; all rows together without.
    add_intermediate : bool
        There are no intermediate columns: True is refused.

    Notes
    -----
    *Timing*: a row uses rows of its group up to its own, by the timestamp. *NaN* as in docs/indicators.md.

    Raises
    ------
    IndicatorError
        If a column is missing, or a number breaks the rule of its indicator.
    """
    if add_intermediate:
        raise IndicatorError("add_intermediate: there are no intermediate columns here: leave it out")
    by = [partition_col_list] if isinstance(partition_col_list, str) else list(partition_col_list or ())
    _check_there("compute_analytics_on_features", data, by)
    if isinstance(data, pd.DataFrame):
        return _on_frame(data, new_column, func, by)
    return _on_spark(data, new_column, func, by)


def _on_frame(data: pd.DataFrame, column: str, func: Analytic, by: list[str]) -> pd.DataFrame:
    names = _names(column, func)
    found = {name: np.full(len(data), np.nan) for name in names.values()}
    place = pd.Series(np.arange(len(data)))
    keys = [data[name].to_numpy() for name in by]
    groups = [part.to_numpy() for _, part in place.groupby(keys, dropna=False)] if by else [place.to_numpy()]
    for rows in groups:
        part = data.iloc[rows]
        order = (
            np.argsort(part[func.timestamp].to_numpy(), kind="stable")
            if func.timestamp in part
            else slice(None)
        )
        for output, values in func.of(part.iloc[order]).items():
            found[names[output]][rows[order]] = values
    return data.assign(**found)


def _names(column: str, func: Analytic) -> dict[str, str]:
    """Return the columns of a frame by output."""
    return {part: f"{column}.{part}" if part else column for part in func.outputs}


def _on_spark(data: DataFrame, column: str, func: Analytic, by: list[str]) -> DataFrame:
    from pyspark.sql import functions as F  # noqa: N812
    from pyspark.sql.types import DoubleType, StructField, StructType

    names = _names(column, func)
    # a struct is put together by Spark, of columns that the workers return
    flat = StructType([*data.schema.fields, *(StructField(name, DoubleType()) for name in names.values())])
    made = data.groupBy(*by).applyInPandas(_per_group(column, func), schema=flat)
    if len(names) == 1:
        return made
    whole = F.struct(*(F.col(f"`{name}`").alias(part) for part, name in names.items()))
    return made.withColumn(column, whole).drop(*names.values())


def _per_group(column: str, func: Analytic) -> Callable[[pd.DataFrame], pd.DataFrame]:
    def compute(frame: pd.DataFrame) -> pd.DataFrame:
        return _on_frame(frame, column, func, [])

    return compute


def realized_correlation_matrix(tenor: int, timestamp_column: str = "ts", *cols: str) -> Analytic:
    """Correlate the last returns of each pair of price columns, about zero; outputs such as "a_b"."""
    pairs = [(a, b) for k, a in enumerate(cols) for b in cols[k + 1 :]]
    if not pairs:
        raise IndicatorError(
            "realized_correlation_matrix takes two columns at least: name them after the time"
        )
    series = _series(cols)
    outputs = {f"{a}_{b}": f"realized_correlation({series[a]}, {series[b]}, {tenor})" for a, b in pairs}
    return _checked(
        "realized_correlation_matrix", outputs, {series[one]: one for one in cols}, timestamp_column
    )


def _series(columns: Sequence[str]) -> dict[str, str]:
    """Return what each column is called in an expression."""
    plain = re.compile(r"[a-z_]\w*")
    return {
        column: column if plain.fullmatch(column) and not iskeyword(column) else f"column_{k}"
        for k, column in enumerate(columns)
    }


def _checked(name: str, outputs: dict[str, str], columns: dict[str, str], timestamp: str) -> Analytic:
    """Return an analytic, whose expressions are parsed once, so that wrong numbers are refused here."""
    made = Analytic(name, outputs, columns, timestamp)
    try:
        assert made.expressions
    except IndicatorError as error:
        raise IndicatorError(f"{name}: {error}") from error
    return made


def _outputs(template: str) -> dict[str, str]:
    """Return the expressions of a row of the table by output."""
    if "|" in template:
        call, _, parts = template.rpartition(".")
        return {part: f"{call}\0{part}" for part in parts.split("|")}
    if ": " in template:
        return dict(pair.split(": ", 1) for pair in template.split("; "))
    return {"": re.sub(r"\)\.(\w+)$", ")\0\\1", template)}


def _preset(row: str) -> Callable[..., Analytic]:
    """Return the function of a row of the table."""
    head, template = row.split(" = ", 1)
    name, _, written = head.rstrip(")").partition("(")
    own: dict[str, str] = {}
    parameters = []
    for one in written.split(","):
        letter, _, default = one.partition("=")
        public, column = COLUMNS.get(letter, ("tenor" if letter == "t" else letter, ""))
        own[public] = letter
        value: Any = column or (
            float(default) if "." in default else int(default) if default else Parameter.empty
        )
        parameters.append(Parameter(public, Parameter.POSITIONAL_OR_KEYWORD, default=value))
    signature, outputs = Signature(parameters), _outputs(template)
    known = _own_names(signature, own)

    def preset(*args: Any, **kwargs: Any) -> Analytic:
        renamed = {known.get(key, key): value for key, value in kwargs.items()}
        if len(renamed) < len(kwargs):
            raise IndicatorError(
                f"{name}{signature}: one of {', '.join(kwargs)} is given twice: leave one out"
            )
        try:
            bound = signature.bind(*args, **renamed)
        except TypeError as error:
            raise IndicatorError(f"{name}{signature}: {error}") from error
        bound.apply_defaults()
        scale = bound.arguments.get("scale")
        if own.get("scale") and "A" in own.values() and isinstance(scale, str):
            if scale not in SECONDS:
                raise IndicatorError(f"{name}: scale {scale!r} is unknown: {nearest(scale, SECONDS)}")
            bound.arguments["scale"] = SECONDS[scale]
        for public, value in bound.arguments.items():
            if ONLY.get((name, public), value) != value:
                raise IndicatorError(
                    f"{name}: {public} is {value!r}; {ONLY[name, public]} alone is supported"
                )
        given = {own[public]: value for public, value in bound.arguments.items()}
        used = [given[letter] for letter in given if letter in COLUMNS and letter != "T"]
        series = _series(list(dict.fromkeys(used)))
        texts = {
            letter: series[value] if letter in COLUMNS else str(value)
            for letter, value in given.items()
            if letter != "T"
        }
        word = re.compile(r"(?<!\0)\b(" + "|".join(map(re.escape, texts)) + r")\b(?!\()")
        made = {
            part: word.sub(lambda found: texts[found[1]], text).replace("\0", ".")
            for part, text in outputs.items()
        }
        return _checked(name, made, {series[one]: one for one in used}, given["T"])

    preset.__name__ = preset.__qualname__ = name
    preset.__signature__ = signature  # type: ignore[attr-defined]
    preset.__doc__ = f"Return FinSpace's `{name}`: {template.replace('|', ', ')}."
    return preset


ANALYTICS = {
    **{one.__name__: one for one in map(_preset, ANALYTICS_TABLE.strip("\n").split("\n"))},
    "realized_correlation_matrix": realized_correlation_matrix,
}
"""FinSpace's analytics by name; each is an attribute of this module."""

globals().update(ANALYTICS | {full: ANALYTICS[name] for name, full in FULL_NAMES.items()})


@dataclass(frozen=True)
class TimeBarSpec:
    """How long bars are, and when they begin.

    Attributes
    ----------
    timestamp_column : str
        Column of the events' instants.
    window_duration : str
        Spark's way to write it, such as "1 minute".
    slide_duration : str or None
        From the beginning of a bar to that of the next; the bars' length without, and shorter where bars
        overlap.
    start_time : str or None
        Offset of the bars from 1970-01-01 00:00 UTC, such as "15 minutes".
    """

    timestamp_column: str
    window_duration: str
    slide_duration: str | None = None
    start_time: str | None = None

    def to_window(self) -> Column:
        """Return Spark's window."""
        from pyspark.sql import functions as F  # noqa: N812

        slide = self.slide_duration or (self.window_duration if self.start_time else None)
        return F.window(self.timestamp_column, self.window_duration, slide, self.start_time)


class BarInputSpec:
    """Which columns of the events a bar holds.

    Attributes
    ----------
    bar_structure_name : str
        Column of the bars that holds its events.
    cols : tuple of str
        The columns; that of the instant belongs to them where a summarizer needs it.
    """

    def __init__(self, bar_structure_name: str, *cols: str) -> None:
        self.bar_structure_name = bar_structure_name
        self.cols = cols


def create_time_bars(
    data: DataFrame,
    timebar_column: str,
    grouping_col_list: Sequence[str] | str,
    input_spec: BarInputSpec,
    timebar_spec: TimeBarSpec,
    force_ordering: bool = False,
) -> DataFrame:
    """Return one row for each group and bar in which there are events, with these events.

    Parameters
    ----------
    data : Spark DataFrame
        Events, such as trades, in any order.
    timebar_column : str
        Of the bar's `start` and `end`.
    grouping_col_list : sequence of str
        Such as ``["ticker"]``.
    input_spec : BarInputSpec
        What of the events is kept.
    timebar_spec : TimeBarSpec
        How long the bars are.
    force_ordering : bool
        Taken for compatibility: a bar's events are in order of time in any case, those of one instant in
        order of the other columns, so that no run differs from another.

    Notes
    -----
    *Timing*: a bar holds the events of [start, end).
    """
    from pyspark.sql import functions as F  # noqa: N812

    by = [grouping_col_list] if isinstance(grouping_col_list, str) else list(grouping_col_list)
    events = F.struct(
        F.col(timebar_spec.timestamp_column).alias(_AT), *(F.col(f"`{one}`") for one in input_spec.cols)
    )
    bars = data.groupBy(*by, timebar_spec.to_window().alias(timebar_column))
    return bars.agg(F.sort_array(F.collect_list(events)).alias(input_spec.bar_structure_name))


_AT = "_at"
"""Field by which a bar's events are in order."""


def compute_features_on_time_bars(
    data: DataFrame, new_column: str, func: Column, force_ordering: bool = False, *ordering_cols: str
) -> DataFrame:
    """Return bars with a summary of their events, such as ``vwap("trades", "price", "size")``, as a column.

    The events are in order of time already; `force_ordering` and its columns put the rows in order.
    """
    made = data.withColumn(new_column, func)
    return made.orderBy(*ordering_cols) if force_ordering and ordering_cols else made


def _field(bar: str, name: str) -> Column:
    """Return one field of a bar's events, as an array in order of time."""
    from pyspark.sql import functions as F  # noqa: N812

    return F.col(f"`{bar}`.`{name}`")


def _total(values: Column) -> Column:
    """Return the sum of an array of numbers, from the first to the last."""
    from pyspark.sql import functions as F  # noqa: N812

    return F.aggregate(values, F.lit(0.0), lambda total, one: total + one.cast("double"))


def _struct(**parts: Column) -> Column:
    from pyspark.sql import functions as F  # noqa: N812

    return F.struct(*(column.alias(name) for name, column in parts.items()))


def bar_cnt(bar: str) -> Column:
    """Return how many events a bar has."""
    from pyspark.sql import functions as F  # noqa: N812

    return F.size(F.col(f"`{bar}`"))


def first(bar: str, price: str) -> Column:
    """Return the value of a bar's first event: its open."""
    from pyspark.sql import functions as F  # noqa: N812

    return F.element_at(_field(bar, price), 1)


def close(bar: str, price: str) -> Column:
    """Return the value of a bar's last event."""
    from pyspark.sql import functions as F  # noqa: N812

    return F.element_at(_field(bar, price), -1)


def high(bar: str, price: str) -> Column:
    """Return the highest value of a bar's events."""
    from pyspark.sql import functions as F  # noqa: N812

    return F.array_max(_field(bar, price))


def low(bar: str, price: str) -> Column:
    """Return the lowest value of a bar's events."""
    from pyspark.sql import functions as F  # noqa: N812

    return F.array_min(_field(bar, price))


def lowhigh(bar: str, price: str) -> Column:
    """Return the lowest and the highest value, as a struct."""
    return _struct(low=low(bar, price), high=high(bar, price))


def first_last_high_low(bar: str, price: str) -> Column:
    """Return the first, the last, the highest and the lowest value, as a struct."""
    return _struct(
        first=first(bar, price), last=close(bar, price), high=high(bar, price), low=low(bar, price)
    )


def ohlc_func(bar: str, price: str) -> Column:
    """Return open, high, low and close, as a struct."""
    return _struct(
        open=first(bar, price), high=high(bar, price), low=low(bar, price), close=close(bar, price)
    )


def std(bar: str, price: str) -> Column:
    """Return the standard deviation of a bar's values, as of a sample; null of one event."""
    from pyspark.sql import functions as F  # noqa: N812

    values, count = _field(bar, price), bar_cnt(bar)
    mean = _total(values) / count
    squares = F.aggregate(values, F.lit(0.0), lambda total, one: total + (one - mean) * (one - mean))
    return F.when(count > 1, F.sqrt(squares / (count - 1)))


def time_delta(bar: str, timestamp: str = _AT) -> Column:
    """Return the seconds from a bar's first event to its last."""
    from pyspark.sql import functions as F  # noqa: N812

    instants = F.unix_micros(close(bar, timestamp)) - F.unix_micros(first(bar, timestamp))
    return instants / F.lit(1_000_000.0)


def total_volume(bar: str, volume: str) -> Column:
    """Return the sum of the sizes of a bar's events."""
    return _total(_field(bar, volume))


def volume_and_close(bar: str, price: str, volume: str) -> Column:
    """Return the sum of the sizes and the last value, as a struct."""
    return _struct(volume=total_volume(bar, volume), close=close(bar, price))


def vwap(bar: str, price: str, volume: str) -> Column:
    """Return the mean value by size; null where nothing was traded."""
    from pyspark.sql import functions as F  # noqa: N812

    money = _total(F.zip_with(_field(bar, price), _field(bar, volume), lambda one, size: one * size))
    total = total_volume(bar, volume)
    return F.when(total > 0.0, money / total)


SUMMARIZERS = {
    "open": first,
    "ohlc_func_pre_sorted": ohlc_func,
    "ohlc_scala": ohlc_func,
    "first_last_high_low_presorted": first_last_high_low,
}
"""Further names of summarizers: a bar's events are in order in any case, and "open" is a word of Python."""

globals().update(SUMMARIZERS)


class AbstractCalendar:
    """Sessions of an exchange, by which bars are filled and filtered; a subclass names another one.

    Attributes
    ----------
    exchange : str
        Code of its calendar, such as "XNYS".
    zone : str
        Where the times of a day are local.
    """

    exchange = "XNYS"
    zone = "America/New_York"

    def sessions(self, start: date, end: date) -> pd.DataFrame:
        """Return `open` and `close` of the sessions of [start, end], tz-aware UTC."""
        found = known_schedule(self.exchange, start, end)
        return pd.DataFrame({"open": timestamps(found.open_us), "close": timestamps(found.close_us)})


class NYSECalendar20192020(AbstractCalendar):
    """The New York Stock Exchange's sessions; of all years that its calendar knows."""


class USEndOfDayCalendarActAct_NoWeekends(AbstractCalendar):  # noqa: N801  # FinSpace's name
    """All weekdays, holidays among them, from midnight to midnight in New York."""

    def sessions(self, start: date, end: date) -> pd.DataFrame:
        """Return `open` and `close` of the weekdays of [start, end], tz-aware UTC."""
        days = pd.bdate_range(start, end)
        local = [(one + pd.Timedelta(days=n)).tz_localize(self.zone) for n in (0, 1) for one in days]
        instants = pd.DatetimeIndex(local).tz_convert("UTC") if local else pd.DatetimeIndex([], tz="UTC")
        return pd.DataFrame({"open": instants[: len(days)], "close": instants[len(days) :]})


class CalcInputSpec:
    """What a calculation goes by: a column of instants, a calendar, and further names.

    Attributes
    ----------
    timestamp_column : str
        Column by which rows are in order.
    holiday_calendar : AbstractCalendar
        Of the sessions.
    columns : dict
        The further names.
    """

    def __init__(
        self, timestamp_column: str, holiday_calendar: AbstractCalendar | None = None, **kwargs: Any
    ) -> None:
        self.timestamp_column = timestamp_column
        self.holiday_calendar = holiday_calendar or USEndOfDayCalendarActAct_NoWeekends()
        self.columns = kwargs


def _day(value: date | str) -> date:
    """Return a date; of an instant and of text, its own."""
    if isinstance(value, str):
        try:
            return datetime.fromisoformat(value).date()
        except ValueError:
            raise IndicatorError(f"{value!r} is no date: write such as 2024-07-01") from None
    return value.date() if isinstance(value, datetime) else value


def _second(value: time | str, whole_day: bool = False) -> int:
    """Return the second of the day that a time is; of "24:00" that behind the last one."""
    try:
        found = (
            value
            if isinstance(value, time)
            else time.fromisoformat(value if value[1:2] != ":" else f"0{value}")
        )
    except (TypeError, ValueError):
        if whole_day and value in ("24:00", "24:00:00"):
            return 86_400
        raise IndicatorError(f"{value!r} is no time of a day: write such as 09:30, or 09:30:00") from None
    if found.tzinfo is not None or found.microsecond:
        raise IndicatorError(f"{value} has a zone or parts of a second: write such as 09:30, or 09:30:00")
    return found.hour * 3600 + found.minute * 60 + found.second


def _length(text: str) -> pd.Timedelta:
    try:
        return pd.Timedelta(text)
    except ValueError as error:
        raise IndicatorError(f"{text!r} is no length of bars: write such as 1 minute: {error}") from error


def expected_bars(
    calendar: AbstractCalendar,
    spec: TimeBarSpec,
    start_date: date | str,
    end_date: date | str,
    start_time: time | str | None = None,
    end_time: time | str | None = None,
) -> pd.DataFrame:
    """Return `start` and `end` of all bars inside of sessions, tz-aware UTC.

    Parameters
    ----------
    calendar : AbstractCalendar
        Whose sessions count, those of [start_date, end_date].
    spec : TimeBarSpec
        How long the bars are, and when they begin.
    start_time, end_time : time or str, optional
        Of the day in the calendar's zone, such as "10:00" or "10:00:30": bars that begin before, or at the
        end or later, do not count.

    Notes
    -----
    A bar that a session's open or close falls into counts too.

    Raises
    ------
    IndicatorError
        If a date, a time or a length is none, or the times are the wrong way round.
    """
    begin, stop = _second(start_time or "00:00"), _second(end_time or "24:00", whole_day=True)
    if begin >= stop:
        raise IndicatorError(
            f"start_time {start_time} is not before end_time {end_time}, and no bar lies between: swap them"
        )
    length, step = _length(spec.window_duration), _length(spec.slide_duration or spec.window_duration)
    origin = pd.Timestamp(0, tz="UTC") + _length(spec.start_time or "0s")
    starts: list[pd.Timestamp] = []
    for opened, closed in calendar.sessions(_day(start_date), _day(end_date)).itertuples(index=False):
        # the first that ends after the open
        first = origin + ((opened - length - origin) // step + 1) * step
        starts.extend(pd.date_range(first, closed, freq=step, inclusive="left"))
    made = pd.DataFrame({"start": pd.DatetimeIndex(sorted(set(starts)), tz="UTC")})
    local = made["start"].dt.tz_convert(calendar.zone).dt
    second = local.hour * 3600 + local.minute * 60 + local.second
    kept: pd.DataFrame = made[(second >= begin) & (second < stop)].reset_index(drop=True)
    kept["end"] = kept["start"] + length
    return kept


def time_bar_fill_and_filter(
    data: DataFrame,
    timebar_column_name: str,
    business_calendar: AbstractCalendar,
    timebar_spec: TimeBarSpec,
    start_date: date | str,
    end_date: date | str,
    fill_value: float | None = None,
    start_time: time | str | None = None,
    end_time: time | str | None = None,
    grouping_col_list: Sequence[str] | str = (),
) -> DataFrame:
    """Return bars of sessions alone, and all of them: those without an event too, marked in column `filled`.

    Parameters
    ----------
    data : Spark DataFrame
        Bars, as `create_time_bars` gives them, with summaries.
    timebar_column_name : str
        Column of the bar's start and end.
    business_calendar, timebar_spec, start_date, end_date, start_time, end_time
        Which bars there have to be, as `expected_bars` takes them.
    fill_value : float, optional
        What the numbers of a filled bar are; null without.
    grouping_col_list : sequence of str
        Such as ``["ticker"]``; each group gets all bars. Without, all rows are one group.
    """
    from pyspark.sql import functions as F  # noqa: N812

    by = [grouping_col_list] if isinstance(grouping_col_list, str) else list(grouping_col_list)
    wanted = expected_bars(business_calendar, timebar_spec, start_date, end_date, start_time, end_time)
    grid = data.sparkSession.createDataFrame(wanted.rename(columns={"start": "_start", "end": "_end"}))
    grid = data.select(*by).distinct().crossJoin(grid) if by else grid
    bar = F.col(f"`{timebar_column_name}`")
    found = grid.join(data.withColumn("_start", bar["start"]), [*by, "_start"], "left")
    empty = bar.isNull()
    columns = [F.col(f"`{name}`") for name in by]
    columns.append(_struct(start=F.col("_start"), end=F.col("_end")).alias(timebar_column_name))
    for name, kind in data.dtypes:
        if name in (*by, timebar_column_name):
            continue
        one = F.col(f"`{name}`")
        if fill_value is not None and kind in ("double", "float", "int", "bigint"):
            one = F.when(empty, F.lit(fill_value).cast(kind)).otherwise(one)
        columns.append(one.alias(name))
    made: DataFrame = found.select(*columns, empty.alias("filled"))
    return made


def rank_across(data: Any, column: str, new_column: str, by: str = "ts") -> Any:
    """Return a frame with the rank of a column among all symbols of an instant, from 0 to 1.

    Parameters
    ----------
    data : pandas or Spark DataFrame
        A row for each symbol and instant, such as `whatif.features` gives, or a table of features.
    column, new_column : str
        What is ranked, and where the rank goes.
    by : str
        Column of the instant.

    Notes
    -----
    *Timing*: a row uses rows of its own instant alone. 0 is the least and 1 the most; those that are equal
    share the middle of their places. *NaN* where the value is missing, or no other symbol has one; missing
    values do not count.

    Raises
    ------
    IndicatorError
        If one of the columns is missing.
    """
    _check_there("rank_across", data, (column, by))
    if isinstance(data, pd.DataFrame):
        values = data[column].where(np.isfinite(data[column]))
        groups = values.groupby(data[by], sort=False)
        others = groups.transform("count").astype(np.float64) - 1.0
        return data.assign(**{new_column: (groups.rank() - 1.0) / others.where(others > 0.0)})
    from pyspark.sql import Window
    from pyspark.sql import functions as F  # noqa: N812

    value = F.when(
        ~F.isnan(F.col(f"`{column}`")) & (F.abs(F.col(f"`{column}`")) < float("inf")), F.col(f"`{column}`")
    )
    places = Window.partitionBy(F.col(f"`{by}`"))
    made = data.withColumn("_value", value)
    below = F.rank().over(places.orderBy(F.col("_value").asc_nulls_last())) - 1
    equal = F.count("_value").over(Window.partitionBy(F.col(f"`{by}`"), F.col("_value")))
    others = F.count("_value").over(places) - 1
    known = F.col("_value").isNotNull() & (others > 0)
    rank = F.when(known, (below + (equal - 1) / 2.0) / others).otherwise(F.lit(float("nan")))
    return made.withColumn(new_column, rank).drop("_value")


def string_to_timestamp_micros(column: Any) -> Any:
    """Return text of instants as instants, to the microsecond; text without a zone is UTC.

    Takes a column of Spark, by its name too, or a series of pandas.
    """
    if isinstance(column, pd.Series):
        return pd.to_datetime(column, utc=True, format="ISO8601")
    from pyspark.sql import functions as F  # noqa: N812

    return F.to_timestamp(F.col(column) if isinstance(column, str) else column)


__all__ = [
    *ANALYTICS,
    *FULL_NAMES.values(),
    *SUMMARIZERS,
    *(one.__name__ for one in (bar_cnt, close, high, low, lowhigh, first_last_high_low, ohlc_func)),
    *(one.__name__ for one in (std, time_delta, total_volume, volume_and_close, vwap)),
    "AbstractCalendar",
    "BarInputSpec",
    "CalcInputSpec",
    "NYSECalendar20192020",
    "TimeBarSpec",
    "USEndOfDayCalendarActAct_NoWeekends",
    "compute_analytics_on_features",
    "compute_features_on_time_bars",
    "create_time_bars",
    "rank_across",
    "string_to_timestamp_micros",
    "time_bar_fill_and_filter",
]
