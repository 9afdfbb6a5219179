"""Chart that a notebook shows and that a paper takes as a picture: plotly's figure, and a PNG of it."""

from __future__ import annotations

import html
import os
import re
import shutil
import subprocess
import tempfile
import textwrap
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import plotly.graph_objects as go

from whatif.errors import RunError
from whatif.paths import written_whole
from whatif.report.html import plotly_js
from whatif.report.theme import Drawing

BROWSERS = ("chromium", "chromium-browser", "google-chrome", "chrome")
"""Programs that draw a picture, the first that is found on PATH."""

BROWSER_VARIABLE = "WHATIF_BROWSER"
_FLAGS = (
    "--headless", "--disable-gpu", "--hide-scrollbars", "--no-first-run", "--disable-sync",
    "--disable-background-networking", "--disable-component-update", "--virtual-time-budget=8000",
)  # fmt: skip
_SECONDS = 120
_LINE, _MOST_LINES = 48, 4
"""Characters of a line below a title, which a phone has room for, and lines."""

_PAGE = """<!doctype html><html lang="en"><head><meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; img-src data: blob:">
<title>{title}</title><style>html,body{{margin:0;background:#fff}}</style></head><body><div id="chart"></div>
<script>{library}</script><script>const drawn = {drawn};
Plotly.newPlot("chart", drawn.data, drawn.layout, {{staticPlot: true}});</script></body></html>
"""  # noqa: E501


class Chart(go.Figure):  # type: ignore[misc]  # plotly has no types
    """A figure of plotly, drawn as the report draws it, which can be saved as a picture."""

    @classmethod
    def of(cls, drawn: Drawing, title: str, below: str = "") -> Chart:
        """Return a drawing of the report with its title above, and a smaller line below that."""
        layout = drawn["layout"]
        # a title of the drawing itself says how many bars a candle covers
        said = "; ".join(filter(None, (below, layout["title"].get("text", ""))))
        lines = textwrap.wrap(said, _LINE, max_lines=_MOST_LINES) or [" "]
        room = 50 + 14 * (len(lines) - 1)
        height = layout["height"] + room
        smaller = "<br>".join(f"<sub>{html.escape(one, quote=False)}</sub>" for one in lines)
        text = f"{html.escape(title, quote=False)}<br>{smaller}"
        head = {"text": text, "font": {"size": 15}, "x": 0, "xanchor": "left", "xref": "paper"}
        layout |= {
            "title": head | {"y": 1 - 20 / height, "yanchor": "top"},
            "margin": layout["margin"] | {"t": layout["margin"]["t"] + room},
            "height": height,
            "legend": layout["legend"] | {"y": 1 - room / height},
            # beside the figure: above it, it would lie over the title where there is little room
            "modebar": layout["modebar"] | {"orientation": "v"},
        }
        return cls(drawn)

    def to_png(
        self, path: str | os.PathLike[str], width: int = 900, height: int | None = None, scale: float = 2.0
    ) -> Path:
        """Save the chart as a picture on white, for a paper or a slide.

        A Chromium or Chrome that is installed draws it, without a window: the same drawing as on the page,
        and no further package. Nothing is loaded from anywhere.

        Parameters
        ----------
        path : str or path
            Where to; it is there whole or not at all.
        width, height : int
            Size in CSS pixels; the height is the chart's own if left out.
        scale : float
            Pixels of the picture for each of them.

        Returns
        -------
        Path
            The file.

        Raises
        ------
        RunError
            If no browser is found, or it draws nothing; what was at `path` stays.
        """
        size = (width, height or int(self.layout.height or 450))
        if min(size) < 50 or not 0.25 <= scale <= 8:
            raise RunError(
                f"a picture of {size[0]} by {size[1]} at scale {scale:g}: give at least 50 by 50, and a "
                "scale between 0.25 and 8"
            )
        target, program = Path(path), browser()
        drawn = Chart(self)
        drawn.update_layout(
            width=size[0], height=size[1], paper_bgcolor="#fff", plot_bgcolor="#fff", font_color="#333"
        )
        target.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory() as folder:
            page, picture = Path(folder, "chart.html"), Path(folder, "chart.png")
            text = re.sub(r"</", r"<\\/", str(drawn.to_json()))
            title = html.escape(target.stem)
            page.write_text(_PAGE.format(title=title, library=plotly_js(), drawn=text), encoding="utf-8")
            command = [program, *_FLAGS, f"--user-data-dir={folder}/profile", f"--screenshot={picture}"]
            command += [f"--window-size={size[0]},{size[1]}", f"--force-device-scale-factor={scale:g}"]
            _run([*command, *_without_sandbox(), page.as_uri()], picture)
            with written_whole(target) as part:
                shutil.copyfile(picture, part)
        return target


def browser() -> str:
    """Return the program that draws pictures: what `WHATIF_BROWSER` names, or the first found on PATH.

    Raises
    ------
    RunError
        If there is none.
    """
    named = os.environ.get(BROWSER_VARIABLE, "")
    found = next(filter(None, map(shutil.which, [named] if named else BROWSERS)), None)
    if found is None:
        looked = (
            f"{BROWSER_VARIABLE} names {named!r}: none such" if named else f"none of {', '.join(BROWSERS)}"
        )
        raise RunError(
            f"a PNG is drawn by Chromium or Chrome, and {looked} is on PATH: install one (Debian: apt-get "
            f"install chromium), or name the program by {BROWSER_VARIABLE}. The chart itself shows in a "
            "notebook, and .write_html(path) saves it without a browser"
        )
    return found


def _without_sandbox() -> list[str]:
    """Return what Chromium needs to run as root, as containers do; the page is our own and loads nothing."""
    return ["--no-sandbox"] if getattr(os, "geteuid", lambda: 1)() == 0 else []


def _run(command: Sequence[str], picture: Path) -> None:
    try:
        done: Any = subprocess.run(
            command, capture_output=True, text=True, timeout=_SECONDS, check=False, stdin=subprocess.DEVNULL
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise RunError(f"{command[0]} drew no picture: {error}") from error
    if done.returncode or not picture.is_file():
        said = (done.stderr.strip().splitlines() or ["it said nothing"])[-1][:300]
        raise RunError(f"{command[0]} drew no picture (exit code {done.returncode}): {said}")
