"""The outcome table as callers see it: for what a function does, the exact status and body."""

from __future__ import annotations

import concurrent.futures
import re
import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.embedded.server import ADMIN_UUID, Embedded, running

MODULE = '''
"""Functions that end in every way there is."""
import os, time
from vyperlogix.decorators import expose

@expose.endpoint(method="GET|POST", API="echo")
def echo(**kwargs):
    kwargs.pop("__request__")
    return kwargs

@expose.endpoint(method="GET", API="add")
def add(a: int, b: int = 0):
    return a + b

@expose.endpoint(method="GET", API="raise")
def raises():
    raise ValueError("no good")

@expose.endpoint(method="GET", API="forbid")
def forbid(token: str = ""):
    assert token == "t", "the token is wrong"

@expose.endpoint(method="GET", API="teapot")
def teapot():
    raise expose.HTTPError(418, {"short": "and stout"})

@expose.endpoint(method="GET", API="die")
def die():
    os._exit(3)

@expose.endpoint(method="GET", API="hang", timeout=0.3)
def hang():
    print("hanging")
    time.sleep(1000)

@expose.endpoint(method="GET", API="page")
def page():
    return expose.Response("<p>hi</p>", 201, {"X-Own": "1", "X-Accel-Redirect": "/etc"}, "text/html")

@expose.endpoint(method="GET", API="empty")
def empty():
    return expose.Response("not sent", 204)

@expose.endpoint(method="GET", API="raw")
def raw():
    return b"\\x00\\x01"

@expose.endpoint(method="GET", API="header")
def header():
    return expose.Response("x", headers={"X-Bad": "a\\r\\nb: c"})

@expose.endpoint(method="GET", API="slow", concurrency=1)
def slow(path: str):
    open(path, "w").close()
    time.sleep(1)
    return "done"

@expose.endpoint(method="GET", API="twin")
def twin():
    return 1

@expose.endpoint(method="GET", API="request")
def request(__request__):
    return __request__

class Shape:
    pass

def plain():
    return "never"
'''


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Embedded]:
    folder = tmp_path_factory.mktemp("outcomes")
    plugins = folder / "plugins"
    plugins.mkdir()
    (plugins / "ways.py").write_text(MODULE)
    (plugins / "other.py").write_text(
        'import expose\n__alias__ = "o"\n\n@expose.endpoint(API="twin")\ndef twin():\n    return 2\n'
    )
    (plugins / "broken.py").write_text("import expose\n\nimport no_such_module\n")
    (plugins / "stranger.py").write_text('__ID__ = "00000000-0000-4000-8000-000000000001"\n')
    with running(plugins, folder / "data", MAX_QUEUE=20, RUNNER_WORKERS=4) as server:
        yield server


