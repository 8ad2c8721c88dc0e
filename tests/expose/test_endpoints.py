"""`@expose.endpoint`: what it registers, and what it tells authors who got it wrong."""

from __future__ import annotations

import asyncio
import functools
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import expose
from expose.endpoints import specs_of

ROOT = Path(__file__).parents[2]


def test_a_decorated_function_is_the_same_plain_function() -> None:
    def add(a: int, b: int) -> int:
        return a + b

    decorated = expose.endpoint(method="GET")(add)
    assert decorated is add
    assert decorated(1, 2) == 3


def test_a_decorated_coroutine_function_stays_one() -> None:
    @expose.endpoint()
    async def ping() -> str:
        return "pong"

    assert asyncio.run(ping()) == "pong"


@pytest.mark.parametrize(
    ("given", "methods"),
    [
        ("GET", ("GET",)),
        ("GET|PUT|POST", ("GET", "PUT", "POST")),
        (" get | Put ", ("GET", "PUT")),
        (["DELETE", "patch"], ("DELETE", "PATCH")),
        (("GET", "GET"), ("GET",)),
    ],
)
def test_methods_are_a_string_or_a_list(given: str | list[str], methods: tuple[str, ...]) -> None:
    @expose.endpoint(method=given)
    def anything() -> None: ...

    (spec,) = specs_of(anything)
    assert spec.methods == methods


def test_what_is_left_out_has_defaults() -> None:
    @expose.endpoint()
    def my_function() -> None: ...

    (spec,) = specs_of(my_function)
    assert spec[:4] == ("my_function", ("GET",), None, None)
    assert spec.module == __name__
    assert spec.function == "my_function"


def test_limits_and_names_are_registered() -> None:
    @expose.endpoint(method="POST", API="my-Api_2", timeout=3, concurrency=4)
    def my_function() -> None: ...

    (spec,) = specs_of(my_function)
    assert spec[:4] == ("my-Api_2", ("POST",), 3.0, 4)


def test_a_function_may_be_exposed_several_times() -> None:
    @expose.endpoint(API="new-name")
    @expose.endpoint(method="POST", API="old-name")
    def my_function() -> None: ...

    assert [spec.api for spec in specs_of(my_function)] == ["old-name", "new-name"]


def test_a_wrapper_made_with_functools_is_exposed_too() -> None:
    @expose.endpoint()
    @functools.cache
    def slow() -> int:
        return 5

    assert [spec.api for spec in specs_of(slow)] == ["slow"]
    assert slow() == 5


class AClass:
    def method(self) -> None: ...


def __hidden() -> None: ...


HIDDEN = __hidden


@pytest.mark.parametrize(
    ("arguments", "kind", "text"),
    [
        ({"method": "TRACE"}, ValueError, "method='GET|POST'"),
        ({"method": ""}, ValueError, "is not a method"),
        ({"method": []}, ValueError, "method='GET'"),
        ({"method": [5]}, ValueError, "5 is not a method"),
        ({"method": "HEAD"}, ValueError, "answered by the platform"),
        ({"method": "GET|OPTIONS"}, ValueError, "answered by the platform"),
        ({"API": "a.b"}, ValueError, "letters, digits"),
        ({"API": "a/b"}, ValueError, "letters, digits"),
        ({"API": "a\n"}, ValueError, "letters, digits"),
        ({"API": "ä"}, ValueError, "letters, digits"),
        ({"API": ""}, ValueError, "letters, digits"),
        ({"API": "x" * 65}, ValueError, "letters, digits"),
        ({"API": "__dir__"}, ValueError, "begins with '__'"),
        ({"API": 5}, TypeError, "API='a-name'"),
        ({"timeout": 0}, ValueError, "more than 0"),
        ({"timeout": -1}, ValueError, "more than 0"),
        ({"timeout": float("nan")}, ValueError, "more than 0"),
        ({"timeout": float("inf")}, ValueError, "more than 0"),
        ({"timeout": "5"}, TypeError, "timeout=2.5"),
        ({"concurrency": 0}, ValueError, "at least 1"),
        ({"concurrency": 1.5}, TypeError, "concurrency=4"),
        ({"concurrency": True}, TypeError, "concurrency=4"),
    ],
)
def test_wrong_arguments_say_what_to_write(arguments: dict[str, Any], kind: type[Exception], text: str) -> None:
    with pytest.raises(kind) as raised:
        expose.endpoint(**arguments)
    assert text in str(raised.value)


@pytest.mark.parametrize(
    ("target", "kind", "text"),
    [
        (AClass, TypeError, "write a function"),
        (AClass.method, TypeError, "method of a class"),
        (staticmethod(AClass.method), TypeError, "method of a class"),
        (HIDDEN, ValueError, "never exposed"),
        (5, TypeError, "above a function"),
        (functools.partial(print), TypeError, "above a function"),
    ],
)
def test_what_cannot_be_exposed_says_why(target: Any, kind: type[Exception], text: str) -> None:
    with pytest.raises(kind) as raised:
        expose.endpoint(API="a-good-name")(target)
    assert text in str(raised.value)


def test_a_dunder_function_is_not_exposed_under_its_own_name_either() -> None:
    with pytest.raises(ValueError, match="begins with '__'"):
        expose.endpoint()(HIDDEN)


def test_forgotten_brackets_are_named() -> None:
    without_brackets: Callable[..., Any] = expose.endpoint
    with pytest.raises(TypeError, match=r"write @expose\.endpoint\(\) with brackets"):
        without_brackets(HIDDEN)


def test_pretended_specs_are_not_specs() -> None:
    class Pretender:
        __plugbay_endpoints__ = (1, 2)

        def __getattr__(self, name: str) -> object:
            return self

    assert specs_of(Pretender()) == ()
    assert specs_of(Pretender) == ()
    assert specs_of(5) == ()


def test_both_names_import_the_same_module() -> None:
    from vyperlogix.decorators import expose as other

    assert other is expose


def test_importing_it_is_light() -> None:
    """It is part of every worker: what only few functions need is imported when they need it."""
    code = (
        "import sys, expose; heavy = {'asyncio', 'subprocess', 'inspect', 'dataclasses', 'msgspec', 'http', 'tempfile'};"
        "print(sorted(heavy & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-S", "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


def test_an_editor_sees_the_types() -> None:
    assert (ROOT / "expose" / "py.typed").exists()
    assert (ROOT / "vyperlogix" / "py.typed").exists()
