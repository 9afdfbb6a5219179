from __future__ import annotations

import numpy as np
import pytest

from whatif.errors import LakeError
from whatif.pins import Pin, PinnedCache


def array(n_bytes: int) -> np.ndarray:
    return np.zeros(n_bytes, dtype=np.uint8)


def test_what_is_kept_is_not_loaded_again() -> None:
    cache = PinnedCache(100)
    first = cache.get("a", lambda: array(60))
    assert cache.get("a", lambda: pytest.fail("loaded again")) is first
    assert (cache.hits, cache.misses, cache.nbytes) == (1, 1, 60)


def test_the_least_recently_used_goes_first() -> None:
    cache = PinnedCache(100)
    cache.get("a", lambda: array(40))
    cache.get("b", lambda: array(40))
    cache.get("a", lambda: array(40))
    cache.get("c", lambda: array(40))
    assert cache.nbytes == 80
    cache.get("a", lambda: pytest.fail("a was used last"))
    loads = []
    cache.get("b", lambda: loads.append(1) or array(40))
    assert loads == [1]


def test_the_bound_holds_whatever_comes() -> None:
    cache = PinnedCache(1000)
    sizes = np.random.default_rng(7).integers(1, 1500, 300)
    for i, size in enumerate(sizes):
        assert len(cache.get(i, lambda size=size: array(size))) == size
        assert cache.nbytes <= 1000
    assert cache.nbytes == sum(entry.nbytes for entry in cache._entries.values())


def test_what_is_larger_than_the_bound_is_handed_out_and_not_kept() -> None:
    cache = PinnedCache(10)
    cache.get("small", lambda: array(5))
    cache.get("large", lambda: array(11))
    assert len(cache) == 1
    cache.get("small", lambda: pytest.fail("thrown out for nothing"))


def test_a_failed_load_keeps_nothing() -> None:
    cache = PinnedCache(10)
    with pytest.raises(ZeroDivisionError):
        cache.get("a", lambda: 1 / 0)
    assert (len(cache), cache.nbytes) == (0, 0)


def test_bars_are_told_apart_by_everything_that_determines_them(monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[tuple[object, ...]] = []
    monkeypatch.setattr("whatif.pins.read.read_bars", lambda *key: calls.append(key) or array(1))
    cache = PinnedCache(100)
    variants = [
        (Pin("bars", 1, "m"), "SPY", "1min", 0, 9, "regular"),
        (Pin("bars", 2, "m"), "SPY", "1min", 0, 9, "regular"),
        (Pin("bars", 1, "m"), "IBM", "1min", 0, 9, "regular"),
        (Pin("bars", 1, "m"), "SPY", "1h", 0, 9, "regular"),
        (Pin("bars", 1, "m"), "SPY", "1min", 1, 9, "regular"),
        (Pin("bars", 1, "m"), "SPY", "1min", 0, 8, "regular"),
        (Pin("bars", 1, "m"), "SPY", "1min", 0, 9, "extended"),
    ]
    for _ in range(2):
        for variant in variants:
            cache.bars(*variant)
    assert calls == variants


def test_a_negative_bound() -> None:
    with pytest.raises(LakeError, match="0 or more"):
        PinnedCache(-1)
