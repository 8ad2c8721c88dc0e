"""Segments → endpoint: design section 4, decided on a view that is given here as plain data."""

import msgspec
import pytest

from catalogue.index import Ambiguous, Broken, NotFound, Target, allowed, directory, resolve
from catalogue.report import Endpoint, Parameter, Report
from catalogue.view import ModuleView, Problem, Skipped, View

OWNER = "4a1bf01e-0693-48c5-a52b-fc275205c1d8"
PROBLEM = Problem(module="broken", text="SyntaxError: '(' was never closed, line 3", line=3, since=1.0)


def module(name: str, *endpoints: str, alias: str | None = None, problem: Problem | None = None) -> ModuleView:
    """A module with endpoints written as `GET|POST api`."""
    report = Report(
        doc=f"About {name}.",
        endpoints=tuple(
            Endpoint(api=api, methods=tuple(methods.split("|")), function=f"do_{api}", doc=f"Does {api}.")
            for methods, api in (endpoint.split() for endpoint in endpoints)
        ),
        functions=("helper",),
        imports=("json",),
    )
    return ModuleView(name=name, alias=alias, digest="d" * 64, source=f"{name}.py", report=report, problem=problem)


def broken(name: str, alias: str | None = None) -> ModuleView:
    return ModuleView(name=name, alias=alias, digest="", source=f"{name}.py", report=Report(), problem=PROBLEM)


def view(*modules: ModuleView) -> View:
    return View(OWNER, 7, modules)


def found(target: Target) -> tuple[str, str, str | None, list[str]]:
    return target.module.name, target.endpoint.api, target.addressed, target.parameters


SHOP = view(
    module("product_v1", "GET|POST product", "GET only-one", alias="v1"),
    module("product_v2", "GET product", "DELETE product", alias="v2"),
    module("hello", "GET hello", "POST greet"),
    broken("broken", alias="torn"),
)


@pytest.mark.parametrize(
    ("method", "path", "expected"),
    [
        ("GET", "hello", ("hello", "hello", None, [])),
        ("GET", "hello/hello", ("hello", "hello", "hello", [])),
        ("GET", "hello/hello/a/b", ("hello", "hello", "hello", ["a", "b"])),
        ("GET", "only-one/1/2", ("product_v1", "only-one", None, ["1", "2"])),
        ("GET", "v1/product/9", ("product_v1", "product", "v1", ["9"])),
        ("GET", "product_v2/product", ("product_v2", "product", "product_v2", [])),
        ("HEAD", "v2/product", ("product_v2", "product", "v2", [])),
        ("HEAD", "only-one", ("product_v1", "only-one", None, [])),
        ("POST", "product", ("product_v1", "product", None, [])),
        ("DELETE", "product", ("product_v2", "product", None, [])),
    ],
)
def test_segments_lead_to_an_endpoint(method: str, path: str, expected: tuple[str, str, str | None, list[str]]) -> None:
    assert found(resolve(SHOP, method, path.split("/"))) == expected


@pytest.mark.parametrize(
    ("method", "path", "text", "allow"),
    [
        ("POST", "x", "x is undefined for POST.", ()),
        ("POST", "x/1", "x is undefined for POST.", ()),
        ("POST", "hello/x", "x is undefined for POST in hello.", ()),
        ("POST", "v1/x/1", "x is undefined for POST in v1.", ()),
        ("PUT", "only-one", "only-one is undefined for PUT.", ("GET", "HEAD")),
        ("DELETE", "v1/product", "product is undefined for DELETE in v1.", ("GET", "HEAD", "POST")),
        ("HEAD", "greet", "greet is undefined for HEAD.", ("POST",)),
        ("GET", "product_v1", "product_v1 is undefined for GET.", ()),
        ("GET", "v1", "v1 is undefined for GET.", ()),
        ("TRACE", "hello", "hello is undefined for TRACE.", ("GET", "HEAD")),
        ("GET", "hello/greet", "greet is undefined for GET in hello.", ("POST",)),
        ("GET", "Hello/hello", "Hello is undefined for GET.", ()),
    ],
)
def test_what_is_not_there_is_named_with_the_methods_that_are(
    method: str, path: str, text: str, allow: tuple[str, ...]
) -> None:
    with pytest.raises(NotFound) as missing:
        resolve(SHOP, method, path.split("/"))
    assert (missing.value.status_text, missing.value.allow) == (text, allow)


def test_nothing_addressed_is_not_found() -> None:
    with pytest.raises(NotFound):
        resolve(SHOP, "GET", [])
    assert allowed(SHOP, []) == ()


def test_an_api_of_several_modules_is_ambiguous_and_names_them() -> None:
    with pytest.raises(Ambiguous) as several:
        resolve(SHOP, "GET", ["product", "9"])
    assert several.value.modules == ("product_v1", "product_v2")
    assert "product_v1, product_v2" in several.value.status_text


def test_a_module_wins_over_an_api_of_its_name_when_something_follows() -> None:
    shop = view(module("a", "GET b", "GET x"), module("b", "GET y"))
    assert found(resolve(shop, "GET", ["b"])) == ("a", "b", None, [])
    assert found(resolve(shop, "GET", ["b", "y"])) == ("b", "y", "b", [])
    with pytest.raises(NotFound, match=r"^x is undefined for GET in b\.$"):
        resolve(shop, "GET", ["b", "x"])


