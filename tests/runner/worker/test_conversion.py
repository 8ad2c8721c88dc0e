"""Given declared types and what a caller sent, what the function receives or the caller is told."""

from __future__ import annotations

import datetime
import enum
import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING, Annotated, Any, Literal, NewType, Optional, TypedDict, Union

import msgspec
import pydantic
import pytest

import expose
from calls.payload import UploadedFile
from runner.worker.binding import BadSignature, MalformedArguments, Plan
from tests.runner.worker.calling import call, everything, problems

if TYPE_CHECKING:
    from collections import OrderedDict


class Colour(enum.Enum):
    RED = "red"


class Level(enum.IntEnum):
    LOW = 1


@dataclass
class Point:
    x: int
    y: int = 0


class Size(TypedDict):
    width: int


class Item(pydantic.BaseModel):
    name: str
    price: float = pydantic.Field(gt=0)


BookId = NewType("BookId", int)
Small = Annotated[int, msgspec.Meta(ge=0, le=9)]


@pytest.mark.parametrize(
    ("hint", "sent", "received"),
    [
        (int, "5", 5),
        (int, 5.0, 5),
        (float, "2.5", 2.5),
        (float, 2, 2.0),
        (bool, "true", True),
        (bool, "0", False),
        (str, "5", "5"),
        (bytes, "aGk=", b"hi"),
        (list[int], ["1", 2], [1, 2]),
        (list[int], "1", [1]),
        (list, "1", ["1"]),
        (list[str] | None, "a", ["a"]),
        (list[str] | None, None, None),
        (set[int], "1", {1}),
        (tuple[int, ...], ["1"], (1,)),
        (Sequence[int], "1", [1]),
        (Annotated[list[int], msgspec.Meta(max_length=2)], "1", [1]),
        (list[str] | str, "a", "a"),
        (dict, {"a": 1}, {"a": 1}),
        (dict[str, int], {"a": "1"}, {"a": 1}),
        (Optional[int], "5", 5),  # noqa: UP045  # as authors write it
        (Optional[int], None, None),  # noqa: UP045
        (Union[int, str], "x", "x"),  # noqa: UP007
        (int | None, "null", None),
        (Literal["a", "b"], "b", "b"),
        (Literal[1, 2], "2", 2),
        (Colour, "red", Colour.RED),
        (Level, "1", Level.LOW),
        (Point, {"x": "1"}, Point(1)),
        (list[Point], [{"x": 1, "y": 2}], [Point(1, 2)]),
        (Size, {"width": "3"}, {"width": 3}),
        (datetime.datetime, "2024-02-29T12:00:00Z", datetime.datetime(2024, 2, 29, 12, tzinfo=datetime.UTC)),
        (datetime.date, "2024-02-29", datetime.date(2024, 2, 29)),
        (uuid.UUID, "00000000-0000-0000-0000-000000000007", uuid.UUID(int=7)),
        (Decimal, "1.50", Decimal("1.50")),
        (BookId, "7", 7),
        (Small, "9", 9),
        (Item, {"name": "a", "price": "1.5"}, Item(name="a", price=1.5)),
        (list[Item], [{"name": "a", "price": 1}], [Item(name="a", price=1)]),
        (Item | None, None, None),
        (Any, {"a": [1]}, {"a": [1]}),
        (object, "a", "a"),
        (int, 2**70, 2**70),
    ],
)
def test_declared_types_are_converted(hint: Any, sent: Any, received: Any) -> None:
    def function(value):  # type: ignore[no-untyped-def]
        return value

    function.__annotations__["value"] = hint
    result = call(function, {"value": sent})
    assert result == received
    assert type(result) is type(received)


@pytest.mark.parametrize(
    ("hint", "sent", "field", "problem"),
    [
        (int, "x", "value", "Expected `int`, got `str`"),
        (int, "1.5", "value", "Expected `int`, got `str`"),
        (int, True, "value", "Expected `int`, got `bool`"),
        (int, None, "value", "Expected `int`, got `null`"),
        (str, 5, "value", "Expected `str`, got `int`"),
        (bool, "maybe", "value", "Expected `bool`, got `str`"),
        (list[int], ["1", "x"], "value[1]", "Expected `int`, got `str`"),
        (dict[str, int], {"a": "x"}, "value[...]", "Expected `int`, got `str`"),
        (Literal["a"], "b", "value", "Invalid enum value 'b'"),
        (Colour, "blue", "value", "Invalid enum value 'blue'"),
        (Small, "10", "value", "Expected `int` <= 9"),
        (Point, {"y": 1}, "value", "Object missing required field `x`"),
        (list[Point], [{"x": 1}, {"x": "a"}], "value[1].x", "Expected `int`, got `str`"),
        (datetime.date, "29.2.2024", "value", "Invalid RFC3339 encoded date"),
        (uuid.UUID, "x", "value", "Invalid UUID"),
        (bytes, "!", "value", "Invalid base64 encoded string"),
        (Item, {"name": "a", "price": 0}, "value.price", "Input should be greater than 0"),
        (list[Item], [{"name": "a"}], "value[0].price", "Field required"),
        (expose.File, "x", "value", "Expected a file of a multipart body"),
    ],
)
def test_what_does_not_fit_says_where_and_why(hint: Any, sent: Any, field: str, problem: str) -> None:
    def function(value):  # type: ignore[no-untyped-def]
        raise AssertionError("called in spite of it")

    function.__annotations__["value"] = hint
    assert problems(function, {"value": sent}) == [(field, problem)]


