"""Pinned rows: which snapshot, and how to read it without Spark."""

from __future__ import annotations

from typing import TYPE_CHECKING

from whatif.doors import door
from whatif.startup import import_when_used

# of PyIceberg: filters that are texts, and its configuration file
import_when_used("pyiceberg.expressions.parser", "strictyaml")

if TYPE_CHECKING:
    from whatif.pins.adjust import ACTIONS, DIVIDEND, SPLIT
    from whatif.pins.api import adjusted_frame, moment_us, older_state
    from whatif.pins.arrow_types import schema_of, type_of
    from whatif.pins.current import (
        DELIVERY_ID,
        EXTENDS,
        adjusted_pin,
        current_pin,
        find_pin,
        has_rows,
        may_hold,
        moment_of,
        open_table,
        pin_at,
        renamed_pin,
        table_exists,
        table_names,
        tagged_pin,
        written_at,
    )
    from whatif.pins.damage import (
        Damage,
        described,
        moved_from,
        newest_whole,
        planned,
        reading,
        snapshot_damage,
    )
    from whatif.pins.filters import (
        all_of,
        at_most,
        bars_filter,
        equal,
        everything,
        of_timeframe,
        one_of,
        starts_with,
        within,
    )
    from whatif.pins.groups import runs_of, symbols_of
    from whatif.pins.in_order import PART_ROWS, held_symbols, parts_in_order
    from whatif.pins.integrity import (
        CHECKSUM_CHUNK,
        CHECKSUM_HEADER,
        checksum_file,
        checksums,
        local_parts,
        local_path,
    )
    from whatif.pins.jumps import JUMP_DAYS, JUMP_FACTOR, PriceJump, jump_rows, price_jumps
    from whatif.pins.location import LakeLocation, catalog_properties
    from whatif.pins.metadata import (
        HINT,
        has_data,
        hinted_version,
        hints_in,
        load_table,
        metadata_path,
        newest_metadata,
        time_of_ms,
        versions_in,
    )
    from whatif.pins.pin import Pin
    from whatif.pins.read import (
        PinnedCache,
        batches,
        floats,
        microseconds,
        read_added,
        read_arrow,
        read_bars,
        read_bars_of,
        read_predictions,
        rows_of_files,
        scan,
        symbol_names,
        symbol_rows,
        values_of,
    )
    from whatif.pins.renames import RENAMES, Named, Names, contradiction
    from whatif.pins.service import explained, in_words
else:
    __getattr__, __dir__, __all__ = door(
        __name__,
        {
            "adjust": "ACTIONS DIVIDEND SPLIT",
            "api": "adjusted_frame moment_us older_state",
            "arrow_types": "schema_of type_of",
            "current": "DELIVERY_ID EXTENDS adjusted_pin current_pin find_pin has_rows may_hold moment_of "
            "open_table pin_at renamed_pin table_exists table_names tagged_pin written_at",
            "damage": "Damage described moved_from newest_whole planned reading snapshot_damage",
            "filters": "all_of at_most bars_filter equal everything of_timeframe one_of starts_with within",
            "groups": "runs_of symbols_of",
            "in_order": "PART_ROWS held_symbols parts_in_order",
            "integrity": "CHECKSUM_CHUNK CHECKSUM_HEADER checksum_file checksums local_parts local_path",
            "jumps": "JUMP_DAYS JUMP_FACTOR PriceJump jump_rows price_jumps",
            "location": "LakeLocation catalog_properties",
            "metadata": "HINT has_data hinted_version hints_in load_table metadata_path newest_metadata "
            "time_of_ms versions_in",
            "pin": "Pin",
            "read": "PinnedCache batches floats microseconds read_added read_arrow read_bars read_bars_of "
            "read_predictions rows_of_files scan symbol_names symbol_rows values_of",
            "renames": "RENAMES Named Names contradiction",
            "service": "explained in_words",
        },
    )