CASES: list[tuple[str, int, Any]] = [
    ("/add/1/2/", 200, {"status": "OK", "response": {"add": 3}}),
    ("/add/1/2", 200, {"status": "OK", "response": {"add": 3}}),
    ("/ways/add/1/?b=5", 200, {"status": "OK", "response": {"add": 6}}),
    (f"/{ADMIN_UUID}/ways/add/1/", 200, {"status": "OK", "response": {"add": 1}}),
    ("/raise/", 500, {"status": "ERROR", "exception": "ValueError: no good", "call": ...}),
    ("/forbid/", 403, {"status": "the token is wrong"}),
    ("/forbid/t/", 200, {"status": "OK", "response": {"forbid": None}}),
    ("/teapot/", 418, {"status": {"short": "and stout"}}),
    ("/die/", 502, {"status": "the worker died: exit code 3", "call": ...}),
    ("/hang/", 504, {"status": "time limit of 0.3 s reached", "call": ...}),
    ("/header/", 500, {"status": "ERROR", "exception": ..., "call": ...}),
    ("/add/x/", 422, {"status": "the arguments do not fit", "errors": [{"field": "a", "problem": ...}]}),
    ("/add/", 422, {"status": "the arguments do not fit", "errors": [{"field": "a", "problem": "is required"}]}),
    ("/nothing/", 404, {"status": "nothing is undefined for GET."}),
    ("/ways/nothing/", 404, {"status": "nothing is undefined for GET in ways."}),
    ("/nowhere/add/", 404, {"status": "nowhere is undefined for GET."}),
    ("/twin/", 409, {"status": "twin for GET is in several modules: other, ways.", "modules": ["other", "ways"]}),
    ("/o/twin/", 200, {"status": "OK", "response": {"twin": 2}}),
    ("/plain/", 404, {"status": "plain is undefined for GET."}),
    ("/ways/plain/", 404, {"status": "plain is undefined for GET in ways."}),
    ("/Shape/", 404, {"status": "Shape is undefined for GET."}),
    ("/broken/any/", 500, {"status": "ERROR", "exception": ..., "call": ...}),
    ("/stranger/any/", 404, {"status": "stranger is undefined for GET."}),
    ("/00000000-0000-4000-8000-000000000001/ways/add/", 404, ...),
    (f"/{ADMIN_UUID.upper()}/ways/add/", 404, ...),
    ("/add/" + "/".join("12345678901") + "/", 404, ...),
    ("/add/1.5/", 400, ...),
    ("/add/%31/", 400, ...),
    ("/add//1/", 400, ...),
]


@pytest.mark.parametrize(("path", "status", "body"), CASES, ids=[path for path, _, _ in CASES])
def test_an_outcome_has_its_status_and_body(server: Embedded, path: str, status: int, body: Any) -> None:
    answer = server.get(path)
    assert answer.status_code == status, answer.text
    assert matches(answer.json(), body), answer.text
    assert re.fullmatch(r"[0-9a-f]{32}", answer.headers["x-call-id"])
    assert "Traceback" not in answer.text


def matches(given: Any, wanted: Any) -> bool:
    """Equality, where `...` stands for anything."""
    if wanted is ...:
        return True
    if isinstance(wanted, dict):
        return given.keys() == wanted.keys() and all(matches(given[key], value) for key, value in wanted.items())
    if isinstance(wanted, list):
        return len(given) == len(wanted) and all(map(matches, given, wanted))
    return bool(given == wanted)


def test_a_broken_module_names_its_error_and_line(server: Embedded) -> None:
    exception = server.get("/broken/any/").json()["exception"]
    assert exception == "module broken: ModuleNotFoundError: No module named 'no_such_module' (line 3)"


def test_a_response_has_its_own_status_headers_and_body(server: Embedded) -> None:
    answer = server.get("/page/")
    assert (answer.status_code, answer.text) == (201, "<p>hi</p>")
    assert answer.headers["content-type"] == "text/html"
    assert answer.headers["x-own"] == "1"
    assert "x-accel-redirect" not in answer.headers
    assert re.fullmatch(r"queue;dur=[\d.]+, run;dur=[\d.]+", answer.headers["server-timing"])


def test_bytes_are_the_body(server: Embedded) -> None:
    answer = server.get("/raw/")
    assert (answer.content, answer.headers["content-type"]) == (b"\x00\x01", "application/octet-stream")


def test_an_answer_without_content_has_no_length(server: Embedded) -> None:
    with httpx.Client() as client:
        answer = client.get(server.path("/empty/"))
        assert (answer.status_code, answer.content) == (204, b"")
        assert "content-length" not in answer.headers
        assert client.get(server.path("/add/1/")).status_code == 200


def test_head_is_get_without_a_body(server: Embedded) -> None:
    answer = httpx.head(server.path("/add/1/2/"))
    assert (answer.status_code, answer.content) == (200, b"")
    assert answer.headers["content-length"] == str(len(server.get("/add/1/2/").content))


