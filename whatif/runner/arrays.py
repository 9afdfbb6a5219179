"""Indicator arrays that configurations share, kept up to a number of bytes."""

from __future__ import annotations

from collections import Counter, OrderedDict
from collections.abc import Hashable, Iterator, MutableMapping
from typing import Any


class ArrayStore(MutableMapping[Hashable, Any]):
    """A mapping that forgets what was used longest ago.

    Entries are what `whatif.indicators.evaluation` keeps: the bars and an array, under a key
    that begins with the identity of the bars. An entry keeps its bars alive, so they count
    too, once for all of their arrays.

    Parameters
    ----------
    max_bytes : int
        Bound on the bytes of all arrays and of the bars they belong to. The entry that was
        stored last is kept whatever its size.
    """

    def __init__(self, max_bytes: int) -> None:
        self.max_bytes = max_bytes
        self.nbytes = 0
        self._entries: OrderedDict[Any, Any] = OrderedDict()
        self._arrays_of: Counter[Hashable] = Counter()

    def __getitem__(self, key: Hashable) -> Any:
        value = self._entries[key]
        self._entries.move_to_end(key)
        return value

    def __setitem__(self, key: Any, value: Any) -> None:
        if key in self._entries:
            del self[key]
        bars, array = value
        self._entries[key] = value
        self.nbytes += array.nbytes + (0 if self._arrays_of[key[0]] else bars.nbytes)
        self._arrays_of[key[0]] += 1
        while self.nbytes > self.max_bytes and len(self._entries) > 1:
            del self[next(iter(self._entries))]

    def __delitem__(self, key: Any) -> None:
        bars, array = self._entries.pop(key)
        self.nbytes -= array.nbytes
        self._arrays_of[key[0]] -= 1
        if not self._arrays_of[key[0]]:
            del self._arrays_of[key[0]]
            self.nbytes -= bars.nbytes

    def __iter__(self) -> Iterator[Hashable]:
        return iter(self._entries)

    def __len__(self) -> int:
        return len(self._entries)
