"""What could be wrong in the compiled broker: each change is one mistake, and none may survive."""

from __future__ import annotations

from .mutants import Mutation

_BROKER = "whatif.engines.compiled.broker"
_ASK = "whatif.engines.compiled.asking"
_TRYING = "whatif.engines.compiled.trying"
_CALLING = "whatif.engines.compiled.calling"
_BOOK = "whatif.engines.compiled.book"
_WORKING = "whatif.engines.compiled.working"
_LOOP = "whatif.engines.compiled.loop"
_NOTES = "whatif.engines.compiled.notes"
_OVERLAYS = "whatif.strategies.overlays"
_FILLS = "whatif.domain.fills"
_RULES = "whatif.engines.orders"
_SHARED = "whatif.engines.compiled.shared"
_SHARED_BOOK = "whatif.engines.compiled.shared_book"

_ARITHMETIC = (
    (
        "average in two divisions",
        "(price * size + order * at) / new",
        "price * size / new + order * at / new",
    ),
    ("a reduction takes the new price", "return new, price, 0.0, order", "return new, at, 0.0, order"),
    ("a reversal keeps the old price", "return new, at, new, -size", "return new, price, new, -size"),
    ("a flat position keeps a price", "return new, 0.0, 0.0, order", "return new, price, 0.0, order"),
    (
        "commission times price first",
        "abs(size) * costs.commission * at",
        "abs(size) * at * costs.commission",
    ),
    (
        "fixed commission on the value",
        "        return abs(size) * costs.commission\n",
        "        return size * costs.commission\n",
    ),
    ("shorts always raise cash", "return size * at if costs[2] else abs(size) * at", "return size * at"),
    ("the check forgets what closing costs", "        cash -= paid(closed, 0.0, at, costs, deal)\n", ""),
    (
        "a reversal is two orders",
        "opened_fee = paid(opened, closed, at",
        "opened_fee = paid(opened, 0.0, at",
    ),
    ("costs make no price worse", "    money += price_distance(", "    money -= 0.0 * price_distance("),
    ("the check forgets what opening costs", "        cash -= paid(opened, closed, at, costs, deal)\n", ""),
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
    ("the high lies outside the bar", "(to <= end) if", "(to < end) if"),
    ("the low lies outside the bar", "else (to >= end):", "else (to > end):"),
    ("slip_out is ignored", "return to if slip_out else end", "return end"),
    ("slip_out fills what should wait", "if slip_match or (", "if slip_match or slip_out or ("),
    ("slip_open is ignored", "    if not slippage[2]:", "    if slippage[2] is None:"),
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
    ("a month goes on in the next", "    if month > tally[MONTH]:", "    if month < tally[MONTH]:"),
    ("a rest pays once more", "Deal(False, rest != order, tally", "Deal(False, False, tally"),
    ("what cannot trade fills", "if math.isnan(at) or math.isnan(slippage[1]):", "if math.isnan(at):"),
    ("waiting orders are checked again", "if unchecked and broker.checksubmit:", "if broker.checksubmit:"),
    ("the check at submission is forgotten", "if unchecked and broker.checksubmit:", "if unchecked is None:"),
    ("exactly no cash fails the check", "if not left >= 0.0:", "if not left > 0.0:"),
    ("a refusal clears all that wait", "waiting = last", "waiting = 0"),
    (
        "adding makes a position young",
        "row if opened != 0.0 and size == opened else",
        "row if opened != 0.0 else",
    ),
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

_CONTRACTS = (
    (
        "a future costs its price",
        "    if costs.margin != 0.0:\n        return abs(size) * costs.margin\n    value =",
        "    value =",
    ),
    (
        "leverage is for shorts too",
        "return value / costs.leverage if value > 0.0 else value",
        "return value / costs.leverage",
    ),
    (
        "a future's profit is paid twice",
        "profit = -closed * (at - price) if costs.margin == 0.0 else 0.0",
        "profit = -closed * (at - price)",
    ),
    (
        "a future settles from its entry",
        "settlement(-closed, base, at, costs)",
        "settlement(-closed, price, at, costs)",
    ),
    ("what is added is settled from before", "settlement(whole - opened, base", "settlement(whole, base"),
    (
        "what was held is settled at the close alone",
        "if abs(whole) > abs(opened):",
        "if abs(whole) < abs(opened):",
    ),
    ("what is added moves no base", "                base = at\n", ""),
    (
        "the multiplier is forgotten",
        "return size * (at - before) * costs.mult",
        "return size * (at - before)",
    ),
    (
        "a short future is worth less than nothing",
        "    if costs.margin != 0.0:\n        return abs(size) * costs.margin\n    return stock_value",
        "    if costs.margin != 0.0:\n        return size * costs.margin\n    return stock_value",
    ),
    (
        "leverage divides the profit",
        "((value - profit) / costs.leverage + profit if value",
        "(value / costs.leverage if value",
    ),
    (
        "a share buys no more with leverage",
        "np.floor(costs.leverage * whole_units(price, money))",
        "whole_units(price, money)",
    ),
    (
        "a share of a future goes by its price",
        "return whole_units(costs.margin, money)",
        "return whole_units(price, money)",
    ),
)

_SETTLED = (
    (
        "cheating on the open is forgotten",
        "bar_open if broker.coo else book.order_close[last]",
        "book.order_close[last]",
    ),
    (
        "volumes are those of the bar before",
        "tally[BAR_VOLUME], tally[BAR_SPAN] = volume, span",
        "tally[BAR_VOLUME], tally[BAR_SPAN] = tally[BAR_VOLUME], span",
    ),
    (
        "an order at the market is filled whole",
        "        if broker.parts.kind != 0.0:\n            units",
        "        if broker.parts.kind < 0.0:\n            units",
    ),
    (
        "interest of a day is one of the value",
        "due = days * broker.rate * abs(account.size)",
        "due = broker.rate * abs(account.size)",
    ),
    ("long positions pay interest", "(account.size > 0.0 and broker.charges_longs)", "account.size > 0.0"),
    ("interest is told once more", "    tally[ACCRUED] = 0.0\n    return", "    return"),
    (
        "interest is no commission",
        "closed_fee += take_accrued(tally) if closed != 0.0 else 0.0",
        "closed_fee += 0.0",
    ),
    ("interest is of the last bar alone", "broker.tally[ACCRUED] += due", "broker.tally[ACCRUED] = due"),
    (
        "interest is owed and not paid",
        "Account(account.cash - due, account.size",
        "Account(account.cash, account.size",
    ),
    ("a future is settled once", "        broker.tally[BASE] = close\n", ""),
    ("fills of a future have no multiplier", "        mult = broker.costs.mult\n", "        mult = 1.0\n"),
)

_PARTS = (
    ("a part is as large as it likes", "most = min(volume, parts.amount)", "most = parts.amount"),
    ("a part is the whole volume", "most = min(volume, parts.amount)", "most = volume"),
    (
        "a share is not rounded down",
        "most = whole_units(100.0, volume * parts.amount)",
        "most = volume * parts.amount / 100.0",
    ),
    (
        "a share is rounded before it is taken",
        "whole_units(100.0, volume * parts.amount)",
        "whole_units(100.0, volume) * parts.amount",
    ),
    (
        "a bar has a price less",
        "whole_units(parts.minmov, span + parts.minmov)",
        "whole_units(parts.minmov, span)",
    ),
    (
        "a smallest move is none",
        "shares = whole_units(parts.minmov, span + parts.minmov) if",
        "shares = 1.0 if",
    ),
    ("a part is larger than what is left", "units = min(most, abs(rest))", "units = most"),
    ("parts are bought always", "return units if side > 0.0 else -units", "return units"),
    ("a corrected rest keeps to its order", "side = rest if corrected else order", "side = order"),
    ("a rest of the other side is always filled", "side = rest if corrected else order", "side = rest"),
)

_CORRECTED = (
    (
        "a corrected sell limit slips to its limit",
        "end = max(low, limit) if slippage[6] else limit",
        "end = limit",
    ),
    (
        "a sell limit is always corrected",
        "end = max(low, limit) if slippage[6] else limit",
        "end = max(low, limit)",
    ),
    (
        "a corrected stop-limit slips beyond its limit",
        "        if slippage[6]:\n            end = min(high",
        "        if slippage[2] is None:\n            end = min(high",
    ),
    (
        "a corrected short future is worth its margin",
        "if costs.signed and costs.margin != 0.0 and size < 0.0:",
        "if size is None:",
    ),
    (
        "a short future is always corrected",
        "if costs.signed and costs.margin != 0.0",
        "if costs.margin != 0.0",
    ),
)

_CORRECTED_ORDERS = (
    (
        "a corrected stop forgets",
        "            if row[TRIGGERED] != 0.0:\n                return fill_price",
        "            if row[TRIGGERED] < 0.0:\n                return fill_price",
    ),
    (
        "a corrected stop to sell is not reached",
        "            if size < 0.0:\n                row[TRIGGERED]",
        "            if size < -1e300:\n                row[TRIGGERED]",
    ),
    ("a corrected stop is let lie", " or (behind and kind == STOP):", ":"),
    ("corrected exits sleep a bar", "is_now = corrected and not", "is_now = False and not"),
    ("exits are always tried at once", "is_now = corrected and not", "is_now = not"),
    (
        "a corrected target is tried at once",
        "not (within and working[j, KIND] == LIMIT)",
        "not (within and working[j, KIND] < 0.0)",
    ),
    (
        "an entry at the open is one within the bar",
        "within = row[KIND] == LIMIT and not at_open",
        "within = row[KIND] == LIMIT",
    ),
    ("a corrected refusal takes cash", "if left >= 0.0 or not broker.corrected:", "if left is not None:"),
    ("a refusal never takes cash", "if left >= 0.0 or not broker.corrected:", "if left >= 0.0:"),
    (
        "a corrected group leaves brackets",
        "                if corrected:\n                    end_family",
        "                if corrected is None:\n                    end_family",
    ),
    (
        "a corrected cancel reaches no new orders",
        "row[STATE] != ENDED and (corrected or row[STATE] != SUBMITTED)",
        "row[STATE] not in (ENDED, SUBMITTED)",
    ),
    (
        "cheating on the open checks by the close",
        "at = bar_open if broker.coo and row[KIND] == MARKET else row[PRICE]",
        "at = row[PRICE]",
    ),
    (
        "cheating on the open checks all by it",
        "if broker.coo and row[KIND] == MARKET else",
        "if broker.coo else",
    ),
)

_PARTS_OF_ORDERS = (
    (
        "what fills at a noted close has this bar's volume",
        "        volume, span = broker.tally[LAST_VOLUME], broker.tally[LAST_SPAN]\n",
        "        volume = volume\n",
    ),
    (
        "orders that wait are filled whole",
        "units = part_of_working(row, broker) if broker.parts.kind != 0.0 else row[REST]",
        "units = row[REST]",
    ),
)

_TURNS = (
    (
        "a future is settled on days",
        "    if broker.costs.margin != 0.0 or asking.begins_at != 0:\n",
        "    if asking.begins_at != 0:\n",
    ),
    (
        "interest is paid when there are orders",
        "if orders.waiting > 0 or (broker.settles and account.size != 0.0):",
        "if orders.waiting > 0:",
    ),
    (
        "a day is a row late",
        "        if days[j] != days[i]:\n            return j\n",
        "        if days[j] != days[i]:\n            return j + 1\n",
    ),
    (
        "positions are settled before the fills",
        "        account = settled(broker, account, bar[3])\n",
        "        account = settled(broker, account, bar[0])\n",
    ),
)

_ORDER_OF_THINGS = (
    ("costs take no notice of the month", "broker.charges[TIERS] > 1.0", "broker.charges[TIERS] > 99.0"),
    (
        "high and low are swapped",
        "highs[j], lows[j], closes[j]), orders",
        "lows[j], highs[j], closes[j]), orders",
    ),
    (
        "orders wait for the next intent",
        "return i + 1 if asking.max_orders == 0",
        "return halt if asking.max_orders == 0",
    ),
    ("a stretch ends a bar too soon", "closes[i : last + 1], i - first", "closes[i:last], i - first"),
)

_ASKING = (
    (
        "minutes are swapped",
        "waiting, minutes[i], ends[i], scratch",
        "waiting, ends[i], minutes[i], scratch",
    ),
    ("a position is a bar older", "held = i - opened_row", "held = i - opened_row + 1"),
    ("the first bar is skipped", "max(begin, lookback)", "max(begin, lookback + 1)"),
    (
        "the step sees no waiting orders",
        "now, waiting, minutes[i]",
        "now, 0, minutes[i]",
    ),
    (
        "the step sees its account's value as its cash",
        "held, cash, now, waiting, minutes[i]",
        "held, now, now, waiting, minutes[i]",
    ),
    (
        "the step sees a short's value as it was",
        "        if size != 0.0:\n            now",
        "        if size > 0.0:\n            now",
    ),
    (
        "the step sees the value of its last intent",
        "now = value if SHARED else account_value(cash, size, price, close, costs)",
        "now = value",
    ),
)

_AHEAD = (
    (
        "a target that is not held is passed by",
        "keeps = (code == TARGET) & (amount >= least) & (amount <= most)",
        "keeps = code == TARGET",
    ),
    (
        "a rule sizes no position anew",
        "return (LEAST, LARGEST) if size > 0.0",
        "return (-LARGEST, LARGEST) if size > 0.0",
    ),
    ("a position that is left is passed by", "((code == CLOSE) & flat &", "((code == CLOSE) &"),
    (
        "bars on which something is wanted are passed by",
        "        i += found\n        if found < count:\n            return i\n",
        "        i += count\n        if found < count:\n            return i\n",
    ),
    (
        "of bars asked ahead the last one counts",
        "found = min(found, count if (failed == 0) & keeps else k)",
        "found = count if (failed == 0) & keeps else k",
    ),
    ("a position asked ahead is new", "max(j - since, 0)", "0"),
    (
        "a short asked ahead is worth what it was",
        "            if not flat:\n                now =",
        "            if size > 0.0:\n                now =",
    ),
    (
        "after bars passed by one is skipped",
        "        if found < count:\n            return i\n",
        "        if found < count:\n            return i + 1\n",
    ),
    (
        "overlays are asked of no order before a session ends",
        "return left <= rules.flat_before_close or is_due",
        "return is_due",
    ),
)

_LEAVING = (
    ("a stop that the close reaches is passed by", "k if (own[k] <= low) |", "k if (own[k] <= -abs(low)) |"),
    (
        "a target that the close reaches is passed by",
        "| (own[k] >= high) else",
        "| (own[k] >= 2.0 * high) else",
    ),
    (
        "a position is as old as the rows asked ahead",
        "opened_row - begin + min(rules.max_bars_held, NEVER)",
        "min(rules.max_bars_held, NEVER)",
    ),
    (
        "the session's end is passed by",
        "if rules.flat_before_close > -NEVER or places",
        "if rules.flat_before_close > NEVER or places",
    ),
)

_TRIED = (("what is tried wants nothing", "return 0, code, float(amount)", "return 0, 0, float(amount)"),)

_PRICES = (
    ("a buy limit at the open waits", "if limit >= bar_open:", "if limit > bar_open:"),
    (
        "a buy limit slips beyond itself",
        "            end = min(high, limit)\n            return",
        "            end = high\n            return",
    ),
    ("a buy limit that the low touches waits", "return limit if limit >= low", "return limit if limit > low"),
    (
        "a sell limit that the high touches waits",
        "return limit if limit <= high",
        "return limit if limit < high",
    ),
    ("slip_limit is ignored", "(is_limit and slip_limit)", "is_limit"),
    (
        "a stop that the open touches is no gap",
        "(bar_open >= stop) if order > 0.0 else",
        "(bar_open > stop) if order > 0.0 else",
    ),
    (
        "a stop that the high touches waits",
        "if (high >= stop) if order > 0.0 else",
        "if (high > stop) if order > 0.0 else",
    ),
    (
        "a stop fills at the bar's end",
        "return slipped(order, stop, end, False, slippage)",
        "return slipped(order, end, end, False, slippage)",
    ),
    (
        "a stop-limit that is passed at the open fills at it",
        "return True, limit_price(order, limit, bar, slippage)",
        "return True, bar_open",
    ),
    (
        "a stop-limit is not triggered within a bar",
        "return True, slipped(order, stop, end, True",
        "return False, slipped(order, stop, end, True",
    ),
)

_WAITING = (
    ("every limit order takes", "adds = len(broker.charges) > 0 and is_maker", "adds = False and is_maker"),
    ("an order is tried a bar too long", "return float(made + valid)", "return float(made + valid + 1)"),
    ("a session's order lives into the next", "float(session_ends[made] - 1)", "float(session_ends[made])"),
    ("a trail follows both ways", "if (to < row[PRICE]) if buys else", "if (to != row[PRICE]) if buys else"),
    ("a trail in percent is of the stop", "price * row[TRAIL_PERCENT]", "row[PRICE] * row[TRAIL_PERCENT]"),
    (
        "a trailing limit stands still",
        "row[LIMIT_PRICE] = to - row[OFFSET]",
        "row[LIMIT_PRICE] = row[LIMIT_PRICE]",
    ),
    (
        "a trail starts at the close always",
        "begin = stop if has_stop else close\n        kind",
        "begin = close\n        kind",
    ),
    (
        "a bracket's exits act at once",
        "waits = SUBMITTED if state == SUBMITTED else INACTIVE",
        "waits = state",
    ),
    (
        "exits wait for their entry to be checked only",
        "row[STATE] = INACTIVE if row[IS_CHILD] != 0.0 else ACTIVE",
        "row[STATE] = ACTIVE",
    ),
    (
        "a stop does not end its target",
        "        if row[IS_CHILD] != 0.0:\n            end_family",
        "        if row[IS_CHILD] < 0.0:\n            end_family",
    ),
    (
        "a tie is not cut",
        "            if k != at and (corrected or working[k, STATE] != SUBMITTED):",
        "            if k < 0:",
    ),
    (
        "an execution does not cut its tie",
        "            end_group(working, waiting, k, broker.corrected)\n        settle_order",
        "        settle_order",
    ),
    (
        "a tie reaches orders that are not checked",
        "if k != at and (corrected or working[k, STATE] != SUBMITTED):",
        "if k != at:",
    ),
    (
        "what was refused does not count for the next",
        "check_order(working, waiting, k, at, cash, size",
        "check_order(working, waiting, k, at, account.cash, size",
    ),
    ("the check forgets the units before", "cash, size = left, size + row[SIZE]", "cash = left"),
    (
        "a refused bracket stays",
        "    end_family(working, waiting, at)\n    for k in range(waiting):\n        # an exit",
        "    for k in range(waiting):\n        # an exit",
    ),
    (
        "cancel reaches orders that are not checked",
        "row[STATE] != ENDED and (corrected or row[STATE] != SUBMITTED):",
        "row[STATE] != ENDED:",
    ),
    (
        "a triggered stop-limit forgets it",
        "row[TRIGGERED] = 1.0 if triggered else 0.0",
        "row[TRIGGERED] = 0.0",
    ),
    ("the session's close is this bar's", "row[NOTED] if row[NOTED] != 0.0 else close", "close"),
    (
        "an order at the close is a bar late",
        "if i >= session_ends[int(row[MADE])]:",
        "if i > session_ends[int(row[MADE])]:",
    ),
    (
        "a market order expires",
        "if row[KIND] != MARKET and i > row[LAST]:",
        "if row[KIND] != MARKET and i > row[LAST] + 1:",
    ),
    (
        "the rest of an order is dropped",
        "        row[REST] -= closed + opened\n",
        "        row[REST] = 0.0\n",
    ),
    (
        "a trail does not follow",
        "    if trails and row[STATE] == ACTIVE:",
        "    if trails and row[STATE] == ENDED:",
    ),
    (
        "a triggered trail goes on trailing",
        "(STOP_TRAIL, STOP_TRAIL_LIMIT) and not was_triggered",
        "(STOP_TRAIL, STOP_TRAIL_LIMIT)",
    ),
    (
        "a refusal of an order that waits is not counted",
        "fills, 1 if refused else 0, was_met",
        "fills, 0, was_met",
    ),
    ("cash is always checked", "state = SUBMITTED if broker.checksubmit else ACTIVE", "state = SUBMITTED"),
    (
        "an order of several is not for the rest",
        "tied = max(tied - 1, 0)",
        "tied = max(tied - 2, 0)",
    ),
)

_QUIET = (
    ("an order expires a bar late", "end = min(end, row[LAST] + 1.0)", "end = min(end, row[LAST] + 2.0)"),
    (
        "a trail is let lie",
        "if state != ACTIVE or kind not in (LIMIT, STOP, STOP_LIMIT) or",
        "if state != ACTIVE or",
    ),
    (
        "a triggered stop-limit waits for its stop",
        "behind = row[TRIGGERED] != 0.0",
        "behind = False",
    ),
    (
        "a triggered stop-limit waits on the stop's side",
        "(row[SIZE] > 0.0) == (kind == LIMIT or behind)",
        "(row[SIZE] > 0.0) == (kind == LIMIT)",
    ),
    ("of prices below the lowest counts", "below = max(below, price)", "below = min(below, price)"),
    ("of prices above the highest counts", "above = min(above, price)", "above = max(above, price)"),
    ("a low that touches is quiet", "if lows[j] <= below or", "if lows[j] < below or"),
    ("a high that touches is quiet", "highs[j] >= above or", "highs[j] > above or"),
    (
        "bars in which a price lies are gone over",
        "            break\n        begin += ROWS_AT_ONCE\n",
        "            begin += ROWS_AT_ONCE\n            break\n        begin += ROWS_AT_ONCE\n",
    ),
)

_EXITS = (
    (
        "an exit at the close cancels orders at the market",
        "row[KIND] != MARKET if meant == PRICED else",
        "True if meant == PRICED else",
    ),
    (
        "a step's cancel reaches the exits",
        "(row[IS_EXIT] != 0.0) == (meant == EXITS_ONLY)",
        "(row[IS_EXIT] != 0.0 or meant != EXITS_ONLY)",
    ),
    (
        "exits that give way take the step's orders along",
        "(row[IS_EXIT] != 0.0) == (meant == EXITS_ONLY)",
        "(row[IS_EXIT] == 0.0 or meant == EXITS_ONLY)",
    ),
    ("the step sees the exits wait", "return waiting - exits\n", "return waiting\n"),
    (
        "an order that waits at the market is not seen",
        "memory[EXITS_WAITING], memory[MARKET_WAITING] = exits, market",
        "memory[EXITS_WAITING], memory[MARKET_WAITING] = exits, 0",
    ),
    (
        "exits are not told apart",
        "book.working[waiting, IS_EXIT] = exits",
        "book.working[waiting, IS_EXIT] = 0.0",
    ),
    (
        "an exit counts twice",
        "count += 1 if working[k, IS_EXIT] != 0.0 else 0",
        "count += 2 if working[k, IS_EXIT] != 0.0 else 0",
    ),
)

_NOTED = (
    ("realised profit forgets what opening costs", "- closed_fee - opened_fee", "- closed_fee"),
    ("a loss is a profit", "profit = -closed * (at - entry)", "profit = closed * (at - entry)"),
    (
        "a trade ends where it was closed in part",
        "closed, opened, after, at, profit",
        "closed, opened, 0.0, at, profit",
    ),
    (
        "what opened pays what closed does",
        "profit, closed_fee, opened_fee)",
        "profit, closed_fee, closed_fee)",
    ),
    ("the last fill is what it opened", "at, closed + opened, float(row)", "at, opened, float(row)"),
    ("the bar of the entry does not count", "        first = opened_row\n", "        first = row + 1\n"),
    (
        "the best price of a short is the highest",
        "    if size < 0.0:\n        best",
        "    if size == 1.0:\n        best",
    ),
    (
        "a position takes over what the one before has seen",
        "if notes[SINCE] != opened_row:",
        "if notes[SINCE] < 0.0:",
    ),
    ("an order is as old as the run", "row - shown[MADE * room + k]", "row - 0.0 * shown[MADE * room + k]"),
)

_NOTED_ON_A_BAR = (
    (
        "all fills of a bar close at one entry price",
        "        size, price, _, _ = moved(size, price, closed + opened, at)\n",
        "",
    ),
    ("fills are noted a bar late", "book.executions, i, noted", "book.executions, i + 1, noted"),
)

_SHOWN = (
    (
        "orders of all symbols that wait are shown",
        "        if row[IS_EXIT] != 0.0 or row[SYMBOL] != symbol:",
        "        if row[IS_EXIT] != 0.0:",
    ),
    ("orders of all symbols are cancelled", "        if row[SYMBOL] != symbol:\n            continue\n", ""),
    (
        "orders of all symbols are counted",
        "working[k, SYMBOL] == symbol and working[k, IS_EXIT]",
        "working[k, IS_EXIT]",
    ),
    (
        "exits are shown",
        "        if row[IS_EXIT] != 0.0 or row[SYMBOL] != symbol:",
        "        if row[SYMBOL] != symbol:",
    ),
    (
        "a triggered stop-limit shows its stop",
        "        elif row[TRIGGERED] != 0.0:\n",
        "        elif row[TRIGGERED] < 0.0:\n",
    ),
    (
        "a market order shows its close",
        "        if kind in (MARKET, AT_CLOSE):\n",
        "        if kind == AT_CLOSE:\n",
    ),
)

_SIZED = (
    (
        "the farther stop counts",
        "rule if own != own or rule < own else own",
        "rule if own != own or rule > own else own",
    ),
    (
        "a stop of a rule is a distance",
        "rule = abs(entry - stop), entry *",
        "rule = abs(entry - stop), 1.0 *",
    ),
    ("cash is the account", "cash if rules.sizing == BY_CASH else value", "value"),
    (
        "risk is of the cash",
        "(rules.share, value, stop_d",
        "(rules.share, cash, stop_d",
    ),
    (
        "a position is added to",
        "((amount > 0.0 and size > 0.0)",
        "((amount > 0.0 and size > 1e300)",
    ),
)

_SIZED_ORDERS = (
    ("gross exposure has signs", "gross += abs(held[k]) * closes[k]", "gross += held[k] * closes[k]"),
    ("a short adds to what is long", "- side * net) / closes", "- net) / closes"),
    ("one position more", "count >= rules.max_positions", "count > rules.max_positions"),
    ("a bound cuts to parts of a unit", "side * math.floor(most)", "side * most"),
    ("a bound takes away what is there", "        allowed = own\n", "        allowed = allowed + 0.0\n"),
    (
        "less of a position is more",
        "(abs(after) <= abs(own) and (after > 0.0) == (own > 0.0))",
        "(abs(after) < 0.0 and (after > 0.0) == (own > 0.0))",
    ),
    ("a bracket's stop is no stop", "        own = stop\n", "        own = math.nan\n"),
    ("an order at a limit opens at the close", "        entry = limit\n", "        entry = close\n"),
    ("an order at a stop opens at the close", "        entry = stop\n", "        entry = close\n"),
)

_SEVERAL_SYMBOLS = (
    (
        "orders that wait are not in the bounds",
        "            book.bound[book.order_symbol[q]] += book.order_rest[q]\n",
        "            book.bound[book.order_symbol[q]] += 0.0\n",
    ),
    (
        "an order of the row is not in the bounds",
        "    book.bound[symbol] += left\n",
        "",
    ),
    (
        "a look at a position does not count",
        "        meet(book, symbol)\n    if order == 0.0:",
        "        meet(book, symbol if order != 0.0 else 0)\n    if order == 0.0:",
    ),
    (
        "a buy counts as a look at the position",
        "if asked.code not in (HOLD, BUY, SELL):",
        "if asked.code != HOLD:",
    ),
    (
        "a symbol is left alone, and looked at",
        "    if wanted != wanted:\n        return Placed(0, 0, 0.0, waiting)\n    meet(book, k)\n",
        "    meet(book, k)\n    if wanted != wanted:\n        return Placed(0, 0, 0.0, waiting)\n",
    ),
    (
        "weights are units",
        "book.desk[symbol], TARGET_PERCENT if code == WEIGHTS else TARGET",
        "book.desk[symbol], TARGET",
    ),
    (
        "the answer before stays",
        "        book.desk[k] = math.nan\n",
        "",
    ),
    (
        "positions are as old as they were opened",
        "book.cursor[k] - book.opened[k] if book.size[k]",
        "book.cursor[k] if book.size[k]",
    ),
    (
        "who is no member is opened",
        "wanted, kind = 0.0 if book.size[k] != 0.0 else math.nan, TARGET",
        "pass",
    ),
)
_SEVERAL_WORKING = (
    (
        "a corrected order is tried where another symbol has a bar",
        "if broker.corrected and book.has_bar[k] == 0:",
        "if broker.corrected and book.has_bar[k] < 0:",
    ),
    (
        "an order is always tried on bars of its own symbol alone",
        "if broker.corrected and book.has_bar[k] == 0:",
        "if book.has_bar[k] == 0:",
    ),
    (
        "units on paper are not counted",
        "cash, book.paper[k], is_refused = check",
        "cash, _, is_refused = check",
    ),
    ("units on paper stay", "        book.paper[k] = book.size[k]\n", "        book.paper[k] += 0.0\n"),
    (
        "each order is checked by all of the cash",
        "cash, book.paper[k], is_refused = check",
        "_, book.paper[k], is_refused = check",
    ),
    (
        "a market order that is checked looks at no position",
        "        meet(book, k)\n        note_month",
        "        note_month",
    ),
    ("interest is owed for a bar that is over", "size == 0.0 or book.has_bar[k] == 0 or", "size == 0.0 or"),
    ("interest is not noted", "        book.accrued[k] += broker.tally[DUE]\n", ""),
    ("a future is not settled", "            cash += settlement(", "            cash += 0.0 * settlement("),
    ("a future keeps its base", "            book.base[k] = close\n", ""),
    (
        "the base is another symbol's",
        "book.base[symbol], book.accrued[symbol]",
        "book.base[0], book.accrued[symbol]",
    ),
    (
        "interest is another symbol's",
        "book.base[symbol], book.accrued[symbol]",
        "book.base[symbol], book.accrued[0]",
    ),
    (
        "the volume is the bar's before",
        "tally[BAR_VOLUME], tally[BAR_SPAN] = volumes[i],",
        "tally[BAR_VOLUME], tally[BAR_SPAN] = volumes[before],",
    ),
    (
        "a market order fills on its own bar",
        "i <= book.working[q, MADE] and not",
        "i < book.working[q, MADE] and not",
    ),
    ("with coo it waits for a bar", "and not (broker.coc or broker.coo)", "and not broker.coc"),
    ("with coc it waits for a bar", "and not (broker.coc or broker.coo)", "and not broker.coo"),
    (
        "a working fill is noted for the first",
        "            notes = book.notes[k * NOTES_KEPT : (k + 1) * NOTES_KEPT]\n            note_fills",
        "            notes = book.notes[:NOTES_KEPT]\n            note_fills",
    ),
    (
        "a refusal in the check is not counted",
        "queue.rejected + refused)\n    for q",
        "queue.rejected)\n    for q",
    ),
    ("a refusal in a fill is not counted", "filled, rejected + refused)", "filled, rejected)"),
    (
        "exits are counted as the step's",
        "book.pending[k] += 1 if working[q, IS_EXIT] == 0.0 else 0",
        "book.pending[k] += 1",
    ),
    ("exits that wait are forgotten", "+= 1.0 if working[q, IS_EXIT] != 0.0 else 0.0", "+= 0.0"),
    (
        "a target does not look at the position",
        "in (TARGET, TARGET_PERCENT, CLOSE_POSITION)",
        "in (TARGET_PERCENT, CLOSE_POSITION)",
    ),
    ("positions alone have no turn", "has_turn or (broker.settles and book.tally[HELD] > 0)", "has_turn"),
)
_SEVERAL_AT_MARKET = (
    (
        "a symbol's fill is noted for the first",
        "book.notes[k * NOTES_KEPT : (k + 1) * NOTES_KEPT]",
        "book.notes[:NOTES_KEPT]",
    ),
    (
        "orders of all symbols are shown",
        "        if book.order_symbol[q] == symbol:\n",
        "        if book.order_symbol[q] >= 0:\n",
    ),
    (
        "value is summed in declared order",
        "        k = book.order_met[j]\n        size, price",
        "        k = j\n        size, price",
    ),
    (
        "the check looks at no position",
        "        meet(book, symbol)\n        held",
        "        held",
    ),
    (
        "a fill looks at no position",
        "        meet(book, k)\n        before",
        "        before",
    ),
    (
        "an order fills on the bar that made it",
        "if not broker.coc and i <= book.order_made[q]:",
        "if not broker.coc and i < book.order_made[q]:",
    ),
    (
        "an order at the close waits for its symbol's bar",
        "if not broker.coc and i <= book.order_made[q]:",
        "if i <= book.order_made[q]:",
    ),
    (
        "what a refused order leaves is forgotten",
        "            rejected += 1\n            book.pending[symbol] -= 1\n",
        "            rejected += 1\n            cash = 1e300\n            book.pending[symbol] -= 1\n",
    ),
    (
        "orders are not counted as pending",
        "    book.pending[symbol] += 1\n",
        "",
    ),
    (
        "an order stays pending when it is filled",
        "            rejected += 1 if refused else 0\n            book.pending[k] -= 1\n",
        "            rejected += 1 if refused else 0\n",
    ),
    (
        "the rest of an order is dropped",
        "if rest != 0.0 and not refused:",
        "if False and not refused:",
    ),
    (
        "value without a detour",
        "            total = total + (value - profit) / costs.leverage\n",
        "            total = total + value - profit\n",
    ),
    (
        "cash that shorts cost is no value",
        "        if not costs[2]:\n            value = abs(value)\n",
        "",
    ),
    (
        "who had a bar has one",
        "        book.has_bar[k] = 0\n        if following",
        "        if following",
    ),
    (
        "who is no member has a bar",
        "            book.has_bar[k] = 0\n",
        "",
    ),
    (
        "who is no member is held",
        "found = found or book.size[k] != 0.0 or book.pending[k] > 0",
        "found = False",
    ),
    (
        "who is a member is left",
        "[symbol], i + 1)[i] != 0)",
        "[symbol], i + 1)[i] == 0)",
    ),
    (
        "a bar is there a row late",
        "following + 1)[following] == now",
        "following + 1)[following] < now",
    ),
)

_KELLY_AND_VOLATILITY = (
    (
        "one trade more is awaited",
        "if tally[TRADES] < rules.kelly_trades:",
        "if tally[TRADES] <= rules.kelly_trades:",
    ),
    ("trades that lose are gone on with", "    if not share > 0.0:\n        return 0.0\n", ""),
    (
        "Kelly's fraction has no bound",
        "return share if share < rules.most else rules.most",
        "return share",
    ),
    ("volatility is of the bar before", "row + 1)[row])", "row + 1)[row - 1])"),
    ("volatility is money", "distance = measured * close", "distance = measured"),
    ("a calm market has no bound", "return units if units < most else most", "return units"),
    (
        "a margin is the price",
        "unit = rules.unit if rules.unit != 0.0 else close",
        "unit = close",
    ),
    ("what is sized is bought", "0.0 - units if amount < 0.0 else units)", "units)"),
)

_TRADES_OF_KELLY = (
    ("a trade pays nothing to be opened", "        tally[NET] -= opened_fee\n", ""),
    ("a trade pays nothing to be closed", "tally[NET] += profit - closed_fee", "tally[NET] += profit"),
    ("a reversal goes on with its trade", "if opened != 0.0 or after == 0.0:", "if after == 0.0:"),
    ("each part that closes is a trade", "if opened != 0.0 or after == 0.0:", "if after == after:"),
    ("gains are money", "gain = tally[NET] / tally[PAID]", "gain = tally[NET]"),
    ("a trade that gains nothing is lost", "if gain >= 0.0:", "if gain > 0.0:"),
    ("what is added costs nothing", "tally[PAID] += abs(opened) * at", "tally[PAID] = abs(opened) * at"),
)

_FINER = (
    (
        "the first bar inside is the last",
        "begins[i], begins[i + 1], begins[first]",
        "begins[i], begins[i] + 1, begins[first]",
    ),
    ("the bar inside is forgotten", "book.finer[k] = j", "book.finer[k] = begin"),
    ("finer bars are tried on the row's prices", "        series_at = asking.finer_at\n", ""),
    (
        "what is left of an order waits for the next row",
        "if not fits or (orders.waiting == 0",
        "if not fits or (orders.waiting >= 0",
    ),
)

BROKER: tuple[Mutation, ...] = (
    *(Mutation(name, _OVERLAYS, old, new) for name, old, new in (*_SIZED, *_KELLY_AND_VOLATILITY)),
    *(Mutation(name, _FILLS, old, new) for name, old, new in _TRADES_OF_KELLY),
    *(Mutation(name, _RULES, old, new) for name, old, new in _SIZED_ORDERS),
    *(Mutation(name, _NOTES, old, new) for name, old, new in _NOTED),
    *(Mutation(name, _LOOP, old, new) for name, old, new in _NOTED_ON_A_BAR),
    *(Mutation(name, _WORKING, old, new) for name, old, new in _SHOWN),
    *(Mutation(name, _BROKER, old, new) for name, old, new in _ARITHMETIC),
    *(Mutation(name, _BOOK, old, new) for name, old, new in (*_ON_A_BAR, *_SETTLED)),
    *(Mutation(name, _BROKER, old, new) for name, old, new in (*_CONTRACTS, *_PARTS, *_CORRECTED)),
    *(Mutation(name, _WORKING, old, new) for name, old, new in (*_PARTS_OF_ORDERS, *_CORRECTED_ORDERS)),
    *(Mutation(name, _LOOP, old, new) for name, old, new in (*_TURNS, *_FINER)),
    *(Mutation(name, _BROKER, old, new) for name, old, new in _PRICES),
    *(Mutation(name, _WORKING, old, new) for name, old, new in _WAITING),
    *(Mutation(name, _WORKING, old, new) for name, old, new in (*_QUIET, *_EXITS)),
    *(Mutation(name, _LOOP, old, new) for name, old, new in _ORDER_OF_THINGS),
    *(Mutation(name, _ASK, old, new) for name, old, new in (*_ASKING, *_AHEAD)),
    *(Mutation(name, _TRYING, old, new) for name, old, new in _TRIED),
    *(Mutation(name, _CALLING, old, new) for name, old, new in _LEAVING),
    *(Mutation(name, _SHARED, old, new) for name, old, new in (*_SEVERAL_SYMBOLS, *_SEVERAL_WORKING)),
    *(Mutation(name, _SHARED_BOOK, old, new) for name, old, new in _SEVERAL_AT_MARKET),
)
"""Changes of the compiled broker."""
