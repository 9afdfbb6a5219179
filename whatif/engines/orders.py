"""Orders: what every broker refuses of an intent, and of the order that it makes."""

from __future__ import annotations

import math

from whatif.domain import inlinable, inlinable_lean
from whatif.engines.language.order_answers import NAN, WIDTH, order_at, put_order
from whatif.errors import EngineError
from whatif.strategies import (
    BRACKET,
    BUY,
    BY_RISK,
    CANCEL,
    CLOSE,
    EXIT_MEMORY,
    HOLD,
    MAX_ANSWERED,
    NEVER,
    OCO,
    ORDER_FIELDS,
    SELL,
    SESSION,
    SIZES,
    TARGET,
    TARGET_PERCENT,
    WAITING_FOR_PRICE,
    WEIGHTS,
    Order,
    OverlayRules,
    fields_filled,
    has_to_leave,
    sized,
    stop_distance,
)
from whatif.typing import FloatArray

LARGEST_SIZE = 2.0**53
"""Sizes beyond it are refused: Backtrader counts whole units exactly, a double no longer does."""

FINE, UNKNOWN_CODE, BAD_AMOUNT, TAKES_NONE, NO_PRICE, BAD_TRAIL = range(6)
WRONG_SIDE, BAD_BRACKET, BAD_VALID, BAD_CLOSE, BAD_GROUP, NO_STOP = range(6, 12)
"""Rules of orders, by number, of which `order_fault` says the one that is broken."""

EXITS = 2**40
"""Code of the mark before orders of the overlays, which leave the position inside a bar; no step's."""

UNSTOPPED = 2**41
"""Added to the code of an order that `risk_per_trade` finds no stop for, which is refused."""

OWN, PRICED, EXITS_ONLY = 0.0, WAITING_FOR_PRICE, 2.0
"""Amounts of a cancellation: the step's orders, or all that wait for a price, or those of the overlays."""

MAX_EXITS = 3
DESK_ROOM = MAX_ANSWERED + MAX_EXITS + 4
"""Orders that a desk has room for: a step's, the overlays', two cancellations and two marks."""

EXITS_WAITING, MARKET_WAITING, HELD_SIZE, HELD_PRICE = range(EXIT_MEMORY)
"""What the overlays remember: how many of their orders wait, and how many at the market, when the step is
asked; and size and entry price of the position that their orders were placed for."""

_LIMIT, _STOP, _TRAIL, _TRAIL_PERCENT, _TARGET, _VALID, _AT_CLOSE = (1 << k for k in range(7))


@inlinable
def order_fault(order: Order, close: float) -> int:
    """Return which rule an order breaks that is made at a close, or `FINE`.

    Parameters
    ----------
    order : Order
        As a step answers.
    close : float
        Close of the bar, money a unit.

    Returns
    -------
    int
        One of the numbers above.
    """
    code, amount, limit, stop, trail, trail_percent, target, valid, at_close = order
    filled = fields_filled(order)
    if code < HOLD or code > OCO:
        return NO_STOP if UNSTOPPED <= code <= UNSTOPPED + OCO else UNKNOWN_CODE
    if code == HOLD:
        return TAKES_NONE if filled != 0 else FINE
    if not math.isfinite(amount) or (amount < 0.0 and code in (BUY, SELL)):
        return BAD_AMOUNT
    if filled == 0 and code != BRACKET:
        return FINE
    if code not in (BUY, SELL, BRACKET) or (code != BRACKET and filled & _TARGET != 0):
        return TAKES_NONE
    for price in (limit, stop, target):
        if math.isinf(price) or price <= 0.0:
            return NO_PRICE
    if valid < 0 and valid != SESSION:
        return BAD_VALID
    if filled & (_TRAIL | _TRAIL_PERCENT) != 0:
        distance = trail if filled & _TRAIL != 0 else trail_percent
        both = filled & _TRAIL != 0 and filled & _TRAIL_PERCENT != 0
        if code == BRACKET or both or not (distance > 0.0 and math.isfinite(distance)):
            return BAD_TRAIL
        if filled & _TRAIL == 0 and trail_percent >= 1.0:
            return BAD_TRAIL
    if at_close != 0:
        return BAD_CLOSE if at_close != 1 or filled & ~(_AT_CLOSE | _VALID) != 0 or code == BRACKET else FINE
    if code == BRACKET:
        entry = close if filled & _LIMIT == 0 else limit
        side = 1.0 if amount > 0.0 else -1.0 if amount < 0.0 else 0.0
        none = filled & (_STOP | _TARGET) == 0
        wrong = side * (stop - entry) >= 0.0 or side * (entry - target) >= 0.0
        if none or (wrong and side != 0.0):
            return BAD_BRACKET
        return BAD_VALID if valid != 0 and filled & _LIMIT == 0 else FINE
    trails = filled & (_TRAIL | _TRAIL_PERCENT) != 0
    if filled & _LIMIT != 0 and (trails or filled & _STOP != 0):
        begin = stop if filled & _STOP != 0 else close
        if (limit < begin) if code == BUY else (limit > begin):
            return WRONG_SIDE
    return BAD_VALID if filled == _VALID else FINE


