"""What README, CONTRIBUTING and docs say is true: commands run, code is its own, links lead somewhere."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest

import whatif
from whatif.cli import main
from whatif.cli.app import app
from whatif.pins import LakeLocation
from whatif.sources.sample import SampleMarket, default_symbols, generate
from whatif.study import parse_study

ROOT = Path(__file__).resolve().parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")
ENGINES = (ROOT / "docs" / "engines.md").read_text(encoding="utf-8")
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]
MAX_LINES = 150
"""What a newcomer reads; all else is in docs."""


def blocks(language: str, text: str = README) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", text, flags=re.M | re.S)


@pytest.fixture(params=PAGES, ids=lambda page: page.name)
def page(request: pytest.FixtureRequest) -> Path:
    return request.param


def test_the_readme_is_a_front_door() -> None:
    assert len(README.splitlines()) <= MAX_LINES
    for other in PAGES[1:]:
        if other.parent.name == "api":
            continue
        assert f"({other.relative_to(ROOT).as_posix()})" in README, f"no link to {other.name}"


def test_studies_in_the_readme_parse() -> None:
    names = [parse_study(text).study for text in blocks("yaml")]
    assert names == ["my-study"]


def test_the_strategy_in_the_readme_is_the_example_file() -> None:
    example = (ROOT / "conf" / "strategies" / "example.py").read_text(encoding="utf-8")
    assert example in blocks("python")
    assert len(example.splitlines()) <= 15


def test_the_check_of_a_strategy_runs(monkeypatch) -> None:
    monkeypatch.chdir(ROOT)
    code = next(block for block in blocks("python", ENGINES) if "check_strategy" in block)
    exec(compile(code, "engines.md", "exec"), {})


def test_make_targets_exist(page: Path) -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    for target in set(re.findall(r"(?:^|`)make ([a-z-]+)", page.read_text(encoding="utf-8"), flags=re.M)):
        assert re.search(rf"^{target}:", makefile, flags=re.M), target


def test_commands_exist(page: Path) -> None:
    known = {command.name for command in app.registered_commands}
    for command in re.findall(r"(?:^|`)whatif ([a-z]+)\b", page.read_text(encoding="utf-8"), flags=re.M):
        assert command in known, command


def test_files_exist(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    for path in re.findall(r"`((?:conf|jobs|notebooks|whatif)/[a-z_/.-]+)`", text):
        assert (ROOT / path).exists(), path


def test_links_lead_somewhere(page: Path) -> None:
    for path, _, anchor in re.findall(r"\]\((?!http)([^)#]*)(#([^)]+))?\)", page.read_text(encoding="utf-8")):
        target = page.parent / path if path else page
        assert target.exists(), path
        if anchor:
            assert anchor in anchors(target), f"{path}#{anchor}"


def anchors(page: Path) -> set[str]:
    """Return the headings of a page as links name them."""
    titles = re.findall(r"^#+ (.+)$", page.read_text(encoding="utf-8"), flags=re.M)
    return {re.sub(r"[^a-z0-9_ -]", "", title.lower()).replace(" ", "-") for title in titles}


def test_three_commands_take_a_csv_to_an_answer(lake_home, tmp_path, monkeypatch, capsys) -> None:
    monkeypatch.chdir(tmp_path)
    market = SampleMarket(sessions=23, symbols=default_symbols()[:1])
    bars = generate(market, "EDGE").drop(columns="symbol")
    bars["ts"] = bars["ts"].dt.tz_convert("America/New_York").dt.tz_localize(None)
    bars.to_csv("my-bars.csv", index=False)
    Path("my-study.yaml").write_text(blocks("yaml")[0], encoding="utf-8")
    commands = next(block for block in blocks("bash") if "whatif ingest" in block)
    for command in commands.strip().splitlines():
        assert main(shlex.split(command)[1:]) == 0, command
    printed = capsys.readouterr().out
    assert f"{len(bars):,} landed" in printed
    assert "6 backtests" in printed
    assert "chance of luck" in printed
    assert (LakeLocation.from_environment().home / "reports" / "my-study" / "report.html").exists()
    read = whatif.read_bars(["MINE"], "2024-10-01", "2024-11-01")
    assert len(read) == len(bars)