def test_a_name_wins_over_an_alias() -> None:
    shop = view(module("a", "GET x", alias="b"), module("b", "GET x"))
    assert found(resolve(shop, "GET", ["b", "x"])) == ("b", "x", "b", [])


def test_an_alias_of_several_modules_is_ambiguous_only_as_an_alias() -> None:
    shop = view(module("a", "GET x", alias="v"), module("b", "GET y", alias="v"), module("c", "GET v"))
    with pytest.raises(Ambiguous) as several:
        resolve(shop, "GET", ["v", "x"])
    assert several.value.modules == ("a", "b")
    assert found(resolve(shop, "GET", ["a", "x"])) == ("a", "x", "a", [])
    assert found(resolve(shop, "GET", ["v"])) == ("c", "v", None, [])
    assert allowed(shop, ["v", "y"]) == ("GET", "HEAD")


def test_who_never_served_takes_no_alias_from_one_who_does() -> None:
    shop = view(broken("broken", alias="v"), module("good", "GET x", alias="v"))
    assert found(resolve(shop, "GET", ["v", "x"])) == ("good", "x", "v", [])


@pytest.mark.parametrize("path", ["broken/x", "torn/x", "broken/x/1", "broken"])
def test_a_module_that_never_was_good_says_what_is_wrong(path: str) -> None:
    with pytest.raises(Broken) as error:
        resolve(SHOP, "GET", path.split("/"))
    assert error.value.module == "broken"
    assert error.value.problem is PROBLEM
    assert "line 3" in str(error.value)


def test_a_broken_newer_version_does_not_keep_the_good_one_from_serving() -> None:
    shop = view(module("a", "GET x", problem=PROBLEM))
    assert found(resolve(shop, "GET", ["a", "x"])) == ("a", "x", "a", [])


@pytest.mark.parametrize(
    ("path", "methods"),
    [
        ("product", ("GET", "HEAD", "POST", "DELETE")),
        ("product/1/2", ("GET", "HEAD", "POST", "DELETE")),
        ("v1/product", ("GET", "HEAD", "POST")),
        ("greet", ("POST",)),
        ("nothing", ()),
        ("v1/nothing", ()),
    ],
)
def test_allowed_methods(path: str, methods: tuple[str, ...]) -> None:
    assert allowed(SHOP, path.split("/")) == methods


def test_the_prefix_begins_the_body_of_a_200() -> None:
    assert resolve(SHOP, "GET", ["only-one"]).prefix == b'{"status":"OK","response":{"only-one":'


def test_the_directory_shows_everything_of_an_owner() -> None:
    shop = View(
        OWNER,
        1,
        [module("a", "GET|POST x", alias="v1"), broken("broken")],
        problems=[Problem(module="other", text="nobody", since=2.0)],
        skipped=[Skipped(path="link.py", reason="a symbolic link")],
    )
    shown = directory(shop)
    endpoint = {
        "function": "do_x",
        "doc": "Does x.",
        "parameters": [],
        "concurrent": False,
        "timeout": None,
        "concurrency": None,
    }
    problem = {"module": "broken", "text": PROBLEM.text, "line": 3, "since": 1.0, "temporary": False}
    assert msgspec.json.decode(msgspec.json.encode(shown)) == {
        "status": "OK",
        "has_plugins": True,
        "modules": {
            "a": {
                "alias": "v1",
                "digest": "d" * 64,
                "source": "a.py",
                "doc": "About a.",
                "functions": ["helper"],
                "serves": True,
                "problem": None,
            },
            "broken": {
                "alias": None,
                "digest": "",
                "source": "broken.py",
                "doc": "",
                "functions": [],
                "serves": False,
                "problem": problem,
            },
        },
        "endpoints": {"a": {"GET": {"x": endpoint}, "POST": {"x": endpoint}}, "broken": {}},
        "imports": {"a": ["json"], "broken": []},
        "aliases": {"v1": "a"},
        "problems": [problem, {"module": "other", "text": "nobody", "line": None, "since": 2.0, "temporary": False}],
        "skipped": [{"path": "link.py", "reason": "a symbolic link"}],
    }


def test_the_directory_of_one_module_is_found_by_name_and_alias() -> None:
    for name in ("product_v1", "v1"):
        shown = directory(SHOP, name)
        assert list(shown["modules"]) == list(shown["endpoints"]) == ["product_v1"]
        assert shown["aliases"] == {"v1": "product_v1"}
        assert not shown["problems"] and not shown["skipped"]
    assert directory(SHOP, "broken")["problems"][0]["line"] == 3
    with pytest.raises(NotFound, match=r"^nothing is undefined for GET\.$"):
        directory(SHOP, "nothing")
    with pytest.raises(Ambiguous):
        directory(view(module("a", alias="v"), module("b", alias="v")), "v")


def test_the_directory_of_an_owner_without_modules() -> None:
    shown = directory(View(OWNER, 0))
    assert shown["has_plugins"] is False
    assert shown["modules"] == {}


def test_declared_parameters_are_shown() -> None:
    report = Report(
        endpoints=(
            Endpoint(
                api="add",
                methods=("GET",),
                function="add",
                parameters=(Parameter(name="a", type="int", required=False, default="1"),),
            ),
        )
    )
    one = ModuleView(name="m", alias=None, digest="d", source="m.py", report=report)
    shown = directory(view(one))["endpoints"]["m"]["GET"]["add"]["parameters"]
    assert list(shown) == [{"name": "a", "type": "int", "required": False, "default": "1"}]
