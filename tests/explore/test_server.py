"""Server of the explorer, asked over loopback as a browser asks it."""

from __future__ import annotations

import http.client
import json
import re
import socket

import numpy as np
import pytest

from whatif.cli.app import main
from whatif.errors import MachineError, StudyError
from whatif.explore import Change, Explorer, explore_lake
from whatif.explore.server import TRADES_OF_A_PAGE
from whatif.lake import TEST_LOOKS
from whatif.pins import current_pin, read_arrow, table_exists
from whatif.report.packing import unpacked

JSON = {"Content-Type": "application/json"}


def fetch(place, method, path, headers=None, body=None):
    asked = http.client.HTTPConnection(place[0], timeout=60)
    asked.request(method, path, body, headers or {})
    answer = asked.getresponse()
    found = answer.status, answer.read(), answer.headers
    asked.close()
    return found


def ask(place, question, **asked):
    status, body, _ = fetch(place, "POST", place[1] + question, JSON, json.dumps(asked))
    return status, json.loads(body)


def test_the_page_and_its_files_and_nothing_else(place):
    script = "text/javascript"
    kinds = {"": "text/html", "explore.js": script, "figures.js": script, "explore.css": "text/css"}
    for name, kind in kinds.items():
        status, body, headers = fetch(place, "GET", place[1] + name)
        assert (status, headers["content-type"].partition(";")[0]) == (200, kind)
        assert body
        assert "default-src 'none'" in headers["content-security-policy"]
        assert headers["cache-control"] == "no-store"
    assert b"plotly.js" in fetch(place, "GET", place[1] + "plotly.js")[1][:200]
    for other in ("server.py", "../server.py", "..%2fserver.py", "explore.html", "run", "a/b"):
        assert fetch(place, "GET", place[1] + other)[0] in (404, 405)
    for path in ("/", "/docs", "/openapi.json", "/explore.js"):
        assert fetch(place, "GET", path)[0] == 404


def test_who_has_no_token_or_names_another_host_gets_nothing(place):
    wrong = "/" + "A" * (len(place[1]) - 2) + "/"
    for path in (wrong, "/%C3%A9/", place[1][:-2] + "/"):
        assert fetch(place, "GET", path)[:2] == (404, b"")
        assert fetch(place, "POST", path + "studies", JSON, "{}")[:2] == (404, b"")
    port = place[0].partition(":")[2]
    for host in ("example.com", f"localhost:{port}", f"example.com:{port}"):
        assert fetch(place, "GET", place[1], {"Host": host})[:2] == (404, b"")
        assert fetch(place, "POST", place[1] + "studies", {**JSON, "Host": host}, "{}")[:2] == (404, b"")
    foreign = {**JSON, "Origin": "http://example.com"}
    assert fetch(place, "POST", place[1] + "studies", foreign, "{}")[0] == 404
    own = {**JSON, "Origin": f"http://{place[0]}"}
    assert fetch(place, "POST", place[1] + "studies", own, "{}")[0] == 200
    # a form of another page can send neither
    assert fetch(place, "POST", place[1] + "studies", {"Content-Type": "text/plain"}, "{}")[0] == 415


@pytest.mark.parametrize("body", ["", "[]", "{", '"a"', "\xff"])
def test_a_question_that_cannot_be_read_is_answered(place, body):
    status, said, _ = fetch(place, "POST", place[1] + "open", JSON, body.encode("latin-1"))
    assert status in (400, 409)
    assert json.loads(said)["error"]


def test_a_question_without_end_is_cut_off(place):
    assert fetch(place, "POST", place[1] + "open", JSON, b" " * 1_000_001)[0] == 413


def test_the_studies_and_the_ranking_are_told(place, desk):
    status, told = ask(place, "studies")
    assert (status, [one["name"] for one in told["studies"]]) == (200, ["one"])
    assert told["studies"][0]["known"]
    assert told["studies"][0]["verdict"] == ""  # it was run without a report
    board = ask(place, "open", study="one")[1]
    assert board["ids"] == desk.board["config_id"].tolist()
    sharpe = board["metrics"]["sharpe"]
    kept = desk.board["sharpe"].to_numpy()
    assert np.allclose([np.nan if v is None else v for v in sharpe], kept, rtol=1e-5, equal_nan=True)
    for axis in board["axes"]:
        shown = [axis["levels"][code] for code in axis["codes"]]
        assert [str(v) for v in shown] == desk.board[axis["name"]].astype(str).tolist()
    assert board["chosen"] == [desk.chosen.config_id, desk.chosen.symbol]


def test_a_changed_value_is_run_and_marked(place, desk):
    first = desk.board.iloc[0]
    asked = {"study": "one", "config_id": first["config_id"], "symbol": first["symbol"]}
    base = ask(place, "run", **asked)[1]
    assert base["ranked"]
    assert base["metrics"]["pnl_net"] == first["pnl_net"]
    assert base["values"]["params"]["fast"] == first["fast"]
    assert base["values"]["overlays"]["stop_loss"] == first["stop_loss"]
    two = {"params": {"fast": 7}, "execution": {"commission": 0.001}}
    told = ask(place, "run", **asked, **two)[1]
    assert not told["ranked"]
    assert told["base"] == base["metrics"]
    assert {k for k in told["settings"] if told["settings"][k] != base["settings"].get(k)} == {
        "fast",
        "commission",
    }
    worth = ask(place, "worth", **asked, **two)[1]
    assert worth["base"] == base["metrics"]
    assert set(worth["worth"]) == {"params.fast", "execution.commission"}
    assert worth["worth"]["params.fast"] == ask(place, "run", **asked, params={"fast": 7})[1]["metrics"]
    other = {"fast": 3, "slow": 15}
    assert ask(place, "run", **asked, params=other)[1]["ranked"]
    lines = ask(place, "lines", **asked, params={"fast": 7})[1]["lines"]
    assert lines == "axes:\n  fast: [3, 4, 7]\n"


