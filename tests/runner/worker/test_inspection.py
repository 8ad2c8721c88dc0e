"""Given a module as an author writes it, what inspecting it reports."""

from __future__ import annotations

import importlib
import sys
import textwrap
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType

import pytest

from catalogue import report
from expose.endpoints import declared
from runner.worker import inspection

Write = Callable[..., ModuleType]


@pytest.fixture
def load(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Write]:
    """Imports modules from sources as a fresh worker does: `load(name=source, …)` gives the first one;
    the name `shop__orders` stands for `shop/orders.py`, and `shop__` for `shop/__init__.py`."""
    monkeypatch.syspath_prepend(tmp_path)
    declared.clear()
    before = set(sys.modules)

    def write_and_import(**sources: str) -> ModuleType:
        for name, source in sources.items():
            folder, _, file = name.rpartition("__")
            path = tmp_path / folder / f"{file or '__init__'}.py"
            path.parent.mkdir(exist_ok=True)
            start = "" if "import expose" in source else "import expose\n"
            path.write_text(start + textwrap.dedent(source).lstrip())
        importlib.invalidate_caches()
        return importlib.import_module(next(iter(sources)).removesuffix("__"))

    yield write_and_import
    for name in set(sys.modules) - before:
        if str(getattr(sys.modules[name], "__file__", "")).startswith(str(tmp_path)):
            del sys.modules[name]


def inspect(module: ModuleType) -> report.Report:
    return report.decode(inspection.inspect_module(module))


def test_an_endpoint_is_reported_with_all_that_callers_want_to_know(load: Write) -> None:
    found = inspect(
        load(
            sample='''
            """A sample."""
            import expose, asyncio
            from collections.abc import Mapping
            import os.path as p

            @expose.endpoint(method="GET|POST", API="my-thing", timeout=2, concurrency=3)
            async def thing(name: str, size: "int | None" = 5, *args, colours: Mapping[str, int] = {}, **kwargs):
                """Makes a thing.

                    Indented.

                Further.
                """

            def helper(): ...
            def _private(): ...
            '''
        )
    )
    assert found == report.Report(
        doc="A sample.",
        endpoints=(
            report.Endpoint(
                api="my-thing",
                methods=("GET", "POST"),
                function="thing",
                doc="Makes a thing.\n\n    Indented.\n\nFurther.",
                concurrent=True,
                timeout=2.0,
                concurrency=3,
                wants_request=True,
                parameters=(
                    report.Parameter(name="name", type="str"),
                    report.Parameter(name="size", type="int | None", required=False, default="5"),
                    report.Parameter(
                        name="colours", type="collections.abc.Mapping[str, int]", required=False, default="{}"
                    ),
                ),
            ),
        ),
        functions=("helper",),
        imports=("asyncio", "collections", "expose", "os"),
    )


def test_a_plain_endpoint_has_no_limits_of_its_own_and_no_request(load: Write) -> None:
    (endpoint,) = inspect(load(sample="@expose.endpoint()\ndef f(): ...")).endpoints
    assert endpoint == report.Endpoint(api="f", methods=("GET",), function="f", wants_request=False)


def test_a_declared_request_is_sent_along_and_not_asked_of_callers(load: Write) -> None:
    (endpoint,) = inspect(load(sample="@expose.endpoint()\ndef f(a, func, __request__): ...")).endpoints
    assert endpoint.wants_request
    assert [parameter.name for parameter in endpoint.parameters] == ["a"]


def test_a_module_without_endpoints_is_an_empty_report(load: Write) -> None:
    assert inspect(load(sample="class A: ...\nx = 5\ng = lambda: 0")) == report.Report(
        functions=("g",), imports=("expose",)
    )


def test_each_name_of_a_function_is_an_endpoint(load: Write) -> None:
    source = """
    @expose.endpoint(API="new")
    @expose.endpoint(API="old")
    def f(): ...
    alias = f
    """
    module = load(sample=source)
    assert [(e.api, e.function) for e in inspect(module).endpoints] == [("old", "f"), ("new", "f")]
    assert list(inspection.endpoint_functions(module)) == ["f"]


def test_what_is_imported_from_another_module_is_not_exposed_again(load: Write) -> None:
    module = load(
        second="from first import f, helper\n@expose.endpoint()\ndef g(): ...",
        first="@expose.endpoint()\ndef f(): ...\ndef helper(): ...",
    )
    found = inspect(module)
    assert [endpoint.api for endpoint in found.endpoints] == ["g"]
    assert found.functions == ()
    assert "first" in found.imports


