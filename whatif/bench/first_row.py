"""A worker without Spark, up to its first rows: `python -m whatif.bench.first_row`."""

from __future__ import annotations

import json
import pickle
import sys
import time
from pathlib import Path

import pandas as pd

from whatif.runner import evaluate


def main(request: str, answer: str) -> None:
    """Evaluate the pickled plan and work items of `request` up to the first frame of rows.

    Writes when that was, in seconds since 1970, so that whoever started this process can tell
    how long it took from there.
    """
    imported = time.time()
    plan, items = pickle.loads(Path(request).read_bytes())
    frame = next(evaluate(plan, iter([pd.DataFrame({"item": items})])))
    found = {
        "imported_at": imported,
        "first_at": time.time(),
        "rows": len(frame),
        "failed": int((frame["status"] != "ok").sum()),
    }
    Path(answer).write_text(json.dumps(found), encoding="utf-8")


if __name__ == "__main__":
    main(*sys.argv[1:])
