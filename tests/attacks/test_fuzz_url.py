"""Rows I1 and I14: odd paths and queries on one connection, each answer held against a second reading of the same
bytes that knows only the documented grammar."""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import unquote_to_bytes

from hypothesis import given
from hypothesis import strategies as st

from tests.attacks.fuzz import FUZZ, Line, arguments
from tests.attacks.wire import request
from tests.embedded.server import ADMIN_UUID

WORDS = ["rest", "services", "given", "name", "all", "ping", "__dir__", "api", "pools", "x", "parm", ADMIN_UUID]
ODD = ["..", ".", "", "%2e%2e", "%2f", "%", "%zz", "a.b", ";x=y", "\\", "é", "*", "@", "~", "a b", "#", "\t", "x" * 200]
SEGMENT = st.sampled_from(WORDS) | st.sampled_from(ODD) | st.text(max_size=4)
PATH = st.one_of(
    st.lists(SEGMENT, max_size=16).map(lambda parts: "/rest/services/" + "/".join(parts)),
    st.lists(st.sampled_from(WORDS[2:8]), max_size=14).map(lambda parts: "/rest/services/" + "/".join(parts) + "/"),
    st.lists(SEGMENT, max_size=6).map(lambda parts: "/" + "/".join(parts)),
    st.text(max_size=20),
).map(lambda text: text.encode("utf-8", "surrogatepass"))


def path_statuses(path: bytes) -> set[int]:
    """What a GET of the path may be answered with, as the documents describe it."""
    if not re.fullmatch(rb"/[\x21-\x7e]*", path) or b"#" in path:
        return {400, 404, 505}
    if not re.match(rb"/rest/services(/|$)", path):
        return {200, 400, 401, 404, 405, 422}  # other pages
    too_long = {414} if re.search(rb"[A-Za-z0-9_-]{129}", path) else set()
    if too_long or not re.fullmatch(rb"(/[A-Za-z0-9_-]+)*/?", path):
        return too_long | ({400} if re.search(rb"[^/A-Za-z0-9_-]|//", path) else set())
    segments = path.decode().strip("/").split("/")[2:]
    if segments[:1] == [ADMIN_UUID]:
        del segments[0]
    functions = {"given": {"all", "name", "request"}, "ping": {"ping"}}
    if len(segments) in (1, 2) and segments[-1] == "__dir__":
        return {200} if len(segments) == 1 or segments[0] in functions else {404}
    if len(segments) > 1 and segments[0] in functions:
        served = segments[1] in functions[segments[0]]
        parameters = len(segments) - 2
    else:
        served = segments != [] and any(segments[0] in names for names in functions.values())
        parameters = len(segments) - 1
    return {200} if served and parameters <= 10 else {404}


def test_i1_every_path_is_read_as_documented(line: Line) -> None:
    seen: set[int] = set()

    @FUZZ
    @given(PATH, st.sampled_from([b"", b"?", b"?a=1"]))
    def check(path: bytes, query: bytes) -> None:
        path = path.partition(b"?")[0]
        answer = line.ask(request(path + query))
        seen.add(answer.status)
        wanted = path_statuses(path)
        assert answer.status in wanted, (path, wanted, answer)
        if answer.headers.get("connection") != "close":
            absolute = line.ask(request(b"http://plugbay" + path + query))
            assert absolute.status == answer.status
            head = line.ask(request(path + query, method=b"HEAD"), head=True)
            assert head.status == answer.status or 422 in path_statuses(path)

    check()
    assert {200, 400, 404} <= seen


QUERY = st.lists(
    st.sampled_from(
        ["a", "b", "=", "&", "%", "%41", "%c3%a9", "%ff", "%00", "+", "%2", "__x__", ";", "[]", "é", "%26", "?", "/"]
    )
).map(lambda parts: "".join(parts).encode())


def query_reference(query: bytes) -> dict[str, Any] | None:
    """The fields of a query; None when it is to be refused."""
    fields: dict[str, list[str]] = {}
    for pair in query.split(b"&"):
        if not pair:
            continue
        if re.search(rb"%(?![0-9A-Fa-f]{2})", pair) or not pair.isascii():
            return None
        try:
            name, _, value = (unquote_to_bytes(part.replace(b"+", b" ")).decode() for part in pair.partition(b"="))
        except UnicodeDecodeError:
            return None
        if re.fullmatch("__.*__|___?", name, re.DOTALL) or "\0" in name:
            return None
        fields.setdefault(name, []).append(value)
    return {name: values[0] if len(values) == 1 else values for name, values in fields.items()}


def test_i14_every_query_is_read_as_documented(line: Line) -> None:
    @FUZZ
    @given(QUERY)
    def check(query: bytes) -> None:
        answer = line.ask(request(b"/rest/services/given/all/?" + query))
        wanted = query_reference(query)
        assert (answer.status == 200) == (wanted is not None), (query, answer)
        if wanted is not None:
            assert arguments(answer) == wanted, query

    check()
