"""Record a real `whatif demo` as an animated SVG of a terminal, as wide as 80 characters.

    python infra/record_demo.py [LOG]

Without LOG, the demo is run in a fresh folder, and its output written to a file that may be given as LOG
later: a line of JSON each, seconds since the begin and text. Writes notebooks/demo.svg. Pauses are cut to
`LONGEST`.
"""

from __future__ import annotations

import argparse
import io
import json
import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator
from pathlib import Path

from rich._export_format import CONSOLE_SVG_FORMAT
from rich.console import Console
from rich.terminal_theme import MONOKAI
from rich.text import Text

ROOT = Path(__file__).resolve().parent.parent
TARGET = ROOT / "notebooks" / "demo.svg"
WIDTH = 80
LONGEST = 2.0
"""Seconds that a pause of the run lasts at most in the recording."""

STEP = 0.06
"""Seconds between lines that came at once."""

Line = tuple[float, str]
"""Seconds since the begin, and a line of output with the terminal's marks of colour."""

STYLE = """
    text { animation: appear 1ms step-end backwards }
    @keyframes appear { from { opacity: 0 } to { opacity: 1 } }
    @media (prefers-reduced-motion: reduce) { text { animation: none } }
"""


def main() -> int:
    """Run the demo unless its log is given, and write the recording."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("log", nargs="?", type=Path)
    asked = parser.parse_args()
    if asked.log is None:
        with tempfile.TemporaryDirectory() as folder:
            lines = list(_demo(Path(folder)))
        log = Path(tempfile.mkstemp(prefix="demo-", suffix=".jsonl")[1])
        log.write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")
        sys.stdout.write(f"output: {log}\n")
    else:
        lines = [(at, text) for at, text in map(json.loads, asked.log.read_text("utf-8").splitlines())]
    TARGET.write_text(recording(lines), encoding="utf-8")
    sys.stdout.write(f"written: {TARGET}\n")
    return 0


def _demo(home: Path) -> Iterator[Line]:
    """Yield what the demo prints, as in a terminal without what moves in it."""
    call = "import sys; from whatif.cli import main; sys.exit(main(['demo']))"
    terminal = {"TTY_COMPATIBLE": "1", "TTY_INTERACTIVE": "0", "COLUMNS": str(WIDTH)}
    began = time.monotonic()
    with subprocess.Popen(
        [sys.executable, "-u", "-c", call],
        stdout=subprocess.PIPE,
        env={**os.environ, **terminal, "WHATIF_HOME": str(home)},
        encoding="utf-8",
    ) as run:
        assert run.stdout is not None
        for line in run.stdout:
            # as it reads in the folder that a user is in
            yield time.monotonic() - began, line.rstrip("\n").replace(str(home), ".whatif")
    if run.returncode:
        raise SystemExit(f"the demo ended with {run.returncode}: nothing was recorded")


def recording(lines: Iterable[Line]) -> str:
    """Return the animated SVG of a run; whatever shows no animation shows all of it."""
    console = Console(
        record=True, width=WIDTH, file=io.StringIO(), color_system="truecolor", force_terminal=True
    )
    shown: list[float] = []
    for at, text in paced([(0.0, "\x1b[1m$ whatif demo\x1b[0m"), *lines]):
        for row in Text.from_ansi(text).wrap(console, WIDTH) or [Text()]:
            console.print(row)
            shown.append(at)
    # the console's own format would fetch a font
    plain = re.sub(r"@font-face \{\{.*?\}\}", "", CONSOLE_SVG_FORMAT, flags=re.S).replace("Fira Code, ", "")
    drawn = console.export_svg(title="whatif demo", theme=MONOKAI, code_format=plain, unique_id="demo")
    drawn = drawn.replace("</style>", f"{STYLE}</style>", 1)
    return re.sub(
        r'(<text )([^>]*clip-path="url\(#demo-line-(\d+)\)")',
        lambda found: f'{found[1]}style="animation-delay:{shown[int(found[3])]:.2f}s" {found[2]}',
        drawn,
    )


def paced(lines: Iterable[Line]) -> Iterator[Line]:
    """Yield lines with the times of the recording: pauses cut, and lines that came at once one by one."""
    before = now = 0.0
    for k, (at, text) in enumerate(lines):
        if k:
            now += min(max(at - before, STEP), LONGEST)
        before = at
        yield now, text


if __name__ == "__main__":
    sys.exit(main())