@inlinable
def tie_fault(code: int, amount: float, tied: int, after: int) -> int:
    """Return `BAD_GROUP` if an order may not stand where it does among those of its bar, else `FINE`.

    Parameters
    ----------
    code, amount : int, float
        Of the order, or of the mark of `oco`.
    tied : int
        Orders from this one on that a mark before it ties together.
    after : int
        Orders after this one.
    """
    if code == OCO:
        return FINE if tied == 0 and 2.0 <= amount <= after else BAD_GROUP
    return BAD_GROUP if tied > 0 and code not in (BUY, SELL, BRACKET) else FINE


def is_code(code: object) -> bool:
    """Return whether a step's answer begins with a code, whatever else it holds."""
    return isinstance(code, int) and (HOLD <= code <= OCO or UNSTOPPED <= code <= UNSTOPPED + OCO)


def is_market(order: Order) -> bool:
    """Return whether an order says no more than a pair of code and amount."""
    return is_code(order.code) and order.code <= TARGET_PERCENT and not fields_filled(order)


@inlinable_lean
def overlay_orders(
    desk: FloatArray,
    count: int,
    close: float,
    account: tuple[float, float, float, int],
    bars_held: int,
    value: float,
    waiting: int,
    minutes_to_close: int,
    measured: float,
    rules: OverlayRules,
    memory: FloatArray,
) -> int:
    """Turn the orders of a bar into those that the overlays leave of them; return how many that are.

    Exits come before what the step asks for, as in `whatif.strategies.apply_overlays`: orders that wait for
    a price are cancelled, and the position is left. Then a sizing rule sizes each order. What breaks a rule
    is left as it is. Last, exits that act inside a bar are placed, see `place_exits`.

    Parameters
    ----------
    desk : float64 array (DESK_ROOM * WIDTH,)
        The orders; written to.
    count, waiting : int
        Orders on the desk, and orders of the symbol that wait, those of the overlays not among them.
    close : float
        Close of the bar.
    account : tuple of float, float, float, int
        Cash, units held, their average price, and the row on which the position was opened.
    bars_held, value, minutes_to_close : int, float, int
        As `whatif.strategies.State` has them.
    measured : float
        What a sizing rule goes by, as `whatif.strategies.units_to_open` takes it.
    rules : OverlayRules
        What is on.
    memory : float64 array (EXIT_MEMORY,) or any
        What is remembered of exits that wait; not looked at if there are none. Written to.
    """
    _, size, entry_price, _ = account
    if count > MAX_ANSWERED:
        return count
    exits = has_exit_orders(rules)
    for k in range(count):
        if order_fault(order_at(desk, k), close) != FINE:
            return count  # which is refused
    flat = minutes_to_close <= rules.flat_before_close
    leaves = size != 0.0 and (flat or has_to_leave(close, size, entry_price, bars_held, rules))
    if flat or leaves:
        put_order(desk, 0, Order(CANCEL, WAITING_FOR_PRICE, NAN, NAN, NAN, NAN, NAN, 0, 0))
        put_order(desk, 1, Order(CLOSE, 0.0, NAN, NAN, NAN, NAN, NAN, 0, 0))
        if exits:
            waiting += int(memory[EXITS_WAITING])
            memory[HELD_SIZE] = 0.0
        if leaves:
            return 2
        return 1 if waiting > 0 else 0
    for k in range(count):
        at = k * WIDTH
        desk[at], desk[at + 1] = sized_order(order_at(desk, k), close, account, value, measured, rules)
        if desk[at] >= UNSTOPPED:
            return count  # which is refused
    return place_exits(desk, count, close, account, value, waiting, rules, memory) if exits else count


