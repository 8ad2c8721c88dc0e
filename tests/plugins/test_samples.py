"""The sample modules, as their authors would test them: imported and called, without a server."""

from __future__ import annotations

import ast
import importlib
import re
import sys
from collections.abc import Callable, Iterator
from decimal import Decimal
from pathlib import Path
from types import ModuleType
from typing import Any

import pyotp
import pytest

import expose
from catalogue import report
from expose.endpoints import declared
from runner.worker import inspection

ROOT = Path(__file__).parents[2]
PLUGINS = ROOT / "plugins"
MODULES = sorted(path.stem for path in PLUGINS.iterdir() if path.suffix == ".py" or (path / "__init__.py").exists())
WITHOUT_PACKAGES = [name for name in MODULES if name != "pictures"]
"""Those that can be imported here: what `requirements.txt` names is installed for runners only."""

Sample = Callable[[str], Any]


@pytest.fixture
def sample(monkeypatch: pytest.MonkeyPatch) -> Iterator[Sample]:
    """Imports a sample by its name, as fresh as a worker does."""
    monkeypatch.syspath_prepend(PLUGINS)
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    declared.clear()
    before = set(sys.modules)

    def load(name: str) -> ModuleType:
        return importlib.import_module(name)

    yield load
    for name in set(sys.modules) - before:
        if name.partition(".")[0] in MODULES:
            del sys.modules[name]


def test_hello(sample: Sample) -> None:
    hello = sample("hello")
    assert hello.foo(1, a=2) == {"args": (1,), "kwargs": {"a": 2}}
    assert hello.echo({"method": "PUT"}, "hi") == "PUT: hi"


def test_arithmetic(sample: Sample) -> None:
    arithmetic = sample("arithmetic")
    assert arithmetic.add(1, 2) == 3
    assert arithmetic.average([1, 2]) == 1.5
    with pytest.raises(expose.HTTPError, match="422"):
        arithmetic.average([])
    assert arithmetic.temperature(212) == 100
    assert arithmetic.temperature(100, "fahrenheit") == 212
    assert arithmetic.area([arithmetic.Room("hall", 2, 3)]) == {"hall": 6}


async def test_waiting(sample: Sample) -> None:
    waiting = sample("waiting")
    assert await waiting.wait_together(0.001, 5) == "waited 5 times"
    assert waiting.nap(0) == "rested"


def test_answers(sample: Sample) -> None:
    answers = sample("answers")
    page = answers.page("<script>")
    assert (page.body, page.media_type) == ("<h1>Hello, &lt;script&gt;!</h1>", "text/html; charset=utf-8")
    assert answers.note("milk").status == 201
    assert answers.book(1) == "Emma"
    with pytest.raises(expose.HTTPError, match="404: there is no book 3"):
        answers.book(3)
    assert len(answers.digest("hello")) == 32


def test_guarded(sample: Sample) -> None:
    guarded = sample("guarded")
    assert guarded.treasure("open sesame") == "gold"
    with pytest.raises(AssertionError, match="that is not the passphrase"):
        guarded.treasure("öffne dich")


def test_second_factor(sample: Sample) -> None:
    second_factor = sample("second_factor")
    assert second_factor.vault(pyotp.TOTP(second_factor.SECRET).now()) == "diamonds"
    with pytest.raises(AssertionError, match="that is not the code"):
        second_factor.vault("12345")


def test_uploads(sample: Sample) -> None:
    uploads = sample("uploads")
    assert uploads.count_words(expose.File("a.txt", "text/plain", b"two words")) == {"name": "a.txt", "words": 2}
    assert uploads.checksum(b"hello").startswith("2cf24dba")


def test_a_shell_script(sample: Sample) -> None:
    assert sample("programs").measure(a=1) == {"bytes": 8}


@pytest.mark.needs("node")
def test_a_node_script(sample: Sample) -> None:
    programs = sample("programs")
    assert programs.node_sum([1, 2, 3.5])["sum"] == 6.5
    with pytest.raises(expose.CommandFailed, match="node ended with exit code 1: there is nothing to add up"):
        programs.node_sum([])


