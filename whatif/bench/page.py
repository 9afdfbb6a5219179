"""Benchmark of the report of a large study: written, and opened in a headless browser."""

from __future__ import annotations

import tempfile
import time
from pathlib import Path
from statistics import median

from whatif.bench.browser import Page, opened_browser
from whatif.bench.figures import Figure, Goal, Measurement
from whatif.bench.market import load_market
from whatif.bench.setting import Setting
from whatif.bench.studies import finished
from whatif.pins import LakeLocation

CONFIGURATIONS = 10_000

_NOTES = (
    "written: from the finished study in memory to the file, with all that the page draws",
    "first paint: from the file's address to the first frame with the answer's words, 1440 x 900",
    "all charts drawn: from the address until the page's script has ended",
)


def measure(setting: Setting) -> Measurement:
    """Time how a report of 10,000 configurations is written and painted, and weigh it."""
    many = 100 if setting.options.quick else CONFIGURATIONS
    with tempfile.TemporaryDirectory(prefix="whatif-bench-report-", dir=setting.location.home) as folder:
        location, page = LakeLocation(Path(folder) / "home"), Path(folder) / "report.html"
        market = load_market(None, location, setting.file, setting.options.most_bars)
        setting.say(f"report: a study of {many:,} configurations, its page written and opened")
        result = finished(market, location, many, 0.5 if setting.options.quick else 0.1, report=True)
        written = []
        for _ in range(setting.options.repeats):
            started = time.perf_counter()
            result.report(page)
            written.append(time.perf_counter() - started)
        with opened_browser(Path(folder)) as browser:
            browser.resize(1440, 900)
            opened = [_opened(browser, page) for _ in range(setting.options.repeats)]
        size = page.stat().st_size / 1e6
    painted, drawn = (median(one) for one in zip(*opened, strict=True))
    return Measurement(
        name="report",
        title=f"report of {many:,} crossovers on bars of {market.bars.symbol}",
        figures=(
            Figure("written_seconds", "page written", median(written), "s", Goal("under", 3.0)),
            Figure("size", "its size", size, "MB", Goal("at most", 3.0)),
            Figure("paint_seconds", "first paint", painted, "s", Goal("under", 1.0)),
            Figure("drawn_seconds", "all charts drawn", drawn, "s"),
        ),
        notes=_NOTES,
        detail={"written_seconds": written, "opened_seconds": opened},
    )


def _opened(browser: Page, page: Path) -> tuple[float, float]:
    """Open a page anew; return the seconds to its first paint, and to the charts."""
    browser.open("about:blank")
    browser.open(page.as_uri())
    script = "return [performance.getEntriesByName('first-contentful-paint')[0].startTime, performance.now()]"
    painted, drawn = browser.run(script)
    return painted / 1000.0, drawn / 1000.0
