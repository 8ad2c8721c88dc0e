"""Given what a function returned or raised, the answer to its call."""

from __future__ import annotations

import array
import collections
import datetime
import enum
import json
import sys
import tempfile
import uuid
from dataclasses import dataclass
from decimal import Decimal
from http import HTTPStatus
from pathlib import Path
from typing import Any, NamedTuple

import pydantic
import pytest

import expose
from calls.call import Outcome
from runner.worker import result
from runner.worker.binding import InvalidArguments, MalformedArguments
from runner.worker.conversion import Problem

MAX = 1000


def finish(value: Any) -> result.Finished:
    return result.finish(value, MAX)


def raised(text: str) -> result.Finished:
    return result.Finished(Outcome.RAISED, text.encode())


class Text(str): ...


class Whole(int): ...


class Real(float): ...


class Colour(enum.Enum):
    RED = "red"


class Level(enum.IntEnum):
    LOW = 1


@dataclass
class Point:
    x: int


class Pair(NamedTuple):
    a: int
    b: int


class Item(pydantic.BaseModel):
    name: str
    on: datetime.date


class Scalar(float):
    """As numpy's float64: a float, and with `tolist`."""

    def tolist(self) -> float:
        return float(self)


SOME_ID = uuid.UUID(int=7)


@pytest.mark.parametrize(
    ("value", "sent"),
    [
        (None, None),
        ({"a": [1, 2.5, "ä", True, None]}, {"a": [1, 2.5, "ä", True, None]}),
        ("text", "text"),
        ((1, 2), [1, 2]),
        ({1}, [1]),
        ({1: "a", Colour.RED: "b"}, {"1": "a", "red": "b"}),
        (2**100, 2**100),
        (Text("a"), "a"),
        (Whole(3), 3),
        (Real(1.5), 1.5),
        (Scalar(2.5), 2.5),
        (Colour.RED, "red"),
        (Level.LOW, 1),
        (HTTPStatus.OK, 200),
        (Point(1), {"x": 1}),
        (Pair(1, 2), [1, 2]),
        (Item(name="a", on=datetime.date(2024, 2, 29)), {"name": "a", "on": "2024-02-29"}),
        ([Item(name="a", on=datetime.date(2024, 2, 29))], [{"name": "a", "on": "2024-02-29"}]),
        (array.array("i", [1, 2]), [1, 2]),
        (collections.Counter("aab"), {"a": 2, "b": 1}),
        (datetime.datetime(2024, 2, 29, tzinfo=datetime.UTC), "2024-02-29T00:00:00Z"),
        (SOME_ID, str(SOME_ID)),
        (Decimal("1.50"), "1.50"),
        ([float("nan"), float("inf")], [None, None]),
        ({"raw": b"hi"}, {"raw": "aGk="}),
        ({"file": expose.File("a", "b", b"hi")}, {"file": {"name": "a", "media_type": "b", "content": "aGk="}}),
    ],
)
def test_values_are_sent_as_json(value: Any, sent: Any) -> None:
    finished = finish(value)
    assert finished.outcome is Outcome.VALUE
    assert json.loads(finished.payload) == sent


class Nothing: ...


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (Nothing(), "TypeError: a value of type Nothing cannot be sent as JSON: return a dict, list,"),
        ([1j], "TypeError: a value of type complex cannot be sent as JSON: return a dict, list,"),
        (range(3), "TypeError: a value of type range cannot be sent as JSON: return a list made of it"),
        ((n for n in [1]), "TypeError: a value of type generator cannot be sent as JSON: return a list made of it"),
        ({}.keys(), "TypeError: a value of type dict_keys cannot be sent as JSON: return a list made of it"),
        ({(1, 2): 3}, "TypeError: a dict with keys of type tuple cannot be sent as JSON: make its keys text"),
        ({True: 3}, "TypeError: a dict with keys of type bool"),
        ({None: 3}, "TypeError: a dict with keys of type NoneType"),
        ("\ud800", "UnicodeEncodeError: "),
        (expose.Response({"a": Nothing()}), "TypeError: a value of type Nothing"),
    ],
)
def test_what_json_cannot_hold_says_what_to_return(value: Any, text: str) -> None:
    finished = finish(value)
    assert finished.outcome is Outcome.RAISED
    assert finished.payload.decode().startswith(text)


