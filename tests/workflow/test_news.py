"""Studies of news, from files to an answer: what was planted is found, and news are part of the data."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import whatif
from whatif.errors import RunError, StrategyError
from whatif.features import build_features, local_features
from whatif.lake import NEWS_SENTIMENT, PREDICTIONS
from whatif.pins import LakeLocation, current_pin, read_arrow
from whatif.resolve import check_study, resolve_study
from whatif.sources import IngestSpec, SampleNews, ingest_news, write_sample_news
from whatif.study import Study, load_study, parse_study
from whatif.workflow import RunOptions, ingest, run

from ..conftest import REPOSITORY
from .conftest import rows_of

SMALL = SampleNews(seed=4, sessions=260, strength=1.0, heard=("H",), peered=("P",), deaf=("D",))

STUDY = """
study: news
data: {symbols: [H, P, D], timeframe: 1d, start: 2020-01-02, end: 2021-01-10, news_delay: 1min}
calendar: {exchange: XNYS}
features: [roc(1), roc(5), sentiment(1), peer_sentiment(1), news_count(3)]
label: {kind: forward_return, horizon: 1, target: class}
models:
  prices: {kind: sklearn.linear_model.LogisticRegression, features: [roc(1), roc(5)]}
  news:   {kind: sklearn.linear_model.LogisticRegression, features: [roc(1), news_count(3), sentiment(1)]}