@inlinable_lean
def sized_order(
    order: Order,
    close: float,
    account: tuple[float, float, float, int],
    value: float,
    measured: float,
    rules: OverlayRules,
) -> tuple[int, float]:
    """Return code and amount of an order as `sized` leaves them, `UNSTOPPED` added if it should have a stop.

    It is opened at its limit, or else at its stop, or else at the close; a bracket has a stop of its own.
    """
    code, amount, limit, stop, _, _, _, _, _ = order
    entry, own = close, math.nan
    if code == BRACKET:
        own = stop
    elif stop == stop:
        entry = stop
    if limit == limit:
        entry = limit
    cash, size, _, _ = account
    code, amount = sized(code, amount, close, size, cash, value, entry, own, measured, rules)
    if rules.sizing == BY_RISK and code in (TARGET, BUY, SELL, BRACKET) and amount != 0.0:
        distance = stop_distance(entry, own, rules)
        return code + UNSTOPPED if distance != distance else code, amount
    return code, amount


@inlinable_lean
def has_exit_orders(rules: OverlayRules) -> bool:
    """Return whether exits wait at the broker for a price."""
    on: bool = rules.stop_order == rules.stop_order or rules.target_order == rules.target_order
    return on or rules.trail_order == rules.trail_order


@inlinable
def moves_position(order: Order, size: float, value: float, close: float) -> bool:
    """Return whether an order is to change the position on the next bar, as far as that can be said.

    Parameters
    ----------
    order : Order
        What the step answered.
    size, value, close : float
        Units held, and the account's value, at the bar's close.
    """
    code, amount, limit, _, _, _, _, _, _ = order
    if code == BRACKET:
        return amount != 0.0 and limit != limit
    if code in (BUY, SELL):
        return amount != 0.0 and fields_filled(order) == 0
    if code == TARGET:
        return amount != size
    if code == CLOSE:
        return size != 0.0
    # of less than a unit Backtrader makes no order
    return code == TARGET_PERCENT and abs(amount * value - size * close) >= close


@inlinable_lean
def place_exits(
    desk: FloatArray,
    count: int,
    close: float,
    account: tuple[float, float, float, int],
    value: float,
    waiting: int,
    rules: OverlayRules,
    memory: FloatArray,
) -> int:
    """Write the orders that leave the position inside a bar to a desk, or cancel them; return the new count.

    They are placed at the close of the bar on which the position was opened or changed, for all of it, and
    the first of them to fill cancels the others. An order at the market that is to change the position
    cancels them; they come back for what is held then. Where one of them has left the position, what else
    waits for a price is cancelled.

    Parameters
    ----------
    desk, count, close, account, value, waiting, rules, memory
        As `overlay_orders` takes them.
    """
    _, size, entry_price, _ = account
    if size == 0.0 and waiting > 0 and memory[HELD_SIZE] != 0.0 and memory[EXITS_WAITING] == 0.0:
        for k in range(count * WIDTH - 1, -1, -1):
            desk[k + WIDTH] = desk[k]
        put_order(desk, 0, Order(CANCEL, PRICED, NAN, NAN, NAN, NAN, NAN, 0, 0))
        count += 1
    moves = memory[MARKET_WAITING] > 0.0
    for k in range(count):
        moves = moves or moves_position(order_at(desk, k), size, value, close)
    wait = memory[EXITS_WAITING] > 0.0
    open_again = size != 0.0 and not moves
    if open_again and wait and memory[HELD_SIZE] == size and memory[HELD_PRICE] == entry_price:
        return count
    if wait:
        put_order(desk, count, Order(CANCEL, EXITS_ONLY, NAN, NAN, NAN, NAN, NAN, 0, 0))
        count += 1
    if not open_again:
        memory[HELD_SIZE] = 0.0
        return count
    memory[HELD_SIZE], memory[HELD_PRICE] = size, entry_price
    code, units, side = (SELL, size, 1.0) if size > 0.0 else (BUY, -size, -1.0)
    # the marks are written when it is known how many orders there are
    begin, at = count, count + 2
    if rules.stop_order == rules.stop_order:
        stop = entry_price * (1.0 - side * rules.stop_order)
        put_order(desk, at, Order(code, units, NAN, stop, NAN, NAN, NAN, 0, 0))
        at += 1
    if rules.trail_order == rules.trail_order:
        start = max(entry_price, close) if size > 0.0 else min(entry_price, close)
        put_order(desk, at, Order(code, units, NAN, start, NAN, rules.trail_order, NAN, 0, 0))
        at += 1
    if rules.target_order == rules.target_order:
        target = entry_price * (1.0 + side * rules.target_order)
        put_order(desk, at, Order(code, units, target, NAN, NAN, NAN, NAN, 0, 0))
        at += 1
    placed = at - begin - 2
    put_order(desk, begin, Order(EXITS, 0.0, NAN, NAN, NAN, NAN, NAN, 0, 0))
    tie = Order(OCO, float(placed), NAN, NAN, NAN, NAN, NAN, 0, 0)
    put_order(desk, begin + 1, tie if placed > 1 else Order(HOLD, 0.0, NAN, NAN, NAN, NAN, NAN, 0, 0))
    return at