def test_notes_say_what_is_missing(sample: Sample, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NOTES_MONGO_URI", raising=False)
    notes = sample("notes")
    for call in (notes.read, lambda: notes.write("milk")):
        with pytest.raises(expose.HTTPError, match="503: NOTES_MONGO_URI is not set"):
            call()


def test_countries(sample: Sample) -> None:
    countries = sample("countries")
    assert countries.country("is") == {"code": "IS", "name": "Iceland", "capital": "Reykjavík"}
    with pytest.raises(expose.HTTPError, match="404"):
        countries.country("xx")


def test_versions(sample: Sample) -> None:
    first, second = sample("greet_v1"), sample("greet_v2")
    assert (first.__alias__, second.__alias__) == ("v1", "v2")
    assert first.greet("ann") == "Hello, ann!"
    assert second.greet("ann", "fr") == {"language": "fr", "greeting": "Bonjour, ann!"}


def test_products(sample: Sample) -> None:
    first, second = sample("product_v1"), sample("product_v2")
    assert first.products() == [1, 2]
    assert first.product(2)["price"] == 85.5
    assert [product.name for product in second.products(Decimal(50))] == ["Lamp"]
    assert second.product(2).price == Decimal("85.50")
    for module in (first, second):
        with pytest.raises(expose.HTTPError, match="404"):
            module.product(9)


@pytest.mark.parametrize("name", WITHOUT_PACKAGES)
def test_a_sample_can_be_inspected_and_documents_itself(sample: Sample, name: str) -> None:
    found = report.decode(inspection.inspect_module(sample(name)))
    assert found.doc
    assert found.endpoints
    assert all(endpoint.doc for endpoint in found.endpoints)


def test_what_needs_packages_names_them_with_their_version() -> None:
    lines = (PLUGINS / "requirements.txt").read_text().splitlines()
    assert all(re.fullmatch(r"[a-z0-9-]+==[0-9.]+", line) for line in lines)
    assert lines


def endpoints_written(name: str) -> set[tuple[str, str]]:
    """The (module, API) pairs of a sample's source, imported or not."""
    path = PLUGINS / f"{name}.py"
    source = (path if path.exists() else PLUGINS / name / "__init__.py").read_text()
    found = set()
    for node in ast.walk(ast.parse(source)):
        calls = node.decorator_list if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) else [node]
        for call in calls:
            if isinstance(call, ast.Call) and ast.unparse(call.func) == "expose.endpoint":
                given = [
                    word.value.value
                    for word in call.keywords
                    if word.arg == "API" and isinstance(word.value, ast.Constant)
                ]
                if given or isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                    found.add((name, str(given[0] if given else getattr(node, "name", ""))))
    return found


def test_the_examples_call_every_endpoint_of_every_sample() -> None:
    aliases = {"greet_v1": "v1", "greet_v2": "v2"}
    written = set().union(*(endpoints_written(name) for name in MODULES))
    assert len(written) >= 20
    examples = (ROOT / "examples.http").read_text()
    addressed = re.findall(r"^[A-Z]+ \{\{services\}\}/([^?\s]*)", examples, re.MULTILINE)
    for module, api in written:
        shared = sum(other == api for _, other in written) > 1
        start = f"{aliases.get(module, module)}/{api}/" if shared else f"{api}/"
        assert any(path.startswith(start) for path in addressed), f"examples.http does not call {api} of {module}"


def test_each_example_says_what_to_expect() -> None:
    for example in re.split(r"^###.*$", (ROOT / "examples.http").read_text(), flags=re.MULTILINE)[1:]:
        assert re.search(r"^# expect: \d{3}$", example, re.MULTILINE), example
        assert re.search(r"^[A-Z]+ \{\{services\}\}/\S+$", example, re.MULTILINE), example
        assert ("node-sum" in example) == ("# needs: node" in example), example
