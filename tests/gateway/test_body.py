"""Given the body of a request and its Content-Type, when it is read, then it is fields, files or bytes, or
refused with a status and a text that says where; a hostile body costs little memory."""

from __future__ import annotations

import json

import psutil
import pytest
from hypothesis import given
from hypothesis import strategies as st
from uvicorn._types import ASGIReceiveEvent

from gateway.bad_request import BadRequest
from gateway.request.body import ClientGone, read_body
from gateway.request.json_body import decode_json
from tests.gateway.bodies import FORM, JSON, MB, plain, read, refused


@pytest.mark.parametrize(
    ("body", "fields"),
    [
        (b"{}", {}),
        (b' \r\n\t{"a" : 1 , "b":[1,{"c":2}]}\n', {"a": 1, "b": [1, {"c": 2}]}),
        (b'{"a":"x:y","b":{"c":":"}}', {"a": "x:y", "b": {"c": ":"}}),
        ('{"é":"ü"}'.encode(), {"é": "ü"}),
        (b'{"a":"\\ud83d\\ude00"}', {"a": "\U0001f600"}),
        (b'{"a":-0.0}', {"a": -0.0}),
        (b'{"a":{"b":1,"b":2}}', {"a": {"b": 2}}),
        (b'{"self":1,"cls":2,"args":3,"kwargs":4,"func":5,"":6,"*":7}', None),
        (b"[]", {"__body__": []}),
        (b'"x"', {"__body__": "x"}),
        (b" 7 ", {"__body__": 7}),
        (b"null", {"__body__": None}),
        (b'[{"a":1,"a":2}]', {"__body__": [{"a": 2}]}),
    ],
)
def test_json(body: bytes, fields: object) -> None:
    assert plain(read(body)) == (json.loads(body) if fields is None else fields)


@pytest.mark.parametrize(
    "content_type",
    [b"application/json;charset=utf-8", b'APPLICATION/JSON; Charset="UTF-8"', b"application/vnd.api+json", JSON],
)
def test_what_counts_as_json(content_type: bytes) -> None:
    assert plain(read(b'{"a":1}', content_type)) == {"a": 1}


@pytest.mark.parametrize(
    ("body", "problem"),
    [
        (b'{"a":1', "it ends too early (byte 6)"),
        (b"  ", "it ends too early (byte 2)"),
        (b'{"a":1,}', "trailing comma in object (byte 7)"),
        (b'{"a":1}x', "trailing characters (byte 8)"),
        (b"{'a':1}", "(byte 1)"),
        (b"tru", "(byte 3)"),
        (b'{"a":NaN}', "invalid character (byte 5)"),
        (b'{"a":Infinity}', "invalid character (byte 5)"),
        (b'{"a":-Infinity}', "invalid character (byte 6)"),
        (b"NaN", "invalid character (byte 0)"),
        (b'{"a":01}', "invalid number (byte 6)"),
        (b'{"a":"\x01"}', "invalid character (byte 6)"),
        (b'{"a":"\n"}', "invalid character (byte 6)"),
        (b'{"a":"\\ud800"}', "JSON is malformed"),
        (b'{"a":"\\ud800 and so on","b":1}', "(byte 12)"),
        (b'{"a":"\\udc00 and so on","b":1}', "(byte 12)"),
        (b'{"\\ud800":1}', "JSON is malformed"),
        (b'{"a":"\xff"}', "not UTF-8: invalid start byte (byte 6)"),
        (b'{"\xc3":1}', "not UTF-8: invalid continuation byte (byte 2)"),
        (b'"\xed\xa0\x80"', "not UTF-8: invalid continuation byte (byte 1)"),
        (b'"\xc0\xaf"', "not UTF-8: invalid start byte (byte 1)"),
        (b'"' + b"x" * 65534 + b'\xc3\xa9\xff"', "not UTF-8: invalid start byte (byte 65537)"),
        (b'"' + b"x" * 65534 + b'\xc3("', "not UTF-8: invalid continuation byte (byte 65535)"),
        (b'"\xe2\x82', "not UTF-8: unexpected end of data (byte 1)"),
        (b"\xef\xbb\xbf{}", "byte order mark (byte 0)"),
        ('{"a":1}'.encode("utf-16"), "not UTF-8: invalid start byte (byte 0)"),
        ('{"a":1}'.encode("utf-16-le"), "(byte 1)"),
        (b"[" * 100_000, "nested too deeply"),
        (b"[" * 100_000 + b"]" * 100_000, "nested too deeply"),
        (b'{"a":' * 100_000 + b"1" + b"}" * 100_000, "nested too deeply"),
        (b'{"a":1,"a":2}', "'a': this key comes twice"),
        (b'{"a":1,"b":{"a":1},"a":2}', "'a': this key comes twice"),
        (b'{"a": "x:y", "\\u0061": 2}', "'a': this key comes twice"),
        (b'{"a\\u0000":1}', "a name cannot contain NUL"),
        (b'{"__class__":1}', "'__class__': names that begin and end with __ are reserved"),
        (b'{"\\u005f_dict__":1}', "'__dict__': names"),
        (b'{"__request__":1}', "'__request__': names"),
        (b'{"__body__":1}', "'__body__': names"),
        (b'{"__map__":{}}', "'__map__': names"),
        (b'{"' + b"x" * MB + b'":1,"' + b"x" * MB + b'":1}', "this key comes twice"),
    ],
)
def test_malformed_json_is_refused_saying_where(body: bytes, problem: str) -> None:
    assert problem in refused(400, body)


