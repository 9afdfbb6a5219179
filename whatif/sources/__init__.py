"""Files of bars, in: parsers, rules, sessions. Parsing itself imports no pyspark."""

from __future__ import annotations

from whatif.sources.files import find_files
from whatif.sources.rules import RULES
from whatif.sources.spec import IngestSpec, parse_mapping

__all__ = ["RULES", "IngestSpec", "find_files", "parse_mapping"]