def test_trades_come_in_pages_sorted_by_what_is_asked(place, desk):
    first = desk.board.iloc[0]
    asked = {"study": "one", "config_id": first["config_id"], "symbol": first["symbol"]}
    trades = desk.run(Change(first["config_id"]), first["symbol"]).run.trades
    pages = [ask(place, "trades", **asked, page=k, column="net", down=True)[1] for k in (0, 1, 99)]
    count = len(trades)
    assert count > TRADES_OF_A_PAGE
    best = np.sort(np.round(trades.pnl_net, 2))[::-1]
    assert pages[0]["net"] == best[:TRADES_OF_A_PAGE].tolist()
    assert pages[1]["net"] == best[TRADES_OF_A_PAGE : 2 * TRADES_OF_A_PAGE].tolist()
    assert (pages[2]["page"], pages[2]["count"]) == ((count - 1) // TRADES_OF_A_PAGE, count)
    assert all(a >= b for a, b in zip(pages[0]["closed"], pages[0]["opened"], strict=True))
    for more in ({"page": "1"}, {"column": "<b>"}):
        assert ask(place, "trades", **asked, **more)[0] == 409


def test_a_clock_that_the_page_has_is_not_sent_again(place, desk):
    first = desk.board.iloc[0]
    asked = {"study": "one", "config_id": first["config_id"], "symbol": first["symbol"]}
    clock = ask(place, "run", **asked)[1]["clock"]
    assert len(clock["first"]) == len(clock["last"]) > 1
    again = ask(place, "run", **asked, params={"fast": 7}, clock=clock["name"])[1]["clock"]
    assert again == {"name": clock["name"]}
    middle = (desk.window.start_us + desk.window.end_us) // 2
    part = ask(place, "run", **asked, clock=clock["name"], **{"from": middle})[1]["clock"]
    assert part["first"][0] > clock["first"][0]


def test_what_is_wrong_is_said_and_the_next_question_answered(place, desk):
    first = desk.board.iloc[0]
    asked = {"study": "one", "config_id": first["config_id"], "symbol": first["symbol"]}
    for more, said in [
        ({"params": {"fast": -1}}, "fast"),
        ({"params": {"<b>": 1}}, "<b>"),
        ({"params": [1]}, "mappings"),
        ({"from": "today"}, "whole number"),
        ({"config_id": "none"}, "none"),
        ({"study": "other"}, "other"),
    ]:
        status, told = ask(place, "run", **{**asked, **more})
        assert status == 409
        assert said in told["error"]
    assert ask(place, "run", **asked)[0] == 200


def test_the_test_window_is_read_when_asked_alone(place, desk):
    def looks():
        if not table_exists(desk.location, TEST_LOOKS.name):
            return 0
        return len(read_arrow(current_pin(desk.location, TEST_LOOKS.name), ["config_id"]))

    first = desk.board.iloc[1]
    asked = {
        "study": "one",
        "config_id": first["config_id"],
        "symbol": first["symbol"],
        "params": {"slow": 17},
    }
    before = looks()
    shut = ask(place, "run", **asked, to=2**62)[1]
    assert shut["ts"][-1] * 1000 < desk.window.end_us
    assert looks() == before
    opened = ask(place, "test", **asked)[1]
    assert opened["ts"][0] * 1000 >= desk.test.start_us
    assert looks() == before + 1


def test_a_saved_view_says_what_was_changed_and_nothing_of_the_test_window(place, desk):
    first = desk.board.iloc[0]
    asked = {"study": "one", "config_id": first["config_id"], "symbol": first["symbol"]}
    changed = {**asked, "params": {"slow": 19}}
    ask(place, "test", **changed)  # opened, and still not in the page
    pin = {**asked, "name": "<script>alert(1)</script>"}
    status, told = ask(place, "save", **changed, pins=[pin])
    assert status == 200
    assert re.fullmatch(r"one-[0-9a-f]{12}\.html", told["name"])
    page = told["page"]
    assert "<script>alert(1)" not in page
    assert re.findall(r"(?:src|href)=", page) == []
    held = json.loads(unpacked(re.search(r'id="payload">(.*?)</script>', page)[1]))
    assert held["standing"].startswith("Never in the study's grid, and not kept")
    assert held["base"]["settings"]["slow"] == first["slow"]
    assert held["shown"]["settings"]["slow"] == 19
    assert held["pins"][0]["run"]["config_id"] == first["config_id"]
    found = desk.run(Change(first["config_id"], {"slow": 19}), first["symbol"])
    assert held["shown"]["metrics"]["pnl_net"] == found.metrics["pnl_net"]
    assert held["trades"]["count"] == len(found.run.trades)
    times = [ms for run in (held["shown"], held["base"], held["pins"][0]["run"]) for ms in run["ts"]]
    times += held["trades"]["closed"]
    assert max(times) * 1000 < desk.window.end_us <= desk.test.start_us
    for wrong in (["a"], [pin] * 3):
        assert ask(place, "save", **asked, pins=wrong)[0] == 409


def test_two_studies_of_one_name_and_a_port_that_is_taken(desk):
    with pytest.raises(StudyError, match="alike"):
        Explorer(desk.location, [desk, desk])
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen()
        with pytest.raises(MachineError, match="cannot be used"):
            explore_lake(desk.location, [desk], print, listening.getsockname()[1])


def test_a_study_that_has_not_run_is_refused_by_the_command(explored, tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("WHATIF_HOME", str(tmp_path))
    assert main(["explore", str(explored[0])]) == 2
    assert "error:" in capsys.readouterr().err