def test_options_says_what_is_allowed(server: Embedded) -> None:
    answer = httpx.options(
        server.path("/echo/"), headers={"Origin": "http://evil", "Access-Control-Request-Method": "POST"}
    )
    assert (answer.status_code, answer.headers["allow"]) == (204, "GET, HEAD, POST, OPTIONS")
    assert answer.headers["access-control-allow-origin"] == "*"
    assert "access-control-allow-credentials" not in answer.headers


@pytest.mark.parametrize("path", ["/__dir__/", "/ways/__directory__/"])
def test_options_of_a_directory_says_what_it_takes(server: Embedded, path: str) -> None:
    answer = httpx.options(server.path(path))
    assert answer.headers["allow"] == "GET, HEAD, OPTIONS" == server.post(path).headers["allow"]


@pytest.mark.parametrize("path", ["/no-such/", "/echo/%2f/", "/__dir__/"])
def test_every_answer_says_where_its_time_went(server: Embedded, path: str) -> None:
    assert server.get(path).headers["server-timing"] == "queue;dur=0.000, run;dur=0.000"


@pytest.mark.parametrize("method", ["TRACE", "FOO"])
def test_other_methods_are_refused_with_what_is_allowed(server: Embedded, method: str) -> None:
    answer = httpx.request(method, server.path("/echo/"))
    assert (answer.status_code, answer.headers["allow"]) == (
        405,
        "GET, HEAD, POST, PUT, DELETE, PATCH, OPTIONS",
    )


def test_a_method_that_is_not_exposed_is_404_with_what_is(server: Embedded) -> None:
    answer = server.post("/add/", json={})
    assert (answer.status_code, answer.json()) == (404, {"status": "add is undefined for POST."})
    assert answer.headers["allow"] == "GET, HEAD, OPTIONS"


def test_the_later_source_of_an_argument_wins(server: Embedded) -> None:
    answer = server.post(
        "/ways/echo/url/?a=query&b=query&b=twice", json={"a": "body", "c": "body", "func": "mine", "module": "mine"}
    )
    assert answer.json()["response"]["echo"] == {
        "a": "query",
        "b": ["query", "twice"],
        "c": "body",
        "func": "echo",
        "module": "ways",
        "parm_1": "url",
    }


def test_the_body_renames_url_parameters(server: Embedded) -> None:
    answer = server.post("/echo/x/y/", json={"__map__": {"parm_1": "first"}})
    assert answer.json()["response"]["echo"] == {"first": "x", "parm_2": "y", "func": "echo"}


@pytest.mark.parametrize(
    ("body", "status", "text"),
    [
        (b'{"a":', 400, "malformed"),
        (b'{"a":1,"a":2}', 400, "'a'"),
        (b'{"a":NaN}', 400, "byte 5"),
        (b'{"a":1e999}', 400, ""),
        (b'{"a":' + b"[" * 100_000 + b"]" * 100_000 + b"}", 400, ""),
        (b'{"a":"\xff"}', 400, "byte"),
        (b"", 400, "empty"),
    ],
)
def test_malformed_json_is_refused_saying_where(server: Embedded, body: bytes, status: int, text: str) -> None:
    answer = server.post("/echo/", content=body, headers={"Content-Type": "application/json"})
    assert (answer.status_code, text in answer.text) == (status, True), answer.text


def test_a_charset_other_than_utf8_is_refused(server: Embedded) -> None:
    answer = server.post("/echo/", content=b"{}", headers={"Content-Type": "application/json; charset=utf-7"})
    assert answer.status_code == 415


def test_a_body_above_the_bound_is_refused(server: Embedded) -> None:
    answer = server.post("/echo/", content=bytes(11 * 1024 * 1024))
    assert answer.status_code == 413


def test_the_request_is_told_as_plain_data(server: Embedded) -> None:
    request = server.get("/request/?a=1", headers={"X-Forwarded-For": "6.6.6.6"}).json()["response"]["request"]
    assert (request["method"], request["path"], request["query"], request["client"]) == (
        "GET",
        "/rest/services/request/",
        "a=1",
        "127.0.0.1",
    )
    assert request["headers"]["x-forwarded-for"] == "6.6.6.6"


