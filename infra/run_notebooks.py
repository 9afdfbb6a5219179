"""Run notebooks from top to bottom and store what they show; charts as pictures, so that any viewer has them.

    python infra/run_notebooks.py [NOTEBOOK …]

Without names, all of notebooks/. A browser draws the pictures (see `whatif.report.Chart.to_png`); a notebook
that speaks to AWS is given moto's emulator.
"""

from __future__ import annotations

import argparse
import base64
import os
import re
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import nbformat
from nbclient import NotebookClient

from whatif.report import Chart

FOLDER = Path(__file__).resolve().parent.parent / "notebooks"
PLOTLY = "application/vnd.plotly.v1+json"
WIDTH = 800
"""CSS pixels of a picture."""

SECONDS = 600
"""What a cell may take."""


def main() -> int:
    """Run the notebooks and write them with their outputs."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("notebooks", nargs="*", type=Path)
    for path in parser.parse_args().notebooks or sorted(FOLDER.glob("*.ipynb")):
        notebook = nbformat.read(path, 4)
        with tempfile.TemporaryDirectory() as folder, emulated():
            execute(notebook, Path(folder))
            for cell in notebook.cells:
                _settle(cell, Path(folder))
        notebook.metadata = {key: notebook.metadata[key] for key in ("kernelspec", "language_info")}
        nbformat.write(notebook, path)
        sys.stdout.write(f"written: {path}, {path.stat().st_size / 1000:,.0f} kB\n")
    return 0


def execute(notebook: Any, folder: Path) -> None:
    """Run a notebook in a folder, with a lake of its own below it; the first error ends it."""
    # the kernel is a process of its own, and is given this one's environment
    os.environ.update(WHATIF_HOME=str(folder / "home"), PLOTLY_RENDERER="plotly_mimetype")
    NotebookClient(
        notebook, timeout=SECONDS, kernel_name="python3", resources={"metadata": {"path": str(folder)}}
    ).execute()


@contextmanager
def emulated() -> Iterator[None]:
    """Let clients of AWS speak to moto's emulator on this machine, with keys that nobody else takes."""
    from moto.server import ThreadedMotoServer

    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    given = dict.fromkeys(("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"), "testing")
    given |= dict.fromkeys(("AWS_DEFAULT_REGION", "AWS_REGION"), "eu-west-1")
    before = dict(os.environ)
    os.environ.update(given, AWS_ENDPOINT_URL=f"http://{host}:{port}")
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)
        server.stop()


def _settle(cell: Any, folder: Path) -> None:
    """Take out of a cell what another run would show otherwise, and make pictures of charts."""
    cell.metadata = {}
    if cell.cell_type != "code":
        return
    cell.outputs = [one for one in cell.outputs if one.get("name") != "stderr" and not _is_empty(one)]
    for one in cell.outputs:
        data = one.get("data", {})
        drawn = data.pop(PLOTLY, None)
        if drawn is not None:
            picture = Chart(drawn).to_png(folder / "chart.png", width=WIDTH, scale=1.0)
            data["image/png"] = base64.b64encode(picture.read_bytes()).decode("ascii")
        for key in [key for key in data if key.startswith("text/")]:
            data[key] = without_paths(data[key])
        if "text" in one:
            one["text"] = without_paths(one["text"])


def _is_empty(output: Any) -> bool:
    """Whether an output shows nothing: a run's line of progress, when the run is over."""
    return output.output_type == "display_data" and not any(output["data"].values())


def without_paths(text: str) -> str:
    """Return a text without the names of temporary folders."""
    return re.sub(re.escape(tempfile.gettempdir()) + r"/[\w./-]*?(?=/home\b|[\s'\"<,]|$)", "…", text)


if __name__ == "__main__":
    sys.exit(main())
