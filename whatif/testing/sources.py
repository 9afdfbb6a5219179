"""Check of a source of one's own against what every source has to keep to."""

from __future__ import annotations

from whatif.sources import Chunk, Source, checked_chunks, checked_parts


def check_source(source: Source) -> None:
    """Raise unless a source keeps to the contract of `Source`, on what it has to read now.

    Parameters
    ----------
    source : Source
        With options under which it has a few thousand bars, or less: they are read several times.

    Raises
    ------
    SourceError
        If its parts or chunks break the contract.
    AssertionError
        If it has no bars, a part read twice gives other rows, or reading on from a checkpoint does not
        give exactly the rest.
    """
    parts = checked_parts(source)
    assert checked_parts(source) == parts, f"{source.label}: it names other parts the second time"
    rows = 0
    for part in parts:
        chunks = list(checked_chunks(source, part, None))
        whole = _rows(chunks)
        again = _rows(list(checked_chunks(source, part, None)))
        assert again == whole, f"{source.label}: {part} read twice gives other rows"
        rows += len(whole)
        for count, chunk in enumerate(chunks, start=1):
            if chunk.checkpoint is None:
                continue
            rest = _rows(list(checked_chunks(source, part, chunk.checkpoint)))
            assert rest == _rows(chunks[count:]), (
                f"{source.label}: {part} read on from checkpoint {chunk.checkpoint!r} does not give exactly "
                "the rows behind it"
            )
    assert rows, f"{source.label}: it has no bars, and nothing was tried: give options under which it has"


def _rows(chunks: list[Chunk]) -> list[dict[str, object]]:
    """Return all rows of chunks, with what their layouts say."""
    found = []
    for chunk in chunks:
        of_all = {"timeframe": chunk.layout.timeframe, "exchange": chunk.layout.exchange}
        symbol = {} if chunk.layout.symbol is None else {"symbol": chunk.layout.symbol}
        found += [{**row, **of_all, **symbol} for row in chunk.batch.to_pylist()]
    return found