def test_endless_and_very_deep_values_are_an_error() -> None:
    endless: list[Any] = []
    endless.append(endless)
    deep: list[Any] = []
    for _ in range(100_000):
        deep = [deep]
    for value in (endless, deep):
        finished = finish(value)
        assert finished.outcome is Outcome.RAISED
        assert finished.payload.startswith(b"RecursionError")


def test_bytes_are_the_body() -> None:
    for value in (b"raw", bytearray(b"raw"), memoryview(b"raw")):
        assert finish(value) == result.Finished(Outcome.RESPONSE, b"raw", 200, (), "application/octet-stream")


@pytest.mark.parametrize(
    ("response", "finished"),
    [
        (expose.Response(), (b"", 200, (), "application/octet-stream")),
        (expose.Response("ä"), ("ä".encode(), 200, (), "text/plain; charset=utf-8")),
        (expose.Response("<p>", media_type="text/html"), (b"<p>", 200, (), "text/html")),
        (expose.Response(b"x", 201), (b"x", 201, (), "application/octet-stream")),
        (expose.Response([1], headers={"X-A": "b"}), (b"[1]", 200, (("X-A", "b"),), "application/json")),
        (expose.Response(status=204, headers=[("L", "a"), ("L", "b")]), (b"", 204, (("L", "a"), ("L", "b")), None)),
        (expose.Response(headers=[(Text("a"), Text("b"))]), (b"", 200, (("a", "b"),), None)),
    ],
)
def test_a_response_sets_everything(response: expose.Response, finished: tuple[Any, ...]) -> None:
    body, status, headers, media_type = finished
    wanted = result.Finished(Outcome.RESPONSE, body, status, headers, media_type or "application/octet-stream")
    assert finish(response) == wanted
    assert all(type(text) is str for pair in finish(response).headers for text in pair)


BAD_HEADERS: list[tuple[Any, str]] = [
    ({"X-A": 5}, "invalid header: X-A is int, not text"),
    ({5: "a"}, "invalid header: a name is int, not text"),
    ({"X-A": "→"}, "invalid header: X-A has characters outside Latin-1"),
    ({"X-A": "\ud800"}, "invalid header: X-A has characters outside Latin-1"),
    (["X-A: b"], "invalid header: write headers={'X-Name': 'value'}"),
    ([("X-A",)], "invalid header: write headers={'X-Name': 'value'}"),
    ({"X-A": "b" * 20_000}, "invalid header: all together are larger than 16384 bytes"),
]


@pytest.mark.parametrize(("headers", "text"), BAD_HEADERS)
def test_headers_that_cannot_travel_are_an_error(headers: Any, text: str) -> None:
    assert finish(expose.Response(headers=headers)) == raised(text)


def test_a_response_changed_afterwards_is_checked_again() -> None:
    response = expose.Response()
    response.status = 99
    assert finish(response) == raised("invalid status 99: a response has a status from 200 to 599")
    response = expose.Response(media_type=5)  # type: ignore[arg-type]
    assert finish(response) == raised("invalid header: media_type is int, not text")


@pytest.mark.parametrize("value", ["x" * MAX, "ä" * MAX, ["x" * MAX], {"a": list(range(MAX))}])
def test_a_result_above_the_bound_is_an_error(value: Any) -> None:
    assert finish(value) == raised("result larger than 1000 bytes")


@pytest.mark.parametrize("body", [b"x" * (MAX + 1), "x" * (MAX + 1), "ä" * MAX, ["x" * MAX]])
def test_a_response_above_the_bound_is_an_error(body: Any) -> None:
    assert finish(expose.Response(body)) == raised("result larger than 1000 bytes")
    assert finish(b"x" * (MAX + 1)) == raised("result larger than 1000 bytes")


def test_a_result_as_large_as_the_bound_is_sent() -> None:
    assert finish("x" * (MAX - 2)).outcome is Outcome.VALUE
    assert finish(b"x" * MAX).outcome is Outcome.RESPONSE
    assert finish(expose.Response("x" * MAX)).outcome is Outcome.RESPONSE


# Exceptions.


def test_an_http_error_carries_its_detail() -> None:
    finished = result.failed(expose.HTTPError(404, {"no": "such"}))
    assert finished == result.Finished(Outcome.HTTP_ERROR, b'{"no":"such"}', 404)