def test_a_command_is_exposed_directly(load: Write) -> None:
    module = load(sample='sum_up = expose.endpoint(method="POST", API="sum")(expose.command(["cat"]))')
    (endpoint,) = inspect(module).endpoints
    assert (endpoint.api, endpoint.function, endpoint.wants_request) == ("sum", "sum_up", True)
    assert inspection.endpoint_functions(module)["sum_up"](a=1) == {"a": 1}


def test_a_package_exposes_what_its_imported_submodules_do(load: Write) -> None:
    module = load(
        shop__="from . import orders\nfrom .prices import price",
        shop__orders="import json\n@expose.endpoint()\ndef order(): return 'an order'\ndef plain(): ...",
        shop__prices="@expose.endpoint()\ndef price(): ...",
        shop__unused="@expose.endpoint()\ndef unused(): ...",
    )
    found = inspect(module)
    assert {(e.api, e.function) for e in found.endpoints} == {("price", "price"), ("order", "orders.order")}
    assert found.imports == ("expose", "json")
    assert inspection.endpoint_functions(module)["orders.order"]() == "an order"


def test_a_wrapper_above_the_endpoint_line_is_what_is_called(load: Write) -> None:
    source = """
    import functools

    def shout(function):
        @functools.wraps(function)
        def wrapper(*args, **kwargs):
            return function(*args, **kwargs).upper()
        return wrapper

    @shout
    @expose.endpoint()
    def f(a: str): return a
    """
    module = load(sample=source)
    (endpoint,) = inspect(module).endpoints
    assert [parameter.name for parameter in endpoint.parameters] == ["a"]
    assert inspection.endpoint_functions(module)["f"](a="x") == "X"


def test_values_that_pretend_are_left_alone(load: Write) -> None:
    source = """
    class Everything:
        def __getattr__(self, name): raise RuntimeError(name)
        def __call__(self): ...
        __class__ = property(lambda self: 1 / 0)
    everything = Everything()
    """
    assert inspect(load(sample=source)).endpoints == ()


@pytest.mark.parametrize(
    ("source", "text"),
    [
        (
            """
            @expose.endpoint(API="a")
            def f(): ...
            @expose.endpoint(method="POST|GET", API="a")
            def g(): ...
            """,
            "GET a is exposed by f and by g",
        ),
        (
            """
            @expose.endpoint(API="a")
            @expose.endpoint(API="a")
            def f(): ...
            """,
            "GET a is exposed by f and by f",
        ),
        (
            """
            @expose.endpoint(method="GET")
            def item(): ...
            @expose.endpoint(method="POST")
            def item(): ...
            """,
            "item (line 2) is exposed as item, but the module has no such function any more",
        ),
        (
            """
            def unwrapped(function):
                return lambda: function()
            @unwrapped
            @expose.endpoint()
            def f(): ...
            """,
            "put @expose.endpoint above its other decorators",
        ),
        (
            """
            @expose.endpoint()
            def f(a: complex): ...
            """,
            "f: parameter a is declared as complex: complex cannot be made from a request",
        ),
        (
            """
            for n in range(1001):
                exec(f"@expose.endpoint()\\ndef f{n}(): ...")
            """,
            "1001 endpoints: a module has at most 1000",
        ),
        (
            """
            exec(f"@expose.endpoint()\\ndef f({', '.join(f'a{n}' for n in range(101))}): ...")
            """,
            "f has 101 parameters: an endpoint has at most 100",
        ),
        (
            """
            names = [f"a{n}_" + "x" * 1000 for n in range(100)]
            for n in range(50):
                exec(f"@expose.endpoint()\\ndef f{n}({', '.join(names)}): ...")
            """,
            "is larger than 4194304 bytes",
        ),
    ],
)
def test_what_cannot_be_served_is_told_to_the_author(load: Write, source: str, text: str) -> None:
    with pytest.raises(ValueError) as raised:
        inspect(load(sample=source))
    assert text in str(raised.value)
    assert len(str(raised.value)) < 500


def test_what_is_long_is_cut(load: Write) -> None:
    source = """
    class Strange:
        def __repr__(self): raise RuntimeError("no")

    @expose.endpoint()
    def f(a="x" * 10_000, b=Strange()): ...
    f.__doc__ = "ä" * 4000 + "\\ud800"
    """
    (endpoint,) = inspect(load(sample=source)).endpoints
    assert endpoint.doc == "ä" * 2048
    assert len(endpoint.parameters[0].default) == 100
    assert endpoint.parameters[1].default == "(RuntimeError while printing it)"


def test_many_plain_functions_are_listed_up_to_a_bound(load: Write) -> None:
    source = 'for n in range(2000): exec(f"def f{n}(): ...")'
    assert len(inspect(load(sample=source)).functions) == inspection.MAX_NAMES