def test_all_problems_are_told_at_once() -> None:
    def function(a: int, b: list[int], c: str, d: Item, e: int = 0) -> None: ...

    assert problems(function, {"a": "x", "b": ["y"], "d": {"price": -1}, "e": "z"}) == [
        ("a", "Expected `int`, got `str`"),
        ("b[0]", "Expected `int`, got `str`"),
        ("c", "is required"),
        ("d.name", "Field required"),
        ("d.price", "Input should be greater than 0"),
        ("e", "Expected `int`, got `str`"),
    ]


def test_problems_do_not_repeat_all_that_was_sent() -> None:
    def function(colour: Colour) -> None: ...

    ((_, problem),) = problems(function, {"colour": "x" * 100_000})
    assert len(problem) <= 300


def test_parameters_without_a_type_get_the_plain_value() -> None:
    def function(a, b=5):  # type: ignore[no-untyped-def]
        return a, b

    assert call(function, {"a": "1", "b": "2"}) == ("1", "2")
    assert problems(function) == [("a", "is required")]


def test_a_return_type_that_is_not_there_at_run_time_does_no_harm() -> None:
    def function(a: int) -> OrderedDict[str, int]:
        return a  # type: ignore[return-value]

    assert call(function, {"a": "1"}) == 1


# Files.

PNG = UploadedFile("picture", "a.png", "image/png", b"png")
GIF = UploadedFile("picture", "b.gif", "image/gif", b"gif")


def test_a_file_arrives_as_file() -> None:
    def upload(picture: expose.File) -> expose.File:
        return picture

    assert call(upload, files=[PNG]) == expose.File("a.png", "image/png", b"png")
    assert problems(upload, files=[PNG, GIF]) == [("picture", "Expected one file, got several")]


def test_several_files_of_one_field_arrive_as_a_list() -> None:
    assert call(everything, files=[PNG, GIF, GIF])[1]["picture"] == [
        expose.File("a.png", "image/png", b"png"),
        expose.File("b.gif", "image/gif", b"gif"),
        expose.File("b.gif", "image/gif", b"gif"),
    ]


@pytest.mark.parametrize(("files", "count"), [([PNG], 1), ([PNG, GIF], 2)])
def test_a_declared_list_takes_one_or_several_files(files: list[UploadedFile], count: int) -> None:
    def upload(picture: list[expose.File]) -> int:
        return len([file.content for file in picture])

    assert call(upload, files=files) == count


def test_bytes_are_the_content_of_a_file() -> None:
    def upload(picture: bytes) -> bytes:
        return picture

    def upload_all(picture: list[bytes]) -> list[bytes]:
        return picture

    def maybe(picture: bytes | None = None) -> bytes | None:
        return picture

    assert call(upload, files=[PNG]) == b"png"
    assert call(upload_all, files=[PNG]) == [b"png"]
    assert call(upload_all, files=[PNG, GIF]) == [b"png", b"gif"]
    assert call(maybe, files=[PNG]) == b"png"
    assert call(maybe) is None


def test_a_file_where_text_is_declared_is_a_problem() -> None:
    def upload(picture: str) -> None: ...

    assert problems(upload, files=[PNG]) == [("picture", "Expected `str`, got `File`")]


# What cannot be decoded.


@pytest.mark.parametrize(
    ("fields", "where"),
    [
        (b'{"a":NaN}', "byte 5"),
        (b'{"a":Infinity}', "byte 5"),
        (b'{"a":1e999}', "out of range"),
        (b'{"a":' + b"1" * 5000 + b"}", "out of range"),
        (b'{"a":"\\ud800"}', ""),
        (b'{"a":"\xff"}', "invalid start byte"),
        (b'{"a":', "truncated"),
        (b"[1]", "Expected `object`"),
        (b'{"a":' + b"[" * 100_000 + b"]" * 100_000 + b"}", "recursion"),
    ],
)
def test_what_cannot_be_decoded_says_where(fields: bytes, where: str) -> None:
    with pytest.raises(MalformedArguments) as raised:
        call(everything, fields)
    assert where in str(raised.value)


def test_large_whole_numbers_arrive_exactly() -> None:
    assert call(everything, b'{"a":18446744073709551616,"b":-0.0}')[1]["a"] == 2**64


# Signatures that no request can satisfy.


class Connection:
    """A class of the author's that nothing can be converted to."""


def unresolvable(value: OrderedDict[str, int]) -> None: ...


@pytest.mark.parametrize(
    ("hint", "text"),
    [
        (Connection, "Connection cannot be made from a request: declare a type such as int"),
        (list[Connection], "Connection cannot be made from a request"),
        (Connection | None, "Connection cannot be made from a request"),
        (dict[str, Connection], "Connection cannot be made from a request"),
        (Callable[[], int], "Callable cannot be made from a request"),
        (str | datetime.datetime, "not supported"),
        ("1 +", "1 +"),
    ],
)
def test_a_type_that_no_request_can_give_is_told_to_the_author(hint: Any, text: str) -> None:
    def function(value):  # type: ignore[no-untyped-def]
        ...

    function.__annotations__["value"] = hint
    with pytest.raises(BadSignature) as raised:
        Plan(function)
    assert text in str(raised.value)
    assert str(raised.value).startswith("function: parameter value is declared as ")


def test_a_type_that_is_not_there_at_run_time_is_told_to_the_author() -> None:
    with pytest.raises(BadSignature, match="name 'OrderedDict' is not defined"):
        Plan(unresolvable)


def test_a_function_without_a_readable_signature_is_told_to_the_author() -> None:
    def function() -> None: ...

    function.__signature__ = "()"  # type: ignore[attr-defined]
    with pytest.raises(BadSignature, match="function: its signature cannot be read"):
        Plan(function)
