"""Given modules, when a person opens the start page, then it shows what runs, safely and within bounds."""

from __future__ import annotations

import html
import re
import shlex
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from catalogue.report import Endpoint, Parameter, Report
from catalogue.view import ModuleView, Problem, Skipped, View
from gateway.example_call import example_call
from gateway.page import MAX_ENDPOINTS, MAX_MODULES, MAX_NOTES, Page
from tests.gateway.control_server import ADMIN, Plane, hello, numbered, problems, serving, view

ORIGIN = "http://plugbay.example:8080"


def text(page: str | None) -> str:
    """What a person reads: without tags, white space collapsed."""
    assert page is not None
    return " ".join(html.unescape(re.sub(r"<[^>]*>", " ", page)).split())


def commands(page: str | None) -> list[str]:
    """The lines to copy into a shell."""
    assert page is not None
    return [html.unescape(found) for found in re.findall(r'<pre class="command">(.*?)</pre>', page)]


def test_what_runs_here() -> None:
    page = Page().html(view(hello()), ORIGIN)
    shown = text(page)
    assert "2 endpoints in 1 module. 2 problems: hello , orphan ." in shown
    assert "Greetings." in shown
    assert "GET PUT /rest/services/hello/hello-world/ Says hello. name: str loud: bool = False" in shown
    assert "The last good version serves; the newer one does not: NameError: jsn , line 3" in shown
    assert "orphan its __ID__ is nobody's" in shown
    assert "big.py larger than MAX_SOURCE_BYTES" in shown


def test_lines_to_copy() -> None:
    add, world = commands(Page().html(view(hello()), ORIGIN))
    assert shlex.split(world) == ["curl", f"{ORIGIN}/rest/services/hello/hello-world/?name=text"]
    json_body = ["-H", "Content-Type: application/json", "-d", '{"name":"text"}']
    assert shlex.split(add) == ["curl", *json_body, f"{ORIGIN}/rest/services/hello/add/"]


@pytest.mark.parametrize(
    ("methods", "types", "line"),
    [
        (("GET",), (), "curl /x"),
        (("DELETE", "GET"), ("int", "float"), "curl '/x?a=1&b=0.5'"),
        (("GET",), ("list[int]",), "curl '/x?a=%5B%5D'"),
        (("GET", "PUT"), ("list[int]",), "curl -X PUT -H 'Content-Type: application/json' -d '{\"a\":[]}' /x"),
        (("POST",), ("bool", "date"), 'curl -H \'Content-Type: application/json\' -d \'{"a":true,"b":"text"}\' /x'),
        (("POST",), ("expose.File", "int"), "curl -F a=@file -F b=1 /x"),
        (("PATCH",), (), "curl -X PATCH -H 'Content-Type: application/json' -d '{}' /x"),
    ],
)
def test_calls_by_method_and_types(methods: tuple[str, ...], types: tuple[str, ...], line: str) -> None:
    parameters = tuple(Parameter(name="ab"[place], type=type) for place, type in enumerate(types))
    assert example_call(Endpoint(api="x", methods=methods, function="x", parameters=parameters), "/x") == line


def test_nothing_plugged_in_yet() -> None:
    page = Page().html(View(ADMIN, 0), ORIGIN)
    assert "Nothing is plugged in yet" in text(page)
    assert commands(page) == [f"curl {ORIGIN}/rest/services/hello/hello-world/"]


def test_a_module_that_never_served() -> None:
    broken = ModuleView(
        name="bad",
        alias=None,
        digest="",
        source="bad.py",
        report=Report(),
        problem=Problem(module="bad", text="SyntaxError: oh", line=None, since=1.0),
    )
    shown = text(Page().html(View(ADMIN, 1, [broken]), ORIGIN))
    assert "0 endpoints in 0 modules. 1 problem: bad ." in shown
    assert "It does not serve: SyntaxError: oh" in shown


