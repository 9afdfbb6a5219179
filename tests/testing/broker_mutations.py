"""What could be wrong in the compiled broker: each change is one mistake, and none may survive."""

from __future__ import annotations

from .mutants import Mutation

_BROKER = "whatif.engines.compiled.broker"
_ASK = "whatif.engines.compiled.asking"
_BOOK = "whatif.engines.compiled.book"
_LOOP = "whatif.engines.compiled.loop"

_ARITHMETIC = (
    (
        "average in two divisions",
        "(price * size + order * at) / new",
        "price * size / new + order * at / new",
    ),
    ("a reduction takes the new price", "return new, price, 0.0, order", "return new, at, 0.0, order"),
    ("a reversal keeps the old price", "return new, at, new, -size", "return new, price, new, -size"),
    ("a flat position keeps a price", "return new, 0.0, 0.0, order", "return new, price, 0.0, order"),
    ("commission times price first", "abs(size) * commission * at", "abs(size) * at * commission"),
    (
        "fixed commission on the value",
        "        return abs(size) * commission\n",
        "        return size * commission\n",
    ),
    ("shorts always raise cash", "return size * at if costs[2] else abs(size) * at", "return size * at"),
    ("the check forgets what closing costs", "        cash -= fee(closed, at, costs)\n", ""),
    ("the check forgets what opening costs", "        cash -= fee(opened, at, costs)\n", ""),
    (
        "profit is paid after the value",
        "cash += worth(-closed, price, costs) + profit",
        "cash = cash + worth(-closed, price, costs) + profit",
    ),
    ("profit as a difference of values", "-closed * (at - price)", "-closed * at + closed * price"),
    ("exactly no cash left is too little", "if left < 0.0:", "if left <= 0.0:"),
    (
        "a refused part pays commission",
        "            opened = 0.0\n            opened_fee = 0.0\n",
        "            opened = 0.0\n",
    ),
    ("a buy slips by a sum", "at * (1.0 + fraction)", "at + at * fraction"),
    ("a sale slips by a difference", "at * (1.0 - fraction)", "at - at * fraction"),
    ("the high lies outside the bar", "if slipped <= high:", "if slipped < high:"),
    ("the low lies outside the bar", "if slipped >= low:", "if slipped > low:"),
    ("slip_out is ignored", "return slipped if slip_out else end", "return end"),
    ("slip_out fills what should wait", "if slip_match:", "if slip_match or slip_out:"),
    ("slip_open is ignored", "if not slip_open:", "if slip_open is None:"),
    ("a long counts as a short", "if costs[2] or size >= 0.0:", "if costs[2]:"),
    ("a lost short has a sign", "value = abs(value)", "value = 1.0 * value"),
    ("value without a detour", "value = value - profit + profit", "value = value + 0.0"),
    (
        "a short's value takes the detour",
        "if value > 0.0:\n        profit",
        "if value != 0.0:\n        profit",
    ),
    ("units by plain division", "quotient = (money - rest) / price", "quotient = money / price"),
    ("a share of nothing is rounded", "if wanted == 0.0 and size != 0.0:", "if size is None:"),
    (
        "a share looks at the plain value",
        "held = held_value(size, price, close, costs)",
        "held = size * close",
    ),
)

_ON_A_BAR = (
    (
        "a short's value stands still",
        "    if size == 0.0:\n        for k",
        "    if size <= 0.0:\n        for k",
    ),
    (
        "cheating on the close is forgotten",
        "book.order_close[k] if broker.coc else bar_open",
        "bar_open",
    ),
    ("waiting orders are checked again", "if unchecked and broker.checksubmit:", "if broker.checksubmit:"),
    ("the check at submission is forgotten", "if unchecked and broker.checksubmit:", "if unchecked is None:"),
    ("exactly no cash fails the check", "costs) >= 0.0:", "costs) > 0.0:"),
    ("a refusal clears all that wait", "waiting = last", "waiting = 0"),
    ("adding makes a position young", "if opened != 0.0 and size == opened:", "if opened != 0.0:"),
    (
        "a refusal at execution is not counted",
        "if refused:\n            rejected += 1",
        "if refused:\n            rejected += 0",
    ),
    (
        "an order that waits takes its next bar's open",
        "book.order_close[k])\n            kept += 1\n            continue",
        "bar_open)\n            kept += 1\n            continue",
    ),
    ("the rest of a reversal is dropped", "elif rest != 0.0:", "elif rest is None:"),
    ("the rest of a reversal is the whole order", "rest -= closed + opened", "rest -= 0.0 * opened"),
    (
        "the book's cash is the account's value",
        "        cash[k] = held\n",
        "        cash[k] = value\n",
    ),
)

_ORDER_OF_THINGS = (
    ("high and low are swapped", "highs[i], lows[i])", "lows[i], highs[i])"),
    ("orders wait for the next intent", "            halt = i + 1\n", "            halt = stop\n"),
    ("a stretch ends a bar too soon", "i - first, last + 1 - first", "i - first, last - first"),
)

_ASKING = (
    (
        "minutes are swapped",
        "minute, to_close = minutes",
        "to_close, minute = minutes",
    ),
    ("a position is a bar older", "held = i - opened_row", "held = i - opened_row + 1"),
    ("the first bar is skipped", "max(begin, lookback)", "max(begin, lookback + 1)"),
    (
        "the step sees no waiting orders",
        "now, waiting, minute",
        "now, 0, minute",
    ),
    (
        "the step sees its account's value as its cash",
        "held, cash, now",
        "held, now, now",
    ),
    (
        "the step sees a short's value as it was",
        "        if size != 0.0:\n            now",
        "        if size > 0.0:\n            now",
    ),
    (
        "the step sees the value of its last intent",
        "now = account_value(cash, size, price, x.close[i], costs)",
        "now = value",
    ),
)

BROKER: tuple[Mutation, ...] = (
    *(Mutation(name, _BROKER, old, new) for name, old, new in _ARITHMETIC),
    *(Mutation(name, _BOOK, old, new) for name, old, new in _ON_A_BAR),
    *(Mutation(name, _LOOP, old, new) for name, old, new in _ORDER_OF_THINGS),
    *(Mutation(name, _ASK, old, new) for name, old, new in _ASKING),
)
"""Changes of the compiled broker."""
