"""A bounded cache of pinned rows, one for each worker process."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import Protocol, TypeVar, cast

from whatif.domain import Bars
from whatif.errors import LakeError
from whatif.pins.pin import Pin
from whatif.pins.read import read_bars


class Sized(Protocol):
    """Anything that knows how many bytes it holds."""

    @property
    def nbytes(self) -> int:
        """Bytes held."""


T = TypeVar("T", bound=Sized)


class PinnedCache:
    """Keep what was read last, up to a number of bytes.

    Snapshots never change, so an entry is never stale. Arrays are shared between callers,
    who must not write to them. A value larger than the bound is returned and not kept.

    Parameters
    ----------
    max_bytes : int
        Bound on the sum of `nbytes` of what is kept.
    """

    def __init__(self, max_bytes: int) -> None:
        if max_bytes < 0:
            raise LakeError(f"cache of {max_bytes} bytes: give a bound of 0 or more")
        self.max_bytes = max_bytes
        self.nbytes = 0
        self.hits = 0
        self.misses = 0
        self._entries: OrderedDict[Hashable, Sized] = OrderedDict()

    def __len__(self) -> int:
        """Return the number of entries kept."""
        return len(self._entries)

    def get(self, key: Hashable, load: Callable[[], T]) -> T:
        """Return the entry of `key`, loading it if it is not kept."""
        if key in self._entries:
            self.hits += 1
            self._entries.move_to_end(key)
            return cast(T, self._entries[key])
        self.misses += 1
        value = load()
        self.put(key, value)
        return value

    def find(self, key: Hashable) -> Sized | None:
        """Return the entry of `key`, or None if it is not kept."""
        if key not in self._entries:
            self.misses += 1
            return None
        self.hits += 1
        self._entries.move_to_end(key)
        return self._entries[key]

    def put(self, key: Hashable, value: Sized) -> None:
        """Keep `value` in place of what `key` had, and forget what was used longest ago."""
        if key in self._entries:
            self.nbytes -= self._entries.pop(key).nbytes
        if value.nbytes > self.max_bytes:
            return
        self._entries[key] = value
        self.nbytes += value.nbytes
        while self.nbytes > self.max_bytes:
            self.nbytes -= self._entries.popitem(last=False)[1].nbytes

    def bars(
        self, pin: Pin, symbol: str, timeframe: str, start_us: int | None, end_us: int | None, hours: str
    ) -> Bars:
        """Return what `read_bars` returns, reading it only if it is not kept."""
        key = (
            "bars",
            pin.table,
            pin.snapshot_id,
            pin.metadata_location,
            symbol,
            timeframe,
            start_us,
            end_us,
            hours,
        )
        return self.get(key, lambda: read_bars(pin, symbol, timeframe, start_us, end_us, hours))
