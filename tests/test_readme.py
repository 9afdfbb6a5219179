"""What the README says is true: its commands run, its code is the repository's."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest

import whatif
from whatif.cli import main
from whatif.pins import LakeLocation
from whatif.sources.sample import SampleMarket, default_symbols, generate
from whatif.study import parse_study

ROOT = Path(__file__).resolve().parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", README, flags=re.M | re.S)


def test_studies_in_the_readme_parse() -> None:
    names = [parse_study(text).study for text in blocks("yaml")]
    assert names == ["my-study", "rf-forecast-spy"]


def test_the_strategy_in_the_readme_is_the_example_file() -> None:
    example = (ROOT / "conf" / "strategies" / "example.py").read_text(encoding="utf-8")
    assert example in blocks("python")
    assert len(example.splitlines()) <= 15


def test_the_readmes_check_of_a_strategy_runs(monkeypatch) -> None:
    monkeypatch.chdir(ROOT)
    code = next(block for block in blocks("python") if "check_strategy" in block)
    exec(compile(code, "README.md", "exec"), {})


def test_make_targets_in_the_readme_exist() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    for target in set(re.findall(r"(?:^|`)make ([a-z-]+)", README, flags=re.M)):
        assert re.search(rf"^{target}:", makefile, flags=re.M), target


def test_files_in_the_readme_exist() -> None:
    for path in re.findall(r"`((?:conf|jobs|notebooks|whatif)/[a-z_/.-]+)`", README):
        assert (ROOT / path).exists(), path
    for path in re.findall(r"\]\(((?!http)[^)]+)\)", README):
        assert (ROOT / path).exists(), path


@pytest.mark.spark
def test_three_commands_take_a_csv_to_an_answer(spark, lake_home, tmp_path, monkeypatch, capsys) -> None:
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
    assert "ranks first of 6 backtests" in printed
    assert (LakeLocation.from_environment().home / "reports" / "my-study" / "report.html").exists()
    read = whatif.read_bars(["MINE"], "2024-10-01", "2024-11-01")
    assert len(read) == len(bars)
