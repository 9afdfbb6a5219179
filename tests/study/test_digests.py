"""Short names for content."""

from __future__ import annotations

import hashlib

import pytest

from whatif.study import canonical, digest


def test_the_digest_is_sha256_of_canonical_json() -> None:
    assert canonical({"b": [1, 1.0, True, None], "a": "é"}) == '{"a":"\\u00e9","b":[1,1.0,true,null]}'
    expected = hashlib.sha256(b'{"a":"\\u00e9","b":[1,1.0,true,null]}').hexdigest()[:16]
    assert digest({"b": [1, 1.0, True, None], "a": "é"}) == expected


def test_order_of_keys_does_not_count_and_order_of_values_does() -> None:
    assert digest({"a": 1, "b": 2}) == digest({"b": 2, "a": 1})
    assert digest([1, 2]) != digest([2, 1])


def test_a_type_is_part_of_a_value() -> None:
    assert len({digest(value) for value in (1, 1.0, True, "1")}) == 4


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_what_has_no_json_is_refused(value: float) -> None:
    with pytest.raises(ValueError, match="JSON"):
        digest({"x": value})
