"""What the user may say about files."""

from __future__ import annotations

import pytest

from whatif.errors import SourceError
from whatif.sources import IngestSpec, parse_mapping


def test_mapping() -> None:
    assert parse_mapping(["ts=Date+Time", "open=Open", "volume="]) == {
        "ts": ("Date", "Time"),
        "open": ("Open",),
        "volume": (),
    }


@pytest.mark.parametrize(
    ("entries", "message"), [(["open"], "no '='"), (["open=A", "open=B"], "mapped twice")]
)
def test_bad_mapping(entries: list[str], message: str) -> None:
    with pytest.raises(SourceError, match=message):
        parse_mapping(entries)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"stamps": "stop"}, "valid: end, start|did you mean"),
        ({"columns": {"opne": ("Open",)}}, "did you mean 'open'"),
        ({"delimiter": ";;"}, "not one character"),
        ({"symbol": " "}, "symbol is empty"),
        ({"timeframe": "1m"}, "min, h or d"),
        ({"timeframe": "7min"}, "does not divide a day"),
        ({"timezone": "Europe/Berlim"}, "did you mean 'Europe/Berlin'"),
        ({"timezone": "Mars/Olympus"}, "IANA name"),
        ({"exchange": "NYSEE"}, "did you mean 'NYSE'"),
    ],
)
def test_what_is_refused(given: dict[str, object], message: str) -> None:
    with pytest.raises(SourceError, match=message):
        IngestSpec(**given)  # type: ignore[arg-type]
