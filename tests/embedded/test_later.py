"""Given calls that nobody waits for, when they are accepted, then each runs and its result is there, kill -9 or not."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.embedded.later import ASYNC, accepted, result
from tests.embedded.server import Embedded, running
from tests.waiting import eventually

SOURCE = """
import os
import time
from pathlib import Path

import expose


@expose.endpoint(method="POST|PUT", API="echo")
def echo(text, more=None, *, __request__):
    print(text)
    return [text, more, __request__["call"], __request__["method"]]


@expose.endpoint(API="made")
def made():
    return expose.Response("made", status=201, media_type="text/plain", headers={"X-Made": "1", "X-Accel-Buffering": "no"})


@expose.endpoint(API="raises")
def raises():
    raise ValueError("no")


@expose.endpoint(API="slow", timeout=0.2)
def slow():
    time.sleep(5)


@expose.endpoint(API="dies")
def dies(folder, times: int):
    marks = Path(folder)
    number = len(list(marks.iterdir()))
    (marks / str(number)).touch()
    if number < times:
        os.kill(os.getpid(), 9)
    return number


@expose.endpoint(API="wait")
def wait(folder, number: int = 0):
    with open(f"{folder}/ran-{number}", "a") as marks:
        marks.write("x")
    until = time.monotonic() + 20
    while not os.path.exists(f"{folder}/go") and time.monotonic() < until:
        time.sleep(0.01)
    return number
