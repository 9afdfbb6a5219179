"""Indicators of TA-Lib by their own names: one table of what they take and give, and how they are called."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from functools import lru_cache
from importlib import import_module
from importlib.metadata import PackageNotFoundError, version
from typing import Any

import numpy as np

from whatif.errors import IndicatorError
from whatif.indicators.definition import Indicator, Limit
from whatif.typing import FloatArray

LONGEST = 100_000
"""Longest period that TA-Lib takes."""

MOVING_AVERAGES = 13
"""Number of the last of TA-Lib's kinds of moving averages (`talib.MA_Type`); the first is 0."""

RENAMED = {"VWAP": "cumulative_vwap"}
"""Functions whose own names, in small letters, are series of the bars."""

TABLE = """
HT_DCPERIOD|close|||r|Hilbert Transform - Dominant Cycle Period
HT_DCPHASE|close|||r|Hilbert Transform - Dominant Cycle Phase
HT_PHASOR|close||inphase quadrature|r|Hilbert Transform - Phasor Components
HT_SINE|close||sine leadsine|r|Hilbert Transform - SineWave
HT_TRENDMODE|close|||r|Hilbert Transform - Trend vs Cycle Mode
ADD|- -|||w|Sum of two series
CUMSUM|close|||c|Cumulative Sum
DIV|- -|||w|Quotient of two series
MAX|close|period:2||ws|Highest value over a specified period
MAXINDEX|close|period:2||i|Index of highest value over a specified period
MIN|close|period:2||ws|Lowest value over a specified period
MININDEX|close|period:2||i|Index of lowest value over a specified period
MINMAX|close|period:2|min max|ws|Lowest and highest values over a specified period
MINMAXINDEX|close|period:2|minidx maxidx|i|Indexes of lowest and highest values over a specified period
MULT|- -|||w|Product of two series
SUB|- -|||w|Difference of two series
SUM|close|period:2||w|Sum of a window
ACOS|close|||w|Arc cosine
ASIN|close|||w|Arc sine
ATAN|close|||w|Arc tangent
CEIL|close|||w|Rounded up
COS|close|||w|Cosine
COSH|close|||w|Hyperbolic cosine
EXP|close|||w|Exponential function
FLOOR|close|||w|Rounded down
LN|close|||w|Natural logarithm
LOG10|close|||w|Logarithm to base 10
SIN|close|||w|Sine
SINH|close|||w|Hyperbolic sine
SQRT|close|||w|Square root
TAN|close|||w|Tangent
TANH|close|||w|Hyperbolic tangent
AC|high low|fast:2 slow:2 signal:2||w|Accelerator/Decelerator Oscillator
ADX|high low close|period:2||r|Average Directional Movement Index
ADXR|high low close|period:2||r|Average Directional Movement Index Rating
AO|high low|fast:2 slow:2||w|Awesome Oscillator
APO|close|fast:2 slow:2 matype=1||r|Absolute Price Oscillator
AROON|high low|period:2|down up|w|Aroon
AROONOSC|high low|period:2||w|Aroon Oscillator
BOP|open high low close|||w|Balance Of Power
CCI|high low close|period:2||w|Commodity Channel Index
CMO|close|period:2||r|Chande Momentum Oscillator
CMOU|close|period:2||w|Chande Momentum Oscillator (Unsmoothed)
COPPOCK|close|wmaperiod roc1period roc2period||w|Coppock Curve
DPO|close|period:2||w|Detrended Price Oscillator
DX|high low close|period:2||r|Directional Movement Index
ER|close|period:2||w|Kaufman Efficiency Ratio
ERI|high low close|period|bullpower bearpower|r|Elder Ray Index (Bull Power / Bear Power)
FOSC|close|period:2||w|Forecast Oscillator
FRACTAL|high low|leftbars rightbars|swinghigh swinglow|w|Williams Fractal
IMI|open close|period:2||w|Intraday Momentum Index
KDJ|high low close|fastk slowk slowd slowkmatype=13 slowdmatype=13|k d j|r|KDJ Stochastic
MACD|close|fast:2 slow:2 signal|macd signal hist|r|Moving Average Convergence/Divergence
MACDEXT|close|fast:2 slow:2 signal fastmatype=0 slowmatype=0 signalmatype=0|macd signal hist|w|MACD \
with controllable MA type
MACDFIX|close|signal|macd signal hist|r|Moving Average Convergence/Divergence Fix 12/26
MFI|high low close volume|period:2||w|Money Flow Index
MINUS_DI|high low close|period||r|Minus Directional Indicator
MINUS_DM|high low|period||r|Minus Directional Movement
MOM|close|period||w|Momentum
PLUS_DI|high low close|period||r|Plus Directional Indicator
PLUS_DM|high low|period||r|Plus Directional Movement
PPO|close|fast:2 slow:2 matype=1||r|Percentage Price Oscillator
QSTICK|open close|period||w|Qstick
ROC|close|period||w|Rate of change in percent
ROCP|close|period||w|Rate of change as a fraction
ROCR|close|period||w|Rate of change as a ratio
ROCR100|close|period||w|Rate of change as a ratio, times 100
RSI|close|period:2||r|Relative Strength Index
SMI|high low close|period:2 fast:2 slow:2 signal:2|smi signal|r|Stochastic Momentum Index
STOCH|high low close|fastk slowk slowd slowkmatype=0 slowdmatype=0|slowk slowd|w|Stochastic
STOCHF|high low close|fastk fastd fastdmatype=0|fastk fastd|w|Stochastic Fast
STOCHRSI|close|period:2 fastk fastd fastdmatype=0|fastk fastd|r|Stochastic Relative Strength Index
TRIX|close|period||r|Change of a triple exponential moving average in percent
TSI|close|firstperiod:2 secondperiod:2||r|True Strength Index
ULTOSC|high low close|period1 period2 period3||w|Ultimate Oscillator
VHF|close|period:2||w|Vertical Horizontal Filter
VORTEX|high low close|period|plusvi minusvi|w|Vortex Indicator
WAD|high low close|||c|Williams' Accumulation/Distribution
WILLR|high low close|period:2||w|Williams' %R
ACCBANDS|high low close|period:2|upper middle lower|ws|Acceleration Bands
BBANDS|close|period:2 nbdevup=2 nbdevdn=2 matype=0|upper middle lower|ws|Bollinger Bands
DEMA|close|period||rs|Double Exponential Moving Average
DONCHIAN|high low|period:2|upper middle lower|ws|Donchian Channels
EMA|close|period||rs|Exponential Moving Average
HMA|close|period||ws|Hull Moving Average
HT_TRENDLINE|close|||rs|Hilbert Transform - Instantaneous Trendline
KAMA|close|period||rs|Kaufman Adaptive Moving Average
KC|high low close|period:2 atrperiod nbdev=2|upper middle lower|rs|Keltner Channels
MA|close|period matype=0||ws|Moving average
MAMA|close|fastlimit=0.5:0.01:0.99 slowlimit=0.05:0.01:0.99|mama fama|rs|MESA Adaptive Moving Average
MAVP|- -|minperiod maxperiod:2 matype=0||ws|Moving average with variable period
MIDPOINT|close|period:2||ws|MidPoint over period
MIDPRICE|high low|period:2||ws|Midpoint Price over period
RMA|close|period||rs|Wilder's Smoothed Moving Average
SAR|high low|acceleration=0.02+ maximum=0.2+||cs|Parabolic SAR
SAREXT|high low|startvalue=0 offsetonreverse=0+ accelerationinitlong=0.02+ accelerationlong=0.02+ \
accelerationmaxlong=0.2+ accelerationinitshort=0.02+ accelerationshort=0.02+ \
accelerationmaxshort=0.2+||cs|Parabolic SAR - Extended
SMA|close|period||ws|Simple Moving Average
SUPERTREND|high low close|period:2 multiplier=3+|supertrend trend|cs|SuperTrend
T3|close|period vfactor=0.7:0:1||rs|Triple Exponential Moving Average (T3)
TEMA|close|period||rs|Triple Exponential Moving Average
TRIMA|close|period||ws|Triangular Moving Average
VWMA|close volume|period||ws|Volume Weighted Moving Average
WMA|close|period||ws|Weighted Moving Average
ZLEMA|close|period||rs|Zero-Lag Exponential Moving Average
AVGDEV|close|period:2||ws|Average Deviation
AVGPRICE|open high low close|||ws|Average Price
HA|open high low close||open high low close|rs|Heikin-Ashi Candles
MEDPRICE|high low|||ws|Median Price
TYPPRICE|high low close|||ws|Typical Price
WCLPRICE|high low close|||ws|Weighted Close Price
BETA|- -|period||w|Beta
CORREL|- -|period||w|Pearson's Correlation Coefficient (r)
LINEARREG|close|period:2||ws|Linear Regression
LINEARREG_ANGLE|close|period:2||w|Linear Regression Angle
LINEARREG_INTERCEPT|close|period:2||ws|Linear Regression Intercept
LINEARREG_SLOPE|close|period:2||w|Linear Regression Slope
PERCENTILE|close|period:2 percentile=50:0:100||ws|Percentile (nearest rank)
PERCENTRANK|close|period:2||w|Percent Rank
STDDEV|close|period:2 nbdev=1||w|Standard Deviation
TSF|close|period:2||ws|Time Series Forecast
VAR|close|period nbdev=1||w|Variance
ADR|high low|period||w|Average Day Range
ATR|high low close|period||r|Average True Range
CVI|high low|period:2 rocperiod||r|Chaikin's Volatility
MASSI|high low|fast:2 slow:2||r|Mass Index
NATR|high low close|period||r|Normalized Average True Range
RVI|close|period stddevperiod:2||r|Relative Volatility Index
TRANGE|high low close|||w|True Range
AD|high low close volume|||c|Chaikin A/D Line
ADOSC|high low close volume|fast:2 slow:2||c|Chaikin A/D Oscillator
CMF|high low close volume|period:2||w|Chaikin Money Flow
EFI|close volume|period||r|Elder's Force Index
MARKETFI|high low volume|||w|Market Facilitation Index
NVI|close volume|||c|Negative Volume Index
OBV|close volume|||c|On Balance Volume
PVI|close volume|||c|Positive Volume Index
PVO|volume|fast:2 slow:2 matype=1||r|Percentage Volume Oscillator
PVT|close volume|||c|Price Volume Trend
RVOL|volume|period||w|Relative Volume
VWAP|high low close volume|||cs|Volume Weighted Average Price
"""
"""TA-Lib's functions: name, sources, parameters, outputs, kind, title.

A source "-" has to be named. A parameter is a whole number from 1, or from the number behind a colon; with a
default behind "=" it may be left out, and is a kind of moving average if its name says so, else a number: of
at least 0 with a "+", within the two bounds behind colons, or any. Those with a default come last. The kind
is "w" for a value that depends on its window alone, "r" for one that goes on from the one before and forgets
its seed, "c" for one that adds up from the first row on, "i" for a row's number; "s" behind it for a value in
the unit of the source. `tests/indicators/test_library.py` holds it against TA-Lib's own description.
"""