def test_an_endpoints_concurrency_is_429_with_retry_after(server: Embedded, tmp_path: Path) -> None:
    started = tmp_path / "started"
    with concurrent.futures.ThreadPoolExecutor() as threads:
        first = threads.submit(server.get, f"/slow/?path={started}")
        while not started.exists() and not first.done():
            pass
        second = server.get("/slow/?path=/dev/null")
        assert (second.status_code, second.headers["retry-after"]) == (429, "1")
        assert second.json() == {"status": "this endpoint is limited to 1 calls at once"}
        assert first.result().status_code == 200


def test_calls_above_the_queue_bound_are_429_at_once(server: Embedded) -> None:
    with concurrent.futures.ThreadPoolExecutor(60) as threads:
        answers = list(threads.map(server.get, ["/hang/"] * 60))
    statuses = {answer.status_code for answer in answers}
    assert statuses == {504, 429}, statuses
    limited = next(answer for answer in answers if answer.status_code == 429)
    assert limited.json() == {"status": "20 calls of this owner are unanswered (MAX_QUEUE)"}
    assert limited.headers["retry-after"] == "1"


def test_what_a_call_printed_is_read_by_its_id(server: Embedded) -> None:
    call = server.get("/hang/").headers["x-call-id"]
    records = server.api("GET", f"/logs?call={call}").json()["records"]
    assert [(record["text"], record["status"], record["module"]) for record in records] == [("hanging\n", 504, "ways")]


def test_a_traceback_is_in_the_log_and_only_there(server: Embedded) -> None:
    answer = server.get("/raise/")
    records = server.api("GET", f"/logs?call={answer.json()['call']}").json()["records"]
    assert textwrap.dedent(records[0]["text"]).endswith(
        'File "ways.py", line 17, in raises\n    raise ValueError("no good")\nValueError: no good\n'
    )


def test_the_directory_of_one_module(server: Embedded) -> None:
    directory = server.get("/o/__dir__/").json()
    assert directory["status"] == "OK"
    assert directory["has_plugins"] is True
    assert list(directory["endpoints"]) == ["other"]
    assert list(directory["endpoints"]["other"]["GET"]) == ["twin"]
    assert directory["aliases"] == {"o": "other"}
    assert server.get("/nothing/__dir__/").status_code == 404


def test_the_directory_of_all(server: Embedded) -> None:
    directory = server.get("/__directory__/").json()
    assert set(directory["modules"]) == {"ways", "other", "broken"}
    assert directory["modules"]["ways"]["functions"] == ["plain"]
    assert any(problem["module"] == "stranger" for problem in directory["problems"])
    assert str(server.plugins) not in server.get("/__dir__/").text


def test_the_number_and_names_of_url_parameters_change_at_run_time(server: Embedded) -> None:
    changed = server.api("PATCH", "/settings", json={"NUM_URL_PARMS": 2, "URL_PARM1": "first"})
    assert changed.status_code == 200, changed.text
    assert server.get("/echo/a/b/").json()["response"]["echo"]["first"] == "a"
    assert server.get("/echo/a/b/c/").status_code == 404
    server.api("PATCH", "/settings", json={"NUM_URL_PARMS": None, "URL_PARM1": None})
    assert server.get("/echo/a/b/c/").json()["response"]["echo"]["parm_3"] == "c"


def test_the_pool_is_scaled_while_it_serves(server: Embedded) -> None:
    grown = server.api("PUT", "/pools/admin", json={"size": 2})
    assert (grown.status_code, len(grown.json()["runners"])) == (200, 2), grown.text
    assert server.get("/add/1/").status_code == 200
    assert server.api("PUT", "/pools/admin", json={"size": 1}).status_code == 200
    assert server.api("PUT", "/pools/admin", json={"size": 0}).status_code == 422
