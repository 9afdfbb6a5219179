"""Empty data base of MLflow, made when an environment is made.

``python -m whatif.tracking.shipped`` does it. MLflow makes one by going through all the forms that its tables
ever had, which takes longer than a small study; a lake begins with a copy of this one.
"""

from __future__ import annotations

import os
import sqlite3
import sys
import tempfile
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

from whatif.tracking.run import make_data_base, shipped_file


def ship(target: Path | None = None) -> Path:
    """Make an empty data base in place of what is there.

    Parameters
    ----------
    target : Path, optional
        The file; where `whatif.tracking.run` looks for it, if left out.

    Returns
    -------
    Path
        The file.
    """
    file = target or shipped_file()
    file.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=file.parent) as folder:
        made = Path(folder, file.name)
        make_data_base(made)
        with closing(sqlite3.connect(made, isolation_level=None)) as opened:
            # of its own experiment MLflow notes folder and time: it makes that anew in each lake
            opened.execute("DELETE FROM experiments")
            opened.execute("VACUUM")
        made.chmod(0o644)
        os.replace(made, file)
    return file


def main(arguments: Sequence[str]) -> int:
    """Ship the data base, say where it is; return an exit code."""
    if arguments:
        sys.stderr.write("error: there are no options\n")
        return 2
    sys.stdout.write(f"an empty data base of MLflow in {ship()}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