@pytest.mark.parametrize(
    ("detail", "text"),
    [
        (Nothing(), "TypeError: a value of type Nothing"),
        ("x" * 70_000, "HTTPError: detail larger than 65536 bytes"),
    ],
)
def test_an_http_error_with_a_detail_that_cannot_travel(detail: Any, text: str) -> None:
    finished = result.failed(expose.HTTPError(404, detail))
    assert finished.outcome is Outcome.RAISED
    assert finished.payload.decode().startswith(text)


def test_an_http_error_changed_afterwards_is_checked_again() -> None:
    error = expose.HTTPError(404, "no")
    error.status = 200
    assert result.failed(error) == raised("invalid status 200: an HTTPError has a status from 400 to 599")


def test_a_failed_assert_is_forbidden() -> None:
    assert result.failed(AssertionError()) == result.Finished(Outcome.FORBIDDEN, b"forbidden")
    assert result.failed(AssertionError("wrong token")) == result.Finished(Outcome.FORBIDDEN, b"wrong token")
    assert len(result.failed(AssertionError("x" * 5000)).payload) == 1024


def test_arguments_that_do_not_fit_are_a_list_of_problems() -> None:
    finished = result.failed(InvalidArguments([Problem("a", "is required")] * 500))
    assert finished.outcome is Outcome.INVALID
    assert json.loads(finished.payload) == [{"field": "a", "problem": "is required"}] * 100


def test_arguments_that_cannot_be_decoded_say_why() -> None:
    assert result.failed(MalformedArguments("bad (byte 5)")) == result.Finished(Outcome.MALFORMED, b"bad (byte 5)")


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (ValueError("no"), "ValueError: no"),
        (ValueError(), "ValueError"),
        (KeyError("a"), "KeyError: 'a'"),
        (SystemExit(3), "SystemExit: 3"),
        (KeyboardInterrupt(), "KeyboardInterrupt"),
        (GeneratorExit(), "GeneratorExit"),
        (BaseException("b"), "BaseException: b"),
        (
            expose.CommandFailed("sh ended with exit code 3", 3, "disk full"),
            "CommandFailed: sh ended with exit code 3: disk full",
        ),
        (ValueError("\ud800"), "ValueError: ?"),
    ],
)
def test_every_other_exception_is_raised_as_text(error: BaseException, text: str) -> None:
    assert result.failed(error) == raised(text)


class Unprintable(Exception):
    def __str__(self) -> str:
        raise KeyboardInterrupt


class NotText(Exception):
    def __str__(self) -> str:
        return 5  # type: ignore[return-value]


class Deceiver(type):
    @property
    def __name__(cls) -> str:  # type: ignore[override]
        raise RuntimeError


class Deceiving(Exception, metaclass=Deceiver): ...


def test_an_exception_that_cannot_be_printed_is_survived() -> None:
    assert result.failed(Unprintable()) == raised("Unprintable: (KeyboardInterrupt while printing it)")
    assert result.failed(NotText()) == raised("NotText: (TypeError while printing it)")
    assert result.failed(Deceiving("x")) == raised("Deceiving: x")


@pytest.mark.parametrize("message", ["x" * 10_000_000, "ä" * 5000, "→" * 5000])
def test_a_long_message_is_cut_to_valid_text(message: str) -> None:
    payload = result.failed(ValueError(message)).payload
    assert 1020 <= len(payload) <= 1024
    assert f"ValueError: {message}".startswith(payload.decode())
    assert len(result.failed(ValueError(message), max_text=50).payload) <= 50


def test_no_traceback_reaches_the_caller() -> None:
    error = ValueError("it failed: Traceback (most recent call last):\n  File ...")
    assert result.failed(error) == raised("ValueError: it failed: (traceback in the log)")


@pytest.mark.parametrize(
    "folder",
    [
        f"{tempfile.gettempdir()}/modules-4711",
        tempfile.gettempdir(),
        str(Path(result.__file__).parents[2]),
        sys.prefix,
        str(Path(pytest.__file__).parents[1]),
    ],
)
def test_no_path_of_the_platform_reaches_the_caller(folder: str) -> None:
    error = FileNotFoundError(2, "No such file or directory", f"{folder}/pkg/data.csv")
    text = result.failed(error).payload.decode()
    assert text == "FileNotFoundError: [Errno 2] No such file or directory: 'pkg/data.csv'"


def test_what_a_function_did_to_the_import_path_does_no_harm(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "path", [5, "/", ""])
    assert result.failed(ValueError("a/b")) == raised("ValueError: a/b")
    monkeypatch.setattr(sys, "path", None)
    assert result.failed(ValueError("a/b")) == raised("ValueError: a/b")
