from __future__ import annotations

import pickle

import pytest

from whatif.errors import LakeError
from whatif.pins import Pin

PIN = Pin("bars", 9_007_199_254_740_993, "/srv/lake/whatif/bars/metadata/v3.metadata.json")


def test_json_keeps_every_bit_of_the_snapshot_id() -> None:
    # 2**53 + 1 is the first integer that a double cannot hold
    assert Pin.from_json(PIN.to_json()) == PIN
    assert '"snapshot_id": 9007199254740993' in PIN.to_json()


def test_it_travels_to_workers() -> None:
    assert pickle.loads(pickle.dumps(PIN)) == PIN


@pytest.mark.parametrize(
    "text", ["", "{}", "[]", '{"table": "bars", "snapshot_id": "x", "metadata_location": "y"}']
)
def test_what_is_no_pin(text: str) -> None:
    with pytest.raises(LakeError, match="is not a pin"):
        Pin.from_json(text)