PATTERNS = """
2CROWS||Two Crows
3BLACKCROWS||Three Black Crows
3INSIDE||Three Inside Up/Down
3LINESTRIKE||Three-Line Strike
3OUTSIDE||Three Outside Up/Down
3STARSINSOUTH||Three Stars In The South
3WHITESOLDIERS||Three Advancing White Soldiers
ABANDONEDBABY|penetration=0.3+|Abandoned Baby
ADVANCEBLOCK||Advance Block
BELTHOLD||Belt-hold
BREAKAWAY||Breakaway
CLOSINGMARUBOZU||Closing Marubozu
CONCEALBABYSWALL||Concealing Baby Swallow
COUNTERATTACK||Counterattack
DARKCLOUDCOVER|penetration=0.5+|Dark Cloud Cover
DOJI||Doji
DOJISTAR||Doji Star
DRAGONFLYDOJI||Dragonfly Doji
ENGULFING||Engulfing Pattern
EVENINGDOJISTAR|penetration=0.3+|Evening Doji Star
EVENINGSTAR|penetration=0.3+|Evening Star
GAPSIDESIDEWHITE||Up/Down-gap side-by-side white lines
GRAVESTONEDOJI||Gravestone Doji
HAMMER||Hammer
HANGINGMAN||Hanging Man
HARAMI||Harami Pattern
HARAMICROSS||Harami Cross Pattern
HIGHWAVE||High-Wave Candle
HIKKAKE||Hikkake Pattern
HIKKAKEMOD||Modified Hikkake Pattern
HOMINGPIGEON||Homing Pigeon
IDENTICAL3CROWS||Identical Three Crows
INNECK||In-Neck Pattern
INVERTEDHAMMER||Inverted Hammer
KICKING||Kicking
KICKINGBYLENGTH||Kicking - bull/bear determined by the longer marubozu
LADDERBOTTOM||Ladder Bottom
LONGLEGGEDDOJI||Long Legged Doji
LONGLINE||Long Line Candle
MARUBOZU||Marubozu
MATCHINGLOW||Matching Low
MATHOLD|penetration=0.5+|Mat Hold
MORNINGDOJISTAR|penetration=0.3+|Morning Doji Star
MORNINGSTAR|penetration=0.3+|Morning Star
ONNECK||On-Neck Pattern
PIERCING||Piercing Pattern
RICKSHAWMAN||Rickshaw Man
RISEFALL3METHODS||Rising/Falling Three Methods
SEPARATINGLINES||Separating Lines
SHOOTINGSTAR||Shooting Star
SHORTLINE||Short Line Candle
SPINNINGTOP||Spinning Top
STALLEDPATTERN||Stalled Pattern
STICKSANDWICH||Stick Sandwich
TAKURI||Takuri (Dragonfly Doji with very long lower shadow)
TASUKIGAP||Tasuki Gap
THRUSTING||Thrusting Pattern
TRISTAR||Tristar Pattern
UNIQUE3RIVER||Unique 3 River
UPSIDEGAP2CROWS||Upside Gap Two Crows
XSIDEGAP3METHODS||Upside/Downside Gap Three Methods
"""
"""Its patterns of candlesticks, CDL and the name: parameters, title. All take open, high, low, close."""

