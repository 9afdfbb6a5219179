"""Sources of bars: the seam, those that come along, rules and sessions. Reading itself imports no pyspark."""

from __future__ import annotations

from typing import TYPE_CHECKING

from whatif.doors import door

if TYPE_CHECKING:
    from whatif.sources.actions import ActionsReport, ingest_actions
    from whatif.sources.base import FetchedFiles, Source
    from whatif.sources.chunk import Chunk, Layout, NoRowsError
    from whatif.sources.conclude import Concluded
    from whatif.sources.contract import checked_chunks, checked_parts
    from whatif.sources.delivery import (
        Part,
        bars_of_files,
        bars_of_lake,
        digest_of_parts,
        file_parts,
        looked_at,
        read_file,
        read_part,
        size_of_part,
        source_parts,
        try_first,
    )
    from whatif.sources.file_source import FileSource
    from whatif.sources.files import find_files
    from whatif.sources.kinds import make_source, named_source, parse_options
    from whatif.sources.limits import broken_limits
    from whatif.sources.local import LocalDelivery, TooManyRowsError
    from whatif.sources.news import NewsReport, ingest_news
    from whatif.sources.news_layouts import NEWS_RULES
    from whatif.sources.rules import RULES
    from whatif.sources.sample import generate, sample_schedule, write_sample
    from whatif.sources.sample_days import generate_days, write_days
    from whatif.sources.sample_market import SampleMarket, SampleSymbol, default_symbols
    from whatif.sources.sample_news import SampleNews, write_sample_news
    from whatif.sources.sample_ticks import make_ticks, write_sample_ticks
    from whatif.sources.signs import with_units
    from whatif.sources.spark import SparkDelivery
    from whatif.sources.spec import IngestSpec, parse_mapping
    from whatif.sources.staged import (
        RefusedRow,
        RowGroup,
        StagedDelivery,
        check_symbol,
        checkpoints_of,
        land,
        seen_of,
        store_checkpoints,
    )
    from whatif.sources.ticks import TICK_RULES, TicksReport, forget_ticks, ingest_ticks
else:
    __getattr__, __dir__, __all__ = door(
        __name__,
        {
            "actions": "ActionsReport ingest_actions",
            "base": "FetchedFiles Source",
            "chunk": "Chunk Layout NoRowsError",
            "conclude": "Concluded",
            "contract": "checked_chunks checked_parts",
            "delivery": "Part bars_of_files bars_of_lake digest_of_parts file_parts looked_at read_file "
            "read_part size_of_part source_parts try_first",
            "file_source": "FileSource",
            "files": "find_files",
            "kinds": "make_source named_source parse_options",
            "limits": "broken_limits",
            "local": "LocalDelivery TooManyRowsError",
            "news": "NewsReport ingest_news",
            "news_layouts": "NEWS_RULES",
            "rules": "RULES",
            "sample": "generate sample_schedule write_sample",
            "sample_days": "generate_days write_days",
            "sample_market": "SampleMarket SampleSymbol default_symbols",
            "sample_news": "SampleNews write_sample_news",
            "sample_ticks": "make_ticks write_sample_ticks",
            "spark": "SparkDelivery",
            "spec": "IngestSpec parse_mapping",
            "signs": "with_units",
            "staged": "RefusedRow RowGroup StagedDelivery check_symbol checkpoints_of land seen_of "
            "store_checkpoints",
            "ticks": "TICK_RULES TicksReport forget_ticks ingest_ticks",
        },
    )