@pytest.mark.parametrize("charset", [b"utf-7", b"utf-16", b"latin-1", b'"x"', b""])
def test_other_charsets_are_refused(charset: bytes) -> None:
    for content_type in (JSON, FORM):
        assert refused(415, b"{}", content_type + b"; charset=" + charset)


@pytest.mark.parametrize(
    "content_type", [None, b"", b";", b"json", b"a b/c", b"/", b"text/", b"text/plain;x", b"a/b;c"]
)
@pytest.mark.parametrize("body", [b"x", b"{}"])
def test_a_body_of_no_type_is_refused(content_type: bytes | None, body: bytes) -> None:
    assert "Content-Type" in refused(415, body, content_type)


@pytest.mark.parametrize("content_type", [b"text/plain", b"application/octet-stream", b"text/plain; charset=utf-7"])
def test_other_bodies_are_bytes(content_type: bytes) -> None:
    read_body = read(b"\xff{}", content_type)
    assert (read_body.content, read_body.fields, read_body.files) == (b"\xff{}", {}, [])


def test_json_may_have_so_many_fields() -> None:
    for value in ("1", '":::"'):
        body = "{" + ",".join(f'"k{i}":{value}' for i in range(10)) + "}"
        assert len(read(body.encode(), max_fields=10).fields) == 10
        assert "more than 9 fields" in refused(413, body.encode(), max_fields=9)


@given(
    st.lists(
        st.tuples(st.sampled_from(["a", "b", "é", "", ":", "x y"]), st.sampled_from([1, "::", {"a": ":"}, [], None]))
    ),
    st.sampled_from([(",", ":"), (", ", ": "), (" ,\n", " :\t")]),
    st.booleans(),
)
def test_repeated_keys_are_found_whatever_the_object_looks_like(
    pairs: list[tuple[str, object]], separators: tuple[str, str], ascii_only: bool
) -> None:
    members = [
        json.dumps(key, ensure_ascii=ascii_only) + separators[1] + json.dumps(value, separators=separators)
        for key, value in pairs
    ]
    body = ("{" + separators[0].join(members) + "}").encode()
    if len({key for key, _ in pairs}) < len(pairs):
        assert "comes twice" in refused(400, body)
    else:
        assert plain(read(body)) == dict(pairs)


HOSTILE_JSON = {
    "many keys": b"{" + b",".join(b'"k%d":{}' % i for i in range(600_000)) + b"}",
    "empty maps": b"[" + b",".join([b"{}"] * 2 * MB) + b"]",
    "empty maps in a field": b'{"a":[' + b",".join([b"{}"] * 2 * MB) + b"]}",
    "deep": b'{"a":' * MB,
    "digits": b'{"a":' + b"1" * MB + b"}",
    "colons": b'{"a":"' + b":" * 10 * MB + b'"}',
    "spaces": b" " * 10 * MB,
}


@pytest.mark.parametrize("body", HOSTILE_JSON.values(), ids=HOSTILE_JSON.keys())
def test_hostile_json_costs_no_more_than_its_size(body: bytes) -> None:
    process = psutil.Process()
    before = process.memory_info().rss
    kept: object
    try:
        kept = read(body)
    except BadRequest as problem:
        kept = str(problem)
    assert process.memory_info().rss - before < len(body) + 8 * MB
    del kept


class Sender:
    """An ASGI `receive` that gives these events."""

    def __init__(self, *events: ASGIReceiveEvent) -> None:
        self.events = list(events)

    async def __call__(self) -> ASGIReceiveEvent:
        return self.events.pop(0)


def chunk(body: bytes, more: bool) -> ASGIReceiveEvent:
    return {"type": "http.request", "body": body, "more_body": more}


async def test_a_body_is_received_whole() -> None:
    assert await read_body(Sender(chunk(b"", False)), 10) == b""
    assert await read_body(Sender(chunk(b"hello", False)), 5) == b"hello"
    assert await read_body(Sender(chunk(b"he", True), chunk(b"", True), chunk(b"llo", False)), 5) == b"hello"


async def test_a_body_is_bounded_again() -> None:
    with pytest.raises(BadRequest) as error:
        await read_body(Sender(chunk(b"hel", True), chunk(b"lo", True)), 4)
    assert error.value.status == 413


async def test_a_client_may_leave_while_it_sends() -> None:
    with pytest.raises(ClientGone):
        await read_body(Sender(chunk(b"hel", True), {"type": "http.disconnect"}), 10)


def test_large_objects_are_checked_for_repeated_keys() -> None:
    value = b'"' + b":" * 100_000 + b'"'
    fields = decode_json(b'{"a":' + value + b',"b":' + value + b"}", 10)
    assert isinstance(fields, dict)
    assert list(fields) == ["a", "b"]
    with pytest.raises(BadRequest, match="twice"):
        decode_json(b'{"a":' + value + b',"a":' + value + b"}", 10)