"""


@pytest.fixture(scope="module")
def platform(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Embedded]:
    folder = tmp_path_factory.mktemp("later")
    (folder / "plugins").mkdir()
    (folder / "plugins" / "shop.py").write_text(SOURCE)
    with running(folder / "plugins", folder / "data", KEPT_AT_ONCE=4, MAX_KEPT=6) as server:
        yield server


def test_a_call_is_answered_later_as_it_would_have_been_at_once(platform: Embedded) -> None:
    how = {"json": {"text": "so"}, "params": {"more": "1"}}
    sent = platform.post("/shop/echo/", headers=ASYNC, **how)
    where = accepted(sent)
    first, again = result(platform.url, where), result(platform.url, where)
    assert first.json() == {"status": "OK", "response": {"echo": ["so", "1", sent.headers["x-call-id"], "POST"]}}
    assert (again.content, again.headers["x-call-id"]) == (first.content, sent.headers["x-call-id"])
    waited = platform.post("/shop/echo/", **how)
    volatile = {"x-call-id", "server-timing", "date", "cache-control"}
    assert {name: value for name, value in first.headers.items() if name not in volatile} == {
        name: value for name, value in waited.headers.items() if name not in volatile
    }
    assert first.headers["cache-control"] == "no-store"
    assert "run;dur=" in first.headers["server-timing"]
    log = platform.api("GET", f"/logs?call={sent.headers['x-call-id']}").json()["records"]
    assert [record["text"] for record in log] == ["so\n"]


@pytest.mark.parametrize(
    ("path", "status"), [("made", 201), ("raises", 500), ("slow", 504)], ids=["its own", "raised", "time limit"]
)
def test_what_the_function_says_is_the_result(platform: Embedded, path: str, status: int) -> None:
    answer = result(platform.url, accepted(platform.get(f"/{path}/", headers=ASYNC)))
    assert answer.status_code == status
    assert "x-given-up" not in answer.headers
    if status == 201:
        assert (answer.text, answer.headers["x-made"]) == ("made", "1")
        assert "x-accel-buffering" not in answer.headers
        assert answer.headers["content-type"] == "text/plain"


def test_head_and_delete(platform: Embedded) -> None:
    where = accepted(platform.get("/made/", headers=ASYNC))
    result(platform.url, where)
    with httpx.Client(base_url=platform.url) as client:
        head = client.head(where)
        assert (head.status_code, head.content, head.headers["content-length"]) == (201, b"", "4")
        assert client.options(where).headers["allow"] == "GET, HEAD, DELETE, OPTIONS"
        assert client.post(where).status_code == 405
        assert client.delete(where).status_code == 204
        gone, never = client.get(where), client.get("/rest/calls/" + "0" * 48)
        assert gone.status_code == never.status_code == client.delete(where).status_code == 404
        assert gone.content == never.content
        for path in ("/rest/calls/", "/rest/calls/..", "/rest/calls/x", where.upper(), where + "/x"):
            assert client.get(path).status_code == 404, path
    assert where.rpartition("/")[2] not in platform.log


@pytest.mark.parametrize(
    "prefer",
    [
        "wait=999999",
        "respond-async=1",
        "respond-asynch",
        'x="respond-async"',
        "x; respond-async",
        'x="y, respond-async',
        "respond-async;;=,",
        "=, respond-async",
    ],
)
def test_another_preference_is_none(platform: Embedded, prefer: str) -> None:
    answer = platform.get("/made/", headers={"Prefer": prefer})
    assert (answer.status_code, answer.text) == (201, "made")


@pytest.mark.parametrize(
    "prefer", ["respond-async, wait=10", 'x="a,b"; y="\\"" ; z , Respond-Async', 'return=minimal,,respond-async=""']
)
def test_the_preference_among_others(platform: Embedded, prefer: str) -> None:
    assert result(platform.url, accepted(platform.get("/made/", headers={"Prefer": prefer}))).text == "made"


def test_what_is_no_call_is_answered_at_once(platform: Embedded) -> None:
    assert platform.get("/__dir__/", headers=ASYNC).status_code == 200
    assert platform.get("/nothing/", headers=ASYNC).status_code == 404
    assert platform.post("/shop/echo/", headers=ASYNC, content=b"{").status_code in (400, 415)


def test_a_worker_that_died_is_no_result(platform: Embedded, tmp_path: Path) -> None:
    where = accepted(platform.get("/dies/", headers=ASYNC, params={"folder": str(tmp_path), "times": 1}))
    answer = result(platform.url, where)
    assert (answer.status_code, answer.json()["response"]) == (200, {"dies": 1})
    metrics = httpx.get(f"{platform.url}/metrics").text
    assert "plugbay_kept_calls_retried_total 1.0" in metrics
    assert "plugbay_kept_calls_given_up_total 0.0" in metrics


def test_i26_a_call_that_waits_can_be_forgotten_and_no_more_wait_than_may(platform: Embedded, tmp_path: Path) -> None:
    def call(number: int) -> httpx.Response:
        return platform.get("/wait/", headers=ASYNC, params={"folder": str(tmp_path), "number": number})

    places = [accepted(call(number)) for number in range(6)]
    for refused in map(call, range(6, 30)):
        assert (refused.status_code, refused.headers["retry-after"]) == (429, "1")
        assert refused.json()["status"].startswith("6 calls of this owner are kept")
    assert httpx.delete(platform.url + places[5]).status_code == 204
    (tmp_path / "go").touch()
    assert [result(platform.url, where).json()["response"]["wait"] for where in places[:5]] == [0, 1, 2, 3, 4]
    assert httpx.get(platform.url + places[5]).status_code == 404
    assert sorted(path.name for path in tmp_path.glob("ran-*")) == [f"ran-{number}" for number in range(5)]


def test_what_was_accepted_survives_kill_9_and_what_runs_is_finished_when_the_platform_stops(tmp_path: Path) -> None:
    (tmp_path / "plugins").mkdir()
    (tmp_path / "plugins" / "shop.py").write_text(SOURCE)

    def start() -> Embedded:
        return Embedded(tmp_path / "plugins", tmp_path / "data", KEPT_AT_ONCE=1).start()

    first = start()
    try:
        done = accepted(first.get("/made/", headers=ASYNC))
        assert result(first.url, done).text == "made"
        places = [
            accepted(first.get("/wait/", headers=ASYNC, params={"folder": str(tmp_path), "number": number}))
            for number in range(3)
        ]
        eventually((tmp_path / "ran-0").exists)
    finally:
        first.stop(signal.SIGKILL)
    second = start()
    try:
        eventually(lambda: (tmp_path / "ran-0").read_text() == "xx")
        second.process.send_signal(signal.SIGTERM)
        eventually(lambda: "stopping" in second.log)
        (tmp_path / "go").touch()
    finally:
        assert second.stop() == 0
    third = start()
    try:
        assert [result(third.url, where).json()["response"]["wait"] for where in places] == [0, 1, 2]
        assert result(third.url, done).text == "made"
    finally:
        third.stop()
    assert [(tmp_path / f"ran-{number}").read_text() for number in range(3)] == ["xx", "x", "x"]
