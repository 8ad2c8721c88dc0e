"""Given a request, when its arguments are encoded, then a worker decodes from them exactly what the caller
gave, the later winning: body, query, URL parameters."""

from __future__ import annotations

import json
from typing import Any

import pytest

from calls import payload
from calls.payload import Arguments
from gateway.bad_request import BadRequest
from gateway.identity import Identity
from gateway.request.arguments import RequestFacts, encode_arguments

JSON = b"application/json"
NAMES = ("parm_1", "parm_2", "third")


def encode(body: bytes = b"", content_type: bytes | None = None, **changed: Any) -> Arguments:
    request: dict[str, Any] = {
        "api": "hello",
        "module": None,
        "uuid": None,
        "method": "POST",
        "query_string": b"",
        "content_type": content_type or (JSON if body else None),
        "body": body,
        "parameter_names": NAMES,
        "parameters": (),
        "request": None,
        "max_fields": 10,
    }
    return payload.decode(encode_arguments(**(request | changed)))


def refused(status: int, body: bytes = b"", **changed: Any) -> BadRequest:
    with pytest.raises(BadRequest) as error:
        encode(body, **changed)
    assert error.value.status == status, error.value.problem
    assert len(error.value.problem) < 300
    assert error.value.problem.isprintable()
    return error.value


def test_a_call_without_arguments() -> None:
    arguments = encode(method="GET", module="v1", uuid="4a1bf01e-0693-48c5-a52b-fc275205c1d8")
    assert (arguments.api, arguments.module, arguments.uuid) == ("hello", "v1", "4a1bf01e-0693-48c5-a52b-fc275205c1d8")
    assert arguments.fields == b"{}"
    assert (arguments.parameters, arguments.files, arguments.body, arguments.request) == ([], [], None, None)


def test_query_and_parameters() -> None:
    arguments = encode(method="GET", query_string=b"a=1&a=2&b=%C3%A9", parameters=("x", "y"))
    assert json.loads(arguments.fields) == {"a": ["1", "2"], "b": "é"}
    assert arguments.parameters == [("parm_1", "x"), ("parm_2", "y")]


def test_a_json_object_is_passed_on_as_it_came() -> None:
    body = b' {"a" : 1e400, "b": [ ] }'
    assert encode(body).fields == body


def test_the_query_wins_over_the_body() -> None:
    arguments = encode(b'{"a":1,"b":{"c":[1.50]},"d":2}', query_string=b"a=x&e=y&e=z")
    assert arguments.fields == b'{"a":"x","b":{"c":[1.50]},"d":2,"e":["y","z"]}'
    form = encode(b"a=1&b=2", b"application/x-www-form-urlencoded", query_string=b"a=x")
    assert json.loads(form.fields) == {"a": "x", "b": "2"}


def test_bodies_of_other_kinds() -> None:
    assert json.loads(encode(b"[1]").fields) == {"__body__": [1]}
    assert json.loads(encode(b'"x"', query_string=b"a=1").fields) == {"__body__": "x", "a": "1"}
    arguments = encode(b"\xff\0", b"application/octet-stream", query_string=b"a=1")
    assert (arguments.body, arguments.fields) == (b"\xff\0", b'{"a":"1"}')
    body = b'--X\r\nContent-Disposition: form-data; name="f"; filename="../n"\r\n\r\n\xff\r\n--X--'
    [file] = encode(body, b"multipart/form-data; boundary=X").files
    assert (file.field, file.name, file.content) == ("f", "n", b"\xff")


@pytest.mark.parametrize("method", ["GET", "HEAD", "DELETE", "OPTIONS", "POST", "PUT", "PATCH"])
def test_a_request_without_a_body_gives_no_fields(method: str) -> None:
    assert encode(method=method).fields == b"{}"
    assert encode(method=method, content_type=b"text/plain").fields == b"{}"


def test_an_empty_body_is_not_json() -> None:
    for method in ("POST", "PUT", "PATCH"):
        for content_type in (JSON, b"application/json; charset=utf-8", b"application/x+json"):
            assert "(byte 0)" in refused(400, method=method, content_type=content_type).problem
    for method in ("GET", "HEAD", "DELETE"):
        assert encode(method=method, content_type=JSON).fields == b"{}"


def test_what_a_caller_may_name() -> None:
    body = json.dumps(dict.fromkeys(("self", "cls", "args", "kwargs", "func", "module", "uuid", "", "ｆunc"), 1))
    assert encode(body.encode()).fields == body.encode()
    assert json.loads(encode(query_string=b"self=1&func=2&*=3&=4").fields) == {
        "self": "1",
        "func": "2",
        "*": "3",
        "": "4",
    }
    for name in ("__request__", "__class__", "__dict__", "__body__", "__map__"):
        assert refused(400, query_string=f"{name}=1".encode()).errors == [
            {"field": name, "problem": "names that begin and end with __ are reserved"}
        ]
    refused(400, b'{"__request__":{}}')