_KINDS = {
    "w": "none, for a value depends on its window alone, up to rounding",
    "r": "the first rows since the start or the last missing value; it fades",
    "c": "the first row since the start or the last missing value, from which it adds up",
    "i": "the first row since the start or the last missing value is number 0",
}


def short_name(parameter: str) -> str:
    """Return a parameter's name in expressions, of TA-Lib's."""
    for long, short in (("timeperiod", "period"), ("k_period", "k"), ("d_period", "d")):
        parameter = parameter.replace(long, short)
    return (
        parameter.removesuffix("period").replace("_", "")
        if parameter in _PLAIN
        else parameter.replace("_", "")
    )


_PLAIN = ("fastperiod", "slowperiod", "signalperiod")


def library_version() -> str:
    """Return which version of TA-Lib is installed; "none" without."""
    try:
        return version("TA-Lib")
    except PackageNotFoundError:
        return "none"


@lru_cache(maxsize=1)
def _talib() -> Any:
    """Return TA-Lib, which is imported when one of its functions is first needed: it takes a second."""
    try:
        import_module("talib.abstract")
        return import_module("talib")
    except ImportError as error:
        raise IndicatorError(
            "this indicator is computed by TA-Lib, which cannot be imported here: install the package TA-Lib"
        ) from error


@lru_cache(maxsize=4096)
def lookback(name: str, numbers: tuple[float, ...]) -> int:
    """Return the number of rows before the first value of a function of TA-Lib's.

    Raises
    ------
    IndicatorError
        If TA-Lib refuses the numbers together.
    """
    return int(
        _asked(name, numbers, _talib().abstract.Function(name, **_keywords(name, numbers)), "lookback")
    )


