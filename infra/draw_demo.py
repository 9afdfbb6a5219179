"""Draw the README's picture: the page of a real `whatif demo`, in headless Chromium.

    python infra/draw_demo.py [PAGE] [--chromium PROGRAM]

Without PAGE, the demo is run in a fresh folder. Writes notebooks/demo.png.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
TARGET = ROOT / "notebooks" / "demo.png"
SIZE = "1440,900"


def main() -> int:
    """Run the demo unless its page is given, and write the picture."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("page", nargs="?", type=Path)
    parser.add_argument("--chromium", default="chromium")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        page = asked.page or _demo(Path(folder))
        # containers often lack what Chromium's sandbox needs; the page is our own and loads nothing
        command = [asked.chromium, "--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars"]
        command += [f"--window-size={SIZE}", "--virtual-time-budget=8000", f"--screenshot={TARGET}"]
        subprocess.run([*command, page.resolve().as_uri()], check=True, capture_output=True)
    sys.stdout.write(f"written: {TARGET}\n")
    return 0


def _demo(home: Path) -> Path:
    call = "import sys; from whatif.cli import main; sys.exit(main(['demo']))"
    subprocess.run([sys.executable, "-c", call], check=True, env={**os.environ, "WHATIF_HOME": str(home)})
    return home / "demo" / "reports" / "demo.html"


if __name__ == "__main__":
    sys.exit(main())