@inlinable_lean
def has_bounds(rules: OverlayRules) -> bool:
    """Return whether what an account of several symbols holds is bounded."""
    return rules.max_gross < math.inf or rules.max_net < math.inf or rules.max_positions < NEVER


@inlinable_lean
def bounded(
    order: float,
    symbol: int,
    held: FloatArray,
    closes: FloatArray,
    value: float,
    rules: OverlayRules,
) -> float:
    """Return the signed size that the account's bounds leave of an order, in whole units where they cut it.

    What makes a position smaller is left as it is. Else the position may become as large as, beside the
    others, `max_gross` and `max_net` times the account's value allow, and one that is not there yet be opened
    if there are fewer than `max_positions`; it is never made smaller than it is.

    Parameters
    ----------
    order : float
        Signed size.
    symbol : int
        Place of its symbol.
    held, closes : float64 arrays (k,)
        Units of each symbol with all of its orders that wait filled, and its last close.
    value : float
        Of the account.
    rules : OverlayRules
        What is on.
    """
    own = held[symbol]
    after = own + order
    if after == 0.0 or (abs(after) <= abs(own) and (after > 0.0) == (own > 0.0)):
        return order
    gross, net, count = 0.0, 0.0, 0
    for k in range(len(held)):
        if k != symbol and held[k] != 0.0:
            gross += abs(held[k]) * closes[k]
            net += held[k] * closes[k]
            count += 1
    side = 1.0 if after > 0.0 else -1.0
    most = math.inf
    if rules.max_gross < math.inf:
        most = min(most, (rules.max_gross * value - gross) / closes[symbol])
    if rules.max_net < math.inf:
        most = min(most, (rules.max_net * value - side * net) / closes[symbol])
    if own == 0.0 and count >= rules.max_positions:
        most = 0.0
    if abs(after) <= most:
        return order
    allowed: float = side * math.floor(most) if most > 0.0 else 0.0
    if (own > 0.0) == (side > 0.0) and own != 0.0 and abs(allowed) < abs(own):
        allowed = own
    left: float = allowed - own
    return left


BAD_ANSWER, BAD_COUNT, BAD_VALUE, BAD_GROSS = range(20, 24)
"""Rules of a cross-sectional step's answers, by number, of which `answer_fault` says which is broken."""

_GROSS_NOISE = 1e-9
"""What rounding may add to a sum of weights, as a fraction of the most that it may be."""


@inlinable_lean
def answer_fault(code: int, values: FloatArray, max_gross: float) -> tuple[int, int, float]:
    """Return which rule a cross-sectional step's answer breaks, of which symbol, and what is said of it.

    Parameters
    ----------
    code : int
        Of the answer; negative if it had not one value for each symbol.
    values : float64 array (k,)
        One for each symbol.
    max_gross : float
        The most that absolute weights may sum to.

    Returns
    -------
    int, int, float
        The rule, or `FINE`; the symbol's place; its value, or the sum of all.
    """
    if code < 0:
        return BAD_COUNT, 0, 0.0
    if code not in (WEIGHTS, SIZES):
        return BAD_ANSWER, 0, 0.0
    gross = 0.0
    for k in range(len(values)):
        if math.isinf(values[k]):
            return BAD_VALUE, k, values[k]
        if values[k] == values[k]:
            gross += abs(values[k])
    if code == WEIGHTS and gross > max_gross * (1.0 + _GROSS_NOISE):
        return BAD_GROSS, 0, gross
    return FINE, 0, gross


def refused_answer(where: str, fault: int, code: int, symbol: str, amount: float, most: float) -> EngineError:
    """Return the error for an answer of a cross-sectional step that breaks a rule.

    Parameters
    ----------
    where : str
        Strategy and bar.
    fault, symbol, amount
        As `answer_fault` says them, the symbol by its name.
    code : int
        Of the answer.
    most : float
        The strategy's `max_gross`.
    """
    rules = {
        BAD_COUNT: "the step must return one value for each symbol of the study, in their order; NaN leaves "
        "one alone",
        BAD_ANSWER: f"the step returned the intent ({code!r}, ...); a cross-sectional step answers with "
        "weights, sizes, orders or hold",
        BAD_VALUE: f"the step asks for {amount} of {symbol}; a value must be finite, or NaN to leave "
        "the symbol alone",
        BAD_GROSS: f"the step's weights sum to {amount:.6g} without their signs, over max_gross = {most:g}: "
        "make them smaller, or declare the strategy with a greater max_gross",
    }
    return EngineError(f"{where}: {rules[fault]}")