def _asked(name: str, numbers: Sequence[float], function: Any, what: str) -> Any:
    try:
        return getattr(function, what)
    except Exception as error:  # TA-Lib raises nothing narrower
        raise _refused(name, numbers, error) from error


def _refused(name: str, numbers: Sequence[float], error: Exception) -> IndicatorError:
    given = ", ".join(f"{number:g}" for number in numbers)
    return IndicatorError(f"{name.lower()}: TA-Lib refuses {given}: {error}; give other numbers")


@lru_cache(maxsize=4096)
def _keywords(name: str, numbers: tuple[float, ...]) -> dict[str, float]:
    given = dict(zip(LIBRARY[RENAMED.get(name, name.lower())].parameters, numbers, strict=True))
    own = _talib().abstract.Function(name).info["parameters"]
    return {parameter: given[short_name(parameter)] for parameter in own}


def _runs(sources: Sequence[FloatArray]) -> Iterator[tuple[int, int]]:
    """Yield the bounds of stretches in which no source has a missing value."""
    good = np.logical_and.reduce([np.isfinite(source) for source in sources])
    if good.all():
        yield 0, len(good)
        return
    edges = np.flatnonzero(np.diff(np.concatenate([[False], good, [False]])))
    yield from zip(edges[::2].tolist(), edges[1::2].tolist(), strict=True)


