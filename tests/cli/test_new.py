"""Given a plugin folder, when `plugbay new` is used, then a module that can be served stands in it."""

from __future__ import annotations

import ast
import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.cli.conftest import Tool

ROOT = Path(__file__).resolve().parents[2]


def greeting(folder: Path, module: str) -> str:
    """What the new module's function returns, called by a Python of its own."""
    code = f"import sys; sys.path[:0] = sys.argv[1:]; import {module}; print({module}.hello(name='Ada'))"
    done = subprocess.run(
        [sys.executable, "-c", code, str(folder), str(ROOT)], capture_output=True, text=True, timeout=60, check=True
    )
    return done.stdout


@pytest.mark.parametrize("kind", [[], ["--package"]])
def test_it_can_be_imported_and_called(tool: Tool, tmp_path: Path, kind: list[str]) -> None:
    folder = tmp_path / "plugins"
    done = tool("new", "orders", *kind, PLUGINS=str(folder))
    assert done.exit_code == 0, done.output
    assert "/rest/services/orders/hello/?name=Ada" in done.stdout
    assert greeting(folder, "orders") == "{'greeting': 'Hello, Ada!'}\n"


@pytest.mark.parametrize("kind", [[], ["--package"]])
def test_it_is_formatted(tool: Tool, tmp_path: Path, kind: list[str]) -> None:
    tool("new", "orders", *kind, PLUGINS=str(tmp_path))
    for check in (["check"], ["format", "--check"]):
        command = [sys.executable, "-m", "ruff", *check, "--config", str(ROOT / "pyproject.toml"), str(tmp_path)]
        done = subprocess.run(command, capture_output=True, text=True, timeout=60)
        assert done.returncode == 0, done.stdout


def test_json(tool: Tool, tmp_path: Path) -> None:
    done = tool("new", "orders", "--json", PLUGINS=str(tmp_path))
    assert json.loads(done.stdout) == {
        "module": "orders",
        "files": [str(tmp_path / "orders.py")],
        "path": "/rest/services/orders/hello/",
    }
    assert "orders" in (ast.get_docstring(ast.parse((tmp_path / "orders.py").read_text())) or "")


@pytest.mark.parametrize("there", ["orders.py", "orders"])
def test_what_is_there_stays(tool: Tool, tmp_path: Path, there: str) -> None:
    first, second = tmp_path / "first", tmp_path / "second"
    first.mkdir()
    second.mkdir()
    (second / there).mkdir()
    done = tool("new", "orders", PLUGINS=f"{first}:{second}")
    assert done.exit_code == 1
    assert str(second / there) in done.stderr
    assert list(first.iterdir()) == []


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("my-orders", "my_orders would do"),
        ("__x", "x would do"),
        ("class", "keyword"),
        ("json", "reserved"),
        ("Shop", "shop would do"),
        ("../x", "x"),
    ],
)
def test_names_that_cannot_be(tool: Tool, tmp_path: Path, name: str, hint: str) -> None:
    done = tool("new", "--", name, PLUGINS=str(tmp_path))
    assert done.exit_code == 2
    assert hint in done.stderr
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_cannot_be_written(tool: Tool, tmp_path: Path) -> None:
    (tmp_path / "plugins").touch()
    done = tool("new", "orders", PLUGINS=str(tmp_path / "plugins"))
    assert done.exit_code == 1
    assert "cannot be written" in done.stderr