_RULES = {
    TAKES_NONE: "prices, valid and at_close are for buy, sell and bracket, and a target for bracket only",
    NO_PRICE: "a price must be a positive finite number, or NaN for none",
    BAD_TRAIL: (
        "give trail, an amount of money above 0, or trail_percent, a fraction above 0 and below 1, and "
        "neither to a bracket"
    ),
    WRONG_SIDE: (
        "the limit behind a stop must be at or above it to buy, and at or below it to sell (with a trail: "
        "than the price that trailing starts from)"
    ),
    BAD_BRACKET: (
        "a bracket needs a stop or a target; of a long position the stop must be below the entry (its limit, "
        "or else the bar's close) and the target above, of a short one the other way round"
    ),
    BAD_VALID: (
        "valid is a number of bars from 1, SESSION, or 0 for no end, and of an order that waits for a price: "
        "one at the market fills on the next bar"
    ),
    BAD_CLOSE: "at_close takes no price: leave limit, stop and trail out",
    BAD_GROUP: (
        "oco ties two orders or more that buy, sell or are brackets, and is not given another oco"
    ),
    NO_STOP: (
        "risk_per_trade sizes it by the distance to its stop, and it has none: answer with a bracket that "
        "has a stop, or turn on stop_loss, stop_loss_intrabar or trailing_stop"
    ),
}  # fmt: skip


def refused_intent(where: str, code: object, amount: object) -> EngineError:
    """Return the error for an answer that is no intent; `where` names strategy, symbol and bar."""
    rule = "a size must be a finite number, and not negative for buy and sell"
    if code not in (TARGET, BUY, SELL, CLOSE, TARGET_PERCENT, CANCEL, BRACKET, OCO):
        rule = "use hold, target, buy, sell, close, target_percent, bracket or cancel"
    return EngineError(f"{where}: the step returned the intent ({code!r}, {amount!r}); {rule}")


def refused_order(where: str, order: Order, fault: int) -> EngineError:
    """Return the error for an order that breaks a rule.

    Parameters
    ----------
    where : str
        Strategy, symbol and bar.
    order : Order
        What the step answered.
    fault : int
        The rule, as `order_fault` says it.
    """
    if fault == NO_STOP:
        order = order._replace(code=order.code - UNSTOPPED)
    if fault in (UNKNOWN_CODE, BAD_AMOUNT):
        return refused_intent(where, order.code, order.amount)
    return EngineError(f"{where}: the step returned {shown(order)}; {_RULES[fault]}")


def shown(order: Order) -> str:
    """Return an order as the call that makes it."""
    filled = fields_filled(order)
    names = ("hold", "target", "buy", "sell", "close", "target_percent", "cancel", "bracket", "oco")
    given = [f"{order.amount:g}"]
    for bit, (name, value) in enumerate(zip(ORDER_FIELDS, order[2:], strict=True)):
        if filled >> bit & 1:
            given.append(f"{name}={bool(value)}" if name == "at_close" else f"{name}={value:.10g}")
    return f"{names[int(order.code)]}({', '.join(given)})"


def refused_delayed(where: str) -> EngineError:
    """Return the error for orders that latency cannot act on."""
    return EngineError(
        f"{where}: the step returned orders with prices, cancel, or several orders, which latency cannot act "
        "on; leave latency out, or answer with one market order"
    )


def refused_count(where: str) -> EngineError:
    """Return the error for more orders on one bar than a step may answer with."""
    return EngineError(f"{where}: the step returned more than {MAX_ANSWERED} orders on one bar; return fewer")


def refused_waiting(where: str, max_orders: int) -> EngineError:
    """Return the error for more orders that wait than the strategy says."""
    return EngineError(
        f"{where}: more than max_orders {max_orders} orders wait; cancel() some, give them valid=, or "
        "declare the strategy with a greater max_orders"
    )


def refused_size(where: str, size: float) -> EngineError:
    """Return the error for an order that no broker could count; `where` names strategy, symbol and bar."""
    return EngineError(
        f"{where}: an order of {size} units; use sizes up to {LARGEST_SIZE:.0f}, beyond which whole units "
        "cannot be told apart"
    )
