"""The seam of sources: the base class of every place that bars come from.

A source is a section of options. Its class gives the keys, names the parts that are read apart from each
other, and reads each of them in chunks. Those that come along stand in `whatif.sources.kinds`, one in each
module; one of your own is found by entry point (`whatif.sources`) or by `module:Name` as what
`whatif ingest` is given, and tried with `whatif.testing.check_source`.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from whatif.errors import SourceError
from whatif.section import Section
from whatif.sources.chunk import Chunk

if TYPE_CHECKING:
    import pyarrow as pa


class Source(Section):
    """A place that bars come from, and the keys of its options.

    Attributes
    ----------
    as_written : bool
        Whether columns hold what somebody wrote, in any order: text, local stamps. Such a source says in
        its layouts how they are to be read. Of all others, columns are typed and stamps are instants.
    repeats : bool
        Whether a bar may come in several parts, as of a stream that is written to again: the later part
        stands, and the others are no fault and go to no quarantine.
    """

    as_written: ClassVar[bool] = False
    repeats: ClassVar[bool] = False

    @property
    def label(self) -> str:
        """What the source is called in messages and in the lake."""
        kind = type(self)
        package, _, module = kind.__module__.rpartition(".")
        return module if package == "whatif.sources.kinds" else f"{kind.__module__}:{kind.__qualname__}"

    @abstractmethod
    def parts(self) -> Sequence[str]:
        """Return the names of what is read, each on its own and at any time: files, symbols, shards.

        A name is the `source` that the lake keeps with each row, so it holds no key, and stands for the
        same rows each time. Where parts have other values for one bar, the later one stands.

        Raises
        ------
        SourceError
            If there is none.
        """

    @abstractmethod
    def read(self, part: str, checkpoint: str | None) -> Iterator[Chunk]:
        """Yield the rows of a part, the stamps of each symbol in order; called in a task of Spark.

        The same part and checkpoint give the same rows, and perhaps more behind them.

        Parameters
        ----------
        part : str
            Its name.
        checkpoint : str or None
            That of the last chunk that has landed: what follows it is wanted. None wants all.

        Raises
        ------
        SourceError
            If it cannot be read; nothing of the delivery lands then.
        """

    def publish(self, bars: Iterable[pa.RecordBatch]) -> int:
        """Put bars where the source has its own, and return how many; few sources can.

        Parameters
        ----------
        bars : iterable of RecordBatch
            Columns symbol, ts, timeframe, session, exchange, open, high, low, close, volume, vwap,
            trade_count, vwap_estimated; as the lake has them.

        Raises
        ------
        SourceError
            If it takes none, or not all of them.
        """
        raise SourceError(f"source {self.label!r} takes no bars: 'whatif publish kinesis' loads a stream")

    def actions(self) -> Iterator[Mapping[str, Any]]:
        """Yield splits and dividends, for `whatif ingest-actions`; few sources know some.

        Returns
        -------
        iterator of mapping
            symbol; ex_date, a date; kind, split or dividend; value, new shares for one or cash a share.

        Raises
        ------
        SourceError
            If it knows none, or cannot be asked; nothing lands then.
        """
        raise SourceError(
            f"source {self.label!r} tells no splits and no dividends: name files, or alphavantage"
        )

    def news(self) -> Iterator[tuple[str, Sequence[Mapping[str, Any]]]]:
        """Yield pages of articles, for `whatif ingest-news`; few sources have some.

        Returns
        -------
        iterator of (str, sequence of mapping)
            What a page is called, which its items are kept under, and its articles as Alpha Vantage's
            NEWS_SENTIMENT has them: url, title, source, time_published (UTC) and ticker_sentiment.

        Raises
        ------
        SourceError
            If it has none, or cannot be asked; nothing lands then.
        """
        raise SourceError(f"source {self.label!r} has no news: name files, or alphavantage")

    def overviews(self) -> Iterator[Mapping[str, Any]]:
        """Yield what symbols are, for `whatif describe --from`; few sources know it.

        Returns
        -------
        iterator of mapping
            symbol; description and asset_class, "" where it does not say; tags, a tuple of str.

        Raises
        ------
        SourceError
            If it does not know, or cannot be asked; nothing is said of any symbol then.
        """
        raise SourceError(f"source {self.label!r} does not tell what symbols are: alphavantage does")


class FetchedFiles(Source):
    """A source that brings files, which are read as all files are: sniffed, by options of files.

    It is named in the place of paths; what it fetches are the paths then.
    """

    @abstractmethod
    def fetch(self) -> tuple[Sequence[str], Sequence[str]]:
        """Bring what is not there yet; return paths, folders or addresses in order, and notes on it.

        Where files have other values for one bar, the later one stands.

        Raises
        ------
        SourceError
            If it cannot be brought, or not whole.
        """

    @abstractmethod
    def listed(self) -> Iterator[str]:
        """Yield what there is to fetch, a line each, and bring nothing.

        Raises
        ------
        SourceError
            If it cannot be asked.
        """

    def parts(self) -> Sequence[str]:
        """Refuse: its files are the parts."""
        raise SourceError(f"source {self.label!r} brings files: they are the parts that are read")

    def read(self, part: str, checkpoint: str | None) -> Iterator[Chunk]:
        """Refuse, as `parts`."""
        raise SourceError(f"source {self.label!r} brings files, and {part} is read by their format")
