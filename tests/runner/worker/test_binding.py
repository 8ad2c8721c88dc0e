"""Given a function and the arguments of a call, which parameter receives what."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import expose
from calls.payload import UploadedFile
from runner.worker.binding import InvalidArguments, Plan
from tests.runner.worker.calling import arguments, call, everything, problems

REQUEST = {"method": "GET", "path": "/rest/services/x/", "headers": {}, "client": "127.0.0.1", "call": "c0ffee"}


# What arrives under which name.


def test_a_function_with_kwargs_gets_all() -> None:
    args, kwargs = call(everything, {"a": 1}, ["u"], body=b"raw", module="m", owner="o", request=REQUEST)
    assert args == ()
    assert kwargs == {
        "a": 1,
        "parm_1": "u",
        "func": "x",
        "module": "m",
        "uuid": "o",
        "__body__": b"raw",
        "__request__": REQUEST,
    }


def test_module_and_uuid_are_there_only_where_the_url_named_them() -> None:
    assert call(everything) == ((), {"func": "x"})


def test_a_function_without_kwargs_gets_what_it_declares() -> None:
    def two(a, b):  # type: ignore[no-untyped-def]
        return a, b

    assert call(two, {"a": 1, "b": 2, "c": 3}, request=REQUEST) == (1, 2)


def test_a_function_that_declares_nothing_gets_nothing() -> None:
    def nothing() -> int:
        return 5

    assert call(nothing, {"a": 1}, ["b"], module="m", request=REQUEST) == 5


def test_the_later_wins() -> None:
    file = UploadedFile("a", "f.txt", "text/plain", b"file")
    _, kwargs = call(everything, {"a": "field", "b": "field", "c": "field"}, [("b", "url")], [file])
    assert kwargs["a"] == expose.File("f.txt", "text/plain", b"file")
    assert (kwargs["b"], kwargs["c"]) == ("url", "field")


def test_the_platforms_own_names_win_over_the_callers() -> None:
    spoofed = {"func": "spoof", "module": "spoof", "uuid": "spoof", "__request__": "spoof"}
    _, kwargs = call(everything, spoofed, module="m", owner="o", request=REQUEST)
    assert kwargs == {"func": "x", "module": "m", "uuid": "o", "__request__": REQUEST}


def test_the_url_cannot_name_the_platforms_own_either() -> None:
    _, kwargs = call(everything, url=[("func", "spoof"), ("__request__", "spoof")], request=REQUEST)
    assert kwargs == {"func": "x", "__request__": REQUEST}


def test_a_request_that_was_not_sent_along_cannot_be_pretended() -> None:
    assert call(everything, {"__request__": "spoof"}) == ((), {"func": "x"})


def test_module_and_uuid_are_plain_fields_where_the_url_names_none() -> None:
    assert call(everything, {"uuid": "a book's", "module": "3"})[1] == {"func": "x", "uuid": "a book's", "module": "3"}


def test_platform_values_can_be_declared() -> None:
    def context(func: str, module: str, uuid: str, __request__: dict[str, Any], __body__: bytes) -> tuple[Any, ...]:
        return func, module, uuid, __request__, __body__

    found = call(context, body=b"raw", module="m", owner="o", request=REQUEST)
    assert found == ("x", "m", "o", REQUEST, b"raw")


def test_a_json_body_that_is_no_object_comes_as_a_field() -> None:
    def body(__body__: list[int]) -> list[int]:
        return __body__

    assert call(body, {"__body__": [1, 2]}) == [1, 2]


def test_who_can_receive_the_request() -> None:
    def declares(__request__: dict[str, Any]) -> None: ...
    def does_not(a: int, *args: int) -> None: ...

    assert [Plan(function).accepts_request for function in (everything, declares, does_not)] == [True, True, False]


# URL parameters.


def add(a: int, b: int = 10) -> int:
    return a + b


@pytest.mark.parametrize(
    ("fields", "url", "total"),
    [
        ({}, ["1", "2"], 3),
        ({}, ["1"], 11),
        ({"a": 5}, ["1"], 6),
        ({"b": 5}, ["1"], 6),
        ({"a": 5, "b": 6}, ["1", "2"], 11),
        ({}, [("b", "7"), ("parm_2", "1")], 8),
        ({}, ["1", "2", "3"], 3),
    ],
)
def test_url_parameters_fill_in_order_what_nothing_named(fields: dict[str, Any], url: list[Any], total: int) -> None:
    assert call(add, fields, url) == total


def test_a_value_that_a_parameter_has_by_name_fills_no_other() -> None:
    def named(parm_1: str, other: str) -> tuple[str, str]:
        return parm_1, other

    assert call(named, url=["one", "two"]) == ("one", "two")


def test_url_parameters_also_stay_in_kwargs() -> None:
    def mixed(a: int, **kwargs: Any) -> Any:
        return a, kwargs

    assert call(mixed, url=["1"]) == (1, {"parm_1": "1", "func": "x"})


def test_url_parameters_fill_keyword_only_ones() -> None:
    def keyword_only(*, a: int) -> int:
        return a

    assert call(keyword_only, url=["1"]) == 1


def test_url_parameters_never_fill_the_platforms_names() -> None:
    def context(module: str = "none", uuid: str = "none", a: str = "none") -> tuple[str, str, str]:
        return module, uuid, a

    assert call(context, url=["spoof"]) == ("none", "none", "spoof")


# *args and awkward signatures.


def test_args_receives_the_list_args_which_stays_in_kwargs() -> None:
    assert call(everything, {"args": [1, "two"]}) == ((1, "two"), {"args": [1, "two"], "func": "x"})


def test_args_that_are_no_list_are_plain_data() -> None:
    assert call(everything, {"args": "one"}) == ((), {"args": "one", "func": "x"})


def test_declared_parameters_come_before_args() -> None:
    def mixed(a: int, b: int = 2, *args: Any, c: int = 3) -> Any:
        return a, b, args, c

    assert call(mixed, {"a": 1, "args": [7, 8], "c": 4}) == (1, 2, (7, 8), 4)
    assert call(mixed, {"a": 1}) == (1, 2, (), 3)


def test_declared_args_are_converted() -> None:
    def total(*args: int) -> int:
        return sum(args)

    assert call(total, {"args": ["1", 2]}) == 3
    assert call(total, {"args": "5"}) == 5
    assert problems(total, {"args": [1, "x"]}) == [("args[1]", "Expected `int`, got `str`")]


def test_parameters_may_have_any_name() -> None:
    def awkward(self, cls, args, kwargs, /, func, *rest, module=None, **others):  # type: ignore[no-untyped-def]
        return self, cls, args, kwargs, func, rest, module, others

    fields = {"self": 1, "cls": 2, "args": [3], "kwargs": 4, "rest": 5, "others": 6}
    assert call(awkward, fields) == (1, 2, [3], 4, "x", (), None, {"rest": 5, "others": 6})


def test_positional_only_defaults_are_kept() -> None:
    def gaps(a: int, b: int = 2, c: int = 3, /) -> tuple[int, int, int]:
        return a, b, c

    assert call(gaps, {"a": 1, "c": 9}) == (1, 2, 9)


def test_a_default_that_can_be_changed_is_the_functions_own() -> None:
    def remember(item: int, seen: list[int] = []) -> list[int]:  # noqa: B006  # this is what is tested
        seen.append(item)
        return seen

    call(remember, {"item": 1})
    assert call(remember, {"item": 2}) == [1, 2]


def test_odd_names_are_plain_data_for_kwargs() -> None:
    odd = {"": 1, "*": 2, "a b": 3, "__class__": 4, "__dict__": 5, "ſelf": 6, "self": 7, "cls": 8, "kwargs": 9}
    assert call(everything, odd)[1] == odd | {"func": "x"}


def test_a_method_bound_to_an_object_can_be_called() -> None:
    class Counter:
        def add(self, a: int) -> int:
            return a + 1

    assert call(Counter().add, {"self": 5, "a": 1}) == 2


def test_a_wrapper_gets_the_arguments_by_name() -> None:
    def with_log(function: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(function)
        def wrapper(*args: Any, **kwargs: Any) -> Any:
            return kwargs["a"], function(*args, **kwargs)

        return wrapper

    assert call(with_log(add), {"a": "1"}) == (1, 11)


KINDS = [
    inspect.Parameter.POSITIONAL_ONLY,
    inspect.Parameter.POSITIONAL_OR_KEYWORD,
    inspect.Parameter.VAR_POSITIONAL,
    inspect.Parameter.KEYWORD_ONLY,
    inspect.Parameter.VAR_KEYWORD,
]
NAMES = ["self", "cls", "args", "kwargs", "func", "module", "uuid", "__request__", "__body__", "a", "b", "parm_1"]


@st.composite
def signatures(draw: st.DrawFn) -> inspect.Signature:
    """Any legal signature over NAMES."""
    parameters: list[inspect.Parameter] = []
    defaults = False
    kinds = sorted(draw(st.lists(st.sampled_from(KINDS), max_size=len(NAMES))), key=KINDS.index)
    for name, kind in zip(draw(st.permutations(NAMES)), kinds, strict=False):
        various = kind in (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
        if various and any(parameter.kind is kind for parameter in parameters):
            continue
        has_default = not various and draw(st.booleans())
        if kind in (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD):
            defaults = has_default = defaults or has_default
        parameters.append(inspect.Parameter(name, kind, default=0 if has_default else inspect.Parameter.empty))
    return inspect.Signature(parameters)


@given(
    signature=signatures(),
    fields=st.dictionaries(st.sampled_from([*NAMES, "", "*"]), st.one_of(st.integers(), st.lists(st.integers()))),
    url=st.lists(st.tuples(st.sampled_from(NAMES), st.just("u")), max_size=4),
    request=st.one_of(st.none(), st.just(REQUEST)),
)
def test_no_caller_can_make_a_call_fail_by_names(
    signature: inspect.Signature, fields: dict[str, Any], url: list[tuple[str, str]], request: dict[str, Any] | None
) -> None:
    """Either a required argument is missing, which is said, or the function can be called; never a TypeError."""

    def function() -> None: ...

    function.__signature__ = signature  # type: ignore[attr-defined]
    try:
        positional, keywords = Plan(function).bind(arguments(fields, url, request=request))
    except InvalidArguments as invalid:
        assert {problem.problem for problem in invalid.problems} == {"is required"}
        assert {problem.field for problem in invalid.problems}.isdisjoint(fields.keys() - {"__request__"})
    else:
        bound = signature.bind(*positional, **keywords).arguments
        assert bound.get("func", "x") == "x" or signature.parameters["func"].kind in KINDS[2::2]
