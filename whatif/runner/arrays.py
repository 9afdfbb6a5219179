"""Indicator arrays that configurations share, kept up to a number of bytes."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Hashable, Iterator, MutableMapping
from typing import Any

MOST_BARS = 4
"""Bars whose arrays are kept at once: work items come sorted by symbol, so few are needed."""


class ArrayStore(MutableMapping[Hashable, Any]):
    """A mapping that forgets what was used longest ago.

    Entries are what `whatif.indicators.evaluate` keeps: the bars and an array, under a key
    that begins with the identity of the bars. An entry keeps its bars alive, so the number
    of different bars is bounded too.

    Parameters
    ----------
    max_bytes : int
        Bound on the sum of the arrays' bytes.
    """

    def __init__(self, max_bytes: int) -> None:
        self.max_bytes = max_bytes
        self.nbytes = 0
        self._entries: OrderedDict[Any, Any] = OrderedDict()
        self._bars: OrderedDict[Hashable, None] = OrderedDict()

    def __getitem__(self, key: Hashable) -> Any:
        value = self._entries[key]
        self._entries.move_to_end(key)
        return value

    def __setitem__(self, key: Any, value: Any) -> None:
        if key in self._entries:
            del self[key]
        self._entries[key] = value
        self.nbytes += _bytes(value)
        self._bars[key[0]] = None
        self._bars.move_to_end(key[0])
        if len(self._bars) > MOST_BARS:
            self._forget_bars(self._bars.popitem(last=False)[0])
        while self.nbytes > self.max_bytes and len(self._entries) > 1:
            self.nbytes -= _bytes(self._entries.popitem(last=False)[1])

    def __delitem__(self, key: Hashable) -> None:
        self.nbytes -= _bytes(self._entries.pop(key))

    def __iter__(self) -> Iterator[Hashable]:
        return iter(self._entries)

    def __len__(self) -> int:
        return len(self._entries)

    def _forget_bars(self, identity: Hashable) -> None:
        for key in [key for key in self._entries if key[0] == identity]:
            del self[key]


def _bytes(entry: Any) -> int:
    return int(entry[1].nbytes)
