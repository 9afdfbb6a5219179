"""Keeps a worker process from reading archives again for each task."""

from __future__ import annotations

import sys
import zipimport


def forget_archives() -> None:
    """Forget what was read of the zip archives on the import path.

    Spark's worker calls `importlib.invalidate_caches` as each task begins, and before Python 3.13
    that reads every archive it knows anew: a tenth of a second for Spark's own, for each task. One
    that is forgotten is read when an import next looks into it, which a warm worker's does not.
    """
    for path, finder in list(sys.path_importer_cache.items()):
        if isinstance(finder, zipimport.zipimporter):
            sys.path_importer_cache.pop(path, None)