strategy: {name: probability_threshold, params: {size: 10.0}}
axes: {model: [prices, news]}
split: {kind: holdout, train: 0.4, validate: 0.4, test: 0.2}
rank: pooled
engine: backtrader
"""


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path, Path]:
    return write_sample_news(SMALL, tmp_path_factory.mktemp("made"))


def put(location: LakeLocation, files: tuple[Path, ...], news: bool = True) -> None:
    spec = IngestSpec(exchange="XNYS", timeframe="1d", timezone="America/New_York")
    ingest(files[:1], spec, location, runner="local")
    if news:
        ingest_news(files[1:], location)


def asked(**changes: str) -> Study:
    text = STUDY
    for old, new in changes.items():
        text = text.replace(old, new)
    return parse_study(text)


def quick(study: Study, location: LakeLocation, latest: bool = False) -> object:
    return run(study, None, location, RunOptions(report=False, track=False, latest=latest))


def test_a_study_of_news_runs_without_a_jvm_and_keeps_to_its_news(
    lake_home, files, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WHATIF_RUNNER", "local")
    monkeypatch.setattr("whatif.workflow.train.get_spark", None)
    put(lake_home, files)
    study = asked(**{"H, P, D": "H", ", peer_sentiment(1)": ""})
    first = quick(study, lake_home)
    assert (first.failed, first.computed) == (0, 2)
    words = first.data.origin.environment["models on validate"]
    assert ": better" in words["news"]
    assert "no better than the base rate" in words["prices"]
    (said,) = [note for note in resolve_study(study, lake_home).notes if note.startswith("news: ")]
    assert " items of 1 symbols, the last of 2021-01-" in said

    # more news come: the study keeps to those it ran on, until it is asked for the newest
    more = tmp_path / "more.csv"
    more.write_text("symbol,published_at,url,score\nH,2020-05-05T15:00Z,https://m.example,0.9\n")
    ingest_news([more], lake_home)
    kept, newest = (resolve_study(study, lake_home, latest=latest) for latest in (False, True))
    assert kept.news.pin != newest.news.pin
    assert kept.data_digest != newest.data_digest
    assert any("the lake's news were written to 1 time since" in note for note in kept.notes)
    for key, spec in kept.models.items():
        assert spec.digest(1) != newest.models[key].digest(1)
    assert quick(study, lake_home).computed == 0
    assert quick(study, lake_home, latest=True).computed == 2
    assert len(set(rows_of(lake_home, PREDICTIONS)["model_digest"])) == 4


def test_the_table_holds_what_a_frame_gives(lake_home, files) -> None:
    put(lake_home, files)
    resolved = resolve_study(asked(), lake_home)
    spec = resolved.features["1d"]
    stored = local_features(resolved.bars, spec)
    bars = whatif.read_bars(["H", "P", "D"], location=lake_home, timeframe="1d")
    names = ["symbol", "published_at", "url", "relevance", "score"]
    news = read_arrow(current_pin(lake_home, NEWS_SENTIMENT.name), names).to_pandas()
    found = whatif.features(
        bars, list(spec.features), "XNYS", news=news, relations=pd.read_csv(files[2]), news_delay="1min"
    )
    both = found.merge(stored, on=["symbol", "ts"])
    assert len(both) == len(stored) > 700
    for text, column in spec.column_of().items():
        assert both[text].to_numpy().tobytes() == both[column].to_numpy().tobytes(), text
    # what moves P is written about H, and known of it in no other way
    p = stored[stored["symbol"] == "P"]
    h = stored[stored["symbol"] == "H"]
    np.testing.assert_array_equal(p["peer_sentiment_1"].to_numpy(), h["sentiment_1"].to_numpy())
    realised, mood = p["label_return"].to_numpy(), p["peer_sentiment_1"].to_numpy()
    there = np.isfinite(realised) & np.isfinite(mood)
    assert np.corrcoef(realised[there], mood[there])[0, 1] > 0.5


@pytest.mark.spark
def test_spark_makes_of_news_what_this_process_does(spark, lake_home, files) -> None:
    """Each task reads the pinned news of its symbols and of their peers by itself."""
    put(lake_home, files)
    resolved = resolve_study(asked(), lake_home)
    spec = resolved.features["1d"]
    pin = build_features(spark, lake_home, resolved.bars, spec)
    made = read_arrow(pin, ["symbol", "ts", *spec.columns]).to_pandas()
    here = local_features(resolved.bars, spec)
    both = made.merge(here, on=["symbol", "ts"], suffixes=("", "_here"))
    assert len(both) == len(made) == len(here)
    for column in spec.columns:
        there = both[column].to_numpy(dtype=np.float64, na_value=np.nan)
        assert there.tobytes() == both[f"{column}_here"].to_numpy().tobytes(), column
    assert both["sentiment_1"].notna().mean() > 0.1


def test_what_news_need_is_named_before_anything_runs(lake_home, files, tmp_path: Path) -> None:
    put(lake_home, files, news=False)
    with pytest.raises(
        RunError, match=r"feature news_count\(3\) needs news, and .* has none: run 'whatif ingest-news'"
    ):
        resolve_study(asked(), lake_home)
    ingest_news(files[1:2], lake_home)
    with pytest.raises(RunError, match=r"feature peer_sentiment\(1\) needs relations"):
        resolve_study(asked(), lake_home)
    ingest_news(files[2:], lake_home)
    resolve_study(asked(), lake_home)
    other = LakeLocation(tmp_path / "other")
    put(other, files, news=False)
    more = tmp_path / "more.csv"
    more.write_text("symbol,published_at,url,score\nHH,2020-05-05T15:00Z,https://m.example,0.9\n")
    ingest_news([more], other)
    with pytest.raises(RunError, match=r"the lake has no news of H, P, D, .* slice: did you mean 'HH'"):
        resolve_study(asked(**{", peer_sentiment(1)": ""}), other)


def test_a_strategy_has_no_news_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("own.py").write_text(
        "from whatif.strategies import hold, strategy\n\n"
        "@strategy(inputs={'mood': 'sentiment(5)'})\ndef own(i, x, p, s):\n    return hold()\n"
    )
    study = parse_study(STUDY.split("features:")[0] + "strategy: {name: own.py}\n")
    with pytest.raises(StrategyError, match=r"has the input sentiment\(5\), and news are for models"):
        check_study(study)


def test_a_delay_is_part_of_the_study_and_no_delay_is_not_said() -> None:
    assert "news_delay" not in asked(**{", news_delay: 1min": ""}).data.model_dump()
    assert asked().data.model_dump()["news_delay"] == "1min"
    with pytest.raises(whatif.errors.StudyError, match="is not a duration"):
        asked(**{"news_delay: 1min": "news_delay: soon"})


@pytest.mark.slow
@pytest.mark.parametrize(("name", "better"), [("ml-sentiment", "sentiment"), ("ml-sentiment-peers", "peers")])
def test_the_studies_of_the_sample_find_what_was_planted(
    lake_home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, better: str
) -> None:
    monkeypatch.setenv("WHATIF_RUNNER", "local")
    put(lake_home, write_sample_news(SampleNews(), tmp_path / "made"))
    result = quick(load_study(REPOSITORY / "conf" / "studies" / f"{name}.yaml"), lake_home)
    words = result.data.origin.environment["models on validate"]
    assert [model for model, said in words.items() if ": better" in said] == [better]