def test_fields_are_bounded() -> None:
    refused(414, query_string=b"a=1&" * 10)
    refused(413, json.dumps({str(i): i for i in range(11)}).encode())
    refused(413, b"a=1&" * 10, content_type=b"application/x-www-form-urlencoded")


def test_map_renames_url_parameters() -> None:
    body = b'{"a":1,"__map__":{"parm_1":"p1","third":"p3"},"b":[2]}'
    arguments = encode(body, parameters=("x", "y"))
    assert arguments.parameters == [("p1", "x"), ("parm_2", "y")]
    assert arguments.fields == b'{"a":1,"b":[2]}'
    assert encode(b'{"__map__":{}}', parameters=("x",)).parameters == [("parm_1", "x")]
    assert encode(b'{"__map__":{"parm_1":"a"},"a":1}', parameters=("x",), query_string=b"b=2").parameters == [
        ("a", "x")
    ]


@pytest.mark.parametrize("method", ["GET", "HEAD", "OPTIONS"])
def test_map_is_for_methods_that_have_bodies(method: str) -> None:
    refused(400, b'{"__map__":{}}', method=method)


@pytest.mark.parametrize(
    ("value", "problem"),
    [
        ("[]", "not an object of names"),
        ("null", "not an object of names"),
        ('"parm_1"', "not an object of names"),
        ('{"parm_1":1}', "not a string"),
        ('{"parm_1":["a"]}', "not a string"),
        ('{"parm_1":null}', "not a string"),
        ('{"parm_4":"a"}', "'parm_4' is not the name of a URL parameter"),
        ('{"a":"parm_1"}', "'a' is not the name of a URL parameter"),
        ('{"":"a"}', "'' is not the name of a URL parameter"),
        ('{"parm_1":"parm_2","parm_2":"parm_1"}', "'parm_2' is the name of a URL parameter"),
        ('{"parm_1":"parm_2"}', "'parm_2' is the name of a URL parameter"),
        ('{"parm_1":"parm_1"}', "'parm_1' is the name of a URL parameter"),
        ('{"parm_1":"a","parm_2":"a"}', "two URL parameters get the same name"),
        ('{"parm_1":"a","parm_1":"b"}', "comes twice"),
        ('{"parm_1":"func"}', "cannot name a URL parameter"),
        ('{"parm_1":"module"}', "cannot name a URL parameter"),
        ('{"parm_1":"uuid"}', "cannot name a URL parameter"),
        ('{"parm_1":"self"}', "cannot name a URL parameter"),
        ('{"parm_1":"__request__"}', "cannot name a URL parameter"),
        ('{"parm_1":"__map__"}', "cannot name a URL parameter"),
        ('{"parm_1":""}', "cannot name a URL parameter"),
        ('{"parm_1":"a b"}', "cannot name a URL parameter"),
        ('{"parm_1":"é"}', "cannot name a URL parameter"),
        ('{"parm_1":"a\\u0000"}', "cannot name a URL parameter"),
        ('{"parm_1":"' + "x" * 50_000 + '"}', "cannot name a URL parameter"),
        ('{"parm_1":"a","parm_2":"b","third":"c","d":"d"}', "more than 3 fields"),
        ("{" + ",".join(f'"p{i}":"q{i}"' for i in range(100_000)) + "}", "larger than 65536 bytes"),
        ("{" + ",".join(f'"p{i}":"q{i}"' for i in range(1000)) + "}", "more than 3 fields"),
    ],
)
def test_a_map_that_is_not_one_is_refused(value: str, problem: str) -> None:
    error = refused(400, b'{"__map__":' + value.encode() + b"}", parameters=("x", "y"))
    assert problem in error.problem
    assert error.errors[0]["field"] == "__map__"


def test_the_request_is_told_only_when_asked_for() -> None:
    facts = RequestFacts(
        method="GET",
        path="/rest/services/hello/",
        query="a=%20",
        headers=[(b"host", b"a"), (b"x-a", b"1"), (b"cookie", b"a=1"), (b"x-a", b"\xe9"), (b"cookie", b"b=2")],
        client="127.0.0.1",
        call="0" * 32,
        identity=Identity(user="ann-1", email="ann@example.com", groups=("staff",)),
    )
    assert json.loads(encode(request=facts).request or b"") == {
        "method": "GET",
        "path": "/rest/services/hello/",
        "query": "a=%20",
        "headers": {"host": "a", "x-a": "1, é", "cookie": "a=1; b=2"},
        "client": "127.0.0.1",
        "call": "0" * 32,
        "identity": {"user": "ann-1", "email": "ann@example.com", "groups": ["staff"]},
    }


def test_more_parameters_than_names_are_a_mistake_of_the_gateway() -> None:
    with pytest.raises(ValueError, match="zip"):
        encode(parameters=("1", "2", "3", "4"))