def compute(
    name: str, sources: Sequence[FloatArray], numbers: tuple[float, ...], outputs: int = 1
) -> FloatArray:
    """Return the outputs of a function of TA-Lib's, (outputs, n), by its name there.

    Each stretch of rows without a missing value is computed by itself; TA-Lib would carry NaN on for ever.

    Raises
    ------
    IndicatorError
        If TA-Lib refuses the numbers together.
    """
    found = np.full((outputs, len(sources[0])), np.nan)
    function, before = getattr(_talib(), name), lookback(name, numbers)
    for start, stop in _runs(sources):
        if stop - start <= before:
            continue
        try:
            made = function(*(one[start:stop] for one in sources), **_keywords(name, numbers))
        except Exception as error:  # TA-Lib raises nothing narrower
            raise _refused(name, numbers, error) from error
        for k, values in enumerate(made if outputs > 1 else (made,)):
            found[k, start + before : stop] = values[before:]
    found[~np.isfinite(found)] = np.nan
    return found


def _kernel(name: str, count: int, outputs: int) -> Callable[..., FloatArray]:
    """Return the kernel of a function of TA-Lib's that takes so many sources."""

    def kernel(*given: Any) -> FloatArray:
        made = compute(name, given[:count], given[count:], outputs)
        return made if outputs > 1 else made[0]

    return kernel


def _limit(text: str) -> tuple[str, Limit]:
    """Return the name and the rule of a parameter of the table."""
    name, has_default, default = text.partition("=")
    if not has_default:
        name, _, least = text.partition(":")
        return name, Limit(int(least or 1), LONGEST, whole=True)
    if name.endswith("matype"):
        return name, Limit(0, MOVING_AVERAGES, whole=True, default=int(default))
    value, *bounds = default.split(":")
    if bounds:
        return name, Limit(float(bounds[0]), float(bounds[1]), default=float(value))
    return name, Limit(0.0 if value.endswith("+") else -math.inf, math.inf, default=float(value.rstrip("+")))


def _text(name: str, title: str, kind: str, limits: dict[str, Limit], parts: Sequence[str]) -> str:
    """Return what is known of a function."""
    rules = [
        f"{parameter} : {limit}" + ("" if limit.default is None else f"; {limit.default:g} if left out")
        for parameter, limit in limits.items()
    ]
    given = ["Parameters", "----------", *rules, ""] if rules else []
    scale = "the unit of the source" if kind.endswith("s") else "its own"
    outputs = f"float64 arrays (n,): {', '.join(parts)}" if parts else "float64 array (n,)"
    return "\n".join(
        [
            f"{title}: TA-Lib's {name}.",
            "",
            *given,
            "Returns",
            "-------",
            outputs,
            f"    *Scale*: {scale}. *Seed*: {_KINDS[kind[0]]}.",
            "",
            "Notes",
            "-----",
            "*Timing*: row t uses rows up to t. NaN for as many rows as TA-Lib looks back, since the start",
            "or the last row with a missing value, and where the result is not finite.",
        ]
    )


def _of_row(row: str) -> Indicator:
    name, sources, parameters, outputs, kind, title = row.split("|")
    limits, parts = dict(map(_limit, parameters.split())), tuple(outputs.split())
    series = tuple("" if one == "-" else one for one in sources.split())

    def warmup(*numbers: float) -> int:
        return lookback(name, numbers)

    return Indicator(
        RENAMED.get(name, name.lower()),
        _kernel(name, len(series), max(len(parts), 1)),
        series,
        tuple(limits),
        warmup,
        origin="TA-Lib",
        limits=limits,
        parts=parts,
        text=_text(name, title, kind, limits, parts),
    )


def _rows() -> Iterator[str]:
    yield from TABLE.split("\n")[1:-1]
    for row in PATTERNS.split("\n")[1:-1]:
        name, parameters, title = row.split("|")
        yield f"CDL{name}|open high low close|{parameters}||w|Candlesticks: {title} (100 or -100, else 0)"


LIBRARY = {one.name: one for one in map(_of_row, _rows())}
"""TA-Lib's functions as indicators, by name in expressions."""
