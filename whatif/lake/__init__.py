"""The lake: its tables, who may write, and how."""

from __future__ import annotations

from typing import TYPE_CHECKING

from whatif.doors import door

if TYPE_CHECKING:
    from whatif.lake.catalogue import About, describe
    from whatif.lake.create import create_tables, set_properties
    from whatif.lake.deliveries import (
        DeliveryNote,
        delivery_id,
        find_delivery,
        is_file,
        keep_notes,
        list_deliveries,
        list_refused,
        noted,
        notes_of,
        sources_of,
    )
    from whatif.lake.doctor import examine, repair
    from whatif.lake.forgetting import (
        MOST_TAKEN_BACK,
        Forgotten,
        Taken,
        few_enough,
        last_forgotten,
        taken_back,
    )
    from whatif.lake.holdings import list_bars, refused_in
    from whatif.lake.local_tables import Commit, rows_without
    from whatif.lake.lock import writer_lock
    from whatif.lake.maintenance import Upkeep, drop_branches, maintain, maintain_all, maintain_bars
    from whatif.lake.processes import user_name
    from whatif.lake.quality import BarsCheck, check_quality, new_errors
    from whatif.lake.results import RESULTS, RETURNS
    from whatif.lake.snapshots import (
        begin_branch,
        name_branch,
        pin,
        publish_branch,
        read_pinned,
        tag_pin,
    )
    from whatif.lake.spec import TableSpec, sql_text
    from whatif.lake.suspicions import QUALITY_RULES
    from whatif.lake.tables import (
        BARS,
        BARS_QUARANTINE,
        CATALOGUE,
        CHECKPOINTS,
        CORPORATE_ACTIONS,
        EQUITY,
        FORGOTTEN,
        NEWS_RELATIONS,
        NEWS_SENTIMENT,
        PREDICTIONS,
        QUOTES,
        SYMBOL_NAMES,
        TABLES,
        TEST_LOOKS,
        TRADES,
        TRADES_RAW,
        features_table,
    )
    from whatif.lake.write import (
        append,
        append_arrow,
        append_files,
        append_rows,
        delete_matching,
        delete_rows,
        insert_missing,
        insert_missing_rows,
        made_of,
        replace,
        replace_arrow,
        replace_made,
        take_back,
        upsert,
        upsert_arrow,
        write_files,
    )
else:
    __getattr__, __dir__, __all__ = door(
        __name__,
        {
            "catalogue": "About describe",
            "create": "create_tables set_properties",
            "deliveries": "DeliveryNote delivery_id find_delivery is_file keep_notes "
            "list_deliveries list_refused noted notes_of sources_of",
            "doctor": "examine repair",
            "forgetting": "MOST_TAKEN_BACK Forgotten Taken few_enough last_forgotten taken_back",
            "holdings": "list_bars refused_in",
            "local_tables": "Commit rows_without",
            "lock": "writer_lock",
            "maintenance": "Upkeep drop_branches maintain maintain_all maintain_bars",
            "processes": "user_name",
            "quality": "BarsCheck check_quality new_errors",
            "results": "RESULTS RETURNS",
            "snapshots": "begin_branch name_branch pin publish_branch read_pinned tag_pin",
            "spec": "TableSpec sql_text",
            "suspicions": "QUALITY_RULES",
            "tables": "BARS BARS_QUARANTINE CATALOGUE CHECKPOINTS CORPORATE_ACTIONS EQUITY FORGOTTEN "
            "NEWS_RELATIONS NEWS_SENTIMENT PREDICTIONS QUOTES SYMBOL_NAMES TABLES TEST_LOOKS TRADES "
            "TRADES_RAW features_table",
            "write": "append append_arrow append_files append_rows delete_matching delete_rows "
            "insert_missing insert_missing_rows made_of replace replace_arrow replace_made take_back upsert "
            "upsert_arrow write_files",
        },
    )