def test_authors_cannot_write_html() -> None:
    evil = "<script>alert(1)</script>\"'&"
    module = ModuleView(
        name="evil",
        alias=None,
        digest="ab",
        source=evil,
        report=Report(
            doc=evil,
            endpoints=(
                Endpoint(
                    api="x",
                    methods=("PUT",),
                    function="x",
                    doc=evil,
                    parameters=(Parameter(name="a", type=evil), Parameter(name="b", required=False, default=evil)),
                ),
            ),
        ),
        problem=Problem(module="evil", text=evil, since=1.0),
    )
    all_evil = View(ADMIN, 1, [module], skipped=[Skipped(path=evil, reason=evil)])
    page = Page().html(all_evil, ORIGIN)
    assert page is not None
    assert "<script" not in page
    assert text(page).count(evil) == 8


def test_ten_thousand_endpoints() -> None:
    page = Page().html(view(*numbered(1000, apis=10)), ORIGIN)
    assert page is not None
    assert page.count("<article>") == MAX_ENDPOINTS
    assert len(page) < 1_000_000
    assert "10000 endpoints in 1000 modules" in text(page)
    assert f"… and 900 more modules See one with {ORIGIN}/?module=<name>" in text(page)


def test_many_modules() -> None:
    page = Page().html(view(*numbered(MAX_MODULES + 1)), ORIGIN)
    assert page is not None
    assert page.count('class="module"') == MAX_MODULES
    assert "… and 1 more module See" in text(page)


def test_one_module_with_very_many_endpoints() -> None:
    (module,) = numbered(1, apis=MAX_ENDPOINTS + 5)
    assert "… and 5 more: m0000/__dir__ lists all." in text(Page().html(view(module), ORIGIN))


def test_many_problems() -> None:
    notes = [Skipped(path=f"{number}.py", reason="no") for number in range(MAX_NOTES + 3)]
    shown = text(Page().html(View(ADMIN, 1, skipped=notes), ORIGIN))
    assert "99.py no … and 3 more in __dir__" in shown


def test_one_module() -> None:
    page = Page()
    shown = text(page.html(view(*numbered(300)), ORIGIN, "m0299"))
    assert "/rest/services/m0299/api-00/" in shown
    assert "m0298" not in shown
    assert page.html(view(), ORIGIN, "m0299") is None


def test_it_changes_with_the_modules_and_the_address() -> None:
    page = Page()
    one, two = view(hello()), view(*numbered(1), revision=2)
    assert "hello" in text(page.html(one, ORIGIN))
    assert "m0000" in text(page.html(two, ORIGIN))
    assert commands(page.html(two, "http://other:1")) == ["curl http://other:1/rest/services/m0000/api-00/"]
    assert commands(page.html(two, ORIGIN)) == [f"curl {ORIGIN}/rest/services/m0000/api-00/"]


@pytest.fixture
async def plane(tmp_path: Path) -> AsyncIterator[Plane]:
    async with serving(tmp_path) as plane:
        yield plane


async def test_the_page_over_http(plane: Plane) -> None:
    response = await plane.client.get("/")
    assert response.headers["content-type"] == "text/html; charset=utf-8"
    assert commands(response.text)[0].endswith(f"http://127.0.0.1:{plane.port}/rest/services/hello/add/")
    assert text((await plane.client.get("/?module=hello")).text).startswith("hello – Plugbay")
    assert problems(await plane.json("GET", "/?module=none", 404)) == {"module": "There is no module none."}
    for odd in ("module=<b>", "module=..", "modul=hello", "module="):
        assert problems(await plane.json("GET", f"/?{odd}", 422))


async def test_a_host_that_is_none_is_not_repeated(plane: Plane) -> None:
    for host in ("a'b", "a b", "<b>", "$(id)", "x" * 300):
        page = (await plane.client.get("/", headers={"Host": host})).text
        assert host not in html.unescape(page)
        assert commands(page)[0].endswith("http://localhost:8080/rest/services/hello/add/")
